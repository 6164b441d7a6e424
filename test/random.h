/* SPDX-License-Identifier: MIT
 *
 * For tests that do things at random, the same ones each time: what follows from a seed. The generator is xorshift64*
 * (Marsaglia, Vigna); with a state of 0 it brings nothing but 0, which ends what goes on as long as the dice say so.
 */
#ifndef TEST_RANDOM_H
#define TEST_RANDOM_H

#include <stdint.h>

static uint64_t random_state = 1;

/* Seeds that are neighbours have nothing in common. */
__attribute__((unused)) static void random_begin(uint64_t seed) {
    random_state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

__attribute__((unused)) static uint64_t next_random(void) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(2685821657736338717);
}

/* One of 0 to BOUND - 1. */
__attribute__((unused)) static uint64_t below(uint64_t bound) {
    return (next_random() >> 8) % bound;
}

#endif
