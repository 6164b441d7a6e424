/* SPDX-License-Identifier: MIT
 *
 * What the pool needs of the system's threads beyond POSIX's plain calls. Internal.
 */
#ifndef RONDO__THREAD_H
#define RONDO__THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Starts a thread with so much stack, in whole pages, and signals blocked. False when the system
 * refuses. */
bool rondo__thread_start(pthread_t *ret_thread, size_t stack_bytes, void *(*run)(void *),
                         void *arg);
/* Sets the nice level of the calling thread alone; one that the system refuses is ignored. */
void rondo__thread_set_nice(int nice);
/* Names the calling thread for ps, top and gdb; cut to what the system allows. */
void rondo__thread_set_name(const char *name);
/* How many cores this process may use, at least 1. */
unsigned rondo__thread_cores(void);

/* A lock that is held for so short that whoever finds it taken looks again a few times before it sleeps,
 * where there are cores for both and the C library has such locks. */
void rondo__lock_init(pthread_mutex_t *lock);

/* A condition variable that waits by the monotonic clock. False when out of memory. */
bool rondo__cond_init(pthread_cond_t *cond);
/* The deadline is one of rondo__clock_ns(); UINT64_MAX waits for ever. Returns false when the time is over. */
bool rondo__cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns);
/* The time delay_ms after now_ns; cut to UINT64_MAX. */
uint64_t rondo__deadline_after(uint64_t now_ns, uint64_t delay_ms);

/* From the first rondo__count_forks() on, rondo__forks() says how many forks lead to this process:
 * a pool whose number is an older one has no threads here. False when out of memory. */
bool rondo__count_forks(void);
unsigned rondo__forks(void);

#endif
