/* SPDX-License-Identifier: MIT
 *
 * Climbing in a tree with few descriptors. See ladder.h.
 */
#include "fs/tree/ladder.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/tree/steps.h"
#include "loop/assert.h"
#include "loop/memory.h"

int rondo__open_directory(int at_fd, const char *name, int more_flags) {
    int fd;
    RONDO__RETRY(fd, openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | more_flags));
    return fd < 0 ? rondo__errno() : fd;
}

static int identify(int fd, dev_t *ret_dev, ino_t *ret_ino) {
    struct stat st;
    int error;
    RONDO__RETRY(error, fstat(fd, &st));
    if (error < 0) return rondo__errno();
    *ret_dev = st.st_dev;
    *ret_ino = st.st_ino;
    return 0;
}

/* ---- life ---- */

int rondo__ladder_init(rondo__ladder *ladder, int root_fd, size_t max_open) {
    *ladder = (rondo__ladder){.room = 16, .path_room = 256, .max_open = max_open, .first_open = 1};
    ladder->rungs = rondo__zalloc(ladder->room * sizeof *ladder->rungs);
    ladder->path = rondo__zalloc(ladder->path_room);
    int error = RONDO_ENOMEM;
    if (ladder->rungs && ladder->path) {
        rondo__rung *root = &ladder->rungs[0];
        error = identify(root_fd, &root->dev, &root->ino);
        root->fd = root_fd;
    }
    if (error == 0) {
        ladder->count = 1;
        return 0;
    }
    close(root_fd);
    rondo__ladder_fini(ladder);
    return error;
}

void rondo__ladder_fini(rondo__ladder *ladder) {
    for (size_t i = 0; i < ladder->count; i++)
        if (ladder->rungs[i].fd >= 0) close(ladder->rungs[i].fd);
    rondo__free(ladder->rungs);
    rondo__free(ladder->path);
    *ladder = (rondo__ladder){.count = 0};
}

const rondo__rung *rondo__ladder_top(const rondo__ladder *ladder) {
    RONDO_ASSERT(ladder->count > 0);
    return &ladder->rungs[ladder->count - 1];
}
int rondo__ladder_fd(const rondo__ladder *ladder) { return rondo__ladder_top(ladder)->fd; }
size_t rondo__ladder_depth(const rondo__ladder *ladder) { return ladder->count - 1; }

const char *rondo__ladder_name(const rondo__ladder *ladder, size_t depth) {
    return ladder->path + ladder->rungs[depth].name_at;
}

/* ---- down ---- */

bool rondo__ladder_close_one(rondo__ladder *ladder) {
    /* The top one and the one above it stay: the way up needs both at once. */
    if (ladder->first_open + 2 >= ladder->count) return false;
    rondo__rung *rung = &ladder->rungs[ladder->first_open++];
    close(rung->fd);
    rung->fd = -1;
    return true;
}

static int make_room(rondo__ladder *ladder, size_t name_len) {
    size_t need = ladder->path_len + 1 + name_len + 1;
    if (ladder->count == ladder->room) {
        rondo__rung *rungs = rondo__realloc(ladder->rungs, 2 * ladder->room * sizeof *rungs);
        if (!rungs) return RONDO_ENOMEM;
        ladder->rungs = rungs;
        ladder->room *= 2;
    }
    if (need > ladder->path_room) {
        char *path = rondo__realloc(ladder->path, 2 * need);
        if (!path) return RONDO_ENOMEM;
        ladder->path = path;
        ladder->path_room = 2 * need;
    }
    return 0;
}

static void push(rondo__ladder *ladder, rondo__rung rung, const char *name, size_t name_len) {
    if (ladder->path_len > 0) ladder->path[ladder->path_len++] = '/';
    rung.name_at = ladder->path_len;
    memmove(ladder->path + ladder->path_len, name, name_len + 1); /* the name that was just left? */
    ladder->path_len += name_len;
    ladder->rungs[ladder->count++] = rung;
}

