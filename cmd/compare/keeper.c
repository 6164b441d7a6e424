/* SPDX-License-Identifier: MIT
 *
 * rondo compare: the keeper (see server.h). It is one thread that waits for one of three things: its server has ended, the runner
 * wants the end, the runner is gone.
 */
#define _GNU_SOURCE /* sched_setaffinity, CPU_SET */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GRACE_MS 1000
#define CLEAR_MS 10000

static long long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Each round kills what there is; what was forked meanwhile is killed by the next. */
bool keeper_clear(void) {
    for (long long end = now_ms() + CLEAR_MS; now_ms() < end;) {
        pid_t ended;
        while ((ended = waitpid(-1, NULL, WNOHANG)) > 0 || (ended < 0 && errno == EINTR)) continue;
        if (ended < 0) return true; /* ECHILD */
        pid_t *below;
        size_t count = tree_below(getpid(), &below);
        for (size_t i = 0; i < count; i++) kill(below[i], SIGKILL);
        free(below);
        usleep(1000);
    }
    return false;
}

_Noreturn static void be_server(char *const argv[], const core_set *cores, int errors,
                                pid_t keeper) {
    sigset_t none;
    int null = open("/dev/null", O_RDWR);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper) _exit(1);
    if (cores->pinned) {
        cpu_set_t set;
        CPU_ZERO(&set);
        for (unsigned i = 0; i < cores->count; i++) CPU_SET(cores->first + i, &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    dup2(null, 0);
    dup2(null, 1);
    dup2(errors, 2);
    for (int signum = 1; signum < NSIG; signum++) signal(signum, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(argv[0], argv);
    dprintf(2, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* The line is the last one unless the server has said something. */
static void tell_end(int errors, int status) {
    if (WIFSIGNALED(status))
        dprintf(errors, "\n\001killed by signal %d (%s)\n", WTERMSIG(status),
                strsignal(WTERMSIG(status)));
    else
        dprintf(errors, "\n\001ended with status %d\n", WEXITSTATUS(status));
}

/* Reaps what has ended. Returns whether the server is among them. */
static bool reap(pid_t main, int *ret_status) {
    bool gone = false;
    int status;
    for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (ended != main) continue;
        gone = true;
        *ret_status = status;
    }
    return gone;
}

/* Until the server has ended or the runner wants it to, or is gone. Returns whether it has ended. */
static bool watch(pid_t main, int signals, int control, int errors) {
    struct pollfd fds[2] = {{.fd = control, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    bool ended = false;
    for (;;) {
        struct signalfd_siginfo info;
        int status;
        if (poll(fds, 2, -1) < 0 && errno != EINTR) return ended;
        if (fds[0].revents) return ended; /* a word or an end: both are the end */
        if (!fds[1].revents) continue;
        if (read(signals, &info, sizeof info) != sizeof info) continue;
        if (info.ssi_signo == SIGTERM) return ended;
        if (!ended && reap(main, &status)) {
            ended = true; /* what it has left keeps running until the runner has looked */
            tell_end(errors, status);
        }
    }
}

static void end_main(pid_t main) {
    int status;
    kill(main, SIGTERM);
    for (long long end = now_ms() + GRACE_MS; now_ms() < end; usleep(500))
        if (reap(main, &status)) return;
}

_Noreturn void keeper_run(char *const argv[], const core_set *cores, int control, int errors) {
    sigset_t all, watched;
    pid_t keeper = getpid();
    setsid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_NAME, "compare-keeper"); /* so that pkill(1) rondo doesn't find it */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    signal(SIGCHLD, SIG_DFL);
    int signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    pid_t main = fork();
    if (main == 0) be_server(argv, cores, errors, keeper);
    if (main < 0) {
        dprintf(errors, "fork: %s\n\001no process\n", strerror(errno));
        _exit(1);
    }
    if (signals < 0 || !watch(main, signals, control, errors)) end_main(main);
    _exit(keeper_clear() ? 0 : 1);
}
