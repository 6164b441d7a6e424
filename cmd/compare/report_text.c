/* SPDX-License-Identifier: MIT
 *
 * rondo compare: text that grows, and escaping. One loop takes characters out of octets that may be no UTF-8 at all; the formats
 * differ in what they make of a character.
 */
#include "report_text.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Growing --- */

static bool make_room(text *self, size_t more) {
    if (self->failed) return false;
    if (self->len + more + 1 <= self->room) return true;
    size_t room = self->room ? self->room * 2 : 1024;
    while (room < self->len + more + 1) room *= 2;
    char *data = realloc(self->data, room);
    if (!data) {
        self->failed = true;
        return false;
    }
    self->data = data;
    self->room = room;
    return true;
}

void text_octets(text *self, const char *data, size_t len) {
    if (!make_room(self, len)) return;
    memcpy(self->data + self->len, data, len);
    self->len += len;
    self->data[self->len] = '\0';
}

void text_add(text *self, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0 || !make_room(self, (size_t)len)) return;
    va_start(args, format);
    vsnprintf(self->data + self->len, (size_t)len + 1, format, args);
    va_end(args);
    self->len += (size_t)len;
}

void text_free(text *self) {
    free(self->data);
    *self = (text){0};
}

/* --- Characters --- */

#define REPLACEMENT 0xfffd

/* Takes one character from *at, which is not at its end. RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
static uint32_t take(const char **at) {
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    unsigned char first = (unsigned char)*(*at)++;
    if (first < 0x80) return first;
    int more = first >= 0xf8 ? -1 : first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : -1;
    if (more < 0) return REPLACEMENT;
    uint32_t c = first & (0x3fu >> more);
    const char *ahead = *at;
    for (int i = 0; i < more; i++, ahead++) {
        if (((unsigned char)*ahead & 0xc0) != 0x80) return REPLACEMENT;
        c = c << 6 | ((unsigned char)*ahead & 0x3f);
    }
    if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return REPLACEMENT;
    *at = ahead;
    return c;
}

static void put(text *self, uint32_t c) {
    char buf[4];
    if (c < 0x80) {
        buf[0] = (char)c;
        text_octets(self, buf, 1);
    } else if (c < 0x800) {
        buf[0] = (char)(0xc0 | c >> 6);
        buf[1] = (char)(0x80 | (c & 0x3f));
        text_octets(self, buf, 2);
    } else if (c < 0x10000) {
        buf[0] = (char)(0xe0 | c >> 12);
        buf[1] = (char)(0x80 | (c >> 6 & 0x3f));
        buf[2] = (char)(0x80 | (c & 0x3f));
        text_octets(self, buf, 3);
    } else {
        buf[0] = (char)(0xf0 | c >> 18);
        buf[1] = (char)(0x80 | (c >> 12 & 0x3f));
        buf[2] = (char)(0x80 | (c >> 6 & 0x3f));
        buf[3] = (char)(0x80 | (c & 0x3f));
        text_octets(self, buf, 4);
    }
}

/* Controls of ASCII and Latin-1, what turns the direction of writing, and the noncharacters. */
static bool is_control(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef);
}

/* --- Formats --- */

void text_html(text *self, const char *from) {
    while (*from) {
        uint32_t c = take(&from);
        if (c == '&')
            text_add(self, "&amp;");
        else if (c == '<')
            text_add(self, "&lt;");
        else if (c == '>')
            text_add(self, "&gt;");
        else if (c == '"')
            text_add(self, "&quot;");
        else if (c == '\'')
            text_add(self, "&#39;");
        else if (c == '\n' || c == '\t')
            put(self, ' ');
        else
            put(self, is_control(c) ? REPLACEMENT : c);
    }
}

