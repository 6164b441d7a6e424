/* SPDX-License-Identifier: MIT
 *
 * Lists, subprotocols, and the parameters of permessage-deflate:
 *
 *   server_no_context_takeover     the server's messages are fresh: an answer must repeat it
 *   client_no_context_takeover     the client's will be; a server may also ask for it unbidden
 *   server_max_window_bits=8..15   the server's window: an answer must repeat it, or say less
 *   client_max_window_bits[=...]   a server may name the client's window if this was offered; ours
 *                                  takes any window and never does, so our client doesn't offer it
 *
 * An offer with anything else in it is declined (section 7.1), and the next one is looked at. zlib
 * can't compress with a window of 8 bits, so an offer that asks for that is declined too.
 */
#include "http/websocket/negotiate.h"

#include <stdio.h>
#include <string.h>

#include "http/chars.h"
#include "http/websocket/deflate.h"

/* ---- lists ---- */

static rondo_slice trim(rondo_slice text) {
    while (text.len > 0 && rondo__http_blank(text.data[0])) text.data++, text.len--;
    while (text.len > 0 && rondo__http_blank(text.data[text.len - 1])) text.len--;
    return text;
}

/* Takes what comes before the separator, and it, off the front. */
static bool take_part(rondo_slice *text, char separator, rondo_slice *ret_part) {
    bool quoted = false;
    size_t end = 0;
    if (!text->data) return false;
    for (; end < text->len && (quoted || text->data[end] != separator); end++) {
        if (text->data[end] == '"') quoted = !quoted;
        if (quoted && text->data[end] == '\\' && end + 1 < text->len) end++;
    }
    *ret_part = trim(rondo_slice_of(text->data, end));
    if (end == text->len)
        *text = rondo_slice_of(NULL, 0);
    else
        *text = rondo_slice_of(text->data + end + 1, text->len - end - 1);
    return true;
}

bool rondo__ws_list_next(rondo_slice *list, rondo_slice *ret_element) {
    while (take_part(list, ',', ret_element))
        if (ret_element->len > 0) return true; /* empty elements are allowed */
    return false;
}

bool rondo__ws_list_has(rondo_slice list, const char *word) {
    rondo_slice element;
    while (rondo__ws_list_next(&list, &element))
        if (rondo__http_word_is(element.data, element.len, word)) return true;
    return false;
}

/* ---- subprotocols ---- */

