/* SPDX-License-Identifier: MIT
 *
 * A client's handshake: what it asks for, which answers it takes (RFC 6455 section 4.1), and all the
 * ways in which it fails. The server is a raw socket.
 */
#include "websockets.h"

#include "http/websocket/key.h"

#include <netinet/in.h>

static rondo_loop *loop;
static rondo_http_client *client;
static rondo_websocket *socket_;
static int listener;
static char url[64];
static rondo_websocket_options options;

static void setup(void) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof any;
    loop = rondo_loop_new();
    client = rondo_http_client_new(loop);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(listener, (struct sockaddr *)&any, len) == 0 && listen(listener, 5) == 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&any, &len), 0);
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/chat?a=b", ntohs(any.sin_port));
    options = (rondo_websocket_options){0};
    socket_ = NULL;
}

static void teardown(void) {
    close(listener);
    end_loop(loop);
}

static void connect_it(void) {
    CHECK_INT(rondo_websocket_connect(client, url, &options, &socket_), 0);
    ws_note_all(&socket_);
}

/* Turns until something is there to be read. */
static void turns_until(int fd) {
    for (int i = 0; i < 5000; i++) {
        char c;
        rondo_loop_run(loop, RONDO_RUN_NOWAIT);
        if (fd >= 0 && recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) return;
        if (fd < 0 && trace_size > 0) return;
        harness_sleep_ms(1);
    }
    FAIL("nothing comes");
}

