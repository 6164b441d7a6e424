/* SPDX-License-Identifier: MIT
 *
 * URLs. The authority is read strictly, since it decides whom octets are sent to, and two readers that
 * see two hosts in one URL are how requests go astray: no user information, no backslash, no percent
 * signs, and a last label that begins with a digit only in four decimal numbers (getaddrinfo(3) takes
 * "0x7f.1" for an address). Path and query may hold any visible ASCII: they are the server's.
 */
#include "http/client/url.h"

#include <rondo/address.h>
#include <rondo/error.h>
#include <stdio.h>
#include <string.h>

#include "http/bytes.h"
#include "http/chars.h"
#include "loop/memory.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_alpha(char c) { return rondo__http_lower(c) >= 'a' && rondo__http_lower(c) <= 'z'; }

/* ---- hosts ---- */

static bool is_label_char(char c) { return is_digit(c) || is_alpha(c) || c == '-' || c == '_'; }

/* An address in the form that everybody reads alike. */
static bool is_address(const char *host, size_t len, bool v6) {
    char text[64];
    rondo_address address;
    if (len >= sizeof text) return false;
    memcpy(text, host, len);
    text[len] = '\0';
    return (strchr(text, ':') != NULL) == v6 && rondo_address_parse(text, 0, &address) == 0;
}

static bool is_name(const char *host, size_t len) {
    const char *end = host + len, *label = host;
    if (len == 0 || len > RONDO__HOST_MOST) return false;
    if (end[-1] == '.') end--; /* the root's */
    for (const char *at = host; at < end; at++) {
        if (*at == '.') {
            if (at == label) return false; /* an empty label */
            label = at + 1;
        } else if (!is_label_char(*at)) {
            return false;
        }
    }
    if (label == end) return false;
    return !is_digit(*label) || is_address(host, (size_t)(end - host), false);
}

/* '[' IPv6 ']', without a zone, which means something on this machine only. */
static bool is_literal(const char *host, size_t len) {
    if (len < 4 || host[len - 1] != ']' || memchr(host, '%', len)) return false;
    return is_address(host + 1, len - 2, true);
}

/* ---- authorities ---- */

/* host [":" [port]] */
static int read_authority(const char *at, const char *end, rondo__url *url) {
    const char *host_end;
    if (at < end && *at == '[') {
        const char *bracket = memchr(at, ']', (size_t)(end - at));
        host_end = bracket ? bracket + 1 : end;
        if (!is_literal(at, (size_t)(host_end - at))) return RONDO_EINVAL;
    } else {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        host_end = colon ? colon : end;
        if (!is_name(at, (size_t)(host_end - at))) return RONDO_EINVAL;
    }
    url->host_len = (uint32_t)(host_end - at);
    url->port = url->https ? 443 : 80;
    if (host_end == end) return 0;
    if (*host_end != ':') return RONDO_EINVAL;
    if (host_end + 1 == end) return 0; /* RFC 3986 section 6.2.3 */
    unsigned port = 0;
    for (at = host_end + 1; at < end; at++) {
        if (!is_digit(*at) || port > 65535) return RONDO_EINVAL;
        port = port * 10 + (unsigned)(*at - '0');
    }
    url->port = (uint16_t)port;
    return port >= 1 && port <= 65535 ? 0 : RONDO_EINVAL;
}

static int hex_value(char c) {
    if (is_digit(c)) return c - '0';
    return rondo__http_lower(c) - 'a' + 10;
}

/* User information, decoded. A ':' is what tells the two apart, so there is one in any case. */
static int read_user(const char *at, const char *end, char **ret_user) {
    char *user = rondo__alloc((size_t)(end - at) + 2), *out = user;
    bool colon = false;
    if (!user) return RONDO_ENOMEM;
    for (; at < end; at++) {
        char c = *at;
        if (c == '%') {
            bool hex = end - at >= 3 && rondo__http_all(at + 1, 2, RONDO__CHAR_HEX);
            c = hex ? (char)(hex_value(at[1]) * 16 + hex_value(at[2])) : '\0';
            at += 2;
        } else {
            colon |= c == ':';
        }
        if ((uint8_t)c < 0x20 || c == 0x7f) {
            rondo__free(user);
            return RONDO_EINVAL;
        }
        *out++ = c;
    }
    if (!colon) *out++ = ':';
    *out = '\0';
    *ret_user = user;
    return 0;
}

/* ---- the whole ---- */

/* The length of "http://" or "https://", 0 for anything else. */
static size_t read_scheme(rondo_slice text, bool *ret_https) {
    if (text.len >= 7 && rondo__http_word_is(text.data, 7, "http://")) {
        *ret_https = false;
        return 7;
    }
    if (text.len >= 8 && rondo__http_word_is(text.data, 8, "https://")) {
        *ret_https = true;
        return 8;
    }
    return 0;
}

