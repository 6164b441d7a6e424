/* SPDX-License-Identifier: MIT
 *
 * stat and open from what the kernel has in memory: without a worker where that is certain, and by
 * one wherever anything is in doubt. The figures say which it was.
 */
#define _GNU_SOURCE
#include "faults.h"
#include "fs_place.h"
#include "gate.h"

#include "fs/lookup.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

typedef struct stated {
    outcome what;
    rondo_stat stat;
} stated;

static void note_stat(rondo_loop *loop, int result, const rondo_stat *stat, void *arg) {
    stated *to = arg;
    note_outcome(loop, result, &to->what);
    if (stat) to->stat = *stat;
}

static uint64_t cached(rondo_loop *loop) {
    rondo_metrics metrics;
    rondo_loop_metrics(loop, &metrics);
    return metrics.cached_files;
}
static uint64_t missed(rondo_loop *loop) {
    rondo_metrics metrics;
    rondo_loop_metrics(loop, &metrics);
    return metrics.missed_files;
}

static stated stat_it(rondo_loop *loop, const char *path) {
    stated to = {.what = {0}};
    CHECK_INT(rondo_fs_stat(loop, path, NULL, note_stat, &to), 0);
    CHECK_INT(to.what.calls, 0);
    run_to_end(loop);
    CHECK_INT(to.what.calls, 1);
    return to;
}
static outcome open_it(rondo_loop *loop, const char *path, int flags) {
    outcome what = {0};
    CHECK_INT(rondo_fs_open(loop, path, flags, 0600, NULL, note_outcome, &what), 0);
    CHECK_INT(what.calls, 0);
    run_to_end(loop);
    CHECK_INT(what.calls, 1);
    return what;
}

/* The kernel may always say that it would have to wait: a name is forgotten, or others rename
 * meanwhile. So what is expected to need no worker is tried until it does not; the test's time is the
 * limit. */
#define UNTIL_CACHED(loop, times, ...)           \
    for (uint64_t before_ = cached(loop);;) {    \
        __VA_ARGS__;                             \
        if (cached(loop) == before_ + (times)) { \
            break;                               \
        }                                        \
        before_ = cached(loop);                  \
    }

/* A place whose mount was learned, and a loop that has done nothing else. */
static rondo_loop *at_a_known_place(void) {
    struct statfs fs;
    place_make();
    CHECK_INT(statfs(".", &fs), 0);
    int fd = rondo__open_name_cached(AT_FDCWD, "file", 0);
    if (fd >= 0) close(fd);
    if (fd < 0 || !rondo__is_local((uint64_t)fs.f_type)) {
        place_remove();
        SKIP("no RESOLVE_CACHED, or a file system that is not known to be local");
    }
    rondo_loop *loop = new_loop();
    CHECK_INT(stat_it(loop, "file").what.result, 0);
    CHECK_INT(cached(loop), 0); /* a worker has learned it */
    CHECK_INT(missed(loop), 1);
    UNTIL_CACHED(loop, 1, CHECK_INT(stat_it(loop, "file").what.result, 0));
    rondo_loop_free(loop);
    return new_loop();
}

static void leave(rondo_loop *loop) {
    place_remove();
    rondo_loop_free(loop);
}

/* ---- without a worker ---- */

TEST(a_known_file_is_stated_without_a_worker) {
    rondo_loop *loop = at_a_known_place();
    struct stat st;
    rondo_stat sync;
    stated to;
    UNTIL_CACHED(loop, 1, to = stat_it(loop, "dir/../link"));
    CHECK_INT(to.what.result, 0);
    CHECK_INT(to.what.phase, RONDO_PHASE_pending);
    CHECK_INT(stat("file", &st), 0);
    CHECK_INT(to.stat.ino, st.st_ino);
    CHECK_INT(to.stat.dev, st.st_dev);
    CHECK_INT(rondo_fs_stat_sync("file", &sync), 0);
    CHECK(memcmp(&sync, &to.stat, sizeof sync) == 0);
    stated of_link, of_fd;
    UNTIL_CACHED(loop, 2, {
        of_link = of_fd = (stated){.what = {0}};
        CHECK_INT(rondo_fs_lstat(loop, "link", NULL, note_stat, &of_link), 0);
        CHECK_INT(rondo_fs_fstat(loop, place_file, NULL, note_stat, &of_fd), 0);
        run_to_end(loop);
    });
    CHECK_OUTCOME(of_link.what, 0);
    CHECK_OUTCOME(of_fd.what, 0);
    CHECK_INT(of_link.stat.type, RONDO_FILE_SYMLINK);
    CHECK(memcmp(&sync, &of_fd.stat, sizeof sync) == 0);
    CHECK_INT(figures_of(rondo_lane_fs(loop)).done, missed(loop));
    leave(loop);
}

