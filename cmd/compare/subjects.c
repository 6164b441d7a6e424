/* SPDX-License-Identifier: MIT
 *
 * rondo compare: who is compared, in what: models, peers that are installed, servers of the user's own.
 */
#include "compare.h"

#include "compare/model.h"
#include "compare/peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A little less than what is promised: there is a report to make. */
#define QUICK_S 100
#define FULL_S 575

int subjects_list(void) {
    printf("models:\n");
    for (const model *each = models; each->name; each++)
        printf("  %-10s %s (%s)\n", each->name, each->title, each->file);
    printf("\npeers (--peers shows what is installed):\n ");
    for (const peer *each = peers; each->name; each++) printf(" %s", each->name);
    printf("\n\nworkloads:\n");
    for (const workload_row *row = workload_rows; row->about.name; row++)
        printf("  %-10s %s\n", row->about.name, row->about.title);
    return flush_stdout();
}

/* ---- names ---- */

/* Whether a name is among "a,b,c". */
static bool among(const char *list, const char *name) {
    size_t len = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',')) {
        if (*at == ',') at++;
        if (strcspn(at, ",") == len && strncmp(at, name, len) == 0) return true;
    }
    return false;
}

/* "file" is all of "file-...". */
static bool workload_wanted(const char *list, const char *name) {
    char family[32];
    snprintf(family, sizeof family, "%.*s", (int)strcspn(name, "-"), name);
    return among(list, name) || among(list, family);
}

static bool is_server(const char *name) { return model_find(name) || peer_find(name); }

static bool is_workload(const char *name) {
    for (const workload_row *row = workload_rows; row->about.name; row++)
        if (workload_wanted(name, row->about.name)) return true;
    return false;
}

/* Complains of the first name that there is not. */
static bool all_known(const char *list, bool (*known)(const char *name), const char *what) {
    char name[64];
    for (const char *at = list; at; at = strchr(at, ',')) {
        if (at != list) at++;
        size_t len = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int)(len < 63 ? len : 63), at);
        if (known(name)) continue;
        complain("there is no %s '%s'; rondo compare --list names them", what, name);
        return false;
    }
    return true;
}

bool subjects_known(const compare_options *options) {
    return all_known(options->models, is_server, "model") &&
           all_known(options->workloads, is_workload, "workload");
}

/* ---- who ---- */

static void add(run *self, subject who, starter how) {
    results *all = &self->results;
    self->starters[all->subject_count] = how;
    all->subjects[all->subject_count++] = who;
}

/* "NAME=COMMAND" */
static void add_own(run *self, const char *text) {
    char *name = strdup(text);
    if (!name) return;
    char *command = name + strcspn(name, "=");
    *command++ = '\0';
    add(self,
        (subject){.name = name,
                  .title = "a server of one's own",
                  .waits = "",
                  .file = command,
                  .version = "",
                  .peer = true},
        (starter){.command = command, .memory = name});
}

static void add_peer(run *self, const peer *which) {
    char version[128] = "";
    bool there = peer_is_there(which);
    if (there) peer_version(which, version, sizeof version);
    char *text = strdup(version);
    add(self,
        (subject){.name = which->name,
                  .title = which->title,
                  .waits = which->waits,
                  .file = which->file,
                  .version = text ? text : "",
                  .peer = true,
                  .missing = there ? NULL : which->packages},
        (starter){.peer = which, .memory = text});
}

/* Peers take part when they are named, or when there is time and nobody was named. Those that are missing come last: they are no
 * part of the plan. Returns how many are. */
static size_t add_all(run *self) {
    const compare_options *options = self->options;
    const char *named = options->models;
    for (size_t i = 0; i < options->own_count; i++) add_own(self, options->own[i]);
    for (const model *each = models; each->name; each++)
        if (!named || among(named, each->name))
            add(self,
                (subject){.name = each->name,
                          .title = each->title,
                          .waits = each->waits,
                          .file = each->file,
                          .blocks = each->blocks},
                (starter){.peer = NULL});
    size_t there = self->results.subject_count;
    for (const peer *each = peers; each->name; each++)
        if (named ? among(named, each->name) : !options->quick) add_peer(self, each);
    /* In two passes, in their order. */
    for (size_t i = there; i < self->results.subject_count; i++) {
        subject who = self->results.subjects[i];
        starter how = self->starters[i];
        if (who.missing) continue;
        memmove(&self->results.subjects[there + 1], &self->results.subjects[there],
                (i - there) * sizeof who);
        memmove(&self->starters[there + 1], &self->starters[there], (i - there) * sizeof how);
        self->results.subjects[there] = who;
        self->starters[there++] = how;
    }
    return there;
}

