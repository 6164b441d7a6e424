/* SPDX-License-Identifier: MIT
 *
 * From a path to an open directory and a name in it. See place.h.
 */
#define _GNU_SOURCE /* O_PATH */
#include "fs/tree/place.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "fs/tree/steps.h"
#include "loop/memory.h"

enum { MAX_LINKS = 40 }; /* as path_resolution(7) */

static char *copy_of(const char *text, size_t len) {
    char *copy = rondo__alloc(len + 1);
    if (!copy) return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

/* The place that `path` names, seen from the directory at_fd. */
static int open_at(int at_fd, const char *path, rondo__place *ret_place) {
    size_t end = strlen(path);
    if (end == 0) return RONDO_ENOENT;
    while (end > 0 && path[end - 1] == '/') end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/') start--;
    const char *name = path + start;
    size_t len = end - start;
    if (len == 0 || (len <= 2 && strncmp(name, "..", len) == 0)) return RONDO_EINVAL;
    char *dir = start > 0 ? copy_of(path, start) : copy_of(".", 1);
    rondo__place place = {-1, copy_of(name, len)};
    int error = RONDO_ENOMEM;
    if (dir && place.name) {
        RONDO__RETRY(place.dir_fd, openat(at_fd, dir, O_PATH | O_DIRECTORY | O_CLOEXEC));
        error = place.dir_fd < 0 ? rondo__errno() : 0;
    }
    rondo__free(dir);
    if (error < 0) {
        rondo__free(place.name);
        return error;
    }
    *ret_place = place;
    return 0;
}

int rondo__place_open(const char *path, rondo__place *ret_place) {
    return open_at(AT_FDCWD, path, ret_place);
}

void rondo__place_close(rondo__place *place) {
    if (place->dir_fd >= 0) close(place->dir_fd);
    rondo__free(place->name);
    *place = (rondo__place){-1, NULL};
}

/* Returns 1 when there was a link, 0 when there is something else or nothing. */
static int follow_one(rondo__place *place) {
    char target[PATH_MAX];
    ssize_t len;
    RONDO__RETRY(len, readlinkat(place->dir_fd, place->name, target, sizeof target - 1));
    if (len < 0) return errno == EINVAL || errno == ENOENT ? 0 : rondo__errno();
    target[len] = '\0';
    rondo__place next;
    int error = open_at(place->dir_fd, target, &next);
    if (error < 0) return error;
    rondo__place_close(place);
    *place = next;
    return 1;
}

int rondo__place_follow(rondo__place *place) {
    for (int i = 0; i < MAX_LINKS; i++) {
        int followed = follow_one(place);
        if (followed <= 0) return followed;
    }
    return RONDO_ELOOP;
}
