/* SPDX-License-Identifier: MIT
 *
 * Receiving. One recvmmsg(2) for each readiness takes up to 64 datagrams into an area that all UDP
 * handles of the loop share; fewer than asked for means that the kernel had no more, so asking
 * again would be a system call for nothing. A place may hold several datagrams of one sender,
 * joined by the kernel (GRO, UDP_GRO of udp(7)): they are told one by one.
 *
 * What was taken from the kernel must be delivered, and may not be wanted any more: a listener
 * pauses or removes itself in the middle of a batch, or the budget of the turn is used up. The rest
 * is copied then and delivered first when it may be.
 */
#include <rondo/loop.h>

#include "net/udp/udp_handle.h"

/* Calls in one visit that may fail with errors of the network, before it is put off. */
#define TRIES 8
#define PAUSE_MS 100

/* ---- the shared area ---- */

typedef struct shared {
    rondo__at_free at_free;
    rondo__udp_area *area; /* NULL while a batch in it is delivered */
    size_t bytes;          /* of the places in the newest one */
} shared;

static void shared_free(rondo_loop *loop, rondo__at_free *at_free) {
    shared *self = RONDO__OF(at_free, shared, at_free);
    rondo__udp_area_free(self->area);
    rondo__loop_set_part(loop, RONDO__PART_UDP, NULL);
    rondo__free(self);
}

int rondo__udp_area_need(rondo_loop *loop, size_t bytes) {
    shared *self = rondo__loop_part(loop, RONDO__PART_UDP);
    if (!self) {
        self = rondo__zalloc(sizeof *self);
        if (!self) return RONDO_ENOMEM;
        rondo__loop_set_part(loop, RONDO__PART_UDP, self);
        rondo__at_loop_free(loop, &self->at_free, shared_free);
    }
    if (self->bytes >= bytes) return 0;
    rondo__udp_area *area = rondo__udp_area_new(bytes);
    if (!area) return RONDO_ENOMEM;
    rondo__udp_area_free(self->area);
    self->area = area;
    self->bytes = bytes;
    return 0;
}

/* Takes the area out for a batch, so that a listener who binds a handle with longer datagrams
 * doesn't pull it away. */
static rondo__udp_area *borrow_area(rondo_loop *loop) {
    shared *self = rondo__loop_part(loop, RONDO__PART_UDP);
    rondo__udp_area *area = self->area;
    RONDO_ASSERT(area);
    self->area = NULL;
    return area;
}

static void return_area(rondo_loop *loop, rondo__udp_area *area) {
    shared *self = rondo__loop_part(loop, RONDO__PART_UDP);
    if (self->area)
        rondo__udp_area_free(area);
    else
        self->area = area;
}

/* ---- who wants how many ---- */

size_t rondo__udp_place_bytes(const rondo_udp *udp) { return udp->max_bytes; }

bool rondo__udp_wants(const rondo_udp *udp) {
    return !(udp->flags & RONDO__UDP_PAUSED) && !rondo__handle_closing(&udp->base) &&
           rondo__heard(&udp->on[RONDO__UDP_MESSAGE]);
}

/* What is left of this turn's budget. */
static uint32_t budget_left(rondo_udp *udp) {
    uint64_t turn = rondo_loop_turn(udp->base.loop);
    if (udp->turn != turn) {
        udp->turn = turn;
        udp->left = rondo_loop_budget(udp->base.loop, RONDO_BUDGET_datagrams);
    }
    return udp->left;
}

/* ---- one datagram ---- */

static void message_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                          void *arg) {
    (void)loop;
    ((rondo_udp_message_cb)fn)((rondo_udp *)handle, payload, arg);
}
static const rondo__event message_event = {"udp.message", message_thunk};

static void tell(rondo_udp *udp, rondo_udp_message *message) {
    udp->left--;
    udp->figures.messages_in++;
    udp->figures.bytes_in += message->data.len;
    udp->figures.truncated += message->truncated;
    rondo__emit(&udp->base, &udp->on[RONDO__UDP_MESSAGE], RONDO__UDP_MESSAGE, &message_event,
                message);
}

static void hold(rondo_udp *udp, const rondo_udp_message *message) {
    if (rondo__udp_queue_add(&udp->held, rondo__udp_net(udp), message->from, message->data,
                             message->truncated) < 0)
        udp->figures.dropped++;
}

/* Delivers it, or keeps it: then all that come behind it in the batch are kept too, since nobody
 * runs in between who could want them again. */
static void take(rondo_udp *udp, rondo_udp_message *message) {
    if (rondo__handle_closing(&udp->base)) return;
    if (rondo__udp_wants(udp) && budget_left(udp) > 0)
        tell(udp, message);
    else
        hold(udp, message);
}

/* ---- a batch of them ---- */

static void take_packet(rondo_udp *udp, const rondo__udp_packet *packet) {
    size_t segment = packet->segment > 0 ? packet->segment : packet->len, at = 0;
    if (packet->drops_known) {
        udp->figures.dropped += (uint32_t)(packet->drops - udp->drops_seen);
        udp->drops_seen = packet->drops;
    }
    do {
        size_t len = packet->len - at < segment ? packet->len - at : segment;
        rondo_udp_message message = {
            .data = rondo_slice_of(packet->data + at, len),
            .from = packet->from,
            .truncated = packet->truncated,
        };
        take(udp, &message);
        at += len;
    } while (at < packet->len);
}

