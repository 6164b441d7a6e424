/* SPDX-License-Identifier: MIT
 *
 * Where calls of the HTTP client lead: URLs, redirects, proxies.
 */
#define _GNU_SOURCE
#include "http_origin.h"

#include "http/client/client.h"
#include "http/client/url.h"
#include "loop/memory.h"

/* ---- URLs ---- */

static const char *parsed(const char *text) {
    static char normal[400];
    rondo__url url = {0};
    int status = rondo__url_parse(rondo_slice_text(text), false, &url);
    if (status < 0) return rondo_error_name(status);
    snprintf(normal, sizeof normal, "%s", url.text);
    rondo__url_free(&url);
    return normal;
}

TEST(urls) {
    static const struct {
        const char *text, *normal;
    } cases[] = {
        {"http://a", "http://a/"},
        {"HTTP://Example.ORG:80/A?B#c", "http://example.org/A?B"},
        {"https://a:443/", "https://a/"},
        {"https://a:80/", "https://a:80/"},
        {"http://a:/x", "http://a/x"},
        {"http://a?q", "http://a/?q"},
        {"http://a#f", "http://a/"},
        {"http://a.b.c./", "http://a.b.c./"},
        {"http://[::1]:8080/", "http://[::1]:8080/"},
        {"http://127.0.0.1/%zz|\"", "http://127.0.0.1/%zz|\""},
        {"http://1a.test/", "http://1a.test/"},
        {"http://a_b-c/", "http://a_b-c/"},
        {"", "EINVAL"},
        {"a", "EINVAL"},
        {"//a/", "EINVAL"},
        {"ftp://a/", "EINVAL"},
        {"http:/a", "EINVAL"},
        {"http://", "EINVAL"},
        {"http:///x", "EINVAL"},
        {"http://:80/", "EINVAL"},
        {"http://a:0/", "EINVAL"},
        {"http://a:65536/", "EINVAL"},
        {"http://a:99999999999/", "EINVAL"},
        {"http://a:+1/", "EINVAL"},
        {"http://a:8o/", "EINVAL"},
        {"http://user@a/", "EINVAL"},
        {"http://a@b@c/", "EINVAL"},
        {"http://a\\@b/", "EINVAL"},
        {"http://a b/", "EINVAL"},
        {"http://a/ b", "EINVAL"},
        {"http://a/\r\nX: y", "EINVAL"},
        {"http://a/\xc3\xa4", "EINVAL"},
        {"http://\xc3\xa4/", "EINVAL"},
        {"http://a%2eb/", "EINVAL"},
        {"http://a..b/", "EINVAL"},
        {"http://.a/", "EINVAL"},
        {"http://./", "EINVAL"},
        {"http://127.1/", "EINVAL"},
        {"http://0x7f.1/", "EINVAL"},
        {"http://a.0x7f/", "EINVAL"},
        {"http://2130706433/", "EINVAL"},
        {"http://1.2.3.4.5/", "EINVAL"},
        {"http://256.0.0.1/", "EINVAL"},
        {"http://[::1/", "EINVAL"},
        {"http://[::1]x/", "EINVAL"},
        {"http://[fe80::1%25eth0]/", "EINVAL"},
        {"http://[127.0.0.1]/", "EINVAL"},
        {"http://[]/", "EINVAL"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(parsed(cases[i].text), cases[i].normal) != 0)
            FAIL("%s: %s, not %s", cases[i].text, parsed(cases[i].text), cases[i].normal);
    char *longest = calloc(1, RONDO__URL_MOST + 2);
    memset(longest, 'a', RONDO__URL_MOST + 1);
    memcpy(longest, "http://a/", 9);
    CHECK_STR(parsed(longest), "EINVAL");
    longest[RONDO__URL_MOST] = '\0';
    rondo__url url;
    CHECK_INT(rondo__url_parse(rondo_slice_text(longest), false, &url), 0);
    rondo__url_free(&url);
    free(longest);
}

/* The examples of RFC 3986 section 5.4, as far as they are http's, and some of our own. */
TEST(references) {
    static const struct {
        const char *reference, *result;
    } cases[] = {
        {"http://x/y", "http://x/y"},
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g/"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},
        {";x", "http://a/b/c/;x"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {".g", "http://a/b/c/.g"},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"HTTPS://B:443/x", "https://b/x"},
        {"/a b\xc3\xa4", "http://a/a%20b%C3%A4"},
        {"g:h", "EINVAL"},
        {"javascript:x", "EINVAL"},
        {"http:g", "EINVAL"},
        {"//user@b/", "EINVAL"},
        {"/\x01", "EINVAL"},
        {"\\\\b/", "http://a/b/c/\\\\b/"},
        {"//", "EINVAL"},
        {"http://", "EINVAL"},
    };
    rondo__url base, result;
    CHECK_INT(rondo__url_parse(rondo_slice_text("http://a/b/c/d;p?q"), false, &base), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = rondo__url_resolve(&base, rondo_slice_text(cases[i].reference), &result);
        const char *text = status < 0 ? rondo_error_name(status) : result.text;
        if (strcmp(text, cases[i].result) != 0)
            FAIL("%s: %s, not %s", cases[i].reference, text, cases[i].result);
        if (status == 0) rondo__url_free(&result);
    }
    rondo__url_free(&base);
}

/* ---- redirects ---- */

#define MOVED(status, location) \
    "HTTP/1.1 " status " Moved\r\nLocation: " location "\r\nContent-Length: 4\r\n\r\ngone"

TEST(redirects_are_followed) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    ask(&w, &h, "GET", "/a/b?q");
    line_ask(&w, &l);
    line_forget(&l);
    line_say(&w, &l, MOVED("301", "../c"));
    HAS(&l, "GET /c HTTP/1.1\r\n"); /* on the same connection */
    line_forget(&l);
    line_say(&w, &l, MOVED("302", "?z"));
    HAS(&l, "GET /c?z HTTP/1.1\r\n");
    CHECK_STR(h.text, "");
    CHECK_INT(rondo_http_call_redirects(h.call), 2);
    CHECK_STR(rondo_http_call_url(h.call), at(&w, "/c?z"));
    line_say(&w, &l, OK("Content-Length: 4\r\n") "here");
    CHECK_STR(h.text, "response 200 / end / close");
    CHECK_STR(h.body, "here");
    CHECK_INT(figures(&w).connects, 1);
    line_close(&l);
    world_close(&w);
}

