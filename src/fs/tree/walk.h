/* SPDX-License-Identifier: MIT
 *
 * The two ways to walk: walk.c, in order, by one thread after another, and walk_parallel.c, by
 * several at once. Internal to src/fs/tree/.
 */
#ifndef RONDO__FS_WALK_H
#define RONDO__FS_WALK_H

#include <rondo/fs_tree.h>

#include "fs/tree/steps.h"

/* A walk of RONDO_WALK_PARALLEL for rondo__steps_start(), which also gives it the callback of its
 * end. NULL when out of memory. */
rondo__steps *rondo__walk_parallel(const char *path, unsigned flags, unsigned max_depth,
                                   rondo_fs_walk_cb on_entry, void *arg);

#endif
