/* SPDX-License-Identifier: MIT
 *
 * File operations on a system that does what it may but seldom does: interrupts them, does a part,
 * or fails in the middle.
 */
#define _GNU_SOURCE
#include "faults.h"
#include "gate.h"
#include "harness.h"

#include <rondo.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CALLS_READ_FILE (CALL_readv | CALL_preadv)
#define CALLS_WRITE_FILE (CALL_writev | CALL_pwritev)

/* So many calls on the descriptor are interrupted first. */
static void interrupt(faults_calls calls, int fd, unsigned count) {
    faults_watch();
    faults_on_fd(fd);
    for (unsigned i = 1; i <= count; i++) faults_fail(calls, 1, EINTR);
}

/* So much of a file is in the page cache. */
static void cache(size_t bytes) { faults_limit(CALL_preadv2, bytes); }
static void cache_nothing(void) { faults_every(CALL_preadv2, 1, EOPNOTSUPP); }

enum { SIZE = 5000 };
static char data[SIZE], buffer[SIZE];

static int new_file(void) {
    int fd = memfd_create("file", MFD_CLOEXEC);
    for (size_t i = 0; i < SIZE; i++) data[i] = (char)(i * 31 + i / 251);
    memset(buffer, 0, SIZE);
    return fd;
}

static int full_file(void) {
    int fd = new_file();
    CHECK_INT(write(fd, data, SIZE), SIZE);
    CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static int64_t finish(rondo_loop *loop, int error, const outcome *what) {
    CHECK_INT(error, 0);
    run_to_end(loop);
    CHECK_INT(what->calls, 1);
    return what->result;
}
static int64_t fs_read(rondo_loop *loop, int fd, int64_t offset) {
    outcome what = {0};
    int error = rondo_fs_read(loop, fd, buffer, SIZE, offset, NULL, note_outcome, &what);
    return finish(loop, error, &what);
}
static int64_t fs_write(rondo_loop *loop, int fd, int64_t offset) {
    outcome what = {0};
    int error = rondo_fs_write(loop, fd, data, SIZE, offset, NULL, note_outcome, &what);
    return finish(loop, error, &what);
}

TEST(a_write_in_many_pieces) {
    rondo_loop *loop = new_loop();

    for (int offset = -1; offset < 20; offset += 11) {
        int fd = new_file(), at = offset < 0 ? 0 : offset;
        interrupt(CALLS_WRITE_FILE, fd, 2);
        faults_limit(CALLS_WRITE_FILE, 999);
        CHECK_INT(fs_write(loop, fd, offset), SIZE);
        CHECK_INT(faults_count(offset < 0 ? CALL_writev : CALL_pwritev), 2 + 6);
        faults_clear();
        CHECK_INT(pread(fd, buffer, SIZE, at), SIZE);
        CHECK_MEM(buffer, data, SIZE);
        CHECK_INT(lseek(fd, 0, SEEK_END), at + SIZE);
        close(fd);
    }
    rondo_loop_free(loop);
}

TEST(a_write_that_moves_nothing_ends) {
    rondo_loop *loop = new_loop();
    int fd = new_file();

    faults_limit(CALL_pwritev, 0);
    CHECK_INT(fs_write(loop, fd, 0), RONDO_EIO);
    close(fd);
    rondo_loop_free(loop);
}

TEST(interrupted_reads_go_on) {
    rondo_loop *loop = new_loop();
    int fd = full_file();

    for (int offset = -1; offset <= 0; offset++) {
        memset(buffer, 0, SIZE);
        interrupt(CALLS_READ_FILE, fd, 3);
        cache_nothing();
        CHECK_INT(fs_read(loop, fd, offset), SIZE);
        CHECK_INT(faults_count(offset < 0 ? CALL_readv : CALL_preadv), 4);
        faults_clear();
        CHECK_MEM(buffer, data, SIZE);
    }
    close(fd);
    rondo_loop_free(loop);
}

static void note_stat(rondo_loop *loop, int result, const rondo_stat *stat, void *arg) {
    note_outcome(loop, result, arg);
}

TEST(interrupted_open_and_stat_go_on) {
    rondo_loop *loop = new_loop();
    outcome opened = {0}, stated = {0};

    interrupt(CALL_openat, -1, 3);
    int error = rondo_fs_open(loop, "/", O_RDONLY, 0, NULL, note_outcome, &opened);
    CHECK(finish(loop, error, &opened) >= 0);
    CHECK_INT(faults_count(CALL_openat), 4);
    interrupt(CALL_statx, -1, 3);
    error = rondo_fs_stat(loop, "/", NULL, note_stat, &stated);
    CHECK_INT(finish(loop, error, &stated), 0);
    CHECK_INT(faults_count(CALL_statx), 4);
    faults_clear();
    close((int)opened.result);
    rondo_loop_free(loop);
}

TEST(interrupted_close_is_not_repeated) {
    rondo_loop *loop = new_loop();
    outcome what = {0};
    int fd = new_file();

    interrupt(CALL_close, fd, 1);
    CHECK_INT(finish(loop, rondo_fs_close(loop, fd, note_outcome, &what), &what), RONDO_EINTR);
    CHECK_INT(faults_count(CALL_close), 1);
    faults_clear();
    rondo_loop_free(loop);
}

/* ---- a part from the page cache ---- */

static void read_in_two_parts(int64_t offset, size_t cached) {
    rondo_loop *loop = new_loop();
    int fd = full_file();

    cache(cached);
    CHECK_INT(fs_read(loop, fd, offset), SIZE);
    CHECK_MEM(buffer, data, SIZE);
    CHECK_INT(figures_of(rondo_lane_fs(loop)).done, 1);
    close(fd);
    rondo_loop_free(loop);
}
TEST(the_rest_comes_from_a_worker) { read_in_two_parts(0, 1000); }
TEST(the_rest_at_the_position_comes_from_a_worker) { read_in_two_parts(-1, 1000); }
/* Linux 5.10 says so in the middle of a file. */
TEST(a_cache_that_says_0_is_not_believed) { read_in_two_parts(0, 0); }
TEST(a_cache_that_says_0_at_the_position_is_not_believed) { read_in_two_parts(-1, 0); }

TEST(a_canceled_read_leaves_the_position_alone) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = rondo_lane_fs(loop);
    outcome what = {0};
    rondo_job *job;
    gate g;
    int fd = full_file();

    gate_init(&g);
    CHECK_INT(rondo_lane_resize(lane, 1, 10), 0);
    submit_standing(loop, lane, &g);
    cache(1000);
    CHECK_INT(rondo_fs_read(loop, fd, buffer, SIZE, -1, &job, note_outcome, &what), 0);
    CHECK_INT(rondo_job_cancel(job), 0);
    CHECK_INT(lseek(fd, 0, SEEK_CUR), 0);
    gate_open(&g, 1);
    run_to_end(loop);
    CHECK_OUTCOME(what, RONDO_ECANCELED);
    close(fd);
    rondo_loop_free(loop);
}

