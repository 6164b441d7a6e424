/* SPDX-License-Identifier: MIT
 *
 * Request bodies: their pieces and their end, backpressure, what nobody wants, Expect.
 */
#define _GNU_SOURCE
#include "http_peer.h"

/* What a request's callbacks have brought, and what they do. */
typedef struct upload {
    rondo_http_request *request;
    rondo_http_response *response;
    char *data;
    size_t len, room;
    int pieces, ends, aborts, requests;
    bool pause;   /* after each piece */
    bool no_data; /* no listener for it */
    bool no_end;
    const char *early; /* answered inside the request callback */
} upload;

static void on_data(rondo_http_request *request, rondo_slice chunk, void *arg) {
    upload *up = arg;
    CHECK(request == up->request && chunk.len > 0);
    if (up->room < up->len + chunk.len + 1)
        up->data = realloc(up->data, up->room = 2 * (up->len + chunk.len + 1));
    CHECK(up->data != NULL);
    memcpy(up->data + up->len, chunk.data, chunk.len);
    up->len += chunk.len;
    up->data[up->len] = '\0';
    up->pieces++;
    if (up->pause) CHECK_INT(rondo_http_request_pause(request), 0);
}

static void on_end(rondo_http_request *request, void *arg) {
    upload *up = arg;
    char text[64];
    (void)request;
    up->ends++;
    snprintf(text, sizeof text, "%zu octets", up->len);
    CHECK_INT(rondo_http_response_reply(up->response, 200, NULL, rondo_slice_text(text)), 0);
}

static void on_aborted(rondo_http_response *response, void *arg) {
    upload *up = arg;
    CHECK(response == up->response);
    up->aborts++;
    CHECK_INT(rondo_http_response_end(response), RONDO_ECLOSED);
}

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    upload *up = arg;
    up->request = request;
    up->response = response;
    up->requests++;
    up->len = 0;
    rondo_http_response_on_aborted(response, on_aborted, up);
    if (!up->no_data) rondo_http_request_on_data(request, on_data, up);
    if (!up->no_end) rondo_http_request_on_end(request, on_end, up);
    if (up->early)
        CHECK_INT(rondo_http_response_reply(response, 200, NULL, rondo_slice_text(up->early)), 0);
}

#define POST(fields) "POST / HTTP/1.1\r\nHost: a\r\n" fields "\r\n"
#define CHUNKED POST("Transfer-Encoding: chunked\r\n")
#define LENGTH(n) POST("Content-Length: " n "\r\n")
#define EXPECT "Expect: 100-continue\r\n"

TEST(pieces_and_end) {
    web_host web;
    web_peer peer;
    upload up = {0};
    web_open(&web, on_request, &up, NULL);
    peer_ask(&web, &peer, LENGTH("10") "01234");
    CHECK_INT(up.pieces, 1);
    CHECK_INT(up.ends, 0);
    peer_say(&web, &peer, "56789");
    CHECK_INT(up.pieces, 2);
    CHECK_INT(up.ends, 1);
    CHECK_STR(up.data, "0123456789");
    peer_say(&web, &peer, CHUNKED "3\r\nabc\r\n");
    CHECK_STR(up.data, "abc");
    peer_say(&web, &peer, "2\r\nde\r\n0\r\n");
    CHECK_INT(up.ends, 1);
    peer_say(&web, &peer, "\r\n");
    CHECK_INT(up.ends, 2);
    CHECK_STR(up.data, "abcde");
    CHECK_STR(peer_statuses(&peer), "200,200");
    free(up.data);
    peer_close(&peer);
    web_close(&web);
}

TEST(end_comes_without_a_body) {
    web_host web;
    web_peer peer;
    upload up = {0};
    web_open(&web, on_request, &up, NULL);
    peer_ask(&web, &peer, GET("/") LENGTH("0"));
    CHECK_INT(up.ends, 2);
    CHECK_INT(up.pieces, 0);
    peer_close(&peer);
    web_close(&web);
}

/* ---- backpressure ---- */

