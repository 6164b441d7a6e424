/* SPDX-License-Identifier: MIT
 *
 * rondo_fs_stat() and rondo_fs_fstat(), and what of stat(2) is passed on.
 */
#include <rondo/error.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/request.h"

typedef struct stat_request {
    rondo__fs_request base;
    rondo_stat stat;
    int fd;
    char path[]; /* of rondo_fs_stat() */
} stat_request;

typedef struct stat_answer {
    int result;
    const rondo_stat *stat;
} stat_answer;

static rondo_file_type type_of(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG: return RONDO_FILE_REGULAR;
    case S_IFDIR: return RONDO_FILE_DIRECTORY;
    case S_IFLNK: return RONDO_FILE_SYMLINK;
    case S_IFIFO: return RONDO_FILE_FIFO;
    case S_IFSOCK: return RONDO_FILE_SOCKET;
    case S_IFCHR: return RONDO_FILE_CHAR_DEVICE;
    case S_IFBLK: return RONDO_FILE_BLOCK_DEVICE;
    default: return RONDO_FILE_UNKNOWN;
    }
}

/* Cut at the years 1677 and 2262, where 64 bits end; file systems can go further. */
static int64_t time_ns(const struct timespec *time) {
    const int64_t limit_s = INT64_MAX / 1000000000 - 1;
    if (time->tv_sec > limit_s) return INT64_MAX;
    if (time->tv_sec < -limit_s) return INT64_MIN;
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

static void convert(const struct stat *from, rondo_stat *ret_stat) {
    *ret_stat = (rondo_stat){
        .type = type_of(from->st_mode),
        .mode = (uint32_t)from->st_mode & 07777,
        .uid = from->st_uid,
        .gid = from->st_gid,
        .dev = from->st_dev,
        .ino = from->st_ino,
        .nlink = from->st_nlink,
        .size = from->st_size,
        .blocks = from->st_blocks,
        .atime_ns = time_ns(&from->st_atim),
        .mtime_ns = time_ns(&from->st_mtim),
        .ctime_ns = time_ns(&from->st_ctim),
    };
}

static int64_t run_stat(rondo_job *job) {
    stat_request *request = (stat_request *)job;
    struct stat st;
    int error;
    do { /* network file systems can be interrupted */
        error = stat(request->path, &st);
    } while (error < 0 && errno == EINTR);
    if (error < 0) return rondo__fs_error();
    convert(&st, &request->stat);
    return 0;
}

static int64_t run_fstat(rondo_job *job) {
    stat_request *request = (stat_request *)job;
    struct stat st;
    if (fstat(request->fd, &st) < 0) return rondo__fs_error();
    convert(&st, &request->stat);
    return 0;
}

static void stat_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    const stat_answer *answer = payload;
    (void)handle;
    ((rondo_fs_stat_cb)fn)(loop, answer->result, answer->stat, arg);
}

static void deliver_stat(rondo_loop *loop, rondo_job *job, int64_t result) {
    stat_request *request = (stat_request *)job;
    const rondo__event *event = request->base.event;
    rondo__fn cb = request->base.cb;
    void *arg = request->base.arg;
    rondo_stat stat = result < 0 ? (rondo_stat){.type = RONDO_FILE_UNKNOWN} : request->stat;
    stat_answer answer = {(int)result, result < 0 ? NULL : &stat};
    rondo__request_free(job);
    rondo__door(loop, NULL, event, cb, &answer, arg);
}

static const rondo__fs_kind stat_kind = {
    .event = {"fs.stat", stat_thunk}, .run = run_stat, .deliver = deliver_stat};
static const rondo__fs_kind fstat_kind = {
    .event = {"fs.fstat", stat_thunk}, .run = run_fstat, .deliver = deliver_stat};

static int submit(rondo_loop *loop, const rondo__fs_kind *kind, const char *path, int fd,
                  rondo_job **ret_job, rondo_fs_stat_cb cb, void *arg) {
    rondo_job *job;
    size_t path_size = strlen(path) + 1;
    int error =
        rondo__fs_new(loop, kind, sizeof(stat_request) + path_size, RONDO__FN(cb), arg, &job);
    if (error < 0) return error;
    ((stat_request *)job)->fd = fd;
    memcpy(((stat_request *)job)->path, path, path_size);
    error = rondo__fs_submit(loop, job, ret_job);
    if (error < 0) rondo__request_free(job);
    return error;
}

int rondo_fs_fstat(rondo_loop *loop, int fd, rondo_job **ret_job, rondo_fs_stat_cb cb, void *arg) {
    return cb ? submit(loop, &fstat_kind, "", fd, ret_job, cb, arg) : RONDO_EINVAL;
}

int rondo_fs_stat(rondo_loop *loop, const char *path, rondo_job **ret_job, rondo_fs_stat_cb cb,
                  void *arg) {
    return path && cb ? submit(loop, &stat_kind, path, -1, ret_job, cb, arg) : RONDO_EINVAL;
}
