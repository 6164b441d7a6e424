/* SPDX-License-Identifier: MIT
 *
 * cp SRC DST: copies a file, or a directory with all that is in it, on the loop's worker threads.
 * Four times a second standard error says how far it is, and Ctrl-C ends it in good order: no half of a
 * file is left, and what was copied is told.
 *
 *   build/examples/cp /usr/include /tmp/include
 *
 * compile only: see test/tree_examples_test.py
 */
#include <rondo.h>

#include <signal.h>
#include <stdio.h>

typedef struct copy {
    rondo_job *job; /* NULL once it has ended */
    rondo_timer *ticker;
    rondo_signal *interrupt;
    uint64_t bytes;
    bool shown;
    int status;
} copy;

static void on_progress(rondo_loop *loop, uint64_t done, uint64_t total, void *arg) {
    ((copy *)arg)->bytes = done;
}

static void on_tick(rondo_timer *timer, void *arg) {
    copy *c = arg;
    fprintf(stderr, "\r%.1f MiB ", (double)c->bytes / (1 << 20));
    c->shown = true;
}

static void on_interrupt(rondo_signal *handle, int signum, void *arg) {
    copy *c = arg;
    if (c->job) rondo_job_cancel(c->job); /* on_done hears of it, with RONDO_ECANCELED */
}

static void on_done(rondo_loop *loop, int result, const rondo_tree_report *report, void *arg) {
    copy *c = arg;
    c->job = NULL;
    if (c->shown) fprintf(stderr, "\r");
    if (result < 0) {
        const char *path = report->error_path;
        fprintf(stderr, "cp: %s%s%s\n", path, *path ? ": " : "", rondo_error_text(result));
        c->status = 1;
    }
    fprintf(stderr, "%llu files, %llu directories, %llu links, %.1f MiB\n",
            (unsigned long long)report->files, (unsigned long long)report->directories,
            (unsigned long long)report->links, (double)report->bytes / (1 << 20));
    if (report->skipped > 0)
        fprintf(stderr, "cp: left out what is no file, directory or link: %llu\n",
                (unsigned long long)report->skipped);
    rondo_close(c->ticker); /* nothing keeps the loop any more */
    rondo_close(c->interrupt);
}

int main(int argc, char **argv) {
    copy c = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: cp SRC DST\n");
        return 2;
    }
    rondo_loop *loop = rondo_loop_new();
    if (!loop) return 1;
    c.ticker = rondo_timer_new(loop);
    c.interrupt = rondo_signal_new(loop);
    if (!c.ticker || !c.interrupt) return 1;
    rondo_timer_start(c.ticker, 250, 250, on_tick, &c);
    int error = rondo_signal_start(c.interrupt, SIGINT, on_interrupt, &c);
    if (error == 0)
        error = rondo_fs_copy_tree(loop, argv[1], argv[2], RONDO_COPY_TIMES, &c.job, on_done, &c);
    if (error < 0) {
        fprintf(stderr, "cp: %s\n", rondo_error_text(error));
        return 1;
    }
    rondo_job_on_progress(c.job, on_progress, &c);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    return c.status;
}
