/* SPDX-License-Identifier: MIT
 *
 * A connection of a server: which part of which message it is at. One request at a time: what
 * arrives behind it waits, in the kernel or in `rest`, until its answer has been queued, so that
 * answers leave in order whatever the application does.
 *
 *   connection.c  octets in, states       body.c      bodies, to the application
 *   closing.c     refusals, the end       timeouts.c  what one alarm watches over
 *   upgrade.c     out of HTTP               collect.c   bodies in one piece
 *   arrival.c     how it begins, or not     leaving.c   answers that wait in its queue
 *
 * It lives in the room of its stream, and an idle one holds nothing else: no parser, no buffer.
 * Internal.
 */
#ifndef RONDO__HTTP_CONNECTION_H
#define RONDO__HTTP_CONNECTION_H

#include "http/server/request.h"
#include "http/server/server.h"
#include "loop/alarm.h"
#include "loop/handle.h"
#include "net/stream.h"

typedef enum rondo__conn_state {
    RONDO__CONN_IDLE,    /* between requests */
    RONDO__CONN_HEAD,    /* a request's first octet has arrived */
    RONDO__CONN_BODY,    /* its head has; also while the application looks at it */
    RONDO__CONN_ANSWER,  /* it is complete, and its answer is not */
    RONDO__CONN_CLOSING, /* nothing more is taken: see closing.c */
    RONDO__CONN_GONE,    /* the stream is closing */
    RONDO__CONN_GIVEN,   /* the stream is the application's: see upgrade.c */
    RONDO__CONN_SHAKING  /* it begins with a handshake, and counts: see arrival.c */
} rondo__conn_state;

/* rondo__http_conn.flags */
enum {
    RONDO__CONN_CLOSE = 1 << 0,    /* close after the answer */
    RONDO__CONN_ANSWERED = 1 << 1, /* the head of an answer to the current request was sent */
    RONDO__CONN_FULL = 1 << 2,     /* a write said to wait for `drain` */
    RONDO__CONN_FEEDING =
        1 << 3,                  /* feed() of connection.c is on the stack, and goes on by itself */
    RONDO__CONN_PAUSED = 1 << 4, /* the stream is */
    RONDO__CONN_PEER_ENDED = 1 << 5,
    RONDO__CONN_FINISHED = 1 << 6, /* our last octet was sent */
    RONDO__CONN_SAW_CR = 1 << 7,   /* of an empty line before a request */
    RONDO__CONN_MARKED = 1 << 8,   /* the client must take more than marked_out in time */
    RONDO__CONN_AWAY = 1 << 9,     /* above the limit: it is told so, and closed */
    RONDO__CONN_LEAVING = 1 << 10, /* answers wait for their octets to leave: see leaving.c */
    RONDO__CONN_ASKED = 1 << 11,   /* that asked for `drain`, no write of an answer did */
    RONDO__CONN_PROXIED = 1 << 13, /* whose it is, a proxy has still to say */
    RONDO__CONN_EVENTS = 1 << 12   /* the answer has no end: a client that ends its side has gone */
};

/* Octets that arrived behind a request that is not answered yet, at most one read's. */
typedef struct rondo__http_rest {
    rondo__task task;
    struct rondo__http_conn *conn;
    size_t from, len;
    char data[];
} rondo__http_rest;

typedef struct rondo__http_conn {
    rondo__list link; /* server->conns */
    rondo_stream *stream;
    rondo_http_server *server;
    rondo__http_rest *rest;
    uint32_t since;              /* when that began which the alarm watches over, see timeouts.c */
    uint32_t crowd;              /* of its address; 0: it is not counted */
    uint64_t marked_out;         /* octets that had left at the mark */
    rondo_http_request *request; /* NULL while idle */
    uint32_t requests;           /* begun so far */
    uint16_t flags;
    uint8_t state;
    uint8_t blanks; /* empty lines before a request */
} rondo__http_conn;

static inline bool rondo__conn_alive(const rondo__http_conn *conn) {
    return conn->state < RONDO__CONN_CLOSING;
}

/* ---- arrival.c ---- */

/* Takes an accepted stream over, in whose room it lives; closes it when there are too many. */
void rondo__conn_new(rondo_http_server *server, rondo_stream *stream);
/* Before that, when it has a handshake to begin with. false: there are too many. */
bool rondo__conn_arrives(rondo_http_server *server, rondo_stream *stream, bool address_known);
/* It has failed, or was given up. */
void rondo__conn_leaves(rondo_stream *stream);

