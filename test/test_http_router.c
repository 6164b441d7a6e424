/* SPDX-License-Identifier: MIT
 *
 * Requests on their way through a router: what is answered, middlewares, mounts, and all that may
 * happen in between. Which route is found is in test_http_routes.c.
 */
#define _GNU_SOURCE
#include "http_peer.h"

#include <stdarg.h>

#include "http/server/shared.h"

/* ---- a site of routes ---- */

typedef struct site {
    web_host web;
    rondo_http_router *router, *inner;
    char log[1024]; /* what was called */
    rondo_http_request *held;
    rondo_http_response *held_response;
} site;

static site s;

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...) {
    va_list args;
    size_t len = strlen(s.log);
    va_start(args, format);
    vsnprintf(s.log + len, sizeof s.log - len, format, args);
    va_end(args);
}

static void open_site(void) {
    memset(&s, 0, sizeof s);
    s.router = rondo_http_router_new();
    s.inner = rondo_http_router_new();
    CHECK(s.router != NULL && s.inner != NULL);
    web_open(&s.web, rondo_http_router_serve, s.router, NULL);
}

static void close_site(void) {
    web_close(&s.web);
    rondo_http_router_free(s.router);
    rondo_http_router_free(s.inner);
}

static void add(rondo_http_router *router, const char *method, const char *pattern,
                rondo_http_request_cb cb, const char *arg) {
    CHECK_INT(rondo_http_router_add(router, method, pattern, cb, (void *)(uintptr_t)arg), 0);
}

static void mount(const char *prefix, rondo_http_request_cb cb, void *arg) {
    CHECK_INT(rondo_http_router_mount(s.router, prefix, cb, arg), 0);
}

static void use(rondo_http_router *router, rondo_http_request_cb cb, const char *arg) {
    CHECK_INT(rondo_http_router_use(router, cb, (void *)(uintptr_t)arg), 0);
}

/* One request on a connection of its own; its answer is in the peer, which is static. */
static web_peer *ask(const char *request_line, const char *rest) {
    static web_peer peer = {.fd = -1};
    char text[12000];
    peer_close(&peer);
    snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: a\r\n%s\r\n", request_line, rest);
    peer_ask(&s.web, &peer, text);
    return &peer;
}
static web_peer *get(const char *path) {
    char line[8000];
    snprintf(line, sizeof line, "GET %s", path);
    return ask(line, "");
}
static void done(web_peer *peer) { peer_close(peer); }
/* The body of the answer to a GET. */
static void check_get(const char *path, const char *body) {
    web_peer *peer = get(path);
    CHECK_STR(peer_body(peer), body);
    done(peer);
}
static void check_status(const char *line, const char *status) {
    web_peer *peer = ask(line, "");
    CHECK_STR(peer_statuses(peer), status);
    done(peer);
}

static void reply(rondo_http_response *response, const char *text) {
    CHECK_INT(rondo_http_response_reply(response, 200, "text/plain", rondo_slice_text(text)), 0);
}

/* Says its arg, the route, path, and the parameters id, b and "*". */
static void say(rondo_http_request *request, rondo_http_response *response, void *arg) {
    static const char *const names[] = {"id", "b", "*"};
    char text[8000];
    rondo_slice route = rondo_http_request_route(request), path = rondo_http_request_path(request);
    int len = snprintf(text, sizeof text, "%s %.*s %.*s", (const char *)arg, (int)route.len,
                       route.data, (int)path.len, path.data);
    for (int i = 0; i < 3; i++) {
        rondo_slice value = rondo_http_request_param(request, names[i]);
        if (value.data)
            len += snprintf(text + len, sizeof text - (size_t)len, " %s=%.*s", names[i],
                            (int)value.len, value.data);
    }
    note("%s;", (const char *)arg);
    reply(response, text);
}

/* ---- routes ---- */

