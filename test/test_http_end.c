/* SPDX-License-Identifier: MIT
 *
 * How things end: clients that go at any point, responses that nobody ends, servers that close or
 * drain, misuse. Nothing may leak, nothing may crash, nobody may be called too often.
 */
#define _GNU_SOURCE
#include "http_peer.h"

#define POST(fields) "POST / HTTP/1.1\r\nHost: a\r\n" fields "\r\n"

/* ---- a client that goes ---- */

typedef struct visit {
    rondo_http_request *request;
    rondo_http_response *response; /* NULL once ended */
    int requests, aborts, ends;
    bool begin, end_when_aborted;
} visit;

static void on_aborted(rondo_http_response *response, void *arg) {
    visit *v = arg;
    CHECK(response == v->response);
    CHECK(!rondo_is_closing(response));
    CHECK_INT(rondo_http_response_write(response, rondo_slice_text("x")), RONDO_ECLOSED);
    v->aborts++;
    if (v->end_when_aborted) {
        CHECK_INT(rondo_http_response_end(response), RONDO_ECLOSED);
        v->response = NULL;
    }
}

static void on_end(rondo_http_request *request, void *arg) {
    (void)request;
    ((visit *)arg)->ends++;
}

static void on_data(rondo_http_request *request, rondo_slice chunk, void *arg) {
    (void)request, (void)chunk, (void)arg;
}

/* Keeps the response. */
static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    visit *v = arg;
    v->requests++;
    v->request = request;
    v->response = response;
    rondo_http_response_on_aborted(response, on_aborted, v);
    rondo_http_request_on_data(request, on_data, v);
    rondo_http_request_on_end(request, on_end, v);
    if (v->begin) CHECK_INT(rondo_http_response_begin(response, 200, -1), 0);
}

/* Every call on a response whose client has gone. */
static void use_orphan(visit *v) {
    rondo_http_response *response = v->response;
    CHECK(!rondo_is_closing(response));
    CHECK_INT(rondo_http_response_header(response, "X-A", "b"), RONDO_ECLOSED);
    CHECK_INT(rondo_http_response_begin(response, 200, -1), RONDO_ECLOSED);
    CHECK_INT(rondo_http_response_write(response, rondo_slice_text("x")), RONDO_ECLOSED);
    CHECK_INT(rondo_http_request_pause(v->request), RONDO_ECLOSED);
    CHECK_INT(rondo_http_request_resume(v->request), RONDO_ECLOSED);
    char address[64];
    CHECK_INT(rondo_http_request_peer(v->request, address, sizeof address), RONDO_ECLOSED);
    CHECK_INT(rondo_http_request_method(v->request).data[0], 'P'); /* it can still be read */
    CHECK_INT(rondo_http_request_header(v->request, "Host").len, 1);
    CHECK_INT(rondo_http_request_header_count(v->request), 2);
    if (v->begin)
        CHECK_INT(rondo_http_response_end(response), RONDO_ECLOSED);
    else
        CHECK_INT(rondo_http_response_reply(response, 200, "text/plain", rondo_slice_text("x")),
                  RONDO_ECLOSED);
    CHECK_INT(rondo_http_response_end(response), RONDO_ECLOSED);
    CHECK(rondo_is_closing(response));
    v->response = NULL;
}

#define UPLOAD \
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

/* Reset after each octet of a request, with every way to go on. */
TEST(reset_at_every_point) {
    for (int way = 0; way < 4; way++) {
        web_host web;
        visit v = {.begin = way & 1, .end_when_aborted = way & 2};
        web_open(&web, on_request, &v, NULL);
        for (size_t at = 0; at <= strlen(UPLOAD); at++) {
            web_peer peer;
            v.requests = v.aborts = 0;
            v.response = NULL;
            peer_open(&web, &peer);
            peer_send(&web, &peer, UPLOAD, at);
            peer_pump(&web, &peer);
            CHECK_INT(v.aborts, 0);
            peer_reset(&peer);
            web_turns(&web, 4);
            CHECK_INT(v.aborts, v.requests);
            if (v.response) use_orphan(&v);
            web_turns(&web, 2);
        }
        web_close(&web);
    }
}

