/* SPDX-License-Identifier: MIT
 *
 * The base of every handle and the table of functions that makes a kind of handle. A handle's
 * struct embeds rondo_handle first. Life: rondo__handle_new -> (start/stop)* -> rondo_close ->
 * kind->stop -> closing phase: kind->finish, `close`, kind->free. Internal.
 */
#ifndef RONDO__HANDLE_H
#define RONDO__HANDLE_H

#include <rondo/error.h>
#include <rondo/handle.h>

#include "loop/assert.h"
#include "loop/attach.h"
#include "loop/door.h"
#include "loop/list.h"
#include "loop/wake.h"

/* Something that runs once, later: in the pending phase (rondo__defer) or the closing phase. */
typedef struct rondo__task {
    rondo__list link;
    void (*run)(rondo_loop *loop, struct rondo__task *task);
} rondo__task;

static inline void rondo__task_init(rondo__task *task,
                                    void (*run)(rondo_loop *, struct rondo__task *)) {
    rondo__list_init(&task->link);
    task->run = run;
}

/* Queues the task for the pending phase (that of the next turn when called inside it). A queued
 * task stays where it is. A queued task keeps the loop alive and from sleeping. */
void rondo__defer(rondo_loop *loop, rondo__task *task);
/* Takes it out; harmless when it isn't queued. */
void rondo__task_cancel(rondo__task *task);

/* The inline listener of an event; more than one live in a list that arg points to. */
typedef struct rondo__slot {
    rondo__fn fn;
    void *arg;
} rondo__slot;

/* A kind of handle. One static const object each. */
typedef struct rondo__kind {
    const char *name;
    size_t size;
    /* rondo_close(): stop all activity at once, give back descriptors. No user callbacks here. */
    void (*stop)(rondo_handle *handle);
    /* Closing phase, before `close`: completes pending requests with RONDO_ECANCELED. Or NULL. */
    void (*finish)(rondo_handle *handle);
    /* After `close`: drop what the handle owns. NULL: nothing but its memory. */
    void (*free)(rondo_handle *handle);
    /* Where its memory goes. NULL: back to the allocator. */
    void (*recycle)(rondo_handle *handle);
    /* Asserts that the handle is consistent. May be NULL. */
    void (*verify)(const rondo_handle *handle);
    /* Its slots besides `close`, for freeing the lists of listeners. */
    size_t slots_offset;
    unsigned slot_count;
} rondo__kind;

enum {
    RONDO__HANDLE_ACTIVE = 1 << 0,
    RONDO__HANDLE_UNREF = 1 << 1,
    RONDO__HANDLE_CLOSING = 1 << 2, /* rondo_close() was called */
    RONDO__HANDLE_EMITTED = 1 << 3, /* `close` has been emitted */
    RONDO__HANDLE_NAMED = 1 << 4    /* rondo_set_name() was called */
};

/* Of a handle with a name; few have one. */
typedef struct rondo__label {
    const char *site;
    char name[];
} rondo__label;

#define RONDO__MAGIC_ALIVE 0x52ad0001u
#define RONDO__MAGIC_DEAD 0xdead0001u

/* What every call looks at stands last, next to the fields of the kind that come after it:
 * re-arming one of a million timers is a matter of cache lines. */
struct rondo_handle {
    rondo__list link; /* loop->handles */
    rondo__task task; /* for the closing phase; until then the kind's own, if it wants one */
    union {
        const char *site;
        struct rondo__label *label; /* RONDO__HANDLE_NAMED */
    } who;
    void *data;
    uint64_t created_ns;
    rondo__slot on_close;
    const rondo__kind *kind;
    rondo_loop *loop;
    uint32_t magic;
    uint16_t flags;
    uint16_t once; /* bit i: the inline listener of slot i is removed before its first call */
};

/* The index of on_close in `once`; slots of a kind have 0 to 14. */
#define RONDO__SLOT_CLOSE 15
#define RONDO__SLOT_NAMED 16

/* A new handle, zeroed behind its base, linked and idle; NULL when out of memory. */
void *rondo__handle_new(rondo_loop *loop, const rondo__kind *kind, const char *site);
/* The same on memory of the caller's, for kinds with `recycle`. Everything behind the base is left
 * as it is. */
void rondo__handle_init(rondo_handle *handle, rondo_loop *loop, const rondo__kind *kind,
                        const char *site);