TEST(what_changes_is_seen_at_once) {
    rondo_loop *loop = at_a_known_place();
    for (int size = 0; size < 5; size++) {
        CHECK_INT(truncate("file", size), 0);
        CHECK_INT(stat_it(loop, "file").stat.size, size);
    }
    CHECK_INT(rename("file", "other"), 0);
    CHECK_INT(stat_it(loop, "file").what.result, RONDO_ENOENT);
    CHECK_INT(stat_it(loop, "other").stat.size, 4);
    CHECK_INT(rename("other", "file"), 0);
    CHECK_INT(stat_it(loop, "file").stat.size, 4);
    leave(loop);
}

/* Not on tmpfs, which never remembers what is not there. */
TEST(a_name_known_to_be_missing_needs_no_worker) {
    char path[64] = "/tmp/rondo-known-XXXXXX";
    struct statfs fs;
    CHECK_INT(statfs("/tmp", &fs), 0);
    int root = rondo__open_name_cached(AT_FDCWD, "/tmp", 0);
    if (root >= 0) close(root);
    if (root < 0 || fs.f_type != 0xef53) SKIP("no RESOLVE_CACHED, or /tmp is not on ext4");
    rondo_loop *loop = new_loop();
    CHECK(mkdtemp(path) != NULL);
    CHECK_INT(rmdir(path), 0);
    UNTIL_CACHED(loop, 2, {
        CHECK_INT(access(path, F_OK), -1); /* now it is known */
        CHECK_INT(stat_it(loop, path).what.result, RONDO_ENOENT);
        CHECK_INT(open_it(loop, path, O_RDONLY).result, RONDO_ENOENT);
    });
    CHECK_INT(figures_of(rondo_lane_fs(loop)).done, missed(loop));
    rondo_loop_free(loop);
}

TEST(a_known_file_is_opened_without_a_worker) {
    rondo_loop *loop = at_a_known_place();
    static const int flags[] = {O_RDONLY, O_RDONLY | O_NONBLOCK, O_RDONLY | O_CLOEXEC | O_NOFOLLOW};
    char text[12];
    for (int i = 0; i < 3; i++) {
        outcome what;
        int fd = -1, same = open("file", flags[i]);
        UNTIL_CACHED(loop, 1, {
            if (fd >= 0) close(fd);
            what = open_it(loop, "file", flags[i]);
            fd = (int)what.result;
        });
        CHECK(fd >= 0 && same >= 0);
        CHECK_INT(what.phase, RONDO_PHASE_pending);
        CHECK_INT(fcntl(fd, F_GETFL), fcntl(same, F_GETFL) & ~O_NOFOLLOW);
        CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
        CHECK_INT(read(fd, text, sizeof text), 12);
        CHECK_MEM(text, "hello, world", 12);
        close(fd);
        close(same);
    }
    UNTIL_CACHED(loop, 1, {
        outcome what = open_it(loop, "way", O_RDONLY | O_DIRECTORY);
        CHECK(what.result >= 0);
        CHECK_INT(faccessat((int)what.result, "inner", F_OK, 0), 0);
        close((int)what.result);
    });
    CHECK_INT(figures_of(rondo_lane_fs(loop)).done, missed(loop));
    leave(loop);
}

/* ---- by a worker ---- */

