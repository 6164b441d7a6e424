/* SPDX-License-Identifier: MIT
 *
 * Sending datagrams: what calls say, the queue, and what closing does with it.
 */
#define _GNU_SOURCE
#include "udp_calls.h"

/* ---- what a call says ---- */

TEST(calls_refuse_what_cannot_be_sent) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *v4 = new_udp(loop, "127.0.0.1"), *v6 = new_udp(loop, "::1");
    rondo_udp *dual = new_udp(loop, NULL);
    rondo_address to4 = address_of("127.0.0.1", 9), to6 = address_of("::1", 9), none = {.len = 0};
    rondo_address no_port = address_of("127.0.0.1", 0), local;
    char *bytes = new_bytes(65528);
    CHECK_INT(rondo_address_parse_unix("/x", &local), 0);
    CHECK_INT(send_text(v4, &to6, "x"), RONDO_EAFNOSUPPORT);
    CHECK_INT(send_text(v6, &to4, "x"), RONDO_EAFNOSUPPORT);
    CHECK_INT(send_text(dual, &local, "x"), RONDO_EAFNOSUPPORT);
    CHECK_INT(send_text(v4, &none, "x"), RONDO_EINVAL);
    CHECK_INT(send_text(v4, &no_port, "x"), RONDO_EINVAL);
    CHECK_INT(send_text(v4, NULL, "x"), RONDO_ENOTCONN);
    CHECK_INT(rondo_udp_try_send(v4, NULL, rondo_slice_text("x")), RONDO_ENOTCONN);
    CHECK_INT(rondo_udp_send(v4, &to4, rondo_slice_of(bytes, 65508)), RONDO_EMSGSIZE);
    CHECK_INT(rondo_udp_send(dual, &to4, rondo_slice_of(bytes, 65508)), RONDO_EMSGSIZE);
    CHECK_INT(rondo_udp_send(dual, &to6, rondo_slice_of(bytes, 65528)), RONDO_EMSGSIZE);
    CHECK_INT(rondo_udp_connect(dual, &to4), 0);
    CHECK_INT(rondo_udp_send(dual, NULL, rondo_slice_of(bytes, 65508)), RONDO_EMSGSIZE);
    CHECK_INT(rondo_udp_connect(dual, &to6), 0);
    CHECK_INT(rondo_udp_try_send(dual, NULL, rondo_slice_of(bytes, 65528)), RONDO_EMSGSIZE);
    CHECK_INT(figures_of(v4).queued_messages + figures_of(dual).queued_messages, 0);
    rondo_close(v4);
    CHECK_INT(send_text(v4, &to4, "x"), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_try_send(v4, &to4, rondo_slice_text("x")), RONDO_ECLOSED);
    end_loop(loop);
    free(bytes);
}

TEST(the_longest_ones_leave) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to4, to6;
    int fd4 = new_socket("127.0.0.1", &to4), fd6 = new_socket("::1", &to6);
    char *bytes = new_bytes(65527), *got = malloc(65527);
    rondo_udp *dual = new_udp(loop, NULL);
    CHECK_INT(rondo_udp_send(dual, &to4, rondo_slice_of(bytes, 65507)), 1);
    CHECK_INT(rondo_udp_send(dual, &to6, rondo_slice_of(bytes, 65527)), 1);
    CHECK_INT(rondo_udp_send(dual, &to4, rondo_slice_of(NULL, 0)), 1);
    CHECK_INT(figures_of(dual).queued_messages, 3);
    CHECK_INT(figures_of(dual).queued_bytes, 65507 + 65527);
    run_turns(loop, 1);
    CHECK_INT(recv(fd4, got, 65527, 0), 65507);
    CHECK_MEM(got, bytes, 65507);
    CHECK_INT(recv(fd6, got, 65527, 0), 65527);
    CHECK_MEM(got, bytes, 65527);
    CHECK_INT(recv(fd4, got, 65527, MSG_DONTWAIT), 0);
    CHECK_INT(figures_of(dual).messages_out, 3);
    CHECK_INT(figures_of(dual).bytes_out, 65507 + 65527);
    CHECK_INT(figures_of(dual).queued_messages + figures_of(dual).queued_bytes, 0);
    end_loop(loop);
    close(fd4), close(fd6), free(bytes), free(got);
}

