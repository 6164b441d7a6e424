/* SPDX-License-Identifier: MIT
 *
 * Static files over a real connection: what is answered. What must not be served is in
 * test_http_files_safety.c.
 */
#define _GNU_SOURCE
#include "http_site.h"

/* Runs a client three times, once for each way of opening files. */
static void with_every_way(void (*client)(site *)) {
    site s;

    site_make(&s);
    for (int way = 0; way < SITE_WAYS; way++) {
        fprintf(stderr, "way: %s\n", site_ways[way].name);
        site_serve(&s, way, client);
    }
    site_remove(&s);
}

static void get_files(site *s) {
    check_body(s, "/", NULL, 200, "<h1>index</h1>\n");
    check_body(s, "/index.html", NULL, 200, "<h1>index</h1>\n");
    check_body(s, "/a.txt", NULL, 200, "0123456789");
    check_body(s, "/a.txt?x=/../y", NULL, 200, "0123456789");
    check_body(s, "/%61%2etxt", NULL, 200, "0123456789");
    check_body(s, "/dir/", NULL, 200, "dir index\n");
    check_body(s, "/dir/b.css", NULL, 200, "b{}");
    check_body(s, "http://localhost/a.txt", NULL, 200, "0123456789");
    check_status(s, "GET", "/nothing", NULL, 404);
    check_status(s, "GET", "/nothing/", NULL, 404);
    check_status(s, "GET", "/nothing/a.txt", NULL, 404);
    check_status(s, "GET", "/empty/", NULL, 404);
    check_status(s, "GET", "/a.txt/", NULL, 404);
    check_status(s, "GET", "/a.txt/a.txt", NULL, 404);
    check_status(s, "GET", "/dir/index.html/", NULL, 404);
    check_status(s, "GET", "/odd/", NULL, 404); /* its index.html is a directory */
    check_status(s, "GET", "/%", NULL, 400);
    check_status(s, "GET", "/a%00", NULL, 400);
}
TEST(files_are_served) {
    site s;

    site_make(&s);
    CHECK_INT(mkdir(site_path(&s, "root/odd"), 0755), 0);
    CHECK_INT(mkdir(site_path(&s, "root/odd/index.html"), 0755), 0);
    for (int way = 0; way < SITE_WAYS; way++) site_serve(&s, way, get_files);
    site_remove(&s);
}

static void get_fields(site *s) {
    answer get = ask(s, "GET", "/dir/b.css", NULL);
    answer head = ask(s, "HEAD", "/dir/b.css", NULL);

    CHECK_INT(get.status, 200);
    CHECK_STR(field(&get, "Content-Type"), "text/css; charset=utf-8");
    CHECK_STR(field(&get, "Content-Length"), "3");
    CHECK_STR(field(&get, "Accept-Ranges"), "bytes");
    CHECK_STR(field(&get, "X-Content-Type-Options"), "nosniff");
    CHECK(strlen(field(&get, "Date")) == 29);
    CHECK(strlen(field(&get, "Last-Modified")) == 29);
    CHECK(strlen(field(&get, "ETag")) > 10);
    CHECK_STR(field(&get, "Transfer-Encoding"), "");
    /* HEAD: the same but for the body, and perhaps the second that it was asked in. */
    CHECK_INT(head.status, 200);
    CHECK_INT(head.body_len, 0);
    CHECK_INT(strlen(head.head), strlen(get.head));
    CHECK_STR(field(&head, "Content-Length"), "3");
    answer_free(&head);
    head = ask(s, "HEAD", "/nothing", NULL);
    CHECK_INT(head.status, 404);
    CHECK_INT(head.body_len, 0);
    answer_free(&head);
    head = ask(s, "HEAD", "/dir/b.css", "Range: bytes=0-0\r\n"); /* ranges are for GET only */
    CHECK_INT(head.status, 200);
    CHECK_STR(field(&head, "Content-Length"), "3");
    answer_free(&head);
    answer_free(&get);
}
TEST(fields_of_an_answer) { with_every_way(get_fields); }

static void other_methods(site *s) {
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "PATCH", "GE"};

    for (size_t i = 0; i < 5; i++) {
        answer got = ask(s, methods[i], "/a.txt", "Content-Length: 0\r\n");
        CHECK_INT(got.status, 405);
        CHECK_STR(field(&got, "Allow"), "GET, HEAD");
        answer_free(&got);
    }
    check_body(s, "/a.txt", "Content-Length: 0\r\n", 200, "0123456789");
}
TEST(other_methods_are_refused) { with_every_way(other_methods); }

