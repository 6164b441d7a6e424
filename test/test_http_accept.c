/* SPDX-License-Identifier: MIT
 *
 * Accept-Encoding (RFC 9110 section 12.5.3): which codings a request wants, and how much.
 */
#include "harness.h"

#include "http/encoding/accept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The codings in the order in which they are wanted, before the identity: "br gzip", "". */
static const char *show_order(rondo__wants wants, unsigned available) {
    static char text[32];
    rondo__coding order[RONDO__CODINGS];
    unsigned count = rondo__wants_order(wants, available, order);

    text[0] = '\0';
    for (unsigned i = 0; i < count; i++) {
        if (i > 0) strcat(text, " ");
        strcat(text, rondo__coding_name(order[i]));
    }
    return text;
}

/* Several fields are separated by '|'; NULL: there is none. */
static rondo__wants read_fields(const char *fields) {
    rondo__accept accept;

    rondo__accept_init(&accept);
    while (fields) {
        const char *end = strchr(fields, '|');
        rondo__accept_field(&accept, end ? rondo_slice_of(fields, (size_t)(end - fields))
                                         : rondo_slice_text(fields));
        fields = end ? end + 1 : NULL;
    }
    return rondo__accept_wants(&accept);
}

#define BOTH (1u << RONDO__CODING_GZIP | 1u << RONDO__CODING_BR)

TEST(accept_encoding_table) {
    static const struct {
        const char *fields;
        int identity, gzip, br;
        const char *order;
    } table[] = {
        {NULL, 1, 0, 0, ""},
        {"", 1, 0, 0, ""},
        {"gzip", 1, 1000, 0, "gzip"},
        {"GZip", 1, 1000, 0, "gzip"},
        {"x-gzip", 1, 1000, 0, "gzip"},
        {"br", 1, 0, 1000, "br"},
        {"gzip, deflate, br, zstd", 1, 1000, 1000, "br gzip"},
        {"gzip;q=0.8,br;q=0.5", 1, 800, 500, "gzip br"},
        {"gzip ; q=0.8\t, br;Q=1.000", 1, 800, 1000, "br gzip"},
        {"gzip;q=0", 1, 0, 0, ""},
        {"gzip;q=0.000", 1, 0, 0, ""},
        {"gzip;q=0.001", 1, 1, 0, "gzip"},
        {"*", 1, 1000, 1000, "br gzip"},
        {"*;q=0.5, gzip;q=0", 1, 0, 500, "br"},
        {"*;q=0", 0, 0, 0, ""},
        {"*;q=0, gzip", 0, 1000, 0, "gzip"},
        {"*;q=0, identity", 1000, 0, 0, ""},
        {"identity", 1000, 0, 0, ""},
        {"identity, gzip", 1000, 1000, 0, "gzip"}, /* equal: fewer octets */
        {"identity, gzip;q=0.9", 1000, 900, 0, ""},
        {"identity;q=0.5, gzip;q=0.9", 500, 900, 0, "gzip"},
        {"identity;q=0", 0, 0, 0, ""},
        {"identity;q=0, br;q=0.1", 0, 0, 100, "br"},
        {"gzip|br", 1, 1000, 1000, "br gzip"}, /* two fields are one list */
        {"gzip;q=0|gzip", 1, 0, 0, ""},        /* contradictory: the less */
        {"gzip|gzip;q=0", 1, 0, 0, ""},
        {",,gzip,,", 1, 1000, 0, "gzip"},
        /* broken elements say nothing, the others do */
        {"gzip;q=2, br", 1, 0, 1000, "br"},
        {"gzip;q=1.001, br", 1, 0, 1000, "br"},
        {"gzip;q=0.0001, br", 1, 0, 1000, "br"},
        {"gzip;q=-1, br", 1, 0, 1000, "br"},
        {"gzip;q=, br", 1, 0, 1000, "br"},
        {"gzip;q, br", 1, 0, 1000, "br"},
        {"gzip;, br", 1, 0, 1000, "br"},
        {"gzip;q=.5, br", 1, 0, 1000, "br"},
        {"gzip;q=1 x, br", 1, 0, 1000, "br"},
        {"gzip;level=1, br", 1, 0, 1000, "br"},
        {"gzip br", 1, 0, 0, ""},
        {"\"gzip\"", 1, 0, 0, ""},
        {"gzip=1", 1, 0, 0, ""},
        {"gzipx, xgzip, gzi", 1, 0, 0, ""},
        {";q=1", 1, 0, 0, ""},
        {"gzip;q=1.", 1, 1000, 0, "gzip"},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        rondo__wants wants = read_fields(table[i].fields);
        const char *order = show_order(wants, BOTH);
        if (wants.q[RONDO__CODING_IDENTITY] != table[i].identity ||
            wants.q[RONDO__CODING_GZIP] != table[i].gzip ||
            wants.q[RONDO__CODING_BR] != table[i].br || strcmp(order, table[i].order) != 0)
            FAIL("\"%s\" gave identity %d, gzip %d, br %d, \"%s\"",
                 table[i].fields ? table[i].fields : "none", wants.q[RONDO__CODING_IDENTITY],
                 wants.q[RONDO__CODING_GZIP], wants.q[RONDO__CODING_BR], order);
    }
}

TEST(accept_encoding_offers_only_what_there_is) {
    rondo__wants wants = read_fields("gzip;q=0.5, br");

    CHECK_STR(show_order(wants, BOTH), "br gzip");
    CHECK_STR(show_order(wants, 1u << RONDO__CODING_GZIP), "gzip");
    CHECK_STR(show_order(wants, 1u << RONDO__CODING_BR), "br");
    CHECK_STR(show_order(wants, 0), "");
}

/* Of any octets: nothing is read behind them (the sanitizers would say so), and all is in bounds. */
TEST(accept_encoding_of_any_octets) {
    static const char pieces[][10] = {"gzip", "br", "*", "identity", ";",  "q", "=",  "0",    "1",
                                      ".",    "5",  ",", " ",        "\t", "x", "\"", "\xff", "-"};
    unsigned state = 99, named = 0;

    for (int round = 0; round < (harness_is_slow() ? 2000 : 50000); round++) {
        char text[256] = "";
        size_t len = 0;
        for (int i = round % 20; i >= 0; i--) {
            state = state * 1103515245u + 12345u;
            const char *piece = pieces[(state >> 8) % (sizeof pieces / sizeof *pieces)];
            memcpy(text + len, piece, strlen(piece));
            len += strlen(piece);
        }
        char *exact = malloc(len);
        CHECK(exact != NULL);
        memcpy(exact, text, len);
        rondo__accept accept;
        rondo__accept_init(&accept);
        rondo__accept_field(&accept, rondo_slice_of(exact, len));
        free(exact);
        rondo__wants wants = rondo__accept_wants(&accept);
        for (int i = 0; i < RONDO__CODINGS; i++) CHECK(wants.q[i] <= 1000);
        named += wants.q[RONDO__CODING_GZIP] > 0;
    }
    CHECK(named > 10);
}
