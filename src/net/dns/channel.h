/* SPDX-License-Identifier: MIT
 *
 * A c-ares channel on the loop: its sockets are watched and its timeouts kept here. Channels belong
 * to a loop and are shared by all queries with the same settings. Internal to src/net/dns/; the only
 * headers that show c-ares are this one and channel.c's own.
 *
 * No user callback runs inside c-ares: what it reports only ends requests, which are delivered in
 * the next pending phase.
 */
#ifndef RONDO__DNS_CHANNEL_H
#define RONDO__DNS_CHANNEL_H

#include <ares.h>
#include <rondo/dns.h>

typedef struct rondo__dns_channel rondo__dns_channel;

/* What queries must agree on to share a channel. */
typedef struct rondo__dns_settings {
    const char *servers; /* "": of the system */
    uint32_t try_ms;
    unsigned tries;
    bool tcp;
    /* A server's failure or refusal is the answer. Else the next server is asked; and when all of
     * them refuse, c-ares does not tell that from servers that are not there. */
    bool first_word;
} rondo__dns_settings;

/* The loop's channel with these settings, made if need be. Returns 0, RONDO_EINVAL (servers can't
 * be read), RONDO_ENOMEM, or what else keeps c-ares from starting. */
int rondo__dns_channel_get(rondo_loop *loop, const rondo__dns_settings *settings,
                           rondo__dns_channel **ret_channel);
/* What it was made with; a single server's word is always the answer. */
const rondo__dns_settings *rondo__dns_channel_settings(const rondo__dns_channel *channel);
bool rondo__dns_channel_takes_first_word(const rondo__dns_channel *channel);

/* Asks. cb comes exactly once, perhaps before this returns, and must call answered(). `complete`:
 * no search domain is appended. */
void rondo__dns_channel_ask(rondo__dns_channel *channel, const char *name, rondo_dns_type type,
                            bool complete, ares_callback cb, void *arg);
/* In cb: is anybody still interested? */
void rondo__dns_channel_answered(rondo__dns_channel *channel, bool wanted);
/* Nobody is interested in one of the queries any more. c-ares can't end a single one; when no other
 * is left, all are. */
void rondo__dns_channel_unwanted(rondo__dns_channel *channel);

/* The error for the status of a callback. */
int rondo__dns_channel_error(const rondo__dns_channel *channel, int status);

#endif
