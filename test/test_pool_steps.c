/* SPDX-License-Identifier: MIT
 *
 * Jobs of several steps: each is queued again from its deliver(), so that others go in between, and
 * can be canceled or dropped between any two steps.
 */
#include "gate.h"
#include "harness.h"

#include <rondo.h>

#include "loop/door.h"
#include "threadpool/job.h"

typedef struct climb {
    rondo_job base;
    int left; /* steps to go; run() counts down */
    gate *stops;
    outcome *what;
} climb;

static int told_order[16], told_count, drops;

static int64_t run_step(rondo_job *job) {
    climb *c = (climb *)job;
    if (c->stops) {
        sem_post(&c->stops->entered);
        sem_take(&c->stops->open);
    }
    return --c->left;
}

static void tell_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    ((rondo_done_cb)fn)(loop, *(const int64_t *)payload, arg);
}
static const rondo__event told = {"test.steps", tell_thunk};

static void deliver_step(rondo_loop *loop, rondo_job *job, int64_t result) {
    climb *c = (climb *)job;
    if (result > 0) {
        int error = rondo__job_again(job);
        if (error == 0) return;
        result = error;
    }
    outcome *what = c->what;
    rondo__request_free(job);
    rondo__door(loop, NULL, &told, RONDO__FN(note_outcome), &result, what);
}

static void drop_step(rondo_job *job) {
    drops++;
    rondo__request_free(job);
}

static rondo_job *start_climb(rondo_loop *loop, rondo_lane *lane, int steps, gate *stops,
                              outcome *what) {
    rondo_job *job;
    CHECK_INT(rondo__request_new(loop, sizeof(climb), &job), 0);
    climb *c = (climb *)job;
    job->run = run_step;
    job->deliver = deliver_step;
    job->drop = drop_step;
    job->keeps_result = true;
    job->steps = true;
    c->left = steps;
    c->stops = stops;
    c->what = what;
    CHECK_INT(rondo__job_submit(lane, job, false), 0);
    return job;
}

/* Until the step that has ended is queued again: the loop hears of it soon. */
static void turn_until_queued(rondo_loop *loop, rondo_lane *lane, size_t jobs) {
    while (figures_of(lane).queued != jobs) CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 1);
}

TEST(all_steps_run_and_the_loop_stays_alive) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    outcome what = {0};

    start_climb(loop, lane, 1000, NULL, &what);
    run_to_end(loop);
    CHECK_OUTCOME(what, 0);
    CHECK_INT(figures_of(lane).done, 1000);
    CHECK(!rondo_loop_alive(loop));
    rondo_loop_free(loop);
    CHECK_INT(drops, 0);
}

static int64_t answer(rondo_job *job, void *arg) { return 42; }
static void note_order(rondo_loop *loop, int64_t result, void *arg) {
    told_order[told_count++] = *(int *)arg;
}

TEST(what_waits_goes_in_between) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    outcome what = {0};
    int number[2] = {1, 2};
    gate stops;

    gate_init(&stops);
    start_climb(loop, lane, 3, &stops, &what);
    gate_wait_entered(&stops, 1);
    for (int i = 0; i < 2; i++)
        CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, note_order, &number[i]), 0);
    gate_open(&stops, 1);
    while (told_count < 2) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_INT(what.calls, 0); /* two steps are left */
    CHECK_MEM(told_order, number, sizeof number);
    gate_open(&stops, 2);
    run_to_end(loop);
    CHECK_OUTCOME(what, 0);
    rondo_loop_free(loop);
}

TEST(a_full_queue_does_not_refuse_the_next_step) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 1);
    outcome what = {0};
    gate stops, g;

    gate_init(&stops);
    gate_init(&g);
    start_climb(loop, lane, 2, &stops, &what);
    gate_wait_entered(&stops, 1);
    submit_standing(loop, lane, &g); /* full */
    CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, ignore_done, NULL), RONDO_EAGAIN);
    gate_open(&stops, 1);
    gate_wait_entered(&g, 1);
    submit_standing(loop, lane, &g); /* full again, when the first step comes back */
    turn_until_queued(loop, lane, 2);
    CHECK_INT(figures_of(lane).refused, 1);
    gate_open(&g, 2);
    gate_open(&stops, 1);
    run_to_end(loop);
    CHECK_OUTCOME(what, 0);
    rondo_loop_free(loop);
}

