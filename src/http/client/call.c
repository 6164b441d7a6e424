/* SPDX-License-Identifier: MIT
 *
 * A call's life, and what users set before it is sent. The rest is in the files that client.h lists.
 *
 * Whatever ends a call takes it away from its connection first, so that neither finds the other any
 * more; a connection that is in the middle of an exchange is closed by that.
 */
#include "http/client/call.h"

#include <rondo/connect.h>
#include <rondo/tls.h>
#include <string.h>

#include "http/chars.h"
#include "http/fields.h"
#include "loop/emit.h"
#include "loop/memory.h"
#include "net/stream.h"

/* The fields of a request, in all. */
#define FIELDS_MOST ((size_t)65536)

static rondo_http_call *call_of(rondo_handle *handle) { return (rondo_http_call *)(void *)handle; }

/* ---- the end ---- */

void rondo__call_over(rondo_http_call *call) {
    if (call->state != RONDO__CALL_OVER) call->stage = (uint8_t)rondo__call_stage(call);
    call->state = RONDO__CALL_OVER;
    rondo__alarm_clear(&call->alarm);
    rondo__alarm_clear(&call->total);
    rondo__task_cancel(&call->task);
    rondo__list_remove(&call->link);
    rondo__call_detach(call);
}

void rondo__call_detach(rondo_http_call *call) {
    rondo__client_conn *conn = call->conn;
    rondo__pool_leave(call);
    if (!conn) return;
    conn->call = NULL;
    call->conn = NULL;
    rondo__client_conn_close(conn);
}

static void stop(rondo_handle *handle) {
    rondo_http_call *call = call_of(handle);
    rondo__call_over(call);
    call->client = NULL;
}

static void free_parts(rondo_handle *handle) {
    rondo_http_call *call = call_of(handle);
    rondo__url_free(&call->url);
    rondo__url_free(&call->moved);
    rondo__free(call->method);
    rondo__free(call->target);
    rondo__free(call->unix_path);
    rondo__free(call->tls_error);
    rondo__bytes_free(&call->fields);
    rondo__bytes_free(&call->body);
    rondo__bytes_free(&call->pending);
    rondo__bytes_free(&call->trailers);
    rondo__bytes_free(&call->collected);
    rondo__answer_free(&call->answer);
    rondo__inflate_free(call->inflate);
}

const rondo__kind rondo__call_kind = {
    .name = "http call",
    .size = sizeof(rondo_http_call),
    .stop = stop,
    .free = free_parts,
};

void rondo__call_fail(rondo_http_call *call, int error) {
    RONDO_ASSERT(error < 0);
    if (!rondo__call_alive(call)) return;
    rondo__call_over(call);
    call->error = error;
    rondo__defer(call->base.loop, &call->task);
}

void rondo__call_late(rondo_http_call *call, rondo_http_stage stage) {
    rondo__call_fail(call, RONDO_ETIMEDOUT);
    call->stage = (uint8_t)stage;
}

/* ---- beginning, also again ---- */

/* RFC 9110 section 9.2.2 */
static bool is_idempotent(const char *method) {
    static const char *const known[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(method, known[i]) == 0) return true;
    return false;
}

bool rondo__call_is_repeatable(const rondo_http_call *call) {
    return !(call->flags & RONDO__CALL_STREAMED) && is_idempotent(call->method);
}

/* The kernel has taken nothing of it, so the server can't have seen it. */
static bool is_unseen(const rondo_http_call *call) {
    const rondo__client_conn *conn = call->conn;
    return !(call->flags & RONDO__CALL_STREAMED) && conn &&
           rondo__stream_sent(conn->stream) == conn->sent;
}

static bool may_try_again(const rondo_http_call *call, int error) {
    if (call->state != RONDO__CALL_SENT || !(call->flags & RONDO__CALL_REUSED)) return false;
    if (call->flags & RONDO__CALL_HEARD) return false;
    if (error != RONDO_ECONNABORTED && error != RONDO_ECONNRESET && error != RONDO_EPIPE)
        return false;
    return rondo__call_is_repeatable(call) || is_unseen(call);
}

