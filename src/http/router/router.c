/* SPDX-License-Identifier: MIT
 *
 * Routers: their life, and what a program adds to one.
 */
#include "http/router/router.h"

#include <rondo/error.h>
#include <string.h>

#include "loop/memory.h"

/* Those that have a meaning here; their bits are in router.h. */
static const char *const known[] = {"GET", "HEAD", "OPTIONS"};
#define KNOWN 3

/* A router is no handle: this is what finds the use of one that was freed. */
void rondo__router_check(const rondo_http_router *router, const char *function) {
    if (!router) rondo__fatal("%s: the router is NULL", function);
    if (router->magic != RONDO__ROUTER_MAGIC || router->is_freed)
        rondo__fatal("%s: the router was used after it had been freed", function);
}

static void check_callback(rondo_http_request_cb cb, const char *function) {
    if (!cb) rondo__fatal("%s: the callback is NULL", function);
}

/* ---- life ---- */

rondo_http_router *rondo_http_router_new(void) {
    rondo_http_router *router = rondo__zalloc(sizeof *router);
    if (!router) return NULL;
    router->root = rondo__node_new(rondo_slice_of(NULL, 0));
    if (!router->root) {
        rondo__free(router);
        return NULL;
    }
    router->magic = RONDO__ROUTER_MAGIC;
    for (; router->method_count < KNOWN; router->method_count++)
        router->methods[router->method_count] = known[router->method_count];
    return router;
}

static void free_when_idle(rondo_http_router *router) {
    if (!router->is_freed || router->users > 0) return;
    for (rondo__route *route = router->routes, *next; route; route = next) {
        next = route->next;
        rondo__free(route);
    }
    for (unsigned i = KNOWN; i < router->method_count; i++)
        rondo__free((char *)(uintptr_t)router->methods[i]);
    rondo__node_free(router->root);
    router->magic = 0;
    rondo__free(router);
}

void rondo_http_router_free(rondo_http_router *router) {
    if (!router) return;
    RONDO__CHECK_ROUTER(router);
    router->is_freed = true;
    free_when_idle(router);
}

void rondo__router_enter(rondo_http_router *router) { router->users++; }

void rondo__router_leave(rondo_http_router *router) {
    RONDO_ASSERT(router->magic == RONDO__ROUTER_MAGIC && router->users > 0);
    router->users--;
    free_when_idle(router);
}

/* ---- routes ---- */

/* The method's bit, given to it now if it is new. */
static int bit_for(rondo_http_router *router, const char *method, uint32_t *ret_bit) {
    if (strcmp(method, "*") == 0) {
        *ret_bit = RONDO__ANY_METHOD;
        return 0;
    }
    *ret_bit = rondo__method_bit(router, rondo_slice_text(method));
    if (*ret_bit != 0) return 0;
    if (router->method_count == RONDO_HTTP_ROUTER_METHODS) return RONDO_ENOBUFS;
    char *copy = rondo__strdup(method);
    if (!copy) return RONDO_ENOMEM;
    router->methods[router->method_count] = copy;
    *ret_bit = UINT32_C(1) << router->method_count++;
    return 0;
}

/* text: what was added; pattern: what became of it. NULL when out of memory. */
static rondo__route *route_new(const char *text, const rondo__pattern *pattern, uint32_t method,
                               rondo_http_request_cb cb, void *arg) {
    size_t len = strlen(text);
    rondo__route *route = rondo__zalloc(sizeof *route + len + 1);
    if (!route) return NULL;
    memcpy(route->pattern, text, len + 1);
    route->pattern_len = len;
    route->cb = cb;
    route->arg = arg;
    route->method = method;
    for (size_t i = 0; i < pattern->count; i++) {
        const rondo__segment *segment = &pattern->segments[i];
        if (segment->kind == RONDO__SEGMENT_TEXT) continue;
        route->names[route->param_count++] =
            rondo_slice_of(route->pattern + (segment->text.data - text), segment->text.len);
    }
    return route;
}

