/* SPDX-License-Identifier: MIT
 *
 * A process for each connection: the way of inetd(8). The parent accepts and forks; the kernel reaps the children.
 */
#include "compare/client.h"
#include "compare/server.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

model_main fork_each_main;

static void serve_one(int listener, int fd, int directory) {
    static client_buffers buffers; /* copied on write, in the child alone */

    close(listener);
    client_serve(fd, directory, &buffers);
    _exit(0);
}

int fork_each_main(const model_settings *settings) {
    int listener = server_listen(settings, 0);

    if (listener < 0) return 1;
    server_begin_family();
    signal(SIGCHLD, SIG_IGN); /* no zombies (wait(2)) */
    for (;;) {
        int fd = server_accept(listener, 0);
        if (fd < 0) continue;
        pid_t child = server_fork();
        if (child == 0) serve_one(listener, fd, settings->directory);
        if (child < 0) server_say("refuses connections: fork: %s", strerror(errno));
        close(fd);
    }
}
