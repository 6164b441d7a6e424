/* SPDX-License-Identifier: MIT
 *
 * The open-loop client of the benchmarks: RATE requests a second for SECONDS, each due at a time that is fixed
 * beforehand, on whichever of CONNECTIONS connections is free. A latency is counted from when the request was due, not
 * from when it could be sent, so a server that stops answering for a while is charged for all that
 * should have been asked meanwhile (no "coordinated omission").
 *
 *   load_rate PORT CONNECTIONS RATE SECONDS
 *
 * prints "open" and waits for a line as load does; then: requests a second that were answered, its own seconds of processor time, the seconds,
 * and the latencies in us: median, 99 %, 99.9 % and the longest.
 */
#include "load.h"

#include <sys/prctl.h>

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
    double begun = load_now_s(), cpu = load_cpu_s(), now = begun;
    while (answered < count) {
        sent = send_due(sent, count, begun, rate, now);
        /* Until the next one is due; with none free, or all sent, until an answer comes. */
        double wait =
            sent < count && idle_count > 0 ? begun + (double)sent / rate - load_now_s() : 10;
        struct timespec limit = {(time_t)wait, (long)((wait - (double)(time_t)wait) * 1e9)};
        if (wait < 0) limit = (struct timespec){0, 0};
        int n = epoll_pwait2((int)epoll, events, 256, &limit, NULL);
        now = load_now_s();
        if (n == 0 && wait >= 10) errno = ETIMEDOUT, load_die("no answer for 10 s");
        for (int i = 0; i < n; i++) {
            load_connection *c = events[i].data.ptr;
            if (!load_take(c)) continue;
            latencies[c->asked] = load_now_s() - (begun + (double)c->asked / rate);
            idle_ones[idle_count++] = c;
            answered++;
        }
    }
    double seconds = load_now_s() - begun;
    cpu = load_cpu_s() - cpu;
    qsort(latencies, count, sizeof *latencies, by_value);
    printf("%.1f %.6f %.6f %.1f %.1f %.1f %.1f\n", (double)count / seconds, cpu, seconds,
           latencies[count / 2] * 1e6, latencies[count * 99 / 100] * 1e6,
           latencies[count * 999 / 1000] * 1e6, latencies[count - 1] * 1e6);
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
    prctl(PR_SET_TIMERSLACK, 1); /* ns */
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
