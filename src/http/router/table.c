/* SPDX-License-Identifier: MIT
 *
 * The tree of routes, and adding to it. Everything that can fail is done before the one thing that
 * can be seen, which is putting the route: nodes without routes, which a failure may leave behind, are
 * never found.
 */
#include "http/router/router.h"

#include <rondo/error.h>
#include <string.h>

#include "loop/memory.h"

/* ---- nodes ---- */

rondo__node *rondo__node_new(rondo_slice text) {
    rondo__node *node = rondo__zalloc(sizeof *node + text.len + 1);
    if (!node) return NULL;
    char *copy = (char *)(node + 1);
    if (text.len > 0) memcpy(copy, text.data, text.len);
    node->text = rondo_slice_of(copy, text.len);
    return node;
}

/* As deep as patterns are long. */
void rondo__node_free(rondo__node *node) {
    if (!node) return;
    for (uint32_t i = 0; i < node->child_count; i++) rondo__node_free(node->children[i]);
    rondo__node_free(node->param);
    rondo__free(node->children);
    rondo__free(node->here.routes);
    rondo__free(node->rest.routes);
    rondo__free(node);
}

/* Lengths first: they tell most texts apart without a look at them. */
static int compare(rondo_slice a, rondo_slice b) {
    if (a.len != b.len) return a.len < b.len ? -1 : 1;
    return memcmp(a.data, b.data, a.len);
}

/* Where the text is, or belongs. */
static uint32_t place_of(const rondo__node *node, rondo_slice text, bool *ret_found) {
    uint32_t low = 0, high = node->child_count;
    *ret_found = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare(text, node->children[middle]->text);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

rondo__node *rondo__node_child(const rondo__node *node, rondo_slice text) {
    bool found;
    uint32_t place = place_of(node, text, &found);
    return found ? node->children[place] : NULL;
}

static rondo__node *add_child(rondo__node *node, rondo_slice text) {
    bool found;
    uint32_t place = place_of(node, text, &found);
    if (found) return node->children[place];
    rondo__node *child = rondo__node_new(text);
    if (!child) return NULL;
    size_t size = (node->child_count + 1) * sizeof(rondo__node *);
    rondo__node **children = rondo__realloc(node->children, size);
    if (!children) {
        rondo__node_free(child);
        return NULL;
    }
    node->children = children;
    memmove(children + place + 1, children + place,
            (node->child_count - place) * sizeof(rondo__node *));
    children[place] = child;
    node->child_count++;
    return child;
}

static rondo__node *add_param(rondo__node *node) {
    if (!node->param) node->param = rondo__node_new(rondo_slice_of(NULL, 0));
    return node->param;
}

rondo__node *rondo__table_node(rondo_http_router *router, const rondo__pattern *pattern,
                               size_t count) {
    rondo__node *node = router->root;
    for (size_t i = 0; node && i < count; i++) {
        const rondo__segment *segment = &pattern->segments[i];
        node = segment->kind == RONDO__SEGMENT_PARAM ? add_param(node)
                                                     : add_child(node, segment->text);
    }
    return node;
}

/* ---- methods ---- */

uint32_t rondo__method_bit(const rondo_http_router *router, rondo_slice method) {
    for (unsigned i = 0; i < router->method_count; i++)
        if (strlen(router->methods[i]) == method.len &&
            memcmp(router->methods[i], method.data, method.len) == 0)
            return UINT32_C(1) << i;
    return 0;
}

/* ---- routes ---- */

int rondo__leaf_reserve(rondo__leaf *leaf, uint32_t method) {
    if (leaf->methods & method) return RONDO_EEXIST;
    const rondo__route **routes =
        rondo__realloc(leaf->routes, (leaf->count + 1) * sizeof *leaf->routes);
    if (!routes) return RONDO_ENOMEM;
    leaf->routes = routes;
    return 0;
}

void rondo__leaf_put(rondo__leaf *leaf, const rondo__route *route) {
    RONDO_ASSERT(!(leaf->methods & route->method));
    leaf->routes[leaf->count++] = route;
    leaf->methods |= route->method;
}
