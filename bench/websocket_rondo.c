/* SPDX-License-Identifier: MIT
 *
 * Rondo's side of bench/websocket:
 *
 *   websocket_rondo PORT
 *
 * sends every binary message back, and at a text "COUNT SIZE" sends COUNT messages of SIZE octets to
 * all who are connected, one in each turn of the loop.
 */
#include <rondo.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOCKETS_MOST 20000

static rondo_websocket *sockets[SOCKETS_MOST];
static size_t socket_count;
static unsigned long left, size;
static char payload[1 << 20];

static void tell_all(rondo_loop *loop, void *arg) {
    rondo_websocket_message *message;
    (void)arg;
    if (left == 0) return;
    left--;
    if (rondo_websocket_message_new(loop, RONDO_WEBSOCKET_BINARY, rondo_slice_of(payload, size),
                                    &message) < 0)
        return;
    for (size_t i = 0; i < socket_count; i++) rondo_websocket_send_message(sockets[i], message);
    rondo_websocket_message_free(message);
    rondo_immediate(loop, tell_all, NULL);
}

static void on_message(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                       void *arg) {
    char text[64];
    (void)arg;
    if (type == RONDO_WEBSOCKET_BINARY) {
        if (rondo_websocket_send(socket, type, data) == 0) rondo_websocket_pause(socket);
        return;
    }
    snprintf(text, sizeof text, "%.*s", (int)data.len, data.data);
    char *end;
    left = strtoul(text, &end, 10);
    size = strtoul(end, NULL, 10);
    if (size > sizeof payload) size = sizeof payload;
    tell_all(rondo_handle_loop(socket), NULL);
}

static void on_drain(rondo_websocket *socket, void *arg) {
    (void)arg;
    rondo_websocket_resume(socket);
}

static void on_close(rondo_handle *socket, void *arg) {
    (void)arg;
    for (size_t i = 0; i < socket_count; i++)
        if ((void *)sockets[i] == (void *)socket) {
            sockets[i] = sockets[--socket_count];
            return;
        }
}

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_websocket *socket;
    (void)arg;
    if (socket_count == SOCKETS_MOST || !rondo_websocket_asked_for(request)) {
        rondo_http_response_reply(response, 503, NULL, rondo_slice_text(""));
        return;
    }
    if (rondo_websocket_accept(request, response, NULL, &socket) < 0) return;
    rondo_websocket_on_message(socket, on_message, NULL);
    rondo_websocket_on_drain(socket, on_drain, NULL);
    rondo_on_close(socket, on_close, NULL);
    sockets[socket_count++] = socket;
}

static void on_signal(rondo_signal *sigterm, int signum, void *arg) {
    (void)arg, (void)signum;
    rondo_loop_close_all(rondo_handle_loop(sigterm));
}

int main(int argc, char **argv) {
    rondo_loop *loop = rondo_loop_new();
    rondo_http_server *server = loop ? rondo_http_server_new(loop) : NULL;
    if (!server) return 1;
    rondo_http_limits limits = {.connections = SIZE_MAX, .connections_per_address = SIZE_MAX};
    rondo_http_server_set_limits(server, &limits);
    rondo_http_server_on_request(server, on_request, NULL);
    int error =
        rondo_http_server_listen(server, "127.0.0.1", (uint16_t)(argc > 1 ? atoi(argv[1]) : 8080));
    if (error < 0) {
        fprintf(stderr, "websocket_rondo: %s\n", rondo_error_text(error));
        return 1;
    }
    rondo_signal_start_once(rondo_signal_new(loop), SIGTERM, on_signal, NULL);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    return 0;
}
