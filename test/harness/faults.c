/* SPDX-License-Identifier: MIT
 *
 * Rules, counts and the log. See faults.h.
 *
 * One lock around all of it, never held during a real call, with signals blocked: the library makes
 * system calls in signal handlers and on worker threads too.
 */
#define _GNU_SOURCE
#include "faults.h"

#include "harness.h"
#include "passage.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(FAULTS_INDEXES <= 128, "a set of calls is 128 bits");

typedef enum effect { FAIL_CALL, LIMIT_CALL, PRETEND_CALL, SIGNAL_CALL, STAND_CALL } effect;

typedef struct rule {
    faults_calls calls;
    int fd; /* -1: any */
    effect effect;
    uint64_t value;       /* errno, bytes or signal */
    unsigned left, again; /* matching calls until it strikes; from then on. 0: never */
} rule;

enum { MAX_RULES = 16, MAX_FDS = 1024, MAX_LOG = 1000 };

atomic_bool faults_are_on;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static rule rules[MAX_RULES];
static int rule_count;
static int only_fd = -1;
static sem_t standing, let_go;
static bool broken[MAX_FDS]; /* pipes whose reader has gone, as they were told */

static unsigned counts[FAULTS_INDEXES];
static uint64_t bytes_moved[FAULTS_INDEXES];
static faults_entry last[FAULTS_INDEXES];
static uint64_t last_at[FAULTS_INDEXES], calls_made; /* which of all calls that was; 0: none */
static unsigned char call_log[MAX_LOG];
static int logged;
static unsigned struck;

static const char *const names[] = {
#define CALL(name) #name,
#define CALL_OF_LIBEV(name) #name,
#include "calls.def"
#undef CALL
#undef CALL_OF_LIBEV
};

static void enter(sigset_t *mask) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, mask);
    pthread_mutex_lock(&lock);
}

static void leave(const sigset_t *mask) {
    pthread_mutex_unlock(&lock);
    pthread_sigmask(SIG_SETMASK, mask, NULL);
}

/* A child that was forked while another thread was in here must not wait for that thread. */
static void unlock_in_child(void) { lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER; }

__attribute__((constructor)) static void at_fork(void) {
    pthread_atfork(NULL, NULL, unlock_in_child);
}

/* ---- what rules do ---- */

static bool strikes(rule *r, const faults_entry *entry) {
    if (!(r->calls & FAULTS_SET(entry->index)) || (r->fd >= 0 && r->fd != entry->fd)) return false;
    if (r->left == 0 || --r->left > 0) return false;
    r->left = r->again;
    return true;
}

static bool writes(int index) {
    return (FAULTS_SET(index) & (CALLS_WRITE | CALL_sendfile | CALL_splice)) != 0;
}

static bool moves_data(int index) { return writes(index) || (FAULTS_SET(index) & CALLS_READ) != 0; }

/* The connection has ended, so the kernel must know: a socket is shut down, from when on it gives
 * the end and EPIPE; for a pipe it is remembered here. What has no other end (an eventfd, a file) is
 * as good as before. */
static void break_fd(int fd) {
    struct stat st;
    if (shutdown(fd, SHUT_RDWR) == 0 || errno != ENOTSOCK || fd >= MAX_FDS) return;
    if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode)) broken[fd] = true;
}

static void answer_error(passage *p, int error) {
    p->answered = true;
    p->entry.value = -1;
    p->entry.error = error;
    if (moves_data(p->entry.index) && (error == ECONNRESET || error == EPIPE || error == ETIMEDOUT))
        break_fd(p->entry.fd);
}

static void answer_bytes(passage *p, uint64_t bytes) {
    p->answered = true;
    p->entry.value = (long long)bytes;
}

/* Returns whether the call is changed. */
static bool apply(rule *r, passage *p) {
    switch (r->effect) {
    case FAIL_CALL: answer_error(p, (int)r->value); return true;
    case LIMIT_CALL:
        if (r->value == 0 && p->entry.size > 0) {
            answer_bytes(p, 0);
        } else if (r->value < p->entry.size) {
            p->entry.size = r->value;
            p->limited = true;
        }
        return p->limited || p->answered;
    case PRETEND_CALL:
        if (r->value == 0) return false;
        uint64_t part = r->value < p->entry.size ? r->value : p->entry.size;
        r->value -= part;
        answer_bytes(p, part);
        return true;
    case SIGNAL_CALL: pthread_kill(pthread_self(), (int)r->value); return true;
    case STAND_CALL: p->stands = true; return true;
    }
    return false;
}

void faults_decide(passage *p) {
    sigset_t mask;
    int saved = errno;
    enter(&mask);
    p->on = true;
    if (p->entry.fd >= 0 && p->entry.fd < MAX_FDS && broken[p->entry.fd] && writes(p->entry.index))
        answer_error(p, EPIPE);
    for (int i = 0; i < rule_count && !p->answered; i++)
        if (strikes(&rules[i], &p->entry)) struck += apply(&rules[i], p);
    leave(&mask);
    if (p->stands) {
        sem_post(&standing);
        while (sem_wait(&let_go) < 0) {}
    }
    errno = saved;
}

