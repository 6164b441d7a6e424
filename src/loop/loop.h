/* SPDX-License-Identifier: MIT
 *
 * The loop's struct. For src/loop/ only: other folders use the headers beside this one, and what
 * they need of the loop's state through the functions at the end. Internal.
 */
#ifndef RONDO__LOOP_H
#define RONDO__LOOP_H

#include <rondo/error.h>
#include <rondo/loop.h>
#include <rondo/observer.h>

#include <stdatomic.h>
#include <sys/types.h>

#include "loop/alarm.h"
#include "loop/clock.h"
#include "loop/door.h"
#include "loop/handle.h"
#include "loop/inbox.h"
#include "loop/io.h"
#include "loop/queue.h"
#include "loop/signals.h"
#include "loop/spin.h"
#include "loop/wake.h"

/* Freed handles whose memory is kept a while, so that a use after `close` finds a dead handle with
 * its name on it instead of somebody else's memory. */
#define RONDO__QUARANTINE 64
#define RONDO__CACHE_LINE 64

typedef struct rondo__observer {
    rondo__list link;
    rondo_observer_cb cb;
    void *arg;
    uint64_t since; /* loop->callbacks when it came */
} rondo__observer;

struct rondo_loop {
    /* ---- what a callback touches ---- */
    rondo__loop_front front;
    uint32_t depth;  /* callbacks on the stack */
    uint32_t corked; /* flushes are held back */
    bool draining;   /* the tick queue is being emptied */
    bool runaway;    /* the chain of ticks in the queue has been reported */
    bool watched;    /* observers or timing: the door's slow side */
    bool now_fresh;  /* now_ns was read in this callback */
    bool virtual_clock;
    bool measure;
    rondo_phase phase;
    uint64_t turn;
    uint64_t callbacks;
    uint64_t now_ns;
    uint64_t ready_ns;   /* when what runs now became ready */
    uint64_t closed;     /* handles so far; wraps */
    rondo__list flushes; /* rondo__flush */
    rondo__queue ticks;
    /* ---- queues of the phases ---- */
    rondo__list pending;       /* rondo__task */
    rondo__list prepares;      /* rondo_prepare */
    rondo__list *prepare_next; /* the hook after the one that runs */
    uint64_t prepare_order;
    rondo__list ready; /* rondo__io: the rest of the round, see turn.c */
    uint64_t round;    /* rounds begun */
    uint64_t round_ns; /* when the last round became ready */
    rondo__queue immediates;
    rondo__list closing; /* rondo__task of handles */
    rondo__wheel wheel;
    /* ---- life ---- */
    rondo__list handles;
    size_t handle_count;
    size_t active_count; /* active and ref'd */
    size_t held;         /* reasons to live that aren't handles */
    size_t time_held;    /* what is none, but takes no virtual time: see rondo__loop_hold_time() */
    uint32_t budgets[RONDO_BUDGET_COUNT];
    /* ---- the world ---- */
    struct ev_loop *ev;
    struct rondo__ev *ev_parts; /* watchers of our own, made in poll.c */
    rondo_run_mode mode;        /* of this run */
    uint64_t run_callbacks;     /* callbacks when it began */
    /* ---- what other threads write ----
     * All on one cache line: each that is written here and there travels between two processors twice for each
     * wake-up, and that is what a wake-up costs besides its system calls. */
    _Alignas(RONDO__CACHE_LINE) atomic_bool stop;
    atomic_bool asleep;
    atomic_bool woken;
    bool wake_unread;   /* the eventfd has been written to, as far as the loop knows */
    atomic_uint guests; /* threads inside rondo_loop_post() and rondo_loop_stop() */
    int wake_fd;
    rondo__inbox inbox; /* asyncs, posts */
    /* ---- waking ---- */
    uint32_t spin_ns; /* see rondo__loop_set_spin() */
    rondo__spin_record spins;
    uint64_t waits_since_ns; /* real time; and when that was over: */
    uint64_t waited_until_ns;
    rondo__io wake_io;
    rondo__list sources;
    rondo__list at_free;
    rondo__list at_close_all;
    /* ---- looking in ---- */
    rondo__list observers;
    rondo_metrics metrics;
    uint64_t run_since_ns;  /* real time, while running */
    uint64_t run_asleep_ns; /* metrics.asleep_ns when the run began */
    rondo_uncaught_cb uncaught;
    void *uncaught_arg;
    /* ---- signals ---- */
    rondo__signals signals;
    rondo_handle *quarantine[RONDO__QUARANTINE];
    unsigned quarantine_at;
    const char *site;
    void *data;
    void *block; /* what was allocated for it, see loop.c */
    pid_t pid;   /* of the process that made it: see rondo_loop_run() */
};

/* alarm.c: the usual case of rondo__alarm_set(), an armed alarm that is pushed ahead: two stores.
 * False when it is not that case, and nothing was done. */
static inline bool rondo__alarm_push(rondo_loop *loop, rondo__alarm *alarm, uint64_t deadline_ns) {
    if (deadline_ns < alarm->deadline_ns) return false; /* also when it is unset */
    alarm->order = ++loop->wheel.order;
    alarm->deadline_ns = deadline_ns;
    return true; /* it is moved when its old slot comes up */
}

/* io.c */
int rondo__poll_init(rondo_loop *loop);
void rondo__poll_fini(rondo_loop *loop);
/* Sleeps up to timeout_ns (UINT64_MAX: for ever; 0: not at all) and fills loop->ready. */
void rondo__poll_wait(rondo_loop *loop, uint64_t timeout_ns);

/* door.c */
/* Flush, then ticks: after each item that the loop dispatches. */
void rondo__settle_now(rondo_loop *loop);
static inline void rondo__settle(rondo_loop *loop) { /* some ten times a turn, mostly for nothing */
    bool flush = !rondo__list_empty(&loop->flushes), tick = loop->ticks.live > 0;
    if (RONDO__LIKELY((flush | tick) == 0)) return;
    if (tick || loop->corked == 0) rondo__settle_now(loop);
}

/* wake.c */
/* From another thread, what it asks for may be all that the loop has waited for: then the loop ends, and is
 * freed, while the call is still about to wake it. So whoever calls from outside is a guest until it has
 * returned, and rondo_loop_free() awaits the last one. */
static inline void rondo__guest_comes(rondo_loop *loop) { atomic_fetch_add(&loop->guests, 1); }
static inline void rondo__guest_goes(rondo_loop *loop) { atomic_fetch_sub(&loop->guests, 1); }
void rondo__guests_await(const rondo_loop *loop);

/* clock.c */
void rondo__loop_refresh_now(rondo_loop *loop);
/* rondo_loop_now_ns() for callers that have been checked. */
static inline uint64_t rondo__now_ns(rondo_loop *loop) {
    if (!loop->now_fresh) {
        rondo__loop_refresh_now(loop);
        loop->now_fresh = loop->depth > 0; /* the door forgets it again */
    }
    return loop->now_ns;
}

/* loop.c */
/* In a child of fork(2): nobody runs it here, even if a thread that forking has left behind did. */
bool rondo__loop_is_elsewhere(const rondo_loop *loop);
void rondo__loop_verify(const rondo_loop *loop);

#endif
