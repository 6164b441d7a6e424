/* SPDX-License-Identifier: MIT
 *
 * The standard streams, on everything that a shell may put there: what is read and written, what is
 * left behind for others, and that nothing that was written is lost.
 */
#include "child.h"
#include "faults.h"
#include "gate.h"

#include <rondo/tick.h>
#include <sys/stat.h>

enum { MANY = 300000 };

/* A file without a name, holding the first `size` bytes of byte_at(). */
static int new_file(size_t size) {
    FILE *file = tmpfile();
    char *bytes = new_bytes(size);
    CHECK(file != NULL && fwrite(bytes, 1, size, file) == size && fflush(file) == 0);
    int fd = dup(fileno(file));
    fclose(file);
    free(bytes);
    CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void new_pipe(int ends[2]) { CHECK_INT(pipe(ends), 0); }

static void new_sockets(int ends[2]) { CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0); }

static bool blocks(int fd) { return !(fcntl(fd, F_GETFL) & O_NONBLOCK); }

/* ---- reading ---- */

/* Child: reads standard input to its end and checks how much it was. */
static void read_input(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    received got = {0};
    rondo_stream *in = open_standard(loop, 0);
    note_events(in);
    rondo_stream_on_data(in, receive_data, &got);
    CHECK(rondo_is_active(in));
    CHECK(blocks(0));
    run_all(loop);
    check_bytes(got.data, got.len, *(size_t *)arg);
    CHECK_TRACE("end close");
    free(got.data);
    rondo_loop_free(loop);
    CHECK(fcntl(0, F_GETFD) == 0); /* still there, and for children too */
}

static void check_input(int fd, size_t size) {
    CHECK_INT(wait_for(start_child(read_input, &size, fd, -1, 2)), 0);
}

static void *write_bytes(void *arg) {
    char *bytes = new_bytes(MANY);
    harness_send_all(*(int *)arg, bytes, MANY);
    close(*(int *)arg);
    free(bytes);
    return NULL;
}

/* Two of the kinds come from another process that is still writing. */
static void check_input_from(int ends[2]) {
    size_t size = MANY;
    pid_t pid = start_child(read_input, &size, ends[0], -1, 2);
    pthread_t writer = harness_thread(write_bytes, &ends[1]);
    CHECK_INT(wait_for(pid), 0);
    pthread_join(writer, NULL);
}

TEST(input_from_a_file) {
    check_input(new_file(MANY), MANY);
    check_input(new_file(0), 0);
}
TEST(input_from_dev_null) { check_input(open("/dev/null", O_RDONLY), 0); }
TEST(input_from_a_socket) {
    int ends[2];
    new_sockets(ends);
    check_input_from(ends);
}
static void *write_pipe(void *arg) {
    char *bytes = new_bytes(MANY);
    for (size_t at = 0; at < MANY;) {
        ssize_t count = write(*(int *)arg, bytes + at, MANY - at);
        CHECK(count > 0);
        at += (size_t)count;
    }
    close(*(int *)arg);
    free(bytes);
    return NULL;
}
TEST(input_from_a_pipe) {
    int ends[2];
    size_t size = MANY;
    new_pipe(ends);
    pid_t pid = start_child(read_input, &size, ends[0], -1, 2);
    pthread_t writer = harness_thread(write_pipe, &ends[1]);
    CHECK_INT(wait_for(pid), 0);
    pthread_join(writer, NULL);
}
TEST(input_from_a_pipe_whose_writer_has_gone) {
    int ends[2];
    size_t size = 5;
    new_pipe(ends);
    char *bytes = new_bytes(5);
    CHECK_INT(write(ends[1], bytes, 5), 5);
    close(ends[1]);
    free(bytes);
    CHECK_INT(wait_for(start_child(read_input, &size, ends[0], -1, 2)), 0);
}

/* The offset of a file is shared with whoever has it too, as in `(head -1; program) < file`. */
static void read_rest(void *arg) {
    char text[3];
    rondo_loop *loop = rondo_loop_new();
    received got = {0};
    CHECK_INT(read(0, text, 3), 3);
    rondo_stream_on_data(open_standard(loop, 0), receive_data, &got);
    run_all(loop);
    CHECK_INT(got.len, 97);
    CHECK(got.data[0] == byte_at(3));
    free(got.data);
    rondo_loop_free(loop);
    CHECK_INT(lseek(0, 0, SEEK_CUR), 100);
}
TEST(the_place_in_a_file_is_shared) {
    CHECK_INT(wait_for(start_child(read_rest, NULL, new_file(100), -1, 2)), 0);
}