TEST(what_is_in_doubt_is_for_a_worker) {
    rondo_loop *loop = at_a_known_place();
    static const struct {
        const char *path;
        int flags;
        int64_t result;
    } opens[] = {
        {"file", O_RDWR, 0},
        {"file", O_WRONLY | O_TRUNC, 0},
        {"new", O_RDONLY | O_CREAT, 0},
        {"fifo", O_RDONLY | O_NONBLOCK, 0},
        {"/dev/null", O_RDONLY, 0},
        {"/proc/self/status", O_RDONLY, 0},
        {"link", O_RDONLY | O_NOFOLLOW, RONDO_ELOOP},
        {"circle", O_RDONLY, RONDO_ELOOP},
    };
    for (size_t i = 0; i < sizeof opens / sizeof opens[0]; i++) {
        outcome what = open_it(loop, opens[i].path, opens[i].flags);
        if (what.result < 0)
            CHECK_INT(what.result, opens[i].result);
        else
            close((int)what.result);
        CHECK(what.result < 0 || opens[i].result == 0);
        CHECK_INT(cached(loop), 0);
    }
    for (int i = 0; i < 2; i++) /* also when it is known not to be local */
        CHECK_INT(stat_it(loop, "/proc/self/status").what.result, 0);
    CHECK_INT(cached(loop), 0);
    leave(loop);
}

/* Opening it for reading would let a writer in. */
TEST(a_fifo_is_not_touched_by_the_loop) {
    rondo_loop *loop = at_a_known_place();
    rondo_job *job;
    outcome what = {0};
    gate g;
    gate_init(&g);
    CHECK_INT(rondo_lane_resize(rondo_lane_fs(loop), 1, 10), 0);
    submit_standing(loop, rondo_lane_fs(loop), &g);
    gate_wait_entered(&g, 1);
    CHECK_INT(rondo_fs_open(loop, "fifo", O_RDONLY | O_NONBLOCK, 0, &job, note_outcome, &what), 0);
    CHECK_INT(open("fifo", O_WRONLY | O_NONBLOCK), -1); /* ENXIO: nobody reads */
    CHECK_INT(rondo_job_cancel(job), 0);
    gate_open(&g, 1);
    run_to_end(loop);
    CHECK_OUTCOME(what, RONDO_ECANCELED);
    leave(loop);
}

/* Who holds a lease is asked to give it up, and the loop does not wait for that. */
TEST(a_lease_is_waited_for_by_a_worker) {
    rondo_loop *loop = at_a_known_place();
    outcome what = {0};
    signal(SIGIO, SIG_IGN);
    int holder = open("empty", O_RDWR | O_CLOEXEC);
    if (fcntl(holder, F_SETLEASE, F_WRLCK) < 0) {
        close(holder);
        leave(loop);
        SKIP("there are no leases here");
    }
    CHECK_INT(rondo_fs_open(loop, "empty", O_RDONLY, 0, NULL, note_outcome, &what), 0);
    CHECK_INT(fcntl(holder, F_SETLEASE, F_UNLCK), 0);
    run_to_end(loop);
    CHECK(what.result >= 0);
    CHECK_INT(cached(loop), 0);
    close((int)what.result);
    close(holder);
    leave(loop);
}

TEST(one_callback_may_try_only_so_many) {
    rondo_loop *loop = at_a_known_place();
    static stated to[300];
    memset(to, 0, sizeof to);
    int fd = open("file", O_RDONLY | O_CLOEXEC);
    CHECK_INT(rondo_loop_budget(loop, RONDO_BUDGET_cached_files), 256);
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_cached_files, 100), 0);
    for (int i = 0; i < 300; i++) {
        CHECK_INT(rondo_fs_fstat(loop, fd, NULL, note_stat, &to[i]), 0);
        CHECK_INT(cached(loop) + missed(loop), i < 100 ? i + 1 : 100);
    }
    run_to_end(loop);
    for (int i = 0; i < 300; i++) CHECK_OUTCOME(to[i].what, 0);
    CHECK_INT(figures_of(rondo_lane_fs(loop)).done, 200 + missed(loop));
    CHECK_INT(stat_it(loop, "file").what.result, 0); /* a new turn */
    CHECK_INT(cached(loop) + missed(loop), 101);
    close(fd);
    leave(loop);
}

