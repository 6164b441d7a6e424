/* SPDX-License-Identifier: MIT
 *
 * For tests of names: DNS messages, put together piece by piece, right or wrong as the test likes.
 */
#ifndef TEST_DNS_MESSAGE_H
#define TEST_DNS_MESSAGE_H

#include "harness.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

typedef struct dns_message {
    unsigned char bytes[70000];
    size_t len;
    size_t data_at; /* of the record that is being written */
} dns_message;

#define DNS_TEST __attribute__((unused)) static

DNS_TEST void dns_u8(dns_message *m, unsigned value) {
    CHECK(m->len < sizeof m->bytes);
    m->bytes[m->len++] = (unsigned char)value;
}
DNS_TEST void dns_u16(dns_message *m, unsigned value) {
    dns_u8(m, value >> 8 & 0xff);
    dns_u8(m, value & 0xff);
}
DNS_TEST void dns_u32(dns_message *m, uint32_t value) {
    dns_u16(m, value >> 16);
    dns_u16(m, value & 0xffff);
}
DNS_TEST void dns_bytes(dns_message *m, const void *bytes, size_t len) {
    CHECK(m->len + len <= sizeof m->bytes);
    memcpy(m->bytes + m->len, bytes, len);
    m->len += len;
}
/* A string with its length in front: a label, a piece of text. */
DNS_TEST void dns_label(dns_message *m, const void *bytes, size_t len) {
    dns_u8(m, (unsigned)len);
    dns_bytes(m, bytes, len);
}
/* "a.b", "" for the root; "a.b>12" ends with a pointer to byte 12. */
DNS_TEST void dns_name(dns_message *m, const char *text) {
    while (*text && *text != '>') {
        size_t len = strcspn(text, ".>");
        if (len > 0) dns_label(m, text, len);
        text += len + (text[len] == '.');
    }
    if (*text == '>') {
        unsigned at = 0;
        for (text++; *text; text++) at = at * 10 + (unsigned)(*text - '0');
        dns_u16(m, 0xc000 | at);
    } else {
        dns_u8(m, 0);
    }
}
/* The header and the question. */
DNS_TEST void dns_begin(dns_message *m, unsigned id, unsigned flags, const char *name,
                        unsigned type) {
    m->len = 0;
    dns_u16(m, id);
    dns_u16(m, flags);
    dns_u16(m, 1);
    for (int i = 0; i < 3; i++) dns_u16(m, 0);
    dns_name(m, name);
    dns_u16(m, type);
    dns_u16(m, 1);
}
DNS_TEST void dns_set_answers(dns_message *m, unsigned count) {
    m->bytes[6] = (unsigned char)(count >> 8);
    m->bytes[7] = (unsigned char)count;
}
/* A record, up to its data; dns_end() writes their length, and counts it. */
DNS_TEST void dns_record(dns_message *m, const char *owner, unsigned type, uint32_t ttl) {
    dns_name(m, owner);
    dns_u16(m, type);
    dns_u16(m, 1);
    dns_u32(m, ttl);
    dns_u16(m, 0);
    m->data_at = m->len;
}
DNS_TEST void dns_end(dns_message *m) {
    size_t len = m->len - m->data_at;
    m->bytes[m->data_at - 2] = (unsigned char)(len >> 8);
    m->bytes[m->data_at - 1] = (unsigned char)len;
    dns_set_answers(m, ((unsigned)m->bytes[6] << 8 | m->bytes[7]) + 1);
}
DNS_TEST void dns_address(dns_message *m, const char *owner, uint32_t ttl, const char *text) {
    unsigned char bytes[16];
    bool v6 = strchr(text, ':') != NULL;
    CHECK_INT(inet_pton(v6 ? AF_INET6 : AF_INET, text, bytes), 1);
    dns_record(m, owner, v6 ? 28 : 1, ttl);
    dns_bytes(m, bytes, v6 ? 16 : 4);
    dns_end(m);
}
/* NS, CNAME, PTR. */
DNS_TEST void dns_host(dns_message *m, const char *owner, unsigned type, uint32_t ttl,
                       const char *host) {
    dns_record(m, owner, type, ttl);
    dns_name(m, host);
    dns_end(m);
}
DNS_TEST void dns_mx(dns_message *m, const char *owner, uint32_t ttl, unsigned preference,
                     const char *host) {
    dns_record(m, owner, 15, ttl);
    dns_u16(m, preference);
    dns_name(m, host);
    dns_end(m);
}
DNS_TEST void dns_srv(dns_message *m, const char *owner, uint32_t ttl, unsigned priority,
                      unsigned weight, unsigned port, const char *host) {
    dns_record(m, owner, 33, ttl);
    dns_u16(m, priority);
    dns_u16(m, weight);
    dns_u16(m, port);
    dns_name(m, host);
    dns_end(m);
}
DNS_TEST void dns_caa(dns_message *m, const char *owner, uint32_t ttl, unsigned flags,
                      const char *tag, const char *value) {
    dns_record(m, owner, 257, ttl);
    dns_u8(m, flags);
    dns_label(m, tag, strlen(tag));
    dns_bytes(m, value, strlen(value));
    dns_end(m);
}

#endif
