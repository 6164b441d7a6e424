/* SPDX-License-Identifier: MIT
 *
 * HTTP servers: a listener whose connections they take, limits, and the ends: at once by
 * rondo_close(), or gently by draining.
 */
#include "http/server/server.h"

#include <rondo/error.h>
#include <rondo/server.h>

#include "http/encoding/compress.h"
#include "http/server/connection.h"
#include "loop/assert.h"
#include "net/server.h"

/* Turns for which a draining server may go on accepting while connections keep coming out of the
 * kernel's queue: closing the listener would reset them. */
#define DRAIN_TURNS 64

/* Less would not hold a request line. */
#define HEAD_BYTES_LEAST ((size_t)256)
#define HEAD_BYTES_MOST ((size_t)1 << 30)
/* Of a stream's hard cap, with room for heads and chunk lines. */
#define QUEUE_MOST ((size_t)15 * 1024 * 1024)

static rondo_http_server *server_of(rondo_handle *handle) {
    return (rondo_http_server *)(void *)handle;
}

/* ---- life ---- */

static void cut_connections(rondo_http_server *server) {
    for (rondo__list *link = server->conns.next, *next; link != &server->conns; link = next) {
        next = link->next;
        rondo__conn_cut(RONDO__OF(link, rondo__http_conn, link));
    }
}

static void stop(rondo_handle *handle) {
    rondo_http_server *server = server_of(handle);
    rondo__task_cancel(&server->drain_task);
    rondo__alarm_clear(&server->deadline);
    server->tally->on_response = NULL;
    rondo_close(server->listener);
    cut_connections(server);
}

/* The streams were closed before the server, so their turn in the closing phase came before. */
static void finish(rondo_handle *handle) {
    rondo_http_server *server = server_of(handle);
    RONDO_ASSERT(rondo__list_empty(&server->conns) && server->conn_count == 0);
    RONDO_ASSERT(!server->listener && server->away_count == 0);
    rondo__census_leave(server);
    rondo__tally_leave(server->tally);
}

const rondo__kind rondo__http_server_kind = {
    .name = "http server",
    .size = sizeof(rondo_http_server),
    .stop = stop,
    .finish = finish,
};

static void close_if_drained(rondo_http_server *server);

static void on_listener_close(rondo_handle *listener, void *arg) {
    rondo_http_server *server = arg;
    (void)listener;
    server->listener = NULL;
    close_if_drained(server);
}

static void on_connection(rondo_server *listener, rondo_stream *stream, void *owner) {
    rondo_http_server *server = owner;
    (void)listener;
    server->accepted++;
    rondo__conn_new(server, stream);
}

static bool on_arrival(rondo_server *listener, rondo_stream *stream, bool address_known,
                       void *owner) {
    (void)listener;
    return rondo__conn_arrives(owner, stream, address_known);
}

static void on_leaving(rondo_server *listener, rondo_stream *stream, void *owner) {
    (void)listener, (void)owner;
    rondo__conn_leaves(stream);
}

static void on_listening(rondo_server *listener, void *owner) {
    (void)listener;
    rondo__handle_activate(&((rondo_http_server *)owner)->base);
}

#define TO_PLAIN_HTTP "This port speaks HTTPS: the address begins with https://, not http://\n"

static const rondo__acceptor acceptor = {
    .connection = on_connection,
    .arrives = on_arrival,
    .leaves = on_leaving,
    .listening = on_listening,
    .plain_answer = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 70\r\n"
                    "Connection: close\r\n\r\n" TO_PLAIN_HTTP,
    .room = sizeof(rondo__http_conn)};
_Static_assert(sizeof TO_PLAIN_HTTP - 1 == 70, "as its Content-Length says");

static void on_drain_turn(rondo_loop *loop, rondo__task *task);
static void on_deadline(rondo_loop *loop, rondo__alarm *alarm);

