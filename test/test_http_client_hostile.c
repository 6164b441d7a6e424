/* SPDX-License-Identifier: MIT
 *
 * Servers that break the rules, flood, dribble or say nothing: each ends in an error, soon, and the
 * connection is not used again.
 */
#define _GNU_SOURCE
#include "http_origin.h"

/* ---- answers that are none, or could be read in two ways ---- */

static const struct {
    const char *answer;
    int error;
} bad_answers[] = {
    {"\r\nHTTP/1.1 200 OK\r\n\r\n", RONDO_EPROTO},
    {"HTTP/2.0 200 OK\r\n\r\n", RONDO_EPROTO},
    {"HTTP/0.9 200 OK\r\n\r\n", RONDO_EPROTO},
    {"HTTP/1.2 200 OK\r\n\r\n", RONDO_EPROTO},
    {"HTTP/1.10 200 OK\r\n\r\n", RONDO_EPROTO},
    {"http/1.1 200 OK\r\n\r\n", RONDO_EPROTO},
    {"ICY 200 OK\r\n\r\n", RONDO_EPROTO},
    {"HTTP/1.1 20 OK\r\n\r\n", RONDO_EPROTO},
    {"HTTP/1.1 2000 OK\r\n\r\n", RONDO_EPROTO},
    {"HTTP/1.1 +20 OK\r\n\r\n", RONDO_EPROTO},
    {"HTTP/1.1 099 OK\r\n\r\n", RONDO_EPROTO},
    {"HTTP/1.1  200 OK\r\n\r\n", RONDO_EPROTO},
    {"HTTP/1.1 200 O\x01K\r\n\r\n", RONDO_EPROTO},
    {"HTTP/1.1 200 OK\n\n", RONDO_EPROTO},
    {"HTTP/1.1 200 OK\r\nA: b\n\r\n", RONDO_EPROTO},
    {OK("A: b\r\n c\r\n"), RONDO_EPROTO}, /* obs-fold */
    {OK(" A: b\r\n"), RONDO_EPROTO},
    {OK("A : b\r\n"), RONDO_EPROTO},
    {OK(": b\r\n"), RONDO_EPROTO},
    {OK("A\r\n"), RONDO_EPROTO},
    {OK("A: b\rc\r\n"), RONDO_EPROTO},
    {OK("A: \x7f\r\n"), RONDO_EPROTO},
    {OK("A(: b\r\n"), RONDO_EPROTO},
    {OK("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n", RONDO_EPROTO},
    {OK("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n") "0\r\n\r\n", RONDO_EPROTO},
    {OK("Content-Length: 3\r\nContent-Length: 3\r\n") "abc", RONDO_EPROTO},
    {OK("Content-Length: 3\r\nContent-Length: 4\r\n") "abc", RONDO_EPROTO},
    {OK("Content-Length: 3, 3\r\n") "abc", RONDO_EPROTO},
    {OK("Content-Length: +3\r\n") "abc", RONDO_EPROTO},
    {OK("Content-Length: -3\r\n") "abc", RONDO_EPROTO},
    {OK("Content-Length: 0x3\r\n") "abc", RONDO_EPROTO},
    {OK("Content-Length: 3 3\r\n") "abc", RONDO_EPROTO},
    {OK("Content-Length: \r\n") "abc", RONDO_EPROTO},
    {OK("Content-Length: 18446744073709551616\r\n"), RONDO_EPROTO},
    {OK("Content-Length: 9223372036854775808\r\n"), RONDO_EPROTO},
    {OK("Transfer-Encoding: gzip, chunked\r\n") "0\r\n\r\n", RONDO_EPROTO},
    {OK("Transfer-Encoding: chunked, gzip\r\n") "0\r\n\r\n", RONDO_EPROTO},
    {OK("Transfer-Encoding: xchunked\r\n") "0\r\n\r\n", RONDO_EPROTO},
    {OK("Transfer-Encoding: \r\n") "abc", RONDO_EPROTO},
    {OK("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n", RONDO_EPROTO},
    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", RONDO_EPROTO},
    {"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", RONDO_EPROTO},
    {OK("Transfer-Encoding: chunked\r\n") "x\r\n", RONDO_EPROTO},
    {OK("Transfer-Encoding: chunked\r\n") "1\r\nab\r\n", RONDO_EPROTO},
    {OK("Transfer-Encoding: chunked\r\n") "-1\r\n", RONDO_EPROTO},
    {OK("Transfer-Encoding: chunked\r\n") "1\nab", RONDO_EPROTO},
    {OK("Transfer-Encoding: chunked\r\n") "fffffffffffffffff\r\n", RONDO_EPROTO},
    {OK("Transfer-Encoding: chunked\r\n") "0\r\nA: b\r\n c\r\n\r\n", RONDO_EPROTO},
    {OK("Transfer-Encoding: chunked\r\n") "0\r\nA : b\r\n\r\n", RONDO_EPROTO},
    {OK("Transfer-Encoding: chunked\r\n") "0\r\nA: b\n\r\n", RONDO_EPROTO},
};

TEST(answers_that_are_refused) {
    for (size_t i = 0; i < sizeof bad_answers / sizeof *bad_answers; i++) {
        for (int spelled = 0; spelled < 2; spelled++) {
            world w;
            heard h, next;
            static line l;
            world_open(&w);
            rondo_http_client_set_limits(w.client,
                                         &(rondo_http_client_limits){.connections_per_origin = 1});
            ask(&w, &h, "GET", "/");
            ask(&w, &next, "GET", "/");
            line_ask(&w, &l);
            (spelled ? line_spell : line_say)(&w, &l, bad_answers[i].answer);
            if (h.error != bad_answers[i].error) FAIL("answer %zu (%d): %s", i, spelled, h.text);
            CHECK_INT(h.closes, 1);
            CHECK_INT(next.closes, 0); /* it gets a connection of its own */
            CHECK(l.ended);
            line_close(&l);
            line_ask(&w, &l);
            line_close(&l);
            world_close(&w);
        }
    }
}

static const char nul_answer[] = "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n";

TEST(a_nul_in_a_head_is_refused) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    ask(&w, &h, "GET", "/");
    line_ask(&w, &l);
    line_send(&w, &l, nul_answer, sizeof nul_answer - 1);
    turns(&w, 4);
    CHECK_STR(h.text, "EPROTO / close");
    line_close(&l);
    world_close(&w);
}

/* An answer to HEAD, 204 and 304 has no body whatever it says: what comes behind it is nobody's. */
TEST(what_comes_behind_an_answer_without_a_body_is_no_answer) {
    static const char *const answers[] = {
        "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 103 No\r\nContent-Length: 5\r\n\r\n" OK("Content-Length: 0\r\n")};
    for (int i = 0; i < 3; i++) {
        world w;
        heard h, next;
        static line l;
        world_open(&w);
        ask(&w, &h, "GET", "/");
        line_ask(&w, &l);
        line_say(&w, &l, answers[i]);
        CHECK_INT(h.ends, 1);
        ask(&w, &next, "GET", "/");
        line_pump(&w, &l);
        line_say(&w, &l, OK("Content-Length: 4\r\n") "mine");
        CHECK_STR(next.body, "mine");
        line_close(&l);
        world_close(&w);
    }
}

/* ---- floods ---- */

static void flood(rondo_http_client_limits limits, const char *start, const char *repeated,
                  int expected) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    rondo_http_client_set_limits(w.client, &limits);
    ask(&w, &h, "GET", "/");
    line_ask(&w, &l);
    line_send(&w, &l, start, strlen(start));
    for (int i = 0; i < 20000 && h.errors == 0; i++) {
        line_send(&w, &l, repeated, strlen(repeated));
        if (i % 8 == 0) turns(&w, 1);
    }
    turns(&w, 4);
    CHECK_INT(h.error, expected);
    CHECK_INT(h.closes, 1);
    line_close(&l);
    world_close(&w);
}