static void read_directory(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *in = open_standard(loop, 0);
    note_events(in);
    rondo_stream_on_data(in, note_data, NULL);
    run_all(loop);
    CHECK_TRACE("EISDIR close");
    rondo_loop_free(loop);
}
TEST(a_directory_is_an_error_when_it_is_read) {
    CHECK_INT(wait_for(start_child(read_directory, NULL, open("/", O_RDONLY), -1, 2)), 0);
}

/* What is always ready must not make the loop spin while nobody reads it. */
static void pause_input(void *arg) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *in = open_standard(loop, 0);
    check_idle(loop);
    rondo_stream_on_data(in, ignore_data, NULL);
    run_turns(loop, 2);
    rondo_pause(in);
    check_idle(loop);
    rondo_stream_figures figures;
    rondo_stream_get_figures(in, &figures);
    CHECK_INT(figures.bytes_in, 2 * 262144); /* one budget each turn */
    rondo_resume(in);
    run_turns(loop, 1);
    rondo_stream_get_figures(in, &figures);
    CHECK_INT(figures.bytes_in, 3 * 262144);
    end_loop(loop);
}
TEST(an_endless_input_gives_others_their_turn) {
    CHECK_INT(wait_for(start_child(pause_input, NULL, open("/dev/zero", O_RDONLY), -1, 2)), 0);
    int sparse = new_file(0);
    CHECK_INT(ftruncate(sparse, 1 << 24), 0);
    CHECK_INT(wait_for(start_child(pause_input, NULL, sparse, -1, 2)), 0);
}

/* ---- writing ---- */

typedef struct job {
    size_t size;
    bool exits; /* in a callback, with all of it queued; else returns from main */
    bool ends;  /* rondo_end() and wait for `finish` instead */
    bool closes;
    int number;
} job;

static rondo_stream *watched;
static void write_and_exit(rondo_loop *loop, void *arg) {
    const job *it = arg;
    char *bytes = new_bytes(it->size);
    CHECK(rondo_write(watched, rondo_slice_of(bytes, it->size)) >= 0);
    free(bytes);
    exit(0);
}

/* Child: writes to a standard stream in one of four ways. */
static void write_output(void *arg) {
    const job *it = arg;
    int number = it->number ? it->number : 1;
    rondo_loop *loop = rondo_loop_new();
    watched = open_standard(loop, number);
    CHECK(blocks(number));
    CHECK(!rondo_is_active(watched));
    if (it->exits) {
        rondo_next_tick(loop, write_and_exit, arg);
        rondo_loop_run(loop, RONDO_RUN_ALL);
        FAIL("it did not exit");
    }
    char *bytes = new_bytes(it->size);
    CHECK(rondo_write(watched, rondo_slice_of(bytes, it->size)) >= 0);
    free(bytes);
    if (it->ends) {
        note_events(watched);
        rondo_end(watched);
        run_all(loop);
        CHECK_TRACE(it->size > 65536 ? "drain finish close" : "finish close");
    } else if (it->closes) {
        rondo_close(watched);
        CHECK_INT(queued(watched), 0);
        run_all(loop);
    } else {
        return;
    }
    rondo_loop_free(loop);
    CHECK(fcntl(number, F_GETFD) == 0);
    CHECK(blocks(number));
}

static void check_output_to(int ends[2], job it) {
    reader far;
    pid_t pid = it.number == 2 ? start_child(write_output, &it, -1, 1, ends[1])
                               : start_child(write_output, &it, -1, ends[1], 2);
    start_reader(&far, ends[0], 4096);
    CHECK_INT(wait_for(pid), 0);
    check_reader(&far, it.size);
}

static void check_output(job it) {
    int ends[2];
    new_pipe(ends);
    check_output_to(ends, it);
    new_sockets(ends);
    check_output_to(ends, it);
}

