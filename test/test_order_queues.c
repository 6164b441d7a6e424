/* SPDX-License-Identifier: MIT
 *
 * docs/order.md, rules O13 to O29: the order inside each queue of the loop.
 */
#include "channel.h"
#include "trace.h"

#include <signal.h>

/* ---- Next ticks ---- */

static void tick(rondo_loop *loop) { CHECK_INT(rondo_next_tick(loop, note_tick, "tick"), 0); }

static void tick_timer(rondo_timer *timer, void *arg) {
    note("timer"), tick(rondo_handle_loop(timer));
}
static void tick_prepare(rondo_prepare *prepare, void *arg) {
    note("prepare"), tick(rondo_handle_loop(prepare));
}
static void tick_async(rondo_async *async, void *arg) {
    note("async"), tick(rondo_handle_loop(async));
}
static void tick_signal(rondo_signal *signal, int signum, void *arg) {
    note("signal"), tick(rondo_handle_loop(signal));
}
static void tick_close(rondo_handle *handle, void *arg) {
    note("close"), tick(rondo_handle_loop(handle));
}
static void tick_loop(rondo_loop *loop, void *arg) { note("%s", (char *)arg), tick(loop); }

TEST(order_13_ticks_run_after_each_callback_before_the_next_one) {
    rondo_loop *loop = new_virtual_loop();
    channel channels[2];
    for (int i = 0; i < 2; i++) {
        channel_open(&channels[i], loop, tick_loop, "io");
        channel_poke(&channels[i]);
        rondo_timer *timer = start_timer(loop, 0, tick_timer, NULL);
        rondo_on_close(timer, tick_close, NULL);
        rondo_prepare_start(rondo_prepare_new(loop), tick_prepare, NULL);
        rondo_signal_start(rondo_signal_new(loop), SIGUSR1, tick_signal, NULL);
        rondo_async_send(rondo_async_new(loop, tick_async, NULL));
        rondo_loop_post(loop, tick_loop, "post");
        rondo_immediate(loop, tick_loop, "immediate");
        rondo_on_close(timer, tick_close, NULL); /* two listeners: two callbacks */
        if (i == 1) rondo_close(timer);
    }
    raise(SIGUSR1);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("timer tick prepare tick prepare tick io tick io tick signal tick signal tick "
                "async tick async tick post tick post tick immediate tick immediate tick "
                "close tick close tick");
    for (int i = 0; i < 2; i++) channel_close(&channels[i], loop);
    end_loop(loop);
}

static void tick_once_more(rondo_loop *loop, void *arg) {
    note("%s", (char *)arg);
    rondo_next_tick(loop, note_tick, "later");
}
TEST(order_14_ticks_run_first_in_first_out_and_so_do_those_they_queue) {
    rondo_loop *loop = new_virtual_loop();
    start_timer(loop, 0, note_timer, "timer");
    rondo_next_tick(loop, tick_once_more, "a");
    rondo_next_tick(loop, tick_once_more, "b");
    rondo_next_tick(loop, note_tick, "c");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("a b c later later timer");
    end_loop(loop);
}

static rondo__flush first_flush, second_flush;
static void on_flush(rondo__flush *self) { note(self == &first_flush ? "flush1" : "flush2"); }
static void write_and_tick(rondo_loop *loop, void *arg) {
    note("%s", (char *)arg);
    if (strcmp(arg, "end") != 0) rondo_next_tick(loop, write_and_tick, "end");
    rondo__flush_later(loop, &second_flush);
    rondo__flush_later(loop, &first_flush);
    rondo__flush_later(loop, &second_flush);
}
TEST(order_15_what_a_callback_wrote_leaves_before_its_ticks_run) {
    rondo_loop *loop = new_virtual_loop();
    rondo__flush_init(&first_flush, on_flush), rondo__flush_init(&second_flush, on_flush);
    rondo_immediate(loop, write_and_tick, "a");
    rondo_immediate(loop, write_and_tick, "b");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("a flush2 flush1 end flush2 flush1 b flush2 flush1 end flush2 flush1");
    rondo__flush_later(loop, &first_flush); /* at the top level: when the loop runs */
    rondo__flush_later(loop, &second_flush);
    rondo__flush_cancel(&second_flush);
    CHECK_TRACE("");
    CHECK(rondo_loop_alive(loop));
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("flush1");
    rondo_loop_free(loop);
}