TEST(an_error_after_a_part_waits) {
    rondo_loop *loop = new_loop();
    int fd = full_file();

    faults_every(CALL_preadv, 1, EIO);
    cache(1000);
    CHECK_INT(fs_read(loop, fd, 0), 1000);
    faults_clear();
    faults_every(CALL_preadv, 1, EIO);
    cache_nothing();
    CHECK_INT(fs_read(loop, fd, 1000), RONDO_EIO);
    CHECK_MEM(buffer, data, 1000);
    close(fd);
    rondo_loop_free(loop);
}

TEST(a_part_is_delivered_when_the_lane_is_full) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = rondo_lane_fs(loop);
    int fd = full_file();
    outcome what = {0};
    gate g;

    gate_init(&g);
    CHECK_INT(rondo_lane_resize(lane, 1, 1), 0);
    for (int i = 0; i < 2; i++) submit_standing(loop, lane, &g);
    cache(1000);
    CHECK_INT(rondo_fs_read(loop, fd, buffer, SIZE, 0, NULL, note_outcome, &what), 0);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
    CHECK_OUTCOME(what, 1000);
    what.calls = 0;
    CHECK_INT(rondo_fs_read(loop, fd, buffer, SIZE, -1, NULL, note_outcome, &what), RONDO_EAGAIN);
    CHECK_INT(what.calls, 0);
    CHECK_INT(lseek(fd, 0, SEEK_CUR), 0); /* nothing has happened */
    gate_open(&g, 2);
    run_to_end(loop);
    close(fd);
    rondo_loop_free(loop);
}
