/* SPDX-License-Identifier: MIT
 *
 * A server. Accepting goes on while there is somebody to accept for, and pauses for a moment when
 * the system runs out of something: level-triggered readiness would report the same waiting
 * connection again and again, and the loop would spin.
 */
#include "net/server.h"

#include <rondo/loop.h>

#include "loop/alarm.h"
#include "loop/emit.h"
#include "loop/io.h"
#include "net/buffers.h"
#include "net/socket.h"
#include "net/socket_listen.h"
#include "net/stream.h"

#define DEFAULT_BACKLOG 511
#define PAUSE_MS 100

enum { ON_CONNECTION, ON_ERROR, EVENTS };

struct rondo_server {
    rondo_handle base;
    rondo__io io;
    rondo__alarm retry; /* set: accepting pauses */
    const rondo__acceptor *acceptor;
    void *owner; /* the acceptor's */
    int fd;      /* -1 when it doesn't listen */
    int reserve; /* a descriptor to give up when there are no more; -1: none */
    int backlog;
    uint16_t port;
    rondo__slot on[EVENTS];
};

extern const rondo__kind rondo__server_kind;

/* ---- events ---- */

static void connection_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                             void *arg) {
    (void)loop;
    ((rondo_server_connection_cb)fn)((rondo_server *)handle, payload, arg);
}
static const rondo__event connection_event = {"server.connection", connection_thunk};

static void error_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                        void *arg) {
    (void)loop;
    ((rondo_server_error_cb)fn)((rondo_server *)handle, *(const int *)payload, arg);
}
static const rondo__event error_event = {"server.error", error_thunk};

RONDO__DEFINE_EVENT(rondo_server, rondo_server, error, rondo_server_error_cb, &rondo__server_kind,
                    ON_ERROR);

static void tell_error(rondo_server *server, int error) {
    if (rondo__handle_closing(&server->base)) return;
    if (server->acceptor && server->acceptor->error) {
        server->acceptor->error(server, error, server->owner);
    } else if (rondo__emit(&server->base, &server->on[ON_ERROR], ON_ERROR, &error_event, &error) ==
               0) {
        rondo__count_unheard(server->base.loop);
    }
}

/* ---- accepting ---- */

static bool wanted(const rondo_server *server) {
    return server->acceptor || rondo__heard(&server->on[ON_CONNECTION]);
}

/* Watches the socket exactly while connections are wanted, except in a pause: 0 or RONDO_ENOMEM. */
static int watch(rondo_server *server) {
    bool on = server->fd >= 0 && wanted(server) && !rondo__alarm_is_set(&server->retry);
    return rondo__io_watch(server->base.loop, &server->io, on ? RONDO__READABLE : 0);
}

/* Something ran out, or is wrong: says so once, and leaves the socket alone for a while. */
static void pause_accepting(rondo_server *server, int error) {
    rondo__alarm_set_in_ms(server->base.loop, &server->retry, PAUSE_MS);
    watch(server); /* wanting less can't fail */
    tell_error(server, error);
}

static void retry(rondo_loop *loop, rondo__alarm *alarm) {
    rondo_server *server = RONDO__OF(alarm, rondo_server, retry);
    (void)loop;
    if (server->reserve < 0) server->reserve = rondo__socket_reserve();
    int status = watch(server);
    if (status < 0) pause_accepting(server, status);
}

/* There are no descriptors left. Those who wait in the kernel's queue would wait until some are;
 * they are told by a closed connection instead, with the help of the one held in reserve. */
static void turn_away(rondo_server *server) {
    uint32_t left = rondo_loop_budget(server->base.loop, RONDO_BUDGET_accepts);
    int fd = 0;
    while (left-- > 0 && fd >= 0 && server->reserve >= 0) {
        rondo__socket_close(server->reserve);
        fd = rondo__socket_accept(server->fd);
        if (fd >= 0) rondo__socket_close(fd);
        server->reserve = rondo__socket_reserve();
        if (fd < 0 && rondo__socket_accept_again(fd)) fd = 0;
    }
}

