/* SPDX-License-Identifier: MIT
 *
 * Passing descriptors. A stream that passes any has a transport, which knows where in the bytes
 * written a descriptor belongs, and sends the byte at that place together with it; and which asks
 * for descriptors whenever it reads. Those that a read has brought wait in the state until the
 * listeners are told, right after it; and so do its bytes when one of them stops the reading.
 */
#include <rondo/unix.h>

#include <string.h>

#include "loop/memory.h"
#include "net/duplex.h"
#include "net/socket_adopt.h"
#include "net/socket_rights.h"

typedef struct passed {
    struct passed *next;
    uint64_t at; /* of all bytes ever written, the one that it goes with */
    int fd;      /* ours */
} passed;

typedef struct rights {
    passed *first, *last;        /* to be sent */
    unsigned came, told;         /* of `fds` */
    int fds[RONDO__RIGHTS_MOST]; /* of the read that was just made */
    char *kept;                  /* bytes to be read before those of the socket, or NULL */
    size_t kept_at, kept_len;
} rights;

static rights *rights_of(const rondo_stream *stream) {
    return rondo__stream_transport_state(stream);
}

/* ---- sending ---- */

static void drop_first(rights *self) {
    passed *it = self->first;
    self->first = it->next;
    if (!self->first) self->last = NULL;
    rondo__socket_close(it->fd);
    rondo__free(it);
}

/* The part of the pieces that starts `skip` bytes in and is `most` long, in ret_pieces. */
static int part_of(const struct iovec *pieces, int count, uint64_t skip, uint64_t most,
                   struct iovec *ret_pieces) {
    int used = 0;
    for (int i = 0; i < count && most > 0; i++) {
        if (skip >= pieces[i].iov_len) {
            skip -= pieces[i].iov_len;
            continue;
        }
        size_t len = pieces[i].iov_len - (size_t)skip;
        if (len > most) len = (size_t)most;
        ret_pieces[used++] = (struct iovec){(char *)pieces[i].iov_base + skip, len};
        skip = 0;
        most -= len;
    }
    return used;
}

/* Each descriptor begins a message of its own: all others are as long as they can be. */
static int64_t rights_write(rondo_stream *stream, const struct iovec *pieces, int count,
                            int flags) {
    rights *self = rights_of(stream);
    uint64_t size = 0, sent = 0;
    struct iovec part[RONDO__SEND_PIECES];
    for (int i = 0; i < count; i++) size += pieces[i].iov_len;
    while (sent < size) {
        uint64_t at = stream->bytes_out + sent;
        passed *here = self->first && self->first->at == at ? self->first : NULL;
        const passed *next = here ? here->next : self->first;
        uint64_t want = next && next->at - at < size - sent ? next->at - at : size - sent;
        int parts = part_of(pieces, count, sent, want, part);
        int64_t done = here ? rondo__socket_write_fd(stream->fd, part, parts, here->fd)
                            : rondo__socket_write(stream->fd, part, parts, flags);
        if (done < 0) return sent > 0 ? (int64_t)sent : done; /* if it lasts, it comes again */
        if (here && done > 0) drop_first(self);
        sent += (uint64_t)done;
        if ((uint64_t)done < want) break;
    }
    return (int64_t)sent;
}

/* A file at the front of the queue has no descriptor at its first byte. */
static int64_t rights_sendfile(rondo_stream *stream, int file, uint64_t offset, uint64_t len) {
    return rondo__socket_sendfile(stream->fd, file, offset, len);
}

static int rights_shut(rondo_stream *stream) { return rondo__socket_shutdown(stream->fd); }

/* ---- receiving ---- */

static int rights_keep(rondo_stream *stream, rondo_slice bytes) {
    rights *self = rights_of(stream);
    /* Those that were kept come without descriptors: nobody is told anything, and stops them. */
    RONDO_ASSERT(!self->kept);
    self->kept = rondo__alloc(bytes.len);
    if (!self->kept) return RONDO_ENOMEM;
    memcpy(self->kept, bytes.data, bytes.len);
    self->kept_at = 0;
    self->kept_len = bytes.len;
    return 0;
}

