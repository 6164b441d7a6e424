/* SPDX-License-Identifier: MIT
 *
 * An event as EventSource reads it (HTML standard, section 9.2.6), in two passes over the same code:
 * one counts, one writes.
 */
#include <rondo/error.h>
#include <stdio.h>
#include <string.h>

#include "http/events/events.h"
#include "loop/memory.h"

typedef struct writer {
    char *at; /* NULL: only counts */
    size_t len;
} writer;

static void put(writer *out, const char *data, size_t len) {
    if (out->at && len > 0) memcpy(out->at + out->len, data, len);
    out->len += len;
}
#define PUT(out, literal) put((out), literal, sizeof(literal) - 1)

static bool is_line(rondo_slice text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == '\r' || text.data[i] == '\n' || text.data[i] == '\0') return false;
    return true;
}

static size_t line_length(rondo_slice text) {
    const char *lf = memchr(text.data, '\n', text.len);
    size_t len = lf ? (size_t)(lf - text.data) : text.len;
    const char *cr = memchr(text.data, '\r', len);
    return cr ? (size_t)(cr - text.data) : len;
}

/* A line of "data:" for each line, an empty last one included: they are joined again. */
static void put_data(writer *out, rondo_slice data) {
    for (;;) {
        size_t len = data.len > 0 ? line_length(data) : 0;
        PUT(out, "data: ");
        put(out, data.data, len);
        PUT(out, "\n");
        if (len == data.len) return;
        bool two = data.data[len] == '\r' && len + 1 < data.len && data.data[len + 1] == '\n';
        size_t skip = len + (two ? 2 : 1);
        data = rondo_slice_of(data.data + skip, data.len - skip);
    }
}

static void put_event(writer *out, const rondo_http_event *event, size_t *ret_id_at) {
    char retry[32];

    if (event->type.len > 0) {
        PUT(out, "event: ");
        put(out, event->type.data, event->type.len);
        PUT(out, "\n");
    }
    if (event->id.len > 0) {
        PUT(out, "id: ");
        *ret_id_at = out->len;
        put(out, event->id.data, event->id.len);
        PUT(out, "\n");
    }
    if (event->retry_ms > 0) {
        int len = snprintf(retry, sizeof retry, "retry: %lu\n", (unsigned long)event->retry_ms);
        put(out, retry, (size_t)len);
    }
    if (event->data.data) put_data(out, event->data);
    PUT(out, "\n");
}

int rondo__event_format(const rondo_http_event *event, rondo__message **ret_message) {
    char line[24];
    writer out = {NULL, 0};
    size_t id_at = 0;

    if (!is_line(event->type) || !is_line(event->id)) return RONDO_EINVAL;
    put_event(&out, event, &id_at);
    size_t len = out.len;
    size_t begin = (size_t)snprintf(line, sizeof line, "%zx\r\n", len);
    rondo__message *message = rondo__alloc(sizeof *message + begin + len + 2);
    if (!message) return RONDO_ENOMEM;
    memcpy(message->bytes, line, begin);
    out = (writer){message->bytes + begin, 0};
    put_event(&out, event, &id_at);
    RONDO_ASSERT(out.len == len);
    memcpy(message->bytes + begin + len, "\r\n", 2);
    message->refs = 1;
    message->id_at = begin + id_at;
    message->id_len = event->id.len;
    message->begin = begin;
    message->len = len;
    message->total = begin + len + 2;
    *ret_message = message;
    return 0;
}

void rondo__message_release(rondo__message *message) {
    RONDO_ASSERT(message->refs > 0);
    if (--message->refs == 0) rondo__free(message);
}
