/* SPDX-License-Identifier: MIT
 *
 * A request to an HTTP server: what its head says, and its body as it comes. It lives until its
 * response has been ended; see http_server.h. Loop thread only.
 */
#ifndef RONDO_HTTP_REQUEST_H
#define RONDO_HTTP_REQUEST_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*rondo_http_data_cb)(rondo_http_request *request, rondo_slice chunk, void *arg);
typedef void (*rondo_http_end_cb)(rondo_http_request *request, void *arg);
/* body is the library's, valid until the callback returns. */
typedef void (*rondo_http_body_cb)(rondo_http_request *request, rondo_slice body, void *arg);

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
/* All fields of that name, one after another, as a list may be spread over several (RFC 9110 section
 * 5.3): *at is 0 at first, and says where to go on. false: no more. */
RONDO_API bool rondo_http_request_header_next(const rondo_http_request *request, const char *name,
                                              size_t *at, rondo_slice *ret_value);
RONDO_API size_t rondo_http_request_header_count(const rondo_http_request *request);
/* The i-th field in the order of arrival; false when there is none. */
RONDO_API bool rondo_http_request_header_at(const rondo_http_request *request, size_t i,
                                            rondo_slice *ret_name, rondo_slice *ret_value);
/* The protocols to which an HTTP/1.1 client wants to go over, as its field Upgrade lists them; data is
 * NULL when it doesn't (RFC 9110 section 7.8). Taken with rondo_http_response_upgrade(), declined by
 * any other answer. */
RONDO_API rondo_slice rondo_http_request_upgrade(const rondo_http_request *request);
/* The peer's address, as rondo_stream_peer(); RONDO_ECLOSED when it has gone. */
RONDO_API int rondo_http_request_peer(const rondo_http_request *request, char *text, size_t size);
/* The client's address without a port, "192.0.2.1" or "2001:db8::1", or "unix": what the proxies that are
 * trusted (rondo_http_server_trust()) tell of it, otherwise the peer. Returns its length, or an error as
 * above; 46 octets always do. */
RONDO_API int rondo_http_request_client(const rondo_http_request *request, char *text, size_t size);
/* "https" or "http", and the host with its port, if it was given, as the client has them: what a trusted
 * peer says, else how the connection is secured, and the target or the field Host. */
RONDO_API rondo_slice rondo_http_request_scheme(const rondo_http_request *request);
RONDO_API rondo_slice rondo_http_request_host(const rondo_http_request *request);

/* One pointer of the user's per request; NULL at first. Rondo never looks at it. What has to be freed
 * is, in the response's `close`. */
RONDO_API void rondo_http_request_set_data(rondo_http_request *request, void *data);
RONDO_API void *rondo_http_request_data(const rondo_http_request *request);

/* The body, piece by piece, and its end (which comes also when there is no body). Set inside the
 * request callback. A body that nobody wants is read and dropped, up to its limit; so is what is
 * left of it once the response has been ended: neither is called any more then. `Expect:
 * 100-continue` is answered when a listener is set and the body is awaited. A body that breaks off
 * or breaks a limit is told by the response's `aborted`. */
RONDO_API void rondo_http_request_on_data(rondo_http_request *request, rondo_http_data_cb cb,
                                          void *arg);
RONDO_API void rondo_http_request_on_end(rondo_http_request *request, rondo_http_end_cb cb,
                                         void *arg);
/* In place of both: the whole body at once, empty if there is none. A body of more than `most` octets is
 * refused with 413, one that there is no memory for with 503; that is told by the response's `aborted`.
 * Memory grows with what has arrived, whatever length was announced. 0, RONDO_ECLOSED (answered, or the
 * client has gone), RONDO_EBUSY when a part of the body has been told or dropped already. */
RONDO_API int rondo_http_request_collect(rondo_http_request *request, size_t most,
                                         rondo_http_body_cb cb, void *arg);
/* Trailer fields, which came behind a chunked body: known from its `end` on. As for those of the head, with
 * which they are not to be mixed (RFC 9110 section 6.5). */
RONDO_API rondo_slice rondo_http_request_trailer(const rondo_http_request *request,
                                                 const char *name);
RONDO_API size_t rondo_http_request_trailer_count(const rondo_http_request *request);
RONDO_API bool rondo_http_request_trailer_at(const rondo_http_request *request, size_t i,
                                             rondo_slice *ret_name, rondo_slice *ret_value);
/* Whether the client waits to be asked for the body (RFC 9110 section 10.1.1). It is asked with 100 as soon
 * as there is a listener, unless the body is paused: so an application may pause, think, and then resume,
 * ask by rondo_http_response_inform(), or answer (417, for example), which ends the connection. */
RONDO_API bool rondo_http_request_expects_continue(const rondo_http_request *request);
/* Backpressure on the client's body: after pause returns, neither data nor end comes until resume.
 * Its timeouts rest meanwhile. 0 or RONDO_ECLOSED. */
RONDO_API int rondo_http_request_pause(rondo_http_request *request);
RONDO_API int rondo_http_request_resume(rondo_http_request *request);

#ifdef __cplusplus
}
#endif
#endif
