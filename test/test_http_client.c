/* SPDX-License-Identifier: MIT
 *
 * The HTTP client: what is sent, what is told of the answer, in which order.
 */
#define _GNU_SOURCE
#include "http_origin.h"

/* ---- a call's life ---- */

TEST(a_call_from_its_request_to_its_close) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    rondo_http_call *call = new_call(&w, &h, "GET", at(&w, "/path?query"));
    CHECK_INT(rondo_http_call_header(call, "X-One", "1"), 0);
    CHECK_INT(rondo_http_call_send(call, NO_BODY), 0);
    CHECK_STR(h.text, ""); /* nothing inside the call */
    line_ask(&w, &l);
    char expected[200];
    snprintf(expected, sizeof expected,
             "GET /path?query HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-One: 1\r\n\r\n", w.port);
    CHECK_STR(l.data, expected);
    line_say(&w, &l, OK("Content-Length: 5\r\nX-Two: b\r\n") "hello");
    CHECK_STR(h.text, "response 200 / end / close");
    CHECK_STR(h.body, "hello");
    CHECK(!l.ended); /* it is kept */
    CHECK_INT(figures(&w).idle, 1);
    line_close(&l);
    world_close(&w);
}

static void look_at_head(rondo_http_call *call, void *arg) {
    rondo_slice name, value;
    heard *h = arg;
    CHECK_INT(rondo_http_call_status(call), 418);
    CHECK_INT(rondo_http_call_minor(call), 1);
    CHECK_INT(rondo_http_call_length(call), 2);
    rondo_slice reason = rondo_http_call_reason(call);
    CHECK_INT(reason.len, 12);
    CHECK_MEM(reason.data, "I'm a teapot", 12);
    value = rondo_http_call_response_header(call, "x-b");
    CHECK_INT(value.len, 3);
    CHECK_MEM(value.data, "b b", 3);
    CHECK(rondo_http_call_response_header(call, "x-").data == NULL);
    CHECK(rondo_http_call_response_header_at(call, 1, &name, &value));
    CHECK_MEM(name.data, "X-Empty", 7);
    CHECK_INT(value.len, 0);
    CHECK(!rondo_http_call_response_header_at(call, 3, &name, &value));
    char peer[RONDO_ADDRESS_TEXT_BYTES];
    CHECK(rondo_http_call_peer(call, peer, sizeof peer) > 0);
    hear(h, "looked");
}

TEST(the_head_says_what_the_server_said) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    rondo_http_call *call = new_call(&w, &h, "GET", at(&w, "/"));
    rondo_http_call_on_response(call, look_at_head, &h);
    CHECK_INT(rondo_http_call_send(call, NO_BODY), 0);
    line_ask(&w, &l);
    line_spell(
        &w, &l,
        "HTTP/1.1 418 I'm a teapot\r\nX-B:  b b \t\r\nX-Empty:\r\nContent-Length: 2\r\n\r\nab");
    CHECK_STR(h.text, "looked / end / close");
    line_close(&l);
    world_close(&w);
}

