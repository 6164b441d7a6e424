/* SPDX-License-Identifier: MIT
 *
 * The timing wheel. Level 0 has 64 slots of 2^20 ns (about a millisecond), each further level slots
 * 64 times as wide. An alarm lies in the slot of the lowest level on which its tick shares all
 * higher digits with time_tick, so slots of a lower level always come before those of a higher one;
 * when time reaches a slot of a higher level, its alarms are spread over the lower ones.
 *
 * Invariants: an alarm's slot never begins after its deadline. It may begin long before: pushing an
 * armed alarm ahead only changes its deadline, and it is moved when its slot's time has come. That
 * is what makes the timeout of a busy connection two stores. earliest_ns is a lower bound.
 *
 * Rejected: libev's 4-heap (O(log n), cache misses at a million timers, and an order among equal
 * deadlines that depends on its shape), lists by duration in a heap (an allocation for each new
 * duration, so starting a timer could fail).
 */
#include "loop/alarm.h"

#include "loop/assert.h"
#include "loop/loop.h"

#define TICK_BITS 20
#define SLOT_BITS 6
/* How many alarms of a wide slot are looked at for the earliest one; beyond that, waking up at the
 * slot's beginning and spreading it is cheaper. */
#define SCAN_BOUND 64

_Static_assert(1 << SLOT_BITS == RONDO__ALARM_SLOTS, "slots per level");
_Static_assert(TICK_BITS + SLOT_BITS * RONDO__ALARM_LEVELS >= 64, "the levels cover the clock");

void rondo__wheel_init(rondo__wheel *wheel, uint64_t now_ns) {
    wheel->time_tick = now_ns >> TICK_BITS;
    wheel->earliest_ns = UINT64_MAX;
    wheel->stale = wheel->firing = false;
    wheel->order = 0;
    rondo__list_init(&wheel->due);
    for (unsigned level = 0; level < RONDO__ALARM_LEVELS; level++) {
        wheel->used[level] = 0;
        for (unsigned slot = 0; slot < RONDO__ALARM_SLOTS; slot++)
            rondo__list_init(&wheel->slots[level][slot]);
    }
}

static rondo__alarm *alarm_of(rondo__list *link) { return RONDO__OF(link, rondo__alarm, link); }

/* Puts an alarm that is in no list into the slot of its deadline. */
static void place(rondo__wheel *wheel, rondo__alarm *alarm) {
    uint64_t tick = alarm->deadline_ns >> TICK_BITS;
    if (tick < wheel->time_tick) tick = wheel->time_tick;
    uint64_t differing = tick ^ wheel->time_tick;
    unsigned level = differing ? (63u - (unsigned)__builtin_clzll(differing)) / SLOT_BITS : 0;
    unsigned slot = (tick >> (SLOT_BITS * level)) & (RONDO__ALARM_SLOTS - 1);
    rondo__list_push_back(&wheel->slots[level][slot], &alarm->link);
    wheel->used[level] |= UINT64_C(1) << slot;
    if (alarm->deadline_ns < wheel->earliest_ns) wheel->earliest_ns = alarm->deadline_ns;
}

void rondo__alarm_set(rondo_loop *loop, rondo__alarm *alarm, uint64_t deadline_ns) {
    rondo__wheel *wheel = &loop->wheel;
    RONDO_ASSERT(deadline_ns != RONDO__ALARM_UNSET);
    if (rondo__alarm_push(loop, alarm, deadline_ns)) return;
    alarm->order = ++wheel->order;
    alarm->deadline_ns = deadline_ns;
    rondo__list_remove(&alarm->link);
    place(wheel, alarm);
}

void rondo__alarm_set_in_ms(rondo_loop *loop, rondo__alarm *alarm, uint64_t delay_ms) {
    uint64_t delay_ns, deadline_ns;
    if (!loop->front.running) rondo__loop_refresh_now(loop); /* it may be from long ago */
    if (__builtin_mul_overflow(delay_ms, UINT64_C(1000000), &delay_ns) ||
        __builtin_add_overflow(loop->now_ns, delay_ns, &deadline_ns) ||
        deadline_ns == RONDO__ALARM_UNSET)
        deadline_ns = RONDO__ALARM_UNSET - 1;
    rondo__alarm_set(loop, alarm, deadline_ns);
}

