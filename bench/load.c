/* SPDX-License-Identifier: MIT
 *
 * The client of the benchmarks: a raw epoll loop that keeps CONNECTIONS keep-alive connections to
 * 127.0.0.1:PORT busy with DEPTH pipelined requests each, until REQUESTS answers have arrived. It
 * counts answers by their bytes (all are of one size, learnt from the first), so it costs little.
 *
 *   load PORT CONNECTIONS DEPTH REQUESTS [PATH]   prints: requests seconds connections failed
 *   load PORT CONNECTIONS hold               one request on each, prints "held", waits for stdin's end
 *
 * Exit 1 when a connection was refused, cut off, or answered with anything but 200.
 */
#define _GNU_SOURCE /* strcasestr */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_DEPTH 64

typedef struct connection {
    int fd;
    size_t awaited; /* bytes of answers to come */
} connection;

static char batch[MAX_DEPTH * 256];
static size_t request_size;
static size_t answer_size;

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A connected socket. Addresses of the loopback range are used in turn, for more than 28,000. */
static int dial(int port, unsigned number) {
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0) die("socket (see ulimit -n)");
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number / 20000);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (number >= 20000 && bind(fd, (struct sockaddr *)&from, sizeof from) < 0) die("bind");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
    return fd;
}

static void send_requests(int fd, unsigned count) {
    size_t size = count * request_size, sent = 0;
    while (sent < size) {
        ssize_t n = send(fd, batch + sent, size - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) die("send");
        if (n > 0) sent += (size_t)n;
    }
}

/* One request, blocking: learns how long an answer is, head and body. */
static size_t first_answer(int fd) {
    char text[65536];
    size_t have = 0, whole = 0;
    send_requests(fd, 1);
    while (whole == 0 || have < whole) {
        size_t at = whole == 0 ? have : 0; /* of the body, which may be long, nothing is kept */
        ssize_t n = recv(fd, text + at, sizeof text - 1 - at, 0);
        if (n <= 0) die("the server closed the connection");
        have += (size_t)n;
        if (whole > 0) continue;
        text[have] = 0;
        const char *body = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "content-length:");
        if (!body || !length) continue;
        if (strncmp(text, "HTTP/1.1 200", 12) != 0) die("not an answer with 200");
        whole = (size_t)(body + 4 - text) + strtoul(length + 15, NULL, 10);
    }
    return whole;
}

static void run(connection *connections, unsigned count, unsigned depth, uint64_t requests) {
    static char sink[1 << 18];
    struct epoll_event events[256];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    uint64_t asked = 0, answered = 0;
    double begun = now_s();
    for (unsigned i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &event) < 0) die("epoll_ctl");
        if (asked >= requests) continue;
        send_requests(connections[i].fd, depth);
        connections[i].awaited = depth * answer_size;
        asked += depth;
    }
    while (answered < asked) {
        int n = epoll_wait(epoll, events, 256, 10000);
        if (n == 0) errno = ETIMEDOUT, die("no answer for 10 s");
        for (int i = 0; i < n; i++) {
            connection *c = events[i].data.ptr;
            ssize_t got = recv(c->fd, sink, sizeof sink, 0);
            if (got <= 0 || (size_t)got > c->awaited) die("the server cut the connection off");
            c->awaited -= (size_t)got;
            if (c->awaited > 0) continue;
            answered += depth;
            if (asked >= requests) continue;
            send_requests(c->fd, depth);
            c->awaited = depth * answer_size;
            asked += depth;
        }
    }
    printf("%llu %.6f %u 0\n", (unsigned long long)answered, now_s() - begun, count);
}

int main(int argc, char **argv) {
    bool hold = argc == 4 && strcmp(argv[3], "hold") == 0;
    if (argc != 5 && argc != 6 && !hold) {
        fprintf(
            stderr,
            "usage: load PORT CONNECTIONS DEPTH REQUESTS [PATH] | load PORT CONNECTIONS hold\n");
        return 2;
    }
    int port = atoi(argv[1]);
    unsigned count = (unsigned)atoi(argv[2]), depth = hold ? 1 : (unsigned)atoi(argv[3]);
    if (depth < 1 || depth > MAX_DEPTH || count < 1) return 2;
    char request[256];
    request_size =
        (size_t)snprintf(request, sizeof request, "GET %.200s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                         argc > 5 ? argv[5] : "/");
    for (unsigned i = 0; i < depth; i++) memcpy(batch + i * request_size, request, request_size);
    connection *connections = calloc(count, sizeof *connections);
    if (!connections) die("calloc");
    for (unsigned i = 0; i < count; i++) {
        connections[i].fd = dial(port, i);
        size_t size = first_answer(connections[i].fd);
        if (i > 0 && size != answer_size) die("answers differ in size");
        answer_size = size;
    }
    if (hold) {
        printf("held\n");
        fflush(stdout);
        while (getchar() != EOF) {}
    } else {
        run(connections, count, depth, strtoull(argv[4], NULL, 10));
    }
    return 0;
}
