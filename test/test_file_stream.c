/* SPDX-License-Identifier: MIT
 *
 * Files as streams: what is read, what is written, what is told of it (rondo/file_stream.h).
 */
#define _GNU_SOURCE /* memfd_create */
#include "file_streams.h"

#include <sys/wait.h>

/* ---- reading ---- */

static void check_reads(const disk_file *file, int64_t offset, int64_t length, size_t from,
                        size_t size) {
    for (int way = 0; way < WAYS; way++) {
        rondo_loop *loop = rondo_loop_new();
        received got = {0};
        use_way(way);
        hear_all(open_reader(loop, file->path, offset, length), &got);
        run_all(loop);
        CHECK_TRACE("connect end close");
        CHECK_INT(got.len, size);
        for (size_t i = 0; i < size; i++)
            if (got.data[i] != byte_at(from + i)) FAIL("byte %zu is wrong", i);
        free(got.data);
        rondo_loop_free(loop);
    }
}

TEST(a_whole_file) {
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 300001};
    for (int i = 0; i < 6; i++) {
        disk_file file = new_disk_file(sizes[i]);
        check_reads(&file, 0, -1, 0, sizes[i]);
        check_reads(&file, -1, -1, 0, sizes[i]);
        remove_file(&file);
    }
}

TEST(a_range_of_a_file) {
    disk_file file = new_disk_file(200000);
    check_reads(&file, 1000, 70000, 1000, 70000);
    check_reads(&file, 150000, -1, 150000, 50000);
    check_reads(&file, 0, 0, 0, 0);
    check_reads(&file, 199999, 1, 199999, 1);
    check_reads(&file, 199999, 10, 199999, 1); /* the file ends earlier */
    check_reads(&file, 200000, -1, 0, 0);
    check_reads(&file, 300000, 5, 0, 0);
    check_reads(&file, INT64_MAX - 5, 5, 0, 0);
    check_reads(&file, -1, 100000, 0, 100000);
    remove_file(&file);
}

static void *let_go_later(void *arg) {
    while (!faults_stands()) harness_sleep_ms(1);
    harness_sleep_ms(20);
    faults_let_go();
    return NULL;
}

TEST(a_disk_takes_no_virtual_time) {
    rondo_loop *loop = new_virtual_loop();
    disk_file file = new_disk_file(1000);
    received got = {0};
    start_timer(loop, 1, note_timer, "timer");
    faults_stand(CALL_open, 1); /* for as long as it likes */
    pthread_t other = harness_thread(let_go_later, NULL);
    rondo_stream *stream = open_reader(loop, file.path, 0, -1);
    hear_all(stream, &got);
    rondo_stream_set_timeout(stream, 5000);
    run_all(loop);
    CHECK_TRACE("connect end close timer");
    pthread_join(other, NULL);
    faults_stop();
    free(got.data);
    remove_file(&file);
    end_loop(loop);
}

TEST(a_file_whose_size_is_not_known) {
    rondo_loop *loop = rondo_loop_new();
    received got = {0};
    hear_all(open_reader(loop, "/proc/self/status", 0, -1), &got);
    run_all(loop);
    CHECK_TRACE("connect end close");
    CHECK(strstr(got.data, "Threads:") != NULL);
    free(got.data);
    rondo_loop_free(loop);
}

TEST(a_descriptor_is_taken_over) {
    for (int way = 0; way < WAYS; way++) {
        rondo_loop *loop = rondo_loop_new();
        received got = {0};
        rondo_stream *stream, *other;
        int fd = new_memory_file(100000);
        CHECK_INT(fcntl(fd, F_SETFD, 0), 0);
        use_way(way);
        stream = take_reader(loop, fd, 50, -1);
        CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
        CHECK_INT(rondo_file_reader_take(loop, fd, 0, -1, &other), RONDO_EEXIST);
        hear_all(stream, &got);
        run_all(loop);
        CHECK_TRACE("end close");
        CHECK_INT(got.len, 99950);
        CHECK(got.data[0] == byte_at(50));
        free(got.data);
        rondo_loop_free(loop);
        CHECK(!fd_is_open(fd));
    }
}

