/* SPDX-License-Identifier: MIT
 *
 * From a request target to a path below the root: nothing climbs, however it is written.
 */
#include "harness.h"

#include "http/files/files.h"

#include <rondo/error.h>

#include <stdio.h>
#include <string.h>

typedef struct path_case {
    const char *target;
    const char *path; /* NULL: refused with error */
    int error;
} path_case;

static const path_case cases[] = {
    /* ordinary ones */
    {"/", "", 0},
    {"/index.html", "index.html", 0},
    {"/a/b/c.txt", "a/b/c.txt", 0},
    {"/a/", "a/", 0},
    {"/a/b/", "a/b/", 0},
    {"/a?b=/../c", "a", 0},
    {"/?x", "", 0},
    {"/a/?", "a/", 0},
    {"/a%20b", "a b", 0},
    {"/%61%2E%74xt", "a.txt", 0},
    {"/a%3fb%23c", "a?b#c", 0},
    {"/a+b&c=d;e:f@g", "a+b&c=d;e:f@g", 0},
    {"/%C3%A4", "\xc3\xa4", 0},
    {"/%25", "%", 0},
    {"/a..b", "a..b", 0},
    {"/a.", "a.", 0},
    {"/a../b", "a../b", 0},
    {"/%0d%0aX", "\r\nX", 0},
    /* absolute-form */
    {"http://host/a", "a", 0},
    {"HTTP://host:80/a/", "a/", 0},
    {"https://host/a?b", "a", 0},
    {"http://host", "", 0},
    {"http://host?x/y", "", 0},
    {"http://host/../a", NULL, RONDO_ENOENT},
    {"http://host//a", NULL, RONDO_ENOENT},
    /* no target that names a file */
    {"", NULL, RONDO_EINVAL},
    {"*", NULL, RONDO_EINVAL},
    {"a", NULL, RONDO_EINVAL},
    {"host:80", NULL, RONDO_EINVAL},
    {"../etc/passwd", NULL, RONDO_EINVAL},
    {"..", NULL, RONDO_EINVAL},
    {"ftp://host/a", NULL, RONDO_EINVAL},
    {"file:///etc/passwd", NULL, RONDO_EINVAL},
    {"http:/a", NULL, RONDO_EINVAL},
    {"\\etc\\passwd", NULL, RONDO_EINVAL},
    /* ../../etc/passwd in every writing */
    {"/../../etc/passwd", NULL, RONDO_ENOENT},
    {"/..", NULL, RONDO_ENOENT},
    {"/../", NULL, RONDO_ENOENT},
    {"/a/../../etc/passwd", NULL, RONDO_ENOENT},
    {"/a/..", NULL, RONDO_ENOENT},
    {"/a/../b", NULL, RONDO_ENOENT},
    {"/%2e%2e/%2e%2e/etc/passwd", NULL, RONDO_ENOENT},
    {"/%2E%2E/etc/passwd", NULL, RONDO_ENOENT},
    {"/.%2e/etc/passwd", NULL, RONDO_ENOENT},
    {"/%2e./etc/passwd", NULL, RONDO_ENOENT},
    {"/a/%2e%2e", NULL, RONDO_ENOENT},
    {"/..%2f..%2fetc/passwd", NULL, RONDO_ENOENT},
    {"/..%2F..%2Fetc%2Fpasswd", NULL, RONDO_ENOENT},
    {"/%2e%2e%2f%2e%2e%2fetc%2fpasswd", NULL, RONDO_ENOENT},
    {"/a%2f..%2f..%2fetc/passwd", NULL, RONDO_ENOENT},
    {"/a%2fb", NULL, RONDO_ENOENT},
    {"/%2fetc/passwd", NULL, RONDO_ENOENT},
    {"/%2Fetc%2Fpasswd", NULL, RONDO_ENOENT},
    {"/a%2F", NULL, RONDO_ENOENT},
    {"/..\\..\\etc\\passwd", NULL, RONDO_ENOENT},
    {"/..%5c..%5cetc%5cpasswd", NULL, RONDO_ENOENT},
    {"/%2e%2e%5cetc", NULL, RONDO_ENOENT},
    {"/a\\..\\b", "a\\..\\b", 0}, /* one name with backslashes in it */
    {"/...", NULL, RONDO_ENOENT},
    {"/..;/etc/passwd", NULL, RONDO_ENOENT},
    {"/..%00/etc/passwd", NULL, RONDO_EINVAL},
    /* encoded twice: decoded once, so an odd name that does not exist */
    {"/%252e%252e/etc/passwd", "%2e%2e/etc/passwd", 0},
    {"/%252e%252e%252fetc", "%2e%2e%2fetc", 0},
    {"/%%32%65", NULL, RONDO_EINVAL},
    /* overlong UTF-8 and other disguises: octets of a name, never '.' or '/' */
    {"/%c0%ae%c0%ae/etc/passwd", "\xc0\xae\xc0\xae/etc/passwd", 0},
    {"/%c0%ae%c0%ae%c0%afetc",
     "\xc0\xae\xc0\xae\xc0\xaf"
     "etc",
     0},
    {"/%e0%80%ae%e0%80%ae/etc", "\xe0\x80\xae\xe0\x80\xae/etc", 0},
    {"/%uff0e%uff0e/etc", NULL, RONDO_EINVAL},
    {"/%ef%bc%8e%ef%bc%8e/etc", "\xef\xbc\x8e\xef\xbc\x8e/etc", 0},
    /* empty segments and single dots */
    {"//", NULL, RONDO_ENOENT},
    {"//etc/passwd", NULL, RONDO_ENOENT},
    {"//host/..", NULL, RONDO_ENOENT},
    {"/a//b", NULL, RONDO_ENOENT},
    {"/a//", NULL, RONDO_ENOENT},
    {"///", NULL, RONDO_ENOENT},
    {"/.", NULL, RONDO_ENOENT},
    {"/./", NULL, RONDO_ENOENT},
    {"/./a", NULL, RONDO_ENOENT},
    {"/a/./b", NULL, RONDO_ENOENT},
    {"/%2e/a", NULL, RONDO_ENOENT},
    /* dot files */
    {"/.git/config", NULL, RONDO_ENOENT},
    {"/.htpasswd", NULL, RONDO_ENOENT},
    {"/%2ehtpasswd", NULL, RONDO_ENOENT},
    {"/a/.b", NULL, RONDO_ENOENT},
    /* what no target may hold */
    {"/a%00", NULL, RONDO_EINVAL},
    {"/%00", NULL, RONDO_EINVAL},
    {"/a%00.html", NULL, RONDO_EINVAL},
    {"/a%", NULL, RONDO_EINVAL},
    {"/a%2", NULL, RONDO_EINVAL},
    {"/a%2/b", NULL, RONDO_EINVAL},
    {"/a%g0", NULL, RONDO_EINVAL},
    {"/a%0g", NULL, RONDO_EINVAL},
    {"/a%-1", NULL, RONDO_EINVAL},
    {"/a% 1", NULL, RONDO_EINVAL},
    {"/a b", NULL, RONDO_EINVAL},
    {"/a\tb", NULL, RONDO_EINVAL},
    {"/a\r\nb", NULL, RONDO_EINVAL},
    {"/a\x7f", NULL, RONDO_EINVAL},
    {"/a#b", NULL, RONDO_EINVAL},
    {"/../%00", NULL, RONDO_EINVAL}, /* broken wins over not found */
    {"//%zz", NULL, RONDO_EINVAL},
};

