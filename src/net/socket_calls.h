/* SPDX-License-Identifier: MIT
 *
 * What the files with system calls on sockets (socket*.c) and devices (tty/device.c) have in common. For
 * them only.
 */
#ifndef RONDO__SOCKET_CALLS_H
#define RONDO__SOCKET_CALLS_H

#include <rondo/error.h>

#include <errno.h>

/* Evaluates a system call until no signal interrupts it. */
#define RONDO__RETRY(result, call) \
    do {                           \
        (result) = (call);         \
    } while ((result) < 0 && errno == EINTR)

/* errno as a RONDO_E*. The common case first: a full or empty kernel buffer is no reason to search a
 * table. */
static inline int rondo__socket_failure(void) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return RONDO_EAGAIN;
    return rondo_error_from_errno(errno);
}

/* Non-blocking and close-on-exec: 0 or an error. */
int rondo__socket_set_flags(int fd);
/* A new stream socket with both, of a family AF_*; returns the fd. */
int rondo__socket_new(int family);

#endif
