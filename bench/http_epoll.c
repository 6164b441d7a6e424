/* SPDX-License-Identifier: MIT
 *
 * The floor of bench/http: epoll by hand, and no parser. It counts the empty lines that it is sent and
 * answers each with the same octets, all of one read with one write.
 */
#define _GNU_SOURCE
#include "http_answer.h"

#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>

enum { EVENTS = 256, DEEP = 256, FDS = 65536 };

static char received[65536], answers[DEEP * ANSWER_BYTES];
static uint8_t matched[FDS]; /* of "\r\n\r\n", by descriptor */
static int epoll;

static void take(int fd) {
    static const char end[] = "\r\n\r\n";
    ssize_t got = recv(fd, received, sizeof received, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        close(fd);
        return;
    }
    unsigned heads = 0, at = matched[fd];
    for (ssize_t i = 0; i < got; i++) {
        at = received[i] == end[at] ? at + 1 : received[i] == '\r';
        if (at < 4) continue;
        at = 0;
        heads++;
    }
    matched[fd] = (uint8_t)at;
    for (; heads > 0; heads -= heads < DEEP ? heads : DEEP) {
        size_t len = (heads < DEEP ? heads : DEEP) * (size_t)ANSWER_BYTES;
        if (send(fd, answers, len, MSG_NOSIGNAL) !=
            (ssize_t)len) { /* the clients here always read */
            close(fd);
            return;
        }
    }
}

static void take_connections(int listener) {
    for (int fd, on = 1; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (fd >= FDS) abort();
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        matched[fd] = 0;
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int argc, char **argv) {
    struct epoll_event events[EVENTS];
    int listener = answer_listen(argc > 1 ? (unsigned)atoi(argv[1]) : 8080);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    for (size_t i = 0; i < DEEP; i++) memcpy(answers + i * ANSWER_BYTES, answer, ANSWER_BYTES);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                take_connections(listener);
            else
                take(events[i].data.fd);
        }
    }
}
