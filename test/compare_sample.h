/* SPDX-License-Identifier: MIT
 *
 * Made-up results of rondo compare for tests of what is made from them. Nothing here was measured: the numbers follow from formulas,
 * so that a test knows what must come out.
 *
 *   sample_begin(&run, models, peers)     subjects and workloads without a point
 *   sample_fill(&run, rounds)             points for all of them: servers break at different rates, "pool" wins at cpu
 *   sample_point(&run, w, s, round, asked) one more point, that kept up; change what it returns
 */
#ifndef COMPARE_SAMPLE_H
#define COMPARE_SAMPLE_H

#include "../cmd/compare/results.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLE_MODELS 12
#define SAMPLE_PEERS 10

#define SAMPLE_BLOCKING 5 /* the first ones */
static const char *const sample_names[SAMPLE_MODELS + SAMPLE_PEERS] = {
    "iterative",      "fork",          "prefork",      "thread",    "pool",    "select", "poll",
    "epoll",          "epoll-et",      "loop",         "loop-pool", "cluster", "node",   "nginx",
    "apache-prefork", "apache-worker", "apache-event", "go",        "asyncio", "gevent", "lwt",
    "erlang"};

static const workload sample_workloads[] = {
    {"hello", "a small answer at once", "What does a request cost when there is nothing to do?",
     50000},
    {"wait", "each request waits 20 ms for a slow back end", "Who can wait for many at a time?",
     100000},
    {"cpu", "each request computes for a millisecond", "What if there is real work?", 0},
    {"idle", "many connections stand idle while a few are busy",
     "What does a connection cost that only stands there?", 0},
    {"blocker", "one request in a thousand computes for a second", NULL, 0},
};
#define SAMPLE_WORKLOADS (sizeof sample_workloads / sizeof *sample_workloads)

static inline void sample_begin(results *run, size_t models, size_t peers) {
    *run = (results){.mode = "default", .rounds = 3};
    run->machine = (machine){.cpu = (char *)"Made-up CPU",
                             .kernel = (char *)"Linux 0.0",
                             .os = (char *)"Test",
                             .date = (char *)"2026-01-01T00:00:00Z",
                             .rondo = (char *)"0.0.0",
                             .cores = 2,
                             .memory = 4ull << 30,
                             .load_core = 1,
                             .fd_limit = 1024,
                             .thread_limit = 1000,
                             .busy_before = 0.02};
    run->command_line = (char *)"rondo compare --made-up";
    run->subject_count = models + peers;
    run->subjects = calloc(models + peers + 1, sizeof *run->subjects);
    for (size_t s = 0; s < models + peers; s++) {
        size_t at = s < models ? s : SAMPLE_MODELS + s - models;
        run->subjects[s] = (subject){.name = sample_names[at],
                                     .title = "a title",
                                     .waits = "Nobody waits: it is made up.",
                                     .file = "compare/none.c",
                                     .peer = s >= models,
                                     .blocks = at < SAMPLE_BLOCKING,
                                     .version = s >= models ? "1.2.3" : NULL};
    }
    run->workload_count = SAMPLE_WORKLOADS;
    run->workloads = malloc(sizeof sample_workloads);
    memcpy(run->workloads, sample_workloads, sizeof sample_workloads);
}

static inline point *sample_point(results *run, size_t w, size_t s, unsigned round, double asked) {
    if (run->point_count == run->point_room) {
        run->point_room = run->point_room ? run->point_room * 2 : 64;
        run->points = realloc(run->points, run->point_room * sizeof *run->points);
    }
    point *p = &run->points[run->point_count++];
    *p = (point){.subject = s,
                 .workload = w,
                 .round = round,
                 .connections = 64,
                 .asked = asked,
                 .seconds = 2,
                 .done = asked > 0 ? (uint64_t)(asked * 2) : 1000,
                 .rate = asked > 0 ? asked : 500,
                 .p50 = 100,
                 .p75 = 150,
                 .p90 = 200,
                 .p99 = 400,
                 .p999 = 800,
                 .max = 1000,
                 .cpu = 10,
                 .voluntary = 0.5,
                 .involuntary = 0.01,
                 .resident = 1000,
                 .kernel = 8000,
                 .total_resident = 5e6,
                 .threads = 1,
                 .processes = 1,
                 .fds = 70,
                 .load_busy = 0.3};
    return p;
}

/* At more than it can do, a server answers what it can, ever later. */
static inline void sample_load(point *p, double can) {
    double share = p->asked / can;
    p->p50 = 80 / (share < 0.98 ? 1 - share : 0.0002);
    p->p99 = p->p50 * 4;
    if (share > 1)
        p->rate = can, p->done = (uint64_t)(can * 2), p->late = (uint64_t)((p->asked - can) * 2);
    p->p75 = p->p50 * 1.5, p->p90 = p->p50 * 2, p->p999 = p->p99 * 2, p->max = p->p99 * 3;
}

static inline void sample_sweep(results *run, size_t w, size_t s, unsigned round) {
    static const double tops[] = {60000, 3000, 1500};
    size_t kind = s % SAMPLE_MODELS;
    double blocks = kind < 5, top = tops[w > 2 ? 2 : w];
    double can =
        top * (w == 2 ? (blocks ? 1.3 : 0.8) : (0.08 + 0.085 * (double)kind)) * (1 + 0.01 * round);
    for (double share = 0.02; share < 1.3; share *= 1.8) {
        point *p = sample_point(run, w, s, round, (double)(long)(top * share));
        sample_load(p, can);
        p->cpu = 1e6 / can * (1 + 0.02 * round);
        p->threads = blocks > 0 ? 64 : 1;
        p->resident = blocks > 0 ? 33000 + (double)round : 500 + 10 * (double)kind;
        if (p->asked > can * 1.8) break;
    }
    point *closed = sample_point(run, w, s, round, 0);
    closed->rate = can * 1.05;
}

static inline void sample_crowd(results *run, size_t w, size_t s, unsigned round) {
    size_t kind = s % SAMPLE_MODELS;
    for (unsigned idle = 100; idle <= 10000; idle *= 10) {
        point *p = sample_point(run, w, s, round, 200);
        double each = kind < 5 ? 33000 : 400 + 60 * (double)kind;
        p->idle = idle;
        p->resident = each;
        p->total_resident = 3e6 + each * idle;
        if (kind == 5 && idle > 1000) p->done = 0, p->reason = "select: no descriptor above 1,023";
    }
}

static inline void sample_fill(results *run, unsigned rounds) {
    run->rounds = rounds;
    for (unsigned round = 0; round < rounds; round++)
        for (size_t w = 0; w < run->workload_count; w++)
            for (size_t s = 0; s < run->subject_count; s++) {
                if (run->subjects[s].missing) continue;
                if (w == 3)
                    sample_crowd(run, w, s, round);
                else
                    sample_sweep(run, w, s, round);
            }
}

static inline void sample_end(results *run) {
    free(run->subjects);
    free(run->workloads);
    free(run->points);
}

#endif
