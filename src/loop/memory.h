/* SPDX-License-Identifier: MIT
 *
 * Allocation through the hook of rondo/memory.h. Any thread. Internal.
 */
#ifndef RONDO__MEMORY_H
#define RONDO__MEMORY_H

#include <rondo/memory.h>
#include <string.h>

#include "loop/assert.h"

/* NULL when out of memory. Sizes must not be 0. */
void *rondo__alloc(size_t size);
void *rondo__zalloc(size_t size); /* zeroed */
void *rondo__realloc(void *ptr, size_t size);
void rondo__free(void *ptr); /* NULL is allowed */
char *rondo__strdup(const char *text);

/* Clears size octets, which the compiler knows, some hundred. It would make `rep stos` of a memset of
 * that size, which takes longer to begin than the stores themselves. */
RONDO__INLINE void rondo__clear(void *at, size_t size) {
    char *to = at;
    for (; size >= 64; size -= 64, to += 64) memset(to, 0, 64);
    memset(to, 0, size);
}

/* Loops that exist: while there are any, the hook may not be changed. */
void rondo__memory_pin(int change);

/* Gives libev the hook too. libev aborts when its allocator fails, so this one never does: when the
 * hook says no, it takes the memory from malloc(3) and remembers that it did. */
void rondo__memory_give_to_libev(void);
/* Whether that happened since the last question (by this thread). */
bool rondo__memory_libev_starved(void);

#endif
