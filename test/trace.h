/* SPDX-License-Identifier: MIT
 *
 * For tests of the loop: what a program did, as a line of words. A callback notes its word, a check
 * compares the line with what it should be. The callbacks below note the text that is their arg.
 */
#ifndef TEST_TRACE_H
#define TEST_TRACE_H

#include "harness.h"

#include <rondo.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char trace[1 << 16];
static size_t trace_size;

/* Adds a word, or several. */
__attribute__((format(printf, 1, 2), unused)) static void note(const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (trace_size > 0) trace_size += (size_t)snprintf(trace + trace_size, 2, " ");
    trace_size += (size_t)vsnprintf(trace + trace_size, sizeof trace - trace_size, format, args);
    va_end(args);
    CHECK(trace_size + 64 < sizeof trace);
}

/* Compares all words since the last check. */
#define CHECK_TRACE(want)                                            \
    do {                                                             \
        harness_check_str(__FILE__, __LINE__, "trace", trace, want); \
        trace_size = 0;                                              \
        trace[0] = '\0';                                             \
    } while (0)

/* One of several: the linker drops what a program does not use. */
#define TRACE_CALLBACK __attribute__((unused)) static void

TRACE_CALLBACK note_tick(rondo_loop *loop, void *arg) { note("%s", (const char *)arg); }
TRACE_CALLBACK note_timer(rondo_timer *timer, void *arg) { note("%s", (const char *)arg); }
TRACE_CALLBACK note_prepare(rondo_prepare *prepare, void *arg) { note("%s", (const char *)arg); }
TRACE_CALLBACK note_async(rondo_async *async, void *arg) { note("%s", (const char *)arg); }
TRACE_CALLBACK note_signal(rondo_signal *signal, int signum, void *arg) {
    note("%s", (const char *)arg);
}
TRACE_CALLBACK note_close(rondo_handle *handle, void *arg) { note("%s", (const char *)arg); }

/* A loop whose time begins at 1 s and moves only when the loop would sleep. */
__attribute__((unused)) static rondo_loop *new_virtual_loop(void) {
    rondo_loop *loop = rondo_loop_new();
    CHECK(loop != NULL);
    CHECK_INT(rondo_loop_use_virtual_clock(loop, 1000000000), 0);
    return loop;
}

/* Closes what is open, lets the close events happen and frees the loop. */
__attribute__((unused)) static void end_loop(rondo_loop *loop) {
    rondo_loop_close_all(loop);
    while (rondo_loop_run(loop, RONDO_RUN_NOWAIT) != 0) {}
    rondo_loop_free(loop);
}

/* A timer that is running, one-shot. */
__attribute__((unused)) static rondo_timer *start_timer(rondo_loop *loop, uint64_t delay_ms,
                                                        rondo_timer_cb cb, const void *arg) {
    rondo_timer *timer = rondo_timer_new(loop);
    CHECK(timer != NULL);
    CHECK_INT(rondo_timer_start(timer, delay_ms, 0, cb, (void *)(uintptr_t)arg), 0);
    return timer;
}

#endif