TEST(a_route_answers_with_its_parameters) {
    open_site();
    add(s.router, "GET", "/notes/:id", say, "note");
    add(s.router, "GET", "/notes/:id/to/:b/*", say, "all");
    check_get("/notes/7", "note /notes/:id /notes/7 id=7");
    check_get("/notes/7?id=8", "note /notes/:id /notes/7 id=7");
    check_get("http://host/notes/7", "note /notes/:id /notes/7 id=7");
    check_get("/notes/a%2Fb%20c%2541", "note /notes/:id /notes/a%2Fb%20c%2541 id=a/b c%41");
    check_get("/notes/x%41/to/%42y/z%43/..a",
              "all /notes/:id/to/:b/* /notes/x%41/to/%42y/z%43/..a id=xA b=By *=z%43/..a");
    check_get("/notes/x/to/y/", "all /notes/:id/to/:b/* /notes/x/to/y/ id=x b=y *=");
    close_site();
}

TEST(refusals_and_what_is_answered_without_a_route) {
    open_site();
    add(s.router, "GET", "/notes", say, "list");
    add(s.router, "POST", "/notes", say, "add");
    add(s.router, "DELETE", "/notes", say, "drop");
    add(s.router, "PUT", "/only", say, "put");
    check_status("GET /nothing", "404");
    check_status("GET /notes/", "404");
    check_status("GET /%zz", "400");
    check_status("GET /notes/../notes", "400");
    check_status("OPTIONS /nothing", "404");
    web_peer *peer = ask("PATCH /notes", "");
    CHECK_STR(peer_statuses(peer), "405");
    CHECK(peer_has(peer, "\r\nAllow: GET, HEAD, OPTIONS, POST, DELETE\r\n"));
    peer = ask("OPTIONS /notes", "");
    CHECK_STR(peer_statuses(peer), "204");
    CHECK(peer_has(peer, "\r\nAllow: GET, HEAD, OPTIONS, POST, DELETE\r\n"));
    peer = ask("GET /only", "");
    CHECK_STR(peer_statuses(peer), "405");
    CHECK(peer_has(peer, "\r\nAllow: OPTIONS, PUT\r\n"));
    peer = ask("OPTIONS *", "");
    CHECK_STR(peer_statuses(peer), "204");
    CHECK(peer_has(peer, "\r\nAllow: GET, HEAD, OPTIONS, POST, DELETE, PUT\r\n"));
    done(peer);
    CHECK_STR(s.log, "");
    close_site();
}

TEST(head_is_given_to_the_get_route) {
    open_site();
    add(s.router, "GET", "/a", say, "get");
    add(s.router, "GET", "/b", say, "get");
    add(s.router, "HEAD", "/b", say, "head");
    web_peer *peer = ask("HEAD /a", "");
    CHECK_STR(peer_statuses(peer), "200");
    CHECK(peer_has(peer, "Content-Length: 9\r\n"));
    CHECK_STR(peer_body(peer), "");
    check_status("HEAD /b", "200");
    CHECK_STR(s.log, "get;head;");
    done(peer);
    close_site();
}

TEST(a_router_without_routes_and_requests_without_a_router) {
    open_site();
    check_status("GET /", "404");
    check_status("OPTIONS *", "204");
    close_site();
}

static void unrouted(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    CHECK(rondo_http_request_param(request, "id").data == NULL);
    CHECK(rondo_http_request_route(request).data == NULL);
    CHECK(rondo_http_request_data(request) == NULL);
    rondo_http_request_set_data(request, response);
    CHECK(rondo_http_request_data(request) == response);
    reply(response, "unrouted");
}

TEST(what_is_not_routed_has_no_parameters) {
    web_host web;
    web_peer peer;
    web_open(&web, unrouted, NULL, NULL);
    peer_ask(&web, &peer, GET("/a") GET("/b"));
    CHECK_STR(peer_statuses(&peer), "200,200");
    peer_close(&peer);
    web_close(&web);
}

TEST(a_long_head_leaves_no_room_for_what_is_decoded) {
    char field[6000] = "X: ", target[512] = "GET /notes/%41";
    open_site();
    add(s.router, "GET", "/notes/:id", say, "note");
    for (int len = 1600; len < 2048; len += 3) { /* about where the room in a request ends */
        memset(field + 3, 'x', (size_t)len);
        strcpy(field + 3 + len, "\r\n");
        web_peer *peer = ask(target, field);
        CHECK_STR(peer_body(peer), "note /notes/:id /notes/%41 id=A");
    }
    done(get("/"));
    close_site();
}

/* ---- mounts ---- */

