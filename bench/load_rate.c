/* SPDX-License-Identifier: MIT
 *
 * The open-loop client of the benchmarks: RATE requests a second for SECONDS, each due at a time that is fixed
 * beforehand, on whichever of CONNECTIONS connections is free. A latency is counted from when the request was due, not
 * from when it could be sent, so a server that stops answering for a while is charged for all that
 * should have been asked meanwhile (no "coordinated omission").
 *
 * It never sleeps: where the machine has a second processor it looks again and again. A timer would be late by as much as
 * a processor takes to wake up, and so would be the news of an answer; with a server whose answers take as long as that the client would be what
 * is measured. What is left is the server's own waking up. How much of the time it had something to do is
 * found by the clock; so is for how long it was held up: time between two looks at the clock that is more than its work can take,
 * because the kernel or the host of a virtual machine had given the processor to somebody else.
 *
 *   load_rate PORT CONNECTIONS RATE SECONDS
 *
 * prints "open" and waits for a line as load does; then: requests a second that were answered, its seconds with something to do, the seconds,
 * the latencies in us: median, 99 %, 99.9 % and the longest; and the seconds for which it was held up.
 */
#include "load.h"

#define HELD_UP_S 0.001 /* between two looks; all 64 connections at once take a tenth of that */

static load_connection **idle_ones; /* a stack */
static unsigned idle_count;
static double *latencies; /* s, of each request */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sends what is due at `now` as far as connections are free; how many have been sent in all. */
static uint64_t send_due(uint64_t sent, uint64_t count, double begun, double rate, double now) {
    while (sent < count && idle_count > 0 && begun + (double)sent / rate <= now) {
        load_connection *c = idle_ones[--idle_count];
        c->asked = sent++;
        c->awaited = load_answer_size;
        load_send(c->fd, 1);
    }
    return sent;
}

static void run(unsigned epoll, double rate, uint64_t count) {
    struct epoll_event events[256];
    uint64_t sent = 0, answered = 0;
    double begun = load_now_s(), now = begun, last_answer = begun, busy = 0, held_up = 0;
    int limit_ms = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 0 : 1; /* alone, the server needs it too */
    while (answered < count) {
        uint64_t before = sent;
        sent = send_due(sent, count, begun, rate, now);
        int n = epoll_wait((int)epoll, events, 256, limit_ms);
        for (int i = 0; i < n; i++) {
            load_connection *c = events[i].data.ptr;
            if (!load_take(c)) continue;
            last_answer = load_now_s();
            latencies[c->asked] = last_answer - (begun + (double)c->asked / rate);
            idle_ones[idle_count++] = c;
            answered++;
        }
        double then = now;
        now = load_now_s();
        if (now - then > HELD_UP_S)
            held_up += now - then;
        else if (n > 0 || sent > before)
            busy += now - then;
        if (now - last_answer > 10 && sent > answered)
            errno = ETIMEDOUT, load_die("no answer for 10 s");
    }
    double seconds = load_now_s() - begun;
    qsort(latencies, count, sizeof *latencies, by_value);
    printf("%.1f %.6f %.6f %.1f %.1f %.1f %.1f %.6f\n", (double)count / seconds, busy, seconds,
           latencies[count / 2] * 1e6, latencies[count * 99 / 100] * 1e6,
           latencies[count * 999 / 1000] * 1e6, latencies[count - 1] * 1e6, held_up);
}

int main(int argc, char **argv) {
    unsigned connections = argc == 5 ? (unsigned)atoi(argv[2]) : 0;
    double rate = argc == 5 ? atof(argv[3]) : 0;
    uint64_t count = argc == 5 ? (uint64_t)(rate * atof(argv[4])) : 0;
    if (connections < 1 || rate <= 0 || count < 1) {
        fprintf(stderr, "usage: load_rate PORT CONNECTIONS RATE SECONDS\n");
        return 2;
    }
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    idle_ones = calloc(connections, sizeof(load_connection *));
    latencies = calloc(count, sizeof *latencies);
    load_connection *all = load_connect(atoi(argv[1]), connections, 1, "/");
    if (!idle_ones || !latencies) load_die("calloc");
    for (unsigned i = 0; i < connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event) < 0) load_die("epoll_ctl");
        idle_ones[idle_count++] = &all[connections - 1 - i];
    }
    load_told();
    run((unsigned)epoll, rate, count);
    free(latencies), free(idle_ones), free(all);
    return 0;
}
