/* SPDX-License-Identifier: MIT
 *
 * Descriptors beside bytes. See socket_rights.h.
 */
#define _GNU_SOURCE /* MSG_CMSG_CLOEXEC, struct ucred */
#include "net/socket_rights.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "net/socket.h"
#include "net/socket_calls.h"

int rondo__socket_is_unix(int fd) {
    struct sockaddr name = {0};
    socklen_t len = sizeof name; /* a longer one is cut */
    bool is = getsockname(fd, &name, &len) == 0 && name.sa_family == AF_UNIX;
    return is ? 0 : RONDO_ENOTSUP;
}

int64_t rondo__socket_write_fd(int fd, const struct iovec *iov, int count, int right) {
    union {
        struct cmsghdr header; /* for its alignment */
        char bytes[CMSG_SPACE(sizeof right)];
    } control;
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, /* only read */
                             .msg_iovlen = (size_t)count,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t written;
    memset(&control, 0, sizeof control);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof right);
    memcpy(CMSG_DATA(&control.header), &right, sizeof right);
    RONDO__RETRY(written, sendmsg(fd, &message, MSG_NOSIGNAL));
    return written < 0 ? rondo__socket_failure() : written;
}

/* What the kernel has opened for us is ours, however little we expected it. */
static unsigned take_rights(struct msghdr *message, int fds[RONDO__RIGHTS_MOST]) {
    unsigned taken = 0;
    for (struct cmsghdr *one = CMSG_FIRSTHDR(message); one; one = CMSG_NXTHDR(message, one)) {
        if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (one->cmsg_len - CMSG_LEN(0)) / sizeof *fds;
        if (count > RONDO__RIGHTS_MOST - taken) count = RONDO__RIGHTS_MOST - taken;
        memcpy(fds + taken, CMSG_DATA(one), count * sizeof *fds);
        taken += (unsigned)count;
    }
    return taken;
}

int64_t rondo__socket_read_fds(int fd, void *buffer, size_t size, int fds[RONDO__RIGHTS_MOST],
                               unsigned *ret_count) {
    union {
        struct cmsghdr header;
        /* And what an adopted socket may be set to receive: SO_PASSCRED, SO_TIMESTAMP ... */
        char bytes[CMSG_SPACE(sizeof(int) * RONDO__RIGHTS_MOST) + 256];
    } control;
    struct iovec piece = {.iov_base = buffer, .iov_len = size};
    struct msghdr message;
    ssize_t count;
    do {
        memset(&message, 0, sizeof message);
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        count = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    } while (count < 0 && errno == EINTR);
    if (count < 0) return rondo__socket_failure();
    unsigned taken = take_rights(&message, fds);
    /* There is room for all that fit into a message, so it is the table of open files that is full. */
    if (message.msg_flags & MSG_CTRUNC) {
        while (taken > 0) rondo__socket_close(fds[--taken]);
        return RONDO_EMFILE;
    }
    *ret_count = taken;
    return count;
}

int rondo__socket_credentials(int fd, rondo_credentials *ret_credentials) {
    struct ucred peer;
    socklen_t len = sizeof peer;
    int status = rondo__socket_is_unix(fd);
    if (status < 0) return status;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0) return rondo__socket_failure();
    ret_credentials->pid = peer.pid;
    ret_credentials->uid = peer.uid;
    ret_credentials->gid = peer.gid;
    return 0;
}

int rondo__socket_copy(int fd) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return copy < 0 ? rondo__socket_failure() : copy;
}
