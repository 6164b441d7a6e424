/* SPDX-License-Identifier: MIT
 *
 * A name server of our own, on a thread: UDP and TCP on one free port of 127.0.0.1. The first label
 * of the name that it is asked for says how it behaves; see answer_udp(), answer_tcp() and compose().
 */
#ifndef TEST_DNS_SERVER_H
#define TEST_DNS_SERVER_H

#include "dns_message.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct dns_server {
    int udp, tcp, end[2];
    char address[32]; /* for the option `servers` */
    pthread_t thread;
    const char *always; /* behave so, whatever the name */
    atomic_int udp_count, tcp_count, connections;
    pthread_mutex_t lock;
    char last[300]; /* the name last asked for: dns_server_last() */
} dns_server;

typedef struct dns_question {
    const unsigned char *bytes;
    size_t len;
    unsigned id, type;
    char name[300];
    char how[64]; /* the first label */
} dns_question;

static bool dns_read_question(const unsigned char *bytes, size_t len, dns_question *ret) {
    size_t at = 12, to = 0;
    if (len < 17) return false;
    while (at < len && bytes[at] && to < 255) {
        memcpy(ret->name + to, bytes + at + 1, bytes[at]);
        to += bytes[at];
        ret->name[to++] = '.';
        at += 1 + bytes[at];
    }
    ret->name[to ? to - 1 : 0] = '\0';
    ret->bytes = bytes;
    ret->len = len;
    ret->id = (unsigned)bytes[0] << 8 | bytes[1];
    ret->type = (unsigned)bytes[at + 1] << 8 | bytes[at + 2];
    snprintf(ret->how, sizeof ret->how, "%.*s", (int)strcspn(ret->name, "."), ret->name);
    return true;
}

static void dns_usual_answer(dns_message *m, const char *owner, unsigned type) {
    switch (type) {
    case 1:
        dns_address(m, owner, 300, "192.0.2.1");
        dns_address(m, owner, 60, "192.0.2.2");
        break;
    case 28: dns_address(m, owner, 300, "2001:db8::1"); break;
    case 2: dns_host(m, owner, type, 300, "ns1.test"); break;
    case 5: dns_host(m, owner, type, 300, "real.test"); break;
    case 12: dns_host(m, owner, type, 300, "host.test"); break;
    case 15:
        dns_mx(m, owner, 300, 20, "b.test");
        dns_mx(m, owner, 300, 10, "a.test");
        break;
    case 33: dns_srv(m, owner, 300, 1, 2, 443, "s.test"); break;
    case 257: dns_caa(m, owner, 300, 0, "issue", "ca.test"); break;
    case 16:
        dns_record(m, owner, type, 300);
        dns_label(m, "v=1 ", 4);
        dns_label(m, "a\0b", 3);
        dns_end(m);
        break;
    default: break;
    }
}

/* The answer of a server that behaves, or lies in what it says. */
static void dns_compose(const char *how, const dns_question *q, dns_message *m) {
    static const char *const codes[] = {"ok", "formerr", "servfail", "nx", "notimp", "refused"};
    unsigned code = 0;
    for (unsigned i = 1; i < 6; i++)
        if (strcmp(how, codes[i]) == 0) code = i;
    dns_begin(m, q->id, 0x8180 | code, q->name, q->type);
    if (code > 0 || strcmp(how, "nodata") == 0) return;
    if (strcmp(how, "alias") == 0) {
        dns_host(m, ">12", 5, 20, "real.test");
        dns_usual_answer(m, "real.test", q->type);
    } else if (strcmp(how, "loop") == 0) {
        dns_host(m, ">12", 5, 20, "back.test");
        dns_host(m, "back.test", 5, 20, ">12");
    } else if (strcmp(how, "evil") == 0) {
        dns_mx(m, ">12", 20, 1, "a/b;rm.test");
    } else if (strcmp(how, "garbage") == 0) {
        dns_set_answers(m, 3);
        dns_bytes(m, "\377\300\001\002garbage", 11);
    } else if (strcmp(how, "many") == 0) {
        for (int i = 0; i < 2000; i++) dns_address(m, ">12", 1, "192.0.2.1");
    } else {
        dns_usual_answer(m, ">12", q->type);
    }
}

static const char *dns_how(const dns_server *server, const dns_question *q) {
    return server->always ? server->always : q->how;
}

static void dns_send_udp(dns_server *server, const dns_message *m, const struct sockaddr_in *to) {
    (void)sendto(server->udp, m->bytes, m->len, 0, (const struct sockaddr *)(const void *)to,
                 sizeof *to); /* who asked may have gone */
}

static void dns_answer_udp(dns_server *server, const dns_question *q,
                           const struct sockaddr_in *from) {
    static _Thread_local dns_message m;
    const char *how = dns_how(server, q);
    int number = atomic_fetch_add(&server->udp_count, 1) + 1;
    if (strcmp(how, "silent") == 0) return;
    if (strcmp(how, "drop") == 0 && number == 1) return;
    if (strcmp(how, "big") == 0 || strcmp(how, "many") == 0 || strcmp(how, "hangup") == 0 ||
        strcmp(how, "slices") == 0) {
        dns_begin(&m, q->id, 0x8380, q->name, q->type); /* truncated */
        dns_send_udp(server, &m, from);
        return;
    }
    dns_compose(how, q, &m);
    if (strcmp(how, "empty") == 0) {
        dns_message nothing = {.len = 0};
        dns_send_udp(server, &nothing, from);
    }
    if (strcmp(how, "liar") == 0) { /* what comes first is not the answer, and must not be taken */
        dns_message lie = m;
        lie.bytes[lie.len - 1] = 99;
        lie.bytes[0] ^= 1; /* another id */
        dns_send_udp(server, &lie, from);
        lie.bytes[0] ^= 1;
        lie.bytes[13] ^= 1; /* another name */
        dns_send_udp(server, &lie, from);
        lie.bytes[13] ^= 1;
        lie.len = 5;
        dns_send_udp(server, &lie, from);
    }
    dns_send_udp(server, &m, from);
}

