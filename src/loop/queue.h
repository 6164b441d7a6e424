/* SPDX-License-Identifier: MIT
 *
 * A first-in first-out queue of (function, argument) pairs in one growing ring, for ticks and
 * immediates: no allocation per entry, and every entry has a number that is never used again, so
 * that taking one back is safe whenever it is tried. Internal.
 */
#ifndef RONDO__QUEUE_H
#define RONDO__QUEUE_H

#include "loop/door.h"

typedef struct rondo__entry {
    rondo__fn fn; /* NULL: taken back */
    void *arg;
} rondo__entry;

typedef struct rondo__queue {
    rondo__entry *entries; /* capacity is a power of two */
    size_t capacity;
    uint64_t first; /* the number of the oldest entry; numbers start at 1 */
    uint64_t next;  /* the number that the next one gets */
    size_t live;    /* entries that were not taken back */
} rondo__queue;

void rondo__queue_init(rondo__queue *queue);
void rondo__queue_fini(rondo__queue *queue);
/* The entry's number, or 0 when out of memory. */
uint64_t rondo__queue_push(rondo__queue *queue, rondo__fn fn, void *arg);
/* The oldest one that was not taken back and whose number is below `limit`. */
bool rondo__queue_pop(rondo__queue *queue, uint64_t limit, rondo__entry *ret_entry);
/* RONDO_ENOENT when it has been popped or taken back. */
int rondo__queue_cancel(rondo__queue *queue, uint64_t number);

#endif
