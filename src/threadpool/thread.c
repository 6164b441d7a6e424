/* SPDX-License-Identifier: MIT
 *
 * Threads as the system offers them. What only Linux has stands here: the names of threads, a
 * nice level of each, and the set of cores that a process may use.
 */
#define _GNU_SOURCE /* pthread_setname_np, sched_getaffinity, adaptive mutexes */
#include "threadpool/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "loop/assert.h"

/* A handler that runs on a worker surprises everybody, and what it interrupts there would be an
 * EINTR in the user's work: signals for the process go to threads of the user. The ones that a
 * thread causes by its own fault stay: blocked, they would kill without the report of a handler. */
static void worker_mask(sigset_t *mask) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigfillset(mask);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) sigdelset(mask, faults[i]);
}

bool rondo__thread_start(pthread_t *ret_thread, size_t stack_bytes, void *(*run)(void *),
                         void *arg) {
    pthread_attr_t attr;
    sigset_t mask, before;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (stack_bytes > SIZE_MAX - page || pthread_attr_init(&attr) != 0) return false;
    pthread_attr_setstacksize(&attr, (stack_bytes + page - 1) / page * page);
    worker_mask(&mask);
    /* Inherited, so that there is no moment without. */
    pthread_sigmask(SIG_SETMASK, &mask, &before);
    int error = pthread_create(ret_thread, &attr, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return error == 0;
}

void rondo__thread_set_name(const char *name) {
    char cut[16]; /* 15 bytes and the NUL is what the kernel keeps */
    snprintf(cut, sizeof cut, "%s", name);
    pthread_setname_np(pthread_self(), cut);
}

void rondo__thread_set_nice(int nice) {
    /* 0 is the caller: on Linux that is the thread, not the process (setpriority(2), NOTES). */
    (void)setpriority(PRIO_PROCESS, 0, nice);
}

unsigned rondo__thread_cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return (unsigned)CPU_COUNT(&set);
    long cores = sysconf(_SC_NPROCESSORS_ONLN); /* more cores than the set has room for */
    return cores > 0 ? (unsigned)cores : 1;
}

void rondo__lock_init(pthread_mutex_t *lock) {
    pthread_mutexattr_t attr;
    if (rondo__thread_cores() < 2 || pthread_mutexattr_init(&attr) != 0) {
        pthread_mutex_init(lock, NULL);
        return;
    }
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP /* glibc */
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
    pthread_mutex_init(lock, &attr);
    pthread_mutexattr_destroy(&attr);
}

bool rondo__cond_init(pthread_cond_t *cond) {
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0) return false;
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int error = pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
    return error == 0;
}

bool rondo__cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns) {
    if (deadline_ns == UINT64_MAX) {
        pthread_cond_wait(cond, lock);
        return true;
    }
    struct timespec at = {(time_t)(deadline_ns / 1000000000), (long)(deadline_ns % 1000000000)};
    int error = pthread_cond_timedwait(cond, lock, &at);
    RONDO_ASSERT(error == 0 || error == ETIMEDOUT);
    return error == 0;
}

uint64_t rondo__deadline_after(uint64_t now_ns, uint64_t delay_ms) {
    return delay_ms < (UINT64_MAX - now_ns) / 1000000 ? now_ns + delay_ms * 1000000 : UINT64_MAX;
}

static atomic_uint forks;

static void on_fork_in_child(void) { atomic_fetch_add(&forks, 1); }

bool rondo__count_forks(void) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static bool counting;
    pthread_mutex_lock(&lock); /* loops of several threads may come here at once */
    if (!counting) counting = pthread_atfork(NULL, NULL, on_fork_in_child) == 0;
    bool ok = counting;
    pthread_mutex_unlock(&lock);
    return ok;
}

unsigned rondo__forks(void) { return atomic_load(&forks); }