/* The router's from now on. */
static void put(rondo_http_router *router, rondo__leaf *leaf, rondo__route *route) {
    rondo__leaf_put(leaf, route);
    router->methods_used |= route->method;
    route->next = router->routes;
    router->routes = route;
}

int rondo_http_router_add(rondo_http_router *router, const char *method, const char *text,
                          rondo_http_request_cb cb, void *arg) {
    RONDO__CHECK_ROUTER(router);
    check_callback(cb, __func__);
    rondo__pattern pattern;
    uint32_t bit = 0;
    int result = rondo__pattern_parse(rondo_slice_text(text), &pattern);
    if (result == 0 && !rondo__is_method(method)) result = RONDO_EINVAL;
    if (result == 0) result = bit_for(router, method, &bit);
    if (result < 0) return result;
    bool is_rest = pattern.segments[pattern.count - 1].kind == RONDO__SEGMENT_REST;
    rondo__node *node = rondo__table_node(router, &pattern, pattern.count - is_rest);
    if (!node) return RONDO_ENOMEM;
    rondo__leaf *leaf = is_rest ? &node->rest : &node->here;
    result = rondo__leaf_reserve(leaf, bit);
    if (result < 0) return result;
    rondo__route *route = route_new(text, &pattern, bit, cb, arg);
    if (!route) return RONDO_ENOMEM;
    put(router, leaf, route);
    return 0;
}

/* ---- mounts ---- */

/* has_slash: the prefix ended in one, which was taken off. */
static int parse_prefix(const char *prefix, rondo__pattern *ret_pattern, bool *ret_has_slash) {
    int result = rondo__pattern_parse(rondo_slice_text(prefix), ret_pattern);
    if (result < 0) return result;
    const rondo__segment *last = &ret_pattern->segments[ret_pattern->count - 1];
    if (last->kind == RONDO__SEGMENT_REST) return RONDO_EINVAL;
    *ret_has_slash = last->kind == RONDO__SEGMENT_TEXT && last->text.len == 0;
    if (*ret_has_slash)
        ret_pattern->count--;
    else if (ret_pattern->count == RONDO__PATTERN_SEGMENTS)
        return RONDO_ENOBUFS; /* there must be one behind it */
    return 0;
}

int rondo_http_router_mount(rondo_http_router *router, const char *prefix, rondo_http_request_cb cb,
                            void *arg) {
    RONDO__CHECK_ROUTER(router);
    check_callback(cb, __func__);
    rondo__pattern pattern;
    bool has_slash = false;
    int result = parse_prefix(prefix, &pattern, &has_slash);
    if (result < 0) return result;
    rondo__node *node = rondo__table_node(router, &pattern, pattern.count);
    if (!node) return RONDO_ENOMEM;
    result = rondo__leaf_reserve(&node->rest, RONDO__ANY_METHOD);
    if (result == 0 && !has_slash) result = rondo__leaf_reserve(&node->here, RONDO__ANY_METHOD);
    if (result < 0) return result;
    rondo__route *rest = route_new(prefix, &pattern, RONDO__ANY_METHOD, cb, arg);
    rondo__route *bare = route_new(prefix, &pattern, RONDO__ANY_METHOD, cb, arg);
    if (!rest || !bare) {
        rondo__free(rest);
        rondo__free(bare);
        return RONDO_ENOMEM;
    }
    rest->kind = RONDO__ROUTE_MOUNT;
    bare->kind = RONDO__ROUTE_BARE;
    put(router, &node->rest, rest);
    if (!has_slash) {
        put(router, &node->here, bare);
        return 0;
    }
    rondo__free(bare);
    node->redirects = true;
    return 0;
}

/* ---- middlewares ---- */

int rondo_http_router_use(rondo_http_router *router, rondo_http_request_cb cb, void *arg) {
    RONDO__CHECK_ROUTER(router);
    check_callback(cb, __func__);
    if (router->middleware_count == RONDO_HTTP_ROUTER_MIDDLEWARES) return RONDO_ENOBUFS;
    rondo__middleware *middleware = &router->middlewares[router->middleware_count++];
    middleware->cb = cb;
    middleware->arg = arg;
    return 0;
}
