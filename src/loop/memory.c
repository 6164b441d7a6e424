/* SPDX-License-Identifier: MIT
 *
 * The allocator hook. Process-wide, as libev's is; pinned while a loop exists, so that memory goes
 * back to where it came from.
 */
#include "loop/memory.h"

#include <rondo/error.h>

#include <ev.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "loop/assert.h"

static void *libc_realloc(void *ptr, size_t size, void *user) {
    (void)user;
    return realloc(ptr, size);
}

static void libc_free(void *ptr, void *user) {
    (void)user;
    free(ptr);
}

static rondo_allocator hook = {libc_realloc, libc_free, NULL};
static atomic_int pins;
static _Thread_local bool libev_starved; /* libev allocates on the thread that calls it */

/* In front of each of libev's blocks: how large it is and where it came from. */
typedef struct libev_block {
    _Alignas(16) size_t size;
    bool from_libc;
} libev_block;

int rondo_set_allocator(const rondo_allocator *allocator) {
    if (atomic_load(&pins) > 0) return RONDO_EBUSY;
    if (!allocator) {
        hook = (rondo_allocator){libc_realloc, libc_free, NULL};
        return 0;
    }
    if (!allocator->realloc_fn || !allocator->free_fn) return RONDO_EINVAL;
    hook = *allocator;
    return 0;
}

void *rondo__alloc(size_t size) {
    RONDO_ASSERT(size > 0);
    return hook.realloc_fn(NULL, size, hook.user);
}

void *rondo__zalloc(size_t size) {
    void *ptr = rondo__alloc(size);
    if (ptr) memset(ptr, 0, size);
    return ptr;
}

void *rondo__realloc(void *ptr, size_t size) {
    RONDO_ASSERT(size > 0);
    return hook.realloc_fn(ptr, size, hook.user);
}

void rondo__free(void *ptr) {
    if (ptr) hook.free_fn(ptr, hook.user);
}

void rondo_free(void *ptr) { rondo__free(ptr); }

char *rondo__strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = rondo__alloc(size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

void rondo__memory_pin(int change) {
    int now = atomic_fetch_add(&pins, change) + change;
    RONDO_ASSERT(now >= 0);
}

/* libev aborts when it gets NULL, and it must not abort for what the user's hook refused. So when
 * the hook says no, malloc(3) is asked, which on Linux practically always has some; whoever made
 * libev allocate looks at libev_starved afterwards and reports RONDO_ENOMEM. */
static libev_block *libev_block_new(size_t size) {
    libev_block *block = rondo__alloc(sizeof *block + size);
    bool from_libc = !block;
    if (from_libc) {
        libev_starved = true;
        block = malloc(sizeof *block + size);
        if (!block) rondo__fatal("out of memory: libev can't go on without %zu bytes", size);
    }
    block->size = size;
    block->from_libc = from_libc;
    return block;
}

static void *libev_realloc(void *ptr, long size) {
    libev_block *old = ptr ? (libev_block *)ptr - 1 : NULL;
    libev_block *block = NULL;
    if (size > 0) {
        block = libev_block_new((size_t)size);
        if (old) memcpy(block + 1, old + 1, old->size < block->size ? old->size : block->size);
    }
    if (old && old->from_libc) {
        free(old);
    } else {
        rondo__free(old);
    }
    return block ? block + 1 : NULL;
}

/* Only a hook that somebody has set: else libev's own memory comes from malloc(3) as it is, and a
 * program that has used libev before keeps what it has (docs/decisions/0004). */
void rondo__memory_give_to_libev(void) {
    if (hook.realloc_fn != libc_realloc) ev_set_allocator(libev_realloc);
}

bool rondo__memory_libev_starved(void) {
    bool starved = libev_starved;
    libev_starved = false;
    return starved;
}
