/* SPDX-License-Identifier: MIT
 *
 * The Range field (RFC 9110 section 14.2): which octets of a file are asked for. A field that is
 * broken or of another unit is ignored, which is always allowed. So is one that asks for more work
 * than it can be worth (CVE-2011-3192: a hundred overlapping ranges, each the whole file): above
 * RONDO__RANGES_MOST ranges the whole file is the answer. Ranges that overlap, or lie closer together
 * than the head of a part is long, become one, so that no octet is sent twice.
 */
#include "http/files/files.h"

#include <string.h>

/* What a part costs beyond its octets, about: boundary, Content-Type, Content-Range. A gap that is
 * smaller is cheaper to send than to leave out. */
#define GAP_MOST 100

static void skip_space(rondo_slice *text) {
    while (text->len > 0 && rondo__http_blank(text->data[0])) {
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
static rondo__range suffix(uint64_t count, uint64_t size, rondo__part *ret_part) {
    if (count == 0) return RONDO__RANGE_UNSATISFIABLE;
    if (size == 0)
        return RONDO__RANGE_WHOLE; /* satisfiable, but Content-Range can't name an empty range */
    ret_part->len = count < size ? count : size;
    ret_part->offset = size - ret_part->len;
    return RONDO__RANGE_PART;
}

/* Takes "first-last", "first-" or "-count" from the front of the list. RONDO__RANGE_WHOLE: it is
 * none, so that the field as a whole means nothing (section 14.1.1). */
static rondo__range take_range(rondo_slice *list, uint64_t size, rondo__part *ret_part) {
    uint64_t first = 0, last = UINT64_MAX, count = 0;
    bool has_first = take_number(list, &first);

    if (!take(list, '-')) return RONDO__RANGE_WHOLE;
    bool has_second = take_number(list, has_first ? &last : &count);
    if (!has_first) return has_second ? suffix(count, size, ret_part) : RONDO__RANGE_WHOLE;
    if (!has_second) last = UINT64_MAX;
    if (last < first) return RONDO__RANGE_WHOLE; /* invalid, not unsatisfiable */
    if (first >= size) return RONDO__RANGE_UNSATISFIABLE;
    ret_part->offset = first;
    ret_part->len = (last < size ? last + 1 : size) - first;
    return RONDO__RANGE_PART;
}

static bool is_near(const rondo__part *a, const rondo__part *b) {
    uint64_t a_end = a->offset + a->len, b_end = b->offset + b->len;
    return a->offset <= b_end + GAP_MOST && b->offset <= a_end + GAP_MOST;
}

/* Adds a part; those that it meets become one with it, at the place of the first of them. */
static void add_part(rondo__parts *parts, rondo__part part) {
    unsigned place = parts->count, i = 0;

    while (i < parts->count) {
        rondo__part *other = &parts->at[i];
        if (!is_near(other, &part)) {
            i++;
            continue;
        }
        uint64_t end = part.offset + part.len, other_end = other->offset + other->len;
        if (other->offset < part.offset) part.offset = other->offset;
        part.len = (other_end > end ? other_end : end) - part.offset;
        if (i < place) place = i;
        parts->count--;
        memmove(other, other + 1, (parts->count - i) * sizeof *other);
        i = 0; /* it has grown, and may meet one that it did not meet before */
    }
    memmove(&parts->at[place + 1], &parts->at[place], (parts->count - place) * sizeof *parts->at);
    parts->at[place] = part;
    parts->count++;
}

rondo__range rondo__http_range(rondo_slice field, uint64_t size, rondo__parts *ret_parts) {
    static const char unit[] = "bytes=";
    rondo__parts parts = {0};
    unsigned asked = 0;

    if (field.len < strlen(unit) ||
        !rondo__same_word(rondo_slice_of(field.data, strlen(unit)), unit))
        return RONDO__RANGE_WHOLE;
    field = rondo_slice_of(field.data + strlen(unit), field.len - strlen(unit));
    for (;;) {
        rondo__part part;
        skip_space(&field);
        if (asked > 0 && field.len == 0) break; /* "0-1," is a list of one (section 5.6.1) */
        if (take(&field, ',')) continue;
        if (++asked > RONDO__RANGES_MOST) return RONDO__RANGE_WHOLE;
        rondo__range range = take_range(&field, size, &part);
        if (range == RONDO__RANGE_WHOLE) return range;
        if (range == RONDO__RANGE_PART) add_part(&parts, part);
        skip_space(&field);
        if (field.len == 0) break;
        if (!take(&field, ',')) return RONDO__RANGE_WHOLE;
    }
    if (parts.count == 0) return RONDO__RANGE_UNSATISFIABLE;
    *ret_parts = parts;
    return RONDO__RANGE_PART;
}
