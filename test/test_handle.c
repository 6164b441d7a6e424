/* SPDX-License-Identifier: MIT
 *
 * What all handles have in common: active and closing, ref and unref, names, close and its
 * listeners, walk and dump.
 */
#include "loop/loop.h"
#include "trace.h"

#include <signal.h>
#include <stdlib.h>

/* One of each kind of the loop, started where that is possible. */
enum { TIMER, PREPARE, ASYNC, SIGNAL, EMITTER, KINDS };
static rondo_handle *handles[KINDS];

static rondo_loop *begin(bool started) {
    rondo_loop *loop = new_virtual_loop();
    rondo_timer *timer = rondo_timer_new(loop);
    rondo_prepare *prepare = rondo_prepare_new(loop);
    rondo_async *async = rondo_async_new(loop, note_async, "async");
    rondo_signal *signal = rondo_signal_new(loop);
    rondo_emitter *emitter = rondo_emitter_new(loop);
    CHECK(timer && prepare && async && signal && emitter);
    handles[TIMER] = (rondo_handle *)timer;
    handles[PREPARE] = (rondo_handle *)prepare;
    handles[ASYNC] = (rondo_handle *)async;
    handles[SIGNAL] = (rondo_handle *)signal;
    handles[EMITTER] = (rondo_handle *)emitter;
    if (started) {
        rondo_timer_start(timer, 10, 10, note_timer, "timer");
        rondo_prepare_start(prepare, note_prepare, "prepare");
        rondo_signal_start(signal, SIGUSR1, note_signal, "signal");
    }
    return loop;
}

/* ---- Active, ref ---- */

TEST(active_and_closing_say_exactly_what_is) {
    rondo_loop *loop = begin(false);
    for (int i = 0; i < KINDS; i++) {
        CHECK(rondo_is_active(handles[i]) == (i == ASYNC));
        CHECK(!rondo_is_closing(handles[i]));
        CHECK(rondo_has_ref(handles[i]));
        CHECK(rondo_handle_loop(handles[i]) == loop);
    }
    end_loop(loop);
    loop = begin(true);
    for (int i = 0; i < KINDS; i++) {
        CHECK(rondo_is_active(handles[i]) == (i != EMITTER));
        rondo_close(handles[i]);
        CHECK(!rondo_is_active(handles[i]));
        CHECK(rondo_is_closing(handles[i]));
        rondo_close(handles[i]);
    }
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("");
    rondo_loop_free(loop);
}

TEST(an_unrefd_handle_of_each_kind_does_not_keep_the_loop_alive) {
    rondo_loop *loop = begin(true);
    for (int i = 0; i < KINDS; i++) {
        CHECK(rondo_loop_alive(loop) == (i < EMITTER)); /* those that are still ref'd */
        CHECK(rondo_has_ref(handles[i]));
        rondo_unref(handles[i]);
        rondo_unref(handles[i]);
        CHECK(!rondo_has_ref(handles[i]));
    }
    CHECK(!rondo_loop_alive(loop));
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("");
    for (int i = 0; i < EMITTER; i++) {
        rondo_ref(handles[i]);
        rondo_ref(handles[i]);
        CHECK(rondo_loop_alive(loop));
        rondo_unref(handles[i]);
        CHECK(!rondo_loop_alive(loop));
    }
    end_loop(loop);
}

TEST(an_unrefd_handle_works_while_something_else_is_alive) {
    rondo_loop *loop = begin(true);
    for (int i = 0; i < KINDS; i++) rondo_unref(handles[i]);
    rondo_unref(start_timer(loop, 20, note_timer, "unref"));
    start_timer(loop, 15, note_timer, "last");
    rondo_async_send((rondo_async *)handles[ASYNC]);
    rondo_prepare_stop((rondo_prepare *)handles[PREPARE]);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("async timer last");
    end_loop(loop);
}

static void unref_self(rondo_timer *timer, void *arg) {
    note("timer");
    rondo_unref(timer);
}
static void unref_prepare(rondo_prepare *prepare, void *arg) {
    note("prepare");
    rondo_unref(prepare);
}
TEST(unref_inside_the_own_callback_lets_the_run_end) {
    rondo_loop *loop = begin(false);
    rondo_unref(handles[ASYNC]);
    rondo_timer_start((rondo_timer *)handles[TIMER], 5, 5, unref_self, NULL);
    rondo_prepare_start((rondo_prepare *)handles[PREPARE], unref_prepare, NULL);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("prepare timer prepare");
    end_loop(loop);
}

