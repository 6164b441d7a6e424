/* SPDX-License-Identifier: MIT
 *
 * The system calls of UDP sockets: life, and datagrams in batches. The settings are in
 * udp_options.c. Where there is no sendmmsg(2) and recvmmsg(2) a batch is a loop of single calls,
 * and without GRO, GSO and an error queue the functions say so.
 */
#define _GNU_SOURCE /* recvmmsg, sendmmsg */
#include "net/udp/udp_socket.h"

#include <rondo/error.h>

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "loop/assert.h"
#include "loop/memory.h"
#include "net/socket.h"
#include "net/socket_adopt.h"
#include "net/socket_calls.h"

#if defined(__linux__)
#include <linux/errqueue.h>
#include <netinet/udp.h>
#define SOCKET_TYPE (SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
typedef struct mmsghdr message_header;
#else
#define SOCKET_TYPE SOCK_DGRAM
typedef struct message_header {
    struct msghdr msg_hdr;
    unsigned msg_len;
} message_header;
#endif

/* ---- life ---- */

static int set_on(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value) < 0 ? rondo__socket_failure() : 0;
}

/* What must be said before bind(2). */
static int configure(int fd, int family, int how) {
    int status = 0, flags;
    if (family == AF_INET6)
        status = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY, !(how & RONDO__UDP_DUAL));
    if (status == 0 && (how & RONDO__UDP_REUSE_ADDRESS))
        status = set_on(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (status == 0 && (how & RONDO__UDP_REUSE_PORT))
        status = set_on(fd, SOL_SOCKET, SO_REUSEPORT, 1);
#if defined(__linux__)
    (void)flags;
    /* Otherwise a socket bound to any address hears every group that anybody on this machine has
     * joined (ip(7), IP_MULTICAST_ALL). Old kernels lack the second. */
    if (family == AF_INET6) set_on(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
    set_on(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
#else
    if (status == 0) status = rondo__socket_adopt(fd, &flags);
#endif
    return status;
}

int rondo__udp_socket_bind(const rondo_address *address, int how) {
    int family = rondo__address_af(address);
    int fd = socket(family, SOCKET_TYPE, 0);
    if (fd < 0) return rondo__socket_failure();
    int status = configure(fd, family, how);
    if (status == 0 && bind(fd, rondo__sockaddr_const(address), address->len) < 0)
        status = rondo__socket_failure();
    if (status < 0) rondo__socket_close(fd);
    return status < 0 ? status : fd;
}

static int question(int fd, int level, int option) {
    int value = 0;
    socklen_t len = sizeof value;
    return getsockopt(fd, level, option, &value, &len) < 0 ? rondo__socket_failure() : value;
}

int rondo__udp_socket_inspect(int fd, rondo__udp_traits *ret_traits) {
    rondo_address local;
    int type = question(fd, SOL_SOCKET, SO_TYPE);
    if (type < 0) return type;
    if (type != SOCK_DGRAM || rondo__socket_name(fd, false, &local) < 0) return RONDO_ENOTSUP;
#if defined(__linux__)
    if (question(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_UDP) return RONDO_ENOTSUP; /* ping */
#endif
    int family = rondo__address_af(&local);
    if (family != AF_INET && family != AF_INET6) return RONDO_ENOTSUP;
    ret_traits->ipv6 = family == AF_INET6;
    ret_traits->ipv4 = family == AF_INET || question(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
    return 0;
}

void rondo__udp_socket_prepare(int fd, bool join) {
#if defined(__linux__)
    /* An IPv6 socket that takes IPv4 too needs both, and an IPv4 one refuses the second. */
    set_on(fd, IPPROTO_IP, IP_RECVERR, 1);
    set_on(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
    set_on(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
    /* Also when it is to be off: a foreign fd may have it on. */
    set_on(fd, IPPROTO_UDP, UDP_GRO, join);
#else
    (void)fd, (void)join;
#endif
}

bool rondo__udp_socket_sends_runs(int fd) {
#if defined(__linux__)
    /* A kernel that doesn't know it would ignore it and send a run as one large datagram. */
    return question(fd, IPPROTO_UDP, UDP_SEGMENT) >= 0;
#else
    return (void)fd, false;
#endif
}

/* Ending the connection makes Linux forget a port that it has chosen itself (udp_disconnect), and
 * with it how others reach us: it is taken again. */
static int disconnect(int fd) {
    struct sockaddr nobody;
    rondo_address before, after;
    int result, status = rondo__socket_name(fd, false, &before);
    if (status < 0) return status;
    memset(&nobody, 0, sizeof nobody);
    nobody.sa_family = AF_UNSPEC;
    RONDO__RETRY(result, connect(fd, &nobody, sizeof nobody));
    if (result < 0 && errno != EAFNOSUPPORT)
        return rondo__socket_failure(); /* BSD says that, and has done it */
    status = rondo__socket_name(fd, false, &after);
    if (status < 0 || rondo_address_port(&after) != 0) return status;
    rondo__address_set_port(&after, rondo_address_port(&before));
    return bind(fd, rondo__sockaddr_const(&after), after.len) < 0 ? rondo__socket_failure() : 0;
}

int rondo__udp_socket_connect(int fd, const rondo_address *peer) {
    int result;
    if (!peer) return disconnect(fd);
    RONDO__RETRY(result, connect(fd, rondo__sockaddr_const(peer), peer->len));
    return result < 0 ? rondo__socket_failure() : 0;
}

/* ---- receiving ---- */

#define CONTROL_BYTES 320 /* also for what the program asked a foreign fd for: times, ... */

/* The headers stay filled in from one call to the next; only what the kernel changed in them is set
 * again. */
struct rondo__udp_area {
    message_header headers[RONDO__UDP_BATCH];
    struct iovec pieces[RONDO__UDP_BATCH];
    rondo_address from[RONDO__UDP_BATCH];
    union {
        struct cmsghdr alignment;
        char bytes[CONTROL_BYTES];
    } control[RONDO__UDP_BATCH];
    size_t bytes; /* of each place */
    size_t asked; /* that the pieces are set to */
    int used;     /* headers that the last call has changed */
    char data[];
};

/* Places are a whole number of cache lines apart, and not a power of two: else the beginnings of
 * all of them would fight for the same few lines. */
static size_t stride(size_t bytes) { return (bytes + 63) / 64 * 64 + 64; }

rondo__udp_area *rondo__udp_area_new(size_t bytes) {
    rondo__udp_area *area =
        rondo__alloc(offsetof(rondo__udp_area, data) + stride(bytes) * RONDO__UDP_BATCH);
    if (!area) return NULL;
    memset(area, 0, offsetof(rondo__udp_area, data)); /* the pages behind stay untouched */
    area->bytes = bytes;
    area->used = RONDO__UDP_BATCH;
    for (int i = 0; i < RONDO__UDP_BATCH; i++) {
        struct msghdr *header = &area->headers[i].msg_hdr;
        header->msg_name = area->from[i].socket.bytes;
        header->msg_control = area->control[i].bytes;
        header->msg_iov = &area->pieces[i];
        header->msg_iovlen = 1;
        area->pieces[i].iov_base = area->data + stride(bytes) * (size_t)i;
    }
    return area;
}

void rondo__udp_area_free(rondo__udp_area *area) { rondo__free(area); }

static void reset(rondo__udp_area *area, size_t bytes) {
    for (int i = 0; i < area->used; i++) {
        struct msghdr *header = &area->headers[i].msg_hdr;
        header->msg_namelen = sizeof area->from[i].socket.bytes;
        header->msg_controllen = CONTROL_BYTES;
    }
    area->used = 0;
    if (area->asked == bytes) return;
    for (int i = 0; i < RONDO__UDP_BATCH; i++) area->pieces[i].iov_len = bytes;
    area->asked = bytes;
}

static int receive_batch(int fd, message_header *headers, int most) {
    int count = 0;
#if defined(__linux__)
    RONDO__RETRY(count, recvmmsg(fd, headers, (unsigned)most, 0, NULL));
    return count < 0 ? rondo__socket_failure() : count;
#else
    while (count < most) {
        ssize_t len;
        RONDO__RETRY(len, recvmsg(fd, &headers[count].msg_hdr, 0));
        if (len < 0) break;
        headers[count++].msg_len = (unsigned)len;
    }
    return count > 0 ? count : rondo__socket_failure();
#endif
}

int rondo__udp_socket_receive(int fd, rondo__udp_area *area, int most, size_t bytes) {
    RONDO_ASSERT(most > 0 && most <= RONDO__UDP_BATCH && bytes <= area->bytes);
    reset(area, bytes);
    int count = receive_batch(fd, area->headers, most);
    area->used = count > 0 ? count : 1;
    return count;
}

static void read_control(struct msghdr *header, rondo__udp_packet *packet) {
#if defined(__linux__)
    for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item; item = CMSG_NXTHDR(header, item)) {
        if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SO_RXQ_OVFL) {
            packet->drops_known = true;
            memcpy(&packet->drops, CMSG_DATA(item), sizeof packet->drops);
        } else if (item->cmsg_level == IPPROTO_UDP && item->cmsg_type == UDP_GRO) {
            int segment; /* udp(7) says uint16_t, the kernel gives an int */
            memcpy(&segment, CMSG_DATA(item), sizeof segment);
            if (segment > 0) packet->segment = (size_t)segment;
        }
    }
#else
    (void)header, (void)packet;
#endif
}

void rondo__udp_area_packet(rondo__udp_area *area, int index, rondo__udp_packet *ret_packet) {
    RONDO_ASSERT(index < area->used);
    struct msghdr *header = &area->headers[index].msg_hdr;
    rondo_address *from = &area->from[index];
    /* What an address of another family left behind it goes: see rondo_address. */
    if (header->msg_namelen < from->len)
        memset(from->socket.bytes + header->msg_namelen, 0, from->len - header->msg_namelen);
    from->len = header->msg_namelen;
    *ret_packet = (rondo__udp_packet){
        .from = from,
        .data = area->pieces[index].iov_base,
        .len = area->headers[index].msg_len,
        .truncated = (header->msg_flags & MSG_TRUNC) != 0,
    };
    if (header->msg_controllen > 0) read_control(header, ret_packet);
}

int rondo__udp_socket_receive_error(int fd, int *ret_error, rondo_address *ret_to) {
#if defined(__linux__)
    /* The payload of what we sent comes too; it isn't wanted. */
    struct sockaddr_storage name;
    union {
        struct cmsghdr alignment;
        char bytes[512];
    } control;
    struct msghdr header = {.msg_name = &name,
                            .msg_namelen = sizeof name,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes};
    ssize_t result;
    RONDO__RETRY(result, recvmsg(fd, &header, MSG_ERRQUEUE));
    if (result < 0) return rondo__socket_failure();
    int error = 0;
    for (struct cmsghdr *item = CMSG_FIRSTHDR(&header); item; item = CMSG_NXTHDR(&header, item)) {
        struct sock_extended_err what;
        bool is_error = (item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_RECVERR) ||
                        (item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_RECVERR);
        if (!is_error) continue;
        memcpy(&what, CMSG_DATA(item), sizeof what);
        /* Local ones were returned by the call that sent; others are time stamps and the like. */
        if (what.ee_origin == SO_EE_ORIGIN_ICMP || what.ee_origin == SO_EE_ORIGIN_ICMP6)
            error = rondo_error_from_errno((int)what.ee_errno);
    }
    memset(ret_to, 0, sizeof *ret_to);
    rondo_address_from_sockaddr(&name, header.msg_namelen, ret_to);
    *ret_error = error;
    return 0;
#else
    (void)fd, (void)ret_error, (void)ret_to;
    return RONDO_EAGAIN;
#endif
}

/* ---- sending ---- */

typedef union run_control {
    struct cmsghdr alignment;
    char bytes[CMSG_SPACE(sizeof(uint16_t))];
} run_control;

static void fill(message_header *message, const rondo__udp_parcel *parcel, run_control *control) {
    struct msghdr *header = &message->msg_hdr;
    memset(message, 0, sizeof *message);
    header->msg_name = (void *)(uintptr_t)parcel->address; /* only read */
    header->msg_namelen = parcel->address_len;
    header->msg_iov = parcel->pieces;
    header->msg_iovlen = (size_t)parcel->count;
    if (parcel->count == 1) return;
#if defined(__linux__)
    uint16_t segment = (uint16_t)parcel->segment;
    memset(control, 0, sizeof *control);
    header->msg_control = control->bytes;
    header->msg_controllen = sizeof control->bytes;
    struct cmsghdr *item = CMSG_FIRSTHDR(header);
    item->cmsg_level = IPPROTO_UDP;
    item->cmsg_type = UDP_SEGMENT;
    item->cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(item), &segment, sizeof segment);
#else
    RONDO_ASSERT(!control); /* nobody makes runs there */
#endif
}

int rondo__udp_socket_send(int fd, const rondo__udp_parcel *parcels, int count) {
    message_header messages[RONDO__UDP_BATCH];
    run_control controls[RONDO__UDP_BATCH];
    ssize_t result = 0;
    RONDO_ASSERT(count > 0 && count <= RONDO__UDP_BATCH);
    for (int i = 0; i < count; i++) fill(&messages[i], &parcels[i], &controls[i]);
#if defined(__linux__)
    if (count > 1) {
        RONDO__RETRY(result, sendmmsg(fd, messages, (unsigned)count, MSG_NOSIGNAL));
        return result < 0 ? rondo__socket_failure() : (int)result;
    }
#else
    count = 1;              /* the caller comes again for the others */
#endif
    RONDO__RETRY(result, sendmsg(fd, &messages[0].msg_hdr, MSG_NOSIGNAL));
    return result < 0 ? rondo__socket_failure() : count;
}
