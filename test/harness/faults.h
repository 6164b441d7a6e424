/* SPDX-License-Identifier: MIT
 *
 * The library's system calls in the hands of a test: they are counted, and made to fail, to do only
 * a part, or to be interrupted. Only calls of the library (and of libev: epoll) pass here; a test's
 * own calls do not. Off until a function below is called, then off again with the test's process.
 * From any thread.
 *
 *     faults_fail(CALL_send, 2, EAGAIN);          the second send from now says EAGAIN
 *     ... run the loop ...
 *     CHECK_INT(faults_count(CALL_send), 3);
 *
 * Faults are honest: nothing is lost that the kernel would not lose. What says EAGAIN or EINTR has
 * moved nothing, so that readiness brings the caller back; a short count has moved that many bytes;
 * a connection whose error ends it (ECONNRESET, EPIPE, ETIMEDOUT) is really ended, so that it goes
 * on failing; an interrupted close has closed, an interrupted connect goes on.
 */
#ifndef HARNESS_FAULTS_H
#define HARNESS_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A set of calls: CALL_send | CALL_sendmsg. calls.def says which there are. */
__extension__ typedef unsigned __int128 faults_calls;
#define FAULTS_SET(index) ((faults_calls)1 << (index))

enum {
#define CALL(name) FAULTS_INDEX_##name,
#define CALL_OF_LIBEV(name) FAULTS_INDEX_##name,
#include "calls.def"
#undef CALL
#undef CALL_OF_LIBEV
    FAULTS_INDEXES
};
#define CALL(name) \
    __attribute__((unused)) static const faults_calls CALL_##name = FAULTS_SET(FAULTS_INDEX_##name);
#define CALL_OF_LIBEV(name) CALL(name)
#include "calls.def"
#undef CALL
#undef CALL_OF_LIBEV

#define CALLS_ALL (~(faults_calls)0)
#define CALLS_READ (CALL_read | CALL_readv | CALL_recv | CALL_recvmsg | CALL_recvmmsg)
#define CALLS_WRITE (CALL_write | CALL_writev | CALL_send | CALL_sendmsg | CALL_sendmmsg)

/* --- Rules. Each holds until it has struck, or for good, or until faults_clear(). The first one
 * that fails a call hides the others from it. --------------------------------------------------- */

/* The nth matching call from now (1: the very next) fails with this errno; getaddrinfo,
 * getnameinfo and pthread_create return it. getsockopt(SO_ERROR) gives it as the pending error of the
 * socket. */
void faults_fail(faults_calls calls, unsigned nth, int error);
/* Each period-th matching call fails: 1 is every one. */
void faults_every(faults_calls calls, unsigned period, int error);

/* The nth matching call moves at most so many bytes (messages, for recvmmsg and sendmmsg); with 0
 * it returns 0 and moves nothing. A part of a file that preadv2 is made to give is taken to be in
 * the page cache. */
void faults_short(faults_calls calls, unsigned nth, size_t bytes);
void faults_limit(faults_calls calls, size_t bytes); /* the same for every matching call */

/* A reader that is always faster: what matching calls write they only claim to have written, until
 * that were so many bytes. */
void faults_pretend(faults_calls calls, uint64_t bytes);

/* The signal is raised in the thread that makes the nth matching call, during it. */
void faults_signal(faults_calls calls, unsigned nth, int signum);

/* The nth matching call stands, as on a dead network file system, until faults_let_go(); then it is
 * made. For one call of a worker at a time. */
void faults_stand(faults_calls calls, unsigned nth);
bool faults_stands(void); /* once, when it does */
void faults_let_go(void);

/* From now on directories don't say of which type their entries are (DT_UNKNOWN), as on some file
 * systems. */
void faults_hide_types(bool on);

/* Rules made from now on hold for this fd only, and only its calls are counted; -1: all. What is compared is the call's first
 * argument if it is a number (the family for socket); for epoll_ctl it is the fd that is watched. */
void faults_on_fd(int fd);

/* Rules gone, and off; what was counted stays. */
void faults_stop(void);
/* And the counts forgotten. */
void faults_clear(void);

/* --- What happened ----------------------------------------------------------------------------- */

/* Forgets the calls so far and counts from now on. The rules stay. */
void faults_watch(void);

unsigned faults_count(faults_calls calls);  /* calls made, failed ones too */
uint64_t faults_bytes(faults_calls calls);  /* that they moved, or claimed to */
unsigned faults_struck(void);               /* calls that a rule changed */
const char *faults_log(faults_calls calls); /* their names in order: "read send"; the first 1000 */

typedef struct faults_entry {
    int index;       /* FAULTS_INDEX_read... */
    int fd;          /* as for faults_on_fd(); -1: none */
    size_t size;     /* bytes asked for; epoll_wait: the timeout in ms */
    int pieces;      /* of an iovec, or messages; else 0 */
    int flags;       /* of send, recv, open ...; else 0 */
    long long value; /* what it returned */
    int error;       /* errno, if it failed */
} faults_entry;

const faults_entry *faults_last(faults_calls calls); /* the latest one; NULL: none */
const char *faults_name(int index);

/* --- Sweeps ------------------------------------------------------------------------------------ */

/* Runs the scenario again and again; the nth matching call fails (or moves at most so many bytes),
 * for n = 1, 2, ... until a run makes fewer calls than that. The scenario must say from where to
 * where faults may happen: setting up and taking down are usually not the question. It checks what
 * must hold whatever happened: faults_struck() tells whether something did. After each run nothing
 * may be left: no descriptor, thread or memory. A failure names the run.
 *
 *     static void echo(void) { ...set up...; FAULTS_BEGIN(); ...run...; FAULTS_END(); ...check... }
 *     TEST(echo_survives) { FAULT_SWEEP(echo, CALL_read | CALL_send, EAGAIN); }
 *
 * A sweep in which nothing ever struck fails. */
#define FAULT_SWEEP(scenario, calls, error) faults_sweep(scenario, #scenario, calls, error, 0)
#define FAULT_SWEEP_SHORT(scenario, calls, bytes) faults_sweep(scenario, #scenario, calls, 0, bytes)

/* Fewer runs: every call, every second, ... every 5th one. For errors that pass (EAGAIN, EINTR) only
 * from every second one: nothing would ever be done. error 0: each moves at most 1, 2, ... 5 bytes. */
#define FAULT_PERIODS(scenario, calls, error) faults_periods(scenario, #scenario, calls, error)

#define FAULTS_BEGIN() faults_arm(true)
#define FAULTS_END() faults_arm(false)

void faults_sweep(void (*scenario)(void), const char *name, faults_calls calls, int error,
                  size_t bytes);
void faults_periods(void (*scenario)(void), const char *name, faults_calls calls, int error);
void faults_arm(bool on);

#endif
