/* SPDX-License-Identifier: MIT
 *
 * From a protocol to whoever has the stream next. A protocol reads in pieces of the kernel's making,
 * so it may have bytes that are not its own any more when it gives its stream up (HTTP after an
 * Upgrade), or have seen the end already. Both are put back here, and come first.
 *
 * The stream stays the same one, with its descriptor, transport and queue. A connection that had the
 * protocol's state in place of event slots gets these in a block of their own.
 */
#include <string.h>

#include "loop/memory.h"
#include "net/duplex.h"

struct rondo__unread {
    size_t at, len;
    bool end; /* behind them: it was read too */
    char bytes[];
};

static size_t left_of(const rondo__unread *unread) { return unread ? unread->len - unread->at : 0; }

/* What was put back before comes behind these bytes. */
static int put_back(rondo_stream *stream, rondo_slice bytes, bool end) {
    int status = rondo__stream_need_extra(stream);
    if (status < 0) return status;
    rondo__unread *before = stream->extra->unread;
    size_t left = left_of(before);
    rondo__unread *unread = rondo__alloc(sizeof *unread + bytes.len + left);
    if (!unread) return RONDO_ENOMEM;
    if (bytes.len > 0) memcpy(unread->bytes, bytes.data, bytes.len);
    if (left > 0) memcpy(unread->bytes + bytes.len, before->bytes + before->at, left);
    unread->at = 0;
    unread->len = bytes.len + left;
    unread->end = end || (before && before->end);
    rondo__free(before);
    stream->extra->unread = unread;
    stream->flags |= RONDO__UNREAD;
    stream->bytes_in -= bytes.len; /* they are read again */
    return 0;
}

int rondo__stream_unread(rondo_stream *stream, rondo_slice bytes) {
    bool end = (stream->flags & RONDO__EOF) != 0;
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    if (bytes.len == 0 && !end) return 0;
    int status = put_back(stream, bytes, end);
    if (status == 0 && rondo__stream_wants(stream)) rondo__stream_report_later(stream);
    return status;
}

int64_t rondo__unread_take(rondo_stream *stream, char *buffer, size_t size) {
    rondo__unread *unread = stream->extra->unread;
    size_t len = left_of(unread);
    if (len > size) len = size;
    memcpy(buffer, unread->bytes + unread->at, len);
    unread->at += len;
    if (unread->at == unread->len && (len == 0 || !unread->end)) {
        stream->flags &= ~(uint32_t)RONDO__UNREAD;
        stream->extra->unread = NULL;
        rondo__free(unread);
    }
    return (int64_t)len;
}

int rondo__stream_make_slots(rondo_stream *stream) {
    if (!stream->on) stream->on = rondo__zalloc(RONDO__STREAM_EVENTS * sizeof *stream->on);
    return stream->on ? 0 : RONDO_ENOMEM;
}

void rondo__stream_spare_slots(rondo_stream *stream) {
    if (stream->on == stream->room || !stream->on) return;
    for (unsigned i = 0; i < RONDO__STREAM_EVENTS; i++)
        if (stream->on[i].fn) return;
    rondo__free(stream->on);
    stream->on = NULL;
    stream->base.kind = &rondo__connection_kind;
}

void rondo__stream_release(rondo_stream *stream) {
    RONDO_ASSERT(stream->consumer && !rondo__stream_dead(stream));
    RONDO_ASSERT(!(stream->flags & RONDO__EOF) || (stream->flags & RONDO__UNREAD));
    RONDO_ASSERT(rondo__stream_has_slots(stream));
    rondo__alarm_clear(&stream->idle); /* it was the protocol's */
    rondo__stream_touch(stream);
    stream->base.kind = &rondo__stream_kind;
    stream->consumer = NULL;
    stream->owner = NULL;
    uint32_t protocols = RONDO__RESUMED | RONDO__PAUSED | RONDO__EOF | RONDO__HALF_OPEN;
    stream->flags &= ~(protocols | RONDO__NEED_DRAIN);
}
