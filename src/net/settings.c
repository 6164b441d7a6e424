/* SPDX-License-Identifier: MIT
 *
 * What can be set on a stream and asked of it: reading on and off, marks, buffers, names. Timeouts
 * are in timeouts.c.
 */
#include <limits.h>
#include <string.h>

#include "loop/memory.h"
#include "net/duplex.h"

/* ---- reading on and off ---- */

int rondo_pause(rondo_stream *stream) {
    RONDO__CHECK_STREAM(stream);
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    stream->flags |= RONDO__PAUSED;
    return 0;
}

int rondo_resume(rondo_stream *stream) {
    RONDO__CHECK_STREAM(stream);
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    uint32_t before = stream->flags;
    bool wanted = rondo__stream_wants(stream);
    stream->flags = (stream->flags | RONDO__RESUMED) & ~(uint32_t)RONDO__PAUSED;
    int status = rondo__stream_rewatch(stream, wanted);
    if (status < 0) stream->flags = before;
    return status;
}

bool rondo_is_paused(const rondo_stream *stream) {
    RONDO__CHECK_STREAM(stream);
    return (stream->flags & RONDO__PAUSED) != 0;
}

/* ---- settings and questions ---- */

int rondo__stream_need_extra(rondo_stream *stream) {
    if (stream->extra) return 0;
    rondo__stream_extra *extra = rondo__zalloc(sizeof *extra);
    if (!extra) return RONDO_ENOMEM;
    extra->mark = RONDO__DEFAULT_MARK;
    extra->cap = RONDO__DEFAULT_CAP;
    extra->read_most = RONDO__RECEIVE_BYTES;
    rondo__list_init(&extra->sources);
    stream->extra = extra;
    rondo__timeouts_init_extra(stream);
    return 0;
}

void rondo__stream_free_extra(rondo_stream *stream) {
    rondo__stream_extra *extra = stream->extra;
    if (!extra) return;
    RONDO_ASSERT(!extra->opening && !extra->pipe && rondo__list_empty(&extra->sources));
    RONDO_ASSERT(!extra->terminal);
    if (extra->transport && extra->transport->free) extra->transport->free(stream);
    for (unsigned i = 0; i < sizeof extra->on / sizeof *extra->on; i++)
        rondo__slot_fini(&extra->on[i]);
    rondo__free(extra->unread);
    rondo__free(extra->told_peer);
    rondo__free(extra);
    stream->extra = NULL;
}

int rondo_stream_set_high_water(rondo_stream *stream, size_t mark_bytes, size_t cap_bytes) {
    RONDO__CHECK_STREAM(stream);
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    int status = rondo__stream_need_extra(stream);
    if (status < 0) return status;
    /* With a mark of 0 an empty queue would be full, and nobody could ever go on. */
    stream->extra->mark = mark_bytes > 0 ? mark_bytes : 1;
    stream->extra->cap = cap_bytes > stream->extra->mark ? cap_bytes : stream->extra->mark;
    return 0;
}

int rondo_stream_set_read_high_water(rondo_stream *stream, size_t bytes) {
    RONDO__CHECK_STREAM(stream);
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    int status = rondo__stream_need_extra(stream);
    if (status < 0) return status;
    if (bytes > RONDO__RECEIVE_BYTES) bytes = RONDO__RECEIVE_BYTES;
    stream->extra->read_most = bytes > 0 ? bytes : 1;
    return 0;
}

static uint32_t cut_buffer(size_t bytes) { return bytes > INT_MAX ? INT_MAX : (uint32_t)bytes; }

int rondo_stream_set_kernel_buffers(rondo_stream *stream, size_t receive_bytes, size_t send_bytes) {
    RONDO__CHECK_STREAM(stream);
    uint32_t receive = cut_buffer(receive_bytes), send = cut_buffer(send_bytes);
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    if (!(stream->flags & RONDO__SOCKET)) return RONDO_ENOTSUP;
    if (stream->fd >= 0) return rondo__socket_set_buffers(stream->fd, receive, send);
    int status = rondo__stream_need_extra(stream);
    if (status < 0) return status;
    if (receive) stream->extra->receive_buffer = receive;
    if (send) stream->extra->send_buffer = send;
    return 0;
}

int rondo_stream_set_half_open(rondo_stream *stream, bool on) {
    RONDO__CHECK_STREAM(stream);
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    stream->flags &= ~(uint32_t)RONDO__HALF_OPEN;
    if (on) stream->flags |= RONDO__HALF_OPEN;
    return 0;
}

void rondo_stream_get_figures(const rondo_stream *stream, rondo_stream_figures *ret_figures) {
    RONDO__CHECK_STREAM(stream);
    ret_figures->bytes_in = stream->bytes_in;
    ret_figures->bytes_out = stream->bytes_out;
    ret_figures->queued = rondo__queued(stream);
}

static int get_name(const rondo_stream *stream, bool peer, rondo_address *ret_address) {
    if (rondo__handle_closing(&stream->base)) return RONDO_ECLOSED;
    if (peer && stream->extra && stream->extra->told_peer) {
        *ret_address = *stream->extra->told_peer;
        return 0;
    }
    if (stream->fd < 0) return RONDO_ENOTCONN;
    return rondo__socket_name(stream->fd, peer, ret_address);
}

int rondo__stream_peer_address(const rondo_stream *stream, rondo_address *ret_address) {
    return get_name(stream, true, ret_address);
}

static int write_name(const rondo_stream *stream, bool peer, char *text, size_t size) {
    rondo_address address;
    int status = get_name(stream, peer, &address);
    return status < 0 ? status : rondo_address_format(&address, text, size);
}

int rondo_stream_peer(const rondo_stream *stream, char *text, size_t size) {
    RONDO__CHECK_STREAM(stream);
    return write_name(stream, true, text, size);
}

int rondo_stream_local(const rondo_stream *stream, char *text, size_t size) {
    RONDO__CHECK_STREAM(stream);
    return write_name(stream, false, text, size);
}
