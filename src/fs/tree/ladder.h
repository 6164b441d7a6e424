/* SPDX-License-Identifier: MIT
 *
 * The way from a root directory down to the one that is worked on: a descriptor for each directory
 * on it, as far as they are open, and its name. Internal to src/fs/.
 *
 * Down leads by name on the descriptor of the directory above, never through a link. Only the root
 * and the innermost directories are open, so that depth costs no descriptors. Back up to one that
 * was closed leads by "..", and what is found there must be the directory that was left (device and
 * inode); if somebody has moved things meanwhile it is looked for from the root, name by name, each
 * checked. So no swapped link or moved directory leads out of the tree.
 */
#ifndef RONDO__FS_LADDER_H
#define RONDO__FS_LADDER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct rondo__rung {
    int fd; /* -1: closed for now */
    dev_t dev;
    ino_t ino;
    size_t name_at; /* in path; of the root 0 */
} rondo__rung;

typedef struct rondo__ladder {
    rondo__rung *rungs; /* the root first */
    size_t count, room;
    size_t first_open; /* besides the root: rungs from here on are open */
    size_t max_open;   /* the root not counted; at least 2 */
    char *path;        /* the names below the root, with '/' between them and NUL behind */
    size_t path_len, path_room;
} rondo__ladder;

/* On an open directory, which it takes over, also when it fails. */
int rondo__ladder_init(rondo__ladder *ladder, int root_fd, size_t max_open);
/* Closes what is open. Memory that was zeroed, or was fini'd, is allowed. */
void rondo__ladder_fini(rondo__ladder *ladder);

/* The directory that is worked on. */
int rondo__ladder_fd(const rondo__ladder *ladder);
const rondo__rung *rondo__ladder_top(const rondo__ladder *ladder);
size_t rondo__ladder_depth(const rondo__ladder *ladder); /* 0 at the root */
/* Its name; after going up, the name of the one that was left, until the next way down. */
const char *rondo__ladder_name(const rondo__ladder *ladder, size_t depth);

/* Enters a directory by its name in the top one. RONDO_ENOTDIR: it is none, or a link. */
int rondo__ladder_down(rondo__ladder *ladder, const char *name);
/* Leaves the top one; the root is never left. Returns how many levels it went up: more than 1 when
 * those between were moved away; or an error, and then nothing can be done any more. */
int rondo__ladder_up(rondo__ladder *ladder);
/* Closes one directory that isn't needed right now. False: there is none. */
bool rondo__ladder_close_one(rondo__ladder *ladder);

/* open(2) of a directory, not through a link if `name` is one: in the directory at_fd or AT_FDCWD.
 * */
int rondo__open_directory(int at_fd, const char *name, int more_flags);

#endif
