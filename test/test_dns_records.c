/* SPDX-License-Identifier: MIT
 *
 * Reading the bytes of an answer: what each type of record says, and every way to lie. Each message
 * is read from memory that ends where the message does, so that the sanitizers see a step too far.
 */
#include "dns_message.h"
#include "dns_show.h"

#include <stdlib.h>

#include "loop/memory.h"
#include "net/dns/records.h"

static dns_message m;

static int parse(rondo_dns_type type, rondo_dns_record **ret_records, size_t *ret_count) {
    unsigned char *exact = malloc(m.len ? m.len : 1);
    memcpy(exact, m.bytes, m.len);
    int error = rondo__dns_parse(exact, m.len, type, ret_records, ret_count);
    free(exact); /* what was found must not point there */
    return error;
}

/* Reads the message, and notes what is found. */
static void show(rondo_dns_type type) {
    rondo_dns_record *records;
    size_t count;
    int error = parse(type, &records, &count);
    if (error < 0) {
        note("%s", rondo_error_name(error));
        return;
    }
    show_records(records, count);
    rondo__free(records);
}

static void begin(const char *name, rondo_dns_type type) { dns_begin(&m, 7, 0x8180, name, type); }

TEST(every_type_of_record) {
    begin("a.test", RONDO_DNS_A);
    dns_address(&m, "A.Test", 300, "192.0.2.1");
    dns_address(&m, "a.test", 60, "192.0.2.2");
    dns_address(&m, "a.test", 60, "2001:db8::1"); /* of another type */
    show(RONDO_DNS_A);
    CHECK_TRACE("A/300 192.0.2.1:0 A/60 192.0.2.2:0");
    show(RONDO_DNS_AAAA);
    CHECK_TRACE("AAAA/60 [2001:db8::1]:0");
    begin("a.test", RONDO_DNS_NS);
    dns_host(&m, ">12", RONDO_DNS_NS, 5, "ns1>12");
    dns_host(&m, ">12", RONDO_DNS_NS, 5, "ns2.Other");
    dns_host(&m, ">12", RONDO_DNS_PTR, 6, "host>12");
    show(RONDO_DNS_NS);
    CHECK_TRACE("NS/5 ns1.a.test NS/5 ns2.Other");
    show(RONDO_DNS_PTR);
    CHECK_TRACE("PTR/6 host.a.test");
    begin("a.test", RONDO_DNS_MX);
    dns_mx(&m, "a.test", 9, 20, "second");
    dns_mx(&m, "a.test", 9, 10, "zfirst");
    dns_mx(&m, "a.test", 9, 10, "also");
    dns_mx(&m, "a.test", 9, 0xffff, "");
    show(RONDO_DNS_MX);
    CHECK_TRACE("MX/9 10 zfirst MX/9 10 also MX/9 20 second MX/9 65535 .");
    begin("_x._tcp.a.test", RONDO_DNS_SRV);
    dns_srv(&m, ">12", 9, 258, 515, 5060, "b.test");
    dns_srv(&m, ">12", 9, 1, 0, 65535, "_c.test");
    show(RONDO_DNS_SRV);
    CHECK_TRACE("SRV/9 1 0 65535 _c.test SRV/9 258 515 5060 b.test");
    begin("a.test", RONDO_DNS_CAA);
    dns_caa(&m, "a.test", 9, 0, "issue", "ca.test; a=b");
    dns_caa(&m, "a.test", 9, 128, "Tag1", "");
    show(RONDO_DNS_CAA);
    CHECK_TRACE("CAA/9 0 issue 'ca.test;\\20a=b' CAA/9 128 Tag1 ''");
}

