/* SPDX-License-Identifier: MIT
 *
 * A WebSocket, and what the parts of its implementation call of one another:
 *
 *   accept.c     a server's handshake           receive.c  octets to frames to messages
 *   connect.c    a client's                     control.c  pings, pongs and Closes that come
 *   socket.c     life, events                   send.c     messages to frames to octets
 *   closing.c    ways to the end                message.c  messages for many
 *   shared.c     what all of a loop share       frame.c    frames, on wslay
 *   negotiate.c  what is agreed on              deflate.c  compression, on zlib
 *   key.c        the handshake's hash           utf8.c     whether text is text
 *
 * Internal.
 */
#ifndef RONDO__WS_SOCKET_H
#define RONDO__WS_SOCKET_H

#include <rondo/websocket.h>

#include "http/websocket/frame.h"
#include "http/websocket/negotiate.h"
#include "http/websocket/shared.h"
#include "http/websocket/utf8.h"
#include "loop/alarm.h"
#include "loop/emit.h"
#include "net/stream.h"

enum {
    RONDO__WS_OPEN,
    RONDO__WS_MESSAGE,
    RONDO__WS_PIECE,
    RONDO__WS_PING,
    RONDO__WS_PONG,
    RONDO__WS_DRAIN,
    RONDO__WS_END,
    RONDO__WS_ERROR,
    RONDO__WS_EVENTS
};

/* rondo_websocket.flags */
enum {
    RONDO__WS_SERVER = 1 << 0,      /* frames go out plain and come in masked; else the reverse */
    RONDO__WS_OPENED = 1 << 1,      /* the handshake is done */
    RONDO__WS_SENT_CLOSE = 1 << 2,  /* nothing more is sent */
    RONDO__WS_DEAF = 1 << 3,        /* a Close has come, or it has failed: the rest is dropped */
    RONDO__WS_TOLD_END = 1 << 4,    /* `end`, or nothing left to tell */
    RONDO__WS_PAUSED = 1 << 5,      /* by the application */
    RONDO__WS_ASKED = 1 << 6,       /* a ping of ours waits for any octet */
    RONDO__WS_COMPRESSED = 1 << 7,  /* permessage-deflate was agreed on */
    RONDO__WS_OUT_CONTEXT = 1 << 8, /* what we send refers to what was before */
    RONDO__WS_IN_CONTEXT = 1 << 9,  /* what comes does */
    RONDO__WS_OUT_FORGET = 1 << 10, /* ... but not the next message */
    RONDO__WS_PIECES_OUT = 1 << 11, /* between two pieces of ours */
    RONDO__WS_FEEDING = 1 << 12,    /* receive.c is on the stack, and goes on by itself */
    RONDO__WS_PEER_ENDED = 1 << 13, /* the peer's last octet has come */
    RONDO__WS_TEXT_OUT = 1 << 14    /* those pieces are text */
};

/* A message that has begun to come, unless it came in one piece. */
typedef struct rondo__ws_inbound {
    rondo__ws_inflater *inflater; /* of a compressed one; the socket's own with IN_CONTEXT */
    char *data;                   /* what there is of it, unless it is told in pieces */
    size_t len, room;
    uint64_t taken; /* payload octets of its frames: as they came, before inflating */
    uint32_t frames;
    uint8_t type;
    bool in_pieces;
    bool tailed; /* it has got the end of the message */
    rondo__utf8 utf8;
} rondo__ws_inbound;

/* Octets that came before a pause and were not read, at most one read's. */
typedef struct rondo__ws_rest {
    size_t len;
    char data[];
} rondo__ws_rest;

struct rondo_websocket {
    rondo_handle base;
    rondo_stream *stream; /* NULL: not there yet, or gone */
    rondo__ws *ws;
    rondo__ws_settings *settings;
    rondo__list link; /* ws->sockets */
    rondo__alarm alarm;
    rondo__task go_on; /* after a pause */
    rondo__ws_reader *reader;
    rondo__ws_rest *rest; /* what `reader` still has to be given belongs to it */
    rondo__ws_inbound *inbound;
    rondo__ws_inflater *inflater; /* with IN_CONTEXT */
    rondo__ws_deflater *deflater; /* with OUT_CONTEXT, or a window of its own */
    struct rondo__ws_call *call;  /* a client's handshake, see connect.c */
    char *protocol;               /* NULL: none */
    /* The payload of a ping to be answered when there is room, with its length before it. */
    char *owed;
    /* Octets that had left when a ping asked, or the closing was last looked at. */
    uint64_t asked_out;
    uint64_t control_since_ns; /* the second that control_count is of */
    uint32_t control_count;
    uint32_t flags;
    uint16_t status; /* of HTTP */
    uint8_t out_bits;
    rondo__utf8 text_out; /* of the pieces of a text */
    rondo__slot on[RONDO__WS_EVENTS];
};

