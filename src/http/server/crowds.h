/* SPDX-License-Identifier: MIT
 *
 * How many connections each address has. Internal.
 */
#ifndef RONDO__HTTP_SERVER_CROWDS_H
#define RONDO__HTTP_SERVER_CROWDS_H

#include "http/networks.h"

/* A table of addresses with connections: IPv6 by /64, which is what one customer has. Its chains are kept
 * short by growing, and by a seed that nobody outside knows. All zero: empty. */
typedef struct rondo__crowds {
    struct rondo__crowd_of *all; /* [0] is not used */
    uint32_t size, used, free;
    uint32_t *heads;
    uint32_t mask;
    uint64_t seed;
} rondo__crowds;

/* One connection more of the address, unless there are `most` of it already: its number, 0 when there are
 * too many, or RONDO_ENOMEM. */
int64_t rondo__crowds_join(rondo__crowds *crowds, const rondo__ip *ip, size_t most);
/* One less. */
void rondo__crowds_leave(rondo__crowds *crowds, uint32_t number);
void rondo__crowds_fini(rondo__crowds *crowds);

#endif
