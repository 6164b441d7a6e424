/* SPDX-License-Identifier: MIT
 *
 * A place: a directory that is open, and a name in it. What is done by it happens in that directory
 * even if somebody changes the path that led there. Internal to src/fs/.
 */
#ifndef RONDO__FS_PLACE_H
#define RONDO__FS_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct rondo__place {
    int dir_fd; /* O_PATH; -1: none */
    char *name; /* not empty, without '/' */
} rondo__place;

/* The place that path names, links above its last part followed, slashes behind it left out.
 * RONDO_EINVAL: the last part is "." or "..", or there is none ("/"); RONDO_ENOENT: it is empty. */
int rondo__place_open(const char *path, rondo__place *ret_place);
/* If there is a link, goes on to what it leads to; and so on, as open(2) does. */
int rondo__place_follow(rondo__place *place);
/* Memory with dir_fd -1 and name NULL is allowed. */
void rondo__place_close(rondo__place *place);

#endif
