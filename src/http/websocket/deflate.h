/* SPDX-License-Identifier: MIT
 *
 * What zlib does for permessage-deflate (RFC 7692 section 7.2). deflate_none.c stands in where there is
 * no zlib: then nothing is negotiated, and none of the others is called. Internal.
 */
#ifndef RONDO__WS_DEFLATE_H
#define RONDO__WS_DEFLATE_H

#include <rondo/base.h>

typedef struct rondo__ws_deflater rondo__ws_deflater;
typedef struct rondo__ws_inflater rondo__ws_inflater;

/* base-2 logarithms of windows. zlib can't do 8 of RFC 7692. */
#define RONDO__WINDOW_LEAST 9
#define RONDO__WINDOW_MOST 15

/* What was taken off the end of a message, and has to be put back. */
#define RONDO__DEFLATE_TAIL "\x00\x00\xff\xff"
#define RONDO__DEFLATE_TAIL_LEN 4

bool rondo__ws_deflate_is_there(void);

/* NULL when out of memory. NULL may be freed. */
rondo__ws_deflater *rondo__ws_deflater_new(unsigned window_bits);
void rondo__ws_deflater_free(rondo__ws_deflater *deflater);
/* Forgets the context. */
void rondo__ws_deflater_reset(rondo__ws_deflater *deflater);
/* A message that is not empty, without its tail, into new memory behind `headroom` octets: 0 or
 * RONDO_ENOMEM, after which it must be reset. */
int rondo__ws_deflater_run(rondo__ws_deflater *deflater, rondo_slice data, size_t headroom,
                           char **ret_memory, size_t *ret_len);

rondo__ws_inflater *rondo__ws_inflater_new(void);
void rondo__ws_inflater_free(rondo__ws_inflater *inflater);
void rondo__ws_inflater_reset(rondo__ws_inflater *inflater);
/* Inflates what *in begins with, cut off there, into room: how many octets that made. As many as there
 * is room for: there may be more, also when nothing is left of *in. RONDO_EPROTO: that is no deflate;
 * RONDO_ENOMEM. */
int64_t rondo__ws_inflater_run(rondo__ws_inflater *inflater, rondo_slice *in, char *room,
                               size_t size);

#endif
