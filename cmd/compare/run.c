/* SPDX-License-Identifier: MIT
 *
 * rondo compare: does what the plan says, and lets nothing that a server does break it: a server that does not start, that ends,
 * that answers nothing has that as its result, with the reason, and the next one takes its turn.
 */
#include "compare.h"

#include "compare/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define START_MS 5000
#define START_TRIES 3 /* a port may be taken between looking and listening */
#define QUIET_BUSY 0.1
#define QUIET_MS 500
#define QUIET_TRIES 20

bool run_interrupted(run *self) {
    struct signalfd_siginfo info;
    while (read(self->signals, &info, sizeof info) == sizeof info)
        if (self->signum == 0) self->signum = (int)info.ssi_signo;
    if (self->signum) self->results.interrupted = true;
    return self->signum != 0;
}

void run_wait_for_quiet(run *self) {
    machine *host = &self->results.machine;
    bool told = false;
    for (int i = 0; i < QUIET_TRIES && !run_interrupted(self); i++) {
        struct pollfd signals = {.fd = self->signals, .events = POLLIN};
        cpu_times before = cpu_times_read();
        poll(&signals, 1, self->options->anyway ? QUIET_MS / 5 : QUIET_MS);
        host->busy_before = cpu_busy_since(&before);
        if (host->busy_before < QUIET_BUSY || self->options->anyway) return;
        if (!told)
            complain("the machine is %.0f%% busy: waiting for it, 10 s at most",
                     100 * host->busy_before);
        told = true;
    }
    if (!self->signum)
        complain("the machine is still %.0f%% busy: what is measured now is of little use",
                 100 * host->busy_before);
}

/* ---- the server ---- */

/* A model's server is this program; a server of the user's own is told by its environment what a model's is by its options. */
static bool start_once(run *self, size_t who) {
    char port[8], workers[12];
    const char *name = self->results.subjects[who].name;
    char *model[] = {self->exe,
                     (char[]){"compare"},
                     (char[]){"--serve"},
                     (char *)(uintptr_t)name,
                     (char[]){"--port"},
                     port,
                     (char[]){"--workers"},
                     workers,
                     (char[]){"--files"},
                     self->files,
                     NULL};
    char *own[] = {(char[]){"/bin/sh"}, (char[]){"-c"}, self->starters[who].command, NULL};
    char **argv = own[2] ? own : model;
    peer_command command;
    core_set cores = {.first = self->results.machine.server_core,
                      .count = self->results.machine.server_cores,
                      .pinned = self->results.machine.cores > 1};
    self->port = server_free_port();
    snprintf(port, sizeof port, "%u", self->port);
    snprintf(workers, sizeof workers, "%u", self->options->workers);
    setenv("PORT", port, 1);
    setenv("WORKERS", workers, 1);
    setenv("FILES", self->files, 1);
    if (self->starters[who].peer) {
        peer_get_command(self->starters[who].peer, self->port, self->options->workers, self->files,
                         self->scratch, &command);
        argv = command.argv;
    }
    return server_begin(&self->server, argv, &cores) &&
           server_wait(&self->server, self->port, START_MS);
}

static void stop(run *self) {
    server_end(&self->server);
    self->up = false;
}

/* Returns NULL, or why it does not run. */
static const char *start(run *self, size_t who) {
    usage fresh;
    stop(self);
    if (self->starters[who].why_not) return self->starters[who].why_not;
    for (int tries = 0; tries < START_TRIES && !self->up; tries++) {
        stop(self);
        self->up = start_once(self, who);
        if (!self->up && !strstr(server_reason(&self->server), "in use")) break;
    }
    self->fresh_resident = NOT_MEASURED;
    if (!self->up) {
        stop(self);
        return server_reason(&self->server);
    }
    if (usage_read(self->server.keeper, &fresh)) {
        self->fresh_resident = fresh.resident;
        usage_free(&fresh);
    }
    return NULL;
}

/* ---- points ---- */

