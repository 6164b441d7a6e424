/* SPDX-License-Identifier: MIT
 *
 * One regular file copied: opened, its contents, its attributes, closed. Internal to src/fs/.
 */
#ifndef RONDO__FS_COPY_FILE_H
#define RONDO__FS_COPY_FILE_H

#include <rondo/fs_tree.h>

#include "fs/tree/copy_data.h"

/* What is done to attributes: RONDO_COPY_TIMES, _OWNER and _XATTRS, and always the mode. The
 * special bits of the mode go with the owner only. */
int rondo__copy_attributes(int from, int to, const struct stat *source, unsigned flags);

typedef struct rondo__copy_file {
    rondo__copy_data data; /* its descriptors are -1 when there is no file being copied */
    struct stat source;
    unsigned flags;
    bool made; /* the destination is ours, and this one: */
    dev_t made_dev;
    ino_t made_ino;
    int to_dir_fd; /* the caller's, as to_name is */
    const char *to_name;
} rondo__copy_file;

enum rondo__copy_rule {
    RONDO__COPY_OVERWRITE, /* a file that is there keeps its inode; links are followed */
    RONDO__COPY_MAKE_ROOM  /* what is there is removed; links are not followed */
};

/* Opens both. to_dir_fd and to_name must live until the end. On failure nothing is open, and
 * nothing is left that wasn't there. RONDO_ELOOP: the source is a link (only with MAKE_ROOM). */
int rondo__copy_file_begin(rondo__copy_file *copy, int from_dir_fd, const char *from_name,
                           int to_dir_fd, const char *to_name, unsigned flags,
                           enum rondo__copy_rule rule);
/* As rondo__copy_data_some(); at 0 the copy is closed and complete, below 0 or after _abort() gone
 * if it was made. */
int rondo__copy_file_some(rondo__copy_file *copy, int64_t bytes);
/* For what is no file, with MAKE_ROOM's rule: removes what has that name, but no directory
 * (RONDO_EEXIST) and not `source` itself (RONDO_EINVAL). */
int rondo__copy_make_room(int dir_fd, const char *name, const struct stat *source);
/* Gives up, if there is a file being copied. */
void rondo__copy_file_abort(rondo__copy_file *copy);

#endif
