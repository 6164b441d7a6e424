/* SPDX-License-Identifier: MIT
 *
 * What the files of the harness share.
 */
#ifndef HARNESS_INTERNAL_H
#define HARNESS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

/* Compilers tell in their own ways that a sanitizer is built in. */
#ifdef __clang__
#if __has_feature(address_sanitizer)
#define HARNESS_ASAN 1
#elif __has_feature(thread_sanitizer)
#define HARNESS_TSAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HARNESS_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define HARNESS_TSAN 1
#endif
#ifndef HARNESS_ASAN
#define HARNESS_ASAN 0
#endif
#ifndef HARNESS_TSAN
#define HARNESS_TSAN 0
#endif

/* In memory that parent and child share: how the child tells more than its exit status. */
struct harness_report {
    char failure[2048]; /* empty: no check failed */
    char skipped[256];  /* empty: not skipped */
    bool finished;      /* the test came to its end; it did not leave by exit() */
};
extern struct harness_report *harness_report;

/* Added to a failure: in which of many runs it happened. */
extern char harness_context[256];

/* Makes the library use the two functions below, which count and fail when told to. */
void harness_alloc_install(void);
void *harness_realloc(void *old, size_t size, void *user);
void harness_free(void *block, void *user);

/* See fence.c. */
void harness_fence_open(void);

/* Descriptors and threads: note what there is; later say what there is more, as a failure. */
void harness_leaks_note(void);
void harness_leaks_check(void);

#endif
