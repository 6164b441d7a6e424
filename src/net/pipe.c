/* SPDX-License-Identifier: MIT
 *
 * One stream into another. A pipe is told by its two streams, not by their listeners, what happens
 * to them. It lasts until its source ends, or either of them fails or closes; both forget it before
 * anything is done to the other, so that two pipes in a ring can't chase each other.
 *
 * Bytes that nobody looks at stay in the kernel: from the source into a kernel pipe, which is a
 * segment of the destination's queue like any other (write_queue.c) and leaves in its turn. So order,
 * backpressure, figures, the end and every way to fail are those of the queue. A source that is a
 * file puts pieces of itself there, as rondo_write_file() does.
 */
#include <rondo/handle.h>

#include "loop/memory.h"
#include "net/duplex.h"

/* Bytes are copied until so many reads in a row have filled the buffer: splicing costs a few calls
 * more for each lot, and is worth them only when it is large. So many small splices in a row, and
 * they are copied again. */
#define FULL_READS 2
#define SMALL_SPLICES 4
#define SMALL_BYTES ((size_t)32 * 1024)
/* How many full reads more it takes after splicing was impossible. */
#define PATIENCE 64

/* The source is a file, whose bytes need not be read at all. */
static inline bool is_file(const rondo_stream *src) {
    const rondo__transport *transport = rondo__transport_of(src);
    return transport && transport->offer;
}

static void unlink_pipe(rondo__pipe *pipe) {
    pipe->src->extra->pipe = NULL;
    pipe->src->flags &= ~(uint32_t)(RONDO__HELD | RONDO__BULK);
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
    if (src->flags & RONDO__EOF) { /* there is nothing to come, unless from another source */
        if (!rondo__pipe_leads_in(dst)) rondo__stream_end(dst);
        return 0;
    }
    rondo__pipe *pipe = rondo__alloc(sizeof *pipe);
    if (!pipe) return RONDO_ENOMEM;
    *pipe = (rondo__pipe){.src = src, .dst = dst};
    bool wanted = rondo__stream_wants(src);
    rondo__list_init(&pipe->link);
    rondo__list_push_back(&dst->extra->sources, &pipe->link);
    src->extra->pipe = pipe;
    if (is_file(src)) src->flags |= RONDO__BULK;
    int status = rondo__stream_rewatch(src, wanted);
    if (status < 0) unlink_pipe(pipe);
    return status;
}

int rondo_unpipe(rondo_stream *src) {
    RONDO__CHECK_STREAM(src);
    if (rondo__stream_dead(src)) return RONDO_ECLOSED;
    if (!rondo__pipe_leads_on(src)) return RONDO_ENOENT;
    bool wanted = rondo__stream_wants(src);
    unlink_pipe(src->extra->pipe);
    return rondo__stream_rewatch(src, wanted);
}

/* ---- inside the kernel ---- */

/* Nobody sees the bytes, and nothing has to be done to them. */
static bool can_splice(const rondo__pipe *pipe) {
    const rondo_stream *src = pipe->src, *dst = pipe->dst;
    if ((dst->flags & RONDO__ENDED) || rondo__heard(&src->on[RONDO__STREAM_DATA])) return false;
    if (is_file(src)) return !rondo__transport_of(dst) || rondo__stream_writes_later(dst);
    return !((src->flags | dst->flags) & RONDO__TRANSPORTED) && !dst->extra->no_splice;
}

static void notice_read(rondo__pipe *pipe, size_t bytes) {
    if (bytes == RONDO__RECEIVE_BYTES)
        pipe->full_reads++;
    else if (pipe->full_reads > 0)
        pipe->full_reads = 0;
    if (pipe->full_reads < FULL_READS && !is_file(pipe->src)) return;
    if (!can_splice(pipe)) return;
    pipe->small_splices = 0;
    pipe->src->flags |= RONDO__BULK;
}

static void read_again(rondo__pipe *pipe, int full_reads) {
    pipe->full_reads = full_reads;
    pipe->src->flags &= ~(uint32_t)RONDO__BULK;
}

int64_t rondo__pipe_splice(rondo_stream *src) {
    rondo__pipe *pipe = src->extra->pipe;
    if (!can_splice(pipe)) {
        read_again(pipe, 0);
        return RONDO_ENOTSUP;
    }
    if (is_file(src)) {
        int64_t moved = rondo__transport_of(src)->offer(src, pipe->dst);
        if (moved == RONDO_ENOTSUP) read_again(pipe, 0);
        return moved;
    }
    int64_t count = rondo__out_splice(pipe->dst, src->fd);
    bool empty = rondo__queued(pipe->dst) == 0;
    /* It may be the kernel pipe that is full: then the source stays readable, and must be held. With
     * room in the pipe, what is there can't be spliced: TCP's stops in front of an urgent byte
     * (RFC 6093) for as long as nobody reads over it. */
    if (count == RONDO_EAGAIN && empty) count = RONDO_ENOTSUP;
    if (count == RONDO_EAGAIN) src->flags |= RONDO__HELD;
    if (count == RONDO_ENOTSUP) read_again(pipe, -PATIENCE);
    return count;
}

void rondo__pipe_spliced(rondo_stream *src, size_t count) {
    rondo__pipe *pipe = src->extra->pipe;
    rondo_stream *dst = pipe->dst;
    pipe->small_splices = count < SMALL_BYTES ? pipe->small_splices + 1 : 0;
    if (pipe->small_splices == SMALL_SPLICES) read_again(pipe, 0);
    if (!(dst->flags & RONDO__BLOCKED)) rondo__stream_send(dst, NULL);
    if (!rondo__stream_dead(dst) && !rondo__stream_below_mark(dst)) src->flags |= RONDO__HELD;
}

/* ---- what the source tells ---- */

void rondo__pipe_data(rondo_stream *src, rondo_slice chunk) {
    if (!rondo__pipe_leads_on(src)) return;
    rondo_stream *dst = src->extra->pipe->dst;
    notice_read(src->extra->pipe, chunk.len);
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
