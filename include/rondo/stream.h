/* SPDX-License-Identifier: MIT
 *
 * A duplex stream of bytes: a TCP connection, a Unix socket, a pipe end.
 *
 * Reading starts with the first `data` listener, rondo_pipe() or rondo_resume(), and stops when
 * there is none of them: no byte is lost between two listeners. Writes are gathered and leave in
 * one system call when the current callback returns; a large one leaves at once, without being
 * copied. Backpressure: rondo_write() says 0 when the queue has reached the high-water mark, and
 * `drain` says when to go on.
 *
 * The life of a stream: data ... -> end (the peer sent its last byte) and finish (our last byte was
 * handed to the kernel) -> close. It closes by itself when both have happened. When the peer ends,
 * so does this side once its queue is written, unless half-open is on. An error is emitted once,
 * then the stream closes. An error that nobody listens for goes to the loop's uncaught handler; on
 * a connection that a server accepted it is counted (rondo_metrics.unheard_errors) instead, since
 * no peer may bring a server down. Marks, buffers and timeouts: stream_settings.h.
 * Loop thread only.
 */
#ifndef RONDO_STREAM_H
#define RONDO_STREAM_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* chunk is the library's, valid until the callback returns. */
typedef void (*rondo_stream_data_cb)(rondo_stream *stream, rondo_slice chunk, void *arg);
typedef void (*rondo_stream_cb)(rondo_stream *stream, void *arg);
typedef void (*rondo_stream_error_cb)(rondo_stream *stream, int error, void *arg);
/* Gives lent memory back, exactly once, on the loop thread, in a later phase and before `close`:
 * status is 0 when all of it was handed to the kernel, otherwise why not (RONDO_ECANCELED after
 * rondo_close()). */
typedef void (*rondo_release_cb)(void *data, size_t len, int status, void *arg);

/* Takes over a connected stream socket, an end of a pipe or a terminal (made non-blocking and
 * close-on-exec). The direction that an end of a pipe lacks is over from the start. Returns 0,
 * RONDO_EBADF, RONDO_ENOTSUP for an fd that can't be one (a regular file, a listening or datagram
 * socket), RONDO_ENOTCONN, RONDO_EEXIST when the loop has a stream on it already, RONDO_ENOMEM. On
 * failure the fd is still the caller's, and as it was. */
#define rondo_stream_open(loop, fd, ret_stream) \
    rondo_stream_open_at((loop), (fd), (ret_stream), RONDO_HERE)
RONDO_API int rondo_stream_open_at(rondo_loop *loop, int fd, rondo_stream **ret_stream,
                                   const char *site);

/* The two ends of a new anonymous pipe (pipe(7)), and of a pair of connected Unix sockets: to talk
 * to oneself, or to give one end away (rondo_write_stream()). 0, RONDO_EMFILE, RONDO_ENFILE or
 * RONDO_ENOMEM. */
#define rondo_stream_new_pipe(loop, ret_reader, ret_writer) \
    rondo_stream_new_pipe_at((loop), (ret_reader), (ret_writer), RONDO_HERE)
RONDO_API int rondo_stream_new_pipe_at(rondo_loop *loop, rondo_stream **ret_reader,
                                       rondo_stream **ret_writer, const char *site);
#define rondo_stream_new_pair(loop, ret_one, ret_other) \
    rondo_stream_new_pair_at((loop), (ret_one), (ret_other), RONDO_HERE)
RONDO_API int rondo_stream_new_pair_at(rondo_loop *loop, rondo_stream **ret_one,
                                       rondo_stream **ret_other, const char *site);

/* A stream that was opening is open: connected, and its TLS handshake done. Only `timeout`, if one
 * was set, may come before it; what was written before goes out then. */
RONDO_DECLARE_EVENT(rondo_stream, rondo_stream, connect, rondo_stream_cb);
RONDO_DECLARE_EVENT(rondo_stream, rondo_stream, data, rondo_stream_data_cb);
/* The peer will send no more. Comes after the last byte was delivered, so not while the stream is
 * paused; on one that nobody has begun to read, only if no bytes are waiting. */
RONDO_DECLARE_EVENT(rondo_stream, rondo_stream, end, rondo_stream_cb);
/* rondo_end() is done: the queue is written and the write side is shut down. */
RONDO_DECLARE_EVENT(rondo_stream, rondo_stream, finish, rondo_stream_cb);
/* After a write said 0, or rondo_try_write() RONDO_EAGAIN: the queue is empty again, and the kernel
 * takes more. */
RONDO_DECLARE_EVENT(rondo_stream, rondo_stream, drain, rondo_stream_cb);
/* The time of rondo_stream_set_timeout(), or of one of the two for a direction, is over. With no
 * listener the stream fails with RONDO_ETIMEDOUT; with one, it is the listener's to decide, and the
 * time starts anew with the next byte or when it is set again. */
RONDO_DECLARE_EVENT(rondo_stream, rondo_stream, timeout, rondo_stream_cb);
RONDO_DECLARE_EVENT(rondo_stream, rondo_stream, error, rondo_stream_error_cb);

/* Queues a copy of data. Returns 1: go on; 0: taken, but wait for `drain` now; RONDO_ECLOSED, also
 * when an error is about to be emitted; RONDO_EPIPE after rondo_end(); RONDO_ENOMEM: not taken
 * (or, if a part had left already, the stream fails with it); RONDO_ENOBUFS: not taken, it would
 * go over the hard cap. What goes wrong with the peer is told by `error`, never here. */