TEST(a_sender_of_a_mapped_address_is_answered_by_any_handle) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *dual = new_udp(loop, NULL), *v4 = new_udp(loop, "127.0.0.1");
    rondo_address to = to_udp(dual, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_udp_on_message(dual, reply, v4);
    socket_send_text(fd, &to, "back");
    run_turns(loop, 2);
    note_socket(fd);
    CHECK_TRACE("back");
    end_loop(loop);
    close(fd);
}

TEST(the_first_send_binds) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = rondo_udp_new(loop), *other = rondo_udp_new(loop);
    rondo_address to;
    int fd = new_socket("127.0.0.1", &to);
    CHECK_INT(send_text(udp, &to, "queued"), 1);
    CHECK(rondo_is_active(udp) && port_of(udp) > 0);
    no_ipv6 = true;
    CHECK_INT(rondo_udp_try_send(other, &to, rondo_slice_text("at once")), 7);
    rondo_address local, to6 = address_of("::1", 9);
    CHECK_INT(rondo_udp_local(other, &local), 0);
    CHECK_INT(rondo_address_family(&local), RONDO_FAMILY_IPV4);
    CHECK_INT(send_text(other, &to6, "x"), RONDO_EAFNOSUPPORT);
    run_turns(loop, 1);
    note_socket(fd);
    CHECK_TRACE("at once queued");
    end_loop(loop);
    close(fd);
}

TEST(trying_never_overtakes) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    CHECK_INT(rondo_udp_try_send(udp, &to, rondo_slice_text("1")), 1);
    CHECK_INT(send_text(udp, &to, "2"), 1);
    CHECK_INT(rondo_udp_try_send(udp, &to, rondo_slice_text("3")), RONDO_EAGAIN);
    run_turns(loop, 1);
    pass_sends = 0;
    CHECK_INT(rondo_udp_try_send(udp, &to, rondo_slice_text("3")), RONDO_EAGAIN);
    pass_sends = -1;
    fail_send[0] = ECONNREFUSED; /* of an earlier one: this one is sent */
    CHECK_INT(rondo_udp_try_send(udp, &to, rondo_slice_text("4")), 1);
    fail_send[0] = fail_send[1] = EPERM;
    CHECK_INT(rondo_udp_try_send(udp, &to, rondo_slice_text("5")), RONDO_EPERM);
    run_turns(loop, 2);
    note_socket(fd);
    CHECK_TRACE("1 2 4");
    CHECK_INT(figures_of(udp).messages_out, 3);
    CHECK_INT(figures_of(udp).bytes_out, 3);
    end_loop(loop);
    close(fd);
}

TEST(another_peer_gets_nothing_of_the_one_before) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to[2];
    int fds[2];
    rondo_udp *udp = new_sender(loop, &fds[0], &to[0]);
    rondo_close(new_sender(loop, &fds[1], &to[1])); /* for its socket */
    CHECK_INT(rondo_udp_connect(udp, &to[0]), 0);
    CHECK_INT(send_text(udp, NULL, "one"), 1);
    CHECK_INT(rondo_udp_connect(udp, &to[1]), 0);
    CHECK_INT(send_text(udp, NULL, "two"), 1);
    CHECK_INT(rondo_udp_connect(udp, NULL), 0);
    CHECK_INT(send_text(udp, &to[0], "three"), 1);
    pass_sends = 0; /* the kernel is full: the queue can't be sent first */
    CHECK_INT(rondo_udp_connect(udp, &to[1]), RONDO_EAGAIN);
    pass_sends = -1;
    run_turns(loop, 2);
    CHECK_INT(rondo_udp_connect(udp, &to[1]), 0);
    note_socket(fds[0]);
    CHECK_TRACE("drain one three");
    note_socket(fds[1]);
    CHECK_TRACE("two");
    end_loop(loop);
    close(fds[0]);
    close(fds[1]);
}

/* ---- the queue ---- */

