/* SPDX-License-Identifier: MIT
 *
 * rondo compare: what the rounds say together. Pure functions of the results.
 *
 * A *figure* is the median over the rounds, with the lowest and the highest of them as its spread. Two figures are a *tie* unless
 * their spreads are apart and their medians differ by more than TIE_SHARE: what the rounds do not agree on is noise. With a
 * single round there is no spread, so there medians must differ by more than TIE_SHARE_SINGLE.
 *
 * A server *kept up* with a load in a round when next to everything that was asked for was answered (KEPT_RATE), next to nothing
 * failed (KEPT_ERRORS), and p99 stayed below the workload's bound.
 */
#ifndef CMD_COMPARE_SUMMARY_H
#define CMD_COMPARE_SUMMARY_H

#include "results.h"

#define TIE_SHARE 0.05
#define TIE_SHARE_SINGLE 0.20
#define KEPT_RATE 0.95
#define KEPT_ERRORS 0.001
#define DEFAULT_BOUND_US 100000.0
#define BUSY_GENERATOR 0.9

typedef struct figure {
    double median, low, high; /* NOT_MEASURED where rounds is 0 */
    unsigned rounds;          /* that measured it */
} figure;

/* Of values that may be NOT_MEASURED (or no numbers), which do not count. Sorts them. */
figure figure_of(double *values, size_t count);
bool figure_tie(const figure *a, const figure *b);
/* < 0: a is lower, beyond the noise; > 0: higher; 0: a tie, or one of them was not measured. */
int figure_order(const figure *a, const figure *b);

/* Whether the server kept up in this point; bound: workload_bound(). A closed loop asks for what it gets. */
bool point_kept(const point *p, double bound);
double workload_bound(const workload *w);

/* One load on one server, over all rounds. */
typedef struct outcome {
    size_t subject, workload;
    unsigned connections, idle;
    double asked;
    unsigned rounds, kept_rounds;         /* kept_rounds: in which it kept up */
    uint64_t done, errors, refused, late; /* sums */
    figure rate, p50, p75, p90, p99, p999, max;
    figure cpu, voluntary, involuntary, resident, kernel, total_resident, load_busy;
    unsigned threads, processes, fds; /* at most */
    bool kept;                        /* in more than half of the rounds */
    bool generator_limited;           /* did not keep up, and the generator was the busier one */
    const char *reason;               /* the first round's that has one, or NULL */
} outcome;

/* What one server did in one workload. */
typedef struct verdict {
    size_t subject, workload;
    bool measured; /* else the reason says why not, if anybody knows */
    figure
        kept; /* the highest rate that it, and all below it, kept up with; 0: not even the lowest */
    bool kept_all;  /* that was the highest rate that it was asked for: it may be able to do more */
    figure closed;  /* answers/s in closed loop, the most of all loads */
    figure crowd;   /* the most idle connections with which it kept up */
    bool crowd_all; /* that was the largest crowd */
    figure p99, cpu;    /* at the common load, kept up with or not */
    figure memory;      /* bytes per connection, resident, at the most connections */
    const char *reason; /* why it broke off, at the lowest load at which it did; or NULL */
} verdict;

/* What can be said of a workload at all. */
typedef struct scene {
    size_t workload;
    double bound;
    size_t rates, crowds; /* how many different rates were asked for, and sizes of idle crowds */
    double lowest, highest;
    unsigned least_idle, most_idle;
    bool common; /* whether there is a load that at least two servers were given */
    double
        common_asked; /* one that most were given, at the smallest crowd: the highest with which half kept up, or else the lowest */
    unsigned common_connections, common_idle;
    size_t measured; /* subjects */
} scene;

typedef struct summary {
    outcome *outcomes; /* by workload, subject, idle, connections, asked (closed loops last) */
    size_t outcome_count;
    scene *scenes;     /* one for each workload */
    verdict *verdicts; /* workload * subject_count + subject */
    size_t subject_count, workload_count;
} summary;

/* Returns false when out of memory. The results must stay: reasons are theirs. */
bool summarize(const results *run, summary *ret);
void summary_free(summary *self);
const verdict *summary_verdict(const summary *self, size_t w, size_t s);
/* Of that load, or NULL. */
const outcome *summary_outcome(const summary *self, size_t w, size_t s, unsigned connections,
                               unsigned idle, double asked);

#endif
