/* SPDX-License-Identifier: MIT
 *
 * The spin itself: looks, and between them leaves what the core has to others.
 */
#include "loop/spin.h"

#include "loop/clock.h"

/* Looks between two looks at the clock. */
#define SPIN_LOOKS 32

/* Leaves what the core has to others for a moment. */
#if defined(__x86_64__) || defined(__i386__)
#define PAUSE() __builtin_ia32_pause()
#else
#define PAUSE() atomic_signal_fence(memory_order_seq_cst)
#endif

bool rondo__spin(const atomic_bool *sign, uint64_t until_ns) {
    do {
        for (int i = 0; i < SPIN_LOOKS; i++) {
            if (atomic_load_explicit(sign, memory_order_acquire)) return true;
            PAUSE();
        }
    } while (rondo__clock_ns() < until_ns);
    return false;
}