TEST(bodies_of_every_framing) {
    world w;
    heard h;
    static const struct {
        const char *method, *answer, *body;
        bool ends, keeps;
    } cases[] = {
        {"GET", OK("Content-Length: 3\r\n") "abc", "abc", false, true},
        {"GET", OK("Content-Length: 0\r\n"), "", false, true},
        {"GET", OK("Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
         "abcde", false, true},
        {"GET", OK("Transfer-Encoding: CHUNKED\r\n") "0\r\nA: b\r\n\r\n", "", false, true},
        {"GET", OK("") "all of it", "all of it", true, false},
        {"GET", "HTTP/1.0 200 OK\r\n\r\nold", "old", true, false},
        {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", "old", false, false},
        {"GET", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 3\r\n\r\nold", "old",
         false, true},
        {"GET", OK("Connection: x, \tClose\r\nContent-Length: 1\r\n") "a", "a", false, false},
        {"HEAD", OK("Content-Length: 3\r\n"), "", false, true},
        {"HEAD", OK("Transfer-Encoding: chunked\r\n"), "", false, true},
        {"GET", "HTTP/1.1 204 No Content\r\n\r\n", "", false, true},
        {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", "", false, true},
        {"GET", "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na", "a", false, true},
        {"GET", "HTTP/1.1 999 \r\nContent-Length: 1\r\n\r\na", "a", false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static line l;
        for (int spelled = 0; spelled < 2; spelled++) {
            world_open(&w);
            ask(&w, &h, cases[i].method, "/");
            line_ask(&w, &l);
            (spelled ? line_spell : line_say)(&w, &l, cases[i].answer);
            if (cases[i].ends) {
                CHECK_INT(h.ends, 0);
                line_close(&l);
                turns(&w, 4);
            }
            if (h.ends != 1) FAIL("case %zu: %s", i, h.text);
            CHECK_STR(h.body, cases[i].body);
            CHECK_INT(figures(&w).idle, cases[i].keeps);
            line_close(&l);
            world_close(&w);
        }
    }
}

static void see_trailers(rondo_http_call *call, void *arg) {
    rondo_slice name, value = rondo_http_call_response_trailer(call, "x-sum");
    CHECK_INT(value.len, 3);
    CHECK_MEM(value.data, "123", 3);
    CHECK(rondo_http_call_response_trailer_at(call, 1, &name, &value));
    CHECK(!rondo_http_call_response_trailer_at(call, 2, &name, &value));
    hear(arg, "seen");
}

TEST(trailers_are_there_at_the_end) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    new_call(&w, &h, "GET", at(&w, "/"));
    rondo_http_call_on_end(h.call, see_trailers, &h);
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    line_ask(&w, &l);
    line_say(&w, &l,
             OK("Transfer-Encoding: chunked\r\n") "1\r\na\r\n0\r\nX-Sum: 123\r\nB: \r\n\r\n");
    CHECK_STR(h.text, "response 200 / seen / close");
    line_close(&l);
    world_close(&w);
}

TEST(interim_answers_are_told) {
    world w;
    heard h;
    world_open(&w);
    exchange(&w, &h, "GET",
             "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" OK(
                 "Content-Length: 1\r\n") "a",
             false);
    CHECK_STR(h.text, "interim 103 / interim 102 / response 200 / end / close");
    world_close(&w);
}

/* ---- requests ---- */

TEST(bodies_that_are_sent) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    new_call(&w, &h, "POST", at(&w, "/"));
    CHECK_INT(rondo_http_call_send(h.call, rondo_slice_text("body")), 0);
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), RONDO_EBUSY);
    CHECK_INT(rondo_http_call_header(h.call, "A", "b"), RONDO_EBUSY);
    CHECK_INT(rondo_http_call_write(h.call, rondo_slice_text("a")), RONDO_EINVAL);
    line_ask(&w, &l);
    HAS(&l, "Content-Length: 4\r\n\r\nbody");
    line_forget(&l);
    line_say(&w, &l, OK("Content-Length: 0\r\n"));
    CHECK_STR(h.text, "response 200 / end / close");
    ask(&w, &h, "POST", "/"); /* the same connection */
    line_pump(&w, &l);
    HAS(&l, "Content-Length: 0\r\n\r\n");
    line_forget(&l);
    line_say(&w, &l, OK("Content-Length: 0\r\n"));
    /* in pieces, of a known length */
    new_call(&w, &h, "PUT", at(&w, "/"));
    CHECK_INT(rondo_http_call_begin(h.call, 6), 0);
    CHECK_INT(rondo_http_call_write(h.call, rondo_slice_text("abc")), 1);
    CHECK_INT(rondo_http_call_write(h.call, rondo_slice_text("defg")), RONDO_EOVERFLOW);
    line_pump(&w, &l);
    HAS(&l, "Content-Length: 6\r\n\r\nabc");
    CHECK_INT(rondo_http_call_write(h.call, rondo_slice_text("def")), 1);
    CHECK_INT(rondo_http_call_finish(h.call), 0);
    CHECK_INT(rondo_http_call_finish(h.call), RONDO_EINVAL);
    line_pump(&w, &l);
    HAS(&l, "\r\n\r\nabcdef");
    line_forget(&l);
    line_say(&w, &l, OK("Content-Length: 0\r\n"));
    CHECK_STR(h.text, "response 200 / end / close");
    /* in chunks, with trailers */
    new_call(&w, &h, "PUT", at(&w, "/"));
    CHECK_INT(rondo_http_call_begin(h.call, -1), 0);
    CHECK_INT(rondo_http_call_write(h.call, rondo_slice_text("0123456789abcdef")), 1);
    CHECK_INT(rondo_http_call_write(h.call, NO_BODY), 1); /* would be the last chunk */
    CHECK_INT(rondo_http_call_trailer(h.call, "X-Sum", "1"), 0);
    CHECK_INT(rondo_http_call_trailer(h.call, "Content-Length", "1"), RONDO_EINVAL);
    CHECK_INT(rondo_http_call_finish(h.call), 0);
    line_pump(&w, &l);
    HAS(&l, "Transfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n0\r\nX-Sum: 1\r\n\r\n");
    line_say(&w, &l, OK("Content-Length: 0\r\n"));
    CHECK_STR(h.text, "response 200 / end / close");
    CHECK_INT(figures(&w).connects, 1);
    CHECK_INT(figures(&w).reuses, 3);
    line_close(&l);
    world_close(&w);
}

