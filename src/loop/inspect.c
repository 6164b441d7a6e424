/* SPDX-License-Identifier: MIT
 *
 * Looking into a loop: walk, dump, counters, observers, and the self-check that runs when a loop is
 * freed and after every test. Nothing here changes how the loop turns.
 */
#include <rondo/observer.h>

#include <stdio.h>

#include "loop/loop.h"
#include "loop/memory.h"

size_t rondo_loop_walk(rondo_loop *loop, rondo_walk_cb cb, void *arg) {
    RONDO__CHECK_LOOP(loop);
    /* Handles leave the list only in the closing phase, one at a time and after their last
     * callback, so cb can't take away what comes next; new ones are appended behind `count`. */
    size_t count = loop->handle_count, visited = 0;
    rondo__list *link = loop->handles.next;
    loop->depth++; /* as inside a callback: the loop can't be run from here */
    for (; visited < count; visited++, link = link->next)
        cb(RONDO__OF(link, rondo_handle, link), arg);
    if (--loop->depth == 0) loop->now_fresh = false;
    return visited;
}

static const char *state_of(const rondo_handle *handle) {
    if (handle->flags & RONDO__HANDLE_CLOSING) return "closing";
    if (!(handle->flags & RONDO__HANDLE_ACTIVE)) return "idle";
    return handle->flags & RONDO__HANDLE_UNREF ? "active, unref" : "active";
}

void rondo_loop_dump(rondo_loop *loop, FILE *out) {
    RONDO__CHECK_LOOP(loop);
    uint64_t now_ns = loop->virtual_clock ? loop->now_ns : rondo__clock_ns();
    fprintf(out, "loop made at %s: turn %llu, %zu handle%s, %zu job%s in the pool\n", loop->site,
            (unsigned long long)loop->turn, loop->handle_count, loop->handle_count == 1 ? "" : "s",
            loop->held, loop->held == 1 ? "" : "s");
    for (rondo__list *link = loop->handles.next; link != &loop->handles; link = link->next) {
        const rondo_handle *handle = RONDO__OF(link, rondo_handle, link);
        bool named = (handle->flags & RONDO__HANDLE_NAMED) != 0;
        uint64_t age_ns = now_ns > handle->created_ns ? now_ns - handle->created_ns : 0;
        fprintf(out, "  %-14s %-13s %8.3f s  %s%s%s%s\n", handle->kind->name, state_of(handle),
                (double)age_ns / 1e9, named ? "'" : "", rondo__handle_name(handle),
                named ? "' made at " : "made at ", rondo__handle_site(handle));
    }
}

void rondo_loop_metrics(rondo_loop *loop, rondo_metrics *ret_metrics) {
    RONDO__CHECK_LOOP(loop);
    *ret_metrics = loop->metrics;
    ret_metrics->callbacks = loop->callbacks;
    ret_metrics->handles = loop->handle_count;
    if (loop->front.running)
        ret_metrics->busy_ns += rondo__clock_ns() - loop->run_since_ns -
                                (loop->metrics.asleep_ns - loop->run_asleep_ns);
}

static void update_watched(rondo_loop *loop) {
    loop->watched = loop->measure || !rondo__list_empty(&loop->observers);
}

void rondo_loop_measure(rondo_loop *loop, bool on) {
    RONDO__CHECK_LOOP(loop);
    loop->measure = on;
    update_watched(loop);
}

int rondo_loop_observe(rondo_loop *loop, rondo_observer_cb cb, void *arg) {
    RONDO__CHECK_LOOP(loop);
    if (!cb) return RONDO_EINVAL;
    rondo__observer *observer = rondo__alloc(sizeof *observer);
    if (!observer) return RONDO_ENOMEM;
    observer->cb = cb;
    observer->arg = arg;
    observer->since = loop->callbacks;
    rondo__list_push_back(&loop->observers, &observer->link);
    update_watched(loop);
    return 0;
}

int rondo_loop_unobserve(rondo_loop *loop, rondo_observer_cb cb, void *arg) {
    RONDO__CHECK_LOOP(loop);
    for (rondo__list *link = loop->observers.next; link != &loop->observers; link = link->next) {
        rondo__observer *observer = RONDO__OF(link, rondo__observer, link);
        if (observer->cb != cb || observer->arg != arg) continue;
        rondo__list_remove(link);
        rondo__free(observer);
        update_watched(loop);
        return 0;
    }
    return RONDO_ENOENT;
}

static size_t verified_length(const rondo__list *head) {
    size_t length = 0;
    const rondo__list *link = head;
    do {
        RONDO_ASSERT(link->next->prev == link && link->prev->next == link);
        length++;
        link = link->next;
    } while (link != head);
    return length - 1;
}

void rondo__loop_verify(const rondo_loop *loop) {
    RONDO_ASSERT(loop->front.magic == RONDO__LOOP_MAGIC);
    RONDO_ASSERT(verified_length(&loop->handles) == loop->handle_count);
    verified_length(&loop->flushes);
    verified_length(&loop->pending);
    verified_length(&loop->prepares);
    verified_length(&loop->ready);
    verified_length(&loop->closing);
    verified_length(&loop->sources);
    rondo__wheel_verify(&loop->wheel);
    size_t active = 0;
    for (rondo__list *link = loop->handles.next; link != &loop->handles; link = link->next) {
        const rondo_handle *handle = RONDO__OF(link, rondo_handle, link);
        RONDO_ASSERT(handle->magic == RONDO__MAGIC_ALIVE && handle->loop == loop && handle->kind);
        bool is_active = handle->flags & RONDO__HANDLE_ACTIVE;
        RONDO_ASSERT(!(is_active && (handle->flags & RONDO__HANDLE_CLOSING)));
        active += is_active && !(handle->flags & RONDO__HANDLE_UNREF);
        if (handle->kind->verify) handle->kind->verify(handle);
    }
    RONDO_ASSERT(active == loop->active_count);
    RONDO_ASSERT(loop->depth > 0 || loop->corked == 0);
}
