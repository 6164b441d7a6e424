/* SPDX-License-Identifier: MIT
 *
 * Reading answers. Not with ares_parse_*_reply(): up to c-ares 1.18 only those of A and AAAA tell how
 * long a record may be kept, those of NS and PTR give struct hostent, and none says whether a name is
 * one that a program should touch.
 *
 * The bytes are an attacker's. Every read is checked against the end of the message; a compressed
 * name (RFC 1035, 4.1.4) may only point to before its own beginning, so that it ends; the records
 * looked at and the aliases followed have a bound. One record that can't be read spoils the answer:
 * who sends one such has nothing to say that could be trusted.
 */
#include "net/dns/records.h"

#include <rondo/error.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "loop/memory.h"
#include "net/dns/request.h"

#define HEADER_BYTES 12
#define CLASS_IN 1
#define ALIASES_MAX 16
#define RECORDS_SEEN (RONDO_DNS_RECORDS_MAX + ALIASES_MAX)

typedef struct message {
    const unsigned char *bytes;
    size_t len;
    size_t answers_at;
    unsigned answers;
} message;

/* Labels with their lengths in front, as on the wire but without compression; the root is one 0. */
typedef struct name {
    unsigned char bytes[255];
    size_t len;
} name;

typedef struct record {
    name owner;
    unsigned type, class;
    uint32_t ttl_s;
    size_t at, len; /* of its data */
} record;

/* ---- pieces ---- */

static unsigned u16_at(const message *in, size_t at) {
    return (unsigned)in->bytes[at] << 8 | in->bytes[at + 1];
}

/* A name has 127 labels at most, in 255 bytes. More pointers than that lead one to another, which
 * nobody needs and costs much: the same name is read many times. */
#define JUMPS_MAX 127

static bool read_name(const message *in, size_t *at, name *ret_name) {
    size_t pos = *at, begin = pos;
    bool jumped = false;
    int jumps = 0;
    ret_name->len = 0;
    for (;;) {
        if (pos >= in->len) return false;
        unsigned label = in->bytes[pos];
        if (label >= 0xc0) { /* a pointer to the rest */
            if (++jumps > JUMPS_MAX) return false;
            if (pos + 2 > in->len) return false;
            size_t target = u16_at(in, pos) & 0x3fff;
            if (target >= begin) return false;
            if (!jumped) *at = pos + 2;
            jumped = true;
            pos = begin = target;
            continue;
        }
        if (label > 63 || pos + 1 + label > in->len) return false;
        if (ret_name->len + 1 + label > sizeof ret_name->bytes) return false;
        memcpy(ret_name->bytes + ret_name->len, in->bytes + pos, label + 1);
        ret_name->len += label + 1;
        pos += label + 1;
        if (label == 0) break;
    }
    if (!jumped) *at = pos;
    return true;
}

static unsigned char lower(unsigned char c) { return c >= 'A' && c <= 'Z' ? c | 0x20 : c; }

/* The lengths of labels are no letters, so that they can be compared along with them. */
static bool same_name(const name *a, const name *b) {
    if (a->len != b->len) return false;
    for (size_t i = 0; i < a->len; i++)
        if (lower(a->bytes[i]) != lower(b->bytes[i])) return false;
    return true;
}

/* Writes the name as text, if it is a host name or the root ("."). Returns its size with the NUL,
 * which is the size on the wire at most; 0: it is none. */
static size_t write_name(const name *from, char *text) {
    size_t size = 0;
    if (from->len == 1) {
        memcpy(text, ".", 2);
        return 2;
    }
    for (size_t at = 0; from->bytes[at]; at += 1 + from->bytes[at]) {
        if (memchr(from->bytes + at + 1, '.', from->bytes[at])) return 0;
        if (memchr(from->bytes + at + 1, '\0', from->bytes[at])) return 0;
        memcpy(text + size, from->bytes + at + 1, from->bytes[at]);
        size += from->bytes[at];
        text[size++] = '.';
    }
    text[size - 1] = '\0';
    return rondo__dns_is_host_name(text) ? size : 0;
}

/* The record at *at, and on to the next one. */
static bool read_record(const message *in, size_t *at, record *ret_record) {
    if (!read_name(in, at, &ret_record->owner) || in->len - *at < 10) return false;
    ret_record->type = u16_at(in, *at);
    ret_record->class = u16_at(in, *at + 2);
    ret_record->ttl_s = (uint32_t)u16_at(in, *at + 4) << 16 | u16_at(in, *at + 6);
    if (ret_record->ttl_s > INT32_MAX) ret_record->ttl_s = 0; /* RFC 2181, 8 */
    ret_record->len = u16_at(in, *at + 8);
    ret_record->at = *at + 10;
    if (in->len - ret_record->at < ret_record->len) return false;
    *at = ret_record->at + ret_record->len;
    return true;
}

