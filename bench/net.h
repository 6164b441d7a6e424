/* SPDX-License-Identifier: MIT
 *
 * What the servers of the network benchmarks have in common, so that they differ only in how their
 * loop is written. Each of net_epoll, net_ev, net_uv and net_rondo is run as
 *
 *   net_X echo              sends back what it receives; a client that doesn't read has to wait
 *   net_X sink              reads to the end, then answers with the number of bytes (8, native order)
 *   net_X proxy UPSTREAM    each connection to 127.0.0.1:UPSTREAM and back
 *   net_X accept            closes each connection at once
 *   net_X udp               sends each datagram back to where it came from
 *
 * prints the port that it took on 127.0.0.1, and serves until a signal ends it.
 */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* All of them read so much at a time, into one buffer for all connections, and again only if that
 * was filled, at most so often. It is what librondo does. */
#define NET_READ_BYTES 65536
#define NET_READS 4
#define NET_BACKLOG 511

enum net_mode { NET_ECHO, NET_SINK, NET_PROXY, NET_ACCEPT, NET_UDP };

static inline void net_die(const char *what) {
    perror(what);
    exit(1);
}

/* Of the command line; *ret_upstream is 0 except for a proxy. */
static inline enum net_mode net_mode_of(int argc, char **argv, uint16_t *ret_upstream) {
    static const char *const names[] = {"echo", "sink", "proxy", "accept", "udp"};
    *ret_upstream = 0;
    for (unsigned mode = 0; argc > 1 && mode < sizeof names / sizeof *names; mode++) {
        if (strcmp(argv[1], names[mode]) != 0) continue;
        if (mode == NET_PROXY) {
            if (argc != 3) break;
            *ret_upstream = (uint16_t)atoi(argv[2]);
        }
        return (enum net_mode)mode;
    }
    fprintf(stderr, "usage: %s echo | sink | proxy UPSTREAM_PORT | accept | udp\n", argv[0]);
    exit(2);
}

static inline struct sockaddr_in net_loopback(uint16_t port) {
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

static inline void net_print_port(unsigned port) {
    printf("%u\n", port);
    fflush(stdout);
}

/* ---- for those that make their sockets themselves ---- */

/* A bound socket of 127.0.0.1, listening if it is a stream; prints its port. */
static inline int net_bind(int type) {
    struct sockaddr_in address = net_loopback(0);
    socklen_t len = sizeof address;
    int on = 1, fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) net_die("socket");
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) net_die("bind");
    if (type == SOCK_STREAM) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* accepted sockets inherit it */
        if (listen(fd, NET_BACKLOG) < 0) net_die("listen");
    }
    getsockname(fd, (struct sockaddr *)&address, &len);
    net_print_port(ntohs(address.sin_port));
    return fd;
}

/* To the upstream, which is on this machine and answers at once. */
static inline int net_dial(uint16_t port) {
    struct sockaddr_in address = net_loopback(port);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) net_die("socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) net_die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

#endif
