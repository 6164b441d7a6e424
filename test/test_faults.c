/* SPDX-License-Identifier: MIT
 *
 * The fault layer itself: what each rule does to a call of the library, and what is counted.
 */
#define _GNU_SOURCE
#include "faults.h"
#include "streams.h"

#include "net/socket.h"

#include <signal.h>
#include <sys/mman.h>

/* The library's own, each one system call when nothing goes wrong. */
static int64_t lib_read(int fd, size_t size) {
    char buffer[100];
    return rondo__socket_read(fd, buffer, size);
}
static int64_t lib_send(int fd, size_t size) {
    static char bytes[1 << 20];
    struct iovec part = {bytes, size};
    return rondo__socket_write(fd, &part, 1, 0);
}
static int64_t lib_sendmsg(int fd, struct iovec *parts, int count) {
    return rondo__socket_write(fd, parts, count, 0);
}

static void new_ends(int ends[2]) {
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
}
static void close_ends(int ends[2]) {
    close(ends[0]);
    close(ends[1]);
}

TEST(nothing_happens_unless_asked_for) {
    int ends[2];
    new_ends(ends);
    CHECK_INT(lib_send(ends[0], 10), 10);
    CHECK_INT(lib_read(ends[1], 10), 10);
    CHECK_INT(faults_count(CALLS_ALL), 0);
    CHECK_STR(faults_log(CALLS_ALL), "");
    CHECK(faults_last(CALLS_ALL) == NULL);
    close_ends(ends);
}

TEST(calls_of_the_test_do_not_pass) {
    int ends[2];
    new_ends(ends);
    faults_every(CALLS_ALL, 1, EIO);
    CHECK_INT(send(ends[0], "x", 1, 0), 1);
    CHECK_INT(faults_count(CALLS_ALL), 0);
    close_ends(ends);
}

TEST(the_nth_call_fails_once) {
    int ends[2];
    new_ends(ends);
    faults_fail(CALL_send, 2, EAGAIN);
    CHECK_INT(lib_send(ends[0], 1), 1);
    CHECK_INT(lib_send(ends[0], 1), RONDO_EAGAIN);
    CHECK_INT(lib_send(ends[0], 1), 1);
    CHECK_INT(faults_struck(), 1);
    CHECK_INT(lib_read(ends[1], 100), 2); /* what failed has sent nothing */
    close_ends(ends);
}

TEST(each_period_th_call_fails) {
    int ends[2];
    new_ends(ends);
    faults_every(CALL_send, 3, ENOBUFS);
    for (int i = 1; i <= 9; i++) CHECK_INT(lib_send(ends[0], 1), i % 3 ? 1 : RONDO_ENOBUFS);
    faults_stop();
    for (int i = 1; i <= 3; i++) CHECK_INT(lib_send(ends[0], 1), 1);
    CHECK_INT(faults_struck(), 3);
    CHECK_INT(faults_count(CALL_send), 9); /* not those after the stop */
    close_ends(ends);
}

TEST(a_call_moves_a_part) {
    int ends[2];
    char a[] = "abc", b[] = "def", c[] = "ghi";
    struct iovec parts[] = {{a, 3}, {b, 3}, {c, 3}};
    new_ends(ends);
    faults_short(CALL_sendmsg, 2, 5);
    CHECK_INT(lib_sendmsg(ends[0], parts, 3), 9);
    CHECK_INT(lib_sendmsg(ends[0], parts, 3), 5);
    CHECK_INT(faults_last(CALL_sendmsg)->pieces, 3);
    CHECK_INT(lib_sendmsg(ends[0], parts, 3), 9);
    CHECK_STR(read_now(ends[1]), "abcdefghiabcdeabcdefghi");
    faults_clear();

    faults_limit(CALL_send | CALL_read, 4);
    CHECK_INT(lib_send(ends[0], 10), 4);
    CHECK_INT(lib_send(ends[0], 2), 2);
    CHECK_INT(faults_struck(), 1); /* the second one was not changed */
    CHECK_INT(lib_read(ends[1], 10), 4);
    CHECK_INT(lib_read(ends[1], 10), 2);
    faults_clear();

    faults_limit(CALL_send, 0);
    CHECK_INT(lib_send(ends[0], 10), 0);
    CHECK_INT(lib_read(ends[1], 10), RONDO_EAGAIN);
    close_ends(ends);
}

TEST(a_pretended_write_goes_nowhere) {
    int ends[2];
    new_ends(ends);
    faults_pretend(CALL_send, 1500);
    CHECK_INT(lib_send(ends[0], 1000), 1000);
    CHECK_INT(lib_send(ends[0], 1000), 500);
    CHECK_INT(lib_read(ends[1], 10), RONDO_EAGAIN);
    CHECK_INT(lib_send(ends[0], 3), 3);
    CHECK_INT(lib_read(ends[1], 10), 3);
    CHECK_INT(faults_bytes(CALL_send), 1503);
    close_ends(ends);
}

