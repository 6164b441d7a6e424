/* SPDX-License-Identifier: MIT
 *
 * For tests of directories, whole files and trees: a place to work in, trees made from a line of
 * text and shown as one, and each operation as one function for its two forms.
 */
#ifndef TEST_TREES_H
#define TEST_TREES_H

#include "gate.h"
#include "harness.h"

#include <rondo.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TREES_HELPER __attribute__((unused)) static

/* TEST_BOTH(name) { ... } runs its body twice, each time in a new place: with the synchronous
 * forms, and with the asynchronous ones. */
#define TEST_BOTH(name)                   \
    static void both_##name(void);        \
    TEST(name) { run_both(both_##name); } \
    static void both_##name(void)

static char place[64];             /* the directory of the test */
static rondo_loop *the_loop;       /* NULL: synchronously */
static rondo_tree_report reported; /* by the last operation on a tree */
static bool with_sync; /* only where it matters: fsync(2) takes long on a busy machine */

TREES_HELPER void place_begin(void) {
    /* In memory where there is such a place: the disk of a busy machine is slow. */
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(place, sizeof place, "%s/rondo-trees-XXXXXX", parent);
    CHECK(mkdtemp(place) != NULL);
    CHECK_INT(chmod(place, 0755), 0);
}

TREES_HELPER void place_end(void) {
    char command[256];
    snprintf(command, sizeof command, "chmod -R u+rwx '%s' && rm -rf '%s'", place, place);
    CHECK_INT(system(command), 0);
}

TREES_HELPER void run_both(void (*body)(void)) {
    place_begin();
    body();
    place_end();
    the_loop = new_loop();
    place_begin();
    body();
    place_end();
    rondo_loop_free(the_loop);
    the_loop = NULL;
}

/* "PLACE/name"; good for the next 8 calls. */
TREES_HELPER const char *at(const char *name) {
    static char paths[8][5000];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", place, name);
    return path;
}

/* Permissions mean nothing to root. */
TREES_HELPER void become_nobody(void) {
    if (geteuid() != 0) return;
    CHECK_INT(chown(place, 65534, 65534), 0);
    CHECK_INT(setresgid(65534, 65534, 65534), 0);
    CHECK_INT(setresuid(65534, 65534, 65534), 0);
}

/* ---- trees ---- */

TREES_HELPER void put(const char *name, const void *data, size_t len) {
    int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, data, len), (long long)len);
    close(fd);
}

/* "a/ a/b=text a/c>target a/f|": directories, files, links and FIFOs, in this order. */
TREES_HELPER void grow(const char *text) {
    char *copy = strdup(text), *rest = copy;
    for (char *word; (word = strtok_r(rest, " ", &rest));) {
        size_t name_len = strcspn(word, "=>|");
        char kind = word[name_len];
        const char *value = kind ? word + name_len + 1 : "";
        word[name_len] = '\0';
        if (kind == '=')
            put(word, value, strlen(value));
        else if (kind == '>')
            CHECK_INT(symlink(value, at(word)), 0);
        else if (kind == '|')
            CHECK_INT(mkfifo(at(word), 0600), 0);
        else
            CHECK_INT(mkdir(at(word), 0755), 0);
    }
    free(copy);
}

