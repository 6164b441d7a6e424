/* SPDX-License-Identifier: MIT
 *
 * WebSockets (RFC 6455), server and client, with permessage-deflate (RFC 7692): messages both ways over
 * one connection that began as HTTP.
 *
 *     static void on_message(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
 *                            void *arg) {
 *         if (!rondo_websocket_send(socket, type, data)) rondo_websocket_pause(socket);
 *     }
 *     static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
 *         rondo_websocket *socket;
 *         if (rondo_websocket_accept(request, response, NULL, &socket) < 0) return;
 *         rondo_websocket_on_message(socket, on_message, NULL);
 *         ...
 *
 * The life of a socket: open (a client's; a server's is open when accept returns) -> messages ... ->
 * end, with the code that says why -> close. Either side begins the closing handshake,
 * rondo_websocket_end() on this one; rondo_close() cuts the connection at once, without one. What the
 * peer does wrong ends the connection with the code that RFC 6455 section 7.4.1 has for it.
 * Without wslay every call that can fail returns RONDO_ENOSYS, and without zlib nothing is compressed.
 * Loop thread only.
 */
#ifndef RONDO_WEBSOCKET_H
#define RONDO_WEBSOCKET_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rondo_websocket_message rondo_websocket_message;

/* Text is UTF-8, checked in both directions. */
typedef enum rondo_websocket_type {
    RONDO_WEBSOCKET_TEXT = 1,
    RONDO_WEBSOCKET_BINARY = 2
} rondo_websocket_type;

/* X(field, type, default, what it bounds, and the code or error when it is exceeded): the limits of a
 * socket. The largest value of a type stands for none. */
#define RONDO_WEBSOCKET_LIMITS(X)                                                                 \
    X(message_bytes, uint64_t, 1048576, "a message, inflated, for `message`; 1009")               \
    X(frame_bytes, uint64_t, UINT64_MAX, "a frame, also of a message in pieces; 1009")            \
    X(fragments, uint32_t, 4096, "frames of a message; 1008")                                     \
    X(control_frames, uint32_t, 128, "pings and pongs in a second; 1008")                         \
    X(queued_bytes, uint64_t, 1048576, "waiting to be sent; then the policy for slow peers")      \
    X(ping_interval_ms, uint64_t, 30000, "silence, after which the peer is asked if it is there") \
    X(pong_timeout_ms, uint64_t, 20000, "from that question to any octet; RONDO_ETIMEDOUT, 1006") \
    X(close_timeout_ms, uint64_t, 5000,                                                           \
      "for the peer's part in the closing; or in it take 64 KiB of what was queued")              \
    X(open_timeout_ms, uint64_t, 30000,                                                           \
      "a client's handshake, connecting included; RONDO_ETIMEDOUT")

typedef struct rondo_websocket_limits {
#define RONDO__WEBSOCKET_LIMIT_FIELD(field, type, value, what) type field;
    RONDO_WEBSOCKET_LIMITS(RONDO__WEBSOCKET_LIMIT_FIELD)
#undef RONDO__WEBSOCKET_LIMIT_FIELD
} rondo_websocket_limits;

/* When so much waits to be sent as queued_bytes says: a send takes nothing and returns RONDO_ENOBUFS,
 * and the application decides; or that send also ends the connection, with 1013 (try again later),
 * and who has not taken what is queued in close_timeout_ms is cut off. */
typedef enum rondo_websocket_slow {
    RONDO_WEBSOCKET_SLOW_REPORT,
    RONDO_WEBSOCKET_SLOW_END
} rondo_websocket_slow;

/* How messages are compressed, if the peer agrees. FRESH: each for itself; no memory per socket.
 * CONTEXT: with what went before as a dictionary, in each direction unless the peer objects. That is
 * worth it for small messages that resemble one another, and costs some 300 KiB per socket once they
 * flow. */
typedef enum rondo_websocket_compression {
    RONDO_WEBSOCKET_PLAIN,
    RONDO_WEBSOCKET_FRESH,
    RONDO_WEBSOCKET_CONTEXT
} rondo_websocket_compression;

/* All zeroes are the defaults; so is NULL in place of it. Copied. */
typedef struct rondo_websocket_options {
    const char *protocols; /* subprotocols, "chat.v2, chat.v1", the preferred first; NULL: none */
    rondo_websocket_compression compression;
    uint32_t
        compress_bytes; /* messages below it are sent as they are; 0: 1024, or 64 with CONTEXT */
    rondo_websocket_slow slow;
    rondo_websocket_limits limits;  /* a 0 in a field means its default */
    const rondo_http_field *fields; /* a client's: more fields of its request, such as Origin */
    size_t field_count;
} rondo_websocket_options;

