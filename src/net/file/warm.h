/* SPDX-License-Identifier: MIT
 *
 * Pieces of files in a stream's queue, before they are sent: a worker reads into the page cache what
 * is not there, so that sendfile(2) on the loop finds it in memory. For src/net/ only.
 */
#ifndef RONDO__WARM_H
#define RONDO__WARM_H

#include "net/write_queue.h"

/* So much of a file is warmed at once. */
#define RONDO__WARM_BYTES ((uint64_t)1024 * 1024)

/* Sees to it that the beginning of the file at the front of the queue is in memory: 0, and
 * file->file.warm says how much. RONDO_EAGAIN: a worker is at it, and then rondo__stream_warmed() is
 * called; until then the queue stands still. */
int rondo__warm(rondo_stream *stream, rondo__segment *file);
/* The queue is dropped: nobody waits for it any more. */
void rondo__warm_forget(rondo__warming *warming);

#endif
