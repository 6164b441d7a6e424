/* SPDX-License-Identifier: MIT
 *
 * What the WebSockets of a loop share, so that an idle one owns nothing but its handle: readers and
 * messages under way, which a socket borrows while octets of one have come and others have not; what
 * writes frames; compressors without a context; random octets for masks. Made at the first socket or
 * message, freed with the loop. Internal.
 */
#ifndef RONDO__WS_SHARED_H
#define RONDO__WS_SHARED_H

#include <rondo/websocket.h>

#include "http/websocket/deflate.h"
#include "loop/handle.h"
#include "loop/list.h"

/* Kept when they are free. */
#define RONDO__SPARE_READERS 16
#define RONDO__SPARE_INFLATERS 4

/* The options that matter after the handshake. Sockets with the same ones share them: a server gives
 * each of its sockets the same. */
typedef struct rondo__ws_settings {
    unsigned refs;
    rondo_websocket_limits limits;
    uint32_t compress_bytes;
    rondo_websocket_slow slow;
    rondo_websocket_compression compression;
} rondo__ws_settings;

typedef struct rondo__ws {
    rondo_loop *loop;
    rondo__at_free at_free;
    rondo__list sockets;          /* all of the loop */
    rondo__ws_settings *settings; /* those made last, if somebody still has them */
    struct rondo__ws_reader *readers;
    unsigned reader_count;
    struct rondo__ws_writer *plain, *masking;
    rondo__ws_deflater *deflater; /* without a context */
    rondo__ws_inflater *inflaters[RONDO__SPARE_INFLATERS];
    unsigned inflater_count;
    char *scratch; /* RONDO__SCRATCH_BYTES, for pieces that are inflated */
    unsigned random_left;
    uint8_t random[256];
} rondo__ws;

#define RONDO__SCRATCH_BYTES ((size_t)16 * 1024)

/* The loop's, made if need be: NULL when out of memory. */
rondo__ws *rondo__ws_of(rondo_loop *loop);

/* Defaults filled in; NULL when out of memory. */
rondo__ws_settings *rondo__ws_settings_take(rondo__ws *ws, const rondo_websocket_options *options);
void rondo__ws_settings_drop(rondo__ws *ws, rondo__ws_settings *settings);

/* An inflater that knows nothing yet; NULL when out of memory. */
rondo__ws_inflater *rondo__ws_borrow_inflater(rondo__ws *ws);
void rondo__ws_return_inflater(rondo__ws *ws, rondo__ws_inflater *inflater);

/* Unpredictable octets (RFC 6455 section 5.3), at most 32: 0, or the error of getrandom(2). */
int rondo__ws_random(rondo__ws *ws, uint8_t *out, size_t len);

#endif
