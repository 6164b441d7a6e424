/* SPDX-License-Identifier: MIT
 *
 * Operations in steps, as jobs and as calls. See steps.h.
 *
 * A job that is canceled between two steps is given back without a run. But what it left half done
 * must be undone before its callback, and that may wait for a disk: so it is queued once more, as a
 * job that can't be canceled. Only where no thread can be had it is undone here and now.
 *
 * A job that is abandoned is told of at once, while a thread is still in one of its steps. When that
 * thread is back, what there is to undo is undone by drop().
 */
#include "fs/tree/steps.h"

#include "loop/assert.h"
#include "loop/memory.h"

typedef struct request {
    rondo_job job;
    rondo__steps *steps;
    rondo__fn cb;
    void *arg;
} request;

void *rondo__steps_new(const rondo__steps_kind *kind, size_t size) {
    rondo__steps *steps = rondo__zalloc(size);
    if (steps) steps->kind = kind;
    return steps;
}

void rondo__steps_free(rondo__steps *steps) {
    if (!steps) return;
    if (steps->kind->free) {
        steps->kind->free(steps);
    } else {
        rondo__free(steps);
    }
}

bool rondo__steps_canceled(const rondo__steps *steps) {
    return steps->job && rondo_work_canceled(steps->job);
}

static void finish(rondo__steps *steps, int64_t result) {
    RONDO_ASSERT(!steps->ended);
    steps->ended = true;
    steps->result = result;
    if (steps->kind->end) steps->kind->end(steps);
}

/* ---- synchronous ---- */

int64_t rondo__steps_run_telling(rondo__steps *steps, rondo__fn cb, void *arg) {
    int64_t result;
    if (!steps) return RONDO_ENOMEM;
    while ((result = steps->kind->step(steps)) == RONDO__MORE)
        if (steps->kind->tell) steps->kind->tell(NULL, steps, cb, arg);
    finish(steps, result);
    return steps->result;
}

int64_t rondo__steps_run(rondo__steps *steps) {
    return rondo__steps_run_telling(steps, NULL, NULL);
}

/* ---- asynchronous ---- */

static int64_t run_step(rondo_job *job) {
    rondo__steps *steps = ((request *)job)->steps;
    int64_t result = steps->result; /* of a job that was given back */
    if (!job->last) result = rondo_work_canceled(job) ? RONDO_ECANCELED : steps->kind->step(steps);
    if (result != RONDO__MORE) finish(steps, result);
    rondo_work_report(job, steps->done, steps->total);
    return result;
}

/* Calls back, and gives everything back. */
static void conclude(rondo_loop *loop, request *r) {
    rondo__steps *steps = r->steps;
    rondo__fn cb = r->cb;
    void *arg = r->arg;
    steps->job = NULL;
    rondo__request_free(&r->job); /* first: the callback often starts the next operation */
    rondo__door(loop, NULL, &steps->kind->event, cb, steps, arg);
    rondo__steps_free(steps);
}

/* The pool gives the job back: after a step that is not the last, or without having begun. */
static void undo(rondo_loop *loop, request *r, int64_t result) {
    r->steps->result = result;
    r->job.last = true;
    if (r->steps->kind->end && rondo__job_again(&r->job) == 0) return;
    finish(r->steps, result);
    conclude(loop, r);
}

static void deliver(rondo_loop *loop, rondo_job *job, int64_t result) {
    request *r = (request *)job;
    rondo__steps *steps = r->steps;
    if (result == RONDO__MORE) {
        if (steps->kind->tell) steps->kind->tell(loop, steps, r->cb, r->arg);
        bool waits = steps->kind->waits && steps->kind->waits(steps);
        int error = waits ? rondo__job_park(job) : rondo__job_again(job);
        if (error == 0) return;
        result = error;
    }
    if (steps->ended) {
        conclude(loop, r);
    } else {
        undo(loop, r, result);
    }
}

/* Abandoned: a thread works on the operation, so the callback is shown an empty one. */
static void tell_abandoned(rondo_loop *loop, rondo_job *job, int64_t result) {
    const request *r = (const request *)job;
    const rondo__steps_kind *kind = r->steps->kind;
    _Alignas(max_align_t) char empty[RONDO__STEPS_MAX] = {0};
    rondo__steps *steps = (rondo__steps *)(void *)empty;
    steps->kind = kind;
    steps->result = result;
    rondo__door(loop, NULL, &kind->event, r->cb, steps, r->arg);
}

static void drop(rondo_job *job) {
    rondo__steps *steps = ((request *)job)->steps;
    if (!steps->ended) finish(steps, RONDO_ECANCELED);
    steps->job = NULL;
    rondo__steps_free(steps);
    rondo__request_free(job);
}

int rondo__steps_start(rondo_loop *loop, rondo__steps *steps, rondo_job **ret_job, rondo__fn cb,
                       void *arg) {
    rondo_job *job;
    rondo_lane *lane = steps ? rondo_lane_fs(loop) : NULL;
    int error = lane ? rondo__request_new(loop, sizeof(request), &job) : RONDO_ENOMEM;
    if (error < 0) {
        rondo__steps_free(steps);
        return error;
    }
    request *r = (request *)job;
    r->steps = steps;
    r->cb = cb;
    r->arg = arg;
    job->run = run_step;
    job->deliver = deliver;
    job->tell = tell_abandoned;
    job->drop = drop;
    job->borrows = steps->kind->borrows;
    job->keeps_result = true;
    job->steps = true;
    steps->job = job;
    error = rondo__job_submit(lane, job, false);
    if (error < 0) {
        rondo__request_free(job);
        rondo__steps_free(steps);
    } else if (ret_job) {
        *ret_job = job;
    }
    return error;
}
