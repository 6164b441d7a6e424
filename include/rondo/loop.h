/* SPDX-License-Identifier: MIT
 *
 * The loop: one thread that turns readiness into callbacks, in an order that is a promise
 * (docs/order.md). Everything here is for the thread that runs the loop, except
 * rondo_loop_stop(); rondo_loop_post() in async.h is the other door for other threads.
 * A loop owns its handles: it is freed after all of them are closed.
 */
#ifndef RONDO_LOOP_H
#define RONDO_LOOP_H

#include <rondo/base.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ev_loop;

/* X(name, what runs in it): one turn of the loop, phase after phase. The dispatch, the trace and
 * the diagram in docs/ are all made from this table. */
#define RONDO_PHASES(X)                                                               \
    X(timers, "every timer that is due, by deadline and then by start order")         \
    X(pending, "completions put off from earlier: write results, work over budget")   \
    X(prepare, "prepare hooks, just before sleeping")                                 \
    X(poll, "sleep until the next deadline or event; then each ready handle in turn") \
    X(check, "immediates that were queued before this phase began")                   \
    X(closing, "close events; the memory of closed handles goes here")

typedef enum rondo_phase {
#define RONDO__PHASE_ENUM(name, what) RONDO_PHASE_##name,
    RONDO_PHASES(RONDO__PHASE_ENUM)
#undef RONDO__PHASE_ENUM
        RONDO_PHASE_none /* outside a turn: top level, before the first phase */
} rondo_phase;

typedef enum rondo_run_mode {
    RONDO_RUN_ALL,   /* until nothing is alive or rondo_loop_stop() */
    RONDO_RUN_ONCE,  /* turns, sleeping where nothing is ready, until one has run a callback */
    RONDO_RUN_NOWAIT /* one turn, never sleeping */
} rondo_run_mode;

/* X(name, default, what it bounds): how much one source may do before the others get their turn.
 * What is left over goes on in the next turn; nothing is lost. */
#define RONDO_BUDGETS(X)                                                               \
    X(ticks, 10000, "next ticks run after one callback before it is called a runaway") \
    X(ready, 64, "descriptors run, or handles closed by them, per turn")               \
    X(accepts, 64, "connections accepted per listener and turn")                       \
    X(read_bytes, 262144, "bytes read per stream and turn")                            \
    X(completions, 256, "pool completions delivered per turn")                         \
    X(posts, 1024, "posted messages delivered per turn")                               \
    X(datagrams, 1024, "datagrams received per UDP socket and turn")                   \
    X(changes, 1024, "changes told per file watch and turn")                           \
    X(handshakes, 16, "TLS handshakes driven on in a turn")                            \
    X(cached_files, 256, "file operations tried from the kernel's caches per turn")    \
    X(members, 256, "members of a group begun or skipped per turn")

typedef enum rondo_budget {
#define RONDO__BUDGET_ENUM(name, value, what) RONDO_BUDGET_##name,
    RONDO_BUDGETS(RONDO__BUDGET_ENUM)
#undef RONDO__BUDGET_ENUM
        RONDO_BUDGET_COUNT
} rondo_budget;

/* A new loop, or NULL when memory or file descriptors ran out. While rondo_loop_run() runs, the loop
 * and its handles belong to the thread that runs it, and calls from others abort. */
#define rondo_loop_new() rondo_loop_new_at(RONDO_HERE)
RONDO_API rondo_loop *rondo_loop_new_at(const char *site);

/* Runs turns. Returns 0 when nothing is alive any more, 1 when something still is (it was stopped,
 * or the mode said so), RONDO_EBUSY when called from inside a callback of the same loop,
 * RONDO_ENOTSUP in a child of fork(2): a loop stays with the process that made it, the child makes
 * its own. May be called again after it returned. */
RONDO_API int rondo_loop_run(rondo_loop *loop, rondo_run_mode mode);

/* Makes rondo_loop_run() return at the end of the turn in progress, which sleeps no more; when none
 * is running, the next one returns at once, running nothing. Any thread; also a signal handler. */
RONDO_API void rondo_loop_stop(rondo_loop *loop);

/* Whether rondo_loop_run() has a reason to go on: an active ref'd handle, queued ticks, immediates
 * or completions, running jobs, or handles that are closing. */
RONDO_API bool rondo_loop_alive(const rondo_loop *loop);

