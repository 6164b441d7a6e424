/* SPDX-License-Identifier: MIT
 *
 * What the peers of bench/http answer: the octets that Rondo's example sends, but for the date, which
 * does not change. For the bare ones, which are no HTTP servers: they know no limits, no timeouts, no
 * bodies, and not a single check of what they are sent.
 */
#ifndef BENCH_HTTP_ANSWER_H
#define BENCH_HTTP_ANSWER_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_BODY "Hello, world!\n"
static const char answer[] = "HTTP/1.1 200 OK\r\n"
                             "Date: Sat, 21 Nov 2026 12:00:00 GMT\r\n"
                             "Content-Type: text/plain\r\n"
                             "Content-Length: 14\r\n"
                             "\r\n" ANSWER_BODY;
enum { ANSWER_BYTES = sizeof answer - 1 };

/* A listening socket on a port of 127.0.0.1. */
__attribute__((unused)) static int answer_listen(unsigned port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, 4096) < 0) {
        perror("listen");
        exit(1);
    }
    signal(SIGPIPE, SIG_IGN);
    return fd;
}

#endif
