/* SPDX-License-Identifier: MIT
 *
 * Watching one directory: what is told of it and how, several handles, stopping and closing, what
 * is refused.
 */
#define _GNU_SOURCE
#include "watches.h"

#include <sys/wait.h>

static rondo_loop *loop;

static void begin(void) {
    enter_home();
    loop = rondo_loop_new();
    CHECK(loop != NULL);
}

static void end(void) {
    end_loop(loop);
    leave_home();
}

/* ---- what is told ---- */

TEST(each_kind_of_change_is_told_once_and_in_order) {
    begin();
    ready_watch(loop, ".", 0, 0);
    write_file("a");
    CHECK_INT(chmod("a", 0600), 0);
    append_file("a");
    move("a", "b");
    remove_file("b");
    make_dir("d");
    write_file("d/inside"); /* not recursive */
    move("d", "e");
    link_to("nowhere", "l");
    CHECK_TOLD(loop, "",
               "created(a) changed(a) attributes(a) changed(a) renamed(a)b removed(b) "
               "created(d/) renamed(d/)e/ created(l)");
    end();
}

TEST(moves_in_and_out_are_created_and_removed) {
    begin();
    make_dir("in"), make_dir("out"), make_dir("out/d");
    write_file("out/f");
    ready_watch(loop, "in", 0, 0);
    move("out/f", "in/f");
    move("out/d", "in/d");
    move("in/d", "out/e");
    move("in/f", "out/g");
    write_file("in/after");
    await(loop, "changed(after)");
    CHECK_TRACE("created(f) created(d/) removed(d/) removed(f) created(after) changed(after)");
    end();
}

TEST(names_are_bytes_of_any_length) {
    char name[256], want[300];
    begin();
    ready_watch(loop, ".", 0, 0);
    memset(name, 'n', 255);
    name[255] = '\0';
    make_dir(name);
    snprintf(want, sizeof want, "created(%s/)", name);
    await(loop, want);
    CHECK_TRACE(want);
    make_dir("\xff\xfe-\x01\n");
    await(loop, "created(\xff\xfe-\x01\n/)");
    CHECK_TRACE("created(\xff\xfe-\x01\n/)");
    end();
}

TEST(the_directory_itself_is_told_as_the_empty_path) {
    begin();
    make_dir("d");
    ready_watch(loop, "d", 0, 0);
    CHECK_INT(chmod("d", 0700), 0);
    await(loop, "attributes(/)");
    CHECK_TRACE("attributes(/)");
    end();
}

/* ---- the watched directory goes ---- */

TEST(a_deleted_directory_is_told_once_and_when_it_is_back) {
    begin();
    make_dir("d");
    write_file("d/f");
    rondo_fs_watch *watch = ready_watch(loop, "d", RONDO_FS_WATCH_RECURSIVE, 0);
    remove_file("d/f");
    remove_dir("d");
    await(loop, "removed(/)");
    CHECK_TRACE("removed(f) removed(/)");
    CHECK(rondo_is_active(watch) && !watch_figures(watch).exists);
    CHECK_INT(watch_figures(watch).directories, 0);
    make_dir("d");
    await(loop, "created(/)");
    write_file("d/g");
    await(loop, "created(g)");
    cut_marks("changed(g)");
    CHECK_TRACE("created(/) created(g)");
    CHECK(watch_figures(watch).exists);
    end();
}