/* The same with a FIN: the answer to a whole request is still sent, a part of one is refused. */
TEST(end_at_every_point) {
    web_host web;
    visit v = {0};
    size_t head = strlen("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    web_open(&web, on_request, &v, NULL);
    for (size_t at = 0; at <= strlen(UPLOAD); at++) {
        web_peer peer;
        bool whole = at == strlen(UPLOAD);
        v.requests = v.aborts = v.ends = 0;
        v.response = NULL;
        peer_open(&web, &peer);
        peer_send(&web, &peer, UPLOAD, at);
        CHECK_INT(shutdown(peer.fd, SHUT_WR), 0);
        peer_pump(&web, &peer);
        CHECK_INT(v.requests, at >= head);
        CHECK_INT(v.aborts, at >= head && !whole);
        CHECK_INT(v.ends, whole);
        if (whole) {
            CHECK_STR(peer.data, "");
            CHECK_INT(rondo_http_response_reply(v.response, 200, NULL, rondo_slice_text("ok")), 0);
            peer_pump(&web, &peer);
            CHECK_STR(peer_body(&peer), "ok");
        } else {
            CHECK_STR(peer_statuses(&peer), at == 0 ? "" : "400");
            if (v.response) use_orphan(&v);
        }
        CHECK(peer.ended && !peer.reset);
        peer_close(&peer);
        web_turns(&web, 3);
    }
    web_close(&web);
}

/* Gone while an answer is being streamed. */
TEST(reset_while_streaming) {
    web_host web;
    web_peer peer;
    visit v = {.begin = true};
    web_open(&web, on_request, &v, NULL);
    peer_ask(&web, &peer, POST("Content-Length: 0\r\n"));
    CHECK_INT(rondo_http_response_write(v.response, rondo_slice_text("abc")), 1);
    peer_pump(&web, &peer);
    peer_reset(&peer);
    CHECK(rondo_http_response_write(v.response, rondo_slice_text("def")) >= 0); /* not known yet */
    web_turns(&web, 5);
    CHECK_INT(v.aborts, 1);
    use_orphan(&v);
    web_close(&web);
}

/* A response that was closed by the application is not told of anything. */
TEST(no_event_after_close) {
    web_host web;
    web_peer peer;
    visit v = {0};
    web_open(&web, on_request, &v, NULL);
    peer_ask(&web, &peer, POST("Content-Length: 5\r\n") "abc");
    rondo_close(v.response);
    peer_reset(&peer);
    web_turns(&web, 5);
    CHECK_INT(v.aborts, 0);
    web_close(&web);
}

/* ---- a response that nobody ends ---- */

TEST_ABORTS(dump_shows_it, "http response") {
    web_host web;
    web_peer peer;
    visit v = {0};
    char text[4096] = "";
    web_open(&web, on_request, &v, NULL);
    peer_ask(&web, &peer, POST("Content-Length: 0\r\n"));
    FILE *file = fmemopen(text, sizeof text, "w");
    rondo_loop_dump(web.loop, file);
    fclose(file);
    CHECK(strstr(text, "http response") != NULL);
    CHECK(strstr(text, "http_peer.h:") != NULL); /* where its server was made */
    peer_reset(&peer);
    web_turns(&web, 3);
    web_close(&web); /* the server may go; freeing the loop says what is left */
}

TEST(response_outlives_its_server) {
    web_host web;
    web_peer peer;
    visit v = {0};
    web_open(&web, on_request, &v, NULL);
    peer_ask(&web, &peer, POST("Content-Length: 0\r\n"));
    rondo_close(web.server);
    web_turns(&web, 3);
    CHECK(web.server == NULL);
    CHECK_INT(v.aborts, 1);
    use_orphan(&v);
    web_turns(&web, 3);
    peer_close(&peer);
    CHECK_INT(rondo_loop_run(web.loop, RONDO_RUN_ALL), 0);
    rondo_loop_free(web.loop);
}

TEST(close_all) {
    for (int at = 0; at < 4; at++) {
        static const char *const texts[] = {"", "GET / HT", POST("Content-Length: 5\r\n") "abc",
                                            POST("Content-Length: 3\r\n") "abc" GET("/")};
        web_host web;
        web_peer peer;
        visit v = {.begin = at & 1};
        web_open(&web, on_request, &v, NULL);
        peer_ask(&web, &peer, texts[at]);
        rondo_loop_close_all(web.loop);
        if (v.response) CHECK(rondo_http_response_write(v.response, rondo_slice_text("x")) < 0);
        web_turns(&web, 3);
        CHECK_INT(v.aborts, 0);
        CHECK(web.server == NULL);
        peer_close(&peer);
        CHECK_INT(rondo_loop_run(web.loop, RONDO_RUN_ALL), 0);
        rondo_loop_free(web.loop);
    }
}

/* Its stream only: the connection is gone before the response's calls know of it. */
static void close_streams(rondo_handle *handle, void *arg) {
    (void)arg;
    if (strcmp(rondo_kind(handle), "connection") == 0) rondo_close(handle);
}

TEST(reply_on_a_closing_stream) {
    web_host web;
    web_peer peer;
    visit v = {.end_when_aborted = true};
    web_open(&web, on_request, &v, NULL);
    peer_ask(&web, &peer, POST("Content-Length: 0\r\n"));
    rondo_loop_walk(web.loop, close_streams, NULL);
    CHECK_INT(rondo_http_response_begin(v.response, 200, -1), RONDO_ECLOSED);
    CHECK_INT(rondo_http_response_reply(v.response, 200, NULL, rondo_slice_text("x")),
              RONDO_ECLOSED);
    web_turns(&web, 3);
    CHECK_INT(v.aborts, 0);
    peer_close(&peer);
    web_close(&web);
}

/* ---- the server closes ---- */

TEST(close_at_every_point) {
    for (size_t at = 0; at <= strlen(UPLOAD); at++) {
        web_host web;
        web_peer peers[2];
        visit v = {.end_when_aborted = true};
        web_open(&web, on_request, &v, NULL);
        peer_ask(&web, &peers[0], "");
        peer_open(&web, &peers[1]);
        peer_send(&web, &peers[1], UPLOAD, at);
        web_turns(&web, 3);
        rondo_close(web.server);
        web_turns(&web, 3);
        CHECK(web.server == NULL);
        CHECK_INT(v.aborts, v.requests);
        for (int i = 0; i < 2; i++) {
            peer_pump(&web, &peers[i]);
            CHECK(peers[i].ended);
            peer_close(&peers[i]);
        }
        web_close(&web);
    }
}

static void close_server(rondo_http_request *request, rondo_http_response *response, void *arg) {
    web_host *web = arg;
    (void)request;
    rondo_close(web->server);
    CHECK_INT(rondo_http_server_on_request(web->server, NULL, NULL), RONDO_ECLOSED);
    CHECK_INT(rondo_http_server_listen(web->server, "127.0.0.1", 0), RONDO_ECLOSED);
    CHECK_INT(rondo_http_server_drain(web->server, 0), RONDO_ECLOSED);
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, rondo_slice_text("x")), RONDO_ECLOSED);
}

