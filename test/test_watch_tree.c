/* SPDX-License-Identifier: MIT
 *
 * Watching whole trees: directories that come, move and go, what happened in them before they were
 * watched, and what is told when something was missed.
 */
#define _GNU_SOURCE
#include "gate.h"
#include "watches.h"

#include <sys/mount.h>

static rondo_loop *loop;
static rondo_fs_watch *tree;

static void begin(uint64_t window_ms) {
    enter_home();
    make_dir("t"), make_dir("out");
    loop = rondo_loop_new();
    tree = ready_watch(loop, "t", RONDO_FS_WATCH_RECURSIVE, window_ms);
}

static void end(void) {
    end_loop(loop);
    leave_home();
}

static void check_figures(size_t directories, size_t unwatched) {
    rondo_fs_watch_figures figures = watch_figures(tree);
    CHECK_INT(figures.directories, directories);
    CHECK_INT(figures.unwatched, unwatched);
}

/* How often a word is in the trace. */
static int told(const char *word) {
    int count = 0;
    for (const char *at = trace; (at = strstr(at, word)); at += strlen(word)) count++;
    return count;
}

/* ---- directories that come ---- */

TEST(what_is_there_at_the_start_is_watched_and_not_told) {
    enter_home();
    make_dir("t"), make_dir("t/a"), make_dir("t/a/b"), make_dir("t/c");
    write_file("t/a/f");
    loop = rondo_loop_new();
    tree = ready_watch(loop, "t", RONDO_FS_WATCH_RECURSIVE, 0);
    check_figures(4, 0);
    remove_file("t/a/f");
    make_dir("t/a/b/n");
    make_dir("t/c/n");
    await(loop, "created(c/n/)");
    CHECK_TRACE("removed(a/f) created(a/b/n/) created(c/n/)");
    end();
}

TEST(a_new_directory_loses_nothing_of_what_was_made_in_it_at_once) {
    begin(0);
    make_dir("t/a"), make_dir("t/a/b"), make_dir("t/a/b/c");
    make_dir("t/a/b/c/last");
    await(loop, "created(a/b/c/last/)");
    CHECK_TRACE("created(a/) created(a/b/) created(a/b/c/) created(a/b/c/last/)");
    make_dir("t/a/b/c/last/x");
    await(loop, "last/x/");
    CHECK_TRACE("created(a/b/c/last/x/)");
    check_figures(6, 0);
    end();
}

/* Directories with files are made as fast as they can be while the loop looks: each is told exactly
 * once, whether the look or the kernel was first. */
static void *make_many(void *arg) {
    char path[64];
    for (int i = 0; i < 60; i++) {
        snprintf(path, sizeof path, "t/d%03d", i), make_dir(path);
        for (int j = 0; j < 20; j++) {
            snprintf(path, sizeof path, "t/d%03d/f%02d;", i, j), write_file(path);
            if (j % 5 == 0) {
                snprintf(path, sizeof path, "t/d%03d/s%02d", i, j), make_dir(path);
                snprintf(path, sizeof path, "t/d%03d/s%02d/g;", i, j), write_file(path);
            }
        }
    }
    write_file("t/done");
    return NULL;
}

static int created[60][24];
static void count_created(rondo_fs_watch *watch, const rondo_fs_watch_change *change, void *arg) {
    int i, j;
    CHECK(change->what != RONDO_FS_WATCH_OVERFLOW);
    if (strcmp(change->path, "done") == 0) note("done");
    if (change->what != RONDO_FS_WATCH_CREATED) return;
    if (sscanf(change->path, "d%03d/s%02d/g;", &i, &j) == 2 && strchr(change->path, ';'))
        created[i][20 + j / 5]++;
    else if (sscanf(change->path, "d%03d/f%02d;", &i, &j) == 2)
        created[i][j]++;
}

