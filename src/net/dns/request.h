/* SPDX-License-Identifier: MIT
 *
 * What all questions about names have in common: a request that ends exactly once, by an answer, its
 * timeout or a cancel, and is delivered in the next pending phase. Internal to src/net/dns/.
 *
 * The request and the work that is done for it (a job of the pool, a query of c-ares) are two blocks
 * of memory, because neither kind of work can be stopped at once. A request that ends early leaves
 * its work: what that brings later finds nobody, and is dropped.
 */
#ifndef RONDO__DNS_REQUEST_H
#define RONDO__DNS_REQUEST_H

#include <rondo/dns.h>

#include "loop/alarm.h"
#include "loop/handle.h"

/* The longest name in text, without a final dot (RFC 1035, 2.3.4: 255 bytes on the wire). */
#define RONDO__DNS_NAME_MAX 253

typedef struct rondo__dns_kind {
    rondo__event event;
    /* The request ends while its work goes on: the work must not touch the request any more. */
    void (*leave)(rondo_dns_request *request);
    /* Frees the answer. */
    void (*free)(rondo_dns_request *request);
} rondo__dns_kind;

/* The kinds embed it first. */
struct rondo_dns_request {
    uint32_t magic;
    bool ended; /* status is known, and task is queued or has run */
    int status;
    const rondo__dns_kind *kind;
    rondo_loop *loop;
    rondo__fn cb;
    void *arg;
    rondo__list link; /* the loop's open requests */
    rondo__task task; /* delivers */
    rondo__alarm alarm;
};

/* A request of `size` bytes, zeroed behind its base. It is nobody's business until it is begun:
 * rondo__dns_discard() undoes it. Returns 0 or RONDO_ENOMEM. */
int rondo__dns_new(rondo_loop *loop, const rondo__dns_kind *kind, size_t size, rondo__fn cb,
                   void *arg, rondo_dns_request **ret_request);
void rondo__dns_discard(rondo_dns_request *request);

/* From now on it keeps the loop alive, can be canceled, and calls back. timeout_ms 0: none. */
void rondo__dns_begin(rondo_dns_request *request, uint32_t timeout_ms);

/* Ends it with a status and what the kind has stored; the callback comes in the next pending phase.
 * Called by the work, which is over, so that leave() is not called. */
void rondo__dns_end(rondo_dns_request *request, int status);

/* Ends it now, without a callback, before that has begun: for those inside the library who ask on
 * behalf of a handle that is gone. */
void rondo__dns_forget(rondo_dns_request *request);

/* ---- names.c ---- */

/* Whether `host` may be asked for: not empty, not too long, without control characters and spaces. */
bool rondo__dns_may_ask(const char *host);
/* Whether what came back is a host name: see there. */
bool rondo__dns_is_host_name(const char *name);
/* "localhost" and all names below it, in any case, with or without a final dot. */
bool rondo__dns_is_localhost(const char *host);

#endif
