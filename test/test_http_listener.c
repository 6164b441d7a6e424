/* SPDX-License-Identifier: MIT
 *
 * HTTP on whatever a rondo_server listens on: the server underneath is the user's to set up.
 */
#include "connecting.h"

static void answer(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_http_response_reply(response, 200, "text/plain", rondo_slice_text("hello"));
}

static rondo_http_server *new_http_server(rondo_loop *loop) {
    rondo_http_server *http = rondo_http_server_new(loop);
    CHECK(http != NULL);
    CHECK_INT(rondo_http_server_on_request(http, answer, NULL), 0);
    CHECK(!rondo_is_active(http));
    return http;
}

/* The fd is connected; closes it. */
static void check_answered(rondo_loop *loop, int fd) {
    char text[512] = "";
    CHECK(fd >= 0);
    harness_send_str(fd, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    run_turns(loop, 6);
    ssize_t count = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    CHECK(count > 0);
    CHECK(strncmp(text, "HTTP/1.1 200 ", 13) == 0 && strstr(text, "hello") != NULL);
    close(fd);
    run_turns(loop, 3);
}

TEST(http_on_a_unix_socket) {
    rondo_loop *loop = new_virtual_loop();
    rondo_http_server *http = new_http_server(loop);
    const char *name = abstract_name();
    char text[RONDO_ADDRESS_TEXT_BYTES];
    rondo_address address;
    CHECK_INT(rondo_server_listen_unix(rondo_http_server_listener(http), name, 0), 0);
    CHECK(rondo_is_active(http)); /* it keeps the loop going */
    CHECK(rondo_http_server_address(http, text, sizeof text) > 0);
    CHECK_STR(text + 5, name);
    CHECK_INT(rondo_http_server_port(http), 0);
    CHECK_INT(rondo_http_server_listen(http, "127.0.0.1", 0), RONDO_EBUSY);
    rondo_address_parse_unix(name, &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(fd, rondo__sockaddr(&address), address.len), 0);
    check_answered(loop, fd);
    CHECK_INT(rondo_http_server_drain(http, 0), 0);
    run_all(loop);
    end_loop(loop);
}

TEST(http_on_a_socket_of_somebody_else) {
    rondo_loop *loop = new_virtual_loop();
    rondo_http_server *http = new_http_server(loop);
    uint16_t port = 0;
    CHECK_INT(rondo_server_open(rondo_http_server_listener(http), listen_on("127.0.0.1", &port, 5)),
              0);
    CHECK_INT(rondo_http_server_port(http), port);
    check_answered(loop, harness_connect(port));
    end_loop(loop);
}

TEST(http_on_a_shared_port) {
    rondo_loop *loop = new_virtual_loop();
    rondo_http_server *one = new_http_server(loop), *two = new_http_server(loop);
    CHECK_INT(rondo_server_set_reuse_port(rondo_http_server_listener(one), true), 0);
    CHECK_INT(rondo_server_set_reuse_port(rondo_http_server_listener(two), true), 0);
    CHECK_INT(rondo_http_server_listen(one, "127.0.0.1", 0), 0);
    CHECK_INT(rondo_http_server_listen(two, "127.0.0.1", rondo_http_server_port(one)), 0);
    for (int i = 0; i < 20; i++) check_answered(loop, harness_connect(rondo_http_server_port(one)));
    end_loop(loop);
}

static void note_drop(rondo_server *server, const rondo_server_drop *drop, void *arg) {
    note("drop:%d", drop->reason);
}
TEST(http_with_a_bound_on_connections) {
    rondo_loop *loop = new_virtual_loop();
    rondo_http_server *http = new_http_server(loop);
    rondo_server *listener = rondo_http_server_listener(http);
    rondo_server_figures figures;
    CHECK_INT(rondo_http_server_listen(http, "127.0.0.1", 0), 0);
    CHECK_INT(rondo_server_set_max_connections(listener, 1), 0);
    CHECK_INT(rondo_server_on_drop(listener, note_drop, NULL), 0);
    int a = harness_connect(rondo_http_server_port(http));
    run_turns(loop, 1);
    int b = harness_connect(rondo_http_server_port(http));
    run_turns(loop, 2);
    CHECK_TRACE("drop:0");
    char byte;
    CHECK_INT(harness_recv_exact(b, &byte, 1), 0);
    check_answered(loop, a);
    rondo_server_get_figures(listener, &figures);
    CHECK_INT(figures.accepted, 1);
    CHECK_INT(figures.dropped, 1);
    CHECK_INT(figures.open, 0);
    check_answered(loop, harness_connect(rondo_http_server_port(http)));
    close(b);
    end_loop(loop);
}

TEST(the_listener_is_gone_when_the_server_has_drained) {
    rondo_loop *loop = new_virtual_loop();
    rondo_http_server *http = new_http_server(loop);
    CHECK_INT(rondo_http_server_listen(http, "127.0.0.1", 0), 0);
    int a = harness_connect(rondo_http_server_port(http));
    harness_send_str(a, "GET / HTTP/1.1\r\n"); /* a request in flight */
    run_turns(loop, 2);
    CHECK_INT(rondo_http_server_drain(http, 0), 0);
    run_turns(loop, 5);
    CHECK(rondo_http_server_listener(http) == NULL);
    close(a);
    end_loop(loop);
}
