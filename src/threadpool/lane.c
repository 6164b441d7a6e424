/* SPDX-License-Identifier: MIT
 *
 * Lanes: bounded queues with threads of their own. Jobs come in and are canceled here; what the
 * threads do with them is in worker.c.
 */
#include "threadpool/pool.h"

#include <rondo/error.h>

#include <string.h>

#include "loop/assert.h"
#include "loop/memory.h"
#include "threadpool/thread.h"

#define MAX_THREADS 1024
#define IDLE_MS 10000

static void check_lane(const rondo_lane *lane, const char *function) {
    if (RONDO__UNLIKELY(!lane || lane->magic != RONDO__LANE_MAGIC))
        rondo__fatal("%s: %p is not a lane, or its loop was freed", function, (const void *)lane);
    if (RONDO__UNLIKELY(!rondo__loop_on_thread(lane->pool->loop)))
        rondo__fatal("%s: the lane '%s' was used from a thread that does not run its loop",
                     function, lane->name);
}
#define CHECK_LANE(lane) check_lane((lane), __func__)

/* ---- life ---- */

rondo_lane *rondo__lane_find(rondo__pool *pool, const char *name) {
    for (rondo__list *link = pool->lanes.next; link != &pool->lanes; link = link->next) {
        rondo_lane *lane = RONDO__OF(link, rondo_lane, link);
        if (strcmp(lane->name, name) == 0) return lane;
    }
    return NULL;
}

rondo_lane *rondo__lane_make(rondo__pool *pool, const char *name, unsigned threads,
                             size_t queue_bound) {
    size_t name_size = strlen(name) + 1;
    rondo_lane *lane = rondo__zalloc(sizeof *lane + name_size);
    if (!lane) return NULL;
    if (!rondo__cond_init(&lane->gone)) {
        rondo__free(lane);
        return NULL;
    }
    pthread_mutex_init(&lane->lock, NULL);
    lane->magic = RONDO__LANE_MAGIC;
    lane->pool = pool;
    lane->limit = threads;
    lane->bound = queue_bound;
    lane->idle_ms = IDLE_MS;
    memcpy(lane->name, name, name_size);
    rondo__list_init(&lane->link);
    rondo__list_init(&lane->queue);
    rondo__list_init(&lane->active);
    rondo__list_init(&lane->idle);
    rondo__list_push_back(&pool->lanes, &lane->link);
    return lane;
}

void rondo__lane_end(rondo_lane *lane) {
    pthread_mutex_lock(&lane->lock);
    lane->ending = true;
    for (rondo__list *link = lane->active.next; link != &lane->active; link = link->next)
        atomic_store(&RONDO__OF(link, rondo_job, link)->cancel, RONDO_ECANCELED);
    rondo__worker_wake_all(lane);
    pthread_mutex_unlock(&lane->lock);
}

void rondo__lane_free(rondo_lane *lane) {
    pthread_mutex_lock(&lane->lock);
    while (lane->threads > 0) pthread_cond_wait(&lane->gone, &lane->lock);
    RONDO_ASSERT(rondo__list_empty(&lane->queue) && rondo__list_empty(&lane->active));
    RONDO_ASSERT(rondo__list_empty(&lane->idle) && lane->running == 0 && lane->waking == 0);
    pthread_mutex_unlock(&lane->lock);
    if (lane->has_left) pthread_join(lane->left, NULL);
    rondo__list_remove(&lane->link);
    pthread_cond_destroy(&lane->gone);
    pthread_mutex_destroy(&lane->lock);
    *(volatile uint32_t *)&lane->magic = 0;
    rondo__free(lane);
}

/* ---- jobs ---- */

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

/* Queues the job; false when there is no thread to take it, and none can be started. */
static bool enqueue(rondo_lane *lane, rondo_job *job) {
    job->result = RONDO_ECANCELED;
    job->state = RONDO__JOB_QUEUED;
    rondo__list_push_back(&lane->queue, &job->link);
    lane->queued++;
    rondo__worker_wake(lane);
    if (rondo__worker_start(lane) || lane->threads > 0 || job->state != RONDO__JOB_QUEUED)
        return true;
    unqueue(lane, job);
    return false;
}

int rondo__job_submit(rondo_lane *lane, rondo_job *job, bool always) {
    CHECK_LANE(lane);
    RONDO_ASSERT(job->run && job->deliver && job->state == RONDO__JOB_NEW);
    rondo__pool *pool = lane->pool;
    if (rondo__pool_is_elsewhere(pool)) return RONDO_ENOTSUP;
    job->must_run = always;
    job->lane = lane;
    job->loop = pool->loop;
    job->era = pool->era;
    pthread_mutex_lock(&lane->lock);
    bool ok = (always || !is_full(lane)) && enqueue(lane, job);
    if (!ok) {
        job->state = RONDO__JOB_NEW;
        lane->refused++;
    }
    pthread_mutex_unlock(&lane->lock);
    if (!ok) return RONDO_EAGAIN;
    if (!job->weak) rondo__loop_hold(pool->loop);
    return 0;
}

