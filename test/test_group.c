/* SPDX-License-Identifier: MIT
 *
 * Groups: members begin in order and at most so many at a time, each is told exactly once how it
 * went, `done` comes when there are none any more; whatever is canceled, closed or full meanwhile.
 * Canceling and closing are in test_group_end.c.
 */
#include "gate.h"
#include "groups.h"

#include <sys/wait.h>
#include <unistd.h>

/* ---- order and number ---- */

TEST(members_begin_in_order_and_never_inside_the_call) {
    rondo_group *group = begin(2);
    add_tasks(group, "abcde");
    CHECK_TRACE("");
    step(1);
    CHECK_TRACE("a b");
    check_figures(group, 3, 2, 0);
    step(3);
    CHECK_TRACE("");
    rondo_group_leave(group);
    CHECK_TRACE("");
    step(1);
    CHECK_TRACE("c");
    rondo_group_leave(group);
    rondo_group_leave(group);
    step(1);
    CHECK_TRACE("d e");
    rondo_group_leave(group);
    step(1);
    CHECK_TRACE("");
    rondo_group_leave(group);
    check_figures(group, 0, 0, 5);
    CHECK(rondo_is_active(group)); /* `done` is still to come */
    step(1);
    CHECK_TRACE("done");
    CHECK(!rondo_is_active(group));
    step(1);
    CHECK_TRACE("");
    end(group);
}

TEST(a_limit_of_0_is_1) {
    rondo_group *group = begin(0);
    add_tasks(group, "ab");
    step(2);
    CHECK_TRACE("a");
    CHECK_INT(rondo_group_set_limit(group, 0), 0);
    rondo_group_leave(group);
    step(2);
    CHECK_TRACE("b");
    rondo_group_leave(group);
    step(1);
    CHECK_TRACE("done");
    end(group);
}

TEST(the_limit_may_change_at_any_time) {
    rondo_group *group = begin(1);
    add_tasks(group, "abcdef");
    step(1);
    CHECK_TRACE("a");
    CHECK_INT(rondo_group_set_limit(group, 4), 0);
    CHECK_TRACE("");
    step(1);
    CHECK_TRACE("b c d");
    CHECK_INT(rondo_group_set_limit(group, 2), 0);
    rondo_group_leave(group);
    rondo_group_leave(group);
    step(2);
    CHECK_TRACE("");
    rondo_group_leave(group);
    step(1);
    CHECK_TRACE("e");
    end(group);
}

static void leave_now(rondo_group *group, void *arg) {
    note("%s", (const char *)arg);
    rondo_group_leave(group);
}

TEST(done_comes_in_a_later_phase_than_the_last_end) {
    rondo_group *group = begin(8);
    CHECK_INT(rondo_group_run(group, leave_now, NULL, "a"), 0);
    CHECK_INT(rondo_group_run(group, leave_now, NULL, "b"), 0);
    step(1);
    CHECK_TRACE("a b");
    check_figures(group, 0, 0, 2);
    step(1);
    CHECK_TRACE("done");
    CHECK_INT(done_phase, RONDO_PHASE_pending);
    end(group);
}

/* A completion over the budget is delivered in the pending phase, in which `more` waits too. */
TEST(done_comes_in_a_later_phase_than_a_late_completion) {
    rondo_group *group = begin(2);
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    outcome what[3] = {{0}};

    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_completions, 1), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rondo_group_work(group, lane, answer, note_outcome, &what[i]), 0);
    step(1); /* two of them begin */
    WAIT_FOR_FIGURE(lane, done, 2);
    CHECK_INT(rondo_group_set_limit(group, 1), 0);
    run_to_end(loop);
    for (int i = 0; i < 3; i++) CHECK_OUTCOME(what[i], 42);
    CHECK(done_turn > what[2].turn);
    CHECK_TRACE("done");
    end(group);
}

static rondo_group *timed;
static void leave_at(rondo_timer *timer, void *arg) {
    note("timer");
    rondo_group_leave(timed);
}

TEST(done_comes_in_the_turn_of_the_timer_that_ended_it) {
    timed = begin(1);
    add_tasks(timed, "a");
    start_timer(loop, 10, leave_at, NULL);
    run_to_end(loop);
    CHECK_TRACE("a timer done");
    CHECK_INT(rondo_loop_turn(loop), done_turn);
    end(timed);
}

static int adding;
static void add_again(rondo_group *group, void *arg) {
    note("%d", adding);
    if (adding++ < 3) CHECK_INT(rondo_group_run(group, add_again, NULL, NULL), 0);
    rondo_group_leave(group);
}

