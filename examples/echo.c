/* SPDX-License-Identifier: MIT
 *
 * A TCP server that sends back what it receives: echo [PORT]. A client that sends faster than it
 * reads has to wait: its bytes stay in the kernel, not in our memory.
 *
 * args: 8080
 * run: echo hello | curl -s -m 1 telnet://127.0.0.1:8080 => hello
 */
#include <rondo.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void on_data(rondo_stream *conn, rondo_slice chunk, void *arg) {
    if (!rondo_write(conn, chunk)) { /* 0: enough is queued */
        rondo_pause(conn);           /* until 'drain' */
    }
}

static void on_drain(rondo_stream *conn, void *arg) { rondo_resume(conn); }

static void on_connection(rondo_server *server, rondo_stream *conn, void *arg) {
    rondo_stream_on_data(conn, on_data, NULL);
    rondo_stream_on_drain(conn, on_drain, NULL);
}

static void on_interrupt(rondo_signal *sigint, int signum, void *arg) {
    rondo_loop_close_all(rondo_handle_loop(sigint));
}

int main(int argc, char **argv) {
    int port = argc > 1 ? atoi(argv[1]) : 8080;
    char address[64];

    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = rondo_server_new(loop);
    rondo_server_on_connection(server, on_connection, NULL);
    int error = rondo_server_listen(server, "127.0.0.1", (uint16_t)port);
    if (error) {
        fprintf(stderr, "echo: port %d: %s\n", port, rondo_error_text(error));
        return 1;
    }
    rondo_server_address(server, address, sizeof address);
    printf("echo: listening on %s, Ctrl-C to stop\n", address);
    fflush(stdout);
    rondo_signal_start_once(rondo_signal_new(loop), SIGINT, on_interrupt, NULL);

    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    return 0;
}
