/* SPDX-License-Identifier: MIT
 *
 * The character classes of HTTP's grammar (RFC 9110 section 5.6, RFC 9112 section 3, RFC 3986), and
 * words in any case, without the C library's functions that follow the locale. Internal.
 */
#ifndef RONDO__CHARS_H
#define RONDO__CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    RONDO__CHAR_TOKEN = 1,    /* tchar: methods and field names */
    RONDO__CHAR_REG_NAME = 2, /* unreserved and sub-delims: names of hosts, without '%' */
    RONDO__CHAR_HEX = 4,
    RONDO__CHAR_VALUE = 8,  /* field-vchar, SP and HTAB */
    RONDO__CHAR_TARGET = 16 /* visible ASCII but '#', which has no place in a request */
};

extern const uint8_t rondo__http_chars[256];

static inline bool rondo__http_is(char c, unsigned bits) {
    return (rondo__http_chars[(uint8_t)c] & bits) != 0;
}

/* Whether each octet of text is in the class; true for no octets. */
bool rondo__http_all(const char *text, size_t len, unsigned bits);

static inline char rondo__http_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Whether text is `word` in any case. word is a literal of lower-case letters, digits, '-', ':' and
 * '/', all of which have the bit that tells cases apart set; text has no control characters. In words
 * of the machine: the fields of every request are compared with those that matter. */
static inline bool rondo__http_word_is(const char *text, size_t len, const char *word) {
    size_t i = 0, word_len = strlen(word);
    if (len != word_len) return false;
    for (; word_len - i >= 8; i += 8) {
        uint64_t a, b;
        memcpy(&a, text + i, 8);
        memcpy(&b, word + i, 8);
        if ((a | UINT64_C(0x2020202020202020)) != b) return false;
    }
    for (; word_len - i >= 2; i += 2) {
        uint16_t a, b;
        memcpy(&a, text + i, 2);
        memcpy(&b, word + i, 2);
        if ((a | 0x2020) != b) return false;
    }
    return i == word_len || (text[i] | 0x20) == word[i];
}

static inline bool rondo__http_blank(char c) { return c == ' ' || c == '\t'; }

#endif
