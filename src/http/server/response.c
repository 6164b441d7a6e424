/* SPDX-License-Identifier: MIT
 *
 * Responses: their life, and bodies in pieces, framed (RFC 9110 section 6.4: no body where there can't
 * be one).
 *
 * A response is ended exactly once, by the application: ending it lets go of the request, tells the
 * connection, and closes the handle, whose memory goes back to the free list in the closing phase.
 * When the client goes first, nothing of that happens: the response stays, and calls on it do nothing.
 */
#include "http/server/response.h"

#include <rondo/error.h>
#include <rondo/stream.h>
#include <string.h>
#include <unistd.h>

#include "http/chars.h"
#include "loop/memory.h"

static void response_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                           void *arg) {
    (void)loop, (void)payload;
    ((rondo_http_response_cb)fn)((rondo_http_response *)(void *)handle, arg);
}
static const rondo__event drain_event = {"http.drain", response_thunk};
static const rondo__event aborted_event = {"http.aborted", response_thunk};

/* ---- life ---- */

static rondo_http_response *response_of(rondo_handle *handle) {
    return (rondo_http_response *)(void *)handle;
}

bool rondo__response_fits(const rondo__http_conn *conn, size_t len) {
    size_t queued = rondo__stream_queued(conn->stream);
    size_t most = conn->server->limits.response_queue_bytes;
    return len <= most && queued <= most - len;
}

int rondo__response_no_room(const rondo__http_conn *conn) {
    return rondo__stream_is_over(conn->stream) ? RONDO_ECLOSED : RONDO_ENOMEM;
}

/* Lets go of the request; returns its connection, NULL when that has gone. */
static rondo__http_conn *let_go(rondo_http_response *response) {
    rondo_http_request *request = response->request;
    rondo__http_conn *conn = request->conn;
    response->request = NULL;
    rondo__tally_ended(response, request);
    return conn;
}

/* It has been ended; a filter may still have to be dropped. */
static inline void retire(rondo_http_response *response) {
    if (RONDO__UNLIKELY(response->filter))
        rondo_close(response);
    else
        rondo__handle_close_idle(&response->base);
}

void rondo__response_finish(rondo_http_response *response) {
    rondo__http_conn *conn = let_go(response);
    if (conn) rondo__conn_answered(conn);
    retire(response);
}

/* The answer is not what it should be, and the client must be able to tell: by an end before the
 * last chunk or the last octet promised. Answers before this one still leave. */
static void break_off(const rondo_http_response *response, rondo__http_conn *conn) {
    if (!conn || !rondo__conn_alive(conn)) return;
    if (response->framing == RONDO__FRAMING_CLOSE && !response->bodyless)
        rondo__conn_cut(conn); /* an orderly end would look like the answer's */
    else
        rondo__conn_shut(conn);
}

void rondo__response_break(rondo_http_response *response) {
    break_off(response, let_go(response));
    retire(response);
}

/* rondo_close() by the application. */
static void stop(rondo_handle *handle) {
    rondo_http_response *response = response_of(handle);
    if (RONDO__UNLIKELY(response->filter)) {
        response->filter->drop(response);
        response->filter = NULL;
    }
    if (!response->request) return; /* ended: it is being closed */
    break_off(response, let_go(response));
}

static void finish(rondo_handle *handle) {
    rondo_http_response *response = response_of(handle);
    if (response->told) rondo__tally_tell(response);
}

static void recycle(rondo_handle *handle) {
    rondo__http *http = rondo__loop_part(handle->loop, RONDO__PART_HTTP);
    rondo_http_response *response = response_of(handle);
    if (http->spare_response_count >= RONDO__SPARE_RESPONSES) {
        rondo__free(response);
        return;
    }
    http->spare_response_count++;
    response->next = http->spare_responses;
    http->spare_responses = response;
}

const rondo__kind rondo__response_kind = {
    .name = "http response",
    .size = sizeof(rondo_http_response),
    .stop = stop,
    .finish = finish,
    .recycle = recycle,
};

