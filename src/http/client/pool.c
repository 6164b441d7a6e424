/* SPDX-License-Identifier: MIT
 *
 * The pool. A call is always entered into the queue of its origin, and the queue is served from its
 * front: by an idle connection, the one that was used last, since the others are the nearest to being
 * closed by the server; else by a new one, as long as the two bounds allow. Where the bound on all
 * connections is in the way, the one that has been idle longest, of whatever origin, has to go; if none
 * is idle, the origin is `starved`, and the first of those gets the next connection that goes.
 *
 * What is found out while origins are being served is noted in `due`, not followed: so serving never
 * nests, however the calls that are served end.
 */
#include "http/client/pool.h"

#include <stdio.h>
#include <string.h>

#include "http/client/call.h"
#include "loop/memory.h"
#include "net/stream.h"

#define KEY_SIZE (RONDO__HOST_MOST + 400)

/* ---- origins ---- */

static uint32_t hash_of(const char *key) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *key; key++) hash = (hash ^ (uint8_t)*key) * 16777619u;
    return hash;
}

typedef struct way {
    bool proxied, tunnel;
} way;

/* What a proxy must not look into, or would not pass on: an Upgrade is for the next one only (RFC 9110
 * section 7.8), so a call with it goes through a tunnel (RFC 6455 section 4.1). */
static way way_of(const rondo_http_call *call) {
    if (call->unix_path || rondo__call_asked(call).connect) return (way){false, false};
    bool proxied = rondo__client_proxy(call->client, &call->url) != NULL;
    return (way){proxied, proxied && (call->url.https || (call->flags & RONDO__CALL_UPGRADE))};
}

/* Calls that go by absolute-form share the proxy's connections, wherever they lead. */
static void make_key(const rondo_http_call *call, way by, char key[KEY_SIZE]) {
    const rondo_http_client *client = call->client;
    char host[RONDO__HOST_PORT_SIZE] = "";
    if (!by.proxied || by.tunnel) rondo__url_host_port(&call->url, host);
    snprintf(key, KEY_SIZE, "%u%s %s %s %s", (unsigned)client->generation,
             by.tunnel    ? " tunnel"
             : by.proxied ? " proxy"
                          : "",
             call->url.https ? "https" : "http", host, call->unix_path ? call->unix_path : "");
}

static rondo__origin *new_origin(const rondo_http_call *call, way by, const char *key) {
    rondo_http_client *client = call->client;
    size_t len = strlen(key);
    rondo__origin *origin = rondo__zalloc(sizeof *origin + len + 1);
    if (!origin) return NULL;
    rondo__list_init(&origin->link);
    rondo__list_init(&origin->queue);
    rondo__list_init(&origin->idle);
    rondo__list_init(&origin->waiting);
    origin->client = client;
    origin->generation = client->generation;
    origin->https = call->url.https;
    origin->proxied = by.proxied;
    origin->tunnel = by.tunnel;
    origin->port = call->url.port;
    rondo__url_host(&call->url, origin->host);
    memcpy(origin->key, key, len + 1);
    if (call->unix_path) origin->path = origin->key + len - strlen(call->unix_path);
    rondo__list_push_back(&client->origins[hash_of(key) % RONDO__ORIGIN_BUCKETS], &origin->link);
    return origin;
}

static rondo__origin *find_origin(const rondo_http_call *call) {
    rondo_http_client *client = call->client;
    way by = way_of(call);
    char key[KEY_SIZE];
    make_key(call, by, key);
    rondo__list *bucket = &client->origins[hash_of(key) % RONDO__ORIGIN_BUCKETS];
    for (rondo__list *link = bucket->next; link != bucket; link = link->next) {
        rondo__origin *origin = RONDO__OF(link, rondo__origin, link);
        if (strcmp(origin->key, key) == 0) return origin;
    }
    return new_origin(call, by, key);
}

/* Nobody needs it any more? */
static void free_if_unused(rondo__origin *origin) {
    if (origin->conns > 0 || origin->serving || !rondo__list_empty(&origin->waiting)) return;
    rondo__list_remove(&origin->queue);
    rondo__list_remove(&origin->link);
    rondo__free(origin);
}

/* ---- serving ---- */

static rondo__client_conn *idle_one(const rondo__list *head, bool last) {
    if (rondo__list_empty(head)) return NULL;
    return RONDO__OF(last ? head->prev : head->next, rondo__client_conn, link);
}

void rondo__pool_unlist(rondo__client_conn *conn) {
    if (!rondo__list_linked(&conn->lru)) return;
    rondo__list_remove(&conn->link);
    rondo__list_remove(&conn->lru);
    rondo__alarm_clear(&conn->alarm);
    conn->client->figures.idle--;
}

static void evict(rondo__client_conn *conn) { rondo__client_conn_close(conn); }

/* Whether the call may have a new connection; idle ones make room for it. */
static bool make_room(rondo__origin *origin) {
    rondo_http_client *client = origin->client;
    const rondo_http_client_limits *limits = &client->limits;
    while (origin->conns >= limits->connections_per_origin) {
        rondo__client_conn *oldest = idle_one(&origin->idle, false);
        if (!oldest) return false; /* the next of its own that is free will do */
        evict(oldest);
    }
    while (client->figures.connections >= limits->connections) {
        if (rondo__list_empty(&client->idle)) {
            rondo__list_push_back(&client->starved, &origin->queue);
            return false;
        }
        evict(RONDO__OF(client->idle.next, rondo__client_conn, lru));
    }
    return true;
}