/* ---- connection.c ---- */

/* What the stream tells it. */
extern const rondo__consumer rondo__conn_consumer;
/* The application has ended the response. */
void rondo__conn_answered(rondo__http_conn *conn);
/* Stops reading. */
void rondo__conn_hold(rondo__http_conn *conn);
/* Goes on, later, with what was held back. Harmless when there is nothing to go on with. */
void rondo__conn_go_on(rondo__http_conn *conn);
/* The application wants more of the body. */
void rondo__conn_resumed(rondo__http_conn *conn);
/* The message is complete: what comes next? */
void rondo__conn_complete(rondo__http_conn *conn);

/* ---- body.c ---- */

/* Takes octets of a body; returns how many. */
size_t rondo__body_feed(rondo__http_conn *conn, const char *data, size_t len);
/* More of the body must come: asks for it if the client waits to be asked. */
void rondo__body_await(rondo__http_conn *conn);
/* The answer is complete and the body isn't: nobody wants the rest of it. */
void rondo__body_drop(rondo__http_conn *conn);
/* The body is complete: so is the message, unless the application has paused it. */
static inline void rondo__body_over(rondo__http_conn *conn) {
    if (conn->state != RONDO__CONN_BODY) return;
    if (conn->request->flags & RONDO__REQUEST_PAUSED)
        conn->request->flags |= RONDO__REQUEST_OVER;
    else
        rondo__conn_complete(conn);
}
/* Tells whoever waits for the end of the request's body. */
void rondo__body_tell_end(rondo__http_conn *conn);
static inline bool rondo__body_end_is_awaited(const rondo_http_request *request) {
    return request->on_end || (request->flags & RONDO__REQUEST_COLLECTS);
}

/* ---- closing.c ---- */

/* Answers with an error if no answer has begun, takes the response away from the application, and
 * closes gently. Called from the loop only. */
void rondo__conn_refuse(rondo__http_conn *conn, int status);
/* No more requests: sends what is queued, then waits a little for the peer to close. */
void rondo__conn_shut(rondo__http_conn *conn);
/* Closes at once. */
void rondo__conn_cut(rondo__http_conn *conn);
/* The server has begun to drain. */
void rondo__conn_drain(rondo__http_conn *conn);
/* Lets go of the current request; returns its response, if that has to be told. */
rondo_http_response *rondo__conn_detach(rondo__http_conn *conn);

/* ---- collect.c ---- */

/* More of a body that is gathered; it is complete. */
void rondo__collect_add(rondo__http_conn *conn, const char *data, size_t len);
void rondo__collect_tell(rondo__http_conn *conn);
/* Whether the body's length says that it is too long. */
bool rondo__collect_hopeless(const rondo_http_request *request);

/* ---- leaving.c ---- */

/* Octets have left; the stream will be somebody else's; it has closed, with what was queued. The last
 * calls the application. */
void rondo__leaving_go_on(rondo__http_conn *conn);
void rondo__leaving_given(rondo__http_conn *conn);
void rondo__leaving_lost(rondo__http_conn *conn);

/* ---- upgrade.c ---- */

/* The application has taken the stream inside feed(), which is about to return. */
void rondo__upgrade_fed(rondo__http_conn *conn);
/* The octets that were left are for the stream's new owner. */
void rondo__upgrade_pass(rondo_stream *stream, const char *data, size_t len);

/* ---- timeouts.c ---- */

/* The stream's alarm fires. */
void rondo__conn_alarm(rondo_stream *stream);
/* The state has just become IDLE; HEAD, with the head incomplete; CLOSING. */
void rondo__conn_arm_idle(rondo__http_conn *conn);
void rondo__conn_arm_head(rondo__http_conn *conn);
void rondo__conn_arm_closing(rondo__http_conn *conn);
/* The application pauses a body, and goes on with it: time in between does not count. */
void rondo__conn_stop_body_clock(rondo__http_conn *conn);
void rondo__conn_start_body_clock(rondo__http_conn *conn);
/* A body is awaited from now on. */
void rondo__conn_arm_body(rondo__http_conn *conn);
/* A part of an answer was queued, and more will come. */
void rondo__conn_arm_write(rondo__http_conn *conn);

#endif
