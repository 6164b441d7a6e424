/* SPDX-License-Identifier: MIT
 *
 * What only Unix sockets can do: pass descriptors along with bytes, and say who is at the other end.
 * Everything else about them is as for other streams: rondo_server_listen_unix(), rondo_connect_with()
 * with a path, rondo_stream_new_pair().
 *
 * A descriptor travels with the bytes that it was written with (at least one), in their order; it
 * arrives before the `data` event that brings the first of them. A descriptor that was a stream or
 * a pipe on one side can be a stream on the other. What was received is close-on-exec.
 *
 * Only streams that have had a listener of `fd` or `stream` receive descriptors; for all others the
 * kernel drops them. Bytes have to be read for them to arrive (by a `data` listener or
 * rondo_resume()). One that nobody wants is closed at once and counted
 * (rondo_metrics.unheard_errors). When this process has no room for more, some of them are lost; the
 * rest are closed, and the stream fails with RONDO_EMFILE.
 * Loop thread only.
 */
#ifndef RONDO_UNIX_H
#define RONDO_UNIX_H

#include <rondo/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* fd is the listener's, who has to close it. */
typedef void (*rondo_stream_fd_cb)(rondo_stream *stream, int fd, void *arg);
/* received is open, and nobody reads it yet. Its errors that nobody hears are counted, as those of
 * what a server accepted. */
typedef void (*rondo_stream_stream_cb)(rondo_stream *stream, rondo_stream *received, void *arg);

/* A descriptor has come. With a listener of `stream` too, only what can't be a stream comes here. on
 * and once may also return RONDO_ENOTSUP: not a Unix socket, or one with TLS. */
RONDO_DECLARE_EVENT(rondo_stream, rondo_stream, fd, rondo_stream_fd_cb);
/* A connected stream socket, an end of a pipe or a terminal has come, and is a stream now. */
RONDO_DECLARE_EVENT(rondo_stream, rondo_stream, stream, rondo_stream_stream_cb);

/* Writes data, not empty, and fd with it. The other side gets a descriptor of its own for the same
 * file (as of dup(2)). own_fd: it is closed when it has left or was dropped, also on failure; else a
 * copy is sent, and fd may be closed at once. Returns as rondo_write(), or RONDO_EBADF, RONDO_EINVAL
 * (data is empty), RONDO_ENOTSUP (not a Unix socket, or one with TLS), RONDO_EMFILE (no room for the
 * copy). The stream fails with RONDO_EMFILE when more descriptors are on their way than this process
 * may have open (unix(7), ETOOMANYREFS). */
RONDO_API int rondo_write_fd(rondo_stream *stream, rondo_slice data, int fd, bool own_fd);

/* The same with a stream of the same loop, which closes here without the connection being shut down:
 * the other side goes on with it. What it has not read yet is read there. Returns as
 * rondo_write_fd(), or RONDO_EBUSY (it has something queued, is piped, belongs to a protocol or is
 * not open yet), RONDO_EINVAL (also for stream == passed), RONDO_ENOTSUP (TLS, or a standard
 * stream); passed is as it was then. */
RONDO_API int rondo_write_stream(rondo_stream *stream, rondo_slice data, rondo_stream *passed);

typedef struct rondo_credentials {
    int64_t pid;
    uint32_t uid, gid;
} rondo_credentials;
/* Who connected, or listened, or made the pair (SO_PEERCRED): as it was then. 0, RONDO_ENOTSUP (not a
 * Unix socket), RONDO_ENOTCONN (still connecting), RONDO_ECLOSED. */
RONDO_API int rondo_unix_credentials(const rondo_stream *stream,
                                     rondo_credentials *ret_credentials);

#ifdef __cplusplus
}
#endif
#endif
