/* SPDX-License-Identifier: MIT
 *
 * Requests: their memory, and what an application may ask of one.
 */
#include "http/server/request.h"

#include <rondo/address.h>
#include <rondo/error.h>
#include <rondo/stream.h>
#include <string.h>

#include "http/chars.h"
#include "http/server/connection.h"
#include "loop/assert.h"
#include "loop/memory.h"

/* Fields that an answer may be given (rondo_http_response_header()). */
#define OUT_MOST ((size_t)16384)

/* ---- memory ---- */

rondo_http_request *rondo__request_take(rondo__http *http, rondo__http_conn *conn) {
    rondo_http_request *request = http->spare_requests;
    if (request) {
        http->spare_requests = request->next;
        http->spare_request_count--;
    } else if (!(request = rondo__alloc(sizeof *request))) {
        return NULL;
    }
    rondo__clear(request, offsetof(rondo_http_request, parser));
    request->magic = RONDO__REQUEST_MAGIC;
    request->flags = RONDO__REQUEST_BY_CONN;
    request->http = http;
    request->conn = conn;
    request->tally = conn->server->tally;
    request->head = request->arena;
    request->head_size = RONDO__ARENA_BYTES;
    request->parser = http->fresh_parser;
    return request;
}

static bool out_is_inline(const rondo_http_request *request) {
    return request->out >= request->arena && request->out < request->arena + RONDO__ARENA_BYTES;
}

static void free_parts(rondo_http_request *request) {
    if (request->flags & RONDO__REQUEST_ROUTED) rondo__route_fini(&request->route);
    if (request->head != request->arena) rondo__free(request->head);
    if (request->out && !out_is_inline(request)) rondo__free(request->out);
    if ((request->flags & RONDO__REQUEST_COLLECTS) && request->collecting.room > 0)
        rondo__free(request->collecting.data);
    rondo__free(request->trailer_text);
}

void rondo__request_recycle(rondo_http_request *request) {
    rondo__http *http = request->http;
    if (request->flags & (RONDO__REQUEST_ALLOCATED | RONDO__REQUEST_ROUTED)) free_parts(request);
    request->magic = 0;
    if (http->spare_request_count >= RONDO__SPARE_REQUESTS) {
        rondo__free(request);
        return;
    }
    http->spare_request_count++;
    request->next = http->spare_requests;
    http->spare_requests = request;
}

bool rondo__request_grow(rondo_http_request *request, size_t len, size_t most) {
    RONDO_ASSERT(len <= most && most <= UINT32_MAX);
    size_t size = (size_t)request->head_size * 2;
    if (size < len) size = len;
    if (size > most) size = most;
    bool is_inline = request->head == request->arena;
    char *head = rondo__realloc(is_inline ? NULL : request->head, size);
    if (!head) return false;
    if (is_inline) memcpy(head, request->arena, request->head_len);
    request->flags |= RONDO__REQUEST_ALLOCATED;
    request->head = head;
    request->head_size = (uint32_t)size;
    return true;
}

int rondo__request_out(rondo_http_request *request, size_t len, char **ret_room) {
    if (len > OUT_MOST - request->out_len) return RONDO_ENOBUFS;
    if (!request->out) {
        uint32_t taken = request->head == request->arena ? request->head_len : 0;
        request->out_size = RONDO__ARENA_BYTES - taken;
        request->out = request->out_size > 0 ? request->arena + taken : NULL;
    }
    size_t needed = request->out_len + len;
    if (needed > request->out_size) {
        size_t size = needed * 2 < OUT_MOST ? needed * 2 : OUT_MOST;
        bool is_inline = !request->out || out_is_inline(request);
        char *out = rondo__realloc(is_inline ? NULL : request->out, size);
        if (!out) return RONDO_ENOMEM;
        if (is_inline && request->out_len > 0) memcpy(out, request->out, request->out_len);
        request->flags |= RONDO__REQUEST_ALLOCATED;
        request->out = out;
        request->out_size = (uint32_t)size;
    }
    *ret_room = request->out + request->out_len;
    request->out_len += (uint32_t)len;
    return 0;
}

/* ---- what was asked ---- */

void rondo__request_check(const rondo_http_request *request, const char *function) {
    if (!request) rondo__fatal("%s: the request is NULL", function);
    if (request->magic != RONDO__REQUEST_MAGIC)
        rondo__fatal("%s: the request was used after its response had been ended", function);
}