TEST(reading_from_the_position_moves_it_as_far_as_was_told) {
    for (int way = 0; way < WAYS; way++) {
        rondo_loop *loop = rondo_loop_new();
        received got = {0};
        int fd = new_memory_file(300000), copy = dup(fd);
        use_way(way);
        rondo_stream *stream = take_reader(loop, fd, -1, -1);
        CHECK_INT(rondo_stream_set_read_high_water(stream, 1000), 0);
        CHECK_INT(rondo_stream_on_data(stream, receive_data, &got), 0);
        CHECK_INT(rondo_stream_on_data(stream, close_at_data, NULL), 0);
        run_all(loop);
        rondo_loop_free(loop);
        check_bytes(got.data, got.len, 1000);
        CHECK_INT(lseek(copy, 0, SEEK_CUR), 1000);
        free(got.data);
        close(copy);
    }
}

static int64_t do_nothing(rondo_job *job, void *arg) { return 0; }
static void note_done(rondo_loop *loop, int64_t result, void *arg) { *(bool *)arg = true; }

/* What the lane's only thread was at has been delivered. */
static void wait_for_workers(rondo_loop *loop) {
    bool done = false;
    CHECK_INT(rondo_work_submit(loop, rondo_lane_fs(loop), NULL, do_nothing, note_done, &done), 0);
    while (!done) run_turns(loop, 1);
}

TEST(a_child_of_fork_leaves_the_position_alone) {
    rondo_loop *loop = rondo_loop_new();
    CHECK_INT(rondo_lane_resize(rondo_lane_fs(loop), 1, 100), 0);
    received got = {0};
    int fd = new_memory_file(300000), copy = dup(fd), status;
    cache_unknown();
    rondo_stream *stream = take_reader(loop, fd, -1, -1);
    CHECK_INT(rondo_stream_set_read_high_water(stream, 1000), 0);
    CHECK_INT(rondo_stream_on_data(stream, receive_data, &got), 0);
    while (got.len == 0) run_turns(loop, 1);
    CHECK_INT(rondo_pause(stream), 0);
    off_t ahead = (off_t)got.len + 1000; /* which a worker reads meanwhile */
    while (lseek(copy, 0, SEEK_CUR) < ahead) run_turns(loop, 1);
    wait_for_workers(loop);
    CHECK_INT(lseek(copy, 0, SEEK_CUR), ahead);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        rondo_close(stream);
        _exit(0);
    }
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK_INT(status, 0);
    CHECK_INT(lseek(copy, 0, SEEK_CUR), ahead);
    rondo_close(stream);
    run_all(loop);
    rondo_loop_free(loop);
    CHECK_INT(lseek(copy, 0, SEEK_CUR), got.len);
    free(got.data);
    close(copy);
}

TEST(nothing_is_read_before_somebody_wants_it) {
    rondo_loop *loop = new_virtual_loop();
    int fd = new_memory_file(1000);
    rondo_stream *stream = take_reader(loop, fd, -1, -1);
    faults_watch();
    check_idle(loop);
    CHECK_INT(faults_count(CALL_preadv2 | CALL_read | CALL_pread), 0);
    CHECK_INT(rondo_resume(stream), 0); /* and then dropped */
    run_all(loop);
    CHECK(faults_count(CALL_preadv2) > 0);
    rondo_loop_free(loop);
}

/* ---- pausing, and how far ahead it reads ---- */

static void pause_after(rondo_stream *stream, rondo_slice chunk, void *arg) {
    received *got = arg;
    receive(got, chunk);
    CHECK_INT(chunk.len, 5000);
    CHECK_INT(rondo_pause(stream), 0);
}

TEST(no_more_is_read_ahead_than_the_mark) {
    for (int way = 0; way < WAYS; way++) {
        rondo_loop *loop = new_virtual_loop();
        received got = {0};
        use_way(way);
        faults_watch();
        rondo_stream *stream = take_reader(loop, new_memory_file(100000), 0, -1);
        CHECK_INT(rondo_stream_set_read_high_water(stream, 5000), 0);
        CHECK_INT(rondo_stream_on_data(stream, pause_after, &got), 0);
        note_events(stream);
        for (size_t told = 5000; told <= 100000; told += 5000) {
            while (got.len < told) run_turns(loop, 1);
            check_idle(loop);
            uint64_t read = faults_bytes(CALL_preadv2 | CALL_pread);
            CHECK(read >= told && read <= told + 5000);
            if (way == CACHED) CHECK_INT(read, told);
            CHECK_TRACE("");
            CHECK_INT(rondo_resume(stream), 0);
        }
        run_all(loop);
        CHECK_TRACE("end close");
        check_bytes(got.data, got.len, 100000);
        free(got.data);
        rondo_loop_free(loop);
    }
}

