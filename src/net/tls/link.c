/* SPDX-License-Identifier: MIT
 *
 * OpenSSL's way to the socket: a BIO of our own. It reads the socket straight; what OpenSSL writes
 * is gathered in a scratch buffer of the loop's and leaves in one send when the call is over. What
 * the kernel does not take is kept with the stream, so that OpenSSL never has to be called again
 * with the same bytes, which our write queue could not promise; and reading never waits for writing,
 * as answering a key update would.
 *
 * When the kernel encrypts (ktls), it is the socket BIO of OpenSSL that has made it so: ours has its
 * control function, and passes on to it what only it can do.
 */
#include <errno.h>
#include <openssl/err.h>
#include <string.h>

#include "loop/memory.h"
#include "loop/sigpipe.h"
#include "net/socket.h"
#include "net/tls/internal.h"

/* What a peer can make us keep by asking for key updates without reading the answers. */
#define KEPT_MOST (RONDO__TLS_SCRATCH_BYTES + (size_t)16 * 1024)

/* ---- what the loop's streams share ---- */

static void part_free(rondo_loop *loop, rondo__at_free *at_free) {
    rondo__tls_part *part = RONDO__OF(at_free, rondo__tls_part, at_free);
    RONDO_ASSERT(rondo__list_empty(&part->waiting));
    rondo__loop_set_part(loop, RONDO__PART_TLS, NULL);
    rondo__free(part);
}

rondo__tls_part *rondo__tls_part_make(rondo_loop *loop) {
    rondo__tls_part *part = rondo__tls_part_of(loop);
    if (part) return part;
    part = rondo__alloc(sizeof *part);
    if (!part) return NULL;
    memset(part, 0, offsetof(rondo__tls_part, plain)); /* the buffers' pages stay untouched */
    rondo__list_init(&part->waiting);
    rondo__loop_set_part(loop, RONDO__PART_TLS, part);
    rondo__at_loop_free(loop, &part->at_free, part_free);
    return part;
}

static rondo__tls_part *part_of(const rondo__tls *tls) {
    return rondo__tls_part_of(tls->stream->base.loop);
}

/* ---- bytes that the kernel did not take ---- */

static int keep(rondo__tls *tls, const char *data, size_t len) {
    if (len == 0) return 0;
    if (rondo__tls_kept(tls) + len > KEPT_MOST) {
        rondo__tls_say(tls, "the peer makes us answer, and reads nothing");
        return RONDO_ENOBUFS;
    }
    if (tls->kept_at > 0) {
        memmove(tls->kept, tls->kept + tls->kept_at, rondo__tls_kept(tls));
        tls->kept_len -= tls->kept_at;
        tls->kept_at = 0;
    }
    if (tls->kept_len + len > tls->kept_room) {
        size_t room = tls->kept_len + len;
        char *kept = rondo__realloc(tls->kept, room);
        if (!kept) return RONDO_ENOMEM;
        tls->kept = kept;
        tls->kept_room = room;
    }
    memcpy(tls->kept + tls->kept_len, data, len);
    tls->kept_len += len;
    return 0;
}

static int64_t send_bytes(const rondo__tls *tls, const char *data, size_t len) {
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    return rondo__socket_write(tls->stream->fd, &piece, 1, 0);
}

int rondo__tls_push(rondo__tls *tls) {
    while (rondo__tls_kept(tls) > 0) {
        int64_t sent = send_bytes(tls, tls->kept + tls->kept_at, rondo__tls_kept(tls));
        if (sent < 0) return (int)sent;
        tls->kept_at += (size_t)sent;
        rondo__timeouts_sent(tls->stream); /* a slow reader is a reader */
    }
    rondo__free(tls->kept);
    tls->kept = NULL;
    tls->kept_at = tls->kept_len = tls->kept_room = 0;
    return 0;
}

/* The scratch to the socket, or behind what is kept: 0 or an error. */
static int empty_scratch(rondo__tls *tls) {
    rondo__tls_part *part = part_of(tls);
    size_t len = part->scratch_len, sent = 0;
    part->scratch_len = 0;
    while (rondo__tls_kept(tls) == 0 && sent < len) {
        int64_t count = send_bytes(tls, part->scratch + sent, len - sent);
        if (count == RONDO_EAGAIN) break;
        if (count < 0) return (int)count;
        sent += (size_t)count;
    }
    return keep(tls, part->scratch + sent, len - sent);
}

bool rondo__tls_has_room(const rondo__tls *tls) {
    size_t most = RONDO__TLS_SCRATCH_BYTES / 4;
    return part_of(tls)->scratch_len + most <= RONDO__TLS_SCRATCH_BYTES;
}

/* ---- around each call ---- */

void rondo__tls_enter(rondo__tls *tls) {
    RONDO_ASSERT(part_of(tls)->scratch_len == 0);
    ERR_clear_error();
    tls->error = 0;
    tls->may_read = RONDO__RECEIVE_BYTES;
}

void rondo__tls_enter_to_write(rondo__tls *tls) {
    rondo__tls_enter(tls);
    tls->may_read = 0;
}

int rondo__tls_leave(rondo__tls *tls) {
    int status = tls->error < 0 ? tls->error : empty_scratch(tls);
    part_of(tls)->scratch_len = 0;
    ERR_clear_error();
    return status;
}

/* ---- the BIO ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method; /* for good: there is no moment at which nobody needs it */

