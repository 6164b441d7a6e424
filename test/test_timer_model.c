/* SPDX-License-Identifier: MIT
 *
 * rondo_timer against a model of it, an array that is searched from end to end: whatever callbacks
 * start, re-arm, stop and close, the one that runs next is the one that the model says. The same for
 * the wheel below it is in test_timer_wheel.c.
 */
#include "random.h"
#include "trace.h"

#define MS UINT64_C(1000000)
enum { TIMERS = 60 };

static struct model {
    rondo_timer *timer; /* NULL: closed */
    bool armed;
    uint64_t deadline_ns, order;
    uint64_t delay_ns; /* UINT64_MAX: none */
    uint64_t repeat_ns;
} models[TIMERS];

static rondo_loop *loop;
static uint64_t orders, seed, fired, left;
static uint64_t turn, turn_orders; /* what was set before the timers of this turn */

#define CHECK_SEED(cond)                                                  \
    ((cond) ? (void)0                                                     \
            : FAIL("seed %llu, fired %llu: %s", (unsigned long long)seed, \
                   (unsigned long long)fired, #cond))

static void arm(struct model *model, uint64_t deadline_ns) {
    model->armed = true;
    model->deadline_ns = deadline_ns;
    model->order = ++orders;
}

static void on_timer(rondo_timer *timer, void *arg);

static void check_one(const struct model *model) {
    CHECK_SEED(rondo_is_active(model->timer) == model->armed);
    CHECK_SEED(rondo_timer_deadline_ns(model->timer) == (model->armed ? model->deadline_ns : 0));
}

static void do_something(void) {
    struct model *model = &models[below(TIMERS)];
    uint64_t now_ns = rondo_loop_now_ns(loop), ms = below(3) ? below(4) : below(3000);
    if (!model->timer) {
        model->timer = rondo_timer_new(loop);
        model->delay_ns = UINT64_MAX;
    }
    switch (below(10)) {
    case 0:
    case 1:
    case 2:
        model->delay_ns = ms * MS;
        model->repeat_ns = below(4) ? 0 : (1 + below(5)) * MS;
        CHECK_SEED(rondo_timer_start(model->timer, ms, model->repeat_ns / MS, on_timer, model) ==
                   0);
        arm(model, now_ns + model->delay_ns);
        break;
    case 3: /* also in the past, and with the nanosecond of others */
        model->delay_ns = UINT64_MAX;
        model->repeat_ns = 0;
        arm(model, now_ns + ms * MS - below(2) * MS);
        CHECK_SEED(rondo_timer_start_at(model->timer, model->deadline_ns, on_timer, model) == 0);
        break;
    case 4:
        CHECK_SEED(rondo_timer_stop(model->timer) == 0);
        model->armed = false;
        break;
    case 5:
        CHECK_SEED(rondo_timer_stop(model->timer) == 0);
        rondo_close(model->timer);
        CHECK_SEED(rondo_timer_again(model->timer) == RONDO_ECLOSED);
        model->armed = false;
        model->timer = NULL;
        return;
    default: {
        bool may = model->delay_ns != UINT64_MAX;
        CHECK_SEED(rondo_timer_again(model->timer) == (may ? 0 : RONDO_EINVAL));
        if (may) arm(model, now_ns + model->delay_ns);
    }
    }
    check_one(model);
}

/* The one that should run now: of those set before this phase the first by deadline, then by order. */
static const struct model *first(void) {
    const struct model *best = NULL;
    for (const struct model *model = models; model < models + TIMERS; model++)
        if (model->armed && model->order <= turn_orders)
            if (!best || model->deadline_ns < best->deadline_ns ||
                (model->deadline_ns == best->deadline_ns && model->order < best->order))
                best = model;
    return best;
}

static void on_timer(rondo_timer *timer, void *arg) {
    struct model *model = arg;
    uint64_t now_ns = rondo_loop_now_ns(loop);
    if (turn != rondo_loop_turn(loop)) {
        turn = rondo_loop_turn(loop);
        turn_orders = orders;
    }
    CHECK_SEED(model->timer == timer && model == first());
    CHECK_SEED(model->deadline_ns <= now_ns);
    model->armed = false;
    if (model->repeat_ns > 0) {
        uint64_t periods = (now_ns - model->deadline_ns) / model->repeat_ns + 1;
        arm(model, model->deadline_ns + periods * model->repeat_ns);
    }
    check_one(model);
    fired++;
    if (left > 0) {
        left--;
        for (uint64_t n = below(5); n > 0; n--) do_something();
    } else if (model->armed) { /* it repeats, and all has to end */
        rondo_timer_stop(timer);
        model->armed = false;
    }
}

static void meddle(rondo_loop *self, void *arg) {
    (void)arg;
    for (uint64_t n = below(4); n > 0; n--) do_something();
    if (left == 0) return;
    left--;
    if (below(2) == 0) rondo_immediate(self, meddle, NULL); /* else time may pass */
}

TEST(random_timers_fire_as_a_simple_model_says) {
    uint64_t steps = harness_is_slow() ? 500 : 20000;
    for (seed = 1; seed <= 6; seed++) {
        random_begin(seed);
        loop = new_virtual_loop();
        orders = fired = turn = turn_orders = 0;
        left = steps;
        memset(models, 0, sizeof models);
        while (left > 0) {
            rondo_immediate(loop, meddle, NULL);
            CHECK_SEED(rondo_loop_run(loop, RONDO_RUN_ALL) == 0);
        }
        CHECK_SEED(fired > steps / 4);
        for (int i = 0; i < TIMERS; i++) CHECK_SEED(!models[i].armed);
        end_loop(loop);
    }
}
