/* SPDX-License-Identifier: MIT
 *
 * The worker pool: threads that run what would block or compute, so that the loop never does. Each
 * loop owns one, made at its first use, or shares another loop's. It has lanes, each with its own
 * threads and its own bounded queue, so that one kind of work can't starve another. Threads start
 * on demand and retire when idle; they run no signal handlers of the process.
 *
 * The done callback runs exactly once, on the loop thread, never inside the call that asked for the
 * work. Jobs keep the loop alive. rondo_loop_free() asks the running ones to end early, waits for
 * them (but not for abandoned ones) and calls back for none. In a forked child the pool of a loop
 * made before is refused: RONDO_ENOTSUP; a new loop has a pool that works.
 * Everything is for the loop thread, except what says that it is for the worker.
 * Many jobs at a time, and told when all are done: group.h.
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

/* Waking a thread that sleeps takes many times as long as a small job. So a thread without work, one of
 * the lane at a time, and the loop when it has nothing to do but to wait for a job of the lane, first
 * look again and again, for so many microseconds at most (20 unless set; 1,000 at most; 0: never), while
 * that pays: while jobs come, and end, within that time, what the other needed to wake up not counted. A thread
 * that has just woken the loop looks longer, six times as long at most. One that doesn't come ends it. It never
 * happens in a process that has one core only. */
RONDO_API void rondo_lane_set_spin_us(rondo_lane *lane, unsigned us);

/* For threads that start from now on: bytes of stack (1 MiB unless set; at least 64 KiB, else
 * RONDO_EINVAL) and the nice level (-20 to 19, of the thread: setpriority(2); unless set that of the
 * thread which asks for the work). A level that the system refuses is left as it was. 0,
 * RONDO_EINVAL or RONDO_ENOTSUP. */
RONDO_API int rondo_lane_set_stack(rondo_lane *lane, size_t stack_bytes);
RONDO_API int rondo_lane_set_nice(rondo_lane *lane, int nice);

/* Has `loop` use the pool of `from`, lanes and threads, in place of one of its own: two loops in two
 * threads that share the machine. Each hears of its own jobs. To be called before `loop` has used its
 * pool (RONDO_EBUSY otherwise), while no other thread runs either of them. They may be freed in any
 * order; lanes and threads stay until the last one is. The functions of shared lanes may be called
 * from the threads of all loops that share them. 0, RONDO_EBUSY, RONDO_EINVAL (the same loop),
 * RONDO_ENOMEM, RONDO_ENOTSUP. */
RONDO_API int rondo_loop_share_pool(rondo_loop *loop, rondo_loop *from);

/* Bucket i counts jobs that took less than 2^i microseconds and not less than 2^(i-1); the last one
 * those that took longer. */
enum { RONDO_LANE_BUCKETS = 28 };
typedef struct rondo_lane_figures {
    unsigned threads;   /* alive now */
    unsigned running;   /* jobs being run now */
    unsigned abandoned; /* of them, those that nobody waits for any more */
    size_t queued;      /* jobs in the queue now */
    uint64_t done;      /* jobs that ended since the lane was made, canceled ones included */
    uint64_t refused;   /* submissions answered with RONDO_EAGAIN */
    /* Only of jobs submitted while rondo_lane_measure() is on, and not of abandoned ones: */
    uint64_t waited_us[RONDO_LANE_BUCKETS]; /* from submission to the start of running */
    uint64_t ran_us[RONDO_LANE_BUCKETS];    /* from there to the end */
} rondo_lane_figures;
/* Whether jobs are timed, from now on: three readings of the clock for each. Off unless set. */
RONDO_API void rondo_lane_measure(rondo_lane *lane, bool on);
/* Exact, but for what the threads do meanwhile. All 0 in a forked child. Never fails. */
RONDO_API void rondo_lane_get_figures(rondo_lane *lane, rondo_lane_figures *ret_figures);

/* ---- jobs ---- */

/* Runs on a worker thread. Must not touch handles; may call rondo_loop_post(), rondo_async_send(),
 * rondo_work_canceled() and rondo_work_report(). Returns the result, 0 or more, or a negative RONDO_E*. */
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

/* A job, of rondo_work_submit() or of a file operation, as ret_job gave it. It is valid until its
 * callback is called; any use of it from then on aborts. All functions return RONDO_ENOTSUP in a
 * forked child; those that say RONDO_ENOENT do so when it has ended and its callback is on its way. */

