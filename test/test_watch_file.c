/* SPDX-License-Identifier: MIT
 *
 * Watching a single file by its path: replaced, removed, made later, and through links that change.
 */
#define _GNU_SOURCE
#include "gate.h"
#include "watches.h"

static rondo_loop *loop;
static rondo_fs_watch *watch;

static void begin(void) {
    enter_home();
    loop = rondo_loop_new();
}

static void end(void) {
    end_loop(loop);
    leave_home();
}

static void expect(const char *last, const char *want) {
    await(loop, last);
    CHECK_TRACE(want);
}

TEST(a_file_that_is_not_there_yet) {
    begin();
    watch = ready_watch(loop, "f", 0, 0);
    CHECK(!watch_figures(watch).exists);
    write_file("other");
    write_file("f");
    expect("changed()", "created() changed()");
    CHECK(watch_figures(watch).exists);
    remove_file("f");
    expect("removed()", "removed()");
    make_dir("f");
    expect("created(/)", "created(/)");
    make_dir("f/x");
    expect("created(x/)", "created(x/)");
    remove_dir("f/x"), remove_dir("f");
    expect("removed(/)", "removed(x/) removed(/)");
    write_file("f");
    await(loop, "changed()");
    end();
}

TEST(a_file_that_is_replaced_is_changed_and_watched_on) {
    begin();
    write_file("f");
    watch = ready_watch(loop, "f", 0, 0);
    for (int i = 0; i < 5; i++) {
        write_file("new");
        move("new", "f");
        expect("changed()", "changed()");
        append_file("f");
        expect("changed()", "changed()");
    }
    move("f", "g");
    expect("removed()", "removed()");
    append_file("g");
    move("g", "f");
    expect("created()", "created()");
    CHECK_INT(chmod("f", 0600), 0);
    expect("attributes()", "attributes()");
    end();
}

TEST(nothing_is_told_twice_by_the_lookup_that_follows) {
    begin();
    write_file("f");
    watch = ready_watch(loop, "f", 0, 0);
    write_file("new");
    move("new", "f");
    await(loop, "changed()");
    settle(loop, watch);
    remove_file("f");
    link_to("x", "f");
    settle(loop, watch);
    remove_file("f"), make_dir("f");
    await(loop, "created(/)");
    CHECK_TRACE("changed() removed() created() removed() created(/)");
    end();
}

TEST(the_target_of_a_link_is_watched_and_the_link) {
    begin();
    make_dir("a"), make_dir("b");
    write_file("a/f"), write_file("b/f");
    link_to("a/f", "l");
    watch = ready_watch(loop, "l", 0, 0);
    append_file("a/f");
    expect("changed()", "changed()");
    link_to("b/f", "m"), move("m", "l");
    expect("changed()", "changed()");
    settle(loop, watch);
    append_file("a/f"); /* not any more */
    append_file("b/f");
    expect("changed()", "changed()");
    remove_file("l");
    expect("removed()", "removed()");
    link_to("nowhere", "l");
    settle(loop, watch);
    write_file("nowhere");
    await(loop, "created() changed()");
    end();
}

/* As Kubernetes mounts configuration: conf -> ..data/conf, ..data -> a directory that is swapped. */
TEST(a_link_in_the_middle_of_the_path_is_swapped) {
    begin();
    make_dir("..1"), make_dir("..2");
    write_file("..1/conf"), write_file("..2/conf");
    link_to("..1", "..data"), link_to("..data/conf", "conf");
    watch = ready_watch(loop, "conf", 0, 50);
    CHECK(watch_figures(watch).exists);
    link_to("..2", "..new"), move("..new", "..data");
    remove_file("..1/conf"), remove_dir("..1");
    expect("changed()", "changed()");
    settle(loop, watch);
    append_file("..2/conf");
    expect("changed()", "changed()");
    end();
}

TEST(a_directory_behind_a_link_that_leads_elsewhere_is_an_overflow) {
    begin();
    make_dir("a"), make_dir("b"), make_dir("b/s");
    link_to("a", "l");
    watch = ready_watch(loop, "l", RONDO_FS_WATCH_RECURSIVE, 0);
    make_dir("a/x");
    expect("created(x/)", "created(x/)");
    link_to("b", "m"), move("m", "l");
    expect("overflow", "overflow");
    while (watch_figures(watch).directories != 2) turn(loop);
    settle(loop, watch);
    make_dir("b/s/y");
    expect("created(s/y/)", "created(s/y/)");
    end();
}

/* A worker comes by while the link leads away: what it can't find there has not gone. */
TEST(a_link_that_leads_elsewhere_for_a_moment_loses_nothing_of_the_tree) {
    gate g;
    begin();
    gate_init(&g);
    make_dir("a"), make_dir("b");
    link_to("a", "l");
    watch = ready_watch(loop, "l", RONDO_FS_WATCH_RECURSIVE, 0);
    CHECK_INT(rondo_lane_resize(rondo_lane_fs(loop), 1, 10), 0);
    submit_standing(loop, rondo_lane_fs(loop), &g);
    gate_wait_entered(&g, 1);
    make_dir("a/x");
    await(loop, "created(x/)");
    submit_standing(loop, rondo_lane_fs(loop), &g); /* behind the look at a/x */
    link_to("b", "m"), move("m", "l");
    gate_open(&g, 1);
    gate_wait_entered(&g, 1);
    link_to("a", "m"), move("m", "l");
    gate_open(&g, 1);
    make_dir("a/x/y");
    await(loop, "created(x/y/)");
    CHECK_TRACE("created(x/) created(x/y/)");
    end();
}

TEST(the_directory_of_the_file_goes_and_comes_back) {
    begin();
    make_dir("d");
    write_file("d/f");
    watch = ready_watch(loop, "d/f", 0, 0);
    move("d", "e");
    expect("removed()", "removed()");
    settle(loop, watch);
    append_file("e/f");
    make_dir("d");
    settle(loop, watch);
    write_file("d/f");
    await(loop, "created()");
    CHECK(strncmp(trace, "created()", 9) == 0);
    end();
}

TEST(odd_paths_lead_to_the_same_file) {
    begin();
    make_dir("d");
    write_file("d/f");
    watch = ready_watch(loop, ".//d/../d/./f", 0, 0);
    append_file("d/f");
    expect("changed()", "changed()");
    CHECK(rondo_loop_alive(loop));
    rondo_fs_watch *root = rondo_fs_watch_new(loop);
    rondo_fs_watch_on_ready(root, note_ready, NULL);
    CHECK_INT(rondo_fs_watch_start(root, "/", 0), 0);
    await(loop, "ready");
    CHECK_STR(rondo_fs_watch_path(root), "/");
    end();
}

/* ---- a reader of the log, as the example does it ---- */

TEST(a_relative_path_is_meant_from_where_it_was_given) {
    begin();
    make_dir("d");
    write_file("d/f"), write_file("f");
    CHECK_INT(chdir("d"), 0);
    watch = ready_watch(loop, "f", 0, 0);
    CHECK_INT(chdir(".."), 0);
    append_file("f");
    append_file("d/f");
    expect("changed()", "changed()");
    end();
}
