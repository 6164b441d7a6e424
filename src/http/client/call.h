/* SPDX-License-Identifier: MIT
 *
 * A call's struct, and what the parts of the client do to it. Internal.
 */
#ifndef RONDO__CLIENT_CALL_H
#define RONDO__CLIENT_CALL_H

#include "http/client/answer.h"
#include "http/client/conn.h"
#include "http/client/inflate.h"

typedef enum rondo__call_state {
    RONDO__CALL_NEW,     /* may be changed */
    RONDO__CALL_WAITING, /* for a connection, or for one that is being made */
    RONDO__CALL_SENT,    /* its head was sent; an answer is awaited */
    RONDO__CALL_ANSWER,  /* the head of the answer was told: its body comes */
    RONDO__CALL_MOVED,   /* it is a redirect that is followed: its body is dropped */
    RONDO__CALL_OVER     /* nothing more is sent or received; `error` may still have to be told */
} rondo__call_state;

/* rondo_http_call.flags */
enum {
    RONDO__CALL_STREAMED = 1 << 0,   /* by begin: the body can't be sent again */
    RONDO__CALL_CHUNKED = 1 << 1,    /* of no known length */
    RONDO__CALL_FINISHED = 1 << 2,   /* the whole body was given */
    RONDO__CALL_EXPECTS = 1 << 3,    /* Expect: 100-continue is to be sent */
    RONDO__CALL_AWAITS = 1 << 4,     /* it was, and the body waits */
    RONDO__CALL_FULL = 1 << 5,       /* a write said 0 */
    RONDO__CALL_PAUSED = 1 << 6,     /* by the user */
    RONDO__CALL_DECODES = 1 << 7,    /* gzip, if it is */
    RONDO__CALL_FRESH = 1 << 8,      /* must have a new connection */
    RONDO__CALL_REUSED = 1 << 9,     /* its connection had been used before */
    RONDO__CALL_COMPLETE = 1 << 10,  /* the answer is, and that was not told yet */
    RONDO__CALL_HEARD = 1 << 11,     /* octets of an answer have come */
    RONDO__CALL_MAY_TAKE = 1 << 12,  /* rondo_http_call_upgrade() */
    RONDO__CALL_TAKEN = 1 << 13,     /* it was */
    RONDO__CALL_UPGRADE = 1 << 14,   /* has a field Upgrade */
    RONDO__CALL_HOST = 1 << 15,      /* has a field Host */
    RONDO__CALL_CODING = 1 << 16,    /* has Accept-Encoding or Range */
    RONDO__CALL_DRAIN_DUE = 1 << 17, /* `drain` is to be told from the task */
    RONDO__CALL_FLOWS = 1 << 18      /* the body goes straight to the connection */
};

struct rondo_http_call {
    rondo_handle base;
    rondo_http_client *client; /* NULL: it has closed */
    rondo__list link;          /* client->calls */
    rondo__list wait;          /* origin->waiting */
    rondo__origin *origin;     /* in whose queue it is; NULL: none */
    rondo__client_conn *conn;
    rondo__task task; /* tells what was found out inside a call */
    rondo__alarm alarm, total;
    uint32_t flags;
    uint8_t state;
    uint8_t stage; /* rondo_http_stage, in which it has ended */
    bool late;     /* the time of all of it was over */
    int error;     /* to be told */
    size_t interims;
    unsigned redirects, redirects_most;
    /* ---- the request ---- */
    /* Before each time that it is sent, for fields that must not be sent twice: 0 or an error. With
     * response_arg. */
    int (*renew)(rondo_http_call *call, void *arg);
    char *method;
    rondo__url url;
    char *target, *unix_path;
    rondo__bytes fields;
    rondo__bytes body;     /* of send: kept */
    rondo__bytes pending;  /* written, but not on a connection yet */
    rondo__bytes trailers; /* to be sent */
    uint64_t length, left; /* what begin promised, and what of it was not written */
    /* ---- the answer ---- */
    rondo__answer answer;
    rondo__inflate *inflate;
    uint64_t body_seen; /* decoded */
    rondo__url moved;   /* where it leads */
    char *tls_error;
    /* ---- listeners ---- */
    rondo_http_call_cb on_interim, on_response, on_end, on_drain;
    rondo_http_call_data_cb on_data;
    rondo_http_call_error_cb on_error;
    rondo_http_collect_cb on_collected;
    void *interim_arg, *response_arg, *end_arg, *drain_arg, *data_arg, *error_arg, *collected_arg;
    rondo__bytes collected;
    size_t collect_most;
};

