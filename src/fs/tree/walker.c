/* SPDX-License-Identifier: MIT
 *
 * Going through a tree. See walker.h.
 *
 * One buffer of 32 KiB is read into. When a directory is entered while entries of the one above are
 * left in it, they are set aside. So that a tree made for it can't take all memory (thousands of
 * levels with a thousand entries each), that is bounded: beyond it they are read again on the way
 * back, from the position behind the entry that was entered.
 */
#include "fs/tree/walker.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/tree/steps.h"
#include "loop/assert.h"
#include "loop/memory.h"

enum { MAX_HELD = 4 * 1024 * 1024 };

int rondo__walker_init(rondo__walker *walker, int root_fd) {
    *walker = (rondo__walker){.level_room = 16, .now_depth = 0};
    int error = rondo__ladder_init(&walker->ladder, root_fd, RONDO__WALKER_OPEN);
    if (error < 0) return error;
    walker->levels = rondo__zalloc(walker->level_room * sizeof *walker->levels);
    walker->now.data = rondo__alloc(RONDO__ENTRIES_BYTES);
    if (walker->levels && walker->now.data) return 0;
    rondo__walker_fini(walker);
    return RONDO_ENOMEM;
}

static void forget(rondo__walker *walker, rondo__level *level) {
    rondo__free(level->entries.data);
    walker->held -= level->held;
    level->entries.data = NULL;
    level->entries.at = level->entries.len = level->held = 0;
}

void rondo__walker_fini(rondo__walker *walker) {
    if (walker->levels)
        for (size_t i = 0; i < walker->ladder.count; i++) forget(walker, &walker->levels[i]);
    rondo__ladder_fini(&walker->ladder);
    rondo__free(walker->levels);
    rondo__free(walker->now.data);
    *walker = (rondo__walker){.held = 0};
}

rondo__level *rondo__walker_level(rondo__walker *walker) {
    return &walker->levels[rondo__ladder_depth(&walker->ladder)];
}

/* ---- reading ---- */

static bool is_removed(int fd) {
    struct stat st;
    int error;
    RONDO__RETRY(error, fstat(fd, &st));
    return error == 0 && st.st_nlink == 0;
}

/* After the directory's descriptor was closed and opened again, or its entries were not set aside.
 * Returns 1, 0 at the end (in a directory that was removed, ext4 knows no positions any more), or an
 * error. */
static int seek(int fd, off_t position) {
    off_t error;
    RONDO__RETRY(error, lseek(fd, position, SEEK_SET));
    if (error >= 0) return 1;
    int why = rondo__errno();
    return why == RONDO_EINVAL && is_removed(fd) ? 0 : why;
}

static int fill(rondo__walker *walker, rondo__level *level) {
    size_t depth = rondo__ladder_depth(&walker->ladder);
    const rondo__rung *rung = &walker->ladder.rungs[depth];
    if (walker->now_depth != depth) {
        int there = seek(rung->fd, level->entries.position);
        if (there <= 0) return there;
        walker->now_depth = depth;
    }
    return rondo__entries_fill(&walker->now, RONDO__ENTRIES_BYTES, rung->fd);
}

static bool take(rondo__walker *walker, rondo__level *level) {
    if (level->entries.data) {
        if (rondo__entries_take(&level->entries, &walker->entry)) return true;
        forget(walker, level);
    }
    if (walker->now_depth != rondo__ladder_depth(&walker->ladder)) return false;
    if (!rondo__entries_take(&walker->now, &walker->entry)) return false;
    level->entries.position = walker->now.position;
    return true;
}

int rondo__walker_next(rondo__walker *walker) {
    rondo__level *level = rondo__walker_level(walker);
    for (;;) {
        while (!take(walker, level)) {
            int got = fill(walker, level);
            if (got <= 0) return got;
        }
        int error = rondo__entries_type(rondo__ladder_fd(&walker->ladder), &walker->entry);
        if (error == 0) return 1;
        if (error != RONDO_ENOENT) return error;
    }
}

/* ---- down and up ---- */

/* What is left of the directory on top, before `now` is needed for another one. */
static void set_aside(rondo__walker *walker, rondo__level *level) {
    size_t left = walker->now.len - walker->now.at;
    if (level->entries.data || left == 0 || walker->held + left > MAX_HELD) return;
    char *data = rondo__alloc(left);
    if (!data) return; /* it is read again */
    memcpy(data, walker->now.data + walker->now.at, left);
    level->entries.data = data;
    level->entries.at = 0;
    level->entries.len = level->held = left;
    walker->held += left;
}

int rondo__walker_enter(rondo__walker *walker) {
    size_t depth = rondo__ladder_depth(&walker->ladder);
    if (depth + 1 == walker->level_room) {
        rondo__level *levels =
            rondo__realloc(walker->levels, 2 * walker->level_room * sizeof *levels);
        if (!levels) return RONDO_ENOMEM;
        walker->levels = levels;
        walker->level_room *= 2;
    }
    int error = rondo__ladder_down(&walker->ladder, walker->entry.name);
    if (error < 0) return error;
    if (walker->now_depth == depth) set_aside(walker, &walker->levels[depth]);
    walker->levels[depth + 1] = (rondo__level){.passes = 0};
    walker->now.at = walker->now.len = 0;
    walker->now_depth = depth + 1;
    return 0;
}

int rondo__walker_leave(rondo__walker *walker) {
    size_t depth = rondo__ladder_depth(&walker->ladder);
    int levels = rondo__ladder_up(&walker->ladder);
    for (int i = 0; i < levels; i++) forget(walker, &walker->levels[depth - (size_t)i]);
    walker->now_depth = SIZE_MAX;
    return levels;
}

int rondo__walker_rewind(rondo__walker *walker) {
    rondo__level *level = rondo__walker_level(walker);
    forget(walker, level);
    level->entries.position = 0;
    walker->now_depth = SIZE_MAX; /* so that it seeks */
    return 0;
}
