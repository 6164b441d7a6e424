/* SPDX-License-Identifier: MIT
 *
 * docs/order.md, rules O39 and O40: more descriptors are ready than one turn runs.
 */
#include "channel.h"
#include "loop/handle.h"
#include "trace.h"

#include <rondo/observer.h>
#include <signal.h>

enum { CHANNELS = 5 };

static rondo_loop *loop;
static channel channels[CHANNELS];

/* Words are the channels' numbers; "|" is where a turn asks the kernel, or goes on. */
static void begin(uint32_t budget) {
    static const char *const words[CHANNELS] = {"0", "1", "2", "3", "4"};
    loop = new_virtual_loop();
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_ready, budget), 0);
    for (int i = 0; i < CHANNELS; i++) channel_open(&channels[i], loop, note_tick, words[i]);
    rondo_prepare_start(rondo_prepare_new(loop), note_prepare, "|");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT); /* the kernel knows them now */
    CHECK_TRACE("|");
}

static void end(void) {
    for (int i = 0; i < CHANNELS; i++) channel_close(&channels[i], loop);
    end_loop(loop);
}

static void poke(const char *order) {
    for (; *order; order++) channel_poke(&channels[*order - '0']);
}

static void turns(int count) {
    while (count-- > 0) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
}

static void poke_and_note(rondo_loop *the_loop, void *arg) {
    note_tick(the_loop, arg);
    poke("01");
}

static void stop(rondo_loop *the_loop, void *arg) {
    note("stop");
    rondo_loop_stop(the_loop);
}

TEST(order_39_more_descriptors_than_the_budget_take_several_turns) {
    begin(2);
    poke("43210");
    turns(4);
    CHECK_TRACE("| 4 3 | 2 1 | 0 |");
    /* What becomes ready meanwhile comes behind them, also one that has had its turn (1 goes first by O23). */
    channels[3].cb = poke_and_note;
    poke("1324");
    turns(4);
    CHECK_TRACE("| 1 3 | 2 4 | 1 0 |");
    channels[3].cb = note_tick;
    poke("01"); /* no more than the budget: one turn */
    turns(2);
    CHECK_TRACE("| 0 1 |");
    end();
}

TEST(a_run_without_sleep_goes_through_all_parts) {
    begin(1);
    channels[0].cb = stop;
    poke("3210");
    rondo_async_new(loop, note_async, NULL); /* alive */
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("| 3 | 2 | 1 | stop");
    end();
}

TEST(the_default_is_64) {
    enum { MANY = 70 };
    static channel many[MANY];
    loop = new_virtual_loop();
    rondo_async_new(loop, note_async, NULL); /* alive */
    for (int i = 0; i < MANY; i++) channel_open(&many[i], loop, note_tick, "x");
    for (int i = 0; i < MANY; i++) channel_poke(&many[i]);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_INT(trace_size, 2 * 64 - 1);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_INT(trace_size, 2 * MANY - 1);
    trace_size = 0;
    for (int i = 0; i < MANY; i++) channel_close(&many[i], loop);
    end_loop(loop);
}

/* ---- handles that descriptors close ---- */

static void close_three(rondo_loop *the_loop, void *arg) {
    note_tick(the_loop, arg);
    for (int i = 0; i < 3; i++) rondo_close(rondo_timer_new(the_loop));
}

TEST(a_turn_ends_early_when_so_many_handles_have_been_closed) {
    begin(3);
    poke("01234");
    turns(3);
    CHECK_TRACE("| 0 1 2 | 3 4 |");
    channels[1].cb = close_three;
    poke("01234");
    turns(3);
    CHECK_TRACE("| 0 1 | 2 3 4 |");
    /* What others have closed does not count, and each turn runs one at least. */
    channels[1].cb = note_tick;
    poke("01234");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    close_three(loop, "top");
    turns(2);
    CHECK_TRACE("| 0 1 2 top | 3 4 |");
    end();
}

