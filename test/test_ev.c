/* SPDX-License-Identifier: MIT
 *
 * rondo_loop_ev(): watchers of other libraries on the same loop. The one test that includes <ev.h>,
 * as such a library would.
 */
#include "channel.h"
#include "loop/alarm.h"
#include "trace.h"

#include <ev.h>
#include <time.h>

static rondo_loop *loop;

static void foreign_timer(struct ev_loop *ev, ev_timer *watcher, int events) {
    note("%s", (char *)watcher->data);
}

TEST(a_foreign_timer_fires) {
    ev_timer timer;
    loop = rondo_loop_new();
    ev_timer_init(&timer, foreign_timer, 0.002, 0.);
    timer.data = (void *)(uintptr_t) "foreign";
    ev_timer_start(rondo_loop_ev(loop), &timer);
    rondo_async_new(loop, note_async, NULL); /* foreign watchers do not keep the loop alive */
    rondo_loop_run(loop, RONDO_RUN_ONCE);
    CHECK_TRACE("foreign");
    end_loop(loop);
}

TEST(foreign_watchers_alone_do_not_keep_the_loop_alive) {
    ev_timer timer;
    loop = rondo_loop_new();
    ev_timer_init(&timer, foreign_timer, 3600., 0.);
    ev_timer_start(rondo_loop_ev(loop), &timer);
    CHECK(!rondo_loop_alive(loop));
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    ev_timer_stop(rondo_loop_ev(loop), &timer);
    rondo_loop_free(loop);
}

static void foreign_io(struct ev_loop *ev, ev_io *watcher, int events) {
    char byte;
    CHECK_INT(events, EV_READ);
    CHECK_INT(read(watcher->fd, &byte, 1), 1);
    note("%s", (char *)watcher->data);
    rondo_next_tick(loop, note_tick, "tick");
}

static void foreign_async(struct ev_loop *ev, ev_async *watcher, int events) { note("ev_async"); }
static struct ev_loop *foreign_loop;
static void *send_foreign(void *arg) {
    ev_async_send(foreign_loop, arg);
    return NULL;
}

TEST(order_37_foreign_watchers_run_before_descriptors_as_one_callback) {
    loop = new_virtual_loop();
    struct ev_loop *ev = rondo_loop_ev(loop);
    channel own, others[2];
    ev_io watchers[2];
    channel_open(&own, loop, note_tick, "own");
    channel_poke(&own);
    for (int i = 0; i < 2; i++) {
        channel_open(&others[i], loop, note_tick, NULL);
        rondo__io_stop(loop, &others[i].io);
        ev_io_init(&watchers[i], foreign_io, others[i].fds[0], EV_READ);
        watchers[i].data = (void *)(uintptr_t) "foreign";
        ev_io_start(ev, &watchers[i]);
        channel_poke(&others[i]);
    }
    rondo_next_tick(loop, note_tick, "first");
    rondo_loop_post(loop, note_tick, "post");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("first foreign foreign tick tick own post");
    for (int i = 0; i < 2; i++) {
        ev_io_stop(ev, &watchers[i]);
        channel_close(&others[i], loop);
    }
    channel_close(&own, loop);
    rondo_loop_free(loop);
}

TEST(foreign_watchers_wait_for_all_descriptors_of_a_round) {
    loop = new_virtual_loop();
    struct ev_loop *ev = rondo_loop_ev(loop);
    channel own[2], other;
    ev_io watcher;
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_ready, 1), 0);
    rondo_async_new(loop, note_async, NULL); /* alive */
    for (int i = 0; i < 2; i++) channel_open(&own[i], loop, note_tick, "own");
    channel_open(&other, loop, note_tick, NULL);
    rondo__io_stop(loop, &other.io);
    ev_io_init(&watcher, foreign_io, other.fds[0], EV_READ);
    watcher.data = (void *)(uintptr_t) "foreign";
    ev_io_start(ev, &watcher);
    for (int i = 0; i < 2; i++) channel_poke(&own[i]);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    channel_poke(&other);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("own own");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("foreign tick");
    ev_io_stop(ev, &watcher);
    channel_close(&other, loop);
    for (int i = 0; i < 2; i++) channel_close(&own[i], loop);
    end_loop(loop);
}

TEST(a_foreign_async_wakes_the_loop_from_another_thread) {
    ev_async async;
    loop = rondo_loop_new();
    foreign_loop = rondo_loop_ev(loop);
    ev_async_init(&async, foreign_async);
    ev_async_start(foreign_loop, &async);
    rondo_async_new(loop, note_async, NULL);
    pthread_t thread = harness_thread(send_foreign, &async);
    rondo_loop_run(loop, RONDO_RUN_ONCE);
    CHECK_TRACE("ev_async");
    pthread_join(thread, NULL);
    ev_async_stop(rondo_loop_ev(loop), &async);
    end_loop(loop);
}

static void note_refusal(rondo_loop *self, rondo__io *io, int events) {
    note(rondo__io_watched(io) ? "ready" : "refused");
}
TEST(a_descriptor_that_libev_gives_up_is_reported_to_its_owner) {
    loop = new_virtual_loop();
    struct ev_loop *ev = rondo_loop_ev(loop);
    channel own;
    channel_open(&own, loop, note_tick, "own");
    own.io.run = note_refusal;
    rondo_async_new(loop, note_async, NULL);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    /* What its fd_kill() does when the kernel refuses an fd, for want of memory for example. */
    ev_io *watcher = (ev_io *)(void *)&own.io.watcher;
    ev_io_stop(ev, watcher);
    ev_feed_event(ev, watcher, (int)(EV_ERROR | EV_READ | EV_WRITE));
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("refused");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("");
    channel_close(&own, loop);
    end_loop(loop);
}

