/* SPDX-License-Identifier: MIT
 *
 * Lines of access logs. Everything in them that a client has sent is escaped, so that a line is one
 * line, and what stands between quotes stays there. Pure.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "http/log/log.h"
#include "loop/assert.h"

#define TARGET_MOST ((size_t)2048)
#define VALUE_MOST ((size_t)512)
#define METHOD_MOST ((size_t)32)

/* ---- time ---- */

bool rondo__log_clock_set(rondo__log_clock *clock, int64_t second) {
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t time = (time_t)second;
    struct tm tm;

    if (second == clock->second) return true;
    if (!localtime_r(&time, &tm)) return false;
    long minutes = tm.tm_gmtoff / 60;
    char sign = minutes < 0 ? '-' : '+';
    if (minutes < 0) minutes = -minutes;
    snprintf(clock->common, sizeof clock->common, "%02d/%s/%04d:%02d:%02d:%02d %c%02ld%02ld",
             tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec,
             sign, minutes / 60 % 100, minutes % 60);
    snprintf(clock->iso, sizeof clock->iso, "%04d-%02d-%02dT%02d:%02d:%02d%c%02ld:%02ld",
             tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, sign,
             minutes / 60 % 100, minutes % 60);
    clock->second = second;
    return true;
}

/* ---- pieces ---- */

static char *put(char *at, rondo_slice text) {
    if (text.len > 0) memcpy(at, text.data, text.len);
    return at + text.len;
}
#define PUT(at, literal) put((at), rondo_slice_of(literal, sizeof(literal) - 1))

static char *put_number(char *at, uint64_t number, int digits_least) {
    char digits[24];
    int count = 0;

    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0 || count < digits_least);
    while (count > 0) *at++ = digits[--count];
    return at;
}

static char *put_hex(char *at, unsigned char octet) {
    static const char digits[] = "0123456789abcdef";
    *at++ = digits[octet >> 4];
    *at++ = digits[octet & 15];
    return at;
}

static char *put_escaped(char *at, rondo_slice text, size_t most, rondo_http_log_format format) {
    unsigned char least = format == RONDO_HTTP_LOG_SHORT ? '!' : ' ';
    bool cut = text.len > most;

    if (cut) text.len = most;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char octet = (unsigned char)text.data[i];
        if (octet >= least && octet < 0x7f && octet != '"' && octet != '\\') {
            *at++ = (char)octet;
        } else if (format == RONDO_HTTP_LOG_JSON && (octet == '"' || octet == '\\')) {
            *at++ = '\\';
            *at++ = (char)octet;
        } else {
            at = format == RONDO_HTTP_LOG_JSON ? PUT(at, "\\u00") : PUT(at, "\\x");
            at = put_hex(at, octet);
        }
    }
    return cut ? PUT(at, "...") : at;
}

static char *put_or_dash(char *at, rondo_slice text, size_t most, rondo_http_log_format format) {
    return text.len > 0 ? put_escaped(at, text, most, format) : PUT(at, "-");
}

/* Milliseconds with one digit behind the point, rounded, or with three. */
static char *put_ms(char *at, uint64_t us, bool exact) {
    uint64_t tenths = us / 100 + (us % 100 >= 50);

    at = put_number(at, exact ? us / 1000 : tenths / 10, 1);
    *at++ = '.';
    return exact ? put_number(at, us % 1000, 3) : put_number(at, tenths % 10, 1);
}

/* ---- lines ---- */

/* Without a method nothing that makes sense has come. */
static char *put_request(char *at, rondo_http_log_format format, const rondo__log_entry *entry) {
    if (entry->method.len == 0) return PUT(at, "-");
    at = put_escaped(at, entry->method, METHOD_MOST, format);
    *at++ = ' ';
    at = put_or_dash(at, entry->target, TARGET_MOST, format);
    at = PUT(at, " HTTP/1.");
    return put_number(at, (uint64_t)entry->minor, 1);
}

static char *put_common(char *at, rondo_http_log_format format, const rondo__log_clock *clock,
                        const rondo__log_entry *entry) {
    at = put_or_dash(at, entry->remote, VALUE_MOST, format);
    at = PUT(at, " - - [");
    at = put(at, rondo_slice_text(clock->common));
    at = PUT(at, "] \"");
    at = put_request(at, format, entry);
    at = PUT(at, "\" ");
    at = put_number(at, (uint64_t)entry->status, 1);
    *at++ = ' ';
    return entry->bytes > 0 ? put_number(at, entry->bytes, 1) : PUT(at, "-");
}

