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

/* X(field, type, default, what it bounds and the answer given): the limits of a server. */
#define RONDO_HTTP_LIMITS(X)                                                                      \
    X(target_bytes, size_t, 8192, "request target; 414")                                          \
    X(head_bytes, size_t, 16384, "request line and header fields in all; 431")                    \
    X(header_count, size_t, 128, "header fields, and trailer fields; 431")                        \
    X(body_bytes, uint64_t, 10485760, "request body, decoded; 413")                               \
    X(chunk_extension_bytes, size_t, 4096, "framing of chunks that no data pays for; 400")        \
    X(head_timeout_ms, uint64_t, 10000, "from a request's first octet to its last header; 408")   \
    X(body_timeout_ms, uint64_t, 30000, "silence while a body is awaited; 408")                   \
    X(body_min_rate, uint64_t, 500,                                                               \
      "octets per second of a body, averaged from its start after 10 s; 408")                     \
    X(idle_timeout_ms, uint64_t, 75000, "a kept connection between requests; closed")             \
    X(write_timeout_ms, uint64_t, 30000, "a client that takes nothing of its answer; closed")     \
    X(linger_ms, uint64_t, 2000, "reading on after a refusal so that the answer arrives; closed") \
    X(requests_per_connection, uint64_t, 100000, "then Connection: close")                        \
    X(connections, size_t, 65536, "open connections; further ones are closed at once")

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
 * whole or broken off. Called once for each request, in the closing phase, before the response's `close`;
 * the request may be read, method and target being empty where they never came, and
 * rondo_http_response_status() and _bytes() tell what was sent: 0 when the client went before. For access
 * logs and figures. NULL for none; setting it again replaces it. Requests that are answered while it is
 * NULL, or after the server has begun to close, are not told. */
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

/* The limits, from now on. A 0 in a field means its default. head_bytes is at least 256 and at most
 * 1 GiB. */
RONDO_API void rondo_http_server_set_limits(rondo_http_server *server,
                                            const rondo_http_limits *limits);
RONDO_API void rondo_http_server_get_limits(const rondo_http_server *server,
                                            rondo_http_limits *ret_limits);

/* Shuts down gently: stops accepting, closes idle connections, lets requests in flight finish with
 * `Connection: close`, then closes the server; after deadline_ms (0: none) the rest is cut off.
 * rondo_close(server) cuts everything off at once. */
RONDO_API int rondo_http_server_drain(rondo_http_server *server, uint64_t deadline_ms);

#ifdef __cplusplus
}
#endif
#endif