/* A name that the data of a record ends with. */
static bool read_last_name(const message *in, const record *of, size_t offset, name *ret_name) {
    size_t at = of->at + offset;
    return read_name(in, &at, ret_name) && at == of->at + of->len;
}

/* ---- what is asked for ---- */

/* The next answer for `owner` of `type`. Returns 1, 0 (no more) or RONDO_EPROTO. */
static int next_answer(const message *in, const name *owner, unsigned type, size_t *at,
                       unsigned *left, record *ret_record) {
    while (*left > 0) {
        --*left;
        if (!read_record(in, at, ret_record)) return RONDO_EPROTO;
        if (ret_record->type == type && ret_record->class == CLASS_IN &&
            same_name(&ret_record->owner, owner))
            return 1;
    }
    return 0;
}

/* Replaces the name by the one that it is, at the end, an alias of; their order in the answer does
 * not matter. An alias limits how long the records may be kept. */
static int follow_aliases(const message *in, name *owner, uint32_t *ttl_s) {
    for (int aliases = 0; aliases < ALIASES_MAX; aliases++) {
        size_t at = in->answers_at;
        unsigned left = in->answers;
        record alias;
        int found = next_answer(in, owner, RONDO_DNS_CNAME, &at, &left, &alias);
        if (found <= 0) return found;
        if (!read_last_name(in, &alias, 0, owner)) return RONDO_EPROTO;
        if (alias.ttl_s < *ttl_s) *ttl_s = alias.ttl_s;
    }
    return RONDO_EPROTO; /* they run in a circle, or to a place that nobody means */
}

/* Checks the header and passes the question. */
static bool open_message(message *in, name *ret_question) {
    size_t at = HEADER_BYTES;
    if (in->len < HEADER_BYTES || u16_at(in, 4) != 1) return false;
    if (!read_name(in, &at, ret_question) || in->len - at < 4) return false;
    in->answers_at = at + 4;
    in->answers = u16_at(in, 6);
    if (in->answers > RECORDS_SEEN) in->answers = RECORDS_SEEN;
    return true;
}

/* ---- one record ---- */

static bool fill_address(const message *in, const record *from, rondo_dns_record *to) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    const unsigned char *data = in->bytes + from->at;
    if (from->type == RONDO_DNS_A) {
        if (from->len != sizeof v4.sin_addr) return false;
        memcpy(&v4.sin_addr, data, sizeof v4.sin_addr);
        return rondo_address_from_sockaddr(&v4, sizeof v4, &to->address) == 0;
    }
    if (from->len != sizeof v6.sin6_addr) return false;
    memcpy(&v6.sin6_addr, data, sizeof v6.sin6_addr);
    return rondo_address_from_sockaddr(&v6, sizeof v6, &to->address) == 0;
}

/* The strings of a TXT record are one text in pieces of 255 bytes at most (RFC 1035, 3.3.14). */
static size_t fill_text(const message *in, const record *from, rondo_dns_record *to, char *text) {
    const unsigned char *data = in->bytes + from->at;
    size_t size = 0;
    for (size_t at = 0; at < from->len; at += 1 + data[at]) {
        if (1 + (size_t)data[at] > from->len - at) return 0;
        memcpy(text + size, data + at + 1, data[at]);
        size += data[at];
    }
    text[size] = '\0';
    to->text = rondo_slice_of(text, size);
    return size + 1;
}

