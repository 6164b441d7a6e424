/* SPDX-License-Identifier: MIT
 *
 * What the servers of `rondo compare` make of octets, and what they answer: the same however octets are grouped, and whatever they
 * are.
 */
#include "harness.h"

#include "compare/web.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* "hello", "wait 20", "cpu 1000", "file 64k", "404"; with " close" and " 1.0" behind that; "more" when it isn't complete. */
static const char *show(const web_request *request, bool complete) {
    static char text[64];
    int len = 0;

    if (!complete) return "more";
    switch (request->work) {
    case WEB_HELLO: len = snprintf(text, sizeof text, "hello"); break;
    case WEB_WAIT: len = snprintf(text, sizeof text, "wait %u", request->amount); break;
    case WEB_CPU: len = snprintf(text, sizeof text, "cpu %u", request->amount); break;
    case WEB_FILE: len = snprintf(text, sizeof text, "file %s", request->name); break;
    case WEB_ERROR: len = snprintf(text, sizeof text, "%d", request->status); break;
    }
    snprintf(text + len, sizeof text - (size_t)len, "%s%s", request->keep_alive ? "" : " close",
             request->say_so ? " 1.0" : "");
    return text;
}

/* Parses data in two pieces, the first of `first` octets, or in pieces of one if that is 0. Returns how much was taken until a
 * request was complete. */
static size_t parse(const char *data, size_t len, size_t first, web_request *ret,
                    bool *ret_complete) {
    web_parser parser;
    size_t at = 0;

    web_parser_init(&parser);
    *ret_complete = false;
    while (at < len && !*ret_complete) {
        size_t piece = first == 0 ? 1 : at < first ? first - at : len - at;
        size_t used = web_parse(&parser, data + at, piece, ret, ret_complete);
        CHECK(used <= piece);
        CHECK(used == piece || *ret_complete);
        at += used;
    }
    return at;
}

/* Whole, split at every octet, and octet by octet. */
static void check_parse(const char *data, size_t len, const char *want, size_t want_used) {
    for (size_t first = 0; first <= len; first++) {
        web_request request = {0};
        bool complete;
        size_t used = parse(data, len, first, &request, &complete);
        const char *got = show(&request, complete);
        if (strcmp(got, want) != 0)
            FAIL("split at %zu: got '%s', want '%s' of: %.*s", first, got, want, (int)len, data);
        /* Behind an error that ends the connection it doesn't matter how much was taken. */
        if (strstr(want, "close") == NULL || request.work != WEB_ERROR) CHECK_INT(used, want_used);
    }
}

#define REST "\r\nHost: x\r\n\r\n"

TEST(targets) {
    static const char *const table[][2] = {
        {"/hello", "hello"},
        {"http://127.0.0.1:80/hello", "hello"},
        {"/wait?ms=20", "wait 20"},
        {"/wait?ms=0", "wait 0"},
        {"/wait?ms=60000", "wait 60000"},
        {"/cpu?n=1000", "cpu 1000"},
        {"/cpu?n=20000000", "cpu 20000000"},
        {"/file?name=64k", "file 64k"},
        {"/file?name=abcdefghijklmno", "file abcdefghijklmno"},
        {"/", "404"},
        {"/hell", "404"},
        {"/hello?", "404"},
        {"/hellohello", "404"},
        {"/HELLO", "404"},
        {"http://", "404"},
        {"http://x", "404"},
        {"/wait", "404"},
        {"/wait?ms=", "404"},
        {"/wait?ms=60001", "404"},
        {"/wait?ms=-1", "404"},
        {"/wait?ms=+1", "404"},
        {"/wait?ms=1x", "404"},
        {"/wait?ms=4294967316", "404"}, /* 20 in 32 bits */
        {"/wait?ms=18446744073709551636", "404"},
        {"/wait?n=1", "404"},
        {"/cpu?n=20000001", "404"},
        {"/file?name=", "404"},
        {"/file?name=abcdefghijklmnop", "404"},
        {"/file?name=../x", "404"},
        {"/file?name=..", "404"},
        {"/file?name=.", "404"},
        {"/file?name=/etc/passwd", "404"},
        {"/file?name=%2e%2e", "404"},
        {"/file?name=a/b", "404"},
        {"/file?name=a%00", "404"},
        {"/file?name=64K", "404"},
        {"/file?name=64k&x", "404"},
    };
    char text[256];

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int len = snprintf(text, sizeof text, "GET %s HTTP/1.1" REST, table[i][0]);
        check_parse(text, (size_t)len, table[i][1], (size_t)len);
    }
}

