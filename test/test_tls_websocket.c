/* SPDX-License-Identifier: MIT
 *
 * WebSockets over TLS, both sides in one loop: directly, and inside a proxy's tunnel.
 */
#define _GNU_SOURCE
#include "tls_peers.h"

#include "http_origin.h"

typedef struct secure {
    world w;
    rondo_http_server *server;
    rondo_tls_context *serving, *asking;
    rondo_websocket *accepted;
    char url[64];
} secure;

static void hear_ws_end(rondo_websocket *socket, uint16_t code, rondo_slice reason, void *arg) {
    (void)socket;
    hear(arg, "end %d %.*s", code, (int)reason.len, reason.data);
}
static void hear_ws_error(rondo_websocket *socket, int error, void *arg) {
    heard *h = arg;
    h->status = rondo_websocket_status(socket);
    hear(h, "%s", rondo_error_name(error));
}
static void hear_ws_close(rondo_handle *socket, void *arg) { hear_close((void *)socket, arg); }
static void hear_ws_open(rondo_websocket *socket, void *arg) {
    hear(arg, "open%s", rondo_websocket_is_compressed(socket) ? " compressed" : "");
}
static void hear_ws_message(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                            void *arg) {
    heard *h = arg;
    (void)socket, (void)type;
    h->body_len += data.len;
    if (data.len < 100) hear(h, "%.*s", (int)data.len, data.data);
}

static void echo(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data, void *arg) {
    (void)arg;
    CHECK(rondo_websocket_send(socket, type, data) >= 0);
}
static void accept_it(rondo_http_request *request, rondo_http_response *response, void *arg) {
    secure *s = arg;
    rondo_slice target = rondo_http_request_target(request);
    rondo_websocket_options options = {.compression = RONDO_WEBSOCKET_FRESH};
    options.limits.message_bytes = 4000000;
    if (target.len == 5 && memcmp(target.data, "/down", 5) == 0) {
        rondo_http_response_header(response, "Location", s->w.url);
        rondo_http_response_reply(response, 302, NULL, NO_BODY);
        return;
    }
    CHECK_INT(rondo_websocket_accept(request, response, &options, &s->accepted), 0);
    CHECK_INT(rondo_websocket_on_message(s->accepted, echo, NULL), 0);
}

static void secure_open(secure *s) {
    memset(s, 0, sizeof *s);
    make_site();
    world_open(&s->w);
    s->serving = new_server_context();
    s->asking = new_client_context();
    check_done(s->asking, rondo_tls_set_alpn(s->asking, "http/1.1"));
    s->server = rondo_http_server_new(s->w.loop);
    rondo_http_server_on_request(s->server, accept_it, s);
    CHECK_INT(rondo_http_server_listen(s->server, "127.0.0.1", 0), 0);
    CHECK_INT(rondo_server_set_tls(rondo_http_server_listener(s->server), s->serving), 0);
    snprintf(s->url, sizeof s->url, "wss://127.0.0.1:%d", rondo_http_server_port(s->server));
    CHECK_INT(rondo_http_client_set_tls(s->w.client, s->asking), 0);
    rondo_tls_context_free(s->asking); /* the client keeps it */
}

static void secure_close(secure *s) {
    rondo_close(s->server);
    world_close(&s->w);
    rondo_tls_context_free(s->serving);
    free_site();
}

static rondo_websocket *connect_to(secure *s, const char *target, heard *h) {
    char url[100];
    rondo_websocket *socket;
    rondo_websocket_options options = {.compression = RONDO_WEBSOCKET_FRESH};
    options.limits.message_bytes = 4000000;
    memset(h, 0, sizeof *h);
    snprintf(url, sizeof url, "%s%s", s->url, target);
    int status = rondo_websocket_connect(s->w.client, url, &options, &socket);
    if (status == RONDO_ENOSYS) SKIP("built without wslay");
    CHECK_INT(status, 0);
    rondo_websocket_on_open(socket, hear_ws_open, h);
    rondo_websocket_on_message(socket, hear_ws_message, h);
    rondo_websocket_on_end(socket, hear_ws_end, h);
    rondo_websocket_on_error(socket, hear_ws_error, h);
    CHECK_INT(rondo_on_close(socket, hear_ws_close, h), 0);
    return socket;
}

