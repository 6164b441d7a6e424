/* SPDX-License-Identifier: MIT
 *
 * rondo_fs_mkdir_all(): a directory and all above it.
 *
 * Tried from the end: usually only the last is missing. What the system says is believed and never
 * asked for in advance, so that others who make or remove the same directories at the same time
 * make no difference but in the number of tries.
 */
#include <rondo/fs_dir.h>

#include <string.h>
#include <sys/stat.h>

#include "fs/tree/steps.h"

enum { TRIES = 100 };

typedef struct making {
    rondo__steps steps;
    uint32_t mode;
    int64_t made;
    size_t len; /* of path */
    char path[];
} making;
RONDO__STEPS_FIT(making);

/* One directory. Returns 1 when it was made, 0 when it was there, or an error. */
static int make_one(const char *path, uint32_t mode) {
    struct stat st;
    int error, why = 0;
    for (int i = 0; i < TRIES; i++) {
        RONDO__RETRY(error, mkdir(path, (mode_t)mode));
        if (error == 0) return 1;
        why = rondo__errno();
        if (why == RONDO_ENOENT || why == RONDO_ENOTDIR) return why;
        /* EEXIST, or a file system that says that it's read-only before it says that it's there. */
        RONDO__RETRY(error, stat(path, &st));
        if (error == 0) return S_ISDIR(st.st_mode) ? 0 : RONDO_ENOTDIR;
        if (errno != ENOENT || why != RONDO_EEXIST) return why;
        /* Removed just now; or a link that leads nowhere, and then it stays so. */
    }
    return why;
}

/* The end of the part in front of the last name that ends at `end`; 0: none. */
static size_t parent(const char *path, size_t end) {
    while (end > 0 && path[end - 1] != '/') end--;
    while (end > 0 && path[end - 1] == '/') end--;
    return end;
}

/* The end of the path that has one name more than that which ends at `end`. */
static size_t child(const char *path, size_t end) {
    while (path[end] == '/') end++;
    return end + strcspn(path + end, "/");
}

/* path up to `end`: cuts it there for the time of the call. */
static int make_until(making *m, size_t end) {
    char behind = m->path[end];
    bool is_last = end == m->len;
    m->path[end] = '\0';
    int made = make_one(m->path, is_last ? m->mode : (m->mode | 0300));
    m->path[end] = behind;
    if (made > 0) m->made++;
    return made;
}

static int64_t step(rondo__steps *steps) {
    making *m = (making *)steps;
    size_t at = m->len;
    int tries = 0;
    bool down = false;                                     /* what is above was there */
    if (m->len == 0) return m->path[0] ? 0 : RONDO_ENOENT; /* "/" */
    for (;;) {
        int error = make_until(m, at);
        if (error >= 0) {
            if (at == m->len) return m->made;
            at = child(m->path, at);
            down = true;
        } else {
            size_t above = parent(m->path, at);
            if (error != RONDO_ENOENT || above == 0) return error;
            if (down && ++tries == TRIES) return error; /* somebody removes it each time */
            at = above;
            down = false;
        }
    }
}

static void told_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    const making *m = payload;
    (void)handle;
    ((rondo_fs_cb)fn)(loop, m->steps.result, arg);
}

static const rondo__steps_kind kind = {.event = {"fs.mkdir_all", told_thunk}, .step = step};

static rondo__steps *make(const char *path, uint32_t mode) {
    size_t len = strlen(path);
    making *m = rondo__steps_new(&kind, sizeof *m + len + 1);
    if (!m) return NULL;
    memcpy(m->path, path, len + 1);
    while (len > 0 && path[len - 1] == '/') len--;
    m->len = len;
    m->mode = mode;
    return &m->steps;
}

int rondo_fs_mkdir_all(rondo_loop *loop, const char *path, uint32_t mode, rondo_job **ret_job,
                       rondo_fs_cb cb, void *arg) {
    if (!cb || !path || mode > 07777) return RONDO_EINVAL;
    return rondo__steps_start(loop, make(path, mode), ret_job, RONDO__FN(cb), arg);
}

int64_t rondo_fs_mkdir_all_sync(const char *path, uint32_t mode) {
    if (!path || mode > 07777) return RONDO_EINVAL;
    rondo__steps *steps = make(path, mode);
    int64_t result = rondo__steps_run(steps);
    rondo__steps_free(steps);
    return result;
}
