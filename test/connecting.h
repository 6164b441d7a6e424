/* SPDX-License-Identifier: MIT
 *
 * For tests of connecting: the other end, by plain system calls. A listener that nobody accepts from
 * and whose backlog is full makes a connect hang: the kernel drops what arrives.
 */
#ifndef TEST_CONNECTING_H
#define TEST_CONNECTING_H

#include "streams.h"

#include <stddef.h>
#include <sys/un.h>

#include "net/address.h"
#include "net/duplex.h"

TRACE_CALLBACK note_connect(rondo_stream *stream, void *arg) { note("connect"); }

/* Listens on a number; the fd. *port 0 takes a free one. */
STREAMS_HELPER int listen_on(const char *host, uint16_t *port, int backlog) {
    rondo_address address;
    int on = 1;
    CHECK_INT(rondo_address_parse(host, *port, &address), 0);
    int fd = socket(rondo__address_af(&address), SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    socklen_t len = address.len;
    if (bind(fd, rondo__sockaddr(&address), len) < 0 || listen(fd, backlog) < 0) {
        close(fd);
        return -1;
    }
    CHECK_INT(getsockname(fd, rondo__sockaddr(&address), &len), 0);
    *port = rondo_address_port(&address);
    return fd;
}

/* A port of 127.0.0.1 that is free: it was ours a moment ago. It is below those that the kernel gives
 * to whoever asks for any, so that no other test gets it by chance meanwhile. */
STREAMS_HELPER uint16_t free_port(void) {
    static unsigned turn;
    for (;;) {
        uint16_t port = (uint16_t)(10000 + ((unsigned)getpid() * 31 + turn++) % 20000);
        int fd = listen_on("127.0.0.1", &port, 1);
        if (fd < 0) continue;
        close(fd);
        return port;
    }
}

/* A port that refuses connections, for as long as the fd is open: nobody else can have it. */
STREAMS_HELPER int refuse_on(uint16_t *ret_port) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof any;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&any, len), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&any, &len), 0);
    *ret_port = ntohs(any.sin_port);
    return fd;
}

/* Listens, and connects hang. */
typedef struct full_listener {
    int fd, filler;
    uint16_t port;
} full_listener;

STREAMS_HELPER full_listener new_full_listener(void) {
    full_listener full = {.port = 0};
    full.fd = listen_on("127.0.0.1", &full.port, 0);
    full.filler = harness_connect(full.port);
    return full;
}

STREAMS_HELPER void close_full_listener(full_listener *full) {
    close(full->fd);
    close(full->filler);
}

/* The same with a Unix socket; "@..." is abstract. */
STREAMS_HELPER int listen_unix(const char *path, int backlog) {
    rondo_address address;
    CHECK_INT(rondo_address_parse_unix(path, &address), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(fd, rondo__sockaddr(&address), address.len), 0);
    CHECK_INT(listen(fd, backlog), 0);
    return fd;
}

/* Notes every event of a stream that connects. */
STREAMS_HELPER rondo_stream *listen_to(rondo_stream *stream) {
    CHECK(stream != NULL);
    CHECK_INT(rondo_stream_on_connect(stream, note_connect, NULL), 0);
    note_events(stream);
    return stream;
}

/* Runs until the stream has opened or failed. */
TRACE_CALLBACK stop_at_error(rondo_stream *stream, int error, void *arg) {
    rondo_loop_stop(rondo_handle_loop(stream));
}
STREAMS_HELPER void run_until_known(rondo_stream *stream) {
    rondo_loop *loop = rondo_handle_loop(stream);
    CHECK_INT(rondo_stream_on_connect(stream, stop_loop, NULL), 0);
    CHECK_INT(rondo_stream_on_error(stream, stop_at_error, NULL), 0);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo__loop_verify(loop);
}

/* An abstract name that no other process has. */
STREAMS_HELPER const char *abstract_name(void) {
    static char name[64];
    static int count;
    snprintf(name, sizeof name, "@rondo-test-%ld-%d", (long)getpid(), count++);
    return name;
}

#endif
