/* SPDX-License-Identifier: MIT
 *
 * Compressed answers: which ones, what their heads say, and that what comes out is what went in,
 * however it was written and whoever goes away meanwhile.
 *
 * test/run: not under valgrind; most of its time is zlib's, and the sanitizers see the rest.
 */
#define _GNU_SOURCE
#include "http_peer.h"

#include <zlib.h>

#include "http/encoding/choose.h"
#include "http/server/connection.h"
#include "http/server/shared.h"

/* ---- what a client makes of it ---- */

/* The body of the only answer, out of its chunks; malloc'ed. */
static char *unchunk(const web_peer *peer, size_t *ret_len) {
    const char *at = peer_body(peer), *end = peer->data + peer->len;
    char *body = malloc(peer->len + 1);
    size_t len = 0;

    CHECK(body != NULL);
    if (!peer_has(peer, "Transfer-Encoding: chunked")) {
        memcpy(body, at, len = (size_t)(end - at));
        *ret_len = len;
        return body;
    }
    while (at < end) {
        char *line_end;
        unsigned long piece = strtoul(at, &line_end, 16);
        CHECK(memcmp(line_end, "\r\n", 2) == 0);
        if (piece == 0) break;
        CHECK((size_t)(end - line_end) >= piece + 4);
        memcpy(body + len, line_end + 2, piece);
        len += piece;
        at = line_end + 2 + piece + 2;
    }
    *ret_len = len;
    return body;
}

/* Inflates as much as there is; malloc'ed. *ret_whole: it ended as gzip does. */
static char *inflate_all(const char *data, size_t len, size_t *ret_len, bool *ret_whole) {
    size_t room = 8u << 20;
    char *text = malloc(room);
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)data,
                       .avail_in = (uInt)len,
                       .next_out = (Bytef *)text,
                       .avail_out = (uInt)room};

    CHECK(text != NULL);
    CHECK_INT(inflateInit2(&stream, 15 + 16), Z_OK);
    int status = inflate(&stream, Z_SYNC_FLUSH);
    CHECK(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR);
    *ret_len = room - stream.avail_out;
    *ret_whole = status == Z_STREAM_END && stream.avail_in == 0;
    inflateEnd(&stream);
    return text;
}

static void check_inflates(const web_peer *peer, const char *want, size_t want_len, bool whole) {
    size_t coded_len, len;
    bool ended;
    char *coded = unchunk(peer, &coded_len);
    char *text = inflate_all(coded, coded_len, &len, &ended);

    CHECK_INT(len, want_len);
    CHECK_MEM(text, want, want_len);
    CHECK_INT(ended, whole);
    free(coded);
    free(text);
}

static bool has_last_chunk(const web_peer *peer) {
    return peer->len > 7 && memcmp(peer->data + peer->len - 7, "\r\n0\r\n\r\n", 7) == 0;
}

/* Text that shrinks, but not to nothing; if it is very long, it does not. */
static char *make_text(size_t len) {
    char *text = malloc(len + 1);
    unsigned state = 7;

    CHECK(text != NULL);
    for (size_t i = 0; i < len; i++) {
        state = state * 1103515245u + 12345u;
        text[i] = len > 5000000 ? (char)(state >> 16) : "abcdefgh \n"[(state >> 16) % 10];
    }
    text[len] = '\0';
    return text;
}

/* ---- one call ---- */

typedef struct plan {
    const char *type;      /* of reply; NULL: none */
    const char *fields[6]; /* name, value, ... */
    int status;
    const char *body;
    size_t len;
    bool own; /* turned on for the response, not for the server */
    bool off;
} plan;

static void follow_plan(rondo_http_request *request, rondo_http_response *response, void *arg) {
    const plan *p = arg;

    (void)request;
    for (int i = 0; i < 6 && p->fields[i]; i += 2)
        CHECK_INT(rondo_http_response_header(response, p->fields[i], p->fields[i + 1]), 0);
    if (p->own || p->off) CHECK_INT(rondo_http_response_compress(response, p->own), 0);
    CHECK_INT(rondo_http_response_reply(response, p->status ? p->status : 200, p->type,
                                        rondo_slice_of(p->body, p->len)),
              0);
}

static void ask_plan(const plan *p, const char *method, const char *fields, web_host *web,
                     web_peer *peer) {
    char text[512];

    web_open(web, follow_plan, (void *)(uintptr_t)p, NULL);
    if (!p->own)
        CHECK_INT(rondo_http_server_set_compression(web->server, &(rondo_http_compression){0}), 0);
    snprintf(text, sizeof text, "%s / HTTP/1.1\r\nHost: a\r\n%s\r\n", method, fields);
    peer_ask(web, peer, text);
}

