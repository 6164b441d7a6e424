/* SPDX-License-Identifier: MIT
 *
 * Every system call on standard descriptors and terminals. See device.h.
 */
#define _GNU_SOURCE /* F_DUPFD_CLOEXEC, cfmakeraw */
#include "net/tty/device.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/magic.h>
#include <sys/vfs.h>
#endif

#include "net/socket.h"
#include "net/socket_adopt.h"
#include "net/socket_calls.h"

/* ---- a descriptor of our own ---- */

int rondo__device_copy(int fd) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return copy < 0 ? rondo__errno() : copy;
}

/* Not a named FIFO: opened for writing it wants a reader, and for reading it forgets that its
 * writers have gone (fifo(7)); an anonymous pipe does neither. */
static bool is_anonymous_pipe(int fd) {
#if defined(__linux__)
    struct statfs about;
    int status;
    RONDO__RETRY(status, fstatfs(fd, &about));
    return status == 0 && about.f_type == PIPEFS_MAGIC;
#else
    (void)fd;
    return false;
#endif
}

/* The other side of a pseudo-terminal: opening that anew would make a new pair. */
static bool is_master(int fd) {
#if defined(TIOCGPTN)
    unsigned number;
    return ioctl(fd, TIOCGPTN, &number) == 0;
#else
    (void)fd;
    return true;
#endif
}

/* The same file by another open, with flags that nobody shares; negative where that can't be. */
static int open_anew(int fd, bool writes) {
#if defined(__linux__)
    char path[32];
    int own;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    RONDO__RETRY(own,
                 open(path, (writes ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    /* A low number may be free: it must not become a standard stream of our children. */
    if (own >= 0 && own <= 2) {
        int low = own;
        own = fcntl(low, F_DUPFD_CLOEXEC, 3);
        rondo__socket_close(low);
    }
    return own;
#else
    (void)fd, (void)writes;
    return -1;
#endif
}

/* What there is to say of a character device: a terminal, another one that can be waited for, or one
 * like /dev/null, that is always ready. */
static bool always_ready(int fd) {
    rondo__socket_traits traits;
    return rondo__socket_inspect(fd, &traits) == RONDO_ENOTSUP;
}

int rondo__device_open(int number, bool writes, rondo__device *ret_device) {
    struct stat about;
    rondo__device device = {.fd = -1};
    bool may_open = false;
    int flags = fcntl(number, F_GETFL);
    if (flags < 0 || fstat(number, &about) < 0) return RONDO_EBADF;
    if ((flags & O_ACCMODE) == (writes ? O_RDONLY : O_WRONLY)) return RONDO_EBADF;
    if (S_ISSOCK(about.st_mode)) {
        rondo__socket_traits traits;
        int status = rondo__socket_inspect(number, &traits);
        if (status < 0) return status;
        device.socket = true;
    } else if (S_ISFIFO(about.st_mode)) {
        device.shared = true;
        may_open = is_anonymous_pipe(number);
    } else if (S_ISCHR(about.st_mode)) {
        device.shared = !always_ready(number);
        may_open = rondo__device_is_terminal(number) && !is_master(number);
    } else if (!S_ISREG(about.st_mode) && !S_ISBLK(about.st_mode) && !S_ISDIR(about.st_mode)) {
        return RONDO_EBADF; /* an epoll set or the like that took a number that was closed */
    }
    if (may_open) device.fd = open_anew(number, writes);
    if (device.fd >= 0) device.shared = false;
    if (device.fd < 0) device.fd = rondo__device_copy(number);
    if (device.fd < 0) return device.fd;
    device.found = (flags & O_NONBLOCK) != 0;
    device.disk = S_ISREG(about.st_mode) || S_ISBLK(about.st_mode) || S_ISDIR(about.st_mode);
    *ret_device = device;
    return 0;
}

int rondo__device_fill_gaps(void) {
    for (int number = 0; number <= 2; number++) {
        int fd;
        if (fcntl(number, F_GETFD) >= 0 || errno != EBADF) continue;
        /* The lowest number that is free; open the wrong way, so that using it fails. */
        RONDO__RETRY(fd, open("/dev/null", number == 0 ? O_WRONLY : O_RDONLY));
        if (fd < 0) return rondo__errno();
        if (fd != number) rondo__socket_close(fd); /* another thread has taken it */
    }
    return 0;
}

/* ---- bytes ---- */

int64_t rondo__device_read(const rondo__device *device, void *buffer, size_t size) {
    if (device->socket) return rondo__socket_receive(device->fd, buffer, size);
    return rondo__socket_read(device->fd, buffer, size);
}

int64_t rondo__device_write(const rondo__device *device, const struct iovec *iov, int count,
                            int flags) {
    if (device->socket)
        flags = (flags | RONDO__SEND_NOWAIT) & ~RONDO__SEND_PIPE;
    else
        flags |= RONDO__SEND_PIPE;
    return rondo__socket_write(device->fd, iov, count, flags);
}

void rondo__device_wait_writable(int fd) {
    struct pollfd waiting = {.fd = fd, .events = POLLOUT};
    int status;
    RONDO__RETRY(status, poll(&waiting, 1, -1));
}

int rondo__device_set_blocking(int fd, bool blocking) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return rondo__errno();
    flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) < 0 ? rondo__errno() : 0;
}

/* ---- terminals ---- */

bool rondo__device_is_terminal(int fd) { return isatty(fd) == 1; }

int rondo__device_terminal_id(int fd, uint64_t *ret_id) {
    struct stat about;
#if defined(TIOCGDEV)
    unsigned device = 0;
    if (ioctl(fd, TIOCGDEV, &device) == 0) { /* for /dev/tty it names the real one */
        *ret_id = device;
        return 0;
    }
#endif
    if (fstat(fd, &about) < 0) return rondo__errno();
    *ret_id = (uint64_t)about.st_rdev;
    return 0;
}

int rondo__device_get_mode(int fd, struct termios *ret_mode) {
    return tcgetattr(fd, ret_mode) < 0 ? rondo__errno() : 0;
}

int rondo__device_set_mode(int fd, const struct termios *mode) {
    int status;
    RONDO__RETRY(status,
                 tcsetattr(fd, TCSANOW, mode)); /* any other might wait for a terminal held by ^S */
    return status < 0 ? rondo__errno() : 0;
}

bool rondo__device_in_background(int fd) {
    pid_t session = -1, group = -1; /* tools like valgrind do not know what these calls write */
    /* Of a terminal that does not control us nobody minds. (Its master would tell us its group.) */
    return ioctl(fd, TIOCGSID, &session) == 0 && session == getsid(0) &&
           ioctl(fd, TIOCGPGRP, &group) == 0 && group != getpgrp();
}

int rondo__device_size(int fd, unsigned *ret_columns, unsigned *ret_rows) {
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0)
        return RONDO_ENOTSUP;
    *ret_columns = size.ws_col;
    *ret_rows = size.ws_row;
    return 0;
}
