/* SPDX-License-Identifier: MIT
 *
 * The pool of a loop: its life, the way back of completions, and the memory of requests.
 *
 * Completions are delivered in the order in which they ended, RONDO_BUDGET_completions of them per
 * turn at most. What workers have finished is delivered in the poll phase; what is over the budget,
 * or ended without a worker (canceled, or done at once by a fast path), waits in `ready` for the
 * next pending phase. While anything waits there, what comes later queues behind it.
 */
#include "threadpool/pool.h"

#include <rondo/error.h>

#include "loop/assert.h"
#include "loop/memory.h"
#include "threadpool/thread.h"

bool rondo__pool_is_elsewhere(const rondo__pool *pool) {
    return rondo__crew_is_elsewhere(pool->crew);
}

/* ---- completions ---- */

bool rondo__pool_push_done(rondo__pool *pool, rondo_job *job, uint32_t thread_lag_ns) {
    rondo_job *newest = atomic_load(&pool->done);
    if (!newest) {
        atomic_store_explicit(&pool->done_ns, rondo__clock_ns(), memory_order_relaxed);
        atomic_store_explicit(&pool->thread_lag_ns, thread_lag_ns, memory_order_relaxed);
    }
    do {
        job->older = newest;
    } while (!atomic_compare_exchange_weak(&pool->done, &newest, job));
    /* Whoever pushed on the empty stack wakes the loop for all. */
    return newest == NULL;
}

/* Takes the whole stack at once and turns it around. */
static void take_done(rondo__pool *pool, rondo__list *ret_jobs) {
    rondo_job *job = atomic_exchange(&pool->done, NULL), *older;
    rondo__list taken;
    rondo__list_init(&taken);
    for (; job; job = older) {
        older = job->older;
        if (job->abandoned && job->deliver) {
            job->returned = true; /* before its callback: it is in `ready` */
        } else {
            rondo__list_push_front(&taken, &job->link);
        }
    }
    rondo__list_splice_back(ret_jobs, &taken);
}

void rondo__pool_push_ready(rondo__pool *pool, rondo__list *jobs) {
    if (rondo__list_empty(jobs)) return;
    rondo__list_splice_back(&pool->ready, jobs);
    rondo__defer(pool->loop, &pool->more);
}

static void refill_budget(rondo__pool *pool) {
    uint64_t turn = rondo_loop_turn(pool->loop);
    if (pool->turn == turn) return;
    pool->turn = turn;
    pool->budget = rondo_loop_budget(pool->loop, RONDO_BUDGET_completions);
}

/* A thread in place of one that is stuck, for the jobs that wait. Not when the job is abandoned: who
 * abandons one often cancels those behind it right after. */
static void replace_worker(rondo_lane *lane) {
    pthread_mutex_lock(&lane->lock);
    (void)rondo__worker_start(lane); /* if it can't be had, the others go on alone */
    pthread_mutex_unlock(&lane->lock);
}

/* The callback of an abandoned job, or its end when the thread is back after that. */
static void deliver_abandoned(rondo__pool *pool, rondo_job *job) {
    if (job->deliver) {
        job->deliver = NULL; /* canceling it from now on is found out */
        rondo__job_release(job);
        replace_worker(job->lane);
        job->tell(pool->loop, job, atomic_load(&job->cancel));
        if (!job->returned) return;
    }
    rondo__job_dispose(pool->loop, job);
}

/* With a timeout, progress or release, which end after the callback, unless the job goes on. */
static void deliver_with_extras(rondo__pool *pool, rondo_job *job, rondo__extras *extras) {
    pool->delivering = extras;
    job->deliver(pool->loop, job, job->result);
    if (pool->delivering) rondo__extras_end(pool->loop, extras);
    pool->delivering = NULL;
}

static void deliver_job(rondo__pool *pool, rondo_job *job) {
    if (RONDO__UNLIKELY(job->abandoned)) {
        deliver_abandoned(pool, job);
        return;
    }
    RONDO_ASSERT(job->state == RONDO__JOB_DONE);
    rondo__job_release(job);
    rondo__extras *extras = atomic_load_explicit(&job->extras, memory_order_relaxed);
    if (RONDO__UNLIKELY(extras != NULL)) {
        deliver_with_extras(pool, job, extras);
    } else {
        job->deliver(pool->loop, job, job->result);
    }
}

