/* SPDX-License-Identifier: MIT
 *
 * Every file operation of fs.h and fs_path.h in a table: how it is called, in both of its forms, and
 * what must come of it. Each row runs in a directory that place_make() filled. test_fs_forms.c
 * walks through the table.
 */
#ifndef TEST_FS_ROWS_H
#define TEST_FS_ROWS_H

#include "faults.h"
#include "fs_place.h"

#include <rondo.h>

#include <inttypes.h>
#include <stdarg.h>

/* What an operation brought: how often it called back, the result, and its output in words. */
typedef struct brought {
    int calls;
    int64_t result;
    char text[4200];
} brought;

typedef struct fs_row {
    const char *name;
    int (*start)(rondo_loop *loop, rondo_job **ret_job, brought *ret);
    void (*now)(brought *ret);
    int64_t result;
    faults_calls calls; /* that do the work */
} fs_row;

/* The result of a row that brings an fd. */
#define AN_FD INT64_MAX
#define NO_FD 1000000

static char row_buffer[64], row_long_name[5000], row_long_path[5000];
static rondo_buffer row_buffers[3000];
static rondo_slice row_slices[3000];

static void say(brought *to, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(to->text, sizeof to->text, format, args);
    va_end(args);
}

static void say_stat(brought *to, const rondo_stat *stat) {
    say(to, "%d %o %u:%u %" PRIu64 " %" PRId64 " born %d", stat->type, stat->mode, stat->uid,
        stat->gid, stat->nlink, stat->size, stat->has_btime && stat->btime_ns > 0);
}

static void say_statfs(brought *to, const rondo_statfs *statfs) {
    say(to, "%" PRIx64 " %" PRIu64 " %d %d %d %" PRIu64 " %d", statfs->type, statfs->block_size,
        statfs->blocks >= statfs->free_blocks, statfs->free_blocks >= statfs->available_blocks,
        statfs->files >= statfs->free_files, statfs->name_max, statfs->read_only);
}

static void on_number(rondo_loop *loop, int64_t result, void *arg) {
    brought *to = arg;
    to->calls++;
    to->result = result;
}
static void on_stat(rondo_loop *loop, int result, const rondo_stat *stat, void *arg) {
    on_number(loop, result, arg);
    CHECK((stat == NULL) == (result < 0));
    if (stat) say_stat(arg, stat);
}
static void on_statfs(rondo_loop *loop, int result, const rondo_statfs *statfs, void *arg) {
    on_number(loop, result, arg);
    CHECK((statfs == NULL) == (result < 0));
    if (statfs) say_statfs(arg, statfs);
}
static void on_path(rondo_loop *loop, int64_t result, const char *path, void *arg) {
    on_number(loop, result, arg);
    CHECK((path == NULL) == (result < 0));
    if (path) say(arg, "%s", path);
}

/* NUM(id, result, calls, operation, arguments...): a number; BYTES: with row_buffer as output; STAT,
 * STATFS, PATH: with those; NEW: a path that is a template. */
