/* SPDX-License-Identifier: MIT
 *
 * Connections that begin with a header of the PROXY protocol. Reading it is a handshake like that of
 * TLS, which comes after it if the server has one: until then a transport stands in, and a connection
 * whose header is wrong or late is dropped like one whose TLS is. Nothing behind the header is read.
 */
#include <string.h>

#include "loop/memory.h"
#include "net/duplex.h"
#include "net/proxy_header.h"
#include "net/serving.h"

typedef struct proxied {
    rondo__alarm alarm;
    rondo_stream *stream;
    rondo_server *server; /* closes its handshakes before it goes */
    size_t len;
    char data[RONDO__PROXY_HEADER_MOST];
} proxied;

static void on_alarm(rondo_loop *loop, rondo__alarm *alarm) {
    (void)loop;
    rondo__stream_fail(RONDO__OF(alarm, proxied, alarm)->stream, RONDO_ETIMEDOUT);
}

/* One step: the header's length when it is whole, 0 when the socket has no more, or an error. */
static int64_t read_header(proxied *self, rondo_address *address) {
    for (;;) {
        size_t sure = 0, room = sizeof self->data - self->len;
        char *at = self->data + self->len;
        int64_t result = rondo__proxy_header(self->data, self->len, &sure, address);
        if (result != 0) return result;
        RONDO_ASSERT(room > 0 && sure <= room);
        int64_t count = sure > 0 ? rondo__socket_read(self->stream->fd, at, sure)
                                 : rondo__socket_read_line(self->stream->fd, at, room);
        if (count == RONDO_EAGAIN) return 0;
        if (count <= 0) return count < 0 ? count : RONDO_EPROTO;
        self->len += (size_t)count;
    }
}

static int keep_address(rondo_stream *stream, const rondo_address *address) {
    if (address->len == 0) return 0;
    rondo_address *told = rondo__alloc(sizeof *told);
    if (!told) return RONDO_ENOMEM;
    *told = *address;
    rondo__free(stream->extra->told_peer);
    stream->extra->told_peer = told;
    return 0;
}

static void drop(proxied *self) {
    rondo__alarm_clear(&self->alarm);
    rondo__free(self);
}

/* Its place is taken by TLS, or by nothing. */
static int go_on(rondo_stream *stream, rondo_server *server, int *ret_events) {
    rondo__stream_set_transport(stream, NULL, NULL); /* it has its `extra`: can't fail */
    stream->flags &= ~(uint32_t)RONDO__TRANSPORTED;
    if (!server->security) return 0;
    int status = server->security->start(stream, server->security_context);
    *ret_events = RONDO__READABLE | RONDO__WRITABLE;
    return status < 0 ? status : RONDO_EAGAIN;
}

static int handshake(rondo_stream *stream, int events, int *ret_events) {
    proxied *self = rondo__stream_transport_state(stream);
    rondo_address address = {.len = 0};
    (void)events;
    int64_t result = read_header(self, &address);
    *ret_events = RONDO__READABLE;
    if (result == 0) return RONDO_EAGAIN;
    if (result > 0) result = keep_address(stream, &address);
    if (result < 0) return (int)result;
    rondo_server *server = self->server;
    drop(self);
    return go_on(stream, server, ret_events);
}

static void stop(rondo_stream *stream) {
    proxied *self = rondo__stream_transport_state(stream);
    rondo__alarm_clear(&self->alarm);
}

static void free_state(rondo_stream *stream) { drop(rondo__stream_transport_state(stream)); }

static const rondo__transport transport = {
    .name = "proxied",
    .handshake = handshake,
    .stop = stop,
    .free = free_state,
};

int rondo__proxied_start(rondo_stream *stream, rondo_server *server) {
    proxied *self = rondo__alloc(sizeof *self);
    if (!self) return RONDO_ENOMEM;
    rondo__alarm_init(&self->alarm, on_alarm);
    self->stream = stream;
    self->server = server;
    self->len = 0;
    int status = rondo__stream_set_transport(stream, &transport, self);
    if (status < 0) {
        rondo__free(self);
        return status;
    }
    rondo__alarm_set_in_ms(stream->base.loop, &self->alarm, RONDO__PROXY_HEADER_MS);
    return 0;
}

void rondo_server_set_proxy_protocol(rondo_server *server, bool required) {
    RONDO__CHECK(server, &rondo__server_kind);
    server->proxied = required;
}
