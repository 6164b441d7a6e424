/* SPDX-License-Identifier: MIT
 *
 * Ranges, HTTP dates, and which condition of a request decides (RFC 9110 sections 5.6.7, 13, 14).
 */
#include "harness.h"

#include "http/files/files.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- Range ---- */

typedef struct range_case {
    const char *field;
    uint64_t size;
    rondo__range range;
    uint64_t offset, len;
} range_case;

#define WHOLE RONDO__RANGE_WHOLE
#define PART RONDO__RANGE_PART
#define BEYOND RONDO__RANGE_UNSATISFIABLE

static const range_case ranges[] = {
    {"bytes=0-499", 10000, PART, 0, 500},
    {"bytes=500-999", 10000, PART, 500, 500},
    {"bytes=0-0", 10000, PART, 0, 1},
    {"bytes=9999-9999", 10000, PART, 9999, 1},
    {"bytes=9500-", 10000, PART, 9500, 500},
    {"bytes=0-", 10000, PART, 0, 10000},
    {"bytes=-500", 10000, PART, 9500, 500},
    {"bytes=-1", 10000, PART, 9999, 1},
    {"bytes=-20000", 10000, PART, 0, 10000},
    {"bytes=9000-20000", 10000, PART, 9000, 1000},
    {"BYTES=0-1", 10000, PART, 0, 2},
    {"bytes= 0-1", 10000, PART, 0, 2},
    {"bytes=0-1\t ", 10000, PART, 0, 2},
    {"bytes=000-001", 10000, PART, 0, 2},
    {"bytes=0-18446744073709551615", 10, PART, 0, 10},
    {"bytes=0-99999999999999999999999", 10, PART, 0, 10},
    {"bytes=-99999999999999999999999", 10, PART, 0, 10},
    {"bytes=1-9223372036854775807", INT64_MAX, PART, 1, INT64_MAX - 1},
    /* beyond the end */
    {"bytes=10000-", 10000, BEYOND, 0, 0},
    {"bytes=10000-10001", 10000, BEYOND, 0, 0},
    {"bytes=99999999999999999999-", 10000, BEYOND, 0, 0},
    {"bytes=18446744073709551615-18446744073709551615", 10, BEYOND, 0, 0},
    {"bytes=18446744073709551616-", 10, BEYOND, 0, 0},
    {"bytes=18446744073709551620-", 10, BEYOND, 0, 0},
    {"bytes=0-18446744073709551620", 10, PART, 0, 10},
    {"bytes=-0", 10000, BEYOND, 0, 0},
    {"bytes=0-", 0, BEYOND, 0, 0},
    {"bytes=0-0", 0, BEYOND, 0, 0},
    {"bytes=-5", 0, WHOLE, 0, 0},
    {"bytes=-0", 0, BEYOND, 0, 0},
    /* ignored */
    {"", 100, WHOLE, 0, 0},
    {"bytes", 100, WHOLE, 0, 0},
    {"bytes=", 100, WHOLE, 0, 0},
    {"bytes=-", 100, WHOLE, 0, 0},
    {"bytes=5", 100, WHOLE, 0, 0},
    {"bytes=5-4", 100, WHOLE, 0, 0},
    {"bytes=a-b", 100, WHOLE, 0, 0},
    {"bytes=0-1x", 100, WHOLE, 0, 0},
    {"bytes=0x0-0x1", 100, WHOLE, 0, 0},
    {"bytes=+0-1", 100, WHOLE, 0, 0},
    {"bytes=0 - 1", 100, WHOLE, 0, 0},
    {"bytes=--1", 100, WHOLE, 0, 0},
    {"bytes=1-2-3", 100, WHOLE, 0, 0},
    {"bytes =0-1", 100, WHOLE, 0, 0},
    {"bytes:0-1", 100, WHOLE, 0, 0},
    {"items=0-1", 100, WHOLE, 0, 0},
    {"bytes=0-1;2-3", 100, WHOLE, 0, 0},
    {"bytes=,0-1", 100, PART, 0, 2},
    {"bytes= , ,0-1", 100, PART, 0, 2},
    {"bytes=,", 100, WHOLE, 0, 0},
};

