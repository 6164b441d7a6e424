/* SPDX-License-Identifier: MIT
 *
 * One pool for several loops, in one thread or in several: jobs of all wait in the same lanes, and each
 * loop hears of its own. They go in any order.
 */
#include "gate.h"
#include "harness.h"

#include <rondo.h>

#include <pthread.h>
#include <sched.h>

static int64_t answer(rondo_job *job, void *arg) { return 42; }

TEST(jobs_of_both_in_one_lane) {
    rondo_loop *a = new_loop(), *b = new_loop();
    outcome of_a = {0}, of_b = {0};
    gate g;

    gate_init(&g);
    CHECK_INT(rondo_loop_share_pool(b, a), 0);
    rondo_lane *lane = new_lane(a, "both", 1, 10), *again = NULL;
    CHECK_INT(rondo_lane_new(b, "both", 1, 10, &again), RONDO_EEXIST);
    CHECK(rondo_lane_fs(a) == rondo_lane_fs(b));
    submit_standing(a, lane, &g);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_work_submit(b, lane, NULL, answer, note_outcome, &of_b), 0);
    CHECK_INT(rondo_work_submit(a, lane, NULL, answer, note_outcome, &of_a), 0);
    CHECK_INT(figures_of(lane).queued, 2);
    gate_open(&g, 1);
    run_to_end(a);
    CHECK_OUTCOME(of_a, 42);
    CHECK_INT(of_b.calls, 0); /* it was first, but that is b's to tell */
    run_to_end(b);
    CHECK_OUTCOME(of_b, 42);
    CHECK_INT(figures_of(lane).done, 3);
    rondo_loop_free(a);
    rondo_loop_free(b);
}

TEST(what_cannot_be_shared) {
    rondo_loop *a = new_loop(), *b = new_loop(), *c = new_loop();

    CHECK_INT(rondo_loop_share_pool(a, a), RONDO_EINVAL);
    CHECK(rondo_lane_cpu(b) != NULL);
    CHECK_INT(rondo_loop_share_pool(b, a), RONDO_EBUSY); /* has one */
    CHECK_INT(rondo_loop_share_pool(c, a), 0);
    CHECK_INT(rondo_loop_share_pool(c, b), RONDO_EBUSY);
    CHECK(rondo_lane_cpu(c) == rondo_lane_cpu(a));
    CHECK(rondo_lane_cpu(c) != rondo_lane_cpu(b));
    CHECK_INT(rondo_work_submit(b, rondo_lane_cpu(c), NULL, answer, ignore_done, NULL),
              RONDO_EINVAL);
    rondo_loop_free(a);
    rondo_loop_free(b);
    rondo_loop_free(c);
}

TEST(out_of_memory_leaves_both_as_they_were) {
    for (long n = 0;; n++) {
        rondo_loop *a = new_loop(), *b = new_loop();
        harness_fail_alloc_after(n);
        int error = rondo_loop_share_pool(b, a);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        CHECK_INT(error, failed ? RONDO_ENOMEM : 0);
        if (failed) CHECK_INT(rondo_loop_share_pool(b, a), 0);
        rondo_loop_free(b);
        rondo_loop_free(a);
        if (!failed) break;
    }
}

/* Each in turn: with its jobs queued, running and done, those of the other go on. */
TEST(either_may_go_first) {
    for (int first = 0; first < 2; first++) {
        rondo_loop *loops[2] = {new_loop(), new_loop()};
        CHECK_INT(rondo_loop_share_pool(loops[1], loops[0]), 0);
        rondo_loop *goes = loops[first], *stays = loops[1 - first];
        rondo_lane *lane = new_lane(loops[0], "both", 2, 20);
        outcome lost = {0}, kept[3] = {{0}};
        gate g;

        gate_init(&g);
        CHECK_INT(rondo_work_submit(goes, lane, NULL, answer, note_outcome, &lost), 0);
        WAIT_FOR_FIGURE(lane, done, 1);
        submit_standing(stays, lane, &g);
        gate_wait_entered(&g, 1);
        submit_standing(goes, lane, &g);
        gate_wait_entered(&g, 1);
        for (int i = 0; i < 3; i++) {
            CHECK_INT(rondo_work_submit(stays, lane, NULL, answer, note_outcome, &kept[i]), 0);
            CHECK_INT(rondo_work_submit(goes, lane, NULL, answer, note_outcome, &lost), 0);
        }
        gate_open(&g, 2); /* it waits for its own; the other may be sooner or later */
        rondo_loop_free(goes);
        CHECK_INT(lost.calls, 0);
        run_to_end(stays);
        for (int i = 0; i < 3; i++) CHECK_OUTCOME(kept[i], 42);
        CHECK_INT(figures_of(lane).queued, 0);
        CHECK_INT(figures_of(lane).done, 9);
        rondo_loop_free(stays);
    }
}

static outcome kept_running;
static void note_kept(rondo_loop *loop, int64_t result, void *arg) {
    note_outcome(loop, result, &kept_running);
}

