/* SPDX-License-Identifier: MIT
 *
 * HTTP on connections that are TLS: what of a connection outlives a request, and leaves HTTP with it; and
 * handshakes that a draining server has begun.
 */
#include <sys/resource.h>

#include "tls_peers.h"

typedef struct place {
    rondo_loop *loop;
    rondo_http_server *http;
    rondo_tls_context *serving, *asking;
    rondo_stream *client, *taken;
    received got;
} place;

static void open_place(place *self, rondo_http_request_cb cb) {
    *self = (place){0};
    make_site();
    self->loop = new_virtual_loop();
    self->serving = new_server_context();
    self->asking = new_client_context();
    self->http = rondo_http_server_new(self->loop);
    CHECK_INT(rondo_server_set_tls(rondo_http_server_listener(self->http), self->serving), 0);
    CHECK_INT(rondo_http_server_on_request(self->http, cb, self), 0);
    CHECK_INT(rondo_http_server_listen(self->http, "127.0.0.1", 0), 0);
    rondo_connect_options options = {.host = "127.0.0.1",
                                     .port = rondo_http_server_port(self->http),
                                     .tls = self->asking,
                                     .tls_name = HOST};
    self->client = rondo_connect_with(self->loop, &options);
    rondo_stream_on_data(self->client, receive_data, &self->got);
    rondo_stream_on_error(self->client, note_why, (void *)(uintptr_t) "client");
    rondo_stream_on_end(self->client, note_end, NULL);
    run_turns(self->loop, 12);
}

static void close_place(place *self) {
    end_loop(self->loop);
    rondo_tls_context_free(self->serving);
    rondo_tls_context_free(self->asking);
    free(self->got.data);
    free_site();
}

#define ASK "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"

TRACE_CALLBACK echo(rondo_stream *stream, rondo_slice chunk, void *arg) {
    note("data:%.*s", (int)chunk.len, chunk.data);
    rondo_write(stream, chunk);
}

static void take(rondo_http_response *response, place *self) {
    CHECK_INT(rondo_http_response_header(response, "Upgrade", "x"), 0);
    CHECK_INT(rondo_http_response_upgrade(response, 101, &self->taken), 0);
    CHECK_INT(rondo_stream_on_data(self->taken, echo, NULL), 0);
    CHECK_INT(rondo_stream_on_end(self->taken, note_end, NULL), 0);
}

static void take_now(rondo_http_request *request, rondo_http_response *response, void *arg) {
    take(response, arg);
}

TEST(upgrade_with_octets_behind) {
    place it;
    open_place(&it, take_now);
    write_text(it.client, ASK "behind");
    run_turns(it.loop, 8);
    CHECK_TRACE("data:behind");
    write_text(it.client, "more");
    run_turns(it.loop, 8);
    CHECK_TRACE("data:more");
    CHECK(strncmp(it.got.data, "HTTP/1.1 101 ", 13) == 0);
    CHECK_STR(it.got.data + it.got.len - 10, "behindmore");
    rondo_end(it.client);
    run_turns(it.loop, 8);
    CHECK_TRACE("end end");
    close_place(&it);
}

static rondo_http_response *kept;
static void take_later(rondo_http_request *request, rondo_http_response *response, void *arg) {
    kept = response;
}

/* The end came before the stream was taken: TLS does not tell of it again. */
TEST(upgrade_after_the_clients_end) {
    place it;
    open_place(&it, take_later);
    write_text(it.client, ASK "behind");
    rondo_end(it.client);
    run_turns(it.loop, 8);
    take(kept, &it);
    run_turns(it.loop, 8);
    CHECK_TRACE("data:behind end end");
    CHECK_STR(it.got.data + it.got.len - 6, "behind");
    close_place(&it);
}

static void answer_now(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_http_response_reply(response, 200, "text/plain", rondo_slice_text("hello"));
}

static void note_http_closed(rondo_handle *http, void *arg) { note("closed"); }

/* Accepted by a server with TLS, and silent so far. */
static rondo_stream *connect_silently(place *self) {
    rondo_connect_options options = {.host = "127.0.0.1",
                                     .port = rondo_http_server_port(self->http)};
    rondo_stream *stream = rondo_connect_with(self->loop, &options);
    rondo_stream_on_error(stream, note_why, (void *)(uintptr_t) "silent");
    run_turns(self->loop, 8);
    return stream;
}

