/* SPDX-License-Identifier: MIT
 *
 * Heads of answers, written by hand straight into the stream's queue, and the calls that send them:
 * the application's reply and begin, and refusals of the server's own.
 */
#include <rondo/error.h>
#include <rondo/handle.h>
#include <rondo/stream.h>
#include <string.h>

#include "http/server/response.h"

/* What rondo__stream_reserve() gives at most. */
#define RESERVE_MOST ((size_t)8192)
/* All of a head but the application's fields: the status line with the longest reason, Date, the
 * longest Content-Type, Content-Length or Transfer-Encoding, Connection, the empty line. */
#define HEAD_MOST ((size_t)208 + RONDO__TYPE_MOST)

typedef struct answer_head {
    int status;
    bool typed; /* with the media type of rondo__http_use_type() */
    rondo__framing framing;
    uint64_t length;        /* with RONDO__FRAMING_LENGTH */
    rondo_slice connection; /* a whole line, or empty */
    rondo_slice fields;     /* of the application */
} answer_head;

/* ---- writing ---- */

static inline char *put(char *at, rondo_slice text) {
    if (text.len > 0) memcpy(at, text.data, text.len); /* text may be NULL else */
    return at + text.len;
}
#define PUT(at, literal) put((at), rondo_slice_of(literal, sizeof(literal) - 1))

/* Written where it belongs, from its end: how long it becomes is counted first, without dividing. */
static inline char *put_decimal(char *at, uint64_t number) {
    size_t len = 1;
    for (uint64_t limit = 10; number >= limit && len < 20; limit *= 10) len++;
    for (size_t i = len; i-- > 1; number /= 10) at[i] = (char)('0' + number % 10);
    *at = (char)('0' + number);
    return at + len;
}

/* The status line, Date and Content-Type, of which ok_head holds the most part. */
RONDO__INLINE char *put_first_lines(rondo__http *http, char *at, const answer_head *head) {
    if (!http->date_fresh) rondo__http_refresh_date(http);
    size_t len = RONDO__DATE_LINE_LEN;
    if (head->typed) len += sizeof "Content-Type: \r\n" - 1 + http->type_len;
    if (RONDO__LIKELY(head->status == 200)) {
        memcpy(at, http->ok_head, RONDO__OK_LINE_LEN + len);
        return at + RONDO__OK_LINE_LEN + len;
    }
    at = PUT(at, "HTTP/1.1 ");
    at = put_decimal(at, (uint64_t)head->status);
    *at++ = ' ';
    at = put(at, rondo_slice_text(rondo__http_reason(head->status)));
    at = PUT(at, "\r\n");
    return put(at, rondo_slice_of(http->ok_head + RONDO__OK_LINE_LEN, len));
}

RONDO__INLINE char *put_own_fields(rondo__http *http, char *at, const answer_head *head) {
    at = put_first_lines(http, at, head);
    if (RONDO__LIKELY(head->framing == RONDO__FRAMING_LENGTH)) {
        at = PUT(at, "Content-Length: ");
        at = put_decimal(at, head->length);
        at = PUT(at, "\r\n");
    } else if (head->framing == RONDO__FRAMING_CHUNKS) {
        at = PUT(at, "Transfer-Encoding: chunked\r\n");
    }
    return put(at, head->connection);
}

/* A head that is too long to be reserved: with long fields of the application's. */
static int send_long(rondo__http_conn *conn, answer_head long_head) {
    const answer_head *head = &long_head; /* a copy: the others stay in registers */
    char *room = rondo__stream_reserve(conn->stream, HEAD_MOST);
    if (!room) return rondo__response_no_room(conn);
    char *end = put_own_fields(conn->server->http, room, head);
    int result = rondo__stream_commit(conn->stream, (size_t)(end - room));
    if (result >= 0) result = rondo_write(conn->stream, head->fields);
    if (result >= 0) result = rondo_write(conn->stream, rondo_slice_of("\r\n", 2));
    if (result < 0) rondo__conn_cut(conn); /* a part of it is queued */
    return result;
}

