/* SPDX-License-Identifier: MIT
 *
 * A set of sockets of which only errors are reported: an epoll set without events. See
 * socket_resets.h.
 */
#include "net/socket_resets.h"

#include "net/socket_calls.h"

#if defined(__linux__)
#include <sys/epoll.h>

int rondo__resets_new(void) {
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? rondo__socket_failure() : fd;
}

int rondo__resets_add(int set, int fd, void *what, bool again) {
    /* EPOLLERR and EPOLLHUP need not be asked for. */
    struct epoll_event event = {.events = EPOLLONESHOT, .data.ptr = what};
    int how = again ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    return epoll_ctl(set, how, fd, &event) < 0 ? rondo__socket_failure() : 0;
}

void rondo__resets_remove(int set, int fd) {
    struct epoll_event unused = {0};
    epoll_ctl(set, EPOLL_CTL_DEL, fd, &unused);
}

int rondo__resets_take(int set, void **ret_found, int room) {
    struct epoll_event events[16];
    int count = epoll_wait(set, events, room < 16 ? room : 16, 0);
    for (int i = 0; i < count; i++) ret_found[i] = events[i].data.ptr;
    return count; /* less than 0: interrupted, and so it will be again */
}

#else

int rondo__resets_new(void) { return RONDO_ENOSYS; }
int rondo__resets_add(int set, int fd, void *what, bool again) {
    (void)set, (void)fd, (void)what, (void)again;
    return RONDO_ENOSYS;
}
void rondo__resets_remove(int set, int fd) { (void)set, (void)fd; }
int rondo__resets_take(int set, void **ret_found, int room) {
    (void)set, (void)ret_found, (void)room;
    return 0;
}

#endif
