/* SPDX-License-Identifier: MIT
 *
 * Routes: which callback answers a request, by its method and path. A router is optional; it stands
 * where the server's request callback stands:
 *
 *     rondo_http_router_add(router, "GET", "/notes", list_notes, db);
 *     rondo_http_router_add(router, "GET", "/notes/:id", show_note, db);
 *     rondo_http_router_mount(router, "/static/", rondo_http_files_serve, files);
 *     rondo_http_server_on_request(server, rondo_http_router_serve, router);
 *
 * A pattern is a path of at most 1024 octets and 32 segments, each of which is
 *     text     that text, once the request's segment has been decoded
 *     :name    a parameter: one segment that is not empty
 *     *        as the last one: all that follows, slashes too, perhaps nothing
 * "/notes" and "/notes/" are two paths; "/notes/" is one whose last segment is empty.
 *
 * Which route is taken does not depend on the order of adding. At the first segment in which two
 * patterns differ, text goes before a parameter, and a parameter before `*` and what is mounted; a
 * route of the request's method goes before one of every method, at the same pattern. Only routes that
 * take the method count: with GET /notes/:id and POST /notes/new, GET /notes/new shows a note. A path
 * that has routes, but none for the method, is answered with 405 and Allow, others with 404. HEAD is
 * given to the GET route where there is none of its own, and OPTIONS is answered with Allow, for the
 * path `*` too.
 *
 * Escapes (%41) are decoded once, segment by segment, so an encoded slash never separates. Refused
 * with 400: what is no escape, an encoded NUL, and the segments "." and "..", however they are
 * written. Matching allocates nothing, reads the path once for each pattern that agrees with its
 * beginning, and enters each place of the table at most once, whatever the path.
 *
 * A router belongs to nobody's loop, but to one thread: that of the servers that use it. Routes may be
 * added while it serves; requests keep what they have found.
 */
#ifndef RONDO_HTTP_ROUTER_H
#define RONDO_HTTP_ROUTER_H

#include <rondo/http_server.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rondo_http_router rondo_http_router;

enum {
    RONDO_HTTP_ROUTER_PARAMS = 8,      /* parameters of a request, of all its routers */
    RONDO_HTTP_ROUTER_DEPTH = 4,       /* routers in routers; a request that goes deeper gets 500 */
    RONDO_HTTP_ROUTER_METHODS = 24,    /* different methods in one router */
    RONDO_HTTP_ROUTER_MIDDLEWARES = 32 /* of one router */
};

/* NULL when out of memory. */
RONDO_API rondo_http_router *rondo_http_router_new(void);
/* Frees it; what requests in flight still need of it stays until they are through. NULL is allowed. */
RONDO_API void rondo_http_router_free(rondo_http_router *router);

/* Adds a route. method: a token, "GET" (upper and lower case differ), or "*" for every method that has
 * no route at this pattern. Both strings are copied.
 * Returns 0; RONDO_EINVAL for what is no method or no pattern, or a name that is there twice;
 * RONDO_EEXIST when there is that route already, be its parameters named differently; RONDO_ENOBUFS
 * beyond a bound from above; RONDO_ENOMEM. Nothing is added unless it returns 0. */
RONDO_API int rondo_http_router_add(rondo_http_router *router, const char *method,
                                    const char *pattern, rondo_http_request_cb cb, void *arg);

/* Gives every request beneath prefix, a pattern without `*`, to cb, whatever its method. There,
 * rondo_http_request_path() is what follows the prefix, with its slash; the target stays whole.
 *     "/api"      takes /api too, whose path is "/" then
 *     "/static/"  redirects /static to it (308), so that relative links in its index work
 * For the files of a directory cb is rondo_http_files_serve, for another router
 * rondo_http_router_serve. Returns as _add; a mount is a route of every method at "PREFIX/" and a
 * `*`, and, without the slash, at PREFIX. */
RONDO_API int rondo_http_router_mount(rondo_http_router *router, const char *prefix,
                                      rondo_http_request_cb cb, void *arg);

/* Adds a middleware: a function that sees each request of the router before its route, and before
 * 404, 405 and 400 too, in the order of adding. It must do one of two things, now or later:
 *     call rondo_http_request_next()    the chain goes on when it has returned
 *     answer                            the chain ends here
 * Until then nothing of the body is lost: the router holds it back. A middleware of a router that is
 * mounted is called behind those of the one above. Parameters and rondo_http_request_route() are
 * known to it. Returns 0, or RONDO_ENOBUFS beyond the bound. */
RONDO_API int rondo_http_router_use(rondo_http_router *router, rondo_http_request_cb cb, void *arg);

/* From a middleware: the chain goes on. What comes next is never called inside this call: when the
 * middleware returns, or, asked for later, from the loop. 0, or RONDO_ECLOSED when the response has
 * been ended. Calling it twice, or not for a middleware that is on, is a bug and aborts. */
RONDO_API int rondo_http_request_next(rondo_http_request *request);

/* Answers a request by the router's routes: the server's callback, with the router as its arg. It
 * is also what is mounted to put a router into another one. */
RONDO_API void rondo_http_router_serve(rondo_http_request *request, rondo_http_response *response,
                                       void *router);

/* The value of a parameter, decoded: octets of a stranger's, which may be a slash or not be UTF-8.
 * "*": what the wildcard took, not decoded, without the slash before it. Of parameters of the same
 * name, that of the innermost router. data is NULL when there is none. Lives as long as the request. */
RONDO_API rondo_slice rondo_http_request_param(const rondo_http_request *request, const char *name);

/* The pattern that was found, as it was added, in the innermost router so far; for logs and figures,
 * which paths would flood. data is NULL when there is none. Lives as long as the request. */
RONDO_API rondo_slice rondo_http_request_route(const rondo_http_request *request);

#ifdef __cplusplus
}
#endif
#endif
