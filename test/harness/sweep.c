/* SPDX-License-Identifier: MIT
 *
 * Running a scenario again and again with a fault in another place each time. See faults.h.
 */
#include "faults.h"
#include "harness.h"
#include "internal.h"

#include <rondo/error.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RUNS = 20000, PERIODS = 5, FIRST_POINTS = 4, STRIDE = 7 };

/* What the run in progress is to suffer, from FAULTS_BEGIN() on. */
static struct plan {
    faults_calls calls; /* none: nothing */
    int error;          /* 0: short */
    size_t bytes;
    unsigned nth, period; /* one of them is 0 */
} plan;

void faults_arm(bool on) {
    if (!on) {
        faults_stop();
        return;
    }
    faults_watch();
    if (!plan.calls) return;
    if (plan.error && plan.period)
        faults_every(plan.calls, plan.period, plan.error);
    else if (plan.error)
        faults_fail(plan.calls, plan.nth, plan.error);
    else if (plan.period)
        faults_limit(plan.calls, plan.bytes);
    else
        faults_short(plan.calls, plan.nth, plan.bytes);
}

static void name_run(const char *name) {
    char fault[32];
    snprintf(fault, sizeof fault, "%zu bytes", plan.bytes);
    if (plan.error)
        snprintf(fault, sizeof fault, "%s", rondo_error_name(rondo_error_from_errno(plan.error)));
    snprintf(harness_context, sizeof harness_context, " (%s with %s %u: %s)", name,
             plan.period ? "calls of period" : "call", plan.period ? plan.period : plan.nth, fault);
}

/* Returns how many calls were changed. */
static unsigned run_once(void (*scenario)(void), const char *name, unsigned *ret_calls) {
    name_run(name);
    scenario();
    unsigned changed = faults_struck();
    *ret_calls = faults_count(plan.calls);
    faults_clear();
    harness_leaks_check();
    harness_context[0] = '\0';
    return changed;
}

/* Under valgrind a run takes many times as long, so of a long sweep it gets each seventh point behind the
 * first ones, others for another error. All points are for the plain programs and the sanitizers. */
static unsigned point_after(unsigned nth) {
    if (!harness_is_valgrind() || nth < FIRST_POINTS) return nth + 1;
    return nth + (nth == FIRST_POINTS ? 1 + (unsigned)plan.error % STRIDE : STRIDE);
}

void faults_sweep(void (*scenario)(void), const char *name, faults_calls calls, int error,
                  size_t bytes) {
    unsigned changed = 0, made = 0;
    plan = (struct plan){calls, error, bytes, 0, 0};
    do { /* a call that moves no more than so many bytes anyway is not changed, but it counts */
        plan.nth = point_after(plan.nth);
        if (plan.nth >= MAX_RUNS) FAIL("%s makes more and more calls", name);
        changed += run_once(scenario, name, &made);
    } while (made >= plan.nth);
    plan.calls = 0;
    if (changed == 0) FAIL("%s makes no such call", name);
}

void faults_periods(void (*scenario)(void), const char *name, faults_calls calls, int error) {
    unsigned changed = 0, made;
    for (unsigned i = 1; i <= PERIODS; i++) {
        if (i == 1 && (error == EAGAIN || error == EINTR)) continue;
        if (i > 2 && harness_is_valgrind()) break;
        plan = (struct plan){calls, error, error ? 0 : i, 0, i};
        changed += run_once(scenario, name, &made);
    }
    plan.calls = 0;
    if (changed == 0) FAIL("%s makes no such call", name);
}
