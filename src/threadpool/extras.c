/* SPDX-License-Identifier: MIT
 *
 * What a job can have beside its work: a timeout, somebody who hears of its progress, and somebody
 * who waits for the memory that it uses. Few jobs have any; the others pay with one pointer.
 *
 * A report is two numbers under a lock. Until the loop has told them, new ones replace them, so a
 * worker that reports a million times a second costs the loop one callback per turn.
 */
#include "threadpool/pool.h"

#include <rondo/error.h>

#include "loop/assert.h"
#include "loop/memory.h"

/* ---- life ---- */

static void on_timeout(rondo_loop *loop, rondo__alarm *alarm) {
    rondo_job *job = RONDO__OF(alarm, rondo__extras, alarm)->job;
    (void)loop;
    if (rondo__job_may_be_lost(job) &&
        rondo__job_end_early(job, RONDO_ETIMEDOUT, true) != RONDO_EBUSY)
        return;
    (void)rondo__job_end_early(job, RONDO_ETIMEDOUT, false);
}

/* The job's extras, made if need be. 0, RONDO_ENOMEM, or RONDO_ENOTSUP in a forked child. */
static int extras_of(rondo_job *job, rondo__extras **ret_extras) {
    rondo__pool *pool = job->pool;
    rondo__extras *extras = atomic_load_explicit(&job->extras, memory_order_relaxed);
    if (rondo__pool_is_elsewhere(pool)) return RONDO_ENOTSUP;
    if (!extras) {
        extras = pool->free_extras;
        if (extras) {
            pool->free_extras = extras->older;
            pool->free_extras_count--;
        } else {
            extras = rondo__alloc(sizeof *extras);
            if (!extras) return RONDO_ENOMEM;
        }
        *extras = (rondo__extras){.job = job, .pool = pool};
        rondo__list_init(&extras->link);
        rondo__alarm_init(&extras->alarm, on_timeout);
        atomic_store(&job->extras, extras);
    }
    *ret_extras = extras;
    return 0;
}

void rondo__extras_quiet(rondo__extras *extras) {
    rondo__crew *crew = extras->pool->crew;
    rondo__alarm_clear(&extras->alarm);
    pthread_mutex_lock(&crew->reports_lock);
    extras->progress = NULL;
    rondo__list_remove(&extras->link);
    pthread_mutex_unlock(&crew->reports_lock);
}

static void release_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                          void *arg) {
    (void)loop, (void)handle, (void)payload;
    ((void (*)(void *))fn)(arg);
}
static const rondo__event release_event = {"work.release", release_thunk};

void rondo__extras_end(rondo_loop *loop, rondo__extras *extras) {
    void (*release)(void *) = extras->release;
    void *arg = extras->release_arg;
    rondo__pool *pool = loop ? extras->pool : NULL;
    if (loop) rondo__extras_quiet(extras);
    if (pool && pool->free_extras_count < RONDO__EXTRAS_KEPT) {
        extras->older = pool->free_extras;
        pool->free_extras = extras;
        pool->free_extras_count++;
    } else {
        rondo__free(extras);
    }
    if (!release) return;
    if (loop) {
        rondo__door(loop, NULL, &release_event, RONDO__FN(release), NULL, arg);
    } else {
        release(arg); /* there is no loop any more, and so no door */
    }
}

/* ---- timeout, release ---- */

bool rondo__job_may_be_lost(const rondo_job *job) {
    if (!job->tell) return false;
    if (!job->borrows) return true;
    const rondo__extras *extras = atomic_load(&((rondo_job *)(uintptr_t)job)->extras);
    return extras && extras->release;
}

int rondo_job_on_release(rondo_job *job, void (*release)(void *arg), void *arg) {
    rondo__extras *extras;
    rondo__job_check(job, __func__);
    if (!release) return RONDO_EINVAL;
    int error = extras_of(job, &extras);
    if (error < 0) return error;
    extras->release = release;
    extras->release_arg = arg;
    return 0;
}

int rondo_job_set_timeout(rondo_job *job, uint64_t timeout_ms) {
    rondo__extras *extras;
    rondo__job_check(job, __func__);
    int error = extras_of(job, &extras);
    if (error < 0) return error;
    if (timeout_ms == 0 || job->abandoned) {
        rondo__alarm_clear(&extras->alarm);
        return 0;
    }
    uint64_t now_ns = rondo_loop_now_ns(job->loop), limit_ns = RONDO__ALARM_UNSET - 1;
    bool fits = timeout_ms < (limit_ns - now_ns) / 1000000;
    rondo__alarm_set(job->loop, &extras->alarm, fits ? now_ns + timeout_ms * 1000000 : limit_ns);
    return 0;
}

/* ---- progress ---- */

static void progress_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                           void *arg) {
    const uint64_t *numbers = payload;
    (void)handle;
    ((rondo_progress_cb)fn)(loop, numbers[0], numbers[1], arg);
}
static const rondo__event progress_event = {"work.progress", progress_thunk};

int rondo_job_on_progress(rondo_job *job, rondo_progress_cb cb, void *arg) {
    rondo__extras *extras;
    rondo__job_check(job, __func__);
    if (!cb) return RONDO_EINVAL;
    int error = extras_of(job, &extras);
    if (error < 0) return error;
    if (job->abandoned) return 0;
    pthread_mutex_lock(&job->pool->crew->reports_lock);
    extras->progress = cb;
    extras->progress_arg = arg;
    pthread_mutex_unlock(&job->pool->crew->reports_lock);
    return 0;
}

void rondo_work_report(rondo_job *job, uint64_t done, uint64_t total) {
    RONDO_ASSERT(job);
    rondo__extras *extras = atomic_load(&job->extras);
    if (!extras) return;
    pthread_mutex_t *lock = &job->lane->crew->reports_lock;
    pthread_mutex_lock(lock);
    if (extras->progress) {
        rondo__pool *pool = extras->pool;
        bool first = rondo__list_empty(&pool->reports);
        extras->done = done;
        extras->total = total;
        if (!rondo__list_linked(&extras->link)) {
            rondo__list_push_back(&pool->reports, &extras->link);
            /* With the lock held, without which the job could be abandoned and the loop freed. */
            if (first) rondo__wake(pool->loop);
        }
    }
    pthread_mutex_unlock(lock);
}

void rondo__pool_tell_reports(rondo__pool *pool) {
    pthread_mutex_t *lock = &pool->crew->reports_lock;
    rondo__list batch; /* what is reported from now on waits for the next turn */
    rondo__list_init(&batch);
    pthread_mutex_lock(lock);
    rondo__list_splice_back(&batch, &pool->reports);
    for (rondo__list *link; (link = rondo__list_pop_front(&batch));) {
        rondo__extras *extras = RONDO__OF(link, rondo__extras, link);
        uint64_t numbers[] = {extras->done, extras->total};
        rondo_progress_cb cb = extras->progress;
        void *arg = extras->progress_arg;
        pthread_mutex_unlock(lock);
        rondo__door(pool->loop, NULL, &progress_event, RONDO__FN(cb), numbers, arg);
        pthread_mutex_lock(lock);
    }
    pthread_mutex_unlock(lock);
}