/* Opens a directory; where descriptors are short, at the price of those that can be closed. */
static int open_below(rondo__ladder *ladder, int at_fd, const char *name) {
    int fd;
    do {
        fd = rondo__open_directory(at_fd, name, O_NOFOLLOW);
    } while ((fd == RONDO_EMFILE || fd == RONDO_ENFILE) && rondo__ladder_close_one(ladder));
    return fd == RONDO_ELOOP ? RONDO_ENOTDIR : fd;
}

int rondo__ladder_down(rondo__ladder *ladder, const char *name) {
    size_t name_len = strlen(name);
    int error = make_room(ladder, name_len);
    if (error < 0) return error;
    rondo__rung rung = {.fd = open_below(ladder, rondo__ladder_fd(ladder), name)};
    if (rung.fd < 0) return rung.fd;
    error = identify(rung.fd, &rung.dev, &rung.ino);
    if (error < 0) {
        close(rung.fd);
        return error;
    }
    push(ladder, rung, name, name_len);
    while (ladder->count - ladder->first_open > ladder->max_open)
        if (!rondo__ladder_close_one(ladder)) break;
    return 0;
}

/* ---- up ---- */

/* Whether fd is the directory that was left; closes it if not. */
static int check_same(const rondo__rung *rung, int fd) {
    dev_t dev;
    ino_t ino;
    int error = fd < 0 ? fd : identify(fd, &dev, &ino);
    if (error == 0 && (dev != rung->dev || ino != rung->ino)) error = RONDO_ENOENT;
    if (error < 0 && fd >= 0) close(fd);
    return error < 0 ? error : fd;
}

static bool is_shortage(int error) {
    return error == RONDO_EMFILE || error == RONDO_ENFILE || error == RONDO_ENOMEM;
}

/* Opens rungs[depth] from the root down, by the names that were taken. Returns how deep it came,
 * with the descriptor (of the root, a copy is not made: -1), or an error. */
static int find_again(rondo__ladder *ladder, size_t depth, int *ret_fd) {
    int at = -1;
    size_t level = 0;
    while (level < depth) {
        char *name = ladder->path + ladder->rungs[level + 1].name_at;
        char *end = name + strcspn(name, "/");
        char behind = *end;
        *end = '\0';
        int fd = rondo__open_directory(at < 0 ? ladder->rungs[0].fd : at, name, O_NOFOLLOW);
        *end = behind;
        fd = check_same(&ladder->rungs[level + 1], fd);
        if (is_shortage(fd)) {
            if (at >= 0) close(at);
            return fd;
        }
        if (fd < 0) break;
        if (at >= 0) close(at);
        at = fd;
        level++;
    }
    *ret_fd = at;
    return (int)level;
}

/* Forgets the innermost directory. Its name stays behind the path's end. */
static void pop(rondo__ladder *ladder) {
    rondo__rung *rung = &ladder->rungs[--ladder->count];
    if (rung->fd >= 0) close(rung->fd);
    ladder->path_len = rung->name_at > 0 ? rung->name_at - 1 : 0;
    if (ladder->path_len > 0) ladder->path[ladder->path_len] = '\0';
}

int rondo__ladder_up(rondo__ladder *ladder) {
    RONDO_ASSERT(ladder->count > 1);
    size_t depth = ladder->count - 2;
    rondo__rung *above = &ladder->rungs[depth];
    size_t found = depth;
    if (above->fd < 0) {
        int fd = rondo__open_directory(rondo__ladder_fd(ladder), "..", 0);
        fd = check_same(above, fd);
        if (is_shortage(fd)) return fd;
        if (fd < 0) {
            int level = find_again(ladder, depth, &fd);
            if (level < 0) return level;
            found = (size_t)level;
        }
        if (found > 0) {
            ladder->rungs[found].fd = fd;
            ladder->first_open = found;
        }
    }
    size_t levels = ladder->count - 1 - found;
    while (ladder->count > found + 1) pop(ladder);
    if (ladder->first_open > ladder->count) ladder->first_open = ladder->count;
    return (int)levels;
}
