/* SPDX-License-Identifier: MIT
 *
 * A stream's life: birth from a descriptor, news, failure, close.
 *
 * Two rules keep user callbacks out of the calls that cause them. Whatever is found out inside a
 * call or a flush is only noted, in flags and in the queue, and rondo__stream_report() tells it
 * from the pending phase. A failure is noted in the same way: from then on the stream does nothing
 * but wait to tell it, and close.
 */
#include <string.h>

#include "loop/memory.h"
#include "net/duplex.h"
#include "net/socket_adopt.h"
#include "net/tty/terminal.h"

/* ---- news ---- */

void rondo__stream_report_later(rondo_stream *stream) {
    RONDO_ASSERT(!rondo__handle_closing(&stream->base)); /* the task is the closing phase's */
    rondo__defer(stream->base.loop, &stream->base.task);
}

void rondo__stream_report(rondo_stream *stream) {
    uint32_t through = RONDO__EOF | RONDO__FINISHED;
    /* `connect` comes first. */
    bool opening = (stream->flags & RONDO__OPENING) && !rondo__stream_dead(stream);
    if (!opening) rondo__out_release(stream, false);
    if (rondo__handle_closing(&stream->base)) return;
    if (stream->flags & RONDO__FAILED) {
        rondo__stream_tell_error(stream);
        rondo_close(stream);
        return;
    }
    if (stream->flags & (RONDO__TRANSPORTED | RONDO__UNREAD)) rondo__stream_read_on(stream);
    if (rondo__stream_dead(stream)) return;
    if (rondo__queued(stream) == 0) {
        rondo__pipe_drained(stream);
        /* The queue may be empty while the kernel is full: of what rondo_try_write() has sent. */
        if ((stream->flags & (RONDO__NEED_DRAIN | RONDO__BLOCKED)) == RONDO__NEED_DRAIN) {
            stream->flags &= ~(uint32_t)RONDO__NEED_DRAIN;
            rondo__stream_tell(stream, RONDO__STREAM_DRAIN);
            if (rondo__stream_dead(stream)) return;
        }
    }
    if ((stream->flags & (RONDO__SHUT | RONDO__FINISHED)) == RONDO__SHUT) {
        stream->flags |= RONDO__FINISHED;
        rondo__stream_tell(stream, RONDO__STREAM_FINISH);
        if (rondo__stream_dead(stream)) return;
    }
    if ((stream->flags & through) == through) rondo_close(stream);
}

static void report_news(rondo_loop *loop, rondo__task *news) {
    (void)loop;
    rondo__stream_report(RONDO__OF(news, rondo_stream, base.task));
}

static void unwatch_all(rondo_stream *stream) {
    rondo__io_stop(stream->base.loop, &stream->io);
    if (rondo__watcher_of(stream)) rondo__stream_watch(stream, 0);
}

void rondo__stream_fail(rondo_stream *stream, int error) {
    RONDO_ASSERT(error < 0);
    if (rondo__stream_dead(stream)) return;
    stream->flags |= RONDO__FAILED;
    stream->error = error;
    rondo__stream_fail_opening(stream);
    unwatch_all(stream);
    rondo__timeouts_clear(stream);
    rondo__out_drop(stream, error);
    rondo__stream_report_later(stream); /* before those that it drags along */
    rondo__pipe_undo(stream, error);
}

void rondo_destroy(rondo_stream *stream, int error) {
    RONDO__CHECK_STREAM(stream);
    if (error < 0)
        rondo__stream_fail(stream, error);
    else
        rondo_close(stream);
}

/* ---- life ---- */

