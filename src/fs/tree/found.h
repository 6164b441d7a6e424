/* SPDX-License-Identifier: MIT
 *
 * What a walk has found and not told yet: gathered by a worker, told on the loop thread, then
 * emptied. Internal to src/fs/.
 */
#ifndef RONDO__FS_FOUND_H
#define RONDO__FS_FOUND_H

#include <rondo/fs_tree.h>

typedef struct rondo__item {
    size_t path_at, path_len, name_at; /* in text */
    unsigned depth;
    rondo_file_type type;
    int error;
    bool again; /* told before: a directory that can't be read */
    bool has_stat;
} rondo__item;

typedef struct rondo__found {
    rondo__item *items;
    rondo_stat *stats; /* of the items of the same number; NULL: nobody wants any */
    size_t count, room;
    char *text;
    size_t text_len, text_room;
} rondo__found;

/* Room for so many items. 0 or RONDO_ENOMEM. */
int rondo__found_init(rondo__found *found, size_t room, bool with_stats);
/* Memory that was zeroed is allowed. */
void rondo__found_fini(rondo__found *found);

/* What was found in a directory: depth, type, error and again are the caller's to fill in; stat is
 * NULL, or copied. There must be room. On failure (RONDO_ENOMEM) nothing is added. */
int rondo__found_add(rondo__found *found, const char *directory, size_t directory_len,
                     const char *name, rondo__item item, const rondo_stat *stat);
static inline void rondo__found_clear(rondo__found *found) { found->count = found->text_len = 0; }

/* Calls back for the i-th one; loop is NULL when synchronous. */
rondo_walk_verdict rondo__found_tell(rondo_loop *loop, const rondo__found *found, size_t i,
                                     rondo_fs_walk_cb on_entry, void *arg);

#endif
