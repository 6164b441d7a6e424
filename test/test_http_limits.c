/* SPDX-License-Identifier: MIT
 *
 * Every limit and timeout of RONDO_HTTP_LIMITS, each reached, and each kept just below. Time is the
 * virtual clock's.
 */
#define _GNU_SOURCE
#include "http_peer.h"

#include <stdarg.h>
#include <sys/resource.h>

#include "http/server/connection.h"
#include "net/duplex.h"

#define POST(fields) "POST / HTTP/1.1\r\nHost: a\r\n" fields "\r\n"
#define CHUNKED POST("Transfer-Encoding: chunked\r\n")

static int aborts;

static void end_it(rondo_http_response *response, void *arg) {
    (void)arg;
    aborts++;
    rondo_http_response_end(response);
}

static void reply_end(rondo_http_request *request, void *arg) {
    (void)request;
    CHECK_INT(rondo_http_response_reply(arg, 200, NULL, rondo_slice_text("ok")), 0);
}

/* Answers when the body is complete. */
static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    rondo_http_request_on_end(request, reply_end, response);
    rondo_http_response_on_aborted(response, end_it, NULL);
}

/* A text with a run of len times c where the format has %s. */
static char *padded(const char *format, char c, size_t len) {
    char *run = malloc(len + 1), *text = NULL;
    CHECK(run != NULL);
    memset(run, c, len);
    run[len] = '\0';
    CHECK(asprintf(&text, format, run) >= 0);
    free(run);
    return text;
}

typedef enum sending { WHOLE, SPELLED, PIECES } sending;

/* Sends text on a connection of its own; what must be answered, and closed unless it is 200. */
static void expect(const rondo_http_limits *limits, const char *request, const char *statuses,
                   sending how) {
    web_host web;
    web_peer peer;
    web_open(&web, on_request, NULL, limits);
    peer_open(&web, &peer);
    size_t len = strlen(request);
    if (how == SPELLED) {
        peer_spell(&web, &peer, request, len);
    } else {
        size_t step = how == PIECES ? 1000 : len;
        for (size_t at = 0; at < len; at += step) {
            peer_send(&web, &peer, request + at, len - at < step ? len - at : step);
            web_turns(&web, 1);
        }
        peer_pump(&web, &peer);
    }
    CHECK_STR(peer_statuses(&peer), statuses);
    bool refused = strcmp(statuses, "200") != 0;
    CHECK_INT(peer.ended, refused);
    CHECK_INT(peer_has(&peer, "Connection: close\r\n"), refused);
    CHECK(!peer.reset);
    peer_close(&peer);
    web_close(&web);
}

static void expect_all(const rondo_http_limits *limits, char *request, const char *statuses) {
    expect(limits, request, statuses, WHOLE);
    expect(limits, request, statuses, PIECES);
    if (strlen(request) < (harness_is_slow() ? 2000 : 20000))
        expect(limits, request, statuses, SPELLED);
    free(request);
}