/* Queues the head, and the body with it if that is small or else after it. As rondo_write(). */
RONDO__INLINE int send_all(rondo__http_conn *conn, const answer_head *head, rondo_slice body) {
    size_t want = HEAD_MOST + head->fields.len;
    bool body_too = want + body.len <= RESERVE_MOST;
    int result;
    if (want > RESERVE_MOST) {
        result = send_long(conn, *head);
    } else {
        char *room = rondo__stream_reserve(conn->stream, body_too ? want + body.len : want);
        if (!room) return rondo__response_no_room(conn);
        char *at = put_own_fields(conn->server->http, room, head);
        at = put(at, head->fields);
        at = PUT(at, "\r\n");
        if (body_too) at = put(at, body);
        result = rondo__stream_commit(conn->stream, (size_t)(at - room));
    }
    if (result < 0 || body_too || body.len == 0) return result;
    result = rondo_write(conn->stream, body);
    if (result < 0) rondo__conn_cut(conn); /* without its head it would be the next answer's */
    return result;
}

/* ---- refusals ---- */

/* Who is turned away for want of room may come again in so many seconds. */
#define RETRY_LATER "Retry-After: 5\r\n"

/* Three digits, a blank, the reason, LF. */
size_t rondo__refusal_len(int status) { return 3 + 1 + strlen(rondo__http_reason(status)) + 1; }

bool rondo__response_refuse(rondo__http_conn *conn, int status, bool is_head) {
    char text[64], *end = put_decimal(text, (uint64_t)status);
    *end++ = ' ';
    end = put(end, rondo_slice_text(rondo__http_reason(status)));
    *end++ = '\n';
    RONDO_ASSERT((size_t)(end - text) == rondo__refusal_len(status));
    answer_head refusal = {
        .status = status,
        .typed = rondo__http_use_type(conn->server->http, "text/plain") == 0,
        .framing = RONDO__FRAMING_LENGTH,
        .length = (uint64_t)(end - text),
        .connection = status == 503 ? rondo_slice_text(RETRY_LATER "Connection: close\r\n")
                                    : rondo_slice_of("Connection: close\r\n", 19),
    };
    return send_all(conn, &refusal, rondo_slice_of(text, is_head ? 0 : refusal.length)) >= 0;
}

/* ---- answers ---- */

/* What the head says about the connection, and what will become of it. */
static inline rondo_slice connection_line(rondo__http_conn *conn,
                                          const rondo_http_request *request) {
    /* A client that waits to be asked for the body may send it or not after an answer: where the
     * next request begins can't be known (RFC 9110 section 10.1.1). Nor behind a CONNECT that is not
     * taken: the client may have sent the tunnel's first octets without waiting. */
    const unsigned closing = RONDO__REQUEST_EXPECTS | RONDO__REQUEST_CONNECT;
    if (conn->server->draining || (request->flags & closing)) conn->flags |= RONDO__CONN_CLOSE;
    if (conn->flags & RONDO__CONN_CLOSE) return rondo_slice_of("Connection: close\r\n", 19);
    return request->minor > 0 ? rondo_slice_of(NULL, 0)
                              : rondo_slice_of("Connection: keep-alive\r\n", 24);
}

static inline bool has_no_body(int status) { return status == 204 || status == 304; }

