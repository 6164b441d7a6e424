/* SPDX-License-Identifier: MIT
 *
 * Errors of the network: told with their address, all of them, and never in place of a datagram.
 */
#define _GNU_SOURCE
#include "udps.h"

#include <linux/net_tstamp.h>

/* ---- errors of the network ---- */

/* Longer and longer, so that no two leave as a run, which is refused as one. */
static void send_unequal(rondo_udp *udp, const rondo_address *to, int count) {
    static const char bytes[1000];
    for (int i = 1; i <= count; i++)
        CHECK(rondo_udp_send(udp, to, rondo_slice_of(bytes, (size_t)i)) >= 0);
}

static void check_refused(const char *bound, const char *host, bool listen) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *udp = new_udp(loop, bound);
    rondo_address to = nobody(host);
    rondo_udp_on_error(udp, note_error_to, &to);
    if (listen) rondo_udp_on_message(udp, note_message, NULL);
    CHECK_INT(send_text(udp, &to, "x"), 1);
    CHECK_TRACE("");
    check_idle(loop);
    CHECK_TRACE("ECONNREFUSED:right");
    rondo_address self = to_udp(udp, host);
    CHECK_INT(send_text(udp, &self, "still works"), 1);
    check_idle(loop);
    CHECK_TRACE(listen ? "still works" : "");
    end_loop(loop);
}

TEST(a_refused_port_is_an_error_with_its_address) {
    check_refused("127.0.0.1", "127.0.0.1", true);
    check_refused("127.0.0.1", "127.0.0.1", false);
    check_refused("::1", "::1", true);
    check_refused(NULL, "127.0.0.1", true);
    check_refused(NULL, "127.0.0.1", false);
    check_refused(NULL, "::1", true);
}

TEST(a_refused_port_while_datagrams_wait_unread) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address to = nobody("127.0.0.1"), self = to_udp(udp, "127.0.0.1");
    rondo_udp_on_error(udp, note_error_to, &to);
    CHECK_INT(send_text(udp, &self, "unread"), 1);
    check_idle(loop); /* it isn't watched any more */
    CHECK_INT(send_text(udp, &to, "x"), 1);
    check_idle(loop);
    CHECK_INT(send_text(udp, &self, "y"), 1); /* now the socket says it */
    check_idle(loop);
    CHECK_TRACE("ECONNREFUSED:right");
    CHECK_INT(figures_of(udp).messages_out, 3); /* and the third was sent all the same */
    end_loop(loop);
}

TEST(errors_that_nobody_hears_are_counted) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address to = nobody("127.0.0.1");
    rondo_metrics metrics;
    rondo_udp_on_message(udp, note_message, NULL);
    send_unequal(udp, &to, 3);
    check_idle(loop);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.unheard_errors, 3);
    CHECK_INT(figures_of(udp).messages_out, 3);
    CHECK_INT(figures_of(udp).failed, 0);
    end_loop(loop);
}

TEST(many_errors_are_all_told) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address to = nobody("127.0.0.1");
    rondo_metrics metrics;
    send_unequal(udp, &to, 150);
    check_idle(loop);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.unheard_errors, 150);
    end_loop(loop);
}

TEST(many_errors_are_all_told_while_datagrams_wait_unread) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address to = nobody("127.0.0.1"), self = to_udp(udp, "127.0.0.1");
    rondo_metrics metrics;
    CHECK_INT(send_text(udp, &self, "unread"), 1);
    check_idle(loop);
    send_unequal(udp, &to, 150);
    check_idle(loop);
    rondo_loop_metrics(loop, &metrics);
    CHECK_INT(metrics.unheard_errors, 150);
    end_loop(loop);
}

