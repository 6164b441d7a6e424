/* SPDX-License-Identifier: MIT
 *
 * rondo_fs_stat() and its kin, and what of statx(2) is passed on. Linux only; elsewhere fstatat(2)
 * says the same but for the time of birth.
 */
#define _GNU_SOURCE /* statx */
#include <rondo/fs_path.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fs/known.h"
#include "fs/stat.h"

static rondo_file_type type_of(unsigned mode) {
    switch (mode & S_IFMT) {
    case S_IFREG: return RONDO_FILE_REGULAR;
    case S_IFDIR: return RONDO_FILE_DIRECTORY;
    case S_IFLNK: return RONDO_FILE_SYMLINK;
    case S_IFIFO: return RONDO_FILE_FIFO;
    case S_IFSOCK: return RONDO_FILE_SOCKET;
    case S_IFCHR: return RONDO_FILE_CHAR_DEVICE;
    case S_IFBLK: return RONDO_FILE_BLOCK_DEVICE;
    default: return RONDO_FILE_UNKNOWN;
    }
}

/* Cut at the years 1677 and 2262, where 64 bits end; file systems can go further. */
static int64_t time_ns(const struct statx_timestamp *time) {
    const int64_t limit_s = INT64_MAX / 1000000000 - 1;
    if (time->tv_sec > limit_s) return INT64_MAX;
    if (time->tv_sec < -limit_s) return INT64_MIN;
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

void rondo__fs_stat_convert(const struct statx *from, rondo_stat *ret_stat) {
    bool has_btime = (from->stx_mask & STATX_BTIME) != 0;
    *ret_stat = (rondo_stat){
        .type = type_of(from->stx_mode),
        .mode = from->stx_mode & 07777u,
        .uid = from->stx_uid,
        .gid = from->stx_gid,
        .dev = makedev(from->stx_dev_major, from->stx_dev_minor),
        .ino = from->stx_ino,
        .nlink = from->stx_nlink,
        .size = (int64_t)from->stx_size,
        .blocks = (int64_t)from->stx_blocks,
        .atime_ns = time_ns(&from->stx_atime),
        .mtime_ns = time_ns(&from->stx_mtime),
        .ctime_ns = time_ns(&from->stx_ctime),
        .btime_ns = has_btime ? time_ns(&from->stx_btime) : 0,
        .has_btime = has_btime,
    };
}

int rondo__fs_statx(int fd, const char *path, int flags, rondo_stat *ret_stat) {
    struct statx st;
    int error;
    /* Network file systems can be interrupted. */
    RONDO__RETRY(error, statx(fd, path, flags, RONDO__FS_STATX_MASK, &st));
    if (error < 0) return rondo__errno();
    rondo__fs_stat_convert(&st, ret_stat);
    return 0;
}

/* call->flags are those of statx(2). */
static int64_t run_stat(rondo__fs_call *call) {
    int error = rondo__fs_statx(call->fd, call->path, call->flags, &call->stat);
    if (error == 0 && call->learn)
        rondo__learn_mount_of(call->fd, call->path, !(call->flags & AT_SYMLINK_NOFOLLOW));
    return error;
}

static int64_t run_fstat(rondo__fs_call *call) {
    if (call->fd < 0) return RONDO_EBADF; /* AT_FDCWD would be the current directory */
    int error = rondo__fs_statx(call->fd, "", AT_EMPTY_PATH, &call->stat);
    if (error == 0 && call->learn) rondo__learn_mount(call->fd);
    return error;
}

static void stat_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    const rondo__fs_answer *answer = payload;
    (void)handle;
    ((rondo_fs_stat_cb)fn)(loop, (int)answer->result,
                           answer->result < 0 ? NULL : &answer->call.stat, arg);
}

/* Three system calls in place of one: many at a time are the workers'. */
static const rondo__fs_op stat_op = {.event = {"fs.stat", stat_thunk},
                                     .run = run_stat,
                                     .cached = rondo__known_stat,
                                     .alone = true,
                                     .needs = RONDO__FS_PATH};
static const rondo__fs_op fstat_op = {
    .event = {"fs.fstat", stat_thunk}, .run = run_fstat, .cached = rondo__known_fstat};

static const rondo__fs_op lstat_op = {.event = {"fs.lstat", stat_thunk},
                                      .run = run_stat,
                                      .cached = rondo__known_stat,
                                      .alone = true,
                                      .needs = RONDO__FS_PATH};

static int stat_now(const rondo__fs_op *op, rondo__fs_call *call, rondo_stat *ret_stat) {
    int64_t result = ret_stat ? rondo__fs_now(op, call) : RONDO_EINVAL;
    if (result == 0) *ret_stat = call->stat;
    return (int)result;
}

int rondo_fs_fstat(rondo_loop *loop, int fd, rondo_job **ret_job, rondo_fs_stat_cb cb, void *arg) {
    const rondo__fs_call call = {.fd = fd};
    return rondo__fs_start(loop, &fstat_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_fstat_sync(int fd, rondo_stat *ret_stat) {
    rondo__fs_call call = {.fd = fd};
    return stat_now(&fstat_op, &call, ret_stat);
}

int rondo_fs_stat(rondo_loop *loop, const char *path, rondo_job **ret_job, rondo_fs_stat_cb cb,
                  void *arg) {
    const rondo__fs_call call = {.fd = AT_FDCWD, .path = path};
    return rondo__fs_start(loop, &stat_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_stat_sync(const char *path, rondo_stat *ret_stat) {
    rondo__fs_call call = {.fd = AT_FDCWD, .path = path};
    return stat_now(&stat_op, &call, ret_stat);
}

int rondo_fs_lstat(rondo_loop *loop, const char *path, rondo_job **ret_job, rondo_fs_stat_cb cb,
                   void *arg) {
    const rondo__fs_call call = {.fd = AT_FDCWD, .path = path, .flags = AT_SYMLINK_NOFOLLOW};
    return rondo__fs_start(loop, &lstat_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_lstat_sync(const char *path, rondo_stat *ret_stat) {
    rondo__fs_call call = {.fd = AT_FDCWD, .path = path, .flags = AT_SYMLINK_NOFOLLOW};
    return stat_now(&lstat_op, &call, ret_stat);
}
