/* SPDX-License-Identifier: MIT
 *
 * The ring: one turn, phase after phase as RONDO_PHASES says, and rondo_loop_run() around it. Each
 * phase takes what was there when it began; what callbacks add to its own queue waits for the next
 * turn. docs/order.md numbers the rules that follow from this file, and names the tests that prove
 * them.
 *
 * A round is what one look at the kernel has found ready. It may take several turns: each runs so many
 * descriptors (RONDO_BUDGET_ready), and what they closed is gone, and its memory free, before the next
 * are touched. A turn that goes on with a round neither asks the kernel nor runs what waits for the
 * others, in the pending phase or behind the descriptors: whoever has been put off for the sake of the
 * descriptors waits for all of them, as ever (docs/decisions/0011).
 */
#include "loop/loop.h"
#include "loop/phases.h"

/* ---- the phases that have no file of their own ---- */

void rondo__run_timers(rondo_loop *loop) {
    rondo__loop_refresh_now(loop);
    rondo__wheel_fire(loop, &loop->wheel, loop->now_ns);
    loop->ready_ns = loop->now_ns;
}

static void run_tasks(rondo_loop *loop, rondo__list *queue) {
    rondo__list batch;
    rondo__list_init(&batch);
    rondo__list_splice_back(&batch, queue);
    for (rondo__list *link; (link = rondo__list_pop_front(&batch));) {
        rondo__task *task = RONDO__OF(link, rondo__task, link);
        task->run(loop, task);
        rondo__settle(loop);
    }
}

/* Whether the last round is not over: the turn goes on with it. */
static bool in_round(const rondo_loop *loop) { return !rondo__list_empty(&loop->ready); }

void rondo__run_pending(rondo_loop *loop) {
    if (in_round(loop)) return;
    loop->round++;
    run_tasks(loop, &loop->pending);
}

void rondo__run_closing(rondo_loop *loop) { run_tasks(loop, &loop->closing); }

void rondo__defer(rondo_loop *loop, rondo__task *task) {
    if (!rondo__list_linked(&task->link)) rondo__list_push_back(&loop->pending, &task->link);
}

void rondo__task_cancel(rondo__task *task) { rondo__list_remove(&task->link); }

/* ---- poll ---- */

/* Whether something is ready to run without the kernel's help. */
static bool work_waits(const rondo_loop *loop) {
    return !rondo__list_empty(&loop->pending) || !rondo__list_empty(&loop->closing) ||
           !rondo__list_empty(&loop->flushes) || loop->immediates.live > 0 || loop->ticks.live > 0;
}

bool rondo_loop_alive(const rondo_loop *loop) {
    RONDO__CHECK_LOOP(loop);
    return loop->active_count > 0 || loop->held > 0 || work_waits(loop) ||
           atomic_load(&loop->inbox.post_count) > 0;
}

/* A run of one callback does not sleep any more when it has had it, even earlier in this turn. */
static bool mode_sleeps(const rondo_loop *loop) {
    return loop->mode == RONDO_RUN_ALL ||
           (loop->mode == RONDO_RUN_ONCE && loop->callbacks == loop->run_callbacks);
}

/* How long the poll phase may sleep. */
static uint64_t time_to_sleep(rondo_loop *loop) {
    if (!mode_sleeps(loop) || work_waits(loop) || atomic_load(&loop->stop) ||
        !rondo_loop_alive(loop))
        return 0;
    uint64_t next_ns = rondo__wheel_next(&loop->wheel);
    if (next_ns == UINT64_MAX) return UINT64_MAX;
    return next_ns > loop->now_ns ? next_ns - loop->now_ns : 0;
}

/* With the virtual clock: looks for events without sleeping, and when there are none, jumps. While
 * jobs are in the pool it sleeps for them instead: they take no virtual time. */
static void wait_virtual(rondo_loop *loop, uint64_t timeout_ns) {
    bool jobs = loop->held > 0 || loop->time_held > 0;
    bool jump = timeout_ns > 0 && timeout_ns < UINT64_MAX && !jobs;
    uint64_t callbacks = loop->callbacks; /* watchers of others run inside: see io.c */
    rondo__poll_wait(loop, jump || timeout_ns == 0 ? 0 : UINT64_MAX);
    if (jump && rondo__list_empty(&loop->ready) && !atomic_load(&loop->woken) &&
        loop->callbacks == callbacks)
        loop->now_ns += timeout_ns;
    loop->ready_ns = loop->now_ns;
}

