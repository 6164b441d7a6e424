/* SPDX-License-Identifier: MIT
 *
 * Datagrams: UDP over IPv4 and IPv6 (RFC 768). Received in batches (recvmmsg(2), and GRO where the
 * kernel has it), sent in batches: what one callback sends leaves together when it returns
 * (sendmmsg(2), GSO for runs of equal size to one address). UDP itself promises nothing: datagrams
 * are lost, doubled and reordered; a sent one that the kernel has taken may still never arrive.
 * What is sent in answer to the datagrams of one batch leaves together, when all of them were told.
 *
 * Receiving starts with the first `message` listener. An `error` is about datagrams, not about the
 * handle: it stays open. Without a listener errors are counted (rondo_metrics.unheard_errors),
 * since anybody can send an ICMP message.
 *
 * A handle is active from rondo_udp_bind(), rondo_udp_open() or the first send until it is closed.
 * rondo_close() makes one last attempt to send what is queued, without waiting; the rest is lost.
 * Nothing else of the handle happens after it: neither what was received already nor errors are
 * told any more. Loop thread only.
 */
#ifndef RONDO_UDP_H
#define RONDO_UDP_H

#include <rondo/address.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rondo_udp_message {
    rondo_slice data;          /* the library's, until the callback returns; may be empty */
    const rondo_address *from; /* likewise */
    bool truncated;            /* longer than rondo_udp_set_max_bytes(): its end is lost */
} rondo_udp_message;
typedef void (*rondo_udp_message_cb)(rondo_udp *udp, const rondo_udp_message *message, void *arg);
typedef void (*rondo_udp_cb)(rondo_udp *udp, void *arg);
/* to: whom the datagram was for, NULL when the kernel didn't say. */
typedef void (*rondo_udp_error_cb)(rondo_udp *udp, int error, const rondo_address *to, void *arg);

#define rondo_udp_new(loop) rondo_udp_new_at((loop), RONDO_HERE)
RONDO_API rondo_udp *rondo_udp_new_at(rondo_loop *loop, const char *site);

/* A datagram came. At most RONDO_BUDGET_datagrams of them in one turn. */
RONDO_DECLARE_EVENT(rondo_udp, rondo_udp, message, rondo_udp_message_cb);
/* After rondo_udp_send() said 0: the queue is empty again. */
RONDO_DECLARE_EVENT(rondo_udp, rondo_udp, drain, rondo_udp_cb);
/* Sending failed, or the network reported (ICMP, RFC 1122 4.1.3.3): RONDO_ECONNREFUSED (nobody has
 * that port), RONDO_EHOSTUNREACH, RONDO_ENETUNREACH, RONDO_EMSGSIZE (larger than the path takes),
 * RONDO_EPERM (a firewall), RONDO_EACCES (see rondo_udp_set_broadcast()), ... Told in the pending
 * or the poll phase. When many fail at once, some are only counted; and for equal datagrams sent
 * together to one address the network may report once. */
RONDO_DECLARE_EVENT(rondo_udp, rondo_udp, error, rondo_udp_error_cb);

/* ---- settings before rondo_udp_bind(); RONDO_EBUSY behind it ---- */

/* Several sockets share the address: the kernel spreads datagrams over them (SO_REUSEPORT), or each
 * gets every multicast one (SO_REUSEADDR). */
RONDO_API int rondo_udp_set_reuse_port(rondo_udp *udp, bool on);
RONDO_API int rondo_udp_set_reuse_address(rondo_udp *udp, bool on);
/* The longest datagram to receive, 65,535 unless set; 1 to 65,535. All handles of a loop receive
 * into one area with room for 64 datagrams of the largest maximum: 4 MiB unless every handle sets a
 * smaller one, of which only what datagrams have filled takes real memory. Setting any does without
 * GRO. */
RONDO_API int rondo_udp_set_max_bytes(rondo_udp *udp, size_t bytes);

/* Binds. host as of rondo_address_parse(), NULL: "::" with IPv4 too if the machine has IPv6, else
 * "0.0.0.0". port 0 takes a free one. Without it the first send or connect binds as with NULL and
 * 0. Returns 0, RONDO_EINVAL, RONDO_EADDRINUSE, RONDO_EADDRNOTAVAIL, RONDO_EACCES, RONDO_EBUSY
 * (bound already), RONDO_ECLOSED, RONDO_ENOMEM, RONDO_EMFILE, ... */
RONDO_API int rondo_udp_bind(rondo_udp *udp, const char *host, uint16_t port);
/* Takes over a datagram socket, bound or not (made non-blocking and close-on-exec): 0, RONDO_EBUSY,
 * RONDO_EBADF, RONDO_ENOTSOCK, RONDO_ENOTSUP (not a UDP socket), RONDO_EEXIST (a handle of this
 * loop has it), RONDO_ECLOSED, RONDO_ENOMEM. On failure the fd is still the caller's. */
RONDO_API int rondo_udp_open(rondo_udp *udp, int fd);
/* Talks to one peer only: others' datagrams that come from now on are dropped by the kernel. NULL:
 * to everybody again. What is queued goes to whom it was meant for first; RONDO_EAGAIN when the
 * kernel is full: try again at `drain`. 0, RONDO_ECLOSED, or as of rondo_udp_bind() and rondo_udp_send(), or of the
 * kernel, such as RONDO_ENETUNREACH; then an earlier peer may be lost, as rondo_udp_peer() tells.
 */
