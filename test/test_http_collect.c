/* SPDX-License-Identifier: MIT
 *
 * What an application gets of a request and its answer as a whole: bodies in one piece, informational
 * answers, and the end of each answer.
 */
#define _GNU_SOURCE
#include "http_peer.h"

#include "http/server/request.h"
#include "trace.h"

#define POST(fields) "POST / HTTP/1.1\r\nHost: a\r\n" fields "\r\n"
#define CHUNKED POST("Transfer-Encoding: chunked\r\n")
#define LENGTH(n) POST("Content-Length: " n "\r\n")
#define EXPECT "Expect: 100-continue\r\n"

/* ---- collected bodies ---- */

static size_t most = 100;
static rondo_http_request *kept_request;
static rondo_http_response *kept;

static void on_body(rondo_http_request *request, rondo_slice body, void *response) {
    (void)request;
    CHECK(body.data != NULL);
    note("body:%.*s", (int)body.len, body.data);
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, body), 0);
    note("(%.*s)", (int)body.len, body.data); /* still there */
}

static void on_aborted(rondo_http_response *response, void *arg) {
    (void)arg;
    note("aborted:%d", rondo_http_response_status(response));
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, rondo_slice_text("")), RONDO_ECLOSED);
}

static void collect(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    kept_request = request;
    rondo_http_response_on_aborted(response, on_aborted, NULL);
    CHECK_INT(rondo_http_request_collect(request, most, on_body, response), 0);
    CHECK_INT(rondo_http_request_collect(request, most, on_body, response), RONDO_EBUSY);
}

TEST(collected_bodies) {
    static const char *const requests[] = {
        GET("/"),
        LENGTH("0"),
        LENGTH("10") "0123456789",
        CHUNKED "4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n",
        CHUNKED "0\r\n\r\n",
    };
    static const char *const traces[] = {"body: ()", "body: ()", "body:0123456789 (0123456789)",
                                         "body:0123456789 (0123456789)", "body: ()"};
    web_host web;
    web_peer peer;
    web_open(&web, collect, NULL, NULL);
    for (size_t i = 0; i < 5; i++) {
        peer_ask(&web, &peer, requests[i]);
        CHECK_TRACE(traces[i]);
        peer_spell(&web, &peer, requests[i], strlen(requests[i]));
        CHECK_TRACE(traces[i]);
        CHECK_STR(peer_statuses(&peer), "200,200");
        peer_close(&peer);
    }
    web_close(&web);
}

TEST(collected_up_to_a_limit) {
    static const struct {
        size_t most;
        const char *request, *statuses;
    } cases[] = {
        {10, LENGTH("10") "0123456789", "200"},
        {10, LENGTH("11") "0", "413"}, /* its length tells */
        {10, POST("Content-Length: 11\r\n" EXPECT), "413"},
        {10, CHUNKED "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", "200"},
        {10, CHUNKED "5\r\n01234\r\n6\r\n567890\r\n", "413"},
        {0, GET("/"), "200"},
        {0, LENGTH("1") "0", "413"},
        {SIZE_MAX, LENGTH("5") "01234", "200"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int spelled = 0; spelled < 2; spelled++) {
            web_host web;
            web_peer peer;
            most = cases[i].most;
            web_open(&web, collect, NULL, NULL);
            peer_open(&web, &peer);
            if (spelled)
                peer_spell(&web, &peer, cases[i].request, strlen(cases[i].request));
            else
                peer_say(&web, &peer, cases[i].request);
            CHECK_STR(peer_statuses(&peer), cases[i].statuses);
            bool refused = strcmp(cases[i].statuses, "200") != 0;
            CHECK_INT(peer.ended, refused);
            if (refused) CHECK_TRACE("aborted:413");
            trace_size = 0;
            peer_close(&peer);
            web_close(&web);
        }
    }
}

/* A length that is only announced takes no memory. */
TEST(collecting_costs_what_has_come) {
    web_host web;
    web_peer peers[20];
    most = (size_t)5 << 20;
    web_open(&web, collect, NULL, NULL);
    for (int i = 0; i < 20; i++) peer_ask(&web, &peers[i], LENGTH("5000000") "x");
    size_t blocks = harness_live_blocks();
    CHECK(kept_request->collecting.room <= 4096);
    for (int i = 0; i < 20; i++) peer_reset(&peers[i]);
    web_turns(&web, 4);
    CHECK(harness_live_blocks() <= blocks - 20); /* the pieces that had come */
    trace_size = 0;
    web_close(&web);
}

