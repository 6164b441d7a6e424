/* SPDX-License-Identifier: MIT
 *
 * Real time, for all threads; what callbacks call "now" is in loop.h. Internal.
 */
#ifndef RONDO__LOOP_CLOCK_H
#define RONDO__LOOP_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC. */
uint64_t rondo__clock_ns(void);

#endif
