/* SPDX-License-Identifier: MIT
 *
 * The table of a router: which patterns and methods are taken, which route a path finds, whatever the
 * order of adding. What happens to a request then is in test_http_router.c.
 */
#include "harness.h"
#include "random.h"

#include <rondo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/router/router.h"

static void handler(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request, (void)response, (void)arg;
}

static rondo_http_router *new_router(void) {
    rondo_http_router *router = rondo_http_router_new();
    CHECK(router != NULL);
    return router;
}

static int add(rondo_http_router *router, const char *method, const char *pattern) {
    return rondo_http_router_add(router, method, pattern, handler, NULL);
}

static rondo__match find(const rondo_http_router *router, const char *method, const char *path) {
    rondo__match match;
    /* In memory of its own, with what would make an escape of a cut one behind its end. */
    size_t len = strlen(path);
    char *copy = malloc(len + 2);
    memcpy(copy, path, len);
    memcpy(copy + len, "41", 2);
    rondo__match_find(router, rondo_slice_text(method), rondo_slice_of(copy, len), &match);
    for (size_t i = 0; i < match.count; i++)
        match.values[i].data = path + (match.values[i].data - copy);
    free(copy);
    return match;
}

/* The pattern found, or the status. */
static const char *found(const rondo_http_router *router, const char *method, const char *path) {
    static char text[64];
    rondo__match match = find(router, method, path);
    if (match.route) return match.route->pattern;
    snprintf(text, sizeof text, "%d", match.outcome);
    return text;
}

/* ---- patterns ---- */

TEST(patterns_that_are_taken) {
    static const char *const good[] = {
        "/",
        "/a",
        "/a/",
        "/a/b",
        "/:id",
        "/a/:id/b",
        "/*",
        "/a/*",
        "/:a/:b/*",
        "/a:b/c",
        "/a%20b",
        "/a b",
        "/caf\xc3\xa9",
        "/.hidden",
        "/...",
        "/a.b",
        "/x/:under_scor3",
        "/-._~!$&'()+,;=@",
    };
    rondo_http_router *router = new_router();
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (add(router, "GET", good[i]) != 0) FAIL("'%s' is refused", good[i]);
    rondo_http_router_free(router);
}

TEST(patterns_that_are_refused) {
    static const char *const bad[] = {
        "",       "a",     "a/b",   "*",      ":id",   "//",        "//a",      "/a//b",
        "/a//",   "/:",    "/:/a",  "/:a-b",  "/:a.b", "/:caf\xc3", "/*/a",     "/*/",
        "/a*",    "/*a",   "/**",   "/a?b",   "/a#b",  "/.",        "/..",      "/../a",
        "/a/./b", "/a/..", "/a\nb", "/a\x7f", "/\t",   "/:a/:a",    "/:a/x/:a", "/:a/:b/:a",
    };
    rondo_http_router *router = new_router();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (add(router, "GET", bad[i]) != RONDO_EINVAL) FAIL("'%s' is taken", bad[i]);
        if (rondo_http_router_mount(router, bad[i], handler, NULL) != RONDO_EINVAL)
            FAIL("'%s' is mounted", bad[i]);
    }
    CHECK_INT(rondo_http_router_mount(router, "/a/*", handler, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_http_router_mount(router, "/*", handler, NULL), RONDO_EINVAL);
    /* Nothing of all this has left anything to be found. */
    CHECK_STR(found(router, "GET", "/a"), "404");
    CHECK_STR(found(router, "GET", "/a/x"), "404");
    CHECK_STR(found(router, "OPTIONS", "*"), "204");
    rondo_http_router_free(router);
}

