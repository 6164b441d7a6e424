/* SPDX-License-Identifier: MIT
 *
 * What can't be reported as an error aborts, and says which call, which handle and where it was
 * made.
 */
#include "trace.h"

#include <semaphore.h>
#include <unistd.h>

static rondo_loop *loop;

/* ---- Handles ---- */

TEST_ABORTS(null_is_not_a_handle, "rondo: rondo_timer_stop: the handle is NULL") {
    rondo_timer_stop(NULL);
}

TEST_ABORTS(a_handle_used_after_close_is_named,
            "rondo: rondo_timer_start: the timer 'late' made at test/test_misuse.c:") {
    loop = new_virtual_loop();
    rondo_timer *timer = rondo_timer_new(loop);
    rondo_set_name(timer, "late");
    rondo_close(timer);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_timer_start(timer, 0, 0, note_timer, "never");
}

TEST_ABORTS(a_handle_is_found_dead_after_63_others_were_closed, "was used after its close event") {
    loop = new_virtual_loop();
    rondo_timer *timer = rondo_timer_new(loop);
    rondo_close(timer);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    for (int i = 0; i < 63; i++) rondo_close(rondo_timer_new(loop));
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_is_active(timer);
}

TEST_ABORTS(closing_a_closed_handle_is_found, "rondo_close: the emitter '' made at") {
    loop = new_virtual_loop();
    rondo_emitter *emitter = rondo_emitter_new(loop);
    rondo_close(emitter);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_close(emitter);
}

TEST_ABORTS(
    a_handle_of_another_kind_is_named,
    "rondo_prepare_stop: wants a prepare, got the timer 'clock' made at test/test_misuse.c:") {
    loop = new_virtual_loop();
    rondo_timer *timer = rondo_timer_new(loop);
    rondo_set_name(timer, "clock");
    rondo_prepare_stop((rondo_prepare *)(void *)timer);
}

TEST_ABORTS(something_else_is_not_a_handle, "is not a handle, or was freed long ago") {
    uint64_t zeros[64] = {0};
    rondo_timer_stop((rondo_timer *)(void *)zeros);
}

TEST_ABORTS(an_async_without_a_callback_is_refused, "assertion failed: cb") {
    rondo_async_new(new_virtual_loop(), NULL, NULL);
}

TEST_ABORTS(an_immediate_without_a_callback_is_refused, "assertion failed: cb") {
    rondo_immediate(new_virtual_loop(), NULL, NULL);
}

