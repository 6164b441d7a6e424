/* SPDX-License-Identifier: MIT
 *
 * The ways in which a process ends or stops, and what has to happen then: what is queued for
 * standard output leaves, and what was borrowed is put back. Process-wide. Internal.
 */
#ifndef RONDO__FAREWELL_H
#define RONDO__FAREWELL_H

/* Has it happen at exit: 0 or RONDO_ENOMEM. */
int rondo__farewell_at_exit(void);

/* Has what is borrowed put back by signals that end or stop the process, as long as their
 * disposition is the default; idempotent. Under the lock of borrow.c, all signals blocked. */
void rondo__farewell_catch(void);
/* No more. */
void rondo__farewell_release(void);

/* In stdio.c: hands all that is queued for standard output and error to the kernel. */
void rondo__stdio_hand_over(void);

#endif
