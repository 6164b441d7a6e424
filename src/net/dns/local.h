/* SPDX-License-Identifier: MIT
 *
 * Names that need no resolver: numbers, and localhost. Internal to src/net/dns/.
 */
#ifndef RONDO__DNS_LOCAL_H
#define RONDO__DNS_LOCAL_H

#include <rondo/dns.h>

/* The addresses of host, of the families in flags (RONDO_DNS_*; at least one). Returns 0 with an
 * allocated array, RONDO_ENOTFOUND (none of these families), RONDO_ENOMEM, or RONDO_EAGAIN: somebody
 * else has to be asked. */
int rondo__dns_local(const char *host, uint16_t port, unsigned flags, rondo_address **ret_addresses,
                     size_t *ret_count);

#endif