TEST(freeing_one_does_not_wait_for_the_other) {
    rondo_loop *a = new_loop(), *b = new_loop();
    gate g;

    gate_init(&g);
    CHECK_INT(rondo_loop_share_pool(b, a), 0);
    rondo_lane *lane = rondo_lane_cpu(a);
    CHECK_INT(rondo_work_submit(b, lane, NULL, stand_at, note_kept, &g), 0);
    gate_wait_entered(&g, 1);
    rondo_loop_free(a); /* would wait for ever */
    CHECK_INT(figures_of(lane).running, 1);
    gate_open(&g, 1);
    run_to_end(b);
    CHECK_OUTCOME(kept_running, 0); /* nobody asked it to end */
    rondo_loop_free(b);
}

TEST(close_all_of_one_leaves_the_other_alone) {
    rondo_loop *a = new_loop(), *b = new_loop();
    outcome of_a = {0}, of_b = {0};
    gate g;

    gate_init(&g);
    CHECK_INT(rondo_loop_share_pool(b, a), 0);
    rondo_lane *lane = new_lane(a, "both", 1, 10);
    submit_standing(a, lane, &g);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_work_submit(a, lane, NULL, answer, note_outcome, &of_a), 0);
    CHECK_INT(rondo_work_submit(b, lane, NULL, answer, note_outcome, &of_b), 0);
    rondo_loop_close_all(b);
    CHECK_INT(figures_of(lane).queued, 1);
    run_to_end(b);
    CHECK_OUTCOME(of_b, RONDO_ECANCELED);
    gate_open(&g, 1);
    run_to_end(a);
    CHECK_OUTCOME(of_a, 42);
    rondo_loop_free(b);
    rondo_loop_free(a);
}

static atomic_int releases;
static void on_release(void *arg) { atomic_fetch_add(&releases, 1); }

/* A thread is stuck with an abandoned job of the one that goes: the other's work goes on. */
TEST(one_goes_with_a_job_abandoned) {
    for (int last = 0; last < 2; last++) { /* it comes back before the other goes, or after */
        rondo_loop *a = new_loop(), *b = new_loop();
        static gate g;
        rondo_job *job;
        outcome what = {0};

        gate_init(&g);
        atomic_store(&releases, 0);
        CHECK_INT(rondo_loop_share_pool(b, a), 0);
        rondo_lane *lane = new_lane(a, "one", 1, 10);
        CHECK_INT(rondo_work_submit(a, lane, &job, stand_at, ignore_done, &g), 0);
        CHECK_INT(rondo_job_on_release(job, on_release, NULL), 0);
        gate_wait_entered(&g, 1);
        CHECK_INT(rondo_work_submit(b, lane, NULL, answer, note_outcome, &what), 0);
        CHECK_INT(rondo_job_abandon(job), 0);
        rondo_loop_free(a);
        run_to_end(b); /* another thread does it */
        CHECK_OUTCOME(what, 42);
        CHECK_INT(figures_of(lane).abandoned, 1);
        if (last) rondo_loop_free(b);
        gate_open(&g, 1);
        while (!atomic_load(&releases)) sched_yield();
        if (!last) {
            WAIT_FOR_FIGURE(lane, abandoned, 0);
            CHECK_INT(rondo_work_submit(b, lane, NULL, answer, note_outcome, &what), 0);
            run_to_end(b);
            rondo_loop_free(b);
        }
        while (harness_live_blocks() > 0) sched_yield();
        CHECK_INT(atomic_load(&releases), 1);
    }
}

/* ---- each in its thread ---- */

enum { BATCH = 20 };

typedef struct side {
    rondo_loop *loop;
    rondo_lane *lane;
    pthread_t thread;
    rondo_job *jobs[BATCH];
    long calls, canceled, answered, submitted;
} side;

static void count_side(rondo_loop *loop, int64_t result, void *arg) {
    side *s = arg;
    CHECK(loop == s->loop && pthread_equal(pthread_self(), s->thread));
    s->calls++;
    s->canceled += result == RONDO_ECANCELED;
    s->answered += result == 42;
}

static void *run_side(void *arg) {
    side *s = arg;
    int rounds = harness_is_slow() ? 30 : 300;
    s->thread = pthread_self();
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < BATCH; i++) {
            int error = rondo_work_submit(s->loop, s->lane, &s->jobs[i], answer, count_side, s);
            CHECK(error == 0 || error == RONDO_EAGAIN); /* the other may have filled it */
            if (error < 0) s->jobs[i] = NULL;
            s->submitted += error == 0;
        }
        for (int i = round % 3; i < BATCH; i += 3)
            if (s->jobs[i]) rondo_job_cancel(s->jobs[i]);
        rondo_lane_figures figures = figures_of(s->lane);
        CHECK(figures.running <= 3);
        run_to_end(s->loop);
        CHECK_INT(s->calls, s->submitted);
        CHECK_INT(s->canceled + s->answered, s->calls);
    }
    rondo_loop_free(s->loop); /* while the other goes on, or when it has gone */
    return NULL;
}

TEST(two_threads_share_a_lane) {
    for (int order = 0; order < 2; order++) {
        side sides[2] = {{.loop = new_loop()}, {.loop = new_loop()}};
        pthread_t threads[2];
        CHECK_INT(rondo_loop_share_pool(sides[1].loop, sides[0].loop), 0);
        sides[0].lane = sides[1].lane = new_lane(sides[0].loop, "both", 3, 30);
        for (int i = 0; i < 2; i++)
            threads[i ^ order] = harness_thread(run_side, &sides[i ^ order]);
        for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
        CHECK(sides[0].answered > 0 && sides[1].answered > 0);
    }
}
