/* SPDX-License-Identifier: MIT
 *
 * Receiving datagrams: in bounded batches, joined or not, and what becomes of the rest of a batch
 * when its listener pauses, goes or closes.
 */
#define _GNU_SOURCE
#include "udps.h"

#include <netinet/udp.h>

/* ---- receiving ---- */

static void note_length(rondo_udp *udp, const rondo_udp_message *message, void *arg) {
    note("%zu%s", message->data.len, message->truncated ? "!" : "");
}

TEST(an_empty_one_and_the_longest_come_whole) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *v4 = new_udp(loop, "127.0.0.1"), *v6 = new_udp(loop, "::1");
    rondo_address to4 = to_udp(v4, "127.0.0.1"), to6 = to_udp(v6, "::1"), from;
    int fd = new_socket("::1", &from), fd4 = new_socket("127.0.0.1", &from);
    char *bytes = new_bytes(65535);
    rondo_udp_on_message(v4, note_length, NULL);
    rondo_udp_on_message(v6, note_length, NULL);
    socket_send(fd4, &to4, bytes, 0);
    socket_send(fd4, &to4, bytes, 65507);
    run_turns(loop, 1);
    CHECK_TRACE("0 65507");
    socket_send(fd, &to6, bytes, 65527);
    run_turns(loop, 1);
    CHECK_TRACE("65527");
    end_loop(loop);
    close(fd), close(fd4), free(bytes);
}

TEST(what_is_too_long_is_cut_and_says_so) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = rondo_udp_new(loop);
    rondo_address from;
    int fd = new_socket("127.0.0.1", &from);
    char *bytes = new_bytes(5000);
    CHECK_INT(rondo_udp_set_max_bytes(udp, 1000), 0);
    CHECK_INT(rondo_udp_bind(udp, "127.0.0.1", 0), 0);
    rondo_address to = to_udp(udp, "127.0.0.1");
    rondo_udp_on_message(udp, note_length, NULL);
    socket_send(fd, &to, bytes, 999);
    socket_send(fd, &to, bytes, 1000);
    socket_send(fd, &to, bytes, 1001);
    socket_send(fd, &to, bytes, 5000);
    socket_send(fd, &to, bytes, 1);
    run_turns(loop, 1);
    CHECK_TRACE("999 1000 1000! 1000! 1");
    CHECK_INT(figures_of(udp).truncated, 2);
    CHECK_INT(figures_of(udp).bytes_in, 4000);
    end_loop(loop);
    close(fd), free(bytes);
}

TEST(handles_with_different_maxima_share_an_area) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *small = rondo_udp_new(loop), *large;
    rondo_address from;
    int fd = new_socket("127.0.0.1", &from);
    char *bytes = new_bytes(3000);
    CHECK_INT(rondo_udp_set_max_bytes(small, 100), 0);
    CHECK_INT(rondo_udp_bind(small, "127.0.0.1", 0), 0);
    large = new_udp(loop, "127.0.0.1");
    rondo_address to_small = to_udp(small, "127.0.0.1"), to_large = to_udp(large, "127.0.0.1");
    rondo_udp_on_message(small, note_length, NULL);
    rondo_udp_on_message(large, note_length, NULL);
    for (int i = 0; i < 2; i++) {
        socket_send(fd, &to_small, bytes, 3000);
        run_turns(loop, 1);
        socket_send(fd, &to_large, bytes, 3000);
        run_turns(loop, 1);
    }
    CHECK_TRACE("100! 3000 100! 3000");
    end_loop(loop);
    close(fd), free(bytes);
}

static void bind_large(rondo_udp *udp, const rondo_udp_message *message, void *arg) {
    if (figures_of(udp).messages_in == 1) {
        rondo_udp *large = new_udp(rondo_handle_loop(udp), "127.0.0.1");
        rondo_udp_on_message(large, note_length, NULL);
        *(rondo_address *)arg = to_udp(large, "127.0.0.1");
    }
    note("%.*s", (int)message->data.len, message->data.data);
}

TEST(binding_a_larger_one_in_a_callback_leaves_the_batch_alone) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = rondo_udp_new(loop);
    rondo_address from, to_large;
    int fd = new_socket("127.0.0.1", &from);
    char *bytes = new_bytes(3000);
    CHECK_INT(rondo_udp_set_max_bytes(udp, 100), 0);
    CHECK_INT(rondo_udp_bind(udp, "127.0.0.1", 0), 0);
    rondo_address to = to_udp(udp, "127.0.0.1");
    rondo_udp_on_message(udp, bind_large, &to_large);
    socket_send_burst(fd, &to, 5);
    run_turns(loop, 1);
    CHECK_TRACE("0 1 2 3 4");
    socket_send(fd, &to_large, bytes, 3000);
    socket_send_burst(fd, &to, 1);
    run_turns(loop, 1);
    CHECK(strstr(trace, "3000"));
    end_loop(loop);
    close(fd), free(bytes);
}

