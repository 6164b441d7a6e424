/* SPDX-License-Identifier: MIT
 *
 * One file as an answer (rondo_http_response_file(), _open_file()), several ranges of it, and the
 * options of a served directory: index, fallback, precompressed files, lists.
 */
#define _GNU_SOURCE
#include "http_site.h"

#include <errno.h>
#include <sys/time.h>

#include "faults.h"

/* ---- what the handler answers with ---- */

static const rondo_http_file_options *chosen_options;
static const char *chosen_path;
static int chosen_result;

static void answer_file(rondo_http_request *request, rondo_http_response *response, void *arg) {
    site *s = arg;

    (void)request;
    CHECK_INT(rondo_http_response_header(response, "X-Own", "yes"), 0);
    chosen_result = rondo_http_response_file(response, s->files->root, chosen_path, chosen_options);
    if (chosen_result == RONDO_EINVAL)
        CHECK_INT(rondo_http_response_reply(response, 500, NULL, rondo_slice_text("invalid")), 0);
}

static void with_site(void (*client)(site *), rondo_http_request_cb on_request) {
    site s;

    site_make(&s);
    s.on_request = on_request;
    site_serve(&s, 0, client);
    site_remove(&s);
}

/* What a request of that method and fields gets of a file; free with answer_free(). */
static answer ask_file(site *s, const char *path, const rondo_http_file_options *options,
                       const char *method, const char *fields) {
    chosen_path = path;
    chosen_options = options;
    return ask(s, method, "/whatever", fields);
}

static void one_file(site *s) {
    answer got = ask_file(s, "dir/b.css", NULL, "GET", NULL);
    char tag[512], fields[640];

    CHECK_INT(got.status, 200);
    CHECK_STR(got.body, "b{}");
    CHECK_STR(field(&got, "Content-Type"), "text/css; charset=utf-8");
    CHECK_STR(field(&got, "X-Own"), "yes");
    CHECK_STR(field(&got, "Cache-Control"), "");
    CHECK_STR(field(&got, "Content-Disposition"), "");
    CHECK_STR(field(&got, "Vary"), "");
    snprintf(tag, sizeof tag, "%s", field(&got, "ETag"));
    answer_free(&got);
    snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", tag);
    got = ask_file(s, "dir/b.css", NULL, "GET", fields);
    CHECK_INT(got.status, 304);
    CHECK_STR(field(&got, "ETag"), tag);
    answer_free(&got);
    got = ask_file(s, "a.txt", NULL, "GET", "Range: bytes=2-4\r\n");
    CHECK_INT(got.status, 206);
    CHECK_STR(got.body, "234");
    answer_free(&got);
    got = ask_file(s, "a.txt", NULL, "HEAD", NULL);
    CHECK_INT(got.status, 200);
    CHECK_STR(field(&got, "Content-Length"), "10");
    CHECK_INT(got.body_len, 0);
    answer_free(&got);
    /* What was asked for was not the file, so what it says of versions and ranges is not of it. */
    snprintf(fields, sizeof fields,
             "Content-Length: 0\r\nRange: bytes=2-4\r\nIf-None-Match: *\r\n");
    got = ask_file(s, "a.txt", NULL, "POST", fields);
    CHECK_INT(got.status, 200);
    CHECK_STR(got.body, "0123456789");
    answer_free(&got);
}
TEST(a_handler_answers_with_a_file) { with_site(one_file, answer_file); }

