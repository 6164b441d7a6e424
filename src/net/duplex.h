/* SPDX-License-Identifier: MIT
 *
 * The struct of a stream and what the parts of its implementation call of one another:
 *
 *   stream.c       life                          events.c  listeners and how they are told
 *   opening.c      before it is open             settings.c  reading on and off, marks, questions
 *   read.c         readiness to callbacks        timeouts.c  idle, read and write timeouts
 *   write.c        the calls that write          send.c    the queue to the kernel
 *   write_queue.c  what waits to be written      pipe.c    one stream into another
 *   connect.c      from a target to a stream     tcp.c     what only TCP has
 *   transport.h    other ways to move bytes      resets.c  while nobody reads
 *   unread.c       what a protocol gives back
 *
 * For src/net/ only; protocols use net/stream.h.
 *
 * The struct is kept small, since an idle connection is little else: what few streams need at a
 * time is behind `out` (while something is queued) and `extra` (marks, pipes).
 */
#ifndef RONDO__DUPLEX_H
#define RONDO__DUPLEX_H

#include "loop/alarm.h"
#include "loop/emit.h"
#include "loop/io.h"
#include "net/address.h"
#include "net/socket.h"
#include "net/stream.h"
#include "net/transport.h"
#include "net/write_queue.h"

#define RONDO__DEFAULT_MARK ((size_t)64 * 1024)
#define RONDO__DEFAULT_CAP ((size_t)16 * 1024 * 1024)

enum {
    RONDO__STREAM_DATA,
    RONDO__STREAM_END,
    RONDO__STREAM_FINISH,
    RONDO__STREAM_DRAIN,
    RONDO__STREAM_TIMEOUT,
    RONDO__STREAM_ERROR,
    RONDO__STREAM_EVENTS,
    /* Those that few streams have listeners of: their slots are in `extra`. */
    RONDO__STREAM_CONNECT = RONDO__STREAM_EVENTS,
    RONDO__STREAM_FD,
    RONDO__STREAM_STREAM,
    RONDO__STREAM_RESIZE,
    RONDO__STREAM_ALL_EVENTS
};

/* rondo_stream.flags. A direction that the fd does not have, of a pipe end, has been over from
 * the start: EOF, or ENDED | SHUT | FINISHED. */
enum {
    RONDO__ACCEPTED = 1 << 0,    /* by a server: unheard errors are counted */
    RONDO__SOCKET = 1 << 1,      /* not a pipe or terminal */
    RONDO__RESUMED = 1 << 2,     /* rondo_resume() was called: read even if nobody listens */
    RONDO__PAUSED = 1 << 3,      /* rondo_pause() was called after it */
    RONDO__HELD = 1 << 4,        /* the destination of its pipe is full */
    RONDO__EOF = 1 << 5,         /* the peer's last byte was read */
    RONDO__ENDED = 1 << 6,       /* no more writes */
    RONDO__SHUT = 1 << 7,        /* our last byte was sent */
    RONDO__FINISHED = 1 << 8,    /* and `finish` emitted */
    RONDO__BLOCKED = 1 << 9,     /* the queue waits for the fd to be writable */
    RONDO__NEED_DRAIN = 1 << 10, /* a write said 0 */
    RONDO__FAILED = 1 << 11,     /* `error` is to be emitted, nothing else */
    RONDO__HALF_OPEN = 1 << 12,
    RONDO__OPENING = 1 << 13,     /* it connects or shakes hands: BLOCKED too, and reads nothing */
    RONDO__TRANSPORTED = 1 << 14, /* extra->transport moves its bytes */
    RONDO__BULK = 1 << 15,        /* the pipe that leads on moves its bytes inside the kernel */
    RONDO__RESET_HEARD = 1 << 16, /* it is in the set of resets.c */
    RONDO__UNREAD = 1 << 17       /* extra->unread comes before what the fd has */
};

/* Whoever opens the stream: connect.c, and a server for the handshakes of what it accepts. With
 * RONDO__OPENING, exactly one of the functions is called. */
