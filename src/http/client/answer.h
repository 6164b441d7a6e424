/* SPDX-License-Identifier: MIT
 *
 * An answer as it comes in: its head, checked; how its body is framed (RFC 9112 section 6.3); its body,
 * piece by piece; its trailers. Knows nothing of connections and calls nobody. Internal.
 */
#ifndef RONDO__CLIENT_ANSWER_H
#define RONDO__CLIENT_ANSWER_H

#include <rondo/http_client.h>

#include "http/bytes.h"
#include "http/parser.h"
#include "http/trailer_scan.h"

typedef enum rondo__answer_framing {
    RONDO__ANSWER_NONE,   /* there is no body */
    RONDO__ANSWER_LENGTH, /* Content-Length */
    RONDO__ANSWER_CHUNKS,
    RONDO__ANSWER_CLOSE, /* until the connection ends */
    RONDO__ANSWER_TUNNEL /* what follows is not HTTP: 101, and 2xx to CONNECT */
} rondo__answer_framing;

/* What the request says about how its answer is to be read. */
typedef struct rondo__asked {
    bool head;    /* by HEAD */
    bool connect; /* by CONNECT */
    bool upgrade; /* with Upgrade */
} rondo__asked;

/* All zero at first, then rondo__answer_reset(). */
typedef struct rondo__answer {
    rondo__parser parser;
    rondo__bytes head;
    uint32_t fields; /* offset of the first field line; they end two octets before the head does */
    uint32_t reason, reason_len;
    uint16_t status; /* 0: there is no complete head */
    uint8_t minor;
    uint8_t framing;
    bool keeps; /* the connection goes on after it */
    bool in_trailers;
    uint64_t length; /* with RONDO__ANSWER_LENGTH, and what of it is left */
    uint64_t left;
    uint64_t seen; /* octets of body, as they came */
    size_t unpaid; /* framing of chunks that no data has paid for */
    rondo__trailer_scan scan;
    rondo__bytes trailers; /* the lines, and the empty one */
} rondo__answer;

/* For the next head; keeps the memory. */
void rondo__answer_reset(rondo__answer *answer);
void rondo__answer_free(rondo__answer *answer);

enum {
    RONDO__ANSWER_MORE = 0,
    RONDO__ANSWER_HEAD = 1, /* the head is complete, and good */
    RONDO__ANSWER_DATA = 2, /* a piece of the body */
    RONDO__ANSWER_DONE = 3  /* the body is complete */
};

/* Feeds octets of a head, *ret_used of which belong to it. MORE, HEAD, RONDO_EPROTO, RONDO_EMSGSIZE or
 * RONDO_ENOMEM. */
int rondo__answer_feed_head(rondo__answer *answer, rondo__asked asked,
                            const rondo_http_client_limits *limits, const char *data, size_t len,
                            size_t *ret_used);

/* After HEAD: feeds octets of a body, up to the first event; without any, says whether it is complete
 * already. MORE, DATA (with *ret_piece), DONE, or an error as above. */
int rondo__answer_feed_body(rondo__answer *answer, const rondo_http_client_limits *limits,
                            const char *data, size_t len, size_t *ret_used, rondo_slice *ret_piece);

/* Whether all of the body has come, and nothing more is needed to know. */
static inline bool rondo__answer_is_done(const rondo__answer *answer) {
    return answer->framing == RONDO__ANSWER_NONE ||
           (answer->framing == RONDO__ANSWER_LENGTH && answer->left == 0);
}

/* The connection has ended. Whether the answer, whose head has come, is complete with that. */
bool rondo__answer_ends_here(const rondo__answer *answer);

static inline rondo_slice rondo__answer_fields(const rondo__answer *answer) {
    if (answer->status == 0) return rondo_slice_of(NULL, 0);
    return rondo_slice_of(answer->head.data + answer->fields,
                          answer->head.len - 2 - answer->fields);
}
static inline rondo_slice rondo__answer_trailers(const rondo__answer *answer) {
    size_t len = answer->trailers.len;
    return rondo_slice_of(answer->trailers.data, len > 2 ? len - 2 : 0);
}

#endif
