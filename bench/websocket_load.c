/* SPDX-License-Identifier: MIT
 *
 * The client of bench/websocket: a raw epoll loop that knows just enough of RFC 6455 to cost little. All
 * frames of a server have one length here, so they are counted by their octets.
 *
 *   websocket_load PORT CONNECTIONS echo SIZE COUNT   one message on its way on each, COUNT in all
 *   websocket_load PORT CONNECTIONS all SIZE COUNT    asks for COUNT messages to all, once a line comes on
 *                                                     standard input, and waits until all have them
 *   websocket_load PORT CONNECTIONS hold              waits for the end of standard input
 *
 * Prints "open" when all connections are, and "MESSAGES SECONDS" at the end. Exit 1 when a connection was
 * refused or cut off.
 */

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

#include "from.h"

typedef struct connection {
    int fd;
    size_t awaited; /* octets of the frames to come */
} connection;

static connection *all;
static int count, epoll;
static char *message; /* masked, with its header */
static size_t message_len;

static void die(const char *what) {
    fprintf(stderr, "websocket_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void send_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent < 0) die("send");
        data += sent;
        len -= (size_t)sent;
    }
}

/* ---- frames ---- */

static size_t header_len(size_t payload) {
    return 2u + (payload < 126 ? 0 : payload < 65536 ? 2 : 8);
}

static char *make_frame(unsigned first, const char *payload, size_t len, size_t *ret_len) {
    size_t head = header_len(len);
    unsigned char *frame = calloc(1, head + 4 + len);
    if (!frame) die("malloc");
    frame[0] = (unsigned char)first;
    frame[1] = (unsigned char)(0x80 | (head == 2 ? len : head == 4 ? 126 : 127));
    for (size_t i = head - 1, rest = len; head > 2 && i > 1; i--, rest >>= 8)
        frame[i] = (unsigned char)rest;
    memcpy(frame + head, "\x12\x34\x56\x78", 4);
    for (size_t i = 0; i < len; i++)
        frame[head + 4 + i] = (unsigned char)(payload ? payload[i] : 'x') ^ frame[head + i % 4];
    *ret_len = head + 4 + len;
    return (char *)frame;
}

/* ---- connections ---- */

static void join(int port, int number) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    char answer[4096];
    size_t len = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0) die("socket (see ulimit -n)");
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bench_from(fd, (unsigned)number) < 0) die("bind");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
    send_all(fd, request, sizeof request - 1);
    for (;;) {
        ssize_t got = recv(fd, answer + len, sizeof answer - 1 - len, 0);
        if (got <= 0) die("handshake");
        len += (size_t)got;
        answer[len] = '\0';
        if (strstr(answer, "\r\n\r\n")) break;
    }
    if (strncmp(answer, "HTTP/1.1 101", 12) != 0) die("the answer is not 101");
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)number};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
    all[number] = (connection){.fd = fd};
}

static void join_all(int port, int connections) {
    count = connections;
    all = calloc((size_t)count, sizeof *all);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!all || epoll < 0) die("setting up");
    for (int i = 0; i < count; i++) join(port, i);
    printf("open\n");
    fflush(stdout);
}

/* ---- what is measured ---- */

/* Reads what is there; how many frames of so many octets that completes. */
static size_t take(connection *c, size_t frame) {
    static char sink[1 << 18];
    ssize_t got = recv(c->fd, sink, sizeof sink, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return 0;
    if (got <= 0) die("the server has cut a connection");
    size_t before = (c->awaited + frame - 1) / frame;
    if ((size_t)got > c->awaited) die("more came than was asked for");
    c->awaited -= (size_t)got;
    return before - (c->awaited + frame - 1) / frame;
}

static void wait_for(size_t frames, size_t frame, size_t *asked, size_t most) {
    struct epoll_event events[512];
    for (size_t done = 0; done < frames;) {
        int ready = epoll_wait(epoll, events, 512, 60000);
        if (ready <= 0) die("nothing comes");
        for (int i = 0; i < ready; i++) {
            connection *c = &all[events[i].data.u32];
            done += take(c, frame);
            if (c->awaited > 0 || !asked || *asked == most) continue;
            c->awaited = frame;
            ++*asked;
            send_all(c->fd, message, message_len);
        }
    }
}

static void echo(size_t size, size_t messages) {
    size_t frame = header_len(size) + size, asked = 0;
    message = make_frame(0x82, NULL, size, &message_len);
    for (int i = 0; i < count && asked < messages; i++, asked++) {
        all[i].awaited = frame;
        send_all(all[i].fd, message, message_len);
    }
    wait_for(messages, frame, &asked, messages);
}

static void tell_all(size_t size, size_t messages) {
    size_t frame = header_len(size) + size;
    char text[64];
    int len = snprintf(text, sizeof text, "%zu %zu", messages, size);
    message = make_frame(0x81, text, (size_t)len, &message_len);
    for (int i = 0; i < count; i++) all[i].awaited = frame * messages;
    send_all(all[0].fd, message, message_len);
    wait_for(messages * (size_t)count, frame, NULL, 0);
}

int main(int argc, char **argv) {
    if (argc < 4) die("usage: PORT CONNECTIONS echo|all|hold [SIZE COUNT]");
    join_all(atoi(argv[1]), atoi(argv[2]));
    if (strcmp(argv[3], "hold") == 0) {
        while (getchar() != EOF) {}
        return 0;
    }
    if (argc < 6) die("SIZE and COUNT are missing");
    size_t size = strtoul(argv[4], NULL, 10), messages = strtoul(argv[5], NULL, 10);
    bool to_all = strcmp(argv[3], "all") == 0;
    if (to_all && getchar() == EOF) return 0;
    double start = now_s();
    if (to_all)
        tell_all(size, messages);
    else
        echo(size, messages);
    printf("%zu %.6f\n", to_all ? messages * (size_t)count : messages, now_s() - start);
    fflush(stdout);
    while (to_all && getchar() != EOF) {} /* the server is still looked at */
    return 0;
}
