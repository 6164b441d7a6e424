/* SPDX-License-Identifier: MIT
 *
 * Every system call on a socket or pipe. See socket.h.
 */
#define _GNU_SOURCE /* accept4 */
#include "net/socket.h"

#include <rondo/error.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/epoll.h>
#include <sys/sendfile.h>
#endif

/* Evaluates a system call until no signal interrupts it. */
#define RETRY(result, call) \
    do {                    \
        (result) = (call);  \
    } while ((result) < 0 && errno == EINTR)

/* The common case first: a full or empty kernel buffer is no reason to search a table. */
static int failure(void) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return RONDO_EAGAIN;
    return rondo_error_from_errno(errno);
}

/* ---- SIGPIPE ---- */

/* Sockets are asked for no signal by MSG_NOSIGNAL. write(2) and sendfile(2) have no such flag:
 * there the signal is blocked for the time of the call and taken back if it was raised. Two cheap
 * system calls more; setting SIG_IGN for good would change the program's and its children's
 * signals. */
typedef struct sigpipe_guard {
    sigset_t before;
    bool blocked; /* it was blocked already: one that is raised may stay pending */
} sigpipe_guard;

static void guard_sigpipe(sigpipe_guard *guard) {
    sigset_t sigpipe;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe, &guard->before);
    guard->blocked = sigismember(&guard->before, SIGPIPE) == 1;
}

static void unguard_sigpipe(const sigpipe_guard *guard, bool raised) {
    int saved = errno;
    if (!guard->blocked) {
        if (raised) {
            sigset_t sigpipe;
            struct timespec at_once = {0, 0};
            sigemptyset(&sigpipe);
            sigaddset(&sigpipe, SIGPIPE);
            while (sigtimedwait(&sigpipe, NULL, &at_once) < 0 && errno == EINTR) {}
        }
        pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
    }
    errno = saved;
}

/* ---- bytes ---- */

int64_t rondo__socket_read(int fd, void *buffer, size_t size) {
    ssize_t count;
    RETRY(count, read(fd, buffer, size));
    return count < 0 ? failure() : count;
}

int rondo__socket_peek(int fd) {
    char byte;
    ssize_t count;
    RETRY(count, recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT));
    return count < 0 ? failure() : (int)count;
}

static ssize_t write_pipe(int fd, const struct iovec *iov, int count) {
    sigpipe_guard guard;
    ssize_t written, want = 0;
    for (int i = 0; i < count; i++) want += (ssize_t)iov[i].iov_len;
    guard_sigpipe(&guard);
    RETRY(written, writev(fd, iov, count));
    unguard_sigpipe(&guard, written < 0 ? errno == EPIPE : written < want);
    return written;
}

int64_t rondo__socket_write(int fd, const struct iovec *iov, int count, int flags) {
    int how = MSG_NOSIGNAL | (flags & RONDO__SEND_MORE ? MSG_MORE : 0);
    ssize_t written;
    if (flags & RONDO__SEND_PIPE) {
        written = write_pipe(fd, iov, count);
    } else if (count == 1) {
        RETRY(written, send(fd, iov->iov_base, iov->iov_len, how));
    } else {
        struct msghdr message;
        memset(&message, 0, sizeof message);
        message.msg_iov = (struct iovec *)(uintptr_t)iov; /* only read */
        message.msg_iovlen = (size_t)count;
        RETRY(written, sendmsg(fd, &message, how));
    }
    return written < 0 ? failure() : written;
}

int64_t rondo__socket_sendfile(int fd, int file, uint64_t offset, uint64_t len) {
#if defined(__linux__)
    sigpipe_guard guard;
    off_t from = (off_t)offset;
    size_t want = len > 0x7ffff000 ? 0x7ffff000 : (size_t)len; /* the most that it moves at once */
    ssize_t moved;
    guard_sigpipe(&guard);
    RETRY(moved, sendfile(fd, file, &from, want));
    /* A reset in the middle raises the signal and still returns how much was moved before it. */
    unguard_sigpipe(&guard, moved < 0 ? errno == EPIPE : (size_t)moved < want);
    return moved < 0 ? failure() : moved;
#else
    (void)fd, (void)file, (void)offset, (void)len;
    return RONDO_ENOSYS; /* the caller reads and writes instead */
#endif
}

int64_t rondo__socket_read_file(int file, void *buffer, size_t size, uint64_t offset) {
    ssize_t count;
    RETRY(count, pread(file, buffer, size, (off_t)offset));
    return count < 0 ? failure() : count;
}

