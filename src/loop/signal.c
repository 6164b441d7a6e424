/* SPDX-License-Identifier: MIT
 *
 * Signals. libev ties a signal to one loop of the process; here any number of loops and handles may
 * watch one. The handler only marks the signal in every loop that wants it and wakes that loop.
 *
 * The table of loops is static, so the handler never reads freed memory. A loop that leaves it
 * waits until no handler on another thread is using its place; it blocks all signals meanwhile, so
 * it can't wait for itself.
 */
#include <rondo/signal.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "loop/loop.h"

#define SIGNAL_LOOPS 256
#define SIGNAL_MAX 64

typedef struct place {
    _Atomic(rondo_loop *) loop;  /* NULL: free */
    atomic_uint users;           /* handlers that are looking at it */
    atomic_uint_fast64_t wanted; /* bit n - 1: signal n */
    atomic_uint_fast64_t arrived;
} place;

static place places[SIGNAL_LOOPS];
/* Guards the two below and the taking of places; held with all signals blocked. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned watchers[SIGNAL_MAX + 1];
static struct sigaction former[SIGNAL_MAX + 1];

struct rondo_signal {
    rondo_handle base;
    rondo__signal_watch watch;
    bool once;
    rondo_signal_cb cb;
    void *arg;
};

static uint64_t bit_of(int signum) { return UINT64_C(1) << (signum - 1); }

static void handler(int signum) {
    for (size_t i = 0; i < SIGNAL_LOOPS; i++) {
        if (!(atomic_load(&places[i].wanted) & bit_of(signum))) continue;
        atomic_fetch_add(&places[i].users, 1);
        rondo_loop *loop = atomic_load(&places[i].loop);
        if (loop) {
            atomic_fetch_or(&places[i].arrived, bit_of(signum));
            rondo__wake(loop);
        }
        atomic_fetch_sub(&places[i].users, 1);
    }
}

static void enter(sigset_t *ret_before) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, ret_before);
    pthread_mutex_lock(&lock);
}

static void leave(const sigset_t *before) {
    pthread_mutex_unlock(&lock);
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* ---- the process-wide side; `lock` held ---- */

static int take_place(rondo_loop *loop) {
    for (int i = 0; i < SIGNAL_LOOPS; i++) {
        if (atomic_load(&places[i].loop)) continue;
        atomic_store(&places[i].wanted, 0);
        atomic_store(&places[i].arrived, 0);
        atomic_store(&places[i].loop, loop);
        return i;
    }
    return -1;
}

static int watch(int signum) {
    if (watchers[signum] == 0) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = handler;
        action.sa_flags = SA_RESTART;
        sigfillset(&action.sa_mask);
        if (sigaction(signum, &action, &former[signum]) < 0) return rondo_error_from_errno(errno);
    }
    watchers[signum]++;
    return 0;
}

static void unwatch(int signum) {
    RONDO_ASSERT(watchers[signum] > 0);
    if (--watchers[signum] == 0) sigaction(signum, &former[signum], NULL);
}

/* ---- the loop's side ---- */

static bool anyone_wants(const rondo_loop *loop, int signum) {
    const rondo__list *started = &loop->signals.started;
    for (rondo__list *link = started->next; link != started; link = link->next)
        if (RONDO__OF(link, rondo__signal_watch, link)->signum == signum) return true;
    return false;
}

/* Process-wide, one that begins to watch and one that ends. Nothing changes on failure. */
static int join(rondo_loop *loop, int signum) {
    sigset_t before;
    enter(&before);
    if (loop->signals.place < 0) loop->signals.place = take_place(loop);
    int error = loop->signals.place < 0 ? RONDO_EMFILE : watch(signum);
    if (error == 0) atomic_fetch_or(&places[loop->signals.place].wanted, bit_of(signum));
    leave(&before);
    return error;
}

static void part(rondo_loop *loop, int signum) {
    place *mine = &places[loop->signals.place];
    sigset_t before;
    enter(&before);
    if (!anyone_wants(loop, signum)) {
        atomic_fetch_and(&mine->wanted, ~bit_of(signum));
        atomic_fetch_and(&mine->arrived, ~bit_of(signum)); /* it is not for who starts later */
    }
    unwatch(signum);
    leave(&before);
}

static void unlink_watch(rondo_loop *loop, rondo__signal_watch *watch) {
    if (loop->signals.next == &watch->link) loop->signals.next = watch->link.next;
    rondo__list_remove(&watch->link);
}

void rondo__signal_watch_stop(rondo_loop *loop, rondo__signal_watch *watch) {
    int signum = watch->signum;
    if (signum == 0) return;
    unlink_watch(loop, watch);
    watch->signum = 0;
    part(loop, signum);
}

