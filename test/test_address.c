/* SPDX-License-Identifier: MIT
 *
 * Socket addresses as values: from text and system calls, into text, compared.
 */
#include "harness.h"

#include <rondo.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "net/address.h"

static void check_format(const rondo_address *address, const char *want, const char *want_host) {
    char text[RONDO_ADDRESS_TEXT_BYTES];
    CHECK_INT(rondo_address_format(address, text, sizeof text), strlen(want));
    CHECK_STR(text, want);
    memset(text, 'x', sizeof text);
    CHECK_INT(rondo_address_format(address, text, strlen(want)), RONDO_ENOBUFS);
    CHECK_INT(text[0], 'x'); /* untouched */
    CHECK_INT(rondo_address_format(address, text, strlen(want) + 1), strlen(want));
    CHECK_INT(rondo_address_format_host(address, text, sizeof text), strlen(want_host));
    CHECK_STR(text, want_host);
    CHECK_INT(rondo_address_format_host(address, text, strlen(want_host)), RONDO_ENOBUFS);
}

static void check_ip(const char *host, rondo_family family, const char *want,
                     const char *want_host) {
    rondo_address address, again;
    memset(&address, 0x5a, sizeof address);
    CHECK_INT(rondo_address_parse(host, 80, &address), 0);
    CHECK_INT(rondo_address_family(&address), family);
    CHECK_INT(rondo_address_port(&address), 80);
    check_format(&address, want, want_host);
    CHECK_INT(rondo_address_from_sockaddr(address.socket.bytes, address.len, &again), 0);
    CHECK(memcmp(&address, &again, sizeof address) == 0);
    CHECK(rondo_address_equal(&address, &again));
    rondo__address_set_port(&again, 81);
    CHECK_INT(rondo_address_port(&again), 81);
    CHECK(!rondo_address_equal(&address, &again));
}

TEST(numbers_in_text_and_back) {
    check_ip("127.0.0.1", RONDO_FAMILY_IPV4, "127.0.0.1:80", "127.0.0.1");
    check_ip("localhost", RONDO_FAMILY_IPV4, "127.0.0.1:80", "127.0.0.1");
    check_ip("0.0.0.0", RONDO_FAMILY_IPV4, "0.0.0.0:80", "0.0.0.0");
    check_ip("::", RONDO_FAMILY_IPV6, "[::]:80", "::");
    check_ip("::1", RONDO_FAMILY_IPV6, "[::1]:80", "::1");
    check_ip("fe80::1%1", RONDO_FAMILY_IPV6, "[fe80::1%1]:80", "fe80::1%1");
    check_ip("fe80::1%lo", RONDO_FAMILY_IPV6, "[fe80::1%1]:80", "fe80::1%1");
    check_ip("::ffff:10.0.0.1", RONDO_FAMILY_IPV4, "10.0.0.1:80", "10.0.0.1"); /* IPv4 in IPv6 */
    check_ip("2001:db8:1234:5678:9abc:def0:1234:5678", RONDO_FAMILY_IPV6,
             "[2001:db8:1234:5678:9abc:def0:1234:5678]:80",
             "2001:db8:1234:5678:9abc:def0:1234:5678");
}

