/* SPDX-License-Identifier: MIT
 *
 * The worker pool: jobs and their results, lanes and their bounds, completions. Threads are in
 * test_pool_threads.c, canceling and the end of a loop in test_pool_end.c.
 */
#include "gate.h"
#include "harness.h"

#include <rondo.h>

#include <pthread.h>

/* ---- a job and its result ---- */

static int64_t answer(rondo_job *job, void *arg) { return 42; }
static int64_t fail(rondo_job *job, void *arg) { return RONDO_EIO; }

TEST(result_comes_back) {
    rondo_loop *loop = new_loop();
    outcome good = {0}, bad = {0};
    rondo_job *job = NULL;

    CHECK_INT(rondo_work_submit(loop, NULL, &job, answer, note_outcome, &good), 0);
    CHECK(job != NULL);
    CHECK_INT(rondo_work_submit(loop, NULL, NULL, fail, note_outcome, &bad), 0);
    CHECK(rondo_loop_alive(loop));
    run_to_end(loop);
    CHECK_OUTCOME(good, 42);
    CHECK_OUTCOME(bad, RONDO_EIO);
    rondo_loop_free(loop);
}

TEST(unusable_arguments_are_refused) {
    rondo_loop *loop = new_loop(), *other = new_loop();
    rondo_job *job = (rondo_job *)&job;
    outcome what = {0};

    CHECK_INT(rondo_work_submit(loop, NULL, &job, NULL, note_outcome, &what), RONDO_EINVAL);
    CHECK_INT(rondo_work_submit(loop, NULL, &job, answer, NULL, &what), RONDO_EINVAL);
    CHECK_INT(rondo_work_submit(loop, rondo_lane_fs(other), &job, answer, note_outcome, &what),
              RONDO_EINVAL);
    CHECK(job == (rondo_job *)&job); /* outputs are untouched on failure */
    run_to_end(loop);
    CHECK_INT(what.calls, 0);
    rondo_loop_free(loop);
    rondo_loop_free(other);
}

static int64_t own_thread(rondo_job *job, void *arg) {
    *(pthread_t *)arg = pthread_self();
    return 0;
}

TEST(work_is_elsewhere_and_done_is_here) {
    rondo_loop *loop = new_loop();
    pthread_t worker;
    rondo_lane *lane = rondo_lane_cpu(loop);

    CHECK_INT(rondo_work_submit(loop, lane, NULL, own_thread, ignore_done, &worker), 0);
    WAIT_FOR_FIGURE(lane, done, 1);
    CHECK(!pthread_equal(worker, pthread_self()));
    run_to_end(loop);
    rondo_loop_free(loop);
}

TEST(no_callback_inside_the_call) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = rondo_lane_cpu(loop);
    outcome first = {0}, second = {0};

    CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, note_outcome, &first), 0);
    WAIT_FOR_FIGURE(lane, done, 1);
    CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, note_outcome, &second), 0);
    CHECK_INT(first.calls + second.calls, 0);
    run_to_end(loop);
    CHECK_OUTCOME(first, 42);
    CHECK_OUTCOME(second, 42);
    CHECK_INT(first.phase, RONDO_PHASE_poll);
    rondo_loop_free(loop);
}

enum { SEQUENCE = 100 };
static int ran[SEQUENCE], ran_count, told[SEQUENCE], told_count;

static int64_t note_ran(rondo_job *job, void *arg) {
    ran[ran_count++] = *(int *)arg; /* one thread, so no lock */
    return 0;
}
static void note_told(rondo_loop *loop, int64_t result, void *arg) {
    told[told_count++] = *(int *)arg;
}

TEST(one_thread_is_first_in_first_out) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, SEQUENCE);
    int number[SEQUENCE];

    for (int i = 0; i < SEQUENCE; i++) {
        number[i] = i;
        CHECK_INT(rondo_work_submit(loop, lane, NULL, note_ran, note_told, &number[i]), 0);
    }
    run_to_end(loop);
    CHECK_INT(ran_count, SEQUENCE);
    CHECK_MEM(ran, number, sizeof number);
    CHECK_MEM(told, number, sizeof number);
    rondo_loop_free(loop);
}

static void post_arrived(rondo_loop *loop, void *arg) { ++*(int *)arg; }

typedef struct posting {
    rondo_loop *loop;
    int posts;
} posting;
static int64_t post(rondo_job *job, void *arg) {
    posting *p = arg;
    for (int i = 0; i < 10; i++) CHECK_INT(rondo_loop_post(p->loop, post_arrived, &p->posts), 0);
    return 0;
}

