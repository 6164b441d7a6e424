/* SPDX-License-Identifier: MIT
 *
 * The HTTP server: what is asked, what is answered, in which order, over how many connections.
 */
#define _GNU_SOURCE
#include "http_peer.h"

#include <time.h>

/* ---- one request ---- */

TEST(answers) {
    web_host web;
    web_peer peer;
    web_open(&web, reply_target, NULL, NULL);
    peer_ask(&web, &peer, GET("/some/where?x=1"));
    CHECK(strncmp(peer.data, "HTTP/1.1 200 OK\r\nDate: ", 23) == 0);
    CHECK(peer_has(&peer, "\r\nContent-Type: text/plain\r\n"));
    CHECK(peer_has(&peer, "\r\nContent-Length: 15\r\n"));
    CHECK(!peer_has(&peer, "Connection:"));
    CHECK_STR(peer_body(&peer), "/some/where?x=1");
    CHECK(!peer.ended);
    peer_close(&peer);
    web_close(&web);
}

TEST(without_a_callback_everything_is_not_found) {
    web_host web;
    web_peer peer;
    web_open(&web, NULL, NULL, NULL);
    peer_ask(&web, &peer, GET("/") GET("/x"));
    CHECK_STR(peer_statuses(&peer), "404,404");
    CHECK(peer_has(&peer, "Not Found"));
    peer_close(&peer);
    web_close(&web);
}

TEST(date_is_now) {
    web_host web;
    web_peer peer;
    struct tm tm = {0};
    long long before = (long long)time(NULL) - 1; /* of a clock that is behind the other one */
    web_open(&web, reply_target, NULL, NULL);
    peer_ask(&web, &peer, GET("/"));
    const char *date = strstr(peer.data, "Date: ");
    CHECK(date != NULL && strptime(date + 6, "%a, %d %b %Y %T GMT\r\n", &tm) != NULL);
    CHECK(timegm(&tm) >= before && timegm(&tm) <= time(NULL) + 1);
    peer_close(&peer);
    web_close(&web);
}

/* The line is made again when its second is over, and not before. */
TEST(date_goes_on) {
    web_host web;
    web_peer peer;
    char first[35], second[35];
    web_open(&web, reply_target, NULL, NULL);
    peer_ask(&web, &peer, GET("/"));
    memcpy(first, strstr(peer.data, "Date: "), sizeof first);
    harness_sleep_ms(1100);
    peer_forget(&peer);
    peer_say(&web, &peer, GET("/"));
    memcpy(second, strstr(peer.data, "Date: "), sizeof second);
    CHECK(memcmp(first, second, sizeof first) == 0); /* no virtual time has passed */
    web_advance(&web, 1000);
    peer_forget(&peer);
    peer_say(&web, &peer, GET("/"));
    memcpy(second, strstr(peer.data, "Date: "), sizeof second);
    CHECK(memcmp(first, second, sizeof first) != 0);
    peer_close(&peer);
    web_close(&web);
}

static void check_slice(rondo_slice slice, const char *text) {
    CHECK_INT(slice.len, strlen(text));
    CHECK_MEM(slice.data, text, slice.len);
}