enum { BIG = 1 << 20 };
TEST(what_is_queued_at_exit_in_a_callback_arrives) {
    check_output((job){.size = BIG, .exits = true});
    check_output((job){.size = 5, .exits = true, .number = 2});
}
TEST(what_is_queued_at_the_end_of_main_arrives) {
    check_output((job){.size = BIG});
    check_output((job){.size = BIG, .number = 2});
}
TEST(what_is_queued_when_the_stream_closes_arrives) {
    check_output((job){.size = BIG, .closes = true});
}
TEST(what_is_written_before_end_arrives) {
    check_output((job){.size = BIG, .ends = true});
    check_output((job){.size = 5, .ends = true});
}

static void check_file_output(job it) {
    char *got = malloc(it.size + 1);
    int fd = new_file(0), copy = dup(fd);
    CHECK_INT(wait_for(start_child(write_output, &it, -1, fd, 2)), 0);
    CHECK_INT(pread(copy, got, it.size + 1, 0), it.size);
    check_bytes(got, it.size, it.size);
    close(copy);
    free(got);
}
TEST(output_to_a_file) {
    check_file_output((job){.size = 3 * BIG, .exits = true});
    check_file_output((job){.size = 3 * BIG, .closes = true});
    check_file_output((job){.size = 3 * BIG, .ends = true});
}

/* Child: leaves in one of three ways while a worker is at it, or can't get to it. */
typedef struct hurry {
    int turns; /* -1: no worker ever comes */
    int way;
    bool file; /* a file is in the queue */
} hurry;

static void leave_in_a_hurry(void *arg) {
    const hurry *it = arg;
    rondo_loop *loop = rondo_loop_new();
    static gate door; /* the worker stands at it when the process ends */
    watched = open_standard(loop, 1);
    if (it->turns < 0) {
        gate_init(&door);
        CHECK_INT(rondo_lane_resize(rondo_lane_fs(loop), 1, 100), 0);
        submit_standing(loop, rondo_lane_fs(loop), &door);
        gate_wait_entered(&door, 1);
    }
    char *bytes = new_bytes(MANY + 5);
    if (it->file)
        CHECK_INT(rondo_write_file(watched, new_file(MANY), 0, MANY, true), 1);
    else
        CHECK_INT(rondo_write(watched, rondo_slice_of(bytes, MANY)), 0);
    run_turns(loop, it->turns < 0 ? 3 : it->turns);
    CHECK(rondo_write(watched, rondo_slice_of(bytes + MANY, 5)) >= 0);
    free(bytes);
    if (it->way == 0) exit(0);
    if (it->way == 1) return;
    rondo_close(watched);
    if (it->turns < 0) gate_open(&door, 1);
    run_all(loop);
    rondo_loop_free(loop);
}

TEST(output_to_a_file_is_complete_whatever_a_worker_is_at) {
    for (int turns = -1; turns < (harness_is_slow() ? 1 : 6); turns++) {
        for (int way = 0; way < 6; way++) {
            char *got = malloc(MANY + 6);
            int fd = new_file(0), copy = dup(fd);
            hurry it = {turns, way % 3, way >= 3};
            CHECK_INT(wait_for(start_child(leave_in_a_hurry, &it, -1, fd, 2)), 0);
            CHECK_INT(pread(copy, got, MANY + 6, 0), MANY + 5);
            check_bytes(got, MANY + 5, MANY + 5);
            close(copy);
            free(got);
        }
    }
}

static void stop_after(rondo_stream *stream, rondo_slice chunk, void *arg) {
    CHECK_INT(chunk.len, 1000);
    rondo_pause(stream);
    rondo_loop_stop(rondo_handle_loop(stream));
}
static void read_a_little(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    faults_every(CALL_preadv2, 1, EOPNOTSUPP); /* then a worker reads ahead */
    rondo_stream *in = open_standard(loop, 0);
    CHECK_INT(rondo_stream_set_read_high_water(in, 1000), 0);
    CHECK_INT(rondo_stream_on_data(in, stop_after, NULL), 0);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 1);
    if (arg) return;
    rondo_close(in);
    run_all(loop);
    rondo_loop_free(loop);
}
TEST(what_was_read_ahead_is_left_to_others) {
    for (int i = 0; i < (harness_is_slow() ? 4 : 20); i++) {
        int fd = new_file(MANY), copy = dup(fd);
        CHECK_INT(wait_for(start_child(read_a_little, i % 2 ? &fd : NULL, fd, -1, 2)), 0);
        CHECK_INT(lseek(copy, 0, SEEK_CUR), 1000);
        close(copy);
    }
}

