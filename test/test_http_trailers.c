/* SPDX-License-Identifier: MIT
 *
 * What stands around a message: trailers both ways, fields that come several times, queries.
 */
#define _GNU_SOURCE
#include "http_peer.h"

#include "http/server/request.h"
#include "trace.h"

#define CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

static void note_slice(const char *what, rondo_slice slice) {
    if (slice.data)
        note("%s=%.*s", what, (int)slice.len, slice.data);
    else
        note("%s=none", what);
}

/* ---- of requests ---- */

static void at_end(rondo_http_request *request, void *response) {
    rondo_slice name, value;
    note("%zu", rondo_http_request_trailer_count(request));
    if (rondo_http_request_trailer_count(request) == 0)
        CHECK(request->trailer_text == NULL); /* nor do they cost memory */
    for (size_t i = 0; rondo_http_request_trailer_at(request, i, &name, &value); i++)
        note("%.*s:%.*s", (int)name.len, name.data, (int)value.len, value.data);
    note_slice("sum", rondo_http_request_trailer(request, "X-SUM"));
    CHECK(rondo_http_request_header(request, "x-sum").data == NULL);
    CHECK(!rondo_http_request_trailer_at(request, 99, &name, &value));
    rondo_http_response_reply(response, 200, NULL, rondo_slice_text("ok"));
}

static void on_data(rondo_http_request *request, rondo_slice chunk, void *arg) {
    (void)chunk, (void)arg;
    CHECK_INT(rondo_http_request_trailer_count(request), 0);
}

static void on_aborted(rondo_http_response *response, void *arg) {
    (void)arg;
    rondo_close(response);
}

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    CHECK_INT(rondo_http_request_trailer_count(request), 0);
    CHECK(rondo_http_request_trailer(request, "x-sum").data == NULL);
    rondo_http_response_on_aborted(response, on_aborted, NULL);
    rondo_http_request_on_data(request, on_data, NULL);
    rondo_http_request_on_end(request, at_end, response);
}