typedef struct rondo__opening {
    /* The stream closes, or fails where there is no `failed`: give up, free yourself. From anywhere. */
    void (*cancel)(rondo_stream *stream, struct rondo__opening *opening);
    /* It is open: free yourself, and tell of it as `connect` would. The stream may be closed then.
     * NULL: nothing to do but tell `connect`. */
    void (*opened)(rondo_stream *stream, struct rondo__opening *opening);
    /* It has failed, with stream->error: free yourself, and tell of it as `error` would. The stream
     * closes afterwards. Or NULL. */
    void (*failed)(rondo_stream *stream, struct rondo__opening *opening);
    struct rondo__tcp_wishes *tcp; /* for when it has a socket, see tcp.h; NULL: not TCP */
} rondo__opening;

typedef struct rondo__pipe {
    rondo_stream *src, *dst;
    rondo__list link; /* in dst's extra->sources */
    int full_reads;   /* in a row; negative: so many more before it matters */
    int small_splices;
} rondo__pipe;

typedef struct rondo__terminal rondo__terminal; /* tty/terminal.c */
typedef struct rondo__unread rondo__unread;     /* unread.c */

typedef struct rondo__stream_extra {
    rondo_stream *stream;
    size_t mark, cap;
    size_t read_most;                     /* of one `data` event */
    uint32_t receive_buffer, send_buffer; /* set before there was a socket; 0: not */
    uint32_t read_ms, write_ms;           /* timeouts of a direction; 0: none */
    rondo__alarm read_alarm, write_alarm; /* see timeouts.c */
    rondo__pipe *pipe;                    /* of which the stream is the source */
    rondo__list sources;                  /* pipes of which it is the destination */
    bool no_splice;                       /* to it */
    uint8_t connect_stage;                /* rondo_connect_stage */
    const rondo__transport *transport;
    void *transport_state;
    int watched; /* events, by a transport with `watch` */
    rondo__opening *opening;
    rondo__terminal *terminal;
    rondo__unread *unread;    /* with RONDO__UNREAD, else NULL */
    rondo_address *told_peer; /* by a proxy, or NULL: see proxied.c */
    void *note;               /* the consumer's */
    rondo__slot on[RONDO__STREAM_ALL_EVENTS - RONDO__STREAM_EVENTS];
} rondo__stream_extra;

struct rondo_stream {
    rondo_handle base; /* its task reports later what a call or a flush has found out */
    rondo__io io;
    rondo__alarm idle;
    rondo__out *out;
    rondo__stream_extra *extra;
    const rondo__consumer *consumer;
    void *owner; /* the consumer's */
    uint64_t bytes_in, bytes_out;
    int fd; /* -1 while it connects, and once it is closing */
    uint32_t idle_ms;
    uint32_t flags;
    int error;       /* with RONDO__FAILED */
    rondo__slot *on; /* RONDO__STREAM_EVENTS of them; NULL: none */
    /* The slots; or, of a connection that belongs to a protocol from the start, the protocol's state:
     * see rondo__stream_room(). */
    rondo__slot room[];
};

/* With event slots, and with room for a protocol instead. */
extern const rondo__kind rondo__stream_kind;
extern const rondo__kind rondo__connection_kind;

static inline bool rondo__stream_has_slots(const rondo_stream *stream) {
    return stream->on != NULL;
}

static inline void rondo__stream_check(const rondo_stream *stream, const char *function) {
    const rondo__kind *kind = stream && stream->base.kind == &rondo__connection_kind
                                  ? &rondo__connection_kind
                                  : &rondo__stream_kind;
    rondo__handle_check((const rondo_handle *)stream, kind, function);
}
#define RONDO__CHECK_STREAM(stream) rondo__stream_check((stream), __func__)

static inline bool rondo__stream_dead(const rondo_stream *stream) {
    return rondo__handle_closing(&stream->base) || (stream->flags & RONDO__FAILED);
}

