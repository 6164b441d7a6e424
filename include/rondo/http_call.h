/* SPDX-License-Identifier: MIT
 *
 * A call: one request of an HTTP client (http_client.h) and its answer. A handle.
 *
 *     rondo_http_call *call = rondo_http_call_new(client, "GET", "http://example.org/data");
 *     rondo_http_call_header(call, "Accept", "application/json");
 *     rondo_http_call_on_response(call, on_response, arg);      its head has come
 *     rondo_http_call_on_data(call, on_data, arg);              a piece of its body
 *     rondo_http_call_on_end(call, on_end, arg);                all of it has come
 *     rondo_http_call_on_error(call, on_error, arg);            or it has failed
 *     rondo_http_call_send(call, rondo_slice_of(NULL, 0));
 *
 * Its life: [interim ...] -> response -> data ... -> end, or, anywhere on the way, error. Of end and
 * error exactly one comes, then the call closes by itself. rondo_close(call) cancels: nothing comes
 * any more but `close`, and the connection is closed unless the exchange was complete. What the call
 * says (status, fields) may be asked until `close` has been told. An error that nobody listens for
 * goes to the loop's uncaught handler. Setting a listener again replaces it. Loop thread only.
 *
 * Of what `error` brings (rondo_http_call_error_text() says it in words, with the stage of the call): RONDO_EINVAL (the URL or method can't be), RONDO_ENOSYS (https without
 * OpenSSL), what connecting gives (connect.h, tls.h), RONDO_ETIMEDOUT (see the limits of the client),
 * RONDO_EAGAIN (too many calls wait), RONDO_ECONNABORTED (the connection ended before the answer was
 * complete), RONDO_EPROTO (the answer is not HTTP/1.x, or could be read in two ways: RFC 9112 section
 * 6.3), RONDO_EMSGSIZE (a limit), RONDO_EPERM (the proxy refuses, with the answer's status for
 * rondo_http_call_status()), RONDO_ENOTSUP (https through a proxy that is spoken to over TLS),
 * RONDO_ECANCELED (the client was closed), RONDO_ENOMEM.
 */
#ifndef RONDO_HTTP_CALL_H
#define RONDO_HTTP_CALL_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*rondo_http_call_cb)(rondo_http_call *call, void *arg);
/* chunk is the library's, valid until the callback returns. */
typedef void (*rondo_http_call_data_cb)(rondo_http_call *call, rondo_slice chunk, void *arg);
typedef void (*rondo_http_call_error_cb)(rondo_http_call *call, int error, void *arg);

/* A call that is not sent yet; NULL only when out of memory. method is a token, in upper case where
 * that is its name. url is http://host[:port][/path][?query] or https://..., of visible ASCII; a
 * fragment is cut off; user information is refused (rondo_http_call_set_basic_auth()); a host is a
 * name, four decimal numbers or [an IPv6 address]. Both are copied. */
#define rondo_http_call_new(client, method, url) \
    rondo_http_call_new_at((client), (method), (url), RONDO_HERE)
RONDO_API rondo_http_call *rondo_http_call_new_at(rondo_http_client *client, const char *method,
                                                  const char *url, const char *site);

/* ---- before it is sent: 0, RONDO_EBUSY when it has been, RONDO_ECLOSED, RONDO_ENOMEM ---- */

/* Adds a field to the request. RONDO_EINVAL when the name is not a token, the value has CR, LF or NUL,
 * or the field is one that Rondo sends by itself (Content-Length, Transfer-Encoding, Connection,
 * Keep-Alive, Proxy-Connection, TE, Expect); RONDO_ENOBUFS beyond 64 KiB. Host may be given once, in
 * place of the URL's. Upgrade brings its `Connection: Upgrade` along. */
RONDO_API int rondo_http_call_header(rondo_http_call *call, const char *name, const char *value);
/* Authorization: Basic. The user has no ':' (RONDO_EINVAL). */
RONDO_API int rondo_http_call_set_basic_auth(rondo_http_call *call, const char *user,
                                             const char *password);
/* What stands in the request line in place of the URL's path and query: visible ASCII. For CONNECT,
 * "host:port", and the URL is the proxy's; for OPTIONS, "*". RONDO_EINVAL. */
