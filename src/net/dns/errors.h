/* SPDX-License-Identifier: MIT
 *
 * Other people's codes for what went wrong with a name. Internal to src/net/dns/.
 */
#ifndef RONDO__DNS_ERRORS_H
#define RONDO__DNS_ERRORS_H

/* For what getaddrinfo(3) or getnameinfo(3) returned, not 0; on the thread that called it, since
 * EAI_SYSTEM means errno. */
int rondo__dns_error_from_eai(int error);

#endif
