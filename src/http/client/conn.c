/* SPDX-License-Identifier: MIT
 *
 * Connections of the client. The stream is an ordinary one of rondo_connect(), consumed; it never keeps
 * the loop alive, since the call that waits for it does.
 *
 * Octets that no call awaits were not asked for, and end the connection: what comes behind an answer
 * would be taken for the next one.
 */
#include "http/client/conn.h"

#include <rondo/connect.h>
#include <rondo/tls.h>
#include <string.h>

#include "http/client/call.h"
#include "loop/memory.h"
#include "net/stream.h"

static rondo__client_conn *conn_of(rondo_stream *stream) { return rondo__stream_owner(stream); }

static bool is_gone(const rondo__client_conn *conn) { return conn->state == RONDO__CLIENT_GONE; }

/* ---- the end ---- */

static void free_conn(rondo__client_conn *conn) {
    if (conn->feeding) {
        conn->freeable = true;
        return;
    }
    if (conn->rest) rondo__task_cancel(&conn->rest->task);
    rondo__free(conn->rest);
    rondo__free(conn);
}

/* It counts no more. */
static void forget(rondo__client_conn *conn) {
    conn->state = RONDO__CLIENT_GONE;
    rondo__alarm_clear(&conn->alarm);
    if (conn->rest) rondo__task_cancel(&conn->rest->task);
    rondo__list_remove(&conn->all);
    if (conn->call) conn->call->conn = NULL;
    conn->call = NULL;
    rondo__pool_lost(conn);
}

void rondo__client_conn_close(rondo__client_conn *conn) {
    if (is_gone(conn)) return;
    rondo_stream *stream = conn->stream;
    forget(conn);
    rondo_close(stream);
}

int rondo__client_conn_release(rondo__client_conn *conn, rondo_stream **ret_stream) {
    rondo_stream *stream = conn->stream;
    if (rondo__stream_is_over(stream)) return RONDO_ECLOSED;
    rondo__stream_release(stream);
    forget(conn);
    conn->stream = NULL;
    conn->freeable = true; /* by feed(), which is on the stack */
    RONDO_ASSERT(conn->feeding);
    rondo_ref(stream);
    rondo_stream_set_write_timeout(stream, 0);
    *ret_stream = stream;
    return 0;
}

static void on_idle_timeout(rondo_loop *loop, rondo__alarm *alarm) {
    (void)loop;
    rondo__client_conn_close(RONDO__OF(alarm, rondo__client_conn, alarm));
}

/* ---- octets in ---- */

static bool holds(const rondo__client_conn *conn) {
    return conn->call && rondo__call_holds(conn->call);
}

static bool waits(const rondo__client_conn *conn) {
    return conn->call && rondo__call_waits(conn->call);
}

static size_t feed_once(rondo__client_conn *conn, const char *data, size_t len) {
    switch (conn->state) {
    case RONDO__CLIENT_BUSY: return rondo__call_feed(conn, data, len);
    case RONDO__CLIENT_TUNNEL: return rondo__tunnel_feed(conn, data, len);
    case RONDO__CLIENT_GONE: return len;
    default: rondo__client_conn_close(conn); return len; /* unasked for */
    }
}

/* Takes octets until they are used up or must wait; returns how many are left. */
static size_t feed(rondo__client_conn *conn, const char *data, size_t len) {
    RONDO_ASSERT(!conn->feeding);
    conn->feeding = true;
    while ((len > 0 || waits(conn)) && !is_gone(conn) && !holds(conn)) {
        size_t used = feed_once(conn, data, len);
        RONDO_ASSERT(used <= len);
        data += used;
        len -= used;
    }
    conn->feeding = false;
    return is_gone(conn) ? 0 : len;
}

/* ---- what has to wait ---- */

static void run_rest(rondo_loop *loop, rondo__task *task) {
    rondo__client_rest *rest = RONDO__OF(task, rondo__client_rest, task);
    rondo__client_conn *conn = rest->conn;
    if (is_gone(conn) || holds(conn)) return;
    rondo__cork(loop);
    size_t left = feed(conn, rest->data + rest->from, rest->len - rest->from);
    rest->from = rest->len - left;
    if (conn->freeable) {
        free_conn(conn);
    } else if (!is_gone(conn) && left == 0 && !waits(conn)) {
        conn->rest = NULL;
        rondo__free(rest);
        rondo__client_conn_go_on(conn);
    }
    rondo__uncork(loop);
}