static void refused(site *s) {
    static const struct {
        const char *path;
        int status;
    } table[] = {
        {"nothing", 404},      {"dir", 404},      {"dir/", 404},          {"../secret.txt", 404},
        {"dir/../a.txt", 200}, {".hidden", 200}, /* the handler's choice */
        {"leads-out", 404},    {"leads-in", 200}, {"nothing/a.txt", 404}, {"closed.txt", 403},
    };
    bool walks = s->files->how == RONDO__FILES_WALK || geteuid() == 0;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (walks && (strcmp(table[i].path, "closed.txt") == 0)) continue; /* root may read all */
        if (s->files->how == RONDO__FILES_WALK && table[i].status == 200 && i != 5) continue;
        answer got = ask_file(s, table[i].path, NULL, "GET", NULL);
        if (got.status != table[i].status) FAIL("%s gave %d", table[i].path, got.status);
        CHECK_STR(field(&got, "Location"), "");
        answer_free(&got);
    }
    answer got = ask_file(s, "", NULL, "GET", NULL);
    CHECK_INT(chosen_result, RONDO_EINVAL);
    answer_free(&got);
    got = ask_file(s, "/etc/hostname", NULL, "GET", NULL);
    CHECK_INT(chosen_result, RONDO_EINVAL);
    answer_free(&got);
}
TEST(a_file_that_cannot_be_had_is_refused) {
    site s;

    site_make(&s);
    site_link(&s, "../secret.txt", "root/leads-out");
    site_link(&s, "dir/b.css", "root/leads-in");
    site_file(&s, "root/closed.txt", "x");
    CHECK_INT(chmod(site_path(&s, "root/closed.txt"), 0), 0);
    s.on_request = answer_file;
    site_serve(&s, 0, refused);
    site_remove(&s);
}

static void with_options(site *s) {
    rondo_http_file_options options = {.type = "application/x-invoice",
                                       .attachment = "M\xc3\xbcller \"&\" 50%/S\\hne.pdf",
                                       .cache_control = "private, max-age=60"};
    answer got = ask_file(s, "a.txt", &options, "GET", NULL);

    CHECK_INT(got.status, 200);
    CHECK_STR(field(&got, "Content-Type"), "application/x-invoice");
    CHECK_STR(field(&got, "Cache-Control"), "private, max-age=60");
    CHECK_STR(field(&got, "Content-Disposition"),
              "attachment; filename=\"M__ller _&_ 50__S_hne.pdf\"; "
              "filename*=UTF-8''M%C3%BCller%20%22&%22%2050%25_S_hne.pdf");
    answer_free(&got);
    options = (rondo_http_file_options){.attachment = "plain name.txt"};
    got = ask_file(s, "a.txt", &options, "GET", NULL);
    CHECK_STR(field(&got, "Content-Disposition"), "attachment; filename=\"plain name.txt\"");
    answer_free(&got);
    options = (rondo_http_file_options){.attachment = ""};
    got = ask_file(s, "a.txt", &options, "GET", NULL);
    CHECK_STR(field(&got, "Content-Disposition"), "attachment");
    answer_free(&got);
    /* Not with an answer that is not the file. */
    options.cache_control = "max-age=60";
    got = ask_file(s, "nothing", &options, "GET", NULL);
    CHECK_INT(got.status, 404);
    CHECK_STR(field(&got, "Content-Disposition"), "");
    CHECK_STR(field(&got, "Cache-Control"), "");
    answer_free(&got);
}
TEST(options_of_a_file) { with_site(with_options, answer_file); }

static void bad_options(site *s) {
    static char name[257];
    memset(name, 'x', 256);
    const rondo_http_file_options table[] = {
        {.type = "text/plain\r\nX: y"},       {.cache_control = "a\nb"}, {.attachment = "a\nb"},
        {.attachment = "a\r\nSet-Cookie: x"}, {.attachment = "a\x7f"},   {.attachment = name},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        answer got = ask_file(s, "a.txt", &table[i], "GET", NULL);
        CHECK_INT(chosen_result, RONDO_EINVAL);
        CHECK_INT(got.status, 500);
        answer_free(&got);
    }
    rondo_http_file_options longest = {.attachment = name + 1};
    memset(name, '\xff', 256);
    answer got = ask_file(s, "a.txt", &longest, "GET", NULL);
    CHECK_INT(got.status, 200);
    CHECK(strstr(got.head, "%FF%FF%FF\r\n") != NULL);
    answer_free(&got);
}
TEST(options_that_are_no_fields) { with_site(bad_options, answer_file); }

/* ---- a descriptor ---- */

