/* SPDX-License-Identifier: MIT
 *
 * The system calls of streams and servers: how many there are, since what costs one call must not
 * cost two, and what becomes of those that fail.
 */
#define _GNU_SOURCE
#include "servers.h"

#include "faults.h"

#include <signal.h>
#include <sys/mman.h>

static void tell(int fd, const char *text) { harness_send_str(fd, text); }

static void answer(rondo_stream *stream, rondo_slice chunk, void *arg) {
    write_text(stream, "one ");
    write_text(stream, "two");
}

TEST(a_request_costs_one_read_and_one_write) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_stream_on_data(stream, answer, NULL);
    tell(peer, "warm up");
    run_turns(loop, 1);
    faults_watch();
    for (int i = 1; i <= 5; i++) {
        tell(peer, "request");
        run_turns(loop, 1);
        CHECK_INT(faults_count(CALL_read), i);
        CHECK_INT(faults_count(CALL_send), i);
    }
    CHECK_INT(faults_count(CALL_sendmsg | CALL_writev | CALL_epoll_ctl | CALL_recv), 0);
    CHECK(faults_last(CALL_send)->flags & MSG_NOSIGNAL);
    end_loop(loop);
    close(peer);
}

static void pause_a_tick(rondo_loop *loop, void *arg) { rondo_resume(arg); }
static void pause_and_answer(rondo_stream *stream, rondo_slice chunk, void *arg) {
    rondo_pause(stream);
    write_text(stream, "later");
    rondo_immediate(rondo_handle_loop(stream), pause_a_tick, stream);
}

TEST(a_pause_while_the_peer_is_silent_costs_nothing) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_stream_on_data(stream, pause_and_answer, NULL);
    tell(peer, "warm up");
    run_turns(loop, 2);
    faults_watch();
    tell(peer, "request");
    run_turns(loop, 3);
    CHECK_INT(faults_count(CALL_read), 1);
    CHECK_INT(faults_count(CALL_epoll_ctl | CALL_recv), 0);
    end_loop(loop);
    close(peer);
}

TEST(a_full_buffer_is_read_on) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    char *bytes = new_bytes(70000);
    int peer = new_pair(loop, &stream);
    rondo_stream_on_data(stream, ignore_data, NULL);
    run_turns(loop, 1);
    faults_watch();
    CHECK_INT(send(peer, bytes, 70000, 0), 70000);
    run_turns(loop, 1);
    CHECK_INT(faults_count(CALL_read), 2);
    end_loop(loop);
    close(peer);
    free(bytes);
}

TEST(small_file_and_head_leave_together) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream), file = memfd_create("test", MFD_CLOEXEC);
    CHECK_INT(write(file, "file", 4), 4);
    faults_watch();
    write_text(stream, "head ");
    rondo_write_file(stream, file, 0, 4, true);
    write_text(stream, " tail");
    run_turns(loop, 1);
    CHECK_STR(read_now(peer), "head file tail");
    CHECK_INT(faults_count(CALL_sendmsg), 1);
    CHECK_INT(faults_count(CALL_pread), 0); /* it is in memory */
    CHECK_INT(faults_count(CALL_sendfile), 0);
    end_loop(loop);
    close(peer);
}

TEST(a_head_before_sendfile_waits_for_its_file) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream), file = memfd_create("test", MFD_CLOEXEC);
    CHECK_INT(ftruncate(file, 50000), 0);
    faults_watch();
    write_text(stream, "head ");
    rondo_write_file(stream, file, 0, 50000, true);
    run_turns(loop, 1);
    CHECK_INT(faults_count(CALL_send), 1);
    CHECK(faults_last(CALL_send)->flags & MSG_MORE);
    CHECK_INT(faults_count(CALL_sendfile), 1);
    end_loop(loop);
    close(peer);
}

TEST(a_reset_in_the_middle_of_sendfile_raises_no_signal) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream), file = memfd_create("test", MFD_CLOEXEC);
    CHECK_INT(ftruncate(file, 100000), 0);
    signal(SIGPIPE, SIG_DFL);
    rondo_write_file(stream, file, 0, 100000, true);
    faults_signal(CALL_sendfile, 1, SIGPIPE); /* as the kernel does when the peer resets then */
    faults_short(CALL_sendfile, 1, 5000);
    run_turns(loop, 2);
    CHECK_INT(faults_struck(), 2);
    end_loop(loop);
    close(peer);
}

TEST(sendfile_that_a_system_lacks) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream), file = memfd_create("test", MFD_CLOEXEC);
    CHECK_INT(ftruncate(file, 50000), 0);
    faults_watch();
    faults_fail(CALL_sendfile, 1, ENOSYS);
    rondo_write_file(stream, file, 0, 50000, true);
    run_turns(loop, 1);
    CHECK_INT(faults_count(CALL_sendfile), 1);
    CHECK_INT(faults_count(CALL_pread), 4); /* blocks of 16 KiB */
    CHECK_INT(queued(stream), 0);
    end_loop(loop);
    close(peer);
}

