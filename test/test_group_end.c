/* SPDX-License-Identifier: MIT
 *
 * Groups that are canceled or closed, at every point of their members' lives: each member is told
 * exactly once, and nothing that it was given is used afterwards.
 */
#include "groups.h"

/* A job that stands at a gate, and what its done brought. */
typedef struct standing {
    gate g;
    outcome what;
} standing;

static int64_t stand(rondo_job *job, void *arg) { return stand_at(job, &((standing *)arg)->g); }
static void note_stood(rondo_loop *self, int64_t result, void *arg) {
    note_outcome(self, result, &((standing *)arg)->what);
    note("stood");
}
static void add_standing(rondo_group *group, rondo_lane *lane, standing *job) {
    *job = (standing){0};
    gate_init(&job->g);
    CHECK_INT(rondo_group_work(group, lane, stand, note_stood, job), 0);
}

/* ---- cancel ---- */

TEST(canceling_skips_those_that_wait_and_asks_those_that_run) {
    rondo_group *group = begin(2);
    outcome waited = {0};
    standing job;

    add_standing(group, NULL, &job);
    add_tasks(group, "abc");
    CHECK_INT(rondo_group_work(group, NULL, answer, note_outcome, &waited), 0);
    step(1);
    gate_wait_entered(&job.g, 1);
    CHECK_TRACE("a");
    CHECK(!rondo_group_canceled(group));
    CHECK_INT(rondo_group_cancel(group), 0);
    CHECK_TRACE(""); /* nothing inside the call */
    CHECK_INT(waited.calls, 0);
    CHECK(rondo_group_canceled(group));
    CHECK_INT(rondo_group_run(group, note_group, note_skipped, "x"), RONDO_ECANCELED);
    CHECK_INT(rondo_group_work(group, NULL, answer, note_outcome, NULL), RONDO_ECANCELED);
    CHECK_INT(rondo_group_cancel(group), 0); /* again: nothing more */
    step(1);
    CHECK_TRACE("-b -c");
    CHECK_OUTCOME(waited, RONDO_ECANCELED);
    check_figures(group, 0, 2, 3);

    gate_open(&job.g, 1);
    while (job.what.calls == 0) CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
    CHECK_OUTCOME(job.what, RONDO_ECANCELED);
    CHECK_TRACE("stood");
    CHECK(rondo_group_canceled(group)); /* `a` is still under way */
    rondo_group_leave(group);
    CHECK(rondo_group_canceled(group));
    step(1);
    CHECK_TRACE("done");
    CHECK(!rondo_group_canceled(group));
    add_tasks(group, "z"); /* it is as good as new */
    step(1);
    CHECK_TRACE("z");
    end(group);
}

TEST(canceling_takes_jobs_out_of_the_lanes_queue) {
    rondo_group *group = begin(3);
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    outcome queued = {0};
    standing job;

    add_standing(group, lane, &job);
    CHECK_INT(rondo_group_work(group, lane, answer, note_outcome, &queued), 0);
    step(1);
    gate_wait_entered(&job.g, 1);
    CHECK_INT(figures_of(lane).queued, 1);
    CHECK_INT(rondo_group_cancel(group), 0);
    CHECK_INT(figures_of(lane).queued, 0);
    step(1);
    CHECK_OUTCOME(queued, RONDO_ECANCELED);
    CHECK_INT(job.what.calls, 0);
    gate_open(&job.g, 1);
    run_to_end(loop);
    CHECK_TRACE("stood done");
    end(group);
}

TEST(canceling_a_group_without_members_does_nothing) {
    rondo_group *group = begin(1);
    CHECK_INT(rondo_group_cancel(group), 0);
    CHECK(!rondo_group_canceled(group) && !rondo_loop_alive(loop));
    add_tasks(group, "a");
    step(1);
    CHECK_TRACE("a");
    end(group);
}

