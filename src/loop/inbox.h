/* SPDX-License-Identifier: MIT
 *
 * What other threads send to the loop: asyncs that were signalled and posted messages. Senders push
 * onto lock-free stacks; the loop takes a whole stack at once and turns it around, which keeps the
 * order of each sender. Internal.
 */
#ifndef RONDO__INBOX_H
#define RONDO__INBOX_H

#include "loop/handle.h"
#include "loop/wake.h"

#include <stdatomic.h>

typedef struct rondo__inbox {
    /* What other threads write comes first: see struct rondo_loop. */
    _Atomic(struct rondo_async *) asyncs; /* sent, newest first */
    _Atomic(struct rondo__post *) posts;  /* posted, newest first */
    atomic_size_t post_count;             /* posted, or just about to be, and not yet run */
    atomic_size_t post_limit;
    rondo__source async_source; /* from here on the loop thread's */
    rondo__source post_source;
    rondo__list async_ready;        /* sent, oldest first */
    struct rondo__post *post_first; /* oldest first */
    struct rondo__post *post_last;
    uint64_t post_turn;    /* the turn that post_left speaks of */
    uint32_t post_left;    /* of its budget */
    rondo__task post_more; /* goes on in the pending phase after the budget was used up */
} rondo__inbox;

void rondo__inbox_init(rondo_loop *loop);
void rondo__inbox_fini(rondo_loop *loop);

#endif
