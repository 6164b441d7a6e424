/* SPDX-License-Identifier: MIT
 *
 * What every file with system calls needs: to make them again when a signal came, and errno as an
 * error code. Internal.
 */
#ifndef RONDO__RETRY_H
#define RONDO__RETRY_H

#include <rondo/error.h>

#include <errno.h>

/* Makes a system call again while a signal interrupts it. Not for close(2). */
#define RONDO__RETRY(result, call) \
    do {                           \
        (result) = (call);         \
    } while ((result) < 0 && errno == EINTR)

/* The error code for errno. */
static inline int rondo__errno(void) { return rondo_error_from_errno(errno); }

#endif
