/* SPDX-License-Identifier: MIT
 *
 * For tests of groups: a loop on the virtual clock with one group, members that note their word.
 */
#ifndef TEST_GROUPS_H
#define TEST_GROUPS_H

#include "gate.h"
#include "trace.h"

static rondo_loop *loop;
static uint64_t done_turn;
static rondo_phase done_phase;

/* Start, skipped and done: note a word. */
TRACE_CALLBACK note_group(rondo_group *group, void *arg) { note("%s", (const char *)arg); }
TRACE_CALLBACK note_skipped(rondo_group *group, void *arg) { note("-%s", (const char *)arg); }
TRACE_CALLBACK note_done(rondo_group *group, void *arg) {
    note("done");
    done_turn = rondo_loop_turn(loop);
    done_phase = rondo_loop_phase(loop);
}

__attribute__((unused)) static int64_t answer(rondo_job *job, void *arg) { return 42; }

/* A new loop and a group on it, whose `done` is noted. */
__attribute__((unused)) static rondo_group *begin(unsigned limit) {
    loop = new_virtual_loop();
    rondo_group *group = rondo_group_new(loop, limit);
    CHECK(group != NULL);
    CHECK_INT(rondo_group_on_done(group, note_done, NULL), 0);
    return group;
}

__attribute__((unused)) static void end(rondo_group *group) {
    rondo__loop_verify(loop);
    end_loop(loop);
}

/* Turns that do not sleep. */
__attribute__((unused)) static void step(int turns) {
    for (; turns > 0; turns--) {
        rondo_loop_run(loop, RONDO_RUN_NOWAIT);
        rondo__loop_verify(loop);
    }
}

/* A task for each letter, which is noted when it begins, and with a "-" when it is skipped. */
__attribute__((unused)) static void add_tasks(rondo_group *group, const char *letters) {
    static char words[256][2];
    for (; *letters; letters++) {
        char *word = words[(unsigned char)*letters];
        word[0] = *letters;
        CHECK_INT(rondo_group_run(group, note_group, note_skipped, word), 0);
    }
}

__attribute__((unused)) static bool trace_has(const char *word) { return strstr(trace, word); }

__attribute__((unused)) static void check_figures(rondo_group *group, size_t waiting,
                                                  unsigned active, uint64_t done) {
    rondo_group_figures figures;
    rondo_group_get_figures(group, &figures);
    CHECK_INT(figures.waiting, waiting);
    CHECK_INT(figures.active, active);
    CHECK_INT(figures.done, done);
}

/* A lane of one thread and a queue of one, both taken by jobs that stand. */
typedef struct full_lane {
    rondo_lane *lane;
    gate g;
} full_lane;

__attribute__((unused)) static void fill_a_lane(full_lane *full) {
    full->lane = new_lane(loop, "small", 1, 1);
    gate_init(&full->g);
    for (int i = 0; i < 2; i++) submit_standing(loop, full->lane, &full->g);
}

__attribute__((unused)) static void empty_the_lane(full_lane *full) { gate_open(&full->g, 2); }

/* The done of a group's only job: it does not count as under way any more. */
__attribute__((unused)) static void check_all_over(rondo_loop *self, int64_t result, void *arg) {
    CHECK_INT(result, 42);
    check_figures(arg, 0, 0, 1);
    note("over");
}

#endif
