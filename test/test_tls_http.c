/* SPDX-License-Identifier: MIT
 *
 * HTTP on connections that are TLS: what of a connection outlives a request, and leaves HTTP with it.
 */
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
