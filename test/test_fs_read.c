/* SPDX-License-Identifier: MIT
 *
 * The two ways of a read: at once from the page cache, or by a worker. Which one it was shows in
 * the figures of the fs lane, for a read from the cache is no job of the lane's. What the kernel
 * would have to be lucky for is in test_fs_faults.c.
 */
#define _GNU_SOURCE
#include "gate.h"
#include "harness.h"

#include <rondo.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SIZE = 1 << 20 };
static char data[SIZE], buffer[SIZE];

/* A file with `data` in it, without a name, on a file system that can read without waiting. */
static int cached_file(int flags) {
    static const char *const places[] = {".", "/tmp", "/var/tmp"};

    for (size_t i = 0; i < SIZE; i++) data[i] = (char)(i * 31 + i / 4093);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int fd = open(places[i], O_TMPFILE | O_RDWR | O_CLOEXEC | flags, 0600);
        struct iovec part = {buffer, 1};
        if (fd < 0) continue;
        CHECK_INT(pwrite(fd, data, SIZE, 0), SIZE);
        if (preadv2(fd, &part, 1, 0, RWF_NOWAIT) == 1) return fd;
        close(fd);
    }
    SKIP("no file system here that knows RWF_NOWAIT");
}

/* One on tmpfs, which does not know it, so that a worker always reads. */
static int uncached_file(void) {
    int fd = memfd_create("file", MFD_CLOEXEC);
    for (size_t i = 0; i < SIZE; i++) data[i] = (char)(i * 31 + i / 4093);
    CHECK_INT(write(fd, data, SIZE), SIZE);
    CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
    struct iovec part = {buffer, 1};
    if (preadv2(fd, &part, 1, 0, RWF_NOWAIT) == 1) SKIP("tmpfs knows RWF_NOWAIT by now");
    return fd;
}

static outcome read_now(rondo_loop *loop, int fd, size_t len, int64_t offset) {
    outcome what = {0};
    memset(buffer, 0, len);
    CHECK_INT(rondo_fs_read(loop, fd, buffer, len, offset, NULL, note_outcome, &what), 0);
    CHECK_INT(what.calls, 0);
    run_to_end(loop);
    CHECK_INT(what.calls, 1);
    return what;
}

static uint64_t lane_done(rondo_loop *loop) { return figures_of(rondo_lane_fs(loop)).done; }

/* ---- from the cache ---- */

TEST(cached_reads_need_no_thread) {
    rondo_loop *loop = new_loop();
    int fd = cached_file(0);

    CHECK_INT(lseek(fd, 10, SEEK_SET), 10);
    outcome what = read_now(loop, fd, 4096, 5);
    CHECK_INT(what.result, 4096);
    CHECK_INT(what.phase, RONDO_PHASE_pending); /* and yet later */
    CHECK_MEM(buffer, data + 5, 4096);
    CHECK_INT(read_now(loop, fd, 100, -1).result, 100);
    CHECK_MEM(buffer, data + 10, 100);
    CHECK_INT(read_now(loop, fd, 100, -1).result, 100);
    CHECK_MEM(buffer, data + 110, 100);
    CHECK_INT(read_now(loop, fd, 4096, SIZE - 7).result, 7); /* short since it is the end */
    CHECK_INT(read_now(loop, fd, 4096, SIZE).result, 0);
    CHECK_INT(lseek(fd, -7, SEEK_END), SIZE - 7);
    CHECK_INT(read_now(loop, fd, 4096, -1).result, 7);
    CHECK_INT(read_now(loop, fd, 4096, -1).result, 0);
    CHECK_INT(read_now(loop, fd, 128 * 1024, 0).result, 128 * 1024);
    CHECK_INT(lane_done(loop), 0);
    CHECK_INT(figures_of(rondo_lane_fs(loop)).threads, 0);
    close(fd);
    rondo_loop_free(loop);
}

TEST(long_reads_are_for_a_worker) {
    rondo_loop *loop = new_loop();
    int fd = cached_file(0);

    CHECK_INT(read_now(loop, fd, SIZE, 0).result, SIZE);
    CHECK_MEM(buffer, data, SIZE);
    CHECK_INT(lane_done(loop), 1);
    close(fd);
    rondo_loop_free(loop);
}

