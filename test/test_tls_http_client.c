/* SPDX-License-Identifier: MIT
 *
 * The HTTP client over TLS: directly and inside a proxy's tunnel, against Rondo's own server.
 */
#define _GNU_SOURCE
#include "tls_peers.h"

#include "http_origin.h"

static void reply(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_slice target = rondo_http_request_target(request);
    (void)arg;
    if (target.len == 5 && memcmp(target.data, "/down", 5) == 0) {
        rondo_http_response_header(response, "Location", "http://127.0.0.1/plain");
        rondo_http_response_reply(response, 302, NULL, NO_BODY);
        return;
    }
    rondo_http_response_reply(response, 200, "text/plain", rondo_http_request_target(request));
}

typedef struct secure {
    world w;
    rondo_http_server *server;
    rondo_tls_context *serving, *asking;
    int port;
} secure;

static void secure_open(secure *s, const char *alpn) {
    make_site();
    world_open(&s->w);
    s->serving = new_server_context();
    s->asking = new_client_context();
    check_done(s->serving, rondo_tls_set_alpn(s->serving, alpn));
    check_done(s->asking, rondo_tls_set_alpn(s->asking, alpn));
    s->server = rondo_http_server_new(s->w.loop);
    rondo_http_server_on_request(s->server, reply, NULL);
    CHECK_INT(rondo_http_server_listen(s->server, "127.0.0.1", 0), 0);
    CHECK_INT(rondo_server_set_tls(rondo_http_server_listener(s->server), s->serving), 0);
    s->port = rondo_http_server_port(s->server);
    CHECK_INT(rondo_http_client_set_tls(s->w.client, s->asking), 0);
    rondo_tls_context_free(s->asking); /* the client keeps it */
}

static void secure_close(secure *s) {
    if (s->server) rondo_close(s->server);
    world_close(&s->w);
    rondo_tls_context_free(s->serving);
    free_site();
}

static const char *secure_url(const secure *s, const char *host, const char *target) {
    static char text[200];
    snprintf(text, sizeof text, "https://%s:%d%s", host, s->port, target);
    return text;
}

static void wait_for(world *w, const heard *h) {
    for (long long until = harness_now_ms() + 30000; h->closes == 0 && harness_now_ms() < until;)
        rondo_loop_run(w->loop, RONDO_RUN_NOWAIT);
    CHECK_INT(h->closes, 1);
}

TEST(https_with_a_verified_name) {
    secure s;
    heard h;
    secure_open(&s, "http/1.1");
    for (int i = 0; i < 3; i++) {
        new_call(&s.w, &h, "GET", secure_url(&s, "127.0.0.1", "/secret"));
        CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
        wait_for(&s.w, &h);
        CHECK_STR(h.text, "response 200 / end / close");
        CHECK_STR(h.body, "/secret");
    }
    CHECK_INT(figures(&s.w).connects, 1);
    secure_close(&s);
}

static void hear_why(rondo_http_call *call, int error, void *arg) {
    hear_error(call, error, arg);
    CHECK(*rondo_http_call_tls_error(call) != '\0');
}

TEST(a_certificate_for_another_name_is_refused) {
    secure s;
    heard h;
    secure_open(&s, "http/1.1");
    new_call(&s.w, &h, "GET", secure_url(&s, "[::ffff:127.0.0.1]", "/"));
    rondo_http_call_on_error(h.call, hear_why, &h);
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    wait_for(&s.w, &h);
    CHECK_STR(h.text, "ECERT / close");
    secure_close(&s);
}

TEST(another_protocol_than_http_1_is_refused) {
    secure s;
    heard h;
    secure_open(&s, "h2");
    new_call(&s.w, &h, "GET", secure_url(&s, "127.0.0.1", "/"));
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    wait_for(&s.w, &h);
    CHECK_STR(h.text, "EPROTO / close");
    secure_close(&s);
}

TEST(new_trust_is_not_for_old_connections) {
    secure s;
    heard h;
    secure_open(&s, "http/1.1");
    for (int i = 0; i < 2; i++) {
        new_call(&s.w, &h, "GET", secure_url(&s, "127.0.0.1", "/"));
        rondo_http_call_on_error(h.call, hear_why, &h);
        CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
        wait_for(&s.w, &h);
        CHECK_STR(h.text, i == 0 ? "response 200 / end / close" : "ECERT / close");
        if (i > 0) break;
        credential other; /* that has signed nothing here */
        make_credential(&other, (wish){.subject = "Other Root", .authority = true});
        rondo_tls_context *strict = new_context(RONDO_TLS_CLIENT);
        check_done(strict, rondo_tls_add_trust(strict, rondo_slice_text(other.pem)));
        CHECK_INT(rondo_http_client_set_tls(s.w.client, strict), 0);
        CHECK_INT(figures(&s.w).idle, 0);
        rondo_tls_context_free(strict);
        free_credential(&other);
    }
    secure_close(&s);
}

