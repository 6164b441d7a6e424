/* SPDX-License-Identifier: MIT
 *
 * A small netcat: nc HOST PORT. What comes in on standard input goes to HOST:PORT, and what comes from
 * there to standard output. The end of the input is passed on (a half-close: the peer may still answer);
 * the end of the answer ends the program.
 *
 *   printf 'GET / HTTP/1.0\r\n\r\n' | build/examples/nc localhost 8080
 *
 * compile only: see test/net_examples_test.py
 */
#include <rondo.h>

#include <stdio.h>
#include <stdlib.h>

static rondo_stream *input; /* NULL once it is closed */
static int failure;

/* The pipes pass an error on to the streams at their other ends: it is told once. */
static void on_error(rondo_stream *stream, int error, void *what) {
    if (!failure) fprintf(stderr, "nc: %s: %s\n", (const char *)what, rondo_error_text(error));
    failure = 1;
}

static void on_input_closed(rondo_handle *handle, void *arg) { input = NULL; }

/* The peer has ended and its last byte is written. There may be somebody who still types. */
static void on_output_finished(rondo_stream *output, void *arg) { rondo_close(input); }

int main(int argc, char **argv) {
    rondo_stream *peer, *output;
    if (argc != 3) {
        fprintf(stderr, "usage: nc HOST PORT\n");
        return 2;
    }
    rondo_loop *loop = rondo_loop_new();
    peer = loop ? rondo_connect(loop, argv[1], (uint16_t)atoi(argv[2])) : NULL;
    if (!peer) return 1;
    int error = rondo_stdio_open(loop, 0, &input);
    if (error == 0) error = rondo_stdio_open(loop, 1, &output);
    if (error < 0) {
        fprintf(stderr, "nc: %s: %s\n", input ? "stdout" : "stdin", rondo_error_text(error));
        return 1;
    }
    rondo_stream_on_error(peer, on_error, argv[1]);
    rondo_stream_on_error(input, on_error, "stdin");
    rondo_stream_on_error(output, on_error, "stdout");
    rondo_on_close(input, on_input_closed, NULL);
    rondo_stream_on_finish(output, on_output_finished, NULL);
    rondo_pipe(input, peer);
    rondo_pipe(peer, output);

    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    return failure;
}
