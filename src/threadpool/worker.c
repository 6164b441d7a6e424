/* SPDX-License-Identifier: MIT
 *
 * The threads of a lane: how they are started, wait, work and retire.
 *
 * As long as jobs wait there is, for each of them, a thread that is idle, on its way or not allowed
 * any more (lane->limit). Of the idle ones at most WAKING_MAX are on their way: each takes a job and,
 * if more wait, wakes the next. So a burst of small jobs costs a wake-up or two, and a burst of long
 * ones reaches all threads a few microseconds later; decision record 0006 has the figures. The thread
 * that fell idle last is woken first: its caches are warm, and the others get to retire.
 *
 * Putting a thread to sleep and waking it takes many times as long as a small job. So a thread that has
 * fallen idle first spins, for lane->spin_ns at most, one of a lane at a time, and only while that pays:
 * when the last job came within that time. A spin in vain ends it, until a job comes as soon to one that
 * sleeps. So a lane that is asked now and then never spins, and a burst costs one spin at its end. The
 * loop does the same when it waits for a job that may end soon: watch_next() in pool.c.
 */
#include "threadpool/pool.h"

#include <rondo/error.h>

#include <sched.h>
#include <stdio.h>

#include "loop/assert.h"
#include "threadpool/thread.h"

/* One alone would have to wake the second one, which takes longer than a small job; from three on they
 * get into each other's way. */
#define WAKING_MAX 2

static rondo__worker *take_idle(rondo_lane *lane) {
    rondo__list *link = rondo__list_pop_front(&lane->idle);
    rondo__worker *worker = RONDO__OF(link, rondo__worker, link);
    lane->idle_count--;
    lane->waking++;
    worker->woken = true;
    worker->woken_ns = lane->spinning ? 0 : rondo__clock_ns();
    worker->idle_ns = lane->idle_ns;
    worker->loop_lag_ns = 0;
    atomic_fetch_add(&worker->signals, 1);
    return worker;
}

rondo__worker *rondo__worker_wake(rondo_lane *lane) {
    if (lane->waking >= WAKING_MAX || lane->waking >= lane->queued) return NULL;
    return lane->idle_count > 0 ? take_idle(lane) : NULL;
}

void rondo__worker_signal(rondo__worker *worker) {
    if (!worker) return;
    atomic_store_explicit(&worker->poked, true, memory_order_release);
    pthread_cond_signal(&worker->wake);    /* no system call when it spins */
    atomic_fetch_sub(&worker->signals, 1); /* from here on it may be gone */
}

void rondo__worker_wake_all(rondo_lane *lane) {
    while (lane->idle_count > 0) rondo__worker_signal(take_idle(lane)); /* rare */
}

/* The worker is on its thread's stack: who signals it may still be at it when the thread, awake for
 * another reason, has found nothing to do and ends. */
static void wait_for_signals(rondo__worker *worker) {
    while (atomic_load(&worker->signals) > 0) sched_yield();
}

/* Looks for a while whether somebody says that there is work; lets go of the lock meanwhile. */
static void spin(rondo_lane *lane, rondo__worker *worker, uint64_t until_ns) {
    lane->spinning = true;
    pthread_mutex_unlock(&lane->lock);
    rondo__spin(&worker->poked, until_ns);
    pthread_mutex_lock(&lane->lock);
    lane->spinning = false;
    rondo__spin_ended(&lane->spins, !worker->woken);
}

/* Into lane->idle: first, but behind one that spins, which is the cheapest to wake. */
static void fall_idle(rondo_lane *lane, rondo__worker *worker) {
    worker->woken = false;
    atomic_store_explicit(&worker->poked, false, memory_order_relaxed);
    rondo__list_push_front(lane->spinning ? lane->idle.next : &lane->idle, &worker->link);
    lane->idle_count++;
}

/* It has slept, and was woken. */
static void note_wake_up(rondo_lane *lane, rondo__worker *worker) {
    uint64_t spin_ns = atomic_load_explicit(&lane->spin_ns, memory_order_relaxed);
    lane->brisk =
        rondo__spin_enough(spin_ns, worker->idle_ns, worker->woken_ns, worker->loop_lag_ns);
    worker->lag_ns = rondo__spin_lag_ns(worker->woken_ns, rondo__clock_ns());
}

static uint64_t later(uint64_t a_ns, uint64_t b_ns) { return a_ns > b_ns ? a_ns : b_ns; }

