/* SPDX-License-Identifier: MIT
 *
 * What went wrong, and how it is told: errors that the network reported about datagrams sent long
 * ago (ICMP; RFC 1122, 4.1.3.3), which Linux queues on the socket (ip(7), IP_RECVERR), and
 * datagrams that could not be sent at all. Anybody can send us ICMP messages: so many are told at a
 * time, and when nobody listens they are counted.
 */
#include "net/socket.h"
#include "net/udp/udp_handle.h"

/* Errors of the network that are told in one go. */
#define MOST_AT_ONCE 64
/* Failed datagrams that wait to be told; more are only counted. */
#define MOST_NOTED 64

struct payload {
    int error;
    const rondo_address *to;
};

static void error_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    const struct payload *what = payload;
    (void)loop;
    ((rondo_udp_error_cb)fn)((rondo_udp *)handle, what->error, what->to, arg);
}
static const rondo__event error_event = {"udp.error", error_thunk};

static void drain_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    (void)loop, (void)payload;
    ((rondo_udp_cb)fn)((rondo_udp *)handle, arg);
}
static const rondo__event drain_event = {"udp.drain", drain_thunk};

void rondo__udp_tell_error(rondo_udp *udp, int error, const rondo_address *to) {
    rondo_address peer;
    struct payload what = {error, to && to->len > 0 ? to : NULL};
    RONDO_ASSERT(!rondo__handle_closing(&udp->base));
    if (!what.to && rondo__socket_name(udp->fd, true, &peer) == 0) what.to = &peer;
    if (rondo__emit(&udp->base, &udp->on[RONDO__UDP_ERROR], RONDO__UDP_ERROR, &error_event,
                    &what) == 0)
        rondo__count_unheard(udp->base.loop);
}

int rondo__udp_take_errors(rondo_udp *udp) {
    rondo_address to;
    int error, told = 0;
    udp->flags &= ~(uint32_t)RONDO__UDP_TROUBLE;
    for (int i = 0; i < MOST_AT_ONCE; i++) {
        if (rondo__udp_socket_receive_error(udp->fd, &error, &to) < 0) return told;
        if (error == 0) continue;
        told++;
        rondo__udp_tell_error(udp, error, &to);
        if (rondo__handle_closing(&udp->base)) return told;
    }
    rondo__udp_suspect(udp); /* there may be more */
    return told;
}

void rondo__udp_suspect(rondo_udp *udp) {
    udp->flags |= RONDO__UDP_TROUBLE;
    rondo__udp_report_later(udp);
}

void rondo__udp_note_failed(rondo_udp *udp, int error, const rondo__udp_item *item) {
    rondo_address to;
    rondo__udp_item_address(item, &to);
    udp->figures.failed++;
    if (udp->failed.count >= MOST_NOTED ||
        rondo__udp_queue_add(&udp->failed, rondo__udp_net(udp), &to, rondo_slice_of(NULL, 0),
                             error) < 0) {
        rondo__count_unheard(udp->base.loop);
        return;
    }
    rondo__udp_report_later(udp);
}

static void tell_failed(rondo_udp *udp) {
    rondo_address to;
    /* Those that fail from now on wait for the next time, which the failure asks for. */
    for (size_t left = udp->failed.count; left > 0 && udp->failed.count > 0; left--) {
        const rondo__udp_item *item = rondo__udp_queue_oldest(&udp->failed);
        int error = item->note;
        rondo__udp_item_address(item, &to);
        rondo__udp_queue_pop(&udp->failed, rondo__udp_net(udp));
        rondo__udp_tell_error(udp, error, &to); /* may close, which empties the queue */
    }
}

void rondo__udp_report(rondo_loop *loop, rondo__task *news) {
    rondo_udp *udp = RONDO__OF(news, rondo_udp, news);
    (void)loop;
    tell_failed(udp);
    if (rondo__handle_closing(&udp->base)) return;
    if (udp->flags & RONDO__UDP_TROUBLE) rondo__udp_take_errors(udp);
    /* From here on a handle that was closed has nothing left, and says nothing. */
    if ((udp->flags & RONDO__UDP_NEED_DRAIN) && udp->out.count == 0) {
        udp->flags &= ~(uint32_t)RONDO__UDP_NEED_DRAIN;
        rondo__emit(&udp->base, &udp->on[RONDO__UDP_DRAIN], RONDO__UDP_DRAIN, &drain_event, NULL);
    }
    rondo__udp_deliver_held(udp);
}
