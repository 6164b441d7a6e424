/* SPDX-License-Identifier: MIT
 *
 * rondo_fs_copy_tree(): a directory with all that is in it.
 *
 * A walker goes through the source, and a ladder goes along in the copy: whenever a directory is
 * entered or left, both do it, so they are always equally deep. Directories are made for their
 * owner only and get their attributes when they are left, or nobody could copy what is in one that
 * is read-only.
 */
#define _GNU_SOURCE
#include <rondo/fs_tree.h>

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/tree/copy_file.h"
#include "fs/tree/place.h"
#include "fs/tree/report.h"
#include "fs/tree/steps.h"
#include "fs/tree/walker.h"

enum {
    ENTRIES_PER_STEP = 128,
    PIECE_BYTES = 1024 * 1024,
    BYTES_PER_STEP = 4 * PIECE_BYTES,
};

typedef struct tree_copy {
    rondo__steps steps;
    rondo__place place; /* of the copy's root */
    rondo__walker from;
    rondo__ladder to;
    rondo__copy_file file; /* while `in_file` */
    bool begun, in_file;
    bool single; /* the root is no directory */
    bool root_made;
    unsigned flags;
    rondo__report report;
    const char *to_path; /* behind from_path */
    char from_path[];
} tree_copy;
RONDO__STEPS_FIT(tree_copy);

/* What an entry that is to be copied has besides its type. */
typedef struct source {
    int from_fd, to_fd; /* the directories */
    const char *from_name, *to_name;
} source;

static source source_on_top(const tree_copy *c) {
    const char *name = c->from.entry.name;
    return (source){rondo__ladder_fd(&c->from.ladder), rondo__ladder_fd(&c->to), name, name};
}

static int fail(tree_copy *c, const char *name, int error) {
    return rondo__report_error(&c->report, c->single ? NULL : &c->from.ladder, name, error);
}

/* Whether an error may go away now that a directory was closed. */
static bool spare_one(tree_copy *c, int error) {
    if (error != RONDO_EMFILE && error != RONDO_ENFILE) return false;
    return rondo__ladder_close_one(&c->from.ladder) || rondo__ladder_close_one(&c->to);
}

/* ---- links ---- */

static int copy_link_attributes(const tree_copy *c, const source *s, const struct stat *st) {
    int error = 0;
    if (c->flags & RONDO_COPY_OWNER)
        RONDO__RETRY(error,
                     fchownat(s->to_fd, s->to_name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW));
    if (error == 0 && (c->flags & RONDO_COPY_TIMES)) {
        const struct timespec times[2] = {st->st_atim, st->st_mtim};
        RONDO__RETRY(error, utimensat(s->to_fd, s->to_name, times, AT_SYMLINK_NOFOLLOW));
    }
    return error < 0 ? rondo__errno() : 0;
}

static int make_link(const tree_copy *c, const source *s, const char *target,
                     const struct stat *st) {
    int error;
    RONDO__RETRY(error, symlinkat(target, s->to_fd, s->to_name));
    if (error < 0 && errno == EEXIST && !(c->flags & RONDO_COPY_NO_REPLACE)) {
        error = rondo__copy_make_room(s->to_fd, s->to_name, st);
        if (error < 0) return error;
        RONDO__RETRY(error, symlinkat(target, s->to_fd, s->to_name));
    }
    return error < 0 ? rondo__errno() : 0;
}

static int copy_link(tree_copy *c, const source *s) {
    char target[PATH_MAX];
    struct stat st;
    ssize_t len;
    int error;
    RONDO__RETRY(error, fstatat(s->from_fd, s->from_name, &st, AT_SYMLINK_NOFOLLOW));
    if (error < 0) return rondo__errno();
    RONDO__RETRY(len, readlinkat(s->from_fd, s->from_name, target, sizeof target - 1));
    if (len < 0) return rondo__errno();
    target[len] = '\0';
    error = make_link(c, s, target, &st);
    if (error == 0) error = copy_link_attributes(c, s, &st);
    if (error == 0) rondo__report_count(&c->report, RONDO_FILE_SYMLINK);
    return error;
}

/* ---- files ---- */

static int begin_file(tree_copy *c, const source *s) {
    int error;
    do {
        error = rondo__copy_file_begin(&c->file, s->from_fd, s->from_name, s->to_fd, s->to_name,
                                       c->flags, RONDO__COPY_MAKE_ROOM);
    } while (spare_one(c, error));
    c->in_file = error == 0;
    return error;
}

/* Returns an error that ends the whole, or 0. */
static int go_on_in_file(tree_copy *c) {
    int more = rondo__copy_file_some(&c->file, PIECE_BYTES);
    c->steps.done = c->report.told.bytes + (uint64_t)c->file.data.at;
    if (more > 0) return 0;
    c->in_file = false;
    if (more < 0) return fail(c, c->single ? NULL : c->from.entry.name, more);
    rondo__report_count(&c->report, RONDO_FILE_REGULAR);
    c->report.told.bytes += (uint64_t)c->file.data.at;
    return 0;
}

/* ---- directories ---- */

