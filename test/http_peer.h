/* SPDX-License-Identifier: MIT
 *
 * For the tests of the HTTP server: a server and its clients on one thread. A client is a raw
 * non-blocking socket; between its calls the loop makes turns that never sleep, so every step is
 * seen, and no test waits. Time, where it matters, is the virtual clock's.
 */
#ifndef HTTP_PEER_H
#define HTTP_PEER_H

#include "harness.h"

#include <rondo.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/loop.h"

#define PEER_HELPER __attribute__((unused)) static

/* ---- the server's side ---- */

typedef struct web_host {
    rondo_loop *loop;
    rondo_http_server *server; /* NULL once it has closed */
    uint16_t port;
} web_host;

PEER_HELPER void web_closed(rondo_handle *server, void *arg) {
    (void)server;
    ((web_host *)arg)->server = NULL;
}

/* A server on a virtual clock; limits may be NULL. */
PEER_HELPER void web_open(web_host *web, rondo_http_request_cb cb, void *arg,
                          const rondo_http_limits *limits) {
    web->loop = rondo_loop_new();
    CHECK(web->loop != NULL);
    CHECK_INT(rondo_loop_use_virtual_clock(web->loop, 1000000000), 0);
    web->server = rondo_http_server_new(web->loop);
    CHECK(web->server != NULL);
    if (cb) CHECK_INT(rondo_http_server_on_request(web->server, cb, arg), 0);
    if (limits) rondo_http_server_set_limits(web->server, limits);
    CHECK_INT(rondo_http_server_listen(web->server, "127.0.0.1", 0), 0);
    web->port = rondo_http_server_port(web->server);
    CHECK_INT(rondo_on_close(web->server, web_closed, web), 0);
}

PEER_HELPER void web_turns(web_host *web, int count) {
    while (count-- > 0) rondo_loop_run(web->loop, RONDO_RUN_NOWAIT);
    rondo__loop_verify(web->loop);
}

PEER_HELPER void web_timer_fired(rondo_timer *timer, void *arg) {
    *(bool *)arg = true;
    rondo_close(timer);
}

/* Lets ms of virtual time pass. */
PEER_HELPER void web_advance(web_host *web, uint64_t ms) {
    bool fired = false;
    rondo_timer *timer = rondo_timer_new(web->loop);
    CHECK_INT(rondo_timer_start(timer, ms, 0, web_timer_fired, &fired), 0);
    while (!fired) rondo_loop_run(web->loop, RONDO_RUN_ONCE);
    web_turns(web, 3);
}

/* Closes the server, if it is still open, and runs until nothing is left. */
PEER_HELPER void web_close(web_host *web) {
    if (web->server) rondo_close(web->server);
    web_turns(web, 4);
    CHECK(web->server == NULL);
    CHECK_INT(rondo_loop_run(web->loop, RONDO_RUN_ALL), 0);
    rondo__loop_verify(web->loop);
    rondo_loop_free(web->loop);
}

/* ---- the client's side ---- */

typedef struct web_peer {
    int fd;
    char *data; /* all that was received; 0-terminated */
    size_t len, room;
    bool ended, reset;
} web_peer;

