/* SPDX-License-Identifier: MIT
 *
 * A UDP handle's life: birth without a socket, the socket, listeners, settings, close.
 *
 * The socket is watched from the start, so that errors of the network are heard of. The watch ends
 * when a datagram comes that nobody wants, since level-triggered readiness would report it for
 * ever, and begins again with the first who wants it.
 */
#include "net/udp/udp_handle.h"

#include <limits.h>

#include "net/socket.h"
#include "net/socket_adopt.h"

#define DEFAULT_MARK ((size_t)256 * 1024)
#define DEFAULT_CAP ((size_t)4 * 1024 * 1024)
#define RETRY_MS 100

/* ---- listeners ---- */

RONDO__DEFINE_EVENT(rondo_udp, rondo_udp, drain, rondo_udp_cb, &rondo__udp_kind, RONDO__UDP_DRAIN);
RONDO__DEFINE_EVENT(rondo_udp, rondo_udp, error, rondo_udp_error_cb, &rondo__udp_kind,
                    RONDO__UDP_ERROR);

/* Sees to it that what comes is heard of, now that somebody wants it: 0 or RONDO_ENOMEM. */
static int begin_reading(rondo_udp *udp) {
    if (!rondo__udp_wants(udp)) return 0;
    uint32_t before = udp->flags;
    udp->flags &= ~(uint32_t)RONDO__UDP_UNREAD;
    int status = rondo__udp_watch(udp);
    if (status < 0)
        udp->flags = before;
    else if (udp->held.count > 0)
        rondo__udp_report_later(udp);
    return status;
}

static int listen_message(rondo_udp *udp, rondo_udp_message_cb cb, void *arg, bool once) {
    rondo__slot *slot = &udp->on[RONDO__UDP_MESSAGE];
    int status = rondo__on(&udp->base, slot, RONDO__UDP_MESSAGE, RONDO__FN(cb), arg, once);
    if (status < 0) return status;
    status = begin_reading(udp);
    if (status < 0) rondo__off(&udp->base, slot, RONDO__UDP_MESSAGE, RONDO__FN(cb), arg);
    return status;
}

int rondo_udp_on_message(rondo_udp *udp, rondo_udp_message_cb cb, void *arg) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    return listen_message(udp, cb, arg, false);
}

int rondo_udp_once_message(rondo_udp *udp, rondo_udp_message_cb cb, void *arg) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    return listen_message(udp, cb, arg, true);
}

int rondo_udp_off_message(rondo_udp *udp, rondo_udp_message_cb cb, void *arg) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    return rondo__off(&udp->base, &udp->on[RONDO__UDP_MESSAGE], RONDO__UDP_MESSAGE, RONDO__FN(cb),
                      arg);
}

int rondo_udp_pause(rondo_udp *udp) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    if (rondo__handle_closing(&udp->base)) return RONDO_ECLOSED;
    udp->flags |= RONDO__UDP_PAUSED; /* the watch goes on until something comes */
    return 0;
}

int rondo_udp_resume(rondo_udp *udp) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    if (rondo__handle_closing(&udp->base)) return RONDO_ECLOSED;
    uint32_t before = udp->flags;
    udp->flags &= ~(uint32_t)RONDO__UDP_PAUSED;
    int status = begin_reading(udp);
    if (status < 0) udp->flags = before;
    return status;
}

/* ---- watching ---- */

int rondo__udp_watch(rondo_udp *udp) {
    int events = 0;
    if (udp->fd < 0) return 0;
    if (!(udp->flags & RONDO__UDP_UNREAD)) events |= RONDO__READABLE;
    if ((udp->flags & RONDO__UDP_BLOCKED) && !rondo__alarm_is_set(&udp->retry))
        events |= RONDO__WRITABLE;
    return rondo__io_watch(udp->base.loop, &udp->io, events);
}

void rondo__udp_retry_in(rondo_udp *udp, uint64_t delay_ms) {
    rondo__alarm_set_in_ms(udp->base.loop, &udp->retry, delay_ms);
}

