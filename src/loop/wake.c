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

void rondo__loop_set_spin(rondo_loop *loop, uint32_t ns) { loop->spin_ns = ns; }

uint64_t rondo__loop_waits_since_ns(const rondo_loop *loop) { return loop->waits_since_ns; }
uint64_t rondo__loop_waited_until_ns(const rondo_loop *loop) { return loop->waited_until_ns; }
