/* SPDX-License-Identifier: MIT
 *
 * A job: the unit that a lane runs. rondo_work_submit(), src/fs/ and others embed it first in their
 * own request. Internal.
 *
 *     new --> queued --> running --> done --> deliver(): the callback, and the request is freed
 *                ^                     |
 *                +--- another step ----+
 *
 * A job that is abandoned while it runs has two ends. The callback comes at once, by tell(). The
 * thread comes back later, and what it brought is given back by drop(): on the loop thread, or, when
 * the loop was freed meanwhile, there and then by the worker.
 */
#ifndef RONDO__JOB_H
#define RONDO__JOB_H

#include <rondo/pool.h>

#include "loop/list.h"

#include <stdatomic.h>

struct rondo__pool;
struct rondo__extras;

enum {
    RONDO__JOB_NEW,
    RONDO__JOB_QUEUED,
    RONDO__JOB_RUNNING,
    RONDO__JOB_PARKED,    /* between two steps, in nobody's queue */
    RONDO__JOB_ABANDONED, /* a thread runs it, and nobody waits for it */
    RONDO__JOB_DONE
};

struct rondo_job {
    /* ---- for the owner to set before submitting; the rest is zero ---- */
    /* On a worker: does the work and returns the result. What it uses is the request's own (or, with
     * `borrows`, the caller's), never the loop's. */
    int64_t (*run)(rondo_job *job);
    /* On the loop thread: frees the request and calls the user's callback through the door. result
     * is the job's, or what it was asked to end with. NULL once the request was freed, or told. */
    void (*deliver)(rondo_loop *loop, rondo_job *job, int64_t result);
    /* The same for a job that is abandoned: calls back with a result below 0, and leaves the request
     * alone, since a thread works on it; drop() comes later. NULL: it can't be abandoned. */
    void (*tell)(rondo_loop *loop, rondo_job *job, int64_t result);
    /* Gives back what the request holds, and its memory, without calling anybody: the loop is being
     * freed, or an abandoned job's thread is back. job->result is what run() returned,
     * RONDO_ECANCELED when it never ran. job->loop is NULL when the loop is gone; then the thread is
     * the worker's. NULL: rondo__free(job). */
    void (*drop)(rondo_job *job);
    /* The loop is being freed while this runs: unties it from everything that goes with the loop, so
     * that nobody has to wait for it. Loop thread, with a lock held: no calls into the pool. NULL: it
     * is waited for. */
    void (*untie)(rondo_job *job);
    /* Canceling does not replace the result of one that runs: it has done something, and the caller
     * must hear what. */
    bool keeps_result;
    /* run() uses memory of the caller's. */
    bool borrows;
    /* One of several steps: deliver() may call rondo__job_again(). */
    bool steps;
    /* With it: the next step only undoes what is half done, and can't be canceled; see
     * rondo__job_again(). */
    bool last;
    /* The loop does not live for it: the owner has its own hold, or needs no result any more. */
    bool weak;
    /* ---- the pool's ---- */
    bool must_run;     /* submitted with `always` */
    bool recycled;     /* its memory is for the pool's free list */
    bool abandoned;    /* and what has come of it: */
    bool returned;     /* the thread is back, before the callback was called */
    uint8_t priority;  /* rondo_priority; guarded by the lane's lock */
    unsigned era;      /* pool->era when it was submitted */
    atomic_int cancel; /* 0, or what it was asked to end with: RONDO_ECANCELED, RONDO_ETIMEDOUT */
    int state;         /* guarded by the lane's lock while queued or running */
    int64_t result;
    rondo_lane *lane; /* NULL: done without a worker */
    rondo_loop *loop;
    struct rondo__pool *pool;
    _Atomic(struct rondo__extras *) extras; /* timeout, progress, release; seldom there */
    uint64_t since_ns;                      /* when it was queued; 0: nobody measures */
    rondo_job *older;                       /* on the stack of completions */
    rondo__list link;                       /* the lane's queue, pool->ready */
};

/* Queues a job. Returns 0, RONDO_EAGAIN, RONDO_ENOMEM, or RONDO_ENOTSUP in a forked child; then the
 * job is still the caller's. job->loop says whose it is. `always`: not refused for a full queue, and
 * never canceled (closing files). Loop thread only, as are all functions here. */
int rondo__job_submit(rondo_lane *lane, rondo_job *job, bool always);
/* In deliver() of a job with `steps`: queues it once more, at the tail of its lane. So a long
 * operation holds no thread for long, small ones go in between, and it can be canceled between its
 * steps. Not refused for a full queue, and the loop stays held. An error means that the job has
 * ended, and deliver() goes on to end it with that: RONDO_ECANCELED (it was asked to end, or the loop
 * to close everything), RONDO_ETIMEDOUT, RONDO_EAGAIN (no thread can be had), RONDO_ENOTSUP in a
 * forked child.
 *
 * rondo_job_cancel() says RONDO_EBUSY while a step runs or is on its way to deliver(), and 0 while it
 * is queued again: then deliver() gets RONDO_ECANCELED, as it would for the first step. drop() may
 * find it between any two steps.
 *
 * An owner that has something to undo sets `last` after such an error, and calls this once more:
 * then the job runs a last time, and can't be canceled any more. */
int rondo__job_again(rondo_job *job);
/* Whether rondo__job_again() would say that it was asked to end: nothing more of it is for the user.
 * Loop thread only, between two steps. */
bool rondo__job_is_over(const rondo_job *job);
/* In place of it: the job waits in no queue, with the loop held, until rondo__job_unpark() queues it.
 * Canceled, abandoned, out of time or closed with the loop meanwhile, it comes to deliver() like one
 * that is queued, and is not parked any more. Returns 0, or why it has ended, as above. */
int rondo__job_park(rondo_job *job);
/* Queues a parked one. If it can't, deliver() will hear why. */
void rondo__job_unpark(rondo_job *job);
static inline bool rondo__job_is_parked(const rondo_job *job) {
    return job->state == RONDO__JOB_PARKED; /* which only the loop thread changes */
}
/* Delivers a job that was done without a worker, in the next pending phase. Its request came from
 * rondo__request_new(). */
void rondo__job_complete(rondo_loop *loop, rondo_job *job, int64_t result);

/* Memory for a request of `size` bytes that has a rondo_job first, which is zeroed and the rest is
 * not. Small ones come from a bounded free list, so that a steady state allocates nothing. Returns
 * 0, RONDO_ENOMEM, or RONDO_ENOTSUP in a forked child. */
int rondo__request_new(rondo_loop *loop, size_t size, rondo_job **ret_job);
/* Also from drop() on a worker. */
void rondo__request_free(rondo_job *job);

/* How many operations at a file's own position are with workers; src/fs/ counts them. */
unsigned *rondo__pool_at_position(rondo_loop *loop);

#endif
