/* SPDX-License-Identifier: MIT
 *
 * TLS with a fault at every point (harness/faults.h): a handshake, bytes both ways, the ends. What
 * passes must change nothing that is seen; what does not is told, and nobody takes a part for all.
 *
 * test/run: not under valgrind; most of its time is OpenSSL's arithmetic.
 */
#include "tls_peers.h"

#include "faults.h"

#define CALLS (CALL_read | CALL_recv | CALL_send | CALL_sendmsg | CALL_writev | CALL_sendfile)

enum { SIZE = 40000 };

typedef struct told {
    received got;
    int connects, ends, errors, closes;
} told;

static bool is_fatal;
static bool use_kernel;

static void on_connect(rondo_stream *stream, void *arg) { ((told *)arg)->connects++; }
static void on_data(rondo_stream *stream, rondo_slice chunk, void *arg) {
    receive(&((told *)arg)->got, chunk);
}
static void on_end(rondo_stream *stream, void *arg) { ((told *)arg)->ends++; }
static void on_error(rondo_stream *stream, int error, void *arg) {
    told *self = arg;
    CHECK_INT(self->closes, 0);
    self->errors++;
    CHECK(is_fatal && faults_struck());
}
static void on_close(rondo_handle *handle, void *arg) { ((told *)arg)->closes++; }

static void listen_to(rondo_stream *stream, told *self) {
    *self = (told){0};
    rondo_stream_on_connect(stream, on_connect, self);
    rondo_stream_on_data(stream, on_data, self);
    rondo_stream_on_end(stream, on_end, self);
    rondo_stream_on_error(stream, on_error, self);
    rondo_on_close(stream, on_close, self);
}

static void check_told(told *self, size_t size) {
    CHECK_INT(self->closes, 1);
    CHECK(self->connects <= 1 && self->ends <= 1 && self->errors <= 1);
    CHECK(self->got.len <= size);
    /* An end says that it was all. */
    if (self->ends || !is_fatal || !faults_struck()) CHECK_INT(self->got.len, size);
    if (!is_fatal || !faults_struck()) {
        CHECK_INT(self->connects, 1);
        CHECK_INT(self->ends, 1);
    }
    for (size_t i = 0; i < self->got.len; i++)
        if (self->got.data[i] != byte_at(i)) FAIL("byte %zu is wrong", i);
    free(self->got.data);
}

static void talk(void) {
    if (!site.key) make_site(); /* once: it takes longer than the rest */
    rondo_loop *loop = new_virtual_loop();
    rondo_tls_context *serving = new_server_context(), *asking = new_client_context();
    rondo_stream *server, *client;
    told at_server, at_client;
    char *bytes = new_bytes(SIZE);
    rondo_tls_set_kernel(serving, use_kernel);
    rondo_tls_set_kernel(asking, use_kernel);
    int fd = new_tcp_pair(loop, &server);
    client = open_stream(loop, fd);
    listen_to(server, &at_server);
    listen_to(client, &at_client);
    check_done(serving, rondo_tls_start(server, serving, NULL));
    check_done(asking, rondo_tls_start(client, asking, HOST));
    CHECK(rondo_write(client, rondo_slice_of(bytes, SIZE / 10)) >= 0);
    CHECK(rondo_write(server, rondo_slice_of(bytes, SIZE)) >= 0);
    CHECK_INT(rondo_end(client), 0);
    FAULTS_BEGIN();
    for (int i = 0; rondo_loop_run(loop, RONDO_RUN_NOWAIT) != 0; i++) {
        rondo__loop_verify(loop);
        if (i == 5000) FAIL("nothing goes on");
    }
    FAULTS_END();
    check_told(&at_server, SIZE / 10);
    check_told(&at_client, SIZE);
    rondo_loop_free(loop);
    rondo_tls_context_free(serving);
    rondo_tls_context_free(asking);
    free(bytes);
}

TEST(tls_with_eagain_at_every_point) {
    FAULT_SWEEP(talk, CALLS, EAGAIN);
    FAULT_PERIODS(talk, CALLS, EAGAIN);
}
TEST(tls_with_eintr_at_every_point) { FAULT_SWEEP(talk, CALLS | CALL_epoll_wait, EINTR); }
TEST(tls_with_a_short_count_at_every_point) {
    FAULT_SWEEP_SHORT(talk, CALLS, 1);
    FAULT_SWEEP_SHORT(talk, CALLS, 6); /* a record's head is 5 bytes */
    FAULT_PERIODS(talk, CALL_send | CALL_sendmsg, 0);
}
TEST(tls_with_a_fatal_error_at_every_point) {
    is_fatal = true;
    FAULT_SWEEP(talk, CALL_read | CALL_recv, ECONNRESET);
    FAULT_SWEEP(talk, CALL_send | CALL_sendmsg, EPIPE);
    FAULT_SWEEP(talk, CALLS, ETIMEDOUT);
    FAULT_SWEEP(talk, CALLS, ENOMEM);
    FAULT_SWEEP(talk, CALL_shutdown | CALL_epoll_ctl, ENOMEM);
}
TEST(tls_in_the_kernel_with_a_fault_at_every_point) {
    use_kernel = true; /* where there is such a thing */
    FAULT_SWEEP(talk, CALLS, EAGAIN);
    FAULT_SWEEP_SHORT(talk, CALLS, 6);
}
