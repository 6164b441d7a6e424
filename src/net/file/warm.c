/* SPDX-License-Identifier: MIT
 *
 * Warming files. Whether a piece is in the page cache is asked at its ends and every 128 KiB, the
 * kernel's usual read-ahead: what it reads it reads in such pieces, and a page between that was
 * dropped by itself costs a single wait. cachestat(2) counts pages that are still being read, and
 * mincore(2) says nothing of files of others. What is not there a worker reads, to the last page.
 *
 * The job has a descriptor of its own and nothing of the stream, which may close meanwhile.
 */
#include "net/file/warm.h"

#include <rondo/error.h>

#include "net/duplex.h"
#include "net/file/calls.h"
#include "threadpool/job.h"

#define SAMPLE_BYTES ((uint64_t)128 * 1024)

struct rondo__warming {
    rondo_job job;
    rondo_stream *stream; /* NULL: forgotten */
    int fd;
    uint64_t offset, len;
};

static int64_t look_at(int fd, uint64_t offset) {
    char byte;
    return rondo__file_read_now(fd, RONDO__FILE_CACHED, &byte, 1, (int64_t)offset);
}

static bool is_warm(int fd, uint64_t offset, uint64_t len) {
    for (uint64_t at = 0; at < len; at += SAMPLE_BYTES) {
        int64_t status = look_at(fd, offset + at);
        if (status == RONDO_ENOTSUP) return rondo__file_cache_of(fd) == RONDO__FILE_MEMORY;
        if (status < 0) return false;
    }
    return look_at(fd, offset + len - 1) >= 0;
}

static int64_t run_warm(rondo_job *job) {
    rondo__warming *self = (rondo__warming *)job;
    rondo__file_warm(self->fd, self->offset, self->len, job);
    rondo__file_close(self->fd);
    return 0;
}

static void deliver_warm(rondo_loop *loop, rondo_job *job, int64_t result) {
    rondo__warming *self = (rondo__warming *)job;
    rondo_stream *stream = self->stream;
    (void)loop;
    if (result == RONDO_ECANCELED) rondo__file_close(self->fd);
    if (stream) {
        rondo__segment *file = stream->out->first;
        RONDO_ASSERT(stream->out->warming == self && file->kind == RONDO__SEGMENT_FILE);
        stream->out->warming = NULL;
        file->file.warm = self->len; /* what could not be read, sendfile finds again */
    }
    rondo__request_free(job);
    if (stream) rondo__stream_warmed(stream);
}

/* Abandoned: the stream has gone. */
static void tell_nobody(rondo_loop *loop, rondo_job *job, int64_t result) {
    (void)loop, (void)job, (void)result;
}

static void drop_warm(rondo_job *job) {
    if (job->result == RONDO_ECANCELED) rondo__file_close(((rondo__warming *)job)->fd);
    rondo__request_free(job);
}

static int start_warming(rondo_stream *stream, const rondo__segment *file, uint64_t len) {
    rondo_loop *loop = stream->base.loop;
    rondo_lane *lane = rondo_lane_fs(loop);
    rondo_job *job;
    int status = lane ? rondo__request_new(loop, sizeof(rondo__warming), &job) : RONDO_ENOMEM;
    if (status < 0) return status;
    rondo__warming *self = (rondo__warming *)job;
    job->run = run_warm;
    job->deliver = deliver_warm;
    job->tell = tell_nobody;
    job->drop = drop_warm;
    job->keeps_result = true;
    job->weak = true; /* the stream keeps the loop alive */
    self->stream = stream;
    self->offset = file->file.offset;
    self->len = len;
    status = self->fd = rondo__file_copy_fd(file->file.fd);
    if (status >= 0 && (status = rondo__job_submit(lane, job, false)) < 0)
        rondo__file_close(self->fd);
    if (status < 0)
        rondo__request_free(job);
    else
        stream->out->warming = self;
    return status;
}

int rondo__warm(rondo_stream *stream, rondo__segment *file) {
    uint64_t len = file->left < RONDO__WARM_BYTES ? file->left : RONDO__WARM_BYTES;
    if (stream->out->warming) return RONDO_EAGAIN;
    if (file->file.warm > 0) return 0;
    if (!is_warm(file->file.fd, file->file.offset, len) && start_warming(stream, file, len) == 0)
        return RONDO_EAGAIN;
    /* Where no worker can be had, it is sent as it is, at the price of a wait. */
    file->file.warm = len;
    return 0;
}

void rondo__warm_forget(rondo__warming *warming) {
    warming->stream = NULL;
    /* A dead network file system must hold neither the lane's thread nor the end of the loop. */
    if (rondo_job_abandon(&warming->job) == RONDO_EBUSY) rondo_job_cancel(&warming->job);
}
