/* SPDX-License-Identifier: MIT
 *
 * rondo_async and rondo_loop_post(): see inbox.h for how messages travel. An async that is sent
 * while it is on the stack is not pushed again; that is the coalescing.
 */
#include "loop/inbox.h"

#include <rondo/async.h>

#include <sched.h>

#include "loop/loop.h"
#include "loop/memory.h"

#define POST_LIMIT 1000000

/* ---- asyncs ---- */

struct rondo_async {
    rondo_handle base;
    atomic_bool sent;
    rondo_async *older; /* on inbox->asyncs */
    rondo__list ready;  /* inbox->async_ready */
    rondo_async_cb cb;
    void *arg;
};

static void async_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    (void)loop, (void)payload;
    ((rondo_async_cb)fn)((rondo_async *)handle, arg);
}
static const rondo__event async_event = {"async", async_thunk};

/* Moves what was sent to async_ready, oldest first. */
static void take_asyncs(rondo_loop *loop) {
    rondo_async *newest = atomic_exchange(&loop->inbox.asyncs, NULL), *older;
    rondo__list taken;
    rondo__list_init(&taken);
    for (; newest; newest = older) {
        older = newest->older;
        rondo__list_push_front(&taken, &newest->ready);
    }
    rondo__list_splice_back(&loop->inbox.async_ready, &taken);
}

/* Leaves `sent` set, so that from now on sending does nothing. It may be on the stack, where it
 * can't be taken out alone; and a sender that has set `sent` may be just about to push it. */
static void async_stop(rondo_handle *handle) {
    rondo_async *async = (rondo_async *)handle;
    bool was_sent = atomic_exchange(&async->sent, true);
    for (;;) {
        take_asyncs(handle->loop);
        if (!was_sent || rondo__list_linked(&async->ready)) break;
        sched_yield();
    }
    rondo__list_remove(&async->ready);
}

static const rondo__kind async_kind = {
    .name = "async", .size = sizeof(rondo_async), .stop = async_stop};

static void drain_asyncs(rondo_loop *loop, rondo__source *source) {
    rondo__list batch;
    (void)source;
    take_asyncs(loop);
    rondo__list_init(&batch);
    rondo__list_splice_back(&batch, &loop->inbox.async_ready);
    for (rondo__list *link; (link = rondo__list_pop_front(&batch));) {
        rondo_async *async = RONDO__OF(link, rondo_async, ready);
        atomic_store(&async->sent, false); /* before the callback: a send during it counts anew */
        rondo__door(loop, &async->base, &async_event, RONDO__FN(async->cb), NULL, async->arg);
    }
}

rondo_async *rondo_async_new_at(rondo_loop *loop, rondo_async_cb cb, void *arg, const char *site) {
    RONDO__CHECK_LOOP(loop);
    RONDO_ASSERT(cb);
    rondo_async *async = rondo__handle_new(loop, &async_kind, site);
    if (!async) return NULL;
    rondo__list_init(&async->ready);
    async->cb = cb;
    async->arg = arg;
    rondo__handle_activate(&async->base);
    return async;
}

void rondo_async_send(rondo_async *async) {
    RONDO_ASSERT(async && async->base.magic == RONDO__MAGIC_ALIVE);
    rondo_loop *loop = async->base.loop;
    if (atomic_exchange(&async->sent, true)) return;
    rondo_async *newest = atomic_load(&loop->inbox.asyncs);
    do {
        async->older = newest;
    } while (!atomic_compare_exchange_weak(&loop->inbox.asyncs, &newest, async));
    rondo__wake(loop);
}

/* ---- posts ---- */

typedef struct rondo__post {
    struct rondo__post *next; /* older on the stack, newer in the queue */
    rondo_post_cb cb;
    void *arg;
} rondo__post;

static void post_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    (void)handle, (void)payload;
    ((rondo_post_cb)fn)(loop, arg);
}
static const rondo__event post_event = {"post", post_thunk};

