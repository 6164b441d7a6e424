/* SPDX-License-Identifier: MIT
 *
 * Whole files and trees with a fault at every point (harness/faults.h), and without memory at every
 * point. Whatever fails: the callback comes once, what is said is what was done, no part of a file
 * is left, nothing outside is touched, no descriptor and no memory is lost.
 *
 * test/run: not under valgrind; it takes too long, and the sanitizers see all of it.
 */
#define _GNU_SOURCE
#include "trees.h"

#include "faults.h"

#include <errno.h>

#define OPENS (CALL_open | CALL_openat | CALL_getdents64 | CALL_lseek)
#define LOOKS (CALL_fstat | CALL_fstatat | CALL_statx | CALL_stat | CALL_readlinkat)
#define MAKES (CALL_mkdir | CALL_mkdirat | CALL_symlinkat | CALL_renameat2 | CALL_linkat)
#define MOVES (CALL_read | CALL_write | CALL_pread | CALL_pwrite | CALL_copy_file_range)
#define SETS                                                                                       \
    (CALL_fchmod | CALL_fchown | CALL_fchownat | CALL_utimensat | CALL_futimens | CALL_ftruncate | \
     CALL_fsync | CALL_flistxattr | CALL_fgetxattr | CALL_fsetxattr | CALL_getrandom)
#define ALL_CALLS (OPENS | LOOKS | MAKES | MOVES | SETS | CALL_unlinkat | CALL_ioctl)

static int error_of_sweep;

/* What an operation may say when one call of it has failed. */
static void check_result(int64_t result) {
    if (result >= 0) return;
    CHECK(faults_struck() > 0 || harness_alloc_failed());
    if (harness_alloc_failed()) CHECK_INT(result, RONDO_ENOMEM);
    /* The first of a chain may be found only later, as the second: by what is missing. */
    else if (result != RONDO_ENOENT && result != RONDO_ENOTSUP)
        CHECK_INT(result, rondo_error_from_errno(error_of_sweep));
}

static void scenario_begin(void) {
    place_begin();
    grow("a/ a/b=one a/c/ a/c/d=two a/e>b a/empty/ f=old");
}

/* ---- scenarios ---- */

static void scenario_walk(void) {
    walked w = {.entries = 0};
    scenario_begin();
    FAULTS_BEGIN();
    int64_t result = walk(at("a"), RONDO_WALK_STAT, 0, &w);
    FAULTS_END();
    check_result(result);
    if (!faults_struck() && !harness_alloc_failed())
        CHECK_STR(sorted(w.text), "b c/ c/d e@ empty/");
    place_end();
}

static void scenario_copy_tree(void) {
    scenario_begin();
    FAULTS_BEGIN();
    int64_t result =
        copy_tree(at("a"), at("copy"), RONDO_COPY_TIMES | RONDO_COPY_XATTRS | RONDO_COPY_OWNER);
    FAULTS_END();
    check_result(result);
    /* What is there is whole, and told. */
    const char *words = shown("copy");
    CHECK(!strstr(words, "b=") || strstr(words, "b=one"));
    CHECK(!strstr(words, "d=") || strstr(words, "d=two"));
    CHECK_INT(reported.files, (strstr(words, "b=one") != NULL) + (strstr(words, "d=two") != NULL));
    if (result == 0) CHECK_STR(words, "b=one c/ c/d=two e>b empty/");
    if (result == 0) CHECK_INT(reported.errors, 0);
    CHECK_STR(shown("a"), "b=one c/ c/d=two e>b empty/");
    place_end();
}

static void scenario_remove_tree(void) {
    scenario_begin();
    FAULTS_BEGIN();
    int64_t result = remove_tree(at("a"), 0);
    FAULTS_END();
    check_result(result);
    if (result == 0) CHECK_STR(shown(""), "f=old");
    if (result == 0) CHECK_INT(reported.files + reported.directories + reported.links, 6);
    if (result < 0 && result != RONDO_ENOENT) CHECK(access(at("a"), F_OK) == 0);
    place_end();
}

static void scenario_copyfile(void) {
    scenario_begin();
    FAULTS_BEGIN();
    int64_t result =
        copyfile(at("a/b"), at("g"), RONDO_COPY_TIMES | RONDO_COPY_XATTRS | RONDO_COPY_OWNER);
    FAULTS_END();
    check_result(result);
    CHECK_STR(shown(""), result < 0 ? "a/ a/b=one a/c/ a/c/d=two a/e>b a/empty/ f=old"
                                    : "a/ a/b=one a/c/ a/c/d=two a/e>b a/empty/ f=old g=one");
    place_end();
}

static bool last_sync_may_fail;
static void scenario_write_file(void) {
    scenario_begin();
    FAULTS_BEGIN();
    int64_t result = write_file(at("f"), "new", 3, RONDO_MODE_KEEP, 0);
    FAULTS_END();
    check_result(result);
    const char *old = "a/ a/b=one a/c/ a/c/d=two a/e>b a/empty/ f=old";
    const char *new = "a/ a/b=one a/c/ a/c/d=two a/e>b a/empty/ f=new";
    bool replaced = strcmp(shown(""), new) == 0;
    if (!replaced) CHECK_STR(shown(""), old);
    CHECK(replaced || result < 0);
    if (replaced && result < 0) CHECK(last_sync_may_fail);
    place_end();
}

static void scenario_read_file(void) {
    char *data = NULL;
    size_t len = 0;
    scenario_begin();
    FAULTS_BEGIN();
    int64_t result = read_file(at("f"), 100, &data, &len);
    FAULTS_END();
    check_result(result);
    if (result == 0) CHECK_STR(data, "old");
    CHECK((data == NULL) == (result < 0));
    rondo_free(data);
    place_end();
}