static void answer_open(rondo_http_request *request, rondo_http_response *response, void *arg) {
    site *s = arg;
    rondo_slice path = rondo_http_request_path(request);
    bool own = path.len > 1 && path.data[1] == 'o';
    int fd = openat(s->files->root, "a.txt", O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0);
    CHECK_INT(rondo_http_response_open_file(response, -1, false, NULL, NULL), RONDO_EBADF);
    CHECK_INT(rondo_http_response_open_file(response, s->files->root, false, NULL, NULL),
              RONDO_EINVAL);
    rondo_http_file_options bad = {.type = "\n"};
    int spare = dup(fd);
    CHECK_INT(rondo_http_response_open_file(response, spare, true, NULL, &bad), RONDO_EINVAL);
    CHECK_INT(fcntl(spare, F_GETFD), -1); /* it was closed all the same */
    CHECK_INT(rondo_http_response_open_file(response, fd, own, "x/y.json", NULL), 0);
    spare = dup(s->files->root);
    CHECK_INT(rondo_http_response_open_file(response, spare, true, "x", NULL), RONDO_EBUSY);
    if (!own) close(fd);
}
static void ask_open(site *s) {
    for (int i = 0; i < 2; i++) {
        const char *target = i ? "/own" : "/lent";
        answer got = ask(s, "GET", target, NULL);
        CHECK_INT(got.status, 200);
        CHECK_STR(got.body, "0123456789");
        CHECK_STR(field(&got, "Content-Type"), "application/json");
        answer_free(&got);
        check_body(s, target, "Range: bytes=2-4\r\n", 206, "234");
        check_status(s, "GET", target, "Range: bytes=10-\r\n", 416);
        check_status(s, "GET", target, "If-None-Match: *\r\n", 304);
        check_status(s, "GET", target, "If-Match: \"x\"\r\n", 412);
        check_status(s, "HEAD", target, NULL, 200);
    }
}
TEST(a_handler_answers_with_an_open_file) { with_site(ask_open, answer_open); }

/* ---- several ranges ---- */

/* Takes a multipart body apart (RFC 2046 section 5.1.1) and puts the parts into ret_text as
 * "offset-last:type " while their octets are compared with the file's. */
static void check_parts(const answer *got, const char *want, size_t size) {
    char boundary[128], text[1024] = "";
    const char *type = field(got, "Content-Type");
    static const char start[] = "multipart/byteranges; boundary=";

    CHECK(strncmp(type, start, strlen(start)) == 0);
    int len = snprintf(boundary, sizeof boundary, "\r\n--%s", type + strlen(start));
    CHECK(len > 20 && len < 80);
    CHECK_INT(atoll(field(got, "Content-Length")), got->body_len);
    const char *at = got->body, *end = got->body + got->body_len;
    for (;;) {
        unsigned long long first, last, all;
        char part_type[64];
        CHECK((size_t)(end - at) >= (size_t)len && memcmp(at, boundary, (size_t)len) == 0);
        at += len;
        if (memcmp(at, "--\r\n", 4) == 0) break;
        CHECK_INT(sscanf(at,
                         "\r\nContent-Type: %63[^\r]\r\nContent-Range: bytes %llu-%llu/%llu\r\n",
                         part_type, &first, &last, &all),
                  4);
        CHECK_INT(all, size);
        at = strstr(at, "\r\n\r\n") + 4;
        CHECK(first <= last && last < size && last - first < (size_t)(end - at));
        for (size_t i = first; i <= last; i++)
            if ((unsigned char)at[i - first] != site_octet(i)) FAIL("octet %zu is wrong", i);
        at += last - first + 1;
        snprintf(text + strlen(text), sizeof text - strlen(text), "%llu-%llu:%s ", first, last,
                 part_type);
    }
    CHECK_INT(end - at, 4);
    CHECK_STR(text, want);
}

