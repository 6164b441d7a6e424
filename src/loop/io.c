/* SPDX-License-Identifier: MIT
 *
 * Readiness and sleep: the only file in which libev runs. libev reports; the order is our own. It
 * pops what is pending last in first out, so each batch is pushed to the front of a list, which
 * restores the kernel's order; then the batch joins loop->ready.
 *
 * Watchers of other libraries (rondo_loop_ev) run inside libev, which offers no hook around a
 * single one of them: they pass the door together, one visit a batch (docs/decisions/0002).
 */
#include "loop/io.h"

#include <errno.h>
#include <ev.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop/loop.h"
#include "loop/memory.h"
#include "loop/retry.h"

_Static_assert(sizeof(rondo__ev_io) == sizeof(ev_io), "rondo__ev_io has the size of ev_io");
_Static_assert(_Alignof(rondo__ev_io) >= _Alignof(ev_io), "and its alignment");
_Static_assert(RONDO__READABLE == EV_READ && RONDO__WRITABLE == EV_WRITE, "same bits as libev's");

typedef struct rondo__ev {
    ev_timer sleep;      /* the next deadline */
    uint64_t sleep_ns;   /* what it is set to; UINT64_MAX: stopped */
    ev_prepare foreign;  /* never started, only fed: runs between our watchers and the others' */
    bool handed_out;     /* rondo_loop_ev() was called */
    uint64_t foreign_ns; /* what the others' watchers took of this wait */
    rondo__list batch;   /* rondo__io that this wait found ready */
} rondo__ev;

/* ---- watchers ---- */

static ev_io *watcher_of(rondo__io *io) { return (ev_io *)(void *)&io->watcher; }

/* libev's callback: only queues. What was reported is kept in `data`. */
static void on_ready(struct ev_loop *ev, ev_io *watcher, int events) {
    rondo_loop *loop = ev_userdata(ev);
    rondo__io *io = RONDO__OF(watcher, rondo__io, watcher);
    watcher->data = (void *)(uintptr_t)(unsigned)(events & (EV_READ | EV_WRITE));
    rondo__list_remove(&io->ready);
    rondo__list_push_front(&loop->ev_parts->batch, &io->ready);
}

void rondo__io_init(rondo__io *io, int fd, void (*run)(rondo_loop *, rondo__io *, int)) {
    ev_io *watcher = watcher_of(io);
    ev_io_init(watcher, on_ready, fd, 0);
    ev_set_priority(watcher, EV_MAXPRI); /* before the watchers of others: see `foreign` */
    rondo__list_init(&io->ready);
    io->run = run;
}

int rondo__io_watched(const rondo__io *io) {
    const ev_io *watcher = (const ev_io *)(const void *)&io->watcher;
    return watcher->active ? watcher->events & (EV_READ | EV_WRITE) : 0;
}

int rondo__io_reported(const rondo__io *io) {
    const ev_io *watcher = (const ev_io *)(const void *)&io->watcher;
    return (int)(uintptr_t)watcher->data;
}

int rondo__io_watch(rondo_loop *loop, rondo__io *io, int events) {
    ev_io *watcher = watcher_of(io);
    int before = rondo__io_watched(io);
    if (events == before) return 0;
    rondo__memory_libev_starved();
    if (before) ev_io_stop(loop->ev, watcher);
    if (!events) {
        rondo__list_remove(&io->ready);
        return 0;
    }
    ev_io_modify(watcher, events);
    ev_io_start(loop->ev, watcher);
    if (!rondo__memory_libev_starved()) return 0;
    ev_io_stop(loop->ev, watcher);
    ev_io_modify(watcher, before);
    if (before) ev_io_start(loop->ev, watcher);
    return RONDO_ENOMEM;
}

void rondo__io_stop(rondo_loop *loop, rondo__io *io) {
    ev_io *watcher = watcher_of(io);
    ev_io_stop(loop->ev, watcher);
    /* A later start must tell libev to look at the fd anew: the number may be another file's. */
    ev_io_set(watcher, watcher->fd, 0);
    rondo__list_remove(&io->ready);
}

uint64_t rondo__io_round(const rondo_loop *loop) { return loop->round; }

/* ---- the batch ---- */

