/* SPDX-License-Identifier: MIT
 *
 * A group: run these, at most so many at a time, and tell me when all are done. A member is either
 * a job of the pool or a task of the user's own, which may take as many steps as it likes: read a
 * file, compute, write to a stream.
 *
 *     rondo_group *group = rondo_group_new(loop, 8);
 *     rondo_group_on_done(group, on_done, NULL);
 *     for (...) rondo_group_run(group, start, NULL, file);   // start(group, file) begins with one
 *     ...
 *     rondo_group_leave(group);                              // in the last callback of that file
 *
 * Members begin in the order of adding, in a pending phase, never inside the call that adds them;
 * RONDO_BUDGET_members of them in a turn at most. A group keeps the loop alive while it has members;
 * `done` is emitted whenever it has none any more, and then it may be used again or closed.
 *
 * rondo_close() begins nothing more: before `close`, members that wait hear RONDO_ECANCELED or
 * `skipped`. Jobs that run are asked to end; their done comes when they have, maybe after `close`.
 * Tasks under way are members no longer, and must not leave a group whose `close` was emitted: where
 * that could happen, rondo_group_cancel() and close in `done`. Loop thread only.
 */
#ifndef RONDO_GROUP_H
#define RONDO_GROUP_H

#include <rondo/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*rondo_group_cb)(rondo_group *group, void *arg);

/* limit: how many members may be under way at once, 1 or more (0 is taken as 1). NULL when out of
 * memory. */
#define rondo_group_new(loop, limit) rondo_group_new_at((loop), (limit), RONDO_HERE)
RONDO_API rondo_group *rondo_group_new_at(rondo_loop *loop, unsigned limit, const char *site);

/* The last member is over. In a later phase than what ended it; also when all were canceled. */
RONDO_DECLARE_EVENT(rondo_group, rondo_group, done, rondo_group_cb);

/* More or fewer at once, from now on. 0 or RONDO_ECLOSED. */
RONDO_API int rondo_group_set_limit(rondo_group *group, unsigned limit);
/* How many members may wait (0 is taken as 1); those that `limit` lets begin at once don't count.
 * 1,048,576 unless set; each takes 48 bytes. What is over is refused with RONDO_EAGAIN: add it in
 * the callback of a member, or in `done`. 0 or RONDO_ECLOSED. */
RONDO_API int rondo_group_set_bound(rondo_group *group, size_t bound);

/* Adds a job, as rondo_work_submit(); lane NULL is the cpu lane. The lane being full only delays it
 * and those behind it: it is tried again when a member ends, and every few milliseconds. done gets
 * RONDO_ECANCELED when the group is canceled or closed before, and RONDO_ENOMEM when there is no
 * memory to begin. 0, RONDO_EAGAIN (the bound), RONDO_EINVAL, RONDO_ECLOSED, RONDO_ECANCELED,
 * RONDO_ENOMEM or RONDO_ENOTSUP (a forked child); then done is not called. */
RONDO_API int rondo_group_work(rondo_group *group, rondo_lane *lane, rondo_work_cb work,
                               rondo_done_cb done, void *arg);

/* Adds a task: start is called when it is its turn, and rondo_group_leave() says that it is over
 * (once for each task that was started, also inside start; more often aborts). A task that never
 * begins, since the group is canceled or closed, hears of it by `skipped` (NULL allowed). 0,
 * RONDO_EAGAIN (the bound), RONDO_EINVAL, RONDO_ECLOSED, RONDO_ECANCELED or RONDO_ENOMEM. */
RONDO_API int rondo_group_run(rondo_group *group, rondo_group_cb start, rondo_group_cb skipped,
                              void *arg);
RONDO_API void rondo_group_leave(rondo_group *group);

/* Members that have not begun never do, and are told in pending phases: this one, if `start` or
 * `skipped` calls it, but never inside the call. Jobs under way are canceled (rondo_job_cancel());
 * tasks that run may ask rondo_group_canceled(). Until `done` nothing can be added (RONDO_ECANCELED).
 * Without members it does nothing. 0 or RONDO_ECLOSED. */
RONDO_API int rondo_group_cancel(rondo_group *group);
/* From rondo_group_cancel() until `done` is emitted, and once the group is closing. */
RONDO_API bool rondo_group_canceled(const rondo_group *group);

typedef struct rondo_group_figures {
    size_t waiting;  /* members that have not begun */
    unsigned active; /* members under way */
    uint64_t done;   /* members that are over, canceled ones included */
} rondo_group_figures;
RONDO_API void rondo_group_get_figures(const rondo_group *group, rondo_group_figures *ret_figures);

#ifdef __cplusplus
}
#endif
#endif