static char *put_combined(char *at, rondo_http_log_format format, const rondo__log_clock *clock,
                          const rondo__log_entry *entry) {
    at = put_common(at, format, clock, entry);
    at = PUT(at, " \"");
    at = put_or_dash(at, entry->referer, VALUE_MOST, format);
    at = PUT(at, "\" \"");
    at = put_or_dash(at, entry->agent, VALUE_MOST, format);
    return PUT(at, "\"");
}

static char *put_member(char *at, const char *name, rondo_slice text, size_t most) {
    if (text.len == 0) return at;
    at = PUT(at, ",\"");
    at = put(at, rondo_slice_text(name));
    at = PUT(at, "\":\"");
    at = put_escaped(at, text, most, RONDO_HTTP_LOG_JSON);
    return PUT(at, "\"");
}

static char *put_json(char *at, const rondo__log_clock *clock, const rondo__log_entry *entry) {
    at = PUT(at, "{\"time\":\"");
    at = put(at, rondo_slice_text(clock->iso));
    at = PUT(at, "\"");
    at = put_member(at, "remote", entry->remote, VALUE_MOST);
    at = put_member(at, "method", entry->method, METHOD_MOST);
    at = put_member(at, "target", entry->target, TARGET_MOST);
    if (entry->method.len > 0) {
        at = PUT(at, ",\"version\":\"1.");
        at = put_number(at, (uint64_t)entry->minor, 1);
        at = PUT(at, "\"");
    }
    at = PUT(at, ",\"status\":");
    at = put_number(at, (uint64_t)entry->status, 1);
    at = PUT(at, ",\"bytes\":");
    at = put_number(at, entry->bytes, 1);
    at = PUT(at, ",\"ms\":");
    at = put_ms(at, entry->us, true);
    at = put_member(at, "referer", entry->referer, VALUE_MOST);
    at = put_member(at, "agent", entry->agent, VALUE_MOST);
    return PUT(at, "}");
}

static char *put_short(char *at, rondo_http_log_format format, const rondo__log_entry *entry) {
    at = put_or_dash(at, entry->method, METHOD_MOST, format);
    *at++ = ' ';
    at = put_or_dash(at, entry->target, TARGET_MOST, format);
    *at++ = ' ';
    at = put_number(at, (uint64_t)entry->status, 1);
    *at++ = ' ';
    at = put_number(at, entry->bytes, 1);
    *at++ = ' ';
    at = put_ms(at, entry->us, false);
    return PUT(at, " ms");
}

size_t rondo__log_line(char line[RONDO__LOG_LINE_MOST], rondo_http_log_format format,
                       const rondo__log_clock *clock, const rondo__log_entry *entry) {
    char *at = line;

    switch (format) {
    case RONDO_HTTP_LOG_COMMON: at = put_common(at, format, clock, entry); break;
    case RONDO_HTTP_LOG_COMBINED: at = put_combined(at, format, clock, entry); break;
    case RONDO_HTTP_LOG_JSON: at = put_json(at, clock, entry); break;
    case RONDO_HTTP_LOG_SHORT: at = put_short(at, format, entry); break;
    }
    *at++ = '\n';
    RONDO_ASSERT((size_t)(at - line) <= RONDO__LOG_LINE_MOST);
    return (size_t)(at - line);
}

size_t rondo__log_gap(char line[RONDO__LOG_LINE_MOST], rondo_http_log_format format,
                      const rondo__log_clock *clock, uint64_t lost) {
    unsigned long long count = lost;
    int len;

    if (format == RONDO_HTTP_LOG_JSON)
        len = snprintf(line, RONDO__LOG_LINE_MOST, "{\"time\":\"%s\",\"lost\":%llu}\n", clock->iso,
                       count);
    else
        len = snprintf(line, RONDO__LOG_LINE_MOST,
                       "# [%s] lines lost because the log could not be written: %llu\n",
                       clock->common, count);
    return (size_t)len;
}
