/* SPDX-License-Identifier: MIT
 *
 * Lanes: bounded queues with threads of their own; their life, settings and figures. Jobs come in by
 * job.c; what the threads do with them is in worker.c.
 */
#include "threadpool/pool.h"

#include <rondo/error.h>

#include <string.h>

#include "loop/assert.h"
#include "loop/memory.h"
#include "threadpool/thread.h"

#define IDLE_MS 10000
#define SPIN_US 20
#define SPIN_US_MOST 1000
/* Only what is touched is ever backed by memory, so a thread costs the same with more. Enough for
 * getaddrinfo() with its plug-ins and for users' own work; the usual 8 MiB of address space times
 * 1024 threads would be refused under many a limit. */
#define STACK_BYTES ((size_t)1 << 20)
#define STACK_BYTES_MIN ((size_t)64 << 10)

void rondo__lane_check(const rondo_lane *lane, const char *function) {
    if (RONDO__UNLIKELY(!lane || lane->magic != RONDO__LANE_MAGIC))
        rondo__fatal("%s: %p is not a lane, or its loop was freed", function, (const void *)lane);
    /* Of several loops, any may be asking. */
    if (atomic_load_explicit(&lane->crew->shared, memory_order_relaxed)) return;
    if (RONDO__UNLIKELY(!rondo__loop_on_thread(lane->crew->owner)))
        rondo__fatal("%s: the lane '%s' was used from a thread that does not run its loop",
                     function, lane->name);
}
#define CHECK_LANE(lane) rondo__lane_check((lane), __func__)

/* ---- life ---- */

rondo_lane *rondo__lane_make(rondo__crew *crew, const char *name, unsigned threads,
                             size_t queue_bound) {
    size_t name_size = strlen(name) + 1;
    rondo_lane *lane = rondo__zalloc(sizeof *lane + name_size);
    if (!lane) return NULL;
    if (!rondo__cond_init(&lane->gone)) {
        rondo__free(lane);
        return NULL;
    }
    rondo__lock_init(&lane->lock);
    lane->magic = RONDO__LANE_MAGIC;
    lane->crew = crew;
    lane->limit = threads;
    lane->bound = queue_bound;
    lane->idle_ms = IDLE_MS;
    /* Alone on a core, whoever spins keeps away the one that it waits for. */
    atomic_init(&lane->spin_ns, rondo__thread_cores() > 1 ? SPIN_US * 1000 : 0);
    lane->stack_bytes = STACK_BYTES;
    memcpy(lane->name, name, name_size);
    for (int i = 0; i <= RONDO_PRIORITY_high; i++) rondo__list_init(&lane->queue[i]);
    rondo__list_init(&lane->link);
    rondo__list_init(&lane->idle);
    rondo__list_init(&lane->busy);
    rondo__list_init(&lane->lost);
    rondo__list_push_back(&crew->lanes, &lane->link);
    return lane;
}

/* ---- the end of a loop ---- */

void rondo__lane_take_queued(rondo_lane *lane, const rondo__pool *pool, bool all,
                             rondo__list *ret_jobs) {
    pthread_mutex_lock(&lane->lock);
    for (int i = RONDO_PRIORITY_high; i >= 0; i--) {
        rondo__list *queue = &lane->queue[i];
        for (rondo__list *link = queue->next, *next; link != queue; link = next) {
            rondo_job *job = RONDO__OF(link, rondo_job, link);
            next = link->next;
            if (job->pool != pool || ((job->must_run || job->last) && !all)) continue;
            rondo__list_remove(link);
            lane->queued--;
            job->state = RONDO__JOB_DONE;
            lane->done++;
            rondo__list_push_back(ret_jobs, link);
        }
    }
    pthread_mutex_unlock(&lane->lock);
}

/* The thread that runs it is on its own from now on. */
static void orphan(rondo_job *job) {
    rondo__extras *extras = atomic_load(&job->extras);
    if (job->deliver) rondo__job_release(job); /* nobody was told yet */
    if (job->untie) job->untie(job);
    if (extras) rondo__extras_quiet(extras);
    rondo__list_remove(&job->link); /* pool->ready */
    job->pool = NULL;
    job->loop = NULL;
}

void rondo__lane_hurry(rondo_lane *lane, rondo__pool *pool) {
    pthread_mutex_lock(&lane->lock);
    for (rondo__list *link = lane->busy.next, *next; link != &lane->busy; link = next) {
        rondo__worker *worker = RONDO__OF(link, rondo__worker, link);
        next = link->next;
        if (worker->pool != pool || !worker->job) continue;
        if (worker->job->untie && rondo__job_lose(lane, worker, RONDO_ECANCELED)) continue;
        atomic_store(&worker->job->cancel, RONDO_ECANCELED);
    }
    for (rondo__list *link = lane->lost.next; link != &lane->lost; link = link->next) {
        rondo_job *job = RONDO__OF(link, rondo__worker, link)->job;
        if (job && job->pool == pool) orphan(job);
    }
    pthread_mutex_unlock(&lane->lock);
}

static bool is_busy_for(const rondo_lane *lane, const rondo__pool *pool) {
    for (rondo__list *link = lane->busy.next; link != &lane->busy; link = link->next)
        if (RONDO__OF(link, rondo__worker, link)->pool == pool) return true;
    return false;
}

