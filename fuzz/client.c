/* SPDX-License-Identifier: MIT
 *
 * An answer to the HTTP client: the first octet of the input says what is asked, the rest is what the
 * server sends, and then it ends. Sent whole and sent in pieces it must be told alike, but for how much
 * of a body comes before an error; of `end` and `error` exactly one comes, and nothing after it; and
 * nothing of a call is left when it has closed.
 */
#include "web.h"

#include "loop/wake.h"

typedef struct heard {
    char text[1 << 15], body[1 << 17];
    size_t len, body_len;
    bool over, failed, closed;
} heard;

static rondo_loop *loop;
static rondo_http_client *client;
static int listener;
static char name[64];

static void add(heard *h, const char *data, size_t len) {
    if (len > sizeof h->text - 1 - h->len) len = sizeof h->text - 1 - h->len;
    memcpy(h->text + h->len, data, len);
    h->len += len;
    h->text[h->len] = '\0';
}
static void say(heard *h, const char *what, int number) {
    char line[64];
    add(h, line, (size_t)snprintf(line, sizeof line, "\n<%s %d>\n", what, number));
}

static void look_at(heard *h, rondo_http_call *call, const char *what) {
    rondo_slice field, value;
    MUST(!h->over && !h->closed);
    say(h, what, rondo_http_call_status(call));
    for (size_t i = 0; rondo_http_call_response_header_at(call, i, &field, &value); i++) {
        MUST(field.len > 0 && !memchr(value.data, '\n', value.len) &&
             !memchr(value.data, '\r', value.len));
        add(h, field.data, field.len);
        add(h, "=", 1);
        add(h, value.data, value.len);
    }
}
static void on_interim(rondo_http_call *call, void *arg) { look_at(arg, call, "interim"); }
static void on_response(rondo_http_call *call, void *arg) { look_at(arg, call, "response"); }
static void on_data(rondo_http_call *call, rondo_slice chunk, void *arg) {
    heard *h = arg;
    MUST(!h->over && chunk.len > 0 && chunk.len <= sizeof h->body - h->body_len);
    memcpy(h->body + h->body_len, chunk.data, chunk.len);
    h->body_len += chunk.len;
}
static void on_end(rondo_http_call *call, void *arg) {
    heard *h = arg;
    MUST(!h->over);
    h->over = true;
    say(h, "end", 0);
}
static void on_error(rondo_http_call *call, int error, void *arg) {
    heard *h = arg;
    MUST(!h->over);
    h->over = h->failed = true;
    say(h, "error", error);
}
static void on_close(rondo_handle *handle, void *arg) { ((heard *)arg)->closed = true; }

static void start(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(name, sizeof name, "@rondo-fuzz-client-%d", (int)getpid());
    memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    MUST(bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 16) == 0);
    loop = rondo_loop_new();
    MUST(loop && rondo_loop_use_virtual_clock(loop, 1000000000) == 0);
    rondo__loop_hold(loop); /* idle connections alone don't have it turn */
    client = rondo_http_client_new(loop);
    rondo_http_client_limits limits = {.head_bytes = 512,
                                       .header_count = 8,
                                       .body_bytes = 4096,
                                       .chunk_extension_bytes = 32,
                                       .interim_answers = 4};
    MUST(client != NULL);
    rondo_http_client_set_limits(client, &limits);
}

static void turns(int count) {
    while (count-- > 0) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
}

static rondo_http_call *ask(uint8_t what, heard *h) {
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT"};
    rondo_http_call *call = rondo_http_call_new(client, methods[what % 4], "http://a/");
    MUST(call && rondo_http_call_set_unix(call, name) == 0);
    if (what & 4) rondo_http_call_set_decode(call, true);
    rondo_http_call_set_redirects(call, 0);
    rondo_http_call_on_interim(call, on_interim, h);
    rondo_http_call_on_response(call, on_response, h);
    rondo_http_call_on_data(call, on_data, h);
    rondo_http_call_on_end(call, on_end, h);
    rondo_http_call_on_error(call, on_error, h);
    MUST(rondo_on_close((rondo_handle *)call, on_close, h) == 0);
    MUST(rondo_http_call_send(call, rondo_slice_text(what % 4 >= 2 ? "body" : "")) == 0);
    return call;
}

static bool answer(void *arg, const uint8_t *piece, size_t len) {
    if (send(*(int *)arg, piece, len, MSG_NOSIGNAL) < 0) return false;
    turns(1);
    return true;
}

static void converse(const uint8_t *data, size_t size, bool whole, heard *h) {
    char sink[4096];
    h->len = h->body_len = 0;
    h->over = h->failed = h->closed = false;
    ask(data[0], h);
    int fd = -1;
    for (int i = 0; fd < 0 && i < 100; i++) {
        turns(1);
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    MUST(fd >= 0);
    turns(3);
    while (recv(fd, sink, sizeof sink, 0) > 0) {}
    web_cut(data + 1, size - 1, whole, answer, &fd);
    turns(4);
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 200 && !h->closed; i++) turns(1);
    MUST(h->over && h->closed);
    close(fd);
    turns(4);
    rondo_http_client_figures figures;
    rondo_http_client_get_figures(client, &figures);
    MUST(figures.connections == 0 && figures.waiting == 0);
    rondo__loop_verify(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static heard whole, pieces;
    if (size == 0 || size > 8192) return 0;
    if (!loop) start();
    converse(data, size, true, &whole);
    converse(data, size, false, &pieces);
    size_t both = whole.body_len < pieces.body_len ? whole.body_len : pieces.body_len;
    if (whole.len != pieces.len || memcmp(whole.text, pieces.text, whole.len) != 0 ||
        memcmp(whole.body, pieces.body, both) != 0 ||
        (!whole.failed && whole.body_len != pieces.body_len)) {
        fprintf(stderr, "--- whole, body of %zu:\n%s\n--- in pieces, body of %zu:\n%s\n",
                whole.body_len, whole.text, pieces.body_len, pieces.text);
        MUST(!"told alike");
    }
    return 0;
}