/* After pause nothing comes until resume, not even from what was read already. */
TEST(pause_holds_chunks_back) {
    web_host web;
    web_peer peer;
    upload up = {.pause = true};
    web_open(&web, on_request, &up, NULL);
    peer_ask(&web, &peer, CHUNKED "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n" GET("/next"));
    for (int i = 1; i <= 3; i++) {
        CHECK_INT(up.pieces, i);
        CHECK_INT(up.ends, 0);
        CHECK_INT(rondo_http_request_resume(up.request), 0);
        CHECK_INT(up.pieces, i); /* not inside the call */
        CHECK_INT(rondo_http_request_resume(up.request), 0);
        web_turns(&web, 3);
    }
    CHECK_INT(up.requests, 2);
    CHECK_INT(up.ends, 2);
    peer_pump(&web, &peer);
    CHECK_STR(peer_statuses(&peer), "200,200");
    free(up.data);
    peer_close(&peer);
    web_close(&web);
}

TEST(pause_holds_the_end_back) {
    web_host web;
    web_peer peer;
    upload up = {.pause = true};
    web_open(&web, on_request, &up, NULL);
    peer_ask(&web, &peer, LENGTH("5") "hello");
    CHECK_INT(up.pieces, 1);
    CHECK_INT(up.ends, 0);
    CHECK_INT(rondo_http_request_resume(up.request), 0);
    CHECK_INT(up.ends, 0);
    web_turns(&web, 3);
    CHECK_INT(up.ends, 1);
    peer_say(&web, &peer, LENGTH("5") "hello" GET("/")); /* with octets behind */
    CHECK_INT(up.requests, 2);
    CHECK_INT(up.ends, 1);
    CHECK_INT(rondo_http_request_resume(up.request), 0);
    peer_pump(&web, &peer);
    CHECK_INT(up.ends, 3);
    CHECK_STR(peer_statuses(&peer), "200,200,200");
    free(up.data);
    peer_close(&peer);
    web_close(&web);
}

/* A paused client has to wait: what it sends stays in the kernel. */
TEST(pause_stops_the_client) {
    web_host web;
    web_peer peer;
    upload up = {.pause = true};
    size_t size = (size_t)8 << 20;
    char *body = calloc(1, size);
    web_open(&web, on_request, &up, NULL);
    peer_ask(&web, &peer, LENGTH("8388608"));
    memset(body, 'x', size);
    size_t sent = 0;
    for (int i = 0; i < 200; i++) {
        ssize_t count = send(peer.fd, body + sent, size - sent, MSG_NOSIGNAL);
        if (count > 0) sent += (size_t)count;
        web_turns(&web, 1);
    }
    CHECK(sent < size);
    CHECK_INT(up.pieces, 1);
    up.pause = false;
    CHECK_INT(rondo_http_request_resume(up.request), 0);
    peer_send(&web, &peer, body + sent, size - sent);
    for (int i = 0; i < 1000 && up.ends == 0; i++) peer_pump(&web, &peer);
    CHECK_INT(up.len, size);
    CHECK(memcmp(up.data, body, size) == 0);
    peer_pump(&web, &peer);
    CHECK_STR(peer_body(&peer), "8388608 octets");
    free(body);
    free(up.data);
    peer_close(&peer);
    web_close(&web);
}

/* An answer ends the pause: nobody is left to resume. */
TEST(answer_while_paused) {
    web_host web;
    web_peer peer;
    upload up = {.pause = true};
    web_open(&web, on_request, &up, NULL);
    peer_ask(&web, &peer, LENGTH("10") "01234");
    CHECK_INT(rondo_http_response_reply(up.response, 200, NULL, rondo_slice_text("enough")), 0);
    peer_say(&web, &peer, "56789");
    CHECK_INT(up.pieces, 1);
    peer_say(&web, &peer, CHUNKED "1\r\na\r\n1\r\nb\r\n0\r\n\r\n" GET("/"));
    CHECK_INT(rondo_http_response_reply(up.response, 200, NULL, rondo_slice_text("enough")), 0);
    peer_pump(&web, &peer);
    CHECK_STR(peer_statuses(&peer), "200,200,200");
    CHECK_INT(up.requests, 3);
    free(up.data);
    peer_close(&peer);
    web_close(&web);
}

/* Paused with the whole body there, the end held back. */
TEST(answer_while_the_end_is_held_back) {
    web_host web;
    web_peer peer;
    upload up = {.pause = true};
    web_open(&web, on_request, &up, NULL);
    peer_ask(&web, &peer, LENGTH("5") "hello");
    CHECK_INT(rondo_http_response_reply(up.response, 200, NULL, rondo_slice_text("enough")), 0);
    web_turns(&web, 3);
    CHECK_INT(up.ends, 0);
    peer_say(&web, &peer, GET("/"));
    CHECK_STR(peer_statuses(&peer), "200,200");
    free(up.data);
    peer_close(&peer);
    web_close(&web);
}