/* ---- in what ---- */

/* What a workload needs of a server. */
static unsigned needs(const workload_row *row) {
    unsigned all = row->slow ? PEER_FILE : 0;
    for (size_t i = 0; i < LOAD_KINDS && row->kinds[i].target; i++) {
        const char *target = row->kinds[i].target;
        all |= strstr(target, "/wait")   ? PEER_WAIT
               : strstr(target, "/cpu")  ? PEER_CPU
               : strstr(target, "/file") ? PEER_FILE
                                         : PEER_HELLO;
    }
    return all;
}

static bool make_plan(run *self, size_t subjects, size_t workloads) {
    const compare_options *options = self->options;
    bool *wanted = calloc(workloads + subjects + workloads * subjects, sizeof *wanted);
    bool *once = wanted + workloads, *skip = once + subjects;
    if (!wanted) return false;
    for (size_t w = 0; w < workloads; w++) {
        const workload_row *row = &workload_rows[w];
        wanted[w] = options->workloads ? workload_wanted(options->workloads, row->about.name)
                                       : !options->quick || row->quick.rounds > 0;
        if (wanted[w]) self->results.workloads[self->results.workload_count++] = row->about;
        for (size_t i = 0; i < subjects; i++) {
            const peer *which = self->starters[i].peer;
            skip[w * subjects + i] = which && (needs(row) & ~which->can) != 0;
        }
    }
    /* Beside the models a peer is there to be compared with, once; by itself it is what is measured. */
    for (size_t i = 0; i < subjects; i++) once[i] = !options->models && self->starters[i].peer;
    plan_wish wish = {.subjects = subjects,
                      .workloads = wanted,
                      .once = once,
                      .skip = skip,
                      .quick = options->quick,
                      .budget_s = options->quick ? QUICK_S : FULL_S,
                      .rate = options->rate,
                      .connections = options->connections,
                      .idle = options->idle,
                      .rounds = options->rounds,
                      .duration_s = options->duration};
    bool made = plan_make(&wish, &self->plan);
    free(wanted);
    self->results.mode = options->quick ? "quick" : "default";
    self->results.rounds = self->plan.rounds;
    return made;
}

bool subjects_choose(run *self) {
    results *all = &self->results;
    size_t workloads = 0, room = self->options->own_count;
    while (workload_rows[workloads].about.name) workloads++;
    for (const model *each = models; each->name; each++) room++;
    for (const peer *each = peers; each->name; each++) room++;
    all->subjects = calloc(room, sizeof *all->subjects);
    self->starters = calloc(room, sizeof *self->starters);
    all->workloads = calloc(workloads, sizeof *all->workloads);
    self->maximum = calloc(workloads * room, sizeof *self->maximum);
    if (!all->subjects || !self->starters || !all->workloads || !self->maximum) return false;
    size_t there = add_all(self);
    return make_plan(self, there, workloads);
}

/* Some have to be compiled. One for which that fails has it as its result. */
void subjects_prepare(run *self) {
    char why[256];
    for (size_t i = 0; i < self->results.subject_count && !run_interrupted(self); i++) {
        starter *how = &self->starters[i];
        if (!how->peer || self->results.subjects[i].missing) continue;
        if (peer_prepare(how->peer, self->scratch, why, sizeof why) < 0) how->why_not = strdup(why);
    }
}

void subjects_free(run *self) {
    for (size_t i = 0; i < self->results.subject_count; i++) {
        free(self->starters[i].memory);
        free(self->starters[i].why_not);
    }
    free(self->starters);
    free(self->results.subjects);
}

/* ---- being one ---- */

static int serve_peer(const peer *which, const compare_options *options) {
    peer_command command;
    char why[256];
    if (peer_prepare(which, options->dir, why, sizeof why) < 0) {
        complain("%s: %s", which->name, why);
        return EXIT_RUNTIME;
    }
    peer_get_command(which, options->port, options->workers,
                     options->files ? options->files : options->dir, options->dir, &command);
    execv(command.argv[0], command.argv);
    complain("%s: %s", command.argv[0], strerror(errno));
    return EXIT_RUNTIME;
}

int subjects_serve(const compare_options *options) {
    const model *chosen = model_find(options->serve);
    const peer *other = peer_find(options->serve);
    model_settings settings = {
        .port = options->port, .workers = options->workers, .files = options->files};
    if (chosen) return compare_serve(chosen, &settings);
    if (other) return serve_peer(other, options);
    complain("there is no model '%s'; rondo compare --list names them", options->serve);
    return EXIT_USAGE;
}
