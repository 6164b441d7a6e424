/* SPDX-License-Identifier: MIT
 *
 * "127.0.0.1:5353,[::1]:53,::1": read here and not by ares_set_servers_ports_csv(), which lets pass
 * what it does not understand (a port of 99999, an empty list).
 */
#include "net/dns/servers.h"

#include <rondo/dns.h>
#include <rondo/error.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "net/address.h"

#define PORT_DEFAULT 53

/* 1 to 65535, and nothing but digits. */
static bool parse_port(const char *text, uint16_t *ret_port) {
    unsigned long port = 0;
    if (strlen(text) > 5 || strspn(text, "0123456789") != strlen(text)) return false;
    port = strtoul(text, NULL, 10);
    if (port == 0 || port > UINT16_MAX) return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* One server; `text` is cut to pieces. */
static bool parse_server(char *text, rondo_address *ret_address) {
    uint16_t port = PORT_DEFAULT;
    char *host = text, *colon = strchr(text, ':'), *bracket = strchr(text, ']');
    if (*text == '[') {
        if (!bracket || (bracket[1] != '\0' && bracket[1] != ':')) return false;
        host = text + 1;
        colon = bracket[1] ? bracket + 1 : NULL;
        *bracket = '\0';
        if (!strchr(host, ':')) return false;
    } else if (colon && strchr(colon + 1, ':')) {
        colon = NULL; /* of an IPv6 address */
    }
    if (colon) {
        *colon = '\0';
        if (!parse_port(colon + 1, &port)) return false;
    }
    if (strchr(host, '%') || strcmp(host, "localhost") == 0) return false; /* numbers, no scopes */
    return rondo_address_parse(host, port, ret_address) == 0;
}

static void fill_node(const rondo_address *address, struct ares_addr_port_node *ret_node) {
    const struct sockaddr *name = rondo__sockaddr_const(address);
    memset(ret_node, 0, sizeof *ret_node);
    ret_node->family = rondo__address_af(address);
    ret_node->udp_port = ret_node->tcp_port = rondo_address_port(address);
    if (ret_node->family == AF_INET)
        ret_node->addr.addr4 = ((const struct sockaddr_in *)(const void *)name)->sin_addr;
    else
        memcpy(&ret_node->addr.addr6, &((const struct sockaddr_in6 *)(const void *)name)->sin6_addr,
               sizeof ret_node->addr.addr6);
}

int rondo__dns_servers_set(ares_channel channel, const char *text) {
    struct ares_addr_port_node nodes[RONDO_DNS_SERVERS_MAX];
    size_t count = 0;
    if (!*text) return 0;
    for (;;) {
        char one[INET6_ADDRSTRLEN + sizeof "[]:65535"];
        rondo_address address;
        size_t len = strcspn(text, ",");
        if (count == RONDO_DNS_SERVERS_MAX || len >= sizeof one) return RONDO_EINVAL;
        memcpy(one, text, len);
        one[len] = '\0';
        if (!parse_server(one, &address)) return RONDO_EINVAL;
        fill_node(&address, &nodes[count]);
        if (count > 0) nodes[count - 1].next = &nodes[count];
        count++;
        if (!text[len]) break;
        text += len + 1;
    }
    return ares_set_servers_ports(channel, nodes) == ARES_SUCCESS ? 0 : RONDO_ENOMEM;
}

int rondo__dns_servers_count(ares_channel channel, int *ret_count) {
    struct ares_addr_port_node *servers;
    int count = 0;
    if (ares_get_servers_ports(channel, &servers) != ARES_SUCCESS) return RONDO_ENOMEM;
    for (struct ares_addr_port_node *node = servers; node; node = node->next) count++;
    ares_free_data(servers);
    *ret_count = count;
    return 0;
}
