/* SPDX-License-Identifier: MIT
 *
 * Which file answers: the one that is named, or the index of a directory, or the one that stands in
 * for what does not exist; and whether a compressed form of it lies beside it. Any thread: the loop's
 * asks the kernel's caches, a worker the disk.
 */
#include <fcntl.h>
#include <limits.h>
#include <rondo/error.h>
#include <string.h>
#include <unistd.h>

#include "fs/lookup.h"
#include "http/files/files.h"
#include "loop/memory.h"

static bool is_directory_path(const char *path) {
    size_t len = strlen(path);
    return len == 0 || path[len - 1] == '/';
}

/* A name that asks for a certain file, not for a place in an application. */
static bool has_ending(const char *path) {
    const char *slash = strrchr(path, '/');
    return strchr(slash ? slash : path, '.') != NULL;
}

/* The settled one has the modification time of what it was made from, or a later one. */
static bool is_older(const struct stat *st, const struct stat *original) {
    if (st->st_mtim.tv_sec != original->st_mtim.tv_sec)
        return st->st_mtim.tv_sec < original->st_mtim.tv_sec;
    return st->st_mtim.tv_nsec < original->st_mtim.tv_nsec;
}

/* Takes the best compressed form of the file that was found, if there is one. path has room for an
 * ending. RONDO_EAGAIN: only a worker can tell. Whatever else goes wrong, there is the file itself. */
static int prefer_compressed(const rondo__file_task *task, rondo__files_how how,
                             char path[PATH_MAX], rondo__found *found) {
    size_t len = strlen(path);

    for (unsigned i = 0; i < task->coding_count; i++) {
        rondo__coding coding = task->codings[i];
        const char *ending = coding == RONDO__CODING_BR ? ".br" : ".gz";
        struct stat st;
        if (len + strlen(ending) >= PATH_MAX) return 0;
        strcpy(path + len, ending);
        int fd = rondo__files_open(task->root, path, how, &st);
        path[len] = '\0';
        if (fd == RONDO_EAGAIN && how == RONDO__FILES_CACHED) return fd;
        if (fd < 0) continue;
        if (is_older(&st, &found->st)) {
            close(fd);
            continue;
        }
        close(found->fd);
        found->fd = fd;
        found->st = st;
        found->coding = coding;
        return 0;
    }
    return 0;
}

/* Lists the directory that has no index. */
static void list(const rondo__file_task *task, rondo__files_how how, rondo__found *found) {
    const char *path = task->text[RONDO__FILE_PATH];

    if (how == RONDO__FILES_CACHED) {
        found->fd = RONDO_EAGAIN;
        return;
    }
    rondo__beneath beneath = how == RONDO__FILES_WALK ? RONDO__BENEATH_WALK : RONDO__BENEATH_KERNEL;
    int fd =
        rondo__open_beneath(task->root, path[0] ? path : ".", O_RDONLY | O_DIRECTORY, 0, beneath);
    if (fd >= 0) fd = rondo__files_list(fd, path, &found->page, &found->page_len);
    found->fd = fd < 0 ? fd : RONDO_EISDIR;
}

/* False when it does not fit. */
static bool join(char path[PATH_MAX], const char *directory, const char *name) {
    size_t len = strlen(directory), name_len = strlen(name);

    if (len + name_len >= PATH_MAX) return false;
    memcpy(path, directory, len);
    memcpy(path + len, name, name_len + 1);
    return true;
}

static bool is_missing(int error) { return error == RONDO_ENOENT || error == RONDO_ENOTDIR; }

void rondo__files_find(const rondo__file_task *task, rondo__files_how how,
                       rondo__found *ret_found) {
    char path[PATH_MAX];
    const char *asked = task->text[RONDO__FILE_PATH], *index = task->text[RONDO__FILE_INDEX];
    const char *fallback = task->text[RONDO__FILE_FALLBACK];
    bool is_directory = is_directory_path(asked);

    ret_found->coding = RONDO__CODING_IDENTITY;
    ret_found->page = NULL;
    ret_found->name = is_directory && index ? index : asked;
    ret_found->fd = RONDO_ENOENT;
    if ((!is_directory || index) && join(path, asked, is_directory ? index : ""))
        ret_found->fd = rondo__files_open(task->root, path, how, &ret_found->st);
    /* An index that is itself a directory is none. */
    bool no_index =
        is_directory && (ret_found->fd == RONDO_ENOENT || ret_found->fd == RONDO_EISDIR);
    if (no_index && task->listing) list(task, how, ret_found);
    if (is_missing(ret_found->fd) && fallback && !has_ending(asked)) {
        ret_found->name = fallback;
        if (join(path, fallback, ""))
            ret_found->fd = rondo__files_open(task->root, path, how, &ret_found->st);
    }
    if (ret_found->fd < 0 || task->coding_count == 0) return;
    if (prefer_compressed(task, how, path, ret_found) < 0) {
        close(ret_found->fd);
        ret_found->fd = RONDO_EAGAIN;
    }
}

void rondo__found_drop(rondo__found *found) {
    if (found->fd >= 0) close(found->fd);
    rondo__free(found->page);
    found->fd = RONDO_ECANCELED;
    found->page = NULL;
}