/* Undoes rondo__handle_new() of a handle that no user has seen yet: no `close`, freed now. */
void rondo__handle_discard(rondo_handle *handle);

/* rondo_close() without `stop`, by its kind, of one that is idle and has nothing left to stop. */
void rondo__handle_close_idle(rondo_handle *handle);
/* What the closing phase does with a handle. A kind that has to put that off gives handle->task another
 * function meanwhile; either that calls this one, or somebody says when it is time. */
void rondo__close_task(rondo_loop *loop, rondo__task *task);
void rondo__handle_close_late(rondo_handle *handle);
/* In `stop` of a kind that has used handle->task for ends of its own: from now on it is the loop's. */
static inline void rondo__handle_return_task(rondo_handle *handle) {
    rondo__task_cancel(&handle->task);
    handle->task.run = rondo__close_task;
}

/* Frees its name, if it has one. */
void rondo__handle_drop_name(rondo_handle *handle);

/* Active or not: counted into the loop's reasons to live. Idempotent. */
void rondo__handle_activate(rondo_handle *handle);
void rondo__handle_deactivate(rondo_handle *handle);

static inline const char *rondo__handle_site(const rondo_handle *handle) {
    return handle->flags & RONDO__HANDLE_NAMED ? handle->who.label->site : handle->who.site;
}

/* "" without one. */
static inline const char *rondo__handle_name(const rondo_handle *handle) {
    return handle->flags & RONDO__HANDLE_NAMED ? handle->who.label->name : "";
}

static inline bool rondo__handle_closing(const rondo_handle *handle) {
    return (handle->flags & RONDO__HANDLE_CLOSING) != 0;
}

/* Aborts with the function's name, the handle and its origin: NULL, freed, of the wrong kind, or
 * called from a thread that does not run the loop. */
_Noreturn RONDO__COLD void rondo__handle_misused(const rondo_handle *handle,
                                                 const rondo__kind *kind, const char *function);

/* The loop that this thread runs; of nested ones the innermost. Its address tells threads apart, where
 * pthread_self() would be a call that every public function makes. */
extern _Thread_local rondo_loop *rondo__here __attribute__((tls_model("initial-exec")));

#define RONDO__LOOP_MAGIC 0x52ad1009u

/* The first fields of every rondo_loop: for the check below, and what attach.h calls its parts. */
typedef struct rondo__loop_front {
    uint32_t magic;
    bool running;        /* rondo_loop_run() is at work */
    rondo_loop **thread; /* &rondo__here of the one that runs it, or did */
    void *parts[RONDO__PART_COUNT];
} rondo__loop_front;

static inline void *rondo__loop_part(const rondo_loop *loop, int part) {
    return ((const rondo__loop_front *)(const void *)loop)->parts[part];
}

/* `running` is read without a lock: on the loop's own thread, where every correct caller is, nobody
 * else writes it. The usual case first: it needs nothing of the loop. */
static inline bool rondo__loop_on_thread(const rondo_loop *loop) {
    const rondo__loop_front *front = (const rondo__loop_front *)(const void *)loop;
    return loop == rondo__here || front->thread == &rondo__here || !front->running;
}

static inline void rondo__handle_check(const rondo_handle *handle, const rondo__kind *kind,
                                       const char *function) {
    if (RONDO__UNLIKELY(!handle || handle->magic != RONDO__MAGIC_ALIVE ||
                        (kind && handle->kind != kind) || !rondo__loop_on_thread(handle->loop)))
        rondo__handle_misused(handle, kind, function);
}
/* The same for a loop: NULL, freed, or run by another thread. */
_Noreturn RONDO__COLD void rondo__loop_misused(const rondo_loop *loop, const char *function);
static inline void rondo__loop_check(const rondo_loop *loop, const char *function) {
    const rondo__loop_front *front = (const rondo__loop_front *)(const void *)loop;
    if (RONDO__UNLIKELY(!loop || front->magic != RONDO__LOOP_MAGIC || !rondo__loop_on_thread(loop)))
        rondo__loop_misused(loop, function);
}
#define RONDO__CHECK_LOOP(loop) rondo__loop_check((loop), __func__)

/* The first line of every public function on a handle. `base` is the embedded rondo_handle. */
#define RONDO__CHECK(handle, kind) \
    rondo__handle_check((const rondo_handle *)(const void *)(handle), (kind), __func__)

#endif
