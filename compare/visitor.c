/* SPDX-License-Identifier: MIT
 *
 * A connection of the models that stand on Rondo: from `data` events to requests, and from answers to writes.
 */
#include "compare/visitor.h"

#include "compare/server.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long a client may take to close when we have. */
#define LINGER_MS 5000

static void free_visitor(web_visitor *visitor) {
    free(visitor->kept);
    free(visitor);
}

static void on_close(rondo_handle *handle, void *arg) {
    web_visitor *visitor = arg;

    visitor->gone = true;
    /* A timer that is closed will not call back; what the pool does will. */
    if (visitor->timer != NULL && rondo_is_active(visitor->timer)) visitor->busy = false;
    rondo_close(visitor->timer);
    if (!visitor->busy) free_visitor(visitor);
}

/* ---- requests ---- */

static void begin(web_visitor *visitor) {
    visitor->busy = true;
    if (visitor->request.work == WEB_HELLO || visitor->request.work == WEB_ERROR)
        visitor_answer(visitor);
    else
        visitor->begin(visitor);
}

static bool may_take(const web_visitor *visitor) {
    return !visitor->busy && !visitor->full && !visitor->last;
}

/* Begins, one after the other, the requests in data. What is behind one that takes its time is kept. */
static void take(web_visitor *visitor, const char *data, size_t len) {
    size_t at = 0;
    bool complete = true;

    visitor->taking = true;
    while (at < len && complete && may_take(visitor)) {
        at += web_parse(&visitor->parser, data + at, len - at, &visitor->request, &complete);
        if (complete) begin(visitor);
    }
    visitor->taking = false;
    if (visitor->busy || visitor->full) rondo_pause(visitor->stream);
    if (at == len || visitor->last) return;
    visitor->kept = malloc(len - at);
    if (visitor->kept == NULL) {
        server_say("drops connections: out of memory");
        rondo_destroy(visitor->stream, RONDO_ENOMEM);
        return;
    }
    visitor->kept_len = len - at;
    memcpy(visitor->kept, data + at, visitor->kept_len);
}

static void go_on(web_visitor *visitor) {
    char *kept = visitor->kept;

    if (!may_take(visitor) && !visitor->last) return;
    visitor->kept = NULL;
    if (kept != NULL && !visitor->last) take(visitor, kept, visitor->kept_len);
    free(kept);
    if (may_take(visitor) || visitor->last) rondo_resume(visitor->stream);
}

static void on_data(rondo_stream *stream, rondo_slice chunk, void *arg) {
    web_visitor *visitor = arg;

    if (!visitor->last) take(visitor, chunk.data, chunk.len);
}

static void on_drain(rondo_stream *stream, void *arg) {
    web_visitor *visitor = arg;

    visitor->full = false;
    go_on(visitor);
}

/* ---- answers ---- */

void visitor_answer_file(web_visitor *visitor, int fd, off_t size) {
    char text[WEB_ANSWER_MOST];
    int result;

    visitor->busy = false;
    if (visitor->gone) {
        if (fd >= 0) close(fd);
        free_visitor(visitor);
        return;
    }
    result = rondo_write(visitor->stream,
                         rondo_slice_of(text, web_answer(&visitor->request, size, text)));
    if (fd >= 0) result = rondo_write_file(visitor->stream, fd, 0, (uint64_t)size, true);
    if (result < 0) rondo_destroy(visitor->stream, result);
    visitor->full = result == 0;
    if (!visitor->request.keep_alive) {
        visitor->last = true;
        rondo_end(visitor->stream);
        rondo_stream_set_timeout(visitor->stream, LINGER_MS);
    }
    if (!visitor->taking) go_on(visitor);
}

void visitor_answer(web_visitor *visitor) { visitor_answer_file(visitor, -1, 0); }

void visitor_fail(web_visitor *visitor, int error) {
    bool starved = error == RONDO_EMFILE || error == RONDO_ENFILE || error == RONDO_ENOMEM ||
                   error == RONDO_EAGAIN;

    if (starved) server_say("can't do what was asked for: %s", rondo_error_text(error));
    web_fail(&visitor->request, starved ? 503 : 404);
    visitor_answer(visitor);
}

/* ---- connections ---- */

typedef struct visitor_house {
    visitor_begin *begin;
    int directory;
} visitor_house;

static void on_connection(rondo_server *server, rondo_stream *connection, void *arg) {
    const visitor_house *house = arg;
    web_visitor *visitor = calloc(1, sizeof *visitor);

    if (visitor == NULL || rondo_on_close(connection, on_close, visitor) < 0) {
        server_say("refuses connections: out of memory");
        free(visitor);
        rondo_close(connection);
        return;
    }
    visitor->stream = connection;
    visitor->loop = rondo_handle_loop(connection);
    visitor->directory = house->directory;
    visitor->begin = house->begin;
    web_parser_init(&visitor->parser);
    rondo_stream_on_drain(connection, on_drain, visitor);
    rondo_stream_on_data(connection, on_data, visitor);
}

static void on_error(rondo_server *server, int error, void *arg) {
    server_say("refuses connections: accept: %s", rondo_error_text(error));
}

int visitor_serve(const model_settings *settings, int listener, visitor_begin *begin_work) {
    visitor_house house = {begin_work, settings->directory};
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = loop != NULL ? rondo_server_new(loop) : NULL;
    int error = server != NULL ? rondo_server_open(server, listener) : RONDO_ENOMEM;

    if (error < 0) {
        server_say("can't serve: %s", rondo_error_text(error));
        return 1;
    }
    rondo_server_on_error(server, on_error, NULL);
    rondo_server_on_connection(server, on_connection, &house);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    return 1;
}
