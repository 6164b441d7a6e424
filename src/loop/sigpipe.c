/* SPDX-License-Identifier: MIT
 *
 * Keeping SIGPIPE away from the program. See sigpipe.h.
 */
#include "loop/sigpipe.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

void rondo__sigpipe_block(rondo__sigpipe *guard) {
    sigset_t sigpipe;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe, &guard->before);
    guard->blocked = sigismember(&guard->before, SIGPIPE) == 1;
}

void rondo__sigpipe_restore(const rondo__sigpipe *guard, bool raised) {
    int saved = errno;
    if (!guard->blocked) {
        if (raised) {
            sigset_t sigpipe;
            struct timespec at_once = {0, 0};
            sigemptyset(&sigpipe);
            sigaddset(&sigpipe, SIGPIPE);
            while (sigtimedwait(&sigpipe, NULL, &at_once) < 0 && errno == EINTR) {}
        }
        pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
    }
    errno = saved;
}
