/* SPDX-License-Identifier: MIT
 *
 * Watching by looking again and again, on a virtual clock: an interval takes no time, and between
 * two looks nothing happens by itself.
 */
#define _GNU_SOURCE
#include "watches.h"

#include <sys/syscall.h>
#include <sys/vfs.h>

/* In place of the C library's: what it is said to be. */
static _Atomic long pretended; /* read by workers */
int fstatfs(int fd, struct statfs *ret_stat) {
    int result = (int)syscall(SYS_fstatfs, fd, ret_stat);
    if (pretended) ret_stat->f_type = (__typeof__(ret_stat->f_type))pretended;
    return result;
}

static rondo_loop *loop;

static void begin(void) {
    enter_home();
    loop = new_virtual_loop();
}

static void end(void) {
    end_loop(loop);
    leave_home();
}

static rondo_fs_watch *polled[2];
static size_t polled_count;

static rondo_fs_watch *ready_poll(const char *path, int flags) {
    return polled[polled_count++] = ready_watch(loop, path, flags, 0);
}

/* So many looks from now on have ended, however long the workers take: the clock goes on only
 * between them, and exactly as far as the handle waits. */
static void skip(rondo_timer *timer, void *arg) {}
static void await_looks(rondo_fs_watch *watch, uint32_t count) {
    uint32_t pass = watch->pass;
    while (watch->pass - pass < count || !rondo__alarm_is_set(&watch->again)) {
        if (rondo__alarm_is_set(&watch->again)) {
            uint64_t left_ns = watch->again.deadline_ns - rondo_loop_now_ns(loop);
            rondo_timer *timer = start_timer(loop, left_ns / 1000000, skip, 0);
            rondo_loop_run(loop, RONDO_RUN_ONCE);
            rondo_close(timer);
        }
        turn(loop);
    }
}

/* Two: the second begins for certain when all that is under way has ended. */
#define CHECK_LOOK(want)                                                         \
    do {                                                                         \
        for (size_t i_ = 0; i_ < polled_count; i_++) await_looks(polled[i_], 2); \
        sort_words(); /* there is no order in what was found */                  \
        CHECK_TRACE(want);                                                       \
    } while (0)

/* Times of files have steps: what is written at once might look like what was there. */
static void write_later(const char *path, int step) {
    struct timespec times[2] = {{.tv_sec = 1000 + step}, {.tv_sec = 1000 + step}};
    write_file(path);
    CHECK_INT(utimensat(AT_FDCWD, path, times, 0), 0);
}

TEST(a_polled_directory_is_told_alike) {
    begin();
    write_file("old"), write_file("gone");
    make_dir("sub");
    rondo_fs_watch *watch = ready_poll(".", RONDO_FS_WATCH_POLL);
    CHECK(watch_figures(watch).polling);
    CHECK_LOOK("");
    write_file("new");
    CHECK_LOOK("created(new)");
    append_file("old");
    CHECK_LOOK("changed(old)");
    CHECK_INT(chmod("old", 0600), 0);
    CHECK_LOOK("attributes(old)");
    remove_file("gone");
    CHECK_LOOK("removed(gone)");
    move("old", "other");
    CHECK_LOOK("renamed(old)other");
    write_later("tmp", 1), move("tmp", "other");
    CHECK_LOOK("changed(other)");
    write_file("sub/inside");
    CHECK_LOOK("");
    move("sub", "dir");
    CHECK_LOOK("renamed(sub/)dir/");
    CHECK_INT(chmod("dir", 0700), 0);
    CHECK_LOOK("attributes(dir/)");
    end();
}

TEST(a_polled_tree_is_told_alike) {
    begin();
    make_dir("t"), make_dir("t/a"), make_dir("t/a/b");
    write_file("t/a/f");
    rondo_fs_watch *watch = ready_poll("t", RONDO_FS_WATCH_POLL | RONDO_FS_WATCH_RECURSIVE);
    CHECK_INT(watch_figures(watch).directories, 3);
    make_dir("t/n"), make_dir("t/n/m"), write_file("t/n/m/f");
    CHECK_LOOK("created(n/) created(n/m/) created(n/m/f)");
    CHECK_INT(watch_figures(watch).directories, 5);
    move("t/a", "t/z");
    CHECK_LOOK("renamed(a/)z/");
    append_file("t/z/f"), write_file("t/z/b/new");
    CHECK_LOOK("changed(z/f) created(z/b/new)");
    remove_file("t/n/m/f"), remove_dir("t/n/m"), remove_dir("t/n");
    CHECK_LOOK("removed(n/)");
    CHECK_INT(watch_figures(watch).directories, 3);
    remove_file("t/z/f"), make_dir("t/z/f");
    CHECK_LOOK("created(z/f/) removed(z/f)");
    CHECK_INT(watch_figures(watch).directories, 4);
    end();
}