TEST(what_refuses_a_head_does_not_depend_on_its_pieces) {
    rondo_http_limits limits = {.target_bytes = 16, .head_bytes = 256};
#define REST "\r\nHost: a\r\n\r\n"
#define LINE "X: 0123456789012345678901234567890123456789\r\n"
    static const char *const cases[][2] = {
        {"GET /0123456789abcde HTTP/1.1" REST, "200"},
        {"GET /0123456789abcdef HTTP/1.1" REST, "414"},
        /* What is wrong stands behind what is too long, */
        {"GET /0123456789abcdef HTTP/1.1\r\n\r\n", "414"},
        {"GET /0123456789abcdef HTTP/1.1\r\nA b: c" REST, "414"},
        {"GET /0123456789abcdef0123456789abcdef\xc8 HTTP/1.1" REST, "414"},
        {"GET /0123456789abcdef0123456789abcdef HTTP/2.1" REST, "414"},
        {"GET / HTTP/1.1\r\n" LINE LINE LINE LINE LINE LINE "A b: c" REST, "431"},
        /* or before it. */
        {"GET /0123\xc8 56789abcdef0123456789abcdef HTTP/1.1" REST, "400"},
        {"GET / HTTP/2.1" REST, "505"},
        {"GET / HTTP/1.1\r\nA b: c\r\n" LINE LINE LINE LINE LINE LINE REST, "400"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_answer_both_ways(cases[i][0], cases[i][1], &limits, reply_target);
#undef REST
#undef LINE
}

TEST(what_refuses_a_chunk_does_not_depend_on_its_pieces) {
    rondo_http_limits limits = {.body_bytes = 64, .chunk_extension_bytes = 32};
#define ZEROS "00000000000000000000"
    static const char *const cases[][2] = {
        {CHUNKED "00000000000005\r\nhello\r\n0\r\n\r\n", "200"},
        {CHUNKED "41\r\n", "413"},
        {CHUNKED ZEROS ZEROS "41\r\n",
         "400"}, /* the size would be too large, but is too long before */
        {CHUNKED ZEROS "41\r\n", "413"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_answer_both_ways(cases[i][0], cases[i][1], &limits, on_request);
#undef ZEROS
}

TEST(defaults) {
    web_host web;
    rondo_http_limits limits = {0};
    web_open(&web, NULL, NULL, NULL);
    rondo_http_server_get_limits(web.server, &limits);
#define IS_DEFAULT(field, type, value, what) CHECK_INT(limits.field, value);
    RONDO_HTTP_LIMITS(IS_DEFAULT)
#undef IS_DEFAULT
    limits = (rondo_http_limits){.body_bytes = 5, .head_bytes = 1};
    rondo_http_server_set_limits(web.server, &limits);
    rondo_http_server_get_limits(web.server, &limits);
    CHECK_INT(limits.body_bytes, 5);
    CHECK_INT(limits.head_bytes, 256);
    CHECK_INT(limits.linger_ms, 2000);
    web_close(&web);
}

TEST(target_bytes) {
    rondo_http_limits limits = {.target_bytes = 100};
    expect_all(&limits, padded("GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", 'x', 99), "200");
    expect_all(&limits, padded("GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", 'x', 100), "414");
    expect_all(&limits, padded("GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", 'x', 40000), "414");
    expect_all(&limits, padded("GET /%s", 'x', 200), "414"); /* before its end has come */
    limits.head_bytes = 400;
    limits.target_bytes = 1000;
    expect_all(&limits, padded("GET /%s", 'x', 500), "414"); /* longer than a head may be */
}

TEST(head_bytes) {
    rondo_http_limits limits = {.head_bytes = 500};
    size_t around = strlen("GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n");
    expect_all(&limits, padded("GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", 'x', 500 - around),
               "200");
    expect_all(&limits, padded("GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", 'x', 501 - around),
               "431");
    expect_all(&limits, padded("GET / HTTP/1.1\r\nHost: a\r\nX: %s", 'x', 500), "431");
    expect_all(&limits, padded("GET / HTTP/1.1\r\nHost: a\r\n%s", 'x', 5000), "431");
    /* Heads that need memory of their own. */
    limits.head_bytes = 0;
    expect_all(&limits, padded("GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", 'x', 16000), "200");
    expect_all(&limits, padded("GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n", 'x', 16384), "431");
}

static char *with_fields(const char *before, int count, const char *after) {
    char *text = malloc(strlen(before) + (size_t)count * 16 + strlen(after) + 1), *at;
    CHECK(text != NULL);
    at = stpcpy(text, before);
    for (int i = 0; i < count; i++) at += sprintf(at, "X-%d: y\r\n", i % 1000);
    strcpy(at, after);
    return text;
}

TEST(header_count) {
    rondo_http_limits limits = {.header_count = 10};
    expect_all(&limits, with_fields("GET / HTTP/1.1\r\nHost: a\r\n", 9, "\r\n"), "200");
    expect_all(&limits, with_fields("GET / HTTP/1.1\r\nHost: a\r\n", 10, "\r\n"), "431");
    expect_all(&limits, with_fields("GET / HTTP/1.1\r\nHost: a\r\n", 5000, "\r\n"), "431");
    limits.header_count = 0;
    expect_all(&limits, with_fields("GET / HTTP/1.1\r\nHost: a\r\n", 127, "\r\n"), "200");
    expect_all(&limits, with_fields("GET / HTTP/1.1\r\nHost: a\r\n", 128, "\r\n"), "431");
}

TEST(trailers) {
    rondo_http_limits limits = {.header_count = 10, .trailer_bytes = 500};
    expect_all(&limits, with_fields(CHUNKED "0\r\n", 10, "\r\n"), "200");
    expect_all(&limits, with_fields(CHUNKED "0\r\n", 11, "\r\n"), "431");
    expect_all(&limits, with_fields(CHUNKED "0\r\n", 5000, "\r\n"), "431");
    expect_all(&limits, padded(CHUNKED "0\r\nX: %s\r\n\r\n", 'x', 493), "200");
    expect_all(&limits, padded(CHUNKED "0\r\nX: %s\r\n\r\n", 'x', 494), "431");
    expect_all(&limits, padded(CHUNKED "0\r\nX: %s", 'x', 5000), "431");
}

TEST(body_bytes) {
    rondo_http_limits limits = {.body_bytes = 10};
    expect_all(&limits, padded(POST("Content-Length: 10\r\n") "%s", 'x', 10), "200");
    expect_all(&limits, padded(POST("Content-Length: 11\r\n") "%s", 'x', 11), "413");
    expect_all(&limits, padded(POST("Content-Length: 18446744073709551615\r\n") "%s", 'x', 1),
               "413");
    expect_all(&limits, padded(CHUNKED "4\r\nabcd\r\n6\r\n%s\r\n0\r\n\r\n", 'x', 6), "200");
    expect_all(&limits, padded(CHUNKED "b\r\n%s", 'x', 1), "413"); /* its size tells */
    expect_all(&limits, padded(CHUNKED "4\r\nabcd\r\n7\r\n%s", 'x', 1), "413");
    expect_all(&limits, padded(CHUNKED "4\r\nabcd\r\nffffffffffffffff\r\n%s", 'x', 1), "413");
    CHECK(aborts > 0);
}

TEST(chunk_extension_bytes) {
    rondo_http_limits limits = {.chunk_extension_bytes = 100};
    expect_all(&limits, padded(CHUNKED "1;%s\r\nx\r\n0\r\n\r\n", 'a', 90), "200");
    expect_all(&limits, padded(CHUNKED "1;%s\r\nx\r\n0\r\n\r\n", 'a', 110), "400");
    expect_all(&limits, padded(CHUNKED "1;%s", 'a', 5000), "400");
    expect_all(&limits, padded(CHUNKED "0;%s\r\n\r\n", 'a', 110), "400");
    expect_all(&limits, padded(CHUNKED "%s1\r\nx\r\n0\r\n\r\n", '0', 110), "400");
}

/* Chunks that are nearly all extension are bounded together; small chunks alone are fine. */
TEST(chunk_extension_bytes_in_all) {
    rondo_http_limits limits = {.chunk_extension_bytes = 200};
    char small[6 * 3000 + 128], wasteful[64 * 30 + 128];
    char *at = stpcpy(small, CHUNKED), *end = stpcpy(wasteful, CHUNKED);
    for (int i = 0; i < 3000; i++) at = stpcpy(at, "1\r\nx\r\n");
    for (int i = 0; i < 30; i++) end = stpcpy(end, "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n");
    strcpy(at, "0\r\n\r\n");
    strcpy(end, "0\r\n\r\n");
    expect(&limits, small, "200", WHOLE);
    expect(&limits, small, "200", PIECES);
    expect(&limits, wasteful, "400", WHOLE);
    expect(&limits, wasteful, "400", PIECES);
}

TEST(empty_lines_before_a_request) {
    char text[256] = "";
    for (int i = 0; i < 16; i++) strcat(text, "\r\n");
    strcat(text, GET("/"));
    expect(NULL, text, "200", WHOLE);
    expect(NULL, text, "200", SPELLED);
    memmove(text + 2, text, strlen(text) + 1);
    memcpy(text, "\r\n", 2);
    expect(NULL, text, "400", WHOLE);
    expect(NULL, text, "400", SPELLED);
}

/* ---- numbers of requests and connections ---- */

TEST(requests_per_connection) {
    rondo_http_limits limits = {.requests_per_connection = 3};
    web_host web;
    web_peer peer;
    web_open(&web, reply_target, NULL, &limits);
    peer_ask(&web, &peer, GET("/") GET("/"));
    CHECK(!peer_has(&peer, "Connection"));
    peer_say(&web, &peer, GET("/") GET("/"));
    CHECK_STR(peer_statuses(&peer), "200,200,200");
    CHECK_INT(peer_count(&peer, "Connection: close\r\n"), 1);
    CHECK(peer.ended && !peer.reset);
    peer_close(&peer);
    web_close(&web);
}

TEST(connections) {
    rondo_http_limits limits = {.connections = 3};
    web_host web;
    web_peer peers[5];
    web_open(&web, reply_target, NULL, &limits);
    for (int i = 0; i < 5; i++) {
        peer_ask(&web, &peers[i], i < 3 ? GET("/") : "");
        CHECK_INT(peers[i].ended, i >= 3);
    }
    for (int i = 3; i < 5; i++) {
        CHECK_STR(peer_statuses(&peers[i]), "503");
        CHECK(peer_has(&peers[i], "\r\nRetry-After: ") && !peers[i].reset);
    }
    CHECK_STR(peer_statuses(&peers[0]), "200"); /* who is there stays */
    peer_close(&peers[0]);
    web_turns(&web, 3);
    web_peer another;
    peer_ask(&web, &another, GET("/"));
    CHECK_STR(peer_statuses(&another), "200");
    peer_close(&another);
    for (int i = 1; i < 5; i++) peer_close(&peers[i]);
    web_close(&web);
}

/* ---- time ---- */

/* What a client sends, how long it lasts, and what it gets then. */
static void wait_for(const rondo_http_limits *limits, const char *request, uint64_t ms,
                     const char *statuses) {
    web_host web;
    web_peer peer;
    web_open(&web, on_request, NULL, limits);
    peer_ask(&web, &peer, request);
    size_t before = peer.len;
    web_advance(&web, ms - 10);
    peer_pump(&web, &peer);
    CHECK(!peer.ended);
    CHECK_INT(peer.len, before);
    web_advance(&web, 20);
    peer_pump(&web, &peer);
    CHECK_STR(peer_statuses(&peer), statuses);
    CHECK(peer.ended && !peer.reset);
    peer_close(&peer);
    web_close(&web);
}

TEST(idle_timeout) {
    rondo_http_limits limits = {.idle_timeout_ms = 5000};
    wait_for(&limits, "", 5000, "");
    wait_for(&limits, "\r\n\r\n", 5000, ""); /* empty lines are not a request */
    wait_for(&limits, GET("/"), 5000, "200");
    wait_for(NULL, "", 75000, "");
    wait_for(NULL, GET("/"), 75000, "200"); /* longer than write_timeout_ms */
}

TEST(idle_timeout_begins_anew) {
    rondo_http_limits limits = {.idle_timeout_ms = 5000};
    web_host web;
    web_peer peer;
    web_open(&web, reply_target, NULL, &limits);
    peer_open(&web, &peer);
    for (int i = 0; i < 4; i++) {
        web_advance(&web, 4000);
        peer_say(&web, &peer, GET("/"));
    }
    CHECK_STR(peer_statuses(&peer), "200,200,200,200");
    web_advance(&web, 5100);
    peer_pump(&web, &peer);
    CHECK(peer.ended);
    peer_close(&peer);
    web_close(&web);
}

TEST(head_timeout) {
    rondo_http_limits limits = {.head_timeout_ms = 3000};
    wait_for(&limits, "G", 3000, "408");
    wait_for(&limits, "GET / HTTP/1.1\r\nHost: a\r\n", 3000, "408");
    wait_for(&limits, GET("/") "GET", 3000, "200,408");
}

/* In all: a drip feed doesn't hold it (slowloris). */
TEST(head_timeout_is_for_the_whole_head) {
    rondo_http_limits limits = {.head_timeout_ms = 3000};
    web_host web;
    web_peer peer;
    web_open(&web, reply_target, NULL, &limits);
    peer_ask(&web, &peer, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    for (int i = 0; i < 28; i++) {
        web_advance(&web, 100);
        peer_say(&web, &peer, "x");
        CHECK(!peer.ended);
    }
    web_advance(&web, 300);
    peer_pump(&web, &peer);
    CHECK_STR(peer_statuses(&peer), "408");
    CHECK(peer.ended);
    peer_close(&peer);
    web_close(&web);
}

TEST(body_timeout) {
    rondo_http_limits limits = {.body_timeout_ms = 3000};
    wait_for(&limits, POST("Content-Length: 5\r\n"), 3000, "408");
    wait_for(&limits, POST("Content-Length: 5\r\n") "abc", 3000, "408");
    wait_for(&limits, CHUNKED "5\r\nab", 3000, "408");
    wait_for(&limits, POST("Expect: 100-continue\r\nContent-Length: 5\r\n"), 3000, "100,408");
    CHECK_INT(aborts, 4);
}

/* Silence: each octet gives more time, as long as the average is right. */
/* The body's clock begins with the body, whatever the head has used up of its own. */
TEST(body_timeout_after_a_slow_head) {
    rondo_http_limits limits = {.body_timeout_ms = 6000};
    web_host web;
    web_peer peer;
    web_open(&web, on_request, NULL, &limits);
    peer_ask(&web, &peer, "POST / HTTP/1.1\r\nHost: a\r\n");
    web_advance(&web, 5000);
    peer_say(&web, &peer, "Content-Length: 5\r\n\r\nab");
    web_advance(&web, 5900);
    peer_pump(&web, &peer);
    CHECK(!peer.ended);
    web_advance(&web, 200);
    peer_pump(&web, &peer);
    CHECK_STR(peer_statuses(&peer), "408");
    peer_close(&peer);
    web_close(&web);
}

TEST(body_timeout_begins_anew) {
    rondo_http_limits limits = {.body_timeout_ms = 3000, .body_min_rate = 1};
    web_host web;
    web_peer peer;
    web_open(&web, on_request, NULL, &limits);
    peer_ask(&web, &peer, POST("Content-Length: 100\r\n"));
    for (int i = 0; i < 10; i++) {
        web_advance(&web, 2500);
        peer_say(&web, &peer, "0123456789");
        CHECK_INT(peer.ended, false);
    }
    CHECK_STR(peer_statuses(&peer), "200");
    peer_close(&peer);
    web_close(&web);
}

/* Enough for body_timeout_ms, but too slow on the average. */
TEST(body_min_rate) {
    rondo_http_limits limits = {.body_min_rate = 10};
    web_host web;
    web_peer peer;
    int seconds = 0;
    web_open(&web, on_request, NULL, &limits);
    peer_ask(&web, &peer, POST("Content-Length: 1000\r\n"));
    for (; seconds < 60 && !peer.ended; seconds++) {
        peer_say(&web, &peer, seconds < 20 ? "012345678901" : "012345678"); /* 12/s, then 9/s */
        web_advance(&web, 1000);
        peer_pump(&web, &peer);
    }
    CHECK(seconds >= 58 || (seconds > 20 && peer.ended)); /* 240 octets + 9/s is short after 60 s */
    CHECK_STR(peer_statuses(&peer), peer.ended ? "408" : "");
    web_advance(&web, 5000);
    peer_pump(&web, &peer);
    CHECK_STR(peer_statuses(&peer), "408");
    peer_close(&peer);
    web_close(&web);
}

TEST(body_min_rate_not_in_the_first_ten_seconds) {
    wait_for(NULL, POST("Content-Length: 1000\r\n") "x", 10000, "408");
}

static rondo_http_request *held;

static void on_piece(rondo_http_request *request, rondo_slice chunk, void *arg) {
    (void)chunk, (void)arg;
    held = request;
}
static void noting_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    on_request(request, response, arg);
    rondo_http_request_on_data(request, on_piece, arg);
}

/* A pause is the application's own time: a body goes on where it was. */
TEST(pause_stops_the_body_clock) {
    static const rondo_http_limits some[] = {{.body_timeout_ms = 4000},
                                             {.body_min_rate = 100},
                                             {.body_total_ms = 7000, .body_min_rate = 1}};
    static const uint64_t first_ms[] = {3000, 5000, 5000}, then_ms[] = {4000, 5000, 2000};
    for (int i = 0; i < 3; i++) {
        web_host web;
        web_peer peer;
        web_open(&web, noting_request, NULL, &some[i]);
        char *body = padded(POST("Content-Length: 100000\r\n") "%s", 'x', 1200);
        peer_ask(&web, &peer, body);
        free(body);
        web_advance(&web, first_ms[i]);
        CHECK_INT(rondo_http_request_pause(held), 0);
        web_advance(&web, 1000);
        CHECK_INT(rondo_http_request_pause(held), 0); /* nothing new */
        web_advance(&web, 200000);
        peer_pump(&web, &peer);
        CHECK(!peer.ended);
        CHECK_INT(rondo_http_request_resume(held), 0);
        web_advance(&web, then_ms[i] - 50);
        peer_pump(&web, &peer);
        if (peer.ended) FAIL("%d: too early", i);
        web_advance(&web, 100);
        peer_pump(&web, &peer);
        CHECK_STR(peer_statuses(&peer), "408");
        peer_close(&peer);
        web_close(&web);
    }
}

/* Pauses buy a client nothing: its grace of ten seconds is for the body, not for each of them. */
TEST(pauses_give_no_new_grace) {
    rondo_http_limits limits = {.body_min_rate = 100};
    web_host web;
    web_peer peer;
    int seconds = 0;
    web_open(&web, noting_request, NULL, &limits);
    peer_ask(&web, &peer, POST("Content-Length: 100000\r\n") "x");
    for (; seconds < 30 && !peer.ended; seconds++) {
        CHECK_INT(rondo_http_request_pause(held), 0);
        web_advance(&web, 10);
        CHECK_INT(rondo_http_request_resume(held), 0);
        web_advance(&web, 1000);
        peer_say(&web, &peer, "x");
    }
    CHECK(seconds >= 10 && seconds <= 12);
    CHECK_STR(peer_statuses(&peer), "408");
    peer_close(&peer);
    web_close(&web);
}

TEST(body_total) {
    rondo_http_limits limits = {.body_total_ms = 20000, .body_min_rate = 1};
    web_host web;
    web_peer peer;
    int seconds = 0;
    web_open(&web, on_request, NULL, &limits);
    peer_ask(&web, &peer, POST("Content-Length: 100000\r\n"));
    for (; seconds < 30 && !peer.ended; seconds++) {
        peer_say(&web, &peer, "0123456789"); /* fast enough */
        web_advance(&web, 1000);
        peer_pump(&web, &peer);
    }
    CHECK_INT(seconds, 20);
    CHECK_STR(peer_statuses(&peer), "408");
    peer_close(&peer);
    web_close(&web);
}

static rondo_http_response *kept;

static void keep(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request, (void)arg;
    kept = response;
}

/* However long the application thinks, that is not the client's fault. */
TEST(application_has_all_the_time) {
    static const char *const requests[] = {GET("/"), POST("Content-Length: 2\r\n") "ab",
                                           POST("Expect: 100-continue\r\nContent-Length: 5\r\n")};
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        web_host web;
        web_peer peer;
        web_open(&web, keep, NULL, NULL);
        peer_ask(&web, &peer, requests[i]);
        web_advance(&web, 1000000);
        peer_pump(&web, &peer);
        CHECK(!peer.ended);
        CHECK_INT(rondo_http_response_end(kept), 0);
        peer_pump(&web, &peer);
        CHECK_STR(peer_statuses(&peer), "204");
        peer_close(&peer);
        web_close(&web);
    }
}

/* ---- a client that takes nothing ---- */

static char big[8 << 20];

static void reply_big(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request, (void)arg;
    rondo_http_response_on_aborted(response, end_it, NULL);
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, rondo_slice_of(big, sizeof big)), 0);
}

static void stream_big(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request, (void)arg;
    rondo_http_response_on_aborted(response, end_it, NULL);
    CHECK_INT(rondo_http_response_begin(response, 200, -1), 0);
    CHECK_INT(rondo_http_response_write(response, rondo_slice_of(big, sizeof big)), 0);
}

/* Small buffers, and no reads. Returns how long it takes until the server has closed. */
static uint64_t until_closed(web_host *web, uint64_t at_most_ms) {
    rondo_metrics metrics;
    for (uint64_t ms = 0; ms < at_most_ms; ms += 500) {
        rondo_loop_metrics(web->loop, &metrics);
        if (metrics.handles <= 2) return ms; /* the server and its listener */
        web_advance(web, 500);
    }
    return at_most_ms;
}

TEST(write_timeout) {
    static const rondo_http_request_cb callbacks[] = {reply_big, stream_big};
    for (int i = 0; i < 2; i++) {
        rondo_http_limits limits = {.write_timeout_ms = 4000, .idle_timeout_ms = 500000};
        web_host web;
        web_peer peer;
        aborts = 0;
        web_open(&web, callbacks[i], NULL, &limits);
        peer_open(&web, &peer);
        peer_send(&web, &peer, GET("/"), strlen(GET("/")));
        web_turns(&web, 10);
        uint64_t ms = until_closed(&web, 60000);
        CHECK(ms >= 4000 && ms <= 5500); /* looked at four times: at most a quarter more */
        CHECK_INT(aborts, i);            /* only the one that had not been ended */
        peer_close(&peer);
        web_close(&web);
    }
}

/* Takes a few octets in time, again and again: that holds an answer for ever. On a socket whose buffers are
 * full the kernel moves when it likes, so octets are taken from under it. */
TEST(write_min_rate) {
    for (int fast = 0; fast < 2; fast++) {
        rondo_http_limits limits = {.write_timeout_ms = 4000, .write_min_rate = 1000};
        web_host web;
        web_peer peer;
        uint64_t ms = 0;
        web_open(&web, stream_big, NULL, &limits);
        peer_open(&web, &peer);
        peer_send(&web, &peer, GET("/"), strlen(GET("/")));
        web_turns(&web, 10);
        rondo__http_conn *conn = RONDO__OF(web.server->conns.next, rondo__http_conn, link);
        for (; ms < 40000 && !rondo__list_empty(&web.server->conns); ms += 500) {
            conn->stream->bytes_out += fast ? 600 : 100; /* as if it had taken so many */
            web_advance(&web, 500);
        }
        CHECK(fast ? ms == 40000 : ms >= 4000 && ms <= 6500); /* 20 % of the rate buys 20 % more */
        aborts = 0;
        peer_close(&peer);
        web_close(&web);
    }
}

/* A slow reader is not a dead one. */
TEST(write_timeout_begins_anew) {
    rondo_http_limits limits = {.write_timeout_ms = 4000, .idle_timeout_ms = 2000};
    static char piece[512 * 1024];
    web_host web;
    web_peer peer;
    size_t total = 0;
    web_open(&web, reply_big, NULL, &limits);
    peer_open(&web, &peer);
    peer_send(&web, &peer, GET("/"), strlen(GET("/")));
    web_turns(&web, 10);
    for (int i = 0; i < 100 && total < sizeof big; i++) {
        web_advance(&web, 1500);
        for (size_t got = 0; got < sizeof piece;) {
            ssize_t count = recv(peer.fd, piece, sizeof piece - got, 0);
            if (count <= 0) break;
            got += (size_t)count;
            total += (size_t)count;
        }
        for (long long end = harness_now_ms() + 20000; total < sizeof big;) {
            web_turns(&web, 5); /* the kernel tells the server when it finds the time */
            if (recv(peer.fd, piece, 1, MSG_PEEK) == 1 || harness_now_ms() > end) break;
            harness_sleep_ms(1);
        }
    }
    CHECK(total >= sizeof big); /* and when it is idle, and closed, is up to the kernel's buffers */
    peer_close(&peer);
    web_close(&web);
}

/* ---- after a refusal ---- */

/* The answer must not be destroyed by what the client still sends: it is read, for a time. */
TEST(linger) {
    rondo_http_limits limits = {.linger_ms = 3000};
    web_host web;
    web_peer peer;
    rondo_metrics metrics;
    char *junk = padded("%s", 'x', 100000);
    web_open(&web, on_request, NULL, &limits);
    peer_open(&web, &peer);
    peer_send(&web, &peer, "BAD\r\n", 5);
    for (int i = 0; i < 20; i++) {
        peer_send(&web, &peer, junk, 100000);
        web_turns(&web, 2);
    }
    peer_pump(&web, &peer);
    CHECK_STR(peer_statuses(&peer), "400");
    CHECK(peer.ended && !peer.reset);
    web_advance(&web, 2900);
    rondo_loop_metrics(web.loop, &metrics);
    CHECK_INT(metrics.handles, 3);
    web_advance(&web, 200); /* it would go on for ever: enough */
    rondo_loop_metrics(web.loop, &metrics);
    CHECK_INT(metrics.handles, 2);
    free(junk);
    peer_close(&peer);
    web_close(&web);
}

TEST(linger_ends_with_the_client) {
    web_host web;
    web_peer peer;
    rondo_metrics metrics;
    web_open(&web, on_request, NULL, NULL);
    peer_ask(&web, &peer, "BAD\r\n");
    CHECK(peer.ended);
    peer_close(&peer);
    web_turns(&web, 3);
    rondo_loop_metrics(web.loop, &metrics);
    CHECK_INT(metrics.handles, 2);
    web_close(&web);
}

/* ---- numbers ---- */

/* What a proxy says of a client. */
#define FROM(address) "PROXY TCP4 " address " 127.0.0.1 1 2\r\n"

TEST(connections_per_address) {
    rondo_http_limits limits = {.connections_per_address = 2};
    web_host web;
    web_peer peers[4];
    rondo_http_figures figures;
    web_open(&web, reply_target, NULL, &limits);
    rondo_http_server_set_proxy_protocol(web.server, true); /* so that they can be from anywhere */
    for (int i = 0; i < 4; i++) {
        peer_ask(&web, &peers[i], i < 2 ? FROM("203.0.113.7") GET("/") : FROM("203.0.113.7"));
        CHECK_INT(peers[i].ended, i >= 2);
        CHECK_STR(peer_statuses(&peers[i]), i < 2 ? "200" : "");
    }
    rondo_http_server_get_figures(web.server, &figures);
    CHECK_INT(figures.connections, 2);
    CHECK_INT(figures.accepted, 4);
    CHECK_INT(figures.closed_at_once, 2);
    peer_close(&peers[0]);
    web_turns(&web, 3);
    web_peer another;
    peer_ask(&web, &another, FROM("203.0.113.7") GET("/"));
    CHECK_STR(peer_statuses(&another), "200");
    /* Others have their own; this machine may have any number. */
    web_peer others[6];
    for (int i = 0; i < 6; i++)
        peer_ask(&web, &others[i],
                 i < 3 ? FROM("203.0.113.8") GET("/") : FROM("127.9.9.9") GET("/"));
    for (int i = 0; i < 6; i++) CHECK_STR(peer_statuses(&others[i]), i == 2 ? "" : "200");
    for (int i = 0; i < 6; i++) peer_close(&others[i]);
    peer_close(&another);
    CHECK_INT(rondo_http_server_trust(web.server, "203.0.113.7"), 0); /* proxies have many */
    web_peer trusted[3];
    for (int i = 0; i < 3; i++) peer_ask(&web, &trusted[i], FROM("203.0.113.7") GET("/"));
    for (int i = 0; i < 3; i++) CHECK_STR(peer_statuses(&trusted[i]), "200");
    for (int i = 0; i < 3; i++) peer_close(&trusted[i]);
    for (int i = 1; i < 4; i++) peer_close(&peers[i]);
    web_close(&web);
}

/* Nobody is counted as long as there are few; then all are, those of before too. */
TEST(connections_per_address_are_counted_once_there_are_many) {
    rondo_http_limits limits = {.connections_per_address = 3};
    web_host web;
    web_peer peers[8];
    web_open(&web, reply_target, NULL, &limits);
    rondo_http_server_set_proxy_protocol(web.server, true);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++) peer_ask(&web, &peers[i], FROM("203.0.113.7") GET("/"));
        peer_ask(&web, &peers[3], "PROXY TCP6 2001:db8::1 ::1 1 2\r\n" GET("/"));
        for (int i = 4; i < 6; i++) peer_ask(&web, &peers[i], FROM("203.0.113.7") GET("/"));
        for (int i = 0; i < 6; i++) CHECK_STR(peer_statuses(&peers[i]), i < 4 ? "200" : "");
        for (int i = 0; i < 6; i++) peer_close(&peers[i]);
        web_turns(&web, 6);
        rondo_http_figures figures;
        rondo_http_server_get_figures(web.server, &figures);
        CHECK_INT(figures.connections, 0);
        CHECK_INT(figures.closed_at_once, 2 * (round + 1));
    }
    web_close(&web);
}

