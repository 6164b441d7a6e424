/* SPDX-License-Identifier: MIT
 *
 * Names. rondo_dns_lookup() and rondo_dns_reverse() follow the system's rules (/etc/hosts,
 * nsswitch, getaddrinfo(3)) on the pool's `dns` lane, so that a slow name delays neither the loop nor
 * files. rondo_dns_query() asks name servers for records of one type; it needs c-ares.
 *
 * Each callback runs exactly once, on the loop thread, in a pending phase, never inside the call that
 * asked. The request is valid until its callback has returned, and keeps the loop alive. What is
 * handed to the callback is the library's, valid until it returns. rondo_loop_close_all() cancels
 * all requests; rondo_loop_free() calls nobody, and waits for threads that are still in the
 * system's resolver, those of abandoned requests included. Loop thread only.
 *
 * Answers are hostile: counts and lengths are bounded, and a name that is none by RFC 1123 (letters,
 * digits, inner hyphens; underscores are let pass for RFC 2782) makes the answer RONDO_EPROTO.
 */
#ifndef RONDO_DNS_H
#define RONDO_DNS_H

#include <rondo/address.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The most that a callback is given; what an answer has beyond is cut off. */
#define RONDO_DNS_ADDRESSES_MAX 256
#define RONDO_DNS_RECORDS_MAX 1024
/* The most servers that rondo_dns_query_options can name. */
#define RONDO_DNS_SERVERS_MAX 8

/* Ends a request now: its callback gets RONDO_ECANCELED in the next pending phase, whatever has come
 * meanwhile, and even when a thread still waits for the system's resolver; what that brings is
 * dropped. Returns 0, or RONDO_ENOENT inside the callback of that request. */
RONDO_API int rondo_dns_cancel(rondo_dns_request *request);

/* ---- by the system's rules ---- */

enum {
    RONDO_DNS_IPV4 = 1 << 0, /* this family only; neither or both bits: both */
    RONDO_DNS_IPV6 = 1 << 1, /* likewise */
    /* Also addresses of a family that this machine has none of. Those of a family that was asked
     * for alone come in any case. */
    RONDO_DNS_ALL = 1 << 2,
    RONDO_DNS_NAMES_ONLY = 1 << 3 /* reverse: RONDO_ENOTFOUND rather than a number as text */
};

typedef struct rondo_dns_lookup_options {
    unsigned flags;
    uint32_t timeout_ms; /* RONDO_ETIMEDOUT after so long, 0: as long as the system takes */
} rondo_dns_lookup_options;

/* status 0: count >= 1 addresses in the order of RFC 6724, without duplicates, each with the port
 * that was asked for. Otherwise RONDO_ENOTFOUND (no such name, or none of the family),
 * RONDO_EDNSAGAIN (the name servers don't answer), RONDO_EDNSFAIL, RONDO_ECANCELED, RONDO_ETIMEDOUT,
 * RONDO_ENOMEM or what else ails the system (RONDO_EMFILE, ...), and no addresses. */
typedef void (*rondo_dns_lookup_cb)(rondo_loop *loop, int status, const rondo_address *addresses,
                                    size_t count, void *arg);
/* Looks host up: a name or a number. options and ret_request may be NULL. Numbers take no thread, nor
 * do localhost and the names below it, which are this machine's loopback addresses whatever its
 * files say (RFC 6761, 6.3). Returns 0, RONDO_EINVAL (no callback; no name, one longer than 253 bytes
 * or with a space or control character), RONDO_EAGAIN (the lane's queue is full), RONDO_ENOMEM,
 * RONDO_ENOTSUP (the pool in a forked child); then the callback is not called. */
RONDO_API int rondo_dns_lookup(rondo_loop *loop, const char *host, uint16_t port,
                               const rondo_dns_lookup_options *options,
                               rondo_dns_request **ret_request, rondo_dns_lookup_cb cb, void *arg);

/* host and service are NULL unless status is 0; service is the port's name, or its number. status is
 * as above, or RONDO_EPROTO: what came back is no name. */
typedef void (*rondo_dns_reverse_cb)(rondo_loop *loop, int status, const char *host,
                                     const char *service, void *arg);