static bool same(rondo_slice a, rondo_slice b) {
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static bool is(rondo_slice text, const char *name) { return same(text, rondo_slice_text(name)); }

bool rondo__ws_protocols_have(rondo_slice list, rondo_slice protocol) {
    rondo_slice element;
    while (rondo__ws_list_next(&list, &element))
        if (same(element, protocol)) return true;
    return false;
}

bool rondo__ws_protocols_are_valid(const char *protocols) {
    rondo_slice list = rondo_slice_text(protocols), element;
    bool some = false;
    while (rondo__ws_list_next(&list, &element)) {
        if (!rondo__http_all(element.data, element.len, RONDO__CHAR_TOKEN)) return false;
        if (rondo__ws_protocols_have(list, element)) return false;
        some = true;
    }
    return some;
}

/* ---- permessage-deflate ---- */

/* The parameters of an offer or answer, as they are written. */
typedef struct params {
    bool server_fresh, client_fresh, server_bits, client_bits;
    unsigned server_bits_value, client_bits_value; /* 0: without a value */
} params;

/* 8 to 15 without leading zeroes (section 7.1.2), perhaps in quotes; 0: it is not. */
static unsigned bits_value(rondo_slice text) {
    if (text.len >= 2 && text.data[0] == '"' && text.data[text.len - 1] == '"')
        text = rondo_slice_of(text.data + 1, text.len - 2);
    if (text.len == 1 && text.data[0] >= '8' && text.data[0] <= '9')
        return (unsigned)(text.data[0] - '0');
    if (text.len == 2 && text.data[0] == '1' && text.data[1] >= '0' && text.data[1] <= '5')
        return 10u + (unsigned)(text.data[1] - '0');
    return 0;
}

/* Once, and without a value. */
static bool set_flag(bool *flag, bool has_value) {
    bool again = *flag;
    *flag = true;
    return !again && !has_value;
}

static bool read_param(rondo_slice param, params *to) {
    const char *equals = memchr(param.data, '=', param.len);
    size_t name_len = equals ? (size_t)(equals - param.data) : param.len;
    rondo_slice name = trim(rondo_slice_of(param.data, name_len)), value = {NULL, 0};
    if (equals) value = trim(rondo_slice_of(equals + 1, param.len - name_len - 1));
    unsigned bits = bits_value(value);
    if (equals && bits == 0) return false; /* no other parameter has a value */
    if (is(name, "server_no_context_takeover")) return set_flag(&to->server_fresh, equals != NULL);
    if (is(name, "client_no_context_takeover")) return set_flag(&to->client_fresh, equals != NULL);
    if (is(name, "server_max_window_bits")) {
        to->server_bits_value = bits;
        return set_flag(&to->server_bits, bits == 0);
    }
    if (is(name, "client_max_window_bits")) {
        to->client_bits_value = bits;
        return set_flag(&to->client_bits, false);
    }
    return false;
}

/* Whether an extension is permessage-deflate with parameters that it has. */
static bool read_params(rondo_slice extension, params *to) {
    rondo_slice part;
    memset(to, 0, sizeof *to);
    if (!take_part(&extension, ';', &part) || !is(part, "permessage-deflate")) return false;
    while (take_part(&extension, ';', &part))
        if (part.len == 0 || !read_param(part, to)) return false;
    return true;
}

bool rondo__ws_deflate_choose(rondo_slice offers, rondo_websocket_compression compression,
                              rondo__ws_deflate *ret_chosen) {
    rondo_slice offer;
    params asked;
    if (compression == RONDO_WEBSOCKET_PLAIN) return false;
    while (rondo__ws_list_next(&offers, &offer)) {
        if (!read_params(offer, &asked)) continue;
        if (asked.server_bits && asked.server_bits_value < RONDO__WINDOW_LEAST) continue;
        bool fresh = compression == RONDO_WEBSOCKET_FRESH;
        *ret_chosen = (rondo__ws_deflate){
            .on = true,
            .server_fresh = fresh || asked.server_fresh,
            .client_fresh = fresh || asked.client_fresh,
            .server_bits_named = asked.server_bits,
            .server_bits =
                asked.server_bits ? (uint8_t)asked.server_bits_value : RONDO__WINDOW_MOST,
        };
        return true;
    }
    return false;
}

void rondo__ws_deflate_answer(const rondo__ws_deflate *chosen,
                              char text[RONDO__DEFLATE_TEXT_SIZE]) {
    char bits[40] = "";
    if (chosen->server_bits_named)
        snprintf(bits, sizeof bits, "; server_max_window_bits=%u", chosen->server_bits);
    snprintf(text, RONDO__DEFLATE_TEXT_SIZE, "permessage-deflate%s%s%s",
             chosen->server_fresh ? "; server_no_context_takeover" : "",
             chosen->client_fresh ? "; client_no_context_takeover" : "", bits);
}

const char *rondo__ws_deflate_offer(rondo_websocket_compression compression) {
    switch (compression) {
    case RONDO_WEBSOCKET_FRESH:
        return "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    case RONDO_WEBSOCKET_CONTEXT: return "permessage-deflate";
    default: return "";
    }
}

bool rondo__ws_deflate_agree(rondo_slice answer, rondo_websocket_compression compression,
                             rondo__ws_deflate *ret_agreed) {
    rondo_slice extension, another;
    params said;
    if (compression == RONDO_WEBSOCKET_PLAIN || !rondo__ws_list_next(&answer, &extension) ||
        rondo__ws_list_next(&answer, &another) || !read_params(extension, &said) ||
        said.client_bits)
        return false;
    *ret_agreed = (rondo__ws_deflate){
        .on = true,
        .server_fresh = said.server_fresh,
        .client_fresh = said.client_fresh || compression == RONDO_WEBSOCKET_FRESH,
        .server_bits_named = said.server_bits,
        .server_bits = said.server_bits ? (uint8_t)said.server_bits_value : RONDO__WINDOW_MOST,
    };
    return true;
}