/* ---- what nobody wants ---- */

TEST(unwanted_body_is_dropped) {
    web_host web;
    web_peer peer;
    upload up = {.no_data = true};
    web_open(&web, on_request, &up, NULL);
    peer_ask(&web, &peer, LENGTH("5") "hello" CHUNKED "5\r\nhello\r\n0\r\n\r\n" GET("/"));
    CHECK_STR(peer_statuses(&peer), "200,200,200");
    CHECK_INT(up.ends, 3);
    peer_close(&peer);
    web_close(&web);
}

/* Answered at once: the rest of the body is read, and the next request found behind it. */
TEST(early_answer) {
    web_host web;
    web_peer peer;
    upload up = {.early = "early"};
    web_open(&web, on_request, &up, NULL);
    peer_ask(&web, &peer, LENGTH("10") "01234");
    CHECK_STR(peer_body(&peer), "early");
    peer_say(&web, &peer, "56789" CHUNKED "5\r\nhel");
    CHECK_STR(peer_statuses(&peer), "200,200");
    peer_say(&web, &peer, "lo\r\n0\r\n\r\n" GET("/"));
    CHECK_STR(peer_statuses(&peer), "200,200,200");
    CHECK_INT(up.pieces, 0); /* it said that it wants no more */
    CHECK_INT(up.ends, 0);
    peer_close(&peer);
    web_close(&web);
}

TEST(early_answer_later) {
    web_host web;
    web_peer peer;
    upload up = {0};
    web_open(&web, on_request, &up, NULL);
    peer_ask(&web, &peer, LENGTH("10") "01234");
    CHECK_INT(rondo_http_response_reply(up.response, 200, NULL, rondo_slice_text("early")), 0);
    peer_say(&web, &peer, "56789" GET("/"));
    CHECK_STR(peer_statuses(&peer), "200,200");
    CHECK_INT(up.pieces, 1);
    CHECK_INT(up.ends, 1); /* of the second */
    free(up.data);
    peer_close(&peer);
    web_close(&web);
}

TEST(early_answer_that_closes) {
    web_host web;
    web_peer peer;
    upload up = {.early = "early"};
    web_open(&web, on_request, &up, NULL);
    peer_ask(&web, &peer, POST("Content-Length: 10\r\nConnection: close\r\n") "01234");
    CHECK_STR(peer_body(&peer), "early");
    CHECK(peer.ended && !peer.reset); /* and what still comes destroys nothing */
    peer_say(&web, &peer, "56789" GET("/"));
    CHECK(!peer.reset);
    CHECK_STR(peer_statuses(&peer), "200");
    peer_close(&peer);
    web_close(&web);
}

static void answer_at_once(rondo_http_request *request, rondo_slice chunk, void *arg) {
    upload *up = arg;
    (void)request, (void)chunk;
    CHECK_INT(rondo_http_response_reply(up->response, 200, NULL, rondo_slice_text("early")), 0);
}
static void listen_and_answer(rondo_http_request *request, rondo_http_response *response,
                              void *arg) {
    on_request(request, response, arg);
    rondo_http_request_on_data(request, answer_at_once, arg);
}

/* From its own callback, too; the rest of the body is not waited for. */
TEST(answer_to_a_piece_that_closes) {
    web_host web;
    web_peer peer;
    upload up = {0};
    web_open(&web, listen_and_answer, &up, NULL);
    peer_ask(&web, &peer, POST("Content-Length: 10\r\nConnection: close\r\n") "01234");
    CHECK_STR(peer_body(&peer), "early");
    CHECK(peer.ended && !peer.reset);
    peer_close(&peer);
    web_close(&web);
}

/* ---- Expect (RFC 9110 section 10.1.1) ---- */