/* Receives and delivers one batch of at most so many: how many places it had, or an error. The loop
 * is corked meanwhile: what is sent in answer to a batch leaves as a batch. The own answers do
 * here, so that several batches don't fill the queue; all others leave when the visit is over. */
static int receive_batch(rondo_udp *udp, int most) {
    rondo_loop *loop = udp->base.loop;
    rondo__udp_area *area = borrow_area(loop);
    rondo__udp_packet packet;
    int count = rondo__udp_socket_receive(udp->fd, area, most, rondo__udp_place_bytes(udp));
    rondo__cork(loop);
    for (int i = 0; i < count && !rondo__handle_closing(&udp->base); i++) {
        rondo__udp_area_packet(area, i, &packet);
        take_packet(udp, &packet);
    }
    rondo__uncork(loop);
    return_area(loop, area);
    if (rondo__list_linked(&udp->flush.link)) {
        rondo__flush_cancel(&udp->flush);
        rondo__udp_flush(&udp->flush);
    }
    return count;
}

/* The system has run out of something, or the socket is broken: leaves it alone for a while. */
static void pause_reading(rondo_udp *udp) {
    if (rondo__handle_closing(&udp->base)) return;
    udp->flags |= RONDO__UDP_UNREAD;
    rondo__udp_watch(udp); /* wanting less can't fail */
    rondo__udp_retry_in(udp, PAUSE_MS);
}

static void receive_some(rondo_udp *udp) {
    uint32_t left;
    int failures = 0;
    bool any = false;
    while (rondo__udp_wants(udp) && udp->held.count == 0 && (left = budget_left(udp)) > 0) {
        int most = left < RONDO__UDP_BATCH ? (int)left : RONDO__UDP_BATCH;
        int count = receive_batch(udp, most);
        if (count >= 0) {
            udp->in_vain = 0;
            if (count < most) break;
            any = true;
            continue;
        }
        if (count == RONDO_EAGAIN && any) break;
        /* Readable, and nothing to read: the socket has errors of the network, and said one of them
         * in place of a datagram, or to the call that sent last. */
        bool found = rondo__udp_take_errors(udp) > 0;
        if (!found && count != RONDO_EAGAIN) rondo__udp_tell_error(udp, count, NULL);
        if (count == RONDO_EAGAIN) {
            /* Once is a datagram with a wrong checksum. For ever is what shutdown(2) leaves behind. */
            udp->in_vain = found ? 0 : udp->in_vain + 1;
            if (udp->in_vain >= TRIES) pause_reading(udp);
            break;
        }
        if (++failures == TRIES) {
            pause_reading(udp);
            break;
        }
    }
    if (rondo__handle_closing(&udp->base)) return;
    if (udp->held.count > 0 && rondo__udp_wants(udp)) rondo__udp_report_later(udp);
}

void rondo__udp_deliver_held(rondo_udp *udp) {
    rondo__net *net = rondo__udp_net(udp);
    /* Taken out, so that a listener who closes the handle doesn't pull it away. */
    rondo__udp_queue queue = udp->held;
    const rondo__udp_item *item;
    memset(&udp->held, 0, sizeof udp->held);
    rondo__cork(udp->base.loop);
    while ((item = rondo__udp_queue_oldest(&queue)) && rondo__udp_wants(udp) &&
           budget_left(udp) > 0) {
        rondo_address from;
        rondo__udp_item_address(item, &from);
        rondo_udp_message message = {
            .data = rondo_slice_of(item->data, item->len),
            .from = &from,
            .truncated = item->note != 0,
        };
        tell(udp, &message);
        rondo__udp_queue_pop(&queue, net);
    }
    rondo__uncork(udp->base.loop);
    RONDO_ASSERT(udp->held.count ==
                 0); /* only a batch adds to it, and none is received meanwhile */
    if (rondo__handle_closing(&udp->base)) {
        rondo__udp_queue_clear(&queue, net);
        return;
    }
    udp->held = queue;
    if (queue.count > 0 && rondo__udp_wants(udp)) rondo__udp_report_later(udp);
}

/* ---- readiness ---- */

/* Errors are told. If it wasn't them, then datagrams came that nobody wants: they stay in the
 * kernel. */
static void leave_alone(rondo_udp *udp) {
    if (rondo__udp_take_errors(udp) > 0) return;
    udp->flags |= RONDO__UDP_UNREAD;
    rondo__udp_watch(udp); /* wanting less can't fail */
}

void rondo__udp_ready(rondo_loop *loop, rondo__io *io, int events) {
    rondo_udp *udp = RONDO__OF(io, rondo_udp, io);
    (void)loop;
    if (!rondo__io_watched(io)) { /* libev gave it up, since the kernel refused */
        pause_reading(udp);
        rondo__udp_tell_error(udp, RONDO_ENOMEM, NULL);
        return;
    }
    if (events & RONDO__WRITABLE) {
        rondo__udp_send_queue(udp);
        /* An error of the network makes it writable too, and what was queued may still have no
         * room: nothing but reading the error ends that. */
        if (udp->flags & RONDO__UDP_BLOCKED) rondo__udp_suspect(udp);
    }
    if (!(events & RONDO__READABLE)) return;
    if (rondo__udp_wants(udp))
        receive_some(udp);
    else
        leave_alone(udp);
}
