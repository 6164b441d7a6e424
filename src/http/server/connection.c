/* SPDX-License-Identifier: MIT
 *
 * Connections: octets come in here, become heads, and heads become calls of the application.
 */
#include "http/server/connection.h"

#include <rondo/error.h>
#include <rondo/stream.h>
#include <string.h>

#include "http/server/response.h"
#include "loop/assert.h"
#include "loop/memory.h"

/* Empty lines before a request that are skipped (RFC 9112 section 2.2 asks for one). */
#define BLANKS_MOST 16

static void request_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                          void *arg) {
    (void)loop;
    ((rondo_http_request_cb)fn)(payload, (rondo_http_response *)(void *)handle, arg);
}
static const rondo__event request_event = {"http.request", request_thunk};

/* ---- from head to application ---- */

/* Whether the answer to the request must be the last one of the connection. */
static bool is_last(const rondo__http_conn *conn) {
    const rondo_http_server *server = conn->server;
    return (conn->request->flags & RONDO__REQUEST_CLOSE) || server->draining ||
           conn->requests >= server->limits.requests_per_connection ||
           (conn->flags & RONDO__CONN_PEER_ENDED);
}

/* Of the first len octets of a head: 0, or the status of a refusal if they are too many to become acceptable. That comes before
 * what may be wrong behind them, so that the answer doesn't depend on how the head arrived. */
static int check_part(const rondo_http_request *request, const rondo_http_limits *limits,
                      size_t len) {
    const char *lf = memchr(request->head, '\n', len);
    size_t line = lf ? (size_t)(lf - request->head) : len;
    /* method SP target SP HTTP/1.1 CR */
    size_t around = request->method_len + sizeof "  HTTP/1.1\r" - 1;
    if (line > limits->target_bytes + around) return 414;
    return len < limits->head_bytes ? 0 : lf ? 431 : 414;
}

/* The head is complete. */
static void dispatch(rondo__http_conn *conn) {
    rondo_http_request *request = conn->request;
    rondo_http_server *server = conn->server;
    int status = rondo__head_check(request, &server->limits, server->connect);
    if (RONDO__UNLIKELY(status != 0)) {
        int part = check_part(request, &server->limits, request->head_len - 1);
        if (part != 0) status = part;
    }
    if (status == 0 && request->body_left > server->limits.body_bytes) status = 413;
    if (status == 0 && server->tally->in_flight >= server->limits.requests_in_flight) {
        server->turned_away++;
        status = 503;
    }
    if (status != 0) {
        rondo__conn_refuse(conn, status);
        return;
    }
    rondo_http_response *response = rondo__response_take(request, server);
    if (!response) {
        rondo__conn_refuse(conn, 503);
        return;
    }
    conn->state = RONDO__CONN_BODY;
    request->flags &= (uint16_t)~RONDO__REQUEST_TIMED; /* that was the head */
    if (RONDO__UNLIKELY(request->tally->on_response != NULL)) rondo__request_remember_peer(request);
    if (conn->requests < UINT32_MAX) conn->requests++;
    if (is_last(conn)) conn->flags |= RONDO__CONN_CLOSE;
    if (server->on_request) {
        rondo__door(server->base.loop, &response->base, &request_event,
                    RONDO__FN(server->on_request), request, server->request_arg);
    } else {
        rondo__response_plain(response, 404);
    }
    if (conn->state != RONDO__CONN_BODY) return;
    if (request->body == RONDO__BODY_NONE)
        rondo__body_over(conn);
    else if (!request->response)
        rondo__body_drop(conn);
    else if (rondo__collect_hopeless(request))
        rondo__conn_refuse(conn, 413);
}

/* Request and answer are through. */
static void next_request(rondo__http_conn *conn) {
    if (conn->flags & RONDO__CONN_CLOSE) {
        rondo__conn_shut(conn);
        return;
    }
    rondo__request_release(conn->request, RONDO__REQUEST_BY_CONN);
    conn->request = NULL;
    conn->flags &= (uint16_t) ~(RONDO__CONN_ANSWERED | RONDO__CONN_EVENTS);
    conn->state = RONDO__CONN_IDLE;
    if (conn->flags & RONDO__CONN_FEEDING) return; /* feed() goes on */
    rondo__conn_arm_idle(conn);
    rondo__conn_go_on(conn);
}