static void note_names(rondo_loop *loop, int64_t result, const rondo_dir_entry *entries,
                       void *arg) {
    note_outcome(loop, result, arg);
    if (result >= 0) CHECK_INT(result, 4);
    if (result >= 0) CHECK_STR(entries[3].name, "empty");
}
static void scenario_scandir(void) {
    outcome what = {0};
    rondo_dir_entry *entries = NULL;
    scenario_begin();
    FAULTS_BEGIN();
    int64_t result =
        the_loop ? finished(rondo_fs_scandir(the_loop, at("a"), 10, NULL, note_names, &what), &what)
                 : rondo_fs_scandir_sync(at("a"), 10, &entries);
    FAULTS_END();
    check_result(result);
    rondo_free(entries);
    place_end();
}

static void note_dir(rondo_loop *loop, int result, rondo_dir *dir, void *arg) {
    *(rondo_dir **)arg = dir;
    check_result(result);
}
static void ignore_entries(rondo_loop *loop, int64_t result, const rondo_dir_entry *entries,
                           void *arg) {
    check_result(result);
}
static void scenario_readdir(void) {
    rondo_dir *dir = NULL;
    const rondo_dir_entry *entries;
    scenario_begin();
    FAULTS_BEGIN();
    if (the_loop) {
        check_result(rondo_fs_opendir(the_loop, at("a"), NULL, note_dir, &dir));
        run_to_end(the_loop);
        for (int i = 0; i < 3 && dir; i++) {
            check_result(rondo_fs_readdir(the_loop, dir, 3, NULL, ignore_entries, NULL));
            run_to_end(the_loop);
        }
    } else {
        check_result(rondo_fs_opendir_sync(at("a"), &dir));
        for (int i = 0; i < 3 && dir; i++) check_result(rondo_fs_readdir_sync(dir, 3, &entries));
    }
    FAULTS_END();
    CHECK_INT(rondo_fs_closedir(dir), 0);
    place_end();
}

static void scenario_mkdir_all(void) {
    scenario_begin();
    FAULTS_BEGIN();
    int64_t result = mkdir_all(at("x/y/z"), 0755);
    FAULTS_END();
    check_result(result);
    if (result >= 0) CHECK_STR(shown("x"), "y/ y/z/");
    place_end();
}

static void (*const scenarios[])(void) = {
    scenario_walk,      scenario_copy_tree, scenario_remove_tree, scenario_copyfile,
    scenario_read_file, scenario_scandir,   scenario_readdir,     scenario_mkdir_all,
};
enum { SCENARIOS = sizeof scenarios / sizeof *scenarios };

/* ---- sweeps ---- */

static void sweep_all(int error) {
    error_of_sweep = error;
    for (int i = 0; i < SCENARIOS; i++) FAULT_SWEEP(scenarios[i], ALL_CALLS, error);
    last_sync_may_fail = true;
    with_sync = true;
    FAULT_SWEEP(scenario_write_file, ALL_CALLS, error);
}

TEST(trees_with_an_io_error_at_every_point) { sweep_all(EIO); }
TEST(trees_without_space_at_every_point) { sweep_all(ENOSPC); }
TEST(trees_without_descriptors_at_every_point) { sweep_all(EMFILE); }
TEST(trees_without_permission_at_every_point) { sweep_all(EACCES); }

/* What passes changes nothing. */
static void check_untouched(void (*scenario)(void), int error) {
    error_of_sweep = 0; /* no result may be below 0 */
    FAULT_SWEEP(scenario, ALL_CALLS, error);
}
TEST(trees_interrupted_at_every_point) {
    for (int i = 0; i < SCENARIOS; i++) check_untouched(scenarios[i], EINTR);
    check_untouched(scenario_write_file, EINTR);
}

TEST(trees_with_short_counts_at_every_point) {
    FAULT_SWEEP_SHORT(scenario_copy_tree, CALL_copy_file_range | CALL_pread | CALL_pwrite, 1);
    FAULT_SWEEP_SHORT(scenario_copyfile, CALL_copy_file_range | CALL_pread | CALL_pwrite, 1);
    FAULT_SWEEP_SHORT(scenario_write_file, CALL_write, 1);
    FAULT_SWEEP_SHORT(scenario_read_file, CALL_read, 1);
}

/* ---- the same as jobs ---- */

static void as_job(void (*scenario)(void)) {
    the_loop = new_loop();
    warm_up(the_loop);
    scenario();
    rondo_loop_free(the_loop);
    the_loop = NULL;
}
static void job_copy_tree(void) { as_job(scenario_copy_tree); }
static void job_remove_tree(void) { as_job(scenario_remove_tree); }
static void job_walk(void) { as_job(scenario_walk); }
static void job_write_file(void) { as_job(scenario_write_file); }

TEST(trees_as_jobs_with_an_error_at_every_point) {
    error_of_sweep = EIO;
    last_sync_may_fail = true;
    faults_calls calls =
        ALL_CALLS & ~(CALL_read | CALL_write); /* the loop's own are swept elsewhere */
    FAULT_SWEEP(job_copy_tree, calls, EIO);
    FAULT_SWEEP(job_remove_tree, calls, EIO);
    FAULT_SWEEP(job_walk, calls, EIO);
    FAULT_SWEEP(job_write_file, calls, EIO);
}

/* ---- no memory ---- */

static void without_memory(void (*scenario)(void)) {
    for (long n = 0;; n++) {
        harness_fail_alloc_after(n);
        scenario();
        if (!harness_alloc_failed()) break;
    }
    harness_fail_alloc_after(-1);
}

TEST(trees_without_memory_at_every_point) {
    for (int i = 0; i < SCENARIOS; i++) without_memory(scenarios[i]);
    without_memory(scenario_write_file);
}
