/* SPDX-License-Identifier: MIT
 *
 * Streams on descriptors of all kinds: what is taken over and what is not, ends of pipes, names, and
 * misuse.
 */
#include "streams.h"

/* ---- taking over descriptors ---- */

static void check_refused(rondo_loop *loop, int fd, int error) {
    rondo_stream *stream = NULL;
    int flags = fcntl(fd, F_GETFL), descriptor = fcntl(fd, F_GETFD);
    CHECK_INT(rondo_stream_open(loop, fd, &stream), error);
    CHECK(stream == NULL);
    CHECK_INT(fcntl(fd, F_GETFL), flags); /* it is as it was, and still the caller's */
    CHECK_INT(fcntl(fd, F_GETFD), descriptor);
    if (fd >= 0) close(fd);
}

TEST(descriptors_that_are_no_streams_are_refused) {
    rondo_loop *loop = rondo_loop_new();
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    check_refused(loop, -1, RONDO_EBADF);
    check_refused(loop, 999, RONDO_EBADF);
    check_refused(loop, open("/proc/self/exe", O_RDONLY), RONDO_ENOTSUP);
    check_refused(loop, open("/", O_RDONLY), RONDO_ENOTSUP);
    check_refused(loop, open("/dev/null", O_RDWR), RONDO_ENOTSUP);
    check_refused(loop, socket(AF_INET, SOCK_DGRAM, 0), RONDO_ENOTSUP);
    check_refused(loop, socket(AF_INET, SOCK_STREAM, 0), RONDO_ENOTCONN);
    CHECK_INT(listen(listener, 1), 0);
    check_refused(loop, listener, RONDO_ENOTSUP);
    end_loop(loop);
}

TEST(a_descriptor_is_taken_once) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream, *again = NULL;
    int peer = new_pair(loop, &stream);
    int fd = peer - 1;
    CHECK_INT(rondo_stream_open(loop, fd, &again), RONDO_EEXIST);
    CHECK(again == NULL);
    int copy = dup(fd); /* another number for it is another matter */
    rondo_close(stream);
    again = open_stream(loop, copy);
    end_loop(loop);
    close(peer);
}

TEST(a_descriptor_becomes_nonblocking_and_close_on_exec) {
    rondo_loop *loop = rondo_loop_new();
    int ends[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    rondo_stream *stream = open_stream(loop, ends[0]);
    CHECK(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(ends[0], F_GETFD) & FD_CLOEXEC);
    CHECK(rondo_is_active(stream));
    CHECK_STR(rondo_kind(stream), "stream");
    CHECK(strstr(rondo_site(stream), "streams.h:") != NULL);
    rondo_close(stream);
    CHECK_INT(fcntl(ends[0], F_GETFD), -1); /* closed at once */
    CHECK(!rondo_is_active(stream) && rondo_is_closing(stream));
    end_loop(loop);
    close(ends[1]);
}

TEST(names_of_the_two_ends) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *tcp, *local;
    char text[64], want[64];
    int ends[2], tcp_peer = new_tcp_pair(loop, &tcp), local_peer = new_pair(loop, &local);
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    CHECK_INT(getsockname(tcp_peer, (struct sockaddr *)&address, &len), 0);
    snprintf(want, sizeof want, "127.0.0.1:%d", ntohs(address.sin_port));
    CHECK_INT(rondo_stream_peer(tcp, text, sizeof text), strlen(want));
    CHECK_STR(text, want);
    CHECK_INT(getpeername(tcp_peer, (struct sockaddr *)&address, &len), 0);
    snprintf(want, sizeof want, "127.0.0.1:%d", ntohs(address.sin_port));
    CHECK_INT(rondo_stream_local(tcp, text, strlen(want) + 1), strlen(want));
    CHECK_STR(text, want);
    CHECK_INT(rondo_stream_local(tcp, text, strlen(want)), RONDO_ENOBUFS);
    CHECK_INT(rondo_stream_peer(local, text, sizeof text), 4);
    CHECK_STR(text, "unix");
    CHECK_INT(pipe(ends), 0);
    rondo_stream *pipe_end = open_stream(loop, ends[0]);
    CHECK_INT(rondo_stream_peer(pipe_end, text, sizeof text), 0);
    CHECK_STR(text, "");
    rondo_close(pipe_end);
    CHECK_INT(rondo_stream_peer(pipe_end, text, sizeof text), RONDO_ECLOSED);
    end_loop(loop);
    close(tcp_peer);
    close(local_peer);
    close(ends[1]);
}

TEST_ABORTS(null_is_misuse, "rondo_write: the handle is NULL") {
    rondo_write(NULL, rondo_slice_text("x"));
}

static void *write_from_elsewhere(void *arg) {
    write_text(arg, "x");
    return NULL;
}
static void start_elsewhere(rondo_loop *loop, void *arg) {
    pthread_join(harness_thread(write_from_elsewhere, arg), NULL);
}
TEST_ABORTS(another_thread_is_misuse, "from a thread that does not run its loop") {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    new_pair(loop, &stream);
    rondo_next_tick(loop, start_elsewhere, stream);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
}

/* ---- ends of pipes ---- */

TEST(the_reading_end_of_a_pipe) {
    rondo_loop *loop = rondo_loop_new();
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    rondo_stream *stream = open_stream(loop, ends[0]);
    note_events(stream);
    rondo_stream_on_data(stream, note_data, NULL);
    CHECK_INT(write_text(stream, "x"), RONDO_EPIPE);
    CHECK_INT(rondo_end(stream), 0);
    CHECK_INT(write(ends[1], "through", 7), 7);
    close(ends[1]);
    run_all(loop);
    CHECK_TRACE("through end close");
    rondo_loop_free(loop);
}

TEST(the_writing_end_of_a_pipe) {
    rondo_loop *loop = new_virtual_loop();
    int ends[2];
    char text[8] = "";
    CHECK_INT(pipe(ends), 0);
    rondo_stream *stream = open_stream(loop, ends[1]);
    note_events(stream);
    rondo_stream_on_data(stream, note_data, NULL); /* nothing will come */
    CHECK_INT(write_text(stream, "through"), 1);
    check_idle(loop);
    CHECK_INT(read(ends[0], text, 7), 7);
    CHECK_STR(text, "through");
    rondo_end(stream);
    run_all(loop);
    CHECK_TRACE("finish close");
    CHECK_INT(read(ends[0], text, 1), 0);
    rondo_loop_free(loop);
    close(ends[0]);
}

TEST(a_pipe_that_nobody_reads_neither_spins_nor_ends) {
    rondo_loop *loop = new_virtual_loop();
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    rondo_stream *stream = open_stream(loop, ends[0]);
    note_events(stream);
    CHECK_INT(write(ends[1], "kept", 4), 4);
    close(ends[1]);
    check_idle(loop);
    CHECK_TRACE("");
    rondo_stream_on_data(stream, note_data, NULL);
    run_all(loop);
    CHECK_TRACE("kept end close");
    rondo_loop_free(loop);
}
