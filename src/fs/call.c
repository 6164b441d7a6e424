/* SPDX-License-Identifier: MIT
 *
 * The way of a file operation: checked, copied, tried from the caches, sent to the fs lane, and
 * back to the callback; or checked and run at once. See call.h.
 */
#include "fs/call.h"

#include <rondo/error.h>
#include <rondo/loop.h>

#include <string.h>

#include "loop/assert.h"
#include "loop/attach.h"
#include "loop/emit.h"
#include "loop/memory.h"

/* Parts and paths that were copied follow it. */
typedef struct fs_request {
    rondo_job base;
    const rondo__fs_op *op;
    rondo__fn cb;
    void *arg;
    rondo__fs_call call;
    bool counted; /* in rondo__pool_at_position() */
    bool sent;    /* counted in fs_part.sent */
    char path[];
} fs_request;

/* ---- arguments ---- */

_Static_assert(sizeof(rondo_slice) == sizeof(rondo_buffer) &&
                   offsetof(rondo_slice, len) == offsetof(rondo_buffer, len),
               "an array of either is read by rondo__fs_part()");

rondo_buffer rondo__fs_part(const rondo__fs_call *call, size_t i) {
    rondo_buffer part;
    memcpy(&part, (const char *)call->parts + i * sizeof part, sizeof part);
    return part;
}

/* Sets call->len to the sum of all parts. */
static int measure_parts(rondo__fs_call *call) {
    size_t len = 0;
    if (call->part_count > SIZE_MAX / sizeof(rondo_buffer) / 2) return RONDO_EINVAL;
    for (size_t i = 0; i < call->part_count; i++) {
        rondo_buffer part = rondo__fs_part(call, i);
        if (!part.data && part.len > 0) return RONDO_EINVAL;
        if (part.len > SIZE_MAX - len) return RONDO_EINVAL;
        len += part.len;
    }
    call->len = len;
    return 0;
}

static int check(const rondo__fs_op *op, rondo__fs_call *call) {
    if ((op->needs & RONDO__FS_PATH) && !call->path) return RONDO_EINVAL;
    if ((op->needs & RONDO__FS_PATH2) && !call->path2) return RONDO_EINVAL;
    if (!(op->needs & RONDO__FS_BUFFER)) return 0;
    if (call->part_count > 0) {
        if (!call->parts) return RONDO_EINVAL;
        int error = measure_parts(call);
        if (error < 0) return error;
    } else if (!call->buffer && call->len > 0) {
        return RONDO_EINVAL;
    }
    if (call->len > INT64_MAX || call->offset < -1) return RONDO_EINVAL;
    if (call->offset > 0 && (int64_t)call->len > INT64_MAX - call->offset) return RONDO_EINVAL;
    return 0;
}

/* ---- back ---- */

/* So many operations a turn may be tried on the loop's own thread, so that one callback that starts
 * ten thousand does not hold it. */
typedef struct fs_part {
    uint64_t turn; /* that `left` and `alone_left` belong to */
    uint32_t left;
    bool alone_left; /* one of those with op->alone */
    unsigned sent;   /* operations that are with workers */
    rondo__at_free at_free;
} fs_part;

static void uncount(fs_request *request) {
    if (!request->base.loop) return; /* the loop may be gone */
    fs_part *part = rondo__loop_part(request->base.loop, RONDO__PART_FS);
    if (request->sent && part) part->sent--;
    request->sent = false;
    if (!request->counted) return;
    unsigned *count = rondo__pool_at_position(request->base.loop);
    RONDO_ASSERT(*count > 0);
    --*count;
    request->counted = false;
}

static void deliver(rondo_loop *loop, rondo_job *job, int64_t result) {
    fs_request *request = (fs_request *)job;
    if (result == RONDO__FS_MORE) {
        result = rondo__job_again(job);
        if (result == 0) return;
    }
    const rondo__fs_op *op = request->op;
    rondo__fn cb = request->cb;
    void *arg = request->arg;
    rondo__fs_answer answer = {.result = result, .call = request->call};
    answer.call.path = answer.call.path2 = NULL;
    uncount(request);
    rondo__request_free(job); /* first: the callback often starts the next operation */
    rondo__door(loop, NULL, &op->event, cb, &answer, arg);
    if (op->end) op->end(&answer.call, result, true);
}

/* Abandoned: the worker has the call, so nobody can look at it now. */
static void tell(rondo_loop *loop, rondo_job *job, int64_t result) {
    const fs_request *request = (const fs_request *)job;
    rondo__fs_answer answer = {.result = result};
    rondo__door(loop, NULL, &request->op->event, request->cb, &answer, request->arg);
}

static void drop(rondo_job *job) {
    fs_request *request = (fs_request *)job;
    if (request->op->end) request->op->end(&request->call, job->result, false);
    uncount(request);
    rondo__request_free(job);
}

void rondo__fs_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                     void *arg) {
    (void)handle;
    ((rondo_fs_cb)fn)(loop, ((const rondo__fs_answer *)payload)->result, arg);
}

void rondo__fs_free_text(rondo__fs_call *call, int64_t result, bool told) {
    (void)told;
    if (result >= 0) rondo__free(call->text);
}

/* ---- there ---- */

static int64_t run(rondo_job *job) {
    fs_request *request = (fs_request *)job;
    return request->op->run(&request->call);
}

