/* SPDX-License-Identifier: MIT
 *
 * The ways into the loop from other threads. rondo_async wakes it up and coalesces: many sends, at
 * least one callback. rondo_loop_post() is a queue: every message arrives, in order per sender.
 */
#ifndef RONDO_ASYNC_H
#define RONDO_ASYNC_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*rondo_async_cb)(rondo_async *async, void *arg);

/* Active from the start: keeps the loop alive until closed or unref'd. NULL when out of memory.
 * Loop thread only. */
#define rondo_async_new(loop, cb, arg) rondo_async_new_at((loop), (cb), (arg), RONDO_HERE)
RONDO_API rondo_async *rondo_async_new_at(rondo_loop *loop, rondo_async_cb cb, void *arg,
                                          const char *site);

/* Has cb run soon on the loop thread. Any thread, also a signal handler. Never blocks, never fails.
 * The handle must not have been closed: see to it that senders are done first. */
RONDO_API void rondo_async_send(rondo_async *async);

typedef void (*rondo_post_cb)(rondo_loop *loop, void *arg);

/* Queues a message: cb runs on the loop thread, exactly once, in a poll phase or, over the budget
 * `posts`, in a pending phase. Any thread. A queued message keeps the loop alive. Messages that the
 * loop has not run when it is freed are dropped. Returns 0, RONDO_ENOMEM, or RONDO_EAGAIN when
 * `rondo_loop_set_post_limit` messages are queued. */
RONDO_API int rondo_loop_post(rondo_loop *loop, rondo_post_cb cb, void *arg);

/* The most messages that may wait, 1,000,000 unless set. Loop thread only. */
RONDO_API void rondo_loop_set_post_limit(rondo_loop *loop, size_t messages);

#ifdef __cplusplus
}
#endif
#endif
