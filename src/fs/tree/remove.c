/* SPDX-License-Identifier: MIT
 *
 * rondo_fs_remove_tree(): a directory with all that is in it.
 *
 * Each directory is emptied, left, and then removed by its name in the one above. Every removal is
 * on the descriptor of the directory that the name was read from, so whoever swaps a directory for
 * a link gets the link removed and nothing else. When a directory isn't empty after all (somebody
 * has made something in it, or its file system lost its place while entries went), it is entered
 * again, a few times.
 */
#define _GNU_SOURCE
#include <rondo/fs_tree.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/tree/place.h"
#include "fs/tree/report.h"
#include "fs/tree/steps.h"
#include "fs/tree/walker.h"
#include "loop/memory.h"

enum { ENTRIES_PER_STEP = 256, MAX_PASSES = 10 };

typedef struct removal {
    rondo__steps steps;
    rondo__place place; /* the root's */
    rondo__walker walker;
    bool begun;
    bool same_fs;
    unsigned root_passes;
    rondo__report report;
    char path[];
} removal;
RONDO__STEPS_FIT(removal);

static int unlink_at(int dir_fd, const char *name, int flags) {
    int error;
    RONDO__RETRY(error, unlinkat(dir_fd, name, flags));
    return error < 0 ? rondo__errno() : 0;
}

static void count(removal *r, rondo_file_type type) {
    rondo__report_count(&r->report, type);
    r->steps.done++;
}

/* Something stays, so the directory on top will stay too: no need to try. */
static int fail(removal *r, const char *name, int error) {
    rondo__walker_level(&r->walker)->mark++;
    return rondo__report_error(&r->report, &r->walker.ladder, name, error);
}

/* ---- entries ---- */

static int remove_plain(removal *r, rondo_file_type type) {
    const char *name = r->walker.entry.name;
    int error = unlink_at(rondo__ladder_fd(&r->walker.ladder), name, 0);
    if (error == 0) count(r, type);
    return error == 0 || error == RONDO_ENOENT ? 0 : fail(r, name, error);
}

/* A directory that can't be entered can be removed if it is empty. */
static int remove_closed(removal *r, int why) {
    const char *name = r->walker.entry.name;
    int error = unlink_at(rondo__ladder_fd(&r->walker.ladder), name, AT_REMOVEDIR);
    if (error == 0) count(r, RONDO_FILE_DIRECTORY);
    return error == 0 || error == RONDO_ENOENT ? 0 : fail(r, name, why);
}

static bool is_elsewhere(const removal *r) {
    return rondo__ladder_top(&r->walker.ladder)->dev != r->walker.ladder.rungs[0].dev;
}

static int leave_mounted(removal *r) {
    size_t depth = rondo__ladder_depth(&r->walker.ladder);
    int levels = rondo__walker_leave(&r->walker);
    if (levels < 0) return levels;
    return levels == 1 ? fail(r, rondo__ladder_name(&r->walker.ladder, depth), RONDO_EXDEV) : 0;
}

static int remove_entry(removal *r) {
    rondo_file_type type = r->walker.entry.type;
    if (type != RONDO_FILE_DIRECTORY) return remove_plain(r, type);
    int error = rondo__walker_enter(&r->walker);
    if (error == 0) return r->same_fs && is_elsewhere(r) ? leave_mounted(r) : 0;
    if (error == RONDO_ENOENT) return 0;
    /* It was a directory when its name was read, and is something else now. */
    if (error == RONDO_ENOTDIR) return remove_plain(r, RONDO_FILE_UNKNOWN);
    return remove_closed(r, error);
}

/* ---- directories at their end ---- */

static bool is_not_empty(int error) { return error == RONDO_ENOTEMPTY || error == RONDO_EEXIST; }

static int leave(removal *r) {
    rondo__walker *w = &r->walker;
    size_t depth = rondo__ladder_depth(&w->ladder);
    rondo__level level = *rondo__walker_level(w);
    int levels = rondo__walker_leave(w);
    if (levels < 0) return levels;
    if (levels > 1) return 0; /* moved away, and no business of ours any more */
    const char *name = rondo__ladder_name(&w->ladder, depth);
    if (level.mark > 0) {
        rondo__walker_level(w)->mark++; /* told already */
        return 0;
    }
    int error = unlink_at(rondo__ladder_fd(&w->ladder), name, AT_REMOVEDIR);
    if (error == 0) count(r, RONDO_FILE_DIRECTORY);
    if (error == 0 || error == RONDO_ENOENT) return 0;
    if (is_not_empty(error) && level.passes < MAX_PASSES) {
        w->entry = (rondo_dir_entry){name, RONDO_FILE_DIRECTORY};
        if (rondo__walker_enter(w) == 0) {
            rondo__walker_level(w)->passes = level.passes + 1;
            return 0;
        }
    }
    return fail(r, name, error);
}