static void take_connection(rondo_server *server, int fd) {
    const rondo__acceptor *acceptor = server->acceptor;
    rondo_stream *stream = rondo__stream_new(server->base.loop, fd, true,
                                             acceptor ? acceptor->room : 0, server->base.site);
    if (!stream) {
        rondo__socket_close(fd);
        pause_accepting(server, RONDO_ENOMEM);
    } else if (acceptor) {
        acceptor->connection(server, stream, server->owner);
    } else {
        rondo__emit(&server->base, &server->on[ON_CONNECTION], ON_CONNECTION, &connection_event,
                    stream);
    }
}

static void on_ready(rondo_loop *loop, rondo__io *io, int events) {
    rondo_server *server = RONDO__OF(io, rondo_server, io);
    uint32_t left = rondo_loop_budget(loop, RONDO_BUDGET_accepts);
    (void)events;
    /* A listener may close the server or remove itself; a failure pauses it. */
    while (left-- > 0 && server->fd >= 0 && wanted(server) &&
           !rondo__alarm_is_set(&server->retry)) {
        int fd = rondo__socket_accept(server->fd);
        if (fd >= 0) {
            take_connection(server, fd);
        } else if (fd == RONDO_EAGAIN) {
            break;
        } else if (!rondo__socket_accept_again(fd)) {
            if (fd == RONDO_EMFILE || fd == RONDO_ENFILE) turn_away(server);
            pause_accepting(server, fd);
        }
    }
    if (server->fd < 0 || rondo__alarm_is_set(&server->retry)) return;
    if (!wanted(server))
        watch(server); /* the next ones may wait in the kernel's queue */
    else if (!rondo__io_watched(io))
        pause_accepting(server, RONDO_ENOMEM); /* libev gave it up */
}

/* The first `connection` listener starts the accepting. */
static int listen_connection(rondo_server *server, rondo_server_connection_cb cb, void *arg,
                             bool once) {
    rondo__slot *slot = &server->on[ON_CONNECTION];
    int status = rondo__on(&server->base, slot, ON_CONNECTION, RONDO__FN(cb), arg, once);
    if (status < 0) return status;
    status = watch(server);
    if (status < 0) rondo__off(&server->base, slot, ON_CONNECTION, RONDO__FN(cb), arg);
    return status;
}

int rondo_server_on_connection(rondo_server *server, rondo_server_connection_cb cb, void *arg) {
    RONDO__CHECK(server, &rondo__server_kind);
    return listen_connection(server, cb, arg, false);
}

int rondo_server_once_connection(rondo_server *server, rondo_server_connection_cb cb, void *arg) {
    RONDO__CHECK(server, &rondo__server_kind);
    return listen_connection(server, cb, arg, true);
}

int rondo_server_off_connection(rondo_server *server, rondo_server_connection_cb cb, void *arg) {
    RONDO__CHECK(server, &rondo__server_kind);
    return rondo__off(&server->base, &server->on[ON_CONNECTION], ON_CONNECTION, RONDO__FN(cb), arg);
}

void rondo__server_take(rondo_server *server, const rondo__acceptor *acceptor, void *owner) {
    RONDO__CHECK(server, &rondo__server_kind);
    RONDO_ASSERT(acceptor->connection && server->fd < 0);
    server->acceptor = acceptor;
    server->owner = owner;
}

/* ---- life ---- */

static void server_stop(rondo_handle *handle) {
    rondo_server *server = (rondo_server *)handle;
    rondo__alarm_clear(&server->retry);
    if (server->fd >= 0) {
        rondo__io_stop(handle->loop, &server->io);
        rondo__socket_close(server->fd);
    }
    if (server->reserve >= 0) rondo__socket_close(server->reserve);
    server->fd = server->reserve = -1;
    server->port = 0;
}

