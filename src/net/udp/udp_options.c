/* SPDX-License-Identifier: MIT
 *
 * The system calls that change what a UDP socket does: buffers, hops, broadcast, groups. A socket
 * that takes both families is told in both. Groups are joined by RFC 3678, 5.1, which is the same
 * for both families.
 */
#include "net/udp/udp_socket.h"

#include <rondo/error.h>

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "loop/assert.h"

static int set(int fd, int level, int option, const void *value, size_t len) {
    return setsockopt(fd, level, option, value, (socklen_t)len) < 0 ? rondo_error_from_errno(errno)
                                                                    : 0;
}

static int set_int(int fd, int level, int option, int value) {
    return set(fd, level, option, &value, sizeof value);
}

int rondo__udp_socket_set_buffers(int fd, int receive_bytes, int send_bytes) {
    int status = 0;
    if (receive_bytes > 0) status = set_int(fd, SOL_SOCKET, SO_RCVBUF, receive_bytes);
    if (status == 0 && send_bytes > 0) status = set_int(fd, SOL_SOCKET, SO_SNDBUF, send_bytes);
    return status;
}

int rondo__udp_socket_set_broadcast(int fd, bool on) {
    return set_int(fd, SOL_SOCKET, SO_BROADCAST, on);
}

int rondo__udp_socket_set_ttl(int fd, const rondo__udp_traits *traits, int hops) {
    int status = 0;
    if (traits->ipv4) status = set_int(fd, IPPROTO_IP, IP_TTL, hops);
    if (status == 0 && traits->ipv6) status = set_int(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, hops);
    return status;
}

/* The IPv4 options of multicast are a byte everywhere but on Linux, which takes both. */
static int set_both(int fd, const rondo__udp_traits *traits, int option4, int option6, int value) {
    unsigned char byte = (unsigned char)value;
    int status = 0;
    if (traits->ipv4) status = set(fd, IPPROTO_IP, option4, &byte, sizeof byte);
    if (status == 0 && traits->ipv6) status = set_int(fd, IPPROTO_IPV6, option6, value);
    return status;
}

int rondo__udp_socket_set_multicast_ttl(int fd, const rondo__udp_traits *traits, int hops) {
    return set_both(fd, traits, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, hops);
}

int rondo__udp_socket_set_multicast_loop(int fd, const rondo__udp_traits *traits, bool on) {
    return set_both(fd, traits, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, on);
}

/* ---- interfaces ---- */

static bool has_address(const struct ifaddrs *entry, const rondo_address *address) {
    rondo_address own;
    const struct sockaddr *name = entry->ifa_addr;
    if (!name) return false;
    size_t len = name->sa_family == AF_INET    ? sizeof(struct sockaddr_in)
                 : name->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                               : 0;
    if (len == 0 || rondo_address_from_sockaddr(name, len, &own) < 0) return false;
    if (rondo_address_equal(&own, address)) return true;
    /* A link-local one may be given without its scope. */
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)own.socket.bytes;
    if (name->sa_family != AF_INET6) return false;
    v6->sin6_scope_id = 0;
    return rondo_address_equal(&own, address);
}

static int find_address(const rondo_address *address, unsigned *ret_index) {
    struct ifaddrs *entries;
    unsigned index = 0;
    if (getifaddrs(&entries) < 0) return rondo_error_from_errno(errno);
    for (const struct ifaddrs *entry = entries; entry && index == 0; entry = entry->ifa_next)
        if (has_address(entry, address)) index = if_nametoindex(entry->ifa_name);
    freeifaddrs(entries);
    if (index == 0) return RONDO_ENODEV;
    *ret_index = index;
    return 0;
}

int rondo__udp_find_interface(const char *name, rondo__udp_interface *ret_interface) {
    rondo__udp_interface found;
    memset(&found, 0, sizeof found);
    if (name) {
        found.index = if_nametoindex(name);
        if (found.index == 0) {
            if (rondo_address_parse(name, 0, &found.address) < 0) return RONDO_ENODEV;
            int status = find_address(&found.address, &found.index);
            if (status < 0) return status;
        }
    }
    *ret_interface = found;
    return 0;
}

int rondo__udp_socket_set_multicast_interface(int fd, const rondo__udp_traits *traits,
                                              const rondo__udp_interface *through) {
    int status = 0;
    if (traits->ipv4) {
        struct ip_mreqn which;
        memset(&which, 0, sizeof which);
        which.imr_ifindex = (int)through->index;
        if (rondo_address_family(&through->address) == RONDO_FAMILY_IPV4) /* of several, this one */
            which.imr_address =
                ((const struct sockaddr_in *)(const void *)through->address.socket.bytes)->sin_addr;
        status = set(fd, IPPROTO_IP, IP_MULTICAST_IF, &which, sizeof which);
    }
    if (status == 0 && traits->ipv6)
        status = set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)through->index);
    /* What Linux says of an interface without an address of the family. */
    return status == RONDO_EADDRNOTAVAIL ? RONDO_ENODEV : status;
}

/* ---- groups ---- */

int rondo__udp_socket_join(int fd, bool join, const rondo_address *group, unsigned interface_index,
                           const rondo_address *source) {
    int level = rondo__address_af(group) == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    if (source) {
        struct group_source_req which;
        memset(&which, 0, sizeof which);
        which.gsr_interface = interface_index;
        memcpy(&which.gsr_group, group->socket.bytes, group->len);
        memcpy(&which.gsr_source, source->socket.bytes, source->len);
        return set(fd, level, join ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP, &which,
                   sizeof which);
    }
    struct group_req which;
    memset(&which, 0, sizeof which);
    which.gr_interface = interface_index;
    memcpy(&which.gr_group, group->socket.bytes, group->len);
    return set(fd, level, join ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP, &which, sizeof which);
}
