/* SPDX-License-Identifier: MIT
 *
 * System calls of UDP handles that fail, and memory that runs out.
 */
#define _GNU_SOURCE
#include "udp_calls.h"

/* ---- one that fails ---- */

TEST(one_that_fails_takes_no_other_with_it) {
    const int errors[] = {EPERM, EMSGSIZE, EACCES, EINVAL, ENETUNREACH};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        for (int which = 0; which < 3; which++) {
            rondo_loop *loop = new_virtual_loop();
            rondo_address to;
            int fd;
            rondo_udp *udp = new_sender(loop, &fd, &to);
            rondo_udp_off_error(udp, note_udp_error, NULL);
            rondo_udp_on_error(udp, note_error_to, &to);
            memset(fail_send, 0, sizeof fail_send);
            for (int j = 0; j < which; j++) fail_send[j] = -1;
            /* In the middle of a batch the error is lost, and comes again. */
            for (int j = which; j < which + 2 + (which > 0); j++) fail_send[j] = errors[i];
            send_numbered(udp, &to, 3);
            CHECK_TRACE("");
            run_turns(loop, 1);
            CHECK_INT(figures_of(udp).failed, 1);
            CHECK_INT(figures_of(udp).messages_out, 2);
            note_socket(fd);
            char want[100];
            snprintf(want, sizeof want, "%s:right %s",
                     rondo_error_name(rondo_error_from_errno(errors[i])),
                     which == 0   ? "1. 2.."
                     : which == 1 ? "0 2.."
                                  : "0 1.");
            CHECK_TRACE(want);
            check_idle(loop);
            end_loop(loop);
            close(fd);
        }
    }
}

TEST(one_that_fails_on_a_connected_handle_was_for_its_peer) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    rondo_udp_off_error(udp, note_udp_error, NULL);
    rondo_udp_on_error(udp, note_error_to, &to);
    CHECK_INT(rondo_udp_connect(udp, &to), 0);
    CHECK_INT(send_text(udp, NULL, "x"), 1);
    fail_send[0] = fail_send[1] = EPERM;
    run_turns(loop, 2);
    CHECK_TRACE("EPERM:right");
    end_loop(loop);
    close(fd);
}

TEST(a_broadcast_must_be_allowed) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to, broadcast = address_of("127.255.255.255", 9);
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    CHECK_INT(send_text(udp, &broadcast, "x"), 1);
    run_turns(loop, 2);
    CHECK_TRACE("EACCES");
    CHECK_INT(rondo_udp_set_broadcast(udp, true), 0);
    CHECK_INT(send_text(udp, &broadcast, "x"), 1);
    run_turns(loop, 2);
    CHECK_TRACE("");
    CHECK_INT(figures_of(udp).messages_out, 1);
    end_loop(loop);
    close(fd);
}

TEST(of_many_that_fail_some_are_told_and_all_are_counted) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to, broadcast = address_of("127.255.255.255", 9);
    rondo_metrics metrics;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    for (int i = 0; i < 100; i++) CHECK_INT(send_text(udp, &broadcast, i % 2 ? "x" : "yy"), 1);
    run_turns(loop, 2);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(figures_of(udp).failed, 100);
    CHECK_INT(metrics.unheard_errors, 100 - 64);
    CHECK_INT(trace_size, 64 * sizeof "EACCES" - 1);
    end_loop(loop);
    close(fd);
}

static void close_at_it(rondo_udp *udp, int error, const rondo_address *to, void *arg) {
    note("%s", rondo_error_name(error));
    rondo_close(udp);
}

TEST(closing_at_the_first_of_several_errors) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address broadcast = address_of("127.255.255.255", 9);
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_udp_on_error(udp, close_at_it, NULL);
    rondo_on_close(udp, note_close, "close");
    for (int i = 0; i < 3; i++) CHECK_INT(send_text(udp, &broadcast, "x"), 1);
    run_all(loop);
    CHECK_TRACE("EACCES close");
    rondo_loop_free(loop);
}

static void send_again(rondo_udp *udp, int error, const rondo_address *to, void *arg) {
    note("%s", rondo_error_name(error));
    if (++*(int *)arg < 3) CHECK_INT(send_text(udp, to, "again"), 1);
}

TEST(closing_at_an_error_ends_the_reading_of_errors) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address gone = nobody("127.0.0.1"), broadcast = address_of("127.255.255.255", 9);
    for (int i = 0; i < 2; i++) {
        rondo_udp *udp = new_udp(loop, "127.0.0.1");
        rondo_udp_on_error(udp, close_at_it, NULL);
        send_numbered(udp, &gone, 3);
        if (i) CHECK_INT(send_text(udp, &broadcast, "x"), 1);
        forget_calls();
        run_turns(loop, 3);
        CHECK_TRACE(i ? "EACCES" : "ECONNREFUSED");
        CHECK_INT(calls.errqueue, i ? 0 : 1);
    }
    end_loop(loop);
}

TEST(an_error_queue_is_read_only_when_there_is_reason_to) {
    rondo_loop *loop = new_virtual_loop();
    rondo_address to, gone = nobody("127.0.0.1");
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    send_numbered(udp, &gone, 2);
    check_idle(loop);
    CHECK_TRACE("ECONNREFUSED ECONNREFUSED");
    rondo_udp_set_high_water(udp, 1, 1000);
    forget_calls();
    CHECK_INT(send_text(udp, &to, "x"), 0);
    check_idle(loop);
    CHECK_TRACE("drain");
    CHECK_INT(calls.errqueue, 0);
    end_loop(loop);
    close(fd);
}

