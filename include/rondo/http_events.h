/* SPDX-License-Identifier: MIT
 *
 * Server-sent events: an answer that never ends, of small texts, which EventSource reads in a browser
 * (HTML standard, section 9.2). To one client, or to all that listen to a channel. Loop thread only.
 *
 *     static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
 *         rondo_http_events_add(clock_channel, response);
 *     }
 *     static void on_second(rondo_timer *timer, void *arg) {
 *         rondo_http_event event = {.data = rondo_slice_text(time_text())};
 *         rondo_http_events_send(clock_channel, &event);
 *     }
 *
 * What a channel sends is formatted once and shared by all its clients, whoever is slow: it is sent
 * from where it lies, and a client that can't take more just lags behind what the channel keeps.
 */
#ifndef RONDO_HTTP_EVENTS_H
#define RONDO_HTTP_EVENTS_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An event. data may have lines, ended by LF, CR LF or CR, which EventSource joins with LF again; with
 * data.data NULL the browser hears nothing, and only notes id and retry_ms. The others may be empty:
 * type is "message" then, and the last id stays. retry_ms: how long the browser waits before it
 * connects again, if not 0. Text is UTF-8. */
typedef struct rondo_http_event {
    rondo_slice data, type, id;
    uint32_t retry_ms;
} rondo_http_event;

/* The id of the last event that this client has heard, as it says when it connects again; data is NULL
 * when it says nothing. */
RONDO_API rondo_slice rondo_http_events_last_id(const rondo_http_request *request);

/* ---- to one client ---- */

/* Begins an answer of events: 200, text/event-stream, Cache-Control: no-store, not compressed, not
 * buffered by nginx. As rondo_http_response_begin(). The application ends it, or `aborted` tells. */
RONDO_API int rondo_http_events_begin(rondo_http_response *response);
/* As rondo_http_response_write(): 1, 0 (wait for `drain`), or an error; RONDO_EINVAL for a type or id
 * with CR, LF or NUL. */
RONDO_API int rondo_http_events_write(rondo_http_response *response, const rondo_http_event *event);
/* Something that EventSource ignores, so that a connection is not silent. */
RONDO_API int rondo_http_events_heartbeat(rondo_http_response *response);

/* ---- to many: a channel ---- */

/* What becomes of a client that has not taken an event which the channel keeps no more. */
typedef enum rondo_http_events_slow {
    RONDO_HTTP_EVENTS_DROP, /* it is cut off, and comes back with its last id */
    RONDO_HTTP_EVENTS_SKIP  /* it misses all that it has not taken, and goes on with the next */
} rondo_http_events_slow;

/* X(field, type, default, what it is) */
#define RONDO_HTTP_EVENTS_OPTIONS(X)                                                              \
    X(keep_events, size_t, 256, "events kept for slow clients, and those that come back")         \
    X(keep_bytes, size_t, 1048576, "of memory for them, at most; a single one may be larger")     \
    X(heartbeat_ms, uint64_t, 15000, "silence after which clients get a comment")                 \
    X(silent_ms, uint32_t, 30000, "TCP: a client that acknowledges nothing for so long has gone") \
    X(slow, rondo_http_events_slow, RONDO_HTTP_EVENTS_DROP, "see there")

typedef struct rondo_http_events_options {
#define RONDO__EVENTS_FIELD(field, type, value, what) type field;
    RONDO_HTTP_EVENTS_OPTIONS(RONDO__EVENTS_FIELD)
#undef RONDO__EVENTS_FIELD
} rondo_http_events_options;

/* A channel without clients; it is active, and keeps the loop alive, until it is closed. options may
 * be NULL; a 0 in a field means its default. NULL when out of memory. rondo_close() ends the answers
 * to its clients. */
#define rondo_http_events_new(loop, options) rondo_http_events_new_at((loop), (options), RONDO_HERE)
RONDO_API rondo_http_events *rondo_http_events_new_at(rondo_loop *loop,
                                                      const rondo_http_events_options *options,
                                                      const char *site);

/* Begins an answer of events and has it get all that the channel sends from now on. A client that says
 * which event it has heard last first gets those that came after it, if that one is still kept: then 1
 * is returned, else 0. The channel takes the place of listeners of the response's `drain` and
 * `aborted`; its `close` event tells that the client has gone, or was dropped. A client that ends its side of the
 * connection has gone, for this answer and that of rondo_http_events_begin(). The application may
 * write to it in between (what is for this client only), and end it. Errors as
 * rondo_http_response_begin(), and RONDO_ENOMEM; then the response is still to be ended. */
RONDO_API int rondo_http_events_add(rondo_http_events *events, rondo_http_response *response);

/* Sends to all clients: formats once, and hands it to the kernel for up to 1,024 clients a turn, from
 * the next turn on. 0; RONDO_EINVAL for a type or id with CR, LF or NUL; RONDO_ECLOSED; RONDO_ENOMEM
 * (nobody gets it). Costs clients time at once only when so much is sent in one turn that what is kept
 * would not do. */
RONDO_API int rondo_http_events_send(rondo_http_events *events, const rondo_http_event *event);

typedef struct rondo_http_events_figures {
    size_t clients;
    size_t waiting;    /* clients that can't take more for now */
    size_t kept_bytes; /* of memory for events that are kept */
    uint64_t sent;     /* events, by the channel */
    uint64_t skipped;  /* events that clients missed */
    uint64_t dropped;  /* clients that were too slow */
} rondo_http_events_figures;
RONDO_API void rondo_http_events_get_figures(const rondo_http_events *events,
                                             rondo_http_events_figures *ret_figures);

#ifdef __cplusplus
}
#endif
#endif
