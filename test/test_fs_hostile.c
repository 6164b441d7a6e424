/* SPDX-License-Identifier: MIT
 *
 * Files in a world that does not behave: a disk that is full, a pipe whose reader has gone, a file
 * that shrinks while it is read, a FIFO that nobody writes to; and rondo_fs_sendfile() between all
 * kinds of descriptors.
 */
#define _GNU_SOURCE
#include "faults.h"
#include "fs_place.h"
#include "gate.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>

static int64_t finish(rondo_loop *loop, int error, const outcome *what) {
    CHECK_INT(error, 0);
    CHECK_INT(what->calls, 0);
    run_to_end(loop);
    CHECK_INT(what->calls, 1);
    return what->result;
}

static int64_t write_it(rondo_loop *loop, int fd, const void *data, size_t len, int64_t offset) {
    outcome what = {0};
    return finish(loop, rondo_fs_write(loop, fd, data, len, offset, NULL, note_outcome, &what),
                  &what);
}
static int64_t send_it(rondo_loop *loop, int to, int from, int64_t offset, uint64_t len) {
    outcome what = {0};
    return finish(loop, rondo_fs_sendfile(loop, to, from, offset, len, NULL, note_outcome, &what),
                  &what);
}

static int memory_file(size_t size) {
    int fd = memfd_create("file", MFD_CLOEXEC);
    char block[4096];
    for (size_t at = 0; at < size; at += sizeof block) {
        for (size_t i = 0; i < sizeof block; i++) block[i] = (char)((at + i) * 31 + (at + i) / 253);
        size_t len = size - at < sizeof block ? size - at : sizeof block;
        CHECK_INT(pwrite(fd, block, len, (off_t)at), (long long)len);
    }
    return fd;
}

static void check_same_bytes(int a, int64_t a_at, int b, int64_t b_at, size_t size) {
    char x[4096], y[4096];
    for (size_t at = 0; at < size; at += sizeof x) {
        size_t len = size - at < sizeof x ? size - at : sizeof x;
        CHECK_INT(pread(a, x, len, (off_t)at + a_at), (long long)len);
        CHECK_INT(pread(b, y, len, (off_t)at + b_at), (long long)len);
        CHECK_MEM(x, y, len);
    }
}

/* ---- no room ---- */

TEST(a_disk_that_is_full) {
    rondo_loop *loop = new_loop();
    static char data[1 << 20];
    char text[8];
    place_make();
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, "") != 0 ||
        mount("small", "hollow", "tmpfs", 0, "size=128k") != 0) {
        place_remove();
        rondo_loop_free(loop);
        SKIP("only root may mount");
    }
    int fd = open("hollow/file", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    memset(data, 'x', sizeof data);
    CHECK_INT(write_it(loop, fd, data, sizeof data, 0), RONDO_ENOSPC);
    CHECK_INT(rondo_fs_write_sync(fd, data, sizeof data, 0), RONDO_ENOSPC);
    CHECK_INT(pread(fd, text, 8, 0), 8); /* a part is there, as the header says */
    CHECK_INT(rondo_fs_fallocate_sync(fd, RONDO_ALLOCATE_EXTEND, 0, 1 << 20), RONDO_ENOSPC);
    int from = memory_file(sizeof data);
    CHECK_INT(ftruncate(fd, 0), 0);
    int64_t sent = send_it(loop, fd, from, 0, sizeof data);
    CHECK(sent > 0 && sent <= 128 * 1024);
    CHECK_INT(send_it(loop, fd, from, sent, sizeof data), RONDO_ENOSPC);
    check_same_bytes(fd, 0, from, 0, (size_t)sent);
    CHECK_INT(mount("small", "hollow", "tmpfs", MS_REMOUNT, "size=4m"), 0);
    CHECK_INT(write_it(loop, fd, data, sizeof data, 0), (long long)sizeof data); /* it recovers */
    close(fd);
    close(from);
    CHECK_INT(mount("small", "hollow", "tmpfs", MS_REMOUNT | MS_RDONLY, "size=4m"), 0);
    CHECK_INT(rondo_fs_open_sync("hollow/new", O_CREAT | O_WRONLY, 0600), RONDO_EROFS);
    rondo_statfs statfs;
    CHECK_INT(rondo_fs_statfs_sync("hollow", &statfs), 0);
    CHECK(statfs.read_only);
    CHECK_INT(statfs.blocks * statfs.block_size, 4 << 20);
    CHECK_INT(umount("hollow"), 0);
    place_remove();
    rondo_loop_free(loop);
}

