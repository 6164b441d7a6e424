/* SPDX-License-Identifier: MIT
 *
 * The list of name servers of rondo_dns_query_options. Internal to src/net/dns/.
 */
#ifndef RONDO__DNS_SERVERS_H
#define RONDO__DNS_SERVERS_H

#include <ares.h>

/* Has the channel ask these servers; "" leaves the system's. Returns 0, RONDO_EINVAL or
 * RONDO_ENOMEM. */
int rondo__dns_servers_set(ares_channel channel, const char *text);
/* How many servers it asks. Returns 0 or RONDO_ENOMEM. */
int rondo__dns_servers_count(ares_channel channel, int *ret_count);

#endif
