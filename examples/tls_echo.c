/* SPDX-License-Identifier: MIT
 *
 * Echo with TLS. A server: tls_echo CERTIFICATE.pem KEY.pem [PORT]. SIGHUP makes it read its files
 * again, and connections that are open stay. A client, which sends a line and prints what comes
 * back: tls_echo connect HOST PORT CA.pem. test/tls_test.py runs both with peers of other makes.
 *
 * compile only
 */
#include <rondo.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *what, int error, const char *why) {
    fprintf(stderr, "tls_echo: %s: %s: %s\n", what, rondo_error_text(error), why);
    return 1;
}

/* ---- the server ---- */

static void on_data(rondo_stream *conn, rondo_slice chunk, void *arg) {
    if (!rondo_write(conn, chunk)) rondo_pause(conn);
}

static void on_drain(rondo_stream *conn, void *arg) { rondo_resume(conn); }

/* After the handshake: from here on nothing differs from TCP. */
static void on_connection(rondo_server *server, rondo_stream *conn, void *arg) {
    rondo_stream_on_data(conn, on_data, NULL);
    rondo_stream_on_drain(conn, on_drain, NULL);
}

static void on_drop(rondo_server *server, const rondo_server_drop *drop, void *arg) {
    if (drop->stream) fail("a client", drop->error, rondo_tls_error_text(drop->stream));
}

static void on_hangup(rondo_signal *sighup, int signum, void *tls) {
    int error = rondo_tls_reload(tls);
    if (error) fail("the old certificate stays", error, rondo_tls_context_error(tls));
}

static void on_interrupt(rondo_signal *sigint, int signum, void *arg) {
    rondo_loop_close_all(rondo_handle_loop(sigint));
}

static int serve(rondo_loop *loop, rondo_tls_context *tls, const char *certificate, const char *key,
                 int port) {
    int error = rondo_tls_add_certificate_file(tls, certificate, key);
    if (error) return fail("certificate", error, rondo_tls_context_error(tls));

    rondo_server *server = rondo_server_new(loop);
    rondo_server_set_tls(server, tls);
    rondo_server_on_connection(server, on_connection, NULL);
    rondo_server_on_drop(server, on_drop, NULL);
    error = rondo_server_listen(server, "127.0.0.1", (uint16_t)port);
    if (error) return fail("listen", error, "");
    /* Before the line is out: who reads it may press Ctrl-C at once. */
    rondo_signal_start(rondo_signal_new(loop), SIGHUP, on_hangup, tls);
    rondo_signal_start(rondo_signal_new(loop), SIGINT, on_interrupt, NULL);
    printf("tls_echo: listening on port %d\n", rondo_server_port(server));
    fflush(stdout);
    return rondo_loop_run(loop, RONDO_RUN_ALL);
}

/* ---- the client ---- */

static void on_connect(rondo_stream *conn, void *arg) {
    rondo_tls_info info;
    rondo_tls_get_info(conn, &info);
    printf("%s, %s\n", info.version, info.cipher);
    rondo_write(conn, rondo_slice_text("hello over TLS\n"));
}

static void on_answer(rondo_stream *conn, rondo_slice chunk, void *arg) {
    fwrite(chunk.data, 1, chunk.len, stdout);
    rondo_end(conn);
}

static void on_error(rondo_stream *conn, int error, void *ret_status) {
    *(int *)ret_status = fail("connect", error, rondo_tls_error_text(conn));
}

static int talk(rondo_loop *loop, rondo_tls_context *tls, const char *host, int port,
                const char *authority) {
    rondo_connect_options options = {.host = host, .port = (uint16_t)port, .tls = tls};
    int status = 0, error = rondo_tls_add_trust_file(tls, authority);
    if (error) return fail("trust", error, rondo_tls_context_error(tls));

    rondo_stream *conn = rondo_connect_with(loop, &options);
    rondo_stream_on_connect(conn, on_connect, NULL);
    rondo_stream_on_data(conn, on_answer, NULL);
    rondo_stream_on_error(conn, on_error, &status);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    return status;
}

int main(int argc, char **argv) {
    int is_client = argc == 5 && strcmp(argv[1], "connect") == 0;
    if (!is_client && argc != 3 && argc != 4) {
        fprintf(stderr, "tls_echo CERTIFICATE KEY [PORT] | connect HOST PORT CA\n");
        return 2;
    }
    rondo_loop *loop = rondo_loop_new();
    rondo_tls_context *tls;
    int error = rondo_tls_context_new(is_client ? RONDO_TLS_CLIENT : RONDO_TLS_SERVER, &tls);
    if (error) return fail("TLS", error, "");
    int status = is_client ? talk(loop, tls, argv[2], atoi(argv[3]), argv[4])
                           : serve(loop, tls, argv[1], argv[2], argc > 3 ? atoi(argv[3]) : 8443);
    rondo_loop_close_all(loop);
    while (rondo_loop_run(loop, RONDO_RUN_NOWAIT) != 0) {}
    rondo_loop_free(loop);
    rondo_tls_context_free(tls);
    return status;
}
