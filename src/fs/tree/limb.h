/* SPDX-License-Identifier: MIT
 *
 * The limbs of a parallel walk: jobs that read directories. What is told of them and what they read
 * next is walk_parallel.c's. Internal to src/fs/tree/.
 */
#ifndef RONDO__FS_LIMB_H
#define RONDO__FS_LIMB_H

#include <stdatomic.h>
#include <sys/types.h>

#include "fs/entries.h"
#include "fs/tree/found.h"
#include "threadpool/job.h"

/* A directory to be read, or to be read on. */
typedef struct rondo__branch {
    struct rondo__branch *next;
    off_t position; /* in the directory; 0: nothing of it was read */
    unsigned depth; /* 0: the root */
    bool over;      /* read to its end */
    size_t len;
    char path[]; /* below the root, "" for it */
} rondo__branch;

/* What all limbs of a walk share. */
typedef struct rondo__trunk {
    atomic_uint refs; /* the walk's and those of the limbs */
    atomic_bool over; /* nobody wants to hear more */
    int root;         /* -1 before it was opened */
    dev_t dev;
    unsigned flags; /* RONDO_WALK_* */
    void *walk;     /* whose it is; NULL: over. The loop thread's */
} rondo__trunk;

typedef struct rondo__limb {
    rondo_job job;
    rondo__trunk *trunk;
    rondo__branch *branches; /* what it is to read, and afterwards how far it came */
    rondo__entries entries;
    rondo__found found;
} rondo__limb;

rondo__trunk *rondo__trunk_new(unsigned flags, void *walk);
/* The last one closes the root. Any thread. */
void rondo__trunk_unref(rondo__trunk *trunk);

/* A limb ready to be submitted; deliver's result is 0, or what ends the walk. NULL when out of
 * memory. */
rondo__limb *rondo__limb_new(rondo_loop *loop, rondo__trunk *trunk,
                             void (*deliver)(rondo_loop *loop, rondo_job *job, int64_t result));
void rondo__limb_free(rondo_job *limb);
void rondo__branches_free(rondo__branch *branches);

#endif