TEST(canceled_between_the_steps) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    gate stops, g;

    gate_init(&stops);
    gate_init(&g);
    /* While a step runs (0), has ended and is on its way (1), is queued again (2). */
    for (int when = 0; when < 3; when++) {
        outcome what = {0};
        uint64_t done = figures_of(lane).done;
        rondo_job *job = start_climb(loop, lane, 5, &stops, &what);
        gate_wait_entered(&stops, 1);
        if (when == 0) CHECK_INT(rondo_job_cancel(job), RONDO_EBUSY);
        if (when == 2) submit_standing(loop, lane, &g);
        gate_open(&stops, 1);
        WAIT_FOR_FIGURE(lane, done, done + 1);
        if (when == 1) CHECK_INT(rondo_job_cancel(job), RONDO_EBUSY);
        if (when == 2) {
            gate_wait_entered(&g, 1);
            turn_until_queued(loop, lane, 1);
            CHECK_INT(what.calls, 0);
            CHECK_INT(rondo_job_cancel(job), 0);
        }
        CHECK_INT(rondo_job_cancel(job), RONDO_ENOENT); /* asked already, and no step runs */
        gate_open(&g, when == 2);
        run_to_end(loop);
        CHECK_OUTCOME(what, RONDO_ECANCELED);
        CHECK_INT(figures_of(lane).done, done + 1 + 2 * (when == 2));
    }
    rondo_loop_free(loop);
    CHECK_INT(drops, 0);
}

TEST(a_cancel_that_meets_the_last_step_is_too_late) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    outcome what = {0};
    rondo_job *job = start_climb(loop, lane, 1, NULL, &what);

    WAIT_FOR_FIGURE(lane, done, 1);
    CHECK_INT(rondo_job_cancel(job), RONDO_EBUSY);
    run_to_end(loop);
    CHECK_OUTCOME(what, 0);
    rondo_loop_free(loop);
}

static int releases;
static void on_release(void *arg) {
    CHECK_INT(((outcome *)arg)->calls, 1); /* not between the steps */
    releases++;
}

TEST(what_belongs_to_the_job_stays_for_all_steps) {
    rondo_loop *loop = new_loop();
    outcome what = {0};
    rondo_job *job = start_climb(loop, new_lane(loop, "one", 1, 10), 20, NULL, &what);

    CHECK_INT(rondo_job_on_release(job, on_release, &what), 0);
    CHECK_INT(rondo_job_set_timeout(job, 1000000), 0);
    run_to_end(loop);
    CHECK_OUTCOME(what, 0);
    CHECK_INT(releases, 1);
    rondo_loop_free(loop);
}

TEST(close_all_ends_it_wherever_it_is) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    gate stops;

    gate_init(&stops);
    for (int when = 0; when < 2; when++) { /* while a step runs; when it has ended */
        outcome what = {0};
        uint64_t done = figures_of(lane).done;
        start_climb(loop, lane, 5, &stops, &what);
        gate_wait_entered(&stops, 1);
        if (when == 0) rondo_loop_close_all(loop);
        gate_open(&stops, 1);
        WAIT_FOR_FIGURE(lane, done, done + 1);
        if (when == 1) rondo_loop_close_all(loop);
        run_to_end(loop);
        CHECK_OUTCOME(what, RONDO_ECANCELED);
        CHECK_INT(figures_of(lane).done, done + 1);
    }
    rondo_loop_free(loop);
}

TEST(freed_between_the_steps) {
    gate stops, g;

    gate_init(&stops);
    gate_init(&g);
    for (int when = 0; when < 2; when++) { /* when a step has ended; queued again */
        rondo_loop *loop = new_loop();
        rondo_lane *lane = new_lane(loop, "one", 1, 10);
        outcome what = {0};
        start_climb(loop, lane, 5, &stops, &what);
        gate_wait_entered(&stops, 1);
        submit_standing(loop, lane, &g);
        gate_open(&stops, 1);
        gate_wait_entered(&g, 1);
        turn_until_queued(loop, lane, (size_t)when);
        gate_open(&g, 1);
        gate_open(&stops, 1); /* in case that it is quicker than the end */
        rondo_loop_free(loop);
        CHECK_INT(what.calls, 0);
        CHECK_INT(drops, when + 1);
        while (sem_trywait(&stops.open) == 0) {}
        while (sem_trywait(&stops.entered) == 0) {}
    }
}
