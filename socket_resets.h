/* SPDX-License-Identifier: MIT
 *
 * A set of sockets of which only errors are reported. See resets.c. Internal.
 */
#ifndef RONDO__SOCKET_RESETS_H
#define RONDO__SOCKET_RESETS_H

#include <stdbool.h>

/* A descriptor that is readable when one of the set has something to report. RONDO_ENOSYS where
 * there is no such thing. */
int rondo__resets_new(void);
/* Reports fd as `what` once, when it has an error; again: it is in the set already. */
int rondo__resets_add(int set, int fd, void *what, bool again);
/* Before fd is closed. */
void rondo__resets_remove(int set, int fd);
/* What has been reported, at most `room` at a time; how many. */
int rondo__resets_take(int set, void **ret_found, int room);

#endif
