/* SPDX-License-Identifier: MIT
 *
 * The response to a request: in one call, or streamed. A handle, the application's until it has
 * ended it; see http_server.h. Loop thread only.
 */
#ifndef RONDO_HTTP_RESPONSE_H
#define RONDO_HTTP_RESPONSE_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*rondo_http_response_cb)(rondo_http_response *response, void *arg);

/* The whole answer in one call: status line, Date, Content-Type (NULL: none), Content-Length, the
 * fields added before, and the body (copied; not sent for HEAD, 204, 304). Ends the response.
 * Returns 0; RONDO_ECLOSED when the client has gone; RONDO_ENOMEM or, when body and answers that
 * wait are more than response_queue_bytes, RONDO_ENOBUFS, when the connection had to be cut off. Not ended, nothing done:
 * RONDO_EINVAL for a status outside 200..599, a body with 204 or 304, or a content_type that
 * is empty, longer than 255 octets or has control characters; RONDO_EBUSY when the head was sent already. */
RONDO_API int rondo_http_response_reply(rondo_http_response *response, int status,
                                        const char *content_type, rondo_slice body);

/* Adds a field to the head to come. RONDO_EINVAL when the name is not a token, the value has CR, LF
 * or NUL, or the field is one that Rondo frames by itself (Content-Length, Transfer-Encoding,
 * Connection, Date, Keep-Alive); RONDO_EBUSY after the head; RONDO_ENOBUFS beyond 16 KiB. */
RONDO_API int rondo_http_response_header(rondo_http_response *response, const char *name,
                                         const char *value);

/* Sends an informational answer before the one to come (RFC 9110 section 15.2): 103 Early Hints, or 100
 * to a client that waits to be asked for its body; any of 100 and 102..199. A client of HTTP/1.0 is sent
 * nothing. 0, or RONDO_EINVAL (status, or a field as of _header), RONDO_EBUSY after the head,
 * RONDO_ENOBUFS (more than 8,000 octets), RONDO_ECLOSED, RONDO_ENOMEM; never ends the response. */
RONDO_API int rondo_http_response_inform(rondo_http_response *response, int status,
                                         const rondo_http_field *fields, size_t count);

/* Begins an answer that is streamed: length says how many octets will be written, -1: not known
 * (chunked for HTTP/1.1, until close for 1.0). Returns 0, RONDO_ECLOSED, RONDO_EINVAL (as _reply),
 * RONDO_EBUSY, RONDO_ENOMEM; never ends the response. */
RONDO_API int rondo_http_response_begin(rondo_http_response *response, int status, int64_t length);
/* Writes body octets; as rondo_write(): 1, 0 (wait for `drain`), or an error. More than the length
 * said: RONDO_EOVERFLOW, nothing taken; before _begin: RONDO_EINVAL. For HEAD it takes and drops
 * them. */
RONDO_API int rondo_http_response_write(rondo_http_response *response, rondo_slice data);
/* Adds a trailer field, to be sent behind a body that is chunked: between _begin and _end. For a client that
 * can't get it (HTTP/1.0, HEAD, a body with a length) it is dropped: RONDO_ENOTSUP. Otherwise as _header;
 * RONDO_EINVAL also before _begin, and for fields that have to come before the body: those about its
 * framing, coding and type, about caching, cookies and authorization (RFC 9110 section 6.5.1). */
RONDO_API int rondo_http_response_trailer(rondo_http_response *response, const char *name,
                                          const char *value);
/* Ends the response, whatever it returns. With fewer octets than the length said, the connection is
 * cut off so that the client can tell, and RONDO_EPROTO is returned. Without a begin it sends 204.
 * RONDO_ECLOSED when the client has gone, RONDO_ENOMEM when it could not be ended properly. */
RONDO_API int rondo_http_response_end(rondo_http_response *response);

/* Leaves HTTP: sends the head with the fields that were added, ends the response, and gives the
 * connection to the caller as an ordinary stream, like one that a server accepted. status: 101 for an
 * Upgrade, when the field Upgrade must have been added (`Connection: Upgrade` is sent by itself), or
 * 200..299 for CONNECT (rondo_http_server_set_connect()). HTTP's limits, timeouts and its server's end
 * are nothing to the stream any more. Octets that came behind the request come first through its `data`,
 * never inside this call. Not ended, nothing done: RONDO_EINVAL when nothing of the kind was asked for,
 * RONDO_EBUSY after the head or before the request's `end` if it has a body. Otherwise as _reply: 0;
 * RONDO_ECLOSED; RONDO_ENOMEM or RONDO_ENOBUFS, when the connection had to be cut off. */
RONDO_API int rondo_http_response_upgrade(rondo_http_response *response, int status,
                                          rondo_stream **ret_stream);

/* The status that was sent, 0 before; and octets of body that were queued to be sent (in
 * rondo_http_server_on_response(): that have left). Both may be asked until the response's `close` event
 * (rondo_on_close()) has returned. */
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

#ifdef __cplusplus
}
#endif
#endif