TEST(a_body_that_is_too_short_is_a_failure) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    new_call(&w, &h, "PUT", at(&w, "/"));
    CHECK_INT(rondo_http_call_begin(h.call, 6), 0);
    CHECK_INT(rondo_http_call_write(h.call, rondo_slice_text("abc")), 1);
    line_ask(&w, &l);
    CHECK_INT(rondo_http_call_finish(h.call), RONDO_EPROTO);
    CHECK_INT(rondo_http_call_write(h.call, rondo_slice_text("a")), RONDO_ECLOSED);
    line_pump(&w, &l);
    CHECK_STR(h.text, "ECANCELED / close");
    CHECK(l.ended);
    line_close(&l);
    world_close(&w);
}

TEST(backpressure_of_what_is_written) {
    world w;
    heard h;
    static line l;
    static char block[16384];
    world_open(&w);
    new_call(&w, &h, "POST", at(&w, "/"));
    CHECK_INT(rondo_http_call_begin(h.call, -1), 0);
    int result = 1, wrote = 0;
    while (result == 1 && wrote < 1000) {
        result = rondo_http_call_write(h.call, rondo_slice_of(block, sizeof block));
        wrote++;
    }
    CHECK_INT(result, 0);
    CHECK_INT(wrote, 4); /* 64 KiB before there is a connection */
    line_ask(&w, &l);
    CHECK_INT(h.drains, 1);
    for (wrote = 0, result = 1; result == 1 && wrote < 5000; wrote++) {
        result = rondo_http_call_write(h.call, rondo_slice_of(block, sizeof block));
        rondo_loop_run(w.loop, RONDO_RUN_NOWAIT);
    }
    CHECK_INT(result, 0);
    CHECK(wrote < 5000);
    turns(&w, 5);
    CHECK_INT(h.drains, 1);
    for (int i = 0; i < 5000 && h.drains < 2; i++) line_pump(&w, &l);
    CHECK_INT(h.drains, 2);
    CHECK_INT(rondo_http_call_finish(h.call), 0);
    line_pump(&w, &l);
    line_say(&w, &l, OK("Content-Length: 0\r\n"));
    CHECK_STR(h.text, "response 200 / end / close");
    line_close(&l);
    world_close(&w);
}

