/* SPDX-License-Identifier: MIT
 *
 * The threads of the worker pool: when they start, how they wake up, and when they go.
 */
#define _GNU_SOURCE
#include "gate.h"
#include "harness.h"

#include <rondo.h>

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

static int64_t answer(rondo_job *job, void *arg) { return 42; }

static int64_t signals_blocked(rondo_job *job, void *arg) {
    sigset_t mask;
    char name[16];
    CHECK_INT(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
    CHECK(sigismember(&mask, SIGTERM) && sigismember(&mask, SIGUSR1) &&
          sigismember(&mask, SIGPIPE));
    CHECK(!sigismember(&mask, SIGSEGV)); /* whose handlers report crashes */
    CHECK_INT(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    CHECK_STR(name, arg);
    return 0;
}

TEST(workers_are_named_and_block_signals) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "a-rather-long-name", 1, 1);
    char cpu[] = "rondo-cpu", cut[] = "rondo-a-rather-";
    sigset_t before, after;

    CHECK_INT(pthread_sigmask(SIG_BLOCK, NULL, &before), 0);
    CHECK_INT(rondo_work_submit(loop, NULL, NULL, signals_blocked, ignore_done, cpu), 0);
    CHECK_INT(rondo_work_submit(loop, lane, NULL, signals_blocked, ignore_done, cut), 0);
    CHECK_INT(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
    CHECK_INT(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
    run_to_end(loop);
    rondo_loop_free(loop);
}

TEST(threads_start_on_demand) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "eight", 8, 100);
    outcome what = {0};
    gate g;

    gate_init(&g);
    CHECK_INT(figures_of(lane).threads, 0);
    for (int i = 0; i < 20; i++) { /* one after another need one thread */
        CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, note_outcome, &what), 0);
        run_to_end(loop);
    }
    CHECK_INT(figures_of(lane).threads, 1);
    for (int i = 0; i < 3; i++) submit_standing(loop, lane, &g);
    gate_wait_entered(&g, 3);
    CHECK_INT(figures_of(lane).threads, 3);
    gate_open(&g, 3);
    run_to_end(loop);
    /* All of them go to work again when there is work for all, the sleeping ones, too. */
    for (int i = 0; i < 12; i++) submit_standing(loop, lane, &g);
    gate_wait_entered(&g, 8);
    CHECK_INT(figures_of(lane).threads, 8);
    CHECK_INT(figures_of(lane).queued, 4);
    gate_open(&g, 12);
    run_to_end(loop);
    rondo_loop_free(loop);
}

TEST(sleeping_threads_wake_each_other) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "four", 4, 100);
    gate g;

    gate_init(&g);
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 4; i++) submit_standing(loop, lane, &g);
        gate_wait_entered(&g, 4); /* needs all four at once */
        gate_open(&g, 4);
        run_to_end(loop);
    }
    CHECK_INT(figures_of(lane).done, 800);
    rondo_loop_free(loop);
}

TEST(resize_up_starts_threads_for_what_waits) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "grows", 1, 100);
    gate g;

    gate_init(&g);
    for (int i = 0; i < 5; i++) submit_standing(loop, lane, &g);
    gate_wait_entered(&g, 1);
    CHECK_INT(figures_of(lane).threads, 1);
    CHECK_INT(rondo_lane_resize(lane, 3, 100), 0);
    gate_wait_entered(&g, 2);
    CHECK_INT(figures_of(lane).threads, 3);
    CHECK_INT(figures_of(lane).queued, 2);
    gate_open(&g, 5);
    run_to_end(loop);
    rondo_loop_free(loop);
}

static atomic_int at_work, most_at_work;
static int64_t count_at_work(rondo_job *job, void *arg) {
    int now = atomic_fetch_add(&at_work, 1) + 1, most = atomic_load(&most_at_work);
    while (now > most && !atomic_compare_exchange_weak(&most_at_work, &most, now)) {}
    sched_yield();
    atomic_fetch_sub(&at_work, 1);
    return 0;
}