TEST(a_body_that_breaks_off_is_not_told) {
    web_host web;
    web_peer peer;
    most = 200000;
    web_open(&web, collect, NULL, NULL);
    peer_ask(&web, &peer, LENGTH("200000") "0123456789");
    peer_say(&web, &peer, "0123456789");
    CHECK_INT(kept_request->collecting.len, 20);
    peer_close(&peer);
    web_turns(&web, 3);
    CHECK_TRACE("aborted:400");
    web_close(&web);
}

static void answer_early(rondo_http_request *request, rondo_http_response *response, void *arg) {
    collect(request, response, arg);
    CHECK_INT(rondo_http_response_reply(response, 202, NULL, rondo_slice_text("early")), 0);
    CHECK_INT(rondo_http_request_collect(request, most, on_body, response), RONDO_ECLOSED);
}

TEST(answered_before_it_is_collected) {
    web_host web;
    web_peer peer;
    most = 100;
    web_open(&web, answer_early, NULL, NULL);
    peer_ask(&web, &peer, LENGTH("5") "012");
    peer_say(&web, &peer, "34" CHUNKED "1\r\nx\r\n");
    peer_say(&web, &peer, "0\r\n\r\n" GET("/"));
    CHECK_STR(peer_statuses(&peer), "202,202,202");
    CHECK_TRACE("");
    peer_close(&peer);
    web_close(&web);
}

static void pause_first(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    kept_request = request;
    kept = response;
    rondo_http_response_on_aborted(response, on_aborted, NULL);
    CHECK_INT(rondo_http_request_pause(request), 0);
}

static void ignore_data(rondo_http_request *request, rondo_slice chunk, void *arg) {
    (void)request, (void)chunk, (void)arg;
}

/* Decided later: nothing is lost meanwhile, and nobody is asked for anything. */
TEST(collected_after_a_pause) {
    static const char *const requests[] = {LENGTH("5") "01234", CHUNKED "5\r\n01234\r\n0\r\n\r\n",
                                           GET("/")};
    static const char *const traces[] = {"body:01234 (01234)", "body:01234 (01234)", "body: ()"};
    for (size_t i = 0; i < 3; i++) {
        web_host web;
        web_peer peer;
        most = 100;
        web_open(&web, pause_first, NULL, NULL);
        peer_ask(&web, &peer, requests[i]);
        CHECK_INT(rondo_http_request_collect(kept_request, most, on_body, kept), 0);
        CHECK_INT(rondo_http_request_resume(kept_request), 0);
        CHECK_TRACE("");
        peer_pump(&web, &peer);
        CHECK_TRACE(traces[i]);
        peer_close(&peer);
        web_close(&web);
    }
}

TEST(too_late_to_collect) {
    web_host web;
    web_peer peer;
    web_open(&web, pause_first, NULL, NULL);
    peer_ask(&web, &peer, LENGTH("5") "012");
    rondo_http_request_on_data(kept_request, ignore_data, NULL);
    CHECK_INT(rondo_http_request_resume(kept_request), 0);
    web_turns(&web, 3);
    CHECK_INT(rondo_http_request_collect(kept_request, most, on_body, kept), RONDO_EBUSY);
    peer_say(&web, &peer, "34");
    CHECK_INT(rondo_http_request_collect(kept_request, most, on_body, kept), RONDO_EBUSY);
    peer_reset(&peer);
    web_turns(&web, 3);
    web_close(&web);
}

static void try_collect(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    rondo_http_response_on_aborted(response, on_aborted, NULL);
    CHECK_INT(rondo_http_request_collect(request, 100000, on_body, response), 0);
}

TEST(no_memory_for_a_body) {
    static char text[20000];
    char *at = text + sprintf(text, CHUNKED);
    for (int i = 0; i < 5; i++) {
        at += sprintf(at, "7d0\r\n");
        memset(at, 'x', 2000);
        at = stpcpy(at + 2000, "\r\n");
    }
    strcpy(at, "0\r\n\r\n");
    int refused = 0;
    for (long n = 0;; n++) {
        web_host web;
        web_peer peer;
        web_open(&web, try_collect, NULL, NULL);
        peer_ask(&web, &peer, GET("/"));
        harness_fail_alloc_after(n);
        peer_say(&web, &peer, text);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        refused += peer_has(&peer, "HTTP/1.1 503 ");
        peer_close(&peer);
        web_close(&web);
        trace_size = 0;
        CHECK_INT(harness_live_blocks(), 0);
        if (!failed) break;
    }
    CHECK(refused > 2); /* at each growth */
}

