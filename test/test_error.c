/* SPDX-License-Identifier: MIT
 *
 * The table of error codes, read in each direction, and the small functions of base.h.
 */
#include "harness.h"

#include <errno.h>
#include <rondo.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int code, value;
    const char *name, *text;
} table[] = {
#define ROW(name, value, text) {RONDO_##name, value, #name, text},
    RONDO_ERRORS(ROW)
#undef ROW
};
enum { CODES = sizeof table / sizeof table[0] };

TEST(each_code_has_its_number_name_and_text) {
    for (int i = 0; i < CODES; i++) {
        const char *text = rondo_error_text(table[i].code);
        CHECK_INT(table[i].code, table[i].value);
        CHECK_INT(table[i].code, -1 - i); /* new ones are added at the end; none is ever moved */
        CHECK_STR(rondo_error_name(table[i].code), table[i].name);
        CHECK_STR(text, table[i].text);
        CHECK(text[0] != '\0' && text[strlen(text) - 1] != '.' && !strchr(text, '\n'));
        for (int j = 0; j < i; j++) CHECK(strcmp(text, table[j].text) != 0);
    }
}

TEST(what_is_no_error_and_what_is_unknown_have_names_too) {
    CHECK_STR(rondo_error_name(0), "OK");
    CHECK_STR(rondo_error_name(42), "OK");
    CHECK_STR(rondo_error_text(0), "no error");
    CHECK_STR(rondo_error_name(-1 - CODES), "EUNKNOWN");
    CHECK_STR(rondo_error_name(-1000000), "EUNKNOWN");
    CHECK(rondo_error_text(-1000000)[0] != '\0');
}

TEST(errno_values_are_translated_to_the_code_of_the_same_name) {
    CHECK_INT(rondo_error_from_errno(0), 0);
    CHECK_INT(rondo_error_from_errno(EAGAIN), RONDO_EAGAIN);
    CHECK_INT(rondo_error_from_errno(EWOULDBLOCK), RONDO_EAGAIN);
    CHECK_INT(rondo_error_from_errno(ECONNRESET), RONDO_ECONNRESET);
    CHECK_INT(rondo_error_from_errno(EMFILE), RONDO_EMFILE);
    CHECK_INT(rondo_error_from_errno(ENOTSUP), RONDO_ENOTSUP);
    CHECK_INT(rondo_error_from_errno(EOPNOTSUPP), RONDO_ENOTSUP);
    CHECK_INT(rondo_error_from_errno(99999), RONDO_EUNKNOWN);
    CHECK_INT(rondo_error_from_errno(-1), RONDO_EUNKNOWN);
    int translated = 0;
    for (int value = 1; value < 200; value++) {
        int code = rondo_error_from_errno(value);
        CHECK(code < 0 && code >= -CODES);
        if (code == RONDO_EUNKNOWN) continue;
        translated++;
    }
    /* All but those that no errno has (ECLOSED, ERUNAWAY, EUNKNOWN, five of names, two of TLS), and
     * five that share a code. */
    CHECK_INT(translated, CODES - 10 + 5);
    CHECK_INT(rondo_error_from_errno(EDESTADDRREQ), RONDO_ENOTCONN);
    CHECK_INT(rondo_error_from_errno(ETOOMANYREFS), RONDO_EMFILE);
}

TEST(the_version_is_that_of_the_header) {
    char want[32];
    snprintf(want, sizeof want, "%d.%d.%d", RONDO_VERSION_MAJOR, RONDO_VERSION_MINOR,
             RONDO_VERSION_PATCH);
    CHECK_STR(rondo_version(), want);
}

TEST(slices_are_pointer_and_length) {
    rondo_slice slice = rondo_slice_text("hello");
    CHECK_INT(slice.len, 5);
    CHECK_MEM(slice.data, "hello", 5);
    CHECK_INT(rondo_slice_text("").len, 0);
    CHECK_INT(rondo_slice_text(NULL).len, 0);
    slice = rondo_slice_of(&slice, 3);
    CHECK(slice.data == (const char *)&slice && slice.len == 3);
}
