/* SPDX-License-Identifier: MIT
 *
 * Queries: cut into parameters, decoded (URL Standard, application/x-www-form-urlencoded).
 */
#include <rondo/http_query.h>

#include <limits.h>
#include <rondo/error.h>
#include <rondo/http_request.h>
#include <string.h>

#include "loop/assert.h"

bool rondo_http_query_next(rondo_slice *query, rondo_slice *ret_name, rondo_slice *ret_value) {
    while (query->len > 0) {
        const char *begin = query->data, *end = begin + query->len;
        const char *stop = memchr(begin, '&', query->len);
        *query = stop ? rondo_slice_of(stop + 1, (size_t)(end - stop - 1)) : rondo_slice_of(end, 0);
        if (!stop) stop = end;
        if (stop == begin) continue;
        const char *equals = memchr(begin, '=', (size_t)(stop - begin));
        *ret_name = rondo_slice_of(begin, (size_t)((equals ? equals : stop) - begin));
        *ret_value = equals ? rondo_slice_of(equals + 1, (size_t)(stop - equals - 1))
                            : rondo_slice_of(NULL, 0);
        return true;
    }
    return false;
}

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    char lower = (char)(c | 32);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The next octet of an encoded text, which is not at its end: -1 for a broken escape. */
static int next_octet(const char **at, const char *end) {
    char c = *(*at)++;
    if (c == '+') return ' ';
    if (c != '%') return (unsigned char)c;
    if (end - *at < 2 || hex((*at)[0]) < 0 || hex((*at)[1]) < 0) return -1;
    int octet = hex((*at)[0]) << 4 | hex((*at)[1]);
    *at += 2;
    return octet;
}

int rondo_http_query_decode(rondo_slice text, char *buffer, size_t size) {
    const char *at = text.data, *end = at + text.len;
    size_t len = 0;
    int result = 0;
    RONDO_ASSERT(buffer && size > 0);
    if (size > INT_MAX) size = INT_MAX;
    while (text.len > 0 && at < end && result == 0) {
        int octet = next_octet(&at, end);
        if (octet <= 0)
            result = RONDO_EINVAL; /* a NUL would end the string before its end */
        else if (len + 1 >= size)
            result = RONDO_ENOBUFS;
        else
            buffer[len++] = (char)octet;
    }
    buffer[result < 0 ? 0 : len] = '\0';
    return result < 0 ? result : (int)len;
}

static bool is_named(rondo_slice encoded, const char *name) {
    const char *at = encoded.data, *end = at + encoded.len;
    while (at < end && *name)
        if (next_octet(&at, end) != (unsigned char)*name++) return false;
    return at == end && !*name;
}

int rondo_http_request_query_value(const rondo_http_request *request, const char *name,
                                   char *buffer, size_t size) {
    rondo_slice query = rondo_http_request_query(request), key, value;
    while (rondo_http_query_next(&query, &key, &value))
        if (is_named(key, name)) return rondo_http_query_decode(value, buffer, size);
    return RONDO_ENOENT;
}
