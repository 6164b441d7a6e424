/* SPDX-License-Identifier: MIT
 *
 * System calls of listening sockets. See socket_listen.h.
 */
#define _GNU_SOURCE /* accept4 */
#include "net/socket_listen.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "net/socket_calls.h"

static int configure_listener(int fd, const rondo_address *address, bool dual) {
    int on = 1, v6only = !dual;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return rondo__socket_failure();
    if (rondo__address_af(address) == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only) < 0)
        return rondo__socket_failure();
    /* Inherited by what is accepted, which saves a system call for each. */
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0)
        return rondo__socket_failure();
    return 0;
}

int rondo__socket_listen(const rondo_address *address, bool dual, int backlog) {
    int fd = rondo__socket_new(rondo__address_af(address));
    if (fd < 0) return fd;
    int status = configure_listener(fd, address, dual);
    if (status == 0 &&
        (bind(fd, rondo__sockaddr_const(address), address->len) < 0 || listen(fd, backlog) < 0))
        status = rondo__socket_failure();
    if (status < 0) close(fd);
    return status < 0 ? status : fd;
}

int rondo__socket_accept(int fd) {
    int accepted;
#if defined(__linux__)
    RONDO__RETRY(accepted, accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
    return accepted < 0 ? rondo__socket_failure() : accepted;
#else
    RONDO__RETRY(accepted, accept(fd, NULL, NULL));
    if (accepted < 0) return rondo__socket_failure();
    int status = rondo__socket_set_flags(accepted);
    if (status < 0) close(accepted);
    return status < 0 ? status : accepted;
#endif
}

bool rondo__socket_accept_again(int error) {
    /* accept(2): Linux passes errors of the new connection's network on to the caller. */
    switch (error) {
    case RONDO_ECONNABORTED:
    case RONDO_ECONNRESET:
    case RONDO_EPROTO:
    case RONDO_EHOSTUNREACH:
    case RONDO_ENETUNREACH:
    case RONDO_ETIMEDOUT:
    case RONDO_EPERM: /* a firewall rule */ return true;
    default: return false;
    }
}

int rondo__socket_reserve(void) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? rondo__socket_failure() : fd;
}