TEST(servers_that_count_their_connections_together) {
    rondo_http_limits limits = {.connections = 3};
    web_host web;
    web_peer peers[5];
    web_open(&web, reply_target, NULL, &limits);
    rondo_http_server *second = rondo_http_server_new(web.loop);
    rondo_http_server *third = rondo_http_server_new(web.loop);
    CHECK(second && third);
    rondo_http_server_on_request(second, reply_target, NULL);
    rondo_http_server_set_limits(second, &limits);
    CHECK_INT(rondo_http_server_listen(second, "127.0.0.1", 0), 0);
    CHECK_INT(rondo_http_server_count_with(second, second), RONDO_EINVAL);
    CHECK_INT(rondo_http_server_count_with(second, web.server), 0);
    CHECK_INT(rondo_http_server_count_with(second, web.server), RONDO_EBUSY);
    CHECK_INT(rondo_http_server_count_with(third, second), 0);
    web_host other = web;
    other.port = rondo_http_server_port(second);
    peer_ask(&web, &peers[0], GET("/"));
    peer_ask(&other, &peers[1], GET("/"));
    peer_ask(&other, &peers[2], GET("/"));
    peer_ask(&other, &peers[3], GET("/"));
    peer_ask(&web, &peers[4], GET("/"));
    for (int i = 0; i < 5; i++) CHECK_STR(peer_statuses(&peers[i]), i < 3 ? "200" : "503");
    for (int i = 2; i < 5; i++) peer_close(&peers[i]);
    web_turns(&web, 4);
    peer_ask(&web, &peers[2], GET("/"));
    CHECK_STR(peer_statuses(&peers[2]), "200");
    rondo_close(second); /* with its one */
    CHECK_INT(rondo_http_server_count_with(second, web.server), RONDO_ECLOSED);
    CHECK_INT(rondo_http_server_count_with(web.server, second), RONDO_ECLOSED);
    web_turns(&web, 4);
    peer_ask(&web, &peers[3], GET("/"));
    CHECK_STR(peer_statuses(&peers[3]), "200");
    for (int i = 0; i < 4; i++) peer_close(&peers[i]);
    rondo_close(third);
    web_close(&web);
}

