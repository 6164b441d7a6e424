/* SPDX-License-Identifier: MIT
 *
 * File streams when things go wrong, or are given up: errors in the middle, devices that block, closes
 * at every point, memory that runs out, a loop that is freed.
 */
#define _GNU_SOURCE /* memfd_create */
#include "file_streams.h"
#include "gate.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>

static void wait_until_closed(int fd) {
    while (fd_is_open(fd)) sched_yield();
}

/* ---- errors ---- */

TEST(an_error_in_the_middle_of_reading) {
    rondo_loop *loop = rondo_loop_new();
    received got = {0};
    cache_unknown();
    hear_all(take_reader(loop, new_memory_file(300000), 0, -1), &got);
    faults_fail(CALL_pread, 3, EIO);
    run_all(loop);
    CHECK_TRACE("EIO close");
    check_bytes(got.data, got.len, 131072); /* what came before was told */
    free(got.data);
    rondo_loop_free(loop);
}

TEST(what_is_queued_is_released_with_the_error) {
    rondo_loop *loop = rondo_loop_new();
    int fd = new_memory_file(0), copy = dup(fd);
    rondo_stream *stream = take_writer(loop, fd, 0);
    hear_all(stream, NULL);
    faults_short(CALL_pwrite, 1, 4);
    faults_fail(CALL_pwrite, 2, ENOSPC);
    rondo_write_lent(stream, rondo_slice_text("lent"), note_release, "first");
    rondo_write_lent(stream, rondo_slice_text("lent"), note_release, "second");
    rondo_write_file(stream, new_memory_file(100000), 0, 100000, true);
    rondo_end(stream);
    run_all(loop);
    CHECK_TRACE("first:OK second:ENOSPC ENOSPC close");
    CHECK_INT(lseek(copy, 0, SEEK_END), 4); /* what was written before is there */
    close(copy);
    rondo_loop_free(loop);
}

TEST(an_error_that_shows_when_the_file_is_closed) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream = take_writer(loop, new_memory_file(0), 0);
    hear_all(stream, NULL);
    write_text(stream, "x");
    rondo_end(stream);
    faults_fail(CALL_close, 1, ENOSPC);
    run_all(loop);
    CHECK_TRACE("ENOSPC close");
    rondo_loop_free(loop);
}

TEST(a_piece_of_a_file_that_is_shorter_than_promised) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream = take_writer(loop, new_memory_file(0), 0);
    hear_all(stream, NULL);
    rondo_write_file(stream, new_memory_file(100000), 0, 100001, true);
    run_all(loop);
    CHECK_TRACE("EIO close");
    rondo_loop_free(loop);
}

static void copy_a_file(void) {
    enum { SIZE = 140001 };
    rondo_loop *loop = rondo_loop_new();
    disk_file from = new_disk_file(SIZE), to = new_disk_file(0);
    FAULTS_BEGIN();
    rondo_stream *src = NULL, *dst = NULL;
    int status = rondo_file_reader_open(loop, from.path, 0, -1, &src);
    int fd = open(to.path, O_WRONLY | O_CLOEXEC);
    int taken = rondo_file_writer_take(loop, fd, 0, 0, &dst);
    if (taken < 0) close(fd);
    if (status == 0) status = taken;
    if (status == 0) {
        received seen = {0};
        hear_all(src, &seen);
        hear_all(dst, NULL);
        CHECK_INT(rondo_pipe(src, dst), 0);
        run_all(loop);
        free(seen.data);
    }
    FAULTS_END();
    bool done = status == 0 && strstr(trace, "finish") != NULL;
    if (status == 0) CHECK(done == (strstr(trace, " E") == NULL && trace[0] != 'E'));
    if (!faults_struck()) CHECK(done);
    trace_size = 0;
    trace[0] = '\0';
    end_loop(loop);
    size_t size;
    char *bytes = contents(&to, &size);
    if (done) CHECK_INT(size, SIZE);
    CHECK(size <= SIZE);
    check_bytes(bytes, size, size);
    free(bytes);
    remove_file(&from);
    remove_file(&to);
}

#define MOVES (CALL_preadv2 | CALL_pread | CALL_pwrite) /* write(2) wakes the loop, too */

