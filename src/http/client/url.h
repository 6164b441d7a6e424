/* SPDX-License-Identifier: MIT
 *
 * URLs of http and https, strict and bounded (RFC 9110 section 4.2, RFC 3986): taken apart, and resolved
 * against one another for redirects. Internal.
 */
#ifndef RONDO__CLIENT_URL_H
#define RONDO__CLIENT_URL_H

#include <rondo/base.h>

/* Longer ones are refused. */
#define RONDO__URL_MOST ((size_t)16384)
/* What a host may have: a name, or an IPv6 address with brackets. */
#define RONDO__HOST_MOST ((size_t)253)

/* The parts are in text: scheme "://" authority target. Scheme and host are in lower case, a default port
 * is left out, the target begins with '/'; there is neither user information nor a fragment. */
typedef struct rondo__url {
    char *text; /* NULL: none */
    char *user; /* as it stood before '@', decoded, with its ':'; only where it was allowed */
    uint32_t authority_len, host_len; /* the host's with brackets */
    uint16_t port;
    bool https;
} rondo__url;

static inline const char *rondo__url_authority(const rondo__url *url) {
    return url->text + (url->https ? 8 : 7);
}
/* Path and query, up to the end of text. */
static inline const char *rondo__url_target(const rondo__url *url) {
    return rondo__url_authority(url) + url->authority_len;
}

/* 0, RONDO_EINVAL or RONDO_ENOMEM. with_user: user information is taken, not refused. */
int rondo__url_parse(rondo_slice text, bool with_user, rondo__url *ret_url);
/* A reference (RFC 3986 section 5.2), of which octets that are no visible ASCII are encoded first: servers
 * do send such. Returns as above. */
int rondo__url_resolve(const rondo__url *base, rondo_slice reference, rondo__url *ret_url);
void rondo__url_free(rondo__url *url);

/* The host as rondo_connect() wants it, without brackets. */
void rondo__url_host(const rondo__url *url, char ret_host[RONDO__HOST_MOST + 1]);
/* "host:port", with brackets, and the port in any case. */
#define RONDO__HOST_PORT_SIZE (RONDO__HOST_MOST + 8)
void rondo__url_host_port(const rondo__url *url, char ret_text[RONDO__HOST_PORT_SIZE]);
/* Whether scheme, host and port are the same. */
bool rondo__url_same_origin(const rondo__url *a, const rondo__url *b);

/* "Basic ..." of "user:password" (RFC 7617), allocated; NULL when out of memory. */
char *rondo__basic_credentials(const char *user_and_password);

#endif