TEST(what_members_add_waits_for_the_next_turn) {
    rondo_group *group = begin(8);
    CHECK_INT(rondo_group_run(group, add_again, NULL, NULL), 0);
    for (int turn = 0; turn < 4; turn++) {
        step(1);
        CHECK_INT(adding, turn + 1);
    }
    CHECK_TRACE("0 1 2 3");
    step(1);
    CHECK_TRACE("done");
    end(group);
}

static void add_in_done(rondo_group *group, void *arg) {
    CHECK(!rondo_group_canceled(group));
    if (adding++ < 2) add_tasks(group, "x");
}

TEST(a_group_is_used_again_in_its_done) {
    rondo_group *group = begin(1);
    CHECK_INT(rondo_group_on_done(group, add_in_done, NULL), 0);
    add_tasks(group, "a");
    for (int i = 0; i < 3; i++) {
        step(1);
        rondo_group_leave(group);
        step(1);
    }
    run_to_end(loop);
    CHECK_TRACE("a done x done x done");
    check_figures(group, 0, 0, 3);
    end(group);
}

/* ---- jobs ---- */

static atomic_int running, most;
static int64_t count_running(rondo_job *job, void *arg) {
    int now = atomic_fetch_add(&running, 1) + 1, before = atomic_load(&most);
    while (now > before && !atomic_compare_exchange_weak(&most, &before, now)) {}
    sched_yield();
    atomic_fetch_sub(&running, 1);
    return 42;
}

TEST(no_more_jobs_run_at_once_than_the_limit) {
    rondo_group *group = begin(2);
    rondo_lane *lane = new_lane(loop, "wide", 8, 1000);
    outcome what[200] = {{0}};

    for (int i = 0; i < 200; i++)
        CHECK_INT(rondo_group_work(group, lane, count_running, note_outcome, &what[i]), 0);
    run_to_end(loop);
    for (int i = 0; i < 200; i++) CHECK_OUTCOME(what[i], 42);
    CHECK(atomic_load(&most) <= 2);
    check_figures(group, 0, 0, 200);
    CHECK_TRACE("done");
    end(group);
}

static int64_t pass_on(rondo_job *job, void *arg) { return *(int *)arg; }
static void note_result(rondo_loop *self, int64_t result, void *arg) { note("%d", (int)result); }

TEST(jobs_and_tasks_of_a_group_share_its_limit) {
    rondo_group *group = begin(1);
    rondo_lane *fs = rondo_lane_fs(loop);
    int numbers[] = {1, 2, RONDO_EIO};

    CHECK_INT(rondo_group_work(group, NULL, pass_on, note_result, &numbers[0]), 0);
    add_tasks(group, "a");
    CHECK_INT(rondo_group_work(group, fs, pass_on, note_result, &numbers[1]), 0);
    CHECK_INT(rondo_group_work(group, fs, pass_on, note_result, &numbers[2]), 0);
    while (!trace_has("a")) CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
    step(3);
    CHECK_TRACE("1 a");
    rondo_group_leave(group);
    run_to_end(loop);
    char want[64];
    snprintf(want, sizeof want, "2 %d done", RONDO_EIO);
    CHECK_TRACE(want);
    end(group);
}

TEST(a_job_is_over_when_its_done_is_called) {
    rondo_group *group = begin(1);
    CHECK_INT(rondo_group_work(group, NULL, answer, check_all_over, group), 0);
    run_to_end(loop);
    CHECK_TRACE("over done");
    end(group);
}

