/* SPDX-License-Identifier: MIT
 *
 * A connection to the HTTP server: the input is what the client sends. Sent whole and sent in pieces
 * it must bring the same answers, since where TCP cuts a stream says nothing. Each response is closed
 * once, and nothing of a connection is left when it has ended. The first octet of a path says how the
 * server goes about its answer.
 */
#include "web.h"

enum { BODY_MOST = 4096 };

typedef struct exchange {
    rondo_http_request *request;
    rondo_http_response *response;
    char how;
    bool done;
    size_t len;
    char body[BODY_MOST];
} exchange;

static web site;
static size_t asked, closed, aborted;

static void add(exchange *e, rondo_slice text) {
    size_t len = text.len < BODY_MOST - e->len ? text.len : BODY_MOST - e->len;
    if (len > 0) memcpy(e->body + e->len, text.data, len);
    e->len += len;
}

static void answer(exchange *e) {
    rondo_slice body = rondo_slice_of(e->body, e->len);
    if (e->done) return;
    e->done = true;
    switch (e->how) {
    case 's': /* in two pieces */
        MUST(rondo_http_response_begin(e->response, 200, -1) <= 0);
        rondo_http_response_write(e->response, rondo_slice_of(e->body, e->len / 2));
        rondo_http_response_write(e->response,
                                  rondo_slice_of(e->body + e->len / 2, e->len - e->len / 2));
        rondo_http_response_end(e->response);
        break;
    case 'n': rondo_http_response_end(e->response); break;
    case 'c': rondo_close(e->response); break;
    case 'f':
        rondo_http_response_header(e->response, "X-Field", "value");
        rondo_http_response_reply(e->response, 404, "text/plain", body);
        break;
    default: rondo_http_response_reply(e->response, 200, "text/plain", body); break;
    }
}

static void on_data(rondo_http_request *request, rondo_slice chunk, void *arg) { add(arg, chunk); }
static void on_end(rondo_http_request *request, void *arg) { answer(arg); }
static void answer_later(rondo_loop *loop, void *arg) { answer(arg); }
static void on_closed(rondo_handle *response, void *arg) {
    closed++;
    free(arg);
}
static void on_aborted(rondo_http_response *response, void *arg) {
    exchange *e = arg;
    aborted++;
    MUST(!e->done);
    e->done = true;
    rondo_close(response);
}

/* All that can be asked of a request. */
static void look_at(exchange *e) {
    rondo_slice name, value, target = rondo_http_request_target(e->request);
    rondo_slice path = rondo_http_request_path(e->request);
    rondo_slice query = rondo_http_request_query(e->request);
    MUST(target.len > 0 && path.len + query.len <= target.len);
    add(e, rondo_http_request_method(e->request));
    add(e, target);
    for (size_t i = 0; rondo_http_request_header_at(e->request, i, &name, &value); i++) {
        char text[256];
        MUST(i < rondo_http_request_header_count(e->request) && name.len > 0);
        MUST(!memchr(value.data, '\r', value.len) && !memchr(value.data, '\n', value.len));
        add(e, name);
        add(e, value);
        if (name.len >= sizeof text) continue;
        memcpy(text, name.data, name.len);
        text[name.len] = '\0';
        MUST(rondo_http_request_header(e->request, text).data != NULL);
    }
}

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    exchange *e = calloc(1, sizeof *e);
    rondo_slice path = rondo_http_request_path(request);
    asked++;
    MUST(e && rondo_on_close(response, on_closed, e) == 0);
    e->request = request;
    e->response = response;
    e->how = path.len > 1 ? path.data[1] : '/';
    look_at(e);
    rondo_http_response_on_aborted(response, on_aborted, e);
    if (e->how == 'i') { /* without waiting for the body */
        answer(e);
        return;
    }
    if (e->how == 'l' && rondo_http_request_header(request, "Content-Length").data == NULL &&
        rondo_http_request_header(request, "Transfer-Encoding").data == NULL) {
        rondo_immediate(site.loop, answer_later, e);
        return;
    }
    rondo_http_request_on_data(request, on_data, e);
    rondo_http_request_on_end(request, on_end, e);
}

/* What depends on when a body comes is no answer: 100 (Continue). */
static void leave_out(answers *got, const char *text) {
    size_t len = strlen(text);
    for (char *at; (at = memmem(got->text, got->len, text, len));) {
        memmove(at, at + len, got->len - (size_t)(at - got->text) - len);
        got->len -= len;
    }
}

static void converse(const uint8_t *data, size_t size, bool whole, answers *got) {
    int fd = web_connect(&site);
    got->len = 0;
    got->ended = false;
    web_converse(&site, fd, data, size, whole, got);
    web_leave(&site, fd);
    MUST(asked == closed);
    leave_out(got, "HTTP/1.1 100 Continue\r\n\r\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static answers whole, pieces;
    if (!site.loop) {
        rondo_http_limits limits = {.head_bytes = 512,
                                    .target_bytes = 128,
                                    .header_count = 8,
                                    .body_bytes = 256,
                                    .chunk_extension_bytes = 32};
        web_open(&site, on_request, NULL, &limits);
    }
    if (size > 8192) return 0;
    converse(data, size, true, &whole);
    converse(data, size, false, &pieces);
    if (whole.len != pieces.len || memcmp(whole.text, pieces.text, whole.len) != 0 ||
        whole.ended != pieces.ended) {
        fprintf(stderr, "--- whole%s:\n%s\n--- in pieces%s:\n%s\n", whole.ended ? " (ended)" : "",
                whole.text, pieces.ended ? " (ended)" : "", pieces.text);
        MUST(!"the same answers");
    }
    return 0;
}
