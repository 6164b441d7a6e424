/* SPDX-License-Identifier: MIT
 *
 * A file that is read. What is in the page cache goes straight into the loop's receive buffer; for the
 * rest a worker reads ahead, one buffer of the read high-water mark. A file that can't be read
 * without waiting has the worker read the next piece while the last one is told; for others the
 * kernel reads ahead, better than we could.
 */
#include <rondo/error.h>

#include <string.h>

#include "net/file/file.h"
#include "net/file/warm.h"

static int64_t run_fill(rondo_job *job) {
    rondo__file *file = RONDO__OF(job, rondo__file, job);
    bool starves = rondo__file_may_starve(file->fd);
    atomic_store(&file->heeds, starves);
    int64_t count =
        rondo__file_read(file->fd, file->buffer, file->want, file->offset, starves, job);
    file->came = count > 0 ? (size_t)count : 0;
    return count;
}

void rondo__file_unread_ahead(rondo__file *file) {
    uint64_t untold = file->ahead + file->came;
    if (file->offset < 0 && untold > 0) rondo__file_unread(file->fd, untold);
    file->ahead = file->came = 0;
}

static void count_read(rondo__file *file, uint64_t count) {
    if (file->offset >= 0) file->offset += (int64_t)count;
    file->left -= count;
}

static void filled(rondo__file *file, int64_t result) {
    file->at = 0;
    file->ahead = file->came;
    file->came = 0;
    count_read(file, file->ahead);
    if (result == 0) file->ended = true;
    if (result < 0) file->error = (int)result;
}

/* Has a worker read what comes next. */
static int start_filling(rondo__file *file) {
    size_t want = file->stream->extra->read_most;
    if (want > file->left) want = (size_t)file->left;
    int status = rondo__file_need_buffer(file, want);
    if (status < 0) return status;
    file->want = want;
    return rondo__file_start(file, run_fill, filled);
}

static int64_t take_ahead(rondo__file *file, void *buffer, size_t size) {
    size_t len = file->ahead < size ? file->ahead : size;
    memcpy(buffer, file->buffer + file->at, len);
    file->at += len;
    file->ahead -= len;
    if (file->ahead > 0) return (int64_t)len;
    bool more = file->left > 0 && !file->error;
    if (!more || file->cache != RONDO__FILE_UNCACHED)
        rondo__file_drop_buffer(file);
    else
        start_filling(file); /* if it can't be, the next read finds out */
    return (int64_t)len;
}

static int64_t reader_read(rondo_stream *stream, void *buffer, size_t size) {
    rondo__file *file = rondo__file_of(stream);
    if (file->ahead > 0) return take_ahead(file, buffer, size);
    if (file->busy) return RONDO_EAGAIN;
    if (file->error) return file->error;
    if (file->ended || file->left == 0) return 0;
    if (size > file->left) size = (size_t)file->left;
    int64_t count = rondo__file_read_now(file->fd, file->cache, buffer, size, file->offset);
    if (count > 0) count_read(file, (uint64_t)count);
    if (count == 0) file->ended = true;
    if (count >= 0) return count;
    if (count == RONDO_ENOTSUP) file->cache = RONDO__FILE_UNCACHED;
    int status = start_filling(file);
    return status < 0 ? status : RONDO_EAGAIN;
}

/* What is worth a system call of its own, from where the kernel can tell how much there is. */
static int64_t reader_offer(rondo_stream *stream, rondo_stream *dst) {
    rondo__file *file = rondo__file_of(stream);
    bool waits = file->ahead > 0 || file->busy || file->error || file->ended;
    if (waits || file->offset < 0 || file->cache == RONDO__FILE_UNCACHED) return RONDO_ENOTSUP;
    int64_t rest = rondo__file_size(file->fd) - file->offset;
    if (rest > 0 && (uint64_t)rest > file->left) rest = (int64_t)file->left;
    if (rest <= (int64_t)RONDO__RECEIVE_BYTES) return RONDO_ENOTSUP;
    if (rest > (int64_t)RONDO__WARM_BYTES) rest = (int64_t)RONDO__WARM_BYTES;
    /* One of its own, since this stream may close while it waits in the queue. */
    int fd = rondo__file_copy_fd(file->fd);
    if (fd < 0) return RONDO_ENOTSUP;
    if (rondo__out_file(dst, fd, (uint64_t)file->offset, (uint64_t)rest, true) < 0) {
        rondo__file_close(fd);
        return RONDO_ENOTSUP;
    }
    count_read(file, (uint64_t)rest);
    return rest;
}

const rondo__transport rondo__file_reader = {
    .name = "file",
    .watch = rondo__file_watch,
    .read = reader_read,
    .offer = reader_offer,
    .stop = rondo__file_stop,
    .free = rondo__file_free,
};
