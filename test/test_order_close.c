/* SPDX-License-Identifier: MIT
 *
 * docs/order.md, rules O30 to O36: closing in every phase, closing siblings of one batch, stopping,
 * the modes of a run, and that all of it is the same every time.
 */
#include "channel.h"
#include "random.h"
#include "trace.h"

#include <signal.h>

/* ---- When `close` comes ---- */

static rondo_loop *loop;
static rondo_timer *victim;

static void on_victim_close(rondo_handle *handle, void *arg) {
    CHECK_INT(rondo_loop_phase(loop), RONDO_PHASE_closing);
    note("close@%d", (int)rondo_loop_turn(loop));
}
static void close_victim(void) {
    note("%s@%d", rondo_phase_name(rondo_loop_phase(loop)), (int)rondo_loop_turn(loop));
    rondo_close(victim);
    CHECK(rondo_is_closing(victim) && !rondo_is_active(victim));
}
static void close_from_timer(rondo_timer *timer, void *arg) { close_victim(); }
static void close_from_loop(rondo_loop *self, void *arg) { close_victim(); }
static void close_from_prepare(rondo_prepare *prepare, void *arg) {
    close_victim();
    rondo_close(prepare);
}
static void close_from_close(rondo_handle *handle, void *arg) { close_victim(); }

static rondo_loop *begin(void) {
    loop = new_virtual_loop();
    victim = start_timer(loop, 1000, note_timer, "never");
    rondo_on_close(victim, on_victim_close, NULL);
    rondo_immediate(loop, note_tick, "immediate");
    return loop;
}
static void end(const char *want) {
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE(want);
    end_loop(loop);
}

TEST(order_30_close_comes_in_the_closing_phase_of_the_turn) {
    begin();
    close_victim();
    end("none@0 immediate close@1");
    start_timer(begin(), 0, close_from_timer, NULL);
    end("timers@1 immediate close@1");
    rondo_prepare_start(rondo_prepare_new(begin()), close_from_prepare, NULL);
    end("prepare@1 immediate close@1");
    rondo_loop_post(begin(), close_from_loop, NULL);
    end("poll@1 immediate close@1");
    rondo_immediate(begin(), close_from_loop, NULL);
    end("immediate check@1 close@1");
    rondo_loop_set_budget(begin(), RONDO_BUDGET_posts, 1);
    rondo_loop_post(loop, note_tick, "post");
    rondo_loop_post(loop, close_from_loop, NULL);
    end("post immediate pending@2 close@2");
    rondo_next_tick(begin(), close_from_loop, NULL); /* a tick of the top level */
    end("none@0 immediate close@1");
}

TEST(order_31_closing_in_the_closing_phase_is_for_the_next_turn) {
    rondo_emitter *emitter = rondo_emitter_new(begin());
    rondo_on_close(emitter, close_from_close, NULL);
    rondo_close(emitter);
    end("immediate closing@1 close@2");
}

static void note_and_close(rondo_timer *timer, void *arg) {
    note("%s", (char *)arg);
    rondo_close(timer);
}
TEST(order_32_close_events_come_in_the_order_of_closing) {
    loop = new_virtual_loop();
    rondo_timer *a = rondo_timer_new(loop), *b = start_timer(loop, 0, note_and_close, "b");
    rondo_async *c = rondo_async_new(loop, note_async, "never");
    rondo_on_close(a, note_close, "close-a");
    rondo_on_close(b, note_close, "close-b");
    rondo_on_close(c, note_close, "close-c");
    rondo_on_close(c, note_close, "close-c2");
    rondo_close(c);
    rondo_close(a);
    rondo_close(c);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("b close-c close-c2 close-a close-b");
    rondo_loop_free(loop);
}

/* ---- Siblings of one batch ---- */

/* Two of each, both due; the one that runs first closes the other. */
static struct {
    rondo_timer *timers[2];
    rondo_prepare *prepares[2];
    rondo_async *asyncs[2];
    rondo_signal *signals[2];
    channel channels[2];
} two;

static void kill_timer(rondo_timer *timer, void *arg) {
    note("timer"), rondo_close(two.timers[timer == two.timers[0]]);
}
static void kill_prepare(rondo_prepare *prepare, void *arg) {
    note("prepare"), rondo_close(two.prepares[prepare == two.prepares[0]]);
}
static void kill_async(rondo_async *async, void *arg) {
    note("async"), rondo_close(two.asyncs[async == two.asyncs[0]]);
}
static void kill_signal(rondo_signal *signal, int signum, void *arg) {
    note("signal"), rondo_close(two.signals[signal == two.signals[0]]);
}
static void kill_channel(rondo_loop *self, void *arg) {
    channel *other = &two.channels[arg == &two.channels[0]];
    note("io"), rondo__io_stop(self, &other->io);
}

TEST(order_33_a_handle_closed_by_another_of_its_batch_is_not_called) {
    loop = new_virtual_loop();
    for (int i = 0; i < 2; i++) {
        two.timers[i] = start_timer(loop, 0, kill_timer, NULL);
        two.prepares[i] = rondo_prepare_new(loop);
        rondo_prepare_start(two.prepares[i], kill_prepare, NULL);
        two.asyncs[i] = rondo_async_new(loop, kill_async, NULL);
        two.signals[i] = rondo_signal_new(loop);
        rondo_signal_start(two.signals[i], SIGUSR1, kill_signal, NULL);
        channel_open(&two.channels[i], loop, kill_channel, &two.channels[i]);
        channel_poke(&two.channels[i]);
    }
    rondo_async_send(two.asyncs[0]), rondo_async_send(two.asyncs[1]);
    raise(SIGUSR1);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("timer prepare io signal async");
    rondo_prepare_stop(two.prepares[0]);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("");
    channel_close(&two.channels[0], loop), channel_close(&two.channels[1], loop);
    end_loop(loop);
}

