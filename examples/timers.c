/* SPDX-License-Identifier: MIT
 *
 * The order of one turn of the loop: timers, prepare hooks, I/O (poll), immediates (check), close
 * events (closing), and next ticks after every single callback. What is printed is a promise: it is
 * the same on every run, and the comment at the end of this file is tested against it.
 */
#include <rondo.h>

#include <stdio.h>
#include <unistd.h>

static void say(rondo_loop *loop, const char *what) {
    printf("turn %d  %-8s %s\n", (int)rondo_loop_turn(loop),
           rondo_phase_name(rondo_loop_phase(loop)), what);
}

static void on_tick(rondo_loop *loop, void *text) { say(loop, text); }

static void on_immediate(rondo_loop *loop, void *text) {
    say(loop, text);
    rondo_next_tick(loop, on_tick, "  tick of that immediate: before the next immediate");
}

static void on_timer(rondo_timer *timer, void *text) {
    say(rondo_handle_loop(timer), text);
    rondo_next_tick(rondo_handle_loop(timer), on_tick,
                    "  tick of that timer: before the next timer");
}

static void on_late(rondo_timer *timer, void *arg) {
    (void)arg;
    say(rondo_handle_loop(timer), "timer of 10 ms; nothing is left to do after it");
}

static void on_prepare(rondo_prepare *prepare, void *arg) {
    (void)arg;
    say(rondo_handle_loop(prepare), "prepare hook: just before the loop looks for events");
    rondo_prepare_stop(prepare);
}

static void on_close(rondo_handle *handle, void *arg) {
    (void)arg;
    say(rondo_handle_loop(handle), "stream closed");
}

static void on_data(rondo_stream *stream, rondo_slice chunk, void *arg) {
    rondo_loop *loop = rondo_handle_loop(stream);
    (void)chunk;
    (void)arg;
    say(loop, "stream has data");
    rondo_immediate(loop, on_immediate, "immediate queued by the I/O callback");
    rondo_close(stream);
    say(loop, "  rondo_close() returned; the close event comes later");
}

int main(void) {
    rondo_loop *loop = rondo_loop_new();
    rondo_stream *stream;
    int ends[2];

    /* Nobody waits: the clock jumps to the next deadline instead. */
    if (!loop || rondo_loop_use_virtual_clock(loop, 0) || pipe(ends) ||
        write(ends[1], "x", 1) != 1 || rondo_stream_open(loop, ends[0], &stream))
        return 1;
    rondo_on_close(stream, on_close, NULL);
    rondo_stream_on_data(stream, on_data, NULL);
    rondo_immediate(loop, on_immediate, "immediate");
    rondo_timer_start(rondo_timer_new(loop), 10, 0, on_late, NULL);
    rondo_timer_start(rondo_timer_new(loop), 0, 0, on_timer, "timer of 0 ms, started first");
    rondo_timer_start(rondo_timer_new(loop), 0, 0, on_timer, "timer of 0 ms, started second");
    rondo_prepare_start(rondo_prepare_new(loop), on_prepare, NULL);
    rondo_next_tick(loop, on_tick, "tick queued by main, which comes before everything");
    say(loop, "main is done; now the loop runs");

    rondo_loop_run(loop, RONDO_RUN_ALL);
    close(ends[1]);
    rondo_loop_close_all(loop);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    return 0;
}

/* Prints:
turn 0  none     main is done; now the loop runs
turn 0  none     tick queued by main, which comes before everything
turn 1  timers   timer of 0 ms, started first
turn 1  timers     tick of that timer: before the next timer
turn 1  timers   timer of 0 ms, started second
turn 1  timers     tick of that timer: before the next timer
turn 1  prepare  prepare hook: just before the loop looks for events
turn 1  poll     stream has data
turn 1  poll       rondo_close() returned; the close event comes later
turn 1  check    immediate
turn 1  check      tick of that immediate: before the next immediate
turn 1  check    immediate queued by the I/O callback
turn 1  check      tick of that immediate: before the next immediate
turn 1  closing  stream closed
turn 3  timers   timer of 10 ms; nothing is left to do after it
*/
