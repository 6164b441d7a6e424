/* SPDX-License-Identifier: MIT
 *
 * Every system call on the descriptor of a file stream. See calls.h.
 *
 * RWF_NOWAIT (preadv2(2)) reads what is in the page cache and up to date; tmpfs does not know it, and
 * is nothing but page cache. A device or a FIFO may have nothing for hours, so before a worker reads
 * or writes one it polls, and looks now and then whether it should give up; and it opens without
 * waiting for the other end of a FIFO.
 */
#define _GNU_SOURCE /* preadv2, O_DIRECT, O_PATH, F_GET_SEALS */
#include "net/file/calls.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/socket_calls.h"

/* So often a worker that waits for a device looks whether it should give up. */
#define LOOK_MS 50
/* On the stack of a worker. */
#define WARM_PIECE ((size_t)64 * 1024)

/* ---- for the loop ---- */

int rondo__file_adopt(int fd, bool writes) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_PATH)) return RONDO_EBADF;
    if ((flags & O_ACCMODE) == (writes ? O_RDONLY : O_WRONLY)) return RONDO_EBADF;
    return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? rondo__socket_failure() : 0;
}

int64_t rondo__file_size(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : RONDO_ENOTSUP;
}

int rondo__file_copy_fd(int fd) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return copy < 0 ? rondo__socket_failure() : copy;
}

#if defined(__linux__)

/* Only tmpfs and hugetlbfs answer to F_GET_SEALS, and nobody is asked for it over a network. */
rondo__file_cache rondo__file_cache_of(int fd) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_DIRECT)) return RONDO__FILE_UNCACHED;
    return fcntl(fd, F_GET_SEALS) >= 0 ? RONDO__FILE_MEMORY : RONDO__FILE_CACHED;
}

/* Linux 5.10 can say 0 before the end of a file (preadv2(2), BUGS). fstat(2) looks into memory only,
 * on every file system that knows RWF_NOWAIT. */
static int64_t confirm_end(int fd, int64_t offset) {
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) return RONDO_EAGAIN;
    int64_t at = offset >= 0 ? offset : lseek(fd, 0, SEEK_CUR);
    return at >= st.st_size ? 0 : RONDO_EAGAIN;
}

int64_t rondo__file_read_now(int fd, rondo__file_cache cache, void *buffer, size_t size,
                             int64_t offset) {
    if (cache == RONDO__FILE_UNCACHED) return RONDO_ENOTSUP;
    struct iovec part = {buffer, size};
    ssize_t count;
    RONDO__RETRY(count,
                 preadv2(fd, &part, 1, offset, cache == RONDO__FILE_CACHED ? RWF_NOWAIT : 0));
    if (count > 0) return count;
    if (count < 0) return errno == EOPNOTSUPP ? RONDO_ENOTSUP : RONDO_EAGAIN;
    return cache == RONDO__FILE_MEMORY ? 0 : confirm_end(fd, offset);
}

int64_t rondo__file_read_cached(int fd, void *buffer, size_t size, uint64_t offset) {
    int64_t count = rondo__file_read_now(fd, RONDO__FILE_CACHED, buffer, size, (int64_t)offset);
    if (count == RONDO_ENOTSUP && rondo__file_cache_of(fd) == RONDO__FILE_MEMORY)
        count = rondo__file_read_now(fd, RONDO__FILE_MEMORY, buffer, size, (int64_t)offset);
    return count == RONDO_ENOTSUP ? RONDO_EAGAIN : count;
}

#else

int64_t rondo__file_read_cached(int fd, void *buffer, size_t size, uint64_t offset) {
    (void)fd, (void)buffer, (void)size, (void)offset;
    return RONDO_EAGAIN;
}

rondo__file_cache rondo__file_cache_of(int fd) {
    (void)fd;
    return RONDO__FILE_UNCACHED;
}

int64_t rondo__file_read_now(int fd, rondo__file_cache cache, void *buffer, size_t size,
                             int64_t offset) {
    (void)fd, (void)cache, (void)buffer, (void)size, (void)offset;
    return RONDO_ENOTSUP;
}

#endif

/* ---- for workers ---- */

/* EAGAIN of what isn't waited for is no "come back later": a lock, say (read(2) on FUSE). */
static int failure(void) { return errno == EAGAIN ? RONDO_EBUSY : rondo__socket_failure(); }

