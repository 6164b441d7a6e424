/* SPDX-License-Identifier: MIT
 *
 * Opening a file beneath a directory and nowhere else. It holds also against links that are swapped
 * while we look, because the kernel (or a walk that holds each directory open) resolves and checks
 * in one step. There is no "realpath, compare, open" here: what the name meant when it was compared
 * need not be what it means when it is opened.
 *
 * Linux has openat2(2) for this; the walk beside it is for kernels and sandboxes without it, and
 * the place where a port begins. They differ in one thing: the walk follows no symbolic links.
 */
#define _GNU_SOURCE
#include "fs/lookup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "loop/retry.h"

#ifndef RESOLVE_CACHED /* since Linux 5.12; an older kernel says EINVAL, which is looked for */
#define RESOLVE_CACHED 0x20
#endif

/* How often we try again when the tree is renamed under our feet (openat2 says EAGAIN when it can't
 * rule out that ".." has led outside) or a signal came. */
#define RETRIES 16

static int open_how(int directory, const char *path, int flags, uint32_t mode, uint64_t resolve) {
    bool creates = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
    struct open_how how = {.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
                           .mode = creates ? mode & 07777u : 0, /* openat2 insists */
                           .resolve = resolve};
    int fd = (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
    return fd >= 0 ? fd : rondo__errno();
}

/* ---- beneath ---- */

static int open_patiently(int directory, const char *path, int flags, uint32_t mode,
                          uint64_t resolve) {
    int fd = RONDO_EAGAIN;
    for (int i = 0; i < RETRIES && (fd == RONDO_EAGAIN || fd == RONDO_EINTR); i++)
        fd = open_how(directory, path, flags, mode,
                      resolve | RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
    return fd;
}

/* What comes before the next name, and how long that is. */
static const char *next_name(const char *path, size_t *ret_len) {
    for (;;) {
        path += strspn(path, "/");
        *ret_len = strcspn(path, "/");
        if (*ret_len != 1 || path[0] != '.') return path;
        path++;
    }
}

static int open_one(int directory, const char *name, int flags, uint32_t mode) {
    int fd;
    RONDO__RETRY(fd, openat(directory, name, flags | O_NOFOLLOW | O_CLOEXEC, (mode_t)mode));
    return fd >= 0 ? fd : rondo__errno();
}

/* One name after another, each within the directory just opened, links refused. It can't climb. */
static int open_walking(int root, const char *path, int flags, uint32_t mode) {
    char name[256] = "."; /* NAME_MAX is 255; and "." is what a path of dots and slashes means */
    int directory = root, fd;
    size_t len;
    if (path[0] == '\0') return RONDO_ENOENT;
    if (path[0] == '/') return RONDO_EXDEV;
    path = next_name(path, &len);
    for (;;) {
        if (len >= sizeof name) {
            fd = RONDO_ENAMETOOLONG;
        } else if (len == 2 && path[0] == '.' && path[1] == '.') {
            fd = RONDO_EXDEV;
        } else {
            size_t next_len;
            const char *next = next_name(path + len, &next_len);
            bool last = next_len == 0;
            /* With a slash after it, it must be a directory. */
            int asked = last ? flags | (path[len] == '/' ? O_DIRECTORY : 0) : O_PATH | O_DIRECTORY;
            if (len > 0) memcpy(name, path, len);
            if (len > 0) name[len] = '\0';
            fd = open_one(directory, name, asked, last ? mode : 0);
            if (!last && fd >= 0) {
                if (directory != root) close(directory);
                directory = fd;
                path = next;
                len = next_len;
                continue;
            }
        }
        if (directory != root) close(directory);
        return fd;
    }
}

int rondo__open_beneath(int directory, const char *path, int flags, uint32_t mode,
                        rondo__beneath how) {
    return how == RONDO__BENEATH_KERNEL ? open_patiently(directory, path, flags, mode, 0)
                                        : open_walking(directory, path, flags, mode);
}

int rondo__open_beneath_plain(int directory, const char *path, int flags) {
    static atomic_bool missing; /* asked once */
    int fd = RONDO_ENOSYS;
    if (!atomic_load_explicit(&missing, memory_order_relaxed)) {
        fd = open_patiently(directory, path, flags, 0, RESOLVE_NO_SYMLINKS);
        if (fd == RONDO_ENOSYS || fd == RONDO_EPERM) atomic_store(&missing, true);
    }
    bool other_way =
        fd == RONDO_ENOSYS || fd == RONDO_EPERM || fd == RONDO_ENAMETOOLONG || fd == RONDO_EAGAIN;
    return other_way ? open_walking(directory, path, flags, 0) : fd;
}

rondo__beneath rondo__beneath_best(int directory) {
    int fd = open_patiently(directory, ".", O_PATH, 0, 0);
    /* RONDO_EPERM: a sandbox that does not know the call. */
    if (fd == RONDO_ENOSYS || fd == RONDO_EPERM) return RONDO__BENEATH_WALK;
    if (fd >= 0) close(fd);
    return RONDO__BENEATH_KERNEL;
}

/* ---- from the caches ---- */

int rondo__open_beneath_cached(int directory, const char *path, int flags) {
    int fd = open_how(directory, path, flags, 0,
                      RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_CACHED | RESOLVE_NO_XDEV);
    switch (fd) {
    case RONDO_EXDEV: /* another file system or a link that leads out: a worker finds out which */
    case RONDO_EINTR:
    case RONDO_EINVAL: /* before Linux 5.12 */
    case RONDO_ENOTSUP: return RONDO_EAGAIN;
    default: return fd;
    }
}

int rondo__open_name_cached(int directory, const char *path, int flags) {
    static atomic_bool missing; /* the kernel has no such thing: asked once */
    if (atomic_load_explicit(&missing, memory_order_relaxed)) return RONDO_EAGAIN;
    int fd = open_how(directory, path, flags | O_PATH, 0, RESOLVE_CACHED);
    switch (fd) {
    case RONDO_ENOENT: return fd;
    case RONDO_EINVAL: /* before Linux 5.12, and 5.6; and a sandbox */
    case RONDO_ENOSYS:
    case RONDO_EPERM: atomic_store(&missing, true); return RONDO_EAGAIN;
    default: return fd >= 0 ? fd : RONDO_EAGAIN; /* a worker finds the error again */
    }
}

/* A list of those that are known, not of those that aren't. */
bool rondo__is_local(uint64_t type) {
    switch (type & 0xffffffffu) {
    case EXT4_SUPER_MAGIC: /* and ext2, ext3 */
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case RAMFS_MAGIC:
    case SQUASHFS_MAGIC:
    case OVERLAYFS_SUPER_MAGIC: return true;
    default: return false;
    }
}
