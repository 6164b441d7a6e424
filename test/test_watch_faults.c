/* SPDX-License-Identifier: MIT
 *
 * Watching when the system refuses: errors of the kernel at every point, memory that runs out at
 * every allocation. Whatever fails, it is told, by an error or as an overflow, and after that the
 * handle is right again or has stopped.
 */
#define _GNU_SOURCE
#include "gate.h"
#include "watches.h"

static rondo_loop *loop;

static void begin(void) {
    enter_home();
    make_dir("t"), make_dir("t/a"), make_dir("t/a/b"), make_dir("out");
    loop = rondo_loop_new();
    CHECK(loop != NULL);
}

static void end(void) {
    end_loop(loop);
    leave_home();
}

/* ---- the instance ---- */

TEST(without_an_instance_start_says_so_and_may_be_tried_again) {
    static const int errors[] = {EMFILE, ENFILE, ENOMEM};
    static const int codes[] = {RONDO_EMFILE, RONDO_ENFILE, RONDO_ENOMEM};
    begin();
    rondo_fs_watch *watch = rondo_fs_watch_new(loop);
    for (int i = 0; i < 3; i++) {
        faults_fail(CALL_inotify_init1, 1, errors[i]);
        CHECK_INT(rondo_fs_watch_start(watch, "t", 0), codes[i]);
        CHECK(!rondo_is_active(watch) && !rondo_loop_alive(loop));
    }
    faults_fail(CALL_getcwd, 1, ENOENT);
    CHECK_INT(rondo_fs_watch_start(watch, "t", 0), RONDO_ENOENT);
    faults_stop();
    CHECK_INT(rondo_fs_watch_start(watch, "t", 0), 0);
    end();
}

TEST(one_instance_serves_all_handles_of_a_loop_and_goes_with_the_last) {
    begin();
    faults_watch();
    rondo_fs_watch *watches[20];
    for (int i = 0; i < 20; i++) watches[i] = ready_watch(loop, i % 2 ? "t" : "t/a", i % 2, 0);
    CHECK_INT(faults_count(CALL_inotify_init1), 1);
    CHECK(faults_count(CALL_inotify_rm_watch) <= 1); /* wanted again, all but the first */
    for (int i = 0; i < 20; i++) rondo_close(watches[i]);
    turn(loop);
    CHECK(!rondo__loop_part(loop, RONDO__PART_WATCH));
    end();
}

TEST(closing_one_of_two_gives_back_only_what_the_other_does_not_need) {
    begin();
    rondo_fs_watch *tree = ready_watch(loop, "t", RONDO_FS_WATCH_RECURSIVE, 0);
    rondo_fs_watch *top = ready_watch(loop, "t", 0, 0);
    settle(loop, tree), settle(loop, top);
    faults_watch();
    rondo_close(tree);
    turn(loop);
    CHECK_INT(faults_count(CALL_inotify_rm_watch), 2); /* a, a/b; not t, nor where it is */
    make_dir("t/x");
    await(loop, "created(x/)");
    end();
}

TEST(no_kernel_watch_for_the_path_itself_is_an_error) {
    begin();
    for (unsigned nth = 1; nth <= 2; nth++) {
        faults_fail(CALL_inotify_add_watch, nth, ENOSPC);
        rondo_fs_watch *watch = new_watch(loop, "t", 0, 0);
        await(loop, "!");
        CHECK_TRACE("ENOSPC()!");
        rondo_close(watch);
        turn(loop);
    }
    end();
}

/* The descriptor that is an inotify instance. */
static int inotify_fd(void) {
    char path[32], what[64];
    for (int fd = 3; fd < 64; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(path, what, sizeof what);
        if (len > 0 && memmem(what, (size_t)len, "inotify", 7)) return fd;
    }
    FAIL("there is no instance");
}

TEST(an_instance_that_cannot_be_read_ends_all_its_watches) {
    begin();
    rondo_fs_watch *one = ready_watch(loop, "t", RONDO_FS_WATCH_RECURSIVE, 0);
    rondo_fs_watch *two = ready_watch(loop, "t/a", 0, 0);
    faults_on_fd(inotify_fd());
    faults_fail(CALL_read, 1, EIO);
    make_dir("t/x");
    await(loop, "EIO()! EIO()!");
    CHECK_TRACE("EIO()! EIO()!");
    faults_stop();
    CHECK_INT(rondo_fs_watch_start(one, "t", 0), 0);
    CHECK_INT(rondo_fs_watch_start(two, "t", 0), 0);
    make_dir("t/y");
    settle(loop, one), settle(loop, two);
    end();
}

