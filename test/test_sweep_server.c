/* SPDX-License-Identifier: MIT
 *
 * Servers, of streams and of HTTP, with a fault at every point (harness/faults.h). What goes wrong
 * with one connection is told there and nowhere else; the server serves the next one.
 */
#define _GNU_SOURCE
#include "faults.h"
#include "http_peer.h"
#include "streams.h"

#include <poll.h>

#define SENDS (CALL_send | CALL_sendmsg | CALL_sendfile)

/* ---- listening ---- */

static const char *listen_host;

static void listen_somewhere(void) {
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = rondo_server_new(loop);
    FAULTS_BEGIN();
    int status = rondo_server_listen(server, listen_host, 0);
    FAULTS_END();
    CHECK_INT(status < 0, faults_struck());
    if (status < 0) {
        CHECK_INT(rondo_server_port(server), 0);
        CHECK(!rondo_is_active(server));
        CHECK_INT(rondo_server_listen(server, listen_host, 0), 0);
    }
    CHECK(rondo_server_port(server) != 0);
    end_loop(loop);
}

TEST(listening_fails_with_nothing_left) {
    const faults_calls calls =
        CALL_socket | CALL_setsockopt | CALL_bind | CALL_listen | CALL_open | CALL_getsockname;
    const char *hosts[] = {"127.0.0.1", "::1", NULL};
    for (int i = 0; i < 3; i++) {
        listen_host = hosts[i];
        FAULT_SWEEP(listen_somewhere, calls, EMFILE);
        FAULT_SWEEP(listen_somewhere, calls, ENOBUFS);
    }
}

/* ---- accepting ---- */

enum { CLIENTS = 4 };

static int accept_error; /* what the sweep does */
static int accepted, server_errors;

static void greet(rondo_server *server, rondo_stream *connection, void *arg) {
    accepted++;
    write_text(connection, "hello");
    rondo_end(connection);
    rondo_resume(connection);
}

static void count_error(rondo_server *server, int error, void *arg) {
    CHECK_INT(error, rondo_error_from_errno(accept_error));
    server_errors++;
}

static void advance(rondo_loop *loop, uint64_t ms) {
    rondo_timer *timer = start_timer(loop, ms, end_idling, loop);
    for (int i = 0; rondo_loop_run(loop, RONDO_RUN_ALL) != 1; i++) CHECK(i < 100);
    rondo__loop_verify(loop);
    rondo_close(timer);
    run_turns(loop, 1);
}

static bool is_about_descriptors(int error) { return error == EMFILE || error == ENFILE; }

/* The system has no descriptors, so those who wait may be turned away; never left hanging. */
static int finish_clients(const int *clients) {
    int greeted = 0;
    for (int i = 0; i < CLIENTS; i++) {
        char text[6] = "";
        struct pollfd entry = {.fd = clients[i], .events = POLLIN};
        if (poll(&entry, 1, 0) != 1) FAIL("client %d hangs", i);
        ssize_t len = recv(clients[i], text, sizeof text, MSG_DONTWAIT);
        if (len == 5)
            greeted++;
        else if (len != 0 || !is_about_descriptors(accept_error))
            FAIL("client %d got %zd", i, len);
        close(clients[i]);
    }
    return greeted;
}

static void accept_clients(void) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = rondo_server_new(loop);
    int clients[CLIENTS];
    accepted = server_errors = 0;
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), 0);
    rondo_server_on_connection(server, greet, NULL);
    rondo_server_on_error(server, count_error, NULL);
    for (int i = 0; i < CLIENTS; i++) clients[i] = harness_connect(rondo_server_port(server));
    FAULTS_BEGIN();
    advance(loop, 1000);
    FAULTS_END();
    unsigned struck = faults_struck();
    int greeted = finish_clients(clients);
    CHECK_INT(greeted, accepted);
    CHECK(greeted == CLIENTS || is_about_descriptors(accept_error));
    CHECK(server_errors <= (int)struck);
    advance(loop, 1000); /* and now everything is as before */
    for (int i = 0; i < CLIENTS; i++) clients[i] = harness_connect(rondo_server_port(server));
    advance(loop, 10);
    CHECK_INT(finish_clients(clients), CLIENTS);
    end_loop(loop);
}

