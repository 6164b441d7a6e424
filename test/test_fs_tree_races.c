/* SPDX-License-Identifier: MIT
 *
 * Trees that change while they are walked, copied or removed, that are deeper than a path may be,
 * that are larger than what the process has descriptors for; and operations that are canceled.
 *
 * test/run: not under valgrind; most of its time is the file system's, and the sanitizers see the rest.
 */
#define _GNU_SOURCE
#include "trees.h"

#include "faults.h"

#include <errno.h>
#include <sys/resource.h>

/* ---- deep ---- */

enum {
    LEVELS = 2100
}; /* 4200 bytes of path; 10,000 work as well, but take long on a busy machine */

static unsigned deepest;
static size_t longest;
static void note_depth(const rondo_walk_entry *entry) {
    CHECK_INT(entry->error, 0);
    if (entry->depth > deepest) deepest = entry->depth;
    if (entry->path_len > longest) longest = entry->path_len;
}

static unsigned most_open;
static void count_descriptors(const rondo_walk_entry *entry) {
    unsigned open = 0;
    if (entry->depth % 100 != 0) return;
    for (int fd = 0; fd < 256; fd++) open += fcntl(fd, F_GETFD) >= 0;
    if (open > most_open) most_open = open;
}

TEST_BOTH(a_tree_may_be_deeper_than_a_path_is_long) {
    int levels = LEVELS;
    walked w = {.at_entry = note_depth}, again = {.at_entry = count_descriptors};
    deepest = 0;
    grow_deep("deep", levels);
    CHECK_INT(walk(at("deep"), RONDO_WALK_STAT, 0, &w), 2 * levels);
    CHECK_INT(deepest, levels);
    CHECK_INT(longest, 2 * levels - 1); /* "d/d/d" */
    CHECK_INT(walk(at("deep"), 0, 0, &again), 2 * levels);
    CHECK(most_open <= 32);
    CHECK_INT(copy_tree(at("deep"), at("copy"), 0), 0);
    CHECK_INT(reported.directories, levels + 1);
    CHECK_INT(reported.bytes, levels);
    CHECK_INT(remove_tree(at("deep"), 0), 0);
    CHECK_INT(reported.directories, levels + 1);
    CHECK_INT(reported.files, levels);
    CHECK_INT(remove_tree(at("copy"), 0), 0);
    CHECK_INT(reported.directories, levels + 1);
    CHECK_STR(shown(""), "");
}

/* ---- few descriptors ---- */

static void leave_descriptors(int count) {
    int fd = dup(0);
    struct rlimit limit;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    close(fd);
    limit.rlim_cur = (rlim_t)(fd + count);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

TEST_BOTH(few_descriptors_are_enough) {
    struct rlimit before;
    walked w = {.entries = 0};
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &before), 0);
    grow_deep("deep", 40);
    leave_descriptors(5);
    CHECK_INT(walk(at("deep"), 0, 0, &w), 80);
    CHECK(strchr(w.text, '!') == NULL);
    leave_descriptors(10);
    CHECK_INT(copy_tree(at("deep"), at("copy"), 0), 0);
    CHECK_INT(reported.files, 40);
    leave_descriptors(6);
    CHECK_INT(remove_tree(at("deep"), 0), 0);
    CHECK_INT(remove_tree(at("copy"), 0), 0);
    grow("a/ a/b/");
    leave_descriptors(1);
    CHECK_INT(remove_tree(at("a"), 0), RONDO_EMFILE);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_STR(shown(""), "a/ a/b/");
}

/* ---- things that move ---- */

/* In a walk of a chain of 100 directories: once it is at the bottom, and the upper ones are closed,
 * some of them are moved. */
static unsigned move_at;
static bool saw_neighbour;
static void move_upper(const rondo_walk_entry *entry) {
    saw_neighbour |= strstr(entry->name, "neighbour") != NULL;
    if (entry->depth != move_at) return;
    move_at = 0;
    CHECK_INT(rename(at("deep/d/d/d"), at("elsewhere")), 0);
}

static void grow_chain(int levels) {
    grow_deep("deep", levels);
    for (int i = 0; i < 2; i++) { /* something to come back to, on either side of the chain */
        char name[64];
        snprintf(name, sizeof name, "deep/%s=", i ? "zz" : "aa");
        grow(name);
        snprintf(name, sizeof name, "deep/d/%s=", i ? "zz" : "aa");
        grow(name);
    }
}

