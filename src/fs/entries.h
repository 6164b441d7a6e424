/* SPDX-License-Identifier: MIT
 *
 * Reading the entries of an open directory: getdents64(2) into a buffer of the caller's, which is
 * then taken apart. Linux only; elsewhere readdir(3) would stand here. Internal to src/fs/.
 *
 * Not readdir(3): its buffer is allocated where the allocator hook doesn't see it, and a directory
 * that was closed to save a descriptor is gone on with by the position that each entry carries.
 */
#ifndef RONDO__FS_ENTRIES_H
#define RONDO__FS_ENTRIES_H

#include <rondo/fs_dir.h>

#include <sys/types.h>

enum { RONDO__ENTRIES_BYTES = 32 * 1024 };

typedef struct rondo__entries {
    char *data;
    size_t at, len; /* what is left lies from at to len */
    off_t position; /* in the directory, behind what was taken */
} rondo__entries;

/* Fills data, which has room for size bytes, from the directory. Returns 1, 0 at the end, or an error.
 * A directory that was removed is at its end. */
int rondo__entries_fill(rondo__entries *entries, size_t size, int fd);
/* Takes the next one that is left in data, but "." and "..". False: none is left. The type may be
 * RONDO_FILE_UNKNOWN: the file system doesn't say. The name lies in data. */
bool rondo__entries_take(rondo__entries *entries, rondo_dir_entry *ret_entry);
/* Asks for the type that the file system didn't say. Returns 0 or an error: RONDO_ENOENT, it's
 * gone. */
int rondo__entries_type(int fd, rondo_dir_entry *entry);
/* From st_mode. */
rondo_file_type rondo__type_of_mode(mode_t mode);

#endif