rondo_http_server *rondo_http_server_new_at(rondo_loop *loop, const char *site) {
    rondo__http *http = rondo__http_of(loop);
    rondo_http_server *server =
        http ? rondo__handle_new(loop, &rondo__http_server_kind, site) : NULL;
    if (!server) return NULL;
    server->http = http;
    server->tally = rondo__tally_new(server);
    rondo__list_init(&server->counted);
    bool counted = server->tally && rondo__census_new(server);
    server->listener = counted ? rondo_server_new_at(loop, site) : NULL;
    if (!server->listener) {
        if (counted) rondo__census_leave(server);
        if (server->tally) rondo__tally_leave(server->tally);
        rondo__handle_discard(&server->base);
        return NULL;
    }
    rondo__list_init(&server->conns);
    rondo__task_init(&server->drain_task, on_drain_turn);
    rondo__alarm_init(&server->deadline, on_deadline);
    rondo_http_server_set_limits(server, &(rondo_http_limits){0});
    rondo__compression_set(server, NULL);
    rondo__server_take(server->listener, &acceptor, server);
    rondo_unref(server->listener); /* whether the loop goes on is up to this handle */
    rondo_on_close(server->listener, on_listener_close, server); /* the first: can't fail */
    return server;
}

int rondo_http_server_on_request(rondo_http_server *server, rondo_http_request_cb cb, void *arg) {
    RONDO__CHECK(server, &rondo__http_server_kind);
    if (rondo__handle_closing(&server->base)) return RONDO_ECLOSED;
    server->on_request = cb;
    server->request_arg = arg;
    return 0;
}

int rondo_http_server_on_response(rondo_http_server *server, rondo_http_request_cb cb, void *arg) {
    RONDO__CHECK(server, &rondo__http_server_kind);
    if (rondo__handle_closing(&server->base)) return RONDO_ECLOSED;
    server->tally->on_response = cb;
    server->tally->response_arg = arg;
    return 0;
}

void rondo_http_server_set_connect(rondo_http_server *server, bool on) {
    RONDO__CHECK(server, &rondo__http_server_kind);
    server->connect = on;
}

int rondo_http_server_listen(rondo_http_server *server, const char *host, uint16_t port) {
    RONDO__CHECK(server, &rondo__http_server_kind);
    if (rondo__handle_closing(&server->base) || !server->listener || server->draining)
        return RONDO_ECLOSED;
    return rondo_server_listen(server->listener, host, port);
}

rondo_server *rondo_http_server_listener(const rondo_http_server *server) {
    RONDO__CHECK(server, &rondo__http_server_kind);
    return server->listener;
}

uint16_t rondo_http_server_port(const rondo_http_server *server) {
    RONDO__CHECK(server, &rondo__http_server_kind);
    return server->listener ? rondo_server_port(server->listener) : 0;
}

int rondo_http_server_address(const rondo_http_server *server, char *text, size_t size) {
    RONDO__CHECK(server, &rondo__http_server_kind);
    return server->listener ? rondo_server_address(server->listener, text, size) : RONDO_ECLOSED;
}

/* ---- limits ---- */

void rondo_http_server_set_limits(rondo_http_server *server, const rondo_http_limits *limits) {
    RONDO__CHECK(server, &rondo__http_server_kind);
    rondo_http_limits *own = &server->limits;
#define SET(field, type, value, what) own->field = limits->field ? limits->field : (type)(value);
    RONDO_HTTP_LIMITS(SET)
#undef SET
    if (own->head_bytes < HEAD_BYTES_LEAST) own->head_bytes = HEAD_BYTES_LEAST;
    if (own->head_bytes > HEAD_BYTES_MOST) own->head_bytes = HEAD_BYTES_MOST;
    if (own->response_queue_bytes > QUEUE_MOST) own->response_queue_bytes = QUEUE_MOST;
}

