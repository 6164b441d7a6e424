/* SPDX-License-Identifier: MIT
 *
 * Sending. rondo_udp_send() only queues; the flush after the callback sends all of it in few system
 * calls. Datagrams of one size to one address that stand behind one another leave as a run, which
 * the kernel or the card takes apart (GSO, UDP_SEGMENT of udp(7)); a refused run is sent one by
 * one, and such runs are not tried again.
 *
 * An error that a call returns may be of an earlier datagram: the kernel keeps what an ICMP message
 * said until the next call on the socket (ip(7), IP_RECVERR). So a datagram is refused only when it
 * fails twice, and what was said about others is read from the error queue afterwards.
 */
#include "net/udp/udp_handle.h"

#include <netinet/in.h>

/* One flush sends so many; then others get their turn, and it goes on in the next poll phase. */
#define FLUSH_DATAGRAMS 1024
/* Times that one is tried before the error is its own. */
#define TRIES 2
/* What is left of an Ethernet frame, and of the smallest that IPv6 allows (RFC 8200, 5). */
#define ETHERNET_SEGMENT 1452
#define SMALLEST_SEGMENT 1232
#define FULL_RETRY_MS 1

/* ---- what a call on it checks ---- */

static size_t most_bytes(rondo_family family) {
    return family == RONDO_FAMILY_IPV4 ? 65507 : 65527;
}

/* The IPv4 address in the form that the socket takes. */
static void map_ipv4(const rondo_address *address, bool mapped, rondo_address *ret_address) {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memset(&v4, 0, sizeof v4);
    memset(&v6, 0, sizeof v6);
    memcpy(&v6, address->socket.bytes, sizeof v6);
    if (rondo__address_af(address) == AF_INET) {
        memcpy(&v4, address->socket.bytes, sizeof v4);
    } else {
        v4.sin_family = AF_INET;
        v4.sin_port = v6.sin6_port;
        memcpy(&v4.sin_addr, &v6.sin6_addr.s6_addr[12], 4);
    }
    memset(&v6, 0, sizeof v6);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = v4.sin_port;
    memset(&v6.sin6_addr.s6_addr[10], 0xff, 2);
    memcpy(&v6.sin6_addr.s6_addr[12], &v4.sin_addr, 4);
    memset(ret_address, 0, sizeof *ret_address);
    if (mapped)
        memcpy(ret_address->socket.bytes, &v6, sizeof v6);
    else
        memcpy(ret_address->socket.bytes, &v4, sizeof v4);
    ret_address->len = mapped ? sizeof v6 : sizeof v4;
}

int rondo__udp_target(const rondo_udp *udp, const rondo_address *to, rondo_address *ret_target) {
    rondo_family family = rondo_address_family(to);
    if (family == RONDO_FAMILY_NONE) return RONDO_EINVAL;
    if (family == RONDO_FAMILY_IPV4 ? !udp->traits.ipv4
                                    : family != RONDO_FAMILY_IPV6 || !udp->traits.ipv6)
        return RONDO_EAFNOSUPPORT;
    if (rondo_address_port(to) == 0) return RONDO_EINVAL;
    if (family == RONDO_FAMILY_IPV4)
        map_ipv4(to, udp->traits.ipv6, ret_target);
    else
        *ret_target = *to;
    return 0;
}

/* Whether this may be sent: 0, with the address to give to the kernel (none: the peer's). */
static int check(rondo_udp *udp, const rondo_address *to, rondo_slice data,
                 rondo_address *ret_target) {
    if (rondo__handle_closing(&udp->base)) return RONDO_ECLOSED;
    bool connected = (udp->flags & RONDO__UDP_CONNECTED) != 0;
    if (!to && !connected) return RONDO_ENOTCONN;
    if (to && connected) return RONDO_EISCONN;
    int status = rondo__udp_need_socket(udp);
    ret_target->len = 0;
    if (status == 0 && to) status = rondo__udp_target(udp, to, ret_target);
    if (status < 0) return status;
    rondo_family family = to                                    ? rondo_address_family(to)
                          : (udp->flags & RONDO__UDP_PEER_IPV4) ? RONDO_FAMILY_IPV4
                                                                : RONDO_FAMILY_IPV6;
    return data.len > most_bytes(family) ? RONDO_EMSGSIZE : 0;
}

