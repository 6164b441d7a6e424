/* SPDX-License-Identifier: MIT
 *
 * Out of HTTP: Upgrade and CONNECT, taken or declined, and the stream that an application has then.
 */
#define _GNU_SOURCE
#include "http_peer.h"

#include "http/server/connection.h"
#include "trace.h"

#define ASK(target) \
    "GET " target   \
    " HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: Echo/1, x\r\n"
#define ASK_ECHO ASK("/") "\r\n"
#define CONNECT_ECHO "CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"
#define SWITCHED "HTTP/1.1 101 Switching Protocols\r\n"

/* ---- what it goes over to: an echo, with what happens noted ---- */

static rondo_stream *taken;
static rondo_http_response *kept;

static void on_data(rondo_stream *stream, rondo_slice chunk, void *arg) {
    (void)arg;
    note("data:%.*s", (int)chunk.len, chunk.data);
    CHECK(rondo_write(stream, chunk) >= 0);
}
static void on_end(rondo_stream *stream, void *arg) {
    (void)stream, (void)arg;
    note("end");
}
static void on_error(rondo_stream *stream, int error, void *arg) {
    (void)stream, (void)arg;
    note("%s", rondo_error_name(error));
}
static void on_stream_close(rondo_handle *stream, void *arg) {
    (void)arg;
    CHECK(stream == (rondo_handle *)(void *)taken);
    taken = NULL;
    note("close");
}
static void on_response_close(rondo_handle *response, void *arg) {
    (void)arg;
    note("response:%d", rondo_http_response_status((rondo_http_response *)(void *)response));
}

static void listen_to(rondo_stream *stream) {
    taken = stream;
    CHECK_INT(rondo_stream_on_data(stream, on_data, NULL), 0);
    CHECK_INT(rondo_stream_on_end(stream, on_end, NULL), 0);
    CHECK_INT(rondo_stream_on_error(stream, on_error, NULL), 0);
    CHECK_INT(rondo_on_close(stream, on_stream_close, NULL), 0);
}

static int status_of(const rondo_http_request *request) {
    return rondo_http_request_method(request).len == 7 ? 200 : 101; /* CONNECT */
}

static void take(rondo_http_request *request, rondo_http_response *response) {
    rondo_stream *stream = NULL;
    int status = status_of(request);
    if (status == 101) {
        rondo_slice wish = rondo_http_request_upgrade(request);
        CHECK_INT(wish.len, 9);
        CHECK_MEM(wish.data, "Echo/1, x", 9);
        CHECK_INT(rondo_http_response_header(response, "Upgrade", "Echo/1"), 0);
    }
    CHECK_INT(rondo_on_close(response, on_response_close, NULL), 0);
    CHECK_INT(rondo_http_response_upgrade(response, status, &stream), 0);
    CHECK(stream != NULL && rondo_is_closing(response));
    CHECK_STR(rondo_kind(stream), "stream");
    CHECK_INT(rondo_http_response_status(response), status);
    listen_to(stream);
    note("taken");
    CHECK_INT(rondo_http_response_write(response, rondo_slice_text("x")), RONDO_ECLOSED);
}

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    take(request, response);
    CHECK(rondo_http_request_target(request).len > 0); /* inside its callback in any case */
    CHECK_INT(rondo_http_request_pause(request), RONDO_ECLOSED);
    char text[64];
    CHECK_INT(rondo_http_request_peer(request, text, sizeof text), RONDO_ECLOSED);
}

/* ---- taken ---- */

TEST(upgrade) {
    web_host web;
    web_peer peer;
    web_open(&web, on_request, NULL, NULL);
    peer_ask(&web, &peer, ASK_ECHO);
    CHECK(strncmp(peer.data, SWITCHED "Date: ", strlen(SWITCHED) + 6) == 0);
    CHECK(peer_has(&peer, "\r\nConnection: Upgrade\r\nUpgrade: Echo/1\r\n\r\n"));
    CHECK(!peer_has(&peer, "Content-Length") && !peer_has(&peer, "Transfer-Encoding"));
    CHECK_TRACE("taken response:101");
    peer_forget(&peer);
    peer_say(&web, &peer, "hello");
    peer_say(&web, &peer, GET("/")); /* that is not HTTP's any more */
    CHECK_TRACE("data:hello data:" GET("/"));
    CHECK_STR(peer.data, "hello" GET("/"));
    web_advance(&web, 1000000); /* nor are its timeouts */
    CHECK(taken != NULL);
    peer_close(&peer);
    web_turns(&web, 4);
    CHECK_TRACE("end close");
    web_close(&web);
}