/* More than are read at a time, so that the walk comes back to the middle of the directory. */
static void grow_files(const char *directory, const char *word) {
    for (int i = 0; i < 1500; i++) {
        char name[80];
        snprintf(name, sizeof name, "%s%s.with.a.long.name.%d=safe", directory, word, i);
        grow(name);
    }
}

/* deep/d/d, with the way down before most of what is in it: tmpfs lists what is newest first. */
static void grow_large_directory(void) {
    grow_files("deep/d/d/", "own");
    CHECK_INT(rename(at("deep/d/d/d"), at("d")), 0);
    CHECK_INT(rename(at("d"), at("deep/d/d/d")), 0);
}

/* Closed meanwhile: it is read on from where it was, not from its beginning. */
TEST_BOTH(a_large_directory_far_above_is_read_on) {
    walked w = {.entries = 0};
    grow_chain(30);
    grow_large_directory();
    CHECK_INT(walk(at("deep"), 0, 0, &w), 64 + 1500);
    CHECK_INT(copy_tree(at("deep"), at("copy"), 0), 0);
    CHECK_INT(reported.files, 34 + 1500);
    CHECK_INT(remove_tree(at("copy"), 0), 0);
    CHECK_INT(reported.files, 34 + 1500);
}

TEST_BOTH(directories_that_are_moved_away_end_early) {
    walked w = {.at_entry = move_upper};
    grow_files("", "neighbour"); /* before and behind: in whatever order a file system lists */
    grow_chain(60);
    grow_large_directory();
    grow_files("", "another.neighbour");
    move_at = 50;
    int64_t told = walk(at("deep"), RONDO_WALK_ASK, 0, &w);
    CHECK(told >= 50 && told <= 1624);
    CHECK_INT(move_at, 0);
    CHECK(strchr(w.text, '!') == NULL);
    CHECK(!saw_neighbour);
    CHECK(strstr(w.text, "neighbour") == NULL); /* ".." led out of the tree, and was not taken */
    CHECK(strstr(w.text, "d/zz") != NULL && strstr(w.text, "aa") != NULL);
}

static void rename_upper(const rondo_walk_entry *entry) {
    if (entry->depth != move_at) return;
    move_at = 0;
    CHECK_INT(rename(at("deep"), at("other")), 0);
}

TEST_BOTH(a_root_that_is_renamed_is_walked_to_its_end) {
    walked w = {.at_entry = rename_upper};
    grow_chain(60);
    move_at = 50;
    CHECK_INT(walk(at("deep"), RONDO_WALK_ASK, 0, &w), 124);
    CHECK_INT(move_at, 0);
}

static void remove_all(const rondo_walk_entry *entry) {
    char command[200];
    if (entry->depth != move_at) return;
    move_at = 0;
    snprintf(command, sizeof command, "rm -rf '%s/deep'", place);
    CHECK_INT(system(command), 0);
    faults_every(CALL_lseek, 1, EINVAL); /* as ext4 says of a directory that was removed */
}

TEST_BOTH(a_tree_that_is_removed_while_it_is_walked_ends) {
    walked w = {.at_entry = remove_all};
    grow_chain(60);
    move_at = 40;
    int64_t told = walk(at("deep"), RONDO_WALK_ASK, 0, &w);
    CHECK(told >= 40 && told <= 124);
    CHECK_INT(move_at, 0);
    CHECK(strchr(w.text, '!') == NULL);
    faults_clear();
}

/* ---- links that are swapped ---- */

/* Swaps DIR and a link to the outside as fast as it can. */
typedef struct swapper {
    pthread_t thread;
    atomic_bool stop;
    atomic_int swaps;
} swapper;

static void *swap(void *arg) {
    swapper *s = arg;
    char real[200], link[200];
    snprintf(real, sizeof real, "%s/tree/d", place);
    snprintf(link, sizeof link, "%s/link", place);
    while (!atomic_load(&s->stop)) {
        /* Neither needs to be there any more. */
        if (renameat2(AT_FDCWD, real, AT_FDCWD, link, RENAME_EXCHANGE) == 0)
            atomic_fetch_add(&s->swaps, 1);
        sched_yield();
    }
    return NULL;
}

static void start_swapping(swapper *s) {
    atomic_init(&s->stop, false);
    atomic_init(&s->swaps, 0);
    s->thread = harness_thread(swap, s);
}

static void stop_swapping(swapper *s) {
    atomic_store(&s->stop, true);
    pthread_join(s->thread, NULL);
}

static void see_nothing_outside(const rondo_walk_entry *entry) {
    CHECK(strstr(entry->name, "precious") == NULL);
}