int rondo_http_server_count_with(rondo_http_server *server, rondo_http_server *other) {
    RONDO__CHECK(server, &rondo__http_server_kind);
    RONDO__CHECK(other, &rondo__http_server_kind);
    if (server->base.loop != other->base.loop || server == other) return RONDO_EINVAL;
    if (rondo__handle_closing(&server->base) || rondo__handle_closing(&other->base))
        return RONDO_ECLOSED;
    if (server->census->servers.next != server->census->servers.prev) return RONDO_EBUSY;
    rondo__census_join(server, other);
    return 0;
}

int rondo_http_server_set_compression(rondo_http_server *server,
                                      const rondo_http_compression *options) {
    RONDO__CHECK(server, &rondo__http_server_kind);
    if (rondo__handle_closing(&server->base)) return RONDO_ECLOSED;
    return rondo__compression_set(server, options);
}

void rondo_http_server_get_limits(const rondo_http_server *server, rondo_http_limits *ret_limits) {
    RONDO__CHECK(server, &rondo__http_server_kind);
    *ret_limits = server->limits;
}

void rondo_http_server_get_figures(const rondo_http_server *server,
                                   rondo_http_figures *ret_figures) {
    RONDO__CHECK(server, &rondo__http_server_kind);
    *ret_figures = (rondo_http_figures){
        .connections = server->conn_count - server->away_count,
        .requests_in_flight = server->tally->in_flight,
        .accepted = server->accepted,
        .turned_away = server->turned_away,
        .closed_at_once = server->closed_at_once,
    };
}

/* ---- draining ---- */

/* Nothing is left to wait for. */
static void close_if_drained(rondo_http_server *server) {
    if (server->draining && !server->listener && server->conn_count == 0) rondo_close(server);
}

void rondo__http_server_lost(rondo__http_conn *conn) {
    rondo_http_server *server = conn->server;
    RONDO_ASSERT(server->conn_count > 0);
    rondo__list_remove(&conn->link);
    server->conn_count--;
    if (conn->flags & RONDO__CONN_AWAY) server->away_count--;
    rondo__census_lost(conn);
    close_if_drained(server);
}

/* Once a turn, after the poll phase of the turn before. */
static void on_drain_turn(rondo_loop *loop, rondo__task *task) {
    rondo_http_server *server = RONDO__OF(task, rondo_http_server, drain_task);
    bool quiet = server->drain_turns > 1 && server->accepted == server->accepted_before;
    server->accepted_before = server->accepted;
    if (!server->listener) {
        close_if_drained(server);
    } else if (!quiet && server->drain_turns++ < DRAIN_TURNS) {
        rondo__defer(loop, task);
    } else {
        rondo__server_accept_rest(server->listener); /* they came since the poll phase */
        rondo__server_retire(server->listener);      /* it closes when their handshakes are over */
    }
}

/* Whoever wants to hear of answers hears of those that break off here too: so the server closes after
 * its connections, which are a turn's work away. */
static void on_deadline(rondo_loop *loop, rondo__alarm *alarm) {
    rondo_http_server *server = RONDO__OF(alarm, rondo_http_server, deadline);
    rondo_close(server->listener);
    cut_connections(server);
    rondo__defer(loop, &server->drain_task);
}

int rondo_http_server_drain(rondo_http_server *server, uint64_t deadline_ms) {
    RONDO__CHECK(server, &rondo__http_server_kind);
    rondo_loop *loop = server->base.loop;
    if (rondo__handle_closing(&server->base)) return RONDO_ECLOSED;
    if (deadline_ms > 0) rondo__alarm_set_in_ms(loop, &server->deadline, deadline_ms);
    if (server->draining) return 0;
    server->draining = true;
    for (rondo__list *link = server->conns.next, *next; link != &server->conns; link = next) {
        next = link->next;
        rondo__conn_drain(RONDO__OF(link, rondo__http_conn, link));
    }
    rondo__defer(loop, &server->drain_task);
    return 0;
}