/* Copies what the call points to behind the request; the caller's buffers stay where they are. */
static int new_request(rondo_loop *loop, const rondo__fs_op *op, const rondo__fs_call *call,
                       fs_request **ret_request) {
    rondo_job *job;
    bool has_parts = (op->needs & RONDO__FS_BUFFER) && call->part_count > 0;
    size_t parts_size = has_parts ? call->part_count * sizeof(rondo_buffer) : 0;
    size_t path_size = call->path ? strlen(call->path) + 1 : 0;
    size_t path2_size = call->path2 ? strlen(call->path2) + 1 : 0;
    int error =
        rondo__request_new(loop, sizeof(fs_request) + parts_size + path_size + path2_size, &job);
    if (error < 0) return error;
    fs_request *request = (fs_request *)job;
    job->run = run;
    job->deliver = deliver;
    job->tell = tell;
    job->drop = drop;
    job->keeps_result = true;
    job->borrows = (op->needs & RONDO__FS_BUFFER) != 0;
    request->op = op;
    request->counted = request->sent = false;
    request->call = *call;
    job->steps = (op->needs & RONDO__FS_STEPS) != 0;
    char *at = request->path;
    if (has_parts) request->call.parts = memcpy(at, call->parts, parts_size);
    at += parts_size;
    if (call->path) request->call.path = memcpy(at, call->path, path_size);
    if (call->path2) request->call.path2 = memcpy(at + path_size, call->path2, path2_size);
    *ret_request = request;
    return 0;
}

/* Whether the kernel would have us wait for the end of another operation, which has the file's
 * position. */
static bool position_is_taken(rondo_loop *loop, const fs_request *request) {
    return (request->op->needs & RONDO__FS_BUFFER) && request->call.offset < 0 &&
           *rondo__pool_at_position(loop) > 0;
}

static void on_loop_free(rondo_loop *loop, rondo__at_free *hook) {
    rondo__loop_set_part(loop, RONDO__PART_FS, NULL);
    rondo__free(RONDO__OF(hook, fs_part, at_free));
}

static bool may_try(rondo_loop *loop, bool alone) {
    fs_part *part = rondo__loop_part(loop, RONDO__PART_FS);
    if (!part) {
        part = rondo__zalloc(sizeof *part);
        if (!part) return false; /* a worker can do without */
        part->turn = UINT64_MAX;
        rondo__at_loop_free(loop, &part->at_free, on_loop_free);
        rondo__loop_set_part(loop, RONDO__PART_FS, part);
    }
    if (part->turn != rondo_loop_turn(loop)) {
        part->turn = rondo_loop_turn(loop);
        part->left = rondo_loop_budget(loop, RONDO_BUDGET_cached_files);
        part->alone_left = true;
    }
    if (part->left == 0 || (alone && (!part->alone_left || part->sent > 0))) return false;
    part->left--;
    if (alone) part->alone_left = false;
    return true;
}

static int64_t try_caches(rondo_loop *loop, fs_request *request) {
    const rondo__fs_op *op = request->op;
    if (!op->cached || position_is_taken(loop, request) || !may_try(loop, op->alone))
        return RONDO__FS_WAIT;
    int64_t result = op->cached(&request->call);
    rondo__count_cached(loop, result != RONDO__FS_WAIT);
    return result;
}

/* Sends it to a worker. On failure the request is still the caller's. */
static int submit(rondo_loop *loop, fs_request *request) {
    unsigned needs = request->op->needs;
    rondo_lane *lane = rondo_lane_fs(loop);
    if (!lane) return RONDO_ENOMEM;
    request->counted =
        (needs & RONDO__FS_POSITION) || ((needs & RONDO__FS_BUFFER) && request->call.offset < 0);
    if (request->counted) ++*rondo__pool_at_position(loop);
    int error = rondo__job_submit(lane, &request->base, (needs & RONDO__FS_MUST_RUN) != 0);
    if (error < 0) {
        uncount(request);
        return error;
    }
    fs_part *part = rondo__loop_part(loop, RONDO__PART_FS);
    if (part) part->sent++;
    request->sent = part != NULL;
    return 0;
}

int rondo__fs_start(rondo_loop *loop, const rondo__fs_op *op, const rondo__fs_call *call,
                    rondo_job **ret_job, rondo__fn cb, void *arg) {
    rondo__fs_call checked = *call;
    fs_request *request = NULL;
    int error = cb ? check(op, &checked) : RONDO_EINVAL;
    if (error == 0) error = new_request(loop, op, &checked, &request);
    if (error < 0) return error;
    request->cb = cb;
    request->arg = arg;
    int64_t result = try_caches(loop, request);
    if (result == RONDO__FS_WAIT) {
        error = submit(loop, request);
        if (error < 0 && (op->needs & RONDO__FS_BUFFER) && request->call.done > 0)
            /* Better than nothing, and the position may have moved. */
            result = (int64_t)request->call.done;
        else if (error == RONDO_EAGAIN && (op->needs & RONDO__FS_MUST_RUN))
            /* No thread can be started. A caller could do nothing but try again for ever, and this
             * may well be what ends the shortage: it is done now, at the price of a wait. */
            result = op->run(&request->call);
        else if (error < 0) {
            rondo__request_free(&request->base);
            return error;
        }
    }
    if (result != RONDO__FS_WAIT) rondo__job_complete(loop, &request->base, result);
    if (ret_job) *ret_job = &request->base;
    return 0;
}

int64_t rondo__fs_now(const rondo__fs_op *op, rondo__fs_call *call) {
    int64_t result = check(op, call);
    if (result < 0) return result;
    do {
        result = op->run(call);
    } while (result == RONDO__FS_MORE);
    return result;
}
