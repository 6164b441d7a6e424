/* SPDX-License-Identifier: MIT
 *
 * The fields of a request: of its head, and the trailer fields behind a chunked body. There is no table
 * of them: most requests are asked for few, if any, so lines are gone through when they are asked for.
 */
#include <rondo/error.h>
#include <string.h>

#include "http/fields.h"
#include "http/server/connection.h"
#include "loop/assert.h"
#include "loop/memory.h"

/* The first of `count` lines with that name; *line is behind it then. */
static bool find(const char **line, const char *end, size_t *count, const char *name,
                 rondo_slice *ret_value) {
    rondo_http_field field;
    while (*count > 0) {
        *line = rondo__field_split(*line, end, &field.name, &field.value);
        --*count;
        if (!rondo__field_is(field.name, name)) continue;
        *ret_value = field.value;
        return true;
    }
    return false;
}

/* ---- of the head ---- */

rondo_slice rondo_http_request_header(const rondo_http_request *request, const char *name) {
    RONDO__CHECK_REQUEST(request);
    const char *line = request->head + request->fields;
    size_t count = request->field_count;
    rondo_slice value = {NULL, 0};
    find(&line, request->head + request->head_len, &count, name, &value);
    return value;
}

bool rondo_http_request_header_next(const rondo_http_request *request, const char *name, size_t *at,
                                    rondo_slice *ret_value) {
    RONDO__CHECK_REQUEST(request);
    const char *line = request->head + (*at == 0 ? request->fields : *at);
    const char *end = request->head + request->head_len;
    /* The empty line ends the head; *at is the place of a line, so this is linear in all. */
    rondo_http_field field;
    if (request->field_count == 0) return false;
    RONDO_ASSERT(*at == 0 || (*at >= request->fields && line < end));
    while (line < end && *line != '\r') {
        line = rondo__field_split(line, end, &field.name, &field.value);
        if (!rondo__field_is(field.name, name)) continue;
        *at = (size_t)(line - request->head);
        *ret_value = field.value;
        return true;
    }
    return false;
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
    rondo_http_field field;
    do {
        const char *next = rondo__field_split(own->head + own->cursor_at, own->head + own->head_len,
                                              &field.name, &field.value);
        own->cursor_at = (uint32_t)(next - own->head);
    } while (own->cursor++ < i);
    *ret_name = field.name;
    *ret_value = field.value;
    return true;
}

/* ---- trailers ---- */

bool rondo__trailers_keep(rondo_http_request *request, const char *data, size_t len, size_t most) {
    size_t before = request->trailer_len;
    /* Mostly there are none: nothing but the empty line that ends them. A name begins with no CR. */
    if (!request->trailer_text && (before > 0 || data[0] == '\r')) return true;
    if (before + len > request->trailer_room) {
        size_t room = request->trailer_room ? request->trailer_room * 2 : 512;
        if (room < before + len) room = before + len;
        if (room > most) room = most;
        char *text = rondo__realloc(request->trailer_text, room);
        if (!text) return false;
        request->flags |= RONDO__REQUEST_ALLOCATED;
        request->trailer_text = text;
        request->trailer_room = (uint32_t)room;
    }
    memcpy(request->trailer_text + before, data, len);
    return true;
}

size_t rondo_http_request_trailer_count(const rondo_http_request *request) {
    RONDO__CHECK_REQUEST(request);
    bool told = (request->flags & RONDO__REQUEST_COMPLETE) && request->trailer_text;
    return told ? request->trailers.lines : 0;
}

rondo_slice rondo_http_request_trailer(const rondo_http_request *request, const char *name) {
    size_t count = rondo_http_request_trailer_count(request);
    const char *line = request->trailer_text;
    rondo_slice value = {NULL, 0};
    find(&line, line + request->trailer_len, &count, name, &value);
    return value;
}

bool rondo_http_request_trailer_at(const rondo_http_request *request, size_t i,
                                   rondo_slice *ret_name, rondo_slice *ret_value) {
    if (i >= rondo_http_request_trailer_count(request)) return false;
    const char *line = request->trailer_text, *end = line + request->trailer_len;
    rondo_http_field field;
    for (size_t k = 0; k <= i; k++)
        line = rondo__field_split(line, end, &field.name, &field.value); /* few, and bounded */
    *ret_name = field.name;
    *ret_value = field.value;
    return true;
}