/* What the one end says goes to the other, as a proxy does it. */
static void relay(int from, int to) {
    char data[16384];
    ssize_t got;
    while ((got = recv(from, data, sizeof data, MSG_DONTWAIT)) > 0)
        CHECK_INT(send(to, data, (size_t)got, MSG_NOSIGNAL), got);
}

static void turns_until_heard(secure *s, const heard *h, const char *what, size_t octets,
                              const int tunnel[2]) {
    for (long long until = harness_now_ms() + 30000; harness_now_ms() < until;) {
        rondo_loop_run(s->w.loop, RONDO_RUN_NOWAIT);
        if (tunnel) {
            relay(tunnel[0], tunnel[1]);
            relay(tunnel[1], tunnel[0]);
        }
        if (strstr(h->text, what) && h->body_len >= octets) return;
    }
    FAIL("no '%s' in: %s (%zu octets)", what, h->text, h->body_len);
}

static void talk(secure *s, rondo_websocket *socket, heard *h, const int tunnel[2]) {
    rondo_tls_info info;
    static char large[1000000]; /* more than a socket takes, and many records */
    turns_until_heard(s, h, "open", 0, tunnel);
    bool compressed = rondo_websocket_is_compressed(socket);
    CHECK_INT(rondo_tls_get_info(rondo_websocket_stream(socket), &info), 0);
    CHECK(info.verified);
    CHECK_INT(rondo_tls_get_info(rondo_websocket_stream(s->accepted), &info), 0);
    CHECK(rondo_websocket_send(socket, RONDO_WEBSOCKET_TEXT, rondo_slice_text("hello")) > 0);
    turns_until_heard(s, h, "hello", 5, tunnel);
    for (size_t i = 0; i < sizeof large; i++) large[i] = (char)(i * i * i >> 9);
    CHECK(rondo_websocket_send(socket, RONDO_WEBSOCKET_BINARY,
                               rondo_slice_of(large, sizeof large)) >= 0);
    turns_until_heard(s, h, "hello", 5 + sizeof large, tunnel);
    CHECK_INT(rondo_websocket_end(s->accepted, 4000, "bye"), 0);
    turns_until_heard(s, h, "close", 0, tunnel);
    CHECK_STR(h->text, compressed ? "open compressed / hello / end 4000 bye / close"
                                  : "open / hello / end 4000 bye / close");
}

TEST(messages_over_tls_both_ways) {
    secure s;
    heard h;
    secure_open(&s);
    talk(&s, connect_to(&s, "/", &h), &h, NULL);
    secure_close(&s);
}

TEST(messages_over_tls_through_a_tunnel) {
    secure s;
    heard h;
    static line l;
    char expected[200];
    secure_open(&s);
    CHECK_INT(rondo_http_client_set_proxy(s.w.client, s.w.url), 0);
    rondo_websocket *socket = connect_to(&s, "/", &h);
    line_ask(&s.w, &l);
    sprintf(expected, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", s.url + 6, s.url + 6);
    CHECK_STR(l.data, expected);
    line_send(&s.w, &l, "HTTP/1.1 200 Connected\r\n\r\n", 26);
    CHECK_INT(fcntl(l.fd, F_SETFL, 0), 0); /* the relay waits until all is sent */
    int tunnel[2] = {l.fd, harness_connect(rondo_http_server_port(s.server))};
    talk(&s, socket, &h, tunnel);
    close(tunnel[1]);
    line_close(&l);
    secure_close(&s);
}

/* From wss to ws: what was said in confidence is not repeated in the open. */
TEST(a_handshake_is_not_led_out_of_tls) {
    secure s;
    heard h;
    secure_open(&s);
    connect_to(&s, "/down", &h);
    turns_until_heard(&s, &h, "close", 0, NULL);
    CHECK_STR(h.text, "EPROTO / end 1006  / close");
    CHECK_INT(h.status, 302);
    CHECK(nobody_connects(&s.w));
    secure_close(&s);
}

TEST(a_server_that_is_not_who_it_should_be_gets_no_handshake) {
    secure s;
    heard h;
    secure_open(&s);
    snprintf(s.url, sizeof s.url, "wss://[::ffff:127.0.0.1]:%d", rondo_http_server_port(s.server));
    connect_to(&s, "/", &h);
    turns_until_heard(&s, &h, "close", 0, NULL);
    CHECK_STR(h.text, "ECERT / end 1006  / close");
    CHECK(s.accepted == NULL);
    secure_close(&s);
}
