/* SPDX-License-Identifier: MIT
 *
 * Behind proxies: the PROXY protocol, X-Forwarded-For and Forwarded, and whom they make the client.
 */
#define _GNU_SOURCE
#include "http_peer.h"

#include "http/networks.h"
#include "http/server/crowds.h"
#include "loop/memory.h"
#include "net/proxy_header.h"
#include "trace.h"

static void note_client(rondo_http_request *request, rondo_http_response *response, void *arg) {
    char client[64], peer[RONDO_ADDRESS_TEXT_BYTES];
    (void)arg;
    int result = rondo_http_request_client(request, client, sizeof client);
    CHECK_INT(result, strlen(client));
    for (int size = 0; size <= result; size++)
        CHECK_INT(rondo_http_request_client(request, peer, (size_t)size), RONDO_ENOBUFS);
    rondo_slice scheme = rondo_http_request_scheme(request);
    rondo_slice host = rondo_http_request_host(request);
    note("%s %.*s %.*s", client, (int)scheme.len, scheme.data, (int)host.len,
         host.data ? host.data : "");
    CHECK(rondo_http_request_peer(request, peer, sizeof peer) > 0);
    rondo_http_response_reply(response, 200, NULL, rondo_slice_text(peer));
}

/* ---- who is believed ---- */

typedef struct told {
    const char *fields, *trace;
} told;

static void tell_all(const told *cases, size_t count, const char *const *networks, bool forwarded) {
    web_host web;
    web_open(&web, note_client, NULL, NULL);
    for (; *networks; networks++) CHECK_INT(rondo_http_server_trust(web.server, *networks), 0);
    rondo_http_server_set_forwarded(web.server, forwarded);
    for (size_t i = 0; i < count; i++) {
        web_peer peer;
        char text[4096];
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", cases[i].fields);
        peer_ask(&web, &peer, text);
        CHECK_STR(peer_statuses(&peer), "200");
        CHECK_TRACE(cases[i].trace);
        peer_close(&peer);
    }
    web_close(&web);
}

TEST(nobody_is_believed_at_first) {
    static const told cases[] = {
        {"", "127.0.0.1 http a"},
        {"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\n",
         "127.0.0.1 http a"},
        {"Forwarded: for=192.0.2.1;proto=https;host=b\r\n", "127.0.0.1 http a"},
    };
    static const char *const none[] = {NULL};
    static const char *const others[] = {"10.0.0.0/8", "::1", "unix", "127.0.0.2", NULL};
    tell_all(cases, 3, none, false);
    tell_all(cases, 3, none, true);
    tell_all(cases, 3, others, false);
}

TEST(x_forwarded_for) {
    static const char *const networks[] = {"127.0.0.0/8", "10.0.0.0/8", "2001:db8::/32", NULL};
    static const told cases[] = {
        {"", "127.0.0.1 http a"},
        {"X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1 http a"},
        {"X-Forwarded-For: 192.0.2.1:8080\r\n", "192.0.2.1 http a"},
        {"X-Forwarded-For: 2001:db9::1\r\n", "2001:db9::1 http a"},
        {"X-Forwarded-For: [2001:db9::1]:80\r\n", "2001:db9::1 http a"},
        /* from the right, up to the first that is not trusted */
        {"X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n", "192.0.2.1 http a"},
        {"X-Forwarded-For: 6.6.6.6, 192.0.2.1 ,\t10.1.2.3\r\n", "192.0.2.1 http a"},
        {"X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\nX-Forwarded-For: 10.1.2.3, 2001:db8::7\r\n",
         "192.0.2.1 http a"},
        {"X-Forwarded-For: 10.1.1.1, 10.1.2.3\r\n", "10.1.1.1 http a"}, /* all are */
        /* what can't be read ends it there */
        {"X-Forwarded-For: 6.6.6.6, unknown\r\n", "127.0.0.1 http a"},
        {"X-Forwarded-For: 6.6.6.6, unknown, 10.1.2.3\r\n", "10.1.2.3 http a"},
        {"X-Forwarded-For: 6.6.6.6,\r\n", "127.0.0.1 http a"},
        {"X-Forwarded-For:\r\n", "127.0.0.1 http a"},
        {"X-Forwarded-For: 192.0.2.1.5\r\n", "127.0.0.1 http a"},
        {"X-Forwarded-For: 192.0.2.1:x\r\n", "127.0.0.1 http a"},
        {"X-Forwarded-For: [::1\r\n", "127.0.0.1 http a"},
        {"X-Forwarded-For: [192.0.2.1]\r\n", "127.0.0.1 http a"},
        {"X-Forwarded-For: \xff\r\n", "127.0.0.1 http a"},
        /* the other field comes from whoever likes */
        {"Forwarded: for=6.6.6.6\r\n", "127.0.0.1 http a"},
        {"X-Forwarded-For: ::ffff:192.0.2.1\r\n", "192.0.2.1 http a"},
        {"X-Forwarded-Proto: https\r\nX-Forwarded-Host: b:81\r\n", "127.0.0.1 https b:81"},
        {"X-Forwarded-Proto: http, https\r\n", "127.0.0.1 https a"},
        {"X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: b/c\r\n", "127.0.0.1 http a"},
        {"X-Forwarded-Host: evil, b\r\n", "127.0.0.1 http b"},
    };
    tell_all(cases, sizeof cases / sizeof cases[0], networks, false);
}