TEST(resize_down_ends_threads) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "shrinks", 4, 100);
    gate g;

    gate_init(&g);
    for (int i = 0; i < 4; i++) submit_standing(loop, lane, &g);
    gate_wait_entered(&g, 4);
    CHECK_INT(rondo_lane_resize(lane, 2, 1), 0);
    submit_standing(loop, lane, &g); /* one may wait, however many are too many */
    CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, ignore_done, NULL), RONDO_EAGAIN);
    gate_open(&g, 5);
    run_to_end(loop);
    WAIT_FOR_FIGURE(lane, threads, 2); /* busy ones end when their job has */
    CHECK_INT(rondo_lane_resize(lane, 1, 100), 0);
    WAIT_FOR_FIGURE(lane, threads, 1); /* idle ones at once */
    for (int i = 0; i < 50; i++)
        CHECK_INT(rondo_work_submit(loop, lane, NULL, count_at_work, ignore_done, NULL), 0);
    run_to_end(loop);
    CHECK_INT(atomic_load(&most_at_work), 1);
    rondo_loop_free(loop);
}

TEST(idle_threads_retire) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "idle", 3, 100);
    gate g;

    gate_init(&g);
    rondo_lane_set_idle_ms(lane, UINT64_MAX); /* for ever */
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++) submit_standing(loop, lane, &g);
        gate_wait_entered(&g, 3);
        gate_open(&g, 3);
        run_to_end(loop);
        CHECK_INT(figures_of(lane).threads, 3);
        /* At once, after a while, and at once although they have begun to wait for long. */
        rondo_lane_set_idle_ms(lane, round == 1 ? 1 : 0);
        WAIT_FOR_FIGURE(lane, threads, 0);
        rondo_lane_set_idle_ms(lane, 10000);
    }
    rondo_loop_free(loop);
}

/* ---- many small jobs ---- */

static struct {
    rondo_lane *lane;
    long submitted, done, wanted;
    atomic_long worked;
} flood;

static int64_t count_work(rondo_job *job, void *arg) {
    return atomic_fetch_add(&flood.worked, 1) >= 0 ? 1 : 0;
}
static void go_on(rondo_loop *loop, int64_t result, void *arg) {
    int error = 0;
    flood.done += result;
    while (error == 0 && flood.submitted < flood.wanted) {
        error = rondo_work_submit(loop, flood.lane, NULL, count_work, go_on, NULL);
        if (error == 0) flood.submitted++;
    }
    CHECK(error == 0 || error == RONDO_EAGAIN);
}

TEST(a_hundred_thousand_jobs_through_a_small_queue) {
    rondo_loop *loop = new_loop();

    flood.lane = new_lane(loop, "flood", 4, 64);
    flood.wanted = harness_is_slow() ? 10000 : 100000;
    go_on(loop, 0, NULL);
    CHECK(figures_of(flood.lane).refused > 0);
    run_to_end(loop);
    CHECK_INT(flood.done, flood.wanted);
    CHECK_INT(atomic_load(&flood.worked), flood.wanted);
    CHECK_INT(figures_of(flood.lane).done, flood.wanted);
    rondo_loop_free(loop);
}

TEST(threads_that_retire_and_start_all_the_time) {
    rondo_loop *loop = new_loop();

    flood.lane = new_lane(loop, "restless", 4, 8);
    flood.wanted = harness_is_slow() ? 300 : 2000;
    rondo_lane_set_idle_ms(flood.lane, 0);
    go_on(loop, 0, NULL);
    run_to_end(loop);
    CHECK_INT(flood.done, flood.wanted);
    WAIT_FOR_FIGURE(flood.lane, threads, 0);
    rondo_loop_free(loop);
}

/* ---- spinning ---- */

static struct {
    rondo_lane *lane;
    long left;
} chain;

static void next_in_chain(rondo_loop *loop, int64_t result, void *arg) {
    CHECK_INT(result, 42);
    if (--chain.left > 0)
        CHECK_INT(rondo_work_submit(loop, chain.lane, NULL, answer, next_in_chain, NULL), 0);
}

