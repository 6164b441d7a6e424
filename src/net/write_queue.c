/* SPDX-License-Identifier: MIT
 *
 * A stream's write queue. Invariants: `queued` is the sum of what the segments count as; a segment
 * in the queue has bytes left; a lent one that is done with waits in a list of its own until its
 * release callback may run. Giving memory back needs no memory, so it can't fail.
 */
#include "net/write_queue.h"

#include <string.h>

#include "net/duplex.h"
#include "net/file/calls.h"
#include "net/file/warm.h"
#include "net/socket.h"

static size_t counts_as(const rondo__segment *segment) {
    if (segment->kind == RONDO__SEGMENT_FILE && segment->left > RONDO__FILE_AHEAD)
        return RONDO__FILE_AHEAD;
    return (size_t)segment->left;
}

/* The stream's queue, made if it has none; NULL when out of memory. */
static rondo__out *need_out(rondo_stream *stream) {
    rondo__out *out = stream->out;
    if (out) return out;
    rondo__net *net = rondo__net_of(stream->base.loop);
    out = rondo__spares_get(&net->outs);
    if (!out) return NULL;
    rondo__clear(out, sizeof *out);
    rondo__flush_init(&out->flush, rondo__out_flush);
    out->stream = stream;
    out->net = net;
    stream->out = out;
    return out;
}

void rondo__out_tidy(rondo_stream *stream) {
    rondo__out *out = stream->out;
    if (!out || out->first || out->done_first || out->reserved) return;
    RONDO_ASSERT(out->queued == 0 && !out->warming);
    if (rondo__list_linked(&out->flush.link)) rondo__flush_cancel(&out->flush);
    stream->out = NULL;
    rondo__spares_put(&out->net->outs, out);
}

static void append(rondo__out *out, rondo__segment *segment) {
    segment->next = NULL;
    if (out->last)
        out->last->next = segment;
    else
        out->first = segment;
    out->last = segment;
    out->queued += counts_as(segment);
}

static rondo__segment *new_block(rondo__net *net) {
    rondo__segment *block = rondo__spares_get(&net->blocks);
    if (!block) return NULL;
    block->next = NULL;
    block->kind = RONDO__SEGMENT_COPY;
    block->at = block->bytes;
    block->left = 0;
    block->copy.filled = 0;
    return block;
}

/* ---- appending ---- */

static size_t room_of(const rondo__segment *segment) {
    if (!segment || segment->kind != RONDO__SEGMENT_COPY) return 0;
    return RONDO__BLOCK_ROOM - segment->copy.filled;
}

static size_t fill(rondo__segment *block, const char *data, size_t len) {
    size_t room = room_of(block);
    if (len > room) len = room;
    memcpy(block->bytes + block->copy.filled, data, len);
    block->copy.filled += len;
    block->left += len;
    return len;
}

/* Enough empty blocks for len bytes, linked; NULL, and none taken, when out of memory. */
static rondo__segment *new_blocks(rondo__net *net, size_t len) {
    rondo__segment *blocks = NULL;
    for (size_t room = 0; room < len; room += RONDO__BLOCK_ROOM) {
        rondo__segment *block = new_block(net);
        if (!block) {
            for (rondo__segment *next; blocks; blocks = next) {
                next = blocks->next;
                rondo__spares_put(&net->blocks, blocks);
            }
            return NULL;
        }
        block->next = blocks;
        blocks = block;
    }
    return blocks;
}

/* Finds room for len bytes, with the blocks in *ret_blocks that the last one lacks. All the memory
 * first, so that nothing is taken when there isn't enough. */
static int find_room(rondo_stream *stream, size_t len, rondo__segment **ret_blocks) {
    rondo__out *out = need_out(stream);
    if (!out) return RONDO_ENOMEM;
    RONDO_ASSERT(len > 0 && !out->reserved);
    size_t room = room_of(out->last);
    *ret_blocks = NULL;
    if (len > room && !(*ret_blocks = new_blocks(out->net, len - room))) {
        rondo__out_tidy(stream);
        return RONDO_ENOMEM;
    }
    return 0;
}

static void copy_in(rondo__out *out, const char *data, size_t len, rondo__segment **blocks) {
    size_t part = 0;
    if (room_of(out->last) > 0) {
        part = fill(out->last, data, len);
        out->queued += part;
    }
    while (part < len) {
        data += part;
        len -= part;
        rondo__segment *block = *blocks;
        *blocks = block->next;
        part = fill(block, data, len);
        append(out, block);
    }
}