static inline size_t rondo__queued(const rondo_stream *stream) {
    return stream->out ? stream->out->queued : 0;
}

static inline bool rondo__out_release_due(const rondo_stream *stream) {
    return stream->out && stream->out->done_first;
}

/* ---- stream.c ---- */

/* The stream can't go on: emits error in the pending phase, then closes. What is queued is dropped.
 * From anywhere, also from inside calls and flushes. */
void rondo__stream_fail(rondo_stream *stream, int error);
/* Has rondo__stream_report() called in the pending phase. */
void rondo__stream_report_later(rondo_stream *stream);
/* Emits what is due: releases, error, drain, finish, and closes a stream that is through. Only from
 * where the loop dispatches, never from inside a call. */
void rondo__stream_report(rondo_stream *stream);
/* Makes stream->extra; RONDO_ENOMEM. */
int rondo__stream_need_extra(rondo_stream *stream);

void rondo__stream_free_extra(rondo_stream *stream);

/* Undoes rondo__stream_new() of a stream that no user has seen yet. The fd is the caller's. */
void rondo__stream_discard(rondo_stream *stream);

/* ---- opening.c ---- */

/* A stream without a descriptor, RONDO__OPENING, with event slots: what is written waits. `opening`
 * is whoever will call one of the two below, or rondo__stream_fail(). NULL when out of memory. */
rondo_stream *rondo__stream_new_opening(rondo_loop *loop, rondo__opening *opening,
                                        const char *site);
/* Gives it its descriptor, connected and non-blocking. Starts the handshake of its transport, if it
 * has one, or else the stream is open: `connect` is emitted and what was written goes out. Only from
 * where the loop dispatches. 0, or RONDO_ENOMEM and the fd is still the caller's. */
int rondo__stream_connected(rondo_stream *stream, int fd);
/* The same for one whose transport needs no descriptor. */
void rondo__stream_opened(rondo_stream *stream);
/* Makes an open stream OPENING again, for a transport with a handshake that was just set. */
int rondo__stream_start_handshake(rondo_stream *stream);
/* Readiness of a stream that is opening. */
void rondo__stream_open_ready(rondo_stream *stream, int events);
/* It closes. Idempotent. */
void rondo__stream_cancel_opening(rondo_stream *stream);
/* It fails: the same, unless the opening wants to tell of that. */
void rondo__stream_fail_opening(rondo_stream *stream);
/* The opening has told of the failure. */
bool rondo__stream_tell_failed_opening(rondo_stream *stream);

/* ---- timeouts.c ---- */

void rondo__timeouts_init(rondo_stream *stream);
void rondo__timeouts_init_extra(rondo_stream *stream);
/* No timeout any more: the stream is dead. */
void rondo__timeouts_clear(rondo_stream *stream);
/* Pushes the idle timeout ahead: bytes went in or out. */
static inline void rondo__stream_touch(rondo_stream *stream) {
    if (stream->idle_ms) rondo__alarm_set_in_ms(stream->base.loop, &stream->idle, stream->idle_ms);
}
/* The read timeout starts anew, if the stream has one: bytes came, or from now on it reads. */
void rondo__timeouts_read(rondo_stream *stream);
/* The write timeout: starts unless it runs, is pushed ahead if it runs, ends. */
void rondo__timeouts_blocked(rondo_stream *stream);
void rondo__timeouts_written(rondo_stream *stream);
/* Bytes went to the kernel, perhaps some that a transport had taken long before: all timeouts that
 * mind are pushed ahead. */
static inline void rondo__timeouts_sent(rondo_stream *stream) {
    rondo__stream_touch(stream);
    if (stream->extra) rondo__timeouts_written(stream);
}
void rondo__timeouts_unblocked(rondo_stream *stream);

/* ---- events.c ---- */

/* Tells the consumer or the listeners; false when there was nobody. Only from where the loop
 * dispatches. */