static void redirects(site *s) {
    static const char *const cases[][2] = {
        {"/dir", "./dir/"},     {"/dir?a=b&c", "./dir/?a=b&c"},
        {"/%64ir", "./%64ir/"}, {"http://elsewhere.example/dir", "./dir/"},
        {"/a:b", "./a:b/"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        answer got = ask(s, "GET", cases[i][0], NULL);
        CHECK_INT(got.status, 301);
        CHECK_STR(field(&got, "Location"), cases[i][1]);
        answer_free(&got);
    }
    check_status(s, "GET", "//dir", NULL, 404);
    check_status(s, "GET", "//elsewhere.example/dir", NULL, 404);
}
TEST(directories_without_slash_redirect) {
    site s;

    site_make(&s);
    CHECK_INT(mkdir(site_path(&s, "root/a:b"), 0755), 0);
    for (int way = 0; way < SITE_WAYS; way++) site_serve(&s, way, redirects);
    site_remove(&s);
}

static void odd_names(site *s) {
    static char target[6000];

    check_body(s, "/with%20space.txt", NULL, 200, "space");
    check_body(s, "/%C3%A4%25.txt", NULL, 200, "umlaut");
    check_body(s, "/back%5cslash", NULL, 200, "backslash");
    check_body(s, "/zero", NULL, 200, "");
    for (size_t len = 250; len < sizeof target - 1; len += 1900) {
        memset(target, 'x', len);
        target[0] = '/';
        target[len] = '\0';
        check_status(s, "GET", target, NULL, 404);
    }
    for (size_t i = 0; i < sizeof target - 1; i++) target[i] = i % 2 ? 'x' : '/';
    check_status(s, "GET", target, NULL, 404);
}
TEST(odd_names) {
    site s;

    site_make(&s);
    site_file(&s, "root/with space.txt", "space");
    site_file(&s, "root/\xc3\xa4%.txt", "umlaut");
    site_file(&s, "root/back\\slash", "backslash");
    site_file(&s, "root/zero", "");
    for (int way = 0; way < SITE_WAYS; way++) site_serve(&s, way, odd_names);
    site_remove(&s);
}

static void ranges(site *s) {
    answer got = ask(s, "GET", "/a.txt", "Range: bytes=2-4\r\n");

    CHECK_INT(got.status, 206);
    CHECK_STR(got.body, "234");
    CHECK_STR(field(&got, "Content-Range"), "bytes 2-4/10");
    CHECK_STR(field(&got, "Content-Length"), "3");
    answer_free(&got);
    got = ask(s, "GET", "/a.txt", "Range: bytes=10-\r\n");
    CHECK_INT(got.status, 416);
    CHECK_STR(field(&got, "Content-Range"), "bytes */10");
    answer_free(&got);
    check_body(s, "/a.txt", "Range: bytes=-3\r\n", 206, "789");
    check_body(s, "/a.txt", "Range: bytes=0-\r\n", 206, "0123456789");
    check_body(s, "/a.txt", "Range: bytes=9-9\r\n", 206, "9");
    check_body(s, "/a.txt", "Range: bytes=0-1,3-4\r\n", 206, "01234"); /* too near to be two */
    check_body(s, "/a.txt", "Range: lines=0-1\r\n", 200, "0123456789");
}
TEST(ranges_of_a_file) { with_every_way(ranges); }

static void conditions(site *s) {
    char tag[512], date[512], fields[1200];

    s->files->settle_ns = -60000000000; /* as if the files were old */
    /* And not from after the second that Date still says: Last-Modified would be cut to that. */
    char path[160];
    snprintf(path, sizeof path, "%s/a.txt", s->root);
    struct timespec old[2] = {{.tv_sec = 1700000000}, {.tv_sec = 1700000000}};
    CHECK_INT(utimensat(AT_FDCWD, path, old, 0), 0);
    answer got = ask(s, "GET", "/a.txt", NULL);
    snprintf(tag, sizeof tag, "%s", field(&got, "ETag"));
    snprintf(date, sizeof date, "%s", field(&got, "Last-Modified"));
    answer_free(&got);
    CHECK(tag[0] == '"');
    snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", tag);
    got = ask(s, "GET", "/a.txt", fields);
    CHECK_INT(got.status, 304);
    CHECK_INT(got.body_len, 0);
    CHECK_STR(field(&got, "ETag"), tag);
    CHECK_STR(field(&got, "Last-Modified"), date);
    answer_free(&got);
    check_status(s, "HEAD", "/a.txt", fields, 304);
    check_body(s, "/dir/b.css", fields, 200, "b{}");
    snprintf(fields, sizeof fields, "If-Modified-Since: %s\r\n", date);
    check_status(s, "GET", "/a.txt", fields, 304);
    snprintf(fields, sizeof fields, "If-Match: %s\r\n", tag);
    check_body(s, "/a.txt", fields, 200, "0123456789");
    check_status(s, "GET", "/a.txt", "If-Match: \"x\"\r\n", 412);
    check_status(s, "GET", "/nothing", "If-Match: *\r\n", 404);
    snprintf(fields, sizeof fields, "Range: bytes=1-2\r\nIf-Range: %s\r\n", tag);
    check_body(s, "/a.txt", fields, 206, "12");
    snprintf(fields, sizeof fields, "Range: bytes=1-2\r\nIf-Range: %s\r\n", date);
    check_body(s, "/a.txt", fields, 206, "12");
    check_body(s, "/a.txt", "Range: bytes=1-2\r\nIf-Range: \"x\"\r\n", 200, "0123456789");
}
TEST(conditional_requests) { with_every_way(conditions); }

static void fresh_file(site *s) {
    answer got = ask(s, "GET", "/new.txt", NULL);

    CHECK(strncmp(field(&got, "ETag"), "W/\"", 3) == 0);
    answer_free(&got);
}
TEST(tag_of_a_fresh_file_is_weak) {
    site s;

    site_make(&s);
    site_file(&s, "root/new.txt", "new");
    site_serve(&s, 0, fresh_file);
    site_remove(&s);
}

#define BIG (3u * 1024 * 1024 + 17)

static void check_octets(const char *body, size_t offset, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)body[i] != site_octet(offset + i))
            FAIL("octet %zu is wrong", offset + i);
    }
}

