/* SPDX-License-Identifier: MIT
 *
 * A job's way into its lane, and the ways out of it before its time: canceled, abandoned, out of
 * time. In the order of job.h.
 */
#include "threadpool/pool.h"

#include <rondo/error.h>

#include "loop/assert.h"
#include "loop/memory.h"
#include "threadpool/thread.h"

void rondo__job_check(const rondo_job *job, const char *function) {
    if (RONDO__UNLIKELY(!job || !job->deliver))
        rondo__fatal("%s: %p is no job; one is gone when its callback runs", function,
                     (const void *)job);
    rondo__loop_check(job->loop, function);
}

/* ---- in ---- */

/* Jobs that a free thread will take do not count as waiting, so that what is refused depends on the
 * jobs and not on how fast threads start. */
static bool is_full(const rondo_lane *lane) {
    unsigned free_threads = lane->limit > lane->running ? lane->limit - lane->running : 0;
    return lane->queued >= lane->bound && lane->queued - lane->bound >= free_threads;
}

static void unqueue(rondo_lane *lane, rondo_job *job) {
    RONDO_ASSERT(job->state == RONDO__JOB_QUEUED && lane->queued > 0);
    rondo__list_remove(&job->link);
    lane->queued--;
}

/* Has a thread look at the queue. Before a thread that sleeps comes to its job the loop may as well sleep. */
static rondo__worker *wake(rondo_lane *lane, const rondo__pool *pool) {
    bool all_idle = lane->idle_count == lane->threads;
    rondo__worker *worker = rondo__worker_wake(lane);
    if (!worker || worker->woken_ns == 0) return worker;
    worker->loop_lag_ns = atomic_load_explicit(&pool->loop_lag_ns, memory_order_relaxed);
    if (all_idle) rondo__loop_set_spin(pool->loop, 0);
    return worker;
}

/* Queues the job; false when there is no thread to take it, and none can be started. ret_wake: to be
 * signaled once the lock is free. */
static bool enqueue(rondo_lane *lane, rondo_job *job, rondo__worker **ret_wake) {
    job->result = RONDO_ECANCELED;
    job->state = RONDO__JOB_QUEUED;
    job->since_ns = lane->measured ? rondo__clock_ns() : 0;
    rondo__list_push_back(&lane->queue[job->priority], &job->link);
    lane->queued++;
    *ret_wake = wake(lane, job->pool);
    if (rondo__worker_start(lane) || lane->threads > 0 || job->state != RONDO__JOB_QUEUED)
        return true;
    unqueue(lane, job);
    return false;
}

int rondo__job_submit(rondo_lane *lane, rondo_job *job, bool always) {
    rondo__lane_check(lane, __func__);
    RONDO_ASSERT(job->run && job->deliver && job->state == RONDO__JOB_NEW && job->loop);
    if (!job->pool) job->pool = rondo__loop_part(job->loop, RONDO__PART_POOL);
    rondo__pool *pool = job->pool;
    RONDO_ASSERT(pool && pool->crew == lane->crew);
    if (rondo__pool_is_elsewhere(pool)) return RONDO_ENOTSUP;
    job->must_run = always;
    job->lane = lane;
    job->era = pool->era;
    job->priority = RONDO_PRIORITY_normal;
    rondo__list_init(&job->link);
    rondo__worker *wake = NULL;
    pthread_mutex_lock(&lane->lock);
    bool ok = (always || !is_full(lane)) && enqueue(lane, job, &wake);
    if (!ok) {
        job->state = RONDO__JOB_NEW;
        lane->refused++;
    }
    pthread_mutex_unlock(&lane->lock);
    rondo__worker_signal(wake);
    if (!ok) return RONDO_EAGAIN;
    rondo__job_hold(job);
    return 0;
}

