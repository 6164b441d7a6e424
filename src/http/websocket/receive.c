/* SPDX-License-Identifier: MIT
 *
 * Octets to frames to messages. What one read brought is taken in steps, each of which calls the
 * application at most once, so that it may pause or close at every point.
 *
 * A message that is all there in one frame is told from where wslay has it. Any other is gathered in
 * memory that grows as its octets come: a length that is only announced costs nothing.
 */
#include <rondo/error.h>
#include <string.h>

#include "http/websocket/socket.h"
#include "loop/assert.h"
#include "loop/memory.h"

#define FIRST_ROOM ((size_t)4096)

/* Whether the next step may be taken. */
static bool takes(const rondo_websocket *socket) {
    return !(socket->flags & (RONDO__WS_DEAF | RONDO__WS_PAUSED)) && !rondo__ws_is_over(socket);
}

static void fail(rondo_websocket *socket, uint16_t code) {
    int error = code == RONDO__CODE_TOO_BIG    ? RONDO_EMSGSIZE
                : code == RONDO__CODE_POLICY   ? RONDO_ENOBUFS
                : code == RONDO__CODE_INTERNAL ? RONDO_ENOMEM
                                               : RONDO_EPROTO;
    rondo__ws_fail(socket, code, error);
}

/* ---- a message under way ---- */

static void free_inbound(rondo_websocket *socket, rondo__ws_inbound *inbound) {
    /* The socket's own stays with it. */
    if (inbound->inflater && inbound->inflater != socket->inflater)
        rondo__ws_return_inflater(socket->ws, inbound->inflater);
    rondo__free(inbound->data);
    rondo__free(inbound);
}

void rondo__ws_drop_inbound(rondo_websocket *socket) {
    if (socket->inbound) free_inbound(socket, socket->inbound);
    if (socket->reader) rondo__ws_reader_put(socket->ws, socket->reader);
    rondo__free(socket->rest);
    socket->inbound = NULL;
    socket->reader = NULL;
    socket->rest = NULL;
}

static rondo__ws_inflater *inflater_of(rondo_websocket *socket) {
    if (!(socket->flags & RONDO__WS_IN_CONTEXT)) return rondo__ws_borrow_inflater(socket->ws);
    if (!socket->inflater) socket->inflater = rondo__ws_inflater_new();
    return socket->inflater;
}

static bool begin_message(rondo_websocket *socket) {
    const rondo__ws_reader *reader = socket->reader;
    rondo__ws_inbound *inbound = rondo__zalloc(sizeof *inbound);
    if (inbound && (reader->rsv & RONDO__RSV1) && !(inbound->inflater = inflater_of(socket))) {
        rondo__free(inbound);
        inbound = NULL;
    }
    if (!inbound) {
        fail(socket, RONDO__CODE_INTERNAL);
        return false;
    }
    inbound->type = reader->op;
    inbound->in_pieces = rondo__ws_hears(socket, RONDO__WS_PIECE);
    socket->inbound = inbound;
    return true;
}

/* ---- the header of a frame ---- */

/* What a frame's header may not say: 0 or the code. Lengths were checked by wslay. */
static uint16_t check_header(const rondo_websocket *socket) {
    const rondo__ws_reader *reader = socket->reader;
    bool control = rondo__op_is_control(reader->op);
    unsigned rsv_allowed = (socket->flags & RONDO__WS_COMPRESSED) && !control ? RONDO__RSV1 : 0;
    if (reader->masked != rondo__ws_is_server(socket)) return RONDO__CODE_PROTOCOL;
    if (reader->op > RONDO__OP_PONG || (!control && reader->op > RONDO__OP_BINARY))
        return RONDO__CODE_PROTOCOL;
    if (reader->op == RONDO__OP_CONTINUATION) rsv_allowed = 0;
    if (reader->rsv & ~rsv_allowed) return RONDO__CODE_PROTOCOL;
    if (control) return 0;
    if ((reader->op == RONDO__OP_CONTINUATION) != (socket->inbound != NULL))
        return RONDO__CODE_PROTOCOL;
    return reader->len_of_frame > socket->settings->limits.frame_bytes ? RONDO__CODE_TOO_BIG : 0;
}

