/* SPDX-License-Identifier: MIT
 *
 * A file that is written. The queue is the stream's: a piece of its front is copied for the worker,
 * and taken off when the kernel has it. So what is queued, what is lent and what is an error are as
 * with a socket, and what the stream drops may go at once, whatever the worker is at. The price is a
 * copy; what it would save is less than the trip to the worker costs (docs/decisions/0008).
 */
#include <rondo/error.h>

#include <string.h>

#include "net/file/file.h"

/* ---- pieces ---- */

/* A piece of another file, for the buffer. */
static int64_t load_source(rondo__file *file, const rondo_job *job) {
    size_t len = 0;
    int64_t count = 0;
    bool starves = rondo__file_may_starve(file->source);
    while (len < file->given) {
        count = rondo__file_read(file->source, file->buffer + len, file->given - len,
                                 (int64_t)(file->source_offset + len), starves, job);
        if (count <= 0) break;
        len += (size_t)count;
    }
    rondo__file_close(file->source);
    file->source = -1;
    file->given = len;
    return len > 0 ? 1 : count; /* the same error comes again, when it is at the front */
}

static int64_t run_write(rondo_job *job) {
    rondo__file *file = RONDO__OF(job, rondo__file, job);
    int error = 0;
    file->done = 0;
    if (file->source >= 0) {
        int64_t status = load_source(file, job);
        if (status <= 0) return status < 0 ? status : RONDO_EIO; /* it has become shorter */
    }
    file->done = rondo__file_write(file->fd, file->buffer, file->given, file->offset, job, &error);
    return error;
}

static void written(rondo__file *file, int64_t result) {
    if (file->offset >= 0) file->offset += (int64_t)file->done;
    if (result < 0) file->error = (int)result;
}

/* What the last job has written: a part of what is at the front of the queue. It is told once. */
static size_t take_done(rondo__file *file) {
    size_t done = file->done;
    file->done = 0;
    return done;
}

/* One that is a standard stream, until what it is at is done. */
static void keep_alive(rondo__file *file) {
    if (file->standard) rondo__handle_activate(&file->stream->base);
}

static int writer_flush(rondo_stream *stream) {
    if (rondo__file_of(stream)->standard) rondo__handle_deactivate(&stream->base);
    return 0;
}

/* Copies what is behind the first `skip` bytes. */
static void copy_pieces(rondo__file *file, const struct iovec *iov, int count, size_t skip) {
    file->given = 0;
    for (int i = 0; i < count && file->given < file->size; i++) {
        size_t len = iov[i].iov_len, part = skip < len ? skip : len;
        const char *from = (const char *)iov[i].iov_base + part;
        skip -= part;
        len -= part;
        if (len > file->size - file->given) len = file->size - file->given;
        memcpy(file->buffer + file->given, from, len);
        file->given += len;
    }
}

static int64_t writer_write(rondo_stream *stream, const struct iovec *iov, int count, int flags) {
    rondo__file *file = rondo__file_of(stream);
    size_t done = take_done(file), len = 0;
    (void)flags;
    RONDO_ASSERT(!file->busy);
    for (int i = 0; i < count; i++) len += iov[i].iov_len;
    if (file->error || len == done) {
        if (done == rondo__queued(stream)) rondo__file_drop_buffer(file);
        return done > 0 ? (int64_t)done : file->error;
    }
    len -= done;
    keep_alive(file);
    int status = rondo__file_need_buffer(file, len < RONDO__FILE_PIECE ? len : RONDO__FILE_PIECE);
    if (status == 0) {
        copy_pieces(file, iov, count, done);
        status = rondo__file_start(file, run_write, written);
    }
    if (status < 0) file->error = status;
    if (done > 0) return (int64_t)done;
    return status < 0 ? status : RONDO_EAGAIN;
}

static int64_t writer_sendfile(rondo_stream *stream, int source, uint64_t offset, uint64_t len) {
    rondo__file *file = rondo__file_of(stream);
    size_t done = take_done(file);
    if (done > 0) return (int64_t)done;
    if (file->error) return file->error;
    if (len > RONDO__FILE_PIECE) len = RONDO__FILE_PIECE;
    keep_alive(file);
    int status = rondo__file_need_buffer(file, (size_t)len);
    /* The stream may close the descriptor when it drops what is queued. */
    if (status == 0) status = rondo__file_copy_fd(source);
    if (status < 0) return status;
    file->source = status;
    file->source_offset = offset;
    file->given = (size_t)len;
    status = rondo__file_start(file, run_write, written);
    return status < 0 ? status : RONDO_EAGAIN;
}

/* ---- the end ---- */

static int64_t run_shut(rondo_job *job) {
    rondo__file *file = RONDO__OF(job, rondo__file, job);
    int fd = file->fd, status = file->sync ? rondo__file_sync(fd) : 0;
    file->fd = -1;
    int closed = rondo__file_close(fd);
    return status < 0 ? status : closed;
}

static void shut(rondo__file *file, int64_t result) {
    file->shut = true;
    if (result < 0) file->error = (int)result;
}

static int writer_shut(rondo_stream *stream) {
    rondo__file *file = rondo__file_of(stream);
    if (file->error) return file->error;
    if (file->shut) return 0;
    rondo__file_drop_buffer(file);
    rondo__file_unclaim(file);
    keep_alive(file);
    int status = rondo__file_start(file, run_shut, shut);
    return status < 0 ? status : RONDO_EAGAIN;
}

/* ---- standard streams ---- */

bool rondo__file_is_standard(const rondo_stream *stream) {
    const rondo__transport *transport = rondo__transport_of(stream);
    return transport == &rondo__file_reader || transport == &rondo__file_writer;
}

void rondo__file_settle(rondo_stream *stream) {
    rondo__file *file = rondo__file_of(stream);
    rondo__file_await(file);
    if (!file->writes) {
        rondo__file_unread_ahead(file);
        return;
    }
    size_t done = take_done(file);
    stream->bytes_out += done;
    if (done > 0 && stream->out->first->kind == RONDO__SEGMENT_FILE)
        rondo__out_advance_file(stream, done);
    else if (done > 0)
        rondo__out_advance(stream, done);
}

int64_t rondo__file_write_now(rondo_stream *stream, const char *data, size_t len) {
    rondo__file *file = rondo__file_of(stream);
    int error = file->error;
    if (error || file->fd < 0) return error ? error : RONDO_EBADF;
    size_t count = rondo__file_write(file->fd, data, len, file->offset, &file->job, &error);
    return count > 0 ? (int64_t)count : error;
}

const rondo__transport rondo__file_writer = {
    .name = "file",
    .watch = rondo__file_watch,
    .later = true,
    .write = writer_write,
    .sendfile = writer_sendfile,
    .flush = writer_flush,
    .shut = writer_shut,
    .stop = rondo__file_stop,
    .free = rondo__file_free,
};
