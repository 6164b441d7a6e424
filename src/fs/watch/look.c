/* SPDX-License-Identifier: MIT
 *
 * The workers' part: resolving a path, reading directories. Bounded: a look reads so many names of
 * so many directories, and keeps its place in a large one for the next.
 *
 * Nothing below the watched path is reached by following a link: directories are opened one beneath
 * the other with O_NOFOLLOW, and the kernel is asked to watch what is behind the descriptor. So one
 * that is swapped for a link while a tree is read leads nowhere else.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "fs/entries.h"
#include "fs/watch/watch.h"
#include "loop/retry.h"

#define LINKS_MOST 40 /* as the kernel's */
/* One getdents64(2), and the records that it fills at most: 24 bytes become 96. */
#define BATCH_BYTES 8192
#define BATCH_MOST (BATCH_BYTES / 24 * 96)
#define STEP (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int open_at(int at, const char *name, int flags) {
    int fd;
    RONDO__RETRY(fd, openat(at, name, flags));
    return fd < 0 ? rondo__errno() : fd;
}

static int64_t time_ns(const struct timespec *time) {
    return (int64_t)((uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec);
}

static rondo__watch_stamp stamp_of(const struct stat *st) {
    return (rondo__watch_stamp){.dev = st->st_dev,
                                .ino = st->st_ino,
                                .size = st->st_size,
                                .mtime_ns = time_ns(&st->st_mtim),
                                .ctime_ns = time_ns(&st->st_ctim),
                                .is_directory = S_ISDIR(st->st_mode)};
}

/* Room for a record with a name at the end; NULL when the look is full. Linked by `next`. */
static void *record(rondo__look *look, size_t size) {
    size_t at = look->used > 0 ? look->used : 16; /* 0 is no offset */
    size = (size + 15) / 16 * 16;
    if (at + size > RONDO__LOOK_BYTES) return NULL;
    if (look->last > 0)
        *(size_t *)(void *)(look->bytes + look->last) = at;
    else
        look->first = at;
    look->last = at;
    look->used = at + size;
    return memset(look->bytes + at, 0, size);
}

_Static_assert(offsetof(rondo__look_entry, next) == 0, "record() links by the first field");
_Static_assert(offsetof(rondo__look_place, next) == 0, "record() links by the first field");

/* ---- resolving a path ---- */

typedef struct walk {
    rondo__look *look;
    int fd; /* the directory where it has come to */
    int links;
    bool watched; /* fd is, for the part in `name` ... */
    bool is_end;  /* ... taken for the end of the path */
    char name[NAME_MAX + 1];
    char rest[2 * PATH_MAX];  /* of the path, after name */
    char where[2 * PATH_MAX]; /* fd, for systems without /proc */
} walk;

/* Network file systems tell of what was done here, if anything, but not of what others do. */
static bool notifies(int fd) {
    static const unsigned long silent[] = {
        0x6969,     /* NFS */
        0x517b,     /* SMB */
        0xff534d42, /* CIFS */
        0xfe534d42, /* SMB2 */
        0x65735546, /* FUSE: sshfs and many more */
        0x01021997, /* 9p */
        0x5346414f, /* AFS */
        0x6b414653, /* kAFS */
        0x00c36400, /* Ceph */
        0x0bd00bd0, /* Lustre */
        0x73757245, /* Coda */
    };
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0) return true;
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
        if (((unsigned long)fs.f_type & 0xffffffff) == silent[i]) return false;
    return true;
}

/* The next part of the path into name: false at its end. */
static bool next_part(walk *w, int *ret_error) {
    size_t slashes = strspn(w->rest, "/"), len = strcspn(w->rest + slashes, "/");
    if (len == 0) return false;
    if (len > NAME_MAX) return *ret_error = RONDO_ENAMETOOLONG, false;
    memcpy(w->name, w->rest + slashes, len);
    w->name[len] = '\0';
    memmove(w->rest, w->rest + slashes + len, strlen(w->rest + slashes + len) + 1);
    w->watched = false;
    return true;
}

static bool is_last(const walk *w) { return w->rest[strspn(w->rest, "/")] == '\0'; }

static int go_to(walk *w, int fd, const char *where) {
    if (fd < 0) return fd;
    if (w->fd >= 0) close(w->fd);
    w->fd = fd;
    size_t used = where[0] == '/' ? 0 : strlen(w->where);
    snprintf(w->where + used, sizeof w->where - used, "%s%s", used > 1 ? "/" : "", where);
    return 0;
}