bool rondo__stream_tell(rondo_stream *stream, unsigned event);
void rondo__stream_tell_data(rondo_stream *stream, rondo_slice chunk);
/* RONDO__STREAM_FD (payload: an int) or _STREAM, which have a listener. */
void rondo__stream_tell_received(rondo_stream *stream, unsigned event, void *payload);
/* stream->error, to whomever it concerns. */
void rondo__stream_tell_error(rondo_stream *stream);

/* Listeners of the events whose slots are in `extra`: as rondo__on() and rondo__off(). */
int rondo__stream_listen(rondo_stream *stream, unsigned event, rondo__fn fn, void *arg, bool once);
int rondo__stream_unlisten(rondo_stream *stream, unsigned event, rondo__fn fn, void *arg);

/* rondo_stream_on_EVENT(), once and off for one of those; `listen` is rondo__stream_listen() or does
 * more. */
#define RONDO__DEFINE_RARE_EVENT(event, callback, index, listen)                  \
    int rondo_stream_on_##event(rondo_stream *stream, callback cb, void *arg) {   \
        RONDO__CHECK(stream, &rondo__stream_kind);                                \
        return listen(stream, index, RONDO__FN(cb), arg, false);                  \
    }                                                                             \
    int rondo_stream_once_##event(rondo_stream *stream, callback cb, void *arg) { \
        RONDO__CHECK(stream, &rondo__stream_kind);                                \
        return listen(stream, index, RONDO__FN(cb), arg, true);                   \
    }                                                                             \
    int rondo_stream_off_##event(rondo_stream *stream, callback cb, void *arg) {  \
        RONDO__CHECK(stream, &rondo__stream_kind);                                \
        return rondo__stream_unlisten(stream, index, RONDO__FN(cb), arg);         \
    }                                                                             \
    typedef int rondo_stream_##event##_defined

/* The slot of an event; NULL when it is in an `extra` that the stream doesn't have. */
static inline rondo__slot *rondo__stream_slot(rondo_stream *stream, unsigned event) {
    if (event < RONDO__STREAM_EVENTS) return &stream->on[event];
    return stream->extra ? &stream->extra->on[event - RONDO__STREAM_EVENTS] : NULL;
}

/* ---- bytes: through the transport, or straight ---- */

static inline const rondo__transport *rondo__transport_of(const rondo_stream *stream) {
    return stream->flags & RONDO__TRANSPORTED ? stream->extra->transport : NULL;
}

/* ---- readiness: of the fd, or as the transport tells it ---- */

static inline const rondo__transport *rondo__watcher_of(const rondo_stream *stream) {
    const rondo__transport *transport = rondo__transport_of(stream);
    return transport && transport->watch ? transport : NULL;
}

static inline int rondo__stream_watched(const rondo_stream *stream) {
    return rondo__watcher_of(stream) ? stream->extra->watched : rondo__io_watched(&stream->io);
}

/* As rondo__io_watch(). */
static inline int rondo__stream_watch(rondo_stream *stream, int events) {
    const rondo__transport *watcher = rondo__watcher_of(stream);
    if (!watcher) return rondo__io_watch(stream->base.loop, &stream->io, events);
    if (stream->extra->watched == events) return 0;
    stream->extra->watched = events;
    watcher->watch(stream, events);
    return 0;
}

/* ---- read.c ---- */

void rondo__stream_ready(rondo_loop *loop, rondo__io *io, int events);
/* Reads what waits in the transport, if the stream wants it. */
void rondo__stream_read_on(rondo_stream *stream);
/* Whether bytes that arrive should be read. */
bool rondo__stream_wants(const rondo_stream *stream);
/* Something has changed in what the stream wants; it did or did not want bytes before. Sees to it
 * that it hears of those that arrive, if it wants any: 0 or RONDO_ENOMEM. */
int rondo__stream_rewatch(rondo_stream *stream, bool wanted);

/* ---- unread.c ---- */

/* Slots of rondo__stream_make_slots() that nobody has used, of a stream that goes to the next protocol
 * (a WebSocket): an idle connection is small. */