/* Jobs of higher priority begin before others of their lane that wait; equal ones in the order of
 * submitting, where one whose priority changes goes to the end. RONDO_PRIORITY_normal unless set. A
 * job of low priority waits for ever while a lane is busy with higher ones. An operation of many
 * steps (a tree is copied) takes it from the next step on. 0, RONDO_EBUSY (it is running),
 * RONDO_ENOENT, RONDO_EINVAL (no such priority). */
typedef enum rondo_priority {
    RONDO_PRIORITY_low,
    RONDO_PRIORITY_normal,
    RONDO_PRIORITY_high
} rondo_priority;
RONDO_API int rondo_job_set_priority(rondo_job *job, rondo_priority priority);

/* Cancels a job. What is returned says what the callback gets, which still runs, once, in a later
 * phase:
 *   0             it was queued and never runs: RONDO_ECANCELED, without waiting for anything
 *   RONDO_EBUSY   it is running, and asked to end early through rondo_work_canceled(): once it has
 *                 returned, RONDO_ECANCELED (so that arg is not in use any more). A single system
 *                 call can't be asked: its callback gets the true result
 *   RONDO_ENOENT  it has ended (or was canceled) already: its result */
RONDO_API int rondo_job_cancel(rondo_job *job);

/* Cancels a job without waiting for a thread that is stuck with it (a dead network file system, a
 * FIFO nobody writes to): as rondo_job_cancel(), but if it is running the callback gets
 * RONDO_ECANCELED in the next pending phase, and the thread goes on by itself; what it brings is
 * dropped (an fd that it opens is closed). The thread does not count among the lane's any more until
 * it is back, so that the others' work goes on; of such threads there may be 64 in a lane.
 * rondo_loop_free() does not wait for it.
 * The thread goes on using the memory that it was given. Path operations use copies; but the arg of
 * a rondo_work_cb and the buffers of rondo_fs_read(), rondo_fs_write() and their kin are the
 * caller's: without rondo_job_on_release() RONDO_EINVAL is returned for those, in whatever state they
 * are, and nothing happens. So it is for the few operations that can't be abandoned at all; they say
 * so. An operation of many steps whose last one has just ended gives its result all the same. 0,
 * RONDO_EINVAL, RONDO_ENOENT, RONDO_EBUSY (64 are abandoned already: cancel it). */
RONDO_API int rondo_job_abandon(rondo_job *job);
/* release is called once, when no thread uses the caller's memory any more: right after the job's
 * callback, or, if the job was abandoned, when the thread is back; on the loop thread, or on the
 * worker when the loop was freed meanwhile. For every job that has one, also one whose callback is
 * never called since the loop is freed: then inside rondo_loop_free(). An abandoned job does not keep
 * the loop alive until then. Replaces the one before. 0, RONDO_EINVAL (NULL) or RONDO_ENOMEM. */
RONDO_API int rondo_job_on_release(rondo_job *job, void (*release)(void *arg), void *arg);

/* A job that has not ended in time ends with RONDO_ETIMEDOUT: taken from the queue, or abandoned if
 * it may be, or else asked to end as by rondo_job_cancel() (and then the callback gets
 * RONDO_ETIMEDOUT once it has returned, or the true result of a system call). timeout_ms from now; 0
 * takes a timeout away. Setting it again replaces it. No effect on a job that has ended. 0 or
 * RONDO_ENOMEM. */
RONDO_API int rondo_job_set_timeout(rondo_job *job, uint64_t timeout_ms);

/* How far a job is: what it reported last, at most once per turn, in order, and never after its
 * callback. What it reported before this call is not heard. The unit is the job's own; total is 0
 * when it isn't known. Replaces the one before. 0, RONDO_EINVAL (NULL) or RONDO_ENOMEM. */
typedef void (*rondo_progress_cb)(rondo_loop *loop, uint64_t done, uint64_t total, void *arg);
RONDO_API int rondo_job_on_progress(rondo_job *job, rondo_progress_cb cb, void *arg);

/* ---- for the worker that runs the job, and no other thread ---- */

/* Whether somebody asked the job to end early: it was canceled or abandoned, is out of time, or the
 * loop is being freed. */
RONDO_API bool rondo_work_canceled(const rondo_job *job);
/* Reports how far it is. Cheap: what comes faster than the loop listens is overwritten. */
RONDO_API void rondo_work_report(rondo_job *job, uint64_t done, uint64_t total);

#ifdef __cplusplus
}
#endif
#endif
