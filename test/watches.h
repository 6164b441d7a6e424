/* SPDX-License-Identifier: MIT
 *
 * For tests of file watches: a directory of the test's own to do things in, watches that note what
 * they hear, and running the loop until all of it has been told.
 *
 * Nobody waits for a time: a last change that can be recognised is made, and the loop runs until it
 * is told. Changes before it have been told by then.
 */
#ifndef TEST_WATCHES_H
#define TEST_WATCHES_H

#include "faults.h"
#include "fs/watch/watch.h"
#include "streams.h"

#include <ftw.h>
#include <sys/stat.h>

#define WATCHES_HELPER __attribute__((unused)) static

/* ---- files ---- */

static char home[64]; /* the working directory of the test */

WATCHES_HELPER int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
    return remove(path);
}

WATCHES_HELPER void leave_home(void) {
    CHECK_INT(chdir("/"), 0);
    CHECK_INT(nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

WATCHES_HELPER void enter_home(void) {
    strcpy(home, "/dev/shm/rondo-watch-XXXXXX"); /* in memory: tests make files by the thousand */
    if (!mkdtemp(home)) {
        strcpy(home, "/tmp/rondo-watch-XXXXXX");
        CHECK(mkdtemp(home) != NULL);
    }
    CHECK_INT(chdir(home), 0);
}

WATCHES_HELPER void put(const char *path, const char *text, int flags) {
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}
/* A new file, or one that is written anew; and one that grows. */
WATCHES_HELPER void write_file(const char *path) { put(path, "text", O_TRUNC); }
WATCHES_HELPER void append_file(const char *path) { put(path, "more", O_APPEND); }
WATCHES_HELPER void make_dir(const char *path) { CHECK_INT(mkdir(path, 0755), 0); }
WATCHES_HELPER void remove_dir(const char *path) { CHECK_INT(rmdir(path), 0); }
WATCHES_HELPER void remove_file(const char *path) { CHECK_INT(unlink(path), 0); }
WATCHES_HELPER void move(const char *from, const char *to) { CHECK_INT(rename(from, to), 0); }
WATCHES_HELPER void link_to(const char *target, const char *path) {
    CHECK_INT(symlink(target, path), 0);
}

/* ---- watches ---- */

WATCHES_HELPER void note_change(rondo_fs_watch *watch, const rondo_fs_watch_change *change,
                                void *arg) {
    const char *slash = change->is_directory ? "/" : "";
    if (arg) note("%s:", (const char *)arg);
    if (change->from)
        note("renamed(%s%s)%s%s", change->from, slash, change->path, slash);
    else if (change->what == RONDO_FS_WATCH_OVERFLOW)
        note("overflow");
    else
        note("%s(%s%s)", rondo_fs_watch_what_name(change->what), change->path, slash);
}
WATCHES_HELPER void note_ready(rondo_fs_watch *watch, void *arg) { note("ready"); }
WATCHES_HELPER void note_watch_error(rondo_fs_watch *watch, int error, const char *path,
                                     void *arg) {
    note("%s(%s)%s", rondo_error_name(error), path, rondo_is_active(watch) ? "" : "!");
}

WATCHES_HELPER void turn(rondo_loop *loop) {
    rondo_loop_run(loop, RONDO_RUN_NOWAIT);
    rondo__loop_verify(loop);
    sched_yield();
}

/* Runs until the handle has nothing to look at and has heard of all that has happened. */
WATCHES_HELPER void settle(rondo_loop *loop, rondo_fs_watch *watch) {
    bool busy = true;
    for (int quiet = 0; quiet < 2; quiet = busy ? 0 : quiet + 1) {
        turn(loop);
        if (!rondo_is_active(watch)) return;
        busy = watch->look || watch->resolve || watch->unfinished || watch->waiting > 0 ||
               !rondo__list_empty(&watch->queue) ||
               (watch->inotify &&
                rondo__inotify_mark(watch->inotify) > rondo__inotify_position(watch->inotify));
    }
}

/* Runs until the trace has the text; the test's alarm is the limit. */
WATCHES_HELPER void await(rondo_loop *loop, const char *text) {
    while (!strstr(trace, text)) turn(loop);
}

WATCHES_HELPER rondo_fs_watch *new_watch(rondo_loop *loop, const char *path, int flags,
                                         uint64_t window_ms) {
    rondo_fs_watch *watch = rondo_fs_watch_new(loop);
    CHECK(watch != NULL);
    CHECK_INT(rondo_fs_watch_set_window(watch, window_ms, 10000), 0);
    rondo_fs_watch_on_change(watch, note_change, NULL);
    rondo_fs_watch_on_error(watch, note_watch_error, NULL);
    CHECK_INT(rondo_fs_watch_start(watch, path, flags), 0);
    return watch;
}

/* The same, run until it is ready. */
WATCHES_HELPER rondo_fs_watch *ready_watch(rondo_loop *loop, const char *path, int flags,
                                           uint64_t window_ms) {
    rondo_fs_watch *watch = new_watch(loop, path, flags, window_ms);
    rondo_fs_watch_once_ready(watch, note_ready, NULL);
    await(loop, "ready");
    CHECK_TRACE("ready");
    return watch;
}

/* Makes a last change below `dir`, and compares all that was told until then. */
#define CHECK_TOLD(loop, dir, want)              \
    do {                                         \
        write_file(dir "end.mark");              \
        await(loop, "created(" dir "end.mark)"); \
        remove_file(dir "end.mark");             \
        await(loop, "removed(" dir "end.mark)"); \
        cut_marks("end.mark");                   \
        CHECK_TRACE(want);                       \
    } while (0)

/* Takes the words with this text out of the trace. */
WATCHES_HELPER void cut_marks(const char *text) {
    char kept[sizeof trace] = "", *rest = trace;
    for (char *word; (word = strtok_r(rest, " ", &rest));) {
        if (strstr(word, text)) continue;
        if (*kept) strcat(kept, " ");
        strcat(kept, word);
    }
    strcpy(trace, kept);
    trace_size = strlen(trace);
}

static int compare_words(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}
/* For what may come in any order: of two handles, or of polling. */
WATCHES_HELPER void sort_words(void) {
    static char kept[sizeof trace];
    char *words[256], *rest = strcpy(kept, trace);
    size_t count = 0;
    for (char *word; (word = strtok_r(rest, " ", &rest));) {
        CHECK(count < 256);
        words[count++] = word;
    }
    qsort(words, count, sizeof *words, compare_words);
    trace_size = 0, trace[0] = '\0';
    for (size_t i = 0; i < count; i++) note("%s", words[i]);
}

WATCHES_HELPER rondo_fs_watch_figures watch_figures(const rondo_fs_watch *watch) {
    rondo_fs_watch_figures figures;
    rondo_fs_watch_get_figures(watch, &figures);
    return figures;
}

#endif
