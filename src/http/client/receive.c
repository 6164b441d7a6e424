/* SPDX-License-Identifier: MIT
 *
 * The answer in: octets become heads, pieces of a body and an end, and those are told. After each
 * callback anything may have happened: the call may be closed, paused, or taken out of HTTP.
 */
#include <rondo/stream.h>
#include <string.h>

#include "http/client/call.h"
#include "http/fields.h"
#include "loop/emit.h"
#include "loop/memory.h"
#include "net/stream.h"

/* The body of an answer that nobody will see is read to keep the connection, up to so many octets. */
#define DROP_MOST 65536

/* ---- telling ---- */

static void call_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    (void)loop, (void)payload;
    ((rondo_http_call_cb)fn)((rondo_http_call *)(void *)handle, arg);
}
static void data_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    (void)loop;
    ((rondo_http_call_data_cb)fn)((rondo_http_call *)(void *)handle, *(const rondo_slice *)payload,
                                  arg);
}
static void error_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    (void)loop;
    ((rondo_http_call_error_cb)fn)((rondo_http_call *)(void *)handle, *(const int *)payload, arg);
}

typedef struct collected {
    int error;
    rondo_slice body;
} collected;

static void collected_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                            void *arg) {
    const collected *result = payload;
    (void)loop;
    ((rondo_http_collect_cb)fn)((rondo_http_call *)(void *)handle, result->error, result->body,
                                arg);
}

static const rondo__event interim_event = {"call.interim", call_thunk};
static const rondo__event response_event = {"call.response", call_thunk};
static const rondo__event data_event = {"call.data", data_thunk};
static const rondo__event end_event = {"call.end", call_thunk};
static const rondo__event error_event = {"call.error", error_thunk};
static const rondo__event drain_event = {"call.drain", call_thunk};
static const rondo__event collected_event = {"call.collected", collected_thunk};

static void tell(rondo_http_call *call, const rondo__event *event, rondo_http_call_cb cb,
                 void *arg) {
    if (cb) rondo__door(call->base.loop, &call->base, event, RONDO__FN(cb), NULL, arg);
}

void rondo__call_tell_drain(rondo_http_call *call) {
    call->flags &= ~(uint32_t)RONDO__CALL_FULL;
    tell(call, &drain_event, call->on_drain, call->drain_arg);
}

static void tell_collected(rondo_http_call *call, int error) {
    collected result = {error, error < 0
                                   ? rondo_slice_of("", 0)
                                   : rondo_slice_of(call->collected.data, call->collected.len)};
    rondo__door(call->base.loop, &call->base, &collected_event, RONDO__FN(call->on_collected),
                &result, call->collected_arg);
}

void rondo__call_tell_end(rondo_http_call *call) {
    rondo__call_over(call);
    if (call->on_collected)
        tell_collected(call, 0);
    else
        tell(call, &end_event, call->on_end, call->end_arg);
    rondo_close(call);
}

void rondo__call_tell_error(rondo_http_call *call) {
    int error = call->error;
    if (call->on_collected)
        tell_collected(call, error);
    else if (call->on_error)
        rondo__door(call->base.loop, &call->base, &error_event, RONDO__FN(call->on_error), &error,
                    call->error_arg);
    else
        rondo__uncaught(call->base.loop, &call->base, error, "the HTTP call failed");
    rondo_close(call);
}

/* ---- the end of an exchange ---- */

/* The connection goes back to the pool, or is closed. left: octets that came behind the answer. */
static void part(rondo_http_call *call, size_t left) {
    rondo__client_conn *conn = call->conn;
    const rondo_http_client *client = call->client;
    if (!call->answer.keeps || left > 0 || !rondo__call_is_sent(call) ||
        conn->requests >= client->limits.requests_per_connection ||
        conn->origin->generation != client->generation) {
        rondo__call_detach(call);
        return;
    }
    rondo__call_arm(call, UINT64_MAX);
    conn->call = NULL;
    call->conn = NULL;
    rondo__pool_give(conn);
}

static void complete(rondo_http_call *call, size_t left) {
    if (call->inflate && !rondo__inflate_whole(call->inflate)) {
        rondo__call_fail(call, RONDO_EPROTO);
        return;
    }
    bool moved = call->state == RONDO__CALL_MOVED;
    part(call, left);
    if (moved)
        rondo__redirect_follow(call);
    else
        rondo__call_tell_end(call);
}

/* ---- the body ---- */

static void tell_piece(rondo_http_call *call, rondo_slice piece) {
    if (piece.len == 0) return;
    call->body_seen += piece.len;
    if (call->body_seen > call->client->limits.body_bytes) {
        rondo__call_fail(call, RONDO_EMSGSIZE);
    } else if (call->on_collected) {
        int status = rondo__collect_data(call, piece);
        if (status < 0) rondo__call_fail(call, status);
    } else if (call->on_data) {
        rondo__door(call->base.loop, &call->base, &data_event, RONDO__FN(call->on_data), &piece,
                    call->data_arg);
    }
}