void rondo__call_broken(rondo_http_call *call, int error) {
    if (!may_try_again(call, error)) {
        rondo__call_fail(call, error);
        return;
    }
    call->client->figures.stale_retries++;
    call->flags |= RONDO__CALL_FRESH;
    rondo__call_again(call);
}

void rondo__call_again(rondo_http_call *call) {
    rondo__call_detach(call);
    rondo__call_enter(call, true);
}

void rondo__call_arm(rondo_http_call *call, uint64_t ms) {
    if (ms == UINT64_MAX)
        rondo__alarm_clear(&call->alarm);
    else
        rondo__alarm_set_in_ms(call->base.loop, &call->alarm, ms);
}

void rondo__call_enter(rondo_http_call *call, bool first) {
    call->state = RONDO__CALL_WAITING;
    call->flags &= ~(uint32_t)(RONDO__CALL_REUSED | RONDO__CALL_HEARD | RONDO__CALL_AWAITS |
                               RONDO__CALL_COMPLETE | RONDO__CALL_FLOWS);
    call->interims = 0;
    rondo__answer_reset(&call->answer);
    rondo__call_arm(call, call->client->limits.wait_timeout_ms);
    int status = rondo__pool_enter(call, first);
    if (status < 0) rondo__call_fail(call, status);
}

/* ---- what was found out inside a call ---- */

static void run_task(rondo_loop *loop, rondo__task *task) {
    rondo_http_call *call = RONDO__OF(task, rondo_http_call, task);
    (void)loop;
    if (call->state == RONDO__CALL_OVER) {
        rondo__call_tell_error(call);
    } else if (call->flags & RONDO__CALL_DRAIN_DUE) {
        call->flags &= ~(uint32_t)RONDO__CALL_DRAIN_DUE;
        rondo__call_tell_drain(call);
    }
}

/* ---- time ---- */

static void on_total(rondo_loop *loop, rondo__alarm *alarm) {
    rondo_http_call *call = RONDO__OF(alarm, rondo_http_call, total);
    (void)loop;
    call->late = true;
    rondo__call_fail(call, RONDO_ETIMEDOUT);
}

/* The stage has taken too long: which one that is, the state says. */
static void on_stage(rondo_loop *loop, rondo__alarm *alarm) {
    rondo_http_call *call = RONDO__OF(alarm, rondo_http_call, alarm);
    (void)loop;
    if (call->flags & RONDO__CALL_AWAITS)
        rondo__call_send_body(call);
    else if (call->state == RONDO__CALL_SENT && !rondo__call_is_sent(call))
        rondo__call_await_head(call); /* it is still leaving, and that has a time of its own */
    else
        rondo__call_fail(call, RONDO_ETIMEDOUT);
}

static void arm_total(rondo_http_call *call, uint64_t ms) {
    if (ms == UINT64_MAX)
        rondo__alarm_clear(&call->total);
    else
        rondo__alarm_set_in_ms(call->base.loop, &call->total, ms);
}

/* ---- new ---- */

static int set_up(rondo_http_call *call, const char *method, const char *url) {
    size_t len = method ? strlen(method) : 0;
    if (len > 0 && !rondo__http_all(method, len, RONDO__CHAR_TOKEN)) len = 0;
    call->method = rondo__strdup(len > 0 && len <= 64 ? method : "?");
    if (!call->method) return RONDO_ENOMEM;
    call->error = len > 0 && len <= 64 && url ? 0 : RONDO_EINVAL;
    if (call->error < 0) return 0; /* told when it is sent */
    int status = rondo__url_parse(rondo_slice_text(url), false, &call->url);
    if (status == RONDO_EINVAL) call->error = status;
    return status == RONDO_ENOMEM ? status : 0;
}

