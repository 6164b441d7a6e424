/* SPDX-License-Identifier: MIT
 *
 * Connections that shake hands before they are handed out, with a transport of the test's own: one
 * byte from the peer, 'y' or 'n'.
 */
#include "connecting.h"
#include "faults.h"
#include "servers.h"

#include "net/server.h"

static int64_t plain_read(rondo_stream *stream, void *buffer, size_t size) {
    return rondo__socket_read(stream->fd, buffer, size);
}
static int64_t plain_write(rondo_stream *stream, const struct iovec *iov, int count, int flags) {
    return rondo__socket_write(stream->fd, iov, count, flags);
}
static int plain_shut(rondo_stream *stream) { return rondo__socket_shutdown(stream->fd); }
static int shake(rondo_stream *stream, int events, int *ret_events) {
    char byte;
    int64_t count = rondo__socket_read(stream->fd, &byte, 1);
    *ret_events = RONDO__READABLE;
    if (count <= 0) return count == 0 ? RONDO_ECONNRESET : (int)count;
    return byte == 'y' ? 0 : RONDO_ETLS;
}
static const rondo__transport polite = {.name = "polite",
                                        .read = plain_read,
                                        .write = plain_write,
                                        .shut = plain_shut,
                                        .handshake = shake};

static int start_status;
static int start(rondo_stream *stream, void *context) {
    CHECK_STR((const char *)context, "context");
    return start_status ? start_status : rondo__stream_set_transport(stream, &polite, NULL);
}
static bool met_plain_http(rondo_stream *stream) { return false; }
static void drop_context(void *context) { note("dropped"); }
static const rondo__server_security security = {
    .start = start, .met_plain_http = met_plain_http, .drop_context = drop_context};

static void note_and_listen(rondo_server *server, rondo_stream *connection, void *arg) {
    note("connection");
    CHECK_INT(rondo_stream_on_connect(connection, note_connect, NULL), 0);
    rondo_stream_on_data(connection, note_data, NULL);
}
static void note_drop(rondo_server *server, const rondo_server_drop *drop, void *arg) {
    char text[RONDO_ADDRESS_TEXT_BYTES];
    note("drop:%d:%s", drop->reason, rondo_error_name(drop->error));
    if (drop->reason != RONDO_DROP_HANDSHAKE && drop->reason != RONDO_DROP_UNHEARD) return;
    CHECK(rondo_stream_peer(drop->stream, text, sizeof text) > 0);
    CHECK_INT(rondo_address_family(&drop->peer), RONDO_FAMILY_IPV4);
}

static rondo_server *new_server(rondo_loop *loop) {
    rondo_server *server = rondo_server_new(loop);
    rondo__server_secure(server, &security, (void *)(uintptr_t) "context");
    rondo_server_on_connection(server, note_and_listen, NULL);
    rondo_server_on_drop(server, note_drop, NULL);
    rondo_server_on_error(server, note_server_error, NULL);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), 0);
    return server;
}

static void end_and_forget(rondo_loop *loop) {
    end_loop(loop);
    trace_size = 0;
    trace[0] = '\0';
}

TEST(a_connection_comes_when_its_handshake_is_done) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    int fd = harness_connect(rondo_server_port(server));
    check_idle(loop);
    CHECK_TRACE("");
    CHECK_INT(figures_of(server).open, 1);
    CHECK_INT(figures_of(server).accepted, 0);
    harness_send_str(fd, "ydata");
    run_turns(loop, 2);
    CHECK_TRACE("connection data"); /* no `connect`: nobody could have listened */
    CHECK_INT(figures_of(server).accepted, 1);
    rondo_close(server);
    CHECK_TRACE("dropped");
    end_and_forget(loop);
    close(fd);
}

TEST(a_handshake_that_fails_is_a_drop) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    rondo_metrics metrics;
    int fd = harness_connect(rondo_server_port(server));
    run_turns(loop, 1);
    harness_send_str(fd, "n");
    run_turns(loop, 3);
    CHECK_TRACE("drop:2:ETLS");
    char byte;
    CHECK_INT(harness_recv_exact(fd, &byte, 1), 0);
    CHECK_INT(figures_of(server).dropped, 1);
    CHECK_INT(figures_of(server).open, 0);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.unheard_errors, 0);
    CHECK_INT(metrics.handles, 1);
    close(fd);
    fd = harness_connect(rondo_server_port(server));
    run_turns(loop, 1);
    close(fd);
    run_turns(loop, 3);
    CHECK_TRACE("drop:2:ECONNRESET");
    end_and_forget(loop);
}

TEST(handshakes_close_with_their_server) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    int a = harness_connect(rondo_server_port(server));
    int b = harness_connect(rondo_server_port(server));
    run_turns(loop, 2);
    rondo_close(server);
    run_all(loop);
    CHECK_TRACE("dropped");
    char byte;
    CHECK_INT(harness_recv_exact(a, &byte, 1), 0);
    CHECK_INT(harness_recv_exact(b, &byte, 1), 0);
    close(a), close(b);
    end_loop(loop);
}

