/* SPDX-License-Identifier: MIT
 *
 * tail FILE...: prints what is appended to files, as `tail -n 0 -F` does: also when they are truncated,
 * replaced by others, removed, or not there yet. Ctrl-C ends it.
 *
 * A watch says that something has happened at a path, a worker finds out what that means for the file
 * that is open. The worker runs plain blocking code, one job per file at a time.
 *
 * compile only: see test/file_examples_test.py
 */
#include <rondo.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct tail {
    const char *path;
    int fd;     /* negative: not open */
    int64_t at; /* read so far */
    rondo_stat file;
    bool started;     /* what is there at the start is not printed */
    bool busy, again; /* a job is under way; something has happened since it began */
    const char *news;
    char bytes[65536];
} tail;

static const tail *shown; /* whose bytes came last */
static int count;

/* On a worker, and the only one that has the tail: the next bytes, or 0 when there are none. */
static int64_t catch_up(rondo_job *job, void *arg) {
    tail *t = arg;
    rondo_stat now;
    for (;;) {
        if (t->fd >= 0 && rondo_fs_fstat_sync(t->fd, &now) == 0 && now.size < t->at) {
            t->news = "truncated";
            t->at = 0;
        }
        int64_t got = t->fd >= 0 ? rondo_fs_read_sync(t->fd, t->bytes, sizeof t->bytes, t->at) : 0;
        if (got > 0) t->at += got;
        if (got != 0) return got;
        /* All of it has been read. Is it still the one at the path? */
        if (rondo_fs_stat_sync(t->path, &now) < 0) return 0;
        if (t->fd >= 0 && now.dev == t->file.dev && now.ino == t->file.ino) return 0;
        int fd = rondo_fs_open_sync(t->path, O_RDONLY | O_NONBLOCK, 0);
        if (fd < 0) return fd;
        if (t->fd >= 0) rondo_fs_close_sync(t->fd);
        rondo_fs_fstat_sync(fd, &t->file);
        if (t->started) t->news = "a new file";
        t->at = t->started ? 0 : t->file.size;
        t->fd = fd;
    }
}

static void look(rondo_loop *loop, tail *t);

static void caught_up(rondo_loop *loop, int64_t got, void *arg) {
    tail *t = arg;
    t->busy = false;
    t->started = true;
    if (t->news) fprintf(stderr, "tail: %s: %s\n", t->path, t->news);
    if (got < 0) fprintf(stderr, "tail: %s: %s\n", t->path, rondo_error_text((int)got));
    t->news = NULL;
    if (got > 0) {
        if (count > 1 && shown != t) printf("==> %s <==\n", t->path);
        shown = t;
        fwrite(t->bytes, 1, (size_t)got, stdout);
        fflush(stdout);
    }
    if (got > 0 || t->again) look(loop, t);
}

static void look(rondo_loop *loop, tail *t) {
    t->again = t->busy;
    if (t->busy) return;
    t->busy = rondo_work_submit(loop, rondo_lane_fs(loop), NULL, catch_up, caught_up, t) == 0;
}

static void on_ready(rondo_fs_watch *watch, void *arg) { look(rondo_handle_loop(watch), arg); }

static void on_change(rondo_fs_watch *watch, const rondo_fs_watch_change *change, void *arg) {
    look(rondo_handle_loop(watch), arg);
}

static void on_error(rondo_fs_watch *watch, int error, const char *path, void *arg) {
    fprintf(stderr, "tail: %s: %s\n", ((tail *)arg)->path, rondo_error_text(error));
}

static void on_signal(rondo_signal *signal, int signum, void *arg) {
    rondo_loop_close_all(rondo_handle_loop(signal));
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE...\n", argv[0]);
        return 2;
    }
    rondo_loop *loop = rondo_loop_new();
    tail *tails = calloc((size_t)argc, sizeof *tails);
    rondo_signal *interrupt = loop ? rondo_signal_new(loop) : NULL;
    if (!tails || !interrupt || rondo_signal_start(interrupt, SIGINT, on_signal, NULL) < 0)
        return 1;
    rondo_unref(interrupt);
    for (count = 0; argv[count + 1]; count++) {
        tail *t = &tails[count];
        rondo_fs_watch *watch = rondo_fs_watch_new(loop);
        if (!watch) return 1;
        t->path = argv[count + 1];
        t->fd = -1;
        rondo_fs_watch_set_window(watch, 0, 1000); /* at once; it looks at everything anyway */
        rondo_fs_watch_on_ready(watch, on_ready, t);
        rondo_fs_watch_on_change(watch, on_change, t);
        rondo_fs_watch_on_error(watch, on_error, t);
        int error = rondo_fs_watch_start(watch, t->path, 0);
        if (error < 0) on_error(watch, error, "", t);
    }
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_close_all(loop); /* when no file could be watched */
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    free(tails); /* the files are closed with the process */
    return 0;
}
