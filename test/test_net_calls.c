/* SPDX-License-Identifier: MIT
 *
 * The system calls of streams and servers, counted, and made to fail: the functions of libc are
 * replaced here by ones that do both. What costs one call must not cost two.
 */
#define _GNU_SOURCE
#include "streams.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static struct calls {
    int read, peek, send, sendmsg, writev, sendfile, pread, epoll_ctl, accept;
} calls;
static long pretend_sent; /* send and sendfile claim to have sent all, up to so many bytes */
static int fail_sendfile, fail_recv, fail_read, fail_shutdown, fail_epoll, fail_accept,
    fail_open;           /* an errno, once */
static long reset_after; /* the next sendfile sends so much, and raises SIGPIPE */
static bool no_ipv6;
static int send_flags, most_pieces;
static size_t sent_bytes;

static bool fails(int *which) {
    if (*which == 0) return false;
    errno = *which;
    *which = 0;
    return true;
}

static ssize_t pretend(size_t size) {
    ssize_t part = (long)size < pretend_sent ? (ssize_t)size : (ssize_t)pretend_sent;
    pretend_sent -= part;
    sent_bytes += (size_t)part;
    return part;
}

ssize_t read(int fd, void *buffer, size_t size) {
    calls.read++;
    if (fails(&fail_read)) return -1;
    return syscall(SYS_read, fd, buffer, size);
}
ssize_t recv(int fd, void *buffer, size_t size, int flags) {
    calls.peek += (flags & MSG_PEEK) != 0;
    if (fails(&fail_recv)) return -1;
    return syscall(SYS_recvfrom, fd, buffer, size, flags, NULL, NULL);
}
ssize_t send(int fd, const void *data, size_t size, int flags) {
    calls.send++;
    send_flags = flags;
    if (pretend_sent > 0) return pretend(size);
    return syscall(SYS_sendto, fd, data, size, flags, NULL, 0);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    size_t size = 0;
    calls.sendmsg++;
    send_flags = flags;
    if ((int)message->msg_iovlen > most_pieces) most_pieces = (int)message->msg_iovlen;
    for (size_t i = 0; i < message->msg_iovlen; i++) size += message->msg_iov[i].iov_len;
    if (pretend_sent > 0) return pretend(size);
    return syscall(SYS_sendmsg, fd, message, flags);
}
ssize_t sendfile(int fd, int file, off_t *offset, size_t size) {
    calls.sendfile++;
    if (fails(&fail_sendfile)) return -1;
    if (reset_after > 0) { /* as the kernel does when the peer resets in the middle */
        ssize_t part = reset_after;
        reset_after = 0;
        pthread_kill(pthread_self(), SIGPIPE);
        return part;
    }
    if (pretend_sent > 0) return pretend(size);
    return syscall(SYS_sendfile, fd, file, offset, size);
}
ssize_t pread(int fd, void *buffer, size_t size, off_t offset) {
    calls.pread++;
    return syscall(SYS_pread64, fd, buffer, size, offset);
}
int shutdown(int fd, int how) {
    if (fails(&fail_shutdown)) return -1;
    return (int)syscall(SYS_shutdown, fd, how);
}
/* Called by libev, so the name must be seen outside this program's own code. */
__attribute__((visibility("default"))) int epoll_ctl(int epoll, int what, int fd,
                                                     struct epoll_event *event) {
    calls.epoll_ctl++;
    if (fails(&fail_epoll)) return -1;
    return (int)syscall(SYS_epoll_ctl, epoll, what, fd, event);
}

int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags) {
    calls.accept++;
    if (fails(&fail_accept)) return -1;
    return (int)syscall(SYS_accept4, fd, address, len, flags);
}
int open(const char *path, int flags, ...) {
    if (fails(&fail_open)) return -1;
    return (int)syscall(SYS_open, path, flags, 0);
}
int socket(int family, int type, int protocol) {
    if (family == AF_INET6 && no_ipv6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return (int)syscall(SYS_socket, family, type, protocol);
}

static void forget_calls(void) { memset(&calls, 0, sizeof calls); }

static void tell(int fd, const char *text) {
    CHECK(syscall(SYS_sendto, fd, text, strlen(text), 0, NULL, 0) > 0);
}

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
    forget_calls();
    for (int i = 1; i <= 5; i++) {
        tell(peer, "request");
        run_turns(loop, 1);
        CHECK_INT(calls.read, i);
        CHECK_INT(calls.send, i);
    }
    CHECK_INT(calls.sendmsg + calls.writev + calls.epoll_ctl + calls.peek, 0);
    CHECK(send_flags & MSG_NOSIGNAL);
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
    forget_calls();
    tell(peer, "request");
    run_turns(loop, 3);
    CHECK_INT(calls.read, 1);
    CHECK_INT(calls.epoll_ctl + calls.peek, 0);
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
    forget_calls();
    CHECK_INT(syscall(SYS_sendto, peer, bytes, 70000, 0, NULL, 0), 70000);
    run_turns(loop, 1);
    CHECK_INT(calls.read, 2);
    end_loop(loop);
    close(peer);
    free(bytes);
}