TEST(heads) {
    static const char *const table[][2] = {
        {"GET /hello HTTP/1.1\r\n\r\n", "hello"},
        {"\r\n\r\nGET /hello HTTP/1.1\r\n\r\n", "hello"},
        {"GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n", "hello close"},
        {"GET /hello HTTP/1.1\r\nConnection: keep-alive\r\n\r\n", "hello"},
        {"GET /hello HTTP/1.0\r\n\r\n", "hello close"},
        {"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "hello 1.0"},
        {"GET /none HTTP/1.1\r\nConnection: close\r\n\r\n", "404 close"},
        {"GET /hello HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", "hello"},
        {"GET /hello HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "hello"},
        {"GET /hello HTTP/1.1\r\nContent-Length: 3\r\n\r\n", "501 close"},
        {"GET /hello HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 3\r\n\r\n", "400 close"},
        {"GET /hello HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "501 close"},
        {"POST /hello HTTP/1.1\r\nContent-Length: 3\r\n\r\n", "501 close"},
        {"POST /hello HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "501 close"},
        {"HEAD /hello HTTP/1.1\r\n\r\n", "501 close"},
        {"OPTIONS * HTTP/1.1\r\n\r\n", "501 close"},
        {"CONNECT x:80 HTTP/1.1\r\n\r\n", "501 close"},
        {"BREW /hello HTTP/1.1\r\n\r\n", "501 close"},
        {"GET /hello HTTP/2.0\r\n\r\n", "505 close"},
        {"GET /hello HTTP/0.9\r\n\r\n", "505 close"},
        {"GET /hello HTTP/3.0\r\n\r\n", "505 close"},
        {"GET /hello\r\n\r\n", "505 close"},
        {"GET /hello HTTP/1.1\nHost: x\n\n", "400 close"},
        {"GET /hello HTTP/1.1\r\nHost : x\r\n\r\n", "400 close"},
        {"GET /hello HTTP/1.1\r\nContent-Length: 1x\r\n\r\n", "400 close"},
        {"GET /a b HTTP/1.1\r\n\r\n", "400 close"},
        {"\x16\x03\x01\x02", "501 close"}, /* TLS */
        {"GET /hello HTTP/1.1\r\nHost: x\r\n", "more"},
        {"GET", "more"},
        {"\r\n\r\n", "more"},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        check_parse(table[i][0], strlen(table[i][0]), table[i][1], strlen(table[i][0]));
}

/* What comes behind a request is left, and the parser is as new then. */
TEST(pipelined) {
    static const char data[] =
        "GET /hello HTTP/1.1\r\nConnection: keep-alive\r\n\r\n"
        "GET /wait?ms=7 HTTP/1.1\r\n\r\nGET /file?name=a HTTP/1.0\r\n\r\nGET /";
    static const char *const want[] = {"hello", "wait 7", "file a close", "more"};
    web_parser parser;
    web_request request;
    size_t at = 0;
    bool complete;

    web_parser_init(&parser);
    for (int i = 0; i < 4; i++) {
        at += web_parse(&parser, data + at, sizeof data - 1 - at, &request, &complete);
        CHECK_STR(show(&request, complete), want[i]);
    }
    CHECK_INT(at, sizeof data - 1);
}

TEST(long_targets) {
    char text[512] = "GET /file?name=";
    size_t name = strlen(text);

    memset(text + name, 'a', 256);
    memcpy(text + 4 + WEB_TARGET_MOST, " HTTP/1.1\r\n\r\n", 14);
    check_parse(text, strlen(text), "404", strlen(text));
    memset(text + name, 'a', 256);
    memcpy(text + 4 + WEB_TARGET_MOST + 1, " HTTP/1.1\r\n\r\n", 14);
    check_parse(text, strlen(text), "414 close", 0);
    /* Not even its end must come. */
    memset(text + name, 'a', 256);
    check_parse(text, name + 256, "414 close", 0);
}

/* One of exactly WEB_HEAD_MOST octets is taken. */
static void check_head(size_t len, const char *want) {
    static char text[WEB_HEAD_MOST + 64];
    size_t begin = (size_t)snprintf(text, sizeof text, "GET /hello HTTP/1.1\r\nX: ");
    web_request request = {0};
    bool complete;

    memset(text + begin, 'x', sizeof text - begin);
    memcpy(text + len - 4, "\r\n\r\n", 4);
    for (size_t first = 0; first <= len; first += first < 4 ? 1 : 777) {
        parse(text, len, first, &request, &complete);
        CHECK_STR(show(&request, complete), want);
    }
}

TEST(long_heads) {
    check_head(WEB_HEAD_MOST, "hello");
    check_head(WEB_HEAD_MOST + 1, "431 close");
    check_head(WEB_HEAD_MOST + 63, "431 close");
}

TEST(endless_empty_lines_are_a_head) {
    static char text[WEB_HEAD_MOST];
    web_request request = {0};
    bool complete;

    for (size_t i = 0; i < sizeof text; i++) text[i] = "\r\n"[i % 2];
    parse(text, sizeof text, sizeof text, &request, &complete);
    CHECK_STR(show(&request, complete), "431 close");
}

/* The limit is of one head, not of a connection. */
TEST(many_heads) {
    static const char data[] = "GET /hello HTTP/1.1\r\nHost: example\r\n\r\n";
    web_parser parser;
    web_request request;
    bool complete;

    web_parser_init(&parser);
    for (int i = 0; i < 1000; i++) {
        size_t half = (size_t)(i % 30) + 1;
        CHECK_INT(web_parse(&parser, data, half, &request, &complete), half);
        CHECK(!complete);
        web_parse(&parser, data + half, sizeof data - 1 - half, &request, &complete);
        CHECK_STR(show(&request, complete), "hello");
    }
}

/* Damaged requests: the same of the pieces as of the whole. */
TEST(random_octets) {
    static const char good[] = "GET /wait?ms=123 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    char data[sizeof good];
    unsigned seed = 1;

    for (int i = 0; i < (harness_is_slow() ? 300 : 3000); i++) {
        memcpy(data, good, sizeof good);
        for (int n = rand_r(&seed) % 3; n >= 0; n--)
            data[(size_t)rand_r(&seed) % (sizeof good - 1)] = (char)rand_r(&seed);
        web_request whole = {0};
        bool complete;
        char want[64];
        size_t used = parse(data, sizeof good - 1, sizeof good - 1, &whole, &complete);
        snprintf(want, sizeof want, "%s", show(&whole, complete));
        check_parse(data, sizeof good - 1, want, used);
    }
}

/* ---- answers ---- */

static void check_answer(web_request request, off_t size, const char *want) {
    char text[WEB_ANSWER_MOST + 1];
    size_t len = web_answer(&request, size, text);

    CHECK(len <= WEB_ANSWER_MOST);
    text[len] = '\0';
    CHECK_STR(text, want);
}

TEST(answers) {
    check_answer(
        (web_request){.work = WEB_HELLO, .keep_alive = true}, 0,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n");
    check_answer((web_request){.work = WEB_WAIT, .keep_alive = true, .say_so = true}, 0,
                 "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: keep-alive\r\n"
                 "Content-Length: 14\r\n\r\nHello, world!\n");
    check_answer(
        (web_request){.work = WEB_CPU, .result = 4294967295u}, 0,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nResult: 4294967295\r\n"
        "Content-Length: 14\r\n\r\nHello, world!\n");
    check_answer(
        (web_request){.work = WEB_FILE, .keep_alive = true}, 0,
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 0\r\n\r\n");
    check_answer(
        (web_request){.work = WEB_FILE}, INT64_MAX,
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n"
        "Content-Length: 9223372036854775807\r\n\r\n");
    check_answer(
        (web_request){.work = WEB_ERROR, .status = 431}, 0,
        "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain\r\n"
        "Connection: close\r\nContent-Length: 35\r\n\r\n431 Request Header Fields Too Large");
}

TEST(each_status_has_its_line) {
    static const int all[] = {400, 404, 414, 431, 501, 503, 505};
    char text[WEB_ANSWER_MOST], number[16];

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        web_answer(&(web_request){.work = WEB_ERROR, .status = all[i]}, 0, text);
        snprintf(number, sizeof number, "HTTP/1.1 %d ", all[i]);
        CHECK_MEM(text, number, strlen(number));
    }
}

/* The same figures as the peers': a server that leaves its computing out tells others. */
TEST(computing) {
    CHECK_INT(web_compute(0), 2463534242u);
    CHECK_INT(web_compute(1000), 3743007946u);
    CHECK(web_compute(1) != web_compute(2));
}

TEST(nothing_is_allocated) {
    if (harness_is_valgrind()) SKIP("valgrind's allocator has no mallinfo2()");
    static const char data[] = "GET /cpu?n=1 HTTP/1.1\r\nHost: x\r\n\r\n";
    size_t before = mallinfo2().uordblks;
    web_parser parser;
    web_request request;
    char text[WEB_ANSWER_MOST];
    bool complete;

    web_parser_init(&parser);
    for (int i = 0; i < 100; i++) {
        web_parse(&parser, data, sizeof data - 1, &request, &complete);
        request.result = web_compute(request.amount);
        web_answer(&request, 0, text);
    }
    CHECK_INT(mallinfo2().uordblks, before);
}

/* ---- files ---- */

static int make_directory(char *path) {
    CHECK(mkdtemp(path) != NULL);
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(directory >= 0);
    return directory;
}

static int open_name(int directory, const char *name, int *ret_status) {
    web_request request = {.work = WEB_FILE};
    off_t size = -1;

    snprintf(request.name, sizeof request.name, "%s", name);
    int fd = web_open(directory, &request, &size);
    CHECK(fd >= 0 ? request.work == WEB_FILE && size == 5
                  : request.work == WEB_ERROR && size == -1);
    *ret_status = request.status;
    return fd;
}

TEST(files) {
    char path[] = "/tmp/rondo-compare-XXXXXX";
    int directory = make_directory(path), status;

    int fd = openat(directory, "five", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK_INT(write(fd, "12345", 5), 5);
    close(fd);
    CHECK_INT(mkdirat(directory, "dir", 0700), 0);
    CHECK_INT(mkfifoat(directory, "fifo", 0600), 0);
    CHECK_INT(symlinkat("five", directory, "link"), 0);
    fd = open_name(directory, "five", &status);
    CHECK(fd >= 0);
    close(fd);
    static const char *const bad[] = {"none", "dir", "fifo", "link"};
    for (int i = 0; i < 4; i++) {
        CHECK_INT(open_name(directory, bad[i], &status), -1);
        CHECK_INT(status, 404);
    }
    CHECK_INT(open_name(-1, "five", &status), -1); /* a server without files */
    CHECK_INT(status, 404);
    /* It is the server that lacks something then. */
    struct rlimit before;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)directory, before.rlim_max}), 0);
    CHECK_INT(open_name(directory, "five", &status), -1);
    CHECK_INT(errno, EMFILE);
    CHECK_INT(status, 503);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    unlinkat(directory, "five", 0);
    unlinkat(directory, "fifo", 0);
    unlinkat(directory, "link", 0);
    unlinkat(directory, "dir", AT_REMOVEDIR);
    close(directory);
    rmdir(path);
}