/* A piece as it came. */
static void take_piece(rondo_http_call *call, rondo_slice piece) {
    if (call->state == RONDO__CALL_MOVED) {
        if (call->answer.seen <= DROP_MOST) return;
        rondo__call_detach(call);
        rondo__redirect_follow(call);
        return;
    }
    rondo__call_arm(call, call->client->limits.body_timeout_ms);
    if (call->inflate)
        rondo__inflate_put(call->inflate, piece);
    else
        tell_piece(call, piece);
}

static void decode_some(rondo_http_call *call) {
    rondo_slice piece;
    int status = rondo__inflate_take(call->inflate, &piece);
    if (status < 0)
        rondo__call_fail(call, status);
    else
        tell_piece(call, piece);
}

static size_t feed_body(rondo_http_call *call, const char *data, size_t len) {
    size_t used = 0;
    rondo_slice piece;
    if (call->inflate && rondo__inflate_pending(call->inflate)) {
        decode_some(call);
        return 0;
    }
    if (call->flags & RONDO__CALL_COMPLETE) {
        complete(call, len);
        return 0;
    }
    if (call->inflate && len > RONDO__INFLATE_IN) len = RONDO__INFLATE_IN;
    int event =
        rondo__answer_feed_body(&call->answer, &call->client->limits, data, len, &used, &piece);
    if (event < 0) {
        rondo__call_fail(call, event);
        return used;
    }
    if (event == RONDO__ANSWER_DONE || rondo__answer_is_done(&call->answer))
        call->flags |= RONDO__CALL_COMPLETE;
    if (event == RONDO__ANSWER_DATA) take_piece(call, piece);
    return used;
}

bool rondo__call_waits(const rondo_http_call *call) {
    if (call->state != RONDO__CALL_ANSWER && call->state != RONDO__CALL_MOVED) return false;
    return (call->flags & RONDO__CALL_COMPLETE) ||
           (call->inflate && rondo__inflate_pending(call->inflate));
}

bool rondo__call_holds(const rondo_http_call *call) {
    return call->state == RONDO__CALL_ANSWER && (call->flags & RONDO__CALL_PAUSED);
}

/* ---- the head ---- */

/* Status 1xx, but not a 101 that was asked for. */
static void interim(rondo_http_call *call) {
    if (++call->interims > call->client->limits.interim_answers) {
        rondo__call_fail(call, RONDO_EPROTO);
        return;
    }
    if (call->answer.status == 100 && (call->flags & RONDO__CALL_AWAITS))
        rondo__call_send_body(call);
    if (!rondo__call_alive(call)) return;
    tell(call, &interim_event, call->on_interim, call->interim_arg);
    if (rondo__call_alive(call)) rondo__answer_reset(&call->answer);
}

/* Several fields are one list (RFC 9110 section 5.3): what else was done to the body would stay. */
static bool is_gzip_alone(rondo_slice fields) {
    const char *line = fields.data, *end = line + fields.len;
    rondo_slice name, value, coding = {NULL, 0};
    while (line < end) {
        line = rondo__field_split(line, end, &name, &value);
        if (!rondo__field_is(name, "content-encoding")) continue;
        if (coding.data) return false;
        coding = value;
    }
    return coding.data && (rondo__field_is(coding, "gzip") || rondo__field_is(coding, "x-gzip"));
}

/* gzip alone, in an answer that has a body and is no part of one. */
static int prepare_decoding(rondo_http_call *call) {
    const rondo__answer *answer = &call->answer;
    rondo__inflate_free(call->inflate);
    call->inflate = NULL;
    if (!(call->flags & RONDO__CALL_DECODES) || !rondo__inflate_there()) return 0;
    if (answer->framing == RONDO__ANSWER_NONE || answer->framing == RONDO__ANSWER_TUNNEL ||
        answer->status == 206 || rondo__answer_is_done(answer))
        return 0;
    if (!is_gzip_alone(rondo__answer_fields(answer))) return 0;
    call->inflate = rondo__inflate_new(call->client->limits.decode_ratio);
    return call->inflate ? 0 : RONDO_ENOMEM;
}

/* The user has looked at an answer after which the connection is not HTTP's: it was taken, and gets what
 * came behind the head, or it is closed. */
static void after_tunnel(rondo_http_call *call, rondo_stream *stream, rondo_slice behind) {
    if (call->flags & RONDO__CALL_TAKEN) {
        if (rondo__stream_unread(stream, behind) == RONDO_ENOMEM)
            rondo_destroy(stream, RONDO_ENOMEM);
    } else {
        if (!rondo__call_alive(call)) return;
        rondo__call_detach(call);
    }
    if (rondo__call_alive(call)) rondo__call_tell_end(call);
}

