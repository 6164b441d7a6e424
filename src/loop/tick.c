/* SPDX-License-Identifier: MIT
 *
 * Next ticks, immediates and prepare hooks: the queues are in queue.c, the tick drain at the door.
 */
#include <rondo/tick.h>

#include "loop/loop.h"
#include "loop/phases.h"

int rondo_next_tick(rondo_loop *loop, rondo_tick_cb cb, void *arg) {
    RONDO__CHECK_LOOP(loop);
    if (!cb) return RONDO_EINVAL;
    return rondo__queue_push(&loop->ticks, RONDO__FN(cb), arg) ? 0 : RONDO_ENOMEM;
}

/* ---- immediates ---- */

static void immediate_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                            void *arg) {
    (void)handle, (void)payload;
    ((rondo_tick_cb)fn)(loop, arg);
}
static const rondo__event immediate_event = {"immediate", immediate_thunk};

uint64_t rondo_immediate(rondo_loop *loop, rondo_tick_cb cb, void *arg) {
    RONDO__CHECK_LOOP(loop);
    RONDO_ASSERT(cb);
    return rondo__queue_push(&loop->immediates, RONDO__FN(cb), arg);
}

int rondo_immediate_cancel(rondo_loop *loop, uint64_t id) {
    RONDO__CHECK_LOOP(loop);
    return rondo__queue_cancel(&loop->immediates, id);
}

void rondo__run_check(rondo_loop *loop) {
    uint64_t limit = loop->immediates.next; /* those queued from now on wait for the next turn */
    rondo__entry entry;
    while (rondo__queue_pop(&loop->immediates, limit, &entry))
        rondo__door(loop, NULL, &immediate_event, entry.fn, NULL, entry.arg);
}

/* ---- prepare hooks ---- */

struct rondo_prepare {
    rondo_handle base;
    rondo__list link; /* loop->prepares */
    uint64_t order;
    rondo_prepare_cb cb;
    void *arg;
};

static rondo_prepare *prepare_of(rondo__list *link) { return RONDO__OF(link, rondo_prepare, link); }

static void unlink_prepare(rondo_prepare *prepare) {
    rondo_loop *loop = prepare->base.loop;
    if (loop->prepare_next == &prepare->link) loop->prepare_next = prepare->link.next;
    rondo__list_remove(&prepare->link);
}

static void prepare_stop(rondo_handle *handle) { unlink_prepare((rondo_prepare *)handle); }

static void prepare_verify(const rondo_handle *handle) {
    const rondo_prepare *prepare = (const rondo_prepare *)handle;
    bool active = (handle->flags & RONDO__HANDLE_ACTIVE) != 0;
    RONDO_ASSERT(active == rondo__list_linked(&prepare->link));
}

static const rondo__kind prepare_kind = {.name = "prepare",
                                         .size = sizeof(rondo_prepare),
                                         .stop = prepare_stop,
                                         .verify = prepare_verify};

static void prepare_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                          void *arg) {
    (void)loop, (void)payload;
    ((rondo_prepare_cb)fn)((rondo_prepare *)handle, arg);
}
static const rondo__event prepare_event = {"prepare", prepare_thunk};

rondo_prepare *rondo_prepare_new_at(rondo_loop *loop, const char *site) {
    RONDO__CHECK_LOOP(loop);
    rondo_prepare *prepare = rondo__handle_new(loop, &prepare_kind, site);
    if (prepare) rondo__list_init(&prepare->link);
    return prepare;
}

int rondo_prepare_start(rondo_prepare *prepare, rondo_prepare_cb cb, void *arg) {
    RONDO__CHECK(prepare, &prepare_kind);
    rondo_loop *loop = prepare->base.loop;
    if (rondo__handle_closing(&prepare->base)) return RONDO_ECLOSED;
    if (!cb) return RONDO_EINVAL;
    prepare->cb = cb;
    prepare->arg = arg;
    if (rondo__list_linked(&prepare->link)) return 0;
    prepare->order = ++loop->prepare_order;
    rondo__list_push_back(&loop->prepares, &prepare->link);
    rondo__handle_activate(&prepare->base);
    return 0;
}

int rondo_prepare_stop(rondo_prepare *prepare) {
    RONDO__CHECK(prepare, &prepare_kind);
    if (rondo__handle_closing(&prepare->base)) return RONDO_ECLOSED;
    unlink_prepare(prepare);
    rondo__handle_deactivate(&prepare->base);
    return 0;
}

void rondo__run_prepare(rondo_loop *loop) {
    uint64_t last = loop->prepare_order; /* hooks started from now on wait for the next turn */
    rondo__list *link = loop->prepares.next;
    while (link != &loop->prepares && prepare_of(link)->order <= last) {
        rondo_prepare *prepare = prepare_of(link);
        loop->prepare_next = link->next;
        rondo__door(loop, &prepare->base, &prepare_event, RONDO__FN(prepare->cb), NULL,
                    prepare->arg);
        link = loop->prepare_next;
    }
    loop->prepare_next = NULL;
}
