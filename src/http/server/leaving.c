/* SPDX-License-Identifier: MIT
 *
 * Answers that somebody wants to hear of (tally.c) and that have not left yet. Such a response has been
 * ended, and its octets wait in the stream's queue for a client that is slow: its turn in the closing phase is
 * put off until the last of them has left, or never will. Then it is known how many did.
 *
 * All others, which leave in the flush after the callback that ended them, only have a look taken at
 * them in the closing phase; and without a listener not even that.
 */
#include "http/server/connection.h"
#include "http/server/response.h"
#include "net/stream.h"

/* So many answers of a connection wait to be told; what is behind them is told at once, as if it had left.
 * A client that pipelines and reads nothing would have them all kept otherwise. */
#define WAITING_MOST 16

/* What is in the way of the response's last octet can't leave any more: that much of it didn't. */
static void count_lost(rondo_http_response *response, const rondo_stream *stream) {
    uint64_t out = rondo__stream_sent(stream);
    uint64_t lost = response->end > out ? response->end - out : 0;
    response->sent -= lost < response->sent ? lost : response->sent;
}

/* Those that wait on a connection, the oldest first: kept beside the stream, since few have any. */
static rondo_http_response *first_of(const rondo__http_conn *conn) {
    return conn->flags & RONDO__CONN_LEAVING ? *rondo__stream_note(conn->stream) : NULL;
}

static rondo_http_response *take_first(rondo__http_conn *conn) {
    void **first = rondo__stream_note(conn->stream);
    rondo_http_response *response = *first;
    *first = response->next;
    if (!response->next) conn->flags &= (uint16_t)~RONDO__CONN_LEAVING;
    response->next = NULL;
    return response;
}

static void ask_for_drain(rondo__http_conn *conn) {
    if (rondo__stream_want_drain(conn->stream)) conn->flags |= RONDO__CONN_ASKED;
}

/* To the end of those that wait: false when there are enough, or when out of memory. */
static bool wait_for_it(rondo__http_conn *conn, rondo_http_response *response) {
    void **note = rondo__stream_note(conn->stream);
    rondo_http_response *last = first_of(conn);
    if (!note) return false;
    for (int i = 1; last && last->next; last = last->next)
        if (++i == WAITING_MOST) return false;
    if (last)
        last->next = response;
    else
        *note = response;
    response->next = NULL;
    conn->flags |= RONDO__CONN_LEAVING;
    ask_for_drain(conn);
    return true;
}

/* In the closing phase, in place of the handle's own part. The connection is there: it was when the answer
 * ended, and its own turn in this phase comes later. */
static void look(rondo_loop *loop, rondo__task *task) {
    rondo_http_response *response = RONDO__OF(task, rondo_http_response, base.task);
    rondo__http_conn *conn = response->conn;
    if (conn->state == RONDO__CONN_GIVEN) { /* the stream is somebody else's */
        rondo__close_task(loop, task);
        return;
    }
    if (rondo__stream_is_over(conn->stream))
        count_lost(response, conn->stream);
    else if (response->end > rondo__stream_sent(conn->stream) && wait_for_it(conn, response))
        return;
    rondo__close_task(loop, task);
}

void rondo__leaving_begin(rondo_http_response *response, rondo__http_conn *conn) {
    if (rondo__stream_is_over(conn->stream)) return;
    response->conn = conn;
    response->end = rondo__stream_will_have_sent(conn->stream);
    response->base.task.run = look;
}

void rondo__leaving_go_on(rondo__http_conn *conn) {
    uint64_t out = rondo__stream_sent(conn->stream);
    for (rondo_http_response *first; (first = first_of(conn)) && first->end <= out;)
        rondo__handle_close_late(&take_first(conn)->base);
    if (first_of(conn)) ask_for_drain(conn);
}

void rondo__leaving_given(rondo__http_conn *conn) {
    while (first_of(conn)) rondo__handle_close_late(&take_first(conn)->base);
}

void rondo__leaving_lost(rondo__http_conn *conn) {
    while (first_of(conn)) {
        rondo_http_response *response = take_first(conn);
        count_lost(response, conn->stream);
        rondo__tally_tell(response);
        rondo__handle_close_late(&response->base);
    }
}
