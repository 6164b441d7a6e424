/* SPDX-License-Identifier: MIT
 *
 * A run of octets that grows. All zero is an empty one. Internal.
 */
#ifndef RONDO__HTTP_BYTES_H
#define RONDO__HTTP_BYTES_H

#include <rondo/base.h>

typedef struct rondo__bytes {
    char *data;
    size_t len, size;
} rondo__bytes;

/* Sees to room for `more` octets behind those there are; what it returns is NULL when out of memory. The
 * caller adds to len what it has put there. */
char *rondo__bytes_room(rondo__bytes *bytes, size_t more);
/* Appends: false when out of memory. */
bool rondo__bytes_add(rondo__bytes *bytes, rondo_slice more);
bool rondo__bytes_add_text(rondo__bytes *bytes, const char *text);
/* "name: value" CRLF; all or nothing. */
bool rondo__bytes_add_field(rondo__bytes *bytes, const char *name, rondo_slice value);
/* Takes `len` octets at `from` out. */
void rondo__bytes_cut(rondo__bytes *bytes, size_t from, size_t len);
/* Frees them; an empty one remains. */
void rondo__bytes_free(rondo__bytes *bytes);

static inline rondo_slice rondo__bytes_slice(const rondo__bytes *bytes) {
    return rondo_slice_of(bytes->data, bytes->len);
}

#endif