TEST(range_table) {
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const range_case *c = &ranges[i];
        rondo__parts parts = {.count = 77, .at[0] = {77, 77}};
        rondo__range range = rondo__http_range(rondo_slice_text(c->field), c->size, &parts);
        uint64_t offset = parts.at[0].offset, len = parts.at[0].len;
        if (range != c->range || parts.count != (range == PART ? 1 : 77) ||
            offset != (range == PART ? c->offset : 77) || len != (range == PART ? c->len : 77))
            FAIL("\"%s\" of %llu gave %d, %llu + %llu", c->field, (unsigned long long)c->size,
                 (int)range, (unsigned long long)offset, (unsigned long long)len);
    }
}

/* "0+10 500+1": offsets and lengths. */
static const char *show_parts(const rondo__parts *parts) {
    static char text[1024];
    size_t len = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < parts->count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%llu+%llu", i ? " " : "",
                                (unsigned long long)parts->at[i].offset,
                                (unsigned long long)parts->at[i].len);
    return text;
}

TEST(several_ranges) {
    static const struct {
        const char *field;
        rondo__range range;
        const char *parts;
    } table[] = {
        {"bytes=0-0,9999-9999", PART, "0+1 9999+1"},
        {"bytes=9999-,0-0", PART, "9999+1 0+1"}, /* in the order asked for */
        {"bytes=0-9 , \t500-509,-10", PART, "0+10 500+10 9990+10"},
        {"bytes=0-9,,500-509,", PART, "0+10 500+10"},
        {"bytes=0-1,2-3", PART, "0+4"}, /* they touch */
        {"bytes=2-3,0-1", PART, "0+4"},
        {"bytes=0-9,109-110", PART, "0+111"}, /* a gap of 99 */
        {"bytes=0-9,110-111", PART, "0+112"}, /* of 100 */
        {"bytes=110-111,0-9", PART, "0+112"},
        {"bytes=0-9,111-112", PART, "0+10 111+2"},
        {"bytes=111-112,0-9", PART, "111+2 0+10"},
        {"bytes=0-500,200-300", PART, "0+501"}, /* one within the other */
        {"bytes=200-300,0-500", PART, "0+501"},
        {"bytes=0-,0-,0-,0-", PART, "0+10000"},
        {"bytes=0-9,1000-1009,5-1005", PART, "0+1010"}, /* a bridge */
        {"bytes=0-9,1000-1009,2000-2009,900-950", PART, "0+10 900+110 2000+10"},
        {"bytes=2000-2009,1000-1009,0-9,900-950", PART, "2000+10 900+110 0+10"},
        {"bytes=5000-5009,0-9,1000-1009,5-1005", PART, "5000+10 0+1010"},
        {"bytes=0-9,20000-", PART, "0+10"}, /* what is beyond the end is left out */
        {"bytes=20000-,30000-", BEYOND, ""},
        {"bytes=20000-,-0", BEYOND, ""},
        {"bytes=0-9,x", WHOLE, ""}, /* one that is broken breaks all */
        {"bytes=0-9,5-4", WHOLE, ""},
        {"bytes=0-9 500-509", WHOLE, ""},
        {"bytes=0-0,200-200,400-400,600-600,800-800,1000-1000,1200-1200,1400-1400,1600-1600,"
         "1800-1800,2000-2000,2200-2200,2400-2400,2600-2600,2800-2800,3000-3000",
         PART,
         "0+1 200+1 400+1 600+1 800+1 1000+1 1200+1 1400+1 1600+1 1800+1 2000+1 2200+1 2400+1 "
         "2600+1 2800+1 3000+1"},
        {"bytes=0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-", PART, "0+10000"},
        {"bytes=0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-", WHOLE, ""}, /* 17 */
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        rondo__parts parts = {.count = 0};
        rondo__range range = rondo__http_range(rondo_slice_text(table[i].field), 10000, &parts);
        if (range != table[i].range || strcmp(show_parts(&parts), table[i].parts) != 0)
            FAIL("\"%s\" gave %d, %s", table[i].field, (int)range, show_parts(&parts));
    }
}

/* Whatever the field: the parts lie in the file, apart from each other, all that was asked for is in
 * them, and little else is. */