TEST(what_a_thread_makes_meanwhile_is_told_exactly_once) {
    begin(0);
    rondo_fs_watch_off_change(tree, note_change, NULL);
    rondo_fs_watch_on_change(tree, count_created, NULL);
    pthread_t thread = harness_thread(make_many, NULL);
    int total = 0;
    while (total < 60 * 24) {
        turn(loop);
        total = 0;
        for (int i = 0; i < 60; i++)
            for (int j = 0; j < 24; j++) total += created[i][j];
    }
    pthread_join(thread, NULL);
    while (!strstr(trace, "done")) turn(loop);
    for (int i = 0; i < 60; i++)
        for (int j = 0; j < 24; j++) CHECK_INT(created[i][j], 1);
    check_figures(1 + 60 + 60 * 4, 0);
    end();
}

TEST(a_directory_moved_in_is_told_with_what_is_in_it) {
    begin(0);
    make_dir("out/d"), make_dir("out/d/s");
    write_file("out/d/s/f");
    move("out/d", "t/e");
    await(loop, "created(e/s/f)");
    CHECK_TRACE("created(e/) created(e/s/) created(e/s/f)");
    remove_file("t/e/s/f");
    await(loop, "removed(e/s/f)");
    CHECK_TRACE("removed(e/s/f)");
    end();
}

TEST(a_large_directory_is_read_in_steps_and_told_once) {
    begin(0);
    char path[64];
    make_dir("out/d");
    for (int i = 0; i < 3000; i++) {
        snprintf(path, sizeof path, "out/d/%04d", i);
        make_dir(path);
    }
    rondo_loop_set_budget(loop, RONDO_BUDGET_changes, 100);
    unsigned before = (unsigned)watch_figures(tree).changes;
    move("out/d", "t/d");
    while (watch_figures(tree).directories < 3002 || watch_figures(tree).changes < before + 3001) {
        turn(loop);
        trace_size = 0, trace[0] = '\0';
    }
    make_dir("t/d/2999/x");
    await(loop, "created(d/2999/x/)");
    CHECK_TRACE("created(d/2999/x/)");
    CHECK_INT(watch_figures(tree).changes, before + 3002);
    end();
}

/* ---- directories that move and go ---- */

TEST(a_directory_moved_within_the_tree_has_its_paths_right_afterwards) {
    begin(0);
    make_dir("t/a"), make_dir("t/a/b"), make_dir("t/c");
    await(loop, "created(a/b/)");
    await(loop, "created(c/)");
    while (watch_figures(tree).directories < 4) turn(loop);
    settle(loop, tree);
    trace_size = 0, trace[0] = '\0';
    move("t/a", "t/c/z");
    write_file("t/c/z/b/f");
    remove_file("t/c/z/b/f");
    await(loop, "removed(c/z/b/f)");
    cut_marks("changed");
    CHECK_TRACE("renamed(a/)c/z/ created(c/z/b/f) removed(c/z/b/f)");
    check_figures(4, 0);
    make_dir("t/a"); /* the old name is free */
    make_dir("t/a/n");
    await(loop, "created(a/n/)");
    CHECK_TRACE("created(a/) created(a/n/)");
    end();
}

TEST(a_directory_moved_out_is_not_heard_of_any_more) {
    begin(0);
    make_dir("t/a"), make_dir("t/a/b");
    await(loop, "created(a/b/)");
    settle(loop, tree);
    trace_size = 0, trace[0] = '\0';
    move("t/a", "out/a");
    write_file("out/a/b/f");
    await(loop, "removed(a/)");
    check_figures(1, 0);
    write_file("out/a/b/g");
    make_dir("t/last");
    await(loop, "last/");
    CHECK_TRACE("removed(a/) created(last/)");
    end();
}

TEST(removed_directories_are_forgotten) {
    begin(0);
    make_dir("t/a"), make_dir("t/a/b");
    await(loop, "created(a/b/)");
    remove_dir("t/a/b"), remove_dir("t/a");
    await(loop, "removed(a/)");
    CHECK_TRACE("created(a/) created(a/b/) removed(a/b/) removed(a/)");
    check_figures(1, 0);
    make_dir("t/a"), make_dir("t/a/b"); /* the same names, other inodes */
    await(loop, "created(a/b/)");
    make_dir("t/a/b/c");
    await(loop, "created(a/b/c/)");
    CHECK_TRACE("created(a/) created(a/b/) created(a/b/c/)");
    end();
}

