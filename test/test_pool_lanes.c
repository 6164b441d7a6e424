/* SPDX-License-Identifier: MIT
 *
 * What a lane can be told: in which order its jobs begin, what its threads are like, what it counts;
 * and how much it can hold.
 */
#define _GNU_SOURCE
#include "gate.h"
#include "harness.h"

#include <rondo.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int64_t answer(rondo_job *job, void *arg) { return 42; }

/* ---- priorities ---- */

enum { LETTERS = 16 };
static char order[LETTERS];
static int ran;

static int64_t note_letter(rondo_job *job, void *arg) {
    order[ran++] = *(const char *)arg; /* one thread, so no lock */
    return 0;
}

static rondo_job *letter(rondo_loop *loop, rondo_lane *lane, char *text) {
    rondo_job *job;
    CHECK_INT(rondo_work_submit(loop, lane, &job, note_letter, ignore_done, text), 0);
    return job;
}

TEST(higher_priorities_begin_first) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 20);
    char text[] = "abcdefghi";
    gate g;

    gate_init(&g);
    submit_standing(loop, lane, &g);
    for (int i = 0; i < 9; i++) {
        rondo_job *job = letter(loop, lane, text + i);
        rondo_priority priority = (rondo_priority)(i % 3); /* low, normal, high */
        CHECK_INT(rondo_job_set_priority(job, priority), 0);
    }
    gate_wait_entered(&g, 1);
    gate_open(&g, 1);
    run_to_end(loop);
    CHECK_STR(order, "cfibehadg");
    rondo_loop_free(loop);
}

TEST(a_new_priority_goes_to_the_end_and_the_same_one_stays) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 20);
    char text[] = "abcd";
    rondo_job *jobs[4];
    gate g;

    gate_init(&g);
    submit_standing(loop, lane, &g);
    gate_wait_entered(&g, 1);
    for (int i = 0; i < 4; i++) jobs[i] = letter(loop, lane, text + i);
    CHECK_INT(rondo_job_set_priority(jobs[0], RONDO_PRIORITY_normal), 0); /* stays */
    CHECK_INT(rondo_job_set_priority(jobs[1], RONDO_PRIORITY_high), 0);
    CHECK_INT(rondo_job_set_priority(jobs[1], RONDO_PRIORITY_normal), 0); /* now last */
    CHECK_INT(rondo_job_set_priority(jobs[3], RONDO_PRIORITY_high), 0);
    CHECK_INT(rondo_job_set_priority(jobs[3], (rondo_priority)3), RONDO_EINVAL);
    CHECK_INT(rondo_job_set_priority(jobs[2], RONDO_PRIORITY_low), 0);
    CHECK_INT(rondo_job_cancel(jobs[2]), 0);
    CHECK_INT(figures_of(lane).queued, 3);
    gate_open(&g, 1);
    run_to_end(loop);
    CHECK_STR(order, "dab");
    rondo_loop_free(loop);
}

TEST(priority_of_a_job_that_runs_or_has_ended) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 20);
    rondo_job *job;
    gate g;

    gate_init(&g);
    CHECK_INT(rondo_work_submit(loop, lane, &job, stand_at, ignore_done, &g), 0);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_job_set_priority(job, RONDO_PRIORITY_low), RONDO_EBUSY);
    gate_open(&g, 1);
    WAIT_FOR_FIGURE(lane, done, 1);
    CHECK_INT(rondo_job_set_priority(job, RONDO_PRIORITY_low), RONDO_ENOENT);
    run_to_end(loop);
    rondo_loop_free(loop);
}

TEST(close_all_cancels_every_priority) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 20);
    outcome what[3] = {{0}};
    rondo_job *job;
    gate g;

    gate_init(&g);
    submit_standing(loop, lane, &g);
    gate_wait_entered(&g, 1);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(rondo_work_submit(loop, lane, &job, answer, note_outcome, &what[i]), 0);
        CHECK_INT(rondo_job_set_priority(job, (rondo_priority)i), 0);
    }
    rondo_loop_close_all(loop);
    CHECK_INT(figures_of(lane).queued, 0);
    gate_open(&g, 1);
    run_to_end(loop);
    for (int i = 0; i < 3; i++) CHECK_OUTCOME(what[i], RONDO_ECANCELED);
    rondo_loop_free(loop);
}

/* ---- threads ---- */

