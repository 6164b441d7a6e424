/* SPDX-License-Identifier: MIT
 *
 * The seam between a stream and its descriptor. A plain stream has no transport: read.c and send.c
 * call socket.h themselves, at the cost of one predictable branch. Whatever moves bytes in another
 * way (TLS, descriptors beside bytes, a file as standard output) is a table of these functions, set
 * by rondo__stream_set_transport(). A file has no readiness either, and says itself when it can go on
 * (`watch`). Internal, for src/net/.
 *
 * None of them but `beside` calls user functions, fails or closes the stream: they return what
 * happened, as the functions of socket.h do, and the stream does the rest. An EAGAIN is honest: the
 * fd's readiness, or `ready`, brings the stream back.
 */
#ifndef RONDO__TRANSPORT_H
#define RONDO__TRANSPORT_H

#include <rondo/base.h>

#include <sys/uio.h>

/* One gathered write has so many pieces at most. */
#define RONDO__SEND_PIECES 64

typedef struct rondo__transport {
    const char *name;
    bool secure; /* nobody in between can read or change its bytes */
    /* For a stream without a descriptor to poll: it wants to hear of `events` from now on, as of
     * rondo__io_watch(). The transport calls rondo__stream_ready() for those that are there, again and
     * again as long as they are, from where the loop dispatches, never inside this call. NULL: the fd's
     * readiness. */
    void (*watch)(rondo_stream *stream, int events);
    /* write() says RONDO_EAGAIN when it has begun, and how much of the same bytes is written when it
     * is called again. So it must get bytes of the queue only: they stay until then. */
    bool later;
    /* Bytes read, 0 at the end, RONDO_EAGAIN, an error. */
    int64_t (*read)(rondo_stream *stream, void *buffer, size_t size);
    /* Puts what comes next into dst's queue as a piece of a file, without reading it: how many bytes,
     * or RONDO_ENOTSUP: it has to be read. NULL: always. */
    int64_t (*offer)(rondo_stream *stream, rondo_stream *dst);
    /* Whether there is something to read, without taking it: 1, 0 at the end, RONDO_EAGAIN, an error.
     * For streams that nobody reads. NULL: that can't be told. */
    int (*peek)(rondo_stream *stream);
    /* After each read that brought bytes, before they are told: tells of what came beside them. The
     * only one that calls user functions, and may fail or close the stream. Or NULL. With it, a
     * short read means that the fd's readiness tells of the rest. */
    void (*beside)(rondo_stream *stream);
    /* With `beside`: bytes just read that the stream doesn't want any more, since a listener of what
     * came beside them said so. The next read() gives them, and `pending` says that they are there.
     * 0 or RONDO_ENOMEM. */
    int (*keep)(rondo_stream *stream, rondo_slice bytes);
    /* Bytes taken, RONDO_EAGAIN, an error. flags of rondo__socket_write(). */
    int64_t (*write)(rondo_stream *stream, const struct iovec *iov, int count, int flags);
    /* As rondo__socket_sendfile(). NULL: files are read and written. */
    int64_t (*sendfile)(rondo_stream *stream, int file, uint64_t offset, uint64_t len);
    /* Pushes on what write() has taken and not yet handed to the kernel: 0, RONDO_EAGAIN, an error.
     * Called before each write and until it is 0. NULL: write() keeps nothing. */
    int (*flush)(rondo_stream *stream);
    /* Ends the write side, behind the last byte: 0, RONDO_EAGAIN (call again when writable), an
     * error. */
    int (*shut)(rondo_stream *stream);
    /* Whether the last EAGAIN of write() or shut() was for want of bytes from the peer, not of room:
     * then the stream waits to be readable, and reads or peeks before it tries again. NULL: never. */
    bool (*starved)(const rondo_stream *stream);
    /* Whether bytes are waiting that the fd's readiness does not tell of. NULL: never. */
    bool (*pending)(const rondo_stream *stream);
    /* While the stream is opening (RONDO__OPENING): the fd is ready for `events`. 0: it is open;
     * RONDO_EAGAIN: not yet, watch for *ret_events; an error. NULL: it opens at once. */
    int (*handshake)(rondo_stream *stream, int events, int *ret_events);
    /* The stream closes; its fd is still open. Says goodbye without waiting. Or NULL. */
    void (*stop)(rondo_stream *stream);
    /* Frees the state. Or NULL. */
    void (*free)(rondo_stream *stream);
} rondo__transport;

/* Before anything was read or written, or from the transport that is replaced. state: for
 * rondo__stream_transport_state(), which goes with `free`. 0 or RONDO_ENOMEM. */
int rondo__stream_set_transport(rondo_stream *stream, const rondo__transport *transport,
                                void *state);
void *rondo__stream_transport_state(const rondo_stream *stream);

#endif
