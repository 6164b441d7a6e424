/* SPDX-License-Identifier: MIT
 *
 * rondo_work_submit(): a job whose work is the user's function.
 */
#include <rondo/pool.h>

#include <rondo/error.h>

#include "loop/assert.h"
#include "loop/door.h"
#include "threadpool/pool.h"

typedef struct work {
    rondo_job base;
    rondo_work_cb work;
    rondo_done_cb done;
    void *arg;
} work;

static void done_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    (void)handle;
    ((rondo_done_cb)fn)(loop, *(const int64_t *)payload, arg);
}
static const rondo__event done_event = {"work.done", done_thunk};

static int64_t run_work(rondo_job *job) {
    work *request = (work *)job;
    return request->work(job, request->arg);
}

static void deliver_work(rondo_loop *loop, rondo_job *job, int64_t result) {
    work *request = (work *)job;
    rondo_done_cb done = request->done;
    void *arg = request->arg;
    rondo__request_free(job); /* first: the callback often submits the next one */
    rondo__door(loop, NULL, &done_event, RONDO__FN(done), &result, arg);
}

static void tell_work(rondo_loop *loop, rondo_job *job, int64_t result) {
    work *request = (work *)job;
    rondo__door(loop, NULL, &done_event, RONDO__FN(request->done), &result, request->arg);
}

int rondo_work_submit(rondo_loop *loop, rondo_lane *lane, rondo_job **ret_job, rondo_work_cb cb,
                      rondo_done_cb done, void *arg) {
    rondo_job *job;
    if (!cb || !done) return RONDO_EINVAL;
    if (!lane && !(lane = rondo_lane_cpu(loop))) return RONDO_ENOMEM;
    int error = rondo__request_new(loop, sizeof(work), &job);
    if (error < 0) return error;
    if (lane->crew != job->pool->crew) {
        rondo__request_free(job);
        return RONDO_EINVAL;
    }
    work *request = (work *)job;
    job->run = run_work;
    job->deliver = deliver_work;
    job->tell = tell_work;
    job->drop = rondo__request_free;
    job->borrows = true; /* arg */
    request->work = cb;
    request->done = done;
    request->arg = arg;
    error = rondo__job_submit(lane, job, false);
    if (error < 0) {
        rondo__request_free(job);
        return error;
    }
    if (ret_job) *ret_job = job;
    return 0;
}

bool rondo_work_canceled(const rondo_job *job) {
    RONDO_ASSERT(job);
    return atomic_load(&((rondo_job *)(uintptr_t)job)->cancel) != 0;
}
