/* SPDX-License-Identifier: MIT
 *
 * Resets of streams that are not watched, because bytes are waiting which nobody wants: the kernel
 * would report those again and again. epoll(7) always reports errors, but libev has no way to ask
 * for nothing else, so such streams are put into an epoll set of our own, which libev watches. It
 * reports a stream once each time that it is put in; only streams that leave bytes waiting pay for
 * it, with one system call each time.
 *
 * On other systems such a reset is told when the bytes are read.
 */
#include "net/duplex.h"

#include "net/socket_resets.h"

/* Told at once, and what was not read is gone: RFC 9293, 3.10.7.4. Where a stream is held by a full
 * destination it reads on by itself, and finds the error in its place, behind the bytes. */
static void look(rondo_stream *stream) {
    if (rondo__stream_dead(stream) || rondo__stream_wants(stream)) return;
    if ((stream->flags & (RONDO__HELD | RONDO__PAUSED)) == RONDO__HELD) return;
    int error = rondo__socket_error(stream->fd);
    if (error < 0) rondo__stream_fail(stream, error);
}

static void on_ready(rondo_loop *loop, rondo__io *io, int events) {
    rondo__net *net = RONDO__OF(io, rondo__net, resets);
    void *found[16];
    (void)loop, (void)events;
    /* No user function runs in between, so no stream that was found goes away. */
    int count = rondo__resets_take(net->resets_fd, found, 16);
    for (int i = 0; i < count; i++) look(found[i]);
}

static bool open_set(rondo_loop *loop, rondo__net *net) {
    if (net->resets_fd >= 0) return true;
    int fd = rondo__resets_new();
    if (fd < 0) return false;
    rondo__io_init(&net->resets, fd, on_ready);
    if (rondo__io_watch(loop, &net->resets, RONDO__READABLE) == 0) {
        net->resets_fd = fd;
        return true;
    }
    rondo__io_stop(loop, &net->resets);
    rondo__socket_close(fd);
    return false;
}

void rondo__stream_listen_for_reset(rondo_stream *stream) {
    rondo__net *net = rondo__net_of(stream->base.loop);
    bool again = (stream->flags & RONDO__RESET_HEARD) != 0;
    if (!(stream->flags & RONDO__SOCKET) || !open_set(stream->base.loop, net)) return;
    if (rondo__resets_add(net->resets_fd, stream->fd, stream, again) == 0)
        stream->flags |= RONDO__RESET_HEARD;
}

void rondo__stream_forget_reset(rondo_stream *stream) {
    if (!(stream->flags & RONDO__RESET_HEARD)) return;
    rondo__resets_remove(rondo__net_of(stream->base.loop)->resets_fd, stream->fd);
    stream->flags &= ~(uint32_t)RONDO__RESET_HEARD;
}

void rondo__resets_fini(rondo_loop *loop, rondo__net *net) {
    if (net->resets_fd < 0) return;
    rondo__io_stop(loop, &net->resets);
    rondo__socket_close(net->resets_fd);
}
