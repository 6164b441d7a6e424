/* SPDX-License-Identifier: MIT
 *
 * Patterns: the text that a program writes, cut into segments, or refused. What is refused is what
 * could be a mistake: nothing here has a second meaning.
 */
#include "http/router/router.h"

#include <rondo/error.h>
#include <string.h>

#include "http/chars.h"

/* Longer than any method that the server lets through. */
#define METHOD_BYTES 32

static bool is_name_octet(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_name(rondo_slice text) {
    for (size_t i = 0; i < text.len; i++)
        if (!is_name_octet(text.data[i])) return false;
    return text.len > 0;
}

static bool is_dots(rondo_slice text) {
    return text.len <= 2 && memcmp(text.data, "..", text.len) == 0 && text.len > 0;
}

/* '?' and '#' are never part of a path, so whoever writes them wants something else; '*' within a
 * text may look like one of the patterns that a shell has. */
static bool is_text(rondo_slice text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < ' ' || c == 0x7f || c == '?' || c == '#' || c == '*') return false;
    }
    return !is_dots(text);
}

/* 0 or why not. is_last: nothing follows. */
static int parse_segment(rondo_slice text, bool is_last, rondo__segment *ret_segment) {
    if (text.len > 0 && text.data[0] == ':') {
        ret_segment->kind = RONDO__SEGMENT_PARAM;
        ret_segment->text = rondo_slice_of(text.data + 1, text.len - 1);
        return is_name(ret_segment->text) ? 0 : RONDO_EINVAL;
    }
    if (text.len == 1 && text.data[0] == '*') {
        ret_segment->kind = RONDO__SEGMENT_REST;
        ret_segment->text = text;
        return is_last ? 0 : RONDO_EINVAL;
    }
    if (text.len > RONDO__SEGMENT_BYTES) return RONDO_ENOBUFS;
    ret_segment->kind = RONDO__SEGMENT_TEXT;
    ret_segment->text = text;
    return (text.len > 0 || is_last) && is_text(text) ? 0 : RONDO_EINVAL;
}

static bool same(rondo_slice a, rondo_slice b) {
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static int check_names(const rondo__pattern *pattern) {
    size_t params = 0;
    for (size_t i = 0; i < pattern->count; i++) {
        const rondo__segment *segment = &pattern->segments[i];
        if (segment->kind == RONDO__SEGMENT_TEXT) continue;
        if (++params > RONDO_HTTP_ROUTER_PARAMS) return RONDO_ENOBUFS;
        for (size_t k = 0; k < i; k++)
            if (pattern->segments[k].kind == RONDO__SEGMENT_PARAM &&
                same(pattern->segments[k].text, segment->text))
                return RONDO_EINVAL;
    }
    return 0;
}

int rondo__pattern_parse(rondo_slice text, rondo__pattern *ret_pattern) {
    ret_pattern->count = 0;
    if (text.len == 0 || text.data[0] != '/') return RONDO_EINVAL;
    if (text.len > RONDO__PATTERN_BYTES) return RONDO_ENOBUFS;
    const char *at = text.data, *end = text.data + text.len;
    while (at < end) {
        at++; /* the slash */
        const char *slash = at < end ? memchr(at, '/', (size_t)(end - at)) : NULL;
        const char *stop = slash ? slash : end;
        if (ret_pattern->count == RONDO__PATTERN_SEGMENTS) return RONDO_ENOBUFS;
        int result = parse_segment(rondo_slice_of(at, (size_t)(stop - at)), !slash,
                                   &ret_pattern->segments[ret_pattern->count++]);
        if (result < 0) return result;
        at = stop;
    }
    return check_names(ret_pattern);
}

bool rondo__is_method(const char *method) {
    size_t len = strlen(method);
    if (len == 0 || len > METHOD_BYTES) return false;
    return strcmp(method, "*") == 0 || rondo__http_all(method, len, RONDO__CHAR_TOKEN);
}