/* Returns false when the thread has been idle for so long that it should end. */
static bool wait_for_work(rondo_lane *lane, rondo__worker *worker) {
    uint64_t since_ns = rondo__clock_ns(), spin_ns = atomic_load(&lane->spin_ns);
    uint64_t deadline_ns = rondo__deadline_after(since_ns, lane->idle_ms);
    bool in_time = true;
    fall_idle(lane, worker);
    lane->idle_ns = since_ns;
    if (!lane->spinning) {
        if (lane->brisk && spin_ns > 0 && rondo__spin_may(&lane->spins))
            spin(lane, worker, later(since_ns, lane->loop_awake_ns) + spin_ns);
        lane->brisk = worker->woken;
    }
    while (!worker->woken && in_time)
        in_time = rondo__cond_wait_until(&worker->wake, &lane->lock, deadline_ns);
    if (worker->woken) {
        if (worker->woken_ns) note_wake_up(lane, worker);
        lane->waking--;
        return true;
    }
    rondo__list_remove(&worker->link);
    lane->idle_count--;
    return lane->queued > 0;
}

static void count(uint64_t *buckets, uint64_t from_ns, uint64_t to_ns) {
    uint64_t us = to_ns > from_ns ? (to_ns - from_ns) / 1000 : 0;
    unsigned bucket = us == 0 ? 0 : 64 - (unsigned)__builtin_clzll(us);
    buckets[bucket < RONDO_LANE_BUCKETS ? bucket : RONDO_LANE_BUCKETS - 1]++;
}

static void begin(rondo_lane *lane, rondo__worker *worker, rondo_job *job) {
    RONDO_ASSERT(lane->queued > 0 && job->state == RONDO__JOB_QUEUED);
    lane->queued--;
    job->state = RONDO__JOB_RUNNING;
    worker->job = job;
    worker->pool = job->pool;
    worker->since_ns = job->since_ns ? rondo__clock_ns() : 0;
    if (worker->since_ns) count(lane->waited_us, job->since_ns, worker->since_ns);
    rondo__list_push_back(&lane->busy, &worker->link);
    lane->running++;
}

static rondo__list *first_queued(rondo_lane *lane) {
    for (int i = RONDO_PRIORITY_high; i > 0; i--)
        if (!rondo__list_empty(&lane->queue[i])) return rondo__list_pop_front(&lane->queue[i]);
    return rondo__list_pop_front(&lane->queue[0]);
}

/* The next job to run, or NULL when the thread should end. */
static rondo_job *take_job(rondo_lane *lane, rondo__worker *worker) {
    while (!lane->ending && lane->threads <= lane->limit) {
        rondo__list *link = first_queued(lane);
        if (link) {
            begin(lane, worker, RONDO__OF(link, rondo_job, link));
            return worker->job;
        }
        if (!wait_for_work(lane, worker)) break;
    }
    return NULL;
}

/* The loop that was woken just now can't submit the next job before it is awake. */
static void be_patient(rondo_lane *lane, const rondo__pool *pool) {
    uint64_t spin_ns = atomic_load_explicit(&lane->spin_ns, memory_order_relaxed);
    uint32_t lag_ns = atomic_load_explicit(&pool->loop_lag_ns, memory_order_relaxed);
    lane->loop_awake_ns = rondo__clock_ns() + rondo__spin_patience_ns(spin_ns, lag_ns);
}

/* Wakes the loop, if need be; the worker is in lane->busy, so that the loop stays. */
static void push_done(rondo_lane *lane, rondo__worker *worker, rondo_job *job) {
    rondo__pool *pool = job->pool;
    job->state = RONDO__JOB_DONE;
    worker->job = NULL;
    uint32_t lag_ns = worker->lag_ns; /* the next job finds it awake */
    worker->lag_ns = 0;
    if (rondo__pool_push_done(pool, job, lag_ns)) {
        /* Waking may take a system call, so without the lock; but a job that the loop submits
         * meanwhile is for this thread, which is on its way to the queue. */
        lane->waking++;
        pthread_mutex_unlock(&lane->lock);
        bool slept = rondo__wake(pool->loop);
        pthread_mutex_lock(&lane->lock);
        if (slept) be_patient(lane, pool);
        lane->waking--;
    }
    worker->pool = NULL;
    rondo__list_remove(&worker->link);
    if (lane->waiters > 0) pthread_cond_broadcast(&lane->gone);
}

