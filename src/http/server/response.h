/* SPDX-License-Identifier: MIT
 *
 * A response: a handle that is the application's until it has ended it. Small, since as many are
 * out as are answered in one turn: the fields that it is given are kept in its request. Internal.
 */
#ifndef RONDO__HTTP_RESPONSE_H
#define RONDO__HTTP_RESPONSE_H

#include <rondo/http.h>

#include "http/server/connection.h"
#include "http/server/filter.h"
#include "loop/handle.h"

/* How the octets of an answer are framed (RFC 9112 section 6). */
typedef enum rondo__framing {
    RONDO__FRAMING_NONE,   /* 204, 304: no body, and nothing is said about one */
    RONDO__FRAMING_LENGTH, /* Content-Length */
    RONDO__FRAMING_CHUNKS, /* Transfer-Encoding: chunked */
    RONDO__FRAMING_CLOSE   /* until the connection closes: for HTTP/1.0 */
} rondo__framing;

struct rondo_http_response {
    rondo_handle base;
    rondo_http_request *request; /* NULL: ended */
    rondo_http_request *told;    /* ended, and that is still to be told: see tally.c */
    rondo_http_response *next;   /* in the free list, or behind this one: leaving.c */
    rondo_http_response_cb on_drain, on_aborted;
    void *drain_arg, *aborted_arg;
    const rondo__filter *filter; /* NULL: what is written is sent */
    void *filter_state;
    uint64_t left;   /* octets that the length promised and that were not written yet */
    uint64_t sent;   /* octets of body that were written */
    uint16_t status; /* 0 until the head was sent */
    uint8_t framing;
    bool bodyless; /* HEAD, 204, 304: what is written is dropped */
    /* ---- set when it has ended, if that is to be told: leaving.c ---- */
    rondo__http_conn *conn;
    uint64_t end; /* of the octets that its stream sends, this many with its last one */
};

/* For a request to the server: NULL when out of memory. */
rondo_http_response *rondo__response_take(rondo_http_request *request, rondo_http_server *server);

/* The client takes data again; the client has gone. From the loop only. */
void rondo__response_drained(rondo_http_response *response);
void rondo__response_aborted(rondo_http_response *response);

/* Ends the response with the status, and its name as text. */
void rondo__response_plain(rondo_http_response *response, int status);

/* The body of a response whose head was begun with length `len`: octets of a regular file, moved by
 * sendfile(2). Ends the response. The fd is closed if own_fd, whatever happens. For HEAD nothing is
 * sent. Returns 0; RONDO_ECLOSED when the client has gone; or why the connection had to be cut. */
int rondo__http_response_file(rondo_http_response *response, int fd, uint64_t offset, uint64_t len,
                              bool own_fd);

/* A part of such a body, and more will follow: as rondo_http_response_write(). */
int rondo__http_response_piece(rondo_http_response *response, int fd, uint64_t offset, uint64_t len,
                               bool own_fd);

/* What stands between such parts, few octets: whatever response_queue_bytes says, since the parts that are
 * queued before it are not in memory. */
int rondo__http_response_between(rondo_http_response *response, rondo_slice data);

extern const rondo__kind rondo__response_kind;

/* The connection, if there still is one that takes data. Not for a response that has been ended. */
static inline rondo__http_conn *rondo__response_conn(const rondo_http_response *response) {
    rondo__http_conn *conn = response->request->conn;
    return conn && rondo__conn_alive(conn) ? conn : NULL;
}
/* Whether len more octets may be queued; asked before anything of them is. */
bool rondo__response_fits(const rondo__http_conn *conn, size_t len);
/* Why rondo__stream_reserve() gave nothing: RONDO_ECLOSED, or RONDO_ENOMEM. */
int rondo__response_no_room(const rondo__http_conn *conn);
/* The application has ended it; the same when what was sent is not a whole answer. */
void rondo__response_finish(rondo_http_response *response);
void rondo__response_break(rondo_http_response *response);

/* ---- tally.c ---- */

/* Somebody wants to hear of the response, which has ended: keeps the request until then. */
void rondo__tally_await(rondo_http_response *response, rondo_http_request *request);
/* Frees it, when neither a server nor a response needs it. */
void rondo__tally_free(rondo__http_tally *tally);
/* The response has ended; `request` is still the response's. */
static inline void rondo__tally_ended(rondo_http_response *response, rondo_http_request *request) {
    rondo__http_tally *tally = request->tally;
    RONDO_ASSERT(tally->in_flight > 0);
    tally->in_flight--;
    if (RONDO__UNLIKELY(tally->on_response != NULL)) {
        rondo__tally_await(response, request);
        return; /* its server is there, and so will the tally be: it closes after this response */
    }
    rondo__request_release(request, RONDO__REQUEST_BY_APP);
    if (RONDO__UNLIKELY(!tally->server)) rondo__tally_free(tally);
}
/* The closing phase of one whose end is to be told. */
void rondo__tally_tell(rondo_http_response *response);
/* The same in advance, of one whose octets are in the queue of `conn`: it waits until they have left. */
void rondo__leaving_begin(rondo_http_response *response, rondo__http_conn *conn);
/* The server itself answers a request that the application has not seen, or not ended, with a body of so
 * many octets. */
void rondo__tally_refused(rondo__http_conn *conn, int status, size_t body_len);

/* ---- fields.c ---- */

/* Whether the application may send the field: 0, RONDO_EINVAL or RONDO_ENOBUFS. */
int rondo__response_check_field(rondo_slice name, rondo_slice value);
/* Writes name ": " value CRLF, of rondo__field_len() octets; returns its end. */
char *rondo__response_put_field(char *at, rondo_slice name, rondo_slice value);
static inline size_t rondo__field_len(rondo_slice name, rondo_slice value) {
    return name.len + value.len + 4;
}

/* ---- response_head.c ---- */

/* Queues a whole answer of the server's own, after which the connection is closed: false when it
 * can't. */
bool rondo__response_refuse(rondo__http_conn *conn, int status, bool is_head);
/* Of its body. */
size_t rondo__refusal_len(int status);

/* Queues the head with which the connection goes over to another protocol. As rondo_write(). */
int rondo__response_switch(rondo_http_response *response, rondo__http_conn *conn, int status);

/* ---- status.c ---- */

/* "Not Found"; "" for a status without a name. Static. */
const char *rondo__http_reason(int status);

#endif
