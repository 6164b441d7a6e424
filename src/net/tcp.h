/* SPDX-License-Identifier: MIT
 *
 * TCP's options of a stream that has no socket yet. Internal to src/net/.
 */
#ifndef RONDO__TCP_H
#define RONDO__TCP_H

#include <rondo/base.h>

/* All zero: Rondo's defaults. */
typedef struct rondo__tcp_wishes {
    bool delay; /* TCP_NODELAY off */
    unsigned idle_s, interval_s, count;
    uint32_t user_timeout_ms;
} rondo__tcp_wishes;

/* 0 or an error of setsockopt(2). */
int rondo__tcp_apply(int fd, const rondo__tcp_wishes *wishes);

#endif
