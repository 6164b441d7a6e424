/* SPDX-License-Identifier: MIT
 *
 * Calls that raise SIGPIPE and have no flag against it: write(2), writev(2), sendfile(2), splice(2)
 * to a pipe. The signal is blocked for the time of the call and taken back if it was raised. Two
 * cheap system calls more; setting SIG_IGN for good would change the program's and its children's
 * signals. Any thread. Internal.
 */
#ifndef RONDO__SIGPIPE_H
#define RONDO__SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

typedef struct rondo__sigpipe {
    sigset_t before;
    bool blocked; /* it was blocked already: one that is raised may stay pending */
} rondo__sigpipe;

void rondo__sigpipe_block(rondo__sigpipe *guard);
/* raised: the call failed with EPIPE, or may have. Leaves errno alone. */
void rondo__sigpipe_restore(const rondo__sigpipe *guard, bool raised);

#endif
