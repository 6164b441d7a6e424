/* SPDX-License-Identifier: MIT
 *
 * The timing wheel: a million timers in exact order, and a random model test against the simplest
 * thing that could work, an array that is searched from end to end.
 */
#include "loop/loop.h"
#include "random.h"
#include "trace.h"

#include <stdlib.h>

#define MS UINT64_C(1000000)

/* ---- A million ---- */

static uint64_t fired, last_deadline_ns;
static size_t last_index;

static void in_order(rondo_timer *timer, void *arg) {
    size_t index = (size_t)(uintptr_t)arg;
    uint64_t now_ns = rondo_loop_now_ns(rondo_handle_loop(timer));
    uint64_t deadline_ns = (uint64_t)(uintptr_t)rondo_data(timer);
    CHECK(now_ns == deadline_ns);
    CHECK(deadline_ns > last_deadline_ns ||
          (deadline_ns == last_deadline_ns && index > last_index));
    last_deadline_ns = deadline_ns;
    last_index = index;
    fired++;
}

TEST(a_million_timers_fire_in_exact_order) {
    size_t count = harness_is_slow() ? 20000 : 1000000;
    rondo_loop *loop = new_virtual_loop();
    random_begin(1);
    for (size_t i = 1; i <= count; i++) {
        rondo_timer *timer = rondo_timer_new(loop);
        CHECK(timer != NULL);
        rondo_timer_start(timer, below(20000), 0, in_order, (void *)(uintptr_t)i);
        rondo_set_data(timer, (void *)(uintptr_t)rondo_timer_deadline_ns(timer));
    }
    CHECK_INT(rondo_loop_run(loop, RONDO_RUN_ALL), 0);
    CHECK_INT(fired, count);
    end_loop(loop);
}

/* ---- The model ---- */

enum { ALARMS = 150 };

/* What each alarm should be. */
static struct model {
    rondo__alarm alarm;
    bool set;
    uint64_t deadline_ns, order;
    bool due; /* to be fired in this phase, unless it is meddled with */
} alarms[ALARMS];

static rondo_loop *loop;
static uint64_t now_ns, orders, seed, step;

#define CHECK_STEP(cond)                                                                           \
    ((cond) ? (void)0                                                                              \
            : FAIL("seed %llu, step %llu: %s", (unsigned long long)seed, (unsigned long long)step, \
                   #cond))

static void set(struct model *model, uint64_t deadline_ns) {
    rondo__alarm_set(loop, &model->alarm, deadline_ns);
    model->set = true;
    model->deadline_ns = deadline_ns;
    model->order = ++orders;
    model->due = false;
}

static void clear(struct model *model) {
    rondo__alarm_clear(&model->alarm);
    model->set = model->due = false;
}

/* Of every size, from nanoseconds to centuries. */
static uint64_t random_distance(void) {
    uint64_t distance = next_random() >> below(64);
    return distance > UINT64_MAX / 4 ? distance >> 4 : distance;
}

static void do_something(void) {
    struct model *model = &alarms[below(ALARMS)];
    switch (below(8)) {
    case 0: set(model, now_ns); break;
    case 1: set(model, now_ns - (now_ns > 1000 ? below(1000) : 0)); break;
    case 2:
    case 3: set(model, now_ns + random_distance()); break;
    case 4: /* ahead */
        if (model->set) set(model, model->deadline_ns + (random_distance() >> 3));
        break;
    case 5: /* nearer */
        if (model->set && model->deadline_ns > now_ns)
            set(model, now_ns + below(model->deadline_ns - now_ns));
        break;
    case 6: set(model, now_ns + below(200 * MS)); break;
    case 7: clear(model); break;
    }
}

static bool before(const struct model *a, const struct model *b) {
    return a->deadline_ns < b->deadline_ns ||
           (a->deadline_ns == b->deadline_ns && a->order < b->order);
}

static struct model *first(bool due) {
    struct model *best = NULL;
    for (int i = 0; i < ALARMS; i++)
        if (due ? alarms[i].due : alarms[i].set)
            if (!best || before(&alarms[i], best)) best = &alarms[i];
    return best;
}

static void fire(rondo_loop *self, rondo__alarm *alarm) {
    struct model *model = RONDO__OF(alarm, struct model, alarm);
    CHECK_STEP(model == first(true));
    CHECK_STEP(!rondo__alarm_is_set(alarm));
    CHECK_STEP(self->ready_ns == model->deadline_ns);
    model->set = model->due = false;
    fired++;
    for (uint64_t n = below(4); n > 0; n--) do_something(); /* also to those that are due */
}

static void fire_due(void) {
    for (int i = 0; i < ALARMS; i++)
        alarms[i].due = alarms[i].set && alarms[i].deadline_ns <= now_ns;
    rondo__wheel_fire(loop, &loop->wheel, now_ns);
    CHECK_STEP(first(true) == NULL);
    rondo__wheel_verify(&loop->wheel);
    for (int i = 0; i < ALARMS; i++) {
        CHECK_STEP(alarms[i].set == rondo__alarm_is_set(&alarms[i].alarm));
        if (alarms[i].set) CHECK_STEP(alarms[i].deadline_ns == alarms[i].alarm.deadline_ns);
    }
}

/* The time to sleep until: never too late, and not too early for ever. */
static void check_next(void) {
    struct model *next = first(false);
    uint64_t next_ns = rondo__wheel_next(&loop->wheel);
    CHECK_STEP(next || next_ns == UINT64_MAX || !loop->wheel.stale);
    if (next) CHECK_STEP(next_ns <= next->deadline_ns);
    rondo__wheel_verify(&loop->wheel);
}

static void begin(uint64_t start_ns) {
    loop = rondo_loop_new();
    CHECK_INT(rondo_loop_use_virtual_clock(loop, start_ns), 0);
    now_ns = start_ns;
    orders = fired = step = 0;
    for (int i = 0; i < ALARMS; i++) {
        alarms[i] = (struct model){.set = false};
        rondo__alarm_init(&alarms[i].alarm, fire);
    }
}

/* Sleeps as the loop does until everything has fired; few sleeps may end for nothing. */
static void drain(void) {
    uint64_t idle = 0, most = 10 * ALARMS;
    for (struct model *next; (next = first(false)); step++) {
        uint64_t fired_before = fired, next_ns = rondo__wheel_next(&loop->wheel);
        CHECK_STEP(next_ns <= next->deadline_ns);
        if (next_ns > now_ns) now_ns = next_ns;
        for (int i = 0; i < ALARMS; i++)
            alarms[i].due = alarms[i].set && alarms[i].deadline_ns <= now_ns;
        random_state = 0; /* from here on callbacks add nothing: see random.h */
        rondo__wheel_fire(loop, &loop->wheel, now_ns);
        if (fired == fired_before) CHECK_STEP(++idle <= most);
    }
    CHECK(rondo__wheel_next(&loop->wheel) == UINT64_MAX || !loop->wheel.stale);
}

TEST(random_alarms_fire_as_a_simple_model_says) {
    uint64_t steps = harness_is_slow() ? 300 : 8000, total = 0;
    for (seed = 1; seed <= 8; seed++) {
        random_begin(seed);
        begin(seed % 2 ? next_random() >> 20 : 0);
        for (step = 0; step < steps; step++) {
            for (uint64_t n = below(6); n > 0; n--) do_something();
            check_next();
            uint64_t next_ns = rondo__wheel_next(&loop->wheel), by = below(4);
            if (by == 0 && next_ns < UINT64_MAX / 2 && next_ns > now_ns) now_ns = next_ns;
            if (by == 1) now_ns += below(5 * MS);
            if (by == 2 && now_ns < UINT64_MAX / 4) now_ns += random_distance() >> 8;
            fire_due();
        }
        CHECK(fired > steps / 8);
        total += fired;
        drain();
        rondo_loop_free(loop);
    }
    CHECK(total > 10000 || harness_is_slow());
}

/* ---- Corners ---- */

/* Deadlines around each boundary of each level's slots, set from a time around one. */
TEST(deadlines_around_slot_boundaries_are_exact) {
    static const int64_t offsets[] = {-2, -1, 0, 1, 2};
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int i = 0; i < 5; i++) {
            uint64_t start_ns = (UINT64_C(1) << bit) + (uint64_t)offsets[i];
            if (start_ns > UINT64_MAX / 2) continue;
            begin(start_ns);
            unsigned used = 0;
            for (unsigned far = 0; far < 62; far += 2)
                for (int j = 0; j < 5 && used < ALARMS; j++) {
                    uint64_t deadline_ns = (UINT64_C(1) << far) + (uint64_t)offsets[j];
                    if (deadline_ns < UINT64_MAX / 2) set(&alarms[used++], start_ns + deadline_ns);
                }
            drain();
            CHECK_INT(fired, used);
            rondo_loop_free(loop);
        }
    }
}

