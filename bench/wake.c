/* SPDX-License-Identifier: MIT
 *
 * How long a loop that sleeps takes to be woken by another thread: from just before the call that wakes it to its callback, in four
 * ways: eventfd(2) and epoll by hand, the floor; ev_async, uv_async (where libuv is installed) and rondo_async.
 * The thread and the loop have a processor each. The thread waits until it has been answered, and then for a while, so that the
 * loop is asleep again.
 *
 *   wake      for each line `MODEL COUNT` of its input prints the median of the latencies in us; `-` when there is no such model
 */
#define _GNU_SOURCE
#include <ev.h>
#include <pthread.h>
#include <rondo.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#if defined(__has_include)
#if __has_include(<uv.h>)
#include <uv.h>
#define HAVE_UV 1
#endif
#endif

enum { ASLEEP_NS = 50000, MOST = 1000000 };

static void (*wake)(void);
static unsigned count;
static _Atomic unsigned answered;
static _Atomic uint64_t called_ns;
static uint64_t latencies[MOST];

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* In every model's callback; true when it was the last one. */
static bool answer(void) {
    uint64_t now = now_ns();
    unsigned number = atomic_load(&answered);
    latencies[number] = now - atomic_load(&called_ns);
    atomic_store(&answered, number + 1);
    return number + 1 == count;
}

static cpu_set_t cores; /* that the program may use */

static void take_core(bool last) {
    cpu_set_t one;
    int core = last ? CPU_SETSIZE - 1 : 0;
    CPU_ZERO(&one);
    while (!CPU_ISSET(core, &cores)) core += last ? -1 : 1;
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one);
}

static void *sender(void *arg) {
    take_core(true);
    for (unsigned i = 0; i < count; i++) {
        uint64_t until = now_ns() + ASLEEP_NS;
        while (now_ns() < until) {}
        atomic_store(&called_ns, now_ns());
        wake();
        while (atomic_load(&answered) <= i) sched_yield();
    }
    return NULL;
}

static pthread_t begin(void (*with)(void)) {
    pthread_t thread;
    wake = with;
    atomic_store(&answered, 0);
    if (pthread_create(&thread, NULL, sender, NULL) != 0) abort();
    return thread;
}

/* ---- eventfd ---- */

static int eventfd_fd;
static void wake_eventfd(void) {
    uint64_t one = 1;
    if (write(eventfd_fd, &one, sizeof one) != sizeof one) abort();
}
static void run_eventfd(void) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    uint64_t value;
    eventfd_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    epoll_ctl(epoll, EPOLL_CTL_ADD, eventfd_fd, &event);
    pthread_t thread = begin(wake_eventfd);
    do {
        while (epoll_wait(epoll, &event, 1, -1) < 1) {}
        if (read(eventfd_fd, &value, sizeof value) < 0) abort();
    } while (!answer());
    pthread_join(thread, NULL);
    close(eventfd_fd);
    close(epoll);
}

/* ---- libev ---- */

static struct ev_loop *ev;
static ev_async ev_waker;
static void wake_ev(void) { ev_async_send(ev, &ev_waker); }
static void on_ev(struct ev_loop *loop, ev_async *watcher, int events) {
    if (answer()) ev_async_stop(loop, watcher);
}
static void run_ev(void) {
    ev = ev_loop_new(EVFLAG_NOENV);
    ev_async_init(&ev_waker, on_ev);
    ev_async_start(ev, &ev_waker);
    pthread_t thread = begin(wake_ev);
    ev_run(ev, 0);
    pthread_join(thread, NULL);
    ev_loop_destroy(ev);
}

/* ---- libuv ---- */

#ifdef HAVE_UV
static uv_async_t uv_handle;
static void wake_uv(void) { uv_async_send(&uv_handle); }
static void on_uv(uv_async_t *handle) {
    if (answer()) uv_close((uv_handle_t *)handle, NULL);
}
static void run_uv(void) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    uv_async_init(&loop, &uv_handle, on_uv);
    pthread_t thread = begin(wake_uv);
    uv_run(&loop, UV_RUN_DEFAULT);
    pthread_join(thread, NULL);
    uv_loop_close(&loop);
}
#endif

/* ---- Rondo ---- */

static rondo_async *async;
static void wake_rondo(void) { rondo_async_send(async); }
static void on_rondo(rondo_async *handle, void *arg) {
    if (answer()) rondo_close(handle);
}
static void run_rondo(void) {
    rondo_loop *loop = rondo_loop_new();
    async = rondo_async_new(loop, on_rondo, NULL);
    pthread_t thread = begin(wake_rondo);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    pthread_join(thread, NULL);
    rondo_loop_free(loop);
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int main(void) {
    static const struct {
        const char *name;
        void (*run)(void);
    } models[] = {{"eventfd", run_eventfd},
                  {"libev", run_ev},
#ifdef HAVE_UV
                  {"libuv", run_uv},
#endif
                  {"rondo", run_rondo}};
    char line[64], name[32];
    if (sched_getaffinity(0, sizeof cores, &cores) < 0) return 1;
    take_core(false);
    while (fgets(line, sizeof line, stdin)) {
        size_t i = 0, all = sizeof models / sizeof *models;
        if (sscanf(line, "%31s %u", name, &count) != 2 || count == 0 || count > MOST) return 2;
        while (i < all && strcmp(models[i].name, name) != 0) i++;
        if (i < all) models[i].run();
        qsort(latencies, count, sizeof *latencies, by_value);
        if (i < all)
            printf("%.3f\n", (double)latencies[count / 2] / 1e3);
        else
            printf("-\n");
        fflush(stdout);
    }
    return 0;
}
