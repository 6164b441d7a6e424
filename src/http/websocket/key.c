/* SPDX-License-Identifier: MIT
 *
 * SHA-1 (RFC 3174) and base64 (RFC 4648), as far as a handshake needs them. The hash protects nothing
 * here: it shows that the other side speaks WebSocket, so it need not wait for a build with OpenSSL.
 */
#include "http/websocket/key.h"

#include <string.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_LEN (RONDO__KEY_SIZE - 1)

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode(const uint8_t *data, size_t len, char *out) {
    for (size_t i = 0; i < len; i += 3) {
        uint32_t bits = (uint32_t)data[i] << 16;
        if (i + 1 < len) bits |= (uint32_t)data[i + 1] << 8;
        if (i + 2 < len) bits |= data[i + 2];
        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = i + 1 < len ? digits[bits >> 6 & 63] : '=';
        *out++ = i + 2 < len ? digits[bits & 63] : '=';
    }
    *out = '\0';
}

static uint32_t rotate(uint32_t word, unsigned by) { return word << by | word >> (32 - by); }

/* One block of RFC 3174 section 6.1. */
static void hash_block(uint32_t hash[5], const uint8_t block[64]) {
    uint32_t w[80], a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f, k;
        if (i < 20)
            f = (b & c) | (~b & d), k = 0x5a827999;
        else if (i < 40)
            f = b ^ c ^ d, k = 0x6ed9eba1;
        else if (i < 60)
            f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
        else
            f = b ^ c ^ d, k = 0xca62c1d6;
        uint32_t next = rotate(a, 5) + f + e + w[i] + k;
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    hash[0] += a, hash[1] += b, hash[2] += c, hash[3] += d, hash[4] += e;
}

bool rondo__ws_key_is_valid(rondo_slice key) {
    if (key.len != KEY_LEN || memcmp(key.data + KEY_LEN - 2, "==", 2) != 0) return false;
    for (size_t i = 0; i < KEY_LEN - 2; i++)
        if (key.data[i] == '\0' || !strchr(digits, key.data[i])) return false;
    return true;
}

void rondo__ws_key_make(const uint8_t random[16], char key[RONDO__KEY_SIZE]) {
    encode(random, 16, key);
}

void rondo__ws_key_accept(rondo_slice key, char accept[RONDO__ACCEPT_SIZE]) {
    /* Key and GUID are 60 octets: with the end mark and the length, two blocks. */
    uint8_t text[128] = {0}, sum[20];
    uint32_t hash[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    size_t len = KEY_LEN + sizeof GUID - 1;
    memcpy(text, key.data, KEY_LEN);
    memcpy(text + KEY_LEN, GUID, sizeof GUID - 1);
    text[len] = 0x80;
    text[126] = (uint8_t)(len * 8 >> 8);
    text[127] = (uint8_t)(len * 8);
    hash_block(hash, text);
    hash_block(hash, text + 64);
    for (size_t i = 0; i < sizeof sum; i++) sum[i] = (uint8_t)(hash[i / 4] >> (24 - 8 * (i % 4)));
    encode(sum, sizeof sum, accept);
}