/* ---- informational answers ---- */

static void hint(rondo_http_request *request, rondo_http_response *response, void *arg) {
    static char huge[9000];
    rondo_http_field link = {rondo_slice_text("Link"), rondo_slice_text("</a>; rel=preload")};
    rondo_http_field fields[2] = {link, {rondo_slice_text("X-Empty"), {NULL, 0}}};
    (void)request, (void)arg;
    memset(huge, 'x', sizeof huge);
    CHECK_INT(rondo_http_response_header(response, "X-Final", "1"), 0);
    CHECK_INT(rondo_http_response_inform(response, 103, fields, 2), 0);
    CHECK_INT(rondo_http_response_inform(response, 102, NULL, 0), 0);
    CHECK_INT(rondo_http_response_inform(response, 150, NULL, 0), 0);
    static const int wrong[] = {0, 99, 101, 200, 1000, -1};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CHECK_INT(rondo_http_response_inform(response, wrong[i], NULL, 0), RONDO_EINVAL);
    static const char *const names[] = {"", "a b", "a:", "Content-Length", "date", "a\r\nb"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fields[1].name = rondo_slice_text(names[i]);
        CHECK_INT(rondo_http_response_inform(response, 103, fields, 2), RONDO_EINVAL);
    }
    fields[1] = (rondo_http_field){rondo_slice_text("X"), rondo_slice_text("a\r\nb: c")};
    CHECK_INT(rondo_http_response_inform(response, 103, fields, 2), RONDO_EINVAL);
    fields[1].value = rondo_slice_of("a\0b", 3);
    CHECK_INT(rondo_http_response_inform(response, 103, fields, 2), RONDO_EINVAL);
    fields[1].value = rondo_slice_of(huge, 8000);
    CHECK_INT(rondo_http_response_inform(response, 103, fields, 2), RONDO_ENOBUFS);
    CHECK_INT(rondo_http_response_status(response), 0);
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, rondo_slice_text("ok")), 0);
    CHECK_INT(rondo_http_response_inform(response, 103, NULL, 0), RONDO_ECLOSED);
}

TEST(hints_come_first) {
    web_host web;
    web_peer peer;
    web_open(&web, hint, NULL, NULL);
    peer_ask(&web, &peer, GET("/"));
    CHECK_STR(peer_statuses(&peer), "103,102,150,200");
    static const char hints[] = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nX-Empty: "
                                "\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 150 \r\n\r\n"
                                "HTTP/1.1 200 OK\r\n";
    CHECK(strncmp(peer.data, hints, sizeof hints - 1) == 0);
    CHECK_INT(peer_count(&peer, "X-Final"), 1);
    peer_close(&peer);
    peer_ask(&web, &peer, "GET / HTTP/1.0\r\n\r\n"); /* would take the first answer for its own */
    CHECK_STR(peer_statuses(&peer), "200");
    peer_close(&peer);
    web_close(&web);
}

static void inform_late(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request, (void)arg;
    CHECK_INT(rondo_http_response_begin(response, 200, 0), 0);
    CHECK_INT(rondo_http_response_inform(response, 103, NULL, 0), RONDO_EBUSY);
    CHECK_INT(rondo_http_response_end(response), 0);
}

TEST(no_hints_behind_the_head) {
    web_host web;
    web_peer peer;
    web_open(&web, inform_late, NULL, NULL);
    peer_ask(&web, &peer, GET("/"));
    CHECK_STR(peer_statuses(&peer), "200");
    peer_close(&peer);
    web_close(&web);
}

/* ---- Expect: 100-continue, as the application likes ---- */

static void ask_by_hand(rondo_http_request *request, rondo_http_response *response, void *arg) {
    pause_first(request, response, arg);
    CHECK_INT(rondo_http_request_expects_continue(request),
              rondo_http_request_method(request).len == 4); /* POST */
}