static void count(const faults_entry *entry) {
    counts[entry->index]++;
    if (entry->value > 0) bytes_moved[entry->index] += (uint64_t)entry->value;
    last[entry->index] = *entry;
    last_at[entry->index] = ++calls_made;
    if (logged < MAX_LOG) call_log[logged++] = (unsigned char)entry->index;
}

void faults_record(passage *p, long long value) {
    sigset_t mask;
    int saved = errno, index = p->entry.index;
    enter(&mask);
    p->entry.value = value;
    if (!p->answered) p->entry.error = value < 0 ? saved : 0;
    if (only_fd < 0 || only_fd == p->entry.fd) count(&p->entry);
    if (index == FAULTS_INDEX_close && p->entry.fd >= 0 && p->entry.fd < MAX_FDS)
        broken[p->entry.fd] = false;
    leave(&mask);
    errno = saved;
}

/* ---- what a test says ---- */

static void add_rule(faults_calls calls, effect what, uint64_t value, unsigned nth,
                     unsigned again) {
    sigset_t mask;
    if (rule_count == MAX_RULES) FAIL("more than %d rules", MAX_RULES);
    enter(&mask);
    rules[rule_count++] = (rule){calls, only_fd, what, value, nth, again};
    atomic_store(&faults_are_on, true);
    leave(&mask);
}

void faults_fail(faults_calls calls, unsigned nth, int error) {
    add_rule(calls, FAIL_CALL, (uint64_t)error, nth, 0);
}

void faults_every(faults_calls calls, unsigned period, int error) {
    add_rule(calls, FAIL_CALL, (uint64_t)error, period, period);
}

void faults_short(faults_calls calls, unsigned nth, size_t bytes) {
    add_rule(calls, LIMIT_CALL, bytes, nth, 0);
}

void faults_limit(faults_calls calls, size_t bytes) { add_rule(calls, LIMIT_CALL, bytes, 1, 1); }

void faults_pretend(faults_calls calls, uint64_t bytes) {
    add_rule(calls, PRETEND_CALL, bytes, 1, 1);
}

void faults_signal(faults_calls calls, unsigned nth, int signum) {
    add_rule(calls, SIGNAL_CALL, (uint64_t)signum, nth, 0);
}

void faults_stand(faults_calls calls, unsigned nth) {
    sem_init(&standing, 0, 0);
    sem_init(&let_go, 0, 0);
    add_rule(calls, STAND_CALL, 0, nth, 0);
}

bool faults_stands(void) { return sem_trywait(&standing) == 0; }

void faults_let_go(void) { sem_post(&let_go); }

void faults_on_fd(int fd) { only_fd = fd; }

void faults_watch(void) {
    sigset_t mask;
    enter(&mask);
    memset(counts, 0, sizeof counts);
    memset(bytes_moved, 0, sizeof bytes_moved);
    memset(last_at, 0, sizeof last_at);
    logged = 0;
    struck = 0;
    atomic_store(&faults_are_on, true);
    leave(&mask);
}

void faults_clear(void) {
    faults_watch();
    faults_stop();
}

void faults_stop(void) {
    sigset_t mask;
    enter(&mask);
    rule_count = 0;
    only_fd = -1;
    atomic_store(&faults_are_on, false);
    leave(&mask);
}

/* ---- what it can ask ---- */

static uint64_t sum(faults_calls calls, bool of_bytes) {
    sigset_t mask;
    uint64_t total = 0;
    enter(&mask);
    for (int i = 0; i < FAULTS_INDEXES; i++)
        if (calls & FAULTS_SET(i)) total += of_bytes ? bytes_moved[i] : counts[i];
    leave(&mask);
    return total;
}

unsigned faults_count(faults_calls calls) { return (unsigned)sum(calls, false); }

uint64_t faults_bytes(faults_calls calls) { return sum(calls, true); }

unsigned faults_struck(void) {
    sigset_t mask;
    enter(&mask);
    unsigned result = struck;
    leave(&mask);
    return result;
}

const char *faults_log(faults_calls calls) {
    static char text[MAX_LOG * 16];
    sigset_t mask;
    size_t used = 0;
    text[0] = '\0';
    enter(&mask);
    for (int i = 0; i < logged; i++) {
        if (!(calls & FAULTS_SET(call_log[i]))) continue;
        const char *name = names[call_log[i]];
        if (used > 0) text[used++] = ' ';
        memcpy(text + used, name, strlen(name) + 1);
        used += strlen(name);
    }
    leave(&mask);
    return text;
}

const faults_entry *faults_last(faults_calls calls) {
    uint64_t latest = 0;
    int found = 0;
    for (int i = 0; i < FAULTS_INDEXES; i++) {
        if (!(calls & FAULTS_SET(i)) || last_at[i] <= latest) continue;
        latest = last_at[i];
        found = i;
    }
    return latest > 0 ? &last[found] : NULL;
}

const char *faults_name(int index) { return names[index]; }
