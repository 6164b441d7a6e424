/* SPDX-License-Identifier: MIT
 *
 * Counts a server's allocations from outside, whatever it is: loaded with LD_PRELOAD, it writes the
 * number of malloc, calloc, realloc and aligned_alloc calls so far into the file that COUNT_ALLOC
 * names (8 bytes, mapped), where bench/run reads it while the server goes on.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* glibc's own entries, so that nothing has to be looked up while allocating. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *ptr, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static _Atomic uint64_t until_mapped;
static _Atomic uint64_t *counter = &until_mapped;

__attribute__((constructor)) static void map(void) {
    const char *path = getenv("COUNT_ALLOC");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *page = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED) counter = page;
}

void *malloc(size_t size) {
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return __libc_calloc(count, size);
}

void *realloc(void *ptr, size_t size) {
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return __libc_realloc(ptr, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
    return __libc_memalign(alignment, size);
}