TEST(text_is_joined_and_may_hold_any_byte) {
    char piece[255];
    memset(piece, 'x', sizeof piece);
    begin("a.test", RONDO_DNS_TXT);
    dns_record(&m, "a.test", RONDO_DNS_TXT, 1);
    dns_label(&m, "v=1 ", 4);
    dns_label(&m, "a\0\xff/", 4);
    dns_end(&m);
    dns_record(&m, "a.test", RONDO_DNS_TXT, 1);
    dns_label(&m, "", 0);
    dns_end(&m);
    dns_record(&m, "a.test", RONDO_DNS_TXT, 1); /* not even one string */
    dns_end(&m);
    show(RONDO_DNS_TXT);
    CHECK_TRACE("TXT/1 'v=1\\20a\\00\\ff/' TXT/1 '' TXT/1 ''");
    begin("a.test", RONDO_DNS_TXT);
    dns_record(&m, "a.test", RONDO_DNS_TXT, 1);
    for (int i = 0; i < 8; i++) dns_label(&m, piece, sizeof piece);
    dns_end(&m);
    rondo_dns_record *records;
    size_t count;
    CHECK_INT(parse(RONDO_DNS_TXT, &records, &count), 0);
    CHECK_INT(records[0].text.len, 8 * sizeof piece);
    rondo__free(records);
    m.bytes[m.data_at]++; /* the first string reaches into the next, the last over the end */
    show(RONDO_DNS_TXT);
    CHECK_TRACE("EPROTO");
}

/* ---- aliases ---- */

TEST(aliases_are_followed_in_any_order) {
    begin("www.test", RONDO_DNS_A);
    dns_address(&m, "host.test", 300, "192.0.2.1");
    dns_address(&m, "www.test", 300, "192.0.2.66"); /* an alias has no records of its own */
    dns_host(&m, "b.test", RONDO_DNS_CNAME, 20, "HOST.test");
    dns_host(&m, "www.test", RONDO_DNS_CNAME, 30, "b.test");
    dns_address(&m, "other.test", 300, "192.0.2.67"); /* who asked for this? */
    dns_address(&m, "host.test", 10, "192.0.2.2");
    show(RONDO_DNS_A);
    CHECK_TRACE("A/20 192.0.2.1:0 A/10 192.0.2.2:0");
    show(RONDO_DNS_CNAME);
    CHECK_TRACE("CNAME/30 b.test");
    show(RONDO_DNS_AAAA);
    CHECK_TRACE("ENODATA");
}

TEST(aliases_through_names_that_no_host_has) { /* RFC 2317: a slash is fine in between */
    begin("4.2.0.192.in-addr.arpa", RONDO_DNS_PTR);
    dns_host(&m, ">12", RONDO_DNS_CNAME, 30, "4.0/26.2.0.192.in-addr.arpa");
    dns_host(&m, "4.0/26.2.0.192.in-addr.arpa", RONDO_DNS_PTR, 30, "host.test");
    show(RONDO_DNS_PTR);
    CHECK_TRACE("PTR/30 host.test");
    show(RONDO_DNS_CNAME);
    CHECK_TRACE("EPROTO");
}

TEST(aliases_that_never_end) {
    begin("a.test", RONDO_DNS_A);
    dns_host(&m, "a.test", RONDO_DNS_CNAME, 30, "b.test");
    dns_host(&m, "b.test", RONDO_DNS_CNAME, 30, "a.test");
    dns_address(&m, "a.test", 300, "192.0.2.1");
    show(RONDO_DNS_A);
    CHECK_TRACE("EPROTO");
    for (int links = 15; links <= 16; links++) {
        char from[16] = "a0.test", to[16];
        begin("a0.test", RONDO_DNS_A);
        for (int i = 1; i <= links; i++) {
            snprintf(to, sizeof to, "a%d.test", i);
            dns_host(&m, from, RONDO_DNS_CNAME, 30, to);
            strcpy(from, to);
        }
        dns_address(&m, from, 300, "192.0.2.1");
        show(RONDO_DNS_A);
    }
    CHECK_TRACE("A/30 192.0.2.1:0 EPROTO");
}

/* ---- names ---- */

