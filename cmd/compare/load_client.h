/* SPDX-License-Identifier: MIT
 *
 * rondo compare: the inside of the generator's process, on Rondo's own loop and streams.
 *
 * load_phases.c knows what is to be done when; load_client.c knows connections. A connection that is free tells the phases so;
 * the phases give it a request, now or when one arrives.
 */
#ifndef CMD_COMPARE_LOAD_CLIENT_H
#define CMD_COMPARE_LOAD_CLIENT_H

#include "load.h"

#include <rondo.h>

/* What a connection is there for. */
typedef enum role { ROLE_BUSY, ROLE_IDLE, ROLE_SLOW } role;

typedef enum state {
    STATE_CLOSED,  /* to be opened (again) */
    STATE_OPENING, /* until it is connected */
    STATE_FREE,    /* open, no request */
    STATE_WAITING, /* for an answer */
    STATE_ENDING   /* the server said that it closes */
} state;

typedef struct client client;

typedef struct connection {
    client *client;
    rondo_stream *stream;
    role role;
    state state;
    bool stale; /* what it waits for was sent before the measuring */
    bool in_body, close;
    bool listed;   /* among the free ones */
    bool was_open; /* since it was opened last */
    bool settled;  /* was counted by the phase that opened it */
    bool stands;   /* has had an answer; ROLE_SLOW: or its beginning */
    unsigned kind; /* of the request */
    unsigned number;
    uint64_t intended_ns;
    uint64_t length, at; /* of the body */
    char *head;          /* what came of a head that is not all there */
    size_t head_len;
    struct connection *next_free;
} connection;

typedef enum phase {
    PHASE_OPEN_IDLE, /* idle and slow connections are opened, and have one answer each */
    PHASE_OPEN_BUSY,
    PHASE_WARM,   /* closed loop, not measured */
    PHASE_SETTLE, /* no new requests */
    PHASE_READY,  /* the runner looks at the server */
    PHASE_RUN,
    PHASE_DRAIN, /* open loop: nothing new arrives, what did is still answered */
    PHASE_OVER
} phase;

typedef struct arrival {
    uint64_t intended_ns;
    unsigned kind;
} arrival;

#define QUEUE_ROOM (1u << 20)

struct client {
    const load_task *task;
    load_outcome *outcome;
    rondo_loop *loop;
    rondo_stream *control;
    rondo_timer *tick, *end;
    phase phase;
    connection *connections; /* the busy ones first, then idle, then slow */
    unsigned count;
    char *requests[LOAD_KINDS + 1]; /* the last one: what slow readers ask for */
    size_t request_lens[LOAD_KINDS + 1];
    unsigned opening;     /* how many now */
    unsigned first, last; /* connections that the phase opens */
    unsigned next;        /* of them, not begun yet */
    unsigned settled;     /* of them, open (or standing), or failed */
    uint64_t progress_ns; /* when something came last */
    uint64_t phase_ns;    /* when the phase began */
    connection *free_first, *free_last;
    arrivals arrivals;
    uint64_t next_ns; /* the next arrival */
    int timerfd;
    uint64_t armed_ns;
    arrival *queue; /* a ring of QUEUE_ROOM */
    uint64_t queue_in, queue_out;
    uint64_t run_ns, answer_ns; /* when the measuring began; when the last answer came */
    uint32_t least_us;          /* of the samples */
    unsigned in_flight;         /* requests that count and are not answered */
    unsigned ticks;
    double cpu_s; /* of this process, when the run began */
};

uint64_t clock_ns(void);

/* ---- load_client.c ---- */

void connection_open(connection *self);
/* Sends a request of the kind, which was to be sent at the time. */
void connection_send(connection *self, unsigned kind, uint64_t intended_ns);
/* Lets a slow reader take a little. */
void connection_sip(connection *self);
void connection_close(connection *self);

/* ---- load_phases.c: what connections tell ---- */

/* It is open, or has had its answer. */
void client_free(client *self, connection *conn);
/* It was tried in vain, or has gone. */
void client_gone(client *self, connection *conn);
/* An answer was right, and came at the time. */
void client_answered(client *self, connection *conn, uint64_t now_ns);
/* Says why; the first reason stays. */
void client_blame(client *self, const char *format, ...) RONDO_PRINTF(2, 3);

#endif
