/* SPDX-License-Identifier: MIT
 *
 * rondo_fs_copyfile(): one file, some MiB a step.
 */
#include <rondo/fs_tree.h>

#include <fcntl.h>
#include <string.h>

#include "fs/tree/copy_file.h"
#include "fs/tree/steps.h"

enum { PIECE_BYTES = 1024 * 1024, PIECES_PER_STEP = 4 };

typedef struct copying {
    rondo__steps steps;
    rondo__copy_file file;
    bool begun;
    unsigned flags;
    const char *to; /* behind `from` */
    char from[];
} copying;
RONDO__STEPS_FIT(copying);

static int begin(copying *c) {
    int error = rondo__copy_file_begin(&c->file, AT_FDCWD, c->from, AT_FDCWD, c->to, c->flags,
                                       RONDO__COPY_OVERWRITE);
    c->begun = error == 0;
    if (c->begun) c->steps.total = (uint64_t)c->file.data.size;
    return error;
}

static int64_t step(rondo__steps *steps) {
    copying *c = (copying *)steps;
    int error = c->begun ? 0 : begin(c);
    if (error < 0) return error;
    for (int i = 0; i < PIECES_PER_STEP; i++) {
        if (rondo__steps_canceled(steps)) return RONDO_ECANCELED;
        int more = rondo__copy_file_some(&c->file, PIECE_BYTES);
        steps->done = (uint64_t)c->file.data.at;
        if (more < 0) return more;
        if (more == 0) return c->file.data.at;
    }
    return RONDO__MORE;
}

static void end(rondo__steps *steps) {
    copying *c = (copying *)steps;
    if (c->begun) rondo__copy_file_abort(&c->file);
}

static void told_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    const copying *c = payload;
    (void)handle;
    ((rondo_fs_cb)fn)(loop, c->steps.result, arg);
}

static const rondo__steps_kind kind = {
    .event = {"fs.copyfile", told_thunk}, .step = step, .end = end};

static rondo__steps *make(const char *from, const char *to, unsigned flags) {
    size_t from_size = strlen(from) + 1, to_size = strlen(to) + 1;
    copying *c = rondo__steps_new(&kind, sizeof *c + from_size + to_size);
    if (!c) return NULL;
    c->flags = flags;
    c->to = c->from + from_size;
    memcpy(c->from, from, from_size);
    memcpy(c->from + from_size, to, to_size);
    return &c->steps;
}

static bool is_valid(const char *from, const char *to, unsigned flags) {
    const unsigned all = RONDO_COPY_NO_REPLACE | RONDO_COPY_TIMES | RONDO_COPY_OWNER |
                         RONDO_COPY_XATTRS | RONDO_COPY_CLONE;
    return from && to && !(flags & ~all);
}

int rondo_fs_copyfile(rondo_loop *loop, const char *from, const char *to, unsigned flags,
                      rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    if (!cb || !is_valid(from, to, flags)) return RONDO_EINVAL;
    return rondo__steps_start(loop, make(from, to, flags), ret_job, RONDO__FN(cb), arg);
}

int64_t rondo_fs_copyfile_sync(const char *from, const char *to, unsigned flags) {
    if (!is_valid(from, to, flags)) return RONDO_EINVAL;
    rondo__steps *steps = make(from, to, flags);
    int64_t result = rondo__steps_run(steps);
    rondo__steps_free(steps);
    return result;
}
