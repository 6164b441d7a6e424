/* SPDX-License-Identifier: MIT
 *
 * A request: the parser's state, the octets of the head, the body's state. Taken from a
 * free list at a request's first octet, and back when both sides have let go of it: the connection
 * (it is through with the message, or gone) and the response (the application has ended it).
 * Internal.
 */
#ifndef RONDO__HTTP_REQUEST_H
#define RONDO__HTTP_REQUEST_H

#include <rondo/address.h>
#include <rondo/http.h>
#include <string.h>

#include "http/parser.h"
#include "http/router/state.h"
#include "http/server/shared.h"
#include "http/trailer_scan.h"
#include "loop/assert.h"

/* Room for heads, and behind them for the fields of the response, before memory is allocated. */
#define RONDO__ARENA_BYTES 2048
/* How a body is framed. */
enum { RONDO__BODY_NONE, RONDO__BODY_LENGTH, RONDO__BODY_CHUNKS };

/* rondo_http_request.flags */
enum {
    RONDO__REQUEST_CLOSE = 1 << 0,      /* the client wants, or has, to close after this one */
    RONDO__REQUEST_EXPECTS = 1 << 1,    /* Expect: 100-continue, not answered yet */
    RONDO__REQUEST_HEAD = 1 << 2,       /* the method is HEAD */
    RONDO__REQUEST_PAUSED = 1 << 3,     /* the application wants no more of the body for now */
    RONDO__REQUEST_TRAILERS = 1 << 4,   /* the last chunk has been read */
    RONDO__REQUEST_OVER = 1 << 5,       /* the body is complete, and that was not told yet */
    RONDO__REQUEST_TIMED = 1 << 6,      /* since_ns is set, and the alarm */
    RONDO__REQUEST_ALLOCATED = 1 << 7,  /* head or out are */
    RONDO__REQUEST_BY_CONN = 1 << 8,    /* in use by the connection */
    RONDO__REQUEST_BY_APP = 1 << 9,     /* in use by the response */
    RONDO__REQUEST_COMPLETE = 1 << 10,  /* the application knows that its body is */
    RONDO__REQUEST_UPGRADE = 1 << 11,   /* the client asks for another protocol */
    RONDO__REQUEST_CONNECT = 1 << 12,   /* the method is CONNECT */
    RONDO__REQUEST_ROUTED = 1 << 13,    /* a router has seen it: `route` is in use */
    RONDO__REQUEST_COLLECTS = 1 << 14,  /* the body is gathered: see collect.c */
    RONDO__REQUEST_PEER_KNOWN = 1 << 15 /* `peer` is set */
};

/* A body that is gathered until it is complete. */
typedef struct rondo__collecting {
    rondo_http_body_cb cb;
    void *arg;
    size_t most, len;
    size_t room; /* 0: data is not ours */
    char *data;
} rondo__collecting;

#define RONDO__REQUEST_MAGIC 0x52ad4854u

struct rondo_http_request {
    uint32_t magic;
    uint16_t flags;
    uint8_t minor;
    uint8_t body; /* RONDO__BODY_* */
    rondo__http *http;
    rondo_http_request *next;      /* in the free list */
    struct rondo__http_conn *conn; /* NULL: gone */
    struct rondo__http_tally *tally;
    rondo_http_response *response; /* NULL: ended */
    /* ---- the head ---- */
    char *head; /* the arena, or an allocation */
    uint32_t head_len, head_size;
    uint32_t method_len;         /* 0: its end has not arrived yet */
    uint32_t target, target_len; /* offset and length */
    uint32_t path;               /* offset of the path, within the target or at its end */
    uint32_t fields;             /* offset of the first field line */
    uint32_t field_count;
    uint32_t cursor, cursor_at; /* the number of a field, and the offset of its line */
    /* ---- the fields of the answer, formatted ---- */
    char *out; /* behind the head in the arena, or an allocation */
    uint32_t out_len, out_size;
    /* ---- the body ---- */
    uint64_t body_seen; /* decoded octets */
    uint64_t body_left; /* with RONDO__BODY_LENGTH */
    uint64_t since_ns;  /* the head's first octet; the body's last, or since when it is awaited */
    uint64_t rate_from_ns, rate_from_seen; /* where the average begins; see timeouts.c */
    size_t framing; /* octets of chunk framing that no data has paid for; see body.c */
    size_t trailer_len;
    char *trailer_text; /* if there are any, the lines so far */
    uint32_t trailer_room;
    rondo__trailer_scan trailers;
    rondo_http_data_cb on_data;
    void *data_arg;
    rondo_http_end_cb on_end;
    void *end_arg;
    void *data; /* rondo_http_request_set_data() */
    /* ---- not cleared for the next one ---- */
    rondo__parser parser;
    rondo__route_state route;
    rondo__collecting collecting; /* with RONDO__REQUEST_COLLECTS */
    rondo_address peer;           /* with RONDO__REQUEST_PEER_KNOWN */
    char arena[RONDO__ARENA_BYTES];
};

