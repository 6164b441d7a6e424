/* SPDX-License-Identifier: MIT
 *
 * For tests of the loop below the streams: a pair of connected sockets, one end of which the loop
 * watches. When bytes have come they are read, and the channel's callback runs through the door.
 */
#ifndef TEST_CHANNEL_H
#define TEST_CHANNEL_H

#include "harness.h"
#include "loop/door.h"
#include "loop/io.h"

#include <rondo.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct channel {
    rondo__io io;
    int fds[2]; /* the watched end, the other one */
    rondo_tick_cb cb;
    void *arg;
} channel;

static void channel_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                          void *arg) {
    ((rondo_tick_cb)fn)(loop, arg);
}
static const rondo__event channel_event = {"channel", channel_thunk};

static void channel_run(rondo_loop *loop, rondo__io *io, int events) {
    channel *self = RONDO__OF(io, channel, io);
    char bytes[64];
    CHECK_INT(events, RONDO__READABLE);
    CHECK(read(self->fds[0], bytes, sizeof bytes) > 0);
    rondo__door(loop, NULL, &channel_event, RONDO__FN(self->cb), NULL, self->arg);
}

__attribute__((unused)) static void channel_open(channel *self, rondo_loop *loop, rondo_tick_cb cb,
                                                 const void *arg) {
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, self->fds), 0);
    rondo__io_init(&self->io, self->fds[0], channel_run);
    self->cb = cb;
    self->arg = (void *)(uintptr_t)arg;
    CHECK_INT(rondo__io_watch(loop, &self->io, RONDO__READABLE), 0);
}

/* Makes it readable. */
__attribute__((unused)) static void channel_poke(channel *self) {
    CHECK_INT(write(self->fds[1], "!", 1), 1);
}

__attribute__((unused)) static void channel_close(channel *self, rondo_loop *loop) {
    rondo__io_stop(loop, &self->io);
    close(self->fds[0]);
    close(self->fds[1]);
}

#endif
