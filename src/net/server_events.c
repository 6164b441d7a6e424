/* SPDX-License-Identifier: MIT
 *
 * A server's events: who listens, and how each is told. A protocol may take the listeners' place.
 */
#include "net/duplex.h"
#include "net/serving.h"

static void connection_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                             void *arg) {
    (void)loop;
    ((rondo_server_connection_cb)fn)((rondo_server *)handle, payload, arg);
}

static void error_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    (void)loop;
    ((rondo_server_error_cb)fn)((rondo_server *)handle, *(const int *)payload, arg);
}

static void drop_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    (void)loop;
    ((rondo_server_drop_cb)fn)((rondo_server *)handle, payload, arg);
}

static const rondo__event events[RONDO__SERVER_EVENTS] = {
    [RONDO__SERVER_CONNECTION] = {"server.connection", connection_thunk},
    [RONDO__SERVER_ERROR] = {"server.error", error_thunk},
    [RONDO__SERVER_DROP] = {"server.drop", drop_thunk},
};

static int emit(rondo_server *server, unsigned event, void *payload) {
    return rondo__emit(&server->base, &server->on[event], event, &events[event], payload);
}

/* ---- listeners ---- */

RONDO__DEFINE_EVENT(rondo_server, rondo_server, error, rondo_server_error_cb, &rondo__server_kind,
                    RONDO__SERVER_ERROR);
RONDO__DEFINE_EVENT(rondo_server, rondo_server, drop, rondo_server_drop_cb, &rondo__server_kind,
                    RONDO__SERVER_DROP);

/* The first `connection` listener starts the accepting. */
static int listen_connection(rondo_server *server, rondo_server_connection_cb cb, void *arg,
                             bool once) {
    const unsigned event = RONDO__SERVER_CONNECTION;
    rondo__slot *slot = &server->on[event];
    int status = rondo__on(&server->base, slot, event, RONDO__FN(cb), arg, once);
    if (status < 0 || server->fd < 0) return status;
    status = rondo__server_watch(server);
    if (status < 0) rondo__off(&server->base, slot, event, RONDO__FN(cb), arg);
    return status;
}

int rondo_server_on_connection(rondo_server *server, rondo_server_connection_cb cb, void *arg) {
    RONDO__CHECK(server, &rondo__server_kind);
    return listen_connection(server, cb, arg, false);
}

int rondo_server_once_connection(rondo_server *server, rondo_server_connection_cb cb, void *arg) {
    RONDO__CHECK(server, &rondo__server_kind);
    return listen_connection(server, cb, arg, true);
}

int rondo_server_off_connection(rondo_server *server, rondo_server_connection_cb cb, void *arg) {
    RONDO__CHECK(server, &rondo__server_kind);
    return rondo__off(&server->base, &server->on[RONDO__SERVER_CONNECTION],
                      RONDO__SERVER_CONNECTION, RONDO__FN(cb), arg);
}

void rondo__server_take(rondo_server *server, const rondo__acceptor *acceptor, void *owner) {
    RONDO__CHECK(server, &rondo__server_kind);
    RONDO_ASSERT(acceptor->connection && server->fd < 0);
    server->acceptor = acceptor;
    server->owner = owner;
}

/* ---- telling ---- */

bool rondo__server_wanted(const rondo_server *server) {
    return server->acceptor || rondo__heard(&server->on[RONDO__SERVER_CONNECTION]);
}

void rondo__server_hand_out(rondo_server *server, rondo_stream *stream) {
    server->accepted++;
    if (server->acceptor)
        server->acceptor->connection(server, stream, server->owner);
    else
        emit(server, RONDO__SERVER_CONNECTION, stream);
}

void rondo__server_tell_error(rondo_server *server, int error) {
    server->failed++;
    if (rondo__handle_closing(&server->base)) return;
    if (server->acceptor && server->acceptor->error)
        server->acceptor->error(server, error, server->owner);
    else if (emit(server, RONDO__SERVER_ERROR, &error) == 0)
        rondo__count_unheard(server->base.loop);
}

/* Whom it came from is asked for only if somebody hears it; who has gone has no name any more. */
static bool is_heard(const rondo_server *server, int fd, rondo_server_drop *drop) {
    if (!rondo__heard(&server->on[RONDO__SERVER_DROP])) return false;
    (void)rondo__socket_name(fd, true, &drop->peer);
    return true;
}

void rondo__server_drop_fd(rondo_server *server, rondo_drop_reason reason, int error, int fd) {
    rondo_server_drop drop = {.reason = reason, .error = error};
    bool heard = is_heard(server, fd, &drop);
    server->dropped++;
    rondo__socket_close(fd);
    if (heard) emit(server, RONDO__SERVER_DROP, &drop);
}

void rondo__server_drop_stream(rondo_server *server, rondo_drop_reason reason, int error,
                               rondo_stream *stream) {
    rondo_server_drop drop = {.reason = reason, .error = error, .stream = stream};
    server->dropped++;
    if (is_heard(server, stream->fd, &drop)) emit(server, RONDO__SERVER_DROP, &drop);
}