/* What deflate makes of octets that it can't compress is a little more than they are. */
static uint64_t most_octets(const rondo_websocket *socket, bool compressed) {
    uint64_t most = socket->settings->limits.message_bytes;
    if (!compressed || most > UINT64_MAX / 2) return most;
    return most + most / 256 + 64;
}

/* The frame belongs to the message under way. */
static uint16_t count_frame(rondo_websocket *socket) {
    rondo__ws_inbound *inbound = socket->inbound;
    uint64_t len = socket->reader->len_of_frame;
    uint64_t most = most_octets(socket, inbound->inflater != NULL);
    if (++inbound->frames > socket->settings->limits.fragments) return RONDO__CODE_POLICY;
    if (inbound->in_pieces) return 0;
    if (len > most || inbound->taken > most - len) return RONDO__CODE_TOO_BIG;
    inbound->taken += len;
    return 0;
}

static void begin_frame(rondo_websocket *socket) {
    const rondo__ws_reader *reader = socket->reader;
    uint16_t code = check_header(socket);
    if (code == 0 && rondo__op_is_control(reader->op)) {
        rondo__ws_control_begins(socket);
        return;
    }
    bool whole = reader->fin && reader->left == 0 && reader->op != RONDO__OP_CONTINUATION &&
                 reader->rsv == 0 && !rondo__ws_hears(socket, RONDO__WS_PIECE);
    if (code == 0 && whole) {
        if (reader->len_of_frame > socket->settings->limits.message_bytes)
            fail(socket, RONDO__CODE_TOO_BIG);
        return;
    }
    if (code == 0 && !socket->inbound && !begin_message(socket)) return;
    if (code == 0) code = count_frame(socket);
    if (code != 0) fail(socket, code);
}

/* ---- payload ---- */

static rondo_slice take_payload(rondo__ws_reader *reader) {
    rondo_slice payload = reader->payload;
    reader->payload.len = 0;
    return payload;
}

static void tell_message(rondo_websocket *socket, unsigned type, const char *data, size_t len) {
    rondo__ws_news news = {.type = (rondo_websocket_type)type, .data = rondo_slice_of(data, len)};
    rondo__ws_tell(socket, RONDO__WS_MESSAGE, &news);
}

static void tell_piece(rondo_websocket *socket, unsigned type, rondo_slice data, bool last) {
    rondo__ws_news news = {.type = (rondo_websocket_type)type, .data = data, .last = last};
    rondo__ws_tell(socket, RONDO__WS_PIECE, &news);
}

/* A message of one frame that is all there. */
static void take_whole(rondo_websocket *socket) {
    rondo__ws_reader *reader = socket->reader;
    rondo_slice payload = take_payload(reader);
    reader->open = false;
    if (reader->op == RONDO__OP_TEXT && !rondo__utf8_is(payload.data, payload.len))
        fail(socket, RONDO__CODE_DATA);
    else
        tell_message(socket, reader->op, payload.data, payload.len);
}

/* Room for `more` octets than there are, or at least for some of them where the limit is near; false,
 * and the socket has failed, when out of memory. */
static bool grow(rondo_websocket *socket, size_t more) {
    rondo__ws_inbound *inbound = socket->inbound;
    /* One octet above the limit shows that it is exceeded. */
    uint64_t limit = socket->settings->limits.message_bytes;
    size_t most = limit < SIZE_MAX ? (size_t)limit + 1 : SIZE_MAX;
    size_t room = inbound->room > 0 ? inbound->room : FIRST_ROOM;
    while (room - inbound->len < more && room < most) room = room <= most / 2 ? room * 2 : most;
    if (room == inbound->room) return true;
    char *data = rondo__realloc(inbound->data, room);
    if (!data) {
        fail(socket, RONDO__CODE_INTERNAL);
        return false;
    }
    inbound->data = data;
    inbound->room = room;
    return true;
}

