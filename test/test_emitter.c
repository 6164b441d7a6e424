/* SPDX-License-Identifier: MIT
 *
 * Listeners: their order, once, off, and everything they may do to each other and to their emitter
 * while an event is being emitted. All handles use the same machinery.
 */
#include "trace.h"

static rondo_loop *loop;
static rondo_emitter *subject;

static void begin(void) {
    loop = new_virtual_loop();
    subject = rondo_emitter_new(loop);
    CHECK(subject != NULL);
}

/* Notes the payload, a text, behind its own name. */
static void hear(rondo_emitter *self, void *payload, void *arg) {
    CHECK(self == subject);
    note("%s%s", (char *)arg, payload ? (char *)payload : "");
}
static void hear_too(rondo_emitter *self, void *payload, void *arg) { note("%s-too", (char *)arg); }

static void on(const char *event, rondo_emitter_cb cb, const char *arg) {
    CHECK_INT(rondo_emitter_on(subject, event, cb, (void *)(uintptr_t)arg), 0);
}
static void once(const char *event, rondo_emitter_cb cb, const char *arg) {
    CHECK_INT(rondo_emitter_once(subject, event, cb, (void *)(uintptr_t)arg), 0);
}
static int off(const char *event, rondo_emitter_cb cb, const char *arg) {
    return rondo_emitter_off(subject, event, cb, (void *)(uintptr_t)arg);
}
static int emit(const char *event) { return rondo_emitter_emit(subject, event, NULL); }

/* ---- Adding, removing ---- */

TEST(listeners_run_in_the_order_of_adding_with_payload_and_arg) {
    begin();
    CHECK_INT(emit("x"), 0);
    on("x", hear, "a");
    CHECK_INT(rondo_emitter_emit(subject, "x", "!"), 1);
    CHECK_TRACE("a!");
    for (const char *name = "b\0c\0d\0e\0f\0g\0h\0i\0"; *name; name += 2) on("x", hear, name);
    on("y", hear, "y");
    CHECK_INT(rondo_emitter_count(subject, "x"), 9);
    CHECK_INT(rondo_emitter_emit(subject, "x", "?"), 9);
    CHECK_TRACE("a? b? c? d? e? f? g? h? i?");
    CHECK_INT(emit("y"), 1);
    CHECK_TRACE("y");
    end_loop(loop);
}

TEST(events_are_told_apart_by_their_text_which_is_copied) {
    char name[] = "event";
    begin();
    on(name, hear, "a");
    name[4] = 's';
    CHECK_INT(emit(name), 0);
    CHECK_INT(emit("event"), 1);
    CHECK_INT(emit("even"), 0);
    CHECK_INT(rondo_emitter_count(subject, "event"), 1);
    CHECK_INT(rondo_emitter_count(subject, "even"), 0);
    CHECK_INT(rondo_emitter_count(subject, NULL), 0);
    end_loop(loop);
}

TEST(once_is_called_once_among_others_and_alone) {
    begin();
    once("x", hear, "alone");
    CHECK_INT(rondo_emitter_count(subject, "x"), 1);
    CHECK_INT(emit("x"), 1);
    CHECK_INT(rondo_emitter_count(subject, "x"), 0);
    CHECK_INT(emit("x"), 0);
    on("x", hear, "a"), once("x", hear, "b"), on("x", hear, "c"), once("x", hear, "d");
    CHECK_INT(emit("x"), 4);
    CHECK_INT(emit("x"), 2);
    CHECK_TRACE("alone a b c d a c");
    end_loop(loop);
}

