/* SPDX-License-Identifier: MIT
 *
 * A WebSocket's life, its events, and what can be asked of it. It is a handle that owns a stream: when
 * it closes so does that, and when the stream has gone it closes.
 */
#include "http/websocket/socket.h"

#include <rondo/error.h>
#include <string.h>

#include "loop/memory.h"

/* ---- events ---- */

static void plain_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    (void)loop, (void)payload;
    ((rondo_websocket_cb)fn)((rondo_websocket *)(void *)handle, arg);
}

static void message_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                          void *arg) {
    const rondo__ws_news *news = payload;
    (void)loop;
    ((rondo_websocket_message_cb)fn)((rondo_websocket *)(void *)handle, news->type, news->data,
                                     arg);
}

static void piece_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    const rondo__ws_news *news = payload;
    (void)loop;
    ((rondo_websocket_piece_cb)fn)((rondo_websocket *)(void *)handle, news->type, news->data,
                                   news->last, arg);
}

static void data_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    const rondo__ws_news *news = payload;
    (void)loop;
    ((rondo_websocket_data_cb)fn)((rondo_websocket *)(void *)handle, news->data, arg);
}

static void end_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                      void *arg) {
    const rondo__ws_news *news = payload;
    (void)loop;
    ((rondo_websocket_end_cb)fn)((rondo_websocket *)(void *)handle, news->code, news->data, arg);
}

static void error_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    const rondo__ws_news *news = payload;
    (void)loop;
    ((rondo_websocket_error_cb)fn)((rondo_websocket *)(void *)handle, news->error, arg);
}

static const rondo__event events[RONDO__WS_EVENTS] = {
    [RONDO__WS_OPEN] = {"websocket.open", plain_thunk},
    [RONDO__WS_MESSAGE] = {"websocket.message", message_thunk},
    [RONDO__WS_PIECE] = {"websocket.piece", piece_thunk},
    [RONDO__WS_PING] = {"websocket.ping", data_thunk},
    [RONDO__WS_PONG] = {"websocket.pong", data_thunk},
    [RONDO__WS_DRAIN] = {"websocket.drain", plain_thunk},
    [RONDO__WS_END] = {"websocket.end", end_thunk},
    [RONDO__WS_ERROR] = {"websocket.error", error_thunk},
};

#define DEFINE_EVENT(event, callback, index)                                                       \
    RONDO__DEFINE_EVENT(rondo_websocket, rondo_websocket, event, callback, &rondo__websocket_kind, \
                        index)
DEFINE_EVENT(open, rondo_websocket_cb, RONDO__WS_OPEN);
DEFINE_EVENT(message, rondo_websocket_message_cb, RONDO__WS_MESSAGE);
DEFINE_EVENT(piece, rondo_websocket_piece_cb, RONDO__WS_PIECE);
DEFINE_EVENT(ping, rondo_websocket_data_cb, RONDO__WS_PING);
DEFINE_EVENT(pong, rondo_websocket_data_cb, RONDO__WS_PONG);
DEFINE_EVENT(drain, rondo_websocket_cb, RONDO__WS_DRAIN);
DEFINE_EVENT(end, rondo_websocket_end_cb, RONDO__WS_END);
DEFINE_EVENT(error, rondo_websocket_error_cb, RONDO__WS_ERROR);

bool rondo__ws_tell(rondo_websocket *socket, unsigned event, void *payload) {
    return rondo__emit(&socket->base, &socket->on[event], event, &events[event], payload) > 0;
}

/* ---- the stream ---- */

static rondo_websocket *socket_of(rondo_stream *stream) { return rondo__stream_owner(stream); }

static void on_data(rondo_stream *stream, rondo_slice chunk) {
    rondo_websocket *socket = socket_of(stream);
    if (socket->flags & RONDO__WS_DEAF) return;
    rondo__ws_heard(socket);
    rondo__ws_receive(socket, chunk);
}
static void on_end(rondo_stream *stream) { rondo__ws_peer_ended(socket_of(stream)); }
static void on_drain(rondo_stream *stream) {
    rondo_websocket *socket = socket_of(stream);
    rondo__ws_pay(socket);
    if (!(socket->flags & RONDO__WS_SENT_CLOSE)) rondo__ws_tell(socket, RONDO__WS_DRAIN, NULL);
}
static void on_error(rondo_stream *stream, int error) { rondo__ws_lost(socket_of(stream), error); }
static void on_closed(rondo_stream *stream) {
    rondo_websocket *socket = socket_of(stream);
    socket->stream = NULL;
    rondo_close(socket);
}

static const rondo__consumer consumer = {
    .data = on_data,
    .end = on_end,
    .drain = on_drain,
    .error = on_error,
    .closed = on_closed,
};

/* ---- life ---- */

rondo_websocket *rondo__ws_new(rondo_loop *loop, const rondo_websocket_options *options,
                               unsigned flags, const char *site) {
    rondo__ws *ws = rondo__ws_of(loop);
    rondo__ws_settings *settings = ws ? rondo__ws_settings_take(ws, options) : NULL;
    if (!settings) return NULL;
    rondo_websocket *socket = rondo__handle_new(loop, &rondo__websocket_kind, site);
    if (!socket) {
        rondo__ws_settings_drop(ws, settings);
        return NULL;
    }
    socket->ws = ws;
    socket->settings = settings;
    socket->flags = flags;
    rondo__list_push_back(&ws->sockets, &socket->link);
    rondo__alarm_init(&socket->alarm, rondo__ws_alarm);
    rondo__task_init(&socket->go_on, rondo__ws_go_on_task);
    rondo__handle_activate(&socket->base);
    return socket;
}

