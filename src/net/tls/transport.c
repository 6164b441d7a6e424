/* SPDX-License-Identifier: MIT
 *
 * The bytes of an open TLS stream. A write takes as much as leaves in full sends and never asks
 * OpenSSL to repeat itself (see link.c); a read fills the loop's buffer from several records. When
 * the kernel encrypts, bytes and files go to the socket as if there were no TLS.
 *
 * A peer may send a part of a message for OpenSSL, a key update for example, and the rest later.
 * OpenSSL writes nothing in between: the stream is starved then, and goes on when it has read more.
 */
#include <string.h>

#include "loop/memory.h"
#include "net/socket.h"
#include "net/tls/internal.h"

/* ---- reading ---- */

/* The result is told by the next call: what was read before comes first. */
static void tell_later(rondo__tls *tls, int status) {
    tls->flags |= RONDO__TLS_LATER;
    tls->later = status;
}

static int64_t read_records(rondo__tls *tls, char *buffer, size_t size) {
    size_t total = 0, count;
    tls->flags &= ~(uint32_t)RONDO__TLS_DRY;
    while (total < size) {
        int result = SSL_read_ex(tls->ssl, buffer + total, size - total, &count);
        if (result == 1) {
            total += count;
            continue;
        }
        int status = rondo__tls_failure(tls, result);
        if (status == RONDO_EAGAIN) tls->flags |= RONDO__TLS_DRY;
        if (total == 0) return status;
        if (status != RONDO_EAGAIN) tell_later(tls, status);
        break;
    }
    return (int64_t)total;
}

static int64_t tls_read(rondo_stream *stream, void *buffer, size_t size) {
    rondo__tls *tls = rondo__tls_of(stream);
    uint32_t before = tls->flags;
    tls->flags &= ~(uint32_t)(RONDO__TLS_LATER | RONDO__TLS_DATA_DRY);
    if (before & RONDO__TLS_LATER) return tls->later;
    /* The read before has got all that there was. */
    if (before & RONDO__TLS_DATA_DRY) return RONDO_EAGAIN;
    tls->flags &= ~(uint32_t)RONDO__TLS_STARVED;
    rondo__tls_enter(tls);
    int64_t count = read_records(tls, buffer, size);
    int sent =
        rondo__tls_leave(tls); /* answers to key updates: what is kept of them leaves with what
                                       is written next, which is when the peer needs it */
    if (count > 0) tls->useless = 0; /* not in between: one byte among many would do */
    if (count > 0 && (tls->flags & RONDO__TLS_DRY)) tls->flags |= RONDO__TLS_DATA_DRY;
    if (sent < 0 && count > 0 && !(tls->flags & RONDO__TLS_LATER)) tell_later(tls, sent);
    return sent < 0 && count == RONDO_EAGAIN ? sent : count;
}

/* Tickets are taken in though nobody reads: closing with something unread would be a reset, which may
 * take what we have sent with it. */
static int tls_peek(rondo_stream *stream) {
    rondo__tls *tls = rondo__tls_of(stream);
    size_t count;
    char byte;
    if (tls->flags & RONDO__TLS_LATER) return 1;
    tls->flags &= ~(uint32_t)(RONDO__TLS_DRY | RONDO__TLS_DATA_DRY | RONDO__TLS_STARVED);
    rondo__tls_enter(tls);
    int result = SSL_peek_ex(tls->ssl, &byte, 1, &count);
    int status = result == 1 ? 1 : rondo__tls_failure(tls, result);
    int sent = rondo__tls_leave(tls);
    if (status == RONDO_EAGAIN) tls->flags |= RONDO__TLS_DRY;
    /* close_notify is out of the socket: nothing but `pending` tells the stream of it again. */
    if (status == 0) tell_later(tls, 0);
    return sent < 0 && status == RONDO_EAGAIN ? sent : status;
}

static bool tls_pending(const rondo_stream *stream) {
    const rondo__tls *tls = rondo__tls_of(stream);
    if (tls->flags & RONDO__TLS_LATER) return true;
    return !(tls->flags & RONDO__TLS_DRY) && SSL_has_pending(tls->ssl);
}

/* ---- writing ---- */

typedef struct cursor {
    const struct iovec *iov;
    int count;
    size_t at; /* in the first of them */
} cursor;

static void advance(cursor *from, size_t len) {
    from->at += len;
    while (from->count > 0 && from->at >= from->iov->iov_len) {
        from->at -= from->iov->iov_len;
        from->iov++;
        from->count--;
    }
}

/* The next record's worth. Small pieces are put together: each record costs its head, its proof and
 * a call. */
static rondo_slice next_record(const cursor *from, char *together) {
    const char *data = (const char *)from->iov->iov_base + from->at;
    size_t len = from->iov->iov_len - from->at;
    if (len >= RONDO__TLS_RECORD_BYTES) return rondo_slice_of(data, RONDO__TLS_RECORD_BYTES);
    if (from->count == 1) return rondo_slice_of(data, len);
    size_t total = 0;
    for (cursor it = *from; it.count > 0 && total < RONDO__TLS_RECORD_BYTES; advance(&it, len)) {
        len = it.iov->iov_len - it.at;
        if (len > RONDO__TLS_RECORD_BYTES - total) len = RONDO__TLS_RECORD_BYTES - total;
        memcpy(together + total, (const char *)it.iov->iov_base + it.at, len);
        total += len;
    }
    return rondo_slice_of(together, total);
}

