/* SPDX-License-Identifier: MIT
 *
 * rondo compare: what the rounds say together. The points of one load are brought together by sorting; everything else is walks over
 * outcomes that stand side by side.
 */
#include "summary.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- Figures --- */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

figure figure_of(double *values, size_t count) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i]) && values[i] >= 0) values[n++] = values[i];
    if (n == 0) return (figure){NOT_MEASURED, NOT_MEASURED, NOT_MEASURED, 0};
    qsort(values, n, sizeof *values, by_value);
    double median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
    return (figure){median, values[0], values[n - 1], (unsigned)n};
}

bool figure_tie(const figure *a, const figure *b) {
    bool single = a->rounds < 2 || b->rounds < 2;
    double larger = fmax(a->median, b->median), apart = fabs(a->median - b->median);
    if (apart <= larger * (single ? TIE_SHARE_SINGLE : TIE_SHARE)) return true;
    return a->low <= b->high && b->low <= a->high;
}

int figure_order(const figure *a, const figure *b) {
    if (a->rounds == 0 || b->rounds == 0 || figure_tie(a, b)) return 0;
    return a->median < b->median ? -1 : 1;
}

/* --- Points --- */

double workload_bound(const workload *w) { return w->bound > 0 ? w->bound : DEFAULT_BOUND_US; }

bool point_kept(const point *p, double bound) {
    double failed = (double)p->errors + (double)p->refused;
    if (p->reason || p->done == 0) return false;
    if (failed > KEPT_ERRORS * ((double)p->done + failed)) return false;
    if (p->asked > 0 && p->rate < KEPT_RATE * p->asked) return false;
    return p->p99 >= 0 && p->p99 <= bound;
}

/* Closed loops stand last. */
static double asked_key(double asked) { return asked > 0 ? asked : INFINITY; }

#define COMPARE(x, y)             \
    do {                          \
        if ((x) < (y)) return -1; \
        if ((x) > (y)) return 1;  \
    } while (0)

static int by_load(const void *a, const void *b) {
    const point *x = *(const point *const *)a, *y = *(const point *const *)b;
    COMPARE(x->workload, y->workload);
    COMPARE(x->subject, y->subject);
    COMPARE(x->idle, y->idle);
    COMPARE(x->connections, y->connections);
    COMPARE(asked_key(x->asked), asked_key(y->asked));
    COMPARE(x->round, y->round);
    return 0;
}

static bool same_load(const point *x, const point *y) {
    return x->workload == y->workload && x->subject == y->subject && x->idle == y->idle &&
           x->connections == y->connections && asked_key(x->asked) == asked_key(y->asked);
}

/* --- Outcomes --- */

typedef struct field {
    size_t from, to; /* offsets in a point and in an outcome */
} field;

#define FIELD(name) \
    { offsetof(point, name), offsetof(outcome, name) }
static const field fields[] = {
    FIELD(rate),
    FIELD(p50),
    FIELD(p75),
    FIELD(p90),
    FIELD(p99),
    FIELD(p999),
    FIELD(max),
    FIELD(cpu),
    FIELD(voluntary),
    FIELD(involuntary),
    FIELD(resident),
    FIELD(kernel),
    FIELD(total_resident),
    FIELD(load_busy),
};

static unsigned more(unsigned a, unsigned b) { return a > b ? a : b; }

/* values: room for count. */
static outcome outcome_of(const point *const *points, size_t count, double bound, double *values) {
    const point *first = points[0];
    outcome o = {.subject = first->subject,
                 .workload = first->workload,
                 .idle = first->idle,
                 .connections = first->connections,
                 .asked = first->asked > 0 ? first->asked : 0,
                 .rounds = (unsigned)count};
    for (size_t i = 0; i < count; i++) {
        const point *p = points[i];
        o.done += p->done, o.errors += p->errors, o.refused += p->refused, o.late += p->late;
        o.threads = more(o.threads, p->threads);
        o.processes = more(o.processes, p->processes);
        o.fds = more(o.fds, p->fds);
        if (point_kept(p, bound)) o.kept_rounds++;
        if (!o.reason) o.reason = p->reason;
    }
    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++) {
        for (size_t i = 0; i < count; i++)
            memcpy(&values[i], (const char *)points[i] + fields[f].from, sizeof *values);
        figure found = figure_of(values, count);
        memcpy((char *)&o + fields[f].to, &found, sizeof found);
    }
    o.kept = o.kept_rounds * 2 > o.rounds;
    o.generator_limited = !o.kept && o.load_busy.median > BUSY_GENERATOR;
    return o;
}

