/* SPDX-License-Identifier: MIT
 *
 * For tests of UDP: its system calls, counted and made to fail. What faults.h can't do, since it
 * doesn't look into the messages, the functions of libc do that are replaced here.
 */
#ifndef TEST_UDP_CALLS_H
#define TEST_UDP_CALLS_H

#include "faults.h"
#include "udps.h"

#include <netinet/udp.h>
#include <sys/syscall.h>

static struct calls { int sendmsg, sendmmsg, recvmmsg, errqueue, runs; } calls;
static size_t most_segment; /* of the runs seen */
static int fail_send[8];    /* errnos of the next sends, 0: let it pass */
static int fail_runs;       /* errno of every run */
static int fail_over_bytes; /* EMSGSIZE for longer ones */
static int pass_sends = -1; /* so many datagrams or runs, then EAGAIN; -1: all */
static int fail_receive;    /* errno of every receiving */
static int interrupt_calls; /* EINTR, so often */
static bool no_runs, no_ipv6, no_errqueue, is_ping;

static bool interrupted(void) {
    if (interrupt_calls == 0) return false;
    interrupt_calls--;
    errno = EINTR;
    return true;
}

static size_t segment_of(const struct msghdr *header) {
    uint16_t segment = 0;
    struct cmsghdr *item = CMSG_FIRSTHDR(header);
    if (item && item->cmsg_level == IPPROTO_UDP && item->cmsg_type == UDP_SEGMENT)
        memcpy(&segment, CMSG_DATA(item), sizeof segment);
    return segment;
}

/* Sends one, as the kernel would: 0 or an errno. */
static int send_one(int fd, const struct msghdr *header, int flags) {
    size_t bytes = 0, segment = segment_of(header);
    for (size_t i = 0; i < header->msg_iovlen; i++) bytes += header->msg_iov[i].iov_len;
    CHECK(flags & MSG_NOSIGNAL);
    if (segment > 0) {
        calls.runs++;
        if (segment > most_segment) most_segment = segment;
        if (fail_runs) return fail_runs;
    }
    for (size_t i = 0; i < sizeof fail_send / sizeof *fail_send; i++) {
        int error = fail_send[i];
        if (error == 0) continue;
        fail_send[i] = 0;
        if (error > 0) return error;
        break; /* -1: this one passes */
    }
    if (fail_over_bytes && (segment ? segment : bytes) > (size_t)fail_over_bytes) return EMSGSIZE;
    if (pass_sends == 0) return EAGAIN;
    if (pass_sends > 0) pass_sends--;
    return syscall(SYS_sendmsg, fd, header, flags) < 0 ? errno : 0;
}

ssize_t sendmsg(int fd, const struct msghdr *header, int flags) {
    calls.sendmsg++;
    if (interrupted()) return -1;
    int error = send_one(fd, header, flags);
    if (error == 0) return 1;
    errno = error;
    return -1;
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    calls.sendmmsg++;
    if (interrupted()) return -1;
    for (unsigned i = 0; i < count; i++) {
        int error = send_one(fd, &messages[i].msg_hdr, flags);
        if (error == 0) continue;
        errno = error;
        return i > 0 ? (int)i : -1;
    }
    return (int)count;
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit) {
    calls.recvmmsg++;
    if (interrupted()) return -1;
    if (fail_receive) {
        errno = fail_receive;
        return -1;
    }
    return (int)syscall(SYS_recvmmsg, fd, messages, count, flags, limit);
}

ssize_t recvmsg(int fd, struct msghdr *header, int flags) {
    calls.errqueue += (flags & MSG_ERRQUEUE) != 0;
    if (interrupted()) return -1;
    if (no_errqueue) {
        errno = EAGAIN;
        return -1;
    }
    return syscall(SYS_recvmsg, fd, header, flags);
}

int getsockopt(int fd, int level, int option, void *value, socklen_t *len) {
    if (no_runs && level == IPPROTO_UDP && option == UDP_SEGMENT) {
        errno = ENOPROTOOPT;
        return -1;
    }
    if (is_ping && level == SOL_SOCKET && option == SO_PROTOCOL) {
        *(int *)value = IPPROTO_ICMP;
        return 0;
    }
    return (int)syscall(SYS_getsockopt, fd, level, option, value, len);
}

int socket(int family, int type, int protocol) {
    if (family == AF_INET6 && no_ipv6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return (int)syscall(SYS_socket, family, type, protocol);
}

UDP_HELPER void forget_calls(void) {
    memset(&calls, 0, sizeof calls);
    faults_watch();
}

/* A handle and a socket that it sends to. */
UDP_HELPER rondo_udp *new_sender(rondo_loop *loop, int *ret_fd, rondo_address *ret_to) {
    *ret_fd = new_socket("127.0.0.1", ret_to);
    rondo_udp *udp = new_udp(loop, "127.0.0.1");
    rondo_udp_on_error(udp, note_udp_error, NULL);
    rondo_udp_on_drain(udp, note_udp_drain, NULL);
    run_turns(loop, 1);
    forget_calls();
    return udp;
}

/* Numbered and unequal, so that they don't leave as a run: "0", "1.", "2..", ... */
UDP_HELPER void send_numbered(rondo_udp *udp, const rondo_address *to, int count) {
    char text[200];
    for (int i = 0; i < count; i++) {
        int len = snprintf(text, sizeof text, "%d", i);
        memset(text + len, '.', (size_t)i);
        CHECK(rondo_udp_send(udp, to, rondo_slice_of(text, (size_t)(len + i))) >= 0);
    }
}

#endif