static unsigned next_random(unsigned *state, unsigned below) {
    *state = *state * 1103515245u + 12345u;
    return (*state >> 8) % below;
}

static size_t add_random_range(unsigned *state, char *at, uint64_t size, bool *asked) {
    unsigned first = next_random(state, 70000), last = first + next_random(state, 300);

    switch (next_random(state, 20)) {
    case 0: last = 0; break;
    case 1: return (size_t)sprintf(at, "x");
    case 2:
        last = first % 50;
        for (uint64_t i = size > last ? size - last : 0; i < size; i++) asked[i] = true;
        return (size_t)sprintf(at, "-%u", last);
    default: break;
    }
    for (uint64_t i = first; i <= last && i < size; i++) asked[i] = true;
    return (size_t)sprintf(at, "%u-%u", first, last);
}

static void check_parts_of(const rondo__parts *parts, uint64_t size, const bool *asked) {
    static bool covered[70000];

    memset(covered, 0, sizeof covered);
    CHECK(parts->count > 0 && parts->count <= RONDO__RANGES_MOST);
    for (unsigned i = 0; i < parts->count; i++) {
        rondo__part part = parts->at[i];
        CHECK(part.len > 0 && part.offset < size && part.len <= size - part.offset);
        for (uint64_t at = part.offset, gap = 0; at < part.offset + part.len; at++) {
            CHECK(!covered[at]);
            covered[at] = true;
            gap = asked[at] ? 0 : gap + 1;
            CHECK(gap <= 100);
        }
    }
    for (uint64_t at = 0; at < size; at++) CHECK(!asked[at] || covered[at]);
}

TEST(whatever_the_field_what_was_asked_for_is_in_parts_that_lie_apart) {
    static bool asked[71000];
    unsigned state = 4711, parted = 0, ignored = 0, rounds = harness_is_slow() ? 300 : 3000;

    for (unsigned round = 0; round < rounds; round++) {
        char field[1024] = "bytes=";
        size_t len = strlen(field);
        uint64_t size = next_random(&state, 70000);
        unsigned count = 1 + next_random(&state, 18);
        memset(asked, 0, sizeof asked);
        for (unsigned i = 0; i < count; i++) {
            if (i > 0) field[len++] = ',';
            len += add_random_range(&state, field + len, size, asked);
        }
        rondo__parts parts = {.count = 0};
        switch (rondo__http_range(rondo_slice_of(field, len), size, &parts)) {
        case PART: check_parts_of(&parts, size, asked); break;
        case WHOLE: ignored++; break;
        case BEYOND:
            for (uint64_t i = 0; i < size; i++) CHECK(!asked[i]);
        }
        parted += parts.count > 1;
    }
    CHECK(parted > rounds / 10 && ignored > rounds / 10);
}

TEST(range_does_not_read_behind_the_field) {
    rondo__parts parts;

    CHECK_INT(rondo__http_range(rondo_slice_of("bytes=1-23", 9), 100, &parts), PART);
    CHECK_INT(parts.at[0].len, 2);
    CHECK_INT(rondo__http_range(rondo_slice_of("bytes=1-23", 8), 100, &parts), PART);
    CHECK_INT(parts.at[0].len, 99);
    CHECK_INT(rondo__http_range(rondo_slice_of("bytes=1-23", 7), 100, &parts), WHOLE);
    CHECK_INT(rondo__http_range(rondo_slice_of(NULL, 0), 100, &parts), WHOLE);
}

/* ---- dates ---- */

#define NOW INT64_C(1790000000) /* 2026-09-21 */

typedef struct date_case {
    const char *text;
    int64_t seconds; /* -1: no date */
} date_case;