TEST(what_else_an_error_queue_holds_is_no_error) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *udp = rondo_udp_new(loop);
    rondo_address address, to;
    int fd = new_socket("127.0.0.1", &address), peer = new_socket("127.0.0.1", &to);
    int what = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &what, sizeof what), 0);
    CHECK_INT(rondo_udp_open(udp, fd), 0);
    rondo_udp_on_message(udp, note_message, NULL);
    rondo_udp_on_error(udp, note_udp_error, NULL);
    CHECK_INT(send_text(udp, &to, "x"), 1);
    check_idle(loop);
    CHECK_INT(recv(fd, NULL, 0, MSG_ERRQUEUE), -1); /* it was read */
    CHECK_TRACE("");
    note_socket(peer);
    CHECK_TRACE("x");
    end_loop(loop);
    close(peer);
}

static void close_at_error(rondo_udp *udp, int error, const rondo_address *to, void *arg) {
    note("%s", rondo_error_name(error));
    rondo_close(udp);
}

TEST(closing_at_an_error) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address to = nobody("127.0.0.1");
    rondo_udp_on_message(udp, note_message, NULL);
    rondo_udp_on_error(udp, close_at_error, NULL);
    send_unequal(udp, &to, 3);
    run_all(loop);
    CHECK_TRACE("ECONNREFUSED");
    rondo_loop_free(loop);
}

TEST(errors_are_not_locked_out_by_datagrams) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address refused = nobody("127.0.0.1"), self = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    rondo_loop_set_budget(loop, RONDO_BUDGET_datagrams, 2);
    rondo_udp_on_message(udp, note_message, NULL);
    rondo_udp_on_error(udp, note_error_to, &refused);
    socket_send_burst(fd, &self, 30);
    send_unequal(udp, &refused, 2);
    run_turns(loop, 3);
    CHECK(strstr(trace, "ECONNREFUSED:right ECONNREFUSED:right"));
    CHECK(!strstr(trace, "29"));
    end_loop(loop);
    close(fd);
}

static void check_refused_connected(const char *host, bool listen) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *udp = rondo_udp_new(loop);
    rondo_address to = nobody(host);
    CHECK_INT(rondo_udp_connect(udp, &to), 0);
    if (listen) rondo_udp_on_message(udp, note_message, NULL);
    rondo_udp_on_error(udp, note_error_to, &to);
    CHECK_INT(send_text(udp, NULL, "x"), 1);
    check_idle(loop);
    CHECK_TRACE("ECONNREFUSED:right");
    CHECK_INT(rondo_udp_try_send(udp, NULL, rondo_slice_text("y")), 1);
    check_idle(loop);
    CHECK_TRACE("ECONNREFUSED:right");
    end_loop(loop);
}

TEST(a_connected_handle_hears_that_its_peer_is_gone) {
    check_refused_connected("127.0.0.1", true);
    check_refused_connected("127.0.0.1", false);
    check_refused_connected("::1", true);
}

static void count_all_turns(rondo_prepare *prepare, void *arg) {
    if (++*(int *)arg > 5000) FAIL("the loop spins");
}
/* Readable for ever, and nothing to read: it is looked at now and then. */
TEST(a_socket_that_was_shut_down_does_not_spin) {
    rondo_loop *loop = new_virtual_loop();
    rondo_address to = nobody("127.0.0.1");
    rondo_udp *udp = rondo_udp_new(loop);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), turns = 0;
    CHECK_INT(connect(fd, (const struct sockaddr *)(const void *)to.socket.bytes, to.len), 0);
    CHECK_INT(shutdown(fd, SHUT_RDWR), 0);
    CHECK_INT(rondo_udp_open(udp, fd), 0);
    rondo_udp_on_message(udp, note_message, NULL);
    rondo_prepare *prepare = rondo_prepare_new(loop);
    rondo_timer *timer = start_timer(loop, 1000, end_idling, loop);
    CHECK_INT(rondo_prepare_start(prepare, count_all_turns, &turns), 0);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 1);
    CHECK(turns < 1000);
    rondo_close(timer);
    end_loop(loop);
}