static int64_t own_stack(rondo_job *job, void *arg) {
    pthread_attr_t attr;
    size_t size;
    CHECK_INT(pthread_getattr_np(pthread_self(), &attr), 0);
    CHECK_INT(pthread_attr_getstacksize(&attr, &size), 0);
    pthread_attr_destroy(&attr);
    return (int64_t)size;
}

TEST(stacks_are_as_large_as_asked_for) {
    rondo_loop *loop = new_loop();
    const size_t bytes[] = {1 << 20, 64 << 10, (256 << 10) + 1, 4 << 20};
    const char *names[] = {"usual", "small", "odd", "large"};

    for (int i = 0; i < 4; i++) {
        rondo_lane *lane = new_lane(loop, names[i], 1, 1);
        outcome what = {0};
        if (i > 0) CHECK_INT(rondo_lane_set_stack(lane, bytes[i]), 0);
        CHECK_INT(rondo_lane_set_stack(lane, (64 << 10) - 1), RONDO_EINVAL);
        CHECK_INT(rondo_work_submit(loop, lane, NULL, own_stack, note_outcome, &what), 0);
        run_to_end(loop);
        CHECK_INT(what.calls, 1);
        /* Tools add their own. */
        CHECK(what.result >= (int64_t)bytes[i]);
        CHECK(harness_is_slow() || what.result < (int64_t)bytes[i] + (64 << 10));
    }
    rondo_loop_free(loop);
}

TEST(a_stack_that_cannot_be_had_refuses_the_job) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "huge", 1, 1);
    outcome what = {0};

    for (int i = 0; i < 2; i++) {
        CHECK_INT(rondo_lane_set_stack(lane, i ? SIZE_MAX : SIZE_MAX / 4), 0);
        CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, note_outcome, &what), RONDO_EAGAIN);
    }
    CHECK_INT(rondo_lane_set_stack(lane, 1 << 20), 0);
    CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, note_outcome, &what), 0);
    run_to_end(loop);
    CHECK_OUTCOME(what, 42);
    rondo_loop_free(loop);
}

/* The nice level of the calling thread, as the kernel shows it: the 19th field of stat, the 17th
 * behind the name, which may have spaces. */
static int64_t own_nice(rondo_job *job, void *arg) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)gettid());
    FILE *file = fopen(path, "r");
    CHECK(file && fgets(text, sizeof text, file));
    fclose(file);
    char *at = strrchr(text, ')');
    for (int i = 0; at && i < 17; i++) at = strchr(at + 1, ' ');
    CHECK(at != NULL);
    return atoi(at) + 100; /* a result must not look like an error */
}

TEST(threads_are_as_nice_as_asked_for) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "nice", 1, 1), *plain = new_lane(loop, "plain", 1, 1);
    outcome nice = {0}, other = {0};
    errno = 0;
    int own = getpriority(PRIO_PROCESS, 0);

    CHECK_INT(rondo_lane_set_nice(lane, 20), RONDO_EINVAL);
    CHECK_INT(rondo_lane_set_nice(lane, -21), RONDO_EINVAL);
    CHECK_INT(rondo_lane_set_nice(lane, 19), 0);
    CHECK_INT(rondo_work_submit(loop, lane, NULL, own_nice, note_outcome, &nice), 0);
    CHECK_INT(rondo_work_submit(loop, plain, NULL, own_nice, note_outcome, &other), 0);
    run_to_end(loop);
    CHECK_OUTCOME(nice, 119);
    CHECK_OUTCOME(other, 100 + own);
    CHECK_INT(getpriority(PRIO_PROCESS, 0), own); /* it is the thread's alone */
    rondo_loop_free(loop);
}

TEST(names_are_shown_by_the_kernel) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "pictures", 1, 1);
    char path[64], name[32] = "";
    gate g;

    gate_init(&g);
    submit_standing(loop, lane, &g);
    gate_wait_entered(&g, 1);
    bool found = false;
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    for (struct dirent *entry; !found && (entry = readdir(tasks));) {
        snprintf(path, sizeof path, "/proc/self/task/%.16s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        CHECK(fgets(name, sizeof name, file) != NULL);
        fclose(file);
        found = strcmp(name, "rondo-pictures\n") == 0;
    }
    closedir(tasks);
    CHECK(found);
    gate_open(&g, 1);
    run_to_end(loop);
    rondo_loop_free(loop);
}

/* ---- figures ---- */

static uint64_t sum_from(const uint64_t *buckets, int first) {
    uint64_t sum = 0;
    for (int i = first; i < RONDO_LANE_BUCKETS; i++) sum += buckets[i];
    return sum;
}

