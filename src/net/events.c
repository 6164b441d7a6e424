/* SPDX-License-Identifier: MIT
 *
 * A stream's events: who listens, and how each is told. A protocol that consumes the stream is told
 * in their place, without the door.
 */
#include <rondo/unix.h>

#include "net/duplex.h"

static void data_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    (void)loop;
    ((rondo_stream_data_cb)fn)((rondo_stream *)handle, *(const rondo_slice *)payload, arg);
}

static void plain_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    (void)loop, (void)payload;
    ((rondo_stream_cb)fn)((rondo_stream *)handle, arg);
}

static void error_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    (void)loop;
    ((rondo_stream_error_cb)fn)((rondo_stream *)handle, *(const int *)payload, arg);
}

static void fd_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                     void *arg) {
    (void)loop;
    ((rondo_stream_fd_cb)fn)((rondo_stream *)handle, *(const int *)payload, arg);
}

static void stream_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                         void *arg) {
    (void)loop;
    ((rondo_stream_stream_cb)fn)((rondo_stream *)handle, payload, arg);
}

static const rondo__event events[RONDO__STREAM_ALL_EVENTS] = {
    [RONDO__STREAM_DATA] = {"stream.data", data_thunk},
    [RONDO__STREAM_END] = {"stream.end", plain_thunk},
    [RONDO__STREAM_FINISH] = {"stream.finish", plain_thunk},
    [RONDO__STREAM_DRAIN] = {"stream.drain", plain_thunk},
    [RONDO__STREAM_TIMEOUT] = {"stream.timeout", plain_thunk},
    [RONDO__STREAM_ERROR] = {"stream.error", error_thunk},
    [RONDO__STREAM_CONNECT] = {"stream.connect", plain_thunk},
    [RONDO__STREAM_FD] = {"stream.fd", fd_thunk},
    [RONDO__STREAM_STREAM] = {"stream.stream", stream_thunk},
    [RONDO__STREAM_RESIZE] = {"stream.resize", plain_thunk},
};

#define DEFINE_EVENT(event, callback, index) \
    RONDO__DEFINE_EVENT(rondo_stream, rondo_stream, event, callback, &rondo__stream_kind, index)
DEFINE_EVENT(end, rondo_stream_cb, RONDO__STREAM_END);
DEFINE_EVENT(finish, rondo_stream_cb, RONDO__STREAM_FINISH);
DEFINE_EVENT(drain, rondo_stream_cb, RONDO__STREAM_DRAIN);
DEFINE_EVENT(timeout, rondo_stream_cb, RONDO__STREAM_TIMEOUT);
DEFINE_EVENT(error, rondo_stream_error_cb, RONDO__STREAM_ERROR);

int rondo__stream_listen(rondo_stream *stream, unsigned event, rondo__fn fn, void *arg, bool once) {
    if (rondo__handle_closing(&stream->base)) return RONDO_ECLOSED;
    int status = rondo__stream_need_extra(stream);
    if (status < 0) return status;
    return rondo__on(&stream->base, rondo__stream_slot(stream, event), event, fn, arg, once);
}

int rondo__stream_unlisten(rondo_stream *stream, unsigned event, rondo__fn fn, void *arg) {
    rondo__slot *slot = rondo__stream_slot(stream, event);
    return slot ? rondo__off(&stream->base, slot, event, fn, arg) : RONDO_ENOENT;
}

RONDO__DEFINE_RARE_EVENT(connect, rondo_stream_cb, RONDO__STREAM_CONNECT, rondo__stream_listen);

/* The first `data` listener starts the reading. */
static int listen_data(rondo_stream *stream, rondo_stream_data_cb cb, void *arg, bool once) {
    rondo__slot *slot = &stream->on[RONDO__STREAM_DATA];
    bool wanted = rondo__stream_wants(stream);
    int status = rondo__on(&stream->base, slot, RONDO__STREAM_DATA, RONDO__FN(cb), arg, once);
    if (status < 0 || rondo__stream_dead(stream)) return status;
    status = rondo__stream_rewatch(stream, wanted);
    if (status < 0) rondo__off(&stream->base, slot, RONDO__STREAM_DATA, RONDO__FN(cb), arg);
    return status;
}

int rondo_stream_on_data(rondo_stream *stream, rondo_stream_data_cb cb, void *arg) {
    RONDO__CHECK(stream, &rondo__stream_kind);
    return listen_data(stream, cb, arg, false);
}

int rondo_stream_once_data(rondo_stream *stream, rondo_stream_data_cb cb, void *arg) {
    RONDO__CHECK(stream, &rondo__stream_kind);
    return listen_data(stream, cb, arg, true);
}

int rondo_stream_off_data(rondo_stream *stream, rondo_stream_data_cb cb, void *arg) {
    RONDO__CHECK(stream, &rondo__stream_kind);
    return rondo__off(&stream->base, &stream->on[RONDO__STREAM_DATA], RONDO__STREAM_DATA,
                      RONDO__FN(cb), arg);
}

void rondo__stream_tell_data(rondo_stream *stream, rondo_slice chunk) {
    if (stream->consumer) {
        rondo__cork(stream->base.loop);
        if (stream->consumer->data) stream->consumer->data(stream, chunk);
        rondo__uncork(stream->base.loop);
        return;
    }
    RONDO_ASSERT(rondo__stream_has_slots(stream)); /* see rondo__stream_new() */
    rondo__pipe_data(stream, chunk);
    rondo__emit(&stream->base, &stream->on[RONDO__STREAM_DATA], RONDO__STREAM_DATA,
                &events[RONDO__STREAM_DATA], &chunk);
}

void rondo__stream_tell_received(rondo_stream *stream, unsigned event, void *payload) {
    rondo__emit(&stream->base, rondo__stream_slot(stream, event), event, &events[event], payload);
}

static void (*consumer_call(const rondo__consumer *consumer, unsigned event))(rondo_stream *) {
    switch (event) {
    case RONDO__STREAM_END: return consumer->end;
    case RONDO__STREAM_FINISH: return consumer->finish;
    case RONDO__STREAM_DRAIN: return consumer->drain;
    case RONDO__STREAM_TIMEOUT: return consumer->timeout;
    case RONDO__STREAM_CONNECT: return consumer->connect;
    default: return NULL;
    }
}

bool rondo__stream_tell(rondo_stream *stream, unsigned event) {
    if (stream->consumer) {
        void (*call)(rondo_stream *) = consumer_call(stream->consumer, event);
        if (call) call(stream);
        return call != NULL;
    }
    rondo__slot *slot = rondo__stream_has_slots(stream) ? rondo__stream_slot(stream, event) : NULL;
    return slot && rondo__emit(&stream->base, slot, event, &events[event], NULL) > 0;
}

void rondo__stream_tell_error(rondo_stream *stream) {
    int error = stream->error;
    if (rondo__stream_tell_failed_opening(stream)) return;
    if (stream->consumer && stream->consumer->error) {
        stream->consumer->error(stream, error);
        return;
    }
    if (rondo__stream_has_slots(stream) &&
        rondo__emit(&stream->base, &stream->on[RONDO__STREAM_ERROR], RONDO__STREAM_ERROR,
                    &events[RONDO__STREAM_ERROR], &error) > 0)
        return;
    /* No peer may bring a server down. */
    if (stream->flags & RONDO__ACCEPTED)
        rondo__count_unheard(stream->base.loop);
    else
        rondo__uncaught(stream->base.loop, &stream->base, error, "the stream failed");
}
