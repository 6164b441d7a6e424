/* SPDX-License-Identifier: MIT
 *
 * When the end of an answer is told (rondo_http_server_on_response()): once its last octet has left or never
 * will, with the octets that did, before the response's `close`.
 */
#include "http_peer.h"

#include "http/server/connection.h"
#include "net/stream.h"

/* More than the buffers of two sockets hold. */
#define BIG ((size_t)14 * 1024 * 1024)

typedef struct heard {
    web_host web;
    const char *big;
    int asked, told, closed, drains;
    uint64_t bytes[512];
    char targets[512][16];
    bool no_memory;
    rondo_http_response *open; /* of "/open": not ended */
} heard;

static void on_closed(rondo_handle *response, void *arg) {
    heard *h = arg;
    (void)response;
    h->closed++;
    CHECK(h->closed <= h->told || !h->web.server || rondo_is_closing(h->web.server));
}

static void on_drain(rondo_http_response *response, void *arg) {
    (void)response;
    ((heard *)arg)->drains++;
}

static void answer(rondo_http_request *request, rondo_http_response *response, void *arg) {
    heard *h = arg;
    rondo_slice target = rondo_http_request_target(request);
    h->asked++;
    CHECK_INT(rondo_on_close(response, on_closed, h), 0); /* the first: can't fail */
    if (target.len == 5 && memcmp(target.data, "/open", 5) == 0) {
        rondo_http_response_on_drain(response, on_drain, h);
        CHECK_INT(rondo_http_response_begin(response, 200, -1), 0);
        h->open = response;
        rondo_http_response_write(response, rondo_slice_text("part"));
        return;
    }
    size_t len = target.len > 1 ? (size_t)strtoul(target.data + 1, NULL, 10) : 0;
    int result = rondo_http_response_reply(response, 200, NULL, rondo_slice_of(h->big, len));
    CHECK(result == 0 || h->no_memory);
}

static void on_response(rondo_http_request *request, rondo_http_response *response, void *arg) {
    heard *h = arg;
    rondo_slice target = rondo_http_request_target(request);
    CHECK(h->told < 512);
    h->bytes[h->told] = rondo_http_response_bytes(response);
    snprintf(h->targets[h->told++], 16, "%.*s", (int)target.len, target.data);
    CHECK(h->closed < h->told);
}

static void hear(heard *h) {
    *h = (heard){.big = calloc(1, BIG)};
    CHECK(h->big != NULL);
    web_open(&h->web, answer, h, NULL);
    CHECK_INT(rondo_http_server_on_response(h->web.server, on_response, h), 0);
}

static void hear_no_more(heard *h) {
    web_close(&h->web);
    CHECK_INT(h->closed, h->asked);
    free((void *)(uintptr_t)h->big);
}

/* Sends without reading anything. */
static void ask(heard *h, web_peer *peer, const char *text) {
    int before = h->asked;
    CHECK_INT(send(peer->fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    for (int i = 0; i < 6 || (h->asked == before && h->told == before && i < 10000); i++)
        web_turns(&h->web, 1);
}

/* The client reads until so many have been told: the kernel moves octets when it finds the time. */
static void take_until(heard *h, web_peer *peer, int told) {
    for (long long end = harness_now_ms() + 20000; h->told < told;) {
        CHECK(harness_now_ms() < end);
        peer_pump(&h->web, peer);
    }
    peer_pump(&h->web, peer);
    CHECK_INT(h->told, told);
}

/* Until all are; requests that were held back are asked meanwhile. */
static void take_all(heard *h, web_peer *peer) {
    peer_pump(&h->web, peer);
    for (long long end = harness_now_ms() + 20000; h->told < h->asked;) {
        CHECK(harness_now_ms() < end);
        peer_pump(&h->web, peer);
        peer_pump(&h->web, peer);
    }
    CHECK_INT(h->told, h->asked);
}

TEST(an_answer_is_told_when_it_has_left) {
    heard h;
    web_peer peer;
    hear(&h);
    peer_open(&h.web, &peer);
    ask(&h, &peer, GET("/14000000"));
    CHECK_INT(h.asked, 1);
    CHECK_INT(h.told, 0);
    CHECK_INT(h.closed, 0);
    take_until(&h, &peer, 1);
    CHECK_INT(h.closed, 1);
    CHECK_INT(h.bytes[0], 14000000);
    ask(&h, &peer, GET("/3"));
    take_until(&h, &peer, 2);
    CHECK_INT(h.bytes[1], 3);
    peer_close(&peer);
    hear_no_more(&h);
}

typedef struct ordered {
    heard h;
    uint64_t asked_in, told_in; /* turns */
    char trace[256];
} ordered;

static void trace_close(rondo_handle *response, void *arg) {
    ordered *o = arg;
    CHECK_INT(rondo_loop_phase(rondo_handle_loop(response)), RONDO_PHASE_closing);
    strcat(o->trace, " close");
    o->h.closed++;
}

static void trace_immediate(rondo_loop *loop, void *arg) {
    (void)loop;
    strcat(((ordered *)arg)->trace, " immediate");
}

static void trace_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    ordered *o = arg;
    const char *target = rondo_http_request_target(request).data;
    o->h.asked++;
    o->asked_in = rondo_loop_turn(o->h.web.loop);
    strcat(o->trace, " request");
    CHECK_INT(rondo_on_close(response, trace_close, o), 0);
    CHECK(rondo_immediate(o->h.web.loop, trace_immediate, o) != 0);
    rondo_slice body = rondo_slice_of(o->h.big, (size_t)strtoul(target + 1, NULL, 10));
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, body), 0);
}

