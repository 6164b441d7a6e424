/* SPDX-License-Identifier: MIT
 *
 * Jobs that do not run their course: canceled, cut off by the end of their loop, or on the wrong
 * side of a fork. The callback comes exactly once, or never when the loop is freed.
 */
#include "gate.h"
#include "harness.h"

#include <rondo.h>

#include <sys/wait.h>
#include <unistd.h>

static int64_t answer(rondo_job *job, void *arg) { return 42; }

static atomic_long runs;
static int64_t count_run(rondo_job *job, void *arg) {
    atomic_fetch_add(&runs, 1);
    return 42;
}

/* ---- canceling ---- */

TEST(cancel_of_a_queued_job) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    rondo_job *job;
    outcome what = {0}, next = {0};
    gate g;

    gate_init(&g);
    submit_standing(loop, lane, &g);
    CHECK_INT(rondo_work_submit(loop, lane, &job, count_run, note_outcome, &what), 0);
    CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, note_outcome, &next), 0);
    gate_wait_entered(&g, 1);
    CHECK_INT(figures_of(lane).queued, 2);
    CHECK_INT(rondo_job_cancel(job), 0);
    CHECK_INT(what.calls, 0); /* not inside the call */
    CHECK_INT(figures_of(lane).queued, 1);
    CHECK_INT(figures_of(lane).done, 1);
    CHECK_INT(rondo_job_cancel(job), RONDO_ENOENT); /* it has ended */
    /* It does not wait for the job that runs. */
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
    CHECK_OUTCOME(what, RONDO_ECANCELED);
    CHECK_INT(what.phase, RONDO_PHASE_pending);
    gate_open(&g, 1);
    run_to_end(loop);
    CHECK_OUTCOME(next, 42);
    CHECK_INT(what.calls, 1);
    CHECK_INT(atomic_load(&runs), 0);
    CHECK_INT(figures_of(lane).done, 3);
    rondo_loop_free(loop);
}

TEST(cancel_makes_room_in_the_queue) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 1);
    rondo_job *job;
    gate g;

    gate_init(&g);
    submit_standing(loop, lane, &g);
    CHECK_INT(rondo_work_submit(loop, lane, &job, answer, ignore_done, NULL), 0);
    CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, ignore_done, NULL), RONDO_EAGAIN);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_job_cancel(job), 0);
    CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, ignore_done, NULL), 0);
    gate_open(&g, 1);
    run_to_end(loop);
    rondo_loop_free(loop);
}

static atomic_bool saw_cancel;
static int64_t stand_and_look(rondo_job *job, void *arg) {
    CHECK(!rondo_work_canceled(job));
    atomic_store(&saw_cancel, stand_at(job, arg) == 1);
    return 42;
}
static outcome running_outcome;
static void note_running(rondo_loop *loop, int64_t result, void *arg) {
    note_outcome(loop, result, &running_outcome);
}

TEST(cancel_of_a_running_job) {
    rondo_loop *loop = new_loop();
    rondo_job *job;
    gate g;

    gate_init(&g);
    CHECK_INT(rondo_work_submit(loop, NULL, &job, stand_and_look, note_running, &g), 0);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_job_cancel(job), RONDO_EBUSY);
    CHECK_INT(rondo_job_cancel(job), RONDO_EBUSY);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 1);
    CHECK_INT(running_outcome.calls, 0); /* arg is in use */
    gate_open(&g, 1);
    run_to_end(loop);
    CHECK(atomic_load(&saw_cancel));
    CHECK_OUTCOME(running_outcome, RONDO_ECANCELED);
    rondo_loop_free(loop);
}

TEST(cancel_of_a_job_that_is_done) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = rondo_lane_cpu(loop);
    rondo_job *job;
    outcome what = {0};

    CHECK_INT(rondo_work_submit(loop, lane, &job, answer, note_outcome, &what), 0);
    WAIT_FOR_FIGURE(lane, done, 1);
    CHECK_INT(rondo_job_cancel(job), RONDO_ENOENT);
    run_to_end(loop);
    CHECK_OUTCOME(what, 42);
    rondo_loop_free(loop);
}

enum { RACERS = 64 };
typedef struct racer {
    rondo_job *job;
    outcome what;
    atomic_int runs;
    int cancel;
} racer;

static int64_t race(rondo_job *job, void *arg) {
    atomic_fetch_add(&((racer *)arg)->runs, 1);
    return 42;
}
static void note_race(rondo_loop *loop, int64_t result, void *arg) {
    note_outcome(loop, result, &((racer *)arg)->what);
}

/* Whatever cancel() says is what the callback gets. */
static void check_racer(const racer *r) {
    int ran = atomic_load(&r->runs);
    CHECK_INT(r->what.calls, 1);
    switch (r->cancel) {
    case 0:
        CHECK_INT(ran, 0);
        CHECK_INT(r->what.result, RONDO_ECANCELED);
        break;
    case RONDO_EBUSY:
        CHECK_INT(ran, 1);
        CHECK_INT(r->what.result, RONDO_ECANCELED);
        break;
    default:
        CHECK_INT(r->cancel, RONDO_ENOENT);
        CHECK_INT(ran, 1);
        CHECK_INT(r->what.result, 42);
    }
}

