/* SPDX-License-Identifier: MIT
 *
 * What client and server agree on in their heads: subprotocols (RFC 6455 section 1.9) and
 * permessage-deflate (RFC 7692 section 7.1). On text alone, without sockets. Internal.
 */
#ifndef RONDO__WS_NEGOTIATE_H
#define RONDO__WS_NEGOTIATE_H

#include <rondo/websocket.h>

/* Takes the next element of a comma-separated list (RFC 9110 section 5.6.1), without the blanks around
 * it; a comma in quotes is none. False at the end. */
bool rondo__ws_list_next(rondo_slice *list, rondo_slice *ret_element);
/* Whether a list has this element, in any case; word as of rondo__http_word_is(). */
bool rondo__ws_list_has(rondo_slice list, const char *word);

/* Whether it is a list of tokens without a repetition, as options->protocols must be. */
bool rondo__ws_protocols_are_valid(const char *protocols);
/* Whether a list of tokens has exactly this one. */
bool rondo__ws_protocols_have(rondo_slice list, rondo_slice protocol);

/* What was agreed on; all zeroes: no compression. "Fresh": a message for itself, without the context of
 * those before. */
typedef struct rondo__ws_deflate {
    bool on;
    bool server_fresh, client_fresh;
    bool server_bits_named; /* in the offer, so in the answer too */
    uint8_t server_bits;    /* the window that the server compresses with; 15 unless named */
} rondo__ws_deflate;

/* A server's choice from one field of offers: false, and nothing is changed, when none will do. */
bool rondo__ws_deflate_choose(rondo_slice offers, rondo_websocket_compression compression,
                              rondo__ws_deflate *ret_chosen);
#define RONDO__DEFLATE_TEXT_SIZE 128
/* The field's value that says so. */
void rondo__ws_deflate_answer(const rondo__ws_deflate *chosen, char text[RONDO__DEFLATE_TEXT_SIZE]);

/* A client's offer, "" for none; and whether an answer to it will do. */
const char *rondo__ws_deflate_offer(rondo_websocket_compression compression);
bool rondo__ws_deflate_agree(rondo_slice answer, rondo_websocket_compression compression,
                             rondo__ws_deflate *ret_agreed);

#endif
