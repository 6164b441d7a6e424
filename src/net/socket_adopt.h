/* SPDX-License-Identifier: MIT
 *
 * Descriptors that somebody else has made; as of socket.h. Internal.
 */
#ifndef RONDO__SOCKET_ADOPT_H
#define RONDO__SOCKET_ADOPT_H

#include <stdbool.h>

typedef struct rondo__socket_traits {
    bool socket, readable, writable;
} rondo__socket_traits;
/* What a foreign fd is; changes nothing. RONDO_ENOTSUP: it can't be a stream. */
int rondo__socket_inspect(int fd, rondo__socket_traits *ret_traits);
/* Makes it non-blocking and close-on-exec. ret_before is for rondo__socket_give_back(). */
int rondo__socket_adopt(int fd, int *ret_before);
void rondo__socket_give_back(int fd, int before);

#endif
