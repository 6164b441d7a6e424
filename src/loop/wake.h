/* SPDX-License-Identifier: MIT
 *
 * Waking the loop from other threads and from signal handlers, and the sources that are looked at
 * after a wake-up: posts, asyncs, signals, pool completions. One eventfd per loop; nobody writes it
 * while the loop is awake or has been woken already. Internal.
 */
#ifndef RONDO__WAKE_H
#define RONDO__WAKE_H

#include "loop/list.h"

#include <rondo/base.h>

/* Something that other threads put work into. drain() runs on the loop thread in the poll phase
 * after a wake-up, and calls user callbacks through the door. */
typedef struct rondo__source {
    rondo__list link; /* loop->sources */
    void (*drain)(rondo_loop *loop, struct rondo__source *source);
} rondo__source;

void rondo__source_add(rondo_loop *loop, rondo__source *source,
                       void (*drain)(rondo_loop *, rondo__source *));
void rondo__source_remove(rondo__source *source);

/* Has every source drained soon. Any thread; async-signal-safe. What was put into a source before
 * is seen by its drain(). Returns true when the loop was asleep, and it took a system call. */
bool rondo__wake(rondo_loop *loop);

/* Before it sleeps, and while it is held (attach.h), the loop looks for a wake-up for so long: one is likely
 * to come sooner than it takes to sleep and be woken. Once in vain, and it doesn't any more. 0: no. Loop thread
 * only. */
void rondo__loop_set_spin(rondo_loop *loop, uint32_t ns);
/* When it began to wait, the last time, and when it was awake again; real time. */
uint64_t rondo__loop_waits_since_ns(const rondo_loop *loop);
uint64_t rondo__loop_waited_until_ns(const rondo_loop *loop);

#endif
