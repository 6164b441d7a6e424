/* SPDX-License-Identifier: MIT
 *
 * The servers of the network benchmarks on libev; see net.h. One watcher for each descriptor, whose
 * events follow from what is to be done; otherwise as net_epoll.
 */
#define _GNU_SOURCE
#include "net.h"
#include "net_datagrams.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdbool.h>

typedef struct side {
    ev_io io;
    struct side *peer;
    char *kept; /* to be written */
    size_t kept_len, kept_sent;
    uint64_t received;
    bool ended, shut;
} side;

static enum net_mode mode;
static uint16_t upstream;
static char buffer[NET_READ_BYTES];

static void on_side(struct ev_loop *loop, ev_io *io, int events);

static void rewatch(struct ev_loop *loop, side *s) {
    int events = (!s->ended && !s->peer->kept ? EV_READ : 0) | (s->kept ? EV_WRITE : 0);
    if (events == (s->io.events & (EV_READ | EV_WRITE)) && ev_is_active(&s->io)) return;
    ev_io_stop(loop, &s->io);
    if (events == 0) return;
    ev_io_modify(&s->io, events);
    ev_io_start(loop, &s->io);
}

static void free_side(struct ev_loop *loop, side *s) {
    ev_io_stop(loop, &s->io);
    close(s->io.fd);
    free(s->kept);
    free(s);
}

static void close_both(struct ev_loop *loop, side *s) {
    if (s->peer != s) free_side(loop, s->peer);
    free_side(loop, s);
}

static side *new_side(struct ev_loop *loop, int fd, side *peer) {
    side *s = calloc(1, sizeof *s);
    if (!s) net_die("calloc");
    s->peer = peer ? peer : s;
    ev_io_init(&s->io, on_side, fd, EV_READ);
    ev_io_start(loop, &s->io);
    return s;
}

static void on_listener(struct ev_loop *loop, ev_io *listener, int events) {
    for (int i = 0, fd; i < 64; i++) {
        fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno == EAGAIN) return;
        if (fd < 0) net_die("accept4");
        if (mode == NET_ACCEPT) {
            close(fd);
            continue;
        }
        side *client = new_side(loop, fd, NULL);
        if (mode != NET_PROXY) continue;
        int to = net_dial(upstream);
        fcntl(to, F_SETFL, O_NONBLOCK);
        client->peer = new_side(loop, to, client);
    }
}

static void on_datagrams(struct ev_loop *loop, ev_io *io, int events) {
    net_echo_datagrams(io->fd);
}

/* Writes, and keeps what isn't taken; false when the connection is broken. */
static bool put(side *s, const char *data, size_t len) {
    ssize_t sent = send(s->io.fd, data, len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return false;
    if (sent < 0) sent = 0;
    if ((size_t)sent == len) return true;
    s->kept_len = len - (size_t)sent;
    s->kept_sent = 0;
    s->kept = malloc(s->kept_len);
    if (!s->kept) net_die("malloc");
    memcpy(s->kept, data + sent, s->kept_len);
    return true;
}

static bool put_kept(side *s) {
    ssize_t sent = send(s->io.fd, s->kept + s->kept_sent, s->kept_len - s->kept_sent, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    s->kept_sent += (size_t)sent;
    if (s->kept_sent == s->kept_len) {
        free(s->kept);
        s->kept = NULL;
    }
    return true;
}

/* False when the connection is broken. */
static bool read_some(side *s) {
    for (int i = 0; i < NET_READS && !s->peer->kept; i++) {
        ssize_t count = read(s->io.fd, buffer, sizeof buffer);
        if (count < 0) return errno == EAGAIN;
        if (count == 0) {
            s->ended = true;
            if (mode == NET_SINK) send(s->io.fd, &s->received, sizeof s->received, MSG_NOSIGNAL);
            return true;
        }
        s->received += (uint64_t)count;
        if (mode != NET_SINK && !put(s->peer, buffer, (size_t)count)) return false;
        if ((size_t)count < sizeof buffer) return true;
    }
    return true;
}

/* Its peer was read to the end, and all of that written. True when the pair is through. */
static bool end_if_through(side *s) {
    if (!s->peer->ended || s->kept || s->shut) return false;
    if (s->peer == s || s->peer->shut) return true;
    shutdown(s->io.fd, SHUT_WR);
    s->shut = true;
    return false;
}

static void on_side(struct ev_loop *loop, ev_io *io, int events) {
    side *s = (side *)io, *peer = s->peer;
    bool good = true;
    if ((events & EV_WRITE) && s->kept) good = put_kept(s);
    if (good && (events & EV_READ) && !s->ended && !peer->kept) good = read_some(s);
    if (!good || end_if_through(peer) || end_if_through(s)) {
        close_both(loop, s);
        return;
    }
    rewatch(loop, s);
    if (peer != s) rewatch(loop, peer);
}

int main(int argc, char **argv) {
    struct ev_loop *loop = ev_default_loop(EVFLAG_NOENV);
    ev_io listener;
    mode = net_mode_of(argc, argv, &upstream);
    int fd = net_bind(mode == NET_UDP ? SOCK_DGRAM : SOCK_STREAM);
    ev_io_init(&listener, mode == NET_UDP ? on_datagrams : on_listener, fd, EV_READ);
    ev_io_start(loop, &listener);
    ev_run(loop, 0);
    return 0;
}
