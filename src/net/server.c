/* SPDX-License-Identifier: MIT
 *
 * A server: its life, what can be set on it and asked of it. See serving.h for the other parts.
 */
#include "net/duplex.h"
#include "net/serving.h"
#include "net/socket_listen.h"

#define DEFAULT_BACKLOG 511

/* ---- life ---- */

static void stop_listening(rondo_server *server) {
    rondo_loop *loop = server->base.loop;
    rondo__net *net = rondo__net_of(loop);
    rondo__alarm_clear(&server->retry);
    if (server->fd >= 0) {
        rondo__io_stop(loop, &server->io);
        rondo__net_unclaim(net, server->fd);
        rondo__crowd_leave(net, server->crowd);
        /* Before the socket is closed: whoever finds the file finds a server, or finds neither. */
        rondo__unix_file_remove(server->file);
        rondo__socket_close(server->fd);
    }
    if (server->reserve >= 0) rondo__socket_close(server->reserve);
    server->fd = server->reserve = -1;
    server->port = server->crowd = 0;
    server->file = NULL;
}

static void server_stop(rondo_handle *handle) {
    rondo_server *server = (rondo_server *)handle;
    server->retired = false; /* it closes now, not with the last of these */
    rondo__server_stop_handshakes(server);
    if (server->security) server->security->drop_context(server->security_context);
    server->security = NULL;
    stop_listening(server);
}

void rondo__server_retire(rondo_server *server) {
    RONDO__CHECK(server, &rondo__server_kind);
    if (rondo__handle_closing(&server->base) || server->retired) return;
    server->retired = true;
    stop_listening(server);
    rondo__server_close_if_retired(server);
}

/* Nothing may find it any more. */
static void server_free(rondo_handle *handle) {
    const rondo_server *server = (const rondo_server *)handle;
    RONDO_ASSERT(server->fd < 0 && !rondo__alarm_is_set(&server->retry));
    RONDO_ASSERT(rondo__list_empty(&server->handshakes));
}

static void server_verify(const rondo_handle *handle) {
    const rondo_server *server = (const rondo_server *)handle;
    bool listens = server->fd >= 0;
    RONDO_ASSERT(listens || (server->port == 0 && server->reserve < 0 && !server->file));
    RONDO_ASSERT(listens == (server->crowd != 0));
    RONDO_ASSERT(!rondo__alarm_is_set(&server->retry) || !rondo__io_watched(&server->io));
    RONDO_ASSERT(!server->paused || !rondo__io_watched(&server->io));
    RONDO_ASSERT(!rondo__handle_closing(handle) || rondo__list_empty(&server->handshakes));
}

const rondo__kind rondo__server_kind = {
    .name = "server",
    .size = sizeof(rondo_server),
    .stop = server_stop,
    .free = server_free,
    .verify = server_verify,
    .slots_offset = offsetof(rondo_server, on),
    .slot_count = RONDO__SERVER_EVENTS,
};

rondo_server *rondo_server_new_at(rondo_loop *loop, const char *site) {
    rondo__loop_check(loop, "rondo_server_new");
    if (!rondo__net_make(loop)) return NULL;
    rondo_server *server = rondo__handle_new(loop, &rondo__server_kind, site);
    if (!server) return NULL;
    rondo__io_init(&server->io, -1, rondo__server_accept);
    rondo__alarm_init(&server->retry, rondo__server_retry);
    rondo__list_init(&server->handshakes);
    server->fd = server->reserve = -1;
    server->backlog = DEFAULT_BACKLOG;
    return server;
}

int rondo__server_check_idle(const rondo_server *server) {
    if (rondo__handle_closing(&server->base) || server->retired) return RONDO_ECLOSED;
    return server->fd >= 0 ? RONDO_EBUSY : 0;
}

int rondo__server_start(rondo_server *server, int fd, const rondo_address *address) {
    rondo_loop *loop = server->base.loop;
    rondo__net *net = rondo__net_of(loop);
    uint16_t crowd = 0;
    int reserve = rondo__socket_reserve();
    int status = reserve < 0 ? reserve : rondo__net_claim(net, fd);
    bool claimed = status == 0;
    if (status == 0) status = rondo__crowd_new(net, &crowd);
    if (status == 0) {
        server->fd = fd;
        rondo__io_init(&server->io, fd, rondo__server_accept);
        status = rondo__server_watch(server);
    }
    if (status < 0) {
        server->fd = -1;
        if (crowd) rondo__crowd_leave(net, crowd);
        if (claimed) rondo__net_unclaim(net, fd);
        if (reserve >= 0) rondo__socket_close(reserve);
        return status;
    }
    server->reserve = reserve;
    server->crowd = crowd;
    server->port = rondo_address_port(address);
    rondo__handle_activate(&server->base);
    if (server->acceptor && server->acceptor->listening)
        server->acceptor->listening(server, server->owner);
    return 0;
}

/* ---- before it listens ---- */

int rondo_server_set_backlog(rondo_server *server, int connections) {
    RONDO__CHECK(server, &rondo__server_kind);
    int status = rondo__server_check_idle(server);
    if (status == 0 && connections < 1) status = RONDO_EINVAL;
    if (status == 0) server->backlog = connections;
    return status;
}

int rondo_server_set_reuse_port(rondo_server *server, bool on) {
    RONDO__CHECK(server, &rondo__server_kind);
    int status = rondo__server_check_idle(server);
    if (status == 0) server->share = on;
    return status;
}

int rondo_server_set_dual_stack(rondo_server *server, bool on) {
    RONDO__CHECK(server, &rondo__server_kind);
    int status = rondo__server_check_idle(server);
    if (status < 0) return status;
    server->dual = on;
    server->dual_set = true;
    return 0;
}

/* ---- at any time ---- */

int rondo_server_set_max_connections(rondo_server *server, uint32_t connections) {
    RONDO__CHECK(server, &rondo__server_kind);
    if (rondo__handle_closing(&server->base)) return RONDO_ECLOSED;
    server->most = connections;
    return 0;
}

static int set_paused(rondo_server *server, bool on) {
    if (rondo__handle_closing(&server->base)) return RONDO_ECLOSED;
    bool before = server->paused;
    server->paused = on;
    int status = server->fd >= 0 ? rondo__server_watch(server) : 0;
    if (status < 0) server->paused = before;
    return status;
}

int rondo_server_pause(rondo_server *server) {
    RONDO__CHECK(server, &rondo__server_kind);
    return set_paused(server, true);
}

int rondo_server_resume(rondo_server *server) {
    RONDO__CHECK(server, &rondo__server_kind);
    return set_paused(server, false);
}

bool rondo_server_is_paused(const rondo_server *server) {
    RONDO__CHECK(server, &rondo__server_kind);
    return server->paused;
}

/* ---- questions ---- */

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

uint32_t rondo__server_open_count(const rondo_server *server) {
    return server->crowd ? rondo__crowd_open(rondo__net_of(server->base.loop), server->crowd) : 0;
}

void rondo_server_get_figures(const rondo_server *server, rondo_server_figures *ret_figures) {
    RONDO__CHECK(server, &rondo__server_kind);
    ret_figures->accepted = server->accepted;
    ret_figures->dropped = server->dropped;
    ret_figures->failed = server->failed;
    ret_figures->open = rondo__server_open_count(server);
}