static void show_host(const void *bytes, size_t len) {
    begin("a.test", RONDO_DNS_NS);
    dns_record(&m, "a.test", RONDO_DNS_NS, 1);
    dns_bytes(&m, bytes, len);
    dns_end(&m);
    show(RONDO_DNS_NS);
}
#define SHOW_HOST(text) show_host(text, sizeof text - 1)

TEST(names_that_are_none) {
    SHOW_HOST("\001a\000"), SHOW_HOST("\004_a-b\002c9\000"), SHOW_HOST("\000");
    CHECK_TRACE("NS/1 a NS/1 _a-b.c9 NS/1 .");
    SHOW_HOST("\003a\000b\000"), SHOW_HOST("\003a.b\000"), SHOW_HOST("\003a/b\000");
    CHECK_TRACE("EPROTO EPROTO EPROTO");
    SHOW_HOST("\003a\nb\000"), SHOW_HOST("\002-a\000"), SHOW_HOST("\002a-\000");
    CHECK_TRACE("EPROTO EPROTO EPROTO");
    SHOW_HOST("\002\xc3\xa4\000"), SHOW_HOST("\001 \000"), SHOW_HOST("\003a\\b\000");
    CHECK_TRACE("EPROTO EPROTO EPROTO");
    SHOW_HOST("\001a\000x"), SHOW_HOST("\001a"), SHOW_HOST(""), SHOW_HOST("\002a\000");
    CHECK_TRACE("EPROTO EPROTO EPROTO EPROTO");
    SHOW_HOST("\101a\000"), SHOW_HOST("\200a\000"), SHOW_HOST("\300");
    CHECK_TRACE("EPROTO EPROTO EPROTO");
}

TEST(compressed_names_only_point_back) {
    char bytes[4] = "\300";
    size_t at = 0;
    /* To itself, ahead, behind the end, and back to where it goes on to itself. */
    begin("a.test", RONDO_DNS_NS);
    dns_record(&m, "a.test", RONDO_DNS_NS, 1);
    at = m.len;
    bytes[1] = (char)at;
    show_host(bytes, 2);
    bytes[1] = (char)(at + 2);
    show_host(bytes, 3);
    bytes[1] = (char)255;
    show_host(bytes, 2);
    memcpy(bytes, "\001x\300", 3);
    bytes[3] = (char)at;
    show_host(bytes, 4);
    CHECK_TRACE("EPROTO EPROTO EPROTO EPROTO");
    bytes[3] = 12;
    show_host(bytes, 4);
    CHECK_TRACE("NS/1 x.a.test");
    /* To two that point to each other, and came before. */
    begin("a.test", RONDO_DNS_NS);
    dns_record(&m, "a.test", RONDO_DNS_TXT, 1);
    at = m.len;
    dns_u16(&m, 0xc000 | (unsigned)(at + 2));
    dns_u16(&m, 0xc000 | (unsigned)at);
    dns_end(&m);
    dns_record(&m, "a.test", RONDO_DNS_NS, 1);
    dns_u16(&m, 0xc000 | (unsigned)(at + 2));
    dns_end(&m);
    show(RONDO_DNS_NS);
    CHECK_TRACE("EPROTO");
}

TEST(names_as_long_as_may_be) {
    char label[64], name[300] = "";
    memset(label, 'a', 63);
    label[63] = '\0';
    snprintf(name, sizeof name, "%s.%s.%s.%.61s", label, label, label, label);
    begin("a.test", RONDO_DNS_NS);
    dns_host(&m, "a.test", RONDO_DNS_NS, 1, name);
    rondo_dns_record *records;
    size_t count;
    CHECK_INT(parse(RONDO_DNS_NS, &records, &count), 0);
    CHECK_STR(records[0].host, name);
    CHECK_INT(strlen(name), 253);
    rondo__free(records);
    strcat(name, "a");
    begin("a.test", RONDO_DNS_NS);
    dns_host(&m, "a.test", RONDO_DNS_NS, 1, name);
    show(RONDO_DNS_NS);
    CHECK_TRACE("EPROTO");
}

