/* SPDX-License-Identifier: MIT
 *
 * File operations, in two forms that say the same. The synchronous ones (..._sync) do it at once, on
 * any thread, and return the result. The others run on the pool's fs lane: each returns 0 when it is under way, and then its
 * callback runs exactly once, never inside the call; or a negative RONDO_E*, and then it never
 * runs: RONDO_EAGAIN (the lane is full, see pool.h), RONDO_ENOMEM, RONDO_EINVAL (NULL, an offset
 * below -1) or RONDO_ENOTSUP (a forked child). What the system says, a bad fd included, comes by
 * the callback.
 *
 * Operations under way at the same time may happen in any order: start one in the callback of the
 * other where it matters. Buffers must live until the callback; paths are copied, and are bytes.
 * ret_job (NULL allowed) is for rondo_job_cancel(): a queued operation never happens, while one
 * that runs goes on and its callback gets the true result. rondo_loop_free() and
 * rondo_loop_close_all() lose no descriptor: what an open brought and nobody heard of is closed, a
 * close that was asked for happens.
 *
 * A worker is kept by what it waits for, so pipes, terminals and sockets are better read through
 * rondo_stream_open(). Loop thread only, but for the
 * synchronous ones.
 */
#ifndef RONDO_FS_H
#define RONDO_FS_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rondo_file_type {
    RONDO_FILE_REGULAR,
    RONDO_FILE_DIRECTORY,
    RONDO_FILE_SYMLINK,
    RONDO_FILE_FIFO,
    RONDO_FILE_SOCKET,
    RONDO_FILE_CHAR_DEVICE,
    RONDO_FILE_BLOCK_DEVICE,
    RONDO_FILE_UNKNOWN
} rondo_file_type;

/* What stat(2) says. */
typedef struct rondo_stat {
    rondo_file_type type;
    uint32_t mode; /* permission bits */
    uint32_t uid, gid;
    uint64_t dev, ino, nlink;
    int64_t size;                         /* bytes */
    int64_t blocks;                       /* of 512 bytes */
    int64_t atime_ns, mtime_ns, ctime_ns; /* since 1970; cut to what 64 bits hold (1677 to 2262) */
    int64_t btime_ns;                     /* of its birth; 0 unless has_btime */
    bool has_btime;                       /* the file system knows it */
} rondo_stat;

/* result: an fd, a number of bytes or 0, or a negative RONDO_E*. */
typedef void (*rondo_fs_cb)(rondo_loop *loop, int64_t result, void *arg);
/* stat is NULL when result is negative; valid during the call. */
typedef void (*rondo_fs_stat_cb)(rondo_loop *loop, int result, const rondo_stat *stat, void *arg);

/* open(2); flags and mode as there; O_CLOEXEC is added. The result is the fd, the caller's to
 * close. */
RONDO_API int rondo_fs_open(rondo_loop *loop, const char *path, int flags, uint32_t mode,
                            rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_open_sync(const char *path, int flags, uint32_t mode);
/* close(2). The fd is gone whatever the result says. Never refused for a full queue; where no
 * thread can be started, it closes inside the call. When the call fails (RONDO_ENOMEM), the fd is
 * open. */
RONDO_API int rondo_fs_close(rondo_loop *loop, int fd, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_close_sync(int fd);
/* pread(2) at offset, or read(2) at the file's position when offset is -1. The result is how many
 * bytes, 0 at the end of the file; fewer than len is no error. Up to 128 KiB that are in the page
 * cache are read inside the call, without a worker and without waiting (preadv2(2), RWF_NOWAIT),
 * where the file system can do that; the callback comes in the next pending phase. */
RONDO_API int rondo_fs_read(rondo_loop *loop, int fd, void *buffer, size_t len, int64_t offset,
                            rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int64_t rondo_fs_read_sync(int fd, void *buffer, size_t len, int64_t offset);
/* pwrite(2) at offset, or write(2) when offset is -1. Writes all of it: the result is len, or the
 * error that stopped it (RONDO_ENOSPC, ...), and then a part may be written. No SIGPIPE. */
RONDO_API int rondo_fs_write(rondo_loop *loop, int fd, const void *data, size_t len, int64_t offset,
                             rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int64_t rondo_fs_write_sync(int fd, const void *data, size_t len, int64_t offset);
/* The same of many buffers in a row, any number; the array is copied, the buffers are not. */
RONDO_API int rondo_fs_readv(rondo_loop *loop, int fd, const rondo_buffer *buffers, size_t count,
                             int64_t offset, rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int64_t rondo_fs_readv_sync(int fd, const rondo_buffer *buffers, size_t count,
                                      int64_t offset);
RONDO_API int rondo_fs_writev(rondo_loop *loop, int fd, const rondo_slice *pieces, size_t count,
                              int64_t offset, rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int64_t rondo_fs_writev_sync(int fd, const rondo_slice *pieces, size_t count,
                                       int64_t offset);
/* fstat(2). */
RONDO_API int rondo_fs_fstat(rondo_loop *loop, int fd, rondo_job **ret_job, rondo_fs_stat_cb cb,
                             void *arg);
RONDO_API int rondo_fs_fstat_sync(int fd, rondo_stat *ret_stat);
/* stat(2): follows symbolic links. */
RONDO_API int rondo_fs_stat(rondo_loop *loop, const char *path, rondo_job **ret_job,
                            rondo_fs_stat_cb cb, void *arg);
RONDO_API int rondo_fs_stat_sync(const char *path, rondo_stat *ret_stat);

#ifdef __cplusplus
}
#endif
#endif