static void grow_bait(void) {
    grow("tree/ tree/d/ tree/d/x=1 tree/d/y=2 outside/ outside/precious=safe");
    CHECK_INT(symlink(at("outside"), at("link")), 0);
}

static void clear_bait(void) {
    char command[300];
    snprintf(command, sizeof command, "cd '%s' && rm -rf tree link copy", place);
    CHECK_INT(system(command), 0);
}

TEST_BOTH(a_link_that_is_swapped_leads_nobody_out_of_the_tree) {
    swapper s;
    grow_bait();
    int rounds = harness_is_slow() ? 20 : 200;
    long long end_ms = harness_now_ms() + 2000; /* fewer where a round takes long */
    for (int i = 0; i < rounds && (i < 5 || harness_now_ms() < end_ms); i++) {
        walked w = {.at_entry = see_nothing_outside};
        start_swapping(&s);
        CHECK(walk(at("tree"), 0, 0, &w) >= 0);
        copy_tree(at("tree"), at("copy"), 0);
        remove_tree(at("tree"), 0);
        stop_swapping(&s);
        CHECK_STR(shown("outside"), "precious=safe");
        CHECK(access(at("copy/d/precious"), F_OK) != 0 || S_ISLNK(stat_of("copy/d").st_mode));
        clear_bait();
        grow("tree/ tree/d/ tree/d/x=1 tree/d/y=2");
        CHECK_INT(symlink(at("outside"), at("link")), 0);
    }
}

/* The same, at the worst moment and without luck: after its name was read as a directory's. */
static void swap_now(void) {
    CHECK_INT(renameat2(AT_FDCWD, at("tree/d"), AT_FDCWD, at("link"), RENAME_EXCHANGE), 0);
}
static void swap_at_entry(const rondo_walk_entry *entry) {
    see_nothing_outside(entry);
    if (strcmp(entry->path, "d") == 0) swap_now();
}

TEST_BOTH(a_link_swapped_between_reading_a_name_and_opening_it) {
    walked w = {.at_entry = swap_at_entry};
    grow_bait();
    CHECK_INT(walk(at("tree"), RONDO_WALK_ASK, 0, &w), 1); /* swapped before it is opened */
    CHECK_STR(w.text, "d/");
    CHECK_INT(remove_tree(at("tree"), 0), 0);
    CHECK_STR(shown("outside"), "precious=safe");
    CHECK_STR(shown("link"), "x=1 y=2");
}

/* ---- others at work in the same tree ---- */

static void *remove_too(void *arg) {
    rondo_tree_report report;
    return (void *)(intptr_t)rondo_fs_remove_tree_sync(arg, 0, &report);
}

TEST_BOTH(two_that_remove_the_same_tree) {
    char name[64], path[100];
    for (int round = 0; round < 5; round++) {
        grow("a/");
        for (int i = 0; i < 100; i++) {
            snprintf(name, sizeof name, "a/%d/ a/%d/x=1 a/%d/y=2", i, i, i);
            grow(name);
        }
        snprintf(path, sizeof path, "%s", at("a"));
        pthread_t other = harness_thread(remove_too, path);
        int64_t result = remove_tree(at("a"), 0);
        void *theirs;
        pthread_join(other, &theirs);
        if (result < 0) CHECK_INT(result, RONDO_ENOENT);
        CHECK((intptr_t)theirs == 0 || (intptr_t)theirs == RONDO_ENOENT);
        CHECK_STR(shown(""), "");
    }
}

/* ---- canceling ---- */

typedef struct canceling {
    rondo_job *job;
    outcome what;
    unsigned steps_left; /* until it is canceled */
    int said;
} canceling;

static void note_canceled_tree(rondo_loop *loop, int result, const rondo_tree_report *report,
                               void *arg) {
    canceling *c = arg;
    reported = *report;
    c->job = NULL;
    note_outcome(loop, result, &c->what);
}
static void note_canceled(rondo_loop *loop, int64_t result, void *arg) {
    canceling *c = arg;
    c->job = NULL;
    note_outcome(loop, result, &c->what);
}

/* Another job for the same lane, between the steps of the one that is canceled. */
static void count_down(rondo_loop *loop, int64_t result, void *arg) {
    canceling *c = arg;
    if (!c->job) return;
    if (c->steps_left-- == 0) c->said = rondo_job_cancel(c->job);
    if (c->said == 1) CHECK_INT(rondo_fs_mkdir_all(loop, place, 0755, NULL, count_down, arg), 0);
}

