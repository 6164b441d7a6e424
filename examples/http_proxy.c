/* SPDX-License-Identifier: MIT
 *
 * A reverse proxy: http_proxy LISTEN_PORT UPSTREAM_PORT... Requests go to the upstreams of this machine in
 * turn. Bodies pass through both ways as they come, and whoever is slow holds the other one back. An
 * upstream that can't be reached is left alone for a second, and the request goes to the next one, as
 * long as nothing of its body is gone.
 *
 * compile only: see test/http_proxy_test.py
 */
#include <rondo.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define UPSTREAMS_MOST 16
#define REST_NS UINT64_C(1000000000)

typedef struct upstream {
    uint16_t port;
    uint64_t dead_until_ns;
} upstream;

typedef struct proxy {
    rondo_loop *loop;
    rondo_http_client *client;
    rondo_http_server *server;
    upstream upstreams[UPSTREAMS_MOST];
    unsigned count, next;
} proxy;

/* A request on its way. It goes when both its response and its call have closed. */
typedef struct passage {
    proxy *proxy;
    rondo_http_request *request;
    rondo_http_response *response; /* NULL once it has been ended */
    rondo_http_call *call;         /* NULL once it has closed */
    upstream *to;
    unsigned tries, open;
    bool has_body;
} passage;

static void let_go(rondo_handle *handle, void *arg) {
    passage *p = arg;
    if ((rondo_handle *)(void *)p->call == handle) p->call = NULL;
    if (--p->open == 0) free(p);
}

/* ---- fields ---- */

static bool is(rondo_slice name, const char *word) {
    return name.len == strlen(word) && strncasecmp(name.data, word, name.len) == 0;
}

/* How many octets from `at` on are among `chars`. */
static size_t strspn_of(rondo_slice text, size_t at, const char *chars) {
    size_t from = at;
    while (at < text.len && strchr(chars, text.data[at])) at++;
    return at - from;
}

/* Those that are between two neighbours only (RFC 9110 section 7.6.1), and those that both sides of Rondo
 * write by themselves. A field that Connection names is one of them too. */