TEST(an_interrupted_call_is_made_again) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    received got = {0};
    int peer = new_pair(loop, &stream), file = memfd_create("test", MFD_CLOEXEC);
    CHECK_INT(ftruncate(file, 50000), 0);
    rondo_stream_on_data(stream, receive_data, &got);
    tell(peer, "x");
    faults_fail(CALL_read, 1, EINTR);
    faults_fail(CALL_sendfile, 1, EINTR);
    rondo_write_file(stream, file, 0, 50000, true);
    run_turns(loop, 2);
    CHECK_RECEIVED(got, "x");
    CHECK_INT(queued(stream), 0);
    end_loop(loop);
    close(peer);
}

static void check_flush_is_bounded(rondo_stream *stream) {
    rondo_loop *loop = rondo_handle_loop(stream);
    const faults_calls sends = CALL_send | CALL_sendmsg | CALL_sendfile;
    faults_pretend(sends, UINT64_MAX);
    for (int i = 1; i <= 3; i++) {
        faults_watch();
        run_turns(loop, 1);
        size_t sent = faults_bytes(sends);
        if (sent < 1 << 20 || sent >= 3 << 20) FAIL("round %d: %zu", i, sent);
    }
    faults_stop();
}

TEST(a_fast_reader_gets_a_bounded_share_of_a_turn) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *files, *copies;
    char *bytes = new_bytes(1 << 20);
    int peers[2] = {new_pair(loop, &files), new_pair(loop, &copies)};
    int file = memfd_create("test", MFD_CLOEXEC);
    CHECK_INT(ftruncate(file, 1 << 30), 0);
    rondo_write_file(files, file, 0, 1 << 30, true);
    check_flush_is_bounded(files);
    rondo_close(files);
    for (int i = 0; i < 12; i++)
        for (size_t at = 0; at < 1 << 20; at += 16384)
            CHECK(rondo_write(copies, rondo_slice_of(bytes + at, 16384)) >= 0);
    check_flush_is_bounded(copies);
    int pieces = faults_last(CALL_sendmsg)->pieces;
    CHECK(pieces > 1 && pieces <= 64);
    end_loop(loop);
    close(peers[0]);
    close(peers[1]);
    free(bytes);
}

TEST(a_partial_write_is_not_tried_again_at_once) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    char *bytes = new_bytes(900000);
    int peer = new_pair(loop, &stream);
    faults_watch();
    rondo_write_lent(stream, rondo_slice_of(bytes, 900000), NULL, NULL);
    run_turns(loop, 1);
    CHECK(queued(stream) > 0);
    CHECK_INT(faults_count(CALL_send), 1);
    end_loop(loop);
    close(peer);
    free(bytes);
}

TEST(a_blocked_stream_is_not_flushed_in_vain) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    char block[4096] = {0};
    int peer = new_pair(loop, &stream);
    while (send(peer - 1, block, sizeof block, MSG_DONTWAIT) > 0) {}
    while (send(peer - 1, block, 1, MSG_DONTWAIT) > 0) {}
    faults_watch();
    for (int i = 0; i < 5; i++) {
        write_text(stream, "x");
        run_turns(loop, 2);
    }
    CHECK_INT(faults_count(CALL_send | CALL_sendmsg), 1);
    end_loop(loop);
    close(peer);
}

static void stop_at_error(rondo_stream *stream, int error, void *arg) {
    note_error(stream, error, NULL);
}

TEST(a_shutdown_that_fails_is_an_error) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_stream_on_error(stream, stop_at_error, NULL);
    rondo_stream_on_finish(stream, note_finish, NULL);
    faults_fail(CALL_shutdown, 1, ENOTCONN);
    rondo_end(stream);
    run_all(loop);
    CHECK_TRACE("ECONNRESET"); /* the cause, not the consequence */
    rondo_loop_free(loop);
    close(peer);
}

TEST(an_error_at_a_look_is_told) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_stream_on_error(stream, note_error, NULL);
    rondo_pause(stream);
    tell(peer, "x");
    faults_fail(CALL_recv, 1, ETIMEDOUT);
    run_all(loop);
    CHECK_TRACE("ETIMEDOUT");
    rondo_loop_free(loop);
    close(peer);
}

TEST(a_watch_that_the_kernel_refuses_is_an_error) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    run_turns(loop, 1);
    int peer = new_pair(loop, &stream);
    rondo_timer *timer = start_timer(loop, 0, note_timer, "timer");
    run_turns(loop, 1); /* the loop's own descriptors are watched now */
    rondo_stream_on_error(stream, note_error, NULL);
    rondo_close(stream);
    close(peer);
    peer = new_pair(loop, &stream);
    rondo_stream_on_error(stream, note_error, NULL);
    rondo_resume(stream);
    faults_fail(CALL_epoll_ctl, 1, ENOSPC); /* fs.epoll.max_user_watches */
    rondo_close(timer);
    run_turns(loop, 3);
    CHECK_TRACE("timer ENOMEM");
    end_loop(loop);
    close(peer);
}

