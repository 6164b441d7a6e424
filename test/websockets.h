/* SPDX-License-Identifier: MIT
 *
 * For the tests of WebSockets: a socket on one end of a pair, and at the other end a peer of raw octets.
 * Frames are written and shown as text:
 *
 *   81:Hello    a frame whose first octet is 0x81 (FIN and text), with that payload
 *   82:a*300    a payload of 300 times the letter, also behind other ones: 82:xya*300
 *   81:%CE%BA   octets that can't be shown
 *   88:1000 bye a Close, with its code and reason; 88: is one without
 *   !81:Hello   masked the wrong way
 *   #8105       raw octets
 *
 * separated by `|`.
 */
#ifndef TEST_WEBSOCKETS_H
#define TEST_WEBSOCKETS_H

#include "streams.h"

#include "http/websocket/socket.h"

/* ---- frames to octets ---- */

typedef struct octets {
    char *data;
    size_t len, room;
} octets;

STREAMS_HELPER void put(octets *to, const void *data, size_t len) {
    if (to->len + len > to->room) {
        to->room = (to->len + len) * 2;
        to->data = realloc(to->data, to->room);
        CHECK(to->data != NULL);
    }
    if (len > 0) memcpy(to->data + to->len, data, len);
    to->len += len;
}
STREAMS_HELPER void put_octet(octets *to, unsigned octet) {
    char c = (char)octet;
    put(to, &c, 1);
}

STREAMS_HELPER unsigned hex_of(const char *text) {
    unsigned value;
    CHECK_INT(sscanf(text, "%2x", &value), 1);
    return value;
}

STREAMS_HELPER void put_frame(octets *to, unsigned first, const char *payload, size_t len,
                              bool mask) {
    static const char key[4] = {'\x37', '\xfa', '\x21', '\x3d'}; /* of RFC 6455 section 5.7 */
    put_octet(to, first);
    unsigned bit = mask ? 0x80 : 0;
    if (len < 126) {
        put_octet(to, bit | (unsigned)len);
    } else if (len < 65536) {
        put_octet(to, bit | 126);
        for (int i = 1; i >= 0; i--) put_octet(to, len >> 8 * i & 255);
    } else {
        put_octet(to, bit | 127);
        for (int i = 7; i >= 0; i--) put_octet(to, len >> 8 * i & 255);
    }
    if (mask) put(to, key, 4);
    for (size_t i = 0; i < len; i++)
        put_octet(to, (uint8_t)payload[i] ^ (mask ? (uint8_t)key[i % 4] : 0));
}

/* A payload as it is written. */
STREAMS_HELPER void put_payload(octets *to, const char *text, const char *end, bool close) {
    if (close && text < end) {
        unsigned code = (unsigned)strtoul(text, (char **)(uintptr_t)&text, 10);
        put_octet(to, code >> 8), put_octet(to, code & 255);
        if (text < end) text++;
    }
    for (; text < end; text++) {
        if (*text == '%') {
            put_octet(to, hex_of(text + 1));
            text += 2;
        } else if (*text == '*') {
            char last = to->data[to->len - 1];
            size_t times = strtoul(text + 1, (char **)(uintptr_t)&text, 10);
            while (--times > 0) put_octet(to, (uint8_t)last);
            text--;
        } else {
            put_octet(to, (uint8_t)*text);
        }
    }
}

STREAMS_HELPER void put_frames(octets *to, const char *text, bool mask) {
    while (*text) {
        size_t len = strcspn(text, "|");
        const char *end = text + len, *at = text;
        octets payload = {0};
        bool wrong = *at == '!';
        if (*at == '#') {
            for (at++; at < end; at += 2) put_octet(to, hex_of(at));
        } else {
            unsigned first = hex_of(at + wrong);
            at += wrong + 3;
            put_payload(&payload, at, end, (first & 15) == 8);
            put_frame(to, first, payload.data, payload.len, mask != wrong);
            free(payload.data);
        }
        text = *end ? end + 1 : end;
    }
}

/* ---- octets to frames ---- */

