/* SPDX-License-Identifier: MIT
 *
 * Timers, side by side in one process: start, re-arm, stop and fire with N timers, for Rondo, libev
 * and libuv (where it is installed). Rounds are interleaved; prints the median ns of each.
 *
 *   timers N [ROUNDS]      one line per library: NAME start re-arm stop fire
 *   timers N -             for each line of its input, the NAME of one, a round of that: start re-arm stop fire; or `-` if it isn't there
 *
 * Re-arm is what a server does with every byte: each timer has a timeout of 60 to 75 s, is picked
 * at random and pushed ahead. Fire: all timers become due at once; the loop runs until all have been
 * called. Rondo's public functions are called as a user would, outside callbacks; libev and libuv
 * count from their cached time, Rondo reads the clock at top level, so `rondo-cb` does the same
 * re-arming inside a callback, which is where servers do it.
 */
#include <ev.h>
#include <rondo.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__has_include)
#if __has_include(<uv.h>)
#include <uv.h>
#define HAVE_UV 1
#endif
#endif

#define REARMS 2000000u
#define MAX_ROUNDS 31

enum { START, REARM, STOP, FIRE, FIGURES };
enum { RONDO, RONDO_CB, LIBEV, LIBUV, FLOOR, LIBRARIES };
static const char *const names[LIBRARIES] = {"rondo", "rondo-cb", "libev", "libuv", "floor"};
static double ns[LIBRARIES][FIGURES][MAX_ROUNDS];

static unsigned count, fired;
static unsigned *picks;    /* which timer each re-arm takes */
static unsigned *timeouts; /* ms of each timer */

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static unsigned random_below(unsigned bound) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (unsigned)(state % bound);
}

/* ---- Rondo ---- */

static void on_rondo(rondo_timer *timer, void *arg) {
    (void)timer, (void)arg;
    fired++;
}

static rondo_timer **rondo_timers;

static void rearm_rondo(void) {
    for (unsigned i = 0; i < REARMS; i++) rondo_timer_again(rondo_timers[picks[i]]);
}

static void rearm_tick(rondo_loop *loop, void *elapsed) {
    (void)loop;
    double begun = now_ns();
    rearm_rondo();
    *(double *)elapsed = (now_ns() - begun) / REARMS;
}

static void bench_rondo(unsigned round) {
    rondo_loop *loop = rondo_loop_new();
    rondo_timers = calloc(count, sizeof(void *));
    for (unsigned i = 0; i < count; i++) rondo_timers[i] = rondo_timer_new(loop);
    double begun = now_ns();
    for (unsigned i = 0; i < count; i++)
        rondo_timer_start(rondo_timers[i], timeouts[i], 0, on_rondo, NULL);
    ns[RONDO][START][round] = (now_ns() - begun) / count;
    begun = now_ns();
    rearm_rondo();
    ns[RONDO][REARM][round] = (now_ns() - begun) / REARMS;
    rondo_next_tick(loop, rearm_tick, &ns[RONDO_CB][REARM][round]);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    begun = now_ns();
    for (unsigned i = 0; i < count; i++) rondo_timer_stop(rondo_timers[i]);
    ns[RONDO][STOP][round] = (now_ns() - begun) / count;
    for (unsigned i = 0; i < count; i++) rondo_timer_start(rondo_timers[i], 1, 0, on_rondo, NULL);
    struct timespec pause = {0, 3000000};
    nanosleep(&pause, NULL); /* all are due now */
    fired = 0;
    begun = now_ns();
    while (fired < count) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    ns[RONDO][FIRE][round] = (now_ns() - begun) / count;
    for (unsigned f = 0; f < FIGURES; f++)
        if (f != REARM) ns[RONDO_CB][f][round] = ns[RONDO][f][round];
    rondo_loop_close_all(loop);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    free(rondo_timers);
}

/* ---- libev ---- */

static void on_ev(struct ev_loop *loop, ev_timer *timer, int events) {
    (void)loop, (void)timer, (void)events;
    fired++;
}

static void bench_ev(unsigned round) {
    struct ev_loop *loop = ev_loop_new(EVFLAG_NOENV);
    ev_timer *timers = calloc(count, sizeof *timers);
    for (unsigned i = 0; i < count; i++) {
        ev_init(&timers[i], on_ev);
        timers[i].repeat = timeouts[i] / 1e3;
    }
    double begun = now_ns();
    for (unsigned i = 0; i < count; i++) ev_timer_again(loop, &timers[i]);
    ns[LIBEV][START][round] = (now_ns() - begun) / count;
    ev_run(loop, EVRUN_NOWAIT);
    begun = now_ns();
    for (unsigned i = 0; i < REARMS; i++) ev_timer_again(loop, &timers[picks[i]]);
    ns[LIBEV][REARM][round] = (now_ns() - begun) / REARMS;
    begun = now_ns();
    for (unsigned i = 0; i < count; i++) ev_timer_stop(loop, &timers[i]);
    ns[LIBEV][STOP][round] = (now_ns() - begun) / count;
    ev_now_update(loop);
    for (unsigned i = 0; i < count; i++) {
        ev_timer_set(&timers[i], .001, 0.);
        ev_timer_start(loop, &timers[i]);
    }
    struct timespec pause = {0, 3000000};
    nanosleep(&pause, NULL);
    fired = 0;
    begun = now_ns();
    while (fired < count) ev_run(loop, EVRUN_NOWAIT);
    ns[LIBEV][FIRE][round] = (now_ns() - begun) / count;
    ev_loop_destroy(loop);
    free(timers);
}