#define NUM_ROWS(NUM, BYTES, STAT, STATFS, PATH, NEW)                                              \
    NUM(open_reads, AN_FD, CALL_openat, open, "file", O_RDONLY, 0)                                 \
    NUM(open_makes, AN_FD, CALL_openat, open, "new", O_RDWR | O_CREAT | O_EXCL, 0640)              \
    NUM(open_not_utf8, AN_FD, CALL_openat, open, "\xff\xfe\n", O_RDONLY, 0)                        \
    NUM(open_directory, AN_FD, CALL_openat, open, "dir", O_RDONLY | O_DIRECTORY, 0)                \
    NUM(open_nothing, RONDO_ENOENT, 0, open, "none", O_RDONLY, 0)                                  \
    NUM(open_dangling, RONDO_ENOENT, 0, open, "dangling", O_RDONLY, 0)                             \
    NUM(open_circle, RONDO_ELOOP, 0, open, "circle", O_RDONLY, 0)                                  \
    NUM(open_link_refused, RONDO_ELOOP, 0, open, "link", O_RDONLY | O_NOFOLLOW, 0)                 \
    NUM(open_there, RONDO_EEXIST, 0, open, "file", O_RDWR | O_CREAT | O_EXCL, 0600)                \
    NUM(open_in_a_file, RONDO_ENOTDIR, 0, open, "file/x", O_RDONLY, 0)                             \
    NUM(open_not_a_directory, RONDO_ENOTDIR, 0, open, "file", O_RDONLY | O_DIRECTORY, 0)           \
    NUM(open_directory_to_write, RONDO_EISDIR, 0, open, "dir", O_WRONLY, 0)                        \
    NUM(open_long_name, RONDO_ENAMETOOLONG, 0, open, row_long_name, O_RDONLY, 0)                   \
    NUM(open_long_path, RONDO_ENAMETOOLONG, 0, open, row_long_path, O_RDONLY, 0)                   \
    NUM(openat_reads, AN_FD, CALL_openat, openat, place_directory, "inner", O_RDONLY, 0)           \
    NUM(openat_makes, AN_FD, CALL_openat, openat, place_directory, "n", O_CREAT | O_WRONLY, 0600)  \
    NUM(openat_of_a_file, RONDO_ENOTDIR, 0, openat, place_file, "x", O_RDONLY, 0)                  \
    NUM(openat_of_nothing, RONDO_EBADF, 0, openat, NO_FD, "x", O_RDONLY, 0)                        \
    NUM(beneath_reads, AN_FD, CALL_syscall, open_beneath, place_directory, "inner", O_RDONLY, 0)   \
    NUM(beneath_makes, AN_FD, CALL_syscall, open_beneath, place_directory, "n",                    \
        O_CREAT | O_WRONLY, 0600)                                                                  \
    NUM(beneath_up, RONDO_EXDEV, 0, open_beneath, place_directory, "../file", O_RDONLY, 0)         \
    NUM(beneath_link_up, RONDO_EXDEV, 0, open_beneath, place_directory, "up", O_RDONLY, 0)         \
    NUM(beneath_link_out, RONDO_EXDEV, 0, open_beneath, place_directory, "out/tmp", O_RDONLY, 0)   \
    NUM(beneath_absolute, RONDO_EXDEV, 0, open_beneath, place_directory, "/tmp", O_RDONLY, 0)      \
    NUM(beneath_nothing, RONDO_ENOENT, 0, open_beneath, place_directory, "x", O_RDONLY, 0)         \
    BYTES(read_begin, 5, CALL_preadv, read, place_file, row_buffer, 5, 0)                          \
    BYTES(read_position, 12, CALL_readv, read, place_file, row_buffer, 64, -1)                     \
    BYTES(read_beyond, 0, CALL_preadv, read, place_file, row_buffer, 5, 100)                       \
    BYTES(read_pipe, 5, CALL_readv, read, place_pipe[0], row_buffer, 64, -1)                       \
    BYTES(read_pipe_at, RONDO_ESPIPE, 0, read, place_pipe[0], row_buffer, 64, 0)                   \
    BYTES(read_directory, RONDO_EISDIR, 0, read, place_directory, row_buffer, 64, 0)               \
    BYTES(read_no_fd, RONDO_EBADF, 0, read, NO_FD, row_buffer, 64, 0)                              \
    BYTES(readv_parts, 12, CALL_preadv, readv, place_file, row_buffers, 3000, 0)                   \
    BYTES(readv_none, 0, 0, readv, place_file, row_buffers, 0, 0)                                  \
    BYTES(readv_pipe, 5, CALL_readv, readv, place_pipe[0], row_buffers, 3000, -1)                  \
    NUM(write_begin, 5, CALL_pwritev, write, place_file, "HELLO", 5, 0)                            \
    NUM(write_position, 3, CALL_writev, write, place_file, "abc", 3, -1)                           \
    NUM(write_beyond, 1, CALL_pwritev, write, place_file, "!", 1, 20)                              \
    NUM(write_pipe, 3, CALL_writev, write, place_pipe[1], "abc", 3, -1)                            \
    NUM(write_read_only, RONDO_EBADF, 0, write, place_readable, "abc", 3, 0)                       \
    NUM(write_nothing_read_only, RONDO_EBADF, 0, write, place_readable, NULL, 0, 0)                \
    NUM(writev_parts, 3000, CALL_pwritev, writev, place_file, row_slices, 3000, 0)                 \
    NUM(writev_position, 3000, CALL_writev, writev, place_file, row_slices, 3000, -1)              \
    NUM(sendfile_all, 12, CALL_sendfile, sendfile, place_pipe[1], place_file, 0, 100)              \
    NUM(sendfile_position, 5, CALL_sendfile, sendfile, place_pipe[1], place_file, -1, 5)           \
    NUM(sendfile_nothing, 0, CALL_sendfile, sendfile, place_pipe[1], place_file, 50, 5)            \
    NUM(sendfile_no_fd, RONDO_EBADF, 0, sendfile, NO_FD, place_file, 0, 5)                         \
    NUM(sendfile_no_position, RONDO_EINVAL, 0, sendfile, place_file, place_readable, -2, 5)        \
    STAT(stat_file, 0, CALL_statx, stat, "file")                                                   \
    STAT(stat_link, 0, CALL_statx, stat, "link")                                                   \
    STAT(stat_fifo, 0, CALL_statx, stat, "fifo")                                                   \
    STAT(stat_directory, 0, CALL_statx, stat, "way")                                               \
    STAT(stat_not_utf8, 0, CALL_statx, stat, "\xff\xfe\n")                                         \
    STAT(stat_nothing, RONDO_ENOENT, 0, stat, "none")                                              \
    STAT(stat_dangling, RONDO_ENOENT, 0, stat, "dangling")                                         \
    STAT(stat_circle, RONDO_ELOOP, 0, stat, "circle")                                              \
    STAT(stat_empty, RONDO_ENOENT, 0, stat, "")                                                    \
    STAT(stat_long, RONDO_ENAMETOOLONG, 0, stat, row_long_path)                                    \
    STAT(lstat_link, 0, CALL_statx, lstat, "link")                                                 \
    STAT(lstat_circle, 0, CALL_statx, lstat, "circle")                                             \
    STAT(lstat_nothing, RONDO_ENOENT, 0, lstat, "none")                                            \
    STAT(fstat_file, 0, CALL_statx, fstat, place_file)                                             \
    STAT(fstat_pipe, 0, CALL_statx, fstat, place_pipe[0])                                          \
    STAT(fstat_no_fd, RONDO_EBADF, 0, fstat, NO_FD)                                                \
    STAT(fstat_cwd, RONDO_EBADF, 0, fstat, AT_FDCWD)                                               \
    STATFS(statfs_here, 0, CALL_statfs, statfs, ".")                                               \
    STATFS(statfs_proc, 0, CALL_statfs, statfs, "/proc")                                           \
    STATFS(statfs_nothing, RONDO_ENOENT, 0, statfs, "none")                                        \
    STATFS(fstatfs_file, 0, CALL_fstatfs, fstatfs, place_file)                                     \
    STATFS(fstatfs_no_fd, RONDO_EBADF, 0, fstatfs, NO_FD)                                          \
    NUM(truncate_shorter, 0, CALL_truncate, truncate, "file", 5)                                   \
    NUM(truncate_longer, 0, CALL_truncate, truncate, "file", 20)                                   \
    NUM(truncate_negative, RONDO_EINVAL, 0, truncate, "file", -1)                                  \
    NUM(truncate_directory, RONDO_EISDIR, 0, truncate, "dir", 0)                                   \
    NUM(ftruncate_shorter, 0, CALL_ftruncate, ftruncate, place_file, 5)                            \
    NUM(ftruncate_read_only, RONDO_EINVAL, 0, ftruncate, place_readable, 5)                        \
    NUM(fallocate_extends, 0, CALL_fallocate, fallocate, place_file, RONDO_ALLOCATE_EXTEND, 0, 50) \
    NUM(fallocate_keeps, 0, CALL_fallocate, fallocate, place_file, RONDO_ALLOCATE_KEEP_SIZE, 0,    \
        50)                                                                                        \
    NUM(fallocate_hole, 0, CALL_fallocate, fallocate, place_file, RONDO_ALLOCATE_PUNCH_HOLE, 0, 5) \
    NUM(fallocate_zero, 0, CALL_fallocate, fallocate, place_file, RONDO_ALLOCATE_ZERO_RANGE, 6,    \
        20)                                                                                        \
    NUM(fallocate_unknown, RONDO_EINVAL, 0, fallocate, place_file, (rondo_allocate)9, 0, 1)        \
    NUM(fallocate_nothing, RONDO_EINVAL, 0, fallocate, place_file, RONDO_ALLOCATE_EXTEND, 0, 0)    \
    NUM(fallocate_read_only, RONDO_EBADF, 0, fallocate, place_readable, RONDO_ALLOCATE_EXTEND, 0,  \
        1)                                                                                         \
    NUM(fsync_file, 0, CALL_fsync, fsync, place_file)                                              \
    NUM(fsync_directory, 0, CALL_fsync, fsync, place_directory)                                    \
    NUM(fsync_pipe, RONDO_EINVAL, 0, fsync, place_pipe[0])                                         \
    NUM(fdatasync_file, 0, CALL_fdatasync, fdatasync, place_file)                                  \
    NUM(fdatasync_no_fd, RONDO_EBADF, 0, fdatasync, NO_FD)                                         \
    NUM(fadvise_normal, 0, CALL_posix_fadvise, fadvise, place_file, 0, 0, RONDO_ADVICE_NORMAL)     \
    NUM(fadvise_need, 0, CALL_posix_fadvise, fadvise, place_file, 0, 0, RONDO_ADVICE_WILL_NEED)    \
    NUM(fadvise_pipe, RONDO_ESPIPE, 0, fadvise, place_pipe[0], 0, 0, RONDO_ADVICE_RANDOM)          \
    NUM(fadvise_unknown, RONDO_EINVAL, 0, fadvise, place_file, 0, 0, (rondo_advice)77)             \
    NUM(access_exists, 0, CALL_access, access, "file", F_OK)                                       \
    NUM(access_reads, 0, CALL_access, access, "file", R_OK | W_OK)                                 \
    NUM(access_runs, RONDO_EACCES, 0, access, "file", X_OK)                                        \
    NUM(access_nothing, RONDO_ENOENT, 0, access, "none", F_OK)                                     \
    NUM(access_unknown, RONDO_EINVAL, 0, access, "file", 4096)                                     \
    NUM(chmod_file, 0, CALL_chmod, chmod, "file", 0444)                                            \
    NUM(chmod_link, 0, CALL_chmod, chmod, "link", 04711)                                           \
    NUM(chmod_nothing, RONDO_ENOENT, 0, chmod, "none", 0)                                          \
    NUM(fchmod_file, 0, CALL_fchmod, fchmod, place_readable, 0400)                                 \
    NUM(fchmod_no_fd, RONDO_EBADF, 0, fchmod, NO_FD, 0400)                                         \
    NUM(chown_nobody, 0, CALL_fchownat, chown, "file", UINT32_MAX, UINT32_MAX)                     \
    NUM(chown_link, 0, CALL_fchownat, chown, "link", getuid(), getgid())                           \
    NUM(chown_dangling, RONDO_ENOENT, 0, chown, "dangling", getuid(), getgid())                    \
    NUM(lchown_dangling, 0, CALL_fchownat, lchown, "dangling", getuid(), getgid())                 \
    NUM(fchown_file, 0, CALL_fchown, fchown, place_file, getuid(), UINT32_MAX)                     \
    NUM(fchown_no_fd, RONDO_EBADF, 0, fchown, NO_FD, 0, 0)                                         \
    NUM(utime_file, 0, CALL_utimensat, utime, "file", 1234567890, 123456789012345678)              \
    NUM(utime_before_1970, 0, CALL_utimensat, utime, "file", -1, -1500000000)                      \
    NUM(utime_of_a_link, 0, CALL_utimensat, utime, "link", RONDO_TIME_OMIT, 5)                     \
    NUM(utime_now, 0, CALL_utimensat, utime, "file", RONDO_TIME_NOW, RONDO_TIME_NOW)               \
    NUM(utime_omit, 0, CALL_utimensat, utime, "file", RONDO_TIME_OMIT, RONDO_TIME_OMIT)            \
    NUM(utime_nothing, RONDO_ENOENT, 0, utime, "none", 0, 0)                                       \
    NUM(lutime_link, 0, CALL_utimensat, lutime, "dangling", 0, 77)                                 \
    NUM(futime_file, 0, CALL_futimens, futime, place_file, 3, 4000000001)                          \
    NUM(futime_no_fd, RONDO_EBADF, 0, futime, NO_FD, 0, 0)                                         \
    NUM(futime_cwd, RONDO_EBADF, 0, futime, AT_FDCWD, 0, 0)                                        \
    PATH(readlink_link, 4, CALL_readlink, readlink, "link")                                        \
    PATH(readlink_file, RONDO_EINVAL, 0, readlink, "file")                                         \
    PATH(readlink_nothing, RONDO_ENOENT, 0, readlink, "none")                                      \
    PATH(realpath_root, 4, CALL_realpath, realpath, "/tmp/../tmp/.")                               \
    PATH(realpath_nothing, RONDO_ENOENT, 0, realpath, "none")                                      \
    PATH(realpath_circle, RONDO_ELOOP, 0, realpath, "circle")                                      \
    NUM(rename_new, 0, CALL_rename, rename, "file", "new", RONDO_RENAME_REPLACE)                   \
    NUM(rename_over, 0, CALL_rename, rename, "file", "empty", RONDO_RENAME_REPLACE)                \
    NUM(rename_careful, 0, CALL_renameat2, rename, "file", "new", RONDO_RENAME_NO_REPLACE)         \
    NUM(rename_refused, RONDO_EEXIST, 0, rename, "file", "empty", RONDO_RENAME_NO_REPLACE)         \
    NUM(rename_exchange, 0, CALL_renameat2, rename, "file", "dir", RONDO_RENAME_EXCHANGE)          \
    NUM(rename_exchange_none, RONDO_ENOENT, 0, rename, "file", "none", RONDO_RENAME_EXCHANGE)      \
    NUM(rename_nothing, RONDO_ENOENT, 0, rename, "none", "new", RONDO_RENAME_REPLACE)              \
    NUM(rename_full, RONDO_ENOTEMPTY, 0, rename, "hollow", "dir", RONDO_RENAME_REPLACE)            \
    NUM(rename_within, RONDO_EINVAL, 0, rename, "dir", "dir/x", RONDO_RENAME_REPLACE)              \
    NUM(rename_unknown, RONDO_EINVAL, 0, rename, "file", "new", (rondo_rename)9)                   \
    NUM(link_new, 0, CALL_link, link, "file", "new")                                               \
    NUM(link_there, RONDO_EEXIST, 0, link, "file", "empty")                                        \
    NUM(link_directory, RONDO_EPERM, 0, link, "dir", "new")                                        \
    NUM(symlink_new, 0, CALL_symlink, symlink, "any\xffthing", "new")                              \
    NUM(symlink_there, RONDO_EEXIST, 0, symlink, "x", "file")                                      \
    NUM(symlink_empty, RONDO_ENOENT, 0, symlink, "", "new")                                        \
    NUM(unlink_file, 0, CALL_unlink, unlink, "file")                                               \
    NUM(unlink_link, 0, CALL_unlink, unlink, "way")                                                \
    NUM(unlink_directory, RONDO_EISDIR, 0, unlink, "dir")                                          \
    NUM(unlink_nothing, RONDO_ENOENT, 0, unlink, "none")                                           \
    NUM(rmdir_hollow, 0, CALL_rmdir, rmdir, "hollow")                                              \
    NUM(rmdir_full, RONDO_ENOTEMPTY, 0, rmdir, "dir")                                              \
    NUM(rmdir_file, RONDO_ENOTDIR, 0, rmdir, "file")                                               \
    NUM(mkdir_new, 0, CALL_mkdir, mkdir, "new", 0711)                                              \
    NUM(mkdir_there, RONDO_EEXIST, 0, mkdir, "file", 0700)                                         \
    NUM(mkdir_nowhere, RONDO_ENOENT, 0, mkdir, "none/new", 0700)                                   \
    NEW(mkdtemp_new, 0, CALL_mkdtemp, mkdtemp, "tmp-XXXXXX")                                       \
    NEW(mkdtemp_not_random, RONDO_EINVAL, 0, mkdtemp, "tmp-XXXXX")                                 \
    NEW(mkdtemp_nowhere, RONDO_ENOENT, 0, mkdtemp, "none/tmp-XXXXXX")                              \
    NEW(mkstemp_new, AN_FD, CALL_mkostemp, mkstemp, "tmp-XXXXXX")                                  \
    NEW(mkstemp_short, RONDO_EINVAL, 0, mkstemp, "X")

