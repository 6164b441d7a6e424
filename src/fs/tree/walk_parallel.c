/* SPDX-License-Identifier: MIT
 *
 * rondo_fs_walk() with RONDO_WALK_PARALLEL: several directories of a tree are read at once.
 *
 * What the user holds is the walk's job. It opens the root and is then parked until all is done;
 * the directories are read by limbs, jobs of their own, a few at a time. What is still to be read is
 * a stack of branches, which only the loop thread sees: it gives a limb its next branches, tells
 * what the limb has found in them, and puts the directories among that on the stack. So no lock is
 * needed, no directory is opened before the callback was asked about it, and depth comes before
 * breadth, which keeps the stack small: a batch of directories for each level. A directory that is
 * too large for one batch goes back on the stack with the position that was reached.
 *
 * When the walk ends early (stopped, canceled, out of time, the loop freed) limbs that are with
 * workers come back to nothing.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/tree/ladder.h"
#include "fs/tree/limb.h"
#include "fs/tree/walk.h"
#include "loop/assert.h"
#include "loop/memory.h"

enum {
    LIMBS = 4,         /* at once: as many as the fs lane has threads, unless told otherwise */
    LIMB_BRANCHES = 16 /* given to a limb at a time, at most */
};

typedef struct walk {
    rondo__steps steps;
    rondo__trunk *trunk;
    unsigned max_depth;
    rondo_fs_walk_cb on_entry;
    void *arg;
    rondo__branch *stack;
    size_t stacked;
    unsigned limbs; /* that are with workers */
    int failure;    /* what ends it early */
    char path[];
} walk;
RONDO__STEPS_FIT(walk);

/* ---- the stack ---- */

static void push(walk *w, rondo__branch *b) {
    b->next = w->stack;
    w->stack = b;
    w->stacked++;
}

static int push_new(walk *w, const char *path, size_t len, unsigned depth) {
    rondo__branch *b = rondo__alloc(sizeof *b + len + 1);
    if (!b) return RONDO_ENOMEM;
    *b = (rondo__branch){.depth = depth, .len = len};
    memcpy(b->path, path, len);
    b->path[len] = '\0';
    push(w, b);
    return 0;
}

/* Puts back what was not read to its end. */
static void put_back(walk *w, rondo__limb *l) {
    for (rondo__branch *b = l->branches, *next; b; b = next) {
        next = b->next;
        if (b->over) {
            rondo__free(b);
        } else {
            push(w, b);
        }
    }
    l->branches = NULL;
}

/* A fair share of the stack, at least one. */
static void give(walk *w, rondo__limb *l) {
    size_t share = w->stacked / LIMBS + 1;
    if (share > LIMB_BRANCHES) share = LIMB_BRANCHES;
    RONDO_ASSERT(!l->branches);
    for (rondo__branch **end = &l->branches; share > 0 && w->stack; share--) {
        rondo__branch *b = w->stack;
        w->stack = b->next;
        w->stacked--;
        b->next = NULL;
        *end = b;
        end = &b->next;
    }
}

/* ---- on the loop thread ---- */

/* Whether there is anybody to tell: neither over nor canceled. */
static bool goes_on(const walk *w) {
    return w && !atomic_load(&w->trunk->over) && rondo__job_is_parked(w->steps.job);
}

/* The walk's job takes its last step. */
static void finish(walk *w, int failure) {
    w->failure = failure;
    atomic_store(&w->trunk->over, true);
    rondo__job_unpark(w->steps.job);
}

static bool asks_to_enter(const walk *w, const rondo__item *item, rondo_walk_verdict verdict) {
    return verdict == RONDO_WALK_ON && item->type == RONDO_FILE_DIRECTORY && !item->again &&
           (w->max_depth == 0 || item->depth < w->max_depth);
}

/* Tells what a limb has found: 0, or what ends the walk. */
static int tell_found(rondo_loop *loop, walk *w, const rondo__limb *l) {
    const rondo__found *found = &l->found;
    for (size_t i = 0; i < found->count && goes_on(w); i++) {
        const rondo__item *item = &found->items[i];
        w->steps.done++;
        rondo_walk_verdict verdict = rondo__found_tell(loop, found, i, w->on_entry, w->arg);
        if (verdict == RONDO_WALK_STOP) return RONDO_ECANCELED;
        if (!asks_to_enter(w, item, verdict)) continue;
        int error = push_new(w, found->text + item->path_at, item->path_len, item->depth);
        if (error < 0) return error;
    }
    return 0;
}