/* As many from one address are for all of them too, whichever of them they came to. */
TEST(servers_that_count_by_address_together) {
    rondo_http_limits limits = {.connections_per_address = 3};
    web_host web;
    web_peer peers[8];
    web_open(&web, reply_target, NULL, &limits);
    rondo_http_server *second = rondo_http_server_new(web.loop);
    CHECK(second != NULL);
    rondo_http_server_on_request(second, reply_target, NULL);
    rondo_http_server_set_limits(second, &limits);
    rondo_http_server_set_proxy_protocol(web.server, true);
    rondo_http_server_set_proxy_protocol(second, true);
    CHECK_INT(rondo_http_server_listen(second, "127.0.0.1", 0), 0);
    web_host other = web;
    other.port = rondo_http_server_port(second);
    /* Each by itself at first: four of the second are counted when they are put together. */
    for (int i = 0; i < 3; i++) peer_ask(&other, &peers[i], FROM("203.0.113.7") GET("/"));
    peer_ask(&other, &peers[3], FROM("203.0.113.8") GET("/"));
    for (int i = 0; i < 4; i++) CHECK_STR(peer_statuses(&peers[i]), "200");
    CHECK_INT(rondo_http_server_count_with(second, web.server), 0);
    peer_ask(&web, &peers[4], FROM("203.0.113.7") GET("/"));
    CHECK_STR(peer_statuses(&peers[4]), "");
    peer_close(&peers[0]);
    peer_close(&peers[4]);
    web_turns(&web, 3);
    peer_ask(&web, &peers[0], FROM("203.0.113.7") GET("/"));
    CHECK_STR(peer_statuses(&peers[0]), "200");
    peer_ask(&other, &peers[4], FROM("203.0.113.7") GET("/"));
    CHECK_STR(peer_statuses(&peers[4]), "");
    for (int i = 5; i < 8; i++) peer_ask(&web, &peers[i], FROM("203.0.113.8") GET("/"));
    for (int i = 5; i < 8; i++) CHECK_STR(peer_statuses(&peers[i]), i < 7 ? "200" : "");
    rondo_close(second); /* with three of them, two of which were of the one and one of the other */
    web_turns(&web, 4);
    for (int i = 1; i < 5; i++) peer_close(&peers[i]);
    for (int i = 1; i < 3; i++) {
        peer_ask(&web, &peers[i], FROM("203.0.113.7") GET("/"));
        CHECK_STR(peer_statuses(&peers[i]), "200");
        peer_close(&peers[i]);
        web_turns(&web, 3);
    }
    peer_close(&peers[0]);
    for (int i = 5; i < 8; i++) peer_close(&peers[i]);
    web_close(&web);
}

