/* SPDX-License-Identifier: MIT
 *
 * What was sent over the loopback has arrived.
 *
 * It mostly has when send(2) returns. But the kernel may put that off: until ksoftirqd gets a
 * processor, which on a busy machine takes as long as it takes, or on another processor, where the
 * machine steers packets. A test that counts turns then finds a turn in which nothing comes, and a
 * virtual clock jumps ahead, since nothing seems to be under way. But packets keep their order: when
 * a datagram that is sent now has come, so has what was sent before it.
 *
 * So each poll of the library that does not sleep waits for such a datagram first (faults_calls.c).
 */
#define _GNU_SOURCE
#include "harness.h"
#include "internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* The number is out of the way of tests that count theirs, or take one that is surely not open. */
enum { HIGH_FD = 973 };

static int fence = -1;
static pid_t owner; /* a child that shares it would take what is not its own */

void harness_fence_open(void) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 1}; /* one can get lost */
    socklen_t len = sizeof any;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&any, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&any, &len) != 0 ||
        connect(fd, (struct sockaddr *)&any, len) != 0) {
        if (fd >= 0) close(fd);
        return; /* no network: nothing to wait for */
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    fence = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    if (fence >= 0) close(fd);
    if (fence < 0) fence = fd;
    owner = getpid();
}

/* Where it does not come at once, what arrives is answered later, too, by an acknowledgement which may
 * let more go: then three times. */
void harness_settle(void) {
    int saved = errno, flags = MSG_DONTWAIT;
    char one = 0;

    if (fence < 0 || getpid() != owner) return;
    for (int i = 0; i < 3 && send(fence, &one, 1, 0) == 1; i++) {
        if (recv(fence, &one, 1, flags) == 1 && flags) break;
        if (flags)
            while (recv(fence, &one, 1, 0) < 0 && errno == EINTR) {}
        flags = 0;
    }
    errno = saved;
}