TEST(work_may_post) {
    posting p = {new_loop(), 0};

    CHECK_INT(rondo_work_submit(p.loop, NULL, NULL, post, ignore_done, &p), 0);
    run_to_end(p.loop);
    CHECK_INT(p.posts, 10);
    rondo_loop_free(p.loop);
}

/* ---- lanes and their queues ---- */

TEST(lanes_have_names_and_bounds) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = NULL, *mine = new_lane(loop, "mine", 1, 1);

    CHECK(rondo_lane_fs(loop) != rondo_lane_dns(loop));
    CHECK(rondo_lane_cpu(loop) == rondo_lane_cpu(loop));
    CHECK_INT(rondo_lane_new(loop, "mine", 1, 1, &lane), RONDO_EEXIST);
    CHECK_INT(rondo_lane_new(loop, "dns", 1, 1, &lane), RONDO_EEXIST);
    CHECK_INT(rondo_lane_new(loop, "", 1, 1, &lane), RONDO_EINVAL);
    CHECK_INT(rondo_lane_new(loop, NULL, 1, 1, &lane), RONDO_EINVAL);
    CHECK_INT(rondo_lane_new(loop, "none", 0, 1, &lane), RONDO_EINVAL);
    CHECK_INT(rondo_lane_new(loop, "many", 1025, 1, &lane), RONDO_EINVAL);
    CHECK_INT(rondo_lane_new(loop, "queue", 1, 0, &lane), RONDO_EINVAL);
    CHECK_INT(rondo_lane_resize(mine, 0, 1), RONDO_EINVAL);
    CHECK_INT(rondo_lane_resize(mine, 1025, 1), RONDO_EINVAL);
    CHECK_INT(rondo_lane_resize(mine, 1, 0), RONDO_EINVAL);
    CHECK(lane == NULL);
    rondo_loop_free(loop);
}

TEST(built_in_names_are_taken_before_use) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane;

    CHECK_INT(rondo_lane_new(loop, "fs", 1, 1, &lane), RONDO_EEXIST);
    rondo_loop_free(loop);
}

TEST(full_queue_refuses_and_recovers) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "small", 2, 3);
    rondo_job *job = NULL;
    outcome what = {0};
    gate g;

    gate_init(&g);
    /* Two for the threads and three that wait, whether the threads have come up or not. */
    for (int i = 0; i < 5; i++) submit_standing(loop, lane, &g);
    CHECK_INT(rondo_work_submit(loop, lane, &job, answer, note_outcome, &what), RONDO_EAGAIN);
    gate_wait_entered(&g, 2);
    CHECK_INT(rondo_work_submit(loop, lane, &job, answer, note_outcome, &what), RONDO_EAGAIN);
    CHECK(job == NULL);
    rondo_lane_figures figures = figures_of(lane);
    CHECK_INT(figures.refused, 2);
    CHECK_INT(figures.queued, 3);
    CHECK_INT(figures.running, 2);
    CHECK_INT(figures.threads, 2);
    CHECK_INT(figures.done, 0);

    gate_open(&g, 5);
    WAIT_FOR_FIGURE(lane, done, 5);
    CHECK_INT(rondo_work_submit(loop, lane, &job, answer, note_outcome, &what), 0);
    run_to_end(loop);
    CHECK_OUTCOME(what, 42);
    CHECK_INT(figures_of(lane).done, 6);
    rondo_loop_free(loop);
}

TEST(a_stuck_lane_does_not_stop_another) {
    rondo_loop *loop = new_loop();
    rondo_lane *stuck = rondo_lane_dns(loop), *other = rondo_lane_fs(loop);
    outcome what = {0};
    gate g;

    gate_init(&g);
    for (int i = 0; i < 10; i++) submit_standing(loop, stuck, &g);
    gate_wait_entered(&g, 2);
    CHECK_INT(rondo_work_submit(loop, other, NULL, answer, note_outcome, &what), 0);
    while (what.calls == 0) CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
    CHECK_INT(what.result, 42);
    CHECK_INT(figures_of(stuck).done, 0);
    gate_open(&g, 10);
    run_to_end(loop);
    rondo_loop_free(loop);
}

/* ---- completions ---- */

static void note_immediate(rondo_loop *loop, void *arg) {
    *(uint64_t *)arg = rondo_loop_turn(loop);
}