TEST(methods_that_are_taken_and_refused) {
    rondo_http_router *router = new_router();
    CHECK_INT(add(router, "GET", "/"), 0);
    CHECK_INT(add(router, "M-SEARCH", "/"), 0);
    CHECK_INT(add(router, "get", "/"), 0); /* another method than GET: RFC 9110 section 9.1 */
    CHECK_INT(add(router, "*", "/"), 0);
    CHECK_INT(add(router, "", "/x"), RONDO_EINVAL);
    CHECK_INT(add(router, "GET ", "/x"), RONDO_EINVAL);
    CHECK_INT(add(router, "GET,POST", "/x"), RONDO_EINVAL);
    CHECK_INT(add(router, "G\nT", "/x"), RONDO_EINVAL);
    CHECK_INT(add(router, "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG", "/x"), RONDO_EINVAL);
    CHECK_STR(found(router, "GET", "/x"), "404");
    CHECK_INT(find(router, "get", "/").route->method, 16);
    CHECK_INT(find(router, "Get", "/").route->method, RONDO__ANY_METHOD);
    rondo_http_router_free(router);
}

TEST(the_same_route_twice_is_refused) {
    rondo_http_router *router = new_router();
    CHECK_INT(add(router, "GET", "/notes/:id"), 0);
    CHECK_INT(add(router, "GET", "/notes/:id"), RONDO_EEXIST);
    CHECK_INT(add(router, "GET", "/notes/:name"), RONDO_EEXIST);
    CHECK_INT(add(router, "PUT", "/notes/:name"), 0);
    CHECK_INT(add(router, "GET", "/notes/:name/x"), 0);
    CHECK_INT(add(router, "GET", "/notes"), 0);
    CHECK_INT(add(router, "GET", "/notes"), RONDO_EEXIST);
    CHECK_INT(add(router, "*", "/notes"), 0);
    CHECK_INT(add(router, "*", "/notes"), RONDO_EEXIST);
    CHECK_INT(add(router, "GET", "/notes/"), 0);
    CHECK_INT(add(router, "*", "/files/*"), 0);
    CHECK_INT(rondo_http_router_mount(router, "/files", handler, NULL), RONDO_EEXIST);
    CHECK_INT(rondo_http_router_mount(router, "/files/", handler, NULL), RONDO_EEXIST);
    CHECK_INT(rondo_http_router_mount(router, "/notes", handler, NULL), RONDO_EEXIST);
    CHECK_STR(found(router, "GET", "/notes/a/b"), "404"); /* that mount has left nothing */
    CHECK_INT(rondo_http_router_mount(router, "/notes/", handler, NULL), 0);
    CHECK_INT(rondo_http_router_mount(router, "/api", handler, NULL), 0);
    CHECK_INT(rondo_http_router_mount(router, "/api", handler, NULL), RONDO_EEXIST);
    CHECK_INT(add(router, "*", "/api"), RONDO_EEXIST);
    CHECK_INT(add(router, "*", "/api/*"), RONDO_EEXIST);
    CHECK_INT(add(router, "GET", "/api"), 0);
    CHECK_INT(add(router, "GET", "/api/*"), 0);
    rondo_http_router_free(router);
}

/* text, `count` times, between a head and a tail. */
static char *repeat(const char *head, const char *text, int count, const char *tail) {
    char *all = malloc(strlen(head) + strlen(text) * (size_t)count + strlen(tail) + 1);
    strcpy(all, head);
    char *at = all + strlen(head);
    for (int i = 0; i < count; i++, at += strlen(text)) strcpy(at, text);
    strcpy(at, tail);
    return all;
}

static void check_bound(rondo_http_router *router, char *pattern, int result) {
    CHECK_INT(add(router, "GET", pattern), result);
    if (result == 0) CHECK_STR(found(router, "GET", pattern), pattern);
    free(pattern);
}

TEST(bounds_of_patterns) {
    rondo_http_router *router = new_router();
    check_bound(router, repeat("", "/a", 32, ""), 0);
    check_bound(router, repeat("", "/a", 33, ""), RONDO_ENOBUFS);
    check_bound(router, repeat("", "/a", 31, "/*"), 0);
    check_bound(router, repeat("", "/a", 32, "/*"), RONDO_ENOBUFS);
    check_bound(router, repeat("/", "b", 255, ""), 0);
    check_bound(router, repeat("/", "b", 256, ""), RONDO_ENOBUFS);
    check_bound(router, repeat("/:", "c", 1022, ""), 0);
    check_bound(router, repeat("/:", "c", 1023, ""), RONDO_ENOBUFS);
    check_bound(router, repeat("", "/:a/:b/:c/:d/:e/:f/:g", 1, "/:h"), 0);
    check_bound(router, repeat("", "/:a/:b/:c/:d/:e/:f/:g", 1, "/:h/:i"), RONDO_ENOBUFS);
    check_bound(router, repeat("/q", "/:a/:b/:c/:d/:e/:f/:g", 1, "/*"), 0);
    check_bound(router, repeat("/q", "/:a/:b/:c/:d/:e/:f/:g/:h", 1, "/*"), RONDO_ENOBUFS);
    char *deep = repeat("", "/m", 32, "");
    CHECK_INT(rondo_http_router_mount(router, deep, handler, NULL), RONDO_ENOBUFS);
    CHECK_INT(rondo_http_router_mount(router, deep + 2, handler, NULL), 0);
    free(deep);
    rondo_http_router_free(router);
}

