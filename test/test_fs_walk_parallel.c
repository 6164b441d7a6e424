/* SPDX-License-Identifier: MIT
 *
 * Walks of RONDO_WALK_PARALLEL: they tell what a walk in order tells, ask before they open, and end
 * at once whatever their limbs are at.
 */
#define _GNU_SOURCE
#include "trees.h"

#include "faults.h"

#include <sys/syscall.h>

/* In place of the C library's: readers of the directory `held` stand at the gate. */
static gate door;
static _Atomic(ino_t) held;
ssize_t getdents64(int fd, void *buffer, size_t size) {
    struct stat st;
    if (held && fstat(fd, &st) == 0 && st.st_ino == held) {
        sem_post(&door.entered);
        sem_take(&door.open);
    }
    return syscall(SYS_getdents64, fd, buffer, size);
}

static void begin(void) {
    the_loop = new_loop();
    place_begin();
}

static void end(void) {
    place_end();
    rondo_loop_free(the_loop);
    the_loop = NULL;
}

/* ---- what is told ---- */

/* Directories of every size from none to thousands of entries, three levels of them, and links. */
static void grow_random(unsigned seed) {
    char path[200], name[64];
    grow("t/ t/all>.. t/loop>loop");
    for (int i = 0; i < 40; i++) {
        int a = rand_r(&seed) % 7, b = rand_r(&seed) % 7, c = rand_r(&seed) % 7;
        snprintf(name, sizeof name, "t/%d/%d/%d", a, b, c);
        rondo_fs_mkdir_all_sync(at(name), 0755);
        int many = i % 13 == 0 ? 1500 : rand_r(&seed) % 12;
        for (int n = 0; n < many; n++) {
            snprintf(path, sizeof path, "%s/a-name-of-some-length-%d", name, n);
            put(path, "", 0);
        }
    }
}

typedef struct seen {
    outcome what;
    char **paths;
    size_t count, room;
    size_t sizes;
    bool with_stat;
} seen;

static int find(const char *path, size_t len, const seen *s) {
    for (size_t i = s->count; i-- > 0;)
        if (strlen(s->paths[i]) == len && memcmp(s->paths[i], path, len) == 0) return 1;
    return 0;
}

static rondo_walk_verdict see(rondo_loop *loop, const rondo_walk_entry *entry, void *arg) {
    seen *s = arg;
    const char *slash = strrchr(entry->path, '/');
    CHECK_INT(entry->error, 0);
    CHECK((entry->stat != NULL) == s->with_stat);
    if (entry->stat) s->sizes += entry->stat->size;
    unsigned depth = 1;
    for (const char *c = entry->path; *c; c++) depth += *c == '/';
    CHECK_INT(entry->depth, depth);
    CHECK_STR(entry->name, slash ? slash + 1 : entry->path);
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->paths = realloc(s->paths, s->room * sizeof *s->paths);
    }
    /* Its directory came before. */
    if (loop && slash && entry->type == RONDO_FILE_DIRECTORY)
        CHECK(find(entry->path, (size_t)(slash - entry->path), s));
    s->paths[s->count++] = strdup(entry->path);
    return RONDO_WALK_ON;
}

static void seen_done(rondo_loop *loop, int64_t result, void *arg) {
    note_outcome(loop, result, &((seen *)arg)->what);
}