static rondo_http_response *many[64];
static int kept_count;
static void keep_all(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request, (void)arg;
    many[kept_count++] = response;
}

TEST(requests_in_flight) {
    rondo_http_limits limits = {.requests_in_flight = 2};
    web_host web;
    web_peer peers[4];
    rondo_http_figures figures;
    kept_count = 0;
    web_open(&web, keep_all, NULL, &limits);
    for (int i = 0; i < 3; i++) peer_ask(&web, &peers[i], GET("/") GET("/"));
    CHECK_INT(kept_count, 2);
    CHECK_STR(peer_statuses(&peers[2]), "503");
    CHECK(peer_has(&peers[2], "\r\nRetry-After: ") && peers[2].ended && !peers[2].reset);
    rondo_http_server_get_figures(web.server, &figures);
    CHECK_INT(figures.requests_in_flight, 2);
    CHECK_INT(figures.turned_away, 1);
    CHECK_INT(rondo_http_response_end(many[0]), 0); /* what is in flight goes on, and makes room */
    peer_pump(&web, &peers[0]);
    CHECK_STR(peer_statuses(&peers[0]), "204");
    CHECK_INT(kept_count, 3);
    for (int i = 1; i < 3; i++) CHECK_INT(rondo_http_response_end(many[i]), 0);
    web_turns(&web, 3);
    CHECK_INT(kept_count, 4);
    CHECK_INT(rondo_http_response_end(many[3]), 0);
    rondo_http_server_get_figures(web.server, &figures);
    CHECK_INT(figures.requests_in_flight, 0);
    for (int i = 0; i < 3; i++) peer_close(&peers[i]);
    web_close(&web);
}