/* Several callbacks for one chunk of input, as a protocol makes them. */
static void run_corked(rondo_loop *loop, rondo__io *io, int events) {
    channel *self = RONDO__OF(io, channel, io);
    rondo__cork(loop);
    rondo__door(loop, NULL, &channel_event, RONDO__FN(write_and_tick), NULL, self->arg);
    rondo__door(loop, NULL, &channel_event, RONDO__FN(write_and_tick), NULL, self->arg);
    rondo__uncork(loop);
    note("uncorked");
    rondo__io_stop(loop, io);
}
TEST(while_the_loop_is_corked_ticks_run_but_nothing_leaves) {
    rondo_loop *loop = new_virtual_loop();
    channel channels[2];
    rondo__flush_init(&first_flush, on_flush), rondo__flush_init(&second_flush, on_flush);
    for (int i = 0; i < 2; i++) {
        channel_open(&channels[i], loop, NULL, i ? "b" : "a");
        channels[i].io.run = run_corked;
        channel_poke(&channels[i]);
    }
    rondo_immediate(loop, note_tick, "immediate");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("a end a end uncorked flush2 flush1 b end b end uncorked flush2 flush1 immediate");
    for (int i = 0; i < 2; i++) channel_close(&channels[i], loop);
    rondo_loop_free(loop);
}

static void on_event(rondo_emitter *emitter, void *payload, void *arg) {
    note("%s", (char *)arg), tick(rondo_handle_loop(emitter));
}
static void emit_twice(rondo_timer *timer, void *arg) {
    note("timer");
    CHECK_INT(rondo_emitter_emit(arg, "event", NULL), 2);
    note("emitted");
}
TEST(order_16_listeners_of_an_emitter_belong_to_the_callback_that_emits) {
    rondo_loop *loop = new_virtual_loop();
    rondo_emitter *emitter = rondo_emitter_new(loop);
    rondo_emitter_on(emitter, "event", on_event, "one");
    rondo_emitter_on(emitter, "event", on_event, "two");
    start_timer(loop, 0, emit_twice, emitter);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("timer one two emitted tick tick");
    end_loop(loop);
}

/* ---- Timers ---- */

TEST(order_17_timers_due_together_run_by_deadline_then_by_start) {
    rondo_loop *loop = new_virtual_loop();
    rondo_timer *blocker = rondo_timer_new(loop);
    start_timer(loop, 30, note_timer, "30a");
    start_timer(loop, 10, note_timer, "10a");
    start_timer(loop, 20, note_timer, "20a");
    start_timer(loop, 10, note_timer, "10b");
    start_timer(loop, 30, note_timer, "30b");
    rondo_timer_start_at(blocker, rondo_loop_now_ns(loop) + 10000001, note_timer, "10+1ns");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("10a 10b 10+1ns 20a 30a 30b");
    end_loop(loop);
}

TEST(order_18_starting_a_timer_again_counts_as_a_new_start) {
    rondo_loop *loop = new_virtual_loop();
    rondo_timer *first = start_timer(loop, 5, note_timer, "first");
    rondo_timer *again = start_timer(loop, 5, note_timer, "again");
    start_timer(loop, 5, note_timer, "last");
    CHECK_INT(rondo_timer_start(first, 5, 0, note_timer, "first"), 0);
    CHECK_INT(rondo_timer_again(again), 0);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("last first again");
    end_loop(loop);
}

static void start_zero(rondo_timer *timer, void *arg) {
    note("%s", (char *)arg);
    start_timer(rondo_handle_loop(timer), 0, note_timer, "inner");
}
TEST(order_19_a_timer_started_in_the_timers_phase_waits_for_the_next_turn) {
    rondo_loop *loop = new_virtual_loop();
    start_timer(loop, 0, start_zero, "a");
    start_timer(loop, 0, start_zero, "b");
    rondo_immediate(loop, note_tick, "immediate");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("a b immediate inner inner");
    end_loop(loop);
}