TEST(a_burst_is_bounded_by_the_budget_of_a_turn) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address to = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from), count = 0;
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_datagrams, 70), 0);
    rondo_udp_on_message(udp, count_message, &count);
    socket_send_burst(fd, &to, 200);
    run_turns(loop, 1);
    CHECK_INT(count, 70);
    run_turns(loop, 1);
    CHECK_INT(count, 140);
    run_turns(loop, 1);
    CHECK_INT(count, 200);
    end_loop(loop);
    close(fd);
}

/* ---- GRO ---- */

/* What one sender with GSO sends comes as one buffer. */
static void send_run(int fd, const rondo_address *to, const char *bytes, size_t len, int segment) {
    CHECK_INT(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment), 0);
    socket_send(fd, to, bytes, len);
    segment = 0;
    CHECK_INT(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment), 0);
}

TEST(joined_datagrams_are_told_one_by_one) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address to = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_udp_on_message(udp, note_message, NULL);
    send_run(fd, &to, "aabbccddeeff", 12, 2);
    send_run(fd, &to, "aaabbbc", 7, 3);
    socket_send_text(fd, &to, "last");
    run_turns(loop, 1);
    CHECK_TRACE("aa bb cc dd ee ff aaa bbb c last");
    CHECK_INT(figures_of(udp).messages_in, 10);
    CHECK_INT(figures_of(udp).bytes_in, 12 + 7 + 4);
    end_loop(loop);
    close(fd);
}

TEST(joined_datagrams_count_one_by_one_for_the_budget) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address to = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_datagrams, 4), 0);
    rondo_udp_on_message(udp, note_message, NULL);
    send_run(fd, &to, "aabbccddeeff", 12, 2);
    socket_send_text(fd, &to, "last");
    run_turns(loop, 1);
    CHECK_TRACE("aa bb cc dd");
    run_turns(loop, 1);
    CHECK_TRACE("ee ff last");
    end_loop(loop);
    close(fd);
}

static void close_at_second(rondo_udp *udp, const rondo_udp_message *message, void *arg) {
    note_message(udp, message, arg);
    if (figures_of(udp).messages_in == 2) rondo_close(udp);
}

TEST(closing_in_the_middle_of_joined_datagrams) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address to = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_udp_on_message(udp, close_at_second, NULL);
    send_run(fd, &to, "aabbccddee", 10, 2);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("aa bb");
    rondo_loop_free(loop);
    close(fd);
}

/* ---- stopping in the middle ---- */

static int pause_at, close_at, off_at, seen;
static void stop_in_the_middle(rondo_udp *udp, const rondo_udp_message *message, void *arg) {
    char before[64];
    size_t len = message->data.len;
    memcpy(before, message->data.data, len);
    note("%.*s", (int)len, message->data.data);
    if (++seen == pause_at) CHECK_INT(rondo_udp_pause(udp), 0);
    if (seen == off_at) CHECK_INT(rondo_udp_off_message(udp, stop_in_the_middle, NULL), 0);
    if (seen == close_at) rondo_close(udp);
    CHECK_MEM(message->data.data, before, len); /* still there */
    CHECK(rondo_address_port(message->from) > 0);
}

static rondo_udp *new_stopper(rondo_loop *loop, int fd, int count) {
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address to = to_udp(udp, "127.0.0.1");
    CHECK_INT(rondo_udp_on_message(udp, stop_in_the_middle, NULL), 0);
    CHECK_INT(rondo_on_close(udp, note_close, "close"), 0);
    socket_send_burst(fd, &to, count);
    return udp;
}

TEST(closing_in_the_middle_drops_the_rest) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address from;
    int fd = new_socket("127.0.0.1", &from);
    close_at = 2;
    new_stopper(loop, fd, 6);
    run_all(loop);
    CHECK_TRACE("0 1 close");
    rondo_loop_free(loop);
    close(fd);
}