TEST(a_list_longer_than_any) {
    static const char *const networks[] = {"127.0.0.1", "10.0.0.0/8", NULL};
    char text[2048] = "X-Forwarded-For: 6.6.6.6";
    for (int i = 0; i < 40; i++) strcat(text, ", 10.0.0.1");
    strcat(text, "\r\n");
    told cases[] = {{text, "10.0.0.1 http a"}};
    tell_all(cases, 1, networks, false);
}

TEST(forwarded) {
    static const char *const networks[] = {"127.0.0.1", "10.0.0.0/8", NULL};
    static const told cases[] = {
        {"", "127.0.0.1 http a"},
        {"Forwarded: for=192.0.2.1\r\n", "192.0.2.1 http a"},
        {"Forwarded: For=\"[2001:db8::1]:4711\"\r\n", "2001:db8::1 http a"},
        {"Forwarded: proto=https;for=192.0.2.1;by=203.0.113.4;host=b\r\n", "192.0.2.1 https b"},
        {"Forwarded: for=6.6.6.6, for=192.0.2.1, for=10.0.0.1\r\n", "192.0.2.1 http a"},
        {"Forwarded: for=6.6.6.6\r\nForwarded: for=192.0.2.1\r\n", "192.0.2.1 http a"},
        {"Forwarded: for=\"192.0.2.1:80\" ; host=\"b:81\"\r\n", "192.0.2.1 http b:81"},
        {"Forwarded: for=unknown\r\n", "127.0.0.1 http a"},
        {"Forwarded: for=_hidden\r\n", "127.0.0.1 http a"},
        {"Forwarded: proto=https\r\n", "127.0.0.1 https a"},
        {"Forwarded: \r\n", "127.0.0.1 http a"},
        {"X-Forwarded-For: 6.6.6.6\r\n", "127.0.0.1 http a"},
        /* what a client left open must not swallow what the proxy wrote */
        {"Forwarded: for=\"6.6.6.6, for=192.0.2.1\r\n", "127.0.0.1 http a"},
        {"Forwarded: for=\"6.6.6.6\r\nForwarded: for=192.0.2.1\r\n", "192.0.2.1 http a"},
        {"Forwarded: for=6.6.6.6 x\r\n", "127.0.0.1 http a"},
        {"Forwarded: for=\"6.6\\.6.6\"\r\n", "127.0.0.1 http a"},
        {"Forwarded: =6.6.6.6\r\n", "127.0.0.1 http a"},
        {"Forwarded: for\r\n", "127.0.0.1 http a"},
        {"Forwarded: for=\r\n", "127.0.0.1 http a"},
    };
    tell_all(cases, sizeof cases / sizeof cases[0], networks, true);
}

