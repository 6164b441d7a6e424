/* SPDX-License-Identifier: MIT
 *
 * The life of a loop: made, run in its modes, kept alive, stopped, run again, freed.
 */
#include "loop/loop.h"
#include "trace.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Life ---- */

TEST(a_loop_that_never_ran_is_freed) {
    rondo_loop *loop = rondo_loop_new();
    CHECK(loop != NULL);
    CHECK_INT(rondo_loop_turn(loop), 0);
    CHECK_INT(rondo_loop_phase(loop), RONDO_PHASE_none);
    CHECK(!rondo_loop_alive(loop));
    rondo_loop_free(loop);
    rondo_loop_free(NULL);
}

TEST(what_is_queued_is_dropped_when_the_loop_is_freed) {
    rondo_loop *loop = rondo_loop_new();
    rondo_next_tick(loop, note_tick, "never");
    rondo_immediate(loop, note_tick, "never");
    rondo_loop_post(loop, note_tick, "never");
    rondo_loop_free(loop);
    CHECK_TRACE("");
}

static rondo__at_free hooks[2];
static void note_hook(rondo_loop *loop, rondo__at_free *hook) {
    note(hook == &hooks[0] ? "first" : "second");
}
TEST(parts_of_the_loop_are_told_when_it_closes_all_and_when_it_is_freed) {
    rondo_loop *loop = rondo_loop_new();
    for (int i = 0; i < 2; i++) rondo__at_close_all(loop, &hooks[i], note_hook);
    rondo_loop_close_all(loop);
    CHECK_TRACE("first second");
    rondo_loop_free(loop);
    CHECK_TRACE("");
    loop = rondo_loop_new();
    for (int i = 0; i < 2; i++) rondo__at_loop_free(loop, &hooks[i], note_hook);
    rondo_loop_free(loop);
    CHECK_TRACE("second first");
}

TEST(without_descriptors_no_loop_is_made_and_nothing_leaks) {
    struct rlimit old, limit;
    getrlimit(RLIMIT_NOFILE, &old);
    int free_fd = dup(0), made = 0;
    close(free_fd);
    for (int allowed = 0; allowed < 8; allowed++) {
        limit = old;
        limit.rlim_cur = (rlim_t)(free_fd + allowed);
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
        rondo_loop *loop = rondo_loop_new();
        if (loop) made++;
        if (allowed == 0) CHECK(loop == NULL);
        rondo_loop_free(loop);
        CHECK_INT(harness_live_blocks(), 0);
    }
    CHECK(made > 0);
    setrlimit(RLIMIT_NOFILE, &old);
}