TEST(what_is_mounted_sees_the_rest_of_the_path) {
    open_site();
    mount("/api", say, (void *)(uintptr_t) "api");
    mount("/static/", say, (void *)(uintptr_t) "files");
    mount("/users/:id", say, (void *)(uintptr_t) "user");
    check_get("/api", "api /api /");
    check_get("/api?q=1", "api /api /");
    check_get("/api/", "api /api /");
    check_get("/api/a/b?c/d", "api /api /a/b");
    check_get("/%61pi/a%2fb", "api /api /a%2fb");
    check_get("/static/x/y", "files /static/ /x/y");
    check_get("/users/7/posts", "user /users/:id /posts id=7");
    check_get("/users/%37", "user /users/:id / id=7");
    check_get("http://host/api/x", "api /api /x");
    close_site();
}

TEST(a_mount_at_the_root_sees_all_of_it) {
    open_site();
    mount("/", say, (void *)(uintptr_t) "root");
    check_get("/", "root / /");
    check_get("/a/b?c", "root / /a/b");
    check_get("http://host", "root / /");
    check_get("http://host?q", "root / /");
    close_site();
}

static void check_location(const char *target, const char *location) {
    char field[6000];
    web_peer *peer = get(target);
    CHECK_STR(peer_statuses(peer), "308");
    snprintf(field, sizeof field, "\r\nLocation: %s\r\n", location);
    CHECK(peer_has(peer, field));
    done(peer);
}

TEST(the_place_of_a_mount_with_a_slash_redirects_to_it) {
    open_site();
    mount("/static/", say, (void *)(uintptr_t) "files");
    mount("/a/:id/", say, (void *)(uintptr_t) "files");
    check_location("/static", "./static/");
    check_location("/static?a=b/c", "./static/?a=b/c");
    check_location("/static?", "./static/?");
    check_location("/%73tatic", "./%73tatic/");
    check_location("/a/x:y", "./x:y/");
    check_location("http://other/static", "./static/");
    char query[5000] = "GET /static?";
    memset(query + 12, 'q', 4100);
    check_status(query, "414");
    close_site();
}

TEST(a_query_that_just_fits_the_redirect) {
    char target[5000] = "/static?", location[5000] = "./static/?";
    open_site();
    mount("/static/", say, (void *)(uintptr_t) "files");
    size_t len = 4096 - 5 - strlen("static");
    memset(target + 8, 'q', len);
    memset(location + 10, 'q', len);
    check_location(target, location);
    char line[5010];
    snprintf(line, sizeof line, "GET %sq", target);
    check_status(line, "414"); /* one more does not */
    close_site();
}

TEST(routers_in_routers) {
    open_site();
    mount("/api/:id", rondo_http_router_serve, s.inner);
    add(s.inner, "GET", "/", say, "root");
    add(s.inner, "GET", "/:b", say, "thing");
    add(s.inner, "GET", "/own/:id", say, "own");
    check_get("/api/7", "root / / id=7");
    check_get("/api/7/", "root / / id=7");
    check_get("/api/7/x", "thing /:b /x id=7 b=x");
    check_get("/api/7/own/8", "own /own/:id /own/8 id=8"); /* the innermost of a name */
    check_status("GET /api/7/x/y/z", "404");
    web_peer *peer = ask("PUT /api/7/x", "");
    CHECK_STR(peer_statuses(peer), "405");
    CHECK(peer_has(peer, "\r\nAllow: GET, HEAD, OPTIONS\r\n"));
    done(peer);
    close_site();
}

TEST(a_router_in_itself_ends) {
    open_site();
    mount("/a", rondo_http_router_serve, s.router);
    add(s.router, "GET", "/x", say, "x");
    check_get("/x", "x /x /x");
    check_get("/a/a/a/x", "x /x /x");
    check_status("GET /a/a/a/a/x", "500");
    check_status("GET /a/a/a", "404");
    check_status("GET /a/a/a/a", "500");
    close_site();
}

TEST(more_parameters_than_there_is_room_for) {
    open_site();
    mount("/:a/:b/:c/:d/:e", rondo_http_router_serve, s.inner);
    add(s.inner, "GET", "/:f/:g/:h", say, "eight");
    add(s.inner, "GET", "/:f/:g/:h/*", say, "nine");
    check_status("GET /1/2/3/4/5/6/7/8", "200");
    check_status("GET /1/2/3/4/5/6/7/8/", "500");
    close_site();
}