/* data is the library's, valid until the callback returns. */
typedef void (*rondo_websocket_cb)(rondo_websocket *socket, void *arg);
typedef void (*rondo_websocket_message_cb)(rondo_websocket *socket, rondo_websocket_type type,
                                           rondo_slice data, void *arg);
typedef void (*rondo_websocket_piece_cb)(rondo_websocket *socket, rondo_websocket_type type,
                                         rondo_slice data, bool last, void *arg);
typedef void (*rondo_websocket_data_cb)(rondo_websocket *socket, rondo_slice data, void *arg);
typedef void (*rondo_websocket_end_cb)(rondo_websocket *socket, uint16_t code, rondo_slice reason,
                                       void *arg);
typedef void (*rondo_websocket_error_cb)(rondo_websocket *socket, int error, void *arg);

/* ---- server ---- */

/* Whether the client asks for a WebSocket: an Upgrade with "websocket" in it. */
RONDO_API bool rondo_websocket_asked_for(const rondo_http_request *request);

/* Whether the request comes from a page of this very host: its Origin has the host and port of Host.
 * Also true without an Origin: then it is from no browser. Browsers let every page of the web connect
 * to every server, with the user's cookies, so who trusts cookies must ask this, or look at Origin. */
RONDO_API bool rondo_websocket_same_origin(const rondo_http_request *request);

/* Answers a handshake (RFC 6455 section 4.2) with 101, the first of the subprotocols that the client
 * offers too, and the fields added to the response before; ends the response, whatever it returns. A
 * new socket has its listeners added by the caller before it returns to the loop. 0; RONDO_EPROTO: it
 * is no handshake, and was answered with 400, or 426 when it lacks an Upgrade or asks for another
 * version; RONDO_ECLOSED: the client has gone; RONDO_EINVAL, answered with 500: protocols is no list of
 * tokens; RONDO_ENOMEM with 503; RONDO_ENOSYS with 501. */
#define rondo_websocket_accept(request, response, options, ret_socket) \
    rondo_websocket_accept_at((request), (response), (options), (ret_socket), RONDO_HERE)
RONDO_API int rondo_websocket_accept_at(rondo_http_request *request, rondo_http_response *response,
                                        const rondo_websocket_options *options,
                                        rondo_websocket **ret_socket, const char *site);

/* Ends all sockets of the loop that servers have accepted, as rondo_websocket_end(): for a shutdown,
 * with 1001 (going away), next to rondo_http_server_drain(). Returns how many that were, or
 * RONDO_EINVAL. */
RONDO_API int rondo_websocket_end_all(rondo_loop *loop, uint16_t code, const char *reason);

/* ---- client ---- */

/* Connects to "ws://host[:port]/path?query", or wss, by way of the HTTP client: its TLS, its proxies, in a
 * tunnel also for ws (RFC 6455 section 4.1), and its redirects: up to the client's limit one to http,
 * https or a reference is followed, with a new key, but not from wss to ws, and without Authorization
 * and Cookie to another origin; any other refuses the handshake. `open` or `error` follows, never
 * inside the call. 0, RONDO_EINVAL (the URL, protocols, fields), RONDO_ENOMEM, RONDO_ECLOSED,
 * RONDO_ENOSYS. */
#define rondo_websocket_connect(client, url, options, ret_socket) \
    rondo_websocket_connect_at((client), (url), (options), (ret_socket), RONDO_HERE)
RONDO_API int rondo_websocket_connect_at(rondo_http_client *client, const char *url,
                                         const rondo_websocket_options *options,
                                         rondo_websocket **ret_socket, const char *site);

/* The status of the server's answer to the handshake; 0 when there was none. For a socket that is
 * accepted, 101. */
RONDO_API int rondo_websocket_status(const rondo_websocket *socket);

/* ---- events ---- */

/* The handshake is done. Clients only. */
RONDO_DECLARE_EVENT(rondo_websocket, rondo_websocket, open, rondo_websocket_cb);
/* A message, whole. */
RONDO_DECLARE_EVENT(rondo_websocket, rondo_websocket, message, rondo_websocket_message_cb);
/* The same piece by piece, as it arrives, the last one perhaps empty. With a listener when a message
 * begins, it comes in this way and not as `message`, and may be of any length. Pieces of a text may
 * end inside a character. */
