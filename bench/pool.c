/* SPDX-License-Identifier: MIT
 *
 * The pool's round trip: an empty job from the loop to a worker and back, with a fixed number in
 * flight, for Rondo and libuv (where it is installed), in interleaved rounds.
 *
 *   pool IN_FLIGHT JOBS [ROUNDS]     one line per library: NAME median-us-per-job
 *
 * Both have four threads.
 */
#include <rondo.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#if defined(__has_include)
#if __has_include(<uv.h>)
#include <uv.h>
#define HAVE_UV 1
#endif
#endif

#define MAX_ROUNDS 31

static unsigned in_flight, jobs, left;
static double us[2][MAX_ROUNDS];

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int64_t nothing(rondo_job *job, void *arg) {
    (void)job, (void)arg;
    return 0;
}

static void on_done(rondo_loop *loop, int64_t result, void *lane) {
    (void)result;
    if (left == 0) return;
    left--;
    if (rondo_work_submit(loop, lane, NULL, nothing, on_done, lane) < 0) abort();
}

static void bench_rondo(unsigned round) {
    rondo_loop *loop = rondo_loop_new();
    rondo_lane *lane;
    if (rondo_lane_new(loop, "bench", 4, 1024, &lane) < 0) abort();
    for (int warm = 1; warm >= 0; warm--) {
        double begun = now_us();
        left = jobs;
        for (unsigned i = 0; i < in_flight; i++, left--)
            if (rondo_work_submit(loop, lane, NULL, nothing, on_done, lane) < 0) abort();
        rondo_loop_run(loop, RONDO_RUN_ALL);
        us[0][round] = (now_us() - begun) / jobs;
    }
    rondo_loop_free(loop);
}

#ifdef HAVE_UV
static uv_work_t *requests;

static void uv_nothing(uv_work_t *request) { (void)request; }

static void on_uv_done(uv_work_t *request, int status) {
    (void)status;
    if (left == 0) return;
    left--;
    uv_queue_work(request->loop, request, uv_nothing, on_uv_done);
}

static void bench_uv(unsigned round) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    requests = calloc(in_flight, sizeof *requests);
    for (int warm = 1; warm >= 0; warm--) {
        double begun = now_us();
        left = jobs;
        for (unsigned i = 0; i < in_flight; i++, left--)
            uv_queue_work(&loop, &requests[i], uv_nothing, on_uv_done);
        uv_run(&loop, UV_RUN_DEFAULT);
        us[1][round] = (now_us() - begun) / jobs;
    }
    uv_loop_close(&loop);
    free(requests);
}
#else
static void bench_uv(unsigned round) { (void)round; }
#endif

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    in_flight = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
    jobs = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 5;
    if (in_flight == 0 || jobs < in_flight || rounds == 0 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: pool IN_FLIGHT JOBS [ROUNDS, at most %d]\n", MAX_ROUNDS);
        return 2;
    }
    for (unsigned round = 0; round < rounds; round++) {
        bench_rondo(round);
        bench_uv(round);
    }
    for (unsigned library = 0; library < 2; library++) {
        qsort(us[library], rounds, sizeof(double), by_value);
        if (us[library][0] > 0)
            printf("%s %.3f\n", library ? "libuv" : "rondo", us[library][rounds / 2]);
    }
    return 0;
}
