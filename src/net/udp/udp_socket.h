/* SPDX-License-Identifier: MIT
 *
 * Every system call on a UDP socket that net/socket.h has no function for, with its fallback for
 * systems that lack it. All functions return a negative RONDO_E* on failure. Internal.
 */
#ifndef RONDO__UDP_SOCKET_H
#define RONDO__UDP_SOCKET_H

#include "net/address.h"

#include <sys/uio.h>

#define RONDO__UDP_BATCH 64         /* datagrams in one system call */
#define RONDO__UDP_MOST_BYTES 65535 /* that a datagram can have */
#define RONDO__UDP_RUN_BYTES 65000  /* that one run of equal datagrams has, headers apart */
#define RONDO__UDP_RUN_DATAGRAMS 64 /* UDP_MAX_SEGMENTS of Linux 5.10 */

/* ---- life ---- */

enum {
    RONDO__UDP_DUAL = 1 << 0, /* IPv4 as well on an IPv6 socket */
    RONDO__UDP_REUSE_PORT = 1 << 1,
    RONDO__UDP_REUSE_ADDRESS = 1 << 2
};
/* A socket bound to the address. Returns the fd. */
int rondo__udp_socket_bind(const rondo_address *address, int how);

typedef struct rondo__udp_traits {
    bool ipv4, ipv6; /* whom it can reach */
} rondo__udp_traits;
/* What a foreign fd is; changes nothing. RONDO_EBADF, RONDO_ENOTSOCK, RONDO_ENOTSUP. */
int rondo__udp_socket_inspect(int fd, rondo__udp_traits *ret_traits);

/* Asks for what this system has: errors of the network, the count of dropped datagrams, and with
 * `join` datagrams of one sender joined into one buffer (GRO). */
void rondo__udp_socket_prepare(int fd, bool join);
/* Whether it can send runs of equal datagrams as one (GSO). */
bool rondo__udp_socket_sends_runs(int fd);

/* peer NULL: to nobody any more. */
int rondo__udp_socket_connect(int fd, const rondo_address *peer);

/* ---- receiving ---- */

/* Room for a batch. */
typedef struct rondo__udp_area rondo__udp_area;
/* For datagrams of up to `bytes`; NULL when out of memory. */
rondo__udp_area *rondo__udp_area_new(size_t bytes);
void rondo__udp_area_free(rondo__udp_area *area);

/* Receives up to `most` datagrams, none longer than `bytes`; how many came. */
int rondo__udp_socket_receive(int fd, rondo__udp_area *area, int most, size_t bytes);

/* What one place of the area holds: a datagram, or several of `segment` bytes, the last maybe
 * shorter. */
typedef struct rondo__udp_packet {
    const rondo_address *from;
    const char *data;
    size_t len;
    size_t segment; /* 0: it is one datagram */
    bool truncated;
    bool drops_known;
    uint32_t drops; /* by the kernel since the socket was made, modulo 2^32 */
} rondo__udp_packet;
void rondo__udp_area_packet(rondo__udp_area *area, int index, rondo__udp_packet *ret_packet);

/* Takes one error of the network from the socket: the error, 0 for something else that was in the
 * queue, and whom the datagram was for (no address: unknown). RONDO_EAGAIN: no more. */
int rondo__udp_socket_receive_error(int fd, int *ret_error, rondo_address *ret_to);

/* ---- sending ---- */

/* A datagram, or a run of them to one address: a piece each, all of `segment` bytes, the last maybe
 * shorter. */
typedef struct rondo__udp_parcel {
    const void *address; /* a struct sockaddr; NULL: the connected peer */
    uint32_t address_len;
    struct iovec *pieces;
    int count;
    size_t bytes;   /* in all */
    size_t segment; /* of the first piece */
} rondo__udp_parcel;
/* How many of the parcels were taken, at least 1; or why the first one wasn't. */
int rondo__udp_socket_send(int fd, const rondo__udp_parcel *parcels, int count);

/* ---- settings; each for the families that the traits name ---- */

int rondo__udp_socket_set_buffers(int fd, int receive_bytes, int send_bytes); /* 0: leave */
int rondo__udp_socket_set_broadcast(int fd, bool on);
int rondo__udp_socket_set_ttl(int fd, const rondo__udp_traits *traits, int hops);
int rondo__udp_socket_set_multicast_ttl(int fd, const rondo__udp_traits *traits, int hops);
int rondo__udp_socket_set_multicast_loop(int fd, const rondo__udp_traits *traits, bool on);

typedef struct rondo__udp_interface {
    unsigned index;        /* 0: the system's choice */
    rondo_address address; /* if it was named by one */
} rondo__udp_interface;
/* By name, by address, or NULL: 0, RONDO_ENODEV, or what the system is short of. */
int rondo__udp_find_interface(const char *name, rondo__udp_interface *ret_interface);
int rondo__udp_socket_set_multicast_interface(int fd, const rondo__udp_traits *traits,
                                              const rondo__udp_interface *through);
/* source NULL: anybody. */
int rondo__udp_socket_join(int fd, bool join, const rondo_address *group, unsigned interface_index,
                           const rondo_address *source);

#endif
