/* SPDX-License-Identifier: MIT
 *
 * What the system calls see of a rondo_address. Internal.
 */
#ifndef RONDO__ADDRESS_H
#define RONDO__ADDRESS_H

#include <rondo/address.h>

#include <sys/socket.h>

static inline struct sockaddr *rondo__sockaddr(rondo_address *address) {
    return (struct sockaddr *)(void *)address->socket.bytes;
}
static inline const struct sockaddr *rondo__sockaddr_const(const rondo_address *address) {
    return (const struct sockaddr *)(const void *)address->socket.bytes;
}

/* AF_INET, AF_INET6, AF_UNIX or AF_UNSPEC: of the socket, so a mapped IPv4 address is AF_INET6. */
static inline int rondo__address_af(const rondo_address *address) {
    return address->len >= sizeof(sa_family_t) ? rondo__sockaddr_const(address)->sa_family
                                               : AF_UNSPEC;
}

void rondo__address_set_port(rondo_address *address, uint16_t port);

#endif
