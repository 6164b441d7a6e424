/* SPDX-License-Identifier: MIT
 *
 * Looking into a loop: its counters, and the observer that sees every user callback begin and end
 * at the one door they all pass. Loop thread only.
 */
#ifndef RONDO_OBSERVER_H
#define RONDO_OBSERVER_H

#include <rondo/base.h>
#include <rondo/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Counters since the loop was made. Times in ns; sleeping and working are told apart at the poll. */
typedef struct rondo_metrics {
    uint64_t turns;
    uint64_t callbacks;      /* user callbacks, next ticks included */
    uint64_t busy_ns;        /* inside rondo_loop_run(), not asleep */
    uint64_t asleep_ns;      /* waiting for the kernel */
    uint64_t unheard_errors; /* peers' errors on accepted connections that nobody listened for */
    uint64_t late_timers;    /* repeating timers' skipped periods */
    uint64_t handles;        /* open and closing now */
    uint64_t cached_files;   /* file operations answered from the kernel's caches (fs.h) */
    uint64_t missed_files;   /* tried there first, but a worker had to do them */
    /* Only while rondo_loop_measure() is on: how long callbacks waited from ready to run, and ran. */
    uint64_t measured;      /* callbacks that the four below speak of */
    uint64_t ready_wait_ns; /* in all */
    uint64_t ready_wait_max_ns;
    uint64_t callback_ns; /* in all */
    uint64_t callback_max_ns;
} rondo_metrics;

/* Copies the counters. Never fails. */
RONDO_API void rondo_loop_metrics(rondo_loop *loop, rondo_metrics *ret_metrics);

/* Whether every callback is timed: two clock reads each. Off at first. */
RONDO_API void rondo_loop_measure(rondo_loop *loop, bool on);

/* One user callback, as the observer sees it. Pointers are valid during the observer's call. */
typedef struct rondo_visit {
    const char *event; /* "stream.data", "timer", "tick", ... or as an emitter's user named it */
    const rondo_handle *handle; /* NULL for ticks, immediates and posts */
    rondo_phase phase;
    uint32_t depth; /* 1, or more for an emitter's listener inside a callback */
    uint64_t turn;
    uint64_t ready_ns; /* when it became ready to run */
    uint64_t begin_ns;
    uint64_t end_ns; /* 0 while it has not ended */
} rondo_visit;

/* Called before (end_ns is 0) and after every callback. Must only look: calling functions that
 * change the loop from here is not allowed. */
typedef void (*rondo_observer_cb)(rondo_loop *loop, const rondo_visit *visit, void *arg);

/* Adds or removes an observer. observe returns 0 or RONDO_ENOMEM, unobserve 0 or RONDO_ENOENT. */
RONDO_API int rondo_loop_observe(rondo_loop *loop, rondo_observer_cb cb, void *arg);
RONDO_API int rondo_loop_unobserve(rondo_loop *loop, rondo_observer_cb cb, void *arg);

#ifdef __cplusplus
}
#endif
#endif
