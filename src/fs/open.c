/* SPDX-License-Identifier: MIT
 *
 * rondo_fs_open(), its kin and rondo_fs_close(). A descriptor is never lost on the way: what an open brought
 * and nobody was told of is closed, and a close that was promised happens.
 */
#include <rondo/fs_path.h>

#include <fcntl.h>
#include <unistd.h>

#include "fs/call.h"
#include "fs/known.h"
#include "fs/lookup.h"

/* ---- open ---- */

static int64_t open_named(const rondo__fs_call *call) {
    /* Opening a FIFO waits, and can be interrupted. */
    RONDO__FS_RETURN(openat(call->fd, call->path, call->flags | O_CLOEXEC, (mode_t)call->mode));
}

static int64_t run_open(rondo__fs_call *call) {
    int64_t fd = open_named(call);
    if (fd >= 0 && call->learn) rondo__learn_mount((int)fd);
    return fd;
}

static void end_open(rondo__fs_call *call, int64_t result, bool told) {
    (void)call;
    if (!told && result >= 0) close((int)result);
}

/* To the loop a cached open is dearer than handing it to a worker: alone it is faster, but many at a
 * time are the workers', on other cores. */
static const rondo__fs_op open_op = {.event = {"fs.open", rondo__fs_thunk},
                                     .run = run_open,
                                     .cached = rondo__known_open,
                                     .end = end_open,
                                     .needs = RONDO__FS_PATH,
                                     .alone = true};

int rondo_fs_openat(rondo_loop *loop, int dir_fd, const char *path, int flags, uint32_t mode,
                    rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.fd = dir_fd, .path = path, .flags = flags, .mode = mode};
    return rondo__fs_start(loop, &open_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_openat_sync(int dir_fd, const char *path, int flags, uint32_t mode) {
    rondo__fs_call call = {.fd = dir_fd, .path = path, .flags = flags, .mode = mode};
    return (int)rondo__fs_now(&open_op, &call);
}

int rondo_fs_open(rondo_loop *loop, const char *path, int flags, uint32_t mode, rondo_job **ret_job,
                  rondo_fs_cb cb, void *arg) {
    return rondo_fs_openat(loop, AT_FDCWD, path, flags, mode, ret_job, cb, arg);
}

int rondo_fs_open_sync(const char *path, int flags, uint32_t mode) {
    return rondo_fs_openat_sync(AT_FDCWD, path, flags, mode);
}

/* ---- beneath ---- */

static int64_t run_open_beneath(rondo__fs_call *call) {
    int fd =
        rondo__open_beneath(call->fd, call->path, call->flags, call->mode, RONDO__BENEATH_KERNEL);
    /* RONDO_EPERM: a sandbox that does not know openat2(2), or what open(2) says; the walk tells. */
    if (fd == RONDO_ENOSYS || fd == RONDO_EPERM)
        fd =
            rondo__open_beneath(call->fd, call->path, call->flags, call->mode, RONDO__BENEATH_WALK);
    return fd;
}

static const rondo__fs_op beneath_op = {.event = {"fs.open_beneath", rondo__fs_thunk},
                                        .run = run_open_beneath,
                                        .end = end_open,
                                        .needs = RONDO__FS_PATH};

int rondo_fs_open_beneath(rondo_loop *loop, int dir_fd, const char *path, int flags, uint32_t mode,
                          rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.fd = dir_fd, .path = path, .flags = flags, .mode = mode};
    return rondo__fs_start(loop, &beneath_op, &call, ret_job, RONDO__FN(cb), arg);
}

int rondo_fs_open_beneath_sync(int dir_fd, const char *path, int flags, uint32_t mode) {
    rondo__fs_call call = {.fd = dir_fd, .path = path, .flags = flags, .mode = mode};
    return (int)rondo__fs_now(&beneath_op, &call);
}

/* ---- close ---- */

static int64_t run_close(rondo__fs_call *call) {
    /* Not again after EINTR: on Linux the descriptor is gone then, and its number may be somebody
     * else's already (close(2), NOTES). */
    return close(call->fd) < 0 ? rondo__errno() : 0;
}

static void end_close(rondo__fs_call *call, int64_t result, bool told) {
    if (!told && result == RONDO_ECANCELED) run_close(call); /* it never ran */
}

static const rondo__fs_op close_op = {.event = {"fs.close", rondo__fs_thunk},
                                      .run = run_close,
                                      .end = end_close,
                                      .needs = RONDO__FS_MUST_RUN};

int rondo_fs_close(rondo_loop *loop, int fd, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.fd = fd};
    return rondo__fs_start(loop, &close_op, &call, NULL, RONDO__FN(cb), arg);
}

int rondo_fs_close_sync(int fd) {
    rondo__fs_call call = {.fd = fd};
    return (int)rondo__fs_now(&close_op, &call);
}