/* ---- data that do not fit their type ---- */

static void show_data(rondo_dns_type type, const void *bytes, size_t len) {
    begin("a.test", type);
    dns_record(&m, "a.test", type, 1);
    dns_bytes(&m, bytes, len);
    dns_end(&m);
    show(type);
}
#define SHOW_DATA(type, text) show_data(RONDO_DNS_##type, text, sizeof text - 1)

TEST(data_of_the_wrong_size) {
    SHOW_DATA(A, "abc"), SHOW_DATA(A, "abcde"), SHOW_DATA(A, ""), SHOW_DATA(AAAA, "abcd");
    SHOW_DATA(AAAA, "0123456789abcde"), SHOW_DATA(AAAA, "0123456789abcdefg");
    CHECK_TRACE("EPROTO EPROTO EPROTO EPROTO EPROTO EPROTO");
    SHOW_DATA(MX, ""), SHOW_DATA(MX, "\0"), SHOW_DATA(MX, "\0\1"), SHOW_DATA(MX, "\0\1\1a\0x");
    SHOW_DATA(SRV, "\0\1\0\1\0"), SHOW_DATA(SRV, "\0\1\0\1\0\1");
    CHECK_TRACE("EPROTO EPROTO EPROTO EPROTO EPROTO EPROTO");
    SHOW_DATA(CAA, ""), SHOW_DATA(CAA, "\0"), SHOW_DATA(CAA, "\0\0"), SHOW_DATA(CAA, "\0\0a");
    SHOW_DATA(CAA, "\0\2a"), SHOW_DATA(CAA, "\0\3a.b"), SHOW_DATA(CAA, "\0\2a\0v");
    CHECK_TRACE("EPROTO EPROTO EPROTO EPROTO EPROTO EPROTO EPROTO");
    SHOW_DATA(CAA, "\1\2a0"), SHOW_DATA(CAA, "\0\2Zzv\0w");
    CHECK_TRACE("CAA/1 1 a0 '' CAA/1 0 Zz 'v\\00w'");
    SHOW_DATA(TXT, "\1"), SHOW_DATA(TXT, "\1a\1"), SHOW_DATA(TXT, "\3ab");
    CHECK_TRACE("EPROTO EPROTO EPROTO");
}

TEST(a_time_to_live_below_zero_is_zero) { /* RFC 2181, 8 */
    begin("a.test", RONDO_DNS_A);
    dns_address(&m, "a.test", 0x80000000u, "192.0.2.1");
    dns_address(&m, "a.test", 0x7fffffffu, "192.0.2.2");
    show(RONDO_DNS_A);
    CHECK_TRACE("A/0 192.0.2.1:0 A/2147483647 192.0.2.2:0");
}

TEST(other_classes_and_counts_that_lie) {
    begin("a.test", RONDO_DNS_A);
    dns_address(&m, "a.test", 1, "192.0.2.1");
    m.bytes[m.data_at - 8 + 1] = 3; /* chaos */
    show(RONDO_DNS_A);
    CHECK_TRACE("ENODATA");
    begin("a.test", RONDO_DNS_A);
    dns_address(&m, "a.test", 1, "192.0.2.1");
    dns_set_answers(&m, 2);
    show(RONDO_DNS_A);
    dns_set_answers(&m, 0);
    show(RONDO_DNS_A);
    dns_set_answers(&m, 1);
    m.bytes[5] = 0; /* no question */
    show(RONDO_DNS_A);
    m.bytes[5] = 2;
    show(RONDO_DNS_A);
    CHECK_TRACE("EPROTO ENODATA EPROTO EPROTO");
    begin("a.test", RONDO_DNS_A);
    m.len -= 2; /* half a question */
    show(RONDO_DNS_A);
    CHECK_TRACE("EPROTO");
}