static void trace_response(rondo_http_request *request, rondo_http_response *response, void *arg) {
    ordered *o = arg;
    (void)request, (void)response;
    CHECK_INT(rondo_loop_phase(o->h.web.loop), RONDO_PHASE_closing);
    o->told_in = rondo_loop_turn(o->h.web.loop);
    strcat(o->trace, " told");
    o->h.told++;
}

TEST(order_38_an_answer_is_told_in_the_closing_phase_once_it_has_left) {
    ordered o = {.trace = ""};
    web_peer peer;
    hear(&o.h);
    rondo_http_server_on_request(o.h.web.server, trace_request, &o);
    rondo_http_server_on_response(o.h.web.server, trace_response, &o);
    peer_ask(&o.h.web, &peer, GET("/1") GET("/2"));
    take_until(&o.h, &peer, 2);
    CHECK_STR(o.trace, " request request immediate immediate told close told close");
    CHECK(o.told_in == o.asked_in);
    o.trace[0] = '\0';
    ask(&o.h, &peer, GET("/14000000"));
    web_turns(&o.h.web, 3);
    CHECK_STR(o.trace, " request immediate");
    take_until(&o.h, &peer, 3);
    CHECK_STR(o.trace, " request immediate told close");
    CHECK(o.told_in > o.asked_in);
    peer_close(&peer);
    hear_no_more(&o.h);
}

TEST(one_that_breaks_off_is_told_with_what_has_left) {
    for (int reset = 0; reset < 2; reset++) {
        heard h;
        web_peer peer;
        hear(&h);
        peer_open(&h.web, &peer);
        ask(&h, &peer, GET("/14000000"));
        while (peer.len < 100000) {
            peer_read(&peer);
            rondo_loop_run(h.web.loop, RONDO_RUN_NOWAIT);
        }
        CHECK_INT(h.told, 0);
        if (reset) /* the kernel says so */
            peer_reset(&peer);
        else /* or a timeout */
            web_advance(&h.web, 1000000);
        for (long long end = harness_now_ms() + 20000; h.told < 1 && harness_now_ms() < end;)
            web_turns(&h.web, 1);
        CHECK_INT(h.told, 1);
        CHECK(h.bytes[0] > 90000 && h.bytes[0] < 14000000);
        CHECK_STR(h.targets[0], "/14000000");
        if (!reset) peer_close(&peer);
        hear_no_more(&h);
        CHECK_INT(h.told, 1);
    }
}

TEST(answers_are_told_in_order) {
    heard h;
    web_peer peer;
    hear(&h);
    peer_open(&h.web, &peer);
    /* The first fills the kernel; those behind it wait in the queue, below its mark. */
    ask(&h, &peer, GET("/14000000"));
    take_until(&h, &peer, 1);
    ask(&h, &peer, GET("/1") GET("/2") GET("/12000000") GET("/4"));
    for (long long end = harness_now_ms() + 20000; h.asked < 4 && harness_now_ms() < end;)
        web_turns(&h.web, 1);
    CHECK_INT(h.asked, 4); /* the connection is full */
    CHECK_INT(h.told, 3);
    take_until(&h, &peer, 5);
    CHECK_STR(h.targets[2], "/2");
    CHECK_STR(h.targets[3], "/12000000");
    CHECK_STR(h.targets[4], "/4");
    peer_close(&peer);
    hear_no_more(&h);
}

/* Asks for the same until the client's connection takes no more, and an answer waits for that. */
static void block(heard *h, web_peer *peer, const char *text) {
    peer_open(&h->web, peer);
    for (int last = -1; h->asked > last || h->asked == h->told;) {
        last = h->asked;
        ask(h, peer, text);
        CHECK(h->asked < 500);
    }
}