/* Calls back for the jobs of `batch`, up to the budget; the rest goes to the front of `ready`. */
static void deliver(rondo__pool *pool, rondo__list *batch) {
    refill_budget(pool);
    while (pool->budget > 0 && !rondo__list_empty(batch)) {
        pool->budget--;
        deliver_job(pool, RONDO__OF(rondo__list_pop_front(batch), rondo_job, link));
    }
    rondo__list_splice_back(batch, &pool->ready); /* added by the callbacks just now */
    rondo__pool_push_ready(pool, batch);
}

/* Whether the loop should spin before it sleeps the next time: the first of these jobs ended so soon after
 * it had begun to wait, or would have, had its thread been awake. */
static void watch_next(rondo__pool *pool, const rondo__list *batch) {
    if (rondo__list_empty(batch)) return;
    const rondo_lane *lane = RONDO__OF(batch->next, rondo_job, link)->lane;
    uint32_t spin_ns = atomic_load_explicit(&lane->spin_ns, memory_order_relaxed);
    uint64_t done_ns = atomic_load_explicit(&pool->done_ns, memory_order_relaxed);
    uint32_t thread_lag_ns = atomic_load_explicit(&pool->thread_lag_ns, memory_order_relaxed);
    uint64_t since_ns = rondo__loop_waits_since_ns(pool->loop);
    uint32_t lag_ns = 0;
    bool enough = rondo__spin_enough(spin_ns, since_ns, done_ns, thread_lag_ns);
    rondo__loop_set_spin(pool->loop, enough ? spin_ns : 0);
    if (done_ns > since_ns)
        lag_ns = rondo__spin_lag_ns(done_ns, rondo__loop_waited_until_ns(pool->loop));
    atomic_store_explicit(&pool->loop_lag_ns, lag_ns, memory_order_relaxed);
}

static void on_done(rondo_loop *loop, rondo__source *source) {
    rondo__pool *pool = RONDO__OF(source, rondo__pool, source);
    rondo__list batch;
    (void)loop;
    rondo__list_init(&batch);
    take_done(pool, &batch);
    watch_next(pool, &batch);
    rondo__pool_tell_reports(pool); /* of jobs that have ended, too: before they are delivered */
    if (rondo__list_empty(&pool->ready)) {
        deliver(pool, &batch);
    } else {
        rondo__pool_push_ready(pool, &batch);
    }
}

static void on_pending(rondo_loop *loop, rondo__task *task) {
    rondo__pool *pool = RONDO__OF(task, rondo__pool, more);
    rondo__list batch; /* what the callbacks add waits for the next turn */
    (void)loop;
    rondo__list_init(&batch);
    rondo__list_splice_back(&batch, &pool->ready);
    deliver(pool, &batch);
}

void rondo__job_complete(rondo_loop *loop, rondo_job *job, int64_t result) {
    rondo__pool *pool = rondo__loop_part(loop, RONDO__PART_POOL);
    rondo__list jobs;
    RONDO_ASSERT(pool && job->deliver && job->state == RONDO__JOB_NEW && !job->weak);
    job->state = RONDO__JOB_DONE;
    job->lane = NULL;
    job->loop = loop;
    job->pool = pool;
    job->result = result;
    rondo__list_init(&jobs);
    rondo__list_push_back(&jobs, &job->link);
    rondo__loop_hold(loop);
    rondo__pool_push_ready(pool, &jobs);
}

/* ---- requests ---- */

int rondo__request_new(rondo_loop *loop, size_t size, rondo_job **ret_job) {
    rondo__pool *pool = rondo__pool_get(loop);
    if (!pool) return RONDO_ENOMEM;
    if (rondo__pool_is_elsewhere(pool)) return RONDO_ENOTSUP;
    bool recycled = size <= RONDO__REQUEST_BYTES;
    rondo_job *job = recycled ? pool->free_requests : NULL;
    if (job) {
        pool->free_requests = job->older;
        pool->free_count--;
    } else {
        job = rondo__alloc(recycled ? RONDO__REQUEST_BYTES : size);
        if (!job) return RONDO_ENOMEM;
    }
    *job = (rondo_job){.loop = loop, .pool = pool, .recycled = recycled, .state = RONDO__JOB_NEW};
    *ret_job = job;
    return 0;
}

void rondo__request_free(rondo_job *job) {
    rondo__pool *pool = job->pool; /* NULL: its loop is gone */
    RONDO_ASSERT(job->state == RONDO__JOB_NEW || job->state == RONDO__JOB_DONE);
    job->deliver = NULL; /* canceling it from now on is found out */
    if (!job->recycled || !pool || pool->free_count >= RONDO__REQUESTS_KEPT) {
        rondo__free(job);
        return;
    }
    job->older = pool->free_requests;
    pool->free_requests = job;
    pool->free_count++;
}