TEST(only_a_lone_open_or_stat_is_tried) {
    rondo_loop *loop = at_a_known_place();
    static outcome what[10];
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_cached_files, 4), 0);
    for (int i = 0; i < 5; i++)
        CHECK_INT(rondo_fs_open(loop, "file", O_RDONLY, 0, NULL, note_outcome, &what[i]), 0);
    CHECK_INT(cached(loop) + missed(loop), 1);
    for (int i = 5; i < 10; i++)
        CHECK_INT(rondo_fs_access(loop, "file", F_OK, NULL, note_outcome, &what[i]), 0);
    stated to[5] = {{.what = {0}}};
    CHECK_INT(rondo_fs_stat(loop, "file", NULL, note_stat, &to[4]), 0);
    CHECK_INT(cached(loop) + missed(loop), 1);
    int fd = open("file", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < 4; i++) CHECK_INT(rondo_fs_fstat(loop, fd, NULL, note_stat, &to[i]), 0);
    CHECK_INT(cached(loop) + missed(loop), 4); /* three were left */
    run_to_end(loop);
    close(fd);
    for (int i = 0; i < 5; i++) CHECK_OUTCOME(to[i].what, 0);
    for (int i = 0; i < 5; i++) {
        CHECK(what[i].calls == 1 && what[i].result >= 0);
        close((int)what[i].result);
    }
    for (int i = 5; i < 10; i++) CHECK_OUTCOME(what[i], 0);
    /* A new turn, but a worker has something; and then nothing any more. */
    outcome busy = {0}, open = {0};
    uint64_t tried = cached(loop) + missed(loop);
    CHECK_INT(rondo_fs_access(loop, "file", F_OK, NULL, note_outcome, &busy), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(rondo_fs_open(loop, "file", O_RDONLY, 0, NULL, note_outcome, &open), 0);
        CHECK_INT(cached(loop) + missed(loop), tried + (uint64_t)i);
        run_to_end(loop);
        CHECK(open.calls == i + 1 && open.result >= 0);
        close((int)open.result);
    }
    CHECK_OUTCOME(busy, 0);
    leave(loop);
}

/* ---- kernels and sandboxes without it ---- */

static void without(int error) {
    rondo_loop *loop = at_a_known_place();
    faults_every(CALL_syscall, 1, error);
    for (int i = 0; i < 3; i++) CHECK_INT(stat_it(loop, "file").stat.size, 12);
    outcome what = open_it(loop, "file", O_RDONLY);
    CHECK(what.result >= 0);
    close((int)what.result);
    CHECK_INT(cached(loop), 0);
    CHECK_INT(faults_count(CALL_syscall), error == EAGAIN ? 4 : 1); /* or asked once */
    faults_stop();
    leave(loop);
}
TEST(a_kernel_without_cached_lookup) { without(EINVAL); }
TEST(a_kernel_without_openat2) { without(ENOSYS); }
TEST(a_sandbox_without_openat2) { without(EPERM); }
TEST(names_that_are_not_cached) { without(EAGAIN); }

/* Each step of a cached open fails: a worker opens, and nothing is left. */
static void fail_opening(faults_calls calls, int error) {
    rondo_loop *loop = at_a_known_place();
    faults_every(calls, 1, error);
    outcome what = open_it(loop, "file", O_RDONLY);
    CHECK(what.result >= 0);
    CHECK_INT(fcntl((int)what.result, F_GETFL) & O_NONBLOCK, 0);
    CHECK_INT(missed(loop), 1);
    faults_stop();
    close((int)what.result);
    leave(loop);
}
TEST(a_cached_open_that_cannot_look) { fail_opening(CALL_syscall, EMFILE); }
TEST(a_cached_open_that_cannot_ask) { fail_opening(CALL_statx, EIO); }
TEST(a_cached_open_that_cannot_open) { fail_opening(CALL_open, EMFILE); }
TEST(a_cached_open_that_cannot_be_cleared) { fail_opening(CALL_fcntl, EIO); }

/* ---- nobody is told ---- */

static void never(rondo_loop *loop, int64_t result, void *arg) { FAIL("called back"); }

TEST(a_freed_loop_closes_what_was_opened_at_once) {
    rondo_loop *loop = at_a_known_place();
    while (cached(loop) == 0)
        CHECK_INT(rondo_fs_open(loop, "file", O_RDONLY, 0, NULL, never, NULL), 0);
    leave(loop); /* the harness looks for descriptors */
}

/* ---- beneath ---- */

static atomic_bool swapping;
static void *swap_links(void *arg) {
    while (atomic_load(&swapping)) { /* "dir/x": a directory beneath, or a link that leads out */
        CHECK_INT(renameat2(AT_FDCWD, "dir/x", AT_FDCWD, "dir/trap", RENAME_EXCHANGE), 0);
        if (harness_is_slow()) sched_yield(); /* valgrind runs one thread at a time */
    }
    return NULL;
}