int rondo__out_copy(rondo_stream *stream, const char *data, size_t len) {
    rondo__segment *blocks;
    int status = find_room(stream, len, &blocks);
    if (status == 0) copy_in(stream->out, data, len, &blocks);
    return status;
}

int rondo__out_copy_direct(rondo_stream *stream, const rondo__direct *direct) {
    rondo__segment *blocks;
    int status = find_room(stream, direct->left, &blocks);
    size_t skip = direct->skip;
    for (size_t i = 0; status == 0 && i < direct->count; i++, skip = 0) {
        rondo_slice piece = direct->pieces[i];
        if (piece.len > skip) copy_in(stream->out, piece.data + skip, piece.len - skip, &blocks);
    }
    return status;
}

void rondo__direct_advance(rondo__direct *direct, size_t len) {
    RONDO_ASSERT(len <= direct->left);
    direct->left -= len;
    direct->skip += len;
    while (direct->count > 0 && direct->skip >= direct->pieces->len) {
        direct->skip -= direct->pieces->len;
        direct->pieces++;
        direct->count--;
    }
}

static void put_done(rondo__out *out, rondo__segment *segment, int status) {
    segment->lent.status = status;
    segment->next = NULL;
    if (out->done_last)
        out->done_last->next = segment;
    else
        out->done_first = segment;
    out->done_last = segment;
}

static rondo__segment *new_segment(rondo_stream *stream, rondo__segment_kind kind, uint64_t left) {
    rondo__out *out = need_out(stream);
    if (!out) return NULL;
    RONDO_ASSERT(!out->reserved);
    rondo__segment *segment = rondo__spares_get(&out->net->segments);
    if (!segment) {
        rondo__out_tidy(stream);
        return NULL;
    }
    memset(segment, 0, sizeof *segment);
    segment->kind = kind;
    segment->left = left;
    return segment;
}

int rondo__out_lend(rondo_stream *stream, void *data, size_t len, rondo_release_cb release,
                    void *arg) {
    rondo__segment *segment = new_segment(stream, RONDO__SEGMENT_LENT, len);
    if (!segment) return RONDO_ENOMEM;
    segment->at = data;
    segment->lent.data = data;
    segment->lent.len = len;
    segment->lent.release = release;
    segment->lent.arg = arg;
    if (len > 0)
        append(stream->out, segment);
    else
        put_done(stream->out, segment, 0);
    return 0;
}

int rondo__out_file(rondo_stream *stream, int fd, uint64_t offset, uint64_t len, bool own_fd) {
    RONDO_ASSERT(len > 0);
    rondo__segment *segment = new_segment(stream, RONDO__SEGMENT_FILE, len);
    if (!segment) return RONDO_ENOMEM;
    segment->file.fd = fd;
    segment->file.offset = offset;
    segment->file.own_fd = own_fd;
    append(stream->out, segment);
    return 0;
}

int64_t rondo__out_splice(rondo_stream *stream, int fd) {
    rondo__out *out = stream->out;
    int fds[2];
    if (out && out->first) { /* one kernel pipe for a queue is enough */
        if (out->last->kind != RONDO__SEGMENT_PIPE) return RONDO_ENOTSUP;
        int64_t more = rondo__socket_splice_in(fd, out->last->pipe.fds[1], RONDO__SPLICE_BYTES);
        if (more <= 0) return more;
        out->last->left += (uint64_t)more;
        out->queued += (size_t)more;
        return more;
    }
    rondo__net *net = rondo__net_of(stream->base.loop);
    rondo__segment *segment = new_segment(stream, RONDO__SEGMENT_PIPE, 0);
    if (!segment) return RONDO_ENOTSUP;
    int64_t count = rondo__net_get_pipe(net, fds);
    if (count < 0) {
        count = RONDO_ENOTSUP;
    } else {
        count = rondo__socket_splice_in(fd, fds[1], RONDO__SPLICE_BYTES);
        if (count <= 0) rondo__net_put_pipe(net, fds, true);
        if (count == RONDO_EINVAL || count == RONDO_ENOSYS || count == RONDO_ENOMEM)
            count = RONDO_ENOTSUP;
    }
    if (count > 0) {
        segment->left = (uint64_t)count;
        memcpy(segment->pipe.fds, fds, sizeof fds);
        append(stream->out, segment);
    } else {
        rondo__spares_put(&net->segments, segment);
        rondo__out_tidy(stream);
    }
    return count;
}

/* ---- filling in place ---- */

