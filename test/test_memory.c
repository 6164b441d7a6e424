/* SPDX-License-Identifier: MIT
 *
 * The allocator hook, and what happens when it says no: at every allocation of every operation, an
 * error comes back, nothing has changed, nothing leaks, and the loop goes on.
 */
#include "channel.h"
#include "loop/memory.h"
#include "trace.h"

#include <signal.h>
#include <stdlib.h>

/* ---- The hook ---- */

static long blocks, calls;
static void *count_realloc(void *ptr, size_t size, void *user) {
    CHECK(user == &blocks && size > 0);
    calls++;
    if (!ptr) blocks++;
    return realloc(ptr, size);
}
static void count_free(void *ptr, void *user) {
    CHECK(user == &blocks && ptr);
    blocks--;
    free(ptr);
}

TEST(all_memory_comes_from_the_hook_and_goes_back_to_it) {
    rondo_allocator hook = {count_realloc, count_free, &blocks};
    size_t others = harness_alloc_count();
    CHECK_INT(rondo_set_allocator(&hook), 0);
    memset(&hook, 0, sizeof hook); /* it was copied */
    rondo_loop *loop = new_virtual_loop();
    for (int i = 0; i < 200; i++) {
        rondo_timer *timer = start_timer(loop, 1, note_timer, "t");
        rondo_set_name(timer, "name");
        rondo_on_close(timer, note_close, "c"), rondo_on_close(timer, note_close, "c");
        rondo_immediate(loop, note_tick, "i");
        rondo_loop_post(loop, note_tick, "p");
    }
    rondo_loop_run(loop, RONDO_RUN_ALL);
    CHECK(calls > 800 && blocks > 0);
    end_loop(loop);
    CHECK_INT(blocks, 0);
    CHECK_INT(harness_alloc_count(), others);
}

TEST(the_hook_can_be_changed_only_while_there_is_no_loop) {
    const rondo_allocator half = {count_realloc, NULL, NULL}, other_half = {NULL, count_free, NULL};
    CHECK_INT(rondo_set_allocator(&half), RONDO_EINVAL);
    CHECK_INT(rondo_set_allocator(&other_half), RONDO_EINVAL);
    rondo_loop *loop = rondo_loop_new();
    CHECK_INT(rondo_set_allocator(NULL), RONDO_EBUSY);
    rondo_loop_free(loop);
    CHECK_INT(rondo_set_allocator(NULL), 0); /* malloc(3) again */
    size_t count = harness_alloc_count();
    end_loop(rondo_loop_new());
    CHECK_INT(harness_alloc_count(), count);
}

/* ---- Every allocation of an operation fails once ---- */

static rondo_loop *loop;

/* Runs an operation with each of its allocations failing in turn, each time on a new loop. It
 * returns whether it worked, which it must when nothing failed. `check` looks at what is there
 * then, and after all that the loop must still turn. */
static int sweep(bool (*operation)(void), bool (*check)(bool worked)) {
    int failures = 0;
    for (long n = 0;; n++) {
        loop = new_virtual_loop();
        harness_fail_alloc_after(n);
        bool worked = operation();
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        CHECK(worked || failed);
        if (check) CHECK(check(worked));
        start_timer(loop, 5, note_timer, "alive");
        rondo_loop_run(loop, RONDO_RUN_ALL);
        CHECK(strstr(trace, "alive"));
        trace_size = 0, trace[0] = '\0';
        end_loop(loop);
        if (!failed) break;
        failures += !worked;
    }
    CHECK(failures > 0);
    return failures;
}

static bool no_handle(bool worked) {
    rondo_metrics metrics;
    rondo_loop_metrics(loop, &metrics);
    return metrics.handles == (worked ? 1u : 0u);
}
static bool make_timer(void) { return rondo_timer_new(loop) != NULL; }
static bool make_prepare(void) { return rondo_prepare_new(loop) != NULL; }
static bool make_signal(void) { return rondo_signal_new(loop) != NULL; }
static bool make_emitter(void) { return rondo_emitter_new(loop) != NULL; }
static bool make_async(void) {
    rondo_async *async = rondo_async_new(loop, note_async, "a");
    if (async) rondo_unref(async);
    return async != NULL;
}
TEST(constructors_return_null) {
    CHECK_INT(sweep(make_timer, no_handle), 1);
    CHECK_INT(sweep(make_prepare, no_handle), 1);
    CHECK_INT(sweep(make_signal, no_handle), 1);
    CHECK_INT(sweep(make_emitter, no_handle), 1);
    CHECK_INT(sweep(make_async, no_handle), 1);
}

