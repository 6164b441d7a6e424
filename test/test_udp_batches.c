/* SPDX-License-Identifier: MIT
 *
 * How many system calls datagrams take, and the runs that equal ones leave in.
 */
#define _GNU_SOURCE
#include "udp_calls.h"

/* ---- how many calls ---- */

TEST(what_one_callback_sends_leaves_in_one_call) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    send_numbered(udp, &to, 64);
    run_turns(loop, 2);
    CHECK_INT(calls.sendmmsg, 1);
    send_numbered(udp, &to, 100);
    run_turns(loop, 2);
    CHECK_INT(calls.sendmmsg, 3);
    CHECK_INT(calls.sendmsg + calls.runs + calls.errqueue + (int)faults_count(CALL_epoll_ctl), 0);
    send_numbered(udp, &to, 1);
    run_turns(loop, 2);
    CHECK_INT(calls.sendmsg, 1);
    CHECK_INT(calls.sendmmsg, 3);
    CHECK_INT(figures_of(udp).messages_out, 165);
    end_loop(loop);
    close(fd);
}

TEST(a_burst_is_received_in_one_call) {
    const int bursts[] = {1, 16, 63};
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address self = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from), count = 0;
    rondo_udp_on_message(udp, count_message, &count);
    run_turns(loop, 1);
    forget_calls();
    for (size_t i = 0; i < 3; i++) {
        socket_send_burst(fd, &self, bursts[i]);
        run_turns(loop, 1);
        CHECK_INT(calls.recvmmsg, i + 1);
    }
    CHECK_INT(count, 80);
    CHECK_INT(calls.errqueue + (int)faults_count(CALL_epoll_ctl), 0);
    end_loop(loop);
    close(fd);
}

TEST(full_batches_are_read_on_and_that_is_all) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address self = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from), count = 0;
    rondo_udp_on_message(udp, count_message, &count);
    run_turns(loop, 1);
    forget_calls();
    socket_send_burst(fd, &self, 128);
    run_turns(loop, 1);
    CHECK_INT(count, 128);
    CHECK_INT(calls.recvmmsg, 3);
    CHECK_INT(calls.errqueue, 0);
    end_loop(loop);
    close(fd);
}

TEST(several_batches_do_not_fill_the_queue_with_their_answers) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address self = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_udp_on_message(udp, reply, udp);
    CHECK_INT(rondo_udp_set_high_water(udp, 5000, 5000), 0); /* 64 of them, and not 100 */
    socket_send_burst(fd, &self, 100);
    run_turns(loop, 1);
    CHECK_INT(figures_of(udp).messages_out, 100);
    end_loop(loop);
    close(fd);
}

TEST(answers_to_one_batch_leave_in_one_call) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1"), *other = new_udp(loop, "127.0.0.1");
    rondo_address self = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_udp_on_message(udp, reply, udp);
    rondo_udp_on_message(udp, reply, other);
    run_turns(loop, 1);
    forget_calls();
    for (size_t i = 1; i <= 100; i++) socket_send(fd, &self, "x", i % 2);
    run_turns(loop, 1);
    CHECK_INT(calls.recvmmsg, 2);
    CHECK_INT(calls.sendmmsg, 4);
    CHECK_INT(calls.sendmsg, 0);
    CHECK_INT(figures_of(udp).messages_out + figures_of(other).messages_out, 200);
    end_loop(loop);
    close(fd);
}

TEST(a_steady_state_allocates_nothing) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *server = new_udp(loop, "127.0.0.1"), *client = new_udp(loop, "127.0.0.1");
    rondo_address to = to_udp(server, "127.0.0.1");
    int count = 0;
    char bytes[3000] = {0};
    rondo_udp_on_message(server, reply, server);
    rondo_udp_on_message(client, count_message, &count);
    size_t before = 0;
    for (int round = 0; round < 20; round++) {
        if (round == 5) before = harness_alloc_count();
        for (int i = 0; i < 40; i++)
            CHECK(rondo_udp_send(client, &to, rondo_slice_of(bytes, (size_t)i * 70)) > 0);
        run_turns(loop, 4);
    }
    CHECK_INT(count, 800);
    CHECK_INT(harness_alloc_count(), before);
    end_loop(loop);
}

/* ---- runs ---- */

static void send_equal(rondo_udp *udp, const rondo_address *to, int count, size_t len) {
    char *bytes = malloc(len);
    for (int i = 0; i < count; i++) {
        memset(bytes, 'a' + i, len);
        CHECK(rondo_udp_send(udp, to, rondo_slice_of(bytes, len)) >= 0);
    }
    free(bytes);
}

static void check_arrived(int fd, int count, size_t len) {
    char bytes[65536];
    for (int i = 0; i < count; i++) {
        CHECK_INT(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT), len);
        for (size_t j = 0; j < len; j++) CHECK_INT(bytes[j], 'a' + i);
    }
    CHECK_INT(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT), -1);
}

