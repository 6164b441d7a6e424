/* SPDX-License-Identifier: MIT
 *
 * A TCP proxy: proxy LISTEN_PORT HOST PORT. What a client sends goes to HOST:PORT, and what comes from
 * there goes to the client. Two pipes do all of it: who sends faster than the other side reads has to
 * wait, the end of one side is passed on to the other, and so are errors.
 *
 * compile only: see test/net_examples_test.py
 */
#include <rondo.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define IDLE_MS 600000

typedef struct target {
    const char *host;
    uint16_t port;
} target;

/* An error that nobody hears of aborts the program, unless it is a client's; the upstream is one that
 * we made. The pipes have closed the client by themselves. */
static void on_error(rondo_stream *upstream, int error, void *arg) {
    fprintf(stderr, "proxy: %s: %s\n", rondo_name(upstream), rondo_error_text(error));
}

static void on_connection(rondo_server *server, rondo_stream *client, void *arg) {
    const target *to = arg;
    rondo_stream *upstream = rondo_connect(rondo_handle_loop(server), to->host, to->port);
    if (!upstream) {
        rondo_close(client);
        return;
    }
    rondo_stream_on_error(upstream, on_error, NULL);
    /* What the client sends before the upstream is open waits: 64 KiB here, the rest in the kernel. */
    int error = rondo_pipe(client, upstream);
    if (error == 0) error = rondo_pipe(upstream, client);
    if (error == 0) error = rondo_stream_set_timeout(client, IDLE_MS); /* silent both ways */
    if (error < 0) rondo_destroy(upstream, error), rondo_close(client);
}

static void on_interrupt(rondo_signal *sigint, int signum, void *arg) {
    rondo_loop_close_all(rondo_handle_loop(sigint));
}

int main(int argc, char **argv) {
    char address[RONDO_ADDRESS_TEXT_BYTES];
    if (argc != 4) {
        fprintf(stderr, "usage: proxy LISTEN_PORT HOST PORT\n");
        return 2;
    }
    target to = {argv[2], (uint16_t)atoi(argv[3])};

    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = loop ? rondo_server_new(loop) : NULL;
    int error =
        server ? rondo_server_listen(server, "127.0.0.1", (uint16_t)atoi(argv[1])) : RONDO_ENOMEM;
    if (error < 0) {
        fprintf(stderr, "proxy: port %s: %s\n", argv[1], rondo_error_text(error));
        return 1;
    }
    rondo_server_on_connection(server, on_connection, &to);
    rondo_server_address(server, address, sizeof address);
    /* Before the line is out: who reads it may press Ctrl-C at once. */
    rondo_signal_start_once(rondo_signal_new(loop), SIGINT, on_interrupt, NULL);
    printf("proxy: listening on %s, Ctrl-C to stop\n", address);
    fflush(stdout);

    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    return 0;
}