static void sweep_accept(int error) {
    accept_error = error;
    FAULT_SWEEP(accept_clients, CALL_accept4, error);
}

TEST(accepting_with_an_error_that_passes_at_every_point) {
    const int errors[] = {EAGAIN,       EINTR,    ECONNABORTED, EPROTO,    EPERM,
                          EHOSTUNREACH, ENETDOWN, ENONET,       EOPNOTSUPP};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) sweep_accept(errors[i]);
}
TEST(accepting_without_memory_at_every_point) {
    sweep_accept(ENOBUFS);
    sweep_accept(ENOMEM);
}
TEST(accepting_without_descriptors_at_every_point) {
    sweep_accept(EMFILE);
    sweep_accept(ENFILE);
    accept_error = EMFILE;
    FAULT_SWEEP(accept_clients, CALL_accept4 | CALL_open, EMFILE);
}
TEST(accepting_with_a_watch_refused_at_every_point) {
    accept_error = ENOMEM;
    FAULT_SWEEP(accept_clients, CALL_epoll_ctl, ENOMEM);
}

/* ---- HTTP ---- */

static bool is_fatal; /* the faults of the sweep end connections */

static char body[100000];

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_slice answer = rondo_http_request_target(request);
    if (answer.len == 2 && answer.data[1] == 'l') answer = rondo_slice_of(body, sizeof body);
    int status = rondo_http_response_reply(response, 200, "text/plain", answer);
    CHECK(status == 0 || (status == RONDO_ECLOSED && is_fatal && faults_struck()));
}

static const char *const talk =
    GET("/1") GET("/2") "POST /3 HTTP/1.1\r\nHost: a\r\n"
                        "Content-Length: 5\r\n\r\nhello" GET("/l") GET("/4");

static void serve(void) {
    web_host web;
    web_peer peer, next;
    memset(body, 'x', sizeof body);
    web_open(&web, on_request, NULL, NULL);
    peer_open(&web, &peer);
    FAULTS_BEGIN();
    peer_say(&web, &peer, talk);
    web_advance(&web, 1000);
    peer_pump(&web, &peer);
    shutdown(peer.fd, SHUT_WR);
    peer_pump(&web, &peer);
    FAULTS_END();
    if (!is_fatal || !faults_struck()) {
        CHECK_STR(peer_statuses(&peer), "200,200,200,200,200");
        CHECK(peer_has(&peer, "/1") && peer_has(&peer, "/4"));
    } else {
        CHECK(strncmp("200,200,200,200,200", peer_statuses(&peer), strlen(peer_statuses(&peer))) ==
              0);
    }
    CHECK(peer.ended);
    peer_ask(&web, &next, GET("/next")); /* the server is none the worse for it */
    CHECK_STR(peer_statuses(&next), "200");
    CHECK_STR(peer_body(&next), "/next");
    peer_close(&peer);
    peer_close(&next);
    web_close(&web);
}

TEST(http_with_eagain_at_every_point) {
    FAULT_SWEEP(serve, CALL_read | SENDS, EAGAIN);
    FAULT_PERIODS(serve, CALL_read | SENDS, EAGAIN);
}
TEST(http_with_eintr_at_every_point) {
    FAULT_SWEEP(serve, CALL_read | SENDS | CALL_accept4 | CALL_epoll_wait | CALL_close, EINTR);
    FAULT_PERIODS(serve, CALL_read | SENDS | CALL_accept4 | CALL_epoll_wait, EINTR);
}
TEST(http_with_a_short_count_at_every_point) {
    FAULT_SWEEP_SHORT(serve, CALL_read | SENDS, 1);
    FAULT_PERIODS(serve, CALL_read, 0);
}
TEST(http_with_a_fatal_error_at_every_point) {
    const int errors[] = {ECONNRESET, EPIPE, ETIMEDOUT, ENOMEM};
    is_fatal = true;
    for (int i = 0; i < 4; i++) FAULT_SWEEP(serve, SENDS | CALL_shutdown, errors[i]);
    for (int i = 0; i < 4; i++)
        if (errors[i] != EPIPE) FAULT_SWEEP(serve, CALL_read, errors[i]);
    FAULT_SWEEP(serve, CALL_epoll_ctl, ENOMEM);
}
