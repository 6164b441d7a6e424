/* SPDX-License-Identifier: MIT
 *
 * Spinning: looking for a sign for a while before one sleeps, as loops and workers do (docs/decisions/0012).
 * How long is each one's own affair; here is how it is done, and what tells whether it pays. Internal.
 */
#ifndef RONDO__SPIN_H
#define RONDO__SPIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* How spinning has paid for one who spins before it sleeps. Where cores are scarce, whoever is waited for may
 * need the very one that the spinner has: from the second spin in vain on, each has twice as many of the next
 * chances passed by, and each that was not, half as many. */
typedef struct rondo__spin_record {
    uint8_t vain;
    uint16_t pass;
} rondo__spin_record;
#define RONDO__SPIN_VAIN_MOST 12
/* How many times its own time one spins for another that wakes up, at most. */
#define RONDO__SPIN_PATIENCE 5

static inline bool rondo__spin_may(rondo__spin_record *record) {
    if (record->pass == 0) return true;
    record->pass--;
    return false;
}

static inline void rondo__spin_ended(rondo__spin_record *record, bool in_vain) {
    if (!in_vain) {
        if (record->vain > 0) record->vain--;
        return;
    }
    if (record->vain < RONDO__SPIN_VAIN_MOST) record->vain++;
    record->pass = (uint16_t)((1u << record->vain) - 2);
}

/* Two that wait for each other, and both sleep, take longer to wake up than either may spin, and would go on
 * like that for ever. So what counts is when the sign would have come, had the other been awake. */

/* How long somebody needed to wake up, from when it was told to; cut to a millisecond. */
static inline uint32_t rondo__spin_lag_ns(uint64_t told_ns, uint64_t awake_ns) {
    uint64_t lag_ns = awake_ns > told_ns ? awake_ns - told_ns : 0;
    return lag_ns < 1000000 ? (uint32_t)lag_ns : 1000000;
}

/* Whether to spin for so long would have been enough: from since_ns on, until the sign came at came_ns from one
 * that had needed lag_ns to wake up. */
static inline bool rondo__spin_enough(uint64_t spin_ns, uint64_t since_ns, uint64_t came_ns,
                                      uint32_t lag_ns) {
    return came_ns < since_ns + spin_ns + lag_ns;
}

/* How much longer to spin for one that has just been woken, and needed lag_ns the last time: twice that, within
 * reason. */
static inline uint64_t rondo__spin_patience_ns(uint64_t spin_ns, uint32_t lag_ns) {
    uint64_t twice_ns = 2 * (uint64_t)lag_ns, most_ns = RONDO__SPIN_PATIENCE * spin_ns;
    return twice_ns < most_ns ? twice_ns : most_ns;
}

/* Looks for the sign again and again, until then at the latest: whether it has come. Any thread. */
bool rondo__spin(const atomic_bool *sign, uint64_t until_ns);

#endif