static void ask_parts(site *s) {
    answer got = ask(s, "GET", "/big.json", "Range: bytes=0-0,-1\r\n");

    CHECK_INT(got.status, 206);
    CHECK_STR(field(&got, "Content-Range"), "");
    CHECK(field(&got, "ETag")[0] != '\0');
    check_parts(&got, "0-0:application/json 2999999-2999999:application/json ", 3000000);
    answer_free(&got);
    got =
        ask(s, "GET", "/big.json", "Range: bytes=2000000-2999999, 0-1234567, 1500000-1500000\r\n");
    check_parts(&got,
                "2000000-2999999:application/json 0-1234567:application/json "
                "1500000-1500000:application/json ",
                3000000);
    answer_free(&got);
    got = ask(s, "HEAD", "/big.json", "Range: bytes=0-0,-1\r\n");
    CHECK_INT(got.status, 200);
    answer_free(&got);
    got = ask(s, "GET", "/big.json", "Range: bytes=0-,-1\r\n");
    CHECK_INT(got.status, 206); /* one is left */
    CHECK_STR(field(&got, "Content-Range"), "bytes 0-2999999/3000000");
    CHECK_INT(got.body_len, 3000000);
    answer_free(&got);
    got = ask(s, "GET", "/big.json", "Range: bytes=0-0,-1\r\nIf-Range: \"x\"\r\n");
    CHECK_INT(got.status, 200);
    answer_free(&got);
    /* Two answers never have the same boundary. */
    got = ask(s, "GET", "/big.json", "Range: bytes=0-0,-1\r\n");
    answer other = ask(s, "GET", "/big.json", "Range: bytes=0-0,-1\r\n");
    char one[512];
    snprintf(one, sizeof one, "%s", field(&got, "Content-Type"));
    CHECK(strcmp(one, field(&other, "Content-Type")) != 0);
    answer_free(&got);
    answer_free(&other);
}
TEST(several_ranges_in_one_answer) {
    site s;

    site_make(&s);
    site_big_file(&s, "root/big.json", 3000000);
    for (int way = 0; way < SITE_WAYS; way++) site_serve(&s, way, ask_parts);
    site_remove(&s);
}

/* Parts that wait are not in memory, so a bound on what is queued does not count against them. */
static void serve_with_a_small_queue(rondo_http_request *request, rondo_http_response *response,
                                     void *arg) {
    site *s = arg;

    rondo_http_server_set_limits(s->server, &(rondo_http_limits){.response_queue_bytes = 65536});
    rondo_http_files_serve(request, response, s->files);
}
static void ask_large_parts(site *s) {
    answer got = ask(s, "GET", "/big.json", "Range: bytes=0-999999,2000000-2999999\r\n");
    CHECK_INT(got.status, 206);
    check_parts(&got, "0-999999:application/json 2000000-2999999:application/json ", 3000000);
    answer_free(&got);
}
TEST(several_large_ranges_with_a_small_queue) {
    site s;

    site_make(&s);
    s.on_request = serve_with_a_small_queue;
    site_big_file(&s, "root/big.json", 3000000);
    for (int way = 0; way < SITE_WAYS; way++) site_serve(&s, way, ask_large_parts);
    site_remove(&s);
}

/* Without a boundary there is no answer, and nothing is left of it. */
static void ask_without_luck(site *s) {
    answer got = ask(s, "GET", "/big.json", "Range: bytes=0-0,-1\r\n");
    CHECK_INT(got.status, 0);
    answer_free(&got);
    check_status(s, "GET", "/big.json", "Range: bytes=0-0\r\n", 206);
}
TEST(no_boundary_for_several_ranges) {
    site s;

    site_make(&s);
    site_big_file(&s, "root/big.json", 3000);
    faults_every(CALL_getrandom, 1, ENOSYS);
    site_serve(&s, 0, ask_without_luck);
    faults_clear();
    site_remove(&s);
}

/* ---- options of a directory ---- */

static rondo_http_files_options directory_options;

