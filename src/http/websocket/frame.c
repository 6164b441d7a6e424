/* SPDX-License-Identifier: MIT
 *
 * The seam to wslay's frame API: decision 9 says why that one.
 *
 * Reading. A context of wslay has a buffer of 4 KiB, which it fills through a callback; so a socket
 * has one only in the middle of a frame, and `inside` counts what went in and has not come out, to know
 * when it can be given back.
 *
 * Writing. wslay hands header and payload to a callback one after the other. A server's payload it hands
 * on as it is, so the callback only notes both, and they are written together, without a copy. A
 * client's is masked on the way, and gathered. Each has a context of its own: once one has masked, it
 * masks for ever.
 */
#include "http/websocket/frame.h"

#include <rondo/error.h>
#include <string.h>
#include <wslay/wslay.h>

#include "loop/assert.h"
#include "loop/memory.h"

/* ---- reading ---- */

static ssize_t give_octets(uint8_t *buffer, size_t size, int flags, void *arg) {
    rondo__ws_reader *reader = arg;
    size_t len = reader->len < size ? reader->len : size;
    (void)flags;
    if (len == 0) return -1; /* that is all for now */
    memcpy(buffer, reader->data, len);
    reader->data += len;
    reader->len -= len;
    reader->inside += len;
    return (ssize_t)len;
}

rondo__ws_reader *rondo__ws_reader_take(rondo__ws *ws) {
    rondo__ws_reader *reader = ws->readers;
    if (reader) {
        ws->readers = reader->next;
        ws->reader_count--;
        return reader;
    }
    reader = rondo__zalloc(sizeof *reader);
    if (!reader) return NULL;
    struct wslay_frame_callbacks callbacks = {.recv_callback = give_octets};
    wslay_frame_context_ptr context;
    if (wslay_frame_context_init(&context, &callbacks, reader) != 0) {
        rondo__free(reader);
        return NULL;
    }
    reader->context = context;
    return reader;
}

static void free_reader(rondo__ws_reader *reader) {
    wslay_frame_context_free(reader->context);
    rondo__free(reader);
}

void rondo__ws_reader_put(rondo__ws *ws, rondo__ws_reader *reader) {
    /* One that stops inside a frame can't be used for another. */
    if (!rondo__ws_reader_is_idle(reader) || ws->reader_count == RONDO__SPARE_READERS) {
        free_reader(reader);
        return;
    }
    reader->next = ws->readers;
    ws->readers = reader;
    ws->reader_count++;
}

void rondo__ws_reader_give(rondo__ws_reader *reader, rondo_slice octets) {
    RONDO_ASSERT(reader->len == 0);
    reader->data = octets.data;
    reader->len = octets.len;
}

bool rondo__ws_reader_is_idle(const rondo__ws_reader *reader) {
    return !reader->open && reader->inside == 0 && reader->len == 0;
}

static uint64_t header_len(uint64_t payload, bool masked) {
    return 2u + (payload < 126 ? 0 : payload < 65536 ? 2 : 8) + (masked ? 4 : 0);
}

int rondo__ws_reader_next(rondo__ws_reader *reader) {
    struct wslay_frame_iocb iocb;
    RONDO_ASSERT(reader->payload.len == 0);
    memset(&iocb, 0, sizeof iocb);
    ssize_t got = wslay_frame_recv(reader->context, &iocb);
    reader->begins = false;
    if (got == WSLAY_ERR_WANT_READ) return 0;
    if (got < 0) return RONDO_EPROTO;
    if (!reader->open) {
        reader->open = reader->begins = true;
        reader->fin = iocb.fin != 0;
        reader->masked = iocb.mask != 0;
        reader->rsv = iocb.rsv;
        reader->op = iocb.opcode;
        reader->control_len = 0;
        reader->len_of_frame = reader->left = iocb.payload_length;
        reader->inside -= header_len(iocb.payload_length, reader->masked);
    }
    RONDO_ASSERT((uint64_t)got <= reader->left && (uint64_t)got <= reader->inside);
    reader->payload = rondo_slice_of(iocb.data, (size_t)got);
    reader->left -= (uint64_t)got;
    reader->inside -= (uint64_t)got;
    return 1;
}

