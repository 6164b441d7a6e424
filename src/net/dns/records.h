/* SPDX-License-Identifier: MIT
 *
 * From the bytes of an answer to records. Internal to src/net/dns/.
 */
#ifndef RONDO__DNS_RECORDS_H
#define RONDO__DNS_RECORDS_H

#include <rondo/dns.h>

/* The records of a type that an answer (RFC 1035, 4: a whole message) has for the name in its
 * question, or for the name which that one is an alias of. One block, for rondo__free(), holds them
 * and all that they point to. Returns 0, RONDO_ENODATA (the message is fine, and has none),
 * RONDO_EPROTO or RONDO_ENOMEM. */
int rondo__dns_parse(const unsigned char *bytes, size_t len, rondo_dns_type type,
                     rondo_dns_record **ret_records, size_t *ret_count);

#endif