TEST(asked_for_by_hand) {
    web_host web;
    web_peer peer;
    most = 100;
    web_open(&web, ask_by_hand, NULL, NULL);
    peer_ask(&web, &peer, POST("Content-Length: 5\r\n" EXPECT));
    CHECK_INT(rondo_http_request_collect(kept_request, most, on_body, kept), 0);
    peer_pump(&web, &peer);
    CHECK_STR(peer.data, ""); /* not before it is resumed */
    CHECK_INT(rondo_http_response_inform(kept, 100, NULL, 0), 0);
    CHECK(!rondo_http_request_expects_continue(kept_request));
    CHECK_INT(rondo_http_request_resume(kept_request), 0);
    peer_pump(&web, &peer);
    CHECK_STR(peer.data, "HTTP/1.1 100 Continue\r\n\r\n"); /* once */
    peer_say(&web, &peer, "01234" GET("/"));
    CHECK_TRACE("body:01234 (01234)");
    CHECK_STR(peer_statuses(&peer), "100,200");
    CHECK(!peer.ended);
    rondo_close(kept);
    peer_close(&peer);
    web_close(&web);
}

/* It is awaited from then on. */
TEST(asked_for_and_not_sent) {
    rondo_http_limits limits = {.body_timeout_ms = 3000};
    web_host web;
    web_peer peer;
    web_open(&web, pause_first, NULL, &limits);
    peer_ask(&web, &peer, POST("Content-Length: 5\r\n" EXPECT));
    CHECK_INT(rondo_http_request_collect(kept_request, most, on_body, kept), 0);
    CHECK_INT(rondo_http_request_resume(kept_request), 0);
    peer_pump(&web, &peer);
    CHECK_STR(peer_statuses(&peer), "100");
    web_advance(&web, 2900);
    CHECK(!peer.ended);
    web_advance(&web, 200);
    peer_pump(&web, &peer);
    CHECK_STR(peer_statuses(&peer), "100,408");
    CHECK_TRACE("aborted:408");
    peer_close(&peer);
    web_close(&web);
}

static void answer_instead(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request;
    CHECK_INT(rondo_http_response_reply(response, *(int *)arg, NULL, rondo_slice_text("no")), 0);
}

/* Where the next request would begin is not known then. */
TEST(answered_without_asking) {
    static int statuses[] = {200, 417};
    for (int i = 0; i < 2; i++) {
        web_host web;
        web_peer peer;
        char text[8];
        web_open(&web, answer_instead, &statuses[i], NULL);
        peer_ask(&web, &peer, POST("Content-Length: 5\r\n" EXPECT));
        snprintf(text, sizeof text, "%d", statuses[i]);
        CHECK_STR(peer_statuses(&peer), text);
        CHECK(peer_has(&peer, "\r\nConnection: close\r\n") && peer.ended);
        peer_close(&peer);
        web_close(&web);
    }
}

/* ---- the end of each answer ---- */

static void on_response(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_slice method = rondo_http_request_method(request);
    rondo_slice target = rondo_http_request_target(request);
    (void)arg;
    note("%.*s%.*s=%d/%d", (int)method.len, method.data, (int)target.len, target.data,
         rondo_http_response_status(response), (int)rondo_http_response_bytes(response));
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, rondo_slice_text("")), RONDO_ECLOSED);
    rondo_close(response);
}

static void note_end(rondo_handle *response, void *arg) {
    (void)response, (void)arg;
    note("close");
}

static void reply_or_keep(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_slice target = rondo_http_request_target(request);
    (void)arg;
    CHECK_INT(rondo_on_close(response, note_end, NULL), 0);
    kept = response;
    if (target.len == 1) {
        CHECK_INT(rondo_http_response_reply(response, 200, NULL, target), 0);
        note("replied");
    }
}

TEST(each_answer_is_told) {
    web_host web;
    web_peer peer;
    web_open(&web, reply_or_keep, NULL, NULL);
    CHECK_INT(rondo_http_server_on_response(web.server, on_response, NULL), 0);
    peer_ask(&web, &peer, GET("/") GET("/"));
    CHECK_TRACE("replied replied GET/=200/1 close GET/=200/1 close");
    peer_say(&web, &peer, GET("/later"));
    CHECK_TRACE("");
    CHECK_INT(rondo_http_response_begin(kept, 202, 5), 0);
    CHECK_INT(rondo_http_response_write(kept, rondo_slice_text("01")), 1);
    CHECK_INT(rondo_http_response_end(kept), RONDO_EPROTO);
    CHECK_TRACE("");
    web_turns(&web, 2);
    CHECK_TRACE("GET/later=202/2 close");
    CHECK_INT(rondo_http_server_on_response(web.server, NULL, NULL), 0);
    peer_close(&peer);
    peer_ask(&web, &peer, GET("/"));
    CHECK_TRACE("replied close");
    peer_close(&peer);
    web_close(&web);
}

