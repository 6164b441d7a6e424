/* SPDX-License-Identifier: MIT
 *
 * What this process has changed about things that others have too, and must be as they were when it
 * ends, stops or has no more use for them: the mode of a terminal, and the O_NONBLOCK of a
 * descriptor that could not be opened anew. Process-wide; any thread. Internal.
 */
#ifndef RONDO__BORROW_H
#define RONDO__BORROW_H

#include <rondo/tty.h>

/* Changes the terminal's mode, or gives it back (NORMAL, by whoever changed it). Then it is owner's,
 * until somebody else changes it. Errors of rondo_tty_set_mode(). */
int rondo__borrow_mode(int fd, rondo_tty_mode mode, const void *owner);
/* Sets O_NONBLOCK, unless it was found set, on one of the three standard descriptors: 0, or an error.
 * They may be the same thing under two numbers, so they are given back together, when none of them
 * has an owner any more. */
int rondo__borrow_nonblock(int number, int fd, bool found, const void *owner);
/* Gives back what is owner's. */
void rondo__borrow_end(const void *owner);

/* Puts back all that is changed now, without forgetting it; async-signal-safe. */
void rondo__borrow_put_back(void);
/* And changes it again. Not terminals that a foreground process has now. */
void rondo__borrow_take_again(void);

#endif
