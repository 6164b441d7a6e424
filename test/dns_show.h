/* SPDX-License-Identifier: MIT
 *
 * For tests of names: records as words of a trace.
 */
#ifndef TEST_DNS_SHOW_H
#define TEST_DNS_SHOW_H

#include "trace.h"

/* Every byte that could not be seen as \xx. */
__attribute__((unused)) static void show_text(rondo_slice text) {
    char shown[4096], *to = shown;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        to += sprintf(to, c > ' ' && c < 127 ? "%c" : "\\%02x", c);
        CHECK(to < shown + sizeof shown - 8);
    }
    *to = '\0';
    note("'%s'", shown);
}

/* "MX/300 10 a.test": the type, how long it may be kept, what it says. */
__attribute__((unused)) static void show_records(const rondo_dns_record *records, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const rondo_dns_record *record = &records[i];
        char address[RONDO_ADDRESS_TEXT_BYTES];
        switch (record->type) {
#define SHOW(name, number) \
    case RONDO_DNS_##name: note(#name "/%u", record->ttl_s); break;
            RONDO_DNS_TYPES(SHOW)
#undef SHOW
        }
        if (record->type == RONDO_DNS_CAA) note("%u %s", record->flags, record->tag);
        if (record->type == RONDO_DNS_MX || record->type == RONDO_DNS_SRV)
            note("%u", record->priority);
        if (record->type == RONDO_DNS_SRV) note("%u %u", record->weight, record->port);
        if (record->host) note("%s", record->host);
        if (record->text.data) show_text(record->text);
        if (record->type == RONDO_DNS_A || record->type == RONDO_DNS_AAAA) {
            CHECK(rondo_address_format(&record->address, address, sizeof address) > 0);
            note("%s", address);
        }
    }
}

#endif