/* ---- libuv ---- */

#ifdef HAVE_UV
static void on_uv(uv_timer_t *timer) {
    (void)timer;
    fired++;
}

static void bench_uv(unsigned round) {
    uv_loop_t loop;
    uv_timer_t *timers = calloc(count, sizeof *timers);
    uv_loop_init(&loop);
    for (unsigned i = 0; i < count; i++) uv_timer_init(&loop, &timers[i]);
    double begun = now_ns();
    for (unsigned i = 0; i < count; i++) uv_timer_start(&timers[i], on_uv, timeouts[i], 0);
    ns[LIBUV][START][round] = (now_ns() - begun) / count;
    begun = now_ns();
    for (unsigned i = 0; i < REARMS; i++)
        uv_timer_start(&timers[picks[i]], on_uv, timeouts[picks[i]], 0);
    ns[LIBUV][REARM][round] = (now_ns() - begun) / REARMS;
    begun = now_ns();
    for (unsigned i = 0; i < count; i++) uv_timer_stop(&timers[i]);
    ns[LIBUV][STOP][round] = (now_ns() - begun) / count;
    uv_update_time(&loop);
    for (unsigned i = 0; i < count; i++) uv_timer_start(&timers[i], on_uv, 1, 0);
    struct timespec pause = {0, 3000000};
    nanosleep(&pause, NULL);
    fired = 0;
    begun = now_ns();
    while (fired < count) uv_run(&loop, UV_RUN_NOWAIT);
    ns[LIBUV][FIRE][round] = (now_ns() - begun) / count;
    for (unsigned i = 0; i < count; i++) uv_close((uv_handle_t *)&timers[i], NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    free(timers);
}
#else
static void bench_uv(unsigned round) { (void)round; }
#endif

/* ---- the floor ---- */

typedef struct object {
    _Alignas(64) uint64_t delay, deadline, order;
    char rest[192 - 3 * sizeof(uint64_t)];
} object;

static uint64_t floor_now, floor_order;

/* Not inlined: it stands for a call of a library. */
__attribute__((noinline)) static bool push(object *one) {
    uint64_t deadline = floor_now + one->delay;
    if (deadline < one->deadline) return false;
    one->deadline = deadline;
    one->order = ++floor_order;
    return true;
}

static void bench_floor(unsigned round) {
    object **objects = calloc(count, sizeof(void *));
    object *memory = aligned_alloc(64, count * sizeof *memory);
    if (!objects || !memory) exit(1);
    for (unsigned i = 0; i < count; i++) {
        objects[i] = memory + i;
        *objects[i] = (object){.delay = timeouts[i], .deadline = timeouts[i]};
    }
    floor_now++;
    double begun = now_ns();
    for (unsigned i = 0; i < REARMS; i++)
        if (!push(objects[picks[i]])) exit(1);
    ns[FLOOR][REARM][round] = (now_ns() - begun) / REARMS;
    free(memory);
    free(objects);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bench(unsigned library, unsigned round) {
    if (library == RONDO_CB) bench_rondo(round);
    if (library == LIBEV) bench_ev(round);
    if (library == LIBUV) bench_uv(round);
    if (library == FLOOR) bench_floor(round);
}

/* One round for each line of the input. */
static void answer(void) {
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        unsigned library = RONDO_CB;
        line[strcspn(line, "\n")] = 0;
        while (library < LIBRARIES && strcmp(names[library], line) != 0) library++;
        if (library < LIBRARIES) bench(library, 0);
        if (library < LIBRARIES && ns[library][REARM][0] > 0)
            printf("%.1f %.1f %.1f %.1f\n", ns[library][START][0], ns[library][REARM][0],
                   ns[library][STOP][0], ns[library][FIRE][0]);
        else
            printf("-\n");
        fflush(stdout);
    }
}

static void interleave(unsigned rounds) {
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned library = RONDO_CB; library < LIBRARIES; library++) bench(library, round);
    for (unsigned library = 0; library < LIBRARIES; library++) {
        if (ns[library][REARM][0] == 0) continue; /* not there */
        printf("%s", names[library]);
        for (unsigned f = 0; f < FIGURES; f++) {
            qsort(ns[library][f], rounds, sizeof(double), by_value);
            printf(" %.1f", ns[library][f][rounds / 2]);
        }
        printf("\n");
    }
}

int main(int argc, char **argv) {
    bool told = argc > 2 && strcmp(argv[2], "-") == 0;
    unsigned rounds = argc > 2 && !told ? (unsigned)atoi(argv[2]) : 5;
    count = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
    if (count == 0 || rounds == 0 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: timers N [ROUNDS, at most %d, or -]\n", MAX_ROUNDS);
        return 2;
    }
    picks = malloc(REARMS * sizeof *picks);
    timeouts = malloc(count * sizeof *timeouts);
    if (!picks || !timeouts) return 1;
    for (unsigned i = 0; i < REARMS; i++) picks[i] = random_below(count);
    for (unsigned i = 0; i < count; i++) timeouts[i] = 60000 + random_below(4) * 5000;
    if (told)
        answer();
    else
        interleave(rounds);
    free(picks);
    free(timeouts);
    return 0;
}