/* ---- middlewares ---- */

static void pass(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)response;
    note("%s(", (const char *)arg);
    CHECK_INT(rondo_http_request_next(request), 0);
    note(")");
}

TEST(middlewares_run_in_order_each_after_the_one_before_has_returned) {
    open_site();
    use(s.router, pass, "a");
    use(s.router, pass, "b");
    use(s.inner, pass, "c");
    mount("/in", rondo_http_router_serve, s.inner);
    add(s.router, "GET", "/", say, "out");
    add(s.inner, "GET", "/", say, "in");
    check_get("/", "out / /");
    CHECK_STR(s.log, "a()b()out;");
    s.log[0] = '\0';
    check_get("/in", "in / /");
    CHECK_STR(s.log, "a()b()c()in;");
    s.log[0] = '\0';
    check_status("GET /none", "404"); /* they see what is refused too */
    check_status("GET /%", "400");
    check_status("PUT /", "405");
    check_status("GET /in/none", "404");
    CHECK_STR(s.log, "a()b()a()b()a()b()a()b()c()");
    close_site();
}

static void note_route(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)response, (void)arg;
    rondo_slice route = rondo_http_request_route(request);
    note("%.*s;", (int)route.len, route.data);
    CHECK_INT(rondo_http_request_next(request), 0);
}

TEST(the_route_is_known_as_far_as_it_was_found) {
    open_site();
    use(s.router, note_route, NULL);
    use(s.inner, note_route, NULL);
    mount("/in/:id", rondo_http_router_serve, s.inner);
    add(s.inner, "GET", "/:b", say, "x");
    check_get("/in/1/2", "x /:b /2 id=1 b=2");
    check_status("GET /in/1/2/3", "404");
    check_status("GET /out", "404");
    CHECK_STR(s.log, "/in/:id;/:b;x;/in/:id;/in/:id;;");
    close_site();
}

static void answer(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request;
    note("answer;");
    CHECK_INT(rondo_http_response_reply(response, 401, "text/plain", rondo_slice_text(arg)), 0);
}

TEST(a_middleware_may_answer) {
    open_site();
    use(s.router, pass, "a");
    use(s.router, answer, "no");
    use(s.router, pass, "b");
    add(s.router, "GET", "/", say, "x");
    check_get("/", "no");
    CHECK_STR(s.log, "a()answer;");
    close_site();
}

static void answer_and_pass(rondo_http_request *request, rondo_http_response *response, void *arg) {
    answer(request, response, arg);
    /* It may still be asked here: the request is there inside the callback in any case. */
    CHECK_INT(rondo_http_request_next(request), RONDO_ECLOSED);
}
static void pass_and_answer(rondo_http_request *request, rondo_http_response *response, void *arg) {
    CHECK_INT(rondo_http_request_next(request), 0);
    answer(request, response, arg);
}
static void pass_and_close(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    CHECK_INT(rondo_http_request_next(request), 0);
    rondo_close(response);
}
static void pass_and_close_server(rondo_http_request *request, rondo_http_response *response,
                                  void *arg) {
    (void)response, (void)arg;
    rondo_close(s.web.server);
    CHECK_INT(rondo_http_request_next(request), 0);
}

TEST(a_chain_whose_response_has_been_ended_ends) {
    static const rondo_http_request_cb ways[] = {answer_and_pass, pass_and_answer, pass_and_close};
    for (int i = 0; i < 3; i++) {
        open_site();
        use(s.router, ways[i], "no");
        use(s.router, pass, "b");
        add(s.router, "GET", "/", say, "x");
        web_peer *peer = get("/");
        CHECK_STR(peer_body(peer), i < 2 ? "no" : "");
        CHECK_STR(s.log, i < 2 ? "answer;" : "");
        done(peer);
        close_site();
    }
}

static void tolerant(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request, (void)arg;
    note("route;");
    CHECK_INT(rondo_http_response_reply(response, 200, NULL, rondo_slice_text("")), RONDO_ECLOSED);
}