TEST(each_budget_has_its_default_and_can_be_set_to_anything_but_0) {
    rondo_loop *loop = rondo_loop_new();
#define CHECK_BUDGET(name, value, what)                                           \
    CHECK_INT(rondo_loop_budget(loop, RONDO_BUDGET_##name), value);               \
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_##name, 0), RONDO_EINVAL); \
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_##name, UINT32_MAX), 0);   \
    CHECK_INT(rondo_loop_budget(loop, RONDO_BUDGET_##name), UINT32_MAX);
    RONDO_BUDGETS(CHECK_BUDGET)
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_COUNT, 1), RONDO_EINVAL);
    CHECK_INT(rondo_loop_budget(loop, RONDO_BUDGET_COUNT), 0);
    rondo_loop_free(loop);
}

TEST(a_loop_keeps_one_pointer_of_the_user) {
    rondo_loop *loop = rondo_loop_new();
    CHECK(rondo_loop_data(loop) == NULL);
    rondo_loop_set_data(loop, &loop);
    CHECK(rondo_loop_data(loop) == &loop);
    rondo_loop_free(loop);
}

TEST(phases_have_names_and_texts) {
#define CHECK_PHASE(name, what)                             \
    CHECK_STR(rondo_phase_name(RONDO_PHASE_##name), #name); \
    CHECK_STR(rondo_phase_text(RONDO_PHASE_##name), what);
    RONDO_PHASES(CHECK_PHASE)
    CHECK_STR(rondo_phase_name(RONDO_PHASE_none), "none");
    CHECK_STR(rondo_phase_text(RONDO_PHASE_none), "");
}

/* ---- Running ---- */

TEST(a_run_with_nothing_alive_returns_at_once_and_may_be_repeated) {
    rondo_loop *loop = rondo_loop_new();
    for (int i = 0; i < 3; i++) {
        CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
        CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 0);
        CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 0);
    }
    CHECK_INT(rondo_loop_turn(loop), 0);
    rondo_loop_free(loop);
}

TEST(nowait_does_not_block_and_its_time_goes_on) {
    rondo_loop *loop = rondo_loop_new();
    rondo_async_new(loop, note_async, NULL);
    start_timer(loop, 3600000, note_timer, "never");
    uint64_t before_ns = rondo_loop_now_ns(loop);
    for (int i = 0; i < 5; i++) CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 1);
    CHECK_INT(rondo_loop_turn(loop), 5);
    CHECK(rondo_loop_now_ns(loop) > before_ns);
    end_loop(loop);
}

static int run_result;
static void run_inside(rondo_timer *timer, void *arg) {
    run_result = rondo_loop_run(rondo_handle_loop(timer), RONDO_RUN_NOWAIT);
}
static void run_in_listener(rondo_emitter *emitter, void *payload, void *arg) {
    run_result = rondo_loop_run(rondo_handle_loop(emitter), RONDO_RUN_NOWAIT);
}
static void run_in_walk(rondo_handle *handle, void *arg) {
    run_result = rondo_loop_run(rondo_handle_loop(handle), RONDO_RUN_NOWAIT);
}
TEST(a_run_inside_a_callback_is_refused) {
    rondo_loop *loop = new_virtual_loop();
    start_timer(loop, 0, run_inside, NULL);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_INT(run_result, RONDO_EBUSY);
    rondo_emitter *emitter = rondo_emitter_new(loop); /* a callback of the top level */
    rondo_emitter_on(emitter, "event", run_in_listener, NULL);
    run_result = 0;
    CHECK_INT(rondo_emitter_emit(emitter, "event", NULL), 1);
    CHECK_INT(run_result, RONDO_EBUSY);
    run_result = 0;
    CHECK_INT(rondo_loop_walk(loop, run_in_walk, NULL), 2);
    CHECK_INT(run_result, RONDO_EBUSY);
    end_loop(loop);
}

static void *stop_it(void *arg) {
    harness_sleep_ms(2);
    rondo_loop_stop(arg);
    return NULL;
}
TEST(stop_from_another_thread_ends_a_sleep) {
    rondo_loop *loop = rondo_loop_new();
    rondo_async_new(loop, note_async, NULL);
    for (int i = 0; i < 3; i++) {
        pthread_t thread = harness_thread(stop_it, loop);
        CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 1);
        pthread_join(thread, NULL);
    }
    end_loop(loop);
}

static rondo_loop *stopped_loop;
static void stop_on_signal(int signum) { rondo_loop_stop(stopped_loop); }
TEST(stop_from_a_signal_handler_ends_a_sleep) {
    stopped_loop = rondo_loop_new();
    rondo_async_new(stopped_loop, note_async, NULL);
    signal(SIGALRM, stop_on_signal);
    ualarm(3000, 0);
    CHECK_INT(rondo_loop_run(stopped_loop, RONDO_RUN_ALL), 1);
    end_loop(stopped_loop);
}

TEST(two_loops_in_one_thread_know_nothing_of_each_other) {
    rondo_loop *a = new_virtual_loop(), *b = new_virtual_loop();
    start_timer(a, 10, note_timer, "a");
    start_timer(b, 5, note_timer, "b");
    rondo_loop_run(a, RONDO_RUN_ALL);
    CHECK_TRACE("a");
    rondo_loop_run(b, RONDO_RUN_ALL);
    CHECK_TRACE("b");
    CHECK_INT(rondo_loop_now_ms(b), 1005);
    end_loop(a);
    end_loop(b);
}

static void *run_in_thread(void *arg) {
    CHECK_INT(rondo_loop_run(arg, RONDO_RUN_ALL), 0);
    return NULL;
}
TEST(a_loop_may_be_made_run_and_freed_in_different_threads) {
    rondo_loop *loop = new_virtual_loop();
    start_timer(loop, 5, note_timer, "fired");
    pthread_join(harness_thread(run_in_thread, loop), NULL);
    CHECK_TRACE("fired");
    end_loop(loop);
}

TEST(after_a_fork_the_loop_is_the_parents) {
    rondo_loop *loop = rondo_loop_new();
    rondo_timer *timer = start_timer(loop, 1, note_timer, "fired");
    pid_t child = fork();
    if (child == 0) _exit(rondo_loop_run(loop, RONDO_RUN_ALL) == RONDO_ENOTSUP ? 0 : 1);
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_INT(status, 0);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("fired");
    rondo_close(timer);
    end_loop(loop);
}

/* ---- Staying alive ---- */

#define CHECK_ALIVE(loop)                                 \
    CHECK(rondo_loop_alive(loop));                        \
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 0); \
    CHECK(!rondo_loop_alive(loop))

static void close_it(rondo_handle *handle, void *arg) { rondo_close(handle); }
TEST(queued_work_and_closing_handles_keep_it_alive_until_they_are_done) {
    rondo_loop *loop = new_virtual_loop();
    rondo_next_tick(loop, note_tick, "tick");
    CHECK_ALIVE(loop);
    rondo_immediate(loop, note_tick, "immediate");
    CHECK_ALIVE(loop);
    rondo_loop_post(loop, note_tick, "post");
    CHECK_ALIVE(loop);
    rondo_timer *timer = rondo_timer_new(loop);
    rondo_unref(timer);
    CHECK(!rondo_loop_alive(loop));
    rondo_close(timer);
    CHECK_ALIVE(loop);
    start_timer(loop, 0, note_timer, "timer");
    CHECK_ALIVE(loop);
    uint64_t id = rondo_immediate(loop, note_tick, "never");
    CHECK_INT(rondo_immediate_cancel(loop, id), 0);
    CHECK(!rondo_loop_alive(loop));
    CHECK_TRACE("tick immediate post timer");
    rondo_loop_walk(loop, close_it, NULL);
    CHECK_ALIVE(loop);
    rondo_loop_free(loop);
}

TEST(a_handle_keeps_it_alive_while_it_is_active) {
    rondo_loop *loop = new_virtual_loop();
    rondo_prepare *prepare = rondo_prepare_new(loop);
    rondo_signal *signal = rondo_signal_new(loop);
    rondo_timer *timer = rondo_timer_new(loop);
    rondo_emitter_new(loop);
    CHECK(!rondo_loop_alive(loop));
    rondo_prepare_start(prepare, note_prepare, "p");
    CHECK(rondo_loop_alive(loop));
    rondo_prepare_stop(prepare);
    CHECK(!rondo_loop_alive(loop));
    rondo_signal_start(signal, SIGUSR1, note_signal, "s");
    CHECK(rondo_loop_alive(loop));
    rondo_signal_stop(signal);
    CHECK(!rondo_loop_alive(loop));
    rondo_timer_start(timer, 9, 9, note_timer, "t");
    rondo_timer_start(timer, 9, 9, note_timer, "t");
    CHECK(rondo_loop_alive(loop));
    rondo_timer_stop(timer);
    CHECK(!rondo_loop_alive(loop));
    end_loop(loop);
}