/* The name of an IPv4 or IPv6 address, by getnameinfo(3). Returns as rondo_dns_lookup(). A name that
 * comes back is the address owner's word: look it up again before trusting it. */
RONDO_API int rondo_dns_reverse(rondo_loop *loop, const rondo_address *address,
                                const rondo_dns_lookup_options *options,
                                rondo_dns_request **ret_request, rondo_dns_reverse_cb cb,
                                void *arg);

/* ---- from name servers ---- */

/* X(name, number of RFC 1035, 3596, 2782, 8659) */
#define RONDO_DNS_TYPES(X) \
    X(A, 1)                \
    X(NS, 2)               \
    X(CNAME, 5)            \
    X(PTR, 12)             \
    X(MX, 15)              \
    X(TXT, 16)             \
    X(AAAA, 28)            \
    X(SRV, 33)             \
    X(CAA, 257)
typedef enum rondo_dns_type {
#define RONDO__DNS_ENUM(name, number) RONDO_DNS_##name = (number),
    RONDO_DNS_TYPES(RONDO__DNS_ENUM)
#undef RONDO__DNS_ENUM
} rondo_dns_type;

/* A host is a name without a final dot; "." says that there is none (RFC 7505; RFC 2782). */
typedef struct rondo_dns_record {
    rondo_dns_type type;
    uint32_t ttl_s;        /* how long it, and the aliases that lead to it, may be kept */
    rondo_address address; /* A, AAAA: with port 0 */
    const char *host;      /* NS, CNAME, PTR, MX, SRV: a name */
    uint16_t priority;     /* MX (its preference), SRV */
    uint16_t weight, port; /* SRV */
    rondo_slice text;      /* TXT (its strings joined), CAA (the value); may hold any byte */
    const char *tag;       /* CAA */
    uint8_t flags;         /* CAA: 128 is critical */
} rondo_dns_record;

typedef struct rondo_dns_query_options {
    const char *servers; /* "127.0.0.1:5353,[::1]:53"; NULL: of the system (/etc/resolv.conf) */
    uint32_t timeout_ms; /* in all, 10,000 when 0 */
    uint32_t try_ms;     /* the first try of each server, 2,000 when 0; doubles each round */
    unsigned tries;      /* rounds, 3 when 0 */
    bool no_search;      /* the name is complete: don't append the search domains */
    bool tcp;            /* don't try UDP first */
} rondo_dns_query_options;

/* status 0: count >= 1 records of the type, in the order of the answer (SRV and MX by priority; to
 * draw among equals by weight is the caller's), of the name itself or of the one that it is an alias
 * of. RONDO_ENOTFOUND: no such name; RONDO_ENODATA: the name has no such record; RONDO_EDNSAGAIN: no
 * server answers, RONDO_EDNSFAIL: they failed, RONDO_EDNSREFUSED; RONDO_EPROTO: the answer can't be
 * understood, or has what is no name; RONDO_ETIMEDOUT, RONDO_ECANCELED, RONDO_ENOMEM. */
typedef void (*rondo_dns_query_cb)(rondo_loop *loop, int status, const rondo_dns_record *records,
                                   size_t count, void *arg);
/* Asks name servers, and nobody else (no /etc/hosts). Search domains are tried as of resolv.conf(5)
 * unless the name ends with a dot. For RONDO_DNS_PTR an address may be given in place of its name
 * under in-addr.arpa or ip6.arpa. options and ret_request may be NULL; the settings of the system
 * are read, at most every 30 s. Returns 0, RONDO_ENOSYS (built without c-ares), RONDO_EINVAL (not a
 * name, a type or a list of servers; no callback), RONDO_ENOMEM, or what keeps the settings from
 * being read (RONDO_EIO); then the callback is not called. */
RONDO_API int rondo_dns_query(rondo_loop *loop, const char *name, rondo_dns_type type,
                              const rondo_dns_query_options *options,
                              rondo_dns_request **ret_request, rondo_dns_query_cb cb, void *arg);

#ifdef __cplusplus
}
#endif
#endif
