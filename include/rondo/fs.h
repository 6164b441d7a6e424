/* SPDX-License-Identifier: MIT
 *
 * File operations: the rules, the types, and what is done on descriptors. By name: fs_path.h.
 *
 * Each comes in two forms that do and say the same. The synchronous one (..._sync) does it at once,
 * on any thread, and returns the result: 0 or more, or a negative RONDO_E*, and then its outputs
 * are untouched. The other one runs on the pool's fs lane, loop thread only. It returns 0 when it
 * is under way, and then its callback gets that same result, exactly once, never inside the call;
 * or else the callback never runs: RONDO_EAGAIN (the lane is full, see pool.h), RONDO_ENOMEM,
 * RONDO_EINVAL (NULL, an offset below -1) or RONDO_ENOTSUP (a forked child). What the system says,
 * a bad fd included, comes by the callback.
 *
 * Operations under way at the same time may happen in any order: start one in the callback of the
 * other where it matters. Buffers must live until the callback; paths and arrays are copied. What a
 * callback is handed is the library's and valid during the call.
 * ret_job (NULL allowed) is for pool.h: priority, timeout, rondo_job_cancel(): a queued operation
 * never happens, while one that runs goes on and its callback gets the true result. rondo_loop_free()
 * and rondo_loop_close_all() lose no descriptor: what an open brought and nobody heard of is closed, a
 * close that was asked for happens.
 *
 * Reads, stats and opens that the kernel can answer from memory are done inside the call, without a
 * worker and without waiting; their callback comes in the next pending phase. At most
 * RONDO_BUDGET_cached_files of them per turn, and workers do the rest; of opens and
 * stats by name one per turn, while no worker has an operation of this loop. rondo_metrics counts them.
 *
 * A worker is kept by what it waits for, so pipes, terminals and sockets are better read through
 * rondo_stream_open(). Interrupted system calls are repeated; no operation raises SIGPIPE; every
 * descriptor has O_CLOEXEC.
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

/* What statx(2) says. */
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

/* What statfs(2) says of a file system. */
typedef struct rondo_statfs {
    uint64_t type;       /* statfs(2) has a table: 0xef53 is ext4 */
    uint64_t block_size; /* bytes */
    uint64_t blocks, free_blocks;
    uint64_t available_blocks;  /* free to who is not root */
    uint64_t files, free_files; /* inodes */
    uint64_t name_max;          /* bytes of one name */
    bool read_only;
} rondo_statfs;

/* result: an fd, a number of bytes or 0, or a negative RONDO_E*. */
typedef void (*rondo_fs_cb)(rondo_loop *loop, int64_t result, void *arg);
/* stat and statfs are NULL when result is negative. */
typedef void (*rondo_fs_stat_cb)(rondo_loop *loop, int result, const rondo_stat *stat, void *arg);
typedef void (*rondo_fs_statfs_cb)(rondo_loop *loop, int result, const rondo_statfs *statfs,
                                   void *arg);

/* ---- bytes ---- */

/* close(2). The fd is gone whatever the result says. Never refused for a full queue; where no
 * thread can be started, it closes inside the call. When the call fails (RONDO_ENOMEM), the fd is
 * open. */