TEST(close_inside_a_request) {
    web_host web;
    web_peer peer;
    web_open(&web, close_server, &web, NULL);
    peer_ask(&web, &peer, GET("/") GET("/"));
    CHECK(web.server == NULL);
    CHECK(peer.ended);
    CHECK_STR(peer.data, "");
    peer_close(&peer);
    web_close(&web);
}

static void close_in_abort(rondo_http_response *response, void *arg) {
    rondo_close(((web_host *)arg)->server);
    rondo_close(response);
}
static void plan_close(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request;
    rondo_http_response_on_aborted(response, close_in_abort, arg);
}

TEST(close_inside_aborted) {
    static const char *const texts[] = {POST("Content-Length: 5\r\n"),
                                        POST("Transfer-Encoding: chunked\r\n") "zzz\r\n"};
    for (int i = 0; i < 2; i++) {
        web_host web;
        web_peer peer;
        web_open(&web, plan_close, &web, NULL);
        peer_ask(&web, &peer, texts[i]);
        if (i == 0) {
            peer_reset(&peer);
            web_turns(&web, 4);
        } else {
            peer_close(&peer);
        }
        CHECK(web.server == NULL);
        web_close(&web);
    }
}

TEST(server_calls) {
    web_host web;
    char text[64];
    web_open(&web, NULL, NULL, NULL);
    CHECK_INT(rondo_http_server_listen(web.server, "127.0.0.1", 0), RONDO_EBUSY);
    CHECK(rondo_http_server_address(web.server, text, sizeof text) > 0);
    CHECK(strncmp(text, "127.0.0.1:", 10) == 0);
    rondo_http_server *other = rondo_http_server_new(web.loop);
    CHECK_INT(rondo_http_server_port(other), 0);
    CHECK_INT(rondo_http_server_listen(other, "not an address", 0), RONDO_EINVAL);
    CHECK_INT(rondo_http_server_listen(other, "127.0.0.1", web.port), RONDO_EADDRINUSE);
    CHECK(!rondo_is_active(other));
    rondo_close(other);
    CHECK_INT(rondo_http_server_port(other), 0);
    CHECK(rondo_is_active(web.server));
    rondo_unref(web.server); /* then it doesn't keep the loop */
    rondo_loop_run(web.loop, RONDO_RUN_NOWAIT);
    CHECK_INT(rondo_loop_run(web.loop, RONDO_RUN_ALL), 0);
    web_close(&web);
}

