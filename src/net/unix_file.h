/* SPDX-License-Identifier: MIT
 *
 * The file of a listening Unix socket: made without a race, taken over from a server that has died,
 * removed by whoever made it. Internal to src/net/.
 */
#ifndef RONDO__UNIX_FILE_H
#define RONDO__UNIX_FILE_H

#include "net/address.h"

typedef struct rondo__unix_file rondo__unix_file;

/* A listening socket at a path, or "@name" in the abstract namespace; returns the fd. mode: the
 * file's permissions; 0: what the umask leaves. *ret_file is NULL for an abstract one. Errors as of
 * rondo_server_listen_unix(). */
int rondo__unix_listen(const char *path, unsigned mode, int backlog, rondo__unix_file **ret_file);
/* Removes the file, if the path still leads to it, and frees. NULL is allowed. */
void rondo__unix_file_remove(rondo__unix_file *file);

#endif
