/* SPDX-License-Identifier: MIT
 *
 * The loop, its wake-ups, the pool and file operations with a fault at every point
 * (harness/faults.h).
 */
#define _GNU_SOURCE
#include "faults.h"
#include "streams.h"

#include <signal.h>
#include <sys/mman.h>

/* ---- the loop ---- */

static void make_a_loop(void) {
    FAULTS_BEGIN();
    rondo_loop *loop = rondo_loop_new();
    FAULTS_END();
    CHECK_INT(loop == NULL, faults_struck());
    rondo_loop_free(loop);
}

TEST(a_loop_that_cannot_be_made_is_null) {
    FAULT_SWEEP(make_a_loop, CALL_eventfd | CALL_epoll_create1, EMFILE);
    FAULT_SWEEP(make_a_loop, CALL_epoll_ctl, ENOSPC);
}

static void sleep_a_little(void) {
    rondo_loop *loop = rondo_loop_new();
    FAULTS_BEGIN();
    rondo_timer *timer = start_timer(loop, 5, note_timer, "timer");
    long long before_ms = harness_now_ms();
    while (rondo_loop_run(loop, RONDO_RUN_ALL) != 0) {}
    CHECK(harness_now_ms() - before_ms >= 4);
    FAULTS_END();
    CHECK_TRACE("timer");
    rondo_close(timer);
    end_loop(loop);
}

TEST(an_interrupted_wait_is_no_event) {
    FAULT_SWEEP(sleep_a_little, CALL_epoll_wait, EINTR);
    FAULT_PERIODS(sleep_a_little, CALL_epoll_wait, EINTR);
}

/* ---- wake-ups ---- */

enum { POSTS = 20 };
static atomic_int posted;

static void count_post(rondo_loop *loop, void *arg) {
    if (atomic_fetch_add(&posted, 1) == POSTS - 1) rondo_close(arg); /* which kept the loop up */
}

typedef struct sender {
    rondo_loop *loop;
    rondo_timer *timer;
} sender;

/* Each message is sent when the loop sleeps. */
static void *send_posts(void *arg) {
    const sender *self = arg;
    for (int i = 0; i < POSTS; i++) {
        while (atomic_load(&posted) < i || !atomic_load(&self->loop->asleep)) sched_yield();
        CHECK_INT(rondo_loop_post(self->loop, count_post, self->timer), 0);
    }
    return NULL;
}

static void wake_up(void) {
    rondo_loop *loop = rondo_loop_new();
    sender from = {loop, start_timer(loop, 3600 * 1000, note_timer, "too late")};
    posted = 0;
    FAULTS_BEGIN();
    pthread_t thread = harness_thread(send_posts, &from);
    run_all(loop);
    pthread_join(thread, NULL);
    FAULTS_END();
    CHECK_INT(posted, POSTS);
    CHECK_TRACE("");
    rondo_loop_free(loop);
}

/* Calls differ from run to run, so not a sweep by number. */
TEST(a_wake_up_that_is_interrupted_is_not_lost) {
    FAULT_PERIODS(wake_up, CALL_write, EINTR);
    FAULT_PERIODS(wake_up, CALL_read | CALL_epoll_wait, EINTR);
    FAULT_PERIODS(wake_up, CALL_read, EAGAIN);
}

/* No kernel says so; if one did, the eventfd would still be there to be read. */
TEST(a_wake_up_that_cannot_be_read_wakes_all_the_same) {
    FAULT_PERIODS(wake_up, CALL_read, ECONNRESET);
    FAULT_PERIODS(wake_up, CALL_read, EIO);
}

static void note_failure(rondo_stream *stream, int error, void *arg) {
    note("%s", rondo_error_name(error));
}

/* Not when something else happens to wake the loop, which would be never here. */
TEST(a_watch_that_the_kernel_refuses_is_told_at_once) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int peer = new_pair(loop, &stream);
    rondo_stream_on_data(stream, ignore_data, NULL);
    rondo_stream_on_error(stream, note_failure, NULL);
    faults_fail(CALL_epoll_ctl, 1, ENOMEM);
    run_all(loop);
    CHECK_TRACE("ENOMEM");
    rondo_loop_free(loop);
    close(peer);
}

/* ---- the pool ---- */

static int64_t answer_7(rondo_job *job, void *arg) { return 7; }
static void add_result(rondo_loop *loop, int64_t result, void *arg) {
    CHECK_INT(result, 7);
    ++*(int *)arg;
}

static void work(void) {
    rondo_loop *loop = rondo_loop_new();
    int done = 0, taken = 0;
    FAULTS_BEGIN();
    for (int i = 0; i < 6; i++) {
        int status = rondo_work_submit(loop, NULL, NULL, answer_7, add_result, &done);
        CHECK(status == 0 || (status == RONDO_EAGAIN && faults_struck()));
        taken += status == 0;
    }
    run_all(loop);
    FAULTS_END();
    CHECK_INT(done, taken);
    CHECK(taken > 0 || faults_struck() >= 6);
    rondo_loop_free(loop);
}

