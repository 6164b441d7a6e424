/* SPDX-License-Identifier: MIT
 *
 * What changes under way: a request without a body that is paused, limits that are lowered while
 * their octets arrive, an answer that failed and gets another, two clocks of one connection, a drain
 * with octets still on their way.
 */
#include "http_peer.h"

static rondo_http_request *held_request;
static rondo_http_response *held_response;
static int ends;
static size_t body_octets;

static void on_end(rondo_http_request *request, void *arg) {
    (void)request, (void)arg;
    ends++;
    if (held_response) rondo_http_response_reply(held_response, 200, NULL, rondo_slice_text("ok"));
    held_response = NULL;
}

static void on_data(rondo_http_request *request, rondo_slice chunk, void *arg) {
    (void)request, (void)arg;
    body_octets += chunk.len;
}

static void hold(rondo_http_request *request, rondo_http_response *response, void *pause) {
    held_request = request;
    held_response = response;
    ends = 0;
    body_octets = 0;
    rondo_http_request_on_data(request, on_data, NULL);
    rondo_http_request_on_end(request, on_end, NULL);
    if (pause) CHECK_INT(rondo_http_request_pause(request), 0);
}

TEST(pause_holds_the_end_of_no_body_back) {
    web_host web;
    web_peer peer;
    web_open(&web, hold, &web, NULL);
    peer_ask(&web, &peer, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_INT(ends, 0);
    CHECK_INT(rondo_http_request_resume(held_request), 0);
    CHECK_INT(ends, 0); /* not inside the call */
    peer_pump(&web, &peer);
    CHECK_INT(ends, 1);
    CHECK_STR(peer_statuses(&peer), "200");
    peer_close(&peer);
    web_close(&web);
}

static void set_limits(web_host *web, uint64_t body_bytes, size_t head_bytes) {
    rondo_http_limits limits = {
        .body_bytes = body_bytes, .trailer_bytes = head_bytes, .head_bytes = head_bytes};
    rondo_http_server_set_limits(web->server, &limits);
}

#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

TEST(a_lowered_body_limit_holds) {
    web_host web;
    web_peer peer;
    web_open(&web, hold, NULL, NULL);
    peer_ask(&web, &peer, CHUNKED "5\r\nhello\r\n5\r\nhello\r\n");
    CHECK_INT(body_octets, 10);
    set_limits(&web, 6, 0);
    peer_say(&web, &peer, "5\r\nhello\r\n0\r\n\r\n");
    CHECK_INT(body_octets, 10);
    CHECK_STR(peer_statuses(&peer), "413");
    rondo_close(held_response);
    peer_close(&peer);
    web_close(&web);
}

/* Fields of 40 octets each. */
static void say_fields(web_host *web, web_peer *peer, int count) {
    while (count-- > 0) peer_say(web, peer, "X-Field: 0123456789012345678901234567\r\n");
}

TEST(a_lowered_head_limit_holds) {
    web_host web;
    web_peer peer;
    web_open(&web, hold, NULL, NULL);
    peer_ask(&web, &peer, "GET / HTTP/1.1\r\nHost: a\r\n");
    say_fields(&web, &peer, 50);
    set_limits(&web, 0, 1000);
    peer_say(&web, &peer, "\r\n");
    CHECK_STR(peer_statuses(&peer), "431");
    peer_close(&peer);
    set_limits(&web, 0, 0);
    peer_ask(&web, &peer, CHUNKED "0\r\n"); /* the same for trailers */
    say_fields(&web, &peer, 50);
    set_limits(&web, 0, 1000);
    peer_say(&web, &peer, "\r\n");
    CHECK_STR(peer_statuses(&peer), "431");
    CHECK_INT(ends, 0);
    rondo_close(held_response);
    peer_close(&peer);
    web_close(&web);
}

TEST(a_header_count_above_32_bits_is_no_small_one) {
    rondo_http_limits limits = {.header_count = (size_t)1 << 32};
    web_host web;
    web_peer peer;
    web_open(&web, reply_target, NULL, &limits);
    peer_ask(&web, &peer, "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\n");
    CHECK_STR(peer_statuses(&peer), "200");
    peer_close(&peer);
    web_close(&web);
}

static void fail_then_reply(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request, (void)arg;
    harness_fail_alloc_after(0);
    int status = rondo_http_response_begin(response, 204, 0);
    bool failed = harness_alloc_failed();
    harness_fail_alloc_after(-1);
    CHECK(failed);
    CHECK_INT(status, RONDO_ENOMEM);
    CHECK_INT(rondo_http_response_reply(response, 503, NULL, rondo_slice_text("later")), 0);
}

/* A begin that failed leaves nothing behind: the next answer has its body. */
TEST(another_answer_after_one_that_failed) {
    web_host web;
    web_peer peer;
    web_open(&web, fail_then_reply, NULL, NULL);
    peer_ask(&web, &peer, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_STR(peer_statuses(&peer), "503");
    CHECK_STR(peer_body(&peer), "later");
    peer_close(&peer);
    web_close(&web);
}

static char big[8 * 1024 * 1024];

static void answer_early(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    held_response = response;
    rondo_http_request_on_data(request, on_data, NULL);
    CHECK_INT(rondo_http_response_begin(response, 200, -1), 0);
    CHECK_INT(rondo_http_response_write(response, rondo_slice_of(big, sizeof big)), 0);
}

/* The alarm wakes up for the body's clock long before the client has had its time to read. */
TEST(the_clock_of_a_body_does_not_shorten_that_of_the_answer) {
    rondo_http_limits limits = {.write_timeout_ms = 30000, .body_timeout_ms = 15000};
    web_host web;
    web_peer peer;
    web_open(&web, answer_early, NULL, &limits);
    peer_open(&web, &peer);
    const char *head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    peer_send(&web, &peer, head, strlen(head));
    web_turns(&web, 5);
    int second = 0;
    while (rondo_http_response_write(held_response, rondo_slice_of(NULL, 0)) >= 0) {
        char part[700] = {0}; /* it uploads well, and reads nothing */
        CHECK(++second < 90);
        peer_send(&web, &peer, part, sizeof part);
        web_turns(&web, 3);
        web_advance(&web, 1000);
    }
    CHECK(second >= 30 && second <= 61); /* looked at once in a while: at most twice the time */
    rondo_close(held_response);
    peer_close(&peer);
    web_close(&web);
}

static void reply_big(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request, (void)arg;
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, rondo_slice_of(big, sizeof big)), 0);
}

/* Drained, with the answer ended and its octets queued: the connection ends right behind them. */
TEST(a_drain_behind_an_answer_on_its_way_ends_with_it) {
    web_host web;
    web_peer peer;
    web_open(&web, reply_big, NULL, NULL);
    peer_open(&web, &peer);
    peer_send(&web, &peer, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
    web_turns(&web, 5);
    CHECK_INT(rondo_http_server_drain(web.server, 0), 0);
    web_turns(&web, 5);
    web_advance(&web, 500); /* the grace for idle connections is over, the octets are still here */
    for (int i = 0; i < 5000 && !peer.ended; i++) {
        while (peer_read(&peer)) {}
        rondo_loop_run(web.loop, RONDO_RUN_NOWAIT);
    }
    CHECK(peer.len > sizeof big);
    CHECK(peer.ended && !peer.reset);
    peer_close(&peer);
    web_close(&web);
}
