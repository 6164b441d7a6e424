/* SPDX-License-Identifier: MIT
 *
 * HTTP responses: what an application may say, what is refused, how it is framed.
 */
#define _GNU_SOURCE
#include "http_peer.h"

#include "http/server/response.h"

/* Each test is a callback: what it does with one request, and what the client must see. */
typedef void (*act)(rondo_http_request *request, rondo_http_response *response);

static act now_acting;

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    now_acting(request, response);
}

/* One request on a connection of its own. */
static void play(web_peer *peer, act what, const char *request) {
    web_host web;
    now_acting = what;
    web_open(&web, on_request, NULL, NULL);
    peer_ask(&web, peer, request);
    web_close(&web);
    peer_read(peer);
}

static rondo_slice text(const char *string) { return rondo_slice_text(string); }

#define GET_10 "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
#define HEAD_ "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"

/* ---- framing ---- */

static void stream_unknown_length(rondo_http_request *request, rondo_http_response *response) {
    (void)request;
    CHECK_INT(rondo_http_response_status(response), 0);
    CHECK_INT(rondo_http_response_begin(response, 200, -1), 0);
    CHECK_INT(rondo_http_response_status(response), 200);
    CHECK_INT(rondo_http_response_write(response, text("hello")), 1);
    CHECK_INT(rondo_http_response_write(response, text("")),
              1); /* would look like the last chunk */
    CHECK_INT(rondo_http_response_write(response, text(", world! 0123456789")), 1);
    CHECK_INT(rondo_http_response_bytes(response), 24);
    CHECK_INT(rondo_http_response_end(response), 0);
}

TEST(chunks_for_1_1) {
    web_peer peer;
    play(&peer, stream_unknown_length, GET("/"));
    CHECK(peer_has(&peer, "\r\nTransfer-Encoding: chunked\r\n"));
    CHECK(!peer_has(&peer, "Content-Length"));
    CHECK_STR(peer_body(&peer), "5\r\nhello\r\n13\r\n, world! 0123456789\r\n0\r\n\r\n");
    peer_close(&peer);
}

TEST(until_close_for_1_0) {
    web_peer peer;
    play(&peer, stream_unknown_length, GET_10);
    CHECK(!peer_has(&peer, "Transfer-Encoding") && !peer_has(&peer, "Content-Length"));
    CHECK(peer_has(&peer, "\r\nConnection: close\r\n"));
    CHECK_STR(peer_body(&peer), "hello, world! 0123456789");
    CHECK(peer.ended);
    peer_close(&peer);
}

static void no_bytes(rondo_http_request *request, rondo_http_response *response) {
    (void)request;
    CHECK_INT(rondo_http_response_begin(response, 200, -1), 0);
    CHECK_INT(rondo_http_response_write(response, text("hello")), 1);
    CHECK_INT(rondo_http_response_bytes(response), 0);
    CHECK_INT(rondo_http_response_end(response), 0);
}

TEST(head_has_no_body) {
    web_peer peer;
    play(&peer, no_bytes, HEAD_);
    CHECK_STR(peer_statuses(&peer), "200");
    CHECK_STR(peer_body(&peer), "");
    peer_close(&peer);
}

static void known_length(rondo_http_request *request, rondo_http_response *response) {
    (void)request;
    CHECK_INT(rondo_http_response_begin(response, 201, 10), 0);
    CHECK_INT(rondo_http_response_write(response, text("01234")), 1);
    CHECK_INT(rondo_http_response_write(response, text("567890")), RONDO_EOVERFLOW);
    CHECK_INT(rondo_http_response_write(response, text("56789")), 1);
    CHECK_INT(rondo_http_response_write(response, text("x")), RONDO_EOVERFLOW);
    CHECK_INT(rondo_http_response_end(response), 0);
}

TEST(length) {
    web_peer peer;
    play(&peer, known_length, GET("/") GET("/"));
    CHECK(strncmp(peer.data, "HTTP/1.1 201 Created\r\n", 22) == 0);
    CHECK_INT(peer_count(&peer, "\r\nContent-Length: 10\r\n"), 2);
    CHECK_INT(peer_count(&peer, "\r\n\r\n0123456789"), 2);
    peer_close(&peer);
}

static void head_of_length(rondo_http_request *request, rondo_http_response *response) {
    (void)request;
    CHECK_INT(rondo_http_response_begin(response, 200, 123456789012), 0);
    CHECK_INT(rondo_http_response_end(response), 0); /* no octets is not too few for HEAD */
}