static bool rights_pending(const rondo_stream *stream) { return rights_of(stream)->kept != NULL; }

static int64_t read_kept(rights *self, void *buffer, size_t size) {
    size_t len = self->kept_len - self->kept_at;
    if (len > size) len = size;
    memcpy(buffer, self->kept + self->kept_at, len);
    self->kept_at += len;
    if (self->kept_at == self->kept_len) {
        rondo__free(self->kept);
        self->kept = NULL;
    }
    return (int64_t)len;
}

static int64_t rights_read(rondo_stream *stream, void *buffer, size_t size) {
    rights *self = rights_of(stream);
    RONDO_ASSERT(self->told == self->came);
    self->told = self->came = 0;
    if (self->kept) return read_kept(self, buffer, size);
    return rondo__socket_read_fds(stream->fd, buffer, size, self->fds, &self->came);
}

static int rights_peek(rondo_stream *stream) {
    return rights_of(stream)->kept ? 1 : rondo__socket_peek(stream->fd);
}

static bool heard(const rondo_stream *stream, unsigned event) {
    return rondo__stream_has_slots(stream) &&
           rondo__heard(&stream->extra->on[event - RONDO__STREAM_EVENTS]);
}

/* As a stream, if it can be one: the fd is taken then. */
static bool tell_stream(rondo_stream *stream, int fd) {
    rondo_stream *received;
    int status =
        rondo_stream_open_at(stream->base.loop, fd, &received, rondo__handle_site(&stream->base));
    if (status == RONDO_ENOMEM) {
        rondo__socket_close(fd);
        rondo__stream_fail(stream, status);
        return true;
    }
    if (status < 0) return false;
    received->flags |= RONDO__ACCEPTED;
    rondo__stream_tell_received(stream, RONDO__STREAM_STREAM, received);
    return true;
}

static void tell_one(rondo_stream *stream, int fd) {
    if (heard(stream, RONDO__STREAM_STREAM) && tell_stream(stream, fd)) return;
    if (heard(stream, RONDO__STREAM_FD)) {
        rondo__stream_tell_received(stream, RONDO__STREAM_FD, &fd);
        return;
    }
    rondo__socket_close(fd);
    rondo__count_unheard(stream->base.loop);
}

static void close_rest(rights *self) {
    while (self->told < self->came) rondo__socket_close(self->fds[self->told++]);
}

static void rights_beside(rondo_stream *stream) {
    rights *self = rights_of(stream);
    while (self->told < self->came && !rondo__stream_dead(stream))
        tell_one(stream, self->fds[self->told++]);
    close_rest(self);
}

/* ---- life ---- */

static void rights_stop(rondo_stream *stream) {
    rights *self = rights_of(stream);
    while (self->first) drop_first(self);
    close_rest(self);
}

static void rights_free(rondo_stream *stream) {
    rights *self = rights_of(stream);
    rights_stop(stream); /* a stream that never got a socket was not stopped */
    rondo__free(self->kept);
    rondo__free(self);
}

static const rondo__transport rights_transport = {
    .name = "rights",
    .read = rights_read,
    .peek = rights_peek,
    .write = rights_write,
    .sendfile = rights_sendfile,
    .shut = rights_shut,
    .pending = rights_pending,
    .beside = rights_beside,
    .keep = rights_keep,
    .stop = rights_stop,
    .free = rights_free,
};

/* From now on descriptors can pass: 0, RONDO_ENOTSUP, RONDO_ENOMEM. */
static int need_rights(rondo_stream *stream) {
    const rondo__transport *transport = rondo__transport_of(stream);
    if (transport == &rights_transport) return 0;
    if (transport) return RONDO_ENOTSUP;
    /* One that connects has no socket to ask yet, but knows where to. TCP would send the bytes, and
     * lose the descriptor without a word. */
    const rondo__opening *opening = stream->extra ? stream->extra->opening : NULL;
    int status = stream->fd >= 0           ? rondo__socket_is_unix(stream->fd)
                 : opening && opening->tcp ? RONDO_ENOTSUP
                                           : 0;
    if (status < 0) return status;
    rights *self = rondo__alloc(sizeof *self);
    if (!self) return RONDO_ENOMEM;
    self->first = self->last = NULL;
    self->came = self->told = 0;
    self->kept = NULL;
    status = rondo__stream_set_transport(stream, &rights_transport, self);
    if (status < 0) rondo__free(self);
    return status;
}

