/* SPDX-License-Identifier: MIT
 *
 * rondo_timer: never early, no drift, re-arming, stopping, huge delays, missed periods. The order
 * among timers is in test_order_queues.c, the wheel below in test_timer_wheel.c.
 */
#include "loop/loop.h"
#include "trace.h"

#include <time.h>

#define MS UINT64_C(1000000)

static uint64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
}

/* ---- When ---- */

static void check_not_early(rondo_timer *timer, void *arg) {
    uint64_t real_ns = clock_ns(), deadline_ns = *(uint64_t *)arg;
    CHECK(real_ns >= deadline_ns);
    CHECK(rondo_loop_now_ns(rondo_handle_loop(timer)) >= deadline_ns);
    *(uint64_t *)arg = 0;
}
TEST(a_timer_is_never_early) {
    static const uint64_t delays_ms[] = {0, 1, 2, 3, 5};
    static const uint64_t delays_ns[] = {1, 999, 300000, 999999, 1000001, 1700000, 2500001};
    uint64_t deadlines[12];
    rondo_loop *loop = rondo_loop_new();
    for (int i = 0; i < 12; i++) {
        rondo_timer *timer = rondo_timer_new(loop);
        uint64_t start_ns = clock_ns();
        while (clock_ns() == start_ns) {}
        start_ns = clock_ns();
        if (i < 5) {
            rondo_timer_start(timer, delays_ms[i], 0, check_not_early, &deadlines[i]);
            deadlines[i] = start_ns + delays_ms[i] * MS;
            CHECK(rondo_timer_deadline_ns(timer) >= deadlines[i]);
        } else {
            deadlines[i] = start_ns + delays_ns[i - 5];
            rondo_timer_start_at(timer, deadlines[i], check_not_early, &deadlines[i]);
            CHECK_INT(rondo_timer_deadline_ns(timer), deadlines[i]);
        }
    }
    rondo_loop_run(loop, RONDO_RUN_ALL);
    for (int i = 0; i < 12; i++) CHECK_INT(deadlines[i], 0);
    end_loop(loop);
}

static void note_time(rondo_timer *timer, void *arg) {
    note("%s@%d", (char *)arg, (int)rondo_loop_now_ms(rondo_handle_loop(timer)));
}
TEST(the_sleep_ends_at_the_next_deadline_without_turns_in_between) {
    rondo_loop *loop = new_virtual_loop();
    start_timer(loop, 7, note_time, "a");
    start_timer(loop, 7000, note_time, "b");
    start_timer(loop, 7000000, note_time, "c");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("a@1007 b@8000 c@7001000");
    CHECK_INT(rondo_loop_turn(loop), 4); /* each turn fires, then sleeps */
    end_loop(loop);

    loop = rondo_loop_new(); /* the same on the real clock, where waking up early costs a turn */
    for (unsigned i = 1; i <= 5; i++) start_timer(loop, i, note_timer, "x");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("x x x x x");
    CHECK(rondo_loop_turn(loop) <= 6 + 10);
    end_loop(loop);
}

static void again_from_immediate(rondo_loop *loop, void *arg) {
    start_timer(loop, 0, note_time, "timer");
    note("immediate");
}
TEST(a_timer_of_0_ms_started_in_an_immediate_fires_in_the_next_turn_at_the_same_time) {
    rondo_loop *loop = new_virtual_loop();
    rondo_immediate(loop, again_from_immediate, NULL);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("immediate timer@1000");
    CHECK_INT(rondo_loop_turn(loop), 2);
    end_loop(loop);
}

TEST(a_time_in_the_past_is_due_at_once_in_order) {
    rondo_loop *loop = new_virtual_loop();
    rondo_timer *a = rondo_timer_new(loop), *b = rondo_timer_new(loop), *c = rondo_timer_new(loop);
    rondo_timer_start_at(a, 999 * MS, note_time, "999");
    rondo_timer_start_at(b, 0, note_time, "0");
    rondo_timer_start_at(c, 1, note_time, "1");
    start_timer(loop, 0, note_time, "now");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("0@1000 1@1000 999@1000 now@1000");
    end_loop(loop);
}