TEST(path_table) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[256] = "untouched";
        int result = rondo__http_path(rondo_slice_text(cases[i].target), path, sizeof path);
        if (cases[i].path == NULL) {
            if (result != cases[i].error)
                FAIL("%s gave %d (%s), should be %d", cases[i].target, result, path,
                     cases[i].error);
            continue;
        }
        if (result < 0)
            FAIL("%s gave %d, should be \"%s\"", cases[i].target, result, cases[i].path);
        CHECK_STR(path, cases[i].path);
        CHECK_INT(result, strlen(cases[i].path));
    }
}

TEST(path_does_not_read_behind_the_target) {
    char text[] = "/a%41/../b";

    for (size_t len = 0; len <= strlen(text); len++) {
        char copy[16], path[16];
        memset(copy, 'x', sizeof copy);
        memcpy(copy, text, len);
        int once = rondo__http_path(rondo_slice_of(copy, len), path, sizeof path);
        memset(copy + len, '1', sizeof copy - len);
        CHECK_INT(rondo__http_path(rondo_slice_of(copy, len), path, sizeof path), once);
    }
    char path[16];
    CHECK_INT(rondo__http_path(rondo_slice_of("/a\0b", 4), path, sizeof path), RONDO_EINVAL);
}

TEST(path_that_does_not_fit_is_not_found) {
    char target[64], path[64];

    memset(target, 'a', sizeof target);
    target[0] = '/';
    target[5] = '/';
    for (size_t size = 1; size < sizeof path; size++) {
        memset(path, '#', sizeof path);
        int result = rondo__http_path(rondo_slice_of(target, 20), path, size);
        CHECK_INT(result, size >= 21 ? 19 : RONDO_ENOENT);
        for (size_t i = size; i < sizeof path; i++) CHECK(path[i] == '#');
    }
}

