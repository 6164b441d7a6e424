/* SPDX-License-Identifier: MIT
 *
 * An HTTP/1.1 client (RFC 9110, RFC 9112): connections that are kept and shared, and the bounds that
 * all calls have in common. A call (http_call.h) is one request and its answer.
 *
 *     static void got(rondo_http_call *call, int error, rondo_slice body, void *arg) {
 *         if (error < 0) fprintf(stderr, "%s\n", rondo_error_text(error));
 *         else printf("%d: %.*s\n", rondo_http_call_status(call), (int)body.len, body.data);
 *     }
 *     rondo_http_client *client = rondo_http_client_new(loop);
 *     rondo_http_get(client, "https://example.org/", got, NULL);
 *
 * A connection is kept when an answer was complete and both sides can go on; the next call to the same
 * origin (scheme, host, port) takes the one that was used last. Calls that find all connections busy
 * wait, first come first served. A client alone does not keep the loop alive, nor do its idle
 * connections; calls do. rondo_close(client) cuts off its calls: each ends with RONDO_ECANCELED.
 *
 * A server may close a kept connection just when a request is sent on it. Such a call is made again,
 * once, on a new connection, and only if no octet of an answer had come, the body, if any, was given by
 * rondo_http_call_send(), and the method is idempotent or no octet of the request had left (RFC 9110
 * section 9.2.2). Before a call gets a kept connection, it is looked whether the server has closed it
 * already, so that little is left of that race, or has said something that nobody asked for, which
 * must not be taken for the answer: then it is closed, and the call gets another one.
 * Loop thread only.
 */
#ifndef RONDO_HTTP_CLIENT_H
#define RONDO_HTTP_CLIENT_H

#include <rondo/http_call.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(field, type, default, what it bounds and how a call above it ends): the limits of a client. Times
 * in ms; the largest value of a type stands for no bound. Each stage of a call has its own, and all of it
 * total_timeout_ms; which one it was that is over rondo_http_call_stage() says. */
#define RONDO_HTTP_CLIENT_LIMITS(X)                                                           \
    X(connections, size_t, 256, "connections in all, idle ones too; further calls wait")      \
    X(connections_per_origin, size_t, 16, "the same for one scheme, host and port")           \
    X(waiting, size_t, 10000, "calls that wait for a connection; RONDO_EAGAIN")               \
    X(idle_timeout_ms, uint64_t, 30000, "a kept connection that nobody uses; closed")         \
    X(requests_per_connection, uint64_t, 100000, "then it is not kept any more")              \
    X(wait_timeout_ms, uint64_t, 60000, "until a connection is free; RONDO_ETIMEDOUT")        \
    X(lookup_timeout_ms, uint32_t, 10000, "for the name; RONDO_ETIMEDOUT")                    \
    X(connect_timeout_ms, uint32_t, 30000, "for a connection; RONDO_ETIMEDOUT")               \
    X(tunnel_timeout_ms, uint32_t, 30000, "for a proxy's answer to CONNECT; RONDO_ETIMEDOUT") \
    X(tls_timeout_ms, uint32_t, 10000, "for the TLS handshake; RONDO_ETIMEDOUT")              \
    X(send_timeout_ms, uint64_t, 30000, "a server that takes nothing; RONDO_ETIMEDOUT")       \
    X(expect_timeout_ms, uint64_t, 1000, "for 100 Continue; then the body is sent unasked")   \
    X(head_timeout_ms, uint64_t, 60000,                                                       \
      "from the request's last octet to the last of the answer's head; RONDO_ETIMEDOUT")      \
    X(body_timeout_ms, uint64_t, 60000, "silence while a body is awaited; RONDO_ETIMEDOUT")   \
    X(total_timeout_ms, uint64_t, UINT64_MAX, "a call, with all redirects; RONDO_ETIMEDOUT")  \
    X(head_bytes, size_t, 65536, "status line and fields, and trailers; RONDO_EMSGSIZE")      \
    X(header_count, size_t, 128, "fields of a head, and of trailers; RONDO_EMSGSIZE")         \
    X(interim_answers, size_t, 32, "1xx before an answer; RONDO_EPROTO")                      \
    X(body_bytes, uint64_t, UINT64_MAX, "body of an answer, decoded; RONDO_EMSGSIZE")         \
    X(chunk_extension_bytes, size_t, 4096,                                                    \
      "framing of chunks that no data pays for; RONDO_EPROTO")                                \
    X(decode_ratio, uint64_t, 200, "octets from one of gzip, beyond 1 MiB; RONDO_EMSGSIZE")   \
    X(collect_bytes, size_t, 16777216, "body that rondo_http_get() keeps; RONDO_EMSGSIZE")    \
    X(redirects, unsigned, 10, "followed in a call; the next one is its answer")