TEST(continue_is_said) {
    web_host web;
    web_peer peer;
    upload up = {0};
    web_open(&web, on_request, &up, NULL);
    peer_ask(&web, &peer, POST(EXPECT "Content-Length: 5\r\n"));
    CHECK_STR(peer.data, "HTTP/1.1 100 Continue\r\n\r\n");
    /* In any case, and in a list (section 5.6.1). */
    peer_say(&web, &peer,
             "hello" POST("eXPECT: other=1 , 100-CONTINUE\r\nTransfer-Encoding: chunked\r\n"));
    CHECK_STR(peer_statuses(&peer), "100,200,100");
    peer_say(&web, &peer, "5\r\nhello\r\n0\r\n\r\n" GET("/"));
    CHECK_STR(peer_statuses(&peer), "100,200,100,200,200");
    CHECK(!peer_has(&peer, "Connection: close"));
    free(up.data);
    peer_close(&peer);
    web_close(&web);
}

TEST(continue_for_who_wants_only_the_end) {
    web_host web;
    web_peer peer;
    upload up = {.no_data = true};
    web_open(&web, on_request, &up, NULL);
    peer_ask(&web, &peer, POST(EXPECT "Content-Length: 5\r\n"));
    CHECK_STR(peer_statuses(&peer), "100");
    peer_close(&peer);
    web_close(&web);
}

TEST(continue_is_not_said) {
    static const char *const requests[] = {
        POST(EXPECT "Content-Length: 5\r\n") "hello",             /* it is here already */
        POST(EXPECT "Content-Length: 5\r\n") "h",                 /* some of it */
        POST(EXPECT "Content-Length: 0\r\n"),                     /* there is none */
        POST(EXPECT),                                             /* the same */
        POST("Expect: cats\r\nContent-Length: 5\r\n"),            /* something else */
        "POST / HTTP/1.0\r\n" EXPECT "Content-Length: 5\r\n\r\n", /* HTTP/1.0 */
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        web_host web;
        web_peer peer;
        upload up = {0};
        web_open(&web, on_request, &up, NULL);
        peer_ask(&web, &peer, requests[i]);
        CHECK_INT(up.requests, 1);
        CHECK(!peer_has(&peer, "100 Continue"));
        free(up.data);
        peer_close(&peer);
        web_close(&web);
    }
}

/* An answer before the body was asked for: whether the client sends it can't be known. */
TEST(answer_instead_of_continue) {
    web_host web;
    web_peer peer;
    upload up = {.early = "no"};
    web_open(&web, on_request, &up, NULL);
    peer_ask(&web, &peer, POST(EXPECT "Content-Length: 5\r\n"));
    CHECK_STR(peer_statuses(&peer), "200");
    CHECK(peer_has(&peer, "Connection: close\r\n") && peer.ended);
    peer_close(&peer);
    up = (upload){.no_data = true, .no_end = true}; /* later, and without listeners */
    peer_ask(&web, &peer, POST(EXPECT "Content-Length: 5\r\n"));
    CHECK_STR(peer.data, "");
    CHECK_INT(rondo_http_response_reply(up.response, 200, NULL, rondo_slice_text("no")), 0);
    peer_pump(&web, &peer);
    CHECK_STR(peer_statuses(&peer), "200");
    CHECK(peer_has(&peer, "Connection: close\r\n") && peer.ended);
    peer_close(&peer);
    web_close(&web);
}

static void begin_then_wait(rondo_http_request *request, rondo_http_response *response, void *arg) {
    on_request(request, response, arg);
    CHECK_INT(rondo_http_response_begin(response, 200, 2), 0);
}

/* Once the answer has begun, an interim one must not come any more. */
TEST(no_continue_after_the_head) {
    web_host web;
    web_peer peer;
    upload up = {0};
    web_open(&web, begin_then_wait, &up, NULL);
    peer_ask(&web, &peer, POST(EXPECT "Content-Length: 5\r\n"));
    CHECK_STR(peer_statuses(&peer), "200");
    CHECK(peer_has(&peer, "Connection: close\r\n"));
    rondo_close(up.response);
    peer_close(&peer);
    web_close(&web);
}

/* ---- what breaks off ---- */

TEST(body_that_breaks_off) {
    static const char *const bodies[] = {LENGTH("10") "01234", CHUNKED "5\r\n012",
                                         CHUNKED "0\r\nA: b", CHUNKED "5\r\n01234\r\n"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        web_host web;
        web_peer peer;
        upload up = {0};
        web_open(&web, on_request, &up, NULL);
        peer_ask(&web, &peer, bodies[i]);
        CHECK_INT(shutdown(peer.fd, SHUT_WR), 0);
        peer_pump(&web, &peer);
        CHECK_INT(up.aborts, 1);
        CHECK_INT(up.ends, 0); /* an incomplete body must not be taken for a whole one */
        CHECK_STR(peer_statuses(&peer), "400");
        CHECK(peer.ended && !peer.reset);
        free(up.data);
        peer_close(&peer);
        web_close(&web);
    }
}

