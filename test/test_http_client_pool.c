/* SPDX-License-Identifier: MIT
 *
 * Connections of the HTTP client: which are kept, who gets them, in which order, and what happens when
 * the server has closed one just now.
 */
#define _GNU_SOURCE
#include "harness/faults.h"
#include "http_origin.h"

#define EMPTY OK("Content-Length: 0\r\n")

/* A world whose client keeps one connection, which has brought one answer. */
static void open_with_idle(world *w, heard *h, line *l) {
    world_open(w);
    ask(w, h, "GET", "/");
    line_ask(w, l);
    line_say(w, l, EMPTY);
    CHECK_INT(figures(w).idle, 1);
}

static void limit(world *w, size_t in_all, size_t per_origin) {
    rondo_http_client_set_limits(
        w->client,
        &(rondo_http_client_limits){.connections = in_all, .connections_per_origin = per_origin});
}

TEST(calls_wait_first_come_first_served) {
    world w;
    heard h[5];
    static line l;
    world_open(&w);
    limit(&w, 10, 1);
    for (int i = 0; i < 5; i++) {
        char target[8];
        sprintf(target, "/%d", i);
        ask(&w, &h[i], "GET", target);
    }
    CHECK_INT(figures(&w).waiting, 4);
    line_ask(&w, &l);
    for (int i = 0; i < 5; i++) {
        char line_text[32];
        sprintf(line_text, "GET /%d HTTP/1.1", i);
        CHECK_INT(strncmp(l.data, line_text, strlen(line_text)), 0);
        line_forget(&l);
        line_say(&w, &l, EMPTY);
        CHECK_INT(h[i].ends, 1);
    }
    CHECK(nobody_connects(&w));
    line_close(&l);
    world_close(&w);
}

TEST(the_connection_that_was_used_last_is_used_next) {
    world w;
    heard a, b;
    static line one, two;
    world_open(&w);
    ask(&w, &a, "GET", "/");
    line_ask(&w, &one);
    ask(&w, &b, "GET", "/");
    line_ask(&w, &two);
    line_say(&w, &one, EMPTY);
    line_say(&w, &two, EMPTY);
    CHECK_INT(figures(&w).idle, 2);
    line_forget(&one);
    line_forget(&two);
    ask(&w, &a, "GET", "/again");
    line_pump(&w, &two);
    line_pump(&w, &one);
    HAS(&two, "/again");
    HAS_NOT(&one, "/again");
    line_close(&one);
    line_close(&two);
    world_close(&w);
}

TEST(too_many_waiting_calls_are_refused) {
    world w;
    heard h[4];
    static line l;
    world_open(&w);
    rondo_http_client_set_limits(
        w.client, &(rondo_http_client_limits){.connections_per_origin = 1, .waiting = 2});
    for (int i = 0; i < 4; i++) ask(&w, &h[i], "GET", "/");
    CHECK_STR(h[3].text, "");
    turns(&w, 3);
    CHECK_STR(h[3].text, "EAGAIN / close");
    CHECK_INT(figures(&w).waiting, 2);
    line_ask(&w, &l);
    for (int i = 0; i < 3; i++) line_say(&w, &l, EMPTY);
    CHECK_INT(h[0].ends + h[1].ends + h[2].ends, 3);
    line_close(&l);
    world_close(&w);
}

/* Two origins and a bound on all: an idle connection of the one makes room for the other, and calls that
 * wait for nothing else get the first that goes. */
TEST(the_bound_on_all_is_shared) {
    world w;
    heard a, b, c;
    static line one, two;
    char url[64];
    int other_port, other = new_listener(&other_port);
    world_open(&w);
    limit(&w, 1, 10);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/other", other_port);
    ask(&w, &a, "GET", "/");
    line_ask(&w, &one);
    new_call(&w, &b, "GET", url);
    CHECK_INT(rondo_http_call_send(b.call, NO_BODY), 0);
    turns(&w, 5);
    CHECK_INT(figures(&w).connections, 1);
    line_say(&w, &one, EMPTY); /* idle for no time: it has to go */
    CHECK_STR(a.text, "response 200 / end / close");
    line_take_from(&w, other, &two);
    line_pump(&w, &two);
    HAS(&two, "GET /other");
    line_pump(&w, &one);
    CHECK(one.ended);
    line_close(&one);
    ask(&w, &c, "GET", "/c"); /* the same when the other one is lost, not idle */
    turns(&w, 3);
    line_close(&two);
    turns(&w, 4);
    CHECK_STR(b.text, "ECONNABORTED / close");
    line_ask(&w, &one);
    HAS(&one, "GET /c");
    line_say(&w, &one, EMPTY);
    CHECK_INT(c.ends, 1);
    line_close(&one);
    close(other);
    world_close(&w);
}

