/* SPDX-License-Identifier: MIT
 *
 * rondo compare: the plan is made before anything runs, so that it is known how long it will take. The time that there is, less
 * what starting and opening costs, is dealt out evenly.
 *
 * A server is started anew for each workload and round, warmed for a moment, and then takes that workload's loads from the
 * lightest to the heaviest: what an earlier workload has left in its memory is no part of what is measured, and what the first
 * requests cost isn't either.
 */
#include "workloads.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

/* What comes on top of a load's own seconds; measured on a machine of two cores. */
#define START_S 0.25
#define OPEN_S 0.12
#define OPEN_EACH_S 0.0002
#define SECONDS_LEAST 0.25
#define ROUNDS_MOST 3
#define SECONDS_MOST 30.0

double plan_round_rate(double rate) {
    static const double series[] = {10, 12, 15, 18, 22, 27, 33, 39, 47, 56, 68, 82, 100};
    if (!(rate > 0)) return 1;
    double scale = pow(10, floor(log10(rate)) - 1), best = series[0] * scale;
    for (size_t i = 1; i < sizeof series / sizeof *series; i++)
        if (fabs(series[i] * scale - rate) < fabs(best - rate)) best = series[i] * scale;
    return best < 1 ? 1 : round(best);
}

static planned *add(plan *self, const planned *like) {
    if (self->count % 64 == 0) {
        planned *more = realloc(self->shots, (self->count + 64) * sizeof *more);
        if (!more) return NULL;
        self->shots = more;
    }
    self->shots[self->count] = *like;
    return &self->shots[self->count++];
}

/* All loads of a workload on a server in a round. */
static bool add_session(plan *self, const plan_wish *wish, const workload_row *row,
                        const extent *size, planned one) {
    size_t begin = self->count;
    one.slow = row->slow;
    one.connections = wish->connections ? wish->connections : row->connections;
    for (unsigned crowd = 0; crowd == 0 || size->crowds[crowd]; crowd++) {
        one.idle = size->crowds[crowd];
        one.fraction = 0;
        if (wish->rate >= 0) {
            one.rate = wish->rate;
            if (!add(self, &one)) return false;
            continue;
        }
        one.rate = 0;
        if (size->closed && !add(self, &one)) return false;
        one.rate = row->rate;
        if (row->rate > 0 && !add(self, &one)) return false;
        one.rate = 0;
        for (unsigned i = 0; size->fractions[i] > 0; i++) {
            one.fraction = size->fractions[i];
            if (!add(self, &one)) return false;
        }
        if (crowd + 1 == CROWDS_MOST) break;
    }
    for (size_t i = begin; i < self->count; i++) {
        self->shots[i].fresh = i == begin || self->shots[i].idle > 0;
        self->shots[i].seconds = size->least_seconds;
    }
    return true;
}

/* Sets how long each load lasts, and all of it. */
static void deal_out(plan *self, const plan_wish *wish) {
    double fixed = 0, least = 0, each = wish->duration_s;
    for (size_t i = 0; i < self->count; i++) {
        const planned *one = &self->shots[i];
        fixed += OPEN_S + OPEN_EACH_S * (one->connections + one->idle) + (one->fresh ? START_S : 0);
    }
    /* Those that need more than the others get it first. */
    if (each <= 0) {
        size_t rest = self->count;
        each = (wish->budget_s - fixed) / (double)(rest ? rest : 1);
        for (int pass = 0; pass < 3; pass++) {
            least = 0;
            rest = 0;
            for (size_t i = 0; i < self->count; i++) {
                if (self->shots[i].seconds > each)
                    least += self->shots[i].seconds;
                else
                    rest++;
            }
            if (rest) each = (wish->budget_s - fixed - least) / (double)rest;
        }
        each = fmin(fmax(each, SECONDS_LEAST), SECONDS_MOST);
    }
    self->seconds = fixed;
    for (size_t i = 0; i < self->count; i++) {
        planned *one = &self->shots[i];
        one->seconds = wish->duration_s > 0 ? each : fmax(each, one->seconds);
        self->seconds += one->seconds;
    }
}

/* Where it is asked for by name, a workload that --quick leaves out is measured as a whole, once. */
static extent extent_of(const plan_wish *wish, const workload_row *row, unsigned most) {
    extent size = wish->quick ? row->quick : row->full;
    if (size.rounds == 0) {
        size = row->full;
        size.rounds = 1;
    }
    if (size.rounds > most) size.rounds = most;
    if (wish->rounds) size.rounds = wish->rounds;
    if (wish->idle && size.crowds[0]) {
        size.crowds[0] = wish->idle;
        size.crowds[1] = 0;
    }
    return size;
}

static bool add_round(plan *self, const plan_wish *wish, unsigned round, unsigned most) {
    for (size_t w = 0; workload_rows[w].about.name; w++) {
        extent size = extent_of(wish, &workload_rows[w], most);
        if (!wish->workloads[w] || round >= size.rounds) continue;
        for (size_t i = 0; i < wish->subjects; i++) {
            planned one = {.subject = (i + round) % wish->subjects, .workload = w, .round = round};
            if (wish->skip && wish->skip[w * wish->subjects + one.subject]) continue;
            if (round > 0 && wish->once && wish->once[one.subject]) continue;
            if (!add_session(self, wish, &workload_rows[w], &size, one)) return false;
            self->rounds = round + 1;
        }
    }
    return true;
}

/* Fewer rounds, rather than loads that are too short to say anything. */
bool plan_make(const plan_wish *wish, plan *ret) {
    for (unsigned most = ROUNDS_MOST; most > 0; most--) {
        *ret = (plan){.shots = NULL};
        for (unsigned round = 0, before = UINT_MAX; ret->rounds != before; round++) {
            before = ret->rounds;
            if (add_round(ret, wish, round, most)) continue;
            plan_free(ret);
            return false;
        }
        deal_out(ret, wish);
        if (wish->rounds || wish->duration_s > 0 || ret->seconds <= wish->budget_s * 1.02 ||
            most == 1)
            break;
        plan_free(ret);
    }
    return true;
}

void plan_free(plan *self) {
    free(self->shots);
    *self = (plan){.shots = NULL};
}
