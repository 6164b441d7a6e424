/* SPDX-License-Identifier: MIT
 *
 * The pool and its lanes: the structs that pool.c, lane.c and worker.c share. Internal to
 * src/threadpool/.
 *
 * Two ways lead between the threads, and nothing else is shared. Into a lane: its queue, under its
 * lock. Back: the stack pool->done, which any worker pushes to without a lock and the loop takes as
 * a whole with one exchange.
 */
#ifndef RONDO__POOL_H
#define RONDO__POOL_H

#include <rondo/loop.h>

#include <pthread.h>

#include "loop/handle.h"
#include "loop/wake.h"
#include "threadpool/job.h"

/* Requests up to this size are recycled, and so many of them are kept: 80 KiB per loop, once it has
 * had as many under way. */
#define RONDO__REQUEST_BYTES 320
#define RONDO__REQUESTS_KEPT 256

enum {
#define RONDO__LANE_INDEX(name, threads, bound, what) RONDO__LANE_##name,
    RONDO_LANES(RONDO__LANE_INDEX)
#undef RONDO__LANE_INDEX
        RONDO__LANE_COUNT
};

typedef struct rondo__pool {
    rondo_loop *loop;
    unsigned forks;                          /* rondo__forks() when it was made */
    rondo_lane *built_in[RONDO__LANE_COUNT]; /* NULL until asked for */
    rondo__list lanes;                       /* all of them */
    /* Completions. */
    _Atomic(rondo_job *) done; /* from workers, newest first */
    rondo__list ready;         /* for the pending phase, oldest first; loop thread */
    rondo__source source;      /* takes `done` */
    rondo__task more;          /* delivers `ready` */
    uint64_t turn;             /* that `budget` belongs to */
    uint32_t budget;           /* completions left in that turn */
    unsigned era;         /* counts rondo_loop_close_all(): jobs of before take no more steps */
    unsigned at_position; /* see rondo__pool_at_position() */
    /* Memory of requests, linked by `older`. */
    rondo_job *free_requests;
    unsigned free_count;
    rondo__at_free at_free;
    rondo__at_free at_close_all;
} rondo__pool;

#define RONDO__LANE_MAGIC 0x52ad100au

/* A thread of a lane, on its own stack. */
typedef struct rondo__worker {
    rondo__list link;    /* lane->idle */
    pthread_cond_t wake; /* one for each: exactly the thread that is meant wakes up */
    bool woken;
} rondo__worker;

struct rondo_lane {
    uint32_t magic;
    rondo__list link; /* pool->lanes */
    rondo__pool *pool;
    pthread_mutex_t lock; /* for everything below */
    rondo__list queue;    /* jobs, oldest first */
    rondo__list active;   /* jobs being run */
    rondo__list idle;     /* rondo__worker, the last one to fall idle first */
    size_t queued;
    size_t bound;        /* of `queued`, jobs that a free thread will take not counted */
    unsigned limit;      /* of threads */
    unsigned threads;    /* alive, starting ones included */
    unsigned running;    /* length of `active` */
    unsigned idle_count; /* length of `idle` */
    unsigned waking;     /* on their way to the queue: started, woken, or back from a job */
    bool ending;         /* the loop is being freed */
    bool has_left;
    pthread_t left;      /* the last thread that ended; it has joined the one before it */
    pthread_cond_t gone; /* ending, and no thread is left */
    uint64_t idle_ms;
    uint64_t done;
    uint64_t refused;
    char name[];
};

/* ---- pool.c ---- */

/* The loop's pool, made if need be. NULL when out of memory. */
rondo__pool *rondo__pool_get(rondo_loop *loop);
/* This process was forked from the one that made the pool: its threads are not here. */
bool rondo__pool_is_elsewhere(const rondo__pool *pool);
/* From a worker: the job has ended. Returns true when the loop must be woken. The job may be gone
 * when this returns. */
bool rondo__pool_push_done(rondo__pool *pool, rondo_job *job);
/* From the loop thread: jobs that ended without a worker, for the pending phase. */
void rondo__pool_push_ready(rondo__pool *pool, rondo__list *jobs);

/* ---- lane.c ---- */

rondo_lane *rondo__lane_make(rondo__pool *pool, const char *name, unsigned threads,
                             size_t queue_bound);
rondo_lane *rondo__lane_find(rondo__pool *pool, const char *name);
/* Moves the jobs that wait, all or those that may be canceled, to `ret_jobs`, done with
 * RONDO_ECANCELED. */
void rondo__lane_take_queued(rondo_lane *lane, bool all, rondo__list *ret_jobs);
/* Asks the threads to end and running jobs to hurry; then waits for them and frees the lane. */
void rondo__lane_end(rondo_lane *lane);
void rondo__lane_free(rondo_lane *lane);

/* ---- worker.c: all with the lane's lock held ---- */

/* Has an idle thread look at the queue, if there is one and none is on its way. */
void rondo__worker_wake(rondo_lane *lane);
/* Has all idle threads look at what has changed. */
void rondo__worker_wake_all(rondo_lane *lane);
/* Starts a thread if jobs wait for which none is there or on its way. Lets go of the lock while it
 * does. Returns false when the system refused. */
bool rondo__worker_start(rondo_lane *lane);

#endif