static void append_line(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *out = open_standard(loop, 1);
    for (int i = 0; i < 100; i++) {
        write_text(out, arg);
        rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    }
    end_loop(loop);
}
TEST(output_in_append_mode_loses_nothing_of_others) {
    char name[] = "/tmp/rondo-append-XXXXXX", got[401] = "";
    int a = mkstemp(name), fd = open(name, O_RDONLY);
    close(a);
    pid_t one = start_child(append_line, "a\n", -1, open(name, O_WRONLY | O_APPEND), 2);
    pid_t two = start_child(append_line, "b\n", -1, open(name, O_WRONLY | O_APPEND), 2);
    CHECK_INT(wait_for(one) + wait_for(two), 0);
    CHECK_INT(read(fd, got, sizeof got), 400);
    int lines[256] = {0};
    for (int i = 0; i < 400; i += 2) lines[(unsigned char)got[i]]++;
    CHECK(lines['a'] == 100 && lines['b'] == 100);
    close(fd);
    unlink(name);
}

/* Child: cat. */
static void copy_through(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *in = open_standard(loop, 0), *out = open_standard(loop, 1);
    note_events(out);
    CHECK_INT(rondo_pipe(in, out), 0);
    run_all(loop);
    rondo_loop_free(loop);
}
TEST(input_can_be_piped_into_output) {
    int ends[2];
    reader far;
    new_pipe(ends);
    pid_t pid = start_child(copy_through, NULL, new_file(MANY), ends[1], 2);
    start_reader(&far, ends[0], 1000);
    CHECK_INT(wait_for(pid), 0);
    check_reader(&far, MANY);
}

/* Child: a file in the queue. */
static void send_file(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *out = open_standard(loop, 1);
    CHECK(rondo_write_file(out, new_file(MANY), 0, MANY, true) >= 0);
    if (*(bool *)arg) end_loop(loop);
}
static void check_sent_file(int ends[2], bool closes) {
    reader far;
    pid_t pid = start_child(send_file, &closes, -1, ends[1], 2);
    start_reader(&far, ends[0], 1000);
    CHECK_INT(wait_for(pid), 0);
    check_reader(&far, MANY);
}
TEST(files_in_the_queue_arrive_too) {
    for (int closes = 0; closes < 2; closes++) {
        int ends[2], file = new_file(0), copy = dup(file);
        bool closing = closes;
        new_pipe(ends);
        check_sent_file(ends, closing);
        new_sockets(ends);
        check_sent_file(ends, closing);
        CHECK_INT(fcntl(file, F_SETFL, O_APPEND), 0); /* sendfile refuses such */
        CHECK_INT(wait_for(start_child(send_file, &closing, -1, file, 2)), 0);
        char *got = malloc(MANY + 1);
        CHECK_INT(pread(copy, got, MANY + 1, 0), MANY);
        check_bytes(got, MANY, MANY);
        free(got);
        close(copy);
    }
}

static void lend_and_close(void *arg) {
    static char bytes[200000];
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *out = open_standard(loop, 1);
    rondo_write_lent(out, rondo_slice_of(bytes, sizeof bytes), note_release, "lent");
    rondo_on_close(out, note_closed, NULL);
    rondo_close(out);
    run_all(loop);
    CHECK_TRACE("lent:OK close");
    rondo_loop_free(loop);
}
TEST(lent_memory_comes_back_as_written) {
    int ends[2];
    reader far;
    new_pipe(ends);
    pid_t pid = start_child(lend_and_close, NULL, -1, ends[1], 2);
    start_reader(&far, ends[0], 0);
    CHECK_INT(wait_for(pid), 0);
    pthread_join(far.thread, NULL);
    CHECK_INT(far.len, 200000);
    free(far.data);
    close(ends[0]);
}

/* ---- when nobody reads, or nothing more fits ---- */

