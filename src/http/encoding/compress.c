/* SPDX-License-Identifier: MIT
 *
 * The filter that compresses: which answers, and how their octets go.
 *
 *   reply, short     compressed with the loop's own deflater, with a length
 *   reply, long      copied, and pumped: a slice a turn; the response ends when it is through
 *   begin ... end    a deflater of its own; flushed when the callback returns
 *
 * A response begins with the filter `chooser`, which knows nothing. Once it has chosen it leaves, or
 * puts `encoder` in its place, whose state is behind response->filter_state.
 */
#include <rondo/error.h>
#include <rondo/handle.h>
#include <string.h>

#include "http/encoding/choose.h"
#include "http/encoding/compress.h"
#include "http/encoding/deflate.h"
#include "http/server/response.h"
#include "loop/memory.h"

/* What is compressed in one go, about a millisecond's work. */
#define SLICE_BYTES ((size_t)64 * 1024)

typedef struct encoding {
    rondo_http_response *response;
    rondo__http *http;
    rondo__deflater *deflater;
    rondo__flush flush; /* of what the callback has written */
    rondo__task pump;
    bool is_bounded; /* `left` octets were promised, and have not been written yet */
    bool discards;   /* HEAD: nothing is sent */
    uint64_t left;
    int error;          /* what was sent is not a whole answer any more */
    size_t pumped, len; /* with a body of its own: the application has ended the response */
    char body[];
} encoding;

static const rondo__filter encoder;

/* ---- the state ---- */

static void flush_encoding(rondo__flush *flush);
static void run_pump(rondo_loop *loop, rondo__task *task);

static const rondo_http_compression *options_of(const rondo_http_response *response) {
    return &response->request->conn->server->compression;
}

/* NULL: there are enough of them, or no memory; the answer goes as it is. */
static encoding *new_encoding(rondo_http_response *response, rondo_slice body) {
    rondo__http *http = response->request->http;
    const rondo_http_compression *options = options_of(response);

    if (http->deflating >= options->streams) return NULL;
    encoding *state = rondo__alloc(sizeof *state + body.len);
    if (!state) return NULL;
    memset(state, 0, sizeof *state);
    state->deflater = response->bodyless ? NULL : rondo__deflater_new(options->level, true);
    if (!state->deflater && !response->bodyless) {
        rondo__free(state);
        return NULL;
    }
    state->response = response;
    state->http = http;
    state->discards = response->bodyless;
    state->len = body.len;
    if (body.len > 0) memcpy(state->body, body.data, body.len);
    rondo__flush_init(&state->flush, flush_encoding);
    rondo__task_init(&state->pump, run_pump);
    http->deflating++;
    return state;
}

static void free_encoding(encoding *state) {
    RONDO_ASSERT(state->http->deflating > 0);
    state->http->deflating--;
    rondo__flush_cancel(&state->flush);
    rondo__task_cancel(&state->pump);
    rondo__deflater_free(state->deflater);
    rondo__free(state);
}

/* ---- octets ---- */

/* Sends what comes out for what goes in. As rondo_http_response_write(). */
static int encode(encoding *state, rondo_slice data, rondo__deflate how) {
    rondo_http_response *response = state->response;
    int result = 1;
    rondo_slice piece;

    if (state->discards || state->error < 0) return state->error < 0 ? state->error : 1;
    response->filter = NULL;
    rondo__deflater_give(state->deflater, data, how);
    while (rondo__deflater_take(state->deflater, &piece)) {
        if (result < 0) continue; /* the deflater is emptied all the same */
        result = rondo_http_response_write(response, piece);
    }
    response->filter = &encoder;
    if (result < 0) state->error = result;
    return result;
}

static void flush_encoding(rondo__flush *flush) {
    encode(RONDO__OF(flush, encoding, flush), rondo_slice_of(NULL, 0), RONDO__DEFLATE_FLUSH);
}

/* Ends the response itself. What is missing, or could not be sent, breaks it off. */
static int finish(encoding *state) {
    rondo_http_response *response = state->response;
    bool complete = !state->is_bounded || state->left == 0;
    int result = complete ? 0 : RONDO_EPROTO;

    if (complete) encode(state, rondo_slice_of(NULL, 0), RONDO__DEFLATE_FINISH);
    if (state->error < 0) result = state->error;
    if (state->discards && result == RONDO_EPROTO) result = 0; /* as without compression */
    free_encoding(state);
    response->filter = NULL;
    if (result < 0 && result != RONDO_ECLOSED) {
        rondo__response_break(response);
        return result;
    }
    return rondo_http_response_end(response);
}

/* ---- a body that is pumped ---- */

static void on_pump_drain(rondo_http_response *response, void *arg) {
    encoding *state = arg;
    rondo__defer(rondo_handle_loop(response), &state->pump);
}