TEST(a_body_waits_for_100_continue) {
    world w;
    heard h;
    static line l;
    for (int how = 0; how < 4; how++) {
        world_open(&w);
        new_call(&w, &h, "POST", at(&w, "/"));
        CHECK_INT(rondo_http_call_set_expect(h.call, true), 0);
        if (how == 3) {
            CHECK_INT(rondo_http_call_begin(h.call, 4), 0);
            CHECK_INT(rondo_http_call_write(h.call, rondo_slice_text("body")), 1);
            CHECK_INT(rondo_http_call_finish(h.call), 0);
        } else {
            CHECK_INT(rondo_http_call_send(h.call, rondo_slice_text("body")), 0);
        }
        line_ask(&w, &l);
        HAS(&l, "Expect: 100-continue\r\n");
        HAS_NOT(&l, "body");
        if (how == 0 || how == 3) line_say(&w, &l, "HTTP/1.1 100 Continue\r\n\r\n");
        if (how == 1) advance(&w, 1100); /* nothing comes: it is sent all the same */
        line_pump(&w, &l);
        if (how != 2) HAS(&l, "\r\n\r\nbody");
        line_say(&w, &l, OK("Content-Length: 1\r\n") "x");
        CHECK_INT(h.ends, 1);
        HAS(&l, how == 2 ? "\r\n\r\n" : "body");
        if (how == 2) HAS_NOT(&l, "body");
        CHECK_INT(l.ended, how == 2); /* nobody knows whether the body is to come */
        CHECK_INT(figures(&w).idle, how != 2);
        line_close(&l);
        world_close(&w);
    }
}

TEST(a_body_that_was_answered_before_it_was_asked_for_is_not_wanted) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    new_call(&w, &h, "POST", at(&w, "/"));
    CHECK_INT(rondo_http_call_set_expect(h.call, true), 0);
    CHECK_INT(rondo_http_call_begin(h.call, 4), 0);
    line_ask(&w, &l);
    line_say(&w, &l, "HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\na");
    CHECK_STR(h.text, "response 417");
    CHECK_INT(rondo_http_call_write(h.call, rondo_slice_text("body")), RONDO_ECLOSED);
    CHECK_INT(rondo_http_call_finish(h.call), RONDO_ECLOSED);
    line_forget(&l);
    line_say(&w, &l, "b");
    CHECK_STR(h.text, "response 417 / end / close");
    CHECK_STR(l.data, "");
    line_close(&l);
    world_close(&w);
}

