/* SPDX-License-Identifier: MIT
 *
 * rondo compare: the workloads, and the plan: which load on which server when, and for how long.
 */
#ifndef COMPARE_WORKLOADS_H
#define COMPARE_WORKLOADS_H

#include "load.h"
#include "results.h"

#define FRACTIONS_MOST 8
#define CROWDS_MOST 4

/* How much of a workload is measured. */
typedef struct extent {
    unsigned rounds; /* 0: left out */
    bool closed;
    double fractions[FRACTIONS_MOST]; /* of the closed loop's rate, rising; ends with 0 */
    unsigned crowds[CROWDS_MOST];     /* of idle connections; ends with 0 */
    double least_seconds;             /* of a load; 0: any */
} extent;

typedef struct workload_row {
    workload about;
    unsigned connections; /* that are busy */
    unsigned slow;        /* slow readers of the file of 1 MiB */
    load_kind kinds[LOAD_KINDS];
    double rate;      /* that all servers are asked for, so that they can be compared; 0: none */
    const char *cold; /* the file that is dropped from the page cache all the time; NULL: none */
    extent full, quick;
} workload_row;

/* Ends with a name of NULL. */
extern const workload_row workload_rows[];
/* The number of a workload; -1: there is none of that name. */
int workload_find(const char *name);

/* The files of the file workload, which are made for the run. */
typedef struct workload_file {
    const char *name;
    size_t size;
} workload_file;
extern const workload_file workload_files[];
#define WORKLOAD_FILES 3

/* ---- the plan ---- */

typedef struct planned {
    size_t subject, workload; /* numbers in results, in workload_rows */
    unsigned round, connections, idle, slow;
    double rate;     /* 0: closed loop, or by fraction */
    double fraction; /* of the closed loop's rate in the first round; 0: no */
    double seconds;
    bool fresh; /* begins with a new server */
} planned;

typedef struct plan {
    planned *shots;
    size_t count;
    double seconds; /* that all of it will take, about */
    unsigned rounds;
} plan;

typedef struct plan_wish {
    size_t subjects;
    const bool *workloads; /* for each of workload_rows whether it is wanted */
    const bool *once;      /* for each subject whether the first round will do; NULL: none */
    const bool
        *skip; /* for each workload, and in it each subject: it can't do that; NULL: all can */
    bool quick;
    double budget_s;
    double rate;          /* >= 0: this one only (0: closed loop only); < 0: not said */
    unsigned connections; /* 0: not said */
    unsigned idle;        /* the one size of crowds; 0: not said */
    unsigned rounds;      /* 0: not said */
    double duration_s;    /* of each load; 0: what the budget allows */
} plan_wish;

/* False when out of memory. Servers take turns within each round, and each is first in some. */
bool plan_make(const plan_wish *wish, plan *ret);
void plan_free(plan *self);

/* A rate near this one of a series that all servers share (IEC 60063's E12: 10, 12, 15, 18, 22, 27, 33, 39, 47, 56, 68, 82, 100),
 * so that their loads can be compared. */
double plan_round_rate(double rate);

#endif