TEST(copying_with_a_fault_at_every_point) {
    FAULT_SWEEP(copy_a_file, MOVES | CALL_open | CALL_close | CALL_fstat, EINTR);
    FAULT_SWEEP(copy_a_file, MOVES | CALL_open | CALL_close, EIO);
    FAULT_SWEEP(copy_a_file, CALL_open, EMFILE);
    FAULT_SWEEP(copy_a_file, CALL_preadv2 | CALL_pread | CALL_open | CALL_fcntl, EAGAIN);
    FAULT_SWEEP(copy_a_file, CALL_pthread_create, EAGAIN);
    FAULT_SWEEP_SHORT(copy_a_file, CALL_preadv2 | CALL_pread, 1);
    /* pread's 0 is the file's end, and so is preadv2's of memory. */
    disk_file file = new_disk_file(1);
    if (!is_memory(&file)) FAULT_SWEEP_SHORT(copy_a_file, CALL_preadv2, 0);
    remove_file(&file);
}

/* ---- devices that block ---- */

TEST(a_device_that_has_nothing_times_out_and_can_be_closed) {
    rondo_loop *loop = rondo_loop_new();
    int ends[2];
    received got = {0};
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    rondo_stream *stream = take_reader(loop, ends[0], -1, -1);
    hear_all(stream, &got);
    CHECK_INT(rondo_stream_on_timeout(stream, note_timeout, NULL), 0);
    CHECK_INT(rondo_stream_on_timeout(stream, close_it, NULL), 0);
    CHECK_INT(rondo_stream_set_read_timeout(stream, 20), 0);
    CHECK_INT(write(ends[1], "abc", 3), 3);
    run_all(loop);
    CHECK_TRACE("timeout close");
    CHECK_RECEIVED(got, "abc");
    rondo_loop_free(loop);
    CHECK(!fd_is_open(ends[0]));
    close(ends[1]);
}

TEST(a_device_that_takes_nothing_times_out) {
    rondo_loop *loop = rondo_loop_new();
    int ends[2];
    char *bytes = new_bytes(200000);
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    rondo_stream *stream = take_writer(loop, ends[1], -1);
    hear_all(stream, NULL);
    CHECK_INT(rondo_stream_set_write_timeout(stream, 20), 0);
    CHECK_INT(rondo_write(stream, rondo_slice_of(bytes, 200000)), 1);
    run_all(loop);
    CHECK_TRACE("ETIMEDOUT close");
    rondo_loop_free(loop);
    free(bytes);
    close(ends[0]);
}

