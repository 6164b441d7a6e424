/* SPDX-License-Identifier: MIT
 *
 * Messages to frames to octets. A server's frame goes to the stream as its header and the caller's own
 * octets, which the stream sends at once when they are many and gathers when they are few. A client's
 * is masked on the way, into the stream's queue if it is small.
 */
#include <rondo/error.h>
#include <string.h>

#include "http/websocket/socket.h"
#include "loop/assert.h"
#include "loop/memory.h"

/* What rondo__stream_reserve() gives. */
#define IN_PLACE_BYTES ((size_t)8192)

/* ---- whether ---- */

int rondo__ws_may_send(const rondo_websocket *socket) {
    if (rondo__handle_closing(&socket->base)) return RONDO_ECLOSED;
    if (!(socket->flags & RONDO__WS_OPENED)) return RONDO_ENOTCONN;
    if (rondo__ws_is_over(socket)) return RONDO_ECLOSED;
    return socket->flags & RONDO__WS_SENT_CLOSE ? RONDO_EPIPE : 0;
}

int rondo__ws_may_send_message(rondo_websocket *socket) {
    int status = rondo__ws_may_send(socket);
    if (status < 0) return status;
    if (rondo__stream_queued(socket->stream) < socket->settings->limits.queued_bytes) return 0;
    if (socket->settings->slow == RONDO_WEBSOCKET_SLOW_END)
        rondo__ws_begin_close(socket, RONDO__CODE_TRY_LATER, rondo_slice_text("too slow"));
    return RONDO_ENOBUFS;
}

/* ---- frames ---- */

static int send_in_place(rondo_websocket *socket, const rondo__ws_frame *frame) {
    rondo_stream *stream = socket->stream;
    char *room = rondo__stream_reserve(stream, RONDO__FRAME_HEADER_MOST + frame->payload.len);
    if (!room) return rondo__stream_is_over(stream) ? RONDO_ECLOSED : RONDO_ENOMEM;
    int64_t len = rondo__ws_frame_masked(socket->ws, frame, room);
    int status = rondo__stream_commit(stream, len > 0 ? (size_t)len : 0);
    return len < 0 ? (int)len : status;
}

static int send_masked(rondo_websocket *socket, const rondo__ws_frame *frame) {
    if (frame->payload.len > SIZE_MAX - RONDO__FRAME_HEADER_MOST) return RONDO_ENOMEM;
    size_t most = RONDO__FRAME_HEADER_MOST + frame->payload.len;
    if (most <= IN_PLACE_BYTES) return send_in_place(socket, frame);
    char *room = rondo__alloc(most);
    if (!room) return RONDO_ENOMEM;
    int64_t len = rondo__ws_frame_masked(socket->ws, frame, room);
    int status =
        len < 0 ? (int)len : rondo_write(socket->stream, rondo_slice_of(room, (size_t)len));
    rondo__free(room);
    return status;
}

int rondo__ws_send_frame(rondo_websocket *socket, const rondo__ws_frame *frame) {
    rondo_slice pieces[2];
    if (!rondo__ws_is_server(socket)) return send_masked(socket, frame);
    int count = rondo__ws_frame_pieces(socket->ws, frame, pieces);
    return count < 0 ? count : rondo_writev(socket->stream, pieces, (size_t)count);
}

/* ---- compression ---- */

bool rondo__ws_compresses(const rondo_websocket *socket, size_t len) {
    return (socket->flags & RONDO__WS_COMPRESSED) && len >= socket->settings->compress_bytes;
}

/* The loop's, if any will do. */
static rondo__ws_deflater *deflater_of(rondo_websocket *socket) {
    bool own = (socket->flags & RONDO__WS_OUT_CONTEXT) || socket->out_bits < RONDO__WINDOW_MOST;
    rondo__ws_deflater **place = own ? &socket->deflater : &socket->ws->deflater;
    if (!*place) *place = rondo__ws_deflater_new(socket->out_bits);
    return *place;
}