/* ---- draining ---- */

TEST(drain_closes_what_is_idle) {
    web_host web;
    web_peer used, fresh;
    web_open(&web, reply_target, NULL, NULL);
    peer_ask(&web, &used, GET("/"));
    peer_ask(&web, &fresh, "");
    CHECK_INT(rondo_http_server_drain(web.server, 0), 0);
    CHECK_INT(rondo_http_server_drain(web.server, 0), 0);
    web_turns(&web, 5);
    CHECK_INT(rondo_http_server_port(web.server), 0); /* it does not accept any more */
    CHECK_INT(rondo_http_server_listen(web.server, "127.0.0.1", 0), RONDO_ECLOSED);
    peer_pump(&web, &used);
    CHECK(!used.ended); /* its next request may be on its way */
    web_advance(&web, 150);
    peer_pump(&web, &used);
    CHECK(used.ended && !used.reset);
    peer_pump(&web, &fresh);
    CHECK(!fresh.ended); /* it has not asked anything yet: it has a little more time */
    peer_close(&used);
    web_turns(&web, 3);
    CHECK(web.server != NULL);
    web_advance(&web, 2000);
    peer_pump(&web, &fresh);
    CHECK(fresh.ended);
    peer_close(&fresh);
    web_turns(&web, 4);
    CHECK(web.server == NULL);
    web_close(&web);
}

TEST(drain_of_nothing) {
    web_host web;
    web_open(&web, NULL, NULL, NULL);
    CHECK_INT(rondo_http_server_drain(web.server, 0), 0);
    CHECK_INT(rondo_loop_run(web.loop, RONDO_RUN_ALL), 0);
    CHECK(web.server == NULL);
    web_close(&web);
    web_open(&web, NULL, NULL, NULL);
    rondo_http_server *silent = rondo_http_server_new(web.loop); /* never listened */
    CHECK_INT(rondo_http_server_drain(silent, 0), 0);
    web_turns(&web, 80);
    web_close(&web);
}

/* In flight: in the application, in the parser, in the socket, in the queue of the kernel. */
TEST(drain_loses_no_request) {
    web_host web;
    web_peer waiting, half, unread, pipelined, queued;
    visit v = {0};
    web_open(&web, on_request, &v, NULL);
    peer_ask(&web, &waiting, GET("/"));
    rondo_http_response *first = v.response;
    peer_ask(&web, &half, "GET / HTTP/1.1\r\nHo");
    peer_ask(&web, &unread, GET("/"));
    CHECK_INT(rondo_http_response_end(v.response), 0);
    peer_pump(&web, &unread);
    peer_ask(&web, &pipelined, GET("/") GET("/"));
    rondo_http_response *third = v.response;
    peer_open(&web, &queued); /* the server has not seen it */
    CHECK_INT(send(queued.fd, GET("/"), strlen(GET("/")), 0), strlen(GET("/")));
    CHECK_INT(send(unread.fd, GET("/"), strlen(GET("/")), 0), strlen(GET("/")));

    rondo_http_server_on_request(web.server, reply_target, NULL);
    CHECK_INT(rondo_http_server_drain(web.server, 0), 0);
    peer_pump(&web, &unread);
    CHECK_STR(peer_statuses(&unread), "204,200");
    peer_pump(&web, &queued);
    CHECK_STR(peer_statuses(&queued), "200");
    peer_say(&web, &half, "st: a\r\n\r\n");
    CHECK_STR(peer_statuses(&half), "200");
    CHECK_INT(rondo_http_response_reply(first, 200, NULL, rondo_slice_text("")), 0);
    peer_pump(&web, &waiting);
    CHECK_STR(peer_statuses(&waiting), "200");
    CHECK_INT(rondo_http_response_begin(third, 200, -1), 0);
    CHECK_INT(rondo_http_response_end(third), 0);
    peer_pump(&web, &pipelined);
    web_peer *peers[] = {&waiting, &half, &unread, &pipelined, &queued};
    for (int i = 0; i < 5; i++) {
        CHECK_INT(peer_count(peers[i], "Connection: close\r\n"), 1);
        CHECK(peers[i]->ended && !peers[i]->reset);
        peer_close(peers[i]);
    }
    web_turns(&web, 4);
    CHECK(web.server == NULL);
    web_close(&web);
}