TEST(head_says_the_length) {
    web_peer peer;
    play(&peer, head_of_length, HEAD_ HEAD_);
    CHECK_INT(peer_count(&peer, "\r\nContent-Length: 123456789012\r\n"), 2);
    CHECK(strncmp(peer_body(&peer), "HTTP/1.1 200", 12) == 0);
    peer_close(&peer);
}

static void too_few(rondo_http_request *request, rondo_http_response *response) {
    (void)request;
    CHECK_INT(rondo_http_response_begin(response, 200, 10), 0);
    CHECK_INT(rondo_http_response_write(response, text("01234")), 1);
    CHECK_INT(rondo_http_response_end(response), RONDO_EPROTO);
    CHECK_INT(rondo_http_response_end(response), RONDO_ECLOSED);
}

TEST(too_few_octets_cut_the_connection) {
    web_peer peer;
    play(&peer, too_few, GET("/") GET("/next"));
    CHECK_STR(peer_statuses(&peer), "200");
    CHECK_STR(peer_body(&peer), "01234");
    CHECK(peer.ended);
    peer_close(&peer);
}

static void end_only(rondo_http_request *request, rondo_http_response *response) {
    (void)request;
    CHECK_INT(rondo_http_response_end(response), 0);
}

TEST(end_without_begin_is_204) {
    web_peer peer;
    play(&peer, end_only, GET("/") GET("/"));
    CHECK_STR(peer_statuses(&peer), "204,204");
    CHECK(!peer_has(&peer, "Content-Length"));
    peer_close(&peer);
}

static void bodyless(rondo_http_request *request, rondo_http_response *response) {
    rondo_slice target = rondo_http_request_target(request);
    if (target.data[1] == 'a') {
        CHECK_INT(rondo_http_response_reply(response, 204, NULL, text("x")), RONDO_EINVAL);
        CHECK_INT(rondo_http_response_reply(response, 304, NULL, text("x")), RONDO_EINVAL);
        CHECK_INT(rondo_http_response_begin(response, 304, 5), RONDO_EINVAL);
        CHECK_INT(rondo_http_response_reply(response, 304, NULL, text("")), 0);
    } else {
        CHECK_INT(rondo_http_response_begin(response, 204, -1), 0);
        CHECK_INT(rondo_http_response_write(response, text("x")), RONDO_EOVERFLOW);
        CHECK_INT(rondo_http_response_end(response), 0);
    }
}

TEST(no_body_for_204_and_304) {
    web_peer peer;
    play(&peer, bodyless, GET("/a") GET("/b"));
    CHECK_STR(peer_statuses(&peer), "304,204");
    CHECK(!peer_has(&peer, "Content-Length") && !peer_has(&peer, "Transfer-Encoding"));
    CHECK_INT(peer_count(&peer, "\r\n\r\n"), 2);
    peer_close(&peer);
}

static void head_reply(rondo_http_request *request, rondo_http_response *response) {
    (void)request;
    CHECK_INT(rondo_http_response_reply(response, 200, "text/plain", text("0123456")), 0);
}

TEST(reply_to_head) {
    web_peer peer;
    play(&peer, head_reply, HEAD_ GET("/"));
    CHECK_INT(peer_count(&peer, "Content-Length: 7\r\n"), 2);
    CHECK_INT(peer_count(&peer, "0123456"), 1);
    CHECK(strncmp(peer_body(&peer), "HTTP/1.1 200", 12) == 0);
    peer_close(&peer);
}

/* ---- what is refused ---- */

static void wrong_statuses(rondo_http_request *request, rondo_http_response *response) {
    static const int wrong[] = {-1, 0, 100, 101, 199, 600, 1000};
    (void)request;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        CHECK_INT(rondo_http_response_reply(response, wrong[i], NULL, text("")), RONDO_EINVAL);
        CHECK_INT(rondo_http_response_begin(response, wrong[i], 0), RONDO_EINVAL);
    }
    CHECK_INT(rondo_http_response_begin(response, 200, -2), RONDO_EINVAL);
    CHECK_INT(rondo_http_response_write(response, text("x")), RONDO_EINVAL);
    CHECK_INT(rondo_http_response_reply(response, 299, NULL, text("")), 0);
}

TEST(statuses) {
    web_peer peer;
    play(&peer, wrong_statuses, GET("/"));
    CHECK(strncmp(peer.data, "HTTP/1.1 299 \r\n", 15) == 0);
    peer_close(&peer);
}

