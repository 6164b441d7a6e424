/* SPDX-License-Identifier: MIT
 *
 * rondo compare: what a run has found out. The runner fills it, point by point; the terminal's table, compare.json, compare.csv and
 * compare.html are made from it and from nothing else.
 */
#ifndef CMD_COMPARE_RESULTS_H
#define CMD_COMPARE_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A figure that was not, or can't be, measured. */
#define NOT_MEASURED (-1.0)

/* A server: one of the models, or a peer (nginx, node...). */
typedef struct subject {
    const char *name, *title;
    const char *waits;   /* one sentence: who waits where */
    const char *file;    /* where its source or configuration is */
    const char *version; /* of a peer; NULL for a model */
    bool peer;
    bool blocks; /* of a model: a connection waits in calls of its own; else one waits for many */
    const char *missing; /* NULL, or the Debian package to install: not measured */
} subject;

typedef struct workload {
    const char *name;  /* "hello" */
    const char *title; /* "each request waits 20 ms for a slow back end" */
    const char *asks;  /* the question that it answers */
    double bound;      /* microseconds: a server keeps up while its p99 is below; 0: 100 ms */
} workload;

/* One load on one server in one round. Times in microseconds. The same load in another round has exactly the same subject,
 * workload, connections, idle and asked: by these the rounds of a load are found. */
typedef struct point {
    size_t subject, workload; /* indices */
    unsigned round;           /* from 0 */
    unsigned connections;     /* that are busy */
    unsigned idle;            /* that only stand open, or read slowly */
    double
        asked; /* requests/s that should arrive; 0: closed loop, the next when the answer is there */
    double seconds;
    /* What came of it */
    uint64_t done, errors, refused,
        late; /* late: asked for but not answered when the point was over; in an open loop the latencies
                    below have them too, with the time that they had waited by then */
    uint64_t resets, timeouts,
        wrong;   /* errors, by kind: broken connections; too slow to open; wrong answers */
    double rate; /* answers/s */
    double p50, p75, p90, p99, p999, max; /* from the time at which the request was to be sent */
    /* The server: all its processes and threads */
    double cpu;                       /* for each request */
    double voluntary, involuntary;    /* context switches for each request */
    double resident, kernel;          /* bytes for each connection above what it had before */
    double total_resident;            /* bytes in all at the end */
    unsigned threads, processes, fds; /* at most */
    /* The generator: how busy its core was, 0 to 1. Above 0.9 the figures are its own. */
    double load_busy;
    const char
        *reason; /* NULL, or why it broke off or was not possible: "accept: Too many open files" */
} point;

typedef struct machine {
    char *cpu, *kernel, *os, *date,
        *rondo; /* model name; uname; PRETTY_NAME; RFC 3339; version and commit when known */
    unsigned cores;
    uint64_t memory; /* bytes */
    unsigned server_core, load_core;
    unsigned server_cores; /* how many, from server_core on; the same for all servers */
    uint64_t fd_limit, thread_limit;
    double busy_before; /* 0 to 1: what the machine did before the run */
} machine;

typedef struct results {
    machine machine;
    char *command_line;
    const char *mode; /* "quick", "default" */
    unsigned rounds;
    bool interrupted;
    subject *subjects;
    size_t subject_count;
    workload *workloads;
    size_t workload_count;
    point *points; /* in the order measured */
    size_t point_count, point_room;
} results;

#endif
