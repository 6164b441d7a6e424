/* SPDX-License-Identifier: MIT
 *
 * The allocator hook: where all of Rondo's memory comes from. Set it before the first loop is made
 * and do not change it while any loop exists. libev's memory comes from here too; see
 * docs/decisions for what happens when it runs out.
 */
#ifndef RONDO_MEMORY_H
#define RONDO_MEMORY_H

#include <rondo/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Both functions must be safe to call from any thread: pool workers and rondo_loop_post() use them. */
typedef struct rondo_allocator {
    /* As realloc(3): NULL allocates; never called with size 0. NULL means out of memory. */
    void *(*realloc_fn)(void *ptr, size_t size, void *user);
    /* As free(3); never called with NULL. */
    void (*free_fn)(void *ptr, void *user);
    void *user;
} rondo_allocator;

/* Sets the allocator (copied); NULL goes back to malloc(3). libev has one allocator for the process,
 * set with the first loop that is made after this: a program that uses libev by itself too must not
 * have done so before, nor call ev_set_allocator(). Without a call of this nothing of libev's is
 * touched. Returns 0, RONDO_EINVAL when a function
 * is missing, or RONDO_EBUSY while a loop exists. */
RONDO_API int rondo_set_allocator(const rondo_allocator *allocator);

/* Gives back memory that a function has handed over to the caller and says so; NULL is allowed. It
 * goes to the hook of the moment: do not change the hook before. Any thread. */
RONDO_API void rondo_free(void *ptr);

#ifdef __cplusplus
}
#endif
#endif