TEST(date_table) {
    static const date_case table[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Thu Jan  1 00:00:00 1970", 0},
        {"Sun Nov 16 08:49:37 1994", 784975777},
        {"Tue, 29 Feb 2000 12:00:00 GMT", 951825600},
        {"Thu, 31 Dec 2099 23:59:59 GMT", 4102444799},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
        {"Wed, 31 Dec 2008 23:59:60 GMT", 1230768000},  /* a leap second */
        {"Friday, 01-Jan-70 00:00:00 GMT", 3155760000}, /* 44 years ahead: 2070 */
        {"Friday, 01-Jan-77 00:00:00 GMT", 220924800},  /* 51 years ahead: 1977 */
        {"Thursday, 01-Jan-26 00:00:00 GMT", 1767225600},
        {"", -1},
        {"Sun, 06 Nov 1994 08:49:37", -1},
        {"Sun, 06 Nov 1994 08:49:37 UTC", -1},
        {"Sun, 06 Nov 1994 08:49:37 GMT ", -1},
        {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 nov 1994 08:49:37 GMT", -1},
        {"Xxx, 06 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 31 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 00 Nov 1994 08:49:37 GMT", -1},
        {"Mon, 29 Feb 2100 00:00:00 GMT", -1},
        {"Sun, 06 Nov 1994 24:00:00 GMT", -1},
        {"Sun, 06 Nov 1994 08:60:00 GMT", -1},
        {"Sun, 06 Nov 1994 08:49:61 GMT", -1},
        {"Sun, 06-Nov-94 08:49:37 GMT", -1},
        {"784111777", -1},
        {",", -1},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int64_t seconds = -1;
        rondo__http_date_parse(rondo_slice_text(table[i].text), NOW, &seconds);
        if (seconds != table[i].seconds)
            FAIL("\"%s\" gave %lld", table[i].text, (long long)seconds);
    }
    for (size_t len = 0; len < strlen(table[0].text); len++) {
        int64_t seconds = -1;
        CHECK(!rondo__http_date_parse(rondo_slice_of(table[0].text, len), NOW, &seconds));
        CHECK_INT(seconds, -1);
    }
}

TEST(dates_written_are_those_of_the_c_library) {
    for (int64_t t = 0; t < 253402300800; t += 8640107 + t % 9973) {
        char text[RONDO__DATE_SIZE], want[64];
        time_t time = t;
        struct tm tm;
        int64_t back = -1;

        CHECK(rondo__http_date_format(t, text));
        strftime(want, sizeof want, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&time, &tm));
        CHECK_STR(text, want);
        CHECK(rondo__http_date_parse(rondo_slice_text(text), NOW, &back));
        CHECK_INT(back, t);
    }
    char text[RONDO__DATE_SIZE] = "untouched";
    CHECK(!rondo__http_date_format(-1, text));
    CHECK(!rondo__http_date_format(253402300800, text));
    CHECK_STR(text, "untouched");
}

/* ---- conditions ---- */

#define SECOND INT64_C(1000000000)
#define SETTLE (2 * SECOND)

static struct stat a_file(void) {
    struct stat st = {.st_dev = 1, .st_ino = 2, .st_size = 300};

    st.st_mtim.tv_sec = 784111777;
    st.st_ctim.tv_sec = 784111777;
    return st;
}

TEST(validators_move_with_the_file) {
    struct stat st = a_file();
    rondo__validators one, other;

    rondo__validators_of(&st, NOW * SECOND, SETTLE, &one);
    rondo__validators_of(&st, (NOW + 5) * SECOND, SETTLE, &other);
    CHECK_STR(one.etag, other.etag);
    CHECK(one.strong);
    CHECK(one.etag[0] == '"' && one.etag[strlen(one.etag) - 1] == '"');
    CHECK(strstr(one.etag, "-12c\"") != NULL);
    CHECK_INT(one.mtime, 784111777);

    for (int what = 0; what < 6; what++) {
        struct stat changed = a_file();
        changed.st_dev += what == 0;
        changed.st_ino += what == 1;
        changed.st_size += what == 2;
        changed.st_mtim.tv_nsec += what == 3;
        changed.st_ctim.tv_nsec += what == 4;
        changed.st_ctim.tv_sec += what == 5;
        rondo__validators_of(&changed, NOW * SECOND, SETTLE, &other);
        CHECK(strcmp(one.etag, other.etag) != 0);
    }
}