TEST(two_directories_that_change_places) {
    begin(0);
    make_dir("t/a"), make_dir("t/b"), make_dir("t/a/in-a"), make_dir("t/b/in-b");
    await(loop, "in-a/");
    await(loop, "in-b/");
    settle(loop, tree);
    trace_size = 0, trace[0] = '\0';
    move("t/a", "t/x"), move("t/b", "t/a"), move("t/x", "t/b");
    make_dir("t/b/in-a/n");
    await(loop, "created(b/in-a/n/)");
    make_dir("t/a/in-b/n");
    await(loop, "created(a/in-b/n/)");
    CHECK_TRACE("renamed(a/)x/ renamed(b/)a/ renamed(x/)b/ created(b/in-a/n/) created(a/in-b/n/)");
    check_figures(7, 0);
    end();
}

/* ---- links ---- */

TEST(links_inside_a_tree_are_not_followed) {
    enter_home();
    make_dir("t"), make_dir("out"), make_dir("out/d");
    link_to("../out", "t/l");
    loop = rondo_loop_new();
    tree = ready_watch(loop, "t", RONDO_FS_WATCH_RECURSIVE, 0);
    check_figures(1, 0);
    make_dir("out/e");
    link_to("../out", "t/m");
    await(loop, "created(m)");
    make_dir("out/f");
    make_dir("t/last");
    await(loop, "last/");
    CHECK_TRACE("created(m) created(last/)");
    check_figures(2, 0);
    end();
}

static void *swap(void *arg) {
    for (int i = 0; i < 400; i++) {
        make_dir("t/d");
        rename("t/d", "out/d");
        link_to("/usr", "t/d");
        remove_file("t/d");
        rmdir("out/d");
    }
    write_file("t/done");
    return NULL;
}

/* Never a path below /usr, whatever the look finds when. */
static void check_no_escape(rondo_fs_watch *watch, const rondo_fs_watch_change *change, void *arg) {
    CHECK(strcmp(change->path, "d") == 0 || strcmp(change->path, "done") == 0 ||
          change->what == RONDO_FS_WATCH_OVERFLOW);
    if (strcmp(change->path, "done") == 0) note("done");
}

TEST(a_directory_that_is_swapped_for_a_link_leads_nowhere_else) {
    begin(0);
    rondo_fs_watch_off_change(tree, note_change, NULL);
    rondo_fs_watch_on_change(tree, check_no_escape, NULL);
    pthread_t thread = harness_thread(swap, NULL);
    await(loop, "done");
    pthread_join(thread, NULL);
    CHECK(watch_figures(tree).directories <= 2);
    end();
}

/* ---- what is missed, and what can't be watched ---- */

static void overflow_the_queue(uint64_t window_ms) {
    char limit[32] = "";
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    CHECK(file && fgets(limit, sizeof limit, file));
    fclose(file);
    if (atoi(limit) > 20000) SKIP("the kernel's queue is too long here");
    begin(window_ms);
    make_dir("t/old"), make_dir("t/old/deep");
    await(loop, "deep/");
    settle(loop, tree);
    trace_size = 0, trace[0] = '\0';
    rondo_fs_watch_off_change(tree, note_change, NULL);
    write_file("t/x"), write_file("t/y");
    for (int i = 0; i <= atoi(limit) / 2; i++) chmod("t/x", 0600), chmod("t/y", 0600);
    make_dir("t/new"), make_dir("t/new/n"); /* lost */
    move("t/old", "t/new/old");
    while (watch_figures(tree).overflows == 0) turn(loop);
    rondo_fs_watch_on_change(tree, note_change, NULL);
    while (watch_figures(tree).directories != 5) turn(loop);
    settle(loop, tree);
    make_dir("t/new/old/deep/q");
    await(loop, "created(new/old/deep/q/)");
    make_dir("t/new/n/q");
    await(loop, "created(new/n/q/)");
    check_figures(7, 0);
    end();
}