TEST(methods_and_bodies_of_redirects) {
    static const struct {
        const char *status, *method, *next; /* NULL: not followed */
        bool body;                          /* is sent again */
    } cases[] = {
        {"301", "POST", "GET", false},  {"302", "POST", "GET", false},
        {"303", "POST", "GET", false},  {"303", "PUT", "GET", false},
        {"303", "HEAD", "HEAD", false}, {"301", "PUT", "PUT", true},
        {"307", "POST", "POST", true},  {"308", "POST", "POST", true},
        {"300", "GET", NULL, false},    {"304", "GET", NULL, false},
        {"305", "GET", NULL, false},    {"200", "GET", NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world w;
        heard h;
        static line l;
        char answer[200], expected[100];
        bool has_body = cases[i].method[0] == 'P';
        world_open(&w);
        new_call(&w, &h, cases[i].method, at(&w, "/"));
        CHECK_INT(rondo_http_call_header(h.call, "Content-Type", "a/b"), 0);
        CHECK_INT(rondo_http_call_header(h.call, "X-Kept", "yes"), 0);
        CHECK_INT(rondo_http_call_send(h.call, rondo_slice_text(has_body ? "body" : "")), 0);
        line_ask(&w, &l);
        line_forget(&l);
        sprintf(answer, "HTTP/1.1 %s Moved\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n",
                cases[i].status);
        line_say(&w, &l, answer);
        if (cases[i].next) {
            sprintf(expected, "%s /next HTTP/1.1\r\n", cases[i].next);
            HAS(&l, expected);
            HAS(&l, "X-Kept: yes\r\n");
            if (cases[i].body) {
                HAS(&l, "Content-Type: a/b\r\n");
                HAS(&l, "Content-Length: 4\r\n\r\nbody");
            } else if (has_body) {
                HAS_NOT(&l, "Content-");
                HAS_NOT(&l, "body");
            }
        } else {
            CHECK_INT(h.status, atoi(cases[i].status));
        }
        line_close(&l);
        turns(&w, 4);
        world_close(&w);
    }
}

TEST(secrets_stay_with_their_origin) {
    for (int other_origin = 0; other_origin < 2; other_origin++) {
        world w;
        heard h;
        static line l, next;
        int port, other = new_listener(&port);
        char answer[200];
        world_open(&w);
        new_call(&w, &h, "GET", at(&w, "/"));
        CHECK_INT(rondo_http_call_header(h.call, "cookie", "secret"), 0);
        CHECK_INT(rondo_http_call_header(h.call, "Host", "secret"), 0);
        CHECK_INT(rondo_http_call_header(h.call, "X-Kept", "yes"), 0);
        CHECK_INT(rondo_http_call_set_basic_auth(h.call, "a", "b"), 0);
        CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
        line_ask(&w, &l);
        HAS(&l, "secret");
        line_forget(&l);
        sprintf(answer,
                "HTTP/1.1 302 F\r\nLocation: http://127.0.0.1:%d/x\r\nContent-Length: 0\r\n\r\n",
                other_origin ? port : w.port);
        line_say(&w, &l, answer);
        if (other_origin) {
            line_take_from(&w, other, &next);
            line_pump(&w, &next);
            HAS(&next, "GET /x HTTP/1.1\r\nHost: 127.0.0.1");
            HAS(&next, "X-Kept: yes\r\n");
            HAS_NOT(&next, "secret");
            HAS_NOT(&next, "Authorization");
            line_close(&next);
        } else {
            HAS(&l, "cookie: secret\r\n");
            HAS(&l, "Host: secret\r\n");
            HAS(&l, "Authorization: Basic");
        }
        line_close(&l);
        close(other);
        turns(&w, 4);
        world_close(&w);
    }
}

TEST(redirects_that_are_not_followed_are_answers) {
    static const char *const answers[] = {
        MOVED("302", "ftp://a/"),
        MOVED("302", "http://user@127.0.0.1/"),
        "HTTP/1.1 302 F\r\nContent-Length: 4\r\n\r\ngone",
        "HTTP/1.1 302 F\r\nLocation: /a\r\nLocation: /b\r\nContent-Length: 4\r\n\r\ngone",
    };
    world w;
    heard h;
    static line l;
    world_open(&w);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        ask(&w, &h, "GET", "/");
        if (i == 0) line_take(&w, &l);
        line_pump(&w, &l);
        line_say(&w, &l, answers[i]);
        CHECK_STR(h.text, "response 302 / end / close");
        CHECK_STR(h.body, "gone");
    }
    new_call(&w, &h, "GET", at(&w, "/"));
    CHECK_INT(rondo_http_call_set_redirects(h.call, 1), 0);
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    line_pump(&w, &l);
    line_say(&w, &l, MOVED("302", "/1"));
    CHECK_STR(h.text, "");
    line_say(&w, &l, MOVED("302", "/2"));
    CHECK_STR(h.text, "response 302 / end / close");
    new_call(&w, &h, "POST", at(&w, "/")); /* a body that can't be sent again */
    CHECK_INT(rondo_http_call_begin(h.call, 0), 0);
    CHECK_INT(rondo_http_call_finish(h.call), 0);
    line_pump(&w, &l);
    line_say(&w, &l, MOVED("307", "/1"));
    CHECK_STR(h.text, "response 307 / end / close");
    line_close(&l);
    world_close(&w);
}