rondo_stream *rondo__stream_new(rondo_loop *loop, int fd, bool accepted, size_t room,
                                const char *site) {
    rondo__net *net = rondo__net_make(loop);
    size_t slots = sizeof(rondo__slot) * RONDO__STREAM_EVENTS;
    size_t size = sizeof(rondo_stream) + (room > 0 ? room : slots);
    if (!net || (fd >= 0 && rondo__net_claim(net, fd) < 0)) return NULL;
    rondo_stream *stream = rondo__zalloc(size);
    if (!stream) {
        if (fd >= 0) rondo__net_unclaim(net, fd);
        return NULL;
    }
    rondo__handle_init(&stream->base, loop,
                       room > 0 ? &rondo__connection_kind : &rondo__stream_kind, site);
    rondo__io_init(&stream->io, fd, rondo__stream_ready);
    rondo__timeouts_init(stream);
    stream->base.task.run = report_news;
    stream->on = room > 0 ? NULL : stream->room;
    stream->fd = fd;
    stream->flags = RONDO__SOCKET | (accepted ? RONDO__ACCEPTED : 0);
    if (fd >= 0 && rondo__io_watch(loop, &stream->io, RONDO__READABLE) < 0) {
        rondo__stream_discard(stream);
        return NULL;
    }
    rondo__handle_activate(&stream->base);
    return stream;
}

void rondo__stream_discard(rondo_stream *stream) {
    rondo__io_stop(stream->base.loop, &stream->io);
    if (stream->fd >= 0) rondo__net_unclaim(rondo__net_of(stream->base.loop), stream->fd);
    rondo__stream_free_extra(stream);
    rondo__handle_discard(&stream->base);
}

/* An end of a pipe has one direction; the other is over. */
static void take_traits(rondo_stream *stream, const rondo__socket_traits *traits) {
    if (!traits->socket) stream->flags &= ~(uint32_t)RONDO__SOCKET;
    if (!traits->writable) stream->flags |= RONDO__ENDED | RONDO__SHUT | RONDO__FINISHED;
    if (!traits->readable) {
        stream->flags |= RONDO__EOF;
        rondo__io_watch(stream->base.loop, &stream->io, 0);
    }
}

int rondo_stream_open_at(rondo_loop *loop, int fd, rondo_stream **ret_stream, const char *site) {
    rondo__loop_check(loop, "rondo_stream_open");
    rondo__socket_traits traits;
    int before;
    if (fd < 0) return RONDO_EBADF;
    int status = rondo__socket_inspect(fd, &traits);
    if (status < 0) return status;
    rondo__net *net = rondo__net_make(loop);
    if (!net) return RONDO_ENOMEM;
    if (rondo__net_claimed(net, fd)) return RONDO_EEXIST;
    status = rondo__socket_adopt(fd, &before);
    if (status < 0) return status;
    rondo_stream *stream = rondo__stream_new(loop, fd, false, 0, site);
    if (!stream) {
        rondo__socket_give_back(fd, before);
        return RONDO_ENOMEM;
    }
    take_traits(stream, &traits);
    *ret_stream = stream;
    return 0;
}

static void stream_stop(rondo_handle *handle) {
    rondo_stream *stream = (rondo_stream *)handle;
    const rondo__transport *transport = rondo__transport_of(stream);
    rondo__stream_cancel_opening(stream);
    /* The watch goes before the descriptor: libev must never be left with a closed one. */
    unwatch_all(stream);
    if (transport && transport->stop && (stream->fd >= 0 || transport->watch))
        transport->stop(stream);
    rondo__terminal_stop(stream);
    if (stream->fd >= 0) {
        rondo__stream_forget_reset(stream);
        rondo__net_unclaim(rondo__net_of(handle->loop), stream->fd);
        rondo__socket_close(stream->fd);
        stream->fd = -1;
    }
    rondo__timeouts_clear(stream);
    rondo__handle_return_task(handle);
    rondo__out_drop(stream, RONDO_ECANCELED);
    rondo__pipe_undo(stream, 0);
}

static void stream_finish(rondo_handle *handle) {
    rondo__out_release((rondo_stream *)handle, true);
}

