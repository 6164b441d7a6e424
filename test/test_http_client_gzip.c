/* SPDX-License-Identifier: MIT
 *
 * The HTTP client decodes gzip: whole, in pieces, paused, broken, and bombs.
 */
#define _GNU_SOURCE
#include "http_origin.h"

#include <zlib.h>

/* gzip of `size` octets that repeat `pattern`; free it. */
static unsigned char *compress_some(const char *pattern, size_t size, size_t *ret_len) {
    size_t room = size / 100 + 1000 + size, period = strlen(pattern);
    unsigned char *out = malloc(room), *in = malloc(size + 1);
    z_stream z = {0};
    for (size_t i = 0; i < size; i++) in[i] = (unsigned char)pattern[i % period];
    CHECK_INT(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = in;
    z.avail_in = (unsigned)size;
    z.next_out = out;
    z.avail_out = (unsigned)room;
    CHECK_INT(deflate(&z, Z_FINISH), Z_STREAM_END);
    *ret_len = z.total_out;
    deflateEnd(&z);
    free(in);
    return out;
}

/* Sends an answer with that body; coding is the value of Content-Encoding. */
static void answer(world *w, line *l, const char *coding, const void *body, size_t len) {
    char head[200];
    sprintf(head, "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %zu\r\n\r\n", coding,
            len);
    line_send(w, l, head, strlen(head));
    line_send(w, l, body, len);
    line_pump(w, l);
}

static void begin(world *w, heard *h, line *l) {
    world_open(w);
    new_call(w, h, "GET", at(w, "/"));
    CHECK_INT(rondo_http_call_set_decode(h->call, true), 0);
    CHECK_INT(rondo_http_call_send(h->call, NO_BODY), 0);
    line_ask(w, l);
    HAS(l, "Accept-Encoding: gzip\r\n");
}

TEST(gzip_is_decoded) {
    static const size_t sizes[] = {0, 1, 100, 16384, 16385, 300000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        world w;
        heard h;
        static line l;
        size_t len;
        unsigned char *body = compress_some("hello, world; ", sizes[i], &len);
        begin(&w, &h, &l);
        answer(&w, &l, i % 2 ? "gzip" : "X-GZip", body, len);
        CHECK_STR(h.text, "response 200 / end / close");
        CHECK_INT(h.body_len, sizes[i]);
        if (sizes[i] > 10) CHECK_MEM(h.body, "hello, wor", 10);
        CHECK_INT(figures(&w).idle, 1);
        free(body);
        line_close(&l);
        world_close(&w);
    }
}

TEST(members_that_follow_one_another) {
    world w;
    heard h;
    static line l;
    size_t one, two;
    unsigned char *first = compress_some("a", 10, &one), *second = compress_some("b", 10, &two);
    unsigned char *both = malloc(one + two);
    memcpy(both, first, one);
    memcpy(both + one, second, two);
    begin(&w, &h, &l);
    answer(&w, &l, "gzip", both, one + two);
    CHECK_STR(h.body, "aaaaaaaaaabbbbbbbbbb");
    CHECK_STR(h.text, "response 200 / end / close");
    free(first);
    free(second);
    free(both);
    line_close(&l);
    world_close(&w);
}

TEST(gzip_that_is_broken_is_an_error) {
    size_t len;
    unsigned char *body = compress_some("hello", 1000, &len);
    for (size_t cut = 1; cut < len; cut++) { /* ends too early, though the length was right */
        world w;
        heard h;
        static line l;
        begin(&w, &h, &l);
        answer(&w, &l, "gzip", body, cut);
        CHECK_STR(h.text, "response 200 / EPROTO / close");
        line_close(&l);
        world_close(&w);
    }
    for (int what = 0; what < 3; what++) {
        world w;
        heard h;
        static line l;
        begin(&w, &h, &l);
        unsigned char *bad = malloc(len + 4);
        memcpy(bad, body, len);
        memcpy(bad + len, "junk", 4);
        if (what == 0) bad[0] ^= 1;
        if (what == 1) bad[len - 5] ^= 1; /* the checksum */
        answer(&w, &l, "gzip", bad, what == 2 ? len + 4 : len);
        CHECK_INT(h.error, RONDO_EPROTO);
        free(bad);
        line_close(&l);
        world_close(&w);
    }
    free(body);
}

TEST(a_bomb_is_found_before_it_has_grown) {
    world w;
    heard h;
    static line l;
    size_t len;
    unsigned char *body = compress_some("\x01", 50000000, &len);
    begin(&w, &h, &l);
    answer(&w, &l, "gzip", body, len);
    CHECK_STR(h.text, "response 200 / EMSGSIZE / close");
    CHECK(h.body_len < 12000000);
    free(body);
    line_close(&l);
    world_close(&w);
}

static void pause_each(rondo_http_call *call, rondo_slice chunk, void *arg) {
    hear_data(call, chunk, arg);
    rondo_http_call_pause(call);
}

TEST(decoding_pauses_anywhere) {
    world w;
    heard h;
    static line l;
    size_t len;
    unsigned char *body = compress_some("hello", 500000, &len);
    begin(&w, &h, &l);
    rondo_http_call_on_data(h.call, pause_each, &h);
    answer(&w, &l, "gzip", body, len);
    int resumes = 0;
    for (size_t before = h.body_len; h.call && resumes < 1000; resumes++) {
        CHECK(h.body_len - before <= 16384);
        before = h.body_len;
        rondo_http_call_resume(h.call);
        turns(&w, 3);
    }
    CHECK_STR(h.text, "response 200 / end / close");
    CHECK_INT(h.body_len, 500000);
    CHECK(resumes >= 30);
    free(body);
    line_close(&l);
    world_close(&w);
}

TEST(what_is_not_decoded) {
    for (int how = 0; how < 7; how++) {
        world w;
        heard h;
        static line l;
        world_open(&w);
        new_call(&w, &h, how == 3 ? "HEAD" : "GET", at(&w, "/"));
        CHECK_INT(rondo_http_call_set_decode(h.call, how > 0), 0);
        if (how == 2) CHECK_INT(rondo_http_call_header(h.call, "Range", "bytes=0-"), 0);
        CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
        line_ask(&w, &l);
        if (how == 0 || how == 2) HAS_NOT(&l, "Accept-Encoding");
        line_say(&w, &l,
                 how == 2
                     ? "HTTP/1.1 206 P\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nraw"
                 : how == 3 ? OK("Content-Encoding: gzip\r\nContent-Length: 3\r\n")
                 : how == 4 ? OK("Content-Encoding: br, gzip\r\nContent-Length: 3\r\n") "raw"
                 : how == 5 ? OK("Content-Encoding: gzip\r\nContent-Length: 3\r\n"
                                 "Content-Encoding: br\r\n") "raw"
                 : how == 6 ? OK("Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n"
                                 "Content-Length: 3\r\n") "raw"
                 : how == 1 ? OK("Content-Encoding: br\r\nContent-Length: 3\r\n") "raw"
                            : OK("Content-Encoding: gzip\r\nContent-Length: 3\r\n") "raw");
        CHECK_STR(h.body, how == 3 ? "" : "raw");
        CHECK_STR(h.text, how == 2 ? "response 206 / end / close" : "response 200 / end / close");
        line_close(&l);
        world_close(&w);
    }
}
