/* SPDX-License-Identifier: MIT
 *
 * rondo_fs_write_file(): a file replaced as a whole, or not at all.
 *
 * A temporary file beside it, and rename(2), which replaces a name in one go. O_TMPFILE would leave
 * nothing behind even after a crash, but linkat(2), the way to give such a file a name, can't
 * replace one; so it would still need a name of its own and a rename, and would bring nothing.
 *
 * The order is what makes it safe: contents on the disk, then the name, then the name on the disk
 * (fsync(2), NOTES). Everything happens in the one directory that was opened at the beginning.
 */
#define _GNU_SOURCE /* renameat2, O_PATH */
#include <rondo/fs_tree.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/tree/place.h"
#include "fs/tree/steps.h"
#include "loop/memory.h"

enum { PIECE_BYTES = 1024 * 1024, PIECES_PER_STEP = 4, NAME_TRIES = 100 };

typedef struct writing {
    rondo__steps steps;
    rondo__place place;
    int fd;    /* of the temporary file, while it is open */
    bool made; /* there is one */
    char temporary[32];
    const char *data; /* the caller's */
    size_t len, done;
    uint32_t mode; /* as asked for; then the one to set at the end, or RONDO_MODE_KEEP */
    unsigned flags;
    char path[];
} writing;
RONDO__STEPS_FIT(writing);

/* ---- the temporary file ---- */

static int new_name(writing *w) {
    uint64_t random;
    ssize_t got;
    RONDO__RETRY(got, getrandom(&random, sizeof random, 0));
    if (got < 0) return rondo__errno();
    snprintf(w->temporary, sizeof w->temporary, ".rondo-%016llx", (unsigned long long)random);
    return 0;
}

