/* SPDX-License-Identifier: MIT
 *
 * Counts a server's allocations from outside, whatever it is: loaded with LD_PRELOAD, it keeps two
 * numbers of 8 bytes in the file that COUNT_ALLOC names (mapped): the calls of malloc, calloc,
 * realloc and aligned_alloc so far, and the bytes of heap in use, each block with what malloc needs
 * around it. bench/count and bench/net read them while the server goes on.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <malloc.h>
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
extern void __libc_free(void *ptr);

struct counters {
    _Atomic uint64_t calls, bytes;
};
static struct counters until_mapped;
static struct counters *counters = &until_mapped;

__attribute__((constructor)) static void map(void) {
    const char *path = getenv("COUNT_ALLOC");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *page = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (page == MAP_FAILED) return;
    counters = page;
    counters->calls = until_mapped.calls;
    counters->bytes = until_mapped.bytes;
}

/* glibc has one word in front of each block. */
static uint64_t bytes_of(void *ptr) { return ptr ? malloc_usable_size(ptr) + sizeof(size_t) : 0; }

static void *count(void *ptr, uint64_t before) {
    atomic_fetch_add_explicit(&counters->calls, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counters->bytes, bytes_of(ptr) - before, memory_order_relaxed);
    return ptr;
}

void *malloc(size_t size) { return count(__libc_malloc(size), 0); }

void *calloc(size_t number, size_t size) { return count(__libc_calloc(number, size), 0); }

void *realloc(void *ptr, size_t size) {
    uint64_t before = bytes_of(ptr);
    void *now = __libc_realloc(ptr, size);
    return count(now, now || size == 0 ? before : 0);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return count(__libc_memalign(alignment, size), 0);
}

void free(void *ptr) {
    atomic_fetch_sub_explicit(&counters->bytes, bytes_of(ptr), memory_order_relaxed);
    __libc_free(ptr);
}