/* It has failed, and the server closes before that is told. */
static void close_server(rondo_server *server, rondo_stream *connection, void *arg) {
    note("connection");
    rondo_close(server);
}
TEST(a_failure_and_the_end_of_the_server_in_one_turn) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    int a = harness_connect(rondo_server_port(server));
    int b = harness_connect(rondo_server_port(server));
    rondo_server_on_connection(server, close_server, NULL);
    run_turns(loop, 2);
    harness_send_str(a, "n");
    harness_send_str(b, "y");
    run_turns(loop, 4);
    CHECK_TRACE("connection connection dropped");
    close(a), close(b);
    end_and_forget(loop);
}

static void close_at_drop(rondo_server *server, const rondo_server_drop *drop, void *arg) {
    rondo_close(server);
    rondo_close(drop->stream);
}
TEST(closing_everything_at_the_drop) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    int a = harness_connect(rondo_server_port(server));
    rondo_server_on_drop(server, close_at_drop, NULL);
    harness_send_str(a, "n");
    run_all(loop);
    CHECK_TRACE("drop:2:ETLS dropped");
    close(a);
    end_loop(loop);
}

TEST(a_handshake_that_is_done_when_nobody_listens_any_more) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    rondo_metrics metrics;
    int fd = harness_connect(rondo_server_port(server));
    run_turns(loop, 2);
    CHECK_INT(rondo_server_off_connection(server, note_and_listen, NULL), 0);
    harness_send_str(fd, "ydata");
    run_turns(loop, 3);
    CHECK_TRACE("drop:3:OK");
    CHECK_INT(figures_of(server).accepted, 0);
    CHECK_INT(figures_of(server).dropped, 1);
    CHECK_INT(figures_of(server).open, 0);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.handles, 1);
    close(fd);
    end_and_forget(loop);
}

TEST(a_handshake_that_can_not_begin) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    int a = harness_connect(rondo_server_port(server));
    start_status = RONDO_ENOMEM;
    run_turns(loop, 3);
    CHECK_TRACE("drop:1:ENOMEM ENOMEM");
    start_status = 0;
    char byte;
    CHECK_INT(harness_recv_exact(a, &byte, 1), 0);
    close(a);
    a = harness_connect(rondo_server_port(server));
    harness_send_str(a, "y");
    check_idle(loop);
    CHECK_TRACE("connection");
    end_and_forget(loop);
    close(a);
}

TEST(handshakes_count_as_open) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    rondo_server_set_max_connections(server, 1);
    int a = harness_connect(rondo_server_port(server));
    run_turns(loop, 2);
    int b = harness_connect(rondo_server_port(server));
    run_turns(loop, 2);
    CHECK_TRACE("drop:0:OK");
    end_and_forget(loop);
    close(a), close(b);
}

TEST(security_is_for_what_is_accepted_from_now_on) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop);
    rondo__server_secure(server, NULL, NULL);
    CHECK_TRACE("dropped");
    int a = harness_connect(rondo_server_port(server));
    run_turns(loop, 2);
    CHECK_TRACE("connection");
    end_loop(loop);
    close(a);
}

/* ---- a protocol ---- */

static void take(rondo_server *server, rondo_stream *connection, void *owner) {
    note("taken");
    rondo_close(connection);
}
TEST(a_protocol_gets_them_then_too) {
    static const rondo__acceptor acceptor = {.connection = take, .room = 64};
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = rondo_server_new(loop);
    rondo__server_secure(server, &security, (void *)(uintptr_t) "context");
    rondo__server_take(server, &acceptor, NULL);
    rondo_server_on_drop(server, note_drop, NULL);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), 0);
    int a = harness_connect(rondo_server_port(server));
    int b = harness_connect(rondo_server_port(server));
    run_turns(loop, 2);
    CHECK_TRACE("");
    harness_send_str(a, "y");
    harness_send_str(b, "n");
    run_turns(loop, 3);
    CHECK_TRACE("taken drop:2:ETLS");
    end_and_forget(loop);
    close(a), close(b);
}

TEST(out_of_memory_at_every_place) {
    for (long n = 0;; n++) {
        rondo_loop *loop = new_virtual_loop();
        rondo_server *server = new_server(loop);
        run_turns(loop, 1);
        int a = harness_connect(rondo_server_port(server));
        harness_send_str(a, "y");
        harness_fail_alloc_after(n);
        run_turns(loop, 3);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        CHECK_INT(figures_of(server).accepted + figures_of(server).dropped, 1);
        end_and_forget(loop);
        close(a);
        if (!failed) break;
    }
}
