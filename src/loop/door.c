/* SPDX-License-Identifier: MIT
 *
 * The door. event->thunk() below, on its two lines, is the only call of user callbacks in the whole
 * library. With nobody watching, the door costs some thirty instructions.
 */
#include "loop/door.h"

#include "loop/emit.h"
#include "loop/loop.h"

static uint64_t visit_clock(const rondo_loop *loop) {
    return loop->virtual_clock ? loop->now_ns : rondo__clock_ns();
}

/* number: of the callback. One that began before an observer came is not shown to it when it ends,
 * so that each end an observer sees belongs to a beginning. */
static void show(rondo_loop *loop, const rondo_visit *visit, uint64_t number) {
    for (rondo__list *link = loop->observers.next, *next; link != &loop->observers; link = next) {
        rondo__observer *observer = RONDO__OF(link, rondo__observer, link);
        next = link->next; /* an observer may remove itself */
        if (number > observer->since) observer->cb(loop, visit, observer->arg);
    }
}

static void count_times(rondo_metrics *metrics, const rondo_visit *visit) {
    uint64_t waited = visit->begin_ns > visit->ready_ns ? visit->begin_ns - visit->ready_ns : 0;
    uint64_t ran = visit->end_ns - visit->begin_ns;
    metrics->measured++;
    metrics->ready_wait_ns += waited;
    metrics->callback_ns += ran;
    if (waited > metrics->ready_wait_max_ns) metrics->ready_wait_max_ns = waited;
    if (ran > metrics->callback_max_ns) metrics->callback_max_ns = ran;
}

/* The slow side: somebody wants to see it. A function of its own, so that the other side has no registers to
 * save for it. */
static __attribute__((noinline)) RONDO__COLD void call_watched(rondo_loop *loop,
                                                               rondo_handle *handle,
                                                               const rondo__event *event,
                                                               rondo__fn fn, void *payload,
                                                               void *arg) {
    rondo_visit visit = {
        .event = event->name,
        .handle = handle,
        .phase = loop->phase,
        .depth = loop->depth,
        .turn = loop->turn,
        .ready_ns = loop->ready_ns,
        .begin_ns = visit_clock(loop),
    };
    uint64_t number = loop->callbacks;
    show(loop, &visit, number);
    event->thunk(fn, loop, handle, payload, arg);
    visit.end_ns = visit_clock(loop);
    if (loop->measure && loop->depth == 1) count_times(&loop->metrics, &visit);
    if (visit.end_ns == 0)
        visit.end_ns = 1; /* 0 means: not ended; a virtual clock may stand at 0 */
    show(loop, &visit, number);
}

void rondo__door(rondo_loop *loop, rondo_handle *handle, const rondo__event *event, rondo__fn fn,
                 void *payload, void *arg) {
    /* Put back, not counted down: one round trip through memory less. */
    uint32_t depth = loop->depth;
    loop->callbacks++;
    loop->depth = depth + 1;
    if (RONDO__UNLIKELY(loop->watched)) {
        call_watched(loop, handle, event, fn, payload, arg);
    } else {
        event->thunk(fn, loop, handle, payload, arg);
    }
    loop->depth = depth;
    if (RONDO__UNLIKELY(depth > 0)) return; /* seldom: callbacks inside of callbacks */
    loop->now_fresh = false;
    rondo__settle(loop);
}

static void tick_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    (void)handle, (void)payload;
    ((void (*)(rondo_loop *, void *))fn)(loop, arg);
}
static const rondo__event tick_event = {"tick", tick_thunk};

/* Runs queued ticks, those that they queue included, up to the budget. What is left over then goes
 * on after the next callback, so that a runaway chain can't lock out everybody else. */
static void drain_ticks(rondo_loop *loop) {
    rondo__entry tick;
    uint32_t left = loop->budgets[RONDO_BUDGET_ticks];
    uint64_t ready_ns = loop->ready_ns; /* what the phase goes on with has been ready for longer */
    loop->draining = true;
    if (loop->watched) loop->ready_ns = visit_clock(loop);
    while (left > 0 && rondo__queue_pop(&loop->ticks, UINT64_MAX, &tick)) {
        left--;
        rondo__door(loop, NULL, &tick_event, tick.fn, NULL, tick.arg);
    }
    if (loop->ticks.live == 0) {
        loop->runaway = false;
    } else if (!loop->runaway) {
        loop->runaway = true;
        rondo__uncaught(loop, NULL, RONDO_ERUNAWAY,
                        "next ticks queue next ticks without end; the rest runs after the next "
                        "callback (see RONDO_BUDGET_ticks)");
    }
    loop->draining = false;
    loop->ready_ns = ready_ns;
}

void rondo__settle_now(rondo_loop *loop) {
    if (loop->depth > 0 || !loop->front.running) return;
    if (loop->corked == 0) {
        for (rondo__list *link; (link = rondo__list_pop_front(&loop->flushes));) {
            rondo__flush *flush = RONDO__OF(link, rondo__flush, link);
            flush->flush(flush);
        }
    }
    if (loop->ticks.live > 0 && !loop->draining) drain_ticks(loop);
}

void rondo__flush_queue(rondo_loop *loop, rondo__flush *flush) {
    rondo__list_push_back(&loop->flushes, &flush->link);
}

void rondo__flush_cancel(rondo__flush *flush) { rondo__list_remove(&flush->link); }

void rondo__cork(rondo_loop *loop) { loop->corked++; }

void rondo__uncork(rondo_loop *loop) {
    RONDO_ASSERT(loop->corked > 0);
    loop->corked--;
}
