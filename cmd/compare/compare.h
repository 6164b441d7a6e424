/* SPDX-License-Identifier: MIT
 *
 * `rondo compare`: what its parts share.
 *
 *   compare.c      begins and ends: the command
 *   subjects.c     who is compared in what
 *   options.c      the command line, and the help
 *   workloads.c    what is sent
 *   plan.c         which load on which server when
 *   run.c          does what the plan says
 *   point.c        one load on one server
 *   scratch.c      the run's own files
 *   server.c keeper.c tree.c    servers, and that nothing of them is left
 *   load*.c        the generator
 *   measure.c machine.c         what a server uses; what the machine is
 *   report*.c summary.c         what is made of results.h
 */
#ifndef CMD_COMPARE_H
#define CMD_COMPARE_H

#include "cmd/cmd.h"
#include "measure.h"
#include "report.h"
#include "results.h"
#include "server.h"
#include "workloads.h"

/* ---- options.c ---- */

#define OWN_MOST 8

typedef struct compare_options {
    const char *own[OWN_MOST]; /* servers of the user's: "NAME=COMMAND" */
    size_t own_count;
    bool quick, list, peers, anyway, help;
    const char *out;                                  /* a directory */
    const char *models;                               /* "a,b"; NULL: all */
    const char *workloads;                            /* the same */
    double rate;                                      /* < 0: not given; 0: closed loop only */
    double duration;                                  /* seconds of each load; 0: not given */
    unsigned connections, idle, rounds, server_cores; /* 0: not given */
    const char *serve;                                /* be this model's server, and nothing else */
    const char *files, *dir;                          /* of its files; for what it makes */
    unsigned workers;
    uint16_t port;
} compare_options;

/* EXIT_OK, or it has complained and EXIT_USAGE. */
int compare_parse(int argc, char **argv, compare_options *ret);

/* ---- subjects.c ---- */

struct run;
int subjects_list(void);
/* Whether all that is named exists; complains if not. */
bool subjects_known(const compare_options *options);
/* Fills results.subjects and .workloads, and the plan. */
bool subjects_choose(struct run *self);
/* Once the directories are there. */
void subjects_prepare(struct run *self);
void subjects_free(struct run *self);
/* --serve: becomes a server. */
int subjects_serve(const compare_options *options);

/* ---- run.c ---- */

/* How a subject is started. */
typedef struct starter {
    const struct peer *peer; /* NULL: a model, or */
    char *command;           /* a server of the user's own, for sh(1) */
    char *why_not;           /* it could not be prepared */
    char *memory;            /* that is its own */
} starter;

typedef struct run {
    const compare_options *options;
    results results;
    starter *starters; /* for each subject */
    plan plan;
    size_t step;    /* of the plan */
    char what[128]; /* is being done */
    progress progress;
    int signals; /* signalfd(2): SIGINT, SIGTERM, SIGHUP */
    int signum;  /* that asked for the end; 0: none */
    char dir[256], files[272],
        scratch[272]; /* of the run's own; in it: of the file workload; of peers */
    int dir_lock;     /* the directory, locked; -1: it can't be */
    char exe[4096];   /* this program */
    server server;
    bool has_disk; /* below run.files: what is dropped from the page cache is not kept in memory */
    bool up;       /* the server */
    bool stained;  /* the server has not done all it was asked for: the next load gets a new one */
    uint16_t port;
    double fresh_resident; /* of the server, before any connection */
    double *maximum;       /* for each subject and workload, of the first round; 0: none */
} run;

/* Everything that the plan says, or until a signal. The results are whole in either case. Returns EXIT_OK, or complains. */
int run_all(run *self);
/* Waits until the machine does nothing else, at most a while, and says so. */
void run_wait_for_quiet(run *self);
/* Reads a signal if there is one. Returns whether the run is to end. */
bool run_interrupted(run *self);

/* ---- scratch.c ---- */

/* Removes what runs that were killed have left; then makes run.dir, and what is in it. Complains. */
bool scratch_make(run *self);
void scratch_remove(run *self);
/* Drops one of run.files from the page cache. */
void scratch_make_cold(const run *self, const char *name);
/* Writes the report into a new directory beside it, which stays, and says where: for when it can't be where it should. */
int scratch_keep(const results *all);

/* ---- point.c ---- */

/* Measures; the server runs. Fills what came of it, and sets run.up to whether the server still runs. */
void point_measure(run *self, const planned *shot, double rate, point *ret);
/* A reason is malloc'ed; the first one stays. */
void point_blame(point *self, const char *reason);

#endif
