/* SPDX-License-Identifier: MIT
 *
 * The worker pool: threads that run what would block or compute, so that the loop never does. Each
 * loop owns one, made at its first use. It has lanes, each with its own threads and its own bounded
 * queue, so that one kind of work can't starve another. Threads start on demand and retire when
 * idle; they have 1 MiB of stack and run no signal handlers of the process.
 *
 * The done callback runs exactly once, on the loop thread, never inside the call that asked for the
 * work. Jobs keep the loop alive. rondo_loop_free() asks the running ones to end early, waits for
 * them and calls back for none. In a forked child the pool of a loop made before is refused:
 * RONDO_ENOTSUP; a new loop has a pool that works.
 * Everything is for the loop thread, except rondo_work_canceled().
 */
#ifndef RONDO_POOL_H
#define RONDO_POOL_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, default threads (0: one per core), default queue bound, what runs there) */
#define RONDO_LANES(X)                 \
    X(fs, 4, 65536, "file operations") \
    X(dns, 2, 1024, "name lookups")    \
    X(cpu, 0, 65536, "computing: rondo_work_submit()'s usual lane")

/* The built-in lanes; they live as long as the loop. NULL when out of memory. */
RONDO_API rondo_lane *rondo_lane_fs(rondo_loop *loop);
RONDO_API rondo_lane *rondo_lane_dns(rondo_loop *loop);
RONDO_API rondo_lane *rondo_lane_cpu(rondo_loop *loop);

/* A lane of the user's own; lives as long as the loop. The name (copied; 9 bytes of it are shown
 * in the names of its threads, "rondo-NAME") must be new. threads and queue_bound: see
 * rondo_lane_resize(). Returns 0, RONDO_ENOMEM, RONDO_EEXIST or RONDO_EINVAL (no name, no threads,
 * no queue). */
RONDO_API int rondo_lane_new(rondo_loop *loop, const char *name, unsigned threads,
                             size_t queue_bound, rondo_lane **ret_lane);

/* Changes how many threads may run at once (1 to 1024) and how many jobs may wait (1 or more).
 * Jobs that a free thread will take at once do not count as waiting: a lane of 2 threads and a
 * queue of 3 takes 5 jobs, and refuses the sixth. Surplus threads end when their job has; queued
 * jobs stay queued. Returns 0, RONDO_EINVAL or RONDO_ENOTSUP. */
RONDO_API int rondo_lane_resize(rondo_lane *lane, unsigned threads, size_t queue_bound);
/* How long a thread without work stays: 10,000 ms unless set; 0 ends it at once. */
RONDO_API void rondo_lane_set_idle_ms(rondo_lane *lane, uint64_t idle_ms);

typedef struct rondo_lane_figures {
    unsigned threads; /* alive now */
    unsigned running; /* jobs being run now */
    size_t queued;    /* jobs in the queue now */
    uint64_t done;    /* jobs that ended since the lane was made, canceled ones included */
    uint64_t refused; /* submissions answered with RONDO_EAGAIN */
} rondo_lane_figures;
/* Exact, but for what the threads do meanwhile. All 0 in a forked child. Never fails. */
RONDO_API void rondo_lane_get_figures(rondo_lane *lane, rondo_lane_figures *ret_figures);

/* Runs on a worker thread. Must not touch handles; may call rondo_loop_post(), rondo_async_send()
 * and rondo_work_canceled(). Returns the result, 0 or more, or a negative RONDO_E*. */
typedef int64_t (*rondo_work_cb)(rondo_job *job, void *arg);
/* Runs on the loop thread when the work has ended: its result, or RONDO_ECANCELED. */
typedef void (*rondo_done_cb)(rondo_loop *loop, int64_t result, void *arg);

/* Queues work on a lane of the loop; NULL means the cpu lane. Jobs of a lane begin in the order of
 * submitting. work and done may not be NULL. ret_job (NULL allowed) is for canceling, and valid
 * until done is called. Returns 0, RONDO_EAGAIN when the lane's queue is full or not a single
 * thread can be started, RONDO_ENOMEM, RONDO_EINVAL or RONDO_ENOTSUP. On failure done is not
 * called. */
RONDO_API int rondo_work_submit(rondo_loop *loop, rondo_lane *lane, rondo_job **ret_job,
                                rondo_work_cb work, rondo_done_cb done, void *arg);

/* Cancels a job, of rondo_work_submit() or of fs.h. What is returned says what the callback gets,
 * which still runs, once, in a later phase:
 *   0             it was queued and never runs: RONDO_ECANCELED, without waiting for anything
 *   RONDO_EBUSY   it is running, and asked to end early through rondo_work_canceled(): once it has
 *                 returned, RONDO_ECANCELED (so that arg is not in use any more). File operations
 *                 can't be asked: their callback gets the true result
 *   RONDO_ENOENT  it has ended (or was canceled) already: its result
 * RONDO_ENOTSUP in a forked child. Aborts on a job whose callback has been called. */
RONDO_API int rondo_job_cancel(rondo_job *job);

/* Whether somebody asked the job to end early. The worker that runs it only. */
RONDO_API bool rondo_work_canceled(const rondo_job *job);

#ifdef __cplusplus
}
#endif
#endif