TEST(bounds_of_methods_and_middlewares) {
    rondo_http_router *router = new_router();
    char method[16];
    for (int i = 3; i < RONDO_HTTP_ROUTER_METHODS; i++) {
        snprintf(method, sizeof method, "M%d", i);
        CHECK_INT(add(router, method, "/"), 0);
    }
    CHECK_INT(add(router, "MORE", "/"), RONDO_ENOBUFS);
    CHECK_INT(add(router, "M5", "/other"), 0);
    CHECK_INT(add(router, "HEAD", "/other"), 0);
    CHECK_INT(add(router, "*", "/other"), 0);
    for (int i = 0; i < RONDO_HTTP_ROUTER_MIDDLEWARES; i++)
        CHECK_INT(rondo_http_router_use(router, handler, NULL), 0);
    CHECK_INT(rondo_http_router_use(router, handler, NULL), RONDO_ENOBUFS);
    rondo_http_router_free(router);
}

/* ---- matching ---- */

typedef struct want {
    const char *method, *path, *found;
} want;

static void check_all(const rondo_http_router *router, const want *wants, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *got = found(router, wants[i].method, wants[i].path);
        if (strcmp(got, wants[i].found) != 0)
            FAIL("%s %s found %s, not %s", wants[i].method, wants[i].path, got, wants[i].found);
    }
}
#define CHECK_ALL(router, wants) check_all(router, wants, sizeof(wants) / sizeof *(wants))

static const char *const shop[] = {
    "GET /",          "GET /notes",      "POST /notes",         "GET /notes/",
    "GET /notes/:id", "POST /notes/new", "GET /notes/:id/edit", "GET /notes/a/:x",
    "GET /files/*",   "* /any",          "HEAD /any",           "GET /x/:a/c",
    "GET /x/b/d",     "POST /x/*",       "GET /x/b/:z/e",       "HEAD /own",
    "GET /own",       "OPTIONS /own",
};

/* Adds them all, beginning anywhere and going on by a step that is coprime to their number. */
static rondo_http_router *open_shop(size_t from, size_t step) {
    rondo_http_router *router = new_router();
    size_t count = sizeof shop / sizeof *shop;
    for (size_t i = 0; i < count; i++) {
        char method[16], pattern[64];
        CHECK_INT(sscanf(shop[(from + i * step) % count], "%15s %63s", method, pattern), 2);
        CHECK_INT(add(router, method, pattern), 0);
    }
    return router;
}