static void foreign_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                          void *arg) {
    (void)fn, (void)handle, (void)payload, (void)arg;
    ev_invoke_pending(loop->ev);
}
static const rondo__event foreign_event = {"ev", foreign_thunk};

static void on_foreign(struct ev_loop *ev, ev_prepare *watcher, int events) {
    rondo_loop *loop = ev_userdata(ev);
    (void)watcher, (void)events;
    if (ev_pending_count(ev) == 0) return;
    uint64_t before_ns = rondo__clock_ns();
    if (!loop->virtual_clock) loop->now_ns = before_ns; /* it is from before the sleep */
    loop->ready_ns = loop->now_ns;
    rondo__door(loop, NULL, &foreign_event, RONDO__FN(foreign_thunk), NULL, NULL);
    loop->ev_parts->foreign_ns += rondo__clock_ns() - before_ns;
}

/* libev calls this where it would call ev_invoke_pending(): twice a turn, the first time mostly for
 * nothing. */
static void invoke(struct ev_loop *ev) {
    if (ev_pending_count(ev) == 0) return;
    rondo_loop *loop = ev_userdata(ev);
    if (loop->ev_parts->handed_out) ev_feed_event(ev, &loop->ev_parts->foreign, EV_CUSTOM);
    ev_invoke_pending(ev);
    rondo__list_splice_back(&loop->ready, &loop->ev_parts->batch);
}

/* libev calls this just before it sleeps. What is pending then is an fd that the kernel has refused
 * to watch a moment ago (no memory, or no watches left): its owner must not have to wait for an
 * event that has nothing to do with it. */
static void before_sleep(struct ev_loop *ev) {
    const rondo_loop *loop = ev_userdata(ev);
    uint64_t one = 1;
    if (RONDO__LIKELY(ev_pending_count(ev) == 0)) return;
    while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {}
}

static void on_sleep_over(struct ev_loop *ev, ev_timer *watcher, int events) {
    rondo_loop *loop = ev_userdata(ev);
    (void)watcher, (void)events;
    loop->ev_parts->sleep_ns = UINT64_MAX; /* it has stopped itself */
}

/* The sources are drained at the end of the phase, whatever this says. */
static void on_wake(rondo_loop *loop, rondo__io *io, int events) {
    (void)io, (void)events;
    loop->wake_unread = true;
}

/* Not before it is looked at again: whoever woke the loop is answered first. Nobody writes to it while the loop is
 * awake, but for one that was just about to. EAGAIN is fine, somebody was faster; after any other failure
 * it is still readable, and ends the next sleep. */
static void read_wake(rondo_loop *loop) {
    uint64_t count;
    ssize_t got;
    RONDO__RETRY(got, read(loop->wake_fd, &count, sizeof count));
    (void)got;
    loop->wake_unread = false;
}

int rondo__poll_init(rondo_loop *loop) {
    rondo__memory_give_to_libev();
    rondo__memory_libev_starved();
    rondo__ev *parts = loop->ev_parts = rondo__zalloc(sizeof *parts);
    if (!parts) return RONDO_ENOMEM;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0) return RONDO_EMFILE;
    unsigned backend =
        ev_supported_backends() & EVBACKEND_EPOLL ? EVBACKEND_EPOLL : ev_recommended_backends();
    loop->ev = ev_loop_new(EVFLAG_NOENV | EVFLAG_NOTIMERFD | EVFLAG_NOINOTIFY | backend);
    if (!loop->ev) return RONDO_EMFILE;
    ev_set_userdata(loop->ev, loop);
    ev_set_invoke_pending_cb(loop->ev, invoke);
    rondo__list_init(&parts->batch);
    ev_timer_init(&parts->sleep, on_sleep_over, 0., 0.);
    ev_set_priority(&parts->sleep, EV_MAXPRI);
    parts->sleep_ns = UINT64_MAX;
    ev_prepare_init(&parts->foreign, on_foreign);
    ev_set_priority(&parts->foreign, EV_MAXPRI - 1);
    rondo__io_init(&loop->wake_io, loop->wake_fd, on_wake);
    if (rondo__memory_libev_starved()) return RONDO_ENOMEM;
    if (rondo__io_watch(loop, &loop->wake_io, RONDO__READABLE) < 0) return RONDO_ENOMEM;
    /* libev tells the kernel when it runs; when that is refused there can be no loop. */
    ev_run(loop->ev, EVRUN_NOWAIT);
    if (!rondo__io_watched(&loop->wake_io)) return RONDO_ENOMEM;
    ev_set_loop_release_cb(loop->ev, before_sleep, NULL);
    /* Arm the timer once, so that libev has its memory for it before anything depends on it. */
    ev_timer_set(&parts->sleep, 1e6, 0.);
    ev_timer_start(loop->ev, &parts->sleep);
    ev_timer_stop(loop->ev, &parts->sleep);
    return rondo__memory_libev_starved() ? RONDO_ENOMEM : 0;
}

