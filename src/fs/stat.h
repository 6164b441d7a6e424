/* SPDX-License-Identifier: MIT
 *
 * Asking the kernel about a file. Internal to src/fs/.
 */
#ifndef RONDO__FS_STAT_H
#define RONDO__FS_STAT_H

#include "fs/call.h"

#define RONDO__FS_STATX_MASK (STATX_BASIC_STATS | STATX_BTIME)

struct statx;
void rondo__fs_stat_convert(const struct statx *from, rondo_stat *ret_stat);

/* statx(2), with its flags, for all that a rondo_stat has. Returns 0 or a negative RONDO_E*. */
int rondo__fs_statx(int fd, const char *path, int flags, rondo_stat *ret_stat);

#endif