TEST(validators_of_a_fresh_file_are_weak) {
    struct stat st = a_file();
    rondo__validators fresh, settled;
    int64_t changed = (784111777 + 100) * SECOND;

    st.st_ctim.tv_sec += 100; /* the later of the two counts */
    rondo__validators_of(&st, changed + SETTLE, SETTLE, &fresh);
    rondo__validators_of(&st, changed + SETTLE + 1, SETTLE, &settled);
    CHECK(!fresh.strong && settled.strong);
    CHECK(fresh.etag[0] == 'W' && fresh.etag[1] == '/');
    CHECK(strcmp(fresh.etag + 2, settled.etag) != 0); /* so that caches ask once more */

    /* A file from the future: weak, and not modified later than now. */
    rondo__validators_of(&st, 1000 * SECOND, SETTLE, &fresh);
    CHECK(!fresh.strong);
    CHECK_INT(fresh.mtime, 1000);
}

#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define EXACT "Sun, 06 Nov 1994 08:49:37 GMT"
#define AFTER "Sun, 06 Nov 1994 08:49:38 GMT"

typedef struct condition_case {
    const char *fields; /* "Name: value\n..."; the file is "tag" of EXACT and 100 octets */
    int status;         /* 206: with the range */
} condition_case;

/* The file's tag is "tag", strong. */
static const condition_case strong_cases[] = {
    {"", 200},
    {"Accept: */*\nImportant: x\nReferer: y\nRanges: bytes=0-1\n", 200},
    /* If-None-Match */
    {"If-None-Match: \"tag\"\n", 304},
    {"if-none-match: \"tag\"\n", 304},
    {"IF-NONE-MATCH: W/\"tag\"\n", 304},
    {"If-None-Match: *\n", 304},
    {"If-None-Match: \"other\"\n", 200},
    {"If-None-Match: \"TAG\"\n", 200},
    {"If-None-Match: \"other\", \"tag\"\n", 304},
    {"If-None-Match: \"other\",W/\"tag\" , \"third\"\n", 304},
    {"If-None-Match: ,, \"tag\"\n", 304},
    {"If-None-Match: \"other\"\nIf-None-Match: \"tag\"\n", 304},
    {"If-None-Match: \"a,b\", \"tag\"\n", 304},
    {"If-None-Match: tag\n", 200},
    {"If-None-Match: \"tag\n", 200},
    {"If-None-Match: tag\"\n", 200},
    {"If-None-Match: w/\"tag\"\n", 200},
    {"If-None-Match: W/\n", 200},
    {"If-None-Match: W\n", 200},
    {"If-None-Match: \"\n", 200},
    {"If-None-Match: \n", 200},
    {"If-None-Match: \"tagg\"\n", 200},
    {"If-None-Match: \"ta\"\n", 200},
    {"If-None-Match: x, \"tag\"\n", 200}, /* broken: the rest says nothing */
    /* If-Modified-Since, and that a tag silences it */
    {"If-Modified-Since: " EXACT "\n", 304},
    {"If-Modified-Since: " AFTER "\n", 304},
    {"If-Modified-Since: " BEFORE "\n", 200},
    {"If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\n", 304},
    {"If-Modified-Since: Sun Nov  6 08:49:37 1994\n", 304},
    {"If-Modified-Since: yesterday\n", 200},
    {"If-Modified-Since: " EXACT "\nIf-Modified-Since: " EXACT "\n", 200},
    {"If-None-Match: \"other\"\nIf-Modified-Since: " EXACT "\n", 200},
    {"If-Modified-Since: " EXACT "\nIf-None-Match: \"other\"\n", 200},
    {"If-None-Match: \"tag\"\nIf-Modified-Since: " BEFORE "\n", 304},
    /* If-Match and If-Unmodified-Since come first */
    {"If-Match: \"tag\"\n", 200},
    {"If-Match: *\n", 200},
    {"If-Match: \"other\"\n", 412},
    {"If-Match: W/\"tag\"\n", 412},
    {"If-Match: \"other\"\nIf-Match: \"tag\"\n", 200},
    {"If-Match: tag\n", 412},
    {"If-Match: \n", 412},
    {"If-Unmodified-Since: " EXACT "\n", 200},
    {"If-Unmodified-Since: " AFTER "\n", 200},
    {"If-Unmodified-Since: " BEFORE "\n", 412},
    {"If-Unmodified-Since: never\n", 200},
    {"If-Match: \"tag\"\nIf-Unmodified-Since: " BEFORE "\n", 200},
    {"If-Match: \"other\"\nIf-Unmodified-Since: " AFTER "\n", 412},
    {"If-Match: \"tag\"\nIf-None-Match: \"tag\"\n", 304},
    {"If-Match: \"other\"\nIf-None-Match: \"tag\"\n", 412},
    {"If-Unmodified-Since: " BEFORE "\nIf-Modified-Since: " EXACT "\n", 412},
    {"If-Unmodified-Since: " EXACT "\nIf-Modified-Since: " EXACT "\n", 304},
    /* Range and If-Range come last */
    {"Range: bytes=0-1\n", 206},
    {"Range: bytes=0-1\nRange: bytes=0-1\n", 200},
    {"Range: bytes=100-\n", 416},
    {"If-None-Match: \"tag\"\nRange: bytes=0-1\n", 304},
    {"If-Match: \"other\"\nRange: bytes=0-1\n", 412},
    {"Range: bytes=0-1\nIf-Range: \"tag\"\n", 206},
    {"If-Range: \"tag\"\nRange: bytes=0-1\n", 206},
    {"Range: bytes=0-1\nIf-Range: W/\"tag\"\n", 200},
    {"Range: bytes=0-1\nIf-Range: \"other\"\n", 200},
    {"Range: bytes=0-1\nIf-Range: \"tag\", \"other\"\n", 200},
    {"Range: bytes=0-1\nIf-Range: *\n", 200},
    {"Range: bytes=0-1\nIf-Range: \n", 200},
    {"Range: bytes=0-1\nIf-Range: " EXACT "\n", 206},
    {"Range: bytes=0-1\nIf-Range: " BEFORE "\n", 200},
    {"Range: bytes=0-1\nIf-Range: " AFTER "\n", 200},
    {"Range: bytes=0-1\nIf-Range: \"tag\"\nIf-Range: \"tag\"\n", 200},
    {"Range: bytes=100-\nIf-Range: \"other\"\n", 200},
};

