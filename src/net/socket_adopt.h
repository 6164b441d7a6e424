/* SPDX-License-Identifier: MIT
 *
 * Descriptors that somebody else has made; as of socket.h. Internal.
 */
#ifndef RONDO__SOCKET_ADOPT_H
#define RONDO__SOCKET_ADOPT_H

#include "net/address.h"

typedef struct rondo__socket_traits {
    bool socket, readable, writable;
} rondo__socket_traits;
/* What a foreign fd is; changes nothing. RONDO_ENOTSUP: it can't be a stream. */
int rondo__socket_inspect(int fd, rondo__socket_traits *ret_traits);
/* The address that a foreign fd listens on. RONDO_EBADF, RONDO_ENOTSOCK, RONDO_ENOTSUP (of another
 * type or family), RONDO_EINVAL (it doesn't listen). */
int rondo__socket_inspect_listener(int fd, rondo_address *ret_address);
/* Makes it non-blocking and close-on-exec. ret_before is for rondo__socket_give_back(). */
int rondo__socket_adopt(int fd, int *ret_before);
void rondo__socket_give_back(int fd, int before);

#endif