/* ---- pipes ---- */

/* The signal would kill this process. */
TEST(no_signal_from_a_pipe_without_a_reader) {
    rondo_loop *loop = new_loop();
    rondo_slice pieces[2] = {{"abc", 3}, {"def", 3}};
    int ends[2], from = memory_file(10);
    signal(SIGPIPE, SIG_DFL);
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    CHECK_INT(rondo_fs_write_sync(ends[1], "x", 1, -1), RONDO_EPIPE);
    CHECK_INT(rondo_fs_writev_sync(ends[1], pieces, 2, -1), RONDO_EPIPE);
    CHECK_INT(rondo_fs_sendfile_sync(ends[1], from, 0, 10), RONDO_EPIPE);
    CHECK_INT(write_it(loop, ends[1], "x", 1, -1), RONDO_EPIPE);
    CHECK_INT(send_it(loop, ends[1], from, 0, 10), RONDO_EPIPE);
    sigset_t pending, blocked;
    CHECK_INT(sigpending(&pending), 0);
    CHECK(!sigismember(&pending, SIGPIPE));
    CHECK_INT(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
    CHECK(!sigismember(&blocked, SIGPIPE));
    close(ends[1]);
    close(from);
    rondo_loop_free(loop);
}

TEST(a_read_of_many_parts_does_not_wait_for_more_of_a_pipe) {
    static char bytes[2000];
    rondo_buffer parts[2000];
    int ends[2];
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    for (int i = 0; i < 2000; i++) parts[i] = (rondo_buffer){&bytes[i], 1};
    CHECK_INT(write(ends[1], bytes, 1024), 1024); /* whole system calls full */
    int64_t got = rondo_fs_readv_sync(ends[0], parts, 2000, -1);
    CHECK(got > 0 && got <= 1024);
    close(ends[0]);
    close(ends[1]);
}

/* A thread is kept by it, and the others go on. */
TEST(a_fifo_that_nobody_writes_to_keeps_one_thread) {
    rondo_loop *loop = new_loop();
    outcome what = {0}, other = {0};
    rondo_job *job;
    place_make();
    CHECK_INT(rondo_fs_open(loop, "fifo", O_RDONLY, 0, &job, note_outcome, &what), 0);
    WAIT_FOR_FIGURE(rondo_lane_fs(loop), running, 1);
    CHECK_INT(rondo_fs_unlink(loop, "file", NULL, note_outcome, &other), 0);
    while (other.calls == 0) CHECK(rondo_loop_run(loop, RONDO_RUN_ONCE) >= 0);
    CHECK_INT(what.calls, 0);
    CHECK_INT(rondo_job_cancel(job), RONDO_EBUSY);
    int writer;
    while ((writer = open("fifo", O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0) sched_yield();
    run_to_end(loop);
    CHECK_INT(what.calls, 1);
    CHECK(what.result >= 0); /* it was opened, and that is what is told */
    close((int)what.result);
    close(writer);
    place_remove();
    rondo_loop_free(loop);
}

/* Its thread is let go; what it opens when it comes back is closed. */
TEST(an_open_that_hangs_is_abandoned) {
    rondo_loop *loop = new_loop();
    outcome what = {0};
    rondo_job *job;
    place_make();
    CHECK_INT(rondo_fs_open(loop, "fifo", O_RDONLY, 0, &job, note_outcome, &what), 0);
    WAIT_FOR_FIGURE(rondo_lane_fs(loop), running, 1);
    CHECK_INT(rondo_job_abandon(job), 0);
    CHECK_INT(what.calls, 0);
    run_to_end(loop);
    CHECK_OUTCOME(what, RONDO_ECANCELED);
    CHECK_INT(rondo_fs_open(loop, "fifo", O_RDONLY, 0, &job, note_outcome, &what), 0);
    WAIT_FOR_FIGURE(rondo_lane_fs(loop), abandoned, 1);
    CHECK_INT(rondo_job_set_timeout(job, 1), 0);
    what.calls = 0;
    run_to_end(loop);
    CHECK_OUTCOME(what, RONDO_ETIMEDOUT);
    int writer;
    while ((writer = open("fifo", O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0) sched_yield();
    WAIT_FOR_FIGURE(rondo_lane_fs(loop), abandoned, 0);
    close(writer);
    place_remove();
    rondo_loop_free(loop); /* the harness looks for descriptors */
}

/* The thread may still write to the buffer. */
TEST(a_read_is_abandoned_only_if_its_buffer_is_released) {
    static char room[16];
    rondo_loop *loop = new_loop();
    outcome what = {0};
    rondo_job *job;
    int ends[2];
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    CHECK_INT(rondo_fs_read(loop, ends[0], room, sizeof room, -1, &job, note_outcome, &what), 0);
    WAIT_FOR_FIGURE(rondo_lane_fs(loop), running, 1);
    CHECK_INT(rondo_job_abandon(job), RONDO_EINVAL);
    CHECK_INT(write(ends[1], "late", 4), 4);
    run_to_end(loop);
    CHECK_OUTCOME(what, 4);
    close(ends[0]);
    close(ends[1]);
    rondo_loop_free(loop);
}

/* ---- files that change ---- */

static atomic_bool resizing;
static void *resize(void *arg) {
    while (atomic_load(&resizing)) {
        CHECK_INT(ftruncate(place_file, 10), 0);
        CHECK_INT(ftruncate(place_file, 1 << 18), 0);
    }
    return NULL;
}

TEST(a_file_that_is_truncated_while_it_is_read) {
    rondo_loop *loop = new_loop();
    static char parts_room[1 << 18];
    place_make();
    CHECK_INT(ftruncate(place_file, 10), 0);
    atomic_store(&resizing, true);
    pthread_t thread = harness_thread(resize, NULL);
    for (int i = 0; i < 300; i++) {
        rondo_buffer parts[2] = {{parts_room, 1 << 17}, {parts_room + (1 << 17), 1 << 17}};
        outcome what = {0}, sent = {0};
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        CHECK_INT(rondo_fs_readv(loop, place_readable, parts, 2, 0, NULL, note_outcome, &what), 0);
        CHECK_INT(
            rondo_fs_sendfile(loop, null, place_readable, 0, 1 << 20, NULL, note_outcome, &sent),
            0);
        run_to_end(loop);
        CHECK(what.calls == 1 && what.result >= 10 && what.result <= 1 << 18);
        CHECK(sent.calls == 1 && sent.result >= 10 && sent.result <= 1 << 20);
        CHECK_MEM(parts_room, "hello, wor", 10);
        close(null);
    }
    atomic_store(&resizing, false);
    pthread_join(thread, NULL);
    place_remove();
    rondo_loop_free(loop);
}

TEST(space_is_given_and_taken_on_a_disk) {
    char path[] = "/tmp/rondo-space-XXXXXX", text[20], zeros[20] = "";
    rondo_stat stat;
    int fd = rondo_fs_mkstemp_sync(path);
    CHECK(fd >= 0);
    CHECK_INT(rondo_fs_unlink_sync(path), 0);
    int error = rondo_fs_fallocate_sync(fd, RONDO_ALLOCATE_KEEP_SIZE, 0, 1 << 20);
    if (error == RONDO_ENOTSUP) {
        close(fd);
        SKIP("the file system of /tmp can't do that");
    }
    CHECK_INT(error, 0);
    CHECK_INT(rondo_fs_fstat_sync(fd, &stat), 0);
    CHECK_INT(stat.size, 0);
    CHECK(stat.blocks >= 2048);
    CHECK_INT(rondo_fs_fallocate_sync(fd, RONDO_ALLOCATE_EXTEND, 0, 1 << 20), 0);
    memset(text, 'x', sizeof text);
    CHECK_INT(rondo_fs_write_sync(fd, text, sizeof text, 100), 20);
    CHECK_INT(rondo_fs_fallocate_sync(fd, RONDO_ALLOCATE_PUNCH_HOLE, 0, 1 << 20), 0);
    CHECK_INT(rondo_fs_fstat_sync(fd, &stat), 0);
    CHECK_INT(stat.size, 1 << 20);
    CHECK_INT(stat.blocks, 0);
    CHECK_INT(rondo_fs_read_sync(fd, text, sizeof text, 100), 20);
    CHECK_MEM(text, zeros, 20);
    close(fd);
}

/* ---- sendfile ---- */

enum { LARGE = 5 * 1024 * 1024 + 77 };

TEST(a_large_file_is_sent_in_steps_that_let_others_in) {
    rondo_loop *loop = new_loop();
    outcome sent = {0}, other = {0};
    int from = memory_file(LARGE), to = memory_file(0);
    CHECK_INT(rondo_lane_resize(rondo_lane_fs(loop), 1, 10), 0);
    CHECK_INT(rondo_fs_sendfile(loop, to, from, 3, LARGE, NULL, note_outcome, &sent), 0);
    CHECK_INT(rondo_fs_fsync(loop, to, NULL, note_outcome, &other), 0);
    while (other.calls == 0) CHECK(rondo_loop_run(loop, RONDO_RUN_ONCE) >= 0);
    CHECK_INT(sent.calls, 0); /* though there is one thread, and it came first */
    run_to_end(loop);
    CHECK_OUTCOME(sent, LARGE - 3);
    CHECK_INT(lseek(from, 0, SEEK_CUR), 0);
    CHECK_INT(lseek(to, 0, SEEK_CUR), LARGE - 3);
    check_same_bytes(to, 0, from, 3, LARGE - 3);
    close(from);
    close(to);
    rondo_loop_free(loop);
}

TEST(sending_is_canceled_between_two_steps) {
    rondo_loop *loop = new_loop();
    outcome sent = {0};
    rondo_job *job;
    int from = memory_file(LARGE), to = memory_file(0);
    CHECK_INT(rondo_fs_sendfile(loop, to, from, 0, LARGE, &job, note_outcome, &sent), 0);
    while (lseek(to, 0, SEEK_CUR) == 0) sched_yield();
    CHECK_INT(rondo_job_cancel(job), RONDO_EBUSY);
    run_to_end(loop);
    CHECK_OUTCOME(sent, RONDO_ECANCELED);
    CHECK(lseek(to, 0, SEEK_END) < LARGE);
    close(from);
    close(to);
    rondo_loop_free(loop);
}

/* What the kernel can't send by itself: through a buffer, with every write short. */
static void send_by_copying(int64_t offset, bool appending) {
    rondo_loop *loop = new_loop();
    int from = memory_file(200000);
    place_make();
    int to = open("to", O_CREAT | O_RDWR | O_CLOEXEC | (appending ? O_APPEND : 0), 0600);
    if (!appending) faults_every(CALL_sendfile, 1, EINVAL);
    faults_limit(CALL_write, 777);
    CHECK_INT(send_it(loop, to, from, offset, 150000), 150000);
    CHECK(faults_count(CALL_write) >= 150000 / 777);
    faults_stop();
    check_same_bytes(to, 0, from, offset < 0 ? 0 : offset, 150000);
    CHECK_INT(lseek(from, 0, SEEK_CUR), offset < 0 ? 150000 : 0);
    close(from);
    close(to);
    place_remove();
    rondo_loop_free(loop);
}
TEST(sending_through_a_buffer) { send_by_copying(5000, false); }
TEST(sending_through_a_buffer_from_the_position) { send_by_copying(-1, false); }
TEST(sending_to_a_file_that_appends) { send_by_copying(100, true); }

TEST(sending_from_a_pipe) {
    int ends[2], to = memory_file(0);
    char text[8];
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    CHECK_INT(write(ends[1], "through", 7), 7);
    close(ends[1]);
    CHECK_INT(rondo_fs_sendfile_sync(to, ends[0], -1, 100), 7);
    CHECK_INT(pread(to, text, 8, 0), 7);
    CHECK_MEM(text, "through", 7);
    CHECK_INT(rondo_fs_sendfile_sync(to, ends[0], -1, 100), 0);
    close(ends[0]);
    close(to);
}

/* A part was moved: that is told, and the error with the next call. Nothing read is lost. */
static void fail_sending(bool copying, faults_calls calls, unsigned nth, int64_t offset,
                         int64_t want) {
    int from = memory_file(3000000), to = memory_file(0);
    if (copying) faults_every(CALL_sendfile, 1, EINVAL);
    faults_fail(calls, nth, EIO);
    CHECK_INT(rondo_fs_sendfile_sync(to, from, offset, 3000000), want);
    faults_stop();
    int64_t done = want < 0 ? 0 : want;
    CHECK_INT(lseek(to, 0, SEEK_CUR), done);
    CHECK_INT(lseek(from, 0, SEEK_CUR), offset < 0 ? done : 0);
    CHECK_INT(rondo_fs_sendfile_sync(to, from, offset < 0 ? -1 : done, 3000000), 3000000 - done);
    check_same_bytes(to, 0, from, 0, 3000000);
    close(from);
    close(to);
}
TEST(an_error_at_once_is_told) { fail_sending(false, CALL_sendfile, 1, 0, RONDO_EIO); }
TEST(an_error_after_a_step_waits) { fail_sending(false, CALL_sendfile, 2, -1, 1 << 20); }
TEST(a_read_that_fails_at_once) { fail_sending(true, CALL_pread, 1, 0, RONDO_EIO); }
TEST(a_write_that_fails_at_once) { fail_sending(true, CALL_write, 1, -1, RONDO_EIO); }
TEST(a_write_that_fails_after_a_part) { fail_sending(true, CALL_write, 3, -1, 2 * 65536); }
TEST(a_read_that_fails_after_a_part) { fail_sending(true, CALL_read, 2, -1, 65536); }

TEST(a_write_that_moves_nothing_ends_the_sending) {
    int from = memory_file(100), to = memory_file(0);
    faults_every(CALL_sendfile, 1, EINVAL);
    faults_limit(CALL_write, 0);
    CHECK_INT(rondo_fs_sendfile_sync(to, from, -1, 100), RONDO_EIO);
    faults_stop();
    CHECK_INT(lseek(from, 0, SEEK_CUR), 0);
    close(from);
    close(to);
}

/* ---- many parts ---- */

TEST(many_parts_in_short_pieces) {
    rondo_loop *loop = new_loop();
    static char bytes[9000], back[9000];
    static rondo_slice pieces[3000];
    static rondo_buffer buffers[3000];
    for (int i = 0; i < 9000; i++) bytes[i] = (char)(i * 7 + i / 251);
    for (int i = 0; i < 3000; i++) { /* of 0 to 6 bytes, 3 on average */
        size_t len = (size_t)i % 7, at = (size_t)i / 7 * 21 + len * (len - 1) / 2;
        pieces[i] = (rondo_slice){bytes + at, len};
        buffers[i] = (rondo_buffer){back + at, len};
    }
    size_t total = 0;
    for (int i = 0; i < 3000; i++) total += pieces[i].len;
    for (size_t limit = 1; limit < 2000; limit = limit * 3 + 1) {
        outcome what = {0};
        int fd = memory_file(0);
        memset(back, 0, sizeof back);
        faults_limit(CALL_pwritev | CALL_writev, limit);
        CHECK_INT(finish(loop,
                         rondo_fs_writev(loop, fd, pieces, 3000, limit % 2 ? 0 : -1, NULL,
                                         note_outcome, &what),
                         &what),
                  (long long)total);
        faults_clear();
        CHECK_INT(rondo_fs_readv_sync(fd, buffers, 3000, 0), (long long)total);
        for (int i = 0; i < 3000; i++) CHECK_MEM(buffers[i].data, pieces[i].data, pieces[i].len);
        faults_limit(CALL_preadv, limit); /* 256 parts, of 896 bytes, in one call */
        int64_t got = rondo_fs_readv_sync(fd, buffers, 3000, 0);
        CHECK_INT(got, (long long)(limit < 700 ? limit : total));
        faults_clear();
        close(fd);
    }
    rondo_loop_free(loop);
}

/* More of them than one system call takes, which would then say 0, as at the end of a file. */
TEST(empty_parts_before_the_others) {
    rondo_loop *loop = new_loop();
    static rondo_slice pieces[1001];
    static rondo_buffer buffers[1001];
    char back[3] = {0};
    outcome put = {0}, got = {0};
    int fd = memory_file(0);
    pieces[600] = (rondo_slice){"a", 1};
    pieces[1000] = (rondo_slice){"bc", 2};
    buffers[600] = (rondo_buffer){back, 1};
    buffers[1000] = (rondo_buffer){back + 1, 2};
    int error = rondo_fs_writev(loop, fd, pieces, 1001, 0, NULL, note_outcome, &put);
    CHECK_INT(finish(loop, error, &put), 3);
    CHECK_INT(rondo_fs_writev_sync(fd, pieces, 1001, -1), 3);
    CHECK_INT(rondo_fs_writev_sync(fd, pieces, 500, -1), 0);
    error = rondo_fs_readv(loop, fd, buffers, 1001, 0, NULL, note_outcome, &got);
    CHECK_INT(finish(loop, error, &got), 3);
    CHECK_MEM(back, "abc", 3);
    CHECK_INT(rondo_fs_readv_sync(fd, buffers, 1001, 1), 2);
    CHECK_MEM(back, "bcc", 3);
    CHECK_INT(rondo_fs_readv_sync(fd, buffers, 500, 0), 0);
    close(fd);
    rondo_loop_free(loop);
}