static int accept_one(void) {
    int fd;
    CHECK_INT(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    for (int i = 0; (fd = accept(listener, NULL, NULL)) < 0; i++) {
        CHECK(i < 5000);
        rondo_loop_run(loop, RONDO_RUN_NOWAIT);
        harness_sleep_ms(1);
    }
    return fd;
}

/* Takes the connection and reads the request; the key that it has. */
static int take_request(char *request, size_t size, char accept_key[RONDO__ACCEPT_SIZE]) {
    int fd = accept_one();
    turns_until(fd);
    ssize_t len = recv(fd, request, size - 1, 0);
    CHECK(len > 0);
    request[len] = '\0';
    CHECK(strstr(request, "\r\n\r\n"));
    const char *key = strstr(request, "Sec-WebSocket-Key: ");
    CHECK(key != NULL);
    rondo_slice value = rondo_slice_of(key + 19, 24);
    CHECK(rondo__ws_key_is_valid(value));
    rondo__ws_key_accept(value, accept_key);
    return fd;
}

static int answer(const char *format) {
    char request[2048], accept_key[RONDO__ACCEPT_SIZE], text[1024];
    int fd = take_request(request, sizeof request, accept_key);
    int len = snprintf(text, sizeof text, format, accept_key);
    CHECK_INT(send(fd, text, (size_t)len, MSG_NOSIGNAL), len);
    return fd;
}

#define OK                                                                                      \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade" \
    "\r\nSec-WebSocket-Accept: %s\r\n"

TEST(what_is_asked_for_and_the_first_message_behind_the_answer) {
    char request[2048], accept_key[RONDO__ACCEPT_SIZE], text[1024];
    const rondo_http_field fields[] = {{rondo_slice_text("Origin"), rondo_slice_text("http://x")},
                                       {rondo_slice_text("Cookie"), rondo_slice_text("a=b")}};
    setup();
    options = (rondo_websocket_options){.protocols = "a, b",
                                        .compression = RONDO_WEBSOCKET_FRESH,
                                        .fields = fields,
                                        .field_count = 2};
    if (!rondo__ws_deflate_is_there()) options.compression = RONDO_WEBSOCKET_PLAIN;
    connect_it();
    CHECK_INT(rondo_websocket_send(socket_, RONDO_WEBSOCKET_TEXT, rondo_slice_text("a")),
              RONDO_ENOTCONN);
    CHECK_INT(rondo_websocket_end(socket_, 1000, NULL), RONDO_ENOTCONN);
    CHECK_INT(rondo_websocket_status(socket_), 0);
    CHECK(!rondo_websocket_stream(socket_));
    int fd = take_request(request, sizeof request, accept_key);
    CHECK(strncmp(request, "GET /chat?a=b HTTP/1.1\r\n", 24) == 0);
    CHECK(strstr(request, "\r\nUpgrade: websocket\r\n"));
    CHECK(strstr(request, "\r\nConnection: Upgrade\r\n"));
    CHECK(strstr(request, "\r\nSec-WebSocket-Version: 13\r\n"));
    CHECK(strstr(request, "\r\nSec-WebSocket-Protocol: a, b\r\n"));
    CHECK(strstr(request, "\r\nOrigin: http://x\r\n") && strstr(request, "\r\nCookie: a=b\r\n"));
    if (rondo__ws_deflate_is_there())
        CHECK(strstr(request, "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_"));
    int len = snprintf(text, sizeof text, OK "Sec-WebSocket-Protocol: b\r\n\r\n\x81\x05Hello",
                       accept_key);
    CHECK_INT(send(fd, text, (size_t)len, 0), len);
    turns_until(-1);
    run_turns(loop, 3);
    CHECK_TRACE("open text:Hello");
    CHECK_STR(rondo_websocket_protocol(socket_), "b");
    CHECK_INT(rondo_websocket_status(socket_), 101);
    CHECK(!rondo_websocket_is_compressed(socket_));
    rondo_close(client); /* the socket is none of its any more */
    run_turns(loop, 3);
    CHECK(rondo_websocket_send(socket_, RONDO_WEBSOCKET_TEXT, rondo_slice_text("a")) > 0);
    close(fd);
    while (socket_) run_turns(loop, 1);
    trace_size = 0, trace[0] = '\0';
    teardown();
}

TEST(each_answer_that_does_not_fit_is_refused) {
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: %s\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nX: %s\r\n\r\n",
        "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
        "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
        "HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
        "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX: %s\r\n\r\n",
        "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX: %s\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        OK "Sec-WebSocket-Accept: x\r\n\r\n",
        OK "Sec-WebSocket-Protocol: c\r\n\r\n",
        OK "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n\r\n",
        OK "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        OK "Sec-WebSocket-Extensions: x-other\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        setup();
        options.protocols = "a, b";
        connect_it();
        int fd = answer(answers[i]);
        while (socket_) {
            run_turns(loop, 1);
            harness_sleep_ms(1);
        }
        if (!strstr(trace, "end:1006 close")) FAIL("answer %zu: %s", i, trace);
        CHECK(!strstr(trace, "open") && strncmp(trace, "E", 1) == 0);
        trace_size = 0, trace[0] = '\0';
        close(fd);
        teardown();
    }
}

/* ---- elsewhere ---- */

static void run_out(void) {
    while (socket_) {
        run_turns(loop, 1);
        harness_sleep_ms(1);
    }
}

static void say(int fd, const char *text) {
    CHECK_INT(send(fd, text, strlen(text), MSG_NOSIGNAL), (int)strlen(text));
}

/* A redirect is followed, to the same server on the same connection too, and each time with another
 * key: the first one is known to whoever answered. */