rondo_http_call *rondo_http_call_new_at(rondo_http_client *client, const char *method,
                                        const char *url, const char *site) {
    rondo__handle_check((const rondo_handle *)(const void *)client, &rondo__client_kind,
                        "rondo_http_call_new");
    rondo_http_call *call = rondo__handle_new(client->base.loop, &rondo__call_kind, site);
    if (!call) return NULL;
    rondo__list_init(&call->link);
    rondo__list_init(&call->wait);
    rondo__task_init(&call->task, run_task);
    rondo__alarm_init(&call->alarm, on_stage);
    rondo__alarm_init(&call->total, on_total);
    if (set_up(call, method, url) < 0) {
        free_parts(&call->base);
        rondo__handle_discard(&call->base);
        return NULL;
    }
    call->redirects_most = client->limits.redirects;
    if (rondo__client_closing(client)) {
        call->error = RONDO_ECLOSED;
        return call;
    }
    call->client = client;
    rondo__list_push_back(&client->calls, &call->link);
    arm_total(call, client->limits.total_timeout_ms);
    return call;
}

/* ---- before it is sent ---- */

/* 0, RONDO_ECLOSED or RONDO_EBUSY. */
static int may_change(const rondo_http_call *call) {
    if (!rondo__call_alive(call)) return RONDO_ECLOSED;
    return call->state == RONDO__CALL_NEW ? 0 : RONDO_EBUSY;
}

