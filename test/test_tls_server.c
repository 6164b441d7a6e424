/* SPDX-License-Identifier: MIT
 *
 * TLS on servers and on connections by name: when `connection` and `connect` come, and what happens to
 * those who never get so far.
 */
#include "tls_peers.h"

typedef struct place {
    rondo_loop *loop;
    rondo_server *server;
    rondo_tls_context *serving, *asking;
    rondo_stream *got;
} place;

TRACE_CALLBACK note_got(rondo_server *server, rondo_stream *connection, void *arg) {
    note("connection");
    ((place *)arg)->got = connection;
    rondo_stream_on_data(connection, note_data, NULL);
}
TRACE_CALLBACK note_drop(rondo_server *server, const rondo_server_drop *drop, void *arg) {
    char peer[RONDO_ADDRESS_TEXT_BYTES];
    note("drop%d:%s(%s)", drop->reason, rondo_error_name(drop->error),
         rondo_tls_error_text(drop->stream));
    int len = rondo_stream_peer(drop->stream, peer, sizeof peer);
    CHECK(len > 0 || len == RONDO_ENOTCONN); /* it may have gone */
}

static void open_place(place *self) {
    make_site();
    self->loop = new_virtual_loop();
    self->serving = new_server_context();
    self->asking = new_client_context();
    self->server = rondo_server_new(self->loop);
    CHECK_INT(rondo_server_set_tls(self->server, self->serving), 0);
    rondo_server_on_connection(self->server, note_got, self);
    rondo_server_on_drop(self->server, note_drop, NULL);
    CHECK_INT(rondo_server_listen(self->server, "127.0.0.1", 0), 0);
}

static rondo_stream *visit_place(place *self, const char *name) {
    rondo_connect_options options = {.host = "127.0.0.1",
                                     .port = rondo_server_port(self->server),
                                     .tls = self->asking,
                                     .tls_name = name};
    rondo_stream *stream = rondo_connect_with(self->loop, &options);
    rondo_stream_on_connect(stream, note_shaken, (void *)(uintptr_t) "connect");
    rondo_stream_on_error(stream, note_why, (void *)(uintptr_t) "client");
    return stream;
}

static void close_place(place *self) {
    end_loop(self->loop);
    rondo_tls_context_free(self->serving);
    rondo_tls_context_free(self->asking);
    free_site();
}

TEST(connection_comes_after_the_handshake) {
    place it;
    open_place(&it);
    rondo_stream *stream = visit_place(&it, HOST);
    write_text(stream, "hello");
    CHECK(rondo_is_connecting(stream));
    run_turns(it.loop, 12);
    CHECK_TRACE("connect connection hello");
    rondo_tls_info info;
    CHECK_INT(rondo_tls_get_info(it.got, &info), 0);
    CHECK_STR(info.server_name, HOST);
    visit_place(&it, NULL); /* the host it is then: 127.0.0.1 */
    run_turns(it.loop, 12);
    CHECK_TRACE("connect connection");
    close_place(&it);
}

TRACE_CALLBACK stop_late(rondo_timer *timer, void *arg) { rondo_loop_stop(arg); }

TEST(a_handshake_that_fails_is_a_drop) {
    place it;
    open_place(&it);
    visit_place(&it, "other.test");
    run_turns(it.loop, 12);
    CHECK_TRACE("client:ECERT(hostname mismatch: CN=site is not other.test) "
                "drop2:ETLS(the peer refused: bad certificate)");
    int fd = harness_connect(rondo_server_port(it.server));
    harness_send_str(fd, "GET / HTTP/1.0\r\n\r\n");
    run_turns(it.loop, 6);
    CHECK_TRACE("drop2:ETLS(the peer speaks HTTP without TLS)");
    close(fd);
    fd = harness_connect(rondo_server_port(it.server));
    run_turns(it.loop, 3);
    start_timer(it.loop, 10100, stop_late, it.loop);
    rondo_loop_run(it.loop, RONDO_RUN_ALL);
    CHECK_TRACE("drop2:ETIMEDOUT(the handshake took longer than 10000 ms)");
    close(fd);
    rondo_server_figures figures;
    rondo_server_get_figures(it.server, &figures);
    CHECK_INT(figures.dropped, 3);
    CHECK_INT(figures.accepted, 0);
    close_place(&it);
}

TEST(handshakes_under_way_close_with_their_server) {
    place it;
    open_place(&it);
    int fd = harness_connect(rondo_server_port(it.server));
    run_turns(it.loop, 3);
    rondo_close(it.server);
    rondo_tls_context_free(it.serving); /* the last one to know it is the server */
    it.serving = NULL;
    run_turns(it.loop, 3);
    char byte;
    CHECK_INT(harness_recv_exact(fd, &byte, 1), 0);
    close(fd);
    CHECK_TRACE("");
    close_place(&it);
}

TEST(a_server_can_be_given_another_context_or_none) {
    place it;
    open_place(&it);
    rondo_tls_context *bare = new_context(RONDO_TLS_SERVER);
    CHECK_INT(rondo_server_set_tls(it.server, bare), RONDO_EINVAL);
    CHECK_INT(rondo_server_set_tls(it.server, it.asking), RONDO_EINVAL);
    rondo_tls_context_free(bare);
    rondo_tls_context *other = new_server_context();
    CHECK_INT(rondo_server_set_tls(it.server, other), 0);
    rondo_tls_context_free(other);
    visit_place(&it, HOST);
    run_turns(it.loop, 12);
    CHECK_TRACE("connect connection");
    CHECK_INT(rondo_server_set_tls(it.server, NULL), 0);
    int fd = harness_connect(rondo_server_port(it.server));
    harness_send_str(fd, "plain");
    run_turns(it.loop, 3);
    CHECK_TRACE("connection plain");
    close(fd);
    rondo_close(it.server);
    CHECK_INT(rondo_server_set_tls(it.server, it.serving), RONDO_ECLOSED);
    close_place(&it);
}

TEST(connecting_with_a_context_that_cannot_be_is_an_error) {
    place it;
    open_place(&it);
    rondo_address address;
    CHECK_INT(rondo_address_parse("127.0.0.1", 1, &address), 0);
    rondo_connect_options nameless = {.address = &address, .tls = it.asking};
    rondo_connect_options serving = {.host = "127.0.0.1", .port = 1, .tls = it.serving};
    rondo_stream_on_error(rondo_connect_with(it.loop, &nameless), note_error, NULL);
    rondo_stream_on_error(rondo_connect_with(it.loop, &serving), note_error, NULL);
    run_turns(it.loop, 3);
    CHECK_TRACE("EINVAL EINVAL");
    close_place(&it);
}
