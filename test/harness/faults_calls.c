/* SPDX-License-Identifier: MIT
 *
 * The functions that the library calls instead of the C library's: each asks the rules, makes the
 * real call and notes what came of it. See faults.h; the linker puts them in (Makefile, WRAP).
 */
#define _GNU_SOURCE
#include "harness.h"
#include "passage.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

/* The names are the linker's, and nobody else calls them. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

/* ---- bytes ---- */

static size_t size_of(const struct iovec *parts, size_t count) {
    size_t size = 0;
    for (size_t i = 0; i < count && i < IOV_MAX; i++) size += parts[i].iov_len;
    return size;
}

/* The first `size` bytes of the parts. */
static int cut(const struct iovec *parts, size_t count, size_t size, struct iovec *ret_parts) {
    int used = 0;
    for (size_t i = 0; i < count && size > 0; i++) {
        size_t len = parts[i].iov_len < size ? parts[i].iov_len : size;
        ret_parts[used++] = (struct iovec){parts[i].iov_base, len};
        size -= len;
    }
    return used;
}

ssize_t __wrap_read(int fd, void *buffer, size_t size) {
    PASSAGE(read, fd, size, 0, 0);
    THROUGH(ssize_t, read(fd, buffer, p.entry.size));
}

ssize_t __wrap_write(int fd, const void *data, size_t size) {
    PASSAGE(write, fd, size, 0, 0);
    THROUGH(ssize_t, write(fd, data, p.entry.size));
}

ssize_t __wrap_pread(int fd, void *buffer, size_t size, off_t offset) {
    PASSAGE(pread, fd, size, 0, 0);
    THROUGH(ssize_t, pread(fd, buffer, p.entry.size, offset));
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t offset) {
    PASSAGE(pwrite, fd, size, 0, 0);
    THROUGH(ssize_t, pwrite(fd, data, p.entry.size, offset));
}

ssize_t __wrap_readv(int fd, const struct iovec *parts, int count) {
    struct iovec less[IOV_MAX];
    PASSAGE(readv, fd, size_of(parts, (size_t)count), count, 0);
    if (faults_enter(&p)) return faults_answer(&p);
    if (p.limited) count = cut(parts, (size_t)count, p.entry.size, less);
    return faults_leave(&p, readv(fd, p.limited ? less : parts, count));
}

ssize_t __wrap_writev(int fd, const struct iovec *parts, int count) {
    struct iovec less[IOV_MAX];
    PASSAGE(writev, fd, size_of(parts, (size_t)count), count, 0);
    if (faults_enter(&p)) return faults_answer(&p);
    if (p.limited) count = cut(parts, (size_t)count, p.entry.size, less);
    return faults_leave(&p, writev(fd, p.limited ? less : parts, count));
}

ssize_t __wrap_preadv(int fd, const struct iovec *parts, int count, off_t offset) {
    struct iovec less[IOV_MAX];
    PASSAGE(preadv, fd, size_of(parts, (size_t)count), count, 0);
    if (faults_enter(&p)) return faults_answer(&p);
    if (p.limited) count = cut(parts, (size_t)count, p.entry.size, less);
    return faults_leave(&p, preadv(fd, p.limited ? less : parts, count, offset));
}

ssize_t __wrap_pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    struct iovec less[IOV_MAX];
    PASSAGE(pwritev, fd, size_of(parts, (size_t)count), count, 0);
    if (faults_enter(&p)) return faults_answer(&p);
    if (p.limited) count = cut(parts, (size_t)count, p.entry.size, less);
    return faults_leave(&p, pwritev(fd, p.limited ? less : parts, count, offset));
}

ssize_t __wrap_preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    struct iovec less[IOV_MAX];
    PASSAGE(preadv2, fd, size_of(parts, (size_t)count), count, flags);
    if (faults_enter(&p)) return faults_answer(&p);
    if (p.limited) count = cut(parts, (size_t)count, p.entry.size, less);
    if (p.limited) flags &= ~RWF_NOWAIT; /* it is said to be cached */
    return faults_leave(&p, preadv2(fd, p.limited ? less : parts, count, offset, flags));
}

ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags) {
    PASSAGE(recv, fd, size, 0, flags);
    THROUGH(ssize_t, recv(fd, buffer, p.entry.size, flags));
}

