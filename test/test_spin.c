/* SPDX-License-Identifier: MIT
 *
 * When somebody spins before it sleeps: what is made of the times at which jobs came and ended, as numbers and on
 * a pool whose figures are set by hand, since how long anything takes is the machine's affair. That jobs come
 * through with any spin is in test_pool_threads.c.
 */
#define _GNU_SOURCE
#include "gate.h"
#include "harness.h"

#include "threadpool/pool.h"

/* ---- numbers ---- */

TEST(spins_in_vain_have_more_and_more_chances_passed_by) {
    static const unsigned passed[] = {0,   2,   6,    14,   30,   62,   126,
                                      254, 510, 1022, 2046, 4094, 4094, 4094};
    rondo__spin_record record = {0};
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) {
        unsigned passes = 0;
        rondo__spin_ended(&record, true);
        while (!rondo__spin_may(&record)) passes++;
        CHECK_INT(passes, passed[i]);
        CHECK(rondo__spin_may(&record));
    }
    /* Each that was not in vain takes back one that was. */
    for (int i = 0; i < 11; i++) rondo__spin_ended(&record, false);
    CHECK_INT(record.vain, 1);
    rondo__spin_ended(&record, false);
    rondo__spin_ended(&record, false);
    CHECK_INT(record.vain, 0);
    rondo__spin_ended(&record, true);
    CHECK(rondo__spin_may(&record));
    rondo__spin_ended(&record, true);
    CHECK(!rondo__spin_may(&record));
}

TEST(what_another_needs_to_wake_up_does_not_count) {
    CHECK(rondo__spin_enough(20, 100, 119, 0));
    CHECK(!rondo__spin_enough(20, 100, 120, 0));
    CHECK(rondo__spin_enough(20, 100, 169, 50));
    CHECK(!rondo__spin_enough(20, 100, 170, 50));
    CHECK(rondo__spin_enough(20, 100, 7, 0)); /* it was there before */
    CHECK_INT(rondo__spin_lag_ns(100, 150), 50);
    CHECK_INT(rondo__spin_lag_ns(150, 100), 0);
    CHECK_INT(rondo__spin_lag_ns(100, 999999 + 100), 999999);
    CHECK_INT(rondo__spin_lag_ns(100, UINT64_MAX), 1000000);
}

TEST(patience_has_bounds) {
    CHECK_INT(rondo__spin_patience_ns(20000, 0), 0);
    CHECK_INT(rondo__spin_patience_ns(20000, 30000), 60000);
    CHECK_INT(rondo__spin_patience_ns(20000, 1000000), 100000);
    CHECK_INT(rondo__spin_patience_ns(0, 1000000), 0); /* who may not spin does not */
    CHECK(rondo__spin_patience_ns(1, UINT32_MAX) == 5);
}

TEST(a_spin_sees_the_sign_and_ends_without_it) {
    atomic_bool sign = true;
    CHECK(rondo__spin(&sign, 0)); /* it looks before it asks for the time */
    atomic_store(&sign, false);
    CHECK(!rondo__spin(&sign, 0));
    uint64_t until_ns = rondo__clock_ns() + 200000;
    CHECK(!rondo__spin(&sign, until_ns));
    CHECK(rondo__clock_ns() >= until_ns);
}

/* ---- the loop ---- */

TEST(only_a_loop_that_sleeps_is_woken_by_a_system_call) {
    rondo_loop *loop = new_loop();
    CHECK(!rondo__wake(loop)); /* not asleep */
    atomic_store(&loop->woken, false);
    atomic_store(&loop->asleep, true);
    CHECK(rondo__wake(loop));
    CHECK(!rondo__wake(loop)); /* woken already */
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    rondo_loop_free(loop);
}

typedef struct stage {
    rondo_loop *loop;
    rondo_lane *lane;
    rondo__pool *pool;
} stage;

static int64_t answer(rondo_job *job, void *arg) { return 42; }

