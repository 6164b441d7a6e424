/* SPDX-License-Identifier: MIT
 *
 * What the door adds to a callback when nobody watches: ns of a call through rondo__door(), as the loop makes it
 * (outermost, so that it settles afterwards) and from inside another callback, each less the same call without
 * it, which is the event's thunk alone. Medians of interleaved rounds.
 *
 *   door [ROUNDS]          prints: OUTERMOST NESTED THUNK
 */
#include <rondo.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "loop/door.h"

enum { CALLS = 1000000, MOST = 101, WAYS = 3 };

static rondo_loop *loop;
static unsigned long called;

static void nothing(rondo_loop *self, void *arg) {
    (void)self, (void)arg;
    called++;
}

static void thunk(rondo__fn fn, rondo_loop *self, rondo_handle *handle, void *payload, void *arg) {
    (void)handle, (void)payload;
    ((void (*)(rondo_loop *, void *))fn)(self, arg);
}
static const rondo__event event = {"bench", thunk};

static void through_door(void) {
    for (int i = 0; i < CALLS; i++) rondo__door(loop, NULL, &event, RONDO__FN(nothing), NULL, NULL);
}

static void without(void) {
    const rondo__event *volatile any = &event; /* as unknown to the compiler as to the door */
    for (int i = 0; i < CALLS; i++) any->thunk(RONDO__FN(nothing), loop, NULL, NULL, NULL);
}

static double ns_of(void (*run)(void)) {
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    run();
    clock_gettime(CLOCK_MONOTONIC, &b);
    return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / CALLS;
}

static void nested(rondo_loop *self, void *ret_ns) {
    (void)self;
    *(double *)ret_ns = ns_of(through_door);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    static double ns[WAYS][MOST];
    int rounds = argc > 1 ? atoi(argv[1]) : 15;
    loop = rondo_loop_new();
    if (!loop || rounds < 1 || rounds > MOST) return 2;
    for (int round = 0; round < rounds; round++) {
        ns[0][round] = ns_of(through_door);
        rondo_next_tick(loop, nested, &ns[1][round]);
        rondo_loop_run(loop, RONDO_RUN_NOWAIT);
        ns[2][round] = ns_of(without);
    }
    for (int way = 0; way < WAYS; way++) qsort(ns[way], (size_t)rounds, sizeof(double), by_value);
    double thunk_ns = ns[2][rounds / 2];
    printf("%.2f %.2f %.2f\n", ns[0][rounds / 2] - thunk_ns, ns[1][rounds / 2] - thunk_ns,
           thunk_ns);
    rondo_loop_free(loop);
    return called > 0 ? 0 : 1;
}
