/* SPDX-License-Identifier: MIT
 *
 * Descriptors beside bytes on Unix sockets (unix(7), SCM_RIGHTS), and credentials; as of socket.h.
 * Internal.
 */
#ifndef RONDO__SOCKET_RIGHTS_H
#define RONDO__SOCKET_RIGHTS_H

#include <rondo/unix.h>

#include <sys/uio.h>

/* As many as Linux lets one message carry (SCM_MAX_FD). */
#define RONDO__RIGHTS_MOST 253

/* 0, or RONDO_ENOTSUP. */
int rondo__socket_is_unix(int fd);
/* As rondo__socket_write() with one descriptor. */
int64_t rondo__socket_write_fd(int fd, const struct iovec *iov, int count, int right);
/* As rondo__socket_read(), with the descriptors that came, close-on-exec. Fewer came than were sent:
 * RONDO_EMFILE, and those that did are closed. */
int64_t rondo__socket_read_fds(int fd, void *buffer, size_t size, int fds[RONDO__RIGHTS_MOST],
                               unsigned *ret_count);
int rondo__socket_credentials(int fd, rondo_credentials *ret_credentials);
/* A copy, close-on-exec: returns it. */
int rondo__socket_copy(int fd);

#endif