static void retry(rondo_loop *loop, rondo__alarm *alarm) {
    rondo_udp *udp = RONDO__OF(alarm, rondo_udp, retry);
    (void)loop;
    if (rondo__udp_wants(udp)) udp->flags &= ~(uint32_t)RONDO__UDP_UNREAD;
    if (rondo__udp_watch(udp) < 0)
        rondo__udp_retry_in(udp, RETRY_MS);
    else if (udp->flags & RONDO__UDP_BLOCKED)
        rondo__udp_send_queue(udp);
}

/* ---- life ---- */

static void udp_stop(rondo_handle *handle) {
    rondo_udp *udp = (rondo_udp *)handle;
    rondo__net *net = rondo__udp_net(udp);
    /* What the callback sent before it closes leaves, if the kernel takes it now. */
    if (udp->fd >= 0 && !(udp->flags & RONDO__UDP_BLOCKED)) rondo__udp_send_queue(udp);
    rondo__alarm_clear(&udp->retry);
    rondo__task_cancel(&udp->news);
    rondo__flush_cancel(&udp->flush);
    rondo__udp_queue_clear(&udp->out, net);
    rondo__udp_queue_clear(&udp->held, net);
    rondo__udp_queue_clear(&udp->failed, net);
    if (udp->fd < 0) return;
    rondo__io_stop(handle->loop, &udp->io);
    rondo__net_unclaim(net, udp->fd);
    rondo__socket_close(udp->fd);
    udp->fd = -1;
}

static void verify_queue(const rondo__udp_queue *queue) {
    rondo__udp_cursor cursor = rondo__udp_queue_begin(queue);
    size_t count = 0, bytes = 0;
    for (const rondo__udp_item *item; (item = rondo__udp_queue_next(&cursor)); count++)
        bytes += item->len;
    RONDO_ASSERT(count == queue->count && bytes == queue->bytes);
    RONDO_ASSERT((count == 0) == !queue->first && !queue->first == !queue->last);
}

static void udp_verify(const rondo_handle *handle) {
    const rondo_udp *udp = (const rondo_udp *)handle;
    bool closing = rondo__handle_closing(handle), active = handle->flags & RONDO__HANDLE_ACTIVE;
    bool busy = udp->out.count + udp->held.count + udp->failed.count > 0;
    RONDO_ASSERT(closing ? !active && udp->fd < 0 && !busy : active == (udp->fd >= 0));
    RONDO_ASSERT(udp->fd >= 0 || rondo__io_watched(&udp->io) == 0);
    RONDO_ASSERT(!closing || !rondo__list_linked(&udp->news.link));
    RONDO_ASSERT(!closing || !rondo__list_linked(&udp->flush.link));
    RONDO_ASSERT(!closing || !rondo__alarm_is_set(&udp->retry));
    /* Whatever waits has something that makes it go on. */
    if (udp->out.count > 0 && (udp->flags & RONDO__UDP_BLOCKED))
        RONDO_ASSERT((rondo__io_watched(&udp->io) & RONDO__WRITABLE) ||
                     rondo__alarm_is_set(&udp->retry));
    else if (udp->out.count > 0)
        RONDO_ASSERT(rondo__list_linked(&udp->flush.link));
    if (udp->failed.count > 0 || (udp->held.count > 0 && rondo__udp_wants(udp)))
        RONDO_ASSERT(rondo__list_linked(&udp->news.link));
    verify_queue(&udp->out);
    verify_queue(&udp->held);
    verify_queue(&udp->failed);
}

const rondo__kind rondo__udp_kind = {
    .name = "udp",
    .size = sizeof(rondo_udp),
    .stop = udp_stop,
    .verify = udp_verify,
    .slots_offset = offsetof(rondo_udp, on),
    .slot_count = RONDO__UDP_EVENTS,
};

rondo_udp *rondo_udp_new_at(rondo_loop *loop, const char *site) {
    rondo__loop_check(loop, "rondo_udp_new");
    if (!rondo__net_make(loop)) return NULL;
    rondo_udp *udp = rondo__handle_new(loop, &rondo__udp_kind, site);
    if (!udp) return NULL;
    rondo__io_init(&udp->io, -1, rondo__udp_ready);
    rondo__alarm_init(&udp->retry, retry);
    rondo__task_init(&udp->news, rondo__udp_report);
    rondo__flush_init(&udp->flush, rondo__udp_flush);
    udp->fd = -1;
    udp->mark = DEFAULT_MARK;
    udp->cap = DEFAULT_CAP;
    udp->max_bytes = RONDO__UDP_MOST_BYTES;
    return udp;
}

