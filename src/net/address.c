/* SPDX-License-Identifier: MIT
 *
 * Socket addresses: numbers in text and back. Names are not looked up here: that takes time, and so
 * belongs to a lane of the pool.
 */
#include "net/address.h"

#include <rondo/error.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

_Static_assert(sizeof(struct sockaddr_un) <= sizeof((rondo_address *)0)->socket.bytes,
               "every address fits");

#define PATH_AT offsetof(struct sockaddr_un, sun_path)

/* ---- views ---- */

static const struct sockaddr_in *v4_of(const rondo_address *address) {
    return (const struct sockaddr_in *)(const void *)address->socket.bytes;
}
static const struct sockaddr_in6 *v6_of(const rondo_address *address) {
    return (const struct sockaddr_in6 *)(const void *)address->socket.bytes;
}
static const struct sockaddr_un *unix_of(const rondo_address *address) {
    return (const struct sockaddr_un *)(const void *)address->socket.bytes;
}

/* A value whose unused bytes are all zero. */
static rondo_address from_bytes(const void *bytes, size_t len) {
    rondo_address address;
    memset(&address, 0, sizeof address);
    memcpy(address.socket.bytes, bytes, len);
    address.len = (uint32_t)len;
    return address;
}

static bool is_mapped(const rondo_address *address) {
    return rondo__address_af(address) == AF_INET6 &&
           IN6_IS_ADDR_V4MAPPED(&v6_of(address)->sin6_addr);
}

/* The four bytes of an IPv4 address, also of a mapped one; NULL of others. */
static const void *v4_bytes(const rondo_address *address) {
    if (rondo__address_af(address) == AF_INET) return &v4_of(address)->sin_addr;
    return is_mapped(address) ? &v6_of(address)->sin6_addr.s6_addr[12] : NULL;
}

/* The path or abstract name (with its leading NUL), and its length: 0 when unnamed. */
static size_t unix_name(const rondo_address *address, const char **ret_name) {
    const char *name = unix_of(address)->sun_path;
    size_t len = address->len > PATH_AT ? address->len - PATH_AT : 0;
    if (len > 0 && name[0]) len = strnlen(name, len);
    *ret_name = name;
    return len;
}

/* ---- from text ---- */

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

int rondo_address_parse(const char *host, uint16_t port, rondo_address *ret_address) {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memset(&v4, 0, sizeof v4);
    memset(&v6, 0, sizeof v6);
    if (!host) return RONDO_EINVAL;
    if (strcmp(host, "localhost") == 0) host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        *ret_address = from_bytes(&v4, sizeof v4);
    } else if (parse_v6(host, &v6)) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        *ret_address = from_bytes(&v6, sizeof v6);
    } else {
        return RONDO_EINVAL;
    }
    return 0;
}

int rondo_address_parse_unix(const char *path, rondo_address *ret_address) {
    struct sockaddr_un name;
    size_t len = path ? strlen(path) : 0;
    memset(&name, 0, sizeof name);
    if (len == 0 || strcmp(path, "@") == 0) return RONDO_EINVAL;
    if (len >= sizeof name.sun_path) return RONDO_ENAMETOOLONG;
    name.sun_family = AF_UNIX;
    memcpy(name.sun_path, path, len);
    if (*path == '@') name.sun_path[0] = '\0';
    /* A path ends at its NUL; an abstract name is as long as it is said to be (unix(7)). */
    *ret_address = from_bytes(&name, PATH_AT + len + (*path == '@' ? 0 : 1));
    return 0;
}

int rondo_address_from_sockaddr(const void *sockaddr, size_t len, rondo_address *ret_address) {
    sa_family_t family = AF_UNSPEC;
    if (len < sizeof family) return RONDO_EINVAL;
    memcpy(&family, sockaddr, sizeof family);
    if (family == AF_INET) {
        if (len < sizeof(struct sockaddr_in)) return RONDO_EINVAL;
        len = sizeof(struct sockaddr_in);
    } else if (family == AF_INET6) {
        if (len < sizeof(struct sockaddr_in6)) return RONDO_EINVAL;
        len = sizeof(struct sockaddr_in6);
    } else if (family != AF_UNIX) {
        return RONDO_EAFNOSUPPORT;
    } else if (len > sizeof(struct sockaddr_un)) {
        /* Linux takes a path without a NUL that fills all of sun_path, and counts a NUL behind it. */
        len = sizeof(struct sockaddr_un);
    }
    *ret_address = from_bytes(sockaddr, len);
    return 0;
}

/* ---- questions ---- */