/* ---- what comes between two parts ---- */

static void deferred(rondo_loop *the_loop, rondo__task *task) { note("pending"); }
static rondo__task task;
static rondo_async *async;

static void all_at_once(rondo_loop *the_loop, void *arg) {
    note_tick(the_loop, arg);
    rondo_timer *timer = rondo_timer_new(the_loop);
    rondo_timer_start(timer, 0, 0, note_timer, "timer");
    timer = rondo_timer_new(the_loop);
    rondo_on_close(timer, note_close, "close");
    rondo_close(timer);
    rondo_immediate(the_loop, note_tick, "immediate");
    rondo_next_tick(the_loop, note_tick, "tick");
    rondo_loop_post(the_loop, note_tick, "post");
    rondo_async_send(async);
    raise(SIGUSR1);
    rondo__defer(the_loop, &task);
}

TEST(order_40_between_two_parts_come_timers_hooks_immediates_and_close_events) {
    begin(1);
    async = rondo_async_new(loop, note_async, "async");
    rondo_signal_start(rondo_signal_new(loop), SIGUSR1, note_signal, "signal");
    rondo__task_init(&task, deferred);
    channels[0].cb = all_at_once;
    poke("012");
    turns(1);
    CHECK_TRACE("| 0 tick immediate close");
    turns(1);
    CHECK_TRACE("timer | 1");
    turns(1);
    CHECK_TRACE("| 2 signal async post");
    turns(1);
    CHECK_TRACE("pending |");
    end();
}

/* ---- ends ---- */

static void close_the_others(rondo_loop *the_loop, void *arg) {
    note_tick(the_loop, arg);
    for (int i = 1; i < CHANNELS; i++) rondo__io_stop(the_loop, &channels[i].io);
}

TEST(descriptors_that_are_not_watched_any_more_leave_the_round) {
    begin(1);
    rondo__task_init(&task, deferred);
    rondo__defer(loop, &task);
    channels[0].cb = close_the_others;
    poke("01234");
    turns(3);
    CHECK_TRACE("pending | 0 | |");
    end();
}

TEST(a_stopped_run_leaves_the_rest_to_the_next_one) {
    begin(1);
    rondo_async_new(loop, note_async, NULL); /* alive */
    channels[2].cb = stop;
    poke("2341");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("| stop");
    turns(2);
    CHECK_TRACE("| 3 | 4");
    rondo_loop_close_all(
        loop); /* and a loop may end with descriptors that have not had their turn */
    for (int i = 0; i < CHANNELS; i++) channel_close(&channels[i], loop);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("");
    end_loop(loop);
}

/* ---- time ---- */

static uint64_t ready_ns[CHANNELS + 1];
static int seen;

static void look(rondo_loop *the_loop, const rondo_visit *visit, void *arg) {
    if (visit->end_ns == 0 && strcmp(visit->event, "channel") == 0)
        ready_ns[seen++] = visit->ready_ns;
}

TEST(descriptors_of_a_round_became_ready_at_the_same_time) {
    loop = rondo_loop_new(); /* on the real clock, which goes on between two turns */
    rondo_async_new(loop, note_async, NULL); /* alive */
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_ready, 2), 0);
    for (int i = 0; i < CHANNELS; i++) channel_open(&channels[i], loop, note_tick, "x");
    CHECK_INT(rondo_loop_observe(loop, look, NULL), 0);
    poke("01234");
    turns(3);
    CHECK_INT(seen, 5);
    for (int i = 1; i < CHANNELS; i++) CHECK(ready_ns[i] == ready_ns[0]);
    poke("3");
    turns(1);
    CHECK_INT(seen, 6);
    CHECK(ready_ns[5] > ready_ns[0]); /* a round of its own */
    CHECK_TRACE("x x x x x x");
    for (int i = 0; i < CHANNELS; i++) channel_close(&channels[i], loop);
    end_loop(loop);
}
