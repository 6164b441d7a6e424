/* SPDX-License-Identifier: MIT
 *
 * Copying one regular file. See copy_file.h.
 *
 * A new file is made with O_EXCL and for its owner only, so that nobody reads what the source
 * wouldn't have let him, and gets its mode when it is complete. Before a copy that failed is
 * removed, what has its name must still be the file that was made.
 */
#define _GNU_SOURCE
#include "fs/tree/copy_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "fs/tree/steps.h"
#include "fs/tree/xattrs.h"

enum { TRIES = 10 }; /* while others make and remove files of that name */

/* ---- attributes ---- */

int rondo__copy_attributes(int from, int to, const struct stat *source, unsigned flags) {
    mode_t mode = source->st_mode & 01777;
    int error;
    if (flags & RONDO_COPY_OWNER) {
        RONDO__RETRY(error, fchown(to, source->st_uid, source->st_gid));
        if (error < 0) return rondo__errno();
        mode = source->st_mode & 07777;
    }
    if (flags & RONDO_COPY_XATTRS) { /* before a mode that doesn't let us write */
        error = rondo__copy_xattrs(from, to);
        if (error < 0) return error;
    }
    RONDO__RETRY(error, fchmod(to, mode));
    if (error < 0) return rondo__errno();
    if (!(flags & RONDO_COPY_TIMES)) return 0;
    const struct timespec times[2] = {source->st_atim, source->st_mtim};
    RONDO__RETRY(error, futimens(to, times));
    return error < 0 ? rondo__errno() : 0;
}

/* ---- opening ---- */

/* What has another type than a file is an error here, and no reason to wait (a FIFO). */
static int open_regular(int dir_fd, const char *name, int flags, struct stat *ret_stat) {
    int fd;
    RONDO__RETRY(fd, openat(dir_fd, name, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (fd < 0) return errno == ENXIO || errno == ENODEV ? RONDO_ENOTSUP : rondo__errno();
    int error;
    RONDO__RETRY(error, fstat(fd, ret_stat));
    error = error < 0 ? rondo__errno() : 0;
    if (error == 0 && S_ISDIR(ret_stat->st_mode)) error = RONDO_EISDIR;
    if (error == 0 && !S_ISREG(ret_stat->st_mode)) error = RONDO_ENOTSUP;
    if (error == 0) return fd;
    close(fd);
    return error;
}

static bool is_same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static int make_file(rondo__copy_file *copy) {
    int fd;
    RONDO__RETRY(fd, openat(copy->to_dir_fd, copy->to_name,
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (fd < 0) return rondo__errno();
    struct stat st;
    int error;
    RONDO__RETRY(error, fstat(fd, &st));
    if (error == 0) {
        copy->made = true;
        copy->made_dev = st.st_dev;
        copy->made_ino = st.st_ino;
        return fd;
    }
    error = rondo__errno();
    unlinkat(copy->to_dir_fd, copy->to_name, 0);
    close(fd);
    return error;
}

static int open_old(rondo__copy_file *copy) {
    struct stat st;
    int fd = open_regular(copy->to_dir_fd, copy->to_name, O_WRONLY, &st);
    if (fd < 0) return fd;
    int error = is_same(&copy->source, &st) ? RONDO_EINVAL : 0;
    if (error == 0) {
        RONDO__RETRY(error, ftruncate(fd, 0));
        error = error < 0 ? rondo__errno() : 0;
    }
    if (error == 0) return fd;
    close(fd);
    return error;
}

int rondo__copy_make_room(int dir_fd, const char *name, const struct stat *source) {
    struct stat st;
    int error;
    RONDO__RETRY(error, fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW));
    if (error == 0 && is_same(source, &st)) return RONDO_EINVAL;
    /* Neither directories, nor what isn't anybody's to replace: /dev/null would be gone. */
    if (error == 0 && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)) return RONDO_EEXIST;
    if (error == 0) RONDO__RETRY(error, unlinkat(dir_fd, name, 0));
    return error == 0 || errno == ENOENT ? 0 : rondo__errno();
}

static int open_destination(rondo__copy_file *copy, enum rondo__copy_rule rule) {
    int fd = RONDO_EEXIST;
    for (int i = 0; i < TRIES; i++) {
        fd = make_file(copy);
        if (fd != RONDO_EEXIST || (copy->flags & RONDO_COPY_NO_REPLACE)) return fd;
        if (rule == RONDO__COPY_OVERWRITE) {
            fd = open_old(copy);
            if (fd != RONDO_ENOENT) return fd;
        } else {
            int error = rondo__copy_make_room(copy->to_dir_fd, copy->to_name, &copy->source);
            if (error < 0) return error;
        }
    }
    return fd;
}

int rondo__copy_file_begin(rondo__copy_file *copy, int from_dir_fd, const char *from_name,
                           int to_dir_fd, const char *to_name, unsigned flags,
                           enum rondo__copy_rule rule) {
    *copy = (rondo__copy_file){.flags = flags, .to_dir_fd = to_dir_fd, .to_name = to_name};
    copy->data.from = copy->data.to = -1;
    int link = rule == RONDO__COPY_MAKE_ROOM ? O_NOFOLLOW : 0;
    int from = open_regular(from_dir_fd, from_name, O_RDONLY | link, &copy->source);
    if (from < 0) return from;
    int to = open_destination(copy, rule);
    if (to < 0) {
        close(from);
        return to;
    }
    rondo__copy_data_init(&copy->data, from, to, &copy->source, flags & RONDO_COPY_CLONE);
    return 0;
}

/* ---- to its end ---- */

static void remove_made(const rondo__copy_file *copy) {
    struct stat there;
    int error;
    if (!copy->made) return;
    RONDO__RETRY(error, fstatat(copy->to_dir_fd, copy->to_name, &there, AT_SYMLINK_NOFOLLOW));
    if (error < 0 || there.st_dev != copy->made_dev || there.st_ino != copy->made_ino) return;
    RONDO__RETRY(error, unlinkat(copy->to_dir_fd, copy->to_name, 0));
}

void rondo__copy_file_abort(rondo__copy_file *copy) {
    if (copy->data.to < 0) return;
    remove_made(copy);
    rondo__copy_data_fini(&copy->data);
    close(copy->data.from);
    close(copy->data.to);
    copy->data.from = copy->data.to = -1;
}

/* Network file systems may say only now that there was no space. */
static int close_both(rondo__copy_file *copy) {
    close(copy->data.from);
    copy->data.from = -1;
    int error = close(copy->data.to) < 0 && errno != EINTR ? rondo__errno() : 0;
    copy->data.to = -1;
    if (error < 0) remove_made(copy);
    return error;
}

int rondo__copy_file_some(rondo__copy_file *copy, int64_t bytes) {
    int more = rondo__copy_data_some(&copy->data, bytes);
    if (more > 0) return more;
    if (more == 0)
        more = rondo__copy_attributes(copy->data.from, copy->data.to, &copy->source, copy->flags);
    if (more < 0) {
        rondo__copy_file_abort(copy);
        return more;
    }
    rondo__copy_data_fini(&copy->data);
    return close_both(copy);
}
