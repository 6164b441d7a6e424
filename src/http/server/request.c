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
    memset(request, 0, offsetof(rondo_http_request, parser));
    request->magic = RONDO__REQUEST_MAGIC;
    request->flags = RONDO__REQUEST_BY_CONN;
    request->http = http;
    request->conn = conn;
    request->head = request->arena;
    request->head_size = RONDO__ARENA_BYTES;
    rondo__parser_init(&request->parser);
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
}

void rondo__request_release(rondo_http_request *request, unsigned by) {
    rondo__http *http = request->http;
    RONDO_ASSERT(request->magic == RONDO__REQUEST_MAGIC && (request->flags & by));
    request->flags &= (uint16_t)~by;
    if (by == RONDO__REQUEST_BY_CONN) request->conn = NULL;
    if (by == RONDO__REQUEST_BY_APP) request->response = NULL;
    if (request->flags & (RONDO__REQUEST_BY_CONN | RONDO__REQUEST_BY_APP)) return;
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

/* ---- its fields ---- */

typedef struct field {
    rondo_slice name, value;
} field;

/* Splits the field line at `line`, name ":" OWS value OWS CRLF, and returns where the next one begins.
 * There is no table of fields: most requests are asked for few of them, if any. */
static const char *split(const rondo_http_request *request, const char *line, field *ret_field) {
    const char *end = request->head + request->head_len;
    const char *colon = memchr(line, ':', (size_t)(end - line));
    RONDO_ASSERT(colon);
    const char *lf = memchr(colon, '\n', (size_t)(end - colon));
    RONDO_ASSERT(lf && lf[-1] == '\r');
    const char *value = colon + 1, *stop = lf - 1;
    while (rondo__http_blank(*value)) value++;
    while (stop > value && rondo__http_blank(stop[-1])) stop--;
    ret_field->name = rondo_slice_of(line, (size_t)(colon - line));
    ret_field->value = rondo_slice_of(value, (size_t)(stop - value));
    return lf + 1;
}

static bool same_name(const char *a, const char *b, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (rondo__http_lower(a[i]) != rondo__http_lower(b[i])) return false;
    return true;
}

rondo_slice rondo_http_request_header(const rondo_http_request *request, const char *name) {
    RONDO__CHECK_REQUEST(request);
    size_t len = strlen(name);
    const char *line = request->head + request->fields;
    field found;
    for (uint32_t i = 0; i < request->field_count; i++) {
        line = split(request, line, &found);
        if (found.name.len == len && same_name(found.name.data, name, len)) return found.value;
    }
    return rondo_slice_of(NULL, 0);
}

size_t rondo_http_request_header_count(const rondo_http_request *request) {
    RONDO__CHECK_REQUEST(request);
    return request->field_count;
}

bool rondo_http_request_header_at(const rondo_http_request *request, size_t i,
                                  rondo_slice *ret_name, rondo_slice *ret_value) {
    RONDO__CHECK_REQUEST(request);
    if (i >= request->field_count) return false;
    /* Where the next one begins is remembered, so that going through all of them is linear. */
    rondo_http_request *own = (rondo_http_request *)(uintptr_t)request;
    if (i < own->cursor || own->cursor_at == 0) {
        own->cursor = 0;
        own->cursor_at = own->fields;
    }
    field found;
    do {
        const char *next = split(own, own->head + own->cursor_at, &found);
        own->cursor_at = (uint32_t)(next - own->head);
    } while (own->cursor++ < i);
    *ret_name = found.name;
    *ret_value = found.value;
    return true;
}

/* The fields of an answer that has been sent are needed no more: there is room. */
void rondo__request_note_peer(rondo_http_request *request) {
    char text[RONDO_ADDRESS_TEXT_BYTES], *room;
    int len = request->conn ? rondo_stream_peer(request->conn->stream, text, sizeof text) : 0;
    request->out_len = 0;
    if (len <= 0 || rondo__request_out(request, (size_t)len, &room) < 0) return;
    memcpy(room, text, (size_t)len);
    request->flags |= RONDO__REQUEST_PEER;
}

static int noted_peer(const rondo_http_request *request, char *text, size_t size) {
    if (request->out_len >= size) return RONDO_ENOBUFS;
    memcpy(text, request->out, request->out_len);
    text[request->out_len] = '\0';
    return (int)request->out_len;
}

int rondo_http_request_peer(const rondo_http_request *request, char *text, size_t size) {
    RONDO__CHECK_REQUEST(request);
    if (request->flags & RONDO__REQUEST_PEER) return noted_peer(request, text, size);
    if (!request->conn) return RONDO_ECLOSED;
    return rondo_stream_peer(request->conn->stream, text, size);
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
