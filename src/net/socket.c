/* SPDX-License-Identifier: MIT
 *
 * System calls that move bytes through sockets and pipes, and those of their birth and end. See
 * socket.h.
 */
#define _GNU_SOURCE /* SOCK_NONBLOCK, splice, pipe2 */
#include "net/socket.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop/sigpipe.h"
#include "net/socket_calls.h"

#if defined(__linux__)
#include <sys/sendfile.h>
#endif

/* ---- bytes ---- */

int64_t rondo__socket_read(int fd, void *buffer, size_t size) {
    ssize_t count;
    RONDO__RETRY(count, read(fd, buffer, size));
    return count < 0 ? rondo__socket_failure() : count;
}

int64_t rondo__socket_receive(int fd, void *buffer, size_t size) {
    ssize_t count;
    RONDO__RETRY(count, recv(fd, buffer, size, MSG_DONTWAIT));
    return count < 0 ? rondo__socket_failure() : count;
}

int64_t rondo__socket_read_line(int fd, char *buffer, size_t size) {
    ssize_t count;
    RONDO__RETRY(count, recv(fd, buffer, size, MSG_PEEK | MSG_DONTWAIT));
    if (count <= 0) return count < 0 ? rondo__socket_failure() : 0;
    const char *lf = memchr(buffer, '\n', (size_t)count);
    return rondo__socket_receive(fd, buffer, lf ? (size_t)(lf + 1 - buffer) : (size_t)count);
}

int rondo__socket_peek(int fd) {
    char byte;
    ssize_t count;
    RONDO__RETRY(count, recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT));
    return count < 0 ? rondo__socket_failure() : (int)count;
}

static ssize_t write_pipe(int fd, const struct iovec *iov, int count) {
    rondo__sigpipe guard;
    ssize_t written, want = 0;
    for (int i = 0; i < count; i++) want += (ssize_t)iov[i].iov_len;
    rondo__sigpipe_block(&guard);
    RONDO__RETRY(written, writev(fd, iov, count));
    rondo__sigpipe_restore(&guard, written < 0 ? errno == EPIPE : written < want);
    return written;
}

static ssize_t send_pieces(int fd, const struct iovec *iov, int count, int how) {
    struct msghdr message = {
        .msg_iov = (struct iovec *)(uintptr_t)iov, /* only read */
        .msg_iovlen = (size_t)count,
    };
    return sendmsg(fd, &message, how);
}

int64_t rondo__socket_write(int fd, const struct iovec *iov, int count, int flags) {
    int how = MSG_NOSIGNAL | (flags & RONDO__SEND_MORE ? MSG_MORE : 0) |
              (flags & RONDO__SEND_NOWAIT ? MSG_DONTWAIT : 0);
    ssize_t written;
    if (flags & RONDO__SEND_PIPE) {
        written = write_pipe(fd, iov, count);
    } else if (count == 1) {
        RONDO__RETRY(written, send(fd, iov->iov_base, iov->iov_len, how));
    } else {
        RONDO__RETRY(written, send_pieces(fd, iov, count, how));
    }
    return written < 0 ? rondo__socket_failure() : written;
}

int64_t rondo__socket_sendfile(int fd, int file, uint64_t offset, uint64_t len) {
#if defined(__linux__)
    rondo__sigpipe guard;
    off_t from = (off_t)offset;
    size_t want = len > 0x7ffff000 ? 0x7ffff000 : (size_t)len; /* the most that it moves at once */
    ssize_t moved;
    rondo__sigpipe_block(&guard);
    RONDO__RETRY(moved, sendfile(fd, file, &from, want));
    /* A reset in the middle raises the signal and still returns how much was moved before it. */
    rondo__sigpipe_restore(&guard, moved < 0 ? errno == EPIPE : (size_t)moved < want);
    return moved < 0 ? rondo__socket_failure() : moved;
#else
    (void)fd, (void)file, (void)offset, (void)len;
    return RONDO_ENOSYS; /* the caller reads and writes instead */
#endif
}

int rondo__socket_new_pipe(size_t bytes, int ret_fds[2]) {
    if (pipe2(ret_fds, O_CLOEXEC | O_NONBLOCK) < 0) return rondo__socket_failure();
#if defined(F_SETPIPE_SZ)
    /* Refused to a user who has very many of them: then it is smaller. */
    fcntl(ret_fds[1], F_SETPIPE_SZ, (int)bytes);
#endif
    return 0;
}

int64_t rondo__socket_splice_in(int fd, int pipe, size_t len) {
#if defined(__linux__)
    ssize_t moved;
    RONDO__RETRY(moved, splice(fd, NULL, pipe, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
    return moved < 0 ? rondo__socket_failure() : moved;
#else
    (void)fd, (void)pipe, (void)len;
    return RONDO_ENOSYS; /* the caller reads and writes instead */
#endif
}

int64_t rondo__socket_splice_out(int fd, int pipe, size_t len) {
#if defined(__linux__)
    rondo__sigpipe guard;
    ssize_t moved;
    rondo__sigpipe_block(&guard);
    RONDO__RETRY(moved, splice(pipe, NULL, fd, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
    rondo__sigpipe_restore(&guard, moved < 0 ? errno == EPIPE : (size_t)moved < len);
    return moved < 0 ? rondo__socket_failure() : moved;
#else
    (void)fd, (void)pipe, (void)len;
    return RONDO_ENOSYS;
#endif
}

int64_t rondo__socket_read_file(int file, void *buffer, size_t size, uint64_t offset) {
    ssize_t count;
    RONDO__RETRY(count, pread(file, buffer, size, (off_t)offset));
    return count < 0 ? rondo__socket_failure() : count;
}

/* ---- life ---- */

int rondo__socket_set_flags(int fd) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return rondo__socket_failure();
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return rondo__socket_failure();
    return 0;
}

int rondo__socket_new(int family) {
#if defined(__linux__)
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? rondo__socket_failure() : fd;
#else
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd < 0) return rondo__socket_failure();
    int status = rondo__socket_set_flags(fd);
    if (status < 0) close(fd);
    return status < 0 ? status : fd;
#endif
}

static int set_buffer(int fd, int option, uint32_t bytes) {
    int value = (int)bytes;
    if (bytes == 0 || setsockopt(fd, SOL_SOCKET, option, &value, sizeof value) == 0) return 0;
    return rondo__socket_failure();
}

int rondo__socket_set_buffers(int fd, uint32_t receive_bytes, uint32_t send_bytes) {
    int status = set_buffer(fd, SO_RCVBUF, receive_bytes);
    return status < 0 ? status : set_buffer(fd, SO_SNDBUF, send_bytes);
}

int rondo__socket_shutdown(int fd) {
    return shutdown(fd, SHUT_WR) < 0 ? rondo__socket_failure() : 0;
}

int rondo__socket_error(int fd) {
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return errno == ENOTSOCK ? 0 : rondo__socket_failure();
    return error ? rondo_error_from_errno(error) : 0;
}

int rondo__socket_name(int fd, bool peer, rondo_address *ret_address) {
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    struct sockaddr *any = (struct sockaddr *)&name;
    int status = peer ? getpeername(fd, any, &len) : getsockname(fd, any, &len);
    if (status == 0) return rondo_address_from_sockaddr(&name, len, ret_address);
    if (errno != ENOTSOCK) return rondo__socket_failure();
    memset(ret_address, 0, sizeof *ret_address);
    return 0;
}

void rondo__socket_close(int fd) {
    /* Not again after EINTR: on Linux the descriptor is gone then, and maybe another one's. */
    close(fd);
}