/* Asks the kernel what is ready now. */
static void begin_round(rondo_loop *loop) {
    uint64_t timeout_ns = time_to_sleep(loop);
    if (loop->virtual_clock) {
        wait_virtual(loop, timeout_ns);
    } else {
        rondo__poll_wait(loop, timeout_ns);
    }
    loop->round_ns = loop->ready_ns;
}

/* As many as the budget allows, or until as many handles have been closed: sixteen requests that came
 * in one piece are sixteen responses. At least one. */
static void run_ready(rondo_loop *loop) {
    uint32_t most = loop->budgets[RONDO_BUDGET_ready], left = most;
    uint64_t closed = loop->closed;
    for (rondo__list *link; (link = rondo__list_pop_front(&loop->ready));) {
        rondo__io *io = RONDO__OF(link, rondo__io, ready);
        int events = rondo__io_reported(io), watched = rondo__io_watched(io);
        /* Whoever stops watching leaves the round. In it and not watched: the kernel refused the
         * fd, and libev gave it up. Its owner must hear of that: rondo__io_watched() is 0. */
        if (watched) events &= watched;
        if (events) io->run(loop, io, events);
        rondo__settle(loop);
        if (--left == 0 || loop->closed - closed >= most) break;
    }
}

static void drain_sources(rondo_loop *loop) {
    if (!atomic_exchange(&loop->woken, false)) return;
    for (rondo__list *link = loop->sources.next; link != &loop->sources; link = link->next) {
        rondo__source *source = RONDO__OF(link, rondo__source, link);
        source->drain(loop, source);
        rondo__settle(loop);
    }
}

void rondo__run_poll(rondo_loop *loop) {
    if (in_round(loop))
        loop->ready_ns = loop->round_ns;
    else
        begin_round(loop);
    run_ready(loop);
    if (!in_round(loop)) drain_sources(loop);
}

/* ---- the turn ---- */

static void turn(rondo_loop *loop) {
    loop->turn++;
    loop->metrics.turns++;
#define RUN_PHASE(name, what)         \
    loop->phase = RONDO_PHASE_##name; \
    rondo__run_##name(loop);          \
    rondo__settle(loop);
    RONDO_PHASES(RUN_PHASE)
#undef RUN_PHASE
    loop->phase = RONDO_PHASE_none;
}

static void run_turns(rondo_loop *loop, rondo_run_mode mode) {
    loop->mode = mode;
    loop->run_callbacks = loop->callbacks;
    rondo__settle(loop); /* what was written and ticked at top level */
    while (!atomic_load(&loop->stop) && rondo_loop_alive(loop)) {
        turn(loop);
        if (mode == RONDO_RUN_NOWAIT) break;
        if (mode == RONDO_RUN_ONCE && loop->callbacks != loop->run_callbacks) break;
    }
}

int rondo_loop_run(rondo_loop *loop, rondo_run_mode mode) {
    if (rondo__loop_is_elsewhere(loop))
        return RONDO_ENOTSUP; /* its epoll set is the parent's too */
    RONDO__CHECK_LOOP(loop);
    if (loop->front.running || loop->depth > 0) return RONDO_EBUSY; /* depth: in an emission */
    rondo_loop *outer = rondo__here;
    rondo__here = loop;
    loop->front.thread = &rondo__here;
    loop->front.running = true;
    loop->run_since_ns = rondo__clock_ns();
    loop->run_asleep_ns = loop->metrics.asleep_ns;
    if (!atomic_load(&loop->stop)) run_turns(loop, mode);
    atomic_store(&loop->stop, false);
    loop->metrics.busy_ns +=
        rondo__clock_ns() - loop->run_since_ns - (loop->metrics.asleep_ns - loop->run_asleep_ns);
    loop->front.running = false;
    rondo__here = outer;
    return rondo_loop_alive(loop) ? 1 : 0;
}

void rondo_loop_stop(rondo_loop *loop) {
    RONDO_ASSERT(loop && loop->front.magic == RONDO__LOOP_MAGIC);
    rondo__guest_comes(loop);
    atomic_store(&loop->stop, true);
    rondo__wake(loop);
    rondo__guest_goes(loop);
}

/* ---- what the table says ---- */

const char *rondo_phase_name(rondo_phase phase) {
    switch (phase) {
#define NAME(name, what) \
    case RONDO_PHASE_##name: return #name;
        RONDO_PHASES(NAME)
#undef NAME
    case RONDO_PHASE_none: break;
    }
    return "none";
}

const char *rondo_phase_text(rondo_phase phase) {
    switch (phase) {
#define TEXT(name, what) \
    case RONDO_PHASE_##name: return what;
        RONDO_PHASES(TEXT)
#undef TEXT
    case RONDO_PHASE_none: break;
    }
    return "";
}
