/* SPDX-License-Identifier: MIT
 *
 * Groups, and how far datagrams go.
 */
#include <netinet/in.h>

#include "net/udp/udp_handle.h"

static bool is_group(const rondo_address *address) {
    const void *bytes = address->socket.bytes;
    if (rondo__address_af(address) == AF_INET)
        return IN_MULTICAST(ntohl(((const struct sockaddr_in *)bytes)->sin_addr.s_addr));
    return IN6_IS_ADDR_MULTICAST(&((const struct sockaddr_in6 *)bytes)->sin6_addr);
}

/* The group's interface: as said, or by the group's scope ("ff02::1%eth0"). */
static int find_interface(const rondo_address *group, const char *name, unsigned *ret_index) {
    rondo__udp_interface found;
    int status = rondo__udp_find_interface(name, &found);
    if (status < 0) return status;
    *ret_index = found.index;
    if (found.index == 0 && rondo__address_af(group) == AF_INET6)
        *ret_index =
            ((const struct sockaddr_in6 *)(const void *)group->socket.bytes)->sin6_scope_id;
    return 0;
}

static int change_group(rondo_udp *udp, bool join, const char *group_text,
                        const char *interface_name, const char *source_text) {
    rondo_address group, source;
    unsigned interface_index;
    int status = rondo__udp_settable(udp);
    if (status < 0) return status;
    if (rondo_address_parse(group_text, 0, &group) < 0 || !is_group(&group)) return RONDO_EINVAL;
    int family = rondo__address_af(&group);
    if (family == AF_INET ? !udp->traits.ipv4 : !udp->traits.ipv6) return RONDO_EAFNOSUPPORT;
    if (source_text && (rondo_address_parse(source_text, 0, &source) < 0 ||
                        rondo__address_af(&source) != family || is_group(&source)))
        return RONDO_EINVAL;
    status = find_interface(&group, interface_name, &interface_index);
    if (status < 0) return status;
    return rondo__udp_socket_join(udp->fd, join, &group, interface_index,
                                  source_text ? &source : NULL);
}

int rondo_udp_join(rondo_udp *udp, const char *group, const char *interface_name,
                   const char *source) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    return change_group(udp, true, group, interface_name, source);
}

int rondo_udp_leave(rondo_udp *udp, const char *group, const char *interface_name,
                    const char *source) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    return change_group(udp, false, group, interface_name, source);
}

int rondo_udp_set_multicast_interface(rondo_udp *udp, const char *interface_name) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    rondo__udp_interface found;
    int status = rondo__udp_settable(udp);
    if (status == 0) status = rondo__udp_find_interface(interface_name, &found);
    if (status < 0) return status;
    return rondo__udp_socket_set_multicast_interface(udp->fd, &udp->traits, &found);
}

int rondo_udp_set_multicast_ttl(rondo_udp *udp, int hops) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    int status = rondo__udp_settable(udp);
    if (status < 0) return status;
    if (hops < 0 || hops > 255) return RONDO_EINVAL;
    return rondo__udp_socket_set_multicast_ttl(udp->fd, &udp->traits, hops);
}

int rondo_udp_set_multicast_loop(rondo_udp *udp, bool on) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    int status = rondo__udp_settable(udp);
    return status < 0 ? status : rondo__udp_socket_set_multicast_loop(udp->fd, &udp->traits, on);
}

int rondo_udp_set_broadcast(rondo_udp *udp, bool on) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    int status = rondo__udp_settable(udp);
    return status < 0 ? status : rondo__udp_socket_set_broadcast(udp->fd, on);
}

int rondo_udp_set_ttl(rondo_udp *udp, int hops) {
    RONDO__CHECK(udp, &rondo__udp_kind);
    int status = rondo__udp_settable(udp);
    if (status < 0) return status;
    if (hops < 1 || hops > 255) return RONDO_EINVAL;
    return rondo__udp_socket_set_ttl(udp->fd, &udp->traits, hops);
}
