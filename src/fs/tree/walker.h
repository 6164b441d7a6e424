/* SPDX-License-Identifier: MIT
 *
 * Going through a tree, entry by entry: what walking, removing and copying have in common. A
 * ladder, and for each directory on it what is left to do there. Never recursive: depth costs
 * memory only. Internal to src/fs/.
 *
 *     while ((got = rondo__walker_next(w)) == 1) {
 *         ... w->entry is the next one of the directory on top ...
 *         if it is a directory: rondo__walker_enter(w)
 *     }
 *     at 0 the directory is at its end, below 0 it can't be read: rondo__walker_leave(w)
 */
#ifndef RONDO__FS_WALKER_H
#define RONDO__FS_WALKER_H

#include "fs/entries.h"
#include "fs/tree/ladder.h"

/* Descriptors that a walker has open at most, besides the root's. */
enum { RONDO__WALKER_OPEN = 13 };

typedef struct rondo__level {
    rondo__entries entries; /* data is NULL, or what was left when a directory in it was entered */
    size_t held;            /* bytes of data */
    unsigned passes;        /* for the caller, 0 on entering */
    uint64_t mark;          /* for the caller, 0 on entering */
} rondo__level;

typedef struct rondo__walker {
    rondo__ladder ladder;
    rondo__level *levels; /* one for each rung */
    size_t level_room;
    rondo__entries now; /* of the directory on top; its data is the one large buffer */
    size_t now_depth;   /* that `now` is of; SIZE_MAX: of none */
    size_t held;        /* bytes in all levels */
    rondo_dir_entry entry;
} rondo__walker;

/* On an open directory, which it takes over, also when it fails. */
int rondo__walker_init(rondo__walker *walker, int root_fd);
/* Memory that was zeroed is allowed. */
void rondo__walker_fini(rondo__walker *walker);

rondo__level *rondo__walker_level(rondo__walker *walker);
/* Returns 1 with walker->entry, valid until the next call of any of these; 0 at the end of the
 * directory on top; or an error. Entries that are gone when their type is asked for are left out.
 * */
int rondo__walker_next(rondo__walker *walker);
/* Enters walker->entry. */
int rondo__walker_enter(rondo__walker *walker);
/* Leaves the directory on top, as rondo__ladder_up(). Not from the root. */
int rondo__walker_leave(rondo__walker *walker);
/* Reads the directory on top from its beginning. */
int rondo__walker_rewind(rondo__walker *walker);

#endif
