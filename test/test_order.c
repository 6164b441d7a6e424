/* SPDX-License-Identifier: MIT
 *
 * docs/order.md, rules O1 to O12: the phases of a turn, and what a callback of each kind gets when
 * it asks for one of everything. The page itself is read too, so that it can't go stale.
 */
#include "channel.h"
#include "trace.h"

#include <signal.h>
#include <stdlib.h>

/* ---- The page ---- */

static char *read_whole(const char *path) {
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 18);
    if (!file) FAIL("%s can't be opened: tests run in the source tree's root", path);
    CHECK(text && fread(text, 1, (1 << 18) - 1, file) > 0);
    fclose(file);
    return text;
}

/* The rule's line in the page must contain the text. */
static void check_page(const char *rule, const char *text) {
    char *page = read_whole("docs/order.md"), start[32];
    snprintf(start, sizeof start, "\n| %s |", rule);
    char *line = strstr(page, start);
    if (!line) FAIL("docs/order.md has no line for %s", rule);
    line[1 + strcspn(line + 1, "\n")] = '\0';
    if (!strstr(line, text)) FAIL("docs/order.md says \"%s\", it should say %s", line + 1, text);
    free(page);
}

TEST(the_table_and_the_ring_of_the_page_are_those_of_the_code) {
    char *page = read_whole("docs/order.md"), *at = page, line[256], ring[256] = "";
#define FIND_LINE(name, what)                                                            \
    snprintf(line, sizeof line, "\n| %s | %s |", #name, what);                           \
    if (!(at = strstr(at, line))) FAIL("the page lacks%s, or its order is wrong", line); \
    strcat(ring, ring[0] ? " --> " #name : #name);
    RONDO_PHASES(FIND_LINE)
    if (!strstr(page, ring)) FAIL("the ring is not %s", ring);
    free(page);
}

/* Every rule on the page names a test that there is, and every such test is on the page. */
TEST(each_rule_of_the_page_has_its_test) {
    static const char *const files[] = {"test_order",        "test_order_queues",
                                        "test_order_rounds", "test_order_close",
                                        "test_http_leaving", "test_ev"};
    char *page = read_whole("docs/order.md"), name[128], path[64];
    int rules = 0, tests = 0;
    for (char *at = page; (at = strstr(at, "\n| O")); at++) rules++;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "test/%s.c", files[i]);
        char *source = read_whole(path);
        for (char *at = source; (at = strstr(at, "\nTEST(order_")); at++) {
            snprintf(name, sizeof name, "%s.c `%.*s`", files[i], (int)strcspn(at + 6, ")"), at + 6);
            char rule[32], *found = strstr(page, name);
            if (!found) FAIL("docs/order.md does not name %s", name);
            snprintf(rule, sizeof rule, "\n| O%d |", atoi(at + strlen("\nTEST(order_")));
            char *line = strstr(page, rule);
            if (!line || found - line > (long)strcspn(line + 1, "\n"))
                FAIL("%s is not named on the line of its rule", name);
            tests++;
        }
        free(source);
    }
    CHECK_INT(rules, tests);
    free(page);
}

static rondo_phase last_phase;

static void note_phase(rondo_loop *loop) {
    if (rondo_loop_phase(loop) != last_phase) note("%s", rondo_phase_name(rondo_loop_phase(loop)));
    last_phase = rondo_loop_phase(loop);
}
static void phase_of_timer(rondo_timer *timer, void *arg) { note_phase(rondo_handle_loop(timer)); }
static void phase_of_prepare(rondo_prepare *prepare, void *arg) {
    note_phase(rondo_handle_loop(prepare));
}
static void phase_of_tick(rondo_loop *loop, void *arg) { note_phase(loop); }
static void phase_of_async(rondo_async *async, void *arg) { note_phase(rondo_handle_loop(async)); }
static void phase_of_close(rondo_handle *handle, void *arg) {
    note_phase(rondo_handle_loop(handle));
}

TEST(order_01_the_phases_run_in_the_order_of_the_table) {
    rondo_loop *loop = new_virtual_loop();
    rondo_prepare *prepare = rondo_prepare_new(loop);
    rondo_async *async = rondo_async_new(loop, phase_of_async, NULL);
    rondo_emitter *emitter = rondo_emitter_new(loop);
    last_phase = RONDO_PHASE_none;
    CHECK_INT(rondo_loop_set_budget(loop, RONDO_BUDGET_posts, 1), 0);
    CHECK_INT(rondo_loop_post(loop, phase_of_tick, NULL), 0);
    CHECK_INT(rondo_loop_post(loop, phase_of_tick, NULL), 0); /* over the budget: pending */
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 1);
    CHECK_TRACE("poll");

    rondo_on_close(emitter, phase_of_close, NULL);
    rondo_close(emitter);
    rondo_immediate(loop, phase_of_tick, NULL);
    rondo_async_send(async);
    CHECK_INT(rondo_prepare_start(prepare, phase_of_prepare, NULL), 0);
    start_timer(loop, 0, phase_of_timer, NULL);
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_NOWAIT), 1);
    CHECK_TRACE("timers pending prepare poll check closing");
    CHECK_INT(rondo_loop_phase(loop), RONDO_PHASE_none);
    end_loop(loop);
}

/* ---- One of everything ---- */

static struct {
    rondo_loop *loop;
    rondo_timer *timer, *to_close;
    rondo_async *async;
    rondo_signal *signal;
    channel channel;
} all;

