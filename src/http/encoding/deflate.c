/* SPDX-License-Identifier: MIT
 *
 * A compressor, on zlib. The only file that includes <zlib.h> for the server.
 */
#include "http/encoding/deflate.h"

#include <limits.h>
#include <zlib.h>

#include "loop/assert.h"
#include "loop/memory.h"

#define PIECE_BYTES ((size_t)16 * 1024)

/* For deflateInit2(): a gzip head and tail around it. */
#define GZIP 16

struct rondo__deflater {
    z_stream stream;
    rondo_slice rest; /* of what was given: zlib counts in unsigned int */
    int flush;        /* zlib's name for how it was given */
    bool drained;     /* the last piece had room left: there is no more to come out */
    size_t used; /* of the piece: kept until it is full, or something else than MORE is given */
    char piece[PIECE_BYTES];
};

static void *allocate(void *opaque, unsigned items, unsigned size) {
    size_t bytes;
    (void)opaque;
    if (__builtin_mul_overflow((size_t)items, (size_t)size, &bytes) || bytes == 0) return Z_NULL;
    return rondo__alloc(bytes);
}

static void release(void *opaque, void *memory) {
    (void)opaque;
    rondo__free(memory);
}

bool rondo__deflate_is_there(void) { return true; }

rondo__deflater *rondo__deflater_new(int level, bool small) {
    rondo__deflater *deflater = rondo__alloc(sizeof *deflater);

    if (!deflater) return NULL;
    deflater->stream = (z_stream){.zalloc = allocate, .zfree = release};
    deflater->rest = rondo_slice_of(NULL, 0);
    deflater->drained = true;
    deflater->used = 0;
    int status = deflateInit2(&deflater->stream, level, Z_DEFLATED, (small ? 14 : 15) + GZIP,
                              small ? 7 : 8, Z_DEFAULT_STRATEGY);
    if (status != Z_OK) {
        rondo__free(deflater);
        return NULL;
    }
    return deflater;
}

void rondo__deflater_reset(rondo__deflater *deflater) {
    int status = deflateReset(&deflater->stream);
    RONDO_ASSERT(status == Z_OK);
    deflater->stream.avail_in = 0;
    deflater->rest.len = 0;
    deflater->drained = true;
    deflater->used = 0;
}

void rondo__deflater_free(rondo__deflater *deflater) {
    if (!deflater) return;
    deflateEnd(&deflater->stream);
    rondo__free(deflater);
}

void rondo__deflater_give(rondo__deflater *deflater, rondo_slice data, rondo__deflate how) {
    static const int flushes[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};

    RONDO_ASSERT(deflater->drained);
    deflater->rest = data;
    deflater->flush = flushes[how];
    deflater->drained = false;
}

static void take_in(rondo__deflater *deflater) {
    size_t len = deflater->rest.len < INT_MAX ? deflater->rest.len : INT_MAX;

    if (deflater->stream.avail_in > 0 || len == 0) return;
    deflater->stream.next_in = (Bytef *)(uintptr_t)deflater->rest.data; /* it is only read */
    deflater->stream.avail_in = (uInt)len;
    deflater->rest = rondo_slice_of(deflater->rest.data + len, deflater->rest.len - len);
}

bool rondo__deflater_take(rondo__deflater *deflater, rondo_slice *ret_piece) {
    z_stream *stream = &deflater->stream;

    if (deflater->drained) return false;
    stream->next_out = (Bytef *)deflater->piece + deflater->used;
    stream->avail_out = (uInt)(PIECE_BYTES - deflater->used);
    do {
        take_in(deflater);
        int status = deflate(stream, deflater->rest.len > 0 ? Z_NO_FLUSH : deflater->flush);
        /* Z_BUF_ERROR: there was nothing to do. */
        RONDO_ASSERT(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR);
    } while (stream->avail_out > 0 && deflater->rest.len > 0);
    /* With room left in the output, deflate() has taken all of the input. */
    deflater->drained = stream->avail_out > 0;
    deflater->used = PIECE_BYTES - stream->avail_out;
    if (deflater->drained && deflater->flush == Z_NO_FLUSH) return false;
    *ret_piece = rondo_slice_of(deflater->piece, deflater->used);
    deflater->used = 0;
    return ret_piece->len > 0;
}
