/* SPDX-License-Identifier: MIT
 *
 * Readiness below the streams: what is reported, changed and stopped, fd numbers that are used
 * again, and that the loop flushes after everything it dispatches.
 */
#include "channel.h"
#include "loop/loop.h"
#include "trace.h"

#include <fcntl.h>
#include <stdlib.h>

static rondo_loop *loop;

/* A watched fd that notes what was reported and reads nothing. */
static void note_events(rondo_loop *self, rondo__io *io, int events) {
    note("%s%s", events & RONDO__READABLE ? "r" : "", events & RONDO__WRITABLE ? "w" : "");
}
static void new_pair(int fds[2]) {
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
}
static void begin(rondo__io *io, int fds[2]) {
    loop = new_virtual_loop();
    CHECK(rondo_async_new(loop, note_async, "a") != NULL); /* keeps it alive */
    new_pair(fds);
    rondo__io_init(io, fds[0], note_events);
}
static void turn(const char *want) {
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE(want);
}
static void end(rondo__io *io, int fds[2]) {
    rondo__io_stop(loop, io);
    close(fds[0]), close(fds[1]);
    end_loop(loop);
}

/* ---- What is reported ---- */

TEST(readiness_is_reported_as_long_as_it_lasts) {
    rondo__io io;
    int fds[2];
    char byte;
    begin(&io, fds);
    CHECK_INT(rondo__io_watched(&io), 0);
    CHECK_INT(rondo__io_watch(loop, &io, RONDO__READABLE), 0);
    CHECK_INT(rondo__io_watched(&io), RONDO__READABLE);
    turn("");
    CHECK_INT(write(fds[1], "!", 1), 1);
    turn("r"), turn("r"); /* level-triggered */
    CHECK_INT(read(fds[0], &byte, 1), 1);
    turn("");
    end(&io, fds);
}

TEST(what_is_watched_can_be_changed_at_any_time) {
    rondo__io io;
    int fds[2];
    begin(&io, fds);
    CHECK_INT(write(fds[1], "!", 1), 1);
    CHECK_INT(rondo__io_watch(loop, &io, RONDO__WRITABLE), 0), turn("w");
    CHECK_INT(rondo__io_watch(loop, &io, RONDO__WRITABLE | RONDO__READABLE), 0), turn("rw");
    CHECK_INT(rondo__io_reported(&io), RONDO__WRITABLE | RONDO__READABLE);
    CHECK_INT(rondo__io_watch(loop, &io, RONDO__READABLE), 0), turn("r");
    CHECK_INT(rondo__io_watch(loop, &io, 0), 0), turn("");
    CHECK_INT(rondo__io_watch(loop, &io, 0), 0);
    CHECK_INT(rondo__io_watch(loop, &io, RONDO__READABLE), 0), turn("r");
    rondo__io_stop(loop, &io), turn("");
    CHECK_INT(rondo__io_watch(loop, &io, RONDO__READABLE), 0), turn("r");
    end(&io, fds);
}

TEST(an_error_condition_is_both) {
    rondo__io io;
    int fds[2];
    begin(&io, fds);
    CHECK_INT(rondo__io_watch(loop, &io, RONDO__READABLE | RONDO__WRITABLE), 0);
    close(fds[1]); /* hung up */
    turn("rw");
    fds[1] = dup(fds[0]);
    end(&io, fds);
}

TEST(a_regular_file_is_always_ready) {
    rondo__io io;
    int fds[2];
    begin(&io, fds);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    rondo__io_init(&io, file, note_events);
    CHECK_INT(rondo__io_watch(loop, &io, RONDO__READABLE), 0);
    turn("r"), turn("r");
    rondo__io_stop(loop, &io);
    close(file);
    end(&io, fds);
}

/* ---- Numbers that are used again ---- */

TEST(a_number_that_belongs_to_another_file_now_is_watched_anew) {
    rondo__io io;
    int fds[2], others[2];
    begin(&io, fds);
    rondo__io_watch(loop, &io, RONDO__READABLE);
    turn("");
    rondo__io_stop(loop, &io);
    new_pair(others);
    CHECK_INT(dup2(others[0], fds[0]), fds[0]); /* closes the old one */
    CHECK_INT(write(others[1], "!", 1), 1);
    rondo__io_watch(loop, &io, RONDO__READABLE);
    turn("r");
    close(others[0]), close(others[1]);
    end(&io, fds);
}

static rondo__io first, second, third;
static int first_fds[2], second_fds[2], third_fds[2];
static void close_and_reuse(rondo_loop *self, rondo__io *io, int events) {
    note("first");
    rondo__io_stop(self, io);
    rondo__io_stop(self, &second); /* ready in the same batch */
    close(second_fds[0]), close(second_fds[1]);
    new_pair(third_fds);
    CHECK(third_fds[0] == second_fds[0] || third_fds[1] == second_fds[0]);
    rondo__io_init(&third, second_fds[0], note_events);
    rondo__io_watch(self, &third, RONDO__READABLE); /* nothing has come for this one */
}
TEST(readiness_of_a_closed_descriptor_is_not_taken_for_that_of_its_successor) {
    begin(&first, first_fds);
    new_pair(second_fds);
    rondo__io_init(&first, first_fds[0], close_and_reuse);
    rondo__io_init(&second, second_fds[0], note_events);
    rondo__io_watch(loop, &first, RONDO__READABLE), rondo__io_watch(loop, &second, RONDO__READABLE);
    CHECK_INT(write(first_fds[1], "!", 1) + write(second_fds[1], "!", 1), 2);
    turn("first");
    turn("");
    CHECK_INT(write(third_fds[third_fds[0] == second_fds[0]], "!", 1), 1);
    turn("r");
    rondo__io_stop(loop, &third);
    close(third_fds[0]), close(third_fds[1]);
    end(&first, first_fds);
}