/* ---- writing ---- */

typedef struct rondo__ws_writer {
    wslay_frame_context_ptr context;
    rondo__ws *ws;
    rondo_slice pieces[2]; /* a server's */
    int count;
    char *room; /* a client's */
    size_t len;
    int error; /* of getrandom(2) */
} rondo__ws_writer;

static ssize_t note_piece(const uint8_t *data, size_t len, int flags, void *arg) {
    rondo__ws_writer *writer = arg;
    (void)flags;
    RONDO_ASSERT(writer->count < 2);
    writer->pieces[writer->count++] = rondo_slice_of(data, len);
    return (ssize_t)len;
}

static ssize_t gather(const uint8_t *data, size_t len, int flags, void *arg) {
    rondo__ws_writer *writer = arg;
    (void)flags;
    memcpy(writer->room + writer->len, data, len);
    writer->len += len;
    return (ssize_t)len;
}

static int make_mask(uint8_t *mask, size_t len, void *arg) {
    rondo__ws_writer *writer = arg;
    writer->error = rondo__ws_random(writer->ws, mask, len);
    return writer->error < 0 ? -1 : 0;
}

static rondo__ws_writer *need_writer(rondo__ws *ws, rondo__ws_writer **place,
                                     wslay_frame_send_callback send) {
    if (*place) return *place;
    rondo__ws_writer *writer = rondo__zalloc(sizeof *writer);
    if (!writer) return NULL;
    struct wslay_frame_callbacks callbacks = {.send_callback = send, .genmask_callback = make_mask};
    if (wslay_frame_context_init(&writer->context, &callbacks, writer) != 0) {
        rondo__free(writer);
        return NULL;
    }
    writer->ws = ws;
    return *place = writer;
}

static struct wslay_frame_iocb iocb_of(const rondo__ws_frame *frame, bool mask) {
    return (struct wslay_frame_iocb){
        .fin = frame->fin,
        .rsv = frame->rsv,
        .opcode = frame->op,
        .payload_length = frame->payload.len,
        .mask = mask,
        .data = (const uint8_t *)frame->payload.data,
        .data_length = frame->payload.len,
    };
}

int rondo__ws_frame_pieces(rondo__ws *ws, const rondo__ws_frame *frame, rondo_slice ret_pieces[2]) {
    rondo__ws_writer *writer = need_writer(ws, &ws->plain, note_piece);
    if (!writer) return RONDO_ENOMEM;
    struct wslay_frame_iocb iocb = iocb_of(frame, false);
    writer->count = 0;
    ssize_t sent = wslay_frame_send(writer->context, &iocb);
    RONDO_ASSERT(sent >= 0 && (size_t)sent == frame->payload.len);
    memcpy(ret_pieces, writer->pieces, sizeof writer->pieces);
    return writer->count;
}

int64_t rondo__ws_frame_masked(rondo__ws *ws, const rondo__ws_frame *frame, char *room) {
    rondo__ws_writer *writer = need_writer(ws, &ws->masking, gather);
    if (!writer) return RONDO_ENOMEM;
    struct wslay_frame_iocb iocb = iocb_of(frame, true);
    writer->room = room;
    writer->len = 0;
    ssize_t sent = wslay_frame_send(writer->context, &iocb);
    if (sent == WSLAY_ERR_INVALID_CALLBACK) return writer->error; /* no mask; nothing was begun */
    RONDO_ASSERT(sent >= 0 && (size_t)sent == frame->payload.len);
    return (int64_t)writer->len;
}

static void free_writer(rondo__ws_writer *writer) {
    if (!writer) return;
    wslay_frame_context_free(writer->context);
    rondo__free(writer);
}

void rondo__ws_frame_fini(rondo__ws *ws) {
    for (rondo__ws_reader *reader; (reader = ws->readers);) {
        ws->readers = reader->next;
        free_reader(reader);
    }
    free_writer(ws->plain);
    free_writer(ws->masking);
}