/* ---- listening ---- */

static int set_flags(int fd) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return failure();
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return failure();
    return 0;
}

static int new_socket(int family) {
#if defined(__linux__)
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? failure() : fd;
#else
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd < 0) return failure();
    int status = set_flags(fd);
    if (status < 0) close(fd);
    return status < 0 ? status : fd;
#endif
}

static int configure_listener(int fd, const rondo_address *address, bool dual) {
    int on = 1, v6only = !dual;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) return failure();
    if (rondo__address_af(address) == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only) < 0)
        return failure();
    /* Inherited by what is accepted, which saves a system call for each. */
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) return failure();
    return 0;
}

int rondo__socket_listen(const rondo_address *address, bool dual, int backlog) {
    int fd = new_socket(rondo__address_af(address));
    if (fd < 0) return fd;
    int status = configure_listener(fd, address, dual);
    if (status == 0 &&
        (bind(fd, rondo__sockaddr_const(address), address->len) < 0 || listen(fd, backlog) < 0))
        status = failure();
    if (status < 0) close(fd);
    return status < 0 ? status : fd;
}

int rondo__socket_accept(int fd) {
    int accepted;
#if defined(__linux__)
    RETRY(accepted, accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
    return accepted < 0 ? failure() : accepted;
#else
    RETRY(accepted, accept(fd, NULL, NULL));
    if (accepted < 0) return failure();
    int status = set_flags(accepted);
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
    return fd < 0 ? failure() : fd;
}

/* ---- foreign descriptors ---- */

static int socket_option(int fd, int option) {
    int value = 0;
    socklen_t len = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -1 : value;
}

static int inspect_socket(int fd) {
    rondo_address peer;
    if (socket_option(fd, SO_TYPE) != SOCK_STREAM) return RONDO_ENOTSUP;
    if (socket_option(fd, SO_ACCEPTCONN) > 0) return RONDO_ENOTSUP;
    return rondo__socket_name(fd, true, &peer);
}

/* Whether the loop can watch a character device: terminals yes, /dev/null no. */
static bool can_be_watched(int fd) {
#if defined(__linux__)
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    bool can = epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
    if (epoll >= 0) close(epoll);
    return can;
#else
    return isatty(fd) == 1;
#endif
}

int rondo__socket_inspect(int fd, rondo__socket_traits *ret_traits) {
    struct stat about;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fstat(fd, &about) < 0) return RONDO_EBADF;
    if (S_ISSOCK(about.st_mode)) {
        int status = inspect_socket(fd);
        if (status < 0) return status;
    } else if (S_ISCHR(about.st_mode) ? !can_be_watched(fd) : !S_ISFIFO(about.st_mode)) {
        return RONDO_ENOTSUP;
    }
    int mode = flags & O_ACCMODE;
    ret_traits->socket = S_ISSOCK(about.st_mode);
    ret_traits->readable = mode != O_WRONLY;
    ret_traits->writable = mode != O_RDONLY;
    return 0;
}

int rondo__socket_adopt(int fd, int *ret_before) {
    int flags = fcntl(fd, F_GETFL), descriptor = fcntl(fd, F_GETFD);
    if (flags < 0 || descriptor < 0) return failure();
    *ret_before = (flags & O_NONBLOCK ? 1 : 0) | (descriptor & FD_CLOEXEC ? 2 : 0);
    return set_flags(fd);
}

void rondo__socket_give_back(int fd, int before) {
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && !(before & 1)) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    if (!(before & 2)) fcntl(fd, F_SETFD, 0);
}

int rondo__socket_shutdown(int fd) { return shutdown(fd, SHUT_WR) < 0 ? failure() : 0; }

int rondo__socket_error(int fd) {
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return errno == ENOTSOCK ? 0 : failure();
    return error ? rondo_error_from_errno(error) : 0;
}

int rondo__socket_name(int fd, bool peer, rondo_address *ret_address) {
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    struct sockaddr *any = (struct sockaddr *)&name;
    int status = peer ? getpeername(fd, any, &len) : getsockname(fd, any, &len);
    if (status == 0) return rondo_address_from_sockaddr(&name, len, ret_address);
    if (errno != ENOTSOCK) return failure();
    memset(ret_address, 0, sizeof *ret_address);
    return 0;
}

void rondo__socket_close(int fd) {
    /* Not again after EINTR: on Linux the descriptor is gone then, and maybe another one's. */
    close(fd);
}
