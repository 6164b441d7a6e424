/* SPDX-License-Identifier: MIT
 *
 * Files as streams: one that reads a file or a part of it, one that writes or appends to it. They are
 * rondo_streams (stream.h), so that backpressure, pipes, timeouts and close are the same as with
 * sockets, and rondo_pipe() connects any two:
 *
 *     rondo_stream *file;
 *     if (rondo_file_reader_open(loop, "movie", 0, -1, &file) == 0) rondo_pipe(file, conn);
 *
 * The loop never waits for a disk. What is in the page cache is read where the loop dispatches (64
 * KiB at a time); all else is opened, read, written and closed on the fs lane (pool.h), one piece at a
 * time for each stream. Piped into a socket, file bytes leave by sendfile(2) once a worker has them
 * in the cache, unless a `data` listener wants to see them. The kernel sends the file's own pages: a
 * file that is changed before the peer has its bytes may arrive changed. One that is cut while a piece
 * of it is on the way fails the socket with RONDO_EIO.
 *
 * Opening: `connect` says that the file is open, `error` that it can't be opened. What is written
 * before waits. A stream on a descriptor is open from the start, without `connect`; what it can't
 * do comes as `error` of the first read or write.
 *
 * Of the events and settings of a stream:
 *   end           the reader has told the last byte of its range, or of the file: where the file ends
 *                 then. One that grows is read as far as it has grown, one that is cut ends early.
 *   finish        after rondo_end(): all is handed to the kernel, and the file is closed, so that an
 *                 error that shows only then (NFS, quotas) is an `error`, not a `finish`. A computer
 *                 that crashes may still lose it, unless RONDO_WRITER_SYNC is set.
 *   drain         as for sockets; a writer's mark is 256 KiB unless set: worth a trip to a worker.
 *   error         RONDO_ENOSPC, RONDO_EIO, RONDO_EFBIG, ...: what is queued is dropped, lent memory
 *                 comes back with the error, and the stream closes. What was written is in the file.
 *   read high-water mark   the most that a reader has read and not yet told, and one `data` event brings.
 *   timeouts      a disk or device that brings or takes nothing for so long gives `timeout`.
 *   rondo_try_write()      takes what is below the high-water mark; RONDO_EAGAIN when something is queued.
 *   rondo_stream_peer()    RONDO_ENOTCONN.
 * bytes_in and bytes_out count what was told, and what the kernel has taken.
 *
 * rondo_close() and rondo_destroy() drop what is queued: the file keeps what was written until then,
 * the piece that a worker is at included. The descriptor is closed by a worker, after that piece and
 * perhaps after `close`, at the latest by rondo_loop_free(), which waits for what is being written.
 * Reading is not waited for: a worker that is in the middle of it, perhaps for ever (a dead network
 * file system), is abandoned (rondo_job_abandon()), and closes the file when it comes back. A file of
 * which other programs must never see a half should be written under another name, and renamed after
 * `finish`.
 *
 * A descriptor with O_DIRECT works only as far as the file system takes any buffer and range; most end
 * the stream with RONDO_EINVAL where those are not aligned (open(2), NOTES).
 *
 * Pipes, terminals and sockets are better opened with rondo_stream_open(): here each keeps a worker
 * while it waits, though not when the stream is closed. Loop thread only.
 */
#ifndef RONDO_FILE_STREAM_H
#define RONDO_FILE_STREAM_H

#include <rondo/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reads `length` bytes (-1: to the end) of the file at path from offset on. At offset -1 it reads
 * from the position, as read(2) does: for what has no offsets. The path is copied; links are
 * followed. Nothing is read before somebody wants it. Returns 0, RONDO_EINVAL (NULL, offset or length
 * below -1 or too large), RONDO_ENOMEM (also when no thread can be started) or RONDO_ENOTSUP (a forked
 * child). */
#define rondo_file_reader_open(loop, path, offset, length, ret_stream) \
    rondo_file_reader_open_at((loop), (path), (offset), (length), (ret_stream), RONDO_HERE)
RONDO_API int rondo_file_reader_open_at(rondo_loop *loop, const char *path, int64_t offset,
                                        int64_t length, rondo_stream **ret_stream,
                                        const char *site);

/* The same on a descriptor, which it takes over (made close-on-exec) and closes. At offset -1 it
 * shares the position with whoever else has the file open; when it closes, the position is behind the
 * last byte told, if the file can seek. Also returns RONDO_EBADF (not open for reading) and
 * RONDO_EEXIST (the loop has a stream on it already); on failure the fd is the caller's. */
#define rondo_file_reader_take(loop, fd, offset, length, ret_stream) \
    rondo_file_reader_take_at((loop), (fd), (offset), (length), (ret_stream), RONDO_HERE)
RONDO_API int rondo_file_reader_take_at(rondo_loop *loop, int fd, int64_t offset, int64_t length,
                                        rondo_stream **ret_stream, const char *site);

typedef enum rondo_writer_flags {
    RONDO_WRITER_CREATE = 1 << 0,    /* the file if it is missing, with `mode` and the umask */
    RONDO_WRITER_TRUNCATE = 1 << 1,  /* to 0 bytes when it is opened */
    RONDO_WRITER_EXCLUSIVE = 1 << 2, /* with CREATE: RONDO_EEXIST if it is there */
    RONDO_WRITER_APPEND = 1 << 3,    /* each piece behind what anybody has written (O_APPEND) */
    RONDO_WRITER_SYNC = 1 << 4       /* fsync(2) before `finish` */
} rondo_writer_flags;

/* Writes to the file at path, from its beginning, or where it ends. Two that append to one file never
 * overwrite each other, but their pieces (of up to 256 KiB) mix. Returns as a reader; unknown flags
 * are RONDO_EINVAL. */
#define rondo_file_writer_open(loop, path, flags, mode, ret_stream) \
    rondo_file_writer_open_at((loop), (path), (flags), (mode), (ret_stream), RONDO_HERE)
RONDO_API int rondo_file_writer_open_at(rondo_loop *loop, const char *path, unsigned flags,
                                        uint32_t mode, rondo_stream **ret_stream, const char *site);

/* The same on a descriptor, which it takes over, from offset on (-1: at its position, or where it ends
 * if it is open with O_APPEND). flags: 0 or RONDO_WRITER_SYNC. */
#define rondo_file_writer_take(loop, fd, offset, flags, ret_stream) \
    rondo_file_writer_take_at((loop), (fd), (offset), (flags), (ret_stream), RONDO_HERE)
RONDO_API int rondo_file_writer_take_at(rondo_loop *loop, int fd, int64_t offset, unsigned flags,
                                        rondo_stream **ret_stream, const char *site);

#ifdef __cplusplus
}
#endif
#endif
