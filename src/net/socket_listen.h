/* SPDX-License-Identifier: MIT
 *
 * System calls of listening sockets; as of socket.h. Internal.
 */
#ifndef RONDO__SOCKET_LISTEN_H
#define RONDO__SOCKET_LISTEN_H

#include "net/address.h"

/* A listening socket. dual: IPv4 as well on an IPv6 socket. Accepted sockets inherit TCP_NODELAY
 * from it. Returns the fd. */
int rondo__socket_listen(const rondo_address *address, bool dual, int backlog);
/* A connection, non-blocking; returns the fd. */
int rondo__socket_accept(int fd);
/* Whether the error is about one connection, which has gone, and the next one may be accepted. */
bool rondo__socket_accept_again(int error);
/* A descriptor to have in reserve. */
int rondo__socket_reserve(void);

#endif
