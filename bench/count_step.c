/* SPDX-License-Identifier: MIT
 *
 * Lets a server take the requests of many clients in step, however the machine schedules the two: loaded with
 * LD_PRELOAD, it goes on from epoll_wait() only while nobody has an exclusive lock (flock(2)) on the file
 * that COUNT_STEP names. The client (bench/clients.py) has it while it sends, so that the server finds all
 * requests at once, in one turn of its loop. Without this, how many it finds together depends on who
 * runs first, and with that what each costs.
 *
 * It has its own poll() and flock() for each turn; bench/count leaves these two out.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

static int gate = -1;

__attribute__((constructor)) static void open_gate(void) {
    const char *path = getenv("COUNT_STEP");
    if (path) gate = open(path, O_RDONLY | O_CLOEXEC);
}

/* poll() takes nothing away: what is ready stays so, edge-triggered or not. */
int epoll_pwait(int epoll, struct epoll_event *events, int count, int timeout_ms,
                const sigset_t *mask) {
    if (gate >= 0) {
        struct timespec limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000000l};
        struct pollfd ready = {.fd = epoll, .events = POLLIN};
        if (timeout_ms != 0 && ppoll(&ready, 1, timeout_ms < 0 ? NULL : &limit, mask) < 0)
            return -1; /* by a signal */
        if (flock(gate, LOCK_SH) == 0) flock(gate, LOCK_UN);
        timeout_ms = 0;
    }
    return (int)syscall(SYS_epoll_pwait, epoll, events, count, timeout_ms, mask, _NSIG / 8);
}

int epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms) {
    return epoll_pwait(epoll, events, count, timeout_ms, NULL);
}
