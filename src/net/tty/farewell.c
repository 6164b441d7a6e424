/* SPDX-License-Identifier: MIT
 *
 * Exit and signals. A signal is caught only where the program has left its disposition alone, and
 * does then what it would have done: the handler puts back what is borrowed, restores the default
 * and raises the signal again, so that whoever waits for the process sees how it died.
 *
 * rondo_signal_start() of the same signal takes the place of the handler here and later puts it back,
 * perhaps when nothing is borrowed any more: then it has nothing to put back, and the rest is the
 * same.
 */
#include "net/tty/farewell.h"

#include <rondo/error.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "net/tty/borrow.h"

/* ---- exit ---- */

static pthread_mutex_t exit_lock = PTHREAD_MUTEX_INITIALIZER;

static void at_exit(void) {
    rondo__stdio_hand_over(); /* a program's last words to its terminal are in the terminal's mode */
    rondo__borrow_put_back();
}

int rondo__farewell_at_exit(void) {
    static bool registered;
    pthread_mutex_lock(&exit_lock);
    if (!registered) registered = atexit(at_exit) == 0;
    int status = registered ? 0 : RONDO_ENOMEM;
    pthread_mutex_unlock(&exit_lock);
    return status;
}

/* ---- signals ---- */

/* Those whose default is the end of the process (signal(7)), and the two of job control. */
static const int caught[] = {SIGHUP,  SIGINT,    SIGQUIT, SIGILL,  SIGTRAP, SIGABRT,
                             SIGBUS,  SIGFPE,    SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE,
                             SIGALRM, SIGTERM,   SIGXCPU, SIGXFSZ, SIGSYS,  SIGPROF,
                             SIGIO,   SIGVTALRM, SIGTSTP, SIGCONT};

static void set_default(int signum) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(signum, &action, NULL);
}

static void handler(int signum);

static void set_handler(int signum) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    sigaction(signum, &action, NULL);
}

/* Stops here until SIGCONT: the default, let through at once. */
static void stop_now(int signum) {
    sigset_t only, before;
    sigemptyset(&only);
    sigaddset(&only, signum);
    set_default(signum);
    raise(signum);
    pthread_sigmask(SIG_UNBLOCK, &only, &before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    set_handler(signum);
}

static void handler(int signum) {
    int saved = errno;
    if (signum != SIGCONT) rondo__borrow_put_back();
    if (signum == SIGTSTP) stop_now(signum);
    if (signum == SIGTSTP || signum == SIGCONT) {
        rondo__borrow_take_again();
    } else {
        set_default(signum);
        raise(signum); /* it is blocked, and kills when this handler returns */
    }
    errno = saved;
}

/* Changes those whose handler is `from`. */
static void change(void (*from)(int), void (*to)(int signum)) {
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) {
        struct sigaction now;
        bool plain = sigaction(caught[i], NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO);
        if (plain && now.sa_handler == from) to(caught[i]);
    }
}

void rondo__farewell_catch(void) { change(SIG_DFL, set_handler); }

void rondo__farewell_release(void) { change(handler, set_default); }
