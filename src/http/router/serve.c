/* SPDX-License-Identifier: MIT
 *
 * The way of a request through a router: its middlewares, then its route or a refusal.
 *
 * The chain is a loop, run(), and not a recursion: a middleware that says `next` returns before the
 * next one is called, so that nothing is ever called inside the call that asked for it, and the stack
 * is as deep for thirty-two as for one. A router in a router only begins a new chain in the loop that
 * runs. Any callback may end the response, and with it the request: `gone` is how run() learns that.
 */
#include <rondo/error.h>
#include <string.h>

#include "http/router/router.h"
#include "http/server/connection.h"
#include "http/server/request.h"
#include "http/server/response.h"
#include "loop/memory.h"

static void route_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    (void)loop;
    ((rondo_http_request_cb)fn)(payload, (rondo_http_response *)(void *)handle, arg);
}
static const rondo__event middleware_event = {"http.middleware", route_thunk};
static const rondo__event route_event = {"http.route", route_thunk};

static void call(rondo_http_request *request, const rondo__event *event, rondo_http_request_cb cb,
                 void *arg) {
    rondo_handle *response = &request->response->base;
    rondo__door(response->loop, response, event, RONDO__FN(cb), request, arg);
}

/* ---- what there is to refuse ---- */

/* A field that can't be added is left out: the status still says what there is to say. */
static void add_allow(const rondo_http_router *router, uint32_t allow,
                      rondo_http_response *response) {
    char text[RONDO_HTTP_ROUTER_METHODS * 36];
    size_t len = 0;
    if (allow & RONDO__GET) allow |= RONDO__HEAD;
    allow |= RONDO__OPTIONS;
    for (unsigned i = 0; i < router->method_count; i++) {
        if (!(allow & (UINT32_C(1) << i))) continue;
        size_t method_len = strlen(router->methods[i]);
        RONDO_ASSERT(len + method_len + 3 <= sizeof text);
        if (len > 0) {
            memcpy(text + len, ", ", 2);
            len += 2;
        }
        memcpy(text + len, router->methods[i], method_len);
        len += method_len;
    }
    text[len] = '\0';
    (void)rondo_http_response_header(response, "Allow", text);
}

/* To the same with a slash behind it: relative to its last segment, so that it leads to no other host
 * and below whatever this is mounted at. */
static int add_location(const rondo_http_request *request, rondo_http_response *response) {
    char text[4096];
    rondo_slice path = rondo_http_request_path(request);
    rondo_slice query = rondo_http_request_query(request);
    size_t begin = path.len;
    while (begin > 0 && path.data[begin - 1] != '/') begin--;
    size_t len = path.len - begin;
    if (len + query.len + 5 > sizeof text) return RONDO_ENOBUFS;
    memcpy(text, "./", 2);
    memcpy(text + 2, path.data + begin, len);
    len += 2;
    text[len++] = '/';
    if (query.data) {
        text[len++] = '?';
        memcpy(text + len, query.data, query.len);
        len += query.len;
    }
    text[len] = '\0';
    return rondo_http_response_header(response, "Location", text);
}

static void refuse(const rondo_http_request *request, const rondo__route_state *state) {
    rondo_http_response *response = request->response;
    int status = state->outcome;
    if (status == 204 || status == 405)
        add_allow(state->routers[state->depth - 1], state->allow, response);
    if (status == 308 && add_location(request, response) == RONDO_ENOBUFS) status = 414;
    if (status == 204)
        rondo_http_response_end(response);
    else
        rondo__response_plain(response, status);
}

/* ---- the chain ---- */

static void step(rondo_http_request *request, rondo__route_state *state) {
    if (state->at < state->count) {
        const rondo__middleware *next = &state->routers[state->depth - 1]->middlewares[state->at++];
        state->chain = RONDO__CHAIN_HELD;
        call(request, &middleware_event, next->cb, next->arg);
        return;
    }
    state->chain = RONDO__CHAIN_OVER;
    if (!state->route) {
        refuse(request, state);
        return;
    }
    if (state->route->kind != RONDO__ROUTE_PLAIN) request->path = state->rest;
    call(request, &route_event, state->route->cb, state->route->arg);
}

/* A middleware will say later what shall be. Whoever comes then wants the body from its beginning. */
static void hold_body(rondo_http_request *request, rondo__route_state *state) {
    const rondo__http_conn *conn = request->conn;
    if (!conn || conn->state != RONDO__CONN_BODY || (request->flags & RONDO__REQUEST_PAUSED))
        return;
    state->is_paused = rondo_http_request_pause(request) == 0;
}

/* Calls what is to be called now. false: the request has gone. */
static bool run(rondo_http_request *request) {
    rondo__route_state *state = &request->route;
    bool gone = false;
    RONDO_ASSERT(!state->gone);
    state->gone = &gone;
    while (state->chain == RONDO__CHAIN_GO && request->response) {
        step(request, state);
        if (gone) return false;
    }
    state->gone = NULL;
    if (state->chain == RONDO__CHAIN_HELD && request->response) hold_body(request, state);
    return true;
}

static void run_later(rondo_loop *loop, rondo__task *task) {
    rondo__route_state *state = RONDO__OF(task, rondo__route_state, task);
    rondo_http_request *request = state->request;
    (void)loop;
    bool held = state->is_paused && (request->flags & RONDO__REQUEST_PAUSED);
    state->is_paused = false;
    /* Quietly: what is called may pause it for itself. */
    if (held) request->flags &= (uint16_t)~RONDO__REQUEST_PAUSED;
    if (!run(request) || !held || (request->flags & RONDO__REQUEST_PAUSED)) return;
    if (request->conn && rondo__conn_alive(request->conn)) rondo__conn_resumed(request->conn);
}