TEST(a_server_that_is_closed_in_a_middleware) {
    open_site();
    use(s.router, pass_and_close_server, NULL);
    use(s.router, pass, "b");
    add(s.router, "GET", "/", tolerant, NULL);
    done(get("/"));
    CHECK_STR(s.log, "b()route;"); /* the response is still to be ended, and somebody does */
    close_site();
}

/* ---- next, later ---- */

static void hold(rondo_http_request *request, rondo_http_response *response, void *arg) {
    note("%s;", arg ? (const char *)arg : "hold");
    s.held = request;
    s.held_response = response;
}

TEST(a_middleware_may_go_on_later) {
    open_site();
    use(s.router, hold, NULL);
    use(s.router, pass, "b");
    add(s.router, "GET", "/", say, "x");
    web_peer *peer = get("/");
    CHECK_STR(peer->data, "");
    CHECK_INT(rondo_http_request_next(s.held), 0);
    CHECK_STR(s.log, "hold;"); /* nothing inside the call */
    peer_pump(&s.web, peer);
    CHECK_STR(peer_statuses(peer), "200");
    CHECK_STR(s.log, "hold;b()x;");
    /* The connection goes on. */
    peer_forget(peer);
    peer_say(&s.web, peer, GET("/"));
    CHECK_INT(rondo_http_request_next(s.held), 0);
    peer_pump(&s.web, peer);
    CHECK_STR(peer_statuses(peer), "200");
    done(peer);
    close_site();
}

TEST(two_middlewares_that_both_go_on_later) {
    open_site();
    use(s.router, hold, "first");
    use(s.router, hold, "second");
    add(s.router, "GET", "/", say, "x");
    web_peer *peer = get("/");
    for (int i = 0; i < 2; i++) {
        CHECK_INT(rondo_http_request_next(s.held), 0);
        peer_pump(&s.web, peer);
    }
    CHECK_STR(s.log, "first;second;x;");
    CHECK_STR(peer_statuses(peer), "200");
    done(peer);
    close_site();
}

static void on_body(rondo_http_request *request, rondo_slice chunk, void *arg) {
    (void)request, (void)arg;
    note("%.*s", (int)chunk.len, chunk.data);
}
static void on_body_end(rondo_http_request *request, void *arg) {
    (void)request;
    note("|");
    reply(arg, "got it");
}
static void take_body(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    note("take:");
    rondo_http_request_on_data(request, on_body, NULL);
    rondo_http_request_on_end(request, on_body_end, response);
}

static void post_in_parts(const char *head, const char *const *parts, int count) {
    web_peer peer;
    open_site();
    use(s.router, hold, NULL);
    add(s.router, "POST", "/", take_body, NULL);
    peer_ask(&s.web, &peer, head);
    for (int i = 0; i < count; i++) {
        if (i == 1) CHECK_INT(rondo_http_request_next(s.held), 0);
        peer_say(&s.web, &peer, parts[i]);
    }
    if (count == 1) {
        CHECK_INT(rondo_http_request_next(s.held), 0);
        peer_pump(&s.web, &peer);
    }
    CHECK_STR(s.log, "hold;take:0123456789|");
    CHECK_STR(peer_body(&peer), "got it");
    peer_forget(&peer);
    peer_say(&s.web, &peer, GET("/")); /* nothing of it is left */
    CHECK_INT(rondo_http_request_next(s.held), 0);
    peer_pump(&s.web, &peer);
    CHECK_STR(peer_statuses(&peer), "405");
    peer_close(&peer);
    close_site();
}

#define POST_10 "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n"
#define POST_CHUNKS "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

TEST(a_body_waits_for_a_chain_that_waits) {
    post_in_parts(POST_10 "\r\n0123456789", (const char *const[]){""}, 1);
    post_in_parts(POST_10 "\r\n01234", (const char *const[]){"5678", "9"}, 2);
    post_in_parts(POST_10 "\r\n", (const char *const[]){"0123456789"}, 1);
    post_in_parts(POST_10 "\r\n", (const char *const[]){"", "01234", "56789"}, 3);
    post_in_parts(POST_CHUNKS "3\r\n012\r\n7\r\n3456789\r\n0\r\n\r\n", (const char *const[]){""},
                  1);
    post_in_parts(POST_CHUNKS "3\r\n01",
                  (const char *const[]){"2\r\n7\r\n345", "6789\r\n0\r\n\r\n"}, 2);
}

