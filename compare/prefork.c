/* SPDX-License-Identifier: MIT
 *
 * Processes that are there before the clients: the way of Apache's first servers. Each accepts by itself, and serves a client until
 * that leaves; the kernel wakes one of those that wait in accept(2), not all.
 */
#include "compare/client.h"
#include "compare/server.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES 256

model_main prefork_main;

static void serve_many(int listener, int directory) {
    static client_buffers buffers;

    for (;;) {
        int fd = server_accept(listener, 0);
        if (fd >= 0) client_serve(fd, directory, &buffers);
    }
}

int prefork_main(const model_settings *settings) {
    unsigned wanted = settings->workers ? settings->workers : PROCESSES, there = 0;
    int listener = server_listen(settings, 0);

    if (listener < 0) return 1;
    server_begin_family();
    for (;;) {
        while (there < wanted) {
            pid_t child = server_fork();
            if (child == 0) serve_many(listener, settings->directory);
            if (child < 0) {
                server_say("has only %u of %u processes: fork: %s", there, wanted, strerror(errno));
                break;
            }
            there++;
        }
        /* One that died is replaced; and what failed is tried again when one has, or after a second if there is none. */
        if (there == 0)
            nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        else if (wait(NULL) > 0)
            there--;
    }
}