/* What a job between two steps was asked to end with; 0: nothing. */
static int asked(const rondo_job *job) {
    int code = atomic_load(&((rondo_job *)(uintptr_t)job)->cancel);
    if (code == 0 && job->era != job->pool->era) code = RONDO_ECANCELED;
    return code;
}

bool rondo__job_is_over(const rondo_job *job) { return asked(job) != 0; }

/* 0, or why no step may follow. */
static int may_go_on(const rondo_job *job) {
    RONDO_ASSERT(job->steps);
    if (rondo__pool_is_elsewhere(job->pool)) return RONDO_ENOTSUP;
    return job->last ? 0 : asked(job);
}

static int requeue(rondo_job *job) {
    rondo_lane *lane = job->lane;
    rondo__worker *wake = NULL;
    pthread_mutex_lock(&lane->lock);
    bool ok = enqueue(lane, job, &wake);
    if (!ok) {
        job->state = RONDO__JOB_DONE;
        lane->refused++;
    }
    pthread_mutex_unlock(&lane->lock);
    rondo__worker_signal(wake);
    return ok ? 0 : RONDO_EAGAIN;
}

int rondo__job_again(rondo_job *job) {
    rondo__lane_check(job->lane, __func__);
    RONDO_ASSERT(job->state == RONDO__JOB_DONE);
    int error = may_go_on(job);
    if (error == 0) error = requeue(job);
    if (error < 0) return error;
    rondo__job_hold(job);
    job->pool->delivering = NULL; /* its extras go on with it */
    return 0;
}

int rondo__job_park(rondo_job *job) {
    rondo__lane_check(job->lane, __func__);
    RONDO_ASSERT(job->state == RONDO__JOB_DONE);
    int error = may_go_on(job);
    if (error < 0) return error;
    job->state = RONDO__JOB_PARKED;
    job->result = RONDO_ECANCELED;
    rondo__list_push_back(&job->pool->parked, &job->link);
    rondo__job_hold(job);
    job->pool->delivering = NULL;
    return 0;
}

static void unpark(rondo_job *job) {
    rondo__list_remove(&job->link);
    job->state = RONDO__JOB_DONE;
}

void rondo__job_unpark(rondo_job *job) {
    RONDO_ASSERT(job->state == RONDO__JOB_PARKED);
    unpark(job);
    int error = may_go_on(job);
    if (error == 0) error = requeue(job);
    if (error == 0) return;
    rondo__list jobs;
    rondo__list_init(&jobs);
    job->result = error;
    rondo__list_push_back(&jobs, &job->link);
    rondo__pool_push_ready(job->pool, &jobs);
}

int rondo_job_set_priority(rondo_job *job, rondo_priority priority) {
    rondo__job_check(job, __func__);
    rondo_lane *lane = job->lane;
    if ((unsigned)priority > RONDO_PRIORITY_high) return RONDO_EINVAL;
    if (!lane) return RONDO_ENOENT;
    if (rondo__pool_is_elsewhere(job->pool)) return RONDO_ENOTSUP;
    int result = 0;
    pthread_mutex_lock(&lane->lock);
    if (job->state == RONDO__JOB_QUEUED && job->priority != priority) {
        rondo__list_remove(&job->link);
        rondo__list_push_back(&lane->queue[priority], &job->link);
    } else if (job->state == RONDO__JOB_RUNNING && !job->steps) {
        result = RONDO_EBUSY;
    } else if (job->state == RONDO__JOB_ABANDONED ||
               (job->state == RONDO__JOB_DONE && !job->steps)) {
        result = RONDO_ENOENT;
    }
    if (result == 0) job->priority = (uint8_t)priority;
    pthread_mutex_unlock(&lane->lock);
    return result;
}

/* ---- out ---- */

/* What it is asked first is what it ends with. */
static void ask(rondo_job *job, int code) {
    int nothing = 0;
    atomic_compare_exchange_strong(&job->cancel, &nothing, code);
}

