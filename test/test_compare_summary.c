/* SPDX-License-Identifier: MIT
 *
 * What rondo compare concludes from its rounds: medians, ties, what a server kept up with, which load is common.
 */
#include "../cmd/compare/summary.h"

#include "compare_sample.h"
#include "harness.h"

#include <math.h>

static figure figure3(double a, double b, double c) {
    double values[] = {a, b, c};
    return figure_of(values, 3);
}

TEST(figure_is_the_median_with_lowest_and_highest) {
    figure f = figure3(30, 10, 20);
    CHECK(f.median == 20 && f.low == 10 && f.high == 30);
    CHECK_INT(f.rounds, 3);
    double two[] = {10, 20};
    f = figure_of(two, 2);
    CHECK(f.median == 15);
}

TEST(figure_leaves_out_what_was_not_measured) {
    double values[] = {NOT_MEASURED, NAN, 7, INFINITY, 9};
    figure f = figure_of(values, 5);
    CHECK_INT(f.rounds, 2);
    CHECK(f.median == 8 && f.low == 7 && f.high == 9);
    double zero[] = {0, 0};
    CHECK_INT(figure_of(zero, 2).rounds, 2); /* nothing is something */
    f = figure3(NOT_MEASURED, NOT_MEASURED, NOT_MEASURED);
    CHECK_INT(f.rounds, 0);
    CHECK(f.median == NOT_MEASURED && f.low == NOT_MEASURED && f.high == NOT_MEASURED);
}

TEST(overlapping_rounds_tie) {
    figure a = figure3(100, 110, 130), b = figure3(120, 140, 150), c = figure3(131, 140, 150);
    CHECK(figure_tie(&a, &b) && figure_tie(&b, &a));
    CHECK(!figure_tie(&a, &c) && !figure_tie(&c, &a));
    CHECK_INT(figure_order(&a, &c), -1);
    CHECK_INT(figure_order(&c, &a), 1);
    CHECK_INT(figure_order(&a, &b), 0);
}

TEST(rounds_that_touch_tie) {
    figure a = figure3(100, 110, 130), b = figure3(130, 140, 150);
    CHECK(figure_tie(&a, &b) && figure_tie(&b, &a));
}

TEST(near_medians_tie_however_steady) {
    figure a = figure3(100, 100, 100), b = figure3(104, 104, 104), c = figure3(107, 107, 107);
    CHECK(figure_tie(&a, &b));
    CHECK(!figure_tie(&a, &c));
}

TEST(a_single_round_needs_more) {
    double x[] = {100}, y[] = {120}, z[] = {130};
    figure a = figure_of(x, 1), b = figure_of(y, 1), c = figure_of(z, 1),
           steady = figure3(120, 120, 120);
    CHECK(figure_tie(&a, &b));
    CHECK(!figure_tie(&a, &c));
    CHECK(figure_tie(&a, &steady) && figure_tie(&steady, &a));
}

TEST(what_was_not_measured_is_behind_nobody) {
    figure none = figure3(NOT_MEASURED, NOT_MEASURED, NOT_MEASURED), a = figure3(1, 1, 1);
    CHECK_INT(figure_order(&none, &a), 0);
    CHECK_INT(figure_order(&a, &none), 0);
}

TEST(keeping_up) {
    results run;
    sample_begin(&run, 1, 0);
    point p = *sample_point(&run, 0, 0, 0, 1000);
    CHECK(point_kept(&p, 50000));
    CHECK(point_kept(&p, 400) && !point_kept(&p, 399)); /* p99 */
    p.rate = 950;
    CHECK(point_kept(&p, 50000));
    p.rate = 949;
    CHECK(!point_kept(&p, 50000));
    p.asked = 0; /* a closed loop has what it gets */
    CHECK(point_kept(&p, 50000));
    p.reason = "died";
    CHECK(!point_kept(&p, 50000));
    p = run.points[0], p.done = 9990, p.errors = 10; /* 1 in 1,000 */
    CHECK(point_kept(&p, 50000));
    p.refused = 1;
    CHECK(!point_kept(&p, 50000));
    p = run.points[0], p.done = 0;
    CHECK(!point_kept(&p, 50000));
    p = run.points[0], p.p99 = NOT_MEASURED;
    CHECK(!point_kept(&p, 50000));
    sample_end(&run);
}

TEST(bound_of_a_workload) {
    workload w = {.bound = 0};
    CHECK(workload_bound(&w) == 100000);
    w.bound = 20;
    CHECK(workload_bound(&w) == 20);
}

/* In round r of workload 0: kept up with all rates up to the given one. */
static void add_sweep(results *run, size_t s, unsigned r, double kept) {
    for (double asked = 1000; asked <= 8000; asked *= 2)
        if (asked > kept)
            sample_point(run, 0, s, r, asked)->p99 = 1e6;
        else
            sample_point(run, 0, s, r, asked);
}

