/* SPDX-License-Identifier: MIT
 *
 * Addresses without ports, and networks of them: the proxies that a server believes, the hosts that a client
 * asks without one. Internal.
 */
#ifndef RONDO__HTTP_NETWORKS_H
#define RONDO__HTTP_NETWORKS_H

#include <rondo/address.h>

/* An address without its port: IPv4 as IPv6 has it (RFC 4291 section 2.5.5.2), so that all are alike. */
typedef struct rondo__ip {
    unsigned char bytes[16];
} rondo__ip;

/* false for what has none: a Unix socket. */
bool rondo__ip_of(const rondo_address *address, rondo__ip *ret_ip);
/* Of a text: an address alone, in brackets or not, with a port or not. */
bool rondo__ip_parse(rondo_slice text, rondo__ip *ret_ip);
/* 127.0.0.0/8, ::1. */
bool rondo__ip_is_loopback(const rondo__ip *ip);
/* As rondo_address_format_host(). */
int rondo__ip_format(const rondo__ip *ip, char *text, size_t size);

/* ---- networks ---- */

typedef struct rondo__network {
    rondo__ip ip;
    unsigned bits; /* of its 128 that count */
} rondo__network;

typedef struct rondo__networks {
    rondo__network *list;
    size_t count;
    bool local; /* Unix sockets are among them */
} rondo__networks;

/* "10.0.0.0/8", "2001:db8::/32", or one address. The bits behind its length must be 0: a network that is
 * larger than its text looks is believed by mistake. */
bool rondo__network_parse(const char *text, rondo__network *ret_network);
bool rondo__network_has(const rondo__network *network, const rondo__ip *ip);

int rondo__networks_add(rondo__networks *networks, const char *text);
bool rondo__networks_have(const rondo__networks *networks, const rondo__ip *ip);

#endif