#define ACCEPTS "Accept-Encoding: gzip, br\r\n"
#define ASK "GET / HTTP/1.1\r\nHost: a\r\n" ACCEPTS "\r\n"

TEST(a_text_is_compressed_and_says_so) {
    char *text = make_text(20000);
    plan p = {.type = "text/html; charset=utf-8",
              .fields = {"ETag", "\"v1\"", "X-Other", "1"},
              .body = text,
              .len = 20000};
    web_host web;
    web_peer peer;

    for (int own = 0; own < 2; own++) {
        p.own = own;
        ask_plan(&p, "GET", ACCEPTS, &web, &peer);
        CHECK_STR(peer_statuses(&peer), "200");
        CHECK_INT(peer_count(&peer, "\r\nContent-Encoding: gzip\r\n"), 1);
        CHECK_INT(peer_count(&peer, "\r\nVary: Accept-Encoding\r\n"), 1);
        CHECK_INT(peer_count(&peer, "\r\nETag: W/\"v1\"\r\n"), 1);
        CHECK_INT(peer_count(&peer, "\r\nContent-Type: text/html; charset=utf-8\r\n"), 1);
        CHECK_INT(peer_count(&peer, "\r\nX-Other: 1\r\n"), 1);
        size_t body_len = peer.len - (size_t)(peer_body(&peer) - peer.data);
        CHECK_INT(atoi(strstr(peer.data, "Content-Length: ") + 16), body_len);
        CHECK(body_len < 12000);
        check_inflates(&peer, text, 20000, true);
        peer_close(&peer);
        web_close(&web);
    }
    free(text);
}

TEST(head_gets_the_head_that_get_would) {
    size_t sizes[] = {20000, 200000};

    for (int i = 0; i < 2; i++) {
        char *text = make_text(sizes[i]);
        plan p = {
            .type = "text/plain", .fields = {"ETag", "\"v1\""}, .body = text, .len = sizes[i]};
        web_host web;
        web_peer get, head;
        ask_plan(&p, "GET", ACCEPTS, &web, &get);
        peer_ask(&web, &head, "HEAD / HTTP/1.1\r\nHost: a\r\n" ACCEPTS "\r\n");
        CHECK_STR(peer_statuses(&head), "200");
        CHECK_STR(peer_body(&head), "");
        CHECK(head.len > 0);
        *strstr(head.data, "Date: ") = '\0'; /* the same but for the second */
        CHECK_INT(strncmp(get.data, head.data, strlen(head.data)), 0);
        size_t rest = strlen(head.data) + 41;
        CHECK_MEM(get.data + rest, head.data + rest, head.len - rest);
        peer_close(&get);
        peer_close(&head);
        web_close(&web);
        free(text);
    }
}

TEST(which_answers_are_compressed) {
    static char noise[4096];
    char *text = make_text(4096);
    unsigned state = 1;
    for (size_t i = 0; i < sizeof noise; i++) {
        state = state * 1103515245u + 12345u;
        noise[i] = (char)(state >> 16);
    }
    const struct {
        plan plan;
        const char *fields;
        bool coded, varies;
    } table[] = {
        {{.type = "text/plain", .body = text, .len = 4096}, ACCEPTS, true, true},
        {{.type = "text/plain", .body = text, .len = 4096}, "", false, true},
        {{.type = "text/plain", .body = text, .len = 4096}, "Accept-Encoding: br\r\n", false, true},
        {{.type = "text/plain", .body = text, .len = 4096},
         "Accept-Encoding: gzip;q=0\r\n",
         false,
         true},
        {{.type = "text/plain", .body = text, .len = 4096},
         "Accept-Encoding: gzip;q=0.5, identity\r\n",
         false,
         true},
        {{.type = "text/plain", .body = text, .len = 1023}, ACCEPTS, false, false},
        {{.type = "text/plain", .body = text, .len = 1024}, ACCEPTS, true, true},
        {{.type = "image/png", .body = text, .len = 4096}, ACCEPTS, false, false},
        {{.type = NULL, .body = text, .len = 4096}, ACCEPTS, false, false},
        {{.type = NULL, .fields = {"Content-Type", "application/json"}, .body = text, .len = 4096},
         ACCEPTS,
         true,
         true},
        {{.type = "text/plain", .status = 404, .body = text, .len = 4096}, ACCEPTS, true, true},
        {{.type = "text/plain", .status = 206, .body = text, .len = 4096}, ACCEPTS, false, false},
        {{.type = "text/plain", .fields = {"Content-Encoding", "x"}, .body = text, .len = 4096},
         ACCEPTS,
         false,
         false},
        {{.type = "text/plain",
          .fields = {"Cache-Control", "private, No-Transform"},
          .body = text,
          .len = 4096},
         ACCEPTS,
         false,
         false},
        {{.type = "text/plain", .fields = {"Vary", "Origin"}, .body = text, .len = 4096},
         ACCEPTS,
         true,
         true},
        {{.type = "text/plain", .body = noise, .len = 4096}, ACCEPTS, false, true}, /* would grow */
        {{.type = "text/plain", .body = text, .len = 4096, .off = true}, ACCEPTS, false, false},
        {{.type = NULL, .status = 304}, ACCEPTS, false, true},
        {{.type = NULL, .status = 204}, ACCEPTS, false, false},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        web_host web;
        web_peer peer;
        ask_plan(&table[i].plan, "GET", table[i].fields, &web, &peer);
        bool coded = peer_has(&peer, "Content-Encoding: gzip");
        bool varies = peer_has(&peer, "Vary: Accept-Encoding");
        if (coded != table[i].coded || varies != table[i].varies)
            FAIL("row %zu: %d %d\n%.300s", i, coded, varies, peer.data);
        if (coded)
            check_inflates(&peer, table[i].plan.body, table[i].plan.len, true);
        else
            CHECK_INT(peer.len - (size_t)(peer_body(&peer) - peer.data), table[i].plan.len);
        peer_close(&peer);
        web_close(&web);
    }
    free(text);
}