TEST(huge_delays_do_not_overflow) {
    static const uint64_t huge[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / MS,
                                    UINT64_MAX / MS + 1, (uint64_t)1 << 63};
    rondo_loop *loop = new_virtual_loop();
    rondo_timer *timer = rondo_timer_new(loop);
    for (int i = 0; i < 5; i++) {
        CHECK_INT(rondo_timer_start(timer, huge[i], huge[i], note_timer, "never"), 0);
        CHECK(rondo_timer_deadline_ns(timer) == UINT64_MAX - 1);
        CHECK_INT(rondo_timer_start_at(timer, huge[i], note_timer, "never"), 0);
        CHECK(rondo_timer_deadline_ns(timer) == (huge[i] < UINT64_MAX ? huge[i] : huge[i] - 1));
    }
    CHECK_INT(rondo_timer_start(timer, UINT64_MAX, 0, note_timer, "never"), 0);
    start_timer(loop, 1, note_timer, "1");
    rondo_loop_run(loop, RONDO_RUN_ONCE);
    CHECK_TRACE("1");
    end_loop(loop);
}

static int periods;
static void stop_after_3(rondo_timer *timer, void *arg) {
    note("r");
    if (++periods == 3) rondo_timer_stop(timer);
}
TEST(timers_fire_until_the_end_of_the_clock) {
    rondo_loop *loop = rondo_loop_new();
    CHECK_INT(rondo_loop_use_virtual_clock(loop, UINT64_MAX - 5 * MS), 0);
    start_timer(loop, 4, note_timer, "4");
    start_timer(loop, 1000, note_timer, "end");
    rondo_timer_start(rondo_timer_new(loop), 6, UINT64_MAX, stop_after_3, NULL);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("4 end r r r");
    CHECK(rondo_loop_now_ns(loop) == UINT64_MAX - 1);
    end_loop(loop);
}

/* ---- Repeating ---- */

static void repeat_5(rondo_timer *timer, void *arg) {
    uint64_t *first_ns = arg;
    periods++;
    CHECK(rondo_is_active(timer));
    CHECK_INT(rondo_timer_deadline_ns(timer),
              *first_ns + (uint64_t)periods * MS + rondo_timer_missed(timer) * MS);
    if (periods == 5) rondo_close(timer);
}
TEST(a_repeating_timer_does_not_drift) {
    rondo_loop *loop = rondo_loop_new();
    rondo_timer *timer = rondo_timer_new(loop);
    uint64_t first_ns;
    CHECK_INT(rondo_timer_start(timer, 2, 1, repeat_5, &first_ns), 0);
    first_ns = rondo_timer_deadline_ns(timer);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_INT(periods, 5);
    rondo_loop_free(loop);
}

static void busy_ms(rondo_timer *timer, void *arg) {
    rondo_loop *loop = rondo_handle_loop(timer);
    note("%d", (int)rondo_loop_now_ms(loop));
    loop->now_ns += (uint64_t)(uintptr_t)arg * MS; /* the callback takes so long */
    if (++periods == 3) rondo_timer_stop(timer);
}
TEST(periods_that_were_missed_are_skipped_and_counted) {
    static const struct {
        unsigned busy_ms;
        const char *trace;
        int missed;
    } cases[] = {
        {0, "1010 1020 1030", 0},    {9, "1010 1020 1030", 0},  {10, "1010 1020 1030", 0},
        {19, "1010 1029 1048", 1},   {20, "1010 1030 1050", 2}, {25, "1010 1035 1060", 3},
        {100, "1010 1110 1210", 18},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rondo_loop *loop = new_virtual_loop();
        rondo_timer *timer = rondo_timer_new(loop);
        rondo_metrics metrics;
        periods = 0;
        rondo_timer_start(timer, 10, 10, busy_ms, (void *)(uintptr_t)cases[i].busy_ms);
        rondo_loop_run(loop, RONDO_RUN_ALL);
        CHECK_TRACE(cases[i].trace);
        CHECK_INT(rondo_timer_missed(timer), cases[i].missed);
        rondo_loop_metrics(loop, &metrics);
        CHECK_INT(metrics.late_timers, cases[i].missed);
        CHECK_INT(rondo_timer_start(timer, 1, 1, busy_ms, NULL), 0);
        CHECK_INT(rondo_timer_missed(timer), 0); /* since it was started */
        end_loop(loop);
    }
}