TEST(a_missing_callback_is_an_error_where_errors_are_returned) {
    loop = new_virtual_loop();
    rondo_timer *timer = rondo_timer_new(loop);
    CHECK_INT(rondo_timer_start(timer, 0, 0, NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_timer_start_at(timer, 0, NULL, NULL), RONDO_EINVAL);
    CHECK(!rondo_is_active(timer));
    CHECK_INT(rondo_prepare_start(rondo_prepare_new(loop), NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_signal_start(rondo_signal_new(loop), 10, NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_next_tick(loop, NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_loop_observe(loop, NULL, NULL), RONDO_EINVAL);
    CHECK(!rondo_loop_alive(loop));
    end_loop(loop);
}

/* ---- Threads ---- */

static void *use_timer(void *arg) {
    rondo_timer_stop(arg);
    return NULL;
}
static void *use_loop(void *arg) {
    rondo_loop_turn(arg);
    return NULL;
}
static void let_others_use_it(rondo_timer *timer, void *arg) {
    pthread_join(harness_thread(use_timer, timer), NULL);
}
static void let_others_use_loop(rondo_timer *timer, void *arg) {
    pthread_join(harness_thread(use_loop, rondo_handle_loop(timer)), NULL);
}

TEST_ABORTS(a_handle_used_from_another_thread_is_named,
            "rondo_timer_stop: the timer '' made at test/trace.h:") {
    loop = new_virtual_loop();
    start_timer(loop, 0, let_others_use_it, NULL);
    rondo_loop_run(loop, RONDO_RUN_ALL);
}

TEST_ABORTS(a_loop_used_from_another_thread_is_named,
            "was used from a thread that does not run it; use rondo_loop_post()") {
    loop = new_virtual_loop();
    start_timer(loop, 0, let_others_use_loop, NULL);
    rondo_loop_run(loop, RONDO_RUN_ALL);
}

TEST(while_the_loop_does_not_run_any_thread_may_use_it) {
    loop = new_virtual_loop();
    rondo_timer *timer = start_timer(loop, 0, note_timer, "never");
    pthread_join(harness_thread(use_timer, timer), NULL);
    pthread_join(harness_thread(use_loop, loop), NULL);
    CHECK(!rondo_is_active(timer));
    end_loop(loop);
}

static void let_another_loop_use_it(rondo_timer *timer, void *arg) {
    pthread_join(harness_thread(arg, timer), NULL);
}
static void stop_timer(rondo_loop *self, void *timer) { rondo_timer_stop(timer); }
static void *use_timer_in_a_loop(void *timer) {
    rondo_loop *own = rondo_loop_new();
    rondo_immediate(own, stop_timer, timer);
    rondo_loop_run(own, RONDO_RUN_ALL);
    return NULL;
}
static void *use_timer_after_a_run(void *timer) {
    rondo_loop *own = rondo_loop_new();
    rondo_immediate(own, note_tick, "own");
    rondo_loop_run(own, RONDO_RUN_ALL);
    rondo_timer_stop(timer);
    return NULL;
}

TEST_ABORTS(a_handle_used_from_a_callback_of_another_threads_loop_is_named,
            "rondo_timer_stop: the timer '' made at test/trace.h:") {
    loop = new_virtual_loop();
    start_timer(loop, 0, let_another_loop_use_it, (void *)use_timer_in_a_loop);
    rondo_loop_run(loop, RONDO_RUN_ALL);
}

TEST_ABORTS(a_handle_used_from_a_thread_that_has_run_a_loop_is_named,
            "rondo_timer_stop: the timer '' made at test/trace.h:") {
    loop = new_virtual_loop();
    start_timer(loop, 0, let_another_loop_use_it, (void *)use_timer_after_a_run);
    rondo_loop_run(loop, RONDO_RUN_ALL);
}

static sem_t running;
static void stay(rondo_timer *timer, void *arg) {
    sem_post(&running);
    for (;;) pause();
}
static void *run_it(void *arg) {
    rondo_loop_run(arg, RONDO_RUN_ALL);
    return NULL;
}

TEST_ABORTS(a_handle_used_from_the_thread_that_ran_its_loop_before_is_named,
            "rondo_timer_stop: the timer '' made at test/trace.h:") {
    loop = new_virtual_loop();
    rondo_timer *timer = start_timer(loop, 5, stay, NULL);
    sem_init(&running, 0, 0);
    rondo_immediate(loop, note_tick, "first");
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 1);
    harness_thread(run_it, loop);
    while (sem_wait(&running) != 0) {}
    rondo_timer_stop(timer);
}

static void use_both(rondo_loop *inner, void *outer_timer) {
    note("inner");
    CHECK_INT(rondo_timer_again(outer_timer), 0);
    CHECK_INT(rondo_next_tick(inner, note_tick, "tick"), 0);
}
static void run_another(rondo_timer *timer, void *arg) {
    rondo_loop *inner = new_virtual_loop();
    rondo_immediate(inner, use_both, arg);
    CHECK_INT(rondo_loop_run(inner, RONDO_RUN_ALL), 0);
    rondo_loop_free(inner);
    CHECK_INT(rondo_timer_again(arg), 0);
    CHECK_INT(rondo_timer_deadline_ns(arg), rondo_loop_now_ns(loop) + 10000000);
    rondo_immediate(loop, note_tick, "outer");
}
TEST(callbacks_of_a_loop_that_a_callback_runs_may_use_both_loops) {
    loop = new_virtual_loop();
    rondo_timer *timer = start_timer(loop, 10, note_timer, "timer");
    start_timer(loop, 5, run_another, timer);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("inner tick outer timer");
    end_loop(loop);
}

/* ---- Loops ---- */

TEST_ABORTS(null_is_not_a_loop, "rondo_loop_run: the loop is NULL") {
    rondo_loop_run(NULL, RONDO_RUN_ALL);
}

TEST_ABORTS(something_else_is_not_a_loop, "is not a loop, or was freed") {
    static uint64_t zeros[4096];
    rondo_loop_run((rondo_loop *)(void *)zeros, RONDO_RUN_ALL);
}

TEST_ABORTS(freeing_with_open_handles_names_them,
            "  timer          active           0.000 s  'forgotten' made at test/trace.h:") {
    loop = new_virtual_loop();
    rondo_set_name(start_timer(loop, 5, note_timer, "never"), "forgotten");
    rondo_prepare_new(loop);
    rondo_loop_free(loop);
}

TEST_ABORTS(freeing_with_open_handles_says_how_many, "still has 2 open handles, listed above") {
    loop = new_virtual_loop();
    rondo_prepare_new(loop);
    rondo_prepare_new(loop);
    rondo_loop_free(loop);
}

TEST_ABORTS(freeing_with_closing_handles_is_too_early, "still has 1 open handle, listed above") {
    loop = new_virtual_loop();
    rondo_close(rondo_timer_new(loop));
    rondo_loop_free(loop);
}

static void free_loop(rondo_loop *self, void *arg) { rondo_loop_free(self); }
TEST_ABORTS(freeing_a_running_loop_is_refused, "rondo_loop_free: the loop made at test/trace.h:") {
    loop = new_virtual_loop();
    rondo_immediate(loop, free_loop, NULL);
    rondo_loop_run(loop, RONDO_RUN_ALL);
}

TEST_ABORTS(an_emitters_error_that_nobody_hears_aborts,
            "uncaught error ECONNRESET (connection reset by the peer) on the emitter 'bus' made at "
            "test/test_misuse.c:") {
    loop = new_virtual_loop();
    rondo_emitter *emitter = rondo_emitter_new(loop);
    rondo_set_name(emitter, "bus");
    rondo_emitter_emit_error(emitter, RONDO_ECONNRESET);
}

static void tick_forever(rondo_loop *self, void *arg) { rondo_next_tick(self, tick_forever, NULL); }
TEST_ABORTS(a_runaway_chain_of_ticks_aborts_by_default, "uncaught error ERUNAWAY") {
    loop = new_virtual_loop();
    rondo_next_tick(loop, tick_forever, NULL);
    rondo_loop_run(loop, RONDO_RUN_ALL);
}
