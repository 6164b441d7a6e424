/* SPDX-License-Identifier: MIT
 *
 * Readiness to callbacks. One read of up to 64 KiB (or the read mark) into the loop's shared buffer for each
 * readiness, and another only if that one filled the buffer: a short read means that the kernel had
 * no more, so asking again would be a system call for nothing. A transport is asked until it has no
 * more: its reads are short for reasons of its own.
 *
 * Pausing is lazy. The fd stays watched, and only when bytes arrive that nobody wants does the
 * watch end: most pauses are over before the peer sends anything, and cost no system call.
 */
#include <rondo/loop.h>

#include "net/duplex.h"
#include "net/socket.h"

static bool started(const rondo_stream *stream) {
    if ((stream->flags & RONDO__RESUMED) || rondo__pipe_leads_on(stream)) return true;
    return rondo__stream_has_slots(stream) && rondo__heard(&stream->on[RONDO__STREAM_DATA]);
}

bool rondo__stream_wants(const rondo_stream *stream) {
    uint32_t not_now = RONDO__PAUSED | RONDO__HELD | RONDO__EOF | RONDO__FAILED | RONDO__OPENING;
    return !(stream->flags & not_now) && !rondo__handle_closing(&stream->base) && started(stream);
}

/* Whether bytes wait that the fd's readiness does not tell of. */
static bool is_pending(const rondo_stream *stream) {
    if (stream->flags & RONDO__UNREAD) return true;
    const rondo__transport *transport = rondo__transport_of(stream);
    return transport && transport->pending && transport->pending(stream);
}

int rondo__stream_rewatch(rondo_stream *stream, bool wanted) {
    int events = rondo__stream_watched(stream);
    if (!rondo__stream_wants(stream)) return 0;
    if (!wanted) rondo__timeouts_read(stream);
    if (is_pending(stream)) rondo__stream_report_later(stream);
    if (events & RONDO__READABLE) return 0;
    return rondo__stream_watch(stream, events | RONDO__READABLE);
}

static void unwatch(rondo_stream *stream, int event) {
    int events = rondo__stream_watched(stream);
    if (events & event) rondo__stream_watch(stream, events & ~event);
}

static void at_end(rondo_stream *stream) {
    stream->flags |= RONDO__EOF;
    unwatch(stream, RONDO__READABLE);
    rondo__stream_tell(stream, RONDO__STREAM_END);
    if (rondo__stream_dead(stream)) return;
    /* What a pipe writes to this stream ends with the pipe's source, not with the peer: a client
     * may send its request and FIN, and still be read the answer. */
    bool piped_into = rondo__pipe_leads_in(stream);
    rondo__pipe_end(stream);
    if (!(stream->flags & RONDO__HALF_OPEN) && !piped_into) rondo__stream_end(stream);
    rondo__stream_report_later(stream);
}

int rondo__stream_peek(rondo_stream *stream) {
    if (stream->flags & RONDO__UNREAD) return 1;
    const rondo__transport *transport = rondo__transport_of(stream);
    if (transport) return transport->peek ? transport->peek(stream) : 1;
    return stream->flags & RONDO__SOCKET ? rondo__socket_peek(stream->fd) : 1;
}

/* Something came that nobody asked for. If the connection failed, or ended before anybody began to
 * read, that is told now; bytes, and an end behind them, are left alone until they are wanted. */
static void look_at_peer(rondo_stream *stream) {
    int status = rondo__stream_peek(stream);
    if (status == RONDO_EAGAIN) return;
    if (status < 0) {
        rondo__stream_fail(stream, status);
    } else if (status == 0 && !(stream->flags & (RONDO__PAUSED | RONDO__HELD))) {
        at_end(stream);
    } else {
        unwatch(stream, RONDO__READABLE);
        if (!(stream->flags & RONDO__HELD)) rondo__stream_listen_for_reset(stream);
    }
}

/* There was nothing: not now, for good, or it has failed. */
static void read_nothing(rondo_stream *stream, int64_t count) {
    if (count == 0)
        at_end(stream);
    else if (count != RONDO_EAGAIN)
        rondo__stream_fail(stream, (int)count);
}

static inline void count_read(rondo_stream *stream, int64_t count) {
    stream->bytes_in += (uint64_t)count;
    rondo__stream_touch(stream);
    if (stream->extra) rondo__timeouts_read(stream);
}

static uint64_t budget_of(const rondo_stream *stream, size_t size) {
    if (size < RONDO__RECEIVE_BYTES) return size;
    return rondo_loop_budget(stream->base.loop, RONDO_BUDGET_read_bytes);
}

/* Bytes that nobody has to see, from one stream to another. False: they have to be read. */
static bool splice_some(rondo_stream *stream) {
    int64_t count = rondo__pipe_splice(stream);
    if (count == RONDO_ENOTSUP) return false;
    if (count > 0) {
        count_read(stream, count);
        rondo__pipe_spliced(stream, (size_t)count);
    } else {
        read_nothing(stream, count);
    }
    return true;
}