static void on_pump_aborted(rondo_http_response *response, void *arg) {
    (void)response;
    finish(arg);
}

static void run_pump(rondo_loop *loop, rondo__task *task) {
    encoding *state = RONDO__OF(task, encoding, pump);
    size_t len =
        state->len - state->pumped < SLICE_BYTES ? state->len - state->pumped : SLICE_BYTES;
    int result =
        encode(state, rondo_slice_of(state->body + state->pumped, len), RONDO__DEFLATE_MORE);

    state->pumped += len;
    if (result < 0 || state->pumped == state->len)
        finish(state);
    else if (result > 0)
        rondo__defer(loop, task);
    /* else on_pump_drain() goes on */
}

/* The application has ended the response; it is closed when all is queued. */
static int begin_pump(rondo_http_response *response, int status, const char *type,
                      encoding *state) {
    int result = type ? rondo_http_response_header(response, "Content-Type", type) : 0;

    if (result == 0) result = rondo_http_response_begin(response, status, -1);
    if (result < 0) {
        free_encoding(state);
        rondo__response_break(response);
        return result;
    }
    if (state->discards) return finish(state);
    response->filter = &encoder;
    response->filter_state = state;
    rondo_http_response_on_drain(response, on_pump_drain, state);
    rondo_http_response_on_aborted(response, on_pump_aborted, state);
    rondo__defer(rondo_handle_loop(response), &state->pump);
    return 0;
}

static bool is_pumped(const rondo_http_response *response) {
    return ((const encoding *)response->filter_state)->len > 0;
}

/* ---- a response that is being compressed ---- */

static int encoder_reply(rondo_http_response *response, int status, const char *type,
                         rondo_slice body) {
    (void)status, (void)type, (void)body;
    return is_pumped(response) ? RONDO_ECLOSED : RONDO_EBUSY;
}

static int encoder_begin(rondo_http_response *response, int status, int64_t length) {
    (void)status, (void)length;
    return is_pumped(response) ? RONDO_ECLOSED : RONDO_EBUSY;
}

static int encoder_write(rondo_http_response *response, rondo_slice data) {
    encoding *state = response->filter_state;
    rondo__http_conn *conn = rondo__response_conn(response);

    if (is_pumped(response) || !conn) return RONDO_ECLOSED;
    if (state->is_bounded && data.len > state->left) return RONDO_EOVERFLOW;
    /* What can't shrink grows by little: five octets for 16 KiB. */
    if (!state->discards && !rondo__response_fits(conn, data.len + data.len / 1024 + 64))
        return RONDO_ENOBUFS;
    int result = encode(state, data, RONDO__DEFLATE_MORE);
    if (result < 0) return result;
    if (state->is_bounded) state->left -= data.len;
    if (!state->discards) rondo__flush_later(rondo_handle_loop(response), &state->flush);
    return result;
}

static int encoder_end(rondo_http_response *response) {
    return is_pumped(response) ? RONDO_ECLOSED : finish(response->filter_state);
}

static void encoder_drop(rondo_http_response *response) { free_encoding(response->filter_state); }

static const rondo__filter encoder = {
    .reply = encoder_reply,
    .begin = encoder_begin,
    .write = encoder_write,
    .end = encoder_end,
    .drop = encoder_drop,
};

/* ---- a response that may become one ---- */

/* Compresses a short body with the loop's deflater into memory that the caller frees. NULL: it is
 * better sent as it is. */
static char *encode_at_once(rondo__http *http, int level, rondo_slice body, size_t *ret_len) {
    char *output = rondo__alloc(body.len);
    size_t len = 0;
    rondo_slice piece;

    if (http->deflater && http->deflater_level != level) {
        rondo__deflater_free(http->deflater);
        http->deflater = NULL;
    }
    if (!http->deflater) http->deflater = rondo__deflater_new(level, false);
    http->deflater_level = level;
    if (!output || !http->deflater) {
        rondo__free(output);
        return NULL;
    }
    rondo__deflater_reset(http->deflater);
    rondo__deflater_give(http->deflater, body, RONDO__DEFLATE_FINISH);
    while (rondo__deflater_take(http->deflater, &piece)) {
        if (piece.len > body.len - len) {
            rondo__free(output);
            return NULL; /* it does not shrink */
        }
        memcpy(output + len, piece.data, piece.len);
        len += piece.len;
    }
    *ret_len = len;
    return output;
}

static int reply_short(rondo_http_response *response, int status, const char *type,
                       rondo_slice body) {
    int level = options_of(response)->level;
    size_t len = 0;
    char *output = encode_at_once(response->request->http, level, body, &len);
    int result = output ? rondo__mark_gzip(response) : 0;

    if (output && result == 0) body = rondo_slice_of(output, len);
    if (result == 0) result = rondo_http_response_reply(response, status, type, body);
    rondo__free(output);
    return result;
}