static void again_and_again(rondo_timer *timer, void *arg) {
    note("timer");
    if (rondo_loop_turn(rondo_handle_loop(timer)) < 3) CHECK_INT(rondo_timer_again(timer), 0);
}
static void poke_it(rondo_loop *loop, void *arg) { note("immediate"), channel_poke(arg); }
TEST(order_20_a_zero_timer_armed_in_its_own_callback_runs_once_a_turn) {
    rondo_loop *loop = new_virtual_loop();
    channel io;
    channel_open(&io, loop, note_tick, "io");
    start_timer(loop, 0, again_and_again, NULL);
    rondo_immediate(loop, poke_it, &io);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("timer immediate timer io timer");
    channel_close(&io, loop);
    end_loop(loop);
}

/* ---- Immediates, prepare hooks ---- */

static void immediate_again(rondo_loop *loop, void *arg) {
    note("%s", (char *)arg);
    rondo_immediate(loop, note_tick, "next");
}
static void start_a_zero_timer(rondo_loop *loop, void *arg) {
    start_timer(loop, 0, note_timer, "timer");
}
TEST(order_21_immediates_run_first_in_first_out_and_those_they_queue_next_turn) {
    rondo_loop *loop = new_virtual_loop();
    rondo_immediate(loop, start_a_zero_timer, NULL);
    rondo_immediate(loop, immediate_again, "a");
    rondo_immediate(loop, immediate_again, "b");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("a b timer next next");
    end_loop(loop);
}

static rondo_prepare *hooks[4];
static void hook(rondo_prepare *prepare, void *arg) {
    note("%s", (char *)arg);
    if (strcmp(arg, "a") == 0) { /* goes to the end, and pulls the new one in */
        rondo_prepare_stop(hooks[1]);
        rondo_prepare_start(hooks[1], hook, "b");
        rondo_prepare_start(hooks[2], hook, "c");
    }
}
TEST(order_22_prepare_hooks_run_in_start_order_and_new_ones_from_the_next_turn_on) {
    rondo_loop *loop = new_virtual_loop();
    for (int i = 0; i < 4; i++) hooks[i] = rondo_prepare_new(loop);
    rondo_prepare_start(hooks[1], hook, "b");
    rondo_prepare_start(hooks[0], hook, "a");
    rondo_prepare_start(hooks[3], hook, "d");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("b a d");
    rondo_prepare_start(hooks[0], hook, "A"); /* keeps its place */
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("A d b c");
    end_loop(loop);
}

/* ---- Poll ---- */

/* One turn in which the channels become ready in this order. */
static void poke_all(rondo_loop *loop, channel *channels, const char *order, const char *want) {
    for (const char *at = order; *at; at++) channel_poke(&channels[*at - '0']);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE(want);
}
TEST(order_23_descriptors_run_in_the_order_they_became_ready) {
    static const char *const words[] = {"0", "1", "2", "3", "4"};
    rondo_loop *loop = new_virtual_loop();
    channel channels[5];
    for (int i = 0; i < 5; i++) channel_open(&channels[i], loop, note_tick, words[i]);
    rondo_async_new(loop, note_async, NULL);
    poke_all(loop, channels, "", ""); /* the kernel knows them now */
    poke_all(loop, channels, "43210", "4 3 2 1 0");
    poke_all(loop, channels, "", "");
    poke_all(loop, channels, "20413", "2 0 4 1 3");
    /* Those that the last poll reported count as ready since then. */
    poke_all(loop, channels, "", "");
    poke_all(loop, channels, "42", "4 2");
    poke_all(loop, channels, "01234", "4 2 0 1 3");
    for (int i = 0; i < 5; i++) channel_close(&channels[i], loop);
    end_loop(loop);
}

static int64_t no_work(rondo_job *job, void *arg) { return 0; }
static void note_done(rondo_loop *loop, int64_t result, void *arg) { note("done"); }
static void wait_for_the_worker(rondo_loop *loop, void *arg) {
    rondo_lane_figures figures = {0};
    while (figures.done == 0) rondo_lane_get_figures(rondo_lane_cpu(loop), &figures);
}
TEST(order_24_after_descriptors_come_signals_then_asyncs_then_posts_then_completions) {
    rondo_loop *loop = new_virtual_loop();
    CHECK_INT(rondo_work_submit(loop, NULL, NULL, no_work, note_done, NULL), 0);
    rondo_next_tick(loop, wait_for_the_worker, NULL);
    rondo_async *async = rondo_async_new(loop, note_async, "async");
    rondo_signal *signal = rondo_signal_new(loop);
    channel io;
    channel_open(&io, loop, note_tick, "io");
    rondo_signal_start(signal, SIGUSR1, note_signal, "signal");
    rondo_loop_post(loop, note_tick, "post");
    rondo_async_send(async);
    raise(SIGUSR1);
    channel_poke(&io);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("io signal async post done");
    channel_close(&io, loop);
    end_loop(loop);
}