static void serve_with_options(rondo_http_request *request, rondo_http_response *response,
                               void *arg) {
    site *s = arg;

    CHECK_INT(rondo_http_files_set_options(s->files, &directory_options), 0);
    rondo_http_files_serve(request, response, s->files);
    /* A worker that has not begun yet needs them no more. */
    rondo_http_files_options other = {.index = "other", .fallback = "none"};
    CHECK_INT(rondo_http_files_set_options(s->files, &other), 0);
}

static void with_directory(const rondo_http_files_options *options, site *s,
                           void (*client)(site *)) {
    directory_options = *options;
    s->on_request = serve_with_options;
    for (int way = 0; way < SITE_WAYS; way++) site_serve(s, way, client);
}

static void ask_index(site *s) {
    check_body(s, "/", NULL, 200, "0123456789");
    check_status(s, "GET", "/dir/", NULL, 404);
    check_body(s, "/dir/index.html", NULL, 200, "dir index\n");
    answer got = ask(s, "GET", "/", NULL);
    CHECK_STR(field(&got, "Content-Type"), "text/plain; charset=utf-8");
    CHECK_STR(field(&got, "Cache-Control"), "no-cache");
    char fields[640];
    snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", field(&got, "ETag"));
    answer_free(&got);
    got = ask(s, "GET", "/", fields);
    CHECK_INT(got.status, 304);
    CHECK_STR(field(&got, "Cache-Control"), "no-cache");
    answer_free(&got);
}
static void ask_without_index(site *s) {
    check_status(s, "GET", "/", NULL, 404);
    check_status(s, "GET", "/dir/", NULL, 404);
    check_status(s, "GET", "/dir", NULL, 301);
    check_body(s, "/index.html", NULL, 200, "<h1>index</h1>\n");
}
TEST(another_index_or_none) {
    rondo_http_files_options options = {.index = "a.txt", .cache_control = "no-cache"};
    site s;

    site_make(&s);
    with_directory(&options, &s, ask_index);
    options.index = "";
    with_directory(&options, &s, ask_without_index);
    site_remove(&s);
}

static void ask_fallback(site *s) {
    check_body(s, "/users/42", NULL, 200, "<h1>index</h1>\n");
    check_body(s, "/users/v1.2/x", NULL, 200, "<h1>index</h1>\n");
    check_body(s, "/a.txt/below", NULL, 200, "<h1>index</h1>\n");
    check_body(s, "/empty/", NULL, 200, "<h1>index</h1>\n");
    check_body(s, "/a.txt", NULL, 200, "0123456789");
    check_status(s, "GET", "/missing.js", NULL, 404);
    check_status(s, "GET", "/users/missing.js", NULL, 404);
    check_status(s, "GET", "/dir", NULL, 301);
    check_status(s, "GET", "/../secret", NULL, 404);
    check_status(s, "POST", "/users/42", "Content-Length: 0\r\n", 405);
    answer got = ask(s, "HEAD", "/users/42", NULL);
    CHECK_INT(got.status, 200);
    CHECK_STR(field(&got, "Content-Type"), "text/html; charset=utf-8");
    answer_free(&got);
}
TEST(a_fallback_for_what_is_not_there) {
    rondo_http_files_options options = {.fallback = "index.html"};
    site s;

    site_make(&s);
    with_directory(&options, &s, ask_fallback);
    site_remove(&s);
}

TEST(options_of_a_directory_that_are_refused) {
    rondo_loop *loop = rondo_loop_new();
    rondo_http_files *files;
    const rondo_http_files_options table[] = {
        {.index = "a/b"}, {.index = ".x"},      {.index = ".."},
        {.fallback = ""}, {.fallback = "/etc"}, {.cache_control = "a\r\nb"},
    };

    CHECK_INT(rondo_http_files_new(loop, "/", &files), 0);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        CHECK_INT(rondo_http_files_set_options(files, &table[i]), RONDO_EINVAL);
    rondo_http_files_options good = {.index = "i", .fallback = "f", .cache_control = "c"};
    for (long n = 0;; n++) {
        harness_fail_alloc_after(n);
        int result = rondo_http_files_set_options(files, &good);
        if (!harness_alloc_failed()) {
            CHECK_INT(result, 0);
            break;
        }
        CHECK_INT(result, RONDO_ENOMEM);
        CHECK_STR(files->index, "index.html");
    }
    harness_fail_alloc_after(-1);
    CHECK_STR(files->index, "i");
    rondo_http_files_free(files);
    rondo_loop_free(loop);
}

