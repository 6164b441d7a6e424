/* SPDX-License-Identifier: MIT
 *
 * A WebSocket of a server: the input is what the client sends behind the handshake, but for its first
 * octet, which says how the server listens and whether it compresses. Sent whole and in pieces it must
 * bring the same messages, the same end and the same answers; each socket ends and closes once. Where
 * the server closes at once, the answers that had not left yet are gone: one side has the beginning of
 * the other's.
 */
#include "web.h"

static web site;
static char how;
static size_t opened, ended, closed;
static bool at_once; /* the server has closed without an end */

/* What the server heard, as text. */
static char heard[1 << 18];
static size_t heard_len;

static void hear(const char *what, unsigned number, rondo_slice data) {
    dice d = dice_of((const uint8_t *)data.data, data.len);
    size_t room = sizeof heard - heard_len;
    int len = snprintf(heard + heard_len, room, "%s%u:%zu:%llx ", what, number, data.len,
                       (unsigned long long)d.state);
    MUST(len > 0 && (size_t)len < room);
    heard_len += (size_t)len;
}

static void on_message(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                       void *arg) {
    hear("message", type, data);
    MUST(data.len <= 4096);
    /* Short, so that how fast the client reads plays no part. */
    rondo_websocket_send(socket, RONDO_WEBSOCKET_BINARY, rondo_slice_of("got it", 6));
    if (how & 4 && data.len == 3) rondo_websocket_end(socket, 1000, "three");
    if (how & 8 && data.len == 4) {
        at_once = true;
        rondo_close(socket);
    }
}

/* How a message is cut says nothing: what is compared is the sum. */
static dice piece_sum;
static size_t piece_len;
static void on_piece(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                     bool last, void *arg) {
    for (size_t i = 0; i < data.len; i++)
        piece_sum.state = (piece_sum.state ^ (uint8_t)data.data[i]) * UINT64_C(0x100000001b3);
    piece_len += data.len;
    if (!last) return;
    hear("pieces", type, rondo_slice_of((const char *)&piece_sum, sizeof piece_sum));
    piece_sum.state = 0;
    piece_len = 0;
    rondo_websocket_send(socket, RONDO_WEBSOCKET_TEXT, rondo_slice_of("got them", 8));
}

static void on_ping(rondo_websocket *socket, rondo_slice data, void *arg) {
    MUST(data.len <= 125);
    hear("ping", 0, data);
}
static void on_pong(rondo_websocket *socket, rondo_slice data, void *arg) { hear("pong", 0, data); }
static void on_ended(rondo_websocket *socket, uint16_t code, rondo_slice reason, void *arg) {
    ended++;
    hear("end", code, reason);
}
static void on_closed(rondo_handle *socket, void *arg) { closed++; }

static void on_request(rondo_http_request *request, rondo_http_response *response, void *arg) {
    rondo_websocket *socket;
    rondo_websocket_options options = {
        .compression = how & 2 ? RONDO_WEBSOCKET_CONTEXT : RONDO_WEBSOCKET_PLAIN,
        .limits = {.message_bytes = 4096, .fragments = 16, .control_frames = 16}};
    MUST(rondo_websocket_accept(request, response, &options, &socket) == 0);
    opened++;
    rondo_websocket_on_message(socket, on_message, NULL);
    if (how & 1) rondo_websocket_on_piece(socket, on_piece, NULL);
    rondo_websocket_on_ping(socket, on_ping, NULL);
    rondo_websocket_on_pong(socket, on_pong, NULL);
    rondo_websocket_on_end(socket, on_ended, NULL);
    rondo_on_close(socket, on_closed, NULL);
}

static const char handshake[] =
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

static void converse(const uint8_t *data, size_t size, bool whole, answers *got) {
    int fd = web_connect(&site);
    got->len = 0;
    got->ended = false;
    at_once = false;
    heard_len = 0;
    heard[0] = '\0';
    piece_sum.state = 0;
    piece_len = 0;
    web_send(&site, fd, (const uint8_t *)handshake, sizeof handshake - 1, got);
    web_pump(&site, fd, got);
    MUST(opened == closed + 1);
    web_converse(&site, fd, data, size, whole, got);
    web_leave(&site, fd);
    for (int i = 0; i < 100 && opened > closed; i++) web_turn(&site);
    MUST(opened == closed && ended <= closed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static answers whole, pieces;
    static char heard_whole[sizeof heard];
    if (!site.loop) web_open(&site, on_request, NULL, NULL);
    if (size == 0 || size > 4096) return 0;
    how = (char)data[0];
    converse(data + 1, size - 1, true, &whole);
    memcpy(heard_whole, heard, heard_len + 1);
    converse(data + 1, size - 1, false, &pieces);
    if (strcmp(heard_whole, heard) != 0) {
        fprintf(stderr, "--- whole:\n%s\n--- in pieces:\n%s\n", heard_whole, heard);
        MUST(!"the same messages");
    }
    MUST(whole.ended == pieces.ended);
    MUST(at_once || whole.len == pieces.len);
    MUST(memcmp(whole.text, pieces.text, whole.len < pieces.len ? whole.len : pieces.len) == 0);
    return 0;
}
