/* SPDX-License-Identifier: MIT
 *
 * Who the client is when proxies are in between: what X-Forwarded-For or Forwarded (RFC 7239) say, as far
 * as it can be believed. Each proxy adds the address it was asked from at the end, so a list is read from
 * the right: an address is believed if the one who wrote it is trusted, and the first that is not
 * trusted itself is the client; what stands left of it may be the client's invention. What can't be
 * read ends the list there.
 *
 * Only one of the two fields is looked at, the one that the proxies write: another would come from the
 * client as it is.
 */
#include <rondo/error.h>
#include <rondo/server.h>
#include <string.h>

#include "http/chars.h"
#include "http/networks.h"
#include "http/server/connection.h"
#include "net/stream.h"

/* So many proxies in a row are believed: a longer list is cut on its left. */
#define HOPS_MOST 32

/* What one proxy wrote. */
typedef struct hop {
    rondo_slice client, scheme, host;
} hop;

typedef struct hops {
    hop last[HOPS_MOST]; /* [count - 1] is the nearest one's */
    size_t count;
} hops;

static hop *add_hop(hops *all) {
    if (all->count == HOPS_MOST) {
        memmove(all->last, all->last + 1, (HOPS_MOST - 1) * sizeof *all->last);
        all->count--;
    }
    hop *it = &all->last[all->count++];
    memset(it, 0, sizeof *it);
    return it;
}

static rondo_slice trim(const char *begin, const char *end) {
    while (begin < end && rondo__http_blank(*begin)) begin++;
    while (end > begin && rondo__http_blank(end[-1])) end--;
    return rondo_slice_of(begin, (size_t)(end - begin));
}

/* ---- X-Forwarded-For ---- */

static void split_list(hops *all, rondo_slice list) {
    const char *at = list.data, *end = at + list.len;
    while (at <= end) {
        const char *comma = at < end ? memchr(at, ',', (size_t)(end - at)) : NULL;
        const char *stop = comma ? comma : end;
        add_hop(all)->client = trim(at, stop);
        at = stop + 1;
    }
}

/* The last member of the last field of that name. */
static rondo_slice last_of(const rondo_http_request *request, const char *name) {
    rondo_slice value, last = {NULL, 0};
    size_t at = 0;
    while (rondo_http_request_header_next(request, name, &at, &value)) last = value;
    for (size_t i = last.len; i > 0; i--)
        if (last.data[i - 1] == ',') return trim(last.data + i, last.data + last.len);
    return last;
}

static void read_x_forwarded(const rondo_http_request *request, hops *all) {
    rondo_slice value;
    size_t at = 0;
    while (rondo_http_request_header_next(request, "x-forwarded-for", &at, &value))
        split_list(all, value);
}

/* ---- Forwarded ---- */

/* token or quoted-string, without escapes, which nothing here needs; *at is behind it. */
static bool read_value(const char **at, const char *end, rondo_slice *ret_value) {
    const char *begin = *at;
    if (begin < end && *begin == '"') {
        const char *quote = ++begin;
        while (quote < end && *quote != '"' && *quote != '\\') quote++;
        if (quote == end || *quote == '\\') return false;
        *ret_value = rondo_slice_of(begin, (size_t)(quote - begin));
        *at = quote + 1;
        return true;
    }
    while (*at < end && rondo__http_is(**at, RONDO__CHAR_TOKEN)) ++*at;
    *ret_value = rondo_slice_of(begin, (size_t)(*at - begin));
    return *at > begin;
}

/* name=value, into the hop. */
static bool read_pair(const char **at, const char *end, hop *it) {
    const char *name = *at;
    while (*at < end && rondo__http_is(**at, RONDO__CHAR_TOKEN)) ++*at;
    size_t len = (size_t)(*at - name);
    rondo_slice value;
    if (len == 0 || *at == end || *(*at)++ != '=' || !read_value(at, end, &value)) return false;
    if (rondo__http_word_is(name, len, "for")) it->client = value;
    if (rondo__http_word_is(name, len, "proto")) it->scheme = value;
    if (rondo__http_word_is(name, len, "host")) it->host = value;
    return true;
}

static void skip_blanks(const char **at, const char *end) {
    while (*at < end && rondo__http_blank(**at)) ++*at;
}

static bool split_forwarded(hops *all, rondo_slice list) {
    const char *at = list.data, *end = at + list.len;
    hop *it = add_hop(all);
    for (;;) {
        skip_blanks(&at, end);
        if (at < end && *at != ';' && *at != ',' && !read_pair(&at, end, it)) return false;
        skip_blanks(&at, end);
        if (at == end) return true;
        if (*at != ';' && *at != ',') return false;
        if (*at++ == ',') it = add_hop(all);
    }
}

static void read_forwarded(const rondo_http_request *request, hops *all) {
    rondo_slice value;
    size_t at = 0;
    while (rondo_http_request_header_next(request, "forwarded", &at, &value)) {
        /* A quote that a client left open would swallow what a proxy wrote behind it. */
        if (!split_forwarded(all, value)) all->count = 0;
    }
}

