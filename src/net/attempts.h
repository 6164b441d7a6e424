/* SPDX-License-Identifier: MIT
 *
 * From addresses to one connected socket: the race of RFC 8305 (Happy Eyeballs 2), sections 4 and 5.
 * Knows nothing of streams. Internal to src/net/.
 */
#ifndef RONDO__ATTEMPTS_H
#define RONDO__ATTEMPTS_H

#include "net/address.h"

/* More addresses than these are not tried: each may be a descriptor and a connection at the other
 * end. */
#define RONDO__ATTEMPTS_MOST 16

typedef struct rondo__attempts rondo__attempts;

typedef struct rondo__attempts_plan {
    const rondo_address *addresses; /* the best one first; copied */
    size_t count;
    rondo_address local; /* to leave from, if its len is not 0; copied */
    uint16_t local_port; /* with no such address: to leave from, if not 0 */
    uint32_t delay_ms;   /* between two attempts */
    /* The outcome: a connected, non-blocking socket, from now on the callee's, or an error. Called
     * once, from where the loop dispatches; the attempts are gone by then. */
    void (*done)(void *arg, int fd_or_error);
    void *arg;
} rondo__attempts_plan;

/* The first attempt is made in the next pending phase. NULL: out of memory. */
rondo__attempts *rondo__attempts_new(rondo_loop *loop, const rondo__attempts_plan *plan);
/* Gives up all of it; nobody is told. */
void rondo__attempts_cancel(rondo__attempts *attempts);

#endif
