/* SPDX-License-Identifier: MIT
 *
 * Redirects (RFC 9110 section 15.4). One that can't be followed safely is an answer like any other, and
 * the caller's to judge. What the user wrote for one origin's eyes does not go to another.
 */
#include <string.h>

#include "http/client/call.h"
#include "http/fields.h"
#include "loop/memory.h"

static bool is(const rondo_http_call *call, const char *method) {
    return strcmp(call->method, method) == 0;
}

/* Browsers made a GET of a POST at 301 and 302 before 307 and 308 said that it should not be. */
static bool becomes_get(const rondo_http_call *call) {
    int status = call->answer.status;
    if (status == 303) return !is(call, "GET") && !is(call, "HEAD");
    return (status == 301 || status == 302) && is(call, "POST");
}

static bool is_redirect(int status) {
    return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

/* The one field Location, or nothing. */
static rondo_slice location_of(const rondo_http_call *call) {
    rondo_slice fields = rondo__answer_fields(&call->answer), name, value;
    rondo_slice found = rondo_slice_of(NULL, 0);
    const char *line = fields.data, *end = fields.len > 0 ? line + fields.len : line;
    while (line < end) {
        line = rondo__field_split(line, end, &name, &value);
        if (!rondo__field_is(name, "location")) continue;
        if (found.data) return rondo_slice_of(NULL, 0);
        found = value;
    }
    return found;
}

/* A body that is written can't be sent again, nor is it known whether all of it was wanted. */
static bool body_allows(const rondo_http_call *call) {
    if (!(call->flags & RONDO__CALL_STREAMED)) return true;
    return becomes_get(call) && (call->flags & RONDO__CALL_FINISHED);
}

int rondo__redirect_look(rondo_http_call *call) {
    rondo__url to = {0};
    if (!is_redirect(call->answer.status) || call->redirects >= call->redirects_most) return 0;
    if (is(call, "CONNECT") || !body_allows(call)) return 0;
    rondo_slice location = location_of(call);
    if (!location.data) return 0;
    int status = rondo__url_resolve(&call->url, location, &to);
    if (status < 0) return status == RONDO_ENOMEM ? status : 0;
    bool same = rondo__url_same_origin(&call->url, &to);
    if ((call->url.https && !to.https) || (call->unix_path && !same)) {
        rondo__url_free(&to);
        return 0;
    }
    rondo__url_free(&call->moved);
    call->moved = to;
    return 1;
}

/* ---- following ---- */

static bool is_private(rondo_slice name) {
    return rondo__field_is(name, "authorization") || rondo__field_is(name, "cookie") ||
           rondo__field_is(name, "proxy-authorization") || rondo__field_is(name, "host");
}

static bool is_about_body(rondo_slice name) {
    static const char prefix[] = "content-";
    return name.len > sizeof prefix - 1 &&
           rondo__field_is(rondo_slice_of(name.data, sizeof prefix - 1), prefix);
}

static void drop_fields(rondo__bytes *fields, bool (*unwanted)(rondo_slice name)) {
    rondo_slice name, value;
    for (size_t at = 0; at < fields->len;) {
        const char *line = fields->data + at;
        const char *next = rondo__field_split(line, fields->data + fields->len, &name, &value);
        if (unwanted(name))
            rondo__bytes_cut(fields, at, (size_t)(next - line));
        else
            at += (size_t)(next - line);
    }
}

static bool make_get(rondo_http_call *call) {
    char *method = rondo__strdup("GET");
    if (!method) return false;
    rondo__free(call->method);
    call->method = method;
    rondo__bytes_free(&call->body);
    rondo__bytes_free(&call->pending);
    drop_fields(&call->fields, is_about_body);
    call->length = call->left = 0;
    call->flags &= ~(uint32_t)(RONDO__CALL_STREAMED | RONDO__CALL_CHUNKED | RONDO__CALL_EXPECTS);
    return true;
}

void rondo__redirect_follow(rondo_http_call *call) {
    if (!rondo__call_alive(call)) return;
    if (becomes_get(call) && !make_get(call)) {
        rondo__call_fail(call, RONDO_ENOMEM);
        return;
    }
    if (!rondo__url_same_origin(&call->url, &call->moved)) {
        drop_fields(&call->fields, is_private);
        call->flags &= ~(uint32_t)RONDO__CALL_HOST;
    }
    rondo__url_free(&call->url);
    call->url = call->moved;
    call->moved = (rondo__url){0};
    rondo__free(call->target);
    call->target = NULL;
    call->flags &= ~(uint32_t)RONDO__CALL_FRESH;
    call->redirects++;
    rondo__call_enter(call, false);
}
