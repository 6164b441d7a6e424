/* SPDX-License-Identifier: MIT
 *
 * UTF-8 by the table of well-formed sequences (Unicode, table 3-7): the first octet says how many
 * follow and bounds the second one, which is what shuts out overlong forms, surrogates and what is
 * above U+10FFFF at the first octet that gives them away.
 */
#include "http/websocket/utf8.h"

#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

static bool begin(rondo__utf8 *state, uint8_t octet) {
    state->least = 0x80;
    state->most = 0xbf;
    if (octet < 0xc2 || octet > 0xf4) return false;
    state->lacks = octet < 0xe0 ? 1 : octet < 0xf0 ? 2 : 3;
    if (octet == 0xe0) state->least = 0xa0; /* overlong below */
    if (octet == 0xed) state->most = 0x9f;  /* surrogates above */
    if (octet == 0xf0) state->least = 0x90;
    if (octet == 0xf4) state->most = 0x8f; /* U+10FFFF is the last */
    return true;
}

static bool follow(rondo__utf8 *state, uint8_t octet) {
    if (octet < state->least || octet > state->most) return false;
    state->lacks--;
    state->least = 0x80;
    state->most = 0xbf;
    return true;
}

/* How many octets are ASCII, in whole words: most text is. */
static size_t skip_ascii(const char *data, size_t len) {
    size_t i = 0;
    for (uint64_t word; len - i >= sizeof word; i += sizeof word) {
        memcpy(&word, data + i, sizeof word);
        if (word & HIGH_BITS) break;
    }
    return i;
}

bool rondo__utf8_feed(rondo__utf8 *state, const char *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (state->lacks == 0) i += skip_ascii(data + i, len - i);
        if (i == len) break;
        uint8_t octet = (uint8_t)data[i];
        if (state->lacks == 0 && octet < 0x80) continue;
        if (!(state->lacks > 0 ? follow(state, octet) : begin(state, octet))) return false;
    }
    return true;
}

bool rondo__utf8_is(const char *data, size_t len) {
    rondo__utf8 state = {0};
    return rondo__utf8_feed(&state, data, len) && rondo__utf8_whole(&state);
}