TEST(a_new_loop_is_null_or_whole) {
    int failures = 0;
    for (long n = 0;; n++) {
        harness_fail_alloc_after(n);
        rondo_loop *made = rondo_loop_new();
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        CHECK((made == NULL) == failed);
        rondo_loop_free(made);
        CHECK_INT(harness_live_blocks(), 0);
        if (!failed) break;
        failures++;
    }
    CHECK(failures > 5); /* libev's among them */
}

/* What was queued before a failure, and nothing else, runs. */
static int accepted;
static bool queue_ticks(void) {
    for (accepted = 0; accepted < 100; accepted++) {
        int error = rondo_next_tick(loop, note_tick, "k");
        if (error) return CHECK_INT(error, RONDO_ENOMEM), false;
    }
    return true;
}
static bool queue_immediates(void) {
    for (accepted = 0; accepted < 100; accepted++)
        if (rondo_immediate(loop, note_tick, "i") == 0) return false;
    return true;
}
static bool queue_posts(void) {
    for (accepted = 0; accepted < 20; accepted++) {
        int error = rondo_loop_post(loop, note_tick, "p");
        if (error) return CHECK_INT(error, RONDO_ENOMEM), false;
    }
    return true;
}
static bool all_accepted_run(bool worked) {
    rondo_loop_run(loop, RONDO_RUN_ALL);
    bool as_many = trace_size == (accepted ? 2 * (size_t)accepted - 1 : 0);
    trace_size = 0;
    return as_many;
}
TEST(ticks_immediates_and_posts_are_refused) {
    CHECK_INT(sweep(queue_ticks, all_accepted_run), 4); /* 16, 32, 64, 128 */
    CHECK_INT(sweep(queue_immediates, all_accepted_run), 4);
    CHECK_INT(sweep(queue_posts, all_accepted_run), 20);
}

static rondo_emitter *emitter;
static void hear(rondo_emitter *self, void *payload, void *arg) { note("x"); }
static void hear_error(rondo_emitter *self, int error, void *arg) { note("x"); }
static bool add_listeners(void) {
    emitter = rondo_emitter_new(loop);
    accepted = 0;
    if (!emitter) return false;
    for (; accepted < 10; accepted++) {
        int error = accepted % 2 ? rondo_emitter_on(emitter, "event", hear, NULL)
                                 : rondo_emitter_once(emitter, "event", hear, NULL);
        if (error) return CHECK_INT(error, RONDO_ENOMEM), false;
    }
    return true;
}
static bool all_accepted_hear(bool worked) {
    if (!emitter) return true;
    bool as_many = rondo_emitter_count(emitter, "event") == (size_t)accepted;
    as_many = as_many && rondo_emitter_emit(emitter, "event", NULL) == accepted;
    rondo_close(emitter);
    return as_many;
}
static bool add_error_listeners(void) {
    emitter = rondo_emitter_new(loop);
    accepted = 0;
    if (!emitter) return false;
    CHECK_INT(rondo_emitter_once_error(emitter, hear_error, NULL), 0); /* the first never fails */
    for (accepted = 1; accepted < 10; accepted++) {
        int error = rondo_emitter_on_error(emitter, hear_error, NULL);
        if (error) return CHECK_INT(error, RONDO_ENOMEM), false;
    }
    return true;
}
static bool all_errors_heard(bool worked) {
    if (!emitter) return true;
    int first = rondo_emitter_emit_error(emitter, RONDO_EIO);
    bool as_many = first == accepted; /* `once` kept its meaning on its way into the list */
    if (accepted > 1)
        as_many = as_many && rondo_emitter_emit_error(emitter, RONDO_EIO) == first - 1;
    rondo_close(emitter);
    return as_many;
}
static bool add_close_listeners(void) {
    rondo_timer *timer = rondo_timer_new(loop);
    accepted = 0;
    if (!timer) return false;
    bool worked = true;
    for (; accepted < 10 && worked; accepted += worked)
        worked = rondo_on_close(timer, note_close, "x") == 0;
    rondo_close(timer);
    return worked;
}
TEST(listeners_are_refused_and_those_before_stay) {
    CHECK(sweep(add_listeners, all_accepted_hear) >= 5);
    CHECK(sweep(add_error_listeners, all_errors_heard) >= 4);
    CHECK(sweep(add_close_listeners, all_accepted_run) >= 4);
}

static void observe(rondo_loop *self, const rondo_visit *visit, void *arg) {}
static bool add_observer(void) { return rondo_loop_observe(loop, observe, NULL) == 0; }
static bool start_signal(void) {
    rondo_signal *signal = rondo_signal_new(loop);
    if (!signal) return false;
    CHECK_INT(rondo_signal_start(signal, SIGUSR1, note_signal, "s"), 0); /* allocates nothing */
    rondo_unref(signal);
    return true;
}
TEST(observers_are_refused_and_signals_need_no_memory) {
    CHECK_INT(sweep(add_observer, NULL), 1);
    CHECK_INT(sweep(start_signal, no_handle), 1);
}