void rondo__conn_complete(rondo__http_conn *conn) {
    RONDO_ASSERT(conn->state == RONDO__CONN_BODY);
    conn->request->flags |= RONDO__REQUEST_COMPLETE;
    if (rondo__body_end_is_awaited(conn->request)) rondo__body_tell_end(conn);
    if (conn->state != RONDO__CONN_BODY) return;
    conn->request->flags &= (uint16_t)~RONDO__REQUEST_PAUSED;
    if (conn->request->response)
        conn->state = RONDO__CONN_ANSWER;
    else
        next_request(conn);
}

void rondo__conn_answered(rondo__http_conn *conn) {
    if (conn->state == RONDO__CONN_ANSWER) {
        next_request(conn);
    } else if (conn->state == RONDO__CONN_BODY) {
        rondo_http_request *request = conn->request;
        request->on_data = NULL;
        request->on_end = NULL;
        if (request->flags & RONDO__REQUEST_PAUSED) rondo__conn_start_body_clock(conn);
        request->flags &= (uint16_t)~RONDO__REQUEST_PAUSED;
        if (!(conn->flags & RONDO__CONN_FEEDING))
            rondo__body_drop(conn); /* else feed() sees to it */
    }
}

/* ---- octets in ---- */

/* Skips empty lines before a request. */
static size_t feed_idle(rondo__http_conn *conn, const char *data, size_t len) {
    size_t i = 0;
    for (; i < len; i++) {
        if (conn->flags & RONDO__CONN_SAW_CR) {
            if (data[i] != '\n' || ++conn->blanks > BLANKS_MOST) {
                rondo__conn_refuse(conn, 400);
                return len;
            }
            conn->flags &= (uint16_t)~RONDO__CONN_SAW_CR;
        } else if (data[i] == '\r') {
            conn->flags |= RONDO__CONN_SAW_CR;
        } else {
            break;
        }
    }
    if (i == len) return len;
    conn->request = rondo__request_take(conn->server->http, conn);
    if (!conn->request) {
        rondo__conn_refuse(conn, 503);
        return len;
    }
    conn->blanks = 0;
    conn->state = RONDO__CONN_HEAD;
    return i;
}

/* The parser would refuse an unknown method at its first wrong letter, when nobody can know yet
 * whether it is a method at all (501) or not (400). So it gets only complete ones: until then,
 * octets are just kept. Returns MORE or a status. */
static int feed_method(rondo__http_conn *conn, const char *data, size_t len, size_t *ret_used) {
    rondo_http_request *request = conn->request;
    size_t most = conn->server->limits.head_bytes, before = request->head_len, parsed;
    size_t piece = len < 64 ? len : 64; /* more than any method */
    if (!rondo__request_append(request, data, piece, most)) return 503;
    *ret_used = piece;
    int method = rondo__head_method(request->head, request->head_len);
    if (method <= 0) return method == 0 ? RONDO__PARSER_MORE : -method;
    request->method_len = request->head_len = (uint32_t)method;
    *ret_used = (size_t)method - before;
    return rondo__parser_head(&request->parser, request->head, request->head_len, &parsed);
}

static int feed_lines(rondo__http_conn *conn, const char *data, size_t len, size_t *ret_used) {
    rondo_http_request *request = conn->request;
    size_t most = conn->server->limits.head_bytes;
    if (most < request->head_len) return 431; /* the limit was lowered just now */
    size_t room = most - request->head_len, before = request->head_len;
    if (len > room) len = room;
    int status = rondo__parser_head(&request->parser, data, len, ret_used);
    if (!rondo__request_append(request, data, status >= 400 ? len : *ret_used, most)) return 503;
    if (status == RONDO__PARSER_HEAD) return status;
    int part = check_part(request, &conn->server->limits, before + *ret_used);
    if (part != 0 || status == RONDO__PARSER_MORE) return part;
    return status == 505 ? rondo__head_version(request) : status;
}

static size_t feed_head(rondo__http_conn *conn, const char *data, size_t len) {
    rondo_http_request *request = conn->request;
    size_t used = 0;
    if (request->head_len == 0) {
        int method = rondo__head_method(data, len);
        if (method > 0) request->method_len = (uint32_t)method;
    }
    int status = request->method_len > 0 ? feed_lines(conn, data, len, &used)
                                         : feed_method(conn, data, len, &used);
    if (status >= 400) {
        rondo__conn_refuse(conn, status);
        return len;
    }
    if (status == RONDO__PARSER_HEAD) dispatch(conn);
    return used;
}

