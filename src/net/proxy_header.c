/* SPDX-License-Identifier: MIT
 *
 * The header of the PROXY protocol, versions 1 and 2 (haproxy.org, "The PROXY protocol", 2.1 and 2.2), with
 * which a proxy says whom it connects for. Strict: what does not follow the text to the letter is an
 * error. What is reserved, and what a later version may add behind the addresses, is skipped.
 */
#include "net/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <rondo/error.h>
#include <string.h>

/* Version 1: "PROXY UNKNOWN" CRLF at least, 107 octets at most. */
#define LINE_LEAST ((size_t)15)
#define LINE_MOST ((size_t)107)
#define BINARY_LEAST ((size_t)16)

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

/* ---- version 1: a line ---- */

/* The next word, which one blank ends, or the line; false when it is empty. */
static bool next_word(const char **at, const char *end, char *word, size_t size) {
    const char *blank = memchr(*at, ' ', (size_t)(end - *at));
    size_t len = (size_t)((blank ? blank : end) - *at);
    if (len == 0 || len >= size) return false;
    memcpy(word, *at, len);
    word[len] = '\0';
    *at = blank ? blank + 1 : end;
    return true;
}

static int read_port(const char *word) {
    int port = 0;
    if (word[0] == '0' && word[1] != '\0') return -1;
    for (; *word; word++) {
        if (*word < '0' || *word > '9') return -1;
        port = port * 10 + (*word - '0');
        if (port > 65535) return -1;
    }
    return port;
}

static int make_address(int family, const void *host, uint16_t port, rondo_address *ret_address) {
    if (family == AF_INET) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&in.sin_addr, host, sizeof in.sin_addr);
        return rondo_address_from_sockaddr(&in, sizeof in, ret_address);
    }
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memcpy(&in6.sin6_addr, host, sizeof in6.sin6_addr);
    return rondo_address_from_sockaddr(&in6, sizeof in6, ret_address);
}

/* Without "PROXY " and CRLF. */
static int read_line(const char *at, const char *end, rondo_address *ret_address) {
    char family[8], hosts[2][INET6_ADDRSTRLEN], ports[2][6];
    unsigned char host[sizeof(struct in6_addr)], other[sizeof(struct in6_addr)];
    if (end - at >= 7 && memcmp(at, "UNKNOWN", 7) == 0 && (end - at == 7 || at[7] == ' ')) return 0;
    if (end > at && end[-1] == ' ') return RONDO_EPROTO;
    if (!next_word(&at, end, family, sizeof family)) return RONDO_EPROTO;
    int af = strcmp(family, "TCP4") == 0 ? AF_INET : strcmp(family, "TCP6") == 0 ? AF_INET6 : 0;
    for (int i = 0; i < 2; i++)
        if (!next_word(&at, end, hosts[i], sizeof hosts[i])) return RONDO_EPROTO;
    for (int i = 0; i < 2; i++)
        if (!next_word(&at, end, ports[i], sizeof ports[i])) return RONDO_EPROTO;
    int port = read_port(ports[0]);
    if (af == 0 || at != end || port < 0 || read_port(ports[1]) < 0) return RONDO_EPROTO;
    if (inet_pton(af, hosts[0], host) != 1 || inet_pton(af, hosts[1], other) != 1)
        return RONDO_EPROTO;
    return make_address(af, host, (uint16_t)port, ret_address);
}

static int64_t parse_line(const char *data, size_t len, size_t *ret_sure,
                          rondo_address *ret_address) {
    size_t compared = len < 6 ? len : 6;
    if (len > LINE_MOST || memcmp(data, "PROXY ", compared) != 0) return RONDO_EPROTO;
    const char *lf = memchr(data, '\n', len);
    if (!lf) {
        *ret_sure = len < LINE_LEAST ? LINE_LEAST - len : 0;
        return len < LINE_MOST ? 0 : RONDO_EPROTO;
    }
    if ((size_t)(lf - data) < LINE_LEAST - 1 || lf[-1] != '\r' || lf + 1 != data + len)
        return RONDO_EPROTO;
    int status = read_line(data + 6, lf - 1, ret_address);
    return status < 0 ? status : (int64_t)len;
}

/* ---- version 2: octets ---- */

static int read_block(const unsigned char *data, size_t len, rondo_address *ret_address) {
    const unsigned char *block = data + BINARY_LEAST;
    if ((data[12] & 15) == 0) return 0; /* LOCAL: the proxy for itself, a health check */
    if (data[13] == 0x11) {
        if (len < BINARY_LEAST + 12) return RONDO_EPROTO;
        return make_address(AF_INET, block, (uint16_t)(block[8] << 8 | block[9]), ret_address);
    }
    if (data[13] == 0x21) {
        if (len < BINARY_LEAST + 36) return RONDO_EPROTO;
        return make_address(AF_INET6, block, (uint16_t)(block[32] << 8 | block[33]), ret_address);
    }
    /* Families and protocols that this is not about; others are not to be taken (section 2.2). */
    return data[13] >> 4 <= 3 && (data[13] & 15) <= 2 ? 0 : RONDO_EPROTO;
}

static int64_t parse_binary(const char *text, size_t len, size_t *ret_sure,
                            rondo_address *ret_address) {
    const unsigned char *data = (const unsigned char *)text;
    if (len < BINARY_LEAST) {
        *ret_sure = BINARY_LEAST - len;
        return 0;
    }
    size_t whole = BINARY_LEAST + ((size_t)data[14] << 8 | data[15]);
    if (data[12] != 0x20 && data[12] != 0x21) return RONDO_EPROTO;
    if (whole > RONDO__PROXY_HEADER_MOST) return RONDO_EPROTO;
    if (len < whole) {
        *ret_sure = whole - len;
        return 0;
    }
    int status = read_block(data, len, ret_address);
    return status < 0 ? status : (int64_t)len;
}

int64_t rondo__proxy_header(const char *data, size_t len, size_t *ret_sure,
                            rondo_address *ret_address) {
    size_t compared = len < sizeof signature ? len : sizeof signature;
    if (len == 0) {
        *ret_sure = LINE_LEAST;
        return 0;
    }
    if (data[0] != signature[0]) return parse_line(data, len, ret_sure, ret_address);
    if (memcmp(data, signature, compared) != 0) return RONDO_EPROTO;
    return parse_binary(data, len, ret_sure, ret_address);
}