unsigned *rondo__pool_at_position(rondo_loop *loop) {
    rondo__pool *pool = rondo__loop_part(loop, RONDO__PART_POOL);
    RONDO_ASSERT(pool);
    return &pool->at_position;
}

/* ---- life ---- */

static void drop_jobs(rondo__pool *pool, rondo__list *jobs) {
    for (rondo__list *link; (link = rondo__list_pop_front(jobs));) {
        rondo_job *job = RONDO__OF(link, rondo_job, link);
        if (job->deliver) rondo__job_release(job);
        rondo__job_dispose(pool->loop, job);
    }
}

/* They end with what they were parked with: RONDO_ECANCELED. */
static void take_parked(rondo__pool *pool, rondo__list *ret_jobs) {
    for (rondo__list *link; (link = rondo__list_pop_front(&pool->parked));) {
        RONDO__OF(link, rondo_job, link)->state = RONDO__JOB_DONE;
        rondo__list_push_back(ret_jobs, link);
    }
}

static void on_close_all(rondo_loop *loop, rondo__at_free *hook) {
    rondo__pool *pool = RONDO__OF(hook, rondo__pool, at_close_all);
    rondo__list jobs;
    (void)loop;
    if (rondo__pool_is_elsewhere(pool)) return;
    pool->era++;
    rondo__list_init(&jobs);
    take_parked(pool, &jobs);
    for (rondo_lane *lane = NULL; (lane = rondo__crew_next(pool->crew, lane));)
        rondo__lane_take_queued(lane, pool, false, &jobs);
    rondo__pool_push_ready(pool, &jobs);
}

static void free_memory(rondo__pool *pool) {
    for (rondo_job *job; (job = pool->free_requests);) {
        pool->free_requests = job->older;
        rondo__free(job);
    }
    for (rondo__extras *extras; (extras = pool->free_extras);) {
        pool->free_extras = extras->older;
        rondo__free(extras);
    }
    rondo__free(pool);
}

static void on_loop_free(rondo_loop *loop, rondo__at_free *hook) {
    rondo__pool *pool = RONDO__OF(hook, rondo__pool, at_free);
    rondo__list jobs;
    rondo__source_remove(&pool->source);
    rondo__task_cancel(&pool->more);
    /* A worker that does not exist here may have held a lock when the process forked; what it was
     * at is in pieces. Nothing of it can be given back. */
    if (rondo__pool_is_elsewhere(pool)) return;
    rondo__list_init(&jobs);
    take_parked(pool, &jobs);
    /* First, or a worker whose job ends in a hurry takes the next. */
    for (rondo_lane *lane = NULL; (lane = rondo__crew_next(pool->crew, lane));)
        rondo__lane_take_queued(lane, pool, true, &jobs);
    for (rondo_lane *lane = NULL; (lane = rondo__crew_next(pool->crew, lane));)
        rondo__lane_hurry(lane, pool); /* those that nobody waits for leave `ready` */
    rondo__list_splice_back(&jobs, &pool->ready);
    for (rondo_lane *lane = NULL; (lane = rondo__crew_next(pool->crew, lane));)
        rondo__lane_wait(lane, pool);
    rondo__list_splice_back(&jobs, &pool->ready);
    take_done(pool, &jobs);
    drop_jobs(pool, &jobs);
    rondo__loop_set_part(loop, RONDO__PART_POOL, NULL);
    rondo__crew_leave(pool->crew);
    free_memory(pool);
}

rondo__pool *rondo__pool_new(rondo_loop *loop, rondo__crew *crew) {
    rondo__pool *pool = rondo__zalloc(sizeof *pool);
    if (!pool) return NULL;
    pool->crew = crew ? crew : rondo__crew_new(loop);
    if (!pool->crew) {
        rondo__free(pool);
        return NULL;
    }
    if (crew) rondo__crew_join(crew);
    pool->loop = loop;
    rondo__list_init(&pool->ready);
    rondo__list_init(&pool->parked);
    rondo__list_init(&pool->reports);
    rondo__task_init(&pool->more, on_pending);
    rondo__source_add(loop, &pool->source, on_done);
    rondo__at_loop_free(loop, &pool->at_free, on_loop_free);
    rondo__at_close_all(loop, &pool->at_close_all, on_close_all);
    rondo__loop_set_part(loop, RONDO__PART_POOL, pool);
    return pool;
}

rondo__pool *rondo__pool_get(rondo_loop *loop) {
    rondo__loop_check(loop, "the pool");
    rondo__pool *pool = rondo__loop_part(loop, RONDO__PART_POOL);
    return pool ? pool : rondo__pool_new(loop, NULL);
}
