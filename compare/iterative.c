/* SPDX-License-Identifier: MIT
 *
 * One client after the other: the smallest server there is. As long as a client stays, everybody else waits in the kernel's queue.
 */
#include "compare/client.h"
#include "compare/server.h"

model_main iterative_main;

int iterative_main(const model_settings *settings) {
    static client_buffers buffers;
    int listener = server_listen(settings, 0);

    if (listener < 0) return 1;
    for (;;) {
        int fd = server_accept(listener, 0);
        if (fd >= 0) client_serve(fd, settings->directory, &buffers);
    }
}
