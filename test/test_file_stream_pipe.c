/* SPDX-License-Identifier: MIT
 *
 * File streams and rondo_pipe(): file to socket, socket to file, file to file, through TLS's seam; odd
 * sizes, slow peers, peers that vanish.
 */
#define _GNU_SOURCE /* memfd_create */
#include "file_streams.h"

static const size_t sizes[] = {0, 1, 70001, 262144, 262145, 3000001};
static int count_of_sizes(void) { return harness_is_slow() ? 4 : 6; }

/* ---- file to socket ---- */

static void file_to_socket(int way, size_t size, size_t slow, bool disk, bool listened) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *file, *socket;
    reader peer;
    received seen = {0};
    disk_file named = new_disk_file(disk ? size : 0);
    use_way(way);
    start_reader(&peer, new_tcp_pair(loop, &socket), slow);
    file = disk ? open_reader(loop, named.path, 0, -1)
                : take_reader(loop, new_memory_file(size), 0, -1);
    note_events(file);
    if (listened) CHECK_INT(rondo_stream_on_data(file, receive_data, &seen), 0);
    CHECK_INT(rondo_pipe(file, socket), 0);
    CHECK_INT(rondo_stream_on_finish(socket, close_it, NULL), 0);
    run_all(loop);
    CHECK_TRACE("end close");
    check_reader(&peer, size);
    if (listened) check_bytes(seen.data, seen.len, size);
    free(seen.data);
    rondo_loop_free(loop);
    remove_file(&named);
}

TEST(a_file_into_a_socket) {
    for (int way = 0; way < WAYS; way++)
        for (int i = 0; i < count_of_sizes(); i++) file_to_socket(way, sizes[i], 0, i % 2, false);
}
TEST(a_file_into_a_slow_socket) {
    for (int way = 0; way < WAYS; way++) file_to_socket(way, 2000003, 9999, true, false);
}
TEST(a_file_into_a_socket_while_somebody_listens) {
    for (int way = 0; way < WAYS; way++) file_to_socket(way, 500001, 0, true, true);
}

TEST(ranges_one_behind_the_other_into_a_socket) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *socket, *first, *second;
    reader peer;
    disk_file file = new_disk_file(600000);
    start_reader(&peer, new_tcp_pair(loop, &socket), 0);
    first = open_reader(loop, file.path, 0, 350001);
    second = open_reader(loop, file.path, 350001, -1);
    CHECK_INT(rondo_pipe(first, socket), 0);
    CHECK_INT(rondo_stream_on_end(first, stop_loop, NULL), 0);
    CHECK_INT(rondo_pause(second), 0);
    CHECK_INT(rondo_pipe(second, socket), 0);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 1);
    CHECK_INT(rondo_resume(second), 0);
    CHECK_INT(rondo_stream_on_finish(socket, close_it, NULL), 0);
    run_all(loop);
    check_reader(&peer, 600000);
    rondo_loop_free(loop);
    remove_file(&file);
}

/* Until nothing moves any more, since nobody reads at the other end. How much has left. */
static uint64_t fill_kernel(rondo_loop *loop, rondo_stream *stream) {
    rondo_stream_figures figures = {0};
    uint64_t before;
    do {
        before = figures.bytes_out;
        for (int i = 0; i < 20; i++) run_turns(loop, 1);
        rondo_stream_get_figures(stream, &figures);
    } while (figures.bytes_out == 0 || figures.bytes_out > before);
    CHECK(figures.queued > 0);
    return figures.bytes_out;
}

TEST(a_pipe_that_is_undone_on_the_way) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *file, *socket;
    disk_file named = new_disk_file(12000000);
    int fd = new_tcp_pair(loop, &socket);
    CHECK_INT(rondo_pipe(file = open_reader(loop, named.path, 0, -1), socket), 0);
    uint64_t sent = fill_kernel(loop, socket);
    size_t queued_then = queued(socket);
    CHECK_INT(rondo_unpipe(file), 0);
    rondo_close(file); /* and what was on the way still has its bytes */
    reader peer;
    start_reader(&peer, fd, 0);
    CHECK_INT(rondo_end(socket), 0);
    CHECK_INT(rondo_stream_on_finish(socket, close_it, NULL), 0);
    run_all(loop);
    pthread_join(peer.thread, NULL);
    CHECK(peer.len >= sent + queued_then && peer.len < 12000000);
    check_bytes(peer.data, peer.len, peer.len);
    free(peer.data);
    close(peer.fd);
    rondo_loop_free(loop);
    remove_file(&named);
}

static unsigned sends_of_a_pipe(bool listened, faults_calls calls) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *file, *socket;
    reader peer;
    received seen = {0};
    start_reader(&peer, new_tcp_pair(loop, &socket), 0);
    file = take_reader(loop, new_memory_file(3000000), 0, -1);
    if (listened) CHECK_INT(rondo_stream_on_data(file, receive_data, &seen), 0);
    faults_watch();
    CHECK_INT(rondo_pipe(file, socket), 0);
    CHECK_INT(rondo_stream_on_finish(socket, close_it, NULL), 0);
    run_all(loop);
    check_reader(&peer, 3000000);
    free(seen.data);
    rondo_loop_free(loop);
    return faults_count(calls);
}