/* Whoever calls this asks for one of everything. Nothing of it may come before it returns. */
static void ask(void) {
    size_t before = trace_size;
    CHECK_INT(rondo_next_tick(all.loop, note_tick, "tick"), 0);
    CHECK(rondo_immediate(all.loop, note_tick, "immediate") > 0);
    CHECK_INT(rondo_loop_post(all.loop, note_tick, "post"), 0);
    rondo_async_send(all.async);
    raise(SIGUSR1);
    channel_poke(&all.channel);
    CHECK_INT(rondo_timer_start(all.timer, 0, 0, note_timer, "timer"), 0);
    rondo_close(all.to_close);
    CHECK(trace_size == before);
}

static void ask_tick(rondo_loop *loop, void *arg) { note("ME"), ask(); }
static void ask_io(rondo_loop *loop, void *arg) {
    note("ME"), ask();
    rondo__io_stop(loop, &((channel *)arg)->io);
}
static void ask_timer(rondo_timer *timer, void *arg) { note("ME"), ask(); }
static void ask_async(rondo_async *async, void *arg) { note("ME"), ask(); }
static void ask_signal(rondo_signal *signal, int signum, void *arg) { note("ME"), ask(); }
static void ask_done(rondo_loop *loop, int64_t result, void *arg) { note("ME"), ask(); }
static void ask_close(rondo_handle *handle, void *arg) { note("ME"), ask(); }
static void ask_prepare(rondo_prepare *prepare, void *arg) {
    note("ME"), ask();
    rondo_close(prepare);
}

static rondo_loop *begin(void) {
    all.loop = new_virtual_loop();
    all.timer = rondo_timer_new(all.loop);
    all.to_close = rondo_timer_new(all.loop);
    all.signal = rondo_signal_new(all.loop);
    all.async = rondo_async_new(all.loop, note_async, "async");
    CHECK(all.timer && all.to_close && all.signal && all.async);
    CHECK_INT(rondo_on_close(all.to_close, note_close, "close"), 0);
    CHECK_INT(rondo_signal_start(all.signal, SIGUSR1, note_signal, "signal"), 0);
    channel_open(&all.channel, all.loop, note_tick, "io");
    CHECK_INT(rondo_loop_run(all.loop, RONDO_RUN_NOWAIT), 1); /* the kernel knows the channel now */
    return all.loop;
}

/* Runs until ME has been called, then one turn more; the async keeps the loop alive. */
static void end(const char *rule, const char *want) {
    char quoted[256];
    rondo_loop_run(all.loop, RONDO_RUN_ONCE);
    note("/");
    rondo_loop_run(all.loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE(want);
    rondo_loop_run(all.loop, RONDO_RUN_NOWAIT);
    CHECK_TRACE("");
    channel_close(&all.channel, all.loop);
    end_loop(all.loop);
    snprintf(quoted, sizeof quoted, "`%s`", want);
    check_page(rule, quoted);
}

TEST(order_02_from_the_top_level) {
    begin();
    note("ME"), ask();
    end("O2", "ME tick timer io signal async post immediate close /");
}

TEST(order_03_from_a_timer) {
    start_timer(begin(), 0, ask_timer, NULL);
    end("O3", "ME tick io signal async post immediate close / timer");
}

TEST(order_04_from_a_next_tick) {
    rondo_next_tick(begin(), ask_tick, NULL);
    end("O4", "ME tick timer io signal async post immediate close /");
}

TEST(order_05_from_a_prepare_hook) {
    CHECK_INT(rondo_prepare_start(rondo_prepare_new(begin()), ask_prepare, NULL), 0);
    end("O5", "ME tick io signal async post immediate close / timer");
}

TEST(order_06_from_io) {
    channel me;
    channel_open(&me, begin(), ask_io, &me);
    channel_poke(&me);
    end("O6", "ME tick signal async post immediate close / timer io");
    close(me.fds[0]);
    close(me.fds[1]);
}

TEST(order_07_from_a_signal) {
    rondo_signal *me = rondo_signal_new(begin());
    CHECK_INT(rondo_signal_start(me, SIGUSR2, ask_signal, NULL), 0);
    raise(SIGUSR2);
    end("O7", "ME tick async post immediate close / timer io signal");
}

TEST(order_08_from_an_async) {
    rondo_async_send(rondo_async_new(begin(), ask_async, NULL));
    end("O8", "ME tick post immediate close / timer io signal async");
}

TEST(order_09_from_a_post) {
    CHECK_INT(rondo_loop_post(begin(), ask_tick, NULL), 0);
    end("O9", "ME tick immediate close / timer io signal async post");
}

TEST(order_10_from_an_immediate) {
    rondo_immediate(begin(), ask_tick, NULL);
    end("O10", "ME tick close / timer io signal async post immediate");
}

TEST(order_11_from_a_close_event) {
    rondo_timer *me = rondo_timer_new(begin());
    rondo_on_close(me, ask_close, NULL);
    rondo_close(me);
    end("O11", "ME tick / timer io signal async post immediate close");
}

static int64_t no_work(rondo_job *job, void *arg) { return 0; }
TEST(order_12_from_a_pool_completion) {
    CHECK_INT(rondo_work_submit(begin(), NULL, NULL, no_work, ask_done, NULL), 0);
    end("O12", "ME tick immediate close / timer io signal async post");
}
