/* SPDX-License-Identifier: MIT
 *
 * Signals as callbacks. The same signal may be watched by many handles on many loops; each gets it.
 * While anyone watches a signal its disposition is Rondo's; after the last one stops it is what it
 * was before. As in the kernel, equal signals that arrive faster than they are handled are one.
 * A signal that arrives before anyone watches it ends the program, or is lost where it is ignored, as
 * SIGINT is in a shell's background job: start before you tell others that you are ready.
 * Loop thread only.
 */
#ifndef RONDO_SIGNAL_H
#define RONDO_SIGNAL_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*rondo_signal_cb)(rondo_signal *signal, int signum, void *arg);

#define rondo_signal_new(loop) rondo_signal_new_at((loop), RONDO_HERE)
RONDO_API rondo_signal *rondo_signal_new_at(rondo_loop *loop, const char *site);

/* Watches signum (see signal(7)); starting again replaces what was watched. Returns 0,
 * RONDO_EINVAL for a number that can't be caught (or SIGSEGV, SIGBUS, SIGFPE, SIGILL, which must
 * not), RONDO_EMFILE when 256 loops watch signals already, RONDO_ECLOSED. */
RONDO_API int rondo_signal_start(rondo_signal *signal, int signum, rondo_signal_cb cb, void *arg);
/* The same, stopped just before its first callback. */
RONDO_API int rondo_signal_start_once(rondo_signal *signal, int signum, rondo_signal_cb cb,
                                      void *arg);
RONDO_API int rondo_signal_stop(rondo_signal *signal);

#ifdef __cplusplus
}
#endif
#endif