#define DEFINE(id, callback, operation, sync, ...)                                          \
    static int start_##id(rondo_loop *loop, rondo_job **ret_job, brought *ret) {            \
        return rondo_fs_##operation(loop, __VA_ARGS__, ret_job, callback, ret);             \
    }                                                                                       \
    static void now_##id(brought *ret) { sync }
#define DEFINE_NUM(id, want, calls, operation, ...) \
    DEFINE(id, on_number, operation, ret->result = rondo_fs_##operation##_sync(__VA_ARGS__);, \
           __VA_ARGS__)
#define DEFINE_STAT(id, want, calls, operation, ...)                                \
    DEFINE(id, on_stat, operation, rondo_stat stat;                                 \
           ret->result = rondo_fs_##operation##_sync(__VA_ARGS__, &stat);           \
           if (ret->result >= 0) say_stat(ret, &stat);, __VA_ARGS__)
#define DEFINE_STATFS(id, want, calls, operation, ...)                              \
    DEFINE(id, on_statfs, operation, rondo_statfs statfs;                           \
           ret->result = rondo_fs_##operation##_sync(__VA_ARGS__, &statfs);         \
           if (ret->result >= 0) say_statfs(ret, &statfs);, __VA_ARGS__)
#define DEFINE_PATH(id, want, calls, operation, ...)                                  \
    DEFINE(id, on_path, operation, ret->result = rondo_fs_##operation##_sync(         \
                                       __VA_ARGS__, ret->text, sizeof ret->text);     \
           , __VA_ARGS__)