TEST(equal_ones_to_one_address_leave_as_a_run) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to, to_other;
    int fd, other = new_socket("127.0.0.1", &to_other);
    rondo_udp *udp = new_sender(loop, &fd, &to);
    send_equal(udp, &to, 20, 1000);
    run_turns(loop, 1);
    CHECK_INT(calls.runs, 1);
    CHECK_INT(calls.sendmsg, 1);
    CHECK_INT(most_segment, 1000);
    check_arrived(fd, 20, 1000);
    CHECK_INT(figures_of(udp).messages_out, 20);
    CHECK_INT(figures_of(udp).bytes_out, 20000);

    forget_calls();
    const char *texts[] = {"aa", "bb", "c", "dd", "", "ee", "ff", "ggg", "hh"};
    for (size_t i = 0; i < 9; i++) CHECK_INT(send_text(udp, &to, texts[i]), 1);
    CHECK_INT(send_text(udp, &to_other, "ii"), 1);
    CHECK_INT(send_text(udp, &to, "jj"), 1);
    run_turns(loop, 1);
    CHECK_INT(calls.runs, 3); /* aa bb c; ee ff; ggg hh. Then ii, jj by themselves */
    CHECK_INT(calls.sendmmsg, 1);
    note_socket(fd);
    note_socket(other);
    CHECK_TRACE("aa bb c dd  ee ff ggg hh jj ii");
    end_loop(loop);
    close(fd), close(other);
}

TEST(runs_of_a_connected_handle) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    CHECK_INT(rondo_udp_connect(udp, &to), 0);
    send_equal(udp, NULL, 10, 500);
    run_turns(loop, 1);
    CHECK_INT(calls.runs, 1);
    check_arrived(fd, 10, 500);
    end_loop(loop);
    close(fd);
}

TEST(a_run_is_no_longer_than_the_kernel_takes) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    int bytes = 1 << 20;
    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
    send_equal(udp, &to, 20, 8000);
    run_turns(loop, 1);
    check_arrived(fd, 20, 8000);
    CHECK_INT(calls.runs, 3); /* of 8, 8 and 4 */
    CHECK_INT(figures_of(udp).failed, 0);
    end_loop(loop);
    close(fd);
}

TEST(what_leaves_as_runs_comes_as_few) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *joined = new_udp(loop, "127.0.0.1"), *single = rondo_udp_new(loop);
    rondo_udp *sender = new_udp(loop, "127.0.0.1");
    int count = 0;
    CHECK_INT(rondo_udp_set_max_bytes(single, 2000), 0);
    CHECK_INT(rondo_udp_bind(single, "127.0.0.1", 0), 0);
    rondo_address to_joined = to_udp(joined, "127.0.0.1"), to_single = to_udp(single, "127.0.0.1");
    rondo_udp_on_message(joined, count_message, &count);
    rondo_udp_on_message(single, count_message, &count);
    send_equal(sender, &to_joined, 100, 10);
    run_turns(loop, 1);
    CHECK_INT(count, 100);
    CHECK_INT(calls.recvmmsg, 1); /* two places of 64 */
    send_equal(sender, &to_single, 100, 10);
    run_turns(loop, 1);
    CHECK_INT(count, 200);
    CHECK_INT(calls.recvmmsg, 3);
    end_loop(loop);
}

static void check_refused_runs(int error, bool tries_smaller) {
    rondo_loop *loop = new_virtual_loop();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    fail_runs = error;
    send_equal(udp, &to, 5, 2000);
    run_turns(loop, 2);
    CHECK_INT(calls.runs, 1);
    check_arrived(fd, 5, 2000);
    forget_calls();
    send_equal(udp, &to, 5, 2000);
    run_turns(loop, 2);
    CHECK_INT(calls.runs, 0); /* never again at that size */
    check_arrived(fd, 5, 2000);
    const int sizes[] = {1452, 1452, 1232, 1232};
    for (int i = 0; i < 4; i++) {
        forget_calls();
        send_equal(udp, &to, 5, (size_t)sizes[i]);
        run_turns(loop, 2);
        CHECK_INT(calls.runs, tries_smaller && i % 2 == 0 ? 1 : 0);
        check_arrived(fd, 5, (size_t)sizes[i]);
    }
    CHECK_INT(figures_of(udp).messages_out, 30);
    CHECK_INT(figures_of(udp).failed, 0);
    check_idle(loop);
    CHECK_TRACE("");
    end_loop(loop);
    close(fd);
}

TEST(refused_runs_leave_one_by_one) {
    check_refused_runs(EIO, false);
    check_refused_runs(ENOPROTOOPT, false);
    check_refused_runs(EINVAL, true); /* maybe the size: smaller ones are tried, in two steps */
    check_refused_runs(EMSGSIZE, true);
}

TEST(a_run_that_fails_otherwise_is_tried_one_by_one_this_time) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    fail_send[0] = ECONNREFUSED;
    send_equal(udp, &to, 5, 100);
    run_turns(loop, 1);
    check_arrived(fd, 5, 100);
    forget_calls();
    send_equal(udp, &to, 5, 100);
    run_turns(loop, 1);
    CHECK_INT(calls.runs, 1);
    check_arrived(fd, 5, 100);
    end_loop(loop);
    close(fd);
}

TEST(a_kernel_without_runs) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    no_runs = true;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    send_equal(udp, &to, 5, 100);
    run_turns(loop, 1);
    CHECK_INT(calls.runs, 0);
    CHECK_INT(calls.sendmmsg, 1);
    check_arrived(fd, 5, 100);
    end_loop(loop);
    close(fd);
}

TEST(one_too_long_among_equal_ones) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    fail_over_bytes = 50;
    send_text(udp, &to, "a");
    send_equal(udp, &to, 1, 100);
    send_text(udp, &to, "bbb");
    run_turns(loop, 2);
    note_socket(fd);
    CHECK(strstr(trace, "EMSGSIZE"));
    CHECK(strstr(trace, " a bbb"));
    CHECK_INT(figures_of(udp).failed, 1);
    end_loop(loop);
    close(fd);
}
