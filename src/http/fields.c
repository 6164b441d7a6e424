/* SPDX-License-Identifier: MIT
 *
 * Field lines: finding and checking.
 */
#include "http/fields.h"

#include <rondo/error.h>
#include <string.h>

#include "http/chars.h"
#include "loop/assert.h"

const char *rondo__field_split(const char *line, const char *end, rondo_slice *ret_name,
                               rondo_slice *ret_value) {
    const char *colon = memchr(line, ':', (size_t)(end - line));
    RONDO_ASSERT(colon);
    const char *lf = memchr(colon, '\n', (size_t)(end - colon));
    RONDO_ASSERT(lf && lf[-1] == '\r');
    const char *value = colon + 1, *stop = lf - 1;
    while (rondo__http_blank(*value)) value++;
    while (stop > value && rondo__http_blank(stop[-1])) stop--;
    *ret_name = rondo_slice_of(line, (size_t)(colon - line));
    *ret_value = rondo_slice_of(value, (size_t)(stop - value));
    return lf + 1;
}

bool rondo__field_is(rondo_slice name, const char *other) {
    size_t i = 0;
    for (; i < name.len && other[i]; i++)
        if (rondo__http_lower(name.data[i]) != rondo__http_lower(other[i])) return false;
    return i == name.len && !other[i];
}

rondo_slice rondo__fields_find(rondo_slice fields, const char *name) {
    const char *line = fields.data, *end = fields.len > 0 ? line + fields.len : line;
    rondo_slice found, value;
    while (line < end) {
        line = rondo__field_split(line, end, &found, &value);
        if (rondo__field_is(found, name)) return value;
    }
    return rondo_slice_of(NULL, 0);
}

bool rondo__fields_at(rondo_slice fields, size_t i, rondo_slice *ret_name, rondo_slice *ret_value) {
    const char *line = fields.data, *end = fields.len > 0 ? line + fields.len : line;
    rondo_slice name, value;
    while (line < end) {
        line = rondo__field_split(line, end, &name, &value);
        if (i-- > 0) continue;
        *ret_name = name;
        *ret_value = value;
        return true;
    }
    return false;
}

bool rondo__field_has_token(rondo_slice value, const char *word) {
    const char *at = value.data, *end = at + value.len;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end, *next = comma ? comma + 1 : end;
        while (at < stop && rondo__http_blank(*at)) at++;
        while (stop > at && rondo__http_blank(stop[-1])) stop--;
        if (rondo__field_is(rondo_slice_of(at, (size_t)(stop - at)), word)) return true;
        at = next;
    }
    return false;
}

int64_t rondo__fields_check(rondo_slice fields) {
    const char *line = fields.data, *end = fields.len > 0 ? line + fields.len : line;
    int64_t count = 0;
    for (; line < end; count++) {
        const char *lf = memchr(line, '\n', (size_t)(end - line));
        if (!lf || lf == line || lf[-1] != '\r') return -1;
        const char *colon = memchr(line, ':', (size_t)(lf - line));
        if (!colon || colon == line) return -1;
        if (!rondo__http_all(line, (size_t)(colon - line), RONDO__CHAR_TOKEN)) return -1;
        if (!rondo__http_all(colon + 1, (size_t)(lf - 1 - (colon + 1)), RONDO__CHAR_VALUE))
            return -1;
        line = lf + 1;
    }
    return count;
}

int rondo__field_check_sent(const char *name, const char *value) {
    size_t name_len = strlen(name), value_len = strlen(value);
    if (name_len == 0 || !rondo__http_all(name, name_len, RONDO__CHAR_TOKEN)) return RONDO_EINVAL;
    if (memchr(value, '\r', value_len) || memchr(value, '\n', value_len)) return RONDO_EINVAL;
    return name_len > UINT16_MAX || value_len > UINT16_MAX ? RONDO_ENOBUFS : 0;
}
