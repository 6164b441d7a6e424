/* SPDX-License-Identifier: MIT
 *
 * What a stream keeps when it is used as a terminal: in its `extra`, made at first use. Internal.
 */
#ifndef RONDO__TERMINAL_H
#define RONDO__TERMINAL_H

#include <rondo/base.h>

/* The stream closes; its fd is still open. Harmless when it isn't used as a terminal. */
void rondo__terminal_stop(rondo_stream *stream);

#endif