void text_json(text *self, const char *from) {
    if (!from) {
        text_add(self, "null");
        return;
    }
    put(self, '"');
    while (*from) {
        uint32_t c = take(&from);
        if (c == '"' || c == '\\')
            text_add(self, "\\%c", (char)c);
        else if (c == '\n')
            text_add(self, "\\n");
        else if (c == '\t')
            text_add(self, "\\t");
        else if (c < 0x20 || c == 0x7f)
            text_add(self, "\\u%04x", (unsigned)c);
        else
            put(self, c);
    }
    put(self, '"');
}

void text_csv(text *self, const char *from) {
    bool formula = *from && strchr("=+-@\t\r", *from);
    bool quote = formula || strpbrk(from, "\",\r\n;") || *from == ' ';
    if (quote) put(self, '"');
    if (formula) put(self, '\'');
    while (*from) {
        uint32_t c = take(&from);
        if (c == '"')
            text_add(self, "\"\"");
        else if (c == '\n')
            put(self, c);
        else
            put(self, is_control(c) ? REPLACEMENT : c);
    }
    if (quote) put(self, '"');
}

void text_gnuplot(text *self, const char *from) {
    put(self, '\'');
    while (*from) {
        uint32_t c = take(&from);
        if (c == '\'')
            text_add(self, "''");
        else
            put(self, is_control(c) ? ' ' : c);
    }
    put(self, '\'');
}

void text_columns(text *self, const char *from, int columns, int pad) {
    int count = 0;
    for (const char *at = from; *at; count++) take(&at);
    if (columns < 0) columns = 0;
    int shown = count < columns ? count : columns;
    if (pad > 0) text_add(self, "%*s", columns - shown, "");
    for (int i = 0; i < shown; i++) {
        uint32_t c = take(&from);
        if (count > columns && i == shown - 1) c = 0x2026; /* ... there was more */
        put(self, is_control(c) ? '?' : c);
    }
    if (pad < 0) text_add(self, "%*s", columns - shown, "");
}

/* --- Numbers --- */

void text_number(text *self, double value, const char *missing) {
    if (!isfinite(value) || value < 0)
        text_add(self, "%s", missing);
    else if (value == floor(value) && value < 1e15)
        text_add(self, "%.0f", value);
    else
        text_add(self, "%.10g", value);
}

/* "1234567" to "1,234,567". */
static void add_commas(const char *digits, char *buf) {
    size_t len = strlen(digits);
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) *buf++ = ',';
        *buf++ = digits[i];
    }
    *buf = '\0';
}

const char *show_number(double value, char buf[static SHOWN_MOST]) {
    char digits[SHOWN_MOST];
    if (!isfinite(value) || value < 0) {
        snprintf(buf, SHOWN_MOST, "-");
    } else if (value >= 99.5) {
        snprintf(digits, sizeof digits, "%.0f", fmin(value, 1e15));
        add_commas(digits, buf);
    } else if (value == floor(value)) {
        snprintf(buf, SHOWN_MOST, "%.0f", value);
    } else {
        snprintf(buf, SHOWN_MOST, value >= 9.95 ? "%.1f" : value >= 0.995 ? "%.2f" : "%.2g", value);
    }
    return buf;
}

static const char *show_unit(double value, const char *unit, char buf[static SHOWN_MOST]) {
    char number[SHOWN_MOST];
    snprintf(buf, SHOWN_MOST, "%.20s %.4s", show_number(value, number), unit);
    return buf;
}

const char *show_time(double us, char buf[static SHOWN_MOST]) {
    if (!isfinite(us) || us < 0) return show_number(us, buf);
    if (us < 999.5) return show_unit(us, "µs", buf);
    if (us < 999500) return show_unit(us / 1e3, "ms", buf);
    return show_unit(us / 1e6, "s", buf);
}

const char *show_bytes(double bytes, char buf[static SHOWN_MOST]) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    if (!isfinite(bytes) || bytes < 0) return show_number(bytes, buf);
    size_t unit = 0;
    for (; bytes >= 1023.5 && unit < 4; unit++) bytes /= 1024;
    if (unit == 0) bytes = floor(bytes + 0.5);
    return show_unit(bytes, units[unit], buf);
}
