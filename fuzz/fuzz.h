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
#include <sys/types.h>
#include <time.h>

/* A sentence that must be true; else libFuzzer writes the input to a file. */
#define MUST(cond)                                                             \
    do {                                                                       \
        if (!(cond)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                           \
        }                                                                      \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The library's clock_gettime(2) and getrandom(2), see the Makefile: libFuzzer tries what a program compares, so that with
 * those of the machine a run could not be made again. */
int __wrap_clock_gettime(clockid_t id, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret_now) {
    static uint64_t now_us = UINT64_C(1767225600) * 1000000;
    now_us++;
    *ret_now = (struct timespec){(time_t)(now_us / 1000000), (long)(now_us % 1000000) * 1000};
    return 0;
}

ssize_t __wrap_getrandom(void *buffer, size_t len, unsigned flags);
ssize_t __wrap_getrandom(void *buffer, size_t len, unsigned flags) {
    static uint8_t next;
    for (size_t i = 0; i < len; i++) ((uint8_t *)buffer)[i] = next = (uint8_t)(next * 5 + 1);
    return (ssize_t)len;
}

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