/* libev allocates for watchers: its failures must come out as errors, never as its abort. */
enum { CHANNELS = 24 };
static channel channels[CHANNELS];
static bool watch_channels(void) {
    for (accepted = 0; accepted < CHANNELS; accepted++)
        if (rondo__io_watch(loop, &channels[accepted].io, RONDO__READABLE) != 0) return false;
    return true;
}
static bool watched_ones_work(bool worked) {
    for (int i = 0; i < CHANNELS; i++) {
        CHECK_INT(rondo__io_watched(&channels[i].io), i < accepted ? RONDO__READABLE : 0);
        if (i < accepted) channel_poke(&channels[i]);
    }
    rondo_unref(rondo_async_new(loop, note_async, NULL));
    rondo_immediate(loop, note_tick, "i");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    bool as_many = trace_size == 2 * (size_t)accepted + 1;
    trace_size = 0;
    for (int i = 0; i < CHANNELS; i++) rondo__io_stop(loop, &channels[i].io);
    return as_many;
}
TEST(watching_a_descriptor_is_refused) {
    rondo_loop *other = new_virtual_loop();
    for (int i = 0; i < CHANNELS; i++) {
        channel_open(&channels[i], other, note_tick, "x");
        rondo__io_stop(other, &channels[i].io);
    }
    CHECK(sweep(watch_channels, watched_ones_work) >= 2);
    for (int i = 0; i < CHANNELS; i++) channel_close(&channels[i], other);
    rondo_loop_free(other);
}

/* The same for those that are watched already: they go on as they were. */
static int refused_changes;
static bool watch_more(void) {
    for (accepted = 0; accepted < CHANNELS; accepted += 2) { /* a few at a time: small arrays */
        if (rondo__io_watch(loop, &channels[accepted].io, RONDO__READABLE) != 0) return false;
        if (rondo__io_watch(loop, &channels[accepted + 1].io, RONDO__READABLE) != 0) return false;
        rondo_immediate(loop, note_tick, "i");
        rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    }
    for (int i = 0; i < CHANNELS; i++)
        if (rondo__io_watch(loop, &channels[i].io, RONDO__READABLE | RONDO__WRITABLE) != 0)
            return refused_changes++, false;
    return true;
}
static int run_count;
static void read_all(rondo_loop *self, rondo__io *io, int events) {
    run_count++;
    CHECK(events & RONDO__READABLE);
}
static bool all_still_readable(bool worked) {
    int expected = 0;
    run_count = 0;
    for (int i = 0; i < CHANNELS; i++) {
        expected += rondo__io_watched(&channels[i].io) != 0;
        CHECK(i >= accepted || rondo__io_watched(&channels[i].io) != 0);
        channels[i].io.run = read_all;
        channel_poke(&channels[i]);
    }
    rondo_immediate(loop, note_tick, "i");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    for (int i = 0; i < CHANNELS; i++) {
        char bytes[64];
        CHECK(read(channels[i].fds[0], bytes, sizeof bytes) > 0);
        rondo__io_stop(loop, &channels[i].io);
    }
    trace_size = 0;
    return run_count == expected;
}
TEST(changing_what_is_watched_is_refused_and_leaves_it_as_it_was) {
    rondo_loop *other = new_virtual_loop();
    for (int i = 0; i < CHANNELS; i++) {
        channel_open(&channels[i], other, note_tick, "x");
        rondo__io_stop(other, &channels[i].io);
    }
    sweep(watch_more, all_still_readable);
    CHECK(refused_changes > 0);
    for (int i = 0; i < CHANNELS; i++) channel_close(&channels[i], other);
    rondo_loop_free(other);
}

TEST(stopping_needs_no_memory_and_timers_never_do) {
    loop = new_virtual_loop();
    rondo_timer *timer = rondo_timer_new(loop);
    rondo_prepare *prepare = rondo_prepare_new(loop);
    channel_open(&channels[0], loop, note_tick, "x");
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    size_t count = harness_alloc_count();
    for (int i = 0; i < 100; i++) {
        CHECK_INT(rondo_timer_start(timer, (uint64_t)i * 1000, 5, note_timer, "t"), 0);
        CHECK_INT(rondo_prepare_start(prepare, note_prepare, "p"), 0);
        CHECK_INT(rondo_timer_stop(timer), 0);
        CHECK_INT(rondo_prepare_stop(prepare), 0);
        CHECK_INT(rondo__io_watch(loop, &channels[0].io, 0), 0);
        CHECK_INT(rondo__io_watch(loop, &channels[0].io, RONDO__READABLE), 0);
        rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    }
    CHECK_INT(harness_alloc_count(), count);
    channel_close(&channels[0], loop);
    rondo_close(timer);
    end_loop(loop);
}
