/* SPDX-License-Identifier: MIT
 *
 * File operations: what each does, and every way to fail that the outside world has. The two ways
 * of a read, through the page cache and through a worker, are in test_fs_read.c.
 */
#define _GNU_SOURCE
#include "gate.h"
#include "harness.h"

#include <rondo.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- a directory to work in; operations one at a time ---- */

static char dir[64];
static char path[512];

static void make_dir(void) {
    snprintf(dir, sizeof dir, "/tmp/rondo-fs-XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
}

static const char *in_dir(const char *name) {
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void remove_dir(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    CHECK_INT(system(command), 0);
}

static int64_t finish(rondo_loop *loop, int error, const outcome *what) {
    CHECK_INT(error, 0);
    CHECK_INT(what->calls, 0); /* not inside the call */
    run_to_end(loop);
    CHECK_INT(what->calls, 1);
    return what->result;
}

static int64_t fs_open(rondo_loop *loop, const char *name, int flags, uint32_t mode) {
    outcome what = {0};
    int error = rondo_fs_open(loop, name, flags, mode, NULL, note_outcome, &what);
    return finish(loop, error, &what);
}
static int64_t fs_read(rondo_loop *loop, int fd, void *buffer, size_t len, int64_t offset) {
    outcome what = {0};
    int error = rondo_fs_read(loop, fd, buffer, len, offset, NULL, note_outcome, &what);
    return finish(loop, error, &what);
}
static int64_t fs_write(rondo_loop *loop, int fd, const char *data, size_t len, int64_t offset) {
    outcome what = {0};
    int error = rondo_fs_write(loop, fd, data, len, offset, NULL, note_outcome, &what);
    return finish(loop, error, &what);
}
static int64_t fs_close(rondo_loop *loop, int fd) {
    outcome what = {0};
    int error = rondo_fs_close(loop, fd, note_outcome, &what);
    return finish(loop, error, &what);
}

typedef struct stat_outcome {
    int calls;
    int result;
    rondo_stat stat;
} stat_outcome;
static void note_stat(rondo_loop *loop, int result, const rondo_stat *stat, void *arg) {
    stat_outcome *what = arg;
    what->calls++;
    what->result = result;
    CHECK((stat == NULL) == (result < 0));
    if (stat) what->stat = *stat;
}
static stat_outcome fs_stat(rondo_loop *loop, const char *name) {
    stat_outcome what = {0};
    CHECK_INT(rondo_fs_stat(loop, name, NULL, note_stat, &what), 0);
    CHECK_INT(what.calls, 0);
    run_to_end(loop);
    CHECK_INT(what.calls, 1);
    return what;
}

/* ---- open and close ---- */

TEST(written_and_read_again) {
    rondo_loop *loop = new_loop();
    char buffer[32];

    make_dir();
    int fd = (int)fs_open(loop, in_dir("file"), O_RDWR | O_CREAT | O_EXCL, 0640);
    CHECK(fd >= 0);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_INT(fs_write(loop, fd, "hello, world", 12, -1), 12);
    CHECK_INT(fs_write(loop, fd, "W", 1, 7), 1);
    CHECK_INT(fs_write(loop, fd, "!", 1, -1), 1); /* pwrite moved nothing */
    CHECK_INT(fs_read(loop, fd, buffer, sizeof buffer, 0), 13);
    CHECK_MEM(buffer, "hello, World!", 13);
    CHECK_INT(fs_read(loop, fd, buffer, 5, 7), 5);
    CHECK_MEM(buffer, "World", 5);
    CHECK_INT(fs_read(loop, fd, buffer, sizeof buffer, 13), 0);
    CHECK_INT(fs_read(loop, fd, buffer, sizeof buffer, 1000), 0);
    CHECK_INT(fs_read(loop, fd, buffer, sizeof buffer, -1), 0); /* at the end */
    CHECK_INT(fs_read(loop, fd, NULL, 0, 0), 0);
    CHECK_INT(fs_write(loop, fd, NULL, 0, 0), 0);
    CHECK_INT(fs_close(loop, fd), 0);
    CHECK_INT(fs_close(loop, fd), RONDO_EBADF);

    fd = (int)fs_open(loop, in_dir("file"), O_RDONLY, 0);
    CHECK_INT(fs_read(loop, fd, buffer, 5, -1), 5);
    CHECK_MEM(buffer, "hello", 5);
    CHECK_INT(fs_read(loop, fd, buffer, 5, 0), 5); /* leaves the position alone */
    CHECK_INT(fs_read(loop, fd, buffer, sizeof buffer, -1), 8);
    CHECK_MEM(buffer, ", World!", 8);
    CHECK_INT(fs_close(loop, fd), 0);
    remove_dir();
    rondo_loop_free(loop);
}

TEST(open_says_what_is_wrong) {
    rondo_loop *loop = new_loop();
    char *name = calloc(1, 8192);

    make_dir();
    CHECK_INT(close(open(in_dir("file"), O_CREAT | O_WRONLY, 0600)), 0);
    CHECK_INT(symlink("file", in_dir("link")), 0);
    CHECK_INT(fs_open(loop, in_dir("none"), O_RDONLY, 0), RONDO_ENOENT);
    CHECK_INT(fs_open(loop, "", O_RDONLY, 0), RONDO_ENOENT);
    CHECK_INT(fs_open(loop, in_dir("file"), O_CREAT | O_EXCL | O_RDWR, 0600), RONDO_EEXIST);
    CHECK_INT(fs_open(loop, in_dir("file/x"), O_RDONLY, 0), RONDO_ENOTDIR);
    CHECK_INT(fs_open(loop, dir, O_WRONLY, 0), RONDO_EISDIR);
    CHECK_INT(fs_open(loop, in_dir("link"), O_RDONLY | O_NOFOLLOW, 0), RONDO_ELOOP);
    memset(name, 'x', 8191);
    CHECK_INT(fs_open(loop, name, O_RDONLY, 0), RONDO_ENAMETOOLONG);
    CHECK_INT(fs_stat(loop, name).result, RONDO_ENAMETOOLONG);
    name[256] = '\0';
    CHECK_INT(fs_open(loop, in_dir(name), O_RDONLY, 0), RONDO_ENAMETOOLONG);
    free(name);
    remove_dir();
    rondo_loop_free(loop);
}

TEST(no_permission) {
    rondo_loop *loop = new_loop();

    make_dir();
    CHECK_INT(close(open(in_dir("secret"), O_CREAT | O_WRONLY, 0000)), 0);
    if (geteuid() == 0) { /* who may do everything, so as somebody else */
        CHECK_INT(chmod(dir, 0755), 0);
        CHECK_INT(seteuid(65534), 0);
    }
    CHECK_INT(fs_open(loop, in_dir("secret"), O_RDONLY, 0), RONDO_EACCES);
    if (getuid() == 0) {
        CHECK_INT(seteuid(0), 0);
        CHECK_INT(prctl(PR_SET_DUMPABLE, 1), 0); /* the harness wants to see /proc/self */
    }
    remove_dir();
    rondo_loop_free(loop);
}

TEST(out_of_descriptors) {
    rondo_loop *loop = new_loop();
    struct rlimit before, few;

    CHECK_INT(fs_stat(loop, "/").result, 0); /* everything has been made that is needed */
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    int fd = dup(0);
    few = before;
    few.rlim_cur = (rlim_t)fd;
    close(fd);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
    CHECK_INT(fs_open(loop, "/dev/null", O_RDONLY, 0), RONDO_EMFILE);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    fd = (int)fs_open(loop, "/dev/null", O_RDONLY, 0);
    CHECK(fd >= 0);
    CHECK_INT(fs_close(loop, fd), 0);
    rondo_loop_free(loop);
}

TEST(names_are_bytes_and_copied) {
    rondo_loop *loop = new_loop();
    char name[300];
    outcome what = {0};

    make_dir();
    for (int length = 1; length <= 250; length += 83) { /* with and without recycled memory */
        int used = snprintf(name, sizeof name, "%s/\xff\xfe \n", dir);
        memset(name + used, '\xe9', (size_t)length);
        name[used + length] = '\0';
        what.calls = 0;
        CHECK_INT(rondo_fs_open(loop, name, O_CREAT | O_WRONLY, 0600, NULL, note_outcome, &what),
                  0);
        memset(name, 'x', sizeof name - 1);
        run_to_end(loop);
        CHECK(what.result >= 0);
        CHECK_INT(fs_close(loop, (int)what.result), 0);
        used = snprintf(name, sizeof name, "%s/\xff\xfe \n", dir);
        memset(name + used, '\xe9', (size_t)length);
        name[used + length] = '\0';
        CHECK_INT(access(name, F_OK), 0);
        CHECK_INT(fs_stat(loop, name).result, 0);
    }
    remove_dir();
    rondo_loop_free(loop);
}

TEST(unusable_arguments_are_refused) {
    rondo_loop *loop = new_loop();
    outcome what = {0};
    char buffer[1];

    CHECK_INT(rondo_fs_open(loop, NULL, 0, 0, NULL, note_outcome, &what), RONDO_EINVAL);
    CHECK_INT(rondo_fs_open(loop, "/", 0, 0, NULL, NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_fs_close(loop, 0, NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_fs_stat(loop, NULL, NULL, note_stat, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_fs_fstat(loop, 0, NULL, NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_fs_read(loop, 0, NULL, 1, 0, NULL, note_outcome, &what), RONDO_EINVAL);
    CHECK_INT(rondo_fs_read(loop, 0, buffer, 1, -2, NULL, note_outcome, &what), RONDO_EINVAL);
    CHECK_INT(rondo_fs_read(loop, 0, buffer, SIZE_MAX, 0, NULL, note_outcome, &what), RONDO_EINVAL);
    CHECK_INT(rondo_fs_write(loop, 0, buffer, 2, INT64_MAX, NULL, note_outcome, &what),
              RONDO_EINVAL);
    CHECK_INT(rondo_fs_write(loop, 0, buffer, 1, 0, NULL, NULL, NULL), RONDO_EINVAL);
    run_to_end(loop);
    CHECK_INT(what.calls, 0);
    CHECK_INT(fs_read(loop, -1, buffer, 1, 0), RONDO_EBADF);
    CHECK_INT(fs_close(loop, -1), RONDO_EBADF);
    rondo_loop_free(loop);
}

/* ---- writes that fail ---- */

TEST(writes_that_fail) {
    rondo_loop *loop = new_loop();
    int ends[2];

    int fd = (int)fs_open(loop, "/dev/full", O_WRONLY, 0);
    CHECK_INT(fs_write(loop, fd, "x", 1, -1), RONDO_ENOSPC);
    CHECK_INT(fs_close(loop, fd), 0);
    fd = (int)fs_open(loop, "/dev/null", O_RDONLY, 0);
    CHECK_INT(fs_write(loop, fd, "x", 1, 0), RONDO_EBADF);
    CHECK_INT(fs_write(loop, fd, NULL, 0, -1), RONDO_EBADF); /* an empty one, too */
    CHECK_INT(fs_close(loop, fd), 0);
    CHECK_INT(pipe(ends), 0);
    CHECK_INT(fs_write(loop, ends[1], "x", 1, 0), RONDO_ESPIPE);
    close(ends[0]);
    CHECK_INT(fs_write(loop, ends[1], "x", 1, -1), RONDO_EPIPE); /* and no SIGPIPE */
    CHECK_INT(fs_close(loop, ends[1]), 0);
    rondo_loop_free(loop);
}

TEST(a_short_write_goes_on_and_finds_the_error) {
    rondo_loop *loop = new_loop();
    struct rlimit before, small;
    static char data[100000];

    make_dir();
    int fd = (int)fs_open(loop, in_dir("file"), O_RDWR | O_CREAT, 0600);
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 65536;
    signal(SIGXFSZ, SIG_IGN);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
    int64_t positioned = fs_write(loop, fd, data, sizeof data, -1);
    int64_t at = fs_write(loop, fd, data, sizeof data, 1000);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK_INT(positioned, RONDO_EFBIG);
    CHECK_INT(at, RONDO_EFBIG);
    CHECK_INT(lseek(fd, 0, SEEK_END), 65536);
    CHECK_INT(fs_close(loop, fd), 0);
    remove_dir();
    rondo_loop_free(loop);
}

TEST(a_write_too_large_for_one_system_call) {
    rondo_loop *loop = new_loop();
    size_t size = (size_t)3 << 30; /* write(2) does 2 GiB minus a page at most */

    if (harness_is_slow()) SKIP("a tool that looks at 3 GiB of memory");
    void *nothing = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (nothing == MAP_FAILED) SKIP("no 3 GiB of address space");
    int fd = (int)fs_open(loop, "/dev/null", O_WRONLY, 0);
    CHECK_INT(fs_write(loop, fd, nothing, size, -1), size);
    CHECK_INT(fs_write(loop, fd, nothing, size, 5), size);
    CHECK_INT(fs_close(loop, fd), 0);
    CHECK_INT(munmap(nothing, size), 0);
    rondo_loop_free(loop);
}

/* ---- stat ---- */

TEST(stat_tells_all) {
    rondo_loop *loop = new_loop();
    struct timespec times[2] = {{1234567890, 123456789}, {987654321, 999999999}};
    struct stat st;

    make_dir();
    int fd = (int)fs_open(loop, in_dir("file"), O_RDWR | O_CREAT, 0600);
    CHECK_INT(fs_write(loop, fd, "12345", 5, 100000), 5);
    CHECK_INT(fchmod(fd, 04751), 0);
    CHECK_INT(futimens(fd, times), 0);
    CHECK_INT(fstat(fd, &st), 0);
    stat_outcome by_fd = {0}, by_name = fs_stat(loop, in_dir("file"));
    CHECK_INT(rondo_fs_fstat(loop, fd, NULL, note_stat, &by_fd), 0);
    run_to_end(loop);
    CHECK_INT(by_fd.calls, 1);
    CHECK_MEM(&by_fd.stat, &by_name.stat, sizeof by_fd.stat);
    CHECK_INT(by_fd.stat.type, RONDO_FILE_REGULAR);
    CHECK_INT(by_fd.stat.mode, 04751);
    CHECK_INT(by_fd.stat.size, 100005);
    CHECK_INT(by_fd.stat.uid, st.st_uid);
    CHECK_INT(by_fd.stat.gid, st.st_gid);
    CHECK_INT(by_fd.stat.dev, st.st_dev);
    CHECK_INT(by_fd.stat.ino, st.st_ino);
    CHECK_INT(by_fd.stat.nlink, 1);
    CHECK_INT(by_fd.stat.blocks, st.st_blocks);
    CHECK_INT(by_fd.stat.atime_ns, 1234567890123456789);
    CHECK_INT(by_fd.stat.mtime_ns, 987654321999999999);
    CHECK_INT(by_fd.stat.ctime_ns / 1000000000, st.st_ctim.tv_sec);
    CHECK_INT(fs_close(loop, fd), 0);
    CHECK_INT(rondo_fs_fstat(loop, fd, NULL, note_stat, &by_fd), 0);
    run_to_end(loop);
    CHECK_INT(by_fd.result, RONDO_EBADF);
    remove_dir();
    rondo_loop_free(loop);
}

TEST(stat_knows_types) {
    rondo_loop *loop = new_loop();
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    make_dir();
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", dir);
    CHECK_INT(mkfifo(in_dir("fifo"), 0600), 0);
    CHECK_INT(fs_stat(loop, path).stat.type, RONDO_FILE_FIFO);
    CHECK_INT(symlink(dir, in_dir("link")), 0);
    CHECK_INT(fs_stat(loop, path).stat.type, RONDO_FILE_DIRECTORY); /* it follows */
    CHECK_INT(symlink("nowhere", in_dir("dangling")), 0);
    CHECK_INT(fs_stat(loop, path).result, RONDO_ENOENT);
    int sock = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_INT(bind(sock, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(fs_stat(loop, address.sun_path).stat.type, RONDO_FILE_SOCKET);
    CHECK_INT(fs_stat(loop, "/dev/null").stat.type, RONDO_FILE_CHAR_DEVICE);
    close(sock);
    remove_dir();
    rondo_loop_free(loop);
}

TEST(times_beyond_64_bits_are_cut) {
    rondo_loop *loop = new_loop();
    struct timespec far[2] = {{INT64_C(12000000000), 0}, {INT64_C(-12000000000), 0}};
    struct stat st;

    make_dir();
    int fd = (int)fs_open(loop, in_dir("file"), O_RDWR | O_CREAT, 0600);
    CHECK_INT(futimens(fd, far), 0);
    CHECK_INT(fstat(fd, &st), 0);
    rondo_stat stat = fs_stat(loop, path).stat;
    if (st.st_atim.tv_sec == far[0].tv_sec) CHECK_INT(stat.atime_ns, INT64_MAX);
    if (st.st_mtim.tv_sec == far[1].tv_sec) CHECK_INT(stat.mtime_ns, INT64_MIN);
    CHECK_INT(fs_close(loop, fd), 0);
    remove_dir();
    rondo_loop_free(loop);
}

/* ---- a full lane; the end of the loop; memory ---- */

TEST(full_lane_refuses_all_but_close) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = rondo_lane_fs(loop);
    outcome what = {0}, closed = {0};
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    gate g;

    gate_init(&g);
    CHECK_INT(rondo_lane_resize(lane, 1, 1), 0);
    submit_standing(loop, lane, &g);
    submit_standing(loop, lane, &g);
    CHECK_INT(rondo_fs_open(loop, "/", O_RDONLY, 0, NULL, note_outcome, &what), RONDO_EAGAIN);
    CHECK_INT(rondo_fs_stat(loop, "/", NULL, note_stat, &what), RONDO_EAGAIN);
    CHECK_INT(rondo_fs_write(loop, fd, "x", 1, 0, NULL, note_outcome, &what), RONDO_EAGAIN);
    CHECK_INT(rondo_fs_close(loop, fd, note_outcome, &closed), 0);
    CHECK_INT(figures_of(lane).refused, 3); /* so it is in the queue, */
    CHECK(fcntl(fd, F_GETFD) >= 0);         /* and not done on the spot */
    gate_open(&g, 2);
    run_to_end(loop);
    CHECK_INT(what.calls, 0);
    CHECK_OUTCOME(closed, 0);
    CHECK_INT(fcntl(fd, F_GETFD), -1);
    rondo_loop_free(loop);
}

TEST(close_without_a_thread) {
    rondo_loop *loop = new_loop();
    struct rlimit before, none = {0, 0};
    outcome what = {0};
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (harness_is_slow()) SKIP("a limit of memory would be one of the tools, too");
    CHECK(rondo_lane_fs(loop) != NULL);
    CHECK_INT(getrlimit(RLIMIT_AS, &before), 0);
    none.rlim_max = before.rlim_max;
    CHECK_INT(setrlimit(RLIMIT_AS, &none), 0);
    int error = rondo_fs_close(loop, fd, note_outcome, &what);
    CHECK_INT(setrlimit(RLIMIT_AS, &before), 0);
    CHECK_INT(finish(loop, error, &what), 0);
    CHECK_INT(fcntl(fd, F_GETFD), -1);
    rondo_loop_free(loop);
}

static void never(rondo_loop *loop, int64_t result, void *arg) { FAIL("called back"); }

TEST(freed_loop_leaves_no_descriptor) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = rondo_lane_fs(loop);
    gate g;

    gate_init(&g);
    CHECK_INT(rondo_fs_open(loop, "/", O_RDONLY, 0, NULL, never, NULL), 0); /* it is open ... */
    WAIT_FOR_FIGURE(lane, done, 1); /* ... and nobody will hear of it */
    CHECK_INT(rondo_lane_resize(lane, 1, 10), 0);
    CHECK_INT(rondo_work_submit(loop, lane, NULL, stand_at, never, &g), 0);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_fs_open(loop, "/", O_RDONLY, 0, NULL, never, NULL), 0); /* never begins */
    CHECK_INT(rondo_fs_close(loop, open("/", O_RDONLY), never, NULL), 0);   /* must happen */
    gate_open(&g, 1);
    rondo_loop_free(loop); /* the harness looks for descriptors */
}

TEST(close_all_leaves_no_descriptor) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = rondo_lane_fs(loop);
    outcome opened = {0}, closed = {0};
    gate g;

    gate_init(&g);
    CHECK_INT(rondo_lane_resize(lane, 1, 10), 0);
    submit_standing(loop, lane, &g);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_fs_close(loop, open("/", O_RDONLY), note_outcome, &closed), 0);
    CHECK_INT(rondo_fs_open(loop, "/", O_RDONLY, 0, NULL, note_outcome, &opened), 0);
    rondo_loop_close_all(loop);
    gate_open(&g, 1);
    run_to_end(loop);
    CHECK_OUTCOME(opened, RONDO_ECANCELED);
    CHECK_OUTCOME(closed, 0);
    rondo_loop_free(loop);
}

TEST(cancel_of_a_queued_operation) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = rondo_lane_fs(loop);
    rondo_job *job;
    outcome what = {0};
    gate g;

    gate_init(&g);
    make_dir();
    CHECK_INT(rondo_lane_resize(lane, 1, 10), 0);
    submit_standing(loop, lane, &g);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_fs_open(loop, in_dir("new"), O_CREAT, 0600, &job, note_outcome, &what), 0);
    CHECK_INT(rondo_job_cancel(job), 0);
    CHECK_INT(what.calls, 0);
    gate_open(&g, 1);
    run_to_end(loop);
    CHECK_OUTCOME(what, RONDO_ECANCELED);
    CHECK_INT(access(path, F_OK), -1);
    remove_dir();
    rondo_loop_free(loop);
}

/* Each step works or says that memory is out, and then nothing has happened. */
TEST(out_of_memory_at_any_allocation) {
    int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
    char buffer[4], other[4] = "abc";

    for (long n = 0;; n++) {
        rondo_loop *loop = new_loop();
        outcome what = {0};
        stat_outcome stats = {0};
        int wanted = 0, errors[5];

        harness_fail_alloc_after(n);
        errors[0] = rondo_fs_open(loop, "/none", O_RDONLY, 0, NULL, note_outcome, &what);
        errors[1] = rondo_fs_read(loop, fd, buffer, 4, 0, NULL, note_outcome, &what);
        errors[2] = rondo_fs_write(loop, fd, other, 4, 0, NULL, note_outcome, &what);
        errors[3] = rondo_fs_stat(loop, "/", NULL, note_stat, &stats);
        int closing = dup(fd);
        errors[4] = rondo_fs_close(loop, closing, note_outcome, &what);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        for (int i = 0; i < 5; i++) {
            CHECK(errors[i] == 0 || errors[i] == RONDO_ENOMEM);
            wanted += errors[i] == 0;
        }
        /* Without memory for the budget of cached operations a worker does all of them. */
        CHECK(wanted == 5 || (failed && wanted == 4));
        if (errors[4] == RONDO_ENOMEM) CHECK_INT(close(closing), 0); /* it is still ours */
        run_to_end(loop);
        CHECK_INT(what.calls + stats.calls, wanted);
        rondo_loop_free(loop);
        if (!failed) break;
    }
    close(fd);
}

TEST(an_appending_file_grows_at_its_end) {
    rondo_loop *loop = new_loop();
    char buffer[10] = "";
    make_dir();
    for (int i = 0; i < 2; i++) {
        int fd = (int)fs_open(loop, in_dir("log"), O_RDWR | O_CREAT | O_APPEND, 0600);
        CHECK(fd >= 0);
        CHECK_INT(fs_write(loop, fd, "one", 3, -1), 3);
        CHECK_INT(fs_write(loop, fd, "2", 1, 0), 1); /* pwrite(2), BUGS: appends too */
        CHECK_INT(fs_read(loop, fd, buffer, sizeof buffer, 0), 4 * (i + 1));
        CHECK_INT(fs_close(loop, fd), 0);
    }
    CHECK_MEM(buffer, "one2one2", 8);
    rondo_loop_free(loop);
    remove_dir();
}
