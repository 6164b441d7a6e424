/* SPDX-License-Identifier: MIT
 *
 * UDP handles: life, settings, sockets of others, peers. Receiving is in test_udp_receive.c,
 * sending in test_udp_send.c, what goes wrong in test_udp_errors.c and test_udp_failures.c.
 */
#define _GNU_SOURCE
#include "udps.h"

/* ---- life ---- */

TEST(a_datagram_comes_with_its_sender) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address to = to_udp(udp, "127.0.0.1"), from;
    int fd = new_socket("127.0.0.1", &from);
    CHECK_INT(rondo_udp_on_message(udp, note_message, NULL), 0);
    socket_send_text(fd, &to, "one");
    socket_send_text(fd, &to, "two");
    run_turns(loop, 1);
    CHECK_TRACE("one two");
    CHECK_INT(figures_of(udp).messages_in, 2);
    CHECK_INT(figures_of(udp).bytes_in, 6);
    CHECK_INT(figures_of(udp).truncated + figures_of(udp).dropped, 0);
    end_loop(loop);
    close(fd);
}

static void answer(rondo_udp *udp, const rondo_udp_message *message, void *arg) {
    char text[RONDO_ADDRESS_TEXT_BYTES];
    CHECK(rondo_address_format_host(message->from, text, sizeof text) > 0);
    note("%s", text);
    CHECK(!message->truncated);
    CHECK_INT(rondo_udp_send(udp, message->from, message->data), 1);
}

static void check_echo(const char *bound, const char *from_host, const char *to_host,
                       const char *seen) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *server = new_udp(loop, bound), *client = new_udp(loop, from_host);
    rondo_address to = to_udp(server, to_host);
    rondo_udp_on_message(server, answer, NULL);
    rondo_udp_on_message(client, note_message, NULL);
    CHECK_INT(send_text(client, &to, "echo"), 1);
    run_turns(loop, 3);
    char want[100];
    snprintf(want, sizeof want, "%s echo", seen);
    CHECK_TRACE(want);
    end_loop(loop);
}

TEST(both_families_and_both_in_one) {
    check_echo("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1");
    check_echo("::1", "::1", "::1", "::1");
    check_echo(NULL, "127.0.0.1", "127.0.0.1", "127.0.0.1"); /* not ::ffff:127.0.0.1 */
    check_echo(NULL, "::1", "::1", "::1");
    check_echo("127.0.0.1", NULL, "127.0.0.1", "127.0.0.1");
    check_echo("::1", NULL, "::1", "::1");
}

TEST(an_address_of_another_family_leaves_nothing_behind) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *v6 = new_udp(loop, "::1"), *v4 = new_udp(loop, "127.0.0.1");
    rondo_address to6 = to_udp(v6, "::1"), to4 = to_udp(v4, "127.0.0.1"), from6, from4;
    int fds[] = {new_socket("::1", &from6), new_socket("127.0.0.1", &from4)};
    rondo_udp_on_message(v6, answer, NULL);
    rondo_udp_on_message(v4, answer, NULL);
    socket_send_text(fds[0], &to6, "x");
    run_turns(loop, 1);
    socket_send_text(fds[1], &to4, "x");
    run_turns(loop, 1);
    CHECK_TRACE("::1 127.0.0.1");
    end_loop(loop);
    close(fds[0]), close(fds[1]);
}

static void check_from_whole(rondo_udp *udp, const rondo_udp_message *message, void *arg) {
    CHECK(rondo_address_equal(message->from, arg));
    for (size_t i = message->from->len; i < sizeof message->from->socket.bytes; i++)
        CHECK_INT(message->from->socket.bytes[i], 0);
    note("whole");
}