TEST(labels_of_no_known_kind) { /* 01 and 10 in front: RFC 6891, 5 */
    static const unsigned kinds[] = {64, 65, 128, 191};
    char label[200];
    memset(label, 'a', sizeof label);
    for (int i = 0; i < 4; i++) {
        begin("a.test", RONDO_DNS_A);
        dns_record(&m, "a.test", RONDO_DNS_CNAME, 1);
        size_t at = m.len;
        dns_label(&m, label, kinds[i]);
        dns_u8(&m, 0);
        dns_end(&m);
        char owner[16];
        snprintf(owner, sizeof owner, ">%zu", at);
        dns_record(&m, owner, RONDO_DNS_A, 1);
        dns_bytes(&m, "abcd", 4);
        dns_end(&m);
        show(RONDO_DNS_A);
    }
    CHECK_TRACE("EPROTO EPROTO EPROTO EPROTO");
}

TEST(a_pointer_to_a_pointer) {
    char owner[16];
    begin("a.test", RONDO_DNS_A);
    dns_record(&m, ">12", RONDO_DNS_CNAME, 9);
    snprintf(owner, sizeof owner, ">%zu", m.len);
    dns_name(&m, "b>12");
    dns_end(&m);
    dns_address(&m, owner, 1, "192.0.2.1");
    dns_address(&m, owner, 1, "192.0.2.2");
    show(RONDO_DNS_A);
    CHECK_TRACE("A/1 192.0.2.1:0 A/1 192.0.2.2:0");
}

/* ---- much ---- */

static size_t count_of(rondo_dns_type type) {
    rondo_dns_record *records;
    size_t count;
    CHECK_INT(parse(type, &records, &count), 0);
    for (size_t i = 0; i < count; i++) CHECK_INT(records[i].type, type);
    rondo__free(records);
    return count;
}

TEST(thousands_of_records_are_cut) {
    for (int more = -1; more <= 1; more++) {
        begin("a", RONDO_DNS_A);
        for (int i = 0; i < 256 + more; i++) dns_address(&m, ">12", 1, "192.0.2.1");
        CHECK_INT(count_of(RONDO_DNS_A), more < 0 ? 255 : 256);
        begin("a", RONDO_DNS_MX);
        for (int i = 0; i < 1024 + more; i++) dns_mx(&m, ">12", 1, (unsigned)i & 7, ">12");
        CHECK_INT(count_of(RONDO_DNS_MX), more < 0 ? 1023 : 1024);
    }
    begin("a", RONDO_DNS_A);
    for (int i = 0; i < 4000; i++) dns_address(&m, ">12", 1, "192.0.2.1");
    CHECK_INT(count_of(RONDO_DNS_A), 256);
    /* What comes behind so much else is not looked for. */
    begin("a", RONDO_DNS_A);
    for (int i = 0; i < 4000; i++) dns_mx(&m, ">12", 1, 1, ">12");
    dns_address(&m, ">12", 1, "192.0.2.1");
    show(RONDO_DNS_A);
    CHECK_TRACE("ENODATA");
}

/* The dearest message there is: 64 KiB of aliases, and each of their names as many labels as fit. */
TEST(a_costly_message_is_bounded) {
    char name[300] = "";
    for (int i = 0; i < 126; i++) strcat(name, i ? ".a" : "a");
    begin(name, RONDO_DNS_A);
    while (m.len < 65000) dns_host(&m, ">12", RONDO_DNS_CNAME, 1, ">12");
    show(RONDO_DNS_A);
    CHECK_TRACE("EPROTO");
}

/* Pointers that each lead to the one before: as many as a name may have labels, or one more. */
static void show_chain(unsigned pointers) {
    begin("a.test", RONDO_DNS_NS);
    dns_record(&m, "a.test", RONDO_DNS_TXT, 1);
    size_t to = 12;
    for (unsigned i = 1; i < pointers; i++) {
        size_t at = m.len;
        dns_u16(&m, 0xc000 | (unsigned)to);
        to = at;
    }
    dns_end(&m);
    dns_record(&m, "a.test", RONDO_DNS_NS, 1);
    dns_u16(&m, 0xc000 | (unsigned)to);
    dns_end(&m);
    show(RONDO_DNS_NS);
}
TEST(a_long_way_through_pointers_is_no_name) {
    show_chain(127);
    CHECK_TRACE("NS/1 a.test");
    show_chain(128);
    CHECK_TRACE("EPROTO");
    show_chain(4000);
    CHECK_TRACE("EPROTO");
}