TEST(above_the_mark_it_says_so_and_drains) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    CHECK_INT(rondo_udp_set_high_water(udp, 200, 400), 0);
    CHECK_INT(send_text(udp, &to, "x"), 1); /* counts 65 */
    run_turns(loop, 2);
    CHECK_TRACE("");
    for (int i = 0; i < 3; i++) CHECK_INT(send_text(udp, &to, "x"), 1);
    for (int i = 0; i < 4; i++) CHECK_INT(send_text(udp, &to, "x"), 0);
    CHECK_INT(send_text(udp, &to, "x"), RONDO_ENOBUFS);
    CHECK_INT(figures_of(udp).queued_messages, 7);
    CHECK_TRACE("");
    run_turns(loop, 2);
    CHECK_TRACE("drain");
    CHECK_INT(send_text(udp, &to, "x"), 1);
    run_turns(loop, 2);
    CHECK_TRACE("");
    CHECK_INT(figures_of(udp).messages_out, 9);
    CHECK_INT(rondo_udp_set_high_water(udp, 0, 0), 0);
    CHECK_INT(send_text(udp, &to, "x"), 0);
    CHECK_INT(send_text(udp, &to, "x"), RONDO_ENOBUFS);
    run_turns(loop, 2);
    CHECK_TRACE("drain");
    end_loop(loop);
    close(fd);
}

TEST(datagrams_without_bytes_fill_the_queue_too) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd, count = 0, status;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    while ((status = rondo_udp_send(udp, &to, rondo_slice_of(NULL, 0))) >= 0) count++;
    CHECK_INT(status, RONDO_ENOBUFS);
    CHECK_INT(count, 4 * 1024 * 1024 / 64);
    end_loop(loop);
    close(fd);
}

TEST(a_full_kernel_is_waited_for) {
    rondo_loop *loop = new_virtual_loop();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    CHECK_INT(rondo_udp_set_high_water(udp, 1, 100000), 0);
    send_numbered(udp, &to, 5);
    pass_sends = 2;
    run_turns(loop, 1);
    CHECK_INT(figures_of(udp).queued_messages, 3);
    CHECK_INT(send_text(udp, &to, "last"), 0);
    pass_sends = -1;
    run_turns(loop, 2);
    note_socket(fd);
    CHECK_TRACE("drain 0 1. 2.. 3... 4.... last");
    check_idle(loop);
    end_loop(loop);
    close(fd);
}

TEST(a_full_device_is_tried_again_after_a_while) {
    rondo_loop *loop = new_virtual_loop();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    for (int i = 0; i < 2; i++) {
        fail_send[0] = -1;
        fail_send[1] = fail_send[2] = i ? ENOMEM : ENOBUFS; /* lost in the middle of a batch */
        send_numbered(udp, &to, 3);
        rondo_loop_run(loop, RONDO_RUN_NOWAIT);
        CHECK_INT(figures_of(udp).queued_messages, 2);
        CHECK_INT(send_text(udp, &to, "last"), 1);
        forget_calls();
        rondo_loop_run(loop, RONDO_RUN_NOWAIT);
        rondo_loop_run(loop, RONDO_RUN_NOWAIT);
        CHECK_INT(calls.sendmsg + calls.sendmmsg, 0); /* not before it is time */
        check_idle(loop);
        note_socket(fd);
        CHECK_TRACE("0 1. 2.. last");
    }
    CHECK_INT(figures_of(udp).failed, 0);
    end_loop(loop);
    close(fd);
}

TEST(a_full_kernel_hides_no_errors) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to, gone = nobody("127.0.0.1");
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    rondo_address self = to_udp(udp, "127.0.0.1");
    CHECK_INT(send_text(udp, &self, "unread"), 1);
    run_turns(loop, 3); /* so it isn't watched for reading any more */
    CHECK_INT(send_text(udp, &gone, "refused"), 1);
    run_turns(loop, 3);
    CHECK_TRACE("");
    pass_sends = 0;
    CHECK_INT(send_text(udp, &to, "x"), 1);
    run_turns(loop, 3);
    CHECK_TRACE("ECONNREFUSED");
    end_loop(loop);
    close(fd);
}