/* A crowd in one wide slot: looking for the earliest is bounded, and nothing is late for it. */
TEST(many_alarms_in_one_far_slot_fire_on_time) {
    begin(1000 * MS);
    for (int i = 0; i < ALARMS; i++)
        set(&alarms[i], UINT64_C(86400000) * MS + (uint64_t)((i * 37) % ALARMS) * 1000);
    drain();
    CHECK_INT(fired, ALARMS);
    rondo_loop_free(loop);
}

TEST(a_delay_counts_from_the_clock_while_the_loop_does_not_run) {
    loop = rondo_loop_new();
    rondo__alarm alarm;
    rondo__alarm_init(&alarm, fire);
    uint64_t before_ns = rondo_loop_now_ns(loop);
    loop->now_ns = 1; /* it has not looked at it for long */
    rondo__alarm_set_in_ms(loop, &alarm, 60000);
    CHECK(alarm.deadline_ns >= before_ns + 60000 * MS);
    for (uint64_t ms = UINT64_MAX; ms > UINT64_MAX / MS; ms -= ms / 4) {
        rondo__alarm_set_in_ms(loop, &alarm, ms); /* to the end of the clock */
        CHECK(alarm.deadline_ns == RONDO__ALARM_UNSET - 1);
    }
    rondo__alarm_clear(&alarm);
    rondo_loop_free(loop);
}

TEST(an_alarm_that_is_cleared_or_pushed_costs_one_idle_wake_up_at_most) {
    begin(1000 * MS);
    set(&alarms[0], 1010 * MS);
    set(&alarms[1], 5000 * MS);
    set(&alarms[2], 1020 * MS);
    clear(&alarms[2]);
    set(&alarms[0], 9000 * MS);
    CHECK(rondo__wheel_next(&loop->wheel) == 1010 * MS);
    now_ns = 1010 * MS;
    fire_due();
    CHECK_INT(fired, 0);
    CHECK(loop->wheel.time_tick == now_ns >> 20); /* what is set now lies as low as it can */
    CHECK(rondo__wheel_next(&loop->wheel) == 5000 * MS);
    clear(&alarms[0]), clear(&alarms[1]);
    now_ns = 5000 * MS;
    fire_due();
    CHECK(rondo__wheel_next(&loop->wheel) == UINT64_MAX);
    rondo_loop_free(loop);
}