TEST(rounds_of_a_load_come_together) {
    results run;
    summary all;
    sample_begin(&run, 2, 0);
    for (unsigned r = 0; r < 3; r++) {
        sample_point(&run, 0, 1, r, 2000)->p50 = 10 + r;
        sample_point(&run, 0, 0, r, 2000)->threads = 3 - r;
        sample_point(&run, 0, 1, r, 1000)->errors = r;
        sample_point(&run, 0, 1, r, 0);
        sample_point(&run, 1, 1, r, 2000);
        sample_point(&run, 0, 1, r, 2000)->idle = 5;
        sample_point(&run, 0, 1, r, 2000)->connections = 65;
    }
    run.points[7].reason = "second";
    CHECK(summarize(&run, &all));
    CHECK_INT(all.outcome_count, 7);
    const outcome *o = summary_outcome(&all, 0, 1, 64, 0, 2000);
    CHECK_INT(o->rounds, 3);
    CHECK(o->p50.median == 11 && o->p50.low == 10 && o->p50.high == 12);
    CHECK_STR(o->reason, "second");
    CHECK_INT(o->kept_rounds, 2);
    CHECK(o->kept);
    CHECK_INT(o->done, 3 * 4000);
    CHECK_INT(summary_outcome(&all, 0, 0, 64, 0, 2000)->threads, 3);
    CHECK_INT(summary_outcome(&all, 0, 1, 64, 0, 1000)->errors, 3);
    CHECK(summary_outcome(&all, 0, 1, 64, 0, 0)->asked == 0);
    CHECK(!summary_outcome(&all, 0, 1, 64, 0, 3000));
    /* In the order in which they are shown. */
    CHECK_INT(all.outcomes[0].subject, 0);
    CHECK(all.outcomes[1].asked == 1000 && all.outcomes[2].asked == 2000 &&
          all.outcomes[3].asked == 0);
    CHECK_INT(all.outcomes[4].connections, 65);
    CHECK_INT(all.outcomes[5].idle, 5);
    CHECK_INT(all.outcomes[6].workload, 1);
    summary_free(&all);
    sample_end(&run);
}

TEST(a_load_is_kept_in_more_than_half_of_the_rounds) {
    results run;
    summary all;
    sample_begin(&run, 1, 0);
    for (unsigned r = 0; r < 4; r++) sample_point(&run, 0, 0, r, 1000)->p99 = r < 2 ? 1e7 : 100;
    CHECK(summarize(&run, &all));
    CHECK_INT(all.outcomes[0].kept_rounds, 2);
    CHECK(!all.outcomes[0].kept);
    summary_free(&all);
    sample_end(&run);
}

TEST(who_was_slow_when_it_broke) {
    results run;
    summary all;
    sample_begin(&run, 1, 0);
    sample_point(&run, 0, 0, 0, 1000)->load_busy = 0.95; /* kept up: the figure is the server's */
    point *p = sample_point(&run, 0, 0, 0, 2000);
    p->p99 = 1e7, p->load_busy = 0.95;
    p = sample_point(&run, 0, 0, 0, 3000);
    p->p99 = 1e7, p->load_busy = 0.85;
    CHECK(summarize(&run, &all));
    CHECK(!all.outcomes[0].generator_limited);
    CHECK(all.outcomes[1].generator_limited);
    CHECK(!all.outcomes[2].generator_limited);
    summary_free(&all);
    sample_end(&run);
}

TEST(kept_is_the_highest_rate_with_all_below) {
    results run;
    summary all;
    sample_begin(&run, 3, 0);
    for (unsigned r = 0; r < 3; r++) {
        add_sweep(&run, 0, r, r == 1 ? 4000 : 2000);
        add_sweep(&run, 1, r, 8000);
        add_sweep(&run, 2, r, 0);
    }
    for (size_t i = 0; i < run.point_count; i++) /* a hole: what is above it does not count */
        if (run.points[i].subject == 1 && run.points[i].asked == 2000 && run.points[i].round == 2)
            run.points[i].p99 = 1e7;
    CHECK(summarize(&run, &all));
    const verdict *v = summary_verdict(&all, 0, 0);
    CHECK(v->kept.median == 2000 && v->kept.low == 2000);
    CHECK(fabs(v->kept.high - 7992) < 1); /* just below where its best round broke */
    CHECK(!v->kept_all && v->measured);
    v = summary_verdict(&all, 0, 1);
    CHECK(v->kept.median == 8000 && v->kept.low == 1000 && v->kept.high == 8000);
    CHECK(v->kept_all);
    v = summary_verdict(&all, 0, 2);
    CHECK(v->kept.median == 0 && fabs(v->kept.high - 999) < 1);
    CHECK(!v->kept_all && v->measured);
    v = summary_verdict(&all, 1, 0); /* nothing was tried */
    CHECK_INT(v->kept.rounds, 0);
    CHECK(!v->measured);
    summary_free(&all);
    sample_end(&run);
}

