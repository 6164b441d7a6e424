/* SPDX-License-Identifier: MIT
 *
 * The allocator the library gets in tests: counts what lives and fails when told to. It adds nothing
 * to the blocks, so that AddressSanitizer and valgrind see their true bounds.
 */
#include "harness.h"
#include "internal.h"

#include <rondo/memory.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Atomic, because the worker pool allocates too. */
static atomic_long live_blocks;
static atomic_long alloc_count;
static atomic_long allocs_until_failure = -1;
static atomic_bool failed;

static bool must_fail(void) {
    long left = atomic_load(&allocs_until_failure);

    while (left >= 0) { /* at -1 it stays */
        if (atomic_compare_exchange_weak(&allocs_until_failure, &left, left - 1)) {
            if (left == 0) {
                atomic_store(&failed, true);
                return true;
            }
            break;
        }
    }
    return false;
}

void *harness_realloc(void *old, size_t size, void *user) {
    (void)user;
    atomic_fetch_add(&alloc_count, 1);
    if (must_fail()) {
        return NULL;
    }
    bool is_new = old == NULL;
    void *block = realloc(old, size > 0 ? size : 1); /* realloc(p, 0) would free */
    if (block != NULL && is_new) {
        atomic_fetch_add(&live_blocks, 1);
    }
    return block;
}

void harness_free(void *block, void *user) {
    (void)user;
    if (block != NULL) {
        atomic_fetch_sub(&live_blocks, 1);
        free(block);
    }
}

void harness_alloc_install(void) {
    static const rondo_allocator allocator = {harness_realloc, harness_free, NULL};
    int status = rondo_set_allocator(&allocator);

    atomic_store(&alloc_count, 0);

    if (status != 0) {
        FAIL("rondo_set_allocator returned %d", status);
    }
}

size_t harness_live_blocks(void) { return (size_t)atomic_load(&live_blocks); }

size_t harness_alloc_count(void) { return (size_t)atomic_load(&alloc_count); }

void harness_fail_alloc_after(long n) {
    atomic_store(&failed, false);
    atomic_store(&allocs_until_failure, n);
}

bool harness_alloc_failed(void) { return atomic_load(&failed); }
