/* SPDX-License-Identifier: MIT
 *
 * A stream before it is open: without a descriptor while it connects, then perhaps with one whose
 * transport shakes hands. What is written waits in the queue, as for a full kernel; nothing is read.
 * Opening ends in `connect`, or in the `error` of any stream.
 */
#include "net/duplex.h"

rondo_stream *rondo__stream_new_opening(rondo_loop *loop, rondo__opening *opening,
                                        const char *site) {
    rondo_stream *stream = rondo__stream_new(loop, -1, false, 0, site);
    if (!stream) return NULL;
    stream->flags |= RONDO__OPENING | RONDO__BLOCKED;
    if (rondo__stream_need_extra(stream) < 0) {
        rondo__handle_discard(&stream->base);
        return NULL;
    }
    stream->extra->opening = opening;
    return stream;
}

void rondo__stream_cancel_opening(rondo_stream *stream) {
    rondo__opening *opening = stream->extra ? stream->extra->opening : NULL;
    if (!opening) return;
    stream->extra->opening = NULL;
    opening->cancel(stream, opening);
}

void rondo__stream_fail_opening(rondo_stream *stream) {
    rondo__opening *opening = stream->extra ? stream->extra->opening : NULL;
    if (opening && !opening->failed) rondo__stream_cancel_opening(stream);
}

bool rondo__stream_tell_failed_opening(rondo_stream *stream) {
    rondo__opening *opening = stream->extra ? stream->extra->opening : NULL;
    if (!opening) return false;
    stream->extra->opening = NULL;
    opening->failed(stream, opening);
    return true;
}

static void tell_opened(rondo_stream *stream) {
    rondo__opening *opening = stream->extra ? stream->extra->opening : NULL;
    if (opening) stream->extra->opening = NULL;
    if (opening && opening->opened)
        opening->opened(stream, opening);
    else
        rondo__stream_tell(stream, RONDO__STREAM_CONNECT);
}

/* Now bytes may pass. What waited leaves together with what `connect` writes behind it. */
static void open_now(rondo_stream *stream) {
    stream->flags &= ~(uint32_t)(RONDO__OPENING | RONDO__BLOCKED);
    int status = rondo__stream_watch(stream, RONDO__READABLE);
    if (status < 0) rondo__stream_fail(stream, status);
    if (rondo__stream_dead(stream)) return;
    rondo__stream_touch(stream);
    rondo__timeouts_read(stream);
    tell_opened(stream);
    if (rondo__stream_dead(stream)) return;
    if (!(stream->flags & RONDO__BLOCKED)) rondo__stream_send(stream, NULL);
    /* A handshake may have brought the first bytes along. */
    if (!rondo__stream_dead(stream)) rondo__stream_read_on(stream);
}

static void shake(rondo_stream *stream, int events) {
    const rondo__transport *transport = rondo__transport_of(stream);
    int want = RONDO__READABLE, status = 0;
    if (transport && transport->handshake) status = transport->handshake(stream, events, &want);
    if (status == RONDO_EAGAIN)
        status = rondo__io_watch(stream->base.loop, &stream->io, want);
    else if (status == 0)
        open_now(stream);
    if (status < 0) rondo__stream_fail(stream, status);
}

void rondo__stream_open_ready(rondo_stream *stream, int events) { shake(stream, events); }

void rondo__stream_opened(rondo_stream *stream) {
    RONDO_ASSERT((stream->flags & RONDO__OPENING) && rondo__watcher_of(stream));
    open_now(stream);
}

int rondo__stream_connected(rondo_stream *stream, int fd) {
    rondo_loop *loop = stream->base.loop;
    rondo__net *net = rondo__net_of(loop);
    RONDO_ASSERT((stream->flags & RONDO__OPENING) && stream->fd < 0 && fd >= 0);
    if (rondo__net_claim(net, fd) < 0) return RONDO_ENOMEM;
    rondo__io_init(&stream->io, fd, rondo__stream_ready);
    if (rondo__io_watch(loop, &stream->io, RONDO__READABLE) < 0) {
        rondo__io_stop(loop, &stream->io);
        rondo__net_unclaim(net, fd);
        return RONDO_ENOMEM;
    }
    stream->fd = fd;
    /* The kernel may bound the sizes, but does not refuse them. */
    rondo__socket_set_buffers(fd, stream->extra->receive_buffer, stream->extra->send_buffer);
    shake(stream, RONDO__WRITABLE);
    return 0;
}

int rondo__stream_start_handshake(rondo_stream *stream) {
    RONDO_ASSERT(!rondo__stream_dead(stream) && stream->fd >= 0);
    stream->flags |= RONDO__OPENING | RONDO__BLOCKED;
    /* Writable at once: the first step is taken by the loop, not inside this call. */
    return rondo__io_watch(stream->base.loop, &stream->io, RONDO__READABLE | RONDO__WRITABLE);
}

int rondo__stream_set_transport(rondo_stream *stream, const rondo__transport *transport,
                                void *state) {
    int status = rondo__stream_need_extra(stream);
    if (status < 0) return status;
    stream->extra->transport = transport;
    stream->extra->transport_state = state;
    stream->flags |= RONDO__TRANSPORTED;
    return 0;
}

void *rondo__stream_transport_state(const rondo_stream *stream) {
    return stream->extra->transport_state;
}
