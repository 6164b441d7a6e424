/* SPDX-License-Identifier: MIT
 *
 * The threads of a lane: how they are started, wait, work and retire.
 *
 * As long as jobs wait there is, for each of them, a thread that is idle, on its way or not allowed
 * any more (lane->limit). Of the idle ones at most one is on its way: it takes a job and, if more
 * wait, wakes the next. So a burst of small jobs costs one wake-up and is done by one thread, and a
 * burst of long ones reaches all threads a few microseconds later. The thread that fell idle last
 * is woken first: its caches are warm, and the others get to retire.
 */
#include "threadpool/pool.h"

#include <rondo/error.h>

#include <stdio.h>

#include "loop/assert.h"
#include "threadpool/thread.h"

static void wake_first(rondo_lane *lane) {
    rondo__list *link = rondo__list_pop_front(&lane->idle);
    rondo__worker *worker = RONDO__OF(link, rondo__worker, link);
    lane->idle_count--;
    lane->waking++;
    worker->woken = true;
    /* Under the lock, since `worker` is on the stack of a thread that may end right after. */
    pthread_cond_signal(&worker->wake);
}

void rondo__worker_wake(rondo_lane *lane) {
    if (lane->waking == 0 && lane->idle_count > 0) wake_first(lane);
}

void rondo__worker_wake_all(rondo_lane *lane) {
    while (lane->idle_count > 0) wake_first(lane);
}

/* Returns false when the thread has been idle for so long that it should end. */
static bool wait_for_work(rondo_lane *lane, rondo__worker *worker) {
    uint64_t deadline_ns = rondo__deadline_ns(lane->idle_ms);
    bool in_time = true;
    worker->woken = false;
    rondo__list_push_front(&lane->idle, &worker->link);
    lane->idle_count++;
    while (!worker->woken && in_time)
        in_time = rondo__cond_wait_until(&worker->wake, &lane->lock, deadline_ns);
    if (worker->woken) {
        lane->waking--;
        return true;
    }
    rondo__list_remove(&worker->link);
    lane->idle_count--;
    return lane->queued > 0;
}

/* The next job to run, or NULL when the thread should end. */
static rondo_job *take_job(rondo_lane *lane, rondo__worker *worker) {
    while (!lane->ending && lane->threads <= lane->limit) {
        rondo__list *link = rondo__list_pop_front(&lane->queue);
        if (link) {
            rondo_job *job = RONDO__OF(link, rondo_job, link);
            RONDO_ASSERT(lane->queued > 0 && job->state == RONDO__JOB_QUEUED);
            lane->queued--;
            job->state = RONDO__JOB_RUNNING;
            rondo__list_push_back(&lane->active, &job->link);
            lane->running++;
            if (lane->queued > 0) rondo__worker_wake(lane);
            return job;
        }
        if (!wait_for_work(lane, worker)) break;
    }
    return NULL;
}

static void finish_job(rondo_lane *lane, rondo_job *job, int64_t result) {
    RONDO_ASSERT(job->state == RONDO__JOB_RUNNING && lane->running > 0);
    rondo__list_remove(&job->link);
    lane->running--;
    lane->done++;
    int asked = atomic_load(&job->cancel);
    job->result = asked != 0 && !job->keeps_result ? asked : result;
    job->state = RONDO__JOB_DONE;
    if (!rondo__pool_push_done(lane->pool, job)) return;
    /* Waking may take a system call, so without the lock; but a job that the loop submits meanwhile
     * is for this thread, which is on its way to the queue. */
    lane->waking++;
    pthread_mutex_unlock(&lane->lock);
    rondo__wake(lane->pool->loop);
    pthread_mutex_lock(&lane->lock);
    lane->waking--;
}

/* The thread ends. Each one joins the one that ended before it, so that at most one per lane waits
 * to be joined, and nobody else has to keep book of them. */
static void leave(rondo_lane *lane) {
    bool has_before = lane->has_left;
    pthread_t before = lane->left;
    lane->has_left = true;
    lane->left = pthread_self();
    lane->threads--;
    if (lane->queued > 0) rondo__worker_wake(lane);
    if (lane->ending && lane->threads == 0) pthread_cond_signal(&lane->gone);
    pthread_mutex_unlock(&lane->lock); /* the lane may be freed from here on */
    if (has_before) pthread_join(before, NULL);
}

static void *worker_main(void *arg) {
    rondo_lane *lane = arg;
    rondo__worker worker = {.woken = false};
    char name[32];
    snprintf(name, sizeof name, "rondo-%.20s", lane->name);
    rondo__thread_set_name(name);
    rondo__list_init(&worker.link);
    bool ok = rondo__cond_init(&worker.wake);
    RONDO_ASSERT(ok); /* it takes no resources, on Linux */
    pthread_mutex_lock(&lane->lock);
    lane->waking--;
    for (rondo_job *job; (job = take_job(lane, &worker));) {
        pthread_mutex_unlock(&lane->lock);
        int64_t result = job->run(job);
        pthread_mutex_lock(&lane->lock);
        finish_job(lane, job, result);
    }
    leave(lane);
    pthread_cond_destroy(&worker.wake);
    return NULL;
}

bool rondo__worker_start(rondo_lane *lane) {
    if (lane->queued <= lane->idle_count + lane->waking || lane->threads >= lane->limit)
        return true;
    lane->threads++;
    lane->waking++;
    pthread_mutex_unlock(&lane->lock);
    pthread_t thread;
    bool ok = rondo__thread_start(&thread, worker_main, lane);
    pthread_mutex_lock(&lane->lock);
    if (!ok) {
        lane->threads--;
        lane->waking--;
    }
    return ok;
}
