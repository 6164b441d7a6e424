/* SPDX-License-Identifier: MIT
 *
 * How connections end. A close with octets unread makes the kernel send a reset, which can destroy
 * an answer on its way (RFC 9112 section 9.6): so the write side is shut first, and what the peer
 * still sends is read and dropped for a limited time.
 */
#include <rondo/handle.h>
#include <string.h>

#include "http/server/connection.h"
#include "http/server/response.h"
#include "loop/assert.h"
#include "loop/memory.h"

rondo_http_response *rondo__conn_detach(rondo__http_conn *conn) {
    rondo_http_request *request = conn->request;
    if (conn->rest && !(conn->flags & RONDO__CONN_FEEDING)) {
        rondo__task_cancel(&conn->rest->task);
        rondo__free(conn->rest);
        conn->rest = NULL;
    }
    if (!request) return NULL;
    rondo_http_response *response = request->response;
    conn->request = NULL;
    rondo__request_release(request, RONDO__REQUEST_BY_CONN);
    return response;
}

void rondo__conn_cut(rondo__http_conn *conn) {
    conn->state = RONDO__CONN_GONE;
    rondo_close(conn->stream);
}

void rondo__conn_shut(rondo__http_conn *conn) {
    rondo_http_response *response = rondo__conn_detach(conn);
    RONDO_ASSERT(!response);
    conn->state = RONDO__CONN_CLOSING;
    rondo_end(conn->stream);
    rondo__conn_arm_closing(conn);
    rondo__conn_go_on(conn);
}

void rondo__conn_refuse(rondo__http_conn *conn, int status) {
    const rondo_http_request *request = conn->request;
    if (!rondo__conn_alive(conn)) return;
    bool answered = (conn->flags & RONDO__CONN_ANSWERED) != 0;
    /* Half an answer can't be taken back, only be seen to be half. */
    bool unfinished = answered && request && request->response &&
                      request->response->framing == RONDO__FRAMING_CLOSE;
    bool is_head = request && request->head_len >= 5 && memcmp(request->head, "HEAD ", 5) == 0;
    rondo__tally_refused(conn, status, answered || is_head ? 0 : rondo__refusal_len(status));
    bool cut = unfinished || (!answered && !rondo__response_refuse(conn, status, is_head));
    rondo_http_response *response = rondo__conn_detach(conn);
    if (cut)
        rondo__conn_cut(conn);
    else
        rondo__conn_shut(conn);
    if (response) rondo__response_aborted(response); /* last: the application may do anything */
}

/* An idle connection gets a moment for a request that is on its way. One whose answers are still
 * waiting to be sent may have octets of the next requests held back: see on_drain(). */
void rondo__conn_drain(rondo__http_conn *conn) {
    if (conn->state == RONDO__CONN_IDLE && !(conn->flags & RONDO__CONN_FULL))
        rondo__conn_arm_idle(conn);
}