TEST(what_is_in_the_cache_is_read_without_a_worker) {
    rondo_loop *loop = rondo_loop_new();
    disk_file file = new_disk_file(200000);
    received got = {0};
    bool can_tell = cache_can_tell(&file);
    rondo_stream *stream = take_reader(loop, open(file.path, O_RDONLY | O_CLOEXEC), 0, -1);
    CHECK_INT(rondo_stream_on_data(stream, receive_data, &got), 0);
    run_all(loop);
    check_bytes(got.data, got.len, 200000);
    rondo_lane_figures figures;
    rondo_lane_get_figures(rondo_lane_fs(loop), &figures);
    if (can_tell) /* one closes the descriptor */
        CHECK_INT(figures.done + figures.running + figures.queued, 1);
    free(got.data);
    rondo_loop_free(loop);
    remove_file(&file);
}

TEST(a_file_shares_the_loop_with_others) {
    rondo_loop *loop = new_virtual_loop();
    received got = {0};
    rondo_stream *stream = take_reader(loop, new_memory_file(5000000), 0, -1);
    CHECK_INT(rondo_stream_on_data(stream, receive_data, &got), 0);
    run_turns(loop, 2);
    CHECK(got.len > 0 && got.len < 1000000); /* a bounded part in each turn */
    run_all(loop);
    check_bytes(got.data, got.len, 5000000);
    free(got.data);
    rondo_loop_free(loop);
}

/* ---- files that change ---- */

static void grow(rondo_stream *stream, rondo_slice chunk, void *arg) {
    int *fd = arg;
    if (*fd < 0) return;
    CHECK_INT(pwrite(*fd, "more", 4, 70000), 4);
    *fd = -1;
}
static void shrink(rondo_stream *stream, rondo_slice chunk, void *arg) {
    CHECK_INT(ftruncate(*(int *)arg, 66000), 0);
}

TEST(a_file_that_grows_or_shrinks_meanwhile) {
    for (int way = 0; way < WAYS; way++) {
        rondo_loop *loop = rondo_loop_new();
        received got = {0};
        int fd = new_memory_file(70000), writer = dup(fd), it = writer;
        use_way(way);
        rondo_stream *stream = take_reader(loop, fd, 0, -1);
        hear_all(stream, &got);
        CHECK_INT(rondo_stream_on_data(stream, grow, &it), 0);
        run_all(loop);
        CHECK_TRACE("end close");
        CHECK_INT(got.len, 70004);
        CHECK_STR(got.data + 70000, "more");
        free(got.data);
        got = (received){0};
        stream = take_reader(loop, dup(writer), 0, 69000);
        CHECK_INT(rondo_stream_set_read_high_water(stream, 65000), 0);
        hear_all(stream, &got);
        CHECK_INT(rondo_stream_on_data(stream, shrink, &writer), 0);
        run_all(loop);
        CHECK_TRACE("end close");
        CHECK(got.len == 66000 || (way == UNKNOWN && got.len == 69000)); /* it was read ahead */
        free(got.data);
        close(writer);
        rondo_loop_free(loop);
    }
}

/* ---- writing ---- */

static void write_and_end(rondo_stream *stream, const char *text) {
    CHECK_INT(write_text(stream, text), 1);
    CHECK_INT(rondo_end(stream), 0);
}

TEST(a_file_is_written) {
    rondo_loop *loop = rondo_loop_new();
    disk_file file = new_disk_file(0);
    rondo_stream *stream = open_writer(loop, file.path, 0);
    hear_all(stream, NULL);
    write_and_end(stream, "one two three");
    run_all(loop);
    CHECK_TRACE("connect finish close");
    check_text(&file, "one two three");
    hear_all(stream = open_writer(loop, file.path, 0), NULL); /* at its beginning */
    write_and_end(stream, "ONE");
    run_all(loop);
    check_text(&file, "ONE two three");
    hear_all(stream = open_writer(loop, file.path, RONDO_WRITER_APPEND), NULL);
    write_and_end(stream, " four");
    run_all(loop);
    check_text(&file, "ONE two three four");
    hear_all(stream = open_writer(loop, file.path, RONDO_WRITER_TRUNCATE), NULL);
    CHECK_INT(rondo_end(stream), 0); /* nothing at all */
    run_all(loop);
    check_text(&file, "");
    CHECK_TRACE("connect finish close connect finish close connect finish close");
    remove_file(&file);
    rondo_loop_free(loop);
}

