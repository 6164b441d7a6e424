/* SPDX-License-Identifier: MIT
 *
 * rondo_fs_scandir(): a whole directory, sorted. Names are gathered behind one another, and become
 * one block with the array of entries in front when all are there.
 */
#include <rondo/fs_dir.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/entries.h"
#include "fs/tree/ladder.h"
#include "fs/tree/steps.h"
#include "loop/memory.h"

enum { ENTRIES_PER_STEP = 1024 };

typedef struct scan {
    rondo__steps steps;
    int fd;
    rondo__entries entries;
    size_t max, count;
    char *names; /* each with its type in front and NUL behind */
    size_t len, room;
    rondo_dir_entry *block; /* what is handed over */
    char path[];
} scan;
RONDO__STEPS_FIT(scan);

static int add(scan *s, const rondo_dir_entry *entry) {
    size_t size = strlen(entry->name) + 1, need = s->len + 1 + size;
    if (s->count == s->max) return RONDO_ENOBUFS;
    if (need > s->room) {
        char *names = rondo__realloc(s->names, 2 * need);
        if (!names) return RONDO_ENOMEM;
        s->names = names;
        s->room = 2 * need;
    }
    s->names[s->len] = (char)entry->type;
    memcpy(s->names + s->len + 1, entry->name, size);
    s->len = need;
    s->count++;
    return 0;
}

static int by_bytes(const void *a, const void *b) {
    const rondo_dir_entry *left = a, *right = b;
    return strcmp(left->name, right->name); /* compares as unsigned char */
}

/* All names are there. */
static int64_t arrange(scan *s) {
    size_t array = s->count * sizeof *s->block;
    s->block = rondo__alloc(array + s->len + 1);
    if (!s->block) return RONDO_ENOMEM;
    char *name = (char *)s->block + array;
    if (s->len > 0) memcpy(name, s->names, s->len);
    for (size_t i = 0; i < s->count; i++) {
        s->block[i] = (rondo_dir_entry){name + 1, (rondo_file_type)name[0]};
        name += 1 + strlen(name + 1) + 1;
    }
    if (s->count > 1) qsort(s->block, s->count, sizeof *s->block, by_bytes);
    return (int64_t)s->count;
}

static int begin(scan *s) {
    s->fd = rondo__open_directory(AT_FDCWD, s->path, 0);
    if (s->fd < 0) return s->fd;
    s->entries.data = rondo__alloc(RONDO__ENTRIES_BYTES);
    return s->entries.data ? 0 : RONDO_ENOMEM;
}

/* Returns 1, 0 at the end, or an error. */
static int add_next(scan *s) {
    rondo_dir_entry entry;
    while (!rondo__entries_take(&s->entries, &entry)) {
        int got = rondo__entries_fill(&s->entries, RONDO__ENTRIES_BYTES, s->fd);
        if (got <= 0) return got;
    }
    int error = rondo__entries_type(s->fd, &entry);
    if (error == RONDO_ENOENT) error = 0; /* its type is unknown now */
    if (error == 0) error = add(s, &entry);
    return error < 0 ? error : 1;
}

static int64_t step(rondo__steps *steps) {
    scan *s = (scan *)steps;
    int error = s->fd >= 0 ? 0 : begin(s);
    if (error < 0) return error;
    for (int i = 0; i < ENTRIES_PER_STEP; i++) {
        int got = add_next(s);
        if (got <= 0) return got < 0 ? got : arrange(s);
        steps->done = s->count;
    }
    return RONDO__MORE;
}

static void end(rondo__steps *steps) {
    scan *s = (scan *)steps;
    if (s->fd >= 0) close(s->fd);
}

static void free_scan(rondo__steps *steps) {
    scan *s = (scan *)steps;
    rondo__free(s->entries.data);
    rondo__free(s->names);
    rondo__free(s->block);
    rondo__free(s);
}

static void told_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    const scan *s = payload;
    int64_t result = s->steps.result;
    (void)handle;
    ((rondo_fs_entries_cb)fn)(loop, result, result < 0 ? NULL : s->block, arg);
}

static const rondo__steps_kind kind = {
    .event = {"fs.scandir", told_thunk}, .step = step, .end = end, .free = free_scan};

static scan *make(const char *path, size_t max_entries) {
    size_t size = strlen(path) + 1;
    scan *s = rondo__steps_new(&kind, sizeof *s + size);
    if (!s) return NULL;
    s->fd = -1;
    s->max = max_entries;
    memcpy(s->path, path, size);
    return s;
}

int rondo_fs_scandir(rondo_loop *loop, const char *path, size_t max_entries, rondo_job **ret_job,
                     rondo_fs_entries_cb cb, void *arg) {
    if (!cb || !path || max_entries == 0) return RONDO_EINVAL;
    rondo__steps *steps = (rondo__steps *)make(path, max_entries);
    return rondo__steps_start(loop, steps, ret_job, RONDO__FN(cb), arg);
}

int64_t rondo_fs_scandir_sync(const char *path, size_t max_entries, rondo_dir_entry **ret_entries) {
    if (!path || !ret_entries || max_entries == 0) return RONDO_EINVAL;
    scan *s = make(path, max_entries);
    int64_t result = rondo__steps_run((rondo__steps *)s);
    if (result >= 0) {
        *ret_entries = s->block;
        s->block = NULL;
    }
    rondo__steps_free((rondo__steps *)s);
    return result;
}
