/* SPDX-License-Identifier: MIT
 *
 * Jobs that nobody waits for any more, and those that are out of time. The callback comes at once;
 * the thread, and the memory that it uses, come back when they can: before or after the loop is freed.
 */
#include "gate.h"
#include "harness.h"

#include <rondo.h>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "loop/door.h"
#include "threadpool/job.h"

static int64_t answer(rondo_job *job, void *arg) { return 42; }

/* A job that stands at the gate, with memory that it gets back. */
typedef struct lent {
    gate g; /* first: stand_at() gets the whole */
    outcome what;
    atomic_int releases;
    pthread_t released_by;
    atomic_bool canceled;
    rondo_job *job;
    bool was_abandoned; /* of those that race */
} lent;

static void on_release(void *arg) {
    lent *l = arg;
    l->released_by = pthread_self();
    atomic_fetch_add(&l->releases, 1);
}
static int64_t stand(rondo_job *job, void *arg) {
    lent *l = arg;
    atomic_store(&l->canceled, stand_at(job, &l->g) != 0);
    return 42;
}
static void note(rondo_loop *loop, int64_t result, void *arg) {
    CHECK_INT(atomic_load(&((lent *)arg)->releases), 0); /* after the callback */
    note_outcome(loop, result, &((lent *)arg)->what);
}

static void lend(rondo_loop *loop, rondo_lane *lane, lent *l) {
    *l = (lent){.job = NULL};
    gate_init(&l->g);
    CHECK_INT(rondo_work_submit(loop, lane, &l->job, stand, note, l), 0);
    CHECK_INT(rondo_job_on_release(l->job, on_release, l), 0);
}

static void turn_until_released(rondo_loop *loop, lent *l) {
    rondo__loop_hold(loop); /* no abandoned job keeps it alive */
    while (!atomic_load(&l->releases)) CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 1);
    rondo__loop_release(loop);
    CHECK_INT(atomic_load(&l->releases), 1);
    CHECK(pthread_equal(l->released_by, pthread_self()));
}

TEST(abandoned_while_it_runs) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    outcome next = {0};
    lent l;

    lend(loop, lane, &l);
    gate_wait_entered(&l.g, 1);
    CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, note_outcome, &next), 0);
    CHECK_INT(rondo_job_abandon(l.job), 0);
    CHECK_INT(l.what.calls, 0); /* not inside the call */
    CHECK_INT(rondo_job_abandon(l.job), RONDO_ENOENT);
    CHECK_INT(rondo_job_cancel(l.job), RONDO_ENOENT);
    run_to_end(loop); /* waits for it no more */
    CHECK_OUTCOME(l.what, RONDO_ECANCELED);
    CHECK_INT(l.what.phase, RONDO_PHASE_pending);
    CHECK_OUTCOME(next, 42); /* by another thread, though the lane may have one only */
    CHECK_INT(atomic_load(&l.releases), 0);
    rondo_lane_figures figures = figures_of(lane);
    CHECK_INT(figures.abandoned, 1);
    CHECK_INT(figures.running, 1);
    CHECK_INT(figures.threads, 2);
    CHECK_INT(figures.done, 2);
    gate_open(&l.g, 1);
    turn_until_released(loop, &l);
    CHECK(atomic_load(&l.canceled)); /* the worker can see it */
    CHECK_INT(l.what.calls, 1);
    WAIT_FOR_FIGURE(lane, threads, 1); /* as many as there may be */
    CHECK_INT(figures_of(lane).abandoned, 0);
    CHECK_INT(figures_of(lane).done, 2);
    CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, note_outcome, &next), 0);
    run_to_end(loop);
    CHECK_INT(next.calls, 2);
    rondo_loop_free(loop);
}

TEST(abandoned_and_back_before_the_callback) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    lent l;

    lend(loop, lane, &l);
    gate_wait_entered(&l.g, 1);
    CHECK_INT(rondo_job_abandon(l.job), 0);
    gate_open(&l.g, 1);
    WAIT_FOR_FIGURE(lane, abandoned, 0);
    run_to_end(loop);
    CHECK_OUTCOME(l.what, RONDO_ECANCELED);
    turn_until_released(loop, &l);
    CHECK_INT(l.what.calls, 1);
    rondo_loop_free(loop);
}

static rondo_lane *posted_lane;
static void abandon_and_wait(rondo_loop *loop, void *arg) {
    lent *l = arg;
    CHECK_INT(rondo_job_abandon(l->job), 0);
    gate_open(&l->g, 1);
    WAIT_FOR_FIGURE(posted_lane, abandoned, 0);
}