static void free_slots(rondo_stream *stream) {
    for (unsigned i = 0; stream->on && i < RONDO__STREAM_EVENTS; i++)
        rondo__slot_fini(&stream->on[i]);
    if (stream->on != stream->room) rondo__free(stream->on);
    stream->on = NULL;
}

static void stream_free(rondo_handle *handle) {
    rondo_stream *stream = (rondo_stream *)handle;
    if (stream->consumer && stream->consumer->closed) stream->consumer->closed(stream);
    RONDO_ASSERT(!stream->out);
    rondo__stream_free_extra(stream);
    free_slots(stream);
}

static void stream_verify(const rondo_handle *handle) {
    const rondo_stream *stream = (const rondo_stream *)handle;
    bool closing = rondo__handle_closing(handle);
    bool opening = (stream->flags & RONDO__OPENING) != 0;
    bool watcher = rondo__watcher_of(stream) != NULL;
    RONDO_ASSERT(closing ? stream->fd < 0 : stream->fd >= 0 || opening || watcher);
    RONDO_ASSERT(!opening || (stream->flags & RONDO__BLOCKED));
    /* Nothing may find a stream any more that is dead. */
    RONDO_ASSERT(!rondo__stream_dead(stream) || !rondo__alarm_is_set(&stream->idle));
    RONDO_ASSERT(!rondo__stream_dead(stream) || rondo__stream_watched(stream) == 0);
    RONDO_ASSERT(closing || handle->task.run == report_news);
    RONDO_ASSERT(!(stream->flags & RONDO__UNREAD) || (stream->extra && stream->extra->unread));
    RONDO_ASSERT(!(stream->flags & RONDO__SHUT) || (stream->flags & RONDO__ENDED));
    RONDO_ASSERT(!(stream->flags & RONDO__FINISHED) || (stream->flags & RONDO__SHUT));
    if (!rondo__stream_dead(stream) && (stream->flags & RONDO__BLOCKED) && !opening) {
        int events = rondo__stream_watched(stream);
        RONDO_ASSERT((events & RONDO__WRITABLE) || (stream->out && stream->out->warming) ||
                     ((events & RONDO__READABLE) && rondo__transport_of(stream)));
        RONDO_ASSERT(stream->out || (stream->flags & RONDO__NEED_DRAIN) ||
                     rondo__transport_of(stream));
    }
    rondo__out_verify(stream);
}

const rondo__kind rondo__stream_kind = {
    .name = "stream",
    .size = sizeof(rondo_stream),
    .stop = stream_stop,
    .finish = stream_finish,
    .free = stream_free,
    .verify = stream_verify,
};

const rondo__kind rondo__connection_kind = {
    .name = "connection",
    .size = sizeof(rondo_stream),
    .stop = stream_stop,
    .finish = stream_finish,
    .free = stream_free,
    .verify = stream_verify,
};

/* ---- protocols ---- */

void rondo__stream_consume(rondo_stream *stream, const rondo__consumer *consumer, void *owner) {
    RONDO__CHECK_STREAM(stream);
    RONDO_ASSERT(consumer && !stream->consumer && !rondo__pipe_leads_on(stream));
    rondo__stream_spare_slots(stream);
    stream->consumer = consumer;
    stream->owner = owner;
}

bool rondo__stream_is_over(const rondo_stream *stream) { return rondo__stream_dead(stream); }

bool rondo__stream_is_secure(const rondo_stream *stream) {
    const rondo__transport *transport = rondo__transport_of(stream);
    return transport && transport->secure;
}

void *rondo__stream_owner(const rondo_stream *stream) { return stream->owner; }

void *rondo__stream_room(rondo_stream *stream) {
    RONDO_ASSERT(stream->on != stream->room);
    return stream->room;
}

rondo__alarm *rondo__stream_alarm(rondo_stream *stream) {
    return rondo__stream_dead(stream) ? NULL : &stream->idle;
}
