/* SPDX-License-Identifier: MIT
 *
 * Numeric socket addresses. Names are not looked up here: that takes time, and so belongs to a
 * lane of the pool.
 */
#include "net/address.h"

#include <rondo/error.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An interface by name or by number; 0 when there is no such. */
static unsigned parse_scope(const char *text) {
    unsigned index = if_nametoindex(text);
    char *end;
    if (index > 0 || *text < '0' || *text > '9') return index;
    unsigned long number = strtoul(text, &end, 10);
    return *end == '\0' && number <= UINT32_MAX ? (unsigned)number : 0;
}

static bool parse_v6(const char *host, struct sockaddr_in6 *v6) {
    char plain[INET6_ADDRSTRLEN];
    const char *percent = strchr(host, '%');
    size_t len = percent ? (size_t)(percent - host) : strlen(host);
    if (len >= sizeof plain) return false;
    memcpy(plain, host, len);
    plain[len] = '\0';
    if (inet_pton(AF_INET6, plain, &v6->sin6_addr) != 1) return false;
    if (percent) v6->sin6_scope_id = parse_scope(percent + 1);
    return !percent || v6->sin6_scope_id != 0;
}

int rondo__address_parse(const char *host, uint16_t port, rondo__address *ret_address) {
    rondo__address address;
    memset(&address, 0, sizeof address);
    if (strcmp(host, "localhost") == 0) host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port);
        address.len = sizeof address.v4;
    } else if (parse_v6(host, &address.v6)) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port);
        address.len = sizeof address.v6;
    } else {
        return RONDO_EINVAL;
    }
    *ret_address = address;
    return 0;
}

uint16_t rondo__address_port(const rondo__address *address) {
    if (address->any.sa_family == AF_INET) return ntohs(address->v4.sin_port);
    if (address->any.sa_family == AF_INET6) return ntohs(address->v6.sin6_port);
    return 0;
}

static void format_v6(const struct sockaddr_in6 *v6, char *text, size_t size) {
    char host[INET6_ADDRSTRLEN] = "", scope[16] = "";
    unsigned port = ntohs(v6->sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], host, sizeof host);
        snprintf(text, size, "%s:%u", host, port);
        return;
    }
    inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
    if (v6->sin6_scope_id) snprintf(scope, sizeof scope, "%%%u", (unsigned)v6->sin6_scope_id);
    snprintf(text, size, "[%s%s]:%u", host, scope, port);
}

int rondo__address_format(const rondo__address *address, char *text, size_t size) {
    char full[80] = "", host[INET_ADDRSTRLEN] = "";
    switch (address->any.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof host);
        snprintf(full, sizeof full, "%s:%u", host, (unsigned)ntohs(address->v4.sin_port));
        break;
    case AF_INET6: format_v6(&address->v6, full, sizeof full); break;
    case AF_UNIX: strcpy(full, "unix"); break;
    default: break;
    }
    size_t len = strlen(full);
    if (len >= size) return RONDO_ENOBUFS;
    memcpy(text, full, len + 1);
    return (int)len;
}