TEST(a_client_that_waits_to_be_asked_is_asked_when_the_route_wants_it) {
    web_peer peer;
    open_site();
    use(s.router, hold, NULL);
    add(s.router, "POST", "/", take_body, NULL);
    peer_ask(&s.web, &peer, POST_10 "Expect: 100-continue\r\n\r\n");
    CHECK_STR(peer.data, "");
    CHECK_INT(rondo_http_request_next(s.held), 0);
    peer_pump(&s.web, &peer);
    CHECK_STR(peer_statuses(&peer), "100");
    peer_say(&s.web, &peer, "0123456789");
    CHECK_STR(peer_statuses(&peer), "100,200");
    CHECK_STR(s.log, "hold;take:0123456789|");
    peer_close(&peer);
    close_site();
}

static void take_paused(rondo_http_request *request, rondo_http_response *response, void *arg) {
    take_body(request, response, arg);
    CHECK_INT(rondo_http_request_pause(request), 0);
}

TEST(a_route_may_pause_a_body_that_was_held_back) {
    web_peer peer;
    open_site();
    use(s.router, hold, NULL);
    add(s.router, "POST", "/", take_paused, NULL);
    peer_ask(&s.web, &peer, POST_10 "\r\n0123456789");
    CHECK_INT(rondo_http_request_next(s.held), 0);
    peer_pump(&s.web, &peer);
    CHECK_STR(s.log, "hold;take:");
    CHECK_INT(rondo_http_request_resume(s.held), 0);
    peer_pump(&s.web, &peer);
    CHECK_STR(s.log, "hold;take:0123456789|");
    peer_close(&peer);
    close_site();
}

TEST(an_answer_instead_of_next_later_drops_the_body) {
    web_peer peer;
    open_site();
    use(s.router, hold, NULL);
    add(s.router, "POST", "/", take_body, NULL);
    peer_ask(&s.web, &peer, POST_10 "\r\n01234");
    reply(s.held_response, "no");
    peer_pump(&s.web, &peer);
    CHECK_STR(peer_statuses(&peer), "200");
    peer_say(&s.web, &peer, "56789" GET("/"));
    CHECK_INT(rondo_http_request_next(s.held), 0);
    peer_pump(&s.web, &peer);
    CHECK_STR(peer_statuses(&peer), "200,405");
    CHECK_STR(s.log, "hold;hold;");
    peer_close(&peer);
    close_site();
}

TEST(an_answer_before_the_loop_has_gone_on_ends_the_chain) {
    static const char *const requests[] = {GET("/"), POST_10 "\r\n01234"};
    for (int i = 0; i < 2; i++) {
        web_peer peer;
        open_site();
        use(s.router, hold, NULL);
        add(s.router, "*", "/", say, "x");
        peer_ask(&s.web, &peer, requests[i]);
        CHECK_INT(rondo_http_request_next(s.held), 0);
        reply(s.held_response, "first");
        if (i == 1) CHECK_INT(rondo_http_request_next(s.held), RONDO_ECLOSED);
        peer_pump(&s.web, &peer);
        CHECK_STR(peer_body(&peer), "first");
        CHECK_STR(s.log, "hold;");
        peer_close(&peer);
        close_site();
    }
}

TEST(a_client_that_goes_while_a_middleware_waits) {
    web_peer peer;
    open_site();
    use(s.router, hold, NULL);
    add(s.router, "POST", "/", tolerant, NULL);
    peer_ask(&s.web, &peer, POST_10 "\r\n01234");
    peer_reset(&peer);
    web_turns(&s.web, 4);
    CHECK_INT(rondo_http_request_next(s.held), 0);
    web_turns(&s.web, 4);
    CHECK_STR(s.log, "hold;route;"); /* who answers is called in any case: it ends the response */
    close_site();
}

TEST(a_server_that_closes_while_a_middleware_waits) {
    web_peer *peer;
    open_site();
    use(s.router, hold, NULL);
    add(s.router, "GET", "/", say, "x");
    peer = get("/");
    CHECK_INT(rondo_http_request_next(s.held), 0);
    rondo_close(s.held_response);
    rondo_close(s.web.server);
    done(peer);
    close_site();
    CHECK_STR(s.log, "hold;");
}

