/* SPDX-License-Identifier: MIT
 *
 * Channels of server-sent events, from the inside.
 *
 *   format.c    an event as text        channel.c   life, clients, what is kept
 *   deliver.c   to the clients, a few at a time
 *
 * An event is formatted once, as a chunk of an answer, into a message that is counted. The channel
 * keeps the last ones in a ring; each client knows the number of the one that it gets next, and
 * nothing else: a slow client costs no memory, but for the rest of the one message that the kernel
 * took a part of. It is in one of four lists:
 *
 *   idle      has all of them             ready     something is there for it, and it can take it
 *   blocked   waits for its `drain`       beating   is to get a heartbeat
 *
 * Internal.
 */
#ifndef RONDO__HTTP_EVENTS_H
#define RONDO__HTTP_EVENTS_H

#include <rondo/http.h>

#include "loop/alarm.h"
#include "loop/handle.h"

typedef struct rondo__message {
    size_t refs;
    size_t id_at, id_len; /* of the id, in bytes */
    size_t begin, len;    /* of the event in bytes, without the framing of a chunk */
    size_t total;
    char bytes[];
} rondo__message;

typedef struct rondo__listener {
    rondo__list link; /* in one of the lists of the channel */
    rondo_http_events *events;
    rondo_http_response *response;
    uint64_t next; /* the number of the message that it gets next */
    bool blocked;
} rondo__listener;

struct rondo_http_events {
    rondo_handle base;
    rondo_http_events_options options;
    rondo__list idle, ready, blocked, beating;
    size_t clients, waiting;
    uint64_t least_blocked; /* no blocked client waits for an older message than this */
    /* ---- the ring: messages first .. first + count - 1 ---- */
    rondo__message **ring; /* of options.keep_events places */
    uint64_t first;
    size_t count, bytes;
    /* ---- */
    rondo__task deliver;
    rondo__alarm heartbeat;
    bool silent; /* nothing was sent since the heartbeat was set */
    uint64_t sent, skipped, dropped;
};

/* ---- format.c ---- */

/* A message with one reference: 0, RONDO_EINVAL, RONDO_ENOMEM. */
int rondo__event_format(const rondo_http_event *event, rondo__message **ret_message);
void rondo__message_release(rondo__message *message);

/* ":" and an empty line, as a chunk and without. Static. */
#define RONDO__HEARTBEAT_CHUNK "3\r\n:\n\n\r\n"
#define RONDO__HEARTBEAT ":\n\n"

/* ---- channel.c ---- */

extern const rondo__kind rondo__events_kind;

static inline uint64_t rondo__events_end(const rondo_http_events *events) {
    return events->first + events->count;
}
/* The number-th message, which must be kept. */
rondo__message *rondo__events_message(const rondo_http_events *events, uint64_t number);
/* Takes the client out, and lets go of its response. */
void rondo__listener_free(rondo__listener *listener);

/* ---- deliver.c ---- */

void rondo__events_deliver(rondo_loop *loop, rondo__task *task);
/* Gives all that is there to those that can take it, however many they are. */
void rondo__events_deliver_now(rondo_http_events *events);
/* Puts it into the list where it belongs. */
void rondo__listener_sort(rondo__listener *listener);

#endif