/* Whether octets must wait. */
static bool is_held(const rondo__http_conn *conn) {
    switch (conn->state) {
    case RONDO__CONN_IDLE: return (conn->flags & RONDO__CONN_FULL) != 0; /* it must read first */
    case RONDO__CONN_BODY: return (conn->request->flags & RONDO__REQUEST_PAUSED) != 0;
    case RONDO__CONN_ANSWER:
    case RONDO__CONN_GIVEN: return true;
    default: return false;
    }
}

/* Whether the end of a body has arrived and has not been told. */
static bool end_waits(const rondo__http_conn *conn) {
    return conn->state == RONDO__CONN_BODY && (conn->request->flags & RONDO__REQUEST_OVER);
}

static size_t feed_once(rondo__http_conn *conn, const char *data, size_t len) {
    size_t blank;
    switch (conn->state) {
    case RONDO__CONN_IDLE:
        blank = feed_idle(conn, data, len);
        return blank < len ? blank + feed_head(conn, data + blank, len - blank) : len;
    case RONDO__CONN_HEAD: return feed_head(conn, data, len);
    case RONDO__CONN_BODY: return rondo__body_feed(conn, data, len);
    default: return len; /* after the end: dropped */
    }
}

/* Takes octets until they are used up or must wait; returns how many are left. */
static size_t feed(rondo__http_conn *conn, const char *data, size_t len) {
    RONDO_ASSERT(!(conn->flags & RONDO__CONN_FEEDING));
    uint32_t first = conn->requests, most = conn->server->limits.pipeline_depth;
    conn->flags |= RONDO__CONN_FEEDING;
    while ((len > 0 || end_waits(conn)) && !is_held(conn)) {
        /* Enough for now: the other connections' turn. */
        if (conn->requests - first >= most && conn->state == RONDO__CONN_IDLE) break;
        size_t used = feed_once(conn, data, len);
        RONDO_ASSERT(used <= len);
        data += used;
        len -= used;
    }
    conn->flags &= (uint16_t)~RONDO__CONN_FEEDING;
    if (conn->state == RONDO__CONN_IDLE)
        rondo__conn_arm_idle(conn);
    else if (conn->state == RONDO__CONN_HEAD)
        rondo__conn_arm_head(conn);
    else if (conn->state == RONDO__CONN_BODY)
        rondo__body_await(conn);
    else if (conn->state == RONDO__CONN_GIVEN)
        rondo__upgrade_fed(conn);
    return len;
}

/* ---- what has to wait ---- */

static void run_rest(rondo_loop *loop, rondo__task *task) {
    rondo__http_rest *rest = RONDO__OF(task, rondo__http_rest, task);
    rondo__http_conn *conn = rest->conn;
    rondo_stream *stream = conn->stream;
    if (is_held(conn) || rondo__stream_is_over(stream)) return;
    rondo__cork(loop);
    size_t left = feed(conn, rest->data + rest->from, rest->len - rest->from);
    rest->from = rest->len - left;
    if (conn->state == RONDO__CONN_GIVEN) {
        rondo__upgrade_pass(stream, rest->data + rest->from, left);
        rondo__free(rest);
    } else if (left == 0 && !end_waits(conn)) {
        conn->rest = NULL;
        rondo__free(rest);
        rondo__conn_go_on(conn);
    } else if (!is_held(conn)) {
        rondo__conn_go_on(conn);
    }
    rondo__uncork(loop);
}

static void keep(rondo__http_conn *conn, const char *data, size_t len) {
    RONDO_ASSERT(!conn->rest);
    rondo__http_rest *rest = rondo__alloc(sizeof *rest + len);
    if (!rest) {
        rondo__conn_cut(conn); /* octets would be missing */
        return;
    }
    rondo__task_init(&rest->task, run_rest);
    rest->conn = conn;
    rest->from = 0;
    rest->len = len;
    memcpy(rest->data, data, len);
    conn->rest = rest;
    rondo__conn_hold(conn);
    if (!is_held(conn)) rondo__conn_go_on(conn); /* it is only the others' turn */
}

void rondo__conn_hold(rondo__http_conn *conn) {
    if (conn->flags & RONDO__CONN_PAUSED) return;
    conn->flags |= RONDO__CONN_PAUSED;
    rondo_pause(conn->stream);
}

