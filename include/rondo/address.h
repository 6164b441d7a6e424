/* SPDX-License-Identifier: MIT
 *
 * Socket addresses as plain values: IPv4, IPv6 and Unix. Parsing and printing of numbers only;
 * names are for dns.h. Every function here may be called from any thread and never blocks.
 */
#ifndef RONDO_ADDRESS_H
#define RONDO_ADDRESS_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rondo_family {
    RONDO_FAMILY_NONE = 0, /* no address: that of a pipe, of an unnamed Unix socket */
    RONDO_FAMILY_UNIX = 1,
    RONDO_FAMILY_IPV4 = 4,
    RONDO_FAMILY_IPV6 = 6
} rondo_family;

/* A value: copy it freely, compare it with rondo_address_equal(). All zero: no address. */
typedef struct rondo_address {
    union {
        uint64_t alignment;
        unsigned char bytes[112]; /* a struct sockaddr_in, _in6 or _un, as of bind(2) */
    } socket;
    uint32_t len; /* how many of the bytes count */
} rondo_address;

/* "127.0.0.1:80", "[fe80::1%eth0]:80", "unix:/run/x.sock", "unix:@abstract" always fit. */
#define RONDO_ADDRESS_TEXT_BYTES 136

/* A numeric host: IPv4 in dotted form, IPv6 without brackets and with an optional scope
 * ("fe80::1%eth0", "fe80::1%2"; RFC 4007), or "localhost", which is 127.0.0.1. IPv4 written as IPv6
 * ("::ffff:192.0.2.1") makes an IPv6 socket: it can be connected to, but only one that serves both
 * families can be bound to it. 0 or RONDO_EINVAL. */
RONDO_API int rondo_address_parse(const char *host, uint16_t port, rondo_address *ret_address);

/* A Unix socket (unix(7)): the path of a socket file, or "@name" for a name in the abstract
 * namespace. 0, RONDO_EINVAL (empty) or RONDO_ENAMETOOLONG (107 bytes are the most). */
RONDO_API int rondo_address_parse_unix(const char *path, rondo_address *ret_address);

/* From a struct sockaddr of a system call. 0, RONDO_EINVAL (too short) or
 * RONDO_EAFNOSUPPORT. The other way: &address.socket and address.len are what bind(2) takes. */
RONDO_API int rondo_address_from_sockaddr(const void *sockaddr, size_t len,
                                          rondo_address *ret_address);

/* What the address is of; an IPv4 address that came in through an IPv6 socket (RFC 4291, 2.5.5.2)
 * counts as IPv4 here, in the texts and in comparing. */
RONDO_API rondo_family rondo_address_family(const rondo_address *address);
/* The port, 0 where there is none. */
RONDO_API uint16_t rondo_address_port(const rondo_address *address);
RONDO_API bool rondo_address_equal(const rondo_address *a, const rondo_address *b);

/* Whole, as above ("" for none), or the host alone ("fe80::1%eth0", a path). Returns the length
 * without the NUL, or RONDO_ENOBUFS. */
RONDO_API int rondo_address_format(const rondo_address *address, char *text, size_t size);
RONDO_API int rondo_address_format_host(const rondo_address *address, char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
