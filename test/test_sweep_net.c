/* SPDX-License-Identifier: MIT
 *
 * Datagrams and connecting with a fault at every point (harness/faults.h).
 *
 * test/run: not under valgrind; it takes too long, and the sanitizers see all of it.
 */
#define _GNU_SOURCE
#include "faults.h"
#include "udps.h"

enum { COUNT = 60 };

#define RECEIVES (CALL_recvmmsg | CALL_recvmsg)
#define SENDS (CALL_sendmmsg | CALL_sendmsg)

static int next_number, errors_heard;
static bool may_lose;

static void on_message(rondo_udp *udp, const rondo_udp_message *message, void *arg) {
    int number = 0;
    CHECK_INT(message->data.len, sizeof number);
    memcpy(&number, message->data.data, sizeof number);
    if (may_lose) CHECK(number >= next_number);
    if (!may_lose) CHECK_INT(number, next_number); /* on the loopback none is lost */
    next_number = number + 1;
}

static void on_error(rondo_udp *udp, int error, const rondo_address *to, void *arg) {
    errors_heard++;
    CHECK(faults_struck());
}

static void send_some(rondo_udp *udp, const rondo_address *to, int from, int count) {
    for (int i = from; i < from + count; i++)
        CHECK(rondo_udp_send(udp, to, rondo_slice_of((const char *)&i, sizeof i)) >= 0);
}

/* Half of them in one go, the others one in a turn. Then the handles work as ever. */
static void datagrams(void) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *from = new_udp(loop, "127.0.0.1"), *to = new_udp(loop, "127.0.0.1");
    rondo_address address = to_udp(to, "127.0.0.1");
    rondo_udp_on_message(to, on_message, NULL);
    rondo_udp_on_error(to, on_error, NULL);
    rondo_udp_on_error(from, on_error, NULL);
    next_number = errors_heard = 0;
    FAULTS_BEGIN();
    send_some(from, &address, 0, COUNT / 2);
    run_turns(loop, 3);
    for (int i = COUNT / 2; i < COUNT; i++) {
        send_some(from, &address, i, 1);
        run_turns(loop, 1);
    }
    run_turns(loop, COUNT);
    check_idle(loop); /* for a second: whoever waits for a while goes on */
    FAULTS_END();
    if (!may_lose) {
        CHECK_INT(errors_heard, 0);
        CHECK_INT(next_number, COUNT);
    }
    check_idle(loop);
    send_some(from, &address, COUNT, 1);
    run_turns(loop, 2);
    CHECK_INT(next_number, COUNT + 1);
    end_loop(loop);
}

TEST(datagrams_with_what_passes_at_every_point) {
    FAULT_SWEEP(datagrams, RECEIVES | SENDS, EAGAIN);
    FAULT_SWEEP(datagrams, RECEIVES | SENDS, EINTR);
    FAULT_SWEEP_SHORT(datagrams, CALL_recvmmsg | CALL_sendmmsg, 1);
    /* Not both in one: they take turns, and it would always be the same one that fails. */
    FAULT_PERIODS(datagrams, SENDS, EAGAIN);
    FAULT_PERIODS(datagrams, CALL_recvmmsg, EAGAIN);
    FAULT_PERIODS(datagrams, SENDS, EINTR);
    FAULT_PERIODS(datagrams, CALL_recvmmsg, EINTR);
    FAULT_PERIODS(datagrams, CALL_recvmmsg | CALL_sendmmsg, 0);
}
TEST(datagrams_with_errors_at_every_point) {
    const int errors[] = {ECONNREFUSED, ENOBUFS, ENOMEM, EPERM, EHOSTUNREACH, ENETDOWN};
    may_lose = true;
    for (int i = 0; i < 6; i++) {
        FAULT_SWEEP(datagrams, SENDS, errors[i]);
        FAULT_SWEEP(datagrams, RECEIVES, errors[i]);
    }
}

/* ---- binding ---- */

static void bind_somewhere(void) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *udp = rondo_udp_new(loop);
    FAULTS_BEGIN();
    int status = rondo_udp_bind(udp, NULL, 0);
    FAULTS_END();
    if (status < 0) {
        CHECK(faults_struck());
        CHECK(!rondo_is_active(udp));
        CHECK_INT(rondo_udp_bind(udp, NULL, 0), 0);
    }
    end_loop(loop);
}

TEST(binding_fails_with_nothing_left) {
    FAULT_SWEEP(bind_somewhere, CALL_socket | CALL_bind | CALL_setsockopt | CALL_getsockname,
                EMFILE);
    FAULT_SWEEP(bind_somewhere, CALL_socket | CALL_bind | CALL_setsockopt | CALL_getsockname,
                ENOBUFS);
}

/* ---- connecting ---- */

static bool is_fatal;
static int connects, failures, closes;

static void on_connect(rondo_stream *stream, void *arg) {
    connects++;
    CHECK_INT(failures, 0);
}
static void on_failure(rondo_stream *stream, int error, void *arg) { failures++; }
static void on_close(rondo_handle *handle, void *arg) { closes++; }

static void greet(rondo_server *server, rondo_stream *connection, void *arg) {
    write_text(connection, "welcome");
    rondo_end(connection);
    rondo_resume(connection);
}

static void connect_and_listen(void) {
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = rondo_server_new(loop);
    received got = {0};
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), 0);
    rondo_server_on_connection(server, greet, NULL);
    rondo_unref(server);
    run_turns(loop, 1);
    connects = failures = closes = 0;
    FAULTS_BEGIN();
    rondo_stream *stream = rondo_connect(loop, "127.0.0.1", rondo_server_port(server));
    CHECK(stream != NULL);
    rondo_stream_on_connect(stream, on_connect, NULL);
    rondo_stream_on_error(stream, on_failure, NULL);
    rondo_stream_on_data(stream, receive_data, &got);
    rondo_on_close(stream, on_close, NULL);
    run_all(loop);
    FAULTS_END();
    CHECK_INT(closes, 1);
    if (!is_fatal || !faults_struck()) {
        CHECK_INT(connects, 1);
        CHECK_INT(failures, 0);
        CHECK_RECEIVED(got, "welcome");
    } else {
        CHECK(failures == 1 || (got.len == 7 && failures == 0));
        CHECK(connects <= 1);
    }
    free(got.data);
    end_loop(loop);
}

TEST(connecting_with_what_passes_at_every_point) {
    FAULT_SWEEP(connect_and_listen, CALL_connect, EINTR);
    FAULT_SWEEP(connect_and_listen, CALL_connect, EINPROGRESS);
    FAULT_SWEEP(connect_and_listen, CALL_accept4 | CALL_read | CALL_send, EAGAIN);
}
TEST(connecting_with_a_fatal_error_at_every_point) {
    const int errors[] = {ECONNREFUSED, ENETUNREACH, ETIMEDOUT, EADDRNOTAVAIL, EACCES};
    is_fatal = true;
    for (int i = 0; i < 5; i++)
        FAULT_SWEEP(connect_and_listen, CALL_connect | CALL_getsockopt, errors[i]);
    FAULT_SWEEP(connect_and_listen, CALL_socket | CALL_epoll_ctl | CALL_setsockopt, ENOMEM);
}