TEST(an_idle_connection_is_closed_after_its_time) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    ask(&w, &h, "GET", "/");
    line_ask(&w, &l);
    line_say(&w, &l, EMPTY);
    advance(&w, 29000);
    line_pump(&w, &l);
    CHECK(!l.ended);
    advance(&w, 2000);
    line_pump(&w, &l);
    CHECK(l.ended);
    CHECK_INT(figures(&w).connections, 0);
    line_close(&l);
    world_close(&w);
}

TEST(octets_that_nobody_asked_for_end_a_connection) {
    world w;
    heard h;
    static line l;
    for (int how = 0; how < 3; how++) {
        world_open(&w);
        ask(&w, &h, "GET", "/");
        line_ask(&w, &l);
        if (how == 0) {
            line_say(&w, &l, EMPTY);
            line_say(&w, &l, EMPTY);
        } else if (how == 1) { /* in one piece with the answer */
            heard next;
            limit(&w, 10, 1);
            ask(&w, &next, "GET", "/secret");
            line_say(&w, &l, EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
            CHECK_STR(next.text, ""); /* not its answer */
            static line fresh;
            line_ask(&w, &fresh);
            line_say(&w, &fresh, OK("Content-Length: 4\r\n") "good");
            CHECK_STR(next.body, "good");
            line_close(&fresh);
            turns(&w, 3);
        } else {
            line_say(&w, &l, EMPTY);
            line_say(&w, &l, "\r\n");
        }
        CHECK_STR(h.text, "response 200 / end / close");
        line_pump(&w, &l);
        if (!l.ended) FAIL("way %d: it goes on", how);
        CHECK_INT(figures(&w).connections, 0);
        line_close(&l);
        world_close(&w);
    }
}

TEST(a_connection_is_used_so_often) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    rondo_http_client_set_limits(w.client,
                                 &(rondo_http_client_limits){.requests_per_connection = 2});
    ask(&w, &h, "GET", "/");
    line_ask(&w, &l);
    line_say(&w, &l, EMPTY);
    CHECK(!l.ended);
    ask(&w, &h, "GET", "/");
    line_pump(&w, &l);
    line_say(&w, &l, EMPTY);
    CHECK(l.ended);
    line_close(&l);
    world_close(&w);
}

/* ---- the race with a server that closes ---- */

typedef enum breaking { FIN, RESET, ANSWERED } breaking;

/* A call on a connection that the server ends once it has the request. What came of it; *again is the
 * connection on which it was made anew, if it was. */
static bool breaks(world *w, heard *h, rondo_http_call *call, line *l, line *again, breaking how) {
    line_forget(l);
    line_pump(w, l);
    if (how == ANSWERED) line_say(w, l, "HTT");
    if (how == RESET)
        line_reset(l);
    else
        line_close(l);
    turns(w, 5);
    (void)call, (void)h;
    again->fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    again->len = 0;
    again->ended = again->reset = false;
    return again->fd >= 0;
}

