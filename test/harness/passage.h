/* SPDX-License-Identifier: MIT
 *
 * What passes between a replaced call (faults_calls.c) and the rules (faults.c).
 */
#ifndef HARNESS_PASSAGE_H
#define HARNESS_PASSAGE_H

#include "faults.h"

#include <errno.h>
#include <stdatomic.h>

/* One call on its way. */
typedef struct passage {
    faults_entry entry;
    bool on;       /* the layer was on when it began */
    bool limited;  /* entry.size was made smaller */
    bool stands;   /* it waited: faults_stand() */
    bool answered; /* by a rule, instead of the kernel: entry.value, entry.error */
} passage;

extern atomic_bool faults_are_on;

void faults_decide(passage *p);
void faults_record(passage *p, long long value);

/* Whether the call must not be made, because a rule has an answer: faults_answer(). */
static inline bool faults_enter(passage *p) {
    if (!atomic_load_explicit(&faults_are_on, memory_order_relaxed)) return false;
    faults_decide(p);
    return p->answered;
}

/* Hands through what the real call returned, which set errno if it failed. */
static inline long long faults_leave(passage *p, long long value) {
    if (p->on) faults_record(p, value);
    return value;
}

static inline long long faults_answer(passage *p) {
    faults_record(p, p->entry.value);
    if (p->entry.error) errno = p->entry.error;
    return p->entry.value;
}

#define PASSAGE(name, fd_, size_, pieces_, flags_)       \
    passage p = {.entry = {.index = FAULTS_INDEX_##name, \
                           .fd = (fd_),                  \
                           .size = (size_),              \
                           .pieces = (int)(pieces_),     \
                           .flags = (flags_)}}

/* The usual body: the rule's answer or the real call's. */
#define THROUGH(type, call) \
    return (type)(faults_enter(&p) ? faults_answer(&p) : faults_leave(&p, (call)))

#endif