/* ---- every point ---- */

/* A tree in which much happens; at the end a change that must be heard, unless watching has
 * failed, which then was told. */
static void live(void) {
    begin();
    FAULTS_BEGIN();
    rondo_fs_watch *watch = rondo_fs_watch_new(loop);
    rondo_fs_watch_set_window(watch, 0, 10000);
    rondo_fs_watch_on_change(watch, note_change, NULL);
    rondo_fs_watch_on_error(watch, note_watch_error, NULL);
    rondo_fs_watch_on_ready(watch, note_ready, NULL);
    int error = rondo_fs_watch_start(watch, "t", RONDO_FS_WATCH_RECURSIVE);
    while (error == 0 && !strstr(trace, "ready") && !strchr(trace, '!')) turn(loop);
    make_dir("t/n"), make_dir("t/n/m"), write_file("t/n/f");
    if (error == 0) settle(loop, watch);
    move("t/a", "t/n/a"), make_dir("t/n/a/x");
    if (rondo_is_active(watch)) settle(loop, watch);
    move("t/n/a", "out/a");
    FAULTS_END();
    if (rondo_is_active(watch)) {
        settle(loop, watch);
        bool told = strstr(trace, "overflow") || strchr(trace, 'E');
        if (!told) CHECK(strstr(trace, "created(n/m/)") && strstr(trace, "removed(n/a/)"));
        trace_size = 0, trace[0] = '\0';
        /* A directory that could not be watched stays so; the root is. */
        write_file("t/last");
        await(loop, "created(last)");
    } else {
        CHECK(error < 0 || strchr(trace, '!'));
    }
    trace_size = 0, trace[0] = '\0';
    end();
}

TEST(a_tree_with_eintr_at_every_point) {
    FAULT_SWEEP(live, CALL_openat | CALL_read, EINTR);
    FAULT_PERIODS(live, CALL_openat | CALL_read, EINTR);
}
TEST(a_tree_with_an_error_at_every_lookup) {
    FAULT_SWEEP(live, CALL_openat | CALL_fstatat | CALL_fstat | CALL_readlinkat, EACCES);
    FAULT_SWEEP(live, CALL_openat, EMFILE);
}
TEST(a_tree_without_watches_at_every_point) {
    FAULT_SWEEP(live, CALL_inotify_add_watch | CALL_inotify_init1, ENOSPC);
    FAULT_SWEEP(live, CALL_inotify_rm_watch | CALL_ioctl, EINVAL);
}
TEST(directories_that_cannot_be_read_at_every_point) {
    FAULT_SWEEP(live, CALL_getdents64, EIO);
    FAULT_SWEEP(live, CALL_inotify_add_watch, ENOENT); /* as without /proc: by the path, then */
}

/* ---- memory ---- */

static long fail_after;
static bool failed; /* the allocation has */

static long sweep_memory(void (*scenario)(void)) {
    long n = 0;
    for (;; n++) {
        loop = NULL;
        fail_after = n;
        failed = false;
        scenario();
        failed = failed || harness_alloc_failed();
        harness_fail_alloc_after(-1);
        if (!failed) return n;
    }
}

static void live_with_little(void) {
    enter_home();
    make_dir("t"), make_dir("t/a"), make_dir("t/a/b"), make_dir("out");
    loop = rondo_loop_new();
    harness_fail_alloc_after(fail_after);
    rondo_fs_watch *watch = rondo_fs_watch_new(loop);
    if (!watch) {
        end();
        return;
    }
    rondo_fs_watch_set_window(watch, 0, 10000);
    rondo_fs_watch_on_change(watch, note_change, NULL);
    rondo_fs_watch_on_error(watch, note_watch_error, NULL);
    rondo_fs_watch_on_ready(watch, note_ready, NULL);
    int error = rondo_fs_watch_start(watch, "t", RONDO_FS_WATCH_RECURSIVE);
    CHECK(error == 0 || error == RONDO_ENOMEM || error == RONDO_EMFILE || error == RONDO_EAGAIN);
    while (error == 0 && !strstr(trace, "ready") && !strchr(trace, '!')) turn(loop);
    make_dir("t/n"), make_dir("t/n/m"), write_file("t/n/f");
    if (rondo_is_active(watch)) settle(loop, watch);
    move("t/a", "t/n/a"), make_dir("t/n/a/x");
    if (rondo_is_active(watch)) settle(loop, watch);
    move("t/n/m", "out/m");
    if (rondo_is_active(watch)) {
        settle(loop, watch);
        if (!harness_alloc_failed() || (!strstr(trace, "overflow") && !strchr(trace, 'E')))
            CHECK(strstr(trace, "created(n/m/)"));
        settle(loop, watch);
        trace_size = 0, trace[0] = '\0';
        make_dir("t/n/a/x/last"); /* all of the tree is watched, by now at least */
        while (!strstr(trace, "last/") && !strstr(trace, "overflow")) turn(loop);
        settle(loop, watch);
        make_dir("t/n/a/x/last/one");
        while (!strstr(trace, "last/one/") && !harness_alloc_failed()) turn(loop);
        CHECK_INT(watch_figures(watch).unwatched, 0);
    }
    trace_size = 0, trace[0] = '\0';
    end();
}