/* The loop takes what the thread brought in this phase, and calls back in a later one. */
TEST(abandoned_and_fetched_before_the_callback) {
    rondo_loop *loop = new_loop();
    lent l;

    posted_lane = new_lane(loop, "one", 1, 10);
    lend(loop, posted_lane, &l);
    gate_wait_entered(&l.g, 1);
    CHECK_INT(rondo_loop_post(loop, abandon_and_wait, &l), 0);
    run_to_end(loop);
    CHECK_OUTCOME(l.what, RONDO_ECANCELED);
    turn_until_released(loop, &l);
    CHECK_INT(l.what.calls, 1);
    rondo_loop_free(loop);
}

static int64_t stand_and_report(rondo_job *job, void *arg) {
    stand_at(job, &((lent *)arg)->g);
    rondo_work_report(job, 1, 2);
    return 42;
}
static void no_progress(rondo_loop *loop, uint64_t done, uint64_t total, void *arg) {
    FAIL("called back");
}

TEST(no_progress_is_told_of_what_is_abandoned) {
    rondo_loop *loop = new_loop();
    lent l = {.job = NULL};

    gate_init(&l.g);
    CHECK_INT(rondo_work_submit(loop, NULL, &l.job, stand_and_report, note, &l), 0);
    CHECK_INT(rondo_job_on_release(l.job, on_release, &l), 0);
    CHECK_INT(rondo_job_on_progress(l.job, no_progress, NULL), 0);
    gate_wait_entered(&l.g, 1);
    CHECK_INT(rondo_job_abandon(l.job), 0);
    run_to_end(loop);
    gate_open(&l.g, 1);
    turn_until_released(loop, &l);
    CHECK_OUTCOME(l.what, RONDO_ECANCELED);
    rondo_loop_free(loop);
}

TEST(abandoned_when_no_thread_has_it) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    lent running, queued;

    lend(loop, lane, &running);
    gate_wait_entered(&running.g, 1);
    lend(loop, lane, &queued);
    CHECK_INT(rondo_job_abandon(queued.job), 0);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
    CHECK_OUTCOME(queued.what, RONDO_ECANCELED);
    CHECK_INT(atomic_load(&queued.releases), 1);
    gate_open(&running.g, 1);
    WAIT_FOR_FIGURE(lane, done, 2);
    CHECK_INT(rondo_job_abandon(running.job), RONDO_ENOENT);
    run_to_end(loop);
    CHECK_OUTCOME(running.what, 42);
    CHECK_INT(atomic_load(&running.releases), 1);
    rondo_loop_free(loop);
}

TEST(what_uses_memory_of_the_caller_needs_a_release) {
    rondo_loop *loop = new_loop();
    outcome what = {0};
    rondo_job *job;
    gate g;

    gate_init(&g);
    CHECK_INT(rondo_work_submit(loop, NULL, &job, stand_at, ignore_done, &g), 0);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_job_abandon(job), RONDO_EINVAL);
    CHECK_INT(rondo_job_on_release(job, NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_job_abandon(job), RONDO_EINVAL);
    gate_open(&g, 1);
    run_to_end(loop);
    CHECK_INT(rondo_work_submit(loop, NULL, &job, answer, note_outcome, &what), 0);
    CHECK_INT(rondo_job_abandon(job), RONDO_EINVAL); /* in whatever state it is */
    run_to_end(loop);
    CHECK_OUTCOME(what, 42);
    rondo_loop_free(loop);
}

enum { LOST = 64 };

static sem_t started;
static int64_t until_canceled(rondo_job *job, void *arg) {
    sem_post(&started);
    while (!rondo_work_canceled(job)) sched_yield();
    return 42;
}