TEST(canceling_before_done_is_over_with_done) {
    rondo_group *group = begin(1);
    add_tasks(group, "a");
    step(1);
    rondo_group_leave(group);
    CHECK_INT(rondo_group_cancel(group), 0); /* the last member is over, `done` on its way */
    CHECK_INT(rondo_group_run(group, note_group, NULL, "b"), RONDO_ECANCELED);
    step(1);
    CHECK_TRACE("a done");
    add_tasks(group, "b");
    step(1);
    CHECK_TRACE("b");
    end(group);
}

static void cancel_and_leave(rondo_group *group, void *arg) {
    note("%s", (const char *)arg);
    CHECK_INT(rondo_group_cancel(group), 0);
    CHECK(rondo_group_canceled(group));
    rondo_group_leave(group);
}

TEST(canceling_inside_start) {
    rondo_group *group = begin(8);
    add_tasks(group, "a");
    CHECK_INT(rondo_group_run(group, cancel_and_leave, NULL, "cancel"), 0);
    add_tasks(group, "bc");
    CHECK_INT(rondo_group_run(group, note_group, NULL, "silent"), 0);
    step(1);
    CHECK_TRACE("a cancel -b -c");
    rondo_group_leave(group);
    step(1);
    CHECK_TRACE("done");
    end(group);
}

static void cancel_in_done(rondo_group *group, void *arg) {
    CHECK_INT(rondo_group_cancel(group), 0);
    CHECK(!rondo_group_canceled(group));
    if (*(int *)arg == 0) return;
    --*(int *)arg;
    add_tasks(group, "b");
    CHECK_INT(rondo_group_cancel(group), 0);
}

TEST(canceling_inside_done) {
    rondo_group *group = begin(1);
    int again = 1;
    CHECK_INT(rondo_group_on_done(group, cancel_in_done, &again), 0);
    add_tasks(group, "a");
    step(1);
    rondo_group_leave(group);
    run_to_end(loop);
    CHECK_TRACE("a done -b done");
    end(group);
}

static void cancel_in_result(rondo_loop *self, int64_t result, void *arg) {
    note("%d", (int)result);
    CHECK_INT(rondo_group_cancel(arg), 0);
}

TEST(canceling_inside_the_done_of_a_job) {
    rondo_group *group = begin(1);
    CHECK_INT(rondo_group_work(group, NULL, answer, cancel_in_result, group), 0);
    add_tasks(group, "ab");
    run_to_end(loop);
    CHECK_TRACE("42 -a -b done");
    end(group);
}

/* ---- close ---- */

TEST(closing_tells_all_that_wait_before_close) {
    rondo_group *group = begin(1);
    outcome waited = {0};
    add_tasks(group, "abc");
    CHECK_INT(rondo_group_work(group, NULL, answer, note_outcome, &waited), 0);
    rondo_on_close(group, note_close, "close");
    step(1);
    CHECK_TRACE("a");
    rondo_close(group);
    CHECK_TRACE("");
    CHECK(rondo_group_canceled(group));
    rondo_group_leave(group); /* still allowed */
    step(1);
    CHECK_TRACE("-b -c close");
    CHECK_OUTCOME(waited, RONDO_ECANCELED);
    CHECK(!rondo_loop_alive(loop));
    end(group);
}

TEST(closing_before_anything_began) {
    rondo_group *group = begin(2);
    outcome waited = {0};
    add_tasks(group, "ab");
    CHECK_INT(rondo_group_work(group, NULL, answer, note_outcome, &waited), 0);
    rondo_close(group);
    step(1); /* its pending phase comes before its closing phase */
    CHECK_TRACE("-a -b");
    CHECK_OUTCOME(waited, RONDO_ECANCELED);
    end(group);
}

/* Has the loop really free the memory of handles whose `close` was emitted. */
static void close_many_others(void) {
    for (int i = 0; i < 64; i++) rondo_close(rondo_timer_new(loop));
    step(1);
}

