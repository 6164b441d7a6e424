/* SPDX-License-Identifier: MIT
 *
 * rondo_write_file(): pieces of files in a stream's queue.
 */
#define _GNU_SOURCE /* memfd_create */
#include "streams.h"

#include <sys/mman.h>

/* An open file with the bytes of byte_at(). */
static int new_file(size_t size) {
    char *bytes = new_bytes(size);
    int fd = memfd_create("test", MFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, bytes, size), size);
    free(bytes);
    return fd;
}

static bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

/* Sends the whole file to a reader and ends. */
static void check_file_arrives(size_t size, size_t slow, int stream_flags) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    reader peer;
    int file = new_file(size), fd = new_tcp_pair(loop, &stream);
    if (stream_flags) CHECK_INT(fcntl(fd + 1, F_SETFL, O_NONBLOCK | stream_flags), 0);
    start_reader(&peer, fd, slow);
    CHECK(rondo_write_file(stream, file, 0, size, true) >= 0);
    CHECK(is_open(file));
    end_and_finish(stream);
    CHECK(!is_open(file));
    check_reader(&peer, size);
    run_all(loop);
    rondo_loop_free(loop);
}

TEST(a_file_arrives) { check_file_arrives(300000, 0, 0); }
TEST(a_small_file_arrives) { check_file_arrives(1000, 0, 0); }
TEST(a_large_file_to_a_slow_reader) { check_file_arrives(5000000, 7000, 0); }
TEST(a_file_of_one_block_and_around_it) {
    for (size_t size = 16200; size <= 16500; size += 20) check_file_arrives(size, 0, 0);
}
/* sendfile(2) refuses a descriptor that appends: so the library has to read and write. */
TEST(without_sendfile) { check_file_arrives(1000000, 0, O_APPEND); }

TEST(a_piece_of_a_file_between_other_bytes) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    reader peer;
    enum { SIZE = 400000 };
    char *bytes = new_bytes(SIZE);
    int file = new_file(SIZE);
    start_reader(&peer, new_pair(loop, &stream), 9000);
    size_t at = 0;
    for (int i = 0; at < SIZE; i++) {
        size_t size = (size_t)(i * 7919 % 60000 + 1);
        if (size > SIZE - at) size = SIZE - at;
        rondo_slice piece = rondo_slice_of(bytes + at, size);
        int status = i % 3 == 0   ? rondo_write(stream, piece)
                     : i % 3 == 1 ? rondo_write_file(stream, file, at, size, false)
                                  : rondo_write_lent(stream, piece, NULL, NULL);
        CHECK(status >= 0);
        at += size;
        rondo__loop_verify(loop);
    }
    end_and_finish(stream);
    check_reader(&peer, SIZE);
    run_all(loop);
    rondo_loop_free(loop);
    CHECK(is_open(file)); /* not ours */
    close(file);
    free(bytes);
}

TEST(a_small_file_that_has_to_wait) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    char block[4096] = {0}, text[32] = "";
    int peer = new_pair(loop, &stream), file = memfd_create("test", MFD_CLOEXEC);
    while (send(peer - 1, block, 1, MSG_DONTWAIT) > 0) {}
    CHECK_INT(write(file, "file ", 5), 5);
    rondo_write_file(stream, file, 0, 5, true);
    run_turns(loop, 1); /* it is read, and finds no room */
    CHECK(!is_open(file));
    CHECK_INT(queued(stream), 5);
    CHECK_INT(write_text(stream, "behind"), 1);
    while (recv(peer, block, sizeof block, MSG_DONTWAIT) > 0) {}
    run_turns(loop, 1);
    CHECK_INT(recv(peer, text, sizeof text - 1, MSG_DONTWAIT), 11);
    CHECK_STR(text, "file behind");
    end_loop(loop);
    close(peer);
}

TEST(what_a_file_counts_as) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int file = new_file(1000000), peer = new_pair(loop, &stream);
    CHECK_INT(rondo_write_file(stream, file, 0, 1000, false), 1);
    CHECK_INT(queued(stream), 1000);
    CHECK_INT(rondo_write_file(stream, file, 0, 1000000, false), 0);
    CHECK_INT(queued(stream), 66536); /* no more than one read-ahead */
    CHECK_INT(rondo_stream_set_high_water(stream, 1, 70000), 0);
    CHECK_INT(rondo_write_file(stream, file, 0, 1000000, false), RONDO_ENOBUFS);
    CHECK_INT(rondo_write_file(stream, file, 0, 3464, false), 0);
    end_loop(loop);
    close(file);
    close(peer);
}