/* One that asks for much at once gets it in portions, others in between. */
TEST(pipeline_depth) {
    rondo_http_limits limits = {.pipeline_depth = 4};
    web_host web;
    web_peer greedy, modest;
    char text[1024] = "";
    for (int i = 0; i < 10; i++) strcat(text, GET("/g"));
    web_open(&web, reply_target, NULL, &limits);
    peer_open(&web, &greedy);
    peer_open(&web, &modest);
    web_turns(&web, 3);
    peer_send(&web, &greedy, text, strlen(text));
    peer_send(&web, &modest, GET("/m"), strlen(GET("/m")));
    int counts[8] = {0};
    bool served = false;
    for (int turn = 0; turn < 8; turn++) {
        web_turns(&web, 1);
        while (peer_read(&greedy)) {}
        counts[turn] = peer_count(&greedy, "HTTP/1.1 200");
        CHECK(counts[turn] - (turn ? counts[turn - 1] : 0) <= 4);
        while (peer_read(&modest)) {}
        if (peer_has(&modest, "/m")) served = true;
        if (counts[turn] > 4) CHECK(served);
    }
    CHECK_INT(counts[7], 10);
    peer_close(&greedy);
    peer_close(&modest);
    web_close(&web);
}

/* One whose rest waits for its turn, and goes: the client, or the server. */
TEST(pipeline_that_breaks_off) {
    rondo_http_limits limits = {.pipeline_depth = 2};
    char text[1024] = "";
    for (int i = 0; i < 9; i++) strcat(text, GET("/g"));
    for (int how = 0; how < 3; how++) {
        web_host web;
        web_peer peer;
        web_open(&web, reply_target, NULL, &limits);
        peer_open(&web, &peer);
        web_turns(&web, 2);
        peer_send(&web, &peer, text, strlen(text));
        if (how == 2) CHECK_INT(shutdown(peer.fd, SHUT_WR), 0);
        web_turns(&web, 2);
        if (how == 0) rondo_close(web.server);
        if (how == 1) peer_reset(&peer);
        web_turns(&web, 8);
        if (how == 2) {
            peer_pump(&web, &peer);
            CHECK_INT(peer_count(&peer, "HTTP/1.1 200"), 9); /* and the answers behind the end */
            CHECK(peer.ended);
        }
        peer_close(&peer);
        web_close(&web);
    }
}