static int send_deflated(rondo_websocket *socket, rondo__ws_frame *frame) {
    rondo__ws_deflater *deflater = deflater_of(socket);
    uint32_t keeps = RONDO__WS_OUT_CONTEXT;
    size_t plain_len = frame->payload.len, len;
    char *memory;
    if (!deflater) return RONDO_ENOMEM;
    if ((socket->flags & (keeps | RONDO__WS_OUT_FORGET)) != keeps)
        rondo__ws_deflater_reset(deflater);
    /* Until the peer has it for sure, it is no context for what follows. */
    socket->flags |= RONDO__WS_OUT_FORGET;
    int status = rondo__ws_deflater_run(deflater, frame->payload, 0, &memory, &len);
    if (status < 0) return status;
    bool shorter = len < plain_len;
    if (shorter) {
        frame->payload = rondo_slice_of(memory, len);
        frame->rsv = RONDO__RSV1;
    }
    status = rondo__ws_send_frame(socket, frame);
    if (status >= 0 && shorter) socket->flags &= ~(uint32_t)RONDO__WS_OUT_FORGET;
    rondo__free(memory);
    return status;
}

/* ---- messages ---- */

static bool is_type(rondo_websocket_type type) {
    return type == RONDO_WEBSOCKET_TEXT || type == RONDO_WEBSOCKET_BINARY;
}

int rondo_websocket_send(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data) {
    RONDO__CHECK(socket, &rondo__websocket_kind);
    if (!is_type(type)) return RONDO_EINVAL;
    if (type == RONDO_WEBSOCKET_TEXT && !rondo__utf8_is(data.data, data.len)) return RONDO_EINVAL;
    if (socket->flags & RONDO__WS_PIECES_OUT) return RONDO_EBUSY;
    int status = rondo__ws_may_send_message(socket);
    if (status < 0) return status;
    rondo__ws_frame frame = {true, 0, (uint8_t)type, data};
    return rondo__ws_compresses(socket, data.len) ? send_deflated(socket, &frame)
                                                  : rondo__ws_send_frame(socket, &frame);
}

int rondo_websocket_send_piece(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                               bool last) {
    RONDO__CHECK(socket, &rondo__websocket_kind);
    bool first = !(socket->flags & RONDO__WS_PIECES_OUT);
    if (first && !is_type(type)) return RONDO_EINVAL;
    int status = rondo__ws_may_send_message(socket);
    if (status < 0) return status;
    bool text = first ? type == RONDO_WEBSOCKET_TEXT : (socket->flags & RONDO__WS_TEXT_OUT) != 0;
    rondo__utf8 state = first ? (rondo__utf8){0} : socket->text_out;
    if (text &&
        !(rondo__utf8_feed(&state, data.data, data.len) && (!last || rondo__utf8_whole(&state))))
        return RONDO_EINVAL;
    rondo__ws_frame frame = {last, 0, first ? (uint8_t)type : RONDO__OP_CONTINUATION, data};
    status = rondo__ws_send_frame(socket, &frame);
    if (status < 0) return status;
    socket->text_out = state;
    socket->flags &= ~(uint32_t)(RONDO__WS_PIECES_OUT | RONDO__WS_TEXT_OUT);
    if (!last) socket->flags |= RONDO__WS_PIECES_OUT | (text ? RONDO__WS_TEXT_OUT : 0);
    return status;
}

int rondo_websocket_ping(rondo_websocket *socket, rondo_slice data) {
    RONDO__CHECK(socket, &rondo__websocket_kind);
    if (data.len > RONDO__CONTROL_MOST) return RONDO_EINVAL;
    int status = rondo__ws_may_send_message(socket);
    if (status < 0) return status;
    rondo__ws_frame frame = {true, 0, RONDO__OP_PING, data};
    return rondo__ws_send_frame(socket, &frame);
}