ssize_t __wrap_send(int fd, const void *data, size_t size, int flags) {
    PASSAGE(send, fd, size, 0, flags);
    ssize_t sent =
        (ssize_t)(faults_enter(&p) ? faults_answer(&p)
                                   : faults_leave(&p, send(fd, data, p.entry.size, flags)));
    harness_settle();
    return sent;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags) {
    struct iovec less[IOV_MAX];
    PASSAGE(recvmsg, fd, size_of(message->msg_iov, message->msg_iovlen), message->msg_iovlen,
            flags);
    if (faults_enter(&p)) return faults_answer(&p);
    if (!p.limited) return faults_leave(&p, recvmsg(fd, message, flags));
    struct msghdr copy = *message;
    copy.msg_iovlen = (size_t)cut(message->msg_iov, message->msg_iovlen, p.entry.size, less);
    copy.msg_iov = less;
    ssize_t count = recvmsg(fd, &copy, flags);
    message->msg_namelen = copy.msg_namelen;
    message->msg_controllen = copy.msg_controllen;
    message->msg_flags = copy.msg_flags;
    return faults_leave(&p, count);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags) {
    struct iovec less[IOV_MAX];
    PASSAGE(sendmsg, fd, size_of(message->msg_iov, message->msg_iovlen), message->msg_iovlen,
            flags);
    if (faults_enter(&p)) return faults_answer(&p);
    struct msghdr copy = *message;
    if (p.limited) {
        copy.msg_iovlen = (size_t)cut(message->msg_iov, message->msg_iovlen, p.entry.size, less);
        copy.msg_iov = less;
    }
    return faults_leave(&p, sendmsg(fd, &copy, flags));
}

int __wrap_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags,
                    struct timespec *timeout) {
    PASSAGE(recvmmsg, fd, count, count, flags);
    THROUGH(int, recvmmsg(fd, messages, (unsigned)p.entry.size, flags, timeout));
}

int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    PASSAGE(sendmmsg, fd, count, count, flags);
    THROUGH(int, sendmmsg(fd, messages, (unsigned)p.entry.size, flags));
}

ssize_t __wrap_sendfile(int fd, int file, off_t *offset, size_t size) {
    PASSAGE(sendfile, fd, size, 0, 0);
    THROUGH(ssize_t, sendfile(fd, file, offset, p.entry.size));
}

ssize_t __wrap_splice(int from, off_t *from_at, int to, off_t *to_at, size_t size, unsigned flags) {
    PASSAGE(splice, from, size, 0, (int)flags);
    THROUGH(ssize_t, splice(from, from_at, to, to_at, p.entry.size, flags));
}

/* ---- sockets ---- */

int __wrap_socket(int family, int type, int protocol) {
    PASSAGE(socket, family, 0, 0, type);
    THROUGH(int, socket(family, type, protocol));
}

int __wrap_socketpair(int family, int type, int protocol, int *ret_fds) {
    PASSAGE(socketpair, family, 0, 0, type);
    THROUGH(int, socketpair(family, type, protocol, ret_fds));
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t len) {
    PASSAGE(bind, fd, 0, 0, 0);
    THROUGH(int, bind(fd, address, len));
}

int __wrap_listen(int fd, int backlog) {
    PASSAGE(listen, fd, (size_t)backlog, 0, 0);
    THROUGH(int, listen(fd, backlog));
}

/* connect(2): interrupted or not finished, it goes on. */
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t len) {
    PASSAGE(connect, fd, 0, 0, 0);
    if (faults_enter(&p)) {
        if (p.entry.error == EINTR || p.entry.error == EINPROGRESS) connect(fd, address, len);
        return (int)faults_answer(&p);
    }
    return (int)faults_leave(&p, connect(fd, address, len));
}

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags) {
    PASSAGE(accept4, fd, 0, 0, flags);
    THROUGH(int, accept4(fd, address, len, flags));
}