TREES_HELPER void show_below(const char *path, size_t prefix, char *ret_text, size_t room) {
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    CHECK(count >= 0);
    for (int i = 0; i < count; i++) {
        char inner[1000], extra[300] = "";
        struct stat st;
        snprintf(inner, sizeof inner, "%s/%s", path, names[i]->d_name);
        bool dots = strcmp(names[i]->d_name, ".") == 0 || strcmp(names[i]->d_name, "..") == 0;
        free(names[i]);
        if (dots) continue;
        CHECK_INT(lstat(inner, &st), 0);
        if (S_ISDIR(st.st_mode)) strcpy(extra, "/");
        if (S_ISFIFO(st.st_mode)) strcpy(extra, "|");
        if (S_ISLNK(st.st_mode)) {
            extra[0] = '>';
            extra[1 + readlink(inner, extra + 1, sizeof extra - 2)] = '\0';
        }
        if (S_ISREG(st.st_mode)) {
            int fd = open(inner, O_RDONLY | O_CLOEXEC);
            extra[0] = '=';
            ssize_t got = fd < 0 ? 0 : read(fd, extra + 1, 40);
            extra[1 + (got < 0 ? 0 : got)] = '\0';
            if (fd >= 0) close(fd);
        }
        size_t len = strlen(ret_text);
        snprintf(ret_text + len, room - len, "%s%s%s", len ? " " : "", inner + prefix, extra);
        if (S_ISDIR(st.st_mode)) show_below(inner, prefix, ret_text, room);
    }
    free(names);
}

/* What is in a directory, as grow() would make it, sorted; "(none)" when there isn't one. */
TREES_HELPER const char *shown(const char *name) {
    static char text[8192];
    const char *path = at(name);
    text[0] = '\0';
    if (access(path, F_OK) != 0) return "(none)";
    show_below(path, strlen(path) + 1, text, sizeof text);
    return text;
}

TREES_HELPER struct stat stat_of(const char *name) {
    struct stat st;
    CHECK_INT(lstat(at(name), &st), 0);
    return st;
}