TEST(unusable_arguments_are_refused) {
    rondo_group *group = begin(1);
    rondo_loop *other = new_loop();
    CHECK_INT(rondo_group_run(group, NULL, NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_group_work(group, NULL, NULL, note_outcome, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_group_work(group, NULL, answer, NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_group_work(group, rondo_lane_fs(other), answer, note_outcome, NULL),
              RONDO_EINVAL);
    check_figures(group, 0, 0, 0);
    CHECK(!rondo_loop_alive(loop));
    rondo_loop_free(other);
    end(group);
}

/* ---- bounds ---- */

TEST(members_over_the_bound_are_refused) {
    rondo_group *group = begin(2);
    CHECK_INT(rondo_group_set_bound(group, 3), 0);
    add_tasks(group, "abcde"); /* two that begin at once, and three that wait */
    CHECK_INT(rondo_group_run(group, note_group, NULL, "f"), RONDO_EAGAIN);
    CHECK_INT(rondo_group_work(group, NULL, answer, note_outcome, NULL), RONDO_EAGAIN);
    step(1);
    CHECK_TRACE("a b");
    CHECK_INT(rondo_group_run(group, note_group, NULL, "f"), RONDO_EAGAIN);
    rondo_group_leave(group);
    add_tasks(group, "f");
    CHECK_INT(rondo_group_run(group, note_group, NULL, "g"), RONDO_EAGAIN);
    CHECK_INT(rondo_group_set_bound(group, 1), 0); /* those that are there stay */
    CHECK_INT(rondo_group_run(group, note_group, NULL, "g"), RONDO_EAGAIN);
    step(1);
    CHECK_TRACE("c");
    for (int left = 4; left > 0; left--) {
        step(1);
        rondo_group_leave(group);
    }
    rondo_group_leave(group);
    step(2);
    CHECK_TRACE("d e f done");
    end(group);
}

TEST(a_bound_of_0_is_1) {
    rondo_group *group = begin(1);
    CHECK_INT(rondo_group_set_bound(group, 0), 0);
    add_tasks(group, "ab");
    CHECK_INT(rondo_group_run(group, note_group, NULL, "c"), RONDO_EAGAIN);
    end(group);
}

enum { MANY = 100000 };
static int begun, begun_in_turn;
static uint64_t begun_turn;

static void count_begun(rondo_group *group) {
    if (begun_turn != rondo_loop_turn(loop)) begun_in_turn = 0;
    begun_turn = rondo_loop_turn(loop);
    CHECK(++begun_in_turn <= 256);
    begun++;
}
static void leave_counted(rondo_group *group, void *arg) {
    count_begun(group);
    rondo_group_leave(group);
}
static void skip_counted(rondo_group *group, void *arg) { count_begun(group); }

TEST(many_members_do_not_hold_up_a_turn) {
    rondo_group *group = begin(UINT32_MAX);
    for (int i = 0; i < MANY; i++)
        CHECK_INT(rondo_group_run(group, leave_counted, skip_counted, NULL), 0);
    start_timer(loop, 0, note_timer, "timer");
    rondo_immediate(loop, note_tick, "immediate");
    step(1);
    CHECK_TRACE("timer immediate");
    CHECK_INT(begun, 256);
    run_to_end(loop);
    CHECK_INT(begun, MANY);
    CHECK_TRACE("done");

    for (int i = 0; i < MANY; i++)
        CHECK_INT(rondo_group_run(group, leave_counted, skip_counted, NULL), 0);
    CHECK_INT(rondo_group_cancel(group), 0);
    step(1);
    CHECK_INT(begun, MANY + 256);
    run_to_end(loop);
    CHECK_INT(begun, 2 * MANY);
    CHECK_TRACE("done");
    end(group);
}

TEST(the_budget_of_members_can_be_set) {
    rondo_group *group = begin(100);
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_members, 2), 0);
    add_tasks(group, "abcde");
    step(1);
    CHECK_TRACE("a b");
    step(2);
    CHECK_TRACE("c d e");
    end(group);
}

/* ---- lanes that are full ---- */

/* The virtual clock stands still: what goes on goes on since a member of the group ended. */
TEST(a_full_lane_only_delays) {
    rondo_group *group = begin(100);
    rondo_lane *lane = new_lane(loop, "small", 1, 1);
    outcome what[50] = {{0}};
    uint64_t before_ns = rondo_loop_now_ns(loop);
    gate g;

    gate_init(&g);
    CHECK_INT(rondo_group_work(group, lane, stand_at, ignore_done, &g), 0);
    for (int i = 0; i < 50; i++)
        CHECK_INT(rondo_group_work(group, lane, answer, note_outcome, &what[i]), 0);
    step(1);
    CHECK_INT(figures_of(lane).refused, 1);
    check_figures(group, 49, 2, 0);
    gate_open(&g, 1);
    run_to_end(loop);
    for (int i = 0; i < 50; i++) CHECK_OUTCOME(what[i], 42);
    CHECK_INT(rondo_loop_now_ns(loop), before_ns);
    CHECK_TRACE("done");
    end(group);
}

TEST(a_lane_that_others_fill_is_tried_again_without_spinning) {
    rondo_group *group = begin(3);
    outcome what = {0};
    full_lane full;

    fill_a_lane(&full);
    CHECK_INT(rondo_group_work(group, full.lane, answer, note_outcome, &what), 0);
    add_tasks(group, "a"); /* waits behind it */
    step(10);
    CHECK_INT(figures_of(full.lane).refused, 1);
    check_figures(group, 2, 0, 0);
    CHECK_TRACE("");
    uint64_t before_ns = rondo_loop_now_ns(loop);
    empty_the_lane(&full);
    while (what.calls == 0) CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
    CHECK_OUTCOME(what, 42);
    CHECK_INT(rondo_loop_now_ns(loop), before_ns + 5000000);
    CHECK_INT(figures_of(full.lane).refused, 1);
    CHECK_TRACE("a");
    rondo_group_leave(group);
    run_to_end(loop);
    CHECK_TRACE("done");
    end(group);
}

TEST(canceling_does_not_wait_for_a_full_lane) {
    rondo_group *group = begin(3);
    outcome what = {0};
    full_lane full;

    fill_a_lane(&full);
    CHECK_INT(rondo_group_work(group, full.lane, answer, note_outcome, &what), 0);
    step(1);
    CHECK_INT(rondo_group_cancel(group), 0);
    step(2);
    CHECK_OUTCOME(what, RONDO_ECANCELED);
    CHECK_TRACE("done");
    empty_the_lane(&full);
    run_to_end(loop);
    end(group);
}

/* ---- what keeps the loop alive ---- */

TEST(a_group_with_members_keeps_the_loop_alive_unless_it_is_unrefd) {
    rondo_group *group = begin(1);
    CHECK(!rondo_loop_alive(loop) && !rondo_is_active(group));
    add_tasks(group, "a");
    CHECK(rondo_loop_alive(loop) && rondo_is_active(group));
    step(1);
    CHECK_TRACE("a");
    CHECK(rondo_loop_alive(loop));
    rondo_unref(group);
    CHECK(!rondo_loop_alive(loop));
    rondo_ref(group);
    rondo_group_leave(group);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("done");
    end(group);
}

/* ---- memory, forks ---- */

static int told[4];
static void note_told(rondo_loop *self, int64_t result, void *arg) {
    CHECK(result == 42 || result == RONDO_ENOMEM);
    ++*(int *)arg;
}
static void note_begun(rondo_group *group, void *arg) {
    ++*(int *)arg;
    rondo_group_leave(group);
}

TEST(out_of_memory_is_told_once_wherever_it_happens) {
    long n = 0;
    bool failed;
    do {
        loop = new_virtual_loop();
        CHECK(rondo_lane_cpu(loop) != NULL);
        memset(told, 0, sizeof told);
        bool added[4] = {false};
        harness_fail_alloc_after(n++);
        rondo_group *group = rondo_group_new(loop, 2);
        if (group) {
            CHECK_INT(rondo_group_on_done(group, note_done, NULL), 0);
            for (int i = 0; i < 4; i++) {
                int error = i % 2 ? rondo_group_run(group, note_begun, NULL, &told[i])
                                  : rondo_group_work(group, NULL, answer, note_told, &told[i]);
                CHECK(error == 0 || error == RONDO_ENOMEM);
                added[i] = error == 0;
            }
            run_to_end(loop);
            CHECK_TRACE("done");
            check_figures(group, 0, 0, (uint64_t)(added[0] + added[1] + added[2] + added[3]));
        }
        failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        CHECK(group || failed);
        for (int i = 0; i < 4; i++) CHECK_INT(told[i], added[i]);
        end(group);
    } while (failed);
    CHECK(n > 6); /* the group, four members, the first job */
}

TEST(adding_allocates_once_for_each_member) {
    rondo_group *group = begin(1);
    size_t before = harness_alloc_count();
    add_tasks(group, "abc");
    CHECK_INT(harness_alloc_count() - before, 3);
    end(group);
}

TEST(in_a_forked_child_a_group_is_refused_work) {
    rondo_group *group = begin(1);
    CHECK(rondo_lane_cpu(loop) != NULL);
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(rondo_group_work(group, NULL, answer, note_outcome, NULL) == RONDO_ENOTSUP ? 0 : 1);
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    end(group);
}

/* ---- misuse ---- */

TEST_ABORTS(leaving_a_group_too_often_is_named,
            "rondo_group_leave: the group 'odd' made at test/test_group.c:") {
    loop = new_virtual_loop();
    rondo_group *group = rondo_group_new(loop, 1);
    rondo_set_name(group, "odd");
    rondo_group_run(group, leave_now, NULL, "a");
    step(1);
    rondo_group_leave(group);
}

TEST_ABORTS(a_job_is_not_left, "has no task under way") {
    rondo_group *group = begin(1);
    CHECK_INT(rondo_group_work(group, NULL, answer, ignore_done, NULL), 0);
    step(1);
    rondo_group_leave(group);
}

TEST_ABORTS(leaving_after_close_is_named, "was used after its close event") {
    rondo_group *group = begin(1);
    add_tasks(group, "a");
    step(1);
    rondo_close(group);
    step(1);
    rondo_group_leave(group);
}
