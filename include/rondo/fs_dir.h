/* SPDX-License-Identifier: MIT
 *
 * Directories: listed at once, read in batches, made with all above them. Each function has two
 * forms, as in fs.h: the asynchronous one is for the loop thread, returns 0 or what fs.h says, and
 * its result comes by the callback; the synchronous one (_sync) is for any thread and returns the
 * same result.
 *
 * Names are bytes, as the system has them: anything but '/' and NUL, no UTF-8 assumed. "." and ".."
 * are left out. What comes or goes while a directory is read may be told or not; everything else is
 * told once (readdir(3)).
 */
#ifndef RONDO_FS_DIR_H
#define RONDO_FS_DIR_H

#include <rondo/fs.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One name in a directory. The type is what the directory says, and where it doesn't say, what
 * fstatat(2) does; RONDO_FILE_UNKNOWN when it has gone meanwhile. Links are not followed. */
typedef struct rondo_dir_entry {
    const char *name;
    rondo_file_type type;
} rondo_dir_entry;

/* The entries are valid during the call; NULL, and count 0, when result is negative. result is the
 * count otherwise. */
typedef void (*rondo_fs_entries_cb)(rondo_loop *loop, int64_t result,
                                    const rondo_dir_entry *entries, void *arg);

/* All entries, sorted by the bytes of their names. At most max_entries (1 or more, else
 * RONDO_EINVAL): if there are more, the result is RONDO_ENOBUFS. In steps, so that a huge directory
 * keeps no worker. ret_entries: one block, for rondo_free(); not NULL even when there are none. */
RONDO_API int rondo_fs_scandir(rondo_loop *loop, const char *path, size_t max_entries,
                               rondo_job **ret_job, rondo_fs_entries_cb cb, void *arg);
RONDO_API int64_t rondo_fs_scandir_sync(const char *path, size_t max_entries,
                                        rondo_dir_entry **ret_entries);

/* An open directory: a descriptor and a buffer of 32 KiB, the caller's to close. Belongs to no
 * loop. One operation at a time; RONDO_EBUSY for a second one. */
typedef struct rondo_dir rondo_dir;

/* dir is NULL when result is negative, and the receiver's otherwise. */
typedef void (*rondo_fs_opendir_cb)(rondo_loop *loop, int result, rondo_dir *dir, void *arg);

RONDO_API int rondo_fs_opendir(rondo_loop *loop, const char *path, rondo_job **ret_job,
                               rondo_fs_opendir_cb cb, void *arg);
RONDO_API int rondo_fs_opendir_sync(const char *path, rondo_dir **ret_dir);

/* The next entries in the directory's own order, max_entries of them (1 to 4096, else RONDO_EINVAL)
 * or fewer; 0 at the end, and again at each call after it. ret_entries is valid until the next
 * synchronous call with this dir; the callback's entries are during it, though it may ask for the
 * next ones. A directory that was removed is at its end. */
RONDO_API int rondo_fs_readdir(rondo_loop *loop, rondo_dir *dir, size_t max_entries,
                               rondo_job **ret_job, rondo_fs_entries_cb cb, void *arg);
RONDO_API int64_t rondo_fs_readdir_sync(rondo_dir *dir, size_t max_entries,
                                        const rondo_dir_entry **ret_entries);

/* Closes it: nothing that waits, so there is one form, for any thread. NULL is allowed. RONDO_EBUSY
 * while an operation is under way; otherwise it is gone. */
RONDO_API int rondo_fs_closedir(rondo_dir *dir);

/* mkdir(2) of path and of all that is missing above it. The result is how many directories were
 * made, 0 when it was there. mode (less the umask) is that of the last one; the others get it with
 * write and search permission for their owner. Others may make the same at the same time, or remove
 * them: that is tried again, 100 times. RONDO_ENOTDIR: something else is in the way. What was made
 * before an error stays. */
RONDO_API int rondo_fs_mkdir_all(rondo_loop *loop, const char *path, uint32_t mode,
                                 rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int64_t rondo_fs_mkdir_all_sync(const char *path, uint32_t mode);

#ifdef __cplusplus
}
#endif
#endif