static void wait_until_all_are_idle(rondo_lane *lane) {
    for (bool idle = false; !idle; sched_yield()) {
        pthread_mutex_lock(&lane->lock);
        idle = lane->threads > 0 && lane->idle_count == lane->threads && !lane->spinning;
        pthread_mutex_unlock(&lane->lock);
    }
}

/* A lane of so many threads, one of which is there and asleep. */
static stage set_stage(unsigned threads) {
    stage it = {.loop = new_loop()};
    outcome what = {0};
    it.lane = new_lane(it.loop, "spin", threads, 10);
    rondo_lane_set_spin_us(it.lane, 0); /* so that it does not, by itself */
    CHECK_INT(rondo_work_submit(it.loop, it.lane, NULL, answer, note_outcome, &what), 0);
    run_to_end(it.loop);
    CHECK_OUTCOME(what, 42);
    it.pool = rondo__loop_part(it.loop, RONDO__PART_POOL);
    wait_until_all_are_idle(it.lane);
    return it;
}

static void ignore_job(rondo_loop *loop, rondo_job *job, int64_t result) {}

/* A completion of done_ns, whose thread had needed so long to wake up, comes to a loop that waited from `since_ns`
 * to until_ns. */
static void complete(stage *it, uint64_t since_ns, uint64_t done_ns, uint32_t thread_lag_ns,
                     uint64_t until_ns) {
    rondo_job job = {.deliver = ignore_job,
                     .state = RONDO__JOB_DONE,
                     .weak = true,
                     .lane = it->lane,
                     .loop = it->loop,
                     .pool = it->pool};
    rondo__list_init(&job.link);
    rondo__job_hold(&job); /* as one that was submitted does */
    CHECK(rondo__pool_push_done(it->pool, &job, thread_lag_ns));
    CHECK_INT(atomic_load(&it->pool->thread_lag_ns), thread_lag_ns);
    atomic_store(&it->pool->done_ns, done_ns);
    it->loop->waits_since_ns = since_ns;
    it->loop->waited_until_ns = until_ns;
    it->pool->source.drain(it->loop, &it->pool->source);
}

TEST(a_loop_spins_when_the_last_job_ended_soon) {
    stage it = set_stage(1);
    atomic_store(&it.lane->spin_ns, 20);
    complete(&it, 1000, 1019, 0, 1500);
    CHECK_INT(it.loop->spin_ns, 20);
    CHECK_INT(atomic_load(&it.pool->loop_lag_ns), 481);
    complete(&it, 1000, 1020, 0, 1500);
    CHECK_INT(it.loop->spin_ns, 0);
    complete(&it, 1000, 1049, 30, 1500); /* its thread had slept */
    CHECK_INT(it.loop->spin_ns, 20);
    complete(&it, 1000, 1050, 30, 1050);
    CHECK_INT(it.loop->spin_ns, 0);
    CHECK_INT(atomic_load(&it.pool->loop_lag_ns), 0);
    complete(&it, 1000, 900, 0, 1500); /* before it began to wait: it had other things to do */
    CHECK_INT(it.loop->spin_ns, 20);
    CHECK_INT(atomic_load(&it.pool->loop_lag_ns), 0);
    rondo_loop_free(it.loop);
}

TEST(a_loop_does_not_spin_for_a_thread_that_sleeps) {
    stage it = set_stage(2);
    gate g;

    gate_init(&g);
    rondo__loop_set_spin(it.loop, 5);
    submit_standing(it.loop, it.lane, &g); /* to the one that is there */
    CHECK_INT(it.loop->spin_ns, 0);
    gate_wait_entered(&g, 1);
    rondo__loop_set_spin(it.loop, 5);
    submit_standing(it.loop, it.lane, &g); /* starts another */
    CHECK_INT(it.loop->spin_ns, 5);
    gate_wait_entered(&g, 1);
    gate_open(&g, 2);
    run_to_end(it.loop);
    wait_until_all_are_idle(it.lane);
    submit_standing(it.loop, it.lane, &g);
    gate_wait_entered(&g, 1);
    rondo__loop_set_spin(it.loop, 5);
    submit_standing(it.loop, it.lane, &g); /* one sleeps, but the other may be through any moment */
    CHECK_INT(it.loop->spin_ns, 5);
    gate_open(&g, 2);
    run_to_end(it.loop);
    rondo_loop_free(it.loop);
}