void rondo__poll_fini(rondo_loop *loop) {
    if (loop->ev) {
        rondo__io_stop(loop, &loop->wake_io);
        ev_timer_stop(loop->ev, &loop->ev_parts->sleep);
        ev_loop_destroy(loop->ev);
    }
    if (loop->wake_fd >= 0) close(loop->wake_fd);
    rondo__free(loop->ev_parts);
    loop->ev = NULL;
    loop->ev_parts = NULL;
    loop->wake_fd = -1;
}

/* ---- the sleep ---- */

/* Sets libev's timer to the next deadline, if it isn't set to it already: deadlines of busy servers
 * rarely change from turn to turn. */
static void arm_sleep(rondo_loop *loop, uint64_t deadline_ns, uint64_t timeout_ns) {
    rondo__ev *parts = loop->ev_parts;
    if (parts->sleep_ns == deadline_ns) return;
    ev_timer_stop(loop->ev, &parts->sleep);
    parts->sleep_ns = deadline_ns;
    if (deadline_ns == UINT64_MAX) return;
    ev_now_update(loop->ev); /* the timer counts from libev's own cached time */
    ev_timer_set(&parts->sleep, (double)timeout_ns / 1e9, 0.);
    ev_timer_start(loop->ev, &parts->sleep);
}

/* Looks for a wake-up a little before it sleeps: see rondo__loop_set_spin(). Events of descriptors wait
 * meanwhile. */
static void spin(rondo_loop *loop, uint64_t before_ns, uint64_t timeout_ns) {
    if (loop->held == 0 || loop->virtual_clock || !rondo__spin_may(&loop->spins)) return;
    bool all = loop->spin_ns <= timeout_ns;
    uint64_t until_ns = before_ns + (all ? loop->spin_ns : timeout_ns);
    bool woken = rondo__spin(&loop->woken, until_ns);
    if (!woken && !all) return;
    if (!woken) loop->spin_ns = 0;
    rondo__spin_ended(&loop->spins, !woken);
}

void rondo__poll_wait(rondo_loop *loop, uint64_t timeout_ns) {
    if (loop->wake_unread) read_wake(loop);
    uint64_t before_ns = rondo__clock_ns();
    loop->waits_since_ns = before_ns;
    if (RONDO__UNLIKELY(loop->spin_ns > 0) && timeout_ns > 0) spin(loop, before_ns, timeout_ns);
    loop->ev_parts->foreign_ns = 0;
    atomic_store(&loop->asleep, true);
    if (atomic_load(&loop->woken)) timeout_ns = 0;
    if (timeout_ns > 0) {
        uint64_t deadline_ns = timeout_ns == UINT64_MAX ? UINT64_MAX : loop->now_ns + timeout_ns;
        if (deadline_ns < UINT64_MAX && !loop->virtual_clock)
            timeout_ns = deadline_ns > before_ns ? deadline_ns - before_ns : 0;
        if (timeout_ns > 0) arm_sleep(loop, deadline_ns, timeout_ns);
    }
    ev_run(loop->ev, timeout_ns > 0 ? EVRUN_ONCE : EVRUN_NOWAIT);
    atomic_store(&loop->asleep, false);
    uint64_t after_ns = loop->waited_until_ns = rondo__clock_ns();
    loop->metrics.asleep_ns += after_ns - before_ns - loop->ev_parts->foreign_ns;
    if (!loop->virtual_clock) loop->now_ns = after_ns;
    loop->ready_ns = loop->now_ns;
}

struct ev_loop *rondo_loop_ev(rondo_loop *loop) {
    RONDO__CHECK_LOOP(loop);
    loop->ev_parts->handed_out = true;
    return loop->ev;
}