RONDO_API int rondo_write(rondo_stream *stream, rondo_slice data);

/* The same for several pieces, as if they were one: all are taken, or none. */
RONDO_API int rondo_writev(rondo_stream *stream, const rondo_slice *pieces, size_t count);

/* Sends at once, past no queue: returns how many bytes the kernel took, perhaps fewer than there
 * are. RONDO_EAGAIN: it is full, something is queued before, or the stream is not open yet; `drain`
 * tells when to try again. Nothing is kept. RONDO_ECLOSED and RONDO_EPIPE as above; another error is
 * the connection's (RONDO_EPIPE, RONDO_ECONNRESET), and the stream fails with it too. */
RONDO_API int64_t rondo_try_write(rondo_stream *stream, rondo_slice data);

/* rondo_write() without a copy: data must stay as it is until release is called (NULL: static data).
 * release is called unless a negative error was returned. */
RONDO_API int rondo_write_lent(rondo_stream *stream, rondo_slice data, rondo_release_cb release,
                               void *arg);

/* Queues len bytes of a regular file from offset on, moved by sendfile(2); small files are read and
 * leave together with what is written before and behind them. The fd is closed when it is done with
 * if own_fd is true (also on failure). A file that turns out to be shorter fails the stream with
 * RONDO_EIO: the bytes promised can't be sent. Bytes of the file count as queued only one
 * read-ahead (64 KiB) at a time. What is not in the page cache a worker of the fs lane reads into it
 * first, 1 MiB at a time, so that the loop does not wait for the disk. Returns as rondo_write(), or RONDO_EBADF, RONDO_EINVAL (out of
 * range). */
RONDO_API int rondo_write_file(rondo_stream *stream, int fd, uint64_t offset, uint64_t len,
                               bool own_fd);

/* No more writes: what is queued is sent, then the write side is shut down, then `finish`. Returns
 * 0, also when repeated, or RONDO_ECLOSED. */
RONDO_API int rondo_end(rondo_stream *stream);

/* Fails the stream: drops what is queued, emits error (unless 0) and closes. */
RONDO_API void rondo_destroy(rondo_stream *stream, int error);

/* Stops and restarts reading. While paused the kernel's buffer fills and the peer has to wait. Any
 * callback may do so; what was read already has been delivered. A paused stream stays so until
 * rondo_resume(), whoever listens; one that is resumed reads even if nobody does, and drops it. A
 * reset is told meanwhile, and what was not read by then is gone (RFC 9293, 3.10.7.4); an end waits.
 * Cheap: while the peer is silent, neither costs a system call. 0, RONDO_ECLOSED or RONDO_ENOMEM
 * (still paused). */
RONDO_API int rondo_pause(rondo_stream *stream);
RONDO_API int rondo_resume(rondo_stream *stream);
/* Whether rondo_pause() was called last. */
RONDO_API bool rondo_is_paused(const rondo_stream *stream);

/* Reads from src and writes to dst with backpressure; ends dst when src ends (the last of them,
 * when several are piped into it). An error or close of either before that closes the other (with
 * that error). It uses the streams' own pipe machinery, not their listeners: `data` listeners of
 * src still see every chunk, `drain` of dst is for those who write themselves. While something is
 * piped into a stream, the end of its peer does not end it: a client may send FIN behind its
 * request and still get the answer. dst's hard cap is not applied; at most what
 * moves at once goes over the mark (256 KiB). Bytes that nobody looks at move inside the kernel
 * (splice(2)) once there are many, and those of a file (file_stream.h) by sendfile(2); a `data`
 * listener, or TLS at either end, has them read. Returns 0, RONDO_ECLOSED, RONDO_EPIPE when dst has ended, RONDO_EBUSY when src is piped
 * already, RONDO_EINVAL for src == dst (use it twice for both directions) or streams of two loops,
 * RONDO_ENOMEM. */
RONDO_API int rondo_pipe(rondo_stream *src, rondo_stream *dst);
/* Undoes it: what was read goes on to dst, nothing more will, and neither of them is ended or closed.
 * src stops reading unless somebody else wants its bytes. 0, RONDO_ENOENT when src is not piped,
 * RONDO_ECLOSED, RONDO_ENOMEM (it is undone; rondo_resume() tries again). */
RONDO_API int rondo_unpipe(rondo_stream *src);

typedef struct rondo_stream_figures {
    uint64_t bytes_in, bytes_out;
    size_t queued; /* bytes written by the user and not yet taken by the kernel: exact */
} rondo_stream_figures;
RONDO_API void rondo_stream_get_figures(const rondo_stream *stream,
                                        rondo_stream_figures *ret_figures);

/* "127.0.0.1:50312", "[::1]:80", "unix:/run/x.sock", "unix" (unnamed) or "" (a pipe) into text
 * (RONDO_ADDRESS_TEXT_BYTES always do); returns its
 * length, or RONDO_ENOTCONN (also after a reset), RONDO_ENOBUFS, RONDO_ECLOSED. IPv4 peers of an
 * IPv6 server are written as IPv4. */
RONDO_API int rondo_stream_peer(const rondo_stream *stream, char *text, size_t size);
RONDO_API int rondo_stream_local(const rondo_stream *stream, char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