TEST(an_address_is_zero_behind_its_end) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *v6 = new_udp(loop, "::1"), *v4 = new_udp(loop, "127.0.0.1");
    rondo_address to6 = to_udp(v6, "::1"), to4 = to_udp(v4, "127.0.0.1"), from6, from4;
    int fds[] = {new_socket("::1", &from6), new_socket("127.0.0.1", &from4)};
    rondo_udp_on_message(v6, check_from_whole, &from6);
    rondo_udp_on_message(v4, check_from_whole, &from4);
    for (int i = 0; i < 2; i++) {
        socket_send_text(fds[0], &to6, "x");
        run_turns(loop, 1);
        socket_send_text(fds[1], &to4, "x");
        run_turns(loop, 1);
    }
    CHECK_TRACE("whole whole whole whole");
    end_loop(loop);
    close(fds[0]), close(fds[1]);
}

TEST(binding_reports) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = rondo_udp_new(loop), *other = rondo_udp_new(loop);
    rondo_address address = {.len = 77};
    CHECK_INT(rondo_udp_local(udp, &address), RONDO_ENOTCONN);
    CHECK_INT(rondo_udp_peer(udp, &address), RONDO_ENOTCONN);
    CHECK_INT(address.len, 77);
    CHECK(!rondo_is_active(udp));
    CHECK_INT(rondo_udp_bind(udp, "no address", 0), RONDO_EINVAL);
    CHECK_INT(rondo_udp_bind(udp, "192.0.2.200", 0), RONDO_EADDRNOTAVAIL);
    CHECK_INT(rondo_udp_bind(udp, "127.0.0.1", 0), 0);
    CHECK(rondo_is_active(udp));
    CHECK_INT(rondo_udp_peer(udp, &address), RONDO_ENOTCONN);
    CHECK_INT(rondo_udp_bind(udp, "127.0.0.1", 0), RONDO_EBUSY);
    CHECK_INT(rondo_udp_bind(other, "127.0.0.1", port_of(udp)), RONDO_EADDRINUSE);
    CHECK(!rondo_is_active(other));
    CHECK_INT(rondo_udp_bind(other, "127.0.0.1", 0), 0);
    rondo_close(udp);
    CHECK_INT(rondo_udp_bind(udp, "127.0.0.1", 0), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_local(udp, &address), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_peer(udp, &address), RONDO_ECLOSED);
    CHECK_STR(rondo_kind(other), "udp");
    end_loop(loop);
}

TEST(a_named_any_address_is_of_one_family) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *v6 = new_udp(loop, "::"), *v4 = rondo_udp_new(loop);
    CHECK_INT(rondo_udp_bind(v4, "0.0.0.0", port_of(v6)), 0);
    end_loop(loop);
}

TEST(sockets_are_not_inherited_and_never_block) {
    rondo_loop *loop = rondo_loop_new();
    int fd = dup(0); /* the next one to be used */
    close(fd);
    new_udp(loop, NULL);
    CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    end_loop(loop);
}