/* A handshake takes as much of a server as a connection that has had its own, and as many are allowed. */
TEST(handshakes_count_as_connections) {
    place it;
    rondo_http_figures figures;
    open_place(&it, answer_now);
    rondo_http_server_set_limits(it.http, &(rondo_http_limits){.connections = 2});
    rondo_stream *silent = connect_silently(&it), *more = connect_silently(&it);
    rondo_http_server_get_figures(it.http, &figures);
    CHECK_INT(figures.connections, 2); /* the client that has shaken hands, and one that has not */
    rondo_stream_on_data(more, receive_data, &it.got);
    CHECK_INT(rondo_tls_start(more, it.asking, HOST), 0);
    run_turns(it.loop, 20);
    CHECK(strncmp(it.got.data, "HTTP/1.1 503 ", 13) == 0);
    rondo_close(silent);
    run_turns(it.loop, 20);
    it.got.len = 0;
    rondo_stream *next = connect_silently(&it);
    rondo_stream_on_data(next, receive_data, &it.got);
    CHECK_INT(rondo_tls_start(next, it.asking, HOST), 0);
    write_text(next, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    run_turns(it.loop, 20);
    CHECK(strncmp(it.got.data, "HTTP/1.1 200 ", 13) == 0);
    rondo_http_server_get_figures(it.http, &figures);
    CHECK_INT(figures.connections, 2);
    close_place(&it);
}

/* Far above the limit nobody is told any more, nor shaken hands with. */
TEST(handshakes_far_above_the_limit_are_closed_at_once) {
    enum { AWAY = 1024, MORE = 5 };
    place it;
    rondo_http_figures figures;
    struct rlimit files = {4096, 4096};
    if (setrlimit(RLIMIT_NOFILE, &files) != 0) SKIP("too few descriptors");
    open_place(&it, answer_now);
    rondo_http_server_set_limits(it.http, &(rondo_http_limits){.connections = 1});
    for (int i = 0; i < AWAY + MORE; i++) {
        rondo_connect_options options = {.host = "127.0.0.1",
                                         .port = rondo_http_server_port(it.http)};
        rondo_stream_on_error(rondo_connect_with(it.loop, &options), note_why,
                              (void *)(uintptr_t) "x");
        if (i % 32 == 0) run_turns(it.loop, 4);
    }
    run_turns(it.loop, 100);
    rondo_http_server_get_figures(it.http, &figures);
    CHECK_INT(figures.closed_at_once, MORE);
    CHECK_INT(figures.connections, 1);
    close_place(&it);
}

/* Who was accepted without TLS would be answered; the handshake makes no difference. */
TEST(a_draining_server_goes_on_with_handshakes) {
    place it;
    open_place(&it, answer_now);
    CHECK_INT(rondo_on_close(it.http, note_http_closed, NULL), 0);
    rondo_stream *late = connect_silently(&it);
    rondo_stream_on_data(late, receive_data, &it.got);
    CHECK_INT(rondo_http_server_drain(it.http, 0), 0);
    run_turns(it.loop, 20);
    CHECK_INT(rondo_http_server_port(it.http), 0); /* it listens no more */
    CHECK_INT(rondo_tls_start(late, it.asking, HOST), 0);
    write_text(late, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    run_turns(it.loop, 20);
    CHECK(strncmp(it.got.data, "HTTP/1.1 200 ", 13) == 0);
    CHECK(strstr(it.got.data, "\r\nConnection: close\r\n") != NULL);
    CHECK_INT(rondo_loop_run(it.loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("end closed"); /* the other client's, which was idle */
    close_place(&it);
}

/* ... but not for longer than a handshake may take, nor than the deadline. */
TEST(a_draining_server_does_not_wait_for_handshakes_that_never_end) {
    for (uint64_t deadline = 0; deadline <= 1000; deadline += 1000) {
        place it;
        open_place(&it, answer_now);
        CHECK_INT(rondo_on_close(it.http, note_http_closed, NULL), 0);
        rondo_stream *late = connect_silently(&it);
        rondo_close(it.client);
        uint64_t before = rondo_loop_now_ns(it.loop);
        CHECK_INT(rondo_http_server_drain(it.http, deadline), 0);
        run_turns(it.loop, 20);
        CHECK_TRACE("");
        while (rondo_loop_run(it.loop, RONDO_RUN_ONCE) > 0 && !rondo_is_closing(late)) {}
        CHECK_INT(rondo_loop_run(it.loop, RONDO_RUN_ALL), 0);
        uint64_t after_ms = (rondo_loop_now_ns(it.loop) - before) / 1000000;
        CHECK(after_ms >= (deadline ? deadline : 10000));
        CHECK(after_ms <= (deadline ? deadline : 10000) + 2500);
        CHECK_TRACE("closed");
        close_place(&it);
    }
}