/* The same when it is the first connection ever. */
TEST(drain_accepts_what_waits) {
    web_host web;
    web_peer peer;
    web_open(&web, reply_target, NULL, NULL);
    peer_open(&web, &peer);
    CHECK_INT(send(peer.fd, GET("/"), strlen(GET("/")), 0), strlen(GET("/")));
    CHECK_INT(rondo_http_server_drain(web.server, 0), 0);
    peer_pump(&web, &peer);
    CHECK_STR(peer_statuses(&peer), "200");
    CHECK(peer.ended && !peer.reset);
    peer_close(&peer);
    web_close(&web);
}

/* Whenever a client comes while a server drains, it is refused at once, or has its answer: closing the
 * listener resets nobody whom the kernel has taken already. */
TEST(drain_resets_nobody_whenever_it_comes) {
    bool refused = false;
    for (int turns = 0; !refused; turns++) {
        web_host web;
        web_peer peer = {0};
        web_open(&web, reply_target, NULL, NULL);
        CHECK(turns < 100);
        CHECK_INT(rondo_http_server_drain(web.server, 0), 0);
        web_turns(&web, turns);
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)web.port)};
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        peer.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        refused = connect(peer.fd, (const struct sockaddr *)&to, sizeof to) != 0;
        if (refused) {
            close(peer.fd);
            web_close(&web);
            break;
        }
        CHECK_INT(fcntl(peer.fd, F_SETFL, O_NONBLOCK), 0);
        peer.data = calloc(1, peer.room = 4096);
        CHECK(peer.data != NULL);
        CHECK_INT(send(peer.fd, GET("/"), strlen(GET("/")), MSG_NOSIGNAL), strlen(GET("/")));
        peer_pump(&web, &peer);
        CHECK_STR(peer_statuses(&peer), "200");
        CHECK(peer.ended && !peer.reset);
        peer_close(&peer);
        web_close(&web);
    }
}

/* Requests that were to be gone on with when the server closes. */
TEST(close_with_a_rest_that_is_due) {
    web_host web;
    web_peer peer;
    visit v = {0};
    web_open(&web, on_request, &v, NULL);
    peer_ask(&web, &peer, GET("/") GET("/2"));
    CHECK_INT(rondo_http_response_end(v.response), 0);
    rondo_close(web.server);
    web_turns(&web, 5);
    CHECK_INT(v.requests, 1);
    peer_close(&peer);
    web_close(&web);
}

/* An answer that began before the drain could not say that it is the last: what is behind it is
 * answered too. */
TEST(drain_and_a_pipeline) {
    web_host web;
    web_peer peer;
    visit v = {.begin = true};
    web_open(&web, on_request, &v, NULL);
    peer_ask(&web, &peer, GET("/") GET("/2"));
    CHECK_INT(rondo_http_server_drain(web.server, 0), 0);
    web_turns(&web, 5);
    CHECK_INT(rondo_http_response_end(v.response), 0);
    web_turns(&web, 3);
    CHECK_INT(v.requests, 2);
    CHECK_INT(rondo_http_response_end(v.response), 0);
    peer_pump(&web, &peer);
    CHECK_STR(peer_statuses(&peer), "200,200");
    CHECK_INT(peer_count(&peer, "Connection: close\r\n"), 1);
    CHECK(peer.ended && !peer.reset);
    peer_close(&peer);
    web_turns(&web, 4);
    CHECK(web.server == NULL);
    web_close(&web);
}

static char big[6 << 20];

static void reply_big(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request, (void)arg;
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, rondo_slice_of(big, sizeof big)), 0);
}