/* ---- the threads ---- */

static rondo_lane *asked;
static int64_t is_brisk(rondo_job *job, void *arg) { return asked->brisk; }

static void check_brisk(const stage *it, uint32_t loop_lag_ns, bool want) {
    for (bool in_time = false; !in_time;) {
        outcome what = {0};
        long long before_ms = harness_now_ms();
        wait_until_all_are_idle(it->lane);
        harness_sleep_ms(1); /* much longer than it may spin, and shorter than four seconds: */
        atomic_store(&it->pool->loop_lag_ns, loop_lag_ns);
        asked = it->lane;
        CHECK_INT(rondo_work_submit(it->loop, it->lane, NULL, is_brisk, note_outcome, &what), 0);
        run_to_end(it->loop);
        in_time = harness_now_ms() - before_ms < 4000; /* or else once more */
        if (in_time) CHECK_OUTCOME(what, want);
    }
}

TEST(a_thread_spins_when_the_last_job_came_soon) {
    stage it = set_stage(1);
    atomic_store(&it.lane->spin_ns, 1);
    check_brisk(&it, 0, false);
    check_brisk(&it, UINT32_MAX, true); /* the loop had slept so long */
    check_brisk(&it, 0, false);
    rondo_loop_free(it.loop);
}

TEST(the_time_to_wake_up_is_that_of_the_first_job) {
    stage it = set_stage(1);
    gate first, second;

    gate_init(&first);
    gate_init(&second);
    submit_standing(it.loop, it.lane, &first); /* wakes the thread */
    submit_standing(it.loop, it.lane, &second);
    gate_wait_entered(&first, 1);
    gate_open(&first, 1);
    while (rondo_loop_run(it.loop, RONDO_RUN_ONCE) && !atomic_load(&it.pool->thread_lag_ns)) {}
    CHECK(atomic_load(&it.pool->thread_lag_ns) > 0);
    gate_wait_entered(&second, 1);
    gate_open(&second, 1);
    run_to_end(it.loop);
    CHECK_INT(atomic_load(&it.pool->thread_lag_ns), 0);
    rondo_loop_free(it.loop);
}

/* How much longer than usual a thread would spin after a job that ended while the loop slept, or not. */
static uint64_t patience_after_a_job(const stage *it, bool asleep) {
    gate g;
    gate_init(&g);
    submit_standing(it->loop, it->lane, &g);
    gate_wait_entered(&g, 1);
    atomic_store(&it->pool->loop_lag_ns, 30);
    atomic_store(&it->loop->asleep, asleep);
    pthread_mutex_lock(&it->lane->lock);
    it->lane->loop_awake_ns = 0;
    pthread_mutex_unlock(&it->lane->lock);
    uint64_t before_ns = rondo__clock_ns();
    gate_open(&g, 1);
    wait_until_all_are_idle(it->lane);
    pthread_mutex_lock(&it->lane->lock);
    uint64_t awake_ns = it->lane->loop_awake_ns;
    pthread_mutex_unlock(&it->lane->lock);
    atomic_store(&it->loop->asleep, false);
    run_to_end(it->loop);
    CHECK(awake_ns == 0 || awake_ns >= before_ns + 60);
    CHECK(awake_ns <= rondo__clock_ns() + 60);
    return awake_ns;
}

TEST(a_thread_is_patient_with_a_loop_that_wakes_up) {
    stage it = set_stage(1);
    atomic_store(&it.lane->spin_ns, 20);
    CHECK(patience_after_a_job(&it, true) > 0);
    CHECK(patience_after_a_job(&it, false) == 0);
    rondo_loop_free(it.loop);
}
