/* SPDX-License-Identifier: MIT
 *
 * A connection of the client: a stream that it consumes, and the call that has it. Internal.
 */
#ifndef RONDO__CLIENT_CONN_H
#define RONDO__CLIENT_CONN_H

#include <rondo/stream.h>

#include "http/client/pool.h"

typedef enum rondo__client_conn_state {
    RONDO__CLIENT_CONNECTING, /* the stream opens */
    RONDO__CLIENT_TUNNEL,     /* CONNECT was sent to the proxy */
    RONDO__CLIENT_HANDSHAKE,  /* TLS in the tunnel */
    RONDO__CLIENT_BUSY,       /* a call uses it */
    RONDO__CLIENT_IDLE,
    RONDO__CLIENT_GONE /* it was lost, closed, or is somebody else's: nothing may touch its stream */
} rondo__client_conn_state;

/* Octets that wait until the call takes them: at most one read's. */
typedef struct rondo__client_rest {
    rondo__task task;
    rondo__client_conn *conn;
    size_t from, len;
    char data[];
} rondo__client_rest;

struct rondo__client_conn {
    rondo__list all;  /* client->conns */
    rondo__list link; /* origin->idle, while it is */
    rondo__list lru;  /* client->idle, the same */
    rondo_http_client *client;
    rondo__origin *origin;
    rondo_stream *stream;  /* NULL once it is somebody else's */
    rondo_http_call *call; /* NULL: none */
    rondo__client_rest *rest;
    rondo__alarm alarm; /* of an idle one */
    uint64_t requests;  /* sent on it */
    uint64_t sent;      /* octets that had left when the last of them began */
    uint8_t state;
    bool feeding;  /* feed() is on the stack, and goes on by itself */
    bool paused;   /* the stream is */
    bool freeable; /* the stream has gone while feed() was on the stack */
};

/* Begins a connection for the call: 0 or RONDO_ENOMEM. */
int rondo__client_conn_open(rondo__origin *origin, rondo_http_call *call);
/* It is as the request needs it. */
void rondo__client_conn_ready(rondo__client_conn *conn);
/* Closes it, after the call was taken away. */
void rondo__client_conn_close(rondo__client_conn *conn);
/* Stops reading, and goes on, later, with what was held back. */
void rondo__client_conn_hold(rondo__client_conn *conn);
void rondo__client_conn_go_on(rondo__client_conn *conn);
/* The stream leaves HTTP for good: 0 or RONDO_ENOMEM, and nothing has changed. */
int rondo__client_conn_release(rondo__client_conn *conn, rondo_stream **ret_stream);

/* ---- tunnel.c ---- */

/* The proxy's connection is open: asks it for the tunnel. */
void rondo__tunnel_begin(rondo__client_conn *conn);
/* Takes octets of its answer; returns how many. */
size_t rondo__tunnel_feed(rondo__client_conn *conn, const char *data, size_t len);

#endif
