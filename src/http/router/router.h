/* SPDX-License-Identifier: MIT
 *
 * Routers, from the inside:
 *
 *   pattern.c   a pattern becomes segments, or is refused
 *   table.c     the tree of segments: adding to it
 *   match.c     the way of a path through it
 *   serve.c     the way of a request: middlewares, then the route or a refusal
 *   router.c    the object
 *
 * The tree has a node for each segment of each pattern. A node is reached by one sequence of choices
 * (this text, or any), so a search that turns back enters no node twice: its cost is bounded by the
 * table, never by the path. Internal.
 */
#ifndef RONDO__ROUTER_H
#define RONDO__ROUTER_H

#include <rondo/http.h>
#include <rondo/http_router.h>

#include "http/router/state.h"
#include "loop/assert.h"

#define RONDO__PATTERN_BYTES 1024
#define RONDO__PATTERN_SEGMENTS 32
/* Longer texts of patterns are refused, so that a segment is decoded into little room. */
#define RONDO__SEGMENT_BYTES 255

/* ---- pattern.c ---- */

typedef enum rondo__segment_kind {
    RONDO__SEGMENT_TEXT,
    RONDO__SEGMENT_PARAM,
    RONDO__SEGMENT_REST
} rondo__segment_kind;

typedef struct rondo__segment {
    rondo__segment_kind kind;
    rondo_slice text; /* of a pattern: the text or the name */
} rondo__segment;

typedef struct rondo__pattern {
    size_t count;
    rondo__segment segments[RONDO__PATTERN_SEGMENTS];
} rondo__pattern;

/* Cuts text, whose memory the slices point to. 0, RONDO_EINVAL or RONDO_ENOBUFS. */
int rondo__pattern_parse(rondo_slice text, rondo__pattern *ret_pattern);
/* Whether it is a token, or "*". */
bool rondo__is_method(const char *method);

/* ---- table.c ---- */

enum { RONDO__ROUTE_PLAIN, RONDO__ROUTE_MOUNT, RONDO__ROUTE_BARE /* a mount's prefix itself */ };

typedef struct rondo__route {
    struct rondo__route *next; /* of the router's, in the order of adding */
    rondo_http_request_cb cb;
    void *arg;
    uint32_t method; /* its bit, or RONDO__ANY_METHOD */
    int kind;
    uint8_t param_count;
    rondo_slice names[RONDO_HTTP_ROUTER_PARAMS];
    size_t pattern_len;
    char pattern[];
} rondo__route;

/* The bit of no method in particular. Those of methods are below it. */
#define RONDO__ANY_METHOD (UINT32_C(1) << 31)
/* Bit 0 is GET, whose routes also take HEAD, which is bit 1. */
#define RONDO__GET UINT32_C(1)
#define RONDO__HEAD UINT32_C(2)
#define RONDO__OPTIONS UINT32_C(4)

/* The routes of one pattern. */
typedef struct rondo__leaf {
    uint32_t methods; /* of routes; RONDO__ANY_METHOD too */
    uint32_t count;
    const rondo__route **routes;
} rondo__leaf;

typedef struct rondo__node {
    rondo_slice text;              /* of the segment that leads here; allocated with the node */
    struct rondo__node **children; /* by text: sorted by length, then by octets */
    uint32_t child_count;
    bool redirects;            /* a mount with a slash is beneath: see http_router.h */
    struct rondo__node *param; /* for any segment that is not empty */
    rondo__leaf here;          /* routes whose last segment this is */
    rondo__leaf rest;          /* routes with `*`, and mounts */
} rondo__node;

typedef struct rondo__middleware {
    rondo_http_request_cb cb;
    void *arg;
} rondo__middleware;

#define RONDO__ROUTER_MAGIC 0x52b07e12u

struct rondo_http_router {
    uint32_t magic;
    uint32_t users; /* requests in it */
    bool is_freed;
    uint8_t middleware_count, method_count;
    rondo__node *root;
    rondo__route *routes;
    uint32_t methods_used; /* by routes */
    const char
        *methods[RONDO_HTTP_ROUTER_METHODS]; /* that of bit i; owned, but for the first three */
    rondo__middleware middlewares[RONDO_HTTP_ROUTER_MIDDLEWARES];
};

rondo__node *rondo__node_new(rondo_slice text);
void rondo__node_free(rondo__node *node);
/* The child of that text, or NULL. */
rondo__node *rondo__node_child(const rondo__node *node, rondo_slice text);
/* The node of the first `count` segments of the pattern, made if it is not there: NULL when out of
 * memory. */
rondo__node *rondo__table_node(rondo_http_router *router, const rondo__pattern *pattern,
                               size_t count);
/* Makes room for a route of the method: 0, RONDO_EEXIST or RONDO_ENOMEM. */
int rondo__leaf_reserve(rondo__leaf *leaf, uint32_t method);
/* Puts it there. */
void rondo__leaf_put(rondo__leaf *leaf, const rondo__route *route);
/* The bit of a method, 0 when the router has no route of it. */
uint32_t rondo__method_bit(const rondo_http_router *router, rondo_slice method);

/* ---- match.c ---- */

typedef struct rondo__match {
    const rondo__route *route; /* NULL: see outcome */
    int outcome;               /* 200 with a route; 204: an OPTIONS to answer; 308, 400, 404, 405 */
    uint32_t allow;            /* what the path has, when there is no route */
    size_t count;
    rondo_slice values[RONDO_HTTP_ROUTER_PARAMS]; /* as they were sent */
    rondo_slice rest;                             /* what `*` or a mount took, without its slash */
    unsigned entered;                             /* nodes, for the tests */
} rondo__match;

void rondo__match_find(const rondo_http_router *router, rondo_slice method, rondo_slice path,
                       rondo__match *ret_match);
/* Decodes a segment that has no bad escapes; returns how many octets it is. text has room for its
 * length. */
size_t rondo__decode(rondo_slice segment, char *ret_text);

/* ---- router.c ---- */

/* A request has come in; it has gone. */
void rondo__router_enter(rondo_http_router *router);
void rondo__router_leave(rondo_http_router *router);

#define RONDO__CHECK_ROUTER(router) rondo__router_check((router), __func__)
void rondo__router_check(const rondo_http_router *router, const char *function);

#endif
