/* SPDX-License-Identifier: MIT
 *
 * llhttp, behind a few functions: a head in pieces, then a chunked body in pieces. The parser is the
 * judge of syntax and framing; what it does not look at is checked in head_check.c. It calls nobody:
 * callbacks only note what it saw and pause it, so that the application's callbacks never run with
 * the parser on the stack. Lenient flags are never set. Internal.
 */
#ifndef RONDO__PARSER_H
#define RONDO__PARSER_H

#include <rondo/base.h>

#include <llhttp.h>

typedef struct rondo__parser {
    llhttp_t llhttp;
} rondo__parser;

void rondo__parser_init(rondo__parser *parser);
/* The same for an answer. */
void rondo__parser_init_response(rondo__parser *parser);

/* What a call has come to. A status of 400 or above: refuse the message with it. */
enum {
    RONDO__PARSER_MORE = 0,
    RONDO__PARSER_HEAD = 1, /* the head is complete */
    RONDO__PARSER_DATA = 2, /* a piece of a chunked body */
    RONDO__PARSER_LAST = 3, /* the last chunk's line has been read: trailer fields come */
    RONDO__PARSER_DONE = 4  /* the chunked body is complete */
};

/* Feeds octets of a head; *ret_used says how many belong to it, or stand before the wrong one. MORE, HEAD or a status. */
int rondo__parser_head(rondo__parser *parser, const char *data, size_t len, size_t *ret_used);

/* After HEAD. */
static inline bool rondo__parser_chunked(const rondo__parser *parser) {
    return (parser->llhttp.flags & F_CHUNKED) != 0;
}
static inline bool rondo__parser_has_length(const rondo__parser *parser) {
    return (parser->llhttp.flags & F_CONTENT_LENGTH) != 0;
}
static inline uint64_t rondo__parser_length(const rondo__parser *parser) {
    return parser->llhttp.content_length;
}

/* Feeds octets of a chunked body, up to the first event. *ret_used says how far it came, *ret_data
 * is set with DATA. most: how many octets of body may still come; 413 otherwise, as soon as a
 * chunk's size tells. */
int rondo__parser_body(rondo__parser *parser, const char *data, size_t len, uint64_t most,
                       size_t *ret_used, rondo_slice *ret_data);

#endif