static void wrong_fields(rondo_http_request *request, rondo_http_response *response) {
    static const char *const own[] = {"Content-Length", "transfer-encoding", "CONNECTION", "Date",
                                      "Keep-Alive"};
    static const char *const names[] = {"", "a b", "a:", "a\r", "a\n", "\x80", "a\x7f", "(a)"};
    static const char *const values[] = {"a\rb", "a\nb", "a\r\nX: y", "\n"};
    (void)request;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        CHECK_INT(rondo_http_response_header(response, own[i], "1"), RONDO_EINVAL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK_INT(rondo_http_response_header(response, names[i], "1"), RONDO_EINVAL);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        CHECK_INT(rondo_http_response_header(response, "X-A", values[i]), RONDO_EINVAL);
    CHECK_INT(rondo_http_response_header(response, "Connections", "x"), 0);
    CHECK_INT(rondo_http_response_header(response, "X-Tab", "a\tb \xe9"), 0);
    CHECK_INT(rondo_http_response_header(response, "X-Empty", ""), 0);
    CHECK_INT(rondo_http_response_reply(response, 200, "a\r\nb", text("")), RONDO_EINVAL);
    CHECK_INT(rondo_http_response_reply(response, 200, "a\nb", text("")), RONDO_EINVAL);
    CHECK_INT(rondo_http_response_reply(response, 200, "", text("")), RONDO_EINVAL);
    CHECK_INT(rondo_http_response_begin(response, 200, 0), 0);
    CHECK_INT(rondo_http_response_header(response, "X-Late", "x"), RONDO_EBUSY);
    CHECK_INT(rondo_http_response_begin(response, 200, 0), RONDO_EBUSY);
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, text("")), RONDO_EBUSY);
    CHECK_INT(rondo_http_response_end(response), 0);
}

TEST(fields) {
    web_peer peer;
    play(&peer, wrong_fields, GET("/"));
    CHECK(peer_has(&peer, "\r\nConnections: x\r\nX-Tab: a\tb \xe9\r\nX-Empty: \r\n\r\n"));
    CHECK(!peer_has(&peer, "X-A") && !peer_has(&peer, "X-Late"));
    CHECK_INT(peer_count(&peer, "Content-Length"), 1);
    peer_close(&peer);
}

static void use_after_end(rondo_http_request *request, rondo_http_response *response) {
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, text("once")), 0);
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, text("twice")), RONDO_ECLOSED);
    CHECK_INT(rondo_http_response_header(response, "X-A", "x"), RONDO_ECLOSED);
    CHECK_INT(rondo_http_response_begin(response, 200, -1), RONDO_ECLOSED);
    CHECK_INT(rondo_http_response_write(response, text("x")), RONDO_ECLOSED);
    CHECK_INT(rondo_http_response_end(response), RONDO_ECLOSED);
    rondo_http_response_on_drain(response, NULL, NULL);
    rondo_http_response_on_aborted(response, NULL, NULL);
    CHECK_INT(rondo_http_response_status(response), 200);
    CHECK_INT(rondo_http_response_bytes(response), 4);
    rondo_close(response);
    CHECK_INT(rondo_http_request_target(request).len, 1); /* inside its callback in any case */
    CHECK_INT(rondo_http_request_pause(request), 0);
    CHECK_INT(rondo_http_request_resume(request), 0);
}

TEST(use_after_end_is_harmless) {
    web_peer peer;
    play(&peer, use_after_end, GET("/") GET("/"));
    CHECK_STR(peer_statuses(&peer), "200,200");
    CHECK_INT(peer_count(&peer, "once"), 2);
    CHECK(!peer_has(&peer, "twice"));
    peer_close(&peer);
}

/* ---- long ones ---- */

static char *long_text(size_t len) {
    char *string = malloc(len + 1);
    CHECK(string != NULL);
    for (size_t i = 0; i < len; i++) string[i] = (char)('a' + (i * 7 + i / 1000) % 26);
    string[len] = '\0';
    return string;
}

static void long_fields(rondo_http_request *request, rondo_http_response *response) {
    char *value = long_text(3000), *huge = long_text(70000);
    (void)request;
    CHECK_INT(rondo_http_response_header(response, "X-Huge", huge), RONDO_ENOBUFS);
    CHECK_INT(rondo_http_response_header(response, huge, "x"), RONDO_ENOBUFS);
    for (int i = 0; i < 5; i++) CHECK_INT(rondo_http_response_header(response, "X-Long", value), 0);
    CHECK_INT(rondo_http_response_header(response, "X-Long", value), RONDO_ENOBUFS);
    CHECK_INT(rondo_http_response_header(response, "X-Last", "z"), 0);
    CHECK_INT(rondo_http_response_reply(response, 200, "text/plain", text("body")), 0);
    free(value);
    free(huge);
}