TEST(small_file_and_head_leave_together) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream), file = memfd_create("test", MFD_CLOEXEC);
    CHECK_INT(write(file, "file", 4), 4);
    forget_calls();
    write_text(stream, "head ");
    rondo_write_file(stream, file, 0, 4, true);
    write_text(stream, " tail");
    run_turns(loop, 1);
    CHECK_STR(read_now(peer), "head file tail");
    CHECK_INT(calls.sendmsg, 1);
    CHECK_INT(calls.pread, 1);
    CHECK_INT(calls.sendfile, 0);
    end_loop(loop);
    close(peer);
}

TEST(a_head_before_sendfile_waits_for_its_file) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream), file = memfd_create("test", MFD_CLOEXEC);
    CHECK_INT(ftruncate(file, 50000), 0);
    forget_calls();
    write_text(stream, "head ");
    rondo_write_file(stream, file, 0, 50000, true);
    run_turns(loop, 1);
    CHECK_INT(calls.send, 1);
    CHECK(send_flags & MSG_MORE);
    CHECK_INT(calls.sendfile, 1);
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
    reset_after = 5000;
    run_turns(loop, 2);
    CHECK_INT(reset_after, 0);
    end_loop(loop);
    close(peer);
}

TEST(sendfile_that_a_system_lacks) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream), file = memfd_create("test", MFD_CLOEXEC);
    CHECK_INT(ftruncate(file, 50000), 0);
    fail_sendfile = ENOSYS;
    forget_calls();
    rondo_write_file(stream, file, 0, 50000, true);
    run_turns(loop, 1);
    CHECK_INT(calls.sendfile, 1);
    CHECK_INT(calls.pread, 4); /* blocks of 16 KiB */
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
    fail_read = fail_sendfile = EINTR;
    rondo_write_file(stream, file, 0, 50000, true);
    run_turns(loop, 2);
    CHECK_RECEIVED(got, "x");
    CHECK_INT(queued(stream), 0);
    end_loop(loop);
    close(peer);
}

static void check_flush_is_bounded(rondo_stream *stream) {
    rondo_loop *loop = rondo_handle_loop(stream);
    pretend_sent = 1L << 40; /* a reader that is always faster */
    for (int i = 1; i <= 3; i++) {
        sent_bytes = 0;
        run_turns(loop, 1);
        if (sent_bytes < 1 << 20 || sent_bytes >= 3 << 20) FAIL("round %d: %zu", i, sent_bytes);
    }
    pretend_sent = 0;
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
    CHECK(most_pieces > 1 && most_pieces <= 64);
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
    forget_calls();
    rondo_write_lent(stream, rondo_slice_of(bytes, 900000), NULL, NULL);
    run_turns(loop, 1);
    CHECK(queued(stream) > 0);
    CHECK_INT(calls.send, 1);
    end_loop(loop);
    close(peer);
    free(bytes);
}

TEST(a_blocked_stream_is_not_flushed_in_vain) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    char block[4096] = {0};
    int peer = new_pair(loop, &stream);
    while (syscall(SYS_sendto, peer - 1, block, sizeof block, MSG_DONTWAIT, NULL, 0) > 0) {}
    while (syscall(SYS_sendto, peer - 1, block, 1, MSG_DONTWAIT, NULL, 0) > 0) {}
    forget_calls();
    for (int i = 0; i < 5; i++) {
        write_text(stream, "x");
        run_turns(loop, 2);
    }
    CHECK_INT(calls.send + calls.sendmsg, 1);
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
    fail_shutdown = ENOTCONN;
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
    fail_recv = ETIMEDOUT;
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
    fail_epoll = ENOSPC; /* fs.epoll.max_user_watches */
    rondo_close(timer);
    run_turns(loop, 3);
    CHECK_TRACE("timer ENOMEM");
    end_loop(loop);
    close(peer);
}

/* ---- servers ---- */

static void note_connection(rondo_server *server, rondo_stream *connection, void *arg) {
    note("connection");
}
static void note_server_error(rondo_server *server, int error, void *arg) {
    note("%s", rondo_error_name(error));
}

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
        fail_accept = passing[i];
        forget_calls();
        run_turns(loop, 1);
        CHECK_TRACE("connection");
        CHECK_INT(calls.accept, 3); /* it, the next one, no more */
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
        fail_accept = lasting[i];
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
    fail_epoll = ENOSPC;
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
    no_ipv6 = true;
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
    fail_accept = EMFILE;
    fail_open = EMFILE; /* somebody else took the descriptor */
    int client = harness_connect(rondo_server_port(server));
    run_turns(loop, 1);
    CHECK_TRACE("EMFILE");
    CHECK_INT(harness_recv_exact(client, &byte, 1), 0); /* one could be told with it */
    close(client);
    check_idle(loop);
    client = harness_connect(rondo_server_port(server));
    fail_accept = EMFILE;
    run_turns(loop, 1);
    CHECK_TRACE("EMFILE");
    CHECK_INT(harness_recv_exact(client, &byte, 1), 0); /* and another one */
    end_loop(loop);
    close(client);
}

TEST(without_a_reserve_there_is_no_listening) {
    rondo_loop *loop = rondo_loop_new();
    rondo_server *server = rondo_server_new(loop);
    fail_open = EMFILE;
    CHECK_INT(rondo_server_listen(server, "127.0.0.1", 0), RONDO_EMFILE);
    CHECK_INT(rondo_server_port(server), 0);
    end_loop(loop);
}
