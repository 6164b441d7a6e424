/* SPDX-License-Identifier: MIT
 *
 * Groups, for both families, and how far datagrams go. Nothing leaves this machine: IPv4 groups are
 * those of the loopback interface. It has none of IPv6, so another one is used for these, with
 * a hop limit of 0.
 */
#define _GNU_SOURCE
#include "udps.h"

#include "faults.h"

#include <ifaddrs.h>
#include <net/if.h>

#define GROUP4 "239.255.77.1"
#define OTHER4 "239.255.77.2"
#define GROUP6 "ff15::7701"
#define OTHER6 "ff15::7702"

/* A socket bound to any address: it would hear every group, were it not for what we ask for. */
static rondo_udp *new_member(rondo_loop *loop, const char *host) {
    rondo_udp *udp = rondo_udp_new(loop);
    CHECK_INT(rondo_udp_set_reuse_address(udp, true), 0);
    CHECK_INT(rondo_udp_bind(udp, host, 0), 0);
    CHECK_INT(rondo_udp_on_message(udp, note_message, NULL), 0);
    return udp;
}

static void multicast(rondo_loop *loop, rondo_udp *sender, const rondo_udp *member,
                      const char *group, const char *text) {
    rondo_address to = to_udp(member, group);
    CHECK_INT(send_text(sender, &to, text), 1);
    check_idle(loop);
}

static rondo_udp *new_multicaster(rondo_loop *loop, const char *bound, const char *interface_name) {
    rondo_udp *udp = new_udp(loop, bound);
    CHECK_INT(rondo_udp_on_error(udp, note_udp_error, NULL), 0);
    CHECK_INT(rondo_udp_set_multicast_interface(udp, interface_name), 0);
    CHECK_INT(rondo_udp_set_multicast_ttl(udp, 0), 0);
    return udp;
}

static void check_groups(const char *bound, const char *group, const char *other,
                         const char *interface_name) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *member = new_member(loop, bound);
    rondo_udp *sender = new_multicaster(loop, NULL, interface_name);
    multicast(loop, sender, member, group, "before");
    CHECK_TRACE("");
    CHECK_INT(rondo_udp_leave(member, group, interface_name, NULL), RONDO_EADDRNOTAVAIL);
    CHECK_INT(rondo_udp_join(member, group, interface_name, NULL), 0);
    CHECK_INT(rondo_udp_join(member, group, interface_name, NULL), RONDO_EADDRINUSE);
    multicast(loop, sender, member, group, "joined");
    CHECK_TRACE("joined");
    multicast(loop, sender, member, other, "other");
    CHECK_TRACE("");
    CHECK_INT(rondo_udp_leave(member, group, interface_name, NULL), 0);
    multicast(loop, sender, member, group, "after");
    CHECK_TRACE("");
    end_loop(loop);
}

/* An interface besides the loopback that has groups, with an address of the family. */
static char other_interface[IF_NAMESIZE], other_address[RONDO_ADDRESS_TEXT_BYTES];
static bool find_other(int family) {
    struct ifaddrs *entries;
    unsigned wanted = IFF_UP | IFF_RUNNING | IFF_MULTICAST;
    rondo_address address;
    CHECK_INT(getifaddrs(&entries), 0);
    other_interface[0] = '\0';
    for (struct ifaddrs *entry = entries; entry && !other_interface[0]; entry = entry->ifa_next) {
        if (!entry->ifa_addr || entry->ifa_addr->sa_family != family) continue;
        if ((entry->ifa_flags & (wanted | IFF_LOOPBACK)) != wanted) continue;
        size_t len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        CHECK_INT(rondo_address_from_sockaddr(entry->ifa_addr, len, &address), 0);
        CHECK(rondo_address_format_host(&address, other_address, sizeof other_address) > 0);
        snprintf(other_interface, sizeof other_interface, "%s", entry->ifa_name);
    }
    freeifaddrs(entries);
    return other_interface[0] != '\0';
}

static void need_ipv6_groups(void) {
    if (!find_other(AF_INET6)) SKIP("no interface here has IPv6 groups");
}

