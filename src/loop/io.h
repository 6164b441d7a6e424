/* SPDX-License-Identifier: MIT
 *
 * Readiness of a file descriptor, from libev into the loop's own first-in first-out queue. The only
 * internal header besides loop.h that shows libev. Level-triggered. Internal.
 */
#ifndef RONDO__IO_H
#define RONDO__IO_H

#include "loop/list.h"

#include <rondo/base.h>

#define RONDO__READABLE 1
#define RONDO__WRITABLE 2

/* The size and alignment of an ev_io, so that only src/loop/ includes <ev.h>; checked in io.c. */
typedef struct rondo__ev_io {
    void *words[6];
} rondo__ev_io;

typedef struct rondo__io {
    rondo__ev_io watcher;
    rondo__list ready; /* loop->ready */
    /* Poll phase: events is RONDO__READABLE | RONDO__WRITABLE; an error condition is both. When
     * rondo__io_watched() is 0 then, the kernel refused to watch the fd: nothing more will come. */
    void (*run)(rondo_loop *loop, struct rondo__io *io, int events);
} rondo__io;

void rondo__io_init(rondo__io *io, int fd, void (*run)(rondo_loop *, struct rondo__io *, int));
/* Which events to report; 0 stops. Takes effect before the next sleep. Returns 0, or RONDO_ENOMEM
 * (nothing changed). Events that were ready and are not wanted any more are dropped. */
int rondo__io_watch(rondo_loop *loop, rondo__io *io, int events);
int rondo__io_watched(const rondo__io *io);
/* What the last batch reported. */
int rondo__io_reported(const rondo__io *io);
/* Counts rounds: turns of the loop, but those that only go on with descriptors that an earlier one has
 * found ready are counted with it (turn.c). For what may be done so often before all others had theirs. */
uint64_t rondo__io_round(const rondo_loop *loop);
/* Must be stopped before the fd is closed. */
void rondo__io_stop(rondo_loop *loop, rondo__io *io);

#endif
