/* SPDX-License-Identifier: MIT
 *
 * Timers. A timer never fires early: its callback runs in the first timers phase at or after its
 * deadline, where deadline = rondo_loop_now_ns() at the start + delay. Timers that are due in one
 * phase run by deadline, equal deadlines in the order of starting. A zero delay is zero: due in the
 * next timers phase. Starting, re-arming and stopping are O(1) and never allocate. Loop thread only.
 */
#ifndef RONDO_TIMER_H
#define RONDO_TIMER_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*rondo_timer_cb)(rondo_timer *timer, void *arg);

/* A stopped timer; NULL when out of memory. */
#define rondo_timer_new(loop) rondo_timer_new_at((loop), RONDO_HERE)
RONDO_API rondo_timer *rondo_timer_new_at(rondo_loop *loop, const char *site);

/* Calls cb after delay_ms and, if repeat_ms is not 0, every repeat_ms from then on: at the first
 * deadline plus a multiple of repeat_ms, without drift; when the loop was late by more than one
 * period, the missed ones are skipped (rondo_timer_missed() counts them). An active timer is
 * re-armed. Delays too large for the clock are cut to its end. Returns 0 or RONDO_ECLOSED. */
RONDO_API int rondo_timer_start(rondo_timer *timer, uint64_t delay_ms, uint64_t repeat_ms,
                                rondo_timer_cb cb, void *arg);

/* Calls cb once at an absolute time of rondo_loop_now_ns(); one in the past is due at once. */
RONDO_API int rondo_timer_start_at(rondo_timer *timer, uint64_t deadline_ns, rondo_timer_cb cb,
                                   void *arg);

/* Counts the delay of the last rondo_timer_start() anew from now, active or not: the cheap way to
 * push a timeout ahead. RONDO_EINVAL if it was never started that way. */
RONDO_API int rondo_timer_again(rondo_timer *timer);

/* Stops it; its callback won't run. May be started again. Idempotent. */
RONDO_API int rondo_timer_stop(rondo_timer *timer);

/* Its deadline in ns of rondo_loop_now_ns(), 0 when stopped. */
RONDO_API uint64_t rondo_timer_deadline_ns(const rondo_timer *timer);
/* Periods that a repeating timer skipped since it was started. */
RONDO_API uint64_t rondo_timer_missed(const rondo_timer *timer);

#ifdef __cplusplus
}
#endif
#endif
