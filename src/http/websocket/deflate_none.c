/* SPDX-License-Identifier: MIT
 *
 * No zlib: WebSockets work, and compress nothing.
 */
#include "http/websocket/deflate.h"

#include <rondo/error.h>

bool rondo__ws_deflate_is_there(void) { return false; }
rondo__ws_deflater *rondo__ws_deflater_new(unsigned window_bits) { return NULL; }
void rondo__ws_deflater_free(rondo__ws_deflater *deflater) {}
void rondo__ws_deflater_reset(rondo__ws_deflater *deflater) {}
int rondo__ws_deflater_run(rondo__ws_deflater *deflater, rondo_slice data, size_t headroom,
                           char **ret_memory, size_t *ret_len) {
    return RONDO_ENOSYS;
}
rondo__ws_inflater *rondo__ws_inflater_new(void) { return NULL; }
void rondo__ws_inflater_free(rondo__ws_inflater *inflater) {}
void rondo__ws_inflater_reset(rondo__ws_inflater *inflater) {}
int64_t rondo__ws_inflater_run(rondo__ws_inflater *inflater, rondo_slice *in, char *room,
                               size_t size) {
    return RONDO_ENOSYS;
}
