/* SPDX-License-Identifier: MIT
 *
 * What a call is at, and what went wrong, in words. The stage is not kept while the call goes on: it
 * follows from the states of the call, its connection and the stream, and is noted when the call ends.
 */
#include <rondo/connect.h>

#include "http/client/call.h"

static rondo_http_stage stage_of_connecting(const rondo__client_conn *conn) {
    if (conn->state == RONDO__CLIENT_TUNNEL) return RONDO_HTTP_STAGE_TUNNEL;
    if (conn->state == RONDO__CLIENT_HANDSHAKE) return RONDO_HTTP_STAGE_TLS;
    switch (rondo_connect_stage_of(conn->stream)) {
    case RONDO_CONNECT_LOOKUP: return RONDO_HTTP_STAGE_LOOKUP;
    case RONDO_CONNECT_TLS: return RONDO_HTTP_STAGE_TLS;
    default: return RONDO_HTTP_STAGE_CONNECT;
    }
}

rondo_http_stage rondo__call_stage(const rondo_http_call *call) {
    switch (call->state) {
    case RONDO__CALL_WAITING:
        return call->conn ? stage_of_connecting(call->conn) : RONDO_HTTP_STAGE_WAIT;
    case RONDO__CALL_SENT:
        return rondo__call_is_sent(call) ? RONDO_HTTP_STAGE_HEAD : RONDO_HTTP_STAGE_SEND;
    case RONDO__CALL_ANSWER:
    case RONDO__CALL_MOVED: return RONDO_HTTP_STAGE_BODY;
    case RONDO__CALL_OVER: return (rondo_http_stage)call->stage;
    default: return RONDO_HTTP_STAGE_WAIT;
    }
}

rondo_http_stage rondo_http_call_stage(const rondo_http_call *call) {
    RONDO__CHECK(call, &rondo__call_kind);
    return rondo__call_stage(call);
}

const char *rondo_http_stage_text(rondo_http_stage stage) {
    switch (stage) {
#define TEXT(name, limit, what, late) \
    case RONDO_HTTP_STAGE_##name: return what;
        RONDO_HTTP_STAGES(TEXT)
#undef TEXT
    }
    return "";
}

static const char *late_text(rondo_http_stage stage) {
    switch (stage) {
#define TEXT(name, limit, what, late) \
    case RONDO_HTTP_STAGE_##name: return late;
        RONDO_HTTP_STAGES(TEXT)
#undef TEXT
    }
    return "";
}

const char *rondo_http_call_error_text(const rondo_http_call *call) {
    RONDO__CHECK(call, &rondo__call_kind);
    if (call->late) return "the call was not over in time";
    if (call->error == RONDO_ETIMEDOUT) return late_text((rondo_http_stage)call->stage);
    if (call->error == RONDO_ENOTSUP) return "TLS inside a proxy's TLS is not supported";
    if (call->tls_error) return call->tls_error;
    return call->error < 0 ? rondo_error_text(call->error) : "";
}