/* Writes the URL in its usual form. */
static int put_together(rondo__url *url, const char *authority, rondo_slice target) {
    const char *scheme = url->https ? "https://" : "http://";
    bool usual = url->port == (url->https ? 443 : 80);
    size_t size = 8 + url->host_len + 6 + 1 + target.len + 1;
    char *text = rondo__alloc(size), *at = text;
    if (!text) return RONDO_ENOMEM;
    at += strlen(strcpy(at, scheme));
    const char *start = at;
    for (uint32_t i = 0; i < url->host_len; i++) *at++ = rondo__http_lower(authority[i]);
    if (!usual) at += snprintf(at, 7, ":%u", (unsigned)url->port);
    url->authority_len = (uint32_t)(at - start);
    if (target.len == 0 || target.data[0] != '/') *at++ = '/'; /* http://host?query */
    if (target.len > 0) memcpy(at, target.data, target.len);
    at[target.len] = '\0';
    url->text = text;
    return 0;
}

int rondo__url_parse(rondo_slice text, bool with_user, rondo__url *ret_url) {
    rondo__url url = {0};
    if (text.len > RONDO__URL_MOST) return RONDO_EINVAL;
    const char *end = text.data + text.len;
    size_t scheme = read_scheme(text, &url.https);
    if (scheme == 0) return RONDO_EINVAL;
    const char *fragment = memchr(text.data, '#', text.len);
    if (fragment) end = fragment;
    const char *authority = text.data + scheme, *stop = authority;
    while (stop < end && *stop != '/' && *stop != '?') stop++;
    rondo_slice target = rondo_slice_of(stop, (size_t)(end - stop));
    if (target.len > 0 && !rondo__http_all(target.data, target.len, RONDO__CHAR_TARGET))
        return RONDO_EINVAL;
    const char *host = authority;
    for (const char *at = authority; at < stop; at++)
        if (*at == '@') host = at + 1;
    if (host > authority && !with_user) return RONDO_EINVAL;
    int status = read_authority(host, stop, &url);
    if (status == 0 && host > authority) status = read_user(authority, host - 1, &url.user);
    if (status == 0) status = put_together(&url, host, target);
    if (status < 0) {
        rondo__free(url.user);
        return status;
    }
    *ret_url = url;
    return 0;
}

void rondo__url_free(rondo__url *url) {
    rondo__free(url->text);
    rondo__free(url->user);
    *url = (rondo__url){0};
}

/* ---- references ---- */

static bool starts_with(const char *at, const char *end, const char *word) {
    size_t len = strlen(word);
    return (size_t)(end - at) >= len && memcmp(at, word, len) == 0;
}

/* The segment that ends the path at the '/' at or in front of `end` is taken away. */
static char *drop_segment(char *start, char *end) {
    while (end > start && *--end != '/') continue;
    return end;
}

/* RFC 3986 section 5.2.4, in place, for a path that begins with '/'; returns its new length. */
static size_t remove_dots(char *path, size_t len) {
    const char *at = path, *end = path + len;
    char *out = path;
    while (at < end) { /* at a '/' */
        const char *next = at + 1;
        while (next < end && *next != '/') next++;
        size_t segment = (size_t)(next - at);
        bool last = next == end;
        if (segment == 2 && at[1] == '.') {
            if (last) *out++ = '/';
        } else if (segment == 3 && at[1] == '.' && at[2] == '.') {
            out = drop_segment(path, out);
            if (last) *out++ = '/';
        } else {
            memmove(out, at, segment);
            out += segment;
        }
        at = next;
    }
    return (size_t)(out - path);
}

/* The base's path up to and with its last '/'. */
static rondo_slice directory_of(const rondo__url *base) {
    const char *target = rondo__url_target(base), *end = target + strcspn(target, "?");
    while (end[-1] != '/') end--;
    return rondo_slice_of(target, (size_t)(end - target));
}

/* Whether "scheme:" stands in front. */
static bool has_scheme(const char *at, const char *end) {
    if (at == end || !is_alpha(*at)) return false;
    while (at < end && (is_alpha(*at) || is_digit(*at) || memchr("+-.", *at, 3))) at++;
    return at < end && *at == ':';
}

/* Scheme and authority of the base, where the reference has none, and then a path and query that is
 * cleared of dots. */