char *rondo__stream_reserve(rondo_stream *stream, size_t want) {
    RONDO_ASSERT(want > 0 && want <= 8192);
    if (rondo__stream_dead(stream) || (stream->flags & RONDO__ENDED)) return NULL;
    rondo__out *out = need_out(stream);
    if (!out) return NULL;
    RONDO_ASSERT(!out->reserved);
    rondo__segment *block = out->last;
    if (room_of(block) < want && !(block = new_block(out->net))) {
        rondo__out_tidy(stream);
        return NULL;
    }
    out->reserved = block;
    out->reserved_bytes = want;
    return block->bytes + block->copy.filled;
}

int rondo__stream_commit(rondo_stream *stream, size_t used) {
    rondo__out *out = stream->out;
    RONDO_ASSERT(out && out->reserved && used <= out->reserved_bytes);
    rondo__segment *block = out->reserved;
    bool fresh = block != out->last;
    int status = rondo__stream_may_write(stream, used);
    out->reserved = NULL;
    if (status < 0 || used == 0) {
        if (fresh) rondo__spares_put(&out->net->blocks, block);
        rondo__out_tidy(stream);
        return status < 0 ? status : rondo__stream_taken(stream);
    }
    block->copy.filled += used;
    block->left += used;
    if (fresh)
        append(out, block);
    else
        out->queued += used;
    return rondo__stream_taken(stream);
}

/* ---- taking off the front ---- */

/* The segment is out of the queue: sent (0), or dropped. */
static void finish_segment(rondo_stream *stream, rondo__segment *segment, int status) {
    rondo__net *net = stream->out->net;
    if (segment->kind == RONDO__SEGMENT_COPY) {
        rondo__spares_put(&net->blocks, segment);
    } else if (segment->kind == RONDO__SEGMENT_LENT && segment->lent.release) {
        put_done(stream->out, segment, status);
    } else {
        if (segment->kind == RONDO__SEGMENT_FILE && segment->file.own_fd)
            rondo__socket_close(segment->file.fd);
        if (segment->kind == RONDO__SEGMENT_PIPE)
            rondo__net_put_pipe(net, segment->pipe.fds, segment->left == 0);
        rondo__spares_put(&net->segments, segment);
    }
}

static void pop_front(rondo_stream *stream, int status) {
    rondo__out *out = stream->out;
    rondo__segment *segment = out->first;
    out->first = segment->next;
    if (!out->first) out->last = NULL;
    finish_segment(stream, segment, status);
}

void rondo__out_advance(rondo_stream *stream, size_t len) {
    rondo__out *out = stream->out;
    while (len > 0) {
        rondo__segment *segment = out->first;
        size_t part = len < segment->left ? len : (size_t)segment->left;
        RONDO_ASSERT(segment->kind != RONDO__SEGMENT_FILE);
        segment->at += part;
        segment->left -= part;
        out->queued -= part;
        len -= part;
        if (segment->left == 0) pop_front(stream, 0);
    }
}

void rondo__out_advance_file(rondo_stream *stream, uint64_t len) {
    rondo__out *out = stream->out;
    rondo__segment *file = out->first;
    RONDO_ASSERT(file->kind == RONDO__SEGMENT_FILE && len <= file->left);
    out->queued -= counts_as(file);
    file->left -= len;
    file->file.offset += len;
    out->queued += counts_as(file);
    file->file.warm -= len < file->file.warm ? len : file->file.warm;
    if (file->left == 0) pop_front(stream, 0);
}

/* Bytes from `at` on in the piece. */
static int64_t read_file(const rondo__segment *file, char *buffer, size_t size, uint64_t at) {
    uint64_t offset = file->file.offset + at;
    if (file->file.warm >= at + size)
        return rondo__socket_read_file(file->file.fd, buffer, size, offset);
    return rondo__file_read_cached(file->file.fd, buffer, size, offset);
}

int rondo__out_load_file(rondo_stream *stream, rondo__segment *before, rondo__segment *file) {
    rondo__out *out = stream->out;
    rondo__net *net = out->net;
    rondo__segment *block = new_block(net);
    if (!block) return RONDO_ENOMEM;
    size_t want = file->left < RONDO__BLOCK_ROOM ? (size_t)file->left : RONDO__BLOCK_ROOM;
    while (block->left < want) {
        int64_t count =
            read_file(file, block->bytes + block->left, want - (size_t)block->left, block->left);
        if (count <= 0) {
            rondo__spares_put(&net->blocks, block);
            return count < 0 ? (int)count : RONDO_EIO;
        }
        block->left += (uint64_t)count;
    }
    block->copy.filled = want;
    out->queued -= counts_as(file);
    file->left -= want;
    file->file.offset += want;
    file->file.warm -= want < file->file.warm ? want : file->file.warm;
    out->queued += counts_as(block) + counts_as(file);
    bool whole = file->left == 0;
    block->next = whole ? file->next : file;
    if (before)
        before->next = block;
    else
        out->first = block;
    if (whole && out->last == file) out->last = block;
    if (whole) finish_segment(stream, file, 0);
    return 0;
}

