/* SPDX-License-Identifier: MIT
 *
 * gzip by zlib. Members may follow one another (RFC 1952 section 2.2).
 */
#include "http/client/inflate.h"

#include <rondo/error.h>
#include <string.h>
#include <zlib.h>

#include "loop/assert.h"
#include "loop/memory.h"

#define FREE_BYTES ((uint64_t)1024 * 1024) /* small answers may be as repetitive as they like */
#define OUT_BYTES 16384

struct rondo__inflate {
    z_stream z;
    uint64_t ratio, taken, made;
    bool full;   /* zlib filled the room that it had, so it may have more without new input */
    bool within; /* a member has begun and has not ended */
    bool used;   /* and there was one before */
    unsigned char in[RONDO__INFLATE_IN];
    unsigned char out[OUT_BYTES];
};

static void *z_alloc(void *opaque, unsigned count, unsigned size) {
    (void)opaque;
    return rondo__alloc((size_t)count * size);
}

static void z_free(void *opaque, void *memory) {
    (void)opaque;
    rondo__free(memory);
}

bool rondo__inflate_there(void) { return true; }

rondo__inflate *rondo__inflate_new(uint64_t ratio) {
    rondo__inflate *self = rondo__zalloc(sizeof *self);
    if (!self) return NULL;
    self->z.zalloc = z_alloc;
    self->z.zfree = z_free;
    self->ratio = ratio;
    if (inflateInit2(&self->z, 15 + 16) != Z_OK) { /* 16: gzip and nothing else */
        rondo__free(self);
        return NULL;
    }
    return self;
}

void rondo__inflate_free(rondo__inflate *self) {
    if (!self) return;
    inflateEnd(&self->z);
    rondo__free(self);
}

void rondo__inflate_put(rondo__inflate *self, rondo_slice input) {
    RONDO_ASSERT(self->z.avail_in == 0 && input.len <= sizeof self->in);
    memcpy(self->in, input.data, input.len);
    self->z.next_in = self->in;
    self->z.avail_in = (unsigned)input.len;
    self->taken += input.len;
}

bool rondo__inflate_pending(const rondo__inflate *self) {
    return self->z.avail_in > 0 || self->full;
}

static bool is_bomb(const rondo__inflate *self) {
    if (self->made <= FREE_BYTES) return false;
    return (self->made - FREE_BYTES) / self->ratio > self->taken;
}

int rondo__inflate_take(rondo__inflate *self, rondo_slice *ret_piece) {
    z_stream *z = &self->z;
    if (!self->within && z->avail_in > 0) {
        if (self->used && inflateReset(z) != Z_OK) return RONDO_EPROTO;
        self->within = self->used = true;
    }
    z->next_out = self->out;
    z->avail_out = sizeof self->out;
    int result = inflate(z, Z_NO_FLUSH);
    size_t made = sizeof self->out - z->avail_out;
    self->full = z->avail_out == 0 && result == Z_OK;
    self->made += made;
    if (result == Z_MEM_ERROR) return RONDO_ENOMEM;
    /* Z_BUF_ERROR: it could not go on, which is no error (zlib.h). */
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) return RONDO_EPROTO;
    if (result == Z_BUF_ERROR && z->avail_in > 0 && made == 0) return RONDO_EPROTO;
    if (result == Z_STREAM_END) self->within = false;
    if (is_bomb(self)) return RONDO_EMSGSIZE;
    *ret_piece = rondo_slice_of(self->out, made);
    return 0;
}

bool rondo__inflate_whole(const rondo__inflate *self) { return !self->within; }