/* ---- precompressed files ---- */

/* The body says which file it was. */
static void check_coding(site *s, const char *target, const char *accept, const char *body,
                         const char *coding) {
    char fields[256] = "";

    if (accept) snprintf(fields, sizeof fields, "Accept-Encoding: %s\r\n", accept);
    answer got = ask(s, "GET", target, fields);
    if (got.status != 200 || strcmp(got.body, body) != 0 ||
        strcmp(field(&got, "Content-Encoding"), coding) != 0)
        FAIL("%s with \"%s\" gave %d %s \"%s\"", target, accept ? accept : "none", got.status,
             field(&got, "Content-Encoding"), got.body);
    CHECK_STR(field(&got, "Vary"), "Accept-Encoding");
    answer_free(&got);
}

static void ask_coded(site *s) {
    char tag[512], other[512], fields[640];

    check_coding(s, "/p.js", NULL, "plain", "");
    check_coding(s, "/p.js", "", "plain", "");
    check_coding(s, "/p.js", "gzip", "as gzip", "gzip");
    check_coding(s, "/p.js", "x-gzip", "as gzip", "gzip");
    check_coding(s, "/p.js", "gzip, deflate, br", "as brotli", "br");
    check_coding(s, "/p.js", "gzip;q=1.0, br;q=0.5", "as gzip", "gzip");
    check_coding(s, "/p.js", "gzip;q=0, br;q=0", "plain", "");
    check_coding(s, "/p.js", "*", "as brotli", "br");
    check_coding(s, "/p.js", "identity, gzip;q=0.5", "plain", "");
    check_coding(s, "/p.js", "identity;q=0", "plain", ""); /* better than nothing */
    check_coding(s, "/p.js", "identity;q=0, gzip;q=0.1", "as gzip", "gzip");
    check_coding(s, "/old.js", "gzip", "newer", ""); /* the compressed one is older */
    check_coding(s, "/only.js", "gzip, br", "alone", "");
    check_coding(s, "/odd.js", "gzip", "odd", ""); /* odd.js.gz is a directory */
    check_status(s, "GET", "/lost.js", "Accept-Encoding: gzip\r\n", 404);
    check_coding(s, "/p.js.gz", "gzip", "as gzip", ""); /* asked for by its own name */
    check_coding(s, "/", "gzip", "index as gzip", "gzip");
    /* Each form has a tag of its own, and the type of the original. */
    answer got = ask(s, "GET", "/p.js", "Accept-Encoding: gzip\r\n");
    CHECK_STR(field(&got, "Content-Type"), "text/javascript; charset=utf-8");
    snprintf(tag, sizeof tag, "%s", field(&got, "ETag"));
    answer_free(&got);
    got = ask(s, "GET", "/p.js", NULL);
    snprintf(other, sizeof other, "%s", field(&got, "ETag"));
    answer_free(&got);
    CHECK(strcmp(tag, other) != 0);
    snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", tag);
    check_status(s, "GET", "/p.js", fields, 200);
    snprintf(fields, sizeof fields, "If-None-Match: %s\r\nAccept-Encoding: gzip\r\n", tag);
    got = ask(s, "GET", "/p.js", fields);
    CHECK_INT(got.status, 304);
    CHECK_STR(field(&got, "Vary"), "Accept-Encoding");
    answer_free(&got);
    check_body(s, "/p.js", "Range: bytes=3-\r\nAccept-Encoding: gzip\r\n", 206, "gzip");
}

static void set_age(const site *s, const char *name, int seconds) {
    struct timespec times[2];

    clock_gettime(CLOCK_REALTIME, &times[1]);
    times[1].tv_sec -= seconds;
    times[0] = times[1];
    CHECK_INT(utimensat(AT_FDCWD, site_path(s, "%s", name), times, 0), 0);
}