static bool is_for_neighbours(rondo_slice name, rondo_slice connection) {
    static const char *const known[] = {"connection",
                                        "keep-alive",
                                        "te",
                                        "transfer-encoding",
                                        "upgrade",
                                        "proxy-connection",
                                        "content-length",
                                        "proxy-authenticate",
                                        "expect",
                                        "proxy-authorization",
                                        "trailer",
                                        "date"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (is(name, known[i])) return true;
    for (size_t at = 0; at < connection.len;) {
        size_t start = at + strspn_of(connection, at, ", \t");
        at = start;
        while (at < connection.len && !strchr(", \t", connection.data[at])) at++;
        if (at - start == name.len && name.len > 0 &&
            strncasecmp(connection.data + start, name.data, name.len) == 0)
            return true;
    }
    return false;
}

/* A string of a slice, in the room given; NULL if it is too long. */
static const char *text_of(rondo_slice slice, char *room, size_t size) {
    if (slice.len >= size) return NULL;
    memcpy(room, slice.data, slice.len);
    room[slice.len] = '\0';
    return room;
}

static void copy_request_fields(const passage *p) {
    char name_text[256], value_text[16384], peer[RONDO_ADDRESS_TEXT_BYTES];
    rondo_slice connection = rondo_http_request_header(p->request, "Connection"), name, value;
    for (size_t i = 0; rondo_http_request_header_at(p->request, i, &name, &value); i++) {
        if (is_for_neighbours(name, connection) || is(name, "x-forwarded-for")) continue;
        const char *n = text_of(name, name_text, sizeof name_text);
        const char *v = text_of(value, value_text, sizeof value_text);
        if (n && v) rondo_http_call_header(p->call, n, v);
    }
    if (rondo_http_request_peer(p->request, peer, sizeof peer) > 0) {
        char *port = strrchr(peer, ':');
        if (port) *port = '\0';
        rondo_http_call_header(p->call, "X-Forwarded-For", peer);
    }
}

static void copy_answer_fields(const passage *p) {
    char name_text[256], value_text[16384];
    rondo_slice connection = rondo_http_call_response_header(p->call, "Connection"), name, value;
    for (size_t i = 0; rondo_http_call_response_header_at(p->call, i, &name, &value); i++) {
        if (is_for_neighbours(name, connection)) continue;
        const char *n = text_of(name, name_text, sizeof name_text);
        const char *v = text_of(value, value_text, sizeof value_text);
        if (n && v) rondo_http_response_header(p->response, n, v);
    }
}

/* ---- from the upstream to the client ---- */

static void on_client_gone(rondo_http_response *response, void *arg) {
    passage *p = arg;
    p->response = NULL;
    if (p->call) rondo_close(p->call);
    rondo_close(response);
}

static void refuse(passage *p, int status) {
    rondo_http_response *response = p->response;
    p->response = NULL;
    if (p->call) rondo_close(p->call);
    rondo_http_response_reply(response, status, "text/plain",
                              rondo_slice_text("the server behind this one can't be reached\n"));
}

static void on_answer(rondo_http_call *call, void *arg) {
    passage *p = arg;
    rondo_slice length = rondo_http_call_response_header(call, "Content-Length");
    int64_t octets = rondo_http_call_length(call);
    int status = rondo_http_call_status(call);
    if (status > 599) { /* no status of HTTP's: nothing that a client should be told */
        refuse(p, 502);
        return;
    }
    if (octets == 0 && status != 204 && status != 304 && length.len > 0 &&
        length.len < 19) /* of an answer to HEAD */
        for (size_t i = 0; i < length.len; i++) octets = octets * 10 + (length.data[i] - '0');
    copy_answer_fields(p);
    if (rondo_http_response_begin(p->response, status, octets) < 0)
        on_client_gone(p->response, p); /* if it has not, it has to be cut off */
}

static void on_answer_data(rondo_http_call *call, rondo_slice chunk, void *arg) {
    passage *p = arg;
    int result = rondo_http_response_write(p->response, chunk);
    if (result == 0) rondo_http_call_pause(call);
    if (result < 0) rondo_close(call);
}

static void on_client_drain(rondo_http_response *response, void *arg) {
    passage *p = arg;
    if (p->call) rondo_http_call_resume(p->call);
}

static void on_answer_end(rondo_http_call *call, void *arg) {
    passage *p = arg;
    rondo_http_response *response = p->response;
    p->response = NULL;
    rondo_http_response_end(response);
}

/* ---- from the client to the upstream ---- */

static void on_request_data(rondo_http_request *request, rondo_slice chunk, void *arg) {
    passage *p = arg;
    p->tries = p->proxy->count; /* it is gone: there is no other try */
    if (p->call && rondo_http_call_write(p->call, chunk) == 0) rondo_http_request_pause(request);
}

static void on_upstream_drain(rondo_http_call *call, void *arg) {
    passage *p = arg;
    if (p->response) rondo_http_request_resume(p->request);
}

static void on_request_end(rondo_http_request *request, void *arg) {
    passage *p = arg;
    if (p->call) rondo_http_call_finish(p->call);
}

/* ---- choosing ---- */

/* The next one in turn that is not resting; if all are, the next one. */
static upstream *choose(proxy *self) {
    uint64_t now = rondo_loop_now_ns(self->loop);
    for (unsigned i = 0; i < self->count; i++) {
        upstream *one = &self->upstreams[(self->next + i) % self->count];
        if (one->dead_until_ns > now) continue;
        self->next = (unsigned)(one - self->upstreams) + 1;
        return one;
    }
    return &self->upstreams[self->next++ % self->count];
}

static bool pass_on(passage *p);

static void on_failure(rondo_http_call *call, int error, void *arg) {
    passage *p = arg;
    p->call = NULL; /* its close comes, and is counted */
    if (!p->response) return;
    if (error == RONDO_ECONNREFUSED || error == RONDO_ECONNRESET || error == RONDO_ETIMEDOUT)
        p->to->dead_until_ns = rondo_loop_now_ns(p->proxy->loop) + REST_NS;
    bool began = rondo_http_response_status(p->response) > 0;
    if (!began && error == RONDO_ECONNREFUSED && p->tries < p->proxy->count && pass_on(p)) return;
    if (began)
        on_client_gone(p->response, p); /* cut off, so that the client can tell */
    else
        refuse(p, error == RONDO_ETIMEDOUT ? 504 : 502);
}

/* A body's length; -1: not known. */
static int64_t length_of(const rondo_http_request *request) {
    char text[24];
    rondo_slice length = rondo_http_request_header(request, "Content-Length");
    return length.data && text_of(length, text, sizeof text) ? atoll(text) : -1;
}

static int send_on(const passage *p) {
    if (!p->has_body) return rondo_http_call_send(p->call, rondo_slice_of(NULL, 0));
    return rondo_http_call_begin(p->call, length_of(p->request));
}

/* Asks an upstream. Whether that could be begun. */
static bool pass_on(passage *p) {
    char method[64], url[64], target[8300];
    p->to = choose(p->proxy);
    p->tries++;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", (unsigned)p->to->port);
    if (!text_of(rondo_http_request_method(p->request), method, sizeof method)) return false;
    if (!text_of(rondo_http_request_target(p->request), target, sizeof target)) return false;
    p->call = rondo_http_call_new(p->proxy->client, method, url);
    if (!p->call) return false;
    p->open++;
    rondo_on_close(p->call, let_go, p);
    rondo_http_call_set_target(p->call, target);
    rondo_http_call_set_redirects(p->call, 0); /* they are the client's to follow */
    rondo_http_call_on_response(p->call, on_answer, p);
    rondo_http_call_on_data(p->call, on_answer_data, p);
    rondo_http_call_on_end(p->call, on_answer_end, p);
    rondo_http_call_on_drain(p->call, on_upstream_drain, p);
    rondo_http_call_on_error(p->call, on_failure, p);
    copy_request_fields(p);
    if (send_on(p) == 0) return true;
    rondo_close(p->call);
    p->call = NULL;
    return false;
}

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    passage *p = calloc(1, sizeof *p);
    if (!p) {
        rondo_http_response_reply(response, 503, NULL, rondo_slice_of(NULL, 0));
        return;
    }
    *p = (passage){.proxy = arg, .request = request, .response = response, .open = 1};
    p->has_body =
        rondo_http_request_header(request, "Transfer-Encoding").data || length_of(request) > 0;
    rondo_on_close(response, let_go, p);
    rondo_http_response_on_drain(response, on_client_drain, p);
    rondo_http_response_on_aborted(response, on_client_gone, p);
    if (!pass_on(p)) {
        p->response = NULL;
        rondo_http_response_reply(response, 502, NULL, rondo_slice_of(NULL, 0));
    } else if (p->has_body) {
        rondo_http_request_on_data(request, on_request_data, p);
        rondo_http_request_on_end(request, on_request_end, p);
    }
}

