/* SPDX-License-Identifier: MIT
 *
 * System calls of listening sockets. See socket_listen.h.
 */
#define _GNU_SOURCE /* accept4 */
#include "net/socket_listen.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/socket_calls.h"

/* Inherited by what is accepted, which saves a system call for each. */
int rondo__socket_prepare_listener(int fd) {
    int on = 1;
    return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 ? rondo__socket_failure()
                                                                        : 0;
}

static int configure(int fd, const rondo_address *address, int flags) {
    int on = 1, v6only = !(flags & RONDO__LISTEN_DUAL);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return rondo__socket_failure();
    if ((flags & RONDO__LISTEN_SHARE) &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0)
        return rondo__socket_failure();
    if (rondo__address_af(address) == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only) < 0)
        return rondo__socket_failure();
    return rondo__socket_prepare_listener(fd);
}

/* Binds a new socket whose options are set, or closes it. */
static int bind_or_close(int fd, int status, const rondo_address *address) {
    if (status == 0 && bind(fd, rondo__sockaddr_const(address), address->len) < 0)
        status = rondo__socket_failure();
    if (status < 0) close(fd);
    return status < 0 ? status : fd;
}

int rondo__socket_bind(const rondo_address *address, int flags) {
    int fd = rondo__socket_new(rondo__address_af(address));
    if (fd < 0) return fd;
    return bind_or_close(fd, configure(fd, address, flags), address);
}

int rondo__socket_bind_unix(const rondo_address *address, unsigned mode) {
    int fd = rondo__socket_new(AF_UNIX);
    if (fd < 0) return fd;
    /* On Linux the file takes its permissions from the socket, less the umask: so it never has more
     * than these, not even for a moment. The umask is the whole process's, and left alone. */
    int status = mode && fchmod(fd, mode) < 0 ? rondo__socket_failure() : 0;
    return bind_or_close(fd, status, address);
}

int rondo__socket_start_listening(int fd, int backlog) {
    return listen(fd, backlog) < 0 ? rondo__socket_failure() : 0;
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
