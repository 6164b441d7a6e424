/* SPDX-License-Identifier: MIT
 *
 * The HTTP client's inside:
 *
 *   call.c     a call's life and what users set     client.c   the client's life, limits, proxy, TLS
 *   send.c     the request out                      pool.c     origins: who gets which connection
 *   receive.c  the answer in                        conn.c     one connection: its stream's events
 *   redirect.c where an answer leads                tunnel.c   CONNECT by way of a proxy, then TLS
 *   collect.c  a whole body in one callback         proxy.c    who is asked by way of whom
 *   stage.c    what a call is at, in words          url.c, answer.c, inflate.c   know none of these
 *
 * A call and a connection are bound to one another from the moment the pool has chosen, even while the
 * connection is still being made, until the exchange is over or one of them fails. All that goes wrong
 * with a connection ends in rondo__client_conn_close(), all that goes wrong with a call in rondo__call_fail(),
 * which only notes the error: it is told in the pending phase, so both may be called from anywhere.
 * Internal.
 */
#ifndef RONDO__CLIENT_H
#define RONDO__CLIENT_H

#include <rondo/http_client.h>

#include "http/client/url.h"
#include "loop/alarm.h"
#include "loop/handle.h"

#define RONDO__ORIGIN_BUCKETS 64
/* Each call reads it from its beginning. */
#define RONDO__NO_PROXY_MOST ((size_t)65536)

typedef struct rondo__proxy {
    rondo__url url;    /* text NULL: none */
    char *credentials; /* NULL: none */
} rondo__proxy;

struct rondo_http_client {
    rondo_handle base;
    rondo_http_client_limits limits;
    rondo_tls_context *tls;  /* NULL: made when it is needed */
    rondo__proxy proxies[2]; /* for http, for https */
    char *no_proxy;          /* NULL: nobody */
    uint32_t generation;     /* of what connections are made with: older ones are not kept */
    /* ---- pool.c ---- */
    rondo__list origins[RONDO__ORIGIN_BUCKETS];
    rondo__list due;     /* origins that may be able to serve a call */
    rondo__list starved; /* origins whose calls wait for nothing but the bound on all connections */
    bool serving;        /* what is due is being served */
    rondo__list idle;    /* connections, the one that was used longest ago first */
    rondo__list conns;   /* all of them */
    rondo__list calls;   /* all that have not ended */
    rondo_http_client_figures figures;
};

extern const rondo__kind rondo__client_kind;

/* ---- proxy.c ---- */

/* The proxy by way of which the URL is to be asked; NULL: none. */
const rondo__proxy *rondo__client_proxy(const rondo_http_client *client, const rondo__url *url);
void rondo__client_free_proxies(rondo_http_client *client);

/* ---- client.c ---- */

/* What connections are made with has changed: those there are serve out their calls, idle ones go. */
void rondo__client_renew(rondo_http_client *client);
/* The context for https: 0, or why there is none. */
int rondo__client_tls(rondo_http_client *client, rondo_tls_context **ret_context);

static inline bool rondo__client_closing(const rondo_http_client *client) {
    return rondo__handle_closing(&client->base);
}

#endif