TEST(hosts_of_targets) {
    static const struct {
        const char *request, *trace;
    } cases[] = {
        {"GET http://b:80/x HTTP/1.1\r\nHost: a\r\n\r\n", "127.0.0.1 http b:80"},
        {"GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n", "127.0.0.1 http b"},
        {"OPTIONS * HTTP/1.1\r\nHost: a:1\r\n\r\n", "127.0.0.1 http a:1"},
        {"CONNECT b:443 HTTP/1.1\r\nHost: a\r\n\r\n", "127.0.0.1 http b:443"},
        {"GET / HTTP/1.0\r\n\r\n", "127.0.0.1 http "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        web_host web;
        web_peer peer;
        web_open(&web, note_client, NULL, NULL);
        rondo_http_server_set_connect(web.server, true);
        peer_ask(&web, &peer, cases[i].request);
        CHECK_TRACE(cases[i].trace);
        peer_close(&peer);
        web_close(&web);
    }
}

TEST(networks) {
    static const char *const bad[] = {"",
                                      "10.0.0.0/33",
                                      "10.0.0.1/8",
                                      "10.0.0/8",
                                      "x",
                                      "10.0.0.0/",
                                      "10.0.0.0/x",
                                      "::1/129",
                                      "::1/64",
                                      "[::1]",
                                      "10.0.0.1:80",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/8 ",
                                      "localhost"};
    static const struct {
        const char *network, *in, *out;
    } good[] = {
        {"10.0.0.0/8", "10.255.0.1", "11.0.0.1"},
        {"10.64.0.0/10", "10.127.1.1", "10.128.0.1"},
        {"192.0.2.1", "192.0.2.1", "192.0.2.2"},
        {"0.0.0.0/0", "1.2.3.4", "::1"},
        {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
        {"::1", "::1", "::2"},
        {"::/0", "192.0.2.1", NULL},
    };
    rondo__networks networks = {0};
    rondo__ip ip;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(rondo__networks_add(&networks, bad[i]), RONDO_EINVAL);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        networks.count = 0;
        CHECK_INT(rondo__networks_add(&networks, good[i].network), 0);
        CHECK(rondo__ip_parse(rondo_slice_text(good[i].in), &ip));
        CHECK(rondo__networks_have(&networks, &ip));
        if (!good[i].out) continue;
        CHECK(rondo__ip_parse(rondo_slice_text(good[i].out), &ip));
        CHECK(!rondo__networks_have(&networks, &ip));
    }
    networks.count = 0;
    for (int i = 0; i < 256; i++) CHECK_INT(rondo__networks_add(&networks, "::1"), 0);
    CHECK_INT(rondo__networks_add(&networks, "::1"), RONDO_ENOBUFS);
    rondo__free(networks.list);
}

/* ---- counting by address ---- */

static rondo__ip number_ip(unsigned i, bool ipv6) {
    char text[64];
    rondo__ip ip;
    snprintf(text, sizeof text, ipv6 ? "2001:db8:%x:%x::1" : "10.%u.%u.1", i >> 8, i & 255);
    CHECK(rondo__ip_parse(rondo_slice_text(text), &ip));
    return ip;
}

TEST(crowds_are_counted) {
    enum { COUNT = 5000 };
    static uint32_t numbers[2][COUNT];
    rondo__crowds crowds = {0};
    rondo__ip ip, other;
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < COUNT; i++) {
            for (int six = 0; six < 2; six++) {
                ip = number_ip(i, six);
                int64_t number = rondo__crowds_join(&crowds, &ip, 2);
                CHECK(number > 0);
                numbers[six][i] = (uint32_t)number;
                CHECK_INT(rondo__crowds_join(&crowds, &ip, 2), number);
                CHECK_INT(rondo__crowds_join(&crowds, &ip, 2), 0);
            }
        }
        for (unsigned i = 0; i < COUNT; i++)
            for (int six = 0; six < 2; six++)
                for (int twice = 0; twice < 2; twice++)
                    rondo__crowds_leave(&crowds, numbers[six][i]);
    }
    CHECK(crowds.size <= 32768); /* used again */
    CHECK(rondo__ip_parse(rondo_slice_text("2001:db8:1:2::1"), &ip));
    CHECK(rondo__ip_parse(rondo_slice_text("2001:db8:1:2:3:4:5:6"), &other)); /* the same /64 */
    CHECK(rondo__crowds_join(&crowds, &ip, 1) > 0);
    CHECK_INT(rondo__crowds_join(&crowds, &other, 1), 0);
    rondo__crowds_fini(&crowds);
}

TEST(no_memory_to_count) {
    rondo__crowds crowds = {0};
    for (long n = 0;; n++) {
        int64_t failures = 0;
        harness_fail_alloc_after(n);
        for (unsigned i = 0; i < 100; i++) {
            rondo__ip ip = number_ip(i, false);
            int64_t number = rondo__crowds_join(&crowds, &ip, 1);
            CHECK(number > 0 || number == RONDO_ENOMEM);
            failures += number < 0;
        }
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        rondo__crowds_fini(&crowds);
        CHECK_INT(failures, failed);
        if (!failed) break;
    }
}

/* ---- the PROXY protocol ---- */

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define V4_BLOCK "\xc0\0\x02\x01\x7f\0\0\x01\x12\x34\0\x50"
#define V6_BLOCK                                                                   \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01" \
    "\x12\x34\0\x50"

