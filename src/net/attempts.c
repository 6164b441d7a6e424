/* SPDX-License-Identifier: MIT
 *
 * The race for a connection. One attempt after another is begun: the next one when the latest has
 * failed, or has been on its way for the delay. Earlier ones go on; the first that connects wins,
 * and the others are closed. Nobody is given up for being slow: how long all of it may take is for
 * whoever started it.
 *
 * An address is put off, not given up, while the trouble is ours and passes: no descriptor as long as
 * other attempts hold some, or a Unix socket whose backlog is full. Nothing tells when that is over,
 * so it is tried again after pauses that grow.
 */
#include "net/attempts.h"

#include <rondo/error.h>
#include <rondo/loop.h>

#include "loop/alarm.h"
#include "loop/handle.h"
#include "loop/io.h"
#include "loop/memory.h"
#include "net/socket.h"
#include "net/socket_connect.h"

#define PAUSE_LEAST_MS 1
#define PAUSE_MOST_MS 128

typedef struct attempt {
    rondo__io io;
    rondo__attempts *all;
    rondo_address address;
    int fd; /* -1: not begun, or over */
} attempt;

struct rondo__attempts {
    rondo_loop *loop;
    rondo__task begin;
    rondo__alarm next; /* if there is another attempt, it is begun then */
    uint32_t delay_ms;
    uint32_t pause_ms; /* the next one */
    rondo_address local;
    uint16_t local_port;
    void (*done)(void *arg, int fd_or_error);
    void *arg;
    int error; /* of the attempt that came furthest; 0: none has failed */
    unsigned count, begun, running;
    attempt each[];
};

/* ---- which ones, in which order ---- */

/* Only addresses of the local one's family can be reached from it. */
static bool can_reach(const rondo__attempts_plan *plan, const rondo_address *address) {
    return plan->local.len == 0 || rondo__address_af(&plan->local) == rondo__address_af(address);
}

/* The index of the next address, from `at` on, that is of the family of the first or is not. */
static size_t find(const rondo__attempts_plan *plan, size_t at, bool like_first) {
    rondo_family first = rondo_address_family(&plan->addresses[0]);
    while (at < plan->count &&
           ((rondo_address_family(&plan->addresses[at]) == first) != like_first ||
            !can_reach(plan, &plan->addresses[at])))
        at++;
    return at;
}

/* The families in turn, beginning with that of the best address (RFC 8305, 4). Returns how many. */
static unsigned interleave(const rondo__attempts_plan *plan, rondo_address *ret, unsigned most) {
    size_t at[2] = {find(plan, 0, true), find(plan, 0, false)};
    unsigned count = 0;
    bool like_first = true;
    while (count < most && (at[0] < plan->count || at[1] < plan->count)) {
        size_t *which = &at[like_first ? 0 : 1];
        if (*which < plan->count) {
            ret[count++] = plan->addresses[*which];
            *which = find(plan, *which + 1, like_first);
        }
        like_first = !like_first;
    }
    return count;
}

/* ---- the outcome ---- */

/* How far an attempt got that ended like this: nowhere, as far as this machine, onto the network, or
 * to the other end. */
static int distance(int error) {
    switch (error) {
    case RONDO_EAFNOSUPPORT:
    case RONDO_EADDRNOTAVAIL:
    case RONDO_EINVAL: return 0;
    case RONDO_ENETUNREACH: return 1;
    case RONDO_EADDRINUSE: /* the local one */
    case RONDO_EMFILE:
    case RONDO_ENFILE:
    case RONDO_ENOMEM:
    case RONDO_ENOBUFS:
    case RONDO_EAGAIN: return 2;
    case RONDO_EHOSTUNREACH: return 3;
    case RONDO_ETIMEDOUT: return 4;
    case RONDO_ECONNREFUSED:
    case RONDO_ECONNRESET: return 6;
    default: return 5; /* a firewall, and other rare things */
    }
}

static void note_failure(rondo__attempts *all, int error) {
    if (all->error == 0 || distance(error) > distance(all->error)) all->error = error;
}

static void finish(rondo__attempts *all, int fd_or_error) {
    void (*done)(void *, int) = all->done;
    void *arg = all->arg;
    rondo__attempts_cancel(all);
    done(arg, fd_or_error);
}

/* ---- one attempt ---- */

static void on_ready(rondo_loop *loop, rondo__io *io, int events);

static const rondo_address *local_for(const rondo__attempts *all, const rondo_address *target,
                                      rondo_address *space) {
    if (all->local.len > 0) return &all->local;
    if (all->local_port == 0) return NULL;
    bool v6 = rondo__address_af(target) == AF_INET6;
    int status = rondo_address_parse(v6 ? "::" : "0.0.0.0", all->local_port, space);
    RONDO_ASSERT(status == 0);
    return space;
}