TEST(tunnel) {
    web_host web;
    web_peer peer;
    web_open(&web, on_request, NULL, NULL);
    rondo_http_server_set_connect(web.server, true);
    peer_ask(&web, &peer, CONNECT_ECHO);
    CHECK(strncmp(peer.data, "HTTP/1.1 200 OK\r\nDate: ", 23) == 0);
    CHECK(!peer_has(&peer, "Content-Length") && !peer_has(&peer, "Connection"));
    peer_forget(&peer);
    peer_say(&web, &peer, "hello");
    CHECK_STR(peer.data, "hello");
    CHECK_TRACE("taken response:200 data:hello");
    peer_close(&peer);
    web_turns(&web, 4);
    CHECK_TRACE("end close");
    web_close(&web);
}

/* Octets behind the request, however they are cut, come first and in order. */
TEST(octets_behind_the_request) {
    static const char *const requests[] = {ASK_ECHO "first\r\n\r\nsecond",
                                           CONNECT_ECHO "first\r\n\r\nsecond",
                                           GET("/a") ASK_ECHO "first\r\n\r\nsecond"};
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(requests[i]);
        for (size_t at = 1; at <= len; at++) {
            web_host web;
            web_peer peer;
            web_open(&web, i < 2 ? on_request : NULL, NULL, NULL);
            rondo_http_server_set_connect(web.server, true);
            peer_open(&web, &peer);
            if (i == 2) { /* the second of two requests */
                peer_say(&web, &peer, GET("/a"));
                CHECK_INT(rondo_http_server_on_request(web.server, on_request, NULL), 0);
                if (at < strlen(GET("/a"))) at = strlen(GET("/a"));
            }
            size_t from = i == 2 ? strlen(GET("/a")) : 0;
            peer_send(&web, &peer, requests[i] + from, at - from);
            web_turns(&web, 2);
            peer_send(&web, &peer, requests[i] + at, len - at);
            peer_pump(&web, &peer);
            CHECK(peer.len > 15);
            CHECK_STR(peer.data + peer.len - 15, "first\r\n\r\nsecond");
            trace_size = 0;
            rondo_close(taken);
            peer_close(&peer);
            web_close(&web);
            trace_size = 0;
        }
    }
}

static void take_later(rondo_http_request *request, rondo_http_response *response, void *arg) {
    *(rondo_http_request **)arg = request;
    kept = response;
}

/* Not inside a callback of the server, with octets that wait already. */
TEST(later_than_the_callback) {
    web_host web;
    web_peer peer;
    rondo_http_request *request = NULL;
    web_open(&web, take_later, &request, NULL);
    peer_ask(&web, &peer, ASK_ECHO "one");
    peer_say(&web, &peer, "two");
    CHECK_STR(peer.data, "");
    take(request, kept);
    CHECK_TRACE("taken"); /* nothing inside the call */
    peer_pump(&web, &peer);
    peer_say(&web, &peer, "three");
    CHECK_STR(peer_body(&peer), "onetwothree");
    CHECK_TRACE("data:one data:two response:101 data:three");
    rondo_close(taken);
    web_turns(&web, 2);
    CHECK_TRACE("close");
    peer_close(&peer);
    web_close(&web);
}

/* A client that has ended its side: the stream hears that too, behind the octets before it. */
TEST(after_the_clients_end) {
    for (int behind = 0; behind < 2; behind++) {
        web_host web;
        web_peer peer;
        rondo_http_request *request = NULL;
        web_open(&web, take_later, &request, NULL);
        peer_open(&web, &peer);
        peer_send(&web, &peer, ASK_ECHO "one", strlen(ASK_ECHO) + (behind ? 3 : 0));
        web_turns(&web, 3);
        CHECK_INT(shutdown(peer.fd, SHUT_WR), 0);
        web_turns(&web, 3);
        take(request, kept);
        peer_pump(&web, &peer);
        CHECK_STR(peer_body(&peer), behind ? "one" : "");
        CHECK(peer.ended && !peer.reset);
        web_turns(&web, 3);
        if (behind)
            CHECK_TRACE("taken data:one end response:101 close");
        else
            CHECK_TRACE("taken end response:101 close");
        peer_close(&peer);
        web_close(&web);
    }
}