/* The next point of the results; NULL when out of memory. Nothing is measured yet. */
static point *add_point(results *all, const planned *shot, double rate) {
    if (all->point_count == all->point_room) {
        size_t room = all->point_room ? 2 * all->point_room : 256;
        point *more = realloc(all->points, room * sizeof *more);
        if (!more) return NULL;
        all->points = more;
        all->point_room = room;
    }
    point *new = &all->points[all->point_count++];
    *new = (point){.subject = shot->subject,
                   .round = shot->round,
                   .connections = shot->connections,
                   .idle = shot->idle + shot->slow,
                   .asked = rate,
                   .seconds = 0,
                   .p50 = NOT_MEASURED,
                   .p75 = NOT_MEASURED,
                   .p90 = NOT_MEASURED,
                   .p99 = NOT_MEASURED,
                   .p999 = NOT_MEASURED,
                   .max = NOT_MEASURED,
                   .cpu = NOT_MEASURED,
                   .voluntary = NOT_MEASURED,
                   .involuntary = NOT_MEASURED,
                   .resident = NOT_MEASURED,
                   .kernel = NOT_MEASURED,
                   .total_resident = NOT_MEASURED,
                   .load_busy = NOT_MEASURED};
    for (size_t w = 0; w < all->workload_count; w++)
        if (all->workloads[w].name == workload_rows[shot->workload].about.name) new->workload = w;
    return new;
}

static double *maximum_of(run *self, const planned *shot) {
    return &self->maximum[shot->workload * self->results.subject_count + shot->subject];
}

/* What is asked for; < 0: that can't be known, since there was no closed loop before, or it was in vain, or another load has the
 * same rate. */
static double rate_of(run *self, const planned *shot) {
    double maximum = *maximum_of(self, shot);
    if (shot->fraction <= 0) return shot->rate;
    if (maximum <= 0) return -1;
    double rate = plan_round_rate(shot->fraction * maximum);
    for (const planned *other = shot - 1; other >= self->plan.shots; other--) {
        if (other->subject != shot->subject || other->workload != shot->workload ||
            other->round != shot->round)
            break;
        double before =
            other->fraction > 0 ? plan_round_rate(other->fraction * maximum) : other->rate;
        if (before == rate) return -1;
    }
    return rate;
}

static void describe(run *self, const planned *shot, double rate) {
    const workload_row *row = &workload_rows[shot->workload];
    char load[48] = "closed loop";
    char crowd[32] = "";
    if (rate > 0) snprintf(load, sizeof load, "%.0f/s", rate);
    if (shot->idle) snprintf(crowd, sizeof crowd, ", %u idle", shot->idle);
    snprintf(self->what, sizeof self->what, "%s, %s, %s%s, round %u", row->about.name,
             self->results.subjects[shot->subject].name, load, crowd, shot->round + 1);
    progress_show(&self->progress, self->step, self->what);
}

static bool do_shot(run *self, const planned *shot) {
    double rate = rate_of(self, shot);
    const char *reason = NULL;
    if (rate < 0) return true;
    describe(self, shot, rate);
    point *new = add_point(&self->results, shot, rate);
    if (!new) {
        complain("out of memory");
        return false;
    }
    const char *cold = workload_rows[shot->workload].cold;
    if (cold && !self->has_disk)
        reason = "its files stay in memory: TMPDIR is on no disk";
    else if (shot->fresh || self->stained || !self->up)
        reason = start(self, shot->subject);
    if (reason)
        point_blame(new, reason);
    else
        point_measure(self, shot, rate, new);
    /* It may still be busy with requests whose clients have gone. */
    self->stained = new->late > 0 || new->errors > 0 || new->refused > 0 || new->reason;
    if (run_interrupted(self)) {
        /* Cut short, it says nothing. */
        if (new->seconds <= 0) {
            free((char *)(uintptr_t) new->reason);
            self->results.point_count--;
        }
        return false;
    }
    if (shot->round == 0 && rate == 0) *maximum_of(self, shot) = new->rate;
    return true;
}

/* Whether the plan has no more of the workload. */
static bool was_last(const plan *whole, size_t step) {
    for (size_t i = step + 1; i < whole->count; i++)
        if (whole->shots[i].workload == whole->shots[step].workload) return false;
    return true;
}

static void show_workload(run *self, size_t step) {
    for (size_t w = 0; w < self->results.workload_count; w++) {
        if (self->results.workloads[w].name !=
            workload_rows[self->plan.shots[step].workload].about.name)
            continue;
        progress_clear(&self->progress);
        report_workload(stdout, &self->results, w);
        fflush(stdout);
    }
}

int run_all(run *self) {
    bool well = true;
    progress_begin(&self->progress, stderr, self->plan.count);
    for (self->step = 0; well && self->step < self->plan.count; self->step++) {
        well = do_shot(self, &self->plan.shots[self->step]);
        if (was_last(&self->plan, self->step)) show_workload(self, self->step);
    }
    stop(self);
    progress_clear(&self->progress);
    if (!well && self->step > 0 && !was_last(&self->plan, self->step - 1))
        show_workload(self, self->step - 1);
    return well || self->signum ? EXIT_OK : EXIT_RUNTIME;
}