TEST(a_stale_connection_costs_an_idempotent_call_nothing) {
    static const struct {
        const char *method;
        const char *body; /* NULL: it is written in pieces */
        breaking how;
        bool again;
    } cases[] = {
        {"GET", "", FIN, true},       {"GET", "", RESET, true},    {"GET", "", ANSWERED, false},
        {"HEAD", "", FIN, true},      {"DELETE", "", RESET, true}, {"PUT", "body", FIN, true},
        {"POST", "body", FIN, false}, {"PATCH", "", FIN, false},   {"PUT", NULL, FIN, false},
        {"PUT", NULL, RESET, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world w;
        heard h;
        static line l, again;
        open_with_idle(&w, &h, &l);
        new_call(&w, &h, cases[i].method, at(&w, "/second"));
        if (cases[i].body) {
            CHECK_INT(rondo_http_call_send(h.call, rondo_slice_text(cases[i].body)), 0);
        } else {
            CHECK_INT(rondo_http_call_begin(h.call, 4), 0);
            CHECK_INT(rondo_http_call_write(h.call, rondo_slice_text("body")), 1);
            CHECK_INT(rondo_http_call_finish(h.call), 0);
        }
        bool made_again = breaks(&w, &h, h.call, &l, &again, cases[i].how);
        if (made_again != cases[i].again) FAIL("case %zu", i);
        if (made_again) {
            line_pump(&w, &again);
            HAS(&again, "/second");
            if (*cases[i].body) HAS(&again, "\r\n\r\nbody");
            line_close(&again); /* a second time: that is no race any more */
            turns(&w, 5);
            CHECK_STR(h.text, "ECONNABORTED / close");
            CHECK(nobody_connects(&w));
            CHECK_INT(figures(&w).stale_retries, 1);
        } else {
            CHECK_INT(h.errors, 1);
            CHECK_INT(figures(&w).stale_retries, 0);
        }
        world_close(&w);
    }
}

/* What can't be sent twice gets no connection of which the server has let go, though the loop has not
 * heard of that yet. */
TEST(what_can_not_be_made_again_gets_no_closed_connection) {
    for (int how = 0; how < 8; how++) {
        world w;
        heard h;
        static line l, next;
        bool reset = how & 1, streamed = how & 2, octets = how & 4;
        open_with_idle(&w, &h, &l);
        if (octets) line_send(&w, &l, "HTTP/1.1 408 Too late\r\n\r\n", 25);
        if (reset)
            line_reset(&l);
        else if (!octets)
            line_close(&l);
        new_call(&w, &h, streamed ? "PUT" : "POST", at(&w, "/second"));
        if (streamed) {
            CHECK_INT(rondo_http_call_begin(h.call, 4), 0);
            CHECK_INT(rondo_http_call_write(h.call, rondo_slice_text("body")), 1);
            CHECK_INT(rondo_http_call_finish(h.call), 0);
        } else {
            CHECK_INT(rondo_http_call_send(h.call, rondo_slice_text("body")), 0);
        }
        line_ask(&w, &next);
        HAS(&next, "/second HTTP/1.1\r\n");
        HAS(&next, "\r\n\r\nbody");
        CHECK_INT(figures(&w).stale_found, 1);
        CHECK_INT(figures(&w).stale_retries, 0);
        CHECK_INT(figures(&w).reuses, 0);
        line_say(&w, &next, EMPTY);
        CHECK_STR(h.text, "response 200 / end / close");
        line_close(&l);
        line_close(&next);
        world_close(&w);
    }
}

/* What the server says unasked while the loop is busy is not the answer to the call that comes next, not to
 * one that could be made again either; nor is it tried on a connection that has been closed. */
TEST(what_was_said_unasked_is_not_the_answer_to_the_next_call) {
    static const char *const methods[] = {"GET", "HEAD", "PUT", "POST"};
    for (int i = 0; i < 8; i++) {
        world w;
        heard h;
        static line l, next;
        open_with_idle(&w, &h, &l);
        if (i < 4)
            line_send(&w, &l, "HTTP/1.1 408 Late\r\nContent-Length: 4\r\n\r\nevil", 45);
        else
            line_close(&l);
        ask(&w, &h, methods[i % 4], "/second");
        CHECK_INT(figures(&w).stale_found, 1);
        CHECK_INT(figures(&w).reuses, 0);
        line_ask(&w, &next);
        HAS(&next, " /second HTTP/1.1\r\n");
        line_say(&w, &next, EMPTY);
        CHECK_STR(h.text, "response 200 / end / close");
        CHECK_INT(figures(&w).calls, 2);
        CHECK_INT(figures(&w).connects, 2);
        line_close(&l);
        line_close(&next);
        world_close(&w);
    }
}

TEST(a_kept_connection_costs_one_look) {
    for (int post = 0; post < 2; post++) {
        world w;
        heard h;
        static line l;
        world_open(&w);
        ask(&w, &h, "GET", "/");
        line_ask(&w, &l);
        line_say(&w, &l, EMPTY);
        new_call(&w, &h, post ? "POST" : "GET", at(&w, "/"));
        faults_watch();
        CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
        CHECK_INT(faults_count(CALL_recv), 1);
        faults_clear();
        CHECK_INT(figures(&w).reuses, 1);
        line_close(&l);
        world_close(&w);
    }
}

TEST(all_connections_may_be_found_closed_at_once) {
    world w;
    heard h[3];
    static line l[3], next;
    world_open(&w);
    limit(&w, 3, 3);
    for (int i = 0; i < 3; i++) {
        ask(&w, &h[i], "GET", "/");
        line_ask(&w, &l[i]);
    }
    for (int i = 0; i < 3; i++) line_say(&w, &l[i], EMPTY);
    CHECK_INT(figures(&w).idle, 3);
    for (int i = 0; i < 3; i++) line_close(&l[i]);
    new_call(&w, &h[0], "POST", at(&w, "/"));
    CHECK_INT(rondo_http_call_send(h[0].call, NO_BODY), 0);
    CHECK_INT(figures(&w).stale_found, 3);
    CHECK_INT(figures(&w).connections, 1);
    line_ask(&w, &next);
    line_say(&w, &next, EMPTY);
    CHECK_STR(h[0].text, "response 200 / end / close");
    line_close(&next);
    world_close(&w);
}

static const faults_calls sending = CALL_send | CALL_sendmsg | CALL_write | CALL_writev;

/* The server has certainly not seen what the kernel has not taken (RFC 9110 section 9.2.2). */
TEST(a_post_of_which_nothing_has_left_is_made_again) {
    for (int how = 0; how < 3; how++) {
        bool streamed = how == 1, begun = how == 2;
        world w;
        heard h;
        static line l, next;
        world_open(&w);
        ask(&w, &h, "GET", "/");
        line_ask(&w, &l);
        line_say(&w, &l, EMPTY);
        new_call(&w, &h, "POST", at(&w, "/second"));
        if (begun) faults_short(sending, 1, 10);
        faults_fail(sending, begun ? 2 : 1, ECONNRESET);
        if (streamed) {
            CHECK_INT(rondo_http_call_begin(h.call, 4), 0);
            CHECK_INT(rondo_http_call_write(h.call, rondo_slice_text("body")), 1);
            CHECK_INT(rondo_http_call_finish(h.call), 0);
        } else {
            CHECK_INT(rondo_http_call_send(h.call, rondo_slice_text("body")), 0);
        }
        turns(&w, 3);
        faults_clear();
        if (streamed || begun) {
            CHECK_STR(h.text, "ECONNRESET / close");
            CHECK(nobody_connects(&w));
        } else {
            line_ask(&w, &next);
            HAS(&next, "POST /second HTTP/1.1\r\n");
            HAS(&next, "\r\n\r\nbody");
            CHECK_INT(figures(&w).stale_retries, 1);
            line_say(&w, &next, EMPTY);
            CHECK_STR(h.text, "response 200 / end / close");
            line_close(&next);
        }
        line_close(&l);
        world_close(&w);
    }
}

/* The other idle ones may be as stale. */
TEST(a_second_try_has_a_new_connection) {
    world w;
    heard a, b, h;
    static line one, two, again;
    world_open(&w);
    limit(&w, 10, 2);
    ask(&w, &a, "GET", "/");
    line_ask(&w, &one);
    ask(&w, &b, "GET", "/");
    line_ask(&w, &two);
    line_say(&w, &one, EMPTY);
    line_say(&w, &two, EMPTY);
    CHECK_INT(figures(&w).idle, 2);
    ask(&w, &h, "GET", "/second");
    line_close(&two);
    line_ask(&w, &again); /* for which the other idle one has to go */
    HAS(&again, "/second");
    line_forget(&one);
    line_pump(&w, &one);
    HAS_NOT(&one, "/second");
    line_say(&w, &again, EMPTY);
    CHECK_STR(h.text, "response 200 / end / close");
    line_close(&one);
    line_close(&again);
    world_close(&w);
}

TEST(a_new_connection_that_breaks_is_an_error) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    ask(&w, &h, "GET", "/");
    line_ask(&w, &l);
    line_close(&l);
    turns(&w, 5);
    CHECK_STR(h.text, "ECONNABORTED / close");
    CHECK(nobody_connects(&w));
    world_close(&w);
}

