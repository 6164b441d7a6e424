/* SPDX-License-Identifier: MIT
 *
 * rondo compare: latencies are kept one by one, as microseconds, and sorted when the load is over: no histogram's rounding, and
 * nothing to compute while requests wait.
 */
#include "load.h"
#include "results.h"

#include <math.h>
#include <stdlib.h>

static int by_size(const void *a, const void *b) {
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    return (one > other) - (one < other);
}

void samples_sort(uint32_t *samples, size_t count) {
    if (count > 1) qsort(samples, count, sizeof *samples, by_size);
}

double samples_at(const uint32_t *sorted, size_t count, double part) {
    if (count == 0) return NOT_MEASURED;
    /* 0.9 * 10 is a little more than 9 in binary, and is the ninth all the same. */
    double rank = ceil(part * (double)count - 1e-9);
    if (rank < 1) rank = 1;
    if (rank > (double)count) rank = (double)count;
    return sorted[(size_t)rank - 1];
}
