/* SPDX-License-Identifier: MIT
 *
 * stat and open on the loop thread, from what the kernel has in memory. Linux has all that it takes
 * since 5.12; elsewhere, and wherever anything is in doubt, the answer is "ask a worker".
 *
 * A name is looked up with RESOLVE_CACHED and opened with O_PATH: that takes no disk, no network and
 * no driver, and opens nothing. Then statx(2) says what it is. Only on a local file system is that
 * true without asking anybody; which ones are local can't be asked here (statfs(2) waits for a dead
 * NFS server), so workers learn it, mount by mount. Only then is a regular file or a directory really
 * opened, by its descriptor and not by its name, which may be another file's by now.
 */
#define _GNU_SOURCE /* statx, O_PATH */
#include "fs/known.h"

#include <rondo/error.h>

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "fs/lookup.h"
#include "fs/stat.h"

#ifndef STATX_MNT_ID_UNIQUE /* since Linux 6.8 */
#define STATX_MNT_ID_UNIQUE 0x4000u
#endif

/* ---- mounts ---- */

/* Twice the key, plus 1 if it is local; each at its place, where a later one replaces it. A few
 * mounts are all that a program uses. */
#define MOUNTS 64
static _Atomic uint64_t mounts[MOUNTS];

/* What tells one mount from all others; 0: nothing does. */
static uint64_t key_of(const struct statx *st) {
    if (st->stx_mask & STATX_MNT_ID_UNIQUE) return st->stx_mnt_id;
    /* Before Linux 6.8 the number of a mount that has gone is used again, and so are the devices that
     * file systems without one are given: with a disk's device it is near enough. */
    if (!(st->stx_mask & STATX_MNT_ID) || st->stx_dev_major == 0) return 0;
    return (st->stx_mnt_id & 0x7fffffffu) << 32 | (uint64_t)(st->stx_dev_major & 0xfffu) << 20 |
           (st->stx_dev_minor & 0xfffffu);
}

static _Atomic uint64_t *place_of(uint64_t key) {
    return &mounts[(key * 0x9e3779b97f4a7c15u) >> 58];
}

typedef enum verdict { UNKNOWN, LOCAL, NOT_LOCAL } verdict;

static verdict judge(const struct statx *st) {
    uint64_t key = key_of(st);
    uint64_t entry = atomic_load_explicit(place_of(key), memory_order_relaxed);
    if (key == 0) return NOT_LOCAL; /* nothing to be learned, either */
    if (entry >> 1 != key) return UNKNOWN;
    return entry & 1 ? LOCAL : NOT_LOCAL;
}

void rondo__learn_mount(int fd) {
    struct statx st;
    struct statfs fs;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID | STATX_MNT_ID_UNIQUE, &st) < 0) return;
    uint64_t key = key_of(&st);
    if (key == 0 || fstatfs(fd, &fs) < 0) return;
    atomic_store_explicit(place_of(key), key << 1 | rondo__is_local((uint64_t)fs.f_type),
                          memory_order_relaxed);
}

void rondo__learn_mount_of(int directory, const char *path, bool follow) {
    int fd = openat(directory, path, O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
    if (fd < 0) return;
    rondo__learn_mount(fd);
    close(fd);
}

/* ---- stat ---- */

/* Whether st is the truth. call->learn: it may be, for all that is known. */
static bool ask(rondo__fs_call *call, int fd, struct statx *ret_st) {
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
              RONDO__FS_STATX_MASK | STATX_MNT_ID | STATX_MNT_ID_UNIQUE, ret_st) < 0)
        return false;
    verdict found = judge(ret_st);
    call->learn = found == UNKNOWN;
    return found == LOCAL;
}

int64_t rondo__known_fstat(rondo__fs_call *call) {
    struct statx st;
    if (call->fd < 0 || !ask(call, call->fd, &st)) return RONDO__FS_WAIT;
    rondo__fs_stat_convert(&st, &call->stat);
    return 0;
}

int64_t rondo__known_stat(rondo__fs_call *call) {
    struct statx st;
    int fd = rondo__open_name_cached(call->fd, call->path,
                                     call->flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0);
    if (fd < 0) return fd == RONDO_EAGAIN ? RONDO__FS_WAIT : fd;
    bool true_now = ask(call, fd, &st);
    close(fd);
    if (!true_now) return RONDO__FS_WAIT;
    rondo__fs_stat_convert(&st, &call->stat);
    return 0;
}

/* ---- open ---- */

/* Nothing that makes, changes or claims anything. */
#define OPEN_FLAGS (O_NOFOLLOW | O_DIRECTORY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* Opens what an O_PATH descriptor stands for. Not the thread's group, whose table of descriptors may
 * be another one, and not by name. */
static int reopen(int path_fd, int flags) {
    char name[48];
    snprintf(name, sizeof name, "/proc/thread-self/fd/%d", path_fd);
    /* O_NONBLOCK: a lease that somebody else has on it (fcntl(2)) isn't waited for. */
    int fd = open(name, (flags & ~O_NOFOLLOW) | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && !(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, 0) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int64_t rondo__known_open(rondo__fs_call *call) {
    struct statx st;
    if (call->flags & ~OPEN_FLAGS) return RONDO__FS_WAIT; /* O_RDONLY is 0 */
    int path_fd =
        rondo__open_name_cached(call->fd, call->path, call->flags & (O_NOFOLLOW | O_DIRECTORY));
    if (path_fd < 0) return path_fd == RONDO_EAGAIN ? RONDO__FS_WAIT : path_fd;
    int fd = -1;
    if (ask(call, path_fd, &st) && (S_ISREG(st.stx_mode) || S_ISDIR(st.stx_mode)))
        fd = reopen(path_fd, call->flags);
    close(path_fd);
    return fd >= 0 ? fd : RONDO__FS_WAIT;
}