static void grow_many(void) {
    char name[64];
    grow("a/");
    for (int i = 0; i < 900; i++) {
        snprintf(name, sizeof name, "a/%d=%d", i, i);
        grow(name);
    }
}

TEST(a_copy_that_is_canceled_says_what_it_did) {
    the_loop = new_loop();
    CHECK_INT(rondo_lane_resize(rondo_lane_fs(the_loop), 1, 10), 0);
    place_begin();
    grow_many();
    for (unsigned after = 0; after < 5; after++) {
        canceling c = {.steps_left = after, .said = 1};
        CHECK_INT(rondo_fs_copy_tree(the_loop, at("a"), at("b"), 0, &c.job, note_canceled_tree, &c),
                  0);
        CHECK_INT(rondo_fs_mkdir_all(the_loop, place, 0755, NULL, count_down, &c), 0);
        run_to_end(the_loop);
        CHECK_OUTCOME(c.what, RONDO_ECANCELED);
        CHECK(c.said == 0 || c.said == RONDO_EBUSY);
        CHECK(reported.files < 900);
        uint64_t there = 0;
        walked w = {.entries = 0};
        rondo_loop *loop = the_loop;
        the_loop = NULL;
        if (access(at("b"), F_OK) == 0) there = (uint64_t)walk(at("b"), 0, 0, &w);
        CHECK_INT(reported.files, (long long)there);
        if (there > 0) CHECK_INT(remove_tree(at("b"), 0), 0);
        the_loop = loop;
    }
    place_end();
    rondo_loop_free(the_loop);
}

