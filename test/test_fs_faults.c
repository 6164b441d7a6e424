/* SPDX-License-Identifier: MIT
 *
 * File operations on a system that does what it may but seldom does: interrupts them, does a part,
 * or fails in the middle. The functions below stand in front of the C library's.
 */
#define _GNU_SOURCE
#include "gate.h"
#include "harness.h"

#include <rondo.h>

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* What happens to the calls on one descriptor, and to those that have none; all 0: nothing. */
static struct {
    atomic_bool on;
    atomic_int fd;
    atomic_int calls;
    atomic_int interrupt; /* so many calls fail with EINTR first */
    atomic_int limit;     /* bytes that one call moves */
    atomic_int error;     /* then every call fails with this */
    atomic_bool nothing;  /* every call moves 0 bytes */
    atomic_int cached;    /* bytes that are in the page cache; -1: it fails */
} fault;

enum { NONE = -1 };

static void faults_begin(int fd) {
    atomic_store(&fault.fd, fd);
    atomic_store(&fault.on, true);
}

static void faults_end(void) {
    atomic_store(&fault.on, false);
    atomic_store(&fault.calls, 0);
    atomic_store(&fault.interrupt, 0);
    atomic_store(&fault.limit, 0);
    atomic_store(&fault.error, 0);
    atomic_store(&fault.nothing, false);
}

/* Returns false when the call must fail; errno says why. */
static bool may_pass(int fd, size_t *len) {
    if (!atomic_load(&fault.on) || fd != atomic_load(&fault.fd)) return true;
    atomic_fetch_add(&fault.calls, 1);
    if (atomic_load(&fault.interrupt) > 0) {
        atomic_fetch_sub(&fault.interrupt, 1);
        errno = EINTR;
        return false;
    }
    if (atomic_load(&fault.error)) {
        errno = atomic_load(&fault.error);
        return false;
    }
    size_t limit = (size_t)atomic_load(&fault.limit);
    if (len && limit > 0 && *len > limit) *len = limit;
    if (len && atomic_load(&fault.nothing)) *len = 0;
    return true;
}

ssize_t read(int fd, void *buffer, size_t len) {
    return may_pass(fd, &len) ? syscall(SYS_read, fd, buffer, len) : -1;
}
ssize_t write(int fd, const void *buffer, size_t len) {
    return may_pass(fd, &len) ? syscall(SYS_write, fd, buffer, len) : -1;
}
ssize_t pread(int fd, void *buffer, size_t len, off_t offset) {
    return may_pass(fd, &len) ? syscall(SYS_pread64, fd, buffer, len, offset) : -1;
}
ssize_t pwrite(int fd, const void *buffer, size_t len, off_t offset) {
    return may_pass(fd, &len) ? syscall(SYS_pwrite64, fd, buffer, len, offset) : -1;
}
int open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    int mode = va_arg(args, int);
    va_end(args);
    return may_pass(NONE, NULL) ? (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode) : -1;
}
int close(int fd) {
    int result = (int)syscall(SYS_close, fd); /* interrupted or not, it is closed */
    return may_pass(fd, NULL) ? result : -1;
}
int stat(const char *path, struct stat *st) {
    return may_pass(NONE, NULL) ? fstatat(AT_FDCWD, path, st, 0) : -1;
}
ssize_t preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    CHECK_INT(count, 1);
    CHECK_INT(flags, RWF_NOWAIT);
    int cached = atomic_load(&fault.cached);
    errno = EOPNOTSUPP;
    if (cached < 0) return -1;
    size_t len = parts->iov_len < (size_t)cached ? parts->iov_len : (size_t)cached;
    if (offset < 0) return syscall(SYS_read, fd, parts->iov_base, len);
    return syscall(SYS_pread64, fd, parts->iov_base, len, offset);
}

enum { SIZE = 5000 };
static char data[SIZE], buffer[SIZE];

static int new_file(void) {
    int fd = memfd_create("file", MFD_CLOEXEC);
    for (size_t i = 0; i < SIZE; i++) data[i] = (char)(i * 31 + i / 251);
    memset(buffer, 0, SIZE);
    atomic_store(&fault.cached, -1);
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
        atomic_store(&fault.limit, 999);
        atomic_store(&fault.interrupt, 2);
        faults_begin(fd);
        CHECK_INT(fs_write(loop, fd, offset), SIZE);
        CHECK_INT(atomic_load(&fault.calls), 2 + 6);
        faults_end();
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

    atomic_store(&fault.nothing, true);
    faults_begin(fd);
    CHECK_INT(fs_write(loop, fd, 0), RONDO_EIO);
    faults_end();
    close(fd);
    rondo_loop_free(loop);
}

TEST(interrupted_reads_go_on) {
    rondo_loop *loop = new_loop();
    int fd = full_file();

    for (int offset = -1; offset <= 0; offset++) {
        memset(buffer, 0, SIZE);
        atomic_store(&fault.interrupt, 3);
        faults_begin(fd);
        CHECK_INT(fs_read(loop, fd, offset), SIZE);
        CHECK_INT(atomic_load(&fault.calls), 4);
        faults_end();
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

    atomic_store(&fault.interrupt, 3);
    faults_begin(NONE);
    int error = rondo_fs_open(loop, "/", O_RDONLY, 0, NULL, note_outcome, &opened);
    CHECK(finish(loop, error, &opened) >= 0);
    atomic_store(&fault.interrupt, 3);
    error = rondo_fs_stat(loop, "/", NULL, note_stat, &stated);
    CHECK_INT(finish(loop, error, &stated), 0);
    CHECK_INT(atomic_load(&fault.calls), 8);
    faults_end();
    close((int)opened.result);
    rondo_loop_free(loop);
}

TEST(interrupted_close_is_not_repeated) {
    rondo_loop *loop = new_loop();
    outcome what = {0};
    int fd = new_file();

    atomic_store(&fault.interrupt, 1);
    faults_begin(fd);
    CHECK_INT(finish(loop, rondo_fs_close(loop, fd, note_outcome, &what), &what), RONDO_EINTR);
    CHECK_INT(atomic_load(&fault.calls), 1);
    faults_end();
    rondo_loop_free(loop);
}

/* ---- a part from the page cache ---- */

static void read_in_two_parts(int64_t offset, int cached) {
    rondo_loop *loop = new_loop();
    int fd = full_file();

    atomic_store(&fault.cached, cached);
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

TEST(an_error_after_a_part_waits) {
    rondo_loop *loop = new_loop();
    int fd = full_file();

    atomic_store(&fault.cached, 1000);
    atomic_store(&fault.error, EIO);
    faults_begin(fd);
    CHECK_INT(fs_read(loop, fd, 0), 1000);
    atomic_store(&fault.cached, -1);
    CHECK_INT(fs_read(loop, fd, 1000), RONDO_EIO);
    faults_end();
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
    atomic_store(&fault.cached, 1000);
    CHECK_INT(rondo_fs_read(loop, fd, buffer, SIZE, -1, NULL, note_outcome, &what), 0);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
    CHECK_OUTCOME(what, 1000);
    CHECK_INT(lseek(fd, 0, SEEK_CUR), 1000);
    gate_open(&g, 2);
    run_to_end(loop);
    close(fd);
    rondo_loop_free(loop);
}