RONDO_API int rondo_fs_close(rondo_loop *loop, int fd, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_close_sync(int fd);
/* pread(2) at offset, or read(2) at the file's position when offset is -1. The result is how many
 * bytes, 0 at the end of the file; fewer than len is no error. Up to 128 KiB are taken from the
 * page cache (preadv2(2), RWF_NOWAIT), where the file system can do that. */
RONDO_API int rondo_fs_read(rondo_loop *loop, int fd, void *buffer, size_t len, int64_t offset,
                            rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int64_t rondo_fs_read_sync(int fd, void *buffer, size_t len, int64_t offset);
/* pwrite(2) at offset, or write(2) when offset is -1. Writes all of it: the result is len, or the
 * error that stopped it (RONDO_ENOSPC, ...), and then a part may be written. A file opened with
 * O_APPEND grows at its end whatever offset says. */
RONDO_API int rondo_fs_write(rondo_loop *loop, int fd, const void *data, size_t len, int64_t offset,
                             rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int64_t rondo_fs_write_sync(int fd, const void *data, size_t len, int64_t offset);
/* The same with many buffers in a row, any number of them. */
RONDO_API int rondo_fs_readv(rondo_loop *loop, int fd, const rondo_buffer *buffers, size_t count,
                             int64_t offset, rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int64_t rondo_fs_readv_sync(int fd, const rondo_buffer *buffers, size_t count,
                                      int64_t offset);
RONDO_API int rondo_fs_writev(rondo_loop *loop, int fd, const rondo_slice *pieces, size_t count,
                              int64_t offset, rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int64_t rondo_fs_writev_sync(int fd, const rondo_slice *pieces, size_t count,
                                       int64_t offset);
/* Moves len bytes from from_fd at offset (-1: its position) to the position of to_fd, inside the
 * kernel where it can: sendfile(2), else by reading and writing. The result is how many: fewer at
 * the end of from_fd, or when something failed after a part; that error comes with the next call.
 * Canceled after a part: RONDO_ECANCELED, and the positions say how far it came. */
RONDO_API int rondo_fs_sendfile(rondo_loop *loop, int to_fd, int from_fd, int64_t offset,
                                uint64_t len, rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int64_t rondo_fs_sendfile_sync(int to_fd, int from_fd, int64_t offset, uint64_t len);

/* ---- the file behind a descriptor ---- */

/* fstat(2) and fstatfs(2). */
RONDO_API int rondo_fs_fstat(rondo_loop *loop, int fd, rondo_job **ret_job, rondo_fs_stat_cb cb,
                             void *arg);
RONDO_API int rondo_fs_fstat_sync(int fd, rondo_stat *ret_stat);
RONDO_API int rondo_fs_fstatfs(rondo_loop *loop, int fd, rondo_job **ret_job, rondo_fs_statfs_cb cb,
                               void *arg);
RONDO_API int rondo_fs_fstatfs_sync(int fd, rondo_statfs *ret_statfs);
/* ftruncate(2): what is beyond size is gone, what is missing reads as zeros. */
RONDO_API int rondo_fs_ftruncate(rondo_loop *loop, int fd, int64_t size, rondo_job **ret_job,
                                 rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_ftruncate_sync(int fd, int64_t size);

typedef enum rondo_allocate {
    RONDO_ALLOCATE_EXTEND,     /* space for the range; the file grows to its end */
    RONDO_ALLOCATE_KEEP_SIZE,  /* the same, but the size stays */
    RONDO_ALLOCATE_PUNCH_HOLE, /* gives the space back; it reads as zeros; the size stays */
    RONDO_ALLOCATE_ZERO_RANGE  /* it reads as zeros, and has its space; the file may grow */
} rondo_allocate;
/* fallocate(2). RONDO_ENOTSUP where the file system has no such thing: it is never imitated by
 * writing. */
RONDO_API int rondo_fs_fallocate(rondo_loop *loop, int fd, rondo_allocate how, int64_t offset,
                                 int64_t len, rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_fallocate_sync(int fd, rondo_allocate how, int64_t offset, int64_t len);

/* fsync(2): returns when the file's data and attributes are on the disk. An error says that data may
 * be lost that was written before, and comes once; write it again, don't only sync again. fdatasync
 * leaves out attributes that reading does not need (times). A new name is on the disk when its
 * directory was synced, too. */
RONDO_API int rondo_fs_fsync(rondo_loop *loop, int fd, rondo_job **ret_job, rondo_fs_cb cb,
                             void *arg);
RONDO_API int rondo_fs_fsync_sync(int fd);
RONDO_API int rondo_fs_fdatasync(rondo_loop *loop, int fd, rondo_job **ret_job, rondo_fs_cb cb,
                                 void *arg);
RONDO_API int rondo_fs_fdatasync_sync(int fd);

typedef enum rondo_advice {
    RONDO_ADVICE_NORMAL,
    RONDO_ADVICE_SEQUENTIAL,
    RONDO_ADVICE_RANDOM,
    RONDO_ADVICE_WILL_NEED, /* begins to read it into the page cache, as readahead(2) */
    RONDO_ADVICE_DONT_NEED, /* the page cache may forget it */
    RONDO_ADVICE_NO_REUSE
} rondo_advice;
/* posix_fadvise(2) about a range; len 0: to the end. */
RONDO_API int rondo_fs_fadvise(rondo_loop *loop, int fd, int64_t offset, int64_t len,
                               rondo_advice advice, rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_fadvise_sync(int fd, int64_t offset, int64_t len, rondo_advice advice);

/* fchmod(2), fchown(2): UINT32_MAX leaves the uid or gid as it is. */
RONDO_API int rondo_fs_fchmod(rondo_loop *loop, int fd, uint32_t mode, rondo_job **ret_job,
                              rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_fchmod_sync(int fd, uint32_t mode);
RONDO_API int rondo_fs_fchown(rondo_loop *loop, int fd, uint32_t uid, uint32_t gid,
                              rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_fchown_sync(int fd, uint32_t uid, uint32_t gid);

/* In place of a time: the present one, or the one that the file has. */
#define RONDO_TIME_NOW (INT64_MAX - 1)
#define RONDO_TIME_OMIT (INT64_MIN + 1)
/* futimens(3): when it was last read and written, in ns since 1970. */
RONDO_API int rondo_fs_futime(rondo_loop *loop, int fd, int64_t atime_ns, int64_t mtime_ns,
                              rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_futime_sync(int fd, int64_t atime_ns, int64_t mtime_ns);

#ifdef __cplusplus
}
#endif
#endif
