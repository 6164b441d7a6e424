/* SPDX-License-Identifier: MIT
 *
 * What is borrowed, and how it is put back. Signal handlers of any thread walk the table at any
 * time, so it is static and its entries are published by their state; whoever takes one out waits
 * until no handler looks at it, with all signals blocked so that it can't wait for itself. An entry
 * belongs to the process that made it: in a child of fork(2) it counts as free.
 */
#include "net/tty/borrow.h"

#include <rondo/error.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "loop/assert.h"
#include "net/socket.h"
#include "net/tty/device.h"
#include "net/tty/farewell.h"

#define TERMINALS 16
#define STANDARD 3
#define ENTRIES (TERMINALS + STANDARD)

typedef struct entry {
    atomic_bool there;   /* the fields below are valid */
    atomic_bool wanted;  /* it is to be changed; false after rondo_tty_reset() */
    atomic_bool changed; /* and is */
    bool terminal;       /* its mode; else O_NONBLOCK, of the standard descriptor of this place */
    bool found;          /* O_NONBLOCK was set already, perhaps by us under another number */
    pid_t pid;
    int fd; /* a copy of our own */
    const void *owner;
    uint64_t id; /* of the terminal */
    struct termios before;
    struct termios now[2]; /* of which one counts: the other may be written */
    atomic_int which;
} entry;

static entry entries[ENTRIES];
static atomic_uint walkers; /* handlers that look at the table */
/* Guards who is in the table; held with all signals blocked. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void enter(sigset_t *ret_before) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, ret_before);
    pthread_mutex_lock(&lock);
}

static void leave(const sigset_t *before) {
    pthread_mutex_unlock(&lock);
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* ---- one entry; signals blocked, SIGTTOU among them: see tcsetattr(3) ---- */

static void put_back(entry *it) {
    if (!atomic_exchange(&it->changed, false)) return;
    if (!it->terminal && !it->found)
        rondo__device_set_blocking(it->fd, true);
    else if (it->terminal && !rondo__device_in_background(it->fd)) /* it is not another's now */
        rondo__device_set_mode(it->fd, &it->before);
}

static int change(entry *it) {
    if (!it->terminal) return it->found ? 0 : rondo__device_set_blocking(it->fd, false);
    return rondo__device_set_mode(it->fd, &it->now[atomic_load(&it->which)]);
}

static void take_again(entry *it) {
    if (!atomic_load(&it->wanted)) return;
    if (it->terminal && rondo__device_in_background(it->fd)) return;
    atomic_store(&it->changed, true);
    change(it);
}

/* ---- all of them; async-signal-safe ---- */