TEST(floods_are_bounded) {
    rondo_http_client_limits none = {0};
    flood(none, "HTTP/1.1 200 OK\r\nA: ", "xxxxxxxxxxxxxxxx", RONDO_EMSGSIZE);
    flood(none, "HTTP/1.1 200 ", "xxxxxxxxxxxxxxxx", RONDO_EMSGSIZE);
    flood(none, "HTTP/1.1 200 OK\r\n", "A: b\r\n", RONDO_EMSGSIZE);
    flood(none, "", "HTTP/1.1 102 Wait\r\n\r\n", RONDO_EPROTO);
    flood((rondo_http_client_limits){.interim_answers = 300}, "", "HTTP/1.1 102 Wait\r\n\r\n",
          RONDO_EPROTO);
    flood(none, OK("Transfer-Encoding: chunked\r\n") "1;", "x", RONDO_EPROTO);
    flood(none, OK("Transfer-Encoding: chunked\r\n") "0\r\nA: ", "xxxxxxxxxxxx", RONDO_EMSGSIZE);
    flood(none, OK("Transfer-Encoding: chunked\r\n") "0\r\n", "A: b\r\n", RONDO_EMSGSIZE);
    flood((rondo_http_client_limits){.body_bytes = 1000}, OK(""), "xxxxxxxxxxxx", RONDO_EMSGSIZE);
}

