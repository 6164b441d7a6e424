/* SPDX-License-Identifier: MIT
 *
 * What llhttp leaves to its user to check about a head: method, version, form of the target, Host,
 * and that one framing and no other is meant. RFC 9112 sections 3 and 6, RFC 9110 section 7.
 *
 * The parser found where the head ends. Here it is cut into lines again, and there must be nothing in
 * it but the request line, field lines that begin with a name, each ended by CRLF, and one empty line,
 * the last one: no line that begins with SP or HTAB (obs-fold, or whitespace before the first field:
 * RFC 9112 sections 2.2 and 5.2) or with ':', and no bare LF. The parser's callbacks can't always see
 * these: CVE-2024-27982 was one of them. So the two agree on every line before anybody acts on one.
 */
#include <string.h>

#include "http/chars.h"
#include "http/server/request.h"
#include "loop/assert.h"

/* Longer than any method that is registered. */
#define METHOD_MOST 32

/* ---- the request line ---- */

int rondo__head_method(const char *data, size_t len) {
    if (len >= 4 && memcmp(data, "GET ", 4) == 0) return 3;
    size_t most = len < METHOD_MOST + 1 ? len : METHOD_MOST + 1, i = 0;
    while (i < most && rondo__http_is(data[i], RONDO__CHAR_TOKEN)) i++;
    if (i > METHOD_MOST) return -501; /* RFC 9112 section 3 */
    if (i == len) return 0;
    return i > 0 && data[i] == ' ' ? (int)i : -400;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

int rondo__head_version(const rondo_http_request *request) {
    const char *at = request->head + request->method_len + 1;
    const char *end = request->head + request->head_len;
    const char *space = at < end ? memchr(at, ' ', (size_t)(end - at)) : NULL;
    if (!space || end - space < 9 || memcmp(space, " HTTP/", 6) != 0) return 400;
    if (!is_digit(space[6]) || space[7] != '.' || !is_digit(space[8])) return 400;
    return space[6] == '1' && space[8] <= '1' ? 400
                                              : 505; /* 1.0 and 1.1: something else is wrong */
}

/* method SP target SP HTTP/1.x CRLF, and no other version than 1.0 and 1.1. Returns the length of the
 * line, or a negative status. */
static int check_line(rondo_http_request *request) {
    const char *target = request->head + request->method_len + 1;
    const char *end = request->head + request->head_len;
    const char *space = target;
    while (space < end && rondo__http_is(*space, RONDO__CHAR_TARGET)) space++;
    if (space == target || end - space < 11 || *space != ' ') return -400;
    if (memcmp(space, " HTTP/1.", 8) != 0 || (space[8] != '0' && space[8] != '1'))
        return -rondo__head_version(request);
    if (space[9] != '\r' || space[10] != '\n') return -400;
    request->target = request->method_len + 1;
    request->target_len = (uint32_t)(space - target);
    request->minor = (uint8_t)(space[8] - '0');
    return (int)(space + 11 - request->head);
}

/* ---- hosts ---- */

static bool check_reg_name(const char *at, const char *end) {
    while (at < end) {
        if (rondo__http_is(*at, RONDO__CHAR_REG_NAME)) {
            at++;
        } else if (*at == '%' && end - at >= 3 && rondo__http_all(at + 1, 2, RONDO__CHAR_HEX)) {
            at += 3;
        } else {
            return false;
        }
    }
    return true;
}

/* '[' of an IPv6address or IPvFuture ']': its characters, not its arithmetic. */
static bool check_literal(const char *at, const char *end) {
    bool colon = false;
    for (; at < end; at++) {
        colon |= *at == ':';
        if (*at != ':' && *at != '.' &&
            !rondo__http_is(*at, RONDO__CHAR_HEX | RONDO__CHAR_REG_NAME))
            return false;
    }
    return colon;
}

/* uri-host [ ":" port ], not empty (RFC 9110 section 7.2). */
static bool check_host(const char *at, const char *end) {
    const char *host_end;
    if (at < end && *at == '[') {
        host_end = memchr(at, ']', (size_t)(end - at));
        if (!host_end || !check_literal(at + 1, host_end)) return false;
        host_end++;
    } else {
        host_end = memchr(at, ':', (size_t)(end - at));
        if (!host_end) host_end = end;
        if (host_end == at || !check_reg_name(at, host_end)) return false;
    }
    if (host_end == end) return true;
    if (*host_end != ':') return false;
    for (at = host_end + 1; at < end; at++)
        if (!is_digit(*at)) return false;
    return true;
}

bool rondo__head_is_host(rondo_slice text) { return check_host(text.data, text.data + text.len); }

/* The same for a field. Nearly all requests to a loop's servers name the same host: the last good
 * one is remembered. */
static bool check_host_field(rondo__http *http, const char *value, size_t len) {
    if (len == http->host_len && memcmp(value, http->host, len) == 0) return true;
    if (!check_host(value, value + len)) return false;
    if (len <= sizeof http->host) {
        memcpy(http->host, value, len);
        http->host_len = len;
    }
    return true;
}

/* ---- the target ---- */

/* Authority-form, of which the port is a part here: RFC 9112 section 3.2.3. */
static int check_connect(rondo_http_request *request, const char *target, const char *end) {
    request->flags |= RONDO__REQUEST_CONNECT;
    if (!check_host(target, end) || !is_digit(end[-1])) return 400;
    return *target == '[' || memchr(target, ':', (size_t)(end - target)) ? 0 : 400;
}

/* Its characters have been looked at. Origin-form, absolute-form of http and https, or '*' for OPTIONS; authority-form is CONNECT's
 * (RFC 9112 section 3.2). */
static int check_target(rondo_http_request *request, const rondo_http_limits *limits,
                        bool connect) {
    const char *target = request->head + request->target, *end = target + request->target_len;
    bool is_method = request->method_len == 7;
    request->path = request->target;
    if (request->target_len > limits->target_bytes) return 414;
    if (is_method && memcmp(request->head, "CONNECT", 7) == 0)
        return connect ? check_connect(request, target, end) : 501;
    if (*target == '/') return 0;
    if (end - target == 1 && *target == '*')
        return is_method && memcmp(request->head, "OPTIONS", 7) == 0 ? 0 : 400;
    size_t scheme = request->target_len >= 8 && rondo__http_word_is(target, 8, "https://")  ? 8
                    : request->target_len >= 7 && rondo__http_word_is(target, 7, "http://") ? 7
                                                                                            : 0;
    if (scheme == 0) return 400;
    const char *host = target + scheme, *host_end = host;
    while (host_end < end && *host_end != '/' && *host_end != '?') host_end++;
    /* User information is refused too: its only use here is to deceive (RFC 9110 section 4.2.4). */
    if (!check_host(host, host_end)) return 400;
    request->path = (uint32_t)(host_end - request->head);
    return 0;
}

/* ---- the fields ---- */

/* What the fields that matter to the server say. */
typedef struct findings {
    unsigned hosts, lengths, codings;
    bool bad_host, coding_is_chunked, ends_in_chunked;
    bool close, keep_alive, upgrade;
    bool names_protocols; /* there is an Upgrade field */
} findings;

/* The next member of a list (RFC 9110 section 5.6.1); false at its end. */
static bool next_member(const char **at, const char *end, rondo_slice *ret_member) {
    if (*at > end) return false;
    const char *begin = *at, *comma = memchr(begin, ',', (size_t)(end - begin));
    const char *stop = comma ? comma : end;
    *at = stop + 1;
    while (begin < stop && rondo__http_blank(*begin)) begin++;
    while (stop > begin && rondo__http_blank(stop[-1])) stop--;
    *ret_member = rondo_slice_of(begin, (size_t)(stop - begin));
    return true;
}

static void see_connection(findings *found, const char *at, const char *end) {
    rondo_slice member;
    if (rondo__http_word_is(at, (size_t)(end - at), "keep-alive")) {
        found->keep_alive = true; /* as most say */
        return;
    }
    while (next_member(&at, end, &member)) {
        found->close |= rondo__http_word_is(member.data, member.len, "close");
        found->keep_alive |= rondo__http_word_is(member.data, member.len, "keep-alive");
        found->upgrade |= rondo__http_word_is(member.data, member.len, "upgrade");
    }
}

static void see_coding(findings *found, const char *at, const char *end) {
    rondo_slice member;
    found->codings++;
    found->coding_is_chunked = rondo__http_word_is(at, (size_t)(end - at), "chunked");
    while (next_member(&at, end, &member))
        found->ends_in_chunked = rondo__http_word_is(member.data, member.len, "chunked");
}

/* What else is expected, and not known here, is nobody's duty to refuse (RFC 9110 section 10.1.1). */
static void see_expect(rondo_http_request *request, const char *at, const char *end) {
    rondo_slice member;
    while (next_member(&at, end, &member))
        if (rondo__http_word_is(member.data, member.len, "100-continue"))
            request->flags |= RONDO__REQUEST_EXPECTS;
}

/* The value of a line, without blanks around, if its name is `name`, a literal that ends in ':'. */
#define VALUE_OF(line, end, name, ret_value) \
    value_of((line), (end), (name), sizeof(name) - 1, ret_value)

static inline bool value_of(const char *line, const char *end, const char *name, size_t name_len,
                            rondo_slice *ret_value) {
    if ((size_t)(end - line) < name_len || !rondo__http_word_is(line, name_len, name)) return false;
    line += name_len;
    while (line < end && rondo__http_blank(*line)) line++;
    while (end > line && rondo__http_blank(end[-1])) end--;
    *ret_value = rondo_slice_of(line, (size_t)(end - line));
    return true;
}

/* Looks at a field line, which ends at `end`, before its CRLF. false for one that begins with what is
 * no name; that it is a token up to a ':' the parser has seen to. Its first letter tells most fields
 * from those that matter. */
static bool see_field(rondo_http_request *request, findings *found, const char *line,
                      const char *end) {
    rondo_slice value;
    switch (*line) {
    case ' ':
    case '\t':
    case ':': return false;
    case 'h':
    case 'H':
        if (!VALUE_OF(line, end, "host:", &value)) break;
        found->hosts++;
        if (value.len > 0 && !check_host_field(request->http, value.data, value.len))
            found->bad_host = true;
        break;
    case 'c':
    case 'C':
        if (VALUE_OF(line, end, "connection:", &value))
            see_connection(found, value.data, value.data + value.len);
        else if (VALUE_OF(line, end, "content-length:", &value))
            found->lengths++;
        break;
    case 't':
    case 'T':
        if (VALUE_OF(line, end, "transfer-encoding:", &value))
            see_coding(found, value.data, value.data + value.len);
        break;
    case 'e':
    case 'E':
        if (VALUE_OF(line, end, "expect:", &value))
            see_expect(request, value.data, value.data + value.len);
        break;
    case 'u':
    case 'U':
        if (VALUE_OF(line, end, "upgrade:", &value)) found->names_protocols |= value.len > 0;
        break;
    }
    return true;
}

/* From the first field line on. */
static int check_fields(rondo_http_request *request, const char *line, size_t most,
                        findings *found) {
    const char *end = request->head + request->head_len;
    uint32_t count = 0;
    request->fields = (uint32_t)(line - request->head);
    for (;; count++) {
        const char *lf = memchr(line, '\n', (size_t)(end - line));
        if (!lf || lf == line || lf[-1] != '\r') return 400;
        if (lf - line == 1) break; /* the empty line */
        if (!see_field(request, found, line, lf - 1)) return 400;
        line = lf + 1;
    }
    request->field_count = count;
    if (count > most) return 431;
    return line + 2 == end ? 0 : 400;
}

/* ---- how the body is framed ---- */

/* RFC 9112 section 6.1 and 6.3. Both framings at once are refused, which removes request smuggling
 * as a class; so is every coding but chunked alone. */
static int check_framing(rondo_http_request *request, const findings *found) {
    const rondo__parser *parser = &request->parser;
    if (found->codings > 0) {
        if (found->lengths > 0 || found->codings > 1) return 400;
        if (!found->coding_is_chunked) return found->ends_in_chunked ? 501 : 400;
        /* A recipient in between may not have understood it. */
        if (request->minor == 0) request->flags |= RONDO__REQUEST_CLOSE;
    }
    /* The parser must see the same: whatever it and we don't agree on is refused. */
    if (rondo__parser_chunked(parser) != (found->codings > 0)) return 400;
    if (rondo__parser_has_length(parser) != (found->lengths > 0)) return 400;
    if (found->lengths > 1) return 400;
    if (found->codings > 0) {
        request->body = RONDO__BODY_CHUNKS;
    } else if (rondo__parser_length(parser) > 0) {
        request->body = RONDO__BODY_LENGTH;
        request->body_left = rondo__parser_length(parser);
    }
    return 0;
}

int rondo__head_check(rondo_http_request *request, const rondo_http_limits *limits, bool connect) {
    findings found = {0};
    RONDO_ASSERT(request->method_len > 0 && request->head_len > request->method_len + 1);
    int line = check_line(request);
    if (line < 0) return -line;
    int status = check_target(request, limits, connect);
    if (status == 0)
        status = check_fields(request, request->head + line, limits->header_count, &found);
    if (status == 0) status = check_framing(request, &found);
    if (status != 0) return status;
    if (found.hosts > 1 || (found.hosts == 0 && request->minor == 1) || found.bad_host) return 400;
    if (request->method_len == 4 && memcmp(request->head, "HEAD", 4) == 0)
        request->flags |= RONDO__REQUEST_HEAD;
    if (found.close || (request->minor == 0 && !found.keep_alive))
        request->flags |= RONDO__REQUEST_CLOSE;
    if (request->flags & RONDO__REQUEST_CONNECT) {
        /* A body has no meaning (RFC 9110 section 9.3.6): where the tunnel would begin is a guess. */
        if (request->body != RONDO__BODY_NONE) return 400;
    } else if (found.upgrade && found.names_protocols && request->minor > 0) {
        request->flags |= RONDO__REQUEST_UPGRADE; /* ignored in HTTP/1.0: section 7.8 */
    }
    /* 100-continue means nothing without a body, nor in HTTP/1.0 (RFC 9110 section 10.1.1). */
    if (request->body == RONDO__BODY_NONE || request->minor == 0)
        request->flags &= (uint16_t)~RONDO__REQUEST_EXPECTS;
    return 0;
}
