/* SPDX-License-Identifier: MIT
 *
 * Answers. llhttp finds where a head ends; then the head is cut into lines again, and there must be
 * nothing in it but what RFC 9112 sections 4 and 5 say. An answer that could be read in two ways is
 * refused: with Content-Length and Transfer-Encoding, with two lengths, with a coding that is not
 * `chunked` alone. A proxy in front of us might have read it in the other way, and what one of the two
 * takes for a body is the next answer for the other.
 */
#include "http/client/answer.h"

#include <rondo/error.h>
#include <string.h>

#include "http/chars.h"
#include "http/fields.h"
#include "loop/assert.h"

void rondo__answer_reset(rondo__answer *answer) {
    rondo__bytes head = answer->head, trailers = answer->trailers;
    memset(answer, 0, sizeof *answer);
    answer->head = head;
    answer->trailers = trailers;
    answer->head.len = answer->trailers.len = 0;
    rondo__parser_init_response(&answer->parser);
}

void rondo__answer_free(rondo__answer *answer) {
    rondo__bytes_free(&answer->head);
    rondo__bytes_free(&answer->trailers);
}

/* ---- the head ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* HTTP/1.x SP 3DIGIT [SP [reason]] CRLF. Returns the length of the line, 0 when it is something else. */
static uint32_t check_status_line(rondo__answer *answer) {
    const char *line = answer->head.data;
    const char *lf = memchr(line, '\n', answer->head.len);
    if (!lf || lf - line < 13 || lf[-1] != '\r') return 0;
    if (memcmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1')) return 0;
    if (line[8] != ' ' || !is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]))
        return 0;
    const char *reason = line + 12, *end = lf - 1;
    if (reason < end) {
        if (*reason++ != ' ') return 0; /* a fourth digit */
        if (reason < end && !rondo__http_all(reason, (size_t)(end - reason), RONDO__CHAR_VALUE))
            return 0;
    }
    int status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    if (status < 100) return 0;
    answer->status = (uint16_t)status;
    answer->minor = (uint8_t)(line[7] - '0');
    answer->reason = (uint32_t)(reason - line);
    answer->reason_len = (uint32_t)(end - reason);
    return (uint32_t)(lf + 1 - line);
}

static bool read_length(rondo_slice value, uint64_t *ret_length) {
    uint64_t length = 0;
    if (value.len == 0) return false;
    for (size_t i = 0; i < value.len; i++) {
        if (!is_digit(value.data[i])) return false;
        if (__builtin_mul_overflow(length, 10, &length) ||
            __builtin_add_overflow(length, (uint64_t)(value.data[i] - '0'), &length))
            return false;
    }
    *ret_length = length;
    return length <= INT64_MAX;
}

/* What the fields say that framing depends on. */
typedef struct framing_fields {
    unsigned lengths, codings;
    bool good, close, keep_alive;
    uint64_t length;
} framing_fields;

static framing_fields read_framing(const rondo__answer *answer) {
    rondo_slice fields = rondo__answer_fields(answer), name, value;
    const char *line = fields.data, *end = fields.len > 0 ? line + fields.len : line;
    framing_fields found = {.good = true};
    while (line < end) {
        line = rondo__field_split(line, end, &name, &value);
        if (rondo__field_is(name, "content-length")) {
            found.lengths++;
            found.good &= read_length(value, &found.length);
        } else if (rondo__field_is(name, "transfer-encoding")) {
            found.codings++;
            found.good &= rondo__field_is(value, "chunked");
        } else if (rondo__field_is(name, "connection")) {
            found.close |= rondo__field_has_token(value, "close");
            found.keep_alive |= rondo__field_has_token(value, "keep-alive");
        }
    }
    return found;
}

static bool has_no_body(const rondo__answer *answer, rondo__asked asked) {
    int status = answer->status;
    return asked.head || status < 200 || status == 204 || status == 304;
}