static void write_until_error(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *out = open_standard(loop, 1);
    note_events(out);
    write_text(out, "first");
    run_all(loop);
    CHECK_TRACE(arg);
    rondo_loop_free(loop);
}
TEST(a_reader_that_has_gone_is_an_error_not_a_signal) {
    int ends[2];
    new_pipe(ends);
    close(ends[0]);
    CHECK_INT(wait_for(start_child(write_until_error, "EPIPE close", -1, ends[1], 2)), 0);
    new_sockets(ends);
    close(ends[0]);
    CHECK_INT(wait_for(start_child(write_until_error, "EPIPE close", -1, ends[1], 2)), 0);
}
TEST(a_full_disk_is_an_error) {
    int full = open("/dev/full", O_WRONLY);
    CHECK_INT(wait_for(start_child(write_until_error, "ENOSPC close", -1, full, 2)), 0);
}

static void exit_with_queue(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *out = open_standard(loop, 1);
    char *bytes = new_bytes(BIG);
    rondo_write(out, rondo_slice_of(bytes, BIG));
    free(bytes);
    exit(7);
}
TEST(at_exit_a_reader_that_goes_ends_the_waiting) {
    int ends[2];
    char byte;
    new_pipe(ends);
    pid_t pid = start_child(exit_with_queue, NULL, -1, ends[1], 2);
    CHECK_INT(read(ends[0], &byte, 1), 1); /* it is waiting now, or about to */
    close(ends[0]);
    CHECK_INT(wait_for(pid), 7); /* and is not killed by SIGPIPE */
    CHECK_INT(wait_for(start_child(exit_with_queue, NULL, -1, open("/dev/full", O_WRONLY), 2)), 7);
}

static void destroy_with_queue(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *out = open_standard(loop, 1);
    char *bytes = new_bytes(BIG);
    note_events(out);
    rondo_write(out, rondo_slice_of(bytes, BIG));
    free(bytes);
    rondo_destroy(out, RONDO_ECANCELED);
    run_all(loop);
    CHECK_TRACE("ECANCELED close");
    rondo_loop_free(loop);
}
TEST(destroy_does_not_wait) {
    int ends[2];
    new_pipe(ends);
    CHECK_INT(wait_for(start_child(destroy_with_queue, NULL, -1, ends[1], 2)), 0);
    close(ends[0]);
}

/* ---- who does not hand over ---- */

static void fork_with_queue(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *out = open_standard(loop, 1);
    write_text(out, "once");
    pid_t pid = fork();
    if (pid == 0) exit(0);
    CHECK_INT(wait_for(pid), 0);
    pid = fork();
    if (pid == 0) { /* nor does one that closes what it inherited, or opens its own */
        rondo_loop *own = rondo_loop_new();
        write_text(open_standard(own, 1), "own ");
        rondo_close(out);
        exit(0);
    }
    CHECK_INT(wait_for(pid), 0);
}
TEST(a_child_of_fork_does_not_write_it_again) {
    int ends[2];
    char got[20] = "";
    new_pipe(ends);
    CHECK_INT(wait_for(start_child(fork_with_queue, NULL, -1, ends[1], 2)), 0);
    CHECK_INT(read(ends[0], got, sizeof got), 8);
    CHECK_STR(got, "own once");
    close(ends[0]);
}

static void *exit_elsewhere(void *arg) { exit(3); }
static void let_exit(rondo_loop *loop, void *arg) {
    write_text(arg, "lost");
    pthread_join(harness_thread(exit_elsewhere, NULL), NULL);
}
static void exit_in_a_thread(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    rondo_next_tick(loop, let_exit, open_standard(loop, 1));
    rondo_loop_run(loop, RONDO_RUN_ALL);
}
TEST(exit_in_another_thread_leaves_the_queue_alone) {
    int ends[2];
    char got[8];
    new_pipe(ends);
    CHECK_INT(wait_for(start_child(exit_in_a_thread, NULL, -1, ends[1], 2)), 3);
    CHECK_INT(read(ends[0], got, sizeof got), 0);
    close(ends[0]);
}

static void mix_with_stdio(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    printf("printed first ");
    write_text(open_standard(loop, 1), "written second ");
}
TEST(what_stdio_has_buffered_comes_behind_it) {
    int ends[2];
    char got[40] = "";
    new_pipe(ends);
    CHECK_INT(wait_for(start_child(mix_with_stdio, NULL, -1, ends[1], 2)), 0);
    for (ssize_t at = 0, count; (count = read(ends[0], got + at, 39 - (size_t)at)) > 0;)
        at += count;
    CHECK_STR(got, "written second printed first ");
    close(ends[0]);
}