rondo_family rondo_address_family(const rondo_address *address) {
    switch (rondo__address_af(address)) {
    case AF_INET: return RONDO_FAMILY_IPV4;
    case AF_INET6: return is_mapped(address) ? RONDO_FAMILY_IPV4 : RONDO_FAMILY_IPV6;
    case AF_UNIX: return RONDO_FAMILY_UNIX;
    default: return RONDO_FAMILY_NONE;
    }
}

uint16_t rondo_address_port(const rondo_address *address) {
    if (rondo__address_af(address) == AF_INET) return ntohs(v4_of(address)->sin_port);
    if (rondo__address_af(address) == AF_INET6) return ntohs(v6_of(address)->sin6_port);
    return 0;
}

void rondo__address_set_port(rondo_address *address, uint16_t port) {
    void *bytes = address->socket.bytes;
    if (rondo__address_af(address) == AF_INET)
        ((struct sockaddr_in *)bytes)->sin_port = htons(port);
    else if (rondo__address_af(address) == AF_INET6)
        ((struct sockaddr_in6 *)bytes)->sin6_port = htons(port);
}

bool rondo_address_equal(const rondo_address *a, const rondo_address *b) {
    rondo_family family = rondo_address_family(a);
    const char *name_a, *name_b;
    if (family != rondo_address_family(b)) return false;
    if (rondo_address_port(a) != rondo_address_port(b)) return false;
    switch (family) {
    case RONDO_FAMILY_IPV4: return memcmp(v4_bytes(a), v4_bytes(b), 4) == 0;
    case RONDO_FAMILY_IPV6:
        return memcmp(&v6_of(a)->sin6_addr, &v6_of(b)->sin6_addr, 16) == 0 &&
               v6_of(a)->sin6_scope_id == v6_of(b)->sin6_scope_id;
    case RONDO_FAMILY_UNIX: {
        size_t len = unix_name(a, &name_a);
        return len == unix_name(b, &name_b) && memcmp(name_a, name_b, len) == 0;
    }
    default: return true;
    }
}

/* ---- to text ---- */

/* A name with its abstract mark; a NUL or a control character inside is written as '?': the name is
 * the peer's choice, and the text goes to terminals and logs. */
static void write_unix(const rondo_address *address, char *text, size_t size) {
    const char *name;
    size_t len = unix_name(address, &name);
    if (len >= size) len = size - 1;
    for (size_t i = 0; i < len; i++) {
        bool odd = (unsigned char)name[i] < ' ' || name[i] == 127;
        text[i] = i == 0 && name[i] == '\0' ? '@' : odd ? '?' : name[i];
    }
    text[len] = '\0';
}

static void write_host(const rondo_address *address, char *text, size_t size) {
    char host[INET6_ADDRSTRLEN] = "";
    const void *v4 = v4_bytes(address);
    *text = '\0';
    if (v4) {
        inet_ntop(AF_INET, v4, host, sizeof host);
        snprintf(text, size, "%s", host);
    } else if (rondo__address_af(address) == AF_INET6) {
        const struct sockaddr_in6 *v6 = v6_of(address);
        char scope[16] = "";
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        /* By number: the name would be a system call, and the interface may be gone. */
        if (v6->sin6_scope_id) snprintf(scope, sizeof scope, "%%%u", (unsigned)v6->sin6_scope_id);
        snprintf(text, size, "%s%s", host, scope);
    } else if (rondo__address_af(address) == AF_UNIX) {
        write_unix(address, text, size);
    }
}

static int give(const char *full, char *text, size_t size) {
    size_t len = strlen(full);
    if (len >= size) return RONDO_ENOBUFS;
    memcpy(text, full, len + 1);
    return (int)len;
}

int rondo_address_format_host(const rondo_address *address, char *text, size_t size) {
    char host[RONDO_ADDRESS_TEXT_BYTES];
    write_host(address, host, sizeof host);
    return give(host, text, size);
}

int rondo_address_format(const rondo_address *address, char *text, size_t size) {
    char host[RONDO_ADDRESS_TEXT_BYTES - 8], full[RONDO_ADDRESS_TEXT_BYTES] = "";
    unsigned port = rondo_address_port(address);
    write_host(address, host, sizeof host);
    switch (rondo_address_family(address)) {
    case RONDO_FAMILY_IPV4: snprintf(full, sizeof full, "%s:%u", host, port); break;
    case RONDO_FAMILY_IPV6: snprintf(full, sizeof full, "[%s]:%u", host, port); break;
    case RONDO_FAMILY_UNIX: snprintf(full, sizeof full, "unix%s%s", *host ? ":" : "", host); break;
    default: break;
    }
    return give(full, text, size);
}
