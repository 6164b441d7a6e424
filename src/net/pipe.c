/* SPDX-License-Identifier: MIT
 *
 * One stream into another. A pipe is told by its two streams, not by their listeners, what happens
 * to them. It lasts until its source ends, or either of them fails or closes; both forget it before
 * anything is done to the other, so that two pipes in a ring can't chase each other.
 */
#include <rondo/handle.h>

#include "loop/memory.h"
#include "net/duplex.h"

static void unlink_pipe(rondo__pipe *pipe) {
    pipe->src->extra->pipe = NULL;
    pipe->src->flags &= ~(uint32_t)RONDO__HELD;
    rondo__list_remove(&pipe->link);
    rondo__free(pipe);
}

/* The pipe was what the stream's reading waited for. */
static void let_go(rondo_stream *src) {
    src->flags &= ~(uint32_t)RONDO__HELD;
    int status = rondo__stream_rewatch(src, false);
    if (status < 0) rondo__stream_fail(src, status);
}

int rondo_pipe(rondo_stream *src, rondo_stream *dst) {
    RONDO__CHECK_STREAM(src);
    RONDO__CHECK_STREAM(dst);
    if (src == dst || src->base.loop != dst->base.loop) return RONDO_EINVAL;
    if (rondo__stream_dead(src) || rondo__stream_dead(dst)) return RONDO_ECLOSED;
    if (src->consumer || rondo__pipe_leads_on(src)) return RONDO_EBUSY;
    if (dst->flags & RONDO__ENDED) return RONDO_EPIPE;
    if (rondo__stream_need_extra(src) < 0 || rondo__stream_need_extra(dst) < 0) return RONDO_ENOMEM;
    if (src->flags & RONDO__EOF) { /* there is nothing to come */
        rondo__stream_end(dst);
        return 0;
    }
    rondo__pipe *pipe = rondo__alloc(sizeof *pipe);
    if (!pipe) return RONDO_ENOMEM;
    pipe->src = src;
    pipe->dst = dst;
    bool wanted = rondo__stream_wants(src);
    rondo__list_init(&pipe->link);
    rondo__list_push_back(&dst->extra->sources, &pipe->link);
    src->extra->pipe = pipe;
    int status = rondo__stream_rewatch(src, wanted);
    if (status < 0) unlink_pipe(pipe);
    return status;
}

void rondo__pipe_data(rondo_stream *src, rondo_slice chunk) {
    if (!rondo__pipe_leads_on(src)) return;
    rondo_stream *dst = src->extra->pipe->dst;
    if (dst->flags & RONDO__ENDED) { /* not by the pipe: it goes on to write what it has */
        unlink_pipe(src->extra->pipe);
        rondo__stream_fail(src, RONDO_EPIPE);
        return;
    }
    int status = rondo__stream_put(dst, chunk);
    if (status < 0) {
        rondo__stream_fail(dst, status); /* and with it src, whose chunk is lost */
    } else if (!rondo__stream_dead(dst) && !rondo__stream_below_mark(dst)) {
        src->flags |= RONDO__HELD;
    }
}

void rondo__pipe_end(rondo_stream *src) {
    if (!rondo__pipe_leads_on(src)) return;
    rondo_stream *dst = src->extra->pipe->dst;
    unlink_pipe(src->extra->pipe);
    if (!rondo__pipe_leads_in(dst)) rondo__stream_end(dst); /* the last of its sources */
}

static rondo__pipe *first_source(const rondo_stream *dst) {
    return rondo__pipe_leads_in(dst) ? RONDO__OF(dst->extra->sources.next, rondo__pipe, link)
                                     : NULL;
}

bool rondo__pipe_waits(const rondo_stream *dst) {
    if (!dst->extra) return false;
    const rondo__list *sources = &dst->extra->sources;
    for (const rondo__list *link = sources->next; link != sources; link = link->next)
        if (RONDO__OF((uintptr_t)link, rondo__pipe, link)->src->flags & RONDO__HELD) return true;
    return false;
}

void rondo__pipe_drained(rondo_stream *dst) {
    if (!dst->extra) return;
    rondo__list *sources = &dst->extra->sources;
    for (rondo__list *link = sources->next, *next; link != sources; link = next) {
        rondo_stream *src = RONDO__OF(link, rondo__pipe, link)->src;
        next = link->next;
        if (!(src->flags & RONDO__HELD)) continue;
        let_go(src);
        if (rondo__stream_dead(dst)) return; /* src failed, and took dst along */
    }
}

/* Fails or closes the stream at the other end. */
static void pass_on(rondo_stream *other, int error) {
    if (error < 0)
        rondo__stream_fail(other, error);
    else
        rondo_close(other);
}

void rondo__pipe_undo(rondo_stream *stream, int error) {
    rondo_stream *dst = NULL;
    if (!stream->extra) return;
    if (stream->extra->pipe) {
        dst = stream->extra->pipe->dst;
        unlink_pipe(stream->extra->pipe);
    }
    for (rondo__pipe *pipe; (pipe = first_source(stream));) {
        rondo_stream *src = pipe->src;
        unlink_pipe(pipe);
        if (src != dst) pass_on(src, error);
    }
    if (dst) pass_on(dst, error);
}