static void take_at_end(rondo_http_request *request, void *response) { take(request, response); }

static void take_behind_body(rondo_http_request *request, rondo_http_response *response,
                             void *arg) {
    rondo_stream *stream = NULL;
    (void)arg;
    CHECK_INT(rondo_http_response_header(response, "Upgrade", "no"), 0);
    CHECK_INT(rondo_http_response_upgrade(response, 101, &stream), RONDO_EBUSY);
    CHECK(stream == NULL);
    rondo_http_request_on_end(request, take_at_end, response);
}

/* The new protocol begins behind the body. */
TEST(behind_a_body) {
    static const char *const bodies[] = {"Content-Length: 3\r\n\r\nabc",
                                         "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"};
    for (int i = 0; i < 2; i++) {
        web_host web;
        web_peer peer;
        web_open(&web, take_behind_body, NULL, NULL);
        peer_open(&web, &peer);
        peer_say(&web, &peer, ASK("/"));
        peer_spell(&web, &peer, bodies[i], strlen(bodies[i]));
        peer_say(&web, &peer, "more");
        CHECK_TRACE("taken response:101 data:more");
        CHECK_STR(peer_body(&peer), "more");
        rondo_close(taken);
        peer_close(&peer);
        web_close(&web);
        trace_size = 0;
    }
}

/* ---- not taken ---- */

static void decline(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_stream *stream = NULL;
    bool asked = rondo_http_request_upgrade(request).data != NULL;
    *(int *)arg += asked;
    CHECK_INT(rondo_http_response_upgrade(response, 101, &stream), RONDO_EINVAL); /* to what? */
    CHECK_INT(rondo_http_response_header(response, "X-Upgrade", "x"), 0);
    CHECK_INT(rondo_http_response_upgrade(response, 101, &stream), RONDO_EINVAL);
    CHECK_INT(rondo_http_response_header(response, "Upgrade", "x"), 0);
    CHECK_INT(rondo_http_response_upgrade(response, 200, &stream), RONDO_EINVAL);
    if (!asked) CHECK_INT(rondo_http_response_upgrade(response, 101, &stream), RONDO_EINVAL);
    CHECK_INT(rondo_http_response_begin(response, 200, 2), 0);
    CHECK_INT(rondo_http_response_upgrade(response, 101, &stream), RONDO_EBUSY);
    CHECK_INT(rondo_http_response_write(response, rondo_slice_text("ok")), 1);
    CHECK_INT(rondo_http_response_end(response), 0);
    CHECK_INT(rondo_http_response_upgrade(response, 101, &stream), RONDO_ECLOSED);
    CHECK(stream == NULL);
}