TEST(calls_on_a_closing_group_are_refused_and_do_nothing) {
    rondo_group *group = begin(1);
    rondo_close(group);
    CHECK_INT(rondo_group_run(group, note_group, note_skipped, "x"), RONDO_ECLOSED);
    CHECK_INT(rondo_group_work(group, NULL, answer, note_outcome, NULL), RONDO_ECLOSED);
    CHECK_INT(rondo_group_cancel(group), RONDO_ECLOSED);
    CHECK_INT(rondo_group_set_limit(group, 1), RONDO_ECLOSED);
    CHECK_INT(rondo_group_set_bound(group, 1), RONDO_ECLOSED);
    CHECK_INT(rondo_group_on_done(group, note_group, NULL), RONDO_ECLOSED);
    step(1);
    CHECK_TRACE("");
    end(group);
}

TEST(a_job_that_runs_outlives_its_group) {
    rondo_group *group = begin(2);
    standing job;

    add_standing(group, NULL, &job);
    step(1);
    gate_wait_entered(&job.g, 1);
    rondo_on_close(group, note_close, "close");
    rondo_close(group);
    step(3);
    CHECK_TRACE("close");
    CHECK(rondo_loop_alive(loop));
    close_many_others();
    gate_open(&job.g, 1);
    run_to_end(loop);
    CHECK_TRACE("stood");
    CHECK_OUTCOME(job.what, RONDO_ECANCELED);
    end(group);
}

TEST(a_job_that_is_queued_is_told_whether_its_group_is_there_or_not) {
    rondo_group *group = begin(2);
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    outcome queued = {0};
    gate g;

    gate_init(&g);
    submit_standing(loop, lane, &g);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_group_work(group, lane, answer, note_outcome, &queued), 0);
    step(1);
    rondo_on_close(group, note_close, "close");
    rondo_close(group);
    step(2);
    CHECK_TRACE("close");
    CHECK_OUTCOME(queued, RONDO_ECANCELED);
    gate_open(&g, 1);
    run_to_end(loop);
    end(group);
}

static void close_it(rondo_group *group, void *arg) {
    note("%s", (const char *)arg);
    rondo_on_close(group, note_close, "close");
    rondo_close(group);
}

TEST(closing_inside_start) {
    rondo_group *group = begin(8);
    add_tasks(group, "a");
    CHECK_INT(rondo_group_run(group, close_it, NULL, "closing"), 0);
    add_tasks(group, "bc");
    step(1);
    CHECK_TRACE("a closing -b -c close");
    end(group);
}

static void leave_and_close(rondo_group *group, void *arg) {
    rondo_group_leave(group);
    close_it(group, arg);
}

TEST(closing_after_leaving_inside_start) {
    rondo_group *group = begin(8);
    CHECK_INT(rondo_group_run(group, leave_and_close, NULL, "closing"), 0);
    step(1);
    CHECK_TRACE("closing close"); /* and no `done` */
    step(1);
    CHECK_TRACE("");
    end(group);
}

TEST(closing_inside_skipped) {
    rondo_group *group = begin(1);
    add_tasks(group, "a");
    CHECK_INT(rondo_group_run(group, note_group, close_it, "closing"), 0);
    add_tasks(group, "b");
    CHECK_INT(rondo_group_cancel(group), 0);
    step(1);
    CHECK_TRACE("-a closing -b close");
    end(group);
}

TEST(closing_inside_done) {
    rondo_group *group = begin(1);
    CHECK_INT(rondo_group_on_done(group, close_it, "closing"), 0);
    CHECK_INT(rondo_group_on_done(group, note_group, "never"), 0);
    add_tasks(group, "a");
    step(1);
    rondo_group_leave(group);
    run_to_end(loop);
    CHECK_TRACE("a done closing close");
    end(group);
}