/* Returns a connected fd, RONDO_EAGAIN while it is under way, or how it failed; *ret_put_off: it was
 * not even begun. */
static int begin(rondo__attempts *all, attempt *one, bool *ret_put_off) {
    rondo_address space;
    bool done;
    int fd = rondo__socket_connect(&one->address, local_for(all, &one->address, &space), &done);
    bool full = fd == RONDO_EMFILE || fd == RONDO_ENFILE || fd == RONDO_ENOBUFS;
    *ret_put_off = fd == RONDO_EAGAIN || (full && all->running > 0);
    if (fd < 0 || done) return fd;
    rondo__io_init(&one->io, fd, on_ready);
    if (rondo__io_watch(all->loop, &one->io, RONDO__WRITABLE) < 0) {
        rondo__io_stop(all->loop, &one->io);
        rondo__socket_close(fd);
        return RONDO_ENOMEM;
    }
    one->fd = fd;
    all->running++;
    return RONDO_EAGAIN;
}

/* Returns its descriptor, which nobody watches any more. */
static int leave(attempt *one) {
    int fd = one->fd;
    rondo__io_stop(one->all->loop, &one->io);
    one->fd = -1;
    one->all->running--;
    return fd;
}

/* ---- all of them ---- */

static void begin_next_in(rondo__attempts *all, uint32_t delay_ms) {
    uint64_t now_ns = rondo_loop_now_ns(all->loop);
    rondo__alarm_set(all->loop, &all->next, now_ns + delay_ms * UINT64_C(1000000));
}

static void put_off(rondo__attempts *all) {
    begin_next_in(all, all->pause_ms);
    if (all->pause_ms < PAUSE_MOST_MS) all->pause_ms *= 2;
}

/* Begins attempts until one is on its way. */
static void go_on(rondo__attempts *all) {
    while (all->begun < all->count) {
        bool is_put_off;
        int fd = begin(all, &all->each[all->begun], &is_put_off);
        if (is_put_off) {
            put_off(all);
            return;
        }
        all->begun++;
        if (fd >= 0) {
            finish(all, fd);
            return;
        }
        if (fd == RONDO_EAGAIN) {
            if (all->begun < all->count) begin_next_in(all, all->delay_ms);
            return;
        }
        note_failure(all, fd);
    }
    if (all->running == 0) finish(all, all->error);
}

static void on_begin(rondo_loop *loop, rondo__task *task) {
    (void)loop;
    go_on(RONDO__OF(task, rondo__attempts, begin));
}

static void on_next(rondo_loop *loop, rondo__alarm *alarm) {
    (void)loop;
    go_on(RONDO__OF(alarm, rondo__attempts, next));
}

static void on_ready(rondo_loop *loop, rondo__io *io, int events) {
    attempt *one = RONDO__OF(io, attempt, io);
    rondo__attempts *all = one->all;
    (void)loop, (void)events;
    int status = rondo__socket_connect_result(one->fd, &one->address);
    if (status == RONDO_EAGAIN) {
        if (rondo__io_watched(io)) return;
        status = RONDO_ENOMEM; /* the kernel refuses to watch it: nothing would be heard any more */
    }
    int fd = leave(one);
    if (status == 0) {
        finish(all, fd);
        return;
    }
    rondo__socket_close(fd);
    note_failure(all, status);
    go_on(all);
}

/* ---- life ---- */

rondo__attempts *rondo__attempts_new(rondo_loop *loop, const rondo__attempts_plan *plan) {
    rondo_address order[RONDO__ATTEMPTS_MOST];
    unsigned count = plan->count > 0 ? interleave(plan, order, RONDO__ATTEMPTS_MOST) : 0;
    rondo__attempts *all = rondo__zalloc(sizeof *all + count * sizeof *all->each);
    if (!all) return NULL;
    all->loop = loop;
    all->delay_ms = plan->delay_ms;
    all->pause_ms = PAUSE_LEAST_MS;
    all->local = plan->local;
    all->local_port = plan->local_port;
    all->done = plan->done;
    all->arg = plan->arg;
    all->error = count > 0 ? 0 : RONDO_EAFNOSUPPORT;
    all->count = count;
    for (unsigned i = 0; i < count; i++) {
        all->each[i].all = all;
        all->each[i].address = order[i];
        all->each[i].fd = -1;
    }
    rondo__alarm_init(&all->next, on_next);
    rondo__task_init(&all->begin, on_begin);
    rondo__defer(loop, &all->begin);
    return all;
}

void rondo__attempts_cancel(rondo__attempts *all) {
    rondo__task_cancel(&all->begin);
    rondo__alarm_clear(&all->next);
    for (unsigned i = 0; i < all->begun; i++)
        if (all->each[i].fd >= 0) rondo__socket_close(leave(&all->each[i]));
    RONDO_ASSERT(all->running == 0);
    rondo__free(all);
}