static void on_accessors(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_slice name, value;
    char address[64];
    check_slice(rondo_http_request_method(request), "PUT");
    check_slice(rondo_http_request_target(request), "/a/b?c=d?e");
    check_slice(rondo_http_request_path(request), "/a/b");
    check_slice(rondo_http_request_query(request), "c=d?e");
    CHECK_INT(rondo_http_request_minor(request), 1);
    CHECK_INT(rondo_http_request_header_count(request), 5);
    check_slice(rondo_http_request_header(request, "host"), "a:1");
    check_slice(rondo_http_request_header(request, "X-Many"), "one");
    check_slice(rondo_http_request_header(request, "x-EMPTY"), "");
    CHECK(rondo_http_request_header(request, "x-empty").data != NULL);
    CHECK(rondo_http_request_header(request, "nobody").data == NULL);
    CHECK(rondo_http_request_header(request, "x-man").data == NULL);
    static const char *const names[] = {"Host", "X-Many", "x-many", "X-Empty", "X-Last"};
    static const char *const values[] = {"a:1", "one", "two words", "", "z"};
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < 5; i++) {
            CHECK(rondo_http_request_header_at(request, i, &name, &value));
            check_slice(name, names[i]);
            check_slice(value, values[i]);
        }
    }
    CHECK(rondo_http_request_header_at(request, 2, &name, &value)); /* back, and the same again */
    check_slice(value, "two words");
    CHECK(rondo_http_request_header_at(request, 2, &name, &value));
    check_slice(value, "two words");
    CHECK(!rondo_http_request_header_at(request, 5, &name, &value));
    CHECK(rondo_http_request_peer(request, address, sizeof address) > 0);
    CHECK(strncmp(address, "127.0.0.1:", 10) == 0);
    *(int *)arg += 1;
    rondo_http_response_reply(response, 204, NULL, rondo_slice_of(NULL, 0));
}

TEST(request_can_be_read) {
    static const char text[] = "PUT /a/b?c=d?e HTTP/1.1\r\nHost: a:1\r\nX-Many:one\r\n"
                               "x-many: \t two words \t\r\nX-Empty:\r\nX-Last: z\r\n\r\n";
    web_host web;
    web_peer peer;
    int calls = 0;
    web_open(&web, on_accessors, &calls, NULL);
    peer_ask(&web, &peer, text);
    peer_spell(&web, &peer, text, sizeof text - 1);
    CHECK_INT(calls, 2);
    CHECK_STR(peer_statuses(&peer), "204,204");
    peer_close(&peer);
    web_close(&web);
}

static void reply_path_and_query(rondo_http_request *request, rondo_http_response *response,
                                 void *arg) {
    char text[256];
    (void)arg;
    rondo_slice path = rondo_http_request_path(request), query = rondo_http_request_query(request);
    snprintf(text, sizeof text, "[%.*s|%.*s%s]", (int)path.len, path.data, (int)query.len,
             query.data ? query.data : "", query.data ? "" : "none");
    rondo_http_response_reply(response, 200, NULL, rondo_slice_text(text));
}

TEST(forms_of_a_target) {
    static const struct {
        const char *request, *answer;
    } cases[] = {
        {GET("/"), "[/|none]"},
        {GET("/?"), "[/|]"},
        {GET("/p/q?r"), "[/p/q|r]"},
        {GET("http://h/p?q"), "[/p|q]"},
        {GET("http://h"), "[/|none]"},
        {GET("HTTPS://h:80?q"), "[/|q]"},
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "[*|none]"},
        {"OPTIONS /x HTTP/1.1\r\nHost: a\r\n\r\n", "[/x|none]"},
    };
    web_host web;
    web_peer peer;
    web_open(&web, reply_path_and_query, NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        peer_ask(&web, &peer, cases[i].request);
        CHECK_STR(peer_body(&peer), cases[i].answer);
        peer_close(&peer);
    }
    web_close(&web);
}

/* ---- connections ---- */

TEST(connection_is_kept) {
    web_host web;
    web_peer peer;
    web_open(&web, reply_target, NULL, NULL);
    peer_open(&web, &peer);
    for (int i = 0; i < 50; i++) {
        peer_forget(&peer);
        peer_say(&web, &peer, i % 2 ? GET("/odd") : GET("/even"));
        CHECK_STR(peer_body(&peer), i % 2 ? "/odd" : "/even");
    }
    peer_close(&peer);
    web_close(&web);
}