TEST(chunks_of_one_octet_are_no_flood) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    ask(&w, &h, "GET", "/");
    line_ask(&w, &l);
    line_say(&w, &l, OK("Transfer-Encoding: chunked\r\n"));
    for (int i = 0; i < 5000; i++) {
        line_send(&w, &l, "1\r\na\r\n", 6);
        if (i % 16 == 0) turns(&w, 1);
    }
    line_say(&w, &l, "0\r\n\r\n");
    CHECK_STR(h.text, "response 200 / end / close");
    CHECK_INT(h.body_len, 5000);
    line_close(&l);
    world_close(&w);
}

TEST(as_many_fields_as_allowed) {
    for (int more = 0; more < 2; more++) {
        char answer[2000] = "HTTP/1.1 204 No\r\n";
        world w;
        heard h;
        static line l;
        world_open(&w);
        for (int i = 0; i < 128 + more; i++) strcat(answer, "A: b\r\n");
        strcat(answer, "\r\n");
        ask(&w, &h, "GET", "/");
        line_ask(&w, &l);
        line_say(&w, &l, answer);
        CHECK_STR(h.text, more ? "EMSGSIZE / close" : "response 204 / end / close");
        line_close(&l);
        world_close(&w);
    }
}

/* ---- silence ---- */

TEST(each_stage_has_its_time) {
    static const struct {
        const char *answer;
        uint64_t before, after; /* nothing yet, and then */
        const char *text;
    } cases[] = {
        {"", 59000, 2000, "ETIMEDOUT / close"},
        {"HTTP/1.1 20", 59000, 2000, "ETIMEDOUT / close"},
        {OK("Content-Length: 9\r\n") "abc", 59000, 2000, "response 200 / ETIMEDOUT / close"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world w;
        heard h;
        static line l;
        world_open(&w);
        ask(&w, &h, "GET", "/");
        line_ask(&w, &l);
        line_say(&w, &l, cases[i].answer);
        advance(&w, cases[i].before);
        CHECK_INT(h.errors, 0);
        advance(&w, cases[i].after);
        CHECK_STR(h.text, cases[i].text);
        line_pump(&w, &l);
        CHECK(l.ended);
        line_close(&l);
        world_close(&w);
    }
}

TEST(a_dribbled_head_has_one_time_for_all_of_it) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    ask(&w, &h, "GET", "/");
    line_ask(&w, &l);
    line_say(&w, &l, "HTTP/1.1 200 OK\r\nA: ");
    for (int i = 0; i < 100 && h.errors == 0; i++) {
        line_say(&w, &l, "x");
        advance(&w, 1000);
    }
    CHECK_STR(h.text, "ETIMEDOUT / close");
    line_close(&l);
    world_close(&w);
}

TEST(a_dribbled_body_lives_until_the_time_of_all) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    new_call(&w, &h, "GET", at(&w, "/"));
    CHECK_INT(rondo_http_call_set_timeout(h.call, 100000), 0);
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    line_ask(&w, &l);
    line_say(&w, &l, OK("Content-Length: 1000\r\n"));
    int octets = 0;
    for (; octets < 1000 && h.errors == 0; octets++) {
        line_say(&w, &l, "x");
        advance(&w, 1000);
    }
    CHECK_STR(h.text, "response 200 / ETIMEDOUT / close");
    CHECK(octets > 90 && octets < 110);
    line_close(&l);
    world_close(&w);
}

TEST(waiting_for_a_connection_has_a_time) {
    world w;
    heard first, second;
    static line l;
    world_open(&w);
    rondo_http_client_set_limits(w.client, &(rondo_http_client_limits){.connections_per_origin = 1,
                                                                       .head_timeout_ms = 1000000});
    ask(&w, &first, "GET", "/");
    ask(&w, &second, "GET", "/");
    line_ask(&w, &l);
    advance(&w, 61000);
    CHECK_STR(second.text, "ETIMEDOUT / close");
    CHECK_STR(first.text, "");
    line_close(&l);
    turns(&w, 4);
    world_close(&w);
}

