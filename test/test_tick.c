/* SPDX-License-Identifier: MIT
 *
 * Next ticks and their budget, immediates and taking them back, prepare hooks. Their order is in
 * test_order_queues.c.
 */
#include "channel.h"
#include "trace.h"

/* ---- Next ticks and the budget ---- */

static rondo_loop *loop;
static int ticks, ticks_wanted;

static void tick_on(rondo_loop *self, void *arg) {
    if (++ticks < ticks_wanted) rondo_next_tick(self, tick_on, NULL);
}
static void report(rondo_loop *self, const rondo_uncaught *what, void *arg) {
    CHECK_INT(what->error, RONDO_ERUNAWAY);
    CHECK(what->handle == NULL);
    CHECK_STR(what->kind, "");
    CHECK_STR(what->name, "");
    CHECK(strstr(what->message, "RONDO_BUDGET_ticks"));
    note("runaway@%d", ticks);
}

static rondo_loop *begin(uint32_t budget) {
    loop = new_virtual_loop();
    rondo_loop_on_uncaught(loop, report, NULL);
    rondo_loop_set_budget(loop, RONDO_BUDGET_ticks, budget);
    ticks = 0;
    return loop;
}

TEST(a_chain_of_ticks_within_the_budget_is_nobodys_business) {
    begin(100);
    ticks_wanted = 100;
    rondo_next_tick(loop, tick_on, NULL);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_INT(ticks, 100);
    CHECK_TRACE("");
    rondo_loop_free(loop);
}

TEST(a_runaway_chain_is_reported_once_and_goes_on_after_the_next_callback) {
    begin(10);
    ticks_wanted = 35;
    rondo_next_tick(loop, tick_on, NULL);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_INT(ticks, 35); /* nothing is lost */
    CHECK_TRACE("runaway@10");
    ticks = 0;
    rondo_next_tick(loop, tick_on, NULL); /* another chain, another report */
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("runaway@10");
    rondo_loop_free(loop);
}

static void stop_ticking(rondo_loop *self, void *arg) {
    note("io");
    ticks_wanted = 0;
}
static void note_timer_and_io(rondo_timer *timer, void *arg) {
    note("timer");
    channel_poke(arg);
}
TEST(a_runaway_chain_starves_neither_timers_nor_io) {
    channel io;
    begin(10);
    ticks_wanted = 1 << 30;
    channel_open(&io, loop, stop_ticking, NULL);
    rondo_timer_start_at(rondo_timer_new(loop), 0, note_timer_and_io, &io);
    rondo_next_tick(loop, tick_on, NULL);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("runaway@10 timer io");
    CHECK(ticks < 100);
    channel_close(&io, loop);
    end_loop(loop);
}

static void many_ticks(rondo_timer *timer, void *arg) {
    for (int i = 0; i < 1000; i++) rondo_next_tick(loop, tick_on, NULL);
}
TEST(a_thousand_ticks_of_one_callback_all_run) {
    begin(10000);
    ticks_wanted = 0;
    start_timer(loop, 0, many_ticks, NULL);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_INT(ticks, 1000);
    end_loop(loop);
}

static void tick_of_event(rondo_emitter *emitter, void *payload, void *arg) {
    rondo_next_tick(loop, note_tick, "tick");
}
TEST(ticks_of_the_top_level_wait_for_the_run) {
    begin(10);
    rondo_emitter *emitter = rondo_emitter_new(loop);
    rondo_emitter_on(emitter, "event", tick_of_event, NULL);
    rondo_emitter_emit(emitter, "event", NULL);
    CHECK_TRACE("");
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("tick");
    CHECK_INT(rondo_loop_turn(loop), 0); /* that was all there was to do */
    end_loop(loop);
}

/* ---- Immediates ---- */

TEST(an_immediate_can_be_taken_back_until_it_runs) {
    begin(1);
    uint64_t a = rondo_immediate(loop, note_tick, "a"), b = rondo_immediate(loop, note_tick, "b");
    uint64_t c = rondo_immediate(loop, note_tick, "c");
    CHECK(a > 0 && b > a && c > b);
    CHECK_INT(rondo_immediate_cancel(loop, b), 0);
    CHECK_INT(rondo_immediate_cancel(loop, b), RONDO_ENOENT);
    CHECK_INT(rondo_immediate_cancel(loop, 0), RONDO_ENOENT);
    CHECK_INT(rondo_immediate_cancel(loop, c + 1), RONDO_ENOENT);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("a c");
    CHECK_INT(rondo_immediate_cancel(loop, a), RONDO_ENOENT);
    CHECK(rondo_immediate(loop, note_tick, "d") > c); /* ids are not used again */
    rondo_loop_free(loop);
}

