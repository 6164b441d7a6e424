/* SPDX-License-Identifier: MIT
 *
 * Waking the loop. Two flags make the eventfd rare: `woken` says that the sources must be drained,
 * `asleep` that the loop is, or is about to be, in the kernel. A sender sets woken, then looks at
 * asleep; the loop sets asleep, then looks at woken. Both orders are sequentially consistent, so at
 * least one of the two sees the other, and nobody writes to a loop that is awake anyway.
 */
#include "loop/wake.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "loop/loop.h"

/* Looks between two looks at the clock. */
#define SPIN_LOOKS 32

/* Leaves what the core has to others for a moment. */
#if defined(__x86_64__) || defined(__i386__)
#define PAUSE() __builtin_ia32_pause()
#else
#define PAUSE() atomic_signal_fence(memory_order_seq_cst)
#endif

bool rondo__wake(rondo_loop *loop) {
    if (atomic_exchange(&loop->woken, true)) return false;
    if (!atomic_load(&loop->asleep)) return false;
    int saved = errno; /* signal handlers come through here */
    uint64_t one = 1;
    /* It can only fail with EAGAIN, when 2^64 - 2 wake-ups wait already: the loop is awake then. */
    while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {}
    errno = saved;
    return true;
}

void rondo__guests_await(const rondo_loop *loop) {
    while (atomic_load(&loop->guests) > 0) sched_yield();
}

void rondo__source_add(rondo_loop *loop, rondo__source *source,
                       void (*drain)(rondo_loop *, rondo__source *)) {
    source->drain = drain;
    rondo__list_push_back(&loop->sources, &source->link);
}

void rondo__source_remove(rondo__source *source) { rondo__list_remove(&source->link); }

bool rondo__spin(const atomic_bool *sign, uint64_t until_ns) {
    do {
        for (int i = 0; i < SPIN_LOOKS; i++) {
            if (atomic_load_explicit(sign, memory_order_acquire)) return true;
            PAUSE();
        }
    } while (rondo__clock_ns() < until_ns);
    return false;
}

void rondo__loop_set_spin(rondo_loop *loop, uint32_t ns) { loop->spin_ns = ns; }

uint64_t rondo__loop_waits_since_ns(const rondo_loop *loop) { return loop->waits_since_ns; }
uint64_t rondo__loop_waited_until_ns(const rondo_loop *loop) { return loop->waited_until_ns; }

void rondo__loop_hold(rondo_loop *loop) { loop->held++; }

void rondo__loop_release(rondo_loop *loop) {
    RONDO_ASSERT(loop->held > 0);
    loop->held--;
}

void rondo__loop_hold_time(rondo_loop *loop) { loop->time_held++; }

void rondo__loop_release_time(rondo_loop *loop) {
    RONDO_ASSERT(loop->time_held > 0);
    loop->time_held--;
}

void rondo__at_loop_free(rondo_loop *loop, rondo__at_free *at_free,
                         void (*run)(rondo_loop *, rondo__at_free *)) {
    at_free->run = run;
    rondo__list_push_front(&loop->at_free, &at_free->link);
}

void rondo__at_close_all(rondo_loop *loop, rondo__at_free *node,
                         void (*run)(rondo_loop *, rondo__at_free *)) {
    node->run = run;
    rondo__list_push_back(&loop->at_close_all, &node->link);
}

void rondo__loop_set_part(rondo_loop *loop, int part, void *pointer) {
    loop->front.parts[part] = pointer;
}
