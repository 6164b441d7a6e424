/* SPDX-License-Identifier: MIT
 *
 * The phases of one turn, as functions: rondo__run_NAME for each line of RONDO_PHASES. Internal to
 * src/loop/.
 */
#ifndef RONDO__PHASES_H
#define RONDO__PHASES_H

#include <rondo/loop.h>

#define RONDO__PHASE_FUNCTION(name, what) void rondo__run_##name(rondo_loop *loop);
RONDO_PHASES(RONDO__PHASE_FUNCTION)
#undef RONDO__PHASE_FUNCTION

#endif
