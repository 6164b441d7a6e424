/* SPDX-License-Identifier: MIT
 *
 * The request out. Its head is put together anew for every connection that it is sent on. A body that was
 * given by rondo_http_call_send() stays with the call, to be sent again if need be; one that is written
 * waits in `pending` until the connection is there and, if that was asked for, 100 Continue has come, and
 * from then on (RONDO__CALL_FLOWS) goes straight into the stream's queue.
 */
#include <stdio.h>
#include <string.h>

#include "http/client/call.h"
#include "loop/memory.h"
#include "net/stream.h"

/* What may wait before there is a connection: where write begins to say 0, and where to refuse. */
#define PENDING_MARK ((size_t)64 * 1024)
#define PENDING_MOST ((size_t)16 * 1024 * 1024)

/* Bodies from this size on get a queue that is large enough for them. */
#define LARGE_BODY ((size_t)8 * 1024 * 1024)

/* ---- the head ---- */

/* Methods whose meaning implies a body say so when it is empty (RFC 9110 section 8.6). */
static bool implies_body(const char *method) {
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
           strcmp(method, "PATCH") == 0;
}

static bool add_framing(const rondo_http_call *call, rondo__bytes *head) {
    char text[24];
    bool streamed = (call->flags & RONDO__CALL_STREAMED) != 0;
    uint64_t length = streamed ? call->length : call->body.len;
    if (call->flags & RONDO__CALL_CHUNKED)
        return rondo__bytes_add_text(head, "Transfer-Encoding: chunked\r\n");
    if (length == 0 && !streamed && !implies_body(call->method)) return true;
    snprintf(text, sizeof text, "%llu", (unsigned long long)length);
    return rondo__bytes_add_field(head, "Content-Length", rondo_slice_text(text));
}

static bool has_body(const rondo_http_call *call) {
    if (call->flags & RONDO__CALL_CHUNKED) return true;
    return call->flags & RONDO__CALL_STREAMED ? call->length > 0 : call->body.len > 0;
}

static bool add_line(const rondo_http_call *call, bool absolute, rondo__bytes *head) {
    const char *target = call->target ? call->target
                         : absolute   ? call->url.text
                                      : rondo__url_target(&call->url);
    return rondo__bytes_add_text(head, call->method) && rondo__bytes_add_text(head, " ") &&
           rondo__bytes_add_text(head, target) && rondo__bytes_add_text(head, " HTTP/1.1\r\n");
}

/* Host comes first (RFC 9110 section 7.2); for CONNECT it says what the target says. */
static bool add_host(const rondo_http_call *call, rondo__bytes *head) {
    if (call->flags & RONDO__CALL_HOST) return true;
    if (rondo__call_asked(call).connect)
        return rondo__bytes_add_field(head, "Host", rondo_slice_text(call->target));
    rondo_slice host = {rondo__url_authority(&call->url), call->url.authority_len};
    return rondo__bytes_add_field(head, "Host", host);
}

static bool add_own_fields(const rondo_http_call *call, bool absolute, rondo__bytes *head) {
    uint32_t flags = call->flags;
    const char *credentials = absolute ? call->client->proxies[call->url.https].credentials : NULL;
    if ((flags & (RONDO__CALL_DECODES | RONDO__CALL_CODING)) == RONDO__CALL_DECODES &&
        rondo__inflate_there() && !rondo__bytes_add_text(head, "Accept-Encoding: gzip\r\n"))
        return false;
    if ((flags & RONDO__CALL_UPGRADE) && !rondo__bytes_add_text(head, "Connection: Upgrade\r\n"))
        return false;
    if ((flags & RONDO__CALL_EXPECTS) && has_body(call) &&
        !rondo__bytes_add_text(head, "Expect: 100-continue\r\n"))
        return false;
    return !credentials ||
           rondo__bytes_add_field(head, "Proxy-Authorization", rondo_slice_text(credentials));
}

static bool compose(const rondo_http_call *call, rondo__bytes *head) {
    const rondo__origin *origin = call->conn->origin;
    bool absolute = origin->proxied && !origin->tunnel;
    return add_line(call, absolute, head) && add_host(call, head) &&
           rondo__bytes_add(head, rondo__bytes_slice(&call->fields)) &&
           add_own_fields(call, absolute, head) && add_framing(call, head) &&
           rondo__bytes_add_text(head, "\r\n");
}

/* ---- on the way ---- */