/* Whoever asked may have gone. */
static void dns_send_tcp(int fd, const void *bytes, size_t len) {
    ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
    CHECK(sent < 0 || sent == (ssize_t)len);
}

static void dns_answer_tcp(dns_server *server, int fd, const dns_question *q) {
    static _Thread_local dns_message m;
    const char *how = dns_how(server, q);
    unsigned char size[2];
    int on = 1;
    atomic_fetch_add(&server->tcp_count, 1);
    if (strcmp(how, "hangup") == 0 || strcmp(how, "silent") == 0) return;
    dns_compose(how, q, &m);
    size[0] = (unsigned char)(m.len >> 8);
    size[1] = (unsigned char)m.len;
    CHECK_INT(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    if (strcmp(how, "slices") == 0) {
        dns_send_tcp(fd, size, 1);
        harness_sleep_ms(2);
        dns_send_tcp(fd, size + 1, 1);
        for (size_t i = 0; i < m.len; i += 9) {
            size_t part = m.len - i < 9 ? m.len - i : 9;
            harness_sleep_ms(1);
            dns_send_tcp(fd, m.bytes + i, part);
        }
    } else {
        dns_send_tcp(fd, size, 2);
        dns_send_tcp(fd, m.bytes, m.len);
    }
}

static void dns_note(dns_server *server, const dns_question *q) {
    pthread_mutex_lock(&server->lock);
    snprintf(server->last, sizeof server->last, "%s", q->name);
    pthread_mutex_unlock(&server->lock);
}

static void dns_on_udp(dns_server *server) {
    unsigned char bytes[600];
    struct sockaddr_in from;
    socklen_t from_len = sizeof from;
    dns_question q;
    ssize_t len =
        recvfrom(server->udp, bytes, sizeof bytes, 0, (struct sockaddr *)(void *)&from, &from_len);
    if (len <= 0 || !dns_read_question(bytes, (size_t)len, &q)) return;
    dns_note(server, &q);
    dns_answer_udp(server, &q, &from);
}

/* One connection at a time, until its end; UDP goes on. */
static void dns_on_tcp(dns_server *server) {
    unsigned char bytes[600];
    int fd = accept(server->tcp, NULL, NULL);
    if (fd < 0) return;
    atomic_fetch_add(&server->connections, 1);
    for (;;) {
        struct pollfd polls[3] = {{.fd = fd, .events = POLLIN},
                                  {.fd = server->end[0], .events = POLLIN},
                                  {.fd = server->udp, .events = POLLIN}};
        dns_question q;
        if (poll(polls, 3, -1) < 0 || polls[1].revents) break;
        if (polls[2].revents) dns_on_udp(server);
        if (!polls[0].revents) continue;
        if (recv(fd, bytes, 2, MSG_WAITALL) != 2) break;
        size_t len = (size_t)bytes[0] << 8 | bytes[1];
        if (len > sizeof bytes || recv(fd, bytes, len, MSG_WAITALL) != (ssize_t)len) break;
        if (!dns_read_question(bytes, len, &q)) break;
        dns_note(server, &q);
        dns_answer_tcp(server, fd, &q);
        if (strcmp(dns_how(server, &q), "hangup") == 0) break;
    }
    close(fd);
}

static void *dns_server_run(void *arg) {
    dns_server *server = arg;
    for (;;) {
        struct pollfd polls[3] = {{.fd = server->udp, .events = POLLIN},
                                  {.fd = server->tcp, .events = POLLIN},
                                  {.fd = server->end[0], .events = POLLIN}};
        if (poll(polls, 3, -1) < 0) continue;
        if (polls[2].revents) return NULL;
        if (polls[0].revents) dns_on_udp(server);
        if (polls[1].revents) dns_on_tcp(server);
    }
}

/* A UDP port that is free for TCP too. */
static bool dns_server_bind(dns_server *server) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *name = (struct sockaddr *)(void *)&at;
    socklen_t len = sizeof at;
    int bytes = 4 << 20;
    server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    server->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(server->udp >= 0 && server->tcp >= 0);
    (void)setsockopt(server->udp, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    CHECK_INT(bind(server->udp, name, len), 0);
    CHECK_INT(getsockname(server->udp, name, &len), 0);
    snprintf(server->address, sizeof server->address, "127.0.0.1:%d", ntohs(at.sin_port));
    if (bind(server->tcp, name, len) == 0 && listen(server->tcp, 100) == 0) return true;
    close(server->udp);
    close(server->tcp);
    return false;
}

DNS_TEST const char *dns_server_last(dns_server *server) {
    static char last[sizeof server->last];
    pthread_mutex_lock(&server->lock);
    memcpy(last, server->last, sizeof last);
    pthread_mutex_unlock(&server->lock);
    return last;
}

DNS_TEST void dns_server_start(dns_server *server, const char *always) {
    memset(server, 0, sizeof *server);
    server->always = always;
    pthread_mutex_init(&server->lock, NULL);
    while (!dns_server_bind(server)) {}
    CHECK_INT(pipe(server->end), 0);
    server->thread = harness_thread(dns_server_run, server);
}

DNS_TEST void dns_server_stop(dns_server *server) {
    CHECK_INT(write(server->end[1], "x", 1), 1);
    CHECK_INT(pthread_join(server->thread, NULL), 0);
    close(server->udp);
    close(server->tcp);
    close(server->end[0]);
    close(server->end[1]);
}

#endif