TEST(what_the_head_says_already_is_not_said_twice) {
    char *text = make_text(4096);
    plan p = {.type = "text/plain",
              .fields = {"Vary", "Origin, accept-encoding", "ETag", "W/\"w\""},
              .body = text,
              .len = 4096};
    web_host web;
    web_peer peer;

    ask_plan(&p, "GET", ACCEPTS, &web, &peer);
    CHECK_INT(peer_count(&peer, "Vary"), 1);
    CHECK_INT(peer_count(&peer, "ETag: W/\"w\"\r\n"), 1);
    peer_close(&peer);
    web_close(&web);
    free(text);
}

TEST(types_that_shrink) {
    static const char *const yes[] = {"text/html",
                                      "TEXT/CSS",
                                      "text/plain;charset=x",
                                      "application/json ; a=b",
                                      "image/svg+xml",
                                      "application/problem+json",
                                      "application/wasm",
                                      "font/ttf"};
    static const char *const no[] = {"",
                                     "text",
                                     "text/",
                                     "text/event-stream",
                                     "image/png",
                                     "video/mp4",
                                     "application/zip",
                                     "font/woff2",
                                     "application/octet-stream",
                                     "+json",
                                     "application/jsonx",
                                     "multipart/byteranges; boundary=text/html"};

    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        if (!rondo__type_shrinks(rondo_slice_text(yes[i]))) FAIL("%s", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        if (rondo__type_shrinks(rondo_slice_text(no[i]))) FAIL("%s", no[i]);
}

/* ---- a long body in one call ---- */

typedef struct long_reply {
    char *text;
    size_t len;
    int closed, drained, aborted;
} long_reply;

static void on_long_closed(rondo_handle *handle, void *arg) {
    (void)handle;
    ((long_reply *)arg)->closed++;
}
static void on_long_drain(rondo_http_response *response, void *arg) {
    (void)response;
    ((long_reply *)arg)->drained++;
}
static void on_long_aborted(rondo_http_response *response, void *arg) {
    (void)response;
    ((long_reply *)arg)->aborted++;
}

static void reply_long(rondo_http_request *request, rondo_http_response *response, void *arg) {
    long_reply *state = arg;
    char *copy = malloc(state->len);

    (void)request;
    CHECK(copy != NULL);
    memcpy(copy, state->text, state->len);
    CHECK_INT(rondo_on_close(response, on_long_closed, state), 0);
    rondo_http_response_on_drain(response, on_long_drain, state);
    rondo_http_response_on_aborted(response, on_long_aborted, state);
    CHECK_INT(
        rondo_http_response_reply(response, 200, "text/plain", rondo_slice_of(copy, state->len)),
        0);
    memset(copy, 'x', state->len); /* it was copied */
    free(copy);
    /* For the application it is over. */
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, rondo_slice_of(NULL, 0)),
              RONDO_ECLOSED);
    CHECK_INT(rondo_http_response_begin(response, 200, 3), RONDO_ECLOSED);
    CHECK_INT(rondo_http_response_write(response, rondo_slice_text("x")), RONDO_ECLOSED);
    CHECK_INT(rondo_http_response_end(response), RONDO_ECLOSED);
}

static void open_long(web_host *web, long_reply *state, size_t len) {
    *state = (long_reply){.text = make_text(len), .len = len};
    web_open(web, reply_long, state, NULL);
    CHECK_INT(rondo_http_server_set_compression(web->server, &(rondo_http_compression){0}), 0);
}

