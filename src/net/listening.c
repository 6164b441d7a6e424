/* SPDX-License-Identifier: MIT
 *
 * The ways to a listening server: a host and a port, the path of a Unix socket, a descriptor that
 * somebody else has opened, sockets of a service manager.
 */
#include "net/buffers.h"
#include "net/inherited.h"
#include "net/serving.h"
#include "net/socket.h"
#include "net/socket_adopt.h"
#include "net/socket_listen.h"

/* Hands a listening fd over to the server; it stays the caller's if that fails. */
static int start(rondo_server *server, int fd) {
    rondo_address address;
    int status = rondo__socket_name(fd, false, &address);
    return status < 0 ? status : rondo__server_start(server, fd, &address);
}

/* ---- TCP ---- */

static int open_listener(const rondo_server *server, const char *host, uint16_t port, bool dual) {
    rondo_address address;
    int flags = (dual ? RONDO__LISTEN_DUAL : 0) | (server->share ? RONDO__LISTEN_SHARE : 0);
    int fd = rondo_address_parse(host, port, &address);
    if (fd == 0) fd = rondo__socket_bind(&address, flags);
    int status = fd < 0 ? fd : rondo__socket_start_listening(fd, server->backlog);
    if (status < 0 && fd >= 0) rondo__socket_close(fd);
    return status < 0 ? status : fd;
}

/* All addresses of the machine: IPv6 and, unless that was forbidden, IPv4; or IPv4 where there is no
 * IPv6. */
static int listen_anywhere(const rondo_server *server, uint16_t port) {
    int fd = open_listener(server, "::", port, server->dual_set ? server->dual : true);
    bool no_v6 = fd == RONDO_EAFNOSUPPORT || fd == RONDO_EADDRNOTAVAIL;
    return no_v6 ? open_listener(server, "0.0.0.0", port, false) : fd;
}

int rondo_server_listen(rondo_server *server, const char *host, uint16_t port) {
    RONDO__CHECK(server, &rondo__server_kind);
    int status = rondo__server_check_idle(server);
    if (status < 0) return status;
    bool dual = server->dual_set && server->dual;
    int fd = host ? open_listener(server, host, port, dual) : listen_anywhere(server, port);
    if (fd < 0) return fd;
    status = start(server, fd);
    if (status < 0) rondo__socket_close(fd);
    return status;
}

/* ---- Unix sockets ---- */

int rondo_server_listen_unix(rondo_server *server, const char *path, unsigned mode) {
    RONDO__CHECK(server, &rondo__server_kind);
    rondo__unix_file *file;
    int status = rondo__server_check_idle(server);
    if (status < 0) return status;
    int fd = rondo__unix_listen(path, mode, server->backlog, &file);
    if (fd < 0) return fd;
    status = start(server, fd);
    if (status == 0) {
        server->file = file;
        return 0;
    }
    /* In this order: the file of a closed socket may be replaced by another server's at any time. */
    rondo__unix_file_remove(file);
    rondo__socket_close(fd);
    return status;
}

/* ---- descriptors of others ---- */

int rondo_server_open(rondo_server *server, int fd) {
    RONDO__CHECK(server, &rondo__server_kind);
    rondo_address address;
    int before, status = rondo__server_check_idle(server);
    if (status < 0) return status;
    if (fd < 0) return RONDO_EBADF;
    if (rondo__net_claimed(rondo__net_of(server->base.loop), fd)) return RONDO_EEXIST;
    status = rondo__socket_inspect_listener(fd, &address);
    if (status == 0) status = rondo__socket_adopt(fd, &before);
    if (status < 0) return status;
    status = rondo__server_start(server, fd, &address);
    if (status < 0) {
        rondo__socket_give_back(fd, before);
    } else if (rondo_address_family(&address) != RONDO_FAMILY_UNIX) {
        (void)rondo__socket_prepare_listener(fd); /* as good as it can be */
    }
    return status;
}

/* Those that are no listening stream sockets, and those that are in use, are for other parts of the
 * program. */
static bool is_for_others(int status) {
    return status == RONDO_ENOTSOCK || status == RONDO_ENOTSUP || status == RONDO_EINVAL ||
           status == RONDO_EBADF || status == RONDO_EEXIST;
}

int rondo_server_listen_inherited(rondo_server *server, const char *name) {
    RONDO__CHECK(server, &rondo__server_kind);
    int at = 0, first = RONDO_ENOENT;
    int status = rondo__server_check_idle(server);
    if (status < 0) return status;
    for (int fd; (fd = rondo__inherited_take(name, &at)) >= 0;) {
        status = rondo_server_open(server, fd);
        if (status == 0) return 0;
        rondo__inherited_put_back(fd);
        if (!is_for_others(status)) return status;
        if (first == RONDO_ENOENT && name) first = status;
    }
    return first;
}