TEST(work_without_threads_is_refused_or_done) {
    FAULT_SWEEP(work, CALL_pthread_create, EAGAIN);
    faults_every(CALL_pthread_create, 1, EAGAIN);
    rondo_loop *loop = rondo_loop_new();
    int done = 0;
    CHECK_INT(rondo_work_submit(loop, NULL, NULL, answer_7, add_result, &done), RONDO_EAGAIN);
    faults_stop();
    CHECK_INT(rondo_work_submit(loop, NULL, NULL, answer_7, add_result, &done), 0);
    run_all(loop);
    CHECK_INT(done, 1);
    rondo_loop_free(loop);
}

/* ---- files: open, write, read, stat, close, each in the callback of the one before ---- */

enum { SIZE = 4000 };

typedef struct copying {
    int step, fd;
    int64_t error; /* the first */
    char *bytes, buffer[SIZE];
} copying;

static const char *const path = "/proc/self/fd/%d";
static int original; /* a memfd, opened again by its name in /proc */

static void next_step(rondo_loop *loop, int64_t result, void *arg);

static void next_stat(rondo_loop *loop, int result, const rondo_stat *stat, void *arg) {
    if (result == 0) CHECK_INT(stat->size, SIZE);
    next_step(loop, result, arg);
}

static void next_step(rondo_loop *loop, int64_t result, void *arg) {
    copying *self = arg;
    char name[64];
    int status = 0;
    if (result < 0 && !self->error) self->error = result;
    if (result < 0 && self->step == 5) self->fd = -1;
    if (self->step == 1) self->fd = result < 0 ? -1 : (int)result;
    if (self->step == 3 && result >= 0) CHECK_MEM(self->buffer, self->bytes, (size_t)result);
    if (result < 0 && self->step != 5) self->step = 4; /* close it */
    if (self->fd < 0) return;
    switch (self->step++) {
    case 0:
        snprintf(name, sizeof name, path, original);
        status = rondo_fs_open(loop, name, O_RDWR, 0, NULL, next_step, self);
        break;
    case 1:
        status = rondo_fs_write(loop, self->fd, self->bytes, SIZE, 0, NULL, next_step, self);
        break;
    case 2:
        status = rondo_fs_read(loop, self->fd, self->buffer, SIZE, 0, NULL, next_step, self);
        break;
    case 3: status = rondo_fs_fstat(loop, self->fd, NULL, next_stat, self); break;
    case 4: status = rondo_fs_close(loop, self->fd, next_step, self); break;
    default: self->fd = -1;
    }
    if (status == 0) return;
    CHECK_INT(status, RONDO_EAGAIN); /* no thread */
    self->error = status;
    if (self->fd > 0) close(self->fd);
    self->fd = -1;
}

static bool must_work;

static void use_a_file(void) {
    rondo_loop *loop = rondo_loop_new();
    char *bytes = new_bytes(SIZE);
    copying self = {.bytes = bytes};
    original = memfd_create("original", MFD_CLOEXEC);
    FAULTS_BEGIN();
    next_step(loop, 0, &self);
    run_all(loop);
    FAULTS_END();
    CHECK_INT(self.fd, -1);
    if (must_work) CHECK_INT(self.error, 0);
    if (!faults_struck()) CHECK_INT(self.step, 6);
    close(original);
    rondo_loop_free(loop);
    free(bytes);
}

#define FILE_CALLS (CALL_openat | CALL_preadv | CALL_pwritev)

TEST(files_with_eintr_at_every_point) {
    must_work = true;
    FAULT_SWEEP(use_a_file, FILE_CALLS, EINTR);
    FAULT_PERIODS(use_a_file, FILE_CALLS, EINTR);
}
TEST(files_with_a_short_count_at_every_point) {
    must_work = true;
    FAULT_SWEEP_SHORT(use_a_file, CALL_preadv | CALL_pwritev | CALL_preadv2, 1);
    FAULT_SWEEP_SHORT(use_a_file, CALL_preadv | CALL_pwritev | CALL_preadv2, SIZE - 1);
}
TEST(files_with_an_error_at_every_point) {
    const int errors[] = {EIO, ENOMEM, ENOSPC, EMFILE};
    for (int i = 0; i < 4; i++)
        FAULT_SWEEP(use_a_file, FILE_CALLS | CALL_close | CALL_statx, errors[i]);
    FAULT_SWEEP(use_a_file, CALL_pthread_create, EAGAIN);
}

/* ---- signals ---- */

TEST(a_signal_that_cannot_be_watched) {
    rondo_loop *loop = rondo_loop_new();
    rondo_signal *handle = rondo_signal_new(loop);
    faults_fail(CALL_sigaction, 1, EINVAL);
    CHECK_INT(rondo_signal_start(handle, SIGUSR1, note_signal, "signal"), RONDO_EINVAL);
    CHECK(!rondo_is_active(handle));
    CHECK_INT(rondo_signal_start(handle, SIGUSR1, note_signal, "signal"), 0);
    kill(getpid(), SIGUSR1);
    run_turns(loop, 1);
    CHECK_TRACE("signal");
    end_loop(loop);
}
