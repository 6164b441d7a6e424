/* SPDX-License-Identifier: MIT
 *
 * rondo compare: the plan: who is loaded when, with what, for how long.
 */
#include "../cmd/compare/workloads.h"
#include "harness.h"

#include <math.h>
#include <string.h>

enum { WORKLOADS = 11 };

static plan make(plan_wish wish, const char *only) {
    bool wanted[WORKLOADS];
    plan made;
    for (int i = 0; i < WORKLOADS; i++)
        wanted[i] =
            only ? i == workload_find(only) : !wish.quick || workload_rows[i].quick.rounds > 0;
    wish.workloads = wanted;
    CHECK(plan_make(&wish, &made));
    return made;
}

static plan_wish of(size_t subjects, double budget_s) {
    return (plan_wish){.subjects = subjects, .budget_s = budget_s, .rate = -1};
}

TEST(the_workloads_are_whole) {
    int count = 0;
    for (const workload_row *row = workload_rows; row->about.name; row++, count++) {
        CHECK_INT(workload_find(row->about.name), count);
        CHECK(row->about.title && row->about.asks && row->about.bound > 0);
        CHECK(row->connections > 0 && row->kinds[0].target && row->full.rounds > 0);
        /* A fraction is of what a closed loop has found. */
        CHECK(row->full.closed || row->full.fractions[0] == 0);
        CHECK(row->quick.closed || row->quick.fractions[0] == 0);
    }
    CHECK_INT(count, WORKLOADS);
    CHECK_INT(workload_find("nothing"), -1);
}

TEST(rates_are_of_the_series) {
    CHECK_INT(plan_round_rate(1000), 1000);
    CHECK_INT(plan_round_rate(1090), 1000);
    CHECK_INT(plan_round_rate(1110), 1200);
    CHECK_INT(plan_round_rate(96000), 100000);
    CHECK_INT(plan_round_rate(40000), 39000);
    CHECK_INT(plan_round_rate(13.4), 12);
    CHECK_INT(plan_round_rate(0.2), 1);
    CHECK_INT(plan_round_rate(0), 1);
    for (double rate = 10; rate < 1e6; rate *= 1.07)
        CHECK(fabs(plan_round_rate(rate) / rate - 1) < 0.13);
}

TEST(a_plan_takes_the_time_that_there_is) {
    plan full = make(of(12, 580), NULL);
    CHECK(full.seconds > 500 && full.seconds < 640);
    CHECK_INT(full.rounds, 3);
    plan_free(&full);
    plan_wish quick_wish = of(12, 105);
    quick_wish.quick = true;
    plan quick = make(quick_wish, NULL);
    CHECK(quick.seconds > 60 && quick.seconds < 115);
    CHECK_INT(quick.rounds, 2);
    plan_free(&quick);
    /* Few servers get more time each, but not without end. */
    plan small = make(of(1, 1e6), "hello");
    for (size_t i = 0; i < small.count; i++) CHECK_INT(small.shots[i].seconds, 30);
    plan_free(&small);
    /* And many not less than it takes to see something. */
    plan large = make(of(200, 1), "hello");
    for (size_t i = 0; i < large.count; i++) CHECK(large.shots[i].seconds >= 0.25);
    CHECK(large.seconds > 100);
    plan_free(&large);
}

TEST(a_load_that_needs_its_time_gets_it) {
    plan made = make(of(12, 20), "blocker");
    CHECK(made.count > 0);
    for (size_t i = 0; i < made.count; i++) CHECK(made.shots[i].seconds >= 3);
    plan_free(&made);
    plan_wish wish = of(12, 100);
    wish.duration_s = 0.5;
    made = make(wish, "blocker");
    for (size_t i = 0; i < made.count; i++) CHECK(made.shots[i].seconds == 0.5);
    plan_free(&made);
}

TEST(servers_take_turns) {
    plan made = make(of(3, 60), "hello");
    CHECK_INT(made.rounds, 3);
    CHECK_INT(made.count, 3 * 3 * 7);
    for (size_t i = 0; i < made.count; i++) {
        const planned *shot = &made.shots[i];
        CHECK_INT(shot->round, i / 21);
        CHECK_INT(shot->subject, (i % 21 / 7 + shot->round) % 3);
        /* First what the fractions are of; then rising. */
        CHECK_INT(shot->rate, i % 7 == 1 ? 1000 : 0);
        CHECK_INT(shot->fraction > 0, i % 7 > 1);
        if (i % 7 > 2) CHECK(shot->fraction > made.shots[i - 1].fraction);
        CHECK_INT(shot->fresh, i % 7 == 0);
    }
    plan_free(&made);
}

TEST(crowds_grow_and_each_has_its_own_server) {
    plan made = make(of(1, 60), "idle");
    CHECK_INT(made.count, 3);
    for (size_t i = 0; i < 3; i++) {
        CHECK_INT(made.shots[i].idle, i == 0 ? 100 : i == 1 ? 1000 : 10000);
        CHECK_INT(made.shots[i].rate, 1000);
        CHECK(made.shots[i].fresh);
    }
    plan_free(&made);
    plan_wish wish = of(1, 60);
    wish.idle = 77;
    made = make(wish, "idle");
    CHECK_INT(made.count, 1);
    CHECK_INT(made.shots[0].idle, 77);
    plan_free(&made);
    made = make(wish, "hello");
    CHECK_INT(made.shots[0].idle, 0);
    plan_free(&made);
    made = make(of(1, 60), "slow");
    CHECK_INT(made.count, 1);
    CHECK_INT(made.shots[0].slow, 64);
    plan_free(&made);
}

TEST(some_are_measured_once_and_some_can_not_do_all) {
    bool once[3] = {false, true, false}, skip[WORKLOADS * 3] = {false};
    plan_wish wish = of(3, 60);
    wish.once = once;
    wish.skip = skip;
    skip[workload_find("wait") * 3 + 0] = true;
    plan made = make(wish, "wait");
    unsigned count[3] = {0};
    for (size_t i = 0; i < made.count; i++) {
        count[made.shots[i].subject]++;
        if (made.shots[i].subject == 1) CHECK_INT(made.shots[i].round, 0);
    }
    CHECK_INT(count[0], 0);
    CHECK_INT(count[1], 4);
    CHECK_INT(count[2], 3 * 4);
    plan_free(&made);
}

TEST(rounds_are_left_out_before_loads_are_too_short) {
    plan made = make(of(12, 200), "hello");
    CHECK_INT(made.rounds, 3);
    plan_free(&made);
    made = make(of(12, 60), "hello");
    CHECK_INT(made.rounds, 1);
    CHECK(made.seconds < 62);
    plan_free(&made);
}

TEST(what_was_asked_for_takes_the_place_of_the_sweep) {
    plan_wish wish = of(2, 60);
    wish.rate = 700;
    wish.connections = 5;
    wish.rounds = 4;
    plan made = make(wish, "hello");
    CHECK_INT(made.count, 8);
    for (size_t i = 0; i < made.count; i++) {
        CHECK_INT(made.shots[i].rate, 700);
        CHECK_INT(made.shots[i].connections, 5);
        CHECK(made.shots[i].fraction == 0);
        CHECK_INT(made.shots[i].round, i / 2);
    }
    plan_free(&made);
    /* What --quick leaves out is measured when it is asked for by name. */
    wish = of(2, 60);
    wish.quick = true;
    made = make(wish, "cpu");
    CHECK_INT(made.count, 2 * 3);
    CHECK_INT(made.rounds, 1);
    plan_free(&made);
}
