/* SPDX-License-Identifier: MIT
 *
 * Events of your own: a thermometer that tells whoever listens. Typed events, which the compiler
 * checks; plain ones, named by a string; once, off, and the error that nobody listens for. What is
 * printed is tested against the comment at the end of this file.
 */
#include <rondo.h>

#include <stdio.h>

typedef struct reading {
    int degrees;
} reading;

/* Defines thermometer_on_change, _once_change, _off_change and _emit_change. */
RONDO_EMITTER_EVENT(thermometer, change, reading);

static void print_change(rondo_emitter *emitter, const reading *now, void *who) {
    (void)emitter;
    printf("  %s: %d degrees\n", (const char *)who, now->degrees);
}

/* Listeners may come and go while their event is being emitted. */
static void leave_when_warm(rondo_emitter *emitter, const reading *now, void *who) {
    printf("  %s: %d degrees\n", (const char *)who, now->degrees);
    if (now->degrees >= 25) {
        printf("  %s: too warm, I am off\n", (const char *)who);
        thermometer_off_change(emitter, leave_when_warm, who);
    }
}

static void print_note(rondo_emitter *emitter, void *note, void *arg) {
    (void)emitter;
    (void)arg;
    printf("note: %s\n", (const char *)note);
}

static void print_error(rondo_emitter *emitter, int error, void *arg) {
    (void)emitter;
    (void)arg;
    printf("  heard: %s, %s\n", rondo_error_name(error), rondo_error_text(error));
}

/* The default would print this and abort: an error is never lost in silence. */
static void on_uncaught(rondo_loop *loop, const rondo_uncaught *what, void *arg) {
    (void)loop;
    (void)arg;
    printf("  uncaught: %s of the %s '%s'\n", rondo_error_name(what->error), what->kind,
           what->name);
}

static void measure(rondo_emitter *thermometer, int degrees) {
    reading now = {degrees};

    printf("it is %d now\n", degrees);
    printf("  listeners called: %d\n", thermometer_emit_change(thermometer, &now));
}

int main(void) {
    rondo_loop *loop = rondo_loop_new();
    rondo_emitter *thermometer = loop ? rondo_emitter_new(loop) : NULL;

    if (!thermometer) return 1;
    rondo_set_name(thermometer, "kitchen");
    thermometer_on_change(thermometer, print_change, "Ann");
    thermometer_once_change(thermometer, print_change, "Bob, once");
    thermometer_on_change(thermometer, leave_when_warm, "Cleo");
    measure(thermometer, 25);
    measure(thermometer, 19);
    rondo_emitter_on(thermometer, "note", print_note, NULL);
    rondo_emitter_emit(thermometer, "note", "a plain event, named by a string");
    printf("an error with a listener, and the same without\n");
    rondo_loop_on_uncaught(loop, on_uncaught, NULL);
    rondo_emitter_once_error(thermometer, print_error, NULL);
    rondo_emitter_emit_error(thermometer, RONDO_EIO);
    rondo_emitter_emit_error(thermometer, RONDO_EIO);

    rondo_close(thermometer);
    rondo_loop_run(loop, RONDO_RUN_ALL); /* to let `close` happen */
    rondo_loop_free(loop);
    return 0;
}

/* Prints:
it is 25 now
  Ann: 25 degrees
  Bob, once: 25 degrees
  Cleo: 25 degrees
  Cleo: too warm, I am off
  listeners called: 3
it is 19 now
  Ann: 19 degrees
  listeners called: 1
note: a plain event, named by a string
an error with a listener, and the same without
  heard: EIO, input/output error
  uncaught: EIO of the emitter 'kitchen'
*/
