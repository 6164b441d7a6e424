/* SPDX-License-Identifier: MIT
 *
 * Every system call on a socket or pipe, in a few files: EINTR, CLOEXEC, NONBLOCK and SIGPIPE are
 * dealt with there and nowhere else.
 *
 *   socket.h         bytes, names, the end       socket_listen.h   servers
 *   socket_adopt.h   descriptors of others       socket_connect.h  clients, and TCP's options
 *
 * All functions return a negative RONDO_E* on failure. Internal.
 */
#ifndef RONDO__SOCKET_H
#define RONDO__SOCKET_H

#include "net/address.h"

#include <sys/uio.h>

/* ---- bytes; the count may be short, RONDO_EAGAIN when it would block ---- */

/* 0 at the end. */
int64_t rondo__socket_read(int fd, void *buffer, size_t size);
/* The same from a socket whose O_NONBLOCK is not set. */
int64_t rondo__socket_receive(int fd, void *buffer, size_t size);
/* Whether there is something to read, without taking it: 1, 0 at the end, or an error. Sockets
 * only. */
int rondo__socket_peek(int fd);
/* As rondo__socket_read(), of a socket, and not beyond the next '\n'. */
int64_t rondo__socket_read_line(int fd, char *buffer, size_t size);

enum {
    RONDO__SEND_PIPE = 1 << 0,  /* the fd is not a socket */
    RONDO__SEND_MORE = 1 << 1,  /* more follows at once: don't send a packet that isn't full */
    RONDO__SEND_NOWAIT = 1 << 2 /* a socket whose O_NONBLOCK is not set */
};
/* Writing to a peer that has gone is RONDO_EPIPE, never a signal. */
int64_t rondo__socket_write(int fd, const struct iovec *iov, int count, int flags);
/* File bytes to a socket or pipe. 0 at the end of the file, RONDO_EINVAL or RONDO_ENOSYS when this
 * pair of files (or this system) can't. */
int64_t rondo__socket_sendfile(int fd, int file, uint64_t offset, uint64_t len);
/* A pipe to splice through, non-blocking; fds[0] is its reading end. Its size is a wish. */
int rondo__socket_new_pipe(size_t bytes, int ret_fds[2]);
/* Moves bytes into such a pipe, or out of it, without copying them. The count may be short. Into:
 * RONDO_EAGAIN also when the pipe is full, 0 at the end. RONDO_EINVAL or RONDO_ENOSYS when this fd
 * (or this system) can't. */
int64_t rondo__socket_splice_in(int fd, int pipe, size_t len);
int64_t rondo__socket_splice_out(int fd, int pipe, size_t len);
/* pread(2), for where sendfile can't or isn't worth it. */
int64_t rondo__socket_read_file(int file, void *buffer, size_t size, uint64_t offset);

/* ---- life ---- */

/* SO_RCVBUF and SO_SNDBUF; 0 leaves one as it is. */
int rondo__socket_set_buffers(int fd, uint32_t receive_bytes, uint32_t send_bytes);
int rondo__socket_shutdown(int fd); /* the write side */
/* The error that the kernel holds for the socket, now taken: 0 for none. */
int rondo__socket_error(int fd);
int rondo__socket_name(int fd, bool peer, rondo_address *ret_address);
void rondo__socket_close(int fd);

#endif
