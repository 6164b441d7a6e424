/* SPDX-License-Identifier: MIT
 *
 * A chat room: chat [PORT]. The first line that a client sends is its name, each further one goes to
 * all the others. One who does not read does not hurt them: what it has not taken waits in its own
 * queue, and when that is full it is cut off.
 *
 * args: 8080
 * run: printf 'ann\nhello\n' | curl -s -m 1 telnet://127.0.0.1:8080 => * welcome, ann
 */
#include <rondo.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAP_BYTES 262144 /* the most that may wait for one client */

typedef struct client {
    rondo_stream *stream;
    struct client *next;
    char name[33]; /* empty until it is known */
    char line[512];
    size_t len;
} client;

static client *clients;

/* rondo_write() says 0 above the mark. There is nothing that we could do about it here: the others
 * go on talking. At the cap it refuses, and the client has lost its place. */
static void broadcast(const client *except, const char *text) {
    for (client *c = clients; c; c = c->next) {
        if (c == except || !c->name[0] || rondo_is_closing(c->stream)) continue;
        if (rondo_write(c->stream, rondo_slice_text(text)) < 0) rondo_close(c->stream);
    }
}

static void say(const client *from, const char *before, const char *between, const char *what) {
    char text[sizeof from->name + sizeof from->line + 16];
    snprintf(text, sizeof text, "%s%s%s%s\n", before, from->name, between, what);
    broadcast(from, text);
}

static void take_line(client *c) {
    c->line[c->len] = '\0';
    c->len = 0;
    if (c->name[0]) {
        say(c, "", ": ", c->line);
        return;
    }
    char welcome[64];
    snprintf(c->name, sizeof c->name, "%.32s", c->line[0] ? c->line : "somebody");
    snprintf(welcome, sizeof welcome, "* welcome, %s\n", c->name);
    rondo_write(c->stream, rondo_slice_text(welcome));
    say(c, "* ", " has joined", "");
}

static void on_data(rondo_stream *stream, rondo_slice chunk, void *arg) {
    client *c = arg;
    for (size_t i = 0; i < chunk.len && !rondo_is_closing(stream); i++) {
        unsigned char byte = (unsigned char)chunk.data[i];
        if (byte == '\n')
            take_line(c);
        else if (byte < ' ' || byte == 127)
            continue; /* no escape codes for the others' terminals */
        else if (c->len + 1 < sizeof c->line)
            c->line[c->len++] = (char)byte;
        else
            rondo_close(stream); /* a line without an end */
    }
}

/* The one place where a client goes, whatever it was that ended it. */
static void on_close(rondo_handle *stream, void *arg) {
    client **link = &clients, *c = arg;
    while (*link != c) link = &(*link)->next;
    *link = c->next;
    if (c->name[0]) say(c, "* ", " has left", "");
    free(c);
}

static void on_connection(rondo_server *server, rondo_stream *stream, void *arg) {
    client *c = calloc(1, sizeof *c);
    if (!c || rondo_stream_set_high_water(stream, CAP_BYTES / 4, CAP_BYTES) < 0 ||
        rondo_on_close(stream, on_close, c) < 0) {
        rondo_close(stream);
        free(c);
        return;
    }
    c->stream = stream;
    c->next = clients;
    clients = c;
    rondo_stream_on_data(stream, on_data, c);
    rondo_write(stream, rondo_slice_text("* your name?\n"));
}

static void on_interrupt(rondo_signal *sigint, int signum, void *arg) {
    rondo_loop_close_all(rondo_handle_loop(sigint));
}

int main(int argc, char **argv) {
    char address[RONDO_ADDRESS_TEXT_BYTES];
    int port = argc > 1 ? atoi(argv[1]) : 8080;
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = loop ? rondo_server_new(loop) : NULL;
    int error = server ? rondo_server_listen(server, "127.0.0.1", (uint16_t)port) : RONDO_ENOMEM;
    if (error < 0) {
        fprintf(stderr, "chat: port %d: %s\n", port, rondo_error_text(error));
        return 1;
    }
    rondo_server_on_connection(server, on_connection, NULL);
    rondo_server_address(server, address, sizeof address);
    /* Before the line is out: who reads it may press Ctrl-C at once. */
    rondo_signal_start_once(rondo_signal_new(loop), SIGINT, on_interrupt, NULL);
    printf("chat: listening on %s, Ctrl-C to stop\n", address);
    fflush(stdout);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    return 0;
}
