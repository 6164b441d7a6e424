/* SPDX-License-Identifier: MIT
 *
 * Streams and pipes with a fault at every point: each system call of a scenario fails, is
 * interrupted, or moves one byte, one after the other (harness/faults.h). What passes (EAGAIN,
 * EINTR, short counts) must change nothing that the user sees; what does not must be told once.
 */
#define _GNU_SOURCE
#include "faults.h"
#include "streams.h"

#include <sys/mman.h>

#define SENDS (CALL_send | CALL_sendmsg)

/* ---- what a stream told ---- */

typedef struct told {
    received got;
    int ends, finishes, errors, closes, drains, error;
} told;

static void on_data(rondo_stream *stream, rondo_slice chunk, void *arg) {
    receive(&((told *)arg)->got, chunk);
}
static void on_end(rondo_stream *stream, void *arg) { ((told *)arg)->ends++; }
static void on_finish(rondo_stream *stream, void *arg) { ((told *)arg)->finishes++; }
static void on_drain(rondo_stream *stream, void *arg) { ((told *)arg)->drains++; }
static void on_error(rondo_stream *stream, int error, void *arg) {
    told *what = arg;
    CHECK_INT(what->closes, 0);
    what->errors++;
    what->error = error;
}
static void on_close(rondo_handle *handle, void *arg) { ((told *)arg)->closes++; }

static void listen_to(rondo_stream *stream, told *what) {
    *what = (told){0};
    rondo_stream_on_end(stream, on_end, what);
    rondo_stream_on_finish(stream, on_finish, what);
    rondo_stream_on_drain(stream, on_drain, what);
    rondo_stream_on_error(stream, on_error, what);
    rondo_on_close(stream, on_close, what);
}

static void forget(told *what) { free(what->got.data); }

/* The error of the sweep that is running: 0 for those that pass. */
static int fatal;
static bool is_retried; /* a call that fails may be made again */

/* Everything, once; or one error and nothing behind it. */
static void check_told(const told *what, int ends) {
    CHECK_INT(what->closes, 1);
    if (!fatal || !faults_struck() || (is_retried && !what->errors)) {
        CHECK_INT(what->errors, 0);
        CHECK_INT(what->ends, ends);
        CHECK_INT(what->finishes, 1);
    } else {
        CHECK_INT(what->errors, 1);
        CHECK(what->ends <= 1 && what->finishes <= 1);
    }
}

/* What the peer has, of what it should get; all of it when nothing failed for good. */
static void check_got(const char *data, size_t len, size_t size) {
    if (!fatal || !faults_struck()) CHECK_INT(len, size);
    if (len > size) FAIL("%zu bytes of %zu", len, size);
    for (size_t i = 0; i < len; i++)
        if (data[i] != byte_at(i)) FAIL("byte %zu of %zu is wrong", i, size);
}

/* ---- a peer that never waits ---- */

typedef struct far_end {
    int fd;
    const char *data; /* to send */
    size_t size, sent;
    received got;
    bool ended;
} far_end;