TEST(precedence_does_not_depend_on_the_order_of_adding) {
    static const want wants[] = {
        {"GET", "/", "/"},
        {"HEAD", "/", "/"},
        {"POST", "/", "405"},
        {"OPTIONS", "/", "204"},
        {"GET", "/notes", "/notes"},
        {"DELETE", "/notes", "405"},
        {"GET", "/notes/", "/notes/"},
        {"GET", "/notes/7", "/notes/:id"},
        {"GET", "/notes/new", "/notes/:id"}, /* what is there by that name is for POST */
        {"POST", "/notes/new", "/notes/new"},
        {"PUT", "/notes/new", "405"},
        {"GET", "/notes/7/edit", "/notes/:id/edit"},
        {"GET", "/notes/a/edit", "/notes/a/:x"}, /* they differ at "a" first */
        {"GET", "/notes/a", "/notes/:id"},
        {"GET", "/notes//edit", "404"}, /* a parameter is not empty */
        {"GET", "/notes/7/", "404"},
        {"GET", "/notes/7/editor", "404"},
        {"GET", "/Notes", "404"},
        {"GET", "/files", "404"},
        {"GET", "/files/", "/files/*"},
        {"GET", "/files/a/b//c/", "/files/*"},
        {"DELETE", "/any", "/any"},
        {"OPTIONS", "/any", "/any"},
        {"GET", "/x/b/c", "/x/:a/c"}, /* back from a text that leads nowhere */
        {"GET", "/x/b/d", "/x/b/d"},
        {"GET", "/x/b/c/e", "/x/b/:z/e"},
        {"POST", "/x/b/d", "/x/*"}, /* back from a text without the method */
        {"GET", "/x/q", "405"},
        {"GET", "//", "404"},
        {"GET", "", "404"},
        {"GET", "notes", "404"},
        {"GET", "*", "404"},
        {"OPTIONS", "*", "204"},
        {"OPTIONS", "/nothing", "404"},
        {"UNHEARD", "/notes", "405"},
        {"UNHEARD", "/any", "/any"},
    };
    static const size_t steps[] = {1, 5, 7, 11, 13, 17};
    size_t count = sizeof shop / sizeof *shop;
    for (size_t from = 0; from < count; from++)
        for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
            rondo_http_router *router = open_shop(from, steps[k]);
            CHECK_ALL(router, wants);
            CHECK_INT(find(router, "HEAD", "/any").route->method, RONDO__HEAD);
            CHECK_INT(find(router, "GET", "/any").route->method, RONDO__ANY_METHOD);
            CHECK_INT(find(router, "HEAD", "/own").route->method, RONDO__HEAD);
            CHECK_INT(find(router, "OPTIONS", "/own").route->method, RONDO__OPTIONS);
            rondo_http_router_free(router);
        }
}

static void check_value(const rondo__match *match, size_t i, const char *value) {
    CHECK(i < match->count);
    CHECK_INT(match->values[i].len, strlen(value));
    CHECK_MEM(match->values[i].data, value, strlen(value));
}

TEST(values_are_those_of_the_way_taken) {
    rondo_http_router *router = new_router();
    CHECK_INT(add(router, "GET", "/:a/:b/x"), 0);
    CHECK_INT(add(router, "GET", "/:a/k/*"), 0);
    CHECK_INT(add(router, "GET", "/q/:b/:c/y"), 0);
    rondo__match match = find(router, "GET", "/q/k/x"); /* two other ways are tried before */
    CHECK_STR(match.route->pattern, "/:a/k/*");
    CHECK_INT(match.count, 1);
    check_value(&match, 0, "q");
    CHECK_INT(match.rest.len, 1);
    match = find(router, "GET", "/q/r/x");
    CHECK_STR(match.route->pattern, "/:a/:b/x");
    CHECK_INT(match.count, 2);
    check_value(&match, 0, "q");
    check_value(&match, 1, "r");
    match = find(router, "GET", "/q/r/s/y");
    check_value(&match, 0, "r");
    check_value(&match, 1, "s");
    match = find(router, "GET", "/q/r/s/z");
    CHECK_INT(match.outcome, 404);
    CHECK_INT(match.count, 0);
    rondo_http_router_free(router);
}

/* ---- escapes ---- */

