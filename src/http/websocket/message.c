/* SPDX-License-Identifier: MIT
 *
 * A message for many: both of its frames, plain and compressed, are made at most once, as octets that
 * stand ready, and lent to the streams. It is counted by its maker and by each queue that has it.
 */
#include <rondo/error.h>
#include <string.h>

#include "http/websocket/socket.h"
#include "loop/assert.h"
#include "loop/memory.h"

/* A server's frame, contiguous, and its payload in it. */
typedef struct variant {
    rondo_slice frame, payload;
} variant;

struct rondo_websocket_message {
    size_t refs;
    rondo__ws *ws;
    rondo_websocket_type type;
    bool tried; /* to compress it */
    variant plain, deflated;
    char *memory;  /* of the deflated one */
    char octets[]; /* of the plain one */
};

int rondo_websocket_message_new(rondo_loop *loop, rondo_websocket_type type, rondo_slice data,
                                rondo_websocket_message **ret_message) {
    RONDO__CHECK_LOOP(loop);
    rondo__ws_frame frame = {true, 0, (uint8_t)type, data};
    rondo_slice pieces[2] = {{NULL, 0}, {NULL, 0}};
    if (type != RONDO_WEBSOCKET_TEXT && type != RONDO_WEBSOCKET_BINARY) return RONDO_EINVAL;
    if (type == RONDO_WEBSOCKET_TEXT && !rondo__utf8_is(data.data, data.len)) return RONDO_EINVAL;
    rondo__ws *ws = rondo__ws_of(loop);
    if (!ws || rondo__ws_frame_pieces(ws, &frame, pieces) < 0) return RONDO_ENOMEM;
    if (data.len > SIZE_MAX / 2) return RONDO_ENOMEM;
    rondo_websocket_message *message = rondo__zalloc(sizeof *message + pieces[0].len + data.len);
    if (!message) return RONDO_ENOMEM;
    char *payload = message->octets + pieces[0].len;
    message->refs = 1;
    message->ws = ws;
    message->type = type;
    memcpy(message->octets, pieces[0].data, pieces[0].len);
    if (data.len > 0) memcpy(payload, data.data, data.len);
    message->plain.frame = rondo_slice_of(message->octets, pieces[0].len + data.len);
    message->plain.payload = rondo_slice_of(payload, data.len);
    *ret_message = message;
    return 0;
}

void rondo_websocket_message_free(rondo_websocket_message *message) {
    if (!message || --message->refs > 0) return;
    rondo__free(message->memory);
    rondo__free(message);
}

static void release(void *data, size_t len, int status, void *arg) {
    (void)data, (void)len, (void)status;
    rondo_websocket_message_free(arg);
}

/* Without a context, in a window of 15 bits. If it gets no shorter, or there is no memory, it is sent
 * as it is. */
static void compress(rondo_websocket_message *message) {
    rondo__ws *ws = message->ws;
    rondo_slice pieces[2], plain = message->plain.payload;
    char *memory;
    size_t len;
    message->tried = true;
    if (!ws->deflater && !(ws->deflater = rondo__ws_deflater_new(RONDO__WINDOW_MOST))) return;
    rondo__ws_deflater_reset(ws->deflater);
    if (rondo__ws_deflater_run(ws->deflater, plain, RONDO__FRAME_HEADER_MOST, &memory, &len) < 0)
        return;
    rondo_slice payload = rondo_slice_of(memory + RONDO__FRAME_HEADER_MOST, len);
    rondo__ws_frame frame = {true, RONDO__RSV1, (uint8_t)message->type, payload};
    if (len >= plain.len || rondo__ws_frame_pieces(ws, &frame, pieces) < 0) {
        rondo__free(memory);
        return;
    }
    char *header = memory + RONDO__FRAME_HEADER_MOST - pieces[0].len;
    memcpy(header, pieces[0].data, pieces[0].len);
    message->memory = memory;
    message->deflated = (variant){rondo_slice_of(header, pieces[0].len + len), payload};
}

static const variant *choose(rondo_websocket *socket, rondo_websocket_message *message) {
    if (!rondo__ws_compresses(socket, message->plain.payload.len)) return &message->plain;
    /* With a window that the client has made smaller it could not be read. */
    if (socket->out_bits < RONDO__WINDOW_MOST) return &message->plain;
    if (!message->tried) compress(message);
    return message->memory ? &message->deflated : &message->plain;
}

int rondo_websocket_send_message(rondo_websocket *socket, rondo_websocket_message *message) {
    RONDO__CHECK(socket, &rondo__websocket_kind);
    RONDO_ASSERT(message && message->refs > 0);
    if (message->ws != socket->ws) return RONDO_EINVAL;
    if (socket->flags & RONDO__WS_PIECES_OUT) return RONDO_EBUSY;
    int status = rondo__ws_may_send_message(socket);
    if (status < 0) return status;
    const variant *chosen = choose(socket, message);
    bool deflated = chosen == &message->deflated;
    if (rondo__ws_is_server(socket)) {
        message->refs++;
        status = rondo_write_lent(socket->stream, chosen->frame, release, message);
        if (status < 0) message->refs--;
    } else {
        rondo__ws_frame frame = {true, deflated ? RONDO__RSV1 : 0, (uint8_t)message->type,
                                 chosen->payload};
        status = rondo__ws_send_frame(socket, &frame);
    }
    /* Our own compressor does not know of it, so what it knows is not what the peer does. */
    if (deflated && status >= 0) socket->flags |= RONDO__WS_OUT_FORGET;
    return status;
}