TEST(body_that_breaks_the_rules) {
    web_host web;
    web_peer peer;
    upload up = {0};
    web_open(&web, on_request, &up, NULL);
    peer_ask(&web, &peer, CHUNKED "5\r\nhello\r\n");
    CHECK_INT(up.pieces, 1);
    peer_say(&web, &peer, "zzz\r\n" GET("/smuggled"));
    CHECK_INT(up.aborts, 1);
    CHECK_INT(up.requests, 1);
    CHECK_STR(peer_statuses(&peer), "400");
    CHECK(peer.ended);
    free(up.data);
    peer_close(&peer);
    web_close(&web);
}

static void begin_and_listen(rondo_http_request *request, rondo_http_response *response,
                             void *arg) {
    on_request(request, response, arg);
    CHECK_INT(rondo_http_response_begin(response, 200, -1), 0);
    CHECK_INT(rondo_http_response_write(response, rondo_slice_text("half")), 1);
}

/* Half an answer was sent: no second one can follow, but the end shows that it is not whole. */
TEST(body_that_breaks_the_rules_after_the_head) {
    web_host web;
    web_peer peer;
    upload up = {0};
    web_open(&web, begin_and_listen, &up, NULL);
    peer_ask(&web, &peer, CHUNKED "5\r\nhello\r\n");
    peer_say(&web, &peer, "zzz\r\n");
    CHECK_INT(up.aborts, 1);
    CHECK_STR(peer_statuses(&peer), "200");
    CHECK_STR(peer_body(&peer), "4\r\nhalf\r\n");
    CHECK(peer.ended);
    free(up.data);
    peer_close(&peer);
    web_close(&web);
}

/* Echo of more than the kernel and the queue hold, with a client that reads late. */
static void echo_data(rondo_http_request *request, rondo_slice chunk, void *arg) {
    int result = rondo_http_response_write(arg, chunk);
    CHECK(result >= 0);
    if (result == 0) CHECK_INT(rondo_http_request_pause(request), 0);
}
static void echo_end(rondo_http_request *request, void *arg) {
    (void)request;
    CHECK_INT(rondo_http_response_end(arg), 0);
}
static void echo_drain(rondo_http_response *response, void *arg) {
    (void)response;
    CHECK_INT(rondo_http_request_resume(arg), 0);
}
static void echo_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    rondo_http_request_on_data(request, echo_data, response);
    rondo_http_request_on_end(request, echo_end, response);
    rondo_http_response_on_drain(response, echo_drain, request);
    CHECK_INT(rondo_http_response_begin(response, 200, 8 << 20), 0);
}

TEST(echo_with_backpressure_both_ways) {
    web_host web;
    web_peer peer;
    size_t size = (size_t)8 << 20, sent = 0;
    char *body = malloc(size);
    for (size_t i = 0; i < size; i++) body[i] = (char)(i * 2654435761u >> 13);
    web_open(&web, echo_request, NULL, NULL);
    peer_open(&web, &peer);
    peer_send(&web, &peer, LENGTH("8388608"), strlen(LENGTH("8388608")));
    for (int idle = 0; sent < size && idle < 50; idle++) { /* as much as goes without reading */
        ssize_t count = send(peer.fd, body + sent, size - sent, MSG_NOSIGNAL);
        if (count > 0) sent += (size_t)count, idle = 0;
        web_turns(&web, 1);
    }
    for (int i = 0; i < 20000 && (sent < size || peer.len < size + 10); i++) {
        ssize_t count = sent < size ? send(peer.fd, body + sent, size - sent, MSG_NOSIGNAL) : -1;
        if (count > 0) sent += (size_t)count;
        size_t before = peer.len;
        peer_pump(&web, &peer);
        if (count <= 0 && peer.len == before) harness_sleep_ms(1);
    }
    CHECK_INT(peer.data + peer.len - peer_body(&peer), size);
    CHECK(memcmp(peer_body(&peer), body, size) == 0);
    free(body);
    peer_close(&peer);
    web_close(&web);
}
