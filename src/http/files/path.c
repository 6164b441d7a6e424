/* SPDX-License-Identifier: MIT
 *
 * From a request target to the name of a file: the first of two lines of defence against targets
 * that climb out of the directory served (the second is how files_open.c opens). It works segment
 * by segment, decodes once, and refuses instead of repairing: whoever sends "..", "//" or "%2F" to
 * a file server asks for something that is not a file here, and what is refused can't be read
 * differently by a proxy in front. Pure: no state, no allocation, no file system.
 */
#include "http/files/files.h"

#include <rondo/error.h>

#include <string.h>

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool starts_with_scheme(rondo_slice target, const char *scheme) {
    size_t len = strlen(scheme);
    return target.len >= len && rondo__same_word(rondo_slice_of(target.data, len), scheme);
}

/* Cuts the target down to its path. RFC 9112 section 3.2: origin-form begins with a slash;
 * absolute-form (3.2.2) has a scheme and an authority before it, and perhaps no path at all. */
static bool cut_to_path(rondo_slice *target) {
    size_t at = 0, len;

    if (starts_with_scheme(*target, "http://"))
        at = strlen("http://");
    else if (starts_with_scheme(*target, "https://"))
        at = strlen("https://");
    if (at > 0) {
        while (at < target->len && target->data[at] != '/' && target->data[at] != '?') at++;
    } else if (target->len == 0 || target->data[0] != '/') {
        return false; /* "*", an authority, or nothing that RFC 9112 knows */
    }
    for (len = at; len < target->len && target->data[len] != '?'; len++) {}
    *target = rondo_slice_of(target->data + at, len - at);
    return true;
}

/* Decodes one octet at *at and moves behind it. Returns it, or -1 for what no target may hold:
 * a broken escape, an encoded NUL, a raw control character, space or '#'. */
static int decode_octet(rondo_slice path, size_t *at) {
    unsigned char c = (unsigned char)path.data[*at];

    if (c != '%') {
        (*at)++;
        return c <= ' ' || c == 0x7f || c == '#' ? -1 : c;
    }
    if (path.len - *at < 3) return -1;
    int high = hex_value(path.data[*at + 1]), low = hex_value(path.data[*at + 2]);
    *at += 3;
    return high < 0 || low < 0 || high + low == 0 ? -1 : high * 16 + low;
}

/* Decodes the segment at *at to ret_name and moves to the slash behind it or to the end. Returns
 * its length, RONDO_EINVAL or RONDO_ENOENT. An encoded slash is no separator (RFC 3986 section
 * 2.2), and as part of a name it can't exist. */
static int decode_segment(rondo_slice path, size_t *at, char *ret_name, size_t size) {
    size_t used = 0;
    int slashes = 0;

    while (*at < path.len && path.data[*at] != '/') {
        bool escaped = path.data[*at] == '%';
        int octet = decode_octet(path, at);
        if (octet < 0) return RONDO_EINVAL;
        slashes += escaped && octet == '/';
        if (used < size) ret_name[used] = (char)octet;
        used++;
    }
    return slashes > 0 || used >= size ? RONDO_ENOENT : (int)used;
}

int rondo__http_path(rondo_slice target, char *ret_path, size_t size) {
    size_t at = 0, used = 0;
    bool found = true;

    RONDO_ASSERT(size > 0 && size <= 65536);
    if (!cut_to_path(&target)) return RONDO_EINVAL;
    while (at < target.len) {
        RONDO_ASSERT(target.data[at] == '/');
        at++;
        bool last = memchr(target.data + at, '/', target.len - at) == NULL;
        /* Room for the slash and the NUL stays. */
        int len = decode_segment(target, &at, ret_path + used, size - used - 1);
        if (len == RONDO_EINVAL)
            return len; /* not a target at all: worse than not found, wherever it stands */
        if (len < 0 || (len == 0 && !last) || (len > 0 && ret_path[used] == '.')) found = false;
        if (found) {
            used += (size_t)len;
            if (!last) ret_path[used++] = '/';
        }
    }
    if (!found) return RONDO_ENOENT;
    ret_path[used] = '\0';
    return (int)used;
}

/* What may stand in a path or query as it is (RFC 3986 sections 3.3 and 3.4); '%' because the
 * target is not decoded here. */
static bool is_plain(char c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
    return c != '\0' && strchr("-._~!$&'()*+,;=:@/?%", c) != NULL;
}

static bool append(char *text, size_t size, size_t *used, char c) {
    static const char digits[] = "0123456789ABCDEF";
    unsigned char octet = (unsigned char)c;

    if (*used + 4 > size) return false;
    if (is_plain(c)) {
        text[(*used)++] = c;
    } else {
        text[(*used)++] = '%';
        text[(*used)++] = digits[octet >> 4];
        text[(*used)++] = digits[octet & 15];
    }
    return true;
}

int rondo__http_path_location(rondo_slice target, char *ret_text, size_t size) {
    rondo_slice path = target;
    size_t used = 0, begin;

    if (!cut_to_path(&path) || path.len == 0) return RONDO_EINVAL;
    for (begin = path.len; path.data[begin - 1] != '/'; begin--) {}
    /* "./": a reference that begins so has neither scheme nor authority (RFC 3986 section 4.2),
     * whatever the name is: "//elsewhere.example" and "javascript:" can't come out of it. */
    bool fits = append(ret_text, size, &used, '.') && append(ret_text, size, &used, '/');
    for (size_t i = begin; fits && i < path.len; i++)
        fits = append(ret_text, size, &used, path.data[i]);
    fits = fits && append(ret_text, size, &used, '/');
    const char *end = target.data + target.len;
    for (const char *query = path.data + path.len; fits && query < end; query++)
        fits = append(ret_text, size, &used, *query);
    if (!fits) return RONDO_ENOBUFS;
    ret_text[used] = '\0';
    return (int)used;
}