TEST(a_polled_file_and_links_to_it) {
    begin();
    write_later("a", 1), write_later("b", 2);
    link_to("a", "l");
    ready_poll("l", RONDO_FS_WATCH_POLL);
    append_file("a");
    CHECK_LOOK("changed()");
    CHECK_INT(chmod("a", 0600), 0);
    CHECK_LOOK("attributes()");
    remove_file("l"), link_to("b", "l");
    CHECK_LOOK("changed()");
    remove_file("b");
    CHECK_LOOK("removed()");
    make_dir("b");
    CHECK_LOOK("created(/)");
    make_dir("b/x");
    CHECK_LOOK("created(x/)");
    write_file("c"); /* whole before it is there: a look may be under way */
    remove_dir("b/x"), remove_dir("b"), move("c", "b");
    CHECK_LOOK("created() removed(/)");
    end();
}

TEST(the_polled_directory_goes_and_comes_back) {
    begin();
    make_dir("d"), write_file("d/f");
    ready_poll("d", RONDO_FS_WATCH_POLL | RONDO_FS_WATCH_RECURSIVE);
    remove_file("d/f"), remove_dir("d");
    CHECK_LOOK("removed(/)");
    make_dir("d"), write_file("d/g");
    CHECK_LOOK("created(/) created(g)");
    end();
}

/* How long after the one before the next look comes, and that it looks. */
static uint64_t next_look_ms(rondo_fs_watch *watch) {
    uint64_t before_ms = rondo_loop_now_ms(loop);
    unsigned before = faults_count(CALL_fstatfs); /* once for each lookup */
    await_looks(watch, 1);
    CHECK_INT(faults_count(CALL_fstatfs), before + 1);
    return rondo_loop_now_ms(loop) - before_ms;
}

TEST(it_looks_as_often_as_set_and_asks_the_kernel_for_no_watch) {
    begin();
    rondo_fs_watch *watch = ready_poll(".", RONDO_FS_WATCH_POLL);
    faults_clear();
    faults_watch();
    for (int i = 0; i < 10; i++) CHECK_INT(next_look_ms(watch), 1000);
    CHECK_INT(rondo_fs_watch_set_interval(watch, 100), 0);
    next_look_ms(watch); /* was set already */
    for (int i = 0; i < 100; i++) CHECK_INT(next_look_ms(watch), 100);
    CHECK_INT(faults_count(CALL_inotify_init1 | CALL_inotify_add_watch), 0);
    faults_stop();
    CHECK_INT(rondo_fs_watch_stop(watch), 0);
    while (rondo_loop_alive(loop)) turn(loop); /* a look that was under way */
    end();
}

TEST(a_large_directory_is_polled_in_steps) {
    char path[32];
    begin();
    make_dir("d");
    for (int i = 0; i < 2000; i++) {
        snprintf(path, sizeof path, "d/%d", i);
        link_to("x", path);
    }
    ready_poll("d", RONDO_FS_WATCH_POLL);
    CHECK_LOOK("");
    remove_file("d/1234"), write_file("d/new");
    CHECK_LOOK("created(new) removed(1234)");
    end();
}

TEST(a_file_system_that_does_not_notify_is_polled_without_being_asked) {
    static const long silent[] = {0x6969, (long)0xff534d42, 0x65735546, 0x01021997};
    begin();
    make_dir("d"), make_dir("d/s"), write_file("f");
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++) {
        pretended = silent[i];
        polled_count = 0;
        rondo_fs_watch *tree = ready_poll("d", RONDO_FS_WATCH_RECURSIVE);
        rondo_fs_watch *file = ready_poll("f", 0);
        CHECK(watch_figures(tree).polling && watch_figures(file).polling);
        CHECK(!tree->inotify && !file->inotify);
        write_file("d/s/x"), append_file("f");
        CHECK_LOOK("changed() created(s/x)");
        remove_file("d/s/x");
        rondo_close(tree), rondo_close(file);
        turn(loop);
    }
    pretended = 0xef53; /* ext4 */
    CHECK(!watch_figures(ready_watch(loop, "d", 0, 0)).polling);
    end();
}

TEST(descriptors_that_run_out_while_polling_are_told_once_and_nothing_is_taken_for_removed) {
    begin();
    make_dir("d"), make_dir("d/s"), write_file("d/s/f");
    ready_poll("d", RONDO_FS_WATCH_POLL | RONDO_FS_WATCH_RECURSIVE);
    faults_every(CALL_openat, 1, EMFILE);
    CHECK_LOOK("EMFILE()");
    faults_stop();
    CHECK_LOOK("");
    write_file("d/s/g");
    CHECK_LOOK("created(s/g)");
    end();
}