TEST(a_redirected_handshake_has_a_new_key) {
    char request[2048], text[1024], keys[3][RONDO__ACCEPT_SIZE];
    const rondo_http_field cookie = {rondo_slice_text("Cookie"), rondo_slice_text("a=b")};
    setup();
    options = (rondo_websocket_options){.fields = &cookie, .field_count = 1};
    connect_it();
    int fd = take_request(request, sizeof request, keys[0]);
    say(fd, "HTTP/1.1 302 F\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
    turns_until(fd);
    ssize_t len = recv(fd, request, sizeof request - 1, 0);
    CHECK(len > 0);
    request[len] = '\0';
    CHECK(strncmp(request, "GET /other HTTP/1.1\r\n", 21) == 0);
    CHECK(strstr(request, "\r\nCookie: a=b\r\n"));
    rondo__ws_key_accept(rondo_slice_of(strstr(request, "Sec-WebSocket-Key: ") + 19, 24), keys[1]);
    CHECK(strcmp(keys[0], keys[1]) != 0);
    /* To another origin, with the same path: what was for the first one's eyes stays behind. */
    snprintf(text, sizeof text,
             "HTTP/1.1 307 T\r\nLocation: http://127.0.0.2:%s\r\nContent-Length: 0\r\n\r\n",
             strrchr(url, ':') + 1);
    close(listener); /* of 127.0.0.1 */
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002)};
    there.sin_port = htons((uint16_t)atoi(strrchr(url, ':') + 1));
    int on = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    CHECK(bind(listener, (struct sockaddr *)&there, sizeof there) == 0 && listen(listener, 5) == 0);
    say(fd, text);
    int second = take_request(request, sizeof request, keys[2]);
    CHECK(strcmp(keys[1], keys[2]) != 0 && strcmp(keys[0], keys[2]) != 0);
    CHECK(!strstr(request, "Cookie"));
    int written = snprintf(text, sizeof text, OK "\r\n\x81\x02hi", keys[2]);
    CHECK_INT(send(second, text, (size_t)written, 0), written);
    turns_until(-1);
    run_turns(loop, 3);
    CHECK_TRACE("open text:hi");
    close(second);
    run_out();
    trace_size = 0, trace[0] = '\0';
    close(fd);
    teardown();
}

TEST(a_redirect_that_leads_nowhere_refuses_the_handshake) {
    static const char *const locations[] = {"ws://127.0.0.1/", "ftp://a/", ""};
    for (size_t i = 0; i < sizeof locations / sizeof locations[0]; i++) {
        char text[256];
        setup();
        connect_it();
        snprintf(text, sizeof text,
                 "HTTP/1.1 302 F\r\nLocation: %s\r\nContent-Length: 0\r\nX: %%s\r\n\r\n",
                 locations[i]);
        if (i == 2) strcpy(text, "HTTP/1.1 302 F\r\nContent-Length: 0\r\nX: %s\r\n\r\n");
        int fd = answer(text);
        for (int turn = 0; turn < 5000 && rondo_websocket_status(socket_) == 0; turn++) {
            run_turns(loop, 1);
            harness_sleep_ms(1);
            if (!socket_) break;
        }
        run_out();
        CHECK_TRACE("EPROTO end:1006 close");
        close(fd);
        teardown();
    }
}

/* The key must not be known from the connection that was stale, either. */
TEST(a_stale_connection_costs_a_handshake_nothing_but_a_key) {
    char request[2048], first[RONDO__ACCEPT_SIZE], second[RONDO__ACCEPT_SIZE], text[1024];
    setup();
    snprintf(text, sizeof text, "http%s", url + 2);
    CHECK(rondo_http_get(client, text, NULL, NULL) != NULL);
    int fd = accept_one();
    turns_until(fd);
    CHECK(recv(fd, request, sizeof request, 0) > 0);
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    rondo_http_client_figures figures = {0};
    while (figures.idle == 0) {
        run_turns(loop, 1);
        rondo_http_client_get_figures(client, &figures);
    }
    connect_it();
    turns_until(fd);
    ssize_t len = recv(fd, request, sizeof request - 1, 0);
    CHECK(len > 0);
    request[len] = '\0';
    rondo__ws_key_accept(rondo_slice_of(strstr(request, "Sec-WebSocket-Key: ") + 19, 24), first);
    close(fd);
    fd = take_request(request, sizeof request, second);
    CHECK(strcmp(first, second) != 0);
    int written = snprintf(text, sizeof text, OK "\r\n", second);
    CHECK_INT(send(fd, text, (size_t)written, 0), written);
    turns_until(-1);
    CHECK_TRACE("open");
    close(fd);
    run_out();
    trace_size = 0, trace[0] = '\0';
    teardown();
}