TEST(escapes_are_decoded_once_segment_by_segment) {
    static const want wants[] = {
        {"GET", "/caf%C3%A9", "/caf\xc3\xa9"},
        {"GET", "/caf%c3%a9", "/caf\xc3\xa9"},
        {"GET", "/%6eotes", "/notes"},
        {"GET", "/%6E%6f%74%65%73", "/notes"},
        {"GET", "/%256eotes", "404"}, /* decoded once: that is "%6eotes" */
        {"GET", "/100%25", "/100%"},
        {"GET", "/100%2525", "404"},
        {"GET", "/a%2Fb", "404"}, /* no separator */
        {"GET", "/notes%2F7", "404"},
        {"GET", "/p/a%2Fb", "/p/:id"},
        {"GET", "/p/%2F", "/p/:id"},
        {"GET", "/p/%2e%2f%2e", "/p/:id"},
        {"GET", "/p/%c0%ae%c0%ae", "/p/:id"}, /* overlong dots are octets, and no dots */
        {"GET", "/p/%0a", "/p/:id"},
        {"GET", "/f/%41", "/f/*"},
        {"GET", "/p/...", "/p/:id"},
        {"GET", "/p/.a", "/p/:id"},
        {"GET", "/p/a..", "/p/:id"},
    };
    rondo_http_router *router = new_router();
    CHECK_INT(add(router, "GET", "/caf\xc3\xa9"), 0);
    CHECK_INT(add(router, "GET", "/notes"), 0);
    CHECK_INT(add(router, "GET", "/notes/7"), 0);
    CHECK_INT(add(router, "GET", "/a/b"), 0);
    CHECK_INT(add(router, "GET", "/100%"), 0);
    CHECK_INT(add(router, "GET", "/p/:id"), 0);
    CHECK_INT(add(router, "GET", "/f/*"), 0);
    CHECK_ALL(router, wants);
    rondo_http_router_free(router);
}

TEST(hostile_paths_are_400) {
    static const char *const bad[] = {
        "/%",          "/%4",           "/%4g",     "/%g4",      "/a%",
        "/a/%/b",      "/%zz/a",        "/%00",     "/a%00b",    "/.",
        "/..",         "/./a",          "/../a",    "/a/..",     "/a/../b",
        "/a/./b",      "/%2e",          "/%2E%2e",  "/.%2e/a",   "/%2e./a",
        "/a/%2e%2e/b", "/a/b/c/d/e/..", "/f/x/%00", "/f/x/../y", "/f/%",
        "/f/a/%4",     "/% 1",          "/%-1",     "/%+1",      "/%0x",
    };
    rondo_http_router *router = new_router();
    CHECK_INT(add(router, "GET", "/f/*"), 0);
    CHECK_INT(add(router, "GET", "/:a"), 0);
    CHECK_INT(rondo_http_router_mount(router, "/", handler, NULL), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (strcmp(found(router, "GET", bad[i]), "400") != 0) FAIL("'%s' is taken", bad[i]);
        if (strcmp(found(router, "OPTIONS", bad[i]), "400") != 0) FAIL("'%s' is taken", bad[i]);
    }
    rondo_http_router_free(router);
}

TEST(long_segments_are_compared_decoded_as_far_as_patterns_go) {
    rondo_http_router *router = new_router();
    char *plain = repeat("/", "k", 255, "");
    char *escaped = repeat("/", "%6b", 255, "");
    char *longer = repeat("/", "%6b", 256, "");
    char *longest = repeat("/", "%6b", 20000, "");
    CHECK_INT(add(router, "GET", plain), 0);
    CHECK_STR(found(router, "GET", plain), plain);
    CHECK_STR(found(router, "GET", escaped), plain);
    CHECK_STR(found(router, "GET", longer), "404");
    CHECK_STR(found(router, "GET", longest), "404");
    free(plain);
    free(escaped);
    free(longer);
    free(longest);
    rondo_http_router_free(router);
}

/* ---- mounts ---- */

