/* SPDX-License-Identifier: MIT
 *
 * Socket addresses in text and back, without name lookups. Internal.
 */
#ifndef RONDO__ADDRESS_H
#define RONDO__ADDRESS_H

#include <rondo/base.h>

#include <netinet/in.h>
#include <sys/socket.h>

typedef struct rondo__address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t len;
} rondo__address;

/* host: a numeric address, IPv6 without brackets and with an optional scope ("fe80::1%eth0"), or
 * "localhost", which is 127.0.0.1. Returns 0 or RONDO_EINVAL. */
int rondo__address_parse(const char *host, uint16_t port, rondo__address *ret_address);

/* "127.0.0.1:80", "[::1]:80", "unix", or "" for what has no address. IPv4 that came in through an
 * IPv6 socket is written as IPv4. Returns the length, or RONDO_ENOBUFS. */
int rondo__address_format(const rondo__address *address, char *text, size_t size);

uint16_t rondo__address_port(const rondo__address *address);

#endif