/* Somebody has it open, as the shell that works in it: the inode stays. */
TEST(a_directory_that_somebody_holds_is_told_as_deleted_all_the_same) {
    begin();
    make_dir("d");
    int fd = open("d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ready_watch(loop, "d", 0, 0);
    remove_dir("d");
    await(loop, "removed(/)");
    CHECK_TRACE("removed(/)");
    close(fd);
    make_dir("d");
    await(loop, "created(/)");
    CHECK_TRACE("created(/)");
    end();
}

TEST(a_moved_directory_is_told_as_removed_and_not_followed) {
    begin();
    make_dir("d");
    ready_watch(loop, "d", RONDO_FS_WATCH_RECURSIVE, 0);
    move("d", "e");
    write_file("e/f");
    await(loop, "removed(/)");
    CHECK_TRACE("removed(/)");
    make_dir("d");
    make_dir("d/s");
    write_file("d/s/f");
    await(loop, "created(s/f)");
    cut_marks("changed");
    CHECK_TRACE("created(/) created(s/) created(s/f)");
    end();
}

TEST(a_directory_replaced_by_another_in_one_step) {
    begin();
    make_dir("d"), make_dir("e");
    write_file("e/there");
    ready_watch(loop, "d", RONDO_FS_WATCH_RECURSIVE, 0);
    move("e", "d"); /* over the empty one */
    await(loop, "created(there)");
    CHECK_TRACE("removed(/) created(/) created(there)");
    end();
}

/* ---- several handles ---- */

TEST(two_watchers_on_one_directory_are_told_alike_and_one_may_go) {
    begin();
    make_dir("d");
    rondo_fs_watch *one = ready_watch(loop, "d", 0, 0);
    rondo_fs_watch *two = ready_watch(loop, "d", RONDO_FS_WATCH_RECURSIVE, 0);
    make_dir("d/x");
    await(loop, "created(x/) created(x/)");
    CHECK_TRACE("created(x/) created(x/)");
    rondo_close(one);
    turn(loop);
    make_dir("d/y");
    await(loop, "created(y/)");
    CHECK_TRACE("created(y/)");
    CHECK_INT(rondo_fs_watch_stop(two), 0);
    make_dir("d/z");
    CHECK_INT(rondo_fs_watch_start(two, "d", 0), 0);
    rondo_fs_watch_once_ready(two, note_ready, NULL);
    await(loop, "ready");
    remove_dir("d/z");
    await(loop, "removed(z/)");
    CHECK_TRACE("ready removed(z/)");
    end();
}

TEST(two_watchers_on_one_file) {
    begin();
    write_file("f");
    rondo_fs_watch *one = ready_watch(loop, "f", 0, 0);
    ready_watch(loop, "f", 0, 0);
    append_file("f");
    await(loop, "changed() changed()");
    CHECK_TRACE("changed() changed()");
    CHECK_INT(rondo_fs_watch_stop(one), 0);
    append_file("f");
    await(loop, "changed()");
    CHECK_TRACE("changed()");
    end();
}

TEST(overlapping_trees_share_what_the_kernel_gives) {
    begin();
    make_dir("a"), make_dir("a/b"), make_dir("a/b/c");
    rondo_fs_watch *outer = ready_watch(loop, "a", RONDO_FS_WATCH_RECURSIVE, 0);
    rondo_fs_watch *inner = ready_watch(loop, "a/b", RONDO_FS_WATCH_RECURSIVE, 0);
    CHECK_INT(watch_figures(outer).directories, 3);
    CHECK_INT(watch_figures(inner).directories, 2);
    make_dir("a/b/c/d");
    await(loop, "created(c/d/)");
    await(loop, "created(b/c/d/)");
    make_dir("a/b/c/d/e");
    await(loop, "created(c/d/e/)");
    await(loop, "created(b/c/d/e/)");
    trace_size = 0, trace[0] = '\0';
    rondo_close(outer);
    turn(loop);
    make_dir("a/b/c/d/e/f");
    await(loop, "created(c/d/e/f/)");
    CHECK_TRACE("created(c/d/e/f/)");
    end();
}

/* ---- inside callbacks ---- */

static rondo_fs_watch *other;

static void stop_both(rondo_fs_watch *watch, const rondo_fs_watch_change *change, void *arg) {
    note("%s", change->path);
    CHECK_INT(rondo_fs_watch_stop(watch), 0);
    CHECK_INT(rondo_fs_watch_stop(other), 0);
}
static void close_both(rondo_fs_watch *watch, const rondo_fs_watch_change *change, void *arg) {
    note("%s", change->path);
    rondo_close(watch);
    rondo_close(other);
}
static void restart(rondo_fs_watch *watch, const rondo_fs_watch_change *change, void *arg) {
    note("%s", change->path);
    CHECK_INT(rondo_fs_watch_stop(watch), 0);
    CHECK_INT(rondo_fs_watch_start(watch, arg, 0), 0);
}

static void check_inside(rondo_fs_watch_change_cb cb) {
    begin();
    rondo_fs_watch *watch = rondo_fs_watch_new(loop);
    rondo_fs_watch_set_window(watch, 0, 100);
    rondo_fs_watch_on_change(watch, cb, NULL);
    rondo_fs_watch_on_ready(watch, note_ready, NULL);
    CHECK_INT(rondo_fs_watch_start(watch, ".", 0), 0);
    await(loop, "ready");
    CHECK_TRACE("ready");
    other = ready_watch(loop, ".", 0, 0);
    rondo_on_close(other, note_close, "closed");
    make_dir("a"), make_dir("b");
    while (rondo_loop_alive(loop)) turn(loop);
    CHECK_TRACE(cb == stop_both ? "a" : "a closed");
    end();
}

TEST(stopping_itself_and_a_sibling_inside_the_callback) { check_inside(stop_both); }
TEST(closing_itself_and_a_sibling_inside_the_callback) { check_inside(close_both); }

TEST(starting_again_inside_the_callback) {
    begin();
    make_dir("d");
    rondo_fs_watch *watch = rondo_fs_watch_new(loop);
    rondo_fs_watch_set_window(watch, 0, 100);
    rondo_fs_watch_on_change(watch, restart, "d");
    rondo_fs_watch_on_ready(watch, note_ready, NULL);
    CHECK_INT(rondo_fs_watch_start(watch, ".", 0), 0);
    await(loop, "ready");
    make_dir("x"), make_dir("y");
    await(loop, "ready x ready");
    make_dir("d/z");
    await(loop, "z");
    await(loop, "z ready");
    CHECK_TRACE("ready x ready z ready");
    end();
}

TEST(an_unrefd_watch_does_not_keep_the_loop_alive) {
    begin();
    rondo_fs_watch *watch = rondo_fs_watch_new(loop);
    rondo_unref(watch);
    CHECK_INT(rondo_fs_watch_start(watch, ".", RONDO_FS_WATCH_RECURSIVE), 0);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    rondo_ref(watch);
    CHECK(rondo_loop_alive(loop));
    end();
}

/* ---- what is refused ---- */

TEST(wrong_arguments_and_wrong_times_are_refused) {
    begin();
    char *deep = new_bytes(5000);
    memset(deep, 'x', 5000);
    rondo_fs_watch *watch = rondo_fs_watch_new(loop);
    CHECK_STR(rondo_fs_watch_path(watch), "");
    CHECK_INT(rondo_fs_watch_start(watch, NULL, 0), RONDO_EINVAL);
    CHECK_INT(rondo_fs_watch_start(watch, "", 0), RONDO_EINVAL);
    CHECK_INT(rondo_fs_watch_start(watch, ".", 4), RONDO_EINVAL);
    CHECK_INT(rondo_fs_watch_start(watch, deep, 0), RONDO_ENAMETOOLONG);
    CHECK_INT(rondo_fs_watch_set_window(watch, 0, 0), RONDO_EINVAL);
    CHECK_INT(rondo_fs_watch_set_window(watch, UINT64_MAX, 1), RONDO_EINVAL);
    CHECK_INT(rondo_fs_watch_set_interval(watch, 0), RONDO_EINVAL);
    CHECK(!rondo_is_active(watch));
    CHECK_INT(rondo_fs_watch_stop(watch), 0);
    CHECK_INT(rondo_fs_watch_start(watch, ".", 0), 0);
    CHECK(rondo_is_active(watch));
    CHECK_INT(rondo_fs_watch_start(watch, ".", 0), RONDO_EBUSY);
    CHECK(rondo_fs_watch_path(watch)[0] == '/');
    rondo_close(watch);
    CHECK_INT(rondo_fs_watch_start(watch, ".", 0), RONDO_ECLOSED);
    CHECK_INT(rondo_fs_watch_stop(watch), RONDO_ECLOSED);
    CHECK_INT(rondo_fs_watch_set_window(watch, 1, 1), RONDO_ECLOSED);
    CHECK_INT(rondo_fs_watch_set_interval(watch, 1), RONDO_ECLOSED);
    free(deep);
    end();
}

/* The path, and why it can't be watched: told, and the handle has stopped. */
static void check_error(const char *path, const char *want) {
    rondo_fs_watch *watch = new_watch(loop, path, 0, 0);
    await(loop, want);
    CHECK_TRACE(want);
    CHECK(!rondo_is_active(watch));
    rondo_close(watch);
    turn(loop);
}

TEST(paths_that_cannot_be_watched_are_told) {
    char name[300];
    begin();
    write_file("f");
    link_to("loop", "loop");
    memset(name, 'x', 256);
    name[256] = '\0';
    check_error("no/file", "ENOENT()!");
    check_error("f/file", "ENOENT()!");
    check_error("loop", "ELOOP()!");
    check_error(name, "ENAMETOOLONG()!");
    end();
}

TEST_ABORTS(an_error_that_nobody_hears_is_uncaught, "a path can't be watched") {
    loop = rondo_loop_new();
    rondo_fs_watch *watch = rondo_fs_watch_new(loop);
    CHECK_INT(rondo_fs_watch_start(watch, "/nowhere/file", 0), 0);
    rondo_loop_run(loop, RONDO_RUN_ALL);
}

TEST(no_callback_of_a_watch_runs_inside_its_call) {
    begin();
    rondo_fs_watch *watch = new_watch(loop, ".", 0, 0);
    rondo_fs_watch_on_ready(watch, note_ready, NULL);
    CHECK_TRACE("");
    await(loop, "ready");
    CHECK_TRACE("ready");
    make_dir("d");
    CHECK_INT(rondo_fs_watch_set_window(watch, 0, 1), 0);
    CHECK_TRACE("");
    CHECK_INT(rondo_fs_watch_stop(watch), 0);
    CHECK_INT(rondo_fs_watch_start(watch, "nowhere/file", 0), 0);
    CHECK_TRACE("");
    await(loop, "ENOENT()!");
    CHECK_TRACE("ENOENT()!");
    end();
}

/* ---- the loop and the process ---- */

TEST(a_loop_is_freed_with_a_look_under_way) {
    enter_home();
    for (int i = 0; i < 50; i++) make_dir((char[]){(char)('0' + i), 0});
    for (int i = 0; i < 20; i++) {
        loop = rondo_loop_new();
        rondo_fs_watch *watch = rondo_fs_watch_new(loop);
        rondo_fs_watch_start(watch, ".", RONDO_FS_WATCH_RECURSIVE);
        for (int turns = 0; turns < i % 5; turns++) turn(loop);
        rondo_unref(watch);
        rondo_close(watch);
        turn(loop);
        if (rondo_loop_alive(loop)) turn(loop);
        end_loop(loop);
    }
    leave_home();
}

TEST(in_a_forked_child_a_watch_is_refused_and_the_parents_goes_on) {
    begin();
    make_dir("d");
    rondo_fs_watch *watch = ready_watch(loop, "d", RONDO_FS_WATCH_RECURSIVE, 0);
    rondo_fs_watch *idle = rondo_fs_watch_new(loop);
    pid_t child = fork();
    if (child == 0) {
        bool right = rondo_fs_watch_start(idle, ".", 0) == RONDO_ENOTSUP &&
                     rondo_loop_run(loop, RONDO_RUN_NOWAIT) == RONDO_ENOTSUP;
        rondo_close(watch);
        rondo_loop_free(loop);
        _exit(right ? 0 : 1);
    }
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    make_dir("d/x");
    await(loop, "created(x/)");
    CHECK_TRACE("created(x/)");
    end();
}