TEST(cancel_races_with_the_end) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "race", 3, RACERS);
    int rounds = harness_is_slow() ? 50 : 300, canceled = 0, ended = 0;

    for (int round = 0; round < rounds; round++) {
        racer racers[RACERS] = {{0}};
        for (int i = 0; i < RACERS; i++)
            CHECK_INT(rondo_work_submit(loop, lane, &racers[i].job, race, note_race, &racers[i]),
                      0);
        for (int i = 0; i < round % 8; i++) sched_yield();
        /* From both ends, so that it meets the workers somewhere. */
        for (int i = 0; i < RACERS; i++) {
            racer *r = &racers[i % 2 ? RACERS - 1 - i / 2 : i / 2];
            r->cancel = rondo_job_cancel(r->job);
        }
        run_to_end(loop);
        for (int i = 0; i < RACERS; i++) {
            check_racer(&racers[i]);
            canceled += racers[i].cancel == 0;
            ended += racers[i].cancel == RONDO_ENOENT;
        }
    }
    CHECK(canceled > 0 && ended > 0);
    CHECK_INT(figures_of(lane).done, rounds * RACERS);
    rondo_loop_free(loop);
}

static rondo_job *siblings[2];
static int sibling_calls;
static void cancel_sibling(rondo_loop *loop, int64_t result, void *arg) {
    CHECK_INT(result, 42);
    if (sibling_calls++ == 0) CHECK_INT(rondo_job_cancel(siblings[1]), RONDO_ENOENT);
}

TEST(cancel_inside_a_callback_of_the_same_batch) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 10);

    for (int i = 0; i < 2; i++)
        CHECK_INT(rondo_work_submit(loop, lane, &siblings[i], answer, cancel_sibling, NULL), 0);
    WAIT_FOR_FIGURE(lane, done, 2);
    run_to_end(loop);
    CHECK_INT(sibling_calls, 2);
    rondo_loop_free(loop);
}

static void cancel_it(rondo_loop *loop, int64_t result, void *arg) {
    note_outcome(loop, result, arg);
    CHECK_INT(rondo_job_cancel(siblings[0]), 0);
}

TEST(canceled_jobs_queue_behind_those_over_the_budget) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 10), *busy = new_lane(loop, "busy", 1, 10);
    outcome first = {0}, second = {0}, canceled = {0};
    gate g;

    gate_init(&g);
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_completions, 1), 0);
    submit_standing(loop, busy, &g);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_work_submit(loop, busy, &siblings[0], answer, note_outcome, &canceled), 0);
    CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, cancel_it, &first), 0);
    CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, note_outcome, &second), 0);
    WAIT_FOR_FIGURE(lane, done, 2);
    while (!first.calls || !second.calls || !canceled.calls)
        CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 1);
    CHECK_INT(first.turn, 1);
    CHECK_INT(second.turn, 2);
    CHECK_INT(canceled.turn, 3);
    gate_open(&g, 1);
    run_to_end(loop);
    rondo_loop_free(loop);
}

TEST_ABORTS(cancel_after_the_callback, "rondo_job_cancel: ") {
    rondo_loop *loop = new_loop();
    rondo_job *job;

    CHECK_INT(rondo_work_submit(loop, NULL, &job, answer, ignore_done, NULL), 0);
    run_to_end(loop);
    rondo_job_cancel(job);
}

/* ---- the end of the loop ---- */

static void never(rondo_loop *loop, int64_t result, void *arg) { FAIL("called back"); }

static int64_t run_until_canceled(rondo_job *job, void *arg) {
    sem_post(arg);
    while (!rondo_work_canceled(job)) sched_yield();
    return 0;
}

TEST(freed_with_jobs_in_every_state) {
    for (int more = 0; more < 2; more++) {
        rondo_loop *loop = new_loop();
        rondo_lane *lane = new_lane(loop, "one", 1, 10), *cpu = rondo_lane_cpu(loop);
        rondo_job *job;
        sem_t entered;

        CHECK_INT(sem_init(&entered, 0, 0), 0);
        CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, never, NULL), 0); /* done */
        WAIT_FOR_FIGURE(lane, done, 1);
        /* Running: it ends since it is asked to. */
        CHECK_INT(rondo_work_submit(loop, lane, NULL, run_until_canceled, never, &entered), 0);
        sem_take(&entered);
        for (int i = 0; i < 5; i++) /* queued */
            CHECK_INT(rondo_work_submit(loop, lane, &job, count_run, never, NULL), 0);
        CHECK_INT(rondo_job_cancel(job), 0);  /* canceled */
        for (int i = 0; more && i < 200; i++) /* anything */
            CHECK_INT(rondo_work_submit(loop, cpu, NULL, answer, never, NULL), 0);
        rondo_loop_free(loop);
        CHECK_INT(atomic_load(&runs), 0);
    }
}