void rondo__alarm_clear(rondo__alarm *alarm) {
    /* earliest_ns stays: a lower bound still. At worst the loop wakes up once for nothing. */
    rondo__list_remove(&alarm->link);
    alarm->deadline_ns = RONDO__ALARM_UNSET;
}

/* The tick at which a slot begins. */
static uint64_t slot_tick(const rondo__wheel *wheel, unsigned level, unsigned slot) {
    unsigned shift = SLOT_BITS * level;
    uint64_t above = wheel->time_tick >> (shift + SLOT_BITS) << (shift + SLOT_BITS);
    return above | (uint64_t)slot << shift;
}

/* Finds the first slot in use; false when there is none. Forgets slots that turn out empty. */
static bool first_slot(rondo__wheel *wheel, unsigned *ret_level, uint64_t *ret_tick) {
    for (unsigned level = 0; level < RONDO__ALARM_LEVELS; level++) {
        while (wheel->used[level]) {
            unsigned slot = (unsigned)__builtin_ctzll(wheel->used[level]);
            if (rondo__list_empty(&wheel->slots[level][slot])) {
                wheel->used[level] &= ~(UINT64_C(1) << slot);
                continue;
            }
            *ret_level = level;
            *ret_tick = slot_tick(wheel, level, slot);
            return true;
        }
    }
    return false;
}

/* Empties a slot whose time has come: what is due goes to `due`, the rest where it belongs now. */
static void spread(rondo__wheel *wheel, unsigned level, uint64_t tick, uint64_t now_ns) {
    rondo__list all;
    rondo__list *slot =
        &wheel->slots[level][(tick >> (SLOT_BITS * level)) & (RONDO__ALARM_SLOTS - 1)];
    rondo__list_init(&all);
    rondo__list_splice_back(&all, slot);
    if (tick > wheel->time_tick) wheel->time_tick = tick;
    for (rondo__list *link; (link = rondo__list_pop_front(&all));) {
        rondo__alarm *alarm = alarm_of(link);
        if (alarm->deadline_ns <= now_ns) {
            rondo__list_push_back(&wheel->due, link);
        } else {
            place(wheel, alarm);
        }
    }
}

static bool before(const rondo__alarm *a, const rondo__alarm *b) {
    if (a->deadline_ns != b->deadline_ns) return a->deadline_ns < b->deadline_ns;
    return a->order < b->order;
}

/* Merges two sorted lists into `a`. */
static void merge(rondo__list *a, rondo__list *b) {
    rondo__list out;
    rondo__list_init(&out);
    while (!rondo__list_empty(a) && !rondo__list_empty(b)) {
        rondo__list *from = before(alarm_of(b->next), alarm_of(a->next)) ? b : a;
        rondo__list_push_back(&out, rondo__list_pop_front(from));
    }
    rondo__list_splice_back(&out, a);
    rondo__list_splice_back(&out, b);
    rondo__list_splice_back(a, &out);
}

/* A merge sort of sorted runs, bottom up: one pass over a list that is in order already, as it is
 * when nothing was pushed ahead. No two alarms are equal, so it need not be stable. */
static void sort(rondo__list *list) {
    rondo__list runs[64];
    unsigned used = 0;
    while (!rondo__list_empty(list)) {
        rondo__list run;
        rondo__list_init(&run);
        do {
            rondo__list_push_back(&run, rondo__list_pop_front(list));
        } while (!rondo__list_empty(list) && !before(alarm_of(list->next), alarm_of(run.prev)));
        unsigned i = 0;
        for (; i < used && !rondo__list_empty(&runs[i]); i++) {
            merge(&runs[i], &run);
            rondo__list_splice_back(&run, &runs[i]);
        }
        if (i == used) {
            RONDO_ASSERT(used < 64);
            rondo__list_init(&runs[used++]);
        }
        rondo__list_splice_back(&runs[i], &run);
    }
    for (unsigned i = 0; i < used; i++) {
        merge(&runs[i], list);
        rondo__list_splice_back(list, &runs[i]);
    }
}