static void on_interrupt(rondo_signal *signal, int signum, void *arg) {
    rondo_loop_close_all(rondo_handle_loop(signal));
}

int main(int argc, char **argv) {
    char address[RONDO_ADDRESS_TEXT_BYTES];
    proxy self = {0};
    if (argc < 3 || argc > 2 + UPSTREAMS_MOST) {
        fprintf(stderr, "usage: http_proxy LISTEN_PORT UPSTREAM_PORT...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) self.upstreams[self.count++].port = (uint16_t)atoi(argv[i]);
    self.loop = rondo_loop_new();
    self.client = self.loop ? rondo_http_client_new(self.loop) : NULL;
    self.server = self.client ? rondo_http_server_new(self.loop) : NULL;
    int error = RONDO_ENOMEM;
    if (self.server) {
        rondo_http_server_on_request(self.server, on_request, &self);
        error = rondo_http_server_listen(self.server, "127.0.0.1", (uint16_t)atoi(argv[1]));
    }
    if (error < 0) {
        fprintf(stderr, "http_proxy: port %s: %s\n", argv[1], rondo_error_text(error));
        return 1;
    }
    rondo_http_server_address(self.server, address, sizeof address);
    rondo_signal_start_once(rondo_signal_new(self.loop), SIGINT, on_interrupt, NULL);
    printf("http_proxy: listening on %s, Ctrl-C to stop\n", address);
    fflush(stdout);
    rondo_loop_run(self.loop, RONDO_RUN_ALL);
    rondo_loop_free(self.loop);
    return 0;
}
