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

#include <stdatomic.h>

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

/* Before it sleeps, and while it is held (below), the loop looks for a wake-up for so long: one is likely
 * to come sooner than it takes to sleep and be woken. Once in vain, and it doesn't any more. 0: no. Loop thread
 * only. */
void rondo__loop_set_spin(rondo_loop *loop, uint32_t ns);
/* When it began to wait, the last time, and when it was awake again; real time. */
uint64_t rondo__loop_waits_since_ns(const rondo_loop *loop);
uint64_t rondo__loop_waited_until_ns(const rondo_loop *loop);

/* How spinning has paid for one who spins before it sleeps. Where cores are scarce, whoever is waited for may
 * need the very one that the spinner has: from the second spin in vain on, each has twice as many of the next
 * chances passed by, and each that was not, half as many. */
typedef struct rondo__spin_record {
    uint8_t vain;
    uint16_t pass;
} rondo__spin_record;
#define RONDO__SPIN_VAIN_MOST 12
/* How many times its own time one spins for another that wakes up, at most. */
#define RONDO__SPIN_PATIENCE 5

static inline bool rondo__spin_may(rondo__spin_record *record) {
    if (record->pass == 0) return true;
    record->pass--;
    return false;
}

static inline void rondo__spin_ended(rondo__spin_record *record, bool in_vain) {
    if (!in_vain) {
        if (record->vain > 0) record->vain--;
        return;
    }
    if (record->vain < RONDO__SPIN_VAIN_MOST) record->vain++;
    record->pass = (uint16_t)((1u << record->vain) - 2);
}

/* Two that wait for each other, and both sleep, take longer to wake up than either may spin, and would go on
 * like that for ever. So what counts is when the sign would have come, had the other been awake. */

/* How long somebody needed to wake up, from when it was told to; cut to a millisecond. */
static inline uint32_t rondo__spin_lag_ns(uint64_t told_ns, uint64_t awake_ns) {
    uint64_t lag_ns = awake_ns > told_ns ? awake_ns - told_ns : 0;
    return lag_ns < 1000000 ? (uint32_t)lag_ns : 1000000;
}

/* Whether to spin for so long would have been enough: from since_ns on, until the sign came at came_ns from one
 * that had needed lag_ns to wake up. */
static inline bool rondo__spin_enough(uint64_t spin_ns, uint64_t since_ns, uint64_t came_ns,
                                      uint32_t lag_ns) {
    return came_ns < since_ns + spin_ns + lag_ns;
}

/* How much longer to spin for one that has just been woken, and needed lag_ns the last time: twice that, within
 * reason. */
static inline uint64_t rondo__spin_patience_ns(uint64_t spin_ns, uint32_t lag_ns) {
    uint64_t twice_ns = 2 * (uint64_t)lag_ns, most_ns = RONDO__SPIN_PATIENCE * spin_ns;
    return twice_ns < most_ns ? twice_ns : most_ns;
}

/* Looks for the sign again and again, until then at the latest: whether it has come. Any thread. */
bool rondo__spin(const atomic_bool *sign, uint64_t until_ns);

/* Reasons to live that aren't handles: jobs in the pool. Loop thread only. */
void rondo__loop_hold(rondo_loop *loop);
void rondo__loop_release(rondo_loop *loop);
/* What the loop does not live for, but takes no virtual time either: jobs of a file stream. Loop thread only. */
void rondo__loop_hold_time(rondo_loop *loop);
void rondo__loop_release_time(rondo_loop *loop);

/* What the loop calls when it is freed, in reverse order of adding: the pool ends its threads. */
typedef struct rondo__at_free {
    rondo__list link;
    void (*run)(rondo_loop *loop, struct rondo__at_free *at_free);
} rondo__at_free;
void rondo__at_loop_free(rondo_loop *loop, rondo__at_free *at_free,
                         void (*run)(rondo_loop *, rondo__at_free *));
/* What rondo_loop_close_all() calls besides closing the handles: the pool cancels queued jobs. */
void rondo__at_close_all(rondo_loop *loop, rondo__at_free *node,
                         void (*run)(rondo_loop *, rondo__at_free *));

/* What other rooms keep on the loop, made there at first use: the pool, the budget of files, the shared
 * buffers of streams and of HTTP, the open requests for names, the resolver with its channels, the
 * area that UDP handles receive into, the inotify instance, what WebSockets share. */
enum {
    RONDO__PART_POOL,
    RONDO__PART_FS,
    RONDO__PART_NET,
    RONDO__PART_HTTP,
    RONDO__PART_DNS,
    RONDO__PART_RESOLVER,
    RONDO__PART_UDP,
    RONDO__PART_TLS,
    RONDO__PART_WATCH,
    RONDO__PART_WEBSOCKET,
    RONDO__PART_COUNT
};
/* rondo__loop_part() is in handle.h. */
void rondo__loop_set_part(rondo_loop *loop, int part, void *pointer);

#endif