void rondo__wheel_fire(rondo_loop *loop, rondo__wheel *wheel, uint64_t now_ns) {
    unsigned level;
    uint64_t tick, now_tick = now_ns >> TICK_BITS;
    if (now_ns < wheel->earliest_ns) return;
    while (first_slot(wheel, &level, &tick) && tick <= now_tick) {
        spread(wheel, level, tick, now_ns);
        if (tick == now_tick) break; /* what is left is due within this tick, or later */
    }
    if (wheel->time_tick < now_tick) wheel->time_tick = now_tick;
    wheel->stale = true;
    sort(&wheel->due);
    wheel->firing = true;
    uint64_t last = wheel->order; /* those set from now on wait for the next turn */
    for (rondo__list *link; (link = rondo__list_pop_front(&wheel->due));) {
        rondo__alarm *alarm = alarm_of(link);
        if (alarm->order > last) { /* by one that fired before it */
            place(wheel, alarm);
            continue;
        }
        loop->ready_ns = alarm->deadline_ns;
        alarm->deadline_ns = RONDO__ALARM_UNSET;
        alarm->fire(loop, alarm);
        rondo__settle(loop);
    }
    wheel->firing = false;
}

/* The earliest deadline in the first slot, after alarms that were pushed ahead were moved out of
 * it; UINT64_MAX when none was left. */
static uint64_t scan(rondo__wheel *wheel, unsigned level, uint64_t tick) {
    uint64_t width = UINT64_C(1) << (SLOT_BITS * level), earliest = UINT64_MAX;
    rondo__list *slot =
        &wheel->slots[level][(tick >> (SLOT_BITS * level)) & (RONDO__ALARM_SLOTS - 1)];
    unsigned seen = 0;
    for (rondo__list *link = slot->next, *next; link != slot; link = next) {
        rondo__alarm *alarm = alarm_of(link);
        next = link->next;
        if (level > 0 && ++seen > SCAN_BOUND) return tick << TICK_BITS;
        if (alarm->deadline_ns >> TICK_BITS >= tick + width) {
            rondo__list_remove(link);
            place(wheel, alarm);
        } else if (alarm->deadline_ns < earliest) {
            earliest = alarm->deadline_ns;
        }
    }
    return earliest;
}

uint64_t rondo__wheel_next(rondo__wheel *wheel) {
    unsigned level;
    uint64_t tick;
    if (!wheel->stale) return wheel->earliest_ns;
    wheel->stale = false;
    wheel->earliest_ns = UINT64_MAX;
    while (first_slot(wheel, &level, &tick)) {
        uint64_t earliest = scan(wheel, level, tick);
        if (earliest == UINT64_MAX) continue; /* it is empty now */
        wheel->earliest_ns = earliest;
        break;
    }
    return wheel->earliest_ns;
}

static void verify_slot(const rondo__wheel *wheel, unsigned level, unsigned slot) {
    const rondo__list *head = &wheel->slots[level][slot];
    uint64_t tick = slot_tick(wheel, level, slot);
    for (const rondo__list *link = head->next; link != head; link = link->next) {
        const rondo__alarm *alarm =
            (const rondo__alarm *)(const void *)((const char *)link - offsetof(rondo__alarm, link));
        RONDO_ASSERT(link->next->prev == link && link->prev->next == link);
        RONDO_ASSERT(wheel->used[level] & UINT64_C(1) << slot);
        RONDO_ASSERT(rondo__alarm_is_set(alarm) && alarm->fire);
        RONDO_ASSERT(alarm->deadline_ns >= wheel->earliest_ns);
        RONDO_ASSERT(tick >= wheel->time_tick); /* else it would be taken for one of the future */
        RONDO_ASSERT(alarm->deadline_ns >> TICK_BITS >= tick || tick == wheel->time_tick);
    }
}

void rondo__wheel_verify(const rondo__wheel *wheel) {
    RONDO_ASSERT(rondo__list_empty(&wheel->due) || wheel->firing);
    for (unsigned level = 0; level < RONDO__ALARM_LEVELS; level++)
        for (unsigned slot = 0; slot < RONDO__ALARM_SLOTS; slot++) verify_slot(wheel, level, slot);
}
