/* SPDX-License-Identifier: MIT
 *
 * Both forms of every file operation, by the table in fs_rows.h: they bring the same result and
 * output and leave the same behind, also when the kernel interrupts or fails, when memory runs out,
 * when it is canceled and when the loop is freed.
 */
#define _GNU_SOURCE
#include "fs_rows.h"
#include "gate.h"

#include "fs/lookup.h"

#include <errno.h>

/* What a row did: its result, its output, what is there now. An fd is described and closed. */
typedef struct traces {
    int64_t result;
    char text[16384];
} traces;

static void describe(const char *row, brought *what, traces *ret) {
    char fd_text[600] = "";
    ret->result = what->result;
    bool makes_file = strcmp(row, "mkstemp_new") == 0;
    if (what->result >= 0 && (makes_file || strstr(row, "open") || strstr(row, "beneath"))) {
        int fd = (int)what->result;
        char link[64], target[512] = "";
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        CHECK(readlink(link, target, sizeof target - 1) > 0);
        const char *name = strrchr(target, '/');
        snprintf(fd_text, sizeof fd_text, "%s, flags %o and %o", makes_file ? "" : name,
                 fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
        CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
        CHECK_INT(close(fd), 0);
        ret->result = AN_FD;
    }
    if (strncmp(what->text, "tmp-", 4) == 0) {
        CHECK_INT(strlen(what->text), 10);
        CHECK(strcmp(what->text, "tmp-XXXXXX") != 0);
        CHECK_INT(access(what->text, F_OK), 0);
        memset(what->text + 4, '?', 6);
    }
    snprintf(ret->text, sizeof ret->text, "%s|%s|%.64s|\n%s", what->text, fd_text, row_buffer,
             place_describe());
}

/* Runs a row in a new directory. The faults are set by `prepare`. */
static void run_sync(const fs_row *row, void (*prepare)(const fs_row *), traces *ret) {
    brought what = {0};
    place_make();
    rows_prepare();
    if (prepare) prepare(row);
    row->now(&what);
    faults_stop();
    describe(row->name, &what, ret);
    place_remove();
}

static void run_async(const fs_row *row, void (*prepare)(const fs_row *), traces *ret) {
    rondo_loop *loop = new_loop();
    brought what = {0};
    place_make();
    rows_prepare();
    if (prepare) prepare(row);
    int error = row->start(loop, NULL, &what);
    if (error != 0) {
        what.result = error; /* refused at once */
    } else {
        CHECK_INT(what.calls, 0);
        run_to_end(loop);
        CHECK_INT(what.calls, 1);
    }
    faults_stop();
    describe(row->name, &what, ret);
    place_remove();
    rondo_loop_free(loop);
}

static traces of_sync, of_async;

static bool walks(void) { /* there is no openat2(2), under valgrind for example */
    static int known = -1;
    if (known < 0) known = rondo__beneath_best(AT_FDCWD) == RONDO__BENEATH_WALK;
    return known;
}

/* Not every file system can set a range to zeros, and not every kernel follows links beneath. */
static bool is_as_wanted(const fs_row *row, int64_t got) {
    if (strcmp(row->name, "fallocate_zero") == 0 && got == RONDO_ENOTSUP) return true;
    if (strncmp(row->name, "beneath_link", 12) == 0 && walks())
        return got == RONDO_ELOOP || got == RONDO_ENOTDIR;
    return got == row->result;
}

static void check_same(const fs_row *row, void (*prepare)(const fs_row *), int64_t want) {
    run_sync(row, prepare, &of_sync);
    run_async(row, prepare, &of_async);
    bool right = want == row->result ? is_as_wanted(row, of_sync.result) : of_sync.result == want;
    if (!right || of_sync.result != of_async.result)
        FAIL("%s: %lld and %lld, but %lld is wanted", row->name, (long long)of_sync.result,
             (long long)of_async.result, (long long)want);
    if (strcmp(of_sync.text, of_async.text) != 0)
        FAIL("%s differ:\n%s\nand\n%s", row->name, of_sync.text, of_async.text);
}

TEST(both_forms_are_the_same) {
    for (size_t i = 0; i < FS_ROWS; i++) check_same(&fs_rows[i], NULL, fs_rows[i].result);
}

/* ---- the kernel says no ---- */

static int injected;
static void fail_all(const fs_row *row) {
    faults_clear();
    faults_every(row->calls, 1, injected);
    faults_every(CALL_preadv2, 1, EOPNOTSUPP); /* so that a worker reads */
}

TEST(an_error_of_the_kernel_is_told_by_both) {
    const struct {
        int error, code;
    } errors[] = {{EIO, RONDO_EIO},     {ENOSPC, RONDO_ENOSPC}, {EDQUOT, RONDO_EDQUOT},
                  {EROFS, RONDO_EROFS}, {EMFILE, RONDO_EMFILE}, {ENOMEM, RONDO_ENOMEM}};
    for (size_t i = 0; i < FS_ROWS; i++) {
        injected = errors[i % 6].error;
        if (fs_rows[i].calls == CALL_syscall && walks()) continue;
        if (fs_rows[i].calls) check_same(&fs_rows[i], fail_all, errors[i % 6].code);
    }
}

static void interrupt(const fs_row *row) {
    faults_clear();
    faults_every(row->calls, 2, EINTR);
    faults_fail(row->calls, 1, EINTR);
}

TEST(an_interrupted_call_is_repeated_by_both) {
    for (size_t i = 0; i < FS_ROWS; i++)
        if (fs_rows[i].calls) check_same(&fs_rows[i], interrupt, fs_rows[i].result);
}

/* ---- memory ---- */

TEST(out_of_memory_is_told_by_both) {
    for (size_t i = 0; i < FS_ROWS; i++) {
        const fs_row *row = &fs_rows[i];
        for (long n = 0, failed = 1; failed; n++) {
            rondo_loop *loop = new_loop();
            brought what = {0};
            traces after;
            place_make();
            rows_prepare();
            harness_fail_alloc_after(n);
            int error = row->start(loop, NULL, &what);
            if (error == 0) run_to_end(loop);
            failed = harness_alloc_failed();
            harness_fail_alloc_after(-1);
            CHECK_INT(what.calls, error == 0);
            if (error != 0) what.result = error;
            describe(row->name, &what, &after);
            if (!is_as_wanted(row, after.result) && !(failed && after.result == RONDO_ENOMEM))
                FAIL("%s: %lld", row->name, (long long)after.result);
            place_remove();
            rondo_loop_free(loop);
            CHECK(n < 50);
        }
    }
}

TEST(out_of_memory_in_the_synchronous_form) {
    for (size_t i = 0; i < FS_ROWS; i++) {
        brought what = {0};
        traces after;
        place_make();
        rows_prepare();
        harness_fail_alloc_after(0);
        fs_rows[i].now(&what);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        describe(fs_rows[i].name, &what, &after);
        if (failed)
            CHECK_INT(after.result, RONDO_ENOMEM);
        else
            CHECK(is_as_wanted(&fs_rows[i], after.result));
        place_remove();
    }
}

/* ---- nobody is told ---- */

/* What the kernel's caches answer is done at once, and can't be canceled any more. */
static void without_caches(void) {
    faults_clear();
    faults_every(CALL_syscall | CALL_preadv2, 1, ENOSYS);
}

TEST(a_canceled_operation_does_nothing) {
    rondo_loop *loop = new_loop();
    gate g;
    gate_init(&g);
    CHECK_INT(rondo_lane_resize(rondo_lane_fs(loop), 1, 10), 0);
    place_make();
    const char *before = place_describe();
    without_caches();
    for (size_t i = 0; i < FS_ROWS; i++) {
        brought what = {0};
        rondo_job *job = NULL;
        rows_prepare();
        submit_standing(loop, rondo_lane_fs(loop), &g);
        gate_wait_entered(&g, 1);
        int error = fs_rows[i].start(loop, &job, &what);
        if (error == 0 && rondo_job_cancel(job) == 0) {
            gate_open(&g, 1);
            run_to_end(loop);
            CHECK_INT(what.calls, 1);
            CHECK_INT(what.result, RONDO_ECANCELED);
            CHECK_STR(what.text, "");
        } else { /* fstat of what is in memory, say */
            gate_open(&g, 1);
            run_to_end(loop);
            CHECK_INT(what.calls, error == 0);
        }
        CHECK_STR(place_describe(), before);
        before = place_describe();
    }
    faults_stop();
    place_remove();
    rondo_loop_free(loop);
}

/* The harness looks for descriptors and memory. */
TEST(a_freed_loop_leaves_nothing_of_what_it_did_not_tell) {
    without_caches();
    for (size_t i = 0; i < FS_ROWS; i++) {
        rondo_loop *loop = new_loop();
        brought what = {0};
        place_make();
        rows_prepare();
        if (fs_rows[i].start(loop, NULL, &what) == 0) {
            rondo_lane *lane = rondo_lane_fs(loop);
            while (figures_of(lane).running + figures_of(lane).queued > 0) sched_yield();
        }
        rondo_loop_free(loop);
        CHECK_INT(what.calls, 0);
        CHECK(strstr(place_describe(), "tmp-") == NULL);
        place_remove();
    }
    faults_stop();
}

/* ---- the arguments ---- */

TEST(what_is_missing_is_refused_by_both) {
    rondo_loop *loop = new_loop();
    brought what = {0};
    char text[8];
    CHECK_INT(rondo_fs_stat_sync(NULL, &(rondo_stat){.size = 0}), RONDO_EINVAL);
    CHECK_INT(rondo_fs_stat_sync("/", NULL), RONDO_EINVAL);
    CHECK_INT(rondo_fs_statfs_sync("/", NULL), RONDO_EINVAL);
    CHECK_INT(rondo_fs_readlink_sync("/", NULL, 0), RONDO_EINVAL);
    CHECK_INT(rondo_fs_realpath_sync("/tmp", text, 4), RONDO_ENOBUFS);
    CHECK_INT(rondo_fs_realpath_sync("/tmp", text, 5), 4);
    CHECK_STR(text, "/tmp");
    CHECK_INT(rondo_fs_mkdtemp_sync(NULL), RONDO_EINVAL);
    CHECK_INT(rondo_fs_rename_sync("/", NULL, RONDO_RENAME_REPLACE), RONDO_EINVAL);
    CHECK_INT(rondo_fs_link(loop, "/", NULL, NULL, on_number, &what), RONDO_EINVAL);
    CHECK_INT(rondo_fs_readlink(loop, "/", NULL, NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_fs_readv_sync(0, NULL, 1, 0), RONDO_EINVAL);
    CHECK_INT(rondo_fs_readv_sync(0, &(rondo_buffer){NULL, 1}, 1, 0), RONDO_EINVAL);
    rondo_slice huge[2] = {{text, SIZE_MAX}, {text, 1}};
    CHECK_INT(rondo_fs_writev_sync(0, huge, 2, 0), RONDO_EINVAL);
    CHECK_INT(rondo_fs_writev_sync(0, huge, SIZE_MAX, 0), RONDO_EINVAL);
    CHECK_INT(rondo_fs_writev(loop, 0, huge, 2, 0, NULL, on_number, &what), RONDO_EINVAL);
    run_to_end(loop);
    CHECK_INT(what.calls, 0);
    rondo_loop_free(loop);
}

/* Outputs are untouched on failure. */
TEST(a_failure_leaves_outputs_alone) {
    rondo_stat stat = {.size = 77};
    rondo_statfs statfs = {.blocks = 77};
    char text[8] = "before";
    CHECK_INT(rondo_fs_stat_sync("/none", &stat), RONDO_ENOENT);
    CHECK_INT(rondo_fs_fstat_sync(-1, &stat), RONDO_EBADF);
    CHECK_INT(rondo_fs_statfs_sync("/none", &statfs), RONDO_ENOENT);
    CHECK_INT(rondo_fs_readlink_sync("/none", text, sizeof text), RONDO_ENOENT);
    CHECK_INT(stat.size, 77);
    CHECK_INT(statfs.blocks, 77);
    CHECK_STR(text, "before");
}

TEST(close_in_both_forms) {
    rondo_loop *loop = new_loop();
    outcome what = {0};
    int fd = open("/", O_RDONLY | O_CLOEXEC);
    CHECK_INT(rondo_fs_close_sync(fd), 0);
    CHECK_INT(fcntl(fd, F_GETFD), -1);
    CHECK_INT(rondo_fs_close_sync(fd), RONDO_EBADF);
    CHECK_INT(rondo_fs_close(loop, fd, note_outcome, &what), 0);
    run_to_end(loop);
    CHECK_OUTCOME(what, RONDO_EBADF);
    rondo_loop_free(loop);
}

/* Requests with their paths come from memory that is used again. */
TEST(a_steady_state_allocates_nothing) {
    rondo_loop *loop = new_loop();
    size_t before = 0;
    place_make();
    rows_prepare();
    without_caches();
    /* What depends on who is faster: a further thread, and the loop's first sleep. */
    CHECK_INT(rondo_lane_resize(rondo_lane_fs(loop), 1, 64), 0);
    warm_up(loop);
    for (int round = 0; round < 3; round++) {
        before = harness_alloc_count();
        for (size_t i = 0; i < FS_ROWS; i++) {
            const char *name = fs_rows[i].name;
            if (strncmp(name, "stat", 4) != 0 && strncmp(name, "access", 6) != 0 &&
                strncmp(name, "read_", 5) != 0 && strncmp(name, "rename_re", 9) != 0)
                continue;
            if (strcmp(name, "stat_long") == 0 || strcmp(name, "read_pipe") == 0) continue;
            brought what = {0};
            CHECK_INT(fs_rows[i].start(loop, NULL, &what), 0);
            run_to_end(loop);
            CHECK_INT(what.calls, 1);
        }
    }
    CHECK_INT(harness_alloc_count(), before);
    faults_stop();
    place_remove();
    rondo_loop_free(loop);
}