int rondo_udp_send(rondo_udp *udp, const rondo_address *to, rondo_slice data) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    rondo_address target;
    int status = check(udp, to, data, &target);
    if (status < 0) return status;
    if (rondo__udp_cost(&udp->out) >= udp->cap) return RONDO_ENOBUFS;
    status = rondo__udp_queue_add(&udp->out, rondo__udp_net(udp), target.len > 0 ? &target : NULL,
                                  data, 0);
    if (status < 0) return status;
    rondo__flush_later(udp->base.loop, &udp->flush);
    if (rondo__udp_cost(&udp->out) < udp->mark) return 1;
    udp->flags |= RONDO__UDP_NEED_DRAIN;
    return 0;
}

int64_t rondo_udp_try_send(rondo_udp *udp, const rondo_address *to, rondo_slice data) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    rondo_address target;
    int status = check(udp, to, data, &target);
    if (status < 0) return status;
    if (udp->out.count > 0) return RONDO_EAGAIN;
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data.data, .iov_len = data.len};
    rondo__udp_parcel parcel = {.address = target.len > 0 ? target.socket.bytes : NULL,
                                .address_len = target.len,
                                .pieces = &piece,
                                .count = 1};
    for (int tries = 0; tries < TRIES; tries++) {
        status = rondo__udp_socket_send(udp->fd, &parcel, 1);
        if (status == RONDO_EAGAIN) return status;
        if (status > 0) {
            udp->figures.messages_out++;
            udp->figures.bytes_out += data.len;
            return (int64_t)data.len;
        }
        rondo__udp_suspect(udp);
    }
    return status;
}

/* ---- from the queue to parcels ---- */

struct gathered {
    rondo__udp_parcel parcels[RONDO__UDP_BATCH];
    struct iovec pieces[RONDO__UDP_BATCH];
    int parcel_count, piece_count;
};

/* Whether the datagram may go at the end of the run that this parcel is, or begins to be. */
static bool extends(const rondo__udp_parcel *run, const rondo__udp_item *item, size_t run_most) {
    return run->segment > 0 && run->segment <= run_most && item->len > 0 &&
           item->len <= run->segment &&
           run->bytes == run->segment * (size_t)run->count && /* no short one yet: it is the last */
           run->bytes + item->len <= RONDO__UDP_RUN_BYTES &&
           run->count < RONDO__UDP_RUN_DATAGRAMS && item->address_len == run->address_len &&
           (item->address_len == 0 ||
            memcmp(item->address.bytes, run->address, item->address_len) == 0);
}

static void gather(const rondo_udp *udp, size_t run_most, struct gathered *batch) {
    rondo__udp_cursor cursor = rondo__udp_queue_begin(&udp->out);
    rondo__udp_parcel *last = NULL;
    const rondo__udp_item *item;
    batch->parcel_count = batch->piece_count = 0;
    while (batch->piece_count < RONDO__UDP_BATCH && (item = rondo__udp_queue_next(&cursor))) {
        struct iovec *piece = &batch->pieces[batch->piece_count++];
        piece->iov_base = (void *)(uintptr_t)item->data;
        piece->iov_len = item->len;
        if (last && extends(last, item, run_most)) {
            last->count++;
            last->bytes += item->len;
            continue;
        }
        last = &batch->parcels[batch->parcel_count++];
        *last = (rondo__udp_parcel){
            .address = item->address_len > 0 ? item->address.bytes : NULL,
            .address_len = item->address_len,
            .pieces = piece,
            .count = 1,
            .bytes = item->len,
            .segment = item->len,
        };
    }
}

