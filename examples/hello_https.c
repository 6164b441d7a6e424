/* SPDX-License-Identifier: MIT
 *
 * A web server that says hello over HTTPS: hello_https CERTIFICATE.pem KEY.pem [PORT]. Everything
 * that an HTTP server can do it can do over TLS: its listener is given a context.
 *
 * compile only
 */
#include <rondo.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void on_request(rondo_http_request *req, rondo_http_response *res, void *arg) {
    rondo_http_response_reply(res, 200, "text/plain", rondo_slice_text("hello over TLS\n"));
}

static void on_interrupt(rondo_signal *sigint, int signum, void *arg) {
    rondo_loop_close_all(rondo_handle_loop(sigint));
}

int main(int argc, char **argv) {
    int port = argc > 3 ? atoi(argv[3]) : 8443;
    rondo_loop *loop = rondo_loop_new();
    rondo_tls_context *tls = NULL;
    if (argc < 3 || rondo_tls_context_new(RONDO_TLS_SERVER, &tls) != 0) return 2;
    if (rondo_tls_add_certificate_file(tls, argv[1], argv[2]) != 0) {
        fprintf(stderr, "hello_https: %s\n", rondo_tls_context_error(tls));
        return 1;
    }
    rondo_tls_set_alpn(tls, "http/1.1");

    rondo_http_server *server = rondo_http_server_new(loop);
    rondo_http_server_on_request(server, on_request, NULL);
    rondo_server_set_tls(rondo_http_server_listener(server), tls);
    rondo_tls_context_free(tls); /* the server keeps it */
    int error = rondo_http_server_listen(server, "127.0.0.1", (uint16_t)port);
    if (error) {
        fprintf(stderr, "hello_https: port %d: %s\n", port, rondo_error_text(error));
        return 1;
    }
    /* Before the line is out: who reads it may press Ctrl-C at once. */
    rondo_signal_start_once(rondo_signal_new(loop), SIGINT, on_interrupt, NULL);
    printf("hello_https: listening on port %d\n", rondo_http_server_port(server));
    fflush(stdout);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    return 0;
}
