/* SPDX-License-Identifier: MIT
 *
 * The way of a path through the tree. Text is tried before a parameter, a parameter before `*`; where a
 * way ends without a route for the method, the search goes back, noting what methods there were.
 * No state but the stack, whose depth is that of the longest pattern; no allocation.
 */
#include <string.h>

#include "http/router/router.h"

/* ---- escapes ---- */

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

size_t rondo__decode(rondo_slice segment, char *ret_text) {
    size_t len = 0;
    for (size_t i = 0; i < segment.len; i++) {
        char c = segment.data[i];
        if (c == '%') {
            c = (char)(hex_value(segment.data[i + 1]) * 16 + hex_value(segment.data[i + 2]));
            i += 2;
        }
        ret_text[len++] = c;
    }
    return len;
}

/* Whether the octets from `at` to `end` are one segment that may be looked at: RFC 3986 section 2.1
 * says what an escape is. A NUL ends what C takes for a string; dot segments (section 3.3) are for
 * clients to resolve, and one that arrives wants to be mistaken for a name. */
static bool is_good(const char *at, const char *end) {
    size_t dots = 0, len = 0;
    for (; at < end; at++, len++) {
        int c = (unsigned char)*at;
        if (c == '%') {
            if (end - at < 3) return false;
            int high = hex_value(at[1]), low = hex_value(at[2]);
            if (high < 0 || low < 0 || high + low == 0) return false;
            c = high * 16 + low;
            at += 2;
        }
        dots += c == '.';
    }
    return dots != len || len == 0 || len > 2;
}

/* The whole path, whatever of it is matched later. */
static bool check_path(rondo_slice path) {
    const char *at = path.data, *end = path.data + path.len;
    while (at < end) {
        const char *begin = ++at;
        bool plain = begin == end || *begin != '.';
        for (; at < end && *at != '/'; at++) plain &= *at != '%';
        if (!plain && !is_good(begin, at)) return false;
    }
    return true;
}

/* ---- the search ---- */

typedef struct search {
    rondo__match *match;
    const char *end; /* of the path */
    uint32_t method; /* its bit */
} search;

static const rondo__route *route_of(const rondo__leaf *leaf, uint32_t method) {
    for (uint32_t i = 0;; i++) {
        RONDO_ASSERT(i < leaf->count);
        if (leaf->routes[i]->method == method) return leaf->routes[i];
    }
}

/* The leaf's route for the method, if it has one. */
static bool pick(const search *s, const rondo__leaf *leaf) {
    uint32_t take = leaf->methods & s->method;
    if (!take && s->method == RONDO__HEAD) take = leaf->methods & RONDO__GET;
    if (!take) take = leaf->methods & RONDO__ANY_METHOD;
    if (!take) {
        s->match->allow |= leaf->methods;
        return false;
    }
    s->match->route = route_of(leaf, take);
    s->match->outcome = 200;
    return true;
}

/* The path ends with this node's segment. */
static bool pick_here(const search *s, const rondo__node *node) {
    s->match->entered++;
    if (pick(s, &node->here)) return true;
    if (!node->redirects) return false;
    s->match->outcome = 308;
    return true;
}

/* What follows `*` or a mount's prefix. */
static bool pick_rest(const search *s, const rondo__node *node, const char *at) {
    s->match->rest = rondo_slice_of(at, (size_t)(s->end - at));
    return pick(s, &node->rest);
}

static const rondo__node *child_of(const rondo__node *node, rondo_slice segment) {
    char decoded[3 * RONDO__SEGMENT_BYTES];
    if (node->child_count == 0) return NULL;
    if (segment.len == 0 || !memchr(segment.data, '%', segment.len))
        return rondo__node_child(node, segment);
    if (segment.len > sizeof decoded) return NULL; /* longer than any text, even so */
    size_t len = rondo__decode(segment, decoded);
    return rondo__node_child(node, rondo_slice_of(decoded, len));
}

/* From the segment at `at`, just behind a slash, on. As deep as the table. */
static bool find(const search *s, const rondo__node *node, const char *at) {
    rondo__match *match = s->match;
    const char *slash = at < s->end ? memchr(at, '/', (size_t)(s->end - at)) : NULL;
    rondo_slice segment = rondo_slice_of(at, (size_t)((slash ? slash : s->end) - at));
    match->entered++;
    const rondo__node *child = child_of(node, segment);
    if (child && (slash ? find(s, child, slash + 1) : pick_here(s, child))) return true;
    if (node->param && segment.len > 0) {
        RONDO_ASSERT(match->count < RONDO_HTTP_ROUTER_PARAMS);
        match->values[match->count++] = segment;
        if (slash ? find(s, node->param, slash + 1) : pick_here(s, node->param)) return true;
        match->count--;
    }
    return pick_rest(s, node, at);
}

/* "*", of OPTIONS: what the server has at all (RFC 9110 section 9.3.7). */
static void find_all(const rondo_http_router *router, rondo__match *ret_match) {
    ret_match->allow = router->methods_used;
    ret_match->outcome = 204;
}

void rondo__match_find(const rondo_http_router *router, rondo_slice method, rondo_slice path,
                       rondo__match *ret_match) {
    ret_match->route = NULL;
    ret_match->outcome = 404;
    ret_match->allow = 0;
    ret_match->count = 0;
    ret_match->entered = 0;
    uint32_t bit = rondo__method_bit(router, method);
    if (path.len == 1 && path.data[0] == '*' && bit == RONDO__OPTIONS) {
        find_all(router, ret_match);
        return;
    }
    if (path.len == 0 || path.data[0] != '/') return;
    if (!check_path(path)) {
        ret_match->outcome = 400;
        return;
    }
    search s = {ret_match, path.data + path.len, bit};
    if (find(&s, router->root, path.data + 1) || ret_match->allow == 0) return;
    ret_match->outcome = bit == RONDO__OPTIONS ? 204 : 405;
}
