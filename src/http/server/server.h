/* SPDX-License-Identifier: MIT
 *
 * The struct of an HTTP server. Internal.
 */
#ifndef RONDO__HTTP_SERVER_H
#define RONDO__HTTP_SERVER_H

#include <rondo/http.h>

#include "http/server/crowds.h"
#include "http/server/shared.h"
#include "loop/alarm.h"
#include "loop/handle.h"

struct rondo__http_conn;

/* What is known of a server's answers as a whole. It lives as long as its server or the last response that
 * was not ended, whichever is longer: see tally.c. */
typedef struct rondo__http_tally {
    rondo_http_server *server;         /* NULL once that has closed */
    size_t in_flight;                  /* responses that the application has not ended */
    rondo_http_request_cb on_response; /* NULL: nobody listens, or the server closes */
    void *response_arg;
    rondo__networks networks; /* of proxies that are believed */
    bool forwarded;           /* they write Forwarded, not X-Forwarded-For */
} rondo__http_tally;

/* The connections of servers that count theirs together, mostly of one alone. */
typedef struct rondo__census {
    rondo__list servers;  /* it goes with the last of them */
    rondo__crowds crowds; /* while they are counted by address */
    bool counting;        /* they are: see arrival.c */
} rondo__census;

struct rondo_http_server {
    rondo_handle base;
    rondo__http *http;
    rondo_server *listener; /* NULL once it has closed */
    rondo_http_request_cb on_request;
    void *request_arg;
    rondo__http_tally *tally;
    rondo__list conns;
    size_t conn_count, away_count; /* of which so many are being turned away */
    uint64_t turned_away, closed_at_once;
    rondo__census *census;
    rondo__list counted; /* census->servers */
    rondo_http_limits limits;
    const struct rondo__filter *filter; /* of its responses; NULL: none */
    rondo_http_compression compression;
    bool connect; /* CONNECT is taken */
    /* ---- draining ---- */
    bool draining;
    unsigned drain_turns;     /* for which the listener is kept open still */
    uint64_t accepted;        /* connections, ever */
    uint64_t accepted_before; /* in the last turn looked at */
    rondo__task drain_task;
    rondo__alarm deadline;
};

extern const rondo__kind rondo__http_server_kind;

/* A connection of the server has gone, or left HTTP. */
void rondo__http_server_lost(struct rondo__http_conn *conn);

/* ---- arrival.c ---- */

/* One of its own for the server: false when out of memory. */
bool rondo__census_new(rondo_http_server *server);
/* The server counts with the other from now on. */
void rondo__census_join(rondo_http_server *server, rondo_http_server *other);
void rondo__census_leave(rondo_http_server *server);
/* A connection that was counted has gone. */
void rondo__census_lost(struct rondo__http_conn *conn);

/* ---- tally.c ---- */

/* NULL when out of memory. */
rondo__http_tally *rondo__tally_new(rondo_http_server *server);
/* The server has closed. */
void rondo__tally_leave(rondo__http_tally *tally);

#endif