extern const rondo__kind rondo__call_kind;

static inline bool rondo__call_alive(const rondo_http_call *call) {
    return call->state != RONDO__CALL_OVER && !rondo__handle_closing(&call->base);
}
static inline rondo__asked rondo__call_asked(const rondo_http_call *call) {
    bool connect = call->method[0] == 'C' && __builtin_strcmp(call->method, "CONNECT") == 0;
    bool head = call->method[0] == 'H' && __builtin_strcmp(call->method, "HEAD") == 0;
    rondo__asked asked = {head, connect, (call->flags & RONDO__CALL_UPGRADE) != 0};
    return asked;
}

/* ---- call.c ---- */

/* The call has failed: lets go of everything, and has the error told. From anywhere; harmless for one
 * that is over. */
void rondo__call_fail(rondo_http_call *call, int error);
/* The same, since the time of that stage is over. */
void rondo__call_late(rondo_http_call *call, rondo_http_stage stage);
/* Nothing finds it any more, and nothing will happen to it. */
void rondo__call_over(rondo_http_call *call);
/* Lets go of its connection, which is closed, and of its place in the queue. */
void rondo__call_detach(rondo_http_call *call);
/* Begins, or begins anew: into the pool, in front of all others if `first`. */
void rondo__call_enter(rondo_http_call *call, bool first);
/* The connection has ended or failed with `error` before the answer was complete: tries again where that
 * is allowed, or fails. */
void rondo__call_broken(rondo_http_call *call, int error);
/* Whether the server may get it twice, and its body can be sent twice. */
bool rondo__call_is_repeatable(const rondo_http_call *call);
/* Lets go of its connection, of which no use has been made, and begins anew. */
void rondo__call_again(rondo_http_call *call);
/* Stage timeouts: the alarm goes off ms from now, or never. */
void rondo__call_arm(rondo_http_call *call, uint64_t ms);

/* ---- stage.c ---- */

/* Before the call ends: what it is at. */
rondo_http_stage rondo__call_stage(const rondo_http_call *call);

/* ---- send.c ---- */

/* The connection is ready: the request leaves. */
void rondo__call_start(rondo_http_call *call);
/* The body need not wait any more for 100 Continue. */
void rondo__call_send_body(rondo_http_call *call);
/* The server takes data again. */
void rondo__call_drained(rondo_http_call *call);
void rondo__call_tell_drain(rondo_http_call *call);
/* Whether all of the request has been handed to the kernel. */
bool rondo__call_is_sent(const rondo_http_call *call);
/* All has been queued: the answer is awaited from now on. */
void rondo__call_await_head(rondo_http_call *call);

/* ---- receive.c ---- */

/* Takes octets of the answer; returns how many. Also without any, when rondo__call_waits(). */
size_t rondo__call_feed(rondo__client_conn *conn, const char *data, size_t len);
/* Whether there is something to tell that needs no more octets. */
bool rondo__call_waits(const rondo_http_call *call);
/* Whether octets must wait. */
bool rondo__call_holds(const rondo_http_call *call);
/* The server has ended its side, and all octets have been taken. */
void rondo__call_server_ended(rondo__client_conn *conn);
/* `end` or the collected body; the call closes. */
void rondo__call_tell_end(rondo_http_call *call);
void rondo__call_tell_error(rondo_http_call *call);

/* ---- redirect.c ---- */

/* Whether the answer is a redirect that is to be followed; then call->moved says where. 1, 0, or
 * RONDO_ENOMEM. */
int rondo__redirect_look(rondo_http_call *call);
/* Follows it: the call begins anew. */
void rondo__redirect_follow(rondo_http_call *call);

/* ---- collect.c ---- */

/* The head has come: 0, or RONDO_EMSGSIZE. */
int rondo__collect_head(rondo_http_call *call);
int rondo__collect_data(rondo_http_call *call, rondo_slice piece);

#endif
