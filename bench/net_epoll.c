/* SPDX-License-Identifier: MIT
 *
 * The floor of the network benchmarks: epoll itself, as one would write it by hand. See net.h. One
 * mode more: `splice UPSTREAM` is a proxy whose bytes stay in the kernel.
 *
 * A side is one descriptor; what it reads is written to its peer: the other side of a proxy, or
 * itself in an echo server. What the peer doesn't take at once is kept, and until it is gone nothing
 * more is read.
 */
#define _GNU_SOURCE
#include "net.h"
#include "net_datagrams.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/epoll.h>

#define EVENTS 256
#define SPLICE_BYTES (1 << 20)

typedef struct side {
    int fd;
    uint32_t interest;
    struct side *peer;
    char *kept; /* to be written to fd */
    size_t kept_len, kept_sent;
    int pipe[2]; /* with splice: what is to be written */
    size_t in_pipe;
    uint64_t received;
    bool ended, shut, dead;
    struct side *next_dead;
} side;

static enum net_mode mode;
static uint16_t upstream;
static bool by_splice;
static int epoll;
static side *graveyard; /* freed behind the batch: its events may still name them */
static char buffer[NET_READ_BYTES];

static void watch(side *s, uint32_t interest) {
    if (s->interest == interest) return;
    struct epoll_event event = {.events = interest, .data.ptr = s};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, s->fd, &event) < 0) net_die("epoll_ctl");
    s->interest = interest;
}

static bool waits(const side *s) { return s->kept || s->in_pipe > 0; }

static void rewatch(side *s) {
    bool reads = !s->ended && !waits(s->peer);
    watch(s, (reads ? (uint32_t)EPOLLIN : 0) | (waits(s) ? (uint32_t)EPOLLOUT : 0));
}

static void bury(side *s) {
    if (s->dead) return;
    s->dead = true;
    close(s->fd);
    s->next_dead = graveyard;
    graveyard = s;
}

static void close_both(side *s) {
    bury(s->peer);
    bury(s);
}

static void free_dead(void) {
    for (side *s; (s = graveyard);) {
        graveyard = s->next_dead;
        if (by_splice) close(s->pipe[0]), close(s->pipe[1]);
        free(s->kept);
        free(s);
    }
}

static side *new_side(int fd, side *peer) {
    side *s = calloc(1, sizeof *s);
    if (!s) net_die("calloc");
    s->fd = fd;
    s->peer = peer ? peer : s;
    s->interest = EPOLLIN;
    if (by_splice && (pipe2(s->pipe, O_NONBLOCK | O_CLOEXEC) < 0 ||
                      fcntl(s->pipe[0], F_SETPIPE_SZ, SPLICE_BYTES) < 0))
        net_die("pipe2");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) net_die("epoll_ctl");
    return s;
}

static void connect_upstream(side *client) {
    int fd = net_dial(upstream);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    client->peer = new_side(fd, client);
}

static void accept_all(int listener) {
    for (int i = 0, fd; i < 64; i++) {
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno == EAGAIN) return;
        if (fd < 0) net_die("accept4");
        if (mode == NET_ACCEPT) {
            close(fd);
            continue;
        }
        side *client = new_side(fd, NULL);
        if (mode == NET_PROXY) connect_upstream(client);
    }
}

/* ---- writing ---- */

/* Writes, and keeps what isn't taken; false when the connection is broken. */
static bool put(side *s, const char *data, size_t len) {
    ssize_t sent = send(s->fd, data, len, MSG_NOSIGNAL);
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
    ssize_t sent = send(s->fd, s->kept + s->kept_sent, s->kept_len - s->kept_sent, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    s->kept_sent += (size_t)sent;
    if (s->kept_sent == s->kept_len) {
        free(s->kept);
        s->kept = NULL;
    }
    return true;
}

static bool drain_pipe(side *s) {
    while (s->in_pipe > 0) {
        ssize_t moved =
            splice(s->pipe[0], NULL, s->fd, NULL, s->in_pipe, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
        if (moved < 0) return errno == EAGAIN;
        s->in_pipe -= (size_t)moved;
    }
    return true;
}

/* ---- reading ---- */

static void at_end(side *s) {
    s->ended = true;
    if (mode == NET_SINK) send(s->fd, &s->received, sizeof s->received, MSG_NOSIGNAL);
}

/* Its peer was read to the end, and all of that written: so is the pair through, once both are. */
static void end_if_through(side *s) {
    if (s->dead || !s->peer->ended || waits(s) || s->shut) return;
    if (s->peer == s || s->peer->shut) {
        close_both(s);
        return;
    }
    shutdown(s->fd, SHUT_WR);
    s->shut = true;
}

static void read_spliced(side *s) {
    ssize_t moved = splice(s->fd, NULL, s->peer->pipe[1], NULL, SPLICE_BYTES,
                           SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (moved < 0 && errno == EAGAIN) return;
    if (moved < 0) {
        close_both(s);
    } else if (moved == 0) {
        at_end(s);
    } else {
        s->peer->in_pipe += (size_t)moved;
        if (!drain_pipe(s->peer)) close_both(s);
    }
}

static void read_some(side *s) {
    for (int i = 0; i < NET_READS && !waits(s->peer); i++) {
        ssize_t count = read(s->fd, buffer, sizeof buffer);
        if (count < 0 && errno == EAGAIN) return;
        if (count < 0) {
            close_both(s);
            return;
        }
        if (count == 0) {
            at_end(s);
            return;
        }
        s->received += (uint64_t)count;
        if (mode != NET_SINK && !put(s->peer, buffer, (size_t)count)) {
            close_both(s);
            return;
        }
        if ((size_t)count < sizeof buffer) return;
    }
}

static void serve(side *s, uint32_t events) {
    if (s->dead) return;
    if ((events & EPOLLERR) ||
        ((events & EPOLLOUT) && waits(s) && !(s->kept ? put_kept(s) : drain_pipe(s)))) {
        close_both(s);
        return;
    }
    if ((events & (EPOLLIN | EPOLLHUP)) && !s->ended && !waits(s->peer))
        by_splice ? read_spliced(s) : read_some(s);
    side *peer = s->peer;
    end_if_through(peer);
    end_if_through(s);
    if (s->dead) return;
    rewatch(s);
    if (peer != s) rewatch(peer);
}

int main(int argc, char **argv) {
    struct epoll_event events[EVENTS];
    by_splice = argc > 1 && strcmp(argv[1], "splice") == 0;
    static char proxy[] = "proxy";
    if (by_splice) argv[1] = proxy;
    mode = net_mode_of(argc, argv, &upstream);
    int listener = net_bind(mode == NET_UDP ? SOCK_DGRAM : SOCK_STREAM);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) net_die("epoll_ctl");
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                serve(events[i].data.ptr, events[i].events);
            else if (mode == NET_UDP)
                net_echo_datagrams(listener);
            else
                accept_all(listener);
        }
        free_dead();
    }
}
