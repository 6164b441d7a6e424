/* SPDX-License-Identifier: MIT
 *
 * The time by UDP: udp_time serve [PORT] answers every datagram with the time of day, and
 * udp_time ask HOST PORT asks for it. A datagram may get lost without a word, so the client asks
 * again, three times in all; that nobody has the port it learns at once, from the network.
 *
 * args: serve 8080
 * run: ${BUILD:-build}/examples/udp_time ask 127.0.0.1 8080 => UTC
 */
#include <rondo.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- the server ---- */

static void on_question(rondo_udp *udp, const rondo_udp_message *message, void *arg) {
    char text[64];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
    /* Never longer than the question: whoever forges the sender's address gains nothing by it. */
    size_t len = strlen(text) < message->data.len ? strlen(text) : message->data.len;
    rondo_udp_send(udp, message->from, rondo_slice_of(text, len));
}

static int serve(rondo_loop *loop, int port) {
    char text[RONDO_ADDRESS_TEXT_BYTES];
    rondo_address local;
    rondo_udp *udp = rondo_udp_new(loop);
    int error = rondo_udp_bind(udp, "127.0.0.1", (uint16_t)port);
    if (error == 0) error = rondo_udp_local(udp, &local);
    if (error) {
        fprintf(stderr, "udp_time: port %d: %s\n", port, rondo_error_text(error));
        return 1;
    }
    rondo_address_format(&local, text, sizeof text);
    printf("udp_time: answering at %s, Ctrl-C to stop\n", text);
    fflush(stdout);
    rondo_udp_on_message(udp, on_question, NULL);
    return 0;
}

/* ---- the client ---- */

static int tries, status = 1;

static void on_answer(rondo_udp *udp, const rondo_udp_message *message, void *arg) {
    printf("%.*s\n", (int)message->data.len, message->data.data);
    status = 0;
    rondo_loop_close_all(rondo_handle_loop(udp));
}

static void on_error(rondo_udp *udp, int error, const rondo_address *to, void *arg) {
    fprintf(stderr, "udp_time: %s\n", rondo_error_text(error));
    rondo_loop_close_all(rondo_handle_loop(udp));
}

static void ask_again(rondo_timer *timer, void *arg) {
    char question[64];
    memset(question, '?', sizeof question);
    if (tries++ == 3) {
        fprintf(stderr, "udp_time: no answer\n");
        rondo_loop_close_all(rondo_handle_loop(timer));
        return;
    }
    rondo_udp_send(arg, NULL, rondo_slice_of(question, sizeof question));
}

static int ask(rondo_loop *loop, const char *host, int port) {
    rondo_address server;
    rondo_udp *udp = rondo_udp_new(loop);
    int error = rondo_address_parse(host, (uint16_t)port, &server);
    /* Connected, it hears nobody but the server. */
    if (error == 0) error = rondo_udp_connect(udp, &server);
    if (error) {
        fprintf(stderr, "udp_time: %s port %d: %s\n", host, port, rondo_error_text(error));
        return 1;
    }
    rondo_udp_on_message(udp, on_answer, NULL);
    rondo_udp_on_error(udp, on_error, NULL);
    rondo_timer_start(rondo_timer_new(loop), 0, 1000, ask_again, udp);
    return 0;
}

int main(int argc, char **argv) {
    rondo_loop *loop = rondo_loop_new();
    int failed = 0;
    if (argc >= 2 && argc <= 3 && strcmp(argv[1], "serve") == 0) {
        status = failed = serve(loop, argc > 2 ? atoi(argv[2]) : 8080);
    } else if (argc == 4 && strcmp(argv[1], "ask") == 0) {
        failed = ask(loop, argv[2], atoi(argv[3]));
    } else {
        fprintf(stderr, "usage: udp_time serve [PORT] | ask HOST PORT\n");
        failed = 1;
    }
    if (failed) rondo_loop_close_all(loop);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    return failed ? 2 : status;
}