bool rondo__file_may_starve(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode) &&
           !S_ISDIR(st.st_mode);
}

/* 0 when the fd is ready (or can't be polled; or, if it is -1, after a while), or RONDO_ECANCELED. */
static int wait_ready(int fd, short events, const rondo_job *job) {
    struct pollfd waiting = {.fd = fd, .events = events};
    for (;;) {
        if (rondo_work_canceled(job)) return RONDO_ECANCELED;
        int status = poll(&waiting, 1, LOOK_MS);
        if (status > 0 || fd < 0 || (status < 0 && errno != EINTR)) return 0;
    }
}

/* Of a FIFO to be written that nobody reads yet, and of a file with a lease (fcntl(2)). */
static bool may_open_later(const char *path) {
    struct stat st;
    return errno == EAGAIN || (errno == ENXIO && stat(path, &st) == 0 && S_ISFIFO(st.st_mode));
}

int rondo__file_open(const char *path, int flags, uint32_t mode, const rondo_job *job) {
    int fd, bits = flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    for (;;) {
        RONDO__RETRY(fd, open(path, bits, (mode_t)mode));
        if (fd >= 0 || !may_open_later(path)) break;
        if (wait_ready(-1, 0, job) < 0) return RONDO_ECANCELED;
    }
    if (fd < 0) return failure();
    /* Some file systems would take the flag to mean reading and writing, too. */
    if (!rondo__file_may_starve(fd) &&
        fcntl(fd, F_SETFL, flags & ~(O_CREAT | O_EXCL | O_TRUNC)) < 0) {
        int error = failure();
        close(fd);
        return error;
    }
    return fd;
}

int64_t rondo__file_read(int fd, void *buffer, size_t size, int64_t offset, bool starves,
                         const rondo_job *job) {
    ssize_t count;
    do {
        if (starves && wait_ready(fd, POLLIN, job) < 0) return RONDO_ECANCELED;
        count = offset < 0 ? read(fd, buffer, size) : pread(fd, buffer, size, (off_t)offset);
    } while (count < 0 && (errno == EINTR || (starves && errno == EAGAIN)));
    return count < 0 ? failure() : count;
}

size_t rondo__file_write(int fd, const char *data, size_t size, int64_t offset,
                         const rondo_job *job, int *ret_error) {
    bool starves = rondo__file_may_starve(fd);
    size_t done = 0;
    *ret_error = 0;
    while (done < size && *ret_error == 0) {
        size_t want = size - done;
        if (starves && wait_ready(fd, POLLOUT, job) < 0) {
            *ret_error = RONDO_ECANCELED;
            break;
        }
        /* A pipe that is ready takes so much without waiting (pipe(7)). */
        if (starves && want > PIPE_BUF) want = PIPE_BUF;
        ssize_t count = offset < 0 ? write(fd, data + done, want)
                                   : pwrite(fd, data + done, want, (off_t)(offset + (int64_t)done));
        if (count > 0)
            done += (size_t)count;
        else if (count == 0)
            *ret_error = RONDO_EIO; /* or it would go on for ever */
        else if (errno != EINTR && !(starves && errno == EAGAIN))
            *ret_error = failure();
    }
    return done;
}

void rondo__file_warm(int fd, uint64_t offset, uint64_t len, const rondo_job *job) {
    char bytes[WARM_PIECE];
    while (len > 0 && !rondo_work_canceled(job)) {
        size_t want = len < sizeof bytes ? (size_t)len : sizeof bytes;
        ssize_t count;
        RONDO__RETRY(count, pread(fd, bytes, want, (off_t)offset));
        if (count <= 0) return;
        offset += (uint64_t)count;
        len -= (uint64_t)count;
    }
}

int rondo__file_sync(int fd) {
    int status;
    RONDO__RETRY(status, fsync(fd));
    if (status == 0 || errno == EINVAL || errno == EROFS) return 0; /* fsync(2): special files */
    return rondo__socket_failure();
}

void rondo__file_unread(int fd, uint64_t bytes) {
    if (lseek(fd, -(off_t)bytes, SEEK_CUR) < 0) return; /* it can't seek: they are gone */
}

int rondo__file_close(int fd) {
    /* Not again after EINTR: on Linux the descriptor is gone then, and maybe another one's. */
    return close(fd) < 0 && errno != EINTR ? rondo__socket_failure() : 0;
}
