/* SPDX-License-Identifier: MIT
 *
 * Changes that wait: what is joined within the window, on a virtual clock that moves only when
 * there is nothing else to do; editors as they save.
 */
#define _GNU_SOURCE
#include "watches.h"

static rondo_loop *loop;

static void begin(void) {
    enter_home();
    loop = new_virtual_loop();
}

static void end(void) {
    end_loop(loop);
    leave_home();
}

/* What is told of what was done: all events are in the kernel by now, and are read before the
 * virtual clock can reach the end of the window. */
#define CHECK_WINDOW(want)                                       \
    do {                                                         \
        uint64_t at_ms = rondo_loop_now_ms(loop) + 5000;         \
        while (rondo_loop_now_ms(loop) < at_ms) {                \
            rondo_timer *timer = start_timer(loop, 10, skip, 0); \
            rondo_loop_run(loop, RONDO_RUN_ONCE);                \
            rondo_close(timer);                                  \
            turn(loop);                                          \
        }                                                        \
        CHECK_TRACE(want);                                       \
    } while (0)
static void skip(rondo_timer *timer, void *arg) {}

TEST(changes_of_one_path_are_told_as_one) {
    begin();
    write_file("old"), write_file("gone"), write_file("again"), write_file("mode");
    ready_watch(loop, ".", 0, 1000);
    write_file("new"), append_file("new"), chmod("new", 0600);
    append_file("old"), chmod("old", 0600), append_file("old");
    append_file("gone"), remove_file("gone");
    remove_file("again"), write_file("again");
    chmod("mode", 0600), chmod("mode", 0644);
    write_file("short"), remove_file("short");
    CHECK_WINDOW("created(new) changed(old) removed(gone) changed(again) attributes(mode)");
    CHECK_WINDOW("");
    append_file("old");
    CHECK_WINDOW("changed(old)"); /* a new window */
    end();
}

TEST(what_comes_after_attributes_replaces_them) {
    begin();
    write_file("a"), write_file("b");
    ready_watch(loop, ".", 0, 1000);
    chmod("a", 0600), append_file("a");
    chmod("b", 0600), remove_file("b"), write_file("b"), remove_file("b");
    CHECK_WINDOW("changed(a) removed(b)");
    end();
}

TEST(renames_are_not_joined_and_keep_their_place) {
    begin();
    write_file("a"), write_file("z");
    ready_watch(loop, ".", 0, 1000);
    append_file("a"), append_file("z");
    move("a", "b");
    append_file("b"), append_file("b");
    write_file("a");
    CHECK_WINDOW("changed(a) changed(z) renamed(a)b changed(b) created(a)");
    end();
}

TEST(paths_below_a_directory_that_was_renamed_mean_others) {
    begin();
    make_dir("d");
    ready_watch(loop, ".", RONDO_FS_WATCH_RECURSIVE, 1000);
    link_to("x", "d/b");
    move("d", "e"), make_dir("d"), link_to("x", "d/b");
    CHECK_WINDOW("created(d/b) renamed(d/)e/ created(d/) created(d/b)");
    end();
}

TEST(directories_in_the_place_of_others_are_told_as_two) {
    begin();
    make_dir("d"), write_file("f");
    ready_watch(loop, ".", 0, 1000);
    remove_dir("d"), make_dir("d");
    remove_file("f"), make_dir("f");
    CHECK_WINDOW("removed(d/) created(d/) removed(f) created(f/)");
    remove_dir("f"), write_file("f");
    CHECK_WINDOW("removed(f/) created(f)");
    end();
}

TEST(a_window_of_0_tells_each) {
    begin();
    ready_watch(loop, ".", 0, 0);
    write_file("f"), remove_file("f"), write_file("f");
    CHECK_WINDOW("created(f) changed(f) removed(f) created(f) changed(f)");
    end();
}

static uint64_t told_ms[2];
static void note_time(rondo_fs_watch *watch, const rondo_fs_watch_change *change, void *arg) {
    told_ms[change->path[0] == 'b'] = rondo_loop_now_ms(loop);
}

TEST(the_window_begins_with_the_first_change_and_lasts_as_set) {
    begin();
    rondo_fs_watch *watch = ready_watch(loop, ".", 0, 300);
    rondo_fs_watch_on_change(watch, note_time, NULL);
    uint64_t began = rondo_loop_now_ms(loop);
    make_dir("a"), make_dir("b");
    CHECK_WINDOW("created(a/) created(b/)");
    CHECK(told_ms[0] >= began + 300 && told_ms[0] <= began + 310);
    CHECK_INT(told_ms[1], told_ms[0]);
    end();
}

TEST(the_default_is_50_ms) {
    begin();
    rondo_fs_watch *watch = rondo_fs_watch_new(loop);
    rondo_fs_watch_on_change(watch, note_time, NULL);
    rondo_fs_watch_on_ready(watch, note_ready, NULL);
    rondo_fs_watch_start(watch, ".", 0);
    await(loop, "ready");
    uint64_t began = rondo_loop_now_ms(loop);
    make_dir("a");
    CHECK_WINDOW("ready");
    CHECK(told_ms[0] >= began + 50 && told_ms[0] <= began + 60);
    end();
}

