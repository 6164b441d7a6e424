/* SPDX-License-Identifier: MIT
 *
 * A server's inside: a protocol (HTTP) may take the connections itself, without a listener and the
 * door between; and connections may have to shake hands (TLS) before they are anybody's. Internal.
 */
#ifndef RONDO__SERVER_H
#define RONDO__SERVER_H

#include <rondo/server.h>

#include "loop/handle.h"

/* Called instead of the listeners: for every connection, and for every error that `error` would have
 * been emitted for. owner is passed on. A function may be NULL. */
typedef struct rondo__acceptor {
    void (*connection)(rondo_server *server, rondo_stream *connection, void *owner);
    /* One begins a handshake, and may count from here on; the room of its stream is the protocol's
     * already. address_known: it is not while a header of the PROXY protocol is to come. false: there is no
     * room for it. `connection` follows, or `leaves`. */
    bool (*arrives)(rondo_server *server, rondo_stream *stream, bool address_known, void *owner);
    void (*leaves)(rondo_server *server, rondo_stream *stream, void *owner);
    void (*error)(rondo_server *server, int error, void *owner);
    void (*listening)(rondo_server *server, void *owner); /* it does, from now on */
    /* Sent, before the end, to a peer that speaks HTTP where a handshake should be; NULL: nothing is. */
    const char *plain_answer;
    size_t room; /* inside each connection, see rondo__stream_new(); 0: ordinary streams */
} rondo__acceptor;

/* Before the server listens. */
void rondo__server_take(rondo_server *server, const rondo__acceptor *acceptor, void *owner);

/* Accepts whoever waits in the kernel's queue, which resets them when the socket is closed. For a server
 * that is about to be. */
void rondo__server_accept_rest(rondo_server *server);

/* Listens no more, and closes once the handshakes that are under way are over: whoever was accepted will
 * be handed out. */
void rondo__server_retire(rondo_server *server);

/* What is done to accepted streams before they are handed out. */
typedef struct rondo__server_security {
    /* Sets a transport with a handshake: 0 or an error. The handshake bounds its own time. */
    int (*start)(rondo_stream *stream, void *context);
    /* Whether its handshake has failed because the peer speaks HTTP without one. */
    bool (*met_plain_http)(rondo_stream *stream);
    /* The server has closed, or got another one. */
    void (*drop_context)(void *context);
} rondo__server_security;

/* For the connections that are accepted from now on. Takes over a reference to the context, which
 * is released once. NULL: none any more. On a server that is not closing. */
void rondo__server_secure(rondo_server *server, const rondo__server_security *security,
                          void *context);

#endif