/* ---- Changes inside a batch ---- */

static int change_to;
static void change_second(rondo_loop *self, rondo__io *io, int events) {
    note("first");
    rondo__io_watch(self, &second, 0);
    rondo__io_watch(self, &second, change_to);
    rondo__io_stop(self, io);
}
static void change_second_only(rondo_loop *self, rondo__io *io, int events) {
    note("first");
    rondo__io_watch(self, &second, change_to);
    rondo__io_stop(self, io);
}
static void change_in_batch(void (*change)(rondo_loop *, rondo__io *, int), int to,
                            const char *want, const char *want_next) {
    begin(&first, first_fds);
    new_pair(second_fds);
    change_to = to;
    rondo__io_init(&first, first_fds[0], change);
    rondo__io_init(&second, second_fds[0], note_events);
    rondo__io_watch(loop, &first, RONDO__READABLE), rondo__io_watch(loop, &second, RONDO__READABLE);
    CHECK_INT(write(first_fds[1], "!", 1) + write(second_fds[1], "!", 1), 2);
    turn(want);
    turn(want_next);
    rondo__io_stop(loop, &second);
    close(second_fds[0]), close(second_fds[1]);
    end(&first, first_fds);
}
TEST(what_is_not_wanted_any_more_is_not_reported_in_the_same_batch) {
    change_in_batch(change_second, 0, "first", "");
    change_in_batch(change_second, RONDO__READABLE, "first", "r"); /* it waits for the next turn */
    change_in_batch(change_second_only, RONDO__WRITABLE, "first", "w");
    change_in_batch(change_second_only, RONDO__READABLE | RONDO__WRITABLE, "first r", "rw");
}

/* ---- Flushing after everything ---- */

static rondo__flush flush;
static void on_flush(rondo__flush *self) { note("flush"); }
static void write_of_io(rondo_loop *self, rondo__io *io, int events) {
    note("io"), rondo__flush_later(self, &flush);
    rondo__io_stop(self, io);
}
static void write_of_alarm(rondo_loop *self, rondo__alarm *which) {
    note("alarm"), rondo__flush_later(self, &flush);
}
static void write_of_task(rondo_loop *self, rondo__task *task) {
    note("task"), rondo__flush_later(self, &flush);
}
static void write_of_source(rondo_loop *self, rondo__source *source) {
    note("source"), rondo__flush_later(self, &flush);
}
TEST(what_the_library_itself_wrote_leaves_after_each_thing_the_loop_dispatches) {
    rondo__alarm alarms[2];
    rondo__task tasks[2];
    rondo__source sources[2];
    begin(&first, first_fds);
    new_pair(second_fds);
    rondo__flush_init(&flush, on_flush);
    rondo__io_init(&first, first_fds[0], write_of_io);
    rondo__io_init(&second, second_fds[0], write_of_io);
    rondo__io_watch(loop, &first, RONDO__WRITABLE), rondo__io_watch(loop, &second, RONDO__WRITABLE);
    for (int i = 0; i < 2; i++) {
        rondo__alarm_init(&alarms[i], write_of_alarm);
        rondo__alarm_set(loop, &alarms[i], 0);
        rondo__task_init(&tasks[i], write_of_task);
        rondo__defer(loop, &tasks[i]);
        rondo__defer(loop, &tasks[i]); /* once is enough */
        rondo__source_add(loop, &sources[i], write_of_source);
    }
    rondo__wake(loop);
    turn("alarm flush alarm flush task flush task flush io flush io flush source flush source "
         "flush");
    rondo__defer(loop, &tasks[0]), rondo__defer(loop, &tasks[1]);
    rondo__task_cancel(&tasks[0]), rondo__task_cancel(&tasks[0]);
    turn("task flush");
    rondo__source_remove(&sources[0]), rondo__source_remove(&sources[1]);
    rondo__wake(loop);
    turn("");
    close(second_fds[0]), close(second_fds[1]);
    end(&first, first_fds);
}

static void defer_again(rondo_loop *self, rondo__task *task) {
    note("task");
    if (rondo_loop_turn(self) < 3) rondo__defer(self, task);
}
TEST(a_task_deferred_in_the_pending_phase_waits_for_the_next_turn_and_keeps_the_loop_awake) {
    rondo__task task;
    loop = new_virtual_loop();
    start_timer(loop, 1000, note_timer, "timer");
    rondo__task_init(&task, defer_again);
    rondo__defer(loop, &task);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("task task task timer");
    CHECK_INT(rondo_loop_turn(loop), 4);
    end_loop(loop);
}
