/* SPDX-License-Identifier: MIT
 *
 * Between accepted and handed out: connections whose transport shakes hands first. Nobody has seen
 * them yet, so they close with the server, and one that fails, or finds nobody listening any more, is
 * dropped; a browser that spoke plain HTTP to TLS hears why.
 */
#include "loop/memory.h"
#include "net/duplex.h"
#include "net/proxy_header.h"
#include "net/serving.h"
#include "net/socket.h"

#include <string.h>

/* Of 4 KiB each, of a request that comes without TLS: heads are shorter. */
#define PLAIN_READS 16

typedef struct handshake {
    rondo__opening base;
    rondo__list link; /* server->handshakes */
    rondo_server *server;
    rondo_stream *stream;
} handshake;

static rondo_server *end(handshake *self) {
    rondo_server *server = self->server;
    rondo__list_remove(&self->link);
    rondo__free(self);
    return server;
}

void rondo__server_close_if_retired(rondo_server *server) {
    if (server->retired && rondo__list_empty(&server->handshakes)) rondo_close(server);
}

bool rondo__server_lets_in(rondo_server *server, rondo_stream *stream) {
    const rondo__acceptor *acceptor = server->acceptor;
    if (!acceptor || !acceptor->arrives) return true;
    return acceptor->arrives(server, stream, !server->proxied, server->owner);
}

void rondo__server_lets_go(rondo_server *server, rondo_stream *stream) {
    const rondo__acceptor *acceptor = server->acceptor;
    if (acceptor && acceptor->leaves) acceptor->leaves(server, stream, server->owner);
}

static void on_cancel(rondo_stream *stream, rondo__opening *opening) {
    rondo_server *server = end((handshake *)opening);
    rondo__server_lets_go(server, stream);
    rondo__server_close_if_retired(server);
}

static void on_opened(rondo_stream *stream, rondo__opening *opening) {
    rondo_server *server = end((handshake *)opening);
    if (rondo__server_wanted(server)) {
        rondo__server_hand_out(server, stream);
    } else { /* nobody would ever close it */
        rondo__server_drop_stream(server, RONDO_DROP_UNHEARD, 0, stream);
        rondo_close(stream);
    }
    rondo__server_close_if_retired(server);
}

/* A browser that was sent to http:// instead of https:// shows this, instead of a reset, which would
 * overtake it if anything of the request stayed unread. */
static void answer_plain_http(const rondo_server *server, rondo_stream *stream) {
    const char *answer = server->acceptor ? server->acceptor->plain_answer : NULL;
    if (!answer || !server->security || !server->security->met_plain_http(stream)) return;
    char unread[4096];
    for (int i = 0; i < PLAIN_READS; i++)
        if (rondo__socket_read(stream->fd, unread, sizeof unread) < (int64_t)sizeof unread) break;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)answer, .iov_len = strlen(answer)};
    rondo__socket_write(stream->fd, &iov, 1, 0); /* what the kernel does not take is lost */
}

static void on_failed(rondo_stream *stream, rondo__opening *opening) {
    rondo_server *server = end((handshake *)opening);
    answer_plain_http(server, stream);
    rondo__server_lets_go(server, stream);
    rondo__server_drop_stream(server, RONDO_DROP_HANDSHAKE, stream->error, stream);
    rondo__server_close_if_retired(server);
}

int rondo__server_shake(rondo_server *server, rondo_stream *stream) {
    handshake *self = rondo__zalloc(sizeof *self);
    if (!self) return RONDO_ENOMEM;
    int status = server->proxied ? rondo__proxied_start(stream, server)
                                 : server->security->start(stream, server->security_context);
    if (status == 0) status = rondo__stream_start_handshake(stream);
    if (status < 0) {
        rondo__free(self);
        return status;
    }
    self->base.cancel = on_cancel;
    self->base.opened = on_opened;
    self->base.failed = on_failed;
    self->server = server;
    self->stream = stream;
    rondo__list_push_back(&server->handshakes, &self->link);
    stream->extra->opening = &self->base;
    return 0;
}

void rondo__server_stop_handshakes(rondo_server *server) {
    while (!rondo__list_empty(&server->handshakes))
        rondo_close(RONDO__OF(server->handshakes.next, handshake, link)->stream);
}

void rondo__server_secure(rondo_server *server, const rondo__server_security *security,
                          void *context) {
    RONDO__CHECK(server, &rondo__server_kind);
    RONDO_ASSERT(!rondo__handle_closing(&server->base));
    if (server->security) server->security->drop_context(server->security_context);
    server->security = security;
    server->security_context = context;
}