/* HTTP goes on, and what is behind is a request. */
TEST(declined) {
    static const struct {
        const char *request;
        int asked;
    } cases[] = {
        {ASK_ECHO, 1},
        {"GET / HTTP/1.1\r\nHost: a\r\nconnection: UPGRADE\r\nupgrade: x\r\n\r\n", 1},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade:\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrades\r\nUpgrade: x\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n", 0},
        {"GET / HTTP/1.0\r\nConnection: upgrade, keep-alive\r\nUpgrade: x\r\n\r\n", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        web_host web;
        web_peer peer;
        int asked = 0;
        web_open(&web, decline, &asked, NULL);
        peer_ask(&web, &peer, cases[i].request);
        peer_say(&web, &peer, GET("/next"));
        CHECK_INT(asked, cases[i].asked);
        CHECK_STR(peer_statuses(&peer), "200,200");
        CHECK(!peer.ended);
        peer_close(&peer);
        web_close(&web);
    }
}

TEST(connect_is_refused_unless_it_is_wanted) {
    web_host web;
    web_peer peer;
    web_open(&web, on_request, NULL, NULL);
    peer_ask(&web, &peer, CONNECT_ECHO);
    CHECK_STR(peer_statuses(&peer), "501");
    CHECK(peer.ended);
    peer_close(&peer);
    rondo_http_server_set_connect(web.server, true);
    rondo_http_server_set_connect(web.server, false);
    peer_ask(&web, &peer, CONNECT_ECHO);
    CHECK_STR(peer_statuses(&peer), "501");
    peer_close(&peer);
    web_close(&web);
}

static void forbid(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_stream *stream = NULL;
    rondo_slice path = rondo_http_request_path(request);
    (void)arg;
    CHECK_INT(path.len, 5);
    CHECK_MEM(path.data, "b:443", 5);
    CHECK(rondo_http_request_query(request).data == NULL);
    CHECK_INT(rondo_http_response_upgrade(response, 101, &stream), RONDO_EINVAL);
    CHECK_INT(rondo_http_response_upgrade(response, 300, &stream), RONDO_EINVAL);
    CHECK_INT(rondo_http_response_reply(response, 403, NULL, rondo_slice_text("no")), 0);
}

/* Nobody knows whether what is behind was meant for the tunnel: it is no request. */
TEST(connect_declined_ends_the_connection) {
    web_host web;
    web_peer peer;
    web_open(&web, forbid, NULL, NULL);
    rondo_http_server_set_connect(web.server, true);
    peer_ask(&web, &peer, CONNECT_ECHO GET("/smuggled"));
    CHECK_STR(peer_statuses(&peer), "403");
    CHECK(peer_has(&peer, "\r\nConnection: close\r\n"));
    CHECK(peer.ended && !peer.reset);
    peer_close(&peer);
    web_close(&web);
}

TEST(targets_of_connect) {
    static const struct {
        const char *target, *statuses;
    } cases[] = {
        {"b:443", "200"}, {"10.0.0.1:1", "200"}, {"[::1]:443", "200"}, {"b", "400"},
        {"b:", "400"},    {"10.0.0.1", "400"},   {"[::1]", "400"},     {":443", "400"},
        {"/", "400"},     {"http://b/", "400"},  {"b:443/x", "400"},   {"u@b:443", "400"},
        {"b:44x", "400"}, {"*", "400"},          {"[::1]:", "400"},    {"[x]:1", "400"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        web_host web;
        web_peer peer;
        char text[256];
        web_open(&web, on_request, NULL, NULL);
        rondo_http_server_set_connect(web.server, true);
        snprintf(text, sizeof text, "CONNECT %s HTTP/1.1\r\nHost: b\r\n\r\n", cases[i].target);
        peer_ask(&web, &peer, text);
        CHECK_STR(peer_statuses(&peer), cases[i].statuses);
        if (taken) rondo_close(taken);
        peer_close(&peer);
        web_close(&web);
        trace_size = 0;
    }
}

TEST(connect_with_a_body_is_refused) {
    web_host web;
    web_peer peer;
    web_open(&web, on_request, NULL, NULL);
    rondo_http_server_set_connect(web.server, true);
    peer_ask(&web, &peer, "CONNECT b:443 HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\nabc");
    CHECK_STR(peer_statuses(&peer), "400");
    peer_close(&peer);
    peer_ask(&web, &peer,
             "CONNECT b:443 HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n");
    CHECK_STR(peer_statuses(&peer), "400");
    peer_close(&peer);
    web_close(&web);
}

/* ---- everything may close at any time ---- */

static void take_and_close(rondo_http_request *request, rondo_http_response *response, void *arg) {
    web_host *web = arg;
    take(request, response);
    rondo_slice target = rondo_http_request_target(request);
    if (target.data[1] == 's' || target.data[1] == 'b') rondo_close(taken);
    if (target.data[1] == 'w' || target.data[1] == 'b') rondo_close(web->server);
    if (target.data[1] == 'd') CHECK_INT(rondo_http_server_drain(web->server, 0), 0);
    rondo_close(response); /* it has ended */
}

TEST(closing_inside_the_callback) {
    static const char *const texts[] = {ASK("/s") "\r\nabc", ASK("/w") "\r\nabc", ASK("/b") "\r\n",
                                        ASK("/d") "\r\nabc"};
    for (size_t i = 0; i < 4; i++) {
        web_host web;
        web_peer peer;
        web_open(&web, take_and_close, &web, NULL);
        peer_ask(&web, &peer, texts[i]);
        web_turns(&web, 80);
        CHECK_INT(web.server != NULL, i == 0);
        CHECK_INT(taken != NULL, i == 1 || i == 3); /* the server's end is not the stream's */
        if (taken) CHECK_STR(peer_body(&peer), "abc");
        rondo_close(taken);
        web_turns(&web, 2);
        CHECK(taken == NULL);
        trace_size = 0;
        peer_close(&peer);
        web_close(&web);
    }
}

/* Between requests in the application, and at any octet. */
TEST(a_client_that_vanishes) {
    static const char text[] = ASK_ECHO "abc";
    for (size_t at = 0; at <= strlen(text); at++) {
        for (int reset = 0; reset < 2; reset++) {
            web_host web;
            web_peer peer;
            web_open(&web, on_request, NULL, NULL);
            peer_open(&web, &peer);
            peer_send(&web, &peer, text, at);
            if (at % 2) web_turns(&web, 3);
            if (reset)
                peer_reset(&peer);
            else
                peer_close(&peer);
            web_turns(&web, 6);
            CHECK(taken == NULL);
            trace_size = 0;
            web_close(&web);
        }
    }
}

static void on_aborted(rondo_http_response *response, void *arg) {
    rondo_stream *stream = NULL;
    (void)arg;
    note("aborted");
    CHECK_INT(rondo_http_response_upgrade(response, 101, &stream), RONDO_ECLOSED);
    CHECK(stream == NULL);
    CHECK(rondo_is_closing(response)); /* as with a reply: that has ended it */
}

static void wait_for_abort(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request, (void)arg;
    CHECK_INT(rondo_http_response_header(response, "Upgrade", "x"), 0);
    rondo_http_response_on_aborted(response, on_aborted, NULL);
}

TEST(a_client_that_vanished_before) {
    web_host web;
    web_peer peer;
    web_open(&web, wait_for_abort, NULL, NULL);
    peer_ask(&web, &peer, ASK_ECHO);
    peer_reset(&peer);
    web_turns(&web, 4);
    CHECK_TRACE("aborted");
    web_close(&web);
}

/* The stream of a connection whose failure was not told yet. */
TEST(a_stream_that_has_failed) {
    web_host web;
    web_peer peer;
    rondo_http_request *request = NULL;
    rondo_stream *stream = NULL;
    web_open(&web, take_later, &request, NULL);
    peer_ask(&web, &peer, ASK_ECHO);
    CHECK_INT(rondo_http_response_header(kept, "Upgrade", "x"), 0);
    rondo_destroy(request->conn->stream, RONDO_EIO);
    CHECK_INT(rondo_http_response_upgrade(kept, 101, &stream), RONDO_ECLOSED);
    CHECK(stream == NULL && rondo_is_closing(kept));
    peer_close(&peer);
    web_close(&web);
}

/* ---- the stream is like any other ---- */

static void pipe_back(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_stream *stream = NULL;
    (void)request, (void)arg;
    CHECK_INT(rondo_http_response_header(response, "Upgrade", "x"), 0);
    CHECK_INT(rondo_http_response_upgrade(response, 101, &stream), 0);
    taken = stream;
    CHECK_INT(rondo_on_close(stream, on_stream_close, NULL), 0);
    rondo_pause(stream); /* what is behind the request waits for the resume */
}

TEST(paused_and_read_in_pieces) {
    web_host web;
    web_peer peer;
    web_open(&web, pipe_back, NULL, NULL);
    peer_ask(&web, &peer, ASK_ECHO "abcdefg");
    peer_say(&web, &peer, "hij");
    CHECK_INT(rondo_stream_set_read_high_water(taken, 3), 0);
    CHECK_INT(rondo_stream_on_data(taken, on_data, NULL), 0);
    web_turns(&web, 3);
    CHECK_TRACE("");
    CHECK_INT(rondo_resume(taken), 0);
    web_turns(&web, 6);
    CHECK_TRACE("data:abc data:def data:g data:hij");
    rondo_stream_figures figures;
    rondo_stream_get_figures(taken, &figures);
    CHECK_INT(figures.bytes_in, strlen(ASK_ECHO) + 10);
    rondo_close(taken);
    peer_close(&peer);
    web_close(&web);
}

TEST(put_back_twice) {
    web_host web;
    web_peer peer;
    web_open(&web, pipe_back, NULL, NULL);
    peer_ask(&web, &peer, ASK_ECHO "cde");
    CHECK_INT(rondo_stream_set_read_high_water(taken, 2), 0);
    CHECK_INT(rondo_stream_on_data(taken, on_data, NULL), 0);
    CHECK_INT(rondo__stream_unread(taken, rondo_slice_text("b")), 0); /* the last one comes first */
    CHECK_INT(rondo__stream_unread(taken, rondo_slice_text("")), 0);
    CHECK_INT(rondo__stream_unread(taken, rondo_slice_text("a")), 0);
    CHECK_INT(rondo_resume(taken), 0);
    web_turns(&web, 4);
    CHECK_TRACE("data:ab data:cd data:e");
    rondo_close(taken);
    CHECK_INT(rondo__stream_unread(taken, rondo_slice_text("a")), RONDO_ECLOSED);
    peer_close(&peer);
    web_close(&web);
}

TEST(put_back_while_nobody_reads) {
    web_host web;
    web_peer peer;
    web_open(&web, pipe_back, NULL, NULL);
    peer_ask(&web, &peer, ASK_ECHO "abc");
    peer_close(&peer); /* and nobody hears of the octets */
    web_turns(&web, 5);
    CHECK(taken != NULL);
    rondo_close(taken);
    web_close(&web);
}

TEST(piped) {
    web_host web;
    web_peer peer, other;
    web_open(&web, pipe_back, NULL, NULL);
    peer_ask(&web, &peer, ASK_ECHO "abc");
    rondo_stream *first = taken;
    rondo_off_close(first, on_stream_close, NULL);
    peer_ask(&web, &other, ASK_ECHO "xyz");
    CHECK_INT(rondo_resume(first), 0);
    CHECK_INT(rondo_resume(taken), 0);
    CHECK_INT(rondo_pipe(first, taken), 0);
    CHECK_INT(rondo_pipe(taken, first), 0);
    peer_pump(&web, &peer);
    peer_pump(&web, &other);
    CHECK_STR(peer_body(&peer), "xyz");
    CHECK_STR(peer_body(&other), "abc");
    peer_say(&web, &peer, "def");
    peer_pump(&web, &other);
    CHECK_STR(peer_body(&other), "abcdef");
    peer_close(&peer);
    peer_close(&other);
    web_turns(&web, 5);
    CHECK(taken == NULL);
    web_close(&web);
}

/* ---- memory ---- */

static void try_to_take(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_stream *stream = NULL;
    (void)request;
    int result = rondo_http_response_header(response, "Upgrade", "x");
    if (result == 0) result = rondo_http_response_upgrade(response, 101, &stream);
    CHECK(result == 0 || result == RONDO_ENOMEM || result == RONDO_ECLOSED);
    CHECK_INT(result == 0, stream != NULL);
    if (result == 0) {
        CHECK_INT(rondo_on_close(stream, on_stream_close, NULL), 0);
        taken = stream;
        *(bool *)arg = true;
        rondo_stream_on_error(stream, on_error, NULL);
        if (rondo_stream_on_data(stream, on_data, NULL) < 0) rondo_close(stream);
    } else {
        rondo_close(response); /* harmless when it has ended */
    }
}

TEST(out_of_memory_at_any_point) {
    static char text[12000];
    strcpy(text, GET("/"));
    char *at = text + strlen(text);
    at += sprintf(at, "%s", ASK("/") "X: ");
    memset(at, 'x', 4000); /* a head that grows */
    strcpy(at + 4000, "\r\n\r\nbehind");
    long n = 0;
    bool failed = true;
    for (; failed; n++) {
        web_host web;
        web_peer peer;
        bool was_taken = false;
        web_open(&web, reply_target, NULL, NULL);
        peer_ask(&web, &peer, GET("/"));
        CHECK_INT(rondo_http_server_on_request(web.server, try_to_take, &was_taken), 0);
        harness_fail_alloc_after(n);
        peer_say(&web, &peer, text + strlen(GET("/")));
        failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        if (!failed) CHECK_TRACE("data:behind");
        trace_size = 0;
        CHECK(peer_has(&peer, "HTTP/1.1 200"));
        rondo_close(taken);
        peer_close(&peer);
        web_close(&web);
        trace_size = 0;
        CHECK_INT(harness_live_blocks(), 0);
    }
    CHECK(n > 3);
}