static bool is_own_field(rondo_slice name) {
    static const char *const own[] = {
        "content-length", "transfer-encoding", "connection", "proxy-connection", "keep-alive", "te",
        "expect"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (rondo__field_is(name, own[i])) return true;
    return false;
}

/* What Rondo must know of the fields that it sends. */
static uint32_t meaning_of(rondo_slice name) {
    if (rondo__field_is(name, "host")) return RONDO__CALL_HOST;
    if (rondo__field_is(name, "upgrade")) return RONDO__CALL_UPGRADE;
    if (rondo__field_is(name, "accept-encoding") || rondo__field_is(name, "range"))
        return RONDO__CALL_CODING;
    return 0;
}

static int add_field(rondo_http_call *call, rondo__bytes *to, const char *name, const char *value) {
    int status = rondo__field_check_sent(name, value);
    if (status < 0) return status;
    if (to->len + strlen(name) + strlen(value) + 4 > FIELDS_MOST) return RONDO_ENOBUFS;
    uint32_t meaning = meaning_of(rondo_slice_text(name));
    if (meaning == RONDO__CALL_HOST && (call->flags & RONDO__CALL_HOST)) return RONDO_EINVAL;
    if (!rondo__bytes_add_field(to, name, rondo_slice_text(value))) return RONDO_ENOMEM;
    call->flags |= meaning;
    return 0;
}

int rondo_http_call_header(rondo_http_call *call, const char *name, const char *value) {
    RONDO__CHECK(call, &rondo__call_kind);
    int status = may_change(call);
    if (status < 0) return status;
    if (is_own_field(rondo_slice_text(name))) return RONDO_EINVAL;
    return add_field(call, &call->fields, name, value);
}

int rondo_http_call_trailer(rondo_http_call *call, const char *name, const char *value) {
    RONDO__CHECK(call, &rondo__call_kind);
    if (!rondo__call_alive(call)) return RONDO_ECLOSED;
    if (!(call->flags & RONDO__CALL_CHUNKED) || (call->flags & RONDO__CALL_FINISHED))
        return RONDO_EINVAL;
    rondo_slice name_slice = rondo_slice_text(name);
    if (is_own_field(name_slice) || meaning_of(name_slice)) return RONDO_EINVAL;
    return add_field(call, &call->trailers, name, value);
}

int rondo_http_call_set_basic_auth(rondo_http_call *call, const char *user, const char *password) {
    RONDO__CHECK(call, &rondo__call_kind);
    int status = may_change(call);
    if (status < 0) return status;
    if (strchr(user, ':')) return RONDO_EINVAL;
    rondo__bytes both = {0};
    char *credentials = NULL;
    if (rondo__bytes_add_text(&both, user) && rondo__bytes_add_text(&both, ":") &&
        rondo__bytes_add_text(&both, password) && rondo__bytes_add(&both, rondo_slice_of("", 1)))
        credentials = rondo__basic_credentials(both.data);
    status =
        credentials ? add_field(call, &call->fields, "Authorization", credentials) : RONDO_ENOMEM;
    rondo__free(credentials);
    rondo__bytes_free(&both);
    return status;
}

static int set_text(char **where, const char *text) {
    char *copy = rondo__strdup(text);
    if (!copy) return RONDO_ENOMEM;
    rondo__free(*where);
    *where = copy;
    return 0;
}

int rondo_http_call_set_target(rondo_http_call *call, const char *target) {
    RONDO__CHECK(call, &rondo__call_kind);
    int status = may_change(call);
    if (status < 0) return status;
    size_t len = strlen(target);
    if (len == 0 || len > RONDO__URL_MOST || !rondo__http_all(target, len, RONDO__CHAR_TARGET))
        return RONDO_EINVAL;
    return set_text(&call->target, target);
}

int rondo_http_call_set_unix(rondo_http_call *call, const char *path) {
    RONDO__CHECK(call, &rondo__call_kind);
    int status = may_change(call);
    rondo_address address;
    if (status < 0) return status;
    if (rondo_address_parse_unix(path, &address) < 0) return RONDO_EINVAL;
    return set_text(&call->unix_path, path);
}

int rondo_http_call_set_redirects(rondo_http_call *call, unsigned most) {
    RONDO__CHECK(call, &rondo__call_kind);
    int status = may_change(call);
    if (status == 0) call->redirects_most = most;
    return status;
}

static int set_flag(rondo_http_call *call, uint32_t flag, bool on) {
    int status = may_change(call);
    if (status == 0) call->flags = on ? call->flags | flag : call->flags & ~flag;
    return status;
}

int rondo_http_call_set_decode(rondo_http_call *call, bool on) {
    RONDO__CHECK(call, &rondo__call_kind);
    return set_flag(call, RONDO__CALL_DECODES, on);
}

int rondo_http_call_set_expect(rondo_http_call *call, bool on) {
    RONDO__CHECK(call, &rondo__call_kind);
    return set_flag(call, RONDO__CALL_EXPECTS, on);
}

int rondo_http_call_set_timeout(rondo_http_call *call, uint64_t timeout_ms) {
    RONDO__CHECK(call, &rondo__call_kind);
    if (!rondo__call_alive(call)) return RONDO_ECLOSED;
    arm_total(call, timeout_ms);
    return 0;
}

/* ---- listeners ---- */

#define LISTENER(event, type)                                                          \
    void rondo_http_call_on_##event(rondo_http_call *call, type listener, void *arg) { \
        RONDO__CHECK(call, &rondo__call_kind);                                         \
        call->on_##event = listener;                                                   \
        call->event##_arg = arg;                                                       \
    }
LISTENER(interim, rondo_http_call_cb)
LISTENER(response, rondo_http_call_cb)
LISTENER(data, rondo_http_call_data_cb)
LISTENER(end, rondo_http_call_cb)
LISTENER(error, rondo_http_call_error_cb)
LISTENER(drain, rondo_http_call_cb)
#undef LISTENER

/* ---- what the answer says ---- */

int rondo_http_call_status(const rondo_http_call *call) {
    RONDO__CHECK(call, &rondo__call_kind);
    return call->answer.status;
}

rondo_slice rondo_http_call_reason(const rondo_http_call *call) {
    RONDO__CHECK(call, &rondo__call_kind);
    const rondo__answer *answer = &call->answer;
    if (answer->status == 0) return rondo_slice_of("", 0);
    return rondo_slice_of(answer->head.data + answer->reason, answer->reason_len);
}

