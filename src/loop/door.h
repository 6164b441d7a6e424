/* SPDX-License-Identifier: MIT
 *
 * The door: the one place from which user callbacks are called. Whatever wants to see callbacks, or
 * to act after them (observers, timing, the flush of what was written, the tick drain), hangs
 * there. Nothing else in the library may call a user's function. Internal.
 */
#ifndef RONDO__DOOR_H
#define RONDO__DOOR_H

#include "loop/list.h"

#include <rondo/base.h>

/* Any user callback, cast back to its type by the thunk of its event. */
typedef void (*rondo__fn)(void);
#define RONDO__FN(callback) ((rondo__fn)(callback))

/* Calls fn, cast to the type of the event's callbacks, with its arguments. */
typedef void (*rondo__thunk)(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                             void *arg);

/* A kind of callback: one static const object each. */
typedef struct rondo__event {
    const char *name; /* "stream.data" */
    rondo__thunk thunk;
} rondo__event;

/* Calls one user callback. handle is NULL for those that have none. ready_ns: loop->ready_ns tells
 * when it became ready to run. After the outermost callback: flush, then ticks. */
void rondo__door(rondo_loop *loop, rondo_handle *handle, const rondo__event *event, rondo__fn fn,
                 void *payload, void *arg);

/* Something with bytes gathered that must leave after the current callback. Queued once however
 * often it is asked for; flush() must not call user functions. Flushes that are asked for while
 * the loop is corked wait until it is uncorked. */
typedef struct rondo__flush {
    rondo__list link;
    void (*flush)(struct rondo__flush *flush);
} rondo__flush;

static inline void rondo__flush_init(rondo__flush *flush, void (*fn)(rondo__flush *)) {
    rondo__list_init(&flush->link);
    flush->flush = fn;
}
void rondo__flush_queue(rondo_loop *loop, rondo__flush *flush);
static inline void rondo__flush_later(rondo_loop *loop, rondo__flush *flush) {
    if (!rondo__list_linked(&flush->link)) rondo__flush_queue(loop, flush);
}
/* Takes it out; harmless when it isn't queued. */
void rondo__flush_cancel(rondo__flush *flush);

/* Holds back flushes while one chunk of input is turned into several callbacks, so that pipelined
 * answers leave in one system call. Nests; the loop flushes after the item that it dispatches. */
void rondo__cork(rondo_loop *loop);
void rondo__uncork(rondo_loop *loop);

#endif