TEST(members_get_what_is_sent_to_their_groups) {
    check_groups("0.0.0.0", GROUP4, OTHER4, "lo");
    check_groups("0.0.0.0", GROUP4, OTHER4, "127.0.0.1");
    check_groups(NULL, GROUP4, OTHER4, "lo");
    check_groups(NULL, GROUP4, OTHER4, "127.0.0.1");
}

TEST(an_interface_may_be_named_by_an_address_of_the_other_family) {
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool works = fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof name) == 0;
    close(fd);
    if (!works) SKIP("this machine has no IPv6");
    check_groups("0.0.0.0", GROUP4, OTHER4, "::1");
}

TEST(members_of_ipv6_groups) {
    need_ipv6_groups();
    check_groups("::", GROUP6, OTHER6, other_interface);
    check_groups("::", GROUP6, OTHER6, other_address);
    check_groups(NULL, GROUP6, OTHER6, other_interface);
    check_groups(NULL, GROUP6, OTHER6, other_address);
}

static void check_loop(const char *group, int family) {
    rondo_loop *loop = new_virtual_loop();
    if (!find_other(family)) SKIP("no interface but the loopback here has groups");
    rondo_udp *member = new_member(loop, NULL);
    rondo_udp *sender = new_multicaster(loop, NULL, other_interface);
    CHECK_INT(rondo_udp_join(member, group, other_address, NULL), 0);
    CHECK_INT(rondo_udp_set_multicast_loop(sender, false), 0);
    multicast(loop, sender, member, group, "not for us");
    CHECK_TRACE("");
    CHECK_INT(rondo_udp_set_multicast_loop(sender, true), 0);
    multicast(loop, sender, member, group, "for us");
    CHECK_TRACE("for us");
    end_loop(loop);
}

TEST(our_own_members_may_be_left_out) { check_loop(GROUP4, AF_INET); }
TEST(our_own_members_of_ipv6_groups_may_be_left_out) { check_loop(GROUP6, AF_INET6); }

TEST(a_handle_hears_only_the_groups_that_it_joined_itself) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *one = new_member(loop, "0.0.0.0"), *two = rondo_udp_new(loop);
    rondo_udp *sender = new_multicaster(loop, "127.0.0.1", "lo");
    int count = 0;
    CHECK_INT(rondo_udp_set_reuse_address(two, true), 0);
    CHECK_INT(rondo_udp_bind(two, "0.0.0.0", port_of(one)), 0);
    rondo_udp_on_message(two, count_message, &count);
    CHECK_INT(rondo_udp_join(one, GROUP4, "lo", NULL), 0);
    multicast(loop, sender, one, GROUP4, "x");
    CHECK_TRACE("x");
    CHECK_INT(count, 0);
    CHECK_INT(rondo_udp_join(two, GROUP4, "lo", NULL), 0);
    multicast(loop, sender, one, GROUP4, "y"); /* each gets a copy */
    CHECK_TRACE("y");
    CHECK_INT(count, 1);
    end_loop(loop);
}

TEST(likewise_of_ipv6) {
    need_ipv6_groups();
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *one = new_member(loop, "::"), *two = rondo_udp_new(loop);
    rondo_udp *sender = new_multicaster(loop, "::", other_interface);
    int count = 0;
    CHECK_INT(rondo_udp_set_reuse_address(two, true), 0);
    CHECK_INT(rondo_udp_bind(two, "::", port_of(one)), 0);
    rondo_udp_on_message(two, count_message, &count);
    CHECK_INT(rondo_udp_join(one, GROUP6, other_interface, NULL), 0);
    multicast(loop, sender, one, GROUP6, "x");
    CHECK_TRACE("x");
    CHECK_INT(count, 0);
    end_loop(loop);
}