static void poke_now(rondo_loop *loop, void *arg) { note("a"), channel_poke(arg); }
TEST(order_25_what_becomes_ready_meanwhile_waits_for_the_next_turn) {
    rondo_loop *loop = new_virtual_loop();
    rondo_async_new(loop, note_async, NULL);
    channel a, b;
    channel_open(&a, loop, poke_now, &b);
    channel_open(&b, loop, note_tick, "b");
    channel_poke(&a);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("a");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("b");
    channel_close(&a, loop), channel_close(&b, loop);
    end_loop(loop);
}

TEST(order_26_signals_run_by_number_and_their_handles_by_start) {
    rondo_loop *loop = new_virtual_loop();
    rondo_signal *first = rondo_signal_new(loop);
    rondo_signal_start(first, SIGUSR1, note_signal, "usr1a");
    rondo_signal_start(rondo_signal_new(loop), SIGHUP, note_signal, "hup");
    rondo_signal_start(rondo_signal_new(loop), SIGUSR1, note_signal, "usr1b");
    raise(SIGUSR1);
    raise(SIGHUP);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("hup usr1a usr1b");
    rondo_signal_start(first, SIGUSR1, note_signal, "usr1a"); /* a new start */
    raise(SIGUSR1);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("usr1b usr1a");
    end_loop(loop);
}

TEST(order_27_asyncs_run_in_the_order_of_their_first_send) {
    rondo_loop *loop = new_virtual_loop();
    rondo_async *a = rondo_async_new(loop, note_async, "a");
    rondo_async *b = rondo_async_new(loop, note_async, "b");
    rondo_async *c = rondo_async_new(loop, note_async, "c");
    rondo_async_send(b), rondo_async_send(c), rondo_async_send(a), rondo_async_send(b);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("b c a");
    end_loop(loop);
}

static void post_again(rondo_loop *loop, void *arg) {
    note("%s", (char *)arg);
    rondo_loop_post(loop, note_tick, "new");
}
TEST(order_28_posts_over_the_budget_go_on_in_the_pending_phase_before_newer_ones) {
    rondo_loop *loop = new_virtual_loop();
    rondo_loop_set_budget(loop, RONDO_BUDGET_posts, 2);
    rondo_prepare *prepare = rondo_prepare_new(loop);
    rondo_prepare_start(prepare, note_prepare, "|");
    rondo_loop_post(loop, post_again, "1");
    rondo_loop_post(loop, note_tick, "2");
    rondo_loop_post(loop, note_tick, "3");
    for (int turn = 0; turn < 4; turn++) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("| 1 2 3 new | | |");
    rondo_loop_post(loop, post_again, "1");
    for (int i = 0; i < 4; i++) rondo_loop_post(loop, note_tick, "x");
    for (int turn = 0; turn < 4; turn++) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("| 1 x x x | x new | |");
    end_loop(loop);
}

static void note_and_delay(rondo_timer *timer, void *arg) {
    note("late");
    CHECK_INT(rondo_loop_now_ms(rondo_handle_loop(timer)), 1050);
}
static void note_early(rondo_loop *loop, void *arg) {
    note("%s", (char *)arg);
    CHECK_INT(rondo_loop_now_ms(loop), 1000);
}
static void note_post_time(rondo_loop *loop, void *arg) {
    note("%s", (char *)arg);
    CHECK_INT(rondo_loop_now_ms(loop), 1050);
}
TEST(order_29_a_sleep_ends_at_the_next_deadline_and_io_found_then_runs_before_it) {
    rondo_loop *loop = new_virtual_loop();
    channel io;
    channel_open(&io, loop, note_early, "io");
    start_timer(loop, 50, note_and_delay, NULL);
    channel_poke(&io);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("io late");
    start_timer(loop, 0, note_timer, "timer"); /* the same for a post */
    rondo_loop_post(loop, note_post_time, "post");
    start_timer(loop, 50, note_timer, "last");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("timer post last");
    channel_close(&io, loop);
    end_loop(loop);
}