typedef struct rondo_http_client_limits {
#define RONDO__CLIENT_LIMIT_FIELD(field, type, value, what) type field;
    RONDO_HTTP_CLIENT_LIMITS(RONDO__CLIENT_LIMIT_FIELD)
#undef RONDO__CLIENT_LIMIT_FIELD
} rondo_http_client_limits;

/* NULL only when out of memory. */
#define rondo_http_client_new(loop) rondo_http_client_new_at((loop), RONDO_HERE)
RONDO_API rondo_http_client *rondo_http_client_new_at(rondo_loop *loop, const char *site);

/* The limits, from now on. A 0 in a field means its default. head_bytes is at least 256 and at most
 * 1 GiB. */
RONDO_API void rondo_http_client_set_limits(rondo_http_client *client,
                                            const rondo_http_client_limits *limits);
RONDO_API void rondo_http_client_get_limits(const rondo_http_client *client,
                                            rondo_http_client_limits *ret_limits);

/* What TLS of new connections is made with (tls.h), a client's context; the caller may free it
 * afterwards. One with ALPN should offer http/1.1 and nothing else, and its own bound on handshakes
 * counts beside tls_timeout_ms. Without it, one is made at the first https call, which trusts whom the
 * system trusts. 0 or RONDO_ECLOSED. */
RONDO_API int rondo_http_client_set_tls(rondo_http_client *client, rondo_tls_context *context);

/* ---- proxies: 0, RONDO_EINVAL, RONDO_ENOMEM, RONDO_ECLOSED ---- */

/* Sends new calls by way of a proxy, "http://[user:password@]host[:port]" (port 80 unless given), or
 * https://... (port 443), to which all is said over TLS: http by absolute-form (RFC 9112 section 3.2.2),
 * https through a CONNECT (RFC 9110 section 9.3.6), in which the proxy sees the host and nothing
 * else; so also calls with Upgrade (RFC 6455 section 4.1). https through a proxy that is itself spoken
 * to over TLS would be TLS inside TLS, and is not there: such calls fail with RONDO_ENOTSUP. User and
 * password, with what %xx says, become Proxy-Authorization: Basic. NULL: no proxy. */
RONDO_API int rondo_http_client_set_proxy(rondo_http_client *client, const char *url);
/* The same for calls to https only, or for those to http only. */
RONDO_API int rondo_http_client_set_scheme_proxy(rondo_http_client *client, bool https,
                                                 const char *url);

/* Who is asked without a proxy: a list of hosts with ',' or blanks between. "example.org", and
 * ".example.org" and "*.example.org" alike: that host and all below; "192.0.2.1", "2001:db8::1": a
 * URL with that address, as it stands; "10.0.0.0/8": with one of that network; each of them also with a
 * port, "[2001:db8::1]:8080"; "*": everybody. A name is not looked up to compare addresses. What can be
 * none of these is as if it weren't there. Also for the targets of redirects. NULL: nobody. */
RONDO_API int rondo_http_client_set_no_proxy(rondo_http_client *client, const char *list);

typedef struct rondo_http_client_figures {
    size_t connections;     /* there are now, those that are being made too */
    size_t idle;            /* of them are not in use */
    size_t waiting;         /* calls */
    uint64_t calls;         /* begun so far */
    uint64_t connects;      /* connections begun so far */
    uint64_t reuses;        /* requests that were sent on a kept connection */
    uint64_t stale_found;   /* kept connections that were found closed, or spoilt, when needed */
    uint64_t stale_retries; /* requests made again since that had just been closed */
} rondo_http_client_figures;
RONDO_API void rondo_http_client_get_figures(const rondo_http_client *client,
                                             rondo_http_client_figures *ret_figures);

/* ---- in one call ---- */

/* error 0: the whole body of the answer, whatever its status, valid until the callback returns. Else
 * the body is empty, and error is one of those that `error` of http_call.h brings. */
typedef void (*rondo_http_collect_cb)(rondo_http_call *call, int error, rondo_slice body,
                                      void *arg);

/* GETs url: redirects are followed, gzip is decoded. cb is called exactly once, later, unless the call
 * is closed before. Returns the call, to close it or to ask it for the answer's head in cb; NULL only
 * when out of memory. */
#define rondo_http_get(client, url, cb, arg) \
    rondo_http_get_at((client), (url), (cb), (arg), RONDO_HERE)
RONDO_API rondo_http_call *rondo_http_get_at(rondo_http_client *client, const char *url,
                                             rondo_http_collect_cb cb, void *arg, const char *site);

/* Collects the body of any call, in place of its `data`, `end` and `error`; before it is sent. `most`
 * octets at most (0: the limit collect_bytes). 0, RONDO_EBUSY, RONDO_ECLOSED. */
RONDO_API int rondo_http_call_collect(rondo_http_call *call, size_t most, rondo_http_collect_cb cb,
                                      void *arg);

#ifdef __cplusplus
}
#endif
#endif