int rondo__signal_watch_start(rondo_loop *loop, rondo__signal_watch *watch, int signum) {
    if (signum == watch->signum) {
        unlink_watch(loop, watch); /* to its new place; the signal is watched without a gap */
    } else {
        int error = join(loop, signum);
        if (error < 0) return error;
        rondo__signal_watch_stop(loop, watch); /* what it watched before */
    }
    watch->signum = signum;
    watch->order = ++loop->signals.order;
    rondo__list_push_back(&loop->signals.started, &watch->link);
    return 0;
}

/* Calls those who watch signum and are no newer than `last`, in the order of starting. */
static void deliver(rondo_loop *loop, int signum, uint64_t last) {
    rondo__signals *signals = &loop->signals;
    rondo__list *link = signals->started.next;
    while (link != &signals->started) {
        rondo__signal_watch *watch = RONDO__OF(link, rondo__signal_watch, link);
        signals->next = link->next;
        if (watch->signum == signum && watch->order <= last) watch->run(loop, watch);
        link = signals->next;
    }
    signals->next = NULL;
}

static void drain(rondo_loop *loop, rondo__source *source) {
    (void)source;
    if (loop->signals.place < 0) return;
    uint64_t last =
        loop->signals.order; /* who starts from now on did not watch when they arrived */
    uint64_t arrived = atomic_exchange(&places[loop->signals.place].arrived, 0);
    for (; arrived; arrived &= arrived - 1) deliver(loop, __builtin_ctzll(arrived) + 1, last);
}

/* ---- the handle ---- */

static void stop(rondo_signal *signal) {
    rondo__signal_watch_stop(signal->base.loop, &signal->watch);
    rondo__handle_deactivate(&signal->base);
}

static void signal_stop(rondo_handle *handle) { stop((rondo_signal *)handle); }

static const rondo__kind signal_kind = {
    .name = "signal", .size = sizeof(rondo_signal), .stop = signal_stop};

static void signal_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                         void *arg) {
    (void)loop;
    ((rondo_signal_cb)fn)((rondo_signal *)handle, *(int *)payload, arg);
}
static const rondo__event signal_event = {"signal", signal_thunk};

static void arrive(rondo_loop *loop, rondo__signal_watch *watch) {
    rondo_signal *signal = RONDO__OF(watch, rondo_signal, watch);
    int signum = watch->signum;
    if (signal->once) stop(signal);
    rondo__door(loop, &signal->base, &signal_event, RONDO__FN(signal->cb), &signum, signal->arg);
}

static bool can_be_watched(int signum) {
    switch (signum) {
    case SIGKILL:
    case SIGSTOP:
    case SIGSEGV: /* these four come again and again until their cause is gone */
    case SIGBUS:
    case SIGFPE:
    case SIGILL: return false;
    default: return signum >= 1 && signum <= SIGNAL_MAX;
    }
}

static int start(rondo_signal *signal, int signum, bool once, rondo_signal_cb cb, void *arg) {
    if (rondo__handle_closing(&signal->base)) return RONDO_ECLOSED;
    if (!can_be_watched(signum) || !cb) return RONDO_EINVAL;
    int error = rondo__signal_watch_start(signal->base.loop, &signal->watch, signum);
    if (error < 0) return error;
    signal->once = once;
    signal->cb = cb;
    signal->arg = arg;
    rondo__handle_activate(&signal->base);
    return 0;
}

rondo_signal *rondo_signal_new_at(rondo_loop *loop, const char *site) {
    RONDO__CHECK_LOOP(loop);
    rondo_signal *signal = rondo__handle_new(loop, &signal_kind, site);
    if (signal) rondo__signal_watch_init(&signal->watch, arrive);
    return signal;
}

int rondo_signal_start(rondo_signal *signal, int signum, rondo_signal_cb cb, void *arg) {
    RONDO__CHECK(signal, &signal_kind);
    return start(signal, signum, false, cb, arg);
}

int rondo_signal_start_once(rondo_signal *signal, int signum, rondo_signal_cb cb, void *arg) {
    RONDO__CHECK(signal, &signal_kind);
    return start(signal, signum, true, cb, arg);
}

int rondo_signal_stop(rondo_signal *signal) {
    RONDO__CHECK(signal, &signal_kind);
    if (rondo__handle_closing(&signal->base)) return RONDO_ECLOSED;
    stop(signal);
    return 0;
}

void rondo__signals_init(rondo_loop *loop) {
    rondo__list_init(&loop->signals.started);
    loop->signals.place = -1;
    rondo__source_add(loop, &loop->signals.source, drain);
}

void rondo__signals_fini(rondo_loop *loop) {
    sigset_t before;
    if (loop->signals.place < 0) return;
    place *mine = &places[loop->signals.place];
    if (loop->pid != getpid()) { /* there is nobody to wait for; who held the lock has gone too */
        atomic_store(&mine->wanted, 0);
        atomic_store(&mine->loop, NULL);
        return;
    }
    enter(&before);
    atomic_store(&mine->wanted, 0);
    atomic_store(&mine->loop, NULL);
    while (atomic_load(&mine->users) > 0) sched_yield();
    leave(&before);
    loop->signals.place = -1;
}