TEST(so_many_may_be_abandoned_and_no_more) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    static lent lents[LOST + 1];
    lent *last = &lents[LOST], hurried = {.job = NULL};

    CHECK_INT(sem_init(&started, 0, 0), 0);
    for (int i = 0; i < LOST; i++) {
        lend(loop, lane, &lents[i]);
        gate_wait_entered(&lents[i].g, 1);
        CHECK_INT(rondo_job_abandon(lents[i].job), 0);
    }
    CHECK_INT(figures_of(lane).abandoned, LOST);
    /* One more is asked to end by its timeout, and can't be abandoned. */
    CHECK_INT(rondo_work_submit(loop, lane, &hurried.job, until_canceled, note, &hurried), 0);
    CHECK_INT(rondo_job_on_release(hurried.job, on_release, &hurried), 0);
    sem_take(&started);
    CHECK_INT(rondo_job_set_timeout(hurried.job, 1), 0);
    run_to_end(loop);
    CHECK_OUTCOME(hurried.what, RONDO_ETIMEDOUT);
    CHECK_INT(atomic_load(&hurried.releases), 1);
    lend(loop, lane, last);
    gate_wait_entered(&last->g, 1);
    CHECK_INT(rondo_job_abandon(last->job), RONDO_EBUSY);
    gate_open(&lents[0].g, 1); /* until one is back */
    turn_until_released(loop, &lents[0]);
    CHECK_INT(rondo_job_abandon(last->job), 0);
    run_to_end(loop);
    for (int i = 0; i <= LOST; i++) {
        CHECK_OUTCOME(lents[i].what, RONDO_ECANCELED);
        if (i > 0) gate_open(&lents[i].g, 1);
    }
    for (int i = 0; i <= LOST; i++) turn_until_released(loop, &lents[i]);
    rondo_loop_free(loop);
}

/* ---- the end of the loop ---- */

static void wait_until_released(lent *l) {
    while (!atomic_load(&l->releases)) sched_yield();
    CHECK_INT(atomic_load(&l->releases), 1);
}

TEST(freed_without_waiting_for_it) {
    for (int told = 0; told < 2; told++) { /* before its callback, and after it */
        rondo_loop *loop = new_loop();
        rondo_lane *lane = new_lane(loop, "one", 1, 10);
        lent l;

        lend(loop, lane, &l);
        gate_wait_entered(&l.g, 1);
        CHECK_INT(rondo_job_abandon(l.job), 0);
        if (told) run_to_end(loop);
        rondo_loop_free(loop);
        CHECK_INT(l.what.calls, told);
        CHECK_INT(atomic_load(&l.releases), 0);
        gate_open(&l.g, 1);
        wait_until_released(&l);
        CHECK(!pthread_equal(l.released_by, pthread_self())); /* there is no other left */
        CHECK_INT(l.what.calls, told);
    }
}

TEST(freed_while_it_comes_back) {
    for (int round = 0; round < (harness_is_slow() ? 20 : 200); round++) {
        rondo_loop *loop = new_loop();
        rondo_lane *lane = new_lane(loop, "two", 2, 10);
        lent l[2];

        for (int i = 0; i < 2; i++) {
            lend(loop, lane, &l[i]);
            gate_wait_entered(&l[i].g, 1);
            CHECK_INT(rondo_job_abandon(l[i].job), 0);
        }
        if (round % 2) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
        for (int i = 0; i < 2; i++) gate_open(&l[i].g, 1);
        for (int i = 0; i < round % 8; i++) sched_yield();
        rondo_loop_free(loop);
        for (int i = 0; i < 2; i++) wait_until_released(&l[i]);
    }
}

TEST(released_for_every_state_when_the_loop_is_freed) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    lent done, running, queued, canceled;

    lend(loop, lane, &done);
    gate_open(&done.g, 1);
    WAIT_FOR_FIGURE(lane, done, 1);
    lend(loop, lane, &running);
    gate_wait_entered(&running.g, 1);
    lend(loop, lane, &queued);
    lend(loop, lane, &canceled);
    CHECK_INT(rondo_job_cancel(canceled.job), 0);
    gate_open(&running.g, 1);
    gate_open(&queued.g, 1); /* in case that the thread is quicker */
    lent *all[] = {&done, &running, &queued, &canceled};
    rondo_loop_free(loop);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(all[i]->what.calls, 0);
        CHECK_INT(atomic_load(&all[i]->releases), 1);
    }
}

/* ---- what it brings is dropped ---- */

typedef struct opening {
    rondo_job base;
    gate *g;
    outcome *what;
} opening;

static int drops_here;
static atomic_int drops_elsewhere;

