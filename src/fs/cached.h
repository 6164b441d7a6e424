/* SPDX-License-Identifier: MIT
 *
 * Reading what is in memory already, without waiting. Internal to src/fs/.
 */
#ifndef RONDO__FS_CACHED_H
#define RONDO__FS_CACHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Longer reads are left to a worker: copying this much takes about as long as the trip to a worker
 * and back (11 us), so beyond it the loop would only be kept from its other work. */
#define RONDO__CACHED_READ_BYTES ((size_t)128 * 1024)

/* Reads up to len bytes, which the parts are together, at offset, or at the file's position (-1), as
 * far as that needs no waiting. Returns how many, or -1 for "ask a worker", whatever the reason is.
 * *ret_final is whether a read that waits would bring no more. Must not be called with -1 while
 * another operation at the position of the same file may be going on: the kernel would wait for its
 * end. */
int64_t rondo__cached_read(int fd, const struct iovec *parts, int count, size_t len, int64_t offset,
                           bool *ret_final);

#endif