TEST(connecting_has_a_time) {
    world w;
    heard h;
    world_open(&w);
    /* A backlog that is full: the kernel drops the rest. */
    int port, full = new_listener(&port), taken[3];
    char url[64];
    CHECK_INT(listen(full, 0), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
    taken[0] = harness_connect(port);
    new_call(&w, &h, "GET", url);
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    turns(&w, 5);
    advance(&w, 31000);
    if (h.errors == 0) { /* it was connected after all: then nothing is said */
        advance(&w, 61000);
    }
    CHECK_STR(h.text, "ETIMEDOUT / close");
    close(taken[0]);
    close(full);
    world_close(&w);
}

/* The time for an answer begins when the request has left. */
TEST(a_request_that_leaves_slowly_is_not_timed_for_its_answer) {
    world w;
    heard h;
    static line l;
    static char block[65536];
    world_open(&w);
    rondo_http_client_set_limits(
        w.client,
        &(rondo_http_client_limits){.send_timeout_ms = UINT64_MAX, .head_timeout_ms = 1000});
    new_call(&w, &h, "POST", at(&w, "/"));
    CHECK_INT(rondo_http_call_begin(h.call, -1), 0);
    line_take(&w, &l);
    for (int i = 0, result = 1; i < 5000 && result == 1; i++) {
        result = rondo_http_call_write(h.call, rondo_slice_of(block, sizeof block));
        turns(&w, 1);
    }
    CHECK_INT(rondo_http_call_finish(h.call), 0);
    advance(&w, 10000);
    CHECK_STR(h.text, "");
    line_pump(&w, &l);
    advance(&w, 3000);
    CHECK_STR(h.text, "ETIMEDOUT / close");
    line_close(&l);
    world_close(&w);
}

TEST(a_server_that_takes_nothing_is_given_up) {
    world w;
    heard h;
    static line l;
    static char block[65536];
    world_open(&w);
    new_call(&w, &h, "POST", at(&w, "/"));
    CHECK_INT(rondo_http_call_begin(h.call, -1), 0);
    line_take(&w, &l);
    for (int i = 0, result = 1; i < 1000 && result >= 0 && h.errors == 0; i++) {
        result = rondo_http_call_write(h.call, rondo_slice_of(block, sizeof block));
        turns(&w, 1);
    }
    advance(&w, 29000);
    CHECK_STR(h.text, "");
    advance(&w, 2000);
    CHECK_STR(h.text, "ETIMEDOUT / close");
    line_close(&l);
    world_close(&w);
}

/* A server that does not want a body says so and closes, and then the client's next octets are answered by
 * a reset: a write meets that first, but what the server has said is there (RFC 9112 section 9.5). */
static void refuse_early(const char *answer, const char *expected) {
    world w;
    heard h;
    static line l;
    size_t len = (size_t)16 << 20;
    char *body = calloc(1, len);
    world_open(&w);
    new_call(&w, &h, "PUT", at(&w, "/"));
    CHECK_INT(rondo_http_call_send(h.call, rondo_slice_of(body, len)), 0);
    line_take(&w, &l);
    for (int i = 0; i < 50 && figures(&w).connections > 0 && l.len == 0; i++) {
        turns(&w, 1);
        CHECK(recv(l.fd, l.data, 100, 0) > 0 || errno == EAGAIN);
        l.len = strlen(l.data);
    }
    HAS(&l, "PUT / HTTP/1.1\r\n");
    if (*answer) CHECK(send(l.fd, answer, strlen(answer), 0) > 0);
    line_close(&l); /* with octets unread */
    turns(&w, 6);
    CHECK_STR(h.text, expected);
    free(body);
    world_close(&w);
}

TEST(an_answer_before_a_reset_is_heard) {
    refuse_early("HTTP/1.1 413 Too large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                 "response 413 / end / close");
    refuse_early("HTTP/1.1 103 Wait\r\n\r\nHTTP/1.1 413 Too large\r\nContent-Length: 4\r\n\r\nwhy?",
                 "interim 103 / response 413 / end / close");
}

/* Whether that is all of it nobody can say. */
TEST(what_is_no_whole_answer_before_a_reset_is_an_error) {
    refuse_early("HTTP/1.1 413 Too large\r\nContent-Length: 5\r\n\r\nwhy?",
                 "response 413 / ECONNRESET / close");
    refuse_early("HTTP/1.1 413 Too large\r\n\r\nwhy?", "response 413 / ECONNRESET / close");
    refuse_early("HTTP/1.1 413 Too", "ECONNRESET / close");
    refuse_early("", "ECONNRESET / close");
    refuse_early("HTTP/1.1 nonsense\r\n", "EPROTO / close");
}