TEST(mounts_take_what_is_beneath_them) {
    static const want wants[] = {
        {"GET", "/api", "/api"},
        {"PUT", "/api/", "/api"},
        {"PUT", "/api/a/b", "/api"},
        {"OPTIONS", "/api/a", "/api"},
        {"GET", "/apis", "404"},
        {"GET", "/static", "308"},
        {"POST", "/static", "308"},
        {"GET", "/static/", "/static/"},
        {"GET", "/static/x/y", "/static/"},
        {"GET", "/static/own", "/static/own"},
        {"POST", "/static/own", "/static/"},
        {"GET", "/static/own/x", "/static/"},
        {"GET", "/users/7", "/users/:id"},
        {"GET", "/users/7/", "/users/:id"},
        {"GET", "/users/7/posts/8", "/users/:id"},
        {"GET", "/users/me/x", "/users/:id"},
        {"GET", "/users/me", "/users/me"},
        {"GET", "/users/", "404"},
    };
    rondo_http_router *router = new_router();
    CHECK_INT(rondo_http_router_mount(router, "/api", handler, NULL), 0);
    CHECK_INT(rondo_http_router_mount(router, "/static/", handler, NULL), 0);
    CHECK_INT(rondo_http_router_mount(router, "/users/:id", handler, NULL), 0);
    CHECK_INT(add(router, "GET", "/static/own"), 0);
    CHECK_INT(add(router, "GET", "/users/me"), 0);
    CHECK_ALL(router, wants);
    rondo__match match = find(router, "GET", "/users/7/posts/8");
    check_value(&match, 0, "7");
    CHECK_INT(match.rest.len, 7);
    /* A route at the place itself goes before the redirect; one for the root takes the rest. */
    CHECK_INT(add(router, "GET", "/static"), 0);
    CHECK_STR(found(router, "GET", "/static"), "/static");
    CHECK_STR(found(router, "POST", "/static"), "308");
    CHECK_INT(rondo_http_router_mount(router, "/", handler, NULL), 0);
    CHECK_STR(found(router, "GET", "/apis"), "/");
    CHECK_STR(found(router, "GET", "/"), "/");
    CHECK_STR(found(router, "GET", "/users/"), "/");
    CHECK_STR(found(router, "GET", "/static"), "/static");
    rondo_http_router_free(router);
}

/* ---- against a matcher that looks at each pattern by itself ---- */

#define NAIVE_MOST 40

typedef struct naive {
    int count;
    struct {
        char method[8], pattern[64];
        bool mounted;
    } routes[NAIVE_MOST];
} naive;

/* The next segment of a path or pattern at *at, copied; false when there is none. */
static bool next_segment(const char **at, char *ret_segment) {
    if (**at != '/') return false;
    size_t len = strcspn(*at + 1, "/");
    memcpy(ret_segment, *at + 1, len);
    ret_segment[len] = '\0';
    *at += 1 + len;
    return true;
}

/* How the pattern takes the path: a letter for each segment, such that the better sorts first; ""
 * when it does not. */
static void naive_rank(const char *pattern, const char *path, char *ret_rank) {
    char p[64], s[64], *rank = ret_rank;
    while (next_segment(&pattern, p)) {
        if (strcmp(p, "*") == 0) {
            if (*path != '/') break;
            strcpy(rank, "r");
            return;
        }
        if (!next_segment(&path, s)) break;
        if (p[0] == ':' ? s[0] == '\0' : strcmp(p, s) != 0) break;
        *rank++ = p[0] == ':' ? 'p' : 'a';
        *rank = '\0';
        if (*pattern == '\0' && *path == '\0') return;
    }
    ret_rank[0] = '\0';
}

/* As one with three segments would say of a mount: the rest, or nothing. */
static void naive_mount_rank(const char *prefix, const char *path, char *ret_rank) {
    char with_rest[80];
    size_t len = strlen(prefix);
    bool slash = prefix[len - 1] == '/';
    snprintf(with_rest, sizeof with_rest, "%.*s/*", (int)(slash ? len - 1 : len), prefix);
    naive_rank(with_rest, path, ret_rank);
    if (ret_rank[0] == '\0' && !slash) naive_rank(prefix, path, ret_rank);
}

static int method_rank(const char *of_route, const char *method) {
    if (strcmp(of_route, method) == 0) return 0;
    if (strcmp(method, "HEAD") == 0 && strcmp(of_route, "GET") == 0) return 1;
    return strcmp(of_route, "*") == 0 ? 2 : 3;
}

/* The number of the route, or a negative status. */
static int naive_find(const naive *all, const char *method, const char *path) {
    char best[40] = "", rank[40];
    int found_at = -404;
    for (int i = 0; i < all->count; i++) {
        const char *pattern = all->routes[i].pattern;
        if (all->routes[i].mounted)
            naive_mount_rank(pattern, path, rank);
        else
            naive_rank(pattern, path, rank);
        if (rank[0] == '\0') continue;
        int how = method_rank(all->routes[i].method, method);
        if (how == 3) {
            if (found_at == -404) found_at = strcmp(method, "OPTIONS") == 0 ? -204 : -405;
            continue;
        }
        strcat(rank, how == 0 ? "0" : how == 1 ? "1" : "2");
        if (found_at < 0 || strcmp(rank, best) < 0) {
            found_at = i;
            strcpy(best, rank);
        }
    }
    return found_at;
}

