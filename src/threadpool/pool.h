/* SPDX-License-Identifier: MIT
 *
 * The structs that the files of this folder share, and who may touch what. Internal to
 * src/threadpool/.
 *
 * rondo__pool is the half that belongs to one loop: what comes back, and the memory of requests.
 * rondo__crew is the half that several loops may share: lanes and their threads. It outlives the
 * last of them while abandoned jobs hold threads of it.
 *
 * Two ways lead between the threads. Into a lane: its queue, under its lock. Back: the stack
 * pool->done, which any worker pushes to without a lock and the loop takes as a whole with one
 * exchange; and pool->reports. Locks are taken in the order crew->lock, lane->lock,
 * crew->reports_lock.
 */
#ifndef RONDO__POOL_H
#define RONDO__POOL_H

#include <rondo/loop.h>

#include <pthread.h>

#include "loop/alarm.h"
#include "loop/attach.h"
#include "loop/clock.h"
#include "loop/handle.h"
#include "loop/spin.h"
#include "loop/wake.h"
#include "threadpool/job.h"

/* Requests up to this size are recycled, and so many of them are kept: 112 KiB per loop, once it has
 * had as many under way. */
#define RONDO__REQUEST_BYTES 448
#define RONDO__REQUESTS_KEPT 256
#define RONDO__EXTRAS_KEPT 64

enum {
#define RONDO__LANE_INDEX(name, threads, bound, what) RONDO__LANE_##name,
    RONDO_LANES(RONDO__LANE_INDEX)
#undef RONDO__LANE_INDEX
        RONDO__LANE_COUNT
};

/* ---- the loop's half ---- */

typedef struct rondo__crew rondo__crew;

typedef struct rondo__pool {
    rondo_loop *loop;
    rondo__crew *crew;
    rondo_lane *built_in[RONDO__LANE_COUNT]; /* those of the crew that this loop has asked for */
    /* Completions. */
    _Atomic(rondo_job *) done; /* from workers, newest first */
    _Atomic(uint64_t) done_ns; /* when one was pushed on the empty stack */
    /* How long its thread had needed to wake up for it; and the loop, the last time. */
    _Atomic(uint32_t) thread_lag_ns, loop_lag_ns;
    rondo__list ready;    /* for the pending phase, oldest first; loop thread */
    rondo__list parked;   /* jobs between two steps; loop thread */
    rondo__list reports;  /* rondo__extras with news; guarded by crew->reports_lock */
    rondo__source source; /* takes `done` and `reports` */
    rondo__task more;     /* delivers `ready` */
    uint64_t turn;        /* that `budget` belongs to */
    uint32_t budget;      /* completions left in that turn */
    unsigned era;         /* counts rondo_loop_close_all(): jobs of before take no more steps */
    unsigned at_position; /* see rondo__pool_at_position() */
    struct rondo__extras *delivering; /* of the job that deliver() has; NULL: it goes on */
    /* Memory, linked by `older`. */
    rondo_job *free_requests;
    struct rondo__extras *free_extras;
    unsigned free_count;
    unsigned free_extras_count;
    rondo__at_free at_free;
    rondo__at_free at_close_all;
} rondo__pool;

/* What few jobs have, made at the first use. The loop thread's, but for the report. */
typedef struct rondo__extras {
    rondo_job *job;
    rondo__alarm alarm; /* the timeout */
    void (*release)(void *arg);
    void *release_arg;
    /* ---- guarded by crew->reports_lock ---- */
    rondo__pool *pool;
    rondo_progress_cb progress; /* NULL: nobody listens (any more) */
    void *progress_arg;
    uint64_t done, total; /* not told yet, while `link` is in pool->reports */
    rondo__list link;
    struct rondo__extras *older; /* in pool->free_extras */
} rondo__extras;

/* ---- the half that can be shared ---- */

struct rondo__crew {
    unsigned forks;     /* rondo__forks() when it was made */
    atomic_uint refs;   /* pools, and threads with abandoned jobs */
    atomic_bool shared; /* by more than one loop, now or earlier */
    rondo_loop *owner;  /* while it is not shared */
    pthread_mutex_t reports_lock;
    pthread_mutex_t lock; /* for everything below */
    unsigned pools;
    rondo_lane *built_in[RONDO__LANE_COUNT]; /* NULL until asked for */
    rondo__list lanes;                       /* all of them; they stay to the end */
};

