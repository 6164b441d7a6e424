/* SPDX-License-Identifier: MIT
 *
 * The file of a listening Unix socket. bind(2) makes it and nothing ever removes it: it stays when a
 * server dies, and is in the way of the next one. A file is taken to be left behind if it is a
 * socket and refuses connections; only such a file is replaced.
 *
 * A socket that is bound and does not listen yet refuses connections too. So that of two servers that
 * start at once none takes the other's for dead, the directory is locked (flock(2)) from before bind
 * to after listen. The lock leaves nothing behind, and needs no more than the right to read the
 * directory. It is an aid among servers of good will: where it can't be had (no right, or somebody
 * holds it for long), the server does without.
 */
#define _GNU_SOURCE /* O_PATH */
#include "net/unix_file.h"

#include <rondo/error.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop/assert.h"
#include "loop/memory.h"
#include "net/socket.h"
#include "net/socket_calls.h"
#include "net/socket_connect.h"
#include "net/socket_listen.h"

/* Holding it takes a few system calls; the loop stands still for as long as we wait. */
#define LOCK_TRIES 50

struct rondo__unix_file {
    dev_t dev;
    ino_t ino;
    char path[];
};

/* ---- the lock ---- */

/* -1: no lock. Closing it unlocks. */
static int lock_directory(const char *path) {
    char directory[sizeof((rondo_address *)0)->socket.bytes];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    RONDO_ASSERT(len < sizeof directory);
    memcpy(directory, path, len);
    directory[len] = '\0';
    if (len == 0) strcpy(directory, slash ? "/" : ".");
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), tries = LOCK_TRIES;
    if (fd < 0) return -1;
    while (flock(fd, LOCK_EX | LOCK_NB) < 0 && tries-- > 0) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK) break;
        (void)poll(NULL, 0, 1);
    }
    return fd;
}

/* ---- files that are in the way ---- */

/* The file itself, not what a symbolic link leads to. */
static bool find_socket(const char *path, struct stat *ret_about) {
    return lstat(path, ret_about) == 0 && S_ISSOCK(ret_about->st_mode);
}

static bool is_same(const struct stat *a, dev_t dev, ino_t ino) {
    return a->st_dev == dev && a->st_ino == ino;
}

/* Removes a socket that nobody listens on; true when it is gone. */
static bool remove_dead(const char *path, const rondo_address *address) {
    struct stat before, after;
    bool done;
    if (!find_socket(path, &before)) return false;
    int fd = rondo__socket_connect(address, NULL, &done);
    if (fd >= 0) rondo__socket_close(fd); /* somebody lives there */
    if (fd != RONDO_ECONNREFUSED) return false;
    if (!find_socket(path, &after) || !is_same(&after, before.st_dev, before.st_ino)) return false;
    return unlink(path) == 0;
}

/* ---- our own ---- */

/* The umask may have taken permissions that were asked for. The file is held by a descriptor that
 * can do nothing but name it: if somebody puts another in its place, that one is not touched. */
static int grant(const char *path, unsigned mode, const rondo__unix_file *file) {
    struct stat about;
    char name[32];
    int held = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (held < 0) return rondo__socket_failure();
    int status = 0;
    if (fstat(held, &about) < 0)
        status = rondo__socket_failure();
    else if (!is_same(&about, file->dev, file->ino))
        status = RONDO_EADDRINUSE;
    snprintf(name, sizeof name, "/proc/self/fd/%d", held);
    if (status == 0 && chmod(name, mode) < 0) status = rondo__socket_failure();
    close(held);
    return status;
}

static rondo__unix_file *new_file(const char *path) {
    size_t size = strlen(path) + 1;
    rondo__unix_file *file = rondo__zalloc(sizeof *file + size);
    if (file) memcpy(file->path, path, size);
    return file;
}

/* Before its socket is closed: from then on another server may put its own there at any time. Of a
 * file that was not made yet, dev and ino are 0, as of none that is there. */
static void unlink_own(const rondo__unix_file *file) {
    struct stat about;
    if (find_socket(file->path, &about) && is_same(&about, file->dev, file->ino))
        (void)unlink(file->path);
}

void rondo__unix_file_remove(rondo__unix_file *file) {
    if (!file) return;
    unlink_own(file);
    rondo__free(file);
}

/* The file that was just made. */
static int finish_file(const char *path, unsigned mode, rondo__unix_file *file) {
    struct stat about;
    if (!find_socket(path, &about)) return RONDO_EADDRINUSE; /* somebody was faster to remove it */
    file->dev = about.st_dev;
    file->ino = about.st_ino;
    return mode && (about.st_mode & 0777) != mode ? grant(path, mode, file) : 0;
}

static int bind_file(const char *path, const rondo_address *address, unsigned mode, int backlog,
                     rondo__unix_file *file) {
    int fd = rondo__socket_bind_unix(address, mode);
    if (fd == RONDO_EADDRINUSE && remove_dead(path, address))
        fd = rondo__socket_bind_unix(address, mode);
    if (fd < 0) return fd;
    int status = finish_file(path, mode, file);
    if (status == 0) status = rondo__socket_start_listening(fd, backlog);
    if (status == 0) return fd;
    unlink_own(file);
    rondo__socket_close(fd);
    return status;
}

static int listen_abstract(const rondo_address *address, int backlog) {
    int fd = rondo__socket_bind_unix(address, 0);
    int status = fd < 0 ? fd : rondo__socket_start_listening(fd, backlog);
    if (status < 0 && fd >= 0) rondo__socket_close(fd);
    return status < 0 ? status : fd;
}

int rondo__unix_listen(const char *path, unsigned mode, int backlog, rondo__unix_file **ret_file) {
    rondo_address address;
    int status = rondo_address_parse_unix(path, &address);
    if (status < 0) return status;
    if (mode & ~0777u) return RONDO_EINVAL;
    if (*path == '@') {
        *ret_file = NULL;
        return listen_abstract(&address, backlog);
    }
    rondo__unix_file *file = new_file(path);
    if (!file) return RONDO_ENOMEM;
    int lock = lock_directory(path);
    int fd = bind_file(path, &address, mode, backlog, file);
    if (fd < 0)
        rondo__free(file);
    else
        *ret_file = file;
    if (lock >= 0) close(lock);
    return fd;
}