static void peer_turn(far_end *peer) {
    char buffer[1 << 16];
    ssize_t count = 1;
    while (peer->sent < peer->size && count > 0) {
        count = send(peer->fd, peer->data + peer->sent, peer->size - peer->sent,
                     MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count > 0) peer->sent += (size_t)count;
        if (count < 0 && errno != EAGAIN) peer->sent = peer->size;
        if (peer->sent == peer->size) shutdown(peer->fd, SHUT_WR);
    }
    while ((count = recv(peer->fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
        receive(&peer->got, rondo_slice_of(buffer, (size_t)count));
    if (count == 0 || errno != EAGAIN) peer->ended = true;
}

static void peer_end(far_end *peer) {
    close(peer->fd);
    free(peer->got.data);
}

/* Turns until nothing is alive, the peers' turns in between. */
static void run_with(rondo_loop *loop, far_end *a, far_end *b) {
    for (int i = 0; rondo_loop_run(loop, RONDO_RUN_NOWAIT) != 0; i++) {
        rondo__loop_verify(loop);
        if (i == 20000) FAIL("nothing goes on");
        peer_turn(a);
        if (b) peer_turn(b);
    }
    peer_turn(a);
    if (b) peer_turn(b);
}

/* ---- echo: read and write ---- */

static size_t echo_size = 150000;

static void write_back(rondo_stream *stream, rondo_slice chunk, void *arg) {
    receive(&((told *)arg)->got, chunk);
    int status = rondo_write(stream, chunk);
    CHECK(status >= 0 || (fatal && faults_struck()));
}

static void do_nothing(rondo_loop *loop, void *arg) {}

/* A loop that has turned, so that its own descriptors are watched. */
static rondo_loop *warm_loop(void) {
    rondo_loop *loop = rondo_loop_new();
    CHECK(loop != NULL);
    rondo_immediate(loop, do_nothing, NULL);
    run_turns(loop, 1);
    return loop;
}

static void echo(void) {
    rondo_loop *loop = warm_loop();
    rondo_stream *stream;
    told what;
    char *bytes = new_bytes(echo_size);
    far_end peer = {.fd = new_tcp_pair(loop, &stream), .data = bytes, .size = echo_size};
    listen_to(stream, &what);
    rondo_stream_on_data(stream, write_back, &what);
    FAULTS_BEGIN();
    run_with(loop, &peer, NULL);
    FAULTS_END();
    check_told(&what, 1);
    check_got(what.got.data, what.got.len, echo_size);
    check_got(peer.got.data, peer.got.len, echo_size);
    CHECK(peer.ended);
    rondo_loop_free(loop);
    peer_end(&peer);
    forget(&what);
    free(bytes);
}

TEST(echo_with_eagain_at_every_point) { FAULT_SWEEP(echo, CALL_read | SENDS, EAGAIN); }
TEST(echo_with_eintr_at_every_point) {
    FAULT_SWEEP(echo, CALL_read | SENDS | CALL_epoll_wait, EINTR);
}
TEST(echo_with_a_short_count_at_every_point) { FAULT_SWEEP_SHORT(echo, CALL_read | SENDS, 1); }
TEST(echo_with_every_second_call_in_vain) {
    FAULT_PERIODS(echo, CALL_read | SENDS, EAGAIN);
    FAULT_PERIODS(echo, CALL_read | SENDS | CALL_epoll_wait, EINTR);
}
TEST(echo_with_all_counts_short) {
    echo_size = 500;
    FAULT_PERIODS(echo, CALL_read | SENDS, 0);
    echo_size = 3000;
    FAULT_PERIODS(echo, SENDS, 0);
}

static void sweep_fatal(void (*scenario)(void), const char *name, faults_calls calls,
                        const int *errors, int count) {
    for (int i = 0; i < count; i++) {
        fatal = errors[i];
        faults_sweep(scenario, name, calls, fatal, 0);
    }
    fatal = 0;
}
#define SWEEP_FATAL(scenario, calls, ...)                               \
    sweep_fatal(scenario, #scenario, calls, (const int[]){__VA_ARGS__}, \
                (int)(sizeof((const int[]){__VA_ARGS__}) / sizeof(int)))

TEST(echo_with_a_fatal_read_at_every_point) {
    SWEEP_FATAL(echo, CALL_read, ECONNRESET, ETIMEDOUT, ENOMEM, EIO);
}
TEST(echo_with_a_fatal_write_at_every_point) {
    SWEEP_FATAL(echo, SENDS, ECONNRESET, EPIPE, ETIMEDOUT, ENOMEM, ENOBUFS);
}
TEST(echo_with_a_refused_watch_at_every_point) {
    SWEEP_FATAL(echo, CALL_epoll_ctl, ENOMEM, ENOSPC);
}
TEST(echo_with_a_failed_shutdown) { SWEEP_FATAL(echo, CALL_shutdown, ENOTCONN, ECONNRESET); }
TEST(echo_with_an_interrupted_close) { FAULT_SWEEP(echo, CALL_close, EINTR); }

/* ---- everything that can be written: copies, lent memory, files small and large ---- */

static int releases, release_errors;

static void count_release(void *data, size_t len, int status, void *arg) {
    releases++;
    release_errors += status < 0;
}

enum { COPY = 3000, LENT = 90000, SMALL = 5000, LARGE = 120000, ROUNDS = 2 };
enum { ROUND = COPY + LENT + SMALL + LARGE };

static void write_all_kinds(rondo_stream *stream, const char *bytes, int file) {
    for (int i = 0; i < ROUNDS; i++) {
        size_t at = (size_t)i * ROUND;
        CHECK(rondo_write(stream, rondo_slice_of(bytes + at, COPY)) >= 0);
        CHECK(rondo_write_file(stream, dup(file), at + COPY, SMALL, true) >= 0);
        at += COPY + SMALL;
        rondo_slice lent = rondo_slice_of(bytes + at, LENT);
        CHECK(rondo_write_lent(stream, lent, count_release, NULL) >= 0);
        CHECK(rondo_write_file(stream, dup(file), at + LENT, LARGE, true) >= 0);
    }
    CHECK_INT(rondo_end(stream), 0);
}

typedef struct writing {
    rondo_stream *stream;
    const char *bytes;
    int file;
} writing;

static void write_from_loop(rondo_loop *loop, void *arg) {
    const writing *job = arg;
    write_all_kinds(job->stream, job->bytes, job->file);
}

static void write_kinds_to(int (*new_ends)(rondo_loop *, rondo_stream **)) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    told what;
    char *bytes = new_bytes(ROUNDS * ROUND);
    int file = memfd_create("file", MFD_CLOEXEC);
    CHECK_INT(write(file, bytes, ROUNDS * ROUND), ROUNDS * ROUND);
    far_end peer = {.fd = new_ends(loop, &stream)};
    listen_to(stream, &what);
    shutdown(peer.fd, SHUT_WR);
    releases = release_errors = 0;
    writing job = {stream, bytes, file};
    rondo_immediate(loop, write_from_loop, &job);
    rondo_resume(stream);
    rondo_stream_set_half_open(stream, true);
    rondo_stream_set_high_water(stream, 1, 1 << 24);
    FAULTS_BEGIN();
    run_with(loop, &peer, NULL);
    FAULTS_END();
    check_told(&what, 1);
    check_got(peer.got.data, peer.got.len, ROUNDS * ROUND);
    CHECK_INT(releases, ROUNDS);
    if (!fatal || !faults_struck()) CHECK_INT(release_errors, 0);
    CHECK(peer.ended);
    close(file);
    rondo_loop_free(loop);
    peer_end(&peer);
    forget(&what);
    free(bytes);
}

static void write_kinds(void) { write_kinds_to(new_tcp_pair); }
static void write_kinds_unix(void) { write_kinds_to(new_pair); }

#define WRITES (SENDS | CALL_sendfile)
#define READS_FILE (CALL_preadv2 | CALL_pread)

TEST(all_kinds_of_writes_with_eagain_at_every_point) {
    FAULT_SWEEP(write_kinds, WRITES, EAGAIN);
    FAULT_SWEEP(write_kinds_unix, WRITES, EAGAIN);
    FAULT_PERIODS(write_kinds, WRITES, EAGAIN);
}
TEST(all_kinds_of_writes_with_eintr_at_every_point) {
    FAULT_SWEEP(write_kinds, WRITES | READS_FILE, EINTR);
    FAULT_PERIODS(write_kinds, WRITES | READS_FILE, EINTR);
}
TEST(all_kinds_of_writes_with_a_short_count_at_every_point) {
    FAULT_SWEEP_SHORT(write_kinds, WRITES | READS_FILE, 1);
    FAULT_SWEEP_SHORT(write_kinds_unix, WRITES | READS_FILE, 4999);
}
TEST(all_kinds_of_writes_without_sendfile) {
    FAULT_SWEEP(write_kinds, CALL_sendfile, ENOSYS);
    FAULT_SWEEP(write_kinds, CALL_sendfile, EINVAL);
    FAULT_PERIODS(write_kinds, CALL_sendfile, ENOSYS);
}
TEST(all_kinds_of_writes_with_a_fatal_error_at_every_point) {
    SWEEP_FATAL(write_kinds, WRITES, ECONNRESET, EPIPE, ETIMEDOUT, ENOMEM);
    SWEEP_FATAL(write_kinds_unix, WRITES, EPIPE);
    SWEEP_FATAL(write_kinds, CALL_sendfile, EIO);
}
TEST(all_kinds_of_writes_with_a_file_that_cannot_be_read) {
    fatal = EIO;
    is_retried = true;
    FAULT_SWEEP(write_kinds, READS_FILE, EIO);
    FAULT_PERIODS(write_kinds, READS_FILE, EIO);
    FAULT_SWEEP_SHORT(write_kinds, READS_FILE, 0);
}
TEST(a_file_that_ends_too_early_at_every_point) {
    fatal = EIO;
    FAULT_SWEEP_SHORT(write_kinds, CALL_sendfile, 0);
}

/* ---- a pipe end: writev, no socket ---- */

static void through_a_fifo(void) {
    rondo_loop *loop = rondo_loop_new();
    int ends[2];
    told in = {0}, out = {0};
    enum { SIZE = 100000 };
    char *bytes = new_bytes(SIZE);
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    rondo_stream *from = open_stream(loop, ends[0]), *to = open_stream(loop, ends[1]);
    listen_to(from, &in);
    listen_to(to, &out);
    rondo_stream_on_data(from, on_data, &in);
    rondo_write(to, rondo_slice_of(bytes, 1000));
    rondo_write_lent(to, rondo_slice_of(bytes + 1000, SIZE - 1000), NULL, NULL);
    rondo_end(to);
    FAULTS_BEGIN();
    for (int i = 0; rondo_loop_run(loop, RONDO_RUN_NOWAIT) != 0; i++) {
        rondo__loop_verify(loop);
        if (i == 2000) FAIL("nothing goes on");
        if (in.errors && !out.closes) rondo_close(to); /* whoever reads it has gone */
    }
    FAULTS_END();
    check_got(in.got.data, in.got.len, SIZE);
    CHECK_INT(in.closes + out.closes, 2);
    if (!fatal || !faults_struck()) {
        CHECK_INT(in.ends, 1);
        CHECK_INT(in.errors + out.errors, 0);
    }
    CHECK(in.errors <= 1 && out.errors <= 1);
    rondo_loop_free(loop);
    forget(&in);
    free(bytes);
}

TEST(a_fifo_with_a_fault_at_every_point) {
    const faults_calls calls = CALL_read | CALL_writev;
    FAULT_SWEEP(through_a_fifo, calls, EAGAIN);
    FAULT_SWEEP(through_a_fifo, calls, EINTR);
    FAULT_SWEEP_SHORT(through_a_fifo, calls, 1);
    SWEEP_FATAL(through_a_fifo, CALL_writev, EPIPE, ENOMEM);
    SWEEP_FATAL(through_a_fifo, CALL_read, EIO);
}

/* ---- rondo_pipe(): one stream into another ---- */

static size_t pipe_size = 300000;

static void proxy(void) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *src, *dst;
    told from, to;
    char *bytes = new_bytes(pipe_size);
    far_end a = {.fd = new_tcp_pair(loop, &src), .data = bytes, .size = pipe_size};
    far_end b = {.fd = new_tcp_pair(loop, &dst), .data = bytes, .size = pipe_size / 3};
    listen_to(src, &from);
    listen_to(dst, &to);
    CHECK_INT(rondo_pipe(src, dst), 0);
    CHECK_INT(rondo_pipe(dst, src), 0);
    FAULTS_BEGIN();
    run_with(loop, &a, &b);
    FAULTS_END();
    CHECK_INT(from.closes + to.closes, 2);
    CHECK(from.errors <= 1 && to.errors <= 1);
    if (!fatal || !faults_struck()) {
        CHECK_INT(from.errors + to.errors, 0);
        CHECK_INT(from.ends + to.ends + from.finishes + to.finishes, 4);
    } else {
        CHECK_INT(from.errors + to.errors, 2); /* one takes the other along */
    }
    check_got(b.got.data, b.got.len, pipe_size);
    check_got(a.got.data, a.got.len, pipe_size / 3);
    CHECK(a.ended && b.ended);
    rondo_loop_free(loop);
    peer_end(&a);
    peer_end(&b);
    free(bytes);
}

TEST(a_proxy_with_eagain_at_every_point) {
    FAULT_SWEEP(proxy, CALL_read | SENDS, EAGAIN);
    FAULT_PERIODS(proxy, CALL_read | SENDS, EAGAIN);
}
TEST(a_proxy_with_eintr_at_every_point) { FAULT_SWEEP(proxy, CALL_read | SENDS, EINTR); }
TEST(a_proxy_with_a_short_count_at_every_point) {
    FAULT_SWEEP_SHORT(proxy, CALL_read | SENDS, 1);
    pipe_size = 900;
    FAULT_PERIODS(proxy, CALL_read | SENDS, 0);
}
TEST(a_proxy_with_a_fatal_error_at_every_point) {
    pipe_size = 150000;
    SWEEP_FATAL(proxy, CALL_read, ECONNRESET, ETIMEDOUT);
    SWEEP_FATAL(proxy, SENDS, EPIPE, ECONNRESET, ENOMEM);
}

/* ---- adopting a descriptor ---- */

static void adopt(void) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream = NULL;
    int ends[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    FAULTS_BEGIN();
    int status = rondo_stream_open(loop, ends[0], &stream);
    FAULTS_END();
    CHECK_INT(status < 0, faults_struck());
    if (status < 0) {
        CHECK(stream == NULL);
        CHECK_INT(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
        CHECK_INT(fcntl(ends[0], F_GETFD), 0);
        CHECK_INT(rondo_stream_open(loop, ends[0], &stream), 0);
    }
    end_loop(loop);
    close(ends[1]);
}

TEST(adopting_gives_back_what_it_cannot_take) {
    FAULT_SWEEP(adopt, CALL_fcntl | CALL_fstat | CALL_getpeername, EBADF);
}