TEST(the_file_is_closed_on_every_path) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream), file = new_file(100000);
    CHECK_INT(rondo_write_file(stream, -1, 0, 1, true), RONDO_EBADF);
    CHECK_INT(rondo_write_file(stream, dup(file), UINT64_MAX, 1, true), RONDO_EINVAL);
    CHECK_INT(rondo_write_file(stream, dup(file), 1, UINT64_MAX, true), RONDO_EINVAL);
    CHECK_INT(rondo_write_file(stream, dup(file), 0, 0, true), 1);
    CHECK_INT(rondo_write_file(stream, dup(file), 0, 100000, true), 0);
    rondo_stream_set_high_water(stream, 1, 1);
    CHECK_INT(rondo_write_file(stream, dup(file), 0, 100, true), RONDO_ENOBUFS);
    rondo_end(stream);
    CHECK_INT(rondo_write_file(stream, dup(file), 0, 100, true), RONDO_EPIPE);
    rondo_close(stream); /* with one in the queue */
    CHECK_INT(rondo_write_file(stream, dup(file), 0, 100, true), RONDO_ECLOSED);
    end_loop(loop); /* and the harness looks for leaked descriptors */
    close(peer);
    close(file);
}

static void check_short_file(size_t size, size_t promised) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_tcp_pair(loop, &stream), file = new_file(size);
    note_events(stream);
    write_text(stream, "head");
    rondo_write_lent(stream, rondo_slice_text("lent"), note_release, "before");
    rondo_write_file(stream, file, 0, promised, true);
    rondo_write_lent(stream, rondo_slice_text("lent"), note_release, "behind");
    run_all(loop);
    CHECK_TRACE("before:OK behind:EIO EIO close");
    CHECK(!is_open(file));
    CHECK(strncmp(read_now(peer), "headlent", 8) == 0); /* what was before it did leave */
    rondo_loop_free(loop);
    close(peer);
}

TEST(a_file_shorter_than_promised) {
    check_short_file(10, 20);
    check_short_file(10, 200000);
    check_short_file(100000, 200000);
    check_short_file(0, 1);
}

TEST(what_is_no_file) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream), directory = open("/", O_RDONLY);
    note_events(stream);
    CHECK_INT(rondo_write_file(stream, directory, 0, 100, true), 1);
    run_all(loop);
    CHECK_TRACE("EISDIR close");
    rondo_loop_free(loop);
    close(peer);
}

TEST(a_file_to_a_peer_that_has_gone) {
    for (size_t size = 1000; size <= 1000000; size *= 1000) {
        rondo_loop *loop = rondo_loop_new();
        rondo_stream *stream;
        close(new_pair(loop, &stream));
        note_events(stream);
        rondo_write_file(stream, new_file(size), 0, size, true);
        run_all(loop);
        CHECK_TRACE("EPIPE close"); /* and no SIGPIPE */
        rondo_loop_free(loop);
    }
}

TEST(a_file_through_a_pipe) {
    rondo_loop *loop = rondo_loop_new();
    int ends[2];
    reader peer;
    CHECK_INT(pipe(ends), 0);
    rondo_stream *stream = open_stream(loop, ends[1]);
    start_reader(&peer, ends[0], 0);
    rondo_write_file(stream, new_file(500000), 0, 500000, true);
    rondo_end(stream);
    run_all(loop);
    check_reader(&peer, 500000);
    rondo_loop_free(loop);
}

TEST(out_of_memory_at_every_place_of_sending_a_file) {
    for (long n = 0;; n++) {
        rondo_loop *loop = rondo_loop_new();
        rondo_stream *stream;
        received got = {0};
        int ends[2];
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        stream = open_stream(loop, ends[0]);
        fcntl(ends[0], F_SETFL, O_NONBLOCK | (n % 2 ? O_APPEND : 0));
        rondo_stream_on_error(stream, note_error, NULL);
        harness_fail_alloc_after(n / 2);
        int first = write_text(stream, "head");
        int second = rondo_write_file(stream, new_file(1000), 0, 1000, true);
        int third = rondo_write_file(stream, new_file(50000), 0, 50000, true);
        CHECK(first == 1 || first == RONDO_ENOMEM);
        CHECK(second == 1 || second == RONDO_ENOMEM);
        CHECK(third >= 0 || third == RONDO_ENOMEM);
        run_turns(loop, 3);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        char block[60000];
        ssize_t count = recv(ends[1], block, sizeof block, MSG_DONTWAIT);
        size_t want = (first > 0 ? 4 : 0) + (second > 0 ? 1000 : 0) + (third >= 0 ? 50000 : 0);
        if (strcmp(trace, "ENOMEM") != 0) CHECK_INT(count, want);
        trace_size = 0;
        trace[0] = '\0';
        end_loop(loop);
        close(ends[1]);
        free(got.data);
        if (!failed && n % 2) break;
    }
}
