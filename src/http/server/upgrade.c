/* SPDX-License-Identifier: MIT
 *
 * The way out of HTTP: a client asks for another protocol (RFC 9110 section 7.8) or for a tunnel
 * (section 9.3.6), the application agrees, and the connection's stream is its own from then on.
 *
 * A connection lives in the room of its stream, and stays there as long as the stream does: feed() may be
 * on the stack. RONDO__CONN_GIVEN says that it is none any more. The request stays feed()'s until that is
 * back, since its callback may go on using it.
 */
#include <rondo/error.h>
#include <rondo/stream.h>
#include <string.h>

#include "http/chars.h"
#include "http/server/connection.h"
#include "http/server/response.h"
#include "loop/assert.h"
#include "loop/memory.h"

rondo_slice rondo_http_request_upgrade(const rondo_http_request *request) {
    rondo_slice protocols = rondo_http_request_header(request, "upgrade");
    return request->flags & RONDO__REQUEST_UPGRADE ? protocols : rondo_slice_of(NULL, 0);
}

/* ---- may it? ---- */

/* Whether the answer was given an Upgrade field: what it goes over to. */
static bool names_protocol(const rondo_http_request *request) {
    const char *line = request->out, *end = line + request->out_len;
    while (request->out_len > 0 && line < end) {
        if (end - line >= 8 && rondo__http_word_is(line, 8, "upgrade:")) return true;
        const char *lf = memchr(line, '\n', (size_t)(end - line));
        RONDO_ASSERT(lf);
        line = lf + 1;
    }
    return false;
}

static int check(const rondo_http_response *response, int status) {
    const rondo_http_request *request = response->request;
    if (response->status != 0) return RONDO_EBUSY;
    if (request->flags & RONDO__REQUEST_CONNECT) return status / 100 == 2 ? 0 : RONDO_EINVAL;
    if (!(request->flags & RONDO__REQUEST_UPGRADE) || status != 101) return RONDO_EINVAL;
    if (!names_protocol(request)) return RONDO_EINVAL;
    /* The new protocol begins behind the body. */
    bool through = request->body == RONDO__BODY_NONE || (request->flags & RONDO__REQUEST_COMPLETE);
    return through ? 0 : RONDO_EBUSY;
}

/* ---- it goes ---- */

/* Octets that wait, if they are not being fed right now, and an end that was told are the stream's. */
static int give_back(rondo__http_conn *conn) {
    rondo__http_rest *rest = conn->flags & RONDO__CONN_FEEDING ? NULL : conn->rest;
    rondo_slice octets = {NULL, 0};
    if (rest) octets = rondo_slice_of(rest->data + rest->from, rest->len - rest->from);
    if (rondo__stream_make_slots(conn->stream) < 0) return RONDO_ENOMEM;
    return rondo__stream_unread(conn->stream, octets);
}

/* The connection is no more. */
static void leave(rondo__http_conn *conn) {
    rondo_http_request *request = conn->request;
    bool feeding = (conn->flags & RONDO__CONN_FEEDING) != 0;
    if (conn->rest && !feeding) {
        rondo__task_cancel(&conn->rest->task);
        rondo__free(conn->rest);
    }
    rondo__leaving_given(conn);
    rondo__http_server_lost(conn); /* may close the server, which has lost its last one */
    conn->state = RONDO__CONN_GIVEN;
    conn->flags &= RONDO__CONN_FEEDING;
    rondo__stream_release(conn->stream);
    request->conn = NULL;
    if (!feeding) rondo__request_release(request, RONDO__REQUEST_BY_CONN);
}

int rondo_http_response_upgrade(rondo_http_response *response, int status,
                                rondo_stream **ret_stream) {
    RONDO__CHECK(response, &rondo__response_kind);
    if (!response->request) return RONDO_ECLOSED;
    rondo__http_conn *conn = rondo__response_conn(response);
    if (!conn) {
        rondo__response_finish(response);
        return RONDO_ECLOSED;
    }
    int result = check(response, status);
    if (result < 0) return result;
    result = give_back(conn);
    if (result == 0) result = rondo__response_switch(response, conn, status);
    if (result < 0) {
        rondo__response_break(response);
        return result;
    }
    rondo_stream *stream = conn->stream;
    response->status = (uint16_t)status;
    response->bodyless = true;
    leave(conn);
    rondo__response_finish(response);
    *ret_stream = stream;
    return 0;
}

/* ---- afterwards ---- */

void rondo__upgrade_fed(rondo__http_conn *conn) {
    RONDO_ASSERT(conn->state == RONDO__CONN_GIVEN);
    rondo__request_release(conn->request, RONDO__REQUEST_BY_CONN);
}

void rondo__upgrade_pass(rondo_stream *stream, const char *data, size_t len) {
    /* Without these octets what follows would make no sense. */
    if (rondo__stream_unread(stream, rondo_slice_of(data, len)) == RONDO_ENOMEM)
        rondo_destroy(stream, RONDO_ENOMEM);
}
