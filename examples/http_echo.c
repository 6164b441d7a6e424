/* SPDX-License-Identifier: MIT
 *
 * An HTTP server that answers with what it is sent: http_echo [PORT [CERTIFICATE.pem KEY.pem]], with TLS
 * if it has a certificate. A long body is passed on piece
 * by piece; a client that sends faster than it reads has to wait. Ctrl-C lets requests finish.
 *
 * args: 8080
 * run: curl -s -d hello http://127.0.0.1:8080/ => hello
 */
#include <rondo.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A body of up to this size is kept until it is complete: should it turn out to be broken, the
 * client gets an error, not half an echo. */
#define KEPT_BYTES 16384

typedef struct exchange {
    rondo_http_request *request;
    rondo_http_response *response;
    size_t kept;
    char body[KEPT_BYTES];
} exchange;

static void add_url(exchange *echo) {
    rondo_slice target = rondo_http_request_target(echo->request);
    char url[8192 + 1];

    if (target.len < sizeof url) {
        memcpy(url, target.data, target.len);
        url[target.len] = '\0';
        rondo_http_response_header(echo->response, "X-Url", url);
    }
}

static void on_data(rondo_http_request *request, rondo_slice chunk, void *arg) {
    exchange *echo = arg;

    if (rondo_http_response_status(echo->response) == 0) {
        if (chunk.len <= sizeof echo->body - echo->kept) {
            memcpy(echo->body + echo->kept, chunk.data, chunk.len);
            echo->kept += chunk.len;
            return;
        }
        add_url(echo);
        rondo_http_response_begin(echo->response, 200, -1);
        rondo_http_response_write(echo->response, rondo_slice_of(echo->body, echo->kept));
    }
    int result = rondo_http_response_write(echo->response, chunk);
    if (result == 0)
        rondo_http_request_pause(request); /* enough is queued, until `drain` */
    else if (result < 0)
        rondo_close(echo->response);
}

static void on_drain(rondo_http_response *response, void *arg) {
    rondo_http_request_resume(((exchange *)arg)->request);
}

static void on_end(rondo_http_request *request, void *arg) {
    exchange *echo = arg;

    if (rondo_http_response_status(echo->response) != 0) {
        rondo_http_response_end(echo->response);
    } else {
        add_url(echo);
        rondo_http_response_reply(echo->response, 200, NULL,
                                  rondo_slice_of(echo->body, echo->kept));
    }
}

static void on_aborted(rondo_http_response *response, void *arg) { rondo_close(response); }

static void on_close(rondo_handle *response, void *arg) { free(arg); }

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    exchange *echo = malloc(sizeof *echo);

    if (!echo || rondo_on_close(response, on_close, echo) != 0) {
        free(echo);
        rondo_close(response);
        return;
    }
    echo->request = request;
    echo->response = response;
    echo->kept = 0;
    rondo_http_request_on_data(request, on_data, echo);
    rondo_http_request_on_end(request, on_end, echo);
    rondo_http_response_on_drain(response, on_drain, echo);
    rondo_http_response_on_aborted(response, on_aborted, NULL);
}

static void on_interrupt(rondo_signal *sigint, int signum, void *server) {
    rondo_http_server_drain(server, 5000);
    rondo_close(sigint);
}

static bool use_tls(rondo_http_server *server, const char *certificate, const char *key) {
    rondo_tls_context *tls = NULL;

    int error = rondo_tls_context_new(RONDO_TLS_SERVER, &tls);
    if (!error) error = rondo_tls_add_certificate_file(tls, certificate, key);
    if (!error) error = rondo_server_set_tls(rondo_http_server_listener(server), tls);
    if (error)
        fprintf(stderr, "http_echo: %s: %s\n", rondo_error_text(error),
                tls ? rondo_tls_context_error(tls) : "");
    rondo_tls_context_free(tls); /* the server has its own share of it */
    return !error;
}

int main(int argc, char **argv) {
    int port = argc > 1 ? atoi(argv[1]) : 8080;
    char address[64];

    rondo_loop *loop = rondo_loop_new();
    rondo_http_server *server = rondo_http_server_new(loop);
    rondo_http_server_on_request(server, on_request, NULL);
    if (argc > 3 && !use_tls(server, argv[2], argv[3])) return 1;
    int error = rondo_http_server_listen(server, "127.0.0.1", (uint16_t)port);
    if (error) {
        fprintf(stderr, "http_echo: port %d: %s\n", port, rondo_error_text(error));
        return 1;
    }
    rondo_http_server_address(server, address, sizeof address);
    /* Before the line is out: who reads it may press Ctrl-C at once. */
    rondo_signal_start_once(rondo_signal_new(loop), SIGINT, on_interrupt, server);
    printf("http_echo: listening on %s, Ctrl-C to stop\n", address);
    fflush(stdout);

    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    return 0;
}
