/* SPDX-License-Identifier: MIT
 *
 * WebSockets, both ends: ws_echo [PORT] sends every message back, with backpressure; ws_echo URL
 * connects, sends each line of its standard input as a text and prints what comes. A PEM file with
 * certificate and key in WS_ECHO_CERTIFICATE makes it a server of wss, one in WS_ECHO_TRUST says whom a
 * client believes; WS_ECHO_PROXY is its proxy.
 *
 * args: 8080
 * libs: wslay
 * run: curl -siN -m 2 -H Connection:Upgrade -H Upgrade:websocket -H Sec-WebSocket-Version:13 -H Sec-WebSocket-Key:dGhlIHNhbXBsZSBub25jZQ== http://127.0.0.1:8080/ => s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
 */
#include <rondo.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the server ---- */

static void on_echo(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                    void *arg) {
    /* 0: enough is queued. The peer must wait until it has read some. */
    if (rondo_websocket_send(socket, type, data) == 0) rondo_websocket_pause(socket);
}

static void on_drain(rondo_websocket *socket, void *arg) { rondo_websocket_resume(socket); }

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_websocket_options options = {.compression = RONDO_WEBSOCKET_FRESH, .protocols = "echo"};
    rondo_websocket *socket;
    options.limits.message_bytes = 64 * 1024 * 1024;
    if (getenv("WS_ECHO_CONTEXT")) options.compression = RONDO_WEBSOCKET_CONTEXT;
    if (rondo_websocket_accept(request, response, &options, &socket) < 0) return;
    rondo_websocket_on_message(socket, on_echo, NULL);
    rondo_websocket_on_drain(socket, on_drain, NULL);
}

static void on_signal(rondo_signal *sigint, int signum, void *arg) {
    rondo_http_server_drain(arg, 1000);
    rondo_websocket_end_all(rondo_handle_loop(sigint), 1001, "going away");
    rondo_close(sigint);
}

/* 0 or an error, also where nothing is to be done. */
static int secure(rondo_http_server *server, const char *file) {
    rondo_tls_context *context = NULL;
    if (!file) return 0;
    int error = rondo_tls_context_new(RONDO_TLS_SERVER, &context);
    if (error == 0) error = rondo_tls_add_certificate_file(context, file, file);
    if (error == 0) error = rondo_server_set_tls(rondo_http_server_listener(server), context);
    rondo_tls_context_free(context);
    return error;
}

static int serve(rondo_loop *loop, const char *port) {
    char address[RONDO_ADDRESS_TEXT_BYTES];
    rondo_http_server *server = rondo_http_server_new(loop);
    rondo_http_server_on_request(server, on_request, NULL);
    int error = rondo_http_server_listen(server, "127.0.0.1", (uint16_t)atoi(port));
    if (error == 0) error = secure(server, getenv("WS_ECHO_CERTIFICATE"));
    if (error < 0) {
        fprintf(stderr, "ws_echo: port %s: %s\n", port, rondo_error_text(error));
        return 1;
    }
    rondo_http_server_address(server, address, sizeof address);
    rondo_signal_start_once(rondo_signal_new(loop), SIGINT, on_signal, server);
    printf("ws_echo: listening on %s, Ctrl-C to stop\n", address);
    fflush(stdout);
    return 0;
}

/* ---- the client ---- */

static size_t unanswered;
static bool all_sent;

static void end_if_through(rondo_websocket *socket) {
    if (all_sent && unanswered == 0) rondo_websocket_end(socket, 1000, NULL);
}

static void on_answer(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                      void *arg) {
    printf("%.*s\n", (int)data.len, data.data);
    unanswered--;
    end_if_through(socket);
}

static void on_open(rondo_websocket *socket, void *arg) {
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (rondo_websocket_send(socket, RONDO_WEBSOCKET_TEXT, rondo_slice_text(line)) < 0) break;
        unanswered++;
    }
    all_sent = true;
    end_if_through(socket);
}

static void on_error(rondo_websocket *socket, int error, void *arg) {
    fprintf(stderr, "ws_echo: %s (status %d)\n", rondo_error_text(error),
            rondo_websocket_status(socket));
    *(int *)arg = 1;
}

static void on_close(rondo_handle *socket, void *arg) { rondo_close((rondo_http_client *)arg); }

static int set_up(rondo_http_client *client, const char *trust, const char *proxy) {
    rondo_tls_context *context = NULL;
    int error = proxy ? rondo_http_client_set_proxy(client, proxy) : 0;
    if (error < 0 || !trust) return error;
    error = rondo_tls_context_new(RONDO_TLS_CLIENT, &context);
    if (error == 0) error = rondo_tls_add_trust_file(context, trust);
    if (error == 0) error = rondo_http_client_set_tls(client, context);
    rondo_tls_context_free(context);
    return error;
}

static int talk(rondo_loop *loop, const char *url, int *status) {
    rondo_websocket_options options = {.compression = RONDO_WEBSOCKET_FRESH, .protocols = "echo"};
    rondo_http_client *client = rondo_http_client_new(loop);
    rondo_websocket *socket;
    options.limits.message_bytes = 64 * 1024 * 1024;
    int error = set_up(client, getenv("WS_ECHO_TRUST"), getenv("WS_ECHO_PROXY"));
    if (error == 0) error = rondo_websocket_connect(client, url, &options, &socket);
    if (error < 0) {
        fprintf(stderr, "ws_echo: %s: %s\n", url, rondo_error_text(error));
        rondo_close(client);
        return 1;
    }
    rondo_websocket_on_open(socket, on_open, NULL);
    rondo_websocket_on_message(socket, on_answer, NULL);
    rondo_websocket_on_error(socket, on_error, status);
    rondo_on_close(socket, on_close, client);
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "8080";
    rondo_loop *loop = rondo_loop_new();
    int status = 0;
    if (!loop) return 1;
    int failed = strncmp(what, "ws", 2) == 0 ? talk(loop, what, &status) : serve(loop, what);
    if (failed) {
        rondo_loop_close_all(loop);
        status = failed;
    }
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    return status;
}