TEST(pausing_in_the_middle_keeps_the_rest_for_later) {
    rondo_loop *loop = new_virtual_loop();
    rondo_address from;
    int fd = new_socket("127.0.0.1", &from);
    pause_at = 2;
    rondo_udp *udp = new_stopper(loop, fd, 6);
    rondo_address to = to_udp(udp, "127.0.0.1");
    run_turns(loop, 3);
    CHECK_TRACE("0 1");
    socket_send_text(fd, &to, "new");
    check_idle(loop);
    CHECK_TRACE("");
    pause_at = 4;
    CHECK_INT(rondo_udp_resume(udp), 0);
    CHECK_TRACE(""); /* not inside the call */
    run_turns(loop, 3);
    CHECK_TRACE("2 3");
    CHECK_INT(rondo_udp_resume(udp), 0);
    run_turns(loop, 1);
    CHECK_TRACE("4 5 new");
    end_loop(loop);
    close(fd);
}

TEST(pause_and_resume_inside_one_callback_changes_nothing) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address to = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_udp_pause(udp);
    rondo_udp_resume(udp);
    rondo_udp_on_message(udp, note_message, NULL);
    socket_send_burst(fd, &to, 3);
    rondo_udp_pause(udp);
    run_turns(loop, 1);
    rondo_udp_resume(udp);
    run_turns(loop, 1);
    CHECK_TRACE("0 1 2");
    end_loop(loop);
    close(fd);
}

TEST(closing_while_the_rest_is_delivered) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address from;
    int fd = new_socket("127.0.0.1", &from);
    pause_at = 2, close_at = 4;
    rondo_udp *udp = new_stopper(loop, fd, 6);
    run_turns(loop, 1);
    CHECK_INT(rondo_udp_resume(udp), 0);
    run_all(loop);
    CHECK_TRACE("0 1 2 3 close");
    rondo_loop_free(loop);
    close(fd);
}

TEST(closing_with_the_rest_still_kept) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address from;
    int fd = new_socket("127.0.0.1", &from);
    pause_at = 2;
    rondo_udp *udp = new_stopper(loop, fd, 6);
    run_turns(loop, 1);
    CHECK_INT(rondo_udp_resume(udp), 0);
    rondo_close(udp);
    run_all(loop);
    CHECK_TRACE("0 1 close");
    rondo_loop_free(loop);
    close(fd);
}

TEST(the_rest_of_a_batch_waits_for_the_next_listener) {
    rondo_loop *loop = new_virtual_loop();
    rondo_address from;
    int fd = new_socket("127.0.0.1", &from);
    off_at = 2;
    rondo_udp *udp = new_stopper(loop, fd, 4);
    run_turns(loop, 1);
    check_idle(loop);
    CHECK_TRACE("0 1");
    CHECK_INT(rondo_udp_once_message(udp, note_message, NULL), 0);
    run_turns(loop, 2);
    CHECK_TRACE("2");
    CHECK_INT(rondo_udp_on_message(udp, note_message, NULL), 0);
    run_turns(loop, 1);
    CHECK_TRACE("3");
    end_loop(loop);
    close(fd);
}

TEST(the_kept_rest_goes_by_the_budget_too) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address from;
    int fd = new_socket("127.0.0.1", &from);
    pause_at = 1;
    rondo_udp *udp = new_stopper(loop, fd, 8);
    run_turns(loop, 1);
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_datagrams, 3), 0);
    CHECK_INT(rondo_udp_resume(udp), 0);
    run_turns(loop, 1);
    CHECK_TRACE("0 1 2 3");
    run_turns(loop, 1);
    CHECK_TRACE("4 5 6");
    run_turns(loop, 1);
    CHECK_TRACE("7");
    end_loop(loop);
    close(fd);
}

TEST(nobody_listens_and_nothing_spins) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address to = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    socket_send_burst(fd, &to, 3);
    check_idle(loop);
    rondo_udp_on_message(udp, note_message, NULL);
    check_idle(loop);
    CHECK_TRACE("0 1 2");
    rondo_udp_pause(udp);
    socket_send_burst(fd, &to, 3);
    check_idle(loop);
    CHECK_TRACE("");
    rondo_udp_resume(udp);
    run_turns(loop, 1);
    CHECK_TRACE("0 1 2");
    end_loop(loop);
    close(fd);
}

TEST(dropped_ones_are_counted) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address to = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from), count = 0;
    char *bytes = new_bytes(1000);
    CHECK_INT(rondo_udp_set_kernel_buffers(udp, 10000, 0), 0);
    rondo_udp_on_message(udp, count_message, &count);
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 100; i++) socket_send(fd, &to, bytes, 1000);
        run_turns(loop, 2);
        socket_send(fd, &to, bytes, 1000);
        run_turns(loop, 1);
        CHECK(count > 1 && count < 100 * round);
        CHECK_INT(figures_of(udp).dropped, 101 * round - count);
    }
    end_loop(loop);
    close(fd), free(bytes);
}
