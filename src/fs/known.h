/* SPDX-License-Identifier: MIT
 *
 * What the kernel knows by heart about names: stat and open without waiting. Internal to src/fs/;
 * decision record 0007 argues why it is honest.
 */
#ifndef RONDO__FS_KNOWN_H
#define RONDO__FS_KNOWN_H

#include "fs/call.h"

/* `cached` of the operations: the result, or RONDO__FS_WAIT. call->learn is set when it failed only
 * since nothing is known about the file's mount. */
int64_t rondo__known_stat(rondo__fs_call *call);
int64_t rondo__known_fstat(rondo__fs_call *call);
int64_t rondo__known_open(rondo__fs_call *call);

/* On a worker, afterwards: learns what mount the file is on, and whether that is local. */
void rondo__learn_mount(int fd);
void rondo__learn_mount_of(int directory, const char *path, bool follow);

#endif
