/* SPDX-License-Identifier: MIT
 *
 * For tests of the pool: jobs that stand still until they are let on, results that are noted, and
 * waiting for a lane without sleeping by the clock.
 */
#ifndef TEST_GATE_H
#define TEST_GATE_H

#include "harness.h"

#include <rondo.h>

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "loop/loop.h"

/* What the callbacks of a job brought. */
typedef struct outcome {
    int calls;
    int64_t result;
    uint64_t turn;
    rondo_phase phase;
} outcome;

__attribute__((unused)) static void note_outcome(rondo_loop *loop, int64_t result, void *arg) {
    outcome *what = arg;
    what->calls++;
    what->result = result;
    what->turn = rondo_loop_turn(loop);
    what->phase = rondo_loop_phase(loop);
}

#define CHECK_OUTCOME(what, want)       \
    do {                                \
        CHECK_INT((what).calls, 1);     \
        CHECK_INT((what).result, want); \
    } while (0)

typedef struct gate {
    sem_t entered; /* posted by each job that arrives */
    sem_t open;    /* posted once for each job that may go on */
} gate;

__attribute__((unused)) static void gate_init(gate *g) {
    CHECK_INT(sem_init(&g->entered, 0, 0), 0);
    CHECK_INT(sem_init(&g->open, 0, 0), 0);
}

__attribute__((unused)) static void sem_take(sem_t *sem) {
    while (sem_wait(sem) < 0) CHECK_INT(errno, EINTR);
}

__attribute__((unused)) static void gate_wait_entered(gate *g, int jobs) {
    while (jobs-- > 0) sem_take(&g->entered);
}

__attribute__((unused)) static void gate_open(gate *g, int jobs) {
    while (jobs-- > 0) sem_post(&g->open);
}

/* Work: stands at the gate, its arg, then returns whether it was canceled. */
__attribute__((unused)) static int64_t stand_at(rondo_job *job, void *arg) {
    gate *g = arg;
    sem_post(&g->entered);
    sem_take(&g->open);
    return rondo_work_canceled(job);
}

__attribute__((unused)) static void ignore_done(rondo_loop *loop, int64_t result, void *arg) {}

/* A job at the gate whose result nobody looks at. */
__attribute__((unused)) static void submit_standing(rondo_loop *loop, rondo_lane *lane, gate *g) {
    CHECK_INT(rondo_work_submit(loop, lane, NULL, stand_at, ignore_done, g), 0);
}

__attribute__((unused)) static rondo_lane_figures figures_of(rondo_lane *lane) {
    rondo_lane_figures figures;
    rondo_lane_get_figures(lane, &figures);
    return figures;
}

/* Waits until a figure of the lane is `want`; the test's time is the limit. */
#define WAIT_FOR_FIGURE(lane, figure, want) \
    while (figures_of(lane).figure != (want)) sched_yield()

__attribute__((unused)) static rondo_loop *new_loop(void) {
    rondo_loop *loop = rondo_loop_new();
    CHECK(loop != NULL);
    return loop;
}

__attribute__((unused)) static rondo_lane *new_lane(rondo_loop *loop, const char *name,
                                                    unsigned threads, size_t bound) {
    rondo_lane *lane;
    CHECK_INT(rondo_lane_new(loop, name, threads, bound, &lane), 0);
    return lane;
}

__attribute__((unused)) static void run_to_end(rondo_loop *loop) {
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
}

__attribute__((unused)) static int64_t wait_until_asleep(rondo_job *job, void *arg) {
    rondo_loop *loop = arg;
    while (!atomic_load(&loop->asleep)) sched_yield();
    return 0;
}

/* Has the loop woken from sleep once, so that libev has all the memory it ever needs for that. */
__attribute__((unused)) static void warm_up(rondo_loop *loop) {
    CHECK_INT(rondo_work_submit(loop, NULL, NULL, wait_until_asleep, ignore_done, loop), 0);
    run_to_end(loop);
}

#endif