static void each(void (*act)(entry *)) {
    sigset_t all, before;
    pid_t pid = getpid();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_fetch_add(&walkers, 1);
    for (unsigned i = 0; i < ENTRIES; i++)
        if (atomic_load(&entries[i].there) && entries[i].pid == pid) act(&entries[i]);
    atomic_fetch_sub(&walkers, 1);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void rondo__borrow_put_back(void) { each(put_back); }

void rondo__borrow_take_again(void) { each(take_again); }

static void reset(entry *it) {
    if (!it->terminal) return; /* the streams still count on it */
    atomic_store(&it->wanted, false);
    put_back(it);
}

void rondo_tty_reset(void) { each(reset); }

/* ---- in and out; the lock is held ---- */

static void forget(entry *it) {
    atomic_store(&it->there, false);
    while (atomic_load(&walkers) > 0) sched_yield();
    rondo__socket_close(it->fd);
    for (unsigned i = 0; i < ENTRIES; i++)
        if (atomic_load(&entries[i].there)) return;
    rondo__farewell_release();
}

static bool is_there(entry *it) {
    if (!atomic_load(&it->there)) return false;
    if (it->pid == getpid()) return true;
    forget(it); /* our parent's */
    return false;
}

/* Publishes first and changes then, so that nothing is ever changed that nobody would put back. */
static int publish(entry *it) {
    int status = rondo__farewell_at_exit();
    if (status == 0) it->fd = status = rondo__device_copy(it->fd);
    if (status < 0) return status;
    it->pid = getpid();
    atomic_store(&it->wanted, true);
    atomic_store(&it->changed, true);
    atomic_store(&it->there, true);
    rondo__farewell_catch();
    status = change(it);
    if (status < 0) forget(it);
    return status;
}

/* ---- terminals ---- */

static struct termios changed_mode(const struct termios *before, rondo_tty_mode mode) {
    struct termios now = *before;
    if (mode == RONDO_TTY_RAW) {
        cfmakeraw(&now);
    } else {
        now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    }
    now.c_cc[VMIN] = 1;
    now.c_cc[VTIME] = 0;
    return now;
}

static entry *find(uint64_t id) {
    for (unsigned i = 0; i < TERMINALS; i++)
        if (is_there(&entries[i]) && entries[i].id == id) return &entries[i];
    return NULL;
}

static int begin(int fd, uint64_t id, rondo_tty_mode mode, const void *owner) {
    entry *it = entries;
    while (it < entries + TERMINALS && is_there(it)) it++;
    if (it == entries + TERMINALS) return RONDO_EMFILE;
    int status = rondo__device_get_mode(fd, &it->before);
    if (status < 0) return status;
    it->terminal = true;
    it->fd = fd;
    it->id = id;
    it->owner = owner;
    it->now[0] = changed_mode(&it->before, mode);
    atomic_store(&it->which, 0);
    return publish(it);
}

static int change_again(entry *it, rondo_tty_mode mode, const void *owner) {
    int other = 1 - atomic_load(&it->which);
    it->now[other] = changed_mode(&it->before, mode);
    atomic_store(&it->which, other);
    atomic_store(&it->wanted, true);
    atomic_store(&it->changed, true);
    it->owner = owner;
    return change(it);
}

static int set_mode(int fd, rondo_tty_mode mode, const void *owner) {
    uint64_t id;
    int status = rondo__device_terminal_id(fd, &id);
    if (status < 0) return status;
    entry *it = find(id);
    if (mode == RONDO_TTY_NORMAL) {
        if (!it) return 0;
        put_back(it);
        forget(it);
        return 0;
    }
    if (rondo__device_in_background(fd)) return RONDO_EPERM;
    return it ? change_again(it, mode, owner) : begin(fd, id, mode, owner);
}

int rondo__borrow_mode(int fd, rondo_tty_mode mode, const void *owner) {
    sigset_t before;
    enter(&before);
    int status = set_mode(fd, mode, owner);
    leave(&before);
    return status;
}

/* ---- O_NONBLOCK ---- */

int rondo__borrow_nonblock(int number, int fd, bool found, const void *owner) {
    sigset_t before;
    int status = 0;
    RONDO_ASSERT(number >= 0 && number < STANDARD);
    entry *it = &entries[TERMINALS + number];
    enter(&before);
    if (is_there(it)) { /* left by a stream that has closed, since the others have not */
        RONDO_ASSERT(!it->owner);
        it->owner = owner;
    } else {
        it->terminal = false;
        it->found = found;
        it->fd = fd;
        it->owner = owner;
        status = publish(it);
    }
    leave(&before);
    return status;
}

static void end_nonblock(void) {
    for (unsigned i = TERMINALS; i < ENTRIES; i++)
        if (is_there(&entries[i]) && entries[i].owner) return;
    for (unsigned i = TERMINALS; i < ENTRIES; i++) {
        if (!is_there(&entries[i])) continue;
        put_back(&entries[i]);
        forget(&entries[i]);
    }
}

void rondo__borrow_end(const void *owner) {
    sigset_t before;
    enter(&before);
    for (unsigned i = 0; i < ENTRIES; i++) {
        entry *it = &entries[i];
        if (!is_there(it) || it->owner != owner) continue;
        it->owner = NULL;
        if (!it->terminal) continue;
        put_back(it);
        forget(it);
    }
    end_nonblock();
    leave(&before);
}