RONDO_DECLARE_EVENT(rondo_websocket, rondo_websocket, piece, rondo_websocket_piece_cb);
/* A ping, which has been answered already; a pong, ours answered or not asked for. */
RONDO_DECLARE_EVENT(rondo_websocket, rondo_websocket, ping, rondo_websocket_data_cb);
RONDO_DECLARE_EVENT(rondo_websocket, rondo_websocket, pong, rondo_websocket_data_cb);
/* After a send said 0: the queue is empty again. */
RONDO_DECLARE_EVENT(rondo_websocket, rondo_websocket, drain, rondo_websocket_cb);
/* No more messages will come: once, after `error` if there was one, and then `close` follows. code is
 * the one that the peer sent in its Close; 1005: it sent none; 1006: the connection was lost
 * without one; or the code with which this side has failed the connection. Not called after
 * rondo_close(). */
RONDO_DECLARE_EVENT(rondo_websocket, rondo_websocket, end, rondo_websocket_end_cb);
/* What went wrong, if the connection did not end in order: RONDO_EPROTO (the peer broke a rule, or
 * refused the handshake), RONDO_EMSGSIZE (1009), RONDO_ENOBUFS (1008), RONDO_ETIMEDOUT,
 * RONDO_ENOMEM (1011), or what the stream says. With no listener, it goes to the loop's
 * uncaught handler for a client, and is counted for a socket that a server has accepted. */
RONDO_DECLARE_EVENT(rondo_websocket, rondo_websocket, error, rondo_websocket_error_cb);

/* ---- sending ---- */

/* Queues a copy of a message. As rondo_write(): 1; 0, taken, but wait for `drain`; RONDO_ENOTCONN before
 * `open`; RONDO_EPIPE once the closing handshake has begun; RONDO_ECLOSED; RONDO_EINVAL for a text that
 * is not UTF-8; RONDO_ENOBUFS, not taken (see rondo_websocket_slow, and the stream's cap of 16 MiB);
 * RONDO_EBUSY between pieces; RONDO_ENOMEM. */
RONDO_API int rondo_websocket_send(rondo_websocket *socket, rondo_websocket_type type,
                                   rondo_slice data);
/* The next piece of a message, as a frame of its own, not compressed; the first one says the type. */
RONDO_API int rondo_websocket_send_piece(rondo_websocket *socket, rondo_websocket_type type,
                                         rondo_slice data, bool last);
/* Asks for a pong with the same data, at most 125 octets (else RONDO_EINVAL). The rest as _send(). */
RONDO_API int rondo_websocket_ping(rondo_websocket *socket, rondo_slice data);

/* A message for many sockets of one loop: framed once, compressed at most once, and sent to each from
 * the same memory. (A client's frames are masked, so it copies.) */
RONDO_API int rondo_websocket_message_new(rondo_loop *loop, rondo_websocket_type type,
                                          rondo_slice data, rondo_websocket_message **ret_message);
RONDO_API int rondo_websocket_send_message(rondo_websocket *socket,
                                           rondo_websocket_message *message);
/* The caller is through with it; sockets that have it queued still send it. NULL is allowed. */
RONDO_API void rondo_websocket_message_free(rondo_websocket_message *message);

/* Begins or answers the closing handshake: what is queued is sent, as long as the peer takes some of it
 * (close_timeout_ms), then a Close with code (0: none) and reason (NULL: none; at most 123 octets of UTF-8). Messages may still come until the peer has
 * answered. 0, also when repeated; RONDO_EINVAL for a code that may not be sent (RFC 6455 section
 * 7.4) or such a reason; RONDO_ENOTCONN; RONDO_ECLOSED; RONDO_ENOMEM: it is cut off. */
RONDO_API int rondo_websocket_end(rondo_websocket *socket, uint16_t code, const char *reason);

/* ---- flow, questions ---- */

/* Stops and restarts reading. Once pause returns no message, piece, ping or pong comes until resume, and
 * the peer has to wait; it is not asked meanwhile whether it is there. 0, RONDO_ECLOSED. */
RONDO_API int rondo_websocket_pause(rondo_websocket *socket);
RONDO_API int rondo_websocket_resume(rondo_websocket *socket);

/* The subprotocol that was agreed on, "" for none; valid until `close`. */
RONDO_API const char *rondo_websocket_protocol(const rondo_websocket *socket);
/* Whether messages may be compressed: both sides agreed. */
RONDO_API bool rondo_websocket_is_compressed(const rondo_websocket *socket);
/* Octets that were sent and not yet taken by the kernel. */
RONDO_API size_t rondo_websocket_queued(const rondo_websocket *socket);
/* The connection, to be asked for addresses, TLS and figures, not to be read, written or closed. NULL
 * before it is there and when it has gone. */
RONDO_API rondo_stream *rondo_websocket_stream(const rondo_websocket *socket);

#ifdef __cplusplus
}
#endif
#endif
