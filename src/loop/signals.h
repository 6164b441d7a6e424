/* SPDX-License-Identifier: MIT
 *
 * A loop's part in signal handling, for rondo_signal and for what else in the library wants to hear
 * of a signal. The process-wide part, the handler and its table of loops, is in signal.c. Internal.
 */
#ifndef RONDO__SIGNALS_H
#define RONDO__SIGNALS_H

#include "loop/wake.h"

typedef struct rondo__signal_watch {
    rondo__list link; /* loop->signals.started */
    uint64_t order;
    int signum; /* 0: stopped */
    /* The signal has come. In the poll phase; may stop the watch, this one or another. */
    void (*run)(rondo_loop *loop, struct rondo__signal_watch *watch);
} rondo__signal_watch;

static inline void rondo__signal_watch_init(rondo__signal_watch *watch,
                                            void (*run)(rondo_loop *, rondo__signal_watch *)) {
    rondo__list_init(&watch->link);
    watch->signum = 0;
    watch->run = run;
}

/* Watches signum, which can be watched, from now on; one that is started already goes to the end of
 * the order. 0, or RONDO_EMFILE (too many loops) and it is as it was. */
int rondo__signal_watch_start(rondo_loop *loop, rondo__signal_watch *watch, int signum);
/* Harmless when it isn't started. */
void rondo__signal_watch_stop(rondo_loop *loop, rondo__signal_watch *watch);

typedef struct rondo__signals {
    rondo__source source;
    rondo__list started; /* rondo__signal_watch, in the order of starting */
    rondo__list *next;   /* the one after the one whose callback runs */
    uint64_t order;
    int place; /* in the process-wide table; -1: none */
} rondo__signals;

void rondo__signals_init(rondo_loop *loop);
void rondo__signals_fini(rondo_loop *loop);

#endif
