/* SPDX-License-Identifier: MIT
 *
 * Rondo in a process for each core: nothing is shared, so nothing is locked. Each process has a listening socket of its own on the same
 * port, and the kernel deals out the connections by a hash of their addresses (SO_REUSEPORT, socket(7)). The parent has opened the
 * sockets and keeps them, so that what waits in the queue of a process that died is served by the one that replaces it.
 */
#include "compare/server.h"
#include "compare/visitor.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES_MOST 1024

model_main cluster_main;

static int listeners[PROCESSES_MOST];
static pid_t children[PROCESSES_MOST];

static pid_t begin_process(const model_settings *settings, unsigned index, unsigned count) {
    pid_t child = server_fork();

    if (child < 0) server_say("has a process less than it should: fork: %s", strerror(errno));
    if (child != 0) return child;
    for (unsigned i = 0; i < count; i++)
        if (i != index) close(listeners[i]);
    _exit(visitor_serve(settings, listeners[index], visitor_begin_here));
}

int cluster_main(const model_settings *settings) {
    unsigned count = settings->workers != 0 ? settings->workers : server_cores();

    if (count > PROCESSES_MOST) count = PROCESSES_MOST;
    if (server_listen_shared(settings, listeners, count) < 0) return 1;
    server_begin_family();
    for (;;) {
        for (unsigned i = 0; i < count; i++)
            if (children[i] <= 0) children[i] = begin_process(settings, i, count);
        pid_t ended = wait(NULL);
        if (ended < 0) sleep(1); /* there are none: fork(2) failed */
        for (unsigned i = 0; i < count; i++)
            if (children[i] == ended) children[i] = 0;
    }
}
