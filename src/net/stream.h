/* SPDX-License-Identifier: MIT
 *
 * A stream's inside, for src/net/ and for the protocols on top of it: a consumer takes the place of
 * the listeners, so that a protocol's bytes pass no door until a user's callback is due. Internal.
 */
#ifndef RONDO__STREAM_H
#define RONDO__STREAM_H

#include <rondo/address.h>
#include <rondo/stream.h>
#include <rondo/stream_settings.h>

#include "loop/handle.h"

/* A protocol that owns a stream (HTTP). Each function may be NULL. None is called after `closed`,
 * and only `closed` after the stream has begun to close. They run from the loop, never inside a
 * call on the stream; the loop is corked during `data`, so that all that is written in answer to
 * one chunk leaves in one system call. They may close or destroy the stream. */
typedef struct rondo__consumer {
    void (*data)(rondo_stream *stream, rondo_slice chunk);
    void (*end)(rondo_stream *stream);    /* the peer will send no more */
    void (*finish)(rondo_stream *stream); /* rondo_end() is done */
    void (*drain)(rondo_stream *stream);
    void (*connect)(rondo_stream *stream);          /* one that was opening is open */
    void (*timeout)(rondo_stream *stream);          /* idle time is over */
    void (*error)(rondo_stream *stream, int error); /* closes right after */
    void (*closed)(rondo_stream *stream);           /* the stream's memory goes when it returns */
} rondo__consumer;

/* Gives the stream to a consumer, before anything was read. owner: rondo__stream_owner(). Does not
 * start reading; the consumer calls rondo_resume(). */
void rondo__stream_consume(rondo_stream *stream, const rondo__consumer *consumer, void *owner);
void *rondo__stream_owner(const rondo_stream *stream);

/* Bytes that the consumer has read and that are not its own: they come first when the stream is read
 * again, later, never inside this call; and behind them the end, if the consumer was told of it
 * already. 0, RONDO_ENOMEM, RONDO_ECLOSED. */
int rondo__stream_unread(rondo_stream *stream, rondo_slice bytes);
/* The consumer gives the stream up, which must not be over: from now on it is an ordinary one, neither
 * paused nor half-open, and read by nobody yet. If the consumer was told of the end, it has called
 * rondo__stream_unread(). A stream with a room must have been given event slots before: by
 * rondo__stream_make_slots(), which does that (0 or RONDO_ENOMEM) and nothing else. The room stays as it is. */
int rondo__stream_make_slots(rondo_stream *stream);
void rondo__stream_release(rondo_stream *stream);

/* Memory at the end of the stream's write queue to fill in place: at least `want` bytes (at most
 * 8 KiB), so that a head is formatted without a copy. NULL when out of memory or not writable.
 * rondo__stream_commit() says how many were used (0 to what was asked for) and returns as
 * rondo_write(). Nothing else may be called on the stream in between. */
char *rondo__stream_reserve(rondo_stream *stream, size_t want);
int rondo__stream_commit(rondo_stream *stream, size_t used);

/* Whether it closes, or has failed and will: nothing can be written or read any more. */
bool rondo__stream_is_over(const rondo_stream *stream);

/* The peer's address, or what a proxy in front of it said: as rondo_stream_peer(). */
int rondo__stream_peer_address(const rondo_stream *stream, rondo_address *ret_address);
/* Whether its bytes are encrypted. */
bool rondo__stream_is_secure(const rondo_stream *stream);

/* Bytes that were written and not yet taken by the kernel; and all that the kernel has taken so far. */
size_t rondo__stream_queued(const rondo_stream *stream);
uint64_t rondo__stream_sent(const rondo_stream *stream);

/* Whether the peer has said anything that was not read yet, without reading it: 1, 0 at its end,
 * RONDO_EAGAIN, or the error that the connection has. */
int rondo__stream_peek(rondo_stream *stream);
/* Of a stream that has failed, for its consumer's `error`: what the peer had said before and nobody has
 * read, in the loop's buffer, a read's worth a call; of length 0 when there is nothing. A write that
 * fails takes no bytes away that have arrived. */
rondo_slice rondo__stream_salvage(rondo_stream *stream);
/* The second, and what waits, with all of files that do. */
uint64_t rondo__stream_will_have_sent(const rondo_stream *stream);
/* A pointer of the consumer's beside the stream, for what few connections have, NULL at first; only the
 * first call allocates. NULL when out of memory. */
void **rondo__stream_note(rondo_stream *stream);
/* Has `drain` told once the queue is empty, as if a write had returned 0: false when that is due anyway. */
bool rondo__stream_want_drain(rondo_stream *stream);

/* A new stream on a connected socket that the caller has made non-blocking; accepted ones count
 * their unheard errors instead of calling the uncaught handler. room: 0, or the bytes of state that
 * a protocol wants inside; then the stream has no event slots, which saves both that memory and an
 * allocation, and it must get a consumer before the loop goes on. The fd is taken over on success
 * only. NULL when out of memory. */
rondo_stream *rondo__stream_new(rondo_loop *loop, int fd, bool accepted, size_t room,
                                const char *site);
/* The room inside, zeroed at first, aligned as a pointer; it goes with the stream. */
void *rondo__stream_room(rondo_stream *stream);
/* The alarm of the idle timeout, for a consumer that sets no such timeout: it sets and clears this one as
 * it likes, and `timeout` is called when it fires. One alarm for each connection, whoever needs it: it is
 * a tenth of an idle one. NULL when the stream is over. */
struct rondo__alarm *rondo__stream_alarm(rondo_stream *stream);

#endif
