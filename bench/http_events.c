/* SPDX-License-Identifier: MIT
 *
 * What a channel of server-sent events costs: memory for each client, and CPU time of the server for
 * each event to all of them. The clients are one other process that reads whatever comes, on another
 * core where there is one. Prints: BYTES-A-CLIENT US-FOR-EACH-EVENT-AND-CLIENT CLIENTS
 *
 *     build/bench/http_events [CLIENTS [EVENTS]]      (10,000 and 50)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <rondo.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "from.h"

static int clients = 10000, events_to_send = 50;

static void take_core(int number) {
    cpu_set_t cores, one;
    if (sched_getaffinity(0, sizeof cores, &cores) != 0 || CPU_COUNT(&cores) < 2) return;
    int core = number == 0 ? 0 : CPU_SETSIZE - 1, step = number == 0 ? 1 : -1;
    while (!CPU_ISSET(core, &cores)) core += step;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one);
}

static void die(const char *what) {
    fprintf(stderr, "http_events: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double cpu_ms(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec * 1e3 + (double)usage.ru_utime.tv_usec / 1e3 +
           (double)usage.ru_stime.tv_sec * 1e3 + (double)usage.ru_stime.tv_usec / 1e3;
}

/* Memory of this process that is resident, in bytes. */
static long resident(void) {
    long pages = 0, all;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &all, &pages) != 2) die("statm");
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

/* ---- the server ---- */

typedef struct station {
    rondo_loop *loop;
    rondo_http_events *events;
    rondo_http_server *server;
    rondo_timer *timer;
    int sent;
    long before;
    double cpu, bytes;
} station;

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    (void)request;
    if (rondo_http_events_add(((station *)arg)->events, response) < 0) rondo_close(response);
}

static void on_turn(rondo_timer *timer, void *arg) {
    station *s = arg;
    char text[64];
    if (s->sent == events_to_send) {
        rondo_http_events_figures figures;
        rondo_http_events_get_figures(s->events, &figures);
        if (figures.clients != (size_t)clients || figures.dropped > 0 || figures.waiting > 0) {
            fprintf(stderr,
                    "http_events: %zu clients are left, %llu events were dropped, %zu wait\n",
                    figures.clients, (unsigned long long)figures.dropped, figures.waiting);
            exit(1);
        }
        printf("%.0f %.3f %zu\n", s->bytes, (cpu_ms() - s->cpu) * 1e3 / s->sent / clients,
               figures.clients);
        fflush(stdout);
        rondo_loop_stop(s->loop);
        return;
    }
    snprintf(text, sizeof text, "event number %d, and what one might say of it", s->sent++);
    rondo_http_event event = {.data = rondo_slice_text(text)};
    rondo_http_events_send(s->events, &event);
    rondo_timer_start(timer, 100, 0, on_turn, s);
}

/* The clients are all here: memory first, then events. */
static void on_count(rondo_timer *timer, void *arg) {
    station *s = arg;
    rondo_http_events_figures figures;
    rondo_http_events_get_figures(s->events, &figures);
    if (figures.clients < (size_t)clients) return;
    rondo_timer_stop(timer);
    s->bytes = (double)(resident() - s->before) / clients;
    s->cpu = cpu_ms();
    rondo_timer_start(timer, 500, 0, on_turn, s);
}

static void serve(int ready) {
    station s = {.loop = rondo_loop_new()};
    s.server = rondo_http_server_new(s.loop);
    s.events = rondo_http_events_new(s.loop, NULL);
    s.timer = rondo_timer_new(s.loop);
    rondo_http_server_on_request(s.server, on_request, &s);
    if (rondo_http_server_listen(s.server, "127.0.0.1", 0) != 0) die("listen");
    uint16_t port = rondo_http_server_port(s.server);
    s.before = resident();
    rondo_timer_start(s.timer, 50, 50, on_count, &s);
    if (write(ready, &port, sizeof port) != sizeof port) die("write");
    rondo_loop_run(s.loop, RONDO_RUN_ALL);
    exit(0);
}

/* ---- the clients ---- */

static int connect_one(uint16_t port, int number) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bench_from(fd, (unsigned)number) != 0) die("socket");
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) die("connect");
    if (send(fd, request, sizeof request - 1, 0) != sizeof request - 1) die("send");
    return fd;
}

/* Returns the server's exit status. */
static int read_all(uint16_t port, pid_t server) {
    static char buffer[65536];
    struct epoll_event found[256];
    int poll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < clients; i++) {
        int fd = connect_one(port, i);
        struct epoll_event want = {.events = EPOLLIN, .data = {.fd = fd}};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &want) != 0) die("epoll_ctl");
    }
    int status;
    while (waitpid(server, &status, WNOHANG) == 0) {
        int count = epoll_wait(poll, found, 256, 100);
        for (int i = 0; i < count; i++)
            if (recv(found[i].data.fd, buffer, sizeof buffer, MSG_DONTWAIT) == 0) {
                epoll_ctl(poll, EPOLL_CTL_DEL, found[i].data.fd, NULL);
            }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv) {
    struct rlimit limit;
    int ready[2];
    uint16_t port;
    if (argc > 1) clients = atoi(argv[1]);
    if (argc > 2) events_to_send = atoi(argv[2]);
    if (clients < 1 || events_to_send < 1) {
        fprintf(stderr, "usage: http_events [CLIENTS [EVENTS]]\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (pipe(ready) != 0) die("pipe");
    pid_t server = fork();
    if (server < 0) die("fork");
    if (server == 0) {
        take_core(0);
        serve(ready[1]);
    }
    take_core(1);
    if (read(ready[0], &port, sizeof port) != sizeof port) die("read");
    return read_all(port, server);
}