/* Whether octets of the message may come next; if not, the socket has failed. */
static bool is_text_good(rondo_websocket *socket, rondo_slice octets) {
    rondo__ws_inbound *inbound = socket->inbound;
    if (inbound->type != RONDO__OP_TEXT) return true;
    if (rondo__utf8_feed(&inbound->utf8, octets.data, octets.len)) return true;
    fail(socket, RONDO__CODE_DATA);
    return false;
}

static void take_plain(rondo_websocket *socket) {
    rondo__ws_reader *reader = socket->reader;
    rondo__ws_inbound *inbound = socket->inbound;
    rondo_slice payload = take_payload(reader);
    if (!is_text_good(socket, payload)) return;
    if (inbound->in_pieces) {
        tell_piece(socket, inbound->type, payload, reader->fin && reader->left == 0);
    } else if (grow(socket, payload.len)) {
        memcpy(inbound->data + inbound->len, payload.data, payload.len);
        inbound->len += payload.len;
    }
}

/* Where what is inflated goes: behind the rest of the message, or to be told at once. */
static bool find_room(rondo_websocket *socket, rondo_buffer *ret_room) {
    rondo__ws_inbound *inbound = socket->inbound;
    rondo__ws *ws = socket->ws;
    if (inbound->in_pieces) {
        if (!ws->scratch) ws->scratch = rondo__alloc(RONDO__SCRATCH_BYTES);
        if (!ws->scratch) fail(socket, RONDO__CODE_INTERNAL);
        *ret_room = (rondo_buffer){ws->scratch, RONDO__SCRATCH_BYTES};
        return ws->scratch != NULL;
    }
    if (inbound->len == inbound->room && !grow(socket, FIRST_ROOM)) return false;
    *ret_room = (rondo_buffer){inbound->data + inbound->len, inbound->room - inbound->len};
    return true;
}

static void take_deflated(rondo_websocket *socket) {
    rondo__ws_inbound *inbound = socket->inbound;
    rondo_buffer room;
    if (!find_room(socket, &room)) return;
    int64_t made =
        rondo__ws_inflater_run(inbound->inflater, &socket->reader->payload, room.data, room.len);
    if (made < 0) {
        fail(socket, made == RONDO_ENOMEM ? RONDO__CODE_INTERNAL : RONDO__CODE_DATA);
        return;
    }
    rondo_slice octets = rondo_slice_of(room.data, (size_t)made);
    if (!is_text_good(socket, octets)) return;
    if (inbound->in_pieces) {
        if (octets.len > 0) tell_piece(socket, inbound->type, octets, false);
        return;
    }
    inbound->len += octets.len;
    if (inbound->len > socket->settings->limits.message_bytes) fail(socket, RONDO__CODE_TOO_BIG);
}

/* ---- the end of a frame ---- */

static void end_message(rondo_websocket *socket) {
    rondo__ws_reader *reader = socket->reader;
    rondo__ws_inbound *inbound = socket->inbound;
    if (inbound->type == RONDO__OP_TEXT && !rondo__utf8_whole(&inbound->utf8)) {
        fail(socket, RONDO__CODE_DATA);
        return;
    }
    socket->inbound = NULL;
    reader->open = false;
    if (!inbound->in_pieces)
        tell_message(socket, inbound->type, inbound->data, inbound->len);
    else if (inbound->inflater || reader->len_of_frame == 0) /* else that was told already */
        tell_piece(socket, inbound->type, rondo_slice_of(NULL, 0), true);
    free_inbound(socket, inbound);
}

static void end_frame(rondo_websocket *socket) {
    rondo__ws_reader *reader = socket->reader;
    rondo__ws_inbound *inbound = socket->inbound;
    if (!reader->fin) {
        reader->open = false;
    } else if (inbound->inflater && !inbound->tailed) {
        inbound->tailed = true;
        reader->payload = rondo_slice_of(RONDO__DEFLATE_TAIL, RONDO__DEFLATE_TAIL_LEN);
    } else {
        end_message(socket);
    }
}