/* ---- servers ---- */

static rondo_server *new_server(rondo_loop *loop, const char *host) {
    rondo_server *server = rondo_server_new(loop);
    CHECK_INT(rondo_server_listen(server, host, 0), 0);
    rondo_server_on_connection(server, note_connection, NULL);
    rondo_server_on_error(server, note_server_error, NULL);
    return server;
}

TEST(a_connection_that_went_before_it_was_accepted_is_no_error) {
    const int passing[] = {ECONNABORTED, EPROTO, EINTR, EPERM};
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
        rondo_loop *loop = rondo_loop_new();
        int client = harness_connect(rondo_server_port(new_server(loop, "127.0.0.1")));
        faults_watch();
        faults_fail(CALL_accept4, 1, passing[i]);
        run_turns(loop, 1);
        CHECK_TRACE("connection");
        CHECK_INT(faults_count(CALL_accept4), 3); /* it, the next one, no more */
        end_loop(loop);
        close(client);
    }
}

TEST(an_accept_that_fails_otherwise_pauses) {
    const int lasting[] = {ENOBUFS, ENOMEM, ENFILE, EINVAL};
    const char *names[] = {"ENOBUFS", "ENOMEM", "ENFILE", "EINVAL"};
    for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++) {
        rondo_loop *loop = new_virtual_loop();
        rondo_server *server = new_server(loop, "127.0.0.1");
        int first = harness_connect(rondo_server_port(server));
        faults_fail(CALL_accept4, 1, lasting[i]);
        run_turns(loop, 1);
        CHECK_TRACE(names[i]);
        int second = harness_connect(rondo_server_port(server));
        run_turns(loop, 1);
        CHECK_TRACE("");
        check_idle(loop);
        /* with descriptors at an end, the first one has been turned away */
        if (lasting[i] == ENFILE)
            CHECK_TRACE("connection");
        else
            CHECK_TRACE("connection connection");
        end_loop(loop);
        close(first);
        close(second);
    }
}

TEST(a_listener_that_the_kernel_refuses_to_watch_tries_again) {
    rondo_loop *loop = new_virtual_loop();
    start_timer(loop, 0, note_timer, "timer");
    run_turns(loop, 1);
    rondo_server *server = new_server(loop, "127.0.0.1");
    faults_fail(CALL_epoll_ctl, 1, ENOSPC);
    run_turns(loop, 1);
    CHECK_TRACE("timer ENOMEM");
    int client = harness_connect(rondo_server_port(server));
    check_idle(loop);
    CHECK_TRACE("connection");
    end_loop(loop);
    close(client);
}

TEST(without_ipv6) {
    rondo_loop *loop = rondo_loop_new();
    faults_on_fd(AF_INET6);
    faults_every(CALL_socket, 1, EAFNOSUPPORT);
    rondo_server *server = new_server(loop, NULL);
    char text[64];
    CHECK(rondo_server_address(server, text, sizeof text) > 0);
    CHECK(strncmp(text, "0.0.0.0:", 8) == 0);
    rondo_server *v6 = rondo_server_new(loop);
    CHECK_INT(rondo_server_listen(v6, "::1", 0), RONDO_EAFNOSUPPORT);
    end_loop(loop);
}

TEST(a_reserve_that_was_lost_comes_back) {
    rondo_loop *loop = new_virtual_loop();
    rondo_server *server = new_server(loop, "127.0.0.1");
    char byte;
    faults_fail(CALL_accept4, 1, EMFILE);
    faults_fail(CALL_open, 1, EMFILE); /* somebody else took the descriptor */
    int client = harness_connect(rondo_server_port(server));
    run_turns(loop, 1);
    CHECK_TRACE("EMFILE");
    CHECK_INT(harness_recv_exact(client, &byte, 1), 0); /* one could be told with it */
    close(client);
    check_idle(loop);
    client = harness_connect(rondo_server_port(server));
    faults_fail(CALL_accept4, 1, EMFILE);
    run_turns(loop, 1);
    CHECK_TRACE("EMFILE");
    CHECK_INT(harness_recv_exact(client, &byte, 1), 0); /* and another one */
    end_loop(loop);
    close(client);
}

TEST(without_a_reserve_there_is_no_listening) {
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = rondo_server_new(loop);
    faults_fail(CALL_open, 1, EMFILE);
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), RONDO_EMFILE);
    CHECK_INT(rondo_server_port(server), 0);
    end_loop(loop);
}