/* Not BIO_get_data(): that is the socket BIO's own. */
static rondo__tls *tls_of(BIO *bio) { return (rondo__tls *)(void *)BIO_get_callback_arg(bio); }

/* Five octets tell, the header of a record, for which OpenSSL asks first: it knows the methods GET, HEAD, POST, PUT and CONNECT. */
static bool is_method(const char *data, int64_t len) {
    for (int64_t i = 0; i < len && i < 5; i++)
        if (data[i] < 'A' || data[i] > 'Z') return i > 0 && data[i] == ' ';
    return true;
}

static void note_beginning(rondo__tls *tls, const char *data, int64_t len) {
    if (len > 0 && is_method(data, len)) tls->flags |= RONDO__TLS_METHOD;
    tls->flags |= RONDO__TLS_HEARD;
}

static int link_read(BIO *bio, char *buffer, int size) {
    rondo__tls *tls = tls_of(bio);
    if (BIO_get_ktls_recv(bio)) return BIO_meth_get_read(BIO_s_socket())(bio, buffer, size);
    BIO_clear_retry_flags(bio);
    if (tls->may_read == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t want = (size_t)size < tls->may_read ? (size_t)size : tls->may_read;
    int64_t count = rondo__socket_read(tls->stream->fd, buffer, want);
    if (count == RONDO_EAGAIN) {
        tls->may_read = 0;
        BIO_set_retry_read(bio);
        return -1;
    }
    if (count < 0) {
        tls->error = (int)count;
        return -1;
    }
    if (count == 0) tls->flags |= RONDO__TLS_AT_EOF;
    if (RONDO__UNLIKELY(!(tls->flags & RONDO__TLS_HEARD))) note_beginning(tls, buffer, count);
    /* A short one has emptied the socket: asking again would be a call for nothing. */
    tls->may_read = (size_t)count < want ? 0 : tls->may_read - (size_t)count;
    return (int)count;
}

/* What the user writes goes past OpenSSL then: this is an alert or a ticket. OpenSSL's call does not keep SIGPIPE
 * away, and any client that has gone would end the process. */
static int write_by_kernel(BIO *bio, const char *data, int size) {
    rondo__sigpipe guard;
    rondo__sigpipe_block(&guard);
    int count = BIO_meth_get_write(BIO_s_socket())(bio, data, size);
    rondo__sigpipe_restore(&guard, count < 0 && errno == EPIPE);
    return count;
}

static int link_write(BIO *bio, const char *data, int size) {
    rondo__tls *tls = tls_of(bio);
    rondo__tls_part *part = part_of(tls);
    size_t len = (size_t)size;
    if (BIO_get_ktls_send(bio)) return write_by_kernel(bio, data, size);
    BIO_clear_retry_flags(bio);
    if (part->scratch_len + len > RONDO__TLS_SCRATCH_BYTES) tls->error = empty_scratch(tls);
    if (tls->error == 0 && len > RONDO__TLS_SCRATCH_BYTES) {
        tls->error = keep(tls, data, len);
    } else if (tls->error == 0) {
        memcpy(part->scratch + part->scratch_len, data, len);
        part->scratch_len += len;
    }
    return tls->error < 0 ? -1 : size;
}

/* leave sends it all together, unless the kernel may begin to encrypt: then it must be out first. */
static long flush(BIO *bio) {
    rondo__tls *tls = tls_of(bio);
    BIO_clear_retry_flags(bio);
    if (!(SSL_get_options(tls->ssl) & SSL_OP_ENABLE_KTLS)) return 1;
    if (tls->error == 0) tls->error = empty_scratch(tls);
    int status = tls->error < 0 ? tls->error : rondo__tls_push(tls);
    if (status == RONDO_EAGAIN) {
        BIO_set_retry_write(bio);
        return -1;
    }
    if (status < 0) tls->error = status;
    return status < 0 ? -1 : 1;
}

static long link_ctrl(BIO *bio, int command, long number, void *pointer) {
    if (command == BIO_CTRL_FLUSH) return flush(bio);
    if (command == BIO_CTRL_EOF && tls_of(bio)->flags & RONDO__TLS_AT_EOF) return 1;
    return BIO_meth_get_ctrl(BIO_s_socket())(bio, command, number, pointer);
}

static void make_method(void) {
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rondo stream");
    const BIO_METHOD *socket = BIO_s_socket();
    if (!made) return;
    if (BIO_meth_set_read(made, link_read) && BIO_meth_set_write(made, link_write) &&
        BIO_meth_set_ctrl(made, link_ctrl) &&
        BIO_meth_set_create(made, BIO_meth_get_create(socket)) &&
        BIO_meth_set_destroy(made, BIO_meth_get_destroy(socket)))
        method = made;
    else
        BIO_meth_free(made);
}

bool rondo__tls_link(rondo__tls *tls) {
    pthread_once(&once, make_method);
    BIO *bio = method ? BIO_new(method) : NULL;
    if (!bio) return false;
    BIO_set_callback_arg(bio, (char *)tls);
    BIO_set_init(bio, 1);
    BIO_set_shutdown(bio, BIO_NOCLOSE); /* or its first descriptor would have 0 closed */
    SSL_set_bio(tls->ssl, bio, bio);
    return true;
}

bool rondo__tls_in_kernel(const rondo__tls *tls) {
    return BIO_get_ktls_send(SSL_get_wbio(tls->ssl));
}
