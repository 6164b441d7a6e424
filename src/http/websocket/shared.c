/* SPDX-License-Identifier: MIT
 *
 * The shared part of a loop's WebSockets.
 */
#include "http/websocket/shared.h"

#include <rondo/error.h>
#include <string.h>
#include <sys/random.h>

#include "http/websocket/frame.h"
#include "loop/assert.h"
#include "loop/memory.h"
#include "loop/retry.h"

static void free_shared(rondo_loop *loop, rondo__at_free *at_free) {
    rondo__ws *ws = RONDO__OF(at_free, rondo__ws, at_free);
    RONDO_ASSERT(rondo__list_empty(&ws->sockets) && !ws->settings);
    rondo__ws_frame_fini(ws);
    rondo__ws_deflater_free(ws->deflater);
    while (ws->inflater_count > 0) rondo__ws_inflater_free(ws->inflaters[--ws->inflater_count]);
    rondo__free(ws->scratch);
    rondo__loop_set_part(loop, RONDO__PART_WEBSOCKET, NULL);
    rondo__free(ws);
}

rondo__ws *rondo__ws_of(rondo_loop *loop) {
    rondo__ws *ws = rondo__loop_part(loop, RONDO__PART_WEBSOCKET);
    if (ws) return ws;
    ws = rondo__zalloc(sizeof *ws);
    if (!ws) return NULL;
    ws->loop = loop;
    rondo__list_init(&ws->sockets);
    rondo__loop_set_part(loop, RONDO__PART_WEBSOCKET, ws);
    rondo__at_loop_free(loop, &ws->at_free, free_shared);
    return ws;
}

/* ---- settings ---- */

static void fill_in(rondo__ws_settings *settings, const rondo_websocket_options *options) {
    static const rondo_websocket_options defaults;
    if (!options) options = &defaults;
    memset(settings, 0, sizeof *settings); /* what is between the fields is compared too */
    settings->refs = 1;
    settings->slow = options->slow;
    settings->compression =
        rondo__ws_deflate_is_there() ? options->compression : RONDO_WEBSOCKET_PLAIN;
    settings->compress_bytes = options->compress_bytes;
    if (settings->compress_bytes == 0)
        settings->compress_bytes = options->compression == RONDO_WEBSOCKET_CONTEXT ? 64 : 1024;
#define DEFAULT(field, type, value, what) \
    settings->limits.field = options->limits.field ? options->limits.field : (type)(value);
    RONDO_WEBSOCKET_LIMITS(DEFAULT)
#undef DEFAULT
}

rondo__ws_settings *rondo__ws_settings_take(rondo__ws *ws, const rondo_websocket_options *options) {
    rondo__ws_settings wanted, *last = ws->settings;
    fill_in(&wanted, options);
    if (last) {
        wanted.refs = last->refs;
        if (memcmp(&wanted, last, sizeof wanted) == 0) {
            last->refs++;
            return last;
        }
        wanted.refs = 1;
    }
    rondo__ws_settings *settings = rondo__alloc(sizeof *settings);
    if (!settings) return NULL;
    memcpy(settings, &wanted, sizeof wanted);
    return ws->settings = settings;
}

void rondo__ws_settings_drop(rondo__ws *ws, rondo__ws_settings *settings) {
    RONDO_ASSERT(settings->refs > 0);
    if (--settings->refs > 0) return;
    if (ws->settings == settings) ws->settings = NULL;
    rondo__free(settings);
}

/* ---- what is lent out ---- */

rondo__ws_inflater *rondo__ws_borrow_inflater(rondo__ws *ws) {
    return ws->inflater_count > 0 ? ws->inflaters[--ws->inflater_count] : rondo__ws_inflater_new();
}

void rondo__ws_return_inflater(rondo__ws *ws, rondo__ws_inflater *inflater) {
    if (ws->inflater_count == RONDO__SPARE_INFLATERS) {
        rondo__ws_inflater_free(inflater);
        return;
    }
    rondo__ws_inflater_reset(inflater);
    ws->inflaters[ws->inflater_count++] = inflater;
}

int rondo__ws_random(rondo__ws *ws, uint8_t *out, size_t len) {
    RONDO_ASSERT(len <= 32);
    if (ws->random_left < len) {
        ssize_t got;
        RONDO__RETRY(got, getrandom(ws->random, sizeof ws->random, 0));
        if (got < 0) return rondo_error_from_errno(errno);
        ws->random_left = (unsigned)got;
        if (ws->random_left < len) return RONDO_EAGAIN; /* up to 256 octets come whole */
    }
    ws->random_left -= (unsigned)len;
    memcpy(out, ws->random + ws->random_left, len);
    memset(ws->random + ws->random_left, 0, len);
    return 0;
}