static void count_only(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request, (void)response;
    ((heard *)arg)->told++;
}

TEST(few_wait_at_a_time_and_all_are_told_once) {
    heard h;
    web_peer peer;
    hear(&h);
    CHECK_INT(rondo_http_server_on_response(h.web.server, count_only, &h), 0);
    block(&h, &peer, GET("/60000"));
    CHECK(h.asked - h.told >= 1);
    CHECK(h.asked - h.told <= 16);
    take_all(&h, &peer);
    CHECK_INT(h.closed, h.asked);
    peer_close(&peer);
    hear_no_more(&h);
    CHECK_INT(h.told, h.asked);
}

static void fill(rondo_http_request *request, rondo_http_response *response, void *arg) {
    heard *h = arg;
    (void)request;
    h->asked++;
    CHECK_INT(rondo_on_close(response, on_closed, h), 0);
    size_t len = h->asked == 1 ? 14000000 : 100;
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, rondo_slice_of(h->big, len)), 0);
}

TEST(behind_sixteen_that_wait_others_are_told_at_once) {
    heard h;
    web_peer peer;
    hear(&h);
    rondo_http_server_on_request(h.web.server, fill, &h);
    rondo_http_server_on_response(h.web.server, count_only, &h);
    peer_open(&h.web, &peer);
    ask(&h, &peer, GET("/"));
    CHECK_INT(h.told, 0);
    /* As if the mark were far away: the queue takes any number of small ones. */
    rondo__http_conn *conn =
        RONDO__OF(((rondo_http_server *)h.web.server)->conns.next, rondo__http_conn, link);
    for (int i = 0; i < 40; i++) {
        conn->flags &= (uint16_t)~RONDO__CONN_FULL;
        rondo__conn_go_on(conn);
        ask(&h, &peer, GET("/"));
    }
    CHECK_INT(h.asked, 41);
    CHECK_INT(h.asked - h.told, 16);
    take_until(&h, &peer, 41);
    peer_close(&peer);
    hear_no_more(&h);
}

/* A client that gets everything at once costs no `drain` of an answer that is not ended. */
TEST(an_answer_that_waits_is_no_news_to_the_next_one) {
    heard h;
    web_peer peer;
    hear(&h);
    block(&h, &peer, GET("/60000"));
    ask(&h, &peer, GET("/open"));
    for (long long end = harness_now_ms() + 20000; !h.open && harness_now_ms() < end;)
        peer_pump(&h.web, &peer);
    CHECK(h.open != NULL);
    int asked_for = h.drains; /* it may have been told to wait itself */
    CHECK(asked_for <= 1);
    CHECK_INT(rondo_http_response_end(h.open), 0);
    take_all(&h, &peer);
    peer_close(&peer);
    hear_no_more(&h);
}

static void take_over(rondo_http_request *request, rondo_http_response *response, void *arg) {
    heard *h = arg;
    rondo_stream *stream = NULL;
    if (rondo_http_request_upgrade(request).data == NULL) {
        answer(request, response, arg);
        return;
    }
    h->asked++;
    CHECK_INT(rondo_on_close(response, on_closed, h), 0);
    CHECK_INT(rondo_http_response_header(response, "Upgrade", "x"), 0);
    CHECK_INT(rondo_http_response_upgrade(response, 101, &stream), 0);
    rondo_close(stream);
}