static int make_temporary(writing *w, mode_t mode) {
    for (int i = 0; i < NAME_TRIES; i++) {
        int error = new_name(w);
        if (error < 0) return error;
        RONDO__RETRY(w->fd, openat(w->place.dir_fd, w->temporary,
                                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
        w->made = w->fd >= 0;
        if (w->made) return 0;
        if (errno != EEXIST) return rondo__errno();
    }
    return RONDO_EEXIST;
}

/* The owner, which may be refused, and then it is ours; and which mode it will have. */
static int take_attributes(writing *w, const struct stat *old) {
    mode_t mode = old->st_mode & 07777;
    int error;
    if (old->st_nlink == 0) return 0; /* a new one; without a mode as open(2) made it */
    RONDO__RETRY(error, fchown(w->fd, old->st_uid, old->st_gid));
    if (error < 0 && errno != EPERM) return rondo__errno();
    if (error < 0) mode &= 01777; /* not as somebody else */
    if (w->mode == RONDO_MODE_KEEP) w->mode = mode;
    return 0;
}

/* At the end: writing takes the setuid and setgid bits away (write(2), inode(7)). */
static int set_mode(const writing *w) {
    int error;
    if (w->mode == RONDO_MODE_KEEP) return 0;
    RONDO__RETRY(error, fchmod(w->fd, (mode_t)w->mode));
    return error < 0 ? rondo__errno() : 0;
}

/* ---- steps ---- */

static int begin(writing *w) {
    struct stat old = {.st_nlink = 0};
    int error = rondo__place_open(w->path, &w->place);
    if (error == 0 && !(w->flags & RONDO_WRITE_NO_REPLACE)) error = rondo__place_follow(&w->place);
    if (error < 0) return error;
    RONDO__RETRY(error, fstatat(w->place.dir_fd, w->place.name, &old, AT_SYMLINK_NOFOLLOW));
    if (error < 0 && errno != ENOENT) return rondo__errno();
    if (error == 0) {
        if (w->flags & RONDO_WRITE_NO_REPLACE) return RONDO_EEXIST;
        if (S_ISDIR(old.st_mode)) return RONDO_EISDIR;
        if (!S_ISREG(old.st_mode)) return RONDO_ENOTSUP;
    }
    if (error < 0) old.st_nlink = 0;
    bool by_umask = old.st_nlink == 0 && w->mode == RONDO_MODE_KEEP;
    error = make_temporary(w, by_umask ? 0666 : 0600);
    return error < 0 ? error : take_attributes(w, &old);
}

static int write_some(writing *w) {
    size_t len = w->len - w->done < PIECE_BYTES ? w->len - w->done : PIECE_BYTES;
    ssize_t put;
    RONDO__RETRY(put, write(w->fd, w->data + w->done, len));
    if (put < 0) return rondo__errno();
    if (put == 0) return RONDO_EIO; /* or it would go on for ever */
    w->done += (size_t)put;
    w->steps.done = w->done;
    return 0;
}

static int sync_file(const writing *w) {
    int error;
    if (w->flags & RONDO_WRITE_NO_SYNC) return 0;
    RONDO__RETRY(error, fsync(w->fd));
    return error < 0 ? rondo__errno() : 0;
}

/* Some file systems know no RENAME_NOREPLACE (EINVAL), but links can't replace either. */
static int give_name(writing *w) {
    int dir = w->place.dir_fd, error;
    unsigned how = w->flags & RONDO_WRITE_NO_REPLACE ? RENAME_NOREPLACE : 0;
    RONDO__RETRY(error, renameat2(dir, w->temporary, dir, w->place.name, how));
    if (error == 0) {
        w->made = false;
    } else if (how != 0 && (errno == EINVAL || errno == ENOSYS)) {
        RONDO__RETRY(error, linkat(dir, w->temporary, dir, w->place.name, 0));
    }
    return error < 0 ? rondo__errno() : 0;
}

/* A directory that may not be read, or a file system that can't, has done what it can. */
static int sync_directory(const writing *w) {
    if (w->flags & RONDO_WRITE_NO_SYNC) return 0;
    int fd, error;
    RONDO__RETRY(fd, openat(w->place.dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0) return errno == EACCES ? 0 : rondo__errno();
    RONDO__RETRY(error, fsync(fd));
    error = error < 0 && errno != EINVAL && errno != EROFS ? rondo__errno() : 0;
    close(fd);
    return error;
}

static int finish(writing *w) {
    int error = set_mode(w);
    if (error == 0) error = sync_file(w);
    if (error < 0) return error;
    int fd = w->fd;
    w->fd = -1;
    error = close(fd) < 0 && errno != EINTR ? rondo__errno() : 0;
    if (error == 0) error = give_name(w);
    return error < 0 ? error : sync_directory(w);
}

static int64_t step(rondo__steps *steps) {
    writing *w = (writing *)steps;
    int error = w->made ? 0 : begin(w);
    for (int i = 0; i < PIECES_PER_STEP && error == 0 && w->done < w->len; i++) {
        if (rondo__steps_canceled(steps)) return RONDO_ECANCELED;
        error = write_some(w);
    }
    if (error == 0 && w->done < w->len) return RONDO__MORE;
    if (error == 0) error = finish(w);
    return error < 0 ? error : (int64_t)w->len;
}

static void end(rondo__steps *steps) {
    writing *w = (writing *)steps;
    int error;
    if (w->fd >= 0) close(w->fd);
    if (w->made) RONDO__RETRY(error, unlinkat(w->place.dir_fd, w->temporary, 0));
    rondo__place_close(&w->place);
}

static void told_thunk(rondo__fn fn, rondo_loop *loop, rondo_handle *handle, void *payload,
                       void *arg) {
    const writing *w = payload;
    (void)handle;
    ((rondo_fs_cb)fn)(loop, w->steps.result, arg);
}

static const rondo__steps_kind kind = {
    .event = {"fs.write_file", told_thunk}, .step = step, .end = end, .borrows = true};

static rondo__steps *make(const char *path, const void *data, size_t len, uint32_t mode,
                          unsigned flags) {
    size_t size = strlen(path) + 1;
    writing *w = rondo__steps_new(&kind, sizeof *w + size);
    if (!w) return NULL;
    w->steps.total = len;
    w->place.dir_fd = w->fd = -1;
    w->data = data;
    w->len = len;
    w->mode = mode;
    w->flags = flags;
    memcpy(w->path, path, size);
    return &w->steps;
}

static bool is_valid(const char *path, const void *data, size_t len, uint32_t mode,
                     unsigned flags) {
    const unsigned all = RONDO_WRITE_NO_REPLACE | RONDO_WRITE_NO_SYNC;
    return path && (data || len == 0) && len <= INT64_MAX && !(flags & ~all) &&
           (mode == RONDO_MODE_KEEP || mode <= 07777);
}

int rondo_fs_write_file(rondo_loop *loop, const char *path, const void *data, size_t len,
                        uint32_t mode, unsigned flags, rondo_job **ret_job, rondo_fs_cb cb,
                        void *arg) {
    if (!cb || !is_valid(path, data, len, mode, flags)) return RONDO_EINVAL;
    rondo__steps *steps = make(path, data, len, mode, flags);
    return rondo__steps_start(loop, steps, ret_job, RONDO__FN(cb), arg);
}

int64_t rondo_fs_write_file_sync(const char *path, const void *data, size_t len, uint32_t mode,
                                 unsigned flags) {
    if (!is_valid(path, data, len, mode, flags)) return RONDO_EINVAL;
    rondo__steps *steps = make(path, data, len, mode, flags);
    int64_t result = rondo__steps_run(steps);
    rondo__steps_free(steps);
    return result;
}