void rondo__conn_go_on(rondo__http_conn *conn) {
    if ((conn->flags & (RONDO__CONN_FEEDING | RONDO__CONN_PAUSED)) != RONDO__CONN_PAUSED) return;
    if (conn->rest) {
        /* Later: this may be inside a call of the application, and would call it back. */
        rondo__defer(conn->server->base.loop, &conn->rest->task);
    } else if (!is_held(conn)) {
        conn->flags &= (uint16_t)~RONDO__CONN_PAUSED;
        if (rondo_resume(conn->stream) == RONDO_ENOMEM) rondo__conn_cut(conn); /* else: for ever */
    }
}

void rondo__conn_resumed(rondo__http_conn *conn) {
    if (conn->state == RONDO__CONN_BODY) {
        rondo__conn_start_body_clock(conn);
        if (!(conn->flags & RONDO__CONN_FEEDING)) rondo__body_await(conn);
    }
    rondo__conn_go_on(conn);
}

/* ---- the stream's events ---- */

static rondo__http_conn *conn_of(rondo_stream *stream) { return rondo__stream_owner(stream); }

static void on_data(rondo_stream *stream, rondo_slice chunk) {
    rondo__http_conn *conn = conn_of(stream);
    size_t left = feed(conn, chunk.data, chunk.len);
    if (left == 0 && !end_waits(conn))
        rondo__conn_go_on(conn);
    else if (conn->state == RONDO__CONN_GIVEN)
        rondo__upgrade_pass(stream, chunk.data + chunk.len - left, left);
    else
        keep(conn, chunk.data + chunk.len - left, left);
}

static void on_end(rondo_stream *stream) {
    rondo__http_conn *conn = conn_of(stream);
    conn->flags |= RONDO__CONN_PEER_ENDED | RONDO__CONN_CLOSE;
    switch (conn->state) {
    case RONDO__CONN_IDLE: rondo__conn_shut(conn); break;
    case RONDO__CONN_HEAD:
    case RONDO__CONN_BODY: rondo__conn_refuse(conn, 400); break; /* RFC 9112 section 8 */
    case RONDO__CONN_ANSWER: /* it may have closed its side only: the answer is sent */
        if (conn->flags & RONDO__CONN_EVENTS) rondo__conn_cut(conn);
        break;
    case RONDO__CONN_CLOSING:
    case RONDO__CONN_GONE: break;
    }
}

static void on_finish(rondo_stream *stream) {
    rondo__http_conn *conn = conn_of(stream);
    if (conn->state != RONDO__CONN_CLOSING) return;
    conn->flags |= RONDO__CONN_FINISHED;
    rondo__conn_arm_closing(conn);
}

static void on_drain(rondo_stream *stream) {
    rondo__http_conn *conn = conn_of(stream);
    bool only_asked = (conn->flags & (RONDO__CONN_ASKED | RONDO__CONN_FULL)) == RONDO__CONN_ASKED;
    conn->flags &= (uint16_t) ~(RONDO__CONN_FULL | RONDO__CONN_ASKED);
    if (conn->flags & RONDO__CONN_LEAVING) rondo__leaving_go_on(conn);
    if (!only_asked && rondo__conn_alive(conn) && conn->request && conn->request->response)
        rondo__response_drained(conn->request->response);
    if (conn->state == RONDO__CONN_IDLE && conn->server->draining && !conn->rest)
        rondo__conn_shut(conn);
    else if (conn->state == RONDO__CONN_IDLE)
        rondo__conn_arm_idle(conn); /* now it really is */
    rondo__conn_go_on(conn);
}

static void on_error(rondo_stream *stream, int error) {
    (void)error; /* whatever it was, the client has gone */
    conn_of(stream)->state = RONDO__CONN_GONE;
}

static void on_closed(rondo_stream *stream) {
    rondo__http_conn *conn = conn_of(stream);
    conn->state = RONDO__CONN_GONE;
    rondo_http_response *response = rondo__conn_detach(conn);
    if (conn->flags & RONDO__CONN_LEAVING) rondo__leaving_lost(conn);
    rondo__http_server_lost(conn);
    /* Last, since the application may do anything now. */
    if (response) rondo__response_aborted(response);
}

const rondo__consumer rondo__conn_consumer = {
    .data = on_data,
    .end = on_end,
    .finish = on_finish,
    .drain = on_drain,
    .timeout = rondo__conn_alarm,
    .error = on_error,
    .closed = on_closed,
};