bool rondo__job_lose(rondo_lane *lane, rondo__worker *worker, int code) {
    rondo_job *job = worker->job;
    RONDO_ASSERT(job->state == RONDO__JOB_RUNNING && lane->running > 0 && lane->threads > 0);
    if (lane->lost_count == RONDO__LOST_MAX) return false;
    ask(job, code);
    job->state = RONDO__JOB_ABANDONED;
    job->abandoned = true;
    rondo__list_remove(&worker->link);
    rondo__list_push_back(&lane->lost, &worker->link);
    worker->pool = NULL;
    lane->lost_count++;
    lane->running--;
    lane->threads--;
    lane->done++;
    rondo__crew_ref(lane->crew);
    return true;
}

static rondo__worker *worker_of(rondo_lane *lane, const rondo_job *job) {
    rondo__list *link = lane->busy.next;
    while (RONDO__OF(link, rondo__worker, link)->job != job) {
        link = link->next;
        RONDO_ASSERT(link != &lane->busy);
    }
    return RONDO__OF(link, rondo__worker, link);
}

/* With the lane's lock held. What rondo__job_end_early() returns; what ended is put on `ended`. */
static int end_locked(rondo_lane *lane, rondo_job *job, int code, bool lose, rondo__list *ended) {
    switch (job->state) {
    case RONDO__JOB_QUEUED:
        if (job->last) return RONDO_ENOENT; /* the last step of one that has ended */
        unqueue(lane, job);
        ask(job, code);
        job->state = RONDO__JOB_DONE;
        job->result = code;
        lane->done++;
        rondo__list_push_back(ended, &job->link);
        return 0;
    case RONDO__JOB_PARKED:
        unpark(job);
        ask(job, code);
        job->result = code;
        rondo__list_push_back(ended, &job->link);
        return 0;
    case RONDO__JOB_RUNNING:
        if (!lose) {
            ask(job, code);
            return RONDO_EBUSY;
        }
        if (!rondo__job_lose(lane, worker_of(lane, job), code)) return RONDO_EBUSY;
        rondo__list_push_back(ended, &job->link);
        return 0;
    case RONDO__JOB_DONE:
        /* One of the steps has ended: the last one? */
        if (!job->steps || atomic_load(&job->cancel) != 0) return RONDO_ENOENT;
        ask(job, code);
        return lose ? 0 : RONDO_EBUSY;
    default: return RONDO_ENOENT;
    }
}

int rondo__job_end_early(rondo_job *job, int code, bool lose) {
    rondo_lane *lane = job->lane;
    rondo__list ended;
    if (!lane) return RONDO_ENOENT; /* done without a worker */
    if (rondo__pool_is_elsewhere(job->pool)) return RONDO_ENOTSUP;
    rondo__list_init(&ended);
    pthread_mutex_lock(&lane->lock);
    int result = end_locked(lane, job, code, lose, &ended);
    pthread_mutex_unlock(&lane->lock);
    rondo__extras *extras = atomic_load_explicit(&job->extras, memory_order_relaxed);
    if (extras && job->abandoned) rondo__extras_quiet(extras); /* its timeout and progress end */
    rondo__pool_push_ready(job->pool, &ended);
    return result;
}

int rondo_job_cancel(rondo_job *job) {
    rondo__job_check(job, __func__);
    return rondo__job_end_early(job, RONDO_ECANCELED, false);
}

int rondo_job_abandon(rondo_job *job) {
    rondo__job_check(job, __func__);
    if (!rondo__job_may_be_lost(job)) return RONDO_EINVAL;
    return rondo__job_end_early(job, RONDO_ECANCELED, true);
}

void rondo__job_dispose(rondo_loop *loop, rondo_job *job) {
    rondo__extras *extras = atomic_load(&job->extras);
    if (job->drop) {
        job->drop(job);
    } else {
        rondo__free(job);
    }
    if (extras) rondo__extras_end(loop, extras);
}
