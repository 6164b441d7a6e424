/* SPDX-License-Identifier: MIT
 *
 * Long operations in steps, and their two forms. An operation is a struct that begins with a
 * rondo__steps and knows where it is; step() does a bounded amount. Asynchronously one job runs a
 * step at a time and goes to the end of its lane's queue after each; synchronously a loop runs
 * them. So there is one implementation. Internal to src/fs/.
 *
 * Whatever happens (failure, cancel, timeout, the loop freed, a thread given up), end() runs
 * exactly once, on a worker where that is possible, after the last step and before the callback;
 * then, later and once, free().
 */
#ifndef RONDO__FS_STEPS_H
#define RONDO__FS_STEPS_H

#include <stddef.h>

#include "loop/door.h"
#include "loop/retry.h"
#include "threadpool/job.h"

/* What step() returns when there is more to do; no RONDO_E* and no count. */
#define RONDO__MORE INT64_MIN

/* Room for any operation's struct, its path not counted: RONDO__STEPS_FIT(struct) checks it. */
#define RONDO__STEPS_MAX 2048
#define RONDO__STEPS_FIT(type) _Static_assert(sizeof(type) <= RONDO__STEPS_MAX, "too large")

typedef struct rondo__steps rondo__steps;

typedef struct rondo__steps_kind {
    /* Of the callback; its payload is the rondo__steps, its result is set. Of a job that was
     * abandoned all the rest is zero. */
    rondo__event event;
    int64_t (*step)(rondo__steps *steps);
    /* Gives back what the operation holds of the system, and undoes what is half done:
     * steps->result is below 0 then. NULL: nothing. */
    void (*end)(rondo__steps *steps);
    /* Frees its memory; NULL: rondo__free(). */
    void (*free)(rondo__steps *steps);
    /* On the loop thread, after each step but the last: tells the user what it brought.
     * Synchronously on that thread, with loop NULL. NULL: nothing. */
    void (*tell)(rondo_loop *loop, rondo__steps *steps, rondo__fn cb, void *arg);
    /* On the loop thread, after tell(): whether the next step must wait until somebody calls
     * rondo__job_unpark(). NULL: never. */
    bool (*waits)(const rondo__steps *steps);
    bool borrows; /* steps use memory of the caller's */
} rondo__steps_kind;

struct rondo__steps {
    const rondo__steps_kind *kind;
    rondo_job *job; /* NULL when synchronous */
    bool ended;
    int64_t result;
    uint64_t done, total; /* progress, in a unit of its own */
};

/* Memory for an operation of `size` bytes, zeroed. NULL when out of memory. */
void *rondo__steps_new(const rondo__steps_kind *kind, size_t size);
/* Asynchronously, on the fs lane. Takes the operation over, also when it fails; NULL (out of
 * memory, said here so that callers needn't) is RONDO_ENOMEM. */
int rondo__steps_start(rondo_loop *loop, rondo__steps *steps, rondo_job **ret_job, rondo__fn cb,
                       void *arg);
/* Synchronously. What it brought is in the operation, which stays the caller's. NULL: RONDO_ENOMEM.
 * */
int64_t rondo__steps_run(rondo__steps *steps);
/* The same, for a kind that tells. */
int64_t rondo__steps_run_telling(rondo__steps *steps, rondo__fn cb, void *arg);
void rondo__steps_free(rondo__steps *steps); /* NULL is allowed */
/* For a step that takes long: whether somebody asked it to end. */
bool rondo__steps_canceled(const rondo__steps *steps);

#endif