TEST(a_redirect_does_not_leave_https) {
    secure s;
    heard h;
    secure_open(&s, "http/1.1");
    new_call(&s.w, &h, "GET", secure_url(&s, "127.0.0.1", "/down"));
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    wait_for(&s.w, &h);
    CHECK_STR(h.text, "response 302 / end / close");
    secure_close(&s);
}

/* An `Upgrade` is answered by an echo. */
static void echo_data(rondo_stream *stream, rondo_slice chunk, void *arg) {
    (void)arg;
    rondo_write(stream, chunk);
}
static void switch_protocols(rondo_http_request *request, rondo_http_response *response,
                             void *arg) {
    rondo_stream *stream;
    (void)arg;
    rondo_http_response_header(response, "Upgrade", "echo");
    CHECK_INT(rondo_http_response_upgrade(response, 101, &stream), 0);
    (void)request;
    rondo_stream_on_data(stream, echo_data, NULL);
    rondo_stream_on_error(stream, NULL, NULL);
}

static rondo_stream *taken;

static void take(rondo_http_call *call, void *arg) {
    hear_response(call, arg);
    CHECK_INT(rondo_http_call_upgrade(call, &taken), 0);
}
static void hear_stream(rondo_stream *stream, rondo_slice chunk, void *arg) {
    heard *h = arg;
    (void)stream;
    CHECK(h->body_len + chunk.len < sizeof h->body);
    memcpy(h->body + h->body_len, chunk.data, chunk.len);
    h->body_len += chunk.len;
}

TEST(an_upgrade_over_tls_gives_a_stream_with_tls) {
    secure s;
    heard h;
    rondo_tls_info info;
    secure_open(&s, "http/1.1");
    CHECK_INT(rondo_http_server_on_request(s.server, switch_protocols, NULL), 0);
    new_call(&s.w, &h, "GET", secure_url(&s, "127.0.0.1", "/"));
    CHECK_INT(rondo_http_call_header(h.call, "Upgrade", "echo"), 0);
    rondo_http_call_on_response(h.call, take, &h);
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    wait_for(&s.w, &h);
    CHECK_STR(h.text, "response 101 / end / close");
    CHECK_INT(rondo_tls_get_info(taken, &info), 0);
    CHECK_STR(info.alpn, "http/1.1");
    CHECK(info.verified);
    CHECK_INT(rondo_stream_on_data(taken, hear_stream, &h), 0);
    CHECK_INT(rondo_write(taken, rondo_slice_text("in secret")), 1);
    for (long long until = harness_now_ms() + 30000; h.body_len < 9 && harness_now_ms() < until;)
        rondo_loop_run(s.w.loop, RONDO_RUN_NOWAIT);
    CHECK_STR(h.body, "in secret");
    rondo_close(taken);
    secure_close(&s);
}

/* ---- proxies ---- */

/* The server plays the proxy: it answers what it is asked by absolute-form. */
TEST(http_by_way_of_a_proxy_over_tls) {
    secure s;
    heard h;
    char proxy[64];
    secure_open(&s, "http/1.1");
    snprintf(proxy, sizeof proxy, "https://127.0.0.1:%d", s.port);
    CHECK_INT(rondo_http_client_set_proxy(s.w.client, proxy), 0);
    for (int i = 0; i < 2; i++) {
        new_call(&s.w, &h, "GET", i ? "http://two.test/" : "http://one.test/a");
        CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
        wait_for(&s.w, &h);
        CHECK_STR(h.text, "response 200 / end / close");
        CHECK_STR(h.body, i ? "http://two.test/" : "http://one.test/a");
    }
    CHECK_INT(figures(&s.w).connects, 1);
    /* It is checked whether it is the proxy that was meant. */
    snprintf(proxy, sizeof proxy, "https://[::ffff:127.0.0.1]:%d", s.port);
    CHECK_INT(rondo_http_client_set_proxy(s.w.client, proxy), 0);
    new_call(&s.w, &h, "GET", "http://one.test/");
    rondo_http_call_on_error(h.call, hear_why, &h);
    CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
    wait_for(&s.w, &h);
    CHECK_STR(h.text, "ECERT / close");
    CHECK_INT(h.stage, RONDO_HTTP_STAGE_TLS);
    secure_close(&s);
}

