/* SPDX-License-Identifier: MIT
 *
 * rondo_fs_walk(): telling of all that is in a tree.
 *
 * A step gathers a batch of entries; then they are told, one callback each, and only then the next
 * step is queued, so that a slow callback is never overrun. The batch may have gone ahead of a
 * callback that says SKIP: what it has of that directory is not told, and the next step begins by
 * leaving it. With RONDO_WALK_ASK a batch ends with each directory instead, and the next step
 * enters it, or doesn't. RONDO_WALK_PARALLEL is another matter: walk_parallel.c.
 */
#define _GNU_SOURCE
#include <rondo/fs_tree.h>

#include <fcntl.h>
#include <stdint.h>
#include <string.h>

#include "fs/stat.h"
#include "fs/tree/found.h"
#include "fs/tree/steps.h"
#include "fs/tree/walk.h"
#include "fs/tree/walker.h"
#include "loop/assert.h"
#include "loop/memory.h"

/* A batch ends at the first of these. Paths in a deep tree can be megabytes each. */
enum { BATCH_ENTRIES = 256, BATCH_BYTES = 256 * 1024 };

typedef struct walk {
    rondo__steps steps;
    rondo__walker walker;
    bool begun, at_end;
    int failure; /* at the end: what led to it, or 0 */
    unsigned flags, max_depth;
    rondo_fs_walk_cb on_entry;
    rondo__found batch;
    /* What the callback said. */
    bool stopped;
    size_t skip_depth; /* of the directory whose contents are not told; 0: none */
    bool asked;        /* the last item is a directory to be entered now, if it isn't skipped */
    char path[];
} walk;
RONDO__STEPS_FIT(walk);

/* ---- gathering ---- */

/* A name in the directory on top. On failure nothing is added. */
static int add(walk *w, const char *name, rondo__item item, const rondo_stat *stat) {
    const rondo__ladder *ladder = &w->walker.ladder;
    item.depth = (unsigned)rondo__ladder_depth(ladder) + 1;
    return rondo__found_add(&w->batch, ladder->path, ladder->path_len, name, item, stat);
}

static bool is_full(const walk *w) {
    return w->batch.count >= BATCH_ENTRIES - 1 || /* one more may come: again */
           w->batch.text_len >= BATCH_BYTES;
}

/* Enters the walker's entry. What only says that the directory has gone is no error. */
static int enter(walk *w) {
    int error = rondo__walker_enter(&w->walker);
    if (error == RONDO_ENOENT || error == RONDO_ENOTDIR) return 0;
    if (error < 0) {
        rondo__item failed = {.type = RONDO_FILE_DIRECTORY, .error = error, .again = true};
        return add(w, w->walker.entry.name, failed, NULL);
    }
    const rondo__ladder *ladder = &w->walker.ladder;
    if (!(w->flags & RONDO_WALK_SAME_FS)) return 0;
    if (rondo__ladder_top(ladder)->dev == ladder->rungs[0].dev) return 0;
    int levels = rondo__walker_leave(&w->walker);
    return levels < 0 ? levels : 0;
}

static bool may_enter(const walk *w) {
    size_t depth = rondo__ladder_depth(&w->walker.ladder) + 1;
    return w->max_depth == 0 || depth < w->max_depth;
}

static int gather_entry(walk *w) {
    rondo_dir_entry entry = w->walker.entry;
    rondo__item found = {.type = entry.type};
    rondo_stat stat;
    bool wants_stat = w->flags & RONDO_WALK_STAT;
    if (wants_stat) {
        int fd = rondo__ladder_fd(&w->walker.ladder);
        found.error = rondo__fs_statx(fd, entry.name, AT_SYMLINK_NOFOLLOW, &stat);
        if (found.error == RONDO_ENOENT) return 0;
    }
    int error = add(w, entry.name, found, wants_stat && found.error == 0 ? &stat : NULL);
    if (error < 0 || entry.type != RONDO_FILE_DIRECTORY || !may_enter(w)) return error;
    w->asked = w->flags & RONDO_WALK_ASK;
    return w->asked ? 0 : enter(w);
}

/* The directory on top is at its end, or says `error`. */
static int leave(walk *w, int error) {
    size_t depth = rondo__ladder_depth(&w->walker.ladder);
    const char *name = rondo__ladder_name(&w->walker.ladder, depth);
    int levels = rondo__walker_leave(&w->walker);
    if (levels < 0) return levels;
    if (error == 0 || levels > 1) return 0;
    rondo__item failed = {.type = RONDO_FILE_DIRECTORY, .error = error, .again = true};
    return add(w, name, failed, NULL);
}

/* ---- steps ---- */

static int begin(walk *w) {
    int fd = rondo__open_directory(AT_FDCWD, w->path, 0);
    w->begun = true;
    if (fd < 0) return fd;
    int error = rondo__walker_init(&w->walker, fd);
    if (error < 0) return error;
    return rondo__found_init(&w->batch, BATCH_ENTRIES, w->flags & RONDO_WALK_STAT);
}