/* The root is at its end. Returns RONDO__MORE when it was not empty and is gone through again. */
static int64_t leave_root(removal *r) {
    if (rondo__walker_level(&r->walker)->mark > 0) return 0;
    int error = unlink_at(r->place.dir_fd, r->place.name, AT_REMOVEDIR);
    if (error == 0) count(r, RONDO_FILE_DIRECTORY);
    if (error == 0 || error == RONDO_ENOENT) return 0;
    if (is_not_empty(error) && r->root_passes++ < MAX_PASSES) {
        rondo__walker_rewind(&r->walker);
        return RONDO__MORE;
    }
    rondo__report_error(&r->report, NULL, NULL, error);
    return error;
}

/* ---- steps ---- */

static int64_t begin(removal *r) {
    struct stat st;
    int error = rondo__place_open(r->path, &r->place);
    if (error < 0) return error;
    RONDO__RETRY(error, fstatat(r->place.dir_fd, r->place.name, &st, AT_SYMLINK_NOFOLLOW));
    if (error < 0) return rondo__errno();
    r->begun = true;
    if (S_ISDIR(st.st_mode)) {
        int fd = rondo__open_directory(r->place.dir_fd, r->place.name, O_NOFOLLOW);
        if (fd >= 0) error = rondo__walker_init(&r->walker, fd);
        if (fd >= 0) return error < 0 ? error : RONDO__MORE;
        error = unlink_at(r->place.dir_fd, r->place.name, AT_REMOVEDIR) == 0 ? 0 : fd;
    } else {
        error = unlink_at(r->place.dir_fd, r->place.name, 0);
    }
    if (error == 0) count(r, rondo__type_of_mode(st.st_mode));
    return error;
}

static int64_t go_on(removal *r) {
    for (int i = 0; i < ENTRIES_PER_STEP; i++) {
        int got = rondo__walker_next(&r->walker);
        int error = 0;
        if (got < 0) error = fail(r, NULL, got);
        if (got == 1) error = remove_entry(r);
        if (error < 0) return error;
        if (got == 1) continue;
        if (rondo__ladder_depth(&r->walker.ladder) == 0) {
            int64_t result = leave_root(r);
            if (result != RONDO__MORE) return result;
        } else {
            error = leave(r);
        }
        if (error < 0) return error;
    }
    return RONDO__MORE;
}

static int64_t step(rondo__steps *steps) {
    removal *r = (removal *)steps;
    bool first = !r->begun;
    int64_t result = first ? begin(r) : go_on(r);
    if (result == RONDO__MORE) return result;
    if (first && result < 0) rondo__report_error(&r->report, NULL, NULL, (int)result);
    return rondo__report_result(&r->report, result);
}

static void end(rondo__steps *steps) {
    removal *r = (removal *)steps;
    rondo__walker_fini(&r->walker);
    rondo__place_close(&r->place);
}

static void told_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    removal *r = payload;
    (void)handle;
    rondo__report_thunk(fn, loop, &r->report, r->steps.result, arg);
}

static const rondo__steps_kind kind = {
    .event = {"fs.remove_tree", told_thunk}, .step = step, .end = end};

static removal *make(const char *path, unsigned flags) {
    size_t size = strlen(path) + 1;
    removal *r = rondo__steps_new(&kind, sizeof *r + size);
    if (!r) return NULL;
    r->place.dir_fd = -1;
    r->same_fs = flags & RONDO_REMOVE_SAME_FS;
    memcpy(r->path, path, size);
    return r;
}

static bool is_valid(const char *path, unsigned flags) {
    return path && !(flags & ~(unsigned)RONDO_REMOVE_SAME_FS);
}

int rondo_fs_remove_tree(rondo_loop *loop, const char *path, unsigned flags, rondo_job **ret_job,
                         rondo_fs_tree_cb cb, void *arg) {
    if (!cb || !is_valid(path, flags)) return RONDO_EINVAL;
    return rondo__steps_start(loop, (rondo__steps *)make(path, flags), ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_remove_tree_sync(const char *path, unsigned flags, rondo_tree_report *ret_report) {
    if (!is_valid(path, flags)) return RONDO_EINVAL;
    removal *r = make(path, flags);
    int64_t result = rondo__steps_run((rondo__steps *)r);
    if (ret_report) *ret_report = r ? r->report.told : (rondo_tree_report){.errors = 1};
    rondo__steps_free((rondo__steps *)r);
    return (int)result;
}
