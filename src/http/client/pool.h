/* SPDX-License-Identifier: MIT
 *
 * The pool: for each origin its idle connections and the calls that wait for one. An origin is all that
 * makes two connections equal: scheme, host, port, the proxy, the Unix socket. Internal.
 */
#ifndef RONDO__CLIENT_POOL_H
#define RONDO__CLIENT_POOL_H

#include "http/client/client.h"

typedef struct rondo__client_conn rondo__client_conn;

typedef struct rondo__origin {
    rondo__list link;    /* in its bucket */
    rondo__list queue;   /* client->due or client->starved */
    rondo__list idle;    /* connections, the one that was used longest ago first */
    rondo__list waiting; /* calls, the oldest first */
    rondo_http_client *client;
    size_t conns; /* in all */
    uint32_t generation;
    bool serving; /* it must not go now */
    /* How connections to it are made. */
    char host[RONDO__HOST_MOST + 1]; /* that of the URL */
    uint16_t port;
    bool https;
    bool proxied;     /* by way of client->proxies[https] */
    bool tunnel;      /* and through a CONNECT */
    const char *path; /* of a Unix socket, the end of the key; NULL: none */
    char key[];       /* all of the above in words */
} rondo__origin;

/* Puts the call into the queue of its origin, in front of all others if `first`, and sees whether it can
 * have a connection. 0, RONDO_EAGAIN (too many wait) or RONDO_ENOMEM. */
int rondo__pool_enter(rondo_http_call *call, bool first);
/* The call waits no more, or is not of its origin any more. Idempotent. */
void rondo__pool_leave(rondo_http_call *call);

/* The connection is free, and may be used again: the next call gets it, or it becomes idle. */
void rondo__pool_give(rondo__client_conn *conn);
/* A connection is not there any more. */
void rondo__pool_lost(rondo__client_conn *conn);
/* An idle connection is taken out of the lists of such. */
void rondo__pool_unlist(rondo__client_conn *conn);
/* Closes all idle connections. */
void rondo__pool_clear(rondo_http_client *client);

#endif