void rondo__ws_discard(rondo_websocket *socket) {
    rondo__list_remove(&socket->link);
    rondo__alarm_clear(&socket->alarm);
    rondo__ws_settings_drop(socket->ws, socket->settings);
    rondo__free(socket->protocol);
    rondo__handle_discard(&socket->base);
}

void rondo__ws_start(rondo_websocket *socket, rondo_stream *stream,
                     const rondo__ws_deflate *deflate) {
    bool server = rondo__ws_is_server(socket);
    RONDO_ASSERT(!socket->stream && !(socket->flags & RONDO__WS_OPENED));
    socket->stream = stream;
    socket->flags |= RONDO__WS_OPENED;
    socket->status = 101;
    socket->out_bits = RONDO__WINDOW_MOST;
    if (deflate->on) {
        socket->flags |= RONDO__WS_COMPRESSED;
        if (!(server ? deflate->server_fresh : deflate->client_fresh))
            socket->flags |= RONDO__WS_OUT_CONTEXT;
        if (!(server ? deflate->client_fresh : deflate->server_fresh))
            socket->flags |= RONDO__WS_IN_CONTEXT;
        if (server) socket->out_bits = deflate->server_bits;
    }
    rondo__stream_consume(stream, &consumer, socket);
    rondo_stream_set_half_open(stream, true);
    rondo__ws_heard(socket);
    /* Only paused is it without a watch, and then resume asks for one again. */
    if (!(socket->flags & RONDO__WS_PAUSED)) rondo_resume(stream);
}

static void socket_stop(rondo_handle *handle) {
    rondo_websocket *socket = (rondo_websocket *)(void *)handle;
    rondo__alarm_clear(&socket->alarm);
    rondo__task_cancel(&socket->go_on);
    rondo__list_remove(&socket->link);
    rondo__ws_stop_call(socket);
    if (socket->stream) rondo_close(socket->stream);
}

static void socket_free(rondo_handle *handle) {
    rondo_websocket *socket = (rondo_websocket *)(void *)handle;
    RONDO_ASSERT(!socket->stream && !socket->call);
    rondo__ws_drop_inbound(socket);
    rondo__ws_inflater_free(socket->inflater);
    rondo__ws_deflater_free(socket->deflater);
    rondo__free(socket->rest);
    rondo__free(socket->owed);
    rondo__free(socket->protocol);
    rondo__ws_settings_drop(socket->ws, socket->settings);
}

static void socket_verify(const rondo_handle *handle) {
    const rondo_websocket *socket = (const rondo_websocket *)(const void *)handle;
    bool closing = rondo__handle_closing(handle);
    RONDO_ASSERT(!closing || !rondo__alarm_is_set(&socket->alarm));
    /* Something will wake it: its peer, or the alarm. */
    RONDO_ASSERT(closing || rondo__alarm_is_set(&socket->alarm));
    /* Idle, it owns nothing. */
    RONDO_ASSERT(!socket->reader || !rondo__ws_reader_is_idle(socket->reader) || closing);
    RONDO_ASSERT(!socket->rest || socket->reader);
    RONDO_ASSERT(!(socket->flags & RONDO__WS_TOLD_END) || (socket->flags & RONDO__WS_DEAF));
}

const rondo__kind rondo__websocket_kind = {
    .name = "websocket",
    .size = sizeof(rondo_websocket),
    .stop = socket_stop,
    .free = socket_free,
    .verify = socket_verify,
    .slots_offset = offsetof(rondo_websocket, on),
    .slot_count = RONDO__WS_EVENTS,
};

/* ---- flow and questions ---- */

int rondo_websocket_pause(rondo_websocket *socket) {
    RONDO__CHECK(socket, &rondo__websocket_kind);
    if (rondo__handle_closing(&socket->base)) return RONDO_ECLOSED;
    socket->flags |= RONDO__WS_PAUSED;
    if (socket->stream) rondo_pause(socket->stream);
    return 0;
}

int rondo_websocket_resume(rondo_websocket *socket) {
    RONDO__CHECK(socket, &rondo__websocket_kind);
    if (rondo__handle_closing(&socket->base)) return RONDO_ECLOSED;
    if (!(socket->flags & RONDO__WS_PAUSED)) return 0;
    socket->flags &= ~(uint32_t)RONDO__WS_PAUSED;
    if (rondo__ws_is_over(socket)) return 0;
    rondo__ws_heard(socket);
    rondo__ws_go_on(socket);
    return 0;
}

int rondo_websocket_status(const rondo_websocket *socket) {
    RONDO__CHECK(socket, &rondo__websocket_kind);
    return socket->status;
}

const char *rondo_websocket_protocol(const rondo_websocket *socket) {
    RONDO__CHECK(socket, &rondo__websocket_kind);
    return socket->protocol ? socket->protocol : "";
}

bool rondo_websocket_is_compressed(const rondo_websocket *socket) {
    RONDO__CHECK(socket, &rondo__websocket_kind);
    return (socket->flags & RONDO__WS_COMPRESSED) != 0;
}

size_t rondo_websocket_queued(const rondo_websocket *socket) {
    RONDO__CHECK(socket, &rondo__websocket_kind);
    return socket->stream ? rondo__stream_queued(socket->stream) : 0;
}

rondo_stream *rondo_websocket_stream(const rondo_websocket *socket) {
    RONDO__CHECK(socket, &rondo__websocket_kind);
    return socket->stream;
}
