/* SPDX-License-Identifier: MIT
 *
 * Opening a static file: beneath the root and nowhere else, which is the second line of defence
 * (src/fs/lookup.c says how), and only if it is a regular file.
 */
#define _GNU_SOURCE /* O_NOCTTY */
#include "http/files/files.h"

#include <rondo/error.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "fs/lookup.h"

/* O_NONBLOCK: opening a FIFO does not wait for its other end. (A device may still do what it does
 * when it is opened; who puts devices into a public directory has other troubles.) */
#define OPEN_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY)

/* Only a regular file is let through: its size is known, it can't block, and sendfile takes it. */
static int check_type(int fd, struct stat *ret_stat) {
    int error;

    if (fstat(fd, ret_stat) != 0)
        error = rondo_error_from_errno(errno);
    else if (S_ISDIR(ret_stat->st_mode))
        error = RONDO_EISDIR;
    else if (!S_ISREG(ret_stat->st_mode))
        error = RONDO_ENOENT;
    else
        return fd;
    close(fd);
    return error;
}

int rondo__files_open(int root, const char *path, rondo__files_how how, struct stat *ret_stat) {
    int fd;

    RONDO_ASSERT((root >= 0 || root == AT_FDCWD) && path[0] != '/');
    switch (how) {
    case RONDO__FILES_CACHED: fd = rondo__open_beneath_cached(root, path, OPEN_FLAGS); break;
    case RONDO__FILES_BENEATH:
        fd = rondo__open_beneath(root, path, OPEN_FLAGS, 0, RONDO__BENEATH_KERNEL);
        break;
    default: fd = rondo__open_beneath(root, path, OPEN_FLAGS, 0, RONDO__BENEATH_WALK); break;
    }
    return fd < 0 ? fd : check_type(fd, ret_stat);
}

rondo__files_how rondo__files_best_way(int root) {
    bool walk = rondo__beneath_best(root) == RONDO__BENEATH_WALK;
    return walk ? RONDO__FILES_WALK : RONDO__FILES_BENEATH;
}

/* A cached name is open without waiting only where open and fstat are the kernel's alone. */
bool rondo__files_can_try_cached(int root) {
    struct statfs fs;

    return fstatfs(root, &fs) == 0 && rondo__is_local((uint64_t)fs.f_type);
}