TEST(long_heads) {
    web_peer peer;
    char *value = long_text(3000);
    play(&peer, long_fields, GET("/") GET("/"));
    CHECK_STR(peer_statuses(&peer), "200,200");
    CHECK_INT(peer_count(&peer, value), 10);
    CHECK_INT(peer_count(&peer, "\r\nX-Last: z\r\n\r\nbody"), 2);
    free(value);
    peer_close(&peer);
}

/* Bodies around the size up to which they go with the head. */
static size_t body_len;

static void sized_reply(rondo_http_request *request, rondo_http_response *response) {
    char *body = long_text(body_len);
    (void)request;
    CHECK_INT(rondo_http_response_header(response, "X-A", "b"), 0);
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, text(body)), 0);
    free(body);
}

static void sized_stream(rondo_http_request *request, rondo_http_response *response) {
    char *body = long_text(body_len);
    (void)request;
    CHECK_INT(rondo_http_response_begin(response, 200, -1), 0);
    CHECK(rondo_http_response_write(response, text(body)) >= 0);
    CHECK_INT(rondo_http_response_end(response), 0);
    free(body);
}

TEST(bodies_of_all_sizes) {
    static const size_t sizes[] = {0,     1,     9,     10,    99,     4095,   4096, 4097,
                                   7000,  7600,  7700,  8000,  8191,   8192,   8193, 16384,
                                   17000, 65535, 65536, 65537, 200000, 1000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        web_peer peer;
        char line[64], *body = long_text(body_len = sizes[i]);
        play(&peer, sized_reply, GET("/") GET("/"));
        snprintf(line, sizeof line, "Content-Length: %zu\r\n", sizes[i]);
        CHECK_INT(peer_count(&peer, line), 2);
        CHECK_MEM(peer_body(&peer), body, sizes[i]);
        CHECK_MEM(peer.data + peer.len - sizes[i], body, sizes[i]);
        peer_close(&peer);
        play(&peer, sized_stream, GET("/") GET("/"));
        CHECK_INT(peer_count(&peer, "\r\n0\r\n\r\n"), 2);
        if (sizes[i] > 0) {
            snprintf(line, sizeof line, "\r\n\r\n%zx\r\n", sizes[i]);
            CHECK_INT(peer_count(&peer, line), 2);
            CHECK_MEM(strstr(peer.data, line) + strlen(line), body, sizes[i]);
        }
        CHECK_MEM(peer.data + peer.len - 5, "0\r\n\r\n", 5);
        free(body);
        peer_close(&peer);
    }
}

static void too_long(rondo_http_request *request, rondo_http_response *response) {
    char *body = long_text((size_t)16 << 20);
    (void)request;
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, text(body)), RONDO_ENOBUFS);
    CHECK_INT(rondo_http_response_end(response), RONDO_ECLOSED); /* that has ended it */
    free(body);
}

TEST(reply_that_does_not_fit_cuts_the_connection) {
    web_peer peer;
    play(&peer, too_long, GET("/"));
    CHECK_STR(peer.data, "");
    CHECK(peer.ended);
    peer_close(&peer);
}

static void write_too_long(rondo_http_request *request, rondo_http_response *response) {
    char *body = long_text((size_t)16 << 20);
    (void)request;
    CHECK_INT(rondo_http_response_begin(response, 200, -1), 0);
    CHECK_INT(rondo_http_response_write(response, text(body)), RONDO_ENOBUFS);
    CHECK_INT(rondo_http_response_write(response, text("in between")), 1); /* nothing was taken */
    CHECK_INT(rondo_http_response_end(response), 0);
    free(body);
}

TEST(write_that_does_not_fit_takes_nothing) {
    web_peer peer;
    play(&peer, write_too_long, GET("/"));
    CHECK_STR(peer_body(&peer), "a\r\nin between\r\n0\r\n\r\n");
    peer_close(&peer);
}