/* Moves the stack to the end of the queue, turning it around. */
static void take_posts(rondo__inbox *inbox) {
    rondo__post *newest = atomic_exchange(&inbox->posts, NULL), *last = newest, *first = NULL;
    while (newest) {
        rondo__post *older = newest->next;
        newest->next = first;
        first = newest;
        newest = older;
    }
    if (!first) return;
    if (inbox->post_last) {
        inbox->post_last->next = first;
    } else {
        inbox->post_first = first;
    }
    inbox->post_last = last;
}

static rondo__post *pop_post(rondo__inbox *inbox) {
    rondo__post *post = inbox->post_first;
    if (!post) return NULL;
    inbox->post_first = post->next;
    if (!post->next) inbox->post_last = NULL;
    return post;
}

/* Runs what is queued now, up to the turn's budget; the rest goes on in the pending phase. */
static void run_posts(rondo_loop *loop) {
    rondo__inbox *inbox = &loop->inbox;
    if (inbox->post_turn != loop->turn) {
        inbox->post_turn = loop->turn;
        inbox->post_left = loop->budgets[RONDO_BUDGET_posts];
    }
    take_posts(inbox);
    rondo__post *post;
    while (inbox->post_left > 0 && (post = pop_post(inbox))) {
        rondo_post_cb cb = post->cb;
        void *arg = post->arg;
        rondo__free(post);
        atomic_fetch_sub(&inbox->post_count, 1);
        inbox->post_left--;
        rondo__door(loop, NULL, &post_event, RONDO__FN(cb), NULL, arg);
    }
    if (inbox->post_first) rondo__defer(loop, &inbox->post_more);
}

static void drain_posts(rondo_loop *loop, rondo__source *source) {
    (void)source;
    run_posts(loop);
}

static void more_posts(rondo_loop *loop, rondo__task *task) {
    (void)task;
    run_posts(loop);
}

int rondo_loop_post(rondo_loop *loop, rondo_post_cb cb, void *arg) {
    RONDO_ASSERT(loop && loop->front.magic == RONDO__LOOP_MAGIC && cb);
    rondo__inbox *inbox = &loop->inbox;
    rondo__post *post = rondo__alloc(sizeof *post);
    if (!post) return RONDO_ENOMEM;
    /* Counted before it can be seen, for the loop counts down; but only what will be queued, for
     * the loop sleeps for the sake of what is counted, and nobody would wake it. */
    size_t count = atomic_load(&inbox->post_count);
    do {
        if (count >= atomic_load(&inbox->post_limit)) {
            rondo__free(post);
            return RONDO_EAGAIN;
        }
    } while (!atomic_compare_exchange_weak(&inbox->post_count, &count, count + 1));
    post->cb = cb;
    post->arg = arg;
    rondo__guest_comes(loop);
    post->next = atomic_load(&inbox->posts);
    while (!atomic_compare_exchange_weak(&inbox->posts, &post->next, post)) {}
    rondo__wake(loop); /* which may have run it by now */
    rondo__guest_goes(loop);
    return 0;
}

void rondo_loop_set_post_limit(rondo_loop *loop, size_t messages) {
    RONDO__CHECK_LOOP(loop);
    atomic_store(&loop->inbox.post_limit, messages);
}

/* ---- life ---- */

void rondo__inbox_init(rondo_loop *loop) {
    rondo__inbox *inbox = &loop->inbox;
    rondo__list_init(&inbox->async_ready);
    rondo__task_init(&inbox->post_more, more_posts);
    atomic_init(&inbox->asyncs, NULL);
    atomic_init(&inbox->posts, NULL);
    atomic_init(&inbox->post_count, 0);
    atomic_init(&inbox->post_limit, POST_LIMIT);
    rondo__source_add(loop, &inbox->async_source, drain_asyncs);
    rondo__source_add(loop, &inbox->post_source, drain_posts);
}

void rondo__inbox_fini(rondo_loop *loop) {
    rondo__inbox *inbox = &loop->inbox;
    take_posts(inbox);
    for (rondo__post *post; (post = pop_post(inbox));) rondo__free(post);
}
