/* SPDX-License-Identifier: MIT
 *
 * A loop's part in signal handling. The process-wide part, the handler and its table of loops, is
 * in signal.c. Internal.
 */
#ifndef RONDO__SIGNALS_H
#define RONDO__SIGNALS_H

#include "loop/wake.h"

typedef struct rondo__signals {
    rondo__source source;
    rondo__list started; /* rondo_signal, in the order of starting */
    rondo__list *next;   /* the one after the one whose callback runs */
    uint64_t order;
    int place; /* in the process-wide table; -1: none */
} rondo__signals;

void rondo__signals_init(rondo_loop *loop);
void rondo__signals_fini(rondo_loop *loop);

#endif
