/* SPDX-License-Identifier: MIT
 *
 * The HTTP server's memory: none per request in a steady state, little per idle connection, and every
 * allocation may fail.
 */
#define _GNU_SOURCE
#include "http_peer.h"

#include "http/server/connection.h"
#include "http/server/response.h"

#define POST(fields) "POST / HTTP/1.1\r\nHost: a\r\n" fields "\r\n"

/* ---- nothing per request ---- */

static void end_it(rondo_http_request *request, void *arg) {
    (void)request;
    CHECK_INT(rondo_http_response_reply(arg, 200, "text/plain", rondo_slice_text("ok")), 0);
}

/* Fields, a body listener, a stream: what applications do. */
static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_slice target = rondo_http_request_target(request);
    (void)arg;
    rondo_http_request_header(request, "Accept");
    rondo_http_response_header(response, "X-Target", "a value");
    if (target.data[1] == 's') {
        rondo_http_response_begin(response, 200, -1);
        rondo_http_response_write(response, rondo_slice_text("streamed"));
        rondo_http_response_end(response);
    } else {
        rondo_http_request_on_end(request, end_it, response);
    }
}

/* Formatting never settles on this one. */
/* clang-format off */
#define ROUND                                                                                      \
    GET("/s") GET("/a") POST("Content-Length: 3\r\n") "abc"                                        \
    POST("Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n0\r\n\r\n"
/* clang-format on */

TEST(steady_state_allocates_nothing) {
    web_host web;
    web_peer peers[8];
    web_open(&web, on_request, NULL, NULL);
    for (int i = 0; i < 8; i++) peer_open(&web, &peers[i]);
    size_t before = 0;
    for (int round = 0; round < 330; round++) {
        if (round == 10) before = harness_alloc_count();
        for (int i = 0; i < 8; i++) peer_send(&web, &peers[i], ROUND, strlen(ROUND));
        for (int i = 0; i < 8; i++) {
            peer_forget(&peers[i]);
            peer_pump(&web, &peers[i]);
            CHECK_INT(peer_count(&peers[i], "HTTP/1.1 200"), 4);
        }
    }
    CHECK_INT(harness_alloc_count() - before, 0); /* over 10,000 requests */
    for (int i = 0; i < 8; i++) peer_close(&peers[i]);
    web_close(&web);
}

/* Also octet by octet, and with a head that needs memory of its own: that goes back. */
TEST(live_blocks_stay_the_same) {
    web_host web;
    web_peer peer;
    char text[8000] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    memset(text + strlen(text), 'x', 6000);
    strcat(text, "\r\n\r\n");
    web_open(&web, on_request, NULL, NULL);
    peer_ask(&web, &peer, GET("/a"));
    peer_say(&web, &peer, text);
    size_t blocks = harness_live_blocks();
    for (int i = 0; i < 5; i++) {
        peer_say(&web, &peer, text);
        peer_spell(&web, &peer, GET("/a"), strlen(GET("/a")));
    }
    CHECK_INT(peer_count(&peer, "HTTP/1.1 200"), 12);
    CHECK_INT(harness_live_blocks(), blocks);
    peer_close(&peer);
    web_close(&web);
}

/* An idle connection is its stream and nothing else. */
TEST(idle_connection_is_one_block) {
    enum { COUNT = 50 };
    web_host web;
    web_peer peers[COUNT];
    web_open(&web, on_request, NULL, NULL);
    peer_ask(&web, &peers[0], GET("/a"));
    size_t blocks = harness_live_blocks();
    for (int i = 1; i < COUNT; i++) {
        peer_ask(&web, &peers[i], GET("/a"));
        CHECK(peer_has(&peers[i], "HTTP/1.1 200"));
    }
    CHECK(harness_live_blocks() - blocks <= COUNT - 1 + 4); /* and some tables that grow */
    CHECK(sizeof(rondo__http_conn) <= 112); /* with the stream before it, 432 bytes of malloc */
    for (int i = 0; i < COUNT; i++) peer_close(&peers[i]);
    web_close(&web);
}

typedef struct shelf {
    rondo_http_response *responses[2048];
    int count;
} shelf;

static void put_on_shelf(rondo_http_request *request, rondo_http_response *response, void *arg) {
    shelf *s = arg;
    (void)request;
    s->responses[s->count++] = response;
}

/* What is kept for later is bounded. */
TEST(free_lists_are_bounded) {
    enum { COUNT = RONDO__SPARE_REQUESTS + 40 };
    web_host web;
    web_peer peers[COUNT];
    shelf s = {.count = 0};
    web_open(&web, put_on_shelf, &s, NULL);
    for (int i = 0; i < COUNT; i++) peer_ask(&web, &peers[i], GET("/"));
    CHECK_INT(s.count, COUNT);
    for (int i = 0; i < COUNT; i++) CHECK_INT(rondo_http_response_end(s.responses[i]), 0);
    web_turns(&web, 3);
    rondo__http *http = rondo__http_of(web.loop);
    CHECK_INT(http->spare_request_count, RONDO__SPARE_REQUESTS);
    CHECK_INT(http->spare_response_count, COUNT);
    for (int i = 0; i < COUNT; i++) peer_close(&peers[i]);
    web_close(&web);
}

static void end_now(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request, (void)arg;
    CHECK_INT(rondo_http_response_end(response), 0);
}

TEST(free_responses_are_bounded) {
    enum { COUNT = 500, PEERS = RONDO__SPARE_RESPONSES / COUNT + 1 };
    web_host web;
    web_peer peers[PEERS];
    char *text = calloc(COUNT, sizeof GET("/"));
    web_open(&web, end_now, NULL, &(rondo_http_limits){.pipeline_depth = COUNT});
    CHECK_INT(rondo_loop_set_budget(web.loop, RONDO_BUDGET_ready, UINT32_MAX), 0);
    for (size_t i = 0, len = strlen(GET("/")); i < COUNT; i++)
        memcpy(text + i * len, GET("/"), len);
    for (int i = 0; i < PEERS; i++) peer_ask(&web, &peers[i], "");
    for (int i = 0; i < PEERS; i++) peer_send(&web, &peers[i], text, strlen(text));
    for (int i = 0; i < PEERS; i++) { /* all in one turn, before any can go back */
        peer_pump(&web, &peers[i]);
        CHECK_INT(peer_count(&peers[i], "HTTP/1.1 204"), COUNT);
        peer_close(&peers[i]);
    }
    CHECK_INT(rondo__http_of(web.loop)->spare_response_count, RONDO__SPARE_RESPONSES);
    free(text);
    web_close(&web);
}

/* ---- every allocation may fail ---- */

typedef struct story {
    int requests, ended;
} story;

static void story_close(rondo_handle *response, void *arg) {
    (void)response;
    ((story *)arg)->ended++;
}

static void story_aborted(rondo_http_response *response, void *arg) {
    (void)arg;
    rondo_close(response);
}

static void story_end(rondo_http_request *request, void *arg) {
    rondo_http_response *response = arg;
    static char body[20000];
    rondo_slice target = rondo_http_request_target(request);
    memset(body, 'b', sizeof body);
    if (target.len > 1) {
        int result = rondo_http_response_begin(response, 200, -1);
        if (result == 0) result = rondo_http_response_write(response, rondo_slice_of(body, 20000));
        if (result < 0) {
            CHECK(result == RONDO_ENOMEM || result == RONDO_ECLOSED);
            rondo_close(response);
        } else {
            result = rondo_http_response_end(response);
            CHECK(result == 0 || result == RONDO_ENOMEM || result == RONDO_ECLOSED);
        }
    } else {
        int result = rondo_http_response_reply(response, 200, NULL, rondo_slice_of(body, 20000));
        CHECK(result == 0 || result == RONDO_ENOMEM || result == RONDO_ECLOSED);
    }
}

static void story_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    story *s = arg;
    char value[4000];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    s->requests++;
    CHECK_INT(rondo_on_close(response, story_close, s), 0);
    int result = rondo_http_response_header(response, "X-Long", value);
    CHECK(result == 0 || result == RONDO_ENOMEM);
    rondo_http_response_on_aborted(response, story_aborted, NULL);
    rondo_http_request_on_end(request, story_end, response);
}

