/* SPDX-License-Identifier: MIT
 *
 * For tests of UDP: handles on the loopback, plain sockets to talk to them, and listeners that note
 * what they hear (see trace.h).
 */
#ifndef TEST_UDPS_H
#define TEST_UDPS_H

#include "streams.h"

#define UDP_HELPER __attribute__((unused)) static

/* ---- handles ---- */

UDP_HELPER rondo_udp *new_udp(rondo_loop *loop, const char *host) {
    rondo_udp *udp = rondo_udp_new(loop);
    CHECK(udp != NULL);
    CHECK_INT(rondo_udp_bind(udp, host, 0), 0);
    return udp;
}

UDP_HELPER uint16_t port_of(const rondo_udp *udp) {
    rondo_address local;
    CHECK_INT(rondo_udp_local(udp, &local), 0);
    CHECK(rondo_address_port(&local) > 0);
    return rondo_address_port(&local);
}

UDP_HELPER rondo_address address_of(const char *host, int port) {
    rondo_address address;
    CHECK_INT(rondo_address_parse(host, (uint16_t)port, &address), 0);
    return address;
}

/* Where to send for the handle to get it. */
UDP_HELPER rondo_address to_udp(const rondo_udp *udp, const char *host) {
    return address_of(host, port_of(udp));
}

UDP_HELPER int send_text(rondo_udp *udp, const rondo_address *to, const char *text) {
    return rondo_udp_send(udp, to, rondo_slice_text(text));
}

UDP_HELPER rondo_udp_figures figures_of(const rondo_udp *udp) {
    rondo_udp_figures figures;
    rondo_udp_get_figures(udp, &figures);
    return figures;
}

/* ---- plain sockets ---- */

/* Bound to a free port. */
UDP_HELPER int new_socket(const char *host, rondo_address *ret_address) {
    rondo_address address = address_of(host, 0);
    int family = rondo_address_family(&address) == RONDO_FAMILY_IPV4 ? AF_INET : AF_INET6;
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_INT(bind(fd, (const struct sockaddr *)(const void *)&address.socket, address.len), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    CHECK_INT(rondo_address_from_sockaddr(&name, len, ret_address), 0);
    return fd;
}

/* An address at which nobody listens. Its port is below those that the kernel gives to whoever asks for
 * any, so that no other test gets it by chance meanwhile. */
UDP_HELPER rondo_address nobody(const char *host) {
    static unsigned turn;
    for (;;) {
        rondo_address address =
            address_of(host, (int)(10000 + ((unsigned)getpid() * 31 + turn++) % 20000));
        bool v4 = rondo_address_family(&address) == RONDO_FAMILY_IPV4;
        int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0);
        int status = bind(fd, (const struct sockaddr *)(const void *)&address.socket, address.len);
        close(fd);
        if (status == 0) return address;
    }
}

UDP_HELPER void socket_send(int fd, const rondo_address *to, const void *data, size_t len) {
    ssize_t sent =
        sendto(fd, data, len, 0, (const struct sockaddr *)(const void *)&to->socket, to->len);
    CHECK_INT(sent, len);
}

UDP_HELPER void socket_send_text(int fd, const rondo_address *to, const char *text) {
    socket_send(fd, to, text, strlen(text));
}

/* Numbered datagrams, "0" and on. */
UDP_HELPER void socket_send_burst(int fd, const rondo_address *to, int count) {
    char text[16];
    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%d", i);
        socket_send_text(fd, to, text);
    }
}

/* Notes the datagrams that are there. */
UDP_HELPER void note_socket(int fd) {
    char text[65536];
    ssize_t len;
    harness_settle();
    while ((len = recv(fd, text, sizeof text - 1, MSG_DONTWAIT)) >= 0) {
        text[len] = '\0';
        note("%s", text);
    }
}

/* Of the socket, as the kernel has it. */
UDP_HELPER int option_of(int fd, int level, int option) {
    int value = -1;
    socklen_t len = sizeof value;
    CHECK_INT(getsockopt(fd, level, option, &value, &len), 0);
    return value;
}

/* ---- listeners ---- */

TRACE_CALLBACK note_message(rondo_udp *udp, const rondo_udp_message *message, void *arg) {
    note("%.*s", (int)message->data.len, message->data.data);
}
TRACE_CALLBACK count_message(rondo_udp *udp, const rondo_udp_message *message, void *arg) {
    ++*(int *)arg;
}
TRACE_CALLBACK note_udp_error(rondo_udp *udp, int error, const rondo_address *to, void *arg) {
    note("%s", rondo_error_name(error));
}
TRACE_CALLBACK note_error_to(rondo_udp *udp, int error, const rondo_address *to, void *arg) {
    bool right = to && rondo_address_equal(to, arg);
    note("%s%s", rondo_error_name(error), right ? ":right" : to ? ":wrong" : ":none");
}
/* Answers with the same, by the handle that is arg. */
TRACE_CALLBACK reply(rondo_udp *udp, const rondo_udp_message *message, void *arg) {
    CHECK_INT(rondo_udp_send(arg, message->from, message->data), 1);
}
TRACE_CALLBACK note_udp_drain(rondo_udp *udp, void *arg) { note("drain"); }

/* Runs turns until so many datagrams have come, or it takes too long. */
UDP_HELPER void run_until_messages(rondo_loop *loop, const rondo_udp *udp, uint64_t count) {
    long long end = harness_now_ms() + 20000;
    while (figures_of(udp).messages_in < count && harness_now_ms() < end) run_turns(loop, 1);
    CHECK_INT(figures_of(udp).messages_in, count);
}

#endif