TEST(sending_from_the_error_callback) {
    rondo_loop *loop = new_virtual_loop();
    rondo_address broadcast = address_of("127.255.255.255", 9);
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    int count = 0;
    rondo_udp_on_error(udp, send_again, &count);
    CHECK_INT(send_text(udp, &broadcast, "x"), 1);
    check_idle(loop);
    CHECK_TRACE("EACCES EACCES EACCES");
    end_loop(loop);
}

TEST(errors_without_an_error_queue) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address to = nobody("127.0.0.1");
    CHECK_INT(rondo_udp_connect(udp, &to), 0);
    rondo_udp_on_message(udp, note_message, NULL);
    rondo_udp_on_error(udp, note_error_to, &to);
    run_turns(loop, 1);
    no_errqueue = true; /* as elsewhere than on Linux */
    fail_receive = ECONNREFUSED;
    rondo_address self = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_udp_connect(udp, &from);
    socket_send_text(fd, &self, "x");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK(strstr(trace, "ECONNREFUSED"));
    fail_receive = 0;
    trace_size = 0;
    check_idle(loop);
    CHECK_TRACE("x");
    end_loop(loop);
    close(fd);
}

TEST(a_socket_that_only_fails_is_left_alone_for_a_while) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address self = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_udp_on_message(udp, note_message, NULL);
    rondo_udp_on_error(udp, note_udp_error, NULL);
    run_turns(loop, 1);
    forget_calls();
    fail_receive = ENOMEM;
    socket_send_text(fd, &self, "x");
    for (int i = 0; i < 5; i++) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_INT(calls.recvmmsg, 8);
    CHECK(strstr(trace, "ENOMEM"));
    trace_size = 0;
    fail_receive = 0;
    check_idle(loop); /* and tried again */
    CHECK_TRACE("x");
    end_loop(loop);
    close(fd);
}

TEST(a_watch_that_the_kernel_refuses_is_tried_again) {
    rondo_loop *loop = new_virtual_loop();
    start_timer(loop, 0, note_timer, "timer");
    run_turns(loop, 1);
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address self = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_udp_on_message(udp, note_message, NULL);
    rondo_udp_on_error(udp, note_udp_error, NULL);
    faults_fail(CALL_epoll_ctl, 1, ENOSPC);
    socket_send_text(fd, &self, "x");
    run_turns(loop, 1);
    CHECK_TRACE("timer ENOMEM");
    check_idle(loop);
    CHECK_TRACE("x");
    end_loop(loop);
    close(fd);
}

TEST(interrupted_calls_are_made_again) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to;
    int fd;
    rondo_udp *udp = new_sender(loop, &fd, &to);
    rondo_address self = to_udp(udp, "127.0.0.1"), gone = nobody("127.0.0.1");
    rondo_udp_on_message(udp, note_message, NULL);
    interrupt_calls = 1;
    send_numbered(udp, &to, 2);
    run_turns(loop, 1);
    interrupt_calls = 1;
    CHECK_INT(rondo_udp_try_send(udp, &to, rondo_slice_text("try")), 3);
    socket_send_text(fd, &self, "in");
    interrupt_calls = 1;
    run_turns(loop, 1);
    CHECK_INT(rondo_udp_try_send(udp, &gone, rondo_slice_text("x")), 1);
    interrupt_calls = 1;
    run_turns(loop, 1);
    note_socket(fd);
    CHECK_TRACE("in ECONNREFUSED 0 1. try");
    end_loop(loop);
    close(fd);
}

/* ---- out of memory ---- */

TEST(out_of_memory_is_an_error_and_changes_nothing) {
    rondo_address to;
    int fd = new_socket("127.0.0.1", &to), failures = 0;
    for (long n = 0;; n++) {
        rondo_loop *loop = rondo_loop_new();
        harness_fail_alloc_after(n);
        rondo_udp *udp = rondo_udp_new(loop);
        int status = udp ? rondo_udp_bind(udp, "127.0.0.1", 0) : RONDO_ENOMEM;
        if (status == 0) status = rondo_udp_on_message(udp, note_message, NULL);
        if (status == 0) status = send_text(udp, &to, "x");
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        CHECK_INT(status, failed ? RONDO_ENOMEM : 1);
        failures += failed;
        if (udp && status == RONDO_ENOMEM) { /* and works afterwards */
            int again = rondo_udp_bind(udp, "127.0.0.1", 0);
            CHECK(again == 0 || again == RONDO_EBUSY);
            CHECK_INT(rondo_udp_on_message(udp, note_message, NULL), 0);
            CHECK_INT(send_text(udp, &to, "x"), 1);
        }
        run_turns(loop, 1);
        end_loop(loop);
        if (!failed) break;
    }
    CHECK(failures >= 5);
    close(fd);
}

static void pause_it(rondo_udp *udp, const rondo_udp_message *message, void *arg) {
    note_message(udp, message, arg);
    rondo_udp_pause(udp);
    harness_fail_alloc_after(0);
}

TEST(without_memory_to_keep_them_the_rest_is_dropped_and_counted) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address self = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_udp_on_message(udp, pause_it, NULL);
    socket_send_burst(fd, &self, 4);
    run_turns(loop, 1);
    CHECK(harness_alloc_failed());
    rondo_udp_off_message(udp, pause_it, NULL);
    rondo_udp_on_message(udp, note_message, NULL);
    rondo_udp_resume(udp);
    run_turns(loop, 1);
    CHECK_TRACE("0 2 3");
    CHECK_INT(figures_of(udp).dropped, 1);
    end_loop(loop);
    close(fd);
}
