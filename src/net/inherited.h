/* SPDX-License-Identifier: MIT
 *
 * Sockets that a service manager has opened for the process: sd_listen_fds(3). Internal to src/net/.
 */
#ifndef RONDO__INHERITED_H
#define RONDO__INHERITED_H

#include <stdbool.h>

/* More are not looked at. */
#define RONDO__INHERITED_MOST 256

/* The first socket of that name that nobody has taken yet, from *at on; NULL: of any name. Returns
 * the fd and takes it, *at is behind it; or RONDO_ENOENT. Any thread. */
int rondo__inherited_take(const char *name, int *at);
/* It was not what was looked for. */
void rondo__inherited_put_back(int fd);

#endif
