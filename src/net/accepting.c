/* SPDX-License-Identifier: MIT
 *
 * Accepting. It goes on while there is somebody to accept for, in bounded batches, and pauses for a
 * moment when the system runs out of something: level-triggered readiness would report the same
 * waiting connection again and again, and the loop would spin.
 */
#include <rondo/loop.h>

#include "net/duplex.h"
#include "net/serving.h"
#include "net/socket_listen.h"

#define PAUSE_MS 100
/* Of a turn's accepts each, for those that still wait when a server is to close: more than a queue holds. */
#define REST_BATCHES_MOST 128

int rondo__server_watch(rondo_server *server) {
    bool on = server->fd >= 0 && !server->paused && rondo__server_wanted(server) &&
              !rondo__alarm_is_set(&server->retry);
    return rondo__io_watch(server->base.loop, &server->io, on ? RONDO__READABLE : 0);
}

/* Something ran out, or is wrong: says so once, and leaves the socket alone for a while. */
static void pause_accepting(rondo_server *server, int error) {
    if (server->fd < 0) return; /* a listener has closed it */
    rondo__alarm_set_in_ms(server->base.loop, &server->retry, PAUSE_MS);
    rondo__server_watch(server); /* wanting less can't fail */
    rondo__server_tell_error(server, error);
}

void rondo__server_retry(rondo_loop *loop, rondo__alarm *alarm) {
    rondo_server *server = RONDO__OF(alarm, rondo_server, retry);
    (void)loop;
    if (server->reserve < 0) server->reserve = rondo__socket_reserve();
    int status = rondo__server_watch(server);
    if (status < 0) pause_accepting(server, status);
}

/* There are no descriptors left. Those who wait in the kernel's queue would wait until some are;
 * they are told by a closed connection instead, with the help of the one held in reserve. */
static void turn_away(rondo_server *server, int error) {
    uint32_t left = rondo_loop_budget(server->base.loop, RONDO_BUDGET_accepts);
    int fd = 0;
    while (left-- > 0 && fd >= 0 && server->reserve >= 0) {
        rondo__socket_close(server->reserve);
        server->reserve = -1;
        fd = rondo__socket_accept(server->fd);
        if (fd >= 0) rondo__server_drop_fd(server, RONDO_DROP_STARVED, error, fd);
        if (server->fd < 0) return; /* a listener has closed it */
        server->reserve = rondo__socket_reserve();
        if (fd < 0 && rondo__socket_accept_again(fd)) fd = 0;
    }
}

static void take_connection(rondo_server *server, int fd) {
    rondo_loop *loop = server->base.loop;
    if (server->most > 0 && rondo__server_open_count(server) >= server->most) {
        rondo__server_drop_fd(server, RONDO_DROP_FULL, 0, fd);
        return;
    }
    rondo_stream *stream =
        rondo__stream_new(loop, fd, true, server->acceptor ? server->acceptor->room : 0,
                          rondo__handle_site(&server->base));
    if (!stream) {
        rondo__server_drop_fd(server, RONDO_DROP_STARVED, RONDO_ENOMEM, fd);
        pause_accepting(server, RONDO_ENOMEM);
        return;
    }
    rondo__crowd_join(rondo__net_of(loop), server->crowd, fd);
    if (!server->security && !server->proxied) {
        rondo__server_hand_out(server, stream);
        return;
    }
    if (!rondo__server_lets_in(server, stream)) {
        rondo__server_drop_stream(server, RONDO_DROP_FULL, 0, stream);
        rondo_close(stream);
        return;
    }
    int status = rondo__server_shake(server, stream);
    if (status == 0) return;
    rondo__server_lets_go(server, stream);
    rondo__server_drop_stream(server, RONDO_DROP_STARVED, status, stream);
    rondo_close(stream);
    pause_accepting(server, status);
}

void rondo__server_accept(rondo_loop *loop, rondo__io *io, int events) {
    rondo_server *server = RONDO__OF(io, rondo_server, io);
    uint32_t left = rondo_loop_budget(loop, RONDO_BUDGET_accepts);
    (void)events;
    /* A listener may close or pause the server or remove itself; a failure pauses it. */
    while (left-- > 0 && server->fd >= 0 && !server->paused && rondo__server_wanted(server) &&
           !rondo__alarm_is_set(&server->retry)) {
        int fd = rondo__socket_accept(server->fd);
        if (fd >= 0) {
            take_connection(server, fd);
        } else if (fd == RONDO_EAGAIN) {
            break;
        } else if (!rondo__socket_accept_again(fd)) {
            if (fd == RONDO_EMFILE || fd == RONDO_ENFILE) turn_away(server, fd);
            pause_accepting(server, fd);
        }
    }
    if (server->fd < 0 || rondo__alarm_is_set(&server->retry)) return;
    if (!rondo__server_wanted(server))
        rondo__server_watch(server); /* the next ones may wait in the kernel's queue */
    else if (!server->paused && !rondo__io_watched(io))
        pause_accepting(server, RONDO_ENOMEM); /* libev gave it up */
}

void rondo__server_accept_rest(rondo_server *server) {
    for (int i = 0; i < REST_BATCHES_MOST && server->fd >= 0; i++) {
        uint64_t before = server->accepted + server->dropped;
        rondo__server_accept(server->base.loop, &server->io, RONDO__READABLE);
        if (server->accepted + server->dropped == before) return;
    }
}