/* Does what the callback said about what was told. */
static int heed(walk *w) {
    bool enters = w->asked && w->skip_depth == 0;
    size_t skip_depth = w->skip_depth;
    w->skip_depth = 0;
    w->asked = false;
    if (enters) return enter(w);
    while (skip_depth > 0 && rondo__ladder_depth(&w->walker.ladder) >= skip_depth) {
        int levels = rondo__walker_leave(&w->walker);
        if (levels < 0) return levels;
    }
    return 0;
}

/* Returns RONDO__MORE, 0 at the end, or what ends the walk. */
static int64_t gather(walk *w) {
    int error = heed(w);
    while (error == 0 && !is_full(w) && !w->asked) {
        int got = rondo__walker_next(&w->walker);
        if (got == 1) {
            error = gather_entry(w);
        } else if (rondo__ladder_depth(&w->walker.ladder) > 0) {
            error = leave(w, got);
        } else {
            return got;
        }
    }
    return error < 0 ? error : RONDO__MORE;
}

static int64_t step(rondo__steps *steps) {
    walk *w = (walk *)steps;
    int error = w->begun ? 0 : begin(w);
    if (error < 0) return error;
    if (w->stopped) return RONDO_ECANCELED;
    if (!w->at_end) {
        int64_t result = gather(w);
        if (result == RONDO__MORE) return result;
        w->at_end = true;
        w->failure = (int)result;
        if (w->batch.count > 0) return RONDO__MORE; /* the last batch is told first */
    }
    return w->failure < 0 ? w->failure : (int64_t)steps->done;
}

static void end(rondo__steps *steps) { rondo__walker_fini(&((walk *)steps)->walker); }

static void free_walk(rondo__steps *steps) {
    walk *w = (walk *)steps;
    rondo__found_fini(&w->batch);
    rondo__free(w);
}

/* ---- telling ---- */

static void tell(rondo_loop *loop, rondo__steps *steps, rondo__fn cb, void *arg) {
    walk *w = (walk *)steps;
    (void)cb;
    for (size_t i = 0; i < w->batch.count && !w->stopped; i++) {
        if (steps->job && rondo__job_is_over(steps->job)) break; /* canceled by the callback */
        const rondo__item *next = &w->batch.items[i];
        bool inside = next->depth > w->skip_depth || (next->again && next->depth == w->skip_depth);
        if (w->skip_depth > 0 && inside) continue;
        w->skip_depth = 0;
        steps->done++;
        rondo_walk_verdict verdict = rondo__found_tell(loop, &w->batch, i, w->on_entry, arg);
        w->stopped = verdict == RONDO_WALK_STOP;
        if (verdict == RONDO_WALK_SKIP && next->type == RONDO_FILE_DIRECTORY)
            w->skip_depth = next->depth;
    }
    rondo__found_clear(&w->batch);
}

static void done_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    const walk *w = payload;
    (void)handle;
    ((rondo_fs_cb)fn)(loop, w->steps.result, arg);
}

static const rondo__steps_kind kind = {
    .event = {"fs.walk", done_thunk}, .step = step, .end = end, .free = free_walk, .tell = tell};

/* ---- the two forms ---- */

static walk *make(const char *path, unsigned flags, unsigned max_depth, rondo_fs_walk_cb on_entry) {
    size_t size = strlen(path) + 1;
    walk *w = rondo__steps_new(&kind, sizeof *w + size);
    if (!w) return NULL;
    w->flags = flags;
    w->max_depth = max_depth;
    w->on_entry = on_entry;
    memcpy(w->path, path, size);
    return w;
}

static bool is_valid(const char *path, unsigned flags, rondo_fs_walk_cb on_entry) {
    const unsigned all =
        RONDO_WALK_STAT | RONDO_WALK_SAME_FS | RONDO_WALK_ASK | RONDO_WALK_PARALLEL;
    return path && on_entry && !(flags & ~all);
}

int rondo_fs_walk(rondo_loop *loop, const char *path, unsigned flags, unsigned max_depth,
                  rondo_job **ret_job, rondo_fs_walk_cb on_entry, rondo_fs_cb done, void *arg) {
    if (!done || !is_valid(path, flags, on_entry)) return RONDO_EINVAL;
    rondo__steps *steps = flags & RONDO_WALK_PARALLEL
                              ? rondo__walk_parallel(path, flags, max_depth, on_entry, arg)
                              : (rondo__steps *)make(path, flags, max_depth, on_entry);
    return rondo__steps_start(loop, steps, ret_job, RONDO__FN(done), arg);
}

int64_t rondo_fs_walk_sync(const char *path, unsigned flags, unsigned max_depth,
                           rondo_fs_walk_cb on_entry, void *arg) {
    if (!is_valid(path, flags, on_entry)) return RONDO_EINVAL;
    rondo__steps *steps = (rondo__steps *)make(path, flags, max_depth, on_entry);
    int64_t result = rondo__steps_run_telling(steps, NULL, arg);
    rondo__steps_free(steps);
    return result;
}