TEST(what_may_not_be_sent_is_refused) {
    world w;
    heard h;
    static const char *const names[] = {
        "",   "a b",    "a:",         "a\r\nb",     "Content-Length",
        "TE", "Expect", "connection", "keep-alive", "\xc3\xa4"};
    static const char *const targets[] = {"", "a b", "a\r\nb", "\x7f", "a#b", "\xc3\xa4"};
    static const char *const methods[] = {"", "G T", "GET\r\n", "G\xc3\xa4T", "GET:"};
    world_open(&w);
    new_call(&w, &h, "GET", at(&w, "/"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CHECK_INT(rondo_http_call_header(h.call, names[i], "v"), RONDO_EINVAL);
    CHECK_INT(rondo_http_call_header(h.call, "A", "b\r\nC: d"), RONDO_EINVAL);
    CHECK_INT(rondo_http_call_header(h.call, "A", "b\nC: d"), RONDO_EINVAL);
    CHECK_INT(rondo_http_call_header(h.call, "Host", "one"), 0);
    CHECK_INT(rondo_http_call_header(h.call, "hOST", "two"), RONDO_EINVAL);
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        CHECK_INT(rondo_http_call_set_target(h.call, targets[i]), RONDO_EINVAL);
    CHECK_INT(rondo_http_call_set_basic_auth(h.call, "a:b", "c"), RONDO_EINVAL);
    char *value = calloc(1, 60001);
    memset(value, 'v', 60000);
    CHECK_INT(rondo_http_call_header(h.call, "A", value), 0);
    CHECK_INT(rondo_http_call_header(h.call, "B", value), RONDO_ENOBUFS);
    free(value);
    rondo_close(h.call);
    turns(&w, 2);
    CHECK_STR(h.text, "close");
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        ask(&w, &h, methods[i], "/");
        turns(&w, 3);
        CHECK_STR(h.text, "EINVAL / close");
    }
    new_call(&w, &h, "CONNECT", at(&w, "/")); /* without a target */
    rondo_http_call_send(h.call, NO_BODY);
    turns(&w, 3);
    CHECK_STR(h.text, "EINVAL / close");
    CHECK(nobody_connects(&w));
    world_close(&w);
}

TEST(what_users_may_set) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    new_call(&w, &h, "OPTIONS", at(&w, "/x"));
    CHECK_INT(rondo_http_call_header(h.call, "Host", "other.test"), 0);
    CHECK_INT(rondo_http_call_set_target(h.call, "*"), 0);
    CHECK_INT(rondo_http_call_set_basic_auth(h.call, "Aladdin", "open sesame"), 0);
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    line_ask(&w, &l);
    CHECK_STR(l.data, "OPTIONS * HTTP/1.1\r\nHost: other.test\r\n"
                      "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
    line_say(&w, &l, OK("Content-Length: 0\r\n"));
    CHECK_INT(h.ends, 1);
    line_close(&l);
    world_close(&w);
}

/* ---- the end, in other ways ---- */

typedef struct closer {
    int when, seen; /* close at the when-th callback */
    heard h;
} closer;

static void maybe_close(closer *c, rondo_http_call *call) {
    CHECK(c->seen <= c->when); /* nothing comes after it */
    if (c->seen++ == c->when) rondo_close(call);
}
static void close_call(rondo_http_call *call, void *arg) { maybe_close(arg, call); }
static void close_data(rondo_http_call *call, rondo_slice chunk, void *arg) {
    (void)chunk;
    maybe_close(arg, call);
}
static void close_error(rondo_http_call *call, int error, void *arg) {
    (void)error;
    maybe_close(arg, call);
}
static void count_close(rondo_handle *call, void *arg) {
    (void)call;
    (*(int *)arg)++;
}

TEST(closing_a_call_in_each_of_its_callbacks) {
    for (int when = 0; when < 6; when++) {
        world w;
        static line l;
        closer c = {.when = when};
        int closes = 0;
        world_open(&w);
        rondo_http_call *call = rondo_http_call_new(w.client, "GET", at(&w, "/"));
        rondo_http_call_on_interim(call, close_call, &c);
        rondo_http_call_on_response(call, close_call, &c);
        rondo_http_call_on_data(call, close_data, &c);
        rondo_http_call_on_end(call, close_call, &c);
        rondo_http_call_on_error(call, close_error, &c);
        CHECK_INT(rondo_on_close(call, count_close, &closes), 0);
        CHECK_INT(rondo_http_call_send(call, NO_BODY), 0);
        line_ask(&w, &l);
        line_say(&w, &l,
                 "HTTP/1.1 103 Early\r\n\r\n" OK("Transfer-Encoding: chunked\r\n") "1\r\na\r\n"
                                                                                   "1\r\nb\r\n"
                                                                                   "0\r\n\r\n");
        CHECK_INT(closes, 1);
        CHECK_INT(c.seen, when < 5 ? when + 1 : 5);
        CHECK_INT(figures(&w).idle, when >= 4);
        CHECK_INT(l.ended, when < 4);
        line_close(&l);
        world_close(&w);
    }
}

TEST(closing_a_call_at_every_stage) {
    for (int stage = 0; stage < 6; stage++) {
        world w;
        heard h, first;
        static line l;
        world_open(&w);
        if (stage == 1) { /* in the queue */
            rondo_http_client_set_limits(w.client,
                                         &(rondo_http_client_limits){.connections_per_origin = 1});
            ask(&w, &first, "GET", "/");
        }
        new_call(&w, &h, "GET", at(&w, "/"));
        if (stage > 0) CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
        if (stage > 1) line_ask(&w, &l);
        if (stage == 3) line_say(&w, &l, "HTTP/1.1 200 OK\r\nConten");
        if (stage == 4) line_say(&w, &l, OK("Content-Length: 5\r\n") "he");
        if (stage == 5) CHECK_INT(rondo_http_call_pause(h.call), 0);
        rondo_close(h.call);
        turns(&w, 4);
        CHECK_STR(h.text, stage == 4 ? "response 200 / close" : "close");
        if (stage == 1) CHECK_INT(figures(&w).waiting, 0);
        if (stage > 1) {
            line_pump(&w, &l);
            CHECK(l.ended);
            line_close(&l);
        }
        world_close(&w);
        if (stage == 1) CHECK_STR(first.text, "ECANCELED / close");
    }
}

TEST(closing_the_client_ends_its_calls) {
    world w;
    heard sent, waits, is_new, answered;
    static line one, two;
    world_open(&w);
    rondo_http_client_set_limits(w.client,
                                 &(rondo_http_client_limits){.connections_per_origin = 2});
    ask(&w, &sent, "GET", "/");
    line_ask(&w, &one);
    ask(&w, &answered, "GET", "/");
    line_ask(&w, &two);
    line_say(&w, &two, OK("Content-Length: 5\r\n") "he");
    ask(&w, &waits, "GET", "/");
    new_call(&w, &is_new, "GET", at(&w, "/"));
    rondo_close(w.client);
    CHECK_INT(rondo_http_call_header(is_new.call, "A", "b"), RONDO_ECLOSED);
    turns(&w, 4);
    w.client = NULL;
    CHECK_STR(sent.text, "ECANCELED / close");
    CHECK_STR(waits.text, "ECANCELED / close");
    CHECK_STR(is_new.text, "ECANCELED / close");
    CHECK_STR(answered.text, "response 200 / ECANCELED / close");
    line_pump(&w, &one);
    CHECK(one.ended);
    line_close(&one);
    line_close(&two);
    world_close(&w);
}

TEST(a_client_and_its_idle_connections_do_not_keep_the_loop_alive) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    ask(&w, &h, "GET", "/");
    line_ask(&w, &l);
    line_say(&w, &l, OK("Content-Length: 0\r\n"));
    CHECK_INT(figures(&w).idle, 1);
    rondo_unref(w.awake);
    CHECK_INT(rondo_loop_run(w.loop, RONDO_RUN_ALL), 0); /* returns */
    CHECK_INT(figures(&w).idle, 1);
    line_close(&l);
    world_close(&w);
}

