/* SPDX-License-Identifier: MIT
 *
 * Addresses without ports, their texts, and networks of them.
 */
#include "http/networks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <rondo/error.h>
#include <string.h>

#include "loop/memory.h"
#include "net/address.h"

/* A name for each would be a mistake, and each request from a proxy looks at them all. */
#define NETWORKS_MOST 256

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void from_ipv4(const void *ipv4, rondo__ip *ret_ip) {
    memcpy(ret_ip->bytes, mapped, sizeof mapped);
    memcpy(ret_ip->bytes + sizeof mapped, ipv4, 4);
}

bool rondo__ip_of(const rondo_address *address, rondo__ip *ret_ip) {
    int af = rondo__address_af(address);
    if (af == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address->socket.bytes, sizeof in);
        from_ipv4(&in.sin_addr, ret_ip);
    } else if (af == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address->socket.bytes, sizeof in6);
        memcpy(ret_ip->bytes, &in6.sin6_addr, sizeof ret_ip->bytes);
    }
    return af == AF_INET || af == AF_INET6;
}

bool rondo__ip_is_loopback(const rondo__ip *ip) {
    static const unsigned char v6[16] = {[15] = 1};
    if (memcmp(ip->bytes, mapped, sizeof mapped) == 0) return ip->bytes[sizeof mapped] == 127;
    return memcmp(ip->bytes, v6, sizeof v6) == 0;
}

static bool is_port(const char *at, const char *end) {
    if (end - at < 1 || end - at > 5) return false;
    for (; at < end; at++)
        if (*at < '0' || *at > '9') return false;
    return true;
}

bool rondo__ip_parse(rondo_slice text, rondo__ip *ret_ip) {
    const char *at = text.data, *end = at + text.len, *host_end = end;
    char host[INET6_ADDRSTRLEN];
    unsigned char ipv4[4];
    if (text.len == 0) return false;
    bool bracket = *at == '[';
    if (bracket) {
        at++;
        host_end = memchr(at, ']', (size_t)(end - at));
        if (!host_end) return false;
        if (host_end + 1 != end && (host_end[1] != ':' || !is_port(host_end + 2, end)))
            return false;
    } else {
        const char *colon = memchr(at, ':', text.len);
        bool one = colon && !memchr(colon + 1, ':', (size_t)(end - colon - 1));
        if (one && !is_port(colon + 1, end)) return false;
        if (one) host_end = colon;
    }
    size_t len = (size_t)(host_end - at);
    if (len == 0 || len >= sizeof host) return false;
    memcpy(host, at, len);
    host[len] = '\0';
    if (memchr(host, '\0', len)) return false;
    if (!bracket && inet_pton(AF_INET, host, ipv4) == 1) {
        from_ipv4(ipv4, ret_ip);
        return true;
    }
    return inet_pton(AF_INET6, host, ret_ip->bytes) == 1;
}

int rondo__ip_format(const rondo__ip *ip, char *text, size_t size) {
    char buffer[INET6_ADDRSTRLEN];
    bool ipv4 = memcmp(ip->bytes, mapped, sizeof mapped) == 0;
    inet_ntop(ipv4 ? AF_INET : AF_INET6, ipv4 ? ip->bytes + sizeof mapped : ip->bytes, buffer,
              sizeof buffer);
    size_t len = strlen(buffer);
    if (len >= size) return RONDO_ENOBUFS;
    memcpy(text, buffer, len + 1);
    return (int)len;
}

/* ---- networks ---- */

bool rondo__network_has(const rondo__network *network, const rondo__ip *ip) {
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    if (memcmp(network->ip.bytes, ip->bytes, whole) != 0) return false;
    return rest == 0 ||
           ((network->ip.bytes[whole] ^ ip->bytes[whole]) & (0xff00u >> rest) & 0xff) == 0;
}

bool rondo__network_parse(const char *text, rondo__network *ret_network) {
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    rondo__network network;
    if (memchr(text, '[', len)) return false;
    if (!rondo__ip_parse(rondo_slice_of(text, len), &network.ip)) return false;
    bool ipv4 = memchr(text, '.', len) && !memchr(text, ':', len);
    if (!ipv4 && memchr(text, '.', len) && memchr(text, ':', len) && !strstr(text, "::"))
        return false; /* 10.0.0.1:80 */
    unsigned bits = ipv4 ? 32 : 128, given = 0;
    if (slash) {
        if (!is_port(slash + 1, slash + strlen(slash))) return false;
        for (const char *digit = slash + 1; *digit; digit++)
            given = given * 10 + (unsigned)(*digit - '0');
        if (given > bits) return false;
        bits = given;
    }
    network.bits = ipv4 ? bits + 96 : bits;
    for (unsigned bit = network.bits; bit < 128; bit++)
        if (network.ip.bytes[bit / 8] & (0x80u >> bit % 8)) return false;
    *ret_network = network;
    return true;
}

int rondo__networks_add(rondo__networks *networks, const char *text) {
    rondo__network network;
    if (strcmp(text, "unix") == 0) {
        networks->local = true;
        return 0;
    }
    if (!rondo__network_parse(text, &network)) return RONDO_EINVAL;
    if (networks->count == NETWORKS_MOST) return RONDO_ENOBUFS;
    rondo__network *list =
        rondo__realloc(networks->list, (networks->count + 1) * sizeof *networks->list);
    if (!list) return RONDO_ENOMEM;
    networks->list = list;
    list[networks->count++] = network;
    return 0;
}

bool rondo__networks_have(const rondo__networks *networks, const rondo__ip *ip) {
    for (size_t i = 0; i < networks->count; i++)
        if (rondo__network_has(&networks->list[i], ip)) return true;
    return false;
}