/* ---- from parcels to the kernel ---- */

static void taken(rondo_udp *udp, const rondo__udp_parcel *parcel) {
    udp->figures.messages_out += (uint64_t)parcel->count;
    udp->figures.bytes_out += parcel->bytes;
    for (int i = parcel->count; i > 0; i--) rondo__udp_queue_pop(&udp->out, rondo__udp_net(udp));
}

/* A run was refused. If its size may be the reason, smaller ones are allowed still, in two steps;
 * a device or a kernel that can't do it says so for all sizes (EIO: no checksums). */
static void allow_less(rondo_udp *udp, size_t segment, int error) {
    bool too_large = error == RONDO_EINVAL || error == RONDO_EMSGSIZE;
    if (too_large && segment > ETHERNET_SEGMENT)
        udp->run_most = ETHERNET_SEGMENT;
    else if (too_large && segment > SMALLEST_SEGMENT)
        udp->run_most = SMALLEST_SEGMENT;
    else
        udp->run_most = 0;
}

/* Until the queue is empty: 0. Or why it stopped: RONDO_EAGAIN or RONDO_ENOBUFS. */
static int send_all(rondo_udp *udp) {
    struct gathered batch;
    int left = FLUSH_DATAGRAMS, tries = 0;
    while (udp->out.count > 0) {
        if (left <= 0) return RONDO_EAGAIN;
        /* When one fails, it is looked at alone. */
        gather(udp, tries == 0 ? udp->run_most : 0, &batch);
        int sent = rondo__udp_socket_send(udp->fd, batch.parcels, batch.parcel_count);
        if (sent == RONDO_EAGAIN) return sent;
        if (sent == RONDO_ENOBUFS || sent == RONDO_ENOMEM) return RONDO_ENOBUFS;
        if (sent < batch.parcel_count) rondo__udp_suspect(udp);
        if (sent > 0) {
            tries = 0;
            for (int i = 0; i < sent; i++) {
                left -= batch.parcels[i].count;
                taken(udp, &batch.parcels[i]);
            }
        } else if (batch.parcels[0].count > 1) {
            bool refused = sent == RONDO_EIO || sent == RONDO_EINVAL || sent == RONDO_EMSGSIZE ||
                           sent == RONDO_ENOTSUP;
            if (refused) allow_less(udp, batch.parcels[0].segment, sent);
            tries = 1;
        } else if (++tries >= TRIES) {
            tries = 0;
            left--;
            rondo__udp_note_failed(udp, sent, rondo__udp_queue_oldest(&udp->out));
            rondo__udp_queue_pop(&udp->out, rondo__udp_net(udp));
        }
    }
    return 0;
}

/* RONDO_ENOBUFS: the device's queue is full, or memory is short. The socket counts as writable all
 * the same, so waiting for that would be spinning. */
static void block(rondo_udp *udp, int status) {
    udp->flags |= RONDO__UDP_BLOCKED;
    if (status == RONDO_ENOBUFS || rondo__udp_watch(udp) < 0)
        rondo__udp_retry_in(udp, FULL_RETRY_MS);
    rondo__udp_watch(udp);
}

void rondo__udp_send_queue(rondo_udp *udp) {
    RONDO_ASSERT(!rondo__handle_closing(&udp->base));
    int status = send_all(udp);
    if (status < 0) {
        block(udp, status);
        return;
    }
    udp->flags &= ~(uint32_t)RONDO__UDP_BLOCKED;
    rondo__udp_watch(udp); /* wanting less can't fail */
    if (udp->flags & RONDO__UDP_NEED_DRAIN) rondo__udp_report_later(udp);
}

void rondo__udp_flush(rondo__flush *flush) {
    rondo_udp *udp = RONDO__OF(flush, rondo_udp, flush);
    if (!(udp->flags & RONDO__UDP_BLOCKED)) rondo__udp_send_queue(udp);
}
