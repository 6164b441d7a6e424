/* SPDX-License-Identifier: MIT
 *
 * rondo compare: what the generator does when. The idle and slow connections are opened first, then the busy ones; then the server
 * is warmed; then, when the runner says so, requests are counted for as long as the task says.
 *
 * Arrivals are sent in a prepare hook, which runs once in each turn of the loop. What wakes the loop for the next one is a
 * timerfd(2): the loop's own timers sleep by whole milliseconds, in which a fast server answers a hundred requests.
 */
#define _GNU_SOURCE /* asprintf */
#include "load_client.h"

#include <ev.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 10
#define OPENING_MOST 100 /* at a time: below any server's backlog */
#define DRAIN_MS 250
#define SETTLE_NS UINT64_C(300000000)
#define SIP_TICKS 25 /* a slow reader takes 1 KiB four times a second */

uint64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static double cpu_seconds(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

void client_blame(client *self, const char *format, ...) {
    va_list args;
    if (self->outcome->reason[0] != '\0' || self->phase == PHASE_OVER) return;
    va_start(args, format);
    vsnprintf(self->outcome->reason, sizeof self->outcome->reason, format, args);
    va_end(args);
}

static void tell(client *self, const char *what) {
    rondo_write(self->control, rondo_slice_of(what, 1));
}

/* ---- samples ---- */

static void note(client *self, uint64_t intended_ns, uint64_t now_ns) {
    load_outcome *outcome = self->outcome;
    uint64_t us = now_ns > intended_ns ? (now_ns - intended_ns) / 1000 : 0;
    if (us < self->least_us) self->least_us = (uint32_t)us;
    if (outcome->sample_count == LOAD_SAMPLES_MOST) {
        outcome->unsaved++;
        return;
    }
    outcome->samples[outcome->sample_count++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void client_answered(client *self, connection *conn, uint64_t now_ns) {
    if ((self->phase != PHASE_RUN && self->phase != PHASE_DRAIN) || conn->role != ROLE_BUSY ||
        conn->stale)
        return;
    self->outcome->done++;
    self->in_flight--;
    self->answer_ns = now_ns;
    if (self->task->kinds[conn->kind].apart)
        self->outcome->apart++;
    else
        note(self, conn->intended_ns, now_ns);
}

/* ---- the free connections, first in first out: all of them get their turn ---- */

static void push_free(client *self, connection *conn) {
    conn->next_free = NULL;
    if (self->free_last)
        self->free_last->next_free = conn;
    else
        self->free_first = conn;
    self->free_last = conn;
}

static connection *pop_free(client *self) {
    while (self->free_first) {
        connection *conn = self->free_first;
        self->free_first = conn->next_free;
        if (!self->free_first) self->free_last = NULL;
        conn->listed = false;
        if (conn->state == STATE_FREE) return conn;
    }
    return NULL;
}

static void enter(client *self, phase next);

/* ---- arrivals ---- */

static void serve_queue(client *self) {
    while (self->queue_out != self->queue_in) {
        connection *conn = pop_free(self);
        if (!conn) return;
        arrival next = self->queue[self->queue_out++ % QUEUE_ROOM];
        connection_send(conn, next.kind, next.intended_ns);
    }
}

static void take_arrivals(client *self, uint64_t now_ns) {
    while (self->next_ns <= now_ns) {
        unsigned kind = arrivals_kind(&self->arrivals);
        if (self->queue_in - self->queue_out < QUEUE_ROOM)
            self->queue[self->queue_in++ % QUEUE_ROOM] = (arrival){self->next_ns, kind};
        else
            self->outcome->lost++;
        self->next_ns = arrivals_next(&self->arrivals);
    }
}

static void on_prepare(rondo_prepare *prepare, void *arg) {
    client *self = arg;
    (void)prepare;
    if (self->task->rate <= 0) return;
    if (self->phase == PHASE_DRAIN && self->in_flight == 0 && self->queue_out == self->queue_in)
        enter(self, PHASE_OVER);
    if (self->phase != PHASE_RUN) return;
    take_arrivals(self, clock_ns());
    serve_queue(self);
    if (self->armed_ns == self->next_ns || self->next_ns == UINT64_MAX) return;
    self->armed_ns = self->next_ns;
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(self->next_ns / 1000000000),
                                           .tv_nsec = (long)(self->next_ns % 1000000000)}};
    timerfd_settime(self->timerfd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* It has woken the loop: that was its work. It stays readable until it is set again, which the hook does. */
static void on_timerfd(struct ev_loop *loop, ev_io *watcher, int events) {
    (void)loop, (void)watcher, (void)events;
}

/* ---- the phases ---- */

static void opened_one(client *self) {
    self->settled++;
    if (self->settled == self->last - self->first) enter(self, self->phase + 1);
}

static void open_more(client *self) {
    while (self->next < self->last && self->opening < OPENING_MOST) {
        connection *conn = &self->connections[self->next++];
        connection_open(conn);
        if (!conn->stream) opened_one(self);
    }
}

static void enter_opening(client *self, unsigned first, unsigned last) {
    self->first = self->next = first;
    self->last = last;
    self->settled = 0;
    if (first == last)
        enter(self, self->phase + 1);
    else
        open_more(self);
}

static void send_next(client *self, connection *conn, uint64_t now_ns) {
    connection_send(conn, arrivals_kind(&self->arrivals), now_ns);
}

static void begin_closed(client *self) {
    uint64_t now = clock_ns();
    connection *conn;
    while ((conn = pop_free(self))) send_next(self, conn, now);
}

static bool all_free(const client *self) {
    for (unsigned i = 0; i < self->task->connections; i++)
        if (self->connections[i].state == STATE_WAITING) return false;
    return true;
}

static void on_end(rondo_timer *timer, void *arg);

/* Connections that still wait for an answer to what warmed the server count from now on: in the closed loop they are part of it,
 * in the open one they are as good as closed. */
static void enter_run(client *self) {
    uint64_t now = clock_ns();
    self->run_ns = self->answer_ns = now;
    self->least_us = UINT32_MAX;
    self->cpu_s = cpu_seconds();
    self->outcome->refused = self->outcome->resets = self->outcome->timeouts = 0;
    for (unsigned i = 0; i < self->task->connections; i++) {
        connection *conn = &self->connections[i];
        conn->stale = conn->state == STATE_WAITING && self->task->rate > 0;
        conn->intended_ns = now;
        if (conn->state == STATE_WAITING && !conn->stale) self->in_flight++;
    }
    arrivals_init(&self->arrivals, self->task);
    rondo_timer_start(self->end, (uint64_t)(self->task->seconds * 1000 + 0.5), 0, on_end, self);
    if (self->task->rate > 0) {
        arrivals_begin(&self->arrivals, now);
        self->next_ns = arrivals_next(&self->arrivals);
    } else {
        begin_closed(self);
    }
}

/* A connection on which nothing was ever answered counts for no latency: the others had what it did not get. But a server that
 * leaves some standing does not keep up with as many as there are. Where hardly anybody was answered that is not the reason. */
static void count_served(client *self) {
    unsigned all = self->task->connections, unserved = 0;
    for (unsigned i = 0; i < all; i++)
        unserved += self->connections[i].state == STATE_WAITING && !self->connections[i].stands;
    if (unserved > 0 && self->outcome->done >= all)
        client_blame(self, "only %u of %u connections were served", all - unserved, all);
}

static void enter_over(client *self) {
    uint64_t now = clock_ns();
    load_outcome *outcome = self->outcome;
    double took = (double)(now - self->run_ns) / 1e9;
    outcome->busy = (cpu_seconds() - self->cpu_s) / took;
    outcome->seconds = outcome->span = took;
    if (self->task->rate > 0) {
        /* An answer can't be there before it has taken the least that any took: that long there were none, at no fault. */
        uint64_t last = outcome->lost || self->in_flight || self->queue_out != self->queue_in
                            ? now
                            : self->answer_ns;
        outcome->seconds = self->task->seconds;
        outcome->span = (double)(last - self->run_ns) / 1e9;
        if (self->least_us != UINT32_MAX) outcome->span -= self->least_us / 1e6;
        if (outcome->span < outcome->seconds) outcome->span = outcome->seconds;
        for (; self->queue_out != self->queue_in; self->queue_out++) {
            const arrival *missed = &self->queue[self->queue_out % QUEUE_ROOM];
            outcome->late++;
            if (!self->task->kinds[missed->kind].apart) note(self, missed->intended_ns, now);
        }
        outcome->late += outcome->lost;
    }
    for (unsigned i = 0; i < self->task->connections; i++) {
        const connection *conn = &self->connections[i];
        if (conn->state != STATE_WAITING || conn->stale) continue;
        /* In the closed loop there is always something under way; it is late when it took all the time there was. */
        if (self->task->rate <= 0 && conn->intended_ns != self->run_ns) continue;
        outcome->late++;
        if (!self->task->kinds[conn->kind].apart) note(self, conn->intended_ns, now);
    }
    tell(self, "d");
}

static void count_standing(client *self) {
    unsigned want = self->task->idle + self->task->slow, stand = 0;
    for (unsigned i = self->task->connections; i < self->count; i++)
        if (self->connections[i].stream && self->connections[i].stands) stand++;
    self->outcome->idle_open = stand;
    if (stand < want) client_blame(self, "only %u of %u idle connections stay open", stand, want);
}

static void enter(client *self, phase next) {
    const load_task *task = self->task;
    if (next == PHASE_OVER) count_served(self); /* what is blamed after it is the end's fault */
    self->phase = next;
    self->phase_ns = clock_ns();
    self->progress_ns = 0;
    switch (next) {
    case PHASE_OPEN_IDLE: enter_opening(self, task->connections, self->count); break;
    case PHASE_OPEN_BUSY: enter_opening(self, 0, task->connections); break;
    case PHASE_WARM:
        if (task->warm_seconds > 0)
            begin_closed(self);
        else
            enter(self, PHASE_SETTLE);
        break;
    case PHASE_SETTLE:
        if (all_free(self)) enter(self, PHASE_READY);
        break;
    case PHASE_READY:
        count_standing(self);
        tell(self, "r");
        break;
    case PHASE_RUN: enter_run(self); break;
    case PHASE_DRAIN:
        take_arrivals(self, UINT64_MAX - 1); /* the last ones, if the timer came first */
        serve_queue(self);
        rondo_timer_start(self->end, DRAIN_MS, 0, on_end, self);
        break;
    case PHASE_OVER: enter_over(self); break;
    }
}

static void on_end(rondo_timer *timer, void *arg) {
    client *self = arg;
    (void)timer;
    enter(self, self->phase == PHASE_RUN && self->task->rate > 0 ? PHASE_DRAIN : PHASE_OVER);
}

static bool is_opening(const client *self) {
    return self->phase == PHASE_OPEN_IDLE || self->phase == PHASE_OPEN_BUSY;
}

void client_free(client *self, connection *conn) {
    if (is_opening(self) && conn->role != ROLE_BUSY && !conn->stands) {
        unsigned kind = conn->role == ROLE_SLOW ? LOAD_KINDS : 0;
        connection_send(conn, kind, 0);
        return;
    }
    if (conn->role == ROLE_SLOW && conn->state == STATE_FREE) {
        connection_send(conn, LOAD_KINDS, 0);
        return;
    }
    if (conn->role == ROLE_BUSY) {
        if (!conn->listed) push_free(self, conn);
        conn->listed = true;
    }
    if (is_opening(self)) {
        if (!conn->settled) opened_one(self);
        conn->settled = true;
        if (is_opening(self)) open_more(self);
    } else if (self->phase == PHASE_WARM || (self->phase == PHASE_RUN && self->task->rate <= 0)) {
        begin_closed(self);
    } else if (self->phase == PHASE_SETTLE && all_free(self)) {
        enter(self, PHASE_READY);
    } else if (self->phase == PHASE_RUN || self->phase == PHASE_DRAIN) {
        serve_queue(self);
    }
}

/* A busy one is opened again: at once when it had been open, else with the next tick. */
void client_gone(client *self, connection *conn) {
    if (is_opening(self)) {
        if (!conn->settled) opened_one(self);
        conn->settled = true;
        if (is_opening(self)) open_more(self);
    } else if (self->phase == PHASE_SETTLE && all_free(self)) {
        enter(self, PHASE_READY);
    } else if (conn->role == ROLE_BUSY && self->phase <= PHASE_DRAIN && conn->was_open) {
        conn->was_open = false;
        connection_open(conn);
    }
}

static void reopen(client *self) {
    if (self->phase < PHASE_WARM || self->phase > PHASE_DRAIN) return;
    for (unsigned i = 0; i < self->task->connections; i++)
        if (self->connections[i].state == STATE_CLOSED && self->opening < OPENING_MOST)
            connection_open(&self->connections[i]);
}

static void on_tick(rondo_timer *timer, void *arg) {
    client *self = arg;
    uint64_t now = clock_ns();
    (void)timer;
    self->ticks++;
    if (self->progress_ns == 0) self->progress_ns = now; /* there was some since the last tick */
    uint64_t patience = (uint64_t)(self->task->patience_s * 1e9);
    uint64_t most = (uint64_t)(self->task->open_s * 1e9);
    if (is_opening(self) && (now - self->progress_ns > patience || now - self->phase_ns > most))
        enter(self, self->phase + 1);
    else if (self->phase == PHASE_WARM &&
             now - self->phase_ns > (uint64_t)(self->task->warm_seconds * 1e9))
        enter(self, PHASE_SETTLE);
    else if (self->phase == PHASE_SETTLE && now - self->phase_ns > SETTLE_NS)
        enter(self, PHASE_READY);
    reopen(self);
    for (unsigned i = self->count - self->task->slow; i < self->count; i++)
        if ((self->ticks + i) % SIP_TICKS == 0) connection_sip(&self->connections[i]);
}

/* ---- beginning and end ---- */

static void on_control(rondo_stream *stream, rondo_slice chunk, void *arg) {
    client *self = arg;
    (void)stream;
    for (size_t i = 0; i < chunk.len; i++) {
        if (chunk.data[i] == 'g' && self->phase == PHASE_READY) enter(self, PHASE_RUN);
        if (chunk.data[i] == 'q') rondo_loop_stop(self->loop);
    }
}

static void on_control_end(rondo_stream *stream, void *arg) {
    client *self = arg;
    (void)stream;
    rondo_loop_stop(self->loop);
}

static bool make_request(client *self, unsigned kind, const char *target) {
    int len = asprintf(&self->requests[kind], "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", target);
    self->request_lens[kind] = (size_t)len;
    return len > 0;
}

static bool make_connections(client *self) {
    const load_task *task = self->task;
    self->count = task->connections + task->idle + task->slow;
    self->connections = calloc(self->count, sizeof *self->connections);
    self->queue = malloc(QUEUE_ROOM * sizeof *self->queue);
    if (!self->connections || !self->queue) return false;
    for (unsigned i = 0; i < self->count; i++) {
        connection *conn = &self->connections[i];
        conn->client = self;
        conn->number = i;
        conn->role = i < task->connections                ? ROLE_BUSY
                     : i < task->connections + task->idle ? ROLE_IDLE
                                                          : ROLE_SLOW;
    }
    for (unsigned i = 0; i < task->kind_count; i++)
        if (!make_request(self, i, task->kinds[i].target)) return false;
    return !task->slow_target || make_request(self, LOAD_KINDS, task->slow_target);
}

/* No clean-up: the process ends, and with resets, so that no port is left in TIME-WAIT. */
int load_client_run(const load_task *task, load_outcome *outcome, int control) {
    client self = {.task = task, .outcome = outcome};
    ev_io wake;
    self.loop = rondo_loop_new();
    self.timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (!self.loop || self.timerfd < 0 || !make_connections(&self) ||
        rondo_stream_open(self.loop, control, &self.control) < 0)
        return 1;
    rondo_stream_on_data(self.control, on_control, &self);
    rondo_stream_on_end(self.control, on_control_end, &self);
    self.tick = rondo_timer_new(self.loop);
    self.end = rondo_timer_new(self.loop);
    rondo_prepare *hook = rondo_prepare_new(self.loop);
    if (!self.tick || !self.end || !hook) return 1;
    rondo_prepare_start(hook, on_prepare, &self);
    rondo_timer_start(self.tick, TICK_MS, TICK_MS, on_tick, &self);
    ev_io_init(&wake, on_timerfd, self.timerfd, EV_READ);
    ev_io_start(rondo_loop_ev(self.loop), &wake);
    arrivals_init(&self.arrivals, task);
    self.arrivals.warming = true;
    enter(&self, PHASE_OPEN_IDLE);
    rondo_loop_run(self.loop, RONDO_RUN_ALL);
    self.phase = PHASE_OVER;
    for (unsigned i = 0; i < self.count; i++) connection_close(&self.connections[i]);
    rondo_loop_run(self.loop, RONDO_RUN_NOWAIT);
    return 0;
}