TEST(without_memory_to_watch_it_is_tried_again) {
    enum { HANDLES = 40 };
    rondo_address to;
    int fd = new_socket("127.0.0.1", &to), bytes = 1 << 20, failures = 0;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    for (long n = 0;; n++) {
        rondo_loop *loop = new_virtual_loop();
        rondo_udp *handles[HANDLES];
        for (int i = 0; i < HANDLES; i++) {
            handles[i] = new_udp(loop, "127.0.0.1");
            rondo_loop_run(loop, RONDO_RUN_NOWAIT); /* one at a time: libev's arrays stay small */
        }
        for (int i = 0; i < HANDLES; i++) CHECK_INT(send_text(handles[i], &to, "x"), 1);
        pass_sends = 0;
        harness_fail_alloc_after(n);
        run_turns(loop, 1);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        pass_sends = -1;
        check_idle(loop);
        for (int i = 0; i < HANDLES; i++) CHECK_INT(figures_of(handles[i]).messages_out, 1);
        end_loop(loop);
        if (!failed) break;
        failures++;
    }
    CHECK(failures > 0);
    close(fd);
}

TEST(one_flush_is_bounded) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    for (int i = 0; i < 3000; i++) CHECK(send_text(udp, &to, i % 2 ? "x" : "yy") >= 0);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    size_t first = figures_of(udp).messages_out;
    CHECK(first >= 1024 && first < 3000);
    run_turns(loop, 3);
    CHECK_INT(figures_of(udp).messages_out, 3000);
    end_loop(loop);
    close(fd);
}

/* ---- the end ---- */

TEST(closing_sends_what_is_queued_without_waiting) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    send_numbered(udp, &to, 3);
    rondo_close(udp);
    note_socket(fd);
    CHECK_TRACE("0 1. 2..");
    CHECK_INT(figures_of(udp).queued_messages, 0);
    udp = new_udp(loop, "127.0.0.1");
    pass_sends = 1;
    send_numbered(udp, &to, 3);
    rondo_close(udp);
    note_socket(fd);
    CHECK_TRACE("0");
    run_all(loop);
    rondo_loop_free(loop);
    close(fd);
}

TEST(closing_while_the_kernel_is_full) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    rondo_udp_set_high_water(udp, 1, 1000);
    send_numbered(udp, &to, 3);
    pass_sends = 0;
    run_turns(loop, 2);
    forget_calls();
    rondo_close(udp);
    CHECK_INT(calls.sendmmsg, 0);
    run_all(loop);
    CHECK_TRACE(""); /* neither drain nor error */
    rondo_loop_free(loop);
    close(fd);
}

static void close_at_drain(rondo_udp *udp, void *arg) {
    note("drain");
    rondo_close(udp);
}

TEST(closing_leaves_nothing_that_could_run) {
    const int errors[] = {EPERM, ENOBUFS};
    for (int i = 0; i < 2; i++) {
        rondo_loop *loop = rondo_loop_new();
        rondo_address to;
        int fd;
        rondo_udp *udp = new_sender(loop, &fd, &to);
        send_numbered(udp, &to, 1);
        fail_send[0] = fail_send[1] = errors[i];
        rondo_loop_run(loop, RONDO_RUN_NOWAIT); /* the failure is told in the next turn */
        if (i == 0) {                           /* at once, from a call */
            fail_send[0] = fail_send[1] = EPERM;
            rondo_udp_try_send(udp, &to, rondo_slice_text("x"));
        }
        trace_size = 0;
        rondo_close(udp);
        rondo__loop_verify(loop);
        memset(fail_send, 0, sizeof fail_send);
        run_all(loop);
        rondo_loop_free(loop);
        close(fd);
    }
}

TEST(a_ping_socket_is_no_udp_socket) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = rondo_udp_new(loop);
    rondo_address address;
    int fd = new_socket("127.0.0.1", &address);
    is_ping = true;
    CHECK_INT(rondo_udp_open(udp, fd), RONDO_ENOTSUP);
    end_loop(loop);
    close(fd);
}

TEST(closing_at_drain) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd = new_socket("127.0.0.1", &to);
    rondo_udp *udp = rondo_udp_new(loop);
    rondo_udp_set_high_water(udp, 1, 1000);
    rondo_udp_on_drain(udp, close_at_drain, NULL);
    CHECK_INT(send_text(udp, &to, "x"), 0);
    run_all(loop);
    CHECK_TRACE("drain");
    rondo_loop_free(loop);
    close(fd);
}