TEST(an_upgrade_behind_an_answer) {
    heard h;
    web_peer peer;
    hear(&h);
    rondo_http_server_on_request(h.web.server, take_over, &h);
    /* In one chunk, so that the first has its turn in the closing phase after HTTP has been left. */
    peer_ask(&h.web, &peer,
             GET("/5") "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    take_until(&h, &peer, 2);
    CHECK_INT(h.asked, 2);
    CHECK_INT(h.bytes[0], 5);
    peer_close(&peer);
    /* Behind one that waits: it is told, with the octets that it has. */
    h.asked = h.told = h.closed = 0;
    block(&h, &peer, GET("/60000"));
    ask(&h, &peer, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    int before = h.asked; /* until the last one has been asked, too */
    for (long long end = harness_now_ms() + 20000; h.asked == before && harness_now_ms() < end;)
        peer_pump(&h.web, &peer);
    take_all(&h, &peer);
    peer_close(&peer);
    hear_no_more(&h);
}

TEST(a_drain_that_is_over_tells_what_it_breaks_off) {
    heard h;
    web_peer one, two;
    hear(&h);
    peer_open(&h.web, &one);
    peer_open(&h.web, &two);
    ask(&h, &one, GET("/14000000"));
    ask(&h, &two, GET("/13000000"));
    CHECK_INT(rondo_http_server_drain(h.web.server, 1000), 0);
    web_turns(&h.web, 20);
    CHECK_INT(h.told, 0);
    web_advance(&h.web, 1000);
    web_turns(&h.web, 4);
    CHECK(h.web.server == NULL);
    CHECK_INT(h.told, 2);
    CHECK(h.bytes[0] > 0 && h.bytes[0] < 14000000);
    CHECK(h.bytes[1] > 0 && h.bytes[1] < 13000000);
    CHECK_INT(h.closed, 2);
    peer_close(&one);
    peer_close(&two);
    web_turns(&h.web, 4);
    rondo_loop_free(h.web.loop);
    free((void *)(uintptr_t)h.big);
}

TEST(a_drain_whose_time_is_over_at_once_closes_the_server) {
    heard h;
    web_peer peer;
    hear(&h);
    peer_open(&h.web, &peer);
    ask(&h, &peer, GET("/14000000"));
    CHECK_INT(rondo_http_server_drain(h.web.server, 1), 0);
    web_advance(&h.web, 2); /* the listener may still be there then */
    web_turns(&h.web, 6);
    CHECK(h.web.server == NULL);
    CHECK_INT(h.told, 1);
    peer_close(&peer);
    web_turns(&h.web, 4);
    rondo_loop_free(h.web.loop);
    free((void *)(uintptr_t)h.big);
}

TEST(a_server_that_closes_tells_nothing_more) {
    heard h;
    web_peer peer;
    hear(&h);
    peer_open(&h.web, &peer);
    ask(&h, &peer, GET("/14000000"));
    rondo_close(h.web.server);
    web_turns(&h.web, 4);
    CHECK_INT(h.told, 0);
    CHECK_INT(h.closed, 1);
    peer_close(&peer);
    hear_no_more(&h);
}

TEST(a_listener_that_is_taken_away_is_not_called) {
    heard h;
    web_peer peer;
    hear(&h);
    peer_open(&h.web, &peer);
    ask(&h, &peer, GET("/14000000"));
    CHECK_INT(rondo_http_server_on_response(h.web.server, NULL, NULL), 0);
    h.told = 1; /* as far as on_closed() is concerned */
    for (long long end = harness_now_ms() + 20000; h.closed < 1 && harness_now_ms() < end;)
        peer_pump(&h.web, &peer);
    CHECK_INT(h.closed, 1);
    peer_close(&peer);
    hear_no_more(&h);
    CHECK_INT(h.told, 1);
}

static void close_everything(rondo_http_request *request, rondo_http_response *response,
                             void *arg) {
    heard *h = arg;
    (void)request;
    h->told++;
    rondo_close(response); /* it has ended */
    if (h->web.server) rondo_close(h->web.server);
    rondo_loop_close_all(h->web.loop);
}

TEST(the_listener_may_close_everything) {
    for (int broken = 0; broken < 2; broken++) {
        heard h;
        web_peer peer;
        hear(&h);
        rondo_http_server_on_response(h.web.server, close_everything, &h);
        peer_open(&h.web, &peer);
        ask(&h, &peer, GET("/14000000"));
        if (broken) peer_reset(&peer);
        for (long long end = harness_now_ms() + 20000; h.told < 1 && harness_now_ms() < end;)
            if (broken)
                web_turns(&h.web, 1);
            else
                peer_pump(&h.web, &peer);
        web_turns(&h.web, 6);
        CHECK_INT(h.told, 1);
        CHECK(h.web.server == NULL);
        if (!broken) peer_close(&peer);
        CHECK_INT(rondo_loop_run(h.web.loop, RONDO_RUN_ALL), 0);
        rondo_loop_free(h.web.loop);
        CHECK_INT(h.closed, 1);
        free((void *)(uintptr_t)h.big);
    }
}

TEST(out_of_memory_tells_at_once) {
    heard h;
    web_peer peer;
    hear(&h);
    h.no_memory = true;
    peer_open(&h.web, &peer);
    for (long n = 0;; n++) {
        harness_fail_alloc_after(n);
        CHECK_INT(send(peer.fd, GET("/14000000"), strlen(GET("/14000000")), 0),
                  (ssize_t)strlen(GET("/14000000")));
        for (int i = 0; i < 6; i++) rondo_loop_run(h.web.loop, RONDO_RUN_NOWAIT);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        peer_reset(&peer); /* to read it all each time takes too long */
        for (long long end = harness_now_ms() + 20000; h.told < h.asked;) {
            CHECK(harness_now_ms() < end);
            web_turns(&h.web, 1);
        }
        if (!failed) break;
        web_turns(&h.web, 4);
        h.told = h.asked = h.closed = 0;
        peer_open(&h.web, &peer);
    }
    hear_no_more(&h);
}