/* Through a proxy the handshake goes inside a tunnel (RFC 6455 section 4.1). */
TEST(a_proxy_is_asked_for_a_tunnel) {
    char request[2048], key[RONDO__ACCEPT_SIZE], text[1024], proxy[64];
    setup();
    snprintf(proxy, sizeof proxy, "http://%.*s", (int)(strcspn(url + 5, "/")), url + 5);
    CHECK_INT(rondo_http_client_set_proxy(client, proxy), 0);
    strcpy(url, "ws://one.test/chat");
    connect_it();
    int fd = accept_one();
    turns_until(fd);
    ssize_t len = recv(fd, request, sizeof request - 1, 0);
    request[len > 0 ? len : 0] = '\0';
    CHECK_STR(request, "CONNECT one.test:80 HTTP/1.1\r\nHost: one.test:80\r\n\r\n");
    say(fd, "HTTP/1.1 200 Go on\r\n\r\n");
    turns_until(fd);
    len = recv(fd, request, sizeof request - 1, 0);
    request[len > 0 ? len : 0] = '\0';
    CHECK(strncmp(request, "GET /chat HTTP/1.1\r\nHost: one.test\r\n", 36) == 0);
    rondo__ws_key_accept(rondo_slice_of(strstr(request, "Sec-WebSocket-Key: ") + 19, 24), key);
    int written = snprintf(text, sizeof text, OK "\r\n\x81\x02hi", key);
    CHECK_INT(send(fd, text, (size_t)written, 0), written);
    turns_until(-1);
    run_turns(loop, 3);
    CHECK_TRACE("open text:hi");
    close(fd);
    run_out();
    trace_size = 0, trace[0] = '\0';
    connect_it();
    fd = accept_one();
    say(fd, "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n");
    run_out();
    CHECK_TRACE("EPERM end:1006 close");
    close(fd);
    teardown();
}

TEST(what_can_not_be_connected_to_is_told) {
    static const char *const wrong[] = {"http://a/", "ws:/a", "", "ws://a/#b", "wsx://a/"};
    setup();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CHECK_INT(rondo_websocket_connect(client, wrong[i], NULL, &socket_), RONDO_EINVAL);
    options.protocols = "a a";
    CHECK_INT(rondo_websocket_connect(client, url, &options, &socket_), RONDO_EINVAL);
    const rondo_http_field bad = {rondo_slice_text("X"), rondo_slice_text("a\r\nb")};
    options = (rondo_websocket_options){.fields = &bad, .field_count = 1};
    CHECK_INT(rondo_websocket_connect(client, url, &options, &socket_), RONDO_EINVAL);
    CHECK(socket_ == NULL);
    options = (rondo_websocket_options){0};
    close(listener);
    memcpy(url, "WS", 2); /* a scheme is one in any case */
    connect_it();
    while (socket_) {
        run_turns(loop, 1);
        harness_sleep_ms(1);
    }
    CHECK_TRACE("ECONNREFUSED end:1006 close");
    listener = dup(0);
    teardown();
}

TEST(a_server_that_does_not_answer_and_a_client_that_closes) {
    setup();
    options.limits.open_timeout_ms = 20;
    connect_it();
    while (socket_) {
        run_turns(loop, 1);
        harness_sleep_ms(1);
    }
    CHECK_TRACE("ETIMEDOUT end:1006 close");
    options.limits.open_timeout_ms = 0;
    connect_it();
    rondo_close(socket_);
    while (socket_) run_turns(loop, 1);
    CHECK_TRACE("close");
    connect_it();
    run_turns(loop, 5);
    rondo_websocket *another;
    rondo_close(client);
    CHECK_INT(rondo_websocket_connect(client, url, NULL, &another), RONDO_ECLOSED);
    while (socket_) run_turns(loop, 1);
    CHECK_TRACE("ECANCELED end:1006 close");
    teardown();
}

TEST(without_memory_connecting_is_an_error) {
    for (long n = 0;; n++) {
        setup();
        harness_fail_alloc_after(n);
        int status = rondo_websocket_connect(client, url, &options, &socket_);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        CHECK_INT(status, failed && status < 0 ? RONDO_ENOMEM : 0);
        teardown();
        if (!failed) break;
    }
}
