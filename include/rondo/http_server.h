/* SPDX-License-Identifier: MIT
 *
 * An HTTP/1.1 server (RFC 9110, RFC 9112) on llhttp, with limits and timeouts on by default.
 *
 * Each request comes with its response. The response is the application's until it has ended it
 * (rondo_http_response_reply, _end, rondo_http_files_serve or rondo_close), also when the client has
 * gone in the meantime: writing to it then is harmless and returns RONDO_ECLOSED. The request may be
 * used as long as its response has not been ended, and inside the request callback in any case. A
 * response that is never ended keeps its connection; rondo_loop_dump() shows it. Loop thread only.
 */
#ifndef RONDO_HTTP_SERVER_H
#define RONDO_HTTP_SERVER_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(field, type, default, what it bounds and the answer given): the limits of a server. In front of each
 * stands what somebody could do without it. */
#define RONDO_HTTP_LIMITS(X)                                                                      \
    /* memory and logs filled with targets that nobody would type */                              \
    X(target_bytes, size_t, 8192, "request target; 414")                                          \
    /* memory filled by heads that never end */                                                   \
    X(head_bytes, size_t, 16384, "request line and header fields in all; 431")                    \
    /* lookups made slow by thousands of small fields */                                          \
    X(header_count, size_t, 128, "header fields, and trailer fields; 431")                        \
    /* memory filled behind the body, where few look */                                           \
    X(trailer_bytes, size_t, 8192, "trailer fields in all; 431")                                  \
    /* disks and memory filled by one request */                                                  \
    X(body_bytes, uint64_t, 10485760, "request body, decoded; 413")                               \
    /* gigabytes read for a body of a few octets (CVE-2023-39326) */                              \
    X(chunk_extension_bytes, size_t, 4096, "framing of chunks that no data pays for; 400")        \
    /* connections held by heads that drip (slowloris) */                                         \
    X(head_timeout_ms, uint64_t, 10000, "from a request's first octet to its last header; 408")   \
    /* connections held by bodies that stop */                                                    \
    X(body_timeout_ms, uint64_t, 30000, "silence while a body is awaited; 408")                   \
    /* the same by bodies that drip (R-U-Dead-Yet) */                                             \
    X(body_min_rate, uint64_t, 500,                                                               \
      "octets per second of a body, averaged from its start after 10 s; 408")                     \
    /* the same by bodies that are just fast enough */                                            \
    X(body_total_ms, uint64_t, 3600000, "a body in all, but for pauses of the application; 408")  \
    /* descriptors held by clients that ask nothing */                                            \
    X(idle_timeout_ms, uint64_t, 75000, "a kept connection between requests; closed")             \
    /* answers held in memory by clients that do not read them */                                 \
    X(write_timeout_ms, uint64_t, 30000, "a client that takes nothing of its answer; closed")     \
    /* the same by clients that read an octet now and then (slow read) */                         \
    X(write_min_rate, uint64_t, 100,                                                              \
      "octets per second taken of an answer, averaged over write_timeout_ms; closed")             \
    /* memory filled by answers that the application writes without waiting for `drain` */        \
    X(response_queue_bytes, size_t, 15728640,                                                     \
      "written and not yet taken, of one connection; "                                            \
      "RONDO_ENOBUFS")                                                                            \
    /* descriptors held by clients that have been refused */                                      \
    X(linger_ms, uint64_t, 2000, "reading on after a refusal so that the answer arrives; closed") \
    /* one client's connection that outlives every other balance */                               \
    X(requests_per_connection, uint64_t, 100000, "then Connection: close")                        \
    /* one client's pipeline answered while all others wait */                                    \
    X(pipeline_depth, uint32_t, 128, "requests of one connection in a row; the others' turn")     \
    /* an application with more work than it will ever do */                                      \
    X(requests_in_flight, size_t, 65536, "requests that were not answered yet, in all; 503")      \
    /* descriptors and memory taken by connections */                                             \
    X(connections, size_t, 65536, "open connections; 503, far above it closed at once")           \
    /* all of them taken by one client */                                                         \
    X(connections_per_address, size_t, 1024,                                                      \
      "of an IPv4 address, of an IPv6 /64; the loopback, Unix sockets and trusted networks have " \
      "no such limit; closed at once")

typedef struct rondo_http_limits {
#define RONDO__LIMIT_FIELD(field, type, value, what) type field;
    RONDO_HTTP_LIMITS(RONDO__LIMIT_FIELD)
#undef RONDO__LIMIT_FIELD
} rondo_http_limits;

typedef void (*rondo_http_request_cb)(rondo_http_request *request, rondo_http_response *response,
                                      void *arg);

#define rondo_http_server_new(loop) rondo_http_server_new_at((loop), RONDO_HERE)
RONDO_API rondo_http_server *rondo_http_server_new_at(rondo_loop *loop, const char *site);

/* A request's head has arrived. The one who answers; setting it again replaces it. Without one
 * everything is answered with 404. */
RONDO_API int rondo_http_server_on_request(rondo_http_server *server, rondo_http_request_cb cb,
                                           void *arg);