TEST(who_never_broke_may_do_as_much_as_in_closed_loop) {
    results run;
    summary all;
    sample_begin(&run, 1, 0);
    add_sweep(&run, 0, 0, 8000);
    sample_point(&run, 0, 0, 0, 0)->rate = 9000;
    CHECK(summarize(&run, &all));
    const verdict *v = summary_verdict(&all, 0, 0);
    CHECK(v->kept.median == 8000 && v->kept.high == 9000);
    CHECK(v->closed.median == 9000);
    summary_free(&all);
    sample_end(&run);
}

TEST(crowds) {
    results run;
    summary all;
    sample_begin(&run, 2, 0);
    for (unsigned idle = 100; idle <= 10000; idle *= 10)
        for (size_t s = 0; s < 2; s++) {
            point *p = sample_point(&run, 3, s, 0, 200);
            p->idle = idle, p->resident = idle;
            if (s == 1 && idle == 10000) p->done = 0, p->reason = "no more";
        }
    CHECK(summarize(&run, &all));
    CHECK_INT(all.scenes[3].crowds, 3);
    CHECK_INT(all.scenes[3].least_idle, 100);
    CHECK_INT(all.scenes[3].most_idle, 10000);
    const verdict *v = summary_verdict(&all, 3, 0);
    CHECK(v->crowd.median == 10000 && v->crowd_all && v->memory.median == 10000);
    v = summary_verdict(&all, 3, 1);
    CHECK(v->crowd.median == 1000 && v->crowd.high < 10000 && !v->crowd_all);
    CHECK_STR(v->reason, "no more");
    CHECK_INT(summary_verdict(&all, 0, 0)->crowd.rounds, 0);
    summary_free(&all);
    sample_end(&run);
}

TEST(the_common_load_is_the_one_that_most_were_given) {
    results run;
    summary all;
    sample_begin(&run, 3, 0);
    for (size_t s = 0; s < 3; s++) {
        point *p = sample_point(&run, 0, s, 0, 500);
        p->p99 = s == 2 ? 1e7 : 300, p->cpu = 7;
        sample_point(&run, 0, s, 0, 5000 + 1000 * (double)s);
        sample_point(&run, 0, s, 0, 0);
        if (s < 2) sample_point(&run, 0, s, 0, 4000);
        sample_point(&run, 1, s, 0, 5000 + 1000 * (double)s); /* none is common */
    }
    CHECK(summarize(&run, &all));
    CHECK(all.scenes[0].common && all.scenes[0].common_asked == 500);
    CHECK_INT(all.scenes[0].rates, 5);
    CHECK(all.scenes[0].lowest == 500 && all.scenes[0].highest == 7000);
    CHECK_INT(all.scenes[0].measured, 3);
    CHECK(summary_verdict(&all, 0, 2)->p99.median ==
          1e7); /* that it did not keep up is no reason to hide it */
    CHECK(summary_verdict(&all, 0, 0)->cpu.median == 7);
    CHECK(!all.scenes[1].common && all.scenes[1].common_asked == 0);
    CHECK_INT(summary_verdict(&all, 1, 0)->p99.rounds, 0);
    CHECK_INT(all.scenes[2].measured, 0);
    summary_free(&all);
    sample_end(&run);
}

/* Of rates that all were given the highest that still says something. */
TEST(the_common_load_is_kept_by_half_where_there_is_one) {
    results run;
    summary all;
    sample_begin(&run, 4, 0);
    for (size_t s = 0; s < 4; s++) {
        add_sweep(&run, s, 0, s < 2 ? 4000 : s == 2 ? 8000 : 1000);
        for (double asked = 1000; asked <= 4000; asked *= 2)
            sample_point(&run, 1, s, 0, asked)->p99 = 1e7;
    }
    CHECK(summarize(&run, &all));
    CHECK(all.scenes[0].common_asked == 4000);
    CHECK(all.scenes[1].common && all.scenes[1].common_asked == 1000);
    summary_free(&all);
    sample_end(&run);
}

TEST(nothing_at_all) {
    results run = {0};
    summary all;
    CHECK(summarize(&run, &all));
    CHECK_INT(all.outcome_count, 0);
    summary_free(&all);
    sample_begin(&run, SAMPLE_MODELS, 0);
    CHECK(summarize(&run, &all));
    CHECK(!summary_verdict(&all, 0, 3)->measured);
    summary_free(&all);
    sample_end(&run);
}