/* What the application has never seen, too. */
TEST(refusals_are_told) {
    static const struct {
        const char *request, *trace;
    } cases[] = {
        {"BAD\r\n\r\n", "=400/16"},
        {"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", "FOO=501/20"},
        {"GET /x HTTP/1.1\r\n\r\n", "GET/x=400/16"},
        {"GET /x HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", "GET/x=400/16"},
        {POST("Content-Length: 99999999\r\n"), "POST/=413/22"},
        {CHUNKED "zzz\r\n", "replied POST/=200/1 close"}, /* answered before it was wrong */
        {"POST /keep HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
         "aborted:400 POST/keep=400/16 close"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        web_host web;
        web_peer peer;
        kept = NULL;
        web_open(&web, reply_or_keep, NULL, NULL);
        CHECK_INT(rondo_http_server_on_response(web.server, on_response, NULL), 0);
        peer_open(&web, &peer);
        if (i == 6) { /* to be told of the abort */
            size_t head = (size_t)(strstr(cases[i].request, "zzz") - cases[i].request);
            peer_send(&web, &peer, cases[i].request, head);
            web_turns(&web, 3);
            rondo_http_response_on_aborted(kept, on_aborted, NULL);
            peer_say(&web, &peer, "zzz\r\n");
        } else {
            peer_say(&web, &peer, cases[i].request);
        }
        CHECK_TRACE(cases[i].trace);
        peer_close(&peer);
        web_close(&web);
        CHECK_TRACE("");
    }
}

TEST(answers_without_a_client_are_told) {
    web_host web;
    web_peer peer;
    web_open(&web, reply_or_keep, NULL, NULL);
    CHECK_INT(rondo_http_server_on_response(web.server, on_response, NULL), 0);
    peer_ask(&web, &peer, GET("/gone"));
    peer_reset(&peer);
    web_turns(&web, 3);
    CHECK_TRACE("");
    CHECK_INT(rondo_http_response_end(kept), RONDO_ECLOSED);
    web_turns(&web, 2);
    CHECK_TRACE("GET/gone=0/0 close");
    peer_ask(&web, &peer, GET("/orphan"));
    rondo_close(web.server);
    CHECK_INT(rondo_http_server_on_response(web.server, on_response, NULL), RONDO_ECLOSED);
    web_turns(&web, 3);
    CHECK_INT(rondo_http_response_end(kept), RONDO_ECLOSED); /* nobody to tell any more */
    web_turns(&web, 3);
    CHECK_TRACE("close");
    peer_close(&peer);
    web_close(&web);
}

static void close_all(rondo_http_request *request, rondo_http_response *response, void *arg) {
    web_host *web = arg;
    note("told");
    CHECK_INT(rondo_http_request_target(request).len, 1);
    rondo_close(web->server);
    rondo_close(response);
    CHECK_INT(rondo_http_request_target(request).len, 1);
}

TEST(closing_while_an_answer_is_told) {
    web_host web;
    web_peer peer;
    web_open(&web, reply_or_keep, NULL, NULL);
    CHECK_INT(rondo_http_server_on_response(web.server, close_all, &web), 0);
    peer_ask(&web, &peer, GET("/") GET("/"));
    CHECK_TRACE("replied replied told close close"); /* of a closed server nothing is told */
    CHECK(web.server == NULL);
    peer_close(&peer);
    web_close(&web);
}

TEST(a_server_closed_behind_its_last_answer) {
    web_host web;
    web_peer peer;
    web_open(&web, reply_or_keep, NULL, NULL);
    CHECK_INT(rondo_http_server_on_response(web.server, on_response, NULL), 0);
    peer_ask(&web, &peer, GET("/later"));
    CHECK_INT(rondo_http_response_end(kept), 0);
    rondo_close(web.server);
    web_turns(&web, 3);
    CHECK_TRACE("close");
    peer_close(&peer);
    web_close(&web);
}