/* Shows a payload: runs are short. */
STREAMS_HELPER size_t show_payload(char *text, const char *data, size_t len) {
    size_t shown = 0;
    for (size_t i = 0; i < len && shown < 400;) {
        size_t run = 1;
        while (i + run < len && data[i + run] == data[i]) run++;
        if (data[i] > ' ' - 1 && data[i] < 127)
            text[shown++] = data[i];
        else
            shown += (size_t)sprintf(text + shown, "%%%02X", (unsigned)(uint8_t)data[i]);
        if (run > 4)
            shown += (size_t)sprintf(text + shown, "*%zu", run);
        else
            run = 1;
        i += run;
    }
    text[shown] = '\0';
    return shown;
}

/* Takes a frame off the front; false when there is none that is whole. */
STREAMS_HELPER bool take_frame(octets *from, unsigned *ret_first, octets *ret_payload,
                               bool masked) {
    const uint8_t *at = (const uint8_t *)from->data;
    if (from->len < 2) return false;
    size_t len = at[1] & 127, head = 2;
    CHECK_INT(at[1] >> 7, masked);
    if (len >= 126) {
        size_t more = len == 126 ? 2 : 8;
        if (from->len < head + more) return false;
        for (len = 0; head < 2 + more; head++) len = len << 8 | at[head];
        CHECK(len >= (more == 2 ? 126 : 65536));
    }
    const uint8_t *key = at + head;
    if (masked) head += 4;
    if (from->len < head + len) return false;
    *ret_first = at[0];
    ret_payload->len = 0;
    for (size_t i = 0; i < len; i++)
        put_octet(ret_payload, at[head + i] ^ (masked ? key[i % 4] : 0));
    memmove(from->data, from->data + head + len, from->len - head - len);
    from->len -= head + len;
    return true;
}

/* All of them, as text; static. */
STREAMS_HELPER const char *show_frames(octets *from, bool masked) {
    static char text[1 << 14];
    size_t shown = 0;
    unsigned first;
    octets payload = {0};
    text[0] = '\0';
    while (take_frame(from, &first, &payload, masked)) {
        const char *data = payload.data;
        size_t len = payload.len;
        CHECK(shown < sizeof text - 600);
        shown += (size_t)sprintf(text + shown, "%s%02x:", shown > 0 ? "|" : "", first);
        if ((first & 15) == 8 && len >= 2) {
            shown += (size_t)sprintf(text + shown, "%u%s",
                                     (unsigned)(uint8_t)data[0] << 8 | (uint8_t)data[1],
                                     len > 2 ? " " : "");
            data += 2, len -= 2;
        }
        shown += show_payload(text + shown, data, len);
    }
    free(payload.data);
    return text;
}

/* ---- the peer ---- */

typedef struct ws_peer {
    int fd;
    bool is_client; /* its frames are masked */
    bool ended;
    octets got;
} ws_peer;

