/* SPDX-License-Identifier: MIT
 *
 * Looking in: observers see every callback begin and end at the door; counters; the timing of
 * callbacks.
 */
#include "channel.h"
#include "loop/loop.h"
#include "trace.h"

#include <signal.h>
#include <time.h>

static rondo_loop *loop;

static void begin(void) {
    loop = rondo_loop_new();
    CHECK_INT(rondo_loop_use_virtual_clock(loop, 1000), 0);
}

/* ---- The door ---- */

static void see(rondo_loop *self, const rondo_visit *visit, void *arg) {
    CHECK(self == loop);
    note("%s%s%s", visit->end_ns ? "/" : "", visit->event, (char *)arg);
}

static void hear(rondo_emitter *emitter, void *payload, void *arg) { note("!"); }
static void hear_error(rondo_emitter *emitter, int error, void *arg) { note("!"); }
static void hear_uncaught(rondo_loop *self, const rondo_uncaught *what, void *arg) { note("!"); }
static void emit_in_timer(rondo_timer *timer, void *arg) {
    note("!");
    rondo_emitter_emit(arg, "greeting", NULL);
    rondo_next_tick(loop, note_tick, "!");
}

TEST(an_observer_sees_each_kind_of_callback_begin_and_end) {
    begin();
    CHECK_INT(rondo_loop_observe(loop, see, ""), 0);
    rondo_emitter *emitter = rondo_emitter_new(loop);
    rondo_emitter_on(emitter, "greeting", hear, NULL);
    start_timer(loop, 0, emit_in_timer, emitter);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("timer ! greeting ! /greeting /timer tick ! /tick");
    rondo_prepare *prepare = rondo_prepare_new(loop);
    rondo_prepare_start(prepare, note_prepare, "!");
    rondo_async_send(rondo_async_new(loop, note_async, "!"));
    rondo_signal_start(rondo_signal_new(loop), SIGUSR1, note_signal, "!");
    raise(SIGUSR1);
    rondo_loop_post(loop, note_tick, "!");
    rondo_immediate(loop, note_tick, "!");
    rondo_on_close(prepare, note_close, "!");
    rondo_close(rondo_timer_new(loop)); /* nobody listens: no visit */
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("prepare ! /prepare signal ! /signal async ! /async post ! /post "
                "immediate ! /immediate");
    rondo_emitter_on_error(emitter, hear_error, NULL);
    rondo_emitter_emit_error(emitter, RONDO_EIO);
    rondo_emitter_off_error(emitter, hear_error, NULL);
    rondo_loop_on_uncaught(loop, hear_uncaught, NULL);
    rondo_emitter_emit_error(emitter, RONDO_EIO);
    CHECK_TRACE("emitter.error ! /emitter.error uncaught ! /uncaught");
    rondo_loop_close_all(loop);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("close ! /close");
    rondo_loop_free(loop);
}

/* Begins and ends must nest, and say the same of each callback. */
static rondo_visit open_visits[8];
static uint32_t open_count, deepest;
static uint64_t visits;
static void check_nesting(rondo_loop *self, const rondo_visit *visit, void *arg) {
    if (visit->end_ns == 0) {
        CHECK(open_count < 8);
        open_visits[open_count++] = *visit;
        if (open_count > deepest) deepest = open_count;
        visits++;
        return;
    }
    CHECK(open_count > 0);
    const rondo_visit *begun = &open_visits[--open_count];
    CHECK_STR(visit->event, begun->event);
    CHECK(visit->handle == begun->handle && visit->begin_ns == begun->begin_ns);
    CHECK(visit->phase == begun->phase && visit->turn == begun->turn);
    CHECK_INT(visit->depth, open_count + 1);
    CHECK(visit->ready_ns == begun->ready_ns && visit->end_ns >= visit->begin_ns);
}
static void nest(rondo_emitter *emitter, void *payload, void *arg) {
    if ((uintptr_t)payload > 0)
        rondo_emitter_emit(emitter, "nest", (void *)((uintptr_t)payload - 1));
    rondo_next_tick(loop, note_tick, "");
}
static void nest_from_timer(rondo_timer *timer, void *arg) {
    rondo_emitter_emit(arg, "nest", (void *)3);
}
TEST(visits_nest_and_every_callback_is_one) {
    rondo_metrics metrics;
    begin();
    rondo_loop_observe(loop, check_nesting, NULL);
    rondo_emitter *emitter = rondo_emitter_new(loop);
    rondo_emitter_on(emitter, "nest", nest, NULL);
    rondo_timer_start(rondo_timer_new(loop), 0, 1, nest_from_timer, emitter);
    for (int i = 0; i < 10; i++) rondo_loop_run(loop, RONDO_RUN_ONCE);
    CHECK_INT(open_count, 0);
    CHECK_INT(deepest, 5);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.callbacks, visits);
    CHECK(visits >= 5 * 9);
    end_loop(loop);
}

