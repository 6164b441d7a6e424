/* SPDX-License-Identifier: MIT
 *
 * Opening a file beneath a directory and nowhere else: the second line of defence, which holds also
 * against links that are swapped while we look, because the kernel (or a walk that holds each
 * directory open) resolves and checks in one step. There is no "realpath, compare, open" here: what
 * the name meant when it was compared need not be what it means when it is opened.
 *
 * Linux has openat2(2) for this; the walk beside it is for kernels and sandboxes without it, and
 * the place where a port begins. They differ in one thing: the walk follows no symbolic links.
 */
#define _GNU_SOURCE
#include "http/files.h"

#include <rondo/error.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef RESOLVE_CACHED /* since Linux 5.12; an older kernel says EINVAL, which is looked for */
#define RESOLVE_CACHED 0x20
#endif

/* O_NONBLOCK: opening a FIFO does not wait for its other end. (A device may still do what it does
 * when it is opened; who puts devices into a public directory has other troubles.) */
#define OPEN_FLAGS (O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

/* How often a worker tries again when the tree is renamed under its feet (openat2 says EAGAIN when
 * it can't rule out that ".." has led outside) or a signal came. */
#define RETRIES 16

static int open_beneath(int root, const char *path, uint64_t resolve) {
    struct open_how how = {.flags = OPEN_FLAGS,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve};
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);

    return fd >= 0 ? fd : rondo_error_from_errno(errno);
}

static int open_patiently(int root, const char *path) {
    int fd = RONDO_EAGAIN;

    for (int i = 0; i < RETRIES && (fd == RONDO_EAGAIN || fd == RONDO_EINTR); i++)
        fd = open_beneath(root, path, 0);
    return fd;
}

/* From the caches only, and on the root's own file system: another one that is mounted beneath may
 * be a network's, where even a cached name can take a round trip to open. */
static int open_cached(int root, const char *path) {
    int fd = open_beneath(root, path, RESOLVE_CACHED | RESOLVE_NO_XDEV);

    switch (fd) {
    case RONDO_EXDEV: /* another file system or a link that leads out: a worker finds out which */
    case RONDO_EINTR:
    case RONDO_EINVAL: /* before Linux 5.12 */
    case RONDO_ENOTSUP: return RONDO_EAGAIN;
    default: return fd;
    }
}

/* One name after another, each within the directory just opened, links refused. The path has no
 * ".." (path.c), so it can't climb. */
static int open_walking(int root, const char *path) {
    char name[256]; /* NAME_MAX is 255 */
    int directory = root, fd;

    for (;;) {
        size_t len = strcspn(path, "/");
        bool last = path[len] == '\0';
        if (len == 0 || len >= sizeof name) {
            fd = len == 0 ? RONDO_ENOENT : RONDO_ENAMETOOLONG;
            last = true;
        } else {
            memcpy(name, path, len);
            name[len] = '\0';
            RONDO_ASSERT(strcmp(name, "..") != 0);
            do {
                fd = openat(directory, name, OPEN_FLAGS | O_NOFOLLOW | (last ? 0 : O_DIRECTORY));
            } while (fd < 0 && errno == EINTR);
            if (fd < 0) fd = rondo_error_from_errno(errno);
        }
        if (directory != root) close(directory);
        if (last || fd < 0) return fd;
        directory = fd;
        path += len + 1;
    }
}

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

    RONDO_ASSERT(root >= 0 && path[0] != '/');
    switch (how) {
    case RONDO__FILES_CACHED: fd = open_cached(root, path); break;
    case RONDO__FILES_BENEATH: fd = open_patiently(root, path); break;
    default: fd = open_walking(root, path); break;
    }
    return fd < 0 ? fd : check_type(fd, ret_stat);
}

rondo__files_how rondo__files_best_way(int root) {
    int fd = open_patiently(root, ".");

    /* RONDO_EPERM: a sandbox that does not know the call. */
    if (fd == RONDO_ENOSYS || fd == RONDO_EPERM) return RONDO__FILES_WALK;
    if (fd >= 0) close(fd);
    return RONDO__FILES_BENEATH;
}

/* A cached name is open without waiting only where open and fstat are the kernel's alone: not on a
 * network's file system, nor in FUSE. Hence a list of those that are known, not of those that
 * aren't. */
bool rondo__files_can_try_cached(int root) {
    struct statfs fs;

    if (fstatfs(root, &fs) != 0) return false;
    switch ((unsigned long)fs.f_type & 0xffffffffu) {
    case EXT4_SUPER_MAGIC: /* and ext2, ext3 */
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case RAMFS_MAGIC:
    case SQUASHFS_MAGIC:
    case OVERLAYFS_SUPER_MAGIC: return true;
    default: return false;
    }
}
