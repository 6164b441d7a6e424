/* SPDX-License-Identifier: MIT
 *
 * rondo compare: what an answer must be. A head is read by hand, since the generator has to cost less than any server: it is
 * looked through once, for the two fields that matter.
 */
#define _GNU_SOURCE /* memmem */
#include "load.h"

#include <string.h>
#include <strings.h>

/* Eight octets at each multiple of eight, all different within a file of any size in use. */
static uint64_t word_at(uint64_t index) {
    uint64_t word = (index + 1) * UINT64_C(0x9E3779B97F4A7C15);
    return word ^ (word >> 29);
}

void body_fill(uint64_t offset, char *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        uint64_t at = offset + i;
        data[i] = (char)(word_at(at / 8) >> (8 * (at % 8)));
    }
}

#define LOOKED_AT 32

bool body_fits(uint64_t offset, const char *data, size_t len) {
    char want[LOOKED_AT];
    size_t some = len < LOOKED_AT ? len : LOOKED_AT;
    body_fill(offset, want, some);
    if (memcmp(data, want, some) != 0) return false;
    body_fill(offset + len - some, want, some);
    return memcmp(data + len - some, want, some) == 0;
}

/* Digits and nothing else but blanks around them. */
static bool parse_length(const char *at, const char *end, uint64_t *ret) {
    uint64_t length = 0;
    while (at < end && (*at == ' ' || *at == '\t')) at++;
    const char *first = at;
    for (; at < end && *at >= '0' && *at <= '9' && length < UINT64_MAX / 16; at++)
        length = length * 10 + (uint64_t)(*at - '0');
    if (at == first) return false;
    while (at < end && (*at == ' ' || *at == '\t')) at++;
    *ret = length;
    return at == end;
}

/* Whether the field's line has this name, which ends with its colon. Returns where its value begins. */
static const char *value_of(const char *line, const char *end, const char *name, size_t len) {
    return (size_t)(end - line) >= len && strncasecmp(line, name, len) == 0 ? line + len : NULL;
}
#define VALUE_OF(line, end, name) value_of(line, end, name, sizeof name - 1)

static bool has_word(const char *at, const char *end, const char *word) {
    size_t len = strlen(word);
    for (; (size_t)(end - at) >= len; at++)
        if (strncasecmp(at, word, len) == 0) return true;
    return false;
}

ssize_t answer_parse(const char *data, size_t len, answer_head *ret) {
    const char *stop = memmem(data, len, "\r\n\r\n", 4);
    bool has_length = false;
    if (!stop) return len < 8 * 1024 ? 0 : -1;
    if (stop - data < 12 || memcmp(data, "HTTP/1.", 7) != 0 || data[8] != ' ') return -1;
    ret->status = 0;
    for (const char *digit = data + 9; digit < data + 12; digit++) {
        if (*digit < '0' || *digit > '9') return -1;
        ret->status = ret->status * 10 + (*digit - '0');
    }
    ret->close = data[7] == '0';
    for (const char *line = data; line < stop;) {
        const char *end = memchr(line, '\r', (size_t)(stop + 1 - line)), *value;
        if ((value = VALUE_OF(line, end, "content-length:"))) {
            if (!parse_length(value, end, &ret->length)) return -1;
            has_length = true;
        } else if ((value = VALUE_OF(line, end, "connection:"))) {
            if (has_word(value, end, "close")) ret->close = true;
            if (has_word(value, end, "keep-alive")) ret->close = false;
        }
        line = end + 2;
    }
    return has_length ? stop + 4 - data : -1;
}