static int read_pipe(int pipe, rondo__segment *block, uint64_t left) {
    size_t want = left < RONDO__BLOCK_ROOM ? (size_t)left : RONDO__BLOCK_ROOM;
    while (block->left < want) {
        int64_t count =
            rondo__socket_read(pipe, block->bytes + block->left, want - (size_t)block->left);
        if (count <= 0) return RONDO_EIO; /* they were there */
        block->left += (uint64_t)count;
    }
    block->copy.filled = want;
    return 0;
}

int rondo__out_load_pipe(rondo_stream *stream) {
    rondo__out *out = stream->out;
    rondo__segment *pipe = out->first, *blocks = new_blocks(out->net, (size_t)pipe->left);
    if (!blocks) return RONDO_ENOMEM;
    RONDO_ASSERT(pipe->kind == RONDO__SEGMENT_PIPE);
    int status = 0;
    rondo__segment *after = pipe->next, *last = NULL;
    out->first = blocks;
    for (rondo__segment *block = blocks; block; block = block->next) {
        if (status == 0) status = read_pipe(pipe->pipe.fds[0], block, pipe->left);
        pipe->left -= status == 0 ? block->left : 0;
        last = block;
    }
    last->next = after;
    if (!after) out->last = last;
    finish_segment(stream, pipe, status);
    return status;
}

void rondo__out_drop(rondo_stream *stream, int status) {
    rondo__out *out = stream->out;
    if (!out) return;
    RONDO_ASSERT(!out->reserved);
    if (out->warming) rondo__warm_forget(out->warming);
    out->warming = NULL;
    while (out->first) pop_front(stream, status);
    out->queued = 0;
    rondo__flush_cancel(&out->flush);
    rondo__out_tidy(stream);
}

/* ---- giving back ---- */

typedef struct lent_memory {
    void *data;
    size_t len;
    int status;
} lent_memory;

static void release_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                          void *arg) {
    const lent_memory *lent = payload;
    (void)loop, (void)handle;
    ((rondo_release_cb)fn)(lent->data, lent->len, lent->status, arg);
}
static const rondo__event release_event = {"stream.release", release_thunk};

void rondo__out_release(rondo_stream *stream, bool closing) {
    /* The callback may write, and what it writes be flushed: the queue is looked at anew each time.
     * What a close inside it has canceled waits for the closing phase. */
    while (rondo__out_release_due(stream) && rondo__handle_closing(&stream->base) == closing) {
        rondo__out *out = stream->out;
        rondo__segment *segment = out->done_first;
        out->done_first = segment->next;
        if (!out->done_first) out->done_last = NULL;
        lent_memory lent = {segment->lent.data, segment->lent.len, segment->lent.status};
        rondo_release_cb release = segment->lent.release;
        void *arg = segment->lent.arg;
        rondo__spares_put(&out->net->segments, segment);
        if (release)
            rondo__door(stream->base.loop, &stream->base, &release_event, RONDO__FN(release), &lent,
                        arg);
    }
    rondo__out_tidy(stream);
}

void rondo__out_verify(const rondo_stream *stream) {
    const rondo__out *out = stream->out;
    size_t queued = 0;
    if (!out) return;
    RONDO_ASSERT(out->stream == stream && !out->first == !out->last);
    for (const rondo__segment *segment = out->first; segment; segment = segment->next) {
        RONDO_ASSERT(segment->left > 0 && (segment->next || segment == out->last));
        queued += counts_as(segment);
    }
    RONDO_ASSERT(queued == out->queued);
    RONDO_ASSERT(!out->warming || out->first->kind == RONDO__SEGMENT_FILE);
    /* Something will go on with what is queued. */
    RONDO_ASSERT(!out->first || (stream->flags & RONDO__BLOCKED) ||
                 rondo__list_linked(&out->flush.link));
    for (const rondo__segment *segment = out->done_first; segment; segment = segment->next)
        RONDO_ASSERT(segment->kind == RONDO__SEGMENT_LENT);
}