static int64_t run_opening(rondo_job *job) {
    gate *g = ((opening *)job)->g;
    sem_post(&g->entered);
    sem_take(&g->open);
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}
static void opened_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                         void *arg) {
    ((rondo_done_cb)fn)(loop, *(const int64_t *)payload, arg);
}
static const rondo__event opened = {"test.opened", opened_thunk};
static void tell_opening(rondo_loop *loop, rondo_job *job, int64_t result) {
    rondo__door(loop, NULL, &opened, RONDO__FN(note_outcome), &result, ((opening *)job)->what);
}
static void deliver_opening(rondo_loop *loop, rondo_job *job, int64_t result) {
    outcome *what = ((opening *)job)->what;
    rondo__request_free(job);
    rondo__door(loop, NULL, &opened, RONDO__FN(note_outcome), &result, what);
}
static void drop_opening(rondo_job *job) {
    CHECK(job->result >= 0);
    close((int)job->result);
    if (job->loop) {
        drops_here++;
    } else {
        atomic_fetch_add(&drops_elsewhere, 1);
    }
    rondo__request_free(job);
}

static rondo_job *start_opening(rondo_loop *loop, rondo_lane *lane, gate *g, outcome *what) {
    rondo_job *job;
    CHECK_INT(rondo__request_new(loop, sizeof(opening), &job), 0);
    job->run = run_opening;
    job->deliver = deliver_opening;
    job->tell = tell_opening;
    job->drop = drop_opening;
    job->keeps_result = true;
    ((opening *)job)->g = g;
    ((opening *)job)->what = what;
    CHECK_INT(rondo__job_submit(lane, job, false), 0);
    return job;
}

TEST(a_descriptor_that_nobody_waits_for_is_closed) {
    gate g;
    gate_init(&g);
    for (int freed = 0; freed < 2; freed++) { /* the harness counts descriptors */
        rondo_loop *loop = new_loop();
        rondo_lane *lane = new_lane(loop, "one", 1, 10);
        outcome what = {0};
        rondo_job *job = start_opening(loop, lane, &g, &what);
        gate_wait_entered(&g, 1);
        CHECK_INT(rondo_job_abandon(job), 0);
        run_to_end(loop);
        CHECK_OUTCOME(what, RONDO_ECANCELED); /* not the fd, though such jobs keep their results */
        if (freed) rondo_loop_free(loop);
        gate_open(&g, 1);
        if (!freed) rondo__loop_hold(loop);
        while (!freed && drops_here == 0) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
        if (!freed) rondo__loop_release(loop);
        while (freed && atomic_load(&drops_elsewhere) == 0) sched_yield();
        if (!freed) rondo_loop_free(loop);
        CHECK_INT(drops_here, 1);
        CHECK_INT(atomic_load(&drops_elsewhere), freed);
    }
}

/* ---- out of time ---- */

TEST(out_of_time_in_the_queue) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    outcome what = {0};
    rondo_job *job;
    gate g;

    gate_init(&g);
    submit_standing(loop, lane, &g);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_work_submit(loop, lane, &job, answer, note_outcome, &what), 0);
    CHECK_INT(rondo_job_set_timeout(job, 1), 0);
    while (what.calls == 0) CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
    CHECK_OUTCOME(what, RONDO_ETIMEDOUT);
    CHECK_INT(figures_of(lane).queued, 0);
    gate_open(&g, 1);
    run_to_end(loop);
    rondo_loop_free(loop);
}

TEST(out_of_time_and_abandoned) {
    rondo_loop *loop = new_loop();
    lent l;

    lend(loop, rondo_lane_cpu(loop), &l);
    gate_wait_entered(&l.g, 1);
    CHECK_INT(rondo_job_set_timeout(l.job, 1), 0);
    run_to_end(loop);
    CHECK_OUTCOME(l.what, RONDO_ETIMEDOUT);
    gate_open(&l.g, 1);
    turn_until_released(loop, &l);
    CHECK(atomic_load(&l.canceled));
    rondo_loop_free(loop);
}

TEST(out_of_time_and_asked_to_end) {
    rondo_loop *loop = new_loop();
    outcome what = {0};
    rondo_job *job;

    CHECK_INT(sem_init(&started, 0, 0), 0);
    CHECK_INT(rondo_work_submit(loop, NULL, &job, until_canceled, note_outcome, &what), 0);
    sem_take(&started);
    CHECK_INT(rondo_job_set_timeout(job, 1), 0);
    run_to_end(loop);
    CHECK_OUTCOME(what, RONDO_ETIMEDOUT);
    rondo_loop_free(loop);
}