static void take_control(rondo_websocket *socket) {
    rondo__ws_reader *reader = socket->reader;
    rondo_slice payload = take_payload(reader);
    RONDO_ASSERT(payload.len <= sizeof reader->control - reader->control_len);
    if (payload.len > 0) memcpy(reader->control + reader->control_len, payload.data, payload.len);
    reader->control_len = (uint8_t)(reader->control_len + payload.len);
    if (reader->left > 0) return;
    reader->open = false;
    rondo__ws_control(socket, reader->op, rondo_slice_of(reader->control, reader->control_len));
}

/* ---- steps ---- */

/* Whether something of the frame can be done without more octets. */
static bool is_busy(const rondo_websocket *socket) {
    const rondo__ws_reader *reader = socket->reader;
    return reader->open && (reader->payload.len > 0 || reader->left == 0);
}

/* False: nothing can be done until more octets come. */
static bool step(rondo_websocket *socket) {
    rondo__ws_reader *reader = socket->reader;
    rondo__ws_inbound *inbound = socket->inbound;
    if (!is_busy(socket)) {
        int status = rondo__ws_reader_next(reader);
        if (status < 0) fail(socket, RONDO__CODE_PROTOCOL);
        if (status > 0 && reader->begins) begin_frame(socket);
        return status != 0;
    }
    if (rondo__op_is_control(reader->op))
        take_control(socket);
    else if (!inbound)
        take_whole(socket);
    else if (inbound->inflater && reader->payload.len > 0)
        take_deflated(socket);
    else if (reader->payload.len > 0)
        take_plain(socket);
    else
        end_frame(socket);
    return true;
}

/* What is left must wait until the application wants it. */
static void keep(rondo_websocket *socket) {
    rondo__ws_reader *reader = socket->reader;
    if (socket->rest) return; /* it is in there */
    rondo__ws_rest *rest = rondo__alloc(sizeof *rest + reader->len);
    if (!rest) {
        fail(socket, RONDO__CODE_INTERNAL);
        rondo__ws_drop_inbound(socket);
        return;
    }
    rest->len = reader->len;
    memcpy(rest->data, reader->data, reader->len);
    reader->data = rest->data;
    socket->rest = rest;
}

static void feed(rondo_websocket *socket) {
    RONDO_ASSERT(!(socket->flags & RONDO__WS_FEEDING));
    socket->flags |= RONDO__WS_FEEDING;
    while (takes(socket) && step(socket)) {}
    socket->flags &= ~(uint32_t)RONDO__WS_FEEDING;
    if ((socket->flags & RONDO__WS_DEAF) || rondo__ws_is_over(socket)) {
        rondo__ws_drop_inbound(socket);
    } else if (socket->reader->len > 0) {
        keep(socket);
    } else {
        rondo__free(socket->rest);
        socket->rest = NULL;
        if (rondo__ws_reader_is_idle(socket->reader)) {
            rondo__ws_reader_put(socket->ws, socket->reader);
            socket->reader = NULL;
        }
    }
}

void rondo__ws_receive(rondo_websocket *socket, rondo_slice chunk) {
    RONDO_ASSERT(!socket->rest && !(socket->flags & RONDO__WS_PAUSED));
    if (!socket->reader) socket->reader = rondo__ws_reader_take(socket->ws);
    if (!socket->reader) {
        fail(socket, RONDO__CODE_INTERNAL);
        return;
    }
    rondo__ws_reader_give(socket->reader, chunk);
    feed(socket);
}

/* ---- after a pause ---- */

static void read_on(rondo_websocket *socket) {
    /* Without a watch it would never be heard of again. */
    if (rondo_resume(socket->stream) == RONDO_ENOMEM) rondo_destroy(socket->stream, RONDO_ENOMEM);
}

void rondo__ws_go_on(rondo_websocket *socket) {
    if (socket->reader && !(socket->flags & RONDO__WS_FEEDING))
        rondo__defer(socket->base.loop, &socket->go_on); /* not inside this call */
    else
        read_on(socket);
}

void rondo__ws_go_on_task(rondo_loop *loop, rondo__task *task) {
    rondo_websocket *socket = RONDO__OF(task, rondo_websocket, go_on);
    if (!takes(socket)) return;
    rondo__cork(loop);
    if (socket->reader) feed(socket);
    if (takes(socket)) read_on(socket);
    rondo__uncork(loop);
}