/* ---- What a foreign callback may do ---- */

static void close_handle(struct ev_loop *ev, ev_io *watcher, int events) {
    note("foreign");
    ev_io_stop(ev, watcher);
    rondo__io_stop(loop, &((channel *)watcher->data)->io);
}
TEST(a_foreign_callback_may_stop_what_is_ready_in_the_same_batch) {
    loop = new_virtual_loop();
    channel own, other;
    ev_io watcher;
    channel_open(&own, loop, note_tick, "own");
    channel_open(&other, loop, note_tick, NULL);
    rondo__io_stop(loop, &other.io);
    ev_io_init(&watcher, close_handle, other.fds[0], EV_READ);
    watcher.data = &own;
    ev_io_start(rondo_loop_ev(loop), &watcher);
    channel_poke(&own), channel_poke(&other);
    rondo_immediate(loop, note_tick, "immediate");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("foreign immediate");
    channel_close(&own, loop), channel_close(&other, loop);
    rondo_loop_free(loop);
}

static void start_earlier(struct ev_loop *ev, ev_io *watcher, int events) {
    ev_io_stop(ev, watcher);
    start_timer(loop, 1, note_timer, "1");
}
TEST(the_virtual_clock_does_not_jump_over_what_a_foreign_callback_starts) {
    loop = new_virtual_loop();
    channel other;
    ev_io watcher;
    channel_open(&other, loop, note_tick, NULL);
    rondo__io_stop(loop, &other.io);
    ev_io_init(&watcher, start_earlier, other.fds[0], EV_READ);
    ev_io_start(rondo_loop_ev(loop), &watcher);
    channel_poke(&other);
    start_timer(loop, 10, note_timer, "10");
    rondo_loop_run(loop, RONDO_RUN_ONCE); /* the foreign one */
    rondo_loop_run(loop, RONDO_RUN_ONCE);
    CHECK_TRACE("1");
    CHECK_INT(rondo_loop_now_ms(loop), 1001);
    end_loop(loop);
    close(other.fds[0]), close(other.fds[1]);
}

static rondo__alarm timeout;
static void on_alarm(rondo_loop *self, rondo__alarm *which) {}
static void busy(struct ev_loop *ev, ev_timer *watcher, int events) {
    rondo__alarm_set_in_ms(loop, &timeout, 1000);
    harness_sleep_ms(5);
}
TEST(a_foreign_callback_counts_as_busy_time_and_sees_the_time_after_the_sleep) {
    ev_timer timer;
    rondo_metrics metrics;
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    uint64_t start_ns = (uint64_t)start.tv_sec * 1000000000 + (uint64_t)start.tv_nsec;
    loop = rondo_loop_new();
    rondo__alarm_init(&timeout, on_alarm);
    ev_timer_init(&timer, busy, 0.01, 0.);
    ev_timer_start(rondo_loop_ev(loop), &timer);
    rondo_async_new(loop, note_async, NULL);
    rondo_loop_run(loop, RONDO_RUN_ONCE);
    rondo_loop_metrics(loop, &metrics);
    CHECK(metrics.busy_ns >= 5000000);
    CHECK_INT(metrics.callbacks, 1);
    CHECK(timeout.deadline_ns >= start_ns + 10000000 + 1000000000);
    rondo__alarm_clear(&timeout);
    end_loop(loop);
}

static void visited(rondo_loop *self, const rondo_visit *visit, void *arg) {
    note("%s%s", visit->event, visit->end_ns ? "." : "");
}
TEST(a_batch_of_foreign_watchers_is_one_visit_of_the_door) {
    ev_timer timers[3];
    loop = new_virtual_loop();
    for (int i = 0; i < 3; i++) {
        ev_timer_init(&timers[i], foreign_timer, 0., 0.);
        timers[i].data = (void *)(uintptr_t) "f";
        ev_timer_start(rondo_loop_ev(loop), &timers[i]);
    }
    rondo_loop_observe(loop, visited, NULL);
    rondo_immediate(loop, note_tick, "i");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("ev f f f ev. immediate i immediate.");
    rondo_immediate(loop, note_tick, "i");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT); /* none is pending: no visit */
    CHECK_TRACE("immediate i immediate.");
    rondo_loop_free(loop);
}

/* ---- a program that used libev before ---- */

static void ignore_timer(struct ev_loop *ev, ev_timer *watcher, int events) {}
static void start_many(struct ev_loop *ev, ev_timer *timers, int from, int to) {
    for (int i = from; i < to; i++) {
        ev_timer_init(&timers[i], ignore_timer, 3600. + i, 0.);
        ev_timer_start(ev, &timers[i]);
    }
}

TEST(a_loop_of_libev_that_was_there_before_goes_on) {
    static ev_timer timers[1000];
    CHECK_INT(rondo_set_allocator(NULL), 0); /* the harness has set one */
    struct ev_loop *ev = ev_loop_new(0);
    start_many(ev, timers, 0, 10);
    loop = rondo_loop_new();
    start_many(ev, timers, 10, 1000); /* what it has grows */
    ev_run(ev, EVRUN_NOWAIT);
    rondo_next_tick(loop, note_tick, "tick");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("tick");
    rondo_loop_free(loop);
    ev_loop_destroy(ev);
}