TEST(cached_reads_go_on_when_the_lane_is_full) {
    rondo_loop *loop = new_loop();
    int fd = cached_file(0), slow = uncached_file();
    outcome what = {0};
    gate g;

    gate_init(&g);
    CHECK_INT(rondo_lane_resize(rondo_lane_fs(loop), 1, 1), 0);
    for (int i = 0; i < 2; i++) submit_standing(loop, rondo_lane_fs(loop), &g);
    CHECK_INT(rondo_fs_read(loop, slow, buffer, 1, 0, NULL, note_outcome, &what), RONDO_EAGAIN);
    CHECK_INT(rondo_fs_read(loop, slow, buffer, 1, -1, NULL, note_outcome, &what), RONDO_EAGAIN);
    CHECK_INT(rondo_fs_read(loop, fd, buffer, 100, -1, NULL, note_outcome, &what), 0);
    CHECK_INT(what.calls, 0);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
    CHECK_OUTCOME(what, 100);
    gate_open(&g, 2);
    run_to_end(loop);
    close(fd);
    close(slow);
    rondo_loop_free(loop);
}

static struct {
    int fd, reads;
    uint64_t turn;
} chain;
static void read_again(rondo_loop *loop, int64_t result, void *arg) {
    CHECK_INT(result, 100);
    CHECK(rondo_loop_turn(loop) > chain.turn); /* one per turn, so that others get theirs */
    chain.turn = rondo_loop_turn(loop);
    if (++chain.reads < 10)
        CHECK_INT(rondo_fs_read(loop, chain.fd, buffer, 100, 0, NULL, read_again, NULL), 0);
}

TEST(a_chain_of_cached_reads_lets_the_loop_turn) {
    rondo_loop *loop = new_loop();

    chain.fd = cached_file(0);
    CHECK_INT(rondo_fs_read(loop, chain.fd, buffer, 100, 0, NULL, read_again, NULL), 0);
    run_to_end(loop);
    CHECK_INT(chain.reads, 10);
    close(chain.fd);
    rondo_loop_free(loop);
}

enum { TRIES = 20 };

/* Leaves 32 KiB of the file in the cache, most likely: the kernel reads ahead as it sees fit, also
 * after this has returned, so that a test tries it several times. */
