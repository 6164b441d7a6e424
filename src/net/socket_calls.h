/* SPDX-License-Identifier: MIT
 *
 * What the files with system calls (socket*.c, udp/udp_socket.c, tty/device.c, file/calls.c) have in
 * common. For them only.
 */
#ifndef RONDO__SOCKET_CALLS_H
#define RONDO__SOCKET_CALLS_H

#include "loop/retry.h"

/* errno as a RONDO_E*. The common case first: a full or empty kernel buffer is no reason to search a
 * table. */
static inline int rondo__socket_failure(void) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return RONDO_EAGAIN;
    return rondo__errno();
}

/* Non-blocking and close-on-exec: 0 or an error. */
int rondo__socket_set_flags(int fd);
/* A new stream socket with both, of a family AF_*; returns the fd. */
int rondo__socket_new(int family);

#endif