extern const rondo__kind rondo__websocket_kind;

static inline bool rondo__ws_is_server(const rondo_websocket *socket) {
    return (socket->flags & RONDO__WS_SERVER) != 0;
}
/* Closing, or with nothing under it any more. */
static inline bool rondo__ws_is_over(const rondo_websocket *socket) {
    return rondo__handle_closing(&socket->base) || !socket->stream ||
           rondo__stream_is_over(socket->stream);
}

/* ---- socket.c ---- */

/* A socket without a connection; NULL when out of memory. */
rondo_websocket *rondo__ws_new(rondo_loop *loop, const rondo_websocket_options *options,
                               unsigned flags, const char *site);
/* Undoes it, before a user has seen it. */
void rondo__ws_discard(rondo_websocket *socket);
/* The handshake is done, on this stream, which is the socket's now. */
void rondo__ws_start(rondo_websocket *socket, rondo_stream *stream,
                     const rondo__ws_deflate *deflate);

/* Emits an event; whether anybody heard. The payload is what the thunk of the event wants. */
bool rondo__ws_tell(rondo_websocket *socket, unsigned event, void *payload);
typedef struct rondo__ws_news { /* of all events but open and drain */
    rondo_slice data;
    rondo_websocket_type type;
    bool last;
    uint16_t code;
    int error;
} rondo__ws_news;
static inline bool rondo__ws_hears(const rondo_websocket *socket, unsigned event) {
    return rondo__heard(&socket->on[event]);
}

/* ---- connect.c ---- */

/* The socket closes while its handshake is under way, or not: lets go of the call. */
void rondo__ws_stop_call(rondo_websocket *socket);

/* ---- closing.c: all of them from the loop only ---- */

enum {
    RONDO__CODE_NORMAL = 1000,
    RONDO__CODE_PROTOCOL = 1002,
    RONDO__CODE_NONE = 1005,     /* never sent */
    RONDO__CODE_ABNORMAL = 1006, /* never sent */
    RONDO__CODE_DATA = 1007,
    RONDO__CODE_POLICY = 1008,
    RONDO__CODE_TOO_BIG = 1009,
    RONDO__CODE_INTERNAL = 1011,
    RONDO__CODE_TRY_LATER = 1013
};

/* Whether a Close may say so (section 7.4, and the registry of codes). */
bool rondo__ws_code_is_valid(unsigned code);

/* The peer has done wrong, or we can't go on: sends a Close with the code, tells `error` and `end`. */
void rondo__ws_fail(rondo_websocket *socket, uint16_t code, int error);
/* The peer's Close has come. */
void rondo__ws_closed_by_peer(rondo_websocket *socket, uint16_t code, rondo_slice reason);
/* The connection has gone, or is given up: tells `error`, unless 0, and `end`, and closes. */
void rondo__ws_lost(rondo_websocket *socket, int error);
/* From a call of the application: sends a Close, whatever else is to be told later. */
int rondo__ws_begin_close(rondo_websocket *socket, uint16_t code, rondo_slice reason);
/* The socket has its connection, or another deadline: sets the alarm. */
void rondo__ws_arm(rondo_websocket *socket, uint64_t delay_ms);
/* The peer will send no more. */
void rondo__ws_peer_ended(rondo_websocket *socket);

/* The one alarm: the next ping, the pong, the end of the closing. */
void rondo__ws_alarm(rondo_loop *loop, rondo__alarm *alarm);
/* Octets came: the peer is there. */
void rondo__ws_heard(rondo_websocket *socket);

/* ---- receive.c ---- */

void rondo__ws_receive(rondo_websocket *socket, rondo_slice chunk);
/* The application wants more again. */
void rondo__ws_go_on(rondo_websocket *socket);
void rondo__ws_go_on_task(rondo_loop *loop, rondo__task *task);
/* Gives back what a message and a frame under way hold. */
void rondo__ws_drop_inbound(rondo_websocket *socket);

/* ---- control.c ---- */

/* A control frame has begun: false, and the socket has failed, when there are too many. */
bool rondo__ws_control_begins(rondo_websocket *socket);
/* It is complete. */
void rondo__ws_control(rondo_websocket *socket, unsigned op, rondo_slice payload);
/* There is room again for a pong that had to wait. */
void rondo__ws_pay(rondo_websocket *socket);

/* ---- send.c ---- */

/* Whether anything may be sent: 0 or an error. */
int rondo__ws_may_send(const rondo_websocket *socket);
/* Whether a message may: 0, or an error; ends a slow peer if that is the policy. */
int rondo__ws_may_send_message(rondo_websocket *socket);
/* One frame, whatever is queued before it: as rondo_write(). */
int rondo__ws_send_frame(rondo_websocket *socket, const rondo__ws_frame *frame);
/* Whether a message of this length should be compressed. */
bool rondo__ws_compresses(const rondo_websocket *socket, size_t len);

#endif
