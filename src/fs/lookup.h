/* SPDX-License-Identifier: MIT
 *
 * Opening with conditions on how the name is looked up: beneath a directory and nowhere else, or
 * from the kernel's caches only. Any thread. Internal; src/http/ uses it, too.
 */
#ifndef RONDO__FS_LOOKUP_H
#define RONDO__FS_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

typedef enum rondo__beneath {
    RONDO__BENEATH_KERNEL, /* openat2: links are followed within the directory */
    RONDO__BENEATH_WALK    /* openat, one name after another: links are not followed at all */
} rondo__beneath;

/* Opens a path beneath the directory, with the flags (O_CLOEXEC is added) and mode of open(2).
 * Returns the fd, or a negative RONDO_E*: RONDO_EXDEV for what leads out. */
int rondo__open_beneath(int directory, const char *path, int flags, uint32_t mode,
                        rondo__beneath how);
/* The same for a path that came from reading directories: no link in it is followed, and it may be
 * longer than PATH_MAX. RONDO_ELOOP or RONDO_ENOTDIR for a link, as the system has it. */
int rondo__open_beneath_plain(int directory, const char *path, int flags);
/* The best way that this kernel or sandbox has. May wait for the disk. */
rondo__beneath rondo__beneath_best(int directory);
/* The same, but RONDO_EAGAIN for whatever the kernel's caches can't answer: only a worker can tell.
 * Only on the directory's own file system: see rondo__is_local(). */
int rondo__open_beneath_cached(int directory, const char *path, int flags);

/* openat(2) with O_PATH, which opens nothing but the name, from the caches only: RONDO_EAGAIN when a
 * worker must be asked. RONDO_ENOENT is final. */
int rondo__open_name_cached(int directory, const char *path, int flags);

/* Whether a file system (statfs(2), f_type) is the kernel's alone: names and attributes that it has
 * in memory are true, and opening a file asks nobody. Not so on a network's, nor in FUSE. */
bool rondo__is_local(uint64_t type);

#endif
