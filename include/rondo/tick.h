/* SPDX-License-Identifier: MIT
 *
 * Callbacks without a handle, and the prepare hook: next ticks run right after the current
 * callback, immediates in the check phase, prepare hooks just before the loop sleeps.
 * Loop thread only.
 */
#ifndef RONDO_TICK_H
#define RONDO_TICK_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*rondo_tick_cb)(rondo_loop *loop, void *arg);

/* Runs cb after the current callback returns, before any other; at top level, first thing when the
 * loop runs. First in, first out; ticks queued by ticks run in the same drain, up to the budget
 * `ticks`. Can't be taken back. Returns 0 or RONDO_ENOMEM. */
RONDO_API int rondo_next_tick(rondo_loop *loop, rondo_tick_cb cb, void *arg);

/* Runs cb in the next check phase, first in, first out; one queued inside the check phase waits for
 * the next turn. Returns an id for rondo_immediate_cancel(), or 0 when out of memory. */
RONDO_API uint64_t rondo_immediate(rondo_loop *loop, rondo_tick_cb cb, void *arg);
/* Takes one back. Returns 0, or RONDO_ENOENT when it ran already or was canceled. */
RONDO_API int rondo_immediate_cancel(rondo_loop *loop, uint64_t id);

typedef void (*rondo_prepare_cb)(rondo_prepare *prepare, void *arg);

/* A hook that runs every turn just before the loop would sleep, in the order of starting. It starts
 * stopped. An active hook keeps the loop alive but does not keep it from sleeping. */
#define rondo_prepare_new(loop) rondo_prepare_new_at((loop), RONDO_HERE)
RONDO_API rondo_prepare *rondo_prepare_new_at(rondo_loop *loop, const char *site);
/* Starting a started hook replaces its callback and keeps its place. 0 or RONDO_ECLOSED. */
RONDO_API int rondo_prepare_start(rondo_prepare *prepare, rondo_prepare_cb cb, void *arg);
RONDO_API int rondo_prepare_stop(rondo_prepare *prepare);

#ifdef __cplusplus
}
#endif
#endif