TEST(ref_and_unref_count_neither_idle_nor_closing_handles) {
    rondo_loop *loop = begin(false);
    rondo_close(handles[ASYNC]);
    rondo_unref(handles[ASYNC]), rondo_ref(handles[ASYNC]);
    rondo_unref(handles[TIMER]);
    rondo_timer_start((rondo_timer *)handles[TIMER], 5, 0, note_timer, "timer");
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0); /* the close event, and that is all */
    CHECK_TRACE("");
    rondo_ref(handles[TIMER]);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("timer");
    end_loop(loop);
}

/* ---- Who it is ---- */

TEST(a_handle_knows_its_kind_site_name_and_data) {
    static const char *const kinds[] = {"timer", "prepare", "async", "signal", "emitter"};
    rondo_loop *loop = begin(false);
    for (int i = 0; i < KINDS; i++) {
        char name[] = "my name";
        CHECK_STR(rondo_kind(handles[i]), kinds[i]);
        CHECK(strncmp(rondo_site(handles[i]), "test/test_handle.c:", 19) == 0);
        CHECK_STR(rondo_name(handles[i]), "");
        CHECK_INT(rondo_set_name(handles[i], name), 0);
        name[0] = '?'; /* it is copied */
        CHECK_STR(rondo_name(handles[i]), "my name");
        CHECK_INT(rondo_set_name(handles[i], "other"), 0);
        CHECK_STR(rondo_name(handles[i]), "other");
        CHECK(strncmp(rondo_site(handles[i]), "test/test_handle.c:", 19) == 0);
        CHECK(rondo_data(handles[i]) == NULL);
        rondo_set_data(handles[i], name);
        CHECK(rondo_data(handles[i]) == name);
    }
    CHECK_INT(rondo_set_name(handles[TIMER], NULL), 0);
    CHECK_STR(rondo_name(handles[TIMER]), "");
    CHECK(strncmp(rondo_site(handles[TIMER]), "test/test_handle.c:", 19) == 0);
    end_loop(loop);
}

TEST(a_name_that_finds_no_memory_changes_nothing) {
    rondo_loop *loop = begin(false);
    rondo_set_name(handles[TIMER], "old");
    harness_fail_alloc_after(0);
    CHECK_INT(rondo_set_name(handles[TIMER], "new"), RONDO_ENOMEM);
    CHECK_STR(rondo_name(handles[TIMER]), "old");
    end_loop(loop);
}

/* ---- Closing ---- */

TEST(calls_on_a_closing_handle_are_refused_and_do_nothing) {
    rondo_loop *loop = begin(true);
    for (int i = 0; i < KINDS; i++) rondo_close(handles[i]);
    rondo_timer *timer = (rondo_timer *)handles[TIMER];
    CHECK_INT(rondo_timer_start(timer, 0, 0, note_timer, "never"), RONDO_ECLOSED);
    CHECK_INT(rondo_timer_start_at(timer, 0, note_timer, "never"), RONDO_ECLOSED);
    CHECK_INT(rondo_timer_again(timer), RONDO_ECLOSED);
    CHECK_INT(rondo_timer_stop(timer), RONDO_ECLOSED);
    CHECK_INT(rondo_timer_deadline_ns(timer), 0);
    rondo_prepare *prepare = (rondo_prepare *)handles[PREPARE];
    CHECK_INT(rondo_prepare_start(prepare, note_prepare, "never"), RONDO_ECLOSED);
    CHECK_INT(rondo_prepare_stop(prepare), RONDO_ECLOSED);
    rondo_signal *signal = (rondo_signal *)handles[SIGNAL];
    CHECK_INT(rondo_signal_start(signal, SIGUSR1, note_signal, "never"), RONDO_ECLOSED);
    CHECK_INT(rondo_signal_start_once(signal, SIGUSR1, note_signal, "never"), RONDO_ECLOSED);
    CHECK_INT(rondo_signal_stop(signal), RONDO_ECLOSED);
    rondo_async_send((rondo_async *)handles[ASYNC]);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("");
    rondo_loop_free(loop);
}