/* Until the kernel is full: how much it was, or an error. */
static int64_t write_records(rondo__tls *tls, cursor *from) {
    rondo__tls_part *part = rondo__tls_part_of(tls->stream->base.loop);
    int64_t taken = 0;
    int status = 0;
    advance(from, 0); /* over empty pieces */
    while (from->count > 0 && status == 0 && rondo__tls_kept(tls) == 0) {
        size_t count;
        rondo__tls_enter_to_write(tls);
        while (from->count > 0 && status == 0 && rondo__tls_has_room(tls)) {
            rondo_slice record = next_record(from, part->plain);
            int result = SSL_write_ex(tls->ssl, record.data, record.len, &count);
            if (result != 1) {
                status = rondo__tls_failure(tls, result);
                if (status == RONDO_EAGAIN) tls->flags |= RONDO__TLS_STARVED;
                break;
            }
            taken += (int64_t)count;
            advance(from, count);
        }
        int sent = rondo__tls_leave(tls);
        if (status == 0) status = sent;
    }
    return status < 0 ? status : taken;
}

/* A peer that has said goodbye may be gone: whether it got this is not known any more. */
static int64_t note_sent(rondo__tls *tls, int64_t sent) {
    if (sent > 0 && (SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN))
        tls->flags |= RONDO__TLS_SAID_MORE;
    return sent;
}

static int64_t tls_write(rondo_stream *stream, const struct iovec *iov, int count, int flags) {
    rondo__tls *tls = rondo__tls_of(stream);
    cursor from = {iov, count, 0};
    if (rondo__tls_in_kernel(tls))
        return note_sent(tls, rondo__socket_write(stream->fd, iov, count, flags));
    return note_sent(tls, write_records(tls, &from));
}

static int64_t tls_sendfile(rondo_stream *stream, int file, uint64_t offset, uint64_t len) {
    rondo__tls *tls = rondo__tls_of(stream);
    if (!rondo__tls_in_kernel(tls)) return RONDO_ENOSYS;
    return note_sent(tls, rondo__socket_sendfile(stream->fd, file, offset, len));
}

static bool tls_starved(const rondo_stream *stream) {
    const rondo__tls *tls = rondo__tls_of(stream);
    return (tls->flags & RONDO__TLS_STARVED) && rondo__tls_kept(tls) == 0;
}

static int tls_flush(rondo_stream *stream) { return rondo__tls_push(rondo__tls_of(stream)); }

/* ---- the end ---- */

/* close_notify: 0 when it is written, or kept. */
static int say_bye(rondo__tls *tls) {
    if (tls->flags & RONDO__TLS_SAID_BYE) return 0;
    if (rondo__tls_amid_message(tls)) { /* OpenSSL would call that an error */
        tls->flags |= RONDO__TLS_STARVED;
        return RONDO_EAGAIN;
    }
    rondo__tls_enter_to_write(tls);
    int result = SSL_shutdown(tls->ssl);
    int status = result < 0 ? rondo__tls_failure(tls, result) : 0;
    int sent = rondo__tls_leave(tls);
    if (status == 0) status = sent;
    if (status == 0) tls->flags |= RONDO__TLS_SAID_BYE;
    return status;
}

/* All bytes of the user are with the kernel. A peer that has said goodbye may be gone, and need not
 * hear ours; but if anything was written since, nobody knows whether it came: no `finish` then. */
static int tls_shut(rondo_stream *stream) {
    rondo__tls *tls = rondo__tls_of(stream);
    int status = say_bye(tls);
    if (status == 0) status = rondo__tls_push(tls);
    if (status == 0) status = rondo__socket_shutdown(stream->fd);
    bool gone = status == RONDO_EPIPE || status == RONDO_ECONNRESET || status == RONDO_ENOTCONN;
    bool forgiven = (SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN) &&
                    !(tls->flags & RONDO__TLS_SAID_MORE);
    return gone && forgiven ? 0 : status;
}

/* A peer that hears close_notify takes what it has for all: that is said only if it is. */
static void tls_stop(rondo_stream *stream) {
    rondo__tls *tls = rondo__tls_of(stream);
    bool whole = !(stream->flags & RONDO__FAILED) && rondo__queued(stream) == 0;
    rondo__tls_handshake_end(tls);
    if ((tls->flags & RONDO__TLS_OPEN) && !(tls->flags & RONDO__TLS_FAILED) && whole) say_bye(tls);
    if (rondo__tls_kept(tls) > 0) rondo__tls_push(tls);
}

void rondo__tls_free(rondo__tls *tls) {
    rondo__tls_handshake_end(tls);
    SSL_free(tls->ssl);
    rondo__tls_state_unref(tls->state);
    rondo__free(tls->name);
    rondo__free(tls->alpn);
    rondo__free(tls->error_text);
    rondo__free(tls->kept);
    rondo__free(tls);
}

static void tls_free(rondo_stream *stream) { rondo__tls_free(rondo__tls_of(stream)); }

const rondo__transport rondo__tls_transport = {
    .name = "tls",
    .secure = true,
    .read = tls_read,
    .peek = tls_peek,
    .write = tls_write,
    .sendfile = tls_sendfile,
    .flush = tls_flush,
    .shut = tls_shut,
    .starved = tls_starved,
    .pending = tls_pending,
    .handshake = rondo__tls_handshake,
    .stop = tls_stop,
    .free = tls_free,
};