/* Makes a directory for the copy, or takes the one that is there. */
static int make_directory(const tree_copy *c, int dir_fd, const char *name, bool *ret_made) {
    int error;
    RONDO__RETRY(error, mkdirat(dir_fd, name, 0700));
    *ret_made = error == 0;
    if (error == 0 || (errno == EEXIST && !(c->flags & RONDO_COPY_NO_REPLACE))) return 0;
    return rondo__errno();
}

static bool is_copy_root(const tree_copy *c) {
    const rondo__rung *top = rondo__ladder_top(&c->from.ladder), *root = &c->to.rungs[0];
    return top->dev == root->dev && top->ino == root->ino;
}

/* The source is entered; now the copy. */
static int enter_copy(tree_copy *c, const char *name) {
    bool made = false;
    if (is_copy_root(c)) return RONDO_EINVAL; /* by a mount, or it was moved there */
    int error = make_directory(c, rondo__ladder_fd(&c->to), name, &made);
    if (error < 0) return error;
    do {
        error = rondo__ladder_down(&c->to, name);
    } while (spare_one(c, error));
    if (error < 0) return error == RONDO_ENOTDIR ? RONDO_EEXIST : error;
    rondo__walker_level(&c->from)->mark = made;
    return 0;
}

/* Leaves in the source and in the copy, so that they are equally deep again. */
static int leave_both(tree_copy *c) {
    bool lost = false;
    int levels = rondo__walker_leave(&c->from);
    while (levels >= 0 && rondo__ladder_depth(&c->to) != rondo__ladder_depth(&c->from.ladder)) {
        if (rondo__ladder_depth(&c->to) > rondo__ladder_depth(&c->from.ladder)) {
            levels = rondo__ladder_up(&c->to);
            lost |= levels > 1;
        } else { /* the copy was moved away, and there is nowhere to go on to */
            levels = rondo__walker_leave(&c->from);
        }
    }
    if (levels < 0) return levels;
    return lost ? fail(c, NULL, RONDO_ENOENT) : 0;
}

static int enter(tree_copy *c) {
    int error;
    do {
        error = rondo__walker_enter(&c->from);
    } while (spare_one(c, error));
    if (error < 0) return error == RONDO_ENOENT ? 0 : fail(c, c->from.entry.name, error);
    size_t depth = rondo__ladder_depth(&c->from.ladder);
    error = enter_copy(c, rondo__ladder_name(&c->from.ladder, depth));
    if (error == 0) return 0;
    error = fail(c, NULL, error);
    int levels = leave_both(c);
    return levels < 0 ? levels : error;
}

/* The directory on top is at its end: its attributes, if it was made here. */
static int finish_directory(tree_copy *c, bool made) {
    struct stat st;
    int from = rondo__ladder_fd(&c->from.ladder), to = rondo__ladder_fd(&c->to), error;
    rondo__report_count(&c->report, RONDO_FILE_DIRECTORY);
    if (!made) return 0;
    RONDO__RETRY(error, fstat(from, &st));
    error = error < 0 ? rondo__errno() : rondo__copy_attributes(from, to, &st, c->flags);
    return error < 0 ? fail(c, NULL, error) : 0;
}

/* Returns 1 when it was the root. */
static int leave(tree_copy *c) {
    bool is_root = rondo__ladder_depth(&c->from.ladder) == 0;
    int error = finish_directory(c, is_root ? c->root_made : rondo__walker_level(&c->from)->mark);
    if (error < 0 || is_root) return error < 0 ? error : 1;
    return leave_both(c);
}

/* ---- the root ---- */

static bool is_same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether a directory is `root` or lies in it. What can't be looked at does not: the copy stops
 * when it meets itself. */
static bool lies_in(int dir_fd, const struct stat *root) {
    struct stat st, below = {.st_ino = 0};
    bool found = false;
    int fd = dir_fd;
    for (bool first = true; fd >= 0; first = false) {
        bool ok = fstat(fd, &st) == 0;
        bool at_top = !first && is_same(&st, &below); /* ".." of "/" */
        found = ok && is_same(&st, root);
        int up = -1;
        if (ok && !found && !at_top)
            RONDO__RETRY(up, openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!first) close(fd);
        below = st;
        fd = up;
    }
    return found;
}

static int open_copy_root(tree_copy *c, const struct stat *st) {
    const rondo__place *place = &c->place;
    if (lies_in(place->dir_fd, st)) return RONDO_EINVAL;
    int error = make_directory(c, place->dir_fd, place->name, &c->root_made);
    if (error < 0) return error;
    int fd = rondo__open_directory(place->dir_fd, place->name, c->root_made ? O_NOFOLLOW : 0);
    if (fd < 0) return fd == RONDO_ENOTDIR ? RONDO_EEXIST : fd;
    if (!c->root_made && lies_in(fd, st)) {
        close(fd);
        return RONDO_EINVAL;
    }
    return rondo__ladder_init(&c->to, fd, RONDO__WALKER_OPEN);
}