static void put_large(void) {
    int fd = open(at("large"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CHECK_INT(ftruncate(fd, 1), 0);
    char *block = malloc(1 << 20);
    memset(block, 'x', 1 << 20);
    for (int i = 0; i < 20; i++) CHECK_INT(write(fd, block, 1 << 20), 1 << 20);
    free(block);
    close(fd);
}

TEST(a_canceled_copy_of_a_file_leaves_no_part_of_it) {
    the_loop = new_loop();
    CHECK_INT(rondo_lane_resize(rondo_lane_fs(the_loop), 1, 10), 0);
    place_begin();
    put_large();
    faults_every(CALL_ioctl, 1, EOPNOTSUPP); /* shared data would be copied in one step */
    for (unsigned after = 0; after < 4; after++) {
        canceling c = {.steps_left = after, .said = 1};
        CHECK_INT(rondo_fs_copyfile(the_loop, at("large"), at("b"), 0, &c.job, note_canceled, &c),
                  0);
        CHECK_INT(rondo_fs_mkdir_all(the_loop, place, 0755, NULL, count_down, &c), 0);
        run_to_end(the_loop);
        CHECK_OUTCOME(c.what, RONDO_ECANCELED);
        CHECK_INT(access(at("b"), F_OK), -1);
    }
    faults_clear();
    place_end();
    rondo_loop_free(the_loop);
}

TEST(a_canceled_write_leaves_the_old_file) {
    the_loop = new_loop();
    CHECK_INT(rondo_lane_resize(rondo_lane_fs(the_loop), 1, 10), 0);
    place_begin();
    grow("f=old");
    size_t size = 20 << 20;
    char *data = calloc(1, size);
    for (unsigned after = 0; after < 4; after++) {
        canceling c = {.steps_left = after, .said = 1};
        CHECK_INT(rondo_fs_write_file(the_loop, at("f"), data, size, 0644, RONDO_WRITE_NO_SYNC,
                                      &c.job, note_canceled, &c),
                  0);
        CHECK_INT(rondo_fs_mkdir_all(the_loop, place, 0755, NULL, count_down, &c), 0);
        run_to_end(the_loop);
        CHECK_OUTCOME(c.what, RONDO_ECANCELED);
        CHECK_STR(shown(""), "f=old");
    }
    free(data);
    place_end();
    rondo_loop_free(the_loop);
}

/* ---- the loop freed ---- */

TEST(a_loop_freed_between_steps_leaves_nothing) {
    place_begin();
    grow_many();
    put_large();
    for (int turns = 0; turns < 4; turns++) {
        rondo_loop *loop = new_loop();
        canceling c = {.said = 1};
        contents got = {.len = 0};
        CHECK_INT(rondo_fs_copy_tree(loop, at("a"), at("b"), 0, &c.job, note_canceled_tree, &c), 0);
        CHECK_INT(rondo_fs_copyfile(loop, at("large"), at("c"), 0, NULL, note_canceled, &c), 0);
        CHECK_INT(rondo_fs_read_file(loop, at("large"), 1 << 30, NULL, note_contents, &got), 0);
        for (int i = 0; i < turns; i++) rondo_loop_run(loop, RONDO_RUN_NOWAIT);
        rondo_loop_free(loop);
        rondo_free(got.data);
        if (access(at("c"), F_OK) == 0) CHECK_INT(stat_of("c").st_size, 20 << 20);
        rondo_fs_remove_tree_sync(at("b"), 0, NULL);
        rondo_fs_remove_tree_sync(at("c"), 0, NULL);
    }
    place_end();
}

TEST(closing_everything_ends_what_is_under_way) {
    the_loop = new_loop();
    place_begin();
    grow_many();
    canceling c = {.said = 1};
    CHECK_INT(rondo_fs_copy_tree(the_loop, at("a"), at("b"), 0, &c.job, note_canceled_tree, &c), 0);
    rondo_loop_close_all(the_loop);
    run_to_end(the_loop);
    CHECK_INT(c.what.calls, 1);
    place_end();
    rondo_loop_free(the_loop);
}

/* ---- progress, and what hangs ---- */

typedef struct progress {
    int calls;
    uint64_t done, total;
} progress;
static void note_progress(rondo_loop *loop, uint64_t done, uint64_t total, void *arg) {
    progress *p = arg;
    CHECK(done >= p->done);
    *p = (progress){p->calls + 1, done, total};
}

TEST(a_copy_says_how_far_it_is) {
    the_loop = new_loop();
    place_begin();
    put_large();
    canceling c = {.said = 1};
    progress file = {.calls = 0}, tree = {.calls = 0};
    faults_every(CALL_ioctl, 1, EOPNOTSUPP);
    CHECK_INT(rondo_fs_copyfile(the_loop, at("large"), at("b"), 0, &c.job, note_canceled, &c), 0);
    CHECK_INT(rondo_job_on_progress(c.job, note_progress, &file), 0);
    run_to_end(the_loop);
    CHECK_OUTCOME(c.what, 20 << 20);
    CHECK(file.calls >= 1);
    CHECK_INT(file.total, 20 << 20);
    CHECK(file.done > 0 && file.done <= file.total);
    grow("a/");
    CHECK_INT(rename(at("large"), at("a/large")), 0);
    c.what.calls = 0;
    CHECK_INT(rondo_fs_copy_tree(the_loop, at("a"), at("c"), 0, &c.job, note_canceled_tree, &c), 0);
    CHECK_INT(rondo_job_on_progress(c.job, note_progress, &tree), 0);
    run_to_end(the_loop);
    faults_clear();
    CHECK_OUTCOME(c.what, 0);
    CHECK(tree.calls >= 1);
    CHECK_INT(tree.total, 0);
    CHECK(tree.done > 0 && tree.done <= 20 << 20);
    place_end();
    rondo_loop_free(the_loop);
}

TEST(a_read_that_hangs_is_abandoned) {
    rondo_loop *loop = new_loop();
    rondo_lane *lane = rondo_lane_fs(loop);
    contents got = {.len = 0};
    rondo_job *job;
    place_begin();
    grow("fifo|");
    CHECK_INT(rondo_fs_read_file(loop, at("fifo"), 100, &job, note_contents, &got), 0);
    WAIT_FOR_FIGURE(lane, running, 1);
    CHECK_INT(rondo_job_abandon(job), 0);
    run_to_end(loop);
    CHECK_OUTCOME(got.what, RONDO_ECANCELED);
    int fd = open(at("fifo"), O_WRONLY | O_CLOEXEC); /* it comes back */
    CHECK(fd >= 0);
    close(fd);
    WAIT_FOR_FIGURE(lane, abandoned, 0);
    place_end();
    rondo_loop_free(loop);
}

TEST(memory_of_the_caller_is_not_left_with_a_thread) {
    rondo_loop *loop = new_loop();
    outcome what = {0};
    rondo_job *job;
    place_begin();
    CHECK_INT(rondo_fs_write_file(loop, at("f"), "data", 4, 0644, RONDO_WRITE_NO_SYNC, &job,
                                  note_outcome, &what),
              0);
    CHECK_INT(rondo_job_abandon(job), RONDO_EINVAL); /* without rondo_job_on_release() */
    run_to_end(loop);
    CHECK_OUTCOME(what, 4);
    place_end();
    rondo_loop_free(loop);
}
