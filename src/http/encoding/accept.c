/* SPDX-License-Identifier: MIT
 *
 * The field Accept-Encoding (RFC 9110 section 12.5.3), read in one pass without memory: what a
 * hostile one costs is its length. Pure.
 */
#include "http/encoding/accept.h"

#include <string.h>

#include "http/chars.h"

/* ---- the pieces of the grammar ---- */

static void skip_space(rondo_slice *text) {
    while (text->len > 0 && rondo__http_blank(text->data[0])) {
        text->data++;
        text->len--;
    }
}

static bool take(rondo_slice *text, char c) {
    if (text->len == 0 || text->data[0] != c) return false;
    text->data++;
    text->len--;
    return true;
}

static rondo_slice take_token(rondo_slice *text) {
    rondo_slice token = {text->data, 0};

    while (text->len > 0 && rondo__http_is(text->data[0], RONDO__CHAR_TOKEN)) {
        text->data++;
        text->len--;
        token.len++;
    }
    return token;
}

/* qvalue (section 12.4.2): "0" or "1", and up to three digits. In thousandths, or -1. */
static int take_q(rondo_slice *text) {
    int q, unit = 100;

    if (text->len == 0 || (text->data[0] != '0' && text->data[0] != '1')) return -1;
    q = (text->data[0] - '0') * 1000;
    text->data++;
    text->len--;
    if (!take(text, '.')) return q;
    for (; unit > 0 && text->len > 0 && text->data[0] >= '0' && text->data[0] <= '9'; unit /= 10) {
        q += (text->data[0] - '0') * unit;
        text->data++;
        text->len--;
    }
    return q <= 1000 ? q : -1;
}

/* One element: a coding or "*", and perhaps its weight. False when it is none. */
static bool read_element(rondo_slice text, rondo_slice *ret_coding, int *ret_q) {
    skip_space(&text);
    *ret_coding = take_token(&text);
    *ret_q = 1000;
    if (ret_coding->len == 0) return false;
    skip_space(&text);
    if (take(&text, ';')) {
        skip_space(&text);
        if (!take(&text, 'q') && !take(&text, 'Q')) return false;
        if (!take(&text, '=')) return false;
        *ret_q = take_q(&text);
        skip_space(&text);
    }
    return text.len == 0 && *ret_q >= 0;
}

/* ---- the field ---- */

void rondo__accept_init(rondo__accept *accept) {
    for (int i = 0; i < RONDO__CODINGS; i++) accept->q[i] = -1;
    accept->any = -1;
}

static int *place_of(rondo__accept *accept, rondo_slice coding) {
    if (coding.len == 1 && coding.data[0] == '*') return &accept->any;
    if (rondo__http_word_is(coding.data, coding.len, "gzip") ||
        rondo__http_word_is(coding.data, coding.len, "x-gzip")) /* section 8.4.1.3 */
        return &accept->q[RONDO__CODING_GZIP];
    if (rondo__http_word_is(coding.data, coding.len, "br")) return &accept->q[RONDO__CODING_BR];
    if (rondo__http_word_is(coding.data, coding.len, "identity"))
        return &accept->q[RONDO__CODING_IDENTITY];
    return NULL;
}

void rondo__accept_field(rondo__accept *accept, rondo_slice value) {
    while (value.len > 0) {
        const char *comma = memchr(value.data, ',', value.len);
        size_t len = comma ? (size_t)(comma - value.data) : value.len;
        rondo_slice coding;
        int q;
        if (read_element(rondo_slice_of(value.data, len), &coding, &q)) {
            int *place = place_of(accept, coding);
            /* One that is named twice is wanted as little as the less of the two says. */
            if (place && (*place < 0 || q < *place)) *place = q;
        }
        len += comma != NULL;
        value = rondo_slice_of(value.data + len, value.len - len);
    }
}

/* The identity is acceptable unless it is excluded, by its name or by "*;q=0"; but whoever names a
 * coding and not the identity prefers the coding. */
rondo__wants rondo__accept_wants(const rondo__accept *accept) {
    rondo__wants wants;

    for (int i = 0; i < RONDO__CODINGS; i++) {
        int q = accept->q[i];
        if (q < 0 && i == RONDO__CODING_IDENTITY) q = accept->any == 0 ? 0 : 1;
        if (q < 0) q = accept->any > 0 ? accept->any : 0;
        wants.q[i] = (uint16_t)q;
    }
    return wants;
}

rondo__wants rondo__http_wants(const rondo_http_request *request) {
    rondo__accept accept;
    rondo_slice name, value;

    rondo__accept_init(&accept);
    for (size_t i = 0; rondo_http_request_header_at(request, i, &name, &value); i++)
        if (rondo__http_word_is(name.data, name.len, "accept-encoding"))
            rondo__accept_field(&accept, value);
    return rondo__accept_wants(&accept);
}

unsigned rondo__wants_order(rondo__wants wants, unsigned available,
                            rondo__coding ret_order[RONDO__CODINGS]) {
    unsigned count = 0;

    for (int i = RONDO__CODINGS - 1; i > RONDO__CODING_IDENTITY; i--) {
        uint16_t q = wants.q[i];
        if (!(available & (1u << i)) || q == 0 || q < wants.q[RONDO__CODING_IDENTITY]) continue;
        unsigned at = count++;
        for (; at > 0 && wants.q[ret_order[at - 1]] < q; at--) ret_order[at] = ret_order[at - 1];
        ret_order[at] = (rondo__coding)i;
    }
    return count;
}

const char *rondo__coding_name(rondo__coding coding) {
    switch (coding) {
    case RONDO__CODING_GZIP: return "gzip";
    case RONDO__CODING_BR: return "br";
    default: return NULL;
    }
}