TEST(an_overflow_of_the_kernels_queue_is_told_and_the_tree_is_right_afterwards) {
    overflow_the_queue(0);
}

/* All events have 32 bytes here, so that of the overflow comes by itself, and nothing else settles. */
TEST(the_tree_is_read_again_at_once_though_the_overflow_waits_to_be_told) {
    overflow_the_queue(20);
}

/* It is in the listing, and the kernel tells of it, too. */
TEST(what_is_made_between_watching_and_reading_is_told_once) {
    begin(0);
    faults_stand(CALL_getdents64, 1);
    make_dir("t/a");
    while (!faults_stands()) turn(loop);
    make_dir("t/a/b");
    make_dir("t/a/c");
    remove_dir("t/a/c");
    faults_let_go();
    make_dir("t/a/last");
    await(loop, "created(a/last/)");
    CHECK_INT(told("created(a/b/)"), 1);
    CHECK_INT(told("(a/c/)"), 2); /* created and removed */
    end();
}

/* What the worker finds by the old path is of another one, then. */
TEST(a_directory_that_moves_when_it_is_about_to_be_read) {
    begin(0);
    CHECK_INT(rondo_lane_resize(rondo_lane_fs(loop), 1, 100), 0);
    faults_stand(CALL_openat, 2); /* the first is of the tree's root */
    make_dir("t/a");
    while (!faults_stands()) turn(loop);
    move("t/a", "t/b");
    make_dir("t/a");
    write_file("t/a/other");
    for (int i = 0; i < 5; i++) turn(loop);
    faults_let_go();
    await(loop, "overflow"); /* what was in it when it moved is not sure */
    write_file("t/b/f");
    write_file("t/a/f");
    await(loop, "created(a/f)");
    CHECK(strstr(trace, "created(b/f)") != NULL && strstr(trace, "b/other") == NULL);
    check_figures(3, 0);
    end();
}

/* Something was missed while a directory is new, and the worker that is to read it stands. */
static void lose_beside_a_new_directory(gate *worker) {
    begin(0);
    CHECK_INT(rondo_lane_resize(rondo_lane_fs(loop), 1, 100), 0);
    gate_init(worker);
    submit_standing(loop, rondo_lane_fs(loop), worker);
    gate_wait_entered(worker, 1);
    make_dir("t/a");
    await(loop, "created(a/)");
    rondo__watch_lost(tree);
    write_file("t/a/f");
    write_file("t/f"); /* an event, behind which what is due is told */
}

/* Or who looks at everything then would see what goes before it is watched. */
TEST(an_overflow_is_told_when_the_tree_is_right_again) {
    static gate worker;
    lose_beside_a_new_directory(&worker);
    for (int i = 0; i < 5; i++) turn(loop);
    CHECK_TRACE("created(a/)");
    gate_open(&worker, 1);
    await(loop, "overflow");
    remove_file("t/a/f");
    await(loop, "removed(a/f)");
    CHECK_TRACE("overflow removed(a/f)");
    end();
}

TEST(an_overflow_that_waits_for_long_is_told_twice) {
    static gate worker;
    lose_beside_a_new_directory(&worker);
    await(loop, "overflow");
    CHECK_TRACE("created(a/) overflow");
    write_file("t/g"); /* nobody can say yet where it is */
    for (int i = 0; i < 5; i++) turn(loop);
    CHECK_TRACE("");
    gate_open(&worker, 1);
    await(loop, "overflow");
    CHECK_TRACE("overflow");
    end();
}

TEST(more_changes_than_may_wait_are_one_overflow) {
    begin(200);
    CHECK_INT(rondo_fs_watch_set_window(tree, 200, 10), 0);
    for (int i = 0; i < 30; i++) make_dir((char[]){'t', '/', (char)('A' + i), 0});
    await(loop, "overflow");
    CHECK_INT(told("overflow"), 1);
    CHECK_INT(watch_figures(tree).overflows, 1);
    while (watch_figures(tree).directories < 31) turn(loop);
    settle(loop, tree);
    trace_size = 0, trace[0] = '\0';
    make_dir("t/A/x");
    await(loop, "created(A/x/)");
    end();
}

