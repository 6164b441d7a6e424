/* SPDX-License-Identifier: MIT
 *
 * Handshakes, one step after another. A step may cost a millisecond of arithmetic, so the loop
 * takes only so many in a round (RONDO_BUDGET_handshakes); the others wait in a queue, first in first
 * out, and are not watched meanwhile: their sockets are ready, and the loop would spin. However many
 * clients knock, those who are in already get their turn between two batches.
 */
#include <rondo/loop.h>
#include <string.h>

#include "loop/memory.h"
#include "net/tls/internal.h"

/* ---- taking turns ---- */

static bool take_turn(rondo_loop *loop, rondo__tls_part *part) {
    uint64_t round = rondo__io_round(loop);
    if (part->round != round) {
        part->round = round;
        part->used = 0;
    }
    if (part->used >= rondo_loop_budget(loop, RONDO_BUDGET_handshakes)) return false;
    part->used++;
    return true;
}

/* In the pending phase: those who have waited longest come before those who just came. */
static void run_waiting(rondo_loop *loop, rondo__task *task) {
    rondo__tls_part *part = RONDO__OF(task, rondo__tls_part, task);
    while (!rondo__list_empty(&part->waiting)) {
        rondo__tls *tls = RONDO__OF(part->waiting.next, rondo__tls, turn);
        if (!rondo__stream_dead(tls->stream)) {
            if (!take_turn(loop, part)) break;
            tls->flags |= RONDO__TLS_GRANTED;
        }
        rondo__list_remove(&tls->turn);
        if (tls->flags & RONDO__TLS_GRANTED) rondo__stream_open_ready(tls->stream, tls->events);
    }
    if (!rondo__list_empty(&part->waiting)) rondo__defer(loop, task);
}

static void wait_for_turn(rondo__tls *tls, rondo__tls_part *part) {
    if (!part->task.run) rondo__task_init(&part->task, run_waiting);
    if (!rondo__list_linked(&tls->turn)) rondo__list_push_back(&part->waiting, &tls->turn);
    rondo__defer(tls->stream->base.loop, &part->task);
}

/* ---- time ---- */

static void too_late(rondo_loop *loop, rondo__alarm *alarm) {
    rondo__tls *tls = RONDO__OF(alarm, rondo__tls, deadline);
    (void)loop;
    if (rondo__stream_dead(tls->stream)) return;
    tls->flags |= RONDO__TLS_FAILED;
    rondo__tls_say(tls, "the handshake took longer than %u ms", (unsigned)tls->state->timeout_ms);
    rondo__stream_fail(tls->stream, RONDO_ETIMEDOUT);
}

void rondo__tls_handshake_init(rondo__tls *tls) {
    rondo__list_init(&tls->turn);
    rondo__alarm_init(&tls->deadline, too_late);
}

void rondo__tls_handshake_end(rondo__tls *tls) {
    rondo__list_remove(&tls->turn);
    rondo__alarm_clear(&tls->deadline);
}

/* ---- steps ---- */

void rondo__tls_handshake_begin(rondo__tls *tls) {
    RONDO_ASSERT(tls->stream->fd >= 0 && !(tls->flags & RONDO__TLS_HAS_SOCKET));
    /* OpenSSL's socket BIO needs it to ask the kernel to encrypt. */
    BIO_set_fd(SSL_get_rbio(tls->ssl), tls->stream->fd, BIO_NOCLOSE);
    tls->flags |= RONDO__TLS_HAS_SOCKET;
    if (tls->state->timeout_ms > 0)
        rondo__alarm_set_in_ms(tls->stream->base.loop, &tls->deadline, tls->state->timeout_ms);
}

static int keep_alpn(rondo__tls *tls) {
    const unsigned char *name = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(tls->ssl, &name, &len);
    if (len == 0) return 0;
    tls->alpn = rondo__alloc(len + 1);
    if (!tls->alpn) return RONDO_ENOMEM;
    memcpy(tls->alpn, name, len);
    tls->alpn[len] = '\0';
    return 0;
}

static int finish(rondo__tls *tls) {
    rondo__tls_handshake_end(tls);
    tls->flags |= RONDO__TLS_OPEN;
    /* From now on as much as there is at once, instead of each record's head and body. Not before:
     * what the kernel is to decrypt must not be read by us. */
    SSL_set_read_ahead(tls->ssl, !BIO_get_ktls_recv(SSL_get_rbio(tls->ssl)));
    rondo__tls_session_done(tls);
    return keep_alpn(tls);
}

/* What to watch the socket for. */
static int wanted(const rondo__tls *tls, bool to_write) {
    bool write = to_write || rondo__tls_kept(tls) > 0;
    return to_write ? RONDO__WRITABLE : RONDO__READABLE | (write ? RONDO__WRITABLE : 0);
}

static int step(rondo__tls *tls, int *ret_events) {
    int status = rondo__tls_push(tls);
    if (status == RONDO_EAGAIN) {
        *ret_events = RONDO__WRITABLE;
        return RONDO_EAGAIN;
    }
    if (status < 0) return status;
    rondo__tls_enter(tls);
    int result = SSL_do_handshake(tls->ssl);
    bool to_write = result <= 0 && SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_WRITE;
    status = result == 1 ? 0 : rondo__tls_failure(tls, result);
    if (result != 1 && status == 0)
        status = RONDO_ECONNRESET; /* close_notify instead of an answer */
    int sent = rondo__tls_leave(tls);
    if (status != 0 && status != RONDO_EAGAIN) return status;
    /* A client that said all in its first flight may be gone before our tickets: what it said counts. */
    if (status == 0 && (sent == RONDO_EPIPE || sent == RONDO_ECONNRESET)) sent = 0;
    if (sent < 0) return sent;
    if (status == 0) return finish(tls);
    *ret_events = wanted(tls, to_write);
    return RONDO_EAGAIN;
}

int rondo__tls_handshake(rondo_stream *stream, int events, int *ret_events) {
    rondo__tls *tls = rondo__tls_of(stream);
    rondo__tls_part *part = rondo__tls_part_of(stream->base.loop);
    if (!(tls->flags & RONDO__TLS_HAS_SOCKET)) rondo__tls_handshake_begin(tls);
    bool granted = (tls->flags & RONDO__TLS_GRANTED) != 0;
    tls->events |= events;
    /* Those who wait have used up this turn: nobody can get in before them. */
    if (!granted && !take_turn(stream->base.loop, part)) {
        wait_for_turn(tls, part);
        *ret_events = 0;
        return RONDO_EAGAIN;
    }
    tls->flags &= ~(uint32_t)RONDO__TLS_GRANTED;
    tls->events = 0;
    int status = step(tls, ret_events);
    if (status < 0 && status != RONDO_EAGAIN) {
        tls->flags |= RONDO__TLS_FAILED;
        rondo__tls_say(tls, "%s", rondo_error_text(status));
    }
    return status;
}
