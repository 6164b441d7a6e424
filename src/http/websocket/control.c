/* SPDX-License-Identifier: MIT
 *
 * Control frames that come (RFC 6455 section 5.5). Every ping is answered before the application hears
 * of it, but a peer that sends pings and reads no pongs fills no queue: while ours is full, only the
 * latest one is remembered (section 5.5.3 allows that), and there may be so many in a second.
 */
#include <rondo/error.h>
#include <rondo/loop.h>
#include <string.h>

#include "http/websocket/socket.h"
#include "loop/memory.h"

#define SECOND_NS UINT64_C(1000000000)
#define FULL_BYTES ((size_t)64 * 1024)

bool rondo__ws_control_begins(rondo_websocket *socket) {
    uint64_t now = rondo_loop_now_ns(socket->base.loop);
    if (now - socket->control_since_ns >= SECOND_NS) {
        socket->control_since_ns = now;
        socket->control_count = 0;
    }
    if (socket->control_count++ < socket->settings->limits.control_frames) return true;
    rondo__ws_fail(socket, RONDO__CODE_POLICY, RONDO_ENOBUFS);
    return false;
}

/* ---- pings ---- */

static void send_pong(rondo_websocket *socket, rondo_slice payload) {
    rondo__ws_frame pong = {true, 0, RONDO__OP_PONG, payload};
    int status = rondo__ws_send_frame(socket, &pong);
    if (status == RONDO_ENOMEM) rondo__ws_fail(socket, RONDO__CODE_INTERNAL, status);
}

static void owe(rondo_websocket *socket, rondo_slice payload) {
    if (!socket->owed) socket->owed = rondo__alloc(1 + RONDO__CONTROL_MOST);
    if (!socket->owed) return; /* one unanswered ping of one who does not read */
    socket->owed[0] = (char)payload.len;
    if (payload.len > 0) memcpy(socket->owed + 1, payload.data, payload.len);
}

void rondo__ws_pay(rondo_websocket *socket) {
    char *owed = socket->owed;
    if (!owed) return;
    socket->owed = NULL;
    if (rondo__ws_may_send(socket) == 0)
        send_pong(socket, rondo_slice_of(owed + 1, (uint8_t)owed[0]));
    rondo__free(owed);
}

static void pinged(rondo_websocket *socket, rondo_slice payload) {
    if (rondo__ws_may_send(socket) < 0) return;
    if (rondo__stream_queued(socket->stream) >= FULL_BYTES)
        owe(socket, payload);
    else
        send_pong(socket, payload);
}

/* ---- Close ---- */

static void closed(rondo_websocket *socket, rondo_slice payload) {
    if (payload.len == 0) {
        rondo__ws_closed_by_peer(socket, RONDO__CODE_NONE, payload);
        return;
    }
    unsigned code = 0;
    if (payload.len >= 2) code = (unsigned)(uint8_t)payload.data[0] << 8 | (uint8_t)payload.data[1];
    rondo_slice reason = rondo_slice_of(payload.data + 2, payload.len >= 2 ? payload.len - 2 : 0);
    if (!rondo__ws_code_is_valid(code))
        rondo__ws_fail(socket, RONDO__CODE_PROTOCOL, RONDO_EPROTO);
    else if (!rondo__utf8_is(reason.data, reason.len))
        rondo__ws_fail(socket, RONDO__CODE_DATA, RONDO_EPROTO);
    else
        rondo__ws_closed_by_peer(socket, (uint16_t)code, reason);
}

void rondo__ws_control(rondo_websocket *socket, unsigned op, rondo_slice payload) {
    rondo__ws_news news = {.data = payload};
    if (op == RONDO__OP_CLOSE) {
        closed(socket, payload);
    } else if (op == RONDO__OP_PING) {
        pinged(socket, payload);
        if (!(socket->flags & RONDO__WS_DEAF)) rondo__ws_tell(socket, RONDO__WS_PING, &news);
    } else {
        rondo__ws_tell(socket, RONDO__WS_PONG, &news);
    }
}
