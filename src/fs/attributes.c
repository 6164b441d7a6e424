/* SPDX-License-Identifier: MIT
 *
 * Who may do what with a file, whose it is, and its times: by name, of a link itself, or behind a
 * descriptor.
 */
#include <rondo/error.h>
#include <rondo/fs_path.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/call.h"

/* ---- permissions ---- */

static int64_t run_access(rondo__fs_call *call) {
    RONDO__FS_RETURN(access(call->path, call->flags));
}
static const rondo__fs_op access_op = {
    .event = {"fs.access", rondo__fs_thunk}, .run = run_access, .needs = RONDO__FS_PATH};

int rondo_fs_access(rondo_loop *loop, const char *path, int mode, rondo_job **ret_job,
                    rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.path = path, .flags = mode};
    return rondo__fs_start(loop, &access_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_access_sync(const char *path, int mode) {
    rondo__fs_call call = {.path = path, .flags = mode};
    return (int)rondo__fs_now(&access_op, &call);
}

static int64_t run_chmod(rondo__fs_call *call) {
    RONDO__FS_RETURN(chmod(call->path, (mode_t)call->mode));
}
static const rondo__fs_op chmod_op = {
    .event = {"fs.chmod", rondo__fs_thunk}, .run = run_chmod, .needs = RONDO__FS_PATH};

int rondo_fs_chmod(rondo_loop *loop, const char *path, uint32_t mode, rondo_job **ret_job,
                   rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.path = path, .mode = mode};
    return rondo__fs_start(loop, &chmod_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_chmod_sync(const char *path, uint32_t mode) {
    rondo__fs_call call = {.path = path, .mode = mode};
    return (int)rondo__fs_now(&chmod_op, &call);
}

static int64_t run_fchmod(rondo__fs_call *call) {
    RONDO__FS_RETURN(fchmod(call->fd, (mode_t)call->mode));
}
static const rondo__fs_op fchmod_op = {.event = {"fs.fchmod", rondo__fs_thunk}, .run = run_fchmod};

int rondo_fs_fchmod(rondo_loop *loop, int fd, uint32_t mode, rondo_job **ret_job, rondo_fs_cb cb,
                    void *arg) {
    const rondo__fs_call call = {.fd = fd, .mode = mode};
    return rondo__fs_start(loop, &fchmod_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_fchmod_sync(int fd, uint32_t mode) {
    rondo__fs_call call = {.fd = fd, .mode = mode};
    return (int)rondo__fs_now(&fchmod_op, &call);
}

/* ---- owners ---- */

/* call->flags are those of fchownat(2). */
static int64_t run_chown(rondo__fs_call *call) {
    RONDO__FS_RETURN(fchownat(AT_FDCWD, call->path, call->uid, call->gid, call->flags));
}
static const rondo__fs_op chown_op = {
    .event = {"fs.chown", rondo__fs_thunk}, .run = run_chown, .needs = RONDO__FS_PATH};
static const rondo__fs_op lchown_op = {
    .event = {"fs.lchown", rondo__fs_thunk}, .run = run_chown, .needs = RONDO__FS_PATH};

int rondo_fs_chown(rondo_loop *loop, const char *path, uint32_t uid, uint32_t gid,
                   rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.path = path, .uid = uid, .gid = gid};
    return rondo__fs_start(loop, &chown_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_chown_sync(const char *path, uint32_t uid, uint32_t gid) {
    rondo__fs_call call = {.path = path, .uid = uid, .gid = gid};
    return (int)rondo__fs_now(&chown_op, &call);
}

int rondo_fs_lchown(rondo_loop *loop, const char *path, uint32_t uid, uint32_t gid,
                    rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {
        .path = path, .flags = AT_SYMLINK_NOFOLLOW, .uid = uid, .gid = gid};
    return rondo__fs_start(loop, &lchown_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_lchown_sync(const char *path, uint32_t uid, uint32_t gid) {
    rondo__fs_call call = {.path = path, .flags = AT_SYMLINK_NOFOLLOW, .uid = uid, .gid = gid};
    return (int)rondo__fs_now(&lchown_op, &call);
}

static int64_t run_fchown(rondo__fs_call *call) {
    RONDO__FS_RETURN(fchown(call->fd, call->uid, call->gid));
}
static const rondo__fs_op fchown_op = {.event = {"fs.fchown", rondo__fs_thunk}, .run = run_fchown};

int rondo_fs_fchown(rondo_loop *loop, int fd, uint32_t uid, uint32_t gid, rondo_job **ret_job,
                    rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.fd = fd, .uid = uid, .gid = gid};
    return rondo__fs_start(loop, &fchown_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_fchown_sync(int fd, uint32_t uid, uint32_t gid) {
    rondo__fs_call call = {.fd = fd, .uid = uid, .gid = gid};
    return (int)rondo__fs_now(&fchown_op, &call);
}

/* ---- times ---- */

static struct timespec time_of(int64_t time_ns) {
    struct timespec time = {.tv_sec = 0, .tv_nsec = 0};
    if (time_ns == RONDO_TIME_NOW) {
        time.tv_nsec = UTIME_NOW;
    } else if (time_ns == RONDO_TIME_OMIT) {
        time.tv_nsec = UTIME_OMIT;
    } else {
        int64_t rest = time_ns % 1000000000;
        if (rest < 0) rest += 1000000000; /* before 1970 the second is the one before */
        time.tv_sec = (time_t)((time_ns - rest) / 1000000000);
        time.tv_nsec = (long)rest;
    }
    return time;
}

/* Of the path, or of the descriptor when there is none; call->flags are those of utimensat(2). */
static int64_t run_utime(rondo__fs_call *call) {
    struct timespec times[2] = {time_of(call->atime_ns), time_of(call->mtime_ns)};
    RONDO__FS_RETURN(call->path ? utimensat(AT_FDCWD, call->path, times, call->flags)
                                : futimens(call->fd, times));
}
static const rondo__fs_op utime_op = {
    .event = {"fs.utime", rondo__fs_thunk}, .run = run_utime, .needs = RONDO__FS_PATH};
static const rondo__fs_op lutime_op = {
    .event = {"fs.lutime", rondo__fs_thunk}, .run = run_utime, .needs = RONDO__FS_PATH};
static const rondo__fs_op futime_op = {.event = {"fs.futime", rondo__fs_thunk}, .run = run_utime};

int rondo_fs_utime(rondo_loop *loop, const char *path, int64_t atime_ns, int64_t mtime_ns,
                   rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.path = path, .atime_ns = atime_ns, .mtime_ns = mtime_ns};
    return rondo__fs_start(loop, &utime_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_utime_sync(const char *path, int64_t atime_ns, int64_t mtime_ns) {
    rondo__fs_call call = {.path = path, .atime_ns = atime_ns, .mtime_ns = mtime_ns};
    return (int)rondo__fs_now(&utime_op, &call);
}

int rondo_fs_lutime(rondo_loop *loop, const char *path, int64_t atime_ns, int64_t mtime_ns,
                    rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {
        .path = path, .flags = AT_SYMLINK_NOFOLLOW, .atime_ns = atime_ns, .mtime_ns = mtime_ns};
    return rondo__fs_start(loop, &lutime_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_lutime_sync(const char *path, int64_t atime_ns, int64_t mtime_ns) {
    rondo__fs_call call = {
        .path = path, .flags = AT_SYMLINK_NOFOLLOW, .atime_ns = atime_ns, .mtime_ns = mtime_ns};
    return (int)rondo__fs_now(&lutime_op, &call);
}

int rondo_fs_futime(rondo_loop *loop, int fd, int64_t atime_ns, int64_t mtime_ns,
                    rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.fd = fd, .atime_ns = atime_ns, .mtime_ns = mtime_ns};
    return rondo__fs_start(loop, &futime_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_futime_sync(int fd, int64_t atime_ns, int64_t mtime_ns) {
    rondo__fs_call call = {.fd = fd, .atime_ns = atime_ns, .mtime_ns = mtime_ns};
    return (int)rondo__fs_now(&futime_op, &call);
}