static uint64_t next_id, own_id;
static void cancel_next(rondo_loop *self, void *arg) {
    note("first");
    CHECK_INT(rondo_immediate_cancel(self, own_id), RONDO_ENOENT); /* it is running */
    CHECK_INT(rondo_immediate_cancel(self, next_id), 0);
}
TEST(an_immediate_can_be_taken_back_by_one_that_runs_before_it) {
    begin(1);
    own_id = rondo_immediate(loop, cancel_next, NULL);
    next_id = rondo_immediate(loop, note_tick, "never");
    rondo_immediate(loop, note_tick, "last");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("first last");
    rondo_loop_free(loop);
}

static uint64_t counted;
static void count_up(rondo_loop *self, void *arg) {
    CHECK_INT((uintptr_t)arg, counted);
    counted++;
    /* Keeps the ring half full while it wraps around. */
    if (counted < 5000) rondo_immediate(self, count_up, (void *)(uintptr_t)(counted + 99));
}
TEST(many_immediates_keep_their_order_while_the_ring_grows_and_wraps) {
    begin(1);
    for (uintptr_t i = 0; i < 100; i++) {
        rondo_immediate(loop, count_up, (void *)i);
        rondo_immediate_cancel(loop, rondo_immediate(loop, note_tick, "never"));
    }
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_INT(counted, 5099);
    CHECK_TRACE("");
    rondo_loop_free(loop);
}

/* ---- Prepare hooks ---- */

static rondo_prepare *hooks[4];
static void close_hook(rondo_prepare *prepare, void *arg) {
    note("%s", (char *)arg);
    rondo_close(prepare);
}
TEST(a_prepare_hook_runs_every_turn_and_does_not_keep_the_loop_from_sleeping) {
    begin(1);
    hooks[0] = rondo_prepare_new(loop);
    CHECK(!rondo_is_active(hooks[0]));
    CHECK_INT(rondo_prepare_start(hooks[0], note_prepare, "p"), 0);
    CHECK(rondo_is_active(hooks[0]));
    start_timer(loop, 3600000, note_timer, "timer");
    rondo_unref(hooks[0]);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("p timer p");
    CHECK_INT(rondo_prepare_stop(hooks[0]), 0);
    CHECK_INT(rondo_prepare_stop(hooks[0]), 0);
    CHECK(!rondo_is_active(hooks[0]));
    end_loop(loop);
}

static int immediates_left;
static void immediate_again(rondo_loop *self, void *arg) {
    note("i");
    if (--immediates_left > 0) rondo_immediate(self, immediate_again, NULL);
}
static void close_after_turn_3(rondo_timer *timer, void *arg) {
    note("t");
    if (rondo_loop_turn(loop) > 3) rondo_close(hooks[0]), rondo_close(timer);
}
TEST(a_hook_that_is_always_active_starves_nobody) {
    begin(1);
    rondo_timer *timer = rondo_timer_new(loop);
    hooks[0] = rondo_prepare_new(loop);
    rondo_prepare_start(hooks[0], note_prepare, "p");
    rondo_timer_start(timer, 0, 1, close_after_turn_3, NULL);
    immediates_left = 2;
    rondo_immediate(loop, immediate_again, NULL);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("t p i p i p t");
    rondo_loop_free(loop);
}

static void meddle(rondo_prepare *prepare, void *arg) {
    note("b");
    rondo_close(hooks[0]);        /* has run */
    rondo_prepare_stop(hooks[2]); /* would be the next one */
    rondo_prepare_stop(prepare);
}
TEST(hooks_may_stop_and_close_one_another_and_themselves) {
    begin(1);
    for (int i = 0; i < 4; i++) hooks[i] = rondo_prepare_new(loop);
    rondo_prepare_start(hooks[0], note_prepare, "a");
    rondo_prepare_start(hooks[1], meddle, NULL);
    rondo_prepare_start(hooks[2], note_prepare, "c");
    rondo_prepare_start(hooks[3], close_hook, "d");
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("a b d");
    end_loop(loop);
}

static void stop_the_rest(rondo_prepare *prepare, void *arg) {
    note("a");
    for (int i = 3; i >= 0; i--) rondo_close(hooks[i]);
}
TEST(a_hook_may_close_all_that_come_after_it) {
    begin(1);
    for (int i = 0; i < 4; i++) {
        hooks[i] = rondo_prepare_new(loop);
        rondo_prepare_start(hooks[i], i == 0 ? stop_the_rest : note_prepare, "never");
    }
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("a");
    rondo_loop_free(loop);
}
