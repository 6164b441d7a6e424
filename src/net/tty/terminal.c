/* SPDX-License-Identifier: MIT
 *
 * A stream as a terminal: its mode, its size and how it hears that the size is another. Works for
 * any stream on a terminal, standard or not.
 */
#include "net/tty/terminal.h"

#include <signal.h>

#include "loop/memory.h"
#include "loop/signals.h"
#include "net/duplex.h"
#include "net/tty/borrow.h"
#include "net/tty/device.h"

struct rondo__terminal {
    rondo_stream *stream;
    rondo__signal_watch winch; /* with a listener of `resize` */
    unsigned columns, rows;    /* as last seen; 0: not known */
};

static void look(rondo_loop *loop, rondo__signal_watch *watch) {
    rondo__terminal *self = RONDO__OF(watch, rondo__terminal, winch);
    unsigned columns = 0, rows = 0;
    (void)loop;
    if (rondo__stream_dead(self->stream)) return;
    rondo__device_size(self->stream->fd, &columns, &rows);
    if (columns == self->columns && rows == self->rows) return; /* anybody may send the signal */
    self->columns = columns;
    self->rows = rows;
    rondo__stream_tell(self->stream, RONDO__STREAM_RESIZE);
}

/* RONDO_ENOMEM. */
static int need_terminal(rondo_stream *stream) {
    int status = rondo__stream_need_extra(stream);
    if (status < 0 || stream->extra->terminal) return status;
    rondo__terminal *self = rondo__zalloc(sizeof *self);
    if (!self) return RONDO_ENOMEM;
    self->stream = stream;
    rondo__signal_watch_init(&self->winch, look);
    stream->extra->terminal = self;
    return 0;
}

void rondo__terminal_stop(rondo_stream *stream) {
    rondo__terminal *self = stream->extra ? stream->extra->terminal : NULL;
    if (!self) return;
    rondo__signal_watch_stop(stream->base.loop, &self->winch);
    rondo__borrow_end(stream);
    stream->extra->terminal = NULL;
    rondo__free(self);
}

/* ---- the calls ---- */

/* 0 when there is a descriptor to ask. */
static int askable(const rondo_stream *stream) {
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    return stream->fd < 0 || !rondo__device_is_terminal(stream->fd) ? RONDO_ENOTSUP : 0;
}

bool rondo_is_tty(const rondo_stream *stream) {
    RONDO__CHECK_STREAM(stream);
    return askable(stream) == 0;
}

int rondo_tty_set_mode(rondo_stream *stream, rondo_tty_mode mode) {
    RONDO__CHECK_STREAM(stream);
    int status = askable(stream);
    if (status < 0) return status;
    if (mode != RONDO_TTY_NORMAL && mode != RONDO_TTY_CBREAK && mode != RONDO_TTY_RAW)
        return RONDO_EINVAL;
    status = need_terminal(stream);
    return status < 0 ? status : rondo__borrow_mode(stream->fd, mode, stream);
}

int rondo_tty_size(const rondo_stream *stream, unsigned *ret_columns, unsigned *ret_rows) {
    RONDO__CHECK_STREAM(stream);
    int status = askable(stream);
    return status < 0 ? status : rondo__device_size(stream->fd, ret_columns, ret_rows);
}

/* ---- resize ---- */

static int watch_size(rondo_stream *stream) {
    if (askable(stream) < 0) return 0; /* it never comes */
    int status = need_terminal(stream);
    if (status < 0) return status;
    rondo__terminal *self = stream->extra->terminal;
    if (self->winch.signum) return 0;
    rondo__device_size(stream->fd, &self->columns, &self->rows);
    return rondo__signal_watch_start(stream->base.loop, &self->winch, SIGWINCH);
}

static int listen_resize(rondo_stream *stream, unsigned event, rondo__fn fn, void *arg, bool once) {
    int status = rondo__stream_listen(stream, event, fn, arg, once);
    if (status < 0) return status;
    status = watch_size(stream);
    if (status < 0) rondo__stream_unlisten(stream, event, fn, arg);
    return status;
}

RONDO__DEFINE_RARE_EVENT(resize, rondo_stream_cb, RONDO__STREAM_RESIZE, listen_resize);