/* A listener that never says a word: the handshake's time is over, directly and in a tunnel. */
TEST(a_handshake_has_its_time) {
    for (int tunnel = 0; tunnel < 2; tunnel++) {
        secure s;
        heard h;
        static line l;
        char url[64];
        secure_open(&s, "http/1.1");
        check_done(s.asking, rondo_tls_set_handshake_timeout(s.asking, 0));
        rondo_http_client_set_limits(s.w.client,
                                     &(rondo_http_client_limits){.tls_timeout_ms = 5000});
        snprintf(url, sizeof url, "https://127.0.0.1:%d/", s.w.port);
        if (tunnel) CHECK_INT(rondo_http_client_set_proxy(s.w.client, s.w.url), 0);
        new_call(&s.w, &h, "GET", url);
        CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
        line_ask(&s.w, &l);
        if (tunnel) line_say(&s.w, &l, "HTTP/1.1 200 Connected\r\n\r\n");
        turns(&s.w, 5);
        CHECK_INT(rondo_http_call_stage(h.call), RONDO_HTTP_STAGE_TLS);
        advance(&s.w, 4800);
        CHECK_STR(h.text, "");
        advance(&s.w, 400);
        CHECK_STR(h.text, "ETIMEDOUT / close");
        CHECK_INT(h.stage, RONDO_HTTP_STAGE_TLS);
        CHECK_STR(h.words, "the TLS handshake was not done in time");
        line_close(&l);
        secure_close(&s);
    }
}

/* A kept connection with TLS may hold tickets that nobody has read: it is as good as any. One whose
 * server has said goodbye is not. */
TEST(what_can_not_be_made_again_gets_no_closed_connection_with_tls) {
    secure s;
    heard h;
    secure_open(&s, "http/1.1");
    for (int i = 0; i < 4; i++) {
        if (i == 3) { /* the server's part of the loop closes it; the client's has not heard */
            rondo_close(s.server);
            s.server = NULL;
        }
        new_call(&s.w, &h, "POST", secure_url(&s, "127.0.0.1", "/x"));
        CHECK_INT(rondo_http_call_send(h.call, rondo_slice_text("body")), 0);
        wait_for(&s.w, &h);
        CHECK_STR(h.text, i < 3 ? "response 200 / end / close" : "ECONNREFUSED / close");
    }
    CHECK_INT(figures(&s.w).connects, 2);
    CHECK_INT(figures(&s.w).stale_found, 1);
    CHECK_INT(figures(&s.w).reuses, 2);
    secure_close(&s);
}

/* What the one end says goes to the other, as a proxy does it. */
static void relay(int from, int to) {
    char data[16384];
    ssize_t got = recv(from, data, sizeof data, MSG_DONTWAIT);
    if (got > 0) CHECK_INT(send(to, data, (size_t)got, MSG_NOSIGNAL), got);
}

TEST(https_inside_a_tunnel) {
    secure s;
    heard h;
    static line l;
    char expected[200];
    secure_open(&s, "http/1.1");
    CHECK_INT(rondo_http_client_set_proxy(s.w.client, s.w.url), 0);
    int upstream = -1;
    for (int i = 0; i < 2; i++) { /* the tunnel is kept */
        new_call(&s.w, &h, "GET", secure_url(&s, "127.0.0.1", "/inner"));
        CHECK_INT(rondo_http_call_header(h.call, "Cookie", "secret"), 0);
        CHECK_INT(rondo_http_call_send(h.call, NO_BODY), 0);
        if (i == 0) {
            line_ask(&s.w, &l);
            sprintf(expected, "CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", s.port,
                    s.port);
            CHECK_STR(l.data, expected);
            upstream = harness_connect(s.port);
            line_send(&s.w, &l, "HTTP/1.1 200 Connected\r\n\r\n", 26);
        }
        for (long long until = harness_now_ms() + 30000;
             h.closes == 0 && harness_now_ms() < until;) {
            rondo_loop_run(s.w.loop, RONDO_RUN_NOWAIT);
            relay(l.fd, upstream);
            relay(upstream, l.fd);
        }
        CHECK_STR(h.text, "response 200 / end / close");
        CHECK_STR(h.body, "/inner");
    }
    CHECK_INT(figures(&s.w).connects, 1);
    close(upstream);
    line_close(&l);
    secure_close(&s);
}