/* Closes every handle that is open and cancels queued jobs; run the loop once more to let the
 * `close` events happen. */
RONDO_API void rondo_loop_close_all(rondo_loop *loop);

/* Frees a loop. Open handles are a bug of the caller: it aborts and lists them. Waits for jobs that
 * are running on the loop's pool and drops their results, and for rondo_loop_post() and rondo_loop_stop()
 * to return where they ended the run. NULL is allowed. In a child of fork(2) it only
 * gives back the loop's own descriptors and leaves the handles alone, open or not: no event, nothing
 * that the parent would notice. Their memory stays, and their descriptors until exec(2) or exit. */
RONDO_API void rondo_loop_free(rondo_loop *loop);

/* The loop's time, CLOCK_MONOTONIC (or the virtual clock). Read once at the first question inside a
 * callback and then the same until that callback returns; at top level read at every call. Timers
 * count from it. */
RONDO_API uint64_t rondo_loop_now_ns(rondo_loop *loop);
RONDO_API uint64_t rondo_loop_now_ms(rondo_loop *loop); /* whole ms, rounded down */
/* Reads the clock now: for a callback that computed for long and starts a timer afterwards. */
RONDO_API void rondo_loop_update_now(rondo_loop *loop);

/* From now on time stands still while callbacks run, and instead of sleeping the loop jumps to the
 * next deadline: for tests. Time starts at start_ns and does not move while a job is in the pool, or a
 * worker is at the file of a file stream.
 * With nothing to wait for but I/O, the loop sleeps for it as usual. RONDO_EBUSY once a timer was
 * started. */
RONDO_API int rondo_loop_use_virtual_clock(rondo_loop *loop, uint64_t start_ns);

/* Bounds of RONDO_BUDGETS. RONDO_EINVAL for an unknown budget or 0. */
RONDO_API int rondo_loop_set_budget(rondo_loop *loop, rondo_budget budget, uint32_t value);
RONDO_API uint32_t rondo_loop_budget(const rondo_loop *loop, rondo_budget budget);

/* One pointer of the user's. */
RONDO_API void rondo_loop_set_data(rondo_loop *loop, void *data);
RONDO_API void *rondo_loop_data(const rondo_loop *loop);

/* The phase and the turn (from 1; 0 before the first) that the loop is in. */
RONDO_API rondo_phase rondo_loop_phase(const rondo_loop *loop);
RONDO_API uint64_t rondo_loop_turn(const rondo_loop *loop);
/* "timers", "poll", ... and what runs in it; "none" and "" outside. Static. */
RONDO_API const char *rondo_phase_name(rondo_phase phase);
RONDO_API const char *rondo_phase_text(rondo_phase phase);

/* Calls cb for every handle, oldest first, closing ones included. The callback may close handles
 * and make new ones (which are not visited). Returns how many were visited. */
typedef void (*rondo_walk_cb)(rondo_handle *handle, void *arg);
RONDO_API size_t rondo_loop_walk(rondo_loop *loop, rondo_walk_cb cb, void *arg);

/* Writes one line per handle: kind, name, state, age, where it was made. */
RONDO_API void rondo_loop_dump(rondo_loop *loop, FILE *out);

/* An `error` that no listener heard, or a runaway chain of ticks. */
typedef struct rondo_uncaught {
    int error;            /* RONDO_E* */
    rondo_handle *handle; /* NULL when it has none */
    const char *kind;     /* "stream", ... */
    const char *name;     /* "" when it has none */
    const char *site;     /* where the handle was made */
    const char *message;  /* what happened, one line */
} rondo_uncaught;
typedef void (*rondo_uncaught_cb)(rondo_loop *loop, const rondo_uncaught *what, void *arg);

/* Who gets them. The default, restored by NULL, prints what, which handle and where it was made to
 * stderr and aborts. When the handler returns, the loop goes on. */
RONDO_API void rondo_loop_on_uncaught(rondo_loop *loop, rondo_uncaught_cb cb, void *arg);

/* The libev loop below, for libraries that have a libev adapter. Their callbacks run in the poll
 * phase and pass the door as one visit for each batch (docs/decisions/0002). Never run, break, fork
 * or destroy it. */
RONDO_API struct ev_loop *rondo_loop_ev(rondo_loop *loop);

#ifdef __cplusplus
}
#endif
#endif
