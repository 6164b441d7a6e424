/* SPDX-License-Identifier: MIT
 *
 * rondo compare: one load on one server. The server is looked at just before the first request that counts and just after the last
 * one, while all connections are open and none is used: what it costs to look is no part of what is measured.
 */
#define _GNU_SOURCE /* asprintf */
#include "compare.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of time on top of the load's own in which a generator must be done: opening takes long with a big crowd. */
#define SLACK_MS 45000
#define SHOW_MS 200
/* Where a file is asked for 22 times in a second, one in twenty comes before it has been dropped again. */
#define COLD_MS 5
/* Below this many connections, what the machine does meanwhile is more than what they need. */
#define KERNEL_MEMORY_LEAST 64
#define PATIENCE_S 1.5
#define OPEN_S 15
#define WARM_FRESH_S 0.1
#define WARM_S 0.02

void point_blame(point *self, const char *reason) {
    if (!self->reason && reason[0] != '\0') self->reason = strdup(reason);
}

/* Waits for the generator's next word. LOAD_BROKE also when the server ends, the user wants the end, or it takes too long. */
static load_event next_word(run *self, const planned *shot, generator *load, long long limit_ms) {
    const char *cold = workload_rows[shot->workload].cold;
    struct timespec begin, now;
    int step = cold ? COLD_MS : SHOW_MS;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (bool talks = true;;) {
        struct pollfd fds[3] = {{.fd = load_fd(load), .events = POLLIN},
                                {.fd = self->signals, .events = POLLIN},
                                {.fd = talks ? self->server.errors : -1, .events = POLLIN}};
        poll(fds, 3, step);
        if (run_interrupted(self)) return LOAD_BROKE;
        if (fds[2].revents && !server_look(&self->server)) {
            /* Its processes may serve on though it has ended; but then it is not what was started. */
            self->up = false;
            return LOAD_BROKE;
        }
        if (fds[0].revents) return load_next(load);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((now.tv_sec - begin.tv_sec) * 1000LL > limit_ms) return LOAD_BROKE;
        if (cold) scratch_make_cold(self, cold);
        progress_show(&self->progress, self->step, self->what);
    }
}

static load_task task_of(const run *self, const planned *shot, double rate) {
    const workload_row *row = &workload_rows[shot->workload];
    load_task task = {.port = self->port,
                      .connections = shot->connections,
                      .idle = shot->idle,
                      .slow = shot->slow,
                      .rate = rate,
                      .seconds = shot->seconds,
                      .warm_seconds = shot->fresh ? WARM_FRESH_S : WARM_S,
                      .open_s = OPEN_S,
                      .patience_s = PATIENCE_S,
                      .seed = 1 + shot->round * 1000 + shot->workload,
                      .core = machine_load_core(&self->results.machine)};
    if (shot->slow) {
        task.slow_target = "/file?name=1m";
        task.slow_file = workload_files[2].size;
    }
    while (task.kind_count < LOAD_KINDS && row->kinds[task.kind_count].target) {
        task.kinds[task.kind_count] = row->kinds[task.kind_count];
        task.kind_count++;
    }
    return task;
}

static void take_outcome(load_outcome *from, point *to) {
    to->seconds = from->seconds;
    to->done = from->done;
    to->refused = from->refused;
    to->resets = from->resets;
    to->timeouts = from->timeouts;
    to->wrong = from->wrong;
    to->errors = from->resets + from->timeouts + from->wrong;
    to->late = from->late;
    to->rate = from->span > 0 ? (double)from->done / from->span : 0;
    to->load_busy = from->busy;
    samples_sort(from->samples, from->sample_count);
    to->p50 = samples_at(from->samples, from->sample_count, 0.5);
    to->p75 = samples_at(from->samples, from->sample_count, 0.75);
    to->p90 = samples_at(from->samples, from->sample_count, 0.9);
    to->p99 = samples_at(from->samples, from->sample_count, 0.99);
    to->p999 = samples_at(from->samples, from->sample_count, 0.999);
    to->max = samples_at(from->samples, from->sample_count, 1);
    point_blame(to, from->reason);
    if (from->done == 0) point_blame(to, "nothing was answered");
}

static void take_usage(const run *self, const usage *before, const usage *after, double kernel,
                       point *to) {
    unsigned connections = to->connections + to->idle;
    uint64_t voluntary, involuntary;
    to->total_resident = after->resident;
    to->threads = after->threads;
    to->processes = after->processes;
    to->fds = after->fds;
    if (self->fresh_resident >= 0 && connections > 0)
        to->resident = (after->resident - self->fresh_resident) / connections;
    if (to->resident < 0) to->resident = 0;
    if (connections >= KERNEL_MEMORY_LEAST && kernel > 0) to->kernel = kernel / connections;
    if (to->done == 0) return;
    usage_switches(before, after, &voluntary, &involuntary);
    to->cpu = (after->cpu_s - before->cpu_s) * 1e6 / (double)to->done;
    to->voluntary = (double)voluntary / (double)to->done;
    to->involuntary = (double)involuntary / (double)to->done;
}

/* The generator broke off: whose fault it is. */
static void blame(run *self, const generator *load, point *ret) {
    if (self->signum)
        point_blame(ret, "interrupted");
    else if (!self->up)
        point_blame(ret, server_reason(&self->server));
    else
        point_blame(ret, load_broke(load) ? "the generator has ended before its time"
                                          : "the generator did not end in time");
}

/* Where it broke off and the server has said something, that is why, whatever was seen from outside. */
static void add_what_it_said(const run *self, point *ret) {
    const char *said = server_said(&self->server);
    char *both = NULL;
    if (!ret->reason || said[0] == '\0' || strstr(ret->reason, said)) return;
    if (asprintf(&both, "%s (%s)", said, ret->reason) < 0) return;
    free((char *)(uintptr_t)ret->reason);
    ret->reason = both;
}

void point_measure(run *self, const planned *shot, double rate, point *ret) {
    load_task task = task_of(self, shot, rate);
    usage before = {.cpu_s = 0}, after = {.cpu_s = 0};
    double kernel = kernel_memory();
    generator *load = load_begin(&task);
    if (!load) {
        point_blame(ret, "no process for the generator");
        return;
    }
    bool measured = false;
    if (next_word(self, shot, load, SLACK_MS) == LOAD_READY &&
        usage_read(self->server.keeper, &before)) {
        load_go(load);
        measured = next_word(self, shot, load, SLACK_MS + (long long)(shot->seconds * 1000)) ==
                       LOAD_DONE &&
                   usage_read(self->server.keeper, &after);
    }
    if (kernel >= 0) kernel = kernel_memory() - kernel;
    load_outcome *came = load_outcome_of(load);
    load_end(load);
    if (!measured) blame(self, load, ret);
    take_outcome(came, ret);
    if (measured) take_usage(self, &before, &after, kernel, ret);
    usage_free(&before);
    usage_free(&after);
    load_free(load);
    if (self->up && !server_look(&self->server)) self->up = false;
    if (self->up) add_what_it_said(self, ret);
}