TEST(twenty_thousand_files_are_told_or_overflow_is) {
    char path[32];
    begin(10);
    rondo_fs_watch_off_change(tree, note_change, NULL);
    CHECK_INT(chdir("t"), 0);
    for (int i = 0; i < 20000; i++) {
        snprintf(path, sizeof path, "%d", i);
        CHECK_INT(symlink("x", path), 0);
        if (i % 64 == 0) turn(loop);
    }
    rondo_fs_watch_figures figures;
    do {
        turn(loop);
        figures = watch_figures(tree);
    } while (figures.overflows == 0 && figures.changes < 20000);
    CHECK_INT(chdir(".."), 0);
    end();
}

TEST(no_more_kernel_watches_is_told_with_the_first_directory_and_the_rest_is_watched) {
    enter_home();
    make_dir("t"), make_dir("t/a"), make_dir("t/b"), make_dir("t/c");
    loop = rondo_loop_new();
    faults_fail(CALL_inotify_add_watch, 4, ENOSPC);
    tree = new_watch(loop, "t", RONDO_FS_WATCH_RECURSIVE, 0);
    rondo_fs_watch_on_ready(tree, note_ready, NULL);
    await(loop, "ready");
    CHECK_INT(told("ENOSPC("), 1);
    CHECK(!strchr(trace, '!'));
    check_figures(4, 1);
    faults_stop();
    trace_size = 0, trace[0] = '\0';
    make_dir("t/d"), make_dir("t/d/e");
    await(loop, "created(d/e/)");
    CHECK_TRACE("created(d/) created(d/e/)");
    end();
}

TEST(a_directory_that_may_not_be_read_is_told) {
    if (geteuid() == 0) SKIP("root may read all");
    enter_home();
    make_dir("t"), make_dir("t/a");
    CHECK_INT(chmod("t/a", 0), 0);
    loop = rondo_loop_new();
    tree = new_watch(loop, "t", RONDO_FS_WATCH_RECURSIVE, 0);
    await(loop, "EACCES(a)");
    check_figures(2, 1);
    CHECK_INT(chmod("t/a", 0700), 0);
    end();
}

TEST(a_file_system_that_is_unmounted_takes_the_watched_directory_with_it) {
    enter_home();
    make_dir("t");
    if (mount("none", "t", "tmpfs", 0, NULL) < 0) SKIP("mounting is not allowed");
    make_dir("t/a");
    loop = rondo_loop_new();
    tree = ready_watch(loop, "t", RONDO_FS_WATCH_RECURSIVE, 0);
    make_dir("t/a/b");
    await(loop, "a/b/");
    while (umount("t") < 0) {
        CHECK_INT(errno, EBUSY); /* a look has it open */
        turn(loop);
    }
    await(loop, "removed(/) created(/)"); /* and there is the directory below it */
    CHECK_TRACE("created(a/b/) removed(/) created(/)");
    make_dir("t/c");
    await(loop, "created(c/)");
    end();
}

TEST(a_deep_tree_beyond_path_max) {
    begin(0);
    char name[201];
    memset(name, 'n', 200), name[200] = '\0';
    CHECK_INT(chdir("t"), 0);
    for (int i = 0; i < 40; i++) {
        make_dir(name);
        CHECK_INT(chdir(name), 0);
    }
    rondo_fs_watch_off_change(tree, note_change, NULL);
    while (watch_figures(tree).directories < 41) turn(loop);
    while (watch_figures(tree).changes < 40) turn(loop);
    make_dir("x");
    while (watch_figures(tree).directories < 42) turn(loop);
    CHECK_INT(watch_figures(tree).changes, 41);
    remove_dir("x");
    for (int i = 0; i < 40; i++) {
        CHECK_INT(chdir(".."), 0);
        remove_dir(name);
    }
    while (watch_figures(tree).directories > 1) turn(loop);
    CHECK_INT(chdir(".."), 0);
    end();
}
