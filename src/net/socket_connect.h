/* SPDX-License-Identifier: MIT
 *
 * System calls of sockets that connect, and the options of TCP; as of socket.h. Internal.
 */
#ifndef RONDO__SOCKET_CONNECT_H
#define RONDO__SOCKET_CONNECT_H

#include "net/address.h"

/* A socket on its way to an address, from `from` (port 0: a free one; NULL: wherever the routes
 * lead). *ret_done: it is connected already; otherwise it will be writable. Returns the fd, or an
 * error: RONDO_EAGAIN is that of a Unix socket whose backlog is full, which nothing tells of when it
 * is not any more. */
int rondo__socket_connect(const rondo_address *to, const rondo_address *from, bool *ret_done);
/* What became of it: 0 when it is connected, RONDO_EAGAIN when that is not known yet. */
int rondo__socket_connect_result(int fd, const rondo_address *to);

/* TCP's options, see tcp(7). RONDO_ENOTSUP: not a TCP socket. */
int rondo__socket_set_nodelay(int fd, bool on);
int rondo__socket_set_keepalive(int fd, unsigned idle_s, unsigned interval_s, unsigned count);
int rondo__socket_set_user_timeout(int fd, uint32_t timeout_ms);
/* The next rondo__socket_close() sends a reset. */
int rondo__socket_set_abort(int fd);

#endif
