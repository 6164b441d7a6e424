/* SPDX-License-Identifier: MIT
 *
 * Whether an answer is compressed. What the application has said about it stands in the fields that
 * it has added, formatted already: they are few, and read here only for answers that may be.
 */
#include "http/encoding/choose.h"

#include <rondo/error.h>
#include <string.h>

#include "http/chars.h"
#include "http/encoding/accept.h"
#include "http/server/request.h"
#include "http/server/response.h"

/* ---- media types ---- */

static bool ends_with(rondo_slice text, const char *ending) {
    size_t len = strlen(ending);
    return text.len > len && rondo__http_word_is(text.data + text.len - len, len, ending);
}

/* All text but streams of events, which are many small writes to many clients; and what is text by
 * another name. Pictures, sound, archives and web fonts are compressed already. */
bool rondo__type_shrinks(rondo_slice type) {
    static const char *const words[] = {
        "application/json",
        "application/javascript",
        "application/xml",
        "application/wasm",
        "application/x-ndjson",
        "application/jsonl",
        "application/yaml",
        "application/rtf",
        "application/manifest+json",
        "application/graphql",
        "application/toml",
        "application/x-javascript",
        "image/bmp",
        "image/vnd.microsoft.icon",
        "font/ttf",
        "font/otf",
        "application/vnd.ms-fontobject",
    };
    const char *semicolon = type.len > 0 ? memchr(type.data, ';', type.len) : NULL;

    if (semicolon) type.len = (size_t)(semicolon - type.data);
    while (type.len > 0 && rondo__http_blank(type.data[type.len - 1])) type.len--;
    if (type.len > 5 && rondo__http_word_is(type.data, 5, "text/"))
        return !rondo__http_word_is(type.data, type.len, "text/event-stream");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (rondo__http_word_is(type.data, type.len, words[i])) return true;
    return ends_with(type, "+json") || ends_with(type, "+xml") || ends_with(type, "+text");
}

/* ---- the fields that were added ---- */

/* The next line from *at on; false at the end. */
static bool next_field(rondo_slice fields, size_t *at, rondo_slice *ret_name,
                       rondo_slice *ret_value) {
    if (*at >= fields.len) return false;
    const char *line = fields.data + *at;
    const char *end = memchr(line, '\r', fields.len - *at); /* no value has one */
    const char *colon = memchr(line, ':', fields.len - *at);
    RONDO_ASSERT(end && colon && colon < end);
    *ret_name = rondo_slice_of(line, (size_t)(colon - line));
    *ret_value = rondo_slice_of(colon + 2, (size_t)(end - colon - 2));
    *at = (size_t)(end + 2 - fields.data);
    return true;
}

/* Whether the list has the word, which is of lower case. */
static bool lists(rondo_slice list, const char *word) {
    while (list.len > 0) {
        const char *comma = memchr(list.data, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.data) : list.len, begin = 0, end = len;
        while (begin < end && rondo__http_blank(list.data[begin])) begin++;
        while (end > begin && rondo__http_blank(list.data[end - 1])) end--;
        if (rondo__http_word_is(list.data + begin, end - begin, word)) return true;
        len += comma != NULL;
        list = rondo_slice_of(list.data + len, list.len - len);
    }
    return false;
}

typedef struct remarks {
    rondo_slice type, etag;
    bool encoded; /* Content-Encoding, Content-Range, no-transform: leave it alone */
    bool varies;  /* Vary says so already */
} remarks;

static rondo_slice fields_of(const rondo_http_response *response) {
    return rondo_slice_of(response->request->out, response->request->out_len);
}

static remarks read_fields(const rondo_http_response *response) {
    remarks found = {0};
    rondo_slice name, value, fields = fields_of(response);
    size_t at = 0;

    while (next_field(fields, &at, &name, &value)) {
        if (rondo__http_word_is(name.data, name.len, "content-type"))
            found.type = value;
        else if (rondo__http_word_is(name.data, name.len, "etag"))
            found.etag = value;
        else if (rondo__http_word_is(name.data, name.len, "content-encoding") ||
                 rondo__http_word_is(name.data, name.len, "content-range"))
            found.encoded = true;
        else if (rondo__http_word_is(name.data, name.len, "cache-control"))
            found.encoded |= lists(value, "no-transform");
        else if (rondo__http_word_is(name.data, name.len, "vary"))
            found.varies |= lists(value, "accept-encoding") || lists(value, "*");
    }
    return found;
}

/* ---- the choice ---- */

rondo__choice rondo__choose_coding(const rondo_http_response *response, int status,
                                   const char *type, int64_t length, size_t min_bytes) {
    rondo__coding order[RONDO__CODINGS];

    if (status < 200 || status == 204 || status == 206) return RONDO__CHOICE_PLAIN;
    remarks found = read_fields(response);
    if (found.encoded) return RONDO__CHOICE_PLAIN;
    /* It stands for an answer that may have been compressed (RFC 9110 section 15.4.5). */
    if (status == 304) return RONDO__CHOICE_IDENTITY;
    if (length >= 0 && (uint64_t)length < min_bytes) return RONDO__CHOICE_PLAIN;
    if (!rondo__type_shrinks(type ? rondo_slice_text(type) : found.type))
        return RONDO__CHOICE_PLAIN;
    unsigned count =
        rondo__wants_order(rondo__http_wants(response->request), 1u << RONDO__CODING_GZIP, order);
    return count > 0 ? RONDO__CHOICE_GZIP : RONDO__CHOICE_IDENTITY;
}

int rondo__mark_variable(rondo_http_response *response) {
    if (read_fields(response).varies) return 0;
    return rondo_http_response_header(response, "Vary", "Accept-Encoding");
}

/* Two encodings of a thing are not the same octets (RFC 9110 section 8.8.3.3), and a weak tag does not
 * say that they are. */
static int weaken(rondo_http_response *response) {
    rondo_slice etag = read_fields(response).etag;
    char *room;

    if (etag.len == 0 || etag.data[0] != '"') return 0;
    size_t at = (size_t)(etag.data - response->request->out);
    int result = rondo__request_out(response->request, 2, &room);
    if (result < 0) return result;
    char *place = response->request->out + at; /* it may have moved */
    memmove(place + 2, place, (size_t)(room - place));
    memcpy(place, "W/", 2);
    return 0;
}

/* What is compressed while it is sent has no parts that could be asked for: those would be of the octets
 * before, and no continuation of what the client has (RFC 9110 section 14.3). */
static void drop_accept_ranges(rondo_http_response *response) {
    rondo_slice name, value, fields = fields_of(response);
    size_t from = 0, at = 0;

    for (; next_field(fields, &at, &name, &value); from = at) {
        if (!rondo__http_word_is(name.data, name.len, "accept-ranges")) continue;
        memmove(response->request->out + from, fields.data + at, fields.len - at);
        response->request->out_len -= (uint32_t)(at - from);
        return;
    }
}

int rondo__mark_gzip(rondo_http_response *response) {
    drop_accept_ranges(response);

    int result = weaken(response);
    if (result == 0) result = rondo_http_response_header(response, "Content-Encoding", "gzip");
    return result;
}
