/* SPDX-License-Identifier: MIT
 *
 * Copying contents. See copy_data.h.
 *
 * First FICLONE (ioctl_ficlone(2): Btrfs, XFS, bcachefs, NFS 4.2 and others share the data, which
 * costs nothing), then copy_file_range(2), which spares the way through our memory, and at last
 * reading and writing. The better ways are refused for dozens of reasons, and which errno means
 * what has changed from kernel to kernel; so any refusal before the first byte only leads to the
 * next way, and the last one finds real errors again. In the middle of a file only what can't mean
 * "not so" is an error.
 *
 * copy_file_range(2) says 0 for files of /proc and the like in some kernels, though they have
 * something to read; so 0 before the end is answered by trying to read.
 */
#define _GNU_SOURCE /* copy_file_range, SEEK_DATA */
#include "fs/tree/copy_data.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fs/tree/steps.h"
#include "loop/memory.h"

enum { BUFFER_BYTES = 256 * 1024 };

void rondo__copy_data_init(rondo__copy_data *copy, int from, int to, const struct stat *source,
                           bool only_clone) {
    *copy = (rondo__copy_data){.from = from, .to = to, .only_clone = only_clone};
    copy->size = source->st_size;
    copy->to_its_end = source->st_size == 0;
    copy->sparse = (int64_t)source->st_blocks * 512 < source->st_size;
}

void rondo__copy_data_fini(rondo__copy_data *copy) {
    rondo__free(copy->buffer);
    copy->buffer = NULL;
}

/* ---- one piece ---- */

static int64_t by_kernel(rondo__copy_data *copy, int64_t bytes) {
    off_t from_at = copy->at, to_at = copy->at;
    ssize_t moved;
    RONDO__RETRY(moved, copy_file_range(copy->from, &from_at, copy->to, &to_at, (size_t)bytes, 0));
    if (moved > 0) return moved;
    if (moved < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EFBIG))
        return rondo__errno();
    copy->way = RONDO__COPY_BUFFER;
    return RONDO_EAGAIN;
}

static int write_all(const rondo__copy_data *copy, int64_t bytes) {
    for (int64_t done = 0; done < bytes;) {
        ssize_t put;
        RONDO__RETRY(put, pwrite(copy->to, copy->buffer + done, (size_t)(bytes - done),
                                 (off_t)(copy->at + done)));
        if (put < 0) return rondo__errno();
        if (put == 0) return RONDO_EIO; /* or it would go on for ever */
        done += put;
    }
    return 0;
}

static int64_t by_buffer(rondo__copy_data *copy, int64_t bytes) {
    if (!copy->buffer && !(copy->buffer = rondo__alloc(BUFFER_BYTES))) return RONDO_ENOMEM;
    if (bytes > BUFFER_BYTES) bytes = BUFFER_BYTES;
    ssize_t got;
    RONDO__RETRY(got, pread(copy->from, copy->buffer, (size_t)bytes, (off_t)copy->at));
    if (got < 0) return rondo__errno();
    int error = write_all(copy, got);
    return error < 0 ? error : got;
}

/* Returns how many bytes, 0 when the source has no more, or an error. */
static int64_t move(rondo__copy_data *copy, int64_t bytes) {
    if (copy->way == RONDO__COPY_KERNEL) {
        int64_t moved = by_kernel(copy, bytes);
        if (moved != RONDO_EAGAIN) return moved;
    }
    return by_buffer(copy, bytes);
}

/* ---- where ---- */

/* The source ends before its size of the beginning: that is the end. */
static int64_t end_of(const rondo__copy_data *copy) {
    struct stat now;
    if (fstat(copy->from, &now) < 0 || now.st_size >= copy->size) return copy->size;
    return now.st_size > copy->at ? now.st_size : copy->at;
}

/* Goes over a hole. Afterwards data lies from at to data_end, or at is the end. */
static int find_data(rondo__copy_data *copy) {
    copy->data_end = copy->to_its_end ? INT64_MAX : copy->size;
    if (!copy->sparse) return 0;
    off_t data, hole = -1;
    RONDO__RETRY(data, lseek(copy->from, (off_t)copy->at, SEEK_DATA));
    if (data < 0 && errno == ENXIO) { /* a hole up to the end */
        copy->at = copy->size = end_of(copy);
        return 0;
    }
    if (data >= 0) RONDO__RETRY(hole, lseek(copy->from, data, SEEK_HOLE));
    if (hole < 0) { /* it doesn't know of holes */
        copy->sparse = false;
        return 0;
    }
    copy->at = data < copy->size ? data : copy->size;
    if (hole < copy->data_end) copy->data_end = hole;
    return 0;
}

/* ---- all of it ---- */

static bool clone(const rondo__copy_data *copy) {
    int error;
    RONDO__RETRY(error, ioctl(copy->to, FICLONE, copy->from));
    return error == 0;
}

/* A hole at the end is made by the size. */
static int set_size(const rondo__copy_data *copy) {
    int error;
    RONDO__RETRY(error, ftruncate(copy->to, (off_t)copy->at));
    return error < 0 ? rondo__errno() : 0;
}

static int begin(rondo__copy_data *copy) {
    bool cloned = !copy->to_its_end && clone(copy);
    copy->way = RONDO__COPY_KERNEL;
    if (!cloned) return copy->only_clone && !copy->to_its_end ? RONDO_ENOTSUP : 1;
    struct stat now;
    copy->at = fstat(copy->to, &now) == 0 ? now.st_size : copy->size;
    return 0;
}

int rondo__copy_data_some(rondo__copy_data *copy, int64_t bytes) {
    if (copy->way == RONDO__COPY_CLONE) {
        int more = begin(copy);
        if (more <= 0) return more;
    }
    while (bytes > 0) {
        if (copy->at >= copy->data_end) find_data(copy);
        if (!copy->to_its_end && copy->at >= copy->size) return copy->sparse ? set_size(copy) : 0;
        int64_t left = copy->data_end - copy->at;
        int64_t moved = move(copy, left < bytes ? left : bytes);
        if (moved < 0) return (int)moved;
        if (moved == 0) return 0;
        copy->at += moved;
        bytes -= moved;
    }
    return 1;
}
