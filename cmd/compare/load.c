/* SPDX-License-Identifier: MIT
 *
 * rondo compare: the generator's process. A fork without exec, so that what it finds out is in memory that both share: it is not
 * lost when the run is broken off. They talk in single octets over a pair of sockets: ready, go, done, quit.
 */
#define _GNU_SOURCE /* close_range */
#include "load.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct generator {
    pid_t pid; /* 0: ended */
    int control;
    bool broke; /* it has ended by itself */
    load_outcome *outcome;
};

_Noreturn static void be_generator(const load_task *task, load_outcome *outcome, int control,
                                   pid_t runner) {
    sigset_t none;
    /* A keeper knows by the end of a pipe that the runner is gone: no end of it may be open here. */
    if (control > 3) close_range(3, (unsigned)control - 1, 0);
    close_range((unsigned)control + 1, ~0u, 0);
    /* Ctrl-C is for the runner, who then ends us. */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != runner) _exit(1);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    if (task->core >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET((unsigned)task->core, &set);
        sched_setaffinity(0, sizeof set, &set);
    }
    _exit(load_client_run(task, outcome, control));
}

generator *load_begin(const load_task *task) {
    int pair[2];
    pid_t runner = getpid();
    generator *self = calloc(1, sizeof *self);
    if (!self) return NULL;
    self->outcome = mmap(NULL, sizeof *self->outcome, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (self->outcome == MAP_FAILED) goto no_memory;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) goto no_sockets;
    self->pid = fork();
    if (self->pid == 0) {
        close(pair[0]);
        be_generator(task, self->outcome, pair[1], runner);
    }
    close(pair[1]);
    self->control = pair[0];
    if (self->pid > 0) return self;
    close(pair[0]);
no_sockets:
    munmap(self->outcome, sizeof *self->outcome);
no_memory:
    free(self);
    return NULL;
}

int load_fd(const generator *self) { return self->control; }

load_event load_next(generator *self) {
    char what;
    ssize_t got;
    do got = recv(self->control, &what, 1, 0);
    while (got < 0 && errno == EINTR);
    if (got == 1 && what == 'r') return LOAD_READY;
    if (got == 1 && what == 'd') return LOAD_DONE;
    self->broke = true;
    return LOAD_BROKE;
}

bool load_broke(const generator *self) { return self->broke; }

void load_go(generator *self) { send(self->control, "g", 1, MSG_NOSIGNAL); }

/* It has a second to close its connections. */
void load_end(generator *self) {
    int status;
    if (self->pid == 0) return;
    send(self->control, "q", 1, MSG_NOSIGNAL);
    for (int i = 0; i < 200; i++) {
        pid_t ended = waitpid(self->pid, &status, WNOHANG);
        if (ended == self->pid) self->pid = 0;
        if (ended != 0) break;
        usleep(i < 20 ? 500 : 5000);
    }
    if (self->pid != 0) {
        kill(self->pid, SIGKILL);
        while (waitpid(self->pid, &status, 0) < 0 && errno == EINTR) continue;
    }
    self->pid = 0;
}

load_outcome *load_outcome_of(generator *self) { return self->outcome; }

void load_free(generator *self) {
    if (!self) return;
    load_end(self);
    close(self->control);
    munmap(self->outcome, sizeof *self->outcome);
    free(self);
}