static void say_closing(rondo_handle *handle, void *arg) {
    CHECK(rondo_is_closing(handle)); /* true until the event has been emitted */
    note("%s", rondo_kind(handle));
    rondo_close(handle);
}
TEST(close_is_emitted_exactly_once_for_each_kind) {
    rondo_loop *loop = begin(true);
    for (int i = 0; i < KINDS; i++) CHECK_INT(rondo_on_close(handles[i], say_closing, NULL), 0);
    rondo_loop_close_all(loop);
    rondo_loop_close_all(loop);
    CHECK_TRACE("");
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("timer prepare async signal emitter");
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("");
    rondo_loop_free(loop);
}

static void add_while_closing(rondo_handle *handle, void *arg) {
    note("first");
    CHECK_INT(rondo_on_close(handle, note_close, "too late"), RONDO_ECLOSED);
    CHECK_INT(rondo_off_close(handle, note_close, "gone"), 0);
}
TEST(listeners_of_close_may_be_added_while_closing_and_removed) {
    rondo_loop *loop = begin(false);
    rondo_close(handles[TIMER]);
    CHECK_INT(rondo_on_close(handles[TIMER], add_while_closing, NULL), 0);
    CHECK_INT(rondo_on_close(handles[TIMER], note_close, "second"), 0);
    CHECK_INT(rondo_on_close(handles[TIMER], note_close, "removed"), 0);
    CHECK_INT(rondo_on_close(handles[TIMER], note_close, "gone"), 0);
    CHECK_INT(rondo_off_close(handles[TIMER], note_close, "removed"), 0);
    CHECK_INT(rondo_off_close(handles[TIMER], note_close, "removed"), RONDO_ENOENT);
    CHECK_INT(rondo_on_close(handles[TIMER], NULL, NULL), RONDO_EINVAL);
    rondo_close(handles[PREPARE]); /* the same with a single, inline listener */
    CHECK_INT(rondo_on_close(handles[PREPARE], note_close, "gone"), 0);
    CHECK_INT(rondo_off_close(handles[PREPARE], note_close, "gone"), 0);
    end_loop(loop);
    CHECK_TRACE("first second");
}

static void close_self(rondo_timer *timer, void *arg) {
    note("timer");
    rondo_close(timer);
    CHECK_INT(rondo_timer_start(timer, 0, 0, note_timer, "never"), RONDO_ECLOSED);
}
static void add_too_late(rondo_handle *handle, void *ret_status) {
    *(int *)ret_status = rondo_on_close(handle, note_close, "never");
}

TEST(close_cannot_be_listened_for_while_it_is_emitted) {
    rondo_loop *loop = begin(false);
    int status = 0;
    rondo_on_close(handles[TIMER], add_too_late, &status);
    rondo_loop_close_all(loop);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_INT(status, RONDO_ECLOSED);
    CHECK_TRACE("");
    rondo_loop_free(loop);
}

TEST(a_handle_closed_in_its_own_callback_gets_its_event_later) {
    rondo_loop *loop = begin(false);
    rondo_close(handles[ASYNC]);
    rondo_on_close(handles[TIMER], note_close, "close");
    rondo_timer_start((rondo_timer *)handles[TIMER], 1, 1, close_self, NULL);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_TRACE("timer close");
    end_loop(loop);
}

TEST(closing_nothing_is_allowed) { rondo_close((rondo_timer *)NULL); }

/* A kind of its own: the order of its functions is part of the life of a handle. */
static void kind_stop(rondo_handle *handle) { note("stop"); }
static void kind_finish(rondo_handle *handle) { note("finish"); }
static void kind_free(rondo_handle *handle) { note("free"); }
static const rondo__kind probe_kind = {.name = "probe",
                                       .size = sizeof(rondo_handle),
                                       .stop = kind_stop,
                                       .finish = kind_finish,
                                       .free = kind_free};
