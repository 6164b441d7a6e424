/* SPDX-License-Identifier: MIT
 *
 * Reading directories for a parallel walk. See limb.h.
 *
 * A branch is opened by its path below the root, without following a link. Nothing of the loop's is
 * used, and nobody waits for a limb when the loop is freed: it may be stuck in a dead file system.
 */
#define _GNU_SOURCE
#include "fs/tree/limb.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/lookup.h"
#include "fs/stat.h"
#include "loop/memory.h"
#include "loop/retry.h"

enum {
    BATCH_ENTRIES = 256,     /* a batch ends here, but at the end of a read */
    BATCH_BYTES = 256 << 10, /* or here, at once: paths in a deep tree can be megabytes each */
    READ_BYTES = 8 << 10,
    READ_ENTRIES = READ_BYTES / 24, /* records are no smaller */
    BATCH_ROOM = BATCH_ENTRIES + READ_ENTRIES + 1
};

/* ---- memory ---- */

void rondo__branches_free(rondo__branch *branches) {
    for (rondo__branch *next; branches; branches = next) {
        next = branches->next;
        rondo__free(branches);
    }
}

rondo__trunk *rondo__trunk_new(unsigned flags, void *walk) {
    rondo__trunk *trunk = rondo__zalloc(sizeof *trunk);
    if (!trunk) return NULL;
    atomic_init(&trunk->refs, 1);
    trunk->root = -1;
    trunk->flags = flags;
    trunk->walk = walk;
    return trunk;
}

void rondo__trunk_unref(rondo__trunk *trunk) {
    if (atomic_fetch_sub(&trunk->refs, 1) > 1) return;
    if (trunk->root >= 0) close(trunk->root);
    rondo__free(trunk);
}

/* ---- reading: on a worker ---- */

static int add(rondo__limb *l, const rondo__branch *b, const char *name, rondo__item item,
               const rondo_stat *stat) {
    item.depth = b->depth + 1;
    return rondo__found_add(&l->found, b->path, b->len, name, item, stat);
}

static int add_entry(rondo__limb *l, const rondo__branch *b, int fd, rondo_dir_entry *entry) {
    rondo_stat stat;
    bool wants_stat = l->trunk->flags & RONDO_WALK_STAT;
    int error = rondo__entries_type(fd, entry);
    if (error == RONDO_ENOENT) return 0; /* gone */
    if (error < 0) return error;
    if (wants_stat) error = rondo__fs_statx(fd, entry->name, AT_SYMLINK_NOFOLLOW, &stat);
    if (error == RONDO_ENOENT) return 0;
    rondo__item item = {.type = entry->type, .error = error};
    return add(l, b, entry->name, item, wants_stat && error == 0 ? &stat : NULL);
}

/* Takes what was read: 0, or what keeps it from going on. */
static int take_all(rondo__limb *l, rondo__branch *b, int fd) {
    rondo_dir_entry entry;
    int error = 0;
    while (error == 0 && l->found.text_len < BATCH_BYTES &&
           rondo__entries_take(&l->entries, &entry)) {
        error = add_entry(l, b, fd, &entry);
        b->position = l->entries.position;
    }
    return error;
}

static bool is_full(const rondo__limb *l) {
    return l->found.count >= BATCH_ENTRIES || l->found.text_len >= BATCH_BYTES;
}

static bool is_elsewhere(const rondo__trunk *trunk, int fd) {
    struct stat st;
    return (trunk->flags & RONDO_WALK_SAME_FS) && fstat(fd, &st) == 0 && st.st_dev != trunk->dev;
}

static int read_on(rondo__limb *l, rondo__branch *b, int fd) {
    if (b->position > 0 && lseek(fd, b->position, SEEK_SET) < 0) return rondo__errno();
    for (int got, error;;) {
        if (is_full(l)) return 0;
        got = rondo__entries_fill(&l->entries, READ_BYTES, fd);
        if (got <= 0) {
            b->over = got == 0;
            return got;
        }
        if ((error = take_all(l, b, fd)) < 0) return error;
    }
}

/* A directory that can't be read is told once more. What only says that it has gone is no error. */
static int fail(rondo__limb *l, rondo__branch *b, int error) {
    const char *slash = strrchr(b->path, '/');
    b->over = true;
    if (error == RONDO_ENOENT || error == RONDO_ENOTDIR || error == RONDO_ELOOP) return 0;
    if (error == RONDO_ENOMEM || b->depth == 0) return error;
    rondo__item item = {
        .depth = b->depth, .type = RONDO_FILE_DIRECTORY, .error = error, .again = true};
    return rondo__found_add(&l->found, b->path, slash ? (size_t)(slash - b->path) : 0,
                            slash ? slash + 1 : b->path, item, NULL);
}

static int read_branch(rondo__limb *l, rondo__branch *b) {
    const rondo__trunk *trunk = l->trunk;
    const int flags = O_RDONLY | O_DIRECTORY;
    int fd = rondo__open_beneath_plain(trunk->root, b->depth == 0 ? "." : b->path, flags);
    if (fd < 0) return fail(l, b, fd);
    int error = 0;
    if (is_elsewhere(trunk, fd)) {
        b->over = true;
    } else {
        error = read_on(l, b, fd);
    }
    close(fd);
    return error < 0 ? fail(l, b, error) : 0;
}

static int64_t read_branches(rondo_job *job) {
    rondo__limb *l = (rondo__limb *)job;
    int error = 0;
    for (rondo__branch *b = l->branches; b && error == 0 && !is_full(l); b = b->next) {
        if (atomic_load_explicit(&l->trunk->over, memory_order_relaxed)) return RONDO_ECANCELED;
        error = read_branch(l, b);
    }
    return error;
}

/* ---- life ---- */

/* It has nothing of the loop's. */
static void untie(rondo_job *job) { (void)job; }

rondo__limb *rondo__limb_new(rondo_loop *loop, rondo__trunk *trunk,
                             void (*deliver)(rondo_loop *loop, rondo_job *job, int64_t result)) {
    rondo_job *job;
    if (rondo__request_new(loop, sizeof(rondo__limb), &job) < 0) return NULL;
    rondo__limb *l = (rondo__limb *)job;
    job->run = read_branches;
    job->deliver = deliver;
    job->drop = rondo__limb_free;
    job->untie = untie;
    job->weak = true; /* the walk holds the loop */
    job->keeps_result = true;
    job->steps = true;
    atomic_fetch_add(&trunk->refs, 1);
    l->trunk = trunk;
    l->branches = NULL;
    l->entries = (rondo__entries){.data = rondo__alloc(READ_BYTES)};
    int error = rondo__found_init(&l->found, BATCH_ROOM, trunk->flags & RONDO_WALK_STAT);
    if (error == 0 && l->entries.data) return l;
    rondo__limb_free(job);
    return NULL;
}

void rondo__limb_free(rondo_job *job) {
    rondo__limb *l = (rondo__limb *)job;
    rondo__branches_free(l->branches);
    rondo__found_fini(&l->found);
    rondo__free(l->entries.data);
    rondo__trunk_unref(l->trunk);
    rondo__request_free(job);
}