TEST(bytes_of_a_file_are_copied_only_if_somebody_looks) {
    CHECK(sends_of_a_pipe(false, CALL_sendfile) >= 2);
    CHECK(sends_of_a_pipe(false, CALL_send | CALL_sendmsg) <= 3); /* the last piece is small */
    CHECK_INT(sends_of_a_pipe(true, CALL_sendfile), 0);
}

TEST(a_file_that_is_cut_while_it_is_sent) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *file, *socket;
    disk_file named = new_disk_file(12000000);
    int fd = new_tcp_pair(loop, &socket);
    CHECK_INT(rondo_pipe(file = open_reader(loop, named.path, 0, -1), socket), 0);
    CHECK_INT(rondo_stream_on_error(socket, note_error, NULL), 0);
    CHECK_INT(rondo_stream_on_error(file, note_error, NULL), 0);
    fill_kernel(loop, socket);
    CHECK_INT(truncate(named.path, 1000), 0);
    reader peer;
    start_reader(&peer, fd, 0);
    run_all(loop);
    CHECK_TRACE("EIO EIO");
    pthread_join(peer.thread, NULL);
    /* Its bytes are not looked at: sent pages are the file's own, and are cut with it. */
    CHECK(peer.len < 12000000);
    free(peer.data);
    close(peer.fd);
    rondo_loop_free(loop);
    remove_file(&named);
}

/* ---- socket to file ---- */

typedef struct sender {
    int fd;
    size_t size, slow;
    pthread_t thread;
} sender;

static void *send_bytes(void *arg) {
    sender *self = arg;
    char *bytes = new_bytes(self->size);
    for (size_t at = 0, part; at < self->size; at += part) {
        part = self->slow && self->slow < self->size - at ? self->slow : self->size - at;
        harness_send_all(self->fd, bytes + at, part);
    }
    shutdown(self->fd, SHUT_WR);
    free(bytes);
    return NULL;
}

static void socket_to_file(size_t size, size_t slow) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *file, *socket;
    disk_file named = new_disk_file(0);
    sender peer = {.fd = new_tcp_pair(loop, &socket), .size = size, .slow = slow};
    file = open_writer(loop, named.path, 0);
    hear_all(file, NULL);
    CHECK_INT(rondo_pipe(socket, file), 0);
    peer.thread = harness_thread(send_bytes, &peer);
    run_all(loop);
    CHECK(strncmp(trace, "connect finish close", 20) == 0);
    trace_size = 0;
    pthread_join(peer.thread, NULL);
    close(peer.fd);
    check_contents(&named, size);
    rondo_loop_free(loop);
    remove_file(&named);
}

TEST(a_socket_into_a_file) {
    for (int i = 0; i < count_of_sizes(); i++) socket_to_file(sizes[i], 0);
}
TEST(a_slow_socket_into_a_file) { socket_to_file(500001, 777); }

/* ---- file to file ---- */

static void file_to_file(int way, size_t size) {
    rondo_loop *loop = rondo_loop_new();
    disk_file from = new_disk_file(size), to = new_disk_file(0);
    use_way(way);
    rondo_stream *src = open_reader(loop, from.path, 0, -1);
    rondo_stream *dst = open_writer(loop, to.path, RONDO_WRITER_TRUNCATE);
    CHECK_INT(rondo_stream_on_finish(dst, note_finish, NULL), 0);
    CHECK_INT(rondo_pipe(src, dst), 0);
    run_all(loop);
    CHECK_TRACE("finish");
    check_contents(&to, size);
    rondo_loop_free(loop);
    remove_file(&from);
    remove_file(&to);
}

TEST(a_file_into_a_file) {
    for (int way = 0; way < WAYS; way++)
        for (int i = 0; i < count_of_sizes(); i++) file_to_file(way, sizes[i]);
}

/* ---- what goes wrong ---- */

TEST(a_peer_that_vanishes_on_the_way) {
    for (int way = 0; way < WAYS; way++) {
        rondo_loop *loop = rondo_loop_new();
        rondo_stream *file, *socket;
        disk_file named = new_disk_file(5000000);
        int fd = new_tcp_pair(loop, &socket);
        use_way(way);
        note_events(file = open_reader(loop, named.path, 0, -1));
        CHECK_INT(rondo_stream_on_error(socket, note_error, NULL), 0);
        CHECK_INT(rondo_pipe(file, socket), 0);
        rondo_stream_figures figures;
        do {
            run_turns(loop, 1);
            rondo_stream_get_figures(socket, &figures);
        } while (figures.bytes_out == 0);
        reset_peer(fd);
        run_all(loop);
        CHECK(strstr(trace, "ECONNRESET") != NULL || strstr(trace, "EPIPE") != NULL);
        CHECK(strstr(trace, "end") == NULL && strstr(trace, "close") != NULL);
        trace_size = 0;
        rondo_loop_free(loop); /* and the harness looks for descriptors and threads */
        remove_file(&named);
    }
}

TEST(a_full_disk_fails_both) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *file, *socket;
    int fd = new_tcp_pair(loop, &socket);
    file = open_writer(loop, "/dev/full", 0);
    CHECK_INT(rondo_stream_on_error(file, note_error, NULL), 0);
    CHECK_INT(rondo_stream_on_error(socket, note_error, NULL), 0);
    CHECK_INT(rondo_pipe(socket, file), 0);
    harness_send_str(fd, "some bytes");
    run_all(loop);
    CHECK_TRACE("ENOSPC ENOSPC");
    close(fd);
    rondo_loop_free(loop);
}