RONDO_API int rondo_http_call_set_target(rondo_http_call *call, const char *target);
/* Connects to a Unix socket; the URL still says what is asked for, and of whom ("@name": abstract). */
RONDO_API int rondo_http_call_set_unix(rondo_http_call *call, const char *path);
/* Redirects (301, 302, 303, 307, 308) that are followed, the client's limit unless set; 0: none. A
 * POST becomes a GET at 301, 302 and 303 (RFC 9110 section 15.4); other methods but HEAD at 303. To
 * another origin go neither Authorization, Cookie nor Host. One that is not followed is the
 * answer: beyond the limit, from https to http, from a Unix socket to elsewhere, with a body that can't
 * be sent again, to what is no URL of http. */
RONDO_API int rondo_http_call_set_redirects(rondo_http_call *call, unsigned most);
/* Asks for gzip and decodes it: what `data` brings is the content. Off unless set. The fields of
 * the answer stay as they came; with Range or Accept-Encoding added, or without zlib, nothing is
 * asked for, but a gzip answer is still decoded if zlib is there. Another coding: as it came. */
RONDO_API int rondo_http_call_set_decode(rondo_http_call *call, bool on);
/* Sends Expect: 100-continue and waits with the body, for a limited time (RFC 9110 section 10.1.1). */
RONDO_API int rondo_http_call_set_expect(rondo_http_call *call, bool on);
/* In all, redirects too: ms from now; in place of the client's limit. May be set at any time. */
RONDO_API int rondo_http_call_set_timeout(rondo_http_call *call, uint64_t timeout_ms);

/* An answer is on its way, 100 or 102 to 199: status and fields are the interim answer's in here. */
RONDO_API void rondo_http_call_on_interim(rondo_http_call *call, rondo_http_call_cb cb, void *arg);
/* The head of the answer has come. */
RONDO_API void rondo_http_call_on_response(rondo_http_call *call, rondo_http_call_cb cb, void *arg);
/* Its body, in pieces. Without a listener it is read and dropped. */
RONDO_API void rondo_http_call_on_data(rondo_http_call *call, rondo_http_call_data_cb cb,
                                       void *arg);
/* The answer is complete; trailers may be asked for. */
RONDO_API void rondo_http_call_on_end(rondo_http_call *call, rondo_http_call_cb cb, void *arg);
RONDO_API void rondo_http_call_on_error(rondo_http_call *call, rondo_http_call_error_cb cb,
                                        void *arg);
/* After a write said 0: the server takes more. */
RONDO_API void rondo_http_call_on_drain(rondo_http_call *call, rondo_http_call_cb cb, void *arg);

/* ---- sending ---- */

/* Sends the request with this body (copied), or without one. RONDO_EBUSY when it was sent. What is wrong
 * is told by `error`, not here. */
RONDO_API int rondo_http_call_send(rondo_http_call *call, rondo_slice body);

/* Sends the request, whose body will be written: `length` octets, or -1: not known (chunked). It can't
 * be sent twice, so the call is never made again, and 307 and 308 are not followed. Returns as send. */
RONDO_API int rondo_http_call_begin(rondo_http_call *call, int64_t length);
/* Writes body octets, as rondo_write(): 1, 0 (wait for `drain`), or RONDO_ENOBUFS (16 MiB wait),
 * RONDO_ENOMEM; nothing is taken then. More than the length said: RONDO_EOVERFLOW; before begin or
 * after finish: RONDO_EINVAL; RONDO_ECLOSED when nobody wants it any more: the answer is complete, or
 * an error is on its way. What is written before there is a connection waits. */
RONDO_API int rondo_http_call_write(rondo_http_call *call, rondo_slice data);
/* A field behind a chunked body, before finish (RFC 9110 section 6.5): 0 or as
 * rondo_http_call_header(); RONDO_EINVAL when the length was given. */
RONDO_API int rondo_http_call_trailer(rondo_http_call *call, const char *name, const char *value);
/* That was all of it. With fewer octets than the length said: RONDO_EPROTO, and the call fails with
 * RONDO_ECANCELED, since the server waits for the rest. 0, RONDO_EINVAL, RONDO_ECLOSED. */
RONDO_API int rondo_http_call_finish(rondo_http_call *call);

/* ---- the answer ---- */

/* Backpressure: after pause returns, neither data nor end comes until resume; the timeouts of body
 * and head rest meanwhile. 0 or RONDO_ECLOSED. */
RONDO_API int rondo_http_call_pause(rondo_http_call *call);
RONDO_API int rondo_http_call_resume(rondo_http_call *call);