TEST(trailers_of_a_request) {
    static const struct {
        const char *request, *trace;
    } cases[] = {
        {CHUNKED "1\r\nx\r\n0\r\n\r\n", "0 sum=none"},
        {CHUNKED "0\r\nX-Sum: 1\r\n\r\n", "1 X-Sum:1 sum=1"},
        {CHUNKED "1\r\nx\r\n0\r\nA: b\r\nx-sum:\t c d \r\nA:\r\n\r\n",
         "3 A:b x-sum:c d A: sum=c d"},
        {GET("/"), "0 sum=none"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", "0 sum=none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        web_host web;
        web_peer peer;
        web_open(&web, on_request, NULL, NULL);
        peer_ask(&web, &peer, cases[i].request);
        CHECK_TRACE(cases[i].trace);
        peer_spell(&web, &peer, cases[i].request, strlen(cases[i].request));
        CHECK_TRACE(cases[i].trace);
        CHECK_STR(peer_statuses(&peer), "200,200");
        peer_close(&peer);
        web_close(&web);
    }
}

TEST(what_refuses_trailers_does_not_depend_on_their_pieces) {
    rondo_http_limits limits = {.header_count = 2, .trailer_bytes = 64};
    static const struct {
        const char *trailers, *status;
    } cases[] = {
        {"A: b\r\nC: d\r\n\r\n", "200"},
        {"A: b\r\nC: d\r\nE: f\r\n\r\n", "431"},
        {"A: b\r\nC: d\r\nE: f\r\n\n", "431"}, /* what is wrong stands behind what is too much */
        {"A: b\r\nC: d\r\nE: f\r\ng\r\n\r\n", "431"},
        {"a\r\nC: d\r\nE: f\r\nG: h\r\n\r\n", "400"}, /* and before it */
        {"A: b\r\nC: d\r\ne\r\nG: h\r\n\r\n", "400"},
        {"A: b\r\nc\r\nD: 0123456789012345678901234567890123456789012345678901234567890\r\n\r\n",
         "400"},
        {"A: 0123456789012345678901234567890123456789012345678901234567890\r\nc\r\n\r\n", "431"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, CHUNKED "0\r\n%s", cases[i].trailers);
        check_answer_both_ways(text, cases[i].status, &limits, on_request);
    }
}

TEST(no_memory_for_trailers) {
    static char text[5000];
    strcpy(text, CHUNKED "0\r\n");
    for (int i = 0; i < 60; i++) strcat(text, "X-Trailer: with a value of some length\r\n");
    strcat(text, "\r\n");
    int refused = 0;
    bool failed = true;
    for (long n = 0; failed; n++) {
        web_host web;
        web_peer peer;
        web_open(&web, reply_target, NULL, NULL);
        peer_ask(&web, &peer, GET("/"));
        CHECK_INT(rondo_http_server_on_request(web.server, on_request, NULL), 0);
        harness_fail_alloc_after(n);
        for (size_t at = 0, len = strlen(text); at < len; at += 400) {
            peer_send(&web, &peer, text + at, len - at < 400 ? len - at : 400);
            web_turns(&web, 2);
        }
        peer_pump(&web, &peer);
        failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        refused += peer_has(&peer, "HTTP/1.1 503 ");
        peer_close(&peer);
        web_close(&web);
        trace_size = 0;
        CHECK_INT(harness_live_blocks(), 0);
    }
    CHECK(refused >= 3); /* at each growth */
}

/* ---- of responses ---- */

static void stream_with_trailers(rondo_http_request *request, rondo_http_response *response,
                                 void *arg) {
    (void)request, (void)arg;
    CHECK_INT(rondo_http_response_header(response, "X-Head", "h"), 0);
    CHECK_INT(rondo_http_response_trailer(response, "X-Sum", "1"), RONDO_EINVAL); /* too early */
    CHECK_INT(rondo_http_response_begin(response, 200, -1), 0);
    CHECK_INT(rondo_http_response_trailer(response, "X-Sum", "1"), *(int *)arg);
    CHECK(rondo_http_response_write(response, rondo_slice_text("body")) >= 0);
    CHECK_INT(rondo_http_response_trailer(response, "X-Other", "two words"), *(int *)arg);
    static const char *const wrong[] = {"Content-Length", "transfer-encoding", "Host",
                                        "Content-Type",   "Set-Cookie",        "a b"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CHECK_INT(rondo_http_response_trailer(response, wrong[i], "1"), RONDO_EINVAL);
    CHECK_INT(rondo_http_response_trailer(response, "X", "a\r\nb"), RONDO_EINVAL);
    CHECK_INT(rondo_http_response_end(response), 0);
    CHECK_INT(rondo_http_response_trailer(response, "X", "a"), RONDO_ECLOSED);
}

TEST(trailers_of_a_response) {
    web_host web;
    web_peer peer;
    int result = 0;
    web_open(&web, stream_with_trailers, &result, NULL);
    peer_ask(&web, &peer, GET("/") GET("/"));
    CHECK_INT(peer_count(&peer, "4\r\nbody\r\n0\r\nX-Sum: 1\r\nX-Other: two words\r\n\r\n"), 2);
    CHECK_INT(peer_count(&peer, "X-Head: h\r\n"), 2);
    peer_close(&peer);
    result = RONDO_ENOTSUP; /* they are dropped */
    peer_ask(&web, &peer, "GET / HTTP/1.0\r\n\r\n");
    CHECK_STR(peer_body(&peer), "body");
    peer_close(&peer);
    peer_ask(&web, &peer, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(!peer_has(&peer, "X-Sum"));
    peer_close(&peer);
    web_close(&web);
}

static void many_trailers(rondo_http_request *request, rondo_http_response *response, void *arg) {
    char value[1001];
    int count = 0;
    (void)request;
    memset(value, 'v', 1000);
    value[1000] = '\0';
    CHECK_INT(rondo_http_response_begin(response, 200, -1), 0);
    while (rondo_http_response_trailer(response, "X-T", value) == 0) count++;
    CHECK_INT(rondo_http_response_trailer(response, "X-T", value), RONDO_ENOBUFS);
    *(int *)arg = count;
    CHECK_INT(rondo_http_response_end(response), 0);
}

TEST(trailers_of_a_response_are_bounded) {
    web_host web;
    web_peer peer;
    int count = 0;
    web_open(&web, many_trailers, &count, NULL);
    peer_ask(&web, &peer, GET("/"));
    CHECK_INT(count, 16);
    CHECK_INT(peer_count(&peer, "X-T: "), 16);
    CHECK_STR(peer.data + peer.len - 6, "vv\r\n\r\n");
    peer_close(&peer);
    web_close(&web);
}

/* ---- several of one name ---- */

static void go_through(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_slice value;
    size_t at = 0;
    (void)arg;
    while (rondo_http_request_header_next(request, "x-many", &at, &value)) note_slice("v", value);
    at = 0;
    CHECK(!rondo_http_request_header_next(request, "nobody", &at, &value));
    CHECK_INT(at, 0);
    rondo_http_response_end(response);
}

TEST(fields_of_one_name) {
    web_host web;
    web_peer peer;
    web_open(&web, go_through, NULL, NULL);
    peer_ask(&web, &peer,
             "GET / HTTP/1.1\r\nX-Many: 1\r\nHost: a\r\nx-MANY:2, 3\r\nX-Man: no\r\n"
             "X-Many:\r\n\r\n");
    CHECK_TRACE("v=1 v=2, 3 v=");
    peer_forget(&peer);
    peer_say(&web, &peer, GET("/"));
    CHECK_TRACE("");
    peer_close(&peer);
    web_close(&web);
}

/* ---- queries ---- */

TEST(parameters_of_a_query) {
    static const struct {
        const char *query, *trace;
    } cases[] = {
        {"", ""},
        {"a=1", "a=1"},
        {"a=1&b=2", "a=1 b=2"},
        {"a", "a=none"},
        {"a=", "a="},
        {"=1", "=1"},
        {"&&a=1&&", "a=1"},
        {"a=1=2&b", "a=1=2 b=none"},
        {"=", "="},
        {"a%3D=%26", "a%3D=%26"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rondo_slice query = rondo_slice_text(cases[i].query), name, value;
        while (rondo_http_query_next(&query, &name, &value)) {
            char text[32];
            snprintf(text, sizeof text, "%.*s", (int)name.len, name.data);
            note_slice(text, value);
        }
        CHECK_TRACE(cases[i].trace);
    }
}

TEST(decoding) {
    static const struct {
        const char *text, *decoded;
        int result;
    } cases[] = {
        {"", "", 0},
        {"abc", "abc", 3},
        {"a+b", "a b", 3},
        {"a%2Bb", "a+b", 3},
        {"%e4%BA%8C", "\xe4\xba\x8c", 3},
        {"%", "", RONDO_EINVAL},
        {"%4", "", RONDO_EINVAL},
        {"a%4x", "", RONDO_EINVAL},
        {"%00", "", RONDO_EINVAL},
        {"a%x4", "", RONDO_EINVAL},
        {"%%34", "", RONDO_EINVAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = strlen(cases[i].text);
        char buffer[16];
        for (size_t size = 1; size <= len + 1; size++) {
            memset(buffer, '!', sizeof buffer);
            int result = rondo_http_query_decode(rondo_slice_text(cases[i].text), buffer, size);
            bool fits = cases[i].result < 0 || (size_t)cases[i].result < size;
            if (fits && size == len + 1) {
                CHECK_INT(result, cases[i].result);
                CHECK_STR(buffer, cases[i].decoded);
            } else if (!fits) {
                CHECK_INT(result, RONDO_ENOBUFS);
                CHECK_STR(buffer, "");
            }
            CHECK_INT(buffer[size], '!');
        }
    }
    char none[1];
    CHECK_INT(rondo_http_query_decode(rondo_slice_of(NULL, 0), none, 1), 0);
}

static void ask_values(rondo_http_request *request, rondo_http_response *response, void *arg) {
    static const char *const names[] = {"a", "b", "b c", "d", "e", "f", ""};
    char value[8];
    (void)arg;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int result = rondo_http_request_query_value(request, names[i], value, sizeof value);
        if (result >= 0)
            note("%s=%s(%d)", names[i], value, result);
        else
            note("%s:%s", names[i], rondo_error_name(result));
    }
    rondo_http_response_end(response);
}

TEST(values_of_a_query) {
    web_host web;
    web_peer peer;
    web_open(&web, ask_values, NULL, NULL);
    peer_ask(&web, &peer, GET("/?a=1&a=2&b%20c=%31+%32&d&e=%zz&f=12345678&bb=1"));
    CHECK_TRACE("a=1(1) b:ENOENT b c=1 2(3) d=(0) e:EINVAL f:ENOBUFS :ENOENT");
    peer_say(&web, &peer, GET("/"));
    CHECK_TRACE("a:ENOENT b:ENOENT b c:ENOENT d:ENOENT e:ENOENT f:ENOENT :ENOENT");
    peer_close(&peer);
    web_close(&web);
}