/* An answer is over: it was ended by the application or given by the server itself (400, 408, 503 ...),
 * and its last octet has been taken by the kernel or, since the connection broke off, never will be.
 * Called once for each request, mostly in the closing phase, always before the response's `close`, which
 * waits for that too; the request may be read, method and target being empty where they never came, and
 * rondo_http_response_status() and _bytes() tell what was sent: 0 when the client went before. For access
 * logs and figures. NULL for none; setting it again replaces it. Requests that are answered while it is
 * NULL, or after the server has begun to close, are not told; at the deadline of
 * rondo_http_server_drain() all are. Behind 16 answers of one connection that wait for a slow client, further
 * ones are told at once. */
RONDO_API int rondo_http_server_on_response(rondo_http_server *server, rondo_http_request_cb cb,
                                            void *arg);

/* Whether requests with the method CONNECT come to the application, which takes them with
 * rondo_http_response_upgrade(); another answer ends the connection. Their target, host:port, is their
 * path too. At first they are refused with 501: who is asked for tunnels and does not mean to give them
 * is an open proxy. */
RONDO_API void rondo_http_server_set_connect(rondo_http_server *server, bool on);

/* As rondo_server_listen(). */
RONDO_API int rondo_http_server_listen(rondo_http_server *server, const char *host, uint16_t port);
RONDO_API uint16_t rondo_http_server_port(const rondo_http_server *server);
RONDO_API int rondo_http_server_address(const rondo_http_server *server, char *text, size_t size);

/* The server underneath, of server.h: for a Unix socket, a socket of a service manager, SO_REUSEPORT,
 * a bound on connections, pausing, TLS, its `error` and `drop`. The HTTP server owns it, takes its
 * connections in place of `connection` listeners, and listens when it does; close the HTTP server
 * instead of it. NULL when that is draining or closing and has closed it. */
RONDO_API rondo_server *rondo_http_server_listener(const rondo_http_server *server);

/* The limits, from now on. A 0 in a field means its default. head_bytes is at least 256 and at most 1 GiB,
 * response_queue_bytes at most 15 MiB; write_timeout_ms is kept to a quarter of it. */
RONDO_API void rondo_http_server_set_limits(rondo_http_server *server,
                                            const rondo_http_limits *limits);
RONDO_API void rondo_http_server_get_limits(const rondo_http_server *server,
                                            rondo_http_limits *ret_limits);

/* Has the connections of a server that listens on several addresses, and so is several servers, counted
 * together: from now on `connections` and `connections_per_address` of each one's limits are for them all,
 * those that `other` is counted with already among them. 0, RONDO_ECLOSED, RONDO_EBUSY when the
 * server counts with others already, RONDO_EINVAL for itself or one of another loop. */
RONDO_API int rondo_http_server_count_with(rondo_http_server *server, rondo_http_server *other);

/* What a server has, and has turned away. */
typedef struct rondo_http_figures {
    size_t connections;        /* open now, but for those that are being turned away */
    size_t requests_in_flight; /* not ended by the application yet */
    uint64_t accepted;         /* connections, ever */
    uint64_t turned_away;      /* with 503: connections and requests above their limits */
    uint64_t
        closed_at_once; /* connections above connections_per_address, or far above `connections` */
} rondo_http_figures;
RONDO_API void rondo_http_server_get_figures(const rondo_http_server *server,
                                             rondo_http_figures *ret_figures);

/* ---- behind proxies ---- */

/* Every connection begins with a header of the PROXY protocol, version 1 or 2, before TLS, within 5 s and
 * 2 KiB. The address that it tells is the peer's from then on; with LOCAL or UNKNOWN, it is the proxy's
 * own. A connection without is closed, and counted by the listener (rondo_server_get_figures(),
 * `drop`). For those accepted from now on: whoever can connect can claim any address, so the port must
 * be the proxies' alone. */
RONDO_API void rondo_http_server_set_proxy_protocol(rondo_http_server *server, bool required);

/* Believes what proxies of that network say about their clients: "10.0.0.0/8", "2001:db8::/32", one address,
 * or "unix" for whoever comes by a Unix socket. What follows the length must be 0. Adds to those before.
 * 0, RONDO_EINVAL, RONDO_ENOBUFS (256 are the most), RONDO_ENOMEM. Nobody is believed at first. */
RONDO_API int rondo_http_server_trust(rondo_http_server *server, const char *network);
/* Which fields the proxies write: Forwarded (RFC 7239), or, at first, X-Forwarded-For, -Proto and -Host.
 * The others are not looked at, since they come from the client as they are. */
RONDO_API void rondo_http_server_set_forwarded(rondo_http_server *server, bool forwarded);

/* Shuts down gently: stops accepting, closes idle connections, lets requests in flight finish with
 * `Connection: close`, those too whose TLS handshake is under way, then closes the server; after deadline_ms (0: none) the rest is cut off.
 * rondo_close(server) cuts everything off at once. */
RONDO_API int rondo_http_server_drain(rondo_http_server *server, uint64_t deadline_ms);

#ifdef __cplusplus
}
#endif
#endif
