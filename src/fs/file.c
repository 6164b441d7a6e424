/* SPDX-License-Identifier: MIT
 *
 * What is done to the file behind a descriptor, but for its bytes and attributes: its size and
 * space, and what of it is on the disk or in memory. truncate(2) by name is here, too.
 */
#define _GNU_SOURCE /* fallocate */
#include <rondo/error.h>
#include <rondo/fs_path.h>

#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "fs/call.h"

/* ---- size and space ---- */

static int64_t run_ftruncate(rondo__fs_call *call) {
    RONDO__FS_RETURN(ftruncate(call->fd, (off_t)call->offset));
}
static const rondo__fs_op ftruncate_op = {.event = {"fs.ftruncate", rondo__fs_thunk},
                                          .run = run_ftruncate};

int rondo_fs_ftruncate(rondo_loop *loop, int fd, int64_t size, rondo_job **ret_job, rondo_fs_cb cb,
                       void *arg) {
    const rondo__fs_call call = {.fd = fd, .offset = size};
    return rondo__fs_start(loop, &ftruncate_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_ftruncate_sync(int fd, int64_t size) {
    rondo__fs_call call = {.fd = fd, .offset = size};
    return (int)rondo__fs_now(&ftruncate_op, &call);
}

static int64_t run_truncate(rondo__fs_call *call) {
    RONDO__FS_RETURN(truncate(call->path, (off_t)call->offset));
}
static const rondo__fs_op truncate_op = {
    .event = {"fs.truncate", rondo__fs_thunk}, .run = run_truncate, .needs = RONDO__FS_PATH};

int rondo_fs_truncate(rondo_loop *loop, const char *path, int64_t size, rondo_job **ret_job,
                      rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.path = path, .offset = size};
    return rondo__fs_start(loop, &truncate_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_truncate_sync(const char *path, int64_t size) {
    rondo__fs_call call = {.path = path, .offset = size};
    return (int)rondo__fs_now(&truncate_op, &call);
}

/* Not posix_fallocate(3), which writes into every block where the file system can't do it. */
static int64_t run_fallocate(rondo__fs_call *call) {
    int mode;
    switch (call->flags) {
    case RONDO_ALLOCATE_EXTEND: mode = 0; break;
    case RONDO_ALLOCATE_KEEP_SIZE: mode = FALLOC_FL_KEEP_SIZE; break;
    case RONDO_ALLOCATE_PUNCH_HOLE: mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE; break;
    case RONDO_ALLOCATE_ZERO_RANGE: mode = FALLOC_FL_ZERO_RANGE; break;
    default: return RONDO_EINVAL;
    }
    RONDO__FS_RETURN(fallocate(call->fd, mode, (off_t)call->offset, (off_t)call->len));
}
static const rondo__fs_op fallocate_op = {.event = {"fs.fallocate", rondo__fs_thunk},
                                          .run = run_fallocate};

int rondo_fs_fallocate(rondo_loop *loop, int fd, rondo_allocate how, int64_t offset, int64_t len,
                       rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.fd = fd, .flags = (int)how, .offset = offset, .len = (size_t)len};
    return rondo__fs_start(loop, &fallocate_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_fallocate_sync(int fd, rondo_allocate how, int64_t offset, int64_t len) {
    rondo__fs_call call = {.fd = fd, .flags = (int)how, .offset = offset, .len = (size_t)len};
    return (int)rondo__fs_now(&fallocate_op, &call);
}

/* ---- on the disk ---- */

static int64_t run_fsync(rondo__fs_call *call) { RONDO__FS_RETURN(fsync(call->fd)); }
static const rondo__fs_op fsync_op = {.event = {"fs.fsync", rondo__fs_thunk}, .run = run_fsync};

int rondo_fs_fsync(rondo_loop *loop, int fd, rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.fd = fd};
    return rondo__fs_start(loop, &fsync_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_fsync_sync(int fd) {
    rondo__fs_call call = {.fd = fd};
    return (int)rondo__fs_now(&fsync_op, &call);
}

static int64_t run_fdatasync(rondo__fs_call *call) { RONDO__FS_RETURN(fdatasync(call->fd)); }
static const rondo__fs_op fdatasync_op = {.event = {"fs.fdatasync", rondo__fs_thunk},
                                          .run = run_fdatasync};

int rondo_fs_fdatasync(rondo_loop *loop, int fd, rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.fd = fd};
    return rondo__fs_start(loop, &fdatasync_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_fdatasync_sync(int fd) {
    rondo__fs_call call = {.fd = fd};
    return (int)rondo__fs_now(&fdatasync_op, &call);
}

/* ---- in memory ---- */

static int64_t run_fadvise(rondo__fs_call *call) {
    int advice, error;
    switch (call->flags) {
    case RONDO_ADVICE_NORMAL: advice = POSIX_FADV_NORMAL; break;
    case RONDO_ADVICE_SEQUENTIAL: advice = POSIX_FADV_SEQUENTIAL; break;
    case RONDO_ADVICE_RANDOM: advice = POSIX_FADV_RANDOM; break;
    case RONDO_ADVICE_WILL_NEED: advice = POSIX_FADV_WILLNEED; break;
    case RONDO_ADVICE_DONT_NEED: advice = POSIX_FADV_DONTNEED; break;
    case RONDO_ADVICE_NO_REUSE: advice = POSIX_FADV_NOREUSE; break;
    default: return RONDO_EINVAL;
    }
    do { /* it returns the error, and leaves errno alone */
        error = posix_fadvise(call->fd, (off_t)call->offset, (off_t)call->len, advice);
    } while (error == EINTR);
    return error == 0 ? 0 : rondo_error_from_errno(error);
}
static const rondo__fs_op fadvise_op = {.event = {"fs.fadvise", rondo__fs_thunk},
                                        .run = run_fadvise};

int rondo_fs_fadvise(rondo_loop *loop, int fd, int64_t offset, int64_t len, rondo_advice advice,
                     rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {
        .fd = fd, .flags = (int)advice, .offset = offset, .len = (size_t)len};
    return rondo__fs_start(loop, &fadvise_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_fadvise_sync(int fd, int64_t offset, int64_t len, rondo_advice advice) {
    rondo__fs_call call = {.fd = fd, .flags = (int)advice, .offset = offset, .len = (size_t)len};
    return (int)rondo__fs_now(&fadvise_op, &call);
}

/* ---- its file system ---- */

static void convert(const struct statfs *from, rondo_statfs *ret_statfs) {
    *ret_statfs = (rondo_statfs){
        .type = (uint64_t)from->f_type & 0xffffffffu, /* signed on some machines */
        .block_size = (uint64_t)from->f_bsize,
        .blocks = from->f_blocks,
        .free_blocks = from->f_bfree,
        .available_blocks = from->f_bavail,
        .files = from->f_files,
        .free_files = from->f_ffree,
        .name_max = (uint64_t)from->f_namelen,
        .read_only = (from->f_flags & 1) != 0, /* ST_RDONLY, whose header hides this one */
    };
}

static int64_t run_statfs(rondo__fs_call *call) {
    struct statfs from;
    int error;
    RONDO__RETRY(error, call->path ? statfs(call->path, &from) : fstatfs(call->fd, &from));
    if (error < 0) return rondo__errno();
    convert(&from, &call->statfs);
    return 0;
}

static void statfs_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                         void *arg) {
    const rondo__fs_answer *answer = payload;
    (void)handle;
    ((rondo_fs_statfs_cb)fn)(loop, (int)answer->result,
                             answer->result < 0 ? NULL : &answer->call.statfs, arg);
}

static const rondo__fs_op statfs_op = {
    .event = {"fs.statfs", statfs_thunk}, .run = run_statfs, .needs = RONDO__FS_PATH};
static const rondo__fs_op fstatfs_op = {.event = {"fs.fstatfs", statfs_thunk}, .run = run_statfs};

static int statfs_now(const rondo__fs_op *op, rondo__fs_call *call, rondo_statfs *ret_statfs) {
    int64_t result = ret_statfs ? rondo__fs_now(op, call) : RONDO_EINVAL;
    if (result == 0) *ret_statfs = call->statfs;
    return (int)result;
}

int rondo_fs_statfs(rondo_loop *loop, const char *path, rondo_job **ret_job, rondo_fs_statfs_cb cb,
                    void *arg) {
    const rondo__fs_call call = {.path = path};
    return rondo__fs_start(loop, &statfs_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_statfs_sync(const char *path, rondo_statfs *ret_statfs) {
    rondo__fs_call call = {.path = path};
    return statfs_now(&statfs_op, &call, ret_statfs);
}

int rondo_fs_fstatfs(rondo_loop *loop, int fd, rondo_job **ret_job, rondo_fs_statfs_cb cb,
                     void *arg) {
    const rondo__fs_call call = {.fd = fd};
    return rondo__fs_start(loop, &fstatfs_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_fstatfs_sync(int fd, rondo_statfs *ret_statfs) {
    rondo__fs_call call = {.fd = fd};
    return statfs_now(&fstatfs_op, &call, ret_statfs);
}