TEST(precompressed_files) {
    static const char *const files[][3] = {
        {"root/p.js", "plain", "100"},      {"root/p.js.gz", "as gzip", "100"},
        {"root/p.js.br", "as brotli", "9"}, {"root/old.js", "newer", "100"},
        {"root/old.js.gz", "older", "101"}, {"root/only.js", "alone", "100"},
        {"root/odd.js", "odd", "100"},      {"root/lost.js.gz", "lost", "100"},
        {"root/index.html", "x", "100"},    {"root/index.html.gz", "index as gzip", "100"},
    };
    rondo_http_files_options options = {.precompressed = true};
    struct timespec now[2];
    site s;

    site_make(&s);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        site_file(&s, files[i][0], files[i][1]);
        set_age(&s, files[i][0], atoi(files[i][2]));
    }
    /* Equally old, to the nanosecond. */
    clock_gettime(CLOCK_REALTIME, &now[0]);
    now[1] = now[0];
    CHECK_INT(utimensat(AT_FDCWD, site_path(&s, "root/p.js"), now, 0), 0);
    CHECK_INT(utimensat(AT_FDCWD, site_path(&s, "root/p.js.gz"), now, 0), 0);
    CHECK_INT(utimensat(AT_FDCWD, site_path(&s, "root/p.js.br"), now, 0), 0);
    CHECK_INT(mkdir(site_path(&s, "root/odd.js.gz"), 0755), 0);
    with_directory(&options, &s, ask_coded);
    site_remove(&s);
}

static void ask_one_coded(site *s) {
    rondo_http_file_options options = {.precompressed = true};
    answer got = ask_file(s, "a.txt", &options, "GET", "Accept-Encoding: gzip\r\n");

    CHECK_STR(got.body, "compressed");
    CHECK_STR(field(&got, "Content-Encoding"), "gzip");
    CHECK_STR(field(&got, "Content-Type"), "text/plain; charset=utf-8");
    answer_free(&got);
    got = ask_file(s, "a.txt", NULL, "GET", "Accept-Encoding: gzip\r\n");
    CHECK_STR(got.body, "0123456789");
    CHECK_STR(field(&got, "Vary"), "");
    answer_free(&got);
}
TEST(one_file_precompressed) {
    site s;

    site_make(&s);
    site_file(&s, "root/a.txt.gz", "compressed");
    s.on_request = answer_file;
    site_serve(&s, 0, ask_one_coded);
    site_remove(&s);
}

/* ---- lists ---- */

