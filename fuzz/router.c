/* SPDX-License-Identifier: MIT
 *
 * Routes, against a matcher that is slow and plain. The first line of the input is a request, "GET
 * /path"; each further one adds a route, "POST /notes/:id". Of all patterns that the path fits the
 * matcher takes the one that is the most exact from the left, as http_router.h says.
 */
#include "fuzz.h"

#include "http/router/router.h"

enum { ROUTES = 16, SEGMENTS = 40, TEXT = 600 };

typedef struct route {
    char method[40], pattern[TEXT];
} route;

static route routes[ROUTES];
static size_t route_count;

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request, (void)response, (void)arg;
}

/* ---- the plain matcher ---- */

/* Cuts "/a/b/" into "a", "b" and "". */
static size_t cut(const char *path, char segments[SEGMENTS][TEXT]) {
    size_t count = 0;
    while (*path == '/' && count < SEGMENTS) {
        size_t len = strcspn(++path, "/");
        memcpy(segments[count], path, len);
        segments[count++][len] = '\0';
        path += len;
    }
    return count;
}

static bool decode(const char *from, char *ret_to) {
    size_t len = 0;
    for (; *from; from++) {
        unsigned byte = (unsigned char)*from;
        if (byte == '%') {
            char digits[3] = {from[1], from[1] ? from[2] : '\0', '\0'}, *end;
            if (!strchr("0123456789abcdefABCDEF", digits[0]) || !digits[0]) return false;
            byte = (unsigned)strtoul(digits, &end, 16);
            if (*end || !digits[1] || byte == 0) return false;
            from += 2;
        }
        ret_to[len++] = (char)byte;
    }
    ret_to[len] = '\0';
    return strcmp(ret_to, ".") != 0 && strcmp(ret_to, "..") != 0;
}

/* How exactly it fits: a letter for each segment, 'a' text, 'b' parameter, 'c' the rest; false if not. */
static bool fits(const char *pattern, char path[SEGMENTS][TEXT], size_t path_count, char *ret_how) {
    static char segments[SEGMENTS][TEXT];
    size_t count = cut(pattern, segments);
    for (size_t i = 0; i < count; i++) {
        if (i >= path_count) return false;
        if (strcmp(segments[i], "*") == 0) {
            strcpy(ret_how + i, "c");
            return true;
        }
        bool param = segments[i][0] == ':';
        if (param ? path[i][0] == '\0' : strcmp(segments[i], path[i]) != 0) return false;
        ret_how[i] = param ? 'b' : 'a';
        ret_how[i + 1] = '\0';
    }
    return count == path_count;
}

/* 3: the method itself, 2: GET for HEAD, 1: any, 0: not. */
static int takes(const route *r, const char *method) {
    if (strcmp(r->method, "*") == 0) return 1;
    if (strcmp(r->method, method) == 0) return 3;
    return strcmp(method, "HEAD") == 0 && strcmp(r->method, "GET") == 0 ? 2 : 0;
}

static const route *find(const char *method, char path[SEGMENTS][TEXT], size_t count,
                         bool *ret_any) {
    const route *best = NULL;
    char best_how[SEGMENTS + 1] = "", how[SEGMENTS + 1];
    int best_takes = 0;
    *ret_any = false;
    for (size_t i = 0; i < route_count; i++) {
        how[0] = '\0';
        if (!fits(routes[i].pattern, path, count, how)) continue;
        *ret_any = true;
        int some = takes(&routes[i], method), order = best ? strcmp(how, best_how) : -1;
        if (some == 0 || order > 0 || (order == 0 && some <= best_takes)) continue;
        best = &routes[i];
        best_takes = some;
        strcpy(best_how, how);
    }
    return best;
}

/* ---- both ---- */

static void compare(const rondo_http_router *router, const char *method, const char *path) {
    static char raw[SEGMENTS][TEXT], segments[SEGMENTS][TEXT];
    rondo__match match;
    bool any, good = true;
    size_t count = cut(path, raw);
    if (count == SEGMENTS || strcmp(path, "*") == 0) return;
    rondo__match_find(router, rondo_slice_text(method), rondo_slice_text(path), &match);
    for (size_t i = 0; i < count; i++) good &= decode(raw[i], segments[i]);
    const route *best = find(method, segments, count, &any);
    if (path[0] != '/') {
        MUST(!match.route && match.outcome == 404);
    } else if (!good) {
        MUST(!match.route && match.outcome == 400);
    } else if (best) {
        MUST(match.route && match.outcome == 200);
        MUST(match.route->pattern_len == strlen(best->pattern) &&
             memcmp(match.route->pattern, best->pattern, match.route->pattern_len) == 0);
        MUST(match.count <= RONDO_HTTP_ROUTER_PARAMS);
        for (size_t i = 0; i < match.count; i++)
            MUST(match.values[i].len > 0 &&
                 !memchr(match.values[i].data, '/', match.values[i].len));
    } else {
        MUST(!match.route);
        MUST(match.outcome == (!any ? 404 : strcmp(method, "OPTIONS") == 0 ? 204 : 405));
    }
}

/* "METHOD REST" in text; false if it is not. */
static bool split(char *text, char **ret_method, char **ret_rest) {
    char *space = strchr(text, ' ');
    if (!space || space == text || space - text >= 40 || strlen(space + 1) >= TEXT) return false;
    *space = '\0';
    *ret_method = text;
    *ret_rest = space + 1;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char text[4096];
    char *rest = text, *line, *method, *path, *other, *pattern;
    if (size >= sizeof text || memchr(data, 0, size)) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    line = strsep(&rest, "\n");
    if (!split(line, &method, &path)) return 0;
    rondo_http_router *router = rondo_http_router_new();
    MUST(router != NULL);
    for (route_count = 0; (line = strsep(&rest, "\n")) && route_count < ROUTES;) {
        if (!split(line, &other, &pattern)) continue;
        int status = rondo_http_router_add(router, other, pattern, on_request, NULL);
        MUST(status == 0 || status == RONDO_EINVAL || status == RONDO_EEXIST ||
             status == RONDO_ENOBUFS);
        if (status < 0) continue;
        strcpy(routes[route_count].method, other);
        strcpy(routes[route_count++].pattern, pattern);
        compare(router, method, path);
    }
    compare(router, method, path);
    rondo_http_router_free(router);
    return 0;
}
