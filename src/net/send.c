/* SPDX-License-Identifier: MIT
 *
 * A stream's write queue to the kernel: gathered writes, files, and the shutdown behind the last
 * byte. Runs in the flush after a callback, where no user function may be called: what it finds out
 * is reported later.
 */
#include "net/duplex.h"
#include "net/file/warm.h"
#include "net/socket.h"

/* One gathered write takes so many pieces. */
#define PIECES RONDO__SEND_PIECES
/* One flush sends so much; then the others get their turn, and it goes on in the next poll phase. */
#define FLUSH_BYTES ((int64_t)1024 * 1024)

struct batch {
    struct iovec pieces[PIECES];
    int count;
    uint64_t bytes; /* in all */
    size_t direct;  /* of the direct bytes, the last pieces if any */
    bool more_next; /* something that is sent by itself comes behind */
};

/* Adds a piece, cut to what the batch may still take; how much of it that was. */
static size_t add_piece(struct batch *batch, const char *data, uint64_t len, int64_t budget) {
    uint64_t room = (uint64_t)budget - batch->bytes;
    if (len > room) len = room;
    batch->pieces[batch->count++] =
        (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = (size_t)len};
    batch->bytes += len;
    return (size_t)len;
}

/* A file that fits into a block is read instead: it leaves in one write with what is before and
 * behind it, and sendfile would cost more system calls than that. */
static bool is_small(const rondo__segment *file) { return file->left <= RONDO__BLOCK_ROOM; }

static void add_direct(struct batch *batch, const rondo__direct *direct, int64_t budget) {
    size_t skip = direct->skip;
    for (size_t i = 0; i < direct->count; i++, skip = 0) {
        rondo_slice piece = direct->pieces[i];
        if (piece.len == skip) continue;
        if (batch->count == PIECES || batch->bytes == (uint64_t)budget) return;
        batch->direct += add_piece(batch, piece.data + skip, piece.len - skip, budget);
    }
}

/* What is queued up to the first that is not in memory, then the direct bytes. */
static void gather(rondo_stream *stream, const rondo__direct *direct, int64_t budget,
                   struct batch *batch) {
    rondo__segment *before = NULL, *next = stream->out ? stream->out->first : NULL;
    batch->count = 0;
    batch->bytes = 0;
    batch->direct = 0;
    while (next && batch->count < PIECES && batch->bytes < (uint64_t)budget) {
        if (next->kind >= RONDO__SEGMENT_FILE) {
            /* When this fails, what is before it is sent first, and then it is the file's turn. */
            if (next->kind != RONDO__SEGMENT_FILE || !is_small(next) ||
                rondo__out_load_file(stream, before, next) < 0)
                break;
            next = before ? before->next : stream->out->first;
        }
        add_piece(batch, next->at, next->left, budget);
        before = next;
        next = next->next;
    }
    batch->more_next = next && next->kind >= RONDO__SEGMENT_FILE;
    if (!next && direct) add_direct(batch, direct, budget);
}

static bool is_warming(const rondo_stream *stream) { return stream->out && stream->out->warming; }

static inline int64_t write_pieces(rondo_stream *stream, const struct iovec *pieces, int count,
                                   int flags) {
    const rondo__transport *transport = rondo__transport_of(stream);
    if (transport) return transport->write(stream, pieces, count, flags);
    return rondo__socket_write(stream->fd, pieces, count, flags);
}

/* RONDO_EINVAL or RONDO_ENOSYS when it can't be sent like that. */
static int64_t move_file(rondo_stream *stream, const rondo__segment *file, uint64_t len) {
    const rondo__transport *transport = rondo__transport_of(stream);
    if (!transport)
        return rondo__socket_sendfile(stream->fd, file->file.fd, file->file.offset, len);
    if (!transport->sendfile) return RONDO_ENOSYS;
    return transport->sendfile(stream, file->file.fd, file->file.offset, len);
}

/* Sends a batch: how much of it left. */
static int64_t send_batch(rondo_stream *stream, rondo__direct *direct, struct batch *batch) {
    int flags = (stream->flags & RONDO__SOCKET ? 0 : RONDO__SEND_PIPE) |
                (batch->more_next ? RONDO__SEND_MORE : 0);
    int64_t sent = write_pieces(stream, batch->pieces, batch->count, flags);
    if (sent <= 0) return sent;
    uint64_t queued = batch->bytes - batch->direct;
    size_t from_queue = (size_t)((uint64_t)sent < queued ? (uint64_t)sent : queued);
    size_t from_direct = (size_t)sent - from_queue;
    rondo__out_advance(stream, from_queue);
    if (from_direct > 0) rondo__direct_advance(direct, from_direct);
    return sent;
}

