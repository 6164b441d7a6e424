/* SPDX-License-Identifier: MIT
 *
 * System calls of listening sockets; as of socket.h. Internal.
 */
#ifndef RONDO__SOCKET_LISTEN_H
#define RONDO__SOCKET_LISTEN_H

#include "net/address.h"

enum {
    RONDO__LISTEN_DUAL = 1 << 0, /* IPv4 as well on an IPv6 socket */
    RONDO__LISTEN_SHARE = 1 << 1 /* SO_REUSEPORT */
};
/* A socket bound to an address. Accepted sockets will inherit TCP_NODELAY from it. Returns the fd. */
int rondo__socket_bind(const rondo_address *address, int flags);
/* That by itself, for a TCP socket that somebody else has bound: 0 or an error. */
int rondo__socket_prepare_listener(int fd);
/* The same for a Unix socket; its file gets these permissions, less the umask. */
int rondo__socket_bind_unix(const rondo_address *address, unsigned mode);
/* A bound socket listens: 0 or an error. */
int rondo__socket_start_listening(int fd, int backlog);

/* A connection, non-blocking; returns the fd. */
int rondo__socket_accept(int fd);
/* Whether the error is about one connection, which has gone, and the next one may be accepted. */
bool rondo__socket_accept_again(int error);
/* A descriptor to have in reserve. */
int rondo__socket_reserve(void);

#endif