/* The call waits no more. */
static void take_out(rondo_http_call *call) {
    rondo__list_remove(&call->wait);
    call->origin->client->figures.waiting--;
    call->origin = NULL;
}

/* The idle connection for the call; NULL: there is none. What the server has done to one since the loop
 * looked last is not known yet, so it is asked: octets that nobody asked for, a 408 for example, would be
 * taken for the answer to this call, and one that the server has let go of would be a try for nothing. */
static rondo__client_conn *find_idle(rondo__origin *origin, const rondo_http_call *call) {
    rondo__client_conn *conn;
    if (call->flags & RONDO__CALL_FRESH) return NULL;
    while ((conn = idle_one(&origin->idle, true))) {
        if (rondo__stream_peek(conn->stream) == RONDO_EAGAIN) return conn;
        origin->client->figures.stale_found++;
        rondo__client_conn_close(conn);
    }
    return NULL;
}

static void use_idle(rondo__client_conn *conn, rondo_http_call *call) {
    rondo__pool_unlist(conn);
    conn->state = RONDO__CLIENT_BUSY;
    conn->call = call;
    call->conn = conn;
    call->flags |= RONDO__CALL_REUSED;
    conn->client->figures.reuses++;
    rondo__call_start(call);
}

static void note_due(rondo__origin *origin) {
    rondo__list_remove(&origin->queue);
    rondo__list_push_back(&origin->client->due, &origin->queue);
}

/* 0 or RONDO_ENOMEM. */
static int put_in(rondo_http_call *call, bool first) {
    rondo__origin *origin = find_origin(call);
    if (!origin) return RONDO_ENOMEM;
    call->origin = origin;
    if (first)
        rondo__list_push_front(&origin->waiting, &call->wait);
    else
        rondo__list_push_back(&origin->waiting, &call->wait);
    origin->client->figures.waiting++;
    note_due(origin);
    return 0;
}

static void serve(rondo__origin *origin) {
    const rondo_http_client *client = origin->client;
    origin->serving = true;
    while (!rondo__list_empty(&origin->waiting)) {
        rondo_http_call *call = RONDO__OF(origin->waiting.next, rondo_http_call, wait);
        if (origin->generation != client->generation) { /* there are other ways now */
            take_out(call);
            if (put_in(call, false) < 0) rondo__call_fail(call, RONDO_ENOMEM);
            continue;
        }
        rondo__client_conn *conn = find_idle(origin, call);
        if (!conn && !make_room(origin)) break;
        take_out(call);
        if (conn) {
            use_idle(conn, call);
        } else {
            int status = rondo__client_conn_open(origin, call);
            if (status < 0) rondo__call_fail(call, status);
        }
    }
    origin->serving = false;
    free_if_unused(origin);
}

static void serve_due(rondo_http_client *client) {
    if (client->serving || rondo__client_closing(client)) return;
    client->serving = true;
    for (rondo__list *link; (link = rondo__list_pop_front(&client->due));)
        serve(RONDO__OF(link, rondo__origin, queue));
    client->serving = false;
}

/* There is room for one connection more than before. */
static void feed_starved(rondo_http_client *client) {
    if (rondo__list_empty(&client->starved)) return;
    note_due(RONDO__OF(client->starved.next, rondo__origin, queue));
}

/* ---- the calls ---- */

int rondo__pool_enter(rondo_http_call *call, bool first) {
    rondo_http_client *client = call->client;
    RONDO_ASSERT(!call->origin && !call->conn);
    int status = put_in(call, first);
    if (status < 0) return status;
    serve_due(client);
    if (!call->origin || client->figures.waiting <= client->limits.waiting) return 0;
    rondo__pool_leave(call);
    return RONDO_EAGAIN;
}

void rondo__pool_leave(rondo_http_call *call) {
    rondo__origin *origin = call->origin;
    if (!origin) return;
    take_out(call);
    free_if_unused(origin);
}

void rondo__pool_give(rondo__client_conn *conn) {
    rondo_http_client *client = conn->client;
    rondo__origin *origin = conn->origin;
    conn->state = RONDO__CLIENT_IDLE;
    rondo__list_push_back(&origin->idle, &conn->link);
    rondo__list_push_back(&client->idle, &conn->lru);
    client->figures.idle++;
    rondo__alarm_set_in_ms(client->base.loop, &conn->alarm, client->limits.idle_timeout_ms);
    if (!rondo__list_empty(&origin->waiting))
        note_due(origin);
    else
        feed_starved(client);
    serve_due(client);
}

void rondo__pool_lost(rondo__client_conn *conn) {
    rondo_http_client *client = conn->client;
    rondo__origin *origin = conn->origin;
    RONDO_ASSERT(origin->conns > 0 && client->figures.connections > 0);
    rondo__pool_unlist(conn);
    conn->origin = NULL;
    origin->conns--;
    client->figures.connections--;
    feed_starved(client);
    if (!rondo__list_empty(&origin->waiting))
        note_due(origin);
    else
        free_if_unused(origin);
    serve_due(client);
}

void rondo__pool_clear(rondo_http_client *client) {
    while (!rondo__list_empty(&client->idle))
        rondo__client_conn_close(RONDO__OF(client->idle.next, rondo__client_conn, lru));
}