static void look(rondo_loop *self, const rondo_visit *visit, void *arg) {
    if (visit->end_ns) return;
    note("%s:%s:%s:%d:%d", visit->event, visit->handle ? "h" : "-", rondo_phase_name(visit->phase),
         (int)visit->turn, (int)visit->depth);
    note("%d..%d", (int)visit->ready_ns, (int)visit->begin_ns);
}
static void take_time(rondo_timer *timer, void *arg) {
    loop->now_ns += 50; /* as if it took so long */
    rondo_immediate(loop, note_tick, "i");
}
TEST(a_visit_says_when_where_and_for_whom) {
    begin();
    rondo_loop_observe(loop, look, NULL);
    rondo_timer *timer = rondo_timer_new(loop), *late = rondo_timer_new(loop);
    rondo_timer_start_at(timer, 2000, take_time, NULL);
    rondo_timer_start_at(late, 2000, take_time, NULL);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("timer:h:timers:2:1 2000..2000 timer:h:timers:2:1 2000..2050 "
                "immediate:-:check:2:1 2100..2100 i immediate:-:check:2:1 2100..2100 i");
    end_loop(loop);
}

/* ---- Adding and removing observers ---- */

static void see_once(rondo_loop *self, const rondo_visit *visit, void *arg) {
    see(self, visit, arg);
    CHECK_INT(rondo_loop_unobserve(self, see_once, arg), 0);
}
TEST(observers_are_told_in_the_order_of_adding_and_may_leave) {
    begin();
    rondo_loop_observe(loop, see, "1");
    rondo_loop_observe(loop, see_once, "2");
    rondo_loop_observe(loop, see, "3");
    rondo_immediate(loop, note_tick, "!");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("immediate1 immediate2 immediate3 ! /immediate1 /immediate3");
    CHECK_INT(rondo_loop_unobserve(loop, see, "1"), 0);
    CHECK_INT(rondo_loop_unobserve(loop, see, "1"), RONDO_ENOENT);
    CHECK_INT(rondo_loop_unobserve(loop, see, "3"), 0);
    CHECK(!loop->watched); /* the door is on its fast side again */
    rondo_immediate(loop, note_tick, "!");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("!");
    rondo_loop_observe(loop, see, "4"); /* freed with the loop */
    rondo_loop_free(loop);
}

static void observe_now(rondo_loop *self, void *arg) {
    note("now");
    CHECK_INT(rondo_loop_observe(self, see, arg), 0);
    rondo_next_tick(self, note_tick, "!");
}
TEST(an_observer_added_in_a_callback_begins_with_the_next_one) {
    for (int watched = 0; watched < 2; watched++) {
        begin();
        if (watched) rondo_loop_observe(loop, look, NULL);
        rondo_immediate(loop, observe_now, "");
        rondo_loop_run(loop, RONDO_RUN_ALL);
        CHECK_TRACE(watched ? "immediate:-:check:1:1 1000..1000 now "
                              "tick:-:check:1:1 1000..1000 tick ! /tick"
                            : "now tick ! /tick");
        rondo_loop_free(loop);
    }
}

/* ---- Counters ---- */

TEST(counters_are_exact) {
    rondo_metrics metrics;
    begin();
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.turns + metrics.callbacks + metrics.handles, 0);
    rondo_timer *timer = start_timer(loop, 5, note_timer, "t");
    rondo_on_close(timer, note_close, "c");
    rondo_next_tick(loop, note_tick, "k");
    rondo_immediate(loop, note_tick, "i");
    rondo_loop_post(loop, note_tick, "p");
    rondo_prepare_new(loop);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("k p i t");
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.callbacks, 4);
    CHECK_INT(metrics.turns, 3); /* one with everything, one that sleeps, one with the timer */
    CHECK_INT(metrics.handles, 2);
    CHECK_INT(metrics.measured + metrics.unheard_errors + metrics.late_timers, 0);
    rondo_close(timer);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.handles, 2); /* closing ones count */
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.callbacks, 5);
    CHECK_INT(metrics.turns, 4);
    CHECK_INT(metrics.handles, 1);
    end_loop(loop);
}