TEST(a_move_out_waits_a_little_for_its_other_half) {
    begin();
    make_dir("d");
    write_file("d/f"), write_file("d/g");
    rondo_fs_watch *watch = ready_watch(loop, "d", 0, 0);
    rondo_fs_watch_on_change(watch, note_time, NULL);
    uint64_t began = rondo_loop_now_ms(loop);
    move("d/f", "a"), make_dir("d/b");
    CHECK_WINDOW("removed(f) created(b/)");
    CHECK(told_ms[0] >= began + 20 && told_ms[0] <= began + 40);
    CHECK_INT(told_ms[1], told_ms[0]); /* in order */
    end();
}

TEST(hundreds_of_moves_out_at_once) {
    char from[32], to[32];
    begin();
    make_dir("d"), make_dir("out");
    for (int i = 0; i < 300; i++) {
        snprintf(from, sizeof from, "d/%d", i);
        make_dir(from);
    }
    rondo_fs_watch *watch = ready_watch(loop, "d", RONDO_FS_WATCH_RECURSIVE, 0);
    rondo_fs_watch_off_change(watch, note_change, NULL);
    for (int i = 0; i < 300; i++) {
        snprintf(from, sizeof from, "d/%d", i), snprintf(to, sizeof to, "out/%d", i);
        move(from, to);
    }
    turn(loop);
    CHECK(watch->open_count <=
          64); /* that wait for their other half, with all that is below them */
    CHECK_WINDOW("");
    CHECK_INT(watch_figures(watch).changes, 300);
    CHECK_INT(watch_figures(watch).directories, 1);
    end();
}

TEST(a_budget_bounds_what_is_told_in_a_turn) {
    begin();
    rondo_fs_watch *watch = ready_watch(loop, ".", 0, 1000);
    rondo_loop_set_budget(loop, RONDO_BUDGET_changes, 3);
    for (int i = 0; i < 8; i++) make_dir((char[]){(char)('a' + i), 0});
    uint64_t before = 0, most = 0;
    while (watch_figures(watch).changes < 8) {
        rondo_loop_run(loop, RONDO_RUN_ONCE);
        uint64_t now = watch_figures(watch).changes;
        if (now - before > most) most = now - before;
        before = now;
    }
    CHECK_INT(most, 3);
    CHECK_TRACE("created(a/) created(b/) created(c/) created(d/) created(e/) created(f/) "
                "created(g/) created(h/)");
    end();
}

static void stop_it(rondo_fs_watch *watch, const rondo_fs_watch_change *change, void *arg) {
    rondo_fs_watch_stop(watch);
}
TEST(what_waits_is_dropped_by_stopping) {
    begin();
    rondo_fs_watch *watch = ready_watch(loop, ".", 0, 1000);
    rondo_fs_watch_on_change(watch, stop_it, NULL);
    make_dir("a"), make_dir("b");
    CHECK_WINDOW("created(a/)");
    while (rondo_loop_alive(loop)) turn(loop);
    end();
}

/* ---- as editors and tools do it ---- */

TEST(an_editor_that_renames_the_old_file_away) { /* vim with a backup */
    begin();
    write_file("f");
    ready_watch(loop, ".", 0, 50);
    move("f", "f~"), write_file("f"), chmod("f", 0644), remove_file("f~");
    CHECK_WINDOW("renamed(f)f~ created(f) removed(f~)");
    end();
}

TEST(the_same_on_the_file_alone_is_one_change) {
    begin();
    write_file("f");
    ready_watch(loop, "f", 0, 50);
    move("f", "f~"), write_file("f"), chmod("f", 0644), remove_file("f~");
    CHECK_WINDOW("changed()");
    write_file("tmp"), move("tmp", "f"); /* sed -i, and most others */
    CHECK_WINDOW("changed()");
    remove_file("f"), write_file("f");
    CHECK_WINDOW("changed()");
    append_file("f");
    CHECK_WINDOW("changed()");
    end();
}

static void run(const char *command) { CHECK_INT(system(command), 0); }

TEST(sed_mv_and_git_as_they_are) {
    if (system("git --version >/dev/null 2>&1") != 0) SKIP("no git");
    begin();
    run("git init -q -b main . && echo one > a && git add a && "
        "git -c user.name=x -c user.email=x@x commit -qm one && git checkout -q -b other && "
        "echo two > a && mkdir d && echo b > d/b && git add . && "
        "git -c user.name=x -c user.email=x@x commit -qm two && git checkout -q --detach");
    make_dir("work");
    run("git worktree add -q --detach work/tree main");
    rondo_fs_watch *watch = ready_watch(loop, "work/tree", RONDO_FS_WATCH_RECURSIVE, 50);
    run("cd work/tree && git checkout -q other");
    CHECK_WINDOW("changed(a) created(d/) created(d/b)");
    run("cd work/tree && git checkout -q --detach main"); /* in an order of its own */
    while (!strstr(trace, "changed(a)") || !strstr(trace, "removed(d/b) removed(d/)"))
        CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ONCE), 1);
    trace_size = 0, trace[0] = '\0';
    CHECK_INT(watch_figures(watch).directories, 1);
    run("cd work/tree && mv a c");
    CHECK_WINDOW("renamed(a)c");
    rondo_fs_watch_stop(watch);
    ready_watch(loop, "work/tree/c", 0, 50);
    run("sed -i s/one/three/ work/tree/c");
    CHECK_WINDOW("changed()");
    end();
}