void rondo__stream_spare_slots(rondo_stream *stream);
/* With RONDO__UNREAD: as a read. 0: the end. */
int64_t rondo__unread_take(rondo_stream *stream, char *buffer, size_t size);

/* ---- resets.c ---- */

/* It is not watched any more, and bytes wait: sees to it that it hears of a reset still. */
void rondo__stream_listen_for_reset(rondo_stream *stream);
/* Before its fd is closed. */
void rondo__stream_forget_reset(rondo_stream *stream);

/* ---- write.c ---- */

/* The first three are part of every write, so they are here, where compilers see them. */

static inline size_t rondo__mark_of(const rondo_stream *stream) {
    return stream->extra ? stream->extra->mark : RONDO__DEFAULT_MARK;
}

/* 0 when len more bytes may be queued, or the error that rondo_write() returns. */
static inline int rondo__stream_may_write(const rondo_stream *stream, size_t len) {
    size_t cap = stream->extra ? stream->extra->cap : RONDO__DEFAULT_CAP;
    size_t queued = rondo__queued(stream);
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    if (stream->flags & RONDO__ENDED) return RONDO_EPIPE;
    /* queued may be above the cap: pipes don't look at it, and it can be lowered. */
    if (len > 0 && (queued > cap || len > cap - queued)) return RONDO_ENOBUFS;
    return 0;
}

/* After something was queued: has it flushed, and says whether it is below the mark. */
static inline bool rondo__stream_below_mark(rondo_stream *stream) {
    rondo__out *out = stream->out;
    if (out && out->first && !(stream->flags & RONDO__BLOCKED))
        rondo__flush_later(stream->base.loop, &out->flush);
    return rondo__queued(stream) < rondo__mark_of(stream);
}

/* The same for a caller who will wait for `drain`: 1 or 0. */
static inline int rondo__stream_taken(rondo_stream *stream) {
    if (rondo__stream_below_mark(stream)) return 1;
    stream->flags |= RONDO__NEED_DRAIN;
    return 0;
}

/* Sends or queues a copy of data, without a look at the cap: 0 or RONDO_ENOMEM. */
int rondo__stream_put(rondo_stream *stream, rondo_slice data);
/* See `later` in transport.h. */
bool rondo__stream_writes_later(const rondo_stream *stream);
void rondo__stream_end(rondo_stream *stream);

/* ---- send.c ---- */

/* Writes what is queued and then the bytes of *direct until the kernel takes no more; *direct is
 * what was left of it. Calls no user functions. */
void rondo__stream_send(rondo_stream *stream, rondo__direct *direct);
/* What file/warm.h was asked for is there: the queue goes on. Where the loop dispatches. */
void rondo__stream_warmed(rondo_stream *stream);
/* rondo_try_write() on a stream that is open, with nothing queued. */
int64_t rondo__stream_try(rondo_stream *stream, rondo_slice data);

/* ---- pipe.c ---- */

static inline bool rondo__pipe_leads_on(const rondo_stream *stream) {
    return stream->extra && stream->extra->pipe;
}
static inline bool rondo__pipe_leads_in(const rondo_stream *stream) {
    return stream->extra && !rondo__list_empty(&stream->extra->sources);
}
void rondo__pipe_data(rondo_stream *src, rondo_slice chunk);
void rondo__pipe_end(rondo_stream *src);
/* A source that is RONDO__BULK: moves bytes to the queue of its destination, as rondo__out_splice().
 * If there were some, the second one follows. */
int64_t rondo__pipe_splice(rondo_stream *src);
void rondo__pipe_spliced(rondo_stream *src, size_t count);
/* Whether a source of dst is held until dst's queue is empty; it is: they go on. */
bool rondo__pipe_waits(const rondo_stream *dst);
void rondo__pipe_drained(rondo_stream *dst);
/* The stream fails (error) or closes (0): so do those at the other ends. */
void rondo__pipe_undo(rondo_stream *stream, int error);

#endif