TEST(a_server_that_is_not_there) {
    world w;
    heard h;
    world_open(&w);
    close(w.listener);
    ask(&w, &h, "GET", "/");
    turns(&w, 10);
    CHECK_STR(h.text, "ECONNREFUSED / close");
    CHECK_INT(figures(&w).connections, 0);
    w.listener = new_listener(&w.port);
    world_close(&w);
}

TEST(an_early_answer_ends_the_sending) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    new_call(&w, &h, "POST", at(&w, "/"));
    CHECK_INT(rondo_http_call_begin(h.call, -1), 0);
    CHECK_INT(rondo_http_call_write(h.call, rondo_slice_text("some")), 1);
    line_ask(&w, &l);
    line_say(&w, &l, "HTTP/1.1 413 Too Much\r\nContent-Length: 0\r\n\r\n");
    CHECK_STR(h.text, "response 413 / end / close");
    CHECK(l.ended); /* the rest of the body can't be told from a request */
    line_close(&l);
    world_close(&w);
}

/* A server that vanishes at each octet of its answer. */
TEST(a_server_that_vanishes_at_each_octet) {
    static const char *const answers[] = {
        "HTTP/1.1 103 E\r\nA: b\r\n\r\n" OK("Content-Length: 3\r\n") "abc",
        OK("Transfer-Encoding: chunked\r\n") "2\r\nab\r\n1\r\nc\r\n0\r\nA: b\r\n\r\n",
    };
    for (int a = 0; a < 2; a++) {
        size_t whole = strlen(answers[a]), step = harness_is_slow() ? 3 : 1;
        for (size_t len = whole % step; len <= whole; len += step) {
            world w;
            heard h;
            static line l;
            world_open(&w);
            ask(&w, &h, "GET", "/");
            line_ask(&w, &l);
            line_send(&w, &l, answers[a], len);
            if (len % 2) turns(&w, 3);
            line_close(&l);
            turns(&w, 5);
            CHECK_INT(h.closes, 1);
            if (len < whole) {
                CHECK_INT(h.errors, 1);
                CHECK_INT(h.error, RONDO_ECONNABORTED);
            } else {
                CHECK_INT(h.ends, 1);
            }
            if (figures(&w).connections > 0) FAIL("answer %d, octet %zu: it is kept", a, len);
            world_close(&w);
        }
    }
}