static void keep(rondo__client_conn *conn, const char *data, size_t len) {
    RONDO_ASSERT(!conn->rest && conn->call);
    rondo__client_rest *rest = rondo__alloc(sizeof *rest + len);
    if (!rest) {
        rondo__call_fail(conn->call, RONDO_ENOMEM);
        return;
    }
    rondo__task_init(&rest->task, run_rest);
    rest->conn = conn;
    rest->from = 0;
    rest->len = len;
    if (len > 0) memcpy(rest->data, data, len);
    conn->rest = rest;
    rondo__client_conn_hold(conn);
}

void rondo__client_conn_hold(rondo__client_conn *conn) {
    if (conn->paused || is_gone(conn)) return;
    conn->paused = true;
    rondo_pause(conn->stream);
}

void rondo__client_conn_go_on(rondo__client_conn *conn) {
    if (conn->feeding || !conn->paused || is_gone(conn) || holds(conn)) return;
    if (conn->rest) {
        /* Later: this may be inside a call of the user's, and would call back. */
        rondo__defer(conn->client->base.loop, &conn->rest->task);
        return;
    }
    conn->paused = false;
    if (rondo_resume(conn->stream) == RONDO_ENOMEM && conn->call)
        rondo__call_fail(conn->call, RONDO_ENOMEM);
}

/* ---- the stream's events ---- */

void rondo__client_conn_ready(rondo__client_conn *conn) {
    conn->state = RONDO__CLIENT_BUSY;
    rondo__call_start(conn->call);
}

/* What the two have agreed on must be HTTP/1.1 (RFC 7301). */
static bool speaks_http1(const rondo_stream *stream) {
    rondo_tls_info info;
    if (rondo_tls_get_info(stream, &info) < 0) return true; /* no TLS */
    return *info.alpn == '\0' || strcmp(info.alpn, "http/1.1") == 0;
}

static void on_connect(rondo_stream *stream) {
    rondo__client_conn *conn = conn_of(stream);
    if (is_gone(conn) || !conn->call) return;
    if (conn->origin->generation != conn->client->generation)
        rondo__call_again(conn->call); /* it would be told what is meant for another proxy */
    else if (!speaks_http1(stream))
        rondo__call_fail(conn->call, RONDO_EPROTO);
    else if (conn->state == RONDO__CLIENT_CONNECTING && conn->origin->tunnel)
        rondo__tunnel_begin(conn);
    else
        rondo__client_conn_ready(conn);
}

static void on_data(rondo_stream *stream, rondo_slice chunk) {
    rondo__client_conn *conn = conn_of(stream);
    if (is_gone(conn)) return;
    size_t left = feed(conn, chunk.data, chunk.len);
    if (conn->freeable)
        free_conn(conn);
    else if (!is_gone(conn) && (left > 0 || waits(conn)))
        keep(conn, chunk.data + chunk.len - left, left);
    else
        rondo__client_conn_go_on(conn);
}

static void on_end(rondo_stream *stream) {
    rondo__client_conn *conn = conn_of(stream);
    if (is_gone(conn)) return;
    if (conn->state == RONDO__CLIENT_BUSY) {
        rondo__call_server_ended(conn);
        if (!is_gone(conn) && waits(conn)) on_data(stream, rondo_slice_of("", 0));
    } else if (conn->call) {
        rondo__call_broken(conn->call, RONDO_ECONNABORTED);
    } else {
        rondo__client_conn_close(conn);
    }
}

static void on_drain(rondo_stream *stream) {
    rondo__client_conn *conn = conn_of(stream);
    if (!is_gone(conn) && conn->call) rondo__call_drained(conn->call);
}

/* Of writing: nothing could be written for so long. */
static void on_timeout(rondo_stream *stream) {
    rondo__client_conn *conn = conn_of(stream);
    if (is_gone(conn)) return;
    if (conn->call)
        rondo__call_late(conn->call, RONDO_HTTP_STAGE_SEND);
    else
        rondo__client_conn_close(conn);
}

static bool has_tls(const rondo__client_conn *conn) {
    const rondo__origin *origin = conn->origin;
    return origin->https || (origin->proxied && conn->client->proxies[0].url.https);
}

/* A server that does not want the rest of a request says so and closes; what then comes is answered by a
 * reset, and a write may meet that before the answer was read (RFC 9112 section 9.5). Whether the call is
 * over now. */
static bool hear_last_words(rondo__client_conn *conn, rondo_stream *stream) {
    rondo_loop *loop = conn->client->base.loop;
    if (conn->state != RONDO__CLIENT_BUSY || !conn->call || conn->rest) return false;
    rondo__cork(loop);
    while (!is_gone(conn) && !holds(conn)) {
        rondo_slice words = rondo__stream_salvage(stream);
        if (words.len == 0 || feed(conn, words.data, words.len) > 0) break;
    }
    rondo__uncork(loop);
    return is_gone(conn);
}