/* Media types: the last one is remembered, so others come in between. */
static void typed(rondo_http_request *request, rondo_http_response *response) {
    rondo_slice target = rondo_http_request_target(request);
    char type[300] = "x/";
    if (target.data[1] == 'n') {
        rondo_http_response_reply(response, 200, NULL, text(""));
    } else if (target.data[1] == 'l') {
        memset(type, 'y', 256);
        type[256] = '\0';
        CHECK_INT(rondo_http_response_reply(response, 200, type, text("")), RONDO_EINVAL);
        type[255] = '\0';
        CHECK_INT(rondo_http_response_reply(response, 404, type, text("")), 0);
    } else {
        memcpy(type + 2, target.data + 1, target.len - 1);
        CHECK_INT(rondo_http_response_reply(response, 200, type, text("")), 0);
    }
}

TEST(media_types) {
    web_peer peer;
    play(&peer, typed, GET("/a") GET("/a") GET("/none") GET("/bbb") GET("/long") GET("/a"));
    CHECK_STR(peer_statuses(&peer), "200,200,200,200,404,200");
    CHECK_INT(peer_count(&peer, "GMT\r\nContent-Type: x/a\r\nContent-Length"), 3);
    CHECK_INT(peer_count(&peer, "GMT\r\nContent-Type: x/bbb\r\nContent-Length"), 1);
    CHECK_INT(peer_count(&peer, "GMT\r\nContent-Length"), 1);
    CHECK_INT(peer_count(&peer, "yyy\r\nContent-Length"), 1);
    peer_close(&peer);
}

/* ---- as a handle ---- */

static int closes;

static void count_close(rondo_handle *handle, void *arg) {
    rondo_http_response *response = (rondo_http_response *)(void *)handle;
    (void)arg;
    CHECK_INT(rondo_http_response_status(response), 200);
    CHECK_INT(rondo_http_response_bytes(response), 2);
    closes++;
}

static void with_listener(rondo_http_request *request, rondo_http_response *response) {
    (void)request;
    CHECK_STR(rondo_kind(response), "http response");
    CHECK(!rondo_is_closing(response));
    CHECK_INT(rondo_on_close(response, count_close, NULL), 0);
    CHECK_INT(rondo_set_name(response, "named"), 0);
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, text("ok")), 0);
    CHECK(rondo_is_closing(response));
    CHECK_STR(rondo_name(response), "named");
}

TEST(close_event) {
    web_peer peer;
    play(&peer, with_listener, GET("/") GET("/") GET("/"));
    CHECK_INT(closes, 3);
    peer_close(&peer);
}

/* The memory of a response goes to the next: nothing of what was set on it may be left there. */
static rondo_http_response *first_response;
static int strangers;

static void stranger(rondo_http_response *response, void *arg) {
    (void)response, (void)arg;
    strangers++;
}

static void set_all_then_none(rondo_http_request *request, rondo_http_response *response) {
    if (rondo_http_request_target(request).len > 1) {
        CHECK(response == first_response);
        CHECK(rondo_data(response) == NULL);
        CHECK_STR(rondo_name(response), "");
        CHECK_INT(rondo_http_response_status(response), 0);
        CHECK_INT(rondo_http_response_bytes(response), 0);
        CHECK_INT(rondo_http_response_begin(response, 200, -1), 0);
        char *block = long_text(65536);
        while (rondo_http_response_write(response, rondo_slice_of(block, 65536)) > 0) {}
        free(block);
        return; /* it drains, and then its client goes before its end */
    }
    first_response = response;
    rondo_set_data(response, &strangers);
    CHECK_INT(rondo_set_name(response, "the first"), 0);
    rondo_http_response_on_drain(response, stranger, NULL);
    rondo_http_response_on_aborted(response, stranger, NULL);
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, text("ok")), 0);
}

TEST(nothing_of_a_response_is_left_in_the_next) {
    web_peer peer;
    web_host web;
    now_acting = set_all_then_none;
    web_open(&web, on_request, NULL, NULL);
    peer_ask(&web, &peer, GET("/"));
    peer_send(&web, &peer, GET("/second"), strlen(GET("/second")));
    web_turns(&web, 4);
    for (int i = 0; i < 5000 && peer.len < rondo_http_response_bytes(first_response); i++)
        peer_pump(&web, &peer);
    peer_reset(&peer);
    web_turns(&web, 4);
    rondo_close(first_response); /* the second it is */
    web_close(&web);
    CHECK_INT(strangers, 0);
}

static void close_it(rondo_http_request *request, rondo_http_response *response) {
    if (rondo_http_request_target(request).len > 1) {
        CHECK_INT(rondo_http_response_reply(response, 200, NULL, text("ok")), 0);
        return;
    }
    rondo_close(response);
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, text("ok")), RONDO_ECLOSED);
}