static void write_much(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request, (void)arg;
    rondo_http_response_on_aborted(response, end_it, NULL);
    CHECK_INT(rondo_http_response_begin(response, 200, -1), 0);
    size_t written = 0;
    int result = 1;
    while (result >= 0) {
        result = rondo_http_response_write(response, rondo_slice_of(big, 1000));
        if (result >= 0) written += 1000;
    }
    CHECK_INT(result, RONDO_ENOBUFS);
    CHECK(written >= 8000 && written <= 10000);
    CHECK_INT(rondo_http_response_end(response), 0);
}

TEST(response_queue_bytes) {
    rondo_http_limits limits = {.response_queue_bytes = 10000};
    web_host web;
    web_peer peer;
    web_open(&web, write_much, NULL, &limits);
    peer_ask(&web, &peer, GET("/"));
    CHECK_STR(peer_statuses(&peer), "200");
    CHECK(!peer.ended);
    peer_close(&peer);
    limits = (rondo_http_limits){.response_queue_bytes = SIZE_MAX};
    rondo_http_server_set_limits(web.server, &limits);
    rondo_http_server_get_limits(web.server, &limits);
    CHECK_INT(limits.response_queue_bytes, 15728640);
    web_close(&web);
}

/* Those who are told that there is no room are not without number either. */
TEST(far_above_the_limit) {
    enum { COUNT = 1024 + 8 };
    rondo_http_limits limits = {.connections = 1};
    web_host web;
    static web_peer peers[COUNT];
    rondo_http_figures figures;
    struct rlimit files = {4096, 4096};
    if (setrlimit(RLIMIT_NOFILE, &files) != 0) SKIP("too few descriptors");
    web_open(&web, reply_target, NULL, &limits);
    peer_ask(&web, &peers[0], GET("/"));
    for (int i = 1; i < COUNT; i++) {
        peer_open(&web, &peers[i]);
        if (i % 64 == 0) web_turns(&web, 8);
    }
    web_turns(&web, 20);
    rondo_http_server_get_figures(web.server, &figures);
    CHECK_INT(figures.connections, 1);
    CHECK_INT(figures.turned_away, 1024);
    CHECK_INT(figures.closed_at_once, COUNT - 1 - 1024);
    peer_say(&web, &peers[0], GET("/"));
    CHECK_STR(peer_statuses(&peers[0]), "200,200"); /* what is in flight goes on */
    for (int i = 0; i < COUNT; i++) peer_close(&peers[i]);
    web_turns(&web, 30);
    rondo_http_server_get_figures(web.server, &figures);
    CHECK_INT(figures.connections, 0);
    web_close(&web);
}
