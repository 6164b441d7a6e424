/* SPDX-License-Identifier: MIT
 *
 * What all file operations have in common: a request with a job first, sent to the fs lane, whose
 * callback gets one number. Internal to src/fs/.
 */
#ifndef RONDO__FS_REQUEST_H
#define RONDO__FS_REQUEST_H

#include <rondo/fs.h>

#include "loop/door.h"
#include "threadpool/job.h"

typedef struct rondo__fs_request {
    rondo_job base;
    const rondo__event *event;
    rondo__fn cb;
    void *arg;
} rondo__fs_request;

/* What an operation does, the same for all of its requests. deliver and drop may be NULL: nothing
 * besides calling back, or nothing besides freeing. */
typedef struct rondo__fs_kind {
    rondo__event event;
    int64_t (*run)(rondo_job *job);
    void (*deliver)(rondo_loop *loop, rondo_job *job, int64_t result);
    void (*drop)(rondo_job *job);
} rondo__fs_kind;

/* A request of `size` bytes. Returns 0, RONDO_ENOMEM or RONDO_ENOTSUP. */
int rondo__fs_new(rondo_loop *loop, const rondo__fs_kind *kind, size_t size, rondo__fn cb,
                  void *arg, rondo_job **ret_job);
/* Sends it to the fs lane. On failure it is still the caller's. ret_job may be NULL. */
int rondo__fs_submit(rondo_loop *loop, rondo_job *job, rondo_job **ret_job);
/* Frees the request and calls back with the result. */
void rondo__fs_deliver(rondo_loop *loop, rondo_job *job, int64_t result);
/* Calls a rondo_fs_cb; the payload is the result. */
void rondo__fs_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                     void *arg);
/* The error code for errno. */
int rondo__fs_error(void);

#endif
