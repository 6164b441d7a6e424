/* SPDX-License-Identifier: MIT
 *
 * From a channel to its clients. What can be is handed to the kernel from where it lies, without
 * going through the stream's queue; the rest of a message of which the kernel took a part is lent to
 * the queue, and the client waits for its `drain`.
 */
#include <rondo/error.h>
#include <rondo/handle.h>
#include <rondo/stream.h>

#include "http/events/events.h"
#include "http/server/response.h"
#include "loop/assert.h"

/* Clients that get something in one turn: a few milliseconds. */
#define CLIENTS_PER_TURN 1024
/* Messages that a client gets before it is the next one's turn. */
#define MESSAGES_PER_CLIENT 16

/* ---- one client ---- */

static void move_to(rondo__listener *listener, rondo__list *list) {
    rondo__list_remove(&listener->link);
    rondo__list_push_back(list, &listener->link);
}

void rondo__listener_sort(rondo__listener *listener) {
    rondo_http_events *events = listener->events;

    if (listener->blocked)
        move_to(listener, &events->blocked);
    else
        move_to(listener,
                listener->next < rondo__events_end(events) ? &events->ready : &events->idle);
}

static void release_message(void *data, size_t len, int status, void *arg) {
    (void)data, (void)len, (void)status;
    rondo__message_release(arg);
}

static void wait_for_drain(rondo__listener *listener, rondo__http_conn *conn) {
    rondo_http_events *events = listener->events;

    conn->flags |= RONDO__CONN_FULL;
    listener->blocked = true;
    events->waiting++;
    if (listener->next < events->least_blocked) events->least_blocked = listener->next;
    rondo__conn_arm_write(conn); /* so that one who takes nothing is cut off some day */
}

/* Sends all of the data or none of it, now or later; message is what it lies in, NULL for static
 * data. False: it has to be tried again, or never: listener->blocked says so. */
static bool send_one(rondo__listener *listener, rondo_slice data, rondo__message *message) {
    rondo_http_response *response = listener->response;
    rondo__http_conn *conn = response->request ? rondo__response_conn(response) : NULL;

    if (!conn) return false; /* `close` or `aborted` is on its way */
    int64_t sent = rondo_try_write(conn->stream, data);
    if (sent == RONDO_EAGAIN) {
        wait_for_drain(listener, conn);
        return false;
    }
    if (sent < 0) return false; /* so it is here */
    if ((size_t)sent < data.len) {
        rondo_slice rest = rondo_slice_of(data.data + sent, data.len - (size_t)sent);
        int result =
            rondo_write_lent(conn->stream, rest, message ? release_message : NULL, message);
        if (result < 0) {
            rondo__conn_cut(conn); /* half a chunk was sent */
            return false;
        }
        if (message) message->refs++;
        wait_for_drain(listener, conn);
        /* It is told of when the queue is empty, which need not be as full as the mark says. */
        (void)rondo_try_write(conn->stream, rondo_slice_of("", 0));
    }
    response->sent += data.len;
    return true;
}

static bool is_chunked(const rondo__listener *listener) {
    return listener->response->framing == RONDO__FRAMING_CHUNKS;
}

/* What there is for the client, up to a bound. False: it has gone. */
static bool serve(rondo__listener *listener) {
    rondo_http_events *events = listener->events;

    for (int i = 0; i < MESSAGES_PER_CLIENT && listener->next < rondo__events_end(events); i++) {
        rondo__message *message = rondo__events_message(events, listener->next);
        rondo_slice data = is_chunked(listener)
                               ? rondo_slice_of(message->bytes, message->total)
                               : rondo_slice_of(message->bytes + message->begin, message->len);
        if (!send_one(listener, data, message)) return listener->blocked;
        listener->next++;
        if (listener->blocked) return true;
    }
    return true;
}

static bool beat(rondo__listener *listener) {
    rondo_slice data =
        rondo_slice_text(is_chunked(listener) ? RONDO__HEARTBEAT_CHUNK : RONDO__HEARTBEAT);
    return send_one(listener, data, NULL) || listener->blocked;
}

/* ---- all of them ---- */

/* Takes up to `most` clients out of the list. One that has gone stays idle until that is told. */
static void serve_list(rondo_http_events *events, rondo__list *list, bool beats, size_t most) {
    while (most-- > 0 && !rondo__list_empty(list)) {
        rondo__listener *listener = RONDO__OF(list->next, rondo__listener, link);
        bool there = beats ? beat(listener) : serve(listener);
        if (there)
            rondo__listener_sort(listener);
        else
            move_to(listener, &events->idle);
    }
}

static bool is_done(const rondo_http_events *events) {
    return rondo__list_empty(&events->ready) && rondo__list_empty(&events->beating);
}

void rondo__events_deliver(rondo_loop *loop, rondo__task *task) {
    rondo_http_events *events = RONDO__OF(task, rondo_http_events, deliver);

    serve_list(events, &events->ready, false, CLIENTS_PER_TURN);
    if (rondo__list_empty(&events->ready))
        serve_list(events, &events->beating, true, CLIENTS_PER_TURN);
    if (!is_done(events)) rondo__defer(loop, task);
}

void rondo__events_deliver_now(rondo_http_events *events) {
    while (!rondo__list_empty(&events->ready))
        serve_list(events, &events->ready, false, CLIENTS_PER_TURN);
}