/* The file at the front of the queue: how much of it left, or 0 to try again without sendfile. */
static int64_t send_file(rondo_stream *stream, int64_t budget) {
    rondo__segment *file = stream->out->first;
    int status = rondo__warm(stream, file);
    if (status < 0) return status;
    if (file->file.no_sendfile || is_small(file)) {
        status = rondo__out_load_file(stream, NULL, file);
        /* Without memory, sendfile still can. */
        if (status != RONDO_ENOMEM || file->file.no_sendfile) return status;
    }
    uint64_t want = file->file.warm < (uint64_t)budget ? file->file.warm : (uint64_t)budget;
    int64_t sent = move_file(stream, file, want);
    if (sent == RONDO_EINVAL || sent == RONDO_ENOSYS) {
        file->file.no_sendfile = true;
        return 0;
    }
    if (sent == 0) return RONDO_EIO; /* the file has become shorter */
    if (sent > 0) rondo__out_advance_file(stream, (uint64_t)sent);
    return sent;
}

/* The same into another file: a worker moves it, and waits for the disk. */
static int64_t move_to_file(rondo_stream *stream, int64_t budget) {
    const rondo__segment *file = stream->out->first;
    uint64_t want = file->left < (uint64_t)budget ? file->left : (uint64_t)budget;
    int64_t sent = move_file(stream, file, want);
    if (sent > 0) rondo__out_advance_file(stream, (uint64_t)sent);
    return sent;
}

/* The kernel pipe at the front of the queue: how much of it left, or 0 when it was read instead. */
static int64_t send_pipe(rondo_stream *stream, int64_t budget) {
    const rondo__segment *pipe = stream->out->first;
    size_t want = pipe->left < (uint64_t)budget ? (size_t)pipe->left : (size_t)budget;
    int64_t sent = rondo__transport_of(stream)
                       ? RONDO_EINVAL
                       : rondo__socket_splice_out(stream->fd, pipe->pipe.fds[0], want);
    if (sent == RONDO_EINVAL || sent == RONDO_ENOSYS) {
        stream->extra->no_splice = true;
        return rondo__out_load_pipe(stream);
    }
    if (sent > 0) rondo__out_advance(stream, (size_t)sent);
    return sent == 0 ? RONDO_EAGAIN : sent;
}

/* Waits until the fd is writable, or readable (see `starved` in transport.h), or for a disk. */
static void block(rondo_stream *stream) {
    const rondo__transport *transport = rondo__transport_of(stream);
    bool starved = transport && transport->starved && transport->starved(stream);
    int events = rondo__stream_watched(stream) & ~RONDO__WRITABLE;
    if (!is_warming(stream)) events |= starved ? RONDO__READABLE : RONDO__WRITABLE;
    stream->flags |= RONDO__BLOCKED;
    rondo__timeouts_blocked(stream);
    if (rondo__stream_watch(stream, events) < 0) rondo__stream_fail(stream, RONDO_ENOMEM);
}

static void unblock(rondo_stream *stream) {
    if (!(stream->flags & RONDO__BLOCKED)) return;
    int events = rondo__stream_watched(stream) & ~RONDO__WRITABLE;
    stream->flags &= ~(uint32_t)RONDO__BLOCKED;
    rondo__timeouts_unblocked(stream);
    rondo__stream_watch(stream, events); /* wanting less can't fail */
}

static int end_write_side(rondo_stream *stream) {
    const rondo__transport *transport = rondo__transport_of(stream);
    if (transport) return transport->shut(stream);
    return stream->flags & RONDO__SOCKET ? rondo__socket_shutdown(stream->fd) : 0;
}

/* The queue is written and nothing more will come. */
static void shut(rondo_stream *stream) {
    int status = end_write_side(stream);
    if (status == RONDO_EAGAIN) {
        block(stream);
        return;
    }
    if (status < 0) {
        /* ENOTCONN is the consequence; what happened to the connection is a better answer. */
        int cause = stream->fd >= 0 ? rondo__socket_error(stream->fd) : 0;
        if (cause == 0 && status == RONDO_ENOTCONN) cause = RONDO_ECONNRESET;
        rondo__stream_fail(stream, cause < 0 ? cause : status);
        return;
    }
    stream->flags |= RONDO__SHUT;
}

static bool news_due(const rondo_stream *stream) {
    bool empty = rondo__queued(stream) == 0;
    bool waited_for =
        (stream->flags & RONDO__NEED_DRAIN) || (stream->extra && rondo__pipe_waits(stream));
    bool finished = (stream->flags & (RONDO__SHUT | RONDO__FINISHED)) == RONDO__SHUT;
    return rondo__out_release_due(stream) || (empty && waited_for) || finished;
}

static bool anything_left(const rondo_stream *stream, const rondo__direct *direct) {
    return (stream->out && stream->out->first) || (direct && direct->left > 0);
}