/* The file's tag is W/"tag": it has just changed. */
static const condition_case weak_cases[] = {
    {"If-None-Match: \"tag\"\n", 304},
    {"If-None-Match: W/\"tag\"\n", 304},
    {"If-Match: \"tag\"\n", 412},
    {"If-Match: W/\"tag\"\n", 412},
    {"If-Match: *\n", 200},
    {"Range: bytes=0-1\n", 206},
    {"Range: bytes=0-1\nIf-Range: \"tag\"\n", 200},
    {"Range: bytes=0-1\nIf-Range: W/\"tag\"\n", 200},
    {"Range: bytes=0-1\nIf-Range: " EXACT "\n", 200},
};

static int decide(const char *fields, const rondo__validators *file) {
    rondo__conditions conditions;
    rondo__parts parts;

    rondo__conditions_init(&conditions, file, NOW);
    while (*fields != '\0') {
        size_t name = strcspn(fields, ":"), line = strcspn(fields, "\n");
        rondo__conditions_field(&conditions, rondo_slice_of(fields, name),
                                rondo_slice_of(fields + name + 2, line - name - 2));
        fields += line + 1;
    }
    int status = rondo__conditions_status(&conditions);
    if (status != 200) return status;
    switch (rondo__conditions_range(&conditions, 100, &parts)) {
    case PART:
        CHECK_INT(parts.count, 1);
        CHECK_INT(parts.at[0].offset, 0);
        CHECK_INT(parts.at[0].len, 2);
        return 206;
    case BEYOND: return 416;
    default: return 200;
    }
}

static void check_conditions(const condition_case *table, size_t count,
                             const rondo__validators *file) {
    for (size_t i = 0; i < count; i++) {
        int status = decide(table[i].fields, file);
        if (status != table[i].status)
            FAIL("%s gave %d, should be %d", table[i].fields, status, table[i].status);
    }
}

TEST(condition_table) {
    rondo__validators strong = {"\"tag\"", true, 784111777};
    rondo__validators weak = {"W/\"tag\"", false, 784111777};

    check_conditions(strong_cases, sizeof strong_cases / sizeof *strong_cases, &strong);
    check_conditions(weak_cases, sizeof weak_cases / sizeof *weak_cases, &weak);
}