/* Few texts, so that patterns and paths meet often. */
static void random_pattern(char *ret_text) {
    static const char *const parts[] = {"/a", "/b", "/ab", "/:x", "/:x", "/c"};
    size_t len = 0;
    for (unsigned i = 0, n = 1 + below(4); i < n; i++) {
        const char *part = parts[below(6)];
        if (part[1] == ':')
            len += (size_t)sprintf(ret_text + len, "/:x%u", i);
        else
            len += (size_t)sprintf(ret_text + len, "%s", part);
    }
    unsigned tail = below(8);
    if (tail < 2) strcpy(ret_text + len, tail == 0 ? "/*" : "/");
}

static void random_path(char *ret_text) {
    static const char *const parts[] = {"/a", "/b", "/ab", "/z", "/c", "/"};
    ret_text[0] = '\0';
    for (unsigned i = 0, n = 1 + below(5); i < n; i++) strcat(ret_text, parts[below(6)]);
}

static void add_random(rondo_http_router *router, naive *all) {
    static const char *const methods[] = {"GET", "POST", "*", "HEAD"};
    char pattern[64];
    random_pattern(pattern);
    const char *method = methods[below(4)];
    bool mounted = below(6) == 0 && pattern[strlen(pattern) - 1] != '*';
    uintptr_t number = (uintptr_t)all->count;
    int result = mounted ? rondo_http_router_mount(router, pattern, handler, (void *)number)
                         : rondo_http_router_add(router, method, pattern, handler, (void *)number);
    if (result == RONDO_EEXIST) return;
    CHECK_INT(result, 0);
    strcpy(all->routes[all->count].method, mounted ? "*" : method);
    strcpy(all->routes[all->count].pattern, pattern);
    all->routes[all->count++].mounted = mounted;
}

static void compare_with_naive(const rondo_http_router *router, const naive *all) {
    static const char *const methods[] = {"GET", "POST", "HEAD", "OPTIONS", "PUT"};
    char path[64];
    random_path(path);
    const char *method = methods[below(5)];
    rondo__match match = find(router, method, path);
    int want_number = naive_find(all, method, path);
    if (match.outcome == 308) return; /* the naive one knows nothing of these */
    int got = match.route ? (int)(uintptr_t)match.route->arg : -match.outcome;
    if (got != want_number)
        FAIL("%s %s found %d (%s), the naive one %d (%s)", method, path, got,
             match.route ? match.route->pattern : "", want_number,
             want_number >= 0 ? all->routes[want_number].pattern : "");
    for (size_t i = 0; i < match.count; i++) CHECK(match.values[i].len > 0);
}

TEST(random_tables_agree_with_a_naive_matcher) {
    int tables = harness_is_slow() ? 60 : 1500;
    for (int i = 0; i < tables; i++) {
        naive all = {0};
        rondo_http_router *router = new_router();
        random_begin((uint64_t)i);
        for (unsigned k = 0, n = 1 + below(NAIVE_MOST - 1); k < n; k++) add_random(router, &all);
        for (int k = 0; k < 200; k++) compare_with_naive(router, &all);
        rondo_http_router_free(router);
    }
}

/* ---- bounded cost ---- */

/* Every combination of a text and a parameter, to a depth of 7: a search that turned back without end
 * would enter each of them for each of the others. */