/* Any octet twice in a segment: what comes out never climbs. */
TEST(path_of_any_octets_stays_below) {
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            char target[32], path[32];
            snprintf(target, sizeof target, "/x/%%%02x%%%02X/y", a, b);
            int len = rondo__http_path(rondo_slice_text(target), path, sizeof path);
            if (a == 0 || b == 0)
                CHECK_INT(len, RONDO_EINVAL);
            else if (a == '.' || a == '/' || b == '/')
                CHECK_INT(len, RONDO_ENOENT);
            else
                CHECK(len == 6 && path[2] == (char)a && path[3] == (char)b);
        }
    }
}

typedef struct location_case {
    const char *target, *location;
} location_case;

TEST(location_is_relative) {
    static const location_case table[] = {
        {"/a", "./a/"},
        {"/a/b", "./b/"},
        {"/a?x=1&y=/z", "./a/?x=1&y=/z"},
        {"/a%20b", "./a%20b/"},
        {"/a:b", "./a:b/"},
        {"/javascript:alert(1)", "./javascript:alert(1)/"},
        {"//evil.example", "./evil.example/"},
        {"/\\evil.example", "./%5Cevil.example/"},
        {"/\"<>\xff", "./%22%3C%3E%FF/"},
        {"http://host/a", "./a/"},
        {"https://evil.example/a?//b", "./a/?//b"},
        {"/a?\r\nX: y", "./a/?%0D%0AX:%20y"},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[128] = "";
        int len = rondo__http_path_location(rondo_slice_text(table[i].target), text, sizeof text);
        CHECK_STR(text, table[i].location);
        CHECK_INT(len, strlen(text));
    }
    char text[8];
    CHECK_INT(rondo__http_path_location(rondo_slice_text("/abcdefgh"), text, sizeof text),
              RONDO_ENOBUFS);
    CHECK_INT(rondo__http_path_location(rondo_slice_text("http://x"), text, sizeof text),
              RONDO_EINVAL);
}

TEST(types_by_ending) {
    CHECK(rondo__http_mime_sorted());
    CHECK_STR(rondo__http_mime("index.html"), "text/html; charset=utf-8");
    CHECK_STR(rondo__http_mime("a/b/STYLE.CSS"), "text/css; charset=utf-8");
    CHECK_STR(rondo__http_mime("x.min.js"), "text/javascript; charset=utf-8");
    CHECK_STR(rondo__http_mime("x.svg"), "image/svg+xml");
    CHECK_STR(rondo__http_mime("x.7z"), "application/x-7z-compressed");
    CHECK_STR(rondo__http_mime("x.zst"), "application/zstd");
    CHECK_STR(rondo__http_mime("x"), "application/octet-stream");
    CHECK_STR(rondo__http_mime(""), "application/octet-stream");
    CHECK_STR(rondo__http_mime("x."), "application/octet-stream");
    CHECK_STR(rondo__http_mime("html"), "application/octet-stream");
    CHECK_STR(rondo__http_mime("dir.html/x"), "application/octet-stream");
    CHECK_STR(rondo__http_mime("x.htmlx"), "application/octet-stream");
    CHECK_STR(rondo__http_mime("x.averyverylongendingindeed"), "application/octet-stream");
}