TEST(a_kind_is_told_to_stop_at_once_to_finish_before_close_and_to_free_after) {
    rondo_loop *loop = new_virtual_loop();
    rondo_handle *probe = rondo__handle_new(loop, &probe_kind, RONDO_HERE);
    rondo_on_close(probe, note_close, "close");
    rondo__handle_activate(probe);
    rondo_close(probe);
    CHECK_TRACE("stop");
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("finish close free");
    rondo__handle_discard(rondo__handle_new(loop, &probe_kind, RONDO_HERE));
    CHECK_TRACE("");
    rondo_loop_free(loop);
}

/* ---- Walk and dump ---- */

static void visit(rondo_handle *handle, void *arg) {
    note("%s%s", rondo_kind(handle), rondo_is_closing(handle) ? "!" : "");
}
static void visit_and_change(rondo_handle *handle, void *arg) {
    visit(handle, arg);
    rondo_close(handle);
    CHECK(rondo_timer_new(rondo_handle_loop(handle)) != NULL);
}
TEST(walk_visits_the_oldest_first_and_allows_closing_and_making_handles) {
    rondo_loop *loop = begin(true);
    rondo_close(handles[ASYNC]);
    CHECK_INT(rondo_loop_walk(loop, visit_and_change, NULL), KINDS);
    CHECK_TRACE("timer prepare async! signal emitter");
    CHECK_INT(rondo_loop_walk(loop, visit, NULL), 2 * KINDS);
    CHECK_TRACE("timer! prepare! async! signal! emitter! timer timer timer timer timer");
    end_loop(loop);
    CHECK_INT(rondo_loop_walk(loop = rondo_loop_new(), visit, NULL), 0);
    rondo_loop_free(loop);
}

static void walk_now(rondo_timer *timer, void *arg) {
    CHECK_INT(rondo_loop_walk(rondo_handle_loop(timer), visit, NULL), KINDS);
    rondo_close(timer);
}
static void walk_in_close(rondo_handle *handle, void *arg) {
    CHECK_INT(rondo_loop_walk(rondo_handle_loop(handle), visit, NULL), KINDS);
}
TEST(walk_works_inside_callbacks) {
    rondo_loop *loop = begin(true);
    rondo_on_close(handles[TIMER], walk_in_close, NULL);
    rondo_timer_start((rondo_timer *)handles[TIMER], 0, 0, walk_now, NULL);
    rondo_prepare_stop((rondo_prepare *)handles[PREPARE]);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("timer prepare async signal emitter timer! prepare async signal emitter");
    end_loop(loop);
}

TEST(the_age_of_a_handle_counts_from_its_own_birth) {
    rondo_loop *loop = rondo_loop_new();
    uint64_t before_ns = rondo_loop_now_ns(loop);
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    while (rondo_loop_now_ns(loop) == before_ns) {}
    before_ns = rondo_loop_now_ns(loop);
    loop->now_ns = 1; /* the loop has not looked at the clock for long */
    rondo_handle *handle = (rondo_handle *)rondo_timer_new(loop);
    CHECK(handle->created_ns >= before_ns);
    end_loop(loop);
}

static void dump_now(rondo_timer *timer, void *arg) {
    char *text = NULL, line[128];
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    rondo_close(handles[PREPARE]);
    rondo_loop_dump(rondo_handle_loop(timer), out);
    fclose(out);
    CHECK(strstr(text, "loop made at test/trace.h:") == text);
    CHECK(strstr(text, ": turn 2, 5 handles, 0 jobs in the pool\n"));
    CHECK(
        strstr(text, "  timer          active           2.000 s  'ticker' made at test/test_hand"));
    CHECK(strstr(text, "  prepare        closing          2.000 s  made at test/test_handle.c:"));
    CHECK(strstr(text, "  async          active, unref    2.000 s  made at "));
    CHECK(strstr(text, "  emitter        idle             2.000 s  made at "));
    snprintf(line, sizeof line, "made at %s\n", rondo_site(timer));
    CHECK(strstr(text, line));
    free(text);
    note("dumped");
}
TEST(dump_lists_kind_state_age_name_and_site) {
    rondo_loop *loop = begin(false);
    rondo_set_name(handles[TIMER], "ticker");
    rondo_unref(handles[ASYNC]);
    rondo_timer_start((rondo_timer *)handles[TIMER], 2000, 2000, dump_now, NULL);
    rondo_loop_run(loop, RONDO_RUN_ONCE);
    CHECK_TRACE("dumped");
    end_loop(loop);
}