TEST(pausing_holds_data_and_end_back) {
    world w;
    heard h;
    static line l;
    static const char *const answers[] = {
        OK("Content-Length: 6\r\n") "abc",
        OK("Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n",
        OK("") "abc",
    };
    static const char *const rests[] = {"def", "3\r\ndef\r\n0\r\n\r\n", "def"};
    for (int i = 0; i < 3; i++) {
        world_open(&w);
        ask(&w, &h, "GET", "/");
        line_ask(&w, &l);
        CHECK_INT(rondo_http_call_pause(h.call), 0); /* before there is anything */
        line_say(&w, &l, answers[i]);
        CHECK_STR(h.text, "response 200");
        CHECK_INT(h.body_len, 0);
        advance(&w, 10000000); /* no timeout while it is paused */
        CHECK_STR(h.text, "response 200");
        CHECK_INT(rondo_http_call_resume(h.call), 0);
        CHECK_INT(h.body_len, 0);
        turns(&w, 3);
        CHECK_STR(h.body, "abc");
        CHECK_INT(rondo_http_call_pause(h.call), 0);
        line_say(&w, &l, rests[i]);
        if (i == 2) line_close(&l);
        turns(&w, 4);
        CHECK_STR(h.body, "abc");
        CHECK_STR(h.text, "response 200");
        CHECK_INT(rondo_http_call_resume(h.call), 0);
        turns(&w, 4);
        CHECK_STR(h.body, "abcdef");
        CHECK_STR(h.text, "response 200 / end / close");
        line_close(&l);
        world_close(&w);
    }
}

static void pause_in_data(rondo_http_call *call, rondo_slice chunk, void *arg) {
    hear_data(call, chunk, arg);
    CHECK_INT(rondo_http_call_pause(call), 0);
}

TEST(pausing_in_data_holds_the_end_of_the_same_octets_back) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    new_call(&w, &h, "GET", at(&w, "/"));
    rondo_http_call_on_data(h.call, pause_in_data, &h);
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    line_ask(&w, &l);
    line_say(&w, &l, OK("Transfer-Encoding: chunked\r\n") "1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
    CHECK_STR(h.body, "a");
    for (int i = 0; i < 3; i++) {
        CHECK_STR(h.text, i < 2 ? "response 200" : "response 200 / end / close");
        if (h.call) rondo_http_call_resume(h.call);
        turns(&w, 3);
    }
    CHECK_STR(h.body, "ab");
    CHECK_INT(figures(&w).idle, 1);
    line_close(&l);
    world_close(&w);
}

/* ---- in one call ---- */

static void got(rondo_http_call *call, int error, rondo_slice body, void *arg) {
    heard *h = arg;
    hear(h, "got %d %s %d", rondo_http_call_status(call), rondo_error_name(error), (int)body.len);
    if (body.len > 0 && body.len < 100) memcpy(h->body, body.data, body.len);
}

TEST(a_get_in_one_call) {
    world w;
    heard h = {0};
    static line l;
    world_open(&w);
    CHECK(rondo_http_get(w.client, at(&w, "/x"), got, &h) != NULL);
    line_ask(&w, &l);
    HAS(&l, "GET /x HTTP/1.1\r\n");
    line_say(&w, &l,
             "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
             "3\r\ndef\r\n0\r\n\r\n");
    CHECK_STR(h.text, "got 404 OK 6");
    CHECK_STR(h.body, "abcdef");
    h.text[0] = '\0';
    CHECK(rondo_http_get(w.client, "ftp://x/", got, &h) != NULL);
    turns(&w, 3);
    CHECK_STR(h.text, "got 0 EINVAL 0");
    line_close(&l);
    world_close(&w);
}

TEST(a_collected_body_is_bounded) {
    world w;
    static line l;
    static const char *const answers[] = {OK("Content-Length: 11\r\n") "hello world",
                                          OK("Transfer-Encoding: chunked\r\n") "6\r\nhello \r\n"
                                                                               "5\r\nworld\r\n",
                                          OK("Content-Length: 10\r\n") "hello worl"};
    for (int i = 0; i < 3; i++) {
        heard h = {0};
        world_open(&w);
        rondo_http_client_set_limits(w.client, &(rondo_http_client_limits){.collect_bytes = 10});
        CHECK(rondo_http_get(w.client, at(&w, "/"), got, &h) != NULL);
        line_ask(&w, &l);
        line_say(&w, &l, answers[i]);
        CHECK_STR(h.text, i < 2 ? "got 200 EMSGSIZE 0" : "got 200 OK 10");
        line_close(&l);
        world_close(&w);
    }
}

static void another(rondo_http_call *call, int error, rondo_slice body, void *arg) {
    heard *h = arg;
    (void)body, (void)error;
    CHECK(rondo_http_get(arg ? *(rondo_http_client **)h->body : NULL, rondo_http_call_url(call),
                         got, h) != NULL);
}

TEST(a_call_made_at_the_end_of_another_gets_its_connection) {
    world w;
    heard h = {0};
    static line l;
    world_open(&w);
    memcpy(h.body, &w.client, sizeof w.client);
    CHECK(rondo_http_get(w.client, at(&w, "/x"), another, &h) != NULL);
    line_ask(&w, &l);
    line_forget(&l);
    line_say(&w, &l, OK("Content-Length: 0\r\n"));
    HAS(&l, "GET /x HTTP/1.1\r\n");
    line_say(&w, &l, OK("Content-Length: 0\r\n"));
    CHECK_STR(h.text, "got 200 OK 0");
    CHECK_INT(figures(&w).connects, 1);
    line_close(&l);
    world_close(&w);
}

/* ---- out of HTTP ---- */

static rondo_stream *taken;
static void take(rondo_http_call *call, void *arg) {
    heard *h = arg;
    hear_response(call, arg);
    int status = rondo_http_call_upgrade(call, &taken);
    hear(h, "%s", rondo_error_name(status));
    CHECK_INT(rondo_http_call_upgrade(call, &taken), RONDO_EINVAL);
}
static void stream_data(rondo_stream *stream, rondo_slice chunk, void *arg) {
    (void)stream;
    heard *h = arg;
    memcpy(h->body + h->body_len, chunk.data, chunk.len);
    h->body_len += chunk.len;
}

TEST(an_upgrade_gives_the_stream_away) {
    world w;
    heard h;
    static line l;
    for (int connect = 0; connect < 2; connect++) {
        world_open(&w);
        new_call(&w, &h, connect ? "CONNECT" : "GET", at(&w, "/"));
        rondo_http_call_on_response(h.call, take, &h);
        if (connect)
            CHECK_INT(rondo_http_call_set_target(h.call, "inner.test:443"), 0);
        else
            CHECK_INT(rondo_http_call_header(h.call, "Upgrade", "echo"), 0);
        CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
        line_ask(&w, &l);
        HAS(&l, connect ? "CONNECT inner.test:443 HTTP/1.1\r\nHost: inner.test:443\r\n\r\n"
                        : "Upgrade: echo\r\nConnection: Upgrade\r\n\r\n");
        line_say(&w, &l,
                 connect ? "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"
                         : "HTTP/1.1 101 Switching\r\nUpgrade: echo\r\n\r\nfirst");
        CHECK_STR(h.text,
                  connect ? "response 200 / OK / end / close" : "response 101 / OK / end / close");
        CHECK_INT(h.body_len, 0);
        CHECK_INT(figures(&w).connections, 0);
        CHECK_INT(rondo_stream_on_data(taken, stream_data, &h), 0);
        CHECK_INT(h.body_len, 0); /* later */
        line_say(&w, &l, " second");
        CHECK_STR(h.body, "first second");
        line_forget(&l);
        CHECK_INT(rondo_write(taken, rondo_slice_text("back")), 1);
        line_pump(&w, &l);
        CHECK_STR(l.data, "back");
        CHECK(rondo_has_ref(taken));
        static char block[8000000]; /* more than the peer takes */
        CHECK_INT(rondo_write(taken, rondo_slice_of(block, sizeof block)), 0);
        advance(&w, 10000000); /* none of HTTP's timeouts */
        CHECK(!rondo_is_closing(taken));
        rondo_close(taken);
        line_close(&l);
        world_close(&w);
    }
}

TEST(an_upgrade_that_nobody_takes_ends_the_connection) {
    world w;
    heard h;
    static line l;
    world_open(&w);
    new_call(&w, &h, "GET", at(&w, "/"));
    CHECK_INT(rondo_http_call_header(h.call, "Upgrade", "echo"), 0);
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    line_ask(&w, &l);
    rondo_stream *none;
    CHECK_INT(rondo_http_call_upgrade(h.call, &none), RONDO_EINVAL);
    line_say(&w, &l, "HTTP/1.1 101 Switching\r\n\r\nfirst");
    CHECK_STR(h.text, "response 101 / end / close");
    CHECK(l.ended);
    line_close(&l);
    /* An upgrade that is declined is an answer like any other. */
    new_call(&w, &h, "GET", at(&w, "/"));
    CHECK_INT(rondo_http_call_header(h.call, "Upgrade", "echo"), 0);
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    line_ask(&w, &l);
    line_say(&w, &l, OK("Content-Length: 1\r\n") "a");
    CHECK_STR(h.text, "response 200 / end / close");
    CHECK_INT(figures(&w).idle, 1);
    line_close(&l);
    world_close(&w);
}