TEST(what_is_no_number) {
    const char *wrong[] = {
        NULL,         "",
        "x",          "127.1",
        "127.0.0.1.", "[::1]",
        "::1%",       "::1%nosuch",
        "fe80::1%0",  "::%1x",
        "1::2::3",    "1.2.3.256",
        "LOCALHOST",  "example.org",
        "1 27.0.0.1", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"};
    rondo_address address;
    memset(&address, 0x5a, sizeof address);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_INT(rondo_address_parse(wrong[i], 0, &address), RONDO_EINVAL);
    CHECK_INT(address.len, 0x5a5a5a5a); /* untouched */
}

TEST(unix_paths_and_abstract_names) {
    rondo_address path, name, same;
    char longest[108], text[RONDO_ADDRESS_TEXT_BYTES];
    CHECK_INT(rondo_address_parse_unix("/run/x.sock", &path), 0);
    CHECK_INT(rondo_address_family(&path), RONDO_FAMILY_UNIX);
    CHECK_INT(rondo_address_port(&path), 0);
    check_format(&path, "unix:/run/x.sock", "/run/x.sock");
    CHECK_INT(rondo_address_parse_unix("@rondo", &name), 0);
    CHECK_INT(name.len, offsetof(struct sockaddr_un, sun_path) + 6);
    check_format(&name, "unix:@rondo", "@rondo");
    CHECK_INT(rondo_address_parse_unix("@rondo", &same), 0);
    CHECK(rondo_address_equal(&name, &same));
    CHECK(!rondo_address_equal(&name, &path));
    CHECK_INT(rondo_address_parse_unix("@rond", &same), 0);
    CHECK(!rondo_address_equal(&name, &same));
    /* The kernel says how long a path is with or without its NUL. */
    CHECK_INT(rondo_address_from_sockaddr(path.socket.bytes, path.len - 1, &same), 0);
    CHECK(rondo_address_equal(&path, &same));

    memset(longest, 'p', sizeof longest);
    longest[107] = '\0';
    CHECK_INT(rondo_address_parse_unix(longest, &path), 0);
    CHECK_INT(rondo_address_format(&path, text, sizeof text), 112);
    char too_long[109];
    memset(too_long, 'p', sizeof too_long);
    too_long[108] = '\0';
    CHECK_INT(rondo_address_parse_unix(too_long, &path), RONDO_ENAMETOOLONG);
    CHECK_INT(rondo_address_parse_unix("", &path), RONDO_EINVAL);
    CHECK_INT(rondo_address_parse_unix("@", &path), RONDO_EINVAL);
    CHECK_INT(rondo_address_parse_unix(NULL, &path), RONDO_EINVAL);
}

TEST(a_peer_cannot_put_control_characters_into_a_log) {
    rondo_address name;
    CHECK_INT(rondo_address_parse_unix("@a\x1b[2J\n", &name), 0);
    check_format(&name, "unix:@a?[2J?", "@a?[2J?");
}

TEST(what_a_system_call_may_say) {
    struct sockaddr_storage raw;
    rondo_address address, none;
    memset(&raw, 0, sizeof raw);
    memset(&none, 0, sizeof none);
    raw.ss_family = AF_UNIX; /* unnamed */
    CHECK_INT(rondo_address_from_sockaddr(&raw, sizeof(sa_family_t), &address), 0);
    check_format(&address, "unix", "");
    check_format(&none, "", "");
    CHECK_INT(rondo_address_family(&none), RONDO_FAMILY_NONE);
    CHECK(!rondo_address_equal(&none, &address));
    CHECK(rondo_address_equal(&none, &none));
    CHECK_INT(rondo_address_from_sockaddr(&raw, 1, &address), RONDO_EINVAL);
    struct sockaddr_un full = {.sun_family = AF_UNIX}; /* a path without a NUL: unix(7), BUGS */
    char text[RONDO_ADDRESS_TEXT_BYTES];
    memset(full.sun_path, 'p', sizeof full.sun_path);
    memcpy(&raw, &full, sizeof full);
    CHECK_INT(rondo_address_from_sockaddr(&raw, sizeof full + 1, &address), 0);
    CHECK_INT(address.len, sizeof full);
    CHECK_INT(rondo_address_format_host(&address, text, sizeof text), 108);
    raw.ss_family = AF_INET;
    CHECK_INT(rondo_address_from_sockaddr(&raw, sizeof raw, &address), 0); /* all the space */
    CHECK_INT(address.len, sizeof(struct sockaddr_in));
    CHECK_INT(rondo_address_from_sockaddr(&raw, 15, &address), RONDO_EINVAL);
    raw.ss_family = AF_INET6;
    CHECK_INT(rondo_address_from_sockaddr(&raw, 27, &address), RONDO_EINVAL);
    raw.ss_family = AF_APPLETALK;
    CHECK_INT(rondo_address_from_sockaddr(&raw, 28, &address), RONDO_EAFNOSUPPORT);
}

TEST(ipv4_is_the_same_in_and_out_of_ipv6) {
    rondo_address plain, mapped, other;
    CHECK_INT(rondo_address_parse("10.0.0.1", 5, &plain), 0);
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(5)};
    CHECK_INT(inet_pton(AF_INET6, "::ffff:10.0.0.1", &v6.sin6_addr), 1);
    CHECK_INT(rondo_address_from_sockaddr(&v6, sizeof v6, &mapped), 0);
    CHECK_INT(rondo_address_parse("10.0.0.2", 5, &other), 0);
    CHECK(rondo_address_equal(&plain, &mapped));
    CHECK(rondo_address_equal(&mapped, &plain));
    CHECK(!rondo_address_equal(&plain, &other));
    CHECK_INT(rondo__address_af(&mapped), AF_INET6); /* for the socket it is IPv6 */
    CHECK_INT(rondo_address_parse("::ffff:10.0.0.1", 5, &other), 0);
    CHECK(memcmp(&other, &mapped, sizeof other) == 0);
}