static void note_number(int signum) { note("signal"); }

TEST(a_signal_arrives_during_the_call) {
    int ends[2];
    new_ends(ends);
    signal(SIGUSR1, note_number);
    faults_signal(CALL_send, 2, SIGUSR1);
    lib_send(ends[0], 1);
    CHECK_TRACE("");
    CHECK_INT(lib_send(ends[0], 1), 1);
    CHECK_TRACE("signal");
    close_ends(ends);
}

TEST(a_rule_may_be_for_one_descriptor) {
    int ends[2];
    new_ends(ends);
    faults_on_fd(ends[0]);
    faults_every(CALL_send, 1, EAGAIN);
    CHECK_INT(lib_send(ends[1], 1), 1);
    CHECK_INT(lib_send(ends[0], 1), RONDO_EAGAIN);
    CHECK_INT(faults_count(CALL_send), 1);
    close_ends(ends);
}

TEST(a_reset_connection_stays_so) {
    int ends[2];
    const int ending[] = {ECONNRESET, EPIPE, ETIMEDOUT};
    for (int i = 0; i < 3; i++) {
        new_ends(ends);
        faults_fail(CALL_send, 1, ending[i]);
        CHECK_INT(lib_send(ends[0], 1), rondo_error_from_errno(ending[i]));
        CHECK_INT(lib_send(ends[0], 1), RONDO_EPIPE);
        CHECK_INT(lib_read(ends[0], 1), 0);
        CHECK_INT(lib_read(ends[1], 1), 0); /* the peer knows as well */
        CHECK_INT(faults_struck(), 1);
        faults_clear();
        close_ends(ends);
    }
}

TEST(a_broken_pipe_stays_so) {
    int ends[2];
    struct iovec part = {(char[]){'x'}, 1};
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    faults_fail(CALL_writev, 1, EPIPE);
    for (int i = 0; i < 3; i++)
        CHECK_INT(rondo__socket_write(ends[1], &part, 1, RONDO__SEND_PIPE), RONDO_EPIPE);
    CHECK_INT(faults_struck(), 1);
    rondo__socket_close(ends[1]); /* the number is another pipe's from here */
    int again[2];
    CHECK_INT(pipe2(again, O_CLOEXEC), 0);
    CHECK_INT(again[0], ends[1]);
    int other = dup(again[0]);
    CHECK_INT(dup2(again[1], ends[1]), ends[1]);
    CHECK_INT(rondo__socket_write(ends[1], &part, 1, RONDO__SEND_PIPE), 1);
    close(other);
    close(again[1]);
    close_ends(ends);
}

TEST(an_interrupted_close_has_closed) {
    int ends[2];
    new_ends(ends);
    faults_fail(CALL_close, 1, EINTR);
    rondo__socket_close(ends[0]);
    CHECK_INT(close(ends[0]), -1);
    CHECK_INT(faults_last(CALL_close)->error, EINTR);
    close(ends[1]);
}

TEST(a_pending_error_can_be_given) {
    int ends[2];
    new_ends(ends);
    faults_fail(CALL_getsockopt, 1, ETIMEDOUT);
    CHECK_INT(rondo__socket_error(ends[0]), RONDO_ETIMEDOUT);
    CHECK_INT(rondo__socket_error(ends[0]), 0);
    close_ends(ends);
}

TEST(the_log_tells_what_was_called) {
    int ends[2];
    new_ends(ends);
    faults_watch();
    lib_send(ends[0], 20);
    lib_read(ends[1], 30);
    lib_read(ends[1], 30);
    CHECK_STR(faults_log(CALLS_ALL), "send read read");
    CHECK_STR(faults_log(CALL_read), "read read");
    const faults_entry *entry = faults_last(CALL_send | CALL_read);
    CHECK_STR(faults_name(entry->index), "read");
    CHECK(entry->fd == ends[1] && entry->size == 30);
    CHECK(entry->value == -1 && entry->error == EAGAIN);
    CHECK(faults_last(CALL_send)->flags & MSG_NOSIGNAL);
    CHECK_INT(faults_bytes(CALL_send | CALL_read), 40);
    faults_watch();
    CHECK_INT(faults_count(CALLS_ALL), 0);
    CHECK_STR(faults_log(CALLS_ALL), "");
    for (int i = 0; i < 2000; i++) lib_send(ends[0], 1);
    CHECK_INT(faults_count(CALL_send), 2000);
    close_ends(ends);
}

TEST(epoll_belongs_to_it) {
    rondo_loop *loop = new_virtual_loop();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_stream_on_data(stream, ignore_data, NULL);
    faults_watch();
    run_turns(loop, 1);
    CHECK(faults_count(CALL_epoll_ctl) > 0);
    CHECK_INT(faults_count(CALL_epoll_wait), 1);
    CHECK_INT(faults_last(CALL_epoll_wait)->size, 0);
    end_loop(loop);
    close(peer);
}

