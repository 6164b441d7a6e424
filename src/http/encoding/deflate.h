/* SPDX-License-Identifier: MIT
 *
 * A compressor: octets go in, gzip (RFC 1952) comes out in pieces. zlib's, with its memory from the
 * library's allocator. Internal.
 */
#ifndef RONDO__DEFLATE_H
#define RONDO__DEFLATE_H

#include <rondo/base.h>

typedef struct rondo__deflater rondo__deflater;

typedef enum rondo__deflate {
    RONDO__DEFLATE_MORE,  /* keeps back what may be compressed better with what follows */
    RONDO__DEFLATE_FLUSH, /* all that went in can be read from what comes out */
    RONDO__DEFLATE_FINISH /* nothing more goes in */
} rondo__deflate;

/* Whether there is zlib. */
bool rondo__deflate_is_there(void);

/* NULL when out of memory. small: a window of 16 KiB, for one of many: 160 KiB of memory in all, else
 * 300 KiB. */
rondo__deflater *rondo__deflater_new(int level, bool small);
/* Forgets all that went in: a new output begins. */
void rondo__deflater_reset(rondo__deflater *deflater);
void rondo__deflater_free(rondo__deflater *deflater); /* NULL is allowed */

/* What goes in next, and what is to come out; data must stay until deflater_take() has said false. */
void rondo__deflater_give(rondo__deflater *deflater, rondo_slice data, rondo__deflate how);
/* The next piece of output, valid until the next call. False: there is none for now. */
bool rondo__deflater_take(rondo__deflater *deflater, rondo_slice *ret_piece);

#endif