/* RFC 9112 section 6.3. */
static int check_framing(rondo__answer *answer, rondo__asked asked) {
    framing_fields found = read_framing(answer);
    answer->keeps = !found.close && (answer->minor > 0 || found.keep_alive);
    if ((asked.connect && answer->status / 100 == 2) || (answer->status == 101 && asked.upgrade)) {
        answer->framing = RONDO__ANSWER_TUNNEL;
        return 0;
    }
    if (answer->status == 101) return RONDO_EPROTO; /* to what nobody asked for */
    if (!found.good || found.lengths + found.codings > 1) return RONDO_EPROTO;
    if (found.codings > 0 && answer->minor == 0) return RONDO_EPROTO; /* RFC 9112 section 6.1 */
    if (found.lengths > 0) answer->length = found.length;
    if (has_no_body(answer, asked)) {
        answer->framing = RONDO__ANSWER_NONE;
    } else if (found.codings > 0) {
        /* The parser decodes them, so it must have seen the same. */
        if (!rondo__parser_chunked(&answer->parser)) return RONDO_EPROTO;
        answer->framing = RONDO__ANSWER_CHUNKS;
    } else if (found.lengths > 0) {
        answer->framing = RONDO__ANSWER_LENGTH;
        answer->left = answer->length;
    } else {
        answer->framing = RONDO__ANSWER_CLOSE;
        answer->keeps = false;
    }
    return 0;
}

static int check_head(rondo__answer *answer, rondo__asked asked,
                      const rondo_http_client_limits *limits) {
    size_t len = answer->head.len;
    uint32_t line = check_status_line(answer);
    if (line == 0 || len - line < 2) goto bad;
    answer->fields = line;
    if (memcmp(answer->head.data + len - 2, "\r\n", 2) != 0) goto bad;
    int64_t count = rondo__fields_check(rondo__answer_fields(answer));
    if (count < 0) goto bad;
    if ((uint64_t)count > limits->header_count) {
        answer->status = 0;
        return RONDO_EMSGSIZE;
    }
    if (check_framing(answer, asked) < 0) goto bad;
    return RONDO__ANSWER_HEAD;
bad:
    answer->status = 0;
    return RONDO_EPROTO;
}

int rondo__answer_feed_head(rondo__answer *answer, rondo__asked asked,
                            const rondo_http_client_limits *limits, const char *data, size_t len,
                            size_t *ret_used) {
    RONDO_ASSERT(answer->status == 0 && len > 0);
    size_t had = answer->head.len, used;
    size_t room = limits->head_bytes > had ? limits->head_bytes - had : 0;
    if (room == 0) return RONDO_EMSGSIZE;
    /* The parser skips empty lines in front. A server sends none. */
    if (had == 0 && data[0] != 'H') return RONDO_EPROTO;
    int event = rondo__parser_head(&answer->parser, data, len < room ? len : room, &used);
    if (event >= 400) return RONDO_EPROTO;
    if (!rondo__bytes_add(&answer->head, rondo_slice_of(data, used))) return RONDO_ENOMEM;
    *ret_used = used;
    if (event == RONDO__PARSER_HEAD) return check_head(answer, asked, limits);
    return answer->head.len >= limits->head_bytes ? RONDO_EMSGSIZE : RONDO__ANSWER_MORE;
}

/* ---- the body ---- */

static int feed_length(rondo__answer *answer, const char *data, size_t len, size_t *ret_used,
                       rondo_slice *ret_piece) {
    if (answer->left == 0) return RONDO__ANSWER_DONE;
    if (len == 0) return RONDO__ANSWER_MORE;
    size_t used = len < answer->left ? len : (size_t)answer->left;
    answer->left -= used;
    *ret_used = used;
    *ret_piece = rondo_slice_of(data, used);
    return RONDO__ANSWER_DATA;
}

