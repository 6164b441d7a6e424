/* SPDX-License-Identifier: MIT
 *
 * Values of fields that the server reads to serve files: Range, dates, entity tags; and addresses.
 * What is read says something that is possible, and what can be written again is read as the same.
 */
#include "fuzz.h"

#include "http/files/files.h"

/* As many as may be, each within the file, none that touches another. */
static void check_parts(const rondo__parts *parts, uint64_t size) {
    MUST(parts->count > 0 && parts->count <= RONDO__RANGES_MOST);
    for (unsigned i = 0; i < parts->count; i++) {
        const rondo__part *one = &parts->at[i];
        MUST(one->len > 0 && one->offset < size && one->len <= size - one->offset);
        for (unsigned k = 0; k < i; k++) {
            const rondo__part *other = &parts->at[k];
            MUST(one->offset > other->offset + other->len ||
                 other->offset > one->offset + one->len);
        }
    }
}

static void check_range(rondo_slice text, uint64_t size) {
    rondo__parts parts = {.count = 99};
    switch (rondo__http_range(text, size, &parts)) {
    case RONDO__RANGE_PART: check_parts(&parts, size); break;
    case RONDO__RANGE_WHOLE:
    case RONDO__RANGE_UNSATISFIABLE: MUST(parts.count == 99); break;
    default: MUST(!"one of the three");
    }
}

static void check_date(rondo_slice text) {
    int64_t seconds, again;
    char written[RONDO__DATE_SIZE];
    if (!rondo__http_date_parse(text, 1700000000, &seconds)) return;
    if (!rondo__http_date_format(seconds, written)) return;
    MUST(rondo__http_date_parse(rondo_slice_text(written), 1700000000, &again) && again == seconds);
}

static void check_conditions(rondo_slice text) {
    static const char *const names[] = {"If-Match",          "If-None-Match",       "If-Range",
                                        "If-Modified-Since", "If-Unmodified-Since", "Range"};
    for (int strong = 0; strong < 2; strong++) {
        rondo__validators file = {.strong = strong, .mtime = 1600000000};
        rondo__conditions conditions;
        rondo__parts parts;
        snprintf(file.etag, sizeof file.etag, strong ? "\"1-2\"" : "W/\"1-2\"");
        rondo__conditions_init(&conditions, &file, 1700000000);
        const char *at = text.data, *end = text.data + text.len;
        while (at < end) { /* lines: the first octet says which field */
            const char *stop = memchr(at, '\n', (size_t)(end - at));
            if (!stop) stop = end;
            const char *name = names[(unsigned char)*at % 6];
            if (stop > at)
                rondo__conditions_field(&conditions, rondo_slice_text(name),
                                        rondo_slice_of(at + 1, (size_t)(stop - at - 1)));
            at = stop + 1;
        }
        int status = rondo__conditions_status(&conditions);
        MUST(status == 200 || status == 304 || status == 412);
        if (rondo__conditions_range(&conditions, 1000, &parts) == RONDO__RANGE_PART)
            check_parts(&parts, 1000);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rondo_slice text = rondo_slice_of((const char *)data, size);
    check_range(text, 0);
    check_range(text, 1);
    check_range(text, 1000);
    check_range(text, UINT64_MAX / 2);
    check_date(text);
    check_conditions(text);
    return 0;
}