TEST(what_comes_late_from_a_device_is_told) {
    rondo_loop *loop = rondo_loop_new();
    int ends[2];
    received got = {0};
    CHECK_INT(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    hear_all(take_reader(loop, ends[0], -1, 5), &got);
    for (int i = 0; i < 3; i++) run_turns(loop, 1);
    CHECK_INT(write(ends[1], "late bytes", 10), 10);
    run_all(loop);
    CHECK_TRACE("end close");
    CHECK_RECEIVED(got, "late ");
    rondo_loop_free(loop);
    close(ends[1]);
}

/* ---- FIFOs, by name ---- */

static void make_fifo(disk_file *file) {
    snprintf(file->path, sizeof file->path, "/tmp/rondo-fifo-XXXXXX");
    CHECK(mkdtemp(file->path) != NULL);
    CHECK_INT(rmdir(file->path), 0);
    CHECK_INT(mkfifo(file->path, 0600), 0);
}

TEST(a_fifo_that_nobody_opens_is_given_up) {
    for (int way = 0; way < 4; way++) {
        rondo_loop *loop = rondo_loop_new();
        disk_file fifo;
        make_fifo(&fifo);
        faults_watch();
        rondo_stream *in = open_reader(loop, fifo.path, -1, -1);
        if (way < 2) rondo_close(in);
        rondo_stream *out = way % 2 ? open_writer(loop, "/dev/null", 0) : NULL;
        if (way < 2) out = open_writer(loop, fifo.path, 0);
        if (out) write_text(out, "x");
        while (faults_count(CALL_open) == 0) run_turns(loop, 1);
        end_loop(loop); /* and no thread waits for ever */
        remove_file(&fifo);
    }
}

TEST(two_streams_talk_through_a_fifo) {
    rondo_loop *loop = rondo_loop_new();
    disk_file fifo;
    received got = {0};
    char *bytes = new_bytes(300001);
    make_fifo(&fifo);
    rondo_stream *in = open_reader(loop, fifo.path, -1, -1);
    CHECK_INT(rondo_stream_on_data(in, receive_data, &got), 0);
    rondo_stream *out = open_writer(loop, fifo.path, 0);
    CHECK(rondo_write(out, rondo_slice_of(bytes, 300001)) >= 0);
    CHECK_INT(rondo_end(out), 0);
    run_all(loop);
    check_bytes(got.data, got.len, 300001);
    free(got.data);
    free(bytes);
    rondo_loop_free(loop);
    remove_file(&fifo);
}

/* The number may not be another's before the worker is back. */
TEST(a_descriptor_is_not_closed_under_a_worker) {
    rondo_loop *loop = rondo_loop_new();
    int ends[2];
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    rondo_stream *stream = take_reader(loop, ends[0], -1, -1);
    faults_watch();
    CHECK_INT(rondo_resume(stream), 0);
    while (faults_count(CALL_poll) == 0) run_turns(loop, 1);
    rondo_close(stream);
    CHECK(fd_is_open(ends[0]));
    run_all(loop);
    rondo_loop_free(loop);
    CHECK(!fd_is_open(ends[0]));
    close(ends[1]);
}

TEST(the_loop_is_freed_while_a_worker_is_at_it) {
    int ends[2];
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *in = take_reader(loop, ends[0], -1, -1);
    rondo_stream *out = open_writer(loop, "/dev/null", 0);
    CHECK_INT(rondo_resume(in), 0);
    write_text(out, "x");
    run_turns(loop, 1);
    end_loop(loop);
    wait_until_closed(ends[0]); /* if the worker had not come to polling it was abandoned */
    close(ends[1]);
}

/* ---- file systems that are dead ---- */

/* Of one thread, so that a reader in it would be the only one. */
static rondo_loop *new_loop_of_one_worker(void) {
    rondo_loop *loop = rondo_loop_new();
    CHECK_INT(rondo_lane_resize(rondo_lane_fs(loop), 1, 100), 0);
    return loop;
}

static void close_while_it_stands(faults_calls call) {
    rondo_loop *loop = new_loop_of_one_worker();
    disk_file file = new_disk_file(1000);
    received got = {0};
    cache_unknown();
    faults_stand(call, 1);
    rondo_stream *stuck = open_reader(loop, file.path, 0, -1);
    hear_all(stuck, NULL);
    CHECK_INT(rondo_resume(stuck), 0);
    while (!faults_stands()) run_turns(loop, 1);
    rondo_close(stuck);
    hear_all(open_reader(loop, file.path, 0, -1), &got);
    run_all(loop);
    CHECK(strstr(trace, "close") != NULL && strstr(trace, "end close") != NULL);
    check_bytes(got.data, got.len, 1000);
    free(got.data);
    trace_size = 0;
    rondo_loop_free(loop); /* though it still stands */
    faults_let_go();
    remove_file(&file); /* the harness sees the thread close it, and go */
}

TEST(a_reader_that_is_closed_while_it_reads_holds_nobody) { close_while_it_stands(CALL_pread); }
TEST(a_reader_that_is_closed_while_it_opens_holds_nobody) { close_while_it_stands(CALL_open); }

/* The thread comes back while the loop is there, before and after it has heard of that. */
TEST(a_closed_reader_comes_back) {
    for (int turns = 0; turns < 2; turns++) {
        rondo_loop *loop = new_loop_of_one_worker();
        int fd = new_memory_file(1000);
        cache_unknown();
        faults_stand(CALL_pread, 1);
        rondo_stream *stuck = take_reader(loop, fd, 0, -1);
        CHECK_INT(rondo_resume(stuck), 0);
        while (!faults_stands()) run_turns(loop, 1);
        rondo_close(stuck);
        for (int i = 0; i < turns; i++) run_turns(loop, 2);
        CHECK(fd_is_open(fd));
        faults_let_go();
        while (fd_is_open(fd)) run_turns(loop, 1);
        end_loop(loop);
        faults_clear();
    }
}

static void ignore_release(void *arg) {}

static atomic_bool let_go;
static void *let_go_later(void *arg) {
    harness_sleep_ms(30);
    atomic_store(&let_go, true);
    faults_let_go();
    return arg;
}

/* So many that no more may be abandoned: then it is waited for. */
TEST(a_closed_reader_behind_too_many_stuck_ones) {
    enum { MANY = 64 };
    rondo_loop *loop = rondo_loop_new();
    rondo_lane *lane = rondo_lane_fs(loop);
    static gate g; /* the threads are there when this has returned */
    gate_init(&g);
    for (int i = 0; i < MANY; i++) {
        rondo_job *job;
        CHECK_INT(rondo_work_submit(loop, lane, &job, stand_at, ignore_done, &g), 0);
        CHECK_INT(rondo_job_on_release(job, ignore_release, NULL), 0);
        gate_wait_entered(&g, 1);
        CHECK_INT(rondo_job_abandon(job), 0);
    }
    cache_unknown();
    faults_stand(CALL_pread, 1);
    rondo_stream *stuck = take_reader(loop, new_memory_file(1000), 0, -1);
    CHECK_INT(rondo_resume(stuck), 0);
    while (!faults_stands()) run_turns(loop, 1);
    CHECK_INT(figures_of(lane).abandoned, MANY);
    rondo_close(stuck);
    run_all(loop);
    pthread_t thread = harness_thread(let_go_later, NULL);
    rondo_loop_free(loop);
    CHECK(atomic_load(&let_go));
    pthread_join(thread, NULL);
    gate_open(&g, MANY);
}

TEST(a_closed_writer_is_waited_for) {
    rondo_loop *loop = rondo_loop_new();
    disk_file file = new_disk_file(0);
    faults_stand(CALL_pwrite, 1);
    int fd = open(file.path, O_WRONLY | O_CLOEXEC);
    rondo_stream *stream = take_writer(loop, fd, 0);
    write_text(stream, "all of it");
    while (!faults_stands()) run_turns(loop, 1);
    rondo_close(stream);
    run_all(loop);
    pthread_t thread = harness_thread(let_go_later, NULL);
    rondo_loop_free(loop);
    CHECK(atomic_load(&let_go));
    pthread_join(thread, NULL);
    check_text(&file, "all of it");
    remove_file(&file);
}

/* ---- closing ---- */

static const char *const points[] = {"connect", "data", "drain", "end", "finish", "release"};
static rondo_stream *others[2];

static void close_both(void) {
    for (int i = 0; i < 2; i++)
        if (others[i]) rondo_close(others[i]);
}
static void close_here(rondo_stream *stream, void *arg) { close_both(); }
static void close_at(rondo_stream *stream, rondo_slice chunk, void *arg) { close_both(); }
static void close_on_release(void *data, size_t len, int status, void *arg) { close_both(); }
static void forget(rondo_handle *handle, void *arg) {
    note("close");
    *(rondo_stream **)arg = NULL;
}

static void close_in(int point, bool unknown) {
    rondo_loop *loop = rondo_loop_new();
    disk_file from = new_disk_file(400000), to = new_disk_file(0);
    rondo_stream *in = open_reader(loop, from.path, 0, -1);
    rondo_stream *out = open_writer(loop, to.path, 0);
    faults_clear();
    if (unknown) cache_unknown();
    others[0] = in;
    others[1] = out;
    for (int i = 0; i < 2; i++) {
        CHECK_INT(rondo_on_close(others[i], forget, &others[i]), 0);
        if (point == 0) rondo_stream_on_connect(others[i], close_here, NULL);
    }
    if (point == 1) rondo_stream_on_data(in, close_at, NULL);
    if (point == 2) rondo_stream_on_drain(out, close_here, NULL);
    if (point == 3) rondo_stream_on_end(in, close_here, NULL);
    if (point == 4) rondo_stream_on_finish(out, close_here, NULL);
    char *bytes = new_bytes(300000);
    rondo_write_lent(out, rondo_slice_of(bytes, 300000), point == 5 ? close_on_release : NULL,
                     NULL);
    CHECK_INT(rondo_write(out, rondo_slice_of(bytes, 100)), 0);
    if (point >= 3) CHECK_INT(rondo_pipe(in, out), 0);
    run_all(loop);
    if (strcmp(trace, "close close") != 0) FAIL("at %s: %s", points[point], trace);
    trace_size = 0;
    free(bytes);
    rondo_loop_free(loop);
    remove_file(&from);
    remove_file(&to);
}

TEST(closing_in_every_callback) {
    for (int point = 0; point < 6; point++) {
        close_in(point, false);
        close_in(point, true);
    }
}

TEST(closing_at_every_turn) {
    for (int turns = 0; turns < 30; turns++) {
        rondo_loop *loop = rondo_loop_new();
        disk_file from = new_disk_file(400000), to = new_disk_file(0);
        if (turns % 2) cache_unknown();
        rondo_stream *in = open_reader(loop, from.path, 0, -1);
        rondo_stream *out = open_writer(loop, to.path, 0);
        CHECK_INT(rondo_pipe(in, out), 0);
        CHECK_INT(rondo_on_close(in, note_closed, NULL), 0);
        CHECK_INT(rondo_on_close(out, note_closed, NULL), 0);
        run_turns(loop, turns);
        rondo_loop_close_all(loop);
        CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
        CHECK_TRACE("close close");
        rondo_loop_free(loop);
        size_t size;
        char *bytes = contents(&to, &size);
        check_bytes(bytes, size, size); /* what was written is right */
        free(bytes);
        remove_file(&from);
        remove_file(&to);
        faults_clear();
    }
}

TEST(what_is_lent_comes_back_at_once_though_a_worker_is_at_it) {
    rondo_loop *loop = rondo_loop_new();
    int ends[2];
    char *bytes = new_bytes(100000);
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    rondo_stream *stream = take_writer(loop, ends[1], -1);
    hear_all(stream, NULL);
    faults_watch();
    rondo_write_lent(stream, rondo_slice_of(bytes, 100000), note_release, "it");
    while (faults_count(CALL_poll) < 20) run_turns(loop, 1); /* the pipe is full */
    rondo_close(stream);
    run_all(loop);
    CHECK_TRACE("it:ECANCELED close");
    memset(bytes, 0, 100000);
    free(bytes);
    rondo_loop_free(loop);
    close(ends[0]);
}

/* ---- memory ---- */

static int scenario(rondo_loop *loop, const disk_file *from, const disk_file *to) {
    rondo_stream *in = NULL, *out = NULL;
    int fd = open(from->path, O_RDONLY | O_CLOEXEC);
    int status = rondo_file_reader_take(loop, fd, 0, -1, &in);
    if (status < 0) {
        CHECK(fd_is_open(fd)); /* still the caller's */
        close(fd);
        return status;
    }
    rondo_stream_on_error(in, note_error, NULL);
    status = rondo_file_writer_open(loop, to->path, RONDO_WRITER_TRUNCATE, 0, &out);
    if (status < 0) return status;
    rondo_stream_on_error(out, note_error, NULL);
    rondo_stream_on_finish(out, note_finish, NULL);
    status = rondo_pipe(in, out);
    return status < 0 ? status : rondo_loop_run(loop, RONDO_RUN_ALL);
}

TEST(memory_that_runs_out_at_every_point) {
    disk_file from = new_disk_file(100000), to = new_disk_file(0);
    int way = 0;
    long n = 0;
    for (;; n++) {
        rondo_loop *loop = rondo_loop_new();
        faults_clear();
        if (way == 1) cache_unknown();
        harness_fail_alloc_after(n);
        int status = scenario(loop, &from, &to);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        bool done = status == 0 && strcmp(trace, "finish") == 0;
        if (!failed) CHECK(done);
        if (failed && !done) CHECK(status == RONDO_ENOMEM || strstr(trace, "ENOMEM") != NULL);
        trace_size = 0;
        trace[0] = '\0';
        end_loop(loop);
        if (done) check_contents(&to, 100000);
        if (!failed && ++way == 2) break;
        if (!failed) n = -1;
    }
    CHECK(n >= 8);
    remove_file(&from);
    remove_file(&to);
}
