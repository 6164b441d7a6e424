/* SPDX-License-Identifier: MIT
 *
 * For the tests of file operations: a directory that is filled in always the same way, and a
 * description in words of what is in it, so that two of them can be compared.
 */
#ifndef TEST_FS_PLACE_H
#define TEST_FS_PLACE_H

#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of "file" (read and write), of it again (read only), of the directory, and of a pipe with "piped"
 * in it. */
static int place_file = -1, place_readable = -1, place_directory = -1, place_pipe[2] = {-1, -1};
static char place_path[64];

static void place_put(const char *name, const char *text, mode_t mode) {
    int fd = open(name, O_CREAT | O_WRONLY | O_EXCL, mode);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, text, strlen(text)), (long long)strlen(text));
    CHECK_INT(fchmod(fd, mode), 0);
    CHECK_INT(close(fd), 0);
}

/* Makes it and goes there. */
__attribute__((unused)) static void place_make(void) {
    /* In memory if possible: a disk makes the tests slow, and no better. */
    snprintf(place_path, sizeof place_path, "/dev/shm/rondo-place-XXXXXX");
    if (!mkdtemp(place_path)) {
        snprintf(place_path, sizeof place_path, "/tmp/rondo-place-XXXXXX");
        CHECK(mkdtemp(place_path) != NULL);
    }
    CHECK_INT(chdir(place_path), 0);
    place_put("file", "hello, world", 0640);
    place_put("empty", "", 0600);
    place_put("\xff\xfe\n", "not UTF-8", 0600);
    CHECK_INT(mkdir("dir", 0750), 0);
    CHECK_INT(mkdir("hollow", 0700), 0);
    place_put("dir/inner", "within", 0600);
    CHECK_INT(symlink("file", "link"), 0);
    CHECK_INT(symlink("dir", "way"), 0);
    CHECK_INT(symlink("nowhere", "dangling"), 0);
    CHECK_INT(symlink("circle", "circle"), 0);
    CHECK_INT(symlink("../file", "dir/up"), 0);
    CHECK_INT(symlink("/", "dir/out"), 0);
    CHECK_INT(mkfifo("fifo", 0600), 0);
    place_file = open("file", O_RDWR | O_CLOEXEC);
    place_readable = open("file", O_RDONLY | O_CLOEXEC);
    place_directory = open("dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(place_file >= 0 && place_readable >= 0 && place_directory >= 0);
    CHECK_INT(pipe2(place_pipe, O_CLOEXEC), 0);
    CHECK_INT(write(place_pipe[1], "piped", 5), 5);
}

static int place_remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    return remove(path);
}

/* Goes away, and removes it. */
__attribute__((unused)) static void place_remove(void) {
    close(place_file);
    close(place_readable);
    close(place_directory);
    close(place_pipe[0]);
    close(place_pipe[1]);
    CHECK_INT(chdir("/"), 0);
    CHECK_INT(nftw(place_path, place_remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

typedef struct place_text {
    size_t len;
    char text[8192];
} place_text;

/* Names that are random: mkdtemp's. */
static void place_describe_name(place_text *to, const char *directory, const char *name) {
    char path[512], target[256] = "", data[64] = "";
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    CHECK_INT(lstat(path, &st), 0);
    ssize_t len = S_ISLNK(st.st_mode) ? readlink(path, target, sizeof target - 1) : 0;
    CHECK(len >= 0);
    int fd = S_ISREG(st.st_mode) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        CHECK(read(fd, data, sizeof data - 1) >= 0);
        close(fd);
    }
    bool dated = st.st_mtim.tv_sec < 1000000000; /* set by a row */
    to->len += (size_t)snprintf(
        to->text + to->len, sizeof to->text - to->len, "%s/%.4s%s %o %d:%d %d %lld.%ld '%s%s'\n",
        directory, name, strncmp(name, "tmp-", 4) == 0 ? "??????" : name + strnlen(name, 4),
        st.st_mode, (int)st.st_uid, (int)st.st_gid, (int)st.st_nlink,
        dated ? (long long)st.st_mtim.tv_sec : 0, dated ? st.st_mtim.tv_nsec : 0, target, data);
    CHECK(to->len < sizeof to->text);
}

static void place_describe_directory(place_text *to, const char *directory) {
    struct dirent **entries;
    int count = scandir(directory, &entries, NULL, alphasort);
    CHECK(count >= 0);
    for (int i = 0; i < count; i++) {
        if (strcmp(entries[i]->d_name, "..") != 0)
            place_describe_name(to, directory, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

/* What is in it, and where the descriptors are. Valid until the next call but one. */
__attribute__((unused)) static const char *place_describe(void) {
    static place_text texts[2];
    static int turn;
    place_text *to = &texts[turn++ % 2];
    to->len = 0;
    place_describe_directory(to, ".");
    struct stat st;
    if (stat("dir", &st) == 0 && S_ISDIR(st.st_mode)) place_describe_directory(to, "dir");
    snprintf(to->text + to->len, sizeof to->text - to->len, "at %lld, %lld\n",
             (long long)lseek(place_file, 0, SEEK_CUR),
             (long long)lseek(place_readable, 0, SEEK_CUR));
    return to->text;
}

#endif