TEST(completions_have_a_budget) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 100);
    outcome what[7] = {{0}};
    uint64_t between = 0;

    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_completions, 2), 0);
    for (int i = 0; i < 7; i++)
        CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, note_outcome, &what[i]), 0);
    WAIT_FOR_FIGURE(lane, done, 7);
    CHECK(rondo_immediate(loop, note_immediate, &between) != 0);
    run_to_end(loop);
    for (int i = 0; i < 7; i++) {
        CHECK_OUTCOME(what[i], 42);
        CHECK_INT(what[i].turn, 1 + i / 2);
        CHECK_INT(what[i].phase, i < 2 ? RONDO_PHASE_poll : RONDO_PHASE_pending);
    }
    CHECK_INT(between, 1); /* others get their turn */
    rondo_loop_free(loop);
}

static struct {
    rondo_lane *lane;
    outcome late;
} meanwhile;

/* While completions over the budget wait, another job ends: it comes after them. */
static void submit_late(rondo_loop *loop, int64_t result, void *arg) {
    note_outcome(loop, result, arg);
    if (meanwhile.late.turn > 0) return;
    meanwhile.late.turn = 1;
    CHECK_INT(rondo_work_submit(loop, meanwhile.lane, NULL, answer, note_outcome, &meanwhile.late),
              0);
    WAIT_FOR_FIGURE(meanwhile.lane, done, 4);
}

TEST(completions_stay_in_order_over_the_budget) {
    rondo_loop *loop = new_loop();
    outcome what[3] = {{0}};

    meanwhile.lane = new_lane(loop, "one", 1, 100);
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_completions, 1), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rondo_work_submit(loop, meanwhile.lane, NULL, answer, submit_late, &what[i]), 0);
    WAIT_FOR_FIGURE(meanwhile.lane, done, 3);
    run_to_end(loop);
    for (int i = 0; i < 3; i++) CHECK_INT(what[i].turn, 1 + i);
    CHECK_OUTCOME(meanwhile.late, 42);
    CHECK_INT(meanwhile.late.turn, 4);
    rondo_loop_free(loop);
}

static void submit_and_wait(rondo_loop *loop, int64_t result, void *arg) {
    note_outcome(loop, result, arg);
    CHECK_INT(rondo_work_submit(loop, meanwhile.lane, NULL, answer, note_outcome, &meanwhile.late),
              0);
    WAIT_FOR_FIGURE(meanwhile.lane, done, 3);
}

TEST(the_budget_is_for_all_phases_of_a_turn) {
    rondo_loop *loop = new_loop();
    outcome first = {0}, second = {0};

    meanwhile.lane = new_lane(loop, "one", 1, 100);
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_completions, 1), 0);
    CHECK_INT(rondo_work_submit(loop, meanwhile.lane, NULL, answer, note_outcome, &first), 0);
    CHECK_INT(rondo_work_submit(loop, meanwhile.lane, NULL, answer, submit_and_wait, &second), 0);
    WAIT_FOR_FIGURE(meanwhile.lane, done, 2);
    run_to_end(loop);
    CHECK_INT(first.turn, 1);
    CHECK_INT(second.turn, 2); /* in its pending phase; what ends then is over the budget */
    CHECK_INT(meanwhile.late.turn, 3);
    rondo_loop_free(loop);
}

static void check_figures(rondo_loop *loop, int64_t result, void *arg) {
    rondo_lane_figures figures = figures_of(arg);
    CHECK_INT(figures.running, 0);
    CHECK_INT(figures.queued, 0);
    CHECK_INT(figures.done, ++told_count);
}

TEST(figures_are_exact_when_done_is_called) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "exact", 4, 10);

    for (int i = 0; i < 200; i++) {
        CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, check_figures, lane), 0);
        run_to_end(loop);
    }
    rondo_loop_free(loop);
}

TEST(steady_state_allocates_nothing) {
    rondo_loop *loop = new_loop();
    size_t before = 0;

    warm_up(loop);
    for (int round = 0; round < 20; round++) {
        if (round == 1) before = harness_alloc_count();
        for (int i = 0; i < 50; i++)
            CHECK_INT(rondo_work_submit(loop, NULL, NULL, answer, ignore_done, NULL), 0);
        run_to_end(loop);
    }
    CHECK_INT(harness_alloc_count() - before, 0);
    rondo_loop_free(loop);
}

static void *open_gate(void *arg) {
    gate_wait_entered(arg, 1);
    for (int i = 0; i < 1000; i++) sched_yield(); /* the loop sleeps by now, most likely */
    gate_open(arg, 1);
    return NULL;
}
static uint64_t fired_ns;
static void note_fired(rondo_timer *timer, void *arg) {
    fired_ns = rondo_loop_now_ns(rondo_handle_loop(timer));
}
static void note_done_time(rondo_loop *loop, int64_t result, void *arg) {
    CHECK_INT(rondo_loop_now_ns(loop), 1000);
    CHECK_INT(fired_ns, 0);
    ++*(int *)arg;
}