TEST(settings_have_their_time) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = rondo_udp_new(loop);
    CHECK_INT(rondo_udp_set_max_bytes(udp, 0), RONDO_EINVAL);
    CHECK_INT(rondo_udp_set_max_bytes(udp, 65536), RONDO_EINVAL);
    CHECK_INT(rondo_udp_set_max_bytes(udp, 65535), 0);
    CHECK_INT(rondo_udp_set_max_bytes(udp, 1), 0);
    CHECK_INT(rondo_udp_set_reuse_port(udp, true), 0);
    CHECK_INT(rondo_udp_set_reuse_address(udp, true), 0);
    CHECK_INT(rondo_udp_set_high_water(udp, 10, 20), 0);
    CHECK_INT(rondo_udp_set_kernel_buffers(udp, 1, 1), RONDO_ENOTCONN);
    CHECK_INT(rondo_udp_set_broadcast(udp, true), RONDO_ENOTCONN);
    CHECK_INT(rondo_udp_set_ttl(udp, 1), RONDO_ENOTCONN);
    CHECK_INT(rondo_udp_set_multicast_ttl(udp, 1), RONDO_ENOTCONN);
    CHECK_INT(rondo_udp_set_multicast_loop(udp, true), RONDO_ENOTCONN);
    CHECK_INT(rondo_udp_set_multicast_interface(udp, NULL), RONDO_ENOTCONN);
    CHECK_INT(rondo_udp_join(udp, "239.1.1.1", NULL, NULL), RONDO_ENOTCONN);
    CHECK_INT(rondo_udp_bind(udp, NULL, 0), 0);
    CHECK_INT(rondo_udp_set_max_bytes(udp, 1), RONDO_EBUSY);
    CHECK_INT(rondo_udp_set_reuse_port(udp, true), RONDO_EBUSY);
    CHECK_INT(rondo_udp_set_reuse_address(udp, true), RONDO_EBUSY);
    CHECK_INT(rondo_udp_set_kernel_buffers(udp, 100000, 0), 0);
    CHECK_INT(rondo_udp_set_kernel_buffers(udp, 0, 100000), 0);
    CHECK_INT(rondo_udp_set_kernel_buffers(udp, (size_t)1 << 40, 0), RONDO_EINVAL);
    CHECK_INT(rondo_udp_set_broadcast(udp, true), 0);
    rondo_close(udp);
    CHECK_INT(rondo_udp_set_max_bytes(udp, 1), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_set_reuse_port(udp, true), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_set_high_water(udp, 1, 1), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_set_kernel_buffers(udp, 1, 1), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_set_broadcast(udp, true), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_pause(udp), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_resume(udp), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_connect(udp, NULL), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_open(udp, 0), RONDO_ECLOSED);
    CHECK_INT(rondo_udp_on_message(udp, note_message, NULL), RONDO_ECLOSED);
    end_loop(loop);
}

TEST(settings_reach_the_kernel) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = rondo_udp_new(loop);
    rondo_address address;
    int fd = new_socket("127.0.0.1", &address);
    CHECK_INT(rondo_udp_open(udp, fd), 0);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_INT(rondo_udp_set_kernel_buffers(udp, 20000, 30000), 0);
    CHECK_INT(option_of(fd, SOL_SOCKET, SO_RCVBUF), 40000); /* socket(7): doubled */
    CHECK_INT(option_of(fd, SOL_SOCKET, SO_SNDBUF), 60000);
    CHECK_INT(rondo_udp_set_broadcast(udp, true), 0);
    CHECK_INT(option_of(fd, SOL_SOCKET, SO_BROADCAST), 1);
    CHECK_INT(rondo_udp_set_broadcast(udp, false), 0);
    CHECK_INT(option_of(fd, SOL_SOCKET, SO_BROADCAST), 0);
    CHECK_INT(rondo_udp_set_ttl(udp, 7), 0);
    CHECK_INT(option_of(fd, IPPROTO_IP, IP_TTL), 7);
    CHECK_INT(rondo_udp_set_ttl(udp, 0), RONDO_EINVAL);
    CHECK_INT(rondo_udp_set_ttl(udp, 256), RONDO_EINVAL);
    CHECK_INT(option_of(fd, IPPROTO_IP, IP_TTL), 7);
    end_loop(loop);
}

TEST(sockets_share_an_address_when_both_ask_for_it) {
    rondo_loop *loop = rondo_loop_new();
    for (int way = 0; way < 2; way++) {
        rondo_udp *one = rondo_udp_new(loop), *two = rondo_udp_new(loop);
        rondo_udp *three = rondo_udp_new(loop);
        int (*reuse)(rondo_udp *, bool) =
            way ? rondo_udp_set_reuse_port : rondo_udp_set_reuse_address;
        CHECK_INT(reuse(one, true), 0);
        CHECK_INT(reuse(two, true), 0);
        CHECK_INT(reuse(three, true), 0);
        CHECK_INT(reuse(three, false), 0);
        CHECK_INT(rondo_udp_bind(one, "127.0.0.1", 0), 0);
        CHECK_INT(rondo_udp_bind(two, "127.0.0.1", port_of(one)), 0);
        CHECK_INT(rondo_udp_bind(three, "127.0.0.1", port_of(one)), RONDO_EADDRINUSE);
    }
    end_loop(loop);
}

/* ---- opening ---- */

