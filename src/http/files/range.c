/* SPDX-License-Identifier: MIT
 *
 * The Range field (RFC 9110 section 14.2): one range of octets, or the whole file. A field that is
 * broken, of another unit or names several ranges is ignored, which is always allowed: several
 * ranges would need multipart/byteranges, which nobody but attackers asks for (CVE-2011-3192).
 */
#include "http/files/files.h"

#include <string.h>

static void skip_space(rondo_slice *text) {
    while (text->len > 0 && (text->data[0] == ' ' || text->data[0] == '\t')) {
        text->data++;
        text->len--;
    }
}

/* 1*DIGIT; a number that is too large is taken as the largest. False when there is no digit. */
static bool take_number(rondo_slice *text, uint64_t *ret_value) {
    uint64_t value = 0;
    const char *begin = text->data;

    while (text->len > 0 && text->data[0] >= '0' && text->data[0] <= '9') {
        unsigned digit = (unsigned)(text->data[0] - '0');
        value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
        text->data++;
        text->len--;
    }
    *ret_value = value;
    return text->data > begin;
}

static bool take(rondo_slice *text, char c) {
    if (text->len == 0 || text->data[0] != c) return false;
    text->data++;
    text->len--;
    return true;
}

/* "-N": the last N octets, or all when there are fewer. */
static rondo__range suffix(uint64_t count, uint64_t size, uint64_t *ret_offset, uint64_t *ret_len) {
    if (count == 0) return RONDO__RANGE_UNSATISFIABLE;
    if (size == 0)
        return RONDO__RANGE_WHOLE; /* satisfiable, but Content-Range can't name an empty range */
    *ret_len = count < size ? count : size;
    *ret_offset = size - *ret_len;
    return RONDO__RANGE_PART;
}

rondo__range rondo__http_range(rondo_slice field, uint64_t size, uint64_t *ret_offset,
                               uint64_t *ret_len) {
    static const char unit[] = "bytes=";
    uint64_t first = 0, last = UINT64_MAX, count = 0;

    if (field.len < strlen(unit) ||
        !rondo__same_word(rondo_slice_of(field.data, strlen(unit)), unit))
        return RONDO__RANGE_WHOLE;
    field = rondo_slice_of(field.data + strlen(unit), field.len - strlen(unit));
    skip_space(&field);
    bool has_first = take_number(&field, &first);
    if (!take(&field, '-')) return RONDO__RANGE_WHOLE;
    bool has_second = take_number(&field, has_first ? &last : &count);
    skip_space(&field);
    if (field.len > 0 || (!has_first && !has_second)) return RONDO__RANGE_WHOLE;
    if (!has_first) return suffix(count, size, ret_offset, ret_len);
    if (!has_second) last = UINT64_MAX;
    if (last < first) return RONDO__RANGE_WHOLE; /* invalid, not unsatisfiable: section 14.1.1 */
    if (first >= size) return RONDO__RANGE_UNSATISFIABLE;
    *ret_offset = first;
    *ret_len = (last < size ? last + 1 : size) - first;
    return RONDO__RANGE_PART;
}
