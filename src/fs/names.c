/* SPDX-License-Identifier: MIT
 *
 * Names: making, moving and removing them, and what links say. What an operation made under a name
 * that nobody was told of (mkdtemp, mkstemp) is removed again.
 */
#define _GNU_SOURCE /* renameat2, mkostemp */
#include <rondo/fs_path.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/call.h"
#include "loop/memory.h"

/* ---- one name ---- */

static int64_t run_unlink(rondo__fs_call *call) { RONDO__FS_RETURN(unlink(call->path)); }
static const rondo__fs_op unlink_op = {
    .event = {"fs.unlink", rondo__fs_thunk}, .run = run_unlink, .needs = RONDO__FS_PATH};

int rondo_fs_unlink(rondo_loop *loop, const char *path, rondo_job **ret_job, rondo_fs_cb cb,
                    void *arg) {
    const rondo__fs_call call = {.path = path};
    return rondo__fs_start(loop, &unlink_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_unlink_sync(const char *path) {
    rondo__fs_call call = {.path = path};
    return (int)rondo__fs_now(&unlink_op, &call);
}

static int64_t run_rmdir(rondo__fs_call *call) { RONDO__FS_RETURN(rmdir(call->path)); }
static const rondo__fs_op rmdir_op = {
    .event = {"fs.rmdir", rondo__fs_thunk}, .run = run_rmdir, .needs = RONDO__FS_PATH};

int rondo_fs_rmdir(rondo_loop *loop, const char *path, rondo_job **ret_job, rondo_fs_cb cb,
                   void *arg) {
    const rondo__fs_call call = {.path = path};
    return rondo__fs_start(loop, &rmdir_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_rmdir_sync(const char *path) {
    rondo__fs_call call = {.path = path};
    return (int)rondo__fs_now(&rmdir_op, &call);
}

static int64_t run_mkdir(rondo__fs_call *call) {
    RONDO__FS_RETURN(mkdir(call->path, (mode_t)call->mode));
}
static const rondo__fs_op mkdir_op = {
    .event = {"fs.mkdir", rondo__fs_thunk}, .run = run_mkdir, .needs = RONDO__FS_PATH};

int rondo_fs_mkdir(rondo_loop *loop, const char *path, uint32_t mode, rondo_job **ret_job,
                   rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.path = path, .mode = mode};
    return rondo__fs_start(loop, &mkdir_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_mkdir_sync(const char *path, uint32_t mode) {
    rondo__fs_call call = {.path = path, .mode = mode};
    return (int)rondo__fs_now(&mkdir_op, &call);
}

/* ---- two names ---- */

static int64_t run_link(rondo__fs_call *call) { RONDO__FS_RETURN(link(call->path, call->path2)); }
static const rondo__fs_op link_op = {.event = {"fs.link", rondo__fs_thunk},
                                     .run = run_link,
                                     .needs = RONDO__FS_PATH | RONDO__FS_PATH2};

int rondo_fs_link(rondo_loop *loop, const char *path, const char *new_path, rondo_job **ret_job,
                  rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.path = path, .path2 = new_path};
    return rondo__fs_start(loop, &link_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_link_sync(const char *path, const char *new_path) {
    rondo__fs_call call = {.path = path, .path2 = new_path};
    return (int)rondo__fs_now(&link_op, &call);
}

static int64_t run_symlink(rondo__fs_call *call) {
    RONDO__FS_RETURN(symlink(call->path, call->path2));
}
static const rondo__fs_op symlink_op = {.event = {"fs.symlink", rondo__fs_thunk},
                                        .run = run_symlink,
                                        .needs = RONDO__FS_PATH | RONDO__FS_PATH2};

int rondo_fs_symlink(rondo_loop *loop, const char *target, const char *new_path,
                     rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.path = target, .path2 = new_path};
    return rondo__fs_start(loop, &symlink_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_symlink_sync(const char *target, const char *new_path) {
    rondo__fs_call call = {.path = target, .path2 = new_path};
    return (int)rondo__fs_now(&symlink_op, &call);
}

static int64_t run_rename(rondo__fs_call *call) {
    switch (call->flags) {
    case RONDO_RENAME_REPLACE: /* every file system can do that, and every kernel */
        RONDO__FS_RETURN(rename(call->path, call->path2));
    case RONDO_RENAME_NO_REPLACE:
        RONDO__FS_RETURN(renameat2(AT_FDCWD, call->path, AT_FDCWD, call->path2, RENAME_NOREPLACE));
    case RONDO_RENAME_EXCHANGE:
        RONDO__FS_RETURN(renameat2(AT_FDCWD, call->path, AT_FDCWD, call->path2, RENAME_EXCHANGE));
    default: return RONDO_EINVAL;
    }
}
static const rondo__fs_op rename_op = {.event = {"fs.rename", rondo__fs_thunk},
                                       .run = run_rename,
                                       .needs = RONDO__FS_PATH | RONDO__FS_PATH2};

int rondo_fs_rename(rondo_loop *loop, const char *from, const char *to, rondo_rename how,
                    rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.path = from, .path2 = to, .flags = (int)how};
    return rondo__fs_start(loop, &rename_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_rename_sync(const char *from, const char *to, rondo_rename how) {
    rondo__fs_call call = {.path = from, .path2 = to, .flags = (int)how};
    return (int)rondo__fs_now(&rename_op, &call);
}

/* ---- names that come back ---- */

/* Makes a copy of so many bytes the call's output. */
static int64_t bring(rondo__fs_call *call, const char *text, size_t len) {
    char *copy = rondo__alloc(len + 1);
    if (!copy) return RONDO_ENOMEM;
    memcpy(copy, text, len);
    copy[len] = '\0';
    call->text = copy;
    return (int64_t)len;
}

static void path_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    const rondo__fs_answer *answer = payload;
    (void)handle;
    ((rondo_fs_path_cb)fn)(loop, answer->result, answer->result < 0 ? NULL : answer->call.text,
                           arg);
}

/* The synchronous form: the text goes to the caller's buffer. */
static int path_now(const rondo__fs_op *op, const char *path, char *ret_path, size_t size) {
    rondo__fs_call call = {.path = path};
    int64_t result = ret_path ? rondo__fs_now(op, &call) : RONDO_EINVAL;
    if (result < 0) return (int)result;
    if ((size_t)result < size)
        memcpy(ret_path, call.text, (size_t)result + 1);
    else
        result = RONDO_ENOBUFS;
    rondo__free(call.text);
    return (int)result;
}

static int64_t run_readlink(rondo__fs_call *call) {
    char text[PATH_MAX]; /* symlink(2) makes none that is longer */
    ssize_t len;
    RONDO__RETRY(len, readlink(call->path, text, sizeof text));
    if (len < 0) return rondo__errno();
    return (size_t)len < sizeof text ? bring(call, text, (size_t)len) : RONDO_ENAMETOOLONG;
}
static const rondo__fs_op readlink_op = {.event = {"fs.readlink", path_thunk},
                                         .run = run_readlink,
                                         .end = rondo__fs_free_text,
                                         .needs = RONDO__FS_PATH};

int rondo_fs_readlink(rondo_loop *loop, const char *path, rondo_job **ret_job, rondo_fs_path_cb cb,
                      void *arg) {
    const rondo__fs_call call = {.path = path};
    return rondo__fs_start(loop, &readlink_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_readlink_sync(const char *path, char *ret_path, size_t size) {
    return path_now(&readlink_op, path, ret_path, size);
}

static int64_t run_realpath(rondo__fs_call *call) {
    char text[PATH_MAX];
    char *real;
    do {
        real = realpath(call->path, text);
    } while (!real && errno == EINTR);
    return real ? bring(call, text, strlen(text)) : rondo__errno();
}
static const rondo__fs_op realpath_op = {.event = {"fs.realpath", path_thunk},
                                         .run = run_realpath,
                                         .end = rondo__fs_free_text,
                                         .needs = RONDO__FS_PATH};

int rondo_fs_realpath(rondo_loop *loop, const char *path, rondo_job **ret_job, rondo_fs_path_cb cb,
                      void *arg) {
    const rondo__fs_call call = {.path = path};
    return rondo__fs_start(loop, &realpath_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_realpath_sync(const char *path, char *ret_path, size_t size) {
    return path_now(&realpath_op, path, ret_path, size);
}

/* ---- names that are new ---- */

/* The path with its XXXXXX replaced is the output. */
static int64_t make_temporary(rondo__fs_call *call, bool directory) {
    int64_t made;
    size_t len = strlen(call->path);
    char *path = rondo__alloc(len + 1);
    if (!path) return RONDO_ENOMEM;
    do {
        memcpy(path, call->path, len + 1); /* anew, for a failure may have changed it */
        made = directory ? (mkdtemp(path) ? 0 : -1) : mkostemp(path, O_CLOEXEC);
    } while (made < 0 && errno == EINTR);
    if (made >= 0) {
        call->text = path;
        return made;
    }
    int error = rondo__errno();
    rondo__free(path);
    return error;
}

static int temporary_now(const rondo__fs_op *op, char *path) {
    rondo__fs_call call = {.path = path};
    int64_t result = rondo__fs_now(op, &call);
    if (result < 0) return (int)result;
    memcpy(path, call.text, strlen(path));
    rondo__free(call.text);
    return (int)result;
}

static int64_t run_mkdtemp(rondo__fs_call *call) { return make_temporary(call, true); }

static void end_mkdtemp(rondo__fs_call *call, int64_t result, bool told) {
    if (!told && result >= 0) rmdir(call->text);
    rondo__fs_free_text(call, result, told);
}

static const rondo__fs_op mkdtemp_op = {.event = {"fs.mkdtemp", path_thunk},
                                        .run = run_mkdtemp,
                                        .end = end_mkdtemp,
                                        .needs = RONDO__FS_PATH};

int rondo_fs_mkdtemp(rondo_loop *loop, const char *path, rondo_job **ret_job, rondo_fs_path_cb cb,
                     void *arg) {
    const rondo__fs_call call = {.path = path};
    return rondo__fs_start(loop, &mkdtemp_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_mkdtemp_sync(char *path) { return temporary_now(&mkdtemp_op, path); }

static int64_t run_mkstemp(rondo__fs_call *call) { return make_temporary(call, false); }

static void end_mkstemp(rondo__fs_call *call, int64_t result, bool told) {
    if (!told && result >= 0) {
        unlink(call->text);
        close((int)result);
    }
    rondo__fs_free_text(call, result, told);
}

static const rondo__fs_op mkstemp_op = {.event = {"fs.mkstemp", path_thunk},
                                        .run = run_mkstemp,
                                        .end = end_mkstemp,
                                        .needs = RONDO__FS_PATH};

int rondo_fs_mkstemp(rondo_loop *loop, const char *path, rondo_job **ret_job, rondo_fs_path_cb cb,
                     void *arg) {
    const rondo__fs_call call = {.path = path};
    return rondo__fs_start(loop, &mkstemp_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_mkstemp_sync(char *path) { return temporary_now(&mkstemp_op, path); }