/* NULL when out of memory. In use by the connection. */
rondo_http_request *rondo__request_take(rondo__http *http, struct rondo__http_conn *conn);
/* Nobody uses it any more. */
void rondo__request_recycle(rondo_http_request *request);
/* RONDO__REQUEST_BY_CONN or _BY_APP lets go. */
static inline void rondo__request_release(rondo_http_request *request, unsigned by) {
    RONDO_ASSERT(request->magic == RONDO__REQUEST_MAGIC && (request->flags & by));
    request->flags &= (uint16_t)~by;
    if (by == RONDO__REQUEST_BY_CONN) request->conn = NULL;
    if (by == RONDO__REQUEST_BY_APP) request->response = NULL;
    if (!(request->flags & (RONDO__REQUEST_BY_CONN | RONDO__REQUEST_BY_APP)))
        rondo__request_recycle(request);
}

/* Sees to it that the head may become len octets long, of at most `most`: false when out of memory. */
bool rondo__request_grow(rondo_http_request *request, size_t len, size_t most);
/* Appends octets to the head: false when out of memory. */
static inline bool rondo__request_append(rondo_http_request *request, const char *data, size_t len,
                                         size_t most) {
    size_t needed = request->head_len + len;
    if (needed > request->head_size && !rondo__request_grow(request, needed, most)) return false;
    memcpy(request->head + request->head_len, data, len);
    request->head_len = (uint32_t)needed;
    return true;
}
/* Room for len more octets of the answer's fields: 0, RONDO_ENOBUFS beyond 16 KiB, RONDO_ENOMEM. */
int rondo__request_out(rondo_http_request *request, size_t len, char **ret_room);

/* The first line of every public function on a request: it is no handle, and this is what finds the use
 * of one that is over. */
void rondo__request_check(const rondo_http_request *request, const char *function);
#define RONDO__CHECK_REQUEST(request) rondo__request_check((request), __func__)

/* The address of the client, or of the last proxy: 0, RONDO_ECLOSED when it has gone, or as
 * rondo_stream_peer(). Remembered, it can be asked for when the client has gone. */
int rondo__request_peer_address(const rondo_http_request *request, rondo_address *ret_address);
void rondo__request_remember_peer(rondo_http_request *request);

/* ---- request_fields.c ---- */

/* Keeps a piece of the trailer section, whose octets are counted behind it; at most `most` in all: false
 * when out of memory. */
bool rondo__trailers_keep(rondo_http_request *request, const char *data, size_t len, size_t most);

/* ---- head_check.c ---- */

/* The head is complete and the parser has accepted it: everything that the parser does not check.
 * Finds the target and how the body is framed. connect: whether CONNECT is taken. 0, or the status of a
 * refusal. */
int rondo__head_check(rondo_http_request *request, const rondo_http_limits *limits, bool connect);
/* Whether text is uri-host [":" port], not empty. */
bool rondo__head_is_host(rondo_slice text);
/* Looks for the end of the method in the first octets of a request. Its length; 0: it is not there
 * yet; or a negative status. */
int rondo__head_method(const char *data, size_t len);
/* What the version says that the parser would not take: 505 for HTTP/d.d, else 400. */
int rondo__head_version(const rondo_http_request *request);

#endif