/* ---- threads ---- */

static void *send_and_read(void *arg) {
    int *ends = arg;
    for (int i = 0; i < 500; i++) {
        lib_send(ends[0], 1);
        lib_read(ends[1], 1);
    }
    return NULL;
}

TEST(threads_share_it) {
    int ends[4][2];
    pthread_t threads[4];
    faults_every(CALL_send, 2, EAGAIN);
    for (int i = 0; i < 4; i++) new_ends(ends[i]);
    for (int i = 0; i < 4; i++) threads[i] = harness_thread(send_and_read, ends[i]);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    CHECK_INT(faults_count(CALL_send), 2000);
    CHECK_INT(faults_struck(), 1000);
    for (int i = 0; i < 4; i++) close_ends(ends[i]);
}

static int64_t do_nothing(rondo_job *job, void *arg) { return 0; }
static void ignore_result(rondo_loop *loop, int64_t result, void *arg) {}

TEST(a_thread_that_cannot_start_is_told_by_the_result) {
    rondo_loop *loop = rondo_loop_new();
    faults_every(CALL_pthread_create, 1, EAGAIN);
    CHECK_INT(rondo_work_submit(loop, NULL, NULL, do_nothing, ignore_result, NULL), RONDO_EAGAIN);
    rondo_loop_free(loop);
}

/* ---- sweeps ---- */

static int runs, failures, leak = -1;

static void four_sends(void) {
    int ends[2];
    new_ends(ends);
    lib_send(ends[0], 1); /* before: not swept */
    FAULTS_BEGIN();
    int failed = 0;
    for (int i = 0; i < 4; i++) failed += lib_send(ends[0], 2) < 2;
    FAULTS_END();
    lib_send(ends[0], 1);
    CHECK_INT(failed, faults_struck());
    runs++;
    failures += failed;
    close_ends(ends);
}

static void mixed_sends(void) {
    int ends[2];
    new_ends(ends);
    FAULTS_BEGIN();
    int64_t first = lib_send(ends[0], 8), second = lib_send(ends[0], 3),
            third = lib_send(ends[0], 8);
    FAULTS_END();
    CHECK_INT(second, 3);
    failures += (first < 8) + (third < 8);
    runs++;
    close_ends(ends);
}

TEST(a_sweep_fails_each_call_in_turn) {
    FAULT_SWEEP(four_sends, CALL_send, EAGAIN);
    CHECK_INT(runs, 5); /* the last one without a fault */
    CHECK_INT(failures, 4);
    FAULT_SWEEP_SHORT(four_sends, CALL_send, 1);
    CHECK_INT(runs, 10);
    CHECK_INT(failures, 8);
    FAULT_SWEEP_SHORT(mixed_sends, CALL_send, 5);
    CHECK_INT(runs, 14); /* the second send, of 3 bytes, is not changed */
    CHECK_INT(failures, 10);
    four_sends(); /* alone: nothing strikes */
    CHECK_INT(failures, 10);
}

TEST(periods_change_more_at_once) {
    bool fewer = harness_is_valgrind();
    FAULT_PERIODS(four_sends, CALL_send, EAGAIN);
    CHECK_INT(runs, fewer ? 1 : 4);
    CHECK_INT(failures, fewer ? 2 : 2 + 1 + 1);
    FAULT_PERIODS(four_sends, CALL_send, 0);
    CHECK_INT(failures, fewer ? 2 + 4 : 4 + 4); /* of 1 byte; there are no more than 2 */
}

static void leaking(void) {
    FAULTS_BEGIN();
    int ends[2];
    new_ends(ends);
    int64_t sent = lib_send(ends[0], 1);
    FAULTS_END();
    if (sent < 0) leak = dup(ends[0]);
    close_ends(ends);
}

TEST_HIDDEN(a_sweep_finds_a_leak) { FAULT_SWEEP(leaking, CALL_send, EAGAIN); }
TEST_HIDDEN(a_sweep_that_never_strikes_fails) { FAULT_SWEEP(four_sends, CALL_read, EAGAIN); }

/* Runs the hidden test of this program, and looks for words in what it says. */
static void check_says(const char *name, const char *words) {
    char command[600], text[4096] = "", path[400];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    CHECK(len > 0);
    path[len] = '\0';
    snprintf(command, sizeof command, "%s %s", path, name);
    FILE *output = popen(command, "re");
    CHECK(output != NULL);
    CHECK(fread(text, 1, sizeof text - 1, output) > 0);
    CHECK(pclose(output) != 0);
    if (!strstr(text, words)) FAIL("no \"%s\" in: %s", words, text);
}

TEST(a_failure_names_the_run) {
    check_says("a_sweep_finds_a_leak", "(leaking with call 1: EAGAIN)");
    check_says("a_sweep_that_never_strikes_fails", "four_sends makes no such call");
}
