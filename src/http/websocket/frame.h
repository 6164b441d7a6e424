/* SPDX-License-Identifier: MIT
 *
 * Frames (RFC 6455 section 5.2) to and from octets, on wslay. Only frame.c knows of wslay. What it does
 * not check is checked in receive.c: reserved bits and opcodes, masks, the order of fragments.
 * Internal.
 */
#ifndef RONDO__WS_FRAME_H
#define RONDO__WS_FRAME_H

#include "http/websocket/shared.h"

enum {
    RONDO__OP_CONTINUATION = 0,
    RONDO__OP_TEXT = RONDO_WEBSOCKET_TEXT,
    RONDO__OP_BINARY = RONDO_WEBSOCKET_BINARY,
    RONDO__OP_CLOSE = 8,
    RONDO__OP_PING = 9,
    RONDO__OP_PONG = 10
};
static inline bool rondo__op_is_control(unsigned op) { return (op & 8) != 0; }

#define RONDO__RSV1 4u /* of three bits: compressed (RFC 7692 section 6) */
#define RONDO__CONTROL_MOST 125
#define RONDO__FRAME_HEADER_MOST 14

/* A frame under way. In use by a socket from a frame's first octet until it ends between two frames. */
typedef struct rondo__ws_reader {
    struct rondo__ws_reader *next; /* of the spare ones */
    void *context;                 /* wslay's */
    const char *data;              /* of the stream, not given to wslay yet */
    size_t len;
    uint64_t inside; /* octets that wslay has and that it has not returned as frames */
    /* ---- the frame ---- */
    bool open;   /* its header has come, and it is not through */
    bool begins; /* rondo__ws_reader_next() has just met its header */
    bool fin, masked;
    uint8_t rsv, op;
    uint8_t control_len;
    char control[RONDO__CONTROL_MOST]; /* payload of a control frame */
    uint64_t len_of_frame;             /* payload */
    uint64_t left;                     /* of it has not come yet */
    rondo_slice payload; /* has come, unmasked, and waits; valid until the next _next() */
} rondo__ws_reader;

/* NULL when out of memory. */
rondo__ws_reader *rondo__ws_reader_take(rondo__ws *ws);
void rondo__ws_reader_put(rondo__ws *ws, rondo__ws_reader *reader);

/* More octets; those before must have been used up. They stay where they are until then. */
void rondo__ws_reader_give(rondo__ws_reader *reader, rondo_slice octets);
/* The next piece of a frame, into `payload`: 1; 0 when there is none until more octets come;
 * RONDO_EPROTO: a length that is not the shortest or above 2^63, or a control frame in pieces or longer
 * than 125. */
int rondo__ws_reader_next(rondo__ws_reader *reader);
/* Whether it stands between two frames, with no octet left. */
bool rondo__ws_reader_is_idle(const rondo__ws_reader *reader);

typedef struct rondo__ws_frame {
    bool fin;
    uint8_t rsv, op;
    rondo_slice payload;
} rondo__ws_frame;

/* A server's frame, as its header, valid until the next frame, and its payload where it is: how many
 * pieces that are, or RONDO_ENOMEM. */
int rondo__ws_frame_pieces(rondo__ws *ws, const rondo__ws_frame *frame, rondo_slice ret_pieces[2]);
/* A client's, masked, into room for RONDO__FRAME_HEADER_MOST more than the payload: its length, or
 * RONDO_ENOMEM, or the error of getrandom(2). */
int64_t rondo__ws_frame_masked(rondo__ws *ws, const rondo__ws_frame *frame, char *room);

/* Frees what there is of both. */
void rondo__ws_frame_fini(rondo__ws *ws);

#endif