static void on_error(rondo_stream *stream, int error) {
    rondo__client_conn *conn = conn_of(stream);
    if (is_gone(conn)) return;
    if ((error == RONDO_EPIPE || error == RONDO_ECONNRESET) && hear_last_words(conn, stream))
        return;
    rondo_http_call *call = conn->call;
    const char *words = has_tls(conn) ? rondo_tls_error_text(stream) : "";
    if (!call) {
        rondo__client_conn_close(conn);
        return;
    }
    if (*words && !call->tls_error) call->tls_error = rondo__strdup(words); /* or none, then */
    rondo__call_broken(call, error);
}

static void on_closed(rondo_stream *stream) {
    rondo__client_conn *conn = conn_of(stream);
    if (!is_gone(conn)) { /* not by us: rondo_loop_close_all() */
        rondo_http_call *call = conn->call;
        forget(conn);
        if (call) rondo__call_fail(call, RONDO_ECANCELED);
    }
    free_conn(conn);
}

static const rondo__consumer consumer = {
    .data = on_data,
    .end = on_end,
    .drain = on_drain,
    .connect = on_connect,
    .timeout = on_timeout,
    .error = on_error,
    .closed = on_closed,
};

/* ---- the beginning ---- */

/* A host, and its name in TLS if that is what it wants. */
static int aim(rondo_http_client *client, const char *host, uint16_t port, bool tls,
               rondo_connect_options *ret) {
    ret->host = host;
    ret->port = port;
    if (!tls) return 0;
    ret->tls_name = host;
    return rondo__client_tls(client, &ret->tls);
}

/* To whom the stream connects: the origin, its socket, or the proxy. */
static int connect_it(rondo__client_conn *conn) {
    rondo_http_client *client = conn->client;
    const rondo_http_client_limits *limits = &client->limits;
    const rondo__origin *origin = conn->origin;
    const rondo__proxy *proxy = origin->proxied ? &client->proxies[origin->https] : NULL;
    char host[RONDO__HOST_MOST + 1];
    rondo_connect_options options = {.timeout_ms = UINT32_MAX, /* each stage has its own */
                                     .lookup_timeout_ms = limits->lookup_timeout_ms,
                                     .attempts_timeout_ms = limits->connect_timeout_ms,
                                     .tls_timeout_ms = limits->tls_timeout_ms};
    int status = 0;
    if (proxy) {
        if (proxy->url.https && origin->https) return RONDO_ENOTSUP; /* TLS inside TLS */
        rondo__url_host(&proxy->url, host);
        status = aim(client, host, proxy->url.port, proxy->url.https, &options);
    } else if (origin->path) {
        options.path = origin->path;
        options.tls_name = origin->host;
        if (origin->https) status = rondo__client_tls(client, &options.tls);
    } else {
        status = aim(client, origin->host, origin->port, origin->https, &options);
    }
    if (status < 0) return status;
    conn->stream =
        rondo_connect_with_at(client->base.loop, &options, rondo__handle_site(&client->base));
    return conn->stream ? 0 : RONDO_ENOMEM;
}

int rondo__client_conn_open(rondo__origin *origin, rondo_http_call *call) {
    rondo_http_client *client = origin->client;
    rondo__client_conn *conn = rondo__zalloc(sizeof *conn);
    if (!conn) return RONDO_ENOMEM;
    rondo__list_init(&conn->all);
    rondo__list_init(&conn->link);
    rondo__list_init(&conn->lru);
    rondo__alarm_init(&conn->alarm, on_idle_timeout);
    conn->client = client;
    conn->origin = origin;
    int status = connect_it(conn);
    if (status < 0) {
        rondo__free(conn);
        return status;
    }
    conn->call = call;
    call->conn = conn;
    origin->conns++;
    client->figures.connections++;
    client->figures.connects++;
    rondo__list_push_back(&client->conns, &conn->all);
    rondo__stream_consume(conn->stream, &consumer, conn);
    rondo_unref(conn->stream);
    rondo_stream_set_half_open(conn->stream, true);
    rondo__call_arm(call, UINT64_MAX); /* from here on the stream's time counts */
    if (client->limits.send_timeout_ms < UINT64_MAX)
        status = rondo_stream_set_write_timeout(conn->stream, client->limits.send_timeout_ms);
    if (status == 0) status = rondo_resume(conn->stream);
    return status == RONDO_ECLOSED ? 0 : status; /* then `error` is on its way */
}