static int feed_trailers(rondo__answer *answer, const rondo_http_client_limits *limits,
                         const char *data, size_t len, size_t *ret_used) {
    size_t had = answer->trailers.len, used = 0, parsed = 0;
    size_t room = limits->head_bytes > had ? limits->head_bytes - had : 0;
    if (room == 0) return RONDO_EMSGSIZE;
    rondo_slice piece;
    rondo__scan scan = rondo__trailer_scan_run(&answer->scan, data, len < room ? len : room,
                                               limits->header_count, &used);
    if (scan == RONDO__SCAN_BAD) return RONDO_EPROTO;
    int event = rondo__parser_body(&answer->parser, data, used, 0, &parsed, &piece);
    if (event != (scan == RONDO__SCAN_END ? RONDO__PARSER_DONE : RONDO__PARSER_MORE) ||
        parsed != used)
        return RONDO_EPROTO;
    if (scan == RONDO__SCAN_MANY) return RONDO_EMSGSIZE;
    if (!rondo__bytes_add(&answer->trailers, rondo_slice_of(data, used))) return RONDO_ENOMEM;
    *ret_used = used;
    if (scan != RONDO__SCAN_END) return RONDO__ANSWER_MORE;
    if (rondo__fields_check(rondo__answer_trailers(answer)) < 0) return RONDO_EPROTO;
    answer->framing = RONDO__ANSWER_NONE; /* no more of it */
    return RONDO__ANSWER_DONE;
}

/* Framing is what a chunked body has besides data: sizes, extensions, line ends. Each piece of data
 * pays for some of it, so that chunks of one octet pass; what nothing pays for is bounded. */
static bool count_framing(rondo__answer *answer, size_t octets, size_t data, size_t most) {
    answer->unpaid += octets;
    if (answer->unpaid > most) return false;
    size_t paid = data > 0 ? 16 + 2 * data : 0;
    answer->unpaid -= paid < answer->unpaid ? paid : answer->unpaid;
    return true;
}

static int feed_chunks(rondo__answer *answer, const rondo_http_client_limits *limits,
                       const char *data, size_t len, size_t *ret_used, rondo_slice *ret_piece) {
    size_t used = 0;
    rondo_slice piece = {NULL, 0};
    int event = rondo__parser_body(&answer->parser, data, len, INT64_MAX, &used, &piece);
    if (event == 400 || event == RONDO__PARSER_DONE) return RONDO_EPROTO;
    /* Also of a chunk that is too large: octet by octet, its size would not have been heard to the end. */
    if (!count_framing(answer, used - piece.len, piece.len, limits->chunk_extension_bytes))
        return RONDO_EPROTO;
    if (event == 413) return RONDO_EMSGSIZE;
    *ret_used = used;
    if (event == RONDO__PARSER_DATA) {
        *ret_piece = piece;
        return RONDO__ANSWER_DATA;
    }
    if (event == RONDO__PARSER_LAST) answer->in_trailers = true;
    return RONDO__ANSWER_MORE;
}

int rondo__answer_feed_body(rondo__answer *answer, const rondo_http_client_limits *limits,
                            const char *data, size_t len, size_t *ret_used,
                            rondo_slice *ret_piece) {
    int event = RONDO__ANSWER_MORE;
    RONDO_ASSERT(answer->status > 0);
    *ret_used = 0;
    *ret_piece = rondo_slice_of(NULL, 0);
    switch (answer->framing) {
    case RONDO__ANSWER_NONE: return RONDO__ANSWER_DONE;
    case RONDO__ANSWER_LENGTH: event = feed_length(answer, data, len, ret_used, ret_piece); break;
    case RONDO__ANSWER_CHUNKS:
        if (len == 0) return RONDO__ANSWER_MORE;
        event = answer->in_trailers ? feed_trailers(answer, limits, data, len, ret_used)
                                    : feed_chunks(answer, limits, data, len, ret_used, ret_piece);
        break;
    case RONDO__ANSWER_CLOSE:
        if (len == 0) return RONDO__ANSWER_MORE;
        *ret_used = len;
        *ret_piece = rondo_slice_of(data, len);
        event = RONDO__ANSWER_DATA;
        break;
    default: RONDO_ASSERT(!"a tunnel has no body");
    }
    answer->seen += ret_piece->len;
    return event;
}

bool rondo__answer_ends_here(const rondo__answer *answer) {
    return answer->status > 0 && answer->framing == RONDO__ANSWER_CLOSE;
}