/* Sends the head, and the body with it. length -1: not known. */
RONDO__INLINE int send_answer(rondo_http_response *response, rondo__http_conn *conn, int status,
                              bool typed, int64_t length, rondo_slice body) {
    const rondo_http_request *request = response->request;
    answer_head answer = {.status = status, .typed = typed};
    if (has_no_body(status)) {
        answer.framing = RONDO__FRAMING_NONE;
    } else if (length >= 0) {
        answer.framing = RONDO__FRAMING_LENGTH;
        answer.length = (uint64_t)length;
    } else if (request->minor > 0) {
        answer.framing = RONDO__FRAMING_CHUNKS;
    } else {
        answer.framing = RONDO__FRAMING_CLOSE;
        conn->flags |= RONDO__CONN_CLOSE;
    }
    answer.connection = connection_line(conn, request);
    answer.fields = rondo_slice_of(request->out, request->out_len);
    int result = send_all(conn, &answer, body);
    if (result < 0) return result;
    if (result == 0) conn->flags |= RONDO__CONN_FULL;
    conn->flags |= RONDO__CONN_ANSWERED;
    response->status = (uint16_t)status;
    response->framing = (uint8_t)answer.framing;
    response->left = answer.length;
    if (answer.framing == RONDO__FRAMING_NONE) response->bodyless = true;
    return 0;
}

static inline int check_status(const rondo_http_response *response, int status, bool has_body) {
    if (status < 200 || status > 599 || (has_body && has_no_body(status))) return RONDO_EINVAL;
    /* A refusal of the server's own has a status too, but then there is nobody to answer. */
    return response->status != 0 && rondo__response_conn(response) ? RONDO_EBUSY : 0;
}

int rondo_http_response_reply(rondo_http_response *response, int status, const char *content_type,
                              rondo_slice body) {
    RONDO__CHECK(response, &rondo__response_kind);
    if (!response->request) return RONDO_ECLOSED;
    if (RONDO__UNLIKELY(response->filter))
        return response->filter->reply(response, status, content_type, body);
    int result = check_status(response, status, body.len > 0);
    if (result == 0 && content_type)
        result = rondo__http_use_type(response->request->http, content_type);
    if (result < 0) return result;
    rondo__http_conn *conn = rondo__response_conn(response);
    if (!conn) {
        rondo__response_finish(response);
        return RONDO_ECLOSED;
    }
    rondo_slice sent = response->bodyless ? rondo_slice_of(NULL, 0) : body;
    result =
        sent.len <= RESERVE_MOST || rondo__response_fits(conn, sent.len)
            ? send_answer(response, conn, status, content_type != NULL, (int64_t)body.len, sent)
            : RONDO_ENOBUFS;
    if (result < 0) {
        rondo__response_break(response);
        return result;
    }
    response->sent = sent.len;
    rondo__response_finish(response);
    return 0;
}

int rondo_http_response_begin(rondo_http_response *response, int status, int64_t length) {
    RONDO__CHECK(response, &rondo__response_kind);
    if (!response->request) return RONDO_ECLOSED;
    if (RONDO__UNLIKELY(response->filter)) return response->filter->begin(response, status, length);
    int result = check_status(response, status, length > 0);
    if (result < 0) return result;
    if (length < -1) return RONDO_EINVAL;
    rondo__http_conn *conn = rondo__response_conn(response);
    if (!conn) return RONDO_ECLOSED;
    result = send_answer(response, conn, status, false, length, rondo_slice_of(NULL, 0));
    if (result == 0) rondo__conn_arm_write(conn);
    if (result == 0) response->request->out_len = 0; /* from now on it holds trailers */
    return result;
}

int rondo__response_switch(rondo_http_response *response, rondo__http_conn *conn, int status) {
    const rondo_http_request *request = response->request;
    answer_head answer = {.status = status, .framing = RONDO__FRAMING_NONE};
    if (status == 101) answer.connection = rondo_slice_of("Connection: Upgrade\r\n", 21);
    answer.fields = rondo_slice_of(request->out, request->out_len);
    return send_all(conn, &answer, rondo_slice_of(NULL, 0));
}

void rondo__response_plain(rondo_http_response *response, int status) {
    const char *reason = rondo__http_reason(status);
    rondo_http_response_reply(response, status, "text/plain", rondo_slice_text(reason));
}
