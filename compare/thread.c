/* SPDX-License-Identifier: MIT
 *
 * A thread for each connection: the baseline, as small as it can be made. Threads are detached, so nobody has to join them; their
 * stacks hold what a connection needs, of which the kernel provides only pages that are touched, and end at a guard page.
 */
#include "compare/client.h"
#include "compare/server.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

model_main thread_main;

static int directory;

static void *serve_one(void *arg) {
    client_buffers buffers; /* 32 of the 64 KiB */

    client_serve((int)(intptr_t)arg, directory, &buffers);
    return NULL;
}

int thread_main(const model_settings *settings) {
    int listener = server_listen(settings, 0);
    pthread_attr_t how;
    pthread_t thread;

    if (listener < 0) return 1;
    directory = settings->directory;
    pthread_attr_init(&how);
    pthread_attr_setstacksize(&how, SERVER_STACK);
    pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
    for (;;) {
        int fd = server_accept(listener, 0);
        if (fd < 0) continue;
        int error = pthread_create(&thread, &how, serve_one, (void *)(intptr_t)fd);
        if (error == 0) continue;
        server_say("refuses connections: pthread_create: %s", strerror(error));
        close(fd);
    }
}
