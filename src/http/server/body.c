/* SPDX-License-Identifier: MIT
 *
 * Request bodies: found in the octets, bounded, and handed to the application. A body with a length
 * is only counted; chunks are the parser's.
 */
#include <rondo/stream.h>

#include "http/server/connection.h"
#include "http/server/response.h"
#include "loop/assert.h"

typedef struct data_payload {
    rondo_http_request *request;
    rondo_slice chunk;
} data_payload;

static void data_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    const data_payload *data = payload;
    (void)loop, (void)handle;
    ((rondo_http_data_cb)fn)(data->request, data->chunk, arg);
}
static const rondo__event data_event = {"http.data", data_thunk};

static void end_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                      void *arg) {
    (void)loop, (void)handle;
    ((rondo_http_end_cb)fn)(payload, arg);
}
static const rondo__event end_event = {"http.end", end_thunk};

static rondo_loop *loop_of(const rondo__http_conn *conn) { return conn->server->base.loop; }

/* ---- to the application ---- */

static void tell_data(rondo__http_conn *conn, const char *data, size_t len) {
    rondo_http_request *request = conn->request;
    request->body_seen += len;
    if (!request->on_data) {
        if ((request->flags & RONDO__REQUEST_COLLECTS) && request->response)
            rondo__collect_add(conn, data, len);
        return; /* else read and dropped */
    }
    RONDO_ASSERT(request->response);
    data_payload payload = {request, rondo_slice_of(data, len)};
    rondo__door(loop_of(conn), &request->response->base, &data_event, RONDO__FN(request->on_data),
                &payload, request->data_arg);
    if (conn->state == RONDO__CONN_BODY && !request->response) rondo__body_drop(conn);
}

void rondo__body_tell_end(rondo__http_conn *conn) {
    rondo_http_request *request = conn->request;
    if (!request->on_end) {
        if ((request->flags & RONDO__REQUEST_COLLECTS) && request->response)
            rondo__collect_tell(conn);
        return;
    }
    RONDO_ASSERT(request->response);
    rondo__door(loop_of(conn), &request->response->base, &end_event, RONDO__FN(request->on_end),
                request, request->end_arg);
}

void rondo__body_drop(rondo__http_conn *conn) {
    RONDO_ASSERT(conn->state == RONDO__CONN_BODY && !conn->request->response);
    if (conn->flags & RONDO__CONN_CLOSE) {
        rondo__conn_shut(conn);
    } else if (!(conn->flags & RONDO__CONN_FEEDING)) {
        rondo__body_await(conn);
        rondo__conn_go_on(conn);
    }
}

/* ---- from the client ---- */

void rondo__body_await(rondo__http_conn *conn) {
    rondo_http_request *request = conn->request;
    if (request->flags & (RONDO__REQUEST_PAUSED | RONDO__REQUEST_OVER)) return;
    if (request->flags & RONDO__REQUEST_EXPECTS) {
        bool wanted = request->on_data || rondo__body_end_is_awaited(request);
        if (!wanted || (conn->flags & RONDO__CONN_ANSWERED))
            return; /* it is the application's turn */
        if (rondo_write(conn->stream, rondo_slice_of("HTTP/1.1 100 Continue\r\n\r\n", 25)) < 0) {
            rondo__conn_cut(conn);
            return;
        }
        request->flags &= (uint16_t)~RONDO__REQUEST_EXPECTS;
    }
    rondo__conn_arm_body(conn);
}

static size_t feed_length(rondo__http_conn *conn, const char *data, size_t len) {
    rondo_http_request *request = conn->request;
    size_t used = len < request->body_left ? len : (size_t)request->body_left;
    request->body_left -= used;
    bool last = request->body_left == 0;
    tell_data(conn, data, used);
    if (last) rondo__body_over(conn);
    return used;
}

/* Framing is what a chunked body has besides data: sizes, extensions, line ends. Each piece of data
 * pays for some of it, so that chunks of one octet pass; what nothing pays for is bounded. */