/* Answers that wait for their client to read are sent to the end. */
TEST(drain_and_a_slow_reader) {
    for (int requests = 1; requests <= 2; requests++) {
        web_host web;
        web_peer peer;
        web_open(&web, reply_big, NULL, NULL);
        peer_open(&web, &peer);
        peer_send(&web, &peer, GET("/") GET("/"), strlen(GET("/")) * (size_t)requests);
        web_turns(&web, 10);
        CHECK_INT(rondo_http_server_drain(web.server, 0), 0);
        web_turns(&web, 10);
        size_t want = sizeof big * (size_t)requests;
        for (int i = 0; i < 5000 && !peer.ended; i++) {
            size_t before = peer.len;
            peer_pump(&web, &peer);
            if (peer.len == before && peer.len >= want) web_advance(&web, 150);
            if (peer.len == before) harness_sleep_ms(1);
        }
        CHECK(peer.ended && !peer.reset);
        CHECK_INT(peer_count(&peer, "HTTP/1.1 200"), 1); /* (strstr stops at the first zero) */
        CHECK(peer.len > want && peer.len < want + 1000);
        peer_close(&peer);
        web_turns(&web, 4);
        CHECK(web.server == NULL);
        web_close(&web);
    }
}

/* Many that keep their connections, ask whenever they have been answered, and retry nothing: whatever was
 * sent before the server's `Connection: close` is answered, at whatever moment the drain begins. */
TEST(drain_with_many_clients) {
    enum { COUNT = 40, ROUNDS = 12 };
    for (int begin = 0; begin < ROUNDS; begin += 3) {
        web_host web;
        static web_peer peers[COUNT];
        int sent[COUNT] = {0};
        web_open(&web, reply_target, NULL, NULL);
        for (int i = 0; i < COUNT; i++) peer_open(&web, &peers[i]);
        for (int round = 0; round < ROUNDS; round++) {
            if (round == begin) CHECK_INT(rondo_http_server_drain(web.server, 0), 0);
            for (int i = 0; i < COUNT; i++) {
                web_peer *peer = &peers[i];
                while (peer_read(peer)) {}
                bool told = peer_has(peer, "Connection: close\r\n");
                if (told || peer_count(peer, "HTTP/1.1 200") < sent[i]) continue;
                if ((i + round) % 4 == 0 && round > 0) continue; /* not all at once */
                CHECK(!peer->ended);
                CHECK_INT(send(peer->fd, GET("/"), strlen(GET("/")), MSG_NOSIGNAL),
                          strlen(GET("/")));
                sent[i]++;
            }
            if (round % 2) rondo_loop_run(web.loop, RONDO_RUN_NOWAIT);
        }
        for (int i = 0; i < COUNT; i++) {
            peer_pump(&web, &peers[i]);
            CHECK_INT(peer_count(&peers[i], "HTTP/1.1 200"), sent[i]);
            CHECK(!peers[i].reset);
            CHECK_INT(peers[i].ended, peer_has(&peers[i], "Connection: close\r\n"));
            peer_close(&peers[i]);
        }
        web_turns(&web, 80);
        CHECK(web.server == NULL);
        web_close(&web);
    }
}

TEST(drain_deadline) {
    web_host web;
    web_peer peer;
    visit v = {0};
    web_open(&web, on_request, &v, NULL);
    peer_ask(&web, &peer, POST("Content-Length: 0\r\n"));
    CHECK_INT(rondo_http_server_drain(web.server, 5000), 0);
    web_advance(&web, 4900);
    CHECK(web.server != NULL);
    CHECK_INT(v.aborts, 0);
    web_advance(&web, 200);
    CHECK(web.server == NULL);
    CHECK_INT(v.aborts, 1);
    peer_pump(&web, &peer);
    CHECK(peer.ended);
    use_orphan(&v);
    peer_close(&peer);
    web_close(&web);
}

/* ---- misuse ---- */

static void keep_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    visit *v = arg;
    v->request = request;
    v->response = response;
}

TEST_ABORTS(request_after_its_response, "rondo_http_request_method: the request was used after") {
    web_host web;
    web_peer peer;
    visit v = {0};
    web_open(&web, keep_request, &v, NULL);
    peer_ask(&web, &peer, GET("/"));
    rondo_http_response_end(v.response);
    rondo_http_request_method(v.request);
}

TEST_ABORTS(request_null, "rondo_http_request_target: the request is NULL") {
    rondo_http_request_target(NULL);
}

TEST_ABORTS(response_after_close, "rondo_http_response_end: the http response '' made at ") {
    web_host web;
    web_peer peer;
    visit v = {0};
    web_open(&web, keep_request, &v, NULL);
    peer_ask(&web, &peer, GET("/"));
    rondo_http_response_end(v.response);
    web_turns(&web, 2);
    rondo_http_response_end(v.response);
}

TEST_ABORTS(server_null, "rondo_http_server_port: the handle is NULL") {
    rondo_http_server_port(NULL);
}
