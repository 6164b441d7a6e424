/* SPDX-License-Identifier: MIT
 *
 * What several loops may share: the lanes and their threads. It ends when the last of the loops is
 * freed; but a thread that is stuck with an abandoned job cannot be ended, so its memory stays until
 * the last such thread is back, which then frees it.
 */
#include "threadpool/pool.h"

#include <rondo/error.h>

#include <string.h>

#include "loop/assert.h"
#include "loop/memory.h"
#include "threadpool/thread.h"

/* ---- life ---- */

bool rondo__crew_is_elsewhere(const rondo__crew *crew) { return crew->forks != rondo__forks(); }

rondo__crew *rondo__crew_new(rondo_loop *owner) {
    rondo__crew *crew = rondo__zalloc(sizeof *crew);
    if (!crew || !rondo__count_forks()) {
        rondo__free(crew);
        return NULL;
    }
    rondo__memory_pin(+1); /* it may outlive the loop */
    crew->owner = owner;
    crew->forks = rondo__forks();
    pthread_mutex_init(&crew->lock, NULL);
    pthread_mutex_init(&crew->reports_lock, NULL);
    rondo__list_init(&crew->lanes);
    atomic_store(&crew->refs, 1);
    crew->pools = 1;
    return crew;
}

void rondo__crew_join(rondo__crew *crew) {
    pthread_mutex_lock(&crew->lock);
    crew->pools++;
    pthread_mutex_unlock(&crew->lock);
    atomic_store(&crew->shared, true);
    rondo__crew_ref(crew);
}

void rondo__crew_ref(rondo__crew *crew) { atomic_fetch_add(&crew->refs, 1); }

void rondo__crew_unref(rondo__crew *crew) {
    if (atomic_fetch_sub(&crew->refs, 1) > 1) return;
    for (rondo__list *link; (link = rondo__list_pop_front(&crew->lanes));)
        rondo__lane_free(RONDO__OF(link, rondo_lane, link));
    pthread_mutex_destroy(&crew->reports_lock);
    pthread_mutex_destroy(&crew->lock);
    rondo__free(crew);
    rondo__memory_pin(-1);
}

void rondo__crew_leave(rondo__crew *crew) {
    pthread_mutex_lock(&crew->lock);
    bool last = --crew->pools == 0;
    pthread_mutex_unlock(&crew->lock);
    if (last) { /* nobody else adds lanes now */
        for (rondo_lane *lane = NULL; (lane = rondo__crew_next(crew, lane));) rondo__lane_end(lane);
        for (rondo_lane *lane = NULL; (lane = rondo__crew_next(crew, lane));)
            rondo__lane_join(lane);
    }
    rondo__crew_unref(crew);
}

int rondo_loop_share_pool(rondo_loop *loop, rondo_loop *from) {
    RONDO__CHECK_LOOP(loop);
    RONDO__CHECK_LOOP(from);
    if (loop == from) return RONDO_EINVAL;
    if (rondo__loop_part(loop, RONDO__PART_POOL)) return RONDO_EBUSY;
    rondo__pool *pool = rondo__pool_get(from);
    if (!pool) return RONDO_ENOMEM;
    if (rondo__pool_is_elsewhere(pool)) return RONDO_ENOTSUP;
    return rondo__pool_new(loop, pool->crew) ? 0 : RONDO_ENOMEM;
}

/* ---- lanes ---- */

rondo_lane *rondo__crew_next(rondo__crew *crew, rondo_lane *lane) {
    pthread_mutex_lock(&crew->lock); /* another loop may be adding one */
    rondo__list *link = lane ? lane->link.next : crew->lanes.next;
    pthread_mutex_unlock(&crew->lock);
    return link == &crew->lanes ? NULL : RONDO__OF(link, rondo_lane, link);
}

static rondo_lane *find(rondo__crew *crew, const char *name) {
    for (rondo__list *link = crew->lanes.next; link != &crew->lanes; link = link->next) {
        rondo_lane *lane = RONDO__OF(link, rondo_lane, link);
        if (strcmp(lane->name, name) == 0) return lane;
    }
    return NULL;
}

int rondo_lane_new(rondo_loop *loop, const char *name, unsigned threads, size_t queue_bound,
                   rondo_lane **ret_lane) {
    RONDO_ASSERT(ret_lane);
    if (!name || !*name || threads == 0 || threads > RONDO__THREADS_MOST || queue_bound == 0)
        return RONDO_EINVAL;
    rondo__pool *pool = rondo__pool_get(loop);
    if (!pool) return RONDO_ENOMEM;
    if (rondo__pool_is_elsewhere(pool)) return RONDO_ENOTSUP;
#define RETURN_IF_TAKEN(lane, lane_threads, bound, what) \
    if (strcmp(name, #lane) == 0) return RONDO_EEXIST;
    RONDO_LANES(RETURN_IF_TAKEN)
#undef RETURN_IF_TAKEN
    rondo__crew *crew = pool->crew;
    pthread_mutex_lock(&crew->lock);
    bool taken = find(crew, name) != NULL;
    rondo_lane *lane = taken ? NULL : rondo__lane_make(crew, name, threads, queue_bound);
    pthread_mutex_unlock(&crew->lock);
    if (taken) return RONDO_EEXIST;
    if (!lane) return RONDO_ENOMEM;
    *ret_lane = lane;
    return 0;
}

static rondo_lane *built_in(rondo_loop *loop, unsigned index, const char *name, unsigned threads,
                            size_t bound) {
    rondo__pool *pool = rondo__pool_get(loop);
    if (!pool) return NULL;
    if (pool->built_in[index]) return pool->built_in[index];
    if (threads == 0) threads = rondo__thread_cores();
    if (threads > RONDO__THREADS_MOST) threads = RONDO__THREADS_MOST;
    rondo__crew *crew = pool->crew;
    bool elsewhere = rondo__crew_is_elsewhere(crew); /* where its lock may be held for ever, ... */
    if (!elsewhere) pthread_mutex_lock(&crew->lock);
    if (!crew->built_in[index])
        crew->built_in[index] = rondo__lane_make(crew, name, threads, bound);
    pool->built_in[index] = crew->built_in[index];
    if (!elsewhere) pthread_mutex_unlock(&crew->lock); /* ... and nobody else is there */
    return pool->built_in[index];
}

#define BUILT_IN(name, threads, bound, what)                                \
    rondo_lane *rondo_lane_##name(rondo_loop *loop) {                       \
        return built_in(loop, RONDO__LANE_##name, #name, (threads), bound); \
    }
RONDO_LANES(BUILT_IN)