static void ask_list(site *s) {
    answer got = ask(s, "GET", "/list/", NULL);

    CHECK_INT(got.status, 200);
    CHECK_STR(field(&got, "Content-Type"), "text/html; charset=utf-8");
    CHECK_STR(field(&got, "X-Content-Type-Options"), "nosniff");
    CHECK(strstr(field(&got, "Content-Security-Policy"), "default-src 'none'") != NULL);
    CHECK(strstr(got.body, "<title>/list/</title>") != NULL);
    CHECK(strstr(got.body, "<a href=\"../\">") != NULL);
    CHECK(strstr(got.body, "hidden") == NULL);
    CHECK(strstr(got.body, "link") == NULL);
    CHECK(strstr(got.body, "pipe") == NULL);
    CHECK(strstr(got.body, "<script") == NULL);
    CHECK(strstr(got.body, "href=\"./%3Cscript%3E%22%27%26.txt\">&lt;script&gt;&quot;&#39;&amp;.txt"
                           "</a></td><td>3 B</td>") != NULL);
    CHECK(strstr(got.body, "href=\"./javascript%3Aalert%281%29\"") != NULL);
    CHECK(strstr(got.body, "href=\"./%C3%A4%20%25.txt\">\xc3\xa4 %.txt</a>") != NULL);
    CHECK(strstr(got.body, "</a></td><td>1.5 KiB</td>") != NULL);
    CHECK(strstr(got.body, ">2001-09-09 01:46</td>") != NULL);
    /* Directories first, then the bytes of the names. */
    static const char *const order[] = {"\"./Z/\"", "\"./y/\"", "\"./A\"", "\"./a\"", "\"./b\""};
    const char *at = got.body;
    for (size_t i = 0; i < 5; i++) {
        at = strstr(at, order[i]);
        if (!at) FAIL("%s is missing or in the wrong place", order[i]);
    }
    answer_free(&got);
    got = ask(s, "HEAD", "/list/", NULL);
    CHECK_INT(got.status, 200);
    CHECK_INT(got.body_len, 0);
    CHECK(atoi(field(&got, "Content-Length")) > 1000);
    answer_free(&got);
    check_body(s, "/", NULL, 200, "<h1>index</h1>\n"); /* there is an index */
    check_status(s, "GET", "/list", NULL, 301);
    check_status(s, "GET", "/nothing/", NULL, 404);
    check_status(s, "GET", "/a.txt/", NULL, 404);
    check_status(s, "GET", "/.private/", NULL, 404);
    check_status(s, "GET", "/out/", NULL, 404);
    got = ask(s, "GET", "/odd/", NULL); /* its index.html is a directory */
    CHECK_INT(got.status, 200);
    CHECK(strstr(got.body, "./index.html/") != NULL);
    answer_free(&got);
}
TEST(a_directory_is_listed) {
    static const char *const names[] = {
        "<script>\"'&.txt", "javascript:alert(1)", "\xc3\xa4 %.txt", "A", "a", "b", ".hidden"};
    rondo_http_files_options options = {.listing = true};
    struct timeval old[2] = {{1000000000, 0}, {1000000000, 0}};
    site s;

    site_make(&s);
    CHECK_INT(mkdir(site_path(&s, "root/list"), 0755), 0);
    CHECK_INT(mkdir(site_path(&s, "root/list/y"), 0755), 0);
    CHECK_INT(mkdir(site_path(&s, "root/list/Z"), 0755), 0);
    CHECK_INT(mkdir(site_path(&s, "root/.private"), 0755), 0);
    CHECK_INT(mkdir(site_path(&s, "root/odd"), 0755), 0);
    CHECK_INT(mkdir(site_path(&s, "root/odd/index.html"), 0755), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[128];
        snprintf(name, sizeof name, "root/list/%s", names[i]);
        site_file(&s, name, "abc");
    }
    site_big_file(&s, "root/list/half", 1536);
    CHECK_INT(utimes(site_path(&s, "root/list/half"), old), 0);
    site_link(&s, "a", "root/list/link");
    site_link(&s, "../outside", "root/out");
    CHECK_INT(mkfifo(site_path(&s, "root/list/pipe"), 0644), 0);
    with_directory(&options, &s, ask_list);
    site_remove(&s);
}

static void ask_long_list(site *s) {
    answer got = ask(s, "GET", "/many/", NULL);
    int rows = 0;

    CHECK_INT(got.status, 200);
    for (const char *at = got.body; (at = strstr(at, "<td><a href=\"./")); at++) rows++;
    CHECK_INT(rows, 10000);
    CHECK(strstr(got.body, "There are more files than are shown.") != NULL);
    answer_free(&got);
}
TEST(a_list_has_an_end) {
    rondo_http_files_options options = {.listing = true};
    site s;

    site_make(&s);
    CHECK_INT(mkdir(site_path(&s, "root/many"), 0755), 0);
    int dir = open(site_path(&s, "root/many"), O_RDONLY | O_DIRECTORY);
    CHECK_INT(mknodat(dir, "0", S_IFREG | 0644, 0), 0);
    for (int i = 1; i <= 10000; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        CHECK_INT(linkat(dir, "0", dir, name, 0), 0);
    }
    close(dir);
    directory_options = options;
    s.on_request = serve_with_options;
    site_serve(&s, 0, ask_long_list);
    site_remove(&s);
}