TEST(the_same_listener_twice_is_called_twice_and_off_takes_the_newest) {
    begin();
    on("x", hear, "a"), once("x", hear, "b"), on("x", hear, "a"), on("x", hear_too, "a");
    CHECK_INT(emit("x"), 4);
    CHECK_TRACE("a b a a-too");
    once("x", hear, "b");
    CHECK_INT(off("x", hear_too, "a"), 0);
    on("x", hear_too, "a"), on("x", hear, "a"); /* a a b a-too a */
    CHECK_INT(off("x", hear, "a"), 0);
    CHECK_INT(emit("x"), 4);
    CHECK_TRACE("a a b a-too");
    CHECK_INT(off("x", hear, "a"), 0);
    CHECK_INT(off("x", hear, "a"), 0);
    CHECK_INT(off("x", hear, "a"), RONDO_ENOENT);
    CHECK_INT(off("x", hear_too, "b"), RONDO_ENOENT); /* the pair counts */
    CHECK_INT(off("y", hear, "a"), RONDO_ENOENT);
    CHECK_INT(emit("x"), 1);
    CHECK_TRACE("a-too");
    CHECK_INT(off("x", hear_too, "a"), 0);
    CHECK_INT(emit("x"), 0);
    CHECK_INT(rondo_emitter_count(subject, "x"), 0);
    end_loop(loop);
}

TEST(off_of_an_inline_listener_forgets_that_it_was_once) {
    begin();
    CHECK_INT(off("x", hear, "a"), RONDO_ENOENT);
    on("x", hear, "a");
    CHECK_INT(off("x", hear, "b"), RONDO_ENOENT);
    CHECK_INT(off("x", hear, "a"), 0);
    on("x", hear, "a");
    CHECK_INT(emit("x") + emit("x"), 2);
    CHECK_TRACE("a a");
    end_loop(loop);
}