/* More requests than are kept to be used again: what is let go then is really freed. */
#define MANY (RONDO__SPARE_REQUESTS + 2)

static rondo_http_request *many[MANY];
static rondo_http_response *many_responses[MANY];
static int many_count;

static void hold_many(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    many[many_count] = request;
    many_responses[many_count++] = response;
}

static void cut(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    CHECK_INT(rondo_http_request_next(request), 0);
    rondo_close(response);
}

TEST(requests_that_are_freed_on_their_way) {
    static web_peer peers[MANY];
    open_site();
    many_count = 0;
    use(s.router, hold_many, NULL);
    use(s.router, cut, NULL);
    for (int i = 0; i < MANY; i++) peer_ask(&s.web, &peers[i], GET("/"));
    CHECK_INT(many_count, MANY);
    for (int i = 0; i < MANY - 2; i++) rondo_close(many_responses[i]);
    web_turns(&s.web, 4);
    CHECK_INT(rondo_http_request_next(many[MANY - 2]), 0); /* freed before it could go on */
    rondo_close(many_responses[MANY - 2]);
    CHECK_INT(rondo_http_request_next(many[MANY - 1]), 0); /* freed inside its middleware */
    web_turns(&s.web, 4);
    for (int i = 0; i < MANY; i++) {
        CHECK_STR(peers[i].data, "");
        peer_close(&peers[i]);
    }
    close_site();
}

/* ---- the life of a router ---- */

TEST(a_router_that_is_freed_stays_for_its_requests) {
    web_peer *peer;
    open_site();
    use(s.inner, hold, NULL);
    add(s.inner, "GET", "/:id", say, "x");
    mount("/in", rondo_http_router_serve, s.inner);
    peer = get("/in/7");
    rondo_http_router_free(s.inner);
    rondo_http_router_free(s.router);
    s.inner = s.router = NULL;
    CHECK_INT(rondo_http_request_next(s.held), 0);
    CHECK_INT(rondo_http_server_on_request(s.web.server, NULL, NULL), 0);
    peer_pump(&s.web, peer);
    CHECK_STR(peer_body(peer), "x /:id /7 id=7");
    done(peer);
    close_site();
}

static void add_more(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)response, (void)arg;
    note("more;");
    add(s.router, "GET", "/:id", say, "second");
    add(s.router, "PUT", "/", say, "third");
    if (s.log[5] == '\0') use(s.router, pass, "late"); /* not for this one */
    CHECK_INT(rondo_http_request_next(request), 0);
}

TEST(routes_may_be_added_while_it_serves) {
    open_site();
    use(s.router, add_more, NULL);
    add(s.router, "GET", "/", say, "first");
    check_get("/", "first / /");
    CHECK_STR(s.log, "more;first;");
    close_site();
}

TEST(freeing_nothing) { rondo_http_router_free(NULL); }

/* ---- pipelined, and out of memory ---- */

TEST(requests_behind_one_another_each_have_their_own_way) {
    web_peer peer;
    open_site();
    use(s.router, pass, "m");
    add(s.router, "GET", "/:id", say, "a");
    peer_ask(&s.web, &peer, GET("/1") GET("/%32") "PUT /3 HTTP/1.1\r\nHost: a\r\n\r\n" GET("/4"));
    CHECK_STR(peer_statuses(&peer), "200,200,405,200");
    CHECK(peer_has(&peer, "id=1") && peer_has(&peer, "id=2") && peer_has(&peer, "id=4"));
    CHECK_STR(s.log, "m()a;m()a;m()m()a;");
    peer_close(&peer);
    close_site();
}

static void quiet(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    CHECK_INT(rondo_http_request_param(request, "id").len, 1);
    reply(response, "ok");
}

TEST(a_routed_request_allocates_nothing) {
    web_peer peer;
    open_site();
    use(s.router, pass, "m");
    add(s.router, "GET", "/:id", quiet, NULL);
    peer_ask(&s.web, &peer, GET("/1"));
    size_t before = harness_alloc_count();
    peer_say(&s.web, &peer, GET("/%32"));
    CHECK_INT(harness_alloc_count(), before);
    CHECK_STR(peer_statuses(&peer), "200,200");
    peer_close(&peer);
    close_site();
}