static void on_limb(rondo_loop *loop, rondo_job *job, int64_t result);

/* Has as many limbs at work as there is work for: 0, or why there is none at all. */
static int grow_limbs(rondo_loop *loop, walk *w) {
    int error = 0;
    while (error == 0 && w->stack && w->limbs < LIMBS) {
        rondo__limb *l = rondo__limb_new(loop, w->trunk, on_limb);
        if (l) give(w, l);
        error = l ? rondo__job_submit(rondo_lane_fs(loop), &l->job, true) : RONDO_ENOMEM;
        if (error == 0) {
            w->limbs++;
        } else if (l) {
            put_back(w, l);
            rondo__limb_free(&l->job);
        }
    }
    return w->limbs > 0 ? 0 : error;
}

/* Has a limb read on: false when there is nothing for it to do, or no thread. */
static bool send_again(walk *w, rondo__limb *l) {
    if (!w->stack) return false;
    give(w, l);
    if (rondo__job_again(&l->job) == 0) return true;
    put_back(w, l);
    return false;
}

static void on_limb(rondo_loop *loop, rondo_job *job, int64_t result) {
    rondo__limb *l = (rondo__limb *)job;
    walk *w = l->trunk->walk;
    int error = 0;
    bool sent = false;
    if (goes_on(w)) {
        w->limbs--;
        put_back(w, l); /* first: so the directories in it come before the rest of it */
        error = tell_found(loop, w, l);
        if (error == 0) error = (int)result;
        rondo__found_clear(&l->found);
    }
    if (goes_on(w)) { /* the callback may have canceled it */
        rondo_work_report(w->steps.job, w->steps.done, 0);
        if (error == 0) sent = send_again(w, l);
        if (sent) w->limbs++;
        if (error == 0) error = grow_limbs(loop, w);
        if (error < 0 || w->limbs == 0) finish(w, error);
    }
    if (!sent) rondo__limb_free(job);
}

/* ---- the walk's own job ---- */

/* Limbs may still be out. */
static void free_walk(rondo__steps *steps) {
    walk *w = (walk *)steps;
    atomic_store(&w->trunk->over, true);
    w->trunk->walk = NULL;
    rondo__branches_free(w->stack);
    rondo__trunk_unref(w->trunk);
    rondo__free(w);
}

static int64_t step(rondo__steps *steps) {
    walk *w = (walk *)steps;
    struct stat st;
    if (w->trunk->root >= 0) return w->failure < 0 ? w->failure : (int64_t)steps->done;
    w->trunk->root = rondo__open_directory(AT_FDCWD, w->path, 0);
    if (w->trunk->root < 0) return w->trunk->root;
    if (fstat(w->trunk->root, &st) < 0) return rondo__errno();
    w->trunk->dev = st.st_dev;
    return RONDO__MORE;
}

static void begin(rondo_loop *loop, rondo__steps *steps, rondo__fn cb, void *arg) {
    walk *w = (walk *)steps;
    (void)cb, (void)arg;
    w->failure = push_new(w, "", 0, 0);
    if (w->failure == 0) w->failure = grow_limbs(loop, w);
}

static bool waits(const rondo__steps *steps) { return ((const walk *)steps)->failure == 0; }

static void done_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    const rondo__steps *steps = payload;
    (void)handle;
    ((rondo_fs_cb)fn)(loop, steps->result, arg);
}

static const rondo__steps_kind kind = {.event = {"fs.walk", done_thunk},
                                       .step = step,
                                       .free = free_walk,
                                       .tell = begin,
                                       .waits = waits};

rondo__steps *rondo__walk_parallel(const char *path, unsigned flags, unsigned max_depth,
                                   rondo_fs_walk_cb on_entry, void *arg) {
    size_t size = strlen(path) + 1;
    walk *w = rondo__steps_new(&kind, sizeof *w + size);
    if (!w) return NULL;
    w->trunk = rondo__trunk_new(flags, w);
    if (!w->trunk) {
        rondo__free(w);
        return NULL;
    }
    w->max_depth = max_depth;
    w->on_entry = on_entry;
    w->arg = arg;
    memcpy(w->path, path, size);
    return &w->steps;
}
