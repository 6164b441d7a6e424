/* SPDX-License-Identifier: MIT
 *
 * UDP handles: life, receiving in bounded batches, pausing and closing inside them, errors of the
 * network. Sending is in test_udp_send.c.
 */
#define _GNU_SOURCE
#include "udps.h"

#include <linux/net_tstamp.h>
#include <netinet/udp.h>

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

static int option_of(int fd, int level, int option) {
    int value = -1;
    socklen_t len = sizeof value;
    CHECK_INT(getsockopt(fd, level, option, &value, &len), 0);
    return value;
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