/* ---- the calls ---- */

static void unqueue(rights *self, passed *it, passed *before) {
    if (before)
        before->next = NULL;
    else
        self->first = NULL;
    self->last = before;
    rondo__socket_close(it->fd);
    rondo__free(it);
}

/* fd is the stream's, also on failure. */
static int write_with(rondo_stream *stream, rondo_slice data, int fd) {
    rights *self = rights_of(stream);
    passed *it = rondo__alloc(sizeof *it), *before = self->last;
    if (!it) {
        rondo__socket_close(fd);
        return RONDO_ENOMEM;
    }
    *it = (passed){.at = rondo__stream_will_have_sent(stream), .fd = fd};
    if (before)
        before->next = it;
    else
        self->first = it;
    self->last = it;
    int status = rondo__stream_put(stream, data);
    /* Not taken. If a part has left, and fd with it, the stream has failed. */
    if (status < 0 && !rondo__stream_dead(stream)) unqueue(self, it, before);
    return status < 0 ? status : rondo__stream_taken(stream);
}

static int may_pass(const rondo_stream *stream, rondo_slice data) {
    int status = rondo__stream_may_write(stream, data.len);
    return status == 0 && data.len == 0 ? RONDO_EINVAL : status;
}

int rondo_write_fd(rondo_stream *stream, rondo_slice data, int fd, bool own_fd) {
    RONDO__CHECK_STREAM(stream);
    int status = may_pass(stream, data);
    if (status == 0 && fd < 0) status = RONDO_EBADF;
    if (status == 0) status = need_rights(stream);
    int sent = status < 0 || own_fd ? fd : rondo__socket_copy(fd);
    if (status == 0 && sent < 0) status = sent;
    if (status == 0) return write_with(stream, data, sent);
    if (own_fd && fd >= 0) rondo__socket_close(fd);
    return status;
}

/* 0 when nothing of it would be lost. */
static int may_be_passed(const rondo_stream *passed_on) {
    if (rondo__stream_dead(passed_on)) return RONDO_ECLOSED;
    if (rondo__transport_of(passed_on) && rondo__transport_of(passed_on) != &rights_transport)
        return RONDO_ENOTSUP;
    bool piped = rondo__pipe_leads_on(passed_on) || rondo__pipe_leads_in(passed_on);
    bool busy = passed_on->out || passed_on->consumer || (passed_on->flags & RONDO__OPENING);
    return piped || busy ? RONDO_EBUSY : 0;
}

int rondo_write_stream(rondo_stream *stream, rondo_slice data, rondo_stream *passed_on) {
    RONDO__CHECK_STREAM(stream);
    RONDO__CHECK_STREAM(passed_on);
    if (stream == passed_on || stream->base.loop != passed_on->base.loop) return RONDO_EINVAL;
    int status = may_pass(stream, data);
    if (status == 0) status = may_be_passed(passed_on);
    if (status == 0) status = rondo_write_fd(stream, data, passed_on->fd, false);
    if (status >= 0) rondo_close(passed_on);
    return status;
}

int rondo_unix_credentials(const rondo_stream *stream, rondo_credentials *ret_credentials) {
    RONDO__CHECK_STREAM(stream);
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    if (stream->fd < 0) return RONDO_ENOTCONN;
    return rondo__socket_credentials(stream->fd, ret_credentials);
}

/* ---- listeners ---- */

static int listen_for(rondo_stream *stream, unsigned event, rondo__fn fn, void *arg, bool once) {
    if (rondo__stream_dead(stream)) return RONDO_ECLOSED;
    int status = need_rights(stream);
    return status < 0 ? status : rondo__stream_listen(stream, event, fn, arg, once);
}

RONDO__DEFINE_RARE_EVENT(fd, rondo_stream_fd_cb, RONDO__STREAM_FD, listen_for);
RONDO__DEFINE_RARE_EVENT(stream, rondo_stream_stream_cb, RONDO__STREAM_STREAM, listen_for);