/* ---- what connections are made with changes ---- */

TEST(a_proxy_set_later_is_used_by_calls_that_wait) {
    world w;
    heard first, second;
    static line direct, proxied;
    char proxy[64];
    int proxy_port, listener = new_listener(&proxy_port);
    world_open(&w);
    limit(&w, 10, 1);
    ask(&w, &first, "GET", "/1");
    line_ask(&w, &direct);
    ask(&w, &second, "GET", "/2");
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", proxy_port);
    CHECK_INT(rondo_http_client_set_proxy(w.client, proxy), 0);
    line_say(&w, &direct, EMPTY);
    CHECK_INT(first.ends, 1);
    CHECK(direct.ended); /* not kept */
    line_take_from(&w, listener, &proxied);
    line_pump(&w, &proxied);
    char expected[200];
    snprintf(expected, sizeof expected, "GET %s/2 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n", w.url,
             w.port);
    HAS(&proxied, expected);
    line_say(&w, &proxied, EMPTY);
    CHECK_INT(second.ends, 1);
    line_close(&direct);
    line_close(&proxied);
    close(listener);
    world_close(&w);
}

/* Also by one whose connection is being made, and that has sent nothing yet. */
TEST(a_proxy_set_while_a_call_connects_is_used) {
    world w;
    heard h;
    static line direct, proxied;
    char proxy[64];
    int proxy_port, listener = new_listener(&proxy_port);
    world_open(&w);
    ask(&w, &h, "GET", "/1");
    snprintf(proxy, sizeof proxy, "http://a:b@127.0.0.1:%d", proxy_port);
    CHECK_INT(rondo_http_client_set_proxy(w.client, proxy), 0);
    line_take_from(&w, listener, &proxied);
    line_pump(&w, &proxied);
    HAS(&proxied, "/1 HTTP/1.1\r\n");
    HAS(&proxied, "Proxy-Authorization");
    line_ask(&w, &direct);
    CHECK_STR(direct.data, ""); /* above all not the proxy's credentials */
    CHECK(direct.ended);
    line_say(&w, &proxied, EMPTY);
    CHECK_INT(h.ends, 1);
    line_close(&direct);
    line_close(&proxied);
    close(listener);
    world_close(&w);
}

TEST(a_unix_socket_as_origin) {
    world w;
    heard h;
    static line l;
    char path[] = "/tmp/rondo-client-XXXXXX", name[80];
    CHECK(mkdtemp(path) != NULL);
    snprintf(name, sizeof name, "%s/s", path);
    struct sockaddr_un {
        sa_family_t family;
        char path[108];
    } address = {AF_UNIX, ""};
    strcpy(address.path, name);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 &&
          listen(listener, 4) == 0);
    world_open(&w);
    for (int i = 0; i < 2; i++) {
        new_call(&w, &h, "GET", "http://inner.test/x");
        CHECK_INT(rondo_http_call_set_unix(h.call, name), 0);
        CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
        if (i == 0) line_take_from(&w, listener, &l);
        line_forget(&l);
        line_pump(&w, &l);
        HAS(&l, "GET /x HTTP/1.1\r\nHost: inner.test\r\n");
        line_say(&w, &l, EMPTY);
        CHECK_STR(h.text, "response 200 / end / close");
    }
    CHECK_INT(figures(&w).reuses, 1);
    /* It does not lead out of the socket. */
    new_call(&w, &h, "GET", "http://inner.test/x");
    CHECK_INT(rondo_http_call_set_unix(h.call, name), 0);
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    line_pump(&w, &l);
    line_say(&w, &l,
             "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n");
    CHECK_STR(h.text, "response 302 / end / close");
    line_close(&l);
    close(listener);
    unlink(name);
    rmdir(path);
    world_close(&w);
}
