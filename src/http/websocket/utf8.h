/* SPDX-License-Identifier: MIT
 *
 * Whether octets are UTF-8 (RFC 3629), piece by piece: a character may be cut anywhere. Internal.
 */
#ifndef RONDO__UTF8_H
#define RONDO__UTF8_H

#include <rondo/base.h>

/* In the middle of a character: how many octets it lacks, and the bounds of the next one. All zeroes:
 * at the start of one. */
typedef struct rondo__utf8 {
    uint8_t lacks, least, most;
} rondo__utf8;

/* Takes the next octets; false as soon as they can't become UTF-8. */
bool rondo__utf8_feed(rondo__utf8 *state, const char *data, size_t len);
/* Whether a text may end here. */
static inline bool rondo__utf8_whole(const rondo__utf8 *state) { return state->lacks == 0; }
/* A text that is all there. */
bool rondo__utf8_is(const char *data, size_t len);

#endif