STREAMS_HELPER void ws_read(ws_peer *peer) {
    char buffer[1 << 14];
    ssize_t count;
    if (peer->ended) return;
    while ((count = recv(peer->fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
        put(&peer->got, buffer, (size_t)count);
    peer->ended = count == 0 || errno != EAGAIN;
}

/* What it got since the last time, as frames. */
STREAMS_HELPER const char *ws_got(ws_peer *peer) {
    ws_read(peer);
    const char *text = show_frames(&peer->got, !peer->is_client);
    CHECK_INT(peer->got.len, 0);
    return text;
}

/* Sends octets, in pieces of so many, with turns behind each. What a closed socket doesn't take is lost. */
STREAMS_HELPER void ws_send_octets(rondo_loop *loop, ws_peer *peer, const octets *data,
                                   size_t piece) {
    for (size_t at = 0; at < data->len;) {
        size_t len = data->len - at < piece ? data->len - at : piece;
        ssize_t sent = send(peer->fd, data->data + at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) break;
        if (sent > 0) at += (size_t)sent;
        run_turns(loop, 1);
        ws_read(peer);
    }
    run_turns(loop, 3);
}

STREAMS_HELPER void ws_say(rondo_loop *loop, ws_peer *peer, const char *frames) {
    octets data = {0};
    put_frames(&data, frames, peer->is_client);
    ws_send_octets(loop, peer, &data, SIZE_MAX);
    free(data.data);
}

STREAMS_HELPER void ws_peer_close(ws_peer *peer) {
    close(peer->fd);
    free(peer->got.data);
}

/* ---- what the socket tells ---- */

STREAMS_HELPER void note_octets(const char *what, rondo_slice data) {
    char text[512];
    show_payload(text, data.data, data.len);
    note("%s:%s", what, text);
}
TRACE_CALLBACK ws_note_open(rondo_websocket *socket, void *arg) { note("open"); }
TRACE_CALLBACK ws_note_message(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                               void *arg) {
    note_octets(type == RONDO_WEBSOCKET_TEXT ? "text" : "binary", data);
}
TRACE_CALLBACK ws_note_piece(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                             bool last, void *arg) {
    note_octets(last ? "last" : "piece", data);
}
TRACE_CALLBACK ws_note_ping(rondo_websocket *socket, rondo_slice data, void *arg) {
    note_octets("ping", data);
}
TRACE_CALLBACK ws_note_pong(rondo_websocket *socket, rondo_slice data, void *arg) {
    note_octets("pong", data);
}
TRACE_CALLBACK ws_note_drain(rondo_websocket *socket, void *arg) { note("drain"); }
TRACE_CALLBACK ws_note_end(rondo_websocket *socket, uint16_t code, rondo_slice reason, void *arg) {
    note("end:%u%s%.*s", code, reason.len > 0 ? "," : "", (int)reason.len,
         reason.len > 0 ? reason.data : "");
}
TRACE_CALLBACK ws_note_error(rondo_websocket *socket, int error, void *arg) {
    note("%s", rondo_error_name(error));
}
TRACE_CALLBACK ws_note_close(rondo_handle *handle, void *arg) {
    note("close");
    *(rondo_websocket **)arg = NULL;
}

/* Notes everything; *socket becomes NULL when it has closed. */
STREAMS_HELPER void ws_note_all(rondo_websocket **socket) {
    CHECK_INT(rondo_websocket_on_open(*socket, ws_note_open, NULL), 0);
    CHECK_INT(rondo_websocket_on_message(*socket, ws_note_message, NULL), 0);
    CHECK_INT(rondo_websocket_on_ping(*socket, ws_note_ping, NULL), 0);
    CHECK_INT(rondo_websocket_on_pong(*socket, ws_note_pong, NULL), 0);
    CHECK_INT(rondo_websocket_on_drain(*socket, ws_note_drain, NULL), 0);
    CHECK_INT(rondo_websocket_on_end(*socket, ws_note_end, NULL), 0);
    CHECK_INT(rondo_websocket_on_error(*socket, ws_note_error, NULL), 0);
    CHECK_INT(rondo_on_close(*socket, ws_note_close, socket), 0);
}

/* ---- both ---- */

enum { SERVER, CLIENT };

/* A socket whose handshake is done, as if by accept or connect, and its peer. deflate may be NULL. */
STREAMS_HELPER rondo_websocket *ws_open_with(rondo_loop *loop, int role, ws_peer *peer,
                                             const rondo_websocket_options *options,
                                             const rondo__ws_deflate *deflate) {
    static const rondo__ws_deflate none;
    rondo_stream *stream;
    *peer = (ws_peer){.is_client = role == SERVER};
    peer->fd = new_pair(loop, &stream);
    rondo_websocket *socket =
        rondo__ws_new(loop, options, role == SERVER ? RONDO__WS_SERVER : 0, RONDO_HERE);
    CHECK(socket != NULL);
    rondo__ws_start(socket, stream, deflate ? deflate : &none);
    return socket;
}
STREAMS_HELPER rondo_websocket *ws_open(rondo_loop *loop, int role, ws_peer *peer) {
    return ws_open_with(loop, role, peer, NULL, NULL);
}

/* Lets ms of virtual time pass, in which the loop sleeps. */
TRACE_CALLBACK ws_time_over(rondo_timer *timer, void *arg) {
    *(bool *)arg = true;
    rondo_close(timer);
}
STREAMS_HELPER void ws_advance(rondo_loop *loop, uint64_t ms) {
    bool over = false;
    start_timer(loop, ms, ws_time_over, &over);
    while (!over) rondo_loop_run(loop, RONDO_RUN_ONCE);
    run_turns(loop, 3);
}

#endif