TEST(a_search_enters_each_place_at_most_once) {
    rondo_http_router *router = new_router();
    for (unsigned bits = 0; bits < 128; bits++) {
        char pattern[64] = "";
        for (unsigned i = 0; i < 7; i++)
            sprintf(pattern + strlen(pattern), bits >> i & 1 ? "/:p%u" : "/a", i);
        strcat(pattern, "/end");
        CHECK_INT(add(router, "GET", pattern), 0);
    }
    rondo__match match = find(router, "GET", "/a/a/a/a/a/a/a/none");
    CHECK_INT(match.outcome, 404);
    CHECK_INT(match.entered, 255); /* the whole tree of 8 levels but for its leaves */
    match = find(router, "GET", "/a/a/a/a/a/a/a/end");
    CHECK_INT(match.entered, 9);
    match = find(router, "GET", "/x/x/x/x/x/x/x/end");
    CHECK_INT(match.entered, 9);
    /* However long the path is, no more is entered. */
    char *path = repeat("", "/a", 4000, "");
    match = find(router, "GET", path);
    CHECK_INT(match.outcome, 404);
    CHECK_INT(match.entered, 255);
    free(path);
    rondo_http_router_free(router);
}

TEST(matching_allocates_nothing) {
    rondo_http_router *router = open_shop(0, 1);
    size_t before = harness_alloc_count();
    found(router, "GET", "/notes/%37/edit");
    found(router, "PUT", "/x/b/c/d/e");
    CHECK_INT(harness_alloc_count(), before);
    rondo_http_router_free(router);
}

TEST(many_routes_at_one_place_are_found) {
    rondo_http_router *router = new_router();
    char pattern[32];
    for (int i = 0; i < 500; i++) {
        snprintf(pattern, sizeof pattern, "/r%d/:id", i * 7919 % 500);
        CHECK_INT(add(router, "GET", pattern), 0);
    }
    for (int i = 0; i < 500; i++) {
        char path[32];
        snprintf(path, sizeof path, "/r%d/x", i);
        snprintf(pattern, sizeof pattern, "/r%d/:id", i);
        CHECK_STR(found(router, "GET", path), pattern);
    }
    rondo_http_router_free(router);
}

/* ---- memory ---- */

TEST(out_of_memory_adds_nothing) {
    for (long n = 0;; n++) {
        harness_fail_alloc_after(n);
        rondo_http_router *router = rondo_http_router_new();
        int results[4] = {0};
        if (router) {
            results[0] = add(router, "PATCH", "/a/:id");
            results[1] = add(router, "GET", "/a/b/*");
            results[2] = rondo_http_router_mount(router, "/m", handler, NULL);
            results[3] = rondo_http_router_mount(router, "/s/", handler, NULL);
        }
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        if (router) {
            CHECK_STR(found(router, "PATCH", "/a/1"), results[0] == 0 ? "/a/:id" : "404");
            CHECK_STR(found(router, "GET", "/a/b/c"), results[1] == 0 ? "/a/b/*" : "404");
            CHECK_STR(found(router, "GET", "/m"), results[2] == 0 ? "/m" : "404");
            CHECK_STR(found(router, "GET", "/m/x"), results[2] == 0 ? "/m" : "404");
            CHECK_STR(found(router, "GET", "/s/x"), results[3] == 0 ? "/s/" : "404");
            CHECK_STR(found(router, "GET", "/s"), results[3] == 0 ? "308" : "404");
            for (int i = 0; i < 4; i++) CHECK(results[i] == 0 || results[i] == RONDO_ENOMEM);
            /* What failed may be done again. */
            if (results[0]) CHECK_INT(add(router, "PATCH", "/a/:id"), 0);
            if (results[2]) CHECK_INT(rondo_http_router_mount(router, "/m", handler, NULL), 0);
            CHECK_STR(found(router, "PATCH", "/a/1"), "/a/:id");
            CHECK_STR(found(router, "GET", "/m/x"), "/m");
        }
        rondo_http_router_free(router);
        if (!failed) break;
        CHECK(n < 100);
    }
}

TEST_ABORTS(a_router_of_null, "rondo_http_router_add: the router is NULL") {
    add(NULL, "GET", "/");
}
TEST_ABORTS(a_callback_of_null, "rondo_http_router_add: the callback is NULL") {
    rondo_http_router_add(new_router(), "GET", "/", NULL, NULL);
}
TEST_ABORTS(a_middleware_of_null, "rondo_http_router_use: the callback is NULL") {
    rondo_http_router_use(new_router(), NULL, NULL);
}
TEST_ABORTS(a_mount_of_null, "rondo_http_router_mount: the callback is NULL") {
    rondo_http_router_mount(new_router(), "/", NULL, NULL);
}
