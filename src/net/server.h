/* SPDX-License-Identifier: MIT
 *
 * A server's inside: a protocol (HTTP) may take the connections itself, without a listener and the
 * door between. Internal.
 */
#ifndef RONDO__SERVER_H
#define RONDO__SERVER_H

#include <rondo/server.h>

#include "loop/handle.h"

/* Called instead of the listeners: for every accepted connection, and for every error that `error`
 * would have been emitted for. owner is passed on. A function may be NULL. */
typedef struct rondo__acceptor {
    void (*connection)(rondo_server *server, rondo_stream *connection, void *owner);
    void (*error)(rondo_server *server, int error, void *owner);
    size_t room; /* inside each connection, see rondo__stream_new(); 0: ordinary streams */
} rondo__acceptor;

/* Before the server listens. */
void rondo__server_take(rondo_server *server, const rondo__acceptor *acceptor, void *owner);

#endif