int rondo__job_again(rondo_job *job) {
    rondo_lane *lane = job->lane;
    CHECK_LANE(lane);
    RONDO_ASSERT(job->steps && job->state == RONDO__JOB_DONE);
    if (rondo__pool_is_elsewhere(lane->pool)) return RONDO_ENOTSUP;
    int asked = atomic_load(&job->cancel);
    if (asked != 0) return asked;
    if (job->era != lane->pool->era) return RONDO_ECANCELED;
    pthread_mutex_lock(&lane->lock);
    bool ok = enqueue(lane, job);
    if (!ok) {
        job->state = RONDO__JOB_DONE;
        lane->refused++;
    }
    pthread_mutex_unlock(&lane->lock);
    if (!ok) return RONDO_EAGAIN;
    if (!job->weak) rondo__loop_hold(lane->pool->loop);
    return 0;
}

int rondo_job_cancel(rondo_job *job) {
    if (RONDO__UNLIKELY(!job || !job->deliver))
        rondo__fatal("rondo_job_cancel: %p is no job; one is gone when its callback runs",
                     (void *)job);
    rondo_lane *lane = job->lane;
    if (!lane) return RONDO_ENOENT; /* done without a worker */
    CHECK_LANE(lane);
    if (rondo__pool_is_elsewhere(lane->pool)) return RONDO_ENOTSUP;
    int result = RONDO_ENOENT;
    rondo__list canceled;
    rondo__list_init(&canceled);
    pthread_mutex_lock(&lane->lock);
    if (job->state == RONDO__JOB_QUEUED) {
        unqueue(lane, job);
        job->state = RONDO__JOB_DONE;
        atomic_store(&job->cancel, RONDO_ECANCELED);
        lane->done++;
        rondo__list_push_back(&canceled, &job->link);
        result = 0;
    } else if (job->state == RONDO__JOB_RUNNING || (job->steps && !atomic_load(&job->cancel))) {
        atomic_store(&job->cancel,
                     RONDO_ECANCELED); /* one of the steps may have ended: the last? */
        result = RONDO_EBUSY;
    }
    pthread_mutex_unlock(&lane->lock);
    rondo__pool_push_ready(lane->pool, &canceled);
    return result;
}

void rondo__lane_take_queued(rondo_lane *lane, bool all, rondo__list *ret_jobs) {
    pthread_mutex_lock(&lane->lock);
    for (rondo__list *link = lane->queue.next, *next; link != &lane->queue; link = next) {
        rondo_job *job = RONDO__OF(link, rondo_job, link);
        next = link->next;
        if (job->must_run && !all) continue;
        unqueue(lane, job);
        job->state = RONDO__JOB_DONE;
        lane->done++;
        rondo__list_push_back(ret_jobs, link);
    }
    pthread_mutex_unlock(&lane->lock);
}

/* ---- settings and figures ---- */

int rondo_lane_resize(rondo_lane *lane, unsigned threads, size_t queue_bound) {
    CHECK_LANE(lane);
    if (threads == 0 || threads > MAX_THREADS || queue_bound == 0) return RONDO_EINVAL;
    if (rondo__pool_is_elsewhere(lane->pool)) return RONDO_ENOTSUP;
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
    if (rondo__pool_is_elsewhere(lane->pool)) return;
    pthread_mutex_lock(&lane->lock);
    lane->idle_ms = idle_ms;
    rondo__worker_wake_all(lane); /* those that wait take the new time */
    pthread_mutex_unlock(&lane->lock);
}

void rondo_lane_get_figures(rondo_lane *lane, rondo_lane_figures *ret_figures) {
    CHECK_LANE(lane);
    rondo_lane_figures figures = {0};
    if (!rondo__pool_is_elsewhere(lane->pool)) {
        pthread_mutex_lock(&lane->lock);
        figures.threads = lane->threads;
        figures.running = lane->running;
        figures.queued = lane->queued;
        figures.done = lane->done;
        figures.refused = lane->refused;
        pthread_mutex_unlock(&lane->lock);
    }
    *ret_figures = figures;
}

int rondo_lane_new(rondo_loop *loop, const char *name, unsigned threads, size_t queue_bound,
                   rondo_lane **ret_lane) {
    RONDO_ASSERT(ret_lane);
    if (!name || !*name || threads == 0 || threads > MAX_THREADS || queue_bound == 0)
        return RONDO_EINVAL;
    rondo__pool *pool = rondo__pool_get(loop);
    if (!pool) return RONDO_ENOMEM;
#define RETURN_IF_TAKEN(lane, lane_threads, bound, what) \
    if (strcmp(name, #lane) == 0) return RONDO_EEXIST;
    RONDO_LANES(RETURN_IF_TAKEN)
#undef RETURN_IF_TAKEN
    if (rondo__lane_find(pool, name)) return RONDO_EEXIST;
    rondo_lane *lane = rondo__lane_make(pool, name, threads, queue_bound);
    if (!lane) return RONDO_ENOMEM;
    *ret_lane = lane;
    return 0;
}

static rondo_lane *built_in(rondo_loop *loop, unsigned index, const char *name, unsigned threads,
                            size_t bound) {
    rondo__pool *pool = rondo__pool_get(loop);
    if (!pool) return NULL;
    if (!pool->built_in[index]) {
        if (threads == 0) threads = rondo__thread_cores();
        if (threads > MAX_THREADS) threads = MAX_THREADS;
        pool->built_in[index] = rondo__lane_make(pool, name, threads, bound);
    }
    return pool->built_in[index];
}

#define BUILT_IN(name, threads, bound, what)                                \
    rondo_lane *rondo_lane_##name(rondo_loop *loop) {                       \
        return built_in(loop, RONDO__LANE_##name, #name, (threads), bound); \
    }
RONDO_LANES(BUILT_IN)
