/* SPDX-License-Identifier: MIT
 *
 * What was done to a tree, and what went wrong first. Internal to src/fs/.
 */
#ifndef RONDO__FS_REPORT_H
#define RONDO__FS_REPORT_H

#include <rondo/fs_tree.h>

#include "fs/tree/ladder.h"
#include "loop/door.h"

typedef struct rondo__report {
    rondo_tree_report told;
    int first_error;
} rondo__report;

/* One more of that type. */
void rondo__report_count(rondo__report *report, rondo_file_type type);
/* An entry has failed: `name` in the directory on top, or that directory itself (NULL); the root
 * when ladder is NULL. Returns 0 if the others may do better, or the error when it concerns all (no
 * space, no memory, no descriptors). */
int rondo__report_error(rondo__report *report, const rondo__ladder *ladder, const char *name,
                        int error);
/* The result of an operation that ended with `result`: the first thing that went wrong. */
int64_t rondo__report_result(rondo__report *report, int64_t result);
/* In a thunk: calls a rondo_fs_tree_cb. */
void rondo__report_thunk(rondo__fn fn, rondo_loop *loop, const rondo__report *report,
                         int64_t result, void *arg);

#endif
