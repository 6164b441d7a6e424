/* SPDX-License-Identifier: MIT
 *
 * Sends a batch of datagrams back: what both net_epoll and net_ev do when their socket is readable.
 */
#ifndef BENCH_NET_DATAGRAMS_H
#define BENCH_NET_DATAGRAMS_H

#include "net.h"

#include <errno.h>

#define NET_BATCH 64
#define NET_DATAGRAM_BYTES 2048

static inline void net_echo_datagrams(int fd) {
    static char bytes[NET_BATCH][NET_DATAGRAM_BYTES];
    static struct sockaddr_in from[NET_BATCH];
    static struct iovec pieces[NET_BATCH];
    static struct mmsghdr messages[NET_BATCH];
    for (unsigned i = 0; i < NET_BATCH; i++) {
        pieces[i] = (struct iovec){bytes[i], NET_DATAGRAM_BYTES};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                              .msg_namelen = sizeof from[i],
                                              .msg_iov = &pieces[i],
                                              .msg_iovlen = 1};
    }
    int count = recvmmsg(fd, messages, NET_BATCH, MSG_DONTWAIT, NULL);
    if (count < 0 && errno != EAGAIN && errno != ECONNREFUSED) net_die("recvmmsg");
    for (int i = 0; i < count; i++) pieces[i].iov_len = messages[i].msg_len;
    /* What the kernel doesn't take is lost, as datagrams are. */
    for (int sent = 0, n; sent < count; sent += n)
        if ((n = sendmmsg(fd, messages + sent, (unsigned)(count - sent), 0)) <= 0) break;
}

#endif