int __wrap_shutdown(int fd, int how) {
    PASSAGE(shutdown, fd, 0, 0, how);
    THROUGH(int, shutdown(fd, how));
}

/* An error asked for is the one that waits in the socket: the call itself hardly ever fails. */
int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *len) {
    PASSAGE(getsockopt, fd, 0, 0, option);
    if (!faults_enter(&p)) return (int)faults_leave(&p, getsockopt(fd, level, option, value, len));
    if (level == SOL_SOCKET && option == SO_ERROR) {
        memcpy(value, &p.entry.error, sizeof(int));
        p.entry.value = p.entry.error = 0;
    }
    return (int)faults_answer(&p);
}

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len) {
    PASSAGE(setsockopt, fd, 0, 0, option);
    THROUGH(int, setsockopt(fd, level, option, value, len));
}

int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *len) {
    PASSAGE(getsockname, fd, 0, 0, 0);
    THROUGH(int, getsockname(fd, address, len));
}

int __wrap_getpeername(int fd, struct sockaddr *address, socklen_t *len) {
    PASSAGE(getpeername, fd, 0, 0, 0);
    THROUGH(int, getpeername(fd, address, len));
}

int __wrap_getifaddrs(struct ifaddrs **ret_list) {
    PASSAGE(getifaddrs, -1, 0, 0, 0);
    THROUGH(int, getifaddrs(ret_list));
}

/* Not errno but an EAI_* is what fails. */
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_list) {
    PASSAGE(getaddrinfo, -1, 0, 0, 0);
    if (!faults_enter(&p))
        return (int)faults_leave(&p, getaddrinfo(name, service, hints, ret_list));
    int error = p.entry.error;
    faults_answer(&p);
    return error;
}

int __wrap_getnameinfo(const struct sockaddr *address, socklen_t len, char *host,
                       socklen_t host_len, char *service, socklen_t service_len, int flags) {
    PASSAGE(getnameinfo, -1, 0, 0, 0);
    if (!faults_enter(&p))
        return (int)faults_leave(
            &p, getnameinfo(address, len, host, host_len, service, service_len, flags));
    int error = p.entry.error;
    faults_answer(&p);
    return error;
}

/* ---- files ---- */

/* The mode is there if it is needed, and nobody looks at it if not. */
#define OPTIONAL(type, name, after) \
    va_list args;                   \
    va_start(args, after);          \
    type name = va_arg(args, type); \
    va_end(args)

int __wrap_open(const char *path, int flags, ...) {
    OPTIONAL(int, mode, flags);
    PASSAGE(open, -1, 0, 0, flags);
    THROUGH(int, open(path, flags, mode));
}

int __wrap_openat(int directory, const char *path, int flags, ...) {
    OPTIONAL(int, mode, flags);
    PASSAGE(openat, directory, 0, 0, flags);
    THROUGH(int, openat(directory, path, flags, mode));
}

/* close(2): whatever it says, the descriptor is gone. */
int __wrap_close(int fd) {
    PASSAGE(close, fd, 0, 0, 0);
    if (!faults_enter(&p)) return (int)faults_leave(&p, close(fd));
    close(fd);
    return (int)faults_answer(&p);
}

int __wrap_stat(const char *path, struct stat *ret_stat) {
    PASSAGE(stat, -1, 0, 0, 0);
    THROUGH(int, stat(path, ret_stat));
}

int __wrap_fstat(int fd, struct stat *ret_stat) {
    PASSAGE(fstat, fd, 0, 0, 0);
    THROUGH(int, fstat(fd, ret_stat));
}

int __wrap_fsync(int fd) {
    PASSAGE(fsync, fd, 0, 0, 0);
    THROUGH(int, fsync(fd));
}

int __wrap_fstatfs(int fd, struct statfs *ret_stat) {
    PASSAGE(fstatfs, fd, 0, 0, 0);
    THROUGH(int, fstatfs(fd, ret_stat));
}

int __wrap_statx(int directory, const char *path, int flags, unsigned mask,
                 struct statx *ret_stat) {
    PASSAGE(statx, directory, 0, 0, flags);
    THROUGH(int, statx(directory, path, flags, mask, ret_stat));
}