static atomic_bool job_ended;
/* So that others most likely wait meanwhile; a thousand sched_yield() take forever on a busy machine. */
static void take_a_while(void) { harness_sleep_ms(10); }
static int64_t stand_deaf(rondo_job *job, void *arg) {
    stand_at(job, arg);
    take_a_while();
    atomic_store(&job_ended, true);
    return 0;
}
static void *open_soon(void *arg) {
    take_a_while();
    gate_open(arg, 1);
    return NULL;
}

TEST(free_waits_for_a_running_job) {
    rondo_loop *loop = new_loop();
    gate g;

    gate_init(&g);
    CHECK_INT(rondo_work_submit(loop, NULL, NULL, stand_deaf, never, &g), 0);
    gate_wait_entered(&g, 1);
    pthread_t thread = harness_thread(open_soon, &g);
    rondo_loop_free(loop);
    CHECK(atomic_load(&job_ended));
    pthread_join(thread, NULL);
}

TEST(free_at_once_and_with_idle_threads) {
    for (int round = 0; round < 50; round++) {
        rondo_loop *loop = new_loop();
        rondo_lane *lane = new_lane(loop, "lane", 3, 10);
        int done = round % 4;

        for (int i = 0; i < 3; i++)
            CHECK_INT(rondo_work_submit(loop, lane, NULL, count_run, ignore_done, NULL), 0);
        while (figures_of(lane).done < (uint64_t)done) sched_yield();
        if (round % 2) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
        rondo_loop_free(loop);
    }
}

TEST(close_all_cancels_what_is_queued) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    outcome queued[3] = {{0}};
    gate g;

    gate_init(&g);
    CHECK_INT(rondo_work_submit(loop, lane, NULL, stand_and_look, note_running, &g), 0);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rondo_work_submit(loop, lane, NULL, count_run, note_outcome, &queued[i]), 0);
    gate_wait_entered(&g, 1);
    rondo_loop_close_all(loop);
    CHECK_INT(queued[0].calls, 0);
    CHECK_INT(figures_of(lane).queued, 0);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
    for (int i = 0; i < 3; i++) CHECK_OUTCOME(queued[i], RONDO_ECANCELED);
    gate_open(&g, 1);
    run_to_end(loop);
    CHECK_OUTCOME(running_outcome, 42); /* it goes its way */
    CHECK(!atomic_load(&saw_cancel));
    CHECK_INT(atomic_load(&runs), 0);
    rondo_loop_free(loop);
}

/* ---- fork ---- */

static void child_of_fork(rondo_loop *loop, rondo_lane *lane, rondo_job *job) {
    rondo_job *none = NULL;
    char buffer[1];
    outcome what = {0};

    CHECK_INT(rondo_work_submit(loop, lane, &none, answer, note_outcome, &what), RONDO_ENOTSUP);
    CHECK_INT(rondo_work_submit(loop, NULL, &none, answer, note_outcome, &what), RONDO_ENOTSUP);
    CHECK_INT(rondo_fs_read(loop, 0, buffer, 1, 0, &none, note_outcome, &what), RONDO_ENOTSUP);
    CHECK_INT(rondo_fs_close(loop, 0, note_outcome, &what), RONDO_ENOTSUP);
    CHECK_INT(rondo_job_cancel(job), RONDO_ENOTSUP);
    CHECK_INT(rondo_lane_resize(lane, 3, 3), RONDO_ENOTSUP);
    rondo_lane_set_idle_ms(lane, 0);
    CHECK_INT(figures_of(lane).threads, 0);
    CHECK_INT(figures_of(lane).running, 0);
    rondo_loop_close_all(loop);
    rondo_loop_free(loop);
    CHECK(!none);
    CHECK_INT(what.calls, 0);
    if (!harness_is_slow()) { /* TSan can't follow new threads in a forked child */
        loop = new_loop();
        CHECK_INT(rondo_work_submit(loop, NULL, NULL, answer, note_outcome, &what), 0);
        run_to_end(loop);
        CHECK_OUTCOME(what, 42);
        rondo_loop_free(loop);
    }
    _exit(0);
}

TEST(a_forked_child_is_refused) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    rondo_job *job;
    outcome what = {0};
    gate g;
    static rondo_job *running; /* the child can't give it back: known here, it is no leak there */
    int status;

    gate_init(&g);
    CHECK(rondo_lane_cpu(loop) && rondo_lane_fs(loop));
    CHECK_INT(rondo_work_submit(loop, lane, &running, stand_at, ignore_done, &g), 0);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_work_submit(loop, lane, &job, answer, note_outcome, &what), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) child_of_fork(loop, lane, job);
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    gate_open(&g, 1); /* and the parent goes on */
    run_to_end(loop);
    CHECK_OUTCOME(what, 42);
    rondo_loop_free(loop);
}