/* Tells what came beside the bytes in the buffer. Whether they are still wanted; if not, they wait. */
static bool tell_beside(rondo_stream *stream, const char *buffer, size_t len) {
    const rondo__transport *transport = rondo__transport_of(stream);
    transport->beside(stream);
    if (rondo__stream_dead(stream)) return false;
    if (rondo__stream_wants(stream)) return true;
    int status = transport->keep(stream, rondo_slice_of(buffer, len));
    if (status < 0) rondo__stream_fail(stream, status);
    stream->bytes_in -= len; /* they are read again */
    return false;
}

static inline int64_t read_bytes(rondo_stream *stream, const rondo__transport *transport,
                                 char *buffer, size_t size) {
    if (RONDO__UNLIKELY(stream->flags & RONDO__UNREAD))
        return rondo__unread_take(stream, buffer, size);
    if (transport) return transport->read(stream, buffer, size);
    return rondo__socket_read(stream->fd, buffer, size);
}

rondo_slice rondo__stream_salvage(rondo_stream *stream) {
    char *buffer = rondo__net_of(stream->base.loop)->receive;
    const rondo__transport *transport = rondo__transport_of(stream);
    RONDO_ASSERT(stream->flags & RONDO__FAILED);
    int64_t count = stream->fd < 0 || (stream->flags & (RONDO__OPENING | RONDO__EOF))
                        ? 0
                        : read_bytes(stream, transport, buffer, RONDO__RECEIVE_BYTES);
    return rondo_slice_of(buffer, count > 0 ? (size_t)count : 0);
}

static void read_some(rondo_stream *stream) {
    char *buffer = rondo__net_of(stream->base.loop)->receive;
    size_t size = RONDO__RECEIVE_BYTES;
    uint64_t total = 0;
    if (stream->extra) {
        uint32_t bulk = stream->flags & (RONDO__BULK | RONDO__UNREAD);
        if (bulk == RONDO__BULK && splice_some(stream)) return;
        size = stream->extra->read_most;
    }
    do {
        /* A listener may have set one. */
        const rondo__transport *transport = rondo__transport_of(stream);
        int64_t count = read_bytes(stream, transport, buffer, size);
        if (count <= 0) {
            read_nothing(stream, count);
            return;
        }
        count_read(stream, count);
        if (transport && transport->beside && !tell_beside(stream, buffer, (size_t)count)) return;
        rondo__stream_tell_data(stream, rondo_slice_of(buffer, (size_t)count));
        if ((!transport || transport->beside) && (size_t)count < size) return;
        total += (uint64_t)count;
    } while (rondo__stream_wants(stream) && total < budget_of(stream, size));
    /* The fd tells again of what the kernel still has, but not of what the transport has. */
    if (rondo__stream_wants(stream) && is_pending(stream)) rondo__stream_report_later(stream);
}

/* A write that waited for the peer to say something tries again. */
static void write_on(rondo_stream *stream) {
    bool blocked = (stream->flags & (RONDO__BLOCKED | RONDO__OPENING)) == RONDO__BLOCKED;
    if (rondo__stream_dead(stream) || !blocked) return;
    if (!(rondo__stream_watched(stream) & RONDO__WRITABLE)) rondo__stream_send(stream, NULL);
}

void rondo__stream_read_on(rondo_stream *stream) {
    if (!rondo__stream_wants(stream) || !is_pending(stream)) return;
    read_some(stream);
    write_on(stream);
}

/* libev stops a watcher that the kernel refuses to watch, and reports it as ready for everything
 * this once. Nothing would ever be heard of it again. */
static void lost_watch(rondo_stream *stream) {
    int error = rondo__socket_error(stream->fd);
    rondo__stream_fail(stream, error < 0 ? error : RONDO_ENOMEM);
}

void rondo__stream_ready(rondo_loop *loop, rondo__io *io, int events) {
    rondo_stream *stream = RONDO__OF(io, rondo_stream, io);
    (void)loop;
    RONDO_ASSERT(!rondo__stream_dead(stream));
    if (!rondo__stream_watched(stream)) {
        lost_watch(stream);
        return;
    }
    if (stream->flags & RONDO__OPENING) {
        rondo__stream_open_ready(stream, events);
        return;
    }
    if (events & RONDO__WRITABLE) {
        if (stream->flags & RONDO__BLOCKED)
            rondo__stream_send(stream, NULL);
        else
            unwatch(stream, RONDO__WRITABLE);
        /* Here, and not in the pending phase, since nothing is in the way. */
        if (!rondo__stream_dead(stream)) rondo__stream_report(stream);
    }
    if (!(events & RONDO__READABLE) || rondo__stream_dead(stream)) return;
    if (rondo__stream_wants(stream))
        read_some(stream);
    else if (!(stream->flags & RONDO__EOF))
        look_at_peer(stream);
    write_on(stream);
}
