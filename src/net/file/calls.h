/* SPDX-License-Identifier: MIT
 *
 * Every system call on the descriptor of a file stream, in one place. All functions return a negative
 * RONDO_E* on failure. Those that may wait are for workers. Internal.
 */
#ifndef RONDO__FILE_CALLS_H
#define RONDO__FILE_CALLS_H

#include <rondo/base.h>

#include <rondo/pool.h>

/* ---- for the loop: these don't wait ---- */

/* How a file can be read without waiting for a disk. */
typedef enum rondo__file_cache {
    RONDO__FILE_UNCACHED, /* not at all: a device, a file system that can't say, O_DIRECT */
    RONDO__FILE_CACHED,   /* what is in the page cache, by RWF_NOWAIT */
    RONDO__FILE_MEMORY    /* all of it: it is in memory only (tmpfs, memfd) */
} rondo__file_cache;

/* 0, RONDO_EBADF when fd is not open for that; makes it close-on-exec. */
int rondo__file_adopt(int fd, bool writes);
rondo__file_cache rondo__file_cache_of(int fd);
/* Bytes read at offset (-1: at the position), 0 at the end, RONDO_EAGAIN when only a worker can tell,
 * and RONDO_ENOTSUP when that is always so for this file. */
int64_t rondo__file_read_now(int fd, rondo__file_cache cache, void *buffer, size_t size,
                             int64_t offset);
/* The same with a file of which nothing is known: RONDO_EAGAIN is all that it says besides. */
int64_t rondo__file_read_cached(int fd, void *buffer, size_t size, uint64_t offset);
/* The size of a regular file of which something is in the page cache; RONDO_ENOTSUP. */
int64_t rondo__file_size(int fd);
/* Another descriptor for the same file, close-on-exec. */
int rondo__file_copy_fd(int fd);

/* ---- for workers ---- */

/* open(2), close-on-exec. Returns the fd. RONDO_ECANCELED as below, while a FIFO has no reader. */
int rondo__file_open(const char *path, int flags, uint32_t mode, const rondo_job *job);
/* Whether it may have nothing for hours: a device, a FIFO. */
bool rondo__file_may_starve(int fd);
/* Bytes read at offset (-1: at the position), 0 at the end. RONDO_ECANCELED when the job was
 * canceled while one that may starve had nothing to give. */
int64_t rondo__file_read(int fd, void *buffer, size_t size, int64_t offset, bool starves,
                         const rondo_job *job);
/* Writes all of it; how much of it, and in *ret_error why not the rest, or 0. */
size_t rondo__file_write(int fd, const char *data, size_t size, int64_t offset,
                         const rondo_job *job, int *ret_error);
/* Reads a part of a file into the page cache. */
void rondo__file_warm(int fd, uint64_t offset, uint64_t len, const rondo_job *job);
/* fsync(2): 0 also for what has nothing to sync. */
int rondo__file_sync(int fd);
/* Moves the position back. */
void rondo__file_unread(int fd, uint64_t bytes);
int rondo__file_close(int fd);

#endif