typedef struct proxy_case {
    const char *data;
    size_t len;
    const char *peer; /* "": itself; NULL: refused */
} proxy_case;
#define PROXY(text, peer) \
    { text, sizeof(text) - 1, peer }

static const proxy_case proxy_cases[] = {
    PROXY("PROXY TCP4 192.0.2.1 127.0.0.1 4660 80\r\n", "192.0.2.1:4660"),
    PROXY("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", "[2001:db8::1]:0"),
    PROXY("PROXY UNKNOWN\r\n", ""),
    PROXY("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ""),
    PROXY(V2 "\x21\x11\0\x0c" V4_BLOCK, "192.0.2.1:4660"),
    PROXY(V2 "\x21\x11\0\x10" V4_BLOCK "\x04\0\x01x", "192.0.2.1:4660"), /* and more */
    PROXY(V2 "\x21\x21\0\x24" V6_BLOCK, "[2001:db8::1]:4660"),
    PROXY(V2 "\x20\x11\0\x0c" V4_BLOCK, ""),
    PROXY(V2 "\x20\0\0\0", ""),
    PROXY(V2 "\x21\0\0\0", ""),
    PROXY(V2 "\x21\x31\0\x02xx", ""),
    PROXY(V2 "\x21\x12\0\x0c" V4_BLOCK, ""),
    PROXY(V2 "\x20\x43\0\0", ""), /* LOCAL: it is not looked at */
    PROXY("GET / HTTP/1.1\r\nHost: a\r\n\r\n", NULL),
    PROXY("PROXY\r\n", NULL),
    PROXY("PROXY TCP4 192.0.2.1 127.0.0.1 4660\r\n", NULL),
    PROXY("PROXY TCP4 192.0.2.1 127.0.0.1 4660 80 1\r\n", NULL),
    PROXY("PROXY TCP4 192.0.2.1 127.0.0.1 4660 80 \r\n", NULL),
    PROXY("PROXY TCP4  192.0.2.1 127.0.0.1 4660 80\r\n", NULL),
    PROXY("PROXY TCP4 192.0.2.1 127.0.0.1 65536 80\r\n", NULL),
    PROXY("PROXY TCP4 192.0.2.1 127.0.0.1 04660 80\r\n", NULL),
    PROXY("PROXY TCP4 192.0.2.1 127.0.0.1 +466 80\r\n", NULL),
    PROXY("PROXY TCP4 192.0.2.x 127.0.0.1 4660 80\r\n", NULL),
    PROXY("PROXY TCP4 ::1 ::1 4660 80\r\n", NULL),
    PROXY("PROXY TCP6 192.0.2.1 127.0.0.1 4660 80\r\n", NULL),
    PROXY("PROXY TCP5 192.0.2.1 127.0.0.1 4660 80\r\n", NULL),
    PROXY("PROXY UNKNOWNS and so on\r\n", NULL),
    PROXY("PROXY TCP4 192.0.2.1 127.0.0.1 4660 80\n", NULL),
    PROXY("proxy TCP4 192.0.2.1 127.0.0.1 4660 80\r\n", NULL),
    PROXY(
        "PROXY UNKNOWN aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
        NULL),
    PROXY(V2 "\x31\x11\0\x0c" V4_BLOCK, NULL),
    PROXY(V2 "\x21\x41\0\x0c" V4_BLOCK, NULL),
    PROXY(V2 "\x21\x13\0\x0c" V4_BLOCK, NULL),
    PROXY(V2 "\x22\x11\0\x0c" V4_BLOCK, NULL),
    PROXY(V2 "\x21\x11\0\x0b" V4_BLOCK, NULL),
    PROXY(V2 "\x21\x21\0\x0c" V4_BLOCK, NULL),
    PROXY(V2 "\x21\x11\xff\xff" V4_BLOCK, NULL),
    PROXY("\r\n\r\n\0\r\nQUIX\n\x21\x11\0\x0c" V4_BLOCK, NULL),
};

static void ask_by_proxy(const proxy_case *it, int how) {
    web_host web;
    web_peer peer;
    char text[1024];
    web_open(&web, note_client, NULL, NULL);
    rondo_http_server_set_proxy_protocol(web.server, true);
    peer_open(&web, &peer);
    memcpy(text, it->data, it->len);
    memcpy(text + it->len, GET("/"), strlen(GET("/")));
    size_t len = it->len + strlen(GET("/"));
    if (how == 0)
        peer_send(&web, &peer, text, len);
    else
        peer_spell(&web, &peer, text, len);
    peer_pump(&web, &peer);
    rondo_server_figures figures;
    rondo_server_get_figures(rondo_http_server_listener(web.server), &figures);
    CHECK_INT(figures.dropped, it->peer == NULL);
    if (!it->peer) {
        CHECK_STR(peer.data, "");
        CHECK(peer.ended);
    } else {
        CHECK_STR(peer_statuses(&peer), "200");
        if (it->peer[0])
            CHECK_STR(peer_body(&peer), it->peer);
        else
            CHECK(strncmp(peer_body(&peer), "127.0.0.1:", 10) == 0);
    }
    trace_size = 0;
    peer_close(&peer);
    web_close(&web);
}

TEST(headers_of_the_proxy_protocol) {
    for (size_t i = 0; i < sizeof proxy_cases / sizeof proxy_cases[0]; i++)
        for (int how = 0; how < 2; how++) ask_by_proxy(&proxy_cases[i], how);
}

/* Whoever says nothing, or not all of it. */
TEST(a_header_in_time) {
    static const char *const parts[] = {"", "PROXY TCP4 192.0.2.1", "\r\n\r\n"};
    for (int i = 0; i < 3; i++) {
        web_host web;
        web_peer peer;
        web_open(&web, note_client, NULL, NULL);
        rondo_http_server_set_proxy_protocol(web.server, true);
        peer_ask(&web, &peer, parts[i]);
        web_advance(&web, 4900); /* nor does the loop spin on the octets that are there */
        peer_pump(&web, &peer);
        CHECK(!peer.ended);
        web_advance(&web, 200);
        peer_pump(&web, &peer);
        CHECK(peer.ended);
        peer_close(&peer);
        web_close(&web);
    }
}

TEST(a_proxy_that_goes) {
    static const char text[] = "PROXY TCP4 192.0.2.1 127.0.0.1 4660 80\r\n" GET("/");
    for (size_t at = 0; at < sizeof text; at += 3) {
        for (int how = 0; how < 3; how++) {
            web_host web;
            web_peer peer;
            web_open(&web, note_client, NULL, NULL);
            rondo_http_server_set_proxy_protocol(web.server, true);
            peer_open(&web, &peer);
            peer_send(&web, &peer, text, at);
            web_turns(&web, 3);
            if (how == 0) peer_close(&peer);
            if (how == 1) peer_reset(&peer);
            if (how == 2) rondo_close(web.server);
            web_turns(&web, 4);
            peer_close(&peer);
            web_close(&web);
            trace_size = 0;
        }
    }
}

TEST(no_memory_for_a_proxy) {
    static const char text[] = "PROXY TCP4 192.0.2.1 127.0.0.1 4660 80\r\n" GET("/");
    bool failed = true;
    for (long n = 0; failed; n++) {
        web_host web;
        web_peer peer;
        web_open(&web, note_client, NULL, NULL);
        rondo_http_server_set_proxy_protocol(web.server, true);
        harness_fail_alloc_after(n);
        peer_ask(&web, &peer, text);
        failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        if (!failed) CHECK_STR(peer_body(&peer), "192.0.2.1:4660");
        peer_close(&peer);
        web_close(&web);
        trace_size = 0;
    }
}

/* A log asks when the client has gone. */
static void log_it(rondo_http_request *request, rondo_http_response *response, void *arg) {
    char client[64];
    (void)response, (void)arg;
    CHECK(rondo_http_request_client(request, client, sizeof client) > 0);
    note("log:%s", client);
}
static rondo_http_response *kept;
static void keep(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request, (void)arg;
    kept = response;
}

TEST(the_client_of_an_answer_that_is_over) {
    web_host web;
    web_peer peer;
    web_open(&web, keep, NULL, NULL);
    CHECK_INT(rondo_http_server_trust(web.server, "127.0.0.1"), 0);
    CHECK_INT(rondo_http_server_on_response(web.server, log_it, NULL), 0);
    peer_ask(&web, &peer, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n");
    peer_reset(&peer);
    web_turns(&web, 3);
    CHECK_INT(rondo_http_response_end(kept), RONDO_ECLOSED);
    web_turns(&web, 2);
    CHECK_TRACE("log:192.0.2.1");
    peer_ask(&web, &peer, "BAD\r\n\r\n");
    CHECK_TRACE("log:127.0.0.1");
    peer_close(&peer);
    web_close(&web);
}