/* ---- the life of the loop ---- */

static void write_when_told(rondo_timer *timer, void *arg) { write_text(arg, "tick"); }
static void live_by_queue(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *out = open_standard(loop, 1);
    rondo_stream_on_drain(out, note_drain, NULL);
    run_all(loop); /* returns at once */
    rondo_timer *timer = start_timer(loop, 0, write_when_told, out);
    run_all(loop); /* and after the timer */
    rondo_close(timer);
    char *bytes = new_bytes(BIG);
    CHECK_INT(rondo_write(out, rondo_slice_of(bytes, BIG)), 0);
    free(bytes);
    CHECK(rondo_is_active(out));
    run_all(loop); /* until all is written */
    CHECK_TRACE("drain");
    CHECK(!rondo_is_active(out));
    CHECK_INT(queued(out), 0);
    end_loop(loop);
}
TEST(output_keeps_the_loop_alive_while_something_is_queued) {
    int ends[2];
    reader far;
    new_pipe(ends);
    pid_t pid = start_child(live_by_queue, NULL, -1, ends[1], 2);
    start_reader(&far, ends[0], 4096);
    CHECK_INT(wait_for(pid), 0);
    pthread_join(far.thread, NULL);
    CHECK_INT(far.len, BIG + 4);
    free(far.data);
    close(ends[0]);
}

/* ---- opening ---- */

static int open_number(rondo_loop *loop, int number) {
    rondo_stream *stream = NULL;
    int status = rondo_stdio_open(loop, number, &stream);
    CHECK((stream != NULL) == (status == 0));
    return status;
}

static void open_them(void *arg) {
    rondo_loop *loop = rondo_loop_new(), *other = rondo_loop_new();
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), packets = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_INT(open_number(loop, -1), RONDO_EINVAL);
    CHECK_INT(open_number(loop, 3), RONDO_EINVAL);
    CHECK_INT(open_number(loop, 0), RONDO_EBADF); /* only for writing */
    rondo_stream *out = open_standard(loop, 1);
    CHECK_INT(open_number(loop, 1), RONDO_EEXIST);
    CHECK_INT(open_number(other, 1), RONDO_EEXIST);
    rondo_close(out);
    CHECK_INT(open_number(other, 1), 0);
    struct sockaddr any = {.sa_family = AF_UNIX};
    CHECK_INT(bind(listener, &any, sizeof any.sa_family), 0);
    CHECK_INT(listen(listener, 1), 0);
    dup2(listener, 0);
    CHECK_INT(open_number(loop, 0), RONDO_ENOTSUP);
    dup2(packets, 0);
    CHECK_INT(open_number(loop, 0), RONDO_ENOTSUP);
    dup2(socket(AF_INET, SOCK_STREAM, 0), 0);
    CHECK_INT(open_number(loop, 0), RONDO_ENOTCONN);
    end_loop(other);
    end_loop(loop);
}
TEST(what_can_not_be_opened_is_an_error) {
    int null = open("/dev/null", O_WRONLY);
    CHECK_INT(wait_for(start_child(open_them, NULL, null, null, 2)), 0);
}

/* With 0 and 1 closed, the loop's own descriptors get these numbers. */
static void open_closed(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    struct stat about;
    CHECK(fstat(0, &about) == 0 && fstat(1, &about) == 0);
    CHECK_INT(open_number(loop, 0), RONDO_EBADF);
    CHECK_INT(open_number(loop, 1), RONDO_EBADF);
    rondo_loop_free(loop);
    CHECK_INT(rondo_stdio_reserve(), 0);
    loop = rondo_loop_new();
    CHECK_INT(open_number(loop, 0), RONDO_EBADF);
    CHECK_INT(open_number(loop, 1), RONDO_EBADF);
    CHECK_INT(open_number(loop, 2), 0);
    CHECK_INT(read(0, &about, 1), -1);
    CHECK_INT(write(1, "", 1), -1);
    end_loop(loop);
}
TEST(closed_descriptors_are_no_streams) {
    CHECK_INT(wait_for(start_child(open_closed, NULL, -1, -1, 2)), 0);
}