void rondo__lane_wait(rondo_lane *lane, const rondo__pool *pool) {
    pthread_mutex_lock(&lane->lock);
    (void)rondo__worker_start(lane); /* another loop's jobs may wait for a thread that was lost */
    lane->waiters++;
    while (is_busy_for(lane, pool)) pthread_cond_wait(&lane->gone, &lane->lock);
    lane->waiters--;
    pthread_mutex_unlock(&lane->lock);
}

/* ---- the end of the last loop ---- */

void rondo__lane_end(rondo_lane *lane) {
    pthread_mutex_lock(&lane->lock);
    lane->ending = true;
    rondo__worker_wake_all(lane);
    pthread_mutex_unlock(&lane->lock);
}

void rondo__lane_join(rondo_lane *lane) {
    pthread_mutex_lock(&lane->lock);
    lane->waiters++;
    while (lane->threads > 0) pthread_cond_wait(&lane->gone, &lane->lock);
    lane->waiters--;
    RONDO_ASSERT(lane->queued == 0 && rondo__list_empty(&lane->busy));
    RONDO_ASSERT(rondo__list_empty(&lane->idle) && lane->running == 0 && lane->waking == 0);
    pthread_mutex_unlock(&lane->lock);
    if (lane->has_left) pthread_join(lane->left, NULL);
}

void rondo__lane_free(rondo_lane *lane) {
    RONDO_ASSERT(lane->threads == 0 && rondo__list_empty(&lane->lost));
    pthread_cond_destroy(&lane->gone);
    pthread_mutex_destroy(&lane->lock);
    *(volatile uint32_t *)&lane->magic = 0;
    rondo__free(lane);
}

/* ---- settings ---- */

int rondo_lane_resize(rondo_lane *lane, unsigned threads, size_t queue_bound) {
    CHECK_LANE(lane);
    if (threads == 0 || threads > RONDO__THREADS_MOST || queue_bound == 0) return RONDO_EINVAL;
    if (rondo__crew_is_elsewhere(lane->crew)) return RONDO_ENOTSUP;
    pthread_mutex_lock(&lane->lock);
    bool fewer = threads < lane->limit;
    lane->limit = threads;
    lane->bound = queue_bound;
    if (fewer) rondo__worker_wake_all(lane); /* those that are too many end */
    unsigned before;
    do { /* those that are missing start; when the system refuses, the others go on alone */
        before = lane->threads;
    } while (rondo__worker_start(lane) && lane->threads > before);
    pthread_mutex_unlock(&lane->lock);
    return 0;
}

void rondo_lane_set_idle_ms(rondo_lane *lane, uint64_t idle_ms) {
    CHECK_LANE(lane);
    if (rondo__crew_is_elsewhere(lane->crew)) return;
    pthread_mutex_lock(&lane->lock);
    lane->idle_ms = idle_ms;
    rondo__worker_wake_all(lane); /* those that wait take the new time */
    pthread_mutex_unlock(&lane->lock);
}

void rondo_lane_set_spin_us(rondo_lane *lane, unsigned us) {
    CHECK_LANE(lane);
    if (us > SPIN_US_MOST) us = SPIN_US_MOST;
    atomic_store(&lane->spin_ns, rondo__thread_cores() > 1 ? us * 1000 : 0);
}

int rondo_lane_set_stack(rondo_lane *lane, size_t stack_bytes) {
    CHECK_LANE(lane);
    if (stack_bytes < STACK_BYTES_MIN) return RONDO_EINVAL;
    if (rondo__crew_is_elsewhere(lane->crew)) return RONDO_ENOTSUP;
    pthread_mutex_lock(&lane->lock);
    lane->stack_bytes = stack_bytes;
    pthread_mutex_unlock(&lane->lock);
    return 0;
}

int rondo_lane_set_nice(rondo_lane *lane, int nice) {
    CHECK_LANE(lane);
    if (nice < -20 || nice > 19) return RONDO_EINVAL;
    if (rondo__crew_is_elsewhere(lane->crew)) return RONDO_ENOTSUP;
    pthread_mutex_lock(&lane->lock);
    lane->nice = nice;
    lane->nice_set = true;
    pthread_mutex_unlock(&lane->lock);
    return 0;
}

/* ---- figures ---- */

void rondo_lane_measure(rondo_lane *lane, bool on) {
    CHECK_LANE(lane);
    if (rondo__crew_is_elsewhere(lane->crew)) return;
    pthread_mutex_lock(&lane->lock);
    lane->measured = on;
    pthread_mutex_unlock(&lane->lock);
}

void rondo_lane_get_figures(rondo_lane *lane, rondo_lane_figures *ret_figures) {
    CHECK_LANE(lane);
    rondo_lane_figures figures = {0};
    if (!rondo__crew_is_elsewhere(lane->crew)) {
        pthread_mutex_lock(&lane->lock);
        figures.threads = lane->threads + lane->lost_count;
        figures.running = lane->running + lane->lost_count;
        figures.abandoned = lane->lost_count;
        figures.queued = lane->queued;
        figures.done = lane->done;
        figures.refused = lane->refused;
        memcpy(figures.waited_us, lane->waited_us, sizeof figures.waited_us);
        memcpy(figures.ran_us, lane->ran_us, sizeof figures.ran_us);
        pthread_mutex_unlock(&lane->lock);
    }
    *ret_figures = figures;
}