/* Leaves a watch on the directory for name. Looked at again afterwards, so that nothing can happen
 * between the look and the watch. A directory that can't be read: its names can't be watched. */
static int leave_watch(walk *w, bool is_end, bool names) {
    rondo__look *look = w->look;
    size_t size = strlen(w->name) + 1;
    int wd = -1;
    if (look->inotify) {
        wd = rondo__inotify_add(look->inotify, w->fd, w->where, names);
        if (wd < 0 && (wd != RONDO_EACCES || (is_end && !names))) return wd;
    }
    w->watched = true;
    w->is_end = is_end;
    rondo__look_place *place = record(look, sizeof *place + size);
    if (!place) return RONDO_ELOOP;
    place->wd = wd < 0 ? -1 : wd;
    place->is_end = is_end;
    memcpy(place->name, w->name, size);
    return 0;
}

static int follow(walk *w) {
    char target[PATH_MAX + 1];
    if (++w->links > LINKS_MOST) return RONDO_ELOOP;
    ssize_t len = readlinkat(w->fd, w->name, target, PATH_MAX);
    if (len < 0)
        return errno == EINVAL || errno == ENOENT ? 1 : rondo__errno(); /* it has changed */
    size_t rest = strlen(w->rest);
    if ((size_t)len + rest + 2 > sizeof w->rest) return RONDO_ENAMETOOLONG;
    memmove(w->rest + len + 1, w->rest, rest + 1);
    memcpy(w->rest, target, (size_t)len);
    w->rest[len] = '/';
    if (rest == 0) w->rest[len] = '\0';
    return target[0] == '/' ? go_to(w, open_at(AT_FDCWD, "/", STEP), "/") : 0;
}

/* The end is there, and a directory. */
static int reach_directory(walk *w) {
    rondo__look *look = w->look;
    struct stat st;
    if (fstat(w->fd, &st) < 0) return rondo__errno();
    look->stamp = stamp_of(&st);
    look->exists = true;
    look->network = !notifies(w->fd);
    if (!look->inotify) return 0;
    int wd = rondo__inotify_add(look->inotify, w->fd, w->where, false);
    if (wd < 0) return wd;
    look->root_wd = wd;
    return 0;
}

