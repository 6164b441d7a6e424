/* SPDX-License-Identifier: MIT
 *
 * Alarms: the loop's deadlines, embedded in whatever needs one (timers, timeouts of streams and
 * HTTP). Kept in a hierarchical timing wheel: set, clear and re-arm are O(1) and never allocate;
 * pushing an armed alarm further into the future is two stores. Due alarms fire in the timers phase
 * by (deadline, order of setting). Internal.
 */
#ifndef RONDO__ALARM_H
#define RONDO__ALARM_H

#include "loop/list.h"

#include <rondo/base.h>

/* Not 0, which is a time like any other on a virtual clock. */
#define RONDO__ALARM_UNSET UINT64_MAX

typedef struct rondo__alarm {
    uint64_t deadline_ns; /* RONDO__ALARM_UNSET, or before it */
    uint64_t order;       /* counts settings */
    rondo__list link;
    void (*fire)(rondo_loop *loop, struct rondo__alarm *alarm);
} rondo__alarm;

static inline void rondo__alarm_init(rondo__alarm *alarm,
                                     void (*fire)(rondo_loop *, struct rondo__alarm *)) {
    rondo__list_init(&alarm->link);
    alarm->deadline_ns = RONDO__ALARM_UNSET;
    alarm->order = 0;
    alarm->fire = fire;
}

/* Fires once at deadline_ns of rondo_loop_now_ns() or later; moves one that is set. An internal
 * alarm does not keep the loop alive by itself: its handle does. */
void rondo__alarm_set(rondo_loop *loop, rondo__alarm *alarm, uint64_t deadline_ns);
/* The same, delay_ms from the time that the loop last read, without reading the clock while it
 * runs: for timeouts of seconds, which may be early by as long as the turn has been busy. Cut to
 * the end of the clock. */
void rondo__alarm_set_in_ms(rondo_loop *loop, rondo__alarm *alarm, uint64_t delay_ms);
void rondo__alarm_clear(rondo__alarm *alarm);
static inline bool rondo__alarm_is_set(const rondo__alarm *alarm) {
    return alarm->deadline_ns != RONDO__ALARM_UNSET;
}

#define RONDO__ALARM_LEVELS 8
#define RONDO__ALARM_SLOTS 64

typedef struct rondo__wheel {
    uint64_t time_tick;                 /* slots before this one have been emptied */
    uint64_t used[RONDO__ALARM_LEVELS]; /* bit i: slot i may be non-empty */
    uint64_t earliest_ns;               /* no alarm is due before; UINT64_MAX: none at all */
    bool stale;                         /* earliest_ns may be earlier than it could be */
    bool firing;                        /* `due` is in use */
    uint64_t order;
    rondo__list due; /* being fired in this timers phase */
    rondo__list slots[RONDO__ALARM_LEVELS][RONDO__ALARM_SLOTS];
} rondo__wheel;

void rondo__wheel_init(rondo__wheel *wheel, uint64_t now_ns);
/* The timers phase: fires what is due at now_ns; alarms that this sets wait for the next turn. */
void rondo__wheel_fire(rondo_loop *loop, rondo__wheel *wheel, uint64_t now_ns);
/* A time before which nothing is due, and at which something is, or is near. UINT64_MAX: none. */
uint64_t rondo__wheel_next(rondo__wheel *wheel);
void rondo__wheel_verify(const rondo__wheel *wheel);

#endif
