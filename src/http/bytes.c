/* SPDX-License-Identifier: MIT
 *
 * Octets that grow by doubling.
 */
#include "http/bytes.h"

#include <string.h>

#include "loop/assert.h"
#include "loop/memory.h"

char *rondo__bytes_room(rondo__bytes *bytes, size_t more) {
    if (more > SIZE_MAX / 4 - bytes->len) return NULL;
    size_t needed = bytes->len + more;
    if (needed > bytes->size || !bytes->data) {
        size_t size = needed < bytes->size * 2 ? bytes->size * 2 : needed;
        if (size < 256) size = 256;
        char *data = rondo__realloc(bytes->data, size);
        if (!data) return NULL;
        bytes->data = data;
        bytes->size = size;
    }
    return bytes->data + bytes->len;
}

bool rondo__bytes_add(rondo__bytes *bytes, rondo_slice more) {
    if (more.len == 0) return true;
    char *at = rondo__bytes_room(bytes, more.len);
    if (!at) return false;
    memcpy(at, more.data, more.len);
    bytes->len += more.len;
    return true;
}

bool rondo__bytes_add_text(rondo__bytes *bytes, const char *text) {
    return rondo__bytes_add(bytes, rondo_slice_text(text));
}

bool rondo__bytes_add_field(rondo__bytes *bytes, const char *name, rondo_slice value) {
    size_t name_len = strlen(name);
    char *at = rondo__bytes_room(bytes, name_len + value.len + 4);
    if (!at) return false;
    memcpy(at, name, name_len);
    memcpy(at + name_len, ": ", 2);
    if (value.len > 0) memcpy(at + name_len + 2, value.data, value.len);
    memcpy(at + name_len + 2 + value.len, "\r\n", 2);
    bytes->len += name_len + value.len + 4;
    return true;
}

void rondo__bytes_cut(rondo__bytes *bytes, size_t from, size_t len) {
    RONDO_ASSERT(from <= bytes->len && len <= bytes->len - from);
    memmove(bytes->data + from, bytes->data + from + len, bytes->len - from - len);
    bytes->len -= len;
}

void rondo__bytes_free(rondo__bytes *bytes) {
    rondo__free(bytes->data);
    *bytes = (rondo__bytes){NULL, 0, 0};
}