int rondo_http_call_minor(const rondo_http_call *call) {
    RONDO__CHECK(call, &rondo__call_kind);
    return call->answer.minor;
}

rondo_slice rondo_http_call_response_header(const rondo_http_call *call, const char *name) {
    RONDO__CHECK(call, &rondo__call_kind);
    return rondo__fields_find(rondo__answer_fields(&call->answer), name);
}

bool rondo_http_call_response_header_at(const rondo_http_call *call, size_t i,
                                        rondo_slice *ret_name, rondo_slice *ret_value) {
    RONDO__CHECK(call, &rondo__call_kind);
    return rondo__fields_at(rondo__answer_fields(&call->answer), i, ret_name, ret_value);
}

rondo_slice rondo_http_call_response_trailer(const rondo_http_call *call, const char *name) {
    RONDO__CHECK(call, &rondo__call_kind);
    return rondo__fields_find(rondo__answer_trailers(&call->answer), name);
}

bool rondo_http_call_response_trailer_at(const rondo_http_call *call, size_t i,
                                         rondo_slice *ret_name, rondo_slice *ret_value) {
    RONDO__CHECK(call, &rondo__call_kind);
    return rondo__fields_at(rondo__answer_trailers(&call->answer), i, ret_name, ret_value);
}

int64_t rondo_http_call_length(const rondo_http_call *call) {
    RONDO__CHECK(call, &rondo__call_kind);
    if (call->answer.status == 0 || call->inflate) return -1;
    if (call->answer.framing == RONDO__ANSWER_NONE && !call->answer.in_trailers) return 0;
    return call->answer.framing == RONDO__ANSWER_LENGTH ? (int64_t)call->answer.length : -1;
}

const char *rondo_http_call_url(const rondo_http_call *call) {
    RONDO__CHECK(call, &rondo__call_kind);
    return call->url.text ? call->url.text : "";
}

unsigned rondo_http_call_redirects(const rondo_http_call *call) {
    RONDO__CHECK(call, &rondo__call_kind);
    return call->redirects;
}

bool rondo_http_call_reused(const rondo_http_call *call) {
    RONDO__CHECK(call, &rondo__call_kind);
    return (call->flags & RONDO__CALL_REUSED) != 0;
}

int rondo_http_call_peer(const rondo_http_call *call, char *text, size_t size) {
    RONDO__CHECK(call, &rondo__call_kind);
    if (!call->conn) return RONDO_ENOTCONN;
    return rondo_stream_peer(call->conn->stream, text, size);
}

const char *rondo_http_call_tls_error(const rondo_http_call *call) {
    RONDO__CHECK(call, &rondo__call_kind);
    return call->tls_error ? call->tls_error : "";
}

/* ---- backpressure ---- */

int rondo_http_call_pause(rondo_http_call *call) {
    RONDO__CHECK(call, &rondo__call_kind);
    if (!rondo__call_alive(call)) return RONDO_ECLOSED;
    call->flags |= RONDO__CALL_PAUSED;
    if (call->state != RONDO__CALL_ANSWER || !call->conn) return 0;
    rondo__call_arm(call, UINT64_MAX);
    rondo__client_conn_hold(call->conn);
    return 0;
}

int rondo_http_call_resume(rondo_http_call *call) {
    RONDO__CHECK(call, &rondo__call_kind);
    if (!rondo__call_alive(call)) return RONDO_ECLOSED;
    if (!(call->flags & RONDO__CALL_PAUSED)) return 0;
    call->flags &= ~(uint32_t)RONDO__CALL_PAUSED;
    if (call->state != RONDO__CALL_ANSWER || !call->conn) return 0;
    rondo__call_arm(call, call->client->limits.body_timeout_ms);
    rondo__client_conn_go_on(call->conn);
    return 0;
}
