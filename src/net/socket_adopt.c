/* SPDX-License-Identifier: MIT
 *
 * What a descriptor is that somebody else has made, and taking it over. See socket_adopt.h.
 */
#include "net/socket_adopt.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/socket.h"
#include "net/socket_calls.h"

#if defined(__linux__)
#include <sys/epoll.h>
#endif

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

int rondo__socket_inspect_listener(int fd, rondo_address *ret_address) {
    struct stat about;
    if (fstat(fd, &about) < 0) return RONDO_EBADF;
    if (!S_ISSOCK(about.st_mode)) return RONDO_ENOTSOCK;
    if (socket_option(fd, SO_TYPE) != SOCK_STREAM) return RONDO_ENOTSUP;
    int status = rondo__socket_name(fd, false, ret_address);
    if (status == RONDO_EAFNOSUPPORT) return RONDO_ENOTSUP;
    if (status < 0) return status;
    return socket_option(fd, SO_ACCEPTCONN) > 0 ? 0 : RONDO_EINVAL;
}

int rondo__socket_adopt(int fd, int *ret_before) {
    int flags = fcntl(fd, F_GETFL), descriptor = fcntl(fd, F_GETFD);
    if (flags < 0 || descriptor < 0) return rondo__socket_failure();
    *ret_before = (flags & O_NONBLOCK ? 1 : 0) | (descriptor & FD_CLOEXEC ? 2 : 0);
    int status = rondo__socket_set_flags(fd);
    if (status < 0) rondo__socket_give_back(fd, *ret_before); /* the first half may be done */
    return status;
}

void rondo__socket_give_back(int fd, int before) {
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && !(before & 1)) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    if (!(before & 2)) fcntl(fd, F_SETFD, 0);
}