rondo_http_response *rondo__response_take(rondo_http_request *request, rondo_http_server *server) {
    rondo__http *http = request->http;
    rondo_http_response *response = http->spare_responses;
    if (response) {
        http->spare_responses = response->next;
        http->spare_response_count--;
    } else if (!(response = rondo__alloc(sizeof *response))) {
        return NULL;
    }
    rondo__handle_init(&response->base, http->loop, &rondo__response_kind,
                       rondo__handle_site(&server->base));
    /* One by one, as in rondo__handle_init(). */
    response->request = request;
    response->told = NULL;
    response->on_drain = response->on_aborted = NULL;
    response->filter = server->filter;
    response->filter_state = NULL;
    response->left = response->sent = 0;
    response->status = 0;
    response->framing = 0;
    response->bodyless = (request->flags & RONDO__REQUEST_HEAD) != 0;
    request->tally->in_flight++;
    request->response = response;
    request->flags |= RONDO__REQUEST_BY_APP;
    return response;
}

/* ---- events ---- */

void rondo_http_response_on_drain(rondo_http_response *response, rondo_http_response_cb cb,
                                  void *arg) {
    RONDO__CHECK(response, &rondo__response_kind);
    response->on_drain = cb;
    response->drain_arg = arg;
}

void rondo_http_response_on_aborted(rondo_http_response *response, rondo_http_response_cb cb,
                                    void *arg) {
    RONDO__CHECK(response, &rondo__response_kind);
    response->on_aborted = cb;
    response->aborted_arg = arg;
}

void rondo__response_drained(rondo_http_response *response) {
    if (response->on_drain)
        rondo__door(response->base.loop, &response->base, &drain_event,
                    RONDO__FN(response->on_drain), NULL, response->drain_arg);
}

void rondo__response_aborted(rondo_http_response *response) {
    RONDO_ASSERT(response->request && !rondo__handle_closing(&response->base));
    if (response->on_aborted)
        rondo__door(response->base.loop, &response->base, &aborted_event,
                    RONDO__FN(response->on_aborted), NULL, response->aborted_arg);
}

/* ---- figures ---- */

int rondo_http_response_status(const rondo_http_response *response) {
    RONDO__CHECK(response, &rondo__response_kind);
    return response->status;
}

uint64_t rondo_http_response_bytes(const rondo_http_response *response) {
    RONDO__CHECK(response, &rondo__response_kind);
    return response->sent;
}

/* ---- an answer in pieces ---- */

static char *put_hex(char *at, uint64_t number) {
    int shift = 60;
    while (shift > 0 && (number >> shift) == 0) shift -= 4;
    for (; shift >= 0; shift -= 4) *at++ = "0123456789abcdef"[(number >> shift) & 15];
    return at;
}

/* A chunk in pieces: its line, the data, and the line end of a chunk before it went ahead. */
static int write_chunk(rondo__http_conn *conn, rondo_slice data) {
    char line[20], *end = put_hex(line, data.len);
    memcpy(end, "\r\n", 2);
    size_t line_len = (size_t)(end + 2 - line);
    bool whole = data.len <= 4096;
    char *room = rondo__stream_reserve(conn->stream, line_len + (whole ? data.len + 2 : 0));
    if (!room) return rondo__response_no_room(conn);
    memcpy(room, line, line_len);
    if (!whole) {
        int result = rondo__stream_commit(conn->stream, line_len);
        if (result >= 0) result = rondo_write(conn->stream, data);
        if (result >= 0) result = rondo_write(conn->stream, rondo_slice_of("\r\n", 2));
        if (result < 0) rondo__conn_cut(conn); /* half a chunk is queued */
        return result;
    }
    memcpy(room + line_len, data.data, data.len);
    memcpy(room + line_len + data.len, "\r\n", 2);
    return rondo__stream_commit(conn->stream, line_len + data.len + 2);
}

static int write_last_chunk(rondo__http_conn *conn, const rondo_http_request *request) {
    rondo_slice pieces[3] = {
        {"0\r\n", 3}, rondo_slice_of(request->out, request->out_len), {"\r\n", 2}};
    if (request->out_len == 0) return rondo_write(conn->stream, rondo_slice_of("0\r\n\r\n", 5));
    return rondo_writev(conn->stream, pieces, 3); /* with its trailers */
}