static rondo_slice part(const rondo_http_request *request, uint32_t offset, uint32_t len) {
    return rondo_slice_of(request->head + offset, len);
}

rondo_slice rondo_http_request_method(const rondo_http_request *request) {
    RONDO__CHECK_REQUEST(request);
    return part(request, 0, request->method_len);
}

rondo_slice rondo_http_request_target(const rondo_http_request *request) {
    RONDO__CHECK_REQUEST(request);
    return part(request, request->target, request->target_len);
}

/* From the path on: path, '?', query. */
static rondo_slice path_and_query(const rondo_http_request *request) {
    return part(request, request->path, request->target + request->target_len - request->path);
}

rondo_slice rondo_http_request_path(const rondo_http_request *request) {
    RONDO__CHECK_REQUEST(request);
    rondo_slice path = path_and_query(request);
    const char *mark = memchr(path.data, '?', path.len);
    if (mark) path.len = (size_t)(mark - path.data);
    /* http://host and http://host?query name the root (RFC 9110 section 4.2.3). */
    return path.len > 0 ? path : rondo_slice_of("/", 1);
}

rondo_slice rondo_http_request_query(const rondo_http_request *request) {
    RONDO__CHECK_REQUEST(request);
    rondo_slice path = path_and_query(request);
    const char *mark = memchr(path.data, '?', path.len);
    if (!mark) return rondo_slice_of(NULL, 0);
    return rondo_slice_of(mark + 1, (size_t)(path.data + path.len - mark - 1));
}

int rondo_http_request_minor(const rondo_http_request *request) {
    RONDO__CHECK_REQUEST(request);
    return request->minor;
}

/* ---- who asks ---- */

int rondo__request_peer_address(const rondo_http_request *request, rondo_address *ret_address) {
    if (request->flags & RONDO__REQUEST_PEER_KNOWN) {
        *ret_address = request->peer;
        return 0;
    }
    if (!request->conn) return RONDO_ECLOSED;
    return rondo__stream_peer_address(request->conn->stream, ret_address);
}

void rondo__request_remember_peer(rondo_http_request *request) {
    if (rondo__request_peer_address(request, &request->peer) == 0)
        request->flags |= RONDO__REQUEST_PEER_KNOWN;
}

int rondo_http_request_peer(const rondo_http_request *request, char *text, size_t size) {
    RONDO__CHECK_REQUEST(request);
    rondo_address address;
    int status = rondo__request_peer_address(request, &address);
    return status < 0 ? status : rondo_address_format(&address, text, size);
}

void rondo_http_request_set_data(rondo_http_request *request, void *data) {
    RONDO__CHECK_REQUEST(request);
    request->data = data;
}

void *rondo_http_request_data(const rondo_http_request *request) {
    RONDO__CHECK_REQUEST(request);
    return request->data;
}

/* ---- its body ---- */

void rondo_http_request_on_data(rondo_http_request *request, rondo_http_data_cb cb, void *arg) {
    RONDO__CHECK_REQUEST(request);
    if (!request->response) return; /* it has been answered */
    request->on_data = cb;
    request->data_arg = arg;
}

void rondo_http_request_on_end(rondo_http_request *request, rondo_http_end_cb cb, void *arg) {
    RONDO__CHECK_REQUEST(request);
    if (!request->response) return; /* it has been answered */
    request->on_end = cb;
    request->end_arg = arg;
}

bool rondo_http_request_expects_continue(const rondo_http_request *request) {
    RONDO__CHECK_REQUEST(request);
    return (request->flags & RONDO__REQUEST_EXPECTS) != 0;
}

int rondo_http_request_pause(rondo_http_request *request) {
    RONDO__CHECK_REQUEST(request);
    if (!request->conn || !rondo__conn_alive(request->conn)) return RONDO_ECLOSED;
    if (!(request->flags & RONDO__REQUEST_PAUSED)) rondo__conn_stop_body_clock(request->conn);
    request->flags |= RONDO__REQUEST_PAUSED;
    rondo__conn_hold(request->conn);
    return 0;
}

int rondo_http_request_resume(rondo_http_request *request) {
    RONDO__CHECK_REQUEST(request);
    if (!request->conn || !rondo__conn_alive(request->conn)) return RONDO_ECLOSED;
    if (!(request->flags & RONDO__REQUEST_PAUSED)) return 0;
    request->flags &= (uint16_t)~RONDO__REQUEST_PAUSED;
    rondo__conn_resumed(request->conn);
    return 0;
}
