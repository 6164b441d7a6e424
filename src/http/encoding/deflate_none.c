/* SPDX-License-Identifier: MIT
 *
 * Where there is no zlib: nothing is compressed.
 */
#include "http/encoding/deflate.h"

bool rondo__deflate_is_there(void) { return false; }

rondo__deflater *rondo__deflater_new(int level, bool small) {
    (void)level, (void)small;
    return NULL;
}

void rondo__deflater_reset(rondo__deflater *deflater) { (void)deflater; }
void rondo__deflater_free(rondo__deflater *deflater) { (void)deflater; }

void rondo__deflater_give(rondo__deflater *deflater, rondo_slice data, rondo__deflate how) {
    (void)deflater, (void)data, (void)how;
}

bool rondo__deflater_take(rondo__deflater *deflater, rondo_slice *ret_piece) {
    (void)deflater, (void)ret_piece;
    return false;
}