int rondo_http_response_write(rondo_http_response *response, rondo_slice data) {
    RONDO__CHECK(response, &rondo__response_kind);
    if (RONDO__UNLIKELY(response->filter)) return response->filter->write(response, data);
    rondo__http_conn *conn = response->request ? rondo__response_conn(response) : NULL;
    if (!conn) return RONDO_ECLOSED;
    if (response->status == 0)
        return rondo__stream_is_over(conn->stream) ? RONDO_ECLOSED : RONDO_EINVAL;
    if (response->framing == RONDO__FRAMING_LENGTH && data.len > response->left)
        return RONDO_EOVERFLOW;
    if (response->framing == RONDO__FRAMING_NONE && data.len > 0) return RONDO_EOVERFLOW;
    int result = 1;
    if (!response->bodyless && data.len > 0) {
        if (!rondo__response_fits(conn, data.len)) return RONDO_ENOBUFS;
        result = response->framing == RONDO__FRAMING_CHUNKS ? write_chunk(conn, data)
                                                            : rondo_write(conn->stream, data);
        if (result < 0) return result;
        response->sent += data.len;
        rondo__conn_arm_write(conn);
    }
    if (response->framing == RONDO__FRAMING_LENGTH) response->left -= data.len;
    if (result == 0) conn->flags |= RONDO__CONN_FULL;
    return result;
}

int rondo_http_response_end(rondo_http_response *response) {
    RONDO__CHECK(response, &rondo__response_kind);
    if (RONDO__UNLIKELY(response->filter)) return response->filter->end(response);
    if (!response->request) return RONDO_ECLOSED;
    rondo__http_conn *conn = rondo__response_conn(response);
    if (conn && response->status == 0)
        return rondo_http_response_reply(response, 204, NULL, rondo_slice_of(NULL, 0));
    if (!conn) {
        rondo__response_finish(response);
        return RONDO_ECLOSED;
    }
    int result = 0;
    if (!response->bodyless && response->framing == RONDO__FRAMING_CHUNKS)
        result = write_last_chunk(conn, response->request);
    else if (!response->bodyless && response->left > 0)
        result = RONDO_EPROTO;
    if (result < 0) {
        rondo__response_break(response);
        return result;
    }
    rondo__response_finish(response);
    return 0;
}

int rondo__http_response_piece(rondo_http_response *response, int fd, uint64_t offset, uint64_t len,
                               bool own_fd) {
    RONDO__CHECK(response, &rondo__response_kind);
    rondo__http_conn *conn = response->request ? rondo__response_conn(response) : NULL;
    if (!conn || response->bodyless) {
        if (own_fd) close(fd);
        return conn ? 1 : RONDO_ECLOSED;
    }
    RONDO_ASSERT(response->framing == RONDO__FRAMING_LENGTH && response->left >= len);
    int result = rondo_write_file(conn->stream, fd, offset, len, own_fd);
    if (result < 0) return result;
    if (result == 0) conn->flags |= RONDO__CONN_FULL;
    response->sent += len;
    response->left -= len;
    return result;
}

int rondo__http_response_between(rondo_http_response *response, rondo_slice data) {
    rondo__http_conn *conn = response->request ? rondo__response_conn(response) : NULL;
    if (!conn) return RONDO_ECLOSED;
    RONDO_ASSERT(response->framing == RONDO__FRAMING_LENGTH && response->left >= data.len);
    int result = response->bodyless ? 1 : rondo_write(conn->stream, data);
    if (result < 0) return result;
    if (result == 0) conn->flags |= RONDO__CONN_FULL;
    if (!response->bodyless) response->sent += data.len;
    response->left -= data.len;
    return result;
}

int rondo__http_response_file(rondo_http_response *response, int fd, uint64_t offset, uint64_t len,
                              bool own_fd) {
    int result = rondo__http_response_piece(response, fd, offset, len, own_fd);
    if (result < 0 && result != RONDO_ECLOSED) {
        rondo__response_break(response);
        return result;
    }
    return rondo_http_response_end(response);
}