/* RFC 8659, 4.1: flags, the length of the tag, the tag, the value. */
static size_t fill_caa(const message *in, const record *from, rondo_dns_record *to, char *text) {
    const unsigned char *data = in->bytes + from->at;
    if (from->len < 3 || data[1] == 0 || data[1] > from->len - 2) return 0;
    size_t tag_len = data[1], value_len = from->len - 2 - tag_len;
    for (size_t i = 0; i < tag_len; i++) {
        unsigned char c = lower(data[2 + i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9')) return 0;
    }
    to->flags = data[0];
    memcpy(text, data + 2, tag_len);
    text[tag_len] = '\0';
    to->tag = text;
    memcpy(text + tag_len + 1, data + 2 + tag_len, value_len);
    text[tag_len + 1 + value_len] = '\0';
    to->text = rondo_slice_of(text + tag_len + 1, value_len);
    return tag_len + 1 + value_len + 1;
}

/* `offset` bytes of numbers, then a name. */
static size_t fill_host(const message *in, const record *from, size_t offset, rondo_dns_record *to,
                        char *text) {
    name host;
    if (!read_last_name(in, from, offset, &host)) return 0;
    if (offset >= 2) to->priority = (uint16_t)u16_at(in, from->at);
    if (offset == 6) {
        to->weight = (uint16_t)u16_at(in, from->at + 2);
        to->port = (uint16_t)u16_at(in, from->at + 4);
    }
    to->host = text;
    return write_name(&host, text);
}

/* How much text a record may take: see the functions above. */
static size_t text_room(const record *from) {
    switch ((rondo_dns_type)from->type) {
    case RONDO_DNS_A:
    case RONDO_DNS_AAAA: return 0;
    case RONDO_DNS_TXT:
    case RONDO_DNS_CAA: return from->len + 1;
    default: return sizeof(name);
    }
}

/* Returns the text used, or RONDO_EPROTO. */
static int fill(const message *in, const record *from, rondo_dns_record *to, char *text) {
    size_t used = 0;
    to->type = (rondo_dns_type)from->type;
    switch (to->type) {
    case RONDO_DNS_A:
    case RONDO_DNS_AAAA: return fill_address(in, from, to) ? 0 : RONDO_EPROTO;
    case RONDO_DNS_NS:
    case RONDO_DNS_CNAME:
    case RONDO_DNS_PTR: used = fill_host(in, from, 0, to, text); break;
    case RONDO_DNS_MX: used = fill_host(in, from, 2, to, text); break;
    case RONDO_DNS_SRV: used = fill_host(in, from, 6, to, text); break;
    case RONDO_DNS_TXT: used = fill_text(in, from, to, text); break;
    case RONDO_DNS_CAA: used = fill_caa(in, from, to, text); break;
    }
    return used > 0 ? (int)used : RONDO_EPROTO;
}

/* ---- all of them ---- */

/* The texts lie in the order of the answer, so that the order of equals is kept. */
static int by_priority(const void *a, const void *b) {
    const rondo_dns_record *one = a, *other = b;
    if (one->priority != other->priority) return one->priority < other->priority ? -1 : 1;
    return one->host < other->host ? -1 : one->host > other->host;
}

static int fill_all(const message *in, const name *owner, uint32_t ttl_s, rondo_dns_type type,
                    rondo_dns_record *records, size_t count) {
    char *text = (char *)(records + count);
    size_t at = in->answers_at;
    unsigned left = in->answers;
    for (size_t i = 0; i < count; i++) {
        record from;
        int found = next_answer(in, owner, type, &at, &left, &from);
        RONDO_ASSERT(found == 1); /* it was counted */
        int used = fill(in, &from, &records[i], text);
        if (used < 0) return used;
        records[i].ttl_s = from.ttl_s < ttl_s ? from.ttl_s : ttl_s;
        text += used;
    }
    if (type == RONDO_DNS_MX || type == RONDO_DNS_SRV)
        qsort(records, count, sizeof *records, by_priority);
    return 0;
}

int rondo__dns_parse(const unsigned char *bytes, size_t len, rondo_dns_type type,
                     rondo_dns_record **ret_records, size_t *ret_count) {
    message in = {.bytes = bytes, .len = len};
    bool is_address = type == RONDO_DNS_A || type == RONDO_DNS_AAAA;
    size_t most = is_address ? RONDO_DNS_ADDRESSES_MAX : RONDO_DNS_RECORDS_MAX;
    size_t count = 0, room = 0;
    uint32_t ttl_s = UINT32_MAX;
    name owner;
    record seen;
    int error = 0;
    if (!open_message(&in, &owner)) return RONDO_EPROTO;
    if (type != RONDO_DNS_CNAME) error = follow_aliases(&in, &owner, &ttl_s);
    if (error < 0) return error;
    size_t at = in.answers_at;
    unsigned left = in.answers;
    while (count < most && (error = next_answer(&in, &owner, type, &at, &left, &seen)) == 1) {
        count++;
        room += text_room(&seen);
    }
    if (error < 0) return error;
    if (count == 0) return RONDO_ENODATA;
    rondo_dns_record *records = rondo__zalloc(count * sizeof *records + room);
    if (!records) return RONDO_ENOMEM;
    error = fill_all(&in, &owner, ttl_s, type, records, count);
    if (error < 0) {
        rondo__free(records);
        return error;
    }
    *ret_records = records;
    *ret_count = count;
    return 0;
}