int __wrap_lstat(const char *path, struct stat *ret_stat) {
    PASSAGE(lstat, -1, 0, 0, 0);
    THROUGH(int, lstat(path, ret_stat));
}

int __wrap_chmod(const char *path, mode_t mode) {
    PASSAGE(chmod, -1, 0, 0, 0);
    THROUGH(int, chmod(path, mode));
}

int __wrap_fchmod(int fd, mode_t mode) {
    PASSAGE(fchmod, fd, 0, 0, 0);
    THROUGH(int, fchmod(fd, mode));
}

int __wrap_flock(int fd, int what) {
    PASSAGE(flock, fd, 0, 0, what);
    THROUGH(int, flock(fd, what));
}

int __wrap_unlink(const char *path) {
    PASSAGE(unlink, -1, 0, 0, 0);
    THROUGH(int, unlink(path));
}

char *__wrap_getcwd(char *buffer, size_t size) {
    PASSAGE(getcwd, -1, 0, 0, 0);
    if (faults_enter(&p)) {
        faults_answer(&p);
        return NULL;
    }
    char *path = getcwd(buffer, size);
    faults_leave(&p, path ? 0 : -1);
    return path;
}

int __wrap_inotify_init1(int flags) {
    PASSAGE(inotify_init1, -1, 0, 0, flags);
    THROUGH(int, inotify_init1(flags));
}

int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask) {
    PASSAGE(inotify_add_watch, fd, 0, 0, (int)mask);
    THROUGH(int, inotify_add_watch(fd, path, mask));
}

int __wrap_inotify_rm_watch(int fd, int wd) {
    PASSAGE(inotify_rm_watch, fd, 0, 0, 0);
    THROUGH(int, inotify_rm_watch(fd, wd));
}

off_t __wrap_lseek(int fd, off_t offset, int from) {
    PASSAGE(lseek, fd, 0, 0, from);
    THROUGH(off_t, lseek(fd, offset, from));
}

int __wrap_pipe2(int *ret_fds, int flags) {
    PASSAGE(pipe2, -1, 0, 0, flags);
    THROUGH(int, pipe2(ret_fds, flags));
}

int __wrap_fcntl(int fd, int command, ...) {
    OPTIONAL(long, arg, command);
    PASSAGE(fcntl, fd, 0, 0, command);
    THROUGH(int, fcntl(fd, command, arg));
}

int __wrap_ioctl(int fd, unsigned long command, ...) {
    OPTIONAL(void *, arg, command);
    PASSAGE(ioctl, fd, 0, 0, (int)command);
    THROUGH(int, ioctl(fd, command, arg));
}

int __wrap_tcgetattr(int fd, struct termios *ret_attributes) {
    PASSAGE(tcgetattr, fd, 0, 0, 0);
    THROUGH(int, tcgetattr(fd, ret_attributes));
}

int __wrap_tcsetattr(int fd, int when, const struct termios *attributes) {
    PASSAGE(tcsetattr, fd, 0, 0, when);
    THROUGH(int, tcsetattr(fd, when, attributes));
}

/* ---- files by name ---- */

#define BY_NAME(name, parameters, ...)   \
    int __wrap_##name parameters {       \
        PASSAGE(name, -1, 0, 0, 0);      \
        THROUGH(int, name(__VA_ARGS__)); \
    }
BY_NAME(access, (const char *path, int mode), path, mode)
BY_NAME(link, (const char *path, const char *to), path, to)
BY_NAME(mkostemp, (char *path, int flags), path, flags)
BY_NAME(rename, (const char *path, const char *to), path, to)
BY_NAME(rmdir, (const char *path), path)
BY_NAME(statfs, (const char *path, struct statfs *ret_statfs), path, ret_statfs)
BY_NAME(symlink, (const char *target, const char *path), target, path)
BY_NAME(truncate, (const char *path, off_t size), path, size)

ssize_t __wrap_readlink(const char *path, char *ret_text, size_t size) {
    PASSAGE(readlink, -1, size, 0, 0);
    THROUGH(ssize_t, readlink(path, ret_text, p.entry.size));
}