#define RONDO__LANE_MAGIC 0x52ad100au
/* Threads of a lane. */
#define RONDO__THREADS_MOST 1024
/* Of those that may be with abandoned jobs. */
#define RONDO__LOST_MAX 64

/* A thread of a lane, on its own stack. Guarded by the lane's lock. */
typedef struct rondo__worker {
    rondo__list link;    /* lane->idle, busy or lost; none while it is on its way */
    pthread_cond_t wake; /* one for each: exactly the thread that is meant wakes up */
    bool woken;
    uint64_t woken_ns;    /* when; 0: it was spinning */
    uint64_t idle_ns;     /* and since when no thread of the lane had fallen idle */
    uint32_t lag_ns;      /* how long it needed to wake up for its job; 0: it was awake */
    uint32_t loop_lag_ns; /* how long the loop had needed to wake up before it woke this one */
    atomic_bool poked;    /* as woken, set without the lock, for one that spins */
    atomic_uint signals;  /* being sent to `wake`, without the lock; it stays until they are */
    rondo_job *job;       /* that it runs; NULL once that has ended */
    rondo__pool *pool;    /* whose job it runs, until that loop has been woken; NULL: nobody's */
    uint64_t since_ns;    /* when the job began; 0: nobody measures */
} rondo__worker;

struct rondo_lane {
    uint32_t magic;
    rondo__list link; /* crew->lanes */
    rondo__crew *crew;
    pthread_mutex_t lock;                       /* for everything below */
    rondo__list queue[RONDO_PRIORITY_high + 1]; /* jobs, oldest first */
    rondo__list idle;                           /* rondo__worker, the last one to fall idle first */
    rondo__list busy; /* rondo__worker, from taking a job until its loop has been woken */
    rondo__list lost; /* rondo__worker with abandoned jobs */
    size_t queued;
    size_t bound;        /* of `queued`, jobs that a free thread will take not counted */
    unsigned limit;      /* of threads */
    unsigned threads;    /* alive, starting ones included, lost ones not */
    unsigned running;    /* jobs being run, abandoned ones not counted */
    unsigned idle_count; /* length of `idle` */
    unsigned lost_count; /* length of `lost` */
    unsigned waking;     /* on their way to the queue: started, woken, or back from a job */
    unsigned waiters;    /* loops that wait on `gone` for the end of their jobs */
    bool ending;         /* the last loop is being freed */
    bool spinning;       /* the first of `idle` does, or has just been taken from there */
    bool brisk;          /* the last job came soon after its worker had fallen idle */
    rondo__spin_record spins;
    uint64_t idle_ns; /* when the last thread fell idle */
    /* When the loop that was woken last is awake at the latest, as we think. */
    uint64_t loop_awake_ns;
    _Atomic(uint32_t) spin_ns; /* how long, at most; 0: never. Read without the lock, too */
    bool measured;
    bool nice_set;
    bool has_left;
    pthread_t left;      /* the last thread that ended; it has joined the one before it */
    pthread_cond_t gone; /* a job has ended while somebody waits, or the last thread */
    uint64_t idle_ms;
    size_t stack_bytes;
    int nice;
    uint64_t done;
    uint64_t refused;
    uint64_t waited_us[RONDO_LANE_BUCKETS];
    uint64_t ran_us[RONDO_LANE_BUCKETS];
    char name[];
};

/* ---- pool.c ---- */

/* The loop's pool, made if need be. NULL when out of memory. */
rondo__pool *rondo__pool_get(rondo_loop *loop);
/* Makes the pool of a loop that has none, with a crew of its own or, not NULL, that one. */
rondo__pool *rondo__pool_new(rondo_loop *loop, rondo__crew *crew);
/* This process was forked from the one that made the pool: its threads are not here. */
bool rondo__pool_is_elsewhere(const rondo__pool *pool);
/* From a worker: the job has ended, or come back. Returns true when the loop must be woken. The job
 * may be gone when this returns. thread_lag_ns: how long the worker had needed to wake up for it. */
bool rondo__pool_push_done(rondo__pool *pool, rondo_job *job, uint32_t thread_lag_ns);
/* From the loop thread: jobs that ended without a worker, for the pending phase. */
void rondo__pool_push_ready(rondo__pool *pool, rondo__list *jobs);