static int by_path(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void seen_free(seen *s) {
    for (size_t i = 0; i < s->count; i++) free(s->paths[i]);
    free(s->paths);
}

static void compare(unsigned flags, unsigned max_depth) {
    seen in_order = {.with_stat = flags & RONDO_WALK_STAT},
         parallel = {.with_stat = flags & RONDO_WALK_STAT};
    int64_t want = rondo_fs_walk_sync(at("t"), flags, max_depth, see, &in_order);
    CHECK_INT(want, (long long)in_order.count);
    CHECK_INT(rondo_fs_walk(the_loop, at("t"), flags | RONDO_WALK_PARALLEL, max_depth, NULL, see,
                            seen_done, &parallel),
              0);
    CHECK_INT(parallel.count, 0); /* not inside the call */
    run_to_end(the_loop);
    CHECK_OUTCOME(parallel.what, want);
    qsort(in_order.paths, in_order.count, sizeof(char *), by_path);
    qsort(parallel.paths, parallel.count, sizeof(char *), by_path);
    CHECK_INT(parallel.count, (long long)in_order.count);
    CHECK_INT(parallel.sizes, (long long)in_order.sizes);
    for (size_t i = 0; i < in_order.count; i++) CHECK_STR(parallel.paths[i], in_order.paths[i]);
    seen_free(&in_order);
    seen_free(&parallel);
}

TEST(it_tells_what_a_walk_in_order_tells) {
    for (unsigned seed = 1; seed <= 3; seed++) {
        begin();
        grow_random(seed);
        compare(0, 0);
        compare(RONDO_WALK_STAT, 0);
        compare(RONDO_WALK_STAT | RONDO_WALK_SAME_FS, 2);
        compare(0, 1);
        faults_hide_types(true);
        compare(0, 0);
        faults_hide_types(false);
        end();
    }
}

TEST(it_needs_no_openat2) {
    begin();
    grow_random(4);
    faults_every(CALL_syscall, 1, ENOSYS);
    compare(0, 0);
    faults_stop();
    end();
}

TEST(it_may_be_deeper_than_a_path_is_long) {
    walked w = {.entries = 0};
    if (harness_is_valgrind()) return; /* a million calls */
    begin();
    grow_deep("a", 2070); /* PATH_MAX is 4096 */
    CHECK_INT(walk(at("a"), RONDO_WALK_PARALLEL, 0, &w), 4140);
    end();
}

/* ---- what is asked ---- */

TEST(it_skips_and_stops_as_told) {
    begin();
    grow("a/ a/b/ a/b/c/ a/b/c/d=x a/b/e=y");
    walked skip_b = {.skip = "b"}, skip_c = {.skip = "b/c"}, stop = {.stop = "b/c"};
    CHECK_INT(walk(at("a"), RONDO_WALK_PARALLEL, 0, &skip_b), 1);
    CHECK_STR(skip_b.text, "b/");
    CHECK_INT(walk(at("a"), RONDO_WALK_PARALLEL, 0, &skip_c), 3);
    CHECK_STR(sorted(skip_c.text), "b/ b/c/ b/e");
    CHECK_INT(walk(at("a"), RONDO_WALK_PARALLEL, 0, &stop), RONDO_ECANCELED);
    CHECK(strstr(stop.text, "b/c/") && !strstr(stop.text, "b/c/d"));
    end();
}

static unsigned opened_when_told;
static void count_reads(const rondo_walk_entry *entry) {
    if (entry->type == RONDO_FILE_DIRECTORY) opened_when_told = faults_count(CALL_getdents64);
}

TEST(it_opens_nothing_before_it_asked) {
    walked w = {.skip = "b", .at_entry = count_reads};
    begin();
    grow("a/ a/b/ a/b/c=x");
    faults_watch();
    CHECK_INT(walk(at("a"), RONDO_WALK_PARALLEL, 0, &w), 1);
    CHECK_INT(opened_when_told, 2); /* the root, to its end */
    CHECK_INT(faults_count(CALL_getdents64), 2);
    faults_stop();
    end();
}

TEST(it_follows_no_link_but_the_root) {
    walked w = {.entries = 0};
    begin();
    grow("out/ out/secret=s a/ a/in/ a/in/f=1 a/link>../out a/in/up>../.. root>a");
    CHECK_INT(walk(at("root"), RONDO_WALK_PARALLEL, 0, &w), 4);
    CHECK_STR(sorted(w.text), "in/ in/f in/up@ link@");
    end();
}

/* Between the callback that is told of a directory and its opening it becomes a link. */
static void swap(const rondo_walk_entry *entry) {
    if (strcmp(entry->path, "b") != 0) return;
    CHECK_INT(rename(at("a/b"), at("a/was")), 0);
    CHECK_INT(symlink("../out", at("a/b")), 0);
}

TEST(a_swapped_link_leads_nowhere) {
    for (int walking = 0; walking < 2; walking++) {
        walked w = {.at_entry = swap};
        begin();
        grow("out/ out/secret=s a/ a/b/ a/b/c/");
        if (walking) faults_every(CALL_syscall, 1, ENOSYS);
        CHECK_INT(walk(at("a"), RONDO_WALK_PARALLEL, 0, &w), 1);
        CHECK_STR(w.text, "b/");
        faults_stop();
        end();
    }
}

TEST(what_keeps_it_from_beginning_is_told) {
    walked none = {.entries = 0}, file = {.entries = 0};
    begin();
    grow("f=x");
    CHECK_INT(walk(at("missing"), RONDO_WALK_PARALLEL, 0, &none), RONDO_ENOENT);
    CHECK_INT(walk(at("f"), RONDO_WALK_PARALLEL, 0, &file), RONDO_ENOTDIR);
    end();
}

TEST(a_directory_that_may_not_be_read_is_told) {
    walked w = {.entries = 0};
    begin();
    become_nobody();
    grow("a/ a/b/ a/b/no/ a/c=1");
    CHECK_INT(chmod(at("a/b/no"), 0), 0);
    CHECK_INT(walk(at("a"), RONDO_WALK_PARALLEL, 0, &w), 4);
    CHECK_STR(sorted(w.text), "b/ b/no/ b/no/!EACCES c");
    CHECK_INT(chmod(at("a/b/no"), 0755), 0);
    end();
}

/* ---- ends before its time ---- */

typedef struct ending {
    outcome what;
    rondo_job *job;
    int told, told_after;
    int (*how)(rondo_job *job); /* at the first entry */
    bool close_all;
    bool ended;
} ending;

static rondo_walk_verdict end_it(rondo_loop *loop, const rondo_walk_entry *entry, void *arg) {
    ending *e = arg;
    e->told++;
    e->told_after += e->ended;
    if (!e->ended && e->how) CHECK_INT(e->how(e->job), 0);
    if (!e->ended && e->close_all) rondo_loop_close_all(loop);
    e->ended = e->how || e->close_all;
    return RONDO_WALK_ON;
}

static void ending_done(rondo_loop *loop, int64_t result, void *arg) {
    note_outcome(loop, result, &((ending *)arg)->what);
}

static void start(ending *e, const char *path) {
    CHECK_INT(
        rondo_fs_walk(the_loop, at(path), RONDO_WALK_PARALLEL, 0, &e->job, end_it, ending_done, e),
        0);
}

TEST(canceled_in_a_callback_it_tells_nothing_more) {
    ending ways[] = {{.how = rondo_job_cancel}, {.how = rondo_job_abandon}, {.close_all = true}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        begin();
        grow("a/ a/b/ a/b/c=x a/d=1 a/e/ a/e/f=1");
        start(&ways[i], "a");
        run_to_end(the_loop);
        CHECK_OUTCOME(ways[i].what, RONDO_ECANCELED);
        CHECK_INT(ways[i].told, 1);
        CHECK_INT(ways[i].told_after, 0);
        end();
    }
}

/* A limb stands in a directory that does not answer, and the walk is parked. */
static void begin_held(ending *e) {
    begin();
    grow("a/ a/stuck/ a/stuck/f=1 a/fine/ a/fine/g=1");
    gate_init(&door);
    held = stat_of("a/stuck").st_ino;
    start(e, "a");
    while (e->told < 3) CHECK(rondo_loop_run(the_loop, RONDO_RUN_ONCE) >= 0);
    gate_wait_entered(&door, 1);
}

static void let_go(void) {
    held = 0;
    gate_open(&door, 1);
}

TEST(canceled_it_does_not_wait_for_a_directory_that_hangs) {
    int (*const ways[])(rondo_job *) = {rondo_job_cancel, rondo_job_abandon};
    for (int i = 0; i < 2; i++) {
        ending e = {.ended = false};
        begin_held(&e);
        CHECK_INT(ways[i](e.job), 0);
        run_to_end(the_loop);
        CHECK_OUTCOME(e.what, RONDO_ECANCELED);
        let_go();
        end();
        CHECK_INT(e.told, 3);
    }
}

TEST(its_time_ends_while_a_directory_hangs) {
    ending e = {.ended = false};
    begin_held(&e);
    CHECK_INT(rondo_job_set_timeout(e.job, 1), 0);
    run_to_end(the_loop);
    CHECK_OUTCOME(e.what, RONDO_ETIMEDOUT);
    let_go();
    end();
}

TEST(a_loop_is_freed_while_a_directory_hangs) {
    ending e = {.ended = false};
    begin_held(&e);
    rondo_loop_free(the_loop); /* doesn't wait */
    CHECK_INT(e.what.calls, 0);
    let_go();
    place_end();
}

TEST(a_loop_is_freed_at_any_moment) {
    for (int turns = 0; turns < 8; turns++) {
        ending e = {.ended = false};
        begin();
        grow_random(5);
        start(&e, "t");
        for (int i = 0; i < turns; i++) rondo_loop_run(the_loop, RONDO_RUN_NOWAIT);
        end();
        CHECK(e.what.calls <= 1);
    }
}

static void note_walk_progress(rondo_loop *loop, uint64_t done, uint64_t total, void *arg) {
    uint64_t *most = arg;
    CHECK(done >= *most);
    *most = done;
}

TEST(it_says_how_far_it_is) {
    ending e = {.ended = false};
    uint64_t most = 0;
    begin();
    grow_random(6);
    start(&e, "t");
    CHECK_INT(rondo_job_on_progress(e.job, note_walk_progress, &most), 0);
    run_to_end(the_loop);
    CHECK_INT(e.what.result, e.told);
    CHECK(most > 0 && most <= (uint64_t)e.told);
    end();
}

/* ---- failures ---- */

static long fail_after = -1; /* allocations */

static void scenario(void) {
    walked w = {.entries = 0};
    begin();
    warm_up(the_loop);
    grow("a/ a/b=one a/c/ a/c/d=two a/e>b a/empty/");
    harness_fail_alloc_after(fail_after);
    FAULTS_BEGIN();
    int64_t result = walk(at("a"), RONDO_WALK_STAT | RONDO_WALK_PARALLEL, 0, &w);
    FAULTS_END();
    bool failed = faults_struck() || harness_alloc_failed();
    if (!failed) CHECK_STR(sorted(w.text), "b c/ c/d e@ empty/");
    if (failed && harness_alloc_failed()) CHECK(result == RONDO_ENOMEM || result == 5);
    CHECK(failed || result == 5);
    end();
}

TEST(an_error_at_every_point) {
    faults_calls calls = CALL_syscall | CALL_openat | CALL_getdents64 | CALL_statx | CALL_fstat;
    FAULT_SWEEP(scenario, calls, EIO);
    FAULT_SWEEP(scenario, calls, EMFILE);
    FAULT_SWEEP(scenario, CALL_openat | CALL_getdents64 | CALL_statx, EINTR);
}

TEST(no_memory_at_every_point) {
    do {
        fail_after++;
        scenario();
    } while (harness_alloc_failed());
    CHECK(fail_after > 5);
}
