/* SPDX-License-Identifier: MIT
 *
 * Numbers of descriptors that are used again within one batch. Several things are ready; the first
 * one that is called closes all others and opens new ones, which get their numbers while the
 * readiness of the old files is still queued. No new one may hear of it, in this turn or later, and
 * each must hear of its own. For streams, servers, datagrams and watchers of other libraries, in all
 * combinations; and with the old files held open elsewhere, as by a child: then the kernel goes on
 * reporting them under the numbers that they had.
 */
#define _GNU_SOURCE
#include "faults.h"
#include "streams.h"

#include <ev.h>

enum { OTHERS = 4 };

typedef struct thing thing;

typedef struct kind {
    const char *name;
    void (*make)(thing *self);
    void (*poke)(thing *self); /* makes it ready */
    void (*close)(thing *self);
} kind;

struct thing {
    const kind *kind;
    int fd, peer, held; /* held: a duplicate of the fd, or -1 */
    int calls;
    rondo_stream *stream;
    rondo_server *server;
    rondo_udp *udp;
    ev_io watcher;
};

static rondo_loop *loop;
static const kind *new_kind;
static bool holding, acted;
static thing first, old[OTHERS], fresh[OTHERS];

static void called(thing *self);

/* ---- the kinds ---- */

static void new_ends(thing *self) {
    int ends[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    self->fd = ends[0];
    self->peer = ends[1];
}

static void poke_peer(thing *self) { CHECK_INT(send(self->peer, "!", 1, 0), 1); }

static void stream_called(rondo_stream *stream, rondo_slice chunk, void *arg) { called(arg); }
static void make_stream(thing *self) {
    new_ends(self);
    self->stream = open_stream(loop, self->fd);
    rondo_stream_on_data(self->stream, stream_called, self);
}
static void close_stream(thing *self) { rondo_close(self->stream); }

static void server_called(rondo_server *server, rondo_stream *connection, void *arg) {
    rondo_close(connection);
    called(arg);
}
/* The number of a listening socket: the one that has its port. */
static int fd_of_port(uint16_t port) {
    for (int fd = 3; fd < 200; fd++) {
        struct sockaddr_in name;
        socklen_t len = sizeof name;
        int listens = 0;
        socklen_t int_len = sizeof listens;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &int_len) == 0 && listens &&
            getsockname(fd, (struct sockaddr *)&name, &len) == 0 && ntohs(name.sin_port) == port)
            return fd;
    }
    FAIL("nobody listens on %d", port);
}
static void make_server(thing *self) {
    self->server = rondo_server_new(loop);
    CHECK_INT(rondo_server_listen(self->server, "127.0.0.1", 0), 0);
    rondo_server_on_connection(self->server, server_called, self);
    self->fd = fd_of_port(rondo_server_port(self->server));
}
static void poke_server(thing *self) {
    self->peer = harness_connect(rondo_server_port(self->server));
}
static void close_server(thing *self) { rondo_close(self->server); }

static void watcher_called(struct ev_loop *ev, ev_io *watcher, int events) {
    char byte;
    CHECK_INT(recv(watcher->fd, &byte, 1, 0), 1);
    called(watcher->data);
}
static void make_watcher(thing *self) {
    new_ends(self);
    ev_io_init(&self->watcher, watcher_called, self->fd, EV_READ);
    self->watcher.data = self;
    ev_io_start(rondo_loop_ev(loop), &self->watcher);
}
static void close_watcher(thing *self) {
    ev_io_stop(rondo_loop_ev(loop), &self->watcher);
    close(self->fd);
}

static void udp_called(rondo_udp *udp, const rondo_udp_message *message, void *arg) { called(arg); }
/* Bound to a port of its own, and the number of its socket. */
static int new_udp_socket(void) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof any) == 0);
    return fd;
}
static void make_udp(thing *self) {
    self->udp = rondo_udp_new(loop);
    self->fd = new_udp_socket();
    CHECK_INT(rondo_udp_open(self->udp, self->fd), 0);
    rondo_udp_on_message(self->udp, udp_called, self);
}
static void poke_udp(thing *self) {
    struct sockaddr_in name;
    socklen_t len = sizeof name;
    CHECK_INT(getsockname(self->fd, (struct sockaddr *)&name, &len), 0);
    self->peer = new_udp_socket();
    CHECK_INT(sendto(self->peer, "!", 1, 0, (struct sockaddr *)&name, len), 1);
}
static void close_udp(thing *self) { rondo_close(self->udp); }