/* ---- crew.c ---- */

rondo__crew *rondo__crew_new(rondo_loop *owner);
void rondo__crew_join(rondo__crew *crew);
/* A pool goes; the last one ends the lanes. */
void rondo__crew_leave(rondo__crew *crew);
/* Takes a reference for an abandoned job, and gives it back. */
void rondo__crew_ref(rondo__crew *crew);
void rondo__crew_unref(rondo__crew *crew);
bool rondo__crew_is_elsewhere(const rondo__crew *crew);
/* The lane after `lane`; the first one after NULL. NULL: no more. */
rondo_lane *rondo__crew_next(rondo__crew *crew, rondo_lane *lane);

/* ---- lane.c ---- */

/* Aborts unless the calling thread may use the lane. */
void rondo__lane_check(const rondo_lane *lane, const char *function);
rondo_lane *rondo__lane_make(rondo__crew *crew, const char *name, unsigned threads,
                             size_t queue_bound);
/* Moves the pool's jobs that wait, all or those that may be canceled, to `ret_jobs`, done with
 * RONDO_ECANCELED. */
void rondo__lane_take_queued(rondo_lane *lane, const rondo__pool *pool, bool all,
                             rondo__list *ret_jobs);
/* The pool is being freed: asks its running jobs to hurry, and unties those that nobody needs to wait
 * for. */
void rondo__lane_hurry(rondo_lane *lane, rondo__pool *pool);
/* Waits until no thread has anything to do with the pool. */
void rondo__lane_wait(rondo_lane *lane, const rondo__pool *pool);
/* Asks the threads to end; waits for them, but not for lost ones. */
void rondo__lane_end(rondo_lane *lane);
void rondo__lane_join(rondo_lane *lane);
void rondo__lane_free(rondo_lane *lane);

/* ---- job.c ---- */

/* Aborts unless it is a job whose callback was not called, on its loop's thread. */
void rondo__job_check(const rondo_job *job, const char *function);
/* With the lane's lock held: nobody waits for a running job of this worker any more. Another thread
 * may start in its place, later. False when too many are lost already. */
bool rondo__job_lose(rondo_lane *lane, rondo__worker *worker, int code);
/* Takes it from the queue, or asks it to end with `code`; `lose`: or abandons it. */
int rondo__job_end_early(rondo_job *job, int code, bool lose);
/* From when it is submitted until it is delivered, or told of, or dropped: the loop lives for it, unless it is
 * weak, and waits for it before virtual time goes on. */
static inline void rondo__job_hold(const rondo_job *job) {
    (job->weak ? rondo__loop_hold_time : rondo__loop_hold)(job->loop);
}
static inline void rondo__job_release(const rondo_job *job) {
    (job->weak ? rondo__loop_release_time : rondo__loop_release)(job->loop);
}
/* drop(), release and the end of its extras. Loop thread, or the worker with loop NULL. */
void rondo__job_dispose(rondo_loop *loop, rondo_job *job);

/* ---- extras.c ---- */

/* Whether nobody minds that a thread uses its memory after the callback. */
bool rondo__job_may_be_lost(const rondo_job *job);
/* No timeout and no reports from now on. Loop thread. */
void rondo__extras_quiet(rondo__extras *extras);
/* Calls release and frees it. loop is NULL on a worker. */
void rondo__extras_end(rondo_loop *loop, rondo__extras *extras);
/* Tells what has been reported. */
void rondo__pool_tell_reports(rondo__pool *pool);

/* ---- worker.c: all but rondo__worker_signal() with the lane's lock held ---- */

/* Has an idle thread look at the queue, if there is one and not enough are on their way: returns the
 * one that must be signaled as soon as the lock is free, or NULL. */
rondo__worker *rondo__worker_wake(rondo_lane *lane);
/* Without the lock, since it is a system call, and whom it wakes wants the lock first of all. The
 * worker may be gone when this returns. NULL: nobody. */
void rondo__worker_signal(rondo__worker *worker);
/* Has all idle threads look at what has changed. */
void rondo__worker_wake_all(rondo_lane *lane);
/* Starts a thread if jobs wait for which none is there or on its way. Lets go of the lock while it
 * does. Returns false when the system refused. */
bool rondo__worker_start(rondo_lane *lane);

#endif
