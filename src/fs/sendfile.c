/* SPDX-License-Identifier: MIT
 *
 * rondo_fs_sendfile(): from one descriptor to another, in steps, so that a long one holds no thread
 * for long and ends when it is canceled. Where the kernel can't do it by itself (from a pipe, from
 * much of /proc, to a file that appends) it goes through a buffer.
 */
#include <rondo/error.h>

#include <sys/sendfile.h>
#include <unistd.h>

#include "fs/call.h"
#include "loop/memory.h"
#include "loop/sigpipe.h"

/* What one step moves at most. */
#define STEP_BYTES ((size_t)1 << 20)
#define COPY_BYTES ((size_t)64 << 10)

/* call->flags: the kernel was asked, and can't. */
enum { BY_KERNEL, BY_COPYING };

static int64_t send_piece(const rondo__fs_call *call, size_t len) {
    off_t at = (off_t)(call->offset + (int64_t)call->done);
    RONDO__FS_RETURN(sendfile(call->fd, call->fd2, call->offset < 0 ? NULL : &at, len));
}

static int64_t read_piece(const rondo__fs_call *call, char *buffer, size_t len) {
    off_t at = (off_t)(call->offset + (int64_t)call->done);
    RONDO__FS_RETURN(call->offset < 0 ? read(call->fd2, buffer, len)
                                      : pread(call->fd2, buffer, len, at));
}

static int64_t write_some(const rondo__fs_call *call, const char *data, size_t len) {
    RONDO__FS_RETURN(write(call->fd, data, len));
}

static int64_t copy_piece(const rondo__fs_call *call, size_t len) {
    char *buffer = rondo__alloc(COPY_BYTES);
    if (!buffer) return RONDO_ENOMEM;
    int64_t got = read_piece(call, buffer, len < COPY_BYTES ? len : COPY_BYTES);
    int64_t put = 0, result = got;
    while (put < got) {
        result = write_some(call, buffer + put, (size_t)(got - put));
        if (result <= 0) break;
        put += result;
    }
    rondo__free(buffer);
    if (got <= 0 || put == got) return got;
    /* What was read and not written is for the next call, if it can be read again. */
    if (call->offset < 0) lseek(call->fd2, (off_t)(put - got), SEEK_CUR);
    if (put > 0) return put;
    return result < 0 ? result : RONDO_EIO; /* a write that moves nothing would go on for ever */
}

static int64_t run_sendfile(rondo__fs_call *call) {
    if (call->offset < -1 || call->len > INT64_MAX ||
        (call->offset > 0 && (int64_t)call->len > INT64_MAX - call->offset))
        return RONDO_EINVAL;
    size_t left = call->len - call->done;
    size_t len = left < STEP_BYTES ? left : STEP_BYTES;
    int64_t moved = RONDO_EINVAL;
    if (call->flags == BY_KERNEL) {
        moved = send_piece(call, len);
        bool cant = moved == RONDO_EINVAL || moved == RONDO_ENOSYS || moved == RONDO_ESPIPE;
        if (cant && call->done == 0) call->flags = BY_COPYING;
    }
    if (call->flags == BY_COPYING) moved = copy_piece(call, len);
    if (moved < 0) return call->done > 0 ? (int64_t)call->done : moved;
    call->done += (size_t)moved;
    return moved == 0 || call->done == call->len ? (int64_t)call->done : RONDO__FS_MORE;
}

static const rondo__fs_op sendfile_op = {.event = {"fs.sendfile", rondo__fs_thunk},
                                         .run = run_sendfile,
                                         .needs = RONDO__FS_STEPS | RONDO__FS_POSITION};

static rondo__fs_call sendfile_call(int to_fd, int from_fd, int64_t offset, uint64_t len) {
    return (rondo__fs_call){.fd = to_fd,
                            .fd2 = from_fd,
                            .flags = BY_KERNEL,
                            .offset = offset,
                            .len = len > SIZE_MAX ? SIZE_MAX : (size_t)len};
}

int rondo_fs_sendfile(rondo_loop *loop, int to_fd, int from_fd, int64_t offset, uint64_t len,
                      rondo_job **ret_job, rondo_fs_cb cb, void *arg) {
    const rondo__fs_call call = sendfile_call(to_fd, from_fd, offset, len);
    return rondo__fs_start(loop, &sendfile_op, &call, ret_job, RONDO__FN(cb), arg);
}

int64_t rondo_fs_sendfile_sync(int to_fd, int from_fd, int64_t offset, uint64_t len) {
    rondo__fs_call call = sendfile_call(to_fd, from_fd, offset, len);
    rondo__sigpipe guard;
    rondo__sigpipe_block(&guard);
    int64_t result = rondo__fs_now(&sendfile_op, &call);
    /* After a part the error is not in the result. */
    rondo__sigpipe_restore(&guard, result == RONDO_EPIPE || (uint64_t)result < len);
    return result;
}