static void run_chain(rondo_loop *loop, rondo_lane *lane, long jobs) {
    chain.lane = lane;
    chain.left = jobs + 1;
    next_in_chain(loop, 42, NULL);
    run_to_end(loop);
    CHECK_INT(chain.left, 0);
}

/* Each job finds a thread that sleeps, spins or is about to do one of them; and so do changes of the lane
 * and the end of the loop. */
TEST(one_after_another_with_any_spin) {
    static const unsigned spins[] = {0, 1, 20, 1000, UINT_MAX};
    long jobs = harness_is_slow() ? 50 : 500;
    for (size_t i = 0; i < sizeof spins / sizeof *spins; i++) {
        rondo_loop *loop = new_loop();
        rondo_lane *lane = new_lane(loop, "spin", 2, 10);
        rondo_lane_set_spin_us(lane, spins[i]);
        run_chain(loop, lane, jobs);
        CHECK_INT(rondo_lane_resize(lane, 1, 10), 0);
        run_chain(loop, lane, jobs);
        rondo_lane_set_idle_ms(lane, 0);
        WAIT_FOR_FIGURE(lane, threads, 0);
        rondo_lane_set_idle_ms(lane, 10000);
        run_chain(loop, lane, jobs);
        CHECK_INT(figures_of(lane).done, 3 * jobs);
        rondo_loop_free(loop);
    }
}

TEST(bursts_with_a_spin) {
    rondo_loop *loop = new_loop();
    flood.lane = new_lane(loop, "burst", 4, 64);
    rondo_lane_set_spin_us(flood.lane, 1000);
    flood.wanted = harness_is_slow() ? 1000 : 20000;
    go_on(loop, 0, NULL);
    run_to_end(loop);
    CHECK_INT(flood.done, flood.wanted);
    rondo_loop_free(loop);
}

static void open_gate(rondo_timer *timer, void *arg) {
    gate_open(arg, 1);
    rondo_close(timer);
}

static double cpu_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Neither the loop nor a thread goes on for longer than it may. */
TEST(a_spin_ends) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "spin", 2, 10);
    gate g;

    gate_init(&g);
    rondo_lane_set_spin_us(lane, UINT_MAX); /* at most a millisecond */
    double used_ms = 1e9; /* a machine may count what it gave to others, but not each time */
    for (int i = 0; i < 10 && used_ms >= 250; i++) {
        run_chain(loop, lane, 50);
        double before_ms = cpu_ms();
        submit_standing(loop, lane, &g);
        rondo_timer *timer = rondo_timer_new(loop);
        rondo_timer_start(timer, 500, 0, open_gate, &g);
        run_to_end(loop);
        used_ms = harness_is_slow() ? 0 : cpu_ms() - before_ms;
    }
    CHECK(used_ms < 250);
    rondo_loop_free(loop);
}

TEST(no_thread_to_be_had) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "poor", 2, 10);
    struct rlimit before, none = {0, 0};
    outcome what = {0};
    gate g;

    if (harness_is_slow()) SKIP("a limit of memory would be one of the tools, too");
    gate_init(&g);
    CHECK_INT(getrlimit(RLIMIT_AS, &before), 0);
    none.rlim_max = before.rlim_max;
    CHECK_INT(setrlimit(RLIMIT_AS, &none), 0);
    CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, note_outcome, &what), RONDO_EAGAIN);
    CHECK_INT(setrlimit(RLIMIT_AS, &before), 0);
    CHECK_INT(figures_of(lane).refused, 1);
    CHECK_INT(figures_of(lane).threads, 0);
    CHECK_INT(figures_of(lane).queued, 0);
    run_to_end(loop); /* nothing holds it */

    submit_standing(loop, lane, &g);
    gate_wait_entered(&g, 1);
    CHECK_INT(setrlimit(RLIMIT_AS, &none), 0);
    CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, note_outcome, &what), 0); /* it waits */
    CHECK_INT(setrlimit(RLIMIT_AS, &before), 0);
    CHECK_INT(figures_of(lane).threads, 1);
    gate_open(&g, 1);
    run_to_end(loop);
    CHECK_OUTCOME(what, 42);
    rondo_loop_free(loop);
}