static int done_calls;
static int64_t stand_and_count(rondo_job *job, void *arg) { return stand_at(job, arg); }
static void count_done(rondo_loop *loop, int64_t result, void *arg) {
    note_done_time(loop, result, &done_calls);
}

TEST(virtual_time_stands_still_while_a_job_runs) {
    rondo_loop *loop = new_loop();
    gate g;

    gate_init(&g);
    CHECK_INT(rondo_loop_use_virtual_clock(loop, 1000), 0);
    rondo_timer *timer = rondo_timer_new(loop);
    CHECK_INT(rondo_timer_start(timer, 10, 0, note_fired, NULL), 0);
    CHECK_INT(rondo_work_submit(loop, NULL, NULL, stand_and_count, count_done, &g), 0);
    pthread_t thread = harness_thread(open_gate, &g);
    run_to_end(loop);
    pthread_join(thread, NULL);
    CHECK_INT(done_calls, 1);
    CHECK_INT(fired_ns, 10001000);
    rondo_loop_close_all(loop);
    run_to_end(loop);
    rondo_loop_free(loop);
}

/* ---- several loops; memory ---- */

static void *run_own_loop(void *arg) {
    rondo_loop *loop = new_loop();
    outcome what = {0};

    for (int i = 0; i < 300; i++) {
        what.calls = 0;
        CHECK_INT(rondo_work_submit(loop, NULL, NULL, answer, note_outcome, &what), 0);
        run_to_end(loop);
        CHECK_OUTCOME(what, 42);
    }
    rondo_loop_free(loop);
    return NULL;
}

TEST(each_loop_has_its_pool) {
    pthread_t threads[3];

    for (int i = 0; i < 3; i++) threads[i] = harness_thread(run_own_loop, NULL);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
}

TEST(out_of_memory_at_any_allocation) {
    for (long n = 0;; n++) {
        rondo_loop *loop = new_loop();
        outcome what = {0};
        rondo_lane *lane = NULL;

        harness_fail_alloc_after(n);
        int error = rondo_lane_new(loop, "own", 1, 1, &lane);
        CHECK(error == 0 || (error == RONDO_ENOMEM && !lane));
        if (error == 0) error = rondo_work_submit(loop, lane, NULL, answer, note_outcome, &what);
        if (error == 0) error = rondo_work_submit(loop, NULL, NULL, answer, note_outcome, &what);
        CHECK(error == 0 || error == RONDO_ENOMEM);
        bool failed = harness_alloc_failed();
        CHECK_INT(error, failed ? RONDO_ENOMEM : 0);
        harness_fail_alloc_after(-1);
        run_to_end(loop);
        CHECK_INT(what.calls, !failed ? 2 : what.calls);
        rondo_loop_free(loop);
        if (!failed) break;
    }
}

typedef struct trespass {
    sem_t running; /* the loop is */
    rondo_lane *lane;
} trespass;
static int64_t look_at_lane(rondo_job *job, void *arg) {
    trespass *t = arg;
    sem_take(&t->running);
    return (int64_t)figures_of(t->lane).done;
}
static void say_running(rondo_loop *loop, void *arg) { sem_post(&((trespass *)arg)->running); }

TEST_ABORTS(lanes_belong_to_their_thread, "rondo_lane_get_figures: the lane 'cpu' was used from") {
    rondo_loop *loop = new_loop();
    trespass t = {.lane = rondo_lane_cpu(loop)};

    CHECK_INT(sem_init(&t.running, 0, 0), 0);
    CHECK_INT(rondo_work_submit(loop, NULL, NULL, look_at_lane, ignore_done, &t), 0);
    CHECK(rondo_immediate(loop, say_running, &t) != 0);
    run_to_end(loop);
}

/* ---- counters ---- */

TEST(completions_are_counted_as_callbacks) {
    rondo_loop *loop = new_loop();
    rondo_metrics metrics;
    outcome what[3] = {{0}};
    for (int i = 0; i < 3; i++)
        CHECK_INT(rondo_work_submit(loop, NULL, NULL, answer, note_outcome, &what[i]), 0);
    run_to_end(loop);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.callbacks, 3);
    CHECK_INT(figures_of(rondo_lane_cpu(loop)).done, 3);
    rondo_loop_free(loop);
}