static void find_outcomes(const results *run, const point **sorted, double *values, summary *self) {
    size_t count = run->point_count;
    for (size_t i = 0; i < count; i++) sorted[i] = &run->points[i];
    qsort(sorted, count, sizeof *sorted, by_load);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && same_load(sorted[i], sorted[end]);) end++;
        double bound = workload_bound(&run->workloads[sorted[i]->workload]);
        self->outcomes[self->outcome_count++] = outcome_of(&sorted[i], end - i, bound, values);
    }
}

/* --- Scenes --- */

/* The next larger rate asked for in the workload than `above`, at crowds of `idle`; 0: none. */
static double next_rate(const summary *self, size_t w, unsigned idle, double above) {
    double found = 0;
    for (size_t i = 0; i < self->outcome_count; i++) {
        const outcome *o = &self->outcomes[i];
        if (o->workload != w || o->idle != idle || o->asked <= above) continue;
        if (found == 0 || o->asked < found) found = o->asked;
    }
    return found;
}

static int64_t next_crowd(const summary *self, size_t w, int64_t above) {
    int64_t found = -1;
    for (size_t i = 0; i < self->outcome_count; i++) {
        const outcome *o = &self->outcomes[i];
        if (o->workload != w || o->idle <= above) continue;
        if (found < 0 || o->idle < found) found = o->idle;
    }
    return found;
}

/* How many servers were measured in the workload, with this load or with any (NULL); kept: and kept up. */
static size_t count_servers(const summary *self, size_t w, const outcome *load, bool kept) {
    size_t count = 0, last = SIZE_MAX;
    for (size_t i = 0; i < self->outcome_count; i++) {
        const outcome *o = &self->outcomes[i];
        if (o->workload != w || o->subject == last || o->done == 0 || (kept && !o->kept)) continue;
        if (load && (o->asked != load->asked || o->idle != load->idle ||
                     o->connections != load->connections))
            continue;
        last = o->subject;
        count++;
    }
    return count;
}

/* The load at which servers are compared: one that most of them were given; of such, the highest with which half kept up, or else the
 * lowest. */
static void find_common(const summary *self, size_t w, scene *set) {
    size_t most = 1;
    bool had_half = false;
    for (size_t i = 0; i < self->outcome_count; i++) {
        const outcome *o = &self->outcomes[i];
        if (o->workload != w || o->idle != set->least_idle || o->asked <= 0) continue;
        size_t count = count_servers(self, w, o, false);
        bool half = count_servers(self, w, o, true) * 2 >= count;
        if (count < 2 || count < most) continue;
        if (set->common && count == most) {
            if (had_half && (!half || o->asked <= set->common_asked)) continue;
            if (!had_half && !half && o->asked >= set->common_asked) continue;
        }
        most = count;
        had_half = half;
        set->common = true;
        set->common_asked = o->asked;
        set->common_connections = o->connections;
        set->common_idle = o->idle;
    }
}

static scene scene_of(const summary *self, const results *run, size_t w) {
    scene found = {.workload = w, .bound = workload_bound(&run->workloads[w])};
    for (int64_t idle = -1; (idle = next_crowd(self, w, idle)) >= 0;) {
        if (found.crowds++ == 0) found.least_idle = (unsigned)idle;
        found.most_idle = (unsigned)idle;
    }
    for (double rate = 0; (rate = next_rate(self, w, found.least_idle, rate)) > 0;) {
        if (found.rates++ == 0) found.lowest = rate;
        found.highest = rate;
    }
    found.measured = count_servers(self, w, NULL, false);
    find_common(self, w, &found);
    return found;
}

/* --- Verdicts --- */

/* In one round: the highest rate (or the largest crowd, whatever the rate) with which, and with all below, the server kept up;
 * 0: not even with the lowest; NOT_MEASURED: not tried. *ret_broke: the lowest with which it did not; INFINITY: there is none. */
static double kept_in(const results *run, const scene *set, size_t s, unsigned round, bool crowd,
                      double *ret_broke) {
    double broke = INFINITY, best = NOT_MEASURED;
    for (int pass = 0; pass < 2; pass++) { /* where it broke; then the best below */
        for (size_t i = 0; i < run->point_count; i++) {
            const point *p = &run->points[i];
            if (p->workload != set->workload || p->subject != s || p->round != round) continue;
            if (!crowd && (p->idle != set->least_idle || p->asked <= 0)) continue;
            double at = crowd ? p->idle : p->asked;
            bool kept = point_kept(p, set->bound);
            if (best < 0) best = 0;
            if (pass == 0 && !kept && at < broke) broke = at;
            if (pass == 1 && kept && at < broke && at > best) best = at;
        }
    }
    *ret_broke = broke;
    return best;
}