/* ---- Runs ---- */

static void stop_it(rondo_loop *self, void *arg) { note("%s", (char *)arg), rondo_loop_stop(self); }
TEST(order_34_a_stopped_run_finishes_its_turn_and_sleeps_no_more) {
    loop = new_virtual_loop();
    rondo_timer *timer = start_timer(loop, 1000, note_timer, "timer");
    rondo_on_close(timer, note_close, "close");
    rondo_loop_post(loop, stop_it, "stop");
    rondo_immediate(loop, note_tick, "immediate");
    rondo_timer *other = rondo_timer_new(loop);
    rondo_on_close(other, note_close, "close");
    rondo_close(other);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 1);
    CHECK_TRACE("stop immediate close");
    CHECK_INT(rondo_loop_now_ms(loop), 1000);

    rondo_next_tick(loop, stop_it, "stop"); /* before the first turn: there will be none */
    uint64_t turn = rondo_loop_turn(loop);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 1);
    CHECK_TRACE("stop");
    CHECK_INT(rondo_loop_turn(loop), turn);
    rondo_loop_stop(loop); /* before the run: it runs nothing, and forgets */
    rondo_next_tick(loop, note_tick, "tick");
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 1);
    CHECK_TRACE("");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("tick timer");
    end_loop(loop);
}

TEST(order_35_run_modes_end_after_a_turn_or_a_callback_or_nothing_alive) {
    loop = new_virtual_loop();
    start_timer(loop, 10, note_timer, "10");
    start_timer(loop, 20, note_timer, "20");
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 1); /* one turn, without sleep */
    CHECK_TRACE("");
    CHECK_INT(rondo_loop_now_ms(loop), 1000);
    CHECK_INT(rondo_loop_turn(loop), 1);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1); /* until a turn has run a callback */
    CHECK_TRACE("10");
    rondo_next_tick(loop, note_tick, "tick"); /* a callback too: the turn after it does not sleep */
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
    CHECK_TRACE("tick");
    CHECK_INT(rondo_loop_now_ms(loop), 1010);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("20");
    uint64_t turn = rondo_loop_turn(loop);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 0); /* nothing is alive: no turn at all */
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 0);
    CHECK_INT(rondo_loop_turn(loop), turn);
    end_loop(loop);
}

/* ---- The same every time ---- */

static rondo_async *mixed_async;
static channel mixed_channel;

static void mixed_timer(rondo_timer *timer, void *arg);
static void mixed_loop(rondo_loop *self, void *arg);
static void mixed_closed(rondo_handle *handle, void *arg) { note("x"); }

/* Does one of everything at random; all of it leads back here, for a while. */
static void mix(const char *word) {
    note("%s%d", word, (int)rondo_loop_turn(loop));
    for (int i = 0; i < 2; i++) {
        switch (below(rondo_loop_turn(loop) < 12 ? 7 : 40)) {
        case 0: rondo_next_tick(loop, mixed_loop, "k"); break;
        case 1: rondo_immediate(loop, mixed_loop, "i"); break;
        case 2: start_timer(loop, below(3), mixed_timer, NULL); break;
        case 3: rondo_loop_post(loop, mixed_loop, "p"); break;
        case 4: rondo_async_send(mixed_async); break;
        case 5: raise(SIGUSR1); break;
        case 6: channel_poke(&mixed_channel); break;
        }
    }
}
static void mixed_loop(rondo_loop *self, void *arg) { mix(arg); }
static void mixed_async_cb(rondo_async *async, void *arg) { mix("a"); }
static void mixed_signal(rondo_signal *signal, int signum, void *arg) { mix("s"); }
static void mixed_prepare(rondo_prepare *prepare, void *arg) { note("|"); }
static void mixed_timer(rondo_timer *timer, void *arg) {
    mix("t");
    rondo_on_close(timer, mixed_closed, NULL);
    rondo_close(timer);
}

static void run_mixed(void) {
    random_begin(7);
    loop = new_virtual_loop();
    rondo_signal *signal = rondo_signal_new(loop);
    mixed_async = rondo_async_new(loop, mixed_async_cb, NULL);
    rondo_signal_start(signal, SIGUSR1, mixed_signal, NULL);
    rondo_prepare_start(rondo_prepare_new(loop), mixed_prepare, NULL);
    channel_open(&mixed_channel, loop, mixed_loop, "io");
    for (int i = 0; i < 8; i++) mix("top");
    while (rondo_loop_turn(loop) < 20) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    channel_close(&mixed_channel, loop);
    end_loop(loop);
}

TEST(order_36_the_same_program_runs_in_the_same_order_every_time) {
    static char first[sizeof trace];
    run_mixed();
    memcpy(first, trace, sizeof first);
    for (const char *const *word = (const char *const[]){"k", "i", "t", "p", "a", "s", "io", NULL};
         *word; word++)
        CHECK(strstr(first, *word));
    CHECK(trace_size > 500);
    for (int i = 0; i < 100; i++) {
        trace_size = 0;
        run_mixed();
        CHECK_STR(trace, first);
    }
}