/* ---- Starting, stopping, again ---- */

TEST(starting_an_active_timer_re_arms_it_with_its_new_callback) {
    rondo_loop *loop = new_virtual_loop();
    rondo_timer *timer = start_timer(loop, 10, note_time, "old");
    CHECK_INT(rondo_timer_start(timer, 30, 0, note_time, "later"), 0);
    start_timer(loop, 20, note_time, "20");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("20@1020 later@1030");
    rondo_timer_start(timer, 30, 5, note_time, "old");
    CHECK_INT(rondo_timer_start(timer, 10, 0, note_time, "earlier"), 0);
    CHECK_INT(rondo_timer_deadline_ns(timer), 1040 * MS);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("earlier@1040");
    rondo_timer_start(timer, 30, 5, note_time, "old");
    CHECK_INT(rondo_timer_start_at(timer, 1050 * MS, note_time, "at"), 0); /* once */
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("at@1050");
    end_loop(loop);
}

TEST(a_stopped_timer_does_not_fire_and_may_be_started_again) {
    rondo_loop *loop = new_virtual_loop();
    rondo_timer *timer = start_timer(loop, 10, note_timer, "never");
    CHECK_INT(rondo_timer_stop(timer), 0);
    CHECK_INT(rondo_timer_stop(timer), 0);
    CHECK(!rondo_is_active(timer));
    CHECK_INT(rondo_timer_deadline_ns(timer), 0);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("");
    rondo_timer_start(timer, 10, 0, note_timer, "now");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("now");
    CHECK(!rondo_is_active(timer));
    end_loop(loop);
}

TEST(again_counts_the_delay_anew) {
    rondo_loop *loop = new_virtual_loop();
    rondo_timer *timer = rondo_timer_new(loop), *at = rondo_timer_new(loop);
    CHECK_INT(rondo_timer_again(timer), RONDO_EINVAL); /* never started */
    rondo_timer_start_at(at, 2000 * MS, note_time, "at");
    CHECK_INT(rondo_timer_again(at), RONDO_EINVAL); /* without a delay */
    rondo_timer_start(timer, 10, 0, note_time, "t");
    loop->now_ns += 4 * MS;
    CHECK_INT(rondo_timer_again(timer), 0);
    CHECK_INT(rondo_timer_deadline_ns(timer), 1014 * MS);
    rondo_timer_stop(timer);
    loop->now_ns += 4 * MS;
    CHECK_INT(rondo_timer_again(timer), 0); /* stopped: starts it */
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("t@1018 at@2000");
    CHECK_INT(rondo_timer_again(timer), 0);
    rondo_timer_start_at(timer, 2001 * MS, note_time, "at");
    CHECK_INT(rondo_timer_again(timer), RONDO_EINVAL);
    CHECK_INT(rondo_timer_deadline_ns(timer), 2001 * MS); /* as it was */
    end_loop(loop);
}

static void again_in_a_callback(rondo_loop *loop, void *arg) {
    rondo_timer *timer = rondo_timer_new(loop), *at = rondo_timer_new(loop);
    uint64_t now_ns = rondo_loop_now_ns(loop);
    CHECK_INT(rondo_timer_again(timer), RONDO_EINVAL);
    rondo_timer_start_at(at, 1, note_time, "at");
    CHECK_INT(rondo_timer_again(at), RONDO_EINVAL);
    CHECK_INT(rondo_timer_deadline_ns(at), 1);
    rondo_timer_start(timer, 10, 0, note_time, "t");
    CHECK_INT(rondo_timer_again(timer), 0);
    CHECK_INT(rondo_timer_deadline_ns(timer), now_ns + 10 * MS);
    loop->now_ns += MS;
    CHECK_INT(rondo_timer_again(timer), 0);
    CHECK_INT(rondo_timer_deadline_ns(timer), now_ns + 11 * MS);
    loop->now_ns = now_ns;
    CHECK_INT(rondo_timer_again(timer), 0); /* nearer: not by pushing it */
    CHECK_INT(rondo_timer_deadline_ns(timer), now_ns + 10 * MS);
    rondo_timer_start(timer, UINT64_MAX, 0, note_time, "never"); /* to the end of the clock */
    loop->now_ns += MS;
    CHECK_INT(rondo_timer_again(timer), 0);
    CHECK(rondo_timer_deadline_ns(timer) == UINT64_MAX - 1);
    loop->now_ns = now_ns;
    rondo_close(timer);
    rondo_close(at);
    CHECK_INT(rondo_timer_again(timer), RONDO_ECLOSED);
    CHECK_INT(rondo_timer_again(at), RONDO_ECLOSED);
    note("done");
}
TEST(again_in_a_callback_says_the_same_whatever_the_time) {
    static const uint64_t times[] = {0, 1, 1000 * MS, UINT64_MAX / 2};
    for (int i = 0; i < 4; i++) {
        rondo_loop *loop = rondo_loop_new();
        CHECK_INT(rondo_loop_use_virtual_clock(loop, times[i]), 0);
        rondo_immediate(loop, again_in_a_callback, NULL);
        rondo_loop_run(loop, RONDO_RUN_ALL);
        CHECK_TRACE("done");
        end_loop(loop);
    }
}

