/* SPDX-License-Identifier: MIT
 *
 * permessage-deflate on zlib: raw deflate, flushed at the end of each message to a whole octet by an
 * empty block, whose four octets 00 00 ff ff are not sent.
 */
#include "http/websocket/deflate.h"

#include <limits.h>
#include <rondo/error.h>
#include <string.h>
#include <zlib.h>

#include "loop/assert.h"
#include "loop/memory.h"

/* The cheapest one: a level more costs every message more than it saves of most. */
#define LEVEL Z_BEST_SPEED
#define MEM_LEVEL 8

struct rondo__ws_deflater {
    z_stream z;
};
struct rondo__ws_inflater {
    z_stream z;
};

static voidpf take_memory(voidpf arg, uInt items, uInt size) {
    size_t bytes;
    (void)arg;
    if (__builtin_mul_overflow((size_t)items, (size_t)size, &bytes) || bytes == 0) return Z_NULL;
    return rondo__alloc(bytes);
}
static void give_memory(voidpf arg, voidpf memory) {
    (void)arg;
    rondo__free(memory);
}

bool rondo__ws_deflate_is_there(void) { return true; }

/* ---- deflating ---- */

rondo__ws_deflater *rondo__ws_deflater_new(unsigned window_bits) {
    rondo__ws_deflater *deflater = rondo__zalloc(sizeof *deflater);
    if (!deflater) return NULL;
    deflater->z.zalloc = take_memory;
    deflater->z.zfree = give_memory;
    if (deflateInit2(&deflater->z, LEVEL, Z_DEFLATED, -(int)window_bits, MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        rondo__free(deflater);
        return NULL;
    }
    return deflater;
}

void rondo__ws_deflater_free(rondo__ws_deflater *deflater) {
    if (!deflater) return;
    deflateEnd(&deflater->z);
    rondo__free(deflater);
}

void rondo__ws_deflater_reset(rondo__ws_deflater *deflater) { deflateReset(&deflater->z); }

int rondo__ws_deflater_run(rondo__ws_deflater *deflater, rondo_slice data, size_t headroom,
                           char **ret_memory, size_t *ret_len) {
    z_stream *z = &deflater->z;
    if (data.len > UINT_MAX / 2) return RONDO_ENOMEM;
    size_t room = deflateBound(z, (uLong)data.len) + 16, made = 0;
    char *memory = rondo__alloc(headroom + room);
    if (!memory) return RONDO_ENOMEM;
    z->next_in = (Bytef *)(uintptr_t)data.data; /* only read */
    z->avail_in = (uInt)data.len;
    for (;;) {
        z->next_out = (Bytef *)memory + headroom + made;
        z->avail_out = (uInt)(room - made);
        int status = deflate(z, Z_SYNC_FLUSH);
        RONDO_ASSERT(status == Z_OK || status == Z_BUF_ERROR);
        made = room - z->avail_out;
        if (z->avail_out > 0) break;
        /* The bound is of Z_FINISH; a flush may take a little more. */
        char *larger = rondo__realloc(memory, headroom + room * 2);
        if (!larger) {
            rondo__free(memory);
            return RONDO_ENOMEM;
        }
        memory = larger;
        room *= 2;
    }
    RONDO_ASSERT(made > RONDO__DEFLATE_TAIL_LEN && z->avail_in == 0);
    *ret_memory = memory;
    *ret_len = made - RONDO__DEFLATE_TAIL_LEN;
    return 0;
}

/* ---- inflating ---- */

rondo__ws_inflater *rondo__ws_inflater_new(void) {
    rondo__ws_inflater *inflater = rondo__zalloc(sizeof *inflater);
    if (!inflater) return NULL;
    inflater->z.zalloc = take_memory;
    inflater->z.zfree = give_memory;
    if (inflateInit2(&inflater->z, -RONDO__WINDOW_MOST) != Z_OK) {
        rondo__free(inflater);
        return NULL;
    }
    return inflater;
}

void rondo__ws_inflater_free(rondo__ws_inflater *inflater) {
    if (!inflater) return;
    inflateEnd(&inflater->z);
    rondo__free(inflater);
}

void rondo__ws_inflater_reset(rondo__ws_inflater *inflater) { inflateReset(&inflater->z); }

int64_t rondo__ws_inflater_run(rondo__ws_inflater *inflater, rondo_slice *in, char *room,
                               size_t size) {
    z_stream *z = &inflater->z;
    size_t left = size;
    for (;;) {
        uInt in_part = (uInt)(in->len < UINT_MAX ? in->len : UINT_MAX);
        uInt out_part = (uInt)(left < UINT_MAX ? left : UINT_MAX);
        z->next_in = (Bytef *)(uintptr_t)in->data; /* only read */
        z->avail_in = in_part;
        z->next_out = (Bytef *)room + (size - left);
        z->avail_out = out_part;
        int status = inflate(z, Z_SYNC_FLUSH);
        size_t used = in_part - z->avail_in, made = out_part - z->avail_out;
        in->data += used;
        in->len -= used;
        left -= made;
        if (status == Z_MEM_ERROR) return RONDO_ENOMEM;
        if (status == Z_STREAM_END)
            /* A block that calls itself the last one (RFC 7692 section 7.2.3.4): another may follow,
             * which knows what was before. */
            inflateResetKeep(z);
        else if (status != Z_OK && status != Z_BUF_ERROR)
            return RONDO_EPROTO;
        if (left == 0 || in->len == 0) break;
        if (used == 0 && made == 0) return RONDO_EPROTO;
    }
    return (int64_t)(size - left);
}
