/* SPDX-License-Identifier: MIT
 *
 * The closed-loop client of the benchmarks: a raw epoll loop that keeps CONNECTIONS connections to 127.0.0.1:PORT busy
 * with DEPTH pipelined requests each, until as many answers have arrived as it is told.
 *
 *   load PORT CONNECTIONS DEPTH [PATH]
 *
 * prints "open" when each connection has been used once; the line that it then reads says how many requests,
 * and it prints how many it were, the seconds, and its own seconds of processor time. The
 * input's end closes the connections, which are idle before.
 */
#include "load.h"

static void run(load_connection *connections, unsigned count, unsigned depth, uint64_t requests) {
    struct epoll_event events[256];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    uint64_t asked = 0, answered = 0;
    double begun = load_now_s(), cpu = load_cpu_s();
    for (unsigned i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &event) < 0) load_die("epoll_ctl");
        if (asked >= requests) continue;
        load_send(connections[i].fd, depth);
        connections[i].awaited = depth * load_answer_size;
        asked += depth;
    }
    while (answered < asked) {
        int n = epoll_wait(epoll, events, 256, 10000);
        if (n == 0) errno = ETIMEDOUT, load_die("no answer for 10 s");
        for (int i = 0; i < n; i++) {
            load_connection *c = events[i].data.ptr;
            if (!load_take(c)) continue;
            answered += depth;
            if (asked >= requests) continue;
            load_send(c->fd, depth);
            c->awaited = depth * load_answer_size;
            asked += depth;
        }
    }
    printf("%llu %.6f %.6f\n", (unsigned long long)answered, load_now_s() - begun,
           load_cpu_s() - cpu);
}

int main(int argc, char **argv) {
    unsigned count = argc > 3 ? (unsigned)atoi(argv[2]) : 0;
    unsigned depth = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
    if (argc > 5 || depth < 1 || depth > LOAD_DEPTH || count < 1) {
        fprintf(stderr, "usage: load PORT CONNECTIONS DEPTH [PATH]\n");
        return 2;
    }
    load_connection *connections =
        load_connect(atoi(argv[1]), count, depth, argc > 4 ? argv[4] : "/");
    uint64_t requests = (uint64_t)load_told();
    if (requests > 0) run(connections, count, depth, requests);
    free(connections);
    return 0;
}