static int reply_long(rondo_http_response *response, int status, const char *type,
                      rondo_slice body) {
    /* To HEAD nothing is sent, but for the head. */
    encoding *state = new_encoding(response, response->bodyless ? rondo_slice_of(NULL, 0) : body);

    if (!state) return rondo_http_response_reply(response, status, type, body);
    int result = rondo__mark_gzip(response);
    if (result == 0) return begin_pump(response, status, type, state);
    free_encoding(state);
    return result;
}

/* Takes the filter away, and says what is to be done: only where there is still somebody to answer. */
static rondo__choice choose(rondo_http_response *response, int status, const char *type,
                            int64_t length) {
    response->filter = NULL;
    if (response->status != 0 || !rondo__response_conn(response)) return RONDO__CHOICE_PLAIN;
    rondo__choice choice =
        rondo__choose_coding(response, status, type, length, options_of(response)->min_bytes);
    /* A field that can't be added: the answer goes without, and as it is. */
    if (choice != RONDO__CHOICE_PLAIN && rondo__mark_variable(response) < 0)
        return RONDO__CHOICE_PLAIN;
    return choice;
}

static bool is_type(const rondo_http_response *response, const char *type) {
    return !type || rondo__http_use_type(response->request->http, type) == 0;
}

static int chooser_reply(rondo_http_response *response, int status, const char *type,
                         rondo_slice body) {
    /* What is refused is for the response to say. */
    bool valid = status >= 200 && status <= 599 && is_type(response, type);
    rondo__choice choice =
        valid ? choose(response, status, type, (int64_t)body.len) : RONDO__CHOICE_PLAIN;

    response->filter = NULL;
    if (choice != RONDO__CHOICE_GZIP)
        return rondo_http_response_reply(response, status, type, body);
    return body.len <= SLICE_BYTES ? reply_short(response, status, type, body)
                                   : reply_long(response, status, type, body);
}

static int chooser_begin(rondo_http_response *response, int status, int64_t length) {
    bool valid = status >= 200 && status <= 599 && length >= -1;
    rondo__choice choice = valid ? choose(response, status, NULL, length) : RONDO__CHOICE_PLAIN;

    response->filter = NULL;
    encoding *state =
        choice == RONDO__CHOICE_GZIP ? new_encoding(response, rondo_slice_of(NULL, 0)) : NULL;
    if (!state) return rondo_http_response_begin(response, status, length);
    int result = rondo__mark_gzip(response);
    if (result == 0) result = rondo_http_response_begin(response, status, -1);
    if (result < 0) {
        free_encoding(state);
        return result;
    }
    state->is_bounded = length >= 0;
    state->left = length >= 0 ? (uint64_t)length : 0;
    response->filter = &encoder;
    response->filter_state = state;
    return 0;
}

/* Nothing has begun: nothing to compress. */
static int chooser_write(rondo_http_response *response, rondo_slice data) {
    const rondo__filter *filter = response->filter;

    response->filter = NULL;
    int result = rondo_http_response_write(response, data);
    response->filter = filter;
    return result;
}

static int chooser_end(rondo_http_response *response) {
    response->filter = NULL;
    return rondo_http_response_end(response);
}

static void chooser_drop(rondo_http_response *response) { (void)response; }

const rondo__filter rondo__chooser = {
    .reply = chooser_reply,
    .begin = chooser_begin,
    .write = chooser_write,
    .end = chooser_end,
    .drop = chooser_drop,
};

/* ---- turning it on ---- */

int rondo__compression_set(rondo_http_server *server, const rondo_http_compression *options) {
    rondo_http_compression set = options ? *options : (rondo_http_compression){0};

    if (!rondo__deflate_is_there()) return RONDO_ENOSYS;
    if (set.level < 0 || set.level > 9) return RONDO_EINVAL;
#define USE_DEFAULT(field, type, value, what) \
    if (set.field == 0) set.field = value;
    RONDO_HTTP_COMPRESSION(USE_DEFAULT)
#undef USE_DEFAULT
    server->compression = set;
    server->filter = options ? &rondo__chooser : NULL;
    return 0;
}

int rondo_http_response_compress(rondo_http_response *response, bool on) {
    RONDO__CHECK(response, &rondo__response_kind);
    if (!rondo__deflate_is_there()) return RONDO_ENOSYS;
    if (!response->request || !rondo__response_conn(response)) return RONDO_ECLOSED;
    if (response->status != 0) return RONDO_EBUSY;
    response->filter = on ? &rondo__chooser : NULL;
    return 0;
}