static void close_in_result(rondo_loop *self, int64_t result, void *arg) {
    note("%d", (int)result);
    rondo_on_close((rondo_group *)arg, note_close, "close");
    rondo_close((rondo_group *)arg);
}

TEST(closing_inside_the_done_of_a_job) {
    rondo_group *group = begin(1);
    CHECK_INT(rondo_group_work(group, NULL, answer, close_in_result, group), 0);
    add_tasks(group, "a");
    run_to_end(loop);
    CHECK_TRACE("42 -a close");
    end(group);
}

TEST(closing_while_the_lane_is_full) {
    rondo_group *group = begin(3);
    outcome what = {0};
    full_lane full;

    fill_a_lane(&full);
    CHECK_INT(rondo_group_work(group, full.lane, answer, note_outcome, &what), 0);
    step(1);
    rondo_close(group);
    step(1);
    CHECK_OUTCOME(what, RONDO_ECANCELED);
    empty_the_lane(&full);
    close_many_others();
    start_timer(loop, 10, note_timer, "later than it would have tried again");
    run_to_end(loop);
    end(group);
}

/* ---- the end of the loop ---- */

TEST(closing_everything_ends_groups_in_any_state) {
    rondo_group *group = begin(2), *idle = rondo_group_new(loop, 1);
    standing job;

    add_standing(group, NULL, &job);
    add_tasks(group, "ab");
    step(1);
    gate_wait_entered(&job.g, 1);
    CHECK_TRACE("a");
    gate_open(&job.g, 1);
    rondo_loop_close_all(loop);
    run_to_end(loop);
    CHECK_INT(job.what.calls, 1); /* 0 or RONDO_ECANCELED: it may have returned before */
    CHECK(trace_has("-b") && trace_has("stood"));
    CHECK(idle != NULL);
    end(group);
}

TEST(freeing_the_loop_waits_for_jobs_of_closed_groups_and_calls_nobody) {
    rondo_group *group = begin(2);
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    standing job, queued;

    add_standing(group, lane, &job);
    add_standing(group, lane, &queued);
    step(1);
    gate_wait_entered(&job.g, 1);
    rondo_close(group);
    step(1);
    CHECK_OUTCOME(queued.what, RONDO_ECANCELED);
    gate_open(&job.g, 1);
    CHECK_TRACE("stood");
    rondo_loop_free(loop);
    CHECK_INT(job.what.calls, 0);
    CHECK_TRACE("");
}

/* ---- all of it in a row ---- */

enum { ROUNDS = 40, MEMBERS = 64 };
static int told[MEMBERS];

static void tell_result(rondo_loop *self, int64_t result, void *arg) {
    CHECK(result == 42 || result == RONDO_ECANCELED);
    ++*(int *)arg;
}
static void tell_start(rondo_group *group, void *arg) {
    ++*(int *)arg;
    rondo_group_leave(group);
}
static void tell_skipped(rondo_group *group, void *arg) { ++*(int *)arg; }

/* However many turns it has had: a cancel or a close tells everybody once. */
TEST(canceling_or_closing_races_with_the_members) {
    for (int round = 0; round < ROUNDS; round++) {
        rondo_group *group = begin(1 + (unsigned)round % 5);
        rondo_lane *lane = new_lane(loop, "race", 2, 2);
        memset(told, 0, sizeof told);
        for (int i = 0; i < MEMBERS; i++)
            CHECK_INT(i % 3 ? rondo_group_work(group, lane, answer, tell_result, &told[i])
                            : rondo_group_run(group, tell_start, tell_skipped, &told[i]),
                      0);
        for (int turn = 0; turn < round / 2; turn++) step(1), sched_yield();
        if (round % 2) {
            CHECK_INT(rondo_group_cancel(group), 0);
        } else {
            rondo_close(group);
        }
        run_to_end(loop);
        for (int i = 0; i < MEMBERS; i++) CHECK_INT(told[i], 1);
        end(group);
    }
}