/* The whole life of a loop, a server and two connections. False when nothing could be made. */
static bool tell(story *s, const char *text, size_t len) {
    rondo_loop *loop = rondo_loop_new();
    if (!loop) return false;
    web_host web = {.loop = loop, .server = rondo_http_server_new(loop)};
    if (!web.server) {
        rondo_loop_free(loop);
        return false;
    }
    rondo_http_server_on_request(web.server, story_request, s);
    int result = rondo_http_server_listen(web.server, "127.0.0.1", 0);
    CHECK(result == 0 || result == RONDO_ENOMEM);
    if (result == 0) {
        web_peer peer;
        web.port = rondo_http_server_port(web.server);
        peer_open(&web, &peer);
        peer_send(&web, &peer, text, len);
        peer_pump(&web, &peer);
        peer_pump(&web, &peer);
        peer_close(&peer);
    }
    rondo_close(web.server);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    rondo__loop_verify(loop);
    rondo_loop_free(loop);
    return true;
}

TEST(out_of_memory_at_any_point) {
    char text[12000] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    memset(text + strlen(text), 'x', 5000); /* a head that grows */
    strcat(text, "\r\n\r\n");
    strcat(text, POST("Content-Length: 3\r\n") "abc");
    strcat(text, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    strcat(text, POST("Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n0\r\n\r\nBAD\r\n");
    for (long n = 0;; n++) {
        story s = {0};
        harness_fail_alloc_after(n);
        bool told = tell(&s, text, strlen(text));
        CHECK_INT(s.ended, s.requests);
        CHECK_INT(harness_live_blocks(), 0);
        if (!harness_alloc_failed()) {
            CHECK(told);
            CHECK_INT(s.requests, 4);
            CHECK(n > 15);
            break;
        }
    }
}