/* 0 before there is an answer. */
RONDO_API int rondo_http_call_status(const rondo_http_call *call);
/* Its text, perhaps empty, and 0 or 1 of HTTP/1.x. */
RONDO_API rondo_slice rondo_http_call_reason(const rondo_http_call *call);
RONDO_API int rondo_http_call_minor(const rondo_http_call *call);
/* The first field of that name, any case; data is NULL when there is none. And the i-th field in the
 * order of arrival; false when there is none. */
RONDO_API rondo_slice rondo_http_call_response_header(const rondo_http_call *call,
                                                      const char *name);
RONDO_API bool rondo_http_call_response_header_at(const rondo_http_call *call, size_t i,
                                                  rondo_slice *ret_name, rondo_slice *ret_value);
/* The same of the trailers, in `end`. */
RONDO_API rondo_slice rondo_http_call_response_trailer(const rondo_http_call *call,
                                                       const char *name);
RONDO_API bool rondo_http_call_response_trailer_at(const rondo_http_call *call, size_t i,
                                                   rondo_slice *ret_name, rondo_slice *ret_value);
/* How long the body will be, as far as the head says: -1 when it doesn't, or when gzip is decoded. */
RONDO_API int64_t rondo_http_call_length(const rondo_http_call *call);
/* Where it came from, after redirects: a string that lives as long as the call; "" if that is no URL. */
RONDO_API const char *rondo_http_call_url(const rondo_http_call *call);
/* Redirects that were followed, and whether the connection had been used before. */
RONDO_API unsigned rondo_http_call_redirects(const rondo_http_call *call);
RONDO_API bool rondo_http_call_reused(const rondo_http_call *call);
/* Of its connection: as rondo_stream_peer(); RONDO_ENOTCONN when there is none. */
RONDO_API int rondo_http_call_peer(const rondo_http_call *call, char *text, size_t size);
/* What TLS said when it failed, as rondo_tls_error_text(); "". In `error`. */
RONDO_API const char *rondo_http_call_tls_error(const rondo_http_call *call);

/* X(name, the limit of its time, what is going on, what is said when the time is over). */
#define RONDO_HTTP_STAGES(X)                                                                       \
    X(WAIT, wait_timeout_ms, "waiting for a connection", "no connection was free in time")         \
    X(LOOKUP, lookup_timeout_ms, "looking up the name", "the name was not found out in time")      \
    X(CONNECT, connect_timeout_ms, "connecting", "no connection came about in time")               \
    X(TUNNEL, tunnel_timeout_ms, "asking the proxy", "the proxy opened no tunnel in time")         \
    X(TLS, tls_timeout_ms, "the TLS handshake", "the TLS handshake was not done in time")          \
    X(SEND, send_timeout_ms, "sending the request", "the server took nothing more of the request") \
    X(HEAD, head_timeout_ms, "awaiting the answer", "no answer came in time")                      \
    X(BODY, body_timeout_ms, "receiving the answer", "the answer's body stood still for too long")

typedef enum rondo_http_stage {
#define RONDO__HTTP_STAGE(name, limit, what, late) RONDO_HTTP_STAGE_##name,
    RONDO_HTTP_STAGES(RONDO__HTTP_STAGE)
#undef RONDO__HTTP_STAGE
} rondo_http_stage;
/* Which stage the call is in, or was in when it ended. */
RONDO_API rondo_http_stage rondo_http_call_stage(const rondo_http_call *call);
/* "looking up the name" ... */
RONDO_API const char *rondo_http_stage_text(rondo_http_stage stage);
/* In `error`: what went wrong, in words: which time was over, a stage's or that of all of the call; what
 * TLS said; or else rondo_error_text(). Lives as long as the call. */
RONDO_API const char *rondo_http_call_error_text(const rondo_http_call *call);

/* In the `response` callback of a 101 to a call with Upgrade, or of 200 to 299 to CONNECT: takes the
 * connection out of HTTP. The stream is the caller's from now on, open, and like any other; octets
 * that came behind the answer are the first that its `data` brings, never inside this call. The call
 * gets its `end` afterwards. 0, RONDO_EINVAL (not such an answer, or not in `response`),
 * RONDO_ECLOSED, RONDO_ENOMEM (the call fails). Not taken, the connection is closed. */
RONDO_API int rondo_http_call_upgrade(rondo_http_call *call, rondo_stream **ret_stream);

#ifdef __cplusplus
}
#endif
#endif
