/* SPDX-License-Identifier: MIT
 *
 * What the clients of the HTTP benchmarks have in common: keep-alive connections to 127.0.0.1, requests ready
 * to be sent, and the size of an answer, learnt from the first one on each. Counting answers by
 * their bytes (all are of one size) costs little.
 *
 * Whatever does not come out as it should ends the program with 1: a connection refused or cut off, an
 * answer that is not 200.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* strcasestr, epoll_pwait2 */
#endif
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "from.h"

#define LOAD_DEPTH 64   /* at most */
#define LOAD_AT_ONCE 32 /* connections that are made; no server's backlog is shorter */

typedef struct load_connection {
    int fd;
    size_t awaited; /* bytes of answers to come */
    uint64_t asked; /* which request it was: of load_rate */
} load_connection;

static char load_batch[LOAD_DEPTH * 256];
static size_t load_request_size, load_answer_size;

static inline void load_die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static inline double load_now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Of the processor, what this program has used so far. */
static inline double load_cpu_s(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* A connected socket. */
static inline int load_dial(int port, unsigned number) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0) load_die("socket (see ulimit -n)");
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct timeval limit = {.tv_sec = 20}; /* a server that doesn't answer is no reason to hang */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (bench_from(fd, number) < 0) load_die("bind");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) load_die("connect");
    return fd;
}

static inline void load_send(int fd, unsigned count) {
    size_t size = count * load_request_size, sent = 0;
    while (sent < size) {
        ssize_t n = send(fd, load_batch + sent, size - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) load_die("send");
        if (n > 0) sent += (size_t)n;
    }
}

/* To one request, blocking: learns how long an answer is, head and body. */
static inline size_t load_first_answer(int fd) {
    char text[65536];
    size_t have = 0, whole = 0;
    while (whole == 0 || have < whole) {
        size_t at = whole == 0 ? have : 0; /* of the body, which may be long, nothing is kept */
        ssize_t n = recv(fd, text + at, sizeof text - 1 - at, 0);
        if (n <= 0) load_die("the server closed the connection");
        have += (size_t)n;
        if (whole > 0) continue;
        text[have] = 0;
        const char *body = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "content-length:");
        if (!body || !length) continue;
        if (strncmp(text, "HTTP/1.1 200", 12) != 0) load_die("not an answer with 200");
        whole = (size_t)(body + 4 - text) + strtoul(length + 15, NULL, 10);
    }
    return whole;
}

/* What has come on a ready connection: whether that is all that it waited for. */
static inline bool load_take(load_connection *c) {
    static char sink[1 << 18];
    ssize_t got = recv(c->fd, sink, sizeof sink, 0);
    if (got <= 0 || (size_t)got > c->awaited) load_die("the server cut the connection off");
    c->awaited -= (size_t)got;
    return c->awaited == 0;
}

/* `count` connections, each used once, for `depth` requests of `path` at a time. */
static inline load_connection *load_connect(int port, unsigned count, unsigned depth,
                                            const char *path) {
    char request[256];
    load_connection *connections = calloc(count, sizeof *connections);
    if (!connections) load_die("calloc");
    load_request_size = (size_t)snprintf(request, sizeof request,
                                         "GET %.200s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path);
    for (unsigned i = 0; i < depth; i++)
        memcpy(load_batch + i * load_request_size, request, load_request_size);
    for (unsigned i = 0, begun = 0; i < count; i++) {
        connections[i].fd = load_dial(port, i);
        load_send(connections[i].fd, 1);
        if (i + 1 < count && i + 1 < begun + LOAD_AT_ONCE) continue;
        for (; begun <= i; begun++) {
            size_t size = load_first_answer(connections[begun].fd);
            if (begun > 0 && size != load_answer_size) load_die("answers differ in size");
            load_answer_size = size;
        }
    }
    return connections;
}

/* Tells that all connections are there, and waits for a line that says how much to do. */
static inline double load_told(void) {
    char line[64];
    printf("open\n");
    fflush(stdout);
    return fgets(line, sizeof line, stdin) ? atof(line) : 0;
}

#endif