PEER_HELPER void peer_open(web_host *web, web_peer *peer) {
    memset(peer, 0, sizeof *peer);
    peer->fd = harness_connect(web->port);
    int on = 1;
    CHECK_INT(setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    CHECK_INT(fcntl(peer->fd, F_SETFL, O_NONBLOCK), 0);
    peer->data = calloc(1, peer->room = 4096);
    CHECK(peer->data != NULL);
}

/* One read; false when there was nothing. */
PEER_HELPER bool peer_read(web_peer *peer) {
    if (peer->room - peer->len < 2048) {
        peer->data = realloc(peer->data, peer->room *= 2);
        CHECK(peer->data != NULL);
    }
    harness_settle();
    ssize_t got = recv(peer->fd, peer->data + peer->len, peer->room - peer->len - 1, 0);
    if (got < 0 && errno == EAGAIN) return false;
    if (got <= 0) {
        bool before = peer->ended;
        peer->ended = true;
        peer->reset |= got < 0;
        return !before;
    }
    peer->len += (size_t)got;
    peer->data[peer->len] = '\0';
    return true;
}

/* Turns until nothing more comes. */
PEER_HELPER void peer_pump(web_host *web, web_peer *peer) {
    for (int quiet = 0; quiet < 6; quiet++) {
        rondo_loop_run(web->loop, RONDO_RUN_NOWAIT);
        while (peer_read(peer)) quiet = 0;
    }
    rondo__loop_verify(web->loop);
}

/* Sends, making turns while the socket is full. What a closed connection does not take is lost. */
PEER_HELPER void peer_send(web_host *web, web_peer *peer, const void *data, size_t len) {
    const char *at = data;
    for (int idle = 0; len > 0 && idle < 2000;) {
        ssize_t sent = send(peer->fd, at, len, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return;
        if (sent > 0) {
            at += sent;
            len -= (size_t)sent;
            idle = 0;
        } else {
            idle++;
            rondo_loop_run(web->loop, RONDO_RUN_NOWAIT);
            peer_read(peer);
        }
    }
}

/* Sends a string and takes what comes back. */
PEER_HELPER void peer_say(web_host *web, web_peer *peer, const char *text) {
    peer_send(web, peer, text, strlen(text));
    peer_pump(web, peer);
}

/* The same octet by octet, a turn for each. */
PEER_HELPER void peer_spell(web_host *web, web_peer *peer, const char *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        peer_send(web, peer, data + i, 1);
        rondo_loop_run(web->loop, RONDO_RUN_NOWAIT);
        peer_read(peer);
    }
    peer_pump(web, peer);
}

/* Forgets what was received. */
PEER_HELPER void peer_forget(web_peer *peer) {
    peer->len = 0;
    peer->data[0] = '\0';
}

PEER_HELPER void peer_close(web_peer *peer) {
    if (peer->fd >= 0) close(peer->fd);
    harness_settle();
    free(peer->data);
    peer->fd = -1;
    peer->data = NULL;
}

/* Closes with a reset instead of a FIN. */
PEER_HELPER void peer_reset(web_peer *peer) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    CHECK_INT(setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    peer_close(peer);
}

/* ---- answers ---- */

/* How often text occurs in what was received. */
PEER_HELPER int peer_count(const web_peer *peer, const char *text) {
    int count = 0;
    for (const char *at = peer->data; (at = strstr(at, text)); at += strlen(text)) count++;
    return count;
}

PEER_HELPER bool peer_has(const web_peer *peer, const char *text) {
    return strstr(peer->data, text) != NULL;
}

/* The statuses of the answers, in order: "200,404". Bodies must not have "HTTP/1.1 " in them. */
PEER_HELPER const char *peer_statuses(const web_peer *peer) {
    static char text[1024];
    size_t len = 0;
    text[0] = '\0';
    for (const char *at = peer->data; (at = strstr(at, "HTTP/1.1 ")); at += 9)
        if (len < sizeof text - 8)
            len += (size_t)sprintf(text + len, "%s%.3s", len > 0 ? "," : "", at + 9);
    return text;
}

/* What follows the first head. */
PEER_HELPER const char *peer_body(const web_peer *peer) {
    const char *end = strstr(peer->data, "\r\n\r\n");
    return end ? end + 4 : "";
}

/* One connection for one text; free with peer_close(). */
PEER_HELPER void peer_ask(web_host *web, web_peer *peer, const char *text) {
    peer_open(web, peer);
    peer_say(web, peer, text);
}

/* A request callback that answers with the target. */
PEER_HELPER void reply_target(rondo_http_request *request, rondo_http_response *response,
                              void *arg) {
    (void)arg;
    CHECK_INT(
        rondo_http_response_reply(response, 200, "text/plain", rondo_http_request_target(request)),
        0);
}

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"

HARNESS_WARM_UP(answer_once) {
    web_host web;
    web_peer peer;
    web_open(&web, reply_target, NULL, NULL);
    peer_ask(&web, &peer, GET("/"));
    peer_close(&peer);
    web_close(&web);
}

/* A new server gives the same status to a request that comes in one piece and octet by octet. */
PEER_HELPER void check_answer_both_ways(const char *text, const char *status,
                                        const rondo_http_limits *limits,
                                        rondo_http_request_cb on_request) {
    for (int spelled = 0; spelled < 2; spelled++) {
        web_host web;
        web_peer peer;
        web_open(&web, on_request, NULL, limits);
        peer_open(&web, &peer);
        if (spelled)
            peer_spell(&web, &peer, text, strlen(text));
        else
            peer_send(&web, &peer, text, strlen(text));
        peer_pump(&web, &peer);
        CHECK_STR(peer_statuses(&peer), status);
        peer_close(&peer);
        web_close(&web);
    }
}

#endif