/* A tree that is deeper than a path may be long: levels with a file in each. */
TREES_HELPER void grow_deep(const char *name, int levels) {
    CHECK_INT(mkdir(at(name), 0755), 0);
    int fd = open(at(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < levels; i++) {
        int file = openat(fd, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        CHECK(file >= 0);
        CHECK_INT(write(file, "x", 1), 1);
        close(file);
        CHECK_INT(mkdirat(fd, "d", 0755), 0);
        int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(next >= 0);
        close(fd);
        fd = next;
    }
    close(fd);
}

/* ---- the operations ---- */

TREES_HELPER int64_t finished(int error, const outcome *what) {
    if (error < 0) return error;
    CHECK_INT(what->calls, 0); /* not inside the call */
    run_to_end(the_loop);
    CHECK_INT(what->calls, 1);
    return what->result;
}

TREES_HELPER int64_t mkdir_all(const char *path, uint32_t mode) {
    outcome what = {0};
    if (!the_loop) return rondo_fs_mkdir_all_sync(path, mode);
    return finished(rondo_fs_mkdir_all(the_loop, path, mode, NULL, note_outcome, &what), &what);
}

TREES_HELPER int64_t copyfile(const char *from, const char *to, unsigned flags) {
    outcome what = {0};
    if (!the_loop) return rondo_fs_copyfile_sync(from, to, flags);
    int error = rondo_fs_copyfile(the_loop, from, to, flags, NULL, note_outcome, &what);
    return finished(error, &what);
}

TREES_HELPER int64_t write_file(const char *path, const void *data, size_t len, uint32_t mode,
                                unsigned flags) {
    outcome what = {0};
    if (!with_sync) flags |= RONDO_WRITE_NO_SYNC;
    if (!the_loop) return rondo_fs_write_file_sync(path, data, len, mode, flags);
    int error =
        rondo_fs_write_file(the_loop, path, data, len, mode, flags, NULL, note_outcome, &what);
    return finished(error, &what);
}

typedef struct contents {
    outcome what;
    char *data;
    size_t len;
} contents;

TREES_HELPER void note_contents(rondo_loop *loop, int result, char *data, size_t len, void *arg) {
    contents *got = arg;
    note_outcome(loop, result, &got->what);
    CHECK((data == NULL) == (result < 0));
    got->data = data;
    got->len = len;
}

TREES_HELPER int64_t read_file(const char *path, size_t max, char **ret_data, size_t *ret_len) {
    contents got = {.len = 0};
    if (!the_loop) return rondo_fs_read_file_sync(path, max, ret_data, ret_len);
    int64_t result =
        finished(rondo_fs_read_file(the_loop, path, max, NULL, note_contents, &got), &got.what);
    if (result >= 0) {
        *ret_data = got.data;
        *ret_len = got.len;
    }
    return result;
}

TREES_HELPER void note_report(rondo_loop *loop, int result, const rondo_tree_report *report,
                              void *arg) {
    note_outcome(loop, result, arg);
    reported = *report;
}

TREES_HELPER int64_t copy_tree(const char *from, const char *to, unsigned flags) {
    outcome what = {0};
    if (!the_loop) return rondo_fs_copy_tree_sync(from, to, flags, &reported);
    int error = rondo_fs_copy_tree(the_loop, from, to, flags, NULL, note_report, &what);
    return finished(error, &what);
}

TREES_HELPER int64_t remove_tree(const char *path, unsigned flags) {
    outcome what = {0};
    if (!the_loop) return rondo_fs_remove_tree_sync(path, flags, &reported);
    int error = rondo_fs_remove_tree(the_loop, path, flags, NULL, note_report, &what);
    return finished(error, &what);
}

/* What a walk told: "a/ a/b a/c@ d!EACCES", in its order or sorted; and what it is to answer. */
typedef struct walked {
    outcome what;
    char text[16384];
    size_t entries;
    const char *skip, *stop; /* at these paths */
    void (*at_entry)(const rondo_walk_entry *entry);
} walked;

TREES_HELPER rondo_walk_verdict note_entry(rondo_loop *loop, const rondo_walk_entry *entry,
                                           void *arg) {
    walked *w = arg;
    CHECK(loop == the_loop);
    CHECK_INT(strlen(entry->path), (long long)entry->path_len);
    CHECK_STR(entry->path + entry->path_len - strlen(entry->name), entry->name);
    w->entries++;
    if (w->at_entry) w->at_entry(entry);
    size_t len = strlen(w->text);
    if (entry->path_len < sizeof w->text - len - 64) {
        const char *mark = entry->type == RONDO_FILE_DIRECTORY ? "/"
                           : entry->type == RONDO_FILE_SYMLINK ? "@"
                           : entry->type == RONDO_FILE_FIFO    ? "|"
                                                               : "";
        snprintf(w->text + len, sizeof w->text - len, "%s%s%s%s%s", len ? " " : "", entry->path,
                 mark, entry->error ? "!" : "", entry->error ? rondo_error_name(entry->error) : "");
    }
    if (w->stop && strcmp(entry->path, w->stop) == 0) return RONDO_WALK_STOP;
    return w->skip && strcmp(entry->path, w->skip) == 0 ? RONDO_WALK_SKIP : RONDO_WALK_ON;
}

TREES_HELPER void note_walk_done(rondo_loop *loop, int64_t result, void *arg) {
    note_outcome(loop, result, &((walked *)arg)->what);
}

TREES_HELPER int64_t walk(const char *path, unsigned flags, unsigned max_depth, walked *w) {
    if (!the_loop) return rondo_fs_walk_sync(path, flags, max_depth, note_entry, w);
    int error =
        rondo_fs_walk(the_loop, path, flags, max_depth, NULL, note_entry, note_walk_done, w);
    return finished(error, &w->what);
}

TREES_HELPER int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The words of a walk in order of the alphabet: a directory's own order is nobody's promise. */
TREES_HELPER const char *sorted(const char *text) {
    static char result[16384];
    char *copy = strdup(text), *rest = copy, *words[2000];
    size_t count = 0;
    for (char *word; count < 2000 && (word = strtok_r(rest, " ", &rest));) words[count++] = word;
    qsort(words, count, sizeof *words, by_text);
    result[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(result);
        snprintf(result + len, sizeof result - len, "%s%s", i ? " " : "", words[i]);
    }
    free(copy);
    return result;
}

#endif