TEST(a_long_body_is_compressed_in_slices_that_let_others_in) {
    long_reply state;
    web_host web;
    web_peer peer;

    open_long(&web, &state, 3000000);
    peer_open(&web, &peer);
    peer_send(&web, &peer, ASK, strlen(ASK));
    for (int i = 0; i < 1000 && !peer_has(&peer, "HTTP/1.1 200"); i++) {
        rondo_loop_run(web.loop, RONDO_RUN_NOWAIT);
        peer_read(&peer);
    }
    CHECK_INT(state.closed, 0); /* the head is here, the rest is not even compressed */
    peer_pump(&web, &peer);
    CHECK_INT(state.closed, 1);
    CHECK_INT(state.drained + state.aborted, 0);
    CHECK(peer_has(&peer, "Transfer-Encoding: chunked"));
    check_inflates(&peer, state.text, state.len, true);
    /* The connection goes on. */
    peer_forget(&peer);
    peer_say(&web, &peer, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK_INT(state.closed, 2);
    CHECK_INT(peer.len - (size_t)(peer_body(&peer) - peer.data), state.len);
    peer_close(&peer);
    web_close(&web);
    free(state.text);
}

TEST(a_client_that_goes_during_a_long_body) {
    long_reply state;
    web_host web;
    web_peer peer;

    open_long(&web, &state, 8000000);
    for (int i = 0; i < 6; i++) {
        peer_open(&web, &peer);
        peer_send(&web, &peer, ASK, strlen(ASK));
        web_turns(&web, 1 + i * 3);
        peer_reset(&peer);
        for (int turn = 0; turn < 3000 && state.closed == i; turn++) web_turns(&web, 1);
        CHECK_INT(state.closed, i + 1);
        CHECK_INT(rondo__http_of(web.loop)->deflating, 0);
    }
    CHECK_INT(state.drained + state.aborted, 0);
    /* One that reads nothing is waited for, until its time is over. */
    peer_open(&web, &peer);
    int small = 4096;
    CHECK_INT(setsockopt(peer.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    peer_send(&web, &peer, ASK, strlen(ASK));
    web_turns(&web, 400);
    CHECK_INT(state.closed, 6);
    web_advance(&web, 70000);
    web_turns(&web, 10);
    CHECK_INT(state.closed, 7);
    CHECK_INT(rondo__http_of(web.loop)->deflating, 0);
    peer_close(&peer);
    /* Nor does one that is at work hold up the end of the server. */
    peer_open(&web, &peer);
    peer_send(&web, &peer, ASK, strlen(ASK));
    web_turns(&web, 3);
    web_close(&web);
    CHECK_INT(state.closed, 8);
    peer_close(&peer);
    free(state.text);
}

/* ---- pieces ---- */

typedef struct stream_test {
    rondo_http_response *response;
    int64_t length;
    int closed;
} stream_test;

static void on_stream_closed(rondo_handle *handle, void *arg) {
    stream_test *test = arg;
    (void)handle;
    test->closed++;
    test->response = NULL;
}

static void begin_stream(rondo_http_request *request, rondo_http_response *response, void *arg) {
    stream_test *test = arg;

    (void)request;
    test->response = response;
    CHECK_INT(rondo_on_close(response, on_stream_closed, test), 0);
    CHECK_INT(rondo_http_response_header(response, "Content-Type", "text/plain"), 0);
    CHECK_INT(rondo_http_response_write(response, rondo_slice_text("x")), RONDO_EINVAL);
    CHECK_INT(rondo_http_response_begin(response, 200, test->length), 0);
    CHECK_INT(rondo_http_response_begin(response, 200, test->length), RONDO_EBUSY);
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, rondo_slice_of(NULL, 0)), RONDO_EBUSY);
    CHECK_INT(rondo_http_response_compress(response, false), RONDO_EBUSY);
}

static void open_stream(web_host *web, stream_test *test, web_peer *peer, int64_t length) {
    *test = (stream_test){.length = length};
    web_open(web, begin_stream, test, NULL);
    CHECK_INT(rondo_http_server_set_compression(web->server, &(rondo_http_compression){0}), 0);
    peer_ask(web, peer, "GET / HTTP/1.1\r\nHost: a\r\n" ACCEPTS "\r\n");
    CHECK(test->response != NULL);
    CHECK(peer_has(peer, "Content-Encoding: gzip"));
    CHECK(peer_has(peer, "Transfer-Encoding: chunked"));
    CHECK(!peer_has(peer, "Content-Length"));
}

static void write_three(rondo_timer *timer, void *arg) {
    stream_test *test = arg;
    CHECK_INT(rondo_http_response_write(test->response, rondo_slice_text("one ")), 1);
    CHECK_INT(rondo_http_response_write(test->response, rondo_slice_text("two ")), 1);
    CHECK_INT(rondo_http_response_write(test->response, rondo_slice_text("three ")), 1);
    rondo_close(timer);
}

static void in_a_callback(web_host *web, stream_test *test, rondo_timer_cb cb) {
    rondo_timer *timer = rondo_timer_new(web->loop);
    CHECK_INT(rondo_timer_start(timer, 0, 0, cb, test), 0);
    web_turns(web, 3);
}

TEST(what_a_callback_writes_can_be_read_when_it_has_returned) {
    stream_test test;
    web_host web;
    web_peer peer;

    open_stream(&web, &test, &peer, -1);
    size_t head = peer.len;
    in_a_callback(&web, &test, write_three);
    peer_pump(&web, &peer);
    check_inflates(&peer, "one two three ", 14, false);
    CHECK(peer.len > head);
    /* One flush, not three: one chunk. */
    char *line_end;
    size_t chunk = strtoul(peer.data + head, &line_end, 16);
    CHECK_INT(line_end + 2 + chunk + 2 - peer.data, peer.len);
    in_a_callback(&web, &test, write_three);
    peer_pump(&web, &peer);
    check_inflates(&peer, "one two three one two three ", 28, false);
    size_t before = peer.len;
    web_turns(&web, 20);
    peer_pump(&web, &peer);
    CHECK_INT(peer.len, before); /* nothing is flushed without need */
    CHECK_INT(rondo_http_response_end(test.response), 0);
    peer_pump(&web, &peer);
    CHECK_INT(test.closed, 1);
    check_inflates(&peer, "one two three one two three ", 28, true);
    peer_close(&peer);
    web_close(&web);
}

TEST(a_promised_length_is_kept_although_it_is_not_sent) {
    stream_test test;
    web_host web;
    web_peer peer;

    open_stream(&web, &test, &peer, 2000);
    char text[2001];
    memset(text, 'a', 2000);
    text[2000] = '\0';
    CHECK_INT(rondo_http_response_write(test.response, rondo_slice_of(text, 2001)),
              RONDO_EOVERFLOW);
    CHECK_INT(rondo_http_response_write(test.response, rondo_slice_of(text, 1999)), 1);
    CHECK_INT(rondo_http_response_write(test.response, rondo_slice_of(text, 2)), RONDO_EOVERFLOW);
    CHECK_INT(rondo_http_response_write(test.response, rondo_slice_of(text, 1)), 1);
    CHECK_INT(rondo_http_response_end(test.response), 0);
    peer_pump(&web, &peer);
    check_inflates(&peer, text, 2000, true);
    CHECK(has_last_chunk(&peer));
    peer_close(&peer);
    web_close(&web);

    open_stream(&web, &test, &peer, 2000);
    CHECK_INT(rondo_http_response_write(test.response, rondo_slice_of(text, 1999)), 1);
    CHECK_INT(rondo_http_response_end(test.response), RONDO_EPROTO);
    peer_pump(&web, &peer);
    CHECK(!has_last_chunk(&peer)); /* the client can tell */
    CHECK(peer.ended);
    peer_close(&peer);
    web_close(&web);
}

TEST(a_response_is_closed_while_it_is_compressed) {
    stream_test test;
    web_host web;
    web_peer peer;

    open_stream(&web, &test, &peer, -1);
    CHECK_INT(rondo_http_response_write(test.response, rondo_slice_text("abc")), 1);
    CHECK_INT(rondo__http_of(web.loop)->deflating, 1);
    rondo_close(test.response);
    CHECK_INT(rondo__http_of(web.loop)->deflating, 0);
    peer_pump(&web, &peer);
    CHECK(peer.ended);
    CHECK_INT(test.closed, 1);
    peer_close(&peer);
    web_close(&web);
}

static rondo_http_response *replied;
static void reply_long_and_keep(rondo_http_request *request, rondo_http_response *response,
                                void *arg) {
    reply_long(request, response, arg);
    replied = response;
}

/* Its next slice is due, and must not come any more. */
TEST(a_long_answer_is_closed_while_it_is_compressed) {
    long_reply state = {.text = make_text(3000000), .len = 3000000};
    web_host web;
    web_peer peer;

    for (int turns = 1; turns <= 4; turns++) {
        state.closed = 0;
        web_open(&web, reply_long_and_keep, &state, NULL);
        CHECK_INT(rondo_http_server_set_compression(web.server, &(rondo_http_compression){0}), 0);
        peer_open(&web, &peer);
        replied = NULL;
        peer_send(&web, &peer, ASK, strlen(ASK));
        for (int i = 0; i < 1000 && !replied; i++) web_turns(&web, 1);
        web_turns(&web, turns - 1);
        CHECK_INT(rondo__http_of(web.loop)->deflating, 1);
        rondo_close(replied);
        CHECK_INT(rondo__http_of(web.loop)->deflating, 0);
        peer_pump(&web, &peer);
        CHECK(peer.ended && !has_last_chunk(&peer));
        CHECK_INT(state.closed, 1);
        peer_close(&peer);
        web_close(&web);
    }
    free(state.text);
}

TEST(a_client_that_goes_while_its_answer_is_compressed) {
    stream_test test;
    web_host web;
    web_peer peer;

    open_stream(&web, &test, &peer, -1);
    peer_reset(&peer);
    web_turns(&web, 5);
    CHECK(test.response != NULL);
    CHECK_INT(rondo_http_response_write(test.response, rondo_slice_text("abc")), RONDO_ECLOSED);
    CHECK_INT(rondo_http_response_end(test.response), RONDO_ECLOSED);
    web_turns(&web, 2);
    CHECK_INT(test.closed, 1);
    web_close(&web);
}

TEST(a_client_that_reads_slowly_is_waited_for) {
    stream_test test;
    web_host web;
    web_peer peer;
    char *text = make_text(65536);
    size_t written = 0;
    int result = 1, pieces = 0;

    open_stream(&web, &test, &peer, -1);
    while (result == 1 && pieces < 1000) { /* the peer reads nothing */
        result = rondo_http_response_write(test.response, rondo_slice_of(text, 65536));
        written += 65536;
        pieces++;
        rondo_loop_run(web.loop, RONDO_RUN_NOWAIT);
    }
    CHECK_INT(result, 0);
    CHECK_INT(rondo_http_response_end(test.response), 0);
    for (int i = 0; i < 20 && !has_last_chunk(&peer); i++) peer_pump(&web, &peer);
    size_t coded_len, len;
    bool whole;
    char *coded = unchunk(&peer, &coded_len);
    char *back = malloc(written + 1);
    z_stream stream = {.next_in = (Bytef *)coded,
                       .avail_in = (uInt)coded_len,
                       .next_out = (Bytef *)back,
                       .avail_out = (uInt)written + 1};
    CHECK_INT(inflateInit2(&stream, 31), Z_OK);
    whole = inflate(&stream, Z_FINISH) == Z_STREAM_END;
    inflateEnd(&stream);
    len = written + 1 - stream.avail_out;
    CHECK(whole);
    CHECK_INT(len, written);
    for (size_t at = 0; at < written; at += 65536) CHECK_MEM(back + at, text, 65536);
    free(back);
    free(coded);
    free(text);
    peer_close(&peer);
    web_close(&web);
}

TEST(more_streams_than_are_allowed_go_as_they_are) {
    stream_test test = {.length = -1};
    web_host web;
    web_peer peers[3];
    rondo_http_response *responses[3];

    web_open(&web, begin_stream, &test, NULL);
    CHECK_INT(
        rondo_http_server_set_compression(web.server, &(rondo_http_compression){.streams = 2}), 0);
    for (int i = 0; i < 3; i++) {
        peer_ask(&web, &peers[i], "GET / HTTP/1.1\r\nHost: a\r\n" ACCEPTS "\r\n");
        responses[i] = test.response;
        CHECK_INT(peer_has(&peers[i], "Content-Encoding: gzip"), i < 2);
        CHECK(peer_has(&peers[i], "Vary: Accept-Encoding"));
    }
    for (int i = 0; i < 3; i++) CHECK_INT(rondo_http_response_end(responses[i]), 0);
    for (int i = 0; i < 3; i++) peer_close(&peers[i]);
    web_close(&web);
}

TEST(http_1_0_is_compressed_until_the_close) {
    stream_test test = {.length = -1};
    web_host web;
    web_peer peer;

    web_open(&web, begin_stream, &test, NULL);
    CHECK_INT(rondo_http_server_set_compression(web.server, &(rondo_http_compression){0}), 0);
    peer_ask(&web, &peer, "GET / HTTP/1.0\r\n" ACCEPTS "\r\n");
    CHECK_INT(rondo_http_response_write(test.response, rondo_slice_text("abc")), 1);
    CHECK_INT(rondo_http_response_end(test.response), 0);
    peer_pump(&web, &peer);
    CHECK(peer.ended);
    CHECK(!peer_has(&peer, "Transfer-Encoding"));
    check_inflates(&peer, "abc", 3, true);
    peer_close(&peer);
    web_close(&web);
}

/* ---- files ---- */

typedef struct file_test {
    rondo_http_files *files;
    char directory[64];
} file_test;

static void make_files(file_test *test, rondo_loop *loop, const char *text, size_t len) {
    char path[128];

    strcpy(test->directory, "/tmp/rondo-gzip-XXXXXX");
    CHECK(mkdtemp(test->directory) != NULL);
    snprintf(path, sizeof path, "%s/long.txt", test->directory);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    CHECK_INT(fwrite(text, 1, len, file), len);
    CHECK_INT(fclose(file), 0);
    CHECK_INT(rondo_http_files_new(loop, test->directory, &test->files), 0);
}

static void remove_files(file_test *test) {
    char path[128];

    rondo_http_files_free(test->files);
    snprintf(path, sizeof path, "%s/long.txt", test->directory);
    CHECK_INT(unlink(path), 0);
    CHECK_INT(rmdir(test->directory), 0);
}

static void serve_files(rondo_http_request *request, rondo_http_response *response, void *arg) {
    file_test *test = arg;
    rondo_http_files_serve(request, response, test->files);
}

/* Turns until the answer has been told, though a worker may be at it. */
static void ask_file(web_host *web, web_peer *peer, const char *request) {
    peer_open(web, peer);
    peer_send(web, peer, request, strlen(request));
    for (long long end = harness_now_ms() + 20000; harness_now_ms() < end && !peer->ended;) {
        rondo_loop_run(web->loop, RONDO_RUN_NOWAIT);
        while (peer_read(peer)) {}
    }
    CHECK(peer->ended);
}

#define ASK_FILE(method, fields) \
    method " /long.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" fields "\r\n"

TEST(a_file_is_compressed_on_its_way) {
    char *text = make_text(300000);
    file_test test;
    web_host web;
    web_peer peer, head;

    web_open(&web, serve_files, &test, NULL);
    CHECK_INT(rondo_http_server_set_compression(web.server, &(rondo_http_compression){0}), 0);
    make_files(&test, web.loop, text, 300000);
    ask_file(&web, &peer, ASK_FILE("GET", ACCEPTS));
    CHECK(peer_has(&peer, "Content-Encoding: gzip\r\n"));
    CHECK(peer_has(&peer, "Content-Type: text/plain; charset=utf-8\r\n"));
    CHECK(peer_has(&peer, "Vary: Accept-Encoding\r\n"));
    CHECK(peer_has(&peer, "ETag: W/\""));
    CHECK(!peer_has(&peer, "Accept-Ranges")); /* of these octets there are none */
    CHECK(peer_has(&peer, "X-Content-Type-Options: nosniff\r\n"));
    CHECK(peer.len < 250000);
    check_inflates(&peer, text, 300000, true);
    char tag[128], again[512];
    CHECK_INT(sscanf(strstr(peer.data, "ETag: ") + 6, "%127[^\r]", tag), 1);
    ask_file(&web, &head, ASK_FILE("HEAD", ACCEPTS));
    CHECK(peer_has(&head, "Content-Encoding: gzip\r\n"));
    CHECK_STR(peer_body(&head), "");
    peer_close(&head);
    peer_close(&peer);
    snprintf(again, sizeof again, ASK_FILE("GET", ACCEPTS "If-None-Match: %s\r\n"), tag);
    ask_file(&web, &peer, again);
    CHECK_STR(peer_statuses(&peer), "304");
    CHECK(peer_has(&peer, "Vary: Accept-Encoding\r\n"));
    peer_close(&peer);
    ask_file(&web, &peer, ASK_FILE("GET", ""));
    CHECK(!peer_has(&peer, "Content-Encoding"));
    CHECK(peer_has(&peer, "Vary: Accept-Encoding\r\n"));
    CHECK(peer_has(&peer, "Accept-Ranges: bytes\r\n"));
    CHECK_INT(peer.len - (size_t)(peer_body(&peer) - peer.data), 300000);
    peer_close(&peer);
    ask_file(&web, &peer, ASK_FILE("GET", ACCEPTS "Range: bytes=10-19\r\n"));
    CHECK_STR(peer_statuses(&peer), "206");
    CHECK(!peer_has(&peer, "Content-Encoding"));
    CHECK_MEM(peer_body(&peer), text + 10, 10);
    peer_close(&peer);
    ask_file(&web, &peer, ASK_FILE("GET", ACCEPTS "Range: bytes=0-9,1000-1009\r\n"));
    CHECK_STR(peer_statuses(&peer), "206");
    CHECK(peer_has(&peer, "multipart/byteranges"));
    peer_close(&peer);
    remove_files(&test);
    web_close(&web);
    free(text);
}

TEST(a_client_that_goes_while_a_file_is_compressed) {
    char *text = make_text(6000000);
    file_test test;
    web_host web;
    web_peer peer;

    web_open(&web, serve_files, &test, NULL);
    CHECK_INT(rondo_http_server_set_compression(web.server, &(rondo_http_compression){0}), 0);
    make_files(&test, web.loop, text, 6000000);
    for (int i = 0; i < 4; i++) {
        peer_open(&web, &peer);
        peer_send(&web, &peer, ASK_FILE("GET", ACCEPTS), strlen(ASK_FILE("GET", ACCEPTS)));
        while (peer.len == 0) {
            rondo_loop_run(web.loop, RONDO_RUN_NOWAIT);
            peer_read(&peer);
        }
        web_turns(&web, i * 5);
        peer_reset(&peer);
        while (rondo__http_of(web.loop)->deflating > 0) web_turns(&web, 1);
    }
    /* One that reads nothing: what is read of the file waits for it, and does not pile up. */
    peer_open(&web, &peer);
    int small = 4096;
    CHECK_INT(setsockopt(peer.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    peer_send(&web, &peer, ASK_FILE("GET", ACCEPTS), strlen(ASK_FILE("GET", ACCEPTS)));
    for (int i = 0; i < 300; i++) {
        web_turns(&web, 1);
        const rondo__list *conns = &web.server->conns;
        const rondo__http_conn *conn = RONDO__OF(conns->prev, rondo__http_conn, link);
        CHECK(conns->prev != conns && rondo__stream_queued(conn->stream) < 400000);
    }
    peer_reset(&peer);
    while (rondo__http_of(web.loop)->deflating > 0) web_turns(&web, 1);
    /* Cut while it is on its way: the client can tell. */
    char path[128];
    snprintf(path, sizeof path, "%s/long.txt", test.directory);
    peer_open(&web, &peer);
    peer_send(&web, &peer, ASK_FILE("GET", ACCEPTS), strlen(ASK_FILE("GET", ACCEPTS)));
    while (peer.len == 0) {
        rondo_loop_run(web.loop, RONDO_RUN_NOWAIT);
        peer_read(&peer);
    }
    CHECK_INT(truncate(path, 5990000), 0);
    while (!peer.ended) {
        rondo_loop_run(web.loop, RONDO_RUN_NOWAIT);
        while (peer_read(&peer)) {}
    }
    CHECK(!has_last_chunk(&peer));
    peer_close(&peer);
    remove_files(&test);
    web_close(&web);
    free(text);
}

/* ---- options, memory ---- */

TEST(options_of_compression) {
    web_host web;

    web_open(&web, NULL, NULL, NULL);
    CHECK_INT(rondo_http_server_set_compression(web.server, &(rondo_http_compression){.level = 10}),
              RONDO_EINVAL);
    CHECK_INT(rondo_http_server_set_compression(web.server, &(rondo_http_compression){.level = -1}),
              RONDO_EINVAL);
    CHECK_INT(rondo_http_server_set_compression(web.server, &(rondo_http_compression){.level = 9}),
              0);
    CHECK_INT(rondo_http_server_set_compression(web.server, NULL), 0);
    rondo_close(web.server);
    CHECK_INT(rondo_http_server_set_compression(web.server, NULL), RONDO_ECLOSED);
    web_close(&web);
}

/* Out of memory for compressing: the answer goes as it is, or not at all, but is never half. */
TEST(out_of_memory_while_compressing) {
    size_t sizes[] = {5000, 150000};

    for (int i = 0; i < 2; i++) {
        char *text = make_text(sizes[i]);
        plan p = {.type = "text/plain", .fields = {"ETag", "\"v\""}, .body = text, .len = sizes[i]};
        int coded = 0, plain = 0;
        for (long n = 0;; n++) {
            web_host web;
            web_peer peer;
            web_open(&web, follow_plan, &p, NULL);
            rondo_http_server_set_compression(web.server, &(rondo_http_compression){0});
            peer_ask(&web, &peer, "GET /warm HTTP/1.1\r\nHost: a\r\n\r\n");
            peer_forget(&peer);
            rondo_http_server_set_compression(web.server, &(rondo_http_compression){.level = 5});
            harness_fail_alloc_after(n);
            char request[] = "GET / HTTP/1.1\r\nHost: a\r\n" ACCEPTS "\r\n";
            peer_send(&web, &peer, request, strlen(request));
            peer_pump(&web, &peer);
            bool failed = harness_alloc_failed();
            harness_fail_alloc_after(-1);
            if (peer_has(&peer, "Content-Encoding: gzip") && !peer.ended) {
                check_inflates(&peer, text, sizes[i], true);
                coded++;
            } else if (peer_has(&peer, "200 OK") && !peer.ended) {
                CHECK_INT(peer.len - (size_t)(peer_body(&peer) - peer.data), sizes[i]);
                plain++;
            }
            peer_close(&peer);
            web_close(&web);
            if (!failed) break;
        }
        CHECK(coded >= 1 && plain >= 1);
        free(text);
    }
}
