/* SPDX-License-Identifier: MIT
 *
 * rondo_fs_open() and rondo_fs_close(). A descriptor is never lost on the way: what an open brought
 * and nobody was told of is closed when the loop is freed, and a close that was promised happens.
 */
#include <rondo/error.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fs/request.h"

/* ---- open ---- */

typedef struct open_request {
    rondo__fs_request base;
    int flags;
    uint32_t mode;
    char path[];
} open_request;

static int64_t run_open(rondo_job *job) {
    const open_request *request = (const open_request *)job;
    int fd;
    do { /* opening a FIFO waits, and can be interrupted */
        fd = open(request->path, request->flags | O_CLOEXEC, (mode_t)request->mode);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? rondo__fs_error() : fd;
}

static void drop_open(rondo_job *job) {
    if (job->result >= 0) close((int)job->result);
    rondo__request_free(job);
}

static const rondo__fs_kind open_kind = {
    .event = {"fs.open", rondo__fs_thunk}, .run = run_open, .drop = drop_open};

int rondo_fs_open(rondo_loop *loop, const char *path, int flags, uint32_t mode, rondo_job **ret_job,
                  rondo_fs_cb cb, void *arg) {
    rondo_job *job;
    if (!path || !cb) return RONDO_EINVAL;
    size_t path_size = strlen(path) + 1;
    int error =
        rondo__fs_new(loop, &open_kind, sizeof(open_request) + path_size, RONDO__FN(cb), arg, &job);
    if (error < 0) return error;
    open_request *request = (open_request *)job;
    request->flags = flags;
    request->mode = mode;
    memcpy(request->path, path, path_size);
    error = rondo__fs_submit(loop, job, ret_job);
    if (error < 0) rondo__request_free(job);
    return error;
}

/* ---- close ---- */

typedef struct close_request {
    rondo__fs_request base;
    int fd;
} close_request;

static int64_t run_close(rondo_job *job) {
    /* Not again after EINTR: on Linux the descriptor is gone then, and its number may be somebody
     * else's already (close(2), NOTES). */
    return close(((close_request *)job)->fd) < 0 ? rondo__fs_error() : 0;
}

static void drop_close(rondo_job *job) {
    if (job->result == RONDO_ECANCELED) run_close(job); /* it never ran */
    rondo__request_free(job);
}

static const rondo__fs_kind close_kind = {
    .event = {"fs.close", rondo__fs_thunk}, .run = run_close, .drop = drop_close};

int rondo_fs_close(rondo_loop *loop, int fd, rondo_fs_cb cb, void *arg) {
    rondo_job *job;
    if (!cb) return RONDO_EINVAL;
    rondo_lane *lane = rondo_lane_fs(loop);
    if (!lane) return RONDO_ENOMEM;
    int error = rondo__fs_new(loop, &close_kind, sizeof(close_request), RONDO__FN(cb), arg, &job);
    if (error < 0) return error;
    ((close_request *)job)->fd = fd;
    error = rondo__job_submit(lane, job, true);
    if (error == RONDO_EAGAIN) {
        /* No thread can be started. A caller could do nothing but try again for ever, and this may
         * well be what ends the shortage: it is done here and now, at the price of a wait. */
        rondo__job_complete(loop, job, run_close(job));
        return 0;
    }
    if (error < 0) rondo__request_free(job);
    return error;
}