static const kind kinds[] = {
    {"stream", make_stream, poke_peer, close_stream},
    {"server", make_server, poke_server, close_server},
    {"watcher", make_watcher, poke_peer, close_watcher},
    {"udp", make_udp, poke_udp, close_udp},
};
enum { WATCHER = 2, KINDS = sizeof kinds / sizeof kinds[0] };

/* ---- the scene ---- */

static void make(thing *self, const kind *what) {
    *self = (thing){.kind = what, .peer = -1, .held = -1};
    what->make(self);
}

static void end_thing(thing *self) {
    if (self->peer >= 0) close(self->peer);
    if (self->held >= 0) close(self->held);
}

static bool is_old_number(int fd) {
    for (int i = 0; i < OTHERS; i++)
        if (old[i].fd == fd) return true;
    return false;
}

/* The first to be called. */
static void act(thing *self) {
    int again = 0;
    acted = true;
    for (int i = 0; i < OTHERS; i++) {
        if (holding) old[i].held = fcntl(old[i].fd, F_DUPFD_CLOEXEC, 100);
        old[i].kind->close(&old[i]);
        if (old[i].peer >= 0 && !holding) close(old[i].peer);
        if (!holding) old[i].peer = -1;
    }
    for (int i = 0; i < OTHERS; i++) {
        make(&fresh[i], new_kind);
        again += is_old_number(fresh[i].fd);
    }
    CHECK(again >= 2); /* the other ends of pairs take numbers too */
}

static void called(thing *self) {
    self->calls++;
    if (!acted) act(self);
}

static int calls_of(const thing *things) {
    int calls = 0;
    for (int i = 0; i < OTHERS; i++) calls += things[i].calls;
    return calls;
}

static void reuse(const kind *closer, const kind *closed) {
    loop = new_virtual_loop();
    acted = false;
    rondo_async_new(loop, note_async, "never"); /* keeps it alive */
    make(&first, closer);
    for (int i = 0; i < OTHERS; i++) make(&old[i], closed);
    run_turns(loop, 1);
    first.kind->poke(&first);
    for (int i = 0; i < OTHERS; i++) old[i].kind->poke(&old[i]);
    run_turns(loop, 1);
    /* Watchers come before our own, whoever was ready first; then one of them has acted. */
    CHECK(acted);
    CHECK(first.calls + calls_of(old) >= 1);
    int before = calls_of(old);
    CHECK_INT(calls_of(fresh), 0);
    for (int i = 0; i < 3; i++) {
        if (holding) /* what the old files have to say goes on */
            for (int k = 0; k < OTHERS; k++)
                if (old[k].peer >= 0) send(old[k].peer, "?", 1, MSG_NOSIGNAL);
        run_turns(loop, 1);
    }
    CHECK_INT(calls_of(fresh), 0);
    CHECK_INT(calls_of(old), before);
    check_idle(loop);
    for (int i = 0; i < OTHERS; i++) fresh[i].kind->poke(&fresh[i]);
    run_turns(loop, 2);
    for (int i = 0; i < OTHERS; i++) CHECK_INT(fresh[i].calls, 1);
    CHECK_INT(calls_of(old), before);

    for (int i = 0; i < OTHERS; i++) {
        if (new_kind == &kinds[WATCHER]) close_watcher(&fresh[i]);
        end_thing(&fresh[i]);
        end_thing(&old[i]);
    }
    if (closer == &kinds[WATCHER]) close_watcher(&first);
    end_thing(&first);
    end_loop(loop);
}

static void reuse_all(bool hold) {
    holding = hold;
    for (int closer = 0; closer < KINDS; closer++)
        for (int closed = 0; closed < KINDS; closed++)
            for (int new = 0; new < KINDS; new ++) {
                new_kind = &kinds[new];
                reuse(&kinds[closer], &kinds[closed]);
            }
}

TEST(a_number_used_again_in_a_batch_gets_nothing_of_the_old_file) { reuse_all(false); }
TEST(a_number_used_again_while_the_old_file_is_held_elsewhere) { reuse_all(true); }
