/* SPDX-License-Identifier: MIT
 *
 * System calls of sockets that connect, and the options of TCP. See socket_connect.h.
 */
#include "net/socket_connect.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "net/socket.h"
#include "net/socket_calls.h"

/* ---- connecting ---- */

/* Without a port the kernel is asked to choose one at connect(2): then it knows the whole 4-tuple,
 * and the number of connections is not bounded by that of the ports (ip(7)). */
static int leave_from(int fd, const rondo_address *from) {
    int on = 1;
    if (rondo_address_port(from) != 0) {
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
            return rondo__socket_failure();
#if defined(IP_BIND_ADDRESS_NO_PORT)
    } else {
        /* Where the kernel has no such option it takes a port now. */
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
#endif
    }
    return bind(fd, rondo__sockaddr_const(from), from->len) < 0 ? rondo__socket_failure() : 0;
}

int rondo__socket_connect(const rondo_address *to, const rondo_address *from, bool *ret_done) {
    int fd = rondo__socket_new(rondo__address_af(to));
    if (fd < 0) return fd;
    int status = from ? leave_from(fd, from) : 0;
    bool done = false;
    if (status == 0) {
        done = connect(fd, rondo__sockaddr_const(to), to->len) == 0;
        /* After EINTR the connecting goes on, as after EINPROGRESS (connect(2)). */
        if (!done && errno != EINPROGRESS && errno != EINTR) status = rondo__socket_failure();
    }
    if (done) status = rondo__socket_connect_result(fd, to);
    if (status < 0) {
        close(fd);
        return status;
    }
    *ret_done = done;
    return fd;
}

/* A loopback port that nobody listens on may be the one that the kernel chose for our end: then the
 * two SYNs cross, and TCP connects the socket with itself (RFC 9293, 3.5). */
static bool is_own_echo(int fd, const rondo_address *to) {
    rondo_address local, peer;
    if (rondo__socket_name(fd, false, &local) < 0) return false;
    if (rondo_address_port(&local) == 0 || rondo_address_port(&local) != rondo_address_port(to))
        return false;
    return rondo__socket_name(fd, true, &peer) == 0 && rondo_address_equal(&local, &peer);
}

int rondo__socket_connect_result(int fd, const rondo_address *to) {
    rondo_address peer;
    int error = rondo__socket_error(fd);
    if (error < 0) return error;
    error = rondo__socket_name(fd, true, &peer);
    if (error == RONDO_ENOTCONN) {
        /* Not yet; or it was, and is gone again: then the error has come between the two calls. */
        error = rondo__socket_error(fd);
        return error < 0 ? error : RONDO_EAGAIN;
    }
    if (error < 0) return error;
    return is_own_echo(fd, to) ? RONDO_ECONNREFUSED : 0;
}

/* ---- TCP's options ---- */

static int set_tcp(int fd, int option, int value) {
    if (setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value) == 0) return 0;
    bool foreign = errno == EOPNOTSUPP || errno == ENOPROTOOPT || errno == ENOTSOCK;
    return foreign ? RONDO_ENOTSUP : rondo__socket_failure();
}

static int set_socket(int fd, int option, const void *value, socklen_t size) {
    return setsockopt(fd, SOL_SOCKET, option, value, size) < 0 ? rondo__socket_failure() : 0;
}

/* Options of the socket level are taken by sockets of every kind. */
static int check_tcp(int fd) {
    int value;
    socklen_t len = sizeof value;
    return getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &len) < 0 ? RONDO_ENOTSUP : 0;
}

int rondo__socket_set_nodelay(int fd, bool on) { return set_tcp(fd, TCP_NODELAY, on); }

int rondo__socket_set_keepalive(int fd, unsigned idle_s, unsigned interval_s, unsigned count) {
    int on = idle_s > 0;
    int status = check_tcp(fd);
#if defined(TCP_KEEPIDLE)
    if (status == 0 && on) status = set_tcp(fd, TCP_KEEPIDLE, (int)idle_s);
    if (status == 0 && on) status = set_tcp(fd, TCP_KEEPINTVL, (int)interval_s);
    if (status == 0 && on) status = set_tcp(fd, TCP_KEEPCNT, (int)count);
#endif
    if (status == 0) status = set_socket(fd, SO_KEEPALIVE, &on, sizeof on);
    return status;
}

int rondo__socket_set_user_timeout(int fd, uint32_t timeout_ms) {
#if defined(TCP_USER_TIMEOUT)
    return set_tcp(fd, TCP_USER_TIMEOUT, timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms);
#else
    int status = check_tcp(fd);
    return status < 0 ? status : RONDO_ENOSYS;
#endif
}

int rondo__socket_set_abort(int fd) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int status = check_tcp(fd);
    return status < 0 ? status : set_socket(fd, SO_LINGER, &at_once, sizeof at_once);
}