TEST(opening_refuses_what_is_no_udp_socket) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = rondo_udp_new(loop), *other = rondo_udp_new(loop);
    rondo_address address;
    int pipe_ends[2], fd = new_socket("127.0.0.1", &address);
    int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int local = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_INT(pipe(pipe_ends), 0);
    CHECK_INT(rondo_udp_open(udp, -1), RONDO_EBADF);
    CHECK_INT(rondo_udp_open(udp, 999), RONDO_EBADF);
    CHECK_INT(rondo_udp_open(udp, pipe_ends[0]), RONDO_ENOTSOCK);
    CHECK_INT(rondo_udp_open(udp, tcp), RONDO_ENOTSUP);
    CHECK_INT(rondo_udp_open(udp, local), RONDO_ENOTSUP);
    CHECK_INT(rondo_udp_open(udp, fd), 0);
    CHECK_INT(rondo_udp_open(udp, fd), RONDO_EBUSY);
    CHECK_INT(rondo_udp_bind(udp, NULL, 0), RONDO_EBUSY);
    CHECK_INT(rondo_udp_open(other, fd), RONDO_EEXIST);
    rondo_close(udp);
    CHECK_INT(fcntl(fd, F_GETFD), -1);
    close(tcp), close(local), close(pipe_ends[0]), close(pipe_ends[1]);
    end_loop(loop);
}

TEST(an_opened_socket_works_and_knows_its_peer) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = rondo_udp_new(loop);
    rondo_address address, peer, got;
    int fd = new_socket("127.0.0.1", &address), other = new_socket("127.0.0.1", &peer);
    CHECK_INT(connect(fd, (struct sockaddr *)(void *)&peer.socket, peer.len), 0);
    CHECK_INT(rondo_udp_open(udp, fd), 0);
    CHECK_INT(rondo_udp_peer(udp, &got), 0);
    CHECK(rondo_address_equal(&got, &peer));
    CHECK_INT(send_text(udp, &peer, "x"), RONDO_EISCONN);
    CHECK_INT(send_text(udp, NULL, "hello"), 1);
    rondo_udp_on_message(udp, note_message, NULL);
    socket_send_text(other, &address, "in");
    run_turns(loop, 1);
    note_socket(other);
    CHECK_TRACE("in hello");
    end_loop(loop);
    close(other);
}

TEST(an_opened_ipv6_socket_reaches_whom_it_can) {
    rondo_loop *loop = rondo_loop_new();
    rondo_address to4 = address_of("127.0.0.1", 9);
    for (int only = 0; only < 2; only++) {
        rondo_udp *udp = rondo_udp_new(loop);
        int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        CHECK_INT(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only), 0);
        CHECK_INT(rondo_udp_open(udp, fd), 0);
        CHECK_INT(send_text(udp, &to4, "x"), only ? RONDO_EAFNOSUPPORT : 1);
    }
    end_loop(loop);
}

TEST(a_socket_that_could_not_be_opened_is_as_it_was) {
    rondo_address address;
    int fd = new_socket("127.0.0.1", &address), failures = 0;
    CHECK_INT(fcntl(fd, F_SETFD, 0), 0);
    for (long n = 0;; n++) {
        rondo_loop *loop = rondo_loop_new();
        rondo_udp *udp = rondo_udp_new(loop);
        harness_fail_alloc_after(n);
        int status = rondo_udp_open(udp, fd);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        CHECK_INT(status, failed ? RONDO_ENOMEM : 0);
        failures += failed;
        if (failed) {
            CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
            CHECK_INT(fcntl(fd, F_GETFD), 0);
            CHECK(!rondo_is_active(udp));
        }
        end_loop(loop);
        if (!failed) break;
    }
    CHECK(failures >= 2);
}

/* ---- who keeps the loop alive ---- */

