/* SPDX-License-Identifier: MIT
 *
 * The common part of file operations: from the call to the fs lane and back to the callback.
 */
#include "fs/request.h"

#include <rondo/error.h>

#include <errno.h>

int rondo__fs_new(rondo_loop *loop, const rondo__fs_kind *kind, size_t size, rondo__fn cb,
                  void *arg, rondo_job **ret_job) {
    rondo_job *job;
    int error = rondo__request_new(loop, size, &job);
    if (error < 0) return error;
    rondo__fs_request *request = (rondo__fs_request *)job;
    job->run = kind->run;
    job->deliver = kind->deliver ? kind->deliver : rondo__fs_deliver;
    job->drop = kind->drop ? kind->drop : rondo__request_free;
    job->keeps_result = true;
    request->event = &kind->event;
    request->cb = cb;
    request->arg = arg;
    *ret_job = job;
    return 0;
}

int rondo__fs_submit(rondo_loop *loop, rondo_job *job, rondo_job **ret_job) {
    rondo_lane *lane = rondo_lane_fs(loop);
    int error = lane ? rondo__job_submit(lane, job, false) : RONDO_ENOMEM;
    if (error == 0 && ret_job) *ret_job = job;
    return error;
}

void rondo__fs_deliver(rondo_loop *loop, rondo_job *job, int64_t result) {
    rondo__fs_request *request = (rondo__fs_request *)job;
    const rondo__event *event = request->event;
    rondo__fn cb = request->cb;
    void *arg = request->arg;
    rondo__request_free(job); /* first: the callback often starts the next operation */
    rondo__door(loop, NULL, event, cb, &result, arg);
}

void rondo__fs_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                     void *arg) {
    (void)handle;
    ((rondo_fs_cb)fn)(loop, *(const int64_t *)payload, arg);
}

int rondo__fs_error(void) { return rondo_error_from_errno(errno); }
