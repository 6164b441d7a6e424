/* SPDX-License-Identifier: MIT
 *
 * Content codings (RFC 9110 section 8.4.1): those that Rondo sends, and which of them a request
 * wants (section 12.5.3). Internal.
 */
#ifndef RONDO__HTTP_ACCEPT_H
#define RONDO__HTTP_ACCEPT_H

#include <rondo/http.h>

typedef enum rondo__coding {
    RONDO__CODING_IDENTITY, /* as it is */
    RONDO__CODING_GZIP,
    RONDO__CODING_BR,
    RONDO__CODINGS
} rondo__coding;

/* How much each coding is wanted, in thousandths; 0: not at all. */
typedef struct rondo__wants {
    uint16_t q[RONDO__CODINGS];
} rondo__wants;

/* What the fields Accept-Encoding of a request say. Without one, and for whatever they don't name,
 * only the identity is wanted. What is broken in a field says nothing. */
rondo__wants rondo__http_wants(const rondo_http_request *request);

/* The same step by step. */
typedef struct rondo__accept {
    int q[RONDO__CODINGS]; /* -1: not named */
    int any;               /* of "*" */
} rondo__accept;
void rondo__accept_init(rondo__accept *accept);
void rondo__accept_field(rondo__accept *accept, rondo_slice value);
rondo__wants rondo__accept_wants(const rondo__accept *accept);

/* The codings of `available` (bit 1 << coding) that are wanted at least as much as the identity, the
 * best first, br before gzip: how many. Where the identity is refused, all that are wanted. */
unsigned rondo__wants_order(rondo__wants wants, unsigned available,
                            rondo__coding ret_order[RONDO__CODINGS]);

/* "gzip", "br"; NULL for the identity. Static. */
const char *rondo__coding_name(rondo__coding coding);

#endif