static void tell_response(rondo_http_call *call, rondo_slice behind) {
    rondo__client_conn *conn = call->conn;
    rondo_stream *stream = conn->stream;
    bool tunnel = call->answer.framing == RONDO__ANSWER_TUNNEL;
    if (tunnel) call->flags |= RONDO__CALL_MAY_TAKE;
    tell(call, &response_event, call->on_response, call->response_arg);
    call->flags &= ~(uint32_t)RONDO__CALL_MAY_TAKE;
    if (tunnel) {
        after_tunnel(call, stream, behind);
        return;
    }
    if (!rondo__call_alive(call)) return;
    if (rondo__answer_is_done(&call->answer)) call->flags |= RONDO__CALL_COMPLETE;
    if (call->flags & RONDO__CALL_PAUSED)
        rondo__client_conn_hold(conn);
    else
        rondo__call_arm(call, call->client->limits.body_timeout_ms);
}

/* A redirect that is followed: what is left of its answer is read only if that is little. */
static void move_on(rondo_http_call *call) {
    const rondo__answer *answer = &call->answer;
    call->state = RONDO__CALL_MOVED;
    rondo__call_arm(call, call->client->limits.body_timeout_ms);
    if (rondo__answer_is_done(answer)) {
        call->flags |= RONDO__CALL_COMPLETE;
    } else if (answer->framing == RONDO__ANSWER_CLOSE || answer->length > DROP_MOST) {
        rondo__call_detach(call);
        rondo__redirect_follow(call);
    }
}

/* The head of the one answer that counts. */
static void final(rondo_http_call *call, rondo_slice behind) {
    int status = rondo__redirect_look(call);
    call->flags &= ~(uint32_t)RONDO__CALL_AWAITS;
    rondo__call_arm(call, UINT64_MAX);
    if (status > 0) {
        move_on(call);
        return;
    }
    if (status == 0) status = prepare_decoding(call);
    if (status == 0 && call->on_collected) status = rondo__collect_head(call);
    if (status < 0) {
        rondo__call_fail(call, status);
        return;
    }
    call->state = RONDO__CALL_ANSWER;
    tell_response(call, behind);
}

static size_t feed_head(rondo_http_call *call, const char *data, size_t len) {
    size_t used = 0;
    call->flags |= RONDO__CALL_HEARD;
    int event = rondo__answer_feed_head(&call->answer, rondo__call_asked(call),
                                        &call->client->limits, data, len, &used);
    if (event < 0) {
        rondo__call_fail(call, event);
    } else if (event == RONDO__ANSWER_HEAD) {
        bool tunnel = call->answer.framing == RONDO__ANSWER_TUNNEL;
        rondo_slice behind = rondo_slice_of(data + used, len - used);
        if (call->answer.status < 200 && !tunnel)
            interim(call);
        else
            final(call, behind);
        if (tunnel) return len; /* what is behind it is not HTTP's */
    }
    return used;
}

size_t rondo__call_feed(rondo__client_conn *conn, const char *data, size_t len) {
    rondo_http_call *call = conn->call;
    RONDO_ASSERT(call && call->conn == conn);
    switch (call->state) {
    case RONDO__CALL_SENT: return feed_head(call, data, len);
    case RONDO__CALL_ANSWER:
    case RONDO__CALL_MOVED: return feed_body(call, data, len);
    default: rondo__call_fail(call, RONDO_EPROTO); return len;
    }
}

void rondo__call_server_ended(rondo__client_conn *conn) {
    rondo_http_call *call = conn->call;
    bool has_head = call->state == RONDO__CALL_ANSWER || call->state == RONDO__CALL_MOVED;
    if (has_head && rondo__answer_ends_here(&call->answer))
        call->flags |= RONDO__CALL_COMPLETE;
    else if (!(call->flags & RONDO__CALL_COMPLETE))
        rondo__call_broken(call, RONDO_ECONNABORTED);
}

/* ---- out of HTTP ---- */

int rondo_http_call_upgrade(rondo_http_call *call, rondo_stream **ret_stream) {
    RONDO__CHECK(call, &rondo__call_kind);
    if (!rondo__call_alive(call)) return RONDO_ECLOSED;
    if (!(call->flags & RONDO__CALL_MAY_TAKE)) return RONDO_EINVAL;
    rondo_stream *stream;
    int status = rondo__client_conn_release(call->conn, &stream);
    if (status < 0) return status;
    call->flags &= ~(uint32_t)RONDO__CALL_MAY_TAKE;
    call->flags |= RONDO__CALL_TAKEN;
    *ret_stream = stream;
    return 0;
}