static void crowded(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    (void)rondo_http_response_header(response, "X-First", "1"); /* takes the room behind the head */
    CHECK_INT(rondo_http_request_next(request), 0);
}

static void lenient(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)arg;
    CHECK_MEM(rondo_http_request_param(request, "b").data, "x/y", 3);
    (void)rondo_http_response_reply(response, 200, NULL, rondo_slice_text("fine"));
}

TEST(out_of_memory_is_503_or_a_cut_connection) {
    for (long n = 0;; n++) {
        web_peer peer;
        open_site();
        use(s.router, crowded, NULL);
        mount("/:id", rondo_http_router_serve, s.inner);
        add(s.inner, "GET", "/:b", lenient, NULL);
        peer_ask(&s.web, &peer, GET("/%41/x%2fy")); /* so that all that is kept is there */
        CHECK_STR(peer_statuses(&peer), "200");
        CHECK(peer_has(&peer, "\r\nX-First: 1\r\n")); /* not written over by what is decoded */
        peer_forget(&peer);
        harness_fail_alloc_after(n);
        peer_say(&s.web, &peer, GET("/%41/x%2fy"));
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        const char *got = peer_statuses(&peer);
        CHECK(strcmp(got, failed ? "503" : "200") == 0 || (failed && peer.ended));
        peer_close(&peer);
        close_site();
        if (!failed) break;
        CHECK(n < 50);
    }
}

/* ---- misuse ---- */

static void twice(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)response, (void)arg;
    rondo_http_request_next(request);
    rondo_http_request_next(request);
}
TEST_ABORTS(next_twice, "rondo_http_request_next: no middleware has this request") {
    open_site();
    use(s.router, twice, NULL);
    use(s.router, hold, NULL);
    get("/");
}
static void next_of_route(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)response, (void)arg;
    rondo_http_request_next(request);
}
TEST_ABORTS(next_from_a_route, "rondo_http_request_next: no middleware has this request") {
    open_site();
    add(s.router, "GET", "/", next_of_route, NULL);
    get("/");
}
TEST_ABORTS(next_without_a_router, "rondo_http_request_next: no middleware has this request") {
    web_host web;
    web_peer peer;
    web_open(&web, next_of_route, NULL, NULL);
    peer_ask(&web, &peer, GET("/"));
}
TEST_ABORTS(next_of_a_request_that_has_gone,
            "rondo_http_request_next: the request was used after") {
    open_site();
    use(s.router, hold, NULL);
    web_peer *peer = get("/");
    reply(s.held_response, "");
    peer_pump(&s.web, peer);
    rondo_http_request_next(s.held);
}
TEST_ABORTS(next_of_nothing, "rondo_http_request_next: the request is NULL") {
    rondo_http_request_next(NULL);
}
TEST_ABORTS(a_parameter_of_nothing, "rondo_http_request_param: the request is NULL") {
    rondo_http_request_param(NULL, "id");
}
TEST_ABORTS(a_router_that_was_freed,
            "rondo_http_router_serve: the router was used after it had been freed") {
    open_site();
    use(s.router, hold, NULL);
    add(s.router, "GET", "/", say, "x");
    get("/");
    rondo_http_router_free(s.router); /* still there, for the request that is held */
    get("/");
}
TEST_ABORTS(adding_to_a_router_that_was_freed,
            "rondo_http_router_add: the router was used after it had been freed") {
    open_site();
    use(s.router, hold, NULL);
    get("/");
    rondo_http_router_free(s.router);
    add(s.router, "GET", "/", say, "x");
}
static void serve_wrong(rondo_http_request *request, rondo_http_response *response, void *arg) {
    reply(response, "ended");
    rondo_http_router_serve(request, response, arg);
}
TEST_ABORTS(serving_a_response_that_has_been_ended,
            "rondo_http_router_serve: the response is not this request's, or has been ended") {
    open_site();
    add(s.router, "GET", "/", serve_wrong, NULL);
    rondo_http_server_on_request(s.web.server, serve_wrong, s.router);
    get("/");
}