TEST(who_closes_and_says_so) {
    static const struct {
        const char *request;
        const char *line; /* NULL: no Connection field */
        bool closes;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", NULL, false},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "close", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x,\tCLOSE , y\r\n\r\n", "close", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
         "close", true},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", NULL, false},
        {"GET / HTTP/1.0\r\n\r\n", "close", true},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "keep-alive", false},
        {"GET / HTTP/1.0\r\nConnection: foo, keep-alive\r\n\r\n", "keep-alive", false},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "close", true},
    };
    web_host web;
    web_peer peer;
    char line[64];
    web_open(&web, reply_target, NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        peer_ask(&web, &peer, cases[i].request);
        CHECK_STR(peer_body(&peer), "/");
        CHECK_INT(peer.ended, cases[i].closes);
        snprintf(line, sizeof line, "\r\nConnection: %s\r\n", cases[i].line ? cases[i].line : "");
        CHECK_INT(peer_has(&peer, line), cases[i].line != NULL);
        CHECK_INT(peer_count(&peer, "Connection"), cases[i].line != NULL);
        peer_close(&peer);
    }
    web_close(&web);
}

TEST(nothing_after_close_is_answered) {
    web_host web;
    web_peer peer;
    web_open(&web, reply_target, NULL, NULL);
    peer_ask(&web, &peer,
             "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET("/2") "garbage");
    CHECK_STR(peer_statuses(&peer), "200");
    CHECK(peer.ended && !peer.reset);
    peer_close(&peer);
    web_close(&web);
}

/* A client that has ended its side still gets its answer, and then the end. */
TEST(half_closed_client_is_answered) {
    web_host web;
    web_peer peer;
    web_open(&web, reply_target, NULL, NULL);
    peer_open(&web, &peer);
    peer_send(&web, &peer, GET("/1") GET("/2"), 2 * strlen(GET("/1")));
    CHECK_INT(shutdown(peer.fd, SHUT_WR), 0);
    peer_pump(&web, &peer);
    CHECK_STR(peer_statuses(&peer), "200,200");
    CHECK(peer.ended && !peer.reset);
    peer_close(&peer);
    web_close(&web);
}

/* ---- pipelining ---- */

TEST(pipelined_requests_leave_together) {
    web_host web;
    web_peer peer;
    char text[4096] = "";
    web_open(&web, reply_target, NULL, NULL);
    peer_open(&web, &peer);
    web_turns(&web, 3);
    for (int i = 0; i < 16; i++) sprintf(text + strlen(text), GET("/%d"), i);
    peer_send(&web, &peer, text, strlen(text));
    web_turns(&web, 1);
    CHECK(peer_read(&peer)); /* in one segment: one system call has sent them */
    CHECK_INT(peer_count(&peer, "HTTP/1.1 200 OK"), 16);
    for (int i = 0; i < 16; i++) {
        sprintf(text, "\r\n\r\n/%d%s", i, i < 15 ? "HTTP" : "");
        CHECK_INT(peer_count(&peer, text), 1);
    }
    peer_close(&peer);
    web_close(&web);
}

/* Keeps the responses until they are wanted. */
typedef struct web_shelf {
    rondo_http_response *responses[64];
    int count;
} web_shelf;

static void put_on_shelf(rondo_http_request *request, rondo_http_response *response, void *arg) {
    web_shelf *shelf = arg;
    (void)request;
    shelf->responses[shelf->count++] = response;
}

static void answer_from_shelf(web_shelf *shelf, int i) {
    char text[32];
    snprintf(text, sizeof text, "<%d>", i);
    CHECK_INT(rondo_http_response_reply(shelf->responses[i], 200, NULL, rondo_slice_text(text)), 0);
}

/* The next request is not even begun before the one before it is answered. */
TEST(one_at_a_time) {
    web_host web;
    web_peer peer;
    web_shelf shelf = {.count = 0};
    web_open(&web, put_on_shelf, &shelf, NULL);
    peer_ask(&web, &peer, GET("/0") GET("/1") GET("/2") "GET /3 HTTP/1.1\r\nHo");
    for (int i = 0; i < 3; i++) {
        CHECK_INT(shelf.count, i + 1);
        answer_from_shelf(&shelf, i);
        CHECK_INT(shelf.count, i + 1); /* not inside the call */
        peer_pump(&web, &peer);
        CHECK_INT(peer_count(&peer, "HTTP/1.1 200 OK"), i + 1);
    }
    peer_say(&web, &peer, "st: a\r\n\r\n");
    CHECK_INT(shelf.count, 4);
    answer_from_shelf(&shelf, 3);
    peer_pump(&web, &peer);
    CHECK(strstr(strstr(strstr(strstr(peer.data, "<0>"), "<1>"), "<2>"), "<3>") != NULL);
    peer_close(&peer);
    web_close(&web);
}

/* An error in the request behind waits for the answers before it. */
TEST(refusal_waits_its_turn) {
    web_host web;
    web_peer peer;
    web_shelf shelf = {.count = 0};
    web_open(&web, put_on_shelf, &shelf, NULL);
    peer_ask(&web, &peer, GET("/0") "GET / HTTP/1.1\r\n\r\n");
    CHECK_STR(peer.data, "");
    answer_from_shelf(&shelf, 0);
    peer_pump(&web, &peer);
    CHECK_STR(peer_statuses(&peer), "200,400");
    CHECK(peer.ended && !peer.reset);
    peer_close(&peer);
    web_close(&web);
}

/* More than fits into one read: the kernel keeps what comes while a request is being worked on. */
TEST(long_pipeline_with_slow_answers) {
    enum { COUNT = 4000 };
    web_host web;
    web_peer peer;
    web_shelf shelf = {.count = 0};
    char *text = calloc(COUNT, 64);
    web_open(&web, put_on_shelf, &shelf, NULL);
    peer_open(&web, &peer);
    size_t len = 0;
    for (int i = 0; i < COUNT; i++) len += (size_t)sprintf(text + len, GET("/%d"), i);
    peer_send(&web, &peer, text, len);
    for (int i = 0; i < COUNT; i++) {
        while (shelf.count == 0) web_turns(&web, 1);
        CHECK_INT(shelf.count, 1);
        shelf.count = 0;
        CHECK_INT(rondo_http_response_end(shelf.responses[0]), 0);
    }
    peer_pump(&web, &peer);
    CHECK_INT(peer_count(&peer, "HTTP/1.1 204 No Content"), COUNT);
    free(text);
    peer_close(&peer);
    web_close(&web);
}

static const char *big_body(size_t len) {
    static char *body;
    if (!body) {
        body = malloc(len);
        CHECK(body != NULL);
        for (size_t i = 0; i < len; i++) body[i] = (char)('a' + i % 23 + i / 65536 % 3);
    }
    return body;
}

#define BIG ((size_t)1 << 20)

static void reply_big(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request;
    *(int *)arg += 1;
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, rondo_slice_of(big_body(BIG), BIG)),
              0);
}

/* A client that asks for more and reads nothing: its requests wait too. */
TEST(client_must_read) {
    web_host web;
    web_peer peer;
    int calls = 0;
    web_open(&web, reply_big, &calls, NULL);
    peer_open(&web, &peer);
    for (int i = 0; i < 40; i++) {
        peer_send(&web, &peer, GET("/"), strlen(GET("/")));
        rondo_loop_run(web.loop, RONDO_RUN_NOWAIT);
    }
    web_turns(&web, 50);
    CHECK(calls >= 1 && calls < 20); /* until the kernel's buffers and one queue are full */
    for (int i = 0; i < 5000 && peer.len < 40 * BIG; i++) {
        size_t before = peer.len;
        peer_pump(&web, &peer);
        if (peer.len == before) harness_sleep_ms(1); /* TCP takes its time to open a window */
    }
    CHECK_INT(calls, 40);
    CHECK(memcmp(strstr(peer.data, "\r\n\r\n") + 4, big_body(BIG), BIG) == 0);
    CHECK(memcmp(peer.data + peer.len - BIG, big_body(BIG), BIG) == 0);
    peer_close(&peer);
    web_close(&web);
}