/* What a write to the stream came to. One that is over tells its error itself, later. */
static bool queued(rondo_http_call *call, int result) {
    if (result < 0 && result != RONDO_ECLOSED && result != RONDO_EPIPE)
        rondo__call_fail(call, result);
    return result >= 0;
}

bool rondo__call_is_sent(const rondo_http_call *call) {
    uint32_t all = RONDO__CALL_FINISHED | RONDO__CALL_FLOWS;
    return (call->flags & all) == all && call->conn &&
           rondo__stream_queued(call->conn->stream) == 0;
}

void rondo__call_await_head(rondo_http_call *call) {
    if (call->state == RONDO__CALL_SENT)
        rondo__call_arm(call, call->client->limits.head_timeout_ms);
}

/* What was written before there was a connection. */
static int send_pending(rondo_http_call *call, rondo_stream *stream) {
    if (call->pending.len == 0) return 1;
    int result = rondo_write(stream, rondo__bytes_slice(&call->pending));
    if (result >= 0) rondo__bytes_free(&call->pending);
    return result;
}

static int send_whole(rondo_http_call *call, rondo_stream *stream) {
    size_t len = call->body.len;
    if (len == 0) return 1;
    if (len >= LARGE_BODY) {
        int status = rondo_stream_set_high_water(stream, PENDING_MARK, len + LARGE_BODY);
        if (status < 0) return status;
    }
    return rondo_write(stream, rondo__bytes_slice(&call->body));
}

void rondo__call_send_body(rondo_http_call *call) {
    rondo_stream *stream = call->conn->stream;
    bool streamed = (call->flags & RONDO__CALL_STREAMED) != 0;
    call->flags &= ~(uint32_t)RONDO__CALL_AWAITS;
    call->flags |= RONDO__CALL_FLOWS;
    rondo__call_arm(call, UINT64_MAX);
    int result = streamed ? send_pending(call, stream) : send_whole(call, stream);
    if (!queued(call, result)) return;
    if (call->flags & RONDO__CALL_FINISHED) {
        rondo__call_await_head(call);
    } else if (result > 0 && (call->flags & RONDO__CALL_FULL)) {
        call->flags |= RONDO__CALL_DRAIN_DUE; /* the stream has nothing to tell */
        rondo__defer(call->base.loop, &call->task);
    }
}

void rondo__call_start(rondo_http_call *call) {
    rondo__client_conn *conn = call->conn;
    rondo__bytes head = {0};
    call->state = RONDO__CALL_SENT;
    conn->requests++;
    conn->sent = rondo__stream_sent(conn->stream);
    rondo__call_arm(call, UINT64_MAX);
    int result = call->renew ? call->renew(call, call->response_arg) : 0;
    if (result == 0) result = compose(call, &head) ? 0 : RONDO_ENOMEM;
    if (result == 0) result = rondo_write(conn->stream, rondo__bytes_slice(&head));
    rondo__bytes_free(&head);
    if (!queued(call, result)) return;
    if ((call->flags & RONDO__CALL_EXPECTS) && has_body(call)) {
        call->flags |= RONDO__CALL_AWAITS;
        rondo__call_arm(call, call->client->limits.expect_timeout_ms);
    } else {
        rondo__call_send_body(call);
    }
}

void rondo__call_drained(rondo_http_call *call) {
    if (call->flags & RONDO__CALL_FULL) rondo__call_tell_drain(call);
}

/* ---- whole ---- */

/* What is the same for both ways. */
static int begin(rondo_http_call *call, uint32_t flags) {
    int error = call->error;
    call->error = 0;
    call->flags |= flags;
    rondo__handle_activate(&call->base);
    if (call->client) call->client->figures.calls++;
    if (error == 0 && rondo__call_asked(call).connect && !call->target) error = RONDO_EINVAL;
    if (error < 0)
        rondo__call_fail(call, error);
    else
        rondo__call_enter(call, false);
    return 0;
}

static int may_begin(const rondo_http_call *call) {
    if (!rondo__call_alive(call)) return RONDO_ECLOSED;
    return call->state == RONDO__CALL_NEW ? 0 : RONDO_EBUSY;
}

int rondo_http_call_send(rondo_http_call *call, rondo_slice body) {
    RONDO__CHECK(call, &rondo__call_kind);
    int status = may_begin(call);
    if (status < 0) return status;
    if (!rondo__bytes_add(&call->body, body)) return RONDO_ENOMEM;
    return begin(call, RONDO__CALL_FINISHED);
}

