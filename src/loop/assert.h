/* SPDX-License-Identifier: MIT
 *
 * Assertions, always compiled in, and the one place where the library prints: just before abort().
 * For bugs of the library and misuse by the caller; never for what the outside world can cause.
 */
#ifndef RONDO__ASSERT_H
#define RONDO__ASSERT_H

#include <rondo/base.h>

#define RONDO__LIKELY(x) __builtin_expect(!!(x), 1)
#define RONDO__UNLIKELY(x) __builtin_expect(!!(x), 0)
/* What is never or hardly ever called: compilers move the calls, too, away from what surrounds them, so
 * that a hot path is dense in the processor's cache. */
#define RONDO__COLD __attribute__((cold))
/* For parts of a hot path that are functions for the sake of who reads them. */
#define RONDO__INLINE static inline __attribute__((always_inline))

/* Prints "rondo: ..." and a newline to stderr and aborts. */
_Noreturn RONDO__COLD void rondo__fatal(const char *format, ...) RONDO_PRINTF(1, 2);

#define RONDO_ASSERT(condition)                                                             \
    do {                                                                                    \
        if (RONDO__UNLIKELY(!(condition)))                                                  \
            rondo__fatal("%s: %s: assertion failed: %s", RONDO_HERE, __func__, #condition); \
    } while (0)

#endif