/* Answers before it still leave. */
TEST(close_cuts_the_connection) {
    web_peer peer;
    play(&peer, close_it, GET("/1") GET("/") GET("/2"));
    CHECK_STR(peer_statuses(&peer), "200");
    CHECK(peer.ended && !peer.reset);
    peer_close(&peer);
}

static void close_half_way(rondo_http_request *request, rondo_http_response *response) {
    (void)request;
    CHECK_INT(rondo_http_response_begin(response, 200, -1), 0);
    CHECK_INT(rondo_http_response_write(response, text("half")), 1);
    rondo_close(response);
}

TEST(half_an_answer_can_be_told) {
    web_peer peer;
    play(&peer, close_half_way, GET("/"));
    CHECK_STR(peer_body(&peer), "4\r\nhalf\r\n"); /* and no last chunk */
    CHECK(peer.ended);
    peer_close(&peer);
    play(&peer, close_half_way, GET_10);
    CHECK(!peer_has(&peer, "half")); /* an end would make it whole: nothing is sent any more */
    peer_close(&peer);
}

/* ---- streaming ---- */

static int drains;

static void go_on(rondo_http_response *response, void *arg) {
    size_t *left = arg;
    char *block = long_text(65536);
    drains++;
    while (*left > 0) {
        int result = rondo_http_response_write(response, rondo_slice_of(block, 65536));
        CHECK(result >= 0);
        *left -= 65536;
        if (result == 0) break;
    }
    free(block);
    if (*left == 0) {
        rondo_http_response_on_drain(response, NULL, NULL);
        CHECK_INT(rondo_http_response_end(response), 0);
    }
}

static void start_stream(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request;
    CHECK_INT(rondo_http_response_begin(response, 200, (int64_t) * (size_t *)arg), 0);
    rondo_http_response_on_drain(response, go_on, arg);
    go_on(response, arg);
}

TEST(drain_tells_to_go_on) {
    web_host web;
    web_peer peer;
    size_t size = (size_t)8 << 20, left = size;
    web_open(&web, start_stream, &left, NULL);
    peer_open(&web, &peer);
    peer_send(&web, &peer, GET("/"), strlen(GET("/")));
    web_turns(&web, 20);
    CHECK(left > 0); /* it stands still while nobody reads */
    for (int i = 0; i < 5000 && (!peer_has(&peer, "\r\n\r\n") ||
                                 peer.len < size + (size_t)(peer_body(&peer) - peer.data));
         i++) {
        size_t before = peer.len;
        peer_pump(&web, &peer);
        if (peer.len == before) harness_sleep_ms(1);
    }
    CHECK_INT(left, 0);
    CHECK(drains >= 2); /* the first call, and at least one event */
    peer_close(&peer);
    web_close(&web);
}

/* ---- files (internal) ---- */

static FILE *file_of(const char *content) {
    FILE *file = tmpfile();
    CHECK(file != NULL && fputs(content, file) >= 0 && fflush(file) == 0);
    return file;
}

static void send_file(rondo_http_request *request, rondo_http_response *response) {
    FILE *file = file_of("0123456789");
    int fd = dup(fileno(file));
    fclose(file);
    (void)request;
    CHECK_INT(rondo_http_response_begin(response, 200, 4), 0);
    CHECK_INT(rondo__http_response_file(response, fd, 3, 4, true), 0);
}

TEST(file_as_a_body) {
    web_peer peer;
    play(&peer, send_file, GET("/") GET("/") HEAD_);
    CHECK_STR(peer_statuses(&peer), "200,200,200");
    CHECK_INT(peer_count(&peer, "\r\n\r\n3456"), 2);
    peer_close(&peer);
}

static void send_truncated(rondo_http_request *request, rondo_http_response *response) {
    FILE *file = file_of("0123456789");
    int fd = dup(fileno(file));
    fclose(file);
    (void)request;
    CHECK_INT(rondo_http_response_begin(response, 200, 100), 0);
    rondo__http_response_file(response, fd, 3, 100, true);
}

TEST(file_that_is_shorter_cuts_the_connection) {
    web_peer peer;
    play(&peer, send_truncated, GET("/") GET("/"));
    CHECK(peer.ended);
    CHECK_INT(peer_count(&peer, "HTTP/1.1"), 1);
    peer_close(&peer);
}
