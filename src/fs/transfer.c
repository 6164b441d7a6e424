/* SPDX-License-Identifier: MIT
 *
 * rondo_fs_read() and rondo_fs_write(). A read first takes what is in the page cache, on the loop
 * thread; a worker gets what remains, if the file has more.
 */
#include <rondo/error.h>

#include <errno.h>
#include <unistd.h>

#include "fs/cached.h"
#include "fs/request.h"
#include "loop/assert.h"

typedef struct transfer_request {
    rondo__fs_request base;
    int fd;
    bool counted; /* in rondo__pool_at_position() */
    char *buffer; /* a write only reads it */
    size_t len;
    size_t done;    /* bytes read before a worker had it */
    int64_t offset; /* of the first byte; -1: at the file's position */
} transfer_request;

static ssize_t read_some(const transfer_request *request, size_t at) {
    ssize_t got;
    do {
        got = request->offset < 0 ? read(request->fd, request->buffer + at, request->len - at)
                                  : pread(request->fd, request->buffer + at, request->len - at,
                                          (off_t)(request->offset + (int64_t)at));
    } while (got < 0 && errno == EINTR);
    return got;
}

static ssize_t write_some(const transfer_request *request, size_t at) {
    ssize_t put;
    do {
        put = request->offset < 0 ? write(request->fd, request->buffer + at, request->len - at)
                                  : pwrite(request->fd, request->buffer + at, request->len - at,
                                           (off_t)(request->offset + (int64_t)at));
    } while (put < 0 && errno == EINTR);
    return put;
}

static int64_t run_read(rondo_job *job) {
    const transfer_request *request = (const transfer_request *)job;
    ssize_t got = read_some(request, request->done);
    if (got >= 0) return (int64_t)request->done + got;
    /* What was read is delivered; the error waits for the next read. */
    return request->done > 0 ? (int64_t)request->done : rondo__fs_error();
}

static int64_t run_write(rondo_job *job) {
    const transfer_request *request = (const transfer_request *)job;
    size_t done = 0;
    do { /* at least once: an empty write, too, says whether writing is possible */
        ssize_t put = write_some(request, done);
        if (put < 0) return rondo__fs_error();
        if (put == 0 && done < request->len) return RONDO_EIO; /* or it would go on for ever */
        done += (size_t)put;
    } while (done < request->len);
    return (int64_t)done;
}

static void uncount(rondo_job *job) {
    if (!((transfer_request *)job)->counted) return;
    unsigned *count = rondo__pool_at_position(job->loop);
    RONDO_ASSERT(*count > 0);
    --*count;
}

static void deliver_transfer(rondo_loop *loop, rondo_job *job, int64_t result) {
    uncount(job);
    rondo__fs_deliver(loop, job, result);
}

static void drop_transfer(rondo_job *job) {
    uncount(job);
    rondo__request_free(job);
}

static const rondo__fs_kind read_kind = {.event = {"fs.read", rondo__fs_thunk},
                                         .run = run_read,
                                         .deliver = deliver_transfer,
                                         .drop = drop_transfer};
static const rondo__fs_kind write_kind = {.event = {"fs.write", rondo__fs_thunk},
                                          .run = run_write,
                                          .deliver = deliver_transfer,
                                          .drop = drop_transfer};

static int new_transfer(rondo_loop *loop, const rondo__fs_kind *kind, int fd, const void *buffer,
                        size_t len, int64_t offset, rondo_fs_cb cb, void *arg,
                        transfer_request **ret_request) {
    rondo_job *job;
    if (!cb || (!buffer && len > 0) || len > INT64_MAX || offset < -1) return RONDO_EINVAL;
    if (offset > 0 && (int64_t)len > INT64_MAX - offset) return RONDO_EINVAL;
    int error = rondo__fs_new(loop, kind, sizeof(transfer_request), RONDO__FN(cb), arg, &job);
    if (error < 0) return error;
    transfer_request *request = (transfer_request *)job;
    request->fd = fd;
    request->buffer = (char *)(uintptr_t)buffer;
    request->len = len;
    request->done = 0;
    request->offset = offset;
    *ret_request = request;
    return 0;
}

/* Sends it to a worker. On failure the request is still the caller's. */
static int submit_transfer(rondo_loop *loop, transfer_request *request, rondo_job **ret_job) {
    rondo_job *job = &request->base.base;
    request->counted = request->offset < 0;
    if (request->counted) ++*rondo__pool_at_position(loop);
    int error = rondo__fs_submit(loop, job, ret_job);
    if (error < 0) uncount(job);
    return error;
}

static void complete_transfer(rondo_loop *loop, transfer_request *request, int64_t result,
                              rondo_job **ret_job) {
    request->counted = false;
    rondo__job_complete(loop, &request->base.base, result);
    if (ret_job) *ret_job = &request->base.base;
}

int rondo_fs_read(rondo_loop *loop, int fd, void *buffer, size_t len, int64_t offset,
                  rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    transfer_request *request;
    int error = new_transfer(loop, &read_kind, fd, buffer, len, offset, cb, arg, &request);
    if (error < 0) return error;
    int64_t got = -1;
    bool final = false;
    if (offset >= 0 || *rondo__pool_at_position(loop) == 0)
        got = rondo__cached_read(fd, buffer, len, offset, &final);
    if (got >= 0 && final) {
        complete_transfer(loop, request, got, ret_job);
        return 0;
    }
    if (got > 0) request->done = (size_t)got;
    error = submit_transfer(loop, request, ret_job);
    if (error == 0) return 0;
    if (got > 0) { /* what was read must not be lost: the position has moved */
        complete_transfer(loop, request, got, ret_job);
        return 0;
    }
    rondo__request_free(&request->base.base);
    return error;
}

int rondo_fs_write(rondo_loop *loop, int fd, const void *data, size_t len, int64_t offset,
                   rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    transfer_request *request;
    int error = new_transfer(loop, &write_kind, fd, data, len, offset, cb, arg, &request);
    if (error < 0) return error;
    error = submit_transfer(loop, request, ret_job);
    if (error < 0) rondo__request_free(&request->base.base);
    return error;
}
