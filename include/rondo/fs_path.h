/* SPDX-License-Identifier: MIT
 *
 * File operations by name, in two forms each; the rules are in fs.h. A path is bytes, ended by a
 * NUL, in no particular encoding; it is copied. Too long a path, or name in it: RONDO_ENAMETOOLONG.
 * Relative ones begin at the current directory of the process.
 */
#ifndef RONDO_FS_PATH_H
#define RONDO_FS_PATH_H

#include <rondo/fs.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- open ---- */

/* open(2); flags and mode are those of <fcntl.h>. The result is the fd, the caller's to close. A FIFO
 * is waited for by a thread of the lane: add O_NONBLOCK. A file or directory whose name is in the
 * kernel's cache is opened for reading without a worker. */
RONDO_API int rondo_fs_open(rondo_loop *loop, const char *path, int flags, uint32_t mode,
                            rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_open_sync(const char *path, int flags, uint32_t mode);
/* The same of a path that begins at an open directory. */
RONDO_API int rondo_fs_openat(rondo_loop *loop, int dir_fd, const char *path, int flags,
                              uint32_t mode, rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_openat_sync(int dir_fd, const char *path, int flags, uint32_t mode);
/* The same, but nothing outside of that directory is ever opened, whatever the path says and
 * whoever renames or links meanwhile (openat2(2), RESOLVE_BENEATH): RONDO_EXDEV for what leads out by
 * "..", a link or a slash in front; RONDO_ELOOP for links of /proc; RONDO_EAGAIN when the tree was
 * renamed too often meanwhile. On a kernel without it (before 5.6), or where a sandbox refuses it,
 * links are not followed at all (RONDO_ELOOP, RONDO_ENOTDIR) and ".." is refused (RONDO_EXDEV). */
RONDO_API int rondo_fs_open_beneath(rondo_loop *loop, int dir_fd, const char *path, int flags,
                                    uint32_t mode, rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_open_beneath_sync(int dir_fd, const char *path, int flags, uint32_t mode);

/* ---- what is there ---- */

/* stat(2) follows symbolic links, lstat(2) does not follow the last one. */
RONDO_API int rondo_fs_stat(rondo_loop *loop, const char *path, rondo_job **ret_job,
                            rondo_fs_stat_cb cb, void *arg);
RONDO_API int rondo_fs_stat_sync(const char *path, rondo_stat *ret_stat);
RONDO_API int rondo_fs_lstat(rondo_loop *loop, const char *path, rondo_job **ret_job,
                             rondo_fs_stat_cb cb, void *arg);
RONDO_API int rondo_fs_lstat_sync(const char *path, rondo_stat *ret_stat);
/* statfs(2): of the file system that the file is on. */
RONDO_API int rondo_fs_statfs(rondo_loop *loop, const char *path, rondo_job **ret_job,
                              rondo_fs_statfs_cb cb, void *arg);
RONDO_API int rondo_fs_statfs_sync(const char *path, rondo_statfs *ret_statfs);
/* access(2), by the real user: mode is F_OK, or some of R_OK | W_OK | X_OK of <unistd.h>. What was
 * allowed need not be when you do it: better do it and look at the error. */
RONDO_API int rondo_fs_access(rondo_loop *loop, const char *path, int mode, rondo_job **ret_job,
                              rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_access_sync(const char *path, int mode);

/* path (NUL-terminated, valid during the call) is NULL when result is negative. */
typedef void (*rondo_fs_path_cb)(rondo_loop *loop, int64_t result, const char *path, void *arg);
/* readlink(2): what a symbolic link says. realpath(3): the absolute path without links. The result
 * is its length. The synchronous forms write it and a NUL to ret_path; RONDO_ENOBUFS when it has no
 * room for both. */
RONDO_API int rondo_fs_readlink(rondo_loop *loop, const char *path, rondo_job **ret_job,
                                rondo_fs_path_cb cb, void *arg);
RONDO_API int rondo_fs_readlink_sync(const char *path, char *ret_path, size_t size);
RONDO_API int rondo_fs_realpath(rondo_loop *loop, const char *path, rondo_job **ret_job,
                                rondo_fs_path_cb cb, void *arg);
RONDO_API int rondo_fs_realpath_sync(const char *path, char *ret_path, size_t size);

/* ---- names ---- */

typedef enum rondo_rename {
    RONDO_RENAME_REPLACE,    /* what `to` was is gone */
    RONDO_RENAME_NO_REPLACE, /* RONDO_EEXIST when there is a `to` */
    RONDO_RENAME_EXCHANGE    /* each becomes the other */
} rondo_rename;
/* renameat2(2): at no moment is there no `to`, if there was one. After a crash it may be the old one
 * or the new one, until the directory was synced. RONDO_EXDEV: not on one file system.
 * RONDO_EINVAL: the file system can only replace. */
RONDO_API int rondo_fs_rename(rondo_loop *loop, const char *from, const char *to, rondo_rename how,
                              rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_rename_sync(const char *from, const char *to, rondo_rename how);
/* link(2): one more name for a file; symlink(2): a link that says `target`, which need not exist. */
RONDO_API int rondo_fs_link(rondo_loop *loop, const char *path, const char *new_path,
                            rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_link_sync(const char *path, const char *new_path);
RONDO_API int rondo_fs_symlink(rondo_loop *loop, const char *target, const char *new_path,
                               rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_symlink_sync(const char *target, const char *new_path);
/* unlink(2), for anything but directories; rmdir(2), for empty ones. */
RONDO_API int rondo_fs_unlink(rondo_loop *loop, const char *path, rondo_job **ret_job,
                              rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_unlink_sync(const char *path);
RONDO_API int rondo_fs_rmdir(rondo_loop *loop, const char *path, rondo_job **ret_job,
                             rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_rmdir_sync(const char *path);
/* mkdir(2). */
RONDO_API int rondo_fs_mkdir(rondo_loop *loop, const char *path, uint32_t mode, rondo_job **ret_job,
                             rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_mkdir_sync(const char *path, uint32_t mode);
/* mkdtemp(3), mkstemp(3): a new directory (0700), or a new file open for reading and writing (0600),
 * whose path is the one given with its last six letters, which must be XXXXXX (else RONDO_EINVAL),
 * replaced. The result is 0, or the fd; the synchronous forms replace them in path. */
RONDO_API int rondo_fs_mkdtemp(rondo_loop *loop, const char *path, rondo_job **ret_job,
                               rondo_fs_path_cb cb, void *arg);
RONDO_API int rondo_fs_mkdtemp_sync(char *path);
RONDO_API int rondo_fs_mkstemp(rondo_loop *loop, const char *path, rondo_job **ret_job,
                               rondo_fs_path_cb cb, void *arg);
RONDO_API int rondo_fs_mkstemp_sync(char *path);

/* ---- size, permissions, times: as the ones on descriptors in fs.h ---- */

RONDO_API int rondo_fs_truncate(rondo_loop *loop, const char *path, int64_t size,
                                rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_truncate_sync(const char *path, int64_t size);
RONDO_API int rondo_fs_chmod(rondo_loop *loop, const char *path, uint32_t mode, rondo_job **ret_job,
                             rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_chmod_sync(const char *path, uint32_t mode);
/* lchown and lutime: of a symbolic link itself. */
RONDO_API int rondo_fs_chown(rondo_loop *loop, const char *path, uint32_t uid, uint32_t gid,
                             rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_chown_sync(const char *path, uint32_t uid, uint32_t gid);
RONDO_API int rondo_fs_lchown(rondo_loop *loop, const char *path, uint32_t uid, uint32_t gid,
                              rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_lchown_sync(const char *path, uint32_t uid, uint32_t gid);
RONDO_API int rondo_fs_utime(rondo_loop *loop, const char *path, int64_t atime_ns, int64_t mtime_ns,
                             rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_utime_sync(const char *path, int64_t atime_ns, int64_t mtime_ns);
RONDO_API int rondo_fs_lutime(rondo_loop *loop, const char *path, int64_t atime_ns,
                              int64_t mtime_ns, rondo_job **ret_job, rondo_fs_cb cb, void *arg);
RONDO_API int rondo_fs_lutime_sync(const char *path, int64_t atime_ns, int64_t mtime_ns);

#ifdef __cplusplus
}
#endif
#endif
