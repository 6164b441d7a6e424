/* SPDX-License-Identifier: MIT
 *
 * Progress of jobs: what was reported last, at most once in a turn, never after the callback.
 */
#include "gate.h"
#include "harness.h"

#include <rondo.h>

typedef struct listener {
    int calls;
    uint64_t done, total, turn;
    outcome what;
} listener;

static void on_progress(rondo_loop *loop, uint64_t done, uint64_t total, void *arg) {
    listener *l = arg;
    CHECK_INT(l->what.calls, 0);            /* never after the callback */
    CHECK(rondo_loop_turn(loop) > l->turn); /* at most once in a turn */
    CHECK(l->calls == 0 || done > l->done); /* in order */
    CHECK_INT(rondo_loop_phase(loop), RONDO_PHASE_poll);
    l->calls++;
    l->done = done;
    l->total = total;
    l->turn = rondo_loop_turn(loop);
}

static gate g;
static listener heard;

static void on_done(rondo_loop *loop, int64_t result, void *arg) {
    note_outcome(loop, result, &heard.what);
}

/* Reports 1 to 3 between two visits of the gate, then 4 to 100, then returns. */
static int64_t report(rondo_job *job, void *arg) {
    stand_at(job, &g);
    for (uint64_t i = 1; i <= 3; i++) rondo_work_report(job, i, 100);
    stand_at(job, &g);
    for (uint64_t i = 4; i <= 100; i++) rondo_work_report(job, i, 100);
    return 7;
}

TEST(the_latest_report_is_told) {
    rondo_loop *loop = new_loop();
    rondo_job *job;

    gate_init(&g);
    CHECK_INT(rondo_work_submit(loop, NULL, &job, report, on_done, NULL), 0);
    CHECK_INT(rondo_job_on_progress(job, NULL, &heard), RONDO_EINVAL);
    CHECK_INT(rondo_job_on_progress(job, on_progress, &heard), 0);
    gate_open(&g, 1);
    gate_wait_entered(&g, 2);
    CHECK_INT(heard.calls, 0);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1); /* three reports, one call */
    CHECK_INT(heard.calls, 1);
    CHECK_INT(heard.done, 3);
    CHECK_INT(heard.total, 100);
    gate_open(&g, 1);
    WAIT_FOR_FIGURE(rondo_lane_cpu(loop), done, 1);
    run_to_end(loop);
    CHECK_INT(heard.calls, 2); /* 97 reports, one call, before the callback */
    CHECK_INT(heard.done, 100);
    CHECK_OUTCOME(heard.what, 7);
    rondo_loop_free(loop);
}

TEST(reports_that_nobody_hears) {
    rondo_loop *loop = new_loop();
    rondo_job *job;

    gate_init(&g);
    CHECK_INT(rondo_work_submit(loop, NULL, &job, report, on_done, NULL), 0);
    gate_open(&g, 1);
    gate_wait_entered(&g, 2); /* what was reported before is not heard later */
    CHECK_INT(rondo_job_on_progress(job, on_progress, &heard), 0);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 1);
    CHECK_INT(heard.calls, 0);
    gate_open(&g, 1);
    WAIT_FOR_FIGURE(rondo_lane_cpu(loop), done, 1);
    run_to_end(loop);
    CHECK_INT(heard.calls, 1);
    rondo_loop_free(loop);
}

static int64_t report_without_end(rondo_job *job, void *arg) {
    for (uint64_t i = 1; !rondo_work_canceled(job); i++) rondo_work_report(job, i, 0);
    return 0;
}

static listener floods[3];
static rondo_job *flooding[3];
static void on_flood(rondo_loop *loop, uint64_t done, uint64_t total, void *arg) {
    listener *l = arg;
    on_progress(loop, done, total, l);
    CHECK_INT(total, 0);
    if (l->calls == 50) CHECK_INT(rondo_job_cancel(flooding[l - floods]), RONDO_EBUSY);
}
static void on_flood_done(rondo_loop *loop, int64_t result, void *arg) {
    note_outcome(loop, result, &((listener *)arg)->what);
}

TEST(a_flood_of_reports_costs_one_call_a_turn) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "three", 3, 10);

    for (int i = 0; i < 3; i++) {
        CHECK_INT(rondo_work_submit(loop, lane, &flooding[i], report_without_end, on_flood_done,
                                    &floods[i]),
                  0);
        CHECK_INT(rondo_job_on_progress(flooding[i], on_flood, &floods[i]), 0);
    }
    run_to_end(loop);
    for (int i = 0; i < 3; i++) {
        CHECK(floods[i].calls >= 50);
        CHECK_OUTCOME(floods[i].what, RONDO_ECANCELED);
    }
    rondo_loop_free(loop);
}

static void never(rondo_loop *loop, uint64_t done, uint64_t total, void *arg) {
    FAIL("called back");
}

TEST(a_report_of_a_job_that_is_dropped_is_dropped) {
    rondo_loop *loop = new_loop();
    rondo_job *job;

    gate_init(&g);
    gate_open(&g, 2);
    CHECK_INT(rondo_work_submit(loop, NULL, &job, report, on_done, NULL), 0);
    CHECK_INT(rondo_job_on_progress(job, never, NULL), 0);
    WAIT_FOR_FIGURE(rondo_lane_cpu(loop), done, 1);
    rondo_loop_free(loop);
    CHECK_INT(heard.what.calls, 0);
}

TEST(a_steady_state_of_reports_allocates_nothing) {
    rondo_loop *loop = new_loop();
    size_t before = 0;

    gate_init(&g);
    warm_up(loop);
    for (int round = 0; round < 20; round++) {
        rondo_job *job;
        if (round == 2) before = harness_alloc_count();
        heard = (listener){0};
        gate_open(&g, 2);
        CHECK_INT(rondo_work_submit(loop, NULL, &job, report, on_done, NULL), 0);
        CHECK_INT(rondo_job_on_progress(job, on_progress, &heard), 0);
        CHECK_INT(rondo_job_set_timeout(job, 1000000), 0);
        run_to_end(loop);
        CHECK_OUTCOME(heard.what, 7);
    }
    CHECK_INT(harness_alloc_count() - before, 0);
    rondo_loop_free(loop);
}
