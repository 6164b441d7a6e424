/* SPDX-License-Identifier: MIT
 *
 * What stands between one thread and another, without any library: handing over something that does nothing, and having it back.
 *
 *   handover WAY
 *
 *   spin     both look at a counter of the other's again and again
 *   futex    both sleep by futex(2), and each wakes the other
 *   sleep    as a pool does it without spinning: a lock and a condition variable there, eventfd(2) and epoll back
 *
 * For each line `empty IN_FLIGHT COUNT` of its input it does that COUNT times, so many at a time (spin; the others one), and prints
 * `SECONDS CPU_SECONDS`, as the programs of files.h do, or `-` when it can't have so many.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { LOOKS = 4096 }; /* before one that spins suspects that the other needs its core */

/* A line of the cache each: how many were handed over so far, and how many came back. */
static struct {
    _Alignas(64) _Atomic uint32_t asked;
    _Alignas(64) _Atomic uint32_t answered;
} line;

static void wait_for(_Atomic uint32_t *counter, uint32_t seen) { /* until it is another one */
    for (unsigned looks = 1; atomic_load_explicit(counter, memory_order_acquire) == seen; looks++)
        if (looks % LOOKS == 0) sched_yield();
}

/* ---- spin ---- */

static void *spin_worker(void *arg) {
    uint32_t count = *(const uint32_t *)arg;
    for (uint32_t done = 0; done < count; done++) {
        if (atomic_load_explicit(&line.asked, memory_order_acquire) == done)
            wait_for(&line.asked, done);
        atomic_store_explicit(&line.answered, done + 1, memory_order_release);
    }
    return NULL;
}

static void spin_asker(uint32_t in_flight, uint32_t count) {
    uint32_t asked = 0, answered = 0;
    while (answered < count) {
        while (asked < count && asked - answered < in_flight)
            atomic_store_explicit(&line.asked, ++asked, memory_order_release);
        wait_for(&line.answered, answered);
        answered = atomic_load_explicit(&line.answered, memory_order_acquire);
    }
}

/* ---- futex ---- */

static void sleep_until_not(_Atomic uint32_t *counter, uint32_t seen) {
    while (atomic_load(counter) == seen)
        syscall(SYS_futex, counter, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void count_up(_Atomic uint32_t *counter) {
    atomic_fetch_add(counter, 1);
    syscall(SYS_futex, counter, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *futex_worker(void *arg) {
    uint32_t count = *(const uint32_t *)arg;
    for (uint32_t done = 0; done < count; done++) {
        sleep_until_not(&line.asked, done);
        count_up(&line.answered);
    }
    return NULL;
}

static void futex_asker(uint32_t in_flight, uint32_t count) {
    (void)in_flight;
    for (uint32_t answered = 0; answered < count; answered++) {
        count_up(&line.asked);
        sleep_until_not(&line.answered, answered);
    }
}

/* ---- sleep ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static uint32_t queued; /* under the lock */
static int back;        /* the eventfd */

static void *sleep_worker(void *arg) {
    uint32_t count = *(const uint32_t *)arg;
    uint64_t one = 1;
    for (uint32_t done = 0; done < count; done++) {
        pthread_mutex_lock(&lock);
        while (queued == 0) pthread_cond_wait(&cond, &lock);
        queued--;
        pthread_mutex_unlock(&lock);
        if (write(back, &one, sizeof one) != sizeof one) abort();
    }
    return NULL;
}

static void sleep_asker(uint32_t in_flight, uint32_t count) {
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    uint64_t value;
    (void)in_flight;
    epoll_ctl(epoll, EPOLL_CTL_ADD, back, &event);
    for (uint32_t i = 0; i < count; i++) {
        pthread_mutex_lock(&lock);
        queued++;
        pthread_mutex_unlock(&lock);
        pthread_cond_signal(&cond);
        while (epoll_wait(epoll, &event, 1, -1) < 1) {}
        if (read(back, &value, sizeof value) != sizeof value) abort();
    }
    close(epoll);
}

/* ---- what they are told ---- */

static double cpu_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void *(*worker)(void *);
        void (*asker)(uint32_t in_flight, uint32_t count);
        bool many;
    } ways[] = {{"spin", spin_worker, spin_asker, true},
                {"futex", futex_worker, futex_asker, false},
                {"sleep", sleep_worker, sleep_asker, false}};
    size_t way = 0, all = sizeof ways / sizeof *ways;
    char text[64];
    uint32_t in_flight, count;
    while (argc == 2 && way < all && strcmp(ways[way].name, argv[1]) != 0) way++;
    if (argc != 2 || way == all || (back = eventfd(0, EFD_CLOEXEC)) < 0) return 2;
    while (fgets(text, sizeof text, stdin)) {
        struct timespec a, b;
        pthread_t thread;
        if (sscanf(text, "empty %u %u", &in_flight, &count) != 2 || in_flight == 0 || count == 0)
            return 2;
        if (in_flight > 1 && !ways[way].many) {
            puts("-");
        } else {
            atomic_store(&line.asked, 0);
            atomic_store(&line.answered, 0);
            double cpu = cpu_s();
            if (pthread_create(&thread, NULL, ways[way].worker, &count) != 0) abort();
            clock_gettime(CLOCK_MONOTONIC, &a);
            ways[way].asker(in_flight, count);
            clock_gettime(CLOCK_MONOTONIC, &b);
            pthread_join(thread, NULL);
            printf("%.9f %.6f\n",
                   (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9,
                   cpu_s() - cpu);
        }
        fflush(stdout);
    }
    return 0;
}