static void sleep_5_ms(void) {
    struct timespec time = {0, 5000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &time, &time) == EINTR) {}
}
static int64_t take_5_ms(rondo_job *job, void *arg) {
    sleep_5_ms();
    return 0;
}

TEST(waiting_and_running_are_measured_when_asked) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = new_lane(loop, "one", 1, 20);
    gate g;

    gate_init(&g);
    submit_standing(loop, lane, &g); /* of this one nobody asks */
    gate_wait_entered(&g, 1);
    rondo_lane_measure(lane, true);
    for (int i = 0; i < 2; i++)
        CHECK_INT(rondo_work_submit(loop, lane, NULL, take_5_ms, ignore_done, NULL), 0);
    sleep_5_ms();
    gate_open(&g, 1);
    run_to_end(loop);
    rondo_lane_figures figures = figures_of(lane);
    CHECK_INT(figures.done, 3);
    CHECK_INT(sum_from(figures.waited_us, 0), 2);
    CHECK_INT(sum_from(figures.waited_us, 13), 2); /* 4096 us or more: 5 ms */
    CHECK(sum_from(figures.waited_us, 14) >= 1); /* 8192 us or more: 5 ms, and those of the other */
    CHECK_INT(sum_from(figures.ran_us, 0), 2);
    CHECK_INT(sum_from(figures.ran_us, 13), 2);
    CHECK_INT(sum_from(figures.ran_us, RONDO_LANE_BUCKETS - 1), 0); /* two minutes */
    rondo_lane_measure(lane, false);
    CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, ignore_done, NULL), 0);
    run_to_end(loop);
    CHECK_INT(sum_from(figures_of(lane).ran_us, 0), 2);
    rondo_loop_free(loop);
}

/* ---- much ---- */

static long done_calls, canceled_calls;
static void count_done(rondo_loop *loop, int64_t result, void *arg) {
    done_calls += result == 42;
    canceled_calls += result == RONDO_ECANCELED;
}

TEST(a_million_jobs_wait) {
    rondo_loop *loop = new_loop();
    long many = harness_is_slow() ? 20000 : 1000000;
    rondo_lane *lane = new_lane(loop, "many", 1, (size_t)many);
    rondo_job *every_other;
    gate g;

    gate_init(&g);
    submit_standing(loop, lane, &g);
    gate_wait_entered(&g, 1);
    long canceled = 0;
    for (long i = 0; i < many; i++) {
        CHECK_INT(rondo_work_submit(loop, lane, &every_other, answer, count_done, NULL), 0);
        if (i % 2 == 0) continue;
        CHECK_INT(rondo_job_set_priority(every_other, RONDO_PRIORITY_low), 0);
        if (i % 4 == 1) CHECK_INT(rondo_job_cancel(every_other), 0);
        canceled += i % 4 == 1;
    }
    CHECK_INT(figures_of(lane).queued, many - canceled);
    for (long i = 0; i <= canceled; i++) { /* and not one more than the bound */
        int error = rondo_work_submit(loop, lane, NULL, answer, count_done, NULL);
        CHECK_INT(error, i < canceled ? 0 : RONDO_EAGAIN);
    }
    gate_open(&g, 1);
    run_to_end(loop);
    CHECK_INT(done_calls, many);
    CHECK_INT(canceled_calls, canceled);
    rondo_loop_free(loop);
}

TEST(every_thread_of_a_lane_stuck_and_the_others_go_on) {
    rondo_loop *loop = new_loop();
    rondo_lane *stuck = new_lane(loop, "stuck", 8, 4), *other = new_lane(loop, "other", 1, 10);
    gate g;

    gate_init(&g);
    for (int i = 0; i < 12; i++) submit_standing(loop, stuck, &g); /* threads and queue are full */
    CHECK_INT(rondo_work_submit(loop, stuck, NULL, answer, ignore_done, NULL), RONDO_EAGAIN);
    gate_wait_entered(&g, 8);
    for (int i = 0; i < 1000; i++) {
        outcome what = {0};
        rondo_lane *lane = i % 2 ? other : rondo_lane_cpu(loop);
        CHECK_INT(rondo_work_submit(loop, lane, NULL, answer, note_outcome, &what), 0);
        while (what.calls == 0) CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
        CHECK_INT(what.result, 42);
    }
    CHECK_INT(figures_of(stuck).done, 0);
    gate_open(&g, 12);
    run_to_end(loop);
    rondo_loop_free(loop);
}
