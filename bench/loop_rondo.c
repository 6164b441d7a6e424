/* SPDX-License-Identifier: MIT
 *
 * What is counted of the loop itself (bench/count): does one thing COUNT times, from callbacks as a
 * program would, and ends. Counting runs of two sizes gives what each costs.
 *
 *   loop_rondo ROW COUNT
 *
 *   again      a timer of 60 to 75 s pushed ahead, as servers do with every request
 *   fire       a timer that becomes due, and is started again
 *   immediate  one that queues the next: each has a turn of the loop
 *   immediates the same, a thousand to the turn
 *   tick       one that queues the next, a thousand to the turn
 *   post       from another thread, in bursts of a hundred that the loop has to have answered
 *   job        to a worker and back, one at a time
 */
#include <rondo.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMERS = 1000, BURST = 100 };

static rondo_loop *loop;
static uint64_t left;

static void check(int64_t result, const char *what) {
    if (result >= 0) return;
    fprintf(stderr, "loop_rondo: %s: %s\n", what, rondo_error_text((int)result));
    exit(1);
}

/* ---- timers ---- */

static rondo_timer *timers[TIMERS];

static void on_never(rondo_timer *timer, void *arg) { (void)timer, (void)arg; }

static void push_all(rondo_loop *self, void *arg) {
    for (unsigned i = 0; i < TIMERS && left > 0; i++, left--)
        check(rondo_timer_again(timers[i]), "again");
    if (left > 0) {
        rondo_immediate(self, push_all, arg);
    } else {
        for (unsigned i = 0; i < TIMERS; i++) rondo_close(timers[i]);
    }
}

static void run_again(void) {
    for (unsigned i = 0; i < TIMERS; i++) {
        timers[i] = rondo_timer_new(loop);
        rondo_timer_start(timers[i], 60000 + 15 * i, 0, on_never, NULL);
    }
    rondo_immediate(loop, push_all, NULL);
}

static void on_due(rondo_timer *timer, void *arg) {
    if (left == 0) {
        rondo_close(timer);
    } else {
        left--;
        rondo_timer_start(timer, 1, 0, on_due, arg);
    }
}

static void run_fire(void) {
    for (unsigned i = 0; i < TIMERS; i++) {
        rondo_timer *timer = rondo_timer_new(loop);
        rondo_timer_start(timer, 1, 0, on_due, NULL);
    }
}

/* ---- immediates and ticks ---- */

static void next_immediate(rondo_loop *self, void *arg) {
    if (--left > 0) rondo_immediate(self, next_immediate, arg);
}

static void run_immediate(void) { rondo_immediate(loop, next_immediate, NULL); }

static void one_of_many(rondo_loop *self, void *arg) {
    if (left == 0) return;
    left--;
    rondo_immediate(self, one_of_many, arg);
}

static void run_immediates(void) {
    for (unsigned i = 0; i < TIMERS; i++) rondo_immediate(loop, one_of_many, NULL);
}

/* A chain for ever is a mistake that the loop reports, so each callback makes one of a thousand. */
static void next_tick(rondo_loop *self, void *arg) {
    if (--left % TIMERS > 0)
        check(rondo_next_tick(self, next_tick, arg), "tick");
    else if (left > 0)
        rondo_immediate(self, next_tick, arg);
}

static void run_tick(void) { rondo_immediate(loop, next_tick, NULL); }

/* ---- posts ---- */

static sem_t answered;
static uint64_t to_post;

static void on_post(rondo_loop *self, void *keeps_alive) {
    if (--left % BURST == 0) sem_post(&answered);
    if (left == 0) rondo_close(keeps_alive);
}

static void *post_all(void *keeps_alive) {
    while (to_post > 0) {
        for (unsigned i = 0; i < BURST; i++)
            check(rondo_loop_post(loop, on_post, keeps_alive), "post");
        to_post -= BURST;
        while (sem_wait(&answered) != 0) {}
    }
    return NULL;
}

static void run_post(void) {
    pthread_t thread;
    rondo_timer *keeps_alive = rondo_timer_new(loop);
    rondo_timer_start(keeps_alive, 3600000, 0, on_never, NULL);
    left = to_post = (left + BURST - 1) / BURST * BURST;
    sem_init(&answered, 0, 0);
    if (pthread_create(&thread, NULL, post_all, keeps_alive) != 0) check(RONDO_ENOMEM, "thread");
    pthread_detach(thread);
}

/* ---- the pool ---- */

static int64_t do_nothing(rondo_job *job, void *arg) { return 0; }

static void on_done(rondo_loop *self, int64_t result, void *arg) {
    check(result, "job");
    if (--left > 0) check(rondo_work_submit(self, NULL, NULL, do_nothing, on_done, arg), "job");
}

static void run_job(void) {
    rondo_lane_set_spin_us(rondo_lane_cpu(loop), 0); /* when it pays is up to the machine */
    check(rondo_work_submit(loop, NULL, NULL, do_nothing, on_done, NULL), "job");
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
    } rows[] = {{"again", run_again},
                {"fire", run_fire},
                {"immediate", run_immediate},
                {"immediates", run_immediates},
                {"tick", run_tick},
                {"post", run_post},
                {"job", run_job}};

    left = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
    loop = rondo_loop_new();
    for (size_t i = 0; left > 0 && i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].name, argv[1]) != 0) continue;
        rows[i].run();
        rondo_loop_run(loop, RONDO_RUN_ALL);
        rondo_loop_free(loop);
        return 0;
    }
    fprintf(stderr, "usage: loop_rondo ROW COUNT (see the head of bench/loop_rondo.c)\n");
    return 2;
}