/* ---- the socket ---- */

/* Makes a socket the handle's: 0, or RONDO_ENOMEM and it is still the caller's. */
static int take_socket(rondo_udp *udp, int fd, const rondo__udp_traits *traits) {
    rondo_loop *loop = udp->base.loop;
    rondo__net *net = rondo__udp_net(udp);
    if (rondo__udp_area_need(loop, rondo__udp_place_bytes(udp)) < 0 ||
        rondo__net_claim(net, fd) < 0)
        return RONDO_ENOMEM;
    rondo__io_init(&udp->io, fd, rondo__udp_ready);
    udp->fd = fd;
    if (rondo__udp_watch(udp) < 0) {
        rondo__io_stop(loop, &udp->io);
        rondo__net_unclaim(net, fd);
        udp->fd = -1;
        return RONDO_ENOMEM;
    }
    udp->traits = *traits;
    rondo__udp_socket_prepare(fd, udp->max_bytes == RONDO__UDP_MOST_BYTES);
    if (rondo__udp_socket_sends_runs(fd)) udp->run_most = RONDO__UDP_RUN_BYTES;
    rondo__handle_activate(&udp->base);
    return 0;
}

static int bind_to(rondo_udp *udp, const rondo_address *address, bool dual) {
    rondo__udp_traits traits = {.ipv4 = dual || rondo__address_af(address) == AF_INET,
                                .ipv6 = rondo__address_af(address) == AF_INET6};
    int fd = rondo__udp_socket_bind(address, udp->how | (dual ? RONDO__UDP_DUAL : 0));
    if (fd < 0) return fd;
    int status = take_socket(udp, fd, &traits);
    if (status < 0) rondo__socket_close(fd);
    return status;
}

/* To all addresses of the machine: IPv6 and IPv4, or IPv4 where there is no IPv6. */
static int bind_anywhere(rondo_udp *udp, uint16_t port) {
    rondo_address any;
    int status = RONDO_EAFNOSUPPORT;
    if (rondo_address_parse("::", port, &any) == 0) status = bind_to(udp, &any, true);
    if (status != RONDO_EAFNOSUPPORT && status != RONDO_EADDRNOTAVAIL) return status;
    status = rondo_address_parse("0.0.0.0", port, &any);
    return status < 0 ? status : bind_to(udp, &any, false);
}

int rondo_udp_bind(rondo_udp *udp, const char *host, uint16_t port) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    rondo_address address;
    if (rondo__handle_closing(&udp->base)) return RONDO_ECLOSED;
    if (udp->fd >= 0) return RONDO_EBUSY;
    if (!host) return bind_anywhere(udp, port);
    int status = rondo_address_parse(host, port, &address);
    return status < 0 ? status : bind_to(udp, &address, false);
}

int rondo__udp_need_socket(rondo_udp *udp) { return udp->fd >= 0 ? 0 : bind_anywhere(udp, 0); }

/* Asks the kernel whom it is connected to. */
static void note_peer(rondo_udp *udp) {
    rondo_address peer;
    udp->flags &= ~(uint32_t)(RONDO__UDP_CONNECTED | RONDO__UDP_PEER_IPV4);
    if (rondo__socket_name(udp->fd, true, &peer) < 0) return;
    udp->flags |= RONDO__UDP_CONNECTED;
    if (rondo_address_family(&peer) == RONDO_FAMILY_IPV4) udp->flags |= RONDO__UDP_PEER_IPV4;
}

int rondo_udp_open(rondo_udp *udp, int fd) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    rondo__udp_traits traits;
    int before;
    if (rondo__handle_closing(&udp->base)) return RONDO_ECLOSED;
    if (udp->fd >= 0) return RONDO_EBUSY;
    if (fd < 0) return RONDO_EBADF;
    int status = rondo__udp_socket_inspect(fd, &traits);
    if (status < 0) return status;
    if (rondo__net_claimed(rondo__udp_net(udp), fd)) return RONDO_EEXIST;
    status = rondo__socket_adopt(fd, &before);
    if (status < 0) return status;
    status = take_socket(udp, fd, &traits);
    if (status < 0)
        rondo__socket_give_back(fd, before);
    else
        note_peer(udp);
    return status;
}