/* One part of the path. 1: goes on, 0: the end was reached, or an error. */
static int step(walk *w) {
    rondo__look *look = w->look;
    struct stat st;
    bool last = is_last(w);
    if (strcmp(w->name, ".") == 0 || strcmp(w->name, "..") == 0) {
        int error = go_to(w, open_at(w->fd, w->name, STEP), w->name);
        return error < 0 ? error : last ? reach_directory(w) : 1;
    }
    bool again;
    do {
        bool there = fstatat(w->fd, w->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
        if (!there && errno != ENOENT) return rondo__errno();
        bool is_link = there && S_ISLNK(st.st_mode), is_dir = there && S_ISDIR(st.st_mode);
        bool is_end = last && !is_link;
        again = (!is_dir || last) && (!w->watched || w->is_end != is_end);
        if (again) {
            int error = leave_watch(w, is_end, !is_end || is_dir);
            if (error < 0) return error;
        } else if (is_link) {
            int error = follow(w);
            if (error != 1) return error < 0 ? error : 1;
            again = true;
        } else if (is_dir) {
            int error = go_to(w, open_at(w->fd, w->name, STEP), w->name);
            if (error == RONDO_ENOENT || error == RONDO_ENOTDIR || error == RONDO_ELOOP)
                again = ++w->links <= LINKS_MOST; /* it has changed just now */
            if (!again) return error < 0 ? error : last ? reach_directory(w) : 1;
        } else {
            look->exists = there && last;
            look->missing_early = !last;
            look->network = !notifies(w->fd);
            if (look->exists) look->stamp = stamp_of(&st);
        }
    } while (again);
    return 0;
}

int64_t rondo__look_resolve(rondo_job *job) {
    rondo__look *look = (rondo__look *)job;
    walk w = {.look = look, .fd = -1};
    int error = 0;
    snprintf(w.rest, sizeof w.rest, "%s", look->path);
    error = go_to(&w, open_at(AT_FDCWD, "/", STEP), "/");
    if (error == 0 && is_last(&w)) error = reach_directory(&w);
    while (error >= 0 && next_part(&w, &error) && (error = step(&w)) > 0) {}
    if (w.fd >= 0) close(w.fd);
    look->error = error < 0 ? error : 0;
    return 0;
}

/* ---- reading directories ---- */

/* The watched directory, if it is still the one that is meant. */
static int open_root(const rondo__look *look) {
    struct stat st;
    int fd = open_at(AT_FDCWD, look->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fd;
    int error = fstat(fd, &st) < 0 ? rondo__errno() : 0;
    rondo__watch_stamp stamp = stamp_of(&st);
    if (error == 0 && rondo__stamp_other(&stamp, &look->stamp)) error = RONDO_ENOENT;
    if (error == 0) return fd;
    close(fd);
    return error;
}

/* Opens a directory beneath root, without following links. */
static int open_beneath(int root, const char *path) {
    char name[NAME_MAX + 1];
    int at = root, fd = RONDO_ENAMETOOLONG;
    do {
        size_t len = strcspn(path, "/");
        if (len > NAME_MAX) break;
        memcpy(name, len > 0 ? path : ".", len > 0 ? len : 1);
        name[len > 0 ? len : 1] = '\0';
        bool last = path[len] == '\0';
        path += last ? len : len + 1;
        fd = open_at(at, name, last ? STEP & ~O_PATH : STEP);
        if (at != root) close(at);
        at = fd;
        if (last) return fd;
    } while (fd >= 0);
    return fd;
}

static void take_name(rondo__look *look, unsigned index, int fd, const rondo_dir_entry *found) {
    rondo__watch_stamp stamp = {.is_directory = found->type == RONDO_FILE_DIRECTORY};
    struct stat st;
    if (look->stat || found->type == RONDO_FILE_UNKNOWN) {
        if (fstatat(fd, found->name, &st, AT_SYMLINK_NOFOLLOW) < 0) return; /* gone */
        stamp = stamp_of(&st);
    }
    size_t size = strlen(found->name) + 1;
    rondo__look_entry *entry = record(look, sizeof *entry + size);
    RONDO_ASSERT(entry);
    entry->dir = index;
    entry->stamp = stamp;
    memcpy(entry->name, found->name, size);
    look->names++;
}

/* Reads on until the directory ends or the look is full. */
static int read_names(rondo__look *look, unsigned index, int fd) {
    _Alignas(8) char buffer[BATCH_BYTES]; /* as the kernel aligns its records */
    while (look->names < RONDO__LOOK_NAMES && look->used <= RONDO__LOOK_BYTES - BATCH_MOST) {
        ssize_t got = getdents64(fd, buffer, sizeof buffer);
        if (got < 0) return rondo__errno();
        if (got == 0) {
            look->dirs[index].complete = true;
            return 0;
        }
        rondo__entries entries = {.data = buffer, .len = (size_t)got};
        rondo_dir_entry found;
        while (rondo__entries_take(&entries, &found)) take_name(look, index, fd, &found);
    }
    return 0;
}

/* The directory, open and watched. */
static int begin(rondo__look *look, unsigned index, int root) {
    rondo__look_dir *dir = &look->dirs[index];
    const char *path = look->paths + dir->path;
    char full[2 * PATH_MAX];
    int fd = open_beneath(root, path);
    if (fd < 0) return fd;
    if (!look->inotify) return fd;
    snprintf(full, sizeof full, "%s/%s", look->path, path);
    int wd = rondo__inotify_add(look->inotify, fd, full, false);
    if (wd >= 0) {
        dir->wd = wd;
        return fd;
    }
    close(fd);
    return wd;
}

int64_t rondo__look_read(rondo_job *job) {
    rondo__look *look = (rondo__look *)job;
    int fd = look->fd, root = -1; /* goes on in the middle of dirs[0] */
    unsigned done = 0;
    look->fd = -1;
    for (; done < look->count && look->names < RONDO__LOOK_NAMES && look->fd < 0; done++) {
        rondo__look_dir *dir = &look->dirs[done];
        if (fd < 0 && root < 0) root = open_root(look);
        if (fd < 0 && (root == RONDO_ENOENT || root == RONDO_ENOTDIR || root == RONDO_ELOOP)) {
            look->astray = true; /* which says nothing of what is below */
            break;
        }
        if (fd < 0) fd = root < 0 ? root : begin(look, done, root);
        dir->error = fd < 0 ? fd : read_names(look, done, fd);
        if (fd >= 0 && dir->error == 0 && !dir->complete)
            look->fd = fd;
        else if (fd >= 0)
            close(fd);
        fd = -1;
    }
    if (root >= 0) close(root);
    look->done = done;
    return 0;
}
