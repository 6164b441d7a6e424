/* SPDX-License-Identifier: MIT
 *
 * gzip (RFC 1952) of an answer, decoded by zlib in small pieces, so that a pause stops it anywhere and
 * a bomb is found before it has grown. Internal.
 */
#ifndef RONDO__CLIENT_INFLATE_H
#define RONDO__CLIENT_INFLATE_H

#include <rondo/base.h>

/* The most octets of input that one call of rondo__inflate_put() takes. */
#define RONDO__INFLATE_IN ((size_t)4096)

typedef struct rondo__inflate rondo__inflate;

/* Whether this build can. */
bool rondo__inflate_there(void);
/* NULL when out of memory. ratio: the most octets of output per octet of input, beyond the first
 * 1 MiB. */
rondo__inflate *rondo__inflate_new(uint64_t ratio);
void rondo__inflate_free(rondo__inflate *inflate); /* NULL is allowed */

/* Copies input, of which nothing is left from before. */
void rondo__inflate_put(rondo__inflate *inflate, rondo_slice input);
/* Whether rondo__inflate_take() has something to do. */
bool rondo__inflate_pending(const rondo__inflate *inflate);
/* Decodes some: 0 and a piece, perhaps an empty one, that is good until the next call; RONDO_EPROTO
 * (this is not gzip), RONDO_EMSGSIZE (the ratio), RONDO_ENOMEM. */
int rondo__inflate_take(rondo__inflate *inflate, rondo_slice *ret_piece);
/* Whether the input ended where it should; also when there was none at all. */
bool rondo__inflate_whole(const rondo__inflate *inflate);

#endif