TEST(a_bound_handle_keeps_the_loop_alive_unless_unrefd) {
    rondo_loop *loop = rondo_loop_new();
    rondo_udp *udp = rondo_udp_new(loop);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_INT(rondo_udp_bind(udp, "127.0.0.1", 0), 0);
    rondo_udp_on_message(udp, note_message, NULL);
    CHECK(rondo_loop_alive(loop));
    rondo_unref(udp);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    rondo_address to = to_udp(udp, "127.0.0.1");
    CHECK_INT(send_text(udp, &to, "x"), 1);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0); /* it has been sent, that's all */
    CHECK_INT(figures_of(udp).messages_out, 1);
    end_loop(loop);
}

/* ---- connected ---- */

TEST(a_connected_handle_hears_only_its_peer) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_address self = to_udp(udp, "127.0.0.1"), peer, other, got;
    int fds[] = {new_socket("127.0.0.1", &peer), new_socket("127.0.0.1", &other)};
    rondo_udp_on_message(udp, note_message, NULL);
    CHECK_INT(send_text(udp, NULL, "x"), RONDO_ENOTCONN);
    CHECK_INT(rondo_udp_connect(udp, &peer), 0);
    CHECK_INT(rondo_udp_peer(udp, &got), 0);
    CHECK(rondo_address_equal(&got, &peer));
    socket_send_text(fds[0], &self, "peer");
    (void)!sendto(fds[1], "other", 5, 0, (void *)&self.socket, self.len);
    check_idle(loop);
    CHECK_TRACE("peer");
    CHECK_INT(send_text(udp, &other, "x"), RONDO_EISCONN);
    CHECK_INT(send_text(udp, NULL, "out"), 1);
    check_idle(loop);
    note_socket(fds[0]);
    CHECK_TRACE("out");
    CHECK_INT(rondo_udp_connect(udp, &other), 0); /* the peer may be changed */
    CHECK_INT(send_text(udp, NULL, "to other"), 1);
    check_idle(loop);
    note_socket(fds[1]);
    CHECK_TRACE("to other");
    CHECK_INT(rondo_udp_connect(udp, NULL), 0);
    CHECK_INT(rondo_udp_connect(udp, NULL), 0);
    CHECK_INT(rondo_udp_peer(udp, &got), RONDO_ENOTCONN);
    CHECK_INT(rondo_udp_local(udp, &got), 0);
    CHECK(rondo_address_equal(&got, &self)); /* it has kept its port */
    socket_send_text(fds[0], &self, "peer");
    socket_send_text(fds[1], &self, "other");
    check_idle(loop);
    CHECK_TRACE("peer other");
    end_loop(loop);
    close(fds[0]), close(fds[1]);
}

TEST(connecting_binds_and_maps) {
    rondo_loop *loop = new_virtual_loop();
    rondo_udp *udp = rondo_udp_new(loop);
    rondo_address peer, got, none = {.len = 0}, unnumbered = address_of("127.0.0.1", 0), local;
    int fd = new_socket("127.0.0.1", &peer);
    CHECK_INT(rondo_address_parse_unix("/x", &local), 0);
    CHECK_INT(rondo_udp_connect(udp, NULL), 0);
    CHECK(!rondo_is_active(udp));
    CHECK_INT(rondo_udp_connect(udp, &none), RONDO_EINVAL);
    CHECK_INT(rondo_udp_connect(udp, &unnumbered), RONDO_EINVAL);
    CHECK_INT(rondo_udp_connect(udp, &local), RONDO_EAFNOSUPPORT);
    CHECK_INT(rondo_udp_connect(udp, &peer), 0);
    CHECK_INT(rondo_udp_peer(udp, &got), 0);
    CHECK_INT(rondo_address_family(&got), RONDO_FAMILY_IPV4);
    CHECK(rondo_address_equal(&got, &peer));
    CHECK_INT(send_text(udp, NULL, "mapped"), 1);
    check_idle(loop);
    note_socket(fd);
    CHECK_TRACE("mapped");
    CHECK_INT(rondo_udp_local(udp, &local), 0);
    CHECK_INT(rondo_udp_connect(udp, NULL), 0);
    CHECK_INT(rondo_udp_local(udp, &got), 0);
    CHECK_INT(rondo_address_port(&got), rondo_address_port(&local));
    end_loop(loop);
    close(fd);
}
