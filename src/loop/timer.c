/* SPDX-License-Identifier: MIT
 *
 * rondo_timer: the handle around an alarm.
 */
#include <rondo/timer.h>

#include "loop/alarm.h"
#include "loop/loop.h"

struct rondo_timer {
    rondo_handle base;
    uint64_t delay_ns; /* UINT64_MAX: never started by rondo_timer_start() */
    rondo__alarm alarm;
    uint64_t repeat_ns; /* 0: once */
    uint64_t missed;
    rondo_timer_cb cb;
    void *arg;
};

static void timer_stop(rondo_handle *handle) {
    rondo__alarm_clear(&((rondo_timer *)handle)->alarm);
}

static void timer_verify(const rondo_handle *handle) {
    const rondo_timer *timer = (const rondo_timer *)handle;
    bool active = (handle->flags & RONDO__HANDLE_ACTIVE) != 0;
    RONDO_ASSERT(active == rondo__alarm_is_set(&timer->alarm) || handle->loop->wheel.firing);
}

static const rondo__kind timer_kind = {
    .name = "timer", .size = sizeof(rondo_timer), .stop = timer_stop, .verify = timer_verify};

static void timeout_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                          void *arg) {
    (void)loop, (void)payload;
    ((rondo_timer_cb)fn)((rondo_timer *)handle, arg);
}
static const rondo__event timeout_event = {"timer", timeout_thunk};

/* When it was due is in loop->ready_ns. The next deadline is set before the callback, so that the
 * callback may stop or re-arm it. */
static void fire(rondo_loop *loop, rondo__alarm *alarm) {
    rondo_timer *timer = RONDO__OF(alarm, rondo_timer, alarm);
    if (timer->repeat_ns == 0) {
        rondo__handle_deactivate(&timer->base);
    } else {
        uint64_t late_ns = loop->now_ns - loop->ready_ns, next_ns;
        uint64_t skipped = late_ns / timer->repeat_ns;
        timer->missed += skipped;
        loop->metrics.late_timers += skipped;
        if (__builtin_add_overflow(loop->ready_ns + skipped * timer->repeat_ns, timer->repeat_ns,
                                   &next_ns) ||
            next_ns == RONDO__ALARM_UNSET)
            next_ns = RONDO__ALARM_UNSET - 1;
        rondo__alarm_set(loop, alarm, next_ns);
    }
    rondo__door(loop, &timer->base, &timeout_event, RONDO__FN(timer->cb), NULL, timer->arg);
}

rondo_timer *rondo_timer_new_at(rondo_loop *loop, const char *site) {
    RONDO__CHECK_LOOP(loop);
    rondo_timer *timer = rondo__handle_new(loop, &timer_kind, site);
    if (!timer) return NULL;
    rondo__alarm_init(&timer->alarm, fire);
    timer->delay_ns = UINT64_MAX;
    return timer;
}

static uint64_t ns_of(uint64_t ms) {
    uint64_t ns;
    return __builtin_mul_overflow(ms, UINT64_C(1000000), &ns) ? UINT64_MAX - 1 : ns;
}

/* now + delay, at most the last time that can be set. */
static uint64_t deadline_in(rondo_loop *loop, uint64_t delay_ns) {
    uint64_t deadline_ns;
    bool over = __builtin_add_overflow(rondo__now_ns(loop), delay_ns, &deadline_ns);
    return over || deadline_ns == RONDO__ALARM_UNSET ? RONDO__ALARM_UNSET - 1 : deadline_ns;
}

static void arm(rondo_timer *timer, uint64_t deadline_ns) {
    if (rondo__alarm_push(timer->base.loop, &timer->alarm, deadline_ns))
        return; /* active already */
    rondo__alarm_set(timer->base.loop, &timer->alarm, deadline_ns);
    if (!(timer->base.flags & RONDO__HANDLE_ACTIVE)) rondo__handle_activate(&timer->base);
}

int rondo_timer_start(rondo_timer *timer, uint64_t delay_ms, uint64_t repeat_ms, rondo_timer_cb cb,
                      void *arg) {
    RONDO__CHECK(timer, &timer_kind);
    if (rondo__handle_closing(&timer->base)) return RONDO_ECLOSED;
    if (!cb) return RONDO_EINVAL;
    timer->cb = cb;
    timer->arg = arg;
    timer->delay_ns = ns_of(delay_ms);
    timer->repeat_ns = repeat_ms ? ns_of(repeat_ms) : 0;
    timer->missed = 0;
    arm(timer, deadline_in(timer->base.loop, timer->delay_ns));
    return 0;
}

int rondo_timer_start_at(rondo_timer *timer, uint64_t deadline_ns, rondo_timer_cb cb, void *arg) {
    RONDO__CHECK(timer, &timer_kind);
    if (rondo__handle_closing(&timer->base)) return RONDO_ECLOSED;
    if (!cb) return RONDO_EINVAL;
    timer->cb = cb;
    timer->arg = arg;
    timer->delay_ns = UINT64_MAX;
    timer->repeat_ns = 0;
    timer->missed = 0;
    arm(timer, deadline_ns == RONDO__ALARM_UNSET ? deadline_ns - 1 : deadline_ns);
    return 0;
}

static __attribute__((noinline)) int again_anyhow(rondo_timer *timer) {
    if (rondo__handle_closing(&timer->base)) return RONDO_ECLOSED;
    if (timer->delay_ns == UINT64_MAX) return RONDO_EINVAL;
    arm(timer, deadline_in(timer->base.loop, timer->delay_ns));
    return 0;
}

/* What servers do with every byte that comes, to one of many timers, whose memory has to be waited for:
 * what can be had without it is, and few instructions are spent, so that processors go on to the next one
 * meanwhile. An armed timer that is pushed ahead is not closing, and has a delay: adding UINT64_MAX to the
 * time would overflow, or be no deadline. */
int rondo_timer_again(rondo_timer *timer) {
    rondo_loop *loop = rondo__here;
    uint64_t deadline_ns;
    RONDO__CHECK(timer, &timer_kind);
    if (RONDO__LIKELY(timer->base.loop == loop && loop->now_fresh &&
                      !__builtin_add_overflow(loop->now_ns, timer->delay_ns, &deadline_ns) &&
                      deadline_ns != RONDO__ALARM_UNSET &&
                      rondo__alarm_push(loop, &timer->alarm, deadline_ns)))
        return 0;
    return again_anyhow(timer);
}

int rondo_timer_stop(rondo_timer *timer) {
    RONDO__CHECK(timer, &timer_kind);
    if (rondo__handle_closing(&timer->base)) return RONDO_ECLOSED;
    rondo__alarm_clear(&timer->alarm);
    rondo__handle_deactivate(&timer->base);
    return 0;
}

uint64_t rondo_timer_deadline_ns(const rondo_timer *timer) {
    RONDO__CHECK(timer, &timer_kind);
    return rondo__alarm_is_set(&timer->alarm) ? timer->alarm.deadline_ns : 0;
}

uint64_t rondo_timer_missed(const rondo_timer *timer) {
    RONDO__CHECK(timer, &timer_kind);
    return timer->missed;
}