/* The figure of it over all rounds. Between what it kept up with and where it broke nothing was asked, so its true limit may lie
 * anywhere in between: high is just below where it broke in its best round, or `ceiling` where it never did. */
static figure kept_figure(const results *run, const scene *set, size_t s, bool crowd,
                          unsigned rounds, double ceiling, double *values) {
    double high = 0;
    for (unsigned r = 0; r < rounds; r++) {
        double broke;
        values[r] = kept_in(run, set, s, r, crowd, &broke);
        if (values[r] >= 0) high = fmax(high, isfinite(broke) ? broke * 0.999 : ceiling);
    }
    figure f = figure_of(values, rounds);
    if (f.rounds > 0) f.high = fmax(f.high, high);
    return f;
}

static unsigned round_count(const results *run) {
    unsigned count = 0;
    for (size_t i = 0; i < run->point_count; i++) count = more(count, run->points[i].round + 1);
    return count;
}

/* rounds: how many there are; values: room for as many. */
static verdict verdict_of(const summary *self, const results *run, const scene *set, size_t s,
                          unsigned rounds, double *values) {
    verdict v = {.subject = s, .workload = set->workload};
    v.closed = v.p99 = v.cpu = v.memory = v.kept = v.crowd = figure_of(values, 0);
    unsigned most = 0;
    double highest = 0; /* that it was asked for */
    for (size_t i = 0; i < self->outcome_count; i++) {
        const outcome *o = &self->outcomes[i];
        if (o->workload != set->workload || o->subject != s) continue;
        if (o->done > 0) v.measured = true;
        if (!v.reason) v.reason = o->reason;
        if (o->idle == set->least_idle && o->asked > highest) highest = o->asked;
        if (o->asked <= 0 && o->rate.median > v.closed.median) v.closed = o->rate;
        if (o->resident.rounds > 0 && o->connections + o->idle > most) {
            most = o->connections + o->idle;
            v.memory = o->resident;
        }
    }
    v.kept = kept_figure(run, set, s, false, rounds, v.closed.high, values);
    if (set->crowds > 1) v.crowd = kept_figure(run, set, s, true, rounds, 0, values);
    v.crowd_all = set->crowds > 1 && v.crowd.median >= set->most_idle;
    v.kept_all = v.kept.median > 0 && v.kept.median >= highest;
    const outcome *common = set->common
                                ? summary_outcome(self, set->workload, s, set->common_connections,
                                                  set->common_idle, set->common_asked)
                                : NULL;
    if (common && common->done > 0) v.p99 = common->p99, v.cpu = common->cpu;
    return v;
}

/* --- All of it --- */

bool summarize(const results *run, summary *ret) {
    size_t points = run->point_count, subjects = run->subject_count,
           workloads = run->workload_count;
    unsigned rounds = round_count(run);
    size_t room = points > rounds ? points : rounds;
    summary self = {.subject_count = subjects, .workload_count = workloads};
    const point **sorted = calloc(points + 1, sizeof *sorted);
    double *values = calloc(room + 1, sizeof *values);
    self.outcomes = calloc(points + 1, sizeof *self.outcomes);
    self.scenes = calloc(workloads + 1, sizeof *self.scenes);
    self.verdicts = calloc(workloads * subjects + 1, sizeof *self.verdicts);
    bool fine = sorted && values && self.outcomes && self.scenes && self.verdicts;
    if (fine) find_outcomes(run, sorted, values, &self);
    for (size_t w = 0; fine && w < workloads; w++) {
        self.scenes[w] = scene_of(&self, run, w);
        for (size_t s = 0; s < subjects; s++)
            self.verdicts[w * subjects + s] =
                verdict_of(&self, run, &self.scenes[w], s, rounds, values);
    }
    free(sorted);
    free(values);
    if (fine)
        *ret = self;
    else
        summary_free(&self);
    return fine;
}

void summary_free(summary *self) {
    free(self->outcomes);
    free(self->scenes);
    free(self->verdicts);
    *self = (summary){0};
}

const verdict *summary_verdict(const summary *self, size_t w, size_t s) {
    return &self->verdicts[w * self->subject_count + s];
}

const outcome *summary_outcome(const summary *self, size_t w, size_t s, unsigned connections,
                               unsigned idle, double asked) {
    for (size_t i = 0; i < self->outcome_count; i++) {
        const outcome *o = &self->outcomes[i];
        if (o->workload == w && o->subject == s && o->connections == connections &&
            o->idle == idle && asked_key(o->asked) == asked_key(asked))
            return o;
    }
    return NULL;
}