static void server_verify(const rondo_handle *handle) {
    const rondo_server *server = (const rondo_server *)handle;
    RONDO_ASSERT(server->fd >= 0 || (server->port == 0 && server->reserve < 0));
    RONDO_ASSERT(!rondo__alarm_is_set(&server->retry) || !rondo__io_watched(&server->io));
}

const rondo__kind rondo__server_kind = {
    .name = "server",
    .size = sizeof(rondo_server),
    .stop = server_stop,
    .verify = server_verify,
    .slots_offset = offsetof(rondo_server, on),
    .slot_count = EVENTS,
};

rondo_server *rondo_server_new_at(rondo_loop *loop, const char *site) {
    rondo__loop_check(loop, "rondo_server_new");
    if (!rondo__net_make(loop)) return NULL;
    rondo_server *server = rondo__handle_new(loop, &rondo__server_kind, site);
    if (!server) return NULL;
    rondo__io_init(&server->io, -1, on_ready);
    rondo__alarm_init(&server->retry, retry);
    server->fd = server->reserve = -1;
    server->backlog = DEFAULT_BACKLOG;
    return server;
}

/* Listens on all addresses of the machine: IPv6 and IPv4, or IPv4 where there is no IPv6. */
static int listen_anywhere(uint16_t port, int backlog) {
    rondo_address any;
    int fd = RONDO_EAFNOSUPPORT;
    if (rondo_address_parse("::", port, &any) == 0) fd = rondo__socket_listen(&any, true, backlog);
    if (fd != RONDO_EAFNOSUPPORT && fd != RONDO_EADDRNOTAVAIL) return fd;
    int status = rondo_address_parse("0.0.0.0", port, &any);
    return status < 0 ? status : rondo__socket_listen(&any, false, backlog);
}

static int open_listener(const char *host, uint16_t port, int backlog) {
    rondo_address address;
    if (!host) return listen_anywhere(port, backlog);
    int status = rondo_address_parse(host, port, &address);
    return status < 0 ? status : rondo__socket_listen(&address, false, backlog);
}

int rondo_server_listen(rondo_server *server, const char *host, uint16_t port) {
    RONDO__CHECK(server, &rondo__server_kind);
    if (rondo__handle_closing(&server->base)) return RONDO_ECLOSED;
    if (server->fd >= 0) return RONDO_EBUSY;
    int fd = open_listener(host, port, server->backlog);
    if (fd < 0) return fd;
    int reserve = rondo__socket_reserve();
    rondo_address address;
    int status = reserve < 0 ? reserve : rondo__socket_name(fd, false, &address);
    if (status == 0) {
        server->fd = fd;
        rondo__io_init(&server->io, fd, on_ready);
        status = watch(server);
    }
    if (status < 0) {
        server->fd = -1;
        rondo__socket_close(fd);
        if (reserve >= 0) rondo__socket_close(reserve);
        return status;
    }
    server->reserve = reserve;
    server->port = rondo_address_port(&address);
    rondo__handle_activate(&server->base);
    return 0;
}

int rondo_server_set_backlog(rondo_server *server, int connections) {
    RONDO__CHECK(server, &rondo__server_kind);
    if (rondo__handle_closing(&server->base)) return RONDO_ECLOSED;
    if (server->fd >= 0) return RONDO_EBUSY;
    if (connections < 1) return RONDO_EINVAL;
    server->backlog = connections;
    return 0;
}

uint16_t rondo_server_port(const rondo_server *server) {
    RONDO__CHECK(server, &rondo__server_kind);
    return server->port;
}

int rondo_server_address(const rondo_server *server, char *text, size_t size) {
    RONDO__CHECK(server, &rondo__server_kind);
    rondo_address address;
    if (rondo__handle_closing(&server->base)) return RONDO_ECLOSED;
    if (server->fd < 0) return RONDO_ENOTCONN;
    int status = rondo__socket_name(server->fd, false, &address);
    return status < 0 ? status : rondo_address_format(&address, text, size);
}