TEST(a_redirect_with_a_large_body_is_not_read) {
    for (int how = 0; how < 3; how++) {
        world w;
        heard h;
        static line l, next;
        static char block[80000];
        memset(block, 'x', sizeof block - 1);
        world_open(&w);
        ask(&w, &h, "GET", "/");
        line_ask(&w, &l);
        if (how == 0)
            line_say(&w, &l, "HTTP/1.1 302 F\r\nLocation: /n\r\nContent-Length: 70000\r\n\r\n");
        if (how == 1) line_say(&w, &l, "HTTP/1.1 302 F\r\nLocation: /n\r\n\r\n");
        if (how == 2) {
            line_say(
                &w, &l,
                "HTTP/1.1 302 F\r\nLocation: /n\r\nTransfer-Encoding: chunked\r\n\r\n13000\r\n");
            line_say(&w, &l, block);
        }
        line_ask(&w, &next);
        HAS(&next, "GET /n");
        CHECK_INT(figures(&w).connections, 1);
        line_say(&w, &next, OK("Content-Length: 0\r\n"));
        CHECK_STR(h.text, "response 200 / end / close");
        line_close(&l);
        line_close(&next);
        world_close(&w);
    }
}

/* ---- proxies ---- */

static void proxy_open(world *w, const char *user) {
    char proxy[100];
    world_open(w);
    snprintf(proxy, sizeof proxy, "http://%s127.0.0.1:%d", user, w->port);
    CHECK_INT(rondo_http_client_set_proxy(w->client, proxy), 0);
}

