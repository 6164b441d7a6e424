/* SPDX-License-Identifier: MIT
 *
 * A TCP server that sends back what it receives: echo [PORT]. Everything that a server on the
 * internet needs is here: a client that sends faster than it reads has to wait (its bytes stay in
 * the kernel, not in our memory), one that is silent for a minute is turned away, and Ctrl-C closes
 * all that is open. A client that vanishes is no matter: its connection closes, and that is all.
 *
 * args: 8080
 * run: echo hello | curl -s -m 1 telnet://127.0.0.1:8080 => hello
 */
#include <rondo.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define IDLE_MS 60000

/* The chunk is Rondo's until we return. rondo_write() copies it, and sends it when we have
 * returned. */
static void on_data(rondo_stream *client, rondo_slice chunk, void *arg) {
    int result = rondo_write(client, chunk);
    if (result == 0)
        rondo_pause(client); /* taken, but enough is queued: read on at `drain` */
    else if (result < 0)
        rondo_destroy(client, result); /* out of memory: better no echo than half of one */
}

static void on_drain(rondo_stream *client, void *arg) { rondo_resume(client); }

/* When the client has sent its last byte, Rondo writes what is queued and closes. */
static void on_connection(rondo_server *server, rondo_stream *client, void *arg) {
    rondo_stream_on_data(client, on_data, NULL);
    rondo_stream_on_drain(client, on_drain, NULL);
    rondo_stream_set_timeout(client, IDLE_MS); /* nobody listens for `timeout`: it fails */
}

static void on_interrupt(rondo_signal *sigint, int signum, void *arg) {
    rondo_loop_close_all(rondo_handle_loop(sigint)); /* nothing is alive then: the loop ends */
}

int main(int argc, char **argv) {
    int port = argc > 1 ? atoi(argv[1]) : 8080;
    char address[RONDO_ADDRESS_TEXT_BYTES];

    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = loop ? rondo_server_new(loop) : NULL;
    int error = server ? rondo_server_listen(server, "127.0.0.1", (uint16_t)port) : RONDO_ENOMEM;
    if (error < 0) {
        fprintf(stderr, "echo: port %d: %s\n", port, rondo_error_text(error));
        return 1;
    }
    rondo_server_on_connection(server, on_connection, NULL);
    rondo_server_address(server, address, sizeof address);
    /* Before the line is out: who reads it may press Ctrl-C at once. */
    rondo_signal_start_once(rondo_signal_new(loop), SIGINT, on_interrupt, NULL);
    printf("echo: listening on %s, Ctrl-C to stop\n", address);
    fflush(stdout);

    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    return 0;
}