TEST(memory_that_runs_out_at_every_allocation_of_a_tree) {
    CHECK(sweep_memory(live_with_little) > 20);
}

static void poll_with_little(void) {
    enter_home();
    make_dir("t"), make_dir("t/a"), write_file("t/a/f");
    loop = new_virtual_loop();
    harness_fail_alloc_after(fail_after);
    rondo_fs_watch *watch = rondo_fs_watch_new(loop);
    if (watch) {
        rondo_fs_watch_set_window(watch, 0, 10000);
        rondo_fs_watch_on_change(watch, note_change, NULL);
        rondo_fs_watch_on_error(watch, note_watch_error, NULL);
        rondo_fs_watch_on_ready(watch, note_ready, NULL);
        int error =
            rondo_fs_watch_start(watch, "t", RONDO_FS_WATCH_RECURSIVE | RONDO_FS_WATCH_POLL);
        CHECK(error == 0 || error == RONDO_ENOMEM || error == RONDO_EAGAIN);
        while (error == 0 && !strstr(trace, "ready") && !strchr(trace, '!'))
            rondo_loop_run(loop, RONDO_RUN_ONCE);
        write_file("t/a/g"), move("t/a/f", "t/a/h");
        while (rondo_is_active(watch) && !strstr(trace, "a/g") && !strstr(trace, "overflow"))
            rondo_loop_run(loop, RONDO_RUN_ONCE);
        make_dir("t/a/last");
        while (rondo_is_active(watch) && !strstr(trace, "a/last") && !strstr(trace, "overflow"))
            rondo_loop_run(loop, RONDO_RUN_ONCE);
        failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        make_dir("t/a/end");
        while (rondo_is_active(watch) && !strstr(trace, "a/end"))
            rondo_loop_run(loop, RONDO_RUN_ONCE);
    }
    trace_size = 0, trace[0] = '\0';
    end();
}

TEST(memory_that_runs_out_at_every_allocation_of_a_poll) {
    CHECK(sweep_memory(poll_with_little) > 20);
}

/* ---- the lane ---- */

TEST(a_full_lane_refuses_the_start_and_delays_what_comes_later) {
    gate g;
    begin();
    gate_init(&g);
    rondo_fs_watch *watch = ready_watch(loop, "t", RONDO_FS_WATCH_RECURSIVE, 0);
    CHECK_INT(rondo_lane_resize(rondo_lane_fs(loop), 1, 1), 0);
    submit_standing(loop, rondo_lane_fs(loop), &g);
    gate_wait_entered(&g, 1);
    submit_standing(loop, rondo_lane_fs(loop), &g);
    rondo_fs_watch *late = rondo_fs_watch_new(loop);
    CHECK_INT(rondo_fs_watch_start(late, "t", 0), RONDO_EAGAIN);
    CHECK(!rondo_is_active(late));
    make_dir("t/n");
    await(loop, "created(n/)"); /* itself, at once */
    make_dir("t/n/m");
    gate_open(&g, 2);
    await(loop, "created(n/m/)");
    CHECK_TRACE("created(n/) created(n/m/)");
    settle(loop, watch);
    end();
}

TEST(looks_that_are_canceled_with_all_jobs_of_the_loop) {
    gate g;
    begin();
    gate_init(&g);
    CHECK_INT(rondo_lane_resize(rondo_lane_fs(loop), 1, 10), 0);
    submit_standing(loop, rondo_lane_fs(loop), &g);
    gate_wait_entered(&g, 1);
    rondo_fs_watch *watch = new_watch(loop, "t", RONDO_FS_WATCH_RECURSIVE, 0);
    turn(loop);
    rondo_loop_close_all(loop);
    CHECK(rondo_is_closing(watch));
    gate_open(&g, 1);
    end();
}
