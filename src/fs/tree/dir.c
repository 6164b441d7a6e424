/* SPDX-License-Identifier: MIT
 *
 * rondo_dir: a directory read in batches. Opening and reading are operations of one step each.
 *
 * A rondo_dir is the user's, and belongs to no loop. `busy` sees to it that two threads never read
 * it at once: it is taken when an operation is asked for and given back right before its callback,
 * which may ask for the next one while it looks at its entries: so those are a block of the
 * operation's own.
 */
#include <rondo/fs_dir.h>

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "fs/entries.h"
#include "fs/tree/ladder.h"
#include "fs/tree/steps.h"
#include "loop/memory.h"

enum { MAX_ENTRIES = 4096 };

struct rondo_dir {
    atomic_bool busy;
    int fd;
    rondo__entries entries;
    rondo_dir_entry *latest; /* the block of the last synchronous reading */
};

int rondo_fs_closedir(rondo_dir *dir) {
    if (!dir) return 0;
    if (atomic_exchange(&dir->busy, true)) return RONDO_EBUSY;
    close(dir->fd);
    rondo__free(dir->entries.data);
    rondo__free(dir->latest);
    rondo__free(dir);
    return 0;
}

/* ---- opening ---- */

typedef struct opening {
    rondo__steps steps;
    rondo_dir *dir; /* the operation's until it is told */
    char path[];
} opening;

static int64_t step_open(rondo__steps *steps) {
    opening *o = (opening *)steps;
    int fd = rondo__open_directory(AT_FDCWD, o->path, 0);
    if (fd < 0) return fd;
    rondo_dir *dir = rondo__zalloc(sizeof *dir);
    char *data = rondo__alloc(RONDO__ENTRIES_BYTES);
    if (!dir || !data) {
        close(fd);
        rondo__free(dir);
        rondo__free(data);
        return RONDO_ENOMEM;
    }
    atomic_init(&dir->busy, false);
    dir->fd = fd;
    dir->entries.data = data;
    o->dir = dir;
    return 0;
}

static void free_opening(rondo__steps *steps) {
    rondo_fs_closedir(((opening *)steps)->dir);
    rondo__free(steps);
}

static rondo_dir *hand_over(opening *o) {
    rondo_dir *dir = o->dir;
    o->dir = NULL;
    return dir;
}

static void open_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    opening *o = payload;
    int result = (int)o->steps.result;
    (void)handle;
    ((rondo_fs_opendir_cb)fn)(loop, result, result < 0 ? NULL : hand_over(o), arg);
}

static const rondo__steps_kind open_kind = {
    .event = {"fs.opendir", open_thunk}, .step = step_open, .free = free_opening};

static opening *make_opening(const char *path) {
    size_t size = strlen(path) + 1;
    opening *o = rondo__steps_new(&open_kind, sizeof *o + size);
    if (o) memcpy(o->path, path, size);
    return o;
}

int rondo_fs_opendir(rondo_loop *loop, const char *path, rondo_job **ret_job,
                     rondo_fs_opendir_cb cb, void *arg) {
    if (!cb || !path) return RONDO_EINVAL;
    rondo__steps *steps = (rondo__steps *)make_opening(path);
    return rondo__steps_start(loop, steps, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_opendir_sync(const char *path, rondo_dir **ret_dir) {
    if (!path || !ret_dir) return RONDO_EINVAL;
    opening *o = make_opening(path);
    int64_t result = rondo__steps_run((rondo__steps *)o);
    if (result >= 0) *ret_dir = hand_over(o);
    rondo__steps_free((rondo__steps *)o);
    return (int)result;
}

/* ---- reading ---- */

typedef struct reading {
    rondo__steps steps;
    rondo_dir *dir; /* NULL once it was given back */
    size_t max;
    rondo_dir_entry *block; /* the entries, and their names behind them */
} reading;

static void release(reading *r) {
    if (r->dir) atomic_store(&r->dir->busy, false);
    r->dir = NULL;
}

/* Copies the next entries of the buffer, at least one: names can't need more room than the records
 * that they are in. */
static int64_t take_batch(reading *r, const rondo_dir_entry *first) {
    rondo_dir *dir = r->dir;
    size_t array = r->max * sizeof *r->block, count = 0;
    r->block = rondo__alloc(array + RONDO__ENTRIES_BYTES);
    if (!r->block) return RONDO_ENOMEM;
    char *name = (char *)r->block + array;
    rondo_dir_entry entry = *first;
    do {
        size_t size = strlen(entry.name) + 1;
        (void)rondo__entries_type(dir->fd, &entry); /* what can't be told stays unknown */
        r->block[count++] = (rondo_dir_entry){memcpy(name, entry.name, size), entry.type};
        name += size;
    } while (count < r->max && rondo__entries_take(&dir->entries, &entry));
    return (int64_t)count;
}

static int64_t step_read(rondo__steps *steps) {
    reading *r = (reading *)steps;
    rondo_dir_entry entry;
    while (!rondo__entries_take(&r->dir->entries, &entry)) {
        int got = rondo__entries_fill(&r->dir->entries, RONDO__ENTRIES_BYTES, r->dir->fd);
        if (got < 0) return got;
        if (got == 0) {
            r->block = rondo__alloc(sizeof *r->block); /* an empty one */
            return r->block ? 0 : RONDO_ENOMEM;
        }
    }
    return take_batch(r, &entry);
}

static void free_reading(rondo__steps *steps) {
    reading *r = (reading *)steps;
    release(r);
    rondo__free(r->block);
    rondo__free(r);
}

static void read_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    reading *r = payload;
    int64_t result = r->steps.result;
    (void)handle;
    release(r);
    ((rondo_fs_entries_cb)fn)(loop, result, result < 0 ? NULL : r->block, arg);
}

static const rondo__steps_kind read_kind = {
    .event = {"fs.readdir", read_thunk}, .step = step_read, .free = free_reading};

/* Takes the directory. */
static int make_reading(rondo_dir *dir, size_t max_entries, reading **ret_reading) {
    if (!dir || max_entries == 0 || max_entries > MAX_ENTRIES) return RONDO_EINVAL;
    reading *r = rondo__steps_new(&read_kind, sizeof *r);
    if (!r) return RONDO_ENOMEM;
    if (atomic_exchange(&dir->busy, true)) {
        rondo__free(r);
        return RONDO_EBUSY;
    }
    r->dir = dir;
    r->max = max_entries;
    *ret_reading = r;
    return 0;
}

int rondo_fs_readdir(rondo_loop *loop, rondo_dir *dir, size_t max_entries, rondo_job **ret_job,
                     rondo_fs_entries_cb cb, void *arg) {
    reading *r;
    if (!cb) return RONDO_EINVAL;
    int error = make_reading(dir, max_entries, &r);
    return error < 0 ? error : rondo__steps_start(loop, &r->steps, ret_job, RONDO__FN(cb), arg);
}

int64_t rondo_fs_readdir_sync(rondo_dir *dir, size_t max_entries,
                              const rondo_dir_entry **ret_entries) {
    reading *r;
    if (!ret_entries) return RONDO_EINVAL;
    int64_t result = make_reading(dir, max_entries, &r);
    if (result < 0) return result;
    result = rondo__steps_run(&r->steps);
    if (result >= 0) {
        rondo__free(dir->latest);
        *ret_entries = dir->latest = r->block;
        r->block = NULL;
    }
    rondo__steps_free(&r->steps); /* the last touch: gives the directory back */
    return result;
}