static void reserve_nothing(void *arg) {
    struct stat before, after;
    CHECK_INT(fstat(1, &before), 0);
    CHECK_INT(rondo_stdio_reserve(), 0);
    CHECK_INT(fstat(1, &after), 0);
    CHECK_INT(before.st_ino, after.st_ino);
    CHECK_INT(fcntl(3, F_GETFD), -1);
    close(1);
    faults_fail(CALL_open, 1, EMFILE);
    CHECK_INT(rondo_stdio_reserve(), RONDO_EMFILE);
}
TEST(reserving_leaves_alone_what_is_open) {
    int ends[2];
    new_pipe(ends);
    CHECK_INT(wait_for(start_child(reserve_nothing, NULL, ends[0], ends[1], 2)), 0);
}

/* `2>&1`: one thing under two numbers, and two streams. */
static void write_both(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *out = open_standard(loop, 1), *err = open_standard(loop, 2);
    write_text(out, "one ");
    write_text(err, "two");
    run_all(loop);
    rondo_close(out);
    write_text(err, " three");
    end_loop(loop);
    CHECK(blocks(1) && blocks(2));
}
TEST(two_numbers_for_one_thing) {
    for (int borrowed = 0; borrowed < 2; borrowed++) {
        int ends[2];
        char got[20] = "";
        new_pipe(ends);
        if (borrowed) faults_every(CALL_open, 1, EACCES);
        CHECK_INT(wait_for(start_child(write_both, NULL, -1, ends[1], ends[1])), 0);
        CHECK_INT(read(ends[0], got, sizeof got), 13);
        CHECK_STR(got, "one two three");
        close(ends[0]);
    }
}

/* ---- where O_NONBLOCK has to be borrowed ---- */

/* Child: 0 and 1 are the ends of one FIFO or of a pipe that can't be opened anew. */
static void borrow(void *arg) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *in = open_standard(loop, 0), *out = open_standard(loop, 1);
    CHECK(!blocks(0) && !blocks(1));
    rondo_stream_on_data(in, note_data, NULL);
    write_text(out, "round");
    run_turns(loop, 3);
    CHECK_TRACE("round");
    rondo_close(in);
    CHECK(!blocks(0)); /* it may be what the other stream is on */
    in = open_standard(loop, 0);
    rondo_close(out);
    CHECK(!blocks(0) && !blocks(1));
    rondo_close(in);
    CHECK(blocks(0) && blocks(1));
    rondo_loop_run(loop, RONDO_RUN_ALL);
    open_standard(loop, 0);
    CHECK(!blocks(0) && blocks(1));
    if (arg) raise(*(int *)arg);
}
static void check_borrowed(int in, int out) {
    int copy = dup(in);
    CHECK_INT(wait_for(start_child(borrow, NULL, in, out, 2)), 0);
    CHECK(blocks(copy)); /* at exit */
    close(copy);
}
TEST(what_can_not_be_opened_anew_is_borrowed) {
    int ends[2];
    new_pipe(ends);
    faults_every(CALL_open, 1, EACCES);
    check_borrowed(ends[0], ends[1]);
    faults_clear();
    char name[] = "/tmp/rondo-fifo-XXXXXX";
    close(mkstemp(name));
    unlink(name);
    CHECK_INT(mkfifo(name, 0600), 0);
    int in = open(name, O_RDONLY | O_NONBLOCK), out = open(name, O_WRONLY);
    CHECK_INT(fcntl(in, F_SETFL, 0), 0);
    unlink(name);
    check_borrowed(in, out);
}
TEST(what_is_borrowed_is_given_back_on_a_signal) {
    int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    faults_every(CALL_open, 1, EACCES);
    for (int i = 0; i < 4; i++) {
        int ends[2];
        new_pipe(ends);
        int copy = dup(ends[0]);
        CHECK_INT(wait_for(start_child(borrow, &signals[i], ends[0], ends[1], 2)), -signals[i]);
        CHECK(blocks(copy));
        close(copy);
    }
}