static void check_source(const char *bound, const char *group, const char *interface_name,
                         const char *source, const char *nobody_there) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *member = new_member(loop, bound);
    rondo_udp *sender = new_multicaster(loop, source, interface_name);
    CHECK_INT(rondo_udp_join(member, group, interface_name, nobody_there), 0);
    multicast(loop, sender, member, group, "of another");
    CHECK_TRACE("");
    CHECK_INT(rondo_udp_join(member, group, interface_name, source), 0);
    multicast(loop, sender, member, group, "wanted");
    CHECK_TRACE("wanted");
    CHECK_INT(rondo_udp_leave(member, group, interface_name, source), 0);
    multicast(loop, sender, member, group, "not any more");
    CHECK_TRACE("");
    CHECK_INT(rondo_udp_leave(member, group, interface_name, source), RONDO_EADDRNOTAVAIL);
    end_loop(loop);
}

TEST(one_source_of_a_group) {
    check_source("0.0.0.0", "232.1.2.3", "lo", "127.0.0.1", "127.0.0.9");
}

TEST(one_source_of_an_ipv6_group) {
    need_ipv6_groups();
    check_source("::", "ff35::7701", other_interface, other_address, "fd00::9999");
}

TEST(groups_that_cannot_be_joined) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *v4 = new_udp(loop, "127.0.0.1"), *v6 = new_udp(loop, "::1");
    CHECK_INT(rondo_udp_join(v4, NULL, NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_udp_join(v4, "no address", NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_udp_join(v4, "127.0.0.1", NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_udp_join(v6, "::1", NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_udp_join(v4, GROUP6, "lo", NULL), RONDO_EAFNOSUPPORT);
    CHECK_INT(rondo_udp_join(v6, GROUP4, "lo", NULL), RONDO_EAFNOSUPPORT);
    CHECK_INT(rondo_udp_join(v4, GROUP4, "no-such-interface", NULL), RONDO_ENODEV);
    CHECK_INT(rondo_udp_join(v4, GROUP4, "192.0.2.250", NULL), RONDO_ENODEV);
    CHECK_INT(rondo_udp_join(v4, GROUP4, "lo", "::1"), RONDO_EINVAL);
    CHECK_INT(rondo_udp_join(v4, GROUP4, "lo", "nobody"), RONDO_EINVAL);
    CHECK_INT(rondo_udp_join(v4, GROUP4, "lo", OTHER4), RONDO_EINVAL);
    CHECK_INT(rondo_udp_leave(v4, "127.0.0.1", NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_udp_leave(v4, GROUP4, "lo", NULL), RONDO_EADDRNOTAVAIL);
    CHECK_INT(rondo_udp_set_multicast_interface(v4, "no-such-interface"), RONDO_ENODEV);
    faults_fail(CALL_getifaddrs, 1, EMFILE);
    CHECK_INT(rondo_udp_set_multicast_interface(v4, "127.0.0.1"), RONDO_EMFILE);
    faults_fail(CALL_setsockopt, 1, EADDRNOTAVAIL); /* it has gone meanwhile */
    CHECK_INT(rondo_udp_set_multicast_interface(v4, "lo"), RONDO_ENODEV);
    CHECK_INT(rondo_udp_set_multicast_interface(v4, NULL), 0);
    CHECK_INT(rondo_udp_set_multicast_interface(v6, NULL), 0);
    rondo_close(v4);
    CHECK_INT(rondo_udp_join(v4, GROUP4, "lo", NULL), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_set_multicast_ttl(v4, 1), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_set_multicast_loop(v4, true), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_set_multicast_interface(v4, NULL), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_set_ttl(v4, 1), RONDO_ECLOSED);
    end_loop(loop);
}

TEST(a_scope_in_the_group_is_its_interface) {
    char group[64];
    need_ipv6_groups();
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *member = new_member(loop, "::");
    rondo_udp *sender = new_multicaster(loop, "::", NULL);
    snprintf(group, sizeof group, "ff12::7703%%%s", other_interface);
    CHECK_INT(rondo_udp_join(member, group, NULL, NULL), 0);
    multicast(loop, sender, member, group, "scoped");
    CHECK_TRACE("scoped");
    CHECK_INT(rondo_udp_join(member, "ff12::7704%lo", NULL, NULL), 0);
    CHECK_INT(rondo_udp_leave(member, "ff12::7704", "lo", NULL), 0);
    end_loop(loop);
}

TEST(a_link_local_address_names_its_interface_with_and_without_scope) {
    struct ifaddrs *entries;
    char text[RONDO_ADDRESS_TEXT_BYTES] = "";
    rondo_address address;
    CHECK_INT(getifaddrs(&entries), 0);
    for (struct ifaddrs *entry = entries; entry && !*text; entry = entry->ifa_next) {
        if (!entry->ifa_addr || entry->ifa_addr->sa_family != AF_INET6) continue;
        const struct sockaddr_in6 *name = (const struct sockaddr_in6 *)(void *)entry->ifa_addr;
        if (!IN6_IS_ADDR_LINKLOCAL(&name->sin6_addr)) continue;
        CHECK_INT(rondo_address_from_sockaddr(name, sizeof *name, &address), 0);
        CHECK(rondo_address_format_host(&address, text, sizeof text) > 0);
    }
    freeifaddrs(entries);
    if (!*text) SKIP("no interface here has a link-local address");
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "::");
    CHECK_INT(rondo_udp_join(udp, GROUP6, text, NULL), 0);
    *strchr(text, '%') = '\0';
    CHECK_INT(rondo_udp_join(udp, GROUP6, text, NULL), RONDO_EADDRINUSE); /* the same interface */
    end_loop(loop);
}

/* ---- how far ---- */

TEST(hops_reach_the_kernel_for_the_families_that_there_are) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *v4 = rondo_udp_new(loop), *dual = rondo_udp_new(loop);
    rondo_address address;
    int off = 0, fd4 = new_socket("127.0.0.1", &address);
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) SKIP("this machine has no IPv6");
    CHECK_INT(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off), 0);
    CHECK_INT(rondo_udp_open(v4, fd4), 0);
    CHECK_INT(rondo_udp_open(dual, fd), 0);
    const int wrong[] = {-1, 256};
    for (int i = 0; i < 2; i++) {
        CHECK_INT(rondo_udp_set_multicast_ttl(dual, wrong[i]), RONDO_EINVAL);
        CHECK_INT(rondo_udp_set_ttl(dual, wrong[i]), RONDO_EINVAL);
    }
    CHECK_INT(rondo_udp_set_multicast_ttl(v4, 0), 0);
    CHECK_INT(rondo_udp_set_multicast_ttl(dual, 255), 0);
    CHECK_INT(rondo_udp_set_ttl(dual, 9), 0);
    CHECK_INT(rondo_udp_set_multicast_loop(dual, false), 0);
    CHECK_INT(option_of(fd4, IPPROTO_IP, IP_MULTICAST_TTL), 0);
    CHECK_INT(rondo_udp_set_multicast_interface(v4, "127.0.0.1"), 0); /* which is the sender's */
    CHECK_INT(option_of(fd4, IPPROTO_IP, IP_MULTICAST_IF), htonl(INADDR_LOOPBACK));
    CHECK_INT(rondo_udp_set_multicast_interface(v4, NULL), 0);
    CHECK_INT(option_of(fd4, IPPROTO_IP, IP_MULTICAST_IF), 0);
    CHECK_INT(option_of(fd, IPPROTO_IP, IP_MULTICAST_TTL), 255);
    CHECK_INT(option_of(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS), 255);
    CHECK_INT(option_of(fd, IPPROTO_IP, IP_TTL), 9);
    CHECK_INT(option_of(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 9);
    CHECK_INT(option_of(fd, IPPROTO_IP, IP_MULTICAST_LOOP), 0);
    CHECK_INT(option_of(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP), 0);
    end_loop(loop);
}

TEST(a_broadcast_reaches_this_machine) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *member = new_member(loop, "0.0.0.0"), *sender = new_udp(loop, "127.0.0.1");
    rondo_address to = to_udp(member, "127.255.255.255");
    CHECK_INT(rondo_udp_set_broadcast(sender, true), 0);
    CHECK_INT(send_text(sender, &to, "all"), 1);
    check_idle(loop);
    CHECK_TRACE("all");
    end_loop(loop);
}