static void open_while_links_are_swapped(bool walking) {
    rondo_loop *loop = new_loop();
    int inside = 0, tries = harness_is_slow() ? 100 : 2000;
    char text[16];
    place_make();
    CHECK_INT(mkdir("dir/x", 0700), 0);
    place_put("dir/x/name", "inside", 0600);
    CHECK_INT(mkdir("outside", 0700), 0);
    place_put("outside/name", "secret", 0600);
    CHECK_INT(symlink("../outside", "dir/trap"), 0);
    if (walking) faults_every(CALL_syscall, 1, ENOSYS);
    atomic_store(&swapping, true);
    pthread_t thread = harness_thread(swap_links, NULL);
    for (int i = 0; i < tries || (inside == 0 && i < 1000000); i++) {
        int64_t fd = rondo_fs_open_beneath_sync(place_directory, "x/name", O_RDONLY, 0);
        if (harness_is_slow()) sched_yield();
        if (fd < 0) {
            CHECK(fd == RONDO_EXDEV || fd == RONDO_ELOOP || fd == RONDO_ENOTDIR ||
                  fd == RONDO_EAGAIN);
            continue;
        }
        CHECK_INT(read((int)fd, text, sizeof text), 6);
        CHECK_MEM(text, "inside", 6);
        close((int)fd);
        inside++;
    }
    atomic_store(&swapping, false);
    pthread_join(thread, NULL);
    faults_stop();
    CHECK(inside > 0);
    leave(loop);
}
TEST(nothing_outside_is_opened_while_links_are_swapped) { open_while_links_are_swapped(false); }
TEST(nothing_outside_is_walked_into_while_links_are_swapped) { open_while_links_are_swapped(true); }

TEST(the_walk_opens_what_the_kernel_opens) {
    static const struct {
        const char *path;
        int64_t by_kernel, by_walk;
    } cases[] = {
        {"inner", 0, 0},
        {"./inner", 0, 0},
        {"sub//./deep", 0, 0},
        {".", 0, 0},
        {"sub/", 0, 0},
        {"sub/.", 0, 0},
        {"", RONDO_ENOENT, RONDO_ENOENT},
        {"none", RONDO_ENOENT, RONDO_ENOENT},
        {"inner/", RONDO_ENOTDIR, RONDO_ENOTDIR},
        {"inner/x", RONDO_ENOTDIR, RONDO_ENOTDIR},
        {"/", RONDO_EXDEV, RONDO_EXDEV},
        {"..", RONDO_EXDEV, RONDO_EXDEV},
        {"sub/../../file", RONDO_EXDEV, RONDO_EXDEV},
        {"sub/../inner", 0, RONDO_EXDEV},
        {"near", 0, RONDO_ELOOP},
        {"nearby/deep", 0, RONDO_ENOTDIR},
        {"up", RONDO_EXDEV, RONDO_ELOOP},
        {"out/tmp", RONDO_EXDEV, RONDO_ENOTDIR},
    };
    char name[300];
    place_make();
    CHECK_INT(mkdir("dir/sub", 0700), 0);
    place_put("dir/sub/deep", "deep", 0600);
    CHECK_INT(symlink("inner", "dir/near"), 0);
    CHECK_INT(symlink("sub", "dir/nearby"), 0);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        bool walk = i % 2;
        if (!walk && rondo__beneath_best(place_directory) == RONDO__BENEATH_WALK) continue;
        if (walk) faults_every(CALL_syscall, 1, ENOSYS);
        int fd = rondo_fs_open_beneath_sync(place_directory, cases[i / 2].path, O_RDONLY, 0);
        int64_t want = walk ? cases[i / 2].by_walk : cases[i / 2].by_kernel;
        if (fd >= 0) close(fd);
        if ((fd >= 0) != (want == 0) || (fd < 0 && fd != want))
            FAIL("'%s' %s: %d", cases[i / 2].path, walk ? "by walk" : "by the kernel", fd);
        if (walk)
            CHECK_INT(rondo_fs_open_beneath_sync(place_directory, name, 0, 0), RONDO_ENAMETOOLONG);
        faults_clear();
    }
    place_remove();
}