static void big_files(site *s) {
    answer got = ask(s, "GET", "/big.bin", NULL);

    CHECK_INT(got.status, 200);
    CHECK_STR(field(&got, "Content-Type"), "application/octet-stream");
    CHECK_INT(got.body_len, BIG);
    check_octets(got.body, 0, BIG);
    answer_free(&got);
    got = ask(s, "GET", "/big.bin", "Range: bytes=1000000-2999999\r\n");
    CHECK_INT(got.status, 206);
    CHECK_INT(got.body_len, 2000000);
    check_octets(got.body, 1000000, 2000000);
    answer_free(&got);
}

/* Answers come in the order of the requests, whichever file is slower to open or to send. */
static void pipelined(site *s) {
    int fd = harness_connect(s->port);
    size_t size;

    harness_send_str(fd, "GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n"
                         "GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n"
                         "HEAD /big.bin HTTP/1.1\r\nHost: x\r\n\r\n"
                         "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
                         "GET /dir/b.css HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    char *all = harness_recv_until_eof(fd, &size);
    close(fd);
    char *at = strstr(all, "\r\n\r\n") + 4;
    CHECK(size > BIG + 500);
    check_octets(at, 0, BIG);
    at += BIG;
    CHECK(strncmp(at, "HTTP/1.1 200 ", 13) == 0);
    at = strstr(at, "\r\n\r\n") + 4;
    CHECK(strncmp(at, "0123456789HTTP/1.1 200 ", 23) == 0);
    at = strstr(at, "\r\n\r\n") + 4;
    CHECK(strncmp(at, "HTTP/1.1 404 ", 13) == 0);
    at = strstr(at, "HTTP/1.1 200 ");
    CHECK(at != NULL);
    CHECK_STR(strstr(at, "\r\n\r\n") + 4, "b{}");
    free(all);
}

TEST(big_and_pipelined) {
    site s;

    site_make(&s);
    site_big_file(&s, "root/big.bin", BIG);
    for (int way = 0; way < SITE_WAYS; way++) {
        site_serve(&s, way, big_files);
        site_serve(&s, way, pipelined);
    }
    site_remove(&s);
}

/* Clients side by side, so that what waits for a worker is of many requests. */
static void *keep_asking(void *arg) {
    const site *s = arg;

    for (int i = 0; i < (harness_is_slow() ? 10 : 50); i++) {
        check_body(s, "/a.txt", NULL, 200, "0123456789");
        check_body(s, "/dir/b.css", NULL, 200, "b{}");
        check_status(s, "GET", "/nothing", NULL, 404);
    }
    return NULL;
}
static void many_clients(site *s) {
    pthread_t threads[8];

    for (int i = 0; i < 8; i++) threads[i] = harness_thread(keep_asking, s);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
}
TEST(many_at_once) { with_every_way(many_clients); }