int rondo_http_request_next(rondo_http_request *request) {
    rondo__request_check(request, __func__);
    rondo__route_state *state = &request->route;
    if (!request->response) return RONDO_ECLOSED;
    if (!(request->flags & RONDO__REQUEST_ROUTED) || state->chain != RONDO__CHAIN_HELD)
        rondo__fatal("%s: no middleware has this request: called twice, or not from one", __func__);
    state->chain = RONDO__CHAIN_GO;
    if (!state->gone) rondo__defer(request->http->loop, &state->task);
    return 0;
}

/* ---- into a router ---- */

/* Room for octets that live as long as the request: behind its head, where there nearly always is
 * some, which the fields of an answer have not taken yet. */
static char *room_for(rondo_http_request *request, size_t len) {
    if (!request->out && len <= request->head_size - request->head_len) {
        char *room = request->head + request->head_len;
        request->head_len += (uint32_t)len;
        return room;
    }
    rondo__route_block *block = rondo__alloc(sizeof *block + len);
    if (!block) return NULL;
    block->next = request->route.blocks;
    request->route.blocks = block;
    return block->data;
}

static bool add_param(rondo_http_request *request, rondo_slice name, rondo_slice value,
                      bool decode) {
    rondo__route_state *state = &request->route;
    if (decode && memchr(value.data, '%', value.len)) {
        char *room = room_for(request, value.len);
        if (!room) return false;
        value = rondo_slice_of(room, rondo__decode(value, room));
    }
    rondo__route_param *param = &state->params[state->param_count++];
    param->name = name;
    param->value = value;
    return true;
}

/* 0, or the status of a refusal. */
static int add_params(rondo_http_request *request, const rondo__match *match) {
    const rondo__route *route = match->route;
    if (request->route.param_count + route->param_count > RONDO_HTTP_ROUTER_PARAMS) return 500;
    for (size_t i = 0; i < match->count; i++)
        if (!add_param(request, route->names[i], match->values[i], true)) return 503;
    if (match->count < route->param_count)
        (void)add_param(request, route->names[match->count], match->rest, false);
    return 0;
}

static rondo__route_state *state_of(rondo_http_request *request) {
    rondo__route_state *state = &request->route;
    if (!(request->flags & RONDO__REQUEST_ROUTED)) {
        memset(state, 0, sizeof *state);
        rondo__task_init(&state->task, run_later);
        state->request = request;
        request->flags |= RONDO__REQUEST_ROUTED;
    }
    return state;
}

/* Begins the chain of a router, which is the innermost now. */
static void enter(rondo_http_request *request, rondo__route_state *state,
                  rondo_http_router *router) {
    rondo__match match;
    rondo_slice path = rondo_http_request_path(request);
    rondo__match_find(router, rondo_http_request_method(request), path, &match);
    state->outcome = match.outcome;
    state->allow = match.allow;
    if (match.route) {
        int status = add_params(request, &match);
        if (status != 0) {
            match.route = NULL;
            state->outcome = status;
        }
    }
    state->route = match.route;
    if (match.route) state->last_route = match.route;
    if (match.route && match.route->kind == RONDO__ROUTE_MOUNT)
        state->rest = request->path + (uint32_t)(match.rest.data - path.data) - 1;
    else
        state->rest = request->path + (uint32_t)path.len; /* for RONDO__ROUTE_BARE */
    rondo__router_enter(router);
    state->routers[state->depth++] = router;
    state->at = 0;
    state->count = router->middleware_count;
    state->chain = RONDO__CHAIN_GO;
}

void rondo_http_router_serve(rondo_http_request *request, rondo_http_response *response,
                             void *router) {
    RONDO__CHECK_ROUTER((rondo_http_router *)router);
    rondo__request_check(request, __func__);
    if (request->response != response)
        rondo__fatal("%s: the response is not this request's, or has been ended", __func__);
    rondo__route_state *state = state_of(request);
    if (state->depth == RONDO_HTTP_ROUTER_DEPTH) {
        state->chain = RONDO__CHAIN_OVER;
        rondo__response_plain(response, 500);
        return;
    }
    enter(request, state, router);
    if (!state->gone) (void)run(request); /* else the run() that called us goes on */
}

void rondo__route_fini(rondo__route_state *state) {
    if (state->gone) *state->gone = true;
    rondo__task_cancel(&state->task);
    while (state->depth > 0) rondo__router_leave(state->routers[--state->depth]);
    for (rondo__route_block *block = state->blocks, *next; block; block = next) {
        next = block->next;
        rondo__free(block);
    }
}

/* ---- what was found ---- */

rondo_slice rondo_http_request_param(const rondo_http_request *request, const char *name) {
    rondo__request_check(request, __func__);
    const rondo__route_state *state = &request->route;
    if (!(request->flags & RONDO__REQUEST_ROUTED)) return rondo_slice_of(NULL, 0);
    size_t len = strlen(name);
    for (unsigned i = state->param_count; i-- > 0;) {
        const rondo__route_param *param = &state->params[i];
        if (param->name.len == len && memcmp(param->name.data, name, len) == 0) return param->value;
    }
    return rondo_slice_of(NULL, 0);
}

rondo_slice rondo_http_request_route(const rondo_http_request *request) {
    rondo__request_check(request, __func__);
    if (!(request->flags & RONDO__REQUEST_ROUTED) || !request->route.last_route)
        return rondo_slice_of(NULL, 0);
    const rondo__route *route = request->route.last_route;
    return rondo_slice_of(route->pattern, route->pattern_len);
}
