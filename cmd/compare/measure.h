/* SPDX-License-Identifier: MIT
 *
 * rondo compare: what a server uses, over all its processes and threads, and what the machine is and does. All of it is read from
 * /proc, from outside: nothing in a server counts anything.
 */
#ifndef COMPARE_MEASURE_H
#define COMPARE_MEASURE_H

#include "results.h"

#include <sys/types.h>

typedef struct task_count {
    pid_t id; /* of a thread */
    uint64_t voluntary, involuntary;
} task_count;

/* Of a process's descendants. */
typedef struct usage {
    double cpu_s; /* of all that live, and of those that ended and were waited for */
    double resident;
    unsigned threads, processes, fds;
    task_count *tasks; /* sorted by id */
    size_t task_count, task_room;
} usage;

/* Reads it. What ends meanwhile is left out. False when out of memory. */
bool usage_read(pid_t root, usage *ret);
void usage_free(usage *self);
/* Context switches from one reading to the next, of the threads that are there in the second. */
void usage_switches(const usage *before, const usage *after, uint64_t *ret_voluntary,
                    uint64_t *ret_involuntary);

/* Bytes of the kernel's that may be a connection's: slab, kernel stacks and page tables, of all programs. */
double kernel_memory(void);

/* ---- machine.c ---- */

/* Fills in all but busy_before. The text is malloc'ed. */
void machine_read(machine *ret, unsigned wanted_server_cores);
void machine_free(machine *self);
/* The core of the generator; -1: there is only one, and it is not pinned. */
int machine_load_core(const machine *self);

typedef struct cpu_times {
    uint64_t busy, all;
} cpu_times;
cpu_times cpu_times_read(void);
/* 0 to 1, of all cores, since then. */
double cpu_busy_since(const cpu_times *then);

/* Soft limit of descriptors up to the hard one; for this process and all it starts. */
void raise_limits(void);

#endif
