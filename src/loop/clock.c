/* SPDX-License-Identifier: MIT
 *
 * The loop's time: CLOCK_MONOTONIC, cached per callback, or a virtual clock that only the loop
 * moves.
 */
#include <time.h>

#include "loop/loop.h"

uint64_t rondo__clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void rondo__loop_refresh_now(rondo_loop *loop) {
    if (!loop->virtual_clock) loop->now_ns = rondo__clock_ns();
}

uint64_t rondo_loop_now_ns(rondo_loop *loop) {
    RONDO__CHECK_LOOP(loop);
    return rondo__now_ns(loop);
}

uint64_t rondo_loop_now_ms(rondo_loop *loop) { return rondo_loop_now_ns(loop) / 1000000u; }

void rondo_loop_update_now(rondo_loop *loop) {
    RONDO__CHECK_LOOP(loop);
    rondo__loop_refresh_now(loop);
    loop->now_fresh = loop->depth > 0;
}

int rondo_loop_use_virtual_clock(rondo_loop *loop, uint64_t start_ns) {
    RONDO__CHECK_LOOP(loop);
    if (loop->wheel.order > 0 || loop->turn > 0) return RONDO_EBUSY;
    loop->virtual_clock = true;
    loop->now_ns = start_ns;
    rondo__wheel_init(&loop->wheel, start_ns);
    return 0;
}