static bool merge(const rondo__url *base, const char *at, const char *end, rondo__bytes *out) {
    size_t authority = (size_t)(rondo__url_target(base) - base->text);
    if (starts_with(at, end, "//"))
        return rondo__bytes_add_text(out, base->https ? "https:" : "http:") &&
               rondo__bytes_add(out, rondo_slice_of(at, (size_t)(end - at)));
    if (!rondo__bytes_add(out, rondo_slice_of(base->text, authority))) return false;
    if (at == end) return rondo__bytes_add_text(out, rondo__url_target(base));
    if (*at == '?') {
        const char *target = rondo__url_target(base);
        if (!rondo__bytes_add(out, rondo_slice_of(target, strcspn(target, "?")))) return false;
    } else if (*at != '/' && !rondo__bytes_add(out, directory_of(base))) {
        return false;
    }
    return rondo__bytes_add(out, rondo_slice_of(at, (size_t)(end - at)));
}

static void clear_dots(rondo__bytes *out) {
    char *text = out->data, *end = text + out->len;
    char *path = memchr(text, ':', out->len);
    for (path += 3; path < end && *path != '/' && *path != '?';) path++;
    if (path == end || *path == '?') return;
    char *query = memchr(path, '?', (size_t)(end - path));
    size_t len = (size_t)((query ? query : end) - path);
    size_t left = remove_dots(path, len);
    rondo__bytes_cut(out, (size_t)(path - text) + left, len - left);
}

/* Space and what is not ASCII, as %xx. */
static bool encode(rondo_slice text, rondo__bytes *out) {
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.data[i];
        char *at = rondo__bytes_room(out, 4);
        if (!at) return false;
        if (c == ' ' || c >= 0x80)
            out->len += (size_t)snprintf(at, 4, "%%%02X", c);
        else
            at[0] = (char)c, out->len++;
    }
    return true;
}

int rondo__url_resolve(const rondo__url *base, rondo_slice reference, rondo__url *ret_url) {
    rondo__bytes encoded = {0}, merged = {0};
    int status = RONDO_ENOMEM;
    bool https;
    if (reference.len > RONDO__URL_MOST) return RONDO_EINVAL;
    if (!rondo__bytes_room(&encoded, 1) || !encode(reference, &encoded)) goto out;
    const char *at = encoded.data, *end = at + encoded.len;
    const char *fragment = memchr(at, '#', encoded.len);
    if (fragment) end = fragment;
    rondo_slice whole = rondo_slice_of(at, (size_t)(end - at));
    status = RONDO_EINVAL;
    if (has_scheme(at, end)) {
        if (read_scheme(whole, &https) == 0) goto out;
        if (!rondo__bytes_add(&merged, whole)) status = RONDO_ENOMEM;
    } else if (!merge(base, at, end, &merged)) {
        status = RONDO_ENOMEM;
    }
    if (status == RONDO_ENOMEM) goto out;
    clear_dots(&merged);
    status = rondo__url_parse(rondo__bytes_slice(&merged), false, ret_url);
out:
    rondo__bytes_free(&encoded);
    rondo__bytes_free(&merged);
    return status;
}

/* ---- questions ---- */

void rondo__url_host(const rondo__url *url, char ret_host[RONDO__HOST_MOST + 1]) {
    const char *host = rondo__url_authority(url);
    size_t len = url->host_len;
    if (*host == '[') host++, len -= 2;
    memcpy(ret_host, host, len);
    ret_host[len] = '\0';
}

void rondo__url_host_port(const rondo__url *url, char ret_text[RONDO__HOST_PORT_SIZE]) {
    snprintf(ret_text, RONDO__HOST_PORT_SIZE, "%.*s:%u", (int)url->host_len,
             rondo__url_authority(url), (unsigned)url->port);
}

bool rondo__url_same_origin(const rondo__url *a, const rondo__url *b) {
    return a->https == b->https && a->port == b->port && a->host_len == b->host_len &&
           memcmp(rondo__url_authority(a), rondo__url_authority(b), a->host_len) == 0;
}

char *rondo__basic_credentials(const char *user_and_password) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = (const unsigned char *)user_and_password;
    size_t len = strlen(user_and_password);
    char *text = rondo__alloc(6 + (len + 2) / 3 * 4 + 1);
    if (!text) return NULL;
    char *out = text + strlen(strcpy(text, "Basic "));
    for (; len > 0; at += 3) {
        size_t count = len < 3 ? len : 3;
        uint32_t bits = (uint32_t)at[0] << 16;
        if (count > 1) bits |= (uint32_t)at[1] << 8;
        if (count > 2) bits |= at[2];
        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = count > 1 ? digits[bits >> 6 & 63] : '=';
        *out++ = count > 2 ? digits[bits & 63] : '=';
        len -= count;
    }
    *out = '\0';
    return text;
}
