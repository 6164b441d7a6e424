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
#ifndef RONDO_HTTP_H
#define RONDO_HTTP_H

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

/* ---- server ---- */

typedef void (*rondo_http_request_cb)(rondo_http_request *request, rondo_http_response *response,
                                      void *arg);

#define rondo_http_server_new(loop) rondo_http_server_new_at((loop), RONDO_HERE)
RONDO_API rondo_http_server *rondo_http_server_new_at(rondo_loop *loop, const char *site);

/* A request's head has arrived. The one who answers; setting it again replaces it. Without one
 * everything is answered with 404. */
RONDO_API int rondo_http_server_on_request(rondo_http_server *server, rondo_http_request_cb cb,
                                           void *arg);

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

/* ---- request ---- */

typedef void (*rondo_http_data_cb)(rondo_http_request *request, rondo_slice chunk, void *arg);
typedef void (*rondo_http_end_cb)(rondo_http_request *request, void *arg);

/* "GET", ...; the target as it was sent; its path (up to '?', not decoded) and query (without the
 * '?'). Slices of a request live as long as the request. */
RONDO_API rondo_slice rondo_http_request_method(const rondo_http_request *request);
RONDO_API rondo_slice rondo_http_request_target(const rondo_http_request *request);
RONDO_API rondo_slice rondo_http_request_path(const rondo_http_request *request);
RONDO_API rondo_slice rondo_http_request_query(const rondo_http_request *request);
/* 0 or 1 of HTTP/1.x. */
RONDO_API int rondo_http_request_minor(const rondo_http_request *request);
/* The first field of that name, any case; data is NULL when there is none. */
RONDO_API rondo_slice rondo_http_request_header(const rondo_http_request *request,
                                                const char *name);
RONDO_API size_t rondo_http_request_header_count(const rondo_http_request *request);
/* The i-th field in the order of arrival; false when there is none. */
RONDO_API bool rondo_http_request_header_at(const rondo_http_request *request, size_t i,
                                            rondo_slice *ret_name, rondo_slice *ret_value);
/* The peer's address, as rondo_stream_peer(). */
RONDO_API int rondo_http_request_peer(const rondo_http_request *request, char *text, size_t size);

/* The body, piece by piece, and its end (which comes also when there is no body). Set inside the
 * request callback. A body that nobody wants is read and dropped, up to its limit; so is what is
 * left of it once the response has been ended: neither is called any more then. `Expect:
 * 100-continue` is answered when a listener is set and the body is awaited. A body that breaks off
 * or breaks a limit is told by the response's `aborted`. */
RONDO_API void rondo_http_request_on_data(rondo_http_request *request, rondo_http_data_cb cb,
                                          void *arg);
RONDO_API void rondo_http_request_on_end(rondo_http_request *request, rondo_http_end_cb cb,
                                         void *arg);
/* Backpressure on the client's body: after pause returns, neither data nor end comes until resume.
 * Its timeouts rest meanwhile. 0 or RONDO_ECLOSED. */
RONDO_API int rondo_http_request_pause(rondo_http_request *request);
RONDO_API int rondo_http_request_resume(rondo_http_request *request);

/* ---- response ---- */

typedef void (*rondo_http_response_cb)(rondo_http_response *response, void *arg);

/* The whole answer in one call: status line, Date, Content-Type (NULL: none), Content-Length, the
 * fields added before, and the body (copied; not sent for HEAD, 204, 304). Ends the response.
 * Returns 0; RONDO_ECLOSED when the client has gone; RONDO_ENOMEM or, above 15 MiB of body and
 * answers that wait, RONDO_ENOBUFS, when the connection had to be cut off. Not ended, nothing done:
 * RONDO_EINVAL for a status outside 200..599, a body with 204 or 304, or a content_type that
 * is empty, longer than 255 octets or has control characters; RONDO_EBUSY when the head was sent already. */
RONDO_API int rondo_http_response_reply(rondo_http_response *response, int status,
                                        const char *content_type, rondo_slice body);

/* Adds a field to the head to come. RONDO_EINVAL when the name is not a token, the value has CR, LF
 * or NUL, or the field is one that Rondo frames by itself (Content-Length, Transfer-Encoding,
 * Connection, Date, Keep-Alive); RONDO_EBUSY after the head; RONDO_ENOBUFS beyond 16 KiB. */
RONDO_API int rondo_http_response_header(rondo_http_response *response, const char *name,
                                         const char *value);

/* Begins an answer that is streamed: length says how many octets will be written, -1: not known
 * (chunked for HTTP/1.1, until close for 1.0). Returns 0, RONDO_ECLOSED, RONDO_EINVAL (as _reply),
 * RONDO_EBUSY, RONDO_ENOMEM; never ends the response. */
RONDO_API int rondo_http_response_begin(rondo_http_response *response, int status, int64_t length);
/* Writes body octets; as rondo_write(): 1, 0 (wait for `drain`), or an error. More than the length
 * said: RONDO_EOVERFLOW, nothing taken; before _begin: RONDO_EINVAL. For HEAD it takes and drops
 * them. */
RONDO_API int rondo_http_response_write(rondo_http_response *response, rondo_slice data);
/* Ends the response, whatever it returns. With fewer octets than the length said, the connection is
 * cut off so that the client can tell, and RONDO_EPROTO is returned. Without a begin it sends 204.
 * RONDO_ECLOSED when the client has gone, RONDO_ENOMEM when it could not be ended properly. */
RONDO_API int rondo_http_response_end(rondo_http_response *response);

/* The status that was sent, 0 before; and octets of body that were sent. Both may be asked until
 * the response's `close` event (rondo_on_close()) has returned, which makes an access log. */
RONDO_API int rondo_http_response_status(const rondo_http_response *response);
RONDO_API uint64_t rondo_http_response_bytes(const rondo_http_response *response);

/* After a write said 0: the client takes data again. */
RONDO_API void rondo_http_response_on_drain(rondo_http_response *response,
                                            rondo_http_response_cb cb, void *arg);
/* The client went before the response had been ended, or broke the rules in its body. Called at most
 * once, never after it ended; the response is still to be ended. A client that has only ended its
 * sending still gets its answer: that it has gone for good shows when something is written. */
RONDO_API void rondo_http_response_on_aborted(rondo_http_response *response,
                                              rondo_http_response_cb cb, void *arg);

/* ---- static files ---- */

typedef struct rondo_http_files rondo_http_files;

/* Serves the files beneath a directory: index.html for a directory, types by ending, ETag and
 * Last-Modified with 304, single ranges with 206/416, HEAD, sendfile. GET and HEAD only, else 405.
 * Names that begin with a dot are not found. Symbolic links are followed only within the directory
 * (openat2(2), RESOLVE_BENEATH). The directory is opened once, here.
 * Returns 0, RONDO_ENOENT, RONDO_ENOTDIR, RONDO_EACCES, RONDO_ENOMEM. */
RONDO_API int rondo_http_files_new(rondo_loop *loop, const char *directory,
                                   rondo_http_files **ret_files);
/* Answers the request from the directory: ends the response, now or later. Shaped as a
 * rondo_http_request_cb, so it can be the server's callback with the rondo_http_files as arg. */
RONDO_API void rondo_http_files_serve(rondo_http_request *request, rondo_http_response *response,
                                      void *files);
/* Frees it; requests that it still answers finish first. */
RONDO_API void rondo_http_files_free(rondo_http_files *files);

#ifdef __cplusplus
}
#endif
#endif
