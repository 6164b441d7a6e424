/* SPDX-License-Identifier: MIT
 *
 * The header of the PROXY protocol, which comes before everything else on a connection: TLS too. Its
 * reader asks for no octet more than surely belongs to it. Internal.
 */
#ifndef RONDO__PROXY_HEADER_H
#define RONDO__PROXY_HEADER_H

#include <rondo/address.h>

#include "net/server.h"

/* A longer one is refused: addresses take 232 octets, the rest is for what the proxy adds. */
#define RONDO__PROXY_HEADER_MOST ((size_t)2048)
/* How long it may take. */
#define RONDO__PROXY_HEADER_MS 5000

/* The first len octets of a connection. Returns len when they are the whole header; *ret_address is set
 * then if it tells of one, and left alone if the proxy speaks for itself. 0: not yet, and so many octets
 * more surely belong to it, or, with *ret_sure 0, all up to the end of the line. RONDO_EPROTO: it is
 * none. */
int64_t rondo__proxy_header(const char *data, size_t len, size_t *ret_sure,
                            rondo_address *ret_address);

/* Makes the reading of a header the first part of the stream's handshake, before that of the server's
 * TLS: 0 or RONDO_ENOMEM. */
int rondo__proxied_start(rondo_stream *stream, rondo_server *server);

#endif
