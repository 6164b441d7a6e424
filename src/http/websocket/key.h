/* SPDX-License-Identifier: MIT
 *
 * The key of the handshake and what answers it (RFC 6455 section 4.2.2, /accept/). Internal.
 */
#ifndef RONDO__WS_KEY_H
#define RONDO__WS_KEY_H

#include <rondo/base.h>

/* base64 of 16 octets, and of the 20 of a SHA-1; with the NUL. */
#define RONDO__KEY_SIZE 25
#define RONDO__ACCEPT_SIZE 29

/* Whether it is base64 of 16 octets (section 4.1, item 7 of the first list). */
bool rondo__ws_key_is_valid(rondo_slice key);
void rondo__ws_key_make(const uint8_t random[16], char key[RONDO__KEY_SIZE]);
/* What a server answers to a valid key. */
void rondo__ws_key_accept(rondo_slice key, char accept[RONDO__ACCEPT_SIZE]);

#endif
