/* SPDX-License-Identifier: MIT
 *
 * rondo_fs_read() and rondo_fs_write(), of one buffer or many. A read first takes what is in the
 * page cache, on the loop thread; a worker gets what remains, if the file has more.
 */

#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/cached.h"
#include "fs/call.h"
#include "loop/sigpipe.h"

/* Parts given to one system call: 4 KiB of stack. IOV_MAX would be 1024. */
enum { PARTS = 256 };

/* What is left of the buffer or the parts, as far as there is room. Empty parts are left out: a call
 * on nothing else would look like the end of the file. */
static int gather(const rondo__fs_call *call, struct iovec parts[PARTS], size_t *ret_len) {
    int used = 0;
    if (call->part_count == 0) {
        parts[0] = (struct iovec){call->buffer ? (char *)call->buffer + call->done : NULL,
                                  call->len - call->done};
        *ret_len = parts[0].iov_len;
        return 1;
    }
    *ret_len = 0;
    for (size_t i = call->part_at; i < call->part_count && used < PARTS; i++) {
        rondo_buffer part = rondo__fs_part(call, i);
        size_t begin = i == call->part_at ? call->part_done : 0;
        if (part.len == begin) continue;
        parts[used++] = (struct iovec){part.data + begin, part.len - begin};
        *ret_len += part.len - begin;
    }
    return used;
}

/* So many bytes more are done. */
static void advance(rondo__fs_call *call, size_t moved) {
    call->done += moved;
    if (call->part_count == 0) return;
    moved += call->part_done;
    while (call->part_at < call->part_count) {
        size_t len = rondo__fs_part(call, call->part_at).len;
        if (moved < len) break;
        moved -= len;
        call->part_at++;
    }
    call->part_done = moved;
}

typedef ssize_t vector_call(int fd, const struct iovec *parts, int count);
typedef ssize_t vector_call_at(int fd, const struct iovec *parts, int count, off_t offset);

/* One system call on the next parts. Returns the bytes moved, or a negative error. ret_wanted: how
 * many it could have been. */
static int64_t move(rondo__fs_call *call, vector_call *at_position, vector_call_at *at_offset,
                    size_t *ret_wanted) {
    struct iovec parts[PARTS];
    int count = gather(call, parts, ret_wanted);
    off_t offset = call->offset < 0 ? -1 : (off_t)(call->offset + (int64_t)call->done);
    ssize_t moved;
    RONDO__RETRY(moved, offset < 0 ? at_position(call->fd, parts, count)
                                   : at_offset(call->fd, parts, count, offset));
    if (moved < 0) return rondo__errno();
    advance(call, (size_t)moved);
    return moved;
}

/* ---- read ---- */

static bool is_regular(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int64_t run_read(rondo__fs_call *call) {
    size_t wanted;
    int64_t got;
    do {
        got = move(call, readv, preadv, &wanted);
        /* Only a file has the rest at once; a pipe might keep us waiting for it. */
    } while (got > 0 && (size_t)got == wanted && call->done < call->len && is_regular(call->fd));
    /* What was read is delivered; the error waits for the next read. */
    return got < 0 && call->done == 0 ? got : (int64_t)call->done;
}

/* The worker reads it again, so that canceling the read until then leaves the position where it was.
 * False when there is no way back. */
static bool take_back(const rondo__fs_call *call, int64_t got) {
    return call->offset < 0 && lseek(call->fd, -(off_t)got, SEEK_CUR) >= 0;
}

static int64_t cached_read(rondo__fs_call *call) {
    struct iovec parts[PARTS];
    size_t len;
    bool final = false;
    int count = gather(call, parts, &len);
    if (len < call->len) return RONDO__FS_WAIT;
    int64_t got = rondo__cached_read(call->fd, parts, count, len, call->offset, &final);
    if (got >= 0 && final) return got;
    if (got > 0 && !take_back(call, got)) advance(call, (size_t)got);
    return RONDO__FS_WAIT;
}

static const rondo__fs_op read_op = {.event = {"fs.read", rondo__fs_thunk},
                                     .run = run_read,
                                     .cached = cached_read,
                                     .needs = RONDO__FS_BUFFER};

int rondo_fs_read(rondo_loop *loop, int fd, void *buffer, size_t len, int64_t offset,
                  rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.fd = fd, .buffer = buffer, .len = len, .offset = offset};
    return rondo__fs_start(loop, &read_op, &call, ret_job, RONDO__FN(cb), arg);
}

int64_t rondo_fs_read_sync(int fd, void *buffer, size_t len, int64_t offset) {
    rondo__fs_call call = {.fd = fd, .buffer = buffer, .len = len, .offset = offset};
    return rondo__fs_now(&read_op, &call);
}

int rondo_fs_readv(rondo_loop *loop, int fd, const rondo_buffer *buffers, size_t count,
                   int64_t offset, rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.fd = fd, .parts = buffers, .part_count = count, .offset = offset};
    return rondo__fs_start(loop, &read_op, &call, ret_job, RONDO__FN(cb), arg);
}

int64_t rondo_fs_readv_sync(int fd, const rondo_buffer *buffers, size_t count, int64_t offset) {
    rondo__fs_call call = {.fd = fd, .parts = buffers, .part_count = count, .offset = offset};
    return rondo__fs_now(&read_op, &call);
}

/* ---- write ---- */

static int64_t run_write(rondo__fs_call *call) {
    size_t wanted;
    do { /* at least once: an empty write, too, says whether writing is possible */
        int64_t put = move(call, writev, pwritev, &wanted);
        if (put < 0) return put;
        if (put == 0 && call->done < call->len) return RONDO_EIO; /* or it would go on for ever */
    } while (call->done < call->len);
    return (int64_t)call->done;
}

static const rondo__fs_op write_op = {
    .event = {"fs.write", rondo__fs_thunk}, .run = run_write, .needs = RONDO__FS_BUFFER};

/* On a worker all signals are blocked; who calls the synchronous form may have none blocked. */
static int64_t write_now(rondo__fs_call *call) {
    rondo__sigpipe guard;
    rondo__sigpipe_block(&guard);
    int64_t result = rondo__fs_now(&write_op, call);
    rondo__sigpipe_restore(&guard, result == RONDO_EPIPE);
    return result;
}

int rondo_fs_write(rondo_loop *loop, int fd, const void *data, size_t len, int64_t offset,
                   rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {
        .fd = fd, .buffer = (void *)(uintptr_t)data, .len = len, .offset = offset};
    return rondo__fs_start(loop, &write_op, &call, ret_job, RONDO__FN(cb), arg);
}

int64_t rondo_fs_write_sync(int fd, const void *data, size_t len, int64_t offset) {
    rondo__fs_call call = {
        .fd = fd, .buffer = (void *)(uintptr_t)data, .len = len, .offset = offset};
    return write_now(&call);
}

int rondo_fs_writev(rondo_loop *loop, int fd, const rondo_slice *pieces, size_t count,
                    int64_t offset, rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = {.fd = fd, .parts = pieces, .part_count = count, .offset = offset};
    return rondo__fs_start(loop, &write_op, &call, ret_job, RONDO__FN(cb), arg);
}

int64_t rondo_fs_writev_sync(int fd, const rondo_slice *pieces, size_t count, int64_t offset) {
    rondo__fs_call call = {.fd = fd, .parts = pieces, .part_count = count, .offset = offset};
    return write_now(&call);
}
