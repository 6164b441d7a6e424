/* SPDX-License-Identifier: MIT
 *
 * Raw HTTP/1.1, good and bad: what a strict server answers to it. Each case is sent whole, octet by
 * octet, and in two pieces split anywhere. The server answers every request with 200, its target and
 * its body; a case names the answers that must come and whether the connection ends then.
 */
#define _GNU_SOURCE
#include "http_peer.h"

#define HOST "Host: a\r\n"
#define NEXT "GET /next HTTP/1.1\r\n" HOST "\r\n"
#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
#define LENGTH(n) "POST / HTTP/1.1\r\n" HOST "Content-Length: " n "\r\n\r\n"
#define LINE(line) line "\r\n" HOST "\r\n"
#define FIELD(field) "GET / HTTP/1.1\r\n" HOST field "\r\n\r\n" NEXT
#define WITH_HOST(host) "GET / HTTP/1.1\r\nHost:" host "\r\n\r\n" NEXT

typedef struct http_case {
    const char *name;
    const char *statuses; /* "200,400"; "": nothing yet */
    bool closes;
    const char *body; /* what the first answer echoes; NULL: don't look */
    const char *request;
    size_t len;
} http_case;

#define CASE(name, statuses, closes, body, request) \
    { name, statuses, closes, body, request, sizeof(request) - 1 }

