/* SPDX-License-Identifier: MIT
 *
 * Every system call on a socket or pipe, in one place: EINTR, CLOEXEC, NONBLOCK and SIGPIPE are
 * dealt with here and nowhere else. All functions return a negative RONDO_E* on failure. Internal.
 */
#ifndef RONDO__SOCKET_H
#define RONDO__SOCKET_H

#include "net/address.h"

#include <sys/uio.h>

/* ---- bytes; the count may be short, RONDO_EAGAIN when it would block ---- */

/* 0 at the end. */
int64_t rondo__socket_read(int fd, void *buffer, size_t size);
/* Whether there is something to read, without taking it: 1, 0 at the end, or an error. Sockets
 * only. */
int rondo__socket_peek(int fd);

enum {
    RONDO__SEND_PIPE = 1 << 0, /* the fd is not a socket */
    RONDO__SEND_MORE = 1 << 1  /* more follows at once: don't send a packet that isn't full */
};
/* Writing to a peer that has gone is RONDO_EPIPE, never a signal. */
int64_t rondo__socket_write(int fd, const struct iovec *iov, int count, int flags);
/* File bytes to a socket or pipe. 0 at the end of the file, RONDO_EINVAL or RONDO_ENOSYS when this
 * pair of files (or this system) can't. */
int64_t rondo__socket_sendfile(int fd, int file, uint64_t offset, uint64_t len);
/* pread(2), for where sendfile can't or isn't worth it. */
int64_t rondo__socket_read_file(int file, void *buffer, size_t size, uint64_t offset);

/* ---- life ---- */

/* A listening socket. dual: IPv4 as well on an IPv6 socket. Accepted sockets inherit TCP_NODELAY
 * from it. Returns the fd. */
int rondo__socket_listen(const rondo_address *address, bool dual, int backlog);
/* A connection, non-blocking; returns the fd. */
int rondo__socket_accept(int fd);
/* Whether the error is about one connection, which has gone, and the next one may be accepted. */
bool rondo__socket_accept_again(int error);
/* A descriptor to have in reserve. */
int rondo__socket_reserve(void);

typedef struct rondo__socket_traits {
    bool socket, readable, writable;
} rondo__socket_traits;
/* What a foreign fd is; changes nothing. RONDO_ENOTSUP: it can't be a stream. */
int rondo__socket_inspect(int fd, rondo__socket_traits *ret_traits);
/* Makes it non-blocking and close-on-exec. ret_before is for rondo__socket_give_back(). */
int rondo__socket_adopt(int fd, int *ret_before);
void rondo__socket_give_back(int fd, int before);

int rondo__socket_shutdown(int fd); /* the write side */
/* The error that the kernel holds for the socket, now taken: 0 for none. */
int rondo__socket_error(int fd);
int rondo__socket_name(int fd, bool peer, rondo_address *ret_address);
void rondo__socket_close(int fd);

#endif
