/* SPDX-License-Identifier: MIT
 *
 * The client's life, and what its connections are made with.
 */
#include "http/client/client.h"

#include <rondo/tls.h>

#include "http/client/call.h"
#include "loop/memory.h"
#include "net/tls/tls.h"

/* Less would not hold a status line. */
#define HEAD_BYTES_LEAST ((size_t)256)
#define HEAD_BYTES_MOST ((size_t)1 << 30)

static rondo_http_client *client_of(rondo_handle *handle) {
    return (rondo_http_client *)(void *)handle;
}

/* ---- life ---- */

static void stop(rondo_handle *handle) {
    rondo_http_client *client = client_of(handle);
    while (!rondo__list_empty(&client->calls)) {
        rondo_http_call *call = RONDO__OF(client->calls.next, rondo_http_call, link);
        rondo__call_fail(call, RONDO_ECANCELED);
        call->client = NULL;
    }
    while (!rondo__list_empty(&client->conns))
        rondo__client_conn_close(RONDO__OF(client->conns.next, rondo__client_conn, all));
    RONDO_ASSERT(client->figures.connections == 0 && client->figures.waiting == 0);
}

static void free_parts(rondo_handle *handle) {
    rondo_http_client *client = client_of(handle);
    rondo_tls_context_free(client->tls);
    rondo__client_free_proxies(client);
}

static void verify(const rondo_handle *handle) {
    const rondo_http_client *client = (const rondo_http_client *)(const void *)handle;
    size_t conns = 0, idle = 0;
    for (const rondo__list *link = client->conns.next; link != &client->conns; link = link->next)
        conns++;
    for (const rondo__list *link = client->idle.next; link != &client->idle; link = link->next)
        idle++;
    RONDO_ASSERT(conns == client->figures.connections && idle == client->figures.idle);
    RONDO_ASSERT(rondo__list_empty(&client->due) && !client->serving);
}

const rondo__kind rondo__client_kind = {
    .name = "http client",
    .size = sizeof(rondo_http_client),
    .stop = stop,
    .free = free_parts,
    .verify = verify,
};

rondo_http_client *rondo_http_client_new_at(rondo_loop *loop, const char *site) {
    rondo__loop_check(loop, "rondo_http_client_new");
    rondo_http_client *client = rondo__handle_new(loop, &rondo__client_kind, site);
    if (!client) return NULL;
    for (int i = 0; i < RONDO__ORIGIN_BUCKETS; i++) rondo__list_init(&client->origins[i]);
    rondo__list_init(&client->due);
    rondo__list_init(&client->starved);
    rondo__list_init(&client->idle);
    rondo__list_init(&client->conns);
    rondo__list_init(&client->calls);
    rondo_http_client_set_limits(client, &(rondo_http_client_limits){0});
    return client;
}

/* ---- limits and figures ---- */

void rondo_http_client_set_limits(rondo_http_client *client,
                                  const rondo_http_client_limits *limits) {
    RONDO__CHECK(client, &rondo__client_kind);
    rondo_http_client_limits *own = &client->limits;
#define SET(field, type, value, what) own->field = limits->field ? limits->field : (type)(value);
    RONDO_HTTP_CLIENT_LIMITS(SET)
#undef SET
    if (own->head_bytes < HEAD_BYTES_LEAST) own->head_bytes = HEAD_BYTES_LEAST;
    if (own->head_bytes > HEAD_BYTES_MOST) own->head_bytes = HEAD_BYTES_MOST;
}

void rondo_http_client_get_limits(const rondo_http_client *client,
                                  rondo_http_client_limits *ret_limits) {
    RONDO__CHECK(client, &rondo__client_kind);
    *ret_limits = client->limits;
}

void rondo_http_client_get_figures(const rondo_http_client *client,
                                   rondo_http_client_figures *ret_figures) {
    RONDO__CHECK(client, &rondo__client_kind);
    *ret_figures = client->figures;
}

/* ---- TLS ---- */

void rondo__client_renew(rondo_http_client *client) {
    client->generation++;
    rondo__pool_clear(client);
}

int rondo_http_client_set_tls(rondo_http_client *client, rondo_tls_context *context) {
    RONDO__CHECK(client, &rondo__client_kind);
    if (rondo__client_closing(client)) return RONDO_ECLOSED;
    if (context) rondo__tls_context_ref(context);
    rondo_tls_context_free(client->tls);
    client->tls = context;
    rondo__client_renew(client);
    return 0;
}

int rondo__client_tls(rondo_http_client *client, rondo_tls_context **ret_context) {
    int status = 0;
    if (!client->tls) {
        rondo_tls_context *context = NULL;
        status = rondo_tls_context_new(RONDO_TLS_CLIENT, &context);
        if (status == 0) status = rondo_tls_set_alpn(context, "http/1.1");
        if (status == 0) status = rondo_tls_set_handshake_timeout(context, 0); /* tls_timeout_ms */
        if (status < 0)
            rondo_tls_context_free(context);
        else
            client->tls = context;
    }
    if (status == 0) *ret_context = client->tls;
    return status;
}
