/* SPDX-License-Identifier: MIT
 *
 * The ways to the end of a WebSocket (RFC 6455 section 7), and the alarm.
 *
 *   ours first     end() -> Close out, alarm -> ... -> Close in -> `end` --+
 *   theirs first   Close in -> Close out -> `end` -------------------------+--> TCP ends -> `close`
 *   it fails       Close out -> `error`, `end` ----------------------------+
 *   it is lost     `error` unless it just ended -> `end` 1006 -> `close`
 *
 * TCP ends gently (section 7.1.1): a server shuts down its side behind its Close, a client waits for
 * the server to do so; both go on reading, and drop it, until the peer has ended too. An RST could
 * destroy the Close on its way. The alarm bounds each of these waits, and before them it is the
 * one that asks a silent peer whether it is there.
 */
#include <rondo/error.h>
#include <rondo/loop.h>
#include <string.h>

#include "http/websocket/socket.h"
#include "loop/assert.h"

bool rondo__ws_code_is_valid(unsigned code) {
    if (code >= 3000 && code <= 4999) return true;
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

/* ---- telling ---- */

static void tell_error(rondo_websocket *socket, int error) {
    rondo__ws_news news = {.error = error};
    if (rondo__ws_tell(socket, RONDO__WS_ERROR, &news)) return;
    if (rondo__handle_closing(&socket->base)) return;
    if (rondo__ws_is_server(socket)) /* no peer may bring a server down */
        rondo__count_unheard(socket->base.loop);
    else
        rondo__uncaught(socket->base.loop, &socket->base, error, "the WebSocket failed");
}

static void tell_end(rondo_websocket *socket, uint16_t code, rondo_slice reason) {
    rondo__ws_news news = {.code = code, .data = reason};
    if (socket->flags & RONDO__WS_TOLD_END) return;
    socket->flags |= RONDO__WS_TOLD_END;
    rondo__ws_tell(socket, RONDO__WS_END, &news);
}

/* ---- closing ---- */

void rondo__ws_arm(rondo_websocket *socket, uint64_t delay_ms) {
    rondo__alarm_set_in_ms(socket->base.loop, &socket->alarm, delay_ms);
}

/* The time is for the peer's part, and that begins when our Close has left. What was queued before it may
 * leave slowly, but not so slowly that it never ends: each time that the alarm goes off, so much of it
 * has to be gone. */
#define LEAVING_LEAST ((uint64_t)64 * 1024)

static void arm_closing(rondo_websocket *socket) {
    socket->asked_out = rondo__stream_sent(socket->stream);
    rondo__ws_arm(socket, socket->settings->limits.close_timeout_ms);
}

/* Enough has left since the alarm was set; a peer that is to be ended for being slow has had its time. */
static bool is_leaving(const rondo_websocket *socket) {
    if (socket->settings->slow == RONDO_WEBSOCKET_SLOW_END || !socket->stream) return false;
    return rondo__stream_sent(socket->stream) >= socket->asked_out + LEAVING_LEAST;
}

/* code 0: an empty one. */
static int send_close(rondo_websocket *socket, uint16_t code, rondo_slice reason) {
    char payload[RONDO__CONTROL_MOST];
    size_t len = code > 0 ? 2 + reason.len : 0;
    RONDO_ASSERT(len <= sizeof payload);
    if (code > 0) {
        payload[0] = (char)(code >> 8);
        payload[1] = (char)code;
        if (reason.len > 0) memcpy(payload + 2, reason.data, reason.len);
    }
    rondo__ws_frame frame = {true, 0, RONDO__OP_CLOSE, rondo_slice_of(payload, len)};
    int status = rondo__ws_send_frame(socket, &frame);
    socket->flags |= RONDO__WS_SENT_CLOSE;
    return status < 0 ? status : 0;
}

int rondo__ws_begin_close(rondo_websocket *socket, uint16_t code, rondo_slice reason) {
    RONDO_ASSERT(!(socket->flags & RONDO__WS_SENT_CLOSE));
    int status = send_close(socket, code, reason);
    arm_closing(socket);
    if (status < 0) rondo_destroy(socket->stream, status);
    return status;
}

/* Nothing of what comes matters any more but its end. */
static void go_deaf(rondo_websocket *socket) {
    socket->flags = (socket->flags | RONDO__WS_DEAF) & ~(uint32_t)RONDO__WS_PAUSED;
    rondo__task_cancel(&socket->go_on);
    if (!(socket->flags & RONDO__WS_FEEDING)) rondo__ws_drop_inbound(socket);
    if (rondo_resume(socket->stream) == RONDO_ENOMEM) rondo_destroy(socket->stream, RONDO_ENOMEM);
}

void rondo__ws_fail(rondo_websocket *socket, uint16_t code, int error) {
    if (rondo__ws_is_over(socket) || (socket->flags & RONDO__WS_DEAF)) return;
    go_deaf(socket);
    if (!(socket->flags & RONDO__WS_SENT_CLOSE)) send_close(socket, code, rondo_slice_of(NULL, 0));
    rondo_end(socket->stream);
    arm_closing(socket);
    tell_error(socket, error);
    tell_end(socket, code, rondo_slice_of(NULL, 0));
}

void rondo__ws_closed_by_peer(rondo_websocket *socket, uint16_t code, rondo_slice reason) {
    rondo_slice none = {NULL, 0};
    go_deaf(socket);
    if (!(socket->flags & RONDO__WS_SENT_CLOSE))
        send_close(socket, code == RONDO__CODE_NONE ? 0 : code, none);
    if (rondo__ws_is_server(socket)) rondo_end(socket->stream);
    arm_closing(socket);
    tell_end(socket, code, reason);
}

void rondo__ws_lost(rondo_websocket *socket, int error) {
    if (rondo__handle_closing(&socket->base)) return;
    socket->flags |= RONDO__WS_DEAF;
    if (error < 0 && !(socket->flags & RONDO__WS_TOLD_END)) tell_error(socket, error);
    tell_end(socket, RONDO__CODE_ABNORMAL, rondo_slice_of(NULL, 0));
    rondo_close(socket);
}

void rondo__ws_peer_ended(rondo_websocket *socket) {
    if (socket->flags & RONDO__WS_TOLD_END)
        rondo_end(socket->stream); /* then the stream closes by itself */
    else
        rondo__ws_lost(socket, 0);
}

/* ---- the alarm ---- */

void rondo__ws_heard(rondo_websocket *socket) {
    if (socket->flags & RONDO__WS_SENT_CLOSE) return; /* it runs for that */
    socket->flags &= ~(uint32_t)RONDO__WS_ASKED;
    rondo__ws_arm(socket, socket->settings->limits.ping_interval_ms);
}

static void ask(rondo_websocket *socket) {
    rondo__ws_frame ping = {true, 0, RONDO__OP_PING, {NULL, 0}};
    bool is_next = rondo__stream_queued(socket->stream) == 0;
    rondo_stream_figures figures;
    rondo__ws_send_frame(socket, &ping); /* if that fails, nobody will answer */
    rondo_stream_get_figures(socket->stream, &figures);
    socket->flags |= RONDO__WS_ASKED;
    socket->asked_out = figures.bytes_out + (is_next ? figures.queued : 0);
    rondo__ws_arm(socket, socket->settings->limits.pong_timeout_ms);
}

/* A peer that takes what was before the ping is there, even if it has not come to the ping yet. */
static bool takes_octets(rondo_websocket *socket) {
    rondo_stream_figures figures;
    rondo_stream_get_figures(socket->stream, &figures);
    bool more = figures.bytes_out > socket->asked_out;
    socket->asked_out = figures.bytes_out;
    return more;
}

static void is_silent(rondo_websocket *socket) {
    if (socket->flags & RONDO__WS_PAUSED)
        rondo__ws_heard(socket); /* it may have spoken */
    else if (!(socket->flags & RONDO__WS_ASKED))
        ask(socket);
    else if (takes_octets(socket))
        rondo__ws_arm(socket, socket->settings->limits.pong_timeout_ms);
    else
        rondo__ws_lost(socket, RONDO_ETIMEDOUT);
}

void rondo__ws_alarm(rondo_loop *loop, rondo__alarm *alarm) {
    rondo_websocket *socket = RONDO__OF(alarm, rondo_websocket, alarm);
    (void)loop;
    if (!(socket->flags & RONDO__WS_OPENED))
        rondo__ws_lost(socket, RONDO_ETIMEDOUT);
    else if ((socket->flags & RONDO__WS_SENT_CLOSE) && is_leaving(socket))
        arm_closing(socket);
    else if (socket->flags & RONDO__WS_TOLD_END)
        rondo_close(socket);
    else if (socket->flags & RONDO__WS_SENT_CLOSE)
        rondo__ws_lost(socket, 0); /* it has not answered */
    else if (!rondo__ws_is_over(socket))
        is_silent(socket);
}

/* ---- the application ends it ---- */

int rondo_websocket_end(rondo_websocket *socket, uint16_t code, const char *reason) {
    RONDO__CHECK(socket, &rondo__websocket_kind);
    rondo_slice text = rondo_slice_text(reason);
    if (code != 0 && !rondo__ws_code_is_valid(code)) return RONDO_EINVAL;
    if (text.len > RONDO__CONTROL_MOST - 2 || (code == 0 && text.len > 0)) return RONDO_EINVAL;
    if (!rondo__utf8_is(text.data, text.len)) return RONDO_EINVAL;
    int status = rondo__ws_may_send(socket);
    if (status == RONDO_EPIPE) return 0; /* it has begun already */
    return status < 0 ? status : rondo__ws_begin_close(socket, code, text);
}

int rondo_websocket_end_all(rondo_loop *loop, uint16_t code, const char *reason) {
    RONDO__CHECK_LOOP(loop);
    int count = 0;
    rondo__ws *ws = rondo__ws_of(loop);
    if (!ws) return RONDO_ENOMEM;
    for (rondo__list *link = ws->sockets.next, *next; link != &ws->sockets; link = next) {
        rondo_websocket *socket = RONDO__OF(link, rondo_websocket, link);
        next = link->next;
        if (!rondo__ws_is_server(socket) || rondo__ws_may_send(socket) < 0) continue;
        int status = rondo_websocket_end(socket, code, reason);
        if (status == RONDO_EINVAL) return status;
        count++;
    }
    return count;
}
