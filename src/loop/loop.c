/* SPDX-License-Identifier: MIT
 *
 * The life of a loop: made, asked, emptied, freed. How it turns is in turn.c.
 */
#include "loop/loop.h"

#include <string.h>
#include <unistd.h>

#include "loop/memory.h"

_Thread_local rondo_loop *rondo__here;

_Noreturn void rondo__loop_misused(const rondo_loop *loop, const char *function) {
    if (!loop) rondo__fatal("%s: the loop is NULL", function);
    if (loop->front.magic != RONDO__LOOP_MAGIC)
        rondo__fatal("%s: %p is not a loop, or was freed", function, (const void *)loop);
    rondo__fatal("%s: the loop made at %s was used from a thread that does not run it; "
                 "use rondo_loop_post()",
                 function, loop->site);
}

static void init_lists(rondo_loop *loop) {
    rondo__list *const lists[] = {
        &loop->flushes, &loop->pending, &loop->prepares, &loop->ready,        &loop->closing,
        &loop->handles, &loop->sources, &loop->at_free,  &loop->at_close_all, &loop->observers};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) rondo__list_init(lists[i]);
    rondo__queue_init(&loop->ticks);
    rondo__queue_init(&loop->immediates);
    rondo__wheel_init(&loop->wheel, loop->now_ns);
}

/* On a boundary of cache lines, whatever the allocator in use gives. */
static rondo_loop *new_aligned(void) {
    void *block = rondo__zalloc(sizeof(rondo_loop) + RONDO__CACHE_LINE - 1);
    if (!block) return NULL;
    rondo_loop *loop = (rondo_loop *)(((uintptr_t)block + RONDO__CACHE_LINE - 1) &
                                      ~(uintptr_t)(RONDO__CACHE_LINE - 1));
    loop->block = block;
    return loop;
}

rondo_loop *rondo_loop_new_at(const char *site) {
    static const uint32_t defaults[] = {
#define DEFAULT(name, value, what) [RONDO_BUDGET_##name] = (value),
        RONDO_BUDGETS(DEFAULT)
#undef DEFAULT
    };
    rondo_loop *loop = new_aligned();
    if (!loop) return NULL;
    rondo__memory_pin(+1);
    loop->front.magic = RONDO__LOOP_MAGIC;
    loop->site = site;
    loop->phase = RONDO_PHASE_none;
    loop->wake_fd = -1;
    loop->now_ns = rondo__clock_ns();
    loop->pid = getpid();
    memcpy(loop->budgets, defaults, sizeof defaults);
    init_lists(loop);
    rondo__signals_init(loop);
    rondo__inbox_init(loop);
    if (rondo__poll_init(loop) < 0) {
        rondo_loop_free(loop);
        return NULL;
    }
    return loop;
}

static void run_hooks(rondo_loop *loop, rondo__list *hooks) {
    for (rondo__list *link = hooks->next, *next; link != hooks; link = next) {
        rondo__at_free *hook = RONDO__OF(link, rondo__at_free, link);
        next = link->next;
        hook->run(loop, hook);
    }
}

void rondo_loop_close_all(rondo_loop *loop) {
    RONDO__CHECK_LOOP(loop);
    /* Closing takes no handle out of the list: that happens in the closing phase. */
    for (rondo__list *link = loop->handles.next; link != &loop->handles; link = link->next)
        rondo_close((rondo_any_handle)RONDO__OF(link, rondo_handle, link));
    run_hooks(loop, &loop->at_close_all);
}

bool rondo__loop_is_elsewhere(const rondo_loop *loop) {
    return loop && loop->front.magic == RONDO__LOOP_MAGIC && loop->pid != getpid();
}

/* In a child of fork(2): sockets, locks of other threads, a session of TLS are still the parent's,
 * and closing a handle could write to its peer. So only what is the loop's own goes. */
static void abandon(rondo_loop *loop) {
    rondo__signals_fini(loop);
    rondo__poll_fini(loop);
    *(volatile uint32_t *)&loop->front.magic = RONDO__MAGIC_DEAD;
    rondo__memory_pin(-1);
}

void rondo_loop_free(rondo_loop *loop) {
    if (!loop) return;
    if (rondo__loop_is_elsewhere(loop)) {
        abandon(loop);
        return;
    }
    RONDO__CHECK_LOOP(loop);
    if (loop->front.running)
        rondo__fatal("rondo_loop_free: the loop made at %s is running", loop->site);
    if (loop->handle_count > 0) {
        rondo_loop_dump(loop, stderr);
        rondo__fatal("rondo_loop_free: the loop made at %s still has %zu open handle%s, listed "
                     "above; close them (rondo_loop_close_all) and run it once more",
                     loop->site, loop->handle_count, loop->handle_count == 1 ? "" : "s");
    }
    if (loop->ev) rondo__loop_verify(loop);
    rondo__guests_await(loop);
    run_hooks(loop, &loop->at_free);
    rondo__signals_fini(loop); /* first: its handler wakes the loop */
    rondo__poll_fini(loop);
    rondo__inbox_fini(loop);
    rondo__queue_fini(&loop->ticks);
    rondo__queue_fini(&loop->immediates);
    for (rondo__list *link; (link = rondo__list_pop_front(&loop->observers));)
        rondo__free(RONDO__OF(link, rondo__observer, link));
    for (unsigned i = 0; i < RONDO__QUARANTINE; i++) {
        if (!loop->quarantine[i]) continue;
        rondo__handle_drop_name(loop->quarantine[i]);
        rondo__free(loop->quarantine[i]);
    }
    *(volatile uint32_t *)&loop->front.magic = RONDO__MAGIC_DEAD;
    rondo__free(loop->block);
    rondo__memory_pin(-1);
}

int rondo_loop_set_budget(rondo_loop *loop, rondo_budget budget, uint32_t value) {
    RONDO__CHECK_LOOP(loop);
    if ((unsigned)budget >= RONDO_BUDGET_COUNT || value == 0) return RONDO_EINVAL;
    loop->budgets[budget] = value;
    return 0;
}

uint32_t rondo_loop_budget(const rondo_loop *loop, rondo_budget budget) {
    RONDO__CHECK_LOOP(loop);
    return (unsigned)budget < RONDO_BUDGET_COUNT ? loop->budgets[budget] : 0;
}

void rondo_loop_set_data(rondo_loop *loop, void *data) {
    RONDO__CHECK_LOOP(loop);
    loop->data = data;
}

void *rondo_loop_data(const rondo_loop *loop) {
    RONDO__CHECK_LOOP(loop);
    return loop->data;
}

rondo_phase rondo_loop_phase(const rondo_loop *loop) {
    RONDO__CHECK_LOOP(loop);
    return loop->phase;
}

uint64_t rondo_loop_turn(const rondo_loop *loop) {
    RONDO__CHECK_LOOP(loop);
    return loop->turn;
}