static void count_sent(rondo_stream *stream, int64_t sent) {
    stream->bytes_out += (uint64_t)sent;
    if (sent > 0) rondo__timeouts_sent(stream);
}

/* Until nothing is left: 0. Or why it stopped: RONDO_EAGAIN, or an error of the stream. */
static int send_all(rondo_stream *stream, rondo__direct *direct) {
    int64_t budget = FLUSH_BYTES;
    while (anything_left(stream, direct)) {
        int64_t sent, want = 0;
        struct batch batch;
        if (budget <= 0) return RONDO_EAGAIN;
        gather(stream, direct, budget, &batch);
        if (batch.count == 0) {
            bool file = stream->out->first->kind == RONDO__SEGMENT_FILE;
            bool later = rondo__stream_writes_later(stream);
            sent = !file   ? send_pipe(stream, budget)
                   : later ? move_to_file(stream, budget)
                           : send_file(stream, budget);
        } else {
            sent = send_batch(stream, direct, &batch);
            want = (int64_t)batch.bytes;
        }
        if (sent < 0) return (int)sent;
        count_sent(stream, sent);
        budget -= sent;
        if (sent < want) return RONDO_EAGAIN; /* full: no call to be told so */
    }
    return 0;
}

/* What most flushes find: one short piece of memory, an answer. The same as send_all(). */
static int send_one(rondo_stream *stream, const rondo__segment *only) {
    struct iovec piece = {.iov_base = (void *)(uintptr_t)only->at, .iov_len = (size_t)only->left};
    int flags = stream->flags & RONDO__SOCKET ? 0 : RONDO__SEND_PIPE;
    int64_t sent = write_pieces(stream, &piece, 1, flags);
    if (sent < 0) return (int)sent;
    count_sent(stream, sent);
    rondo__out_advance(stream, (size_t)sent);
    return (size_t)sent < piece.iov_len ? RONDO_EAGAIN : 0;
}

/* What the transport has taken goes to the kernel: 0, RONDO_EAGAIN, an error. */
static inline int push_on(rondo_stream *stream) {
    const rondo__transport *transport = rondo__transport_of(stream);
    return transport && transport->flush ? transport->flush(stream) : 0;
}

void rondo__stream_send(rondo_stream *stream, rondo__direct *direct) {
    RONDO_ASSERT(!rondo__stream_dead(stream));
    /* A peer that says something has it try again (read.c); the worker's job is of what is in front. */
    if (is_warming(stream)) return;
    const rondo__segment *first = stream->out ? stream->out->first : NULL;
    bool is_one = first && !first->next && first->kind < RONDO__SEGMENT_FILE && !direct &&
                  first->left <= (uint64_t)FLUSH_BYTES;
    int status = push_on(stream);
    if (status == 0) status = is_one ? send_one(stream, first) : send_all(stream, direct);
    if (status == 0) status = push_on(stream);
    if (status == RONDO_EAGAIN) {
        block(stream);
    } else if (status < 0) {
        rondo__stream_fail(stream, status);
    } else {
        unblock(stream);
        if ((stream->flags & (RONDO__ENDED | RONDO__SHUT)) == RONDO__ENDED) shut(stream);
    }
    if (rondo__stream_dead(stream)) return; /* it reports that and nothing else */
    if (news_due(stream)) rondo__stream_report_later(stream);
    rondo__out_tidy(stream);
}

int64_t rondo__stream_try(rondo_stream *stream, rondo_slice data) {
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data.data, .iov_len = data.len};
    int64_t sent = push_on(stream);
    if (sent == 0)
        sent =
            write_pieces(stream, &piece, 1, stream->flags & RONDO__SOCKET ? 0 : RONDO__SEND_PIPE);
    int status = sent < 0 ? (int)sent : 0;
    if (sent == RONDO_EAGAIN) stream->flags |= RONDO__NEED_DRAIN;
    if (sent > 0) {
        count_sent(stream, sent);
        status = push_on(stream);
    }
    if (status == RONDO_EAGAIN)
        block(stream);
    else if (status < 0)
        rondo__stream_fail(stream, status);
    return rondo__stream_dead(stream) ? stream->error : sent;
}

void rondo__stream_warmed(rondo_stream *stream) {
    RONDO_ASSERT(stream->flags & RONDO__BLOCKED);
    rondo__stream_send(stream, NULL);
    if (!rondo__stream_dead(stream)) rondo__stream_report(stream);
}

void rondo__out_flush(rondo__flush *flush) {
    rondo_stream *stream = RONDO__OF(flush, rondo__out, flush)->stream;
    if (!(stream->flags & RONDO__BLOCKED)) rondo__stream_send(stream, NULL);
}
