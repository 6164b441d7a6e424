/* SPDX-License-Identifier: MIT
 *
 * The entries of a directory, one buffer at a time. See entries.h.
 */
#define _GNU_SOURCE /* getdents64, DT_* */
#include "fs/entries.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "loop/assert.h"
#include "loop/retry.h"

int rondo__entries_fill(rondo__entries *entries, size_t size, int fd) {
    ssize_t got;
    RONDO__RETRY(got, getdents64(fd, entries->data, size));
    entries->at = 0;
    entries->len = got > 0 ? (size_t)got : 0;
    if (got < 0) return errno == ENOENT ? 0 : rondo__errno(); /* removed: getdents(2) */
    return got > 0;
}

static rondo_file_type type_of(unsigned char type) {
    switch (type) {
    case DT_REG: return RONDO_FILE_REGULAR;
    case DT_DIR: return RONDO_FILE_DIRECTORY;
    case DT_LNK: return RONDO_FILE_SYMLINK;
    case DT_FIFO: return RONDO_FILE_FIFO;
    case DT_SOCK: return RONDO_FILE_SOCKET;
    case DT_CHR: return RONDO_FILE_CHAR_DEVICE;
    case DT_BLK: return RONDO_FILE_BLOCK_DEVICE;
    default: return RONDO_FILE_UNKNOWN;
    }
}

rondo_file_type rondo__type_of_mode(mode_t mode) { return type_of((unsigned char)IFTODT(mode)); }

static bool is_dots(const char *name) {
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

bool rondo__entries_take(rondo__entries *entries, rondo_dir_entry *ret_entry) {
    while (entries->at < entries->len) {
        /* The kernel aligns each record to 8 bytes, and so are our buffers. */
        const struct dirent64 *found =
            (const struct dirent64 *)(void *)(entries->data + entries->at);
        RONDO_ASSERT(found->d_reclen > 0 && found->d_reclen <= entries->len - entries->at);
        entries->at += found->d_reclen;
        entries->position = found->d_off;
        if (is_dots(found->d_name)) continue;
        *ret_entry = (rondo_dir_entry){found->d_name, type_of(found->d_type)};
        return true;
    }
    return false;
}

int rondo__entries_type(int fd, rondo_dir_entry *entry) {
    struct stat st;
    int error;
    if (entry->type != RONDO_FILE_UNKNOWN) return 0;
    RONDO__RETRY(error, fstatat(fd, entry->name, &st, AT_SYMLINK_NOFOLLOW));
    if (error < 0) return rondo__errno();
    entry->type = rondo__type_of_mode(st.st_mode);
    return 0;
}