/* The callback has been busy, and is the first of its turn to ask for the time. */
static void again_after_a_while(rondo_loop *loop, void *arg) {
    uint64_t begun_ns = clock_ns(), real_ns;
    while ((real_ns = clock_ns()) < begun_ns + 2 * MS) {}
    CHECK_INT(rondo_timer_again(arg), 0);
    CHECK(rondo_timer_deadline_ns(arg) >= real_ns + 60000 * MS);
}
TEST(again_counts_from_the_call_not_from_the_beginning_of_the_turn) {
    rondo_loop *loop = rondo_loop_new();
    rondo_timer *timer = start_timer(loop, 60000, note_time, "never");
    rondo_immediate(loop, again_after_a_while, timer);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("");
    end_loop(loop);
}

TEST(a_timer_that_is_pushed_ahead_all_the_time_never_fires) {
    rondo_loop *loop = new_virtual_loop();
    rondo_timer *timer = start_timer(loop, 50, note_timer, "never");
    for (int i = 0; i < 10000; i++) {
        loop->now_ns += 7 * MS;
        CHECK_INT(rondo_timer_again(timer), 0);
        if (i % 3 == 0) CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 1);
    }
    CHECK_TRACE("");
    uint64_t turn = rondo_loop_turn(loop);
    rondo_timer_start(timer, 50, 0, note_timer, "at last");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("at last");
    CHECK(rondo_loop_turn(loop) - turn <= 3); /* one turn may go to the deadline it had before */
    end_loop(loop);
}

static void check_idle(rondo_timer *timer, void *arg) {
    CHECK(!rondo_is_active(timer)); /* one-shot: over before its callback */
    CHECK_INT(rondo_timer_deadline_ns(timer), 0);
    note("idle");
    if (arg) rondo_timer_start(timer, 5, 0, check_idle, NULL);
}
TEST(a_one_shot_timer_is_idle_in_its_callback_and_may_start_itself) {
    rondo_loop *loop = new_virtual_loop();
    rondo_timer *timer = start_timer(loop, 10, check_idle, "again");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("idle idle");
    CHECK(!rondo_is_active(timer));
    end_loop(loop);
}

TEST(a_repeating_timer_may_be_stopped_in_its_callback) {
    rondo_loop *loop = new_virtual_loop();
    rondo_timer *timer = rondo_timer_new(loop);
    rondo_timer_start(timer, 1, 1, stop_after_3, NULL);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("r r r");
    end_loop(loop);
}

/* ---- Timers that are due together and meddle with each other ---- */

static rondo_timer *others[3];
static void meddle(rondo_timer *timer, void *arg) {
    note("first");
    rondo_timer_stop(others[0]);
    rondo_timer_again(others[1]);
    rondo_timer_start(others[2], 0, 0, note_time, "restarted");
}
TEST(a_due_timer_may_be_stopped_pushed_ahead_or_restarted_by_one_before_it) {
    rondo_loop *loop = new_virtual_loop();
    start_timer(loop, 10, meddle, NULL);
    for (int i = 0; i < 3; i++) others[i] = start_timer(loop, 10, note_time, "again");
    start_timer(loop, 10, note_time, "last");
    rondo_immediate(loop, note_tick, "immediate");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("immediate first last@1010 restarted@1010 again@1020");
    end_loop(loop);
}