/* A FIFO whose writer has gone says so only to those who had it open before. */
TEST(input_from_a_fifo_whose_writer_has_gone) {
    char name[] = "/tmp/rondo-fifo-XXXXXX";
    size_t size = 5;
    close(mkstemp(name));
    unlink(name);
    CHECK_INT(mkfifo(name, 0600), 0);
    int in = open(name, O_RDONLY | O_NONBLOCK), out = open(name, O_WRONLY);
    CHECK_INT(fcntl(in, F_SETFL, 0), 0);
    unlink(name);
    char *bytes = new_bytes(size);
    CHECK_INT(write(out, bytes, size), size);
    close(out);
    free(bytes);
    rondo_loop *loop = rondo_loop_new();
    int saved = dup(0);
    received got = {0};
    dup2(in, 0);
    close(in);
    rondo_stream *stream = open_standard(loop, 0);
    rondo_stream_on_data(stream, receive_data, &got);
    run_all(loop);
    check_bytes(got.data, got.len, size);
    free(got.data);
    rondo_loop_free(loop);
    dup2(saved, 0);
    close(saved);
}

/* ---- failures half way ---- */

static int saved_fds[3];
static void swap_standard(int in, int out) {
    saved_fds[0] = dup(0);
    saved_fds[1] = dup(1);
    fflush(NULL);
    dup2(in, 0);
    dup2(out, 1);
}
static void swap_back(void) {
    for (int i = 0; i < 2; i++) {
        dup2(saved_fds[i], i);
        close(saved_fds[i]);
    }
}

static bool by_close, hopeless; /* what is written leaves when it closes; or may be lost */
static rondo_stream *in_use;    /* NULL once it has closed */
static void forget_it(rondo_handle *handle, void *arg) { in_use = NULL; }

static void open_and_use(void) {
    int ends[2];
    char got[8] = "";
    rondo_stream *in = NULL, *out = NULL;
    rondo_loop *loop = new_virtual_loop();
    trace[trace_size = 0] = 0;
    new_pipe(ends);
    swap_standard(ends[0], ends[1]);
    close(ends[0]);
    close(ends[1]);
    FAULTS_BEGIN();
    int opened = rondo_stdio_open(loop, 1, &out);
    if (opened == 0) opened = rondo_stdio_open(loop, 0, &in);
    if (out) {
        in_use = out;
        rondo_stream_on_error(out, note_error, NULL);
        rondo_on_close(out, forget_it, NULL);
        write_text(out, "through");
        if (!by_close) run_turns(loop, 3);
        rondo_close(in_use);
    }
    FAULTS_END();
    CHECK(opened == 0 || faults_struck() > 0);
    CHECK((in == NULL) == (opened < 0));
    if (out && !(hopeless && faults_struck() > 0)) {
        CHECK_TRACE("");
        CHECK_INT(read(0, got, sizeof got - 1), 7);
        CHECK_STR(got, "through");
    }
    end_loop(loop);
    CHECK(blocks(0) && blocks(1));
    swap_back();
}
TEST(any_call_may_fail) {
    faults_calls setup = CALL_fcntl | CALL_fstat | CALL_fstatfs | CALL_open | CALL_sigaction;
    FAULT_SWEEP(open_and_use, setup, EMFILE);
    FAULT_SWEEP(open_and_use, CALL_open | CALL_fstatfs, EINTR);
    for (int i = 0; i < 2; i++) {
        by_close = i;
        hopeless = false;
        FAULT_SWEEP(open_and_use, CALL_writev, EINTR);
        FAULT_SWEEP(open_and_use, CALL_writev, EAGAIN);
        FAULT_SWEEP_SHORT(open_and_use, CALL_writev, 1);
        hopeless = true;
        FAULT_SWEEP(open_and_use, CALL_writev, EIO);
    }
}

TEST(memory_may_run_out) {
    int ends[2], failures = 0, borrowed = 0;
    new_pipe(ends);
    swap_standard(ends[0], ends[1]);
    close(ends[0]);
    close(ends[1]);
    for (; borrowed < 2; borrowed++) {
        if (borrowed) faults_every(CALL_open, 1, EACCES);
        for (long n = 0;; n++) {
            rondo_stream *in = NULL;
            rondo_loop *loop = rondo_loop_new();
            harness_fail_alloc_after(n);
            int status = rondo_stdio_open(loop, 0, &in);
            bool failed = harness_alloc_failed();
            harness_fail_alloc_after(-1);
            CHECK_INT(status, failed ? RONDO_ENOMEM : 0);
            CHECK((in == NULL) == failed);
            end_loop(loop);
            CHECK(blocks(0));
            if (!failed) break;
            failures++;
        }
    }
    CHECK(failures >= 6);
    swap_back();
}