TEST(http_by_way_of_a_proxy) {
    world w;
    heard h;
    static line l;
    proxy_open(&w, "us%65r:p%40ss@");
    for (int i = 0; i < 2; i++) { /* the two origins share the proxy's connection */
        new_call(&w, &h, "GET", i ? "http://two.test:81/b" : "http://one.test/a?x");
        CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
        if (i == 0) line_take(&w, &l);
        line_forget(&l);
        line_pump(&w, &l);
        CHECK_STR(l.data, i ? "GET http://two.test:81/b HTTP/1.1\r\nHost: two.test:81\r\n"
                              "Proxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n"
                            : "GET http://one.test/a?x HTTP/1.1\r\nHost: one.test\r\n"
                              "Proxy-Authorization: Basic dXNlcjpwQHNz\r\n\r\n");
        line_say(&w, &l, OK("Content-Length: 1\r\n") "p");
        CHECK_STR(h.text, "response 200 / end / close");
    }
    line_close(&l);
    world_close(&w);
}

TEST(a_proxy_that_refuses_a_tunnel) {
    static const struct {
        const char *answer;
        const char *text;
        int status;
    } cases[] = {
        {"HTTP/1.1 407 No\r\nContent-Length: 5\r\n\r\nevil!", "EPERM / close", 407},
        {"HTTP/1.1 302 No\r\nLocation: http://a/\r\n\r\n", "EPERM / close", 302},
        {"HTTP/1.1 200 Ok\r\n\r\ntoo early", "EPROTO / close", 0},
        {"nonsense\r\n\r\n", "EPROTO / close", 0},
        {"HTTP/1.1 20", "ECONNABORTED / close", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world w;
        heard h;
        static line l;
        proxy_open(&w, "a:b@");
        new_call(&w, &h, "GET", "https://[::1]/secret");
        CHECK_INT(rondo_http_call_header(h.call, "Cookie", "secret"), 0);
        CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
        line_ask(&w, &l);
        CHECK_STR(l.data, "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n"
                          "Proxy-Authorization: Basic YTpi\r\n\r\n");
        line_say(&w, &l, cases[i].answer);
        line_close(&l);
        turns(&w, 4);
        if (strcmp(h.text, cases[i].text) != 0) FAIL("case %zu: %s", i, h.text);
        world_close(&w);
    }
}

TEST(a_tunnel_has_its_time) {
    world w;
    heard h;
    static line l;
    proxy_open(&w, "");
    new_call(&w, &h, "GET", "https://one.test/");
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    line_ask(&w, &l);
    advance(&w, 31000);
    CHECK_STR(h.text, "ETIMEDOUT / close");
    line_close(&l);
    world_close(&w);
}

/* A proxy passes no Upgrade on (RFC 9110 section 7.8), so there has to be a tunnel, without TLS inside. */
TEST(an_upgrade_goes_through_a_tunnel) {
    world w;
    heard h;
    static line l;
    proxy_open(&w, "a:b@");
    for (int i = 0; i < 2; i++) { /* declined at first; the tunnel is kept, for that host */
        new_call(&w, &h, "GET", "http://one.test:81/chat?x");
        CHECK_INT(rondo_http_call_header(h.call, "Upgrade", "echo"), 0);
        CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
        if (i == 0) {
            line_ask(&w, &l);
            CHECK_STR(l.data, "CONNECT one.test:81 HTTP/1.1\r\nHost: one.test:81\r\n"
                              "Proxy-Authorization: Basic YTpi\r\n\r\n");
            line_forget(&l);
            line_say(&w, &l, "HTTP/1.1 200 Go on\r\n\r\n");
        }
        line_pump(&w, &l);
        CHECK_STR(l.data, "GET /chat?x HTTP/1.1\r\nHost: one.test:81\r\nUpgrade: echo\r\n"
                          "Connection: Upgrade\r\n\r\n");
        line_forget(&l);
        line_say(&w, &l,
                 i ? "HTTP/1.1 101 Go\r\nUpgrade: echo\r\n\r\n" : OK("Content-Length: 0\r\n"));
        CHECK_STR(h.text, i ? "response 101 / end / close" : "response 200 / end / close");
    }
    line_close(&l);
    world_close(&w);
}

TEST(who_is_asked_without_a_proxy) {
    static const struct {
        const char *list, *url;
        bool direct;
    } cases[] = {
        {"*", "http://one.test/", true},
        {"", "http://one.test/", false},
        {" , ,", "http://one.test/", false},
        {"one.test", "http://one.test/", true},
        {"ONE.Test", "http://one.tEST/", true},
        {"one.test", "https://one.test/", true},
        {"one.test", "http://a.b.one.test/", true},
        {"one.test", "http://none.test/", false},
        {"one.test", "http://one.test.evil.test/", false},
        {".one.test", "http://one.test/", true},
        {".one.test", "http://a.one.test/", true},
        {".one.test", "http://none.test/", false},
        {"*.one.test", "http://a.one.test/", true},
        {"*.one.test", "http://one.test/", true},
        {"one.test.", "http://one.test/", true},
        {"one.test", "http://one.test./", true},
        {".", "http://one.test/", false},
        {"test", "http://one.test/", true},
        {"est", "http://one.test/", false},
        {"a.test,one.test", "http://one.test/", true},
        {"a.test one.test\tb.test", "http://one.test/", true},
        {"one.test:81", "http://one.test:81/", true},
        {"one.test:81", "http://one.test/", false},
        {"one.test:80", "http://one.test/", true},
        {"one.test:443", "https://one.test/", true},
        {"one.test:0", "http://one.test/", false},
        {"one.test:", "http://one.test/", false},
        {"one.test:99999999999", "http://one.test/", false},
        {"one.test:8x", "http://one.test:8/", false},
        {"127.0.0.1", "http://127.0.0.1/", true},
        {"127.0.0.1:81", "http://127.0.0.1/", false},
        {"127.0.0.1:81", "http://127.0.0.1:81/", true},
        {"127.0.0.0/8", "http://127.1.2.3/", true},
        {"127.0.0.0/8", "http://128.0.0.1/", false},
        {"10.0.0.0/8:81", "http://10.0.0.1:81/", true},
        {"127.0.0.1/8", "http://127.0.0.1/", false}, /* bits behind the length */
        {"0.0.0.0/0", "http://127.0.0.1/", true},
        {"0.0.0.0/0", "http://[::1]/", false},
        {"0.0.0.1", "http://127.0.0.1/", false}, /* a part of an address is no host below it */
        {"1", "http://127.0.0.1/", false},
        {"::1", "http://[::1]/", true},
        {"[::1]", "http://[::1]/", true},
        {"[::1]:81", "http://[::1]:81/", true},
        {"[::1]:81", "http://[::1]/", false},
        {"[::1", "http://[::1]/", false},
        {"[::1]x", "http://[::1]/", false},
        {"[]", "http://one.test/", false},
        {"2001:db8::/32", "http://[2001:db8:1::2]/", true},
        {"2001:db8::/32", "http://[2001:db9::2]/", false},
        {"::ffff:127.0.0.1", "http://127.0.0.1/", true},
        {"127.0.0.1", "http://localhost/", false},
        {"one.test/8", "http://one.test/", false},
        {"**", "http://one.test/", false},
    };
    world w;
    world_open(&w);
    CHECK_INT(rondo_http_client_set_proxy(w.client, w.url), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rondo__url url;
        CHECK_INT(rondo__url_parse(rondo_slice_text(cases[i].url), false, &url), 0);
        CHECK_INT(rondo_http_client_set_no_proxy(w.client, cases[i].list), 0);
        if ((rondo__client_proxy(w.client, &url) == NULL) != cases[i].direct)
            FAIL("'%s' and %s", cases[i].list, cases[i].url);
        rondo__url_free(&url);
    }
    char *longest = calloc(1, RONDO__NO_PROXY_MOST + 2);
    memset(longest, ',', RONDO__NO_PROXY_MOST + 1);
    CHECK_INT(rondo_http_client_set_no_proxy(w.client, longest), RONDO_EINVAL);
    longest[RONDO__NO_PROXY_MOST] = '\0';
    CHECK_INT(rondo_http_client_set_no_proxy(w.client, longest), 0);
    free(longest);
    world_close(&w);
}

/* Each hop of a call goes the way that is right for it. */
TEST(a_redirect_may_lead_around_the_proxy_and_back) {
    world w;
    heard h;
    static line l, direct;
    int port, other = new_listener(&port);
    char answer[200];
    proxy_open(&w, "a:b@");
    CHECK_INT(rondo_http_client_set_no_proxy(w.client, "127.0.0.0/8"), 0);
    new_call(&w, &h, "GET", "http://one.test/");
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    line_ask(&w, &l);
    HAS(&l, "GET http://one.test/ HTTP/1.1\r\n");
    sprintf(answer,
            "HTTP/1.1 302 F\r\nLocation: http://127.0.0.1:%d/x\r\nContent-Length: 0\r\n\r\n", port);
    line_say(&w, &l, answer);
    line_take_from(&w, other, &direct);
    line_pump(&w, &direct);
    HAS(&direct, "GET /x HTTP/1.1\r\n");
    HAS_NOT(&direct, "Proxy-Authorization");
    line_forget(&l);
    line_say(&w, &direct,
             "HTTP/1.1 302 F\r\nLocation: http://two.test/y\r\nContent-Length: 0\r\n\r\n");
    line_pump(&w, &l);
    HAS(&l, "GET http://two.test/y HTTP/1.1\r\n");
    HAS(&l, "Proxy-Authorization: Basic YTpi\r\n");
    line_say(&w, &l, OK("Content-Length: 0\r\n"));
    CHECK_STR(h.text, "response 200 / end / close");
    line_close(&l);
    line_close(&direct);
    close(other);
    world_close(&w);
}

TEST(http_and_https_may_have_different_proxies) {
    for (int https = 0; https < 2; https++) {
        world w;
        heard h;
        static line l;
        int port, other = new_listener(&port);
        char proxy[64];
        world_open(&w);
        snprintf(proxy, sizeof proxy, "http://c:d@127.0.0.1:%d", port);
        CHECK_INT(rondo_http_client_set_scheme_proxy(w.client, false, w.url), 0);
        CHECK_INT(rondo_http_client_set_scheme_proxy(w.client, true, proxy), 0);
        CHECK_INT(rondo_http_client_set_scheme_proxy(w.client, true, "ftp://a"), RONDO_EINVAL);
        new_call(&w, &h, "GET", https ? "https://one.test/" : "http://one.test/");
        CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
        line_take_from(&w, https ? other : w.listener, &l);
        line_pump(&w, &l);
        CHECK_STR(l.data, https ? "CONNECT one.test:443 HTTP/1.1\r\nHost: one.test:443\r\n"
                                  "Proxy-Authorization: Basic Yzpk\r\n\r\n"
                                : "GET http://one.test/ HTTP/1.1\r\nHost: one.test\r\n\r\n");
        line_close(&l);
        turns(&w, 4);
        CHECK_INT(rondo_http_client_set_scheme_proxy(w.client, true, NULL), 0);
        CHECK(w.client->proxies[0].url.text && !w.client->proxies[1].url.text);
        close(other);
        world_close(&w);
    }
}

TEST(tls_inside_tls_is_not_there) {
    world w;
    heard h;
    world_open(&w);
    CHECK_INT(rondo_http_client_set_proxy(w.client, "https://127.0.0.1:1"), 0);
    new_call(&w, &h, "GET", "https://one.test/");
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    turns(&w, 4);
    CHECK_STR(h.text, "ENOTSUP / close");
    CHECK_STR(h.words, "TLS inside a proxy's TLS is not supported");
    CHECK_INT(figures(&w).connections, 0);
    world_close(&w);
}

TEST(proxies_that_can_not_be) {
    world w;
    world_open(&w);
    CHECK_INT(rondo_http_client_set_proxy(w.client, "a:80"), RONDO_EINVAL);
    CHECK_INT(rondo_http_client_set_proxy(w.client, "http://a%0d:b@c/"), RONDO_EINVAL);
    CHECK_INT(rondo_http_client_set_proxy(w.client, NULL), 0);
    world_close(&w);
}