TEST(bad_arguments_are_refused) {
    begin();
    CHECK_INT(rondo_emitter_on(subject, NULL, hear, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_emitter_on(subject, "x", NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_emitter_once(subject, "x", NULL, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_emitter_off(subject, NULL, hear, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_emitter_emit(subject, NULL, NULL), RONDO_EINVAL);
    end_loop(loop);
}

/* ---- During an emission ---- */

static void add_more(rondo_emitter *self, void *payload, void *arg) {
    note("add");
    for (int i = 0; i < 20; i++) on("x", hear, "new"); /* the array grows under the emission */
    once("x", hear, "newest");
    off("x", add_more, NULL);
}
TEST(a_listener_added_during_the_emission_waits_for_the_next) {
    begin();
    on("x", add_more, NULL); /* inline at first */
    CHECK_INT(emit("x"), 1);
    CHECK_TRACE("add");
    CHECK_INT(emit("x"), 21);
    trace_size = 0;
    for (int i = 0; i < 20; i++) off("x", hear, "new");
    on("x", add_more, NULL), on("x", hear, "last"); /* in a list */
    CHECK_INT(emit("x"), 2);
    CHECK_TRACE("add last");
    CHECK_INT(emit("x"), 22);
    end_loop(loop);
}

static void remove_b_and_self(rondo_emitter *self, void *payload, void *arg) {
    note("remove");
    CHECK_INT(off("x", hear, "b"), 0);
    CHECK_INT(off("x", remove_b_and_self, NULL), 0);
    CHECK_INT(off("x", remove_b_and_self, NULL), RONDO_ENOENT);
}
TEST(a_listener_removed_during_the_emission_is_not_called_any_more) {
    begin();
    on("x", hear, "a"), on("x", remove_b_and_self, NULL), on("x", hear, "b"), on("x", hear, "c");
    CHECK_INT(emit("x"), 3);
    CHECK_TRACE("a remove c");
    CHECK_INT(emit("x"), 2);
    CHECK_TRACE("a c");
    end_loop(loop);
}

static void remove_all(rondo_emitter *self, void *payload, void *arg) {
    note("all");
    while (off("x", hear, "a") == 0) {}
    off("x", remove_all, NULL);
    CHECK_INT(rondo_emitter_count(subject, "x"), 0);
    CHECK_INT(emit("x"), 0);
    on("x", hear, "fresh");
}
TEST(all_listeners_may_go_and_a_new_one_come_during_the_emission) {
    begin();
    on("x", remove_all, NULL), on("x", hear, "a"), on("x", hear, "a");
    CHECK_INT(emit("x"), 1);
    CHECK_INT(emit("x"), 1);
    CHECK_TRACE("all fresh");
    end_loop(loop);
}

static int depth;
static void nest(rondo_emitter *self, void *payload, void *arg) {
    note("<%d", depth);
    if (depth++ < 2) emit("x");
    note("%d>", --depth);
}
TEST(emissions_nest_and_a_nested_once_is_not_called_twice) {
    begin();
    once("x", hear, "once"), on("x", nest, NULL), once("x", hear, "o2"), on("x", hear, "z");
    CHECK_INT(emit("x"), 3);
    /* `o2` belongs to the innermost emission, which gets there first. */
    CHECK_TRACE("once <0 <1 <2 2> o2 z 1> z 0> z");
    end_loop(loop);
}

static void once_again(rondo_emitter *self, void *payload, void *arg) {
    note("once");
    CHECK_INT(off("x", once_again, NULL), RONDO_ENOENT); /* removed before its call */
    once("x", once_again, NULL);
}
TEST(a_once_listener_may_add_itself_again_for_the_next_emission) {
    begin();
    once("x", once_again, NULL);
    CHECK_INT(emit("x"), 1);
    CHECK_INT(emit("x"), 1);
    CHECK_TRACE("once once");
    end_loop(loop);
}

static void never_error(rondo_emitter *self, int error, void *arg) { FAIL("called"); }
static void close_emitter(rondo_emitter *self, void *payload, void *arg) {
    note("close");
    rondo_close(self);
    CHECK_INT(emit("x"), RONDO_ECLOSED);
    CHECK_INT(rondo_emitter_on(self, "x", hear, NULL), RONDO_ECLOSED);
    CHECK_INT(rondo_emitter_once(self, "y", hear, NULL), RONDO_ECLOSED);
    CHECK_INT(rondo_emitter_on_error(self, never_error, NULL), RONDO_ECLOSED);
    CHECK_INT(rondo_emitter_once_error(self, never_error, NULL), RONDO_ECLOSED);
    CHECK_INT(rondo_emitter_emit_error(self, RONDO_EIO), RONDO_ECLOSED);
}
static void emit_and_look(rondo_timer *timer, void *arg) {
    CHECK_INT(emit("x"), 2);
    CHECK(rondo_is_closing(subject)); /* it is all there until the closing phase */
    CHECK_INT(rondo_emitter_count(subject, "x"), 3);
}
TEST(after_the_emitter_is_closed_no_listener_is_called) {
    begin();
    on("x", hear, "a"), on("x", close_emitter, NULL), on("x", hear, "never");
    rondo_on_close(subject, note_close, "closed");
    start_timer(loop, 0, emit_and_look, NULL);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK_TRACE("a close closed");
    end_loop(loop);
}

/* ---- The error event ---- */

static void on_error(rondo_emitter *self, int error, void *arg) {
    note("%s:%s", (char *)arg, rondo_error_name(error));
}
static void on_uncaught(rondo_loop *self, const rondo_uncaught *what, void *arg) {
    note("uncaught:%s:%s:%s", rondo_error_name(what->error), what->kind, what->name);
    CHECK(self == loop && what->handle == (rondo_handle *)subject);
    CHECK_STR(what->site, rondo_site(subject));
    CHECK(what->message[0] != '\0');
    CHECK(arg == &loop);
}
TEST(an_error_goes_to_its_listeners_or_else_to_the_uncaught_handler) {
    begin();
    rondo_set_name(subject, "bus");
    rondo_loop_on_uncaught(loop, on_uncaught, &loop);
    CHECK_INT(rondo_emitter_emit_error(subject, RONDO_EIO), 0);
    CHECK_TRACE("uncaught:EIO:emitter:bus");
    CHECK_INT(rondo_emitter_once_error(subject, on_error, "once"), 0);
    CHECK_INT(rondo_emitter_on_error(subject, on_error, "on"), 0);
    CHECK_INT(rondo_emitter_emit_error(subject, RONDO_EPIPE), 2);
    CHECK_INT(rondo_emitter_emit_error(subject, RONDO_EPIPE), 1);
    CHECK_TRACE("once:EPIPE on:EPIPE on:EPIPE");
    CHECK_INT(rondo_emitter_off_error(subject, on_error, "on"), 0);
    CHECK_INT(rondo_emitter_off_error(subject, on_error, "on"), RONDO_ENOENT);
    CHECK_INT(rondo_emitter_emit_error(subject, RONDO_EPIPE), 0);
    CHECK_TRACE("uncaught:EPIPE:emitter:bus");
    on("error", hear, "a name like any other"); /* not the typed one */
    CHECK_INT(rondo_emitter_emit_error(subject, RONDO_EIO), 0);
    CHECK_TRACE("uncaught:EIO:emitter:bus");
    end_loop(loop);
}

TEST(once_and_on_of_a_typed_event_share_the_inline_place) {
    begin();
    rondo_loop_on_uncaught(loop, on_uncaught, &loop);
    CHECK_INT(rondo_emitter_once_error(subject, on_error, "once"), 0);
    CHECK_INT(rondo_emitter_off_error(subject, on_error, "once"), 0);
    CHECK_INT(rondo_emitter_on_error(subject, on_error, "on"), 0); /* not once any more */
    rondo_emitter_emit_error(subject, RONDO_EIO), rondo_emitter_emit_error(subject, RONDO_EIO);
    CHECK_TRACE("on:EIO on:EIO");
    CHECK_INT(rondo_emitter_off_error(subject, on_error, "on"), 0);
    CHECK_INT(rondo_emitter_once_error(subject, on_error, "once"), 0);
    rondo_emitter_emit_error(subject, RONDO_EIO), rondo_emitter_emit_error(subject, RONDO_EIO);
    CHECK_TRACE("once:EIO uncaught:EIO:emitter:");
    end_loop(loop);
}

/* ---- Events whose payload the compiler checks ---- */

typedef struct greeting {
    const char *text;
    int times;
} greeting;
RONDO_EMITTER_EVENT(bus, greeting, greeting);
RONDO_EMITTER_EVENT(bus, number, int);

static void on_greeting(rondo_emitter *self, const greeting *payload, void *arg) {
    CHECK(self == subject);
    note("%s:%s*%d", (char *)arg, payload->text, payload->times);
}
static void on_number(rondo_emitter *self, const int *payload, void *arg) { note("%d", *payload); }

TEST(typed_events_carry_their_payload) {
    static const greeting hello = {"hello", 2};
    static const int seven = 7;
    begin();
    CHECK_INT(bus_on_greeting(subject, on_greeting, "a"), 0);
    CHECK_INT(bus_once_greeting(subject, on_greeting, "b"), 0);
    CHECK_INT(bus_on_number(subject, on_number, NULL), 0);
    CHECK_INT(bus_emit_greeting(subject, &hello), 2);
    CHECK_INT(bus_emit_greeting(subject, &hello), 1);
    CHECK_INT(bus_emit_number(subject, &seven), 1);
    CHECK_TRACE("a:hello*2 b:hello*2 a:hello*2 7");
    CHECK_INT(bus_off_greeting(subject, on_greeting, "a"), 0);
    CHECK_INT(bus_off_greeting(subject, on_greeting, "a"), RONDO_ENOENT);
    CHECK_INT(bus_emit_greeting(subject, &hello), 0);
    end_loop(loop);
}

TEST(typed_and_untyped_listeners_of_one_event_are_not_mixed) {
    begin();
    CHECK_INT(bus_on_number(subject, on_number, NULL), 0);
    CHECK_INT(rondo_emitter_on(subject, "bus.number", hear, NULL), RONDO_EINVAL);
    CHECK_INT(bus_off_number(subject, on_number, NULL), 0);
    CHECK_INT(rondo_emitter_on(subject, "bus.number", hear, "untyped"), 0);
    CHECK_INT(bus_on_number(subject, on_number, NULL), RONDO_EINVAL);
    CHECK_INT(emit("bus.number"), 1);
    CHECK_TRACE("untyped");
    end_loop(loop);
}
