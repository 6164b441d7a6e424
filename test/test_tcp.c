/* SPDX-License-Identifier: MIT
 *
 * What only TCP has: options on open streams and on those that connect, and the reset.
 */
#include "connecting.h"

#include <netinet/tcp.h>

static int option(const rondo_stream *stream, int level, int name) {
    int value = -1;
    socklen_t len = sizeof value;
    CHECK_INT(getsockopt(stream->fd, level, name, &value, &len), 0);
    return value;
}

static void check_options(const rondo_stream *stream, int nodelay, int keepalive, int timeout) {
    CHECK_INT(option(stream, IPPROTO_TCP, TCP_NODELAY), nodelay);
    CHECK_INT(option(stream, SOL_SOCKET, SO_KEEPALIVE), keepalive);
    CHECK_INT(option(stream, IPPROTO_TCP, TCP_USER_TIMEOUT), timeout);
    if (!keepalive) return;
    CHECK_INT(option(stream, IPPROTO_TCP, TCP_KEEPIDLE), 30);
    CHECK_INT(option(stream, IPPROTO_TCP, TCP_KEEPINTVL), 5);
    CHECK_INT(option(stream, IPPROTO_TCP, TCP_KEEPCNT), 3);
}

static void set_options(rondo_stream *stream) {
    CHECK_INT(rondo_tcp_set_nodelay(stream, false), 0);
    CHECK_INT(rondo_tcp_set_keepalive(stream, 30, 5, 3), 0);
    CHECK_INT(rondo_tcp_set_user_timeout(stream, 7000), 0);
}

static rondo_stream *connected(rondo_loop *loop, int *listener) {
    uint16_t port = 0;
    *listener = listen_on("127.0.0.1", &port, 5);
    return listen_to(rondo_connect(loop, "127.0.0.1", port));
}

TEST(options_of_an_open_stream) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_tcp_pair(loop, &stream);
    set_options(stream);
    check_options(stream, 0, 1, 7000);
    CHECK_INT(rondo_tcp_set_nodelay(stream, true), 0);
    CHECK_INT(rondo_tcp_set_keepalive(stream, 0, 0, 0), 0);
    CHECK_INT(rondo_tcp_set_user_timeout(stream, 0), 0);
    check_options(stream, 1, 0, 0);
    CHECK_INT(rondo_tcp_set_user_timeout(stream, UINT32_MAX), 0); /* the most there is */
    check_options(stream, 1, 0, INT32_MAX);
    end_loop(loop);
    close(peer);
}

TEST(a_connection_has_nodelay) {
    rondo_loop *loop = new_virtual_loop();
    int listener;
    rondo_stream *stream = connected(loop, &listener);
    run_until_known(stream);
    check_options(stream, 1, 0, 0);
    end_loop(loop);
    close(listener);
}

TEST(options_of_a_stream_that_connects) {
    rondo_loop *loop = new_virtual_loop();
    int listener;
    rondo_stream *stream = connected(loop, &listener);
    set_options(stream);
    run_until_known(stream);
    check_options(stream, 0, 1, 7000);
    end_loop(loop);
    close(listener);
}

TEST(the_last_word_counts) {
    rondo_loop *loop = new_virtual_loop();
    int listener;
    rondo_stream *stream = connected(loop, &listener);
    set_options(stream);
    CHECK_INT(rondo_tcp_set_nodelay(stream, true), 0);
    CHECK_INT(rondo_tcp_set_keepalive(stream, 0, 1, 1), 0);
    CHECK_INT(rondo_tcp_set_user_timeout(stream, 0), 0);
    run_until_known(stream);
    check_options(stream, 1, 0, 0);
    end_loop(loop);
    close(listener);
}

static void check_ranges(rondo_stream *stream) {
    CHECK_INT(rondo_tcp_set_keepalive(stream, 1, 0, 1), RONDO_EINVAL);
    CHECK_INT(rondo_tcp_set_keepalive(stream, 1, 1, 0), RONDO_EINVAL);
    CHECK_INT(rondo_tcp_set_keepalive(stream, 32768, 1, 1), RONDO_EINVAL);
    CHECK_INT(rondo_tcp_set_keepalive(stream, 1, 32768, 1), RONDO_EINVAL);
    CHECK_INT(rondo_tcp_set_keepalive(stream, 1, 1, 128), RONDO_EINVAL);
    CHECK_INT(rondo_tcp_set_keepalive(stream, 32767, 32767, 127), 0);
}

TEST(ranges) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int listener, peer = new_tcp_pair(loop, &stream);
    check_ranges(stream);
    rondo_stream *other = connected(loop, &listener);
    check_ranges(other);
    run_until_known(other);
    CHECK_INT(option(other, IPPROTO_TCP, TCP_KEEPCNT), 127);
    end_loop(loop);
    close(peer), close(listener);
}

static void check_all(rondo_stream *stream, int want) {
    CHECK_INT(rondo_tcp_set_nodelay(stream, true), want);
    CHECK_INT(rondo_tcp_set_keepalive(stream, 0, 0, 0), want);
    CHECK_INT(rondo_tcp_set_keepalive(stream, 1, 1, 1), want);
    CHECK_INT(rondo_tcp_set_user_timeout(stream, 1), want);
    CHECK_INT(rondo_tcp_reset(stream), want);
}

TEST(streams_that_are_not_tcp) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream, *pipe_end;
    int ends[2], peer = new_pair(loop, &stream);
    CHECK_INT(pipe(ends), 0);
    CHECK_INT(rondo_stream_open(loop, ends[0], &pipe_end), 0);
    check_all(stream, RONDO_ENOTSUP);
    check_all(pipe_end, RONDO_ENOTSUP);
    rondo_stream *path = rondo_connect_with(loop, &(rondo_connect_options){.path = "/nowhere/x"});
    rondo_stream_on_error(path, note_error, NULL);
    check_all(path, RONDO_ENOTSUP);
    rondo_close(stream);
    check_all(stream, RONDO_ECLOSED);
    end_loop(loop);
    close(peer), close(ends[1]);
}

TEST(streams_that_have_failed_or_close) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream = listen_to(rondo_connect(loop, "127.0.0.1", 0));
    check_all(stream, RONDO_ECLOSED);
    run_all(loop);
    CHECK_TRACE("EINVAL close");
    end_loop(loop);
}

TEST(a_reset_is_what_the_peer_gets) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    char byte;
    int peer = new_tcp_pair(loop, &stream);
    note_events(stream);
    write_text(stream, "never sent");
    CHECK_INT(rondo_tcp_reset(stream), 0);
    CHECK_INT(recv(peer, &byte, 1, 0), -1);
    CHECK_INT(errno, ECONNRESET);
    run_all(loop);
    CHECK_TRACE("close");
    end_loop(loop);
    close(peer);
}

TEST(a_reset_while_it_connects_is_a_close) {
    rondo_loop *loop = new_virtual_loop();
    full_listener full = new_full_listener();
    rondo_stream *stream = listen_to(rondo_connect(loop, "127.0.0.1", full.port));
    run_turns(loop, 2);
    CHECK_INT(rondo_tcp_reset(stream), 0);
    run_all(loop);
    CHECK_TRACE("close");
    close_full_listener(&full);
    end_loop(loop);
}
