/* SPDX-License-Identifier: MIT
 *
 * llhttp: version 8.1 built in strict mode (its loose mode takes line ends that RFC 9112 doesn't, see
 * CVE-2023-30589), or a libllhttp of 9 or newer, which knows strict mode only.
 */
#include "http/parser.h"

#if LLHTTP_VERSION_MAJOR < 9 && !LLHTTP_STRICT_MODE
#error "llhttp 8 must be built, and used, with LLHTTP_STRICT_MODE=1"
#endif

/* ---- heads ---- */

static int on_headers_complete(llhttp_t *llhttp) {
    llhttp->upgrade = 0; /* Upgrade is not taken: HTTP goes on (RFC 9110 section 7.8) */
    return HPE_PAUSED;
}

/* ---- chunked bodies ---- */

/* What one call of rondo__parser_body() is told by the callbacks, by way of llhttp.data. */
typedef struct body_call {
    int event;
    uint64_t most;
    rondo_slice data;
} body_call;

static int on_chunk_header(llhttp_t *llhttp) {
    body_call *call = llhttp->data;
    if (llhttp->content_length == 0) {
        call->event = RONDO__PARSER_LAST;
        return HPE_PAUSED;
    }
    if (llhttp->content_length > call->most) {
        call->event = 413;
        return HPE_PAUSED;
    }
    return 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t len) {
    body_call *call = llhttp->data;
    call->event = RONDO__PARSER_DATA;
    call->data = rondo_slice_of(at, len);
    return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *llhttp) {
    body_call *call = llhttp->data;
    call->event = RONDO__PARSER_DONE;
    return HPE_PAUSED;
}

/* Trailer fields are checked by the parser like others, and dropped. */
static const llhttp_settings_t head_settings = {.on_headers_complete = on_headers_complete};
static const llhttp_settings_t body_settings = {.on_body = on_body,
                                                .on_chunk_header = on_chunk_header,
                                                .on_message_complete = on_message_complete};

/* ---- the calls ---- */

void rondo__parser_init(rondo__parser *parser) {
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &head_settings);
}

void rondo__parser_init_response(rondo__parser *parser) {
    llhttp_init(&parser->llhttp, HTTP_RESPONSE, &head_settings);
}

static int head_error(const llhttp_t *llhttp, int error) {
    if (error == HPE_INVALID_METHOD) return 501;
    /* llhttp knows RTSP's methods too, and says only at the version that they are not HTTP's. */
    switch (llhttp->method) {
#define RTSP_ONLY(name) \
    case HTTP_##name: return 501;
        RTSP_ONLY(PRI)
        RTSP_ONLY(DESCRIBE)
        RTSP_ONLY(ANNOUNCE)
        RTSP_ONLY(SETUP)
        RTSP_ONLY(PLAY)
        RTSP_ONLY(PAUSE)
        RTSP_ONLY(TEARDOWN)
        RTSP_ONLY(GET_PARAMETER)
        RTSP_ONLY(SET_PARAMETER)
        RTSP_ONLY(REDIRECT)
        RTSP_ONLY(RECORD)
        RTSP_ONLY(FLUSH)
#undef RTSP_ONLY
    default: return error == HPE_INVALID_VERSION ? 505 : 400;
    }
}

int rondo__parser_head(rondo__parser *parser, const char *data, size_t len, size_t *ret_used) {
    llhttp_t *llhttp = &parser->llhttp;
    int error = (int)llhttp_execute(llhttp, data, len);
    *ret_used = len;
    if (error == HPE_OK) return RONDO__PARSER_MORE;
    *ret_used = (size_t)(llhttp_get_error_pos(llhttp) - data);
    return error == HPE_PAUSED ? RONDO__PARSER_HEAD : head_error(llhttp, error);
}

int rondo__parser_body(rondo__parser *parser, const char *data, size_t len, uint64_t most,
                       size_t *ret_used, rondo_slice *ret_data) {
    llhttp_t *llhttp = &parser->llhttp;
    body_call call = {RONDO__PARSER_MORE, most, {NULL, 0}};
    /* The field isn't const; llhttp does not write through it. */
    llhttp->settings = (void *)(uintptr_t)&body_settings;
    llhttp->data = &call;
    llhttp_resume(llhttp);
    int error = (int)llhttp_execute(llhttp, data, len);
    llhttp->data = NULL;
    if (error != HPE_OK && error != HPE_PAUSED) return 400;
    if (call.data.len > most) return 413;
    *ret_used = error == HPE_OK ? len : (size_t)(llhttp_get_error_pos(llhttp) - data);
    *ret_data = call.data;
    return call.event;
}
