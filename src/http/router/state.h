/* SPDX-License-Identifier: MIT
 *
 * What a router knows of one request: kept inside the request, so that routing allocates nothing, and
 * touched only by requests that are routed. Internal.
 */
#ifndef RONDO__ROUTER_STATE_H
#define RONDO__ROUTER_STATE_H

#include <rondo/http_router.h>

#include "loop/handle.h"

typedef struct rondo__route_param {
    rondo_slice name, value;
} rondo__route_param;

/* Room for decoded parameters that found none behind the head. */
typedef struct rondo__route_block {
    struct rondo__route_block *next;
    char data[];
} rondo__route_block;

/* How far the chain of the innermost router has come. */
enum {
    RONDO__CHAIN_GO,   /* the next one is to be called */
    RONDO__CHAIN_HELD, /* a middleware has the request */
    RONDO__CHAIN_OVER  /* whoever answers has it */
};

typedef struct rondo__route_state {
    rondo__task task; /* goes on, when a middleware said so later */
    rondo_http_request *request;
    bool *gone;                            /* of the run() on the stack, if there is one */
    const struct rondo__route *route;      /* what was found; NULL: nothing */
    const struct rondo__route *last_route; /* the innermost that was found */
    rondo_http_router
        *routers[RONDO_HTTP_ROUTER_DEPTH]; /* which it is in; the last is the innermost */
    rondo__route_block *blocks;
    rondo__route_param params[RONDO_HTTP_ROUTER_PARAMS];
    uint32_t allow; /* methods that the path has */
    uint32_t rest;  /* for a mount: where its path begins, in the head */
    int outcome;    /* what to answer when there is no route */
    uint8_t depth;  /* of routers */
    uint8_t at;     /* the next middleware */
    uint8_t count;  /* of middlewares, when the request came */
    uint8_t param_count;
    uint8_t chain;  /* RONDO__CHAIN_* */
    bool is_paused; /* the body is held back by us */
} rondo__route_state;

/* The request goes: lets go of routers and memory. */
void rondo__route_fini(rondo__route_state *state);

#endif