static void work(rondo_timer *timer, void *arg) { loop->now_ns += *(uint64_t *)arg * 1000000; }
TEST(measuring_counts_waiting_and_running) {
    uint64_t long_ms = 30, short_ms = 10;
    rondo_metrics metrics;
    begin();
    start_timer(loop, 1, work, &long_ms);
    rondo_loop_run(loop, RONDO_RUN_ALL); /* not measured yet */
    rondo_loop_measure(loop, true);
    start_timer(loop, 1, work, &long_ms);
    start_timer(loop, 1, work, &short_ms); /* waits for the long one */
    rondo_immediate(loop, note_tick, "i");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.measured, 3);
    CHECK_INT(metrics.callback_ns, 40000000);
    CHECK_INT(metrics.callback_max_ns, 30000000);
    CHECK_INT(metrics.ready_wait_ns, 30000000);
    CHECK_INT(metrics.ready_wait_max_ns, 30000000);
    rondo_emitter *emitter = rondo_emitter_new(loop);
    rondo_emitter_on(emitter, "greeting", hear, NULL);
    start_timer(loop, 0, emit_in_timer, emitter); /* a listener's time is that of who emits */
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.measured, 5); /* the timer and its tick */
    rondo_loop_measure(loop, false);
    rondo_immediate(loop, note_tick, "i");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.measured, 5);
    end_loop(loop);
}

static void tick_and_work(rondo_loop *self, void *arg) {
    rondo_next_tick(self, note_tick, "k");
    self->now_ns += 7000000;
}
TEST(ticks_do_not_make_what_waited_before_them_look_ready_later) {
    rondo_metrics metrics;
    channel channels[2];
    begin();
    rondo_loop_measure(loop, true);
    for (int i = 0; i < 2; i++) {
        channel_open(&channels[i], loop, tick_and_work, NULL);
        channel_poke(&channels[i]);
    }
    rondo_immediate(loop, note_tick, "i");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("k k i");
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.measured, 5);
    CHECK_INT(metrics.ready_wait_ns, 7000000 + 14000000); /* the second one, the immediate */
    for (int i = 0; i < 2; i++) channel_close(&channels[i], loop);
    rondo_loop_free(loop);
}

TEST(measuring_at_time_0_is_exact_too) {
    rondo_metrics metrics;
    loop = rondo_loop_new();
    rondo_loop_use_virtual_clock(loop, 0);
    rondo_loop_measure(loop, true);
    rondo_loop_observe(loop, see, "");
    rondo_immediate(loop, note_tick, "!");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("immediate ! /immediate"); /* the end is known by end_ns, which is not 0 then */
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.measured, 1);
    CHECK_INT(metrics.callback_ns + metrics.ready_wait_ns, 0);
    rondo_loop_free(loop);
}

static uint64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
static void be_busy(rondo_timer *timer, void *arg) {
    rondo_metrics metrics;
    uint64_t until = clock_ns() + 3000000;
    while (clock_ns() < until) {}
    rondo_loop_metrics(loop, &metrics); /* also right while the run goes on */
    CHECK(metrics.busy_ns >= 3000000);
    CHECK(metrics.busy_ns + metrics.asleep_ns <= clock_ns() - *(uint64_t *)arg);
}
TEST(busy_and_asleep_add_up_to_the_time_of_the_run) {
    rondo_metrics metrics = {0};
    uint64_t before_ns;
    /* On a busy machine it may get no chance to sleep: then once more. */
    for (int try = 0; try < 20 && metrics.asleep_ns < 2000000; try++) {
        loop = rondo_loop_new();
        harness_sleep_ms(2); /* outside of the run: neither */
        start_timer(loop, 4, be_busy, &before_ns);
        before_ns = clock_ns();
        rondo_loop_run(loop, RONDO_RUN_ALL);
        uint64_t run_ns = clock_ns() - before_ns;
        rondo_loop_metrics(loop, &metrics);
        CHECK(metrics.busy_ns + metrics.asleep_ns <= run_ns);
        CHECK(metrics.busy_ns >= 3000000);
        end_loop(loop);
    }
    CHECK(metrics.asleep_ns >= 2000000);
}