/* Those that return a pointer: it counts as 0. */
char *__wrap_realpath(const char *path, char *ret_path) {
    PASSAGE(realpath, -1, 0, 0, 0);
    if (faults_enter(&p)) return faults_answer(&p) < 0 ? NULL : ret_path;
    char *real = realpath(path, ret_path);
    faults_leave(&p, real ? 0 : -1);
    return real;
}

char *__wrap_mkdtemp(char *path) {
    PASSAGE(mkdtemp, -1, 0, 0, 0);
    if (faults_enter(&p)) return faults_answer(&p) < 0 ? NULL : path;
    char *made = mkdtemp(path);
    faults_leave(&p, made ? 0 : -1);
    return made;
}

#define ON_FD(name, parameters, ...)     \
    int __wrap_##name parameters {       \
        PASSAGE(name, fd, 0, 0, 0);      \
        THROUGH(int, name(__VA_ARGS__)); \
    }
ON_FD(fallocate, (int fd, int mode, off_t offset, off_t len), fd, mode, offset, len)
ON_FD(fdatasync, (int fd), fd)

/* It returns the error. */
int __wrap_posix_fadvise(int fd, off_t offset, off_t len, int advice) {
    PASSAGE(posix_fadvise, fd, 0, 0, advice);
    if (!faults_enter(&p)) return (int)faults_leave(&p, posix_fadvise(fd, offset, len, advice));
    int error = p.entry.error;
    faults_answer(&p);
    return error;
}

/* ---- waiting, threads, signals ---- */

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    PASSAGE(poll, count > 0 ? fds->fd : -1, 0, 0, timeout_ms);
    THROUGH(int, poll(fds, count, timeout_ms));
}

int __wrap_eventfd(unsigned start, int flags) {
    PASSAGE(eventfd, -1, 0, 0, flags);
    THROUGH(int, eventfd(start, flags));
}

int __wrap_sigaction(int signum, const struct sigaction *action, struct sigaction *ret_before) {
    PASSAGE(sigaction, signum, 0, 0, 0);
    THROUGH(int, sigaction(signum, action, ret_before));
}

int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *arg) {
    PASSAGE(pthread_create, -1, 0, 0, 0);
    if (!faults_enter(&p))
        return (int)faults_leave(&p, pthread_create(ret_thread, attributes, run, arg));
    int error = p.entry.error;
    faults_answer(&p);
    return error;
}

/* Calls that the C library has no name for; fd is the number of the call. */
long __wrap_syscall(long number, ...) {
    long a[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(args, long);
    va_end(args);
    PASSAGE(syscall, (int)number, 0, 0, 0);
    THROUGH(long, syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]));
}

/* ---- libev's ---- */

static int (*real_epoll_create1)(int);
static int (*real_epoll_ctl)(int, int, int, struct epoll_event *);
static int (*real_epoll_wait)(int, struct epoll_event *, int, int);

/* The next ones in line: a sanitizer's, or the C library's. */
__attribute__((constructor)) static void find_real(void) {
    *(void **)&real_epoll_create1 = dlsym(RTLD_NEXT, "epoll_create1");
    *(void **)&real_epoll_ctl = dlsym(RTLD_NEXT, "epoll_ctl");
    *(void **)&real_epoll_wait = dlsym(RTLD_NEXT, "epoll_wait");
}

int epoll_create1(int flags) {
    PASSAGE(epoll_create1, -1, 0, 0, flags);
    THROUGH(int, real_epoll_create1(flags));
}

int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event) {
    PASSAGE(epoll_ctl, fd, 0, 0, what);
    THROUGH(int, real_epoll_ctl(epoll, what, fd, event));
}

int epoll_wait(int epoll, struct epoll_event *events, int room, int timeout_ms) {
    if (timeout_ms == 0) harness_settle();
    PASSAGE(epoll_wait, epoll, (size_t)timeout_ms, room, 0);
    THROUGH(int, real_epoll_wait(epoll, events, room, timeout_ms));
}