TEST(a_file_is_made) {
    rondo_loop *loop = rondo_loop_new();
    disk_file file = new_disk_file(0);
    struct stat st;
    unsigned made = RONDO_WRITER_CREATE | RONDO_WRITER_EXCLUSIVE;
    hear_all(open_writer(loop, file.path, made), NULL);
    run_all(loop);
    CHECK_TRACE("EEXIST close");
    remove_file(&file);
    hear_all(open_writer(loop, file.path, 0), NULL);
    run_all(loop);
    CHECK_TRACE("ENOENT close");
    rondo_stream *stream = NULL;
    umask(0);
    CHECK_INT(rondo_file_writer_open(loop, file.path, made, 0640, &stream), 0);
    hear_all(stream, NULL);
    write_and_end(stream, "new");
    run_all(loop);
    CHECK_TRACE("connect finish close");
    CHECK_INT(stat(file.path, &st), 0);
    CHECK_INT(st.st_mode & 07777, 0640);
    check_text(&file, "new");
    remove_file(&file);
    rondo_loop_free(loop);
}

/* Odd pieces, copied, lent, and of files. */
TEST(many_pieces_stay_in_order) {
    enum { SIZE = 3000000 };
    rondo_loop *loop = rondo_loop_new();
    disk_file file = new_disk_file(0);
    char *bytes = new_bytes(SIZE);
    int source = new_memory_file(SIZE);
    rondo_stream *stream = open_writer(loop, file.path, 0);
    hear_all(stream, NULL);
    size_t at = 0;
    for (int i = 0; at < SIZE; i++) {
        size_t size = (size_t)(i * 7919 % 90000 + 1);
        if (i % 5 == 3) size = (size_t)(i % 7 + 1) * 100000;
        if (size > SIZE - at) size = SIZE - at;
        rondo_slice piece = rondo_slice_of(bytes + at, size);
        int status = i % 3 == 0   ? rondo_write(stream, piece)
                     : i % 3 == 1 ? rondo_write_file(stream, source, at, size, false)
                                  : rondo_write_lent(stream, piece, NULL, NULL);
        CHECK(status >= 0);
        at += size;
        if (i % 4 == 0) run_turns(loop, 1);
    }
    CHECK_INT(rondo_end(stream), 0);
    run_all(loop);
    CHECK(strstr(trace, "finish close") != NULL);
    rondo_loop_free(loop);
    check_contents(&file, SIZE);
    remove_file(&file);
    close(source);
    free(bytes);
}

TEST(a_writer_takes_a_descriptor_and_an_offset) {
    rondo_loop *loop = rondo_loop_new();
    disk_file file = new_disk_file(0);
    int fd = open(file.path, O_WRONLY);
    rondo_stream *stream = take_writer(loop, fd, 5), *other;
    CHECK_INT(rondo_file_writer_take(loop, fd, 0, 0, &other), RONDO_EEXIST);
    hear_all(stream, NULL);
    write_and_end(stream, "later");
    run_all(loop);
    CHECK_TRACE("finish close");
    CHECK(!fd_is_open(fd));
    CHECK_INT(size_of_file(&file), 10);
    fd = open(file.path, O_WRONLY | O_APPEND);
    hear_all(stream = take_writer(loop, fd, -1), NULL);
    write_and_end(stream, "!");
    run_all(loop);
    CHECK_TRACE("finish close");
    CHECK_INT(size_of_file(&file), 11);
    remove_file(&file);
    rondo_loop_free(loop);
}

