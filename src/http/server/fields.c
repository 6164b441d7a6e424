/* SPDX-License-Identifier: MIT
 *
 * Fields that the application sends, in heads and in informational answers, and their checks: a name is
 * a token, a value has no CR, LF or NUL (RFC 9110 section 5.5), and what frames a message is the
 * server's alone to say. A value of somebody else's could begin a new field otherwise, or a new answer.
 */
#include <rondo/error.h>
#include <rondo/stream.h>
#include <string.h>

#include "http/chars.h"
#include "http/server/response.h"

/* Of an informational answer: what rondo__stream_reserve() gives, and room for its status line. */
#define INFORM_MOST ((size_t)8000)

/* ---- checks ---- */

/* Fields that say how the message is framed or when it was made. */
static bool is_own_field(rondo_slice name) {
    static const char *const own[] = {"content-length", "transfer-encoding", "connection", "date",
                                      "keep-alive"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (rondo__http_word_is(name.data, name.len, own[i])) return true;
    return false;
}

static bool is_value(rondo_slice value) {
    return value.len == 0 ||
           (!memchr(value.data, '\r', value.len) && !memchr(value.data, '\n', value.len) &&
            !memchr(value.data, '\0', value.len));
}

int rondo__response_check_field(rondo_slice name, rondo_slice value) {
    if (name.len == 0 || !rondo__http_all(name.data, name.len, RONDO__CHAR_TOKEN))
        return RONDO_EINVAL;
    if (!is_value(value) || is_own_field(name)) return RONDO_EINVAL;
    return name.len > UINT16_MAX || value.len > UINT16_MAX ? RONDO_ENOBUFS : 0;
}

char *rondo__response_put_field(char *at, rondo_slice name, rondo_slice value) {
    memcpy(at, name.data, name.len);
    at += name.len;
    memcpy(at, ": ", 2);
    at += 2;
    if (value.len > 0) memcpy(at, value.data, value.len); /* its data may be NULL else */
    at += value.len;
    memcpy(at, "\r\n", 2);
    return at + 2;
}

/* ---- of the head to come ---- */

int rondo_http_response_header(rondo_http_response *response, const char *name, const char *value) {
    RONDO__CHECK(response, &rondo__response_kind);
    if (!response->request || !rondo__response_conn(response)) return RONDO_ECLOSED;
    if (response->status != 0) return RONDO_EBUSY;
    rondo_slice name_slice = rondo_slice_text(name), value_slice = rondo_slice_text(value);
    int result = rondo__response_check_field(name_slice, value_slice);
    if (result < 0) return result;
    char *at;
    result = rondo__request_out(response->request, rondo__field_len(name_slice, value_slice), &at);
    if (result < 0) return result;
    rondo__response_put_field(at, name_slice, value_slice);
    return 0;
}

/* ---- behind the body ---- */

/* Whoever gets these only behind the body has acted without them already (RFC 9110 section 6.5.1). */
static bool belongs_before(rondo_slice name) {
    static const char *const before[] = {"host",
                                         "trailer",
                                         "te",
                                         "upgrade",
                                         "content-encoding",
                                         "content-type",
                                         "content-range",
                                         "cache-control",
                                         "age",
                                         "expires",
                                         "vary",
                                         "location",
                                         "set-cookie",
                                         "www-authenticate",
                                         "authorization",
                                         "retry-after",
                                         "expect",
                                         "range",
                                         "max-forwards"};
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++)
        if (rondo__http_word_is(name.data, name.len, before[i])) return true;
    return false;
}

int rondo_http_response_trailer(rondo_http_response *response, const char *name,
                                const char *value) {
    RONDO__CHECK(response, &rondo__response_kind);
    if (!response->request || !rondo__response_conn(response)) return RONDO_ECLOSED;
    rondo_slice name_slice = rondo_slice_text(name), value_slice = rondo_slice_text(value);
    int result = rondo__response_check_field(name_slice, value_slice);
    if (result < 0) return result;
    if (response->status == 0 || belongs_before(name_slice)) return RONDO_EINVAL;
    if (response->bodyless || response->framing != RONDO__FRAMING_CHUNKS) return RONDO_ENOTSUP;
    char *at;
    result = rondo__request_out(response->request, rondo__field_len(name_slice, value_slice), &at);
    if (result < 0) return result;
    rondo__response_put_field(at, name_slice, value_slice);
    return 0;
}

/* ---- before the answer ---- */

static int check_inform(const rondo_http_response *response, int status,
                        const rondo_http_field *fields, size_t count, size_t *ret_len) {
    size_t len = 0;
    if (status < 100 || status > 199 || status == 101) return RONDO_EINVAL;
    for (size_t i = 0; i < count; i++) {
        int result = rondo__response_check_field(fields[i].name, fields[i].value);
        if (result < 0) return result;
        len += rondo__field_len(fields[i].name, fields[i].value);
        if (len > INFORM_MOST) return RONDO_ENOBUFS;
    }
    *ret_len = len;
    return response->status != 0 ? RONDO_EBUSY : 0;
}

static char *put_status(char *at, int status) {
    rondo_slice reason = rondo_slice_text(rondo__http_reason(status));
    memcpy(at, "HTTP/1.1 1", 10);
    at[10] = (char)('0' + status / 10 % 10);
    at[11] = (char)('0' + status % 10);
    at[12] = ' ';
    memcpy(at + 13, reason.data, reason.len);
    memcpy(at + 13 + reason.len, "\r\n", 2);
    return at + 15 + reason.len;
}

/* The client, which waited to be asked, has been: from now on its body is awaited. */
static void await_body(rondo__http_conn *conn) {
    rondo_http_request *request = conn->request;
    if (!(request->flags & RONDO__REQUEST_EXPECTS)) return;
    request->flags &= (uint16_t)~RONDO__REQUEST_EXPECTS;
    if (conn->state == RONDO__CONN_BODY && !(conn->flags & RONDO__CONN_FEEDING))
        rondo__body_await(conn);
}

int rondo_http_response_inform(rondo_http_response *response, int status,
                               const rondo_http_field *fields, size_t count) {
    RONDO__CHECK(response, &rondo__response_kind);
    rondo__http_conn *conn = response->request ? rondo__response_conn(response) : NULL;
    size_t len;
    if (!conn) return RONDO_ECLOSED;
    int result = check_inform(response, status, fields, count, &len);
    if (result < 0) return result;
    if (response->request->minor == 0) return 0; /* RFC 9110 section 15.2 */
    if (!rondo__response_fits(conn, len + 64)) return RONDO_ENOBUFS;
    char *room = rondo__stream_reserve(conn->stream, len + 64), *at = room;
    if (!room) return rondo__response_no_room(conn);
    at = put_status(at, status);
    for (size_t i = 0; i < count; i++)
        at = rondo__response_put_field(at, fields[i].name, fields[i].value);
    memcpy(at, "\r\n", 2);
    result = rondo__stream_commit(conn->stream, (size_t)(at + 2 - room));
    if (result < 0) return result;
    if (result == 0) conn->flags |= RONDO__CONN_FULL;
    if (status == 100) await_body(conn);
    return 0;
}
