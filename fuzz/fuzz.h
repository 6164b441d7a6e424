/* SPDX-License-Identifier: MIT
 *
 * What the fuzz targets share. A target is one LLVMFuzzerTestOneInput(): it does something with octets
 * that an attacker chose, and stops the program when one of its sentences is not true. `make fuzz` runs
 * them all; fuzz/run says how.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <rondo.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A sentence that must be true; else libFuzzer writes the input to a file. */
#define MUST(cond)                                                             \
    do {                                                                       \
        if (!(cond)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                           \
        }                                                                      \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Numbers that follow from the input alone, so that a run can be made again. */
typedef struct dice {
    uint64_t state;
} dice;

__attribute__((unused)) static dice dice_of(const uint8_t *data, size_t size) {
    dice d = {UINT64_C(0xcbf29ce484222325)};
    for (size_t i = 0; i < size; i++) d.state = (d.state ^ data[i]) * UINT64_C(0x100000001b3);
    return d;
}

/* 0 to below - 1. */
__attribute__((unused)) static size_t throw_dice(dice *d, size_t below) {
    d->state = d->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(d->state >> 33) % below;
}

#endif
