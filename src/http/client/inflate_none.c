/* SPDX-License-Identifier: MIT
 *
 * What there is of gzip in a build without zlib: nothing is asked for, and nothing decoded. The
 * Makefile takes this file or inflate.c.
 */
#include <rondo/error.h>

#include "http/client/inflate.h"

bool rondo__inflate_there(void) { return false; }
rondo__inflate *rondo__inflate_new(uint64_t ratio) {
    (void)ratio;
    return NULL;
}
void rondo__inflate_free(rondo__inflate *inflate) { (void)inflate; }
void rondo__inflate_put(rondo__inflate *inflate, rondo_slice input) { (void)inflate, (void)input; }
bool rondo__inflate_pending(const rondo__inflate *inflate) {
    (void)inflate;
    return false;
}
int rondo__inflate_take(rondo__inflate *inflate, rondo_slice *ret_piece) {
    (void)inflate, (void)ret_piece;
    return RONDO_ENOSYS;
}
bool rondo__inflate_whole(const rondo__inflate *inflate) {
    (void)inflate;
    return true;
}