static void finish_job(rondo_lane *lane, rondo__worker *worker, int64_t result) {
    rondo_job *job = worker->job;
    RONDO_ASSERT(job->state == RONDO__JOB_RUNNING && lane->running > 0);
    lane->running--;
    lane->done++;
    if (worker->since_ns) count(lane->ran_us, worker->since_ns, rondo__clock_ns());
    int asked = atomic_load(&job->cancel);
    job->result = asked != 0 && !job->keeps_result ? asked : result;
    push_done(lane, worker, job);
}

/* Comes back from a job that was abandoned. Returns false when the lane has ended meanwhile: it may
 * be freed then, with this thread's reference. */
static bool come_back(rondo_lane *lane, rondo__worker *worker, int64_t result) {
    rondo_job *job = worker->job;
    rondo__crew *crew = lane->crew;
    RONDO_ASSERT(job->state == RONDO__JOB_ABANDONED && lane->lost_count > 0);
    job->result = result;
    rondo__list_remove(&worker->link);
    if (job->pool) { /* its loop ends it */
        lane->lost_count--;
        lane->threads++;
        worker->pool = job->pool;
        rondo__list_push_back(&lane->busy, &worker->link);
        push_done(lane, worker, job);
        rondo__crew_unref(crew);
        return true;
    }
    job->state = RONDO__JOB_DONE;
    worker->job = NULL;
    pthread_mutex_unlock(&lane->lock);
    rondo__job_dispose(NULL, job);
    pthread_mutex_lock(&lane->lock);
    lane->lost_count--;
    bool ended = lane->ending;
    if (ended) {
        pthread_mutex_unlock(&lane->lock);
    } else {
        lane->threads++;
    }
    rondo__crew_unref(crew);
    return !ended;
}

/* The thread ends. Each one joins the one that ended before it, so that at most one per lane waits
 * to be joined, and nobody else has to keep book of them. */
static void leave(rondo_lane *lane) {
    bool has_before = lane->has_left;
    pthread_t before = lane->left;
    lane->has_left = true;
    lane->left = pthread_self();
    lane->threads--;
    /* With the lock: without it the lane may be gone, and the other worker with it. */
    if (lane->queued > 0) rondo__worker_signal(rondo__worker_wake(lane));
    if (lane->waiters > 0 && lane->threads == 0) pthread_cond_broadcast(&lane->gone);
    pthread_mutex_unlock(&lane->lock); /* the lane may be freed from here on */
    if (has_before) pthread_join(before, NULL);
}

/* Returns false when nobody waits for the end of this thread. */
static bool work(rondo_lane *lane, rondo__worker *worker) {
    pthread_mutex_lock(&lane->lock);
    lane->waking--;
    for (rondo_job *job; (job = take_job(lane, worker));) {
        rondo__worker *next = lane->queued > 0 ? rondo__worker_wake(lane) : NULL;
        pthread_mutex_unlock(&lane->lock);
        rondo__worker_signal(next);
        int64_t result = job->run(job);
        pthread_mutex_lock(&lane->lock);
        if (RONDO__UNLIKELY(job->state == RONDO__JOB_ABANDONED)) {
            if (!come_back(lane, worker, result)) return false;
        } else {
            finish_job(lane, worker, result);
        }
    }
    leave(lane);
    return true;
}

static void *worker_main(void *arg) {
    rondo_lane *lane = arg;
    rondo__worker worker = {.woken = false};
    char name[32];
    snprintf(name, sizeof name, "rondo-%.20s", lane->name);
    rondo__thread_set_name(name);
    pthread_mutex_lock(&lane->lock);
    int nice = lane->nice;
    bool nice_set = lane->nice_set;
    pthread_mutex_unlock(&lane->lock);
    if (nice_set) rondo__thread_set_nice(nice);
    rondo__list_init(&worker.link);
    bool ok = rondo__cond_init(&worker.wake);
    RONDO_ASSERT(ok); /* it takes no resources, on Linux */
    bool waited_for = work(lane, &worker);
    wait_for_signals(&worker);
    pthread_cond_destroy(&worker.wake);
    if (!waited_for) pthread_detach(pthread_self());
    return NULL;
}

bool rondo__worker_start(rondo_lane *lane) {
    if (lane->queued <= lane->idle_count + lane->waking || lane->threads >= lane->limit)
        return true;
    size_t stack_bytes = lane->stack_bytes;
    lane->threads++;
    lane->waking++;
    pthread_mutex_unlock(&lane->lock);
    pthread_t thread;
    bool ok = rondo__thread_start(&thread, stack_bytes, worker_main, lane);
    pthread_mutex_lock(&lane->lock);
    if (!ok) {
        lane->threads--;
        lane->waking--;
    }
    return ok;
}