/* ---- in pieces ---- */

int rondo_http_call_begin(rondo_http_call *call, int64_t length) {
    RONDO__CHECK(call, &rondo__call_kind);
    int status = may_begin(call);
    if (status < 0) return status;
    if (length < -1) return RONDO_EINVAL;
    if (length >= 0) call->length = call->left = (uint64_t)length;
    return begin(call, RONDO__CALL_STREAMED | (length < 0 ? RONDO__CALL_CHUNKED : 0));
}

/* Whether a body is being written: 0, RONDO_EINVAL or RONDO_ECLOSED. */
static int may_write(const rondo_http_call *call) {
    uint32_t flags = call->flags & (RONDO__CALL_STREAMED | RONDO__CALL_FINISHED);
    if (!rondo__call_alive(call)) return RONDO_ECLOSED;
    if (flags != RONDO__CALL_STREAMED) return RONDO_EINVAL;
    /* Answered before the body was asked for: it is not wanted (RFC 9110 section 10.1.1). */
    bool answered = call->state == RONDO__CALL_ANSWER || call->state == RONDO__CALL_MOVED;
    return answered && !(call->flags & RONDO__CALL_FLOWS) ? RONDO_ECLOSED : 0;
}

/* To the stream, or to what waits for it: 1, 0 or an error, and all of it or nothing. */
static int put(rondo_http_call *call, const rondo_slice pieces[], size_t count) {
    size_t len = 0;
    if (call->flags & RONDO__CALL_FLOWS) {
        int result = rondo_writev(call->conn->stream, pieces, count);
        return result == RONDO_EPIPE ? RONDO_ECLOSED : result;
    }
    for (size_t i = 0; i < count; i++) len += pieces[i].len;
    if (len > PENDING_MOST || call->pending.len > PENDING_MOST - len) return RONDO_ENOBUFS;
    if (!rondo__bytes_room(&call->pending, len)) return RONDO_ENOMEM;
    for (size_t i = 0; i < count; i++) rondo__bytes_add(&call->pending, pieces[i]);
    return call->pending.len < PENDING_MARK;
}

static int put_chunk(rondo_http_call *call, rondo_slice data) {
    char line[24];
    int len = snprintf(line, sizeof line, "%zx\r\n", data.len);
    rondo_slice pieces[] = {{line, (size_t)len}, data, {"\r\n", 2}};
    return put(call, pieces, 3);
}

int rondo_http_call_write(rondo_http_call *call, rondo_slice data) {
    RONDO__CHECK(call, &rondo__call_kind);
    int status = may_write(call);
    if (status < 0) return status;
    bool chunked = (call->flags & RONDO__CALL_CHUNKED) != 0;
    if (!chunked && data.len > call->left) return RONDO_EOVERFLOW;
    if (data.len == 0) return call->flags & RONDO__CALL_FULL ? 0 : 1;
    if (data.len > PENDING_MOST) return RONDO_ENOBUFS;
    int result = chunked ? put_chunk(call, data) : put(call, &data, 1);
    if (result < 0) return result;
    if (!chunked) call->left -= data.len;
    if (result == 0) call->flags |= RONDO__CALL_FULL;
    return result;
}

/* The last chunk and what belongs behind it. */
static int put_last(rondo_http_call *call) {
    rondo_slice pieces[] = {{"0\r\n", 3}, rondo__bytes_slice(&call->trailers), {"\r\n", 2}};
    return put(call, pieces, 3);
}

int rondo_http_call_finish(rondo_http_call *call) {
    RONDO__CHECK(call, &rondo__call_kind);
    int status = may_write(call);
    if (status < 0) return status;
    bool chunked = (call->flags & RONDO__CALL_CHUNKED) != 0;
    if (!chunked && call->left > 0) {
        rondo__call_fail(call, RONDO_ECANCELED);
        return RONDO_EPROTO;
    }
    int result = chunked ? put_last(call) : 1;
    if (result == RONDO_ENOMEM || result == RONDO_ENOBUFS) rondo__call_fail(call, result);
    if (result < 0) return result;
    call->flags |= RONDO__CALL_FINISHED;
    call->flags &= ~(uint32_t)(RONDO__CALL_FULL | RONDO__CALL_DRAIN_DUE);
    if (call->flags & RONDO__CALL_FLOWS) rondo__call_await_head(call);
    return 0;
}