/* ---- every cut, and many a changed byte ---- */

static void sample(rondo_dns_type type) {
    begin("www.test", type);
    dns_host(&m, ">12", RONDO_DNS_CNAME, 9, "b>16");
    dns_address(&m, "b.test", 1, "192.0.2.1");
    dns_address(&m, "b>16", 1, "2001:db8::1");
    dns_host(&m, "b.test", RONDO_DNS_NS, 1, "c>16");
    dns_host(&m, "b.test", RONDO_DNS_PTR, 1, "d>12");
    dns_mx(&m, "b.test", 1, 5, "e>16");
    dns_srv(&m, "b.test", 1, 5, 6, 7, "f>16");
    dns_caa(&m, "b.test", 1, 0, "issue", "ca");
    dns_record(&m, "b.test", RONDO_DNS_TXT, 1);
    dns_label(&m, "text", 4);
    dns_end(&m);
}
static const rondo_dns_type types[] = {
#define TYPE(name, number) RONDO_DNS_##name,
    RONDO_DNS_TYPES(TYPE)
#undef TYPE
};
enum { TYPES = sizeof types / sizeof types[0] };

static void try_all(void) {
    rondo_dns_record *records;
    size_t count;
    for (int i = 0; i < TYPES; i++) {
        int error = parse(types[i], &records, &count);
        CHECK(error == 0 || error == RONDO_EPROTO || error == RONDO_ENODATA);
        if (error < 0) continue;
        CHECK(count > 0);
        for (size_t j = 0; j < count; j++)
            CHECK(!records[j].host || strlen(records[j].host) <= 253);
        rondo__free(records);
    }
}

TEST(cut_anywhere_it_is_refused) {
    for (int i = 0; i < TYPES; i++) {
        sample(types[i]);
        CHECK_INT(count_of(types[i]), 1);
        while (m.len > 0) {
            rondo_dns_record *records;
            size_t count;
            m.len--;
            int error = parse(types[i], &records, &count);
            if (error == 0) rondo__free(records); /* it was whole up to there */
            CHECK(error == RONDO_EPROTO || error == 0);
            if (m.len < 60) CHECK_INT(error, RONDO_EPROTO);
        }
    }
}

TEST(any_byte_may_be_another) {
    sample(RONDO_DNS_A);
    for (size_t at = 0; at < m.len; at++) {
        static const unsigned char values[] = {0, 1, 0x3f, 0x40, 0x80, 0xc0, 0xff, 12};
        unsigned char was = m.bytes[at];
        for (size_t i = 0; i < sizeof values; i++) {
            m.bytes[at] = values[i];
            try_all();
        }
        m.bytes[at] = was;
    }
}

TEST(bytes_at_random) {
    uint32_t seed = 12345;
    int rounds = harness_is_slow() ? 2000 : 20000;
    for (int round = 0; round < rounds; round++) {
        sample(RONDO_DNS_A);
        for (int i = 0; i < 4; i++) {
            seed = seed * 1664525u + 1013904223u;
            m.bytes[(seed >> 8) % m.len] = (unsigned char)(seed >> 24);
        }
        try_all();
    }
}

TEST(out_of_memory) {
    rondo_dns_record *records = NULL;
    size_t count = 0;
    sample(RONDO_DNS_A);
    harness_fail_alloc_after(0);
    CHECK_INT(parse(RONDO_DNS_A, &records, &count), RONDO_ENOMEM);
    CHECK(records == NULL && count == 0);
}
