/* SPDX-License-Identifier: MIT
 *
 * The loop's time: one time for a whole callback, read again where it must be; and the virtual
 * clock.
 */
#include "loop/loop.h"
#include "trace.h"

#include <time.h>

static uint64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- The real clock ---- */

static void look_at_time(rondo_timer *timer, void *arg) {
    rondo_loop *loop = rondo_handle_loop(timer);
    uint64_t first_ns = rondo_loop_now_ns(loop), wait_until = clock_ns() + 1000000;
    CHECK(first_ns <= clock_ns());
    while (clock_ns() < wait_until) {}
    CHECK(rondo_loop_now_ns(loop) == first_ns); /* one time for the whole callback */
    CHECK_INT(rondo_loop_now_ms(loop), first_ns / 1000000);
    rondo_loop_update_now(loop);
    uint64_t second_ns = rondo_loop_now_ns(loop);
    CHECK(second_ns >= wait_until);
    while (clock_ns() == second_ns) {}
    CHECK(rondo_loop_now_ns(loop) == second_ns);
    *(uint64_t *)arg = second_ns;
}
TEST(time_stands_still_in_a_callback_and_is_read_anew_in_the_next) {
    uint64_t seen_ns[2] = {0, 0};
    rondo_loop *loop = rondo_loop_new();
    start_timer(loop, 0, look_at_time, &seen_ns[0]);
    start_timer(loop, 0, look_at_time, &seen_ns[1]);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK(seen_ns[1] > seen_ns[0]);
    uint64_t now_ns = rondo_loop_now_ns(loop);
    CHECK(now_ns > seen_ns[1]);
    while (rondo_loop_now_ns(loop) == now_ns) {} /* at top level it is read at every call */
    end_loop(loop);
}

static int nested;
static void note_nested(rondo_emitter *emitter, void *payload, void *arg) {
    uint64_t until_ns = clock_ns() + 1000000;
    while (clock_ns() < until_ns) {}
    nested++;
}
static void emit_in_a_callback(rondo_timer *timer, void *arg) {
    rondo_loop *loop = rondo_handle_loop(timer);
    uint64_t now_ns = rondo_loop_now_ns(loop);
    CHECK_INT(rondo_emitter_emit(arg, "event", NULL), 1);
    CHECK(nested == 1);
    CHECK(rondo_loop_now_ns(loop) == now_ns);
}
TEST(time_stands_still_behind_a_callback_inside_of_one) {
    rondo_loop *loop = rondo_loop_new();
    rondo_emitter *emitter = rondo_emitter_new(loop);
    CHECK_INT(rondo_emitter_on(emitter, "event", note_nested, NULL), 0);
    start_timer(loop, 0, emit_in_a_callback, emitter);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_INT(nested, 1);
    rondo_close(emitter);
    end_loop(loop);
}

static void be_late(rondo_loop *loop, void *arg) {
    start_timer(loop, 1, note_timer, "timer");
    rondo_async_send(arg);
    uint64_t until_ns = clock_ns() + 2000000;
    while (clock_ns() < until_ns) {}
}
TEST(the_timers_phase_reads_the_clock) {
    rondo_loop *loop = rondo_loop_new();
    rondo_immediate(loop, be_late, rondo_async_new(loop, note_async, "async"));
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("timer async"); /* it is due at the beginning of that turn, not at its sleep */
    end_loop(loop);
}

static uint64_t posted_ns;
static void check_cached_time(rondo_loop *loop, void *arg) {
    CHECK(loop->now_ns >= posted_ns);
    rondo_loop_stop(loop);
}
static void *post_later(void *arg) {
    harness_sleep_ms(2);
    posted_ns = clock_ns();
    CHECK_INT(rondo_loop_post(arg, check_cached_time, NULL), 0);
    return NULL;
}
TEST(after_a_sleep_the_cached_time_is_that_of_waking_up) {
    rondo_loop *loop = rondo_loop_new();
    rondo_async_new(loop, note_async, NULL);
    pthread_t thread = harness_thread(post_later, loop);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    pthread_join(thread, NULL);
    end_loop(loop);
}

/* ---- The virtual clock ---- */

static void stand_still(rondo_timer *timer, void *arg) {
    rondo_loop *loop = rondo_handle_loop(timer);
    CHECK_INT(rondo_loop_now_ns(loop), *(uint64_t *)arg);
    rondo_loop_update_now(loop);
    CHECK_INT(rondo_loop_now_ns(loop), *(uint64_t *)arg);
    note("%s", "timer");
}
TEST(the_virtual_clock_moves_only_where_the_loop_would_sleep) {
    uint64_t want_ns = 3600000000007;
    rondo_loop *loop = rondo_loop_new();
    CHECK_INT(rondo_loop_use_virtual_clock(loop, 7), 0);
    CHECK_INT(rondo_loop_now_ns(loop), 7);
    start_timer(loop, 3600000, stand_still, &want_ns);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 1);
    CHECK_INT(rondo_loop_now_ns(loop), 7);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("timer");
    CHECK_INT(rondo_loop_now_ms(loop), 3600000);
    end_loop(loop);
}

TEST(the_virtual_clock_may_start_at_0) {
    uint64_t zero_ns = 0;
    rondo_loop *loop = rondo_loop_new();
    CHECK_INT(rondo_loop_use_virtual_clock(loop, 0), 0);
    rondo_timer *timer = start_timer(loop, 0, stand_still, &zero_ns);
    CHECK(rondo_is_active(timer));
    CHECK_INT(rondo_timer_deadline_ns(timer), 0);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 0); /* in the first turn */
    CHECK_TRACE("timer");
    CHECK_INT(rondo_loop_now_ns(loop), 0);
    end_loop(loop);
}

static int64_t slow_work(rondo_job *job, void *arg) {
    harness_sleep_ms(3);
    return 0;
}
static void note_done(rondo_loop *loop, int64_t result, void *arg) {
    note("done");
    CHECK_INT(rondo_loop_now_ms(loop), 1000);
}
TEST(virtual_time_does_not_pass_while_a_job_is_in_the_pool) {
    rondo_loop *loop = new_virtual_loop();
    start_timer(loop, 1, note_timer, "timer");
    CHECK_INT(rondo_work_submit(loop, NULL, NULL, slow_work, note_done, NULL), 0);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("done timer");
    end_loop(loop);
}

TEST(a_sleep_may_be_repeated_up_to_the_same_deadline) {
    rondo_loop *loop = rondo_loop_new();
    CHECK_INT(rondo_loop_use_virtual_clock(loop, 0), 0); /* so that none of it passes */
    rondo__poll_wait(loop, 1000000);
    rondo__poll_wait(loop, 1000000);
    rondo_loop_free(loop);
}

TEST(the_clock_can_be_chosen_only_before_it_is_used) {
    rondo_loop *loop = rondo_loop_new();
    rondo_timer *timer = start_timer(loop, 1000, note_timer, "t");
    CHECK_INT(rondo_loop_use_virtual_clock(loop, 0), RONDO_EBUSY);
    rondo_timer_stop(timer);
    CHECK_INT(rondo_loop_use_virtual_clock(loop, 0), RONDO_EBUSY);
    end_loop(loop);
    loop = rondo_loop_new();
    rondo_immediate(loop, note_tick, "immediate");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_INT(rondo_loop_use_virtual_clock(loop, 0), RONDO_EBUSY);
    CHECK_TRACE("immediate");
    rondo_loop_free(loop);
}
