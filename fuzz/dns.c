/* SPDX-License-Identifier: MIT
 *
 * Answers of name servers. The first octet is the type that was asked for; the rest is the message,
 * as a server that means harm would send it.
 */
#include "fuzz.h"

#include "loop/memory.h"
#include "net/dns/records.h"

static const rondo_dns_type types[] = {
#define TYPE(name, number) RONDO_DNS_##name,
    RONDO_DNS_TYPES(TYPE)
#undef TYPE
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    rondo_dns_record *records = NULL;
    size_t count = 0;
    rondo_dns_type type = types[data[0] % (sizeof types / sizeof *types)];
    int status = rondo__dns_parse(data + 1, size - 1, type, &records, &count);
    MUST(status == 0 || status == RONDO_ENODATA || status == RONDO_EPROTO);
    MUST((status == 0) == (records != NULL) && (status == 0) == (count > 0));
    for (size_t i = 0; i < count; i++) {
        MUST(records[i].type == type);
        if (records[i].host) MUST(strlen(records[i].host) < 1024);
    }
    rondo__free(records);
    return 0;
}