/* clang-format off */
static const http_case cases[] = {
    /* ---- what must work ---- */
    CASE("plain", "200", false, "/:",
         GET("/")),
    CASE("two", "200,200", false, "/:",
         GET("/") NEXT),
    CASE("no length means no body", "200,200", false, "/:",
         "POST / HTTP/1.1\r\n" HOST "\r\n" NEXT),
    CASE("length", "200,200", false, "/:hello",
         LENGTH("5") "hello" NEXT),
    CASE("length, case and no blank", "200,200", false, "/:hello",
         "POST / HTTP/1.1\r\n" HOST "cONTENT-lENGTH:5\r\n\r\nhello" NEXT),
    CASE("a request in a body is data", "200,200", false, "/:GET /x HTTP/1.1\r\n\r\n",
         LENGTH("19") "GET /x HTTP/1.1\r\n\r\n" NEXT),
    CASE("chunks", "200,200", false, "/:hello0123456789",
         CHUNKED "5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n" NEXT),
    CASE("chunks, case", "200", false, "/:x",
         "POST / HTTP/1.1\r\n" HOST "tRANSFER-eNCODING: CHUNKED\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
    CASE("extensions", "200,200", false, "/:hello",
         CHUNKED "5;foo=bar\r\nhello\r\n0;x\r\n\r\n" NEXT),
    CASE("trailers", "200,200", false, "/:x",
         CHUNKED "1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n" NEXT),
    CASE("empty lines before", "200", false, "/:",
         "\r\n\r\n" GET("/")),
    CASE("empty line after a body", "200,200", false, "/:x",
         LENGTH("1") "x\r\n" NEXT),
    CASE("odd but valid field", "200,200", false, "/:",
         FIELD("!#$%&'*+-.^_`|~09azAZ:\t caf\xe9\xff \t")),
    CASE("odd but valid target", "200", false, "/a-._~!$&'()*+,;=:@/%41?x=/?%20:",
         LINE("GET /a-._~!$&'()*+,;=:@/%41?x=/?%20 HTTP/1.1")),
    CASE("absolute", "200", false, "http://[4712::abcd]:8000/x:",
         LINE("GET http://[4712::abcd]:8000/x HTTP/1.1")),
    CASE("1.0 without Host", "200", true, "/:",
         "GET / HTTP/1.0\r\n\r\n"),
    CASE("upgrade is not taken", "200,200", false, "/:",
         FIELD("Connection: upgrade\r\nUpgrade: websocket")),
    CASE("upgrade with a body", "200,200", false, "/:ok",
         "POST / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nok" NEXT),
    CASE("upgrade with chunks", "200,200", false, "/:ok",
         "POST / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n" "2\r\nok\r\n0\r\n\r\n" NEXT),
    /* ---- not complete ---- */
    CASE("waits: method", "", false, NULL,
         "GE"),
    CASE("waits: blank", "", false, NULL,
         "GET /x "),
    CASE("waits: CR", "", false, NULL,
         "GET / HTTP/1.1\r\nHost: a\r"),
    CASE("waits: the last LF", "", false, NULL,
         "GET / HTTP/1.1\r\nHost: a\r\n\r"),
    CASE("waits: body", "", false, NULL,
         LENGTH("5") "hell"),
    CASE("waits: last chunk's end", "", false, NULL,
         CHUNKED "1\r\nx\r\n0\r\n"),
    /* ---- check 1: Host ---- */
    CASE("no Host", "400", true, NULL,
         "GET / HTTP/1.1\r\n\r\n" NEXT),
    CASE("no Host, absolute", "400", true, NULL,
         "GET http://a/ HTTP/1.1\r\n\r\n" NEXT),
    CASE("two Hosts", "400", true, NULL,
         FIELD("hOST: a")),
    CASE("two Hosts in 1.0", "400", true, NULL,
         "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
    CASE("empty Host", "200,200", false, NULL,
         WITH_HOST("")),
    CASE("Host: port", "200,200", false, NULL,
         WITH_HOST(" a:80")),
    CASE("Host: empty port", "200,200", false, NULL,
         WITH_HOST(" a:")),
    CASE("Host: IPv6", "200,200", false, NULL,
         WITH_HOST("\t[::1]:80 ")),
    CASE("Host: escape", "200,200", false, NULL,
         WITH_HOST(" a%41b")),
    CASE("Host: bad escape", "400", true, NULL,
         WITH_HOST(" a%4xb")),
    CASE("Host: cut escape", "400", true, NULL,
         WITH_HOST(" a%4")),
    CASE("Host: IPv6 without brackets", "400", true, NULL,
         WITH_HOST(" 1::2")),
    CASE("Host: open bracket", "400", true, NULL,
         WITH_HOST(" [::1")),
    CASE("Host: text after the bracket", "400", true, NULL,
         WITH_HOST(" [::1]x")),
    CASE("Host: empty brackets", "400", true, NULL,
         WITH_HOST(" []")),
    CASE("Host: port is no number", "400", true, NULL,
         WITH_HOST(" a:8x")),
    CASE("Host: only a port", "400", true, NULL,
         WITH_HOST(" :80")),
    CASE("Host: as long as one that was good", "400", true, NULL,
         WITH_HOST(" /")),
    CASE("Host: path", "400", true, NULL,
         WITH_HOST(" a/b")),
    CASE("Host: user", "400", true, NULL,
         WITH_HOST(" u@a")),
    CASE("Host: list", "400", true, NULL,
         WITH_HOST(" a b")),
    CASE("Host: not ASCII", "400", true, NULL,
         WITH_HOST(" a\xa0")),
    /* ---- check 2: lines ---- */
    CASE("fold", "400", true, NULL,
         FIELD("X: a\r\n b")),
    CASE("fold with a tab", "400", true, NULL,
         FIELD("X: a\r\n\tb")),
    CASE("fold of an empty value", "400", true, NULL,
         FIELD("X:\r\n b")),
    CASE("fold of nothing", "400", true, NULL,
         FIELD("X: a\r\n ")),
    CASE("folded framing", "400", true, NULL,
         "POST / HTTP/1.1\r\n" HOST "X: a\r\n Transfer-Encoding: chunked\r\n" "Content-Length: 5\r\n\r\n0\r\n\r\n" NEXT),
    CASE("blank before the first field", "400", true, NULL,
         "GET / HTTP/1.1\r\n Host: a\r\n\r\n" NEXT),
    CASE("blank before Content-Length", "400", true, NULL,
         "POST / HTTP/1.1\r\n" HOST " Content-Length: 38\r\n\r\n" NEXT),
    CASE("empty name", "400", true, NULL,
         FIELD(": x")),
    CASE("nothing but a colon", "400", true, NULL,
         FIELD(":")),
    CASE("empty name before Content-Length", "400", true, NULL,
         "POST / HTTP/1.1\r\n" HOST ":\r\nContent-Length: 38\r\n\r\n" NEXT),
    CASE("bare LF", "400", true, NULL,
         "GET / HTTP/1.1\nHost: a\n\n"),
    CASE("bare LF after a field", "400", true, NULL,
         FIELD("X: a\nY: b")),
    CASE("bare LF at the end", "400", true, NULL,
         "GET / HTTP/1.1\r\nHost: a\r\n\n" NEXT),
    CASE("bare CR in a value", "400", true, NULL,
         FIELD("X: a\rY: b")),
    CASE("CR CR LF", "400", true, NULL,
         FIELD("X: a\r")),
    CASE("CR at the end", "400", true, NULL,
         "GET / HTTP/1.1\r\nHost: a\r\n\rX" NEXT),
    CASE("blank before the colon", "400", true, NULL,
         FIELD("X : a")),
    CASE("blank in a name", "400", true, NULL,
         FIELD("X Y: a")),
    CASE("no colon", "400", true, NULL,
         FIELD("X")),
    CASE("bracket in a name", "400", true, NULL,
         FIELD("X[]: a")),
    CASE("not ASCII in a name", "400", true, NULL,
         FIELD("X\x80: a")),
    CASE("control in a value", "400", true, NULL,
         FIELD("X: a\x07")),
    CASE("NUL in a value", "400", true, NULL,
         FIELD("X: a\0b")),
    CASE("fold in trailers", "400", true, NULL,
         CHUNKED "0\r\nA: b\r\n c\r\n\r\n" NEXT),
    CASE("empty name in trailers", "400", true, NULL,
         CHUNKED "0\r\n: b\r\n\r\n" NEXT),
    CASE("bare LF in trailers", "400", true, NULL,
         CHUNKED "0\r\nA: b\n\r\n" NEXT),
    CASE("no colon in trailers", "400", true, NULL,
         CHUNKED "0\r\nGET /x HTTP/1.1\r\n" HOST "\r\n"),
    CASE("CR alone before a request", "400", true, NULL,
         "\rGET / HTTP/1.1\r\n" HOST "\r\n"),
    CASE("LF alone before a request", "400", true, NULL,
         "\nGET / HTTP/1.1\r\n" HOST "\r\n"),
    /* ---- check 3: version ---- */
    CASE("0.9", "400", true, NULL,
         "GET /\r\n\r\n"),
    CASE("0.9 with a field", "400", true, NULL,
         "GET /\r\nHost: a\r\n\r\n"),
    CASE("1.2", "505", true, NULL,
         LINE("GET / HTTP/1.2")),
    CASE("2.0", "505", true, NULL,
         LINE("GET / HTTP/2.0")),
    CASE("3.0", "505", true, NULL,
         LINE("GET / HTTP/3.0")),
    CASE("two digits", "400", true, NULL,
         LINE("GET / HTTP/01.1")),
    CASE("RTSP", "400", true, NULL,
         LINE("OPTIONS / RTSP/1.0")),
    CASE("ICE", "400", true, NULL,
         LINE("SOURCE / ICE/1.0")),
    CASE("lower case", "400", true, NULL,
         LINE("GET / http/1.1")),
    CASE("blank behind", "400", true, NULL,
         LINE("GET / HTTP/1.1 ")),
    CASE("preface of HTTP/2", "501", true, NULL,
         "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    /* ---- check 4: target ---- */
    CASE("star for GET", "400", true, NULL,
         LINE("GET * HTTP/1.1")),
    CASE("star for a method as long", "400", true, NULL,
         LINE("SUBSCRIBE * HTTP/1.1")),
    CASE("star and more", "400", true, NULL,
         LINE("OPTIONS *x HTTP/1.1")),
    CASE("no slash", "400", true, NULL,
         LINE("GET x HTTP/1.1")),
    CASE("empty", "400", true, NULL,
         LINE("GET  HTTP/1.1")),
    CASE("two blanks", "400", true, NULL,
         LINE("GET  / HTTP/1.1")),
    CASE("fragment", "400", true, NULL,
         LINE("GET /x#y HTTP/1.1")),
    CASE("DEL", "400", true, NULL,
         LINE("GET /\x7f HTTP/1.1")),
    CASE("not ASCII", "400", true, NULL,
         LINE("GET /\xc3\xa9 HTTP/1.1")),
    CASE("other scheme", "400", true, NULL,
         LINE("GET ftp://a/ HTTP/1.1")),
    CASE("no host", "400", true, NULL,
         LINE("GET http:///x HTTP/1.1")),
    CASE("bad port", "400", true, NULL,
         LINE("GET http://a:80x/ HTTP/1.1")),
    CASE("user", "400", true, NULL,
         LINE("GET http://u:p@a/ HTTP/1.1")),
    CASE("one slash", "400", true, NULL,
         LINE("GET http:/a/ HTTP/1.1")),
    /* ---- checks 5 and 13: method ---- */
    CASE("CONNECT", "501", true, NULL,
         LINE("CONNECT a:443 HTTP/1.1")),
    CASE("CONNECT with a path", "501", true, NULL,
         LINE("CONNECT / HTTP/1.1")),
    CASE("unknown", "501", true, NULL,
         LINE("FOO / HTTP/1.1")),
    CASE("unknown, longer than a known one", "501", true, NULL,
         LINE("GETX / HTTP/1.1")),
    CASE("lower case method", "501", true, NULL,
         LINE("get / HTTP/1.1")),
    CASE("known to RTSP", "501", true, NULL,
         LINE("DESCRIBE / HTTP/1.1")),
    CASE("longer than any", "501", true, NULL,
         LINE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA / HTTP/1.1")),
    CASE("no token", "400", true, NULL,
         LINE("G@T / HTTP/1.1")),
    CASE("NUL", "400", true, NULL,
         LINE("G\0T / HTTP/1.1")),
    CASE("a blank first", "400", true, NULL,
         LINE(" GET / HTTP/1.1")),
    CASE("a word", "400", true, NULL,
         "a\r\n\r\n"),
    CASE("TLS", "400", true, NULL,
         "\x16\x03\x01\x02\0\x01"),
    /* ---- checks 7 and 8: framing ---- */
    CASE("coding unknown", "400", true, NULL,
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n" NEXT),
    CASE("coding empty", "400", true, NULL,
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n" NEXT),
    CASE("coding quoted", "400", true, NULL,
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n"),
    CASE("coding with a parameter", "400", true, NULL,
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked;a=b\r\n\r\n"),
    CASE("coding with a control", "400", true, NULL,
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\x0b\r\n\r\n"),
    CASE("another before chunked", "501", true, NULL,
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n" NEXT),
    CASE("chunked not last", "400", true, NULL,
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, gzip\r\n\r\n" NEXT),
    CASE("chunked twice, two lines", "400", true, NULL,
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    CASE("length and chunks", "400", true, NULL,
         "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" NEXT),
    CASE("chunks and length", "400", true, NULL,
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" NEXT),
    CASE("chunks in 1.0", "200", true, "/:x",
         "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" NEXT),
    CASE("length twice", "400", true, NULL,
         "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello" NEXT),
    CASE("length empty", "400", true, NULL,
         LENGTH("") NEXT),
    CASE("length negative", "400", true, NULL,
         LENGTH("-1") NEXT),
    CASE("length with a sign", "400", true, NULL,
         LENGTH("+1") NEXT),
    CASE("length is a list", "400", true, NULL,
         LENGTH("5, 5") "hello" NEXT),
    CASE("length too large for a number", "400", true, NULL,
         LENGTH("18446744073709551617") "x" NEXT),
    CASE("chunk size empty", "400", true, NULL,
         CHUNKED "\r\n" NEXT),
    CASE("chunk size negative", "400", true, NULL,
         CHUNKED "-1\r\nx\r\n0\r\n\r\n"),
    CASE("chunk size in C", "400", true, NULL,
         CHUNKED "0x1\r\nx\r\n0\r\n\r\n"),
    CASE("chunk size too large", "400", true, NULL,
         CHUNKED "10000000000000001\r\nx\r\n0\r\n\r\n"),
    CASE("chunk longer than it says", "400", true, NULL,
         CHUNKED "1\r\nxy\r\n0\r\n\r\n" NEXT),
    CASE("chunk ends in LF", "400", true, NULL,
         CHUNKED "1\nx\n0\n\n"),
    CASE("NUL in an extension", "400", true, NULL,
         CHUNKED "1;a\0\r\nx\r\n0\r\n\r\n"),
};

/* clang-format on */

/* ---- the server that they are for ---- */

typedef struct echo {
    rondo_http_response *response;
    size_t len;
    char text[16384];
} echo;

static void on_data(rondo_http_request *request, rondo_slice chunk, void *arg) {
    echo *answer = arg;
    (void)request;
    CHECK(chunk.len <= sizeof answer->text - answer->len);
    memcpy(answer->text + answer->len, chunk.data, chunk.len);
    answer->len += chunk.len;
}

static void on_end(rondo_http_request *request, void *arg) {
    echo *answer = arg;
    (void)request;
    rondo_http_response_reply(answer->response, 200, NULL,
                              rondo_slice_of(answer->text, answer->len));
}

static void on_aborted(rondo_http_response *response, void *arg) {
    (void)arg;
    rondo_close(response);
}

static void on_close(rondo_handle *response, void *arg) {
    (void)response;
    free(arg);
}

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    echo *answer = malloc(sizeof *answer);
    rondo_slice target = rondo_http_request_target(request);
    (void)arg;
    CHECK(answer != NULL);
    answer->response = response;
    memcpy(answer->text, target.data, target.len);
    answer->text[target.len] = ':';
    answer->len = target.len + 1;
    CHECK_INT(rondo_on_close(response, on_close, answer), 0);
    rondo_http_request_on_data(request, on_data, answer);
    rondo_http_request_on_end(request, on_end, answer);
    rondo_http_response_on_aborted(response, on_aborted, NULL);
}

/* ---- running them ---- */

static void judge(const http_case *it, const char *how, const web_peer *peer) {
    const char *statuses = peer_statuses(peer);
    if (strcmp(statuses, it->statuses) != 0)
        FAIL("%s, %s: got \"%s\", should be \"%s\"", it->name, how, statuses, it->statuses);
    if (peer->ended != it->closes)
        FAIL("%s, %s: %s", it->name, how, it->closes ? "stays open" : "was closed");
    if (peer->reset) FAIL("%s, %s: was reset", it->name, how);
    const char *body = peer_body(peer);
    if (it->body && strncmp(body, it->body, strlen(it->body)) != 0)
        FAIL("%s, %s: got \"%s\", should be \"%s\"", it->name, how, body, it->body);
    if (peer_count(peer, "\r\nDate: ") != peer_count(peer, "HTTP/1.1 "))
        FAIL("%s, %s: an answer without Date", it->name, how);
    if (it->closes && strstr(it->statuses, "00") == NULL &&
        !peer_has(peer, "Connection: close\r\n"))
        FAIL("%s, %s: closes without saying so", it->name, how);
}

typedef void (*sender)(web_host *web, web_peer *peer, const char *data, size_t len);

static void each_case(const char *how, sender send) {
    web_host web;
    web_open(&web, on_request, NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const http_case *it = &cases[i];
        web_peer peer;
        peer_open(&web, &peer);
        send(&web, &peer, it->request, it->len);
        judge(it, how, &peer);
        peer_close(&peer);
        web_turns(&web, 2);
    }
    web_close(&web);
}

static void send_whole(web_host *web, web_peer *peer, const char *data, size_t len) {
    peer_send(web, peer, data, len);
    peer_pump(web, peer);
}

TEST(cases_whole) { each_case("whole", send_whole); }

TEST(cases_octet_by_octet) { each_case("octet by octet", peer_spell); }

/* In two pieces: before and after every octet. */
TEST(cases_split) {
    web_host web;
    web_open(&web, on_request, NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const http_case *it = &cases[i];
        size_t len = it->len;
        size_t step = harness_is_slow() ? 7 : 1;
        for (size_t at = 1; at < len; at += step) {
            web_peer peer;
            char how[32];
            snprintf(how, sizeof how, "split at %zu", at);
            peer_open(&web, &peer);
            peer_send(&web, &peer, it->request, at);
            web_turns(&web, 2);
            peer_send(&web, &peer, it->request + at, len - at);
            peer_pump(&web, &peer);
            judge(it, how, &peer);
            peer_close(&peer);
            web_turns(&web, 2);
        }
    }
    web_close(&web);
}