static void forget_most(int fd) {
    CHECK_INT(fsync(fd), 0);
    CHECK_INT(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    CHECK_INT(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
    CHECK_INT(pread(fd, buffer, 32768, 0), 32768);
    CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
}

/* Whole, in two parts. */
static void read_in_two_parts(int64_t offset) {
    rondo_loop *loop = new_loop();
    int fd = cached_file(0);

    for (int i = 0; i < TRIES && lane_done(loop) == 0; i++) {
        forget_most(fd);
        CHECK_INT(read_now(loop, fd, 65536, offset).result, 65536);
        CHECK_MEM(buffer, data, 65536);
        CHECK_INT(lseek(fd, 0, SEEK_CUR), offset < 0 ? 65536 : 0);
    }
    if (lane_done(loop) == 0) SKIP("the cache does as it likes");
    close(fd);
    rondo_loop_free(loop);
}
TEST(what_is_not_cached_comes_from_the_disk) { read_in_two_parts(0); }
TEST(what_is_not_cached_at_the_position) { read_in_two_parts(-1); }

TEST(direct_io_never_happens_on_the_loop) {
    rondo_loop *loop = new_loop();
    char *aligned = NULL;
    outcome what = {0};

    int fd = cached_file(0);
    CHECK_INT(fsync(fd), 0);
    if (fcntl(fd, F_SETFL, O_DIRECT) < 0) SKIP("no O_DIRECT here");
    CHECK_INT(posix_memalign((void **)&aligned, 4096, 4096), 0);
    CHECK_INT(rondo_fs_read(loop, fd, aligned, 4096, 4096, NULL, note_outcome, &what), 0);
    run_to_end(loop);
    CHECK_OUTCOME(what, 4096);
    CHECK_MEM(aligned, data + 4096, 4096);
    CHECK_INT(lane_done(loop), 1);
    free(aligned);
    close(fd);
    rondo_loop_free(loop);
}

/* ---- by a worker ---- */

TEST(reads_by_a_worker) {
    rondo_loop *loop = new_loop();
    int fd = uncached_file();

    CHECK_INT(read_now(loop, fd, 4096, 5).result, 4096);
    CHECK_MEM(buffer, data + 5, 4096);
    CHECK_INT(read_now(loop, fd, 100, -1).result, 100);
    CHECK_INT(read_now(loop, fd, 100, -1).result, 100);
    CHECK_MEM(buffer, data + 100, 100);
    CHECK_INT(read_now(loop, fd, 4096, SIZE - 7).result, 7);
    CHECK_INT(read_now(loop, fd, 4096, SIZE).result, 0);
    CHECK_INT(lane_done(loop), 5);
    close(fd);
    rondo_loop_free(loop);
}

TEST(reading_a_directory) {
    rondo_loop *loop = new_loop();
    int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    CHECK_INT(read_now(loop, fd, 100, 0).result, RONDO_EISDIR);
    CHECK_INT(read_now(loop, fd, 100, -1).result, RONDO_EISDIR);
    close(fd);
    rondo_loop_free(loop);
}

static void read_truncated(int fd) {
    rondo_loop *loop = new_loop();

    CHECK_INT(read_now(loop, fd, 4096, 0).result, 4096);
    CHECK_INT(ftruncate(fd, 5000), 0);
    CHECK_INT(read_now(loop, fd, 4096, 4096).result, 904);
    CHECK_INT(ftruncate(fd, 10), 0);
    CHECK_INT(read_now(loop, fd, 4096, 8192).result, 0);
    CHECK_INT(read_now(loop, fd, 4096, 0).result, 10);
    CHECK_MEM(buffer, data, 10);
    close(fd);
    rondo_loop_free(loop);
}
TEST(a_file_that_gets_shorter) { read_truncated(uncached_file()); }
TEST(a_cached_file_that_gets_shorter) { read_truncated(cached_file(0)); }

/* ---- what can wait for ever ---- */

typedef struct fifo {
    int fd;
    char name[64];
} fifo;
static fifo new_fifo(void) {
    fifo f;
    char dir[] = "/tmp/rondo-fs-XXXXXX";
    CHECK(mkdtemp(dir) != NULL);
    snprintf(f.name, sizeof f.name, "%s/fifo", dir);
    CHECK_INT(mkfifo(f.name, 0600), 0);
    f.fd = open(f.name, O_RDWR | O_CLOEXEC); /* so that there is a writer, too */
    CHECK(f.fd >= 0);
    CHECK_INT(unlink(f.name), 0);
    CHECK_INT(rmdir(dir), 0);
    return f;
}

static void write_three(rondo_timer *timer, void *arg) {
    fifo *f = arg;
    CHECK_INT(write(f->fd, "abc", 3), 3);
    rondo_close(timer);
}

TEST(an_empty_fifo_does_not_stop_the_loop) {
    rondo_loop *loop = new_loop();
    fifo f = new_fifo();
    outcome what = {0};

    CHECK_INT(rondo_fs_read(loop, f.fd, buffer, 100, -1, NULL, note_outcome, &what), 0);
    /* The loop goes on, or else nobody would write. */
    CHECK_INT(rondo_timer_start(rondo_timer_new(loop), 1, 0, write_three, &f), 0);
    run_to_end(loop);
    CHECK_OUTCOME(what, 3); /* and does not wait for a hundred */
    CHECK_MEM(buffer, "abc", 3);
    CHECK_INT(write(f.fd, "defg", 4), 4);
    CHECK_INT(read_now(loop, f.fd, 100, -1).result, 4);
    CHECK_INT(read_now(loop, f.fd, 100, 0).result, RONDO_ESPIPE);
    close(f.fd);
    rondo_loop_free(loop);
}

TEST(a_pipe_gives_what_it_has) {
    rondo_loop *loop = new_loop();
    int ends[2];

    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    CHECK_INT(write(ends[1], "abc", 3), 3);
    CHECK_INT(read_now(loop, ends[0], 100, -1).result, 3);
    close(ends[1]);
    CHECK_INT(read_now(loop, ends[0], 100, -1).result, 0);
    close(ends[0]);
    CHECK_INT(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    CHECK_INT(read_now(loop, ends[0], 100, -1).result, RONDO_EAGAIN);
    close(ends[0]);
    close(ends[1]);
    rondo_loop_free(loop);
}

TEST(cancel_of_a_running_read_tells_the_truth) {
    rondo_loop *loop = new_loop();
    rondo_job *job;
    fifo f = new_fifo();
    outcome what = {0};

    CHECK_INT(rondo_fs_read(loop, f.fd, buffer, 100, -1, &job, note_outcome, &what), 0);
    WAIT_FOR_FIGURE(rondo_lane_fs(loop), running, 1);
    CHECK_INT(rondo_job_cancel(job), RONDO_EBUSY);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 1);
    CHECK_INT(what.calls, 0); /* the buffer is in use */
    CHECK_INT(write(f.fd, "abc", 3), 3);
    run_to_end(loop);
    CHECK_OUTCOME(what, 3);
    close(f.fd);
    rondo_loop_free(loop);
}

TEST(cancel_of_a_cached_read) {
    rondo_loop *loop = new_loop();
    rondo_job *job;
    int fd = cached_file(0);
    outcome what = {0};

    CHECK_INT(rondo_fs_read(loop, fd, buffer, 100, 0, &job, note_outcome, &what), 0);
    CHECK_INT(rondo_job_cancel(job), RONDO_ENOENT);
    run_to_end(loop);
    CHECK_OUTCOME(what, 100);
    close(fd);
    rondo_loop_free(loop);
}

/* While a worker reads at a position the kernel holds a lock on it: the loop would wait for it. */
TEST(positions_are_not_waited_for) {
    rondo_loop *loop = new_loop();
    fifo f = new_fifo();
    int fd = cached_file(0);
    outcome blocked = {0}, what = {0};

    CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
    CHECK_INT(rondo_fs_read(loop, f.fd, buffer + 100, 100, -1, NULL, note_outcome, &blocked), 0);
    CHECK_INT(rondo_fs_read(loop, fd, buffer, 100, -1, NULL, note_outcome, &what), 0);
    while (what.calls == 0) CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
    CHECK_OUTCOME(what, 100);
    CHECK_INT(lane_done(loop), 1); /* a worker did it */
    what.calls = 0;
    CHECK_INT(rondo_fs_read(loop, fd, buffer, 100, 0, NULL, note_outcome, &what), 0);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
    CHECK_INT(what.calls, 1);
    CHECK_INT(lane_done(loop), 1); /* no position, no lock */
    CHECK_INT(write(f.fd, "abc", 3), 3);
    run_to_end(loop);
    CHECK_OUTCOME(blocked, 3);
    CHECK_INT(lane_done(loop), 2);
    CHECK_INT(read_now(loop, fd, 100, -1).result, 100);
    CHECK_INT(lane_done(loop), 2); /* from the cache again */
    close(f.fd);
    close(fd);
    rondo_loop_free(loop);
}

/* ---- memory ---- */

TEST(steady_state_allocates_nothing) {
    rondo_loop *loop = new_loop();
    int fd = uncached_file(), cached = cached_file(0);
    size_t before = 0;

    warm_up(loop);
    for (int round = 0; round < 10; round++) {
        if (round == 1) before = harness_alloc_count();
        for (int i = 0; i < 20; i++) {
            char *to = buffer + 200 * i;
            CHECK_INT(rondo_fs_read(loop, fd, to, 100, 0, NULL, ignore_done, NULL), 0);
            CHECK_INT(rondo_fs_read(loop, cached, to + 100, 100, 0, NULL, ignore_done, NULL), 0);
            CHECK_INT(rondo_fs_open(loop, "/none", O_RDONLY, 0, NULL, ignore_done, NULL), 0);
        }
        run_to_end(loop);
    }
    CHECK_INT(harness_alloc_count() - before, 0);
    close(fd);
    close(cached);
    rondo_loop_free(loop);
}
