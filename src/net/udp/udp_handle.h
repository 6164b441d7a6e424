/* SPDX-License-Identifier: MIT
 *
 * The struct of a UDP handle and what the parts of its implementation call of one another:
 *
 *   udp.c          life, listeners, settings     udp_multicast.c  groups, hops, broadcast
 *   udp_receive.c  readiness to `message`        udp_send.c       the queue to the kernel
 *   udp_errors.c   what went wrong, to `error`   udp_queue.c      datagrams that wait
 *   udp_socket.c, udp_options.c                  the system calls
 *
 * As with streams, no user callback runs inside a call or a flush: what is found out there is
 * noted, and rondo__udp_report() tells it from the pending phase. Internal.
 */
#ifndef RONDO__UDP_HANDLE_H
#define RONDO__UDP_HANDLE_H

#include <rondo/udp.h>

#include "loop/alarm.h"
#include "loop/emit.h"
#include "loop/io.h"
#include "net/udp/udp_queue.h"
#include "net/udp/udp_socket.h"

enum { RONDO__UDP_MESSAGE, RONDO__UDP_DRAIN, RONDO__UDP_ERROR, RONDO__UDP_EVENTS };

/* rondo_udp.flags */
enum {
    RONDO__UDP_PAUSED = 1 << 0,
    RONDO__UDP_UNREAD = 1 << 1,     /* something came that nobody wants: the watch has ended */
    RONDO__UDP_BLOCKED = 1 << 2,    /* the queue waits for the fd to be writable, or for `retry` */
    RONDO__UDP_NEED_DRAIN = 1 << 3, /* rondo_udp_send() said 0 */
    RONDO__UDP_TROUBLE = 1 << 4,    /* a call failed: the socket may have errors of the network */
    RONDO__UDP_CONNECTED = 1 << 5,
    RONDO__UDP_PEER_IPV4 = 1 << 6
};

struct rondo_udp {
    rondo_handle base;
    rondo__io io;
    rondo__alarm retry; /* set: the system has run out of something, try again then */
    rondo__task news;   /* reports later what a call or a flush has found out */
    rondo__flush flush;
    rondo__udp_queue out;    /* to be sent */
    rondo__udp_queue held;   /* received, to be delivered before all that the kernel has */
    rondo__udp_queue failed; /* to be told: no data, the error in `note` */
    size_t mark, cap;        /* of what rondo__udp_cost() says */
    size_t max_bytes;
    rondo_udp_figures figures;
    uint64_t turn;       /* in which the budget was begun */
    uint32_t left;       /* of the budget, in that turn */
    uint32_t in_vain;    /* times in a row that it was readable and had nothing */
    uint32_t drops_seen; /* the kernel's count */
    size_t run_most;     /* the largest segment that may be sent in runs; 0: none */
    uint32_t flags;
    int how; /* RONDO__UDP_REUSE_*, for the socket to come */
    int fd;  /* -1 before it is bound and once it is closing */
    rondo__udp_traits traits;
    rondo__slot on[RONDO__UDP_EVENTS];
};

extern const rondo__kind rondo__udp_kind;

static inline rondo__net *rondo__udp_net(const rondo_udp *udp) {
    return rondo__net_of(udp->base.loop);
}

/* What the queue counts for its mark and cap: a datagram without bytes takes memory too. */
#define RONDO__UDP_KEEPING 64
static inline size_t rondo__udp_cost(const rondo__udp_queue *queue) {
    return queue->bytes + queue->count * RONDO__UDP_KEEPING;
}

/* ---- udp.c ---- */

/* Has a socket, bound to a free port if there was none: 0 or why not. */
int rondo__udp_need_socket(rondo_udp *udp);
/* 0 if there is a socket to set something on: or RONDO_ECLOSED, RONDO_ENOTCONN. */
int rondo__udp_settable(const rondo_udp *udp);
/* Watches the socket for what is wanted of it: 0 or RONDO_ENOMEM. */
int rondo__udp_watch(rondo_udp *udp);
/* Tries again after a while what failed for want of something. */
void rondo__udp_retry_in(rondo_udp *udp, uint64_t delay_ms);

/* ---- udp_receive.c ---- */

/* The place on the loop into which all its UDP handles receive. */
int rondo__udp_area_need(rondo_loop *loop, size_t bytes); /* 0 or RONDO_ENOMEM */
/* How long a datagram may be that the kernel is asked for. */
size_t rondo__udp_place_bytes(const rondo_udp *udp);
bool rondo__udp_wants(const rondo_udp *udp);
void rondo__udp_ready(rondo_loop *loop, rondo__io *io, int events);
/* Delivers what was kept, as far as it is wanted. Only from where the loop dispatches. */
void rondo__udp_deliver_held(rondo_udp *udp);

/* ---- udp_errors.c ---- */

/* Tells the listeners, or counts. Only from where the loop dispatches. to may be NULL. */
void rondo__udp_tell_error(rondo_udp *udp, int error, const rondo_address *to);
/* Tells the errors that the socket has queued; how many there were. Likewise. */
int rondo__udp_take_errors(rondo_udp *udp);
/* A datagram could not be sent: has it told later. From anywhere. */
void rondo__udp_note_failed(rondo_udp *udp, int error, const rondo__udp_item *item);
/* Something failed that errors of the network may be behind: has them looked for later. */
void rondo__udp_suspect(rondo_udp *udp);
void rondo__udp_report(rondo_loop *loop, rondo__task *news);
static inline void rondo__udp_report_later(rondo_udp *udp) {
    rondo__defer(udp->base.loop, &udp->news);
}

/* ---- udp_send.c ---- */

/* An address as this handle's socket takes it: IPv4 is mapped on an IPv6 socket (RFC 4291,
 * 2.5.5.2). 0, RONDO_EINVAL or RONDO_EAFNOSUPPORT. */
int rondo__udp_target(const rondo_udp *udp, const rondo_address *to, rondo_address *ret_target);

/* Sends what is queued until the kernel takes no more. Calls no user functions. */
void rondo__udp_send_queue(rondo_udp *udp);
void rondo__udp_flush(rondo__flush *flush);

#endif
