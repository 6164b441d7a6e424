/* SPDX-License-Identifier: MIT
 *
 * The calls that write to a stream. They queue; the door has the queue flushed when the current
 * callback returns, so that all that one callback writes leaves in one system call.
 */
#include <string.h>

#include "net/duplex.h"
#include "net/socket.h"

/* From this size on a copy costs more than a system call of its own: what is queued and the data
 * are sent at once, straight from the caller's memory, and only the rest is copied. */
#define DIRECT_BYTES ((size_t)32 * 1024)

size_t rondo__stream_queued(const rondo_stream *stream) { return rondo__queued(stream); }
uint64_t rondo__stream_sent(const rondo_stream *stream) { return stream->bytes_out; }

uint64_t rondo__stream_will_have_sent(const rondo_stream *stream) {
    uint64_t bytes = stream->bytes_out;
    const rondo__segment *next = stream->out ? stream->out->first : NULL;
    for (; next; next = next->next) bytes += next->left;
    return bytes;
}

void **rondo__stream_note(rondo_stream *stream) {
    return rondo__stream_need_extra(stream) < 0 ? NULL : &stream->extra->note;
}

bool rondo__stream_want_drain(rondo_stream *stream) {
    bool is_due = (stream->flags & RONDO__NEED_DRAIN) != 0;
    stream->flags |= RONDO__NEED_DRAIN;
    return !is_due;
}

bool rondo__stream_writes_later(const rondo_stream *stream) {
    const rondo__transport *transport = rondo__transport_of(stream);
    return transport && transport->later;
}

/* Sends large data from where it is and copies the rest, or all of what is not large. */
static int put_pieces(rondo_stream *stream, const rondo_slice *pieces, size_t count, size_t len) {
    rondo__direct direct = {.pieces = pieces, .count = count, .left = len};
    if (len >= DIRECT_BYTES && !(stream->flags & RONDO__BLOCKED) &&
        !rondo__stream_writes_later(stream)) {
        rondo__stream_send(stream, &direct);
        if (rondo__stream_dead(stream)) return 0; /* `error` is on its way */
    }
    if (direct.left == 0) return 0;
    int status = rondo__out_copy_direct(stream, &direct);
    /* A part of it has left, so "not taken" can't be said any more. */
    if (status < 0 && direct.left < len) rondo__stream_fail(stream, status);
    return status;
}

static inline int put(rondo_stream *stream, rondo_slice data) {
    if (data.len >= DIRECT_BYTES) return put_pieces(stream, &data, 1, data.len);
    return data.len > 0 ? rondo__out_copy(stream, data.data, data.len) : 0;
}

int rondo__stream_put(rondo_stream *stream, rondo_slice data) { return put(stream, data); }

int rondo_write(rondo_stream *stream, rondo_slice data) {
    RONDO__CHECK_STREAM(stream);
    int status = rondo__stream_may_write(stream, data.len);
    if (status == 0) status = put(stream, data);
    return status < 0 ? status : rondo__stream_taken(stream);
}

int rondo_writev(rondo_stream *stream, const rondo_slice *pieces, size_t count) {
    RONDO__CHECK_STREAM(stream);
    size_t len = 0;
    RONDO_ASSERT(pieces || count == 0);
    for (size_t i = 0; i < count; i++)
        if (__builtin_add_overflow(len, pieces[i].len, &len)) return RONDO_ENOBUFS;
    int status = rondo__stream_may_write(stream, len);
    if (status == 0) status = put_pieces(stream, pieces, count, len);
    return status < 0 ? status : rondo__stream_taken(stream);
}

/* Here the queue is what stands for the kernel's buffer: it takes as much as that would. */
static int64_t take_for_later(rondo_stream *stream, rondo_slice data) {
    size_t len = data.len < rondo__mark_of(stream) ? data.len : rondo__mark_of(stream);
    int status = rondo__out_copy(stream, data.data, len);
    if (status < 0) return status;
    rondo__stream_below_mark(stream);
    return (int64_t)len;
}

int64_t rondo_try_write(rondo_stream *stream, rondo_slice data) {
    RONDO__CHECK_STREAM(stream);
    int status = rondo__stream_may_write(stream, 0);
    if (status < 0) return status;
    if (rondo__queued(stream) > 0 || (stream->flags & RONDO__BLOCKED)) {
        stream->flags |= RONDO__NEED_DRAIN;
        return RONDO_EAGAIN;
    }
    if (data.len == 0) return 0;
    return rondo__stream_writes_later(stream) ? take_for_later(stream, data)
                                              : rondo__stream_try(stream, data);
}

int rondo_write_lent(rondo_stream *stream, rondo_slice data, rondo_release_cb release, void *arg) {
    RONDO__CHECK_STREAM(stream);
    int status = rondo__stream_may_write(stream, data.len);
    if (status < 0) return status;
    if (data.len > 0 || release) {
        /* release gets it back as it was given, without const: it is the caller's memory */
        void *memory = (void *)(uintptr_t)data.data;
        status = rondo__out_lend(stream, memory, data.len, release, arg);
        if (status < 0) return status;
        if (data.len == 0) rondo__stream_report_later(stream);
    }
    return rondo__stream_taken(stream);
}

static int queue_file(rondo_stream *stream, int fd, uint64_t offset, uint64_t len, bool own_fd) {
    size_t counts_as = (size_t)(len < RONDO__FILE_AHEAD ? len : RONDO__FILE_AHEAD);
    int status = rondo__stream_may_write(stream, counts_as);
    if (status < 0) return status;
    if (fd < 0) return RONDO_EBADF;
    if (offset > INT64_MAX || len > INT64_MAX - offset) return RONDO_EINVAL;
    if (len == 0) {
        if (own_fd) rondo__socket_close(fd);
        return 0;
    }
    return rondo__out_file(stream, fd, offset, len, own_fd);
}

int rondo_write_file(rondo_stream *stream, int fd, uint64_t offset, uint64_t len, bool own_fd) {
    RONDO__CHECK_STREAM(stream);
    int status = queue_file(stream, fd, offset, len, own_fd);
    if (status == 0) return rondo__stream_taken(stream);
    if (own_fd && fd >= 0) rondo__socket_close(fd);
    return status;
}

void rondo__stream_end(rondo_stream *stream) {
    rondo__out *out = stream->out;
    if (rondo__stream_dead(stream) || (stream->flags & RONDO__ENDED)) return;
    stream->flags |= RONDO__ENDED;
    /* With something queued, the flush that empties the queue shuts down; so does opening. */
    if ((!out || !out->first) && !(stream->flags & RONDO__OPENING))
        rondo__stream_send(stream, NULL);
}

int rondo_end(rondo_stream *stream) {
    RONDO__CHECK_STREAM(stream);
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    rondo__stream_end(stream);
    return 0;
}
