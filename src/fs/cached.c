/* SPDX-License-Identifier: MIT
 *
 * Reading from the page cache without waiting: preadv2(2) with RWF_NOWAIT, which only Linux has.
 * Elsewhere the answer is always "ask a worker". tmpfs, FUSE, NFS, directories and terminals don't
 * support the flag and say so at once, and a file's data that is on the disk gives EAGAIN.
 */
#define _GNU_SOURCE /* preadv2, O_DIRECT */
#include "fs/cached.h"

#ifdef __linux__

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* After fewer bytes than asked for. Of a file more may be on the disk; and Linux 5.10 can even say
 * 0 before its end (preadv2(2), BUGS). What a pipe or a socket gave is what it had. fstat(2) reads
 * memory only, on every file system that supports RWF_NOWAIT. */
static bool is_all(int fd, int64_t offset, int64_t got) {
    struct stat st;
    if (fstat(fd, &st) < 0) return false;
    if (!S_ISREG(st.st_mode)) return !S_ISBLK(st.st_mode);
    int64_t end = offset >= 0 ? offset + got : lseek(fd, 0, SEEK_CUR);
    return end >= st.st_size;
}

int64_t rondo__cached_read(int fd, const struct iovec *parts, int count, size_t len, int64_t offset,
                           bool *ret_final) {
    if (len > RONDO__CACHED_READ_BYTES) return -1;
    /* With O_DIRECT the flag only means not to wait for locks; the disk would be waited for. */
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_DIRECT)) return -1;
    ssize_t got = preadv2(fd, parts, count, offset, RWF_NOWAIT);
    if (got < 0) return -1; /* real errors are rare; the worker finds them again */
    *ret_final = (size_t)got == len || is_all(fd, offset, got);
    return got;
}

#else

int64_t rondo__cached_read(int fd, const struct iovec *parts, int count, size_t len, int64_t offset,
                           bool *ret_final) {
    (void)fd, (void)parts, (void)count, (void)len, (void)offset, (void)ret_final;
    return -1;
}

#endif