int rondo_udp_connect(rondo_udp *udp, const rondo_address *peer) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    rondo_address to;
    if (rondo__handle_closing(&udp->base)) return RONDO_ECLOSED;
    if (!peer && !(udp->flags & RONDO__UDP_CONNECTED)) return 0;
    int status = rondo__udp_need_socket(udp);
    if (status == 0 && peer) status = rondo__udp_target(udp, peer, &to);
    if (status < 0) return status;
    /* What is queued was meant for the peer of its time. */
    if (udp->out.count > 0 && !(udp->flags & RONDO__UDP_BLOCKED)) rondo__udp_send_queue(udp);
    if (udp->out.count > 0) {
        udp->flags |= RONDO__UDP_NEED_DRAIN;
        return RONDO_EAGAIN;
    }
    /* Linux refuses to go from a mapped address to an IPv6 one: that peer is left first. */
    bool leave = !peer || ((udp->flags & RONDO__UDP_PEER_IPV4) &&
                           rondo_address_family(peer) == RONDO_FAMILY_IPV6);
    if (leave) status = rondo__udp_socket_connect(udp->fd, NULL);
    if (status == 0 && peer) status = rondo__udp_socket_connect(udp->fd, &to);
    note_peer(udp);
    return status;
}

/* ---- settings before it ---- */

static int set_how(rondo_udp *udp, int bit, bool on) {
    if (rondo__handle_closing(&udp->base)) return RONDO_ECLOSED;
    if (udp->fd >= 0) return RONDO_EBUSY;
    udp->how = on ? udp->how | bit : udp->how & ~bit;
    return 0;
}

int rondo_udp_set_reuse_port(rondo_udp *udp, bool on) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    return set_how(udp, RONDO__UDP_REUSE_PORT, on);
}

int rondo_udp_set_reuse_address(rondo_udp *udp, bool on) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    return set_how(udp, RONDO__UDP_REUSE_ADDRESS, on);
}

int rondo_udp_set_max_bytes(rondo_udp *udp, size_t bytes) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    if (rondo__handle_closing(&udp->base)) return RONDO_ECLOSED;
    if (udp->fd >= 0) return RONDO_EBUSY;
    if (bytes < 1 || bytes > RONDO__UDP_MOST_BYTES) return RONDO_EINVAL;
    udp->max_bytes = bytes;
    return 0;
}

/* ---- settings at any time ---- */

int rondo_udp_set_high_water(rondo_udp *udp, size_t mark_bytes, size_t cap_bytes) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    if (rondo__handle_closing(&udp->base)) return RONDO_ECLOSED;
    udp->mark = mark_bytes > 0 ? mark_bytes : 1;
    udp->cap = cap_bytes > udp->mark ? cap_bytes : udp->mark;
    return 0;
}

int rondo__udp_settable(const rondo_udp *udp) {
    if (rondo__handle_closing(&udp->base)) return RONDO_ECLOSED;
    return udp->fd < 0 ? RONDO_ENOTCONN : 0;
}

int rondo_udp_set_kernel_buffers(rondo_udp *udp, size_t receive_bytes, size_t send_bytes) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    int status = rondo__udp_settable(udp);
    if (status < 0) return status;
    if (receive_bytes > INT_MAX || send_bytes > INT_MAX) return RONDO_EINVAL;
    return rondo__udp_socket_set_buffers(udp->fd, (int)receive_bytes, (int)send_bytes);
}

/* ---- questions ---- */

int rondo_udp_local(const rondo_udp *udp, rondo_address *ret_address) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    int status = rondo__udp_settable(udp);
    return status < 0 ? status : rondo__socket_name(udp->fd, false, ret_address);
}

int rondo_udp_peer(const rondo_udp *udp, rondo_address *ret_address) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    int status = rondo__udp_settable(udp);
    return status < 0 ? status : rondo__socket_name(udp->fd, true, ret_address);
}

void rondo_udp_get_figures(const rondo_udp *udp, rondo_udp_figures *ret_figures) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    *ret_figures = udp->figures;
    ret_figures->queued_messages = udp->out.count;
    ret_figures->queued_bytes = udp->out.bytes;
}