TEST(two_that_append_lose_nothing) {
    enum { LINES = 2000 };
    rondo_loop *loop = rondo_loop_new();
    disk_file file = new_disk_file(0);
    rondo_stream *a = open_writer(loop, file.path, RONDO_WRITER_APPEND);
    rondo_stream *b = open_writer(loop, file.path, RONDO_WRITER_APPEND);
    for (int i = 0; i < LINES; i++) {
        CHECK(write_text(a, "aaaaaaaaa\n") >= 0);
        CHECK(write_text(b, "bbbbbbbbb\n") >= 0);
        if (i % 50 == 0) run_turns(loop, 1);
    }
    rondo_end(a);
    rondo_end(b);
    run_all(loop);
    size_t size, counts[2] = {0};
    char *bytes = contents(&file, &size);
    CHECK_INT(size, LINES * 20);
    for (size_t i = 0; i < size; i += 10) {
        CHECK(memcmp(bytes + i, bytes[i] == 'a' ? "aaaaaaaaa\n" : "bbbbbbbbb\n", 10) == 0);
        counts[bytes[i] == 'b']++;
    }
    CHECK(counts[0] == LINES && counts[1] == LINES);
    free(bytes);
    remove_file(&file);
    rondo_loop_free(loop);
}

static void write_more(rondo_stream *stream, void *arg) {
    int *left = arg;
    note("drain");
    if (--*left == 0)
        rondo_end(stream);
    else
        CHECK_INT(rondo_write(stream, rondo_slice_of(stream, 100)), 0);
}

TEST(a_writer_asks_to_wait_and_says_when_to_go_on) {
    rondo_loop *loop = rondo_loop_new();
    disk_file file = new_disk_file(0);
    int left = 3;
    rondo_stream *stream = open_writer(loop, file.path, 0);
    char *bytes = new_bytes(256 * 1024);
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 256 * 1024 - 1)), 1); /* its mark */
    CHECK_INT(rondo_stream_set_high_water(stream, 100, 300000), 0);
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 1)), 0);
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 100000)), RONDO_ENOBUFS);
    CHECK_INT(rondo_stream_on_drain(stream, write_more, &left), 0);
    CHECK_INT(rondo_stream_on_finish(stream, note_finish, NULL), 0);
    run_all(loop);
    CHECK_TRACE("drain drain drain finish");
    CHECK_INT(size_of_file(&file), 256 * 1024 + 200);
    free(bytes);
    remove_file(&file);
    rondo_loop_free(loop);
}

TEST(a_try_takes_what_is_below_the_mark) {
    rondo_loop *loop = rondo_loop_new();
    int fd = new_memory_file(0), copy = dup(fd);
    rondo_stream *stream = take_writer(loop, fd, 0);
    CHECK_INT(rondo_stream_set_high_water(stream, 10, 100), 0);
    CHECK_INT(rondo_stream_on_drain(stream, note_drain, NULL), 0);
    CHECK_INT(rondo_try_write(stream, rondo_slice_text("0123456789abcdef")), 10);
    CHECK_INT(rondo_try_write(stream, rondo_slice_text("abcdef")), RONDO_EAGAIN);
    CHECK_INT(queued(stream), 10);
    while (queued(stream) > 0) run_turns(loop, 1);
    run_turns(loop, 1);
    CHECK_TRACE("drain");
    CHECK_INT(rondo_try_write(stream, rondo_slice_text("abcdef")), 6);
    CHECK_INT(rondo_end(stream), 0);
    run_all(loop);
    CHECK_INT(lseek(copy, 0, SEEK_END), 16);
    close(copy);
    rondo_loop_free(loop);
}

TEST(a_writer_can_sync) {
    rondo_loop *loop = rondo_loop_new();
    disk_file file = new_disk_file(0);
    rondo_stream *stream = open_writer(loop, file.path, 0);
    faults_watch();
    write_and_end(stream, "x");
    run_all(loop);
    CHECK_INT(faults_count(CALL_fsync), 0);
    write_and_end(stream = open_writer(loop, file.path, RONDO_WRITER_SYNC), "x");
    faults_watch();
    run_all(loop);
    CHECK_STR(faults_log(CALL_fsync | CALL_close), "fsync close");
    hear_all(stream = open_writer(loop, file.path, RONDO_WRITER_SYNC), NULL);
    write_and_end(stream, "x");
    faults_fail(CALL_fsync, 1, EIO);
    run_all(loop);
    CHECK_TRACE("connect EIO close");
    remove_file(&file);
    rondo_loop_free(loop);
}

