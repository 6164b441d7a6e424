/* SPDX-License-Identifier: MIT
 *
 * More of what faults_calls.c has: the calls that work beneath a directory, and those on whole
 * files.
 */
#define _GNU_SOURCE
#include "passage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* The names are the linker's, and nobody else calls them. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

/* ---- beneath a directory ---- */

static bool types_are_hidden;

void faults_hide_types(bool on) { types_are_hidden = on; }

ssize_t __wrap_getdents64(int fd, void *buffer, size_t size) {
    PASSAGE(getdents64, fd, size, 0, 0);
    ssize_t got = (ssize_t)(faults_enter(&p) ? faults_answer(&p)
                                             : faults_leave(&p, getdents64(fd, buffer, size)));
    for (ssize_t at = 0; types_are_hidden && at < got;) {
        struct dirent64 *entry = (struct dirent64 *)(void *)((char *)buffer + at);
        entry->d_type = DT_UNKNOWN;
        at += entry->d_reclen;
    }
    return got;
}

int __wrap_fstatat(int dir, const char *name, struct stat *ret_stat, int flags) {
    PASSAGE(fstatat, dir, 0, 0, flags);
    THROUGH(int, fstatat(dir, name, ret_stat, flags));
}

int __wrap_unlinkat(int dir, const char *name, int flags) {
    PASSAGE(unlinkat, dir, 0, 0, flags);
    THROUGH(int, unlinkat(dir, name, flags));
}

int __wrap_mkdirat(int dir, const char *name, mode_t mode) {
    PASSAGE(mkdirat, dir, 0, 0, 0);
    THROUGH(int, mkdirat(dir, name, mode));
}

int __wrap_symlinkat(const char *target, int dir, const char *name) {
    PASSAGE(symlinkat, dir, 0, 0, 0);
    THROUGH(int, symlinkat(target, dir, name));
}

ssize_t __wrap_readlinkat(int dir, const char *name, char *buffer, size_t size) {
    PASSAGE(readlinkat, dir, size, 0, 0);
    THROUGH(ssize_t, readlinkat(dir, name, buffer, p.entry.size));
}

int __wrap_linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    PASSAGE(linkat, from_dir, 0, 0, flags);
    THROUGH(int, linkat(from_dir, from, to_dir, to, flags));
}

int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    PASSAGE(renameat2, from_dir, 0, 0, (int)flags);
    THROUGH(int, renameat2(from_dir, from, to_dir, to, flags));
}

int __wrap_fchownat(int dir, const char *name, uid_t uid, gid_t gid, int flags) {
    PASSAGE(fchownat, dir, 0, 0, flags);
    THROUGH(int, fchownat(dir, name, uid, gid, flags));
}

int __wrap_utimensat(int dir, const char *name, const struct timespec times[2], int flags) {
    PASSAGE(utimensat, dir, 0, 0, flags);
    THROUGH(int, utimensat(dir, name, times, flags));
}

int __wrap_mkdir(const char *path, mode_t mode) {
    PASSAGE(mkdir, -1, 0, 0, 0);
    THROUGH(int, mkdir(path, mode));
}

/* ---- on files ---- */

ssize_t __wrap_copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t size,
                               unsigned flags) {
    PASSAGE(copy_file_range, from, size, 0, (int)flags);
    THROUGH(ssize_t, copy_file_range(from, from_at, to, to_at, p.entry.size, flags));
}

int __wrap_ftruncate(int fd, off_t size) {
    PASSAGE(ftruncate, fd, 0, 0, 0);
    THROUGH(int, ftruncate(fd, size));
}

int __wrap_fchown(int fd, uid_t uid, gid_t gid) {
    PASSAGE(fchown, fd, 0, 0, 0);
    THROUGH(int, fchown(fd, uid, gid));
}

int __wrap_futimens(int fd, const struct timespec times[2]) {
    PASSAGE(futimens, fd, 0, 0, 0);
    THROUGH(int, futimens(fd, times));
}

ssize_t __wrap_flistxattr(int fd, char *names, size_t size) {
    PASSAGE(flistxattr, fd, size, 0, 0);
    THROUGH(ssize_t, flistxattr(fd, names, size));
}

ssize_t __wrap_fgetxattr(int fd, const char *name, void *value, size_t size) {
    PASSAGE(fgetxattr, fd, size, 0, 0);
    THROUGH(ssize_t, fgetxattr(fd, name, value, size));
}

int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags) {
    PASSAGE(fsetxattr, fd, 0, 0, flags);
    THROUGH(int, fsetxattr(fd, name, value, size, flags));
}

ssize_t __wrap_getrandom(void *buffer, size_t size, unsigned flags) {
    PASSAGE(getrandom, -1, size, 0, (int)flags);
    THROUGH(ssize_t, getrandom(buffer, size, flags));
}