#define DEFINE_NEW(id, want, calls, operation, path)                     \
    DEFINE(id, on_path, operation, char name[64] = path;                 \
           ret->result = rondo_fs_##operation##_sync(name);              \
           if (ret->result < 0) CHECK_STR(name, path);                   \
           else say(ret, "%s", name);, path)
NUM_ROWS(DEFINE_NUM, DEFINE_NUM, DEFINE_STAT, DEFINE_STATFS, DEFINE_PATH, DEFINE_NEW)

#define ROW(id, want, calls, operation, ...) {#id, start_##id, now_##id, want, calls},
static const fs_row fs_rows[] = {NUM_ROWS(ROW, ROW, ROW, ROW, ROW, ROW)};
#define FS_ROWS (sizeof fs_rows / sizeof fs_rows[0])

/* What rows point to. */
static void rows_prepare(void) {
    memset(row_buffer, 0, sizeof row_buffer);
    memset(row_long_name, 'x', 256);
    memset(row_long_path, 'x', sizeof row_long_path - 1);
    for (size_t i = 1; i < sizeof row_long_path - 1; i += 2) row_long_path[i] = '/';
    for (size_t i = 0; i < 3000; i++) { /* one byte each; the last ones of row_buffers are empty */
        row_buffers[i] = (rondo_buffer){row_buffer + (i < 60 ? i : 60), i < 60};
        row_slices[i] = (rondo_slice){&"0123456789"[i % 10], 1};
    }
}

#endif