/* ---- what can't be ---- */

TEST(what_is_refused_at_once) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *none = NULL;
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    CHECK_INT(rondo_file_reader_open(loop, NULL, 0, -1, &none), RONDO_EINVAL);
    CHECK_INT(rondo_file_reader_open(loop, "/", -2, -1, &none), RONDO_EINVAL);
    CHECK_INT(rondo_file_reader_open(loop, "/", 0, -2, &none), RONDO_EINVAL);
    CHECK_INT(rondo_file_reader_open(loop, "/", 2, INT64_MAX, &none), RONDO_EINVAL);
    CHECK_INT(rondo_file_reader_take(loop, -1, 0, -1, &none), RONDO_EBADF);
    CHECK_INT(rondo_file_reader_take(loop, 999, 0, -1, &none), RONDO_EBADF);
    CHECK_INT(rondo_file_reader_take(loop, ends[1], 0, -1, &none), RONDO_EBADF);
    int path = open("/tmp", O_PATH | O_CLOEXEC);
    CHECK_INT(rondo_file_reader_take(loop, path, 0, -1, &none), RONDO_EBADF);
    close(path);
    CHECK_INT(rondo_file_writer_take(loop, -1, 0, 0, &none), RONDO_EBADF);
    CHECK_INT(rondo_file_writer_take(loop, ends[0], 0, 0, &none), RONDO_EBADF);
    CHECK_INT(rondo_file_writer_take(loop, ends[1], -2, 0, &none), RONDO_EINVAL);
    CHECK_INT(rondo_file_writer_take(loop, ends[1], 0, RONDO_WRITER_CREATE, &none), RONDO_EINVAL);
    CHECK_INT(rondo_file_writer_open(loop, NULL, 0, 0, &none), RONDO_EINVAL);
    CHECK_INT(rondo_file_writer_open(loop, "/", RONDO_WRITER_EXCLUSIVE, 0, &none), RONDO_EINVAL);
    CHECK_INT(rondo_file_writer_open(loop, "/", 1 << 20, 0, &none), RONDO_EINVAL);
    CHECK(none == NULL && fd_is_open(ends[0]) && fd_is_open(ends[1]));
    close(ends[0]);
    close(ends[1]);
    rondo_loop_free(loop);
}

TEST(what_is_refused_later) {
    rondo_loop *loop = rondo_loop_new();
    char name[5000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    received got = {0};
    hear_all(open_reader(loop, "/nowhere/at/all", 0, -1), &got);
    run_all(loop);
    CHECK_TRACE("ENOENT close");
    hear_all(open_reader(loop, "/tmp", 0, -1), &got);
    run_all(loop);
    CHECK_TRACE("connect EISDIR close");
    hear_all(open_reader(loop, name, 0, -1), &got);
    run_all(loop);
    CHECK_TRACE("ENAMETOOLONG close");
    hear_all(open_writer(loop, "/tmp", 0), NULL);
    run_all(loop);
    CHECK_TRACE("EISDIR close");
    rondo_loop_free(loop);
}

TEST(what_other_calls_say_of_a_file) {
    rondo_loop *loop = rondo_loop_new();
    char text[RONDO_ADDRESS_TEXT_BYTES];
    rondo_stream *in = take_reader(loop, new_memory_file(10), 0, -1);
    rondo_stream *out = take_writer(loop, new_memory_file(0), 0), *other;
    CHECK_INT(rondo_stream_peer(in, text, sizeof text), RONDO_ENOTCONN);
    CHECK_INT(rondo_stream_set_kernel_buffers(in, 1000, 1000), RONDO_ENOTSUP);
    CHECK(!rondo_is_tty(in));
    CHECK_INT(write_text(in, "x"), RONDO_EPIPE);
    CHECK_INT(rondo_write_fd(out, rondo_slice_text("x"), 0, false), RONDO_ENOTSUP);
    CHECK_INT(rondo_pipe(out, in), RONDO_EPIPE);
    CHECK_INT(rondo_pipe(out, other = take_writer(loop, new_memory_file(0), 0)), 0);
    CHECK_STR(rondo_kind(in), "stream");
    rondo_close(other);
    end_loop(loop);
}