static bool count_framing(rondo_http_request *request, size_t octets, size_t data,
                          const rondo_http_limits *limits) {
    request->framing += octets;
    if (request->framing > limits->chunk_extension_bytes) return false;
    size_t paid = data > 0 ? 16 + 2 * data : 0;
    request->framing -= paid < request->framing ? paid : request->framing;
    return true;
}

/* The application may lower a limit when more than that has arrived already. */
static uint64_t left_of(uint64_t limit, uint64_t seen) { return limit > seen ? limit - seen : 0; }

/* The status to refuse them with, or 0. */
static int check_trailers(rondo_http_request *request, rondo__scan scan, const char *data,
                          size_t len, uint64_t most) {
    size_t parsed = 0;
    rondo_slice piece;
    int wanted = scan == RONDO__SCAN_END ? RONDO__PARSER_DONE : RONDO__PARSER_MORE;
    if (scan == RONDO__SCAN_BAD) return 400;
    int event = rondo__parser_body(&request->parser, data, len, 0, &parsed, &piece);
    if (event != wanted || parsed != len) return 400;
    if (scan == RONDO__SCAN_MANY) return 431;
    return scan == RONDO__SCAN_MORE && request->trailer_len >= most ? 431 : 0;
}

/* The fields after the last chunk: bounded, checked by scanner and parser, kept. */
static size_t feed_trailers(rondo__http_conn *conn, const char *data, size_t len) {
    rondo_http_request *request = conn->request;
    const rondo_http_limits *limits = &conn->server->limits;
    size_t room = left_of(limits->trailer_bytes, request->trailer_len), used = 0;
    rondo__scan scan = rondo__trailer_scan_run(&request->trailers, data, len < room ? len : room,
                                               limits->header_count, &used);
    bool kept = used == 0 || rondo__trailers_keep(request, data, used, limits->trailer_bytes);
    request->trailer_len += used;
    int status = check_trailers(request, scan, data, used, limits->trailer_bytes);
    if (status == 0 && !kept) status = 503;
    if (status != 0) {
        rondo__conn_refuse(conn, status);
        return len;
    }
    if (scan == RONDO__SCAN_END) rondo__body_over(conn);
    return used;
}

static size_t feed_chunks(rondo__http_conn *conn, const char *data, size_t len) {
    rondo_http_request *request = conn->request;
    const rondo_http_limits *limits = &conn->server->limits;
    size_t used = 0;
    rondo_slice piece = {NULL, 0};
    uint64_t most = left_of(limits->body_bytes, request->body_seen);
    int event = rondo__parser_body(&request->parser, data, len, most, &used, &piece);
    /* Also of a chunk that is too large: octet by octet, its size would not have been heard to the end. */
    if (event != 400 && !count_framing(request, used - piece.len, piece.len, limits)) event = 400;
    if (event == RONDO__PARSER_DONE) event = 400; /* before the last chunk? */
    if (event >= 400) {
        rondo__conn_refuse(conn, event);
        return len;
    }
    if (event == RONDO__PARSER_DATA) {
        tell_data(conn, piece.data, piece.len);
    } else if (event == RONDO__PARSER_LAST) {
        request->flags |= RONDO__REQUEST_TRAILERS;
        request->trailers = (rondo__trailer_scan){0};
    }
    return used;
}

size_t rondo__body_feed(rondo__http_conn *conn, const char *data, size_t len) {
    rondo_http_request *request = conn->request;
    if (request->flags & RONDO__REQUEST_OVER) {
        request->flags &= (uint16_t)~RONDO__REQUEST_OVER;
        rondo__conn_complete(conn);
        return 0;
    }
    request->flags &= (uint16_t)~RONDO__REQUEST_EXPECTS; /* it came without being asked for */
    if (request->body == RONDO__BODY_LENGTH) return feed_length(conn, data, len);
    if (request->flags & RONDO__REQUEST_TRAILERS) return feed_trailers(conn, data, len);
    return feed_chunks(conn, data, len);
}