/* ---- whom to believe ---- */

/* Somebody on the way: at first the peer, in the end the client. */
typedef struct origin {
    rondo__ip ip;
    bool has_ip, trusted;
} origin;

static int find_peer(const rondo_http_request *request, origin *ret_peer) {
    rondo_address address;
    int status = rondo__request_peer_address(request, &address);
    if (status < 0) return status;
    const rondo__networks *networks = &request->tally->networks;
    ret_peer->has_ip = rondo__ip_of(&address, &ret_peer->ip);
    ret_peer->trusted =
        ret_peer->has_ip ? rondo__networks_have(networks, &ret_peer->ip) : networks->local;
    return 0;
}

/* Goes from the right; *peer becomes the client. Returns the hop that told of it, or NULL. */
static const hop *follow(const rondo_http_request *request, hops *all, origin *peer) {
    const hop *last = NULL;
    while (peer->trusted && all->count > 0) {
        const hop *it = &all->last[--all->count];
        rondo__ip ip;
        if (!rondo__ip_parse(it->client, &ip)) break;
        peer->ip = ip;
        peer->has_ip = true;
        peer->trusted = rondo__networks_have(&request->tally->networks, &ip);
        last = it;
    }
    return last;
}

static void read_hops(const rondo_http_request *request, hops *all) {
    all->count = 0;
    if (request->tally->forwarded)
        read_forwarded(request, all);
    else
        read_x_forwarded(request, all);
}

int rondo_http_request_client(const rondo_http_request *request, char *text, size_t size) {
    RONDO__CHECK_REQUEST(request);
    origin peer;
    hops all;
    int status = find_peer(request, &peer);
    if (status < 0) return status;
    if (peer.trusted) {
        read_hops(request, &all);
        follow(request, &all, &peer);
    }
    if (peer.has_ip) return rondo__ip_format(&peer.ip, text, size);
    if (size < sizeof "unix") return RONDO_ENOBUFS;
    memcpy(text, "unix", sizeof "unix");
    return 4;
}

/* ---- what the client asked for ---- */

/* What the nearest proxy says, if it is believed. */
static bool nearest_hop(const rondo_http_request *request, hop *ret_hop) {
    origin peer;
    hops all;
    if (find_peer(request, &peer) < 0 || !peer.trusted) return false;
    if (request->tally->forwarded) {
        all.count = 0;
        read_forwarded(request, &all);
        if (all.count == 0) return false;
        *ret_hop = all.last[all.count - 1];
    } else {
        memset(ret_hop, 0, sizeof *ret_hop);
        ret_hop->scheme = last_of(request, "x-forwarded-proto");
        ret_hop->host = last_of(request, "x-forwarded-host");
    }
    return true;
}

rondo_slice rondo_http_request_scheme(const rondo_http_request *request) {
    RONDO__CHECK_REQUEST(request);
    hop told;
    const rondo__http_conn *conn = request->conn;
    bool secure = conn && rondo__stream_is_secure(conn->stream);
    if (nearest_hop(request, &told)) {
        if (rondo__http_word_is(told.scheme.data, told.scheme.len, "https")) secure = true;
        if (rondo__http_word_is(told.scheme.data, told.scheme.len, "http")) secure = false;
    }
    return rondo_slice_text(secure ? "https" : "http");
}

rondo_slice rondo_http_request_host(const rondo_http_request *request) {
    RONDO__CHECK_REQUEST(request);
    hop told;
    if (nearest_hop(request, &told) && told.host.len > 0 && rondo__head_is_host(told.host))
        return told.host;
    /* That of the target counts more than the field (RFC 9112 section 3.2.2). */
    rondo_slice target = rondo_http_request_target(request);
    const char *end = target.data + target.len;
    if (target.len == 0 || *target.data == '/' || *target.data == '*')
        return rondo_http_request_header(request, "host");
    if (request->flags & RONDO__REQUEST_CONNECT) return target;
    const char *host = memchr(target.data, '/', target.len);
    if (!host || end - host < 2) return rondo_slice_of(NULL, 0); /* a head that was refused */
    host += 2;
    const char *stop = host;
    while (stop < end && *stop != '/' && *stop != '?') stop++;
    return rondo_slice_of(host, (size_t)(stop - host));
}

/* ---- settings ---- */

int rondo_http_server_trust(rondo_http_server *server, const char *network) {
    RONDO__CHECK(server, &rondo__http_server_kind);
    return rondo__networks_add(&server->tally->networks, network);
}

void rondo_http_server_set_forwarded(rondo_http_server *server, bool forwarded) {
    RONDO__CHECK(server, &rondo__http_server_kind);
    server->tally->forwarded = forwarded;
}

void rondo_http_server_set_proxy_protocol(rondo_http_server *server, bool required) {
    RONDO__CHECK(server, &rondo__http_server_kind);
    if (server->listener) rondo_server_set_proxy_protocol(server->listener, required);
}