TEST(what_was_asked_first_is_the_result) {
    rondo_loop *loop = new_loop();
    rondo_job *job;
    outcome what = {0};
    gate g;

    gate_init(&g);
    CHECK_INT(rondo_work_submit(loop, NULL, &job, stand_at, ignore_done, &g), 0);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_job_cancel(job), RONDO_EBUSY);
    gate_open(&g, 1);
    run_to_end(loop);
    CHECK_INT(sem_init(&started, 0, 0), 0);
    CHECK_INT(rondo_work_submit(loop, NULL, &job, until_canceled, note_outcome, &what), 0);
    sem_take(&started);
    CHECK_INT(rondo_job_set_timeout(job, 1), 0);
    CHECK_INT(rondo_job_cancel(job), RONDO_EBUSY);
    run_to_end(loop);
    CHECK_OUTCOME(what, RONDO_ECANCELED);
    rondo_loop_free(loop);
}

TEST(timeouts_that_do_not_strike) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 20);
    outcome what[4] = {{0}};
    rondo_job *job;
    gate g;

    gate_init(&g);
    submit_standing(loop, lane, &g);
    gate_wait_entered(&g, 1);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(rondo_work_submit(loop, lane, &job, answer, note_outcome, &what[i]), 0);
        CHECK_INT(rondo_job_set_timeout(job, i == 3 ? UINT64_MAX : 1), 0);
        if (i == 0) CHECK_INT(rondo_job_set_timeout(job, 0), 0);       /* taken away */
        if (i == 1) CHECK_INT(rondo_job_set_timeout(job, 1000000), 0); /* replaced */
    }
    while (what[2].calls == 0) CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
    CHECK_OUTCOME(what[2], RONDO_ETIMEDOUT);
    CHECK_INT(what[0].calls + what[1].calls + what[3].calls, 0);
    gate_open(&g, 1);
    run_to_end(loop);
    CHECK_OUTCOME(what[0], 42);
    CHECK_OUTCOME(what[1], 42);
    CHECK_OUTCOME(what[3], 42);
    rondo_loop_free(loop);
}

TEST(a_timeout_meets_a_job_that_has_ended) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 10);
    outcome what = {0};
    rondo_job *job;

    CHECK_INT(rondo_work_submit(loop, lane, &job, answer, note_outcome, &what), 0);
    CHECK_INT(rondo_job_set_timeout(job, 1), 0);
    WAIT_FOR_FIGURE(lane, done, 1);
    harness_sleep_ms(2); /* it is due: the timers phase comes before the poll phase */
    run_to_end(loop);
    CHECK_OUTCOME(what, 42);
    rondo_loop_free(loop);
}

TEST(memory_that_runs_out_is_reported) {
    rondo_loop *loop = new_loop();
    outcome what = {0};
    rondo_job *job;

    CHECK_INT(rondo_work_submit(loop, NULL, &job, answer, note_outcome, &what), 0);
    harness_fail_alloc_after(0);
    CHECK_INT(rondo_job_set_timeout(job, 1), RONDO_ENOMEM);
    harness_fail_alloc_after(0);
    CHECK_INT(rondo_job_on_release(job, on_release, NULL), RONDO_ENOMEM);
    harness_fail_alloc_after(-1);
    run_to_end(loop);
    CHECK_OUTCOME(what, 42);
    rondo_loop_free(loop);
}

/* ---- races ---- */

enum { RACERS = 16 };

static int64_t race(rondo_job *job, void *arg) { return 42; }

TEST(abandoning_races_with_the_end) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "race", 3, RACERS);
    int rounds = harness_is_slow() ? 100 : 1000;
    static lent lents[RACERS];

    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < RACERS; i++) {
            lents[i] = (lent){.job = NULL};
            CHECK_INT(rondo_work_submit(loop, lane, &lents[i].job, race, note, &lents[i]), 0);
            CHECK_INT(rondo_job_on_release(lents[i].job, on_release, &lents[i]), 0);
        }
        for (int i = 0; i < round % 8; i++) sched_yield();
        for (int i = 0; i < RACERS; i++) {
            lent *l = &lents[i % 2 ? RACERS - 1 - i / 2 : i / 2];
            int result = rondo_job_abandon(l->job);
            CHECK(result == 0 || result == RONDO_ENOENT);
            l->was_abandoned = result == 0;
        }
        for (int i = 0; i < RACERS; i++) {
            turn_until_released(loop, &lents[i]);
            CHECK_OUTCOME(lents[i].what, lents[i].was_abandoned ? RONDO_ECANCELED : 42);
        }
    }
    CHECK_INT(figures_of(lane).done, rounds * RACERS);
    rondo_loop_free(loop);
}
