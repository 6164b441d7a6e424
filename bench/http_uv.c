/* SPDX-License-Identifier: MIT
 *
 * libuv and llhttp, as one puts them together in an afternoon (where libuv is installed): one receive
 * buffer, the answers to one read in one write, tried at once.
 */
#if defined(__has_include)
#if __has_include(<uv.h>)
#define HAVE_UV 1
#endif
#endif

#ifdef HAVE_UV
#include "http_answer.h"

#include <llhttp.h>
#include <uv.h>

enum { DEEP = 256 };

typedef struct connection {
    uv_tcp_t tcp;
    llhttp_t parser;
    unsigned complete; /* requests of this read */
} connection;

static llhttp_settings_t settings;
static char received[65536], answers[DEEP * ANSWER_BYTES];

static void on_close(uv_handle_t *handle) { free(handle->data); }
static void drop(connection *c) {
    if (!uv_is_closing((uv_handle_t *)&c->tcp)) uv_close((uv_handle_t *)&c->tcp, on_close);
}

static int on_message_complete(llhttp_t *parser) {
    ((connection *)parser->data)->complete++;
    return 0;
}

static void lend(uv_handle_t *handle, size_t size, uv_buf_t *ret_buffer) {
    *ret_buffer = uv_buf_init(received, sizeof received);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer) {
    connection *c = stream->data;
    if (got == 0) return;
    c->complete = 0;
    if (got < 0 || llhttp_execute(&c->parser, buffer->base, (size_t)got) != HPE_OK) {
        drop(c);
        return;
    }
    for (unsigned some; c->complete > 0; c->complete -= some) {
        some = c->complete < DEEP ? c->complete : DEEP;
        uv_buf_t out = uv_buf_init(answers, some * ANSWER_BYTES);
        if (uv_try_write(stream, &out, 1) != (int)out.len) { /* the clients here always read */
            drop(c);
            return;
        }
    }
}

static void on_connection(uv_stream_t *server, int status) {
    connection *c = malloc(sizeof *c);
    if (!c || status < 0) abort();
    uv_tcp_init(server->loop, &c->tcp);
    c->tcp.data = c;
    uv_accept(server, (uv_stream_t *)&c->tcp);
    uv_tcp_nodelay(&c->tcp, 1);
    llhttp_init(&c->parser, HTTP_REQUEST, &settings);
    c->parser.data = c;
    uv_read_start((uv_stream_t *)&c->tcp, lend, on_read);
}

int main(int argc, char **argv) {
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t server;
    for (size_t i = 0; i < DEEP; i++) memcpy(answers + i * ANSWER_BYTES, answer, ANSWER_BYTES);
    llhttp_settings_init(&settings);
    settings.on_message_complete = on_message_complete;
    uv_tcp_init(loop, &server);
    uv_tcp_open(&server, answer_listen(argc > 1 ? (unsigned)atoi(argv[1]) : 8080));
    uv_listen((uv_stream_t *)&server, 4096, on_connection);
    return uv_run(loop, UV_RUN_DEFAULT);
}

#else
#include <stdio.h>
int main(void) {
    fputs("it was built without libuv\n", stderr);
    return 1;
}
#endif