RONDO_API int rondo_udp_connect(rondo_udp *udp, const rondo_address *peer);

/* ---- sending ---- */

/* Queues a copy of a datagram to `to` (NULL: the connected peer). Returns 1: go on; 0: taken, but
 * wait for `drain`; RONDO_ECLOSED; RONDO_EMSGSIZE (above 65,507 bytes; 65,527 over IPv6);
 * RONDO_EINVAL (an empty address, or one with port 0); RONDO_EAFNOSUPPORT (not of the socket's
 * family); RONDO_ENOTCONN (NULL without a peer); RONDO_EISCONN (connected, and `to` isn't NULL);
 * RONDO_ENOBUFS: not taken, the queue is at its cap; RONDO_ENOMEM; as of rondo_udp_bind() when this
 * is what binds it. What goes wrong later is told by `error`. The order is kept. */
RONDO_API int rondo_udp_send(rondo_udp *udp, const rondo_address *to, rondo_slice data);
/* Sends at once, past no queue: the number of bytes, RONDO_EAGAIN (something is queued, or the
 * kernel is full), or an error, as above or of the kernel. */
RONDO_API int64_t rondo_udp_try_send(rondo_udp *udp, const rondo_address *to, rondo_slice data);
/* Where rondo_udp_send() begins to say 0 (256 KiB unless set) and to refuse (4 MiB). Each datagram
 * counts as its bytes and 64 more, for what keeping it takes. 0 or RONDO_ECLOSED. */
RONDO_API int rondo_udp_set_high_water(rondo_udp *udp, size_t mark_bytes, size_t cap_bytes);

/* ---- receiving ---- */

/* Stops at once and restarts; meanwhile the kernel's buffer fills, then drops. What was received
 * with the datagram whose callback pauses is kept, and is the first to be delivered afterwards, in
 * the pending phase. The same holds while nobody listens. 0, RONDO_ECLOSED, or RONDO_ENOMEM from
 * rondo_udp_resume(), and it stays paused. */
RONDO_API int rondo_udp_pause(rondo_udp *udp);
RONDO_API int rondo_udp_resume(rondo_udp *udp);
/* The kernel's buffers (socket(7), SO_RCVBUF and SO_SNDBUF); 0 leaves one as it is. The kernel cuts
 * sizes to its own maximum without a word. 0, RONDO_ECLOSED, RONDO_ENOTCONN (not bound yet) or
 * RONDO_EINVAL. */
RONDO_API int rondo_udp_set_kernel_buffers(rondo_udp *udp, size_t receive_bytes, size_t send_bytes);

/* ---- multicast (ip(7), ipv6(7)) and broadcast; RONDO_ENOTCONN before it is bound ---- */

/* A handle gets datagrams for the groups that it joined itself, whatever others on this machine
 * have joined. One that takes IPv6 and IPv4 can join groups of both, and the settings are for both.
 */

/* interface_name: a name ("eth0"), or an address of it, of either family; NULL: the system's
 * choice. source: only what this host sends (RFC 4607), NULL: anybody. join: 0, RONDO_EINVAL (not a
 * multicast group, or a source of another family), RONDO_EADDRINUSE (joined already), RONDO_ENODEV
 * (no such interface), RONDO_EAFNOSUPPORT. leave: 0, RONDO_EADDRNOTAVAIL (not joined), or as join.
 */
RONDO_API int rondo_udp_join(rondo_udp *udp, const char *group, const char *interface_name,
                             const char *source);
RONDO_API int rondo_udp_leave(rondo_udp *udp, const char *group, const char *interface_name,
                              const char *source);
/* Which interface multicast leaves by (RONDO_ENODEV); how far it goes: 0 stays on this machine, 1,
 * unless set, on this network, up to 255; whether this machine's own members get it too (yes unless
 * set). */
RONDO_API int rondo_udp_set_multicast_interface(rondo_udp *udp, const char *interface_name);
RONDO_API int rondo_udp_set_multicast_ttl(rondo_udp *udp, int hops);
RONDO_API int rondo_udp_set_multicast_loop(rondo_udp *udp, bool on);
/* Without it sending to a broadcast address ends in the error RONDO_EACCES. */
RONDO_API int rondo_udp_set_broadcast(rondo_udp *udp, bool on);
/* The same for all other datagrams: 1 to 255. RONDO_EINVAL. */
RONDO_API int rondo_udp_set_ttl(rondo_udp *udp, int hops);

/* ---- questions ---- */

/* 0, or RONDO_ENOTCONN (not bound; no peer), RONDO_ECLOSED. */
RONDO_API int rondo_udp_local(const rondo_udp *udp, rondo_address *ret_address);
RONDO_API int rondo_udp_peer(const rondo_udp *udp, rondo_address *ret_address);

typedef struct rondo_udp_figures {
    uint64_t messages_in, bytes_in;
    uint64_t messages_out, bytes_out; /* taken by the kernel */
    uint64_t dropped;   /* by the kernel, for want of room in its receive buffer; known at the next
                         * message (SO_RXQ_OVFL). Or by us, for want of memory to keep them */
    uint64_t truncated; /* longer than there was room for */
    uint64_t failed;    /* taken by rondo_udp_send() and refused by the kernel */
    size_t queued_messages, queued_bytes; /* not yet taken by it */
} rondo_udp_figures;
RONDO_API void rondo_udp_get_figures(const rondo_udp *udp, rondo_udp_figures *ret_figures);

#ifdef __cplusplus
}
#endif
#endif
