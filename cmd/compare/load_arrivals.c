/* SPDX-License-Identifier: MIT
 *
 * rondo compare: when requests are to be sent, and which. Both come from random numbers with a seed, so that all servers get the
 * same requests at the same times. The times are those of a Poisson process: with equal gaps a server that is half busy would
 * never have two requests at once, which is not what a service sees. But how many there are is fixed, so that what was asked for
 * is exactly that: each gap is drawn from those that a Poisson process has when so many are still to come in the time that is left.
 */
#include "load.h"

#include <math.h>

/* splitmix64: small, and good enough for gaps. */
static uint64_t random_next(arrivals *self) {
    uint64_t z = self->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* Above 0, up to 1. */
static double random_part(arrivals *self) {
    return (double)((random_next(self) >> 11) + 1) / 9007199254740992.0;
}

void arrivals_init(arrivals *self, const load_task *task) {
    self->state = task->seed;
    self->at_ns = self->end_ns = 0;
    self->all = self->left = 0;
    self->warming = false;
    self->number = 0;
    self->task = task;
    self->weight = 0;
    for (size_t i = 0; i < task->kind_count; i++) self->weight += task->kinds[i].weight;
}

void arrivals_begin(arrivals *self, uint64_t now_ns) {
    self->at_ns = (double)now_ns;
    self->end_ns = (double)now_ns + self->task->seconds * 1e9;
    self->left = self->all = (uint64_t)(self->task->rate * self->task->seconds + 0.5);
}

uint64_t arrivals_next(arrivals *self) {
    if (self->left == 0) return UINT64_MAX;
    /* The first of so many points, anywhere in what is left. */
    double part = pow(random_part(self), 1 / (double)self->left);
    self->at_ns = self->end_ns - (self->end_ns - self->at_ns) * part;
    self->left--;
    return (uint64_t)self->at_ns;
}

unsigned arrivals_kind(arrivals *self) {
    const load_task *task = self->task;
    uint64_t number = self->number++;
    for (unsigned i = 0; i < task->kind_count; i++) {
        /* Not the first ones, which would keep it from having any others; and one where there are not as many. */
        uint64_t every = task->kinds[i].every;
        if (self->all != 0 && every > self->all) every = self->all;
        if (every != 0 && !self->warming && number % every == every * 3 / 10) return i;
    }
    if (task->kind_count == 1 || self->weight == 0) return 0;
    unsigned drawn = (unsigned)(random_next(self) % self->weight);
    for (unsigned i = 0; i < task->kind_count; i++) {
        if (drawn < task->kinds[i].weight) return i;
        drawn -= task->kinds[i].weight;
    }
    return 0;
}