static int begin_directory(tree_copy *c) {
    struct stat st;
    int fd = rondo__open_directory(AT_FDCWD, c->from_path, O_NOFOLLOW), error;
    if (fd < 0) return fd;
    RONDO__RETRY(error, fstat(fd, &st));
    error = error < 0 ? rondo__errno() : open_copy_root(c, &st);
    if (error < 0) {
        close(fd);
        return error;
    }
    return rondo__walker_init(&c->from, fd);
}

static int begin(tree_copy *c) {
    struct stat st;
    int error = rondo__place_open(c->to_path, &c->place);
    if (error < 0) return error;
    RONDO__RETRY(error, fstatat(AT_FDCWD, c->from_path, &st, AT_SYMLINK_NOFOLLOW));
    if (error < 0) return rondo__errno();
    source s = {AT_FDCWD, c->place.dir_fd, c->from_path, c->place.name};
    c->single = !S_ISDIR(st.st_mode);
    if (!c->single) return begin_directory(c);
    if (S_ISREG(st.st_mode)) return begin_file(c, &s);
    return S_ISLNK(st.st_mode) ? copy_link(c, &s) : RONDO_ENOTSUP;
}

/* ---- steps ---- */

static int copy_entry(tree_copy *c) {
    source s = source_on_top(c);
    int error = 0;
    switch (c->from.entry.type) {
    case RONDO_FILE_DIRECTORY: return enter(c);
    case RONDO_FILE_REGULAR: error = begin_file(c, &s); break;
    case RONDO_FILE_SYMLINK: error = copy_link(c, &s); break;
    default: c->report.told.skipped++; return 0;
    }
    if (error == 0 || error == RONDO_ENOENT) return 0; /* removed meanwhile */
    return fail(c, c->from.entry.name, error);
}

/* One entry, or a piece of a file. Returns 1 at the end, 0 or an error that ends the whole. */
static int go_on(tree_copy *c) {
    if (c->in_file) return go_on_in_file(c);
    if (c->single) return 1;
    int got = rondo__walker_next(&c->from);
    if (got == 1) return copy_entry(c);
    int error = got < 0 ? fail(c, NULL, got) : 0;
    return error < 0 ? error : leave(c);
}

static int64_t step(rondo__steps *steps) {
    tree_copy *c = (tree_copy *)steps;
    if (!c->begun) {
        int error = begin(c);
        c->begun = true;
        if (error < 0) rondo__report_error(&c->report, NULL, NULL, error);
        if (error < 0) return error;
    }
    uint64_t enough = steps->done + BYTES_PER_STEP;
    for (int i = 0; i < ENTRIES_PER_STEP && steps->done < enough; i++) {
        if (rondo__steps_canceled(steps)) return RONDO_ECANCELED;
        int ended = go_on(c);
        if (ended != 0) return rondo__report_result(&c->report, ended < 0 ? ended : 0);
    }
    return RONDO__MORE;
}

static void end(rondo__steps *steps) {
    tree_copy *c = (tree_copy *)steps;
    if (c->in_file) rondo__copy_file_abort(&c->file);
    rondo__walker_fini(&c->from);
    rondo__ladder_fini(&c->to);
    rondo__place_close(&c->place);
}

static void told_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    const tree_copy *c = payload;
    (void)handle;
    rondo__report_thunk(fn, loop, &c->report, c->steps.result, arg);
}

static const rondo__steps_kind kind = {
    .event = {"fs.copy_tree", told_thunk}, .step = step, .end = end};

static tree_copy *make(const char *from, const char *to, unsigned flags) {
    size_t from_size = strlen(from) + 1, to_size = strlen(to) + 1;
    tree_copy *c = rondo__steps_new(&kind, sizeof *c + from_size + to_size);
    if (!c) return NULL;
    c->flags = flags;
    c->place.dir_fd = -1;
    c->to_path = c->from_path + from_size;
    memcpy(c->from_path, from, from_size);
    memcpy(c->from_path + from_size, to, to_size);
    return c;
}

static bool is_valid(const char *from, const char *to, unsigned flags) {
    const unsigned all = RONDO_COPY_NO_REPLACE | RONDO_COPY_TIMES | RONDO_COPY_OWNER |
                         RONDO_COPY_XATTRS | RONDO_COPY_CLONE;
    return from && to && !(flags & ~all);
}

int rondo_fs_copy_tree(rondo_loop *loop, const char *from, const char *to, unsigned flags,
                       rondo_job **ret_job, rondo_fs_tree_cb cb, void *arg) {
    if (!cb || !is_valid(from, to, flags)) return RONDO_EINVAL;
    rondo__steps *steps = (rondo__steps *)make(from, to, flags);
    return rondo__steps_start(loop, steps, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_copy_tree_sync(const char *from, const char *to, unsigned flags,
                            rondo_tree_report *ret_report) {
    if (!is_valid(from, to, flags)) return RONDO_EINVAL;
    tree_copy *c = make(from, to, flags);
    int64_t result = rondo__steps_run((rondo__steps *)c);
    if (ret_report) *ret_report = c ? c->report.told : (rondo_tree_report){.errors = 1};
    rondo__steps_free((rondo__steps *)c);
    return (int)result;
}
